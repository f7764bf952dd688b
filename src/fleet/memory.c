#include "fleet/memory.h"

#include "fleet/lane.h"

enum {
    BASE_BYTES = 32 << 20,
    SHARE_MIN_BYTES = 65536, /* of the prefetch, of one partition; and one fetch more */
    CALL_BYTES =
        48 << 10, /* a transfer's buffers in libcurl and what is kept of an answer */
    CLUSTERS_BYTES = 56 << 20, /* who asks clusters for gates: 24 LISTs of 512 KiB, 6
                                  objects of 2 MiB, the trees of some, 8 threads */
    CLUSTER_PROBE_BYTES = 112 << 10, /* a call, and 64 KiB of its answer */
};

/* Of one unit, with what it may own besides. */
static uint64_t unit_bytes(const struct config_target *target)
{
    uint64_t ask = gate_is_on(target) ? sizeof(struct gate_ask) : 0;
    uint64_t follow = target_kind(target->target)->follow ? KIND_FOLLOW_MAX : 0;
    return sizeof(struct unit) + ask + follow;
}

static uint64_t clusters_bytes(const struct config *c)
{
    uint64_t width = (uint64_t)c->cluster_check.width;
    uint64_t probes = width < c->cluster_count ? width : c->cluster_count;
    return probes > 0 ? CLUSTERS_BYTES + probes * CLUSTER_PROBE_BYTES : 0;
}

uint64_t memory_bound(const struct config *c, int partitions)
{
    uint64_t count = (uint64_t)partitions;
    uint64_t share = c->kafka.prefetch_bytes / (count ? count : 1);
    share = share < SHARE_MIN_BYTES ? SHARE_MIN_BYTES : share;
    uint64_t lane = LANE_STACK_BYTES + 4u * LANE_BATCH_BYTES;
    for (size_t i = 0; i < c->target_count; i++) {
        lane += (uint64_t)c->batch.size * unit_bytes(&c->targets[i]);
    }
    return BASE_BYTES + count * (share + SHARE_MIN_BYTES + lane) +
           (uint64_t)c->in_flight * CALL_BYTES + FLEET_PRODUCER_BYTES + clusters_bytes(c);
}

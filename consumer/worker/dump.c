#include "dump.h"

#include "base/log.h"

static void dump_lane(const struct view_lane *lane)
{
    const struct view_waiting *first = &lane->waiting[0];
    LOG(LOG_INFO, "lane", LS("topic", lane->topic), LI("partition", lane->partition),
        LS("state", view_state_name(lane->state)), LI("for_ms", lane->for_ms),
        LI("events", lane->events), LI("units", lane->units), LI("ended", lane->ended),
        LS("waits_for", lane->waiting_count > 0 ? first->target : ""),
        LI("waiting_units", lane->waiting_count > 0 ? first->units : 0), LEND);
}

static void dump_target(const struct view_target *target)
{
    LOG(LOG_INFO, "target", LS("target", target->name),
        LI("in_flight", target->in_flight), LI("calls", target->calls),
        LI("triggered", target->triggered), LI("breaker_open_ms", target->open_ms),
        LI("silent_ms", target->silent_ms), LEND);
}

void dump_worker(struct worker *worker)
{
    struct worker_view view;
    worker_view(worker, &view);
    LOG(LOG_INFO, "state",
        LS("redis", view.redis_answers ? "answers" : "does not answer"),
        LI("lanes", view.lane_count), LI("batch_size", view.batch_size), LEND);
    for (size_t i = 0; i < view.lane_count; i++) {
        dump_lane(&view.lanes[i]);
    }
    for (size_t i = 0; i < view.target_count; i++) {
        dump_target(&view.targets[i]);
    }
    worker_view_release(&view);
}

#include "gates.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "cluster_set.h"
#include "keeper.h"
#include "waking_note.h"

struct gates {
    struct config *config; /* of the start: where Redis' keys are */
    struct redis *redis;
    struct cluster_set *set;
    struct keeper *keeper;
};

/* The first that failed: nobody looks into a list that is not known to have something. */
static void warn(const struct keeper_woke *woke)
{
    for (size_t i = 0; i < woke->count; i++) {
        if (woke->items[i].end == WAKING_FAILED ||
            woke->items[i].end == WAKING_UNCERTAIN) {
            LOG(LOG_WARN, "a workload is not woken", LS("cluster", woke->cluster),
                LS("namespace", woke->ns), LS("name", woke->items[i].workload->ref.name),
                LS("why", woke->items[i].err.text), LEND);
            return;
        }
    }
}

static void on_woke(void *arg, const struct keeper_woke *woke)
{
    struct gates *g = arg;
    struct ops_place place = {.config = g->config, .redis = g->redis};
    snprintf(place.who, sizeof place.who, "%s", g->config->kafka.client_id);
    warn(woke);
    waking_note(&place, &(struct waking_note){.kind = "wake",
                                              .why = "a trigger waits for it",
                                              .cluster = woke->cluster,
                                              .ns = woke->ns,
                                              .selector = woke->selector,
                                              .items = woke->items,
                                              .count = woke->count});
}

struct gates *gates_start(struct worker *worker, struct config *config,
                          struct metrics *metrics)
{
    struct gates *g = mem_zalloc(sizeof *g);
    g->config = config_hold(config);
    g->redis = worker_redis(worker);
    g->set = cluster_set_new(metrics, true);
    g->keeper = keeper_start(g->set, KEEPER_GOOD_MS, metrics, on_woke, g);
    worker_set_gate(worker, keeper_gate(g->keeper));
    cluster_set_config(g->set, config);
    return g;
}

void gates_config(struct gates *g, const struct config *config)
{
    cluster_set_config(g->set, config);
}

struct json_object *gates_beat(void *arg)
{
    struct gates *g = arg;
    return cluster_set_json(g->set);
}

void gates_stop(struct gates *g)
{
    keeper_stop(g->keeper);
}

void gates_free(struct gates *g)
{
    if (g == NULL) {
        return;
    }
    keeper_free(g->keeper);
    cluster_set_free(g->set);
    config_free(g->config);
    free(g);
}

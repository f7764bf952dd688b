#include "gates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "cluster_set.h"
#include "keeper.h"
#include "ops/audit.h"
#include "ops/wakings.h"

enum { ITEMS_KEPT_MAX = 32 };

struct gates {
    struct config *config; /* of the start: where Redis' keys are */
    struct redis *redis;
    struct cluster_set *set;
    struct keeper *keeper;
};

/* "apps/v1/Deployment/shop/api" */
static void add_item(struct json_object *list, const struct waking *item)
{
    struct json_object *doc = json_object_new_object();
    struct str ref;
    str_init(&ref);
    kube_ref_print(&item->workload->ref, &ref);
    json_put_text(doc, "ref", ref.data);
    json_put_text(doc, "end", waking_end_word(item->end));
    if (item->end == WAKING_WOKEN) {
        json_put_number(doc, "replicas", item->replicas);
    }
    if (item->end == WAKING_FAILED || item->end == WAKING_UNCERTAIN) {
        json_put_text(doc, "why", item->err.text);
    }
    json_object_array_add(list, doc);
    str_release(&ref);
}

static struct json_object *waking_json(const struct gates *g,
                                       const struct keeper_woke *woke, const char *text)
{
    struct json_object *doc = json_object_new_object();
    struct json_object *items = json_object_new_array();
    for (size_t i = 0; i < woke->count && i < ITEMS_KEPT_MAX; i++) {
        add_item(items, &woke->items[i]);
    }
    json_put_number(doc, "at_ms", now_wall_ms());
    json_put_text(doc, "consumer", g->config->kafka.client_id);
    json_put_text(doc, "cluster", woke->cluster);
    json_put_text(doc, "namespace", woke->ns);
    json_put_text(doc, "selector", woke->selector);
    json_put_text(doc, "text", text);
    json_object_object_add(doc, "items", items);
    return doc;
}

/* "woke 2 of 3, 1 failed" */
static void say(const struct keeper_woke *woke, struct str *text)
{
    size_t n[WAKING_ENDS] = {0};
    for (size_t i = 0; i < woke->count; i++) {
        n[woke->items[i].end]++;
    }
    str_addf(text, "woke %zu of %zu", n[WAKING_WOKEN], woke->count);
    for (int end = 0; end < WAKING_ENDS; end++) {
        if (end != WAKING_WOKEN && n[end] > 0) {
            str_addf(text, ", %zu %s", n[end], waking_end_word((enum waking_end)end));
        }
    }
}

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
    struct str text;
    struct str what;
    struct ops_place place = {.config = g->config, .redis = g->redis};
    snprintf(place.who, sizeof place.who, "%s", g->config->kafka.client_id);
    str_init(&text);
    str_init(&what);
    say(woke, &text);
    warn(woke);
    str_addf(&what, "%s/%s %s", woke->cluster, woke->ns, woke->selector);
    audit_write(&place, &(struct audit){.kind = "wake",
                                        .what = what.data,
                                        .why = "a trigger waits for it",
                                        .text = text.data});
    struct json_object *doc = waking_json(g, woke, text.data);
    wakings_note(&place, doc);
    json_free(doc);
    str_release(&what);
    str_release(&text);
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

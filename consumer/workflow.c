#include "workflow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "ops/apps.h"
#include "ops/trace.h"
#include "wire/json.h"
#include "workflow_query.h"

enum { IN_FLIGHT = 256 };

struct workflow {
    const struct config *config;
    struct http *http;
    struct http_pool *ci;
    struct http_pool *targets[CONFIG_TARGETS_MAX]; /* as in config: one that hangs takes
                                                      no other's place */
};

/* --- start and stop --- */

struct workflow *workflow_start(const struct config *config, struct err *err)
{
    const struct http_options options = {.in_flight = IN_FLIGHT,
                                         .ca_file = config->ca_file,
                                         .user_agent = "sluice/" SLUICE_VERSION};
    struct workflow *w = mem_zalloc(sizeof *w);
    w->config = config;
    w->http = http_start(&options, err);
    if (!w->http) {
        free(w);
        return NULL;
    }
    w->ci = http_pool_new(w->http, "workflow.ci", WORKFLOW_READERS_MAX, false);
    for (size_t i = 0; i < config->target_count; i++) {
        w->targets[i] =
            http_pool_new(w->http, config->targets[i].name, WORKFLOW_READERS_MAX,
                          config->targets[i].public_only);
    }
    return w;
}

void workflow_stop(struct workflow *w)
{
    if (w) {
        http_stop(w->http);
        free(w);
    }
}

/* --- the past --- */

struct asking {
    struct workflow_query *query;
    struct http_pool *pool;
};

struct reading {
    struct workflow *workflow;
    struct ctx *ctx; /* until the deadline */
    const char *app;
    struct json_object *ids; /* newest first; NULL: not read */
    size_t which;            /* of them, has a story */
    struct json_object *chapters;
    struct json_object *units; /* how it stands with each target, as the history says */
    size_t more_units;

    struct workflow_query *queries; /* the CI system, then one for each unit */
    size_t count;
    struct asking *asked; /* of them, those that ask */
    size_t asked_count;
};

static size_t length(struct json_object *array)
{
    return array ? json_object_array_length(array) : 0;
}

static struct json_object *item(struct json_object *array, size_t i)
{
    return json_object_array_get_idx(array, i);
}

static const char *id_of(const struct reading *r)
{
    return json_object_get_string(item(r->ids, r->which));
}

static int read_past(struct reading *r, struct ops_place *place, struct err *err)
{
    int64_t until_ms = ctx_deadline_ms(r->ctx);
    int rc = apps_last(place, r->app, until_ms, &r->ids, err);
    r->chapters = json_object_new_array();
    for (r->which = 0; rc == 0; r->which++) {
        if (r->which == length(r->ids) || r->which == WORKFLOW_LOOK_BACK) {
            return err_set(err, -ENOENT,
                           "the stories of application %s are forgotten: more than "
                           "history.events came since",
                           r->app);
        }
        rc = trace_chapters(place, id_of(r), until_ms, r->chapters, err);
        if (rc == 0 && length(r->chapters) > 0) {
            return 0;
        }
    }
    return rc;
}

static struct json_object *unit_of(struct reading *r, const char *target)
{
    for (size_t i = 0; i < length(r->units); i++) {
        if (strcmp(json_text_or(item(r->units, i), "/target", ""), target) == 0) {
            return item(r->units, i);
        }
    }
    if (length(r->units) == WORKFLOW_TARGETS_MAX) {
        r->more_units++;
        return NULL;
    }
    struct json_object *unit = json_object_new_object();
    json_put_text(unit, "target", target);
    json_object_array_add(r->units, unit);
    return unit;
}

/* What came later counts, but a duplicate does not undo the trigger it is one of. */
static void note_unit(struct reading *r, struct json_object *from, int64_t ended_ms)
{
    static const char *const texts[] = {"/verdict", "/reason", "/detail", "/follow"};
    struct json_object *unit = unit_of(r, json_text_or(from, "/target", ""));
    bool was_triggered =
        unit && strcmp(json_text_or(unit, "/verdict", ""), "triggered") == 0;
    if (!unit ||
        (was_triggered && strcmp(json_text_or(from, "/verdict", ""), "duplicate") == 0)) {
        return;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_object_object_del(unit, texts[i] + 1);
        json_put_text(unit, texts[i] + 1, json_text_or(from, texts[i], ""));
    }
    json_object_object_del(unit, "attempts");
    json_object_object_del(unit, "ended_ms");
    json_put_number(unit, "attempts", json_number_or(from, "/attempts", 0));
    json_put_number(unit, "ended_ms", ended_ms);
}

static void join_chapters(struct reading *r)
{
    r->units = json_object_new_array();
    for (size_t i = 0; i < length(r->chapters); i++) {
        struct json_object *chapter = item(r->chapters, i);
        struct json_object *units = json_at(chapter, "/units");
        int64_t ended_ms = json_number_or(chapter, "/ended_ms", 0);
        r->more_units += (size_t)json_number_or(chapter, "/more_units", 0);
        for (size_t k = 0; k < length(units); k++) {
            if (strcmp(json_text_or(item(units, k), "/target", ""), "none") != 0) {
                note_unit(r, item(units, k), ended_ms);
            }
        }
    }
}

/* --- the present --- */

static const char *field_of(void *arg, const char *name)
{
    const struct reading *r = arg;
    char pointer[32];
    snprintf(pointer, sizeof pointer, "/%s", name);
    return strcmp(name, "id") == 0 ? id_of(r)
           : strcmp(name, "app") == 0
               ? r->app
               : json_string_at(item(r->chapters, 0), pointer, NULL);
}

static size_t find_target(const struct config *config, const char *name)
{
    size_t i = 0;
    while (i < config->target_count && strcmp(config->targets[i].name, name) != 0) {
        i++;
    }
    return i;
}

static void will_ask(struct reading *r, struct workflow_query *query,
                     struct http_pool *pool)
{
    r->asked[r->asked_count++] = (struct asking){query, pool};
}

static void prepare(struct reading *r)
{
    struct workflow *w = r->workflow;
    struct event event;
    r->count = 1 + length(r->units);
    r->queries = mem_array(r->count, sizeof r->queries[0]);
    r->asked = mem_array(r->count, sizeof r->asked[0]);
    config_workflow_event(&event, field_of, r);
    if (workflow_query_ci(&r->queries[0], w->config, &event)) {
        will_ask(r, &r->queries[0], w->ci);
    }
    event_release(&event);
    for (size_t i = 1; i < r->count; i++) {
        struct json_object *unit = item(r->units, i - 1);
        size_t at = find_target(w->config, json_text_or(unit, "/target", ""));
        const struct config_target *target =
            at < w->config->target_count ? &w->config->targets[at] : NULL;
        if (workflow_query_cd(&r->queries[i], w->config, target,
                              json_text_or(unit, "/follow", ""))) {
            will_ask(r, &r->queries[i], w->targets[at]);
        }
    }
}

static void start(void *arg, struct batch *batch, size_t i)
{
    struct reading *r = arg;
    workflow_query_start(r->asked[i].query, r->workflow->http, r->asked[i].pool, r->ctx,
                         batch, i);
}

/* All at once: they are few, and the legs shall not wait for each other. */
static void ask_all(struct reading *r)
{
    if (r->asked_count == 0) {
        return;
    }
    int *results = mem_array(r->asked_count, sizeof results[0]);
    int rc = batch_run(r->ctx, r->asked_count, r->asked_count, start, r, results);
    (void)rc; /* each is judged by itself */
    for (size_t i = 0; i < r->asked_count; i++) {
        workflow_query_judge(r->asked[i].query, results[i]);
    }
    free(results);
}

/* --- telling --- */

/* A leg is as good as the worst of those it asked; who was not asked is no fault. */
static struct json_object *leg_json(const struct reading *r, size_t from, size_t to)
{
    const struct workflow_query *worst = NULL;
    struct json_object *leg = json_object_new_object();
    int64_t took_ms = 0;
    for (size_t i = from; i < to; i++) {
        const struct workflow_query *q = &r->queries[i];
        worst = !worst || q->status > worst->status ? q : worst;
        took_ms =
            q->ended_ms - q->began_ms > took_ms ? q->ended_ms - q->began_ms : took_ms;
    }
    bool bad = worst && worst->status > WORKFLOW_OK;
    json_put_text(leg, "status", workflow_status_name(bad ? worst->status : WORKFLOW_OK));
    if (bad && worst->target) {
        struct str why;
        str_init(&why);
        str_addf(&why, "%s: %s", worst->target->name, worst->why);
        json_put_text(leg, "why", why.data);
        str_release(&why);
    } else if (bad) {
        json_put_text(leg, "why", worst->why);
    }
    json_put_number(leg, "took_ms", took_ms);
    return leg;
}

static struct json_object *ci_json(const struct reading *r)
{
    struct json_object *chapter = item(r->chapters, 0);
    struct json_object *seen = json_object_new_object();
    struct json_object *leg = leg_json(r, 0, 1);
    json_put_number(seen, "published_ms", json_number_or(chapter, "/published_ms", 0));
    json_put_number(seen, "taken_ms", json_number_or(chapter, "/opened_ms", 0));
    json_put_text(seen, "consumer", json_text_or(chapter, "/consumer", ""));
    json_put_text(seen, "topic", json_text_or(chapter, "/topic", ""));
    json_put_number(seen, "partition", json_number_or(chapter, "/partition", 0));
    json_put_number(seen, "offset", json_number_or(chapter, "/offset", 0));
    json_object_object_add(leg, "seen", seen);
    json_object_object_add(leg, "live", workflow_query_json(&r->queries[0]));
    return leg;
}

static struct json_object *cd_json(const struct reading *r)
{
    struct json_object *leg = leg_json(r, 1, r->count);
    if (r->count == 1) {
        json_object_object_del(leg, "status");
        json_put_text(leg, "status", workflow_status_name(WORKFLOW_NONE));
        json_put_text(leg, "why", "no target matched the event");
    }
    for (size_t i = 1; i < r->count; i++) {
        struct json_object *unit = item(r->units, i - 1);
        const struct config_target *target = r->queries[i].target;
        json_object_object_del(unit, "follow");
        json_put_text(unit, "kind", target ? target_kind(target->target)->name : "");
        json_object_object_add(unit, "live", workflow_query_json(&r->queries[i]));
    }
    json_object_object_add(leg, "targets", json_object_get(r->units));
    if (r->more_units > 0) {
        json_put_number(leg, "more_targets", (int64_t)r->more_units);
    }
    return leg;
}

static struct json_object *head_json(const struct reading *r)
{
    static const char *const fields[] = {"/repo",     "/commit", "/branch",
                                         "/pipeline", "/run",    "/run_url"};
    struct json_object *doc = json_object_new_object();
    json_put_text(doc, "schema", "sluice.workflow/1");
    json_put_text(doc, "app", r->app);
    if (r->units) {
        json_put_text(doc, "event", id_of(r));
        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
            json_put_text(doc, fields[i] + 1,
                          json_text_or(item(r->chapters, 0), fields[i], ""));
        }
    }
    return doc;
}

static struct json_object *earlier_json(const struct reading *r)
{
    struct json_object *earlier = json_object_new_array();
    for (size_t i = r->which + 1; i < length(r->ids); i++) {
        json_object_array_add(earlier, json_object_get(item(r->ids, i)));
    }
    return earlier;
}

/* Nothing is known, so nobody could be asked. */
static void put_unread(struct json_object *doc, int rc, const struct err *err)
{
    static const char *const legs[] = {"ci", "cd"};
    for (size_t i = 0; i < 2; i++) {
        struct json_object *leg = json_object_new_object();
        json_put_text(leg, "status",
                      workflow_status_name(rc == -ETIMEDOUT ? WORKFLOW_TIMEOUT
                                                            : WORKFLOW_ERROR));
        json_put_text(leg, "why", err->text);
        json_object_object_add(doc, legs[i], leg);
    }
}

static struct json_object *answer(struct reading *r, int rc, const struct err *err)
{
    struct json_object *doc = head_json(r);
    if (rc) {
        put_unread(doc, rc, err);
        return doc;
    }
    json_object_object_add(doc, "earlier", earlier_json(r));
    json_object_object_add(doc, "ci", ci_json(r));
    json_object_object_add(doc, "cd", cd_json(r));
    return doc;
}

static void reading_release(struct reading *r)
{
    for (size_t i = 0; i < r->count; i++) {
        workflow_query_release(&r->queries[i]);
    }
    free(r->queries);
    free(r->asked);
    json_free(r->ids);
    json_free(r->chapters);
    json_free(r->units);
    ctx_free(r->ctx);
}

int workflow_read(struct workflow *w, struct ops_place *place, const char *app,
                  struct ctx *ctx, struct json_object **doc, struct err *err)
{
    int64_t began_ms = now_ms();
    struct err why = ERR_INIT;
    struct reading r = {.workflow = w,
                        .ctx = ctx_new(ctx, began_ms + w->config->workflow.timeout_ms),
                        .app = app};
    int rc = read_past(&r, place, &why);
    if (rc == 0) {
        join_chapters(&r);
        prepare(&r);
        ask_all(&r);
    } else {
        err_set(err, rc, "%s", why.text);
    }
    *doc = rc == -ENOENT ? NULL : answer(&r, rc, &why);
    if (*doc) {
        json_put_number(*doc, "took_ms", now_ms() - began_ms);
    }
    reading_release(&r);
    return rc;
}

#include "console_dead.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/now.h"
#include "console_api.h"
#include "reply.h"

enum { LIST_MAX = 500, LIST_DEFAULT = 200, RATE_MAX = 1000 };
#define RATE_MIN 0.001

/* "6h" (ago) or RFC 3339; NULL or "": 0. */
static int read_since(const char *text, int64_t *wall_ms, struct err *err)
{
    int64_t ago_ms;
    *wall_ms = 0;
    if (!text || !text[0] || now_parse_rfc3339(text, wall_ms) == 0) {
        return 0;
    }
    if (now_parse_duration(text, &ago_ms) == 0) {
        *wall_ms = now_wall_ms() - ago_ms;
        return 0;
    }
    return err_set(err, -EINVAL,
                   "since: expected a time such as 6h (ago) or 2026-11-24T11:00:00Z");
}

static const char *not_empty(const char *text)
{
    return text && text[0] ? text : NULL;
}

/* --- what there is --- */

static int read_query(struct httpd_request *request, struct letter_filter *filter,
                      int64_t *limit, struct err *err)
{
    const char *text = httpd_query(request, "limit");
    *limit = LIST_DEFAULT;
    *filter = (struct letter_filter){.target = not_empty(httpd_query(request, "target")),
                                     .reason = not_empty(httpd_query(request, "reason")),
                                     .event = not_empty(httpd_query(request, "event"))};
    if (text && text_parse_int(text, 1, LIST_MAX, limit)) {
        return err_set(err, -EINVAL, "limit: expected a number from 1 to %d", LIST_MAX);
    }
    return read_since(httpd_query(request, "since"), &filter->since_ms, err);
}

/* Whoever reads them sees the letters of the applications they may read. */
struct reader {
    struct guard *guard;
    struct guard_who who;
    int64_t unjudged;
};

static bool may_read(void *arg, const struct letter *letter)
{
    struct reader *reader = arg;
    const char *app = letter->event.fields[EVENT_APP];
    struct access_result result;
    struct str resource;
    str_init(&resource);
    str_addf(&resource, "apps/%s", app ? app : "");
    const char *name = resource.data;
    guard_ask(reader->guard, NULL, &reader->who, RULE_READ, &name, 1, &result);
    str_release(&resource);
    reader->unjudged += result.answer == ACCESS_ERROR;
    return result.answer == ACCESS_ALLOWED;
}

void console_dead_list(void *arg, struct ops_place *place, struct httpd_request *request,
                       struct ctx *ctx)
{
    const struct console_api *api = arg;
    struct reader reader = {.guard = api->guard};
    struct err err = ERR_INIT;
    struct letter_filter filter;
    struct deadletters_list list;
    int64_t limit;
    if (!guard_lets_read(api->guard, request, NULL, &reader.who)) {
        return; /* gone while it waited */
    }
    int rc = read_query(request, &filter, &limit, &err);
    if (reader.who.is == GUARD_TOKEN) {
        filter.also = may_read;
        filter.arg = &reader;
    }
    rc = rc ? rc
            : deadletters_list(place, &filter, (size_t)limit, ctx_deadline_ms(ctx), &list,
                               &err);
    if (rc) {
        reply_failure(request, rc, &err);
        return;
    }
    struct json_object *doc = deadletters_list_json(&list);
    if (reader.unjudged > 0) {
        json_put_number(doc, "unjudged", reader.unjudged);
    }
    reply_json(request, 200, doc);
    deadletters_list_release(&list);
}

/* --- sending it again --- */

/* A member that is misspelt, of another type or cut would mean more letters than were
 * meant. */
static int check_order(struct json_object *body, struct err *err)
{
    static const char *const texts[] = {"target", "reason", "event",
                                        "since",  "why",    "who"};
    json_object_object_foreach(body, name, value)
    {
        enum json_type type = json_object_get_type(value);
        bool is_text = false;
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
            is_text = is_text || strcmp(name, texts[i]) == 0;
        }
        bool good = is_text ? type == json_type_string &&
                                  json_object_get_string_len(value) < REDRIVER_TEXT_MAX
                    : strcmp(name, "dry_run") == 0
                        ? type == json_type_boolean
                        : strcmp(name, "rate_per_s") == 0 &&
                              (type == json_type_int || type == json_type_double);
        if (!good) {
            return err_set(err, -EINVAL,
                           "\"%.40s\" is not expected so: target, reason, event, since, "
                           "why and who are texts of at most %d bytes, rate_per_s is a "
                           "number, dry_run is true or false",
                           name, REDRIVER_TEXT_MAX - 1);
        }
    }
    return 0;
}

static void copy(struct json_object *body, const char *pointer,
                 char text[REDRIVER_TEXT_MAX])
{
    const char *value = json_string_at(body, pointer, NULL);
    snprintf(text, REDRIVER_TEXT_MAX, "%s", value ? value : "");
}

static int read_order(struct json_object *body, struct redriver_order *order,
                      struct err *err)
{
    struct json_object *rate = json_at(body, "/rate_per_s");
    memset(order, 0, sizeof *order);
    if (check_order(body, err)) {
        return -EINVAL;
    }
    copy(body, "/target", order->target);
    copy(body, "/reason", order->reason);
    copy(body, "/event", order->event);
    copy(body, "/why", order->why);
    order->rate_per_s = rate ? json_object_get_double(rate) : REDRIVE_RATE;
    if (!(order->rate_per_s >= RATE_MIN && order->rate_per_s <= RATE_MAX)) {
        return err_set(err, -EINVAL, "rate_per_s: expected a number from %g to %d",
                       RATE_MIN, RATE_MAX);
    }
    return read_since(json_string_at(body, "/since", NULL), &order->since_ms, err);
}

static struct json_object *plan_json(const struct redrive_plan *plan)
{
    struct json_object *doc = json_object_new_object();
    struct json_object *unfit = json_object_new_array();
    for (size_t i = 0; i < plan->unfit_count; i++) {
        struct json_object *item = json_object_new_object();
        json_object_object_add(item, "why", json_object_new_string(plan->unfit[i].why));
        json_object_object_add(item, "count",
                               json_object_new_int64(plan->unfit[i].count));
        json_object_array_add(unfit, item);
    }
    json_object_object_add(doc, "matched", json_object_new_int64(plan->matched));
    json_object_object_add(doc, "fit", json_object_new_int64(plan->fit));
    json_object_object_add(doc, "unfit", unfit);
    return doc;
}

/* What is asked for, and what comes of it. */
struct wish {
    struct redriver_order order;
    bool dry_run;
    bool began;
    struct redrive_plan plan;
};

static int redrive(struct redriver *redriver, struct ops_place *place, struct ctx *ctx,
                   struct wish *wish, struct err *err)
{
    struct redrive_options options;
    redriver_options(&wish->order, &options);
    int rc = redrive_plan(place, &options, ctx_deadline_ms(ctx), &wish->plan, err);
    if (rc || wish->plan.fit == 0 || wish->dry_run) {
        return rc;
    }
    wish->began = true;
    if (wish->plan.fit > REDRIVE_MAX) {
        return err_set(err, -EINVAL,
                       "%lld letters would be sent, more than %d: narrow the filter, or "
                       "use `sluice-consumer dlq redrive --max`",
                       (long long)wish->plan.fit, REDRIVE_MAX);
    }
    if (ctx_err(ctx) == -ECANCELED) {
        /* who asked has left before it began; from here on it is asked for */
        return err_set(err, -ECANCELED, "nobody waits for this redrive any more");
    }
    return redriver_go(redriver, &wish->order, &wish->plan, err);
}

void console_dead_redrive(void *arg, struct ops_place *place,
                          struct httpd_request *request, struct ctx *ctx)
{
    const struct console_api *api = arg;
    struct err err = ERR_INIT;
    struct wish wish = {0};
    struct json_object *body;
    int rc = reply_read_body(request, &body, &err);
    rc = rc ? rc : read_order(body, &wish.order, &err);
    if (rc == 0) {
        struct json_object *dry_run = json_at(body, "/dry_run");
        wish.dry_run = dry_run && json_object_get_boolean(dry_run);
        console_api_say_who(api, request, place, json_string_at(body, "/who", NULL),
                            wish.order.who, sizeof wish.order.who);
        rc = redrive(api->redriver, place, ctx, &wish, &err);
    }
    if (rc) {
        reply_failure(request, rc, &err);
    } else {
        reply_json(request, wish.began ? 202 : 200, plan_json(&wish.plan));
    }
    json_free(body);
}

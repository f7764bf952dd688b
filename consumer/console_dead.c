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

void console_dead_list(void *arg, struct ops_place *place, struct httpd_request *request,
                       struct ctx *ctx)
{
    (void)arg;
    struct err err = ERR_INIT;
    struct letter_filter filter;
    struct deadletters_list list;
    int64_t limit;
    int rc = read_query(request, &filter, &limit, &err);
    rc = rc ? rc
            : deadletters_list(place, &filter, (size_t)limit, ctx_deadline_ms(ctx), &list,
                               &err);
    if (rc) {
        reply_failure(request, rc, &err);
        return;
    }
    reply_json(request, 200, deadletters_list_json(&list));
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

static int read_order(struct json_object *body, const struct ops_place *place,
                      struct redriver_order *order, struct err *err)
{
    char who[REDRIVER_TEXT_MAX];
    struct json_object *rate = json_at(body, "/rate_per_s");
    memset(order, 0, sizeof *order);
    if (check_order(body, err)) {
        return -EINVAL;
    }
    copy(body, "/target", order->target);
    copy(body, "/reason", order->reason);
    copy(body, "/event", order->event);
    copy(body, "/why", order->why);
    copy(body, "/who", who);
    reply_say_who(place, who, order->who, sizeof order->who);
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

static int redrive(struct redriver *redriver, struct ops_place *place,
                   struct json_object *body, struct ctx *ctx, struct redrive_plan *plan,
                   bool *began, struct err *err)
{
    struct redriver_order order;
    struct redrive_options options;
    struct json_object *dry_run = json_at(body, "/dry_run");
    int rc = read_order(body, place, &order, err);
    if (rc) {
        return rc;
    }
    redriver_options(&order, &options);
    rc = redrive_plan(place, &options, ctx_deadline_ms(ctx), plan, err);
    *began = rc == 0 && plan->fit > 0 && !(dry_run && json_object_get_boolean(dry_run));
    if (*began && plan->fit > REDRIVE_MAX) {
        return err_set(err, -EINVAL,
                       "%lld letters would be sent, more than %d: narrow the filter, or "
                       "use `sluice-consumer dlq redrive --max`",
                       (long long)plan->fit, REDRIVE_MAX);
    }
    if (*began && ctx_err(ctx) == -ECANCELED) {
        /* who asked has left before it began; from here on it is asked for */
        return err_set(err, -ECANCELED, "nobody waits for this redrive any more");
    }
    return *began ? redriver_go(redriver, &order, plan, err) : rc;
}

void console_dead_redrive(void *arg, struct ops_place *place,
                          struct httpd_request *request, struct ctx *ctx)
{
    const struct console_api *api = arg;
    struct err err = ERR_INIT;
    struct redrive_plan plan;
    struct json_object *body;
    bool began = false;
    int rc = reply_read_body(request, &body, &err);
    rc = rc ? rc : redrive(api->redriver, place, body, ctx, &plan, &began, &err);
    if (rc) {
        reply_failure(request, rc, &err);
    } else {
        reply_json(request, began ? 202 : 200, plan_json(&plan));
    }
    json_free(body);
}

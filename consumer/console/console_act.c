#include "console_act.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "console_api.h"
#include "ops/control.h"
#include "reply.h"

#define FOR_MAX_MS (30 * 24 * 3600 * 1000LL)

/* What the order says beside its kind. */
struct order {
    char name[ROUTE_NAME_MAX]; /* "" when it has none */
    char reason[CONTROL_TEXT_MAX];
    int64_t for_ms;
    bool undo;
};

typedef int give_fn(struct ops_place *place, const struct order *order,
                    struct control_answer *answer, struct err *err);

static int read_order(struct httpd_request *request, struct json_object *body,
                      struct order *order, struct err *err)
{
    const char *reason = json_string_at(body, "/reason", NULL);
    struct json_object *for_ms = json_at(body, "/for_ms");
    struct json_object *undo = json_at(body, "/undo");
    memset(order, 0, sizeof *order);
    snprintf(order->reason, sizeof order->reason, "%s", reason ? reason : "");
    order->undo = undo && json_object_get_boolean(undo);
    order->for_ms = for_ms ? json_object_get_int64(for_ms) : 0;
    if (order->for_ms < 0 || order->for_ms > FOR_MAX_MS) {
        return err_set(err, -EINVAL, "for_ms: expected milliseconds, at most 30 days");
    }
    console_api_name(request, order->name);
    return 0;
}

/* In the name of who asked: the place is the job thread's own, and goes on as it was. */
static int give_as(struct ops_place *place, const char *who, struct ctx *ctx,
                   const struct order *order, give_fn *give,
                   struct control_answer *answer, struct err *err)
{
    char before[sizeof place->who];
    memcpy(before, place->who, sizeof before);
    snprintf(place->who, sizeof place->who, "%s", who);
    place->ctx = ctx;
    int rc = give(place, order, answer, err);
    place->ctx = NULL;
    memcpy(place->who, before, sizeof before);
    return rc;
}

static int begin(const struct ctx *ctx, struct err *err)
{
    return ctx_err(ctx) == -ECANCELED
               ? err_set(err, -ECANCELED, "nobody waits for this order any more")
               : 0;
}

/* One order is one item: it is not begun for a reader who has left. Once begun it is
 * given and written down whoever leaves; only its obeying is waited for no longer, and
 * GET acts tells of that. */
static void act(const struct console_api *api, struct ops_place *place,
                struct httpd_request *request, struct ctx *ctx, give_fn *give)
{
    char who[sizeof place->who];
    struct err err = ERR_INIT;
    struct order order;
    struct control_answer answer = {0};
    struct json_object *body;
    int rc = reply_read_body(request, &body, &err);
    rc = rc ? rc : read_order(request, body, &order, &err);
    rc = rc ? rc : begin(ctx, &err);
    console_api_say_who(api, request, place, json_string_at(body, "/who", NULL), who,
                        sizeof who);
    rc = rc ? rc : give_as(place, who, ctx, &order, give, &answer, &err);
    json_free(body);
    if (rc) {
        reply_failure(request, rc, &err);
        return;
    }
    struct json_object *doc = json_object_new_object();
    json_object_object_add(doc, "consumers", json_object_new_int(answer.consumers));
    json_object_object_add(doc, "obeyed", json_object_new_int(answer.obeyed));
    reply_json(request, 200, doc);
}

static int give_pause(struct ops_place *place, const struct order *order,
                      struct control_answer *answer, struct err *err)
{
    return control_pause(place, order->name, order->for_ms, order->reason, answer, err);
}

static int give_resume(struct ops_place *place, const struct order *order,
                       struct control_answer *answer, struct err *err)
{
    return control_resume(place, order->name, order->reason, answer, err);
}

static int give_drain(struct ops_place *place, const struct order *order,
                      struct control_answer *answer, struct err *err)
{
    return control_drain(place, order->name, order->undo, order->reason, answer, err);
}

static int give_reload(struct ops_place *place, const struct order *order,
                       struct control_answer *answer, struct err *err)
{
    return control_reload(place, order->reason, answer, err);
}

void console_pause(void *arg, struct ops_place *place, struct httpd_request *request,
                   struct ctx *ctx)
{
    act(arg, place, request, ctx, give_pause);
}

void console_resume(void *arg, struct ops_place *place, struct httpd_request *request,
                    struct ctx *ctx)
{
    act(arg, place, request, ctx, give_resume);
}

void console_drain(void *arg, struct ops_place *place, struct httpd_request *request,
                   struct ctx *ctx)
{
    act(arg, place, request, ctx, give_drain);
}

void console_reload(void *arg, struct ops_place *place, struct httpd_request *request,
                    struct ctx *ctx)
{
    act(arg, place, request, ctx, give_reload);
}

void console_acts(void *arg, struct ops_place *place, struct httpd_request *request,
                  struct ctx *ctx)
{
    (void)arg;
    struct err err = ERR_INIT;
    struct json_object *acts;
    int rc = control_acts(place, ctx_deadline_ms(ctx), &acts, &err);
    if (rc) {
        reply_failure(request, rc, &err);
        return;
    }
    struct json_object *doc = json_object_new_object();
    json_put_text(doc, "schema", "sluice.acts/1");
    json_object_object_add(doc, "acts", acts);
    reply_json(request, 200, doc);
}

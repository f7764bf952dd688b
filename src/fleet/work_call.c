#include "fleet/work_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/now.h"
#include "event/traceparent.h"
#include "fleet/lane.h"

bool work_call_prepare(struct config *config, struct unit *unit)
{
    struct err err = ERR_INIT;
    if (unit->request_ready) {
        return true;
    }
    int rc = target_request_make(unit->target->config->target, &unit->event->event,
                                 now_wall_ms() / 1000, config_secret_get, config,
                                 &unit->request, &err);
    if (rc) {
        snprintf(unit->detail, sizeof unit->detail, "%.*s", UNIT_DETAIL_MAX - 1,
                 err.text);
        unit_end(unit, VERDICT_DEAD, "template");
        return false;
    }
    unit->request_ready = true;
    return true;
}

void work_call_drop(struct unit *unit)
{
    const struct target_request *request = &unit->request;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *h = &request->headers[i];
        if (strcmp(h->name, "traceparent") == 0 && strlen(h->value) == TRACEPARENT_LEN) {
            snprintf(unit->trace_id, sizeof unit->trace_id, "%.32s", h->value + 3);
            snprintf(unit->span_id, sizeof unit->span_id, "%.16s", h->value + 36);
        }
    }
    target_request_release(&unit->request);
    unit->request_ready = false;
}

void work_call_log(const struct unit *unit, const char *next, int64_t in_ms)
{
    LOG(LOG_WARN, "trigger failed", LS("target", unit->target->config->name),
        LS("event_id", unit->event->event.fields[EVENT_ID]),
        LI("status", unit->call.status), LS("reason", unit->result.reason),
        LS("detail", unit->detail), LI("attempt", unit->attempts), LS("next", next),
        LI("in_ms", in_ms), LI("took_ms", unit->call.ended_ms - unit->call.started_ms),
        LS("trace_id", unit->trace_id), LS("span_id", unit->span_id), LEND);
}

/* http loop, at the moment the call would really start. */
static bool may_start(struct http_call *call)
{
    struct unit *unit = call->arg;
    int64_t lease_end = atomic_load(&unit->lease_end);
    if (lane_gives_back(unit->lane)) {
        return false;
    }
    if (lease_end && lease_end - now_boot_ms() < call->timeout_ms) {
        return false;
    }
    int64_t now = now_ms();
    if (atomic_load(&unit->target->downstream->paused) ||
        now < atomic_load(&unit->target->downstream->silent_until_ms)) {
        return false;
    }
    if (unit->has_slot && now > unit->slot_ms + LIMITER_USE_MS) {
        return false;
    }
    atomic_store(&unit->wire_ms, now);
    return true;
}

/* redis thread: the ledger knows, or did not answer in time; the verdict stands either
 * way. */
static void recorded(void *arg, int rc)
{
    (void)rc;
    struct unit *unit = arg;
    unit_end(unit, unit->ends_as, unit->ends_why);
}

void work_call_record(const struct fleet *fleet, struct unit *unit, enum verdict verdict,
                      const char *why, int status)
{
    unit->ends_as = verdict;
    unit->ends_why = why;
    atomic_store(&unit->wire_ms, now_ms());
    atomic_store(&unit->state, UNIT_RECORDING);
    ledger_done(fleet->ledger, &unit->entry, status, recorded, unit);
}

static void keep_try(struct unit *unit)
{
    const struct http_call *call = &unit->call;
    struct try_kept one = {.at_wall_ms = now_wall_ms() - (now_ms() - call->started_ms),
                           .took_ms = (int32_t)(call->ended_ms - call->started_ms),
                           .status = call->status};
    if (unit->result.class != ATTEMPT_DONE) {
        snprintf(one.reason, sizeof one.reason, "%s", unit->result.reason);
    }
    tries_add(&unit->story, &one);
}

static void count_call(const struct fleet *fleet, const struct unit *unit)
{
    const struct http_call *call = &unit->call;
    int class = call->status >= 100 && call->status < 600 ? call->status / 100 : 0;
    metric_inc(class ? unit->target->codes[class]
                     : metrics_series(fleet->requests, unit->target->config->name, "none",
                                      unit->result.reason, NULL));
    metric_observe(unit->target->duration,
                   (double)(call->ended_ms - call->started_ms) / 1000);
    if (unit->result.class == ATTEMPT_DONE) {
        const struct event *ev = &unit->event->event;
        int64_t since = ev->time_ms > 0 ? ev->time_ms : unit->event->record->timestamp_ms;
        int64_t now = now_wall_ms();
        metric_observe(fleet->latency,
                       since > 0 && now > since ? (double)(now - since) / 1000 : 0);
    }
}

static bool is_done(const struct attempt_result *result)
{
    return result->class == ATTEMPT_DONE || result->class == ATTEMPT_ALREADY;
}

/* Now, or by an attempt before whose answer never came, or that was another's. */
static void done(const struct fleet *fleet, struct unit *unit)
{
    struct str path;
    str_init(&path);
    if (target_follow(unit->target->config->target, &unit->call, &path) == 0) {
        free(unit->follow);
        unit->follow = str_take(&path);
    }
    str_release(&path);
    snprintf(unit->detail, sizeof unit->detail, "%s", unit->result.detail);
    if (unit->result.class == ATTEMPT_DONE) {
        work_call_record(fleet, unit, VERDICT_TRIGGERED, "", unit->call.status);
        return;
    }
    work_call_record(fleet, unit, VERDICT_DUPLICATE, "already-there", unit->call.status);
}

/* http loop. */
static void ended(struct http_call *call)
{
    struct unit *unit = call->arg;
    struct fleet_target *target = unit->target;
    const struct fleet *fleet = unit->lane->fleet;
    bool sent = call->started_ms > 0;
    room_freed(&target->downstream->room, sent ? call->ended_ms - call->started_ms : -1);
    target_classify(target->config->target, call, target->config->retry_after_cap_ms,
                    &unit->result);
    if (unit->result.class == ATTEMPT_AGAIN) {
        breaker_unused(&target->downstream->breaker);
        lane_post(unit->lane, unit);
        return;
    }
    unit->attempts++;
    unit->tries++;
    keep_try(unit);
    count_call(fleet, unit);
    if (breaker_report(&target->downstream->breaker, attempt_is_sick(&unit->result, call),
                       now_ms())) {
        LOG(LOG_WARN, "target left alone for a while", LS("target", target->config->name),
            LS("reason", unit->result.reason), LEND);
    }
    if (is_done(&unit->result)) {
        done(fleet, unit);
    } else {
        lane_post(unit->lane, unit);
    }
}

void work_call_start(const struct fleet *fleet, struct unit *unit, int64_t slot_ms,
                     bool has_slot)
{
    const struct config_target *config = unit->target->config;
    const struct target_request *request = &unit->request;
    unit->slot_ms = slot_ms;
    unit->has_slot = has_slot;
    unit->recalled = false;
    unit->aborted = false;
    unit->call = (struct http_call){
        .pool = unit->target->downstream->pool,
        .method = request->method,
        .url = request->url,
        .headers = request->headers,
        .header_count = request->header_count,
        .body = request->body,
        .body_len = request->body_len,
        .timeout_ms = config->timeout_ms,
        .connect_timeout_ms = config->connect_timeout_ms,
        .not_before_ms = slot_ms,
        .may_start = may_start,
        .done = ended,
        .arg = unit,
    };
    unit->out_ms = now_ms();
    atomic_store(&unit->wire_ms, 0);
    atomic_store(&unit->state, UNIT_OUT);
    room_taken(&unit->target->downstream->room);
    http_submit(fleet->http, &unit->call);
}

int64_t work_call_late_ms(const struct fleet *fleet, const struct unit *unit, int64_t now)
{
    enum unit_state state = (enum unit_state)atomic_load(&unit->state);
    int64_t wire_ms = atomic_load(&unit->wire_ms);
    if (state == UNIT_RECORDING) {
        return now - wire_ms - fleet->config->redis.timeout_ms;
    }
    if (state == UNIT_ASKING) {
        return now - unit->out_ms - gate_patience_ms(fleet->gate) - GATE_RECALL_MS;
    }
    if (state != UNIT_OUT) {
        return 0;
    }
    if (wire_ms > 0) {
        return now - wire_ms - unit->target->config->timeout_ms;
    }
    return http_running(fleet->http) == 0 ? now - unit->out_ms - LIMITER_AHEAD_MS : 0;
}

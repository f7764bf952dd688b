#include "history_text.h"

#include <string.h>

#include "event/redact.h"
#include "fleet/intake.h"
#include "ops/history.h"

/* ,"name":"value" with the value cut; nothing when there is none. */
static void add_text(struct str *out, const char *name, const char *value)
{
    if (!value || !value[0]) {
        return;
    }
    size_t len = strlen(value);
    struct str clean;
    str_init(&clean);
    if (redact_url_users(value, len, &clean)) {
        value = clean.data;
        len = clean.len;
    }
    str_addf(out, ",\"%s\":\"", name);
    str_add_json(out, value, len < HISTORY_TEXT_MAX ? len : HISTORY_TEXT_MAX);
    str_addc(out, '"');
    str_release(&clean);
}

static void add_number(struct str *out, const char *name, int64_t value)
{
    str_addf(out, ",\"%s\":%lld", name, (long long)value);
}

static void add_event(struct str *out, const struct batch_event *be)
{
    char *const *fields = be->event.fields;
    if (be->decoded) {
        add_text(out, "repo", fields[EVENT_REPO]);
        add_text(out, "app", fields[EVENT_APP]);
        add_text(out, "commit", fields[EVENT_COMMIT]);
    }
}

/* What tells a run of CI from others; for a chapter. */
static void add_run(struct str *out, const struct batch_event *be)
{
    char *const *fields = be->event.fields;
    if (be->decoded) {
        add_text(out, "branch", fields[EVENT_BRANCH]);
        add_text(out, "pipeline", fields[EVENT_PIPELINE]);
        add_text(out, "run", fields[EVENT_RUN]);
        add_text(out, "run_url", fields[EVENT_RUN_URL]);
    }
}

void history_app(const struct batch_event *be, struct str *out)
{
    const char *app = be->decoded ? be->event.fields[EVENT_APP] : NULL;
    size_t len = app ? strlen(app) : 0;
    if (len == 0 || len > HISTORY_APP_MAX) {
        return;
    }
    int64_t seen_ms = be->unit_count > 0 ? be->units[0].first_seen_wall_ms : 0;
    str_addf(out, "%lld:", (long long)(seen_ms ? seen_ms : be->record->timestamp_ms));
    if (!redact_url_users(app, len, out)) {
        str_put(out, app, len);
    }
}

static const char *target_of(const struct unit *unit)
{
    if (unit->target) {
        return unit->target->config->name;
    }
    return unit->event->target_name ? unit->event->target_name : "none";
}

static void add_held(struct str *out, const struct unit *unit)
{
    str_add(out, unit_is_held(unit) ? ",\"held\":true" : "");
}

static void add_unit(struct str *out, const struct unit *unit)
{
    str_add(out, "{\"target\":\"");
    str_add_json(out, target_of(unit), strlen(target_of(unit)));
    str_addf(out, "\",\"verdict\":\"%s\",\"round\":%d", verdict_name(unit->verdict),
             unit->round);
    add_text(out, "reason", unit->reason);
    add_text(out, "detail", unit->detail);
    add_number(out, "attempts", unit->attempts);
    add_held(out, unit);
    if (unit->follow) { /* whole: a path that is cut leads nowhere */
        str_add(out, ",\"follow\":\"");
        str_add_json(out, unit->follow, strlen(unit->follow));
        str_addc(out, '"');
    }
    str_add(out, ",\"tries\":[");
    for (size_t i = 0; i < tries_kept(&unit->story); i++) {
        const struct try_kept *t = &unit->story.kept[i];
        str_addf(out, "%s{\"at_ms\":%lld,\"took_ms\":%d,\"status\":%d", i ? "," : "",
                 (long long)t->at_wall_ms, (int)t->took_ms, t->status);
        add_text(out, "reason", t->reason);
        str_addc(out, '}');
    }
    str_add(out, "]}");
}

/* Comes first: history_add.lua puts this chapter in the place of the one before that
 * began so. */
static void add_again(struct str *out, const struct batch_event *be)
{
    if (be->unit_count == 1 && intake_still_held(be->units)) {
        str_add(out, "\"again\":\"");
        str_add_json(out, target_of(be->units), strlen(target_of(be->units)));
        str_addc(out, ' ');
        str_add_json(out, be->units->reason, strlen(be->units->reason));
        str_add(out, "\",");
    }
}

void history_chapter(const struct lane *lane, const struct batch_of_events *batch,
                     const struct batch_event *be, int64_t ended_wall_ms, struct str *out)
{
    size_t shown =
        be->unit_count < HISTORY_UNITS_MAX ? be->unit_count : HISTORY_UNITS_MAX;
    str_addc(out, '{');
    add_again(out, be);
    str_addf(out, "\"ended_ms\":%lld", (long long)ended_wall_ms);
    add_text(out, "consumer", lane->fleet->config->kafka.client_id);
    add_text(out, "topic", kafka_partition_topic(lane->partition));
    add_number(out, "partition", kafka_partition_id(lane->partition));
    add_number(out, "offset", be->record->offset);
    add_number(out, "published_ms", be->record->timestamp_ms);
    add_number(out, "opened_ms", batch->opened_wall_ms);
    add_number(out, "began_ms", batch->began_wall_ms);
    add_number(out, "events", (int64_t)batch->event_count);
    add_text(out, "closed_by", batch->closed_by);
    add_event(out, be);
    add_run(out, be);
    str_add(out, ",\"units\":[");
    for (size_t i = 0; i < shown; i++) {
        str_add(out, i ? "," : "");
        add_unit(out, &be->units[i]);
    }
    str_addc(out, ']');
    if (shown < be->unit_count) {
        add_number(out, "more_units", (int64_t)(be->unit_count - shown));
    }
    str_addc(out, '}');
}

void history_delivery(const struct lane *lane, const struct unit *unit,
                      int64_t ended_wall_ms, int64_t more, struct str *out)
{
    const struct batch_event *be = unit->event;
    size_t tries = tries_kept(&unit->story);
    const struct try_kept *last = tries > 0 ? &unit->story.kept[tries - 1] : NULL;
    str_addf(out, "{\"at_ms\":%lld", (long long)ended_wall_ms);
    add_text(out, "consumer", lane->fleet->config->kafka.client_id);
    add_text(out, "target", target_of(unit));
    add_text(out, "event", be->decoded ? be->event.fields[EVENT_ID] : NULL);
    add_event(out, be);
    add_text(out, "verdict", verdict_name(unit->verdict));
    add_text(out, "reason", unit->reason);
    add_held(out, unit);
    if (last) {
        add_number(out, "status", last->status);
        add_number(out, "took_ms", last->took_ms);
    }
    add_number(out, "tries", unit->attempts);
    add_text(out, "topic", kafka_partition_topic(lane->partition));
    add_number(out, "partition", kafka_partition_id(lane->partition));
    add_number(out, "offset", be->record->offset);
    if (more > 0) {
        add_number(out, "more", more);
    }
    str_addc(out, '}');
}

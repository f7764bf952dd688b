/* replay: events of the source topic once more. The plan first; --into says how. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "base/option.h"
#include "dlq.h"
#include "interrupt.h"
#include "ops/replay.h"
#include "progress.h"

enum { ROWS_MAX = 32, EVENT_SINCE_MS = 24 * 3600 * 1000 };

const struct flag replay_flags[] = {
    {"since", 0, "TIME", "From then on: 2h (ago), or 2026-11-24T11:00:00Z"},
    {"from", 0, "BOUND", "The same; or a place in one partition: p3@18000"},
    {"to", 0, "BOUND", "Up to then, or before that place (now)"},
    {"event", 0, "ID", "Only this event, of the last 24h unless told otherwise"},
    {"target", 't', "GLOB", "Only units for these targets"},
    {"into", 0, "WAY", "topic: send what was not triggered; group: move the group back"},
    {"skip-delivered", 0, NULL, "Leave out what was triggered (the default)"},
    {"resend-delivered", 0, NULL, "Trigger again what was triggered: a second deploy"},
    {"rate", 'r', "RATE", "How fast: 5/s, 600/m (50/s)"},
    {"max", 0, "N", "Refuse when more would be sent (5000)"},
    {"resume", 0, "TASK", "Go on with one that was stopped: r-0032"},
    {"why", 0, "TEXT", "For the audit: INC-42"},
    {"yes", 'y', NULL, "Act, and do not ask"},
    {"dry-run", 0, NULL, "The plan only"},
    {.name = NULL},
};

struct replaying {
    const struct command_line *line;
    struct ops_place *place;
    struct replay_options options;
    const char *into; /* "topic", "group" or NULL */
    int64_t max;
    struct progress progress;
};

static void on_progress(void *arg, const char *id, int64_t done, int64_t total)
{
    struct replaying *r = arg;
    (void)id;
    progress_tell(&r->progress, done, total);
}

/* --- flags --- */

/* "p3@18000" */
static bool read_spot(const char *text, struct replay_bound *bound)
{
    char number[16];
    int64_t partition;
    const char *at = strchr(text, '@');
    size_t len = at ? (size_t)(at - text) : 0;
    if (text[0] != 'p' || len < 2 || len >= sizeof number) {
        return false;
    }
    memcpy(number, text + 1, len - 1);
    number[len - 1] = '\0';
    if (text_parse_int(number, 0, REPLAY_PARTITIONS_MAX - 1, &partition) ||
        text_parse_int(at + 1, 0, INT64_MAX, &bound->offset)) {
        return false;
    }
    bound->partition = (int)partition;
    bound->given = true;
    return true;
}

static int read_bound(const struct command_line *line, const char *flag,
                      struct replay_bound *bound)
{
    const char *text = flag_value(line, flag);
    if (!text || read_spot(text, bound)) {
        return 0;
    }
    int64_t wall_ms;
    int code = dlq_read_time(line, flag, &wall_ms);
    if (code == 0) {
        *bound =
            (struct replay_bound){.given = true, .partition = -1, .wall_ms = wall_ms};
    }
    return code;
}

static int check(const struct replaying *r)
{
    const struct command_line *line = r->line;
    const struct replay_options *o = &r->options;
    bool group = r->into && strcmp(r->into, "group") == 0;
    if (flag_is_set(line, "resume")) {
        return 0;
    }
    if (r->into && !group && strcmp(r->into, "topic") != 0) {
        return command_misused(line, "--into \"%.40s\": expected topic or group",
                               r->into);
    }
    if (!o->from.given) {
        return command_misused(line, "from where on? --since 2h, --from p3@18000, or "
                                     "--event ID");
    }
    if (flag_is_set(line, "since") && flag_is_set(line, "from")) {
        return command_misused(line, "--since and --from say the same: give one");
    }
    if (o->resend && flag_is_set(line, "skip-delivered")) {
        return command_misused(line,
                               "--skip-delivered and --resend-delivered exclude each "
                               "other");
    }
    if (group && (o->resend || o->event || o->target || o->to.given)) {
        return command_misused(line,
                               "--into group moves the whole group back to one place; "
                               "--target, --event, --to and --resend-delivered go "
                               "with --into topic");
    }
    return 0;
}

static int read_options(struct replaying *r)
{
    const struct command_line *line = r->line;
    struct replay_options *o = &r->options;
    bool resume = flag_is_set(line, "resume");
    int code = read_bound(line, "since", &o->from);
    code = code ? code : read_bound(line, "from", &o->from);
    code = code ? code : read_bound(line, "to", &o->to);
    code = code ? code : dlq_read_rate(line, resume ? 0 : REPLAY_RATE, &o->rate_per_s);
    code = code ? code : dlq_read_number(line, "max", 1, INT32_MAX, REPLAY_MAX, &r->max);
    o->event = flag_value(line, "event");
    o->target = flag_value(line, "target");
    o->resend = flag_is_set(line, "resend-delivered");
    o->why = flag_value(line, "why");
    o->progress = on_progress;
    o->arg = r;
    r->into = flag_value(line, "into");
    if (o->event && !o->from.given) {
        o->from = (struct replay_bound){.given = true,
                                        .partition = -1,
                                        .wall_ms = now_wall_ms() - EVENT_SINCE_MS};
    }
    return code ? code : check(r);
}

/* --- the plan --- */

static void print_count(int64_t number, int width)
{
    struct str text;
    str_init(&text);
    if (number == KAFKA_NO_OFFSET) {
        str_addc(&text, '-');
    } else {
        dlq_add_count(&text, number);
    }
    printf("%-*s", width, text.data);
    str_release(&text);
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

static void say_ways(const struct replaying *r, const struct replay_plan *plan)
{
    const struct kafka_members *group = &plan->group;
    if (group->state[0]) {
        printf("group %s is %s with %zu member%s. ", r->place->config->kafka.group,
               group->state, group->count, plural((int64_t)group->count));
    }
    printf(
        "Two ways:\n"
        "  --into topic   send again what was not triggered; the fleet goes on working "
        "   [suggested]\n"
        "  --into group   move the group's offsets back; no worker may run meanwhile\n");
}

static void say_table(const struct replay_plan *plan)
{
    int rows = 0;
    printf("%-11s%-14s%-14s%-14s%s\n", "PARTITION", "NOW", "FROM", "TO", "EVENTS");
    for (int i = 0; i < plan->partitions; i++) {
        if (plan->from[i] == plan->to[i] && plan->partitions > 6) {
            continue; /* many partitions: those with something to replay */
        }
        if (++rows > ROWS_MAX) {
            printf("…\n");
            break;
        }
        printf("%-11d", i);
        print_count(plan->now[i], 14);
        print_count(plan->from[i], 14);
        print_count(plan->to[i], 14);
        print_count(plan->to[i] - plan->from[i], 0);
        printf("\n");
    }
}

static void add_some(struct str *text, int64_t n, const char *what)
{
    if (n) {
        str_add(text, text->len ? ", " : "");
        dlq_add_count(text, n);
        str_addf(text, " %s", what);
    }
}

static void say_totals(const struct replaying *r, const struct replay_plan *plan)
{
    struct str text;
    bool resend = r->options.resend;
    str_init(&text);
    add_some(&text, plan->triggered,
             resend ? "already triggered" : "already triggered and skipped");
    add_some(&text, plan->waiting, "waiting or in work");
    add_some(&text, plan->dead, "dead (see dlq redrive)");
    printf("%lld event%s read, %lld unit%s%s%s; %lld would be sent\n",
           (long long)plan->events, plural(plan->events), (long long)plan->units,
           plural(plan->units), text.len ? ": " : "", text.data, (long long)plan->send);
    str_clear(&text);
    add_some(&text, plan->skipped,
             "events go nowhere (no success, or no target matches)");
    add_some(&text, plan->unreadable, "cannot be read");
    if (text.len) {
        printf("%s\n", text.data);
    }
    if (plan->beyond_memory) {
        printf("warning: some are older than ledger.done_ttl: what is known of their "
               "delivery may be forgotten\n");
    }
    if (resend && plan->triggered) {
        printf("warning: --resend-delivered: %lld units will be TRIGGERED AGAIN, each a "
               "second deploy\n",
               (long long)plan->triggered);
    }
    str_release(&text);
}

/* --- as JSON --- */

static void put_word(struct json_object *doc, const char *name, const char *text)
{
    json_object_object_add(doc, name,
                           text && text[0] ? json_object_new_string(text) : NULL);
}

static struct json_object *table_json(const struct replay_plan *plan)
{
    struct json_object *list = json_object_new_array();
    for (int i = 0; i < plan->partitions; i++) {
        struct json_object *row = json_object_new_object();
        json_put_number(row, "partition", i);
        json_object_object_add(row, "now",
                               plan->now[i] == KAFKA_NO_OFFSET
                                   ? NULL
                                   : json_object_new_int64(plan->now[i]));
        json_put_number(row, "from", plan->from[i]);
        json_put_number(row, "to", plan->to[i]);
        json_object_array_add(list, row);
    }
    return list;
}

static void say_json(const struct replaying *r, const struct replay_plan *plan,
                     const struct replay_result *result, const char *state)
{
    struct json_object *doc = json_object_new_object();
    put_word(doc, "schema", "sluice.replay/1");
    put_word(doc, "state", state);
    put_word(doc, "into", r->into);
    put_word(doc, "task", result->id);
    if (plan) {
        put_word(doc, "group", r->place->config->kafka.group);
        put_word(doc, "group_state", plan->group.state);
        json_put_number(doc, "members", (int64_t)plan->group.count);
        json_object_object_add(doc, "partitions", table_json(plan));
        json_put_number(doc, "events", plan->events);
        json_put_number(doc, "skipped", plan->skipped);
        json_put_number(doc, "unreadable", plan->unreadable);
        json_put_number(doc, "units", plan->units);
        json_put_number(doc, "already_triggered", plan->triggered);
        json_put_number(doc, "already_waiting", plan->waiting);
        json_put_number(doc, "already_dead", plan->dead);
    }
    json_put_number(doc, "would_send", plan ? plan->send : result->total);
    json_put_number(doc, "sent", result->sent);
    json_put_number(doc, "triggered", result->triggered);
    json_put_number(doc, "dead", result->dead);
    json_put_number(doc, "waiting", result->waiting);
    json_put_number(doc, "too_large", result->too_large);
    dlq_print_json(doc, false);
    json_free(doc);
}

/* --- acting --- */

static int say_end(struct replaying *r, const struct replay_plan *plan,
                   const struct replay_result *result, int rc, const struct err *err)
{
    const char *program = r->line->program->name;
    const char *state = rc == 0 ? "done" : "stopped";
    if (result->id[0]) {
        progress_end(&r->progress, result->sent, result->total, state);
    }
    if (flag_is_set(r->line, "json") && result->id[0]) {
        say_json(r, plan, result, state);
    } else if (rc == 0) {
        printf("%lld triggered, %lld dead, %lld waiting for a try    (%s)\n",
               (long long)result->triggered, (long long)result->dead,
               (long long)result->waiting, result->id);
    }
    if (rc == 0 && result->too_large) {
        fprintf(stderr,
                "%lld too large to be sent again; see max.message.bytes of the redrive "
                "topic\n",
                (long long)result->too_large);
    }
    if (rc == 0) {
        return 0;
    }
    int code = command_failed(r->line, rc, err);
    if (result->id[0]) {
        fprintf(stderr, "go on with: %s replay --resume %s\n", program, result->id);
    }
    return rc == -ECANCELED || rc == -EAGAIN || rc == -EPIPE ? EXIT_AGAIN : code;
}

static int into_topic(struct replaying *r, const struct replay_plan *plan)
{
    struct replay_result result;
    struct err err = ERR_INIT;
    int rc = replay_into_topic(r->place, &r->options, plan, &result, &err);
    return say_end(r, plan, &result, rc, &err);
}

/* Its members, so that one knows which workers to stop. */
static int refuse_members(const struct replaying *r, const struct replay_plan *plan)
{
    const struct kafka_members *group = &plan->group;
    fprintf(stderr,
            "%s replay: group %s has %zu member%s, so its offsets cannot be moved:\n",
            r->line->program->name, r->place->config->kafka.group, group->count,
            plural((int64_t)group->count));
    for (size_t i = 0; i < group->count && i < ROWS_MAX; i++) {
        const struct kafka_member *m = &group->items[i];
        fprintf(stderr, "  %s on %s, %d partition%s\n", m->client_id, m->host,
                m->partitions, plural(m->partitions));
    }
    fprintf(stderr,
            "stop them first (SIGTERM drains them), or use --into topic, which needs "
            "no stop\n");
    return EXIT_AGAIN;
}

static int into_group(struct replaying *r, const struct replay_plan *plan)
{
    struct err err = ERR_INIT;
    struct replay_result none = {.id = ""};
    if (plan->group.count) {
        return refuse_members(r, plan);
    }
    int rc = replay_into_group(r->place, plan, r->options.why, now_ms() + DLQ_TIMEOUT_MS,
                               &err);
    if (rc) {
        int code = command_failed(r->line, rc, &err);
        return rc == -EPIPE ? EXIT_AGAIN : code;
    }
    if (flag_is_set(r->line, "json")) {
        say_json(r, plan, &none, "moved");
    } else {
        printf("moved: the group reads %lld event%s again at its next start; what was "
               "triggered is skipped there\n",
               (long long)plan->events, plural(plan->events));
    }
    return 0;
}

static bool may_act(const struct replaying *r, const struct replay_plan *plan)
{
    const char *missing = r->into ? "--yes" : "--into topic --yes";
    bool group = r->into && strcmp(r->into, "group") == 0;
    if (!r->into || flag_is_set(r->line, "dry-run") || (!group && plan->send == 0)) {
        if (!flag_is_set(r->line, "json")) {
            printf(plan->send || group ? "dry run: nothing changed. Add %s to act.\n"
                                       : "nothing to send.\n",
                   missing);
        }
        return false;
    }
    fflush(stdout);
    return dlq_may_act(r->line, "Proceed?");
}

static int begin(struct replaying *r, struct replay_plan *plan)
{
    struct err err = ERR_INIT;
    struct replay_result none = {.id = ""};
    bool json = flag_is_set(r->line, "json");
    int rc = replay_plan(r->place, &r->options, now_ms() + DLQ_TIMEOUT_MS, plan, &err);
    if (rc) {
        int code = command_failed(r->line, rc, &err);
        return rc == -ECANCELED ? EXIT_AGAIN : code;
    }
    if (!json) {
        if (!r->into) {
            say_ways(r, plan);
        }
        say_table(plan);
        say_totals(r, plan);
    }
    int code = 0;
    if (r->into && strcmp(r->into, "topic") == 0 && plan->send > r->max) {
        code =
            command_misused(r->line,
                            "%lld units would be sent, more than --max %lld: narrow the "
                            "range, or raise it on purpose",
                            (long long)plan->send, (long long)r->max);
    } else if (!may_act(r, plan)) {
        if (json) {
            say_json(r, plan, &none, "planned");
        }
    } else {
        code = strcmp(r->into, "group") == 0 ? into_group(r, plan) : into_topic(r, plan);
    }
    replay_plan_release(plan);
    return code;
}

static int resume(struct replaying *r)
{
    struct replay_result result;
    struct err err = ERR_INIT;
    int rc = replay_resume(r->place, flag_value(r->line, "resume"), &r->options, &result,
                           &err);
    return say_end(r, NULL, &result, rc, &err);
}

int replay_run(const struct command_line *line)
{
    struct replaying r = {.line = line};
    struct ops_place place;
    struct config *config;
    int code = read_options(&r);
    if (code) {
        return code;
    }
    struct interrupt *interrupt = interrupt_start();
    code = dlq_open(line, &config, &place);
    if (code == 0) {
        struct replay_plan *plan = mem_zalloc(sizeof *plan);
        r.place = &place;
        r.options.ctx = interrupt_ctx(interrupt);
        progress_init(&r.progress, line, "replayed");
        code = flag_is_set(line, "resume") ? resume(&r) : begin(&r, plan);
        free(plan);
        command_close(config, &place);
    }
    interrupt_stop(interrupt);
    return code;
}

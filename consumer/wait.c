/* wait: block until the fleet is so, for scripts and end-to-end tests. */
#include "commands.h"

#include <inttypes.h>
#include <string.h>

#include "base/now.h"
#include "ops/snapshot.h"
#include "ops/words.h"
#include "sync/ctx.h"

enum { EVERY_MS = 500, ASK_MS = 3000, TIMEOUT_MS = 120000 };

const struct flag wait_flags[] = {
    {"lag", 0, "N", "Until at most N events wait, those in the retry topics included"},
    {"ready", 0, NULL, "Until every partition has an owner and no consumer starts"},
    {"consumers", 0, "N", "Until N consumers, or more, run or are idle"},
    {"timeout", 0, "TIME", "How long at most (2m)"},
    {.name = NULL},
};

struct wish {
    int64_t lag;       /* -1: not asked */
    int64_t consumers; /* -1: not asked */
    bool ready;
    int64_t timeout_ms;
};

/* -1: not known. */
static int64_t number(struct json_object *frame, const char *pointer)
{
    struct json_object *value = json_at(frame, pointer);
    return value ? json_object_get_int64(value) : -1;
}

static int64_t count_consumers(struct json_object *frame, const char *a, const char *b)
{
    struct json_object *list = json_at(frame, "/consumers");
    int64_t n = 0;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char *state =
            json_string_at(json_object_array_get_idx(list, i), "/state", NULL);
        n += strcmp(state, a) == 0 || strcmp(state, b) == 0;
    }
    return n;
}

static bool lag_is_so(struct json_object *frame, const struct wish *wish, struct str *say)
{
    int64_t lag = number(frame, "/totals/lag_events");
    int64_t deferred = number(frame, "/totals/deferred");
    if (lag < 0 || deferred < 0) {
        str_add(say, "lag not known");
        return false;
    }
    str_add(say, "lag ");
    words_count(say, lag);
    if (deferred > 0) {
        str_add(say, " and ");
        words_count(say, deferred);
        str_add(say, " in the retry topics");
    }
    return lag + deferred <= wish->lag;
}

static bool ready_is_so(struct json_object *frame, struct str *say)
{
    int64_t unowned = number(frame, "/totals/unowned");
    int64_t working = count_consumers(frame, "running", "idle");
    int64_t starting = count_consumers(frame, "starting", "late");
    if (working > 0 && starting == 0 && unowned == 0) {
        str_addf(say, "ready: %" PRId64 " consumers, %" PRId64 " partitions", working,
                 number(frame, "/totals/partitions"));
        return true;
    }
    str_addf(say,
             "not ready: %" PRId64 " consumers work, %" PRId64
             " start or are late, %" PRId64 " partitions without an owner",
             working, starting, unowned < 0 ? 0 : unowned);
    return false;
}

static bool consumers_are_so(struct json_object *frame, const struct wish *wish,
                             struct str *say)
{
    int64_t working = count_consumers(frame, "running", "idle");
    str_addf(say, "%" PRId64 " consumers", working);
    return working >= wish->consumers;
}

/* say  out: how it is, in words. */
static bool is_so(struct json_object *frame, const struct wish *wish, struct str *say)
{
    bool all = true;
    if (wish->lag >= 0) {
        all = lag_is_so(frame, wish, say);
    }
    if (wish->ready) {
        str_add(say, say->len ? ", " : "");
        all = ready_is_so(frame, say) && all;
    }
    if (wish->consumers >= 0) {
        str_add(say, say->len ? ", " : "");
        all = consumers_are_so(frame, wish, say) && all;
    }
    bool known = json_object_get_boolean(json_at(frame, "/redis/known"));
    if (!known && (wish->ready || wish->consumers >= 0)) {
        str_clear(say);
        str_add_plain(say, json_string_at(frame, "/redis/why", NULL));
        all = false;
    }
    return all;
}

static void report(const struct command_line *line, bool so, const char *how,
                   int64_t took_ms, struct json_object *frame)
{
    struct str took;
    str_init(&took);
    if (flag_is_set(line, "json")) {
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "schema", json_object_new_string("sluice.wait/1"));
        json_object_object_add(o, "met", json_object_new_boolean(so));
        json_object_object_add(o, "text", json_object_new_string(how));
        json_object_object_add(o, "took_ms", json_object_new_int64(took_ms));
        json_object_object_add(o, "totals", json_object_get(json_at(frame, "/totals")));
        command_print_json(o);
        json_free(o);
    } else {
        words_span_ms(&took, took_ms);
        fprintf(so ? stdout : stderr, "%s%s after %s%s\n",
                so ? "" : "sluice-consumer wait: still ", how, took.data,
                so ? ""
                   : "; wait longer with --timeout, or look: sluice-consumer status");
    }
    str_release(&took);
}

/* Kafka is asked for lag, too: it knows what nobody has taken yet. */
static int wait_for(const struct command_line *line, struct ops_place *place,
                    const struct wish *wish)
{
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    int64_t began_ms = now_ms();
    int64_t until_ms = began_ms + wish->timeout_ms;
    enum snapshot_ask ask = wish->lag >= 0 ? SNAPSHOT_WITH_OFFSETS : SNAPSHOT_REDIS;
    bool over = false;
    bool so = false;
    while (!over) {
        struct str say;
        int64_t now = now_ms();
        struct json_object *frame = snapshot_take(place, ask, now + ASK_MS);
        str_init(&say);
        so = is_so(frame, wish, &say);
        over = so || now >= until_ms;
        if (over) {
            report(line, so, say.data, now_ms() - began_ms, frame);
        }
        str_release(&say);
        json_free(frame);
        int64_t next_ms = now + EVERY_MS < until_ms ? now + EVERY_MS : until_ms;
        over = over || ctx_sleep(ctx, next_ms) != 0;
    }
    ctx_free(ctx);
    return so ? 0 : EXIT_AGAIN;
}

/* Returns 0 or EXIT_USAGE after saying why. */
static int read_wish(const struct command_line *line, struct wish *wish)
{
    const char *lag = flag_value(line, "lag");
    const char *consumers = flag_value(line, "consumers");
    const char *timeout = flag_value(line, "timeout");
    *wish = (struct wish){-1, -1, flag_is_set(line, "ready"), TIMEOUT_MS};
    if (lag && text_parse_int(lag, 0, INT64_MAX, &wish->lag)) {
        return command_misused(line, "--lag: \"%s\" is no number of events", lag);
    }
    if (consumers && text_parse_int(consumers, 0, INT64_MAX, &wish->consumers)) {
        return command_misused(line, "--consumers: \"%s\" is no number", consumers);
    }
    if (timeout && now_parse_duration(timeout, &wish->timeout_ms)) {
        return command_misused(line, "--timeout: \"%s\" is no duration such as 2m",
                               timeout);
    }
    if (!lag && !consumers && !wish->ready) {
        return command_misused(line, "say for what: --lag N, --ready or --consumers N");
    }
    return 0;
}

int wait_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    struct wish wish;
    int code = read_wish(line, &wish);
    code = code ? code : command_open(line, &config, &place);
    if (code) {
        return code;
    }
    code = wait_for(line, &place, &wish);
    command_close(config, &place);
    return code;
}

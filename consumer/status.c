/* status: the fleet at a glance. */
#include "commands.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/now.h"
#include "fleet_text.h"
#include "ops/snapshot.h"
#include "sync/ctx.h"

enum { PATIENCE_MS = 4000, WATCH_MIN_MS = 500 };

const struct flag status_flags[] = {
    {"watch", 'w', "TIME", "Again every so often, until Ctrl-C"},
    {"exit-code", 0, NULL, "1 when something is starred, 69 when it is not known"},
    {"offsets", 0, NULL, "Ask Kafka for each partition's offsets, too"},
    {.name = NULL},
};

static int exit_code(struct json_object *frame)
{
    const char *level = json_string_at(frame, "/verdict/level", NULL);
    return strcmp(level, "ok") == 0        ? 0
           : strcmp(level, "unknown") == 0 ? EXIT_UNAVAILABLE
                                           : EXIT_NO;
}

static void print_json(struct json_object *frame, bool line)
{
    struct str out;
    if (!line) {
        command_print_json(frame);
        return;
    }
    str_init(&out);
    json_print(frame, &out);
    printf("%s\n", out.data);
    str_release(&out);
}

static int show(const struct command_line *line, struct ops_place *place, bool again)
{
    bool offsets = flag_is_set(line, "offsets");
    struct json_object *frame =
        snapshot_take(place, offsets ? SNAPSHOT_WITH_OFFSETS : SNAPSHOT_REDIS,
                      now_ms() + PATIENCE_MS);
    int code = exit_code(frame);
    if (flag_is_set(line, "json")) {
        print_json(frame, again);
    } else {
        struct fleet_look look = {.paint = paint_for(line, stdout), .offsets = offsets};
        struct str out;
        str_init(&out);
        fleet_text(frame, &look, &out);
        /* a page on a terminal takes the place of the one before */
        printf("%s%s%s", again && isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "", out.data,
               again && !isatty(STDOUT_FILENO) ? "\n" : "");
        str_release(&out);
    }
    json_free(frame);
    return code;
}

/* Until Ctrl-C, or until nobody reads. */
static int watch(const struct command_line *line, struct ops_place *place,
                 int64_t every_ms)
{
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    int64_t next_ms = now_ms();
    int code;
    do {
        code = show(line, place, true);
        next_ms += every_ms;
        next_ms = next_ms > now_ms() ? next_ms : now_ms();
    } while (fflush(stdout) == 0 && !ferror(stdout) && ctx_sleep(ctx, next_ms) == 0);
    ctx_free(ctx);
    return code;
}

int status_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    const char *every = flag_value(line, "watch");
    int64_t every_ms = 0;
    if (every && (now_parse_duration(every, &every_ms) || every_ms < WATCH_MIN_MS)) {
        return command_misused(line, "--watch: \"%s\" is no duration of 500ms or more",
                               every);
    }
    int code = command_open(line, &config, &place);
    if (code) {
        return code;
    }
    code = every ? watch(line, &place, every_ms) : show(line, &place, false);
    command_close(config, &place);
    return flag_is_set(line, "exit-code") ? code : 0;
}

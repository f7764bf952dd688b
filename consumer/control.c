/* pause, resume, drain, reload: what an operator orders the fleet to do. */
#include "commands.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/now.h"
#include "ops/control.h"

enum { WAIT_MS = 60000 };
#define PAUSE_MAX_MS (30 * 24 * 3600 * 1000LL)

const struct flag pause_flags[] = {
    {"for", 0, "TIME", "Until then; left out: until it is resumed"},
    {"reason", 0, "TEXT", "Why, for everybody who wonders; required"},
    {.name = NULL},
};

const struct flag resume_flags[] = {
    {"reason", 0, "TEXT", "Why"},
    {.name = NULL},
};

const struct flag drain_flags[] = {
    {"all", 0, NULL, "Every consumer that is alive"},
    {"wait", 0, NULL, "Until they have left the group, at most --timeout"},
    {"undo", 0, NULL, "Call them back"},
    {"reason", 0, "TEXT", "Why"},
    {"timeout", 0, "TIME", "How long to wait (60s)"},
    {.name = NULL},
};

const struct flag reload_flags[] = {
    {"wait", 0, NULL, "Say how it ended at each consumer"},
    {"reason", 0, "TEXT", "Why"},
    {.name = NULL},
};

static const char *reason_of(const struct command_line *line)
{
    const char *reason = flag_value(line, "reason");
    return reason ? reason : "";
}

/* Returns false after saying what is wrong. */
static bool read_time(const struct command_line *line, const char *name, int64_t *ms)
{
    const char *text = flag_value(line, name);
    if (text && (now_parse_duration(text, ms) || *ms < 1 || *ms > PAUSE_MAX_MS)) {
        command_misused(line, "--%s %s: expected a duration such as 30m", name, text);
        return false;
    }
    return true;
}

/* Lagging ones obey when they are back: that is no failure of the order. */
static int say_obeyed(const struct control_answer *answer)
{
    if (answer->consumers == 0) {
        printf("no consumer is alive; those that start will obey\n");
        return 0;
    }
    printf("%d of %d consumer%s obeyed\n", answer->obeyed, answer->consumers,
           answer->consumers == 1 ? "" : "s");
    if (answer->obeyed < answer->consumers) {
        printf("the others obey as soon as they reach Redis; see: status\n");
        return EXIT_AGAIN;
    }
    return 0;
}

int pause_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    struct control_answer answer;
    struct err err = ERR_INIT;
    int64_t for_ms = 0;
    if (line->word_count != 1) {
        return command_misused(line, "which target?");
    }
    if (!read_time(line, "for", &for_ms)) {
        return EXIT_USAGE;
    }
    int code = command_open(line, &config, &place);
    if (code) {
        return code;
    }
    int rc =
        control_pause(&place, line->words[0], for_ms, reason_of(line), &answer, &err);
    if (rc) {
        code = command_failed(line, rc, &err);
    } else {
        printf("%s is paused%s%s: its units wait in the retry topics\n", line->words[0],
               for_ms ? " for " : "", for_ms ? flag_value(line, "for") : "");
        code = say_obeyed(&answer);
    }
    command_close(config, &place);
    return code;
}

int resume_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    struct control_answer answer;
    struct err err = ERR_INIT;
    if (line->word_count != 1) {
        return command_misused(line, "which target?");
    }
    int code = command_open(line, &config, &place);
    if (code) {
        return code;
    }
    int rc = control_resume(&place, line->words[0], reason_of(line), &answer, &err);
    if (rc) {
        code = command_failed(line, rc, &err);
        code = rc == -ENOENT ? EXIT_NO : code;
    } else {
        printf("%s is resumed: its units go on as their retry topics let them\n",
               line->words[0]);
        code = say_obeyed(&answer);
    }
    command_close(config, &place);
    return code;
}

static int await_drained(const struct command_line *line, struct ops_place *place,
                         const char *consumer, bool undo, int64_t timeout_ms)
{
    struct err err = ERR_INIT;
    int64_t began_ms = now_ms();
    int left = control_await_drained(place, consumer, undo, began_ms + timeout_ms, &err);
    if (left < 0) {
        return command_failed(line, left, &err);
    }
    if (left > 0) {
        printf("%d not %s yet\n", left, undo ? "back" : "drained");
        return EXIT_AGAIN;
    }
    printf("%s in %.1f s\n", undo ? "back" : "drained",
           (double)(now_ms() - began_ms) / 1000);
    return 0;
}

int drain_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    struct control_answer answer;
    struct err err = ERR_INIT;
    int64_t timeout_ms = WAIT_MS;
    bool all = flag_is_set(line, "all");
    bool undo = flag_is_set(line, "undo");
    if (all == (line->word_count == 1)) {
        return command_misused(line, "name one consumer, or --all");
    }
    if (!read_time(line, "timeout", &timeout_ms)) {
        return EXIT_USAGE;
    }
    int code = command_open(line, &config, &place);
    if (code) {
        return code;
    }
    const char *consumer = all ? NULL : line->words[0];
    int rc = control_drain(&place, consumer, undo, reason_of(line), &answer, &err);
    if (rc) {
        code = command_failed(line, rc, &err);
    } else {
        printf("%d consumer%s: %s\n", answer.consumers, answer.consumers == 1 ? "" : "s",
               undo ? "called back"
                    : "draining, then up and idle until --undo or a restart");
        code = flag_is_set(line, "wait")
                   ? await_drained(line, &place, consumer, undo, timeout_ms)
                   : 0;
    }
    command_close(config, &place);
    return code;
}

static void print_outcome(void *arg, const char *consumer, bool taken,
                          const char *outcome)
{
    int *code = arg;
    printf("%s  %s\n", consumer, outcome[0] ? outcome : "has not answered");
    *code = taken ? *code : EXIT_NO;
}

int reload_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    struct control_answer answer;
    struct err err = ERR_INIT;
    int code = command_open(line, &config, &place);
    if (code) {
        return code;
    }
    int rc = control_reload(&place, reason_of(line), &answer, &err);
    if (rc == 0) {
        printf("asked %d consumer%s to read %s configuration again\n", answer.consumers,
               answer.consumers == 1 ? "" : "s", answer.consumers == 1 ? "its" : "their");
        if (flag_is_set(line, "wait")) {
            rc = control_outcomes(&place, answer.number, print_outcome, &code, &err);
        }
    }
    code = rc ? command_failed(line, rc, &err) : code;
    command_close(config, &place);
    return code;
}

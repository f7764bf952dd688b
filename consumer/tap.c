/* tap: deliveries as they happen, from the whole fleet. */
#include "commands.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/now.h"
#include "ops/recent.h"
#include "ops/words.h"
#include "wire/json.h"

enum { PATIENCE_MS = 5000, POLL_MS = 200, COUNT_MAX = 1000000 };

const struct flag tap_flags[] = {
    {"target", 0, "GLOB", "Deliveries to these targets only"},
    {"repo", 0, "GLOB", "Of these repositories only"},
    {"verdict", 0, "GLOB",
     "triggered, duplicate, skipped, held (deferred without a failure), deferred, dead; "
     "failed: the last two but for what is held, and what took more than one call"},
    {"count", 'n', "N", "End after so many"},
    {"for", 0, "DURATION", "End after that long"},
    {.name = NULL},
};

struct tap {
    const struct command_line *line;
    struct paint paint;
    const char *target;
    const char *repo;
    const char *verdict;
    int64_t left; /* deliveries to show yet; -1: no end */
    bool json;
};

/* The verdict in a word: one that waits without a failure is held. */
static const char *said(struct json_object *doc)
{
    return json_at(doc, "/held") ? "held" : json_text_or(doc, "/verdict", "");
}

static bool failed(struct json_object *doc)
{
    const char *verdict = said(doc);
    return strcmp(verdict, "dead") == 0 || strcmp(verdict, "deferred") == 0 ||
           (strcmp(verdict, "held") != 0 && json_number_or(doc, "/tries", 0) > 1);
}

static bool wanted(const struct tap *tap, struct json_object *doc)
{
    if (tap->target && !text_glob(tap->target, json_text_or(doc, "/target", ""))) {
        return false;
    }
    if (tap->repo && !text_glob(tap->repo, json_text_or(doc, "/repo", ""))) {
        return false;
    }
    if (!tap->verdict) {
        return true;
    }
    return strcmp(tap->verdict, "failed") == 0
               ? failed(doc)
               : text_glob(tap->verdict, json_text_or(doc, "/verdict", "")) ||
                     text_glob(tap->verdict, said(doc));
}

static void add_what(struct str *out, struct json_object *doc)
{
    const char *repo = json_text_or(doc, "/repo", "");
    str_add_plain(out, repo[0] ? repo : json_text_or(doc, "/app", ""));
    if (json_text_or(doc, "/commit", "")[0]) {
        str_addc(out, '@');
        str_add_plain(out, json_text_or(doc, "/commit", ""));
    }
    str_addc(out, ' ');
    str_add_plain(out, json_text_or(doc, "/event", ""));
}

static void print_delivery(const struct tap *tap, struct json_object *doc)
{
    struct str line;
    const char *verdict = said(doc);
    const char *colour = strcmp(verdict, "dead") == 0        ? tap->paint.bad
                         : failed(doc)                       ? tap->paint.warn
                         : strcmp(verdict, "triggered") == 0 ? tap->paint.good
                                                             : "";
    str_init(&line);
    words_clock(&line, json_number_or(doc, "/at_ms", 0));
    str_addc(&line, ' ');
    str_add_plain(&line, json_text_or(doc, "/target", ""));
    str_addf(&line, " %s%s%s ", colour, verdict, tap->paint.off);
    add_what(&line, doc);
    if (json_number_or(doc, "/status", 0)) {
        str_addf(&line, " %lld", (long long)json_number_or(doc, "/status", 0));
    }
    if (json_text_or(doc, "/reason", "")[0]) {
        str_addc(&line, ' ');
        str_add_plain(&line, json_text_or(doc, "/reason", ""));
    }
    if (json_at(doc, "/took_ms")) {
        str_addf(&line, " %lld ms", (long long)json_number_or(doc, "/took_ms", 0));
    }
    if (json_number_or(doc, "/tries", 0) > 1) {
        str_addf(&line, " try %lld", (long long)json_number_or(doc, "/tries", 0));
    }
    if (json_number_or(doc, "/more", 0) > 0) {
        str_addf(&line, "  (and %lld more before)",
                 (long long)json_number_or(doc, "/more", 0));
    }
    printf("%s\n", line.data);
    str_release(&line);
}

static void print_notice(const struct tap *tap, struct json_object *doc)
{
    struct str line;
    str_init(&line);
    words_clock(&line, json_number_or(doc, "/at_ms", 0));
    str_add(&line, " -- ");
    str_add_plain(&line, json_text_or(doc, "/text", ""));
    printf("%s%s%s\n", tap->paint.bold, line.data, tap->paint.off);
    str_release(&line);
}

static void print_line(struct json_object *doc)
{
    struct str line;
    str_init(&line);
    json_print(doc, &line);
    printf("%s\n", line.data);
    str_release(&line);
}

static void on_entry(void *arg, bool notice, struct json_object *doc)
{
    struct tap *tap = arg;
    if (tap->left == 0 || (!notice && !wanted(tap, doc))) {
        return;
    }
    if (tap->json) {
        print_line(doc);
    } else if (notice) {
        print_notice(tap, doc);
    } else {
        print_delivery(tap, doc);
    }
    tap->left -= tap->left > 0 && !notice;
}

/* Wait for a signal to end, at most until then. */
static bool told_to_end(const sigset_t *signals, int64_t until_ms)
{
    int64_t ms = until_ms - now_ms();
    struct timespec wait = {.tv_sec = (time_t)(ms > 0 ? ms / 1000 : 0),
                            .tv_nsec = (long)(ms > 0 ? ms % 1000 : 0) * 1000000};
    return sigtimedwait(signals, NULL, &wait) > 0;
}

/* Returns 0, or an exit code after saying why. */
static int follow(struct tap *tap, struct ops_place *place, const sigset_t *signals,
                  int64_t until_ms)
{
    struct recent recent = {.last_id = ""};
    bool said = false;
    while (tap->left != 0 && now_ms() < until_ms) {
        struct err err = ERR_INIT;
        int rc = recent_read(place, &recent, now_ms() + PATIENCE_MS, on_entry, tap, &err);
        if (rc && (rc == -EACCES || recent.last_id[0] == '\0')) {
            return command_failed(tap->line, rc, &err);
        }
        if (rc && !said) {
            fprintf(stderr, "sluice-consumer tap: %s; trying again\n", err.text);
        }
        said = rc != 0;
        if (fflush(stdout) != 0) {
            return EXIT_IO;
        }
        int64_t next_ms = now_ms() + POLL_MS;
        if (told_to_end(signals, next_ms < until_ms ? next_ms : until_ms)) {
            return 0;
        }
    }
    return 0;
}

static sigset_t block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    MUST(pthread_sigmask(SIG_BLOCK, &signals, NULL));
    return signals;
}

int tap_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    struct tap tap = {.line = line,
                      .paint = paint_for(line, stdout),
                      .target = flag_value(line, "target"),
                      .repo = flag_value(line, "repo"),
                      .verdict = flag_value(line, "verdict"),
                      .left = -1,
                      .json = flag_is_set(line, "json")};
    int64_t for_ms = 0;
    const char *count = flag_value(line, "count");
    const char *duration = flag_value(line, "for");
    if (count && text_parse_int(count, 1, COUNT_MAX, &tap.left)) {
        return command_misused(line, "-n %s: expected a number from 1 to %d", count,
                               COUNT_MAX);
    }
    if (duration && (now_parse_duration(duration, &for_ms) || for_ms < 1)) {
        return command_misused(line, "--for %s: expected a duration such as 30s",
                               duration);
    }
    sigset_t signals = block_signals();
    int code = command_open(line, &config, &place);
    if (code) {
        return code;
    }
    code = follow(&tap, &place, &signals, duration ? now_ms() + for_ms : NOW_FOREVER);
    command_close(config, &place);
    return code;
}

/* trace: the life of one event, step by step. */
#include "commands.h"

#include <errno.h>
#include <string.h>

#include "base/now.h"
#include "ops/trace.h"
#include "ops/words.h"
#include "wire/json.h"

enum { PATIENCE_MS = 5000, WHAT_WIDTH = 10, TARGET_WIDTH = 18, WORDS_WIDTH = 36 };

static void add_took(struct str *out, int64_t ms)
{
    if (ms < 1000) {
        str_addf(out, "+%lld ms", (long long)ms);
    } else if (ms < 60000) {
        str_addf(out, "+%.1f s", (double)ms / 1000);
    } else {
        str_addf(out, "+%lldm%02llds", (long long)(ms / 60000),
                 (long long)(ms / 1000 % 60));
    }
}

static void add_words(struct str *out, struct json_object *step)
{
    if (strcmp(json_text_or(step, "/what", ""), "try") != 0) {
        str_add_plain(out, json_text_or(step, "/text", ""));
        return;
    }
    int64_t status = json_number_or(step, "/status", 0);
    if (status) {
        str_addf(out, "%lld", (long long)status);
    }
    if (json_text_or(step, "/text", "")[0]) {
        str_add(out, status ? " " : "");
        str_add_plain(out, json_text_or(step, "/text", ""));
    }
    str_addf(out, " in %lld ms by ", (long long)json_number_or(step, "/took_ms", 0));
    str_add_plain(out, json_text_or(step, "/consumer", ""));
}

static const char *colour(const struct paint *paint, const char *what)
{
    if (strcmp(what, "triggered") == 0) {
        return paint->good;
    }
    if (strcmp(what, "dead") == 0) {
        return paint->bad;
    }
    bool waits = strcmp(what, "deferred") == 0 || strcmp(what, "held") == 0;
    return waits ? paint->warn : "";
}

static void print_step(struct json_object *step, int64_t before_ms,
                       const struct paint *paint)
{
    struct str what;
    struct str line;
    struct str words;
    struct str target;
    int64_t at_ms = json_number_or(step, "/at_ms", 0);
    const char *name = json_text_or(step, "/what", "");
    str_init(&what);
    str_init(&line);
    str_init(&words);
    str_init(&target);
    str_add_plain(&what, name);
    if (strcmp(name, "try") == 0) {
        str_addf(&what, " %lld", (long long)json_number_or(step, "/try", 0));
    }
    str_add_plain(&target, json_text_or(step, "/target", ""));
    words_clock(&line, at_ms);
    str_addf(&line, ".%03d", (int)(at_ms % 1000));
    add_words(&words, step);
    str_addf(&line, "  %-*s  %-*s", TARGET_WIDTH, target.data, WORDS_WIDTH, words.data);
    if (before_ms > 0 && at_ms > before_ms) {
        str_addc(&line, ' ');
        add_took(&line, at_ms - before_ms);
    }
    while (line.len > 0 && line.data[line.len - 1] == ' ') {
        line.data[--line.len] = '\0';
    }
    printf("%s%-*s%s %s\n", colour(paint, name), WHAT_WIDTH, what.data, paint->off,
           line.data);
    str_release(&what);
    str_release(&line);
    str_release(&words);
    str_release(&target);
}

static void print_head(struct json_object *story, const struct paint *paint)
{
    struct str head;
    str_init(&head);
    str_add_plain(&head, json_text_or(story, "/event", ""));
    if (json_text_or(story, "/repo", "")[0] || json_text_or(story, "/app", "")[0]) {
        str_addc(&head, ' ');
        str_add_plain(&head,
                      json_text_or(story, "/repo", json_text_or(story, "/app", "")));
    }
    if (json_text_or(story, "/commit", "")[0]) {
        str_addc(&head, '@');
        str_add_plain(&head, json_text_or(story, "/commit", ""));
    }
    printf("%sevent %s%s\n", paint->bold, head.data, paint->off);
    if (strcmp(json_text_or(story, "/source", ""), "history") != 0) {
        printf("from its dead letters: what happened before is in their headers only\n");
    }
    str_release(&head);
}

static void print_units(struct json_object *units, int64_t took_ms)
{
    for (size_t i = 0; i < json_object_array_length(units); i++) {
        struct json_object *unit = json_object_array_get_idx(units, i);
        struct str line;
        str_init(&line);
        str_add_plain(&line, json_text_or(unit, "/target", ""));
        str_add(&line, ": ");
        str_add_plain(&line, json_at(unit, "/held") ? "held"
                                                    : json_text_or(unit, "/verdict", ""));
        if (json_text_or(unit, "/reason", "")[0]) {
            str_add(&line, ", ");
            str_add_plain(&line, json_text_or(unit, "/reason", ""));
        }
        int64_t attempts = json_number_or(unit, "/attempts", 0);
        str_addf(&line, ", %lld %s", (long long)attempts,
                 attempts == 1 ? "call" : "calls");
        if (strcmp(json_text_or(unit, "/verdict", ""), "dead") == 0) {
            str_add(&line, "  → sluice-consumer dlq list");
        }
        printf("%s\n", line.data);
        str_release(&line);
    }
    struct str total;
    str_init(&total);
    add_took(&total, took_ms);
    printf("total %s\n", total.data + 1);
    str_release(&total);
}

static void print_story(struct json_object *story, const struct paint *paint)
{
    struct json_object *steps = json_at(story, "/steps");
    size_t n = steps ? json_object_array_length(steps) : 0;
    int64_t first_ms = 0;
    int64_t before_ms = 0;
    print_head(story, paint);
    for (size_t i = 0; i < n; i++) {
        struct json_object *step = json_object_array_get_idx(steps, i);
        print_step(step, before_ms, paint);
        before_ms = json_number_or(step, "/at_ms", 0);
        first_ms = first_ms ? first_ms : before_ms;
    }
    if (json_at(story, "/units")) {
        print_units(json_at(story, "/units"), before_ms - first_ms);
    }
}

int trace_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    struct err err = ERR_INIT;
    struct json_object *story = NULL;
    if (line->word_count != 1) {
        return command_misused(line, "name one event by its id");
    }
    int code = command_open(line, &config, &place);
    if (code) {
        return code;
    }
    int rc = trace_read(&place, line->words[0], now_ms() + PATIENCE_MS, &story, &err);
    if (rc == -ENOENT) {
        fprintf(stderr,
                "sluice-consumer trace: %s: Redis keeps the last %lld events for %lld h, "
                "and no dead letter is of it\n",
                err.text, (long long)config->history.events,
                (long long)(config->history.ttl_ms / 3600000));
        code = EXIT_NO;
    } else if (rc) {
        code = command_failed(line, rc, &err);
    } else if (flag_is_set(line, "json")) {
        command_print_json(story);
    } else {
        struct paint paint = paint_for(line, stdout);
        print_story(story, &paint);
    }
    json_free(story);
    command_close(config, &place);
    return code;
}

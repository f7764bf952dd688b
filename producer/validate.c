/* sluice-producer validate: events in files, offline, every fault with its place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "event/cloudevents.h"
#include "flags.h"
#include "lines.h"
#include "record.h"

const struct flag validate_flags[] = {
    {"header", 'H', "NAME=VALUE", "A header the records have, such as ce_id=1; repeats"},
    {"strict", 0, NULL, "What no consumer would act on is a fault too"},
    {"json", 0, NULL, "A JSON line per fault"},
    {"quiet", 'q', NULL, "Say nothing when all is well"},
    {.name = NULL},
};

enum { FILE_BYTES_MAX = 64 * 1024 * 1024 };

struct validation {
    const struct command_line *line;
    bool json;
    bool strict;
    const char *file;
    long number; /* of the line at hand */
    long events;
    long faults;
    long skipped;
};

static void say(struct validation *v, const char *pointer, const char *text)
{
    if (!v->json) {
        printf("%s:%ld: %s\n", v->file, v->number, text);
        return;
    }
    struct str out;
    str_init(&out);
    str_add(&out, "{\"file\":\"");
    str_add_json(&out, v->file, strlen(v->file));
    str_addf(&out, "\",\"line\":%ld,\"pointer\":\"", v->number);
    str_add_json(&out, pointer, strlen(pointer));
    str_add(&out, "\",\"text\":\"");
    str_add_json(&out, text, strlen(text));
    printf("%s\"}\n", out.data);
    str_release(&out);
}

static void on_fault(void *arg, const char *pointer, const char *text)
{
    struct validation *v = arg;
    v->faults++;
    say(v, pointer, text);
}

/* A success with no fault may still be missed: a failure event, another type. */
static void check_outcome(struct validation *v, const struct record *record)
{
    struct event ev;
    struct event_reason reason;
    if (record_decode(record, &ev, &reason) == EVENT_NOT_OURS) {
        char text[ERR_TEXT_MAX + 64];
        snprintf(text, sizeof text, "no consumer would act on it: %s", reason.text);
        v->skipped++;
        v->faults += v->strict;
        say(v, "", text);
    }
    event_release(&ev);
}

/* One document. Returns 0 or an exit code for bad flags. */
static int check(struct validation *v, const char *text, size_t len)
{
    struct record record;
    struct json_object *doc = NULL;
    int rc = 0;
    record_init(&record);
    str_put(&record.value, text, len);
    if (json_parse(text, len, &doc, NULL) == 0 && cloudevents_is(doc)) {
        (void)record_add_header(&record, "content-type", "application/cloudevents+json");
    }
    json_free(doc);
    for (size_t i = 0; rc == 0; i++) {
        char *name;
        char *value;
        rc = flags_pair(v->line, "header", i, &name, &value);
        if (rc == 0) {
            (void)record_add_header(&record, name, value);
            free(name);
            free(value);
        }
    }
    if (rc == 1) {
        rc = 0;
        v->events++;
        if (record_validate(&record, on_fault, v) == 0) {
            check_outcome(v, &record);
        }
    }
    record_release(&record);
    return rc;
}

static size_t trim(const char *text, size_t len)
{
    while (len > 0 && strchr(" \t\r\n", text[len - 1])) {
        len--;
    }
    return len;
}

/* A file is lines when its first line that is not empty could be a document of its own,
 * else one document over many lines. */
static bool is_one_document(const char *text, size_t len)
{
    size_t blank = strspn(text, " \t\r\n");
    const char *first = text + (blank < len ? blank : len);
    const char *end = memchr(first, '\n', len - (size_t)(first - text));
    size_t line_len = trim(first, end ? (size_t)(end - first) : strlen(first));
    return line_len == 0 || first[line_len - 1] != '}';
}

static int check_lines(struct validation *v, const char *text, size_t len)
{
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - text) - at : len - at;
        size_t trimmed = trim(text + at, line_len);
        v->number++;
        if (trimmed > 0) {
            rc = check(v, text + at, trimmed);
        }
        at += line_len + 1;
    }
    return rc;
}

static int check_file(struct validation *v, const char *path)
{
    struct lines lines;
    struct err err = ERR_INIT;
    if (lines_open(&lines, path, &err) != 0) {
        fprintf(stderr, "sluice-producer: %s\n", err.text);
        return EXIT_NO_INPUT;
    }
    struct str all;
    str_init(&all);
    int rc = lines_read_all(&lines, FILE_BYTES_MAX, &all, &err);
    v->file = lines.name;
    v->number = 0;
    if (rc != 0) {
        fprintf(stderr, "sluice-producer: %s\n", err.text);
        rc = EXIT_IO;
    } else if (is_one_document(all.data, all.len)) {
        v->number = 1;
        rc = check(v, all.data, trim(all.data, all.len));
    } else {
        rc = check_lines(v, all.data, all.len);
    }
    str_release(&all);
    lines_close(&lines);
    return rc;
}

int validate_run(const struct command_line *line)
{
    struct validation v = {
        .line = line,
        .json = flag_is_set(line, "json"),
        .strict = flag_is_set(line, "strict"),
    };
    int rc = line->word_count == 0 ? check_file(&v, "-") : 0;
    for (size_t i = 0; i < line->word_count && rc == 0; i++) {
        rc = check_file(&v, line->words[i]);
    }
    if (rc != 0) {
        return rc;
    }
    if (v.faults > 0 || !flag_is_set(line, "quiet")) {
        fprintf(stderr, "%ld event%s, %ld fault%s, %ld that no consumer would act on\n",
                v.events, v.events == 1 ? "" : "s", v.faults, v.faults == 1 ? "" : "s",
                v.skipped);
    }
    return v.faults > 0 ? EXIT_DATA : 0;
}

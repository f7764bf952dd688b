/* sluice-producer publish FILE: a JSON document a line, as it is or in another format. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "event/cloudevents.h"
#include "lines.h"
#include "outbox.h"
#include "publish.h"

struct run {
    struct publish *publish;
    struct lines lines;
    struct outbox *outbox; /* NULL with --print */
    long sent;
    long refused; /* not worth sending */
    long failed;  /* not acknowledged */
    int exit_code;
};

/* --- refusing --- */

static void say_fault(void *arg, const char *pointer, const char *text)
{
    (void)pointer; /* the text begins with it */
    const struct lines *lines = arg;
    fprintf(stderr, "%s:%ld: %s\n", lines->name, lines->number, text);
}

static void refuse(struct run *run, const char *text)
{
    say_fault(&run->lines, "", text);
    run->refused++;
    run->exit_code = EXIT_DATA;
}

/* --- a line becomes a record --- */

static bool is_structured(const char *text, size_t len)
{
    struct json_object *doc;
    if (json_parse(text, len, &doc, NULL) != 0) {
        return false;
    }
    bool is = cloudevents_is(doc);
    json_free(doc);
    return is;
}

static void take_facts(const struct event *ev, struct facts *facts)
{
    for (int field = 0; field < EVENT_FIELD_COUNT; field++) {
        if (field != EVENT_TYPE && field != EVENT_KEY) {
            facts_put(facts, (enum event_field)field, ev->fields[field]);
        }
    }
}

/* Put the event into the format that was asked for. Returns false when it cannot. */
static bool convert(struct run *run, const struct facts *facts, struct record *record)
{
    struct err err = ERR_INIT;
    struct record other;
    record_init(&other);
    if (format_write(run->publish->format, facts, &other, &err) != 0) {
        refuse(run, err.text);
        record_release(&other);
        return false;
    }
    record_release(record);
    *record = other;
    return true;
}

/* text: one document. what: out, for the report. Returns false when it was refused. */
static bool make_record(struct run *run, const char *text, size_t len,
                        struct record *record, struct str *what)
{
    struct publish *publish = run->publish;
    struct event ev;
    struct event_reason reason;
    struct facts facts;
    str_put(&record->value, text, len);
    if (is_structured(text, len)) {
        (void)record_add_header(record, "content-type", "application/cloudevents+json");
    }
    enum event_outcome outcome = record_decode(record, &ev, &reason);
    facts_init(&facts);
    take_facts(&ev, &facts);
    bool fit = outcome == EVENT_OK || !publish->check;
    if (!fit && outcome == EVENT_BAD) {
        record_validate(record, say_fault, &run->lines);
        run->refused++;
        run->exit_code = EXIT_DATA;
    } else if (!fit) {
        refuse(run, reason.text);
    }
    if (fit && publish->convert && outcome == EVENT_OK) {
        facts_complete(&facts, now_wall_ms());
        fit = convert(run, &facts, record);
    }
    if (fit) {
        publish_key(publish, &facts, record);
        publish_describe(publish, facts.field, what);
        fit = publish_headers(publish, record) == 0;
        record_trace(record, publish->parent);
    }
    facts_release(&facts);
    event_release(&ev);
    return fit;
}

/* --- sending --- */

static void on_result(void *arg, const struct outbox_result *result)
{
    struct run *run = arg;
    if (result->rc == 0) {
        run->sent++;
        publish_say_sent(run->publish, result->partition, result->offset, result->what);
        return;
    }
    if (run->failed++ == 0) { /* one cause: said once */
        char why[512];
        snprintf(why, sizeof why, "%s:%ld: topic %s: %s", run->lines.name, result->number,
                 run->publish->cluster.topic, result->why);
        run->exit_code = cluster_complain(&run->publish->cluster, result->rc, why);
    }
}

static void send_record(struct run *run, const struct record *record, const char *what)
{
    struct err err = ERR_INIT;
    const struct kafka_message message =
        record_message(record, run->publish->cluster.topic);
    char *copy = mem_strdup(what);
    if (outbox_put(run->outbox, &message, run->lines.number, copy, &err) != 0) {
        free(copy);
        refuse(run, err.text);
    }
}

static void take_line(struct run *run, const char *text, size_t len)
{
    if (run->lines.too_long) {
        refuse(run, "the line is too long");
        return;
    }
    while (len > 0 && strchr(" \t\r", text[len - 1])) {
        len--;
    }
    if (len == 0) {
        return;
    }
    struct record record;
    struct str what;
    record_init(&record);
    str_init(&what);
    if (make_record(run, text, len, &record, &what)) {
        if (run->outbox) {
            send_record(run, &record, what.data);
        } else {
            publish_print(run->publish, &record);
        }
    }
    str_release(&what);
    record_release(&record);
}

/* Read on unless something was refused or failed and that is to be the end. */
static void take_all(struct run *run)
{
    struct err err = ERR_INIT;
    const char *text;
    size_t len;
    int rc = 1;
    while (rc == 1 && run->failed == 0 &&
           (run->refused == 0 || run->publish->keep_going)) {
        if (run->outbox && lines_would_wait(&run->lines)) {
            fflush(stdout);
            outbox_take(run->outbox, true);
            fflush(stdout);
        }
        rc = lines_next(&run->lines, &text, &len, &err);
        if (rc == 1) {
            take_line(run, text, len);
        }
        if (run->outbox) {
            outbox_take(run->outbox, false);
        }
    }
    if (rc < 0) {
        fprintf(stderr, "sluice-producer: %s\n", err.text);
        run->exit_code = EXIT_IO;
    }
}

static int send_all(struct run *run)
{
    struct publish *publish = run->publish;
    const struct cluster *cluster = &publish->cluster;
    struct err err = ERR_INIT;
    struct kafka_producer *producer = cluster_producer(cluster, &err);
    if (!producer) {
        return command_misused(publish->line, "%s", err.text);
    }
    run->outbox = outbox_new(producer, on_result, run);
    take_all(run);
    outbox_take(run->outbox, true);
    outbox_free(run->outbox);
    kafka_producer_stop(producer, now_ms());
    if (!publish->quiet || run->refused > 0 || run->failed > 0) {
        fprintf(stderr, "%ld published, %ld refused, %ld not acknowledged\n", run->sent,
                run->refused, run->failed);
    }
    return run->exit_code;
}

int publish_lines(struct publish *publish, const char *path)
{
    struct run run = {.publish = publish};
    struct err err = ERR_INIT;
    int rc;
    if (lines_open(&run.lines, path, &err) != 0) {
        fprintf(stderr, "sluice-producer: %s\n", err.text);
        rc = EXIT_NO_INPUT;
    } else if (publish->print) {
        take_all(&run);
        rc = run.exit_code;
    } else {
        rc = send_all(&run);
    }
    lines_close(&run.lines);
    return rc;
}

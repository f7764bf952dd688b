/* sluice-producer publish: one event from flags and the CI environment. */
#include "publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "ci.h"
#include "commands.h"
#include "flags.h"

const struct flag publish_flags[] = {
    {"app", 0, "NAME", "What is to be deployed (the repository's last part)"},
    {"repo", 0, "NAME", "Repository, such as acme/api"},
    {"branch", 0, "NAME", "Branch"},
    {"commit", 0, "SHA", "Commit"},
    {"image", 0, "REF", "Container image"},
    {"digest", 0, "SHA256", "Its digest"},
    {"pipeline", 0, "NAME", "CI pipeline"},
    {"run", 0, "ID", "Its run"},
    {"run-url", 0, "URL", "Where the run can be seen"},
    {"env", 0, "NAME", "Environment it is meant for"},
    {"id", 0, "TEXT", "The event's id (derived from repo, commit, pipeline and run)"},
    {"time", 0, "RFC3339", "When it happened (now)"},
    {"header", 'H', "NAME=VALUE", "A record header; repeats"},
    {"key", 'k', "TEXT", "The record's key (the repository, with the app if it differs)"},
    {"format", 0, "FORMAT", "sluice, cdevents, cloudevents or devtron (sluice)"},
    {"no-ci", 0, NULL, "Take nothing from the CI environment"},
    {"no-check", 0, NULL, "Send what a consumer could not use, too"},
    {"keep-going", 0, NULL, "Of lines: leave out the bad ones and go on"},
    {"print", 0, NULL, "Show the record, send nothing"},
    {"json", 0, NULL, "Say what was sent as JSON"},
    {"quiet", 'q', NULL, "Say only what fails"},
    {"timeout", 0, "TIME", "How long to wait for the broker (30s)"},
    CLUSTER_FLAGS,
    {.name = NULL},
};

/* --- one event --- */

static const char *env(void *arg, const char *name)
{
    (void)arg;
    return getenv(name);
}

static void flag_name(enum event_field field, char name[32])
{
    snprintf(name, 32, "%s", event_field_name(field));
    for (char *c = strchr(name, '_'); c; c = strchr(c, '_')) {
        *c = '-';
    }
}

static void take_flags(const struct command_line *line, struct facts *facts)
{
    for (int field = 0; field < EVENT_FIELD_COUNT; field++) {
        char name[32];
        flag_name((enum event_field)field, name);
        if (field != EVENT_KEY) {
            facts_put(facts, (enum event_field)field, flag_value(line, name));
        }
    }
}

static void take_ci(const struct publish *publish, struct facts *facts)
{
    if (flag_is_set(publish->line, "no-ci")) {
        return;
    }
    const char *system = ci_detect(env, NULL, facts);
    if (system && !publish->quiet) {
        struct str text;
        str_init(&text);
        facts_describe(facts, &text);
        fprintf(stderr, "detected %s: %s\n", system, text.data);
        str_release(&text);
    }
}

/* Returns 0 with facts that are enough, or an exit code after saying what is missing. */
static int gather(struct publish *publish, struct facts *facts)
{
    static const enum event_field needed[] = {EVENT_REPO, EVENT_COMMIT};
    take_flags(publish->line, facts);
    if (publish->format == FORMAT_DEVTRON && facts->field[EVENT_ID]) {
        return command_misused(publish->line, "a devtron event carries no id: leave "
                                              "--id away");
    }
    take_ci(publish, facts);
    for (size_t i = 0; i < 2; i++) {
        const char *name = event_field_name(needed[i]);
        if (!facts->field[needed[i]]) {
            return command_misused(publish->line,
                                   "--%s is missing, and no CI environment says it",
                                   name);
        }
    }
    facts_complete(facts, now_wall_ms());
    return 0;
}

static void say_fault(void *arg, const char *pointer, const char *text)
{
    (void)arg;
    (void)pointer; /* the text begins with it */
    fprintf(stderr, "sluice-producer: %s\n", text);
}

/* Would a consumer act on it? */
static int check(const struct publish *publish, const struct record *record)
{
    struct event ev;
    struct event_reason reason;
    enum event_outcome outcome = record_decode(record, &ev, &reason);
    event_release(&ev);
    if (outcome == EVENT_OK || !publish->check) {
        return 0;
    }
    if (outcome == EVENT_BAD) {
        record_validate(record, say_fault, NULL);
    } else {
        fprintf(stderr, "sluice-producer: no consumer would act on it: %s\n",
                reason.text);
    }
    fprintf(stderr, "nothing was sent; --no-check sends it all the same\n");
    return EXIT_DATA;
}

static int send_one(struct publish *publish, const struct record *record,
                    const char *what)
{
    const struct cluster *cluster = &publish->cluster;
    struct err err = ERR_INIT;
    struct kafka_producer *producer = cluster_producer(cluster, &err);
    if (!producer) {
        return command_misused(publish->line, "%s", err.text);
    }
    const struct kafka_message message = record_message(record, cluster->topic);
    int64_t until_ms =
        now_ms() + cluster->timeout_ms + 1000; /* the client's comes first */
    int partition = 0;
    int64_t offset = 0;
    int rc = kafka_send_wait(producer, &message, until_ms, &partition, &offset, &err);
    kafka_producer_stop(producer, now_ms());
    if (rc != 0) {
        return cluster_complain(cluster, rc, err.text);
    }
    publish_say_sent(publish, partition, offset, what);
    return 0;
}

static int write_record(struct publish *publish, const struct facts *facts,
                        struct record *record)
{
    struct err err = ERR_INIT;
    if (format_write(publish->format, facts, record, &err) != 0) {
        return command_misused(publish->line, "%s", err.text);
    }
    publish_key(publish, facts, record);
    int rc = publish_headers(publish, record);
    record_trace(record, publish->parent);
    return rc ? rc : check(publish, record);
}

static int publish_one(struct publish *publish)
{
    struct facts facts;
    struct record record;
    struct str what;
    facts_init(&facts);
    record_init(&record);
    str_init(&what);
    int rc = gather(publish, &facts);
    rc = rc ? rc : write_record(publish, &facts, &record);
    if (rc == 0 && publish->print) {
        publish_print(publish, &record);
    } else if (rc == 0) {
        publish_describe(publish, facts.field, &what);
        rc = send_one(publish, &record, what.data);
    }
    str_release(&what);
    record_release(&record);
    facts_release(&facts);
    return rc;
}

/* --- the command --- */

static int read_options(const struct command_line *line, struct publish *publish)
{
    const char *format = flag_value(line, "format");
    int found = format_find(format ? format : "sluice");
    if (found < 0) {
        return command_misused(
            line, "--format \"%.40s\": expected sluice, cdevents, cloudevents or devtron",
            format);
    }
    publish->line = line;
    publish->format = (enum format)found;
    publish->convert = format != NULL;
    publish->key = flag_value(line, "key");
    publish->print = flag_is_set(line, "print");
    publish->json = flag_is_set(line, "json");
    publish->quiet = flag_is_set(line, "quiet");
    publish->check = !flag_is_set(line, "no-check");
    publish->keep_going = flag_is_set(line, "keep-going");
    publish->parent = getenv("TRACEPARENT");
    return cluster_read(line, &publish->cluster);
}

int publish_run(const struct command_line *line)
{
    struct publish publish = {0};
    int rc = read_options(line, &publish);
    if (rc == 0) {
        rc = line->word_count > 0 ? publish_lines(&publish, line->words[0])
                                  : publish_one(&publish);
    }
    cluster_release(&publish.cluster);
    return rc;
}

/* sluice-producer topics ensure and topics list. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "base/str.h"
#include "cluster.h"
#include "commands.h"
#include "flags.h"
#include "fleet/topics.h"
#include "sync/ctx.h"
#include "topic_plan.h"
#include "wire/kafka_admin.h"

enum { LOOK_AGAIN_MS = 100 };

#define TOPICS_FLAGS \
    {"group", 'g', "NAME", "The consumers' group, part of the names (sluice)"}, \
        {"retry-delays", 0, "TIME,...", "Delays of the retry topics (30s,5m,30m)"}, \
        {"wait", 0, "TIME", "How long to wait for the broker (10s)"}, \
        {"json", 0, NULL, "As JSON"}, CLUSTER_FLAGS

const struct flag topics_ensure_flags[] = {
    {"partitions", 'p', "N", "Partitions of the source topic (6)"},
    {"replication", 'r', "N", "Replicas of each topic (-1: the broker's default)"},
    {"dry-run", 'n', NULL, "Say what would be created"},
    TOPICS_FLAGS,
    {.name = NULL},
};

const struct flag topics_list_flags[] = {
    {"all", 'a', NULL, "Every topic of the cluster, not only ours"},
    TOPICS_FLAGS,
    {.name = NULL},
};

struct work {
    const struct command_line *line;
    struct cluster cluster;
    struct topic_plan plan;
    int partitions;
    int replication;
    bool json;
    bool dry_run;
    int64_t until_ms;
    struct kafka_admin *admin;
    struct kafka_topic *there; /* owned: what the cluster has */
    size_t there_count;
    bool created[TOPIC_PLAN_MAX]; /* by ensure, of the plan's items */
};

/* --- reading --- */

/* The delays as they are part of names. text: a copy to cut up. */
static int read_delays(const struct work *work, char *text, const char **delays,
                       size_t *count)
{
    const struct config *config = work->cluster.config;
    *count = 0;
    if (config && !flag_is_set(work->line, "retry-delays")) {
        for (size_t i = 0; i < config->retry.tier_count; i++) {
            delays[(*count)++] = config->retry.tier_names[i];
        }
        return 0;
    }
    char *rest = text;
    for (char *item = strsep(&rest, ","); item; item = strsep(&rest, ",")) {
        int64_t ms;
        if (now_parse_duration(item, &ms) != 0 || ms < 1000) {
            return command_misused(work->line,
                                   "--retry-delays \"%.40s\": expected times such as "
                                   "30s,5m,30m",
                                   item);
        }
        if (*count == CONFIG_TIERS_MAX) {
            return command_misused(work->line, "--retry-delays: more than %d",
                                   CONFIG_TIERS_MAX);
        }
        delays[(*count)++] = item;
    }
    return 0;
}

static int make_plan(struct work *work)
{
    const char *given = flag_value(work->line, "retry-delays");
    char *text = mem_strdup(given ? given : "30s,5m,30m");
    const char *delays[CONFIG_TIERS_MAX];
    size_t count;
    struct err err = ERR_INIT;
    int rc = read_delays(work, text, delays, &count);
    if (rc == 0 && topic_plan_make(&work->plan, work->cluster.topic, work->cluster.group,
                                   delays, count, work->partitions, &err) != 0) {
        rc = command_misused(work->line, "%s", err.text);
    }
    free(text);
    return rc;
}

static int read_options(const struct command_line *line, struct work *work)
{
    static const struct option partitions_row = {.key = "partitions",
                                                 .type = OPTION_INT,
                                                 .initial = "6",
                                                 .min = 1,
                                                 .max = 10000};
    static const struct option wait_row = {.key = "wait",
                                           .type = OPTION_DURATION,
                                           .initial = "10s",
                                           .min = 100,
                                           .max = 3600 * 1000};
    const char *replication = flag_value(line, "replication");
    struct option_value partitions;
    struct option_value wait;
    int64_t replicas = -1;
    work->line = line;
    work->json = flag_is_set(line, "json");
    work->dry_run = flag_is_set(line, "dry-run");
    int rc = cluster_read(line, &work->cluster);
    rc = rc ? rc : flags_read(line, &partitions_row, &partitions);
    rc = rc ? rc : flags_read(line, &wait_row, &wait);
    if (rc != 0) {
        return rc;
    }
    if (replication &&
        (text_parse_int(replication, -1, 100, &replicas) != 0 || !replicas)) {
        return command_misused(line, "--replication \"%.40s\": expected a number or -1",
                               replication);
    }
    work->partitions = (int)partitions.number;
    work->replication = (int)replicas;
    work->cluster.timeout_ms = wait.number;
    work->until_ms = now_ms() + wait.number;
    return make_plan(work);
}

/* --- the cluster --- */

static int look(struct work *work, struct err *err)
{
    free(work->there);
    work->there = NULL;
    work->there_count = 0;
    return kafka_topics_list(work->admin, work->until_ms, &work->there,
                             &work->there_count, err);
}

static const struct kafka_topic *find(const struct work *work, const char *name)
{
    for (size_t i = 0; i < work->there_count; i++) {
        if (strcmp(work->there[i].name, name) == 0) {
            return &work->there[i];
        }
    }
    return NULL;
}

/* Run fn with an open client that has seen the cluster's work. */
static int with_cluster(const struct command_line *line,
                        int (*fn)(struct work *work, struct err *err))
{
    struct work work = {0};
    struct err err = ERR_INIT;
    int code = read_options(line, &work);
    if (code == 0) {
        work.admin = kafka_admin_open(work.cluster.brokers, work.cluster.properties,
                                      work.cluster.property_count, &err);
        code = work.admin ? 0 : command_misused(line, "%s", err.text);
    }
    if (code == 0) {
        int rc = look(&work, &err);
        rc = rc ? rc : fn(&work, &err);
        code = rc < 0 ? cluster_complain(&work.cluster, rc, err.text) : rc;
    }
    kafka_admin_close(work.admin);
    free(work.there);
    cluster_release(&work.cluster);
    return code;
}

/* --- telling --- */

static void say(const struct work *work, const char *name, int partitions,
                const char *state)
{
    bool missing = strcmp(state, "missing") == 0;
    if (work->json) {
        printf("{\"topic\":\"%s\",\"partitions\":%d,\"state\":\"%s\"}\n", name,
               partitions, state);
    } else {
        printf("%s %-44s %3d partitions  %s\n", missing ? "✗" : "✓", name, partitions,
               state);
    }
}

/* What an existing topic is not as it should be. */
static void warn(const struct work *work, const struct topic_plan_item *item,
                 const struct kafka_topic *there)
{
    char type[64];
    if (item->kind == TOPIC_SOURCE && there->partitions != item->partitions &&
        flag_is_set(work->line, "partitions")) {
        fprintf(stderr,
                "warning: %s has %d partitions, not %d; adding some moves keys: "
                "kafka-topics --alter, when the workers are drained\n",
                there->name, there->partitions, item->partitions);
    }
    if (item->kind == TOPIC_RETRY &&
        kafka_topic_config(work->admin, item->name, "message.timestamp.type",
                           now_ms() + 5000, type, sizeof type, NULL) == 0 &&
        strcmp(type, "LogAppendTime") != 0) {
        fprintf(stderr,
                "warning: %s has message.timestamp.type=%s; retries are due by "
                "append time: kafka-configs --alter --add-config "
                "message.timestamp.type=LogAppendTime\n",
                item->name, type);
    }
}

/* --- ensure --- */

static int create_one(struct work *work, size_t i, struct err *err)
{
    const struct topic_plan_item *item = &work->plan.items[i];
    const char *const *config = item->kind == TOPIC_RETRY  ? topics_retry_config()
                                : item->kind == TOPIC_DEAD ? topics_dead_config()
                                                           : NULL;
    return kafka_topic_create(work->admin, item->name, item->partitions,
                              work->replication, config, work->until_ms,
                              &work->created[i], err);
}

/* A topic that was just created is not yet seen by everyone who asks: wait until it is,
 * so that what is started next finds it. */
static int await_all(struct work *work, struct err *err)
{
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    int rc = 0;
    for (size_t i = 0; i < work->plan.count && rc == 0;) {
        if (find(work, work->plan.items[i].name)) {
            i++;
            continue;
        }
        rc = ctx_sleep(ctx, now_ms() + LOOK_AGAIN_MS);
        rc = rc ? rc : look(work, err);
        if (rc == 0 && now_ms() > work->until_ms) {
            rc = err_set(err, -ETIMEDOUT, "topic %s was created but cannot be seen",
                         work->plan.items[i].name);
        }
    }
    ctx_free(ctx);
    return rc;
}

static void say_ensured(const struct work *work)
{
    for (size_t i = 0; i < work->plan.count; i++) {
        const struct topic_plan_item *item = &work->plan.items[i];
        const struct kafka_topic *there = find(work, item->name);
        if (!there) {
            say(work, item->name, item->partitions, "would be created");
            continue;
        }
        say(work, item->name, there->partitions,
            work->created[i] ? "created" : "there already");
        if (!work->created[i]) {
            warn(work, item, there);
        }
    }
}

static int ensure(struct work *work, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < work->plan.count && rc == 0 && !work->dry_run; i++) {
        if (!find(work, work->plan.items[i].name)) {
            rc = create_one(work, i, err);
        }
    }
    if (rc == 0 && !work->dry_run) {
        rc = await_all(work, err);
    }
    if (rc == 0) {
        say_ensured(work);
    }
    return rc;
}

int topics_ensure_run(const struct command_line *line)
{
    return with_cluster(line, ensure);
}

/* --- list --- */

/* Retry topics of delays that are no longer configured are ours too. */
static bool is_ours(const struct work *work, const char *name)
{
    struct str prefix;
    str_init(&prefix);
    str_addf(&prefix, "%s.%s.retry.", work->cluster.topic, work->cluster.group);
    bool ours = text_starts(name, prefix.data);
    str_release(&prefix);
    return ours;
}

static bool is_planned(const struct work *work, const char *name)
{
    for (size_t i = 0; i < work->plan.count; i++) {
        if (strcmp(work->plan.items[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct kafka_topic *)a)->name,
                  ((const struct kafka_topic *)b)->name);
}

static void say_there(const struct work *work, const struct kafka_topic *there)
{
    char state[48];
    snprintf(state, sizeof state, "replication %d", there->replication);
    say(work, there->name, there->partitions, state);
}

/* Ours first, missing ones too: then the answer is "no". */
static int list(struct work *work, struct err *err)
{
    (void)err;
    bool all = flag_is_set(work->line, "all");
    int rc = 0;
    for (size_t i = 0; i < work->plan.count; i++) {
        const struct topic_plan_item *item = &work->plan.items[i];
        const struct kafka_topic *there = find(work, item->name);
        if (there) {
            say_there(work, there);
        } else {
            say(work, item->name, 0, "missing");
            rc = EXIT_NO;
        }
    }
    qsort(work->there, work->there_count, sizeof *work->there, by_name);
    for (size_t i = 0; i < work->there_count; i++) {
        const struct kafka_topic *there = &work->there[i];
        if (!is_planned(work, there->name) && (all || is_ours(work, there->name))) {
            say_there(work, there);
        }
    }
    if (rc == EXIT_NO) {
        fprintf(stderr, "try: sluice-producer topics ensure --brokers %s --topic %s\n",
                work->cluster.brokers, work->cluster.topic);
    }
    return rc;
}

int topics_list_run(const struct command_line *line)
{
    return with_cluster(line, list);
}

/* Design. One function a check, in order; each gets the list so far and says what it
 * rests on. The checks of targets rest on nothing here and are made several at a time. */
#include "ops/doctor.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "ops/faults.h"
#include "wire/http_probe.h"
#include "wire/json.h"
#include "wire/kafka_groups.h"

enum {
    TARGETS_AT_ONCE = 8,
    CLOCK_SKEW_MAX_MS = 5000,    /* waits of retry topics compare two clocks */
    CERTIFICATE_SHORT_DAYS = 14, /* less than that is a warning */
    DAY_MS = 24 * 60 * 60 * 1000,
    CHECKS_BEFORE_TARGETS = 16,
    PARTITIONS_MAX = 1024,
};

struct examination {
    struct ops_place *place;
    const struct config *config;
    int64_t timeout_ms;
    char *const *environment;
    struct doctor *doctor;
    int partitions; /* of the source topic; 0: not known */
    bool topics;    /* were they listed? */
    bool redis;
};

/* --- the list --- */

static struct doctor_check *add(struct doctor *doctor, const char *name,
                                enum doctor_mark mark, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static struct doctor_check *add(struct doctor *doctor, const char *name,
                                enum doctor_mark mark, const char *format, ...)
{
    struct doctor_check *check = &doctor->items[doctor->count++];
    va_list args;
    va_start(args, format);
    *check = (struct doctor_check){.mark = mark, .code = ""};
    snprintf(check->name, sizeof check->name, "%s", name);
    vsnprintf(check->text, sizeof check->text, format, args);
    va_end(args);
    return check;
}

static void suggest(struct doctor_check *check, const char *code, const char *next)
{
    check->code = code;
    snprintf(check->next, sizeof check->next, "%s", next);
}

static void add_failed(struct doctor *doctor, const char *name, int rc,
                       const struct err *err, const char *code, const char *next)
{
    struct doctor_check *check = add(doctor, name, DOCTOR_FAILED, "%s", err->text);
    check->rc = rc;
    suggest(check, code, next);
}

static void skip(struct doctor *doctor, const char *name, const char *needs)
{
    add(doctor, name, DOCTOR_SKIPPED, "skipped: needs %s", needs);
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

/* --- configuration --- */

static void check_config(struct examination *x)
{
    struct err err = ERR_INIT;
    const struct config *c = x->config;
    const char *path = config_path(c);
    add(x->doctor, "config", DOCTOR_OK, "%s: %zu target%s, %zu limit%s",
        path ? path : "no file", c->target_count, plural((int64_t)c->target_count),
        c->limit_count, plural((int64_t)c->limit_count));
    int rc = config_try_secrets(c, x->environment, &err);
    if (rc) {
        add_failed(x->doctor, "secrets", rc, &err, FAULT_SECRET,
                   "mount the file, or set the variable, for the user the fleet runs as");
    } else {
        add(x->doctor, "secrets", DOCTOR_OK, "%zu named, all can be read",
            c->secret_count);
    }
}

/* --- Kafka --- */

static const struct kafka_topic *find_topic(const struct kafka_topic *topics,
                                            size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(topics[i].name, name) == 0) {
            return &topics[i];
        }
    }
    return NULL;
}

static void check_source(struct examination *x, const struct kafka_topic *topics,
                         size_t count)
{
    const struct kafka_topic *source = find_topic(topics, count, x->config->kafka.topic);
    if (!source) {
        struct doctor_check *check =
            add(x->doctor, "topic", DOCTOR_FAILED,
                "%s does not exist, or may not be seen", x->config->kafka.topic);
        check->rc = -ENOENT;
        suggest(check, FAULT_NO_TOPIC, "sluice-producer topics ensure");
        return;
    }
    x->partitions = source->partitions;
    add(x->doctor, "topic", DOCTOR_OK, "%s: %d partition%s, replication %d", source->name,
        source->partitions, plural(source->partitions), source->replication);
}

/* The worker makes them when it may; said now, so that nobody waits for that. */
static void check_side_topics(struct examination *x, const struct kafka_topic *topics,
                              size_t count)
{
    const struct config *c = x->config;
    size_t tiers = c->retry.tier_count;
    size_t there = 0;
    char *missing = NULL;
    for (size_t i = 0; i < tiers + 2; i++) {
        char *name = i < tiers    ? config_retry_topic(c, i)
                     : i == tiers ? config_redrive_topic(c)
                                  : config_dead_topic(c);
        bool found = find_topic(topics, count, name) != NULL;
        there += found;
        if (!found && !missing) {
            missing = name;
        } else {
            free(name);
        }
    }
    if (missing) {
        suggest(add(x->doctor, "side topics", DOCTOR_WARNING,
                    "%zu of %zu are there, %s is not: the first worker makes them", there,
                    tiers + 2, missing),
                FAULT_SIDE_TOPICS, "sluice-producer topics ensure");
    } else {
        add(x->doctor, "side topics", DOCTOR_OK, "%zu: retry and dead-letter", tiers + 2);
    }
    free(missing);
}

static void check_kafka(struct examination *x)
{
    struct err err = ERR_INIT;
    struct kafka_topic *topics = NULL;
    size_t count = 0;
    int64_t began_ms = now_ms();
    int rc = ops_place_kafka(x->place, &err);
    rc = rc ? rc
            : kafka_topics_list(x->place->admin, began_ms + x->timeout_ms, &topics,
                                &count, &err);
    if (rc) {
        add_failed(x->doctor, "kafka", rc, &err,
                   rc == -EACCES ? FAULT_KAFKA_REFUSES : FAULT_NO_BROKER,
                   rc == -EACCES
                       ? "check kafka.properties (sasl.*, ssl.*) and the ACLs"
                       : "check kafka.brokers, and that a broker listens there");
        skip(x->doctor, "topic", "kafka");
        skip(x->doctor, "side topics", "kafka");
        return;
    }
    x->topics = true;
    add(x->doctor, "kafka", DOCTOR_OK, "%s: %zu topic%s, %lld ms",
        x->config->kafka.brokers, count, plural((int64_t)count),
        (long long)(now_ms() - began_ms));
    check_source(x, topics, count);
    check_side_topics(x, topics, count);
    free(topics);
}

/* How far the group is behind; -1: it never committed. */
static int64_t lag_of(struct examination *x, int n, int64_t until_ms, struct err *err)
{
    static const int64_t nothing = KAFKA_NO_OFFSET;
    int64_t *offsets = mem_array((size_t)n * 3, sizeof *offsets);
    int64_t lag = -1;
    int rc = kafka_group_offsets(x->place->admin, x->config->kafka.group,
                                 x->config->kafka.topic, n, until_ms, offsets, err);
    rc = rc ? rc
            : kafka_topic_ranges(x->place->admin, x->config->kafka.topic, n, until_ms,
                                 offsets + n, offsets + 2 * n, err);
    for (int i = 0; i < n && rc == 0; i++) {
        if (offsets[i] != nothing) {
            lag = (lag < 0 ? 0 : lag) + offsets[2 * n + i] - offsets[i];
        }
    }
    free(offsets);
    return rc ? rc - 1 : lag; /* below -1: an error */
}

static void check_group(struct examination *x)
{
    struct err err = ERR_INIT;
    struct kafka_members members;
    int64_t until_ms = now_ms() + x->timeout_ms;
    const char *group = x->config->kafka.group;
    if (x->partitions == 0) {
        skip(x->doctor, "group", x->topics ? "topic" : "kafka");
        return;
    }
    int n = x->partitions < PARTITIONS_MAX ? x->partitions : PARTITIONS_MAX;
    int64_t lag = lag_of(x, n, until_ms, &err);
    if (lag < -1) {
        add_failed(x->doctor, "group", (int)lag + 1, &err, FAULT_GROUP,
                   "check the ACLs: Read on the group, Describe on the topic");
        return;
    }
    int rc = kafka_members_ask(x->place->admin, group, until_ms, &members, &err);
    if (rc) { /* the mock cluster knows no members */
        add(x->doctor, "group", DOCTOR_OK, "%s: lag %lld, members not known", group,
            (long long)(lag < 0 ? 0 : lag));
        return;
    }
    if (lag < 0) {
        add(x->doctor, "group", DOCTOR_OK, "%s is new: begins at the %s event", group,
            x->config->kafka.start_earliest ? "first" : "next");
    } else {
        struct doctor_check *check =
            add(x->doctor, "group", members.count ? DOCTOR_OK : DOCTOR_WARNING,
                "%s: %s, %zu member%s, lag %lld", group, members.state, members.count,
                plural((int64_t)members.count), (long long)lag);
        suggest(check, "", members.count ? "" : "sluice-consumer run");
    }
    kafka_members_release(&members);
}

/* --- Redis --- */

static void check_eviction(struct examination *x)
{
    char policy[64];
    redis_eviction_policy(x->place->redis, policy, sizeof policy);
    if (policy[0] == '\0') {
        suggest(add(x->doctor, "eviction", DOCTOR_WARNING,
                    "not known: CONFIG GET is not permitted"),
                FAULT_EVICTION, "make sure of maxmemory-policy noeviction");
    } else if (strcmp(policy, "noeviction") != 0) {
        struct doctor_check *check =
            add(x->doctor, "eviction",
                x->config->redis.allow_eviction ? DOCTOR_WARNING : DOCTOR_FAILED,
                "maxmemory-policy %s may evict marks of triggers and tokens of limits",
                policy);
        check->rc = -EINVAL;
        suggest(check, FAULT_EVICTION,
                "redis-cli config set maxmemory-policy noeviction");
    } else {
        add(x->doctor, "eviction", DOCTOR_OK, "%s", policy);
    }
}

static void check_clock(struct examination *x, const struct redis_value *time,
                        int64_t now_wall)
{
    int64_t seconds;
    if (time->count < 1 || !time->items[0].text ||
        text_parse_int(time->items[0].text, 0, INT64_MAX / 1000, &seconds)) {
        return;
    }
    int64_t skew_ms = now_wall - seconds * 1000;
    skew_ms = skew_ms > 0 && skew_ms < 1000 ? 0 : skew_ms; /* it tells whole seconds */
    if (llabs((long long)skew_ms) > CLOCK_SKEW_MAX_MS) {
        suggest(add(x->doctor, "clock", DOCTOR_WARNING,
                    "this host's is %lld s %s of Redis'",
                    llabs((long long)skew_ms) / 1000, skew_ms > 0 ? "ahead" : "behind"),
                FAULT_CLOCK, "run an NTP client on both");
    } else {
        add(x->doctor, "clock", DOCTOR_OK, "agrees with Redis'");
    }
}

static void check_redis(struct examination *x)
{
    struct err err = ERR_INIT;
    struct redis_value values[2];
    int64_t began_ms = now_ms();
    int64_t until_ms = began_ms + x->timeout_ms;
    struct redis_command commands[] = {
        redis_words(until_ms, true, "TIME", NULL),
        redis_words(until_ms, true, "EVAL", "return 1", "0", NULL),
    };
    int rc = redis_ask(x->place->redis, commands, 2, values, &err);
    if (rc) {
        add_failed(x->doctor, "redis", rc, &err,
                   rc == -EACCES ? FAULT_REDIS_REFUSES : FAULT_NO_REDIS,
                   rc == -EACCES ? "the login, the rights and the certificates it takes: "
                                   "compose/secure/README.md"
                                 : "check redis.url, and that a server listens there");
        skip(x->doctor, "eviction", "redis");
        skip(x->doctor, "clock", "redis");
    } else {
        x->redis = true;
        add(x->doctor, "redis", DOCTOR_OK, "answers and runs scripts, %lld ms",
            (long long)(now_ms() - began_ms));
        check_eviction(x);
        check_clock(x, &values[0], now_wall_ms());
    }
    redis_values_release(values, 2);
}

/* --- targets --- */

static void examine_target(const struct examination *x, size_t i,
                           struct doctor_check *check)
{
    const struct config_target *target = &x->config->targets[i];
    const char *host = target_host(target->target);
    struct err err = ERR_INIT;
    struct http_probe probe;
    snprintf(check->name, sizeof check->name, "target %s", target->name);
    int rc = http_probe(host, x->config->ca_file, target->public_only, x->timeout_ms,
                        &probe, &err);
    if (rc) {
        check->mark = DOCTOR_FAILED;
        check->rc = rc;
        snprintf(check->text, sizeof check->text, "%.100s: %.200s", host, err.text);
        suggest(check, rc == -EACCES ? FAULT_CERTIFICATE : FAULT_TARGET,
                rc == -EACCES ? "check the name, the certificate and http.ca_file"
                              : "check the url, DNS and the way there");
        return;
    }
    int64_t days = (probe.expires_wall_ms - now_wall_ms()) / DAY_MS;
    bool ends_soon = probe.expires_wall_ms && days < CERTIFICATE_SHORT_DAYS;
    check->mark = ends_soon ? DOCTOR_WARNING : DOCTOR_OK;
    int len = snprintf(check->text, sizeof check->text, "%.100s: connects in %lld ms",
                       host, (long long)probe.took_ms);
    if (probe.expires_wall_ms) {
        snprintf(check->text + len, sizeof check->text - (size_t)len,
                 ", certificate good for %lld more day%s", (long long)days, plural(days));
    }
    suggest(check, ends_soon ? FAULT_CERTIFICATE : "",
            ends_soon ? "renew the target's certificate" : "");
}

struct targets_work {
    const struct examination *x;
    struct doctor_check *checks;
    atomic_size_t next;
};

static void *examine_targets(void *arg)
{
    struct targets_work *work = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&work->next, 1);
        if (i >= work->x->config->target_count) {
            return NULL;
        }
        examine_target(work->x, i, &work->checks[i]);
    }
}

static void check_targets(struct examination *x)
{
    pthread_t threads[TARGETS_AT_ONCE];
    size_t n = x->config->target_count;
    size_t width = n < TARGETS_AT_ONCE ? n : TARGETS_AT_ONCE;
    struct targets_work work = {.x = x, .checks = x->doctor->items + x->doctor->count};
    atomic_init(&work.next, 0);
    for (size_t i = 0; i < width; i++) {
        MUST(pthread_create(&threads[i], NULL, examine_targets, &work));
    }
    for (size_t i = 0; i < width; i++) {
        MUST(pthread_join(threads[i], NULL));
    }
    x->doctor->count += n;
}

/* --- all --- */

void doctor_examine(struct ops_place *place, int64_t timeout_ms, char *const *environment,
                    struct doctor *doctor)
{
    struct examination x = {.place = place,
                            .config = place->config,
                            .timeout_ms = timeout_ms,
                            .environment = environment,
                            .doctor = doctor};
    doctor->count = 0;
    doctor->items = mem_array(CHECKS_BEFORE_TARGETS + place->config->target_count,
                              sizeof *doctor->items);
    check_config(&x);
    check_kafka(&x);
    check_group(&x);
    check_redis(&x);
    check_targets(&x);
}

struct doctor_check *doctor_add(struct doctor *doctor)
{
    doctor->items =
        mem_resize(doctor->items, (doctor->count + 1) * sizeof *doctor->items);
    doctor->items[doctor->count] = (struct doctor_check){.code = ""};
    return &doctor->items[doctor->count++];
}

void doctor_release(struct doctor *doctor)
{
    free(doctor->items);
    *doctor = (struct doctor){NULL, 0};
}

size_t doctor_count(const struct doctor *doctor, enum doctor_mark mark)
{
    size_t n = 0;
    for (size_t i = 0; i < doctor->count; i++) {
        n += doctor->items[i].mark == mark;
    }
    return n;
}

const char *doctor_mark_word(enum doctor_mark mark)
{
    static const char *const words[] = {"ok", "warning", "failed", "skipped"};
    return words[mark];
}

struct json_object *doctor_json(const struct doctor *doctor)
{
    struct json_object *root = json_object_new_object();
    struct json_object *checks = json_object_new_array();
    json_object_object_add(root, "schema", json_object_new_string("sluice.doctor/1"));
    json_object_object_add(root, "ok",
                           json_object_new_boolean(doctor_count(doctor, DOCTOR_FAILED) ==
                                                   0));
    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_check *check = &doctor->items[i];
        struct json_object *one = json_object_new_object();
        json_object_object_add(one, "name", json_object_new_string(check->name));
        json_object_object_add(one, "mark",
                               json_object_new_string(doctor_mark_word(check->mark)));
        json_object_object_add(one, "text", json_object_new_string(check->text));
        if (check->code[0]) {
            json_object_object_add(one, "code", json_object_new_string(check->code));
        }
        if (check->next[0]) {
            json_object_object_add(one, "next", json_object_new_string(check->next));
        }
        json_object_array_add(checks, one);
    }
    json_object_object_add(root, "checks", checks);
    return root;
}

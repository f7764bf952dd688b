#include "ops/task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "fleet/intake.h"
#include "ops/deadletters.h"
#include "ops/task_inside.h"
#include "wire/crypto.h"
#include "wire/kafka_groups.h"
#include "wire/kafka_reader.h"

enum {
    LOCK_STEP_MS = 500,
    LOOK_MS = 30000, /* for Kafka to say where its topics are */
    NUMBER_MAX = 24
};

static const char lock_text[] =
#include "ops/task_lock.lua.inc"
    ;

static int64_t redis_until(const struct ops_place *place)
{
    return now_ms() + place->config->redis.timeout_ms;
}

/* --- keys --- */

static void task_key(const struct task *t, const char *id, struct str *key)
{
    struct str name;
    str_init(&name);
    str_addf(&name, "task:%s", id);
    ops_key(t->place->config, name.data, key);
    str_release(&name);
}

/* One command on one of the group's keys. value: out, as redis_ask. */
static int ask(const struct task *t, const char *verb, const char *name,
               const char *argument, struct redis_value *value, struct err *err)
{
    struct str key;
    str_init(&key);
    ops_key(t->place->config, name, &key);
    struct redis_command command =
        redis_words(redis_until(t->place), true, verb, key.data, argument, NULL);
    int rc = redis_ask(t->place->redis, &command, 1, value, err);
    str_release(&key);
    return rc;
}

/* --- the lock --- */

/* what: "take", "keep", "drop". holder: out, who has it now. */
static int lock(struct task *t, const char *what, char holder[192], struct err *err)
{
    struct str key;
    struct redis_value value;
    char lease[NUMBER_MAX];
    str_init(&key);
    ops_key(t->place->config, "task-lock", &key);
    snprintf(lease, sizeof lease, "%d", TASK_LEASE_MS);
    struct redis_command command =
        redis_words(redis_until(t->place), true, key.data, what, t->holder, lease, NULL);
    command.script = redis_script_new(t->place->redis, lock_text);
    command.key_count = 1;
    int rc = redis_ask(t->place->redis, &command, 1, &value, err);
    if (rc == 0) {
        snprintf(holder, 192, "%s", value.text ? value.text : "");
        t->kept_ms = now_ms();
    }
    redis_values_release(&value, 1);
    str_release(&key);
    return rc;
}

/* Is the one that holds the lock this very task, cut off? Then its lease ends soon. */
static bool is_our_past(const struct task *t, const char *holder)
{
    size_t len = strlen(t->id);
    return strncmp(holder, t->id, len) == 0 && holder[len] == ' ';
}

static int take_lock(struct task *t, struct err *err)
{
    char holder[192];
    int64_t until_ms = now_ms() + TASK_LEASE_MS + LOCK_STEP_MS;
    for (;;) {
        int rc = lock(t, "take", holder, err);
        if (rc || strcmp(holder, t->holder) == 0) {
            return rc;
        }
        if (!is_our_past(t, holder) || now_ms() > until_ms) {
            holder[strcspn(holder, " ") + 1 +
                   strcspn(strchr(holder, ' ') ? strchr(holder, ' ') + 1 : "", " ")] =
                '\0';
            return err_set(err, -EAGAIN,
                           "another task is at work (%s): stop it there, or wait; if it "
                           "was cut off its lock ends within %d s",
                           holder, TASK_LEASE_MS / 1000);
        }
        if (ctx_sleep(t->ctx, now_ms() + LOCK_STEP_MS)) {
            return err_set(err, -ECANCELED, "stopped before it went on");
        }
    }
}

int task_keep(struct task *t, struct err *err)
{
    char holder[192];
    if (ctx_err(t->ctx)) {
        return err_set(err, -ECANCELED, "stopped");
    }
    if (now_ms() - t->kept_ms < TASK_KEEP_EVERY_MS) {
        return 0;
    }
    int rc = lock(t, "keep", holder, err);
    if (rc == 0 && strcmp(holder, t->holder) != 0) {
        rc = err_set(err, -EPIPE, "the lease was lost to another task (%s)", holder);
    } else if (rc && now_ms() - t->kept_ms < TASK_LEASE_MS / 2) {
        rc = 0; /* Redis may be back before the lease is over */
    }
    return rc;
}

/* --- the redrive topic --- */

static int find_topic(struct task *t, struct err *err)
{
    struct kafka_topic *topics = NULL;
    size_t n = 0;
    int rc = ops_place_kafka(t->place, err);
    rc = rc ? rc : ops_place_sender(t->place, err);
    rc = rc ? rc
            : kafka_topics_list(t->place->admin, now_ms() + LOOK_MS, &topics, &n, err);
    t->topic = config_redrive_topic(t->place->config);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (strcmp(topics[i].name, t->topic) == 0) {
            t->partitions = topics[i].partitions;
        }
    }
    free(topics);
    if (rc == 0 && (t->partitions == 0 || t->partitions > TASK_PARTITIONS_MAX)) {
        rc = err_set(err, -ENOENT,
                     "topic %s, where units wait to be sent again, %s; run: "
                     "sluice-producer topics ensure, and workers of this version",
                     t->topic,
                     t->partitions ? "has too many partitions" : "does not exist");
    }
    return rc;
}

static const char *of_record(const struct kafka_record *record)
{
    const char *of = letter_header(record, PARK_REDRIVE_OF);
    const char *replay = letter_header(record, PARK_REPLAY_OF);
    return of ? of : replay ? replay : "";
}

void task_add_sent(struct task *t, const char *of, const char *target)
{
    struct str key;
    str_init(&key);
    str_addf(&key, "%s|%s", of, target);
    if (!json_object_object_get_ex(t->sent, key.data, NULL)) {
        json_object_object_add(t->sent, key.data, NULL);
        t->count++;
    }
    str_release(&key);
}

/* A letter that was sent and not noted, for its task was cut off in between. */
static int note_sent(struct task *t, const char *id, const char *of, struct err *err)
{
    char note[64];
    char *end;
    long partition = strtol(of, &end, 10);
    struct deadletters_note one = {.partition = (int)partition,
                                   .target = "",
                                   .reason = ""};
    if (*end != ':' || text_parse_int(end + 1, 0, INT64_MAX, &one.offset)) {
        return 0;
    }
    snprintf(note, sizeof note, "redriven %s", id);
    return deadletters_handle(t->place, &one, 1, note, err);
}

static int take_sent(struct task *t, const char *id, const struct kafka_record *record,
                     struct err *err)
{
    const char *task = letter_header(record, PARK_REDRIVE);
    const char *target = letter_header(record, PARK_TARGET);
    const char *of = letter_header(record, PARK_REDRIVE_OF);
    if (!task || strcmp(task, id) != 0) {
        return 0;
    }
    task_add_sent(t, of_record(record), target ? target : "");
    return of ? note_sent(t, id, of, err) : 0;
}

/* What a task has sent so far, out of the topic itself. */
static int scan_sent(struct task *t, const char *id, const int64_t *from, struct err *err)
{
    const struct config *c = t->place->config;
    struct kafka_span spans[TASK_PARTITIONS_MAX];
    int64_t first[TASK_PARTITIONS_MAX];
    int64_t end[TASK_PARTITIONS_MAX];
    int rc = kafka_topic_ranges(t->place->admin, t->topic, t->partitions,
                                now_ms() + LOOK_MS, first, end, err);
    if (rc) {
        return rc;
    }
    for (int i = 0; i < t->partitions; i++) {
        spans[i] =
            (struct kafka_span){i, from[i] > first[i] ? from[i] : first[i], end[i]};
    }
    struct kafka_reader *reader =
        kafka_reader_open(c->kafka.brokers, c->kafka.properties, c->kafka.property_count,
                          t->topic, spans, (size_t)t->partitions, err);
    rc = reader ? 0 : -EINVAL;
    while (rc == 0) {
        int partition;
        struct kafka_record *record = NULL;
        rc = kafka_reader_next(reader, now_ms() + LOOK_MS, &partition, &record, err);
        if (rc == 0) {
            rc = take_sent(t, id, record, err);
            rc = rc ? rc : task_keep(t, err);
        }
        kafka_record_free(record);
    }
    kafka_reader_close(reader);
    return rc == -EPIPE && err->code == 0 ? 0 : rc;
}

/* --- the task in Redis --- */

static int read_offsets(const char *text, int64_t from[TASK_PARTITIONS_MAX])
{
    struct json_object *list = NULL;
    for (int i = 0; i < TASK_PARTITIONS_MAX; i++) {
        from[i] = 0;
    }
    if (!text || json_parse(text, strlen(text), &list, NULL)) {
        return -EBADMSG;
    }
    if (!json_object_is_type(list, json_type_array)) {
        json_free(list);
        return -EBADMSG;
    }
    for (size_t i = 0; i < json_object_array_length(list) && i < TASK_PARTITIONS_MAX;
         i++) {
        from[i] = json_object_get_int64(json_object_array_get_idx(list, i));
    }
    json_free(list);
    return 0;
}

static int write_task(struct task *t, struct err *err)
{
    struct str key;
    struct str open;
    struct str from;
    struct redis_value values[3];
    char kept[NUMBER_MAX];
    char now[NUMBER_MAX];
    str_init(&key);
    str_init(&open);
    str_init(&from);
    task_key(t, t->id, &key);
    ops_key(t->place->config, "task-open", &open);
    for (int i = 0; i < t->partitions; i++) {
        str_addf(&from, "%s%lld", i > 0 ? "," : "[", (long long)t->from[i]);
    }
    str_addc(&from, ']');
    snprintf(kept, sizeof kept, "%lld", (long long)TASK_KEPT_MS);
    snprintf(now, sizeof now, "%lld", (long long)now_wall_ms());
    struct redis_command commands[] = {
        redis_words(redis_until(t->place), true, "HSET", key.data, "kind", t->kind,
                    "spec", t->spec, "state", "running", "who", t->place->who, "at_ms",
                    now, "from", from.data, NULL),
        redis_words(redis_until(t->place), true, "PEXPIRE", key.data, kept, NULL),
        redis_words(redis_until(t->place), true, "SET", open.data, t->id, "PX", kept,
                    NULL),
    };
    int rc = redis_ask(t->place->redis, commands, 3, values, err);
    redis_values_release(values, 3);
    str_release(&from);
    str_release(&open);
    str_release(&key);
    return rc;
}

static const char *field(const struct redis_value *hash, const char *name)
{
    const struct redis_value *value = redis_value_field(hash, name);
    return value && value->text ? value->text : "";
}

static int read_task(struct task *t, const char *id, struct redis_value *hash,
                     struct err *err)
{
    struct str key;
    str_init(&key);
    task_key(t, id, &key);
    struct redis_command command =
        redis_words(redis_until(t->place), true, "HGETALL", key.data, NULL);
    int rc = redis_ask(t->place->redis, &command, 1, hash, err);
    str_release(&key);
    return rc;
}

/* What a task that was cut off has sent but not noted. */
static int settle_past(struct task *t, struct err *err)
{
    struct redis_value open;
    struct redis_value hash = {0};
    int64_t from[TASK_PARTITIONS_MAX];
    int rc = ask(t, "GET", "task-open", NULL, &open, err);
    bool past = rc == 0 && open.text && strcmp(open.text, t->id) != 0;
    if (past) {
        rc = read_task(t, open.text, &hash, err);
        if (rc == 0 && read_offsets(field(&hash, "from"), from) == 0) {
            rc = scan_sent(t, open.text, from, err);
        }
        redis_values_release(&hash, 1);
        json_free(t->sent);
        t->sent = json_object_new_object();
        t->count = 0;
    }
    redis_values_release(&open, 1);
    return rc;
}

static struct task *task_new(struct ops_place *place, const char *kind, struct ctx *ctx)
{
    struct task *t = mem_zalloc(sizeof *t);
    t->place = place;
    t->ctx = ctx;
    t->sent = json_object_new_object();
    snprintf(t->kind, sizeof t->kind, "%s", kind);
    return t;
}

static void task_free(struct task *t)
{
    json_free(t->sent);
    free(t->spec);
    free(t->topic);
    free(t);
}

static void name_task(struct task *t, const char *id)
{
    snprintf(t->id, sizeof t->id, "%s", id);
    snprintf(t->holder, sizeof t->holder, "%s %s %016llx", t->id, t->place->who,
             (unsigned long long)crypto_random_u64());
}

static int draw_id(struct task *t, struct err *err)
{
    char id[TASK_ID_MAX];
    struct redis_value value;
    int rc = ask(t, "INCR", "tasks", NULL, &value, err);
    if (rc == 0) {
        snprintf(id, sizeof id, "r-%04lld", (long long)value.integer);
        name_task(t, id);
    }
    redis_values_release(&value, 1);
    return rc;
}

int task_begin(struct ops_place *place, const char *kind, const char *spec,
               struct ctx *ctx, struct task **task, struct err *err)
{
    int64_t first[TASK_PARTITIONS_MAX];
    struct task *t = task_new(place, kind, ctx);
    t->spec = mem_strdup(spec);
    int rc = find_topic(t, err);
    rc = rc ? rc : draw_id(t, err);
    rc = rc ? rc : take_lock(t, err);
    if (rc) {
        task_free(t);
        return rc;
    }
    rc = settle_past(t, err);
    rc = rc ? rc
            : kafka_topic_ranges(place->admin, t->topic, t->partitions,
                                 now_ms() + LOOK_MS, first, t->from, err);
    rc = rc ? rc : write_task(t, err);
    if (rc) {
        task_end(t, false);
        return rc;
    }
    *task = t;
    return 0;
}

/* What a resumed task was to do. */
static int recall(struct task *t, struct err *err)
{
    struct redis_value hash;
    int rc = read_task(t, t->id, &hash, err);
    if (rc == 0 && hash.count == 0) {
        rc = err_set(err, -ENOENT,
                     "no task %s is known (they are kept for 14 days); begin "
                     "a new one: what was sent is noted",
                     t->id);
    } else if (rc == 0 && strcmp(field(&hash, "kind"), t->kind) != 0) {
        rc = err_set(err, -EINVAL, "%s is a %s", t->id, field(&hash, "kind"));
    } else if (rc == 0 && strcmp(field(&hash, "state"), "done") == 0) {
        rc = err_set(err, -EINVAL, "%s is finished: there is nothing to resume", t->id);
    } else if (rc == 0) {
        t->spec = mem_strdup(field(&hash, "spec"));
        rc = read_offsets(field(&hash, "from"), t->from);
        rc = rc ? err_set(err, rc, "task %s cannot be read", t->id) : 0;
    }
    redis_values_release(&hash, 1);
    return rc;
}

int task_resume(struct ops_place *place, const char *kind, const char *id,
                struct ctx *ctx, struct task **task, struct err *err)
{
    struct task *t = task_new(place, kind, ctx);
    name_task(t, id);
    int rc = recall(t, err);
    rc = rc ? rc : find_topic(t, err);
    rc = rc ? rc : take_lock(t, err);
    if (rc) {
        task_free(t);
        return rc;
    }
    rc = scan_sent(t, t->id, t->from, err);
    rc = rc ? rc : write_task(t, err);
    if (rc) {
        task_end(t, false);
        return rc;
    }
    *task = t;
    return 0;
}

const char *task_id(const struct task *t)
{
    return t->id;
}

const char *task_spec(const struct task *t)
{
    return t->spec;
}

int64_t task_sent(const struct task *t)
{
    return t->count;
}

void task_end(struct task *t, bool complete)
{
    struct str key;
    struct str open;
    struct redis_value values[3];
    char holder[192];
    char count[NUMBER_MAX];
    str_init(&key);
    str_init(&open);
    task_key(t, t->id, &key);
    ops_key(t->place->config, "task-open", &open);
    snprintf(count, sizeof count, "%lld", (long long)t->count);
    struct redis_command commands[] = {
        redis_words(redis_until(t->place), true, "HSET", key.data, "state",
                    complete ? "done" : "stopped", "sent", count, NULL),
        redis_words(redis_until(t->place), true, "DEL", open.data, NULL),
    };
    size_t n = t->spec == NULL || t->topic == NULL ? 0 : complete ? 2 : 1;
    if (redis_ask(t->place->redis, commands, n, values, NULL) == 0) {
        (void)lock(t, "drop", holder, NULL); /* else it ends with its lease */
    }
    redis_values_release(values, n);
    str_release(&open);
    str_release(&key);
    task_free(t);
}

#include "ops/deadletters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "ops/audit.h"
#include "ops/history.h"
#include "wire/kafka_groups.h"
#include "wire/kafka_reader.h"

enum {
    PLACE_MAX = 40,       /* "<partition>:<offset>" */
    DEAD_FIELD_MAX = 256, /* "<target>|<reason>" */
    NOTES_A_CALL = (REDIS_ARGS_MAX - 5) / 2,
    TRIM_A_CALL = REDIS_ARGS_MAX - 2
};

static const char handle_text[] =
#include "ops/deadletters_handle.lua.inc"
    ;

static int64_t redis_until(const struct ops_place *place)
{
    return now_ms() + place->config->redis.timeout_ms;
}

/* --- the topic --- */

static int count_partitions(struct ops_place *place, const char *topic, int64_t until_ms,
                            int *partitions, struct err *err)
{
    struct kafka_topic *topics = NULL;
    size_t n = 0;
    int rc = kafka_topics_list(place->admin, until_ms, &topics, &n, err);
    *partitions = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (strcmp(topics[i].name, topic) == 0) {
            *partitions = topics[i].partitions;
        }
    }
    free(topics);
    if (rc == 0 && *partitions == 0) {
        rc = err_set(err, -ENOENT,
                     "topic %s does not exist; create it with: sluice-producer topics "
                     "ensure",
                     topic);
    }
    return rc;
}

int deadletters_range(struct ops_place *place, int64_t until_ms,
                      struct deadletters_range *range, struct err *err)
{
    *range = (struct deadletters_range){0};
    char *topic = config_dead_topic(place->config);
    snprintf(range->topic, sizeof range->topic, "%s", topic);
    free(topic);
    int rc = ops_place_kafka(place, err);
    rc = rc ? rc
            : count_partitions(place, range->topic, until_ms, &range->partitions, err);
    if (rc == 0 && range->partitions > DEADLETTERS_PARTITIONS_MAX) {
        rc = err_set(err, -EIO, "topic %s has %d partitions; at most %d are read",
                     range->topic, range->partitions, DEADLETTERS_PARTITIONS_MAX);
    }
    rc = rc ? rc
            : kafka_topic_ranges(place->admin, range->topic, range->partitions, until_ms,
                                 range->first, range->end, err);
    for (int i = 0; i < range->partitions && rc == 0; i++) {
        range->records += range->end[i] - range->first[i];
    }
    return rc;
}

static struct kafka_reader *open_reader(struct ops_place *place,
                                        const struct deadletters_range *range,
                                        struct err *err)
{
    const struct config *c = place->config;
    struct kafka_span spans[DEADLETTERS_PARTITIONS_MAX];
    for (int i = 0; i < range->partitions; i++) {
        spans[i] = (struct kafka_span){i, range->first[i], range->end[i]};
    }
    return kafka_reader_open(c->kafka.brokers, c->kafka.properties,
                             c->kafka.property_count, range->topic, spans,
                             (size_t)range->partitions, err);
}

/* --- what is dealt with --- */

static int read_handled(struct ops_place *place, struct json_object **handled,
                        struct err *err)
{
    struct str key;
    struct redis_value value;
    str_init(&key);
    ops_key(place->config, "handled", &key);
    struct redis_command command =
        redis_words(redis_until(place), true, "HGETALL", key.data, NULL);
    int rc = redis_ask(place->redis, &command, 1, &value, err);
    *handled = json_object_new_object();
    for (size_t i = 0; i + 1 < value.count && rc == 0; i += 2) {
        json_object_object_add(*handled, value.items[i].text,
                               json_object_new_string(value.items[i + 1].text));
    }
    redis_values_release(&value, 1);
    str_release(&key);
    if (rc) {
        err_wrap(err, "what is dealt with is in Redis");
    }
    return rc;
}

static const char *note_on(struct json_object *handled, const struct letter *letter)
{
    char place[PLACE_MAX];
    struct json_object *note;
    snprintf(place, sizeof place, "%d:%lld", letter->partition,
             (long long)letter->record->offset);
    return json_object_object_get_ex(handled, place, &note) ? json_object_get_string(note)
                                                            : NULL;
}

/* Forget what is noted on letters that the topic does not hold any more. Best effort. */
static void trim_handled(struct ops_place *place, const struct deadletters_range *range)
{
    struct str key;
    struct json_object *handled = NULL;
    if (read_handled(place, &handled, NULL)) {
        json_free(handled);
        return;
    }
    str_init(&key);
    ops_key(place->config, "handled", &key);
    struct redis_command command =
        redis_words(redis_until(place), true, "HDEL", key.data, NULL);
    json_object_object_foreach(handled, where, note)
    {
        (void)note;
        char *end;
        long partition = strtol(where, &end, 10);
        bool gone = *end != ':' || partition < 0 || partition >= range->partitions ||
                    strtoll(end + 1, NULL, 10) < range->first[partition];
        if (gone && command.arg_count < TRIM_A_CALL) {
            command.args[command.arg_count] = where;
            command.lens[command.arg_count++] = strlen(where);
        }
    }
    if (command.arg_count > 2) {
        redis_send(place->redis, &command, 1);
    }
    str_release(&key);
    json_free(handled);
}

/* --- walking --- */

int deadletters_walk(struct ops_place *place, const struct deadletters_range *range,
                     const struct letter_filter *filter, int64_t patience_ms,
                     deadletters_fn *fn, void *arg, struct err *err)
{
    struct json_object *handled = NULL;
    int rc = read_handled(place, &handled, err);
    struct kafka_reader *reader = rc ? NULL : open_reader(place, range, err);
    rc = rc ? rc : reader ? 0 : -EINVAL;
    bool more = rc == 0;
    while (more) {
        int partition;
        struct kafka_record *record = NULL;
        rc = kafka_reader_next(reader, now_ms() + patience_ms, &partition, &record, err);
        if (rc) {
            rc = rc == -EPIPE ? 0 : rc;
            break;
        }
        struct letter letter;
        letter_read(&letter, partition, range->topic, record);
        const char *note = note_on(handled, &letter);
        if (letter_matches(&letter, filter) && (!note || filter->handled)) {
            more = fn(arg, &letter, note);
        }
        letter_release(&letter);
    }
    kafka_reader_close(reader);
    json_free(handled);
    return rc;
}

/* --- listing --- */

struct listing {
    struct deadletters_list *list;
    size_t limit;
};

static struct deadletters_group *group_of(struct deadletters_list *list,
                                          const struct letter *letter)
{
    const char *reason = letter->foreign ? "foreign" : letter->reason;
    for (size_t i = 0; i < list->group_count; i++) {
        if (strcmp(list->groups[i].target, letter->target) == 0 &&
            strcmp(list->groups[i].reason, reason) == 0) {
            return &list->groups[i];
        }
    }
    if (list->group_count == DEADLETTERS_GROUPS_MAX) {
        return NULL;
    }
    list->groups =
        mem_resize(list->groups, (list->group_count + 1) * sizeof *list->groups);
    struct deadletters_group *group = &list->groups[list->group_count++];
    *group = (struct deadletters_group){.target = mem_strdup(letter->target),
                                        .reason = mem_strdup(reason),
                                        .oldest_ms = letter->at_ms};
    return group;
}

static bool list_letter(void *arg, struct letter *letter, const char *handled)
{
    struct listing *listing = arg;
    struct deadletters_list *list = listing->list;
    struct deadletters_group *group = group_of(list, letter);
    list->total++;
    if (group) {
        group->count++;
        group->oldest_ms =
            letter->at_ms < group->oldest_ms ? letter->at_ms : group->oldest_ms;
    }
    if (list->count < listing->limit) {
        list->rows[list->count++] =
            (struct deadletters_row){.letter = letter_summary(letter),
                                     .handled = mem_strdup(handled)};
    }
    return true;
}

static int more_first(const void *a, const void *b)
{
    const struct deadletters_group *x = a;
    const struct deadletters_group *y = b;
    return x->count > y->count ? -1 : x->count < y->count;
}

/* The counters that `status` shows follow the topic: only a whole walk knows. */
static void set_counters(struct ops_place *place, const struct deadletters_list *list)
{
    struct str key;
    char field[DEAD_FIELD_MAX];
    char count[24];
    str_init(&key);
    ops_key(place->config, "dead", &key);
    struct redis_command forget =
        redis_words(redis_until(place), true, "DEL", key.data, NULL);
    redis_send(place->redis, &forget, 1);
    for (size_t i = 0; i < list->group_count; i++) {
        const struct deadletters_group *group = &list->groups[i];
        history_dead_field(group->target[0] ? group->target : NULL, group->reason, field,
                           sizeof field);
        snprintf(count, sizeof count, "%lld", (long long)group->count);
        struct redis_command set =
            redis_words(redis_until(place), true, "HSET", key.data, field, count, NULL);
        redis_send(place->redis, &set, 1);
    }
    str_release(&key);
}

static bool is_whole(const struct letter_filter *f)
{
    return !f->target && !f->reason && !f->event && !f->redrive && !f->since_ms &&
           !f->until_ms && !f->handled && !f->also;
}

int deadletters_list(struct ops_place *place, const struct letter_filter *filter,
                     size_t limit, int64_t until_ms, struct deadletters_list *list,
                     struct err *err)
{
    struct deadletters_range range;
    struct listing listing = {.list = list, .limit = limit};
    *list = (struct deadletters_list){.rows = mem_array(limit + 1, sizeof *list->rows)};
    int rc = deadletters_range(place, until_ms, &range, err);
    rc = rc ? rc
            : deadletters_walk(place, &range, filter, DEADLETTERS_PATIENCE_MS,
                               list_letter, &listing, err);
    if (rc) {
        deadletters_list_release(list);
        return rc;
    }
    if (list->group_count) {
        qsort(list->groups, list->group_count, sizeof *list->groups, more_first);
    }
    if (is_whole(filter)) {
        set_counters(place, list);
        trim_handled(place, &range);
    }
    return 0;
}

void deadletters_list_release(struct deadletters_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        json_free(list->rows[i].letter);
        free(list->rows[i].handled);
    }
    for (size_t i = 0; i < list->group_count; i++) {
        free(list->groups[i].target);
        free(list->groups[i].reason);
    }
    free(list->rows);
    free(list->groups);
    *list = (struct deadletters_list){0};
}

static struct json_object *group_json(const struct deadletters_group *group)
{
    char oldest[NOW_TEXT_MAX];
    struct json_object *doc = json_object_new_object();
    now_rfc3339(group->oldest_ms, oldest);
    json_object_object_add(doc, "target",
                           group->target[0] ? json_object_new_string(group->target)
                                            : NULL);
    json_object_object_add(doc, "reason", json_object_new_string(group->reason));
    json_object_object_add(doc, "count", json_object_new_int64(group->count));
    json_object_object_add(doc, "oldest", json_object_new_string(oldest));
    json_object_object_add(doc, "oldest_ms", json_object_new_int64(group->oldest_ms));
    return doc;
}

struct json_object *deadletters_list_json(const struct deadletters_list *list)
{
    struct json_object *doc = json_object_new_object();
    struct json_object *groups = json_object_new_array();
    struct json_object *letters = json_object_new_array();
    for (size_t i = 0; i < list->group_count; i++) {
        json_object_array_add(groups, group_json(&list->groups[i]));
    }
    for (size_t i = 0; i < list->count; i++) {
        struct json_object *letter = json_object_get(list->rows[i].letter);
        const char *handled = list->rows[i].handled;
        json_object_object_add(letter, "handled",
                               handled ? json_object_new_string(handled) : NULL);
        json_object_array_add(letters, letter);
    }
    json_object_object_add(doc, "schema", json_object_new_string("sluice.deadletters/1"));
    json_object_object_add(doc, "total", json_object_new_int64(list->total));
    json_object_object_add(doc, "groups", groups);
    json_object_object_add(doc, "letters", letters);
    return doc;
}

/* --- showing --- */

struct showing {
    struct json_object *letters;
    bool one; /* there is at most one */
    int64_t offset;
};

static bool show_letter(void *arg, struct letter *letter, const char *handled)
{
    struct showing *showing = arg;
    if (showing->one && letter->record->offset != showing->offset) {
        return true;
    }
    struct json_object *doc = letter_json(letter);
    json_object_object_add(doc, "handled",
                           handled ? json_object_new_string(handled) : NULL);
    json_object_array_add(showing->letters, doc);
    return !showing->one;
}

/* "<partition>:<offset>" -> only that record. Returns false for anything else. */
static bool narrow(struct deadletters_range *range, const char *which,
                   struct showing *showing)
{
    char *end;
    int64_t offset;
    long partition = strtol(which, &end, 10);
    if (end == which || *end != ':' ||
        text_parse_int(end + 1, 0, INT64_MAX - 1, &offset)) {
        return false;
    }
    for (int i = 0; i < range->partitions; i++) {
        bool there =
            i == partition && offset >= range->first[i] && offset < range->end[i];
        range->first[i] = there ? offset : range->end[i];
        range->end[i] = there ? offset + 1 : range->end[i];
    }
    showing->one = true;
    showing->offset = offset;
    return true;
}

int deadletters_show(struct ops_place *place, const char *which, int64_t until_ms,
                     struct json_object **letters, struct err *err)
{
    struct deadletters_range range;
    struct letter_filter filter = {.handled = true};
    struct showing showing = {.letters = json_object_new_array()};
    int rc = deadletters_range(place, until_ms, &range, err);
    if (rc == 0 && !narrow(&range, which, &showing)) {
        filter.event = which;
    }
    rc = rc ? rc
            : deadletters_walk(place, &range, &filter, DEADLETTERS_PATIENCE_MS,
                               show_letter, &showing, err);
    if (rc) {
        json_free(showing.letters);
        return rc;
    }
    *letters = showing.letters;
    return 0;
}

/* --- dealing with them --- */

static int handle_some(struct ops_place *place, const struct deadletters_note *notes,
                       size_t n, const char *text, struct err *err)
{
    struct str keys[2];
    struct str fields[NOTES_A_CALL][2];
    struct redis_value value;
    struct redis_command command = {.script = redis_script_new(place->redis, handle_text),
                                    .key_count = 2,
                                    .deadline_ms = redis_until(place),
                                    .idempotent = true};
    static const char *const names[] = {"handled", "dead"};
    for (size_t i = 0; i < 2; i++) {
        str_init(&keys[i]);
        ops_key(place->config, names[i], &keys[i]);
        command.args[command.arg_count] = keys[i].data;
        command.lens[command.arg_count++] = keys[i].len;
    }
    command.args[command.arg_count] = text;
    command.lens[command.arg_count++] = strlen(text);
    for (size_t i = 0; i < n; i++) {
        str_init(&fields[i][0]);
        str_init(&fields[i][1]);
        str_addf(&fields[i][0], "%d:%lld", notes[i].partition,
                 (long long)notes[i].offset);
        char field[DEAD_FIELD_MAX];
        history_dead_field(notes[i].target[0] ? notes[i].target : NULL, notes[i].reason,
                           field, sizeof field);
        str_add(&fields[i][1], field);
        for (size_t k = 0; k < 2; k++) {
            command.args[command.arg_count] = fields[i][k].data;
            command.lens[command.arg_count++] = fields[i][k].len;
        }
    }
    int rc = redis_ask(place->redis, &command, 1, &value, err);
    redis_values_release(&value, 1);
    for (size_t i = 0; i < 2 * n; i++) {
        str_release(&fields[i / 2][i % 2]);
    }
    str_release(&keys[0]);
    str_release(&keys[1]);
    return rc;
}

int deadletters_handle(struct ops_place *place, const struct deadletters_note *notes,
                       size_t n, const char *note, struct err *err)
{
    struct str text;
    str_init(&text);
    str_addf(&text, "%s %lld", note, (long long)now_wall_ms());
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i += NOTES_A_CALL) {
        size_t some = n - i < NOTES_A_CALL ? n - i : NOTES_A_CALL;
        rc = handle_some(place, notes + i, some, text.data, err);
    }
    str_release(&text);
    return rc;
}

struct dropping {
    struct ops_place *place;
    char note[160];
    int64_t count;
    bool marks;
    struct err *err;
    int rc;
};

static bool drop_letter(void *arg, struct letter *letter, const char *handled)
{
    (void)handled;
    struct dropping *d = arg;
    if (d->marks) {
        struct deadletters_note note = {letter->partition, letter->record->offset,
                                        letter->target,
                                        letter->foreign ? "foreign" : letter->reason};
        d->rc = deadletters_handle(d->place, &note, 1, d->note, d->err);
    }
    d->count += d->rc == 0;
    return d->rc == 0;
}

int deadletters_drop(struct ops_place *place, const struct letter_filter *filter,
                     const struct drop_options *options, int64_t until_ms,
                     int64_t *dropped, struct err *err)
{
    struct deadletters_range range;
    struct dropping d = {.place = place, .err = err};
    snprintf(d.note, sizeof d.note, "dropped %s", place->who);
    int rc = deadletters_range(place, until_ms, &range, err);
    rc = rc ? rc
            : deadletters_walk(place, &range, filter, DEADLETTERS_PATIENCE_MS,
                               drop_letter, &d, err);
    *dropped = d.count;
    if (rc || options->dry_run) {
        return rc;
    }
    if (d.count > options->max) {
        return err_set(err, -EINVAL, "%lld letters match, more than %lld",
                       (long long)d.count, (long long)options->max);
    }
    d.marks = true;
    d.count = 0;
    rc = deadletters_walk(place, &range, filter, DEADLETTERS_PATIENCE_MS, drop_letter, &d,
                          err);
    *dropped = d.count;
    char text[256];
    snprintf(text, sizeof text, "%lld dead letters dropped by %s", (long long)d.count,
             place->who);
    audit_write(place, &(struct audit){"drop", range.topic, options->why, text, 0});
    return rc ? rc : d.rc;
}

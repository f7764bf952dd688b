#include "demo_books.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdict_names[] = {"triggered", "duplicate", "skipped",
                                            "deferred",  "dead",      "returned"};

/* --- a batch --- */

static int64_t number_at(struct json_object *doc, const char *pointer)
{
    struct json_object *value = json_at(doc, pointer);
    return value ? json_object_get_int64(value) : 0;
}

bool books_read_batch(struct json_object *line, struct books_batch *batch)
{
    const char *msg = json_string_at(line, "/msg", NULL);
    *batch = (struct books_batch){.topic = json_string_at(line, "/topic", NULL)};
    if (!msg || strcmp(msg, "batch") != 0 || !batch->topic) {
        return false;
    }
    batch->partition = number_at(line, "/partition");
    batch->offset = number_at(line, "/offset");
    batch->events = number_at(line, "/events");
    batch->settled = number_at(line, "/settled");
    batch->took_ms = number_at(line, "/took_ms");
    for (size_t v = 0; v < BOOKS_VERDICTS; v++) {
        char pointer[16];
        snprintf(pointer, sizeof pointer, "/%s", verdict_names[v]);
        batch->verdicts[v] = number_at(line, pointer);
    }
    return true;
}

/* --- offsets --- */

void books_cover_add(struct books_cover *cover, int64_t from, int64_t to)
{
    size_t at = 0;
    if (from >= to) {
        return;
    }
    while (at < cover->count && cover->spans[at].to < from) {
        at++;
    }
    size_t end = at; /* spans [at, end) touch the new one and become part of it */
    while (end < cover->count && cover->spans[end].from <= to) {
        from = cover->spans[end].from < from ? cover->spans[end].from : from;
        to = cover->spans[end].to > to ? cover->spans[end].to : to;
        end++;
    }
    if (end == at && cover->count == BOOKS_SPANS_MAX) {
        cover->overflown = true;
        return;
    }
    memmove(&cover->spans[at + 1], &cover->spans[end],
            (cover->count - end) * sizeof cover->spans[0]);
    cover->count = cover->count + 1 - (end - at);
    cover->spans[at].from = from;
    cover->spans[at].to = to;
}

int64_t books_cover_missing(const struct books_cover *cover, int64_t end)
{
    int64_t missing = end;
    for (size_t i = 0; i < cover->count; i++) {
        int64_t to = cover->spans[i].to < end ? cover->spans[i].to : end;
        missing -= to > cover->spans[i].from ? to - cover->spans[i].from : 0;
    }
    return missing;
}

int64_t books_unsettled(const struct books *books, bool source)
{
    int64_t n = 0;
    for (size_t t = 0; t < books->topic_count; t++) {
        const struct books_topic *topic = &books->topics[t];
        for (int p = 0; topic->source == source && p < topic->partitions; p++) {
            n += books_cover_missing(&topic->partition[p].cover, topic->partition[p].end);
        }
    }
    return n;
}

/* --- entries --- */

struct books_topic *books_topic(struct books *books, const char *name)
{
    for (size_t t = 0; t < books->topic_count; t++) {
        if (strcmp(books->topics[t].name, name) == 0) {
            return &books->topics[t];
        }
    }
    return NULL;
}

bool books_enter_batch(struct books *books, struct books_worker *worker,
                       const struct books_batch *batch)
{
    struct books_topic *topic = books_topic(books, batch->topic);
    if (!topic || batch->partition < 0 || batch->partition >= topic->partitions) {
        return false;
    }
    books_cover_add(&topic->partition[batch->partition].cover, batch->offset,
                    batch->offset + batch->settled);
    worker->logged_events += batch->events;
    worker->logged_settled += batch->settled;
    for (size_t v = 0; v < BOOKS_VERDICTS; v++) {
        worker->logged[v] += batch->verdicts[v];
    }
    return true;
}

/* events read, settled or returned, of one partition. Returns false for another sample.
 */
static bool enter_events(struct books *books, struct books_worker *worker,
                         const struct books_sample *sample)
{
    char name[BOOKS_TOPIC_NAME_MAX];
    char number[16];
    int64_t partition = 0;
    int64_t value = (int64_t)sample->value;
    bool read = books_sample_is(sample, "sluice_events_read_total");
    bool settled = books_sample_is(sample, "sluice_events_settled_total");
    bool returned = books_sample_is(sample, "sluice_events_returned_total");
    if (!read && !settled && !returned) {
        return false;
    }
    *(read ? &worker->read : settled ? &worker->settled : &worker->returned) += value;
    struct books_topic *topic = books_sample_label(sample, "topic", name, sizeof name)
                                    ? books_topic(books, name)
                                    : NULL;
    if (topic && books_sample_label(sample, "partition", number, sizeof number) &&
        text_parse_int(number, 0, topic->partitions - 1, &partition) == 0) {
        struct books_partition *p = &topic->partition[partition];
        *(read ? &p->read : settled ? &p->settled : &p->returned) += value;
    }
    return true;
}

static void enter_unit(struct books_worker *worker, const struct books_sample *sample)
{
    char verdict[16];
    if (!books_sample_label(sample, "verdict", verdict, sizeof verdict)) {
        return;
    }
    for (size_t v = 0; v < BOOKS_VERDICTS; v++) {
        if (strcmp(verdict, verdict_names[v]) == 0) {
            worker->counted[v] += (int64_t)sample->value;
        }
    }
}

void books_enter_metrics(struct books *books, struct books_worker *worker,
                         const char *text)
{
    struct books_sample sample;
    char code[8];
    worker->scraped = true;
    while (books_next_sample(&text, &sample)) {
        if (enter_events(books, worker, &sample)) {
            continue;
        }
        if (books_sample_is(&sample, "sluice_units_total")) {
            enter_unit(worker, &sample);
        } else if (books_sample_is(&sample, "sluice_events_in_flight")) {
            worker->in_flight_events += (int64_t)sample.value;
        } else if (books_sample_is(&sample, "sluice_units_in_flight")) {
            worker->in_flight_units += (int64_t)sample.value;
        } else if (books_sample_is(&sample, "sluice_trigger_requests_total") &&
                   books_sample_label(&sample, "code", code, sizeof code) &&
                   strcmp(code, "none") == 0) {
            worker->unanswered += (int64_t)sample.value;
        }
    }
}

/* --- the balance --- */

struct sums {
    int64_t logged[BOOKS_VERDICTS];
    int64_t unanswered;
    int died;
};

static struct sums sum_workers(const struct books *books)
{
    struct sums sums = {0};
    for (size_t w = 0; w < books->worker_count; w++) {
        const struct books_worker *worker = &books->workers[w];
        sums.died += worker->died;
        sums.unanswered += worker->unanswered;
        for (size_t v = 0; v < BOOKS_VERDICTS; v++) {
            sums.logged[v] += worker->logged[v];
        }
    }
    return sums;
}

/* P8, and that the log tells what the metrics tell. */
static void check_worker(const struct books_worker *w, struct str *faults)
{
    int64_t units = w->in_flight_units;
    for (size_t v = 0; v < BOOKS_VERDICTS; v++) {
        units += w->counted[v];
        if (w->counted[v] != w->logged[v]) {
            str_addf(faults,
                     "%s: its metrics count %" PRId64 " %s, its log %" PRId64 "\n",
                     w->name, w->counted[v], verdict_names[v], w->logged[v]);
        }
    }
    if (w->read != w->settled + w->returned + w->in_flight_events) {
        str_addf(faults,
                 "%s: events read %" PRId64 ", settled %" PRId64 ", returned %" PRId64
                 ", in flight %" PRId64 "\n",
                 w->name, w->read, w->settled, w->returned, w->in_flight_events);
    }
    if (units != w->read) {
        str_addf(faults,
                 "%s: events read %" PRId64 ", units with a verdict or in flight %" PRId64
                 "\n",
                 w->name, w->read, units);
    }
}

/* At a quiet moment nothing is in flight, so the parts are equal partition by partition.
 */
static void check_partitions(const struct books *books, struct str *faults)
{
    for (size_t t = 0; t < books->topic_count; t++) {
        const struct books_topic *topic = &books->topics[t];
        for (int p = 0; p < topic->partitions; p++) {
            const struct books_partition *part = &topic->partition[p];
            if (part->read != part->settled + part->returned) {
                str_addf(faults,
                         "%s[%d]: events read %" PRId64 ", settled %" PRId64
                         ", returned %" PRId64 "\n",
                         topic->name, p, part->read, part->settled, part->returned);
            }
            if (part->cover.overflown) {
                str_addf(faults, "%s[%d]: settled in too many pieces to follow\n",
                         topic->name, p);
            }
        }
    }
}

/* A call that was accepted and not recorded is made again: the workers that died and the
 * answers that never came explain so many. */
static void check_target(const struct books_outside *o, const struct sums *sums,
                         struct books_balance *b)
{
    bool explained = sums->died > 0 || sums->unanswered > 0;
    int64_t twice = o->accepted - o->accepted_keys;
    if (o->accepted != o->accepted_stat) {
        str_addf(&b->faults,
                 "the target's /stats has %" PRId64 " accepted calls, its log %" PRId64
                 "\n",
                 o->accepted_stat, o->accepted);
    }
    if (twice > 0 || o->keys_accepted_twice > 0) {
        struct str *out = explained ? &b->notes : &b->faults;
        str_addf(out,
                 "%" PRId64
                 " units were taken more than once, each with the same idempotency key\n",
                 o->keys_accepted_twice);
    }
    if (o->accepted_keys != sums->logged[BOOKS_TRIGGERED] && !explained) {
        str_addf(&b->faults,
                 "the target took %" PRId64 " units, the workers triggered %" PRId64 "\n",
                 o->accepted_keys, sums->logged[BOOKS_TRIGGERED]);
    }
    if (o->dead != sums->logged[BOOKS_DEAD] && sums->died == 0) {
        str_addf(&b->faults,
                 "the dead-letter topic holds %" PRId64
                 " records, the workers count %" PRId64 "\n",
                 o->dead, sums->logged[BOOKS_DEAD]);
    }
}

static void check_publisher(int64_t acknowledged, struct books_balance *b)
{
    int64_t more = b->published - acknowledged;
    if (more < 0) {
        str_addf(&b->faults,
                 "the publisher was told that %" PRId64
                 " events are stored, Kafka holds %" PRId64 "\n",
                 acknowledged, b->published);
    } else if (more > 0) {
        str_addf(&b->notes, "%" PRId64 " events were published by somebody else\n", more);
    }
}

static int64_t count_published(const struct books *books)
{
    int64_t n = 0;
    for (size_t t = 0; t < books->topic_count; t++) {
        for (int p = 0; books->topics[t].source && p < books->topics[t].partitions; p++) {
            n += books->topics[t].partition[p].end;
        }
    }
    return n;
}

void books_balance(const struct books *books, struct books_balance *b)
{
    struct sums sums = sum_workers(books);
    *b = (struct books_balance){
        .published = count_published(books),
        .triggered = books->outside.accepted_keys,
        .duplicate = sums.logged[BOOKS_DUPLICATE],
        .skipped = sums.logged[BOOKS_SKIPPED],
        .dead = books->outside.dead,
        .waiting = books_unsettled(books, true) + books_unsettled(books, false),
    };
    str_init(&b->faults);
    str_init(&b->notes);
    int64_t lost =
        b->published - b->triggered - b->duplicate - b->skipped - b->dead - b->waiting;
    /* What a worker had done and not committed when it died is delivered again and ends
     * as one more duplicate. */
    b->lost = lost > 0 ? lost : 0;
    bool redelivered = sums.died > 0 || sums.logged[BOOKS_RETURNED] > 0;
    if (lost > 0) {
        str_addf(&b->faults, "%" PRId64 " events ended nowhere\n", lost);
    } else if (lost < 0 && !redelivered) {
        str_addf(&b->faults, "%" PRId64 " more ends than events\n", -lost);
    } else if (lost < 0) {
        str_addf(&b->notes,
                 "%" PRId64 " events were delivered again, and not triggered again\n",
                 -lost);
    }
    for (size_t w = 0; w < books->worker_count; w++) {
        if (books->workers[w].scraped) {
            check_worker(&books->workers[w], &b->faults);
        } else if (!books->workers[w].died) {
            str_addf(&b->faults, "%s: its metrics could not be read\n",
                     books->workers[w].name);
        }
    }
    check_partitions(books, &b->faults);
    check_publisher(books->outside.acknowledged, b);
    check_target(&books->outside, &sums, b);
}

void books_balance_release(struct books_balance *balance)
{
    str_release(&balance->faults);
    str_release(&balance->notes);
}

/* --- small tools --- */

bool books_next_sample(const char **text, struct books_sample *sample)
{
    const char *line = *text;
    while (*line == '#' || *line == '\n') {
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    if (*line == '\0') {
        *text = line;
        return false;
    }
    *sample = (struct books_sample){.name = line, .name_len = strcspn(line, "{ \n")};
    const char *rest = line + sample->name_len;
    if (*rest == '{') {
        sample->labels = ++rest;
        bool quoted = false;
        while (*rest != '\0' && (quoted || *rest != '}')) {
            quoted ^= *rest == '"';
            rest += *rest == '\\' && rest[1] != '\0' ? 2 : 1;
        }
        sample->labels_len = (size_t)(rest - sample->labels);
        rest += *rest == '}';
    }
    char *end;
    sample->value = strtod(rest, &end);
    sample->value = isfinite(sample->value) ? sample->value : 0;
    end += strcspn(end, "\n");
    *text = end + (*end == '\n');
    return true;
}

bool books_sample_is(const struct books_sample *sample, const char *name)
{
    return strlen(name) == sample->name_len &&
           memcmp(name, sample->name, sample->name_len) == 0;
}

bool books_sample_label(const struct books_sample *sample, const char *label, char *value,
                        size_t len)
{
    size_t label_len = strlen(label);
    const char *at = sample->labels;
    const char *end = at ? at + sample->labels_len : at;
    while (at && at < end) {
        size_t name_len = strcspn(at, "=");
        const char *text = at + name_len + 2; /* ="  */
        const char *close = text;
        while (close < end && *close != '"') {
            close += *close == '\\' ? 2 : 1;
        }
        if (text > end || close > end) {
            return false;
        }
        if (name_len == label_len && memcmp(at, label, label_len) == 0) {
            snprintf(value, len, "%.*s", (int)(close - text), text);
            return true;
        }
        at = close + 1;
        at += at < end && *at == ',';
    }
    return false;
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;
    return (*x > *y) - (*x < *y);
}

int64_t books_quantile(int64_t *values, size_t n, double share)
{
    if (n == 0) {
        return 0;
    }
    qsort(values, n, sizeof *values, compare);
    double rank = ceil(share * (double)n);
    size_t i = rank < 1 ? 0 : (size_t)rank - 1;
    return values[i < n ? i : n - 1];
}

void books_add_number(struct str *out, int64_t number)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRId64, number < 0 ? -number : number);
    if (number < 0) {
        str_addc(out, '-');
    }
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            str_addc(out, ',');
        }
        str_addc(out, digits[i]);
    }
}

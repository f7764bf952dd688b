/* The end of the demo: Kafka, the target and the workers are asked for their figures, and
 * the books are balanced. */
#include "demo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/now.h"
#include "demo_calls.h"
#include "demo_get.h"
#include "wire/kafka_admin.h"

enum { GET_MS = 3000 };

/* --- Kafka --- */

static int count_topic(struct kafka_admin *admin, struct books_topic *topic,
                       int64_t until_ms, struct err *err)
{
    int rc = 0;
    for (int p = 0; p < topic->partitions && rc == 0; p++) {
        int64_t first;
        rc = kafka_topic_range(admin, topic->name, p, until_ms, &first,
                               &topic->partition[p].end, err);
    }
    return rc;
}

static int count_dead(struct demo *d, struct kafka_admin *admin, int64_t until_ms,
                      struct err *err)
{
    int rc = 0;
    int64_t dead = 0;
    for (int p = 0; p < DEMO_SIDE_PARTITIONS && rc == 0; p++) {
        int64_t first;
        int64_t end = 0;
        rc = kafka_topic_range(admin, DEMO_TOPIC "." DEMO_GROUP ".dlq", p, until_ms,
                               &first, &end, err);
        dead += end;
    }
    d->books.outside.dead = dead;
    return rc;
}

int demo_count_records(struct demo *d, int64_t until_ms, struct err *err)
{
    int rc = 0;
    struct kafka_admin *admin = kafka_admin_open(d->bootstrap, NULL, 0, err);
    if (!admin) {
        return -EINVAL;
    }
    for (size_t t = 0; t < d->books.topic_count && rc == 0; t++) {
        rc = count_topic(admin, &d->books.topics[t], until_ms, err);
    }
    rc = rc ? rc : count_dead(d, admin, until_ms, err);
    kafka_admin_close(admin);
    return rc;
}

/* --- the workers and the target --- */

void demo_read_metrics(struct demo *d)
{
    struct str body;
    str_init(&body);
    for (int i = 0; i < d->flags.consumers; i++) {
        struct demo_consumer *c = &d->consumers[i];
        struct err err = ERR_INIT;
        if (c->child->ended) {
            continue;
        }
        if (demo_get(c->port, "/metrics", now_ms() + GET_MS, &body, &err)) {
            fprintf(stderr, "%s: %s: %s\n", d->program, c->child->name, err.text);
            continue;
        }
        books_enter_metrics(&d->books, &d->books.workers[i], body.data);
    }
    str_release(&body);
}

static int read_stats(struct demo *d, struct err *err)
{
    struct books_outside *o = &d->books.outside;
    struct json_object *doc = NULL;
    struct str body;
    str_init(&body);
    int rc = demo_get(d->target_port, "/stats", now_ms() + GET_MS, &body, err);
    rc = rc ? rc : json_parse(body.data, body.len, &doc, err);
    if (rc == 0) {
        o->accepted_stat = json_object_get_int64(json_at(doc, "/accepted"));
        o->keys_accepted_twice =
            json_object_get_int64(json_at(doc, "/keys_accepted_twice"));
    }
    json_free(doc);
    str_release(&body);
    return rc;
}

/* --- the outcome --- */

static void add_count(struct str *out, const char *name, int64_t n, bool always)
{
    if (n > 0 || always) {
        str_addf(out, "%s%s ", out->len > 0 ? " · " : "", name);
        books_add_number(out, n);
    }
}

static void add_quantile(struct str *out, const char *name, struct demo_calls *calls,
                         double share)
{
    int64_t ms = books_quantile(calls->took_ms, calls->took_count, share);
    str_addf(out, " · %s ", name);
    if (calls->took_count > 0) {
        str_addf(out, "%.2f s", (double)ms / 1000);
    } else {
        str_addc(out, '-');
    }
}

static void print_summary(const struct books_balance *b, struct demo_calls *calls)
{
    struct str line;
    str_init(&line);
    add_count(&line, "published", b->published, true);
    add_count(&line, "triggered", b->triggered, true);
    add_count(&line, "duplicate", b->duplicate, false);
    add_count(&line, "skipped", b->skipped, false);
    add_count(&line, "dead", b->dead, true);
    add_count(&line, "waiting", b->waiting, false);
    add_count(&line, "lost", b->lost, true);
    add_quantile(&line, "p50", calls, 0.50);
    add_quantile(&line, "p95", calls, 0.95);
    printf("%s\n", line.data);
    str_release(&line);
}

/* A line of `lines` each, behind a word. */
static void print_each(const char *word, const struct str *lines)
{
    const char *line = lines->data;
    while (*line != '\0') {
        int len = (int)strcspn(line, "\n");
        printf("%s: %.*s\n", word, len, line);
        line += len;
        line += *line == '\n';
    }
}

/* Every consumer was asked to end; how did it? */
static void check_ends(const struct demo *d, struct books_balance *b)
{
    for (int i = 0; i < d->flags.consumers; i++) {
        const struct child *child = d->consumers[i].child;
        bool given_back = child_exit_code(child) == EXIT_AGAIN && b->waiting > 0;
        if (!child->asked || (child->ended && child_exit_code(child) == 0) ||
            (child->ended && given_back)) {
            continue;
        }
        str_addf(&b->faults, "%s ", child->name);
        if (child->ended) {
            child_describe_end(child, &b->faults);
            str_add(&b->faults, " when it was asked to drain; its last line: ");
            demo_add_words(&b->faults, child->last);
        } else {
            str_add(&b->faults, "did not end when it was asked to drain");
        }
        str_addc(&b->faults, '\n');
    }
}

int demo_judge(struct demo *d)
{
    struct demo_calls calls;
    struct books_balance balance;
    struct err err = ERR_INIT;
    int rc = demo_calls_read(d->calls_path, &calls, &err);
    d->books.outside.accepted = calls.accepted;
    d->books.outside.accepted_keys = calls.keys;
    rc = rc ? rc : read_stats(d, &err);
    books_balance(&d->books, &balance);
    if (rc) {
        str_addf(&balance.faults, "%s\n", err.text);
    }
    check_ends(d, &balance);
    print_each("note", &balance.notes);
    print_each("fault", &balance.faults);
    print_summary(&balance, &calls);
    int code = balance.faults.len > 0 ? EXIT_BUG : balance.waiting > 0 ? EXIT_AGAIN : 0;
    if (code == EXIT_BUG) {
        printf("%sThe books do not balance.%s\n", d->show.paint.bad, d->show.paint.off);
    } else if (code == EXIT_AGAIN) {
        printf("What waits is in Kafka, neither lost nor triggered.\n");
    }
    books_balance_release(&balance);
    demo_calls_release(&calls);
    return code;
}

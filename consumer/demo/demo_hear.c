/* What the demo's processes say, line by line, and what it means when one ends. */
#include "demo.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/now.h"

/* --- consumers --- */

/* Its number, or -1 when the child is no consumer. */
static int number_of(const struct demo *d, const struct child *child)
{
    for (int i = 0; i < d->flags.consumers; i++) {
        if (d->consumers[i].child == child) {
            return i;
        }
    }
    return -1;
}

int demo_count_consumers(const struct demo *d)
{
    int n = 0;
    for (int i = 0; i < d->flags.consumers; i++) {
        n += d->consumers[i].child && !d->consumers[i].child->ended;
    }
    return n;
}

int demo_count_partitions(const struct demo *d)
{
    int n = 0;
    for (int i = 0; i < d->flags.consumers; i++) {
        n += d->consumers[i].partitions;
    }
    return n;
}

/* A partition that was a dead consumer's shows up with another one. */
static void watch_owner(struct demo *d, int consumer, const struct books_batch *batch)
{
    const struct books_topic *topic = books_topic(&d->books, batch->topic);
    if (!topic || batch->partition < 0 || batch->partition >= topic->partitions) {
        return;
    }
    int *owner = &d->owner[topic - d->books.topics][batch->partition];
    if (*owner >= 0 && *owner != consumer && d->consumers[*owner].child->ended) {
        demo_say(d, "%s[%d] went from %s to %s", topic->name, (int)batch->partition,
                 d->consumers[*owner].child->name, d->consumers[consumer].child->name);
    }
    *owner = consumer;
}

static void hear_batch(struct demo *d, int consumer, const struct books_batch *batch)
{
    const struct child *child = d->consumers[consumer].child;
    if (!books_enter_batch(&d->books, &d->books.workers[consumer], batch)) {
        demo_mention(d, "%s works on a partition that is not the demo's: %s[%d]",
                     child->name, batch->topic, (int)batch->partition);
        return;
    }
    if (batch->verdicts[BOOKS_TRIGGERED] > 0 && d->first_trigger_ms == 0) {
        d->first_trigger_ms = now_ms();
        demo_say(d, "%sfirst trigger after %.1f s%s", d->show.paint.bold,
                 (double)(d->first_trigger_ms - d->started_ms) / 1000, d->show.paint.off);
    }
    watch_owner(d, consumer, batch);
    demo_show_batch(d, child, batch);
}

static int int_at(struct json_object *line, const char *pointer)
{
    struct json_object *value = json_at(line, pointer);
    return value ? json_object_get_int(value) : 0;
}

static void hear_group(struct demo *d, struct demo_consumer *c, int partitions)
{
    bool again = c->assigned && partitions > 0 && demo_count_consumers(d) > 0;
    if (again) {
        demo_mention(d, "%s now has %d partitions", c->child->name, partitions);
    }
    c->assigned = c->assigned || partitions >= 0;
    c->partitions = partitions > 0 ? partitions : 0;
}

/* What a real broker would not bring: the mock cluster lacks requests that librdkafka
 * asks for, and refuses commits while the group changes. */
static bool is_mock_weather(const char *msg)
{
    return strcmp(msg, "kafka client") == 0 || text_starts(msg, "commit failed");
}

/* A worker warns. */
static void hear_trouble(struct demo *d, const struct child *child, const char *msg,
                         const char *level, struct json_object *line)
{
    int suppressed = int_at(line, "/suppressed");
    struct str words;
    bool of_a_unit =
        strcmp(msg, "trigger failed") == 0 || strcmp(msg, "dead letter") == 0;
    if (is_mock_weather(msg) || (d->show.quiet && of_a_unit)) {
        return;
    }
    if (suppressed > 0) {
        demo_mention(d, "%s says \"%s\" %d more times", child->name, msg, suppressed);
        return;
    }
    if (strcmp(msg, "trigger failed") == 0) {
        demo_show_failure(d, child, line);
        return;
    }
    str_init(&words);
    demo_add_words(&words, child->last);
    demo_mention(d, "%s %s: %s", child->name, level, words.data);
    str_release(&words);
}

static void hear_consumer(struct demo *d, int consumer, struct json_object *line)
{
    struct demo_consumer *c = &d->consumers[consumer];
    const char *msg = json_string_at(line, "/msg", NULL);
    const char *level = json_string_at(line, "/level", NULL);
    struct books_batch batch;
    if (!msg || !level) {
        return;
    }
    if (books_read_batch(line, &batch)) {
        hear_batch(d, consumer, &batch);
    } else if (text_starts(msg, "admin port")) {
        c->port = int_at(line, "/port");
    } else if (strcmp(msg, "assigned") == 0) {
        hear_group(d, c, int_at(line, "/partitions"));
    } else if (strcmp(msg, "revoked") == 0 || strcmp(msg, "assignment lost") == 0) {
        c->partitions = 0;
    } else if (strcmp(level, "warn") == 0 || strcmp(level, "error") == 0) {
        hear_trouble(d, c->child, msg, level, line);
    }
}

/* --- the other parts --- */

static void hear_broker(struct demo *d, const char *line)
{
    if (text_starts(line, "bootstrap ")) {
        snprintf(d->bootstrap, sizeof d->bootstrap, "%s", line + strlen("bootstrap "));
    }
}

static void said(void *arg, struct child *child, const char *line)
{
    struct demo *d = arg;
    struct json_object *doc = NULL;
    int consumer = number_of(d, child);
    if (child == d->broker) {
        hear_broker(d, line);
        return;
    }
    if ((consumer < 0 && child != d->target && child != d->console && child != d->load) ||
        json_parse(line, strlen(line), &doc, NULL) != 0) {
        return; /* kept as its last line */
    }
    if (consumer >= 0) {
        hear_consumer(d, consumer, doc);
    } else if (child == d->load) {
        struct json_object *acked = json_at(doc, "/acked");
        d->books.outside.acknowledged = acked ? json_object_get_int64(acked) : 0;
    } else if (child == d->console) {
        d->console_port = d->console_port ? d->console_port : int_at(doc, "/port");
    } else if (d->target_port == 0) {
        d->target_port = int_at(doc, "/port");
    }
    json_free(doc);
}

/* --- ends --- */

/* By a hand from outside, not by itself. */
static bool was_ended_by_hand(const struct child *child)
{
    int number = WIFSIGNALED(child->status) ? WTERMSIG(child->status) : 0;
    int code = child_exit_code(child);
    return number == SIGKILL || number == SIGTERM || number == SIGINT || code == 0 ||
           code == EXIT_AGAIN;
}

static void consumer_ended(struct demo *d, int consumer)
{
    struct demo_consumer *c = &d->consumers[consumer];
    struct str how;
    c->partitions = 0;
    if (c->child->asked) {
        return;
    }
    d->books.workers[consumer].died = true;
    if (!was_ended_by_hand(c->child) || demo_count_consumers(d) == 0) {
        d->culprit = c->child;
        return;
    }
    str_init(&how);
    child_describe_end(c->child, &how);
    demo_say(d, "%s%s %s%s: its partitions go to the others", d->show.paint.warn,
             c->child->name, how.data, d->show.paint.off);
    str_release(&how);
}

static void ended(void *arg, struct child *child)
{
    struct demo *d = arg;
    int consumer = number_of(d, child);
    if (consumer >= 0) {
        consumer_ended(d, consumer);
        return;
    }
    bool load_is_over = child == d->load && child_exit_code(child) == 0;
    bool in_order = child == d->load ? load_is_over : child->asked;
    if (!in_order && !d->culprit) {
        d->culprit = child;
    }
}

static void signalled(void *arg, int number)
{
    struct demo *d = arg;
    d->signals++;
    d->signal_number = number;
}

void demo_listen(struct demo *d)
{
    d->children.said = said;
    d->children.ended = ended;
    d->children.signalled = signalled;
    d->children.arg = d;
}

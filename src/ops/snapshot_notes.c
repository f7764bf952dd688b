/* What to say about a frame: notes with the next step, and one line on the whole. Read
 * off the frame alone, so whoever has a frame can check what is said about it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ops/put.h"
#include "ops/words.h"
#include "snapshot_inside.h"

enum {
    NOTES_MAX = 50,
    STUCK_BATCH_MS = 30000, /* a batch that long at its barrier is worth a word */
    BLOCKED_MS = 5000,
    NAMED_MAX = 4, /* partitions named in one note */
    DEAD_NAMED_MAX = 3,
};

enum level { LEVEL_INFO, LEVEL_WARN, LEVEL_BAD };
static const char *const levels[] = {"info", "warn", "bad"};

struct notes {
    struct json_object *list;
    enum level worst;
    char trouble[ERR_TEXT_MAX]; /* the first of the worst, for the verdict */
};

/* about: who, or "". text is put after it: "<about> <text>" is a sentence. short_text:
 * for the verdict's line; NULL: text. */
static void note(struct notes *notes, enum level level, const char *about,
                 const char *text, const char *short_text)
{
    if (level > notes->worst || (level > LEVEL_INFO && notes->trouble[0] == '\0')) {
        notes->worst = level;
        snprintf(notes->trouble, sizeof notes->trouble, "%s%s%s", about,
                 about[0] ? " " : "", short_text ? short_text : text);
    }
    if (json_object_array_length(notes->list) == NOTES_MAX) {
        return;
    }
    struct json_object *o = json_object_new_object();
    put_text(o, "about", about);
    put_text(o, "level", levels[level]);
    put_text(o, "text", text);
    json_object_array_add(notes->list, o);
}

static struct json_object *item(struct json_object *list, size_t i)
{
    return json_object_array_get_idx(list, i);
}

static bool is(struct json_object *o, const char *name, const char *text)
{
    return strcmp(beat_text_of(o, name), text) == 0;
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

/* --- consumers --- */

static bool listed_as_owner(struct json_object *frame, struct json_object *partition)
{
    size_t n;
    struct json_object *all = beat_list_of(frame, "partitions", &n);
    for (size_t i = 0; i < n; i++) {
        struct json_object *p = item(all, i);
        if (beat_count_of(p, "partition") == beat_count_of(partition, "partition") &&
            is(p, "topic", beat_text_of(partition, "topic"))) {
            return beat_text_of(p, "owner")[0] != '\0';
        }
    }
    return false;
}

static void note_gone(struct notes *notes, struct json_object *frame,
                      struct json_object *consumer)
{
    size_t n;
    int64_t left = 0;
    struct str text;
    struct json_object *partitions = beat_list_of(consumer, "partitions", &n);
    for (size_t i = 0; i < n; i++) {
        left += !listed_as_owner(frame, item(partitions, i));
    }
    str_init(&text);
    str_add(&text, "is gone: no heartbeat for ");
    words_span_ms(&text, beat_count_of(consumer, "age_ms"));
    if (left > 0) {
        str_addf(&text, ", %" PRId64 " of its partitions %s no owner", left,
                 left == 1 ? "has" : "have");
    } else if (n > 0) {
        str_addf(&text, ", others took over its %zu partition%s", n, plural((int64_t)n));
    }
    note(notes, left > 0 ? LEVEL_WARN : LEVEL_INFO, beat_text_of(consumer, "id"),
         text.data, "is gone");
    str_release(&text);
}

static void note_late(struct notes *notes, struct json_object *consumer)
{
    struct str text;
    str_init(&text);
    str_add(&text, "is late: no heartbeat for ");
    words_span_ms(&text, beat_count_of(consumer, "age_ms"));
    str_addf(&text, "; look at its log on %s", beat_text_of(consumer, "host"));
    note(notes, LEVEL_WARN, beat_text_of(consumer, "id"), text.data, "is late");
    str_release(&text);
}

static void note_idle(struct notes *notes, struct json_object *frame,
                      struct json_object *consumer)
{
    char text[160];
    int64_t all = beat_count_of(json_at(frame, "/totals"), "partitions");
    if (json_at(frame, "/totals/unowned") &&
        beat_count_of(json_at(frame, "/totals"), "unowned") > 0) {
        return; /* the group is still being divided */
    }
    snprintf(text, sizeof text,
             "is idle: %" PRId64
             " partitions, all owned; add partitions or run fewer consumers",
             all);
    note(notes, LEVEL_INFO, beat_text_of(consumer, "id"), text, NULL);
}

/* Of a consumer's batches only the one that has waited longest. */
static void note_batches(struct notes *notes, struct json_object *consumer)
{
    size_t n;
    int64_t longest = STUCK_BATCH_MS;
    int64_t blocked = 0;
    struct json_object *worst = NULL;
    struct json_object *partitions = beat_list_of(consumer, "partitions", &n);
    for (size_t i = 0; i < n; i++) {
        struct json_object *batch = json_at(item(partitions, i), "/batch");
        int64_t for_ms = batch ? beat_count_of(batch, "for_ms") : 0;
        blocked += batch && is(batch, "state", "blocked") && for_ms > BLOCKED_MS;
        if (batch && is(batch, "state", "barrier") && for_ms > longest) {
            longest = for_ms;
            worst = item(partitions, i);
        }
    }
    struct str text;
    str_init(&text);
    if (blocked > 0) {
        str_addf(&text,
                 "works nothing on %" PRId64
                 " partition%s: Redis does not answer it, or its commits are not "
                 "confirmed; see /readyz?verbose on its admin port",
                 blocked, plural(blocked));
        note(notes, LEVEL_WARN, beat_text_of(consumer, "id"), text.data, "is blocked");
    } else if (worst) {
        struct json_object *waiting = json_at(worst, "/batch/waiting/0");
        str_addf(&text, "has a batch of %s[%" PRId64 "] open for ",
                 beat_text_of(worst, "topic"), beat_count_of(worst, "partition"));
        words_span_ms(&text, longest);
        if (waiting) {
            str_addf(&text, ", it waits for %s", beat_text_of(waiting, "target"));
        }
        note(notes, LEVEL_WARN, beat_text_of(consumer, "id"), text.data,
             "waits long for a batch");
    }
    str_release(&text);
}

static void note_skew(struct notes *notes, struct json_object *frame,
                      struct json_object *consumer)
{
    size_t n;
    struct json_object *all = beat_list_of(frame, "consumers", &n);
    struct json_object *usual = NULL;
    for (size_t i = 0; i < n && !usual; i++) {
        struct json_object *other = item(all, i);
        bool live = !is(other, "state", "late") && !is(other, "state", "gone");
        usual = live && !json_object_get_boolean(json_at(other, "/skew")) ? other : NULL;
    }
    if (!usual) {
        return;
    }
    char text[320];
    const char *build =
        is(consumer, "version", beat_text_of(usual, "version")) ? "revision" : "version";
    if (is(consumer, "version", beat_text_of(usual, "version")) &&
        is(consumer, "revision", beat_text_of(usual, "revision"))) {
        snprintf(text, sizeof text,
                 "has another configuration (%.12s) than the others (%.12s) → "
                 "sluice-consumer reload",
                 beat_text_of(consumer, "config_hash"),
                 beat_text_of(usual, "config_hash"));
    } else {
        snprintf(text, sizeof text, "runs %.64s, the others %.64s",
                 beat_text_of(consumer, build), beat_text_of(usual, build));
    }
    note(notes, LEVEL_WARN, beat_text_of(consumer, "id"), text,
         "differs from the others");
}

static void note_consumers(struct notes *notes, struct json_object *frame)
{
    size_t n;
    struct json_object *list = beat_list_of(frame, "consumers", &n);
    for (size_t i = 0; i < n; i++) {
        struct json_object *consumer = item(list, i);
        if (is(consumer, "state", "gone")) {
            note_gone(notes, frame, consumer);
        } else if (is(consumer, "state", "late")) {
            note_late(notes, consumer);
        } else if (is(consumer, "state", "idle")) {
            note_idle(notes, frame, consumer);
        }
        if (json_object_get_boolean(json_at(consumer, "/skew"))) {
            note_skew(notes, frame, consumer);
        }
        note_batches(notes, consumer);
    }
}

/* --- targets --- */

static void note_paused(struct notes *notes, struct json_object *target)
{
    struct str text;
    const char *who = beat_text_of(target, "who");
    const char *reason = beat_text_of(target, "reason");
    int64_t left_ms = beat_count_of(target, "for_ms");
    str_init(&text);
    str_addf(&text, "is paused%s%s", who[0] ? " by " : "", who);
    if (left_ms >= 0) {
        str_add(&text, " for ");
        words_span_ms(&text, left_ms);
        str_add(&text, " more");
    }
    str_addf(&text,
             "%s%s; its units wait in the retry topics → sluice-consumer resume %s",
             reason[0] ? ": " : "", reason, beat_text_of(target, "name"));
    note(notes, LEVEL_WARN, beat_text_of(target, "name"), text.data, "is paused");
    str_release(&text);
}

static void note_open(struct notes *notes, struct json_object *target, int64_t consumers)
{
    struct str text;
    int64_t open_at = beat_count_of(target, "open_at");
    int64_t left_ms = beat_count_of(target, "for_ms");
    str_init(&text);
    str_add(&text, "has its circuit open");
    if (open_at < consumers) {
        str_addf(&text, " at %" PRId64 " of %" PRId64 " consumers", open_at, consumers);
    }
    if (left_ms > 0) {
        str_add(&text, ", next probe in ");
        words_span_ms(&text, left_ms);
    } else {
        str_add(&text, ", a probe is under way");
    }
    str_add(&text, "; its units wait in the retry topics");
    note(notes, LEVEL_WARN, beat_text_of(target, "name"), text.data,
         "has its circuit open");
    str_release(&text);
}

/* Most of its calls fail, though not enough of them in a row for the breaker. */
static void note_failing(struct notes *notes, struct json_object *target)
{
    int64_t bad = 0;
    static const char *const names[] = {"c5xx_per_min", "none_per_min"};
    for (size_t i = 0; i < 2; i++) {
        int64_t n = beat_count_of(target, names[i]);
        bad += n > 0 ? n : 0;
    }
    if (bad > 5 && bad > beat_count_of(target, "ok_per_min")) {
        char text[120];
        snprintf(text, sizeof text,
                 "fails more than it takes: %" PRId64
                 " calls in the last minute got no or an error answer",
                 bad);
        note(notes, LEVEL_WARN, beat_text_of(target, "name"), text, "fails");
    }
}

/* That is no trouble, but it answers "where is my release". A pause is told already. */
static void note_held(struct notes *notes, struct json_object *target)
{
    int64_t all = 0;
    struct str why;
    struct str text;
    str_init(&why);
    json_object_object_foreach(json_at(target, "/held_per_min"), reason, count)
    {
        if (strcmp(reason, "paused") != 0) {
            int64_t n = json_object_get_int64(count);
            str_addf(&why, "%s%" PRId64 " %s", all > 0 ? ", " : ": ", n, reason);
            all += n;
        }
    }
    if (all > 0) {
        str_init(&text);
        str_addf(&text, "began to hold %" PRId64 " unit%s in the last minute", all,
                 plural(all));
        str_add(&text, why.data);
        str_add(&text, " → sluice-consumer tap --verdict held");
        note(notes, LEVEL_INFO, beat_text_of(target, "name"), text.data, NULL);
        str_release(&text);
    }
    str_release(&why);
}

static void note_targets(struct notes *notes, struct json_object *frame,
                         int64_t consumers)
{
    size_t n;
    size_t open = 0;
    struct json_object *list = beat_list_of(frame, "targets", &n);
    for (size_t i = 0; i < n; i++) {
        struct json_object *target = item(list, i);
        if (is(target, "state", "paused")) {
            note_paused(notes, target);
        } else if (is(target, "state", "open")) {
            open += beat_count_of(target, "open_at") >= consumers;
            note_open(notes, target, consumers);
        } else {
            note_failing(notes, target);
        }
        note_held(notes, target);
    }
    if (n > 0 && open == n) {
        note(notes, LEVEL_BAD, "",
             "no target accepts: look at what they answer in the "
             "consumers' logs (\"trigger failed\")",
             "no target accepts");
    }
}

/* --- clusters --- */

/* How many of those that check it see it so. */
static void add_seen_by(struct str *out, struct json_object *cluster)
{
    int64_t all = 0;
    struct json_object *consumers = json_at(cluster, "/consumers");
    int64_t so = beat_count_of(consumers, beat_text_of(cluster, "state"));
    json_object_object_foreach(consumers, state, n)
    {
        (void)state;
        all += json_object_get_int64(n);
    }
    if (so < all) {
        str_addf(out, " for %" PRId64 " of %" PRId64 " consumers", so, all);
    }
}

static void note_clusters(struct notes *notes, struct json_object *frame)
{
    size_t n;
    struct json_object *list = beat_list_of(frame, "clusters", &n);
    for (size_t i = 0; i < n; i++) {
        struct json_object *cluster = item(list, i);
        const char *why = beat_text_of(cluster, "why");
        if (!snapshot_cluster_is_bad(cluster)) {
            continue;
        }
        char about[128];
        struct str text;
        snprintf(about, sizeof about, "cluster %s", beat_text_of(cluster, "name"));
        str_init(&text);
        str_addf(&text, "is not connected (%s)", beat_text_of(cluster, "state"));
        add_seen_by(&text, cluster);
        str_addf(&text,
                 "%s%s; what is held for it goes on waiting → "
                 "sluice-consumer doctor",
                 why[0] ? ": " : "", why);
        note(notes, LEVEL_WARN, about, text.data, "is not connected");
        str_release(&text);
    }
}

/* --- partitions and lag --- */

static void note_unowned(struct notes *notes, struct json_object *frame,
                         int64_t consumers)
{
    size_t n;
    size_t named = 0;
    struct str text;
    int64_t unowned = beat_count_of(json_at(frame, "/totals"), "unowned");
    struct json_object *list = beat_list_of(frame, "partitions", &n);
    if (unowned <= 0 || consumers == 0) {
        return; /* none, or all of them, which is said elsewhere */
    }
    str_init(&text);
    str_addf(&text, "%" PRId64 " partition%s %s no owner", unowned, plural(unowned),
             unowned == 1 ? "has" : "have");
    for (size_t i = 0; i < n && named < NAMED_MAX; i++) {
        struct json_object *p = item(list, i);
        if (beat_text_of(p, "owner")[0] == '\0') {
            str_addf(&text, "%s%s[%" PRId64 "]", named == 0 ? ": " : ", ",
                     beat_text_of(p, "topic"), beat_count_of(p, "partition"));
            named++;
        }
    }
    str_add(&text, "; the group is being divided anew, or a consumer has died");
    char brief[64];
    snprintf(brief, sizeof brief, "%" PRId64 " partition%s without an owner", unowned,
             plural(unowned));
    note(notes, LEVEL_WARN, "", text.data, brief);
    str_release(&text);
}

static void note_lag(struct notes *notes, struct json_object *frame)
{
    struct json_object *totals = json_at(frame, "/totals");
    int64_t lag = beat_count_of(totals, "lag_events");
    double in = beat_real_of(totals, "in_per_s");
    double out = beat_real_of(totals, "out_per_s");
    struct str text;
    if (lag <= 0 || in < 0 || out < 0 || json_at(totals, "/drains_in_s") ||
        in < out + 0.1) {
        return;
    }
    str_init(&text);
    str_add(&text, "the lag grows: ");
    words_rate(&text, in);
    str_add(&text, "/s come, ");
    words_rate(&text, out);
    str_add(&text, "/s are done; add consumers, or raise what holds them (limits, "
                   "in_flight, batch.size)");
    note(notes, LEVEL_WARN, "", text.data, "the lag grows");
    str_release(&text);
}

static void note_dead(struct notes *notes, struct json_object *frame)
{
    size_t n;
    struct str text;
    struct json_object *list = beat_list_of(frame, "dead", &n);
    int64_t dead = beat_count_of(json_at(frame, "/totals"), "dead");
    if (dead <= 0) {
        return;
    }
    str_init(&text);
    words_count(&text, dead);
    str_addf(&text, " dead letter%s", plural(dead));
    for (size_t i = 0; i < n && i < DEAD_NAMED_MAX; i++) {
        const char *target = beat_text_of(item(list, i), "target");
        str_add(&text, i == 0 ? " (" : ", ");
        words_count(&text, beat_count_of(item(list, i), "count"));
        str_addf(&text, " %s%s%s", beat_text_of(item(list, i), "reason"),
                 target[0] ? " " : "", target);
    }
    str_add(&text, n > DEAD_NAMED_MAX ? ", ...)" : n > 0 ? ")" : "");
    str_add(&text, " → sluice-consumer dlq list");
    note(notes, LEVEL_INFO, "", text.data, NULL);
    str_release(&text);
}

/* --- the verdict --- */

static void add_lag(struct str *out, struct json_object *frame)
{
    struct json_object *totals = json_at(frame, "/totals");
    int64_t lag = beat_count_of(totals, "lag_events");
    int64_t drains_s = beat_count_of(totals, "drains_in_s");
    if (lag < 0) {
        str_add(out, "lag not known");
        return;
    }
    if (lag == 0) {
        str_add(out, "no lag");
        return;
    }
    str_add(out, "lag ");
    words_count(out, lag);
    if (drains_s > 5) {
        str_add(out, ", clears in about ");
        words_span_ms(out, drains_s * 1000);
    }
}

static bool known(struct json_object *frame, const char *pointer)
{
    struct json_object *at = json_at(frame, pointer);
    return at && json_object_get_boolean(at);
}

static const char *verdict(struct str *out, struct json_object *frame,
                           const struct notes *notes, int64_t consumers)
{
    if (!known(frame, "/redis/known")) {
        str_addf(out, "Unknown: Redis does not answer%s",
                 known(frame, "/kafka/known") ? "; Kafka says " : ", nor does Kafka");
        if (known(frame, "/kafka/known")) {
            add_lag(out, frame);
        }
        return "unknown";
    }
    if (notes->worst == LEVEL_BAD) {
        str_addf(out, "Not delivering: %s, ", notes->trouble);
        add_lag(out, frame);
        return "bad";
    }
    if (notes->worst == LEVEL_WARN) {
        str_addf(out, "Delivering, but %s, ", notes->trouble);
        add_lag(out, frame);
        return "warn";
    }
    str_add(out, consumers > 0 ? "Healthy: all targets accepting, " : "Healthy: ");
    add_lag(out, frame);
    return "ok";
}

static void note_redis(struct notes *notes, struct json_object *frame)
{
    struct str text;
    str_init(&text);
    str_addf(&text,
             "%s. Consumers, targets and dead letters are not known; targets with "
             "on_redis_loss: send go on, the others wait",
             beat_text_of(json_at(frame, "/redis"), "why"));
    note(notes, LEVEL_WARN, "", text.data, NULL);
    str_release(&text);
}

void snapshot_notes(struct json_object *frame, const struct fleet_beats *beats)
{
    struct notes notes = {.list = json_object_new_array()};
    struct str text;
    int64_t consumers = 0; /* live */
    int64_t drained = 0;   /* of them */
    for (size_t i = 0; i < beats->count; i++) {
        consumers += beats->items[i].live;
        drained += beats->items[i].live && strcmp(beats->items[i].state, "drained") == 0;
    }
    if (!known(frame, "/redis/known")) {
        note_redis(&notes, frame);
    } else if (beat_count_of(json_at(frame, "/totals"), "consumers") <= 0) {
        note(&notes, LEVEL_BAD, "", "no consumer runs → sluice-consumer run",
             "no consumer runs");
    } else if (consumers == 0) {
        note(&notes, LEVEL_BAD, "",
             "no consumer was heard of for a while; look at their logs",
             "no consumer was heard of for a while");
    } else if (drained == consumers) {
        note(&notes, LEVEL_BAD, "",
             "every consumer is drained → sluice-consumer drain --all --undo",
             "every consumer is drained");
    }
    if (beats->unread > 0) {
        note(&notes, LEVEL_WARN, "",
             "a consumer's heartbeat cannot be read: it is of another version",
             "a heartbeat cannot be read");
    }
    note_targets(&notes, frame, consumers);
    note_clusters(&notes, frame);
    note_consumers(&notes, frame);
    note_unowned(&notes, frame, consumers);
    note_lag(&notes, frame);
    note_dead(&notes, frame);
    json_object_object_add(frame, "notes", notes.list);
    str_init(&text);
    struct json_object *o = json_object_new_object();
    put_text(o, "level", verdict(&text, frame, &notes, consumers));
    put_text(o, "text", text.data);
    json_object_object_add(frame, "verdict", o);
    str_release(&text);
}

/* Design. Heartbeats are documents of other processes, perhaps of other versions: every
 * member is read with its type and built anew, nothing is passed through. Each partition
 * is shown once, by whoever beat last and is not gone; a partition that only a gone
 * consumer speaks of has no owner. */
#include "ops/snapshot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/put.h"
#include "ops/rates.h"
#include "snapshot_inside.h"

enum { KEEPS_UP_S = 5 }; /* that much work is no lag, it is what is in hand */

/* --- reading --- */

int64_t beat_count_of(struct json_object *o, const char *name)
{
    struct json_object *value;
    if (!json_object_object_get_ex(o, name, &value) ||
        !json_object_is_type(value, json_type_int)) {
        return -1;
    }
    int64_t n = json_object_get_int64(value);
    return n < 0 ? -1 : n;
}

double beat_real_of(struct json_object *o, const char *name)
{
    struct json_object *value;
    if (!json_object_object_get_ex(o, name, &value) ||
        !(json_object_is_type(value, json_type_double) ||
          json_object_is_type(value, json_type_int))) {
        return -1;
    }
    double n = json_object_get_double(value);
    return n < 0 ? -1 : n;
}

const char *beat_text_of(struct json_object *o, const char *name)
{
    struct json_object *value;
    return json_object_object_get_ex(o, name, &value) &&
                   json_object_is_type(value, json_type_string)
               ? json_object_get_string(value)
               : "";
}

struct json_object *beat_list_of(struct json_object *o, const char *name, size_t *count)
{
    struct json_object *value;
    *count = 0;
    if (!json_object_object_get_ex(o, name, &value) ||
        !json_object_is_type(value, json_type_array)) {
        return NULL;
    }
    *count = json_object_array_length(value);
    return value;
}

void spread_sum_add(struct spread_sum *sum, struct json_object *spread)
{
    size_t bounds;
    size_t counts;
    struct json_object *b = beat_list_of(spread, "bounds_s", &bounds);
    struct json_object *c = beat_list_of(spread, "counts", &counts);
    if (bounds == 0 || bounds > SPREAD_BOUNDS_MAX || counts != bounds + 1) {
        return;
    }
    for (size_t i = 0; i < bounds; i++) {
        double bound = json_object_get_double(json_object_array_get_idx(b, i));
        if (sum->bounds == 0 || i >= sum->bounds) {
            sum->bounds_s[i] = bound;
        } else if (sum->bounds_s[i] != bound) {
            return; /* of a version with other buckets */
        }
    }
    if (sum->bounds != 0 && sum->bounds != bounds) {
        return;
    }
    sum->bounds = bounds;
    for (size_t i = 0; i < counts; i++) {
        int64_t n = json_object_get_int64(json_object_array_get_idx(c, i));
        sum->counts[i] += n > 0 ? (uint64_t)n : 0;
    }
}

int64_t spread_sum_p95_ms(const struct spread_sum *sum)
{
    return rates_quantile_ms(sum->bounds_s, sum->bounds, sum->counts, 0.95);
}

static const char *state_word(const char *said)
{
    static const char *const known[] = {"starting", "running", "idle", "draining",
                                        "drained"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(said, known[i]) == 0) {
            return known[i];
        }
    }
    return "running";
}

static int by_id(const void *a, const void *b)
{
    const struct fleet_beat *left = a;
    const struct fleet_beat *right = b;
    return strverscmp(left->id, right->id);
}

static void read_beats(const struct snapshot_input *in, struct fleet_beats *beats)
{
    *beats =
        (struct fleet_beats){.items = mem_array(in->beat_count, sizeof *beats->items)};
    for (size_t i = 0; i < in->beat_count; i++) {
        const struct snapshot_beat *from = &in->beats[i];
        struct fleet_beat *beat = &beats->items[beats->count];
        if (json_parse(from->json, from->len, &beat->doc, NULL)) {
            beats->unread++;
            continue;
        }
        if (!json_object_is_type(beat->doc, json_type_object)) {
            json_free(beat->doc);
            beats->unread++;
            continue;
        }
        beat->id = from->id;
        beat->at_ms = from->at_ms;
        beat->age_ms = in->now_ms > from->at_ms ? in->now_ms - from->at_ms : 0;
        beat->gone = beat->age_ms > SNAPSHOT_GONE_MS;
        beat->live = beat->age_ms <= SNAPSHOT_LATE_MS;
        beat->state = beat->gone    ? "gone"
                      : !beat->live ? "late"
                                    : state_word(beat_text_of(beat->doc, "state"));
        beats->count++;
    }
    qsort(beats->items, beats->count, sizeof *beats->items, by_id);
}

/* --- skew --- */

static bool same_build(const struct fleet_beat *a, const struct fleet_beat *b)
{
    static const char *const names[] = {"version", "revision", "config_hash"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(beat_text_of(a->doc, names[i]), beat_text_of(b->doc, names[i])) != 0) {
            return false;
        }
    }
    return true;
}

/* What most run; of equals, what the first runs. NULL without a live one. */
static const struct fleet_beat *usual_build(const struct fleet_beats *beats)
{
    const struct fleet_beat *usual = NULL;
    size_t most = 0;
    for (size_t i = 0; i < beats->count; i++) {
        size_t n = 0;
        for (size_t k = 0; k < beats->count && beats->items[i].live; k++) {
            n += beats->items[k].live && same_build(&beats->items[i], &beats->items[k]);
        }
        if (n > most) {
            most = n;
            usual = &beats->items[i];
        }
    }
    return usual;
}

/* --- partitions --- */

static double lag_rate_drain_s(int64_t lag, double in, double out)
{
    if (lag == 0) {
        return 0;
    }
    if (lag < 0 || out <= 0) {
        return -1;
    }
    if ((double)lag <= out * KEEPS_UP_S) {
        return (double)lag / out;
    }
    return in >= 0 && out > in * 1.02 ? (double)lag / (out - in) : -1;
}

static void put_drain(struct json_object *o, int64_t lag, double in, double out)
{
    double s = lag_rate_drain_s(lag, in, out);
    put_count(o, "drains_in_s", s < 0 || s > 1e9 ? -1 : (int64_t)ceil(s));
}

/* What somebody says of a partition. */
struct part {
    const char *topic;
    int64_t id;
    bool source;
    const struct fleet_beat *beat; /* NULL: Kafka */
    struct json_object *said;      /* by the beat */
    const struct snapshot_offset *offset;
};

/* Of the same partition: Kafka first, then who is not gone, then who beat last. */
static int by_partition(const void *a, const void *b)
{
    const struct part *l = a;
    const struct part *r = b;
    if (l->source != r->source) {
        return l->source ? -1 : 1;
    }
    int topics = strverscmp(l->topic, r->topic);
    if (topics || l->id != r->id) {
        return topics ? topics : l->id < r->id ? -1 : 1;
    }
    if (!l->beat || !r->beat) {
        return l->beat ? 1 : r->beat ? -1 : 0;
    }
    return l->beat->at_ms > r->beat->at_ms ? -1 : l->beat->at_ms < r->beat->at_ms ? 1 : 0;
}

static size_t collect(const struct snapshot_input *in, const struct fleet_beats *beats,
                      struct part **parts)
{
    size_t all = in->offset_count;
    size_t n = 0;
    size_t count;
    for (size_t i = 0; i < beats->count; i++) {
        beat_list_of(beats->items[i].doc, "partitions", &count);
        all += count;
    }
    *parts = mem_array(all, sizeof **parts);
    for (size_t i = 0; i < in->offset_count; i++) {
        const struct snapshot_offset *o = &in->offsets[i];
        (*parts)[n++] = (struct part){.topic = o->topic, .id = o->partition, .offset = o};
    }
    for (size_t i = 0; i < beats->count; i++) {
        struct json_object *list =
            beat_list_of(beats->items[i].doc, "partitions", &count);
        for (size_t k = 0; k < count; k++) {
            struct json_object *said = json_object_array_get_idx(list, k);
            (*parts)[n++] = (struct part){.topic = beat_text_of(said, "topic"),
                                          .id = beat_count_of(said, "partition"),
                                          .beat = &beats->items[i],
                                          .said = said};
        }
    }
    for (size_t i = 0; i < n; i++) {
        (*parts)[i].source = strcmp((*parts)[i].topic, in->topic) == 0;
    }
    qsort(*parts, n, sizeof **parts, by_partition);
    return n;
}

struct sums {
    int64_t lag;
    int64_t deferred;
    bool lag_known; /* of every partition that is known */
    bool deferred_known;
    double lag_s;
    bool any; /* a partition of the source topic */
    int64_t partitions;
    int64_t unowned;
};

static void add_to_sums(struct sums *sums, const struct part *part, int64_t lag,
                        double lag_s, bool owned)
{
    sums->partitions++;
    sums->unowned += !owned;
    if (!part->source) {
        sums->deferred += lag > 0 ? lag : 0;
        sums->deferred_known = sums->deferred_known && lag >= 0;
        return;
    }
    sums->any = true;
    sums->lag += lag > 0 ? lag : 0;
    sums->lag_known = sums->lag_known && lag >= 0;
    sums->lag_s = lag > 0 && lag_s > sums->lag_s ? lag_s : sums->lag_s;
}

/* group: what is said of one partition, n times. Kafka's offsets are newer than a beat's.
 */
static struct json_object *join(const struct part *group, size_t n, struct sums *sums)
{
    const struct snapshot_offset *offset = group[0].offset;
    const struct part *by = group[0].beat ? &group[0] : n > 1 ? &group[1] : NULL;
    bool owned = by && !by->beat->gone;
    struct json_object *said = by ? by->said : NULL;
    int64_t lag = said ? beat_count_of(said, "lag_events") : -1;
    int64_t committed = said ? beat_count_of(said, "committed") : -1;
    int64_t end = said ? beat_count_of(said, "end") : -1;
    double lag_s = owned ? beat_real_of(said, "lag_s") : -1;
    double in = owned ? beat_real_of(said, "in_per_s") : -1;
    double out = owned ? beat_real_of(said, "out_per_s") : -1;
    if (offset) {
        committed = offset->committed;
        end = offset->end;
        lag = committed < 0 || end < 0 ? -1 : end > committed ? end - committed : 0;
        lag_s = lag == 0 ? 0 : lag_s > 0 ? lag_s : -1; /* the beat saw no lag yet */
    }
    struct json_object *o = json_object_new_object();
    put_text(o, "topic", group[0].topic);
    put_count(o, "partition", group[0].id);
    json_object_object_add(o, "owner",
                           owned ? json_object_new_string(by->beat->id) : NULL);
    put_count(o, "lag_events", lag);
    put_real(o, "lag_s", lag_s);
    put_count(o, "committed", committed);
    put_count(o, "end", end);
    put_drain(o, lag, in, out);
    add_to_sums(sums, &group[0], lag, lag_s, owned);
    return o;
}

static void put_partitions(struct json_object *frame, const struct snapshot_input *in,
                           const struct fleet_beats *beats, struct sums *sums)
{
    struct part *parts;
    size_t n = collect(in, beats, &parts);
    struct json_object *list = json_object_new_array();
    *sums = (struct sums){.lag_known = true, .deferred_known = true};
    for (size_t i = 0; i < n;) {
        size_t group = 1;
        while (i + group < n && parts[i + group].id == parts[i].id &&
               strcmp(parts[i + group].topic, parts[i].topic) == 0) {
            group++;
        }
        if (parts[i].topic[0] && parts[i].id >= 0) {
            json_object_array_add(list, join(&parts[i], group, sums));
        }
        i += group;
    }
    json_object_object_add(frame, "partitions", list);
    free(parts);
}

/* --- consumers --- */

static struct json_object *batch_of(struct json_object *said)
{
    size_t n;
    struct json_object *from;
    if (!json_object_object_get_ex(said, "batch", &from) || !from) {
        return NULL;
    }
    struct json_object *o = json_object_new_object();
    static const char *const counts[] = {"size", "events", "units", "ended", "for_ms"};
    put_text(o, "state", beat_text_of(from, "state"));
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        put_count(o, counts[i], beat_count_of(from, counts[i]));
    }
    struct json_object *list = json_object_new_array();
    struct json_object *waiting = beat_list_of(from, "waiting", &n);
    for (size_t i = 0; i < n; i++) {
        struct json_object *w = json_object_array_get_idx(waiting, i);
        struct json_object *copy = json_object_new_object();
        put_text(copy, "target", beat_text_of(w, "target"));
        put_count(copy, "units", beat_count_of(w, "units"));
        put_count(copy, "oldest_ms", beat_count_of(w, "oldest_ms"));
        json_object_array_add(list, copy);
    }
    json_object_object_add(o, "waiting", list);
    return o;
}

/* A gone one: only which they were. */
static struct json_object *consumer_partitions(const struct fleet_beat *beat)
{
    size_t n;
    struct json_object *list = json_object_new_array();
    struct json_object *from = beat_list_of(beat->doc, "partitions", &n);
    for (size_t i = 0; i < n; i++) {
        struct json_object *said = json_object_array_get_idx(from, i);
        struct json_object *o = json_object_new_object();
        put_text(o, "topic", beat_text_of(said, "topic"));
        put_count(o, "partition", beat_count_of(said, "partition"));
        if (!beat->gone) {
            put_count(o, "lag_events", beat_count_of(said, "lag_events"));
            put_real(o, "lag_s", beat_real_of(said, "lag_s"));
            put_count(o, "committed", beat_count_of(said, "committed"));
            put_count(o, "end", beat_count_of(said, "end"));
            json_object_object_add(o, "batch", batch_of(said));
        }
        json_object_array_add(list, o);
    }
    return list;
}

static struct json_object *consumer_object(const struct fleet_beat *beat, bool skew)
{
    static const char *const texts[] = {"boot", "host", "version", "revision",
                                        "config_hash"};
    struct json_object *o = json_object_new_object();
    put_text(o, "id", beat->id);
    put_text(o, "state", beat->state);
    put_count(o, "age_ms", beat->age_ms);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        put_text(o, texts[i], beat_text_of(beat->doc, texts[i]));
    }
    put_count(o, "pid", beat_count_of(beat->doc, "pid"));
    put_flag(o, "skew", skew);
    put_count(o, "up_s", beat->gone ? -1 : beat_count_of(beat->doc, "up_s"));
    put_real(o, "in_per_s", beat->live ? beat_real_of(beat->doc, "in_per_s") : -1);
    put_real(o, "out_per_s", beat->live ? beat_real_of(beat->doc, "out_per_s") : -1);
    put_count(o, "p95_ms", beat->live ? beat_count_of(beat->doc, "p95_ms") : -1);
    put_count(o, "in_flight", beat->live ? beat_count_of(beat->doc, "in_flight") : -1);
    put_count(o, "lag_events", beat->gone ? -1 : beat_count_of(beat->doc, "lag_events"));
    json_object_object_add(o, "partitions", consumer_partitions(beat));
    put_count(o, "more_partitions", beat_count_of(beat->doc, "more_partitions"));
    return o;
}

static void put_consumers(struct json_object *frame, const struct fleet_beats *beats)
{
    const struct fleet_beat *usual = usual_build(beats);
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < beats->count; i++) {
        const struct fleet_beat *beat = &beats->items[i];
        bool skew = beat->live && !same_build(beat, usual);
        json_object_array_add(list, consumer_object(beat, skew));
    }
    json_object_object_add(frame, "consumers", list);
}

/* --- totals --- */

static double sum_live(const struct fleet_beats *beats, const char *name)
{
    double sum = -1;
    for (size_t i = 0; i < beats->count; i++) {
        double n = beats->items[i].live ? beat_real_of(beats->items[i].doc, name) : -1;
        if (n >= 0) {
            sum = sum < 0 ? n : sum + n;
        }
    }
    return sum;
}

static int64_t latency_p95_ms(const struct fleet_beats *beats)
{
    struct spread_sum sum = {.bounds = 0};
    for (size_t i = 0; i < beats->count; i++) {
        struct json_object *spread;
        if (beats->items[i].live &&
            json_object_object_get_ex(beats->items[i].doc, "latency", &spread)) {
            spread_sum_add(&sum, spread);
        }
    }
    return spread_sum_p95_ms(&sum);
}

/* Of all topics, as the consumers found them; what is listed may be less. */
static int64_t all_partitions(const struct fleet_beats *beats)
{
    int64_t most = -1;
    for (size_t i = 0; i < beats->count; i++) {
        int64_t n = beat_count_of(beats->items[i].doc, "all_partitions");
        most = beats->items[i].live && n > most ? n : most;
    }
    return most;
}

static int64_t owned_but_not_listed(const struct fleet_beats *beats)
{
    int64_t sum = 0;
    for (size_t i = 0; i < beats->count; i++) {
        int64_t n = beat_count_of(beats->items[i].doc, "more_partitions");
        sum += n > 0 && !beats->items[i].gone ? n : 0;
    }
    return sum;
}

static void put_totals(struct json_object *frame, const struct fleet_beats *beats,
                       const struct sums *sums, int64_t dead)
{
    int64_t consumers = 0;
    for (size_t i = 0; i < beats->count; i++) {
        consumers += !beats->items[i].gone;
    }
    double in = sum_live(beats, "in_per_s");
    double out = sum_live(beats, "out_per_s");
    int64_t lag = sums->any && sums->lag_known ? sums->lag : -1;
    int64_t hidden = owned_but_not_listed(beats);
    int64_t known = sums->partitions + hidden;
    int64_t all = all_partitions(beats);
    struct json_object *o = json_object_new_object();
    put_count(o, "lag_events", lag);
    put_real(o, "lag_s", lag < 0 ? -1 : sums->lag_s);
    put_count(o, "deferred", sums->deferred_known ? sums->deferred : -1);
    put_real(o, "in_per_s", in);
    put_real(o, "out_per_s", out);
    put_drain(o, lag, in, out);
    put_count(o, "p95_ms", latency_p95_ms(beats));
    put_count(o, "dead", dead);
    double in_flight = sum_live(beats, "in_flight");
    put_count(o, "in_flight", in_flight < 0 ? -1 : (int64_t)in_flight);
    put_count(o, "consumers", consumers);
    put_count(o, "partitions", all > known ? all : known);
    put_count(o, "unowned", sums->unowned + (all > known ? all - known : 0));
    json_object_object_add(frame, "totals", o);
}

/* --- the frame --- */

static void put_known(struct json_object *frame, const char *name, bool known,
                      const char *why)
{
    struct json_object *o = json_object_new_object();
    put_flag(o, "known", known);
    put_text(o, "why", known || !why ? "" : why);
    json_object_object_add(frame, name, o);
}

/* Without having been asked, Kafka is known by what consumers say of it. */
static void put_kafka(struct json_object *frame, const struct snapshot_input *in,
                      const struct sums *sums)
{
    bool known = in->kafka_asked ? in->kafka_why == NULL : sums->any;
    put_known(frame, "kafka", known,
              in->kafka_asked ? in->kafka_why : "no consumer speaks of it");
}

struct json_object *snapshot_make(const struct snapshot_input *in)
{
    struct fleet_beats beats;
    struct sums sums;
    read_beats(in, &beats);
    struct json_object *frame = json_object_new_object();
    put_text(frame, "schema", "sluice.fleet/1");
    put_count(frame, "at_ms", in->now_ms);
    put_text(frame, "topic", in->topic);
    put_text(frame, "group", in->group);
    put_known(frame, "redis", in->redis_known, in->redis_why);
    put_partitions(frame, in, &beats, &sums);
    put_kafka(frame, in, &sums);
    put_consumers(frame, &beats);
    int64_t dead = snapshot_targets(frame, &beats, in);
    snapshot_clusters(frame, &beats);
    put_totals(frame, &beats, &sums, dead);
    snapshot_notes(frame, &beats);
    for (size_t i = 0; i < beats.count; i++) {
        json_free(beats.items[i].doc);
    }
    free(beats.items);
    return frame;
}

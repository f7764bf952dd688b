#include "fleet_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/words.h"
#include "table.h"

struct page {
    struct json_object *frame;
    const struct fleet_look *look;
    struct str *out;
};

/* --- reading the frame --- */

static struct json_object *member(struct json_object *o, const char *name)
{
    struct json_object *value = NULL;
    return json_object_object_get_ex(o, name, &value) ? value : NULL;
}

/* -1: not known. */
static double number(struct json_object *o, const char *name)
{
    struct json_object *value = member(o, name);
    return value ? json_object_get_double(value) : -1;
}

static const char *text(struct json_object *o, const char *name)
{
    struct json_object *value = member(o, name);
    return value ? json_object_get_string(value) : "";
}

static bool is(struct json_object *o, const char *name, const char *word)
{
    return strcmp(text(o, name), word) == 0;
}

static size_t length(struct json_object *list)
{
    return list ? json_object_array_length(list) : 0;
}

/* --- rows, filtered and sorted --- */

struct row {
    struct json_object *o;
    double by; /* the greater the earlier */
    size_t place;
};

static int by_value(const void *a, const void *b)
{
    const struct row *left = a;
    const struct row *right = b;
    return left->by > right->by         ? -1
           : left->by < right->by       ? 1
           : left->place < right->place ? -1
                                        : 1;
}

/* The objects of a list whose `name`, or owner, passes the filter. Returns owned. */
static struct row *rows_of(const struct page *page, const char *list_name,
                           const char *name, const char *lag, const char *rate, size_t *n)
{
    struct json_object *list = member(page->frame, list_name);
    struct row *rows = mem_array(length(list), sizeof *rows);
    const char *filter = page->look->filter ? page->look->filter : "";
    const char *by = page->look->sort == FLEET_BY_LAG    ? lag
                     : page->look->sort == FLEET_BY_RATE ? rate
                                                         : NULL;
    *n = 0;
    for (size_t i = 0; i < length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        if (strstr(text(o, name), filter) || strstr(text(o, "owner"), filter)) {
            rows[*n] = (struct row){o, by ? number(o, by) : 0, i};
            (*n)++;
        }
    }
    qsort(rows, *n, sizeof *rows, by_value);
    return rows;
}

/* --- cells --- */

static void cell_count(struct table *t, double n)
{
    struct str s;
    str_init(&s);
    if (n < 0) {
        str_addc(&s, '-');
    } else {
        words_count(&s, (int64_t)n);
    }
    table_cell(t, s.data, "");
    str_release(&s);
}

static void cell_rate(struct table *t, double per_s)
{
    struct str s;
    str_init(&s);
    if (per_s < 0) {
        str_addc(&s, '-');
    } else {
        words_rate(&s, per_s);
    }
    table_cell(t, s.data, "");
    str_release(&s);
}

static void cell_span(struct table *t, double ms)
{
    struct str s;
    str_init(&s);
    if (ms < 0) {
        str_addc(&s, '-');
    } else {
        words_span_ms(&s, (int64_t)ms);
    }
    table_cell(t, s.data, "");
    str_release(&s);
}

/* --- the head --- */

static void add_states(struct str *out, struct json_object *consumers)
{
    static const char *const states[] = {"running", "idle", "starting", "draining",
                                         "drained", "late", "gone"};
    const char *before = "";
    for (size_t s = 0; s < sizeof states / sizeof states[0]; s++) {
        int n = 0;
        for (size_t i = 0; i < length(consumers); i++) {
            n += is(json_object_array_get_idx(consumers, i), "state", states[s]);
        }
        if (n > 0) {
            str_addf(out, "%s%d %s", before, n, states[s]);
            before = ", ";
        }
    }
    str_add(out, before[0] ? "" : "no consumer");
}

static void add_flow(struct str *out, struct json_object *totals)
{
    double lag = number(totals, "lag_events");
    double drains_s = number(totals, "drains_in_s");
    str_add(out, "lag ");
    if (lag < 0) {
        str_addc(out, '?');
    } else {
        words_count(out, (int64_t)lag);
    }
    if (lag > 0 && number(totals, "lag_s") > 0) {
        str_add(out, " (oldest ");
        words_span_ms(out, (int64_t)(number(totals, "lag_s") * 1000));
        str_addc(out, ')');
    }
    if (number(totals, "in_per_s") >= 0 && number(totals, "out_per_s") >= 0) {
        str_add(out, " · in ");
        words_rate(out, number(totals, "in_per_s"));
        str_add(out, "/s · out ");
        words_rate(out, number(totals, "out_per_s"));
        str_add(out, "/s");
    }
    if (drains_s > 5) {
        str_add(out, " · clears in about ");
        words_span_ms(out, (int64_t)drains_s * 1000);
    }
    if (number(totals, "deferred") > 0) {
        str_add(out, " · ");
        words_count(out, (int64_t)number(totals, "deferred"));
        str_add(out, " in the retry topics");
    }
    if (number(totals, "p95_ms") >= 0) {
        str_add(out, " · p95 ");
        words_span_ms(out, (int64_t)number(totals, "p95_ms"));
        str_add(out, " from event to trigger");
    }
}

/* A line of text, without control characters and not wider than the terminal. */
static void add_line(const struct page *page, const char *paint, const char *line)
{
    struct table *t = table_new("-");
    struct str both;
    table_cell(t, line, paint);
    str_init(&both);
    table_print(t, "", page->look->paint.off, page->look->width, &both);
    str_add(page->out, strchr(both.data, '\n') + 1); /* without the heading */
    str_release(&both);
    table_free(t);
}

static void add_head(const struct page *page)
{
    static const struct {
        const char *level;
        const char *glyph;
    } glyphs[] = {{"ok", "✓"}, {"warn", "!"}, {"bad", "✗"}, {"unknown", "?"}};
    const struct paint *paint = &page->look->paint;
    struct json_object *verdict = member(page->frame, "verdict");
    const char *level = text(verdict, "level");
    struct str line;
    str_init(&line);
    for (size_t i = 0; i < sizeof glyphs / sizeof glyphs[0]; i++) {
        str_add(&line, strcmp(level, glyphs[i].level) == 0 ? glyphs[i].glyph : "");
    }
    str_addf(&line, " %s", text(verdict, "text"));
    add_line(page,
             strcmp(level, "ok") == 0    ? paint->good
             : strcmp(level, "bad") == 0 ? paint->bad
                                         : paint->warn,
             line.data);
    str_clear(&line);
    str_addf(&line, "%s · group %s · ", text(page->frame, "topic"),
             text(page->frame, "group"));
    if (json_object_get_boolean(member(member(page->frame, "redis"), "known"))) {
        add_states(&line, member(page->frame, "consumers"));
    } else {
        str_add(&line, "consumers not known");
    }
    add_line(page, "", line.data);
    str_clear(&line);
    add_flow(&line, member(page->frame, "totals"));
    add_line(page, "", line.data);
    str_release(&line);
}

/* --- consumers --- */

/* "0-3,7" of the source topic's partitions, which are in order; "+3" for retry ones. */
static void add_partitions(struct str *out, struct json_object *consumer,
                           const char *topic)
{
    struct json_object *list = member(consumer, "partitions");
    bool mine[4096] = {false};
    int others = 0;
    for (size_t i = 0; i < length(list); i++) {
        struct json_object *p = json_object_array_get_idx(list, i);
        double id = number(p, "partition");
        if (is(p, "topic", topic) && id >= 0 && id < 4096) {
            mine[(int)id] = true;
        } else {
            others++;
        }
    }
    size_t before = out->len;
    for (int i = 0; i < 4096; i++) {
        int last = i;
        while (mine[i] && last + 1 < 4096 && mine[last + 1]) {
            last++;
        }
        if (mine[i]) {
            str_addf(out, out->len > before ? ",%d" : "%d", i);
            str_addf(out, last > i + 1 ? "-%d" : last > i ? ",%d" : "", last);
            i = last;
        }
    }
    double more = number(consumer, "more_partitions");
    others += more > 0 ? (int)more : 0;
    if (others > 0) {
        str_addf(out, out->len > before ? " +%d" : "+%d", others);
    }
    str_add(out, out->len == before ? "-" : "");
}

/* Which of a consumer's batches to show: the one nearest to trouble, then the oldest. */
static int rank_of(struct json_object *batch)
{
    static const char *const order[] = {"due",      "idle",   "filling", "firing",
                                        "claiming", "asking", "limited", "parking",
                                        "barrier",  "blocked"};
    for (int i = 0; i < (int)(sizeof order / sizeof order[0]); i++) {
        if (is(batch, "state", order[i])) {
            return i;
        }
    }
    return -1;
}

static struct json_object *batch_to_show(struct json_object *consumer)
{
    struct json_object *list = member(consumer, "partitions");
    struct json_object *best = NULL;
    for (size_t i = 0; i < length(list); i++) {
        struct json_object *batch = member(json_object_array_get_idx(list, i), "batch");
        if (!batch) {
            continue;
        }
        int more = best ? rank_of(batch) - rank_of(best) : 1;
        if (more > 0 || (more == 0 && number(batch, "for_ms") > number(best, "for_ms"))) {
            best = batch;
        }
    }
    return best;
}

static void add_batch(struct str *out, struct json_object *batch)
{
    struct json_object *waiting = member(batch, "waiting");
    if (!batch) {
        str_addc(out, '-');
        return;
    }
    str_add(out, text(batch, "state"));
    if (number(batch, "units") > 0) {
        str_addf(out, " %d/%d", (int)number(batch, "ended"), (int)number(batch, "units"));
    } else if (number(batch, "events") > 0) {
        str_addf(out, " %d/%d", (int)number(batch, "events"), (int)number(batch, "size"));
    }
    if (is(batch, "state", "barrier") && length(waiting) > 0) {
        struct json_object *first = json_object_array_get_idx(waiting, 0);
        str_addf(out, " for %s ", text(first, "target"));
        words_span_ms(out, (int64_t)number(batch, "for_ms"));
    }
}

static void consumer_row(const struct page *page, struct table *t, struct json_object *c)
{
    const struct paint *paint = &page->look->paint;
    struct str s;
    str_init(&s);
    table_cell(t, text(c, "id"), "");
    bool bad = is(c, "state", "gone") || is(c, "state", "late");
    table_cell(t, text(c, "state"),
               is(c, "state", "running") ? paint->good
               : bad                     ? paint->bad
                                         : paint->warn);
    add_partitions(&s, c, text(page->frame, "topic"));
    table_cell(t, s.data, "");
    cell_count(t, number(c, "lag_events"));
    str_clear(&s);
    add_batch(&s, batch_to_show(c));
    table_cell(t, s.data, "");
    cell_rate(t, number(c, "in_per_s"));
    cell_rate(t, number(c, "out_per_s"));
    cell_span(t, number(c, "p95_ms"));
    str_clear(&s);
    if (number(c, "up_s") >= 0) {
        words_up(&s, (int64_t)number(c, "up_s"));
    } else {
        str_addc(&s, '-');
    }
    table_cell(t, s.data, "");
    bool skew = json_object_get_boolean(member(c, "skew"));
    str_clear(&s);
    str_addf(&s, "%s%s", text(c, "version"), skew ? " ≠" : "");
    table_cell(t, s.data, skew ? paint->warn : "");
    str_release(&s);
}

/* Nothing for a table of no rows. Takes it. */
static void print(const struct page *page, struct table *t, size_t rows)
{
    const struct paint *paint = &page->look->paint;
    if (rows > 0) {
        str_addc(page->out, '\n');
        table_print(t, paint->bold, paint->off, page->look->width, page->out);
    }
    table_free(t);
}

static void add_consumers(const struct page *page)
{
    size_t n;
    struct row *rows = rows_of(page, "consumers", "id", "lag_events", "out_per_s", &n);
    struct table *t =
        table_new("CONSUMER|STATE|PARTITIONS|>LAG|BATCH|>IN/s|>OUT/s|>P95|>UP|VERSION");
    for (size_t i = 0; i < n; i++) {
        consumer_row(page, t, rows[i].o);
    }
    free(rows);
    print(page, t, n);
}

/* --- targets --- */

static void add_limits(struct str *out, struct json_object *target)
{
    struct json_object *limits = member(target, "limits");
    for (size_t i = 0; i < length(limits); i++) {
        struct json_object *limit = json_object_array_get_idx(limits, i);
        str_add(out, i > 0 ? ", " : "");
        words_rate(out, number(limit, "rate_per_s"));
        str_add(out, "/s");
        if (number(limit, "used") >= 0) {
            str_addf(out, " %3.0f %%", number(limit, "used") * 100);
        }
    }
    str_add(out, length(limits) > 0 ? "" : "-");
}

/* A fleet whose targets are all plain is not told what kind each is. */
static bool has_kinds(const struct page *page)
{
    struct json_object *list = member(page->frame, "targets");
    for (size_t i = 0; i < length(list); i++) {
        const char *kind = text(json_object_array_get_idx(list, i), "kind");
        if (kind[0] != '\0' && strcmp(kind, "http") != 0) {
            return true;
        }
    }
    return false;
}

static void target_row(const struct page *page, struct table *t, struct json_object *g,
                       bool kinds)
{
    const struct paint *paint = &page->look->paint;
    struct str s;
    str_init(&s);
    table_cell(t, text(g, "name"), "");
    if (kinds) {
        table_cell(t, text(g, "kind")[0] ? text(g, "kind") : "-", "");
    }
    str_add(&s, text(g, "state"));
    if (number(g, "for_ms") > 0) {
        str_addc(&s, ' ');
        words_span_ms(&s, (int64_t)number(g, "for_ms"));
    }
    table_cell(t, s.data,
               is(g, "state", "ok")     ? paint->good
               : is(g, "state", "open") ? paint->bad
               : is(g, "state", "idle") ? ""
                                        : paint->warn);
    static const char *const counts[] = {"ok_per_min", "c4xx_per_min", "c5xx_per_min",
                                         "none_per_min"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        cell_count(t, number(g, counts[i]));
    }
    str_clear(&s);
    add_limits(&s, g);
    table_cell(t, s.data, "");
    cell_span(t, number(g, "p95_ms"));
    cell_span(t, number(g, "token_wait_p95_ms"));
    str_release(&s);
}

static void add_targets(const struct page *page)
{
    size_t n;
    struct row *rows = rows_of(page, "targets", "name", "in_flight", "ok_per_min", &n);
#define COUNTS "STATE|>OK/min|>4xx|>5xx|>NONE|LIMIT|>P95|>TOKEN WAIT P95"
    bool kinds = has_kinds(page);
    struct table *t = table_new(kinds ? "TARGET|KIND|" COUNTS : "TARGET|" COUNTS);
    for (size_t i = 0; i < n; i++) {
        target_row(page, t, rows[i].o, kinds);
    }
    free(rows);
    print(page, t, n);
}

/* --- clusters --- */

static void cell_age(const struct page *page, struct table *t, double wall_ms)
{
    double ago_ms = number(page->frame, "at_ms") - wall_ms;
    cell_span(t, wall_ms < 0 ? -1 : ago_ms > 0 ? ago_ms : 0);
}

/* How many see it so, of those that check it. */
static void add_seen_by(struct str *out, struct json_object *cluster)
{
    struct json_object *consumers = member(cluster, "consumers");
    int all = 0;
    json_object_object_foreach(consumers, state, n)
    {
        (void)state;
        all += json_object_get_int(n);
    }
    str_addf(out, "%d/%d", (int)number(consumers, text(cluster, "state")), all);
}

static void cluster_row(const struct page *page, struct table *t, struct json_object *c)
{
    const struct paint *paint = &page->look->paint;
    struct str s;
    str_init(&s);
    table_cell(t, text(c, "name"), "");
    table_cell(t, text(c, "state"),
               is(c, "state", "connected") ? paint->good
               : is(c, "state", "virtual") ? ""
               : is(c, "state", "unknown") ? paint->warn
                                           : paint->bad);
    add_seen_by(&s, c);
    table_cell(t, s.data, "");
    cell_age(page, t, number(c, "checked_ms"));
    cell_age(page, t, number(c, "ok_ms"));
    table_cell(t, text(c, "why")[0] ? text(c, "why") : "-", "");
    str_release(&s);
}

static void add_clusters(const struct page *page)
{
    size_t n;
    struct row *rows = rows_of(page, "clusters", "name", NULL, NULL, &n);
    struct table *t = table_new("CLUSTER|STATE|>SEEN BY|>CHECKED|>LAST OK|WHY");
    for (size_t i = 0; i < n; i++) {
        cluster_row(page, t, rows[i].o);
    }
    free(rows);
    print(page, t, n);
}

/* --- partitions --- */

static void add_partition_rows(const struct page *page)
{
    size_t n;
    struct row *rows =
        rows_of(page, "partitions", "topic", "lag_events", "lag_events", &n);
    struct table *t =
        table_new("TOPIC|>PARTITION|OWNER|>LAG|>AGE|>COMMITTED|>END|>CLEARS IN");
    for (size_t i = 0; i < n; i++) {
        struct json_object *p = rows[i].o;
        double lag_s = number(p, "lag_s");
        double drains_s = number(p, "drains_in_s");
        table_cell(t, text(p, "topic"), "");
        cell_count(t, number(p, "partition"));
        const char *owner = text(p, "owner");
        table_cell(t, owner[0] ? owner : "?", owner[0] ? "" : page->look->paint.warn);
        cell_count(t, number(p, "lag_events"));
        cell_span(t, lag_s < 0 ? -1 : lag_s * 1000);
        cell_count(t, number(p, "committed"));
        cell_count(t, number(p, "end"));
        cell_span(t, drains_s < 0 ? -1 : drains_s * 1000);
    }
    free(rows);
    print(page, t, n);
}

/* --- the foot --- */

static void add_notes(const struct page *page)
{
    struct json_object *notes = member(page->frame, "notes");
    const struct paint *paint = &page->look->paint;
    if (length(notes) > 0) {
        str_addc(page->out, '\n');
    }
    for (size_t i = 0; i < length(notes); i++) {
        struct json_object *note = json_object_array_get_idx(notes, i);
        struct str line;
        str_init(&line);
        str_addf(&line, "%s %s%s%s", is(note, "level", "info") ? "-" : "*",
                 text(note, "about"), text(note, "about")[0] ? " " : "",
                 text(note, "text"));
        add_line(page,
                 is(note, "level", "bad")    ? paint->bad
                 : is(note, "level", "warn") ? paint->warn
                                             : "",
                 line.data);
        str_release(&line);
    }
}

const char *fleet_sort_name(enum fleet_sort sort)
{
    static const char *const names[FLEET_SORTS] = {"name", "lag", "rate"};
    return names[sort];
}

void fleet_text(struct json_object *frame, const struct fleet_look *look, struct str *out)
{
    const struct page page = {frame, look, out};
    add_head(&page);
    add_consumers(&page);
    add_targets(&page);
    add_clusters(&page);
    if (look->offsets) {
        add_partition_rows(&page);
    }
    add_notes(&page);
}

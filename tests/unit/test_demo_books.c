#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../consumer/demo/demo_books.h"

/* --- exposition --- */

static void books_next_sample__reads_name_labels_and_value(void **state)
{
    (void)state;
    const char *text = "# HELP x Says {a=\"b\"} 7\n# TYPE x counter\n\n"
                       "x{topic=\"ci\",partition=\"4\"} 12\nplain 0.5 1700000000\n";
    struct books_sample sample;
    char value[16];
    assert_true(books_next_sample(&text, &sample));
    assert_true(books_sample_is(&sample, "x"));
    assert_false(books_sample_is(&sample, "xy"));
    assert_true(books_sample_label(&sample, "partition", value, sizeof value));
    assert_string_equal(value, "4");
    assert_false(books_sample_label(&sample, "part", value, sizeof value));
    assert_true(sample.value == 12);
    assert_true(books_next_sample(&text, &sample));
    assert_true(books_sample_is(&sample, "plain"));
    assert_true(sample.value == 0.5);
    assert_false(books_next_sample(&text, &sample));
}

static void books_next_sample__is_not_misled_by_a_label(void **state)
{
    (void)state;
    const char *text = "x{a=\"} 1\\\"\\\\\",b=\"2\"} 3\ny 4";
    struct books_sample sample;
    char value[16];
    assert_true(books_next_sample(&text, &sample));
    assert_true(books_sample_label(&sample, "b", value, sizeof value));
    assert_string_equal(value, "2");
    assert_true(sample.value == 3);
    assert_true(books_next_sample(&text, &sample));
    assert_true(books_sample_is(&sample, "y"));
    assert_true(sample.value == 4);
}

static void books_next_sample__ends_with_a_cut_text(void **state)
{
    (void)state;
    static const char *const cut[] = {"",    "#",    "x",       "x{",
                                      "x{a", "x{a=", "x{a=\"b", "x{a=\"b\\"};
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        const char *text = cut[i];
        struct books_sample sample;
        char value[16];
        int n = 0;
        while (books_next_sample(&text, &sample) && n < 10) {
            books_sample_label(&sample, "c", value, sizeof value);
            n++;
        }
        assert_in_range(n, 0, 1);
    }
}

/* --- offsets --- */

static void books_cover__counts_what_is_missing(void **state)
{
    (void)state;
    struct books_cover cover = {0};
    assert_int_equal(books_cover_missing(&cover, 0), 0);
    assert_int_equal(books_cover_missing(&cover, 10), 10);
    books_cover_add(&cover, 5, 8);
    assert_int_equal(books_cover_missing(&cover, 10), 7);
    assert_int_equal(books_cover_missing(&cover, 6), 5);
    books_cover_add(&cover, 3, 3);
    assert_int_equal(cover.count, 1);
}

static void books_cover__joins_pieces_in_any_order(void **state)
{
    (void)state;
    struct books_cover cover = {0};
    books_cover_add(&cover, 10, 20);
    books_cover_add(&cover, 30, 40);
    books_cover_add(&cover, 0, 5);
    assert_int_equal(cover.count, 3);
    books_cover_add(&cover, 5, 10); /* touches both sides */
    assert_int_equal(cover.count, 2);
    assert_int_equal(books_cover_missing(&cover, 40), 10);
    books_cover_add(&cover, 15, 35); /* overlaps both */
    assert_int_equal(cover.count, 1);
    books_cover_add(&cover, 12, 18); /* delivered again */
    assert_int_equal(cover.count, 1);
    assert_int_equal(books_cover_missing(&cover, 40), 0);
}

static void books_cover__says_when_it_cannot_follow(void **state)
{
    (void)state;
    struct books_cover cover = {0};
    for (int i = 0; i < BOOKS_SPANS_MAX; i++) {
        books_cover_add(&cover, 10 * i, 10 * i + 1);
    }
    assert_false(cover.overflown);
    books_cover_add(&cover, 10 * BOOKS_SPANS_MAX, 10 * BOOKS_SPANS_MAX + 1);
    assert_true(cover.overflown);
}

/* --- batches --- */

static struct json_object *parse(const char *text)
{
    struct json_object *doc = NULL;
    assert_int_equal(json_parse(text, strlen(text), &doc, NULL), 0);
    return doc;
}

static void books_read_batch__takes_a_workers_line(void **state)
{
    (void)state;
    struct books_batch batch;
    struct json_object *line =
        parse("{\"level\":\"info\",\"msg\":\"batch\",\"topic\":\"ci\",\"partition\":4,"
              "\"offset\":70,\"events\":5,\"settled\":4,\"triggered\":3,\"duplicate\":1,"
              "\"skipped\":0,\"deferred\":0,\"dead\":0,\"returned\":1,\"took_ms\":12}");
    assert_true(books_read_batch(line, &batch));
    assert_string_equal(batch.topic, "ci");
    assert_int_equal(batch.partition, 4);
    assert_int_equal(batch.offset, 70);
    assert_int_equal(batch.settled, 4);
    assert_int_equal(batch.verdicts[BOOKS_TRIGGERED], 3);
    assert_int_equal(batch.verdicts[BOOKS_RETURNED], 1);
    json_free(line);
}

static void books_read_batch__leaves_other_lines_alone(void **state)
{
    (void)state;
    static const char *const lines[] = {"{\"msg\":\"assigned\",\"topic\":\"ci\"}",
                                        "{\"msg\":\"batch\"}", "[]", "7"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct books_batch batch;
        struct json_object *line = parse(lines[i]);
        assert_false(books_read_batch(line, &batch));
        json_free(line);
    }
}

/* --- the balance --- */

/* Ten events on one partition: eight triggered at once, one after a round through the
 * retry topic, one dead after it. */
static void fill(struct books *books)
{
    static const char metrics[] =
        "sluice_events_read_total{topic=\"ci\",partition=\"0\"} 10\n"
        "sluice_events_settled_total{topic=\"ci\",partition=\"0\"} 10\n"
        "sluice_events_read_total{topic=\"ci.retry\",partition=\"0\"} 2\n"
        "sluice_events_settled_total{topic=\"ci.retry\",partition=\"0\"} 2\n"
        "sluice_events_returned_total{topic=\"ci\",partition=\"0\"} 0\n"
        "sluice_events_in_flight 0\nsluice_units_in_flight 0\n"
        "sluice_units_total{target=\"cd\",verdict=\"triggered\"} 9\n"
        "sluice_units_total{target=\"cd\",verdict=\"deferred\"} 2\n"
        "sluice_units_total{target=\"cd\",verdict=\"dead\"} 1\n"
        "sluice_trigger_requests_total{target=\"cd\",code=\"none\"} 0\n";
    *books = (struct books){
        .topics = {{.name = "ci", .source = true, .partitions = 1},
                   {.name = "ci.retry", .partitions = 1}},
        .topic_count = 2,
        .workers = {{.name = "c-1"}},
        .worker_count = 1,
        .outside = {.acknowledged = 10,
                    .accepted = 9,
                    .accepted_keys = 9,
                    .accepted_stat = 9,
                    .dead = 1},
    };
    const struct books_batch first =
        {.topic = "ci",
         .events = 10,
         .settled = 10,
         .verdicts = {[BOOKS_TRIGGERED] = 8, [BOOKS_DEFERRED] = 2}};
    const struct books_batch second =
        {.topic = "ci.retry",
         .events = 2,
         .settled = 2,
         .verdicts = {[BOOKS_TRIGGERED] = 1, [BOOKS_DEAD] = 1}};
    assert_true(books_enter_batch(books, &books->workers[0], &first));
    assert_true(books_enter_batch(books, &books->workers[0], &second));
    books_enter_metrics(books, &books->workers[0], metrics);
    books->topics[0].partition[0].end = 10;
    books->topics[1].partition[0].end = 2;
}

static void books_balance__holds_for_a_whole_run(void **state)
{
    (void)state;
    struct books books;
    struct books_balance b;
    fill(&books);
    books_balance(&books, &b);
    assert_string_equal(b.faults.data, "");
    assert_string_equal(b.notes.data, "");
    assert_int_equal(b.published, 10);
    assert_int_equal(b.triggered, 9);
    assert_int_equal(b.dead, 1);
    assert_int_equal(b.waiting, 0);
    assert_int_equal(b.lost, 0);
    books_balance_release(&b);
}

static void books_balance__finds_a_lost_event(void **state)
{
    (void)state;
    struct books books;
    struct books_balance b;
    fill(&books);
    /* a batch of one that was settled and has no verdict */
    const struct books_batch silent = {.topic = "ci",
                                       .offset = 10,
                                       .events = 1,
                                       .settled = 1};
    books_enter_batch(&books, &books.workers[0], &silent);
    books.topics[0].partition[0].end = 11;
    books_balance(&books, &b);
    assert_int_equal(b.lost, 1);
    assert_non_null(strstr(b.faults.data, "1 events ended nowhere"));
    books_balance_release(&b);
}

static void books_balance__tells_waiting_from_lost(void **state)
{
    (void)state;
    struct books books;
    struct books_balance b;
    fill(&books);
    books.topics[0].partition[0].end = 13;
    books_balance(&books, &b);
    books_balance_release(&b);
    books.outside.acknowledged = 13;
    books_balance(&books, &b);
    assert_string_equal(b.notes.data, "");
    assert_int_equal(b.waiting, 3);
    assert_int_equal(b.lost, 0);
    assert_string_equal(b.faults.data, "");
    books_balance_release(&b);
}

static void books_balance__finds_what_kafka_did_not_keep(void **state)
{
    (void)state;
    struct books books;
    struct books_balance b;
    fill(&books);
    books.outside.acknowledged = 11;
    books_balance(&books, &b);
    assert_non_null(strstr(b.faults.data, "Kafka holds 10"));
    books_balance_release(&b);
    books.outside.acknowledged = 8;
    books_balance(&books, &b);
    assert_string_equal(b.faults.data, "");
    assert_non_null(strstr(b.notes.data, "2 events were published by somebody else"));
    books_balance_release(&b);
}

static void books_balance__finds_a_unit_called_twice(void **state)
{
    (void)state;
    struct books books;
    struct books_balance b;
    fill(&books);
    books.outside.accepted++;
    books.outside.accepted_stat++;
    books.outside.keys_accepted_twice = 1;
    books_balance(&books, &b);
    assert_non_null(strstr(b.faults.data, "1 units were taken more than once"));
    books_balance_release(&b);
    books.workers[0].unanswered = 1; /* an answer that never came explains it */
    books_balance(&books, &b);
    assert_string_equal(b.faults.data, "");
    assert_non_null(strstr(b.notes.data, "1 units were taken more than once"));
    books_balance_release(&b);
}

static void books_balance__finds_what_the_target_did_not_see(void **state)
{
    (void)state;
    struct books books;
    struct books_balance b;
    fill(&books);
    books.outside.accepted = books.outside.accepted_keys = books.outside.accepted_stat =
        8;
    books_balance(&books, &b);
    assert_int_equal(b.lost, 1);
    assert_non_null(
        strstr(b.faults.data, "the target took 8 units, the workers triggered 9"));
    books_balance_release(&b);
}

static void books_balance__finds_a_worker_whose_counters_disagree(void **state)
{
    (void)state;
    struct books books;
    struct books_balance b;
    fill(&books);
    books.workers[0].read++;
    books.topics[0].partition[0].read++;
    books_balance(&books, &b);
    assert_non_null(strstr(b.faults.data, "c-1: events read 13, settled 12"));
    assert_non_null(strstr(b.faults.data, "ci[0]: events read 11, settled 10"));
    assert_non_null(strstr(b.faults.data,
                           "c-1: events read 13, units with a verdict or in flight 12"));
    books_balance_release(&b);
}

static void books_balance__finds_a_log_that_disagrees_with_metrics(void **state)
{
    (void)state;
    struct books books;
    struct books_balance b;
    fill(&books);
    books.workers[0].logged[BOOKS_DEFERRED]--;
    books_balance(&books, &b);
    assert_non_null(
        strstr(b.faults.data, "c-1: its metrics count 2 deferred, its log 1"));
    books_balance_release(&b);
}

static void books_balance__bears_a_worker_that_died(void **state)
{
    (void)state;
    struct books books;
    struct books_balance b;
    fill(&books);
    books.workers[0].scraped = false;
    books.workers[0].died = true;
    /* its last batch is delivered again to another, who finds it done */
    books.workers[1] = (struct books_worker){.name = "c-2", .scraped = true};
    books.worker_count = 2;
    const struct books_batch again = {.topic = "ci",
                                      .offset = 8,
                                      .events = 2,
                                      .settled = 2,
                                      .verdicts = {[BOOKS_DUPLICATE] = 2}};
    books_enter_batch(&books, &books.workers[1], &again);
    books.workers[1].counted[BOOKS_DUPLICATE] = 2;
    books.workers[1].read = books.workers[1].settled = 2;
    books_balance(&books, &b);
    assert_string_equal(b.faults.data, "");
    assert_int_equal(b.lost, 0);
    assert_non_null(strstr(b.notes.data, "2 events were delivered again"));
    books_balance_release(&b);
}

static void books_balance__misses_metrics_that_were_not_read(void **state)
{
    (void)state;
    struct books books;
    struct books_balance b;
    fill(&books);
    books.workers[0].scraped = false;
    books_balance(&books, &b);
    assert_non_null(strstr(b.faults.data, "c-1: its metrics could not be read"));
    books_balance_release(&b);
}

/* --- small tools --- */

static void books_quantile__is_the_nearest_rank(void **state)
{
    (void)state;
    int64_t values[] = {50, 10, 40, 20, 30};
    int64_t one[] = {7};
    assert_int_equal(books_quantile(NULL, 0, 0.5), 0);
    assert_int_equal(books_quantile(one, 1, 0.5), 7);
    assert_int_equal(books_quantile(one, 1, 0.95), 7);
    assert_int_equal(books_quantile(values, 5, 0.5), 30);
    assert_int_equal(books_quantile(values, 5, 0.95), 50);
    assert_int_equal(books_quantile(values, 5, 0.2), 10);
    assert_int_equal(books_quantile(values, 5, 0), 10);
    assert_int_equal(books_quantile(values, 5, 1), 50);
}

static void books_add_number__groups_by_three(void **state)
{
    (void)state;
    struct str out;
    str_init(&out);
    books_add_number(&out, 0);
    str_addc(&out, ' ');
    books_add_number(&out, 999);
    str_addc(&out, ' ');
    books_add_number(&out, 1240);
    str_addc(&out, ' ');
    books_add_number(&out, -1234567);
    assert_string_equal(out.data, "0 999 1,240 -1,234,567");
    str_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

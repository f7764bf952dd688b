/* Readers and offsets on librdkafka's mock cluster. What it cannot show (look-up by time,
 * members, moving a group) is played on a real broker by the scenarios of replay. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/now.h"
#include "wire/kafka_groups.h"
#include "wire/kafka_mock.h"
#include "wire/kafka_producer.h"
#include "wire/kafka_reader.h"

enum { WAIT_MS = 20000 };

static struct {
    struct kafka_mock *mock;
    struct kafka_producer *producer;
    struct kafka_admin *admin;
    const char *brokers;
} t;

static int open_all(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    log_setup(LOG_ERROR, LOG_JSON, NULL);
    t.mock = kafka_mock_open(1, &err);
    assert_non_null(t.mock);
    t.brokers = kafka_mock_bootstrap(t.mock);
    kafka_mock_topic(t.mock, "letters", 3);
    t.producer =
        kafka_producer_start(&(struct kafka_producer_options){.brokers = t.brokers},
                             &err);
    t.admin = kafka_admin_open(t.brokers, NULL, 0, &err);
    assert_non_null(t.producer);
    assert_non_null(t.admin);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    kafka_producer_stop(t.producer, now_ms() + WAIT_MS);
    kafka_admin_close(t.admin);
    kafka_mock_close(t.mock);
    return 0;
}

static void put(int partition, const char *value, int64_t wall_ms)
{
    struct err err = ERR_INIT;
    struct kafka_header header = {"sluice-target", "argocd", 6};
    struct kafka_message message = {.topic = "letters",
                                    .partition = partition,
                                    .key = "k",
                                    .key_len = 1,
                                    .value = value,
                                    .value_len = strlen(value),
                                    .headers = &header,
                                    .header_count = 1,
                                    .timestamp_ms = wall_ms};
    int64_t offset;
    assert_int_equal(kafka_send_wait(t.producer, &message, now_ms() + WAIT_MS, &partition,
                                     &offset, &err),
                     0);
}

/* The values in the order they come, joined. Returns the reader's last word. */
static int read_all(const struct kafka_span *spans, size_t n, char *text, size_t len)
{
    struct err err = ERR_INIT;
    struct kafka_reader *reader =
        kafka_reader_open(t.brokers, NULL, 0, "letters", spans, n, &err);
    assert_non_null(reader);
    int rc;
    size_t at = 0;
    do {
        struct kafka_record *record = NULL;
        int partition;
        rc = kafka_reader_next(reader, now_ms() + WAIT_MS, &partition, &record, &err);
        if (rc == 0) {
            at += (size_t)snprintf(text + at, len - at, "%s%d", record->value, partition);
            assert_string_equal(kafka_record_header(record, "sluice-target")->value,
                                "argocd");
            kafka_record_free(record);
        }
    } while (rc == 0);
    kafka_reader_close(reader);
    return rc;
}

static void kafka_reader__merges_by_time_within_the_spans(void **state)
{
    (void)state;
    char text[64] = "";
    put(0, "a", 1000);
    put(1, "b", 2000);
    put(0, "c", 3000);
    put(1, "d", 2500);
    put(0, "e", 4000);
    put(0, "f", 5000); /* not to be read */
    struct kafka_span spans[] = {{0, 0, 3}, {1, 0, 2}, {2, 0, 0}};
    assert_int_equal(read_all(spans, 3, text, sizeof text), -EPIPE);
    assert_string_equal(text, "a0b1d1c0e0");
    struct kafka_span later[] = {{0, 1, 2}, {1, 2, 2}};
    text[0] = '\0';
    assert_int_equal(read_all(later, 2, text, sizeof text), -EPIPE);
    assert_string_equal(text, "c0");
}

static void kafka_reader__ends_where_the_topic_ends(void **state)
{
    (void)state;
    char text[64] = "";
    struct kafka_span spans[] = {{0, 2, 1000}, {2, 0, 1000}};
    assert_int_equal(read_all(spans, 2, text, sizeof text), -EPIPE);
    assert_string_equal(text, "e0f0");
}

static void kafka_reader__says_that_nobody_answers(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct kafka_span span = {0, 0, 10};
    struct kafka_record *record;
    int partition;
    struct kafka_reader *reader =
        kafka_reader_open("127.0.0.1:1", NULL, 0, "letters", &span, 1, &err);
    assert_non_null(reader);
    assert_int_equal(kafka_reader_next(reader, now_ms() + 300, &partition, &record, &err),
                     -ETIMEDOUT);
    assert_non_null(strstr(err.text, "letters [0]"));
    kafka_reader_close(reader);
}

static void kafka_groups__tell_ends_and_offsets_of_all_partitions(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int64_t first[3];
    int64_t end[3];
    int64_t done[3];
    assert_int_equal(kafka_topic_ranges(t.admin, "letters", 3, now_ms() + WAIT_MS, first,
                                        end, &err),
                     0);
    int64_t firsts[] = {0, 0, 0};
    int64_t ends[] = {4, 2, 0};
    assert_memory_equal(first, firsts, sizeof first);
    assert_memory_equal(end, ends, sizeof end);
    assert_int_equal(kafka_group_offsets(t.admin, "nobody", "letters", 3,
                                         now_ms() + WAIT_MS, done, &err),
                     0);
    int64_t none[] = {KAFKA_NO_OFFSET, KAFKA_NO_OFFSET, KAFKA_NO_OFFSET};
    assert_memory_equal(done, none, sizeof done);
}

static void kafka_groups__refuse_what_the_broker_cannot(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct kafka_members group;
    int64_t offsets[] = {1, KAFKA_NO_OFFSET, KAFKA_NO_OFFSET};
    assert_int_not_equal(kafka_members_ask(t.admin, "nobody", now_ms() + 2000, &group,
                                           &err),
                         0);
    assert_true(err.text[0] != '\0');
    assert_int_not_equal(kafka_group_move(t.admin, "nobody", "letters", 3, offsets,
                                          now_ms() + 2000, &err),
                         0);
    kafka_members_release(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}

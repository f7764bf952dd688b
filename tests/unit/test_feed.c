#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "sync/feed.h"

static struct feed *small_feed(void)
{
    const struct feed_options options = {.boot = "b00t",
                                         .frames_max = 8,
                                         .bytes_max = 4096,
                                         .behind_max = 4,
                                         .backlog_max = 1024,
                                         .subscribers_max = 3};
    return feed_new(&options);
}

static void publish(struct feed *feed, const char *space, const char *data)
{
    const struct feed_frame frame = {.space = space,
                                     .event = "delivery",
                                     .data = data,
                                     .len = strlen(data)};
    feed_publish(feed, &frame);
}

static void publish_snapshot(struct feed *feed, const char *data)
{
    const struct feed_frame frame = {.event = "fleet",
                                     .data = data,
                                     .len = strlen(data),
                                     .snapshot = true};
    feed_publish(feed, &frame);
}

/* Everything there is to read now, in pieces of `piece` bytes; *rc: what ended it. */
static char *read_all(struct feed_subscriber *s, size_t piece, ssize_t *rc)
{
    char bytes[512];
    struct str text;
    str_init(&text);
    ssize_t n = feed_read(s, bytes, piece);
    for (; n > 0; n = feed_read(s, bytes, piece)) {
        str_put(&text, bytes, (size_t)n);
    }
    if (rc) {
        *rc = n;
    }
    return str_take(&text);
}

static void assert_reads(struct feed_subscriber *s, const char *expected)
{
    ssize_t rc;
    char *text = read_all(s, 512, &rc);
    assert_string_equal(text, expected);
    assert_int_equal(rc, 0);
    free(text);
}

/* --- frames --- */

static void feed__shows_a_frame_with_its_id(void **state)
{
    (void)state;
    struct feed *feed = small_feed();
    struct feed_subscriber *s = feed_subscribe(feed, NULL, NULL);
    assert_reads(s, "");
    publish(feed, NULL, "{}");
    assert_reads(s, "id: b00t-1\nevent: delivery\ndata: {}\n\n");
    publish(feed, NULL, "two\r\nlines\rand a \nfourth");
    assert_reads(s, "id: b00t-2\nevent: delivery\ndata: two\ndata: lines\ndata: and a \n"
                    "data: fourth\n\n");
    const struct feed_frame comment = {.data = "keepalive", .len = 9};
    feed_publish(feed, &comment);
    assert_reads(s, ": keepalive\n\n");
    feed_unsubscribe(s);
    feed_free(feed);
}

static void feed__hands_out_a_frame_in_pieces(void **state)
{
    (void)state;
    struct feed *feed = small_feed();
    struct feed_subscriber *s = feed_subscribe(feed, NULL, NULL);
    publish(feed, NULL, "one");
    publish(feed, NULL, "two");
    char *text = read_all(s, 3, NULL);
    assert_string_equal(text, "id: b00t-1\nevent: delivery\ndata: one\n\n"
                              "id: b00t-2\nevent: delivery\ndata: two\n\n");
    free(text);
    feed_unsubscribe(s);
    feed_free(feed);
}

/* --- namespaces --- */

static bool hears(const char *listens, const char *space)
{
    struct feed *feed = small_feed();
    struct feed_subscriber *s = feed_subscribe(feed, listens, NULL);
    publish(feed, space, "x");
    char *text = read_all(s, 512, NULL);
    bool heard = text[0] != '\0';
    free(text);
    feed_unsubscribe(s);
    feed_free(feed);
    return heard;
}

static void feed__matches_whole_segments_of_a_namespace(void **state)
{
    (void)state;
    assert_false(hears("/app1", "/app10"));
    assert_false(hears("/acme/ap", "/acme/api"));
    assert_false(hears("/acme/api", "/acme"));
    assert_false(hears("/acme", "/ACME"));
    assert_true(hears("/app1", "/app1"));
    assert_true(hears("/acme", "/acme/api"));
    assert_true(hears("/acme/", "/acme/api"));
    assert_true(hears("/acme/api", "/acme/api"));
    assert_true(hears("/", "/acme/api"));
    assert_true(hears("", "/acme/api"));
    assert_true(hears("/acme", NULL));
}

static void feed__knows_a_namespace_when_it_sees_one(void **state)
{
    (void)state;
    char longest[FEED_SPACE_MAX + 1];
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[FEED_SPACE_MAX] = '\0';
    assert_false(feed_space_is_valid(longest));
    longest[FEED_SPACE_MAX - 1] = '\0';
    assert_true(feed_space_is_valid(longest));
    assert_false(feed_space_is_valid("acme"));
    assert_false(feed_space_is_valid("/a\nb"));
    assert_true(feed_space_is_valid(""));
    assert_true(feed_space_is_valid("/acme/<b>"));
}

/* --- coming back --- */

static void feed__replays_what_came_after_the_last_id(void **state)
{
    (void)state;
    struct feed *feed = small_feed();
    publish(feed, "/a", "1");
    publish(feed, "/b", "2");
    publish(feed, "/a", "3");
    struct feed_subscriber *s = feed_subscribe(feed, "/a", "b00t-1");
    assert_reads(s, "id: b00t-3\nevent: delivery\ndata: 3\n\n");
    feed_unsubscribe(s);
    s = feed_subscribe(feed, "/a", "b00t-3");
    assert_reads(s, "");
    feed_unsubscribe(s);
    feed_free(feed);
}

static void feed__says_that_there_is_a_gap(void **state)
{
    (void)state;
    static const char *const ids[] = {"b00t-1", "other-5", "b00t-99", "b00t-",
                                      "b00t-x", "",        "b00t-0"};
    struct feed *feed = small_feed();
    publish_snapshot(feed, "all there is");
    for (int i = 0; i < 9; i++) {
        publish(feed, NULL, "x");
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct feed_subscriber *s = feed_subscribe(feed, NULL, ids[i]);
        char *text = read_all(s, 512, NULL);
        assert_memory_equal(text, "event: gap\ndata: {", 18);
        assert_non_null(
            strstr(text, "}\n\nid: b00t-1\nevent: fleet\ndata: all there is\n\n"));
        assert_null(strstr(text, "delivery"));
        free(text);
        feed_unsubscribe(s);
    }
    feed_free(feed);
}

static void feed__begins_with_the_latest_snapshot(void **state)
{
    (void)state;
    struct feed *feed = small_feed();
    publish_snapshot(feed, "old");
    publish_snapshot(feed, "new");
    publish(feed, NULL, "before");
    struct feed_subscriber *s = feed_subscribe(feed, NULL, NULL);
    publish(feed, NULL, "after");
    assert_reads(s, "id: b00t-2\nevent: fleet\ndata: new\n\n"
                    "id: b00t-4\nevent: delivery\ndata: after\n\n");
    feed_unsubscribe(s);
    feed_free(feed);
}

static void feed__replays_nothing_from_before_a_break(void **state)
{
    (void)state;
    struct feed *feed = small_feed();
    publish_snapshot(feed, "old");
    publish(feed, NULL, "x");
    feed_break(feed);
    struct feed_subscriber *s = feed_subscribe(feed, NULL, "b00t-2");
    char *text = read_all(s, 512, NULL);
    assert_non_null(strstr(text, "event: gap"));
    assert_null(strstr(text, "old"));
    free(text);
    publish(feed, NULL, "y");
    assert_reads(s, "id: b00t-4\nevent: delivery\ndata: y\n\n");
    feed_unsubscribe(s);
    feed_free(feed);
}

/* --- bounds --- */

static void assert_evicted(struct feed *feed, struct feed_subscriber *s, uint64_t dropped)
{
    char byte;
    struct feed_counts counts;
    assert_true(feed_is_evicted(s));
    assert_int_equal(feed_read(s, &byte, 1), -EPIPE);
    feed_counts(feed, &counts);
    assert_int_equal(counts.evicted, 1);
    assert_int_equal(counts.dropped, dropped);
}

static void feed__evicts_who_falls_behind_and_nobody_else(void **state)
{
    (void)state;
    struct feed *feed = small_feed();
    struct feed_subscriber *slow = feed_subscribe(feed, NULL, NULL);
    struct feed_subscriber *quick = feed_subscribe(feed, NULL, NULL);
    struct feed_subscriber *elsewhere = feed_subscribe(feed, "/quiet", NULL);
    assert_reads(slow, "");
    assert_reads(elsewhere, "");
    for (int i = 0; i < 4; i++) {
        publish(feed, "/a", "x");
        free(read_all(quick, 512, NULL));
    }
    assert_false(feed_is_evicted(slow));
    publish(feed, "/a", "x");
    assert_evicted(feed, slow, 5);
    assert_reads(quick, "id: b00t-5\nevent: delivery\ndata: x\n\n");
    for (int i = 0; i < 20; i++) { /* what is not meant for it is no debt */
        publish(feed, "/a", "x");
        free(read_all(quick, 512, NULL));
    }
    publish(feed, "/quiet/a", "at last");
    assert_reads(elsewhere, "id: b00t-26\nevent: delivery\ndata: at last\n\n");
    feed_unsubscribe(slow);
    feed_unsubscribe(quick);
    feed_unsubscribe(elsewhere);
    feed_free(feed);
}

static void feed__bounds_the_bytes_somebody_is_behind(void **state)
{
    (void)state;
    char data[1500];
    memset(data, 'x', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    struct feed *feed = small_feed();
    struct feed_subscriber *s = feed_subscribe(feed, NULL, NULL);
    assert_reads(s, "");
    publish(feed, NULL, data); /* one frame alone is let through */
    assert_false(feed_is_evicted(s));
    publish(feed, NULL, "x");
    assert_evicted(feed, s, 2);
    feed_unsubscribe(s);
    feed_free(feed);
}

static void feed__lets_who_comes_back_catch_up_first(void **state)
{
    (void)state;
    struct feed *feed = small_feed();
    for (int i = 0; i < 8; i++) {
        publish(feed, NULL, "x");
    }
    struct feed_subscriber *s = feed_subscribe(feed, NULL, "b00t-1");
    char bytes[64];
    assert_true(feed_read(s, bytes, sizeof bytes) > 0);
    publish(feed, NULL, "x"); /* it is 6 behind, 4 are allowed */
    assert_false(feed_is_evicted(s));
    for (int i = 0; i < 8; i++) { /* but not further than the ring reaches */
        publish(feed, NULL, "x");
    }
    assert_true(feed_is_evicted(s));
    feed_unsubscribe(s);
    feed_free(feed);
}

static void feed__keeps_no_more_than_it_may(void **state)
{
    (void)state;
    char data[3000];
    memset(data, 'x', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    struct feed *feed = small_feed();
    struct feed_counts counts;
    for (int i = 0; i < 100; i++) {
        publish(feed, NULL, i % 3 ? "x" : data);
        feed_counts(feed, &counts);
        assert_true(counts.frames <= 8);
        assert_true(counts.bytes <= 4096);
    }
    assert_int_equal(counts.published, 100);
    feed_free(feed);
}

static void feed__takes_no_more_subscribers_than_it_may(void **state)
{
    (void)state;
    struct feed *feed = small_feed();
    struct feed_subscriber *s[3];
    for (int i = 0; i < 3; i++) {
        s[i] = feed_subscribe(feed, NULL, NULL);
        assert_non_null(s[i]);
    }
    assert_null(feed_subscribe(feed, NULL, NULL));
    feed_unsubscribe(s[0]);
    s[0] = feed_subscribe(feed, NULL, NULL);
    assert_non_null(s[0]);
    for (int i = 0; i < 3; i++) {
        feed_unsubscribe(s[i]);
    }
    feed_free(feed);
}

static void feed__says_goodbye_after_the_rest(void **state)
{
    (void)state;
    struct feed *feed = small_feed();
    struct feed_subscriber *s = feed_subscribe(feed, "/a", NULL);
    publish(feed, "/a", "rest");
    const struct feed_frame last = {.event = "goodbye", .data = "{}", .len = 2};
    feed_close(feed, &last);
    publish(feed, "/a", "too late");
    ssize_t rc;
    char *text = read_all(s, 512, &rc);
    assert_string_equal(text, "id: b00t-1\nevent: delivery\ndata: rest\n\n"
                              "id: b00t-2\nevent: goodbye\ndata: {}\n\n");
    assert_int_equal(rc, -EPIPE);
    free(text);
    assert_null(feed_subscribe(feed, NULL, NULL));
    feed_unsubscribe(s);
    feed_free(feed);
}

/* --- whatever happens, in whatever order --- */

enum { PLAYERS = 6, STEPS = 4000 };

static const char *const spaces[] = {"",       "/acme",    "/acme/api", "/acme/api/x",
                                     "/acme2", "/acme/ap", "/b",        NULL};

struct player {
    struct feed_subscriber *s;
    size_t space;
    struct str expected; /* the numbers that are meant for it */
    struct str got;
};

static unsigned dice(unsigned *seed, unsigned sides)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % sides;
}

/* The same question, asked another way: the segments are equal one by one. */
static bool belongs(const char *space, const char *listens)
{
    char a[64];
    char b[64];
    snprintf(a, sizeof a, "%s/", space ? space : "");
    snprintf(b, sizeof b, "%s/", listens);
    return !space || strcmp(b, "/") == 0 || strncmp(a, b, strlen(b)) == 0;
}

static void read_some(struct player *p, size_t max)
{
    char bytes[256];
    ssize_t n = feed_read(p->s, bytes, max);
    if (n > 0) {
        str_put(&p->got, bytes, (size_t)n);
    }
}

/* What a player got are whole frames, in order, none missing: their data are what was
 * meant for it. */
static void check_player(struct player *p)
{
    struct str numbers;
    str_init(&numbers);
    bool evicted = feed_is_evicted(p->s);
    for (size_t before = p->got.len + 1; !evicted && before != p->got.len;) {
        before = p->got.len;
        read_some(p, 256);
    }
    for (const char *at = strstr(p->got.data, "data: "); at; at = strstr(at, "data: ")) {
        at += 6;
        const char *end = strstr(at, "\n\n");
        if (!end) {
            break;
        }
        str_put(&numbers, at, (size_t)(end - at));
        str_addc(&numbers, ' ');
    }
    if (evicted) { /* a beginning of it */
        assert_memory_equal(numbers.data, p->expected.data, numbers.len);
    } else {
        assert_string_equal(numbers.data, p->expected.data);
    }
    str_release(&numbers);
}

static void leave(struct player *p)
{
    if (p->s) {
        check_player(p);
        feed_unsubscribe(p->s);
        p->s = NULL;
    }
    str_clear(&p->expected);
    str_clear(&p->got);
}

static void play(unsigned seed)
{
    const struct feed_options options = {.boot = "b",
                                         .frames_max = 16,
                                         .bytes_max = 1000,
                                         .behind_max = 10,
                                         .backlog_max = 600,
                                         .subscribers_max = PLAYERS};
    struct feed *feed = feed_new(&options);
    struct player players[PLAYERS] = {{0}};
    for (size_t i = 0; i < PLAYERS; i++) {
        str_init(&players[i].expected);
        str_init(&players[i].got);
    }
    for (int step = 0; step < STEPS; step++) {
        struct player *p = &players[dice(&seed, PLAYERS)];
        unsigned what = dice(&seed, 10);
        if (what < 4) {
            char number[32];
            const char *space = spaces[dice(&seed, 8)];
            snprintf(number, sizeof number, "%d%*s", step, (int)dice(&seed, 3) * 5, "");
            publish(feed, space && space[0] ? space : NULL, number);
            for (size_t i = 0; i < PLAYERS; i++) {
                if (players[i].s &&
                    belongs(space && space[0] ? space : NULL, spaces[players[i].space])) {
                    str_addf(&players[i].expected, "%s ", number);
                }
            }
        } else if (what < 9 && p->s) {
            read_some(p, 1 + dice(&seed, 200));
        } else if (!p->s) {
            p->space = dice(&seed, 7);
            p->s = feed_subscribe(feed, spaces[p->space], NULL);
            assert_non_null(p->s);
        } else if (dice(&seed, 8) == 0) {
            leave(p);
        }
    }
    for (size_t i = 0; i < PLAYERS; i++) {
        leave(&players[i]);
        str_release(&players[i].expected);
        str_release(&players[i].got);
    }
    feed_free(feed);
}

static void feed__gives_each_all_that_is_meant_for_it_in_order(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 30; seed++) {
        play(seed);
    }
}

/* --- threads --- */

enum { RUNS = 2000 };

struct race {
    struct feed *feed;
    atomic_int publishing;
};

static void *publish_many(void *arg)
{
    struct race *race = arg;
    for (int i = 0; i < RUNS; i++) {
        publish(race->feed, i % 2 ? "/a" : NULL, "some text to be read");
    }
    atomic_fetch_sub(&race->publishing, 1);
    return NULL;
}

static void *come_and_go(void *arg)
{
    struct race *race = arg;
    char bytes[100];
    while (atomic_load(&race->publishing) > 0) {
        struct feed_subscriber *s = feed_subscribe(race->feed, "/a", NULL);
        assert_non_null(s);
        while (feed_read(s, bytes, sizeof bytes) > 0) {
        }
        feed_unsubscribe(s);
    }
    return NULL;
}

static void feed__is_used_by_many_threads(void **state)
{
    (void)state;
    struct race race = {.feed = small_feed()};
    atomic_store(&race.publishing, 2);
    pthread_t threads[5];
    for (int i = 0; i < 5; i++) {
        MUST(
            pthread_create(&threads[i], NULL, i < 2 ? publish_many : come_and_go, &race));
    }
    for (int i = 0; i < 5; i++) {
        MUST(pthread_join(threads[i], NULL));
    }
    struct feed_counts counts;
    feed_counts(race.feed, &counts);
    assert_int_equal(counts.published, 2 * RUNS);
    assert_int_equal(counts.subscribers, 0);
    feed_free(race.feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Design. The thread sleeps until somebody listens or asks, opens its place, then takes a
 * turn each second: what is recent, the fleet's frame, a keepalive; publishes all of it,
 * and has the readers woken once. When nobody has listened for LIVE_LINGER_MS it closes
 * its place and breaks the feed, so that who comes back later is told of the gap.
 *
 * Lock order: `mu` is a leaf. No callback under it. */
#include "ops/live.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "ops/recent.h"
#include "sync/cond.h"
#include "wire/crypto.h"
#include "wire/json.h"

enum {
    RECENT_MS = 700, /* of a turn, for each of the two */
    SNAPSHOT_MS = 900,
    RING_FRAMES = 1500, /* about a minute of full speed */
    BEHIND_FRAMES = 300,
    BACKLOG_BYTES = 1 << 20,
};

struct asker {
    live_frame_fn *fn;
    void *arg;
};

struct live {
    /* read-only after start */
    struct live_options options;
    struct feed *feed;
    pthread_t thread;

    /* of the thread */
    struct ops_place place;
    bool open;
    struct recent recent;
    struct json_object *deliveries[RECENT_READ_MAX]; /* of this turn, owned */
    size_t delivery_count;
    size_t notice_count;
    int64_t keepalive_ms;

    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    bool stopping;
    int64_t looked_ms; /* somebody listened or asked */
    bool looked;       /* since the thread last thought about it */
    struct asker askers[LIVE_ASKERS_MAX];
    size_t asker_count;
    struct str frame; /* the latest; "" when there is none */
    int64_t frame_ms;
};

static void publish(struct live *l, const char *space, const char *event,
                    struct json_object *doc)
{
    struct str text;
    str_init(&text);
    json_print(doc, &text);
    const struct feed_frame frame = {.space = space,
                                     .event = event,
                                     .data = text.data,
                                     .len = text.len};
    feed_publish(l->feed, &frame);
    str_release(&text);
}

/* --- what is recent --- */

static void take_recent(void *arg, bool notice, struct json_object *doc)
{
    struct live *l = arg;
    if (notice) {
        if (l->notice_count++ < LIVE_NOTICES) {
            publish(l, NULL, "notice", doc);
        }
    } else if (l->delivery_count < RECENT_READ_MAX) {
        l->deliveries[l->delivery_count++] = json_object_get(doc);
    }
}

static int64_t left_out_before(struct json_object *delivery)
{
    struct json_object *more = json_at(delivery, "/more");
    return more ? json_object_get_int64(more) : 0;
}

static void publish_delivery(struct live *l, struct json_object *delivery, int64_t more)
{
    char space[FEED_SPACE_MAX];
    const char *repo = json_string_at(delivery, "/repo", NULL);
    int len = snprintf(space, sizeof space, "/%s", repo ? repo : "");
    json_object_object_del(delivery, "more");
    if (more > 0) {
        json_object_object_add(delivery, "more", json_object_new_int64(more));
    }
    bool whole = len > 0 && (size_t)len < sizeof space;
    publish(l, whole ? space : "/", "delivery", delivery);
}

/* An even sample of what there is; each says how many were left out before it. */
static void publish_deliveries(struct live *l)
{
    size_t n = l->delivery_count;
    size_t shown = n < LIVE_DELIVERIES ? n : LIVE_DELIVERIES;
    size_t next = 0;
    for (size_t k = 1; k <= shown; k++) {
        size_t last = n * k / shown;
        int64_t more = (int64_t)(last - next) - 1;
        for (; next < last; next++) {
            more += left_out_before(l->deliveries[next]);
        }
        publish_delivery(l, l->deliveries[last - 1], more);
    }
    for (size_t i = 0; i < n; i++) {
        json_free(l->deliveries[i]);
    }
    l->delivery_count = 0;
}

static void publish_notices_left_out(struct live *l)
{
    if (l->notice_count > LIVE_NOTICES) {
        char text[64];
        snprintf(text, sizeof text, "%zu more notices", l->notice_count - LIVE_NOTICES);
        struct json_object *doc = json_object_new_object();
        json_object_object_add(doc, "at_ms", json_object_new_int64(now_wall_ms()));
        json_object_object_add(doc, "kind", json_object_new_string("more"));
        json_object_object_add(doc, "text", json_object_new_string(text));
        publish(l, NULL, "notice", doc);
        json_free(doc);
    }
    l->notice_count = 0;
}

static void read_recent(struct live *l)
{
    struct err err = ERR_INIT;
    if (recent_read(&l->place, &l->recent, now_ms() + RECENT_MS, take_recent, l, &err)) {
        LOG(LOG_DEBUG, "the stream misses what is recent", LS("why", err.text), LEND);
    }
    publish_notices_left_out(l);
    publish_deliveries(l);
}

/* --- the fleet --- */

static void read_fleet(struct live *l)
{
    struct str json;
    str_init(&json);
    l->options.snapshot(l->options.arg, &l->place, now_ms() + SNAPSHOT_MS, &json);
    const struct feed_frame frame = {.event = "fleet",
                                     .data = json.data,
                                     .len = json.len,
                                     .snapshot = true};
    feed_publish(l->feed, &frame);
    MUST(pthread_mutex_lock(&l->mu));
    struct str old = l->frame;
    l->frame = json;
    l->frame_ms = now_ms();
    MUST(pthread_mutex_unlock(&l->mu));
    str_release(&old);
}

static void answer(struct live *l, const struct asker *askers, size_t n)
{
    struct str json;
    str_init(&json);
    MUST(pthread_mutex_lock(&l->mu));
    str_add(&json, l->frame.len > 0 ? l->frame.data : "{}");
    MUST(pthread_mutex_unlock(&l->mu));
    for (size_t i = 0; i < n; i++) {
        askers[i].fn(askers[i].arg, json.data, json.len);
    }
    str_release(&json);
}

static void answer_all(struct live *l)
{
    struct asker askers[LIVE_ASKERS_MAX];
    MUST(pthread_mutex_lock(&l->mu));
    size_t n = l->asker_count;
    memcpy(askers, l->askers, n * sizeof askers[0]);
    l->asker_count = 0;
    MUST(pthread_mutex_unlock(&l->mu));
    answer(l, askers, n);
}

/* --- turns --- */

static void keep_alive(struct live *l)
{
    static const char text[] = "keepalive";
    if (now_ms() >= l->keepalive_ms) {
        const struct feed_frame comment = {.data = text, .len = sizeof text - 1};
        feed_publish(l->feed, &comment);
        l->keepalive_ms = now_ms() + LIVE_KEEPALIVE_MS;
    }
}

static void turn(struct live *l)
{
    struct err err = ERR_INIT;
    if (!l->open) {
        l->open = ops_place_open(&l->place, l->options.config, &err) == 0;
        l->keepalive_ms = now_ms() + LIVE_KEEPALIVE_MS;
    }
    if (l->open) {
        read_recent(l);
        read_fleet(l);
    }
    keep_alive(l);
    answer_all(l);
    l->options.wake(l->options.arg);
}

static void idle(struct live *l)
{
    if (l->open) {
        ops_place_close(&l->place);
        l->open = false;
        feed_break(l->feed);
        memset(&l->recent, 0, sizeof l->recent);
    }
}

static bool is_watched(struct live *l)
{
    struct feed_counts counts;
    feed_counts(l->feed, &counts);
    int64_t now = now_ms();
    MUST(pthread_mutex_lock(&l->mu));
    if (counts.subscribers > 0 || l->asker_count > 0) {
        l->looked_ms = now;
    }
    l->looked = false;
    bool watched = l->looked_ms > 0 && now - l->looked_ms < LIVE_LINGER_MS;
    MUST(pthread_mutex_unlock(&l->mu));
    return watched;
}

/* Wait until then; who asks does not wait for it, and who looks ends an idle one.
 * Returns false when it is over. */
static bool wait_until(struct live *l, int64_t until_ms)
{
    bool is_idle = until_ms == NOW_FOREVER;
    MUST(pthread_mutex_lock(&l->mu));
    while (!l->stopping && l->asker_count == 0 && !(is_idle && l->looked) &&
           now_ms() < until_ms) {
        cond_wait(&l->cond, &l->mu, until_ms);
    }
    bool go_on = !l->stopping;
    MUST(pthread_mutex_unlock(&l->mu));
    return go_on;
}

static void *run(void *arg)
{
    struct live *l = arg;
    bool go_on = true;
    while (go_on) {
        int64_t next_ms = NOW_FOREVER;
        if (is_watched(l)) {
            next_ms = now_ms() + LIVE_EVERY_MS;
            turn(l);
        } else {
            idle(l);
        }
        go_on = wait_until(l, next_ms);
    }
    answer_all(l);
    idle(l);
    return NULL;
}

/* --- from outside --- */

struct feed *live_feed(struct live *l)
{
    return l->feed;
}

void live_look(struct live *l)
{
    MUST(pthread_mutex_lock(&l->mu));
    l->looked_ms = now_ms();
    l->looked = true;
    MUST(pthread_cond_signal(&l->cond));
    MUST(pthread_mutex_unlock(&l->mu));
}

bool live_ask(struct live *l, live_frame_fn *fn, void *arg)
{
    const struct asker asker = {fn, arg};
    MUST(pthread_mutex_lock(&l->mu));
    l->looked_ms = now_ms();
    bool fresh = l->frame_ms > 0 && l->looked_ms - l->frame_ms < LIVE_EVERY_MS;
    bool room = !l->stopping && l->asker_count < LIVE_ASKERS_MAX;
    if (!fresh && room) {
        l->askers[l->asker_count++] = asker;
        MUST(pthread_cond_signal(&l->cond));
    }
    MUST(pthread_mutex_unlock(&l->mu));
    if (fresh) {
        answer(l, &asker, 1);
    }
    return fresh || room;
}

struct live *live_start(const struct live_options *options)
{
    char boot[FEED_BOOT_MAX];
    snprintf(boot, sizeof boot, "%08x", (unsigned)crypto_random_u64());
    const struct feed_options feed = {.boot = boot,
                                      .frames_max = RING_FRAMES,
                                      .bytes_max = options->ring_bytes_max,
                                      .behind_max = BEHIND_FRAMES,
                                      .backlog_max = BACKLOG_BYTES,
                                      .subscribers_max = options->subscribers_max};
    struct live *l = mem_zalloc(sizeof *l);
    l->options = *options;
    l->feed = feed_new(&feed);
    str_init(&l->frame);
    MUST(pthread_mutex_init(&l->mu, NULL));
    cond_init(&l->cond);
    MUST(pthread_create(&l->thread, NULL, run, l));
    return l;
}

void live_goodbye(struct live *l)
{
    static const char data[] = "{\"why\":\"this server stops; come back in a moment\"}";
    const struct feed_frame last = {.event = "goodbye",
                                    .data = data,
                                    .len = sizeof data - 1};
    feed_close(l->feed, &last);
    l->options.wake(l->options.arg);
}

void live_stop(struct live *l)
{
    MUST(pthread_mutex_lock(&l->mu));
    l->stopping = true;
    MUST(pthread_cond_signal(&l->cond));
    MUST(pthread_mutex_unlock(&l->mu));
    MUST(pthread_join(l->thread, NULL));
    feed_free(l->feed);
    str_release(&l->frame);
    MUST(pthread_cond_destroy(&l->cond));
    MUST(pthread_mutex_destroy(&l->mu));
    free(l);
}

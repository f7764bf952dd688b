#include "wire/redis_inside.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "wire/crypto.h"

/* Design. A command is one node. Callers put nodes into `inbox` under mu; the redis
 * thread moves them to `waiting`, from there as many as fit into one write and to
 * `in_flight`, whose order is the order of the replies. Everything but the inbox belongs
 * to the redis thread, so `done` functions run without any lock.
 *
 * A node whose deadline passes is ended at once. While it is in flight it stays there as
 * a ghost, so that its late reply is matched and thrown away. If it may linger, it is
 * kept (and after a lost connection sent again) until the server has done it or its time
 * is over: a server that refuses (out of memory, busy) is asked again after a rest.
 *
 * Group commit: while replies are awaited nobody wakes the thread. What is handed in
 * meanwhile goes out as one pipeline with the next reply, or after GATHER_MS.
 *
 * `again` goes out before `waiting`: what a lost connection or an unknown script gives
 * back. Lock order: there is only mu, and a waiter's own lock, never both. */

enum {
    PIPELINE_MAX = 4096,     /* in flight */
    OUT_BYTES_MAX = 1 << 18, /* written, but not yet taken by the kernel */
    READ_BYTES = 1 << 16,
    READS_MAX = 16,    /* in one turn */
    SILENCE_MS = 3000, /* nothing came while something is in flight: it is gone */
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 1000,
    BACKOFF_DOUBLINGS_MAX = 5,
    BACKOFF_REFUSED_MS = 5000, /* a person must mend it */
    SAY_AGAIN_MS = 60000,      /* that it still fails alike */
    SCRIPT_TRIES_MAX = 3,
    GATHER_MS = 1,
    IDLE_POLL_MS = 60000,
    REST_MS = 500, /* before what was refused is sent again */
};

/* ---- the connection ---- */

static void want_connection(struct redis *r, bool refused)
{
    const char *texts[REDIS_SCRIPTS_MAX];
    MUST(pthread_mutex_lock(&r->mu));
    size_t n = r->script_count;
    for (size_t i = 0; i < n; i++) {
        texts[i] = r->scripts[i]->text;
    }
    MUST(pthread_mutex_unlock(&r->mu));
    int64_t most = BACKOFF_FIRST_MS;
    for (int i = 0; i < r->failures && i < BACKOFF_DOUBLINGS_MAX; i++) {
        most *= 2;
    }
    if (most > BACKOFF_MAX_MS) {
        most = BACKOFF_MAX_MS;
    }
    if (refused) {
        most = BACKOFF_REFUSED_MS;
    }
    /* the whole fleet lost it in the same moment: spread the return */
    int64_t wait = r->ever_connected || r->failures > 0
                       ? (int64_t)(crypto_random_u64() % (uint64_t)most)
                       : 0;
    wait = refused ? (wait + most) / 2 : wait;
    redis_connector_want(r->connector, now_ms() + wait, texts, n);
}

static void set_state(struct redis *r, bool connected, bool refused, const char *error)
{
    MUST(pthread_mutex_lock(&r->mu));
    r->connected = connected;
    r->refused = refused;
    memcpy(r->last_error, error, strlen(error) + 1);
    MUST(pthread_mutex_unlock(&r->mu));
    if (r->connected_gauge) {
        metric_set(r->connected_gauge, connected ? 1 : 0);
    }
}

/* What was sent: commands that may be sent twice go back to the front, in order. */
static void give_back(struct redis *r)
{
    struct redis_fifo sent = {0};
    redis_fifo_move(&sent, &r->in_flight);
    redis_fifo_move(&sent, &r->again);
    for (struct redis_node *node = redis_fifo_pop(&sent); node;
         node = redis_fifo_pop(&sent)) {
        if (node->load) {
            node->script->loading = false;
            redis_node_free(r, node);
        } else if (node->idempotent && redis_node_is_alive(node)) {
            redis_fifo_append(&r->again, &node->queue);
        } else {
            redis_node_drop(r, node, -EIO);
        }
    }
}

static void drop_connection(struct redis *r, enum redis_reason reason, const char *why)
{
    ASSERT(r->stream);
    redis_count(r, reason);
    LOG(LOG_WARN, "redis connection lost", LS("reason", redis_reason_names[reason]),
        LS("error", why), LI("in_flight", r->in_flight.count), LEND);
    redis_stream_close(r->stream);
    r->stream = NULL;
    redis_reader_free(r->reader);
    r->reader = NULL;
    str_clear(&r->out);
    r->out_sent = 0;
    set_state(r, false, false, why);
    give_back(r);
    want_connection(r, false);
    r->failures++;
}

static void accept_connection(struct redis *r, const struct redis_connection *con)
{
    /* a server that does not tell who it is could be another one */
    bool changed =
        r->ever_connected && (!*con->run_id || strcmp(con->run_id, r->run_id) != 0);
    r->stream = con->stream;
    r->said[0] = '\0';
    r->reader = redis_reader_new();
    r->ever_connected = true;
    memcpy(r->run_id, con->run_id, sizeof r->run_id);
    MUST(pthread_mutex_lock(&r->mu));
    memcpy(r->policy, con->policy, sizeof r->policy);
    for (size_t i = 0; i < con->script_count; i++) {
        memcpy(r->scripts[i]->sha, con->sha[i], REDIS_SHA_LEN);
    }
    MUST(pthread_mutex_unlock(&r->mu));
    set_state(r, true, false, "");
    LOG(LOG_INFO, "redis connected", LS("run_id", con->run_id), LS("policy", con->policy),
        LEND);
    if (r->connected_fn) {
        r->connected_fn(r->connected_arg, con->run_id, changed);
    }
}

/* What goes on failing alike is not said each time. */
static void log_failure(struct redis *r, const struct redis_connection *con)
{
    int64_t now = now_ms();
    if (strcmp(r->said, con->err.text) == 0 && now - r->said_ms < SAY_AGAIN_MS) {
        r->unsaid++;
        return;
    }
    LOG(LOG_WARN, "redis connect failed", LS("error", con->err.text),
        LS("refused", con->refused ? "yes" : "no"), LI("suppressed", r->unsaid), LEND);
    memcpy(r->said, con->err.text, sizeof r->said);
    r->said_ms = now;
    r->unsaid = 0;
}

static void take_connection(struct redis *r)
{
    struct redis_connection con;
    if (!redis_connector_take(r->connector, &con)) {
        return;
    }
    if (con.stream) {
        accept_connection(r, &con);
        return;
    }
    redis_count(r, REASON_CONNECT);
    log_failure(r, &con);
    set_state(r, false, con.refused, con.err.text);
    r->failures++;
    want_connection(r, con.refused);
}

/* ---- replies ---- */

static void take_load_reply(struct redis *r, struct redis_node *node,
                            const struct redis_reply *reply)
{
    size_t len;
    const char *text = redis_reply_text(reply, &len);
    node->script->loading = false;
    if (redis_reply_kind(reply) == REDIS_STRING && len == REDIS_SHA_LEN) {
        memcpy(node->script->sha, text, REDIS_SHA_LEN);
    } else {
        LOG(LOG_ERROR, "redis script not loaded", LS("error", text), LEND);
    }
    redis_node_free(r, node);
}

/* The server forgot the script (restart, SCRIPT FLUSH) or never had it. */
static void send_with_script(struct redis *r, struct redis_node *node)
{
    redis_count(r, REASON_NOSCRIPT);
    node->script_tries++;
    if (!node->script->loading) {
        node->script->loading = true;
        redis_fifo_append(&r->again, &redis_node_load(node->script)->queue);
    }
    redis_fifo_append(&r->again, &node->queue);
}

/* The server was asked and would not: a fact that must be recorded is told it again. */
static void rest(struct redis *r, struct redis_node *node,
                 const struct redis_reply *reply)
{
    if (r->resting.count == 0) {
        r->rest_until_ms = now_ms() + REST_MS;
    }
    redis_fifo_append(&r->resting, &node->queue);
    if (!node->ended) {
        redis_node_end(r, node, 0, reply);
        redis_node_linger(r, node);
    }
}

/* It cannot work now, and asking again on this connection would not help. */
static bool means_unavailable(const struct redis_reply *reply)
{
    return redis_reply_says(reply, "LOADING ") || redis_reply_says(reply, "READONLY ") ||
           redis_reply_says(reply, "MASTERDOWN ");
}

/* Returns false when the connection was dropped. */
static bool take_reply(struct redis *r, const struct redis_reply *reply)
{
    struct redis_node *node = r->in_flight.head->node;
    if (means_unavailable(reply)) {
        drop_connection(r, REASON_UNAVAILABLE, redis_reply_text(reply, NULL));
        return false;
    }
    redis_fifo_unlink(&node->queue);
    if (node->load) {
        take_load_reply(r, node, reply);
        return true;
    }
    if (redis_reply_kind(reply) == REDIS_ERROR) {
        bool retry = node->script && redis_node_is_alive(node) &&
                     node->script_tries < SCRIPT_TRIES_MAX &&
                     redis_reply_says(reply, "NOSCRIPT");
        if (retry) {
            send_with_script(r, node);
            return true;
        }
        redis_count(r, redis_reply_says(reply, "OOM ") ? REASON_OOM : REASON_REPLY);
        if (node->linger_ms > 0 && redis_node_is_alive(node)) {
            rest(r, node, reply);
            return true;
        }
    }
    r->failures = 0;
    if (!node->ended) {
        redis_node_end(r, node, 0, reply);
    }
    redis_node_free(r, node);
    return true;
}

static void take_replies(struct redis *r)
{
    struct err err = ERR_INIT;
    for (;;) {
        struct redis_reply *reply;
        if (redis_reader_next(r->reader, &reply, &err) != 0) {
            drop_connection(r, REASON_LOST, err.text);
            return;
        }
        if (!reply) {
            return;
        }
        bool expected = r->in_flight.count > 0;
        bool kept = expected && take_reply(r, reply);
        if (!expected) {
            const char *text = redis_reply_text(reply, NULL);
            drop_connection(r, REASON_LOST, *text ? text : "a reply to no command");
        }
        redis_reply_free(reply);
        if (!kept) {
            return;
        }
    }
}

/* Returns whether there may be more. */
static bool receive_once(struct redis *r)
{
    char bytes[READ_BYTES];
    struct err err = ERR_INIT;
    ssize_t n = redis_stream_recv(r->stream, bytes, sizeof bytes, &err);
    if (n == -EAGAIN) {
        return false;
    }
    if (n < 0) {
        drop_connection(r, REASON_LOST, err.text);
        return false;
    }
    bool more = redis_stream_may_have_more(r->stream, n, sizeof bytes);
    r->heard_ms = now_ms();
    if (redis_reader_feed(r->reader, bytes, (size_t)n, &err) != 0) {
        drop_connection(r, REASON_LOST, err.text);
        return false;
    }
    take_replies(r);
    return r->stream && more;
}

/* What has come is taken before deadlines are looked at: a late thread is no lost reply.
 */
static void receive(struct redis *r)
{
    int rounds = 0;
    while (rounds < READS_MAX && receive_once(r)) {
        rounds++;
    }
}

/* ---- sending ---- */

static void take_inbox(struct redis *r)
{
    MUST(pthread_mutex_lock(&r->mu));
    r->asleep = false;
    redis_fifo_move(&r->taken, &r->inbox);
    MUST(pthread_mutex_unlock(&r->mu));
    for (struct redis_node *node = redis_fifo_pop(&r->taken); node;
         node = redis_fifo_pop(&r->taken)) {
        if (node->refused) {
            redis_count(r, REASON_FULL);
            redis_node_drop(r, node, -EIO);
            continue;
        }
        redis_heap_put(&r->due, node);
        redis_fifo_append(&r->waiting, &node->queue);
    }
}

/* Whatever waits becomes one pipeline. */
static void fill(struct redis *r)
{
    while (r->in_flight.count < PIPELINE_MAX &&
           r->out.len - r->out_sent < OUT_BYTES_MAX) {
        struct redis_node *node = redis_fifo_pop(&r->again);
        if (!node) {
            node = redis_fifo_pop(&r->waiting);
        }
        if (!node) {
            return;
        }
        if (node->sha_offset > 0) {
            memcpy(node->text + node->sha_offset, node->script->sha, REDIS_SHA_LEN);
        }
        if (r->in_flight.count == 0) {
            r->heard_ms = now_ms();
        }
        str_put(&r->out, node->text, node->len);
        redis_fifo_append(&r->in_flight, &node->queue);
    }
}

static void transmit(struct redis *r)
{
    for (;;) {
        fill(r);
        if (r->out.len == 0) {
            return;
        }
        struct err err = ERR_INIT;
        ssize_t n = redis_stream_send(r->stream, r->out.data + r->out_sent,
                                      r->out.len - r->out_sent, &err);
        if (n < 0 && n != -EAGAIN) {
            drop_connection(r, REASON_LOST, err.text);
            return;
        }
        r->out_sent += n > 0 ? (size_t)n : 0;
        if (r->out_sent < r->out.len) {
            return; /* the kernel is full: poll says when to go on */
        }
        str_clear(&r->out);
        r->out_sent = 0;
    }
}

/* ---- the thread ---- */

/* Until when to sleep at most. */
static int64_t next_event_ms(const struct redis *r, int64_t stop_until_ms)
{
    int64_t next = stop_until_ms;
    if (r->due.count > 0 && r->due.items[0]->due_ms < next) {
        next = r->due.items[0]->due_ms;
    }
    if (r->in_flight.count > 0 && now_ms() + GATHER_MS < next) {
        next = now_ms() + GATHER_MS; /* well before it counts as silent */
    }
    if (r->resting.count > 0 && r->rest_until_ms < next) {
        next = r->rest_until_ms;
    }
    return next;
}

static void wait_for_event(struct redis *r, int64_t until_ms)
{
    bool writing = r->out.len > 0;
    struct pollfd fds[2] = {{.fd = r->wake_fd, .events = POLLIN},
                            {.fd = r->stream ? redis_stream_fd(r->stream) : -1,
                             .events = (short)(POLLIN | (writing ? POLLOUT : 0))}};
    int64_t left = until_ms - now_ms();
    left = left < 0 ? 0 : left > IDLE_POLL_MS ? IDLE_POLL_MS : left;
    int n = poll(fds, r->stream ? 2 : 1, (int)left);
    if (n > 0 && fds[0].revents != 0) {
        uint64_t nudges;
        ssize_t rc = read(r->wake_fd, &nudges, sizeof nudges);
        (void)rc; /* only to make it unreadable again */
    }
    if (n > 0 && r->stream && (fds[1].revents & ~POLLOUT) != 0) {
        receive(r);
    }
}

/* Sleep, unless there is work. Returns false when it is time to go. */
static bool turn(struct redis *r)
{
    MUST(pthread_mutex_lock(&r->mu));
    bool idle = r->inbox.count == 0;
    r->asleep = idle && r->in_flight.count == 0;
    bool stopping = r->stopping;
    int64_t stop_until_ms = stopping ? r->stop_until_ms : NOW_FOREVER;
    MUST(pthread_mutex_unlock(&r->mu));
    int64_t now = now_ms();
    if (stopping && (now >= stop_until_ms || (idle && r->due.count == 0))) {
        return false;
    }
    wait_for_event(r, idle ? next_event_ms(r, stop_until_ms) : now);
    redis_expire(r, now_ms());
    take_inbox(r);
    take_connection(r);
    if (r->stream && r->in_flight.count > 0 && now_ms() >= r->heard_ms + SILENCE_MS) {
        drop_connection(r, REASON_SILENT, "the server answers nothing");
    }
    if (now_ms() >= r->rest_until_ms) {
        redis_fifo_move(&r->again, &r->resting);
    }
    if (r->stream) {
        transmit(r);
    }
    return true;
}

/* End what is left. `done` functions may still send; that ends here, too. */
static void wind_up(struct redis *r)
{
    bool over = false;
    size_t given_up = 0;
    redis_stream_close(r->stream);
    r->stream = NULL;
    while (!over) {
        take_inbox(r);
        redis_fifo_move(&r->taken, &r->in_flight);
        redis_fifo_move(&r->taken, &r->again);
        redis_fifo_move(&r->taken, &r->resting);
        redis_fifo_move(&r->taken, &r->waiting);
        for (struct redis_node *node = redis_fifo_pop(&r->taken); node;
             node = redis_fifo_pop(&r->taken)) {
            given_up += redis_node_is_alive(node);
            redis_node_drop(r, node, -ECANCELED);
        }
        MUST(pthread_mutex_lock(&r->mu));
        over = r->inbox.count == 0;
        r->closed = over;
        MUST(pthread_mutex_unlock(&r->mu));
    }
    if (given_up > 0) {
        LOG(LOG_WARN, "redis commands given up at stop", LI("commands", given_up), LEND);
    }
}

void *redis_loop_main(void *arg)
{
    struct redis *r = arg;
    want_connection(r, false);
    while (turn(r)) {
    }
    wind_up(r);
    return NULL;
}

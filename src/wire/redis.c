#include "wire/redis.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"
#include "wire/redis_inside.h"

/* The callers' side; redis_loop.c says how the whole works. */

enum {
    OPEN_MAX = 131072, /* commands that are not over; more end with -EIO */
    STOP_SLACK_MS = 500,
};

void redis_waiter_tell(struct redis_waiter *waiter, int rc)
{
    MUST(pthread_mutex_lock(&waiter->mu));
    waiter->left--;
    if (waiter->rc == 0) {
        waiter->rc = rc;
    }
    if (waiter->left == 0) {
        MUST(pthread_cond_signal(&waiter->cond));
    }
    MUST(pthread_mutex_unlock(&waiter->mu));
}

static void make_metrics(struct redis *r, struct metrics *metrics)
{
    if (!metrics) {
        return;
    }
    struct metric_family *errors =
        metrics_family(metrics, METRIC_COUNTER, "sluice_redis_errors_total", "reason",
                       "Redis commands and connections that failed, by reason.", NULL, 0);
    for (int i = 0; i < REASONS; i++) {
        r->errors[i] = metrics_series(errors, redis_reason_names[i], NULL, NULL, NULL);
    }
    static const double bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                    0.05,   0.1,   0.25,   0.5,   1,    2.5};
    r->durations =
        metrics_family(metrics, METRIC_HISTOGRAM, "sluice_redis_command_duration_seconds",
                       "command", "How long a caller waited for its answers from Redis.",
                       bounds, sizeof bounds / sizeof *bounds);
    struct metric_family *connected =
        metrics_family(metrics, METRIC_GAUGE, "sluice_redis_connected", "",
                       "1 while there is a ready connection to Redis.", NULL, 0);
    r->connected_gauge = metrics_series(connected, NULL, NULL, NULL, NULL);
}

static void override_text(char **text, const char *with)
{
    if (with) {
        free(*text);
        *text = mem_strdup(with);
    }
}

struct redis *redis_start(const struct redis_options *options, struct err *err)
{
    struct redis_url url;
    if (redis_url_parse(options->url, &url, err) != 0) {
        return NULL;
    }
    override_text(&url.username, options->username);
    override_text(&url.password, options->password);
    override_text(&url.ca_file, options->ca_file);
    override_text(&url.cert_file, options->cert_file);
    override_text(&url.key_file, options->key_file);
    if (redis_stream_check(&url, err) != 0) {
        redis_url_release(&url);
        return NULL;
    }
    struct redis *r = mem_zalloc(sizeof *r);
    r->url = url;
    r->connected_fn = options->connected;
    r->connected_arg = options->arg;
    r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ASSERT(r->wake_fd >= 0);
    str_init(&r->out);
    make_metrics(r, options->metrics);
    MUST(pthread_mutex_init(&r->mu, NULL));
    sigset_t all;
    sigset_t before;
    sigfillset(&all); /* signals belong to the main thread */
    MUST(pthread_sigmask(SIG_SETMASK, &all, &before));
    const struct redis_trial trial = {options->trial_text, options->trial_key};
    r->connector =
        redis_connector_start(&r->url, &trial, options->connect_timeout_ms, r->wake_fd);
    MUST(pthread_create(&r->thread, NULL, redis_loop_main, r));
    MUST(pthread_sigmask(SIG_SETMASK, &before, NULL));
    return r;
}

static void wake(struct redis *r)
{
    uint64_t one = 1;
    ssize_t rc = write(r->wake_fd, &one, sizeof one);
    (void)rc; /* full: then it is readable, which is all we want */
}

void redis_stop(struct redis *r, int64_t until_ms)
{
    MUST(pthread_mutex_lock(&r->mu));
    r->stopping = true;
    r->stop_until_ms = until_ms;
    MUST(pthread_mutex_unlock(&r->mu));
    wake(r);
    MUST(pthread_join(r->thread, NULL));
    int64_t now = now_ms();
    redis_connector_stop(r->connector, (until_ms > now ? until_ms : now) + STOP_SLACK_MS);
    for (size_t i = 0; i < r->script_count; i++) {
        free(r->scripts[i]);
    }
    close(r->wake_fd);
    redis_reader_free(r->reader);
    str_release(&r->out);
    free(r->due.items);
    MUST(pthread_mutex_destroy(&r->mu));
    redis_url_release(&r->url);
    free(r);
}

struct redis_script *redis_script_new(struct redis *r, const char *text)
{
    struct redis_script *script = NULL;
    MUST(pthread_mutex_lock(&r->mu));
    for (size_t i = 0; i < r->script_count && !script; i++) {
        script = r->scripts[i]->text == text ? r->scripts[i] : NULL;
    }
    if (!script) {
        ASSERT(r->script_count < REDIS_SCRIPTS_MAX);
        script = mem_zalloc(sizeof *script);
        script->text = text;
        memset(script->sha, '0', sizeof script->sha); /* NOSCRIPT, then it is loaded */
        r->scripts[r->script_count++] = script;
    }
    MUST(pthread_mutex_unlock(&r->mu));
    return script;
}

static void hand_in(struct redis *r, struct redis_fifo *nodes, size_t n)
{
    MUST(pthread_mutex_lock(&r->mu));
    bool closed = r->closed;
    bool refused = atomic_fetch_add(&r->open, n) + n > OPEN_MAX;
    bool sleeper = false;
    if (!closed) {
        for (struct redis_link *link = nodes->head; link && refused; link = link->next) {
            link->node->refused = true;
        }
        redis_fifo_move(&r->inbox, nodes);
        sleeper = r->asleep;
        r->asleep = false;
    }
    MUST(pthread_mutex_unlock(&r->mu));
    if (sleeper) {
        wake(r);
    }
}

static void send_nodes(struct redis *r, const struct redis_command *commands, size_t n,
                       struct redis_waiter *waiter)
{
    struct redis_fifo nodes = {0};
    for (size_t i = 0; i < n; i++) {
        struct redis_node *node = redis_node_new(&commands[i]);
        node->waiter = waiter;
        redis_fifo_append(&nodes, &node->queue);
    }
    hand_in(r, &nodes, n);
    for (struct redis_node *node = redis_fifo_pop(&nodes); node;
         node = redis_fifo_pop(&nodes)) {
        /* after the end of the redis thread: here is the only thread left to say so */
        if (node->done) {
            node->done(node->arg, -ECANCELED, NULL);
        }
        if (node->waiter) {
            redis_waiter_tell(node->waiter, -ECANCELED);
        }
        free(node);
    }
}

void redis_send(struct redis *r, const struct redis_command *commands, size_t n)
{
    send_nodes(r, commands, n, NULL);
}

static void measure(struct redis *r, const char *name, int64_t took_us)
{
    if (r->durations && name) {
        metric_observe(metrics_series(r->durations, name, NULL, NULL, NULL),
                       (double)took_us / 1e6);
    }
}

int redis_call(struct redis *r, const struct redis_command *commands, size_t n)
{
    ASSERT(!pthread_equal(pthread_self(), r->thread));
    struct redis_waiter waiter = {.left = n};
    if (n == 0) {
        return 0;
    }
    int64_t began_us = now_us();
    MUST(pthread_mutex_init(&waiter.mu, NULL));
    MUST(pthread_cond_init(&waiter.cond, NULL));
    send_nodes(r, commands, n, &waiter);
    MUST(pthread_mutex_lock(&waiter.mu));
    while (waiter.left > 0) {
        MUST(pthread_cond_wait(&waiter.cond, &waiter.mu));
    }
    MUST(pthread_mutex_unlock(&waiter.mu));
    MUST(pthread_mutex_destroy(&waiter.mu));
    MUST(pthread_cond_destroy(&waiter.cond));
    measure(r, commands[0].name, now_us() - began_us);
    return waiter.rc;
}

bool redis_is_connected(struct redis *r)
{
    MUST(pthread_mutex_lock(&r->mu));
    bool connected = r->connected;
    MUST(pthread_mutex_unlock(&r->mu));
    return connected;
}

static void copy_out(struct redis *r, const char *from, char *text, size_t text_len)
{
    MUST(pthread_mutex_lock(&r->mu));
    size_t len = strlen(from);
    if (text_len > 0) {
        len = len < text_len ? len : text_len - 1;
        memcpy(text, from, len);
        text[len] = '\0';
    }
    MUST(pthread_mutex_unlock(&r->mu));
}

void redis_last_error(struct redis *r, char *text, size_t text_len)
{
    copy_out(r, r->last_error, text, text_len);
}

bool redis_is_refused(struct redis *r)
{
    MUST(pthread_mutex_lock(&r->mu));
    bool refused = r->refused;
    MUST(pthread_mutex_unlock(&r->mu));
    return refused;
}

void redis_eviction_policy(struct redis *r, char *text, size_t text_len)
{
    copy_out(r, r->policy, text, text_len);
}

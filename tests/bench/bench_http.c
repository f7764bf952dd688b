/* What a call costs: wire/http against the two ways of driving libcurl by hand, in one
 * run, against one target; and the time of 100 items of 50 ms at width 5 and 10.
 *
 *   bench_http [rounds]                 needs `target` beside it; prints a table
 *   bench_http raw PORT WIDTH REQUESTS  threads and multi, once, against a target that
 *                                       runs: "multi 27800.0 33.1", calls/s and us a line
 *   bench_http items                    only the 100 items: "5 1.004" a line
 *
 * threads  a blocking easy handle per thread
 * multi    easy handles in multi handles of 64, one epoll, one thread, socket_action
 * loop     wire/http
 *
 * CPU is this process's user and system time; the target is another process. The ways are
 * run in turn, several rounds; the figures are medians, the ratios medians of the rounds'
 * ratios. */
#include <curl/curl.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/now.h"
#include "sync/batch.h"
#include "sync/ctx.h"
#include "wire/http.h"

enum { BODY_BYTES = 300, ROUNDS_MAX = 15, SHARD = 64, EVENTS_MAX = 256, WAYS = 3 };
enum { WIDTH_MAX = 4096, REQUESTS_MAX = 10000000 };

static char body[BODY_BYTES + 1];
static char url[64];

struct figures {
    double per_s;
    double cpu_us;
};

/* ---- the target's process ---- */

struct target {
    pid_t pid;
    int stop_fd; /* closing it ends the process */
};

static struct target target_start(const char *program, int delay_ms)
{
    int in[2];
    int out[2];
    char delay[16];
    struct target t = {0};
    MUST(pipe(in));
    MUST(pipe(out));
    snprintf(delay, sizeof(delay), "%d", delay_ms);
    t.pid = fork();
    ASSERT(t.pid >= 0);
    if (t.pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        close(out[0]);
        execl(program, program, delay, "2", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    FILE *answer = fdopen(out[0], "r");
    char line[32] = "";
    if (fgets(line, sizeof(line), answer) == NULL) {
        fprintf(stderr, "bench_http: %s does not start\n", program);
        exit(1);
    }
    fclose(answer);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/hook", (int)strtol(line, NULL, 10));
    t.stop_fd = in[1];
    return t;
}

static void target_stop(struct target *t)
{
    close(t->stop_fd);
    waitpid(t->pid, NULL, 0);
}

/* ---- raw libcurl: what any client must set ---- */

static size_t drop_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * n;
}

static CURL *easy_new(void)
{
    CURL *easy = curl_easy_init();
    ASSERT(easy != NULL);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_bytes);
    return easy;
}

static struct curl_slist *easy_prepare(CURL *easy, int id)
{
    char key[64];
    snprintf(key, sizeof(key), "idempotency-key: bench/%d", id);
    struct curl_slist *headers = curl_slist_append(NULL, key);
    headers = curl_slist_append(headers, "content-type: application/json");
    headers = curl_slist_append(headers, "expect:");
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)BODY_BYTES);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 30000L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    return headers;
}

static void easy_check(CURL *easy, CURLcode rc)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    ASSERT(rc == CURLE_OK && status == 200);
}

/* ---- one: threads ---- */

static atomic_int next_id; /* counts down the requests of a run */

static void *thread_main(void *arg)
{
    CURL *easy = easy_new();
    (void)arg;
    for (;;) {
        int id = atomic_fetch_sub(&next_id, 1);
        if (id <= 0) {
            break;
        }
        struct curl_slist *headers = easy_prepare(easy, id);
        easy_check(easy, curl_easy_perform(easy));
        curl_slist_free_all(headers);
    }
    curl_easy_cleanup(easy);
    return NULL;
}

static void run_threads(int width, int requests)
{
    pthread_t *threads = mem_array((size_t)width, sizeof(*threads));
    pthread_attr_t small;
    MUST(pthread_attr_init(&small));
    MUST(pthread_attr_setstacksize(&small, 256 * 1024));
    atomic_store(&next_id, requests);
    for (int i = 0; i < width; i++) {
        MUST(pthread_create(&threads[i], &small, thread_main, NULL));
    }
    for (int i = 0; i < width; i++) {
        MUST(pthread_join(threads[i], NULL));
    }
    MUST(pthread_attr_destroy(&small));
    free(threads);
}

/* ---- two: sharded multi handles by hand ---- */

struct multi_shard {
    CURLM *multi;
    int index;
    int epoll_fd;
    int64_t timer_us;
};

struct multi_slot {
    CURL *easy;
    struct curl_slist *headers;
};

static int multi_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct multi_shard *s = arg;
    struct epoll_event event = {.data.u64 = ((uint64_t)s->index << 32) | (uint32_t)fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events =
        ((what & CURL_POLL_IN) ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0u);
    epoll_ctl(s->epoll_fd, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    curl_multi_assign(s->multi, fd, s);
    return 0;
}

static int multi_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct multi_shard *s = arg;
    (void)multi;
    s->timer_us = timeout_ms < 0 ? NOW_FOREVER : now_us() + timeout_ms * 1000;
    return 0;
}

/* Returns how many ended; each is started again while requests are left. */
static int multi_act(struct multi_shard *s, curl_socket_t fd, int what, int *left)
{
    int running = 0;
    int queued = 0;
    int ended = 0;
    curl_multi_socket_action(s->multi, fd, what, &running);
    for (CURLMsg *msg = curl_multi_info_read(s->multi, &queued); msg != NULL;
         msg = curl_multi_info_read(s->multi, &queued)) {
        char *private = NULL;
        CURL *easy = msg->easy_handle;
        easy_check(easy, msg->data.result);
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
        struct multi_slot *slot = (struct multi_slot *)(void *)private;
        curl_multi_remove_handle(s->multi, easy);
        curl_slist_free_all(slot->headers);
        slot->headers = NULL;
        ended++;
        if (*left > 0) {
            slot->headers = easy_prepare(easy, (*left)--);
            curl_multi_add_handle(s->multi, easy);
        }
    }
    return ended;
}

static void multi_open(struct multi_shard *s, int index, int epoll_fd)
{
    s->multi = curl_multi_init();
    s->index = index;
    s->epoll_fd = epoll_fd;
    s->timer_us = NOW_FOREVER;
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, multi_socket);
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, multi_timer);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
}

static int multi_turn(struct multi_shard *shards, int shard_count, int epoll_fd,
                      int *left)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t next_us = NOW_FOREVER;
    int ended = 0;
    for (int i = 0; i < shard_count; i++) {
        next_us = shards[i].timer_us < next_us ? shards[i].timer_us : next_us;
    }
    int64_t wait_us = next_us - now_us();
    int wait_ms = wait_us <= 0 ? 0 : wait_us > 1000000 ? 1000 : (int)(wait_us / 1000) + 1;
    int n = epoll_wait(epoll_fd, events, EVENTS_MAX, wait_ms);
    for (int i = 0; i < n; i++) {
        int what = ((events[i].events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
                   ((events[i].events & EPOLLOUT) ? CURL_CSELECT_OUT : 0);
        struct multi_shard *s = &shards[events[i].data.u64 >> 32];
        ended += multi_act(s, (curl_socket_t)(uint32_t)events[i].data.u64, what, left);
    }
    for (int i = 0; i < shard_count; i++) {
        if (shards[i].timer_us <= now_us()) {
            shards[i].timer_us = NOW_FOREVER;
            ended += multi_act(&shards[i], CURL_SOCKET_TIMEOUT, 0, left);
        }
    }
    return ended;
}

static void run_multi(int width, int requests)
{
    int shard_count = (width + SHARD - 1) / SHARD;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct multi_shard *shards = mem_array((size_t)shard_count, sizeof(*shards));
    struct multi_slot *slots = mem_array((size_t)width, sizeof(*slots));
    int left = requests;
    for (int i = 0; i < shard_count; i++) {
        multi_open(&shards[i], i, epoll_fd);
    }
    for (int i = 0; i < width; i++) {
        slots[i].easy = easy_new();
        slots[i].headers = easy_prepare(slots[i].easy, left--);
        curl_easy_setopt(slots[i].easy, CURLOPT_PRIVATE, &slots[i]);
        curl_multi_add_handle(shards[i / SHARD].multi, slots[i].easy);
    }
    for (int ended = 0; ended < requests;) {
        ended += multi_turn(shards, shard_count, epoll_fd, &left);
    }
    for (int i = 0; i < width; i++) {
        curl_easy_cleanup(slots[i].easy);
    }
    for (int i = 0; i < shard_count; i++) {
        curl_multi_cleanup(shards[i].multi);
    }
    close(epoll_fd);
    free(shards);
    free(slots);
}

/* ---- three: wire/http ---- */

struct loop_run {
    struct http *http;
    int left; /* the loop's thread only, once all slots were submitted */
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int open; /* guarded by mu: slots that still run */
};

struct loop_slot {
    struct http_call call;
    struct loop_run *run;
    struct http_header headers[2];
    char key[64];
};

static void loop_prepare(struct loop_slot *slot, int id)
{
    snprintf(slot->key, sizeof(slot->key), "bench/%d", id);
    slot->headers[0] = (struct http_header){"idempotency-key", slot->key};
    slot->headers[1] = (struct http_header){"content-type", "application/json"};
    slot->call.method = "POST";
    slot->call.url = url;
    slot->call.headers = slot->headers;
    slot->call.header_count = 2;
    slot->call.body = body;
    slot->call.body_len = BODY_BYTES;
    slot->call.timeout_ms = 30000;
    slot->call.connect_timeout_ms = 10000;
}

static void loop_done(struct http_call *call)
{
    struct loop_slot *slot = call->arg;
    struct loop_run *run = slot->run;
    ASSERT(call->end == HTTP_END_ANSWERED && call->status == 200);
    if (run->left > 0) {
        loop_prepare(slot, run->left--);
        http_submit(run->http, call);
        return;
    }
    MUST(pthread_mutex_lock(&run->mu));
    if (--run->open == 0) {
        MUST(pthread_cond_signal(&run->cond));
    }
    MUST(pthread_mutex_unlock(&run->mu));
}

static void run_loop(int width, int requests)
{
    struct http_options options = {.in_flight = width, .user_agent = "bench/1"};
    struct loop_run run = {.left = requests - width, .open = width};
    MUST(pthread_mutex_init(&run.mu, NULL));
    MUST(pthread_cond_init(&run.cond, NULL));
    run.http = http_start(&options, NULL);
    struct http_pool *pool = http_pool_new(run.http, "bench", width, false);
    struct loop_slot *slots = mem_array((size_t)width, sizeof(*slots));
    for (int i = 0; i < width; i++) {
        slots[i].run = &run;
        slots[i].call.pool = pool;
        slots[i].call.done = loop_done;
        slots[i].call.arg = &slots[i];
        loop_prepare(&slots[i], requests + i);
        http_submit(run.http, &slots[i].call);
    }
    MUST(pthread_mutex_lock(&run.mu));
    while (run.open > 0) {
        MUST(pthread_cond_wait(&run.cond, &run.mu));
    }
    MUST(pthread_mutex_unlock(&run.mu));
    http_stop(run.http);
    MUST(pthread_cond_destroy(&run.cond));
    MUST(pthread_mutex_destroy(&run.mu));
    free(slots);
}

/* ---- the measurements ---- */

static double cpu_us(void)
{
    struct rusage u;
    MUST(getrusage(RUSAGE_SELF, &u));
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static struct figures measure(void (*run)(int, int), int width, int requests)
{
    double cpu = cpu_us();
    int64_t began = now_us();
    run(width, requests);
    double took_s = (double)(now_us() - began) / 1e6;
    return (struct figures){requests / took_s, (cpu_us() - cpu) / requests};
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof(*values), compare);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Neighbours in time are compared, so that other load on the machine falls on both. */
static double ratio(const double *a, const double *b, int n)
{
    double ratios[ROUNDS_MAX];
    for (int i = 0; i < n; i++) {
        ratios[i] = a[i] / b[i];
    }
    return median(ratios, n);
}

static void compare_ways(int delay_ms, int width, int requests, int rounds)
{
    static void (*const runs[WAYS])(int, int) = {run_threads, run_multi, run_loop};
    static const char *const names[WAYS] = {"threads", "multi", "loop"};
    double per_s[WAYS][ROUNDS_MAX];
    double cpu[WAYS][ROUNDS_MAX];
    for (int round = 0; round < rounds; round++) {
        for (int way = 0; way < WAYS; way++) {
            struct figures f = measure(runs[way], width, requests);
            per_s[way][round] = f.per_s;
            cpu[way][round] = f.cpu_us;
        }
    }
    for (int way = 0; way < WAYS - 1; way++) {
        printf("%4d ms  %5d  loop / %-8s %9.2fx %8.2fx\n", delay_ms, width, names[way],
               ratio(per_s[WAYS - 1], per_s[way], rounds),
               ratio(cpu[WAYS - 1], cpu[way], rounds));
    }
    for (int way = 0; way < WAYS; way++) { /* the medians sort, so they come last */
        printf("%4d ms  %5d  %-8s %14.0f/s %8.1f us\n", delay_ms, width, names[way],
               median(per_s[way], rounds), median(cpu[way], rounds));
    }
    fflush(stdout);
}

/* ---- 100 items of 50 ms, as a batch ---- */

struct batch_item {
    struct loop_slot slot;
    struct batch *batch;
    size_t index;
};

static void item_done(struct http_call *call)
{
    struct batch_item *item = call->arg;
    batch_done(item->batch, item->index, call->status == 200 ? 0 : -EIO);
}

struct batch_run {
    struct http *http;
    struct http_pool *pool;
    struct batch_item *items;
};

static void item_start(void *arg, struct batch *batch, size_t i)
{
    struct batch_run *run = arg;
    struct batch_item *item = &run->items[i];
    item->batch = batch;
    item->index = i;
    item->slot.call.pool = run->pool;
    item->slot.call.done = item_done;
    item->slot.call.arg = item;
    loop_prepare(&item->slot, (int)i);
    http_submit(run->http, &item->slot.call);
}

enum { ITEMS = 100, ITEM_MS = 50 };

struct batch_time {
    double took_s;
    double ideal_s;
};

static struct batch_time time_batch(size_t width)
{
    struct http_options options = {.in_flight = 64, .user_agent = "bench/1"};
    struct batch_run run = {0};
    int results[ITEMS];
    run.http = http_start(&options, NULL);
    run.pool = http_pool_new(run.http, "bench", 64, false);
    run.items = mem_array(ITEMS, sizeof(*run.items));
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    int64_t began = now_us();
    int rc = batch_run(ctx, ITEMS, width, item_start, &run, results);
    double took_s = (double)(now_us() - began) / 1e6;
    ASSERT(rc == 0);
    ctx_free(ctx);
    http_stop(run.http);
    free(run.items);
    return (struct batch_time){took_s, (double)ITEMS / (double)width * ITEM_MS / 1000};
}

static void time_batches(const char *program, bool plain)
{
    struct target slow = target_start(program, ITEM_MS);
    for (size_t width = 5; width <= 10; width += 5) {
        struct batch_time t = time_batch(width);
        if (plain) {
            printf("%zu %.4f\n", width, t.took_s / t.ideal_s);
        } else {
            printf("batch of %d items of %d ms, width %2zu: %.3f s, ideal %.2f s, "
                   "%.3fx\n",
                   ITEMS, ITEM_MS, width, t.took_s, t.ideal_s, t.took_s / t.ideal_s);
        }
    }
    target_stop(&slow);
}

/* ---- what to do ---- */

static long number(const char *text, long max)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    return *text == '\0' || *end != '\0' || value < 1 || value > max ? 0 : value;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: bench_http [ROUNDS]    1 to %d\n"
            "       bench_http raw PORT WIDTH REQUESTS\n"
            "       bench_http items\n",
            ROUNDS_MAX);
    return 64;
}

static int run_raw(char **argv)
{
    long port = number(argv[0], 65535);
    long width = number(argv[1], WIDTH_MAX);
    long requests = number(argv[2], REQUESTS_MAX);
    if (port == 0 || width == 0 || requests < width) {
        return usage();
    }
    snprintf(url, sizeof(url), "http://127.0.0.1:%ld/hook", port);
    struct figures threads = measure(run_threads, (int)width, (int)requests);
    struct figures multi = measure(run_multi, (int)width, (int)requests);
    printf("threads %.1f %.2f\nmulti %.1f %.2f\n", threads.per_s, threads.cpu_us,
           multi.per_s, multi.cpu_us);
    return 0;
}

static int run_table(const char *program, long rounds)
{
    printf("libcurl %s\ntarget    width  way               requests     CPU a request\n",
           http_library_version());
    struct target now = target_start(program, 0);
    compare_ways(0, 64, 30000, (int)rounds);
    compare_ways(0, 512, 40000, (int)rounds);
    target_stop(&now);
    struct target late = target_start(program, 20);
    compare_ways(20, 64, 6000, (int)rounds);
    compare_ways(20, 512, 30000, (int)rounds);
    target_stop(&late);
    time_batches(program, false);
    return 0;
}

int main(int argc, char **argv)
{
    char program[PATH_MAX];
    char own[PATH_MAX];
    snprintf(own, sizeof(own), "%s", argv[0]);
    snprintf(program, sizeof(program), "%.4000s/target", dirname(own));
    memset(body, 'x', BODY_BYTES);
    MUST(curl_global_init(CURL_GLOBAL_ALL));
    if (argc == 5 && strcmp(argv[1], "raw") == 0) {
        return run_raw(argv + 2);
    }
    if (argc == 2 && strcmp(argv[1], "items") == 0) {
        time_batches(program, true);
        return 0;
    }
    long rounds = argc == 2 ? number(argv[1], ROUNDS_MAX) : 3;
    return argc > 2 || rounds == 0 ? usage() : run_table(program, rounds);
}

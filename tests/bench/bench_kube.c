/* What reading 100 objects of 100 namespaces takes, from an API server that answers each
 * request 50 ms after it came, and how often it is asked.
 *
 *   bench_kube   prints a line for each run: "width 5 1.003 100 1" is the width, seconds,
 *                requests for objects and for discovery; "late 300 30 70 301" a deadline
 *                in ms, what came by then, what says it did not, and ms
 *
 * The kind is one that has to be looked up. The look-up is made before the clock runs in
 * the first of these runs, as one more object is read; it is counted all the same. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "kube/manifests.h"
#include "wire/httpd.h"

enum { OBJECTS = 100, DELAY_US = 50 * 1000, DEADLINE_MS = 300, QUEUE_MAX = 1024 };

static const char list[] =
    "{\"kind\":\"APIResourceList\",\"resources\":[{\"name\":\"rollouts\","
    "\"kind\":\"Rollout\",\"namespaced\":true}]}";
static const char object[] =
    "{\"apiVersion\":\"argoproj.io/v1alpha1\",\"kind\":\"Rollout\",\"metadata\":{"
    "\"name\":\"app\"},\"spec\":{\"replicas\":3},\"status\":{\"readyReplicas\":3}}";

/* --- the API server: a line of requests, each answered when its time has come --- */

static struct {
    struct httpd *httpd;
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    /* guarded by mu */
    struct httpd_request *line[QUEUE_MAX];
    int64_t due_us[QUEUE_MAX];
    size_t first;
    size_t count;
    bool stopping;
    int objects;
    int lists;
} api;

static void handle(void *arg, struct httpd_request *request)
{
    (void)arg;
    MUST(pthread_mutex_lock(&api.mu));
    size_t i = (api.first + api.count++) % QUEUE_MAX;
    bool is_list = strstr(httpd_path(request), "/namespaces/") == NULL;
    ASSERT(api.count <= QUEUE_MAX);
    api.line[i] = request;
    api.due_us[i] = now_us() + DELAY_US;
    api.lists += is_list;
    api.objects += !is_list;
    MUST(pthread_cond_signal(&api.cond));
    MUST(pthread_mutex_unlock(&api.mu));
}

static void wait_until(int64_t us)
{
    struct timespec at = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    int rc = pthread_cond_timedwait(&api.cond, &api.mu, &at);
    ASSERT(rc == 0 || rc == ETIMEDOUT);
}

static void answer(struct httpd_request *request)
{
    static const char *const headers[] = {"Content-Type", "application/json", NULL};
    bool is_list = strstr(httpd_path(request), "/namespaces/") == NULL;
    const char *body = is_list ? list : object;
    httpd_reply(request, 200, headers, body, strlen(body));
}

static void *answer_all(void *arg)
{
    MUST(pthread_mutex_lock(&api.mu));
    while (!api.stopping || api.count > 0) {
        if (api.count == 0) {
            MUST(pthread_cond_wait(&api.cond, &api.mu));
        } else if (now_us() < api.due_us[api.first]) {
            wait_until(api.due_us[api.first]);
        } else {
            struct httpd_request *request = api.line[api.first];
            api.first = (api.first + 1) % QUEUE_MAX;
            api.count--;
            MUST(pthread_mutex_unlock(&api.mu));
            answer(request);
            MUST(pthread_mutex_lock(&api.mu));
        }
    }
    MUST(pthread_mutex_unlock(&api.mu));
    return arg;
}

static void api_start(void)
{
    struct err err = ERR_INIT;
    pthread_condattr_t attr;
    MUST(pthread_condattr_init(&attr));
    MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    MUST(pthread_cond_init(&api.cond, &attr));
    MUST(pthread_condattr_destroy(&attr));
    MUST(pthread_mutex_init(&api.mu, NULL));
    MUST(pthread_create(&api.thread, NULL, answer_all, NULL));
    api.httpd = httpd_start(&(struct httpd_options){.address = "127.0.0.1",
                                                    .connections_max = 128,
                                                    .body_max = 1,
                                                    .threads = 1,
                                                    .handle = handle},
                            &err);
    ASSERT(api.httpd != NULL);
}

static void api_stop(void)
{
    MUST(pthread_mutex_lock(&api.mu));
    api.stopping = true;
    MUST(pthread_cond_signal(&api.cond));
    MUST(pthread_mutex_unlock(&api.mu));
    MUST(pthread_join(api.thread, NULL));
    httpd_stop(api.httpd);
}

static void api_counts(int *objects, int *lists)
{
    MUST(pthread_mutex_lock(&api.mu));
    *objects = api.objects;
    *lists = api.lists;
    api.objects = 0;
    MUST(pthread_mutex_unlock(&api.mu));
}

/* --- reading --- */

static struct kube *open_cluster(struct http *http, const char *path)
{
    struct err err = ERR_INIT;
    FILE *file = fopen(path, "w");
    ASSERT(file != NULL);
    fprintf(file,
            "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n"
            "clusters: [{name: c, cluster: {server: \"http://127.0.0.1:%d\"}}]\n",
            httpd_port(api.httpd));
    ASSERT(fclose(file) == 0);
    struct kube *kube = kube_open(http,
                                  &(struct kube_options){.name = "bench",
                                                         .kubeconfig = path,
                                                         .rate_per_s = 100000,
                                                         .burst = 100000,
                                                         .concurrency = 64},
                                  &err);
    if (kube == NULL) {
        fprintf(stderr, "bench_kube: %s\n", err.text);
        exit(1);
    }
    return kube;
}

static struct manifest *items_new(struct kube *kube, size_t n)
{
    struct manifest *items = mem_array(n, sizeof items[0]);
    for (size_t i = 0; i < n; i++) {
        struct kube_ref *ref = mem_zalloc(sizeof *ref);
        struct err err = ERR_INIT;
        char text[128];
        snprintf(text, sizeof text, "argoproj.io/v1alpha1/Rollout/ns-%zu/app", i);
        ASSERT(kube_ref_parse(text, ref, &err) == 0);
        items[i] = (struct manifest){.kube = kube, .ref = ref};
    }
    return items;
}

static void items_free(struct manifest *items, size_t n)
{
    manifests_release(items, n);
    for (size_t i = 0; i < n; i++) {
        kube_ref_release((struct kube_ref *)items[i].ref);
        free((struct kube_ref *)items[i].ref);
    }
    free(items);
}

/* Returns how many came; us: out. */
static int read_all(struct kube *kube, size_t n, int width, int64_t deadline_ms,
                    int64_t *us)
{
    int good = 0;
    struct manifest *items = items_new(kube, n);
    int64_t began_us = now_us();
    struct ctx *ctx = ctx_new(NULL, now_ms() + deadline_ms);
    int rc = manifests_get(ctx, items, n, width);
    *us = now_us() - began_us;
    ASSERT(rc == 0);
    for (size_t i = 0; i < n; i++) {
        good += items[i].rc == 0;
        ASSERT(items[i].rc == 0 || items[i].err.text[0] != '\0');
    }
    ctx_free(ctx);
    items_free(items, n);
    return good;
}

int main(void)
{
    static const int widths[] = {5, 10};
    char path[] = "/tmp/bench_kube.XXXXXX";
    struct err err = ERR_INIT;
    int64_t us;
    int objects;
    int lists;
    int fd = mkstemp(path);
    ASSERT(fd >= 0 && close(fd) == 0);
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    api_start();
    struct http *http = http_start(&(struct http_options){.in_flight = 64}, &err);
    ASSERT(http != NULL);
    struct kube *kube = open_cluster(http, path);
    ASSERT(read_all(kube, 1, 1, 10000, &us) == 1);
    api_counts(&objects, &lists);
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        int good = read_all(kube, OBJECTS, widths[i], 10000, &us);
        ASSERT(good == OBJECTS);
        api_counts(&objects, &lists);
        printf("width %d %.4f %d %d\n", widths[i], (double)us / 1e6, objects, lists);
    }
    int good = read_all(kube, OBJECTS, 5, DEADLINE_MS, &us);
    printf("late %d %d %d %.1f\n", DEADLINE_MS, good, OBJECTS - good, (double)us / 1e3);
    kube_close(kube);
    http_stop(http);
    api_stop();
    (void)unlink(path);
    return 0;
}

#include "httpd_server.h"

#include "../../consumer/jobs.h"

enum { ASKED = JOBS_THREADS + JOBS_MAX };

static struct jobs *jobs;
static struct gate {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int running;
    bool open;
} gate = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

/* Blocks, as Kafka might. */
static void wait_at_gate(void *arg, struct ops_place *place, struct httpd_request *r,
                         int64_t until_ms)
{
    (void)place;
    (void)until_ms;
    assert_ptr_equal(arg, &gate);
    pthread_mutex_lock(&gate.mu);
    gate.running++;
    pthread_cond_broadcast(&gate.cond);
    while (!gate.open) {
        pthread_cond_wait(&gate.cond, &gate.mu);
    }
    pthread_mutex_unlock(&gate.mu);
    httpd_reply(r, 200, NULL, "done\n", 5);
}

static void add(struct server *s, struct httpd_request *r)
{
    (void)s;
    jobs_add(jobs, wait_at_gate, &gate, r);
}

static struct config *begin(struct server *s)
{
    static char *none[] = {NULL};
    static const struct config_override overrides[] = {
        {"redis.url", "unix:///nonexistent/redis.sock", "test"},
        {"targets.t.url", "http://127.0.0.1:1/", "test"},
    };
    struct config_report report;
    struct config *config = config_load("/dev/null", overrides, 2, none, &report);
    config_report_release(&report);
    assert_non_null(config);
    jobs = jobs_start(config, NULL);
    assert_non_null(jobs);
    gate.running = 0;
    gate.open = false;
    server_init(s, add);
    struct httpd_options options = options_of(s);
    options.connections_max = ASKED + 8;
    s->httpd = httpd_start(&options, NULL);
    return config;
}

static void ask_for_all(struct server *s, int fds[ASKED])
{
    for (int i = 0; i < ASKED; i++) {
        fds[i] = dial(httpd_port(s->httpd));
        say(fds[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await(s, &s->handled, i + 1);
        pthread_mutex_lock(&gate.mu);
        while (gate.running < (i < JOBS_THREADS ? i + 1 : JOBS_THREADS)) {
            pthread_cond_wait(&gate.cond, &gate.mu);
        }
        pthread_mutex_unlock(&gate.mu);
    }
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate.mu);
    gate.open = true;
    pthread_cond_broadcast(&gate.cond);
    pthread_mutex_unlock(&gate.mu);
}

static void jobs__refuse_what_is_too_much_and_do_the_rest(void **state)
{
    (void)state;
    struct server s;
    int fds[ASKED];
    struct config *config = begin(&s);
    ask_for_all(&s, fds);
    char *answer = ask(httpd_port(s.httpd), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "}\n");
    assert_has(answer, "HTTP/1.1 503 ");
    assert_has(answer, "try again");
    free(answer);
    open_gate();
    for (int i = 0; i < ASKED; i++) {
        answer = hear_until(fds[i], "done\n");
        assert_has(answer, "HTTP/1.1 200 ");
        free(answer);
        close(fds[i]);
    }
    server_stop(&s);
    jobs_stop(jobs);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

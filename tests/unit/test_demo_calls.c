#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../consumer/demo/demo_calls.h"
#include "../../consumer/demo/demo_get.h"
#include "base/now.h"
#include "wire/httpd.h"

enum { PATIENCE_MS = 20000 };

/* --- the target's log --- */

static void read_log(const char *text, struct demo_calls *calls)
{
    char path[] = "/tmp/sluice-test-calls-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    assert_int_equal(demo_calls_read(path, calls, NULL), 0);
    unlink(path);
}

static void demo_calls__count_accepted_calls_and_keys(void **state)
{
    (void)state;
    struct demo_calls calls;
    read_log("{\"key\":\"cd/1\",\"status\":202}\n{\"key\":\"cd/2\",\"status\":503}\n"
             "{\"key\":\"cd/2\",\"status\":200}\n{\"key\":\"cd/1\",\"status\":202}\n"
             "{\"key\":\"\",\"status\":202}\nnot json\n{\"key\":\"cd/3\",\"status\":0}\n",
             &calls);
    assert_int_equal(calls.accepted, 3);
    assert_int_equal(calls.keys, 2);
    assert_int_equal(calls.took_count, 0);
    demo_calls_release(&calls);
}

static void demo_calls__measure_from_the_event_to_the_answer(void **state)
{
    (void)state;
    struct demo_calls calls;
    read_log("{\"key\":\"a\",\"status\":202,\"wall\":\"2026-11-24T10:00:01.500Z\","
             "\"latency_us\":120000,\"header\":\"2026-11-24T10:00:01.000Z\"}\n"
             "{\"key\":\"b\",\"status\":202,\"wall\":\"2026-11-24T10:00:01.500Z\","
             "\"header\":\"2026-11-24T10:00:02Z\"}\n",
             &calls);
    assert_int_equal(calls.took_count, 2);
    assert_int_equal(calls.took_ms[0], 620);
    assert_int_equal(calls.took_ms[1], 0); /* a clock that went back */
    demo_calls_release(&calls);
}

static void demo_calls__of_an_empty_log_are_none(void **state)
{
    (void)state;
    struct demo_calls calls;
    read_log("", &calls);
    assert_int_equal(calls.accepted, 0);
    assert_int_equal(calls.keys, 0);
    demo_calls_release(&calls);
}

static void demo_calls__say_when_there_is_no_log(void **state)
{
    (void)state;
    struct demo_calls calls;
    struct err err = ERR_INIT;
    assert_int_not_equal(demo_calls_read("/nowhere/at/all", &calls, &err), 0);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    demo_calls_release(&calls);
}

/* --- GET --- */

static void answer(void *arg, struct httpd_request *request)
{
    const struct str *body = arg;
    bool there = strcmp(httpd_path(request), "/stats") == 0;
    httpd_reply(request, there ? 200 : 404, NULL, body->data, body->len);
}

static void demo_get__reads_a_long_answer_whole(void **state)
{
    (void)state;
    struct str body;
    struct str got;
    struct err err = ERR_INIT;
    str_init(&body);
    str_init(&got);
    for (int i = 0; i < 20000; i++) {
        str_addf(&body, "line %d\n", i);
    }
    const struct httpd_options options = {.address = "127.0.0.1",
                                          .connections_max = 4,
                                          .body_max = 100,
                                          .threads = 1,
                                          .handle = answer,
                                          .arg = &body};
    struct httpd *httpd = httpd_start(&options, &err);
    assert_non_null(httpd);
    int port = httpd_port(httpd);
    assert_int_equal(demo_get(port, "/stats", now_ms() + PATIENCE_MS, &got, &err), 0);
    assert_string_equal(got.data, body.data);
    assert_int_not_equal(demo_get(port, "/other", now_ms() + PATIENCE_MS, &got, &err), 0);
    assert_non_null(strstr(err.text, "404"));
    httpd_stop(httpd);
    assert_int_not_equal(demo_get(port, "/stats", now_ms() + PATIENCE_MS, &got, &err), 0);
    assert_non_null(strstr(err.text, "no connection"));
    str_release(&body);
    str_release(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

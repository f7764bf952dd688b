#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../producer/mock_server.h"
#include "base/str.h"

static struct mock_server *start(const char *log_path)
{
    struct mock_server_options options = {.address = "127.0.0.1",
                                          .threads = 2,
                                          .seed = 1,
                                          .log_path = log_path};
    struct err err = ERR_INIT;
    mock_mode_init(&options.mode);
    struct mock_server *server = mock_server_start(&options, &err);
    assert_string_equal(err.text, "");
    return server;
}

static int dial(struct mock_server *server)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)mock_server_port(server))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void send_request(int fd, const char *method, const char *path, const char *key,
                         const char *body)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "%s %s HTTP/1.1\r\nHost: h\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
                     method, path, key ? "Idempotency-Key: " : "", key ? key : "",
                     key ? "\r\n" : "", strlen(body), body);
    assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
}

/* Read one answer with a Content-Length whole. Returns owned. */
static char *read_answer(int fd)
{
    struct str in;
    str_init(&in);
    char byte;
    size_t whole = SIZE_MAX;
    while (in.len < whole && recv(fd, &byte, 1, 0) == 1) {
        str_addc(&in, byte);
        char *end = strstr(in.data, "\r\n\r\n");
        char *length = strstr(in.data, "Content-Length: ");
        if (whole == SIZE_MAX && end && length) {
            whole = (size_t)(end + 4 - in.data) + strtoul(length + 16, NULL, 10);
        }
    }
    return str_take(&in);
}

static char *request(struct mock_server *server, const char *method, const char *path,
                     const char *key, const char *body)
{
    int fd = dial(server);
    send_request(fd, method, path, key, body);
    char *answer = read_answer(fd);
    close(fd);
    return answer;
}

static void expect(struct mock_server *server, const char *method, const char *path,
                   const char *key, const char *body, const char *part)
{
    char *answer = request(server, method, path, key, body);
    if (!strstr(answer, part)) {
        fail_msg("no \"%s\" in \"%s\"", part, answer);
    }
    free(answer);
}

static int64_t stat_at(struct mock_server *server, const char *pointer)
{
    struct json_object *doc = mock_stats_json(mock_server_stats(server), true);
    int64_t value = json_object_get_int64(json_at(doc, pointer));
    json_free(doc);
    return value;
}

static void mock_server__counts_calls_by_key(void **state)
{
    (void)state;
    struct mock_server *server = start(NULL);
    expect(server, "POST", "/deploy", "t/1", "{}", "HTTP/1.1 202 ");
    expect(server, "POST", "/deploy", "t/1", "{}", "\"attempt\":2");
    expect(server, "PUT", "/other", "t/2", "", "\"attempt\":1");
    expect(server, "GET", "/", NULL, "", "HTTP/1.1 202 ");
    assert_int_equal(stat_at(server, "/calls"), 4);
    assert_int_equal(stat_at(server, "/accepted"), 4);
    assert_int_equal(stat_at(server, "/by_status/202"), 4);
    assert_int_equal(stat_at(server, "/keys"), 2);
    assert_int_equal(stat_at(server, "/without_key"), 1);
    assert_int_equal(stat_at(server, "/keys_called_twice"), 1);
    assert_int_equal(stat_at(server, "/keys_accepted_twice"), 1);
    assert_int_equal(stat_at(server, "/repeated/t~11/calls"), 2);
    assert_int_equal(stat_at(server, "/per_key/t~12/calls"), 1);
    assert_int_equal(stat_at(server, "/windows/10s"), 4);
    expect(server, "GET", "/stats", NULL, "", "\"calls\": 4");
    expect(server, "POST", "/reset", NULL, "", "\"calls\": 0");
    assert_int_equal(stat_at(server, "/keys"), 0);
    mock_server_stop(server);
}

static void mock_server__changes_its_mode_while_it_runs(void **state)
{
    (void)state;
    struct mock_server *server = start(NULL);
    expect(server, "POST", "/control", NULL, "{\"fail\":2}", "HTTP/1.1 400 ");
    expect(server, "POST", "/control", NULL, "not json", "HTTP/1.1 400 ");
    expect(server, "POST", "/x", "a", "", "HTTP/1.1 202 ");
    expect(server, "POST", "/control", NULL, "{\"fail\":1,\"retry_after\":\"7s\"}",
           "HTTP/1.1 200 ");
    expect(server, "POST", "/x", "a", "", "HTTP/1.1 503 ");
    expect(server, "POST", "/x", "b", "", "Retry-After: 7\r\n");
    expect(server, "POST", "/control", NULL, "{\"retry_after\":\"date\"}", " 200 ");
    expect(server, "POST", "/x", "b", "", " GMT\r\n");
    assert_int_equal(stat_at(server, "/calls"), 4);
    assert_int_equal(stat_at(server, "/accepted"), 1);
    assert_int_equal(stat_at(server, "/per_key/a/calls"), 2);
    assert_int_equal(stat_at(server, "/per_key/a/accepted"), 1);
    mock_server_stop(server);
}

static void mock_server__answers_slow_calls_side_by_side(void **state)
{
    (void)state;
    enum { CALLS = 40 };
    struct mock_server *server = start(NULL);
    expect(server, "POST", "/control", NULL, "{\"latency\":\"20ms..40ms\"}", " 200 ");
    int fds[CALLS];
    for (int i = 0; i < CALLS; i++) {
        fds[i] = dial(server);
        send_request(fds[i], "POST", "/x", NULL, "");
    }
    for (int i = 0; i < CALLS; i++) {
        char *answer = read_answer(fds[i]);
        assert_non_null(strstr(answer, " 202 "));
        free(answer);
        close(fds[i]);
    }
    assert_int_equal(stat_at(server, "/accepted"), CALLS);
    assert_int_equal(stat_at(server, "/open"), 0);
    mock_server_stop(server);
}

static void mock_server__hangs_and_resets(void **state)
{
    (void)state;
    struct mock_server *server = start(NULL);
    expect(server, "POST", "/control", NULL, "{\"reset\":1}", " 200 ");
    char *answer = request(server, "POST", "/x", "k", "");
    assert_string_equal(answer, "");
    free(answer);
    expect(server, "POST", "/control", NULL, "{\"reset\":0,\"hang\":1}", " 200 ");
    int fd = dial(server);
    send_request(fd, "POST", "/x", "k", "");
    char byte;
    expect(server, "GET", "/stats", NULL, "", " 200 ");
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    mock_server_stop(server); /* not held up by it */
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}

static void mock_server__stop_does_not_wait_for_slow_answers(void **state)
{
    (void)state;
    struct mock_server *server = start(NULL);
    expect(server, "POST", "/control", NULL, "{\"latency\":\"1h\"}", " 200 ");
    int fd = dial(server);
    send_request(fd, "POST", "/x", "k", "");
    while (stat_at(server, "/calls") == 0) {
        sched_yield();
    }
    mock_server_stop(server);
    close(fd);
}

static void mock_server__writes_a_line_a_call(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-mock-XXXXXX";
    int fd = mkstemp(path);
    struct mock_server *server = start(path);
    expect(server, "POST", "/a\"b", "t/1", "", " 202 ");
    expect(server, "POST", "/c", "t/1", "", " 202 ");
    expect(server, "GET", "/stats", NULL, "", " 200 ");
    mock_server_stop(server);
    char text[2048] = "";
    ssize_t n = read(fd, text, sizeof text - 1);
    assert_true(n > 0);
    char *second = strchr(text, '\n') + 1;
    struct json_object *doc;
    assert_int_equal(json_parse(text, (size_t)(second - text), &doc, NULL), 0);
    assert_string_equal(json_string_at(doc, "/path", NULL), "/a\"b");
    assert_string_equal(json_string_at(doc, "/key", NULL), "t/1");
    assert_int_equal(json_object_get_int(json_at(doc, "/status")), 202);
    json_free(doc);
    assert_non_null(strstr(second, "\"attempt\":2"));
    assert_int_equal(strlen(strchr(second, '\n')), 1); /* and no third line */
    close(fd);
    unlink(path);
}

static void mock_server__refuses_a_log_it_cannot_write(void **state)
{
    (void)state;
    struct mock_server_options options = {.address = "127.0.0.1",
                                          .threads = 1,
                                          .log_path = "/no/such/place"};
    struct err err = ERR_INIT;
    assert_null(mock_server_start(&options, &err));
    assert_non_null(strstr(err.text, "/no/such/place"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

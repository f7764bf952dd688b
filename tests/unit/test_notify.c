#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../consumer/worker/notify.h"

/* A service manager: a datagram socket that a test reads message by message. */
struct manager {
    int fd;
    char dir[32]; /* "" for an abstract name */
    char name[64];
    char message[512];
};

static void listen_on(struct manager *m, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    snprintf(m->name, sizeof m->name, "%s", name);
    memcpy(address.sun_path, name, len);
    if (name[0] == '@') {
        address.sun_path[0] = '\0';
    }
    m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(m->fd >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    assert_int_equal(bind(m->fd, (struct sockaddr *)&address, size), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void manager_start(struct manager *m)
{
    char name[64];
    snprintf(m->dir, sizeof m->dir, "/tmp/sluice-notify-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    snprintf(name, sizeof name, "%s/socket", m->dir);
    listen_on(m, name);
}

static void manager_stop(struct manager *m)
{
    close(m->fd);
    if (m->name[0] == '/') {
        unlink(m->name);
        rmdir(m->dir);
    }
    unsetenv("NOTIFY_SOCKET");
}

/* The next message that is there; "" when there is none. */
static const char *heard(struct manager *m)
{
    ssize_t n = recv(m->fd, m->message, sizeof m->message - 1, MSG_DONTWAIT);
    m->message[n > 0 ? n : 0] = '\0';
    return m->message;
}

static struct worker_status running(int assigned, int64_t lag)
{
    return (struct worker_status){.kafka = KAFKA_RUNNING,
                                  .assigned = assigned,
                                  .lag_events = lag,
                                  .redis_connected = true};
}

static void notify__without_a_manager_does_nothing(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    struct notify *n = notify_open();
    notify_ready(n);
    notify_worker(n, NULL, 1);
    notify_draining(n, 2);
    notify_close(n);
}

static void notify__a_name_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    char longer[200];
    memset(longer, '/', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const char *const names[] = {"relative", "vsock:2:1", longer, ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        struct notify *n = notify_open();
        notify_ready(n);
        notify_close(n);
    }
    unsetenv("NOTIFY_SOCKET");
}

static void notify__a_manager_that_is_gone_is_survived(void **state)
{
    (void)state;
    struct manager m;
    manager_start(&m);
    struct notify *n = notify_open();
    manager_stop(&m);
    notify_ready(n);
    notify_close(n);
}

static void notify__a_path_hears_ready_and_reload(void **state)
{
    (void)state;
    struct manager m;
    manager_start(&m);
    struct notify *n = notify_open();
    notify_ready(n);
    notify_reloading(n);
    assert_string_equal(heard(&m), "READY=1");
    assert_memory_equal(heard(&m), "RELOADING=1\nMONOTONIC_USEC=", 27);
    assert_string_equal(heard(&m), "");
    notify_close(n);
    manager_stop(&m);
}

static void notify__an_abstract_name_hears_as_well(void **state)
{
    (void)state;
    struct manager m = {0};
    char name[64];
    snprintf(name, sizeof name, "@sluice-notify-%ld", (long)getpid());
    listen_on(&m, name);
    struct notify *n = notify_open();
    notify_ready(n);
    assert_string_equal(heard(&m), "READY=1");
    notify_close(n);
    manager_stop(&m);
}

static void notify__the_status_is_told_when_it_changes(void **state)
{
    (void)state;
    struct manager m;
    manager_start(&m);
    struct notify *n = notify_open();
    struct worker_status status = running(2, 402);
    struct worker_status joining = {.kafka = KAFKA_JOINING};
    notify_worker(n, NULL, 1);
    notify_worker(n, NULL, 2);
    notify_worker(n, &joining, 3);
    notify_worker(n, &status, 4);
    notify_worker(n, &status, 5);
    assert_string_equal(heard(&m), "STATUS=waiting for Kafka");
    assert_string_equal(heard(&m), "STATUS=joining the group");
    assert_string_equal(heard(&m), "STATUS=running: 2 partitions, lag 402");
    assert_string_equal(heard(&m), "");
    notify_close(n);
    manager_stop(&m);
}

static void notify__a_reason_cannot_add_a_line(void **state)
{
    (void)state;
    struct manager m;
    manager_start(&m);
    struct notify *n = notify_open();
    struct worker_status status = running(1, 0);
    status.redis_connected = false;
    snprintf(status.redis_reason, sizeof status.redis_reason, "refused\nWATCHDOG=1");
    notify_worker(n, &status, 1);
    assert_string_equal(
        heard(&m), "STATUS=waiting for Redis: refused WATCHDOG=1; 1 partition, lag 0");
    notify_close(n);
    manager_stop(&m);
}

static void notify__life_is_shown_twice_per_interval(void **state)
{
    (void)state;
    struct manager m;
    manager_start(&m);
    setenv("WATCHDOG_USEC", "2000000", 1);
    struct notify *n = notify_open();
    struct worker_status status = running(1, 0);
    for (int64_t at_ms = 5000; at_ms <= 7000; at_ms += 200) {
        notify_worker(n, &status, at_ms);
    }
    assert_string_equal(heard(&m), "STATUS=running: 1 partition, lag 0");
    for (int i = 0; i < 3; i++) { /* at 5000, 6000 and 7000 */
        assert_string_equal(heard(&m), "WATCHDOG=1");
    }
    assert_string_equal(heard(&m), "");
    notify_close(n);
    manager_stop(&m);
}

static void notify__a_poll_loop_that_stands_shows_no_life(void **state)
{
    (void)state;
    struct manager m;
    manager_start(&m);
    setenv("WATCHDOG_USEC", "2000000", 1);
    struct notify *n = notify_open();
    struct worker_status status = running(1, 0);
    status.poll_age_ms = 60000;
    notify_worker(n, &status, 5000);
    assert_string_equal(heard(&m), "STATUS=running: 1 partition, lag 0");
    assert_string_equal(heard(&m), "");
    status.poll_age_ms = 10;
    notify_worker(n, &status, 5200);
    assert_string_equal(heard(&m), "WATCHDOG=1");
    notify_close(n);
    manager_stop(&m);
}

static void notify__a_watchdog_of_another_process_is_not_served(void **state)
{
    (void)state;
    struct manager m;
    manager_start(&m);
    setenv("WATCHDOG_USEC", "2000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    struct notify *n = notify_open();
    notify_worker(n, NULL, 5000);
    assert_string_equal(heard(&m), "STATUS=waiting for Kafka");
    assert_string_equal(heard(&m), "");
    notify_close(n);
    manager_stop(&m);
}

static void notify__a_drain_is_told_once_and_shows_life(void **state)
{
    (void)state;
    struct manager m;
    manager_start(&m);
    setenv("WATCHDOG_USEC", "2000000", 1);
    struct notify *n = notify_open();
    notify_draining(n, 5000);
    notify_draining(n, 5200);
    notify_draining(n, 6000);
    assert_string_equal(heard(&m), "STOPPING=1\nSTATUS=draining");
    assert_string_equal(heard(&m), "WATCHDOG=1");
    assert_string_equal(heard(&m), "WATCHDOG=1");
    assert_string_equal(heard(&m), "");
    notify_close(n);
    manager_stop(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

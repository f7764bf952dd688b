#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../consumer/demo/demo_children.h"
#include "base/now.h"

enum { PATIENCE_MS = 20000 };

struct heard {
    struct str lines; /* "name: line\n" */
    int ended;
    int signals;
};

static struct children children;
static struct heard heard;

static void on_line(void *arg, struct child *child, const char *line)
{
    struct heard *h = arg;
    str_addf(&h->lines, "%s: %s\n", child->name, line);
}

static void on_end(void *arg, struct child *child)
{
    struct heard *h = arg;
    str_addf(&h->lines, "%s: end\n", child->name);
    h->ended++;
}

static void on_signal(void *arg, int number)
{
    struct heard *h = arg;
    h->signals = number;
}

static int set_up(void **state)
{
    (void)state;
    heard = (struct heard){0};
    str_init(&heard.lines);
    children_init(&children);
    children.said = on_line;
    children.ended = on_end;
    children.signalled = on_signal;
    children.arg = &heard;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    children_release(&children);
    str_release(&heard.lines);
    return 0;
}

static struct child *sh(const char *name, const char *script)
{
    static char *const env[] = {NULL};
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct child *child = children_start(&children, name, (char *const *)argv, env, NULL);
    assert_non_null(child);
    return child;
}

static void wait_for_ends(int n)
{
    int64_t until_ms = now_ms() + PATIENCE_MS;
    while (heard.ended < n && now_ms() < until_ms) {
        children_turn(&children, until_ms);
    }
    assert_int_equal(heard.ended, n);
}

static void children__tell_lines_before_the_end(void **state)
{
    (void)state;
    set_up(state);
    struct child *child = sh("a", "echo one; echo two >&2; printf three; exit 3");
    wait_for_ends(1);
    assert_string_equal(heard.lines.data, "a: one\na: two\na: three\na: end\n");
    assert_string_equal(child->last, "three");
    assert_string_equal(child->prior, "two");
    assert_int_equal(child_exit_code(child), 3);
    tear_down(state);
}

static void children__say_how_one_ended(void **state)
{
    (void)state;
    struct str how;
    str_init(&how);
    set_up(state);
    struct child *child = sh("a", "kill -9 $$");
    wait_for_ends(1);
    assert_false(child->asked);
    assert_int_equal(child_exit_code(child), 128 + 9);
    child_describe_end(child, &how);
    assert_non_null(strstr(how.data, "was killed by signal 9"));
    str_release(&how);
    tear_down(state);
}

static void children__say_what_cannot_be_run(void **state)
{
    (void)state;
    static char *const env[] = {NULL};
    char path[] = "/nowhere/at/all";
    char *const argv[] = {path, NULL};
    set_up(state);
    struct child *child = children_start(&children, "a", argv, env, NULL);
    assert_non_null(child);
    wait_for_ends(1);
    assert_string_equal(child->last, "cannot be run: No such file or directory");
    assert_int_equal(child_exit_code(child), 127);
    tear_down(state);
}

static void children__cut_a_line_without_end(void **state)
{
    (void)state;
    set_up(state);
    struct child *child =
        sh("a", "i=0; while [ $i -lt 2000 ]; do printf 0123456789; i=$((i+1)); done");
    wait_for_ends(1);
    assert_int_equal(strlen(child->last), CHILD_LAST_MAX - 1);
    assert_int_equal(heard.lines.len, strlen("a: \na: end\n") + CHILD_LINE_MAX - 1);
    tear_down(state);
}

/* The signals of the parent are blocked; a child that inherited that could not end. */
static void children__can_be_ended(void **state)
{
    (void)state;
    set_up(state);
    struct child *child = sh("a", "echo up; exec sleep 1000");
    int64_t until_ms = now_ms() + PATIENCE_MS;
    while (heard.lines.len == 0 && now_ms() < until_ms) {
        children_turn(&children, until_ms);
    }
    assert_string_equal(heard.lines.data, "a: up\n");
    child_end(child, SIGTERM);
    wait_for_ends(1);
    assert_true(child->asked);
    assert_int_equal(child_exit_code(child), 128 + SIGTERM);
    tear_down(state);
}

static void children__are_gone_after_release(void **state)
{
    (void)state;
    set_up(state);
    pid_t pid = sh("a", "exec sleep 1000")->pid;
    tear_down(state);
    assert_int_equal(kill(pid, 0), -1);
}

static void children__hand_on_a_signal(void **state)
{
    (void)state;
    set_up(state);
    kill(getpid(), SIGINT);
    children_turn(&children, now_ms() + PATIENCE_MS);
    assert_int_equal(heard.signals, SIGINT);
    tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

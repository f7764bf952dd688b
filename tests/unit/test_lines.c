#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../producer/lines.h"
#include "base/mem.h"

/* Lines over a pipe that the test writes to. */
static int pipe_fds[2];
static struct lines lines;

static int set_up(void **state)
{
    (void)state;
    memset(&lines, 0, sizeof lines);
    str_init(&lines.in);
    lines.name = "test";
    int rc = pipe(pipe_fds);
    lines.fd = pipe_fds[0];
    return rc;
}

static void put(const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(write(pipe_fds[1], text, len), len);
}

static void expect(const char *expected)
{
    const char *text;
    size_t len;
    assert_int_equal(lines_next(&lines, &text, &len, NULL), 1);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(text, expected, len);
}

static void expect_end(void)
{
    const char *text;
    size_t len;
    assert_int_equal(lines_next(&lines, &text, &len, NULL), 0);
}

static void lines__are_split_and_numbered(void **state)
{
    set_up(state);
    put("one\n\nthr");
    expect("one");
    expect("");
    assert_int_equal(lines.number, 2);
    put("ee\nlast without end");
    expect("three");
    close(pipe_fds[1]);
    expect("last without end");
    assert_int_equal(lines.number, 4);
    expect_end();
    expect_end();
    lines_close(&lines);
}

static void lines__know_when_they_would_wait(void **state)
{
    set_up(state);
    assert_true(lines_would_wait(&lines));
    put("a\nb\n");
    assert_false(lines_would_wait(&lines));
    expect("a");
    assert_false(lines_would_wait(&lines)); /* b is here already */
    expect("b");
    assert_true(lines_would_wait(&lines));
    close(pipe_fds[1]);
    assert_false(lines_would_wait(&lines)); /* the end does not have to be waited for */
    expect_end();
    lines_close(&lines);
}

static void lines__cut_one_that_is_too_long(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-lines-XXXXXX";
    int fd = mkstemp(path);
    size_t len = LINE_BYTES_MAX + 100000;
    char *bytes = mem_alloc(len);
    memset(bytes, 'x', len);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(write(fd, "\nnext\n", 6), 6);
    free(bytes);
    close(fd);

    assert_int_equal(lines_open(&lines, path, NULL), 0);
    const char *text;
    assert_int_equal(lines_next(&lines, &text, &len, NULL), 1);
    assert_int_equal(len, LINE_BYTES_MAX);
    assert_true(lines.too_long);
    expect("next");
    assert_false(lines.too_long);
    assert_int_equal(lines.number, 2);
    expect_end();
    lines_close(&lines);
    unlink(path);
}

static void lines__say_that_a_file_is_missing(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_not_equal(lines_open(&lines, "/no/such/file", &err), 0);
    assert_non_null(strstr(err.text, "/no/such/file"));
    lines_close(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"

static void err_set__hands_the_code_back_and_writes_the_sentence(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_set(&err, -EBADMSG, "event %s: no '%s'", "e-1", "target"),
                     -EBADMSG);
    assert_int_equal(err.code, -EBADMSG);
    assert_string_equal(err.text, "event e-1: no 'target'");
}

static void err_set__without_a_place_only_returns_the_code(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, -EIO, "nobody reads this"), -EIO);
    assert_int_equal(err_wrap(NULL, "nor this"), 0);
}

static void err_set__cuts_what_is_too_long(void **state)
{
    (void)state;
    char word[2 * ERR_TEXT_MAX];
    memset(word, 'x', sizeof word);
    word[sizeof word - 1] = 0;
    struct err err = ERR_INIT;
    err_set(&err, -EINVAL, "%s", word);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    err_wrap(&err, "before");
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_memory_equal(err.text, "before: xxx", 11);
}

static void err_set__may_quote_the_sentence_it_replaces(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    err_set(&err, -EIO, "inner");
    err_set(&err, -EPROTO, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
}

static void err_wrap__puts_the_context_first_and_keeps_the_code(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    err_set(&err, -ENOENT, "no such file");
    assert_int_equal(err_wrap(&err, "secrets.%s", "argocd_token"), -ENOENT);
    assert_string_equal(err.text, "secrets.argocd_token: no such file");
}

static int exit_code_of(void (*fn)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDERR_FILENO);
        fn();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int refused(void)
{
    return EINVAL;
}

static void break_an_assertion(void)
{
    ASSERT(1 + 1 == 3);
}

static void misuse_a_call(void)
{
    MUST(refused());
}

static void keep_the_rules(void)
{
    ASSERT(1 + 1 == 2);
    MUST(0);
}

static void bugs__end_the_process_with_exit_code_70(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(break_an_assertion), EXIT_BUG);
    assert_int_equal(exit_code_of(misuse_a_call), EXIT_BUG);
    assert_int_equal(exit_code_of(keep_the_rules), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

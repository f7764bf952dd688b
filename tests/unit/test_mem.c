#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"

static void mem_array__refuses_a_size_that_overflows(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDERR_FILENO);
        free(mem_array(SIZE_MAX / 8 + 2, 8)); /* would wrap round to 8 bytes */
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_BUG);
}

static void mem_array__is_zeroed(void **state)
{
    (void)state;
    char *zeros = mem_array(100, 10);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(zeros[i], 0);
    }
    free(zeros);
}

static void mem_alloc__of_nothing_is_still_memory(void **state)
{
    (void)state;
    void *a = mem_alloc(0);
    void *b = mem_array(0, 8);
    void *c = mem_resize(NULL, 0);
    assert_true(a != NULL && b != NULL && c != NULL);
    free(a);
    free(b);
    free(c);
}

static void mem_dup__ends_with_nul(void **state)
{
    (void)state;
    char *copy = mem_dup("a\0b", 3);
    assert_memory_equal(copy, "a\0b\0", 4);
    free(copy);
    copy = mem_dup(NULL, 0);
    assert_string_equal(copy, "");
    free(copy);
}

static void mem_strdup__copies_text_and_passes_null_on(void **state)
{
    (void)state;
    const char unended[3] = {'a', 'b', 'c'};
    char *whole = mem_strdup("abc");
    char *cut = mem_strndup("abc", 2);
    char *bounded = mem_strndup(unended, sizeof unended);
    assert_string_equal(whole, "abc");
    assert_string_equal(cut, "ab");
    assert_string_equal(bounded, "abc");
    assert_null(mem_strdup(NULL));
    assert_null(mem_strndup(NULL, 3));
    free(whole);
    free(cut);
    free(bounded);
}

static void mem_wipe__overwrites(void **state)
{
    (void)state;
    char secret[] = "hunter2";
    mem_wipe(secret, sizeof secret);
    assert_memory_equal(secret, "\0\0\0\0\0\0\0\0", sizeof secret);
    mem_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

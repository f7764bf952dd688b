/* Aligned columns. */
#include "../../consumer/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static void expect(const struct table *t, size_t width, const char *want)
{
    struct str out;
    str_init(&out);
    table_print(t, "", "<", width, &out);
    assert_string_equal(out.data, want);
    str_release(&out);
}

static struct table *two_columns(const char *a, const char *b, const char *paint)
{
    struct table *t = table_new("NAME|>N");
    table_cell(t, "x", "");
    table_cell(t, "1", "");
    table_cell(t, a, paint);
    table_cell(t, b, "");
    return t;
}

static void table__columns_stand_in_line(void **state)
{
    (void)state;
    struct table *t = two_columns("longer", "1,204", "");
    expect(t, 0, "NAME        N\nx           1\nlonger  1,204\n");
    table_free(t);
}

static void table__colours_take_no_room(void **state)
{
    (void)state;
    struct table *t = two_columns("y", "22", ">");
    expect(t, 0, "NAME   N\nx      1\n>y<     22\n");
    table_free(t);
}

static void table__characters_count_not_bytes(void **state)
{
    (void)state;
    struct table *t = two_columns("é≠", "2", "");
    expect(t, 0, "NAME  N\nx     1\né≠    2\n");
    table_free(t);
}

static void table__what_others_wrote_moves_no_terminal(void **state)
{
    (void)state;
    struct table *t = two_columns("\033[2Jx\n",
                                  "\x9b"
                                  "2",
                                  "");
    struct str out;
    str_init(&out);
    table_print(t, "", "", 0, &out);
    assert_null(strchr(out.data, '\033'));
    assert_null(strchr(out.data, '\x9b'));
    int lines = 0;
    for (const char *at = out.data; *at; at++) {
        lines += *at == '\n';
    }
    assert_int_equal(lines, 3);
    str_release(&out);
    table_free(t);
}

static void table__lines_are_cut_at_the_width(void **state)
{
    (void)state;
    struct table *t = two_columns("éééééééé", "2", "");
    expect(t, 6, "NAME\nx\néééééé\n");
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

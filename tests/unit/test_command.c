#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/command.h"

static int run_nothing(const struct command_line *line)
{
    return (int)line->word_count;
}

static const struct flag common[] = {
    {"config", 'c', "FILE", "The file"}, {"set", 0, "KEY=VALUE", "One key"},
    {"json", 0, NULL, "JSON"},           {"quiet", 'q', NULL, "Less"},
    {"verbose", 'v', NULL, "More"},      {.name = NULL},
};
static const struct flag check_flags[] = {
    {"strict", 0, NULL, "Warnings count"},
    {"level", 'l', "N", "A number"},
    {.name = NULL},
};
static const struct command commands[] = {
    {.name = "check",
     .words = "[FILE...]",
     .words_max = 2,
     .summary = "Look",
     .flags = check_flags,
     .run = run_nothing},
    {.name = "config show", .summary = "Show", .run = run_nothing},
    {.name = "config init", .summary = "Begin", .run = run_nothing},
    {.name = "help", .words_max = 2, .summary = "Help"},
    {.name = NULL},
};
static const struct program program = {"prog", "A program", commands, common, NULL};

static struct command_line line;
static char message[256];

static int parse(char **argv)
{
    int argc = 0;
    while (argv[argc] != NULL) {
        argc++;
    }
    return command_parse(&program, argc, argv, &line, message, sizeof message);
}
#define PARSE(...) parse((char *[]){(char[]){"prog"}, __VA_ARGS__, NULL})
#define W(text) \
    (char[]) \
    { \
        text \
    }

static void command__an_unknown_command_suggests_one(void **state)
{
    (void)state;
    assert_int_equal(PARSE(W("chekc")), EXIT_USAGE);
    assert_non_null(strstr(message, "did you mean \"check\"?"));
    assert_int_equal(PARSE(W("--json")), EXIT_USAGE);
    assert_int_equal(PARSE(W("config")), EXIT_USAGE);
    assert_non_null(strstr(message, "config show, config init"));
    assert_int_equal(PARSE(W("config"), W("shwo")), EXIT_USAGE);
}

static void command__an_unknown_flag_suggests_one(void **state)
{
    (void)state;
    assert_int_equal(PARSE(W("check"), W("--stict")), EXIT_USAGE);
    assert_non_null(strstr(message, "did you mean --strict?"));
    assert_int_equal(PARSE(W("config"), W("show"), W("--strict")), EXIT_USAGE);
    assert_int_equal(PARSE(W("check"), W("-x")), EXIT_USAGE);
    assert_int_equal(PARSE(W("check"), W("-qx")), EXIT_USAGE);
}

static void command__a_flag_without_its_value_is_refused(void **state)
{
    (void)state;
    assert_int_equal(PARSE(W("check"), W("--config")), EXIT_USAGE);
    assert_int_equal(PARSE(W("check"), W("-c")), EXIT_USAGE);
    assert_int_equal(PARSE(W("check"), W("--json=yes")), EXIT_USAGE);
}

static void command__too_many_words_are_refused(void **state)
{
    (void)state;
    assert_int_equal(PARSE(W("config"), W("show"), W("x")), EXIT_USAGE);
    assert_int_equal(PARSE(W("check"), W("a"), W("b"), W("c")), EXIT_USAGE);
}

static void command__flags_stand_before_and_after(void **state)
{
    (void)state;
    assert_int_equal(PARSE(W("-c"), W("config"), W("--level"), W("check"), W("check"),
                           W("a"), W("--json"), W("b")),
                     0);
    assert_string_equal(line.command->name, "check");
    assert_string_equal(flag_value(&line, "config"), "config");
    assert_string_equal(flag_value(&line, "level"), "check");
    assert_true(flag_is_set(&line, "json"));
    assert_int_equal(line.word_count, 2);
    assert_string_equal(line.words[1], "b");
}

static void command__values_may_be_glued_and_switches_bundled(void **state)
{
    (void)state;
    assert_int_equal(PARSE(W("check"), W("-cfile"), W("--set=a=b"), W("-qv"), W("--set"),
                           W("c=d=e")),
                     0);
    assert_string_equal(flag_value(&line, "config"), "file");
    assert_string_equal(flag_value_at(&line, "set", 0), "a=b");
    assert_string_equal(flag_value_at(&line, "set", 1), "c=d=e");
    assert_null(flag_value_at(&line, "set", 2));
    assert_true(flag_is_set(&line, "quiet"));
    assert_true(flag_is_set(&line, "verbose"));
}

static void command__two_words_name_a_command(void **state)
{
    (void)state;
    assert_int_equal(PARSE(W("config"), W("-q"), W("init")), 0);
    assert_string_equal(line.command->name, "config init");
    assert_int_equal(line.word_count, 0);
}

static void command__two_dashes_end_the_flags(void **state)
{
    (void)state;
    assert_int_equal(PARSE(W("check"), W("-"), W("--"), W("--json")), 0);
    assert_int_equal(line.word_count, 2);
    assert_string_equal(line.words[0], "-");
    assert_string_equal(line.words[1], "--json");
    assert_false(flag_is_set(&line, "json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

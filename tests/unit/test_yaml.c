#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "wire/yaml.h"

static struct yaml_issues issues;

static struct yaml_node *parse(const char *text)
{
    return yaml_parse(text, strlen(text), &issues);
}

static void expect_issue(enum yaml_fault fault, int line, int column)
{
    for (size_t i = 0; i < issues.count; i++) {
        const struct yaml_issue *issue = &issues.items[i];
        if (issue->fault == fault && issue->line == line && issue->column == column) {
            return;
        }
    }
    fail_msg("no fault %d at %d:%d; %zu others, the first at %d:%d: %s", fault, line,
             column, issues.count, issues.items[0].line, issues.items[0].column,
             issues.items[0].text);
}

static void yaml__broken_syntax_is_refused_at_its_place(void **state)
{
    (void)state;
    assert_null(parse("a: 1\nb: [1, 2\nc: 3\n"));
    assert_int_equal(issues.count, 1);
    expect_issue(YAML_UNREADABLE, 3, 2);
}

/* As some editors write it. */
static void yaml__a_byte_order_mark_is_no_text(void **state)
{
    (void)state;
    struct yaml_node *root = parse("\xEF\xBB\xBF"
                                   "a: 1\nb: 2\n");
    assert_non_null(root);
    assert_int_equal(issues.count, 0);
    assert_non_null(yaml_get(root, "b"));
    yaml_node_free(root);
}

static void yaml__a_tab_is_refused(void **state)
{
    (void)state;
    assert_null(parse("a:\n\tb: 1\n"));
    expect_issue(YAML_UNREADABLE, 2, 1);
}

static void yaml__bad_utf8_is_refused(void **state)
{
    (void)state;
    assert_null(parse("a: \"\xff\xfe\"\n"));
    assert_int_equal(issues.count, 1);
    assert_int_equal(issues.items[0].fault, YAML_UNREADABLE);
}

static void yaml__a_zero_byte_in_a_text_is_a_fault(void **state)
{
    (void)state;
    yaml_node_free(parse("a: \"x\\0y\"\n"));
    expect_issue(YAML_UNREADABLE, 1, 4);
}

static void yaml__too_deep_is_refused(void **state)
{
    (void)state;
    char text[200000];
    memset(text, '[', sizeof text);
    assert_null(yaml_parse(text, sizeof text, &issues));
    expect_issue(YAML_UNREADABLE, 1, YAML_DEPTH_MAX + 1);
    assert_null(parse("{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{"));
}

static void yaml__too_large_is_refused(void **state)
{
    (void)state;
    char *text = calloc(1, YAML_BYTES_MAX + 1);
    memset(text, ' ', YAML_BYTES_MAX + 1);
    assert_null(yaml_parse(text, YAML_BYTES_MAX + 1, &issues));
    assert_int_equal(issues.count, 1);
    free(text);
}

static void yaml__too_wide_is_refused(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    for (int i = 0; i <= YAML_MEMBERS_MAX; i++) {
        str_addf(&text, "k%d: 1\n", i);
    }
    assert_null(parse(text.data));
    expect_issue(YAML_UNREADABLE, YAML_MEMBERS_MAX + 1, 1);
    str_release(&text);
}

static void yaml__a_name_given_twice_is_a_fault_and_the_first_stays(void **state)
{
    (void)state;
    struct yaml_node *root = parse("a: 1\nb:\n  c: 2\n  c: 3\na: 4\n");
    assert_int_equal(issues.count, 2);
    expect_issue(YAML_DUPLICATE, 4, 3);
    expect_issue(YAML_DUPLICATE, 5, 1);
    assert_string_equal(yaml_get(root, "a")->text, "1");
    yaml_node_free(root);
}

static void yaml__anchors_aliases_tags_and_merges_are_all_named(void **state)
{
    (void)state;
    yaml_node_free(parse("a: &x {b: 1}\nc: *x\nd: !!str 5\ne:\n  <<: {f: 1}\n"));
    assert_int_equal(issues.count, 4);
    expect_issue(YAML_UNWANTED, 1, 4);
    expect_issue(YAML_UNWANTED, 2, 4);
    expect_issue(YAML_UNWANTED, 3, 4);
    expect_issue(YAML_UNWANTED, 5, 3);
}

static void yaml__a_second_document_is_a_fault(void **state)
{
    (void)state;
    yaml_node_free(parse("a: 1\n---\nb: 2\n"));
    expect_issue(YAML_UNWANTED, 2, 1);
}

static void yaml__no_more_faults_are_kept_than_there_is_room(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    for (int i = 0; i < YAML_ISSUES_MAX + 20; i++) {
        str_add(&text, "a: 1\n");
    }
    yaml_node_free(parse(text.data));
    assert_int_equal(issues.count, YAML_ISSUES_MAX);
    str_release(&text);
}

static void yaml__an_empty_document_is_an_empty_map(void **state)
{
    (void)state;
    const char *const texts[] = {"", "# nothing\n", "---\n", "{}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct yaml_node *root = parse(texts[i]);
        assert_non_null(root);
        assert_int_equal(root->kind, YAML_MAP);
        assert_int_equal(root->count, 0);
        assert_int_equal(issues.count, 0);
        yaml_node_free(root);
    }
}

static void yaml__scalars_stay_text_and_know_their_quotes(void **state)
{
    (void)state;
    struct yaml_node *root = parse("{a: no, b: 08, c: 1e3, d: \"true\", e: , f: 'x y'}");
    assert_int_equal(issues.count, 0);
    assert_string_equal(yaml_get(root, "a")->text, "no");
    assert_string_equal(yaml_get(root, "b")->text, "08");
    assert_string_equal(yaml_get(root, "c")->text, "1e3");
    assert_false(yaml_get(root, "c")->quoted);
    assert_true(yaml_get(root, "d")->quoted);
    assert_string_equal(yaml_get(root, "e")->text, "");
    assert_string_equal(yaml_get(root, "f")->text, "x y");
    assert_null(yaml_get(root, "g"));
    yaml_node_free(root);
}

static void yaml__places_of_names_and_values_are_kept(void **state)
{
    (void)state;
    struct yaml_node *root = parse("kafka:\n  topic: ci\n  brokers: [a,\n    b]\n");
    const struct yaml_node *kafka = yaml_get(root, "kafka");
    const struct yaml_node *topic = yaml_get(kafka, "topic");
    assert_int_equal(topic->key_line, 2);
    assert_int_equal(topic->key_column, 3);
    assert_int_equal(topic->column, 10);
    const struct yaml_node *brokers = yaml_get(kafka, "brokers");
    assert_int_equal(brokers->count, 2);
    assert_int_equal(brokers->items[1]->line, 4);
    assert_int_equal(brokers->items[1]->column, 5);
    yaml_node_free(root);
}

static void yaml__json_is_yaml(void **state)
{
    (void)state;
    struct yaml_node *root = parse("{\"a\":{\"b\":[1,\"x\"]},\n\t\"c\":null}");
    assert_non_null(root);
    assert_int_equal(yaml_get(yaml_get(root, "a"), "b")->count, 2);
    yaml_node_free(root);
}

static void yaml__a_quoted_text_reads_back_the_same(void **state)
{
    (void)state;
    const char *const texts[] =
        {"plain", "",          "a b",          "-x",         "a: b", "#c",         "*",
         "true",  "a\"b\\c\n", "\xe2\x82\xac", "kafka:1",    "{a}",  "x\x7fy\x01", "- ",
         "a:",    "200ms..5s", "a,b",          "payments-*", "~",    "\xc2\x85"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *quoted = yaml_quote(texts[i]);
        struct str document;
        str_init(&document);
        str_addf(&document, "[%s]\n", quoted);
        struct yaml_node *root = parse(document.data);
        assert_non_null(root);
        assert_int_equal(root->count, 1);
        assert_string_equal(root->items[0]->text, texts[i]);
        yaml_node_free(root);
        str_release(&document);
        free(quoted);
    }
}

static void yaml__a_list_made_by_hand_is_copied_whole(void **state)
{
    (void)state;
    struct yaml_node *list = yaml_list_new();
    yaml_append(list, yaml_scalar_new("x"));
    struct yaml_node *copy = yaml_copy(list);
    yaml_node_free(list);
    assert_int_equal(copy->count, 1);
    assert_string_equal(copy->items[0]->text, "x");
    yaml_node_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

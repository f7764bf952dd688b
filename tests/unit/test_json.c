#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/json.h"

static struct json_object *good(const char *text)
{
    struct json_object *doc = NULL;
    struct err err = ERR_INIT;
    int rc = json_parse(text, strlen(text), &doc, &err);
    if (rc != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return doc;
}

/* The sentence of a document that must be refused. */
static const char *refused_bytes(const char *bytes, size_t len)
{
    static struct err err;
    struct json_object *doc = NULL;
    err = (struct err)ERR_INIT;
    /* an exact copy: reading past its end is seen by the address sanitizer */
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, bytes, len);
    int rc = json_parse(copy, len, &doc, &err);
    free(copy);
    if (rc == 0) {
        fail_msg("accepted: %.60s", bytes);
    }
    assert_int_equal(rc, -EBADMSG);
    assert_null(doc);
    return err.text;
}

static const char *refused(const char *text)
{
    return refused_bytes(text, strlen(text));
}

static void assert_prints(const char *text, const char *expected)
{
    struct json_object *doc = good(text);
    struct str out;
    str_init(&out);
    json_print(doc, &out);
    assert_string_equal(out.data, expected);
    str_release(&out);
    json_free(doc);
}

static void json__refuses_what_is_not_rfc_8259(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "{]",
        "[}",
        "[1,]",
        "{\"a\":1,}",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "['a']",
        "{1:2}",
        "nul",
        "nulll",
        "True",
        "NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1.e5",
        "1e",
        "1e+",
        "0x10",
        "1 2",
        "[1]]",
        "\"a",
        "\"a\\",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800x\"",
        "\"\\ud800\\u0041\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "/**/1",
        "1//",
        "[1]x",
        "\xef\xbb\xbf{}",
        "\"\\",
        "\"\\u",
        "{\"a\":1",
        "[1",
        "{\"a\":tru",
        "\"\x7f",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        refused(texts[i]);
    }
    refused_bytes("{\"a\":1}\0", 8);
    refused_bytes("\"\0\"", 3);
    refused_bytes("\"\\\0\"", 4);
}

static void json__refuses_invalid_utf8(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\"\xff\"",     "\"\xc0\xaf\"",         "\"\xed\xa0\x80\"",
        "\"\xe2\x82\"", "\"\xf4\x90\x80\x80\"", "{\"\xff\":1}",
        "\"\\n\x80\"",  "\"\x80\\n\"",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_non_null(strstr(refused(texts[i]), "invalid UTF-8"));
    }
}

static void json__names_pointer_and_byte_offset(void **state)
{
    (void)state;
    assert_string_equal(refused("{\"a\":{\"b\":[1,2,x]}}"),
                        "not a JSON value at \"/a/b/2\", byte 15");
    assert_string_equal(refused("{\"a\":[{},{\"x\":1,\"x\":2}]}"),
                        "a duplicate name at \"/a/1/x\", byte 16");
    assert_string_equal(refused("[]]"),
                        "trailing bytes after the document at \"\", byte 2");
    assert_non_null(strstr(refused("{\"a/b\":{\"c~d\":x}}"), "\"/a~1b/c~0d\""));
    assert_non_null(strstr(refused("{\"a\\u001b[31m\":x}"), "\"/a?[31m\""));
}

static void json__compares_names_after_unescaping(void **state)
{
    (void)state;
    assert_non_null(strstr(refused("{\"a\":1,\"\\u0061\":2}"), "duplicate"));
    assert_non_null(strstr(refused("{\"\":1,\"\":2}"), "duplicate"));
    assert_non_null(strstr(refused("{\"a\":{},\"a\":{}}"), "duplicate"));
    assert_non_null(strstr(refused("{\"a\":null,\"a\":null}"), "duplicate"));
    json_free(good("{\"a\":1,\"A\":2,\"b\":{\"a\":1}}"));
}

static void json__refuses_nul_in_a_name_but_not_in_a_value(void **state)
{
    (void)state;
    assert_non_null(strstr(refused("{\"a\\u0000b\":1}"), "U+0000"));
    struct json_object *doc = good("{\"a\":\"x\\u0000y\"}");
    assert_null(json_string_at(doc, "/a", NULL));
    assert_int_equal(json_object_get_string_len(json_at(doc, "/a")), 3);
    json_free(doc);
}

static void json__refuses_bombs(void **state)
{
    (void)state;
    enum { MANY = 1000000 };
    struct str s;
    str_init(&s);
    for (int i = 0; i < 100000; i++) {
        str_addc(&s, '[');
    }
    assert_non_null(strstr(refused_bytes(s.data, s.len), "too deep"));
    str_clear(&s);
    str_addc(&s, '{');
    for (int i = 0; i < 500000; i++) {
        str_add(&s, "\"same\":1,");
    }
    assert_non_null(strstr(refused_bytes(s.data, s.len), "byte 10"));
    str_clear(&s);
    str_addc(&s, '[');
    for (int i = 0; i < MANY; i++) {
        str_add(&s, "{},");
    }
    assert_non_null(strstr(refused_bytes(s.data, s.len), "too many values"));
    str_clear(&s);
    for (int i = 0; i < 10 * 1024 * 1024; i++) {
        str_addc(&s, ' ');
    }
    assert_non_null(strstr(refused_bytes(s.data, s.len), "too large"));
    str_release(&s);
}

static void json__takes_32_levels_and_no_more(void **state)
{
    (void)state;
    char text[2 * (JSON_DEPTH_MAX + 1) + 1] = {0};
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    json_free(good(text));
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_non_null(strstr(refused(text), "too deep"));
}

static void json__takes_many_members(void **state)
{
    (void)state;
    struct str s;
    str_init(&s);
    str_addc(&s, '{');
    for (int i = 0; i < 100000; i++) {
        str_addf(&s, "%s\"name%d\":%d", i > 0 ? "," : "", i, i);
    }
    str_addc(&s, '}');
    struct json_object *doc = good(s.data);
    assert_int_equal(json_object_object_length(doc), 100000);
    assert_int_equal(json_object_get_int(json_at(doc, "/name99999")), 99999);
    json_free(doc);
    str_release(&s);
}

static void json__bounds_numbers(void **state)
{
    (void)state;
    refused("1e999999");
    refused("1e1000");
    refused("1e999");
    refused("-1e400");
    refused("0e0000000000000000000000000000000000");
    char text[JSON_NUMBER_MAX + 2];
    memset(text, '1', sizeof(text));
    text[JSON_NUMBER_MAX + 1] = '\0';
    assert_non_null(strstr(refused(text), "too long"));
    text[JSON_NUMBER_MAX] = '\0';
    assert_prints(text, text);
    assert_prints("1e-999", "1e-999");
}

static void json__prints_numbers_as_they_were_written(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        "0",
        "-0",
        "1",
        "-17",
        "9223372036854775807",
        "-9223372036854775808",
        "1.0",
        "1.50",
        "1e5",
        "1E+5",
        "18446744073709551615",
        "123456789012345678901234567890",
        "0.1",
        "-2.25",
        "3.14159265358979323846264338",
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_prints(numbers[i], numbers[i]);
        struct json_object *doc = good(numbers[i]);
        char *text = json_text_at(doc, "");
        assert_string_equal(text, numbers[i]);
        free(text);
        json_free(doc);
    }
}

static void json__prints_what_it_read(void **state)
{
    (void)state;
    assert_prints(" { \"a\" : [ 1 , \"x/y\" , null , true , false , { } , [ ] ] } ",
                  "{\"a\":[1,\"x/y\",null,true,false,{},[]]}");
    assert_prints("\"\\u00e9\\ud83d\\ude00\\u0041\\/\"", "\"\xc3\xa9\xf0\x9f\x98\x80"
                                                         "A/\"");
    assert_prints("\"\\b\\f\\n\\r\\t\\\"\\\\\\u0001\"",
                  "\"\\b\\f\\n\\r\\t\\\"\\\\\\u0001\"");
    assert_prints("\"\\u0800\\uffff\"", "\"\xe0\xa0\x80\xef\xbf\xbf\"");
    assert_prints("null", "null");
    assert_prints("{\"a\":{\"b\":{}},\"c\":[[],[[]]]}",
                  "{\"a\":{\"b\":{}},\"c\":[[],[[]]]}");
}

static void json__finds_by_pointer(void **state)
{
    (void)state;
    struct json_object *doc =
        good("{\"a\":{\"b/c\":[10,{\"d~\":\"x\"}]},\"\":7,\"n\":null,"
             "\"t\":true,\"f\":1.50}");
    size_t len = 0;
    assert_ptr_equal(json_at(doc, ""), doc);
    assert_string_equal(json_string_at(doc, "/a/b~1c/1/d~0", &len), "x");
    assert_int_equal(len, 1);
    assert_int_equal(json_object_get_int(json_at(doc, "/")), 7);
    assert_null(json_at(doc, "/n"));
    static const char *const absent[] = {"a",          "/x",
                                         "/a/b~1c/2",  "/a/b~1c/-",
                                         "/a/b~1c/01", "/a/b~1c/1x",
                                         "/a/b~2c",    "/a/b~",
                                         "/t/x",       "/a/b~1c/99999999999999999999"};
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        assert_null(json_at(doc, absent[i]));
    }
    static const char *const texts[][2] = {{"/t", "true"},
                                           {"/f", "1.50"},
                                           {"/a/b~1c/0", "10"},
                                           {"/a/b~1c/1/d~0", "x"}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *text = json_text_at(doc, texts[i][0]);
        assert_string_equal(text, texts[i][1]);
        free(text);
    }
    assert_true(json_pointer_is_valid(""));
    assert_true(json_pointer_is_valid("/a~0~1b//"));
    assert_false(json_pointer_is_valid("a"));
    assert_false(json_pointer_is_valid("/a~"));
    assert_false(json_pointer_is_valid("/a~2"));
    assert_null(json_text_at(doc, "/a"));
    assert_null(json_text_at(doc, "/n"));
    json_free(doc);
}

static void assert_prints_like_json_c(struct json_object *doc)
{
    struct str out;
    str_init(&out);
    json_print(doc, &out);
    assert_string_equal(out.data, json_object_to_json_string_ext(
                                      doc, JSON_C_TO_STRING_PLAIN |
                                               JSON_C_TO_STRING_NOSLASHESCAPE));
    str_release(&out);
}

static void json_print__prints_every_value_like_json_c(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        "[[],{},[{}],{\"a\":[]}]",
        "{\"a\":null,\"b\":true,\"c\":false,\"\":\"\"}",
        "[0,-0,-1,9223372036854775807,-9223372036854775808,18446744073709551615]",
        "[0.1,1.0,-2.50e3,1E-7,123456789012345678901234567890]",
        "{\"q\\\"\\\\/\":\"/\\u0001\\u001f\\u007f\\u00e9\\ud83d\\ude00\\b\\f\\n\\r\\t\"}",
        "\"only text\"",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct json_object *doc = good(texts[i]);
        assert_prints_like_json_c(doc);
        json_free(doc);
    }
    char bytes[256];
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
    }
    struct json_object *all = json_object_new_string_len(bytes, 0x80);
    assert_prints_like_json_c(all);
    json_free(all);
    struct json_object *huge = json_object_new_uint64(UINT64_MAX);
    assert_prints_like_json_c(huge);
    json_free(huge);
}

/* Mutated samples: whatever is accepted prints to something that is accepted again and
 * prints the same. */
static void json__survives_mutations(void **state)
{
    (void)state;
    static const char sample[] = "{\"id\":\"1\",\"n\":[1,-2.5e3,"
                                 "\"\\u00e9\\ud83d\\ude00\",null,true],\"o\":{\"x\":{}}}";
    static const char bytes[] = "{}[]\",:\\u0eE+-.\x80\xff\x01 tfn9";
    uint64_t seed = 42;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof(sample)];
        memcpy(text, sample, sizeof(sample));
        for (int i = 0; i < 3; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[(seed >> 33) % (sizeof(sample) - 1)] =
                bytes[(seed >> 13) % (sizeof(bytes) - 1)];
        }
        size_t len =
            (seed >> 50) % 4 == 0 ? (seed >> 20) % sizeof(sample) : sizeof(sample) - 1;
        char *exact = mem_alloc(len);
        memcpy(exact, text, len);
        struct json_object *doc = NULL;
        if (json_parse(exact, len, &doc, NULL) == 0) {
            struct str once;
            str_init(&once);
            json_print(doc, &once);
            assert_prints(once.data, once.data);
            assert_prints_like_json_c(doc);
            str_release(&once);
            json_free(doc);
        }
        free(exact);
    }
}

static void json__members_are_put_and_read_back(void **state)
{
    (void)state;
    struct json_object *doc = json_object_new_object();
    json_put_number(doc, "n", INT64_C(1795556449135));
    json_put_text(doc, "t", "text");
    json_put_text(doc, "empty", "");
    json_put_text(doc, "none", NULL);
    assert_true(json_number_or(doc, "/n", 0) == INT64_C(1795556449135));
    assert_string_equal(json_text_or(doc, "/t", ""), "text");
    assert_int_equal(json_object_object_length(doc), 2);
    assert_int_equal(json_number_or(doc, "/t", -7), -7); /* of another type */
    assert_string_equal(json_text_or(doc, "/n", "else"), "else");
    assert_string_equal(json_text_or(NULL, "/n", "else"), "else");
    json_free(doc);
}

/* --- what is left out --- */

static const struct json_how without = {.memory_max = JSON_MEMORY_BASE,
                                        .inside = "m",
                                        .leave_out = "books"};

static const struct {
    const char *text;
    const char *left;
} left_out[] = {
    {"{\"m\":{\"a\":1,\"books\":[{\"x\":{}}],\"b\":2}}", "{\"m\":{\"a\":1,\"b\":2}}"},
    {"{\"m\":{\"books\":{}}}", "{\"m\":{}}"},
    {"{\"m\":{\"books\":[]},\"c\":3}", "{\"m\":{},\"c\":3}"},
    {"[{\"m\":{\"books\":[{\"m\":{\"books\":[1]}}],\"d\":4}},5]",
     "[{\"m\":{\"d\":4}},5]"},
    /* elsewhere, or no container: it stays */
    {"{\"books\":[1]}", "{\"books\":[1]}"},
    {"{\"n\":{\"books\":[1]}}", "{\"n\":{\"books\":[1]}}"},
    {"{\"m\":[{\"books\":[1]}]}", "{\"m\":[{\"books\":[1]}]}"},
    {"{\"m\":{\"books\":1}}", "{\"m\":{\"books\":1}}"},
    {"{\"m\":{\"x\":{\"books\":[1]}}}", "{\"m\":{\"x\":{\"books\":[1]}}}"},
};

static void json__a_member_is_left_out_where_it_is_not_wanted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++) {
        struct err err = ERR_INIT;
        struct json_object *doc;
        struct str out;
        str_init(&out);
        assert_int_equal(json_parse_with(&without, left_out[i].text,
                                         strlen(left_out[i].text), &doc, &err),
                         0);
        json_print(doc, &out);
        assert_string_equal(out.data, left_out[i].left);
        json_free(doc);
        str_release(&out);
    }
}

static void json__what_is_left_out_is_read_like_the_rest(void **state)
{
    (void)state;
    static const char bad[] = "{\"m\":{\"books\":[{\"x\":nan}]}}";
    struct err err = ERR_INIT;
    struct json_object *doc;
    assert_int_equal(json_parse_with(&without, bad, strlen(bad), &doc, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "\"/m/books/0/x\", byte 20"));
}

/* Its memory counts while it is read only: many of them are no more than one. */
static void json__what_is_left_out_costs_its_memory_once(void **state)
{
    (void)state;
    struct json_how how = without;
    struct err err = ERR_INIT;
    struct json_object *doc;
    struct str s;
    str_init(&s);
    str_addc(&s, '[');
    for (int i = 0; i < 200; i++) {
        str_add(&s, i > 0 ? ",{\"m\":{\"books\":[" : "{\"m\":{\"books\":[");
        for (int k = 0; k < 100; k++) {
            str_add(&s, k > 0 ? ",{}" : "{}");
        }
        str_add(&s, "]}}");
    }
    str_addc(&s, ']');
    assert_int_equal(json_parse_with(&how, s.data, s.len, &doc, &err), 0);
    assert_int_equal(json_object_array_length(doc), 200);
    json_free(doc);
    how.leave_out = NULL;
    assert_int_equal(json_parse_with(&how, s.data, s.len, &doc, &err), -EBADMSG);
    how.memory_max = 64 * 1024 * 1024;
    assert_int_equal(json_parse_with(&how, s.data, s.len, &doc, &err), 0);
    json_free(doc);
    str_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* wire/http: how much of an answer is kept, and for how long. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "http_script.h"

enum { LARGE_BYTES = 5 * 1000 * 1000, BLOCK_BYTES = 10 * 1000 };

/* The path says how many bytes: "/1000". Byte i is a letter that its place gives. */
static char letter(size_t i)
{
    return (char)('a' + (i * 7 + i / 26) % 26);
}

static bool answer_bytes(struct script *s, int fd, int nth)
{
    char head[96];
    char *block = mem_alloc(BLOCK_BYTES + 1);
    (void)nth;
    size_t left = (size_t)strtoul(strchr(script_look(s)->last, '/') + 1, NULL, 10);
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", left);
    script_send(fd, head);
    for (size_t sent = 0; left > 0;) {
        size_t n = left < BLOCK_BYTES ? left : BLOCK_BYTES;
        for (size_t i = 0; i < n; i++) {
            block[i] = letter(sent + i);
        }
        block[n] = '\0';
        script_send(fd, block);
        sent += n;
        left -= n;
    }
    free(block);
    return true;
}

static void expect_bytes(const char *bytes, size_t n)
{
    assert_int_equal(strlen(bytes), n);
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != letter(i)) {
            fail_msg("byte %zu is wrong", i);
        }
    }
}

/* An answer of so many bytes, with this bound. */
static void call_for(struct stage *b, struct probe *p, size_t bytes, size_t answer_max)
{
    char path[32];
    snprintf(path, sizeof(path), "/%zu", bytes);
    stage_probe(b, p, path);
    p->call.answer_max = answer_max;
    stage_call(b, p);
}

static void http_answer__up_to_its_bound_all_is_kept(void **state)
{
    static const size_t sizes[] = {0, 1, 99, 100};
    struct stage b;
    (void)state;
    stage_open(&b, answer_bytes, 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct probe p;
        call_for(&b, &p, sizes[i], 100);
        check_end(&p, HTTP_END_ANSWERED, 200, "");
        expect_bytes(p.answer, sizes[i]);
        probe_release(&p);
    }
    assert_int_equal(gate_count(&b.script->connections), 1);
    stage_close(&b);
}

static void http_answer__one_byte_above_its_bound_is_too_large(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_bytes, 1);
    call_for(&b, &p, 101, 100);
    check_end(&p, HTTP_END_TOO_LARGE, 200, "body: larger than 100 bytes");
    expect_bytes(p.answer, 100);
    probe_release(&p);
    stage_close(&b);
}

static void http_answer__a_large_one_is_kept_whole(void **state)
{
    struct stage b;
    (void)state;
    stage_open(&b, answer_bytes, 2);
    for (int i = 0; i < 2; i++) { /* the second finds nothing of the first */
        struct probe p;
        call_for(&b, &p, LARGE_BYTES + (size_t)i, HTTP_ANSWER_MAX);
        check_end(&p, HTTP_END_ANSWERED, 200, "");
        expect_bytes(p.answer, LARGE_BYTES + (size_t)i);
        probe_release(&p);
    }
    stage_close(&b);
}

static void http_answer__the_bound_is_of_one_call_only(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_bytes, 1);
    call_for(&b, &p, 10, 10);
    probe_release(&p);
    call_for(&b, &p, 3 * HTTP_BODY_KEPT_MAX, 0);
    check_end(&p, HTTP_END_ANSWERED, 200, "");
    expect_bytes(p.answer, HTTP_BODY_KEPT_MAX);
    probe_release(&p);
    stage_close(&b);
}

static struct str taken;

static void take(struct probe *p)
{
    http_answer_take(&p->call, &taken);
    assert_string_equal(p->call.answer, "");
    assert_int_equal(p->call.answer_len, 0);
}

static void http_answer__what_is_taken_outlives_the_call(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_bytes, 1);
    str_init(&taken);
    stage_probe(&b, &p, "/50000");
    p.call.answer_max = 60000;
    p.then = take;
    stage_call(&b, &p);
    probe_release(&p);
    call_for(&b, &p, 70, 100); /* the same handle again */
    expect_bytes(p.answer, 70);
    probe_release(&p);
    stage_close(&b);
    assert_int_equal(taken.len, 50000);
    expect_bytes(taken.data, 50000);
    str_release(&taken);
}

static void http_answer__a_call_that_got_none_has_nothing_to_take(void **state)
{
    struct stage b;
    struct probe p;
    (void)state;
    stage_open(&b, answer_bytes, 1);
    str_init(&taken);
    stage_probe(&b, &p, "/1");
    p.call.method = "NO GOOD";
    p.then = take;
    stage_call(&b, &p);
    assert_int_equal(p.call.end, HTTP_END_REFUSED);
    assert_string_equal(taken.data, "");
    probe_release(&p);
    stage_close(&b);
    str_release(&taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../consumer/console/session.h"

static const struct session_hash ann = {.bytes = {1}};
static const struct session_hash bob = {.bytes = {2}};

enum { NOW = 1000 };

static bool is_open(struct sessions *sessions, const char *id, int64_t now_ms)
{
    struct session_hash session;
    struct session_hash token;
    return sessions_find(sessions, id, now_ms, &session, &token);
}

static void session__an_id_stands_for_its_token(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    char ids[2][SESSION_ID_LEN];
    struct session_hash session;
    struct session_hash token;
    sessions_open(sessions, &ann, NOW, ids[0]);
    sessions_open(sessions, &bob, NOW, ids[1]);
    assert_int_equal(strlen(ids[0]), SESSION_ID_LEN - 1);
    assert_int_equal(strspn(ids[0], "0123456789abcdef"), SESSION_ID_LEN - 1);
    assert_string_not_equal(ids[0], ids[1]);
    assert_true(sessions_find(sessions, ids[1], NOW, &session, &token));
    assert_memory_equal(&token, &bob, sizeof bob);
    assert_true(sessions_touch(sessions, &session, NOW));
    sessions_free(sessions);
}

static void session__any_other_text_is_none(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    char id[SESSION_ID_LEN];
    char longer[SESSION_ID_LEN + 1];
    sessions_open(sessions, &ann, NOW, id);
    snprintf(longer, sizeof longer, "%s0", id);
    assert_false(is_open(sessions, "", NOW));
    assert_false(is_open(sessions, longer, NOW));
    id[0] = id[0] == 'a' ? 'b' : 'a';
    assert_false(is_open(sessions, id, NOW));
    id[SESSION_ID_LEN - 2] = '\0';
    assert_false(is_open(sessions, id, NOW));
    memset(id, '0', SESSION_ID_LEN - 1); /* what an empty place might look like */
    assert_false(is_open(sessions, id, NOW));
    sessions_free(sessions);
}

static void session__one_that_is_not_used_is_over(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    char id[SESSION_ID_LEN];
    sessions_open(sessions, &ann, NOW, id);
    assert_true(is_open(sessions, id, NOW + SESSION_IDLE_MS - 1)); /* used */
    assert_true(is_open(sessions, id, NOW + 2 * (SESSION_IDLE_MS - 1)));
    assert_false(is_open(sessions, id, NOW + 3 * (int64_t)SESSION_IDLE_MS));
    sessions_free(sessions);
}

static void session__use_does_not_keep_it_for_ever(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    char id[SESSION_ID_LEN];
    int64_t now = NOW;
    sessions_open(sessions, &ann, now, id);
    for (; now < NOW + SESSION_LIFE_MS; now += SESSION_IDLE_MS / 2) {
        assert_true(is_open(sessions, id, now));
    }
    assert_false(is_open(sessions, id, now));
    sessions_free(sessions);
}

static void session__a_closed_one_is_over(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    char ids[2][SESSION_ID_LEN];
    struct session_hash session;
    struct session_hash token;
    sessions_open(sessions, &ann, NOW, ids[0]);
    sessions_open(sessions, &ann, NOW, ids[1]);
    assert_true(sessions_find(sessions, ids[0], NOW, &session, &token));
    sessions_close(sessions, &session, NOW);
    assert_false(sessions_touch(sessions, &session, NOW));
    assert_false(is_open(sessions, ids[0], NOW));
    assert_true(is_open(sessions, ids[1], NOW));
    sessions_free(sessions);
}

static void session__a_token_pushes_out_its_own(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    char first[SESSION_ID_LEN];
    char second[SESSION_ID_LEN];
    char other[SESSION_ID_LEN];
    char id[SESSION_ID_LEN];
    sessions_open(sessions, &bob, NOW, other);
    sessions_open(sessions, &ann, NOW + 1, first);
    sessions_open(sessions, &ann, NOW + 2, second);
    for (int i = 2; i < SESSIONS_OF_TOKEN_MAX; i++) {
        sessions_open(sessions, &ann, NOW + 3, id);
    }
    assert_true(is_open(sessions, first, NOW + 4));
    sessions_open(sessions, &ann, NOW + 5, id);
    assert_false(is_open(sessions, second, NOW + 6)); /* the one unused longest */
    assert_true(is_open(sessions, first, NOW + 6));
    assert_true(is_open(sessions, other, NOW + 6));
    sessions_free(sessions);
}

static void session__there_are_only_so_many(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    static char ids[SESSIONS_MAX + 1][SESSION_ID_LEN];
    for (int i = 0; i <= SESSIONS_MAX; i++) {
        const struct session_hash token = {.bytes = {(unsigned char)(i % 64)}};
        sessions_open(sessions, &token, NOW + i, ids[i]);
    }
    assert_false(is_open(sessions, ids[0], NOW + SESSIONS_MAX));
    assert_true(is_open(sessions, ids[1], NOW + SESSIONS_MAX));
    assert_true(is_open(sessions, ids[SESSIONS_MAX], NOW + SESSIONS_MAX));
    sessions_free(sessions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kube/hibernation.h"

static struct json_object *parsed(const char *text)
{
    struct json_object *doc = NULL;
    struct err err = ERR_INIT;
    if (json_parse(text, strlen(text), &doc, &err) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return doc;
}

/* --- one part --- */

#define META(more) "\"metadata\":{\"name\":\"api\"" more "}"
#define NOTE(text) \
    META(",\"annotations\":{\"a/b\":\"c\",\"" HIBERNATION_ANNOTATION "\":" text "}")

static const struct {
    const char *object;
    enum hibernation_part part;
    int64_t replicas;
    int64_t remembered;
} parts[] = {
    {"{" META("") ",\"spec\":{\"replicas\":3}}", PART_RUNNING, 3, -1},
    {"{" META("") ",\"spec\":{\"replicas\":0}}", PART_ZERO, 0, -1},
    {"{" META("") ",\"spec\":{}}", PART_NOT_SCALABLE, -1, -1},
    {"{" META("") "}", PART_NOT_SCALABLE, -1, -1},
    {"{" META("") ",\"spec\":{\"replicas\":null}}", PART_NOT_SCALABLE, -1, -1},
    /* asleep: the annotation, not 0, and no replicas */
    {"{" NOTE("\"2\"") ",\"spec\":{\"replicas\":0}}", PART_ASLEEP, 0, 2},
    {"{" NOTE("\"2\"") ",\"spec\":{\"replicas\":1}}", PART_RUNNING, 1, -1},
    {"{" NOTE("\"0\"") ",\"spec\":{\"replicas\":0}}", PART_ZERO, 0, -1},
    {"{" NOTE("\"00\"") ",\"spec\":{\"replicas\":0}}", PART_ZERO, 0, -1},
    {"{" NOTE("\"2\"") ",\"spec\":{}}", PART_NOT_SCALABLE, -1, -1},
    {"{" NOTE("\"two\"") ",\"spec\":{\"replicas\":0}}", PART_ASLEEP, 0, -1},
    {"{" NOTE("\"-1\"") ",\"spec\":{\"replicas\":0}}", PART_ASLEEP, 0, -1},
    {"{" NOTE("\"\"") ",\"spec\":{\"replicas\":0}}", PART_ASLEEP, 0, -1},
    /* another's */
    {"{" META(",\"ownerReferences\":[{\"kind\":\"Deployment\"}]") ",\"spec\":{"
                                                                  "\"replicas\":0}}",
     PART_OWNED, -1, -1},
    {"{" META(",\"ownerReferences\":[]") ",\"spec\":{\"replicas\":1}}", PART_RUNNING, 1,
     -1},
    /* not understood is not read */
    {"{" META("") ",\"spec\":{\"replicas\":\"0\"}}", PART_UNREADABLE, -1, -1},
    {"{" META("") ",\"spec\":{\"replicas\":-1}}", PART_UNREADABLE, -1, -1},
    {"{" META("") ",\"spec\":{\"replicas\":0.5}}", PART_UNREADABLE, -1, -1},
    {"{" NOTE("2") ",\"spec\":{\"replicas\":0}}", PART_UNREADABLE, 0, -1},
    {"{\"metadata\":{},\"spec\":{\"replicas\":0}}", PART_UNREADABLE, -1, -1},
    {"[]", PART_UNREADABLE, -1, -1},
    {"\"x\"", PART_UNREADABLE, -1, -1},
};

static void hibernation__each_part_is_what_its_object_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct hibernation_look look;
        struct json_object *doc = parsed(parts[i].object);
        hibernation_look("Deployment", doc, &look);
        if (look.part != parts[i].part || look.replicas != parts[i].replicas ||
            look.remembered != parts[i].remembered) {
            fail_msg("%s: part %d, replicas %lld, remembered %lld", parts[i].object,
                     (int)look.part, (long long)look.replicas,
                     (long long)look.remembered);
        }
        assert_int_equal(look.part == PART_UNREADABLE, look.health == HEALTH_UNKNOWN);
        json_free(doc);
    }
}

/* --- all of them --- */

static struct hibernation judge(int unreadable, int fixed, int asleep, int zero,
                                int running, enum health worst)
{
    struct hibernation_counts counts = {0};
    struct hibernation out;
    const int n[] = {[PART_UNREADABLE] = unreadable,
                     [PART_NOT_SCALABLE] = fixed,
                     [PART_OWNED] = 1,
                     [PART_ASLEEP] = asleep,
                     [PART_ZERO] = zero,
                     [PART_RUNNING] = running};
    for (int part = 0; part < 6; part++) {
        for (int i = 0; i < n[part]; i++) {
            struct hibernation_look look = {.part = (enum hibernation_part)part,
                                            .health = part == PART_RUNNING
                                                          ? worst
                                                          : HEALTH_HEALTHY};
            hibernation_count(&counts, &look);
        }
    }
    hibernation_judge(&counts, &out);
    return out;
}

/* The rows of the table, each with what it says and how it is put. */
static const struct {
    int unreadable, fixed, asleep, zero, running;
    enum health worst;
    enum hibernation_state state;
    bool sleeps;
    const char *headline;
    const char *words;
} rows[] = {
    {0, 0, 0, 0, 0, HEALTH_HEALTHY, HIBERNATION_NONE, false, "none",
     "no workload with these labels"},
    {0, 2, 0, 0, 0, HEALTH_HEALTHY, HIBERNATION_NONE, false, "none",
     "nothing that scales"},
    {0, 0, 0, 0, 3, HEALTH_HEALTHY, HIBERNATION_AWAKE, false, "awake",
     "0 of 3 hibernated, 3 running"},
    {0, 1, 3, 0, 0, HEALTH_HEALTHY, HIBERNATION_ASLEEP, true, "hibernated",
     "3 of 3 hibernated"},
    {0, 0, 1, 0, 2, HEALTH_HEALTHY, HIBERNATION_PARTLY, false, "partially-hibernated",
     "1 of 3 hibernated, 2 running"},
    {0, 0, 0, 1, 2, HEALTH_HEALTHY, HIBERNATION_SCALED_TO_ZERO, false, "scaled-to-zero",
     "0 of 3 hibernated, 1 at zero by somebody else, 2 running"},
    {0, 0, 0, 2, 0, HEALTH_HEALTHY, HIBERNATION_SCALED_TO_ZERO, false, "scaled-to-zero",
     "0 of 2 hibernated, 2 at zero by somebody else"},
    {0, 0, 2, 1, 0, HEALTH_HEALTHY, HIBERNATION_SCALED_TO_ZERO, true, "scaled-to-zero",
     "2 of 3 hibernated, 1 at zero by somebody else"},
    {1, 0, 3, 0, 0, HEALTH_HEALTHY, HIBERNATION_UNKNOWN, false, "unknown",
     "only 3 of 4 read"},
    {1, 0, 0, 0, 0, HEALTH_HEALTHY, HIBERNATION_UNKNOWN, false, "unknown",
     "only 0 of 1 read"},
    {1, 1, 0, 0, 2, HEALTH_DEGRADED, HIBERNATION_UNKNOWN, false, "unknown",
     "only 3 of 4 read"},
    {0, 0, 1, 0, 2, HEALTH_DEGRADED, HIBERNATION_PARTLY, false, "degraded",
     "1 of 3 hibernated, 2 running"},
    {0, 0, 0, 0, 1, HEALTH_PROGRESSING, HIBERNATION_AWAKE, false, "progressing",
     "0 of 1 hibernated, 1 running"},
};

static void hibernation__each_row_of_the_table_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str words;
        struct hibernation h = judge(rows[i].unreadable, rows[i].fixed, rows[i].asleep,
                                     rows[i].zero, rows[i].running, rows[i].worst);
        str_init(&words);
        hibernation_say(&h, &words);
        assert_string_equal(words.data, rows[i].words);
        assert_int_equal(h.state, rows[i].state);
        assert_int_equal(hibernation_sleeps(&h), rows[i].sleeps);
        assert_string_equal(hibernation_headline(&h), rows[i].headline);
        str_release(&words);
    }
}

/* Said again in other words, over every combination of 0 to 3 of each part. */
static void check_combination(const int n[5])
{
    struct hibernation h = judge(n[0], n[1], n[2], n[3], n[4], HEALTH_HEALTHY);
    bool scalable = n[2] || n[3] || n[4];
    assert_int_equal(h.state == HIBERNATION_UNKNOWN, n[0] != 0);
    assert_int_equal(h.health == HEALTH_UNKNOWN, n[0] != 0);
    assert_int_equal(h.state == HIBERNATION_NONE, !n[0] && !scalable);
    assert_int_equal(h.state == HIBERNATION_SCALED_TO_ZERO, !n[0] && n[3]);
    assert_int_equal(h.state == HIBERNATION_ASLEEP, !n[0] && !n[3] && n[2] && !n[4]);
    assert_int_equal(h.state == HIBERNATION_PARTLY, !n[0] && !n[3] && n[2] && n[4]);
    assert_int_equal(h.state == HIBERNATION_AWAKE, !n[0] && !n[3] && !n[2] && n[4]);
    assert_int_equal(hibernation_sleeps(&h), !n[0] && n[2] && !n[4]);
    assert_int_equal(h.unreadable, n[0]);
    assert_int_equal(h.not_scalable, n[1]);
    assert_int_equal(h.asleep, n[2]);
    assert_int_equal(h.zero, n[3]);
    assert_int_equal(h.running, n[4]);
}

static void hibernation__every_combination_is_judged_by_one_rule(void **state)
{
    (void)state;
    for (int i = 0; i < 4 * 4 * 4 * 4 * 4; i++) {
        check_combination((int[]){i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6 & 3, i >> 8 & 3});
    }
}

static void hibernation__the_worst_health_counts(void **state)
{
    (void)state;
    for (int one = HEALTH_HEALTHY; one <= HEALTH_UNKNOWN; one++) {
        for (int other = HEALTH_HEALTHY; other <= HEALTH_UNKNOWN; other++) {
            struct hibernation_counts counts = {0};
            struct hibernation h;
            struct hibernation_look look = {.part = PART_ASLEEP,
                                            .health = (enum health)one};
            hibernation_count(&counts, &look);
            look.health = (enum health)other;
            hibernation_count(&counts, &look);
            hibernation_judge(&counts, &h);
            assert_int_equal(h.health, one > other ? one : other);
            assert_int_equal(h.state, HIBERNATION_ASLEEP);
        }
    }
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}

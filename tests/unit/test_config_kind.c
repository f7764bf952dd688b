#include "config_fixture.h"

#define SECRETS "secrets:\n  s: {env: S}\n"

static void config_kind__names_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *target; /* lines under `t:` */
        const char *place;
        const char *code;
        const char *words;
    } cases[] = {
        {"    kind: argo-cd\n    url: https://cd/x\n", "3:11", "SL-C05", "argocd"},
        {"    kind: jenkins\n    url: https://cd\n", "4:10", "SL-C07",
         "config init --target jenkins"},
        {"    kind: gitlab\n    url: https://cd/x\n    body: {a: b}\n", "5:11", "SL-C31",
         "needs /ref"},
        {"    kind: flux\n    url: https://cd/hook/x\n", "3:11", "SL-C27",
         "needs sign_secret"},
        {"    url: https://cd/x\n    sign: hmac-sha256\n", "4:11", "SL-C27",
         "needs sign_secret"},
        {"    kind: flux\n    sign: none\n    sign_secret: s\n    url: "
         "https://cd/hook/x\n",
         "5:18", "SL-C27", "without effect"},
        {"    token: ghp_0aBcD\n    url: https://cd/x\n", "3:12", "SL-C12",
         "names no secret"},
        {"    token: s\n    headers: {Authorization: x}\n    url: https://cd/x\n", "3:12",
         "SL-C29", "sets the header authorization"},
        {"    url: https://cd/${trigger.nope}\n", "3:10", "SL-C13", "${trigger.key}"},
        {"    concurrency: 0\n    url: https://cd/x\n", "3:18", "SL-C06", "1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "targets:\n  t:\n%s" SECRETS, cases[i].target);
        struct config *config = load(text);
        expect_issue(cases[i].place, cases[i].code, cases[i].words);
        assert_null(config);
        for (size_t k = 0; k < report.count; k++) { /* a token is no matter of a report */
            assert_null(strstr(report.items[k].text, "ghp_"));
        }
        done(config);
    }
}

static const struct config_limit *limit_of(const struct config *config)
{
    assert_int_equal(config->targets[0].limit_count, 1);
    return &config->limits[config->targets[0].limits[0]];
}

static void config_kind__limits_a_target_that_names_none(void **state)
{
    (void)state;
    struct config *config =
        load_good("targets:\n  t:\n    kind: jenkins\n    url: https://cd/job/x\n");
    expect_issue("3:11", "SL-C31", "has one of its own, \"t\": 2/s, burst 5");
    assert_int_equal(report.count, 1);
    assert_int_equal(report.errors + report.warnings, 0);
    assert_int_equal(config->limit_count, 1);
    assert_string_equal(limit_of(config)->name, "t");
    assert_true(limit_of(config)->rate_per_s == 2 && limit_of(config)->burst == 5);
    assert_int_equal(config->targets[0].concurrency, 2);
    done(config);

    /* somebody meant it already */
    config = load_good("limits: {t: {rate: 7/s}}\n"
                       "targets:\n  t:\n    kind: jenkins\n    url: https://cd/job/x\n"
                       "    concurrency: 9\n");
    assert_int_equal(config->limit_count, 1);
    assert_true(limit_of(config)->rate_per_s == 7);
    assert_int_equal(config->targets[0].concurrency, 9);
    assert_int_equal(report.warnings, 0);
    done(config);

    config = load_good("targets:\n  t:\n    kind: jenkins\n    url: https://cd/job/x\n"
                       "    limits: []\n");
    assert_int_equal(config->targets[0].limit_count, 0);
    assert_int_equal(report.count, 0);
    done(config);
}

/* What nobody gave a kind is as it always was. */
static void config_kind__leaves_http_alone(void **state)
{
    (void)state;
    struct config *config = load_good(TARGET);
    const struct config_target *t = &config->targets[0];
    assert_string_equal(target_kind(t->target)->name, "http");
    assert_int_equal(t->limit_count, 0);
    assert_int_equal(t->concurrency, 0);
    assert_null(target_sign(t->target));
    assert_int_equal(report.count, 0);
    done(config);
}

static void config_kind__signs_as_the_kind_does(void **state)
{
    (void)state;
    static const char *const ways[][2] = {
        {"kind: flux\n    sign_secret: s\n", "hmac-sha256"},
        {"kind: standard-webhooks\n    sign_secret: s\n", "standard-webhooks"},
        {"kind: flux\n    sign: standard-webhooks\n    sign_secret: s\n",
         "standard-webhooks"},
        {"kind: tekton\n    sign: hmac-sha256\n    sign_secret: s\n", "hmac-sha256"},
        {"kind: flux\n    sign: none\n", NULL},
        {"kind: tekton\n", NULL},
    };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        char text[512];
        snprintf(
            text, sizeof text,
            "targets:\n  t:\n    url: https://cd/hook/x\n    limits: []\n    %s" SECRETS,
            ways[i][0]);
        struct config *config = load_good(text);
        const char *sign = target_sign(config->targets[0].target);
        assert_true((sign == NULL) == (ways[i][1] == NULL));
        if (sign != NULL) {
            assert_string_equal(sign, ways[i][1]);
        }
        done(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

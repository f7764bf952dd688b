/* roles, tokens, access.parts: who may do what through the HTTP API. */
#include "config_fixture.h"

#define SECRETS "secrets: {a: {env: TOKEN_A}, b: {env: TOKEN_B}}\n"     /* line 4 */
#define ROLES   "roles: {reader: {allow: [read apps/x, read fleet]}}\n" /* line 5 */
#define BASE    TARGET SECRETS ROLES

static const struct bad_config bad[] = {
    {TARGET "roles: {r: {}}\n", "4:9", "SL-C08", "roles.r.allow is missing"},
    {TARGET "roles: {r: {allow: read *}}\n", "4:20", "SL-C05", "a list"},
    {TARGET "roles: {r: {allow: []}}\n", "4:20", "SL-C34", "allows nothing"},
    {TARGET "roles: {r: {allow: [read *, raed *]}}\n", "4:29", "SL-C34",
     "did you mean \"read\"?"},
    {TARGET "roles: {r: {allow: [read apps]}}\n", "4:21", "SL-C34", "write apps/*"},
    {TARGET "roles: {R: {allow: [read *]}}\n", "4:9", "SL-C17", "\"R\""},
    {TARGET "roles: {r: {alow: [read *]}}\n", "4:13", "SL-C02", "allow"},
    {BASE "tokens: {t: {roles: [reader]}}\n", "6:10", "SL-C08", "tokens.t.secret"},
    {BASE "tokens: {t: {secret: a}}\n", "6:10", "SL-C08", "tokens.t.roles"},
    {BASE "tokens: {t: {secret: a, roles: []}}\n", "6:32", "SL-C35", "could do nothing"},
    {BASE "tokens: {t: {secret: a, roles: [raeder]}}\n", "6:33", "SL-C35",
     "did you mean \"reader\"?"},
    {BASE "tokens: {t: {secret: token_a, roles: [reader]}}\n", "6:22", "SL-C12",
     "secret \"token_a\" is not defined"},
    {BASE "tokens: {t: {secret: a, roles: [reader]}, u: {secret: a, roles: [reader]}}\n",
     "6:55", "SL-C35", "tokens.t has this secret too"},
    {TARGET "access: {parts: 0}\n", "4:17", "SL-C06", "1 to 64"},
    {TARGET "access: {parts: 65}\n", "4:17", "SL-C06", "1 to 64"},
};

static void config_access__faults_are_refused_at_their_place(void **state)
{
    (void)state;
    expect_refused(bad, sizeof bad / sizeof bad[0]);
}

static void config_access__without_tokens_there_are_none(void **state)
{
    (void)state;
    struct config *config = load_good(TARGET);
    assert_int_equal(config->access.token_count, 0);
    assert_int_equal(config->access.parts, 4);
    assert_int_equal(report.warnings, 0);
    done(config);
}

static void config_access__a_role_nobody_has_is_a_warning(void **state)
{
    (void)state;
    struct config *config = load_good(TARGET ROLES);
    assert_true(has_issue("4:9", "SL-C26", "roles.reader: no token has it"));
    done(config);
}

#define TWO \
    BASE "tokens:\n" \
         "  one: {secret: a, roles: [reader]}\n" \
         "  two: {secret: b, roles: [reader]}\n"

static void config_access__tokens_have_the_rules_of_their_roles(void **state)
{
    (void)state;
    struct config *config = load_good(TWO);
    assert_int_equal(report.warnings, 0); /* their secrets are used */
    assert_int_equal(config->access.token_count, 2);
    assert_string_equal(config->access.tokens[1].name, "two");
    assert_string_equal(config->access.tokens[1].secret, "b");
    assert_int_equal(config->access.tokens[1].role_count, 1);
    const struct config_role *role =
        &config->access.roles[config->access.tokens[1].roles[0]];
    assert_string_equal(role->name, "reader");
    assert_int_equal(role->rule_count, 2);
    assert_int_equal(role->rules[0].action, RULE_READ);
    assert_string_equal(role->rules[1].glob, "fleet");
    done(config);
}

/* As environ is typed; nobody writes to it. */
static char *const *variables(const char *const *texts)
{
    return (char *const *)texts;
}

#define GOOD "TOKEN_A=0123456789abcdef"

static const struct {
    const char *environment[3];
    const char *words; /* NULL: good */
} texts[] = {
    {{GOOD, "TOKEN_B=fedcba9876543210", NULL}, NULL},
    {{GOOD, "TOKEN_B=0123456789abcde", NULL}, "tokens.two: secret b has 15 characters"},
    {{GOOD, GOOD + sizeof "TOKEN_A", NULL}, "TOKEN_B is not set"},
    {{GOOD, "TOKEN_B=0123456789abcdef", NULL}, "tokens.one and tokens.two"},
    {{GOOD, "TOKEN_B=0123456789 bcdefg", NULL}, "a space"},
    {{GOOD, "TOKEN_B=0123456789\tbcdefg", NULL}, "a space"},
    {{GOOD, "TOKEN_B=0123456789abc\xc3\xa9g", NULL}, "a space"},
};

static void config_access__texts_are_looked_at_when_secrets_load(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (int alone = 0; alone < 2; alone++) {
            struct config *config = load_good(TWO);
            struct err err = ERR_INIT;
            int rc =
                alone
                    ? config_load_tokens(config, variables(texts[i].environment), &err)
                    : config_load_secrets(config, variables(texts[i].environment), &err);
            if (texts[i].words == NULL) {
                assert_int_equal(rc, 0);
            } else {
                assert_int_not_equal(rc, 0);
                assert_non_null(strstr(err.text, texts[i].words));
            }
            assert_null(strstr(err.text, "0123456789"));
            done(config);
        }
    }
}

static void config_access__whoever_only_tries_secrets_hears_of_a_short_token(void **state)
{
    (void)state;
    static const char *const environment[] = {GOOD, "TOKEN_B=short", NULL};
    struct config *config = load_good(TWO);
    struct err err = ERR_INIT;
    assert_int_equal(config_try_secrets(config, variables(environment), &err), -EINVAL);
    assert_non_null(strstr(err.text, "tokens.two"));
    assert_null(config->secrets[1].value);
    done(config);
}

static void config_access__tokens_alone_read_no_other_secret(void **state)
{
    (void)state;
    static const char *const environment[] = {GOOD, "TOKEN_B=fedcba9876543210", NULL};
    struct config *config = load_good(
        TARGET "    headers: {x: \"${secret.c}\"}\n"
               "secrets: {a: {env: TOKEN_A}, b: {env: TOKEN_B}, c: {file: /none}}\n" ROLES
               "tokens: {one: {secret: a, roles: [reader]}}\n");
    struct err err = ERR_INIT;
    assert_int_equal(config_load_tokens(config, variables(environment), &err), 0);
    assert_string_equal(config_secret_get(config, "a"), "0123456789abcdef");
    assert_null(config_secret_get(config, "b"));
    done(config);
}

static void config_access__a_reload_counts_roles_and_tokens(void **state)
{
    (void)state;
    struct config *from =
        load_good(TARGET SECRETS ROLES "tokens: {one: {secret: a, roles: [reader]}}\n");
    config_report_release(&report);
    struct config *to =
        load_good(TARGET SECRETS "roles: {reader: {allow: [read fleet]}}\n"
                                 "tokens: {two: {secret: b, roles: [reader]}}\n");
    struct str summary;
    struct str fixed;
    str_init(&summary);
    str_init(&fixed);
    config_compare(from, to, &summary, &fixed);
    assert_non_null(
        strstr(summary.data, "1 role changed, 1 token added, 1 token removed"));
    assert_int_equal(fixed.len, 0);
    str_release(&summary);
    str_release(&fixed);
    config_free(from);
    done(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

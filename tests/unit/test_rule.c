#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fleet/rule.h"

static const struct {
    const char *text;
    const char *words;
} bad[] = {
    {"", "an action and a resource"},
    {"read", "an action and a resource"},
    {"read ", "an action and a resource"},
    {" apps/x", "an action and a resource"},
    {"read apps/a b", "an action and a resource"},
    {"reed apps/a", "did you mean \"read\"?"},
    {"write apps/a", "known are read, pause, resume"},
    {"Read apps/a", "\"Read\" is no action"},
    {"read app/a", "did you mean \"apps\"?"},
    {"read zones/a", "known are apps, targets"},
    {"read apps", "write apps/* for all"},
    {"pause targets", "write targets/*"},
    {"read config/x", "write config"},
    {"pause apps/x", "write pause targets/NAME"},
    {"redrive targets/x", "write redrive deadletters"},
    {"reload consumers/x", "nothing to reload in consumers/x"},
    {"kube fleet", "write kube clusters/NAME"},
    {"read /apps/x", "\"\" is no resource"},
};

static void rule__bad_ones_are_refused_with_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rule rule = {0};
        struct err err = {0};
        assert_int_equal(rule_parse(bad[i].text, &rule, &err), -EINVAL);
        assert_null(rule.glob);
        if (!strstr(err.text, bad[i].words)) {
            fail_msg("\"%s\": %s", bad[i].text, err.text);
        }
    }
}

static void rule__a_glob_has_a_longest(void **state)
{
    (void)state;
    char text[RULE_GLOB_MAX + 16] = "read apps/";
    struct rule rule;
    struct err err = {0};
    memset(text + strlen(text), 'a', RULE_GLOB_MAX - 1 - strlen("apps/"));
    assert_int_equal(rule_parse(text, &rule, &err), 0);
    rule_release(&rule);
    text[strlen(text)] = 'a'; /* what follows is 0 */
    assert_int_equal(rule_parse(text, &rule, &err), -EINVAL);
}

static const struct {
    const char *rule;
    enum rule_action action;
    const char *resource;
    bool allowed;
} cases[] = {
    {"read apps/payments-*", RULE_READ, "apps/payments-api", true},
    {"read apps/payments-*", RULE_READ, "apps/payment", false},
    {"read apps/payments-*", RULE_READ, "apps/Payments-api", false},
    {"read apps/payments-*", RULE_READ, "targets/payments-api", false},
    {"read apps/payments-*", RULE_PAUSE, "apps/payments-api", false},
    {"read apps/app1", RULE_READ, "apps/app10", false},
    {"read apps/app1", RULE_READ, "apps/app1/x", false},
    {"read apps/*", RULE_READ, "apps/a/b", true},
    {"read apps/*", RULE_READ, "apps", false},
    {"  pause   targets/[ab]  ", RULE_PAUSE, "targets/b", true},
    {"pause targets/[ab]", RULE_PAUSE, "targets/c", false},
    {"* targets/x", RULE_DRAIN, "targets/x", true},
    {"* *", RULE_KUBE, "clusters/prod", true},
    {"read *", RULE_READ, "fleet", true},
    {"read *", RULE_RELOAD, "fleet", false},
    {"read fleet", RULE_READ, "fleet", true},
    {"read fleet", RULE_READ, "fleet2", false},
};

static void rule__allows_what_it_says_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rule rule;
        struct err err = {0};
        assert_int_equal(rule_parse(cases[i].rule, &rule, &err), 0);
        if (rule_allows(&rule, cases[i].action, cases[i].resource) != cases[i].allowed) {
            fail_msg("\"%s\" and %s %s", cases[i].rule, rule_action_name(cases[i].action),
                     cases[i].resource);
        }
        rule_release(&rule);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* kube/ref: names of objects as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/ref.h"

static const struct {
    const char *text;
    const char *cluster;
    const char *api;
    const char *kind;
    const char *ns;
    const char *name;
} good[] = {
    {"apps/v1/Deployment/shop/api", NULL, "apps/v1", "Deployment", "shop", "api"},
    {"apps/v1/Deployment/api", NULL, "apps/v1", "Deployment", "", "api"},
    {"v1/Node/n1", NULL, "v1", "Node", "", "n1"},
    {"prod:v1/Pod/a/b", "prod", "v1", "Pod", "a", "b"},
    {"argoproj.io/v1alpha1/Rollout/a/b", NULL, "argoproj.io/v1alpha1", "Rollout", "a",
     "b"},
    {"eu.west:rbac.authorization.k8s.io/v1/ClusterRole/system:node", "eu.west",
     "rbac.authorization.k8s.io/v1", "ClusterRole", "", "system:node"},
};

static void kube_ref__a_text_reads_back_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct err err = ERR_INIT;
        struct kube_ref ref;
        struct str out;
        str_init(&out);
        assert_int_equal(kube_ref_parse(good[i].text, &ref, &err), 0);
        if (good[i].cluster != NULL) {
            assert_string_equal(ref.cluster, good[i].cluster);
        } else {
            assert_null(ref.cluster);
        }
        assert_string_equal(ref.api, good[i].api);
        assert_string_equal(ref.kind, good[i].kind);
        assert_string_equal(ref.ns, good[i].ns);
        assert_string_equal(ref.name, good[i].name);
        kube_ref_print(&ref, &out);
        assert_string_equal(out.data, good[i].text);
        kube_ref_release(&ref);
        str_release(&out);
    }
}

static const struct {
    const char *text;
    const char *words;
} bad[] = {
    {"", "no version"},
    {"/", "no version"},
    {"Deployment/a/b", "no version"},
    {"apps/Deployment/a/b", "no version"},
    {"v1", "a kind and a name are wanted"},
    {"v1/Node", "a kind and a name are wanted"},
    {"apps/v1/Deployment", "a kind and a name are wanted"},
    {"v1/Pod/a/b/c", "too many words"},
    {"apps/v1/Deployment/a/b/c", "too many words"},
    {"a/v1/b/c/d/e/f/g/h", "too many words"},
    {"v1/Node/", "is empty or cannot be a name"},
    {"v1//a", "is empty or cannot be a name"},
    {"v1/Pod/../secrets", "is empty or cannot be a name"},
    {"v1/Pod/a/..", "is empty or cannot be a name"},
    {"v1/Pod/a/%2e%2e", "is empty or cannot be a name"},
    {":v1/Node/a", "no cluster's name before the colon"},
    {"v1/Node/a b", "has a space or a control character"},
    {"v1/Node/a\n", "has a space or a control character"},
    {"v1/Node/\xc3\xa9", "has a space or a control character"},
};

static void kube_ref__what_is_none_is_refused_with_the_reason(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = ERR_INIT;
        struct kube_ref ref;
        int rc = kube_ref_parse(bad[i].text, &ref, &err);
        if (rc != -EINVAL || !strstr(err.text, bad[i].words) ||
            !strstr(err.text, "expected API/KIND/[NAMESPACE/]NAME")) {
            print_message("%s: %d \"%s\", expected \"%s\"\n", bad[i].text, rc, err.text,
                          bad[i].words);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void kube_ref__a_name_may_be_so_long_and_no_longer(void **state)
{
    (void)state;
    struct kube_ref ref;
    struct err err = ERR_INIT;
    for (size_t n = KUBE_NAME_MAX; n <= KUBE_NAME_MAX + 1; n++) {
        struct str text;
        str_init(&text);
        str_add(&text, "v1/Node/");
        for (size_t i = 0; i < n; i++) {
            str_addc(&text, 'a');
        }
        int rc = kube_ref_parse(text.data, &ref, &err);
        assert_int_equal(rc, n > KUBE_NAME_MAX ? -EINVAL : 0);
        if (rc == 0) {
            kube_ref_release(&ref);
        }
        str_release(&text);
    }
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}

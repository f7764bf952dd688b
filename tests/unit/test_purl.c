#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "event/purl.h"

static void purl__refuses_what_is_no_image(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "x",
                                        "pkg:npm/a@1",
                                        "pkg:oci/",
                                        "pkg:oci",
                                        "PKG:oci/a",
                                        "pkg:oci/?tag=1",
                                        "pkg:oci/a/",
                                        "pkg:oci/@sha256%3Aab"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct purl purl;
        assert_int_equal(purl_parse(texts[i], &purl), -EINVAL);
    }
}

static void purl__reads_name_image_and_digest(void **state)
{
    (void)state;
    static const char *const cases[][4] = {
        {"pkg:oci/api@sha256%3Aab", "api", "api@sha256:ab", "sha256:ab"},
        {"pkg:oci/api@sha256:ab", "api", "api@sha256:ab", "sha256:ab"},
        {"pkg:oci/api@sha256%3Aab?repository_url=ghcr.io/acme/api&tag=1.2", "api",
         "ghcr.io/acme/api:1.2", "sha256:ab"},
        {"pkg:oci/api@sha256%3Aab?arch=amd64&repository_url=ghcr.io%2Facme%2Fapi#sub",
         "api", "ghcr.io/acme/api@sha256:ab", "sha256:ab"},
        {"pkg:oci/api?tag=1.2", "api", "api:1.2", ""},
        {"pkg:oci/api", "api", "api", ""},
        {"pkg:docker/acme/api@1.2", "api", "acme/api:1.2", ""},
        {"pkg:docker/acme/api@sha256%3Aab", "api", "acme/api@sha256:ab", "sha256:ab"},
        {"pkg:oci/a%2", "a%2", "a%2", ""},
        {"pkg:oci/a%zz", "a%zz", "a%zz", ""},
        {"pkg:oci/a?&&tag=&x", "a", "a", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct purl purl;
        assert_int_equal(purl_parse(cases[i][0], &purl), 0);
        assert_string_equal(purl.name.data, cases[i][1]);
        assert_string_equal(purl.image.data, cases[i][2]);
        assert_string_equal(purl.digest.data, cases[i][3]);
        purl_release(&purl);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

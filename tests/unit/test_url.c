#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "decoded.h"
#include "target/url.h"

static void expect_refused(const char *text, const char *says)
{
    struct err err = ERR_INIT;
    struct url *url = url_new(text, NULL, &err);
    if (url != NULL || strstr(err.text, says) == NULL) {
        fail_msg("%s: '%s' does not say '%s'", text, err.text, says);
    }
}

static void url__keeps_the_host_constant(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "https://${event.app}/x",
        "https://${event.app}",
        "https://cd.${event.app}.io/x",
        "https://cd.acme.io${event.app}",
        "https://cd.acme.io:${event.run}/x",
        "https://${secret.host}/x",
        "https://${event:/host}/x",
        "https://$${event.app}/x",
        "http://${event.app}@cd/x",
    };
    static const char *const schemes[] = {"${event.app}", "${event.app}://cd/x",
                                          "${event.url}/x"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        expect_refused(hosts[i], "the host may not come from an event");
    }
    for (size_t i = 0; i < 3; i++) {
        expect_refused(schemes[i], "the scheme may not come from an event");
    }
}

static void url__refuses_what_is_no_target(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "begins with"},
        {"cd.acme.io/x", "begins with"},
        {"ftp://cd/x", "begins with"},
        {"file:///etc/passwd", "begins with"},
        {"HTTPS://cd/x", "begins with"},
        {"https:/cd/x", "begins with"},
        {"https://", "no valid host"},
        {"https:///x", "no valid host"},
        {"https://?x", "no valid host"},
        {"https://a b/x", "no valid host"},
        {"https://a\\b/x", "no valid host"},
        {"https://a%2eb/x", "no valid host"},
        {"https://[::1/x", "no valid host"},
        {"https://[]/x", "no valid host"},
        {"https://user@cd/x", "user and password"},
        {"https://user:pass@cd/x", "user and password"},
        {"https://cd:/x", "port"},
        {"https://cd:0/x", "port"},
        {"https://cd:65536/x", "port"},
        {"https://cd:8x/x", "port"},
        {"https://cd/a#b", "fragment"},
        {"https://cd#b", "fragment"},
        {"https://cd/a b", "percent-encoded"},
        {"https://cd/a\nb", "percent-encoded"},
        {"https://cd/\xc3\xa9", "percent-encoded"},
        {"https://cd/a\\b", "percent-encoded"},
        {"https://cd/a{b}", "percent-encoded"},
        {"https://cd/../x", "'.' or '..'"},
        {"https://cd/a/.", "'.' or '..'"},
        {"https://cd/%2E%2e/x", "'.' or '..'"},
        {"https://cd/.%2e?x", "'.' or '..'"},
        {"https://cd/${event.nope}", "column 12"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_refused(cases[i][0], cases[i][1]);
    }
}

static void url__names_its_host_with_the_port(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"https://argocd.acme.io/x", "https://argocd.acme.io:443"},
        {"http://cd/x", "http://cd:80"},
        {"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
        {"https://[::1]:8443/x", "https://[::1]:8443"},
        {"https://[fe80::1]?x=${event.app}", "https://[fe80::1]:443"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct url *url = url_new(cases[i][0], NULL, NULL);
        assert_non_null(url);
        assert_string_equal(url_host(url), cases[i][1]);
        url_free(url);
    }
}

/* Fill ${event:/v} with a JSON string's inside. Returns the code; out: owned. */
static int fill(const char *text, const char *inside, char **out)
{
    char value[512];
    snprintf(value, sizeof(value), "{\"id\":\"1\",\"v\":\"%s\"}", inside);
    struct decoded d = decode_text(value);
    expect_outcome(&d, EVENT_OK, "");
    struct str s;
    struct err err = ERR_INIT;
    str_init(&s);
    struct url *url = url_new(text, NULL, &err);
    assert_non_null(url);
    int rc = url_fill(url, &d.ev, 300, NULL, NULL, &s, &err);
    assert_int_equal(rc == 0, err.text[0] == '\0');
    *out = str_take(&s);
    url_free(url);
    drop(&d);
    return rc;
}

static const char *const payloads[] = {
    "http://evil.io",
    "https://evil.io/x",
    "//evil.io",
    "///evil.io",
    "\\\\\\\\evil.io",
    "/\\\\evil.io",
    "@evil.io",
    ":pw@evil.io",
    "user:pw@evil.io/",
    ".evil.io",
    ":8080",
    ":8080/x",
    "evil.io:80#",
    "#@evil.io/",
    "?@evil.io/",
    "#",
    "?",
    "&x=1",
    "x?y=z",
    "x#y",
    "../x",
    "../../admin",
    "..",
    ".",
    "...",
    "..\\\\x",
    "%2e%2e",
    "%2e%2e%2fx",
    "%2F",
    "%00",
    "\\u0000",
    "\\r\\nHost: evil.io",
    "\\n",
    "\\t",
    " ",
    "  x",
    "%0d%0aX: y",
    ";x",
    ";/..",
    "[::1]",
    "\\u00e9",
    "\\u2024\\u2024",
    "\\uff0f\\uff0f",
    "x y",
    "",
    "\\u007f",
    "0x7f000001",
    "2130706433",
    "$${secret.x}",
    "${secret.x}",
    "'\\\"<>`{}|^",
};

static void url__lets_no_value_move_the_host_or_the_path(void **state)
{
    (void)state;
    static const char prefix[] = "https://cd.acme.io/hook/";
    for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        char *out;
        int rc = fill("https://cd.acme.io/hook/${event:/v}/end?q=${event:/v}",
                      payloads[i], &out);
        if (rc != 0) {
            assert_int_equal(rc, -EBADMSG);
            free(out);
            continue;
        }
        assert_memory_equal(out, prefix, sizeof(prefix) - 1);
        size_t segment =
            strspn(out + sizeof(prefix) - 1,
                   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                   "-._~%");
        const char *rest = out + sizeof(prefix) - 1 + segment;
        if (strncmp(rest, "/end?q=", 7) != 0 ||
            strpbrk(rest + 7, "/?#&@:\\ ;[]") != NULL) {
            fail_msg("%s became %s", payloads[i], out);
        }
        free(out);
    }
}

static void url__refuses_segments_of_dots_and_of_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *value;
        int rc;
    } cases[] = {
        {"https://cd/${event:/v}", ".", -EBADMSG},
        {"https://cd/${event:/v}", "..", -EBADMSG},
        {"https://cd/${event:/v}${event:/v}", ".", -EBADMSG},
        {"https://cd/.${event:/v}/x", ".", -EBADMSG},
        {"https://cd/a/${event:/v}", "", -EBADMSG},
        {"https://cd/${event:/v}/a", "", -EBADMSG},
        {"https://cd/a//b/${event:/v}", "x", 0},
        {"https://cd/a//b/${event:/v}", "", -EBADMSG},
        {"https://cd/v${event:/v}", "", 0},
        {"https://cd/x?a=${event:/v}", "..", 0},
        {"https://cd/x?a=${event:/v}", "", 0},
        {"https://cd/${event:/v}", "...", 0},
        {"https://cd/v${event:/v}", "..", 0},
        {"https://cd?a=${event:/v}", "x", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *out;
        int rc = fill(cases[i].url, cases[i].value, &out);
        if (rc != cases[i].rc) {
            fail_msg("%s with '%s': %d (%s)", cases[i].url, cases[i].value, rc, out);
        }
        free(out);
    }
}

static void url__bounds_its_length(void **state)
{
    (void)state;
    char value[301];
    char *out;
    memset(value, 'x', 300);
    value[300] = '\0';
    assert_int_equal(fill("https://cd/${event:/v}", value, &out), -EINVAL);
    free(out);
    value[300 - 11] = '\0';
    assert_int_equal(fill("https://cd/${event:/v}", value, &out), 0);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* wire/http_address: the edges of each block. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "wire/http_address.h"

#include <stdbool.h>

static void check(const char *const *addresses, bool public_only, bool refused)
{
    for (; *addresses != NULL; addresses++) {
        if ((http_address_refused(*addresses, public_only) != NULL) != refused) {
            fail_msg("%s is %s", *addresses, refused ? "allowed" : "refused");
        }
    }
}

static void http_address__some_are_always_refused(void **state)
{
    static const char *const addresses[] = {"169.254.0.0",
                                            "169.254.169.254",
                                            "169.254.255.255",
                                            "0.0.0.0",
                                            "0.255.255.255",
                                            "100.100.100.200",
                                            "168.63.129.16",
                                            "224.0.0.1",
                                            "239.255.255.255",
                                            "240.0.0.1",
                                            "255.255.255.255",
                                            "::",
                                            "fe80::1",
                                            "febf:ffff::1",
                                            "ff02::1",
                                            "fd00:ec2::254",
                                            "fd20:ce::254",
                                            "::ffff:169.254.169.254",
                                            "::169.254.169.254",
                                            "64:ff9b::a9fe:a9fe",
                                            "::ffff:0.0.0.0",
                                            "not an address",
                                            "",
                                            NULL};
    (void)state;
    check(addresses, false, true);
    check(addresses, true, true);
}

static void http_address__private_ones_are_refused_if_asked(void **state)
{
    static const char *const addresses[] = {"127.0.0.1",
                                            "127.255.255.255",
                                            "10.0.0.0",
                                            "10.255.255.255",
                                            "172.16.0.0",
                                            "172.31.255.255",
                                            "192.168.0.0",
                                            "192.168.255.255",
                                            "100.64.0.0",
                                            "100.127.255.255",
                                            "198.18.0.1",
                                            "192.0.0.1",
                                            "::1",
                                            "fc00::1",
                                            "fdff::1",
                                            "fec0::1",
                                            "::ffff:127.0.0.1",
                                            "::ffff:10.1.2.3",
                                            "fd00:ec2::1",
                                            "::127.0.0.1",
                                            "64:ff9b::7f00:1",
                                            "::ffff:100.64.0.1",
                                            NULL};
    (void)state;
    check(addresses, false, false);
    check(addresses, true, true);
}

static void http_address__their_neighbours_are_allowed(void **state)
{
    static const char *const addresses[] = {"169.253.255.255",
                                            "169.255.0.0",
                                            "1.0.0.0",
                                            "9.255.255.255",
                                            "11.0.0.0",
                                            "126.255.255.255",
                                            "128.0.0.0",
                                            "172.15.255.255",
                                            "172.32.0.0",
                                            "192.167.255.255",
                                            "192.169.0.0",
                                            "100.63.255.255",
                                            "100.128.0.0",
                                            "223.255.255.255",
                                            "168.63.129.17",
                                            "192.0.1.0",
                                            "198.17.255.255",
                                            "198.20.0.0",
                                            "2001:db8::1",
                                            "2606:4700::1111",
                                            "fbff::1",
                                            "fe00::1",
                                            "::ffff:93.1.2.3",
                                            "64:ff9b::808:808",
                                            NULL};
    (void)state;
    check(addresses, false, false);
    check(addresses, true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

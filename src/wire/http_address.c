#include "wire/http_address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct block {
    uint8_t prefix[16];
    int bits;
    bool always; /* else only with public_only */
    const char *what;
};

static const struct block blocks4[] = {
    {{169, 254}, 16, true, "link-local"},
    {{100, 100, 100, 200}, 32, true, "cloud metadata"},
    {{168, 63, 129, 16}, 32, true, "cloud metadata"},
    {{0}, 8, true, "not a host"},
    {{224}, 4, true, "multicast"},
    {{240}, 4, true, "reserved or broadcast"},
    {{127}, 8, false, "loopback"},
    {{10}, 8, false, "private"},
    {{172, 16}, 12, false, "private"},
    {{192, 168}, 16, false, "private"},
    {{100, 64}, 10, false, "carrier-grade NAT"},
    {{192, 0, 0}, 24, false, "reserved"},
    {{198, 18}, 15, false, "reserved"},
};

static const struct block blocks6[] = {
    {{0xfe, 0x80}, 10, true, "link-local"},
    {{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}, 128, true, "cloud metadata"},
    {{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54}, 128, true, "cloud metadata"},
    {{0xfd, 0x00, 0x00, 0xc1, [12] = 0xa9, 0xfe, 0xa9, 0xfe},
     128,
     true,
     "cloud metadata"},
    {{0xff}, 8, true, "multicast"},
    {{0}, 128, true, "not a host"},
    {{[15] = 1}, 128, false, "loopback"},
    {{0xfc}, 7, false, "unique-local"},
    {{0xfe, 0xc0}, 10, false, "site-local"},
};

/* IPv6 prefixes of 96 bits that carry an IPv4 address in their last four bytes. */
static const uint8_t carriers[][12] = {
    {[10] = 0xff, 0xff},      /* ::ffff:a.b.c.d, mapped */
    {0},                      /* ::a.b.c.d, compatible */
    {0x00, 0x64, 0xff, 0x9b}, /* 64:ff9b::a.b.c.d, NAT64 */
};

static bool in_block(const uint8_t *bytes, const struct block *block)
{
    int whole = block->bits / 8;
    int rest = block->bits % 8;
    if (memcmp(bytes, block->prefix, (size_t)whole) != 0) {
        return false;
    }
    return rest == 0 || ((bytes[whole] ^ block->prefix[whole]) >> (8 - rest)) == 0;
}

static const char *judge(const uint8_t *bytes, const struct block *table, size_t n,
                         bool public_only)
{
    for (size_t i = 0; i < n; i++) {
        if ((table[i].always || public_only) && in_block(bytes, &table[i])) {
            return table[i].what;
        }
    }
    return NULL;
}

static const char *judge4(const uint8_t bytes[4], bool public_only)
{
    return judge(bytes, blocks4, sizeof(blocks4) / sizeof(blocks4[0]), public_only);
}

static const char *judge6(const uint8_t bytes[16], bool public_only)
{
    static const uint8_t loopback[16] = {[15] = 1};
    if (memcmp(bytes, loopback, sizeof(loopback)) != 0) { /* ::1 is not 0.0.0.1 */
        for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
            if (memcmp(bytes, carriers[i], sizeof(carriers[i])) == 0) {
                return judge4(bytes + 12, public_only);
            }
        }
    }
    return judge(bytes, blocks6, sizeof(blocks6) / sizeof(blocks6[0]), public_only);
}

const char *http_address_refused(const char *text, bool public_only)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET, text, bytes) == 1) {
        return judge4(bytes, public_only);
    }
    if (inet_pton(AF_INET6, text, bytes) == 1) {
        return judge6(bytes, public_only);
    }
    return "not an internet address";
}

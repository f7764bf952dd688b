#include "event/traceparent.h"

#include <stdio.h>
#include <string.h>

#include "wire/crypto.h"

enum { TRACE_AT = 3, TRACE_LEN = 32, PARENT_AT = 36, PARENT_LEN = 16, FLAGS_AT = 53 };

static bool is_hex(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f'))) {
            return false;
        }
    }
    return true;
}

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '0') {
            return false;
        }
    }
    return true;
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

bool traceparent_parse(const char *bytes, size_t len, char out[TRACEPARENT_MAX])
{
    if (len < TRACEPARENT_LEN || !is_hex(bytes, 2) || memcmp(bytes, "ff", 2) == 0) {
        return false;
    }
    bool ours = memcmp(bytes, "00", 2) == 0;
    if (len > TRACEPARENT_LEN && (ours || bytes[TRACEPARENT_LEN] != '-')) {
        return false;
    }
    if (bytes[2] != '-' || bytes[TRACE_AT + TRACE_LEN] != '-' ||
        bytes[PARENT_AT + PARENT_LEN] != '-' || !is_hex(bytes + TRACE_AT, TRACE_LEN) ||
        !is_hex(bytes + PARENT_AT, PARENT_LEN) || !is_hex(bytes + FLAGS_AT, 2)) {
        return false;
    }
    if (is_zero(bytes + TRACE_AT, TRACE_LEN) || is_zero(bytes + PARENT_AT, PARENT_LEN)) {
        return false;
    }
    memcpy(out, bytes, TRACEPARENT_LEN);
    memcpy(out, "00", 2);
    out[FLAGS_AT] = '0';
    out[FLAGS_AT + 1] = (char)('0' + (hex_digit(bytes[FLAGS_AT + 1]) & 3));
    out[TRACEPARENT_LEN] = '\0';
    return true;
}

static void put_hex(char *out, const unsigned char *bytes, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = hex[bytes[i] >> 4];
        out[2 * i + 1] = hex[bytes[i] & 15];
    }
}

void traceparent_child(const char *parent, char out[TRACEPARENT_MAX])
{
    static const char fresh[] = "00-00000000000000000000000000000000-0000000000000000-01";
    unsigned char random[(PARENT_LEN + TRACE_LEN) / 2];
    bool known = *parent != '\0';
    crypto_random(random,
                  known ? PARENT_LEN / 2 : sizeof(random)); /* one call: it costs */
    memcpy(out, known ? parent : fresh, TRACEPARENT_LEN);
    out[TRACEPARENT_LEN] = '\0';
    put_hex(out + PARENT_AT, random, PARENT_LEN / 2);
    if (!known) {
        put_hex(out + TRACE_AT, random + PARENT_LEN / 2, TRACE_LEN / 2);
    }
    if (is_zero(out + PARENT_AT, PARENT_LEN)) {
        out[PARENT_AT] = '1'; /* zero would be invalid */
    }
    if (is_zero(out + TRACE_AT, TRACE_LEN)) {
        out[TRACE_AT] = '1';
    }
}

#include "event/trigger.h"

#include <stdio.h>

static void add_text(const char *text, struct str *out)
{
    for (; text != NULL && *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c > 0x20 && c < 0x7f && c != '%') {
            str_addc(out, *text);
        } else {
            str_add_percent(out, text, 1);
        }
    }
}

void trigger_add_key(const struct event *ev, const char *target, struct str *out)
{
    str_add(out, target);
    str_addc(out, '/');
    add_text(ev->fields[EVENT_ID], out);
    if (ev->again[0] != '\0') {
        str_addc(out, '/');
        add_text(ev->again, out);
    }
}

void trigger_id(const struct event *ev, const char *target, char hex[CRYPTO_HEX128_LEN])
{
    const char *const texts[] = {target, ev->identity};
    crypto_hash128_texts(texts, 2, hex);
}

void trigger_name(const struct event *ev, const char *target, char name[TRIGGER_NAME_MAX])
{
    char hex[CRYPTO_HEX128_LEN];
    trigger_id(ev, target, hex);
    snprintf(name, TRIGGER_NAME_MAX, "sluice-%s", hex);
}

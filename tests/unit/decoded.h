/* Decoding one record in a test: decode, look, drop. Include after cmocka.h. */
#ifndef TESTS_DECODED_H
#define TESTS_DECODED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "event/event.h"

struct decoded {
    struct event ev;
    struct event_reason reason;
    enum event_outcome outcome;
};

/* The value is copied without a NUL behind it, so that the address sanitizer sees a read
 * past its end. */
static struct decoded decode_record(const char *value, size_t len,
                                    const struct event_header *headers, size_t n)
{
    struct decoded d;
    char *copy = value != NULL ? malloc(len > 0 ? len : 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, value, len);
    }
    struct event_input input = {.key = "k1",
                                .key_len = 2,
                                .value = copy,
                                .value_len = len,
                                .headers = headers,
                                .header_count = n,
                                .topic = "ci",
                                .partition = 3,
                                .offset = 42};
    memset(&d, 0xa5, sizeof(d));
    d.outcome = event_decode(&input, &d.ev, &d.reason);
    free(copy);
    return d;
}

static inline struct decoded decode_text(const char *value)
{
    return decode_record(value, strlen(value), NULL, 0);
}

static inline void drop(struct decoded *d)
{
    event_release(&d->ev);
}

static inline void expect_outcome(const struct decoded *d, enum event_outcome outcome,
                                  const char *word)
{
    if (d->outcome != outcome || strcmp(d->reason.word, word) != 0) {
        fail_msg("outcome %d '%s' (%s), wanted %d '%s'", d->outcome, d->reason.word,
                 d->reason.text, outcome, word);
    }
}

/* The record must be refused or skipped with this word, and a text that holds `says`. */
static inline void expect_not_ok(const char *value, enum event_outcome outcome,
                                 const char *word, const char *says)
{
    struct decoded d = decode_text(value);
    expect_outcome(&d, outcome, word);
    if (strstr(d.reason.text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", d.reason.text, says);
    }
    drop(&d);
}

static inline void expect_field(const struct decoded *d, enum event_field field,
                                const char *text)
{
    const char *have = d->ev.fields[field];
    if ((have == NULL) != (text == NULL) || (text != NULL && strcmp(have, text) != 0)) {
        fail_msg("%s is '%s', wanted '%s'", event_field_name(field),
                 have != NULL ? have : "(absent)", text != NULL ? text : "(absent)");
    }
}

/* The document as JSON, owned. */
static inline char *doc_text(const struct decoded *d)
{
    struct str out;
    str_init(&out);
    json_print(d->ev.doc, &out);
    return str_take(&out);
}

#endif

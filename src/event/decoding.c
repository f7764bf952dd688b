#include "event/decoding.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/now.h"
#include "event/redact.h"

void decoding_fault(struct decoding *d, const char *word, const char *pointer,
                    const char *what)
{
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof(text), "%s %s", *pointer != '\0' ? pointer : "the document",
             what);
    if (d->faults++ == 0) {
        snprintf(d->reason->word, sizeof(d->reason->word), "%s", word);
        memcpy(d->reason->text, text, sizeof(text));
    }
    if (d->fn != NULL) {
        d->fn(d->arg, pointer, text);
    }
}

enum event_outcome decoding_skip(struct decoding *d, const char *word, const char *what)
{
    if (d->faults > 0) {
        return EVENT_BAD;
    }
    snprintf(d->reason->word, sizeof(d->reason->word), "%s", word);
    snprintf(d->reason->text, sizeof(d->reason->text), "%s", what);
    return EVENT_NOT_OURS;
}

enum event_outcome decoding_end(const struct decoding *d)
{
    return d->faults == 0 ? EVENT_OK : EVENT_BAD;
}

bool decoding_has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f) {
            return true;
        }
        if (c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0) {
            return true;
        }
    }
    return false;
}

void decoding_put(struct decoding *d, enum event_field field, const char *text,
                  size_t len, const char *pointer)
{
    size_t max = field == EVENT_ID ? EVENT_ID_MAX : EVENT_FIELD_MAX;
    struct str clean;
    if (d->ev->fields[field] != NULL) {
        return;
    }
    str_init(&clean);
    if (redact_url_users(text, len, &clean)) {
        text = clean.data;
        len = clean.len;
    }
    if (len > max) {
        decoding_fault(d, "invalid-field", pointer, "is too long");
    } else if (decoding_has_control(text, len)) {
        decoding_fault(d, "invalid-field", pointer, "holds a control character");
    } else {
        d->ev->fields[field] = mem_strndup(text, len);
    }
    str_release(&clean);
}

static bool put_scalar(struct decoding *d, enum event_field field, struct json_object *at,
                       const char *pointer, enum decoding_kind kind)
{
    if (json_object_is_type(at, json_type_string)) {
        decoding_put(d, field, json_object_get_string(at),
                     (size_t)json_object_get_string_len(at), pointer);
        return true;
    }
    if (kind == DECODING_NUMBER && json_object_is_type(at, json_type_int)) {
        char text[32];
        int n =
            snprintf(text, sizeof(text), "%lld", (long long)json_object_get_int64(at));
        decoding_put(d, field, text, (size_t)n, pointer);
        return true;
    }
    return false;
}

void decoding_take(struct decoding *d, enum event_field field, struct json_object *doc,
                   const char *pointer, enum decoding_kind kind)
{
    struct json_object *at = json_at(doc, pointer);
    if (at != NULL && !put_scalar(d, field, at, pointer, kind)) {
        decoding_fault(d, "invalid-field", pointer,
                       kind == DECODING_TEXT ? "must be a string"
                                             : "must be a string or an integer");
    }
}

void decoding_take_loose(struct decoding *d, enum event_field field,
                         struct json_object *doc, const char *pointer)
{
    struct json_object *at = json_at(doc, pointer);
    if (at != NULL) {
        put_scalar(d, field, at, pointer, DECODING_NUMBER);
    }
}

void decoding_require(struct decoding *d, enum event_field field, const char *pointer)
{
    const char *text = d->ev->fields[field];
    if (text == NULL || *text == '\0') {
        decoding_fault(d, "missing-field", pointer, "is missing");
    }
}

void decoding_read_time(struct decoding *d, const char *pointer)
{
    const char *text = d->ev->fields[EVENT_TIME];
    if (text != NULL && now_parse_rfc3339(text, &d->ev->time_ms) != 0) {
        decoding_fault(d, "invalid-field", pointer, "is no RFC 3339 time");
    }
}

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words != NULL && strcasecmp(word, *words) != 0) {
        words++;
    }
    return *words != NULL;
}

enum decoding_outcome_word decoding_outcome(struct json_object *doc, const char *pointer)
{
    static const char *const success[] = {"success", "succeeded", "successful", "passed",
                                          NULL};
    static const char *const failure[] = {"failure", "failed",  "fail",      "error",
                                          "errored", "cancel",  "cancelled", "canceled",
                                          "aborted", "timeout", "skipped",   NULL};
    if (json_at(doc, pointer) == NULL) {
        return DECODING_ABSENT;
    }
    const char *word = json_string_at(doc, pointer, NULL);
    if (word == NULL) {
        return DECODING_OTHER;
    }
    if (is_one_of(word, success)) {
        return DECODING_SUCCESS;
    }
    return is_one_of(word, failure) ? DECODING_FAILURE : DECODING_OTHER;
}

#include "event/cloudevents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "event/traceparent.h"
#include "wire/crypto.h"

static const char media_prefix[] = "application/cloudevents";

enum { MEDIA_PREFIX_LEN = sizeof(media_prefix) - 1, MEDIA_MAX = 128 };

static const struct {
    const char *header;
    const char *pointer;
    enum event_field field; /* EVENT_FIELD_COUNT: none of ours */
    bool required;
} attributes[] = {
    {"ce_specversion", "/specversion", EVENT_FIELD_COUNT, true},
    {"ce_id", "/id", EVENT_ID, true},
    {"ce_source", "/source", EVENT_SOURCE, true},
    {"ce_type", "/type", EVENT_TYPE, true},
    {"ce_time", "/time", EVENT_TIME, false},
};
enum { ATTRIBUTE_COUNT = sizeof(attributes) / sizeof(attributes[0]) };

const struct event_header *cloudevents_header(const struct event_input *input,
                                              const char *name, bool *again)
{
    const struct event_header *first = NULL;
    *again = false;
    for (size_t i = 0; i < input->header_count; i++) {
        if (strcmp(input->headers[i].name, name) == 0) {
            *again = first != NULL;
            first = first != NULL ? first : &input->headers[i];
        }
    }
    return first;
}

/* ---- recognising ---- */

/* What follows the media type, without case: "", "+json", "-batch+json". */
static enum cloudevents_mode mode_of_suffix(const char *suffix, size_t len)
{
    size_t n = 0;
    while (n < len && suffix[n] != ';' && suffix[n] != ' ' && suffix[n] != '\t') {
        n++;
    }
    bool json = n == 0 || (n == 5 && strncasecmp(suffix, "+json", 5) == 0);
    return json ? CLOUDEVENTS_STRUCTURED : CLOUDEVENTS_UNSUPPORTED;
}

enum cloudevents_mode cloudevents_mode(const struct event_input *input)
{
    bool again;
    const struct event_header *type = cloudevents_header(input, "content-type", &again);
    if (type != NULL && type->value != NULL && type->len >= MEDIA_PREFIX_LEN &&
        strncasecmp(type->value, media_prefix, MEDIA_PREFIX_LEN) == 0) {
        return mode_of_suffix(type->value + MEDIA_PREFIX_LEN,
                              type->len - MEDIA_PREFIX_LEN);
    }
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        if (attributes[i].required &&
            cloudevents_header(input, attributes[i].header, &again) != NULL) {
            return CLOUDEVENTS_BINARY;
        }
    }
    return CLOUDEVENTS_NONE;
}

bool cloudevents_is(struct json_object *doc)
{
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        if (attributes[i].required &&
            json_string_at(doc, attributes[i].pointer, NULL) == NULL) {
            return false;
        }
    }
    return true;
}

/* ---- attributes ---- */

static void check_specversion(struct decoding *d, const char *text, size_t len,
                              const char *pointer)
{
    if (len != 3 || memcmp(text, "1.0", 3) != 0) {
        decoding_fault(d, "unsupported-version", pointer, "is not 1.0");
    }
}

/* JSON, by the rule of the spec: application/json, text/json or any +json. */
static bool is_json_media(const char *text, size_t len)
{
    char media[MEDIA_MAX];
    size_t n = 0;
    while (n < len && n < MEDIA_MAX - 1 && text[n] != ';' && text[n] != ' ') {
        media[n] = text[n];
        n++;
    }
    media[n] = '\0';
    return strcasecmp(media, "application/json") == 0 ||
           strcasecmp(media, "text/json") == 0 ||
           (n > 5 && strcasecmp(media + n - 5, "+json") == 0);
}

static void check_media(struct decoding *d, const char *text, size_t len,
                        const char *pointer)
{
    if (!is_json_media(text, len)) {
        decoding_fault(d, "unsupported-format", pointer, "is no JSON media type");
    }
}

static void take_header(struct decoding *d, size_t i)
{
    char pointer[32];
    bool again;
    const struct event_header *h =
        cloudevents_header(d->input, attributes[i].header, &again);
    snprintf(pointer, sizeof(pointer), "header %s", attributes[i].header);
    if (again) {
        decoding_fault(d, "invalid-field", pointer, "is there twice");
    } else if (h == NULL || h->value == NULL || h->len == 0) {
        if (h != NULL || attributes[i].required) {
            decoding_fault(d, "missing-field", pointer, "is missing or empty");
        }
    } else if (!text_is_utf8(h->value, h->len)) {
        decoding_fault(d, "bad-utf8", pointer, "is not UTF-8");
    } else if (attributes[i].field == EVENT_FIELD_COUNT) {
        check_specversion(d, h->value, h->len, pointer);
    } else {
        decoding_put(d, attributes[i].field, h->value, h->len, pointer);
    }
}

void cloudevents_take_headers(struct decoding *d)
{
    bool again;
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        take_header(d, i);
    }
    decoding_read_time(d, "header ce_time");
    const struct event_header *media =
        cloudevents_header(d->input, "content-type", &again);
    if (again) {
        decoding_fault(d, "invalid-field", "header content-type", "is there twice");
    } else if (media != NULL && media->value != NULL) {
        check_media(d, media->value, media->len, "header content-type");
    }
    const struct event_header *trace =
        cloudevents_header(d->input, "ce_traceparent", &again);
    if (trace != NULL && trace->value != NULL && d->ev->traceparent[0] == '\0') {
        traceparent_parse(trace->value, trace->len, d->ev->traceparent);
    }
}

static void take_member(struct decoding *d, struct json_object *envelope, size_t i)
{
    const char *pointer = attributes[i].pointer;
    size_t faults = d->faults;
    if (attributes[i].field != EVENT_FIELD_COUNT) {
        decoding_take(d, attributes[i].field, envelope, pointer, DECODING_TEXT);
        if (attributes[i].required && d->faults == faults) {
            decoding_require(d, attributes[i].field, pointer);
        }
        return;
    }
    size_t len = 0;
    const char *text = json_string_at(envelope, pointer, &len);
    if (text == NULL) {
        decoding_fault(d, "missing-field", pointer, "is missing or no string");
    } else {
        check_specversion(d, text, len, pointer);
    }
}

void cloudevents_take_envelope(struct decoding *d, struct json_object *envelope)
{
    size_t len = 0;
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        take_member(d, envelope, i);
    }
    decoding_read_time(d, "/time");
    const char *media = json_string_at(envelope, "/datacontenttype", &len);
    if (media != NULL) {
        check_media(d, media, len, "/datacontenttype");
    }
    const char *trace = json_string_at(envelope, "/traceparent", &len);
    if (trace != NULL && d->ev->traceparent[0] == '\0') {
        traceparent_parse(trace, len, d->ev->traceparent);
    }
}

/* ---- data ---- */

static struct json_object *decode_base64(struct decoding *d, struct json_object *member)
{
    static const char pointer[] = "/data_base64";
    struct json_object *doc = NULL;
    struct err err = ERR_INIT;
    if (!json_object_is_type(member, json_type_string)) {
        decoding_fault(d, "invalid-field", pointer, "must be a string");
        return NULL;
    }
    const char *text = json_object_get_string(member);
    unsigned char *bytes = mem_alloc(3 * (strlen(text) / 4) + 3);
    int n = crypto_unbase64(text, bytes);
    if (n < 0) {
        decoding_fault(d, "invalid-field", pointer, "is no base64");
    } else if (json_parse((const char *)bytes, (size_t)n, &doc, &err) != 0) {
        doc = NULL;
        decoding_fault(d, "bad-json", pointer, "holds bytes that are no JSON");
    }
    free(bytes);
    return doc;
}

struct json_object *cloudevents_data(struct decoding *d, struct json_object *envelope)
{
    struct json_object *data = json_at(envelope, "/data");
    struct json_object *base64 = json_at(envelope, "/data_base64");
    if (data != NULL && base64 != NULL) {
        decoding_fault(d, "invalid-field", "/data_base64", "stands beside /data");
        return NULL;
    }
    if (base64 != NULL) {
        return decode_base64(d, base64);
    }
    if (data == NULL) {
        decoding_fault(d, "missing-field", "/data", "is missing");
        return NULL;
    }
    return json_object_get(data);
}

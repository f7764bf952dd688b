/* Design: a record is recognised from the outside in: headers first (CloudEvents), then
 * the document. Each format has a file that takes its fields; what they share is in
 * decoding. */
#include "event/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "event/cdevents.h"
#include "event/cloudevents.h"
#include "event/devtron.h"
#include "event/redact.h"
#include "event/sluice.h"
#include "event/traceparent.h"
#include "wire/crypto.h"

const char *event_format_name(enum event_format format)
{
    static const char *const names[] = {"sluice", "devtron", "cdevents", "cloudevents"};
    return names[format];
}

static void set_hashes(struct event *ev)
{
    static const enum event_field deploy[] = {EVENT_APP,      EVENT_REPO,  EVENT_BRANCH,
                                              EVENT_COMMIT,   EVENT_IMAGE, EVENT_DIGEST,
                                              EVENT_PIPELINE, EVENT_RUN};
    enum { DEPLOY_COUNT = sizeof(deploy) / sizeof(deploy[0]) };
    const char *texts[DEPLOY_COUNT];
    const char *source = ev->fields[EVENT_SOURCE];
    texts[0] = source != NULL ? source : "";
    texts[1] = ev->fields[EVENT_ID];
    crypto_hash128_texts(texts, 2, ev->identity);
    for (size_t i = 0; i < DEPLOY_COUNT; i++) {
        texts[i] = ev->fields[deploy[i]];
    }
    crypto_hash128_texts(texts, DEPLOY_COUNT, ev->content);
}

static void take_key(struct event *ev, const struct event_input *input)
{
    if (input->key != NULL && input->key_len <= EVENT_FIELD_MAX &&
        text_is_utf8(input->key, input->key_len) &&
        !decoding_has_control(input->key, input->key_len)) {
        ev->fields[EVENT_KEY] = mem_strndup(input->key, input->key_len);
    }
}

static void take_traceparent(struct event *ev, const struct event_input *input)
{
    bool again;
    const struct event_header *h = cloudevents_header(input, "traceparent", &again);
    if (h != NULL && h->value != NULL) {
        traceparent_parse(h->value, h->len, ev->traceparent);
    }
}

/* The pointer out of json_parse's sentence: ... at "/a/b", byte 7 */
static void fault_of_json(struct decoding *d, const struct err *err)
{
    char pointer[ERR_TEXT_MAX] = "";
    const char *from = strstr(err->text, " at \"");
    const char *to = from != NULL ? strstr(from + 5, "\", byte ") : NULL;
    if (to != NULL) {
        snprintf(pointer, sizeof(pointer), "%.*s", (int)(to - from - 5), from + 5);
    }
    char what[ERR_TEXT_MAX];
    snprintf(what, sizeof(what), "cannot be read: %.400s", err->text);
    bool utf8 = text_starts(err->text, "invalid UTF-8");
    decoding_fault(d, utf8 ? "bad-utf8" : "bad-json", pointer, what);
}

static struct json_object *parse(struct decoding *d)
{
    struct json_object *doc = NULL;
    struct err err = ERR_INIT;
    const struct event_input *input = d->input;
    if (input->value_len > EVENT_VALUE_MAX) {
        decoding_fault(d, "too-large", "", "is larger than an event may be");
        return NULL;
    }
    if (json_parse(input->value, input->value_len, &doc, &err) != 0) {
        fault_of_json(d, &err);
        return NULL;
    }
    if (!json_object_is_type(doc, json_type_object)) {
        decoding_fault(d, "invalid-field", "", "is no JSON object");
        json_free(doc);
        return NULL;
    }
    return doc;
}

/* The document of a bare event, or the data of a CloudEvent. */
static enum event_outcome decode_document(struct decoding *d, struct json_object *doc)
{
    struct event *ev = d->ev;
    bool bare = ev->format != EVENT_CLOUDEVENTS;
    const char *type = ev->fields[EVENT_TYPE];
    if (!json_object_is_type(doc, json_type_object)) {
        decoding_fault(d, "invalid-field", bare ? "" : "/data", "is no JSON object");
        return EVENT_BAD;
    }
    if (cdevents_is(doc)) {
        ev->format = bare ? EVENT_CDEVENTS : ev->format;
        return cdevents_decode(d, doc);
    }
    if (!bare && type != NULL && cdevents_is_type(type)) {
        decoding_fault(d, "invalid-field", "/context",
                       "is missing, though the type is one of CDEvents");
        return EVENT_BAD;
    }
    if (devtron_is(doc)) {
        ev->format = bare ? EVENT_DEVTRON : ev->format;
        return devtron_decode(d, doc);
    }
    return sluice_decode(d, doc);
}

/* Structured mode: the envelope gives way to its data. */
static struct json_object *unwrap(struct decoding *d, struct json_object *envelope)
{
    cloudevents_take_envelope(d, envelope);
    struct json_object *data = cloudevents_data(d, envelope);
    json_free(envelope);
    return data;
}

static enum event_outcome decode_value(struct decoding *d)
{
    struct event *ev = d->ev;
    enum cloudevents_mode mode = cloudevents_mode(d->input);
    if (mode == CLOUDEVENTS_UNSUPPORTED) {
        decoding_fault(d, "unsupported-format", "header content-type",
                       "names an event format that is not understood");
        return EVENT_BAD;
    }
    if (mode == CLOUDEVENTS_BINARY) {
        ev->format = EVENT_CLOUDEVENTS;
        cloudevents_take_headers(d);
    }
    ev->doc = parse(d);
    if (ev->doc == NULL) {
        return EVENT_BAD;
    }
    if (mode == CLOUDEVENTS_STRUCTURED ||
        (mode == CLOUDEVENTS_NONE && cloudevents_is(ev->doc))) {
        ev->format = EVENT_CLOUDEVENTS;
        ev->doc = unwrap(d, ev->doc);
        if (ev->doc == NULL) {
            return EVENT_BAD;
        }
    }
    enum event_outcome outcome = decode_document(d, ev->doc);
    if (redact_suspects(d->input->value, d->input->value_len)) {
        redact_document(ev->doc);
    }
    return outcome;
}

static void set_id_of_last_resort(struct event *ev, const struct event_input *input)
{
    char text[EVENT_ID_MAX + 1];
    if (ev->fields[EVENT_ID] == NULL && input->topic != NULL) {
        snprintf(text, sizeof(text), "%s/%d/%lld", input->topic, input->partition,
                 (long long)input->offset);
        ev->fields[EVENT_ID] = mem_strdup(text);
    }
}

static enum event_outcome decode(struct decoding *d)
{
    enum event_outcome outcome;
    *d->ev = (struct event){.format = EVENT_SLUICE};
    d->reason->word[0] = '\0';
    d->reason->text[0] = '\0';
    take_key(d->ev, d->input);
    take_traceparent(d->ev, d->input);
    if (d->input->value == NULL) {
        outcome = decoding_skip(d, "tombstone", "the record has no value");
    } else {
        outcome = decode_value(d);
    }
    if (outcome == EVENT_OK && d->faults > 0) {
        outcome = EVENT_BAD;
    }
    if (outcome == EVENT_BAD) {
        set_id_of_last_resort(d->ev, d->input);
    }
    set_hashes(d->ev);
    return outcome;
}

enum event_outcome event_decode(const struct event_input *input, struct event *ev,
                                struct event_reason *reason)
{
    struct decoding d = {.input = input, .ev = ev, .reason = reason};
    return decode(&d);
}

void event_release(struct event *ev)
{
    for (int i = 0; i < EVENT_FIELD_COUNT; i++) {
        free(ev->fields[i]);
        ev->fields[i] = NULL;
    }
    json_free(ev->doc);
    ev->doc = NULL;
}

void event_send_again(struct event *ev, const char *task)
{
    const char *texts[] = {ev->identity, task};
    char identity[CRYPTO_HEX128_LEN];
    crypto_hash128_texts(texts, 2, identity);
    memcpy(ev->identity, identity, sizeof ev->identity);
    snprintf(ev->again, sizeof ev->again, "%s", task);
}

size_t event_validate(const struct event_input *input,
                      void (*fn)(void *arg, const char *pointer, const char *text),
                      void *arg)
{
    struct event ev;
    struct event_reason reason;
    struct decoding d = {.input = input,
                         .ev = &ev,
                         .reason = &reason,
                         .fn = fn,
                         .arg = arg};
    decode(&d);
    event_release(&ev);
    return d.faults;
}

void event_redact(const char *value, size_t len, struct str *out)
{
    redact_bytes(value, len, out);
}

/* What a CI-success event says, whatever its format; no network.
 *
 * Formats understood: Sluice's flat JSON, Devtron's CiCompleteEvent, CDEvents 0.4 and 0.5
 * bare or in CloudEvents, CloudEvents on Kafka in binary and structured mode. Only an
 * explicit success is a success. Plain data: one thread at a time. */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "event/fields.h"
#include "wire/json.h"

enum event_format {
    EVENT_SLUICE,
    EVENT_DEVTRON,
    EVENT_CDEVENTS,    /* bare */
    EVENT_CLOUDEVENTS, /* whose data is any of the others */
};
const char *event_format_name(enum event_format format);

enum {
    EVENT_ID_MAX = 512,
    EVENT_AGAIN_MAX = 32,
    EVENT_FIELD_MAX = 4096,
    EVENT_VALUE_MAX = 4 * 1024 * 1024
};

/* Input: a record without Kafka. Header values may hold any bytes. */
struct event_header {
    const char *name;
    const char *value; /* NULL: null */
    size_t len;
};
struct event_input {
    const char *key;
    size_t key_len;
    const char *value; /* NULL: tombstone */
    size_t value_len;
    const struct event_header *headers;
    size_t header_count;
    /* where it stood: the id of last resort for formats that carry none */
    const char *topic;
    int partition;
    int64_t offset;
};

struct event {
    enum event_format format;
    char *fields[EVENT_FIELD_COUNT]; /* owned; NULL: absent; never with control characters
                                      */
    struct json_object
        *doc; /* owned: the document for JSON pointers (Devtron's gitOptions cut out) */
    int64_t time_ms;      /* wall clock; 0: absent */
    char traceparent[56]; /* "" when absent or invalid */
    char identity[33];    /* hash of source and id */
    char content[33]; /* hash of the deploy fields: app repo branch commit image digest
                         pipeline run */
    char again[EVENT_AGAIN_MAX]; /* "", or the task that sends it although it was
                                    triggered: event_send_again */
};

enum event_outcome {
    EVENT_OK,       /* a success: route it */
    EVENT_NOT_OURS, /* explicit failure, other type, no success word, tombstone: skip and
                       count */
    EVENT_BAD,      /* undecodable, invalid, unsupported: dead letter */
};

/* Reasons are short words for metrics ("tombstone", "failure-event", "not-success",
 * "other-type", "bad-json", "bad-utf8", "invalid-field", "missing-field",
 * "unsupported-version", "unsupported-format", "too-large"). */
struct event_reason {
    char word[32];
    char text[ERR_TEXT_MAX]; /* a sentence that names the JSON pointer; no value of a
                                field */
};

/* Decode a record.
 * ev      out: initialised; on EVENT_BAD as far as known, with "topic/partition/offset"
 * as its id when it has none. event_release in every case. Never crashes, whatever the
 * bytes; bounded CPU and memory. */
enum event_outcome event_decode(const struct event_input *input, struct event *ev,
                                struct event_reason *reason);
void event_release(struct event *ev);

/* Make it another event than the one that was triggered, once for each task: the identity
 * and the idempotency key are of both. */
void event_send_again(struct event *ev, const char *task);

/* All faults of one record, for `validate`: calls fn per fault, roughly in document
 * order. Returns their number. A record that is not ours has none. */
size_t event_validate(const struct event_input *input,
                      void (*fn)(void *arg, const char *pointer, const char *text),
                      void *arg);

/* A value for parking: the record's bytes with credentials cut out. Same bytes when there
 * were none. A value that cannot be parsed but may hold credentials (it names gitOptions,
 * or hides what it names) is replaced by its size and hash. out: appended to. */
void event_redact(const char *value, size_t len, struct str *out);

#endif

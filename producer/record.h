/* One record for Kafka, owned: key, headers, value. One thread. */
#ifndef PRODUCER_RECORD_H
#define PRODUCER_RECORD_H

#include "event/event.h"
#include "wire/kafka_producer.h"

enum { RECORD_HEADERS_MAX = 64 };

struct record {
    char *key; /* owned; NULL: none */
    struct str value;
    bool tombstone;                                  /* a null value */
    struct kafka_header headers[RECORD_HEADERS_MAX]; /* names and values are owned */
    size_t header_count;
};

void record_init(struct record *record);
void record_release(struct record *record);

/* Copies. Returns false when there are RECORD_HEADERS_MAX already. */
bool record_add_header(struct record *record, const char *name, const char *value);
bool record_has_header(const struct record *record, const char *name);

/* A new, sampled trace unless the record is in one; `parent` continues that trace when it
 * is a valid traceparent. NULL: none. */
void record_trace(struct record *record, const char *parent);

/* What a consumer would make of it. ev: event_release in every case. */
enum event_outcome record_decode(const struct record *record, struct event *ev,
                                 struct event_reason *reason);
size_t record_validate(const struct record *record,
                       void (*fn)(void *arg, const char *pointer, const char *text),
                       void *arg);

/* {"topic":..,"key":..,"headers":{..},"value":..}; the value as JSON when it is, else as
 * a string. Returns owned. */
struct json_object *record_json(const struct record *record, const char *topic);

/* Borrows everything of the record. */
struct kafka_message record_message(const struct record *record, const char *topic);

#endif

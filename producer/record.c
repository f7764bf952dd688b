#include "record.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "event/traceparent.h"

void record_init(struct record *record)
{
    memset(record, 0, sizeof *record);
    str_init(&record->value);
}

void record_release(struct record *record)
{
    for (size_t i = 0; i < record->header_count; i++) {
        free((char *)record->headers[i].name);
        free((char *)record->headers[i].value);
    }
    free(record->key);
    str_release(&record->value);
}

bool record_add_header(struct record *record, const char *name, const char *value)
{
    if (record->header_count == RECORD_HEADERS_MAX) {
        return false;
    }
    record->headers[record->header_count++] =
        (struct kafka_header){.name = mem_strdup(name),
                              .value = mem_strdup(value),
                              .len = strlen(value)};
    return true;
}

bool record_has_header(const struct record *record, const char *name)
{
    for (size_t i = 0; i < record->header_count; i++) {
        if (strcmp(record->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

void record_trace(struct record *record, const char *parent)
{
    char valid[TRACEPARENT_MAX] = "";
    char own[TRACEPARENT_MAX];
    if (record_has_header(record, "traceparent")) {
        return;
    }
    if (parent && !traceparent_parse(parent, strlen(parent), valid)) {
        valid[0] = '\0';
    }
    traceparent_child(valid, own);
    (void)record_add_header(record, "traceparent", own);
}

/* headers: room for RECORD_HEADERS_MAX. */
static struct event_input input_of(const struct record *record,
                                   struct event_header *headers)
{
    for (size_t i = 0; i < record->header_count; i++) {
        headers[i] =
            (struct event_header){record->headers[i].name, record->headers[i].value,
                                  record->headers[i].len};
    }
    return (struct event_input){
        .key = record->key,
        .key_len = record->key ? strlen(record->key) : 0,
        .value = record->tombstone ? NULL : record->value.data,
        .value_len = record->value.len,
        .headers = headers,
        .header_count = record->header_count,
        .topic = "",
    };
}

enum event_outcome record_decode(const struct record *record, struct event *ev,
                                 struct event_reason *reason)
{
    struct event_header headers[RECORD_HEADERS_MAX];
    struct event_input input = input_of(record, headers);
    return event_decode(&input, ev, reason);
}

size_t record_validate(const struct record *record,
                       void (*fn)(void *arg, const char *pointer, const char *text),
                       void *arg)
{
    struct event_header headers[RECORD_HEADERS_MAX];
    struct event_input input = input_of(record, headers);
    return event_validate(&input, fn, arg);
}

struct json_object *record_json(const struct record *record, const char *topic)
{
    struct json_object *doc = json_object_new_object();
    struct json_object *headers = json_object_new_object();
    struct json_object *value = NULL;
    for (size_t i = 0; i < record->header_count; i++) {
        json_object_object_add(headers, record->headers[i].name,
                               json_object_new_string(record->headers[i].value));
    }
    if (!record->tombstone &&
        json_parse(record->value.data, record->value.len, &value, NULL) != 0) {
        value = json_object_new_string_len(record->value.data, (int)record->value.len);
    }
    json_object_object_add(doc, "topic", json_object_new_string(topic));
    json_object_object_add(doc, "key",
                           record->key ? json_object_new_string(record->key) : NULL);
    json_object_object_add(doc, "headers", headers);
    json_object_object_add(doc, "value", value);
    return doc;
}

struct kafka_message record_message(const struct record *record, const char *topic)
{
    return (struct kafka_message){
        .topic = topic,
        .partition = -1,
        .key = record->key,
        .key_len = record->key ? strlen(record->key) : 0,
        .value = record->tombstone ? NULL : record->value.data,
        .value_len = record->value.len,
        .headers = record->headers,
        .header_count = record->header_count,
    };
}

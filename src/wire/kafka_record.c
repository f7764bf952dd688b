/* Records as we hold them: copied out of librdkafka's messages. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/kafka_lib.h"

static size_t header_bytes(const rd_kafka_headers_t *headers, size_t count)
{
    size_t bytes = 0;
    const char *name;
    const void *value;
    size_t len;
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_header_get_all(headers, i, &name, &value, &len) == 0) {
            bytes += strlen(name) + 1 + len + 1;
        }
    }
    return bytes;
}

static char *put(char **at, const void *data, size_t len)
{
    char *to = *at;
    memcpy(to, data, len);
    to[len] = '\0';
    *at += len + 1;
    return to;
}

static void copy_headers(struct kafka_record *r, const rd_kafka_headers_t *headers,
                         size_t count, char **at)
{
    const char *name;
    const void *value;
    size_t len;
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_header_get_all(headers, i, &name, &value, &len)) {
            continue;
        }
        struct kafka_header *h = &r->headers[r->header_count++];
        h->name = put(at, name, strlen(name));
        h->value = value ? put(at, value, len) : NULL;
        h->len = value ? len : 0;
    }
}

struct kafka_record *kafka_record_copy(const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers = NULL;
    size_t count = 0;
    if (rd_kafka_message_headers(m, &headers) == 0) {
        count = rd_kafka_header_cnt(headers);
    }
    struct kafka_record *r;
    size_t fixed = sizeof *r + count * sizeof(struct kafka_header);
    size_t bytes =
        fixed + m->key_len + 1 + m->len + 1 + (count ? header_bytes(headers, count) : 0);
    r = mem_alloc(bytes);
    memset(r, 0, fixed);
    r->headers = (struct kafka_header *)(r + 1);
    char *at = (char *)r + fixed;
    rd_kafka_timestamp_type_t type;
    r->offset = m->offset;
    r->timestamp_ms = rd_kafka_message_timestamp(m, &type);
    r->append_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    r->key = m->key ? put(&at, m->key, m->key_len) : NULL;
    r->key_len = m->key ? m->key_len : 0;
    r->value = m->payload ? put(&at, m->payload, m->len) : NULL;
    r->value_len = m->payload ? m->len : 0;
    copy_headers(r, headers, count, &at);
    return r;
}

void kafka_record_free(struct kafka_record *record)
{
    free(record);
}

const struct kafka_header *kafka_record_header(const struct kafka_record *record,
                                               const char *name)
{
    for (size_t i = record->header_count; i > 0; i--) {
        if (strcmp(record->headers[i - 1].name, name) == 0) {
            return &record->headers[i - 1];
        }
    }
    return NULL;
}

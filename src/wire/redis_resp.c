#include "wire/redis_resp.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <string.h>

/* redis_reader is hiredis' redisReader, redis_reply its redisReply: the casts live here.
 */

static const char evalsha_head[] = "$7\r\nEVALSHA\r\n$40\r\n";

static size_t digits(size_t n)
{
    size_t count = 1;
    while (n >= 10) {
        n /= 10;
        count++;
    }
    return count;
}

static char *put_number(char *p, size_t n)
{
    size_t len = digits(n);
    for (size_t i = len; i > 0; i--) {
        p[i - 1] = (char)('0' + n % 10);
        n /= 10;
    }
    return p + len;
}

static char *put_bytes(char *p, const void *bytes, size_t len)
{
    memcpy(p, bytes, len);
    return p + len;
}

/* "*3\r\n" or "$3\r\n" */
static char *put_count(char *p, char kind, size_t n)
{
    *p++ = kind;
    p = put_number(p, n);
    return put_bytes(p, "\r\n", 2);
}

static char *put_bulk(char *p, const char *bytes, size_t len)
{
    p = put_count(p, '$', len);
    p = put_bytes(p, bytes, len);
    return put_bytes(p, "\r\n", 2);
}

static size_t count_size(size_t n)
{
    return 1 + digits(n) + 2;
}

static size_t bulk_size(size_t len)
{
    return count_size(len) + len + 2;
}

size_t redis_resp_size(const struct redis_command *command)
{
    size_t args = command->arg_count;
    size_t size = 0;
    if (command->script) {
        args += 3;
        size += sizeof evalsha_head - 1 + REDIS_SHA_LEN + 2;
        size += bulk_size(digits(command->key_count));
    }
    size += count_size(args);
    for (size_t i = 0; i < command->arg_count; i++) {
        size += bulk_size(command->lens[i]);
    }
    return size;
}

size_t redis_resp_write(const struct redis_command *command, char *out)
{
    size_t sha_offset = 0;
    char *p = put_count(out, '*', command->arg_count + (command->script ? 3 : 0));
    if (command->script) {
        char keys[24];
        size_t len = (size_t)(put_number(keys, command->key_count) - keys);
        p = put_bytes(p, evalsha_head, sizeof evalsha_head - 1);
        sha_offset = (size_t)(p - out);
        memset(p, '0', REDIS_SHA_LEN);
        p = put_bytes(p + REDIS_SHA_LEN, "\r\n", 2);
        p = put_bulk(p, keys, len);
    }
    for (size_t i = 0; i < command->arg_count; i++) {
        p = put_bulk(p, command->args[i], command->lens[i]);
    }
    return sha_offset;
}

void redis_resp_add(struct str *out, ...)
{
    struct redis_command command = {0};
    va_list list;
    va_start(list, out);
    for (const char *arg = va_arg(list, const char *); arg;
         arg = va_arg(list, const char *)) {
        ASSERT(command.arg_count < REDIS_ARGS_MAX);
        command.args[command.arg_count] = arg;
        command.lens[command.arg_count] = strlen(arg);
        command.arg_count++;
    }
    va_end(list);
    for (size_t i = 0; i < command.arg_count; i++) {
        if (i == 0) {
            str_addf(out, "*%zu\r\n", command.arg_count);
        }
        str_addf(out, "$%zu\r\n", command.lens[i]);
        str_put(out, command.args[i], command.lens[i]);
        str_add(out, "\r\n");
    }
}

struct redis_reader *redis_reader_new(void)
{
    redisReader *reader = redisReaderCreate();
    ASSERT(reader);
    return (struct redis_reader *)reader;
}

void redis_reader_free(struct redis_reader *reader)
{
    if (reader) {
        redisReaderFree((redisReader *)reader);
    }
}

int redis_reader_feed(struct redis_reader *reader, const char *bytes, size_t len,
                      struct err *err)
{
    redisReader *r = (redisReader *)reader;
    if (r->len - r->pos + len > REDIS_REPLY_BYTES_MAX) {
        return err_set(err, -EPROTO, "a reply of more than %d bytes",
                       REDIS_REPLY_BYTES_MAX);
    }
    if (redisReaderFeed(r, bytes, len) != REDIS_OK) {
        return err_set(err, -EPROTO, "%s", r->errstr);
    }
    return 0;
}

int redis_reader_next(struct redis_reader *reader, struct redis_reply **reply,
                      struct err *err)
{
    void *found = NULL;
    redisReader *r = (redisReader *)reader;
    *reply = NULL;
    if (redisReaderGetReply(r, &found) != REDIS_OK) {
        return err_set(err, -EPROTO, "%s", r->errstr);
    }
    *reply = (struct redis_reply *)found;
    return 0;
}

void redis_reply_free(struct redis_reply *reply)
{
    freeReplyObject(reply);
}

static const redisReply *lib(const struct redis_reply *reply)
{
    return (const redisReply *)reply;
}

enum redis_reply_kind redis_reply_kind(const struct redis_reply *reply)
{
    switch (lib(reply)->type) {
    case REDIS_REPLY_STRING:
        return REDIS_STRING;
    case REDIS_REPLY_STATUS:
        return REDIS_STATUS;
    case REDIS_REPLY_ERROR:
        return REDIS_ERROR;
    case REDIS_REPLY_INTEGER:
        return REDIS_INTEGER;
    case REDIS_REPLY_ARRAY:
        return REDIS_ARRAY;
    default:
        return REDIS_NIL;
    }
}

int64_t redis_reply_integer(const struct redis_reply *reply)
{
    return lib(reply)->type == REDIS_REPLY_INTEGER ? lib(reply)->integer : 0;
}

const char *redis_reply_text(const struct redis_reply *reply, size_t *len)
{
    int type = lib(reply)->type;
    bool text = type == REDIS_REPLY_STRING || type == REDIS_REPLY_STATUS ||
                type == REDIS_REPLY_ERROR;
    if (len) {
        *len = text ? (size_t)lib(reply)->len : 0;
    }
    return text ? lib(reply)->str : "";
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return lib(reply)->type == REDIS_REPLY_ARRAY ? lib(reply)->elements : 0;
}

const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t i)
{
    ASSERT(i < redis_reply_count(reply));
    return (const struct redis_reply *)lib(reply)->element[i];
}

bool redis_reply_says(const struct redis_reply *reply, const char *word)
{
    return lib(reply)->type == REDIS_REPLY_ERROR && strstr(lib(reply)->str, word);
}

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

const char *redis_library_version(void)
{
    return TEXT(HIREDIS_MAJOR) "." TEXT(HIREDIS_MINOR) "." TEXT(HIREDIS_PATCH);
}

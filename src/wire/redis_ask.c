#include "wire/redis_ask.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* An answer on its way from the redis thread, which is done with it before the caller's
 * wait ends. */
struct asked {
    struct redis_value *value;
    int rc;
};

static void copy(const struct redis_reply *reply, struct redis_value *value)
{
    *value = (struct redis_value){.kind = redis_reply_kind(reply)};
    switch (value->kind) {
    case REDIS_NIL:
        return;
    case REDIS_INTEGER:
        value->integer = redis_reply_integer(reply);
        return;
    case REDIS_STRING:
    case REDIS_STATUS:
    case REDIS_ERROR: {
        const char *text = redis_reply_text(reply, &value->len);
        value->text = mem_dup(text, value->len);
        return;
    }
    case REDIS_ARRAY:
        value->count = redis_reply_count(reply);
        value->items = mem_array(value->count + 1, sizeof *value->items);
        for (size_t i = 0; i < value->count; i++) {
            copy(redis_reply_at(reply, i), &value->items[i]);
        }
        return;
    }
}

static void on_answer(void *arg, int rc, const struct redis_reply *reply)
{
    struct asked *asked = arg;
    asked->rc = rc;
    if (rc == 0) {
        copy(reply, asked->value);
    }
}

static int judge(struct redis *redis, const struct asked *asked, struct err *err)
{
    char why[256];
    if (asked->rc == 0 && asked->value->kind != REDIS_ERROR) {
        return 0;
    }
    if (asked->rc == 0) {
        const char *text = asked->value->text;
        bool refused = strncmp(text, "NOPERM", 6) == 0 || strncmp(text, "NOAUTH", 6) == 0;
        return err_set(err, refused ? -EACCES : -EPROTO, "Redis says: %s", text);
    }
    redis_last_error(redis, why, sizeof why);
    if (redis_is_refused(redis)) {
        return err_set(err, -EACCES,
                       "Redis refuses us: %s (check redis.username and "
                       "redis.password_file)",
                       why);
    }
    return err_set(err, asked->rc, "Redis does not answer%s%s", why[0] ? ": " : "", why);
}

int redis_ask(struct redis *redis, struct redis_command *commands, size_t n,
              struct redis_value *values, struct err *err)
{
    struct asked *asked = mem_array(n + 1, sizeof *asked);
    for (size_t i = 0; i < n; i++) {
        values[i] = (struct redis_value){.kind = REDIS_NIL};
        asked[i] = (struct asked){&values[i], -ECANCELED};
        commands[i].done = on_answer;
        commands[i].arg = &asked[i];
    }
    int rc = redis_call(redis, commands, n);
    for (size_t i = 0; i < n; i++) {
        rc = judge(redis, &asked[i], err);
        if (rc) {
            break;
        }
    }
    free(asked);
    return rc;
}

static void value_release(struct redis_value *value)
{
    for (size_t i = 0; i < value->count; i++) {
        value_release(&value->items[i]);
    }
    free(value->items);
    free(value->text);
}

void redis_values_release(struct redis_value *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        value_release(&values[i]);
        values[i] = (struct redis_value){.kind = REDIS_NIL};
    }
}

struct redis_command redis_words(int64_t deadline_ms, bool idempotent, ...)
{
    struct redis_command command = {.deadline_ms = deadline_ms, .idempotent = idempotent};
    va_list words;
    va_start(words, idempotent);
    for (const char *word = va_arg(words, const char *); word;
         word = va_arg(words, const char *)) {
        ASSERT(command.arg_count < REDIS_ARGS_MAX);
        command.args[command.arg_count] = word;
        command.lens[command.arg_count++] = strlen(word);
    }
    va_end(words);
    return command;
}

const struct redis_value *redis_value_field(const struct redis_value *hash,
                                            const char *name)
{
    for (size_t i = 0; i + 1 < hash->count; i += 2) {
        if (hash->items[i].text && strcmp(hash->items[i].text, name) == 0) {
            return &hash->items[i + 1];
        }
    }
    return NULL;
}

#include "demo_calls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "wire/json.h"

struct reading {
    struct demo_calls *calls;
    uint64_t *keys; /* a hash each: what differs there is certainly different */
    size_t room;
};

static uint64_t hash(const char *text)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *text != '\0'; text++) {
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    }
    return h ^ (h >> 32);
}

static int64_t number_at(struct json_object *doc, const char *pointer)
{
    struct json_object *value = json_at(doc, pointer);
    return value ? json_object_get_int64(value) : 0;
}

static void take_time(struct reading *r, struct json_object *doc)
{
    const char *wall = json_string_at(doc, "/wall", NULL);
    const char *since = json_string_at(doc, "/header", NULL);
    int64_t from_ms;
    int64_t to_ms;
    if (wall && since && now_parse_rfc3339(since, &from_ms) == 0 &&
        now_parse_rfc3339(wall, &to_ms) == 0) {
        to_ms += number_at(doc, "/latency_us") / 1000;
        r->calls->took_ms[r->calls->took_count++] = to_ms > from_ms ? to_ms - from_ms : 0;
    }
}

/* Returns 0 or -EINVAL: no room. */
static int take_call(struct reading *r, struct json_object *doc)
{
    struct demo_calls *calls = r->calls;
    const char *key = json_string_at(doc, "/key", NULL);
    int64_t status = number_at(doc, "/status");
    if (!key || key[0] == '\0' || status < 200 || status > 299) {
        return 0;
    }
    if ((size_t)calls->accepted == r->room) {
        if (r->room == DEMO_CALLS_MAX) {
            return -EINVAL;
        }
        r->room = r->room == 0 ? 4096 : 2 * r->room;
        r->room = r->room < DEMO_CALLS_MAX ? r->room : DEMO_CALLS_MAX;
        r->keys = mem_resize(r->keys, r->room * sizeof *r->keys);
        calls->took_ms = mem_resize(calls->took_ms, r->room * sizeof *calls->took_ms);
    }
    r->keys[calls->accepted++] = hash(key);
    take_time(r, doc);
    return 0;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

static int64_t count_different(uint64_t *keys, size_t n)
{
    int64_t different = 1;
    if (!keys || n == 0) {
        return 0;
    }
    qsort(keys, n, sizeof *keys, compare);
    for (size_t i = 1; i < n; i++) {
        different += keys[i] != keys[i - 1];
    }
    return different;
}

int demo_calls_read(const char *path, struct demo_calls *calls, struct err *err)
{
    struct reading reading = {.calls = calls};
    char *line = NULL;
    size_t cap = 0;
    int rc = 0;
    *calls = (struct demo_calls){0};
    FILE *file = fopen(path, "re");
    if (!file) {
        return err_set(err, -EIO, "%s: %s", path, strerror(errno));
    }
    for (ssize_t n = getline(&line, &cap, file); n > 0 && rc == 0;
         n = getline(&line, &cap, file)) {
        struct json_object *doc = NULL;
        if (json_parse(line, (size_t)n, &doc, NULL) == 0) {
            rc = take_call(&reading, doc);
        }
        json_free(doc);
    }
    (void)fclose(file);
    free(line);
    calls->keys = count_different(reading.keys, (size_t)calls->accepted);
    free(reading.keys);
    return rc ? err_set(err, rc, "%s: more than %d calls", path, DEMO_CALLS_MAX) : 0;
}

void demo_calls_release(struct demo_calls *calls)
{
    free(calls->took_ms);
    *calls = (struct demo_calls){0};
}

#include "mock_stats.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "windows.h"

enum { SLOTS_FIRST = 1024, STATUS_MAX = 600 };

struct entry {
    char *key; /* owned; NULL: free */
    uint32_t calls;
    uint32_t accepted;
};

struct mock_stats {
    pthread_mutex_t mu;
    /* guarded by mu */
    struct entry *slots; /* open addressing, at most half full */
    size_t slot_count;   /* a power of two */
    size_t keys;
    uint64_t keys_dropped; /* calls whose key had no room */
    uint64_t without_key;
    uint64_t calls;
    uint64_t accepted;
    uint64_t open;
    uint64_t left;
    uint64_t acts[4]; /* by enum mock_act */
    uint64_t by_status[STATUS_MAX];
    struct windows windows;
};

static const int64_t window_ns[] = {100 * 1000000L, 1000 * 1000000L, 10000 * 1000000L};
static const char *const window_names[] = {"0.1s", "1s", "10s"};

struct mock_stats *mock_stats_new(void)
{
    struct mock_stats *stats = mem_zalloc(sizeof *stats);
    MUST(pthread_mutex_init(&stats->mu, NULL));
    stats->slot_count = SLOTS_FIRST;
    stats->slots = mem_array(stats->slot_count, sizeof *stats->slots);
    windows_init(&stats->windows, window_ns, 3);
    return stats;
}

static void free_keys(struct mock_stats *stats)
{
    for (size_t i = 0; i < stats->slot_count; i++) {
        free(stats->slots[i].key);
    }
    memset(stats->slots, 0, stats->slot_count * sizeof *stats->slots);
    stats->keys = 0;
}

void mock_stats_free(struct mock_stats *stats)
{
    free_keys(stats);
    free(stats->slots);
    windows_release(&stats->windows);
    MUST(pthread_mutex_destroy(&stats->mu));
    free(stats);
}

void mock_stats_clear(struct mock_stats *stats)
{
    MUST(pthread_mutex_lock(&stats->mu));
    free_keys(stats);
    stats->keys_dropped = 0;
    stats->without_key = 0;
    stats->calls = 0;
    stats->accepted = 0;
    stats->left = 0;
    memset(stats->acts, 0, sizeof stats->acts);
    memset(stats->by_status, 0, sizeof stats->by_status);
    windows_clear(&stats->windows);
    MUST(pthread_mutex_unlock(&stats->mu));
}

/* --- keys --- */

static uint64_t hash(const char *key)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *key != '\0'; key++) {
        h = (h ^ (unsigned char)*key) * 0x100000001b3u;
    }
    return h ^ (h >> 32);
}

/* The key's slot, or the free one where it would stand. */
static struct entry *slot_of(struct mock_stats *stats, const char *key)
{
    size_t mask = stats->slot_count - 1;
    size_t i = (size_t)hash(key) & mask;
    while (stats->slots[i].key && strcmp(stats->slots[i].key, key) != 0) {
        i = (i + 1) & mask;
    }
    return &stats->slots[i];
}

static void grow_locked(struct mock_stats *stats)
{
    struct entry *old = stats->slots;
    size_t count = stats->slot_count;
    stats->slot_count = 2 * count;
    stats->slots = mem_array(stats->slot_count, sizeof *stats->slots);
    for (size_t i = 0; i < count; i++) {
        if (old[i].key) {
            *slot_of(stats, old[i].key) = old[i];
        }
    }
    free(old);
}

/* NULL: there is no room for a new one. */
static struct entry *entry_locked(struct mock_stats *stats, const char *key)
{
    struct entry *entry = slot_of(stats, key);
    if (entry->key) {
        return entry;
    }
    if (stats->keys >= MOCK_KEYS_MAX) {
        return NULL;
    }
    if (2 * (stats->keys + 1) > stats->slot_count) {
        grow_locked(stats);
        entry = slot_of(stats, key);
    }
    entry->key = mem_strdup(key);
    stats->keys++;
    return entry;
}

/* --- calls --- */

static int64_t monotonic_ns(void)
{
    struct timespec now;
    MUST(clock_gettime(CLOCK_MONOTONIC, &now));
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

uint64_t mock_stats_begin(struct mock_stats *stats, const char *key, int64_t *now_ns)
{
    uint64_t attempt = 0;
    MUST(pthread_mutex_lock(&stats->mu));
    *now_ns = monotonic_ns(); /* under the lock, so stamps ascend */
    windows_add(&stats->windows, *now_ns);
    stats->calls++;
    stats->open++;
    struct entry *entry = key ? entry_locked(stats, key) : NULL;
    if (entry) {
        attempt = ++entry->calls;
    } else if (key) {
        stats->keys_dropped++;
    } else {
        attempt = ++stats->without_key;
    }
    MUST(pthread_mutex_unlock(&stats->mu));
    return attempt;
}

void mock_stats_decide(struct mock_stats *stats, const char *key,
                       const struct mock_fate *fate)
{
    bool accepted = fate->status >= 200 && fate->status < 300;
    MUST(pthread_mutex_lock(&stats->mu));
    stats->acts[fate->act]++;
    if (fate->act == MOCK_ANSWER || fate->act == MOCK_SLOW_BODY) {
        stats->by_status[fate->status]++;
    }
    stats->accepted += accepted;
    struct entry *entry = accepted && key ? slot_of(stats, key) : NULL;
    if (entry && entry->key) {
        entry->accepted++;
    }
    MUST(pthread_mutex_unlock(&stats->mu));
}

void mock_stats_end(struct mock_stats *stats)
{
    MUST(pthread_mutex_lock(&stats->mu));
    stats->open--;
    MUST(pthread_mutex_unlock(&stats->mu));
}

void mock_stats_left(struct mock_stats *stats)
{
    MUST(pthread_mutex_lock(&stats->mu));
    stats->left++;
    MUST(pthread_mutex_unlock(&stats->mu));
}

/* --- the account --- */

static void add(struct json_object *doc, const char *name, uint64_t value)
{
    json_object_object_add(doc, name, json_object_new_int64((int64_t)value));
}

static void add_entry(struct json_object *doc, const struct entry *entry)
{
    struct json_object *at = json_object_new_object();
    add(at, "calls", entry->calls);
    add(at, "accepted", entry->accepted);
    json_object_object_add(doc, entry->key, at);
}

static void add_keys_locked(struct mock_stats *stats, struct json_object *doc, bool all)
{
    struct json_object *repeated = json_object_new_object();
    struct json_object *keys = json_object_new_object();
    uint64_t called_twice = 0;
    uint64_t accepted_twice = 0;
    for (size_t i = 0; i < stats->slot_count; i++) {
        const struct entry *entry = &stats->slots[i];
        if (!entry->key) {
            continue;
        }
        called_twice += entry->calls > 1;
        accepted_twice += entry->accepted > 1;
        if (entry->calls > 1 && called_twice <= MOCK_REPEATED_MAX) {
            add_entry(repeated, entry);
        }
        if (all) {
            add_entry(keys, entry);
        }
    }
    add(doc, "keys_called_twice", called_twice);
    add(doc, "keys_accepted_twice", accepted_twice);
    json_object_object_add(doc, "repeated", repeated);
    if (all) {
        json_object_object_add(doc, "per_key", keys);
    } else {
        json_object_put(keys);
    }
}

struct json_object *mock_stats_json(struct mock_stats *stats, bool with_keys)
{
    static const char *const act_names[] = {"answered", "hung", "reset", "slow_body"};
    struct json_object *doc = json_object_new_object();
    struct json_object *by_status = json_object_new_object();
    struct json_object *windows = json_object_new_object();
    MUST(pthread_mutex_lock(&stats->mu));
    add(doc, "calls", stats->calls);
    add(doc, "accepted", stats->accepted);
    add(doc, "open", stats->open);
    add(doc, "left", stats->left);
    for (size_t i = 0; i < 4; i++) {
        add(doc, act_names[i], stats->acts[i]);
    }
    for (int status = 0; status < STATUS_MAX; status++) {
        char name[16];
        snprintf(name, sizeof name, "%d", status);
        if (stats->by_status[status] > 0) {
            add(by_status, name, stats->by_status[status]);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        add(windows, window_names[i], stats->windows.most[i]);
    }
    json_object_object_add(doc, "by_status", by_status);
    json_object_object_add(doc, "windows", windows);
    json_object_object_add(doc, "windows_exact",
                           json_object_new_boolean(!stats->windows.overflown));
    add(doc, "keys", stats->keys);
    add(doc, "keys_dropped", stats->keys_dropped);
    add(doc, "without_key", stats->without_key);
    add_keys_locked(stats, doc, with_keys);
    MUST(pthread_mutex_unlock(&stats->mu));
    return doc;
}

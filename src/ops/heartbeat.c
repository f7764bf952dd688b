#include "ops/heartbeat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"
#include "ops/key.h"
#include "wire/crypto.h"

enum { HOST_MAX = 256 };

static const char beat_text[] =
#include "ops/heartbeat.lua.inc"
    ;

struct extra {
    const char *member;
    heartbeat_fn *fn;
    void *arg;
};

struct heartbeat {
    /* read-only after start */
    struct worker *worker;
    struct redis *redis;
    struct redis_script *script;
    char *beats;
    char *times;
    char *version;
    char *revision;
    char *id;
    char host[HOST_MAX];
    struct ctx *running;
    pthread_t thread;
    struct beat_memory *memory; /* its thread's */
    pthread_mutex_t mu;
    /* guarded by mu */
    struct beat_self self;
    const char *state;
    struct extra extras[HEARTBEAT_EXTRAS_MAX];
    size_t extra_count;
};

static char *key_of(const struct config *config, const char *name)
{
    struct str key;
    str_init(&key);
    ops_key(config, name, &key);
    return str_take(&key);
}

/* json  "": it leaves. */
static void tell(struct heartbeat *h, const char *json, size_t len)
{
    char keep[16];
    snprintf(keep, sizeof keep, "%d", HEARTBEAT_KEEP_MS);
    struct redis_command command = {.args = {h->beats, h->times, h->id, json, keep},
                                    .lens = {strlen(h->beats), strlen(h->times),
                                             strlen(h->id), len, strlen(keep)},
                                    .arg_count = 5,
                                    .script = h->script,
                                    .key_count = 2,
                                    .deadline_ms = now_ms() + BEAT_EVERY_MS,
                                    .idempotent = true};
    redis_send(h->redis, &command, 1);
}

static void add_extras(struct heartbeat *h, struct json_object *doc)
{
    struct extra extras[HEARTBEAT_EXTRAS_MAX];
    MUST(pthread_mutex_lock(&h->mu));
    size_t n = h->extra_count;
    memcpy(extras, h->extras, sizeof extras);
    MUST(pthread_mutex_unlock(&h->mu));
    for (size_t i = 0; i < n; i++) {
        struct json_object *value = extras[i].fn(extras[i].arg);
        if (value) {
            json_object_object_add(doc, extras[i].member, value);
        }
    }
}

static void beat(struct heartbeat *h)
{
    struct worker_view view;
    struct str json;
    MUST(pthread_mutex_lock(&h->mu));
    struct beat_self self = h->self;
    const char *state = h->state;
    MUST(pthread_mutex_unlock(&h->mu));
    worker_view(h->worker, &view);
    struct json_object *doc = beat_make(h->memory, &self, state, &view, now_ms());
    bool answers = view.redis_answers;
    worker_view_release(&view);
    add_extras(h, doc);
    str_init(&json);
    if (answers) { /* else it would be old news when Redis is back */
        json_print(doc, &json);
        tell(h, json.data, json.len);
    }
    json_free(doc);
    str_release(&json);
}

static void *heartbeat_main(void *arg)
{
    struct heartbeat *h = arg;
    int64_t next_ms = now_ms();
    do {
        beat(h);
        int64_t now = now_ms();
        next_ms += BEAT_EVERY_MS;
        next_ms = next_ms > now ? next_ms : now + BEAT_EVERY_MS; /* suspended */
    } while (ctx_sleep(h->running, next_ms) == 0);
    return NULL;
}

struct heartbeat *heartbeat_start(struct worker *worker, const struct config *config,
                                  const char *version, const char *revision)
{
    struct heartbeat *h = mem_zalloc(sizeof *h);
    h->worker = worker;
    h->redis = worker_redis(worker);
    h->script = redis_script_new(h->redis, beat_text);
    h->beats = key_of(config, "beats");
    h->times = key_of(config, "beat-times");
    h->version = mem_strdup(version);
    h->revision = mem_strdup(revision);
    h->id = mem_strdup(config->kafka.client_id);
    gethostname(h->host, sizeof h->host - 1);
    h->running = ctx_new(NULL, NOW_FOREVER);
    h->memory = beat_memory_new();
    h->self = (struct beat_self){.id = h->id,
                                 .host = h->host,
                                 .version = h->version,
                                 .revision = h->revision,
                                 .started_ms = now_ms()};
    snprintf(h->self.boot, sizeof h->self.boot, "%08x", (unsigned)crypto_random_u64());
    config_hash(config, h->self.config_hash);
    MUST(pthread_mutex_init(&h->mu, NULL));
    MUST(pthread_create(&h->thread, NULL, heartbeat_main, h));
    return h;
}

void heartbeat_stop(struct heartbeat *h)
{
    ctx_cancel(h->running);
    MUST(pthread_join(h->thread, NULL));
    if (redis_is_connected(h->redis)) {
        tell(h, "", 0);
    }
    ctx_free(h->running);
    beat_memory_free(h->memory);
    MUST(pthread_mutex_destroy(&h->mu));
    free(h->beats);
    free(h->times);
    free(h->version);
    free(h->revision);
    free(h->id);
    free(h);
}

const char *heartbeat_boot(const struct heartbeat *h)
{
    return h->self.boot;
}

void heartbeat_config(struct heartbeat *h, const struct config *config)
{
    char hash[CONFIG_HASH_LEN];
    config_hash(config, hash);
    MUST(pthread_mutex_lock(&h->mu));
    memcpy(h->self.config_hash, hash, sizeof hash);
    MUST(pthread_mutex_unlock(&h->mu));
}

void heartbeat_state(struct heartbeat *h, const char *state)
{
    MUST(pthread_mutex_lock(&h->mu));
    h->state = state;
    MUST(pthread_mutex_unlock(&h->mu));
}

void heartbeat_add(struct heartbeat *h, const char *member, heartbeat_fn *fn, void *arg)
{
    MUST(pthread_mutex_lock(&h->mu));
    ASSERT(h->extra_count < HEARTBEAT_EXTRAS_MAX);
    h->extras[h->extra_count++] = (struct extra){member, fn, arg};
    MUST(pthread_mutex_unlock(&h->mu));
}

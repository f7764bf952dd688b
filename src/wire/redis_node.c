/* One command's life, as the redis thread sees it; redis_loop.c says how the whole works.
 */
#include "wire/redis_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *const redis_reason_names[REASONS] = {
    "connect",  "lost", "silent", "timeout", "unavailable",
    "noscript", "oom",  "reply",  "full",    "linger_dropped",
};

void redis_count(struct redis *r, enum redis_reason reason)
{
    if (r->errors[reason]) {
        metric_inc(r->errors[reason]);
    }
}

struct redis_node *redis_node_new(const struct redis_command *command)
{
    ASSERT(command->arg_count <= REDIS_ARGS_MAX);
    ASSERT(command->key_count <= command->arg_count);
    size_t size = redis_resp_size(command);
    struct redis_node *node = mem_alloc(sizeof *node + size);
    *node = (struct redis_node){
        .queue.node = node,
        .linger.node = node,
        .due_ms = command->deadline_ms,
        .linger_ms = command->linger_ms,
        .done = command->done,
        .arg = command->arg,
        .script = command->script,
        .idempotent = command->idempotent,
        .len = size,
    };
    node->sha_offset = redis_resp_write(command, node->text);
    return node;
}

struct redis_node *redis_node_load(struct redis_script *script)
{
    struct redis_command command = {
        .args = {"SCRIPT", "LOAD", script->text},
        .lens = {6, 4, strlen(script->text)},
        .arg_count = 3,
    };
    struct redis_node *node = redis_node_new(&command);
    node->script = script;
    node->load = true;
    node->ended = true; /* nobody waits for it */
    return node;
}

void redis_node_free(struct redis *r, struct redis_node *node)
{
    ASSERT(node->ended);
    redis_fifo_unlink(&node->queue);
    redis_fifo_unlink(&node->linger);
    redis_heap_remove(&r->due, node);
    bool counted = !node->load;
    free(node);
    if (counted) {
        atomic_fetch_sub(&r->open, 1);
    }
}

void redis_node_end(struct redis *r, struct redis_node *node, int rc,
                    const struct redis_reply *reply)
{
    ASSERT(!node->ended);
    node->ended = true;
    redis_heap_remove(&r->due, node);
    if (node->done) {
        node->done(node->arg, rc, reply);
    }
    if (node->waiter) {
        redis_waiter_tell(node->waiter, rc);
        node->waiter = NULL;
    }
}

void redis_node_drop(struct redis *r, struct redis_node *node, int rc)
{
    if (!node->ended) {
        redis_node_end(r, node, rc, NULL);
    }
    redis_node_free(r, node);
}

static bool is_lingering(const struct redis_node *node)
{
    return node->linger.fifo != NULL;
}

bool redis_node_is_alive(const struct redis_node *node)
{
    return !node->ended || is_lingering(node);
}

/* In flight it becomes a ghost, elsewhere it goes. */
static void node_abandon(struct redis *r, struct redis_node *node)
{
    redis_fifo_unlink(&node->linger);
    redis_heap_remove(&r->due, node);
    if (node->queue.fifo != &r->in_flight) {
        redis_node_free(r, node);
    }
}

void redis_node_linger(struct redis *r, struct redis_node *node)
{
    node->due_ms += node->linger_ms;
    redis_heap_put(&r->due, node);
    redis_fifo_append(&r->lingering, &node->linger);
    if (r->lingering.count > REDIS_LINGER_MAX) {
        redis_count(r, REASON_LINGER);
        node_abandon(r, r->lingering.head->node);
    }
}

void redis_expire(struct redis *r, int64_t now)
{
    while (r->due.count > 0 && r->due.items[0]->due_ms <= now) {
        struct redis_node *node = r->due.items[0];
        if (node->ended) {
            redis_count(r, REASON_LINGER);
            node_abandon(r, node);
            continue;
        }
        redis_count(r, REASON_TIMEOUT);
        redis_node_end(r, node, -ETIMEDOUT, NULL);
        if (node->linger_ms > 0) {
            redis_node_linger(r, node);
        } else {
            node_abandon(r, node);
        }
    }
}

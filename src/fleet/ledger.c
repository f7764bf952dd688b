#include "fleet/ledger.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "wire/crypto.h"

/* What is recorded after an outage is worth recording for this long. */
enum { LINGER_MS = 30 * 60 * 1000, NUMBER_LEN = 24 };

static const char claim_text[] =
#include "fleet/ledger_claim.lua.inc"
    ;
static const char renew_text[] =
#include "fleet/ledger_renew.lua.inc"
    ;
static const char release_text[] =
#include "fleet/ledger_release.lua.inc"
    ;
static const char done_text[] =
#include "fleet/ledger_done.lua.inc"
    ;
static const char parked_text[] =
#include "fleet/ledger_parked.lua.inc"
    ;

struct ledger {
    struct redis *redis;
    char *key_head; /* "sluice:unit:group:{" */
    char keep[NUMBER_LEN];
    int64_t timeout_ms;
    struct redis_script *claim;
    struct redis_script *renew;
    struct redis_script *release;
    struct redis_script *done;
    struct redis_script *parked;
    uint64_t process; /* random: tokens of two processes never meet */
    atomic_uint_fast64_t counter;
};

struct ledger *ledger_new(struct redis *redis, const struct ledger_options *options)
{
    struct ledger *ledger = mem_zalloc(sizeof *ledger);
    struct str head;
    str_init(&head);
    str_addf(&head, "%s:unit:%s:{", options->prefix, options->group);
    ledger->key_head = str_take(&head);
    str_release(&head);
    snprintf(ledger->keep, sizeof ledger->keep, "%lld", (long long)options->done_ttl_ms);
    ledger->redis = redis;
    ledger->timeout_ms = options->timeout_ms;
    ledger->claim = redis_script_new(redis, claim_text);
    ledger->renew = redis_script_new(redis, renew_text);
    ledger->release = redis_script_new(redis, release_text);
    ledger->done = redis_script_new(redis, done_text);
    ledger->parked = redis_script_new(redis, parked_text);
    ledger->process = crypto_random_u64();
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    if (ledger) {
        free(ledger->key_head);
        free(ledger);
    }
}

void ledger_entry_init(struct ledger *ledger, struct ledger_entry *entry)
{
    uint64_t count = atomic_fetch_add(&ledger->counter, 1);
    snprintf(entry->token, sizeof entry->token, "%016llx-%llx",
             (unsigned long long)ledger->process, (unsigned long long)count);
    entry->lease_end_boot_ms = 0;
    entry->result = LEDGER_UNKNOWN;
    entry->wait_ms = 0;
}

/* One script call being put together: the key and numbers as text live here until
 * redis_send has copied them. */
struct call {
    char *key;
    char numbers[2][NUMBER_LEN];
    struct redis_command command;
    struct ledger_entry *entry; /* claim and renew: where the answer goes */
    int64_t sent_boot_ms;
};

static void call_begin(const struct ledger *ledger, struct call *call,
                       struct redis_script *script, const struct ledger_entry *entry)
{
    size_t head = strlen(ledger->key_head);
    size_t target = strlen(entry->target);
    size_t identity = strlen(entry->identity);
    call->key = mem_alloc(head + target + 2 + identity + 1);
    memcpy(call->key, ledger->key_head, head);
    memcpy(call->key + head, entry->target, target);
    memcpy(call->key + head + target, "}:", 2);
    memcpy(call->key + head + target + 2, entry->identity, identity + 1);
    call->command = (struct redis_command){
        .args = {call->key},
        .lens = {head + target + 2 + identity},
        .arg_count = 1,
        .script = script,
        .key_count = 1,
        .deadline_ms = now_ms() + ledger->timeout_ms,
        .idempotent = true,
    };
}

static void call_add(struct call *call, const char *text)
{
    struct redis_command *command = &call->command;
    text = text ? text : "";
    command->args[command->arg_count] = text;
    command->lens[command->arg_count] = strlen(text);
    command->arg_count++;
}

/* slot: which of the call's numbers holds the text */
static void call_add_number(struct call *call, int slot, int64_t number)
{
    snprintf(call->numbers[slot], NUMBER_LEN, "%lld", (long long)number);
    call_add(call, call->numbers[slot]);
}

static int calls_send(struct ledger *ledger, struct call *calls, size_t n, bool wait)
{
    struct redis_command *commands = mem_array(n, sizeof *commands);
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        commands[i] = calls[i].command;
    }
    if (wait) {
        rc = redis_call(ledger->redis, commands, n);
    } else {
        redis_send(ledger->redis, commands, n);
    }
    for (size_t i = 0; i < n; i++) {
        free(calls[i].key);
    }
    free(commands);
    free(calls);
    return rc;
}

static enum ledger_result result_of(const char *what)
{
    static const struct {
        const char *word;
        enum ledger_result result;
    } table[] = {
        {"granted", LEDGER_GRANTED},     {"taken", LEDGER_TAKEN_OVER},
        {"duplicate", LEDGER_DUPLICATE}, {"conflict", LEDGER_CONFLICT},
        {"wait", LEDGER_WAIT},           {"lost", LEDGER_LOST},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(what, table[i].word) == 0) {
            return table[i].result;
        }
    }
    return LEDGER_UNKNOWN;
}

static void log_refusal(const struct redis_reply *reply)
{
    if (redis_reply_kind(reply) == REDIS_ERROR) {
        LOG(LOG_WARN, "redis refused a ledger record",
            LS("error", redis_reply_text(reply, NULL)), LEND);
    }
}

/* An error reply says nothing about the unit, least of all that it is absent. */
static void entry_answered(void *arg, int rc, const struct redis_reply *reply)
{
    struct call *call = arg;
    struct ledger_entry *entry = call->entry;
    if (rc != 0) {
        return;
    }
    log_refusal(reply);
    if (redis_reply_count(reply) != 2) {
        return;
    }
    entry->result = result_of(redis_reply_text(redis_reply_at(reply, 0), NULL));
    if (entry->result == LEDGER_GRANTED || entry->result == LEDGER_TAKEN_OVER) {
        entry->lease_end_boot_ms = call->sent_boot_ms + entry->lease_ms;
    } else if (entry->result == LEDGER_WAIT) {
        entry->wait_ms = redis_reply_integer(redis_reply_at(reply, 1));
    }
}

static int hold(struct ledger *ledger, struct redis_script *script,
                struct ledger_entry *const *entries, size_t n)
{
    if (n == 0) {
        return 0;
    }
    struct call *calls = mem_array(n, sizeof *calls);
    int64_t sent_boot_ms = now_boot_ms();
    for (size_t i = 0; i < n; i++) {
        struct ledger_entry *entry = entries[i];
        struct call *call = &calls[i];
        entry->result = LEDGER_UNKNOWN;
        entry->wait_ms = 0;
        call_begin(ledger, call, script, entry);
        call_add(call, entry->token);
        call_add_number(call, 0, entry->lease_ms);
        call_add_number(call, 1, entry->round);
        call_add(call, entry->content);
        call_add(call, ledger->keep);
        call->entry = entry;
        call->sent_boot_ms = sent_boot_ms;
        call->command.done = entry_answered;
        call->command.arg = call;
    }
    int rc = calls_send(ledger, calls, n, true);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (entries[i]->result == LEDGER_UNKNOWN) {
            rc = -EIO;
        }
    }
    return rc == 0 || rc == -ETIMEDOUT ? rc : -EIO;
}

int ledger_claim(struct ledger *ledger, struct ledger_entry *const *entries, size_t n)
{
    return hold(ledger, ledger->claim, entries, n);
}

int ledger_renew(struct ledger *ledger, struct ledger_entry *const *entries, size_t n)
{
    return hold(ledger, ledger->renew, entries, n);
}

void ledger_release(struct ledger *ledger, struct ledger_entry *const *entries, size_t n)
{
    if (n == 0) {
        return;
    }
    struct call *calls = mem_array(n, sizeof *calls);
    for (size_t i = 0; i < n; i++) {
        call_begin(ledger, &calls[i], ledger->release, entries[i]);
        call_add(&calls[i], entries[i]->token);
        call_add(&calls[i], ledger->keep);
    }
    (void)calls_send(ledger, calls, n, false);
}

struct telling {
    void (*told)(void *arg, int rc);
    void *arg;
};

static void done_answered(void *arg, int rc, const struct redis_reply *reply)
{
    struct telling *telling = arg;
    if (rc == 0) {
        log_refusal(reply);
        rc = redis_reply_kind(reply) == REDIS_ERROR ? -EIO : 0;
    }
    if (telling->told) {
        telling->told(telling->arg, rc);
    }
    free(telling);
}

void ledger_done(struct ledger *ledger, const struct ledger_entry *entry, int status,
                 void (*told)(void *arg, int rc), void *arg)
{
    struct telling *telling = mem_alloc(sizeof *telling);
    *telling = (struct telling){.told = told, .arg = arg};
    struct call call;
    call_begin(ledger, &call, ledger->done, entry);
    call_add_number(&call, 0, status);
    call_add(&call, entry->content);
    call_add(&call, ledger->keep);
    call.command.linger_ms = LINGER_MS;
    call.command.done = done_answered;
    call.command.arg = telling;
    redis_send(ledger->redis, &call.command, 1);
    free(call.key);
}

static void parked_answered(void *arg, int rc, const struct redis_reply *reply)
{
    (void)arg;
    if (rc == 0) {
        log_refusal(reply);
    }
}

void ledger_parked(struct ledger *ledger, struct ledger_entry *const *entries,
                   const int *rounds, size_t n)
{
    if (n == 0) {
        return;
    }
    struct call *calls = mem_array(n, sizeof *calls);
    for (size_t i = 0; i < n; i++) {
        call_begin(ledger, &calls[i], ledger->parked, entries[i]);
        call_add_number(&calls[i], 0, rounds[i]);
        call_add(&calls[i], entries[i]->content);
        call_add(&calls[i], ledger->keep);
        calls[i].command.linger_ms = LINGER_MS;
        calls[i].command.done = parked_answered;
    }
    (void)calls_send(ledger, calls, n, true);
}

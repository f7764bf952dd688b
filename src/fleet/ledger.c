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
enum {
    LINGER_MS = 30 * 60 * 1000,
    NUMBER_LEN = 24,
    CLAIM_UNITS_MAX = (REDIS_ARGS_MAX - 2) / 2, /* in one script call: a key and a text */
    CLAIM_TEXT_LEN = LEDGER_TOKEN_LEN + CRYPTO_HEX128_LEN + 16,
};

static const char claim_text[] =
#include "fleet/ledger_claim.lua.inc"
    ;
static const char renew_text[] =
#include "fleet/ledger_renew.lua.inc"
    ;
static const char release_text[] =
#include "fleet/ledger_release.lua.inc"
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

/* Returns owned. */
static char *key_of(const struct ledger *ledger, const struct ledger_entry *entry)
{
    size_t head = strlen(ledger->key_head);
    size_t target = strlen(entry->target);
    size_t identity = strlen(entry->identity);
    char *key = mem_alloc(head + target + 2 + identity + 1);
    memcpy(key, ledger->key_head, head);
    memcpy(key + head, entry->target, target);
    memcpy(key + head + target, "}:", 2);
    memcpy(key + head + target + 2, entry->identity, identity + 1);
    return key;
}

static void command_add(struct redis_command *command, const char *text)
{
    ASSERT(command->arg_count < REDIS_ARGS_MAX);
    text = text ? text : "";
    command->args[command->arg_count] = text;
    command->lens[command->arg_count] = strlen(text);
    command->arg_count++;
}

static int outcome_of(int rc)
{
    return rc == 0 || rc == -ETIMEDOUT ? rc : -EIO;
}

/* One command on one unit being put together: the key and numbers as text live here until
 * redis_send has copied them. */
struct call {
    char *key;
    char numbers[2][NUMBER_LEN];
    struct redis_command command;
    struct ledger_entry *entry; /* renew: where the answer goes */
    int64_t sent_boot_ms;
};

static void call_begin(const struct ledger *ledger, struct call *call,
                       struct redis_script *script, const struct ledger_entry *entry)
{
    call->key = key_of(ledger, entry);
    call->command = (struct redis_command){
        .script = script,
        .key_count = script ? 1 : 0,
        .deadline_ms = now_ms() + ledger->timeout_ms,
        .idempotent = true,
    };
    if (script) {
        command_add(&call->command, call->key);
    }
}

static void call_add(struct call *call, const char *text)
{
    command_add(&call->command, text);
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

static void log_refusal(const struct redis_reply *reply)
{
    if (redis_reply_kind(reply) == REDIS_ERROR) {
        LOG(LOG_WARN, "redis refused a ledger record",
            LS("error", redis_reply_text(reply, NULL)), LEND);
    }
}

/* ---- CLAIM ---- */

/* One script call for some units of one target. */
struct claim {
    struct ledger_entry *const *entries; /* where the answers go */
    size_t n;
    int64_t sent_boot_ms;
    char numbers[2][NUMBER_LEN];
    char *keys[CLAIM_UNITS_MAX];
    char units[CLAIM_UNITS_MAX][CLAIM_TEXT_LEN]; /* "token|round|content" */
};

/* How many from the first on go into one call: they share the lease and the hash tag. */
static size_t count_alike(struct ledger_entry *const *entries, size_t n)
{
    size_t alike = 1;
    while (alike < n && alike < CLAIM_UNITS_MAX &&
           strcmp(entries[alike]->target, entries[0]->target) == 0 &&
           entries[alike]->lease_ms == entries[0]->lease_ms) {
        alike++;
    }
    return alike;
}

static void read_answer(const struct claim *claim, struct ledger_entry *entry,
                        const char *word, size_t len)
{
    static const struct {
        const char *word;
        enum ledger_result result;
    } table[] = {
        {"granted", LEDGER_GRANTED},     {"taken", LEDGER_TAKEN_OVER},
        {"duplicate", LEDGER_DUPLICATE}, {"conflict", LEDGER_CONFLICT},
        {"bad", LEDGER_BROKEN},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strlen(table[i].word) == len && memcmp(word, table[i].word, len) == 0) {
            entry->result = table[i].result;
        }
    }
    if (len > strlen("wait:") && text_starts(word, "wait:")) {
        entry->result = LEDGER_WAIT;
        entry->wait_ms = strtoll(word + strlen("wait:"), NULL, 10);
    }
    if (entry->result == LEDGER_GRANTED || entry->result == LEDGER_TAKEN_OVER) {
        entry->lease_end_boot_ms = claim->sent_boot_ms + entry->lease_ms;
    } else if (entry->result == LEDGER_BROKEN) {
        LOG(LOG_WARN, "a ledger record cannot be read", LS("target", entry->target),
            LS("identity", entry->identity), LEND);
    }
}

/* An error reply says nothing about the units, least of all that they are absent. */
static void claim_answered(void *arg, int rc, const struct redis_reply *reply)
{
    const struct claim *claim = arg;
    if (rc != 0) {
        return;
    }
    log_refusal(reply);
    const char *word =
        redis_reply_kind(reply) == REDIS_STRING ? redis_reply_text(reply, NULL) : "";
    for (size_t i = 0; i < claim->n && *word != '\0'; i++) {
        size_t len = strcspn(word, " ");
        read_answer(claim, claim->entries[i], word, len);
        word += len + (word[len] == ' ');
    }
}

static void claim_begin(struct ledger *ledger, struct claim *claim,
                        struct ledger_entry *const *entries, size_t n,
                        struct redis_command *command)
{
    *command = (struct redis_command){.script = ledger->claim,
                                      .key_count = n,
                                      .deadline_ms = now_ms() + ledger->timeout_ms,
                                      .idempotent = true,
                                      .done = claim_answered,
                                      .name = "claim",
                                      .arg = claim};
    claim->entries = entries;
    claim->n = n;
    for (size_t i = 0; i < n; i++) {
        entries[i]->result = LEDGER_UNKNOWN;
        entries[i]->wait_ms = 0;
        claim->keys[i] = key_of(ledger, entries[i]);
        command_add(command, claim->keys[i]);
    }
    snprintf(claim->numbers[0], NUMBER_LEN, "%lld", (long long)entries[0]->lease_ms);
    command_add(command, claim->numbers[0]);
    command_add(command, ledger->keep);
    for (size_t i = 0; i < n; i++) {
        const char *content = entries[i]->content;
        int len = snprintf(claim->units[i], CLAIM_TEXT_LEN, "%s|%d|%s", entries[i]->token,
                           entries[i]->round, content ? content : "");
        ASSERT(len < CLAIM_TEXT_LEN);
        command_add(command, claim->units[i]);
    }
}

int ledger_claim(struct ledger *ledger, struct ledger_entry *const *entries, size_t n)
{
    if (n == 0) {
        return 0;
    }
    size_t count = 0;
    for (size_t i = 0; i < n; i += count_alike(entries + i, n - i)) {
        count++;
    }
    struct claim *claims = mem_array(count, sizeof *claims);
    struct redis_command *commands = mem_array(count, sizeof *commands);
    int64_t sent_boot_ms = now_boot_ms();
    count = 0;
    for (size_t i = 0; i < n; i += claims[count++].n) {
        claim_begin(ledger, &claims[count], entries + i, count_alike(entries + i, n - i),
                    &commands[count]);
        claims[count].sent_boot_ms = sent_boot_ms;
    }
    int rc = redis_call(ledger->redis, commands, count);
    for (size_t c = 0; c < count; c++) {
        for (size_t i = 0; i < claims[c].n; i++) {
            free(claims[c].keys[i]);
        }
    }
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = entries[i]->result == LEDGER_UNKNOWN ? -EIO : 0;
    }
    free(commands);
    free(claims);
    return outcome_of(rc);
}

/* ---- LOOK ---- */

/* The n-th field of "K|round|at_ms|content" as a number, 0 when there is none. */
static int64_t number_at(const char *record, int n)
{
    for (; n > 0 && record; n--) {
        record = strchr(record, '|');
        record = record ? record + 1 : NULL;
    }
    return record ? strtoll(record, NULL, 10) : 0;
}

static void look_answered(void *arg, int rc, const struct redis_reply *reply)
{
    struct ledger_record *record = arg;
    if (rc != 0 || redis_reply_kind(reply) != REDIS_STRING) {
        return;
    }
    const char *text = redis_reply_text(reply, NULL);
    if (text_starts(text, "D|")) {
        *record = (struct ledger_record){LEDGER_DONE, 0, number_at(text, 2)};
    } else if (text_starts(text, "K|")) {
        *record = (struct ledger_record){LEDGER_PARKED, (int)number_at(text, 1),
                                         number_at(text, 2)};
    } else if (text_starts(text, "P|")) {
        *record = (struct ledger_record){LEDGER_HELD, (int)number_at(text, 3), 0};
    }
}

int ledger_look(struct ledger *ledger, const struct ledger_entry *entries, size_t n,
                struct ledger_record *records)
{
    struct call *calls = mem_array(n + 1, sizeof *calls);
    for (size_t i = 0; i < n; i++) {
        records[i] = (struct ledger_record){0};
        call_begin(ledger, &calls[i], NULL, &entries[i]);
        call_add(&calls[i], "GET");
        call_add(&calls[i], calls[i].key);
        calls[i].command.done = look_answered;
        calls[i].command.arg = &records[i];
    }
    return outcome_of(calls_send(ledger, calls, n, true));
}

/* ---- RENEW ---- */

static void renew_answered(void *arg, int rc, const struct redis_reply *reply)
{
    struct call *call = arg;
    struct ledger_entry *entry = call->entry;
    if (rc != 0) {
        return;
    }
    log_refusal(reply);
    if (redis_reply_kind(reply) != REDIS_STRING) {
        return;
    }
    bool lost = strcmp(redis_reply_text(reply, NULL), "lost") == 0;
    entry->result = lost ? LEDGER_LOST : LEDGER_GRANTED;
    if (!lost) {
        entry->lease_end_boot_ms = call->sent_boot_ms + entry->lease_ms;
    }
}

int ledger_renew(struct ledger *ledger, struct ledger_entry *const *entries, size_t n)
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
        call_begin(ledger, call, ledger->renew, entry);
        call->command.name = "renew";
        call_add(call, entry->token);
        call_add_number(call, 0, entry->lease_ms);
        call_add_number(call, 1, entry->round);
        call_add(call, entry->content);
        call_add(call, ledger->keep);
        call->entry = entry;
        call->sent_boot_ms = sent_boot_ms;
        call->command.done = renew_answered;
        call->command.arg = call;
    }
    int rc = calls_send(ledger, calls, n, true);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = entries[i]->result == LEDGER_UNKNOWN ? -EIO : 0;
    }
    return outcome_of(rc);
}

/* ---- RELEASE, DONE, PARKED ---- */

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

/* Unconditional, for it is a fact; the record's form: ledger_claim.lua. */
void ledger_done(struct ledger *ledger, const struct ledger_entry *entry, int status,
                 void (*told)(void *arg, int rc), void *arg)
{
    struct telling *telling = mem_alloc(sizeof *telling);
    *telling = (struct telling){.told = told, .arg = arg};
    char record[CLAIM_TEXT_LEN];
    int len = snprintf(record, sizeof record, "D|%d|%lld|%s", status,
                       (long long)now_wall_ms(), entry->content ? entry->content : "");
    ASSERT(len < (int)sizeof record);
    struct call call;
    call_begin(ledger, &call, NULL, entry);
    call_add(&call, "SET");
    call_add(&call, call.key);
    call_add(&call, record);
    call_add(&call, "PX");
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
        calls[i].command.name = "parked";
        call_add_number(&calls[i], 0, rounds[i]);
        call_add(&calls[i], entries[i]->content);
        call_add(&calls[i], ledger->keep);
        calls[i].command.linger_ms = LINGER_MS;
        calls[i].command.done = parked_answered;
    }
    (void)calls_send(ledger, calls, n, true);
}

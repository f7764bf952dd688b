#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis_server.h"

#include <pthread.h>

#include "fleet/ledger.h"

#define CONTENT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CONTENT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define UNIT      "0123456789abcdef0123456789abcdef"
#define KEY       "sluice:unit:fleet:{argo}:" UNIT

enum { LONG_LEASE_MS = 600000 };

/* One server for all tests; each begins with FLUSHALL. */
static struct redis_server server;
static struct redis *redis;
static struct ledger *ledger;

static int begin(void **state)
{
    (void)state;
    redis_server_start(&server, false, NULL);
    redis = redis_client(server.url);
    struct ledger_options options = {.prefix = "sluice",
                                     .group = "fleet",
                                     .done_ttl_ms = 3600000,
                                     .timeout_ms = PATIENCE_MS};
    ledger = ledger_new(redis, &options);
    return 0;
}

static int end(void **state)
{
    (void)state;
    redis_stop(redis, now_ms() + PATIENCE_MS);
    ledger_free(ledger);
    redis_server_stop(&server);
    return 0;
}

static void flush(void)
{
    assert_int_equal(ask(redis, "FLUSHALL").rc, 0);
}

static struct ledger_entry entry_of(const char *content, int round)
{
    struct ledger_entry entry = {.target = "argo",
                                 .identity = UNIT,
                                 .content = content,
                                 .round = round,
                                 .lease_ms = LONG_LEASE_MS};
    ledger_entry_init(ledger, &entry);
    return entry;
}

static enum ledger_result claim(struct ledger_entry *entry)
{
    assert_int_equal(ledger_claim(ledger, &entry, 1), 0);
    return entry->result;
}

static enum ledger_result renew(struct ledger_entry *entry)
{
    assert_int_equal(ledger_renew(ledger, &entry, 1), 0);
    return entry->result;
}

static void release(struct ledger_entry *entry)
{
    ledger_release(ledger, &entry, 1);
}

static void park(struct ledger_entry *entry, int round)
{
    ledger_parked(ledger, &entry, &round, 1);
}

static void told(void *arg, int rc)
{
    *(int *)arg = rc;
}

/* As the record of a holder whose lease is over. */
static void set_abandoned(int round, int claims)
{
    char text[200];
    snprintf(text, sizeof text, "SET " KEY " P|somebody|1|%d|" CONTENT_A "|%d", round,
             claims);
    assert_int_equal(ask(redis, text).rc, 0);
}

static char record_state(void)
{
    struct answer answer = ask(redis, "GET " KEY);
    return answer.kind == REDIS_STRING ? answer.text[0] : '-';
}

/* ---- CLAIM ---- */

static void ledger_claim__is_granted_once(void **state)
{
    (void)state;
    flush();
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    struct ledger_entry other = entry_of(CONTENT_A, 0);
    int64_t before = now_boot_ms();
    assert_int_equal(claim(&mine), LEDGER_GRANTED);
    assert_true(mine.lease_end_boot_ms >= before + LONG_LEASE_MS);
    assert_true(mine.lease_end_boot_ms <= now_boot_ms() + LONG_LEASE_MS);
    assert_int_equal(claim(&other), LEDGER_WAIT);
    assert_in_range(other.wait_ms, 1, LONG_LEASE_MS);
    assert_int_equal(other.lease_end_boot_ms, 0);
    /* the lease, and then long enough to be taken over */
    assert_in_range(ask(redis, "PTTL " KEY).integer, 3600000, LONG_LEASE_MS + 3600000);
}

static void ledger_claim__sent_again_after_a_lost_reply_is_still_ours(void **state)
{
    (void)state;
    flush();
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    assert_int_equal(claim(&mine), LEDGER_GRANTED);
    assert_int_equal(claim(&mine), LEDGER_GRANTED);
    set_abandoned(0, 1);
    assert_int_equal(claim(&mine), LEDGER_TAKEN_OVER);
    /* the fact that somebody may have sent it does not get lost with the reply */
    assert_int_equal(claim(&mine), LEDGER_TAKEN_OVER);
}

static void ledger_claim__of_an_abandoned_unit_takes_it_over(void **state)
{
    (void)state;
    flush();
    set_abandoned(0, 1);
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    struct ledger_entry other = entry_of(CONTENT_A, 0);
    assert_int_equal(claim(&mine), LEDGER_TAKEN_OVER);
    assert_int_equal(claim(&other), LEDGER_WAIT);
}

static void ledger_claim__never_skips_what_is_in_progress(void **state)
{
    (void)state;
    flush();
    struct ledger_entry holder = entry_of(CONTENT_A, 3);
    assert_int_equal(claim(&holder), LEDGER_GRANTED);
    for (int round = 3; round <= 5; round++) {
        struct ledger_entry other = entry_of(CONTENT_A, round);
        assert_int_equal(claim(&other), LEDGER_WAIT);
    }
    /* but the record it came from carries the unit for earlier rounds */
    struct ledger_entry earlier = entry_of(CONTENT_A, 2);
    assert_int_equal(claim(&earlier), LEDGER_DUPLICATE);
}

static void ledger_claim__of_other_content_is_a_conflict(void **state)
{
    static const char *const records[] = {"SET " KEY " P|x|1|0|" CONTENT_A "|1",
                                          "SET " KEY " P|x|99999999999999|0|" CONTENT_A
                                          "|1",
                                          "SET " KEY " D|200|1|" CONTENT_A,
                                          "SET " KEY " K|1|1|" CONTENT_A};
    (void)state;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        flush();
        assert_int_equal(ask(redis, records[i]).rc, 0);
        struct ledger_entry mine = entry_of(CONTENT_B, 1);
        assert_int_equal(claim(&mine), LEDGER_CONFLICT);
        assert_string_equal(ask(redis, "GET " KEY).text,
                            records[i] + strlen("SET " KEY " "));
    }
}

static void ledger_claim__of_unknown_content_is_no_conflict(void **state)
{
    (void)state;
    flush();
    struct ledger_entry unknown = entry_of("", 0);
    struct ledger_entry known = entry_of(CONTENT_B, 0);
    int rc = 1;
    assert_int_equal(ask(redis, "SET " KEY " D|200|1|" CONTENT_A).rc, 0);
    assert_int_equal(claim(&unknown), LEDGER_DUPLICATE);
    ledger_done(ledger, &unknown, 200, told, &rc);
    assert_int_equal(claim(&known), LEDGER_DUPLICATE);
    assert_int_equal(rc, 0);
}

static void ledger_claim__follows_rounds(void **state)
{
    (void)state;
    for (int parked = 1; parked <= 3; parked++) {
        for (int round = 0; round <= 4; round++) {
            flush();
            struct ledger_entry first = entry_of(CONTENT_A, 0);
            struct ledger_entry later = entry_of(CONTENT_A, round);
            assert_int_equal(claim(&first), LEDGER_GRANTED);
            park(&first, parked);
            assert_int_equal(claim(&later),
                             round < parked ? LEDGER_DUPLICATE : LEDGER_GRANTED);
        }
    }
}

static void ledger_claim__of_a_dead_unit_needs_a_redrive(void **state)
{
    (void)state;
    flush();
    struct ledger_entry first = entry_of(CONTENT_A, 0);
    struct ledger_entry retry = entry_of(CONTENT_A, 1);
    struct ledger_entry redriven = entry_of(CONTENT_A, LEDGER_DEAD_ROUND);
    assert_int_equal(claim(&first), LEDGER_GRANTED);
    park(&first, LEDGER_DEAD_ROUND);
    assert_int_equal(claim(&retry), LEDGER_DUPLICATE);
    assert_int_equal(claim(&redriven), LEDGER_GRANTED);
}

static struct ledger_record look(const struct ledger_entry *entry)
{
    struct ledger_record record = {.round = -1};
    assert_int_equal(ledger_look(ledger, entry, 1, &record), 0);
    return record;
}

static void ledger_look__tells_and_touches_nothing(void **state)
{
    (void)state;
    flush();
    int rc = 1;
    struct ledger_entry unit = entry_of(CONTENT_A, 3);
    assert_int_equal(look(&unit).state, LEDGER_NONE);
    assert_int_equal(claim(&unit), LEDGER_GRANTED);
    assert_int_equal(look(&unit).state, LEDGER_HELD);
    assert_int_equal(look(&unit).round, 3);
    assert_int_equal(claim(&unit), LEDGER_GRANTED); /* its token is still there */
    park(&unit, LEDGER_DEAD_ROUND + 2);
    struct ledger_record parked = look(&unit);
    assert_int_equal(parked.state, LEDGER_PARKED);
    assert_int_equal(parked.round, LEDGER_DEAD_ROUND + 2);
    assert_true(parked.at_ms > 0);
    ledger_done(ledger, &unit, 200, told, &rc);
    struct ledger_entry again = entry_of(CONTENT_A, LEDGER_DEAD_ROUND + 2);
    assert_int_equal(claim(&again), LEDGER_DUPLICATE);
    assert_int_equal(look(&unit).state, LEDGER_DONE);
    assert_true(look(&unit).at_ms > 0);
}

static void ledger_claim__takes_a_whole_batch(void **state)
{
    enum { N = 500 };
    static char identities[N][33];
    static struct ledger_entry entries[N];
    static struct ledger_entry *pointers[N];
    (void)state;
    flush();
    for (int i = 0; i < N; i++) {
        snprintf(identities[i], sizeof identities[i], "%032x", i);
        entries[i] = entry_of(CONTENT_A, 0);
        entries[i].identity = identities[i];
        pointers[i] = &entries[i];
    }
    assert_int_equal(ledger_claim(ledger, pointers, N), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(entries[i].result, LEDGER_GRANTED);
    }
    assert_int_equal(ask(redis, "DBSIZE").integer, N);
    ledger_release(ledger, pointers, N); /* not waited for */
    int64_t until_ms = now_ms() + PATIENCE_MS;
    while (ask(redis, "DBSIZE").integer > 0 && now_ms() < until_ms) {
    }
    assert_int_equal(ask(redis, "DBSIZE").integer, 0);
    assert_int_equal(ledger_claim(ledger, pointers, 0), 0);
}

/* Units of one call, whose records differ: each gets its own answer. */
static void ledger_claim__answers_for_each_unit(void **state)
{
    static const struct {
        const char *target;
        const char *identity;
        const char *record; /* NULL: none */
        enum ledger_result result;
    } units[] = {
        {"a", "u0", NULL, LEDGER_GRANTED},
        {"a", "u1", "D|200|1|" CONTENT_A, LEDGER_DUPLICATE},
        {"a", "u2", "P|x|1|0|" CONTENT_A "|1", LEDGER_TAKEN_OVER},
        {"a", "u3", "nonsense", LEDGER_BROKEN},
        {"a", "u4", "K|3|1|" CONTENT_A, LEDGER_DUPLICATE},
        {"a", "u5", "P|x|99999999999999|0|" CONTENT_A "|1", LEDGER_WAIT},
        {"a", "u6", "D|200|1|" CONTENT_B, LEDGER_CONFLICT},
        {"a", "u7", NULL, LEDGER_GRANTED},
        {"b", "u1", NULL, LEDGER_GRANTED},
        {"b", "u0", "P|x|1|5|" CONTENT_A "|1", LEDGER_DUPLICATE},
    };
    enum { N = sizeof units / sizeof *units };
    struct ledger_entry entries[N];
    struct ledger_entry *pointers[N];
    (void)state;
    flush();
    for (int i = 0; i < N; i++) {
        char text[200];
        snprintf(text, sizeof text, "SET sluice:unit:fleet:{%s}:%s %s", units[i].target,
                 units[i].identity, units[i].record ? units[i].record : "");
        if (units[i].record) {
            assert_int_equal(ask(redis, text).rc, 0);
        }
        entries[i] = entry_of(CONTENT_A, 0);
        entries[i].target = units[i].target;
        entries[i].identity = units[i].identity;
        pointers[i] = &entries[i];
    }
    assert_int_equal(ledger_claim(ledger, pointers, N), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(entries[i].result, units[i].result);
        assert_int_equal(entries[i].wait_ms > 0, units[i].result == LEDGER_WAIT);
    }
}

/* A lease is the target's: units that differ in it do not share a call. */
static void ledger_claim__holds_each_for_its_own_lease(void **state)
{
    struct ledger_entry entries[3];
    struct ledger_entry *pointers[3];
    static const char *const identities[3] = {"u0", "u1", "u2"};
    (void)state;
    flush();
    for (int i = 0; i < 3; i++) {
        entries[i] = entry_of(CONTENT_A, 0);
        entries[i].identity = identities[i];
        entries[i].lease_ms = (i + 1) * LONG_LEASE_MS;
        pointers[i] = &entries[i];
    }
    assert_int_equal(ledger_claim(ledger, pointers, 3), 0);
    for (int i = 0; i < 3; i++) {
        struct ledger_entry other = entry_of(CONTENT_A, 0);
        other.identity = identities[i];
        assert_int_equal(claim(&other), LEDGER_WAIT);
        assert_in_range(other.wait_ms, i * LONG_LEASE_MS + 1, (i + 1) * LONG_LEASE_MS);
    }
}

static void ledger_claim__is_unknown_when_redis_refuses(void **state)
{
    (void)state;
    flush();
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    struct ledger_entry *pointer = &mine;
    int rc = 0;
    assert_int_equal(ask(redis, "CONFIG SET maxmemory 1").rc, 0);
    assert_int_equal(ledger_claim(ledger, &pointer, 1), -EIO);
    assert_int_equal(mine.result, LEDGER_UNKNOWN);
    ledger_done(ledger, &mine, 200, told, &rc);
    assert_int_equal(ask(redis, "CONFIG SET maxmemory 0").rc, 0);
    assert_int_equal(rc, -EIO);
    assert_int_equal(claim(&mine), LEDGER_GRANTED);
}

static void ledger_claim__says_when_the_key_holds_something_else(void **state)
{
    (void)state;
    flush();
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    assert_int_equal(ask(redis, "LPUSH " KEY " x").rc, 0);
    assert_int_equal(claim(&mine), LEDGER_BROKEN);
    assert_int_equal(ask(redis, "SET " KEY " x").rc, 0);
    assert_int_equal(claim(&mine), LEDGER_BROKEN);
}

static void ledger_claim__is_granted_again_after_data_loss(void **state)
{
    (void)state;
    flush();
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    struct ledger_entry other = entry_of(CONTENT_A, 0);
    assert_int_equal(claim(&mine), LEDGER_GRANTED);
    flush();
    assert_int_equal(claim(&other), LEDGER_GRANTED);
    assert_int_equal(renew(&mine), LEDGER_LOST);
}

/* ---- RENEW ---- */

static void ledger_renew__prolongs_only_what_is_ours(void **state)
{
    (void)state;
    flush();
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    struct ledger_entry other = entry_of(CONTENT_A, 0);
    mine.lease_ms = 1000;
    assert_int_equal(claim(&mine), LEDGER_GRANTED);
    int64_t first_end = mine.lease_end_boot_ms;
    mine.lease_ms = LONG_LEASE_MS;
    assert_int_equal(renew(&mine), LEDGER_GRANTED);
    assert_true(mine.lease_end_boot_ms > first_end);
    assert_int_equal(claim(&other), LEDGER_WAIT);
    assert_true(other.wait_ms > 1000);
    assert_int_equal(renew(&other), LEDGER_LOST);
    assert_int_equal(claim(&mine), LEDGER_GRANTED);
}

static void ledger_renew__sets_a_lost_record_again(void **state)
{
    (void)state;
    flush();
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    struct ledger_entry other = entry_of(CONTENT_A, 0);
    assert_int_equal(claim(&mine), LEDGER_GRANTED);
    flush();
    assert_int_equal(renew(&mine), LEDGER_GRANTED);
    assert_int_equal(claim(&other), LEDGER_WAIT);
}

static void ledger_renew__gives_way_to_facts(void **state)
{
    (void)state;
    flush();
    struct ledger_entry mine = entry_of(CONTENT_A, 1);
    assert_int_equal(claim(&mine), LEDGER_GRANTED);
    park(&mine, 2);
    assert_int_equal(renew(&mine), LEDGER_LOST);
    ledger_done(ledger, &mine, 200, NULL, NULL);
    assert_int_equal(renew(&mine), LEDGER_LOST);
    assert_int_equal(record_state(), 'D');
    /* parked as the round we work on, our claim got lost: ours again */
    flush();
    park(&mine, 1);
    assert_int_equal(renew(&mine), LEDGER_GRANTED);
}

/* ---- RELEASE ---- */

static void ledger_release__frees_only_what_is_ours(void **state)
{
    (void)state;
    flush();
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    struct ledger_entry other = entry_of(CONTENT_A, 0);
    assert_int_equal(claim(&mine), LEDGER_GRANTED);
    release(&other);
    assert_int_equal(claim(&other), LEDGER_WAIT);
    release(&mine);
    assert_int_equal(claim(&other), LEDGER_GRANTED);
    ledger_done(ledger, &other, 200, NULL, NULL);
    release(&other);
    assert_int_equal(claim(&mine), LEDGER_DUPLICATE);
}

static void ledger_release__puts_a_parked_round_back(void **state)
{
    (void)state;
    flush();
    struct ledger_entry first = entry_of(CONTENT_A, 0);
    struct ledger_entry retry = entry_of(CONTENT_A, 1);
    struct ledger_entry again = entry_of(CONTENT_A, 1);
    assert_int_equal(claim(&first), LEDGER_GRANTED);
    park(&first, 1);
    assert_int_equal(claim(&retry), LEDGER_GRANTED);
    release(&retry);
    assert_int_equal(claim(&first), LEDGER_DUPLICATE);
    assert_int_equal(claim(&again), LEDGER_GRANTED);
}

static void ledger_release__keeps_that_somebody_may_have_sent(void **state)
{
    (void)state;
    flush();
    set_abandoned(0, 1);
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    struct ledger_entry other = entry_of(CONTENT_A, 0);
    assert_int_equal(claim(&mine), LEDGER_TAKEN_OVER);
    release(&mine);
    assert_int_equal(claim(&other), LEDGER_TAKEN_OVER);
}

/* ---- DONE and PARKED ---- */

static void ledger_done__wins_over_everything(void **state)
{
    static const char *const before[] = {
        "DEL " KEY,
        "SET " KEY " P|somebody|99999999999999|0|" CONTENT_A "|1",
        "SET " KEY " K|9|1|" CONTENT_A,
        "SET " KEY " D|500|1|" CONTENT_A,
        "SET " KEY " nonsense",
    };
    (void)state;
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        flush();
        int rc = 1;
        assert_int_equal(ask(redis, before[i]).rc, 0);
        struct ledger_entry mine = entry_of(CONTENT_A, 0);
        struct ledger_entry redriven = entry_of(CONTENT_A, LEDGER_DEAD_ROUND);
        ledger_done(ledger, &mine, 204, told, &rc);
        park(&mine, 1);
        assert_int_equal(rc, 0);
        assert_int_equal(strncmp(ask(redis, "GET " KEY).text, "D|204|", 6), 0);
        assert_in_range(ask(redis, "PTTL " KEY).integer, 3000000, 3600000);
        assert_int_equal(claim(&redriven), LEDGER_DUPLICATE);
    }
}

static void ledger_done__is_recorded_after_an_outage(void **state)
{
    (void)state;
    flush();
    struct ledger_options options = {.prefix = "sluice",
                                     .group = "fleet",
                                     .done_ttl_ms = 3600000,
                                     .timeout_ms = 50};
    struct ledger *hasty = ledger_new(redis, &options);
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    struct ledger_entry *pointer = &mine;
    int rc = 0;
    int round = 1;
    redis_server_kill(&server);
    assert_int_equal(ledger_claim(hasty, &pointer, 1), -ETIMEDOUT);
    assert_int_equal(mine.result, LEDGER_UNKNOWN);
    ledger_done(hasty, &mine, 200, told, &rc);
    ledger_parked(hasty, &pointer, &round, 1);
    redis_server_launch(&server);
    struct ledger_entry again = entry_of(CONTENT_A, 0);
    assert_int_equal(claim(&again), LEDGER_DUPLICATE);
    assert_int_equal(record_state(), 'D');
    assert_int_equal(rc, -ETIMEDOUT);
    ledger_free(hasty);
}

static void ledger_parked__never_goes_back(void **state)
{
    (void)state;
    flush();
    struct ledger_entry mine = entry_of(CONTENT_A, 0);
    struct ledger_entry second = entry_of(CONTENT_A, 2);
    park(&mine, 2);
    park(&mine, 1);
    struct ledger_entry first = entry_of(CONTENT_A, 1);
    assert_int_equal(claim(&first), LEDGER_DUPLICATE);
    assert_int_equal(claim(&second), LEDGER_GRANTED);
    /* a late PARKED does not take the lease from who works on that round already */
    park(&mine, 2);
    assert_int_equal(record_state(), 'P');
    assert_int_equal(renew(&second), LEDGER_GRANTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, begin, end);
}

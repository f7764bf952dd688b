/* Orders to the fleet, over a real Redis: who writes, who obeys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>

#include "base/log.h"
#include "fleet/config.h"
#include "ops/audit.h"
#include "ops/control.h"
#include "redis_server.h"
#include "wire/json.h"

static struct redis_server server;
static struct config *config;
static struct ops_place place;
static struct control *control; /* of consumer c-1, boot 11111111 */

static int begin(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-control-XXXXXX";
    struct config_report report;
    struct err err = ERR_INIT;
    char *const no_environment[] = {NULL};
    redis_server_start(&server, false, NULL);
    int fd = mkstemp(path);
    dprintf(fd,
            "kafka: {group: g, client_id: c-1}\nredis: {url: \"%s\"}\n"
            "targets:\n  argocd: {url: http://localhost:1/}\n"
            "  devtron: {url: http://localhost:1/}\n",
            server.url);
    close(fd);
    config = config_load(path, NULL, 0, no_environment, &report);
    config_report_release(&report);
    unlink(path);
    assert_non_null(config);
    assert_int_equal(ops_place_open(&place, config, &err), 0);
    control = control_start(place.redis, config, "11111111");
    return ask(place.redis, "PING").rc;
}

static int end(void **state)
{
    (void)state;
    ops_place_close(&place);
    control_free(control);
    config_free(config);
    redis_server_stop(&server);
    return 0;
}

static bool is_paused(const struct control_orders *orders, const char *target)
{
    for (size_t i = 0; i < orders->paused_count; i++) {
        if (strcmp(orders->paused[i], target) == 0) {
            return true;
        }
    }
    return false;
}

/* Look, each time as if the pause between reads were over, until this order was read. */
static int64_t now_then;
static struct control_orders await(int64_t number)
{
    struct control_orders orders;
    int64_t until_ms = now_ms() + PATIENCE_MS;
    do {
        now_then += CONTROL_EVERY_MS;
        control_look(control, now_ms() + now_then, &orders);
        assert_true(now_ms() < until_ms);
        sched_yield();
    } while (!orders.known || orders.number < number);
    return orders;
}

static void control__a_pause_is_read_and_resumed(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct control_answer answer;
    assert_int_equal(control_pause(&place, "argocd", 0, "INC-42", &answer, &err), 0);
    assert_int_equal(answer.consumers, 0); /* nobody beats */
    struct control_orders orders = await(answer.number);
    assert_true(is_paused(&orders, "argocd"));
    assert_false(is_paused(&orders, "devtron"));
    assert_int_equal(control_resume(&place, "argocd", "", &answer, &err), 0);
    orders = await(answer.number);
    assert_int_equal(orders.paused_count, 0);
    assert_int_equal(control_resume(&place, "argocd", "", &answer, &err), -ENOENT);
}

static void control__a_pause_ends_when_its_time_is_over(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct control_answer answer;
    assert_int_equal(control_pause(&place, "argocd", 60000, "x", &answer, &err), 0);
    now_then = 0;
    struct control_orders orders = await(answer.number);
    assert_true(is_paused(&orders, "argocd"));
    redis_server_kill(&server); /* what was read last holds, and so does its end */
    control_look(control, now_ms() + 30000, &orders);
    assert_true(is_paused(&orders, "argocd"));
    control_look(control, now_ms() + 120000, &orders);
    assert_false(is_paused(&orders, "argocd"));
}

static void control__an_unknown_target_gets_a_hint(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct control_answer answer;
    assert_int_equal(control_pause(&place, "argcd", 0, "x", &answer, &err), -EINVAL);
    assert_non_null(strstr(err.text, "did you mean argocd?"));
    assert_int_equal(control_pause(&place, "argocd", 0, "", &answer, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--reason"));
}

static void control__a_reload_of_before_the_start_is_none(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct control_answer answer;
    assert_int_equal(control_reload(&place, "old", &answer, &err), 0);
    struct control_orders orders = await(1);
    assert_int_equal(orders.reload, 0);
    assert_int_equal(control_reload(&place, "INC-43", &answer, &err), 0);
    orders = await(2);
    assert_int_equal(orders.reload, answer.number);
    assert_string_equal(orders.why, "INC-43");
    assert_string_equal(orders.who, place.who);
}

/* As a heartbeat would. */
static void beat(const char *id, const char *boot)
{
    char text[256];
    snprintf(text, sizeof text,
             "HSET sluice:ops:{g}:beats %s {\"id\":\"%s\",\"boot\":\"%s\"}", id, id,
             boot);
    assert_int_equal(ask(place.redis, text).rc, 0);
    snprintf(text, sizeof text, "ZADD sluice:ops:{g}:beat-times %lld %s",
             (long long)now_wall_ms(), id);
    assert_int_equal(ask(place.redis, text).rc, 0);
}

static void control__a_drain_is_for_one_life_of_a_consumer(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct control_answer answer;
    assert_int_equal(control_drain(&place, "c-1", false, "", &answer, &err), -EINVAL);
    beat("c-1", "00000000"); /* an earlier life */
    assert_int_equal(control_drain(&place, "c-1", false, "", &answer, &err), 0);
    assert_false(await(answer.number).drain);
    beat("c-1", "11111111");
    assert_int_equal(control_drain(&place, NULL, false, "", &answer, &err), 0);
    assert_int_equal(answer.consumers, 1);
    assert_true(await(answer.number).drain);
    assert_int_equal(control_drain(&place, "c-1", true, "", &answer, &err), 0);
    assert_false(await(answer.number).drain);
    assert_int_equal(control_drain(&place, "c-2", false, "", &answer, &err), -EINVAL);
    assert_non_null(strstr(err.text, "did you mean c-1?"));
}

static void outcome(void *arg, const char *consumer, bool taken, const char *text)
{
    snprintf(arg, 128, "%s %d %s", consumer, taken, text);
}

static void control__an_outcome_is_told_for_its_own_reload_only(void **state)
{
    (void)state;
    char said[128] = "";
    struct err err = ERR_INIT;
    beat("c-1", "11111111");
    control_reloaded(control, 7, true, "1 target added");
    assert_int_equal(control_outcomes(&place, 7, outcome, said, &err), 0);
    assert_string_equal(said, "c-1 1 1 target added");
    assert_int_equal(control_outcomes(&place, 8, outcome, said, &err), 0);
    assert_string_equal(said, "c-1 0 ");
    control_stop(control);
    assert_int_equal(control_outcomes(&place, 7, outcome, said, &err), 0);
    assert_string_equal(said, "c-1 0 ");
}

static void control__who_has_obeyed_is_counted(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct control_answer answer;
    beat("c-1", "11111111");
    beat("c-2", "22222222");
    control_obeyed(control, 1); /* the number the next order will have */
    assert_int_equal(control_pause(&place, "argocd", 0, "x", &answer, &err), 0);
    assert_int_equal(answer.consumers, 2);
    assert_int_equal(answer.obeyed, 1);
}

static struct json_object *acts_now(void)
{
    struct json_object *acts;
    assert_int_equal(control_acts(&place, now_ms() + PATIENCE_MS, &acts, NULL), 0);
    return acts;
}

/* Nobody waits: the order is given all the same, and how it is obeyed can be asked for.
 */
static void control__an_order_nobody_waits_for_is_given_and_told_of(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct control_answer answer;
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    beat("c-1", "11111111");
    ctx_cancel(ctx);
    place.ctx = ctx;
    assert_int_equal(control_pause(&place, "argocd", 0, "INC-42", &answer, &err), 0);
    assert_int_equal(answer.obeyed, 0);
    place.ctx = NULL;
    struct control_orders orders = await(answer.number);
    assert_true(is_paused(&orders, "argocd"));
    struct json_object *acts = acts_now();
    assert_string_equal(json_text_or(acts, "/0/kind", ""), "pause");
    assert_string_equal(json_text_or(acts, "/0/what", ""), "argocd");
    assert_string_equal(json_text_or(acts, "/0/why", ""), "INC-42");
    assert_string_equal(json_text_or(acts, "/0/who", ""), place.who);
    assert_int_equal(json_number_or(acts, "/0/consumers", -1), 1);
    assert_int_equal(json_number_or(acts, "/0/obeyed", -1), 0);
    json_free(acts);
    control_obeyed(control, answer.number);
    acts = acts_now();
    assert_int_equal(json_number_or(acts, "/0/obeyed", -1), 1);
    json_free(acts);
    ctx_free(ctx);
}

static void control__drains_no_further_consumer_when_nobody_waits(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct control_answer answer;
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    beat("c-1", "11111111");
    beat("c-2", "22222222");
    ctx_cancel(ctx);
    place.ctx = ctx;
    assert_int_equal(control_drain(&place, NULL, false, "", &answer, &err), -ECANCELED);
    assert_non_null(strstr(err.text, "0 of 2 consumers were told"));
    place.ctx = NULL;
    struct json_object *acts = acts_now();
    assert_int_equal(json_object_array_length(acts), 0);
    json_free(acts);
    assert_int_equal(ask(place.redis, "HLEN sluice:ops:{g}:control").integer, 0);
    ctx_free(ctx);
}

static void control__keeps_so_many_acts_newest_first(void **state)
{
    (void)state;
    for (int i = 0; i < AUDIT_ACTS_MAX + 5; i++) {
        char what[16];
        snprintf(what, sizeof what, "t-%d", i);
        audit_write(&place, &(struct audit){.kind = "replay", .what = what, .text = "x"});
    }
    struct json_object *acts = acts_now();
    assert_int_equal(json_object_array_length(acts), AUDIT_ACTS_MAX);
    assert_string_equal(json_text_or(acts, "/0/what", ""), "t-104");
    assert_null(json_at(acts, "/0/obeyed")); /* it was no order */
    assert_true(ask(place.redis, "PTTL sluice:ops:{g}:acts").integer > 0);
    json_free(acts);
}

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    const struct CMUnitTest tests[] = {
#undef cmocka_unit_test
#define cmocka_unit_test(f) cmocka_unit_test_setup_teardown(f, begin, end)
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

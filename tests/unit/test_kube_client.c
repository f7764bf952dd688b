/* kube/client: what is sent, what an answer means, and what is sent again. */
#include "kube_cluster.h"

/* Get once and compare the end; the sentence holds `words` and never the token. */
static void check(struct cluster *c, const char *path, int rc, enum kube_end end,
                  int status, const char *words)
{
    struct kube_call call;
    assert_int_equal(cluster_get(c, path, &call), rc);
    if (call.end != end || call.status != status || !strstr(call.err.text, words)) {
        fail_msg("end %d status %d \"%s\"; expected %d %d \"%s\"", call.end, call.status,
                 call.err.text, end, status, words);
    }
    assert_null(strstr(call.err.text, "s3cret"));
    kube_call_release(&call);
}

static void kube_client__a_document_is_read_as_who_we_are(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: s3cret");
    struct kube_call call;
    cluster_on(c, "GET /api/v1/nodes/n*", 200, "{\"kind\":\"Node\"}");
    assert_int_equal(cluster_get(c, "/api/v1/nodes/n1", &call), 0);
    assert_string_equal(json_text_or(call.doc, "/kind", ""), "Node");
    assert_string_equal(cluster_look(c)->log[0], "GET /api/v1/nodes/n1 [Bearer s3cret]");
    kube_call_release(&call);
    cluster_stop(c);
}

static void kube_client__a_user_and_password_are_sent(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("username: me, password: s3cret");
    check(c, "/x", -ENOENT, KUBE_ANSWERED, 404, "404 NotFound: it is not here");
    assert_string_equal(cluster_look(c)->log[0], "GET /x [Basic bWU6czNjcmV0]");
    cluster_stop(c);
}

static void kube_client__a_path_before_the_api_stays(void **state)
{
    (void)state;
    static const char *const tails[] = {"/k8s/clusters/c-1", "/k8s/clusters/c-1/"};
    for (size_t i = 0; i < 2; i++) {
        struct cluster *c = cluster_start(NULL);
        struct kube_call call;
        cluster_config(c, "token: t", tails[i]);
        cluster_open(c);
        cluster_on(c, "*", 200, NULL);
        assert_int_equal(cluster_get(c, "/api/v1/nodes", &call), 0);
        assert_string_equal(cluster_look(c)->log[0],
                            "GET /k8s/clusters/c-1/api/v1/nodes [Bearer t]");
        assert_string_equal(kube_namespace(c->kube), "mine");
        kube_call_release(&call);
        cluster_stop(c);
    }
}

static const struct {
    int status;
    const char *body;
    int rc;
    enum kube_end end;
    const char *words;
} answers[] = {
    {401, "{\"message\":\"Unauthorized\",\"reason\":\"Unauthorized\"}", -EACCES,
     KUBE_ANSWERED, "401 Unauthorized: Unauthorized; the cluster does not know who"},
    {403, "{\"message\":\"nodes is forbidden: User u\",\"reason\":\"Forbidden\"}",
     -EACCES, KUBE_ANSWERED, "403 Forbidden: nodes is forbidden: User u; the cluster"},
    {403, "echo s3cret-and-more", -EACCES, KUBE_ANSWERED, "403: (it repeats our"},
    {404, "404 page not found\n", -ENOENT, KUBE_ANSWERED, "404: 404 page not found"},
    {410, "{\"reason\":\"Expired\"}", -ENOENT, KUBE_ANSWERED, "410 Expired"},
    {409, "{\"reason\":\"Conflict\"}", -EAGAIN, KUBE_ANSWERED, "409 Conflict"},
    {422, "{\"reason\":\"Invalid\",\"message\":\"a\\nb\\u001b[2J\"}", -EINVAL,
     KUBE_ANSWERED, "422 Invalid: a b?[2J"},
    {429, "{\"reason\":\"TooManyRequests\"}", -EAGAIN, KUBE_ANSWERED, "429 TooMany"},
    {500, "[1]", -EAGAIN, KUBE_ANSWERED, "500"},
    {503, "", -EAGAIN, KUBE_ANSWERED, "503"},
    {302, "", -EINVAL, KUBE_ANSWERED, "an API server does not answer so"},
    {200, "{\"kind\":\"Node\"", -EPROTO, KUBE_GARBLED, "what is no JSON"},
    {200, "<html>", -EPROTO, KUBE_GARBLED, "what is no JSON (application/json)"},
    {200, "", -EPROTO, KUBE_GARBLED, "what is no JSON"},
};

static void kube_client__each_answer_means_one_thing(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: s3cret");
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        c->act_count = 0;
        cluster_on(c, "*", answers[i].status, answers[i].body);
        check(c, "/x", answers[i].rc, answers[i].end, answers[i].status,
              answers[i].words);
    }
    assert_int_equal(cluster_look(c)->asked, sizeof answers / sizeof answers[0]);
    cluster_stop(c);
}

static void kube_client__a_text_is_given_as_it_is(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    struct kube_call call = {.path = "/livez", .plain = true, .ctx = ctx};
    cluster_on(c, "*", 200, "ok");
    assert_int_equal(kube_do(c->kube, &call), 0);
    assert_string_equal(call.text, "ok");
    assert_null(call.doc);
    kube_call_release(&call);
    ctx_free(ctx);
    cluster_stop(c);
}

static void kube_client__a_text_refused_by_a_status_says_so(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    struct kube_call call = {.path = "/livez", .plain = true, .ctx = ctx};
    cluster_on(c, "*", 403, "{\"reason\":\"Forbidden\",\"message\":\"not you\"}");
    assert_int_equal(kube_do(c->kube, &call), -EACCES);
    assert_has(call.err.text, "GET /livez: 403 Forbidden: not you; the cluster knows us");
    assert_has(call.text, "\"not you\"");
    kube_call_release(&call);
    ctx_free(ctx);
    cluster_stop(c);
}

/* Each of 100 Deployments as it is in a cluster: who manages which field is a tree of
 * empty objects, half of the text. */
static void kube_client__a_list_with_managed_fields_is_read(void **state)
{
    (void)state;
    static const char *const fields[] =
        {"progressDeadlineSeconds", "replicas",  "selector", "terminationMessagePath",
         "imagePullPolicy",         "dnsPolicy", "type",     "env"};
    struct cluster *c = cluster_start("token: s3cret");
    struct kube_call call;
    struct str list;
    str_init(&list);
    for (int i = 0; i < 100; i++) {
        str_add(&list, i > 0 ? "," : "{\"items\":[");
        str_addf(&list, "{\"spec\":{\"text\":\"%01200d\"},\"metadata\":{", i);
        for (int k = 0; k < 80; k++) {
            str_addf(&list, "%s\"f:%d:%s\":{}", k > 0 ? "," : "\"managedFields\":[{", k,
                     fields[k % 8]);
        }
        str_add(&list, "}]}}");
    }
    str_add(&list, "]}");
    cluster_on(c, "*", 200, list.data);
    assert_int_equal(cluster_get(c, "/x", &call), 0);
    assert_string_equal(call.err.text, "");
    assert_int_equal(json_object_array_length(json_at(call.doc, "/items")), 100);
    kube_call_release(&call);
    cluster_stop(c);
    str_release(&list);
}

/* Who shows the text does not know what must not be shown. */
static void kube_client__a_text_does_not_repeat_our_credential(void **state)
{
    (void)state;
    static const char *const bodies[] = {"[-]auth failed: Bearer s3c/ret",
                                         "{\"message\":\"no: s3c\\/ret\"}"};
    struct cluster *c = cluster_start("token: s3c/ret");
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    for (size_t i = 0; i < 2; i++) {
        struct kube_call call = {.path = "/livez", .plain = true, .ctx = ctx};
        c->act_count = 0;
        cluster_on(c, "*", 401, bodies[i]);
        assert_int_equal(kube_do(c->kube, &call), -EACCES);
        assert_string_equal(call.text, "(it repeats our credential)");
        assert_null(strstr(call.err.text, "ret"));
        kube_call_release(&call);
    }
    ctx_free(ctx);
    cluster_stop(c);
}

static void kube_client__an_answer_longer_than_allowed_is_garbled(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    struct kube_call call = {.path = "/x", .answer_max = 10, .ctx = ctx};
    cluster_on(c, "*", 200, "{\"a\":\"0123456789\"}");
    assert_int_equal(kube_do(c->kube, &call), -EPROTO);
    assert_int_equal(call.end, KUBE_GARBLED);
    assert_has(call.err.text, "longer than it may be");
    kube_call_release(&call);
    ctx_free(ctx);
    cluster_stop(c);
}

static void kube_client__a_patch_says_what_it_is(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    struct kube_call call = {.method = "PATCH",
                             .path = "/apis/apps/v1/namespaces/a/deployments/b",
                             .query = "fieldManager=sluice",
                             .content_type = "application/merge-patch+json",
                             .body = "{}",
                             .body_len = 2,
                             .ctx = ctx};
    cluster_on(c, "PATCH *", 200, "{}");
    assert_int_equal(kube_do(c->kube, &call), 0);
    kube_call_release(&call);
    ctx_free(ctx);
    cluster_stop(c);
}

/* --- what is sent again --- */

static void kube_client__told_to_come_again_it_does(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct kube_call call;
    cluster_add(c, (struct act){"*", 429, "{}", {"Retry-After", "0"}, 2});
    cluster_add(c, (struct act){"*", 503, "{}", {"Retry-After", "0"}, 1});
    cluster_on(c, "*", 200, "{}");
    assert_int_equal(cluster_get(c, "/x", &call), 0);
    assert_int_equal(cluster_look(c)->asked, 4);
    kube_call_release(&call);
    cluster_stop(c);
}

/* Later than the deadline is not worth waiting for: the answer is given as it is. */
static void kube_client__told_to_come_too_late_it_says_so(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct kube_call call;
    cluster_add(c, (struct act){"*", 429, "{}", {"Retry-After", "3600"}, 0});
    assert_int_equal(cluster_get(c, "/x", &call), -EAGAIN);
    assert_int_equal(call.status, 429);
    assert_int_equal(call.retry_after_ms, 3600 * 1000);
    assert_int_equal(cluster_look(c)->asked, 1);
    kube_call_release(&call);
    cluster_stop(c);
}

static void kube_client__what_changes_things_is_sent_once(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    struct kube_call call = {.method = "PATCH", .path = "/x", .ctx = ctx};
    cluster_add(c, (struct act){"*", 429, "{}", {"Retry-After", "0"}, 1});
    cluster_add(c, (struct act){"*", -2, NULL, {NULL, NULL}, 1});
    cluster_on(c, "*", 200, NULL);
    assert_int_equal(kube_do(c->kube, &call), -EAGAIN);
    kube_call_release(&call);
    assert_int_equal(kube_do(c->kube, &call), -EIO);
    assert_int_equal(call.end, KUBE_NOT_REACHED);
    assert_int_equal(cluster_look(c)->asked, 2);
    kube_call_release(&call);
    ctx_free(ctx);
    cluster_stop(c);
}

static void kube_client__a_get_outlives_one_broken_connection(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct kube_call call;
    cluster_add(c, (struct act){"*", -2, NULL, {NULL, NULL}, 1});
    cluster_add(c, (struct act){"*", 200, NULL, {NULL, NULL}, 1});
    cluster_on(c, "*", -2, NULL);
    assert_int_equal(cluster_get(c, "/x", &call), 0);
    assert_int_equal(cluster_look(c)->asked, 2);
    kube_call_release(&call);
    check(c, "/x", -EIO, KUBE_NOT_REACHED, 0, "cluster test: GET /x: ");
    assert_int_equal(cluster_look(c)->asked, 4);
    cluster_stop(c);
}

/* --- credentials that rotate --- */

static void rotate(struct cluster *c)
{
    cluster_write(c, "token", "second\n");
    c->before = NULL;
}

/* The token changes after the call was sent: the 401 is no end. */
static void kube_client__a_token_that_rotates_costs_no_call(void **state)
{
    (void)state;
    struct cluster *c = cluster_start(NULL);
    struct kube_call call;
    cluster_write(c, "token", "first\n");
    cluster_config(c, "tokenFile: token", "");
    cluster_open(c);
    cluster_on(c, "*[[]Bearer first]", 401, "{}");
    cluster_on(c, "*[[]Bearer second]", 200, "{}");
    c->before = rotate;
    assert_int_equal(cluster_get(c, "/x", &call), 0);
    assert_int_equal(cluster_look(c)->asked, 2);
    kube_call_release(&call);
    cluster_stop(c);
}

static void kube_client__an_old_token_is_refused_once(void **state)
{
    (void)state;
    struct cluster *c = cluster_start(NULL);
    cluster_write(c, "token", "s3cret\n");
    cluster_config(c, "tokenFile: token", "");
    cluster_open(c);
    cluster_on(c, "*", 401, "{\"message\":\"no\"}");
    check(c, "/x", -EACCES, KUBE_ANSWERED, 401, "401: no");
    assert_int_equal(cluster_look(c)->asked, 1);
    cluster_stop(c);
}

static void spoil(struct cluster *c)
{
    cluster_write(c, "token", "two words\n");
    c->before = NULL;
}

static void kube_client__a_spoilt_token_file_leaves_what_we_have(void **state)
{
    (void)state;
    struct cluster *c = cluster_start(NULL);
    cluster_write(c, "token", "s3cret\n");
    cluster_config(c, "tokenFile: token", "");
    cluster_open(c);
    cluster_add(c, (struct act){"*", 401, "{\"message\":\"no\"}", {NULL, NULL}, 1});
    cluster_on(c, "*[[]Bearer s3cret]", 403, "{}");
    c->before = spoil;
    check(c, "/x", -EACCES, KUBE_ANSWERED, 401, "401: no");
    check(c, "/x", -EACCES, KUBE_ANSWERED, 403, "403");
    cluster_stop(c);
}

/* --- the ctx --- */

static void kube_client__a_deadline_ends_a_call(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    struct ctx *ctx = ctx_new(NULL, now_ms() + 50);
    struct kube_call call = {.path = "/x", .ctx = ctx};
    cluster_on(c, "*", -1, NULL);
    assert_int_equal(kube_do(c->kube, &call), -ETIMEDOUT);
    assert_int_equal(call.end, KUBE_TIMED_OUT);
    assert_has(call.err.text, "no answer within the deadline");
    kube_call_release(&call);
    ctx_free(ctx);
    cluster_stop(c);
}

static struct ctx *leaving;

static void leave(struct cluster *c)
{
    (void)c;
    ctx_cancel(leaving);
}

static void kube_client__a_cancel_ends_a_call_on_the_wire(void **state)
{
    (void)state;
    struct cluster *c = cluster_start("token: t");
    leaving = ctx_new(NULL, NOW_FOREVER);
    struct kube_call call = {.path = "/x", .ctx = leaving};
    c->before = leave;
    c->hold_all = true;
    assert_int_equal(kube_do(c->kube, &call), -ECANCELED);
    assert_int_equal(call.end, KUBE_CANCELLED);
    await(&c->server, &c->server.aborted, 1); /* the server sees it leave */
    kube_call_release(&call);
    ctx_free(leaving);
    cluster_stop(c);
}

/* --- the rate --- */

struct started {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int ended;
};

static void count_end(struct kube_call *call)
{
    struct started *s = call->arg;
    MUST(pthread_mutex_lock(&s->mu));
    s->ended++;
    MUST(pthread_cond_signal(&s->cond));
    MUST(pthread_mutex_unlock(&s->mu));
}

static void wait_ended(struct started *s, int n)
{
    MUST(pthread_mutex_lock(&s->mu));
    while (s->ended < n) {
        MUST(pthread_cond_wait(&s->cond, &s->mu));
    }
    MUST(pthread_mutex_unlock(&s->mu));
}

/* Of 5 calls at once 3 go out; those in debt would start at one in 1000 s. */
static void kube_client__no_more_than_the_burst_goes_out_at_once(void **state)
{
    (void)state;
    struct cluster *c = cluster_start(NULL);
    struct err err = ERR_INIT;
    struct started s = {.ended = 0};
    struct kube_call calls[5];
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    cluster_config(c, "token: t", "");
    struct kube_options options = cluster_options(c);
    options.rate_per_s = 0.001;
    options.burst = 3;
    c->kube = kube_open(c->http, &options, &err);
    assert_non_null(c->kube);
    cluster_on(c, "*", 200, NULL);
    MUST(pthread_mutex_init(&s.mu, NULL));
    MUST(pthread_cond_init(&s.cond, NULL));
    for (int i = 0; i < 5; i++) {
        calls[i] =
            (struct kube_call){.path = "/x", .ctx = ctx, .done = count_end, .arg = &s};
        kube_start(c->kube, &calls[i]);
    }
    wait_ended(&s, 3);
    ctx_cancel(ctx);
    wait_ended(&s, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(calls[i].rc, i < 3 ? 0 : -ECANCELED);
        kube_call_release(&calls[i]);
    }
    assert_int_equal(cluster_look(c)->asked, 3);
    MUST(pthread_cond_destroy(&s.cond));
    MUST(pthread_mutex_destroy(&s.mu));
    ctx_free(ctx);
    cluster_stop(c);
}

/* Those who leave before their turn take no turn: 40 s of them are gone with them. */
static void kube_client__who_leaves_the_queue_holds_up_nobody(void **state)
{
    (void)state;
    enum { LEAVERS = 400 };
    struct cluster *c = cluster_start(NULL);
    struct err err = ERR_INIT;
    struct started s = {.ended = 0};
    struct kube_call *calls = mem_array(LEAVERS, sizeof calls[0]);
    struct kube_call last;
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    cluster_config(c, "token: t", "");
    struct kube_options options = cluster_options(c);
    options.rate_per_s = 10;
    options.burst = 1;
    c->kube = kube_open(c->http, &options, &err);
    cluster_on(c, "*", 200, NULL);
    MUST(pthread_mutex_init(&s.mu, NULL));
    MUST(pthread_cond_init(&s.cond, NULL));
    for (int i = 0; i < LEAVERS; i++) {
        calls[i] =
            (struct kube_call){.path = "/x", .ctx = ctx, .done = count_end, .arg = &s};
        kube_start(c->kube, &calls[i]);
    }
    ctx_cancel(ctx);
    wait_ended(&s, LEAVERS);
    assert_int_equal(cluster_get(c, "/x", &last), 0);
    kube_call_release(&last);
    for (int i = 0; i < LEAVERS; i++) {
        kube_call_release(&calls[i]);
    }
    free(calls);
    MUST(pthread_cond_destroy(&s.cond));
    MUST(pthread_mutex_destroy(&s.mu));
    ctx_free(ctx);
    cluster_stop(c);
}

/* --- where a server is --- */

static void kube_client__a_server_may_have_an_ipv6_address(void **state)
{
    (void)state;
    struct cluster *c = cluster_start(NULL);
    struct server six;
    struct err err = ERR_INIT;
    char text[256];
    server_init(&six, reply_hello);
    struct httpd_options options = options_of(&six);
    options.address = "::1";
    six.httpd = httpd_start(&options, &err);
    if (six.httpd != NULL) { /* a machine may have no IPv6 */
        snprintf(text, sizeof text,
                 "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n"
                 "clusters: [{name: c, cluster: {server: \"http://[::1]:%d\"}}]\n",
                 httpd_port(six.httpd));
        cluster_write(c, "config", text);
        cluster_open(c);
        check(c, "/x", -EPROTO, KUBE_GARBLED, 202, "no JSON (text/plain)");
        httpd_stop(six.httpd);
    }
    server_release(&six);
    cluster_stop(c);
}

static void kube_client__who_is_not_there_is_not_reached(void **state)
{
    (void)state;
    struct cluster *c = cluster_start(NULL);
    struct err err = ERR_INIT;
    cluster_write(c, "config",
                  "current-context: a\n"
                  "clusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]\n"
                  "contexts: [{name: a, context: {cluster: c}}]\n");
    struct kube_options options = cluster_options(c);
    c->kube = kube_open(c->http, &options, &err);
    assert_non_null(c->kube);
    check(c, "/x", -EIO, KUBE_NOT_REACHED, 0, "cluster test: GET /x: connect: ");
    cluster_stop(c);
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

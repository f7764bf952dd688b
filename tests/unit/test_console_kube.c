/* GET /api/v1/manifests: what is shown to whom, and that it ends with its reader. */
#include "kube_cluster.h"

#include "../../consumer/console/console_api.h"

#define TOKEN_A "0123456789abcdef0123456789abcdea"
#define TOKEN_B "0123456789abcdef0123456789abcdeb"
#define TOKEN_C "0123456789abcdef0123456789abcdec"

static struct cluster *cluster;
static struct server console;
static struct config *config;
static struct console_api api;

static void serve(struct server *s, struct httpd_request *r)
{
    (void)s;
    assert_true(console_api_serve(&api, r));
}

static void on_left(void *arg, struct httpd_request *r)
{
    jobs_abort(api.jobs, r);
    count_aborted(arg);
}

static void configure(const char *more)
{
    static char *environment[] = {(char *)"A=" TOKEN_A, (char *)"B=" TOKEN_B,
                                  (char *)"C=" TOKEN_C, NULL};
    char text[1024];
    char path[128];
    struct config_report report;
    struct err err = ERR_INIT;
    snprintf(text, sizeof text,
             "redis: {url: \"unix:///nonexistent/redis.sock\"}\n"
             "targets: {t: {url: \"http://localhost:1/x\"}}\n"
             "clusters: {c: {kubeconfig: %s}, d: {virtual: true}}\n%s",
             cluster->config, more);
    cluster_write(cluster, "sluice.yaml", text);
    snprintf(path, sizeof path, "%s/sluice.yaml", cluster->folder);
    config = config_load(path, NULL, 0, environment, &report);
    for (size_t i = 0; i < report.count && config == NULL; i++) {
        print_message("%s %s\n", report.items[i].where, report.items[i].text);
    }
    config_report_release(&report);
    assert_non_null(config);
    assert_int_equal(config_load_secrets(config, environment, &err), 0);
}

/* more  of the configuration. */
static void begin(const char *more)
{
    struct err err = ERR_INIT;
    cluster = cluster_start(NULL);
    cluster_config(cluster, "token: t", "");
    configure(more);
    const struct guard_options who = {.config = config, .console = true};
    api = (struct console_api){.config = config,
                               .guard = guard_new(&who, &err),
                               .jobs = jobs_start(config, &err),
                               .kube = kube_reader_start(config)};
    assert_string_equal(err.text, "");
    server_init(&console, serve);
    struct httpd_options options = options_of(&console);
    options.aborted = on_left;
    console.httpd = httpd_start(&options, &err);
    assert_non_null(console.httpd);
}

static void end(void)
{
    server_stop(&console);
    jobs_stop(api.jobs);
    kube_reader_stop(api.kube);
    guard_free(api.guard);
    config_free(config);
    cluster_stop(cluster);
}

static char *get(const char *query, const char *token, const char *until)
{
    struct str request;
    str_init(&request);
    str_addf(&request, "GET /api/v1/manifests?%s HTTP/1.1\r\nHost: a\r\n%s%s%s\r\n",
             query, token != NULL ? "Authorization: Bearer " : "",
             token != NULL ? token : "", token != NULL ? "\r\n" : "");
    char *answer = ask(httpd_port(console.httpd), request.data, until);
    str_release(&request);
    return answer;
}

static void check(const char *query, const char *token, const char *const *parts)
{
    char *answer = get(query, token, "}\n");
    for (; *parts != NULL; parts++) {
        assert_has(answer, *parts);
    }
    free(answer);
}

static void console_kube__objects_are_shown_in_their_order(void **state)
{
    (void)state;
    static const char *const shown[] =
        {"HTTP/1.1 200",
         "\"ok\":1,",
         "[{\"ref\":\"v1/Node/a\",\"cluster\":\"c\",\"status\":\"missing\",\"http\":404,",
         "{\"ref\":\"v1/Node/b\",\"cluster\":\"c\",\"status\":\"ok\",\"http\":200,",
         "\"manifest\":{\"kind\":\"Node\"}}]",
         NULL};
    begin("");
    cluster_on(cluster, "GET /api/v1/nodes/b *", 200, "{\"kind\":\"Node\"}");
    check("cluster=c&ref=v1/Node/a&ref=v1%2FNode%2Fb&width=2&timeout=5s", NULL, shown);
    end();
}

static void console_kube__a_secret_is_not_even_asked_for(void **state)
{
    (void)state;
    static const char *const shown[] = {"\"status\":\"refused\"",
                                        "a Secret is not shown here", NULL};
    begin("");
    cluster_on(cluster, "*", 200, "{\"data\":{\"password\":\"c2VjcmV0\"}}");
    check("ref=c:v1/Secret/a/b", NULL, shown);
    assert_int_equal(cluster_look(cluster)->asked, 0);
    end();
}

static const struct {
    const char *query;
    const char *words;
} bad[] = {
    {"", "ref: expected 1 to 256 of them"},
    {"ref=x&cluster=c", "names no object"},
    {"ref=v1/Node/a", "several clusters, name one: c, d"},
    {"ref=v1/Node/a&cluster=e", "no cluster"},
    {"ref=v1/Node/a&cluster=%FF%1b", "no cluster \\\"\xEF\xBF\xBD?\\\""},
    {"ref=v1/Node/a&cluster=c&width=65", "width: expected a number from 1 to 64"},
    {"ref=v1/Node/a&cluster=c&timeout=5", "timeout: expected a duration"},
};

static void console_kube__a_wrong_question_asks_nobody(void **state)
{
    (void)state;
    begin("");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *parts[] = {"HTTP/1.1 400", bad[i].words, NULL};
        check(bad[i].query, NULL, parts);
    }
    assert_int_equal(cluster_look(cluster)->asked, 0);
    end();
}

/* --- who may --- */

static void console_kube__a_cluster_wants_its_own_right(void **state)
{
    (void)state;
    static const char *const shown[] = {"HTTP/1.1 200", "\"status\":\"ok\"", NULL};
    static const char *const denied[] = {"HTTP/1.1 403", NULL};
    static const char *const unknown[] = {"HTTP/1.1 401", NULL};
    begin("secrets: {a: {env: A}, b: {env: B}, c: {env: C}}\n"
          "tokens: {a: {secret: a, roles: [kube]}, b: {secret: b, roles: [all-else]},\n"
          "         c: {secret: c, roles: [reader]}}\n"
          "roles: {reader: {allow: [\"read *\"]}, kube: {allow: [\"kube clusters/c\"]},\n"
          "        all-else: {allow: [\"read *\", \"kube clusters/d\"]}}\n");
    cluster_on(cluster, "*", 200, "{\"kind\":\"Node\"}");
    check("ref=c:v1/Node/a", TOKEN_A, shown);
    check("ref=c:v1/Node/a&ref=d:v1/Node/a", TOKEN_A, denied);
    check("ref=c:v1/Node/a", TOKEN_B, denied);
    check("ref=c:v1/Node/a", NULL, unknown);
    check("ref=c:v1/Node/a", "nobody's", unknown);
    check("cluster=e&ref=v1/Node/a", TOKEN_A, denied); /* would name those there are */
    check("ref=e:v1/Node/a", TOKEN_B, denied);
    check("ref=v1/Node/a", TOKEN_C, denied);
    assert_int_equal(cluster_look(cluster)->asked, 1);
    end();
}

/* --- who leaves --- */

static void console_kube__a_reader_that_leaves_ends_what_is_asked(void **state)
{
    (void)state;
    begin("");
    cluster->hold_all = true;
    int fd = dial(httpd_port(console.httpd));
    say(fd, "GET /api/v1/manifests?ref=c:v1/Node/a&ref=c:v1/Node/b&width=1 HTTP/1.1\r\n"
            "Host: a\r\n\r\n");
    await(&cluster->server, &cluster->server.handled, 1);
    close(fd);
    await(&cluster->server, &cluster->server.aborted, 1);
    end(); /* waits for the job */
    assert_int_equal(console.aborted, 1);
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* consumer/kube_reader: a question in texts, the clusters of a configuration, and the
 * answer as a document; consumer/yaml_text: the same for people. */
#include "kube_cluster.h"

#include "../../consumer/clusters/kube_reader.h"
#include "../../consumer/clusters/yaml_text.h"
#include "fleet/config.h"
#include "wire/yaml.h"

static char *no_environment[] = {NULL};

/* A configuration with the cluster c, one whose kubeconfig is not there, and a virtual
 * one. */
static struct config *configure(struct cluster *c)
{
    char text[512];
    char path[128];
    struct config_report report;
    snprintf(text, sizeof text,
             "targets: {t: {url: \"http://localhost:1/x\"}}\n"
             "clusters:\n  c: {kubeconfig: %s}\n  gone: {kubeconfig: /nowhere/k}\n"
             "  far: {virtual: true}\n",
             c->config);
    cluster_write(c, "sluice.yaml", text);
    snprintf(path, sizeof path, "%s/sluice.yaml", c->folder);
    struct config *config = config_load(path, NULL, 0, no_environment, &report);
    config_report_release(&report);
    assert_non_null(config);
    return config;
}

struct stage {
    struct cluster *c;
    struct config *config;
    struct kube_reader *reader;
    struct kube_answer answer;
};

static void open_stage(struct stage *s)
{
    s->c = cluster_start(NULL);
    cluster_config(s->c, "token: t", "");
    s->config = configure(s->c);
    s->reader = kube_reader_start(s->config);
}

static void close_stage(struct stage *s)
{
    kube_reader_stop(s->reader);
    config_free(s->config);
    cluster_stop(s->c);
}

static int parse(struct stage *s, const char *cluster, const char *const *refs, size_t n,
                 struct err *err)
{
    const struct kube_question question = {.cluster = cluster,
                                           .refs = refs,
                                           .count = n,
                                           .width = 2};
    return kube_reader_parse(s->reader, &question, &s->answer, err);
}

static void kube_reader__a_cluster_that_cannot_be_opened_costs_its_own(void **state)
{
    (void)state;
    struct stage s;
    struct err err = ERR_INIT;
    static const char *const refs[] = {"gone:v1/Node/a", "v1/Node/b", "far:v1/Node/c",
                                       "c:v1/Node/none"};
    open_stage(&s);
    cluster_on(s.c, "GET /api/v1/nodes/b *", 200, "{\"kind\":\"Node\"}");
    assert_int_equal(parse(&s, "c", refs, 4, &err), 0);
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    kube_reader_read(s.reader, ctx, 2, &s.answer);
    ctx_free(ctx);
    struct json_object *doc = kube_answer_json(&s.answer);
    assert_int_equal(json_number_or(doc, "/ok", -1), 1);
    assert_string_equal(json_text_or(doc, "/items/0/status", ""), "error");
    assert_has(json_text_or(doc, "/items/0/error", ""), "/nowhere/k cannot be read");
    assert_string_equal(json_text_or(doc, "/items/1/status", ""), "ok");
    assert_string_equal(json_text_or(doc, "/items/1/ref", ""), "v1/Node/b");
    assert_string_equal(json_text_or(doc, "/items/1/cluster", ""), "c");
    assert_string_equal(json_text_or(doc, "/items/1/manifest/kind", ""), "Node");
    assert_has(json_text_or(doc, "/items/2/error", ""),
               "far cannot be asked: it is virtual");
    assert_string_equal(json_text_or(doc, "/items/3/status", ""), "missing");
    assert_int_equal(json_number_or(doc, "/items/3/http", 0), 404);
    json_free(doc);
    kube_answer_release(&s.answer);
    close_stage(&s);
}

/* Read one object. Returns its word. */
static const char *read_one(struct stage *s, const char *ref)
{
    struct err err = ERR_INIT;
    assert_int_equal(parse(s, "c", &ref, 1, &err), 0);
    struct ctx *ctx = ctx_new(NULL, now_ms() + 20000);
    kube_reader_read(s->reader, ctx, 1, &s->answer);
    ctx_free(ctx);
    const char *word = kube_answer_word(&s->answer.items[0]);
    kube_answer_release(&s->answer);
    return word;
}

static void kube_reader__a_kubeconfig_that_changes_counts_at_once(void **state)
{
    (void)state;
    struct stage s;
    open_stage(&s);
    cluster_on(s.c, "*[[]Bearer other]", 200, "{}");
    cluster_on(s.c, "*", 401, "{}");
    assert_string_equal(read_one(&s, "v1/Node/a"), "refused");
    cluster_config(s.c, "token: other", "");
    assert_string_equal(read_one(&s, "v1/Node/a"), "ok");
    cluster_config(s.c, "tokenFile: later", "");
    assert_string_equal(read_one(&s, "v1/Node/a"), "error");
    cluster_write(s.c, "later", "other");
    assert_string_equal(read_one(&s, "v1/Node/a"), "ok");
    close_stage(&s);
}

static void kube_reader__a_wrong_question_asks_nobody(void **state)
{
    (void)state;
    struct stage s;
    struct err err = ERR_INIT;
    static const char *const bad[] = {"v1/Node/a", "Node/a"};
    static const char *const other[] = {"east:v1/Node/a"};
    const char **many = mem_array(MANIFESTS_MAX + 1, sizeof(const char *));
    open_stage(&s);
    assert_int_equal(parse(&s, "c", bad, 2, &err), -EINVAL);
    assert_has(err.text, "\"Node/a\" names no object");
    assert_int_equal(parse(&s, NULL, bad, 1, &err), -EINVAL);
    assert_has(err.text, "several clusters, name one: c, gone, far");
    assert_int_equal(parse(&s, "c", other, 1, &err), -EINVAL);
    assert_has(err.text, "no cluster \"east\" is configured");
    assert_int_equal(parse(&s, "c", many, MANIFESTS_MAX + 1, &err), -EINVAL);
    assert_int_equal(cluster_look(s.c)->asked, 0);
    free(many);
    close_stage(&s);
}

/* --- for people --- */

static void kube_reader__yaml_reads_back_as_it_was(void **state)
{
    (void)state;
    static const char json[] =
        "{\"a\":\"true\",\"b\":true,\"c\":\"1.5\",\"d\":1.50,\"e\":null,\"f\":[],"
        "\"g\":{},\"h\":[\"x\",{\"i\":\"y: z\",\"j\":[1,{\"k\":\"~\"}]},[2,3]],"
        "\"app.kubernetes.io/name\":\"a b\\n# c\",\"1\":\"-\",\"l\":\"\"}";
    static const char yaml[] =
        "a: \"true\"\nb: true\nc: \"1.5\"\nd: 1.50\ne: null\nf: []\ng: {}\nh:\n- x\n"
        "- i: \"y: z\"\n  j:\n  - 1\n  - k: \"~\"\n- [2,3]\n"
        "app.kubernetes.io/name: \"a b\\n# c\"\n\"1\": \"-\"\nl: \"\"\n";
    struct err err = ERR_INIT;
    struct json_object *doc;
    struct str out;
    str_init(&out);
    assert_int_equal(json_parse(json, strlen(json), &doc, &err), 0);
    yaml_add_json(doc, &out);
    assert_string_equal(out.data, yaml);
    struct yaml_issues *issues = mem_zalloc(sizeof *issues);
    struct yaml_node *root = yaml_parse(out.data, out.len, issues);
    assert_int_equal(issues->count, 0);
    assert_string_equal(yaml_get(root, "app.kubernetes.io/name")->text, "a b\n# c");
    yaml_node_free(root);
    free(issues);
    json_free(doc);
    str_release(&out);
}

static const struct CMUnitTest tests[] = {
#include UNIT_TESTS
};

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

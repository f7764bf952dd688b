#include "console_kube.h"

#include <errno.h>
#include <string.h>

#include "../clusters/kube_reader.h"
#include "base/now.h"
#include "reply.h"

enum { REFS_MAX = 256 };

static const char *not_empty(const char *text)
{
    return text && text[0] ? text : NULL;
}

struct wish {
    struct kube_question question;
    const char *refs[REFS_MAX + 1];
    int64_t timeout_ms;
};

static int read_query(struct httpd_request *request, struct wish *wish, struct err *err)
{
    const char *width = httpd_query(request, "width");
    const char *timeout = httpd_query(request, "timeout");
    int64_t number = KUBE_READER_WIDTH;
    size_t n = 0;
    const char *ref = httpd_query_nth(request, "ref", 0);
    while (ref && n <= REFS_MAX) {
        wish->refs[n++] = ref;
        ref = httpd_query_nth(request, "ref", n);
    }
    if (n == 0 || n > REFS_MAX) {
        return err_set(err, -EINVAL,
                       "ref: expected 1 to %d of them, each as "
                       "apps/v1/Deployment/shop/api",
                       REFS_MAX);
    }
    if (width && text_parse_int(width, 1, MANIFESTS_WIDTH_MAX, &number)) {
        return err_set(err, -EINVAL, "width: expected a number from 1 to %d",
                       MANIFESTS_WIDTH_MAX);
    }
    wish->timeout_ms = KUBE_READER_TIMEOUT_MS;
    if (timeout &&
        (now_parse_duration(timeout, &wish->timeout_ms) || wish->timeout_ms == 0)) {
        return err_set(err, -EINVAL, "timeout: expected a duration such as 5s");
    }
    wish->question =
        (struct kube_question){.cluster = not_empty(httpd_query(request, "cluster")),
                               .ns = not_empty(httpd_query(request, "namespace")),
                               .refs = wish->refs,
                               .count = n,
                               .width = (int)number};
    return 0;
}

static bool lets(const struct console_api *api, struct httpd_request *request,
                 const char *cluster, size_t len)
{
    struct str resource;
    str_init(&resource);
    str_add(&resource, "clusters/");
    str_put(&resource, cluster, len);
    bool allowed = console_api_lets(api, request, RULE_KUBE, resource.data);
    str_release(&resource);
    return allowed;
}

/* May who asks even name these clusters? A sentence about one that is not there names
 * those that are. Answers when not. */
static bool is_let_to_ask(const struct console_api *api, struct httpd_request *request,
                          const struct kube_question *question)
{
    struct guard_who who;
    bool asks_one = question->cluster != NULL;
    if (asks_one && !lets(api, request, question->cluster, strlen(question->cluster))) {
        return false;
    }
    for (size_t i = 0; i < question->count; i++) {
        size_t len = strcspn(question->refs[i], ":/");
        bool names_one = question->refs[i][len] == ':';
        asks_one = asks_one || names_one;
        if (names_one && !lets(api, request, question->refs[i], len)) {
            return false;
        }
    }
    return asks_one ||
           (guard_knows(api->guard, request, &who) &&
            guard_may_any(api->guard, &who, RULE_KUBE)) ||
           lets(api, request, "", 0);
}

/* May who asks read all these clusters? Answers when not. */
static bool is_let(const struct console_api *api, struct httpd_request *request,
                   const struct kube_answer *answer)
{
    bool allowed = true;
    for (size_t i = 0; i < answer->count && allowed; i++) {
        const char *cluster = answer->refs[i].cluster;
        bool asked = i > 0 && strcmp(answer->refs[i - 1].cluster, cluster) == 0;
        allowed = asked || lets(api, request, cluster, strlen(cluster));
    }
    return allowed;
}

/* Who may look at the console need not be who may read a cluster's secrets. */
static void withhold_secrets(struct kube_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        struct manifest *item = &answer->items[i];
        if (strcmp(item->ref->api, "v1") == 0 && strcmp(item->ref->kind, "Secret") == 0) {
            item->rc = err_set(&item->err, -EACCES,
                               "a Secret is not shown here; `sluice-consumer kube get` "
                               "shows it to who has the kubeconfig");
        }
    }
}

void console_manifests(void *arg, struct ops_place *place, struct httpd_request *request,
                       struct ctx *ctx)
{
    (void)place;
    const struct console_api *api = arg;
    struct err err = ERR_INIT;
    struct wish wish;
    struct kube_answer answer;
    int rc = read_query(request, &wish, &err);
    if (rc == 0 && !is_let_to_ask(api, request, &wish.question)) {
        return;
    }
    rc = rc ? rc : kube_reader_parse(api->kube, &wish.question, &answer, &err);
    if (rc) {
        reply_failure(request, rc, &err);
        return;
    }
    if (is_let(api, request, &answer)) {
        withhold_secrets(&answer);
        struct ctx *inner = ctx_new(ctx, now_ms() + wish.timeout_ms);
        kube_reader_read(api->kube, inner, wish.question.width, &answer);
        ctx_free(inner);
        reply_json(request, 200, kube_answer_json(&answer));
    }
    kube_answer_release(&answer);
}

/* Making a target: everything that can be checked or printed once is done here. */
#include "target/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "event/decoding.h"
#include "target/answer.h"
#include "target/merge.h"
#include "target/target_inside.h"

enum { METHOD_MAX = 16 };

static int check_name(const char *name, struct err *err)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");
    if (len == 0 || name[len] != '\0' || len >= TARGET_NAME_MAX ||
        strchr("._-", name[0]) != NULL) {
        return err_set(
            err, -EINVAL,
            "targets.%.80s: a name is made of a-z, 0-9, '.', '_' and '-', begins "
            "with a letter or digit and is shorter than %d",
            name, TARGET_NAME_MAX);
    }
    return 0;
}

static int set_method(struct target *t, const char *method, struct err *err)
{
    method = method != NULL ? method : t->kind->method;
    method = method != NULL ? method : "POST";
    size_t len = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (len == 0 || method[len] != '\0' || len > METHOD_MAX) {
        return err_set(err, -EINVAL,
                       "targets.%s.method: a method is made of upper-case letters",
                       t->name);
    }
    t->method = mem_strdup(method);
    return 0;
}

static bool is_token(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789!#$%&'*+-.^_`|~");
    return len > 0 && name[len] == '\0';
}

static bool is_named(const char *name, const char *const *names)
{
    while (*names != NULL && strcasecmp(name, *names) != 0) {
        names++;
    }
    return *names != NULL;
}

static int check_header(const struct target *t, const char *name, struct err *err)
{
    static const char *const transport[] =
        {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade",
         "te",   "trailer",        "keep-alive",        NULL};
    static const char *const webhook[] = {"webhook-id", "webhook-timestamp",
                                          "webhook-signature", NULL};
    static const char *const hmac[] = {"x-signature", NULL};
    if (!is_token(name)) {
        return err_set(err, -EINVAL, "targets.%s.headers: '%.80s' is no header name",
                       t->name, name);
    }
    if (is_named(name, transport)) {
        return err_set(err, -EINVAL,
                       "targets.%s.headers.%s: this header belongs to the transport",
                       t->name, name);
    }
    if (t->sign != SIGN_NONE &&
        is_named(name, t->sign == SIGN_HMAC_SHA256 ? hmac : webhook)) {
        return err_set(err, -EINVAL, "targets.%s.headers.%s: signing sets this header",
                       t->name, name);
    }
    for (size_t i = 0; i < t->header_count; i++) {
        if (strcasecmp(t->headers[i].name, name) == 0) {
            return err_set(err, -EINVAL, "targets.%s.headers.%s: is there twice", t->name,
                           name);
        }
    }
    return 0;
}

static void note_own_header(struct target *t, const char *name)
{
    t->own_content_type |= strcasecmp(name, "content-type") == 0;
    t->own_idempotency_key |= strcasecmp(name, "idempotency-key") == 0;
    t->own_traceparent |= strcasecmp(name, "traceparent") == 0;
    t->own_user_agent |= strcasecmp(name, "user-agent") == 0;
}

static int add_header(struct target *t, const struct http_header *header,
                      const struct template_scope *scope, struct err *err)
{
    int rc = check_header(t, header->name, err);
    if (rc != 0) {
        return rc;
    }
    if (decoding_has_control(header->value, strlen(header->value))) {
        return err_set(err, -EINVAL, "targets.%s.headers.%s: holds a control character",
                       t->name, header->name);
    }
    struct template *value = template_compile_in(header->value, scope, err);
    if (value == NULL) {
        err_wrap(err, "targets.%s.headers.%s", t->name, header->name);
        return -EINVAL;
    }
    t->headers[t->header_count++] =
        (struct target_header){mem_strdup(header->name), value};
    note_own_header(t, header->name);
    return 0;
}

/* What is left for configuration: requests of this kind bring some of their own. */
static size_t headers_max(const struct target_options *options, const struct merge *merge)
{
    return TARGET_HEADERS_MAX - TARGET_HEADERS_ADDED_MAX -
           (merge->header_count - options->header_count);
}

static int add_headers(struct target *t, const struct target_options *options,
                       const struct merge *merge, const struct template_scope *scope,
                       struct err *err)
{
    int rc = 0;
    size_t max = TARGET_HEADERS_MAX - TARGET_HEADERS_ADDED_MAX;
    if (options->header_count > max || merge->header_count > max) {
        return err_set(err, -EINVAL, "targets.%s.headers: more than %zu", t->name,
                       options->header_count > max ? max : headers_max(options, merge));
    }
    t->headers = mem_array(merge->header_count, sizeof(*t->headers));
    for (size_t i = 0; i < merge->header_count && rc == 0; i++) {
        rc = add_header(t, &merge->headers[i], scope, err);
    }
    return rc;
}

static int set_body(struct target *t, const struct target_options *options,
                    struct json_object *tree, const struct template_scope *scope,
                    struct err *err)
{
    bool bodiless = strcmp(t->method, "GET") == 0 || strcmp(t->method, "HEAD") == 0;
    t->has_body = !options->no_body && (tree != NULL || !bodiless);
    if (options->no_body && options->body != NULL) {
        return err_set(err, -EINVAL, "targets.%s.body: is there, though none is wanted",
                       t->name);
    }
    if (tree == NULL) {
        return 0;
    }
    t->form = t->kind->form;
    t->body = t->form ? body_new_form(tree, scope, err) : body_new(tree, scope, err);
    if (t->body == NULL) {
        err_wrap(err, "targets.%s.body", t->name);
        return -EINVAL;
    }
    return 0;
}

static bool is_known(const struct template_scope *scope, const char *name)
{
    return scope->known_secret == NULL || scope->known_secret(scope->arg, name);
}

static int set_secrets(struct target *t, const struct target_options *options,
                       const struct template_scope *scope, struct err *err)
{
    const char *token = options->token_secret;
    const char *sign = options->sign_secret;
    if (token != NULL && !is_known(scope, token)) {
        return err_set(err, -EINVAL, "targets.%s.token: there is no secret '%s'", t->name,
                       token);
    }
    if (sign != NULL && !is_known(scope, sign)) {
        return err_set(err, -EINVAL, "targets.%s.sign: there is no secret '%s'", t->name,
                       sign);
    }
    if (token != NULL && t->kind->auth.way == KIND_AUTH_BASIC) {
        t->basic_secret = mem_strdup(token);
    }
    if (sign != NULL) {
        bool hmac = options->sign != NULL && strcmp(options->sign, "hmac-sha256") == 0;
        t->sign = hmac ? SIGN_HMAC_SHA256 : SIGN_STANDARD_WEBHOOKS;
        t->sign_secret = mem_strdup(sign);
    }
    return 0;
}

static int set_up(struct target *t, const struct target_options *options,
                  const struct merge *merge, const struct template_scope *scope,
                  struct err *err)
{
    int rc = set_method(t, options->method, err);
    if (rc != 0) {
        return rc;
    }
    t->key_in_body = merge->key_in_body;
    t->url = url_new(merge->url, scope, err);
    if (t->url == NULL) {
        err_wrap(err, "targets.%s.url", t->name);
        return -EINVAL;
    }
    rc = set_secrets(t, options, scope, err);
    if (rc == 0) {
        rc = add_headers(t, options, merge, scope, err);
    }
    return rc != 0 ? rc : set_body(t, options, merge->body, scope, err);
}

struct target *target_new(const struct target_options *options,
                          bool (*known_secret)(void *arg, const char *name), void *arg,
                          struct err *err)
{
    if (check_name(options->name, err) != 0) {
        return NULL;
    }
    struct template_scope scope = {known_secret, arg, options->name};
    struct target *t = mem_zalloc(sizeof(*t));
    struct merge *merge = mem_zalloc(sizeof(*merge));
    t->name = mem_strdup(options->name);
    t->kind = kind_find(options->kind != NULL ? options->kind : "http");
    ASSERT(t->kind != NULL);
    int rc = merge_make(options, t->kind, merge, err);
    if (rc == 0) {
        rc = set_up(t, options, merge, &scope, err);
    }
    merge_release(merge);
    free(merge);
    if (rc != 0) {
        target_free(t);
        return NULL;
    }
    return t;
}

void target_free(struct target *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->header_count; i++) {
        free(t->headers[i].name);
        template_free(t->headers[i].value);
    }
    free(t->headers);
    url_free(t->url);
    body_free(t->body);
    free(t->basic_secret);
    free(t->sign_secret);
    free(t->method);
    free(t->name);
    free(t);
}

const char *target_name(const struct target *target)
{
    return target->name;
}

const char *target_host(const struct target *target)
{
    return url_host(target->url);
}

const struct kind *target_kind(const struct target *target)
{
    return target->kind;
}

const char *target_sign(const struct target *target)
{
    static const char *const names[] = {[SIGN_NONE] = NULL,
                                        [SIGN_STANDARD_WEBHOOKS] = "standard-webhooks",
                                        [SIGN_HMAC_SHA256] = "hmac-sha256"};
    return names[target->sign];
}

const char *target_basic_secret(const struct target *target)
{
    return target->basic_secret;
}

bool target_key_in_body(const struct target *target)
{
    return target->key_in_body;
}

/* ---- what came of a request ---- */

void target_classify(const struct target *target, const struct http_call *call,
                     int64_t retry_after_cap_ms, struct attempt_result *result)
{
    attempt_classify(call, retry_after_cap_ms, result);
    bool done = result->class == ATTEMPT_DONE; /* also where the body was too large */
    if (done && !target->kind->any_body && answer_first(call) == '<') {
        answer_is(result, ATTEMPT_PERMANENT, "not-the-api");
        answer_say(result, "the answer is not the API's: a sign-in or a proxy in front "
                           "of it, or a wrong address");
        return;
    }
    if (target->kind->classify == NULL || (call->end != HTTP_END_ANSWERED && !done)) {
        return;
    }
    target->kind->classify(call, result);
    if (result->retry_after_ms > retry_after_cap_ms) {
        result->retry_after_ms = retry_after_cap_ms;
    }
}

int target_follow(const struct target *target, const struct http_call *call,
                  struct str *path)
{
    const struct kind *kind = target->kind;
    size_t start = path->len;
    if (kind->follow == NULL || call->end != HTTP_END_ANSWERED ||
        (kind->follow_keeps_path && url_has_secret(target->url))) {
        return -ENOENT;
    }
    int rc = kind->follow(call, path);
    if (rc != 0 || path->len - start >= KIND_FOLLOW_MAX) {
        path->len = start;
        path->data[start] = '\0';
        return -ENOENT;
    }
    return 0;
}

/* Design: everything that can be checked or printed once is done in target_new. A request
 * is written front to back into one buffer; while that grows, places in it are offsets
 * and become pointers at the end. */
#include "target/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "event/decoding.h"
#include "event/traceparent.h"
#include "target/body.h"
#include "target/standard-webhooks.h"
#include "target/url.h"
#include "wire/crypto.h"

enum { ADDED_MAX = 7, METHOD_MAX = 16, ARENA_BYTES = 1000 /* most fit */ };

struct header {
    char *name;
    struct template *value;
};

struct target {
    char *name;
    const struct kind *kind;
    char *method;
    struct url *url;
    struct header *headers;
    size_t header_count;
    bool has_body;
    struct body *body; /* NULL: the event's document */
    char *sign_secret;
    /* which of the headers we add are set by configuration */
    bool own_content_type;
    bool own_idempotency_key;
    bool own_traceparent;
    bool own_user_agent;
};

typedef bool known_secret_fn(void *arg, const char *name);

/* ---- making a target ---- */

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
    static const char *const signature[] = {"webhook-id", "webhook-timestamp",
                                            "webhook-signature", NULL};
    if (!is_token(name)) {
        return err_set(err, -EINVAL, "targets.%s.headers: '%.80s' is no header name",
                       t->name, name);
    }
    if (is_named(name, transport)) {
        return err_set(err, -EINVAL,
                       "targets.%s.headers.%s: this header belongs to the transport",
                       t->name, name);
    }
    if (t->sign_secret != NULL && is_named(name, signature)) {
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
                      known_secret_fn *known_secret, void *arg, struct err *err)
{
    int rc = check_header(t, header->name, err);
    if (rc != 0) {
        return rc;
    }
    if (decoding_has_control(header->value, strlen(header->value))) {
        return err_set(err, -EINVAL, "targets.%s.headers.%s: holds a control character",
                       t->name, header->name);
    }
    struct template *value = template_compile(header->value, known_secret, arg, err);
    if (value == NULL) {
        err_wrap(err, "targets.%s.headers.%s", t->name, header->name);
        return -EINVAL;
    }
    t->headers[t->header_count++] = (struct header){mem_strdup(header->name), value};
    note_own_header(t, header->name);
    return 0;
}

static int add_headers(struct target *t, const struct target_options *options,
                       known_secret_fn *known_secret, void *arg, struct err *err)
{
    int rc = 0;
    if (options->header_count > TARGET_HEADERS_MAX - ADDED_MAX) {
        return err_set(err, -EINVAL, "targets.%s.headers: more than %d", t->name,
                       TARGET_HEADERS_MAX - ADDED_MAX);
    }
    t->headers = mem_array(options->header_count, sizeof(*t->headers));
    for (size_t i = 0; i < options->header_count && rc == 0; i++) {
        rc = add_header(t, &options->headers[i], known_secret, arg, err);
    }
    return rc;
}

static int set_body(struct target *t, const struct target_options *options,
                    known_secret_fn *known_secret, void *arg, struct err *err)
{
    bool bodiless = strcmp(t->method, "GET") == 0 || strcmp(t->method, "HEAD") == 0;
    t->has_body = !options->no_body && (options->body != NULL || !bodiless);
    if (options->no_body && options->body != NULL) {
        return err_set(err, -EINVAL, "targets.%s.body: is there, though none is wanted",
                       t->name);
    }
    if (options->body == NULL) {
        return 0;
    }
    t->body = body_new(options->body, known_secret, arg, err);
    if (t->body == NULL) {
        err_wrap(err, "targets.%s.body", t->name);
        return -EINVAL;
    }
    return 0;
}

static int set_up(struct target *t, const struct target_options *options,
                  known_secret_fn *known_secret, void *arg, struct err *err)
{
    int rc = set_method(t, options->method, err);
    if (rc != 0) {
        return rc;
    }
    t->url = url_new(options->url, known_secret, arg, err);
    if (t->url == NULL) {
        err_wrap(err, "targets.%s.url", t->name);
        return -EINVAL;
    }
    if (options->sign_secret != NULL) {
        if (known_secret != NULL && !known_secret(arg, options->sign_secret)) {
            return err_set(err, -EINVAL, "targets.%s.sign: there is no secret '%s'",
                           t->name, options->sign_secret);
        }
        t->sign_secret = mem_strdup(options->sign_secret);
    }
    rc = add_headers(t, options, known_secret, arg, err);
    return rc != 0 ? rc : set_body(t, options, known_secret, arg, err);
}

struct target *target_new(const struct target_options *options,
                          bool (*known_secret)(void *arg, const char *name), void *arg,
                          struct err *err)
{
    if (check_name(options->name, err) != 0) {
        return NULL;
    }
    struct target *t = mem_zalloc(sizeof(*t));
    t->name = mem_strdup(options->name);
    t->kind = kind_find(options->kind != NULL ? options->kind : "http");
    ASSERT(t->kind != NULL);
    if (set_up(t, options, known_secret, arg, err) != 0) {
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

/* ---- what came of a request ---- */

void target_classify(const struct target *target, const struct http_call *call,
                     int64_t retry_after_cap_ms, struct attempt_result *result)
{
    attempt_classify(call, retry_after_cap_ms, result);
    if (target->kind->classify != NULL && call->end == HTTP_END_ANSWERED) {
        target->kind->classify(call, result);
    }
}

int target_follow(const struct target *target, const struct http_call *call,
                  struct str *path)
{
    return target->kind->follow != NULL ? target->kind->follow(call, path) : -ENOENT;
}

int target_status_make(const struct target *target, const char *path,
                       template_secret_fn *secret, void *arg,
                       struct target_request *request, struct err *err)
{
    (void)path;
    (void)secret;
    (void)arg;
    str_init(&request->arena);
    return err_set(err, -ENOENT, "targets.%s: a target of kind %s cannot be asked",
                   target->name, target->kind->name);
}

/* ---- making a request ---- */

struct making {
    const struct target *t;
    const struct event *ev;
    int64_t wall_s;
    template_secret_fn *secret;
    void *arg;
    struct str *out;
    size_t names[TARGET_HEADERS_MAX]; /* offsets */
    size_t values[TARGET_HEADERS_MAX];
    size_t count;
    size_t body_at;
    size_t body_len;
    struct err *err;
};

/* Begin a header; its value is appended next and ended with end_text. */
static void begin_header(struct making *m, const char *name)
{
    ASSERT(m->count < TARGET_HEADERS_MAX);
    m->names[m->count] = m->out->len;
    str_put(m->out, name, strlen(name) + 1);
    m->values[m->count++] = m->out->len;
}

static void end_text(struct making *m)
{
    str_addc(m->out, '\0');
}

static void put_header(struct making *m, const char *name, const char *value)
{
    begin_header(m, name);
    str_put(m->out, value, strlen(value) + 1);
}

static int put_own_headers(struct making *m)
{
    for (size_t i = 0; i < m->t->header_count; i++) {
        const struct header *header = &m->t->headers[i];
        begin_header(m, header->name);
        int rc = template_fill(header->value, m->ev, TEMPLATE_HEADER, m->secret, m->arg,
                               m->out, m->err);
        if (rc != 0) {
            err_wrap(m->err, "targets.%s.headers.%s", m->t->name, header->name);
            return rc;
        }
        end_text(m);
    }
    return 0;
}

static void put_key_text(struct making *m, const char *text)
{
    for (; text != NULL && *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c > 0x20 && c < 0x7f && c != '%') {
            str_addc(m->out, *text);
        } else {
            str_add_percent(m->out, text, 1);
        }
    }
}

/* "<target>/<event id>", and "/<task>" of what is sent again on purpose. '%' is encoded
 * too, so that no two ids become one key. */
static void put_idempotency_key(struct making *m)
{
    begin_header(m, "idempotency-key");
    str_add(m->out, m->t->name);
    str_addc(m->out, '/');
    put_key_text(m, m->ev->fields[EVENT_ID]);
    if (m->ev->again[0] != '\0') {
        str_addc(m->out, '/');
        put_key_text(m, m->ev->again);
    }
    end_text(m);
}

static int put_signature(struct making *m)
{
    const struct target *t = m->t;
    char id[CRYPTO_HEX128_LEN];
    char time[24];
    char signature[STANDARD_WEBHOOKS_SIGNATURE_MAX] = "v1,••••••";
    const char *const texts[] = {t->name, m->ev->identity};
    crypto_hash128_texts(texts, 2, id);
    snprintf(time, sizeof(time), "%lld", (long long)m->wall_s);
    if (m->secret != NULL) {
        const char *secret = m->secret(m->arg, t->sign_secret);
        if (secret == NULL) {
            return err_set(m->err, -ENOENT, "targets.%s.sign: there is no secret '%s'",
                           t->name, t->sign_secret);
        }
        int rc = standard_webhooks_sign(secret, id, m->wall_s, m->out->data + m->body_at,
                                        m->body_len, signature, m->err);
        if (rc != 0) {
            err_wrap(m->err, "targets.%s.sign", t->name);
            return rc;
        }
    }
    put_header(m, "webhook-id", id);
    put_header(m, "webhook-timestamp", time);
    put_header(m, "webhook-signature", signature);
    return 0;
}

static int put_added_headers(struct making *m)
{
    const struct target *t = m->t;
    if (t->has_body && !t->own_content_type) {
        put_header(m, "content-type", "application/json");
    }
    if (!t->own_idempotency_key) {
        put_idempotency_key(m);
    }
    if (!t->own_traceparent) {
        char trace[TRACEPARENT_MAX];
        traceparent_child(m->ev->traceparent, trace);
        put_header(m, "traceparent", trace);
    }
    if (!t->own_user_agent) {
        put_header(m, "user-agent", "sluice/" SLUICE_VERSION);
    }
    return t->sign_secret != NULL ? put_signature(m) : 0;
}

static int put_body(struct making *m)
{
    int rc = 0;
    m->body_at = m->out->len;
    if (m->t->body != NULL) {
        rc = body_fill(m->t->body, m->ev, m->secret, m->arg, m->out, m->err);
    } else if (m->t->has_body) {
        json_print(m->ev->doc, m->out);
    }
    if (rc != 0) {
        err_wrap(m->err, "targets.%s.body", m->t->name);
        return rc;
    }
    m->body_len = m->out->len - m->body_at;
    end_text(m);
    return 0;
}

/* The buffer grows no more: offsets become pointers. */
static void resolve(const struct making *m, size_t method_at,
                    struct target_request *request)
{
    const char *base = request->arena.data;
    request->url = base;
    request->method = base + method_at;
    request->header_count = m->count;
    for (size_t i = 0; i < m->count; i++) {
        request->headers[i].name = base + m->names[i];
        request->headers[i].value = base + m->values[i];
    }
    request->body = m->t->has_body ? base + m->body_at : NULL;
    request->body_len = m->body_len;
}

int target_request_make(const struct target *target, const struct event *ev,
                        int64_t wall_s, template_secret_fn *secret, void *arg,
                        struct target_request *request, struct err *err)
{
    struct making m = {.t = target,
                       .ev = ev,
                       .wall_s = wall_s,
                       .secret = secret,
                       .arg = arg,
                       .out = &request->arena,
                       .err = err};
    str_init(&request->arena);
    str_reserve(&request->arena, ARENA_BYTES);
    int rc = url_fill(target->url, ev, TARGET_URL_MAX, secret, arg, m.out, err);
    if (rc != 0) {
        err_wrap(err, "targets.%s.url", target->name);
        return rc;
    }
    end_text(&m);
    size_t method_at = m.out->len;
    str_put(m.out, target->method, strlen(target->method) + 1);
    rc = put_body(&m); /* before the headers: the signature is made over it */
    if (rc == 0) {
        rc = put_own_headers(&m);
    }
    if (rc == 0) {
        rc = put_added_headers(&m);
    }
    if (rc == 0) {
        resolve(&m, method_at, request);
    }
    return rc;
}

void target_request_release(struct target_request *request)
{
    str_release(&request->arena);
}

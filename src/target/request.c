/* Making requests. Design: a request is written front to back into one buffer; while that
 * grows, places in it are offsets and become pointers at the end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "event/traceparent.h"
#include "event/trigger.h"
#include "target/standard-webhooks.h"
#include "target/target_inside.h"
#include "wire/crypto.h"

enum { ARENA_BYTES = 1000 /* most fit */ };

static const char masked[] = "••••••";

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
    bool has_body;
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

static int put_own_header(struct making *m, const struct target_header *header)
{
    begin_header(m, header->name);
    int rc = template_fill(header->value, m->ev, TEMPLATE_HEADER, m->secret, m->arg,
                           m->out, m->err);
    if (rc != 0) {
        err_wrap(m->err, "targets.%s.headers.%s", m->t->name, header->name);
        return rc;
    }
    end_text(m);
    return 0;
}

static int put_own_headers(struct making *m)
{
    int rc = 0;
    for (size_t i = 0; i < m->t->header_count && rc == 0; i++) {
        rc = put_own_header(m, &m->t->headers[i]);
    }
    return rc;
}

/* ---- credentials ---- */

/* "user:token" in base64. */
static int put_basic(struct making *m)
{
    const struct target *t = m->t;
    if (t->basic_secret == NULL) {
        return 0;
    }
    const char *secret = m->secret != NULL ? m->secret(m->arg, t->basic_secret) : "";
    if (secret == NULL) {
        return err_set(m->err, -ENOENT, "targets.%s.token: there is no secret '%s'",
                       t->name, t->basic_secret);
    }
    begin_header(m, "authorization");
    str_add(m->out, "Basic ");
    if (m->secret == NULL) {
        str_add(m->out, masked);
    } else {
        size_t len = strlen(secret);
        size_t encoded = 4 * ((len + 2) / 3);
        str_reserve(m->out, encoded + 1);
        crypto_base64(secret, len, m->out->data + m->out->len);
        m->out->len += encoded;
    }
    end_text(m);
    return 0;
}

/* The secret that signs. Returns 0 or -ENOENT; NULL when secrets are masked. */
static int sign_secret(struct making *m, const char **secret)
{
    const struct target *t = m->t;
    *secret = NULL;
    if (m->secret == NULL) {
        return 0;
    }
    *secret = m->secret(m->arg, t->sign_secret);
    return *secret != NULL
               ? 0
               : err_set(m->err, -ENOENT, "targets.%s.sign: there is no secret '%s'",
                         t->name, t->sign_secret);
}

/* As Flux' receivers of type generic-hmac want it. */
static void put_hmac(struct making *m, const char *secret)
{
    unsigned char mac[CRYPTO_SHA256_LEN];
    begin_header(m, "x-signature");
    str_add(m->out, "sha256=");
    if (secret == NULL) {
        str_add(m->out, masked);
    } else {
        crypto_hmac_sha256(secret, strlen(secret), m->out->data + m->body_at, m->body_len,
                           mac);
        for (size_t i = 0; i < sizeof(mac); i++) {
            str_addf(m->out, "%02x", mac[i]);
        }
    }
    end_text(m);
}

static int put_webhook(struct making *m, const char *secret)
{
    const struct target *t = m->t;
    char id[CRYPTO_HEX128_LEN];
    char time[24];
    char signature[STANDARD_WEBHOOKS_SIGNATURE_MAX] = "v1,••••••";
    trigger_id(m->ev, t->name, id);
    snprintf(time, sizeof(time), "%lld", (long long)m->wall_s);
    if (secret != NULL) {
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

static int put_signature(struct making *m)
{
    const char *secret;
    int rc = m->t->sign != SIGN_NONE ? sign_secret(m, &secret) : 0;
    if (rc != 0 || m->t->sign == SIGN_NONE) {
        return rc;
    }
    if (m->t->sign == SIGN_HMAC_SHA256) {
        put_hmac(m, secret);
        return 0;
    }
    return put_webhook(m, secret);
}

/* ---- the rest ---- */

static int put_added_headers(struct making *m)
{
    const struct target *t = m->t;
    if (t->has_body && !t->own_content_type) {
        put_header(m, "content-type",
                   t->form ? "application/x-www-form-urlencoded" : "application/json");
    }
    if (!t->own_idempotency_key) {
        begin_header(m, "idempotency-key");
        trigger_add_key(m->ev, t->name, m->out);
        end_text(m);
    }
    if (!t->own_traceparent) {
        char trace[TRACEPARENT_MAX];
        traceparent_child(m->ev->traceparent, trace);
        put_header(m, "traceparent", trace);
    }
    if (!t->own_user_agent) {
        put_header(m, "user-agent", "sluice/" SLUICE_VERSION);
    }
    return put_signature(m);
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
    request->body = m->has_body ? base + m->body_at : NULL;
    request->body_len = m->body_len;
}

int target_request_make(const struct target *target, const struct event *ev,
                        int64_t wall_s, template_secret_fn *secret, void *arg,
                        struct target_request *request, struct err *err)
{
    struct making m = {.t = target,
                       .ev = ev,
                       .has_body = target->has_body,
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
        rc = put_basic(&m);
    }
    if (rc == 0) {
        rc = put_added_headers(&m);
    }
    if (rc == 0) {
        resolve(&m, method_at, request);
    }
    return rc;
}

/* A header that has a meaning without an event and a body. */
static bool asks_too(const struct target_header *header)
{
    return !template_is_of_event(header->value) &&
           strcasecmp(header->name, "content-type") != 0 &&
           strcasecmp(header->name, "idempotency-key") != 0 &&
           strcasecmp(header->name, "traceparent") != 0;
}

int target_status_make(const struct target *target, const char *path,
                       template_secret_fn *secret, void *arg,
                       struct target_request *request, struct err *err)
{
    struct making m = {.t = target,
                       .secret = secret,
                       .arg = arg,
                       .out = &request->arena,
                       .err = err};
    str_init(&request->arena);
    int rc = url_join(target->url, path, TARGET_URL_MAX, m.out, err);
    if (rc != 0) {
        err_wrap(err, "targets.%s", target->name);
        return rc;
    }
    end_text(&m);
    size_t method_at = m.out->len;
    str_put(m.out, "GET", sizeof("GET"));
    for (size_t i = 0; i < target->header_count && rc == 0; i++) {
        if (asks_too(&target->headers[i])) {
            rc = put_own_header(&m, &target->headers[i]);
        }
    }
    if (rc == 0) {
        rc = put_basic(&m);
    }
    if (rc == 0 && !target->own_user_agent) {
        put_header(&m, "user-agent", "sluice/" SLUICE_VERSION);
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

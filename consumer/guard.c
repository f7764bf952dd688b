/* Design. A browser sends cookies and simple requests wherever any page tells it to; it
 * sends neither a bearer token nor a header of ours across sites without asking first,
 * and this server never says yes. So both are wanted, and where the browser says which
 * site the request comes from, it must be this one. */
#include "guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "reply.h"
#include "wire/crypto.h"

static const char scheme[] = "Bearer ";

struct guard {
    bool acts;
    unsigned char token[CRYPTO_SHA256_LEN]; /* its hash: as long as any guess's */
};

static int read_token(const char *path, char token[GUARD_TOKEN_MAX + 2], struct err *err)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        return err_set(err, -ENOENT,
                       "console.token_file %s: %s; write a token of at least %d "
                       "characters there",
                       path, strerror(errno), GUARD_TOKEN_MIN);
    }
    size_t n = fread(token, 1, GUARD_TOKEN_MAX + 1, file);
    (void)fclose(file);
    while (n > 0 && (token[n - 1] == '\n' || token[n - 1] == '\r')) {
        n--;
    }
    token[n] = '\0';
    if (n < GUARD_TOKEN_MIN || n > GUARD_TOKEN_MAX || strlen(token) != n) {
        return err_set(err, -EINVAL,
                       "console.token_file %s: a token has %d to %d characters; "
                       "`openssl rand -hex 16` makes one",
                       path, GUARD_TOKEN_MIN, GUARD_TOKEN_MAX);
    }
    return 0;
}

struct guard *guard_new(const struct config *config, struct err *err)
{
    char token[GUARD_TOKEN_MAX + 2] = "";
    struct guard *guard = mem_zalloc(sizeof *guard);
    if (config->console.read_only) {
        return guard;
    }
    if (!config->console.token_file) {
        err_set(err, -EINVAL,
                "console.read_only is false but there is no token: set "
                "console.token_file");
        guard_free(guard);
        return NULL;
    }
    if (read_token(config->console.token_file, token, err)) {
        guard_free(guard);
        return NULL;
    }
    crypto_sha256(token, strlen(token), guard->token);
    mem_wipe(token, sizeof token);
    guard->acts = true;
    return guard;
}

void guard_free(struct guard *guard)
{
    mem_wipe(guard, sizeof *guard);
    free(guard);
}

bool guard_lets_act(const struct guard *guard)
{
    return guard->acts;
}

/* In a time that does not depend on how much of it is right. */
static bool is_token(const struct guard *guard, const char *authorization)
{
    unsigned char hash[CRYPTO_SHA256_LEN];
    unsigned difference = 0;
    if (!authorization || !text_starts(authorization, scheme)) {
        return false;
    }
    const char *token = authorization + sizeof scheme - 1;
    crypto_sha256(token, strlen(token), hash);
    for (size_t i = 0; i < sizeof hash; i++) {
        difference |= (unsigned)(hash[i] ^ guard->token[i]);
    }
    return difference == 0;
}

/* "http://host:port" against the Host header. */
static bool is_same_origin(const struct httpd_request *request)
{
    const char *site = httpd_header(request, "sec-fetch-site");
    const char *origin = httpd_header(request, "origin");
    const char *host = httpd_header(request, "host");
    if (site && strcmp(site, "same-origin") != 0) {
        return false;
    }
    if (!origin) {
        return true; /* no browser: those send it with every POST */
    }
    const char *authority = strstr(origin, "://");
    return authority && host && strcmp(authority + 3, host) == 0;
}

bool guard_admits(const struct guard *guard, struct httpd_request *request)
{
    const char *action = httpd_header(request, "x-sluice-action");
    if (!guard->acts) {
        reply_error(request, 403, "this console is read-only",
                    "start it with console.read_only: false and a console.token_file, "
                    "or use the command line");
    } else if (!is_same_origin(request)) {
        reply_error(request, 403, "another site may not act here",
                    "open the console itself");
    } else if (!action || strcmp(action, "1") != 0) {
        reply_error(request, 403, "the header X-Sluice-Action: 1 is missing",
                    "send it with every action");
    } else if (!is_token(guard, httpd_header(request, "authorization"))) {
        reply_error(request, 401, "the token is missing or wrong",
                    "send Authorization: Bearer with the text of console.token_file");
    } else {
        return true;
    }
    return false;
}

/* POST /api/v1/session signs a browser in, with the token in the header that no other
 * site's page can send; DELETE signs it out. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "bearer.h"
#include "guard_inside.h"
#include "reply.h"

enum { COOKIE_MAX = 256 };

/* Secure when the proxy in front says that the browser came by TLS. */
static void make_cookie(const struct httpd_request *request, const char *id,
                        int64_t life_s, char cookie[COOKIE_MAX])
{
    char name[BEARER_COOKIE_MAX];
    const char *proto = httpd_header(request, "x-forwarded-proto");
    bearer_cookie_name(request, name);
    snprintf(cookie, COOKIE_MAX,
             "%s=%s; Path=/api/v1/; Max-Age=%lld; HttpOnly; SameSite=Strict%s", name, id,
             (long long)life_s, proto && strcmp(proto, "https") == 0 ? "; Secure" : "");
}

static void sign_in(struct guard *guard, struct httpd_request *request)
{
    struct guard_who who;
    enum guard_identity identity = guard_identify(guard, request, true, &who);
    if (identity != GUARD_KNOWN) {
        (void)guard_refuse(guard, request, identity);
        return;
    }
    char id[SESSION_ID_LEN];
    char cookie[COOKIE_MAX];
    const char *name = who.is == GUARD_OPERATOR ? "console.token_file" : who.name;
    struct json_object *doc = json_object_new_object();
    sessions_open(guard->sessions, &who.token, now_ms(), id);
    make_cookie(request, id, SESSION_LIFE_MS / 1000, cookie);
    json_object_object_add(doc, "who", json_object_new_string(name));
    guard_count(guard, GUARD_ALLOWED);
    LOG(LOG_INFO, "signed in", LS("who", name), LEND);
    reply_json_with(request, 200, doc, "set-cookie", cookie);
    mem_wipe(id, sizeof id);
    mem_wipe(cookie, sizeof cookie);
}

static void sign_out(struct guard *guard, struct httpd_request *request)
{
    struct guard_who who;
    char cookie[COOKIE_MAX];
    (void)guard_identify(guard, request, false, &who);
    if (who.has_session) {
        sessions_close(guard->sessions, &who.session, now_ms());
    }
    make_cookie(request, "", 0, cookie);
    reply_json_with(request, 200, json_object_new_object(), "set-cookie", cookie);
}

bool guard_serve_session(struct guard *guard, struct httpd_request *request)
{
    const char *method = httpd_method(request);
    bool in = strcmp(method, "POST") == 0;
    if (strcmp(httpd_path(request), "/api/v1/session") != 0) {
        return false;
    }
    if (!in && strcmp(method, "DELETE") != 0) {
        reply_error_with(request, 405, "POST signs in here, DELETE out", NULL, "allow",
                         "POST, DELETE");
    } else if (!bearer_is_same_origin(request)) {
        reply_error(request, 403, "another site may not act here",
                    "open the console itself");
    } else if (in) {
        sign_in(guard, request);
    } else {
        sign_out(guard, request);
    }
    return true;
}

/* Design. A browser sends cookies and simple requests wherever any page tells it to; it
 * sends neither a bearer token nor a header of ours across sites without asking first,
 * and this server never says yes. So who acts must bring both, and where the browser says
 * which site the request comes from, it must be this one. To read, a session's cookie
 * will do: it is SameSite=Strict, and what a page of another site could not read anyway.
 *
 * A token is known by its hash, which is as long as any guess's, and is compared with all
 * of them, whichever is right. What they may do is asked by their name, so that another
 * configuration needs no second look-up: `mu` guards which tokens there are. */
#include "guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "bearer.h"
#include "guard_inside.h"
#include "reply.h"

/* --- the tokens there are --- */

static int read_file(const char *path, char token[CONFIG_TOKEN_MAX + 2], struct err *err)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        return err_set(err, -ENOENT,
                       "console.token_file %s: %s; write a token of at least %d "
                       "characters there",
                       path, strerror(errno), CONFIG_TOKEN_MIN);
    }
    size_t n = fread(token, 1, CONFIG_TOKEN_MAX + 1, file);
    (void)fclose(file);
    while (n > 0 && (token[n - 1] == '\n' || token[n - 1] == '\r')) {
        n--;
    }
    token[n] = '\0';
    if (n < CONFIG_TOKEN_MIN || n > CONFIG_TOKEN_MAX || strlen(token) != n) {
        return err_set(err, -EINVAL,
                       "console.token_file %s: a token has %d to %d characters; "
                       "`openssl rand -hex 16` makes one",
                       path, CONFIG_TOKEN_MIN, CONFIG_TOKEN_MAX);
    }
    return 0;
}

static void add(struct guard_keys *keys, const char *name, const char *text)
{
    struct guard_key *key = &keys->items[keys->count++];
    snprintf(key->name, sizeof key->name, "%s", name);
    crypto_sha256(text, strlen(text), key->hash.bytes);
}

static int add_operator(struct guard_keys *keys, const struct config *config,
                        struct err *err)
{
    char text[CONFIG_TOKEN_MAX + 2] = "";
    struct session_hash hash;
    int rc = read_file(config->console.token_file, text, err);
    if (rc == 0) {
        crypto_sha256(text, strlen(text), hash.bytes);
        const struct guard_key *same = guard_find(keys, &hash);
        rc = same ? err_set(err, -EINVAL,
                            "console.token_file has the text of tokens.%s: nobody could "
                            "tell them apart; give each its own",
                            same->name)
                  : 0;
    }
    if (rc == 0) {
        add(keys, "", text);
        keys->items[keys->count - 1].is_operator = true;
    }
    mem_wipe(text, sizeof text);
    return rc;
}

static int read_keys(const struct guard *guard, const struct config *config,
                     struct guard_keys *keys, struct err *err)
{
    memset(keys, 0, sizeof *keys);
    for (size_t i = 0; i < config->access.token_count; i++) {
        const struct config_token *token = &config->access.tokens[i];
        const char *text = config_secret_get((void *)config, token->secret);
        ASSERT(text); /* its secrets are loaded */
        add(keys, token->name, text);
    }
    keys->wanted = keys->count > 0;
    if (!guard->acts) {
        return 0;
    }
    if (!config->console.token_file) {
        return keys->wanted ? 0
                            : err_set(err, -EINVAL,
                                      "console.read_only is false but there is no token: "
                                      "set console.token_file, or define `tokens`");
    }
    return add_operator(keys, config, err);
}

const struct guard_key *guard_find(const struct guard_keys *keys,
                                   const struct session_hash *hash)
{
    const struct guard_key *found = NULL;
    for (size_t i = 0; i < GUARD_KEYS_MAX; i++) {
        unsigned difference = i < keys->count ? 0 : 1;
        for (size_t k = 0; k < sizeof hash->bytes; k++) {
            difference |= (unsigned)(keys->items[i].hash.bytes[k] ^ hash->bytes[k]);
        }
        found = difference == 0 ? &keys->items[i] : found;
    }
    return found;
}

/* --- start and stop --- */

static void make_metrics(struct guard *guard, struct metrics *metrics)
{
    static const char *const answers[GUARD_ANSWERS] = {"allowed", "unknown", "denied",
                                                       "error"};
    struct metric_family *family =
        metrics_family(metrics, METRIC_COUNTER, "sluice_api_requests_total", "answer",
                       "Requests to the HTTP API, by what came of asking who may.", NULL,
                       0);
    for (size_t i = 0; i < GUARD_ANSWERS; i++) {
        guard->answers[i] = metrics_series(family, answers[i], NULL, NULL, NULL);
    }
}

struct guard *guard_new(const struct guard_options *options, struct err *err)
{
    struct guard *guard = mem_zalloc(sizeof *guard);
    MUST(pthread_mutex_init(&guard->mu, NULL));
    guard->acts = options->console && !options->config->console.read_only;
    guard->access = access_new();
    guard->sessions = options->console ? sessions_new() : NULL;
    if (options->metrics) {
        make_metrics(guard, options->metrics);
    }
    if (guard_set(guard, options->config, err)) {
        guard_free(guard);
        return NULL;
    }
    return guard;
}

void guard_free(struct guard *guard)
{
    if (!guard) {
        return;
    }
    sessions_free(guard->sessions);
    access_free(guard->access);
    MUST(pthread_mutex_destroy(&guard->mu));
    mem_wipe(guard, sizeof *guard);
    free(guard);
}

int guard_set(struct guard *guard, const struct config *config, struct err *err)
{
    struct guard_keys keys;
    int rc = read_keys(guard, config, &keys, err);
    if (rc == 0) {
        MUST(pthread_mutex_lock(&guard->mu));
        guard->keys = keys;
        guard->parts = (size_t)config->access.parts;
        access_set(guard->access, config);
        MUST(pthread_mutex_unlock(&guard->mu));
    }
    mem_wipe(&keys, sizeof keys);
    return rc;
}

bool guard_lets_act(const struct guard *guard)
{
    return guard->acts;
}

bool guard_wants_tokens(struct guard *guard)
{
    MUST(pthread_mutex_lock(&guard->mu));
    bool wanted = guard->keys.wanted;
    MUST(pthread_mutex_unlock(&guard->mu));
    return wanted;
}

/* --- who it is --- */

/* By the hash of a token. Returns false when there is none of that hash. */
static bool know(struct guard *guard, const struct session_hash *token,
                 struct guard_who *who)
{
    MUST(pthread_mutex_lock(&guard->mu));
    const struct guard_key *key = guard_find(&guard->keys, token);
    if (key) {
        who->is = key->is_operator ? GUARD_OPERATOR : GUARD_TOKEN;
        memcpy(who->name, key->name, sizeof who->name);
        who->token = *token;
    }
    MUST(pthread_mutex_unlock(&guard->mu));
    return key != NULL;
}

static enum guard_identity know_bearer(struct guard *guard,
                                       const struct httpd_request *request,
                                       struct guard_who *who)
{
    struct session_hash hash;
    char token[BEARER_TOKEN_MAX];
    switch (bearer_read(request, token)) {
    case BEARER_NONE:
        return GUARD_NO_TOKEN;
    case BEARER_TWICE:
        return GUARD_TWO_TOKENS;
    case BEARER_BAD:
        return GUARD_WRONG_TOKEN;
    case BEARER_TOKEN:
        break;
    }
    crypto_sha256(token, strlen(token), hash.bytes);
    mem_wipe(token, sizeof token);
    return know(guard, &hash, who) ? GUARD_KNOWN : GUARD_WRONG_TOKEN;
}

struct knock {
    struct guard *guard;
    struct guard_who *who;
    bool known;
};

static bool try_session(void *arg, const char *id)
{
    struct knock *knock = arg;
    struct session_hash token;
    struct session_hash session;
    if (sessions_find(knock->guard->sessions, id, now_ms(), &session, &token) &&
        know(knock->guard, &token, knock->who)) {
        knock->who->has_session = true;
        knock->who->session = session;
        knock->known = true;
    }
    return knock->known;
}

static bool know_session(struct guard *guard, const struct httpd_request *request,
                         struct guard_who *who)
{
    char name[BEARER_COOKIE_MAX];
    struct knock knock = {.guard = guard, .who = who};
    if (!guard->sessions || !bearer_is_same_origin(request)) {
        return false;
    }
    bearer_cookie_name(request, name);
    bearer_each_cookie(request, name, try_session, &knock);
    return knock.known;
}

enum guard_identity guard_identify(struct guard *guard,
                                   const struct httpd_request *request,
                                   bool by_bearer_only, struct guard_who *who)
{
    memset(who, 0, sizeof *who);
    enum guard_identity identity = know_bearer(guard, request, who);
    if (identity == GUARD_KNOWN || by_bearer_only) {
        return identity;
    }
    if (identity == GUARD_NO_TOKEN && know_session(guard, request, who)) {
        return GUARD_KNOWN;
    }
    return guard_wants_tokens(guard) ? identity : GUARD_KNOWN; /* whoever they are */
}

bool guard_knows(struct guard *guard, const struct httpd_request *request,
                 struct guard_who *who)
{
    return guard_identify(guard, request, false, who) == GUARD_KNOWN;
}

/* --- what they may --- */

static struct access_result ask(struct guard *guard, const struct guard_who *who,
                                enum rule_action action, const char *resource)
{
    struct access_result result;
    guard_ask(guard, NULL, who, action, &resource, 1, &result);
    return result;
}

void guard_ask(struct guard *guard, struct ctx *ctx, const struct guard_who *who,
               enum rule_action action, const char *const *resources, size_t n,
               struct access_result *results)
{
    MUST(pthread_mutex_lock(&guard->mu));
    size_t parts = guard->parts;
    MUST(pthread_mutex_unlock(&guard->mu));
    for (size_t i = 0; who->is != GUARD_TOKEN && i < n; i++) {
        results[i] = (struct access_result){ACCESS_ALLOWED, 0};
    }
    if (who->is == GUARD_TOKEN) {
        const struct access_ask all = {.subject = who->name,
                                       .action = action,
                                       .resources = resources,
                                       .count = n,
                                       .parts = parts,
                                       .results = results};
        (void)access_ask_batch(guard->access, ctx, &all); /* each result says it too */
    }
}

bool guard_may_any(struct guard *guard, const struct guard_who *who,
                   enum rule_action action)
{
    return who->is == GUARD_OPERATOR ||
           (who->is == GUARD_ANYBODY && action == RULE_READ) ||
           (who->is == GUARD_TOKEN && access_may_any(guard->access, who->name, action));
}

bool guard_still(struct guard *guard, const struct guard_who *who,
                 enum rule_action action, const char *resource)
{
    struct guard_who now;
    if (who->is == GUARD_ANYBODY) {
        return !guard_wants_tokens(guard);
    }
    return know(guard, &who->token, &now) &&
           (!who->has_session ||
            sessions_touch(guard->sessions, &who->session, now_ms())) &&
           ask(guard, &now, action, resource).answer == ACCESS_ALLOWED;
}

/* --- saying so --- */

bool guard_refuse(struct guard *guard, struct httpd_request *request,
                  enum guard_identity identity)
{
    static const char *const words[] = {
        [GUARD_NO_TOKEN] = "the token is missing or wrong",
        [GUARD_WRONG_TOKEN] = "the token is missing or wrong",
        [GUARD_TWO_TOKENS] = "there is more than one Authorization header",
    };
    bool tokens = guard_wants_tokens(guard);
    guard_count(guard, GUARD_UNKNOWN);
    reply_error_with(request, 401, words[identity],
                     tokens ? "send Authorization: Bearer with the text of one of the "
                              "configuration's tokens"
                            : "send Authorization: Bearer with the text of "
                              "console.token_file",
                     "www-authenticate", "Bearer realm=\"sluice\"");
    return false;
}

void guard_count(struct guard *guard, enum guard_answer answer)
{
    if (guard->answers[answer]) {
        metric_inc(guard->answers[answer]);
    }
}

static bool deny(struct guard *guard, struct httpd_request *request,
                 const struct guard_who *who, enum rule_action action,
                 const char *resource)
{
    char error[512];
    char next[512];
    snprintf(error, sizeof error, "the token %s may not %s %.300s", who->name,
             rule_action_name(action), resource);
    snprintf(next, sizeof next,
             "it may once a role it has allows \"%s %.300s\", see roles.*.allow",
             rule_action_name(action), resource);
    if (action != RULE_READ) {
        LOG(LOG_WARN, "denied", LS("who", who->name),
            LS("what", rule_action_name(action)), LS("on", resource), LEND);
    }
    guard_count(guard, GUARD_DENIED);
    reply_error(request, 403, error, next);
    return false;
}

static bool admit(struct guard *guard, struct httpd_request *request,
                  const struct guard_who *who, enum rule_action action,
                  const char *resource)
{
    struct access_result result = {ACCESS_ALLOWED, 0};
    if (resource) {
        result = ask(guard, who, action, resource);
    }
    if (result.answer == ACCESS_ALLOWED) {
        guard_count(guard, GUARD_ALLOWED);
        return true;
    }
    if (result.answer == ACCESS_DENIED) {
        return deny(guard, request, who, action, resource);
    }
    if (result.rc == -ENOENT) { /* gone since it was known */
        return guard_refuse(guard, request, GUARD_WRONG_TOKEN);
    }
    guard_count(guard, GUARD_ERROR);
    reply_error(request, result.rc == -EINVAL ? 400 : 503,
                "whether this is allowed could not be judged",
                result.rc == -EINVAL ? "the name is too long, or no text" : "try again");
    return false;
}

bool guard_lets(struct guard *guard, struct httpd_request *request,
                enum rule_action action, const char *resource, struct guard_who *who)
{
    enum guard_identity identity = guard_identify(guard, request, false, who);
    return identity == GUARD_KNOWN ? admit(guard, request, who, action, resource)
                                   : guard_refuse(guard, request, identity);
}

bool guard_lets_read(struct guard *guard, struct httpd_request *request,
                     const char *resource, struct guard_who *who)
{
    return guard_lets(guard, request, RULE_READ, resource, who);
}

static bool is_meant(struct guard *guard, struct httpd_request *request)
{
    const char *meant = httpd_header(request, "x-sluice-action");
    if (!guard->acts) {
        reply_error(request, 403, "this console is read-only",
                    "start it with console.read_only: false and a console.token_file, "
                    "or use the command line");
    } else if (!bearer_is_same_origin(request)) {
        reply_error(request, 403, "another site may not act here",
                    "open the console itself");
    } else if (!meant || strcmp(meant, "1") != 0) {
        reply_error(request, 403, "the header X-Sluice-Action: 1 is missing",
                    "send it with every action");
    } else {
        return true;
    }
    guard_count(guard, GUARD_DENIED);
    return false;
}

bool guard_lets_act_on(struct guard *guard, struct httpd_request *request,
                       enum rule_action action, const char *resource,
                       struct guard_who *who)
{
    if (!is_meant(guard, request)) {
        return false;
    }
    enum guard_identity identity = guard_identify(guard, request, true, who);
    return identity == GUARD_KNOWN ? admit(guard, request, who, action, resource)
                                   : guard_refuse(guard, request, identity);
}

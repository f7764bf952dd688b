#include "kube/answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    MESSAGE_MAX = 320,
    SECRET_MIN = 6, /* shorter ones are in every text */
    /* Objects are of many small parts. managedFields, a tree of empty objects, take about
     * 36 times their text: while each is read, for then it is forgotten. */
    TREE_FACTOR = 64,
    TREE_MAX = 96 * 1024 * 1024,
};

/* "cluster prod: GET /api/v1/nodes: " and what there is to say. */
static int say(const struct answer *answer, struct kube_call *call, int rc,
               const char *what)
{
    const char *method = call->method != NULL ? call->method : "GET";
    call->rc = err_set(&call->err, rc, "cluster %.64s: %s %.120s: %s", answer->cluster,
                       method, call->path, what);
    return call->rc;
}

static const char repeated[] = "(it repeats our credential)";

/* Is what we sent to prove who we are in it? */
static bool repeats(const struct answer *answer, const char *text)
{
    const char *secret = answer->secret[0] != '\0' ? strchr(answer->secret, ' ') : NULL;
    return secret != NULL && strlen(secret + 1) >= SECRET_MIN &&
           strstr(text, secret + 1) != NULL;
}

/* What others wrote, fit to be shown: short, printable, on one line, without what we
 * sent to prove who we are. */
static void clean(const struct answer *answer, const char *text, char out[MESSAGE_MAX])
{
    struct str plain;
    char *line = mem_strndup(text, MESSAGE_MAX);
    str_init(&plain);
    for (char *c = line; *c != '\0'; c++) {
        *c = *c == '\n' || *c == '\t' || *c == '\r' ? ' ' : *c;
    }
    str_add_plain(&plain, repeats(answer, text) ? repeated : line);
    while (plain.len > 0 && plain.data[plain.len - 1] == ' ') {
        plain.data[--plain.len] = '\0';
    }
    snprintf(out, MESSAGE_MAX, "%s", plain.data);
    str_release(&plain);
    free(line);
}

/* --- no answer --- */

static void end_of_ctx(const struct answer *answer, struct kube_call *call, int rc)
{
    bool late = rc == -ETIMEDOUT;
    call->end = late ? KUBE_TIMED_OUT : KUBE_CANCELLED;
    (void)say(answer, call, rc,
              late ? "no answer within the deadline" : "given up, nobody waits for it");
}

bool answer_is_tls(const struct http_call *http)
{
    return text_starts(http->error, "tls: ") || strstr(http->error, " alert ") != NULL;
}

static void not_answered(const struct answer *answer, struct kube_call *call)
{
    const struct http_call *http = answer->http;
    int ended = call->ctx != NULL ? ctx_err(call->ctx) : 0;
    if (http->end == HTTP_END_REFUSED) {
        call->end = KUBE_UNUSABLE;
        (void)say(answer, call, -EINVAL, http->error);
        return;
    }
    if (ended != 0) {
        end_of_ctx(answer, call, ended);
        return;
    }
    if (http->end == HTTP_END_RECALLED || http->end == HTTP_END_STALE) {
        end_of_ctx(answer, call, -ECANCELED);
        return;
    }
    if (strstr(http->error, "timed out") != NULL) {
        call->end = KUBE_TIMED_OUT;
        (void)say(answer, call, -ETIMEDOUT, http->error);
        return;
    }
    call->end = answer_is_tls(http) ? KUBE_TLS : KUBE_NOT_REACHED;
    (void)say(answer, call, -EIO, http->error);
}

/* --- an answer --- */

static int rc_of(int status)
{
    switch (status) {
    case 401:
    case 403:
        return -EACCES;
    case 404:
    case 410:
        return -ENOENT;
    case 408:
    case 409:
    case 429:
        return -EAGAIN;
    default:
        break;
    }
    if (status >= 200 && status < 300) {
        return 0;
    }
    return status >= 500 ? -EAGAIN : -EINVAL;
}

/* Next steps for answers that mean the same everywhere. */
static const char *hint(int status)
{
    switch (status) {
    case 401:
        return "; the cluster does not know who we are: look at the kubeconfig's user";
    case 403:
        return "; the cluster knows us and refuses: give the user a role for it";
    default:
        return status < 400 ? "; an API server does not answer so: look at the server's "
                              "address"
                            : "";
    }
}

static void refused(const struct answer *answer, struct kube_call *call)
{
    char message[MESSAGE_MAX] = "";
    char what[MESSAGE_MAX + 128];
    const char *text = call->doc != NULL ? json_text_or(call->doc, "/message", "") : "";
    if (call->doc == NULL && strncmp(answer->type, "text/html", 9) != 0) {
        text = answer->body.data;
    }
    clean(answer, text, message);
    if (call->doc != NULL) {
        clean(answer, json_text_or(call->doc, "/reason", ""), what);
        snprintf(call->reason, sizeof call->reason, "%.60s", what);
    }
    snprintf(what, sizeof what, "%d%s%.60s%s%.200s%s", call->status,
             call->reason[0] != '\0' ? " " : "", call->reason,
             message[0] != '\0' ? ": " : "", message, hint(call->status));
    (void)say(answer, call, rc_of(call->status), what);
}

static void garbled(const struct answer *answer, struct kube_call *call, const char *what)
{
    call->end = KUBE_GARBLED;
    (void)say(answer, call, -EPROTO, what);
}

/* What the tree of an answer may take: more than of others, up to a bound. */
static size_t tree_max(size_t len)
{
    size_t dense = TREE_FACTOR * len < TREE_MAX ? TREE_FACTOR * len : TREE_MAX;
    size_t common = JSON_MEMORY_FACTOR * len;
    return JSON_MEMORY_BASE + (dense > common ? dense : common);
}

static void read_json(const struct answer *answer, struct kube_call *call, bool good)
{
    struct err why = ERR_INIT;
    char type[MESSAGE_MAX];
    char what[MESSAGE_MAX + ERR_TEXT_MAX];
    const struct str *body = &answer->body;
    const struct json_how how = {.memory_max = tree_max(body->len),
                                 .inside = "metadata",
                                 .leave_out = "managedFields"};
    int rc = json_parse_with(&how, body->data, body->len, &call->doc, &why);
    if (!good) {
        refused(answer, call);
    } else if (rc != 0) {
        clean(answer, answer->type[0] != '\0' ? answer->type : "no content-type", type);
        snprintf(what, sizeof what, "answered with what is no JSON (%.60s): %.200s", type,
                 why.text);
        garbled(answer, call, what);
    }
}

/* A text is shown by who asked for it. In a document ours may be spelled otherwise, so
 * its message is looked at too. */
static void read_text(struct answer *answer, struct kube_call *call, bool good)
{
    bool leaks = repeats(answer, answer->body.data);
    if (!good) { /* an API server refuses by a Status whatever was asked for */
        if (json_parse(answer->body.data, answer->body.len, &call->doc, NULL) != 0) {
            call->doc = NULL; /* a proxy's, perhaps: its words are taken as they are */
        }
        refused(answer, call);
        leaks = leaks || repeats(answer, json_text_or(call->doc, "/message", ""));
    }
    call->text = leaks ? mem_strdup(repeated) : str_take(&answer->body);
}

void answer_read(struct answer *answer, struct kube_call *call)
{
    const struct http_call *http = answer->http;
    bool answered = http->end == HTTP_END_ANSWERED || http->end == HTTP_END_TOO_LARGE;
    call->rc = 0;
    call->status = answered ? http->status : 0;
    call->answer_len = answered ? answer->body.len : 0;
    call->retry_after_ms = answered ? http->retry_after_ms : -1;
    call->end = KUBE_ANSWERED;
    if (!answered) {
        not_answered(answer, call);
        return;
    }
    bool good = rc_of(http->status) == 0;
    int ended = call->ctx != NULL ? ctx_err(call->ctx) : 0;
    if (http->error[0] == '\0' || !good) {
        if (call->plain) {
            read_text(answer, call, good);
        } else {
            read_json(answer, call, good);
        }
        return;
    }
    if (http->end == HTTP_END_TOO_LARGE) {
        garbled(answer, call, "the answer is longer than it may be");
    } else if (ended != 0) {
        end_of_ctx(answer, call, ended);
    } else if (strstr(http->error, "timed out") != NULL) {
        end_of_ctx(answer, call, -ETIMEDOUT);
    } else {
        garbled(answer, call, http->error);
    }
}

#include "workflow_query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/now.h"
#include "target/kind.h"
#include "wire/json.h"

const char *workflow_status_name(enum workflow_status status)
{
    static const char *const names[] = {[WORKFLOW_NONE] = "none",
                                        [WORKFLOW_OK] = "ok",
                                        [WORKFLOW_ERROR] = "error",
                                        [WORKFLOW_TIMEOUT] = "timeout"};
    return names[status];
}

static void end(struct workflow_query *q, enum workflow_status status, const char *why)
{
    q->status = status;
    snprintf(q->why, sizeof q->why, "%s", why);
}

/* --- making --- */

void workflow_query_none(struct workflow_query *q, const char *why)
{
    end(q, WORKFLOW_NONE, why);
}

bool workflow_query_ci(struct workflow_query *q, const struct config *config,
                       const struct event *event)
{
    struct err err = ERR_INIT;
    q->config = config;
    if (!config->workflow.ci) {
        workflow_query_none(q, "nobody is asked: workflow.ci.url is not set");
        return false;
    }
    int rc = target_request_make(config->workflow.ci, event, now_wall_ms() / 1000,
                                 config_secret_get, (void *)config, &q->request, &err);
    if (rc) {
        char sentence[ERR_TEXT_MAX];
        end(q, WORKFLOW_ERROR, config_workflow_sentence(err.text, sentence));
    }
    return rc == 0;
}

bool workflow_query_cd(struct workflow_query *q, const struct config *config,
                       const struct config_target *target, const char *follow)
{
    struct err err = ERR_INIT;
    q->config = config;
    q->target = target;
    if (!target) {
        workflow_query_none(q, "nobody is asked: the target is not configured here");
        return false;
    }
    if (!follow[0] || !target_kind(target->target)->phase) {
        workflow_query_none(q, "nobody is asked: no answer of the target named a run");
        return false;
    }
    int rc = target_status_make(target->target, follow, config_secret_get, (void *)config,
                                &q->request, &err);
    if (rc) {
        end(q, WORKFLOW_ERROR, err.text);
    }
    return rc == 0;
}

/* --- asking --- */

/* A question may be put twice, and a connection that was kept open may be closed by its
 * other end just when it is used again. */
static bool ask_again(struct workflow_query *q)
{
    struct http_ask *ask = &q->ask;
    if (q->again || ask->rc || ask->call.end != HTTP_END_UNCERTAIN ||
        strstr(ask->call.error, "timed out")) {
        return false;
    }
    q->again = true;
    http_ask_release(ask);
    http_ask_start(q->http, q->ctx, ask);
    return true;
}

static void on_answer(struct http_ask *ask)
{
    struct workflow_query *q = ask->arg;
    if (ask_again(q)) {
        return;
    }
    q->ended_ms = now_ms();
    batch_done(q->batch, q->index, ask->rc);
}

void workflow_query_start(struct workflow_query *q, struct http *http,
                          struct http_pool *pool, struct ctx *ctx, struct batch *batch,
                          size_t i)
{
    q->http = http;
    q->ctx = ctx;
    q->batch = batch;
    q->index = i;
    q->began_ms = now_ms();
    q->ask = (struct http_ask){
        .call = {.pool = pool,
                 .method = q->request.method,
                 .url = q->request.url,
                 .headers = q->request.headers,
                 .header_count = q->request.header_count,
                 .timeout_ms = q->config->workflow.timeout_ms,
                 .answer_max = WORKFLOW_ANSWER_MAX},
        .done = on_answer,
        .arg = q,
    };
    http_ask_start(http, ctx, &q->ask);
}

/* --- judging --- */

static void say_timeout(struct workflow_query *q)
{
    end(q, WORKFLOW_TIMEOUT, "");
    snprintf(q->why, sizeof q->why, "no answer in workflow.timeout, %lld ms",
             (long long)q->config->workflow.timeout_ms);
}

/* Text of others: of one line, cut between characters. */
static void put_says(struct workflow_query *q, const char *text)
{
    struct str plain;
    str_init(&plain);
    str_add_plain(&plain, text);
    size_t len = plain.len < sizeof q->says ? plain.len : sizeof q->says - 1;
    while (len > 0 && len < plain.len &&
           ((unsigned char)plain.data[len] & 0xC0) == 0x80) {
        len--;
    }
    while (len > 0 && plain.data[len - 1] == ' ') {
        len--;
    }
    memcpy(q->says, plain.data, len);
    q->says[len] = '\0';
    str_release(&plain);
}

static void judge_ci(struct workflow_query *q, struct json_object *doc)
{
    const char *pointer = q->config->workflow.ci_status;
    char *text = pointer && doc ? json_text_at(doc, pointer) : NULL;
    if (text) {
        put_says(q, text);
        free(text);
    } else if (pointer) {
        end(q, WORKFLOW_ERROR, "");
        snprintf(q->why, sizeof q->why, "the answer has no text at %.200s", pointer);
    }
}

/* A kind may know what a refusal means: a run that is gone, say. */
static bool judge_cd(struct workflow_query *q, struct json_object *doc)
{
    struct kind_phase phase = {.phase = PHASE_UNKNOWN};
    target_kind(q->target->target)->phase(q->ask.call.status, doc, &phase);
    q->phase = kind_phase_name(phase.phase);
    put_says(q, phase.text);
    return phase.phase != PHASE_UNKNOWN;
}

static void judge_answer(struct workflow_query *q)
{
    const struct http_call *call = &q->ask.call;
    bool good = call->status >= 200 && call->status < 300;
    struct json_object *doc = NULL;
    if (call->answer_len > 0 && json_parse(call->answer, call->answer_len, &doc, NULL)) {
        doc = NULL;
    }
    end(q, WORKFLOW_OK, "");
    bool known = q->target && judge_cd(q, doc);
    if (!good && !known) {
        end(q, WORKFLOW_ERROR, "");
        snprintf(q->why, sizeof q->why, "answered with HTTP %d", call->status);
    } else if (!q->target) {
        judge_ci(q, doc);
    }
    json_free(doc);
}

void workflow_query_judge(struct workflow_query *q, int rc)
{
    const struct http_call *call = &q->ask.call;
    bool asked = q->ended_ms > 0;
    if (rc == -ECANCELED) {
        end(q, WORKFLOW_ERROR, "broken off: the reader left");
    } else if (!asked || rc == -ETIMEDOUT || strstr(call->error, "timed out")) {
        say_timeout(q);
    } else if (call->end == HTTP_END_ANSWERED && !call->error[0]) {
        judge_answer(q);
    } else if (call->end == HTTP_END_TOO_LARGE) {
        end(q, WORKFLOW_ERROR, "the answer is too large");
    } else {
        end(q, WORKFLOW_ERROR, call->error[0] ? call->error : "not asked");
    }
}

struct json_object *workflow_query_json(const struct workflow_query *q)
{
    struct json_object *doc = json_object_new_object();
    json_put_text(doc, "status", workflow_status_name(q->status));
    json_put_text(doc, "why", q->why);
    if (q->ended_ms > 0) {
        json_put_number(doc, "took_ms", q->ended_ms - q->began_ms);
    }
    if (q->ended_ms > 0 && q->ask.call.status > 0) {
        json_put_number(doc, "http", q->ask.call.status);
    }
    json_put_text(doc, "phase", q->phase);
    json_put_text(doc, q->target ? "text" : "says", q->says);
    return doc;
}

void workflow_query_release(struct workflow_query *q)
{
    if (q->ended_ms > 0) {
        http_ask_release(&q->ask);
    }
    target_request_release(&q->request);
}

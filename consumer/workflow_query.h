/* One live query of a workflow's status: made, asked, judged. For consumer/workflow.c
 * only. */
#ifndef CONSUMER_WORKFLOW_QUERY_H
#define CONSUMER_WORKFLOW_QUERY_H

#include "fleet/config.h"
#include "sync/batch.h"
#include "wire/http_ask.h"

enum {
    WORKFLOW_ANSWER_MAX = 1024 * 1024, /* bytes of an answer; more is an error */
    WORKFLOW_SAYS_MAX = 160,           /* of what it says, as the kinds' texts */
};

enum workflow_status { WORKFLOW_NONE, WORKFLOW_OK, WORKFLOW_ERROR, WORKFLOW_TIMEOUT };
const char *workflow_status_name(enum workflow_status status);

/* All zero: nothing to ask. */
struct workflow_query {
    const struct config *config;
    const struct config_target *target; /* NULL: the CI system */
    struct target_request request;
    struct http_ask ask;
    struct batch *batch;
    struct http *http;
    struct ctx *ctx;
    size_t index;
    bool again; /* it was sent a second time */
    int64_t began_ms;
    int64_t ended_ms; /* 0: it was never asked */

    enum workflow_status status;
    char why[ERR_TEXT_MAX];
    char says[WORKFLOW_SAYS_MAX]; /* CI; of a target its phase's text */
    const char *phase;            /* of a target; literal, NULL: none */
};

/* Make it. Returns whether there is something to ask; else status and why are set. */
bool workflow_query_ci(struct workflow_query *query, const struct config *config,
                       const struct event *event);
bool workflow_query_cd(struct workflow_query *query, const struct config *config,
                       const struct config_target *target, const char *follow);
void workflow_query_none(struct workflow_query *query, const char *why);

/* Ask; leads to batch_done(batch, i). Does not block. */
void workflow_query_start(struct workflow_query *query, struct http *http,
                          struct http_pool *pool, struct ctx *ctx, struct batch *batch,
                          size_t i);

/* Afterwards: what came of it. rc  what the batch says of it. */
void workflow_query_judge(struct workflow_query *query, int rc);

/* "live" of a leg or a target; returns owned. */
struct json_object *workflow_query_json(const struct workflow_query *query);

void workflow_query_release(struct workflow_query *query);

#endif

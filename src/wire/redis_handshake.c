#include "wire/redis_handshake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static void ask(struct redis_handshake *hs, enum redis_step step)
{
    hs->steps[hs->step_count++] = step;
}

void redis_handshake_init(struct redis_handshake *hs, const struct redis_url *url,
                          const char *const *texts, size_t n,
                          const struct redis_trial *trial)
{
    char db[16];
    ASSERT(n <= REDIS_SCRIPTS_MAX);
    *hs = (struct redis_handshake){.trial = trial};
    str_init(&hs->out);
    if (url->password && url->username) {
        redis_resp_add(&hs->out, "AUTH", url->username, url->password, NULL);
        ask(hs, STEP_AUTH);
    } else if (url->password) {
        redis_resp_add(&hs->out, "AUTH", url->password, NULL);
        ask(hs, STEP_AUTH);
    }
    if (url->db != 0) {
        snprintf(db, sizeof db, "%d", url->db);
        redis_resp_add(&hs->out, "SELECT", db, NULL);
        ask(hs, STEP_SELECT);
    }
    redis_resp_add(&hs->out, "INFO", "server", NULL);
    ask(hs, STEP_INFO);
    /* not CONFIG GET: who may do that may read the server's passwords */
    redis_resp_add(&hs->out, "INFO", "memory", NULL);
    ask(hs, STEP_POLICY);
    for (size_t i = 0; i < n; i++) {
        redis_resp_add(&hs->out, "SCRIPT", "LOAD", texts[i], NULL);
        ask(hs, STEP_SCRIPT);
    }
    if (trial->text) {
        redis_resp_add(&hs->out, "SCRIPT", "LOAD", trial->text, NULL);
        ask(hs, STEP_TRIAL_SCRIPT);
    }
}

static void forget_questions(struct redis_handshake *hs)
{
    mem_wipe(hs->out.data, hs->out.len);
    str_clear(&hs->out);
}

void redis_handshake_release(struct redis_handshake *hs)
{
    forget_questions(hs);
    str_release(&hs->out);
}

bool redis_handshake_is_answered(const struct redis_handshake *hs)
{
    return hs->answered == hs->step_count;
}

bool redis_handshake_begin_trial(struct redis_handshake *hs)
{
    ASSERT(redis_handshake_is_answered(hs));
    forget_questions(hs);
    if (hs->trial->text) {
        redis_resp_add(&hs->out, "EVALSHA", hs->trial_sha, "1", hs->trial->key, NULL);
        ask(hs, STEP_TRIAL);
    }
    return hs->trial->text != NULL;
}

static void copy_text(char out[REDIS_INFO_MAX], const char *text, size_t len)
{
    if (len >= REDIS_INFO_MAX) {
        len = REDIS_INFO_MAX - 1;
    }
    memcpy(out, text, len);
    out[len] = '\0';
}

/* "key:value" of an answer to INFO; left as it is when it is not told. */
static void read_info(const struct redis_reply *reply, const char *key,
                      char out[REDIS_INFO_MAX])
{
    const char *found = strstr(redis_reply_text(reply, NULL), key);
    if (found) {
        found += strlen(key);
        copy_text(out, found, strcspn(found, "\r\n"));
    }
}

static int read_sha(const struct redis_reply *reply, char sha[REDIS_SHA_LEN],
                    struct err *err)
{
    size_t len;
    const char *text = redis_reply_text(reply, &len);
    if (redis_reply_kind(reply) != REDIS_STRING || len != REDIS_SHA_LEN) {
        return err_set(err, -EPROTO, "SCRIPT LOAD answered no hash");
    }
    memcpy(sha, text, REDIS_SHA_LEN);
    return 0;
}

/* A server that is only busy, starting or following says so with these. */
static bool passes_by_itself(const struct redis_reply *reply)
{
    static const char *const words[] = {"LOADING", "MASTERDOWN", "BUSY",       "READONLY",
                                        "MISCONF", "NOREPLICAS", "max number", "OOM"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (redis_reply_says(reply, words[i])) {
            return true;
        }
    }
    return false;
}

/* Before 7.0 the words differ, and inside a script they differ again. */
static bool means_forbidden(const struct redis_reply *reply)
{
    return redis_reply_says(reply, "NOPERM") || redis_reply_says(reply, "ACL failure") ||
           redis_reply_says(reply, "The user executing");
}

static int take_error(enum redis_step step, struct redis_connection *con,
                      const struct redis_reply *reply)
{
    bool forbidden = means_forbidden(reply);
    const char *way = "";
    if (forbidden && (step == STEP_INFO || step == STEP_POLICY)) {
        return 0; /* an ACL may withhold it: then it is unknown */
    }
    if (step == STEP_TRIAL && !forbidden) {
        return 0; /* it is about rights; a full or busy server tells each command so */
    }
    con->refused = !passes_by_itself(reply);
    if (forbidden) {
        way = " (the rights it takes: compose/secure/redis-users.acl)";
    } else if (con->refused && (step == STEP_AUTH || redis_reply_says(reply, "NOAUTH"))) {
        way = " (check redis.username and redis.password_file)";
    }
    return err_set(&con->err, -EIO, "%s%s", redis_reply_text(reply, NULL), way);
}

int redis_handshake_take(struct redis_handshake *hs, const struct redis_reply *reply,
                         struct redis_connection *con)
{
    ASSERT(!redis_handshake_is_answered(hs));
    enum redis_step step = hs->steps[hs->answered++];
    if (redis_reply_kind(reply) == REDIS_ERROR) {
        return take_error(step, con, reply);
    }
    switch (step) {
    case STEP_INFO:
        read_info(reply, "run_id:", con->run_id);
        return 0;
    case STEP_POLICY:
        read_info(reply, "maxmemory_policy:", con->policy);
        return 0;
    case STEP_SCRIPT:
        return read_sha(reply, con->sha[con->script_count++], &con->err);
    case STEP_TRIAL_SCRIPT:
        return read_sha(reply, hs->trial_sha, &con->err);
    default:
        return 0;
    }
}

#include "facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"

enum { COMMIT_SHOWN = 7 };

void facts_init(struct facts *facts)
{
    memset(facts, 0, sizeof *facts);
}

void facts_release(struct facts *facts)
{
    for (int i = 0; i < EVENT_FIELD_COUNT; i++) {
        free(facts->field[i]);
    }
    facts_init(facts);
}

void facts_put(struct facts *facts, enum event_field field, const char *text)
{
    if (!facts->field[field] && text && text[0] != '\0') {
        facts->field[field] = mem_strdup(text);
    }
}

const char *facts_repo_name(const char *repo)
{
    const char *slash = strrchr(repo, '/');
    return slash ? slash + 1 : repo;
}

void facts_complete(struct facts *facts, int64_t now_ms)
{
    char *const *field = facts->field;
    if (field[EVENT_REPO]) {
        facts_put(facts, EVENT_APP, facts_repo_name(field[EVENT_REPO]));
    }
    if (!field[EVENT_ID] && field[EVENT_REPO] && field[EVENT_COMMIT]) {
        char id[33];
        event_derive_id(field[EVENT_REPO], field[EVENT_COMMIT], field[EVENT_PIPELINE],
                        field[EVENT_RUN], id);
        facts_put(facts, EVENT_ID, id);
    }
    char time[NOW_TEXT_MAX];
    now_rfc3339(now_ms, time);
    facts_put(facts, EVENT_TIME, time);
}

char *facts_key(const struct facts *facts)
{
    const char *repo = facts->field[EVENT_REPO];
    const char *app = facts->field[EVENT_APP];
    if (!repo) {
        return mem_strdup(app);
    }
    struct str key;
    str_init(&key);
    str_add(&key, repo);
    if (app && strcmp(app, facts_repo_name(repo)) != 0) {
        str_addf(&key, "/%s", app);
    }
    return str_take(&key);
}

void facts_describe(const struct facts *facts, struct str *out)
{
    const char *repo = facts->field[EVENT_REPO];
    const char *commit = facts->field[EVENT_COMMIT];
    const char *run = facts->field[EVENT_RUN];
    str_add(out, repo ? repo : "no repository");
    if (commit) {
        str_addf(out, "@%.*s", COMMIT_SHOWN, commit);
    }
    if (run) {
        str_addf(out, " run %s", run);
    }
}

#include "event/fields.h"

#include <string.h>

#include "base/str.h"
#include "wire/crypto.h"

static const char *const field_names[EVENT_FIELD_COUNT] = {
    "app",     "repo", "branch", "commit", "image", "digest", "pipeline", "run",
    "run_url", "env",  "type",   "source", "id",    "time",   "key",
};

const char *event_field_name(enum event_field field)
{
    return field_names[field];
}

int event_field_find(const char *name)
{
    for (int i = 0; i < EVENT_FIELD_COUNT; i++) {
        if (strcmp(field_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *event_field_nearest(const char *name)
{
    return text_nearest(name, field_names, EVENT_FIELD_COUNT);
}

void event_derive_id(const char *repo, const char *commit, const char *pipeline,
                     const char *run, char text[33])
{
    const char *texts[] = {repo, commit, pipeline, run};
    crypto_hash128_texts(texts, 4, text);
}

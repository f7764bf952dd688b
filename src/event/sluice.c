#include "event/sluice.h"

#include <string.h>

/* The three members that may speak against success. *said: at least one says it. */
static enum event_outcome check_success(struct decoding *d, struct json_object *doc,
                                        bool *said)
{
    static const char *const members[] = {"/outcome", "/status"};
    *said = false;
    for (size_t i = 0; i < 2; i++) {
        switch (decoding_outcome(doc, members[i])) {
        case DECODING_ABSENT:
            break;
        case DECODING_SUCCESS:
            *said = true;
            break;
        case DECODING_FAILURE:
            return decoding_skip(d, "failure-event", "the event reports a failure");
        case DECODING_OTHER:
            return decoding_skip(d, "not-success",
                                 "the event's outcome is no word for success");
        }
    }
    return EVENT_OK;
}

static enum event_outcome check_type(struct decoding *d, struct json_object *doc,
                                     bool said)
{
    const char *outer = d->ev->fields[EVENT_TYPE];
    if (outer != NULL && strcmp(outer, SLUICE_TYPE) != 0) {
        return said ? EVENT_OK
                    : decoding_skip(d, "not-success",
                                    "neither type nor outcome nor status says success");
    }
    struct json_object *type = json_at(doc, "/type");
    if (type == NULL) {
        decoding_put(d, EVENT_TYPE, SLUICE_TYPE, strlen(SLUICE_TYPE), "/type");
        return EVENT_OK;
    }
    decoding_take(d, EVENT_TYPE, doc, "/type", DECODING_TEXT);
    const char *text = json_string_at(doc, "/type", NULL);
    if (text != NULL && strcmp(text, SLUICE_TYPE) != 0) {
        return decoding_skip(d, "other-type", "the event's type is not " SLUICE_TYPE);
    }
    return EVENT_OK;
}

static void take_id(struct decoding *d, struct json_object *doc)
{
    char **fields = d->ev->fields;
    size_t faults = d->faults;
    decoding_take(d, EVENT_ID, doc, "/id", DECODING_NUMBER);
    if (fields[EVENT_ID] == NULL && d->faults == faults && fields[EVENT_REPO] != NULL &&
        fields[EVENT_COMMIT] != NULL) {
        char id[33];
        event_derive_id(fields[EVENT_REPO], fields[EVENT_COMMIT], fields[EVENT_PIPELINE],
                        fields[EVENT_RUN], id);
        decoding_put(d, EVENT_ID, id, strlen(id), "/id");
    }
    if (d->faults == faults) {
        decoding_require(d, EVENT_ID, "/id");
    }
}

enum event_outcome sluice_decode(struct decoding *d, struct json_object *doc)
{
    static const struct {
        enum event_field field;
        const char *pointer;
        enum decoding_kind kind;
    } members[] = {
        {EVENT_APP, "/app", DECODING_TEXT},
        {EVENT_REPO, "/repo", DECODING_TEXT},
        {EVENT_BRANCH, "/branch", DECODING_TEXT},
        {EVENT_COMMIT, "/commit", DECODING_TEXT},
        {EVENT_IMAGE, "/image", DECODING_TEXT},
        {EVENT_DIGEST, "/digest", DECODING_TEXT},
        {EVENT_PIPELINE, "/pipeline", DECODING_NUMBER},
        {EVENT_RUN, "/run", DECODING_NUMBER},
        {EVENT_RUN_URL, "/run_url", DECODING_TEXT},
        {EVENT_ENV, "/env", DECODING_TEXT},
    };
    bool said;
    bool enveloped = d->ev->format == EVENT_CLOUDEVENTS;
    enum event_outcome outcome = check_success(d, doc, &said);
    if (outcome == EVENT_OK) {
        outcome = check_type(d, doc, said);
    }
    if (outcome != EVENT_OK) {
        return outcome;
    }
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        decoding_take(d, members[i].field, doc, members[i].pointer, members[i].kind);
    }
    if (!enveloped) {
        decoding_take(d, EVENT_SOURCE, doc, "/source", DECODING_TEXT);
        decoding_take(d, EVENT_TIME, doc, "/time", DECODING_TEXT);
        decoding_read_time(d, "/time");
        take_id(d, doc);
    }
    return decoding_end(d);
}

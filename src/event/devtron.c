#include "event/devtron.h"

#include <stdlib.h>
#include <string.h>

#include "wire/crypto.h"

static const char type[] = "CiCompleteEvent";
static const char source[] = "devtron";

bool devtron_is(struct json_object *doc)
{
    return json_object_is_type(doc, json_type_object) &&
           json_object_object_get_ex(doc, "pipelineId", NULL) &&
           (json_object_object_get_ex(doc, "dockerImage", NULL) ||
            json_object_object_get_ex(doc, "failureReason", NULL));
}

static bool is_text(const char *text)
{
    return text != NULL && *text != '\0';
}

/* Set a field from a member of type string that is not empty: Devtron writes "" for what
 * it does not know. */
static void take(struct decoding *d, enum event_field field, struct json_object *doc,
                 const char *pointer)
{
    struct json_object *at = json_at(doc, pointer);
    if (!json_object_is_type(at, json_type_string) ||
        json_object_get_string_len(at) > 0) {
        decoding_take(d, field, doc, pointer, DECODING_NUMBER);
    }
}

static void take_branch(struct decoding *d, struct json_object *doc)
{
    take(d, EVENT_BRANCH, doc, "/ciProjectDetails/0/branch");
    const char *kind = json_string_at(doc, "/ciProjectDetails/0/sourceType", NULL);
    if (kind != NULL && strstr(kind, "BRANCH_FIXED") != NULL) {
        take(d, EVENT_BRANCH, doc, "/ciProjectDetails/0/sourceValue");
    }
    take(d, EVENT_BRANCH, doc, "/ciProjectDetails/0/webhookData/data/target branch name");
    take(d, EVENT_BRANCH, doc, "/ciProjectDetails/0/webhookData/data/source branch name");
}

static void check_image(struct decoding *d)
{
    const char *image = d->ev->fields[EVENT_IMAGE];
    size_t faults = d->faults;
    decoding_require(d, EVENT_IMAGE, "/dockerImage");
    if (d->faults == faults && strchr(image, ':') == NULL) {
        decoding_fault(d, "invalid-field", "/dockerImage", "names no tag");
    }
}

static void derive_id(struct decoding *d, struct json_object *doc)
{
    char *const *fields = d->ev->fields;
    char *pipeline = json_text_at(doc, "/pipelineId");
    const char *run = fields[EVENT_RUN];
    if (pipeline == NULL) {
        decoding_fault(d, "missing-field", "/pipelineId", "is missing");
        return;
    }
    const char *parts[] = {source, pipeline, run, NULL, NULL, NULL};
    if (!is_text(run)) {
        parts[3] = fields[EVENT_IMAGE];
        parts[4] = fields[EVENT_DIGEST];
        parts[5] = fields[EVENT_COMMIT];
    }
    char id[CRYPTO_HEX128_LEN];
    crypto_hash128_texts(parts, 6, id);
    decoding_put(d, EVENT_ID, id, strlen(id), "/pipelineId");
    free(pipeline);
}

/* Is this a failure event? Sets *failed. */
static void check_failure(struct decoding *d, struct json_object *doc, bool *failed)
{
    struct json_object *reason = json_at(doc, "/failureReason");
    *failed = json_object_is_type(reason, json_type_string) &&
              json_object_get_string_len(reason) > 0;
    if (reason != NULL && !json_object_is_type(reason, json_type_string)) {
        decoding_fault(d, "invalid-field", "/failureReason", "must be a string");
    }
}

enum event_outcome devtron_decode(struct decoding *d, struct json_object *doc)
{
    bool failed;
    check_failure(d, doc, &failed);
    if (failed) {
        return decoding_skip(d, "failure-event", "the event carries a failureReason");
    }
    if (d->ev->format != EVENT_CLOUDEVENTS) {
        decoding_put(d, EVENT_TYPE, type, strlen(type), "");
        decoding_put(d, EVENT_SOURCE, source, strlen(source), "");
    }
    take(d, EVENT_APP, doc, "/appName");
    take(d, EVENT_PIPELINE, doc, "/pipelineName");
    take(d, EVENT_IMAGE, doc, "/dockerImage");
    take(d, EVENT_DIGEST, doc, "/digest");
    take(d, EVENT_RUN, doc, "/workflowId");
    take(d, EVENT_REPO, doc, "/ciProjectDetails/0/gitRepository");
    take(d, EVENT_COMMIT, doc, "/ciProjectDetails/0/commitHash");
    take_branch(d, doc);
    check_image(d);
    derive_id(d, doc);
    return decoding_end(d);
}

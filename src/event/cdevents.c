#include "event/cdevents.h"

#include <stdio.h>
#include <string.h>

#include "event/purl.h"

static const char prefix[] = "dev.cdevents.";

enum rule {
    RULE_OUTCOME, /* "success" */
    RULE_TEST,    /* "success" or "pass" */
    RULE_IMPLIED, /* the event itself is the good news */
    RULE_NEVER,   /* known, and says nothing about success */
};

struct kind {
    const char *name; /* subject.predicate */
    enum rule rule;
    const char *pipeline[2]; /* pointers, tried in order */
    bool artifact;
};

static const struct kind kinds[] = {
    {"pipelinerun.finished",
     RULE_OUTCOME,
     {"/subject/content/pipelineName", NULL},
     false},
    {"taskrun.finished", RULE_OUTCOME, {"/subject/content/taskName", NULL}, false},
    {"testsuiterun.finished",
     RULE_TEST,
     {"/subject/content/testSuite/name", "/subject/content/testSuite/id"},
     false},
    {"artifact.published", RULE_IMPLIED, {NULL, NULL}, true},
    {"artifact.packaged", RULE_IMPLIED, {NULL, NULL}, true},
    {"build.finished", RULE_NEVER, {NULL, NULL}, false},
};

bool cdevents_is(struct json_object *doc)
{
    return json_object_is_type(json_at(doc, "/context"), json_type_object) &&
           json_object_is_type(json_at(doc, "/subject"), json_type_object);
}

bool cdevents_is_type(const char *type)
{
    return text_starts(type, prefix) || text_starts(type, "dev.cdeventsx.");
}

/* Does text begin with one of 0.<from>. to 0.<to>.? */
static bool is_minor(const char *text, char from, char to)
{
    return text_starts(text, "0.") && text[2] >= from && text[2] <= to && text[3] == '.';
}

/* The kind of a type; *version: what follows its name. */
static const struct kind *find_kind(const char *type, const char **version)
{
    if (!text_starts(type, prefix)) {
        return NULL;
    }
    type += strlen(prefix);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len = strlen(kinds[i].name);
        if (strncmp(type, kinds[i].name, len) == 0 && type[len] == '.') {
            *version = type + len + 1;
            return &kinds[i];
        }
    }
    return NULL;
}

static enum event_outcome check_outcome(struct decoding *d, struct json_object *doc,
                                        enum rule rule)
{
    static const char pointer[] = "/subject/content/outcome";
    static const char *const failures[] = {"failure", "fail", "error", "cancel"};
    const char *word = json_string_at(doc, pointer, NULL);
    if (rule == RULE_IMPLIED) {
        return EVENT_OK;
    }
    if (rule == RULE_NEVER) {
        return decoding_skip(d, "not-success", "the event's type has no outcome");
    }
    if (word == NULL) {
        return decoding_skip(d, "not-success", "the event has no outcome");
    }
    if (strcmp(word, "success") == 0 ||
        (rule == RULE_TEST && strcmp(word, "pass") == 0)) {
        return EVENT_OK;
    }
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        if (strcmp(word, failures[i]) == 0) {
            return decoding_skip(d, "failure-event", "the event's outcome is a failure");
        }
    }
    return decoding_skip(d, "not-success", "the event's outcome is no word for success");
}

/* A context member that an envelope may have set: then both must agree. */
static void take_context(struct decoding *d, struct json_object *doc,
                         enum event_field field, const char *pointer)
{
    const char *outer = d->ev->fields[field];
    const char *inner = json_string_at(doc, pointer, NULL);
    if (outer != NULL && inner != NULL && strcmp(outer, inner) != 0) {
        decoding_fault(d, "invalid-field", pointer,
                       "differs from the CloudEvent's attribute");
        return;
    }
    if (outer != NULL && inner == NULL) {
        decoding_fault(d, "missing-field", pointer, "is missing");
        return;
    }
    size_t faults = d->faults;
    decoding_take(d, field, doc, pointer, DECODING_TEXT);
    if (d->faults == faults) {
        decoding_require(d, field, pointer);
    }
}

static void check_versions(struct decoding *d, struct json_object *doc,
                           const char *type_version)
{
    const char *pointer = "/context/specversion";
    if (json_at(doc, pointer) == NULL) {
        pointer = "/context/version";
    }
    const char *version = json_string_at(doc, pointer, NULL);
    if (version == NULL) {
        decoding_fault(d, "missing-field", "/context/specversion", "is missing");
    } else if (!is_minor(version, '3', '5')) {
        decoding_fault(d, "unsupported-version", pointer,
                       "is a release of CDEvents that is not understood");
    }
    if (!is_minor(type_version, '1', '3')) {
        decoding_fault(d, "unsupported-version", "/context/type",
                       "has a version that is not understood");
    }
}

static void take_custom(struct decoding *d, struct json_object *doc)
{
    if (!json_object_is_type(json_at(doc, "/customData"), json_type_object)) {
        return;
    }
    for (int field = EVENT_APP; field <= EVENT_ENV; field++) {
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/customData/%s",
                 event_field_name((enum event_field)field));
        decoding_take_loose(d, (enum event_field)field, doc, pointer);
    }
}

static void take_purl(struct decoding *d, struct json_object *doc)
{
    static const char pointer[] = "/subject/id";
    const char *id = json_string_at(doc, pointer, NULL);
    struct purl purl;
    if (id == NULL || purl_parse(id, &purl) != 0) {
        return;
    }
    if (!text_is_utf8(purl.name.data, purl.name.len) ||
        !text_is_utf8(purl.image.data, purl.image.len) ||
        !text_is_utf8(purl.digest.data, purl.digest.len)) {
        decoding_fault(d, "bad-utf8", pointer, "is not UTF-8 once decoded");
    } else {
        decoding_put(d, EVENT_APP, purl.name.data, purl.name.len, pointer);
        decoding_put(d, EVENT_IMAGE, purl.image.data, purl.image.len, pointer);
        if (purl.digest.len > 0) {
            decoding_put(d, EVENT_DIGEST, purl.digest.data, purl.digest.len, pointer);
        }
    }
    purl_release(&purl);
}

static bool is_commit(const char *text)
{
    size_t len = strspn(text, "0123456789abcdefABCDEF");
    return text[len] == '\0' && (len == 40 || len == 64);
}

static void take_artifact(struct decoding *d, struct json_object *doc)
{
    static const char change[] = "/subject/content/change/id";
    const char *commit = json_string_at(doc, change, NULL);
    take_purl(d, doc);
    decoding_take_loose(d, EVENT_REPO, doc, "/subject/content/change/source");
    if (commit != NULL && is_commit(commit)) {
        decoding_take_loose(d, EVENT_COMMIT, doc, change);
    }
}

static void take_run(struct decoding *d, struct json_object *doc, const struct kind *kind)
{
    for (size_t i = 0; i < 2 && kind->pipeline[i] != NULL; i++) {
        decoding_take(d, EVENT_PIPELINE, doc, kind->pipeline[i], DECODING_TEXT);
    }
    decoding_take(d, EVENT_RUN, doc, "/subject/id", DECODING_TEXT);
    decoding_take(d, EVENT_RUN_URL, doc, "/subject/content/uri", DECODING_TEXT);
    decoding_take(d, EVENT_RUN_URL, doc, "/subject/content/url", DECODING_TEXT);
    decoding_take(d, EVENT_ENV, doc, "/subject/content/environment/id", DECODING_TEXT);
}

enum event_outcome cdevents_decode(struct decoding *d, struct json_object *doc)
{
    const char *version = NULL;
    take_context(d, doc, EVENT_TYPE, "/context/type");
    if (d->faults > 0) {
        return decoding_end(d);
    }
    const struct kind *kind = find_kind(d->ev->fields[EVENT_TYPE], &version);
    if (kind == NULL) {
        return decoding_skip(d, "other-type",
                             "the event's type is none that a CI success has");
    }
    take_context(d, doc, EVENT_ID, "/context/id");
    take_context(d, doc, EVENT_SOURCE, "/context/source");
    check_versions(d, doc, version);
    enum event_outcome outcome = check_outcome(d, doc, kind->rule);
    if (outcome != EVENT_OK) {
        return outcome;
    }
    if (d->ev->fields[EVENT_TIME] == NULL) {
        take_context(d, doc, EVENT_TIME, "/context/timestamp");
        decoding_read_time(d, "/context/timestamp");
    }
    if (json_string_at(doc, "/subject/id", NULL) == NULL) {
        decoding_fault(d, "missing-field", "/subject/id", "is missing or no string");
    }
    take_custom(d, doc);
    if (kind->artifact) {
        take_artifact(d, doc);
    } else {
        take_run(d, doc, kind);
    }
    return decoding_end(d);
}

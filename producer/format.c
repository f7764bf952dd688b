#include "format.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

static const char media_cloudevents[] = "application/cloudevents+json";
static const char media_json[] = "application/json";
static const char sluice_type[] = "ci.succeeded";
static const char cdevents_version[] = "0.5.1";

int format_find(const char *name)
{
    static const char *const names[] = {"sluice", "cdevents", "cloudevents", "devtron"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* Absent texts stay out. */
static void add(struct json_object *doc, const char *name, const char *text)
{
    if (text) {
        json_object_object_add(doc, name, json_object_new_string(text));
    }
}

static void add_facts(struct json_object *doc, const struct facts *facts)
{
    for (int i = EVENT_APP; i <= EVENT_ENV; i++) {
        add(doc, event_field_name((enum event_field)i), facts->field[i]);
    }
}

/* doc: taken. */
static void set_value(struct record *record, struct json_object *doc)
{
    str_clear(&record->value);
    json_print(doc, &record->value);
    json_free(doc);
}

/* A CloudEvent's source is a URI reference: what may not stand there is encoded. */
static void source_of(const struct facts *facts, struct str *out)
{
    const char *text = facts->field[EVENT_SOURCE];
    text = text ? text : facts->field[EVENT_REPO];
    for (const char *c = text ? text : "sluice-producer"; *c != '\0'; c++) {
        if (strchr("/:@?#!$&'()*+,;=%[]", *c)) {
            str_addc(out, *c);
        } else {
            str_add_percent(out, c, 1);
        }
    }
}

static void write_sluice(const struct facts *facts, struct record *record)
{
    struct json_object *doc = json_object_new_object();
    add(doc, "id", facts->field[EVENT_ID]);
    add(doc, "source", facts->field[EVENT_SOURCE]);
    add(doc, "type", sluice_type);
    add(doc, "time", facts->field[EVENT_TIME]);
    add_facts(doc, facts);
    set_value(record, doc);
}

static void write_cloudevents(const struct facts *facts, struct record *record)
{
    struct json_object *doc = json_object_new_object();
    struct json_object *data = json_object_new_object();
    struct str source;
    str_init(&source);
    source_of(facts, &source);
    add(doc, "specversion", "1.0");
    add(doc, "id", facts->field[EVENT_ID]);
    add(doc, "source", source.data);
    add(doc, "type", sluice_type);
    add(doc, "time", facts->field[EVENT_TIME]);
    add(doc, "datacontenttype", media_json);
    add_facts(data, facts);
    json_object_object_add(doc, "data", data);
    set_value(record, doc);
    (void)record_add_header(record, "content-type", media_cloudevents);
    str_release(&source);
}

/* --- CDEvents --- */

/* pkg:oci/<name>@<digest>?repository_url=<repository>&tag=<tag> */
static void purl_of(const struct facts *facts, struct str *out)
{
    const char *image = facts->field[EVENT_IMAGE];
    const char *digest = facts->field[EVENT_DIGEST];
    const char *at = strchr(image, '@');
    size_t len = at ? (size_t)(at - image) : strlen(image);
    const char *slash = memrchr(image, '/', len);
    const char *name = slash ? slash + 1 : image;
    const char *tag = memchr(name, ':', len - (size_t)(name - image));
    size_t repository_len = tag ? (size_t)(tag - image) : len;
    digest = digest ? digest : at ? at + 1 : NULL;
    str_add(out, "pkg:oci/");
    str_add_percent(out, name, repository_len - (size_t)(name - image));
    if (digest) {
        str_addc(out, '@');
        str_add_percent(out, digest, strlen(digest));
    }
    str_add(out, "?repository_url=");
    str_add_percent(out, image, repository_len);
    if (tag) {
        str_add(out, "&tag=");
        str_add_percent(out, tag + 1, len - (size_t)(tag + 1 - image));
    }
}

static struct json_object *cdevents_subject(const struct facts *facts, struct str *id)
{
    struct json_object *subject = json_object_new_object();
    struct json_object *content = json_object_new_object();
    if (facts->field[EVENT_IMAGE]) {
        purl_of(facts, id);
    } else {
        const char *run = facts->field[EVENT_RUN];
        str_add(id, run ? run : facts->field[EVENT_ID]);
        add(content, "pipelineName", facts->field[EVENT_PIPELINE]);
        add(content, "uri", facts->field[EVENT_RUN_URL]);
        add(content, "outcome", "success");
    }
    add(subject, "id", id->data);
    json_object_object_add(subject, "content", content);
    return subject;
}

static void write_cdevents(const struct facts *facts, struct record *record)
{
    const char *type = facts->field[EVENT_IMAGE]
                           ? "dev.cdevents.artifact.published.0.3.0"
                           : "dev.cdevents.pipelinerun.finished.0.3.0";
    const char *id = facts->field[EVENT_ID];
    const char *time = facts->field[EVENT_TIME];
    struct json_object *doc = json_object_new_object();
    struct json_object *context = json_object_new_object();
    struct json_object *custom = json_object_new_object();
    struct str source;
    struct str subject;
    str_init(&source);
    str_init(&subject);
    source_of(facts, &source);
    add(context, "specversion", cdevents_version);
    add(context, "id", id);
    add(context, "source", source.data);
    add(context, "type", type);
    add(context, "timestamp", time);
    json_object_object_add(doc, "context", context);
    json_object_object_add(doc, "subject", cdevents_subject(facts, &subject));
    add_facts(custom, facts);
    json_object_object_add(doc, "customData", custom);
    add(doc, "customDataContentType", media_json);
    set_value(record, doc);
    const char *const headers[][2] = {{"ce_specversion", "1.0"},
                                      {"ce_id", id},
                                      {"ce_source", source.data},
                                      {"ce_type", type},
                                      {"ce_time", time},
                                      {"ce_subject", subject.data},
                                      {"content-type", media_json}};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        (void)record_add_header(record, headers[i][0], headers[i][1]);
    }
    str_release(&source);
    str_release(&subject);
}

/* --- Devtron --- */

/* Devtron's ids are numbers; a name that is none becomes one, the same each time. */
static int64_t number_of(const char *text)
{
    int64_t number;
    if (text_parse_int(text, 1, INT64_MAX, &number) == 0) {
        return number;
    }
    uint32_t h = 0x811c9dc5u;
    for (; *text != '\0'; text++) {
        h = (h ^ (unsigned char)*text) * 0x01000193u;
    }
    return (int64_t)(h >> 1) + 1;
}

static int write_devtron(const struct facts *facts, struct record *record,
                         struct err *err)
{
    char *const *field = facts->field;
    const char *pipeline = field[EVENT_PIPELINE];
    const char *digest = field[EVENT_DIGEST];
    if (!field[EVENT_IMAGE] || !strchr(field[EVENT_IMAGE], ':')) {
        return err_set(err, -EINVAL,
                       "a devtron event needs --image, with its tag or digest");
    }
    struct json_object *doc = json_object_new_object();
    struct json_object *project = json_object_new_object();
    struct json_object *projects = json_object_new_array();
    add(project, "gitRepository", field[EVENT_REPO]);
    add(project, "commitHash", field[EVENT_COMMIT]);
    add(project, "type", "git");
    add(project, "sourceType", "SOURCE_TYPE_BRANCH_FIXED");
    add(project, "sourceValue", field[EVENT_BRANCH]);
    json_object_array_add(projects, project);
    json_object_object_add(doc, "ciProjectDetails", projects);
    add(doc, "dockerImage", field[EVENT_IMAGE]);
    add(doc, "digest", digest ? digest : "");
    json_object_object_add(doc, "pipelineId",
                           json_object_new_int64(
                               number_of(pipeline ? pipeline : field[EVENT_REPO])));
    if (field[EVENT_RUN]) {
        json_object_object_add(doc, "workflowId",
                               json_object_new_int64(number_of(field[EVENT_RUN])));
    }
    json_object_object_add(doc, "triggeredBy", json_object_new_int(1));
    add(doc, "pipelineName", pipeline);
    add(doc, "dataSource", "EXTERNAL");
    add(doc, "materialType", "git");
    add(doc, "appName", field[EVENT_APP]);
    json_object_object_add(doc, "isArtifactUploaded", json_object_new_boolean(0));
    add(doc, "failureReason", "");
    set_value(record, doc);
    return 0;
}

int format_write(enum format format, const struct facts *facts, struct record *record,
                 struct err *err)
{
    switch (format) {
    case FORMAT_SLUICE:
        write_sluice(facts, record);
        return 0;
    case FORMAT_CLOUDEVENTS:
        write_cloudevents(facts, record);
        return 0;
    case FORMAT_CDEVENTS:
        write_cdevents(facts, record);
        return 0;
    case FORMAT_DEVTRON:
        return write_devtron(facts, record, err);
    }
    return -EINVAL;
}

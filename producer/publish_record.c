/* What both ways of publishing do with a record: dress it, and say what became of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "flags.h"
#include "publish.h"

int publish_headers(const struct publish *publish, struct record *record)
{
    for (size_t i = 0;; i++) {
        char *name;
        char *value;
        int rc = flags_pair(publish->line, "header", i, &name, &value);
        if (rc != 0) {
            return rc == 1 ? 0 : rc;
        }
        bool fits = record_add_header(record, name, value);
        free(name);
        free(value);
        if (!fits) {
            return command_misused(publish->line, "more than %d headers",
                                   RECORD_HEADERS_MAX);
        }
    }
}

void publish_key(const struct publish *publish, const struct facts *facts,
                 struct record *record)
{
    free(record->key);
    record->key = publish->key ? mem_strdup(publish->key) : facts_key(facts);
}

static void add_member(struct str *out, const char *name, const char *text)
{
    if (text) {
        str_addf(out, ",\"%s\":\"", name);
        str_add_json(out, text, strlen(text));
        str_addc(out, '"');
    }
}

void publish_describe(const struct publish *publish, char *const *field, struct str *out)
{
    const char *name = field[EVENT_REPO] ? field[EVENT_REPO] : field[EVENT_APP];
    if (publish->json) {
        add_member(out, "id", field[EVENT_ID]);
        add_member(out, "repo", field[EVENT_REPO]);
        add_member(out, "app", field[EVENT_APP]);
        add_member(out, "commit", field[EVENT_COMMIT]);
        return;
    }
    str_add(out, name ? name : "-");
    if (field[EVENT_COMMIT]) {
        str_addf(out, " %.7s", field[EVENT_COMMIT]);
    }
    str_addf(out, " id=%s", field[EVENT_ID] ? field[EVENT_ID] : "-");
}

void publish_print(const struct publish *publish, const struct record *record)
{
    struct json_object *doc = record_json(record, publish->cluster.topic);
    struct str text;
    str_init(&text);
    json_print(doc, &text);
    printf("%s\n", text.data);
    str_release(&text);
    json_free(doc);
}

void publish_say_sent(const struct publish *publish, int partition, int64_t offset,
                      const char *what)
{
    const char *topic = publish->cluster.topic;
    if (publish->json) {
        printf("{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld%s}\n", topic,
               partition, (long long)offset, what);
    } else if (!publish->quiet) {
        printf("✓ %s[%d]@%lld %s\n", topic, partition, (long long)offset, what);
    }
}

/* explain: the way of one event through the configuration; nothing is sent. */
#include "explain.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "base/option.h"
#include "wire/json.h"

const struct flag explain_flags[] = {
    {"curl", 0, NULL, "Print the requests as curl commands"},
    {"expect", 0, "TARGET", "Exit with 1 unless just these match (may repeat; none)"},
    {"header", 'H', "NAME=VALUE", "A header of the record; may repeat"},
    {"key", 0, "KEY", "The key of the record"},
    {.name = NULL},
};

/* --- the record --- */

enum { HEADERS_MAX = 64 };

struct record {
    struct str bytes;        /* the file */
    struct json_object *doc; /* when it is {"key", "headers", "value"}; or the event */
    struct str value;        /* printed again from there */
    struct event_header headers[HEADERS_MAX];
    char *names[HEADERS_MAX]; /* of -H; owned */
    size_t header_count;
    struct event_input input;
};

static void record_release(struct record *record)
{
    for (size_t i = 0; i < HEADERS_MAX; i++) {
        free(record->names[i]);
    }
    json_free(record->doc);
    str_release(&record->bytes);
    str_release(&record->value);
}

static void add_header(struct record *record, const char *name, const char *value)
{
    if (record->header_count < HEADERS_MAX) {
        record->headers[record->header_count++] =
            (struct event_header){name, value, strlen(value)};
    }
}

/* An object with "value" and nothing besides what a record has; no format of events looks
 * like that. */
static bool is_record(struct json_object *doc)
{
    static const char *const parts[] = {"topic", "partition", "offset", "timestamp",
                                        "key",   "headers",   "value"};
    struct json_object *value;
    size_t known = 0;
    if (!json_object_is_type(doc, json_type_object) ||
        !json_object_object_get_ex(doc, "value", &value)) {
        return false;
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        known += json_object_object_get_ex(doc, parts[i], &value);
    }
    return known == (size_t)json_object_object_length(doc);
}

static void take_record(struct record *record)
{
    struct json_object *value = json_at(record->doc, "/value");
    struct json_object *headers = json_at(record->doc, "/headers");
    const char *key = json_string_at(record->doc, "/key", NULL);
    if (json_object_is_type(value, json_type_string)) {
        str_put(&record->value, json_object_get_string(value),
                (size_t)json_object_get_string_len(value));
    } else if (value != NULL) {
        json_print(value, &record->value);
    }
    record->input.value = value != NULL ? record->value.data : NULL;
    record->input.value_len = record->value.len;
    if (key != NULL) {
        record->input.key = key;
        record->input.key_len = strlen(key);
    }
    if (json_object_is_type(headers, json_type_object)) {
        json_object_object_foreach(headers, name, member)
        {
            add_header(record, name, json_object_get_string(member));
        }
    }
}

static int read_record(const struct command_line *line, struct record *record)
{
    int code = command_read(line, line->words[0], EVENT_VALUE_MAX, &record->bytes);
    if (code != 0) {
        return code;
    }
    record->input.topic = "explain";
    record->input.value = record->bytes.data;
    record->input.value_len = record->bytes.len;
    int rc = json_parse(record->bytes.data, record->bytes.len, &record->doc, NULL);
    if (rc == 0 && is_record(record->doc)) {
        take_record(record);
    }
    const char *key = flag_value(line, "key");
    if (key != NULL) {
        record->input.key = key;
        record->input.key_len = strlen(key);
    }
    for (size_t i = 0; flag_value_at(line, "header", i) != NULL && i < HEADERS_MAX; i++) {
        const char *pair = flag_value_at(line, "header", i);
        const char *equals = strchr(pair, '=');
        if (equals == NULL) {
            return command_misused(line, "-H: \"%s\" is not NAME=VALUE", pair);
        }
        record->names[i] = mem_strndup(pair, (size_t)(equals - pair));
        add_header(record, record->names[i], equals + 1);
    }
    record->input.headers = record->headers;
    record->input.header_count = record->header_count;
    return 0;
}

/* --- its way --- */

static void remember_rule(void *arg, const struct match_rule *rule, const char *value,
                          bool ok)
{
    struct explain_target *t = arg;
    if (t->rule_count < EXPLAIN_RULES_MAX) {
        t->rules[t->rule_count++] = (struct explain_rule){rule, mem_strdup(value), ok};
    }
}

const char *explain_secret_marker(void *arg, const char *name)
{
    struct explain_markers *markers = arg;
    char env[OPTION_KEY_MAX];
    char key[OPTION_KEY_MAX];
    snprintf(key, sizeof key, "secret.%s", name);
    option_env_name(key, env);
    for (size_t i = 0; i < markers->count; i++) {
        if (strcmp(markers->texts[i], env) == 0) {
            return markers->texts[i];
        }
    }
    ASSERT(markers->count < EXPLAIN_MARKERS);
    char *text = markers->texts[markers->count++];
    snprintf(text, EXPLAIN_MARKER_MAX, "%.150s", env);
    return text;
}

static void make_request(struct explain_target *t, const struct event *ev, bool curl)
{
    struct explain_markers *markers = mem_zalloc(sizeof *markers);
    /* a marker is no signing key: all is masked then */
    bool marked = curl && target_sign(t->target->target) == NULL;
    int rc = target_request_make(t->target->target, ev, now_wall_ms() / 1000,
                                 marked ? explain_secret_marker : NULL, markers,
                                 &t->request, &t->err);
    t->made = rc == 0;
    free(markers);
}

static void route(struct explain *x, bool curl)
{
    x->target_count = x->config->target_count;
    x->targets = mem_array(x->target_count, sizeof x->targets[0]);
    for (size_t i = 0; i < x->target_count; i++) {
        struct explain_target *t = &x->targets[i];
        t->target = &x->config->targets[i];
        t->match = match_event(&t->target->match, &x->ev, remember_rule, t);
        if (t->match) {
            make_request(t, &x->ev, curl);
        }
    }
}

static void explain_release(struct explain *x)
{
    for (size_t i = 0; i < x->target_count; i++) {
        struct explain_target *t = &x->targets[i];
        for (size_t k = 0; k < t->rule_count; k++) {
            free(t->rules[k].value);
        }
        if (t->match) {
            target_request_release(&t->request);
        }
    }
    free(x->targets);
    event_release(&x->ev);
}

/* --- what was expected --- */

static bool is_expected(const struct command_line *line, const char *name)
{
    for (size_t i = 0; flag_value_at(line, "expect", i) != NULL; i++) {
        if (strcmp(flag_value_at(line, "expect", i), name) == 0) {
            return true;
        }
    }
    return false;
}

static bool target_exists(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->target_count; i++) {
        if (strcmp(config->targets[i].name, name) == 0) {
            return true;
        }
    }
    return strcmp(name, "none") == 0;
}

/* Returns 0, EXIT_NO after saying what differs, or EXIT_USAGE. */
static int compare(const struct explain *x, const struct command_line *line)
{
    int code = 0;
    if (!flag_is_set(line, "expect")) {
        return 0;
    }
    for (size_t i = 0; flag_value_at(line, "expect", i) != NULL; i++) {
        const char *name = flag_value_at(line, "expect", i);
        if (!target_exists(x->config, name)) {
            return command_misused(line, "--expect: there is no target \"%s\"", name);
        }
        if (x->outcome != EVENT_OK && strcmp(name, "none") != 0) {
            fprintf(stderr, "expected %s: the event is skipped\n", name);
            code = EXIT_NO;
        }
    }
    for (size_t i = 0; i < x->target_count; i++) {
        const struct explain_target *t = &x->targets[i];
        bool expected = is_expected(line, t->target->name);
        if (expected != t->match) {
            fprintf(stderr, "%s: expected %s, found %s\n", t->target->name,
                    expected ? "a match" : "none", expected ? "none" : "a match");
            code = EXIT_NO;
        } else if (expected && !t->made) {
            fprintf(stderr, "%s: matches, but %s\n", t->target->name, t->err.text);
            code = EXIT_NO;
        }
    }
    return code;
}

/* --- the command --- */

static int explain_record(const struct command_line *line, const struct record *record,
                          const struct config *config)
{
    struct explain x = {.config = config};
    bool curl = flag_is_set(line, "curl");
    x.outcome = event_decode(&record->input, &x.ev, &x.reason);
    if (x.outcome == EVENT_OK) {
        route(&x, curl);
    }
    if (flag_is_set(line, "json")) {
        explain_print_json(&x);
    } else if (x.outcome == EVENT_BAD) {
        fprintf(stderr, "%s: bad event (%s): %s\n", line->words[0], x.reason.word,
                x.reason.text);
    } else if (curl && x.outcome == EVENT_OK) {
        explain_print_curl(&x);
    } else {
        explain_print_text(&x, line);
    }
    int code = x.outcome == EVENT_BAD ? EXIT_DATA : compare(&x, line);
    explain_release(&x);
    return code;
}

int explain_run(const struct command_line *line)
{
    if (line->word_count == 0) {
        return command_misused(line, "which event? a file, or - for standard input");
    }
    int code;
    struct config *config = command_load_or_say(line, NULL, &code);
    if (config == NULL) {
        return code;
    }
    struct record *record = mem_zalloc(sizeof *record);
    str_init(&record->bytes);
    str_init(&record->value);
    code = read_record(line, record);
    if (code == 0) {
        code = explain_record(line, record, config);
    }
    record_release(record);
    free(record);
    config_free(config);
    return code;
}

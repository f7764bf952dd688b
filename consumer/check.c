/* check: the configuration, offline. */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/json.h"

extern char **environ;

const struct flag check_flags[] = {
    {"strict", 0, NULL, "Warnings are errors"},
    {"require-secrets", 0, NULL, "Also read the secrets"},
    {.name = NULL},
};

struct outcome {
    size_t errors;
    size_t warnings;
    bool no_input;
};

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* --- JSON --- */

/* "a.yaml:3:5" -> file, line, column; anything else is a file or a variable alone. */
static void add_place(struct json_object *issue, const char *where)
{
    const char *column = strrchr(where, ':');
    const char *line = column;
    int64_t at[2];
    while (line != NULL && line > where && line[-1] != ':') {
        line--;
    }
    char text[16] = "";
    if (line != NULL && line > where) {
        snprintf(text, sizeof text, "%.*s", (int)(column - line), line);
    }
    if (text[0] == '\0' || text_parse_int(text, 1, INT32_MAX, &at[0]) != 0 ||
        text_parse_int(column + 1, 1, INT32_MAX, &at[1]) != 0) {
        json_object_object_add(issue, "where", json_object_new_string(where));
        return;
    }
    int len = (int)(line - 1 - where);
    json_object_object_add(issue, "where", json_object_new_string(where));
    json_object_object_add(issue, "file", json_object_new_string_len(where, len));
    json_object_object_add(issue, "line", json_object_new_int64(at[0]));
    json_object_object_add(issue, "column", json_object_new_int64(at[1]));
}

static struct json_object *issues_json(const struct config_report *report, bool strict)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < report->count; i++) {
        const struct config_issue *issue = &report->items[i];
        struct json_object *one = json_object_new_object();
        json_object_object_add(one, "severity",
                               json_object_new_string(report_severity(issue, strict)));
        json_object_object_add(one, "code", json_object_new_string(issue->code));
        add_place(one, issue->where);
        json_object_object_add(one, "text", json_object_new_string(issue->text));
        json_object_array_add(list, one);
    }
    return list;
}

static void print_json(struct json_object *files, const struct outcome *all)
{
    struct json_object *root = json_object_new_object();
    json_object_object_add(root, "version", json_object_new_int(1));
    json_object_object_add(root, "ok", json_object_new_boolean(all->errors == 0));
    json_object_object_add(root, "errors", json_object_new_int64((int64_t)all->errors));
    json_object_object_add(root, "warnings",
                           json_object_new_int64((int64_t)all->warnings));
    json_object_object_add(root, "files", files);
    command_print_json(root);
    json_free(root);
}

/* --- one file --- */

/* An unreadable secret is a fault like any other, but found only when asked. */
static void check_secrets(struct config *config, struct config_report *report)
{
    struct err err = ERR_INIT;
    int rc = config_load_secrets(config, environ, &err);
    if (rc != 0) {
        bool token = rc == -EINVAL; /* it was read, and will not do */
        config_report_add(report, CONFIG_ERROR, token ? "SL-C35" : "SL-C12",
                          token ? "tokens" : "secrets", err.text);
    }
}

static void print_text(const struct command_line *line, const struct config *config,
                       const struct config_report *report, const char *name)
{
    bool strict = flag_is_set(line, "strict");
    struct paint paint = paint_for(line, stdout);
    for (size_t i = 0; i < report->count; i++) {
        report_print_issue(&report->items[i], strict, &paint, stdout);
    }
    if (report->count == CONFIG_ISSUES_MAX) {
        printf("... only the first %d are shown\n", CONFIG_ISSUES_MAX);
    }
    size_t errors = report->errors + (strict ? report->warnings : 0);
    size_t warnings = strict ? 0 : report->warnings;
    if (errors > 0 || config == NULL) {
        printf("%zu error%s, %zu warning%s\n", errors, plural(errors), warnings,
               plural(warnings));
        return;
    }
    printf("%s%s ok%s: %zu target%s, %zu limit%s, topic %s, group %s, %zu warning%s\n",
           paint.good, name, paint.off, config->target_count,
           plural(config->target_count), config->limit_count, plural(config->limit_count),
           config->kafka.topic, config->kafka.group, warnings, plural(warnings));
}

/* files: the list for --json, or NULL. */
static void check_file(const struct command_line *line, const char *path,
                       struct json_object *files, struct outcome *all)
{
    struct config_report report;
    bool strict = flag_is_set(line, "strict");
    struct config *config = command_load(line, path, &report);
    const char *given = path != NULL ? path : flag_value(line, "config");
    const char *name = given != NULL ? given : "configuration";
    if (config != NULL && config_path(config) != NULL) {
        name = config_path(config);
    }
    if (config != NULL && flag_is_set(line, "require-secrets")) {
        check_secrets(config, &report);
    }
    if (files != NULL) {
        struct json_object *file = json_object_new_object();
        json_object_object_add(file, "file", json_object_new_string(name));
        json_object_object_add(file, "issues", issues_json(&report, strict));
        json_object_array_add(files, file);
    } else {
        print_text(line, config, &report, name);
    }
    all->errors += report.errors + (strict ? report.warnings : 0);
    all->warnings += strict ? 0 : report.warnings;
    all->no_input = all->no_input || report.no_input;
    config_free(config);
    config_report_release(&report);
}

int check_run(const struct command_line *line)
{
    struct outcome all = {0, 0, false};
    struct json_object *files =
        flag_is_set(line, "json") ? json_object_new_array() : NULL;
    for (size_t i = 0; i < line->word_count; i++) {
        check_file(line, line->words[i], files, &all);
    }
    if (line->word_count == 0) {
        check_file(line, NULL, files, &all);
    }
    if (files != NULL) {
        print_json(files, &all);
    }
    if (all.no_input) {
        return EXIT_NO_INPUT;
    }
    return all.errors > 0 ? EXIT_CONFIG : 0;
}

/* Between the commands: the common flags, loading the configuration, printing faults. */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/json.h"

extern char **environ;

const struct flag common_flags[] = {
    {"config", 'c', "FILE", "The configuration (else SLUICE_CONFIG, else ./sluice.yaml)"},
    {"set", 0, "KEY=VALUE", "One key of the configuration; may repeat"},
    {"property", 'X', "NAME=VALUE", "One librdkafka property; may repeat"},
    {"json", 0, NULL, "Answer in JSON"},
    {"quiet", 'q', NULL, "Log warnings and errors only"},
    {"verbose", 'v', NULL, "Log everything"},
    {"log-level", 0, "LEVEL", "debug, info, warn or error"},
    {"log-format", 0, "FORMAT", "auto, text, json, logfmt or ecs"},
    {"color", 0, "WHEN", "auto, always or never"},
    {.name = NULL},
};

/* --- flags as overrides --- */

/* "a=b" -> prefix + "a", "b". Owned: key. */
static void add_pair(struct config_override *o, const char *prefix, const char *pair,
                     const char *flag)
{
    const char *equals = strchr(pair, '=');
    size_t len = equals != NULL ? (size_t)(equals - pair) : strlen(pair);
    struct str key;
    struct str origin;
    str_init(&key);
    str_init(&origin);
    str_add(&key, prefix);
    str_put(&key, pair, len);
    str_addf(&origin, "%s %.*s", flag, (int)len, pair);
    *o = (struct config_override){str_take(&key), equals != NULL ? equals + 1 : "",
                                  str_take(&origin)};
}

static void add_value(struct config_override *o, const char *key, const char *value,
                      const char *flag)
{
    *o = (struct config_override){mem_strdup(key), value, mem_strdup(flag)};
}

/* Returns how many; the caller frees their keys and origins. */
static size_t read_overrides(const struct command_line *line, struct config_override *o)
{
    size_t n = 0;
    for (size_t i = 0; i < line->flag_count; i++) {
        const char *name = line->flags[i].flag->name;
        const char *value = line->flags[i].value;
        if (strcmp(name, "set") == 0) {
            add_pair(&o[n++], "", value, "--set");
        } else if (strcmp(name, "property") == 0) {
            add_pair(&o[n++], "kafka.properties.", value, "-X");
        } else if (strcmp(name, "quiet") == 0) {
            add_value(&o[n++], "log.level", "warn", "-q");
        } else if (strcmp(name, "verbose") == 0) {
            add_value(&o[n++], "log.level", "debug", "-v");
        } else if (strcmp(name, "log-level") == 0) {
            add_value(&o[n++], "log.level", value, "--log-level");
        } else if (strcmp(name, "log-format") == 0) {
            add_value(&o[n++], "log.format", value, "--log-format");
        }
    }
    return n;
}

struct config *command_load(const struct command_line *line, const char *path,
                            struct config_report *report)
{
    struct config_override overrides[COMMAND_FLAGS_MAX] = {{NULL, NULL, NULL}};
    size_t n = read_overrides(line, overrides);
    const char *file = path != NULL ? path : flag_value(line, "config");
    struct config *config = config_load(file, overrides, n, environ, report);
    for (size_t i = 0; i < n; i++) {
        free((char *)overrides[i].key);
        free((char *)overrides[i].origin);
    }
    return config;
}

/* --- faults --- */

int report_exit_code(const struct config_report *report)
{
    if (report->errors == 0) {
        return 0;
    }
    return report->no_input ? EXIT_NO_INPUT : EXIT_CONFIG;
}

const char *report_severity(const struct config_issue *issue, bool strict)
{
    if (issue->severity == CONFIG_NOTE) {
        return "note";
    }
    return strict || issue->severity == CONFIG_ERROR ? "error" : "warning";
}

void report_print_issue(const struct config_issue *issue, bool strict,
                        const struct paint *paint, FILE *out)
{
    const char *word = report_severity(issue, strict);
    const char *colour = issue->severity == CONFIG_NOTE ? paint->good
                         : strcmp(word, "error") == 0   ? paint->bad
                                                        : paint->warn;
    fprintf(out, "%s%s%s: %s%s%s %s: %s\n", paint->bold, issue->where, paint->off, colour,
            word, paint->off, issue->code, issue->text);
}

struct config *command_load_or_say(const struct command_line *line,
                                   struct config_report *warnings, int *code)
{
    struct config_report report;
    struct paint paint = paint_for(line, stderr);
    struct config *config = command_load(line, NULL, &report);
    *code = report_exit_code(&report);
    for (size_t i = 0; i < report.count && config == NULL; i++) {
        if (report.items[i].severity == CONFIG_ERROR) {
            report_print_issue(&report.items[i], false, &paint, stderr);
        }
    }
    if (config != NULL && warnings != NULL) {
        *warnings = report;
    } else {
        config_report_release(&report);
    }
    return config;
}

/* --- colours --- */

struct paint paint_for(const struct command_line *line, FILE *out)
{
    static const struct paint plain = {"", "", "", "", ""};
    static const struct paint bright = {"\033[32m", "\033[31m", "\033[33m", "\033[1m",
                                        "\033[0m"};
    const char *when = flag_value(line, "color");
    const char *never = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    if (when != NULL && strcmp(when, "always") == 0) {
        return bright;
    }
    if ((when != NULL && strcmp(when, "never") == 0) || !isatty(fileno(out)) ||
        (never != NULL && never[0] != '\0') ||
        (term != NULL && strcmp(term, "dumb") == 0)) {
        return plain;
    }
    return bright;
}

/* --- output and input --- */

void command_print_json(struct json_object *doc)
{
    struct str out;
    str_init(&out);
    json_print_pretty(doc, &out);
    printf("%s\n", out.data);
    str_release(&out);
}

int command_read(const struct command_line *line, const char *path, size_t max,
                 struct str *bytes)
{
    bool input = strcmp(path, "-") == 0;
    FILE *file = input ? stdin : fopen(path, "rbe");
    if (file == NULL) {
        fprintf(stderr, "%s: %s: %s\n", line->program->name, path, strerror(errno));
        return EXIT_NO_INPUT;
    }
    char chunk[16384];
    size_t n = 1;
    errno = 0;
    while (n > 0 && bytes->len <= max) {
        n = fread(chunk, 1, sizeof chunk, file);
        str_put(bytes, chunk, n);
    }
    bool failed = ferror(file) != 0;
    if (failed) {
        fprintf(stderr, "%s: %s: %s\n", line->program->name, path, strerror(errno));
    }
    if (!input) {
        (void)fclose(file);
    }
    return failed ? EXIT_NO_INPUT : 0;
}

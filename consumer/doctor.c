/* doctor: can this configuration work here? */
#include "commands.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/now.h"
#include "clusters/doctor_clusters.h"
#include "ops/doctor.h"
#include "wire/json.h"

extern char **environ;

enum { TIMEOUT_MS = 5000, TIMEOUT_MAX_MS = 60 * 1000 };

const struct flag doctor_flags[] = {
    {"timeout", 0, "DURATION", "How long each check may take (5s)"},
    {.name = NULL},
};

static int widest_name(const struct doctor *doctor)
{
    int width = 0;
    for (size_t i = 0; i < doctor->count; i++) {
        int len = (int)strlen(doctor->items[i].name);
        width = len > width ? len : width;
    }
    return width;
}

static void print_check(const struct doctor_check *check, int width,
                        const struct paint *paint)
{
    static const char *const glyphs[] = {"✓", "!", "✗", "-"};
    const char *const colours[] = {paint->good, paint->warn, paint->bad, ""};
    struct str text;
    str_init(&text);
    str_add_plain(&text, check->text);
    printf("%s%s%s %-*s %s%s%s%s", colours[check->mark], glyphs[check->mark], paint->off,
           width, check->name, text.data, check->code[0] ? " (" : "", check->code,
           check->code[0] ? ")" : "");
    printf("%s%s\n", check->next[0] ? "\n  → " : "", check->next);
    str_release(&text);
}

static void print_sum(const struct doctor *doctor)
{
    size_t failed = doctor_count(doctor, DOCTOR_FAILED);
    size_t warnings = doctor_count(doctor, DOCTOR_WARNING);
    printf("%zu ok, %zu failed, %zu warning%s, %zu skipped\n",
           doctor_count(doctor, DOCTOR_OK), failed, warnings, warnings == 1 ? "" : "s",
           doctor_count(doctor, DOCTOR_SKIPPED));
    if (failed == 0) {
        printf("next: sluice-consumer run\n");
    }
}

/* What is not valid here, before what refuses, before what cannot be reached. */
static int exit_code(const struct doctor *doctor)
{
    int code = 0;
    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_check *check = &doctor->items[i];
        if (check->mark != DOCTOR_FAILED) {
            continue;
        }
        if (check->rc == -ENOENT || check->rc == -EINVAL) {
            return EXIT_CONFIG;
        }
        if (check->rc == -EACCES) {
            code = EXIT_REFUSED;
        } else if (code == 0) {
            code = EXIT_UNAVAILABLE;
        }
    }
    return code;
}

int doctor_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    struct doctor doctor;
    int64_t timeout_ms = TIMEOUT_MS;
    const char *timeout = flag_value(line, "timeout");
    if (timeout && (now_parse_duration(timeout, &timeout_ms) || timeout_ms < 1 ||
                    timeout_ms > TIMEOUT_MAX_MS)) {
        return command_misused(line, "--timeout %s: expected 1ms to 60s", timeout);
    }
    int code = command_open(line, &config, &place);
    if (code) {
        return code;
    }
    doctor_examine(&place, timeout_ms, environ, &doctor);
    doctor_examine_clusters(config, timeout_ms, &doctor);
    if (flag_is_set(line, "json")) {
        struct json_object *doc = doctor_json(&doctor);
        command_print_json(doc);
        json_free(doc);
    } else {
        struct paint paint = paint_for(line, stdout);
        int width = widest_name(&doctor);
        for (size_t i = 0; i < doctor.count; i++) {
            print_check(&doctor.items[i], width, &paint);
        }
        print_sum(&doctor);
    }
    code = exit_code(&doctor);
    doctor_release(&doctor);
    command_close(config, &place);
    return code;
}

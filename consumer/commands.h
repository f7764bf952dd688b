/* The commands of sluice-consumer: each takes its words, does its work and returns an
 * exit code. One file per group; main.c has the table. */
#ifndef CONSUMER_COMMANDS_H
#define CONSUMER_COMMANDS_H

#include <stdio.h>

#include "base/command.h"
#include "fleet/config.h"
#include "ops/place.h"

int run_run(const struct command_line *line);
int demo_run(const struct command_line *line);
int demo_broker_run(const struct command_line *line);
int check_run(const struct command_line *line);
int config_show_run(const struct command_line *line);
int config_diff_run(const struct command_line *line);
int config_init_run(const struct command_line *line);
int config_schema_run(const struct command_line *line);
int explain_run(const struct command_line *line);
int console_run(const struct command_line *line);
int healthcheck_run(const struct command_line *line);
int pause_run(const struct command_line *line);
int resume_run(const struct command_line *line);
int drain_run(const struct command_line *line);
int reload_run(const struct command_line *line);
int doctor_run(const struct command_line *line);
int status_run(const struct command_line *line);
int top_run(const struct command_line *line);
int tap_run(const struct command_line *line);
int workflow_run(const struct command_line *line);
int trace_run(const struct command_line *line);
int kube_get_run(const struct command_line *line);
int kube_clusters_run(const struct command_line *line);
int kube_status_run(const struct command_line *line);
int kube_wake_run(const struct command_line *line);
int kube_hibernate_run(const struct command_line *line);
int kube_wakings_run(const struct command_line *line);
int manual_run(const struct command_line *line);
int wait_run(const struct command_line *line);
int version_run(const struct command_line *line);

extern const struct flag demo_flags[];
extern const struct flag pause_flags[];
extern const struct flag resume_flags[];
extern const struct flag drain_flags[];
extern const struct flag reload_flags[];
extern const struct flag check_flags[];
extern const struct flag config_show_flags[];
extern const struct flag config_init_flags[];
extern const struct flag explain_flags[];
extern const struct flag doctor_flags[];
extern const struct flag console_flags[];
extern const struct flag healthcheck_flags[];
extern const struct flag status_flags[];
extern const struct flag kube_get_flags[];
extern const struct flag kube_clusters_flags[];
extern const struct flag kube_status_flags[];
extern const struct flag kube_wake_flags[];
extern const struct flag wait_flags[];
extern const struct flag tap_flags[];

/* A word after `help` that is no command: a code, a key, a section, "codes". */
bool help_topic(const char *word, FILE *out);

/* --- what several commands do --- */

/* The commit this was built from, "unknown" outside of a repository. */
const char *version_revision(void);

/* The flags every command takes; they become overrides of configuration keys. */
extern const struct flag common_flags[];

/* Load the configuration as the flags and the environment of this process say.
 * path    NULL: as -c says, else SLUICE_CONFIG, else ./sluice.yaml.
 * report  out: the caller releases it; nothing is printed.
 * Returns owned or NULL. */
struct config *command_load(const struct command_line *line, const char *path,
                            struct config_report *report);

/* The same for commands that need it and cannot do without: prints the errors on stderr.
 * warnings  out, when a configuration is returned; the caller releases it. May be NULL.
 * code      out: the exit code when NULL is returned (66 or 78). */
struct config *command_load_or_say(const struct command_line *line,
                                   struct config_report *warnings, int *code);

/* Load it and open the place an operator's command stands on, or say why not on stderr.
 * Logs go on only with --verbose: the command itself says what it cannot reach.
 * Returns 0 or an exit code. */
int command_open(const struct command_line *line, struct config **config,
                 struct ops_place *place);
void command_close(struct config *config, struct ops_place *place);

/* Say an error on stderr; the exit code for it: 69 for what cannot be reached, 77 for
 * what is refused, 78 for what is not there or not valid, 65 for bad data. */
int command_failed(const struct command_line *line, int rc, const struct err *err);

/* 0, 66 (the file is missing) or 78. */
int report_exit_code(const struct config_report *report);

/* Colours for one stream, all "" where there should be none (--color, NO_COLOR, TERM). */
struct paint {
    const char *good;
    const char *bad;
    const char *warn;
    const char *bold;
    const char *off;
};
struct paint paint_for(const struct command_line *line, FILE *out);

/* "error", "warning" (strict: an error, too) or "note". */
const char *report_severity(const struct config_issue *issue, bool strict);
/* "sluice.yaml:14:3: error SL-C02: ..." */
void report_print_issue(const struct config_issue *issue, bool strict,
                        const struct paint *paint, FILE *out);

/* A document on stdout, pretty. */
struct json_object;
void command_print_json(struct json_object *doc);

/* Read a whole file or, for "-", standard input; at most `max` bytes and one more.
 * Returns 0, or EXIT_NO_INPUT after saying so. */
int command_read(const struct command_line *line, const char *path, size_t max,
                 struct str *bytes);

#endif

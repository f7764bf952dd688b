#include "reload.h"

#include <string.h>
#include <unistd.h>

#include "../commands.h"
#include "base/log.h"
#include "base/now.h"

enum { HASH_SHOWN = 4 };

static struct metric *gauge(struct metrics *metrics, const char *name, const char *help)
{
    return metrics_series(metrics_family(metrics, METRIC_GAUGE, name, "", help, NULL, 0),
                          NULL, NULL, NULL, NULL);
}

static void note_success(struct reload *reload)
{
    metric_set(reload->successful, 1);
    metric_set(reload->at, (double)now_wall_ms() / 1000);
}

void reload_init(struct reload *reload, const struct command_line *line,
                 struct config *config, struct metrics *metrics)
{
    *reload = (struct reload){
        .line = line,
        .config = config_hold(config),
        .level = config->log_level,
        .successful =
            gauge(metrics, "sluice_config_last_reload_successful",
                  "1 when the configuration that was read last is the one at work"),
        .at = gauge(metrics, "sluice_config_last_reload_success_timestamp_seconds",
                    "When the configuration at work was read, since 1970")};
    note_success(reload);
}

void reload_release(struct reload *reload)
{
    config_free(reload->config);
}

/* --- reading it --- */

/* The first fault in words, and how many more there are. */
static void say_faults(const struct config_report *report, struct str *why)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct config_issue *issue = &report->items[i];
        if (issue->severity != CONFIG_ERROR) {
            continue;
        }
        LOG(LOG_ERROR, "configuration", LS("code", issue->code),
            LS("where", issue->where), LS("why", issue->text), LEND);
        if (why->len == 0) {
            str_addf(why, "%s: %s: %s", issue->where, issue->code, issue->text);
        }
    }
    if (report->errors > 1) {
        str_addf(why, " (and %zu more)", report->errors - 1);
    }
}

/* Returns owned or NULL with the reason appended to why. */
static struct config *read_again(struct reload *reload, struct str *why)
{
    struct config_report report;
    struct err err = ERR_INIT;
    struct config *config = command_load(reload->line, NULL, &report);
    if (!config) {
        say_faults(&report, why);
    } else if (config_load_secrets(config, environ, &err)) {
        str_add(why, err.text);
        config_free(config);
        config = NULL;
    }
    config_report_release(&report);
    return config;
}

/* --- taking it --- */

/* The level of the log follows the configuration only when that changed: it may have been
 * turned by a signal since. */
static void take(struct reload *reload, struct config *config)
{
    if (config->log_level != reload->level) {
        log_set_level(config->log_level);
        reload->level = config->log_level;
    }
    config_free(reload->config);
    reload->config = config;
    note_success(reload);
}

static void say_hashes(const struct config *from, const struct config *to,
                       struct str *text)
{
    char old[CONFIG_HASH_LEN];
    char new[CONFIG_HASH_LEN];
    config_hash(from, old);
    config_hash(to, new);
    str_addf(text, "config %.*s", HASH_SHOWN, old);
    if (strcmp(old, new) != 0) {
        str_addf(text, " → %.*s", HASH_SHOWN, new);
    }
    str_add(text, ": ");
}

/* Takes config when it returns true. */
static bool offer(struct reload *reload, struct worker *worker, struct config *config,
                  struct str *changes, struct str *why)
{
    struct err err = ERR_INIT;
    struct str summary;
    struct str fixed;
    str_init(&summary);
    str_init(&fixed);
    say_hashes(reload->config, config, changes);
    config_compare(reload->config, config, &summary, &fixed);
    str_add(changes, summary.data);
    bool taken = false;
    if (fixed.len > 0) {
        str_addf(why, "%s changed: restart to change %s", fixed.data,
                 strchr(fixed.data, ',') ? "them" : "it");
    } else if (worker_reload(worker, config, &err)) {
        str_add(why, err.text);
    } else {
        take(reload, config);
        taken = true;
    }
    str_release(&summary);
    str_release(&fixed);
    return taken;
}

bool reload_now(struct reload *reload, struct worker *worker, struct str *outcome)
{
    struct str changes;
    struct str why;
    str_init(&changes);
    str_init(&why);
    struct config *config = read_again(reload, &why);
    bool taken = config && offer(reload, worker, config, &changes, &why);
    if (taken) {
        LOG(LOG_INFO, "reloaded", LS("what", changes.data), LEND);
        str_add(outcome, changes.data);
    } else {
        LOG(LOG_ERROR, "reload refused, the old configuration stays", LS("why", why.data),
            LEND);
        str_addf(outcome, "refused, the old configuration stays: %s", why.data);
        metric_set(reload->successful, 0);
        config_free(config);
    }
    str_release(&changes);
    str_release(&why);
    return taken;
}

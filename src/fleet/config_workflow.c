/* How a workflow's status is asked for: the query to the CI system, and the patience. */
#include "fleet/config_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define HEADERS       "workflow.ci.headers"
#define TARGET_PREFIX "targets." CONFIG_WORKFLOW_CI "."

static bool knows_secret(void *config, const char *name)
{
    return config_secret_find(config, name) != NULL;
}

/* What target_new and target_request_make call a target is this query. */
const char *config_workflow_sentence(const char *text, char sentence[ERR_TEXT_MAX])
{
    bool ours = text_starts(text, TARGET_PREFIX);
    snprintf(sentence, ERR_TEXT_MAX, "%s%.400s", ours ? "workflow.ci." : "",
             ours ? text + strlen(TARGET_PREFIX) : text);
    return sentence;
}

/* At the header it names, else at the URL. */
static void note(struct config *config, const struct setting *url, const struct err *err)
{
    char sentence[ERR_TEXT_MAX];
    char key[OPTION_KEY_MAX];
    const char *text = config_workflow_sentence(err->text, sentence);
    const struct setting *at = url;
    const struct setting *s = settings_member(config->settings, HEADERS, "", NULL);
    while (s != NULL) {
        snprintf(key, sizeof key, "%s.%.100s: ", HEADERS, s->member);
        at = text_starts(text, key) ? s : at;
        s = settings_member(config->settings, HEADERS, "", s);
    }
    snprintf(key, sizeof key, "%s%s%.100s: ", at->option->key,
             at->member[0] != '\0' ? "." : "", at->member);
    text += text_starts(text, key) ? strlen(key) : 0;
    settings_note(config->settings, CONFIG_ERROR, CODE_WORKFLOW, at, NULL, "%s", text);
}

/* Of an event only this is written down, so only this can be filled in later. */
void config_workflow_event(struct event *event,
                           const char *(*value)(void *, const char *), void *arg)
{
    static const enum event_field kept[] = {EVENT_ID,     EVENT_APP,    EVENT_REPO,
                                            EVENT_COMMIT, EVENT_BRANCH, EVENT_PIPELINE,
                                            EVENT_RUN,    EVENT_RUN_URL};
    memset(event, 0, sizeof *event);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        event->fields[kept[i]] = mem_strdup(value(arg, event_field_name(kept[i])));
    }
}

static const char *any_value(void *arg, const char *name)
{
    (void)arg;
    return name;
}

/* Can it be asked, given all that is known of an event? */
static bool try_query(struct config *config, const struct setting *url)
{
    struct event event;
    struct target_request request;
    struct err err = ERR_INIT;
    config_workflow_event(&event, any_value, NULL);
    int rc =
        target_request_make(config->workflow.ci, &event, 0, NULL, NULL, &request, &err);
    target_request_release(&request);
    event_release(&event);
    if (rc) {
        err_set(&err, rc,
                "%s; of an event id, app, repo, commit, branch, pipeline, run and "
                "run_url are kept",
                err.text);
        note(config, url, &err);
    }
    return rc == 0;
}

static void build_query(struct config *config, const struct setting *url)
{
    struct http_header headers[TARGET_HEADERS_MAX];
    struct err err = ERR_INIT;
    struct target_options options = {.name = CONFIG_WORKFLOW_CI,
                                     .method = "GET",
                                     .url = url->value->text,
                                     .headers = headers,
                                     .no_body = true};
    const struct setting *s = settings_member(config->settings, HEADERS, "", NULL);
    while (s != NULL && options.header_count < TARGET_HEADERS_MAX) {
        headers[options.header_count++] = (struct http_header){s->member, s->value->text};
        s = settings_member(config->settings, HEADERS, "", s);
    }
    config->workflow.ci = target_new(&options, knows_secret, config, &err);
    if (config->workflow.ci == NULL) {
        note(config, url, &err);
    } else {
        (void)try_query(config, url);
    }
}

static void note_idle(struct config_settings *settings, const struct setting *setting)
{
    if (setting != NULL) {
        settings_note(settings, CONFIG_ERROR, CODE_WORKFLOW, setting, NULL,
                      "without effect: there is no workflow.ci.url to ask");
    }
}

void config_build_workflow(struct config *config)
{
    struct config_settings *settings = config->settings;
    const struct setting *url = settings_get(settings, "workflow.ci.url", "");
    const struct setting *status = settings_get(settings, "workflow.ci.status", "");
    config->workflow.timeout_ms = settings_value(settings, "workflow.timeout", "").number;
    if (url != NULL) {
        build_query(config, url);
    } else {
        note_idle(settings, status);
        note_idle(settings, settings_member(settings, HEADERS, "", NULL));
    }
    if (status == NULL) {
        return;
    }
    if (!json_pointer_is_valid(status->value->text)) {
        settings_note(settings, CONFIG_ERROR, CODE_WORKFLOW, status, NULL,
                      "\"%.80s\" is no JSON pointer, such as /status",
                      status->value->text);
    }
    config->workflow.ci_status = mem_strdup(status->value->text);
}

void config_workflow_release(struct config *config)
{
    target_free(config->workflow.ci);
    free(config->workflow.ci_status);
}

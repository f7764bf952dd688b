#include "console_api.h"

#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "console_act.h"
#include "console_dead.h"
#include "ops/doctor.h"
#include "ops/trace.h"
#include "reply.h"

extern char **environ;

static const char prefix[] = "/api/v1/";

enum { DOCTOR_CHECK_MS = 2000 };

/* What follows these words in the path, or NULL. */
static const char *rest_of(const struct httpd_request *request, const char *words)
{
    const char *path = httpd_path(request) + sizeof prefix - 1;
    size_t len = strlen(words);
    return strncmp(path, words, len) == 0 ? path + len : NULL;
}

/* --- reads --- */

static void read_event(void *arg, struct ops_place *place, struct httpd_request *request,
                       int64_t until_ms)
{
    (void)arg;
    struct err err = ERR_INIT;
    struct json_object *story;
    int rc = trace_read(place, rest_of(request, "events/"), until_ms, &story, &err);
    if (rc) {
        reply_failure(request, rc, &err);
    } else {
        reply_json(request, 200, story);
    }
}

static void read_doctor(void *arg, struct ops_place *place, struct httpd_request *request,
                        int64_t until_ms)
{
    (void)arg;
    (void)until_ms;
    struct doctor doctor;
    doctor_examine(place, DOCTOR_CHECK_MS, environ, &doctor);
    reply_json(request, 200, doctor_json(&doctor));
    doctor_release(&doctor);
}

/* What this console was started with; the consumers' differ from it where the frame says
 * another hash. */
static void serve_config(const struct console_api *api, struct httpd_request *request)
{
    char hash[CONFIG_HASH_LEN];
    struct str text;
    str_init(&text);
    config_hash(api->config, hash);
    str_addf(&text, "{\"hash\":\"%s\",\"settings\":", hash);
    config_show(api->config, true, true, &text);
    str_add(&text, "}\n");
    reply_text(request, 200, text.data, text.len);
    str_release(&text);
}

/* What the page may offer. */
static void serve_console(const struct console_api *api, struct httpd_request *request)
{
    const struct config *config = api->config;
    struct json_object *doc = json_object_new_object();
    json_object_object_add(doc, "version", json_object_new_string(SLUICE_VERSION));
    json_object_object_add(doc, "revision", json_object_new_string(version_revision()));
    json_object_object_add(doc, "topic", json_object_new_string(config->kafka.topic));
    json_object_object_add(doc, "group", json_object_new_string(config->kafka.group));
    json_object_object_add(doc, "acts",
                           json_object_new_boolean(guard_lets_act(api->guard)));
    struct json_object *offers = json_object_new_array();
    json_object_array_add(offers, json_object_new_string("deadletters"));
    if (guard_lets_act(api->guard)) {
        json_object_array_add(offers, json_object_new_string("redrive"));
        json_object_array_add(offers, json_object_new_string("pause"));
        json_object_array_add(offers, json_object_new_string("drain"));
    }
    json_object_object_add(doc, "offers", offers);
    reply_json(request, 200, doc);
}

static void serve_read(const struct console_api *api, struct httpd_request *request)
{
    const char *id = rest_of(request, "events/");
    const char *name = httpd_path(request) + sizeof prefix - 1;
    if (id && id[0]) {
        jobs_add(api->jobs, read_event, NULL, request);
    } else if (strcmp(name, "doctor") == 0) {
        jobs_add(api->jobs, read_doctor, NULL, request);
    } else if (strcmp(name, "deadletters") == 0) {
        jobs_add(api->jobs, console_dead_list, NULL, request);
    } else if (strcmp(name, "deadletters/redrive") == 0) {
        reply_json(request, 200, redriver_show(api->redriver));
    } else if (strcmp(name, "config") == 0) {
        serve_config(api, request);
    } else if (strcmp(name, "console") == 0) {
        serve_console(api, request);
    } else {
        reply_error(request, 404, "there is nothing here",
                    "here are fleet, stream, events/{id}, deadletters, config and "
                    "doctor");
    }
}

/* --- actions --- */

static const struct action {
    const char *before; /* the path's words before a name, */
    const char *after;  /* and after it; NULL: there is no name */
    job_fn *fn;
} actions[] = {
    {"deadletters/redrive", NULL, console_dead_redrive},
    {"targets/", "/pause", console_pause},
    {"targets/", "/resume", console_resume},
    {"consumers/", "/drain", console_drain},
    {"reload", NULL, console_reload},
};

static const struct action *find_action(const struct httpd_request *request)
{
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        const char *rest = rest_of(request, actions[i].before);
        size_t after = actions[i].after ? strlen(actions[i].after) : 0;
        size_t len = rest ? strlen(rest) : 0;
        if (rest && (after == 0 ? len == 0
                                : len > after && strcmp(rest + len - after,
                                                        actions[i].after) == 0)) {
            return &actions[i];
        }
    }
    return NULL;
}

static void serve_action(const struct console_api *api, struct httpd_request *request)
{
    const struct action *action = find_action(request);
    if (!action) {
        reply_error(request, 404, "there is no such action", NULL);
    } else if (guard_admits(api->guard, request)) {
        jobs_add(api->jobs, action->fn, api->redriver, request);
    }
}

bool console_api_serve(const struct console_api *api, struct httpd_request *request)
{
    if (!text_starts(httpd_path(request), prefix)) {
        return false;
    }
    if (strcmp(httpd_method(request), "POST") == 0) {
        serve_action(api, request);
    } else if (reply_may_read(request)) {
        serve_read(api, request);
    }
    return true;
}

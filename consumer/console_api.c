#include "console_api.h"

#include <errno.h>
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

/* --- reads --- */

static void read_event(void *arg, struct ops_place *place, struct httpd_request *request,
                       struct ctx *ctx)
{
    (void)arg;
    struct err err = ERR_INIT;
    struct json_object *story;
    char id[ROUTE_NAME_MAX];
    console_api_name(request, id);
    int rc = trace_read(place, id, ctx_deadline_ms(ctx), &story, &err);
    if (rc) {
        reply_failure(request, rc, &err);
    } else {
        reply_json(request, 200, story);
    }
}

/* What is known of one leg is told although the other failed; with nothing known it is a
 * failure, told in the same words. */
static void read_workflow(void *arg, struct ops_place *place,
                          struct httpd_request *request, struct ctx *ctx)
{
    const struct console_api *api = arg;
    struct err err = ERR_INIT;
    struct json_object *doc;
    char app[ROUTE_NAME_MAX];
    console_api_name(request, app);
    int rc = workflow_read(api->workflow, place, app, ctx, &doc, &err);
    if (rc == -ENOENT) {
        reply_error(request, 404, err.text,
                    "an application is known while one of its events is in the history "
                    "(history.events, history.ttl); the name may be written "
                    "percent-encoded");
        return;
    }
    if (rc) {
        json_put_text(doc, "error", err.text);
        json_put_text(doc, "next", "see the view Doctor, or `sluice-consumer doctor`");
    }
    reply_json(request, rc ? 503 : 200, doc);
}

static void read_doctor(void *arg, struct ops_place *place, struct httpd_request *request,
                        struct ctx *ctx)
{
    (void)arg;
    (void)ctx; /* each check takes DOCTOR_CHECK_MS at most */
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

static void serve_redrive(const struct console_api *api, struct httpd_request *request)
{
    reply_json(request, 200, redriver_show(api->redriver));
}

/* --- routes --- */

/* The first that fits is taken. What blocks is a job, the rest is served on the loop. */
static const struct api_route {
    const char *method; /* GET is HEAD too */
    const char *path;   /* below the prefix, see route.h */
    job_fn *job;
    void (*serve)(const struct console_api *api, struct httpd_request *request);
} routes[] = {
    {"GET", "events/{id}", read_event, NULL},
    {"GET", "apps/{app}/workflow", read_workflow, NULL},
    {"GET", "acts", console_acts, NULL},
    {"GET", "deadletters", console_dead_list, NULL},
    {"GET", "deadletters/redrive", NULL, serve_redrive},
    {"GET", "config", NULL, serve_config},
    {"GET", "console", NULL, serve_console},
    {"GET", "doctor", read_doctor, NULL},
    {"POST", "deadletters/redrive", console_dead_redrive, NULL},
    {"POST", "targets/{target}/pause", console_pause, NULL},
    {"POST", "targets/{target}/resume", console_resume, NULL},
    {"POST", "consumers/{consumer}/drain", console_drain, NULL},
    {"POST", "reload", console_reload, NULL},
};

enum { ROUTES = sizeof routes / sizeof routes[0] };

static bool is_post(const struct httpd_request *request)
{
    return strcmp(httpd_method(request), "POST") == 0;
}

static const struct api_route *find(const struct httpd_request *request,
                                    char name[ROUTE_NAME_MAX])
{
    const char *method = is_post(request) ? "POST" : "GET";
    const char *path = httpd_path(request) + sizeof prefix - 1;
    for (size_t i = 0; i < ROUTES; i++) {
        if (strcmp(routes[i].method, method) == 0 &&
            route_fits(routes[i].path, path, name)) {
            return &routes[i];
        }
    }
    return NULL;
}

void console_api_name(const struct httpd_request *request, char name[ROUTE_NAME_MAX])
{
    name[0] = '\0';
    (void)find(request, name);
}

/* With what there is instead. */
static void refuse(struct httpd_request *request)
{
    struct str next;
    str_init(&next);
    str_add(&next, is_post(request) ? "here are:" : "here are: fleet, stream,");
    for (size_t i = 0; i < ROUTES; i++) {
        if ((strcmp(routes[i].method, "POST") == 0) == is_post(request)) {
            str_addf(&next, " %s,", routes[i].path);
        }
    }
    next.data[--next.len] = '\0';
    reply_error(request, 404,
                is_post(request) ? "there is no such action" : "there is nothing here",
                next.data);
    str_release(&next);
}

bool console_api_serve(const struct console_api *api, struct httpd_request *request)
{
    char name[ROUTE_NAME_MAX];
    if (!text_starts(httpd_path(request), prefix)) {
        return false;
    }
    if (!is_post(request) && !reply_may_read(request)) {
        return true;
    }
    const struct api_route *route = find(request, name);
    if (!route) {
        refuse(request);
    } else if (is_post(request) && !guard_admits(api->guard, request)) {
        return true;
    } else if (route->job) {
        jobs_add(api->jobs, route->job, (void *)api, request);
    } else {
        route->serve(api, request);
    }
    return true;
}

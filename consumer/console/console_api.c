#include "console_api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../commands.h"
#include "console_act.h"
#include "console_apps.h"
#include "console_dead.h"
#include "console_kube.h"
#include "ops/doctor.h"
#include "ops/trace.h"
#include "reply.h"

extern char **environ;

static const char prefix[] = "/api/v1/";

enum { DOCTOR_CHECK_MS = 2000 };

/* --- reads --- */

/* Of an application that who asks may read; of none: of any. */
static void read_event(void *arg, struct ops_place *place, struct httpd_request *request,
                       struct ctx *ctx)
{
    struct err err = ERR_INIT;
    struct json_object *story;
    char id[ROUTE_NAME_MAX];
    console_api_name(request, id);
    int rc = trace_read(place, id, ctx_deadline_ms(ctx), &story, &err);
    if (rc) {
        reply_failure(request, rc, &err);
        return;
    }
    struct str resource;
    str_init(&resource);
    str_addf(&resource, "apps/%s", json_text_or(story, "/app", ""));
    if (console_api_lets(arg, request, RULE_READ, resource.data)) {
        reply_json(request, 200, json_object_get(story));
    }
    str_release(&resource);
    json_free(story);
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
        reply_error(
            request, 404, err.text,
            "GET /api/v1/apps lists those that are known; one is while an event of it "
            "is in the history (history.events, history.ttl)");
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

static void offer(const struct console_api *api, const struct guard_who *who,
                  struct json_object *offers, enum rule_action action, const char *what)
{
    bool acts = action != RULE_READ;
    if ((!acts || guard_lets_act(api->guard)) &&
        (guard_may_any(api->guard, who, action) || (acts && who->is == GUARD_ANYBODY))) {
        json_object_array_add(offers, json_object_new_string(what));
    }
}

/* What the page may offer: to nobody in particular all that the token can do, for it is
 * asked for then. */
static void serve_console(const struct console_api *api, struct httpd_request *request)
{
    const struct config *config = api->config;
    struct json_object *doc = json_object_new_object();
    struct guard_who who;
    (void)guard_knows(api->guard, request, &who); /* it was, to get here */
    json_object_object_add(doc, "version", json_object_new_string(SLUICE_VERSION));
    json_object_object_add(doc, "revision", json_object_new_string(version_revision()));
    json_object_object_add(doc, "topic", json_object_new_string(config->kafka.topic));
    json_object_object_add(doc, "group", json_object_new_string(config->kafka.group));
    json_object_object_add(doc, "acts",
                           json_object_new_boolean(guard_lets_act(api->guard)));
    struct json_object *offers = json_object_new_array();
    offer(api, &who, offers, RULE_READ, "deadletters");
    offer(api, &who, offers, RULE_REDRIVE, "redrive");
    offer(api, &who, offers, RULE_PAUSE, "pause");
    offer(api, &who, offers, RULE_DRAIN, "drain");
    json_object_object_add(doc, "offers", offers);
    json_put_text(doc, "who", who.name);
    reply_json(request, 200, doc);
}

static void serve_redrive(const struct console_api *api, struct httpd_request *request)
{
    reply_json(request, 200, redriver_show(api->redriver));
}

/* --- routes --- */

#define KNOWN ""

/* The first that fits is taken. What blocks is a job, the rest is served on the loop. */
static const struct api_route {
    const char *method; /* GET is HEAD too */
    const char *path;   /* below the prefix, see route.h */
    job_fn *job;
    void (*serve)(const struct console_api *api, struct httpd_request *request);
    /* What who asks must be allowed; a resource that ends with a slash goes on with the
     * name in the path. KNOWN: whoever is known may ask, and the job looks for itself
     * (console_api_lets). Nothing said: the path, which only a rule for `*` allows. */
    enum rule_action action;
    const char *resource;
} routes[] = {
    {"GET", "apps", console_apps_list, NULL, RULE_READ, KNOWN},
    {"GET", "apps/{app}/workflow", read_workflow, NULL, RULE_READ, "apps/"},
    {"GET", "manifests", console_manifests, NULL, RULE_READ, KNOWN},
    {"GET", "events/{id}", read_event, NULL, RULE_READ, KNOWN},
    {"GET", "acts", console_acts, NULL, RULE_READ, "fleet"},
    {"GET", "deadletters", console_dead_list, NULL, RULE_READ, "deadletters"},
    {"GET", "deadletters/redrive", NULL, serve_redrive, RULE_READ, "deadletters"},
    {"GET", "config", NULL, serve_config, RULE_READ, "config"},
    {"GET", "console", NULL, serve_console, RULE_READ, KNOWN},
    {"GET", "doctor", read_doctor, NULL, RULE_READ, "doctor"},
    {"POST", "deadletters/redrive", console_dead_redrive, NULL, RULE_REDRIVE,
     "deadletters"},
    {"POST", "targets/{target}/pause", console_pause, NULL, RULE_PAUSE, "targets/"},
    {"POST", "targets/{target}/resume", console_resume, NULL, RULE_RESUME, "targets/"},
    {"POST", "consumers/{consumer}/drain", console_drain, NULL, RULE_DRAIN, "consumers/"},
    {"POST", "reload", console_reload, NULL, RULE_RELOAD, "fleet"},
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

bool console_api_lets(const struct console_api *api, struct httpd_request *request,
                      enum rule_action action, const char *resource)
{
    struct guard_who who;
    return guard_lets(api->guard, request, action, resource, &who);
}

void console_api_say_who(const struct console_api *api, struct httpd_request *request,
                         const struct ops_place *place, const char *said, char *who,
                         size_t len)
{
    struct guard_who known;
    struct str name;
    str_init(&name);
    if (guard_knows(api->guard, request, &known) && known.name[0]) {
        str_addf(&name, said && said[0] ? "%s (%s)" : "%s", known.name, said);
    } else {
        str_add(&name, said ? said : "");
    }
    reply_say_who(place, name.data, who, len);
    str_release(&name);
}

void console_api_name(const struct httpd_request *request, char name[ROUTE_NAME_MAX])
{
    name[0] = '\0';
    (void)find(request, name);
}

/* With what there is instead, for who is known. */
static void refuse(const struct console_api *api, struct httpd_request *request)
{
    struct str next;
    struct guard_who who;
    if (!guard_lets_read(api->guard, request, NULL, &who)) {
        return;
    }
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

static bool is_let(const struct console_api *api, struct httpd_request *request,
                   const struct api_route *route, const char *name)
{
    char text[ROUTE_NAME_MAX + 32];
    const char *resource =
        route->resource ? route->resource : httpd_path(request) + sizeof prefix - 1;
    struct guard_who who;
    if (resource[0] && resource[strlen(resource) - 1] == '/') {
        snprintf(text, sizeof text, "%s%s", resource, name);
        resource = text;
    }
    resource = resource[0] ? resource : NULL;
    return is_post(request)
               ? guard_lets_act_on(api->guard, request, route->action, resource, &who)
               : guard_lets(api->guard, request, route->action, resource, &who);
}

bool console_api_serve(const struct console_api *api, struct httpd_request *request)
{
    char name[ROUTE_NAME_MAX];
    if (!text_starts(httpd_path(request), prefix)) {
        return false;
    }
    if (guard_serve_session(api->guard, request)) {
        return true;
    }
    if (!is_post(request) && !reply_may_read(request)) {
        return true;
    }
    const struct api_route *route = find(request, name);
    if (!route) {
        refuse(api, request);
    } else if (!is_let(api, request, route, name)) {
        return true;
    } else if (route->job) {
        jobs_add(api->jobs, route->job, (void *)api, request);
    } else {
        route->serve(api, request);
    }
    return true;
}

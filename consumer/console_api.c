#include "console_api.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
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

/* A sentence and a status for what a function of ops says. */
static void reply_failure(struct httpd_request *request, int rc, const struct err *err)
{
    int status = rc == -ENOENT                     ? 404
                 : rc == -EINVAL || rc == -EBADMSG ? 400
                 : rc == -EAGAIN                   ? 409
                                                   : 503;
    reply_error(request, status, err->text,
                status == 503 ? "see the view Doctor, or `sluice-consumer doctor`"
                              : NULL);
}

/* --- reads --- */

static void read_event(struct ops_place *place, struct httpd_request *request,
                       int64_t until_ms)
{
    struct err err = ERR_INIT;
    struct json_object *story;
    int rc = trace_read(place, rest_of(request, "events/"), until_ms, &story, &err);
    if (rc) {
        reply_failure(request, rc, &err);
    } else {
        reply_json(request, 200, story);
    }
}

static void read_doctor(struct ops_place *place, struct httpd_request *request,
                        int64_t until_ms)
{
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
    json_object_object_add(doc, "offers", json_object_new_array());
    reply_json(request, 200, doc);
}

static void serve_read(const struct console_api *api, struct httpd_request *request)
{
    const char *id = rest_of(request, "events/");
    const char *name = httpd_path(request) + sizeof prefix - 1;
    if (id && id[0]) {
        jobs_add(api->jobs, read_event, request);
    } else if (strcmp(name, "doctor") == 0) {
        jobs_add(api->jobs, read_doctor, request);
    } else if (strcmp(name, "config") == 0) {
        serve_config(api, request);
    } else if (strcmp(name, "console") == 0) {
        serve_console(api, request);
    } else {
        reply_error(request, 404, "there is nothing here",
                    "here are fleet, stream, events/{id}, config and doctor");
    }
}

bool console_api_serve(const struct console_api *api, struct httpd_request *request)
{
    if (!text_starts(httpd_path(request), prefix)) {
        return false;
    }
    if (reply_may_read(request)) {
        serve_read(api, request);
    }
    return true;
}

#include "console_apps.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/apps.h"
#include "reply.h"

/* Each of them as the rules name it; one text for each, owned. */
static char **name_all(const struct apps *apps)
{
    char **resources = mem_array(apps->count, sizeof resources[0]);
    for (size_t i = 0; i < apps->count; i++) {
        struct str name;
        str_init(&name);
        str_addf(&name, "apps/%s", apps->items[i].name);
        resources[i] = str_take(&name);
    }
    return resources;
}

static struct json_object *item_of(const struct app_seen *app,
                                   const struct access_result *result)
{
    struct json_object *item = json_object_new_object();
    json_object_object_add(item, "app", json_object_new_string(app->name));
    if (result->answer == ACCESS_ALLOWED) {
        json_put_number(item, "last_ms", app->last_ms);
    } else {
        struct str why;
        str_init(&why);
        str_addf(&why, "whether you may read it could not be judged: %s",
                 strerror(-result->rc));
        json_put_text(item, "error", why.data);
        str_release(&why);
    }
    return item;
}

static struct json_object *list_of(const struct apps *apps,
                                   const struct access_result *results)
{
    struct json_object *doc = json_object_new_object();
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < apps->count; i++) {
        if (results[i].answer != ACCESS_DENIED) {
            json_object_array_add(list, item_of(&apps->items[i], &results[i]));
        }
    }
    json_object_object_add(doc, "schema", json_object_new_string("sluice.apps/1"));
    json_object_object_add(doc, "apps", list);
    return doc;
}

void console_apps_list(void *arg, struct ops_place *place, struct httpd_request *request,
                       struct ctx *ctx)
{
    const struct console_api *api = arg;
    struct err err = ERR_INIT;
    struct guard_who who;
    struct apps apps;
    if (!guard_lets_read(api->guard, request, NULL, &who)) {
        return; /* gone while it waited */
    }
    int rc = apps_list(place, ctx_deadline_ms(ctx), &apps, &err);
    if (rc) {
        reply_failure(request, rc, &err);
        apps_release(&apps);
        return;
    }
    char **resources = name_all(&apps);
    struct access_result *results = mem_array(apps.count, sizeof results[0]);
    guard_ask(api->guard, ctx, &who, RULE_READ, (const char *const *)resources,
              apps.count, results);
    reply_json(request, 200, list_of(&apps, results));
    for (size_t i = 0; i < apps.count; i++) {
        free(resources[i]);
    }
    free(resources);
    free(results);
    apps_release(&apps);
}

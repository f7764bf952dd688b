/* explain for programs. */
#include "explain.h"

#include <stdlib.h>

#include "event/trigger.h"
#include "wire/json.h"

static void add_text(struct json_object *to, const char *name, const char *text)
{
    json_object_object_add(to, name, text != NULL ? json_object_new_string(text) : NULL);
}

static struct json_object *fields_json(const struct event *ev)
{
    struct json_object *fields = json_object_new_object();
    for (int i = 0; i < EVENT_FIELD_COUNT; i++) {
        if (ev->fields[i] != NULL) {
            add_text(fields, event_field_name((enum event_field)i), ev->fields[i]);
        }
    }
    return fields;
}

static struct json_object *rules_json(const struct explain_target *t)
{
    struct json_object *rules = json_object_new_array();
    for (size_t i = 0; i < t->rule_count; i++) {
        const struct explain_rule *r = &t->rules[i];
        struct json_object *one = json_object_new_object();
        struct json_object *globs = json_object_new_array();
        for (size_t k = 0; k < r->rule->glob_count; k++) {
            json_object_array_add(globs, json_object_new_string(r->rule->globs[k]));
        }
        add_text(one, "key",
                 r->rule->field >= 0 ? event_field_name((enum event_field)r->rule->field)
                                     : r->rule->pointer);
        json_object_object_add(one, "globs", globs);
        add_text(one, "value", r->value);
        json_object_object_add(one, "ok", json_object_new_boolean(r->ok));
        json_object_array_add(rules, one);
    }
    return rules;
}

static struct json_object *request_json(const struct target_request *request)
{
    struct json_object *one = json_object_new_object();
    struct json_object *headers = json_object_new_object();
    add_text(one, "method", request->method);
    add_text(one, "url", request->url);
    for (size_t i = 0; i < request->header_count; i++) {
        add_text(headers, request->headers[i].name, request->headers[i].value);
    }
    json_object_object_add(one, "headers", headers);
    json_object_object_add(one, "body",
                           request->body != NULL
                               ? json_object_new_string_len(request->body,
                                                            (int)request->body_len)
                               : NULL);
    return one;
}

static struct json_object *limits_json(const struct config *config,
                                       const struct config_target *target)
{
    struct json_object *limits = json_object_new_array();
    for (size_t i = 0; i < target->limit_count; i++) {
        const struct config_limit *limit = &config->limits[target->limits[i]];
        struct json_object *one = json_object_new_object();
        add_text(one, "name", limit->name);
        json_object_object_add(one, "rate_per_s",
                               json_object_new_double(limit->rate_per_s));
        json_object_object_add(one, "burst", json_object_new_double(limit->burst));
        json_object_array_add(limits, one);
    }
    return limits;
}

static struct json_object *target_json(const struct explain *x,
                                       const struct explain_target *t)
{
    struct json_object *one = json_object_new_object();
    add_text(one, "name", t->target->name);
    json_object_object_add(one, "match", json_object_new_boolean(t->match));
    json_object_object_add(one, "rules", rules_json(t));
    add_text(one, "kind", target_kind(t->target->target)->name);
    add_text(one, "sign", target_sign(t->target->target));
    if (t->made) {
        struct str key;
        str_init(&key);
        trigger_add_key(&x->ev, t->target->name, &key);
        add_text(one, "key", key.data);
        str_release(&key);
        json_object_object_add(one, "request", request_json(&t->request));
        json_object_object_add(one, "limits", limits_json(x->config, t->target));
    } else if (t->match) {
        add_text(one, "error", t->err.text);
    }
    return one;
}

void explain_print_json(const struct explain *x)
{
    static const char *const outcomes[] =
        {[EVENT_OK] = "ok", [EVENT_NOT_OURS] = "skipped", [EVENT_BAD] = "bad"};
    struct json_object *root = json_object_new_object();
    struct json_object *targets = json_object_new_array();
    json_object_object_add(root, "version", json_object_new_int(1));
    add_text(root, "outcome", outcomes[x->outcome]);
    if (x->outcome != EVENT_OK) {
        add_text(root, "reason", x->reason.word);
        add_text(root, "text", x->reason.text);
    } else {
        add_text(root, "format", event_format_name(x->ev.format));
        json_object_object_add(root, "fields", fields_json(&x->ev));
    }
    for (size_t i = 0; i < x->target_count; i++) {
        json_object_array_add(targets, target_json(x, &x->targets[i]));
    }
    json_object_object_add(root, "targets", targets);
    command_print_json(root);
    json_free(root);
}

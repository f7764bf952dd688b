#include "event/template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "event/decoding.h"
#include "event/trigger.h"

static const char mask[] = "••••••";

enum part_kind {
    PART_TEXT,
    PART_FIELD,
    PART_POINTER,
    PART_SECRET,
    PART_TRIGGER_KEY,
    PART_TRIGGER_NAME,
};

struct part {
    enum part_kind kind;
    char *text; /* owned: the text, the pointer, the secret's or the target's name */
    size_t len;
    enum event_field field;
};

struct template
{
    struct part *parts;
    size_t count;
};

/* ---- compiling ---- */

struct compiler {
    struct template *t;
    struct str text; /* the plain text gathered so far */
    const struct template_scope *scope;
    size_t column;
    struct err *err;
};

static struct part *add_part(struct template *t, enum part_kind kind)
{
    t->parts = mem_resize(t->parts, (t->count + 1) * sizeof(*t->parts));
    struct part *part = &t->parts[t->count++];
    *part = (struct part){.kind = kind};
    return part;
}

static void end_text(struct compiler *c)
{
    if (c->text.len > 0) {
        struct part *part = add_part(c->t, PART_TEXT);
        part->len = c->text.len;
        part->text = mem_strndup(c->text.data, c->text.len);
        str_clear(&c->text);
    }
}

static int refuse_field(struct compiler *c, const char *name)
{
    const char *near = event_field_nearest(name);
    if (near != NULL) {
        return err_set(c->err, -EINVAL,
                       "column %zu: no event has a field '%s'; did you mean '%s'?",
                       c->column, name, near);
    }
    return err_set(
        c->err, -EINVAL,
        "column %zu: no event has a field '%s'; for any member of the document "
        "write ${event:/json/pointer}",
        c->column, name);
}

static int refuse_name(struct compiler *c, const char *name)
{
    return err_set(c->err, -EINVAL,
                   "column %zu: '${%s}' is none of ${event.<field>}, "
                   "${event:/json/pointer}%s",
                   c->column, name,
                   c->scope->target != NULL
                       ? ", ${secret.<name>}, ${trigger.key} and ${trigger.name}"
                       : " and ${secret.<name>}");
}

static int add_trigger(struct compiler *c, const char *name)
{
    bool key = strcmp(name, "trigger.key") == 0;
    if (c->scope->target == NULL || (!key && strcmp(name, "trigger.name") != 0)) {
        return refuse_name(c, name);
    }
    struct part *part = add_part(c->t, key ? PART_TRIGGER_KEY : PART_TRIGGER_NAME);
    part->text = mem_strdup(c->scope->target);
    part->len = strlen(part->text);
    return 0;
}

/* name: what stands between the braces. */
static int add_reference(struct compiler *c, const char *name)
{
    if (text_starts(name, "event.")) {
        int field = event_field_find(name + strlen("event."));
        if (field < 0) {
            return refuse_field(c, name + strlen("event."));
        }
        add_part(c->t, PART_FIELD)->field = (enum event_field)field;
        return 0;
    }
    enum part_kind kind;
    const char *rest;
    if (text_starts(name, "event:/")) {
        kind = PART_POINTER;
        rest = name + strlen("event:");
        if (!json_pointer_is_valid(rest)) {
            return err_set(c->err, -EINVAL, "column %zu: '%.200s' is no JSON pointer",
                           c->column, rest);
        }
    } else if (text_starts(name, "secret.") && name[strlen("secret.")] != '\0') {
        kind = PART_SECRET;
        rest = name + strlen("secret.");
        if (c->scope->known_secret != NULL &&
            !c->scope->known_secret(c->scope->arg, rest)) {
            return err_set(c->err, -EINVAL, "column %zu: there is no secret '%s'",
                           c->column, rest);
        }
    } else {
        return add_trigger(c, name);
    }
    struct part *part = add_part(c->t, kind);
    part->len = strlen(rest);
    part->text = mem_strndup(rest, part->len);
    return 0;
}

/* Compile what begins with '$'; *p moves behind it. */
static int compile_dollar(struct compiler *c, const char **p)
{
    const char *at = *p;
    if (at[1] == '$') {
        str_addc(&c->text, '$');
        *p = at + 2;
        return 0;
    }
    const char *end = at[1] == '{' ? strchr(at, '}') : NULL;
    if (end == NULL) {
        return err_set(c->err, -EINVAL,
                       at[1] == '{' ? "column %zu: '${' is not closed"
                                    : "column %zu: a dollar sign is written '$$'",
                       c->column);
    }
    end_text(c);
    char *name = mem_strndup(at + 2, (size_t)(end - at - 2));
    int rc = add_reference(c, name);
    free(name);
    *p = end + 1;
    return rc;
}

struct template *template_compile_in(const char *text, const struct template_scope *scope,
                                     struct err *err)
{
    static const struct template_scope empty = {.target = NULL};
    struct compiler c = {.scope = scope != NULL ? scope : &empty, .err = err};
    c.t = mem_zalloc(sizeof(*c.t));
    str_init(&c.text);
    int rc = 0;
    for (const char *p = text; *p != '\0' && rc == 0;) {
        c.column = (size_t)(p - text) + 1;
        if (*p == '$') {
            rc = compile_dollar(&c, &p);
        } else {
            str_addc(&c.text, *p++);
        }
    }
    end_text(&c);
    str_release(&c.text);
    if (rc != 0) {
        template_free(c.t);
        return NULL;
    }
    return c.t;
}

struct template *template_compile(const char *text,
                                  bool (*known_secret)(void *arg, const char *name),
                                  void *arg, struct err *err)
{
    struct template_scope scope = {.known_secret = known_secret, .arg = arg};
    return template_compile_in(text, &scope, err);
}

void template_free(struct template *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        free(t->parts[i].text);
    }
    free(t->parts);
    free(t);
}

/* ---- asking ---- */

bool template_is_constant(const struct template *t)
{
    return t->count == 0 || (t->count == 1 && t->parts[0].kind == PART_TEXT);
}

const char *template_constant(const struct template *t)
{
    ASSERT(template_is_constant(t));
    return t->count == 0 ? "" : t->parts[0].text;
}

bool template_is_of_event(const struct template *t)
{
    bool found = false;
    for (size_t i = 0; i < t->count; i++) {
        found |= t->parts[i].kind != PART_TEXT && t->parts[i].kind != PART_SECRET;
    }
    return found;
}

bool template_has_secret(const struct template *t)
{
    bool found = false;
    for (size_t i = 0; i < t->count; i++) {
        found |= t->parts[i].kind == PART_SECRET;
    }
    return found;
}

const char *template_sole_pointer(const struct template *t)
{
    return t->count == 1 && t->parts[0].kind == PART_POINTER ? t->parts[0].text : NULL;
}

/* ---- filling ---- */

struct filling {
    const struct event *ev;
    enum template_escape escape;
    template_secret_fn *secret;
    void *arg;
    struct str *out;
    struct err *err;
};

static int put_value(struct filling *f, const struct part *part, const char *value,
                     size_t len)
{
    switch (f->escape) {
    case TEMPLATE_PLAIN:
        str_put(f->out, value, len);
        return 0;
    case TEMPLATE_PERCENT:
    case TEMPLATE_FORM:
        str_add_percent(f->out, value, len);
        return 0;
    case TEMPLATE_JSON:
        str_add_json(f->out, value, len);
        return 0;
    case TEMPLATE_HEADER:
        break;
    }
    if (decoding_has_control(value, len)) {
        return err_set(f->err, -EBADMSG,
                       "the value of %s%s holds a control character, which a header may "
                       "not",
                       part->kind == PART_FIELD    ? "event."
                       : part->kind == PART_SECRET ? "secret."
                                                   : "event:",
                       part->kind == PART_FIELD ? event_field_name(part->field)
                                                : part->text);
    }
    str_put(f->out, value, len);
    return 0;
}

static int put_pointer(struct filling *f, const struct part *part)
{
    struct json_object *at = json_at(f->ev->doc, part->text);
    if (at == NULL) {
        return err_set(f->err, -ENOENT, "the event has nothing at %s", part->text);
    }
    if (json_object_is_type(at, json_type_string)) {
        return put_value(f, part, json_object_get_string(at),
                         (size_t)json_object_get_string_len(at));
    }
    char *text = json_text_at(at, "");
    if (text == NULL) {
        return err_set(f->err, -EBADMSG,
                       "the event has an object or array at %s, where text is needed",
                       part->text);
    }
    int rc = put_value(f, part, text, strlen(text));
    free(text);
    return rc;
}

static int put_secret(struct filling *f, const struct part *part)
{
    if (f->secret == NULL) {
        str_add(f->out, mask);
        return 0;
    }
    const char *value = f->secret(f->arg, part->text);
    if (value == NULL) {
        return err_set(f->err, -ENOENT, "there is no secret '%s'", part->text);
    }
    return put_value(f, part, value, strlen(value));
}

static int put_trigger(struct filling *f, const struct part *part)
{
    char name[TRIGGER_NAME_MAX];
    if (part->kind == PART_TRIGGER_NAME) {
        trigger_name(f->ev, part->text, name);
        return put_value(f, part, name, strlen(name));
    }
    struct str key;
    str_init(&key);
    trigger_add_key(f->ev, part->text, &key);
    int rc = put_value(f, part, key.data, key.len);
    str_release(&key);
    return rc;
}

static int put_part(struct filling *f, const struct part *part)
{
    const char *value;
    switch (part->kind) {
    case PART_TEXT:
        if (f->escape == TEMPLATE_JSON) {
            str_add_json(f->out, part->text, part->len);
        } else if (f->escape == TEMPLATE_FORM) {
            str_add_percent(f->out, part->text, part->len);
        } else {
            str_put(f->out, part->text, part->len);
        }
        return 0;
    case PART_POINTER:
        return put_pointer(f, part);
    case PART_SECRET:
        return put_secret(f, part);
    case PART_TRIGGER_KEY:
    case PART_TRIGGER_NAME:
        return put_trigger(f, part);
    case PART_FIELD:
        break;
    }
    value = f->ev->fields[part->field];
    if (value == NULL) {
        return err_set(f->err, -ENOENT, "the event has no field '%s'",
                       event_field_name(part->field));
    }
    return put_value(f, part, value, strlen(value));
}

int template_fill(const struct template *t, const struct event *ev,
                  enum template_escape escape, template_secret_fn *secret, void *arg,
                  struct str *out, struct err *err)
{
    struct filling f = {ev, escape, secret, arg, out, err};
    size_t start = out->len;
    for (size_t i = 0; i < t->count; i++) {
        int rc = put_part(&f, &t->parts[i]);
        if (rc != 0) {
            return rc;
        }
        if (out->len - start > TEMPLATE_OUTPUT_MAX) {
            return err_set(err, -EINVAL, "the filled text is longer than %d bytes",
                           TEMPLATE_OUTPUT_MAX);
        }
    }
    return 0;
}

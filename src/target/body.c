#include "target/body.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct step {
    char *text; /* JSON that goes before the value */
    size_t len;
    struct template *value; /* NULL in the last step */
    char *pointer;          /* where the value stands, for sentences */
};

struct body {
    struct step *steps;
    size_t count;
    bool form;
};

struct compiler {
    struct body *body;
    struct str text;    /* JSON since the last value */
    struct str pointer; /* of the present node */
    const struct template_scope *scope;
    struct err *err;
};

static void add_step(struct compiler *c, struct template *value)
{
    struct body *body = c->body;
    body->steps = mem_resize(body->steps, (body->count + 1) * sizeof(*body->steps));
    struct step *step = &body->steps[body->count++];
    step->len = c->text.len;
    step->text = str_take(&c->text);
    step->value = value;
    step->pointer = value != NULL ? mem_strdup(c->pointer.data) : NULL;
}

/* The sentence with its place, unless that is the whole body. */
static int wrap(struct err *err, const char *pointer, int rc)
{
    if (*pointer != '\0') {
        err_wrap(err, "%s", pointer);
    }
    return rc;
}

static void add_quoted(struct str *out, const char *text)
{
    str_addc(out, '"');
    str_add_json(out, text, strlen(text));
    str_addc(out, '"');
}

/* Returns owned, or NULL with a sentence. */
static struct template *compile_string(struct compiler *c, struct json_object *node)
{
    const char *text = json_string_at(node, "", NULL);
    if (text == NULL) {
        err_set(c->err, -EINVAL, "%s: holds U+0000", c->pointer.data);
        return NULL;
    }
    struct template *value = template_compile_in(text, c->scope, c->err);
    if (value == NULL) {
        wrap(c->err, c->pointer.data, -EINVAL);
    }
    return value;
}

static int refuse_name(struct compiler *c, const char *name)
{
    return err_set(c->err, -EINVAL,
                   "%s: the name '%s' is constant, ${...} has no meaning in it",
                   c->pointer.data, name);
}

static int add_string(struct compiler *c, struct json_object *node)
{
    struct template *value = compile_string(c, node);
    if (value == NULL) {
        return -EINVAL;
    }
    if (template_is_constant(value)) {
        add_quoted(&c->text, template_constant(value));
        template_free(value);
        return 0;
    }
    bool quoted = template_sole_pointer(value) == NULL;
    if (quoted) {
        str_addc(&c->text, '"');
    }
    add_step(c, value);
    if (quoted) {
        str_addc(&c->text, '"');
    }
    return 0;
}

static int add_node(struct compiler *c, struct json_object *node);

/* Descend with the pointer longer by one token. */
static int add_child(struct compiler *c, const char *token, struct json_object *node)
{
    size_t len = c->pointer.len;
    str_addf(&c->pointer, "/%s", token);
    int rc = add_node(c, node);
    if (rc == 0) {
        c->pointer.len = len;
        c->pointer.data[len] = '\0';
    }
    return rc;
}

static int add_object(struct compiler *c, struct json_object *node)
{
    bool first = true;
    str_addc(&c->text, '{');
    json_object_object_foreach(node, key, value)
    {
        if (strstr(key, "${") != NULL) {
            return refuse_name(c, key);
        }
        if (!first) {
            str_addc(&c->text, ',');
        }
        first = false;
        add_quoted(&c->text, key);
        str_addc(&c->text, ':');
        int rc = add_child(c, key, value);
        if (rc != 0) {
            return rc;
        }
    }
    str_addc(&c->text, '}');
    return 0;
}

static int add_array(struct compiler *c, struct json_object *node)
{
    size_t n = json_object_array_length(node);
    str_addc(&c->text, '[');
    for (size_t i = 0; i < n; i++) {
        char index[24];
        snprintf(index, sizeof(index), "%zu", i);
        if (i > 0) {
            str_addc(&c->text, ',');
        }
        int rc = add_child(c, index, json_object_array_get_idx(node, i));
        if (rc != 0) {
            return rc;
        }
    }
    str_addc(&c->text, ']');
    return 0;
}

/* Recursion is bounded: configuration is at most YAML_DEPTH_MAX deep. */
static int add_node(struct compiler *c, struct json_object *node)
{
    switch (json_object_get_type(node)) {
    case json_type_object:
        return add_object(c, node);
    case json_type_array:
        return add_array(c, node);
    case json_type_string:
        return add_string(c, node);
    default:
        json_print(node, &c->text);
        return 0;
    }
}

/* ---- forms ---- */

static int add_field(struct compiler *c, const char *name, struct json_object *node);

/* name: of the object or list. */
static int add_fields(struct compiler *c, const char *name, struct json_object *node)
{
    struct str inner;
    int rc = 0;
    str_init(&inner);
    if (json_object_is_type(node, json_type_array)) {
        str_addf(&inner, "%s[]", name);
        for (size_t i = 0; i < json_object_array_length(node) && rc == 0; i++) {
            rc = add_field(c, inner.data, json_object_array_get_idx(node, i));
        }
        str_release(&inner);
        return rc;
    }
    json_object_object_foreach(node, key, value)
    {
        str_clear(&inner);
        str_addf(&inner, name[0] != '\0' ? "%s[%s]" : "%s%s", name, key);
        rc = strstr(key, "${") != NULL ? refuse_name(c, key)
                                       : add_field(c, inner.data, value);
        if (rc != 0) {
            break;
        }
    }
    str_release(&inner);
    return rc;
}

static int add_field_text(struct compiler *c, struct json_object *node)
{
    struct template *value = compile_string(c, node);
    if (value == NULL) {
        return -EINVAL;
    }
    if (template_is_constant(value)) {
        const char *text = template_constant(value);
        str_add_percent(&c->text, text, strlen(text));
        template_free(value);
    } else {
        add_step(c, value);
    }
    return 0;
}

/* Recursion is bounded, as in add_node. */
static int add_field(struct compiler *c, const char *name, struct json_object *node)
{
    enum json_type type = json_object_get_type(node);
    if (type == json_type_object || type == json_type_array) {
        return add_fields(c, name, node);
    }
    if (c->text.len > 0 || c->body->count > 0) {
        str_addc(&c->text, '&');
    }
    str_add_percent(&c->text, name, strlen(name));
    str_addc(&c->text, '=');
    str_clear(&c->pointer);
    str_addf(&c->pointer, "/%s", name);
    if (type == json_type_string) {
        return add_field_text(c, node);
    }
    char *text = json_text_at(node, ""); /* NULL of null */
    if (text != NULL) {
        str_add_percent(&c->text, text, strlen(text));
    }
    free(text);
    return 0;
}

/* ---- making ---- */

static struct body *compile(struct json_object *tree, bool form,
                            const struct template_scope *scope, struct err *err)
{
    struct compiler c = {.scope = scope, .err = err};
    c.body = mem_zalloc(sizeof(*c.body));
    c.body->form = form;
    str_init(&c.text);
    str_init(&c.pointer);
    int rc;
    if (!form) {
        rc = add_node(&c, tree);
    } else if (json_object_is_type(tree, json_type_object)) {
        rc = add_fields(&c, "", tree);
    } else {
        rc = err_set(err, -EINVAL, "a form is made of names and values");
    }
    add_step(&c, NULL);
    str_release(&c.text);
    str_release(&c.pointer);
    if (rc != 0) {
        body_free(c.body);
        return NULL;
    }
    return c.body;
}

struct body *body_new(struct json_object *tree, const struct template_scope *scope,
                      struct err *err)
{
    return compile(tree, false, scope, err);
}

struct body *body_new_form(struct json_object *tree, const struct template_scope *scope,
                           struct err *err)
{
    return compile(tree, true, scope, err);
}

void body_free(struct body *body)
{
    if (body == NULL) {
        return;
    }
    for (size_t i = 0; i < body->count; i++) {
        free(body->steps[i].text);
        free(body->steps[i].pointer);
        template_free(body->steps[i].value);
    }
    free(body->steps);
    free(body);
}

static int fill_typed(const char *pointer, const struct event *ev, struct str *out,
                      struct err *err)
{
    struct json_object *at = json_at(ev->doc, pointer);
    if (at == NULL) {
        return err_set(err, -ENOENT, "the event has nothing at %s", pointer);
    }
    json_print(at, out);
    return 0;
}

int body_fill(const struct body *body, const struct event *ev, template_secret_fn *secret,
              void *arg, struct str *out, struct err *err)
{
    for (size_t i = 0; i < body->count; i++) {
        const struct step *step = &body->steps[i];
        str_put(out, step->text, step->len);
        if (step->value == NULL) {
            continue;
        }
        const char *pointer = body->form ? NULL : template_sole_pointer(step->value);
        int rc = pointer != NULL
                     ? fill_typed(pointer, ev, out, err)
                     : template_fill(step->value, ev,
                                     body->form ? TEMPLATE_FORM : TEMPLATE_JSON, secret,
                                     arg, out, err);
        if (rc != 0) {
            return wrap(err, step->pointer, rc);
        }
    }
    return 0;
}

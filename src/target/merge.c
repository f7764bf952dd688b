#include "target/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static const char sample_hint[] = "`sluice-consumer config init --target";

/* ---- the url ---- */

/* Where the path begins, or the end. NULL: this is no URL, and url_new says so. */
static const char *path_of(const char *url)
{
    const char *authority = strstr(url, "://");
    if (authority == NULL) {
        return NULL;
    }
    authority += strlen("://");
    return authority + strcspn(authority, "/?#");
}

static int merge_url(const struct target_options *o, const struct kind *kind,
                     struct merge *m, struct err *err)
{
    const char *path = path_of(o->url);
    bool bare = path != NULL && (path[0] != '/' || path[1] == '\0' || path[1] == '?');
    if (!bare || (kind->path == NULL && kind->url_like == NULL)) {
        m->url = mem_strdup(o->url);
        return 0;
    }
    if (kind->path == NULL) {
        return err_set(err, -EINVAL,
                       "targets.%s.url: a target of kind %s needs a path, as in %s; %s "
                       "%s` shows one",
                       o->name, kind->name, kind->url_like, sample_hint, kind->name);
    }
    struct str url;
    str_init(&url);
    str_put(&url, o->url, (size_t)(path - o->url));
    str_add(&url, kind->path);
    str_add(&url, path + (path[0] == '/'));
    m->url = str_take(&url);
    return 0;
}

/* Is there "name=" in the query? */
static bool has_query(const char *url, const char *name)
{
    size_t len = strlen(name);
    const char *at = strchr(url, '?');
    while (at != NULL) {
        at++;
        if (strncmp(at, name, len) == 0 && at[len] == '=') {
            return true;
        }
        at = strchr(at, '&');
    }
    return false;
}

/* ---- headers ---- */

static bool has_header(const struct merge *m, const char *name)
{
    for (size_t i = 0; i < m->header_count; i++) {
        if (strcasecmp(m->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_header(struct merge *m, const char *name, const char *value)
{
    m->headers[m->header_count++] = (struct http_header){name, value};
}

/* The header that says the token, or NULL: the body does. */
static const char *token_header(const struct kind *kind)
{
    switch (kind->auth.way) {
    case KIND_AUTH_BEARER:
    case KIND_AUTH_BASIC:
        return "authorization";
    case KIND_AUTH_HEADER:
        return kind->auth.where;
    case KIND_AUTH_BODY:
        break;
    }
    return NULL;
}

static int merge_token(const struct target_options *o, const struct kind *kind,
                       struct merge *m, struct err *err)
{
    const char *header = token_header(kind);
    if (o->token_secret == NULL || header == NULL) {
        return 0;
    }
    if (has_header(m, header)) {
        return err_set(err, -EINVAL,
                       "targets.%s.token: sets the header %s, and so do headers: leave "
                       "one of them out",
                       o->name, header);
    }
    if (kind->auth.way == KIND_AUTH_BASIC) {
        return 0; /* the request encodes it */
    }
    struct str value;
    str_init(&value);
    str_addf(&value, "%s${secret.%s}",
             kind->auth.way == KIND_AUTH_BEARER ? "Bearer " : "", o->token_secret);
    m->token = str_take(&value);
    add_header(m, header, m->token);
    return 0;
}

static int merge_headers(const struct target_options *o, const struct kind *kind,
                         struct merge *m, struct err *err)
{
    for (size_t i = 0; i < o->header_count && i < TARGET_HEADERS_MAX; i++) {
        add_header(m, o->headers[i].name, o->headers[i].value);
    }
    for (size_t i = 0; kind->headers != NULL && kind->headers[i].name != NULL; i++) {
        ASSERT(i < KIND_HEADERS_MAX);
        if (!has_header(m, kind->headers[i].name)) {
            add_header(m, kind->headers[i].name, kind->headers[i].value);
        }
    }
    return merge_token(o, kind, m, err);
}

/* ---- the body ---- */

static struct json_object *parse(const char *text)
{
    struct json_object *doc = NULL;
    int rc = json_parse(text, strlen(text), &doc, NULL);
    ASSERT(rc == 0);
    return doc;
}

/* A copy to add to. */
static struct json_object *copy(struct json_object *tree)
{
    struct str text;
    struct json_object *doc = NULL;
    str_init(&text);
    json_print(tree, &text);
    int rc = json_parse(text.data, text.len, &doc, NULL);
    str_release(&text);
    return rc == 0 ? doc : json_object_get(tree); /* NULL is null */
}

/* The text after a token of a pointer: "/a/b" -> "/b". token: out, owned. */
static const char *next_token(const char *pointer, char **token)
{
    size_t len = strcspn(pointer + 1, "/");
    *token = mem_strndup(pointer + 1, len);
    return pointer + 1 + len;
}

/* Put a value where a pointer of a kind leads, making objects, and a list for "-", on the
 * way. Takes value. Returns false when something else stands in the way. */
static bool put_at(struct json_object *tree, const char *pointer,
                   struct json_object *value)
{
    struct json_object *at = tree;
    bool ok = true;
    while (ok) {
        char *token;
        struct json_object *next = NULL;
        pointer = next_token(pointer, &token);
        ok = json_object_is_type(at, json_type_object);
        bool list = strcmp(pointer, "/-") == 0;
        if (ok && pointer[0] == '\0') {
            json_object_object_add(at, token, value);
            free(token);
            return true;
        }
        if (ok && !json_object_object_get_ex(at, token, &next)) {
            next = list ? json_object_new_array() : json_object_new_object();
            json_object_object_add(at, token, next);
        }
        free(token);
        at = next;
        if (ok && list) {
            ok = json_object_is_type(at, json_type_array);
            if (ok) {
                json_object_array_add(at, value);
                return true;
            }
        }
    }
    json_free(value);
    return false;
}

static bool says_key(struct json_object *tree)
{
    struct str text;
    str_init(&text);
    json_print(tree, &text);
    bool found = strstr(text.data, "${trigger.") != NULL;
    str_release(&text);
    return found;
}

/* Who adds to a list may have put the key there; elsewhere it is the member itself. */
static bool has_key(struct json_object *tree, const struct kind_key *key)
{
    const char *end = strrchr(key->pointer, '/');
    if (key->unless != NULL && json_at(tree, key->unless) != NULL) {
        return true;
    }
    return strcmp(end, "/-") == 0 ? says_key(tree) : json_at(tree, key->pointer) != NULL;
}

/* Would the key be one member too many? The system refuses the whole for it. */
static bool is_full(struct json_object *tree, const struct kind *kind)
{
    const char *pointer = kind->key.pointer;
    char *parent = mem_strndup(pointer, (size_t)(strrchr(pointer, '/') - pointer));
    struct json_object *at = json_at(tree, parent);
    bool full = kind->key_room > 0 && json_object_is_type(at, json_type_object) &&
                (size_t)json_object_object_length(at) >= kind->key_room;
    free(parent);
    return full;
}

static int add_key(const struct target_options *o, const struct kind *kind,
                   struct merge *m, struct err *err)
{
    const struct kind_key *key = &kind->key;
    if (key->pointer == NULL || has_key(m->body, key) || is_full(m->body, kind)) {
        m->key_in_body = key->pointer != NULL && says_key(m->body);
        return 0;
    }
    if (!put_at(m->body, key->pointer, parse(key->value))) {
        return err_set(err, -EINVAL,
                       "targets.%s.body: the idempotency key goes to %s, and something "
                       "else stands in its way; make room, or write ${trigger.key} where "
                       "it shall be",
                       o->name, key->pointer);
    }
    m->key_in_body = true;
    return 0;
}

static int add_token(const struct target_options *o, const struct kind *kind,
                     struct merge *m, struct err *err)
{
    const char *where = kind->auth.where;
    if (o->token_secret == NULL || kind->auth.way != KIND_AUTH_BODY) {
        return 0;
    }
    struct str text;
    str_init(&text);
    str_addf(&text, "${secret.%s}", o->token_secret);
    bool twice = json_at(m->body, where) != NULL;
    bool put = !twice && put_at(m->body, where, json_object_new_string(text.data));
    str_release(&text);
    return put ? 0
               : err_set(err, -EINVAL,
                         "targets.%s.token: goes to %s of the body, and something stands "
                         "there: leave one of them out",
                         o->name, where);
}

static int check_needs(const struct target_options *o, const struct kind *kind,
                       const struct merge *m, struct err *err)
{
    for (size_t i = 0; kind->needs != NULL && kind->needs[i] != NULL; i++) {
        const char *need = kind->needs[i];
        bool query = need[0] == '?';
        bool there = query ? has_query(m->url, need + 1) : json_at(m->body, need) != NULL;
        if (!there) {
            return err_set(err, -EINVAL,
                           "targets.%s.%s: a target of kind %s needs %s%s; %s %s` shows "
                           "one",
                           o->name, query ? "url" : "body", kind->name, need,
                           query ? "=..." : "", sample_hint, kind->name);
        }
    }
    return 0;
}

static int merge_body(const struct target_options *o, const struct kind *kind,
                      struct merge *m, struct err *err)
{
    const char *method = o->method != NULL ? o->method : kind->method;
    bool bodiless =
        method != NULL && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0);
    bool adds = kind->key.pointer != NULL || kind->auth.way == KIND_AUTH_BODY;
    if (o->body != NULL) {
        m->body = adds ? copy(o->body) : json_object_get(o->body);
    } else if (!o->no_body && !bodiless && kind->body != NULL) {
        m->body = parse(kind->body);
    } else if (!o->no_body && !bodiless && kind->form) {
        m->body = json_object_new_object();
    }
    if (!json_object_is_type(m->body, json_type_object)) {
        return 0; /* the event, a list, nothing: no place for ours in it */
    }
    int rc = add_key(o, kind, m, err);
    return rc != 0 ? rc : add_token(o, kind, m, err);
}

/* ---- the whole ---- */

int merge_make(const struct target_options *options, const struct kind *kind,
               struct merge *merge, struct err *err)
{
    memset(merge, 0, sizeof(*merge));
    int rc = merge_url(options, kind, merge, err);
    if (rc == 0) {
        rc = merge_headers(options, kind, merge, err);
    }
    if (rc == 0) {
        rc = merge_body(options, kind, merge, err);
    }
    return rc != 0 ? rc : check_needs(options, kind, merge, err);
}

void merge_release(struct merge *merge)
{
    free(merge->url);
    free(merge->token);
    json_free(merge->body);
}

/* libyaml's events become a tree of ours.
 *
 * Design. One recursive descent over the event stream, one function per kind of node. The
 * parser stops at libyaml's first syntax error, which is final; everything this house
 * forbids on top (anchors, tags, duplicate names) is noted and walked past, so that one
 * run names them all. A forbidden alias becomes an empty scalar. */
#include "wire/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/mem.h"
#include "base/str.h"

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the one looked at */
    struct yaml_issues *issues;
    bool failed; /* the event stream has ended early */
};

static void note(struct yaml_issues *issues, enum yaml_fault fault, int line, int column,
                 const char *text, const char *detail)
{
    if (issues->count == YAML_ISSUES_MAX) {
        return;
    }
    struct yaml_issue *issue = &issues->items[issues->count++];
    issue->fault = fault;
    issue->line = line;
    issue->column = column;
    snprintf(issue->text, sizeof issue->text, "%s%s", text, detail);
}

static void note_here(struct reader *r, enum yaml_fault fault, const char *text)
{
    yaml_mark_t at = r->event.start_mark;
    note(r->issues, fault, (int)at.line + 1, (int)at.column + 1, text, "");
}

static void note_parser(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    char text[200];
    snprintf(text, sizeof text, "%s%s%s", p->problem != NULL ? p->problem : "not YAML",
             p->context != NULL ? " " : "", p->context != NULL ? p->context : "");
    bool tab = p->problem != NULL && strstr(p->problem, "cannot start any token") != NULL;
    note(r->issues, YAML_UNREADABLE, (int)p->problem_mark.line + 1,
         (int)p->problem_mark.column + 1, text,
         tab ? " (a tab, or one of @ ` % without quotes?)" : "");
}

/* Look at the next event. A failure makes every later look see the stream's end. */
static void advance(struct reader *r)
{
    yaml_event_delete(&r->event);
    memset(&r->event, 0, sizeof r->event);
    if (r->failed) {
        return;
    }
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        note_parser(r);
        memset(&r->event, 0, sizeof r->event);
        r->failed = true;
    }
}

static struct yaml_node *node_new(enum yaml_kind kind)
{
    struct yaml_node *node = mem_zalloc(sizeof *node);
    node->kind = kind;
    return node;
}

static struct yaml_node *node_here(struct reader *r, enum yaml_kind kind)
{
    struct yaml_node *node = node_new(kind);
    node->line = (int)r->event.start_mark.line + 1;
    node->column = (int)r->event.start_mark.column + 1;
    return node;
}

void yaml_append(struct yaml_node *list, struct yaml_node *item)
{
    /* room doubles: at 1, 2, 4, 8 ... members */
    if ((list->count & (list->count - 1)) == 0) {
        size_t room = list->count == 0 ? 1 : list->count * 2;
        list->items = mem_resize(list->items, room * sizeof(struct yaml_node *));
    }
    list->items[list->count++] = item;
}

static void refuse_decoration(struct reader *r, const yaml_char_t *anchor,
                              const yaml_char_t *tag)
{
    if (anchor != NULL) {
        note_here(r, YAML_UNWANTED, "anchors are not allowed here: write the value out");
    }
    if (tag != NULL) {
        note_here(r, YAML_UNWANTED, "tags are not allowed here: leave it out");
    }
}

static struct yaml_node *read_scalar(struct reader *r)
{
    struct yaml_node *node = node_here(r, YAML_SCALAR);
    const char *bytes = (const char *)r->event.data.scalar.value;
    size_t len = r->event.data.scalar.length;
    refuse_decoration(r, r->event.data.scalar.anchor, r->event.data.scalar.tag);
    if (memchr(bytes, '\0', len) != NULL) {
        note_here(r, YAML_UNREADABLE, "a zero byte in a text");
    }
    node->text = mem_strndup(bytes, len);
    node->quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return node;
}

static struct yaml_node *read_node(struct reader *r, int depth);

static struct yaml_node *read_list(struct reader *r, int depth)
{
    struct yaml_node *list = node_here(r, YAML_LIST);
    refuse_decoration(r, r->event.data.sequence_start.anchor,
                      r->event.data.sequence_start.tag);
    advance(r);
    while (!r->failed && r->event.type != YAML_SEQUENCE_END_EVENT) {
        yaml_append(list, read_node(r, depth + 1));
        advance(r);
    }
    return list;
}

static void add_member(struct reader *r, struct yaml_node *map, struct yaml_node *key,
                       struct yaml_node *value)
{
    if (key->kind != YAML_SCALAR) {
        note(r->issues, YAML_UNREADABLE, key->line, key->column, "a name must be a text",
             "");
        yaml_node_free(value);
        return;
    }
    if (strcmp(key->text, "<<") == 0 && !key->quoted) {
        note(r->issues, YAML_UNWANTED, key->line, key->column,
             "merge keys are not allowed here: write the members out", "");
        yaml_node_free(value);
        return;
    }
    if (map->count == YAML_MEMBERS_MAX) {
        note(r->issues, YAML_UNREADABLE, key->line, key->column,
             "more than 4096 members in one map", "");
        r->failed = true;
        yaml_node_free(value);
        return;
    }
    const struct yaml_node *twin = yaml_get(map, key->text);
    if (twin != NULL) {
        char text[200];
        snprintf(text, sizeof text, "\"%.100s\" is here already, on line %d", key->text,
                 twin->key_line);
        note(r->issues, YAML_DUPLICATE, key->line, key->column, text, "");
        yaml_node_free(value);
        return;
    }
    value->key = key->text;
    value->key_line = key->line;
    value->key_column = key->column;
    key->text = NULL;
    yaml_append(map, value);
}

static struct yaml_node *read_map(struct reader *r, int depth)
{
    struct yaml_node *map = node_here(r, YAML_MAP);
    refuse_decoration(r, r->event.data.mapping_start.anchor,
                      r->event.data.mapping_start.tag);
    advance(r);
    while (!r->failed && r->event.type != YAML_MAPPING_END_EVENT) {
        struct yaml_node *key = read_node(r, depth + 1);
        advance(r);
        struct yaml_node *value = read_node(r, depth + 1);
        add_member(r, map, key, value);
        yaml_node_free(key);
        advance(r);
    }
    return map;
}

/* Read the node that begins at the present event; afterwards the present event is the
 * node's last one. Never NULL. */
static struct yaml_node *read_node(struct reader *r, int depth)
{
    if (depth > YAML_DEPTH_MAX && !r->failed) {
        note_here(r, YAML_UNREADABLE, "nested too deeply");
        r->failed = true;
    }
    switch (r->failed ? YAML_NO_EVENT : r->event.type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(r);
    case YAML_SEQUENCE_START_EVENT:
        return read_list(r, depth);
    case YAML_MAPPING_START_EVENT:
        return read_map(r, depth);
    case YAML_ALIAS_EVENT:
        note_here(r, YAML_UNWANTED, "aliases are not allowed here: write the value out");
        break;
    default:
        break;
    }
    struct yaml_node *nothing = node_here(r, YAML_SCALAR);
    nothing->text = mem_strdup("");
    return nothing;
}

static struct yaml_node *read_document(struct reader *r)
{
    struct yaml_node *root = NULL;
    advance(r); /* stream start */
    advance(r);
    if (r->event.type == YAML_DOCUMENT_START_EVENT) {
        advance(r);
        root = read_node(r, 1);
        advance(r); /* document end */
        advance(r);
    }
    if (r->event.type == YAML_DOCUMENT_START_EVENT) {
        note_here(r, YAML_UNWANTED, "a second document is not allowed here");
    }
    if (r->failed) {
        yaml_node_free(root);
        return NULL;
    }
    if (root != NULL && root->kind == YAML_SCALAR && root->text[0] == '\0') {
        yaml_node_free(root);
        root = NULL;
    }
    return root != NULL ? root : node_new(YAML_MAP);
}

struct yaml_node *yaml_parse(const char *bytes, size_t len, struct yaml_issues *issues)
{
    static const char mark[] = "\xEF\xBB\xBF";
    struct reader r = {.issues = issues};
    issues->count = 0;
    if (len > YAML_BYTES_MAX) {
        note(issues, YAML_UNREADABLE, 1, 1, "larger than 1 MiB", "");
        return NULL;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        ASSERT(!"yaml_parser_initialize");
    }
    if (len >= sizeof mark - 1 && memcmp(bytes, mark, sizeof mark - 1) == 0) {
        bytes +=
            sizeof mark - 1; /* libyaml skips it only where it guesses the encoding */
        len -= sizeof mark - 1;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)bytes, len);
    struct yaml_node *root = read_document(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return root;
}

void yaml_node_free(struct yaml_node *node)
{
    if (node == NULL) {
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        yaml_node_free(node->items[i]);
    }
    free(node->items);
    free(node->text);
    free(node->key);
    free(node);
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map->kind != YAML_MAP) {
        return NULL;
    }
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->items[i]->key, key) == 0) {
            return map->items[i];
        }
    }
    return NULL;
}

struct yaml_node *yaml_scalar_new(const char *text)
{
    struct yaml_node *node = node_new(YAML_SCALAR);
    node->text = mem_strdup(text);
    return node;
}

struct yaml_node *yaml_list_new(void)
{
    return node_new(YAML_LIST);
}

struct yaml_node *yaml_copy(const struct yaml_node *node)
{
    struct yaml_node *copy = node_new(node->kind);
    copy->line = node->line;
    copy->column = node->column;
    copy->text = mem_strdup(node->text);
    copy->quoted = node->quoted;
    copy->key = mem_strdup(node->key);
    copy->key_line = node->key_line;
    copy->key_column = node->key_column;
    for (size_t i = 0; i < node->count; i++) {
        yaml_append(copy, yaml_copy(node->items[i]));
    }
    return copy;
}

/* Plain text that no YAML reader takes for anything else, in block and in flow style. */
static bool is_plain(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char inside[] = "0123456789_./+-%@=~";
    size_t len = strlen(text);
    if (len == 0 || strchr("%@=~-", text[0]) != NULL) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        bool inner_colon = text[i] == ':' && i + 1 < len && text[i + 1] != ':';
        if (strchr(letters, text[i]) == NULL && strchr(inside, text[i]) == NULL &&
            !inner_colon) {
            return false;
        }
    }
    return true;
}

char *yaml_quote(const char *text)
{
    if (is_plain(text)) {
        return mem_strdup(text);
    }
    struct str out;
    str_init(&out);
    str_addc(&out, '"');
    for (const char *c = text; *c != '\0'; c++) {
        size_t run = strcspn(c, "\177"); /* DEL is legal in JSON, not in YAML */
        str_add_json(&out, c, run);
        c += run;
        if (*c == '\0') {
            break;
        }
        str_add(&out, "\\u007f");
    }
    str_addc(&out, '"');
    return str_take(&out);
}

const char *yaml_library_version(void)
{
    return yaml_get_version_string();
}

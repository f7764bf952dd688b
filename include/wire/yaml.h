/* YAML into a tree that remembers where everything stood: the one door to libyaml.
 *
 * Scalars stay text; whoever reads the tree types them. Anchors, aliases, tags, merge
 * keys, duplicate keys and a second document are errors. Plain data: one thread at a
 * time. */
#ifndef WIRE_YAML_H
#define WIRE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
    YAML_DEPTH_MAX = 32,
    YAML_BYTES_MAX = 1024 * 1024,
    YAML_ISSUES_MAX = 64,
    YAML_MEMBERS_MAX = 4096, /* of one map: each name is compared with all before it */
};

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml_node {
    enum yaml_kind kind;
    int line; /* from 1; for a map's member: of the value */
    int column;
    char *text;  /* scalars: the text */
    bool quoted; /* scalars: was in quotes, so "true" is text and true is not */
    char *key;   /* inside a map: the member's name */
    int key_line;
    int key_column;
    struct yaml_node **items; /* maps and lists, in order */
    size_t count;
};

enum yaml_fault {
    YAML_UNREADABLE, /* not YAML, not UTF-8, too deep, too large */
    YAML_DUPLICATE,  /* a map has the name already; the first one stays */
    YAML_UNWANTED,   /* anchors, aliases, tags, merge keys, a second document */
};

struct yaml_issue {
    enum yaml_fault fault;
    int line;
    int column;
    char text[256];
};

struct yaml_issues {
    struct yaml_issue items[YAML_ISSUES_MAX];
    size_t count;
};

/* Parse a whole file's bytes. Returns the root (owned, yaml_node_free) or NULL when it
 * cannot be read at all; issues has every fault found, also beside a root. An empty
 * document is an empty map. */
struct yaml_node *yaml_parse(const char *bytes, size_t len, struct yaml_issues *issues);

/* Not called yaml_free: libyaml exports that name, and would call ours. */
void yaml_node_free(struct yaml_node *node); /* NULL allowed */

/* The member of a map, or NULL. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* Trees made by hand: overrides that look as if they had stood in a file. The text is
 * copied; yaml_append takes the item. */
struct yaml_node *yaml_scalar_new(const char *text);
struct yaml_node *yaml_list_new(void);
void yaml_append(struct yaml_node *list, struct yaml_node *item);
struct yaml_node *yaml_copy(const struct yaml_node *node);

/* One scalar as YAML text that reads back as the same text (quoted when needed). Returns
 * owned. */
char *yaml_quote(const char *text);

const char *yaml_library_version(void);

#endif

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

enum { YAML_DEPTH_MAX = 32, YAML_BYTES_MAX = 1024 * 1024, YAML_ISSUES_MAX = 64 };

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

struct yaml_issue {
    int line;
    int column;
    char text[256];
};

struct yaml_issues {
    struct yaml_issue items[YAML_ISSUES_MAX];
    size_t count;
};

/* Parse a whole file's bytes. Returns the root (owned, yaml_free) or NULL when it cannot
 * be read at all; issues has every fault found, also beside a root. An empty document is
 * an empty map. */
struct yaml_node *yaml_parse(const char *bytes, size_t len, struct yaml_issues *issues);
void yaml_free(struct yaml_node *root);

/* The member of a map, or NULL. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* One scalar as YAML text that reads back as the same text (quoted when needed). Returns
 * owned. */
char *yaml_quote(const char *text);

const char *yaml_library_version(void);

#endif

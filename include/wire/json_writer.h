/* The writing half of wire/json: a tree as compact text, byte for byte what json-c would
 * print plain and with slashes as they are, at a third of its price: a request's body is
 * one. For src/wire/json.c only. */
#ifndef WIRE_JSON_WRITER_H
#define WIRE_JSON_WRITER_H

#include "wire/json.h"

#include "base/str.h"

/* doc  NULL is null. Recursion is as deep as the tree: at most JSON_DEPTH_MAX. */
void json_writer_print(struct json_object *doc, struct str *out);

#endif

/* A JSON document as YAML in block style, for people. */
#ifndef CONSUMER_YAML_TEXT_H
#define CONSUMER_YAML_TEXT_H

#include "base/str.h"
#include "wire/json.h"

/* Append it, with a line break at the end. It reads back as the same document. */
void yaml_add_json(struct json_object *doc, struct str *out);

#endif

/* A table of text in aligned columns, for terminals. Cells hold UTF-8 that others may
 * have written: it is shown without control characters. One thread. */
#ifndef CONSUMER_TABLE_H
#define CONSUMER_TABLE_H

#include "base/str.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct table;

/* columns  headings separated by '|'; one that begins with '>' stands to the right. */
struct table *table_new(const char *columns);
void table_free(struct table *table);

/* The next cell of the row; a row ends with its last column. paint: put before the text,
 * "" for none. */
void table_cell(struct table *table, const char *text, const char *paint);

/* Append the headings and the rows. bold, off: for the headings and after paint. width:
 * lines are cut there; 0: never. */
void table_print(const struct table *table, const char *bold, const char *off,
                 size_t width, struct str *out);

#endif

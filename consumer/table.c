#include "table.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum { GAP = 2 };

struct cell {
    char *text;
    const char *paint;
};

struct table {
    char *headings[TABLE_COLUMNS_MAX];
    bool right[TABLE_COLUMNS_MAX];
    size_t widths[TABLE_COLUMNS_MAX];
    size_t columns;
    struct cell *cells; /* row after row */
    size_t count;
    size_t room;
};

/* Characters, not bytes; each counts as one column. */
static size_t width_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

struct table *table_new(const char *columns)
{
    struct table *t = mem_zalloc(sizeof *t);
    while (*columns) {
        size_t len = strcspn(columns, "|");
        ASSERT(t->columns < TABLE_COLUMNS_MAX);
        bool right = *columns == '>';
        t->right[t->columns] = right;
        t->headings[t->columns] = mem_strndup(columns + right, len - right);
        t->widths[t->columns] = width_of(t->headings[t->columns]);
        t->columns++;
        columns += len + (columns[len] == '|');
    }
    return t;
}

void table_free(struct table *t)
{
    for (size_t i = 0; i < t->columns; i++) {
        free(t->headings[i]);
    }
    for (size_t i = 0; i < t->count; i++) {
        free(t->cells[i].text);
    }
    free(t->cells);
    free(t);
}

void table_cell(struct table *t, const char *text, const char *paint)
{
    struct str plain;
    size_t column = t->count % t->columns;
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->cells = mem_resize(t->cells, t->room * sizeof *t->cells);
    }
    str_init(&plain);
    str_add_plain(&plain, text);
    struct cell *cell = &t->cells[t->count++];
    *cell = (struct cell){str_take(&plain), paint};
    str_release(&plain);
    size_t width = width_of(cell->text);
    t->widths[column] = width > t->widths[column] ? width : t->widths[column];
}

/* At most so many characters of it. Returns how many. */
static size_t add_cut(struct str *out, const char *text, size_t most)
{
    size_t n = 0;
    const char *at = text;
    while (*at && (n < most || ((unsigned char)*at & 0xc0) == 0x80)) {
        n += ((unsigned char)*at & 0xc0) != 0x80;
        at++;
    }
    str_put(out, text, (size_t)(at - text));
    return n;
}

static void add_spaces(struct str *out, size_t n)
{
    str_addf(out, "%*s", (int)n, "");
}

/* One line: cells[i] in column i. */
static void add_line(const struct table *t, const struct cell *cells, const char *off,
                     size_t width, struct str *out)
{
    size_t at = 0;
    size_t most = width ? width : SIZE_MAX;
    for (size_t i = 0; i < t->columns && at < most; i++) {
        size_t pad = t->widths[i] - width_of(cells[i].text);
        size_t left = t->right[i] ? pad : 0;
        size_t right = t->right[i] || i + 1 == t->columns ? 0 : pad;
        left = left < most - at ? left : most - at;
        add_spaces(out, left);
        at += left;
        str_add(out, cells[i].paint);
        at += add_cut(out, cells[i].text, most - at);
        str_add(out, cells[i].paint[0] ? off : "");
        right += i + 1 == t->columns ? 0 : GAP;
        right = right < most - at ? right : most - at;
        add_spaces(out, right);
        at += right;
    }
    while (out->len > 0 && out->data[out->len - 1] == ' ') {
        out->data[--out->len] = '\0';
    }
    str_addc(out, '\n');
}

void table_print(const struct table *t, const char *bold, const char *off, size_t width,
                 struct str *out)
{
    struct cell headings[TABLE_COLUMNS_MAX];
    for (size_t i = 0; i < t->columns; i++) {
        headings[i] = (struct cell){t->headings[i], bold};
    }
    add_line(t, headings, off, width, out);
    for (size_t i = 0; i + t->columns <= t->count; i += t->columns) {
        add_line(t, &t->cells[i], off, width, out);
    }
}

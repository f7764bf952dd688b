/* Design: one pass over the bytes with an explicit stack of open containers. A value is
 * put into its container as soon as it is known (containers while still empty), so that
 * the tree under construction always hangs together: a fault frees the root, and the
 * pointer of the fault is read off the last members of the open containers.
 *
 * Duplicate names are found by json-c's own table (its hash is seeded at random): adding
 * a name that is there leaves the length as it was. */
#include "wire/json_reader.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/json.h"

enum {
    COST_OBJECT = 900, /* json-c makes room for 16 members */
    COST_ARRAY = 160,
    COST_SCALAR = 80,
    COST_MEMBER = 96,
    ARRAY_ROOM = 4,
    POINTER_MAX = 200,
};

struct parser {
    const char *start;
    const char *p;
    const char *end;
    struct json_object *root;
    struct json_object *open[JSON_DEPTH_MAX];
    int depth;
    bool in_member;  /* a name was read, its value not yet put */
    size_t name_at;  /* offset of that name */
    struct str name; /* unescaped */
    struct str text; /* an unescaped string value */
    size_t cost;
    const struct json_how *how;
    int left_out;         /* depth of the object whose member is left out; 0: none now */
    size_t left_out_cost; /* what there was before it */
    struct err *err;
};

static bool open_is_object(const struct parser *ps)
{
    return ps->depth > 0 &&
           json_object_is_type(ps->open[ps->depth - 1], json_type_object);
}

/* ---- faults ---- */

/* One reference token, escaped by RFC 6901; what a terminal might act on becomes '?'. */
static void add_token(struct str *out, const char *token)
{
    str_addc(out, '/');
    for (; *token != '\0' && out->len < POINTER_MAX; token++) {
        if (*token == '~') {
            str_add(out, "~0");
        } else if (*token == '/') {
            str_add(out, "~1");
        } else if ((unsigned char)*token < 0x20 || *token == 0x7f) {
            str_addc(out, '?');
        } else {
            str_addc(out, *token);
        }
    }
    while (*token != '\0' && !text_is_utf8(out->data, out->len)) {
        out->data[--out->len] = '\0';
    }
}

static const char *last_name(struct json_object *object)
{
    const char *name = NULL;
    json_object_object_foreach(object, key, value)
    {
        (void)value;
        name = key;
    }
    return name;
}

/* Where the parser stands: the open containers' last members, and the name just read. */
static void fault_pointer(const struct parser *ps, struct str *out)
{
    for (int i = 0; i < ps->depth; i++) {
        struct json_object *node = ps->open[i];
        bool innermost = i == ps->depth - 1;
        if (json_object_is_type(node, json_type_array)) {
            size_t n = json_object_array_length(node);
            str_addf(out, "/%zu", innermost || n == 0 ? n : n - 1);
        } else if (innermost && ps->in_member) {
            add_token(out, ps->name.data);
        } else if (!innermost) {
            const char *name = last_name(node);
            add_token(out, name != NULL ? name : "");
        }
    }
}

static int fault_at(struct parser *ps, size_t offset, const char *what)
{
    struct str pointer;
    str_init(&pointer);
    fault_pointer(ps, &pointer);
    int rc =
        err_set(ps->err, -EBADMSG, "%s at \"%s\", byte %zu", what, pointer.data, offset);
    str_release(&pointer);
    return rc;
}

static int fault(struct parser *ps, const char *what)
{
    return fault_at(ps, (size_t)(ps->p - ps->start), what);
}

static int spend(struct parser *ps, size_t cost)
{
    ps->cost += cost;
    return ps->cost <= ps->how->memory_max ? 0
                                           : fault(ps, "too many values for its length");
}

/* ---- strings ---- */

static int hex4(const char *p, unsigned *value)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        unsigned digit;
        if (c >= '0' && c <= '9') {
            digit = (unsigned)(c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = (unsigned)((c | 0x20) - 'a') + 10;
        } else {
            return -EBADMSG;
        }
        v = v << 4 | digit;
    }
    *value = v;
    return 0;
}

static void put_utf8(struct str *out, unsigned c)
{
    char b[4];
    size_t n = 0;
    if (c < 0x80) {
        b[n++] = (char)c;
    } else if (c < 0x800) {
        b[n++] = (char)(0xc0 | c >> 6);
        b[n++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        b[n++] = (char)(0xe0 | c >> 12);
        b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        b[n++] = (char)(0x80 | (c & 0x3f));
    } else {
        b[n++] = (char)(0xf0 | c >> 18);
        b[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        b[n++] = (char)(0x80 | (c & 0x3f));
    }
    str_put(out, b, n);
}

/* p stands behind "\u". */
static int read_unicode(struct parser *ps, struct str *out)
{
    unsigned c;
    unsigned low;
    if (ps->end - ps->p < 4 || hex4(ps->p, &c) != 0) {
        return fault(ps, "a bad \\u escape");
    }
    ps->p += 4;
    if (c >= 0xdc00 && c <= 0xdfff) {
        return fault(ps, "a lone surrogate");
    }
    if (c >= 0xd800 && c <= 0xdbff) {
        if (ps->end - ps->p < 6 || ps->p[0] != '\\' || ps->p[1] != 'u' ||
            hex4(ps->p + 2, &low) != 0 || low < 0xdc00 || low > 0xdfff) {
            return fault(ps, "a lone surrogate");
        }
        ps->p += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    put_utf8(out, c);
    return 0;
}

/* p stands behind the backslash. */
static int read_escape(struct parser *ps, struct str *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (ps->p == ps->end) {
        return fault(ps, "the text ends inside a string");
    }
    char c = *ps->p++;
    if (c == 'u') {
        return read_unicode(ps, out);
    }
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    if (at == NULL) {
        ps->p--;
        return fault(ps, "an unknown escape");
    }
    str_addc(out, to[at - from]);
    return 0;
}

/* Move p to the next byte that ends a plain run: a quote, a backslash or a control
 * character. *high is set when a byte was not ASCII. */
static void skip_plain(struct parser *ps, bool *high)
{
    const char *p = ps->p;
    unsigned char bits = 0;
    while (p < ps->end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) {
        bits |= (unsigned char)*p++;
    }
    ps->p = p;
    *high = *high || bits >= 0x80;
}

/* Read a string whose opening quote is passed. The text is borrowed: from the input when
 * nothing had to be unescaped, else from `scratch`. */
static int read_string(struct parser *ps, struct str *scratch, const char **text,
                       size_t *len)
{
    const char *run = ps->p;
    bool high = false;
    bool escaped = false;
    for (;;) {
        skip_plain(ps, &high);
        if (ps->p == ps->end) {
            return fault(ps, "the text ends inside a string");
        }
        if (*ps->p == '"') {
            break;
        }
        if (*ps->p != '\\') {
            return fault(ps, "a control character inside a string");
        }
        if (!escaped) {
            str_clear(scratch);
            escaped = true;
        }
        str_put(scratch, run, (size_t)(ps->p - run));
        ps->p++;
        int rc = read_escape(ps, scratch);
        if (rc != 0) {
            return rc;
        }
        run = ps->p;
    }
    size_t n = (size_t)(ps->p - run);
    if (escaped) {
        str_put(scratch, run, n);
    }
    *text = escaped ? scratch->data : run;
    *len = escaped ? scratch->len : n;
    if (high && !text_is_utf8(*text, *len)) {
        return fault(ps, "invalid UTF-8 in the string that ends");
    }
    ps->p++;
    return 0;
}

/* ---- values ---- */

/* Put a value into the innermost open container, or make it the root. Takes it, also on
 * failure. */
static int put_value(struct parser *ps, struct json_object *value)
{
    if (ps->depth == 0) {
        ps->root = value;
        return 0;
    }
    struct json_object *parent = ps->open[ps->depth - 1];
    if (!ps->in_member) {
        json_object_array_add(parent, value);
        return 0;
    }
    int before = json_object_object_length(parent);
    json_object_object_add(parent, ps->name.data, value);
    if (json_object_object_length(parent) == before) {
        return fault_at(ps, ps->name_at, "a duplicate name");
    }
    ps->in_member = false;
    return 0;
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9') {
        p++;
    }
    return p;
}

/* Find the end of the number at p by RFC 8259's grammar. integral: no fraction, no
 * exponent. */
static int scan_number(struct parser *ps, const char **number_end, bool *integral)
{
    const char *p = ps->p;
    const char *end = ps->end;
    p += *p == '-';
    const char *digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1)) {
        return fault(ps, "not a JSON value");
    }
    *integral = true;
    if (p < end && *p == '.') {
        const char *fraction = p + 1;
        p = skip_digits(fraction, end);
        *integral = false;
        if (p == fraction) {
            return fault(ps, "a number without digits after its point");
        }
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        const char *exponent = p;
        p = skip_digits(p, end);
        *integral = false;
        if (p == exponent) {
            return fault(ps, "a number without digits in its exponent");
        }
        if (p - exponent > JSON_EXPONENT_MAX) {
            return fault(ps, "a number with too long an exponent");
        }
    }
    *number_end = p;
    return 0;
}

static int read_number(struct parser *ps)
{
    char text[JSON_NUMBER_MAX + 1];
    const char *end = ps->p;
    bool integral = false;
    int rc = scan_number(ps, &end, &integral);
    if (rc != 0) {
        return rc;
    }
    size_t len = (size_t)(end - ps->p);
    if (len > JSON_NUMBER_MAX) {
        return fault(ps, "a number that is too long");
    }
    memcpy(text, ps->p, len);
    text[len] = '\0';
    rc = spend(ps, COST_SCALAR + 2 * len);
    if (rc != 0) {
        return rc;
    }
    errno = 0;
    long long whole = integral ? strtoll(text, NULL, 10) : 0;
    if (integral && errno == 0 && strcmp(text, "-0") != 0) {
        ps->p = end;
        return put_value(ps, json_object_new_int64(whole));
    }
    double real = strtod(text, NULL);
    if (!isfinite(real)) {
        return fault(ps, "a number beyond the range of a double");
    }
    ps->p = end;
    return put_value(ps, json_object_new_double_s(real, text));
}

static int read_literal(struct parser *ps)
{
    size_t left = (size_t)(ps->end - ps->p);
    int rc = spend(ps, COST_SCALAR);
    if (rc != 0) {
        return rc;
    }
    if (left >= 4 && memcmp(ps->p, "true", 4) == 0) {
        ps->p += 4;
        return put_value(ps, json_object_new_boolean(1));
    }
    if (left >= 5 && memcmp(ps->p, "false", 5) == 0) {
        ps->p += 5;
        return put_value(ps, json_object_new_boolean(0));
    }
    if (left >= 4 && memcmp(ps->p, "null", 4) == 0) {
        ps->p += 4;
        return put_value(ps, NULL);
    }
    return fault(ps, left == 0 ? "the text ends before a value" : "not a JSON value");
}

static int open_container(struct parser *ps, bool object)
{
    if (ps->depth == JSON_DEPTH_MAX) {
        return fault(ps, "nested too deep");
    }
    int rc = spend(ps, object ? COST_OBJECT : COST_ARRAY);
    if (rc != 0) {
        return rc;
    }
    struct json_object *node =
        object ? json_object_new_object() : json_object_new_array_ext(ARRAY_ROOM);
    rc = put_value(ps, node);
    if (rc == 0) {
        ps->open[ps->depth++] = node;
        ps->p++;
    }
    return rc;
}

static void skip_space(struct parser *ps)
{
    while (ps->p < ps->end &&
           (*ps->p == ' ' || *ps->p == '\n' || *ps->p == '\r' || *ps->p == '\t')) {
        ps->p++;
    }
}

/* Read one scalar, or open one container. p stands at its first byte. */
static int read_value(struct parser *ps)
{
    const char *text = "";
    size_t len = 0;
    char c = '\0';
    if (ps->p < ps->end) {
        c = *ps->p;
    }
    if (c == '{' || c == '[') {
        return open_container(ps, c == '{');
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return read_number(ps);
    }
    if (c != '"') {
        return read_literal(ps);
    }
    ps->p++;
    int rc = read_string(ps, &ps->text, &text, &len);
    if (rc == 0) {
        rc = spend(ps, COST_SCALAR + len);
    }
    return rc != 0 ? rc : put_value(ps, json_object_new_string_len(text, (int)len));
}

/* Read `"name" :`; p stands at its first byte. */
static int read_name(struct parser *ps)
{
    const char *text = "";
    size_t len = 0;
    if (ps->p == ps->end || *ps->p != '"') {
        return fault(ps, "no name where one must stand");
    }
    ps->name_at = (size_t)(ps->p - ps->start);
    ps->p++;
    int rc = read_string(ps, &ps->name, &text, &len);
    if (rc != 0) {
        return rc;
    }
    if (text != ps->name.data) {
        str_clear(&ps->name);
        str_put(&ps->name, text, len);
    }
    if (memchr(ps->name.data, '\0', len) != NULL) {
        return fault_at(ps, ps->name_at, "a name with U+0000 in it");
    }
    ps->in_member = true;
    skip_space(ps);
    if (ps->p == ps->end || *ps->p != ':') {
        return fault(ps, "no colon after a name");
    }
    ps->p++;
    skip_space(ps);
    return spend(ps, COST_MEMBER + len);
}

/* Does the container just opened begin what is left out? cost: before its name. */
static void note_left_out(struct parser *ps, size_t cost)
{
    int parent = ps->depth - 1;
    if (ps->left_out != 0 || ps->how->leave_out == NULL || parent < 2 ||
        !json_object_is_type(ps->open[parent - 1], json_type_object) ||
        !json_object_is_type(ps->open[parent - 2], json_type_object) ||
        strcmp(ps->name.data, ps->how->leave_out) != 0) {
        return;
    }
    /* what was put last into the outer object is the inner one */
    const struct lh_entry *entry = json_object_get_object(ps->open[parent - 2])->tail;
    if (strcmp(lh_entry_k(entry), ps->how->inside) == 0) {
        ps->left_out = parent;
        ps->left_out_cost = cost;
    }
}

static void forget_left_out(struct parser *ps)
{
    json_object_object_del(ps->open[ps->depth - 1], ps->how->leave_out);
    ps->cost = ps->left_out_cost;
    ps->left_out = 0;
}

/* What may follow an open bracket: its end, or a first member. */
static bool closes_here(struct parser *ps)
{
    skip_space(ps);
    if (ps->p == ps->end || *ps->p != (open_is_object(ps) ? '}' : ']')) {
        return false;
    }
    ps->p++;
    ps->depth--;
    if (ps->left_out != 0 && ps->depth == ps->left_out) {
        forget_left_out(ps);
    }
    return true;
}

/* After a value: pass closing brackets, and the comma if there is one. */
static int read_separators(struct parser *ps)
{
    while (ps->depth > 0 && closes_here(ps)) {
    }
    if (ps->depth == 0) {
        return 0;
    }
    if (ps->p == ps->end) {
        return fault(ps, "the text ends inside an object or array");
    }
    if (*ps->p != ',') {
        return fault(ps, "no comma between members");
    }
    ps->p++;
    skip_space(ps);
    return 0;
}

static int read_document(struct parser *ps)
{
    skip_space(ps);
    do {
        int depth = ps->depth;
        size_t cost = ps->cost;
        int rc = open_is_object(ps) ? read_name(ps) : 0;
        if (rc == 0) {
            rc = read_value(ps);
        }
        if (rc != 0) {
            return rc;
        }
        bool opened = ps->depth > depth;
        if (opened) {
            note_left_out(ps, cost);
        }
        if (opened && !closes_here(ps)) {
            continue; /* the first member follows */
        }
        rc = read_separators(ps);
        if (rc != 0) {
            return rc;
        }
    } while (ps->depth > 0);
    skip_space(ps);
    return ps->p == ps->end ? 0 : fault(ps, "trailing bytes after the document");
}

int json_reader_read(const struct json_how *how, const char *bytes, size_t len,
                     struct json_object **doc, struct err *err)
{
    struct parser ps = {.start = bytes,
                        .p = bytes,
                        .end = bytes + len,
                        .how = how,
                        .err = err};
    str_init(&ps.name);
    str_init(&ps.text);
    int rc = read_document(&ps);
    if (rc == 0) {
        *doc = ps.root;
    } else {
        json_object_put(ps.root);
    }
    str_release(&ps.name);
    str_release(&ps.text);
    return rc;
}

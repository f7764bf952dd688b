#include "event/redact.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "wire/crypto.h"

static const char *const name = "gitOptions";
static const char cut_text[] = "[credentials cut out]";
static const char base64_name[] = "data_base64";
static const char escape[] = "\\u00"; /* how a name of ASCII letters is hidden */

enum {
    NAME_LEN = sizeof("gitOptions") - 1,
    LEVELS_MAX = 4, /* of text inside text */
};

/* Is the name in here, letters of either case? quoted: followed by what ends a name in
 * JSON text. */
static bool names_credentials(const char *bytes, size_t len, bool quoted)
{
    for (size_t i = 0; i + NAME_LEN <= len; i++) {
        if ((bytes[i] != 'g' && bytes[i] != 'G') ||
            strncasecmp(bytes + i, name, NAME_LEN) != 0) {
            continue;
        }
        size_t next = i + NAME_LEN;
        if (!quoted || (next < len && (bytes[next] == '"' || bytes[next] == '\\'))) {
            return true;
        }
    }
    return false;
}

static bool holds(const char *bytes, size_t len, const char *what)
{
    return memmem(bytes, len, what, strlen(what)) != NULL;
}

/* ---- users in URLs ---- */

/* How long "://" is here, also as JSON may write it; 0: it is not. */
static size_t separator_len(const char *at, size_t left)
{
    static const char escaped[] = ":\\/\\/";
    if (left >= 3 && memcmp(at, "://", 3) == 0) {
        return 3;
    }
    return left >= 5 && memcmp(at, escaped, 5) == 0 ? 5 : 0;
}

static bool is_scheme(const char *text, size_t before, const char *scheme)
{
    size_t len = strlen(scheme);
    return before >= len && strncasecmp(text + before - len, scheme, len) == 0 &&
           (before == len || !isalnum((unsigned char)text[before - len - 1]));
}

/* May a user be cut whose URL's scheme ends at text + before? */
static bool brings_secret(const char *text, size_t before, const char *user, size_t len)
{
    static const char *const tokens[] = {"http", "https", "ftp", "ftps"};
    static const char *const passwords[] = {"ssh", "git", "svn"};
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        if (is_scheme(text, before, tokens[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++) {
        if (is_scheme(text, before, passwords[i])) {
            return memchr(user, ':', len) != NULL;
        }
    }
    return false;
}

/* The length of "user:password@" at the start of an authority; 0: none. */
static size_t user_len(const char *authority, size_t left)
{
    size_t len = 0;
    size_t user = 0;
    while (len < left && strchr("/?#\\\"'<> \t\r\n", authority[len]) == NULL) {
        len++;
        user = authority[len - 1] == '@' ? len : user;
    }
    return user;
}

bool redact_url_users(const char *text, size_t len, struct str *out)
{
    size_t kept = 0; /* so far is written */
    for (size_t i = 0; i < len; i++) {
        size_t separator = text[i] == ':' ? separator_len(text + i, len - i) : 0;
        size_t host = i + separator;
        size_t user = separator > 0 ? user_len(text + host, len - host) : 0;
        if (user > 0 && brings_secret(text, i, text + host, user)) {
            str_put(out, text + kept, host - kept);
            kept = host + user;
            i = kept - 1;
        }
    }
    if (kept > 0) {
        str_put(out, text + kept, len - kept);
    }
    return kept > 0;
}

/* ---- documents and records ---- */

bool redact_suspects(const char *bytes, size_t len)
{
    return memchr(bytes, '\\', len) != NULL || names_credentials(bytes, len, false) ||
           holds(bytes, len, base64_name) ||
           (memchr(bytes, '@', len) != NULL && holds(bytes, len, "://"));
}

static bool redact_text(const char *text, size_t len, int level, struct str *out);

/* Where the text holds more text: JSON inside a string. */
static bool redact_string(struct json_object *node, int level)
{
    struct str out;
    str_init(&out);
    bool cut = redact_text(json_object_get_string(node),
                           (size_t)json_object_get_string_len(node), level + 1, &out);
    if (cut) {
        json_object_set_string_len(node, out.data, (int)out.len);
    }
    str_release(&out);
    return cut;
}

static bool redact_base64(struct json_object *node, int level)
{
    struct str out;
    const char *text = json_object_get_string(node);
    unsigned char *bytes = mem_alloc(3 * (strlen(text) / 4) + 3);
    int n = crypto_unbase64(text, bytes);
    str_init(&out);
    bool cut = n > 0 && redact_text((const char *)bytes, (size_t)n, level + 1, &out);
    if (n < 0) {
        cut = true; /* nobody else reads it either */
        json_object_set_string(node, cut_text);
    } else if (cut) {
        char *encoded = mem_alloc(4 * ((out.len + 2) / 3) + 1);
        crypto_base64(out.data, out.len, encoded);
        json_object_set_string(node, encoded);
        free(encoded);
    }
    str_release(&out);
    free(bytes);
    return cut;
}

static bool redact_value(struct json_object *node, bool base64, int level);

static bool redact_object(struct json_object *node, int level)
{
    bool found = false;
    json_object_object_foreach(node, key, value)
    {
        if (strcasecmp(key, name) == 0) {
            json_object_object_del(node, key); /* allowed for the current member */
            found = true;
        } else if (redact_value(value, strcmp(key, base64_name) == 0, level)) {
            found = true;
        }
    }
    return found;
}

/* Recursion is bounded by JSON_DEPTH_MAX. */
static bool redact_value(struct json_object *node, bool base64, int level)
{
    bool found = false;
    if (json_object_is_type(node, json_type_object)) {
        return redact_object(node, level);
    }
    if (json_object_is_type(node, json_type_string)) {
        return base64 ? redact_base64(node, level) : redact_string(node, level);
    }
    if (json_object_is_type(node, json_type_array)) {
        size_t n = json_object_array_length(node);
        for (size_t i = 0; i < n; i++) {
            struct json_object *item = json_object_array_get_idx(node, i);
            found = redact_value(item, false, level) || found;
        }
    }
    return found;
}

bool redact_document(struct json_object *doc)
{
    return redact_value(doc, false, 0);
}

/* Text that may be JSON with credentials. Returns whether there were any; then `out` has
 * the text without them, which is readable as before if it was. Text in text in text ...
 * could be nested as deep as an attacker likes: from some level on it is cut unread. */
static bool redact_text(const char *text, size_t len, int level, struct str *out)
{
    struct json_object *doc = NULL;
    bool cut = false;
    if (!redact_suspects(text, len)) {
        return false;
    }
    if (level <= LEVELS_MAX && json_parse(text, len, &doc, NULL) == 0) {
        cut = redact_value(doc, false, level);
        if (cut) {
            json_print(doc, out);
        }
        json_free(doc);
    } else if (level > LEVELS_MAX || names_credentials(text, len, true) ||
               (holds(text, len, escape) && memchr(text, '{', len) != NULL)) {
        cut = true;
        str_add(out, cut_text);
    } else {
        cut = redact_url_users(text, len, out);
    }
    return cut;
}

static void put_size_and_hash(const char *bytes, size_t len, struct str *out)
{
    unsigned char sum[CRYPTO_SHA256_LEN];
    crypto_sha256(bytes, len, sum);
    str_addf(out,
             "{\"sluice-cut\":\"unreadable, may hold credentials\",\"bytes\":%zu,"
             "\"sha256\":\"",
             len);
    for (size_t i = 0; i < sizeof(sum); i++) {
        str_addf(out, "%02x", sum[i]);
    }
    str_add(out, "\"}");
}

void redact_bytes(const char *bytes, size_t len, struct str *out)
{
    struct json_object *doc = NULL;
    bool cut = false;
    if (!redact_suspects(bytes, len)) {
        str_put(out, bytes, len);
        return;
    }
    if (json_parse(bytes, len, &doc, NULL) == 0) {
        cut = redact_document(doc);
        if (cut) {
            json_print(doc, out);
        }
        json_free(doc);
    } else if (names_credentials(bytes, len, false) || holds(bytes, len, escape) ||
               holds(bytes, len, base64_name)) {
        cut = true;
        put_size_and_hash(bytes, len, out);
    } else {
        cut = redact_url_users(bytes, len, out);
    }
    if (!cut) {
        str_put(out, bytes, len);
    }
}

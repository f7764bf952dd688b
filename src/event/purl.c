#include "event/purl.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* The value of a hex digit, or 16 when it is none. */
static unsigned hex(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* A sequence that is no escape stands for itself: real producers forget to encode. */
static void put_decoded(struct str *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%' && i + 2 < len && hex(text[i + 1]) < 16 &&
            hex(text[i + 2]) < 16) {
            str_addc(out, (char)(hex(text[i + 1]) << 4 | hex(text[i + 2])));
            i += 2;
        } else {
            str_addc(out, text[i]);
        }
    }
}

/* One qualifier's value out of "a=b&c=d". Returns whether it is there. */
static bool put_qualifier(struct str *out, const char *query, size_t len, const char *key)
{
    size_t key_len = strlen(key);
    while (len > 0) {
        const char *amp = memchr(query, '&', len);
        size_t n = amp != NULL ? (size_t)(amp - query) : len;
        if (n > key_len && query[key_len] == '=' &&
            strncasecmp(query, key, key_len) == 0) {
            put_decoded(out, query + key_len + 1, n - key_len - 1);
            return out->len > 0;
        }
        query += n + (amp != NULL);
        len -= n + (amp != NULL);
    }
    return false;
}

/* text: "namespace/name@version", the parts between type and qualifiers. */
static void read_path(struct purl *purl, struct str *full, const char *path, size_t len)
{
    const char *at = memrchr(path, '@', len);
    size_t named = at != NULL ? (size_t)(at - path) : len;
    if (at != NULL) {
        put_decoded(&purl->digest, at + 1, len - named - 1);
    }
    put_decoded(full, path, named);
    const char *slash = strrchr(full->data, '/');
    str_add(&purl->name, slash != NULL ? slash + 1 : full->data);
}

/* A version that is no digest is a tag (pkg:docker/name@1.2). */
static bool is_digest(const char *text)
{
    return strchr(text, ':') != NULL;
}

int purl_parse(const char *text, struct purl *purl)
{
    size_t skip = text_starts(text, "pkg:oci/")      ? strlen("pkg:oci/")
                  : text_starts(text, "pkg:docker/") ? strlen("pkg:docker/")
                                                     : 0;
    if (skip == 0) {
        return -EINVAL;
    }
    const char *path = text + skip;
    size_t path_len = strcspn(path, "?#");
    const char *query = path[path_len] == '?' ? path + path_len + 1 : "";
    size_t query_len = strcspn(query, "#");
    struct str full;
    struct str tag;
    str_init(&purl->name);
    str_init(&purl->image);
    str_init(&purl->digest);
    str_init(&full);
    str_init(&tag);
    read_path(purl, &full, path, path_len);
    if (!put_qualifier(&purl->image, query, query_len, "repository_url")) {
        str_add(&purl->image, full.data);
    }
    put_qualifier(&tag, query, query_len, "tag");
    if (purl->digest.len > 0 && !is_digest(purl->digest.data)) {
        if (tag.len == 0) {
            str_add(&tag, purl->digest.data);
        }
        str_clear(&purl->digest);
    }
    if (tag.len > 0) {
        str_addf(&purl->image, ":%s", tag.data);
    } else if (purl->digest.len > 0) {
        str_addf(&purl->image, "@%s", purl->digest.data);
    }
    bool named = purl->name.len > 0;
    str_release(&full);
    str_release(&tag);
    if (!named) {
        purl_release(purl);
    }
    return named ? 0 : -EINVAL;
}

void purl_release(struct purl *purl)
{
    str_release(&purl->name);
    str_release(&purl->image);
    str_release(&purl->digest);
}

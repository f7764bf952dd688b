#include "target/answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* How many of these bytes are whole characters. */
static size_t whole(const char *text, size_t len)
{
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

/* Words of others into a buffer of ours. */
static void keep_words(const char *text, size_t len, char *out, size_t size)
{
    struct str raw;
    struct str plain;
    str_init(&raw);
    str_init(&plain);
    str_put(&raw, text, len < 4 * size ? len : 4 * size);
    str_add_plain(&plain, raw.data);
    size_t kept = plain.len < size ? plain.len : whole(plain.data, size - 1);
    memcpy(out, plain.data, kept);
    out[kept] = '\0';
    str_release(&plain);
    str_release(&raw);
}

struct json_object *answer_doc(const struct http_call *call)
{
    struct json_object *doc = NULL;
    if (call->answer == NULL || json_parse(call->answer, call->answer_len, &doc, NULL)) {
        return NULL;
    }
    return doc;
}

char answer_first(const struct http_call *call)
{
    const char *text = call->answer;
    if (text == NULL) {
        return '\0';
    }
    if (text_starts(text, "\xef\xbb\xbf")) {
        text += 3;
    }
    return text[strspn(text, " \t\r\n")];
}

void answer_is(struct attempt_result *result, enum attempt_class class,
               const char *reason)
{
    result->class = class;
    if (class != ATTEMPT_RETRY) {
        result->retry_after_ms = -1;
    }
    snprintf(result->reason, sizeof(result->reason), "%s", reason);
}

void answer_say(struct attempt_result *result, const char *text)
{
    if (text != NULL) {
        keep_words(text, strlen(text), result->detail, sizeof(result->detail));
    }
}

void answer_say_at(struct attempt_result *result, struct json_object *doc,
                   const char *const *pointers)
{
    for (size_t i = 0; pointers[i] != NULL; i++) {
        const char *text = json_string_at(doc, pointers[i], NULL);
        if (text != NULL && text[0] != '\0') {
            answer_say(result, text);
            return;
        }
    }
}

void answer_say_line(struct attempt_result *result, const struct http_call *call)
{
    char type[64];
    if (call->answer != NULL &&
        http_answer_header(call, "content-type", type, sizeof(type)) != NULL &&
        strncasecmp(type, "text/plain", strlen("text/plain")) == 0) {
        keep_words(call->answer, strcspn(call->answer, "\r\n"), result->detail,
                   sizeof(result->detail));
    }
}

bool answer_has(const char *text, const char *word)
{
    return text != NULL && strcasestr(text, word) != NULL;
}

/* Where the path of a URL begins. */
static const char *path_of(const char *url)
{
    const char *authority = strstr(url, "://");
    if (authority == NULL) {
        return url;
    }
    authority += strlen("://");
    return authority + strcspn(authority, "/?#");
}

int answer_path_before(const struct http_call *call, const char *part, struct str *path)
{
    const char *begin = path_of(call->url);
    const char *end = begin + strcspn(begin, "?#");
    const char *at = begin;
    const char *last = NULL;
    while (at != NULL && at < end) {
        at = strstr(at, part);
        if (at != NULL && at + strlen(part) <= end) {
            last = at;
        }
        at = at != NULL ? at + 1 : NULL;
    }
    if (last == NULL) {
        return -ENOENT;
    }
    str_put(path, begin, (size_t)(last - begin));
    return 0;
}

void answer_add(struct str *path, const char *value)
{
    str_add_percent(path, value, strlen(value));
}

const char *answer_own_path(const struct http_call *call, const char *url)
{
    if (url[0] == '/' && url[1] != '/') {
        return url;
    }
    const char *path = path_of(call->url);
    size_t len = (size_t)(path - call->url);
    return strncasecmp(url, call->url, len) == 0 && url[len] == '/' ? url + len : NULL;
}

/* ---- phases ---- */

void phase_read(struct kind_phase *out, const struct phase_of *phases, const char *word,
                const char *more)
{
    struct str text;
    out->phase = PHASE_UNKNOWN;
    for (size_t i = 0; word != NULL && phases[i].word != NULL; i++) {
        if (strcmp(phases[i].word, word) == 0) {
            out->phase = phases[i].phase;
        }
    }
    str_init(&text);
    str_add(&text, word != NULL ? word : "");
    if (more != NULL && more[0] != '\0') {
        str_addf(&text, "%s%s", text.len > 0 ? " " : "", more);
    }
    keep_words(text.data, text.len, out->text, sizeof(out->text));
    str_release(&text);
}

bool phase_is_told(int status, struct json_object *doc, struct kind_phase *out)
{
    out->phase = PHASE_UNKNOWN;
    out->text[0] = '\0';
    if (status < 200 || status > 299) {
        snprintf(out->text, sizeof(out->text), "the query was answered with %d", status);
        return false;
    }
    if (!json_object_is_type(doc, json_type_object)) {
        snprintf(out->text, sizeof(out->text), "the answer is not the JSON it should be");
        return false;
    }
    return true;
}

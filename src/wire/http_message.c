#include "wire/http_message.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/now.h"

#define RETRY_AFTER_MAX_MS (INT64_C(7) * 24 * 3600 * 1000)

/* They say where a message ends or whose connection it is: the loop's own. */
static const char *const framing[] = {
    "content-length",   "transfer-encoding", "connection", "upgrade", "expect", "te",
    "proxy-connection", "keep-alive",        "trailer",
};

static bool is_token(const char *text)
{
    if (text == NULL || text[0] == '\0') {
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        bool alnum = (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
                     (*p >= 'A' && *p <= 'Z');
        if (!alnum && strchr("!#$%&'*+-.^_`|~", *p) == NULL) {
            return false;
        }
    }
    return true;
}

static bool has_control(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool frames_message(const char *name)
{
    for (size_t i = 0; i < sizeof(framing) / sizeof(framing[0]); i++) {
        if (strcasecmp(name, framing[i]) == 0) {
            return true;
        }
    }
    return false;
}

static const char *headers_refused(const struct http_call *call)
{
    if (call->header_count > HTTP_HEADERS_MAX) {
        return "too many headers";
    }
    for (size_t i = 0; i < call->header_count; i++) {
        const struct http_header *header = &call->headers[i];
        if (!is_token(header->name)) {
            return "a header name holds a forbidden character";
        }
        if (has_control(header->value)) {
            return "a header value holds a control character";
        }
        if (frames_message(header->name)) {
            return "a header that frames the message may not be set";
        }
    }
    return NULL;
}

const char *http_request_refused(const struct http_call *call)
{
    if (!is_token(call->method) || strlen(call->method) >= HTTP_METHOD_MAX) {
        return "the method is not a token";
    }
    if (strncasecmp(call->url, "http://", 7) != 0 &&
        strncasecmp(call->url, "https://", 8) != 0) {
        return "the url does not begin with http:// or https://";
    }
    if (strlen(call->url) >= HTTP_URL_MAX) {
        return "the url is too long";
    }
    if (has_control(call->url)) {
        return "the url holds a control character";
    }
    return headers_refused(call);
}

static bool has_header(const struct http_call *call, const char *name)
{
    for (size_t i = 0; i < call->header_count; i++) {
        if (strcasecmp(call->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Two special forms of libcurl's: "Name:" leaves a header out that it would add itself,
 * "Name;" sends one without a value. */
int http_request_lines(const struct http_call *call, const char *host, struct str *lines)
{
    int n = 0;
    for (size_t i = 0; i < call->header_count; i++, n++) {
        const struct http_header *header = &call->headers[i];
        str_add(lines, header->name);
        if (header->value[0] == '\0') {
            str_addc(lines, ';');
        } else {
            str_add(lines, ": ");
            str_add(lines, header->value);
        }
        str_put(lines, "", 1);
    }
    if (host != NULL && !has_header(call, "host")) {
        str_add(lines, "Host: ");
        str_put(lines, host, strlen(host) + 1);
        n++;
    }
    str_put(lines, "Expect:", sizeof("Expect:"));
    n++;
    if (!has_header(call, "content-type")) { /* else a body is said to be a form */
        str_put(lines, "Content-Type:", sizeof("Content-Type:"));
        n++;
    }
    return n;
}

void http_message_clean(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = ' ';
        }
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The value of a line "Name: value\r\n" if its name is this one. */
static const char *value_of(const char *line, size_t len, const char *name,
                            size_t *value_len)
{
    size_t name_len = strlen(name);
    if (len <= name_len || line[name_len] != ':' ||
        strncasecmp(line, name, name_len) != 0) {
        return NULL;
    }
    const char *value = line + name_len + 1;
    const char *end = line + len;
    while (value < end && is_blank(*value)) {
        value++;
    }
    while (end > value && is_blank(end[-1])) {
        end--;
    }
    *value_len = (size_t)(end - value);
    return value;
}

const char *http_answer_header(const struct http_call *call, const char *name,
                               char *buffer, size_t buffer_len)
{
    if (call->answer_headers == NULL || buffer_len == 0) {
        return NULL;
    }
    const char *line = call->answer_headers->data;
    const char *end = line + call->answer_headers->len;
    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t len =
            newline == NULL ? (size_t)(end - line) : (size_t)(newline - line) + 1;
        size_t value_len = 0;
        const char *value = value_of(line, len, name, &value_len);
        if (value != NULL) {
            size_t kept = value_len < buffer_len - 1 ? value_len : buffer_len - 1;
            memcpy(buffer, value, kept);
            buffer[kept] = '\0';
            return buffer;
        }
        line += len;
    }
    return NULL;
}

void http_answer_take(struct http_call *call, struct str *body)
{
    if (call->answer_body != NULL) {
        *body = *call->answer_body;
        str_init(call->answer_body);
        call->answer_body = NULL;
    }
    call->answer = "";
    call->answer_len = 0;
}

int64_t http_answer_retry_after_ms(const struct http_call *call)
{
    char text[64];
    int64_t seconds = 0;
    int64_t wall_ms = 0;
    if (http_answer_header(call, "retry-after", text, sizeof(text)) == NULL) {
        return -1;
    }
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && text[digits] == '\0') {
        if (text_parse_int(text, 0, RETRY_AFTER_MAX_MS / 1000, &seconds) != 0) {
            return RETRY_AFTER_MAX_MS;
        }
        return seconds * 1000;
    }
    if (now_parse_http_date(text, &wall_ms) != 0) {
        return -1;
    }
    int64_t from_now_ms = wall_ms - now_wall_ms();
    if (from_now_ms < 0) {
        return 0;
    }
    return from_now_ms < RETRY_AFTER_MAX_MS ? from_now_ms : RETRY_AFTER_MAX_MS;
}

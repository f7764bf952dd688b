#include "page.h"

#include <stdio.h>
#include <string.h>

#include "reply.h"
#include "wire/crypto.h"

/* Bytes, and the same through gzip -9; made by the Makefile. */
static const unsigned char index_html[] = {
#include "page/index.html.inc"
};
static const unsigned char index_html_gz[] = {
#include "page/index.html.gz.inc"
};
static const unsigned char app_css[] = {
#include "page/app.css.inc"
};
static const unsigned char app_css_gz[] = {
#include "page/app.css.gz.inc"
};
static const unsigned char app_js[] = {
#include "page/app.js.inc"
};
static const unsigned char app_js_gz[] = {
#include "page/app.js.gz.inc"
};
static const unsigned char icon_svg[] = {
#include "page/icon.svg.inc"
};
static const unsigned char icon_svg_gz[] = {
#include "page/icon.svg.gz.inc"
};

/* Nothing but our own three files runs, and nobody frames them. */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const struct file {
    const char *path;
    const char *type;
    const unsigned char *bytes[2]; /* plain, gzip */
    size_t lens[2];
} files[] = {
    {"/",
     "text/html; charset=utf-8",
     {index_html, index_html_gz},
     {sizeof index_html, sizeof index_html_gz}},
    {"/app.css",
     "text/css; charset=utf-8",
     {app_css, app_css_gz},
     {sizeof app_css, sizeof app_css_gz}},
    {"/app.js",
     "text/javascript; charset=utf-8",
     {app_js, app_js_gz},
     {sizeof app_js, sizeof app_js_gz}},
    {"/icon.svg",
     "image/svg+xml",
     {icon_svg, icon_svg_gz},
     {sizeof icon_svg, sizeof icon_svg_gz}},
};

enum { ETAG_MAX = 48 };

/* One for each form a file is sent in: its bytes' hash. */
static void make_etag(const struct file *file, bool zipped, char etag[ETAG_MAX])
{
    const struct crypto_piece piece = {(const char *)file->bytes[zipped],
                                       file->lens[zipped]};
    char hash[CRYPTO_HEX128_LEN];
    crypto_hash128(&piece, 1, hash);
    snprintf(etag, ETAG_MAX, "\"%s\"", hash);
}

static bool takes_gzip(const struct httpd_request *request)
{
    const char *accepts = httpd_header(request, "accept-encoding");
    return accepts && strstr(accepts, "gzip") && !strstr(accepts, "gzip;q=0");
}

static void serve_file(const struct file *file, struct httpd_request *request)
{
    bool zipped = takes_gzip(request);
    char etag[ETAG_MAX];
    make_etag(file, zipped, etag);
    const char *known = httpd_header(request, "if-none-match");
    bool same = known && strstr(known, etag);
    const char *headers[] = {"content-type",
                             file->type,
                             "cache-control",
                             "no-cache",
                             "etag",
                             etag,
                             "vary",
                             "accept-encoding",
                             "content-security-policy",
                             policy,
                             "x-content-type-options",
                             "nosniff",
                             "referrer-policy",
                             "no-referrer",
                             "cross-origin-opener-policy",
                             "same-origin",
                             "cross-origin-resource-policy",
                             "same-origin",
                             zipped && !same ? "content-encoding" : NULL,
                             "gzip",
                             NULL};
    httpd_reply(request, same ? 304 : 200, headers,
                same ? NULL : (const char *)file->bytes[zipped],
                same ? 0 : file->lens[zipped]);
}

bool page_serve(struct httpd_request *request)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (strcmp(httpd_path(request), files[i].path) == 0) {
            if (reply_is_get(request)) {
                serve_file(&files[i], request);
            }
            return true;
        }
    }
    return false;
}

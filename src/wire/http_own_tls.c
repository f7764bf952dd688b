/* Design. The name in the handshake (SNI), the name that is looked for in the certificate
 * and the url's host are one thing for libcurl; no option sets the first two alone. So
 * the url gets server_name for its host, CURLOPT_CONNECT_TO leads the connection back to
 * the real host and port, and the Host header says what it would have said.
 *
 * CURLOPT_CAINFO_BLOB takes the place of CURLOPT_CAINFO only: the directory of the
 * system's certificates (CURLOPT_CAPATH, set by default where libcurl was built so) would
 * be trusted beside it and is taken away.
 *
 * libcurl does not tell keys apart when it looks for a connection to use again (7.88 to
 * 8.16 compare the certificate alone; curl/curl#21667), nor when it resumes a session.
 * Nobody relies on that here: each pool's handles and connections are its own, see
 * wire/http_transfer.h. */
#include "wire/http_own_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "wire/crypto.h"
#include "wire/http_lib.h"

enum { SERVER_NAME_MAX = 253 }; /* of a DNS name (RFC 1035) */

struct http_own_tls {
    char *ca;
    char *cert;
    char *key;
    char *server_name;
    bool insecure;
};

/* A DNS name, an IPv4 or an IPv6 address: nothing that could end a host in a url. */
static bool is_name(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789.-_:");
    return len > 0 && len <= SERVER_NAME_MAX && text[len] == '\0';
}

struct http_own_tls *http_own_tls_new(const struct http_tls *tls, struct err *err)
{
    if (tls->server_name != NULL && !is_name(tls->server_name)) {
        err_set(err, -EINVAL, "the TLS server name \"%.100s\" is not a name of a host",
                tls->server_name);
        return NULL;
    }
    if (crypto_check_pem(tls->ca_pem, tls->cert_pem, tls->key_pem, err) != 0) {
        return NULL;
    }
    struct http_own_tls *own = mem_zalloc(sizeof(*own));
    own->ca = mem_strdup(tls->ca_pem);
    own->cert = mem_strdup(tls->cert_pem);
    own->key = mem_strdup(tls->key_pem);
    own->server_name = mem_strdup(tls->server_name);
    own->insecure = tls->insecure;
    return own;
}

void http_own_tls_free(struct http_own_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    if (tls->key != NULL) {
        mem_wipe(tls->key, strlen(tls->key));
    }
    free(tls->ca);
    free(tls->cert);
    free(tls->key);
    free(tls->server_name);
    free(tls);
}

static void set_blob(CURL *easy, CURLoption option, char *pem)
{
    struct curl_blob blob = {.data = pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY};
    SET(easy, option, &blob);
}

void http_own_tls_apply(const struct http_own_tls *tls, void *easy)
{
    if (tls->ca != NULL) {
        set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca);
        SET(easy, CURLOPT_CAPATH, NULL);
    }
    if (tls->cert != NULL) {
        SET(easy, CURLOPT_SSLCERTTYPE, "PEM");
        SET(easy, CURLOPT_SSLKEYTYPE, "PEM");
        set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert);
        set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
    }
    if (tls->insecure) {
        SET(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        SET(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

/* Where host and port are in an authority; the port may be empty. */
struct authority {
    const char *text;
    size_t len;
    size_t host_len; /* with its brackets */
    const char *port;
    size_t port_len;
};

static struct authority authority_of(const char *url)
{
    struct authority a = {.text = strstr(url, "://") + 3};
    a.len = strcspn(a.text, "/?#");
    const char *bracket = memchr(a.text, ']', a.len);
    const char *from = bracket != NULL ? bracket : a.text;
    const char *colon = memchr(from, ':', a.len - (size_t)(from - a.text));
    a.host_len = colon != NULL ? (size_t)(colon - a.text) : a.len;
    a.port = colon != NULL ? colon + 1 : "443";
    a.port_len = colon != NULL ? a.len - a.host_len - 1 : 3;
    return a;
}

bool http_own_tls_rename(const struct http_own_tls *tls, const char *url,
                         struct http_renamed *renamed)
{
    if (tls == NULL || tls->server_name == NULL || strncasecmp(url, "https://", 8) != 0) {
        return false;
    }
    struct authority a = authority_of(url);
    if (a.host_len == 0) {
        return false; /* libcurl refuses it */
    }
    bool address6 = strchr(tls->server_name, ':') != NULL;
    bool usual = a.port_len == 0 || (a.port_len == 3 && memcmp(a.port, "443", 3) == 0);
    str_clear(&renamed->url);
    str_put(&renamed->url, url, (size_t)(a.text - url));
    str_add(&renamed->url, address6 ? "[" : "");
    str_add(&renamed->url, tls->server_name);
    str_add(&renamed->url, address6 ? "]" : "");
    str_add(&renamed->url, a.text + a.host_len);
    str_clear(&renamed->connect);
    str_add(&renamed->connect, "::");
    str_put(&renamed->connect, a.text, a.host_len);
    str_addc(&renamed->connect, ':');
    str_put(&renamed->connect, usual ? "443" : a.port, usual ? 3 : a.port_len);
    str_clear(&renamed->host);
    str_put(&renamed->host, a.text, usual ? a.host_len : a.len);
    return true;
}

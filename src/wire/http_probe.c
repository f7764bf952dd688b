#include "wire/http_probe.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/now.h"
#include "base/str.h"
#include "wire/http_address.h"
#include "wire/http_lib.h"

struct probing {
    bool public_only;
    const char *refused; /* what kind of address it was */
};

static curl_socket_t on_open(void *arg, curlsocktype purpose,
                             struct curl_sockaddr *address)
{
    struct probing *probing = arg;
    char text[NI_MAXHOST] = "";
    (void)purpose;
    (void)getnameinfo(&address->addr, (socklen_t)address->addrlen, text, sizeof text,
                      NULL, 0, NI_NUMERICHOST);
    text[strcspn(text, "%")] = '\0';
    const char *refused = http_address_refused(text, probing->public_only);
    if (refused) {
        probing->refused = refused;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* The leaf certificate's, which comes first. libcurl writes the date as its TLS library
 * does; it also reads all of those forms. */
static int64_t expiry(CURL *easy)
{
    struct curl_certinfo *chain = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || !chain ||
        chain->num_of_certs < 1) {
        return 0;
    }
    for (struct curl_slist *fact = chain->certinfo[0]; fact; fact = fact->next) {
        if (strncasecmp(fact->data, "Expire date:", 12) == 0) {
            time_t at = curl_getdate(fact->data + 12, NULL);
            return at > 0 ? (int64_t)at * 1000 : 0;
        }
    }
    return 0;
}

static int failed(CURLcode code, const char *words, const struct probing *probing,
                  struct err *err)
{
    const char *why = words[0] ? words : curl_easy_strerror(code);
    if (probing->refused) {
        return err_set(err, -EACCES, "its address is refused: %s", probing->refused);
    }
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, -ETIMEDOUT, "timed out");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return err_set(err, -EACCES, "TLS: %s", why);
    case CURLE_SSL_CONNECT_ERROR:
        return err_set(err, -EIO, "TLS: %s", why);
    default:
        return err_set(err, -EIO, "%s", why);
    }
}

int http_probe(const char *url, const char *ca_file, bool public_only, int64_t timeout_ms,
               struct http_probe *probe, struct err *err)
{
    char words[CURL_ERROR_SIZE] = "";
    struct probing probing = {.public_only = public_only};
    int rc = 0;
    *probe = (struct http_probe){.tls = text_starts(url, "https:")};
    http_lib_begin();
    CURL *easy = curl_easy_init();
    ASSERT(easy != NULL);
    http_lib_secure(easy, ca_file);
    SET(easy, CURLOPT_URL, url);
    SET(easy, CURLOPT_CONNECT_ONLY, 1L);
    SET(easy, CURLOPT_CERTINFO, 1L);
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_QUICK_EXIT, 1L);
    SET(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    SET(easy, CURLOPT_ERRORBUFFER, words);
    SET(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(easy, CURLOPT_OPENSOCKETDATA, &probing);
    int64_t began_ms = now_ms();
    CURLcode code = curl_easy_perform(easy);
    probe->took_ms = now_ms() - began_ms;
    if (code != CURLE_OK) {
        rc = failed(code, words, &probing, err);
    } else if (probe->tls) {
        probe->expires_wall_ms = expiry(easy);
    }
    curl_easy_cleanup(easy);
    return rc;
}

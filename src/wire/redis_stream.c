#include "wire/redis_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

/* Closing does not say goodbye (close_notify): replies carry their lengths, so neither
 * side can be deceived by an end that comes too early. */

struct redis_stream {
    int fd;
    SSL *ssl;   /* NULL: plain */
    char *host; /* with TLS: for people */
};

/* --- what is trusted and shown --- */

/* A key with a passphrase must not make the process ask on a terminal. */
static int no_passphrase(char *text, int size, int writing, void *arg)
{
    (void)text;
    (void)size;
    (void)writing;
    (void)arg;
    return 0;
}

/* libssl's word on what failed last. */
static const char *library_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "no reason given";
}

static int file_fault(const char *key, const char *path, struct err *err)
{
    unsigned long first = ERR_peek_error(); /* the others are consequences */
    const char *why =
        ERR_SYSTEM_ERROR(first) ? strerror(ERR_GET_REASON(first)) : library_reason();
    return err_set(err, -EINVAL, "%s: %s cannot be used: %s", key, path, why);
}

static int load_files(SSL_CTX *ctx, const struct redis_url *url, struct err *err)
{
    ERR_clear_error();
    if (url->ca_file && SSL_CTX_load_verify_file(ctx, url->ca_file) != 1) {
        return file_fault("redis.ca_file", url->ca_file, err);
    }
    if (!url->ca_file && SSL_CTX_set_default_verify_paths(ctx) != 1) {
        return err_set(err, -EINVAL, "redis: the system's certificates cannot be used");
    }
    if (!url->cert_file) {
        return 0;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, url->cert_file) != 1) {
        return file_fault("redis.cert_file", url->cert_file, err);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, url->key_file, SSL_FILETYPE_PEM) != 1) {
        return file_fault("redis.key_file", url->key_file, err);
    }
    return 0;
}

/* Returns NULL with err when a file cannot be used. */
static SSL_CTX *context_new(const struct redis_url *url, struct err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    ASSERT(ctx != NULL);
    ASSERT(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    if (load_files(ctx, url, err) != 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

int redis_stream_check(const struct redis_url *url, struct err *err)
{
    if (!url->tls) {
        return 0;
    }
    SSL_CTX *ctx = context_new(url, err);
    SSL_CTX_free(ctx);
    return ctx ? 0 : -EINVAL;
}

/* The certificate must be for this host; a name is also sent, so that one server can have
 * several certificates. */
static void expect_host(SSL *ssl, const char *host)
{
    struct in6_addr address;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (inet_pton(AF_INET, host, &address) == 1 ||
        inet_pton(AF_INET6, host, &address) == 1) {
        ASSERT(X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1);
        return;
    }
    ASSERT(X509_VERIFY_PARAM_set1_host(param, host, 0) == 1);
    ASSERT(SSL_set_tlsext_host_name(ssl, host) == 1);
}

/* --- the stream --- */

struct redis_stream *redis_stream_new(int fd)
{
    struct redis_stream *stream = mem_zalloc(sizeof *stream);
    stream->fd = fd;
    return stream;
}

void redis_stream_close(struct redis_stream *stream)
{
    if (stream) {
        SSL_free(stream->ssl);
        close(stream->fd);
        free(stream->host);
        free(stream);
    }
}

int redis_stream_fd(const struct redis_stream *stream)
{
    return stream->fd;
}

int redis_stream_secure(struct redis_stream *stream, const struct redis_url *url,
                        struct err *err)
{
    ASSERT(!stream->ssl);
    SSL_CTX *ctx = context_new(url, err);
    if (!ctx) {
        return -EINVAL;
    }
    stream->host = mem_strdup(url->host);
    stream->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx); /* the stream's SSL holds it */
    ASSERT(stream->ssl && SSL_set_fd(stream->ssl, stream->fd) == 1);
    expect_host(stream->ssl, url->host);
    SSL_set_connect_state(stream->ssl);
    return 0;
}

/* --- what went wrong --- */

static int distrust(const struct redis_stream *stream, long verdict, struct err *err)
{
    const char *why = X509_verify_cert_error_string(verdict);
    switch (verdict) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return err_set(err, -EACCES,
                       "TLS: the server's certificate is not for '%s' (use a name that "
                       "stands in it in redis.url, or have one made for this name)",
                       stream->host);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return err_set(err, -EACCES,
                       "TLS: the server's certificate has expired (renew it, and have "
                       "Redis load it)");
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return err_set(err, -EACCES,
                       "TLS: the server's certificate is not valid yet (is the clock of "
                       "either side wrong?)");
    default:
        return err_set(err, -EACCES,
                       "TLS: the server's certificate is not trusted: %s (name the "
                       "authority that signed it in redis.ca_file)",
                       why);
    }
}

/* The server has told us why it will not: a person must look at our side. */
static int alerted(int reason, struct err *err)
{
    const char *word = library_reason();
    switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return err_set(err, -EACCES,
                       "TLS: the server ended the handshake: %s (it may want a client "
                       "certificate: set redis.cert_file and redis.key_file)",
                       word);
    default:
        return err_set(err, -EACCES,
                       "TLS: the server does not take our certificate: %s (see "
                       "redis.cert_file)",
                       word);
    }
}

/* Alerts come with 1000 and their number in the protocol. */
static bool is_alert_on_certificate(int reason)
{
    switch (reason) {
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

/* Returns -EAGAIN with events, or the sentence on what went wrong. */
static int failure(struct redis_stream *stream, int result, int saved_errno,
                   short *events, struct err *err)
{
    int kind = SSL_get_error(stream->ssl, result);
    *events = kind == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
        return -EAGAIN;
    }
    long verdict = SSL_get_verify_result(stream->ssl);
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (kind == SSL_ERROR_ZERO_RETURN) {
        return err_set(err, -EIO, "the server closed the connection");
    }
    if (kind == SSL_ERROR_SYSCALL) {
        return err_set(err, -EIO, "the connection broke: %s",
                       saved_errno ? strerror(saved_errno) : "it ended");
    }
    if (verdict != X509_V_OK) {
        return distrust(stream, verdict, err);
    }
    if (is_alert_on_certificate(reason)) {
        return alerted(reason, err);
    }
    if (reason == SSL_R_WRONG_VERSION_NUMBER) {
        return err_set(err, -EIO,
                       "TLS: the server answers without TLS (use its TLS port, or "
                       "redis:// for this one)");
    }
    return err_set(err, -EIO, "TLS: %s", library_reason());
}

int redis_stream_greet(struct redis_stream *stream, short *events, struct err *err)
{
    if (!stream->ssl) {
        return 0;
    }
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(stream->ssl);
    return result == 1 ? 0 : failure(stream, result, errno, events, err);
}

/* --- bytes --- */

static ssize_t plain_failure(struct err *err)
{
    if (errno == EAGAIN || errno == EINTR) {
        return -EAGAIN;
    }
    return err_set(err, -EIO, "the connection broke: %s", strerror(errno));
}

static int bounded(size_t len)
{
    return len > INT_MAX ? INT_MAX : (int)len;
}

ssize_t redis_stream_send(struct redis_stream *stream, const char *bytes, size_t len,
                          struct err *err)
{
    short events;
    if (!stream->ssl) {
        ssize_t n = send(stream->fd, bytes, len, MSG_NOSIGNAL);
        return n >= 0 ? n : plain_failure(err);
    }
    ERR_clear_error();
    errno = 0;
    int n = SSL_write(stream->ssl, bytes, bounded(len));
    return n > 0 ? n : failure(stream, n, errno, &events, err);
}

ssize_t redis_stream_recv(struct redis_stream *stream, char *bytes, size_t len,
                          struct err *err)
{
    short events;
    ASSERT(len >= REDIS_STREAM_BYTES);
    if (!stream->ssl) {
        ssize_t n = recv(stream->fd, bytes, len, 0);
        if (n == 0) {
            return err_set(err, -EIO, "the server closed the connection");
        }
        return n > 0 ? n : plain_failure(err);
    }
    ERR_clear_error();
    errno = 0;
    int n = SSL_read(stream->ssl, bytes, bounded(len));
    return n > 0 ? n : failure(stream, n, errno, &events, err);
}

bool redis_stream_may_have_more(const struct redis_stream *stream, ssize_t n, size_t len)
{
    /* one read gives one record of TLS, however many have come */
    return n > 0 && (stream->ssl || (size_t)n == len);
}

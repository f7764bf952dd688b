/* Design.
 *
 * Shards. A multi handle holds at most HTTP_SHARD_CALLS transfers, because libcurl walks
 * the handle's whole connection list to find an idle one. The first shard with room is
 * filled, so that few calls in flight reuse few connections. All shards share one epoll
 * descriptor; an event's tag names shard and socket.
 *
 * Groups. What libcurl remembers of TLS is in its multi handles (connections) and its
 * easy handles (sessions), and it does not tell all TLS options apart when it looks there
 * (wire/http_own_tls.c). So a group has both to itself, and what it made goes with it.
 *
 * At most one request per call. When a reused connection dies before any byte of an
 * answer, libcurl sends the request again on another one, up to five times, also a POST
 * that went out whole and may have been read: a second call nobody counts (no option
 * turns it off before 8.16). It runs CURLOPT_PREREQFUNCTION each time it is about to
 * send, on new and reused connections alike: the first time marks the call as sent, a
 * second time ends it, as UNCERTAIN. The race is rare: an idle connection that closes is
 * shut down when that shows (wire/http_sockets.h), and idle ones are dropped before
 * common servers drop theirs (IDLE_MAX_S).
 *
 * Resolving happens in libcurl's resolver thread. Without CURLOPT_QUICK_EXIT, giving up
 * on a name that hangs would wait for it and stop the whole loop. */
#include "wire/http_transfer.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"
#include "base/str.h"
#include "wire/http_lib.h"
#include "wire/http_message.h"
#include "wire/http_progress.h"
#include "wire/http_shards.h"
#include "wire/http_sockets.h"

enum {
    IDLE_MAX_S = 4,           /* node closes after 5 s, others later */
    DNS_CACHE_S = 30,         /* a target that moves is followed soon */
    KEEPALIVE_S = 30,         /* for calls that wait long on a dead peer */
    RECEIVE_BYTES = 8 * 1024, /* per transfer; answers are small */
};

struct transfer {
    CURL *easy;
    struct http_sockets *sockets; /* of all transfers */
    struct http_group *group;
    struct http_shard *shard;
    struct http_call *call; /* NULL: free */
    struct transfer *next;  /* in the free or the ended list */
    bool public_only;

    bool ended; /* out of its multi handle; result written */
    struct http_progress progress;

    /* the request, as libcurl borrows it */
    struct http_renamed renamed; /* for a group with a server_name */
    struct curl_slist connect;
    struct str lines; /* "name: value" and NUL, one after the other */
    struct curl_slist nodes[HTTP_LINES_MAX];
    char method[HTTP_METHOD_MAX]; /* last given to libcurl; "" for none */
    char error[CURL_ERROR_SIZE];
};

/* Calls that may share connections, and the handles that made them. */
struct http_group {
    struct transfers *owner;
    struct http_own_tls *tls; /* NULL: the common group's */
    struct transfer *free;    /* with those begun never more than ran at a time + 1 */
    int begun;                /* not yet recycled */
    bool left;                /* no call will begin any more */
};

struct transfers {
    struct http_sockets *sockets;
    struct http_shards shards;
    struct http_group common;
    char *ca_file;
    char *user_agent;
    struct transfer *ended_first;
    struct transfer *ended_last;
};

/* ---- the answer as it comes ---- */

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    return http_progress_header(&t->progress, line, size * n) ? size * n : 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    return http_progress_body(&t->progress, bytes, size * n) ? size * n : 0;
}

/* ---- where it connects, and when it sends ---- */

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    struct http_progress *p = &t->progress;
    char text[NI_MAXHOST];
    (void)purpose;
    if (p->sent) { /* only to send it a second time */
        p->resend = true;
        return CURL_SOCKET_BAD;
    }
    if (getnameinfo(&address->addr, (socklen_t)address->addrlen, text, sizeof(text), NULL,
                    0, NI_NUMERICHOST) != 0) {
        text[0] = '\0';
    }
    text[strcspn(text, "%")] = '\0'; /* fe80::1%eth0 */
    if (!http_progress_address(p, text, t->public_only)) {
        return CURL_SOCKET_BAD;
    }
    p->opened = true;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        p->socket_errno = errno;
        return CURL_SOCKET_BAD;
    }
    http_sockets_opened(t->sockets, fd);
    return fd;
}

static int on_close_socket(void *arg, curl_socket_t fd)
{
    http_sockets_close(arg, fd);
    return 0;
}

/* libcurl is about to send the request. The address is judged again: a connection that is
 * reused may have been opened for a pool that allows more. */
static int on_ready_to_send(void *arg, char *remote_ip, char *local_ip, int remote_port,
                            int local_port)
{
    struct transfer *t = arg;
    struct http_progress *p = &t->progress;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    if (p->sent) {
        p->resend = true;
        return CURL_PREREQFUNC_ABORT;
    }
    if (!http_progress_address(p, remote_ip, t->public_only)) {
        p->opened = false; /* nothing was opened for this call: refused, not unsent */
        return CURL_PREREQFUNC_ABORT;
    }
    p->sent = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- a transfer's handle ---- */

static void set_transport(CURL *easy)
{
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_NOPROGRESS, 1L);
    SET(easy, CURLOPT_QUICK_EXIT, 1L);
    SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(easy, CURLOPT_TCP_NODELAY, 1L);
    SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    SET(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
    SET(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_MAX_S);
    SET(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_CACHE_S);
    SET(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
}

static struct transfer *transfer_new(struct http_group *group)
{
    const struct transfers *transfers = group->owner;
    struct transfer *t = mem_zalloc(sizeof(*t));
    http_progress_init(&t->progress);
    str_init(&t->lines);
    str_init(&t->renamed.url);
    str_init(&t->renamed.connect);
    str_init(&t->renamed.host);
    t->group = group;
    t->easy = curl_easy_init();
    ASSERT(t->easy != NULL);
    t->sockets = transfers->sockets;
    http_lib_secure(t->easy, transfers->ca_file);
    if (group->tls != NULL) {
        http_own_tls_apply(group->tls, t->easy);
    }
    set_transport(t->easy);
    SET(t->easy, CURLOPT_USERAGENT, transfers->user_agent);
    SET(t->easy, CURLOPT_PRIVATE, t);
    SET(t->easy, CURLOPT_ERRORBUFFER, t->error);
    SET(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    SET(t->easy, CURLOPT_HEADERDATA, t);
    SET(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    SET(t->easy, CURLOPT_WRITEDATA, t);
    SET(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    SET(t->easy, CURLOPT_OPENSOCKETDATA, t);
    SET(t->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    SET(t->easy, CURLOPT_CLOSESOCKETDATA, transfers->sockets);
    SET(t->easy, CURLOPT_PREREQFUNCTION, on_ready_to_send);
    SET(t->easy, CURLOPT_PREREQDATA, t);
    return t;
}

static void transfer_free(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    http_progress_release(&t->progress);
    str_release(&t->lines);
    str_release(&t->renamed.url);
    str_release(&t->renamed.connect);
    str_release(&t->renamed.host);
    free(t);
}

static struct transfer *transfer_take(struct http_group *group)
{
    struct transfer *t = group->free;
    group->begun++;
    if (t == NULL) {
        return transfer_new(group);
    }
    group->free = t->next;
    return t;
}

/* ---- groups ---- */

static void group_release(struct http_group *group)
{
    while (group->free != NULL) {
        struct transfer *t = group->free;
        group->free = t->next;
        transfer_free(t);
    }
    http_shards_drop(&group->owner->shards, group);
    http_own_tls_free(group->tls);
}

struct http_group *transfers_group(struct transfers *transfers, struct http_own_tls *tls)
{
    struct http_group *group = mem_zalloc(sizeof(*group));
    group->owner = transfers;
    group->tls = tls;
    return group;
}

static void free_if_over(struct http_group *group)
{
    if (group->left && group->begun == 0) {
        group_release(group);
        free(group);
    }
}

void transfers_group_leave(struct http_group *group)
{
    if (group != NULL) {
        group->left = true;
        free_if_over(group);
    }
}

void transfers_recycle(void *transfer)
{
    struct transfer *t = transfer;
    struct http_group *group = t->group;
    t->call = NULL;
    t->ended = false;
    t->error[0] = '\0';
    http_progress_clear(&t->progress);
    str_clear(&t->lines);
    t->next = group->free;
    group->free = t;
    group->begun--;
    free_if_over(group);
}

/* ---- the request ---- */

/* The list is built in the transfer: libcurl only reads it. */
static void set_headers(struct transfer *t, const struct http_call *call,
                        const char *host)
{
    int n = http_request_lines(call, host, &t->lines);
    char *line = t->lines.data;
    for (int i = 0; i < n; i++) {
        t->nodes[i].data = line;
        t->nodes[i].next = i + 1 < n ? &t->nodes[i + 1] : NULL;
        line += strlen(line) + 1;
    }
    SET(t->easy, CURLOPT_HTTPHEADER, t->nodes);
}

static void set_method(struct transfer *t, const struct http_call *call)
{
    bool head = strcmp(call->method, "HEAD") == 0;
    SET(t->easy, CURLOPT_NOBODY, head ? 1L : 0L);
    if (call->body != NULL) {
        SET(t->easy, CURLOPT_POST, 1L);
        SET(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
        SET(t->easy, CURLOPT_POSTFIELDS, call->body);
    } else if (!head) {
        SET(t->easy, CURLOPT_HTTPGET, 1L);
    }
    if (strcmp(t->method, call->method) != 0) {
        SET(t->easy, CURLOPT_CUSTOMREQUEST, call->method);
        snprintf(t->method, sizeof(t->method), "%s", call->method);
    }
}

static bool refuse(struct http_call *call, const char *why)
{
    call->end = HTTP_END_REFUSED;
    snprintf(call->error, sizeof(call->error), "refused: %s", why);
    return false;
}

/* Where to, and as whom it is greeted. Returns the Host header when it is not the url's
 * host, else NULL. */
static const char *set_url(struct transfer *t, const struct http_call *call)
{
    bool renamed = http_own_tls_rename(t->group->tls, call->url, &t->renamed);
    t->connect.data = t->renamed.connect.data;
    SET(t->easy, CURLOPT_URL, renamed ? t->renamed.url.data : call->url);
    SET(t->easy, CURLOPT_CONNECT_TO, renamed ? &t->connect : NULL);
    return renamed ? t->renamed.host.data : NULL;
}

static void set_times(struct transfer *t, const struct http_call *call)
{
    int64_t timeout_ms = call->timeout_ms;
    int64_t connect_ms = call->connect_timeout_ms;
    if (call->ctx != NULL) {
        int64_t deadline_ms = ctx_deadline_ms(call->ctx);
        int64_t left_ms = deadline_ms - now_ms();
        if (deadline_ms != NOW_FOREVER && left_ms < timeout_ms) {
            timeout_ms = left_ms > 0 ? left_ms : 1; /* 0 would be for ever */
        }
    }
    if (connect_ms <= 0 || connect_ms > timeout_ms) {
        connect_ms = timeout_ms;
    }
    SET(t->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    SET(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
}

bool transfers_begin(struct transfers *transfers, struct http_group *group,
                     struct http_call *call, bool public_only)
{
    const char *why = http_request_refused(call);
    if (why != NULL) {
        return refuse(call, why);
    }
    struct transfer *t = transfer_take(group != NULL ? group : &transfers->common);
    t->call = call;
    t->public_only = public_only;
    http_progress_begin(&t->progress, call->answer_max);
    set_times(t, call);
    set_method(t, call);
    set_headers(t, call, set_url(t, call));

    struct http_shard *shard = http_shards_with_room(&transfers->shards, t->group);
    t->shard = shard;
    shard->running++;
    call->transfer = t;
    CURLMcode rc = curl_multi_add_handle(shard->multi, t->easy);
    ASSERT(rc == CURLM_OK);
    return true;
}

/* ---- the end ---- */

static enum http_failure failure_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return HTTP_FAILED_NOT;
    case CURLE_OPERATION_TIMEDOUT:
        return HTTP_FAILED_TIMEOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return HTTP_FAILED_REQUEST;
    case CURLE_COULDNT_RESOLVE_HOST:
        return HTTP_FAILED_RESOLVE;
    case CURLE_COULDNT_CONNECT:
        return HTTP_FAILED_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
        return HTTP_FAILED_TLS;
    case CURLE_GOT_NOTHING:
        return HTTP_FAILED_CLOSED;
    default:
        return HTTP_FAILED_OTHER;
    }
}

static void write_result(struct transfer *t, CURLcode code)
{
    if (code == CURLE_COULDNT_CONNECT && t->progress.socket_errno == 0) {
        long os_errno = 0;
        curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
        t->progress.socket_errno = (int)os_errno;
    }
    const char *text = t->error[0] != '\0' ? t->error : curl_easy_strerror(code);
    http_progress_end(&t->progress, failure_of(code), text, t->call);
}

static void transfer_end(struct transfer *t, CURLcode code)
{
    struct transfers *transfers = t->group->owner;
    write_result(t, code);
    curl_multi_remove_handle(t->shard->multi, t->easy);
    t->shard->running--;
    t->ended = true;
    t->next = NULL;
    if (transfers->ended_last == NULL) {
        transfers->ended_first = t;
    } else {
        transfers->ended_last->next = t;
    }
    transfers->ended_last = t;
}

struct http_call *transfers_next_ended(struct transfers *transfers)
{
    struct transfer *t = transfers->ended_first;
    if (t == NULL) {
        return NULL;
    }
    transfers->ended_first = t->next;
    if (t->next == NULL) {
        transfers->ended_last = NULL;
    }
    return t->call;
}

void transfers_abort(struct http_call *call)
{
    struct transfer *t = call->transfer;
    if (!t->ended) {
        transfer_end(t, CURLE_OPERATION_TIMEDOUT);
    }
}

/* ---- the shards' turn ---- */

static void shard_act(struct http_shard *shard, curl_socket_t fd, int what)
{
    int running = 0;
    int left = 0;
    ASSERT(curl_multi_socket_action(shard->multi, fd, what, &running) == CURLM_OK);
    for (;;) {
        CURLMsg *msg = curl_multi_info_read(shard->multi, &left);
        if (msg == NULL) {
            return;
        }
        if (msg->msg == CURLMSG_DONE) {
            char *transfer = NULL;
            CURLcode code = msg->data.result; /* msg is gone with its handle */
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &transfer);
            transfer_end((struct transfer *)(void *)transfer, code);
        }
    }
}

void transfers_on_event(struct transfers *transfers, uint64_t tag, uint32_t events)
{
    struct http_shard *shard = http_shards_of_tag(&transfers->shards, tag);
    if (!http_sockets_expected(transfers->sockets, (int)(uint32_t)tag) || shard == NULL) {
        return;
    }
    int what = ((events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
               ((events & EPOLLOUT) ? CURL_CSELECT_OUT : 0);
    if (events & (EPOLLERR | EPOLLHUP)) { /* let it read the error itself */
        what |= CURL_CSELECT_IN | CURL_CSELECT_OUT;
    }
    shard_act(shard, (curl_socket_t)(uint32_t)tag, what);
}

void transfers_run_timers(struct transfers *transfers)
{
    int64_t now = now_us();
    for (int i = 0; i < transfers->shards.count; i++) {
        struct http_shard *shard = transfers->shards.at[i];
        if (shard == NULL || shard->timer_us > now) {
            continue;
        }
        shard->timer_us = NOW_FOREVER;
        shard_act(shard, CURL_SOCKET_TIMEOUT, 0);
        if (shard->timer_us == NOW_FOREVER) {
            http_shard_ask_timer(shard);
        }
    }
}

int64_t transfers_next_timer_us(const struct transfers *transfers)
{
    int64_t next = NOW_FOREVER;
    for (int i = 0; i < transfers->shards.count; i++) {
        const struct http_shard *shard = transfers->shards.at[i];
        if (shard != NULL && shard->timer_us < next) {
            next = shard->timer_us;
        }
    }
    return next;
}

/* ---- from start to end ---- */

static void curl_start(void)
{
    http_lib_begin();
}

static pthread_once_t curl_started = PTHREAD_ONCE_INIT;

struct transfers *transfers_new(const struct transfers_options *options)
{
    MUST(pthread_once(&curl_started, curl_start));
    struct transfers *transfers = mem_zalloc(sizeof(*transfers));
    transfers->sockets = http_sockets_new(options->epoll_fd);
    transfers->ca_file = mem_strdup(options->ca_file);
    transfers->user_agent = mem_strdup(options->user_agent);
    transfers->shards.sockets = transfers->sockets;
    transfers->common.owner = transfers;
    return transfers;
}

void transfers_free(struct transfers *transfers)
{
    group_release(&transfers->common);
    http_shards_release(&transfers->shards);
    http_sockets_free(transfers->sockets);
    free(transfers->ca_file);
    free(transfers->user_agent);
    free(transfers);
}

const char *http_library_version(void)
{
    return curl_version_info(CURLVERSION_NOW)->version;
}

const char *http_library_tls(void)
{
    const char *name = curl_version_info(CURLVERSION_NOW)->ssl_version;
    return name ? name : "none";
}

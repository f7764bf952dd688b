/* healthcheck: one GET to the worker of this host, so that an image needs no curl. */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "../commands.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/now.h"
#include "wire/http.h"

enum { HEALTHCHECK_TIMEOUT_MS = 2000 };

const struct flag healthcheck_flags[] = {
    {"port", 0, "PORT", "Ask this port of 127.0.0.1, whatever http.listen says"},
    {"ready", 0, NULL, "Ask /readyz instead: does it have work to do or a right to idle"},
    {"timeout", 0, "TIME", "How long to wait (2s)"},
    {.name = NULL},
};

/* Where to ask: a listener on all addresses is asked on loopback. */
static void add_origin(const char *listen, struct str *url)
{
    const char *colon = strrchr(listen, ':');
    size_t len = colon != NULL ? (size_t)(colon - listen) : 0;
    bool any4 = colon == NULL || len == 0 ||
                (len == 7 && memcmp(listen, "0.0.0.0", 7) == 0) ||
                (len == 1 && listen[0] == '*');
    bool any6 = len == 4 && memcmp(listen, "[::]", 4) == 0;
    str_add(url, "http://");
    if (any4) {
        str_add(url, "127.0.0.1");
    } else if (any6) {
        str_add(url, "[::1]");
    } else {
        str_put(url, listen, len);
    }
    str_add(url, colon != NULL ? colon : listen);
}

/* The URL to ask. Returns 0 or an exit code after saying why. */
static int make_url(const struct command_line *line, struct str *url)
{
    const char *port = flag_value(line, "port");
    int64_t number;
    if (port != NULL && text_parse_int(port, 1, 65535, &number) != 0) {
        return command_misused(line, "--port: \"%s\" is no port", port);
    }
    if (port != NULL) {
        str_addf(url, "http://127.0.0.1:%s", port);
    } else {
        int code;
        struct config *config = command_load_or_say(line, NULL, &code);
        if (config == NULL) {
            return code;
        }
        bool off = strcmp(config->http_listen, "off") == 0;
        add_origin(config->http_listen, url);
        config_free(config);
        if (off) {
            fprintf(stderr, "http.listen is off: nothing can be asked\n");
            return EXIT_CONFIG;
        }
    }
    str_add(url, flag_is_set(line, "ready") ? "/readyz" : "/livez");
    return 0;
}

struct probe {
    struct http_call call;
    sem_t over;
    char answer[256];
};

static void probe_done(struct http_call *call)
{
    struct probe *probe = call->arg;
    int len = call->answer_len < sizeof probe->answer - 1 ? (int)call->answer_len
                                                          : (int)sizeof probe->answer - 1;
    snprintf(probe->answer, sizeof probe->answer, "%.*s", len,
             call->answer != NULL ? call->answer : "");
    probe->answer[strcspn(probe->answer, "\n")] = '\0';
    MUST(sem_post(&probe->over));
}

static int ask(const char *url, int64_t timeout_ms)
{
    const struct http_options options = {.in_flight = 1,
                                         .user_agent = "sluice-healthcheck"};
    struct err err = ERR_INIT;
    struct http *http = http_start(&options, &err);
    if (http == NULL) {
        fprintf(stderr, "healthcheck: %s\n", err.text);
        return EXIT_UNAVAILABLE;
    }
    struct probe probe = {.call = {.pool = http_pool_new(http, "self", 1, false),
                                   .method = "GET",
                                   .url = url,
                                   .timeout_ms = timeout_ms,
                                   .connect_timeout_ms = timeout_ms,
                                   .done = probe_done}};
    probe.call.arg = &probe;
    MUST(sem_init(&probe.over, 0, 0));
    http_submit(http, &probe.call);
    while (sem_wait(&probe.over) != 0) {
        /* a signal; the call ends by its own timeout */
    }
    http_stop(http);
    MUST(sem_destroy(&probe.over));
    if (probe.call.end != HTTP_END_ANSWERED) {
        fprintf(stderr, "%s: %s\n", url, probe.call.error);
        return EXIT_UNAVAILABLE;
    }
    bool ok = probe.call.status >= 200 && probe.call.status < 300;
    fprintf(ok ? stdout : stderr, "%s: %d %s\n", url, probe.call.status, probe.answer);
    return ok ? 0 : EXIT_NO;
}

int healthcheck_run(const struct command_line *line)
{
    const char *timeout = flag_value(line, "timeout");
    int64_t timeout_ms = HEALTHCHECK_TIMEOUT_MS;
    struct str url;
    if (timeout != NULL &&
        (now_parse_duration(timeout, &timeout_ms) != 0 || timeout_ms == 0)) {
        return command_misused(line, "--timeout: \"%s\" is no duration such as 2s",
                               timeout);
    }
    str_init(&url);
    int code = make_url(line, &url);
    if (code == 0) {
        code = ask(url.data, timeout_ms);
    }
    str_release(&url);
    return code;
}

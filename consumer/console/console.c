/* console: a page for the whole fleet, and its API. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../commands.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "console_api.h"
#include "page.h"
#include "reply.h"
#include "stream.h"

enum {
    PORT_TRIES = 100,
    CONNECTIONS_MAX = 256,
    CLIENTS_MAX = 224, /* of them may listen; the rest is for asking */
    RING_BYTES = 4 << 20,
    BODY_MAX = 16 << 10,
    IDLE_TIMEOUT_S = 10,
    GOODBYE_MS = 1000,
};

const struct flag console_flags[] = {
    {"listen", 0, "HOST:PORT", "Where to serve, instead of console.listen"},
    {"read-only", 0, NULL, "Only show, whatever console.read_only says"},
    {"token-file", 0, "FILE",
     "The token that actions need, instead of console.token_file"},
    {.name = NULL},
};

struct console {
    struct config *config;
    struct metrics *metrics;
    struct guard *guard;
    struct jobs *jobs;
    struct redriver *redriver;
    struct workflow *workflow;
    struct kube_reader *kube;
    struct stream *stream;
    struct httpd *httpd;
    struct console_api api;
};

/* --- serving --- */

static void serve_metrics(struct console *c, struct httpd_request *request)
{
    static const char *const headers[] = {"content-type",
                                          "text/plain; version=0.0.4; charset=utf-8",
                                          NULL};
    struct str out;
    str_init(&out);
    stream_collect(c->stream);
    metrics_write(c->metrics, &out);
    httpd_reply(request, 200, headers, out.data, out.len);
    str_release(&out);
}

static void serve(void *arg, struct httpd_request *request)
{
    struct console *c = arg;
    const char *path = httpd_path(request);
    if (page_serve(request) || stream_serve(c->stream, request) ||
        console_api_serve(&c->api, request)) {
        return;
    }
    if (strcmp(path, "/metrics") == 0 && reply_is_get(request)) {
        serve_metrics(c, request);
    } else if (strcmp(path, "/livez") == 0) {
        httpd_reply(request, 200, NULL, "ok\n", 3);
    } else {
        reply_error(request, 404, "there is nothing here", "the page is at /");
    }
}

static void on_aborted(void *arg, struct httpd_request *request)
{
    struct console *c = arg;
    jobs_abort(c->jobs, request);
}

static int start_serving(struct console *c, const char *listen, struct err *err)
{
    int64_t port = 0;
    const char *colon = strrchr(listen, ':');
    if (!colon || text_parse_int(colon + 1, 0, 65535, &port)) {
        return err_set(err, -EINVAL, "console.listen: \"%s\" is not host:port", listen);
    }
    char *host = mem_strndup(listen, (size_t)(colon - listen));
    const struct httpd_options options = {.address = host,
                                          .port = (int)port,
                                          .port_tries = port ? PORT_TRIES : 0,
                                          .connections_max = CONNECTIONS_MAX,
                                          .body_max = BODY_MAX,
                                          .idle_timeout_s = IDLE_TIMEOUT_S,
                                          .threads = 1,
                                          .handle = serve,
                                          .aborted = on_aborted,
                                          .arg = c};
    c->httpd = httpd_start(&options, err);
    if (c->httpd) {
        if (port && httpd_port(c->httpd) != port) {
            LOG(LOG_WARN, "console.listen is taken, here is the next free port",
                LI("taken", port), LEND);
        }
        LOG(LOG_INFO, "console", LS("host", host), LI("port", httpd_port(c->httpd)),
            LS("acts",
               guard_lets_act(c->guard) ? "yes, with the token" : "no, read-only"),
            LS("reads", guard_wants_tokens(c->guard) ? "with a token" : "open"), LEND);
    }
    free(host);
    return c->httpd ? 0 : err->code;
}

/* --- start and stop --- */

/* A console works without the targets' secrets; the status of a workflow tells whom it
 * could not ask. */
static void load_secrets(struct config *config)
{
    struct err err = ERR_INIT;
    if (config_load_secrets(config, environ, &err)) {
        LOG(LOG_INFO, "not every secret is here", LS("why", err.text), LEND);
    }
}

static int console_start(struct console *c, struct err *err)
{
    load_secrets(c->config);
    c->metrics = metrics_new();
    const struct guard_options guard = {.config = c->config,
                                        .metrics = c->metrics,
                                        .console = true};
    c->guard = guard_new(&guard, err);
    if (!c->guard) {
        return -EINVAL;
    }
    c->jobs = jobs_start(c->config, err);
    if (!c->jobs) {
        return -EINVAL;
    }
    const struct stream_options stream = {.config = c->config,
                                          .metrics = c->metrics,
                                          .clients_max = CLIENTS_MAX,
                                          .ring_bytes_max = RING_BYTES,
                                          .ask_kafka = true,
                                          .guard = c->guard};
    c->stream = stream_start(&stream);
    c->redriver = redriver_start(c->config);
    c->workflow = workflow_start(c->config, err);
    if (!c->workflow) {
        return -EINVAL;
    }
    c->kube = kube_reader_start(c->config);
    c->api = (struct console_api){c->config,   c->guard,    c->jobs,
                                  c->redriver, c->workflow, c->kube};
    return start_serving(c, c->config->console.listen, err);
}

static void console_stop(struct console *c)
{
    if (c->httpd) {
        stream_goodbye(c->stream, now_ms() + GOODBYE_MS);
        httpd_stop(c->httpd);
    }
    if (c->jobs) {
        jobs_stop(c->jobs);
    }
    workflow_stop(c->workflow);
    kube_reader_stop(c->kube);
    if (c->redriver) {
        redriver_stop(c->redriver);
    }
    if (c->stream) {
        stream_stop(c->stream);
    }
    guard_free(c->guard);
    metrics_free(c->metrics);
}

static sigset_t our_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

static void override(char **text, const char *value)
{
    if (value) {
        free(*text);
        *text = mem_strdup(value);
    }
}

/* What the flags say, and the secrets that are ours. */
static int complete(const struct command_line *line, struct config *config,
                    struct err *err)
{
    override(&config->console.listen, flag_value(line, "listen"));
    override(&config->console.token_file, flag_value(line, "token-file"));
    if (flag_value(line, "token-file")) {
        config->console.read_only = false;
    }
    if (flag_is_set(line, "read-only")) {
        config->console.read_only = true;
    }
    int rc = config_load_access(config, environ, err);
    return rc ? rc : config_load_tokens(config, environ, err);
}

static int load(const struct command_line *line, struct config **config)
{
    int code;
    struct err err = ERR_INIT;
    *config = command_load_or_say(line, NULL, &code);
    if (!*config) {
        return code;
    }
    if (complete(line, *config, &err)) {
        config_free(*config);
        return command_failed(line, -EINVAL, &err);
    }
    return 0;
}

/* --- SIGHUP: other tokens and roles --- */

static const char *first_fault(const struct config_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        if (report->items[i].severity == CONFIG_ERROR) {
            return report->items[i].text;
        }
    }
    return "";
}

/* Who may ask follows the file; the rest of the configuration is what the console was
 * started with. */
static void reload_access(struct console *c, const struct command_line *line)
{
    struct config_report report;
    struct err err = ERR_INIT;
    struct config *config = command_load(line, NULL, &report);
    if (!config) {
        err_set(&err, -EINVAL, "%s", first_fault(&report));
    } else if (complete(line, config, &err) == 0 &&
               guard_set(c->guard, config, &err) == 0) {
        stream_look_again(c->stream);
        LOG(LOG_INFO, "reloaded", LI("tokens", (int64_t)config->access.token_count),
            LI("roles", (int64_t)config->access.role_count), LEND);
    }
    if (err.code) {
        LOG(LOG_ERROR, "reload refused, the old tokens and roles stay",
            LS("why", err.text), LEND);
    }
    config_report_release(&report);
    config_free(config);
}

static int wait_for_stop(struct console *c, const struct command_line *line,
                         const sigset_t *signals)
{
    int number;
    MUST(sigwait(signals, &number));
    while (number == SIGHUP) {
        reload_access(c, line);
        MUST(sigwait(signals, &number));
    }
    return number;
}

int console_run(const struct command_line *line)
{
    struct console console = {0};
    struct err err = ERR_INIT;
    int code = load(line, &console.config);
    if (code) {
        return code;
    }
    sigset_t signals = our_signals();
    MUST(pthread_sigmask(SIG_BLOCK, &signals, NULL)); /* before any thread starts */
    log_setup(console.config->log_level, console.config->log_format, NULL);
    int rc = console_start(&console, &err);
    if (rc) {
        code = command_failed(line, rc, &err);
    } else {
        LOG(LOG_INFO, "stopping", LI("signal", wait_for_stop(&console, line, &signals)),
            LEND);
    }
    console_stop(&console);
    config_free(console.config);
    return code;
}

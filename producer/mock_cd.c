/* sluice-producer mock-cd */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/str.h"
#include "commands.h"
#include "flags.h"
#include "mock_server.h"
#include "wire/crypto.h"

const struct flag mock_cd_flags[] = {
    {"listen", 0, "HOST:PORT", "Where to listen (127.0.0.1:0, any free port)"},
    {"latency", 0, "TIME[..TIME]", "How long an answer takes (0)"},
    {"fail", 0, "SHARE", "Calls that fail: 2% or 0.02"},
    {"status", 0, "N", "Status of calls that do not fail (202)"},
    {"fail-status", 0, "N", "Status of calls that fail (503)"},
    {"retry-after", 0, "TIME", "Retry-After of all but 2xx: 5s, or date:5s as a date"},
    {"hang", 0, "SHARE", "Calls that are never answered"},
    {"reset", 0, "SHARE", "Calls whose connection is reset"},
    {"slow-body", 0, "SHARE", "Calls answered with a body that never ends"},
    {"byte-every", 0, "TIME", "Pace of such a body (1s a byte)"},
    {"seed", 0, "N", "Chance that repeats: same seed, same fate of each key and attempt"},
    {"threads", 0, "N", "Loops that serve (2)"},
    {"log", 0, "FILE", "Append a JSON line per call"},
    {"log-header", 0, "NAME", "Write this request header there too"},
    {"json", 0, NULL, "Say where it listens as JSON"},
    {.name = NULL},
};

static int read_mode(const struct command_line *line, struct mock_mode *mode)
{
    static const char *const names[] = {"latency", "fail",        "status",
                                        "hang",    "fail-status", "retry-after",
                                        "reset",   "slow-body",   "byte-every"};
    struct err err = ERR_INIT;
    mock_mode_init(mode);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = flag_value(line, names[i]);
        if (text && mock_mode_set(mode, names[i], text, &err) != 0) {
            return command_misused(line, "--%s", err.text);
        }
    }
    return 0;
}

/* "127.0.0.1:8081", "[::1]:0". host: out, returns owned. */
static int read_listen(const struct command_line *line, char **host, int *port)
{
    const char *text = flag_value(line, "listen");
    int64_t number = 0;
    text = text ? text : "127.0.0.1:0";
    const char *colon = strrchr(text, ':');
    if (!colon || text_parse_int(colon + 1, 0, 65535, &number) != 0) {
        return command_misused(line, "--listen \"%.80s\": expected HOST:PORT", text);
    }
    bool bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    *host = bracketed ? mem_strndup(text + 1, (size_t)(colon - text - 2))
                      : mem_strndup(text, (size_t)(colon - text));
    *port = (int)number;
    return 0;
}

static int read_options(const struct command_line *line,
                        struct mock_server_options *options, char **host)
{
    static const struct option seed_row = {.key = "seed",
                                           .type = OPTION_INT,
                                           .min = 0,
                                           .max = INT64_MAX};
    static const struct option threads_row = {.key = "threads",
                                              .type = OPTION_INT,
                                              .initial = "2",
                                              .min = 1,
                                              .max = 64};
    struct option_value seed;
    struct option_value threads;
    int rc = read_mode(line, &options->mode);
    rc = rc ? rc : flags_read(line, &seed_row, &seed);
    rc = rc ? rc : flags_read(line, &threads_row, &threads);
    rc = rc ? rc : read_listen(line, host, &options->port);
    if (rc != 0) {
        return rc;
    }
    options->address = *host;
    options->seed =
        flag_is_set(line, "seed") ? (uint64_t)seed.number : crypto_random_u64() % 1000000;
    options->threads = (int)threads.number;
    options->log_path = flag_value(line, "log");
    options->log_header = flag_value(line, "log-header");
    return 0;
}

static void allow_many_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void say_where(const struct command_line *line, const char *host,
                      const struct mock_server_options *options, int port)
{
    struct str mode;
    str_init(&mode);
    bool v6 = strchr(host, ':') != NULL;
    struct str url;
    str_init(&url);
    str_addf(&url, "http://%s%s%s:%d", v6 ? "[" : "", host, v6 ? "]" : "", port);
    if (flag_is_set(line, "json")) {
        printf("{\"listen\":\"%s\",\"port\":%d,\"seed\":%llu}\n", url.data, port,
               (unsigned long long)options->seed);
    } else {
        mock_mode_describe(&options->mode, &mode);
        printf("mock-cd listens on %s (%s, seed %llu)\n", url.data, mode.data,
               (unsigned long long)options->seed);
    }
    fflush(stdout);
    str_release(&mode);
    str_release(&url);
}

static void say_summary(struct mock_stats *stats)
{
    struct json_object *doc = mock_stats_json(stats, false);
    fprintf(stderr,
            "mock-cd: %lld calls, %lld accepted, %lld keys, %lld of them called "
            "more than once\n",
            (long long)json_object_get_int64(json_at(doc, "/calls")),
            (long long)json_object_get_int64(json_at(doc, "/accepted")),
            (long long)json_object_get_int64(json_at(doc, "/keys")),
            (long long)json_object_get_int64(json_at(doc, "/keys_called_twice")));
    json_free(doc);
}

static int exit_code(const struct mock_server_options *options, const struct err *err)
{
    if (err->code == -EACCES) {
        return EXIT_REFUSED;
    }
    if (err->code == -EINVAL) {
        return EXIT_USAGE;
    }
    return options->log_path && text_starts(err->text, options->log_path)
               ? EXIT_CANT_CREATE
               : EXIT_UNAVAILABLE;
}

int mock_cd_run(const struct command_line *line)
{
    struct mock_server_options options = {0};
    struct err err = ERR_INIT;
    char *host = NULL;
    int rc = read_options(line, &options, &host);
    if (rc != 0) {
        return rc;
    }
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    MUST(pthread_sigmask(SIG_BLOCK, &stop, NULL)); /* before any thread is made */
    allow_many_descriptors();
    struct mock_server *server = mock_server_start(&options, &err);
    if (!server) {
        fprintf(stderr, "sluice-producer: %s\n", err.text);
        rc = exit_code(&options, &err);
        free(host);
        return rc;
    }
    ASSERT(host);
    say_where(line, host, &options, mock_server_port(server));
    int number;
    MUST(sigwait(&stop, &number));
    say_summary(mock_server_stats(server));
    mock_server_stop(server);
    free(host);
    return 0;
}

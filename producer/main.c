/* sluice-producer: puts CI-success events on the topic, and what one needs around that.
 */
#include <signal.h>
#include <stdio.h>

#include "base/command.h"
#include "commands.h"
#include "wire/crypto.h"
#include "wire/httpd.h"
#include "wire/json.h"

static int version_run(const struct command_line *line)
{
    if (flag_is_set(line, "json")) {
        printf("{\"version\":\"%s\",\"json-c\":\"%s\",\"libmicrohttpd\":\"%s\","
               "\"openssl\":\"%s\"}\n",
               SLUICE_VERSION, json_library_version(), httpd_library_version(),
               crypto_library_version());
    } else {
        printf("sluice-producer %s (json-c %s, libmicrohttpd %s, %s)\n", SLUICE_VERSION,
               json_library_version(), httpd_library_version(), crypto_library_version());
    }
    return 0;
}

static const struct flag no_flags[] = {
    {.name = NULL},
};
static const struct flag version_flags[] = {
    {"json", 0, NULL, "As JSON"},
    {.name = NULL},
};

static const struct command commands[] = {
    {.name = "mock-cd",
     .summary = "Be a CD system to aim at, well behaved or not",
     .details =
         "Answers any call with 202 unless told otherwise. GET /stats is the "
         "account: calls by\nidempotency key (?keys=all lists them all), by status, "
         "and the largest number in any 0.1 s,\n1 s and 10 s. POST /control changes "
         "the mode while it runs: {\"latency_ms\":120,\"fail\":0.02}.\nPOST /reset "
         "clears the account.",
     .flags = mock_cd_flags,
     .run = mock_cd_run},
    {.name = "version",
     .summary = "Print the version",
     .flags = version_flags,
     .run = version_run},
    {.name = "help", .words = "[COMMAND]", .words_max = 2, .summary = "Say more"},
    {.name = NULL},
};

static const struct program program = {
    .name = "sluice-producer",
    .summary = "Publish CI-success events to Kafka, and try things out.",
    .commands = commands,
    .flags = no_flags,
};

int main(int argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    return program_main(&program, argc, argv);
}

/* sluice-producer: puts CI-success events on the topic, and what one needs around that.
 */
#include <signal.h>
#include <stdio.h>

#include "base/command.h"
#include "base/completion.h"
#include "base/log.h"
#include "base/manual.h"
#include "commands.h"
#include "wire/crypto.h"
#include "wire/httpd.h"
#include "wire/json.h"
#include "wire/kafka.h"

static int version_run(const struct command_line *line)
{
    if (flag_is_set(line, "json")) {
        printf("{\"version\":\"%s\",\"librdkafka\":\"%s\",\"json-c\":\"%s\","
               "\"libmicrohttpd\":\"%s\","
               "\"openssl\":\"%s\"}\n",
               SLUICE_VERSION, kafka_library_version(), json_library_version(),
               httpd_library_version(), crypto_library_version());
    } else {
        printf("sluice-producer %s (librdkafka %s, json-c %s, libmicrohttpd %s, %s)\n",
               SLUICE_VERSION, kafka_library_version(), json_library_version(),
               httpd_library_version(), crypto_library_version());
    }
    return 0;
}

static int manual_run(const struct command_line *line)
{
    manual_print(line->program, SLUICE_VERSION, "sluice-consumer(1), sluice.yaml(5)",
                 stdout);
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
    {.name = "publish",
     .words = "[FILE|-]",
     .words_max = 1,
     .summary = "Publish an event from flags or the CI environment, or JSON lines",
     .details =
         "Inside GitHub Actions, GitLab CI, Jenkins, Tekton and "
         "other "
         "CI with CI=true\nand CI_COMMIT_SHA the fields come from the environment; flags "
         "win. Without --id the id is\nderived from repo, commit, pipeline and run, so "
         "publishing again is a duplicate, not a second\ndeploy. Exits 0 only when the "
         "broker has acknowledged. Lines are sent as they are, or converted\nwhen "
         "--format "
         "is given.\n\ncdevents are CDEvents 0.5 in CloudEvents' binary mode: "
         "artifact.published with an image,\nelse pipelinerun.finished. cloudevents is "
         "structured mode around the flat object.",
     .flags = publish_flags,
     .run = publish_run},
    {.name = "simulate",
     .summary = "Publish made-up events at a rate",
     .details = "The events hang on --seed and --run-id alone. Ends after --for or "
                "--count or at Ctrl-C, waits\nfor the acknowledgements, and exits 0 only "
                "when all came.",
     .flags = simulate_flags,
     .run = simulate_run},
    {.name = "validate",
     .words = "[FILE...]",
     .words_max = COMMAND_WORDS_MAX,
     .summary = "Check events offline, every fault with its JSON pointer",
     .details = "A file is one JSON document, or one a line; without a file, standard "
                "input. Exits 65 when\nthere is a fault.",
     .flags = validate_flags,
     .run = validate_run},
    {.name = "topics ensure",
     .summary = "Create the source, retry and dead-letter topics unless they are there",
     .details = "<topic>, <topic>.<group>.retry.<delay> and <topic>.<group>.dlq. Waits "
                "until they can be seen.",
     .flags = topics_ensure_flags,
     .run = topics_ensure_run},
    {.name = "topics list",
     .summary = "Show these topics; exits 1 when one is missing",
     .flags = topics_list_flags,
     .run = topics_list_run},
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
    {.name = "completion",
     .words = "bash|zsh|fish",
     .words_max = 1,
     .summary = "Print a completion script for a shell",
     .details =
         "sluice-producer completion bash > /etc/bash_completion.d/sluice-producer",
     .run = completion_run},
    {.name = "manual",
     .details = "What `make man` turns into manual pages.",
     .run = manual_run},
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
    log_setup(LOG_ERROR, LOG_TEXT, NULL); /* what matters is said by the commands */
    int code = program_main(&program, argc, argv);
    bool written = fflush(stdout) == 0 && !ferror(stdout); /* a full disk is an error */
    return written || code != 0 ? code : EXIT_IO;
}

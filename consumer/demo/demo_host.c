/* demo-broker: the process that hosts the demo's Kafka. A process of its own, so that no
 * worker's end takes the broker along. */
#include "../commands.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "wire/kafka_mock.h"

enum { PARTITIONS_MAX = 1000 };

/* "ci.succeeded:6" */
static int make_topic(struct kafka_mock *mock, const struct command_line *line,
                      const char *word)
{
    const char *colon = strrchr(word, ':');
    int64_t partitions;
    if (!colon || text_parse_int(colon + 1, 1, PARTITIONS_MAX, &partitions) != 0) {
        return command_misused(line, "\"%s\" is not TOPIC:PARTITIONS", word);
    }
    char *name = mem_strndup(word, (size_t)(colon - word));
    kafka_mock_topic(mock, name, (int)partitions);
    free(name);
    return 0;
}

int demo_broker_run(const struct command_line *line)
{
    struct err err = ERR_INIT;
    sigset_t stop;
    int code = 0;
    int number;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    MUST(pthread_sigmask(SIG_BLOCK, &stop, NULL)); /* before any thread is made */
    log_setup(LOG_WARN, LOG_AUTO, NULL);
    struct kafka_mock *mock = kafka_mock_open(1, &err);
    if (!mock) {
        fprintf(stderr, "%s: %s\n", line->program->name, err.text);
        return EXIT_UNAVAILABLE;
    }
    for (size_t i = 0; i < line->word_count && code == 0; i++) {
        code = make_topic(mock, line, line->words[i]);
    }
    if (code == 0) {
        printf("bootstrap %s\n", kafka_mock_bootstrap(mock));
        fflush(stdout);
        MUST(sigwait(&stop, &number));
    }
    kafka_mock_close(mock);
    return code;
}

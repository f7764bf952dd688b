/* Hosts librdkafka's mock cluster in a process of its own, for the tests.
 *
 * Says "bootstrap HOST:PORT" on stdout, then obeys one line of stdin each and answers
 * "ok": `topic NAME PARTITIONS`, `down BROKER`, `up BROKER`. Ends with its stdin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/kafka_mock.h"

enum { LINE_MAX_BYTES = 512, PARTITIONS_MAX = 1000, BROKERS_MAX = 3 };

/* "NAME NUMBER" at text. Returns false when it is something else. */
static bool split(char *text, int64_t max, int64_t *number)
{
    char *space = strrchr(text, ' ');
    if (space == NULL) {
        return false;
    }
    *space = '\0';
    return text_parse_int(space + 1, 1, max, number) == 0;
}

static bool obey(struct kafka_mock *mock, char *line)
{
    int64_t number;
    if (text_starts(line, "topic ") && split(line, PARTITIONS_MAX, &number)) {
        kafka_mock_topic(mock, line + strlen("topic "), (int)number);
        return true;
    }
    bool up = text_starts(line, "up ");
    if ((up || text_starts(line, "down ")) && split(line, BROKERS_MAX, &number)) {
        kafka_mock_broker(mock, (int)number, up);
        return true;
    }
    return false;
}

int main(void)
{
    struct err err = ERR_INIT;
    struct kafka_mock *mock = kafka_mock_open(1, &err);
    if (mock == NULL) {
        fprintf(stderr, "mock_kafka: %s\n", err.text);
        return EXIT_FAILURE;
    }
    printf("bootstrap %s\n", kafka_mock_bootstrap(mock));
    fflush(stdout);
    char line[LINE_MAX_BYTES];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        printf("%s\n", obey(mock, line) ? "ok" : "what?");
        fflush(stdout);
    }
    kafka_mock_close(mock);
    return EXIT_SUCCESS;
}

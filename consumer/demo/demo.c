/* sluice-consumer demo: the whole system in one command. A mock Kafka, a private Redis, a
 * CD target, consumers that are the real worker, and events; all in child processes. */
#include "demo.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "base/option.h"

enum {
    APPS_MIN = 40,
    APPS_MAX = 10000,
    PART_START_MS = 5000,
    GROUP_START_MS = 20000,
    LOAD_END_MS = 5000,
    SETTLE_MS = 45000, /* retry.budget and the longest tier, and a little */
    SETTLE_SAY_MS = 3000,
    COUNT_MS = 3000,
    DRAIN_MS = 21000, /* stop.grace of the configuration, and a little */
    PART_END_MS = 2000,
    TURN_MS = 20,
    COUNT_EVERY_MS = 250,
};

const struct flag demo_flags[] = {
    {"rate", 0, "RATE", "Events published: 20/s, 600/m (20/s)"},
    {"consumers", 0, "N", "Consumers, each a process (3)"},
    {"fail", 0, "SHARE", "Calls the target fails: 2% or 0.02 (2%)"},
    {"latency", 0, "TIME[..TIME]", "How long the target takes to answer (120ms)"},
    {"for", 0, "TIME", "End after that long; else at Ctrl-C"},
    {"seed", 0, "N", "Chance that repeats"},
    {.name = NULL},
};

/* --- flags --- */

/* Returns 0 or EXIT_USAGE after saying why. */
static int read_flag(const struct command_line *line, const struct option *row,
                     struct option_value *value)
{
    struct err err = ERR_INIT;
    const char *text = flag_value(line, row->key);
    *value = (struct option_value){0};
    if (!text && !row->initial) {
        return 0;
    }
    if (option_read(row, text ? text : row->initial, value, &err)) {
        return command_misused(line, "--%s: %s", row->key, err.text);
    }
    return 0;
}

static int read_flags(const struct command_line *line, struct demo_flags *flags)
{
    static const struct option rate = {.key = "rate",
                                       .type = OPTION_RATE,
                                       .initial = "20/s"};
    static const struct option consumers = {.key = "consumers",
                                            .type = OPTION_INT,
                                            .initial = "3",
                                            .min = 1,
                                            .max = DEMO_CONSUMERS_MAX};
    static const struct option span = {.key = "for",
                                       .type = OPTION_DURATION,
                                       .min = 1000,
                                       .max = 24LL * 3600 * 1000};
    static const struct option seed = {.key = "seed",
                                       .type = OPTION_INT,
                                       .min = 0,
                                       .max = INT64_MAX};
    struct option_value values[4];
    if (flag_is_set(line, "config") || flag_is_set(line, "set") ||
        flag_is_set(line, "property")) {
        return command_misused(line, "the demo writes its own configuration");
    }
    int code = read_flag(line, &rate, &values[0]);
    code = code ? code : read_flag(line, &consumers, &values[1]);
    code = code ? code : read_flag(line, &span, &values[2]);
    code = code ? code : read_flag(line, &seed, &values[3]);
    const char *text = flag_value(line, "rate");
    const char *fail = flag_value(line, "fail");
    const char *latency = flag_value(line, "latency");
    *flags = (struct demo_flags){
        .rate = text ? text : rate.initial,
        .rate_per_s = code ? 0 : values[0].real,
        .apps = code || 2 * values[0].real < APPS_MIN ? APPS_MIN
                : 2 * values[0].real > APPS_MAX       ? APPS_MAX
                                                      : (int)(2 * values[0].real),
        .consumers = code ? 0 : (int)values[1].number,
        .fail = fail ? fail : "2%",
        .latency = latency ? latency : "120ms",
        .span = flag_value(line, "for"),
        .seed = flag_value(line, "seed"),
    };
    return code;
}

/* --- waiting --- */

/* Nobody hears us any more (`| head`): the same as Ctrl-C. */
static void check_output(struct demo *d)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        d->signals = d->signals > 0 ? d->signals : 1;
        d->signal_number = d->signal_number ? d->signal_number : SIGPIPE;
    }
}

enum happened { HAPPENED, TIMED_OUT, PART_ENDED, SIGNALLED };

/* Turn until it is so, at most until then; a part's end, or more signals than there were,
 * come first. */
static enum happened wait_for(struct demo *d, bool (*is_so)(const struct demo *d),
                              int64_t until_ms)
{
    int signals = d->signals;
    for (;;) {
        if (d->culprit) {
            return PART_ENDED;
        }
        if (is_so(d)) {
            return HAPPENED;
        }
        if (d->signals > signals) {
            return SIGNALLED;
        }
        int64_t now = now_ms();
        if (now >= until_ms) {
            return TIMED_OUT;
        }
        children_turn(&d->children, now + TURN_MS < until_ms ? now + TURN_MS : until_ms);
        check_output(d);
    }
}

/* One the consumers stand on, or that looks at them. */
static bool is_side_part(const struct demo *d, const struct child *child)
{
    return child == d->broker || child == d->redis_server || child == d->target ||
           child == d->console;
}

/* Sum up a part that ended and should not have. Returns the exit code. */
static int part_ended(struct demo *d)
{
    struct str how;
    const struct child *child = d->culprit;
    int code = child_exit_code(child);
    str_init(&how);
    child_describe_end(child, &how);
    demo_complain(d, child, how.data);
    if (code == EXIT_USAGE) {
        fprintf(stderr, "try: %s help demo\n", d->program);
    } else if (is_side_part(d, child)) {
        fprintf(stderr, "The demo cannot go on without it; start it again.\n");
    } else {
        fprintf(stderr, "This should not happen; please report it with these lines.\n");
    }
    str_release(&how);
    bool worker = !is_side_part(d, child) && code != 0;
    return code == EXIT_USAGE ? EXIT_USAGE : worker ? EXIT_BUG : EXIT_UNAVAILABLE;
}

/* For a part that starts: say what did not happen. */
static int explain(struct demo *d, enum happened what, const struct child *child,
                   const char *late)
{
    switch (what) {
    case HAPPENED:
        return 0;
    case TIMED_OUT:
        demo_complain(d, child, late);
        fprintf(stderr,
                "The machine may be too busy; try again, or look with: top -p %d\n",
                (int)child->pid);
        return EXIT_UNAVAILABLE;
    case PART_ENDED:
        return part_ended(d);
    case SIGNALLED:
        fflush(stdout);
        fprintf(stderr, "%s: ended at once, without a sum\n", d->program);
        break;
    }
    return 128 + d->signal_number;
}

/* --- starting --- */

static bool broker_listens(const struct demo *d)
{
    return d->bootstrap[0] != '\0';
}

static bool target_listens(const struct demo *d)
{
    return d->target_port > 0;
}

static bool console_listens(const struct demo *d)
{
    return d->console_port > 0;
}

static bool group_is_whole(const struct demo *d)
{
    for (int i = 0; i < d->flags.consumers; i++) {
        if (!d->consumers[i].assigned || d->consumers[i].port == 0) {
            return false;
        }
    }
    return demo_count_partitions(d) ==
           DEMO_SOURCE_PARTITIONS + DEMO_TIERS * DEMO_SIDE_PARTITIONS;
}

/* The consumer that keeps the group from being whole. */
static const struct child *slowest_consumer(const struct demo *d)
{
    for (int i = 0; i < d->flags.consumers; i++) {
        if (!d->consumers[i].assigned || d->consumers[i].port == 0) {
            return d->consumers[i].child;
        }
    }
    return d->consumers[0].child;
}

static int start_all(struct demo *d)
{
    printf("Starting Kafka, Redis, a CD target and %d consumer%s: some seconds ...\n",
           d->flags.consumers, d->flags.consumers == 1 ? "" : "s");
    int code = demo_start_broker(d);
    code = code ? code : demo_start_redis(d);
    code = code ? code : demo_start_target(d);
    if (code) {
        return code;
    }
    int64_t until_ms = now_ms() + PART_START_MS;
    code = explain(d, wait_for(d, broker_listens, until_ms), d->broker,
                   "does not say where it listens");
    code = code ? code
                : explain(d, wait_for(d, target_listens, until_ms), d->target,
                          "does not say where it listens");
    code = code ? code
                : explain(d, wait_for(d, demo_redis_answers, until_ms), d->redis_server,
                          "takes no connections");
    code = code ? code : demo_start_consumers(d);
    if (code) {
        return code;
    }
    enum happened what = wait_for(d, group_is_whole, now_ms() + GROUP_START_MS);
    code = explain(d, what, slowest_consumer(d), "has not joined the group");
    code = code ? code : demo_start_console(d);
    if (code) {
        return code;
    }
    code = explain(d, wait_for(d, console_listens, now_ms() + PART_START_MS), d->console,
                   "does not say where it listens");
    if (code) {
        return code;
    }
    demo_show_places(d);
    return demo_start_load(d);
}

/* --- ending --- */

static bool never(const struct demo *d)
{
    (void)d;
    return false;
}

static bool load_is_over(const struct demo *d)
{
    return d->load->ended;
}

/* All that was published is settled, also what went through the retry topics. Records
 * that were parked are acknowledged before the batch is logged that parked them, so what
 * the books say before Kafka is asked cannot be ahead of it. */
static bool is_quiet(struct demo *d)
{
    struct err err = ERR_INIT;
    return demo_count_records(d, now_ms() + COUNT_MS, &err) == 0 &&
           books_unsettled(&d->books, true) + books_unsettled(&d->books, false) == 0;
}

/* Returns 0, or 128 and the signal's number after the next signal, or what part_ended
 * says. */
static int settle(struct demo *d)
{
    int64_t until_ms = now_ms() + SETTLE_MS;
    int64_t say_ms = now_ms() + SETTLE_SAY_MS;
    int64_t said = 0;
    while (!is_quiet(d) && now_ms() < until_ms) {
        int64_t open =
            books_unsettled(&d->books, true) + books_unsettled(&d->books, false);
        if (now_ms() >= say_ms && open != said) {
            say_ms = now_ms() + SETTLE_SAY_MS;
            said = open;
            demo_say(d, "waiting for %d events to end, %d of them in the retry topics",
                     (int)open, (int)books_unsettled(&d->books, false));
        }
        enum happened what = wait_for(d, never, now_ms() + COUNT_EVERY_MS);
        if (what != TIMED_OUT) {
            return explain(d, what, NULL, NULL);
        }
    }
    return 0;
}

static bool consumers_are_gone(const struct demo *d)
{
    return demo_count_consumers(d) == 0;
}

/* Drain and end the consumers. Returns as settle. */
static int end_consumers(struct demo *d)
{
    for (int i = 0; i < d->flags.consumers; i++) {
        child_end(d->consumers[i].child, SIGTERM);
    }
    enum happened what = wait_for(d, consumers_are_gone, now_ms() + DRAIN_MS);
    return what == HAPPENED || what == TIMED_OUT ? 0 : explain(d, what, NULL, NULL);
}

/* The last part of the demo, from the last event on. Returns the exit code. */
static int end_well(struct demo *d)
{
    demo_say(d, "draining");
    child_end(d->load, SIGINT);
    enum happened what = wait_for(d, load_is_over, now_ms() + LOAD_END_MS);
    int code = explain(d, what, d->load, "does not end");
    code = code ? code : settle(d);
    if (code) {
        return code;
    }
    demo_read_metrics(d);
    code = end_consumers(d);
    return code ? code : demo_judge(d);
}

static bool parts_are_gone(const struct demo *d)
{
    return d->console->ended && d->redis_server->ended && d->target->ended &&
           d->broker->ended;
}

/* Nobody needs them any more; what does not go is killed by children_release. */
static void end_parts(struct demo *d)
{
    child_end(d->console, SIGTERM);
    child_end(d->target, SIGTERM);
    child_end(d->redis_server, SIGTERM);
    child_end(d->broker,
              SIGKILL); /* it keeps nothing, and its loop looks up once a second */
    (void)wait_for(d, parts_are_gone, now_ms() + PART_END_MS);
}

/* --- the demo --- */

static int play(struct demo *d)
{
    int code = start_all(d);
    if (code) {
        return code;
    }
    if (wait_for(d, load_is_over, NOW_FOREVER) == PART_ENDED) {
        return part_ended(d);
    }
    code = end_well(d);
    if (d->signals < 2) {
        end_parts(d);
    }
    return code;
}

static void init(struct demo *d, const struct command_line *line)
{
    d->program = line->program->name;
    d->started_ms = now_ms();
    d->show.paint = paint_for(line, stdout);
    d->show.quiet = flag_is_set(line, "quiet");
    for (int t = 0; t < BOOKS_TOPICS_MAX; t++) {
        for (int p = 0; p < BOOKS_PARTITIONS_MAX; p++) {
            d->owner[t][p] = -1;
        }
    }
    log_setup(LOG_ERROR, LOG_TEXT, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    children_init(&d->children);
    demo_listen(d);
}

int demo_run(const struct command_line *line)
{
    struct demo *d = mem_zalloc(sizeof *d);
    int code = read_flags(line, &d->flags);
    if (code == 0) {
        init(d, line);
        code = demo_find_programs(d);
        code = code ? code : demo_make_folder(d);
        code = code ? code : play(d);
        children_release(&d->children);
        demo_remove_folder(d);
    }
    free(d);
    return code;
}

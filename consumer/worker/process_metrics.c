#include "process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../commands.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "wire/http.h"
#include "wire/kafka.h"

enum { STATES = 4, LEVELS = 4 };

struct process_metrics {
    struct metric *states[STATES];
    struct metric *poll_age;
    struct metric *cpu;
    struct metric *memory;
    struct metric *fds;
    struct metric *lines[LEVELS];
    struct metric *suppressed[LEVELS];
    struct metric *dropped;
};

static struct metric *one(struct metrics *m, enum metric_type type, const char *name,
                          const char *help)
{
    return metrics_series(metrics_family(m, type, name, "", help, NULL, 0), NULL, NULL,
                          NULL, NULL);
}

struct process_metrics *process_metrics_new(struct metrics *m)
{
    static const char *const states[STATES] = {"starting", "running", "draining",
                                               "drained"};
    static const char *const levels[LEVELS] = {"debug", "info", "warn", "error"};
    struct process_metrics *p = mem_zalloc(sizeof *p);
    metric_set(metrics_series(metrics_family(m, METRIC_GAUGE, "sluice_build_info",
                                             "version,revision,librdkafka,libcurl",
                                             "Always 1", NULL, 0),
                              SLUICE_VERSION, version_revision(), kafka_library_version(),
                              http_library_version()),
               1);
    struct metric_family *state = metrics_family(m, METRIC_GAUGE, "sluice_state", "state",
                                                 "1 for the present state", NULL, 0);
    for (int i = 0; i < STATES; i++) {
        p->states[i] = metrics_series(state, states[i], NULL, NULL, NULL);
    }
    struct metric_family *lines =
        metrics_family(m, METRIC_COUNTER, "sluice_log_messages_total", "level",
                       "Log lines, also suppressed ones", NULL, 0);
    struct metric_family *suppressed =
        metrics_family(m, METRIC_COUNTER, "sluice_log_suppressed_total", "level",
                       "Repeated log lines not written", NULL, 0);
    for (int i = 0; i < LEVELS; i++) {
        p->lines[i] = metrics_series(lines, levels[i], NULL, NULL, NULL);
        p->suppressed[i] = metrics_series(suppressed, levels[i], NULL, NULL, NULL);
    }
    p->dropped = one(m, METRIC_COUNTER, "sluice_log_dropped_total",
                     "Log lines lost because stderr was full or closed");
    p->poll_age = one(m, METRIC_GAUGE, "sluice_poll_age_seconds",
                      "Since the poll loop last turned: the stall detector");
    p->cpu =
        one(m, METRIC_COUNTER, "process_cpu_seconds_total", "User and system CPU time");
    p->memory = one(m, METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory");
    p->fds = one(m, METRIC_GAUGE, "process_open_fds", "Open file descriptors");
    metric_set(one(m, METRIC_GAUGE, "process_start_time_seconds", "Start, since 1970"),
               (double)now_wall_ms() / 1000);
    return p;
}

void process_metrics_free(struct process_metrics *p)
{
    free(p);
}

static double resident_bytes(void)
{
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) {
        return 0;
    }
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    char *second = line;
    strtoull(line, &second, 10);
    return got ? (double)strtoull(second, NULL, 10) * (double)sysconf(_SC_PAGESIZE) : 0;
}

static double open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double n = -3; /* ".", ".." and the directory itself */
    if (!dir) {
        return 0;
    }
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static double cpu_seconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

void process_metrics_set(struct process_metrics *p, int state, int64_t poll_age_ms)
{
    for (int i = 0; i < STATES; i++) {
        metric_set(p->states[i], i == state);
    }
    metric_set(p->poll_age, poll_age_ms > 0 ? (double)poll_age_ms / 1000 : 0);
    metric_set(p->memory, resident_bytes());
    metric_set(p->fds, open_fds());
    metric_set(p->cpu, cpu_seconds());
    for (int i = 0; i < LEVELS; i++) {
        enum log_level level = (enum log_level)i;
        metric_set(p->lines[i], (double)log_count(level));
        metric_set(p->suppressed[i], (double)log_count_suppressed(level));
    }
    metric_set(p->dropped, (double)log_count_dropped());
}

/* Logs: one event per line on stderr; text on a terminal, JSON lines otherwise.
 *
 * A line is a fixed sentence plus typed fields. DEBUG, WARN and ERROR lines of one call
 * site that repeat within 10 s are suppressed after the first few, counted, and summed up
 * in one line afterwards. INFO lines are never suppressed: one for each batch is wanted.
 * Control bytes are escaped, long values cut. A blocked or closed stderr drops lines and
 * counts them; it never blocks the caller for long and never ends the process. Never pass
 * a payload, a header value or a secret. Any thread. Never call with a lock held. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format {
    LOG_AUTO,
    LOG_TEXT, /* for people */
    LOG_JSON,
    LOG_LOGFMT, /* ts=... level=... msg="..." and the fields */
    LOG_ECS,    /* JSON whose common keys are those of the Elastic Common Schema */
};

enum { LOG_FIELDS_MAX = 16, LOG_VALUE_MAX = 512, LOG_BURST = 5, LOG_WINDOW_MS = 10000 };

struct log_field {
    const char *key;
    enum { LOG_F_END, LOG_F_STR, LOG_F_INT, LOG_F_FLOAT } kind;
    const char *str;
    int64_t num;
    double real;
};

#define LS(k, v) ((struct log_field){.key = (k), .kind = LOG_F_STR, .str = (v)})
#define LI(k, v) ((struct log_field){.key = (k), .kind = LOG_F_INT, .num = (int64_t)(v)})
#define LF(k, v) ((struct log_field){.key = (k), .kind = LOG_F_FLOAT, .real = (v)})
#define LEND     ((struct log_field){.kind = LOG_F_END})

/* One per call site, static, zero to begin with. The fields are owned by log.c. */
struct log_site {
    int64_t window_start_ms;
    uint32_t in_window;
    uint32_t suppressed;
    struct log_site *next;
    const char *msg; /* of the last suppressed line; borrowed for good: use literals */
    enum log_level level;
    bool listed;
};

/* Call once before threads start; before it, INFO and above go out as text. Also makes
 * the process ignore SIGPIPE, so that a closed stderr cannot end it.
 *
 * consumer  the name every line carries, copied; NULL for none. */
void log_setup(enum log_level level, enum log_format format, const char *consumer);

void log_write(struct log_site *site, enum log_level level, const char *msg,
               const struct log_field *fields);

/* Write what is still suppressed as summary lines; called once a second by a thread that
 * idles and once at exit. */
void log_flush_suppressed(bool all);

/* Since start, for metrics. log_count has all lines of an enabled level, also those that
 * were suppressed or dropped. */
uint64_t log_count(enum log_level level);
uint64_t log_count_suppressed(enum log_level level); /* by repetition */
uint64_t log_count_dropped(void);                    /* stderr was full or closed */

bool log_enabled(enum log_level level);

/* What is logged from now on. Any thread. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
const char *log_level_word(enum log_level level);

/* LOG(LOG_INFO, "batch committed", LS("topic", t), LI("events", n), LEND); the list ends
 * with LEND */
#define LOG(level, message, ...) \
    do { \
        static struct log_site log_site_here; \
        if (log_enabled(level)) { \
            log_write(&log_site_here, (level), (message), \
                      (const struct log_field[]){__VA_ARGS__}); \
        } \
    } while (0)

#endif

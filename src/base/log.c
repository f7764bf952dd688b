/* Design. A line is made in memory, at most LOG_LINE_MAX bytes, and leaves in one write:
 * a pipe takes so much whole or not at all, so lines of several processes do not mix.
 * Before the write comes a short poll, and the descriptor is our own and non-blocking
 * where it can be had: O_NONBLOCK on the shared one would reach into other processes.
 *
 * One mutex guards the sites. It is never held while a line is written. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/now.h"
#include "base/str.h"

enum {
    LOG_LINE_MAX = 4096, /* PIPE_BUF */
    LOG_WAIT_MS = 50,    /* how long a full pipe may hold a caller up, once */
    LOG_CONSUMER_MAX = 128,
    LOG_SUMMARIES = 16, /* taken from the list at a time */
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
#define ECS_VERSION "8.11.0"
static const char *const level_words[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

static struct {
    atomic_int level; /* enum log_level */
    /* read-only after log_setup */
    enum log_format format;
    char consumer[LOG_CONSUMER_MAX];
    int fd;
    bool is_socket;

    atomic_uint_fast64_t count[LOG_ERROR + 1];
    atomic_uint_fast64_t suppressed[LOG_ERROR + 1];
    atomic_uint_fast64_t dropped;
    atomic_bool stuck; /* the last line was dropped: do not wait for the next */

    pthread_mutex_t mu;
    struct log_site *sites; /* guarded by mu: those with suppressed lines */
} logger = {.level = LOG_INFO,
            .format = LOG_TEXT,
            .fd = STDERR_FILENO,
            .mu = PTHREAD_MUTEX_INITIALIZER};

/* --- writing ------------------------------------------------------------------------ */

/* A second, non-blocking description of the pipe or terminal behind stderr. Not of a
 * file: there the shared write position matters. May be refused (another user's pipe). */
static int own_descriptor(const struct stat *st)
{
    if (!S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode)) {
        return STDERR_FILENO;
    }
    int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? STDERR_FILENO : fd;
}

/* We were started without a stderr: or else the next socket gets its number, and lines.
 */
static void occupy_stderr(void)
{
    int fd = open("/dev/null", O_RDWR);
    if (fd >= 0 && fd != STDERR_FILENO) {
        dup2(fd, STDERR_FILENO);
        close(fd);
    }
}

void log_setup(enum log_level level, enum log_format format, const char *consumer)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct stat st;
    MUST(sigaction(SIGPIPE, &ignore, NULL));
    if (format == LOG_AUTO) {
        format = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON;
    }
    if (logger.fd != STDERR_FILENO) {
        close(logger.fd);
    }
    logger.fd = STDERR_FILENO;
    logger.is_socket = false;
    if (fstat(STDERR_FILENO, &st) == 0) {
        logger.fd = own_descriptor(&st);
        logger.is_socket = S_ISSOCK(st.st_mode);
    } else {
        occupy_stderr();
    }
    log_set_level(level);
    logger.format = format;
    snprintf(logger.consumer, sizeof logger.consumer, "%s",
             consumer != NULL ? consumer : "");
}

static void put_line(const char *line, size_t len)
{
    struct pollfd out = {.fd = logger.fd, .events = POLLOUT};
    int wait_ms = atomic_load(&logger.stuck) ? 0 : LOG_WAIT_MS;
    ssize_t written = -1;
    if (poll(&out, 1, wait_ms) == 1) {
        written = logger.is_socket
                      ? send(logger.fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                      : write(logger.fd, line, len);
    }
    bool lost = written < 0;
    atomic_store(&logger.stuck, lost);
    if (lost) {
        atomic_fetch_add(&logger.dropped, 1);
    }
}

/* --- making a line ------------------------------------------------------------------ */

/* At most LOG_VALUE_MAX bytes, not cut inside a character. */
static size_t shown_len(const char *text)
{
    size_t len = strnlen(text, LOG_VALUE_MAX + 1);
    if (len > LOG_VALUE_MAX) {
        len = LOG_VALUE_MAX;
        for (int i = 0; i < 3 && ((unsigned char)text[len] & 0xC0) == 0x80; i++) {
            len--;
        }
    }
    return len;
}

static void add_quoted(struct str *line, const char *text)
{
    size_t len = shown_len(text);
    str_addc(line, '"');
    str_add_json(line, text, len);
    str_add(line, text[len] != 0 ? "...\"" : "\"");
}

static bool is_json(void)
{
    return logger.format == LOG_JSON || logger.format == LOG_ECS;
}

/* A word needs no quotes where there is no JSON. */
static bool is_word(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= LOG_VALUE_MAX &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                        "-_.:/@+,#%~*()[]") == len;
}

static void add_value(struct str *line, const struct log_field *f)
{
    switch (f->kind) {
    case LOG_F_INT:
        str_addf(line, "%lld", (long long)f->num);
        break;
    case LOG_F_FLOAT:
        if (isfinite(f->real)) {
            str_addf(line, "%.6g", f->real);
        } else {
            str_add(line, "null");
        }
        break;
    case LOG_F_STR:
        if (f->str == NULL) {
            str_add(line, "null");
        } else if (!is_json() && is_word(f->str)) {
            str_add(line, f->str);
        } else {
            add_quoted(line, f->str);
        }
        break;
    case LOG_F_END:
        break;
    }
}

/* What ECS has a name of its own for; "host" and "error" are objects there. */
static const char *key_of(const char *key)
{
    static const char *const renamed[][2] = {
        {"trace_id", "trace.id"},   {"span_id", "span.id"},     {"event_id", "event.id"},
        {"host", "server.address"}, {"error", "error.message"},
    };
    size_t n = logger.format == LOG_ECS ? sizeof renamed / sizeof renamed[0] : 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(key, renamed[i][0]) == 0) {
            return renamed[i][1];
        }
    }
    return key;
}

/* Add a field, or nothing at all when the line would get too long. */
static void add_field(struct str *line, const struct log_field *f)
{
    size_t before = line->len;
    str_addf(line, is_json() ? ",\"%s\":" : " %s=", key_of(f->key));
    add_value(line, f);
    if (line->len > LOG_LINE_MAX - sizeof "}\n") {
        line->len = before;
        line->data[before] = 0;
    }
}

static void add_head(struct str *line, enum log_level level, const char *msg)
{
    int64_t wall_ms = now_wall_ms();
    if (logger.format == LOG_TEXT) {
        time_t seconds = (time_t)(wall_ms / 1000);
        struct tm t;
        localtime_r(&seconds, &t);
        str_addf(line, "%02d:%02d:%02d.%03d %s %.*s", t.tm_hour, t.tm_min, t.tm_sec,
                 (int)(wall_ms % 1000), level_words[level], LOG_VALUE_MAX, msg);
        return;
    }
    char ts[NOW_TEXT_MAX];
    const char *name = level_names[level];
    now_rfc3339(wall_ms, ts);
    if (logger.format == LOG_LOGFMT) {
        str_addf(line, "ts=%s level=%s msg=", ts, name);
    } else if (logger.format == LOG_ECS) {
        str_addf(line,
                 "{\"@timestamp\":\"%s\",\"log.level\":\"%s\",\"ecs.version\":\"%s\","
                 "\"message\":",
                 ts, name, ECS_VERSION);
    } else {
        str_addf(line, "{\"ts\":\"%s\",\"level\":\"%s\",\"msg\":", ts, name);
    }
    add_value(line, &LS("msg", msg));
}

static void write_line(enum log_level level, const char *msg,
                       const struct log_field *fields)
{
    struct str line;
    str_init(&line);
    add_head(&line, level, msg);
    if (logger.consumer[0] != 0) {
        add_field(&line, &LS("consumer", logger.consumer));
    }
    for (int i = 0; i < LOG_FIELDS_MAX && fields[i].kind != LOG_F_END; i++) {
        add_field(&line, &fields[i]);
    }
    str_add(&line, is_json() ? "}\n" : "\n");
    put_line(line.data, line.len);
    str_release(&line);
}

/* --- suppressing -------------------------------------------------------------------- */

struct summary {
    const char *msg;
    enum log_level level;
    uint32_t suppressed;
};

static void write_summary(const struct summary *s)
{
    if (s->suppressed > 0) {
        write_line(s->level, s->msg,
                   (const struct log_field[]){LI("suppressed", s->suppressed), LEND});
    }
}

static struct summary take_summary_locked(struct log_site *site)
{
    struct summary s = {site->msg, site->level, site->suppressed};
    site->suppressed = 0;
    return s;
}

/* May this line be written? Ends the site's window if its time has come; what was
 * suppressed in it is then told first. */
static bool admit_locked(struct log_site *site, enum log_level level, const char *msg,
                         int64_t now, struct summary *ended)
{
    if (now - site->window_start_ms >= LOG_WINDOW_MS) {
        *ended = take_summary_locked(site);
        site->window_start_ms = now;
        site->in_window = 0;
    }
    if (site->in_window < LOG_BURST) {
        site->in_window++;
        return true;
    }
    site->msg = msg;
    site->level = level;
    site->suppressed++;
    if (!site->listed) {
        site->listed = true;
        site->next = logger.sites;
        logger.sites = site;
    }
    return false;
}

void log_write(struct log_site *site, enum log_level level, const char *msg,
               const struct log_field *fields)
{
    atomic_fetch_add(&logger.count[level], 1);
    if (level != LOG_INFO) {
        struct summary ended = {0};
        MUST(pthread_mutex_lock(&logger.mu));
        bool admitted = admit_locked(site, level, msg, now_ms(), &ended);
        MUST(pthread_mutex_unlock(&logger.mu));
        write_summary(&ended);
        if (!admitted) {
            atomic_fetch_add(&logger.suppressed[level], 1);
            return;
        }
    }
    write_line(level, msg, fields);
}

/* Unlist sites whose window is over; returns how many summaries were taken. */
static size_t take_summaries(bool all, struct summary *taken, size_t max)
{
    size_t n = 0;
    MUST(pthread_mutex_lock(&logger.mu));
    int64_t now = now_ms();
    struct log_site **link = &logger.sites;
    while (*link != NULL && n < max) {
        struct log_site *site = *link;
        if (all || now - site->window_start_ms >= LOG_WINDOW_MS) {
            taken[n++] = take_summary_locked(site);
            site->listed = false;
            *link = site->next;
        } else {
            link = &site->next;
        }
    }
    MUST(pthread_mutex_unlock(&logger.mu));
    return n;
}

void log_flush_suppressed(bool all)
{
    struct summary taken[LOG_SUMMARIES];
    size_t n;
    do {
        n = take_summaries(all, taken, LOG_SUMMARIES);
        for (size_t i = 0; i < n; i++) {
            write_summary(&taken[i]);
        }
    } while (n == LOG_SUMMARIES);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&logger.level, memory_order_relaxed);
}

void log_set_level(enum log_level level)
{
    atomic_store(&logger.level, (int)level);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load(&logger.level);
}

const char *log_level_word(enum log_level level)
{
    return level_names[level];
}

uint64_t log_count(enum log_level level)
{
    return atomic_load(&logger.count[level]);
}

uint64_t log_count_suppressed(enum log_level level)
{
    return atomic_load(&logger.suppressed[level]);
}

uint64_t log_count_dropped(void)
{
    return atomic_load(&logger.dropped);
}

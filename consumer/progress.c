#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/now.h"
#include "base/option.h"
#include "base/str.h"

enum { BAR_WIDTH = 20, BAR_EVERY_MS = 100, LINE_EVERY_MS = 5000 };

void progress_init(struct progress *p, const struct command_line *line, const char *verb)
{
    const char *term = getenv("TERM");
    *p = (struct progress){.verb = verb, .began_ms = now_ms(), .first = -1};
    p->bar = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0) &&
             !flag_is_set(line, "json");
    p->told_ms = p->began_ms;
}

/* "(24 %) 20/s eta 3m10s" */
static void add_pace(const struct progress *p, int64_t done, int64_t total,
                     struct str *out)
{
    int64_t took_ms = now_ms() - p->began_ms;
    double rate = took_ms > 0 ? (double)(done - p->first) * 1000 / (double)took_ms : 0;
    str_addf(out, "(%d %%)", total ? (int)(done * 100 / total) : 100);
    if (rate > 0 && done < total) {
        int64_t left_s = (int64_t)((double)(total - done) / rate) + 1;
        str_addf(out, " %.3g/s eta ", rate);
        option_add_duration(out, left_s * 1000);
    }
}

static void draw(const struct progress *p, int64_t done, int64_t total, const char *word)
{
    struct str line;
    str_init(&line);
    str_addf(&line, "\r%s %lld/%lld  ", p->verb, (long long)done, (long long)total);
    int64_t filled = total ? done * BAR_WIDTH / total : BAR_WIDTH;
    for (int i = 0; i < BAR_WIDTH; i++) {
        str_add(&line, i < filled ? "█" : "░");
    }
    str_add(&line, "  ");
    if (word) {
        str_add(&line, word);
    } else {
        add_pace(p, done, total, &line);
    }
    fprintf(stderr, "%s\033[K%s", line.data, word ? "\n" : "");
    str_release(&line);
}

void progress_tell(struct progress *p, int64_t done, int64_t total)
{
    int64_t now = now_ms();
    if (p->first < 0) {
        p->first = done;
        p->began_ms = now; /* a resumed one may have waited for its lock */
    }
    if (now - p->told_ms < (p->bar ? BAR_EVERY_MS : LINE_EVERY_MS)) {
        return;
    }
    p->told_ms = now;
    if (p->bar) {
        draw(p, done, total, NULL);
        return;
    }
    struct str line;
    str_init(&line);
    add_pace(p, done, total, &line);
    fprintf(stderr, "%s %lld/%lld %s\n", p->verb, (long long)done, (long long)total,
            line.data);
    str_release(&line);
}

void progress_end(struct progress *p, int64_t done, int64_t total, const char *word)
{
    if (p->bar) {
        draw(p, done, total, word);
    } else {
        fprintf(stderr, "%s %lld/%lld %s\n", p->verb, (long long)done, (long long)total,
                word);
    }
}

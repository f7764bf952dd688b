/* What the demo prints. At most so many lines a second; what is left out is counted and
 * summed up in the next second. */
#include "demo.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/now.h"

enum { BATCH_LINES_A_SECOND = 12, OTHER_LINES_A_SECOND = 3, WORDS_MAX = 240 };

/* --- lines --- */

static void print_clock(void)
{
    time_t seconds = (time_t)(now_wall_ms() / 1000);
    struct tm tm;
    localtime_r(&seconds, &tm);
    printf("%02d:%02d:%02d ", tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void demo_say(struct demo *d, const char *format, ...)
{
    va_list args;
    (void)d;
    print_clock();
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* A new second: say what the last one left out. */
static void next_second(struct demo *d)
{
    struct demo_show *show = &d->show;
    int64_t second = now_ms() / 1000;
    if (second == show->second) {
        return;
    }
    if (show->more_batches > 0) {
        demo_say(d,
                 "... and %" PRId64 " more batches: %" PRId64 " events, %" PRId64
                 " triggered",
                 show->more_batches, show->more_events, show->more_triggered);
    }
    if (show->more_others > 0) {
        demo_say(d, "... and %" PRId64 " more such lines", show->more_others);
    }
    *show =
        (struct demo_show){.paint = show->paint, .quiet = show->quiet, .second = second};
}

/* Is there room for one more line that is not about a batch? */
static bool room_for_other(struct demo *d)
{
    next_second(d);
    if (d->show.other_lines >= OTHER_LINES_A_SECOND) {
        d->show.more_others++;
        return false;
    }
    d->show.other_lines++;
    return true;
}

void demo_mention(struct demo *d, const char *format, ...)
{
    va_list args;
    if (!room_for_other(d)) {
        return;
    }
    print_clock();
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* --- batches and failures --- */

/* "[4]" on the source topic, "retry.1s[0]" on another. */
static void add_place(struct str *out, const struct books_batch *batch)
{
    static const char prefix[] = DEMO_TOPIC "." DEMO_GROUP ".";
    if (text_starts(batch->topic, prefix)) {
        str_add(out, batch->topic + sizeof prefix - 1);
    }
    str_addf(out, "[%d]", (int)batch->partition);
}

static void add_verdicts(struct str *out, const struct books_batch *batch)
{
    static const char *const words[] = {"triggered",      "duplicate", "skipped",
                                        "to retry later", "dead",      "given back"};
    const char *comma = "";
    for (size_t v = 0; v < BOOKS_VERDICTS; v++) {
        if (batch->verdicts[v] > 0) {
            str_addf(out, "%s%" PRId64 " %s", comma, batch->verdicts[v], words[v]);
            comma = ", ";
        }
    }
}

void demo_show_batch(struct demo *d, const struct child *child,
                     const struct books_batch *batch)
{
    struct demo_show *show = &d->show;
    struct str line;
    if (show->quiet) {
        return;
    }
    next_second(d);
    if (show->batch_lines >= BATCH_LINES_A_SECOND) {
        show->more_batches++;
        show->more_events += batch->events;
        show->more_triggered += batch->verdicts[BOOKS_TRIGGERED];
        return;
    }
    show->batch_lines++;
    bool plain = batch->verdicts[BOOKS_TRIGGERED] == batch->events;
    str_init(&line);
    add_place(&line, batch);
    str_addf(&line, " %" PRId64 " event%s → %s", batch->events,
             batch->events == 1 ? "" : "s", plain ? "" : show->paint.warn);
    add_verdicts(&line, batch);
    str_addf(&line, "%s in %" PRId64 " ms", plain ? "" : show->paint.off, batch->took_ms);
    demo_say(d, "%s %s", child->name, line.data);
    str_release(&line);
}

void demo_show_failure(struct demo *d, const struct child *child,
                       struct json_object *line)
{
    const char *id = json_string_at(line, "/event_id", NULL);
    const char *next = json_string_at(line, "/next", NULL);
    const char *detail = json_string_at(line, "/detail", NULL);
    struct json_object *status = json_at(line, "/status");
    struct json_object *in_ms = json_at(line, "/in_ms");
    struct str what;
    if (d->show.quiet) {
        return;
    }
    str_init(&what);
    if (status && json_object_get_int(status) > 0) {
        str_addf(&what, "%d", json_object_get_int(status));
    } else {
        str_add(&what, detail && detail[0] != '\0' ? detail : "no answer");
    }
    str_addf(&what, " for event %.24s: ", id ? id : "?");
    if (next && strcmp(next, "retry") == 0) {
        str_addf(&what, "again in %d ms", in_ms ? json_object_get_int(in_ms) : 0);
    } else {
        str_addf(&what, "to the %s topic",
                 next && strcmp(next, "dead letter") == 0 ? "dead-letter" : "retry");
    }
    demo_mention(d, "%s%s %s%s", d->show.paint.warn, child->name, what.data,
                 d->show.paint.off);
    str_release(&what);
}

/* --- places --- */

/* A path the way a person in this folder would type it. */
static const char *short_path(const char *path)
{
    static char cwd[PATH_MAX];
    size_t len = getcwd(cwd, sizeof cwd) ? strlen(cwd) : 0;
    bool inside = len > 1 && text_starts(path, cwd) && path[len] == '/';
    return inside ? path + len + 1 : path;
}

static void show_box(const struct demo *d)
{
    static const char text[] =
        " Demo only: everything is in memory and gone at its end. ";
    printf("%s┌", d->show.paint.warn);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        printf("─");
    }
    printf("┐\n│%s│\n└", text);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        printf("─");
    }
    printf("┘%s\n", d->show.paint.off);
}

static void show_hints(const struct demo *d)
{
    const struct demo_consumer *last = &d->consumers[d->flags.consumers - 1];
    const char *producer = short_path(d->producer);
    char self[PATH_MAX];
    snprintf(self, sizeof self, "%s", short_path(d->self));
    printf("Try in another terminal:\n");
    printf("  export SLUICE_CONFIG=%s\n", d->config_path);
    printf("  %s status    the fleet at a glance; top: every second\n", self);
    printf("  curl '127.0.0.1:%d/readyz?verbose'\n", d->consumers[0].port);
    printf("  curl 127.0.0.1:%d/metrics\n", d->consumers[0].port);
    printf("  curl 127.0.0.1:%d/stats\n", d->target_port);
    printf("  %s publish --brokers %s \\\n"
           "      --repo acme/shop --branch main --commit 3f9c2e1\n",
           producer, d->bootstrap);
    printf("  curl -d '{\"fail\":0.5}' 127.0.0.1:%d/control    half of all calls fail\n",
           d->target_port);
    if (d->flags.consumers > 1) {
        printf("  kill -9 %d    end %s, its partitions go to the others\n",
               (int)last->child->pid, last->child->name);
    }
}

void demo_show_places(struct demo *d)
{
    printf("\nKafka:      %s   in memory, %s with %d partitions\n", d->bootstrap,
           DEMO_TOPIC, DEMO_SOURCE_PARTITIONS);
    printf("Redis:      unix://%s   private, nothing stored\n", d->socket_path);
    printf("CD target:  http://127.0.0.1:%d   mock-cd, %s, %s fail\n", d->target_port,
           d->flags.latency, d->flags.fail);
    printf("Consumers:  ");
    for (int i = 0; i < d->flags.consumers; i++) {
        printf("%s%s 127.0.0.1:%d",
               i == 0       ? ""
               : i % 3 == 0 ? "\n            "
                            : "   ",
               d->consumers[i].child->name, d->consumers[i].port);
    }
    printf("\nConsole:    http://127.0.0.1:%d\n", d->console_port);
    printf("Config:     %s\n", d->config_path);
    show_box(d);
    show_hints(d);
    printf("\nPublishing %s of %d apps%s%s; Ctrl-C ends it.\n", d->flags.rate,
           d->flags.apps, d->flags.span ? " for " : "",
           d->flags.span ? d->flags.span : "");
}

/* --- what went wrong --- */

void demo_add_words(struct str *out, const char *line)
{
    static const char *const reasons[] = {"/why", "/error", "/text", "/reason"};
    struct json_object *doc = NULL;
    bool is_json = json_parse(line, strlen(line), &doc, NULL) == 0;
    const char *msg = is_json ? json_string_at(doc, "/msg", NULL) : NULL;
    str_addf(out, "%.*s", WORDS_MAX, msg ? msg : line);
    for (size_t i = 0; msg && i < sizeof reasons / sizeof reasons[0]; i++) {
        const char *why = json_string_at(doc, reasons[i], NULL);
        if (why) {
            str_addf(out, ": %.*s", WORDS_MAX, why);
        }
    }
    json_free(doc);
}

void demo_complain(const struct demo *d, const struct child *child, const char *what)
{
    const char *const lines[] = {child->prior, child->last};
    fflush(stdout);
    fprintf(stderr, "%s: %s %s; its last lines:\n", d->program, child->name, what);
    for (size_t i = 0; i < 2; i++) {
        struct str words;
        str_init(&words);
        demo_add_words(&words, lines[i]);
        if (words.len > 0) {
            fprintf(stderr, "  %s\n", words.data);
        }
        str_release(&words);
    }
}

/* dlq list, show, drop, export: what lies in the dead-letter topic. */
#include "dlq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"

enum { LIST_LIMIT = 20, LIST_LIMIT_MAX = 100000, COLUMN_MAX = 8 };

const struct flag dlq_list_flags[] = {
    DLQ_FILTER_FLAGS,
    {"limit", 'n', "N", "Show at most so many, the oldest first (20)"},
    {"group-by", 0, "WHAT", "reason: how many died of what, for which target"},
    {"handled", 0, NULL, "Also those that were redriven or dropped"},
    {.name = NULL},
};

const struct flag dlq_drop_flags[] = {
    DLQ_FILTER_FLAGS,
    {"max", 0, "N", "Refuse when more match (5000)"},
    {"why", 0, "TEXT", "For the audit: INC-42"},
    {"yes", 'y', NULL, "Do not ask"},
    {"dry-run", 0, NULL, "Count only"},
    {.name = NULL},
};

const struct flag dlq_export_flags[] = {
    DLQ_FILTER_FLAGS,
    {"handled", 0, NULL, "Also those that were redriven or dropped"},
    {"records", 0, NULL,
     "Whole records, {\"key\",\"headers\",\"value\"}, as explain reads them"},
    {.name = NULL},
};

/* --- what they share --- */

int dlq_read_time(const struct command_line *line, const char *flag, int64_t *wall_ms)
{
    const char *text = flag_value(line, flag);
    int64_t ms;
    *wall_ms = 0;
    if (!text || now_parse_rfc3339(text, wall_ms) == 0) {
        return 0;
    }
    if (now_parse_duration(text[0] == '-' ? text + 1 : text, &ms) == 0) {
        *wall_ms = now_wall_ms() - ms;
        return 0;
    }
    return command_misused(line,
                           "--%s \"%.40s\": expected a time such as 6h (ago) or "
                           "2026-11-24T11:00:00Z",
                           flag, text);
}

int dlq_read_number(const struct command_line *line, const char *flag, int64_t min,
                    int64_t max, int64_t absent, int64_t *number)
{
    const char *text = flag_value(line, flag);
    *number = absent;
    if (!text || text_parse_int(text, min, max, number) == 0) {
        return 0;
    }
    return command_misused(line, "--%s \"%.40s\": expected a number from %lld to %lld",
                           flag, text, (long long)min, (long long)max);
}

int dlq_read_filter(const struct command_line *line, struct letter_filter *filter)
{
    *filter = (struct letter_filter){
        .target = flag_value(line, "target"),
        .reason = flag_value(line, "reason"),
        .event = flag_value(line, "event"),
        .redrive = flag_value(line, "redrive"),
        .handled = flag_is_set(line, "handled"),
    };
    int code = dlq_read_time(line, "since", &filter->since_ms);
    return code ? code : dlq_read_time(line, "until", &filter->until_ms);
}

int dlq_open(const struct command_line *line, struct config **config,
             struct ops_place *place)
{
    struct err err = ERR_INIT;
    int code = command_open(line, config, place);
    if (code) {
        return code;
    }
    int rc = ops_place_kafka(place, &err);
    if (rc) {
        command_close(*config, place);
        return command_failed(line, rc, &err);
    }
    return 0;
}

bool dlq_may_act(const struct command_line *line, const char *question)
{
    char answer[16] = "";
    if (flag_is_set(line, "yes")) {
        return true;
    }
    if (flag_is_set(line, "json") || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        fprintf(stderr, "dry run: nothing was changed. Add --yes to act.\n");
        return false;
    }
    fprintf(stderr, "%s [y/N] ", question);
    bool yes =
        fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
    if (!yes) {
        fprintf(stderr, "nothing was changed.\n");
    }
    return yes;
}

void dlq_add_count(struct str *out, int64_t number)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)number);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-') {
            str_addc(out, ',');
        }
        str_addc(out, digits[i]);
    }
}

void dlq_print_json(struct json_object *doc, bool pretty)
{
    struct str out;
    str_init(&out);
    if (pretty) {
        json_print_pretty(doc, &out);
    } else {
        json_print(doc, &out);
    }
    puts(out.data);
    str_release(&out);
}

/* --- tables --- */

struct column {
    const char *title;
    const char *member; /* of the letter; NULL: made by hand */
    size_t width_max;
    size_t width;
};

/* How many columns of a terminal a text takes, one for each character. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static void add_cell(struct str *line, const char *text, size_t width, bool last)
{
    size_t used = 0;
    bool cut = width_of(text) > width;
    for (; *text; text++) {
        bool begins = ((unsigned char)*text & 0xc0) != 0x80;
        if (begins && used == width - cut) {
            break;
        }
        used += begins;
        str_addc(line, *text);
    }
    if (cut) {
        str_add(line, "…");
        used++;
    }
    for (; used < width + 2 && !last; used++) {
        str_addc(line, ' ');
    }
}

/* "11-24 11:40:02", UTC */
static void add_time(struct str *out, const char *rfc3339)
{
    if (rfc3339 && strlen(rfc3339) >= 19) {
        str_addf(out, "%.5s %.8s", rfc3339 + 5, rfc3339 + 11);
    } else {
        str_addc(out, '-');
    }
}

static void add_member(struct str *out, struct json_object *letter, const char *name)
{
    struct json_object *value = NULL;
    json_object_object_get_ex(letter, name, &value);
    str_add_plain(out, value ? json_object_get_string(value) : "-");
}

static void cell_text(struct str *out, struct json_object *letter, const struct column *c)
{
    if (strcmp(c->title, "AT") == 0) {
        add_time(out, json_string_at(letter, "/at", NULL));
    } else if (strcmp(c->title, "WHERE") == 0) {
        add_member(out, letter, "partition");
        str_addc(out, ':');
        add_member(out, letter, "offset");
    } else {
        add_member(out, letter, c->member);
    }
}

static void print_rows(const struct deadletters_list *list)
{
    struct column columns[] = {
        {"AT", NULL, 14, 2},         {"WHERE", NULL, 16, 5},
        {"EVENT", "event", 28, 5},   {"TARGET", "target", 20, 6},
        {"REPO", "repo", 24, 4},     {"REASON", "reason", 20, 6},
        {"TRIES", "attempts", 5, 5}, {"LAST RESPONSE", "detail", 60, 13},
    };
    enum { COUNT = sizeof columns / sizeof columns[0] };
    struct str text;
    struct str line;
    str_init(&text);
    str_init(&line);
    for (size_t i = 0; i < list->count * COUNT; i++) {
        struct column *c = &columns[i % COUNT];
        str_clear(&text);
        cell_text(&text, list->rows[i / COUNT].letter, c);
        size_t width = width_of(text.data);
        c->width = width > c->width ? width : c->width;
        c->width = c->width > c->width_max ? c->width_max : c->width;
    }
    for (size_t k = 0; k < COUNT; k++) {
        add_cell(&line, columns[k].title, columns[k].width, k + 1 == COUNT);
    }
    puts(line.data);
    for (size_t i = 0; i < list->count; i++) {
        str_clear(&line);
        for (size_t k = 0; k < COUNT; k++) {
            str_clear(&text);
            cell_text(&text, list->rows[i].letter, &columns[k]);
            add_cell(&line, text.data, columns[k].width, k + 1 == COUNT);
        }
        if (list->rows[i].handled) {
            const char *note = list->rows[i].handled;
            const char *when = strrchr(note, ' ');
            str_addf(&line, "  (%.*s)", when ? (int)(when - note) : 0, note);
        }
        puts(line.data);
    }
    str_release(&line);
    str_release(&text);
}

static void print_groups(const struct deadletters_list *list)
{
    struct str line;
    char oldest[NOW_TEXT_MAX];
    str_init(&line);
    puts("COUNT  REASON                TARGET                OLDEST");
    for (size_t i = 0; i < list->group_count; i++) {
        const struct deadletters_group *group = &list->groups[i];
        struct str text;
        str_init(&text);
        str_clear(&line);
        dlq_add_count(&text, group->count);
        str_addf(&line, "%5s  ", text.data);
        str_clear(&text);
        str_add_plain(&text, group->reason);
        add_cell(&line, text.data, 20, false);
        str_clear(&text);
        str_add_plain(&text, group->target[0] ? group->target : "-");
        add_cell(&line, text.data, 20, false);
        now_rfc3339(group->oldest_ms, oldest);
        add_time(&line, oldest);
        puts(line.data);
        str_release(&text);
    }
    str_release(&line);
}

/* --- list --- */

static void print_list(const struct command_line *line,
                       const struct deadletters_list *list)
{
    struct str text;
    str_init(&text);
    if (list->total == 0) {
        puts("no dead letters");
    } else if (flag_is_set(line, "group-by")) {
        print_groups(list);
    } else {
        print_rows(list);
    }
    if (list->total > (int64_t)list->count && !flag_is_set(line, "group-by")) {
        str_add(&text, "… ");
        dlq_add_count(&text, list->total - (int64_t)list->count);
        str_addf(&text, " more                  --limit %d · --group-by reason · --json",
                 LIST_LIMIT * 10);
        puts(text.data);
    }
    if (list->total > 0) {
        fprintf(stderr,
                "one of them: %s dlq show WHERE    send them again: %s dlq "
                "redrive --target NAME\n",
                line->program->name, line->program->name);
    }
    str_release(&text);
}

int dlq_list_run(const struct command_line *line)
{
    struct letter_filter filter;
    struct deadletters_list list;
    struct ops_place place;
    struct config *config;
    struct err err = ERR_INIT;
    int64_t limit;
    const char *by = flag_value(line, "group-by");
    int code = dlq_read_filter(line, &filter);
    code = code ? code
                : dlq_read_number(line, "limit", 0, LIST_LIMIT_MAX, LIST_LIMIT, &limit);
    if (code == 0 && by && strcmp(by, "reason") != 0) {
        code = command_misused(line, "--group-by \"%.40s\": expected reason", by);
    }
    code = code ? code : dlq_open(line, &config, &place);
    if (code) {
        return code;
    }
    int rc = deadletters_list(&place, &filter, (size_t)limit, now_ms() + DLQ_TIMEOUT_MS,
                              &list, &err);
    if (rc == 0 && flag_is_set(line, "json")) {
        struct json_object *doc = deadletters_list_json(&list);
        dlq_print_json(doc, false);
        json_free(doc);
    } else if (rc == 0) {
        print_list(line, &list);
    }
    if (rc == 0) {
        deadletters_list_release(&list);
    }
    command_close(config, &place);
    return rc ? command_failed(line, rc, &err) : 0;
}

/* --- show --- */

static void print_line(struct json_object *letter, const char *title, const char *name)
{
    struct str text;
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(letter, name, &value) || !value) {
        return;
    }
    str_init(&text);
    str_add_plain(&text, json_object_get_string(value));
    printf("%-11s %s\n", title, text.data);
    str_release(&text);
}

static void print_map(struct json_object *letter, const char *title, const char *name)
{
    struct json_object *map = json_at(letter, name);
    if (!map || json_object_object_length(map) == 0) {
        return;
    }
    printf("%s\n", title);
    json_object_object_foreach(map, key, value)
    {
        struct str text;
        str_init(&text);
        str_add_plain(&text, key);
        str_add(&text, ": ");
        str_add_plain(&text, value ? json_object_get_string(value) : "(null)");
        printf("  %s\n", text.data);
        str_release(&text);
    }
}

static void print_body(struct json_object *letter)
{
    struct json_object *body = json_at(letter, "/body");
    struct str text;
    str_init(&text);
    if (!body) {
        str_add(&text, "(none: a tombstone)");
    } else if (json_object_is_type(body, json_type_string)) {
        str_add_plain(&text, json_object_get_string(body));
    } else {
        json_print_pretty(body, &text);
    }
    printf("body\n%s\n", text.data);
    str_release(&text);
}

static void print_letter(struct json_object *letter)
{
    struct json_object *origin = json_at(letter, "/origin");
    printf("dead letter %lld:%lld\n",
           (long long)json_object_get_int64(json_at(letter, "/partition")),
           (long long)json_object_get_int64(json_at(letter, "/offset")));
    print_line(letter, "event", "event");
    print_line(letter, "repo", "repo");
    print_line(letter, "commit", "commit");
    print_line(letter, "target", "target");
    print_line(letter, "died", "at");
    print_line(letter, "of", "reason");
    print_line(letter, "answer", "detail");
    print_line(letter, "tries", "attempts");
    print_line(letter, "first seen", "first_seen");
    if (origin) {
        printf("%-11s %s[%lld]@%lld\n", "read from",
               json_string_at(origin, "/topic", NULL),
               (long long)json_object_get_int64(json_at(origin, "/partition")),
               (long long)json_object_get_int64(json_at(origin, "/offset")));
    }
    print_line(letter, "cut", "cut");
    print_line(letter, "unreadable", "unreadable");
    print_line(letter, "redrive", "redrive");
    print_line(letter, "redrive of", "redrive_of");
    print_line(letter, "handled", "handled");
    print_map(letter, "story", "/story");
    print_map(letter, "headers", "/headers");
    print_body(letter);
}

int dlq_show_run(const struct command_line *line)
{
    struct ops_place place;
    struct config *config;
    struct json_object *letters = NULL;
    struct err err = ERR_INIT;
    if (line->word_count != 1) {
        return command_misused(line,
                               "which one? Its place as dlq list shows it (0:17), or "
                               "an event's id");
    }
    int code = dlq_open(line, &config, &place);
    if (code) {
        return code;
    }
    int rc = deadletters_show(&place, line->words[0], now_ms() + DLQ_TIMEOUT_MS, &letters,
                              &err);
    command_close(config, &place);
    if (rc) {
        return command_failed(line, rc, &err);
    }
    size_t n = json_object_array_length(letters);
    for (size_t i = 0; i < n; i++) {
        struct json_object *letter = json_object_array_get_idx(letters, i);
        if (flag_is_set(line, "json")) {
            dlq_print_json(letter, true);
        } else {
            printf("%s", i > 0 ? "\n" : "");
            print_letter(letter);
        }
    }
    json_free(letters);
    if (n == 0) {
        fprintf(stderr, "%s: no dead letter \"%.80s\"; see: %s dlq list --handled\n",
                line->program->name, line->words[0], line->program->name);
    }
    return n ? 0 : EXIT_NO;
}

/* --- export --- */

struct export
{
    bool records;
    int64_t written;
    int64_t skipped; /* their value is no document */
};

static bool export_letter(void *arg, struct letter *letter, const char *handled)
{
    (void)handled;
    struct export *e = arg;
    struct json_object *doc = letter_envelope(letter);
    struct json_object *value = json_at(doc, "/value");
    if (e->records) {
        dlq_print_json(doc, false);
    } else if (json_object_is_type(value, json_type_object)) {
        dlq_print_json(value, false);
    } else {
        e->skipped++;
        e->written--;
    }
    e->written++;
    json_free(doc);
    return !ferror(stdout);
}

int dlq_export_run(const struct command_line *line)
{
    struct letter_filter filter;
    struct deadletters_range range;
    struct ops_place place;
    struct config *config;
    struct err err = ERR_INIT;
    struct export e = {.records = flag_is_set(line, "records")};
    int code = dlq_read_filter(line, &filter);
    code = code ? code : dlq_open(line, &config, &place);
    if (code) {
        return code;
    }
    int64_t until_ms = now_ms() + DLQ_TIMEOUT_MS;
    int rc = deadletters_range(&place, until_ms, &range, &err);
    rc = rc ? rc
            : deadletters_walk(&place, &range, &filter, DEADLETTERS_PATIENCE_MS,
                               export_letter, &e, &err);
    command_close(config, &place);
    if (rc) {
        return command_failed(line, rc, &err);
    }
    fprintf(stderr, "%lld exported", (long long)e.written);
    if (e.skipped) {
        fprintf(stderr,
                ", %lld skipped: their bodies are no JSON objects; --records shows them",
                (long long)e.skipped);
    }
    fprintf(stderr, "\n");
    return ferror(stdout) ? EXIT_IO : 0;
}

/* --- drop --- */

static int say_dropped(const struct command_line *line, int64_t n, bool done)
{
    if (flag_is_set(line, "json")) {
        printf("{\"schema\":\"sluice.drop/1\",\"matched\":%lld,\"dropped\":%lld}\n",
               (long long)n, done ? (long long)n : 0LL);
    } else if (done) {
        printf("%lld dropped: noted as dealt with; the records stay in the topic\n",
               (long long)n);
    }
    return 0;
}

int dlq_drop_run(const struct command_line *line)
{
    struct letter_filter filter;
    struct ops_place place;
    struct config *config;
    struct err err = ERR_INIT;
    struct str question;
    int64_t max;
    int64_t n = 0;
    int code = dlq_read_filter(line, &filter);
    code = code ? code : dlq_read_number(line, "max", 1, INT32_MAX, DLQ_MAX, &max);
    struct drop_options options = {max, true, flag_value(line, "why")};
    code = code ? code : dlq_open(line, &config, &place);
    if (code) {
        return code;
    }
    int rc =
        deadletters_drop(&place, &filter, &options, now_ms() + DLQ_TIMEOUT_MS, &n, &err);
    str_init(&question);
    dlq_add_count(&question, n);
    str_addf(&question, " dead letter%s will be noted as dealt with.", n == 1 ? "" : "s");
    bool acts = false;
    options.dry_run = false;
    if (rc == 0 && n > max) {
        code = command_misused(line,
                               "%lld letters match, more than --max %lld: narrow the "
                               "filter or raise it",
                               (long long)n, (long long)max);
    } else if (rc == 0 && n > 0) {
        fprintf(stderr, "%s\n", question.data);
        acts = !flag_is_set(line, "dry-run") && dlq_may_act(line, "Proceed?");
    } else if (rc == 0 && !flag_is_set(line, "json")) {
        puts("no dead letter matches");
    }
    if (acts) {
        rc = deadletters_drop(&place, &filter, &options, now_ms() + DLQ_TIMEOUT_MS, &n,
                              &err);
    }
    str_release(&question);
    command_close(config, &place);
    return rc ? command_failed(line, rc, &err) : code ? code : say_dropped(line, n, acts);
}

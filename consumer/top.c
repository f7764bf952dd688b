/* top: the fleet, drawn again every second. */
#include "commands.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/now.h"
#include "fleet_text.h"
#include "ops/snapshot.h"
#include "terminal.h"
#include "top_act.h"

enum { EVERY_MS = 1000, PATIENCE_MS = 2000 };

/* What is typed on the last row; the questions of an action in their order. */
enum asking { ASK_NOTHING, ASK_FILTER, ASK_WORD, ASK_REASON, ASK_SPAN };

struct top {
    struct ops_place place;
    struct json_object *frame;
    struct fleet_look look;
    const struct command_line *line;
    char filter[ACT_TEXT_MAX];
    struct act act;
    enum asking asking;
    bool help;
    bool over;
};

static const char keys_text[] =
    "\n  q        quit\n"
    "  s        sort by name, lag, rate\n"
    "  /        show only rows whose name holds what you type; Enter keeps, Esc clears\n"
    "  o        partitions with their offsets, or not\n"
    "  ?        this page, or not\n";

static const char acts_text[] =
    "\n  With Shift, for they change something; each asks for a name and a reason, and\n"
    "  runs the command of that name:\n"
    "  P        pause a target    R  resume it    D  drain a consumer\n";

static const char words_text[] =
    "\n  Rows that need a look are starred below the tables, with the next step.\n"
    "  IN/s: events that arrive; OUT/s: events done; P95: of calls, over a minute.\n"
    "  BATCH: the batch of a consumer that is nearest to trouble: units ended / all.\n";

static void take(struct top *top)
{
    json_free(top->frame);
    top->frame = snapshot_take(&top->place,
                               top->look.offsets ? SNAPSHOT_WITH_OFFSETS : SNAPSHOT_REDIS,
                               now_ms() + PATIENCE_MS);
}

/* Where what is typed now goes. */
static char *input_of(struct top *top)
{
    switch (top->asking) {
    case ASK_FILTER:
        return top->filter;
    case ASK_WORD:
        return top->act.word;
    case ASK_REASON:
        return top->act.reason;
    case ASK_SPAN:
        return top->act.span;
    case ASK_NOTHING:
        break;
    }
    return NULL;
}

static void add_question(struct top *top, struct str *line)
{
    if (top->asking == ASK_FILTER) {
        str_addc(line, '/');
    } else if (top->asking == ASK_WORD) {
        str_addf(line, "%s which %s: ", top->act.command->name,
                 strcmp(top->act.command->name, "drain") == 0 ? "consumer" : "target");
    } else if (top->asking == ASK_REASON) {
        str_add(line, "why: ");
    } else {
        str_add(line, "for how long (30m; empty: until it is resumed): ");
    }
    str_addf(line, "%s_", input_of(top));
}

static void add_foot(struct top *top, size_t columns, struct str *foot)
{
    struct str line;
    str_init(&line);
    if (top->asking != ASK_NOTHING) {
        add_question(top, &line);
    } else {
        str_addf(&line, "by %s%s%s · s sort  / filter  o offsets  ? help  q quit",
                 fleet_sort_name(top->look.sort), top->filter[0] ? " · only " : "",
                 top->filter);
    }
    str_add_plain(foot, line.data);
    str_release(&line);
    if (foot->len > columns) { /* mostly ASCII: may be a little shorter than it could */
        size_t at = columns;
        while (at > 0 && ((unsigned char)foot->data[at] & 0xc0) == 0x80) {
            at--;
        }
        foot->len = at;
        foot->data[at] = '\0';
    }
}

static void draw(struct top *top)
{
    size_t rows;
    struct str page;
    struct str foot;
    terminal_size(&rows, &top->look.width);
    str_init(&page);
    str_init(&foot);
    if (top->help) {
        str_add(&page, keys_text);
        str_add(&page, act_for(top->line->program, 'P') ? acts_text : "");
        str_add(&page, words_text);
    } else {
        fleet_text(top->frame, &top->look, &page);
    }
    add_foot(top, top->look.width, &foot);
    terminal_draw(page.data, foot.data);
    str_release(&page);
    str_release(&foot);
}

/* --- keys --- */

static void edit(char *text, int key)
{
    size_t len = strlen(text);
    if (key == KEY_BACKSPACE && len > 0) {
        do {
            len--;
        } while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80);
        text[len] = '\0';
    } else if (key >= ' ' && key != KEY_BACKSPACE && len + 1 < ACT_TEXT_MAX) {
        text[len] = (char)key;
        text[len + 1] = '\0';
    }
}

/* Run it below what was on the terminal before, and wait for a key. */
static void act(struct top *top)
{
    int key;
    int number;
    terminal_leave();
    act_run(&top->act, top->line);
    printf("\nAny key goes back.\n");
    fflush(stdout);
    if (terminal_keys() == 0 &&
        terminal_wait(NOW_FOREVER, &key, &number) == TERMINAL_END) {
        top->over = true;
    }
    terminal_leave();
    top->over = terminal_enter() != 0 || top->over;
    take(top);
}

/* Enter: the next question that the command has a flag for, or the command. */
static void answered(struct top *top)
{
    if (top->asking == ASK_FILTER || top->act.word[0] == '\0') {
        top->asking = ASK_NOTHING;
    } else if (top->asking == ASK_WORD && act_takes(&top->act, "reason")) {
        top->asking = ASK_REASON;
    } else if (top->asking < ASK_SPAN && act_takes(&top->act, "for")) {
        top->asking = ASK_SPAN;
    } else {
        top->asking = ASK_NOTHING;
        act(top);
    }
}

static void type(struct top *top, int key)
{
    if (key == KEY_ENTER) {
        answered(top);
    } else if (key == KEY_ESCAPE) {
        input_of(top)[0] = '\0';
        top->asking = ASK_NOTHING;
    } else {
        edit(input_of(top), key);
    }
}

static void press(struct top *top, int key)
{
    if (key == KEY_CTRL_C) {
        top->over = true;
    } else if (top->asking != ASK_NOTHING) {
        type(top, key);
    } else if (key == 'q') {
        top->over = true;
    } else if (key == 's') {
        top->look.sort = (top->look.sort + 1) % FLEET_SORTS;
    } else if (key == '/') {
        top->asking = ASK_FILTER;
    } else if (key == 'o') {
        top->look.offsets = !top->look.offsets;
        take(top);
    } else if (key == '?') {
        top->help = !top->help;
    } else if (key == KEY_ESCAPE) {
        top->filter[0] = '\0';
        top->help = false;
    } else if (act_for(top->line->program, key)) {
        top->act = (struct act){.command = act_for(top->line->program, key)};
        top->asking = ASK_WORD;
    }
}

/* --- the loop --- */

/* Returns the signal that ended it, or 0. */
static int play(struct top *top)
{
    int number = 0;
    int key = 0;
    int64_t next_ms = now_ms() + EVERY_MS;
    take(top);
    while (!top->over) {
        draw(top);
        switch (terminal_wait(next_ms, &key, &number)) {
        case TERMINAL_TIME:
            take(top);
            next_ms = now_ms() + EVERY_MS;
            break;
        case TERMINAL_KEY:
            press(top, key);
            break;
        case TERMINAL_DRAW:
            break;
        case TERMINAL_END:
            top->over = true;
            break;
        }
    }
    return number;
}

int top_run(const struct command_line *line)
{
    struct config *config;
    struct top top = {.line = line};
    if (flag_is_set(line, "json") || !terminal_is_there() || terminal_prepare()) {
        return status_run(line);
    }
    int code = command_open(line, &config, &top.place);
    if (code) {
        return code;
    }
    top.look =
        (struct fleet_look){.paint = paint_for(line, stdout), .filter = top.filter};
    int number = terminal_enter() ? SIGHUP : play(&top);
    terminal_leave();
    json_free(top.frame);
    command_close(config, &top.place);
    return number == 0 || number == SIGINT ? 0 : 128 + number;
}

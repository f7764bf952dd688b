/* top: the fleet, drawn again every second. */
#include "commands.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/now.h"
#include "fleet_text.h"
#include "ops/snapshot.h"
#include "terminal.h"

enum { EVERY_MS = 1000, PATIENCE_MS = 2000, INPUT_MAX = 64 };

struct top {
    struct ops_place place;
    struct json_object *frame;
    struct fleet_look look;
    char filter[INPUT_MAX];
    bool typing; /* the filter */
    bool help;
    bool over;
};

static const char help_text[] =
    "\n  q        quit\n"
    "  s        sort by name, lag, rate\n"
    "  /        show only rows whose name holds what you type; Enter keeps, Esc clears\n"
    "  o        partitions with their offsets, or not\n"
    "  ?        this page, or not\n"
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

static void add_foot(const struct top *top, size_t columns, struct str *foot)
{
    struct str line;
    str_init(&line);
    if (top->typing) {
        str_addf(&line, "/%s_", top->filter);
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
        str_add(&page, help_text);
    } else {
        fleet_text(top->frame, &top->look, &page);
    }
    add_foot(top, top->look.width, &foot);
    terminal_draw(page.data, foot.data);
    str_release(&page);
    str_release(&foot);
}

/* --- keys --- */

static void type(struct top *top, int key)
{
    size_t len = strlen(top->filter);
    if (key == KEY_ENTER) {
        top->typing = false;
    } else if (key == KEY_ESCAPE) {
        top->typing = false;
        top->filter[0] = '\0';
    } else if (key == KEY_BACKSPACE && len > 0) {
        do {
            len--;
        } while (len > 0 && ((unsigned char)top->filter[len] & 0xc0) == 0x80);
        top->filter[len] = '\0';
    } else if (key >= ' ' && key != KEY_BACKSPACE && len + 1 < sizeof top->filter) {
        top->filter[len] = (char)key;
        top->filter[len + 1] = '\0';
    }
}

static void press(struct top *top, int key)
{
    if (key == KEY_CTRL_C) {
        top->over = true;
    } else if (top->typing) {
        type(top, key);
    } else if (key == 'q') {
        top->over = true;
    } else if (key == 's') {
        top->look.sort = (top->look.sort + 1) % FLEET_SORTS;
    } else if (key == '/') {
        top->typing = true;
    } else if (key == 'o') {
        top->look.offsets = !top->look.offsets;
        take(top);
    } else if (key == '?') {
        top->help = !top->help;
    } else if (key == KEY_ESCAPE) {
        top->filter[0] = '\0';
        top->help = false;
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
    struct top top = {.frame = NULL};
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

/* A terminal as a page that is drawn again and again, and its keys.
 *
 * While it is entered keys come one by one, unechoed, on the alternate screen. Whatever
 * ends the process in an orderly way gives the terminal back first: signals are read like
 * keys, exit() leaves too. One per process, one thread. */
#ifndef CONSUMER_TERMINAL_H
#define CONSUMER_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum terminal_event {
    TERMINAL_TIME, /* until_ms has come */
    TERMINAL_KEY,
    TERMINAL_DRAW, /* the size changed, or the page was lost: draw it again */
    TERMINAL_END,  /* a signal, or the terminal went away */
};

enum { KEY_ENTER = '\r', KEY_ESCAPE = 27, KEY_BACKSPACE = 127, KEY_CTRL_C = 3 };

/* Are both standard input and output terminals that can be drawn on? */
bool terminal_is_there(void);

/* Listen to signals from now on; before other threads start, for they inherit that.
 * Returns 0 or -EIO. */
int terminal_prepare(void);

int terminal_enter(void);  /* returns 0 or -EIO */
int terminal_keys(void);   /* the keys alone, without a page; terminal_leave ends it */
void terminal_leave(void); /* harmless when not entered */

void terminal_size(size_t *rows, size_t *columns);

/* Draw a page: at most rows - 1 lines of it, and `foot` on the last row. */
void terminal_draw(const char *page, const char *foot);

/* key: out, a byte; number: out, the signal that ended it, 0 for none. */
enum terminal_event terminal_wait(int64_t until_ms, int *key, int *number);

#endif

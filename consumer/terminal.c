#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "base/now.h"
#include "base/str.h"

enum { ROWS = 24, COLUMNS = 80, CTRL_Z = 26 };

/* alternate screen, no cursor; and back */
static const char enter_text[] = "\033[?1049h\033[?25l";
static const char leave_text[] = "\033[?25h\033[?1049l";

static struct {
    bool entered; /* the alternate screen */
    bool keys;    /* come one by one */
    int signals;  /* descriptor */
    struct termios before;
} terminal = {.signals = -1};

bool terminal_is_there(void)
{
    const char *term = getenv("TERM");
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && term[0] &&
           strcmp(term, "dumb") != 0;
}

static void put(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, text, len);
        if (n <= 0 && errno != EINTR) {
            return; /* it went away: terminal_wait will say so */
        }
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

void terminal_leave(void)
{
    if (terminal.entered) {
        terminal.entered = false;
        put(leave_text, sizeof leave_text - 1);
    }
    if (terminal.keys) {
        terminal.keys = false;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal.before);
    }
}

int terminal_prepare(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sigaddset(&set, numbers[i]);
    }
    MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
    terminal.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    bool good = terminal.signals >= 0 && tcgetattr(STDIN_FILENO, &terminal.before) == 0;
    MUST(atexit(terminal_leave));
    return good ? 0 : -EIO;
}

/* One byte at a time; Ctrl-C and Ctrl-Z come as bytes, too. */
int terminal_keys(void)
{
    struct termios raw = terminal.before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    terminal.keys = tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) == 0;
    return terminal.keys ? 0 : -EIO;
}

int terminal_enter(void)
{
    if (terminal_keys()) {
        return -EIO;
    }
    put(enter_text, sizeof enter_text - 1);
    terminal.entered = true;
    return 0;
}

void terminal_size(size_t *rows, size_t *columns)
{
    struct winsize size = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
    *rows = known ? size.ws_row : ROWS;
    *columns = known && size.ws_col > 0 ? size.ws_col : COLUMNS;
}

void terminal_draw(const char *page, const char *foot)
{
    size_t rows;
    size_t columns;
    struct str out;
    terminal_size(&rows, &columns);
    str_init(&out);
    str_add(&out, "\033[H");
    for (size_t i = 0; i + 1 < rows && *page; i++) {
        size_t len = strcspn(page, "\n");
        str_put(&out, page, len);
        str_add(&out, "\033[K\n"); /* what the page before left there */
        page += len + (page[len] == '\n');
    }
    str_addf(&out, "\033[J\033[%zu;1H%s\033[K", rows, foot);
    put(out.data, out.len);
    str_release(&out);
}

/* Stop like other programs do, with the terminal given back meanwhile. */
static void suspend(void)
{
    terminal_leave();
    (void)raise(SIGSTOP);
    (void)terminal_enter();
}

static enum terminal_event read_signal(int *number)
{
    struct signalfd_siginfo info;
    if (read(terminal.signals, &info, sizeof info) != sizeof info) {
        return TERMINAL_DRAW;
    }
    if (info.ssi_signo == SIGTSTP) {
        suspend();
    } else if (info.ssi_signo != SIGWINCH) {
        *number = (int)info.ssi_signo;
        return TERMINAL_END;
    }
    return TERMINAL_DRAW;
}

static enum terminal_event read_key(int *key)
{
    unsigned char byte;
    ssize_t n = read(STDIN_FILENO, &byte, 1);
    if (n != 1) {
        return n < 0 && errno == EINTR ? TERMINAL_DRAW : TERMINAL_END;
    }
    if (byte == CTRL_Z) {
        suspend();
        return TERMINAL_DRAW;
    }
    *key = byte == '\n' ? KEY_ENTER : byte == '\b' ? KEY_BACKSPACE : byte;
    return TERMINAL_KEY;
}

enum terminal_event terminal_wait(int64_t until_ms, int *key, int *number)
{
    struct pollfd fds[] = {{.fd = terminal.signals, .events = POLLIN},
                           {.fd = STDIN_FILENO, .events = POLLIN}};
    int64_t left_ms = until_ms - now_ms();
    *key = 0;
    *number = 0;
    int wait_ms = until_ms == NOW_FOREVER ? -1 : left_ms > 0 ? (int)left_ms : 0;
    int n = poll(fds, 2, wait_ms);
    if (n <= 0) {
        return TERMINAL_TIME;
    }
    return fds[0].revents ? read_signal(number) : read_key(key);
}

/* A program of commands: which flags each takes, how they are read, and its help.
 *
 * `program_main` reads the words of argv against one table of commands. Flags stand
 * before or after the command; "--name value", "--name=value", "-n value", "-nvalue",
 * bundled switches "-qv"; "--" ends them and "-" is a word. A command's name may be two
 * words ("config show"). Help and usage errors come from the same table. Everything is
 * borrowed from the tables and argv. One thread. */
#ifndef BASE_COMMAND_H
#define BASE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* sysexits, by the names this house uses */
enum {
    EXIT_NO = 1,           /* the answer is "no" */
    EXIT_USAGE = 64,       /* wrong flags or words */
    EXIT_DATA = 65,        /* bad event data */
    EXIT_NO_INPUT = 66,    /* a file that is missing or unreadable */
    EXIT_UNAVAILABLE = 69, /* Kafka, Redis or a target cannot be reached */
    EXIT_CANT_CREATE = 73,
    EXIT_IO = 74,
    EXIT_AGAIN = 75,   /* trying again may help */
    EXIT_FENCED = 76,  /* put out by the group */
    EXIT_REFUSED = 77, /* authentication or permission */
    EXIT_CONFIG = 78,  /* the configuration is invalid */
};

enum { COMMAND_FLAGS_MAX = 128, COMMAND_WORDS_MAX = 256 };

struct flag {
    const char *name;  /* "config": --config */
    char letter;       /* 'c': -c; 0: none */
    const char *value; /* what it takes, for help: "FILE"; NULL: a switch */
    const char *help;  /* one sentence, no full stop */
};

struct command_line;

struct command {
    const char *name;         /* "check", "config show" */
    const char *words;        /* what may follow, for help: "[FILE...]"; NULL: nothing */
    size_t words_max;         /* how many words may follow */
    const char *summary;      /* one line for the list; NULL: not listed */
    const char *details;      /* further paragraphs for its own help; may be NULL */
    const struct flag *flags; /* its own, ended by one without a name; may be NULL */
    int (*run)(const struct command_line *line); /* returns the exit code */
};

struct program {
    const char *name; /* "sluice-consumer" */
    const char *summary;
    const struct command *commands; /* ended by one without a name */
    const struct flag *flags;       /* taken by every command; ended the same way */
    /* A word after `help` that is no command ("SL-C02"): print about it and return true.
     */
    bool (*help_topic)(const char *word, FILE *out);
};

struct flag_use {
    const struct flag *flag;
    const char *value; /* "" for a switch */
};

struct command_line {
    const struct program *program;
    const struct command *command;
    struct flag_use flags[COMMAND_FLAGS_MAX]; /* in order */
    size_t flag_count;
    const char *words[COMMAND_WORDS_MAX]; /* after the command */
    size_t word_count;
};

/* Read argv, run the command, return the exit code. `--help` and `help [COMMAND]` are
 * answered here; `--version` runs the command "version". */
int program_main(const struct program *program, int argc, char **argv);

/* The same without running: the parser alone.
 * Returns 0, or EXIT_USAGE with a message of at most `len` bytes. */
int command_parse(const struct program *program, int argc, char **argv,
                  struct command_line *line, char *message, size_t len);

bool flag_is_set(const struct command_line *line, const char *name);
const char *flag_value(const struct command_line *line,
                       const char *name); /* the last one; NULL: not given */
/* The i-th use of a flag that repeats, or NULL. */
const char *flag_value_at(const struct command_line *line, const char *name, size_t i);

/* Say what is wrong with the words on stderr, and where help is. Returns EXIT_USAGE. */
int command_misused(const struct command_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

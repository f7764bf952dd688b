#include "base/command.h"

#include <stdarg.h>
#include <string.h>

#include "base/str.h"

/* --- the tables --- */

static const struct flag *find_long(const struct flag *flags, const char *name,
                                    size_t len)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        if (strlen(flags->name) == len && memcmp(flags->name, name, len) == 0) {
            return flags;
        }
    }
    return NULL;
}

static const struct flag *find_letter(const struct flag *flags, char letter)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        if (flags->letter == letter) {
            return flags;
        }
    }
    return NULL;
}

static const struct flag help_flag = {"help", 'h', NULL, "Say what this command does"};
static const struct flag version_flag = {"version", 'V', NULL, "Print the version"};

/* `arg` begins with '-'. value: out, what follows "=" or the letter, else NULL.
 * command  NULL while it is not known yet: then any command's flags are looked at, for
 *          whether they take a value.
 * Returns NULL when there is no such flag. */
static const struct flag *find_flag(const struct program *program,
                                    const struct command *command, const char *arg,
                                    const char **value)
{
    bool is_long = arg[1] == '-';
    size_t len = is_long ? strcspn(arg + 2, "=") : 1;
    *value = is_long ? (arg[2 + len] == '=' ? arg + 3 + len : NULL)
                     : (arg[2] != '\0' ? arg + 2 : NULL);
    const struct flag *own[] = {&help_flag, &version_flag};
    for (size_t i = 0; i < 2; i++) {
        if (is_long
                ? strlen(own[i]->name) == len && memcmp(own[i]->name, arg + 2, len) == 0
                : own[i]->letter == arg[1]) {
            return own[i];
        }
    }
    const struct flag *flag = is_long ? find_long(program->flags, arg + 2, len)
                                      : find_letter(program->flags, arg[1]);
    const struct command *c = command != NULL ? command : program->commands;
    for (; flag == NULL && c->name != NULL; c++) {
        flag =
            is_long ? find_long(c->flags, arg + 2, len) : find_letter(c->flags, arg[1]);
        if (command != NULL) {
            break;
        }
    }
    return flag;
}

/* --- which command is it? --- */

static const struct command *find_command(const struct program *program, const char *name)
{
    for (const struct command *c = program->commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

/* The words of argv with the flags and their values left out. */
static size_t list_words(const struct program *program, int argc, char **argv,
                         const char *words[2])
{
    size_t n = 0;
    for (int i = 1; i < argc && n < 2; i++) {
        if (strcmp(argv[i], "--") == 0) {
            break;
        }
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            words[n++] = argv[i];
            continue;
        }
        const char *value;
        const struct flag *flag = find_flag(program, NULL, argv[i], &value);
        if (flag != NULL && flag->value != NULL && value == NULL) {
            i++;
        }
    }
    return n;
}

/* Two words before one. taken: out, how many words its name has. */
static const struct command *choose(const struct program *program, const char *words[2],
                                    size_t n, size_t *taken)
{
    char both[64];
    if (n == 2) {
        snprintf(both, sizeof both, "%s %s", words[0], words[1]);
        const struct command *command = find_command(program, both);
        *taken = 2;
        if (command != NULL) {
            return command;
        }
    }
    *taken = 1;
    return find_command(program, words[0]);
}

static void suggest_command(const struct program *program, const char *word,
                            char *message, size_t len)
{
    const char *names[64];
    size_t n = 0;
    struct str group;
    str_init(&group);
    for (const struct command *c = program->commands; c->name != NULL && n < 64; c++) {
        if (c->summary != NULL) {
            names[n++] = c->name;
        }
        size_t word_len = strlen(word);
        if (strncmp(c->name, word, word_len) == 0 && c->name[word_len] == ' ') {
            str_addf(&group, "%s%s", group.len > 0 ? ", " : "", c->name);
        }
    }
    const char *near = text_nearest(word, names, n);
    if (group.len > 0) {
        snprintf(message, len, "\"%s\" needs one more word: %s", word, group.data);
    } else {
        snprintf(message, len, "unknown command \"%s\"%s%s%s", word,
                 near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                 near != NULL ? "\"?)" : "");
    }
    str_release(&group);
}

/* --- reading --- */

static int unknown_flag(const struct program *program, const struct command *command,
                        const char *arg, char *message, size_t len)
{
    const char *names[COMMAND_FLAGS_MAX];
    char word[64];
    size_t n = 0;
    const struct flag *sets[] = {program->flags, command->flags};
    for (size_t s = 0; s < 2; s++) {
        for (const struct flag *f = sets[s];
             f != NULL && f->name != NULL && n < COMMAND_FLAGS_MAX; f++) {
            names[n++] = f->name;
        }
    }
    snprintf(word, sizeof word, "%.*s", (int)strcspn(arg + 2, "="),
             arg[1] == '-' ? arg + 2 : "");
    const char *near = arg[1] == '-' ? text_nearest(word, names, n) : NULL;
    snprintf(message, len, "\"%s\" does not take %s%s%s%s", command->name, arg,
             near != NULL ? " (did you mean --" : "", near != NULL ? near : "",
             near != NULL ? "?)" : "");
    return EXIT_USAGE;
}

static int add_flag(struct command_line *line, const struct flag *flag, const char *value,
                    char *message, size_t len)
{
    if (line->flag_count == COMMAND_FLAGS_MAX) {
        snprintf(message, len, "more than %d flags", COMMAND_FLAGS_MAX);
        return EXIT_USAGE;
    }
    line->flags[line->flag_count++] = (struct flag_use){flag, value};
    return 0;
}

/* Read the flag at argv[*i], and its value with it. */
static int read_flag(struct command_line *line, int argc, char **argv, int *i,
                     char *message, size_t len)
{
    const char *arg = argv[*i];
    const char *value;
    const struct flag *flag = find_flag(line->program, line->command, arg, &value);
    if (flag == NULL) {
        return unknown_flag(line->program, line->command, arg, message, len);
    }
    if (flag->value != NULL && value == NULL) {
        (*i)++;
        value = *i < argc ? argv[*i] : NULL;
        if (value == NULL) {
            snprintf(message, len, "%s needs a value: %s", arg, flag->value);
            return EXIT_USAGE;
        }
    }
    bool bundle = flag->value == NULL && value != NULL && arg[1] != '-';
    if (flag->value == NULL && value != NULL && !bundle) {
        snprintf(message, len, "--%s takes no value", flag->name);
        return EXIT_USAGE;
    }
    int rc = add_flag(line, flag, flag->value != NULL ? value : "", message, len);
    for (const char *c = bundle ? value : ""; rc == 0 && *c != '\0'; c++) {
        char one[] = {'-', *c, '\0'};
        const char *none;
        const struct flag *next = find_flag(line->program, line->command, one, &none);
        if (next == NULL || next->value != NULL) {
            return unknown_flag(line->program, line->command, arg, message, len);
        }
        rc = add_flag(line, next, "", message, len);
    }
    return rc;
}

static int add_word(struct command_line *line, const char *word, char *message,
                    size_t len)
{
    if (line->word_count >= line->command->words_max ||
        line->word_count == COMMAND_WORDS_MAX) {
        snprintf(message, len, "\"%s\" does not take \"%s\"", line->command->name, word);
        return EXIT_USAGE;
    }
    line->words[line->word_count++] = word;
    return 0;
}

int command_parse(const struct program *program, int argc, char **argv,
                  struct command_line *line, char *message, size_t len)
{
    const char *words[2];
    size_t skip;
    memset(line, 0, sizeof *line);
    line->program = program;
    size_t n = list_words(program, argc, argv, words);
    if (n == 0) {
        snprintf(message, len, "which command?");
        return EXIT_USAGE;
    }
    line->command = choose(program, words, n, &skip);
    if (line->command == NULL) {
        suggest_command(program, words[0], message, len);
        return EXIT_USAGE;
    }
    int rc = 0;
    bool flags = true;
    for (int i = 1; i < argc && rc == 0; i++) {
        if (flags && strcmp(argv[i], "--") == 0) {
            flags = false;
        } else if (flags && argv[i][0] == '-' && argv[i][1] != '\0') {
            rc = read_flag(line, argc, argv, &i, message, len);
        } else if (skip > 0) {
            skip--;
        } else {
            rc = add_word(line, argv[i], message, len);
        }
    }
    return rc;
}

/* --- asking --- */

const char *flag_value_at(const struct command_line *line, const char *name, size_t i)
{
    for (size_t k = 0; k < line->flag_count; k++) {
        if (strcmp(line->flags[k].flag->name, name) == 0 && i-- == 0) {
            return line->flags[k].value;
        }
    }
    return NULL;
}

const char *flag_value(const struct command_line *line, const char *name)
{
    const char *last = NULL;
    for (size_t k = 0; k < line->flag_count; k++) {
        if (strcmp(line->flags[k].flag->name, name) == 0) {
            last = line->flags[k].value;
        }
    }
    return last;
}

bool flag_is_set(const struct command_line *line, const char *name)
{
    return flag_value(line, name) != NULL;
}

int command_misused(const struct command_line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", line->program->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\ntry: %s help %s\n", line->program->name, line->command->name);
    va_end(args);
    return EXIT_USAGE;
}

/* --- help --- */

static void print_flags(FILE *out, const struct flag *flags)
{
    for (const struct flag *f = flags; f != NULL && f->name != NULL; f++) {
        char left[64];
        char letter[] = {'-', f->letter, ',', ' ', '\0'};
        snprintf(left, sizeof left, "%s--%s%s%s", f->letter != 0 ? letter : "    ",
                 f->name, f->value != NULL ? " " : "", f->value != NULL ? f->value : "");
        fprintf(out, "  %-28s %s\n", left, f->help);
    }
}

static void print_program(const struct program *program, FILE *out)
{
    fprintf(out, "%s\n\nusage: %s COMMAND [flags]\n\ncommands:\n", program->summary,
            program->name);
    for (const struct command *c = program->commands; c->name != NULL; c++) {
        if (c->summary != NULL) {
            fprintf(out, "  %-16s %s\n", c->name, c->summary);
        }
    }
    fprintf(out, "\nflags for all of them:\n");
    print_flags(out, program->flags);
    print_flags(out, (const struct flag[]){help_flag, version_flag, {.name = NULL}});
    fprintf(out, "\n%s help COMMAND says more.\n", program->name);
}

static void print_command(const struct program *program, const struct command *command,
                          FILE *out)
{
    fprintf(out, "%s\n\nusage: %s %s%s%s [flags]\n",
            command->summary != NULL ? command->summary : "For our own use.",
            program->name, command->name, command->words != NULL ? " " : "",
            command->words != NULL ? command->words : "");
    if (command->details != NULL) {
        fprintf(out, "\n%s\n", command->details);
    }
    if (command->flags != NULL) {
        fprintf(out, "\nflags:\n");
        print_flags(out, command->flags);
    }
    if (program->flags[0].name != NULL) {
        fprintf(out, "\nflags for all commands:\n");
        print_flags(out, program->flags);
    }
}

/* Commands whose first word this is: "config" -> "config show", ... */
static bool print_group(const struct program *program, const char *word, FILE *out)
{
    bool any = false;
    for (const struct command *c = program->commands; c->name != NULL; c++) {
        size_t len = strlen(word);
        if (strncmp(c->name, word, len) == 0 && c->name[len] == ' ') {
            fprintf(out, "  %-16s %s\n", c->name, c->summary);
            any = true;
        }
    }
    return any;
}

static int help(const struct program *program, const struct command_line *line)
{
    const char *words[2] = {line->words[0], line->words[1]};
    size_t taken;
    if (line->word_count == 0) {
        print_program(program, stdout);
        return 0;
    }
    const struct command *command = choose(program, words, line->word_count, &taken);
    if (command != NULL) {
        print_command(program, command, stdout);
        return 0;
    }
    bool group = print_group(program, words[0], stdout);
    bool topic = program->help_topic != NULL && program->help_topic(words[0], stdout);
    if (topic || group) {
        return 0;
    }
    char message[256];
    suggest_command(program, words[0], message, sizeof message);
    return command_misused(line, "%s", message);
}

static int usage_error(const struct program *program, const struct command *command,
                       const char *message)
{
    fprintf(stderr, "%s: %s\n", program->name, message);
    fprintf(stderr, "try: %s help%s%s\n", program->name, command != NULL ? " " : "",
            command != NULL ? command->name : "");
    return EXIT_USAGE;
}

int program_main(const struct program *program, int argc, char **argv)
{
    struct command_line line;
    char message[512];
    int rc = command_parse(program, argc, argv, &line, message, sizeof message);
    bool bare = line.command == NULL && argc == 2;
    if (bare && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_program(program, stdout);
        return 0;
    }
    if (bare && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
        line.command = find_command(program, "version");
        return line.command->run(&line);
    }
    if (line.command != NULL && flag_is_set(&line, "help")) {
        print_command(program, line.command, stdout);
        return 0;
    }
    if (rc != 0 || line.command == NULL) {
        return usage_error(program, line.command, message);
    }
    if (line.command->run == NULL) { /* the one that is answered here */
        return help(program, &line);
    }
    return line.command->run(&line);
}

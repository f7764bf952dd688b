/* Design. bash and zsh share one function: zsh runs it through its own bashcompinit. A
 * command is found in the words before the cursor, its flags are offered after a dash,
 * and files elsewhere. */
#include "base/completion.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* "_sluice_consumer" */
static void print_function_name(const struct program *program, FILE *out)
{
    fputc('_', out);
    for (const char *p = program->name; *p; p++) {
        fputc(*p == '-' ? '_' : *p, out);
    }
}

static void print_flag_words(const struct flag *flags, FILE *out)
{
    for (const struct flag *f = flags; f && f->name; f++) {
        fprintf(out, " --%s", f->name);
    }
}

static size_t first_word_len(const struct command *command)
{
    return strcspn(command->name, " ");
}

/* Is this the first command that begins with its first word? */
static bool is_first_of_group(const struct program *program,
                              const struct command *command)
{
    size_t len = first_word_len(command);
    for (const struct command *c = program->commands; c != command; c++) {
        if (c->summary && first_word_len(c) == len &&
            strncmp(c->name, command->name, len) == 0) {
            return false;
        }
    }
    return command->summary != NULL;
}

/* What may follow the words so far: " show init schema" after "config". */
static void print_second_words(const struct program *program, const char *first,
                               size_t len, FILE *out)
{
    for (const struct command *c = program->commands; c->name; c++) {
        if (c->summary && first_word_len(c) == len && c->name[len] == ' ' &&
            strncmp(c->name, first, len) == 0) {
            fprintf(out, " %s", c->name + len + 1);
        }
    }
}

static void print_bash_cases(const struct program *program, FILE *out)
{
    for (const struct command *c = program->commands; c->name; c++) {
        if (c->summary && strchr(c->name, ' ')) {
            fprintf(out, "    '%s'*) flags='", c->name);
            print_flag_words(c->flags, out);
            fprintf(out, "' ;;\n");
        }
    }
    for (const struct command *c = program->commands; c->name; c++) {
        if (is_first_of_group(program, c)) {
            int len = (int)first_word_len(c);
            fprintf(out, "    '%.*s'*) words='", len, c->name);
            print_second_words(program, c->name, (size_t)len, out);
            fprintf(out, "' flags='");
            if (c->name[len] == '\0') {
                print_flag_words(c->flags, out);
            }
            fprintf(out, "' ;;\n");
        }
    }
}

static void print_bash(const struct program *program, FILE *out)
{
    print_function_name(program, out);
    fprintf(out,
            "() {\n"
            "    local cur=\"${COMP_WORDS[COMP_CWORD]}\" command='' words='' flags='' i\n"
            "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
            "        [[ ${COMP_WORDS[i]} == -* ]] ||\n"
            "            command+=\"${command:+ }${COMP_WORDS[i]}\"\n"
            "    done\n"
            "    case \"$command\" in\n"
            "    '') words='");
    for (const struct command *c = program->commands; c->name; c++) {
        if (is_first_of_group(program, c)) {
            fprintf(out, " %.*s", (int)first_word_len(c), c->name);
        }
    }
    fprintf(out, "' ;;\n");
    print_bash_cases(program, out);
    fprintf(out, "    esac\n    [[ $cur == -* ]] && words=\"$flags");
    print_flag_words(program->flags, out);
    fprintf(out, " --help\"\n"
                 "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                 "}\ncomplete -o default -F ");
    print_function_name(program, out);
    fprintf(out, " %s\n", program->name);
}

/* --- fish --- */

/* Inside single quotes. */
static void print_quoted(const char *text, FILE *out)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\'' || *p == '\\') {
            fputc('\\', out);
        }
        fputc(*p, out);
    }
}

static void print_fish_flags(const struct program *program, const char *condition,
                             const struct flag *flags, FILE *out)
{
    for (const struct flag *f = flags; f && f->name; f++) {
        fprintf(out, "complete -c %s%s", program->name, condition);
        if (f->letter) {
            fprintf(out, " -s %c", f->letter);
        }
        fprintf(out, " -l %s%s -d '", f->name, f->value ? " -r" : "");
        print_quoted(f->help, out);
        fprintf(out, "'\n");
    }
}

static void print_fish_command(const struct program *program, const struct command *c,
                               FILE *out)
{
    char condition[256];
    int len = (int)first_word_len(c);
    const char *second = c->name[len] ? c->name + len + 1 : NULL;
    if (second) {
        fprintf(out, "complete -c %s -n '__fish_seen_subcommand_from %.*s' -a %s -d '",
                program->name, len, c->name, second);
    } else {
        fprintf(out, "complete -c %s -n __fish_use_subcommand -a %s -d '", program->name,
                c->name);
    }
    print_quoted(c->summary, out);
    fprintf(out, "'\n");
    snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'",
             second ? second : c->name);
    print_fish_flags(program, condition, c->flags, out);
}

static void print_fish(const struct program *program, FILE *out)
{
    for (const struct command *c = program->commands; c->name; c++) {
        size_t len = first_word_len(c);
        if (is_first_of_group(program, c) && c->name[len]) {
            fprintf(out, "complete -c %s -n __fish_use_subcommand -a %.*s\n",
                    program->name, (int)len, c->name);
        }
        if (c->summary) {
            print_fish_command(program, c, out);
        }
    }
    print_fish_flags(program, "", program->flags, out);
}

int completion_print(const struct program *program, const char *shell, FILE *out)
{
    if (strcmp(shell, "bash") == 0) {
        print_bash(program, out);
    } else if (strcmp(shell, "zsh") == 0) {
        fprintf(out, "#compdef %s\nautoload -U +X bashcompinit && bashcompinit\n",
                program->name);
        print_bash(program, out);
    } else if (strcmp(shell, "fish") == 0) {
        print_fish(program, out);
    } else {
        return -EINVAL;
    }
    return 0;
}

int completion_run(const struct command_line *line)
{
    if (line->word_count != 1 ||
        completion_print(line->program, line->words[0], stdout)) {
        return command_misused(line, "completion for which shell: bash, zsh or fish?");
    }
    return 0;
}

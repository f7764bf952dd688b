#include "top_act.h"

#include <string.h>

enum { WORDS_MAX = 64, MESSAGE_MAX = 256 };

const struct command *act_for(const struct program *program, int key)
{
    const char *name = key == 'P'   ? "pause"
                       : key == 'R' ? "resume"
                       : key == 'D' ? "drain"
                                    : NULL;
    for (const struct command *c = program->commands; name && c->name; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

bool act_takes(const struct act *act, const char *flag)
{
    for (const struct flag *f = act->command->flags; f && f->name; f++) {
        if (strcmp(f->name, flag) == 0) {
            return true;
        }
    }
    return false;
}

/* Where to look and how to connect: what was said to top holds for the command. */
static bool is_passed_on(const struct flag *flag)
{
    return strcmp(flag->name, "config") == 0 || strcmp(flag->name, "set") == 0 ||
           strcmp(flag->name, "property") == 0;
}

void act_run(const struct act *act, const struct command_line *line)
{
    char names[WORDS_MAX][32];
    const char *argv[2 * WORDS_MAX + 8] = {line->program->name, act->command->name};
    struct command_line call;
    char message[MESSAGE_MAX];
    size_t n = 2;
    size_t used = 0;
    for (size_t i = 0; i < line->flag_count && used < WORDS_MAX; i++) {
        if (is_passed_on(line->flags[i].flag)) {
            snprintf(names[used], sizeof names[used], "--%s", line->flags[i].flag->name);
            argv[n++] = names[used++];
            argv[n++] = line->flags[i].value;
        }
    }
    if (act->reason[0]) {
        argv[n++] = "--reason";
        argv[n++] = act->reason;
    }
    if (act->span[0]) {
        argv[n++] = "--for";
        argv[n++] = act->span;
    }
    argv[n++] = "--";
    argv[n++] = act->word;
    printf("$ %s %s %s\n", line->program->name, act->command->name, act->word);
    if (command_parse(line->program, (int)n, (char **)argv, &call, message,
                      sizeof message)) {
        printf("%s\n", message);
    } else {
        call.command->run(&call);
    }
    fflush(stdout);
}

/* Opening the place an operator's command stands on, and saying what went wrong there. */
#include "commands.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"

extern char **environ;

int command_failed(const struct command_line *line, int rc, const struct err *err)
{
    fprintf(stderr, "%s %s: %s\n", line->program->name, line->command->name, err->text);
    switch (rc) {
    case -EACCES:
        return EXIT_REFUSED;
    case -EBADMSG:
        return EXIT_DATA;
    case -EINVAL:
    case -ENOENT:
        return EXIT_CONFIG;
    default:
        return EXIT_UNAVAILABLE;
    }
}

int command_open(const struct command_line *line, struct config **config,
                 struct ops_place *place)
{
    int code;
    struct err err = ERR_INIT;
    *config = command_load_or_say(line, NULL, &code);
    if (!*config) {
        return code;
    }
    bool verbose = flag_is_set(line, "verbose") || flag_value(line, "log-level");
    log_setup(verbose ? (*config)->log_level : LOG_ERROR, (*config)->log_format, NULL);
    int rc = config_load_access(*config, environ, &err);
    rc = rc ? rc : ops_place_open(place, *config, &err);
    if (rc) {
        config_free(*config);
        return command_failed(line, rc == -EACCES ? -EINVAL : rc, &err);
    }
    return 0;
}

void command_close(struct config *config, struct ops_place *place)
{
    ops_place_close(place);
    config_free(config);
}

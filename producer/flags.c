#include "flags.h"

#include <string.h>

#include "base/mem.h"

int flags_read(const struct command_line *line, const struct option *row,
               struct option_value *value)
{
    const char *text = flag_value(line, row->key);
    struct err err = ERR_INIT;
    *value = (struct option_value){0};
    if (!text) {
        text = row->initial;
    }
    if (text && option_read(row, text, value, &err) != 0) {
        return command_misused(line, "--%s: %s", row->key, err.text);
    }
    return 0;
}

int flags_pair(const struct command_line *line, const char *flag, size_t i, char **name,
               char **value)
{
    const char *text = flag_value_at(line, flag, i);
    if (!text) {
        return 1;
    }
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        return command_misused(line, "--%s \"%.80s\": expected NAME=VALUE", flag, text);
    }
    *name = mem_strndup(text, (size_t)(equals - text));
    *value = mem_strdup(equals + 1);
    return 0;
}

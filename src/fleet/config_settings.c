/* The store of settings: typed when put, found by key. */
#include "fleet/config_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* 256 targets with 40 settings each; finding one walks them all */
enum { SETTINGS_MAX = 12000 };

struct config_settings *settings_new(void)
{
    return mem_zalloc(sizeof(struct config_settings));
}

static void setting_release(struct setting *setting)
{
    free(setting->name);
    free(setting->member);
    free(setting->where);
    if (setting->option->secret && setting->value->text != NULL) {
        mem_wipe(setting->value->text, strlen(setting->value->text));
    }
    yaml_node_free(setting->value);
}

void settings_free(struct config_settings *settings)
{
    if (settings == NULL) {
        return;
    }
    for (size_t i = 0; i < settings->count; i++) {
        setting_release(&settings->items[i]);
    }
    for (size_t i = 0; i < settings->name_count; i++) {
        free(settings->names[i].section);
        free(settings->names[i].name);
        free(settings->names[i].where);
    }
    free(settings->items);
    free(settings->names);
    free(settings->path);
    free(settings);
}

/* --- typing --- */

static void note_kind(struct config_settings *settings, const struct setting *setting,
                      const struct yaml_node *node, const char *expected)
{
    static const char *const kinds[] =
        {[YAML_SCALAR] = "a text", [YAML_MAP] = "a map", [YAML_LIST] = "a list"};
    settings_note(settings, CONFIG_ERROR, CODE_TYPE, setting, node,
                  "this is %s; expected %s", kinds[node->kind], expected);
}

static bool check_scalar(struct config_settings *settings, const struct setting *setting,
                         const struct yaml_node *node)
{
    const struct option *option = setting->option;
    struct err err = ERR_INIT;
    struct option_value value;
    if (node->kind != YAML_SCALAR) {
        struct str expected;
        str_init(&expected);
        option_describe(option, &expected);
        note_kind(settings, setting, node, expected.data);
        str_release(&expected);
        return false;
    }
    if (node->text[0] == '\0' && option->type == OPTION_TEXT) {
        settings_note(settings, CONFIG_ERROR, CODE_MISSING, setting, node,
                      "empty: give a value%s%s",
                      option->initial != NULL ? ", or leave the key out for " : "",
                      option->initial != NULL ? option->initial : "");
        return false;
    }
    int rc = option_read(option, node->text, &value, &err);
    if (rc != 0) {
        settings_note(settings, CONFIG_ERROR, rc == -EINVAL ? CODE_RANGE : CODE_TYPE,
                      setting, node, "%s", err.text);
    }
    return rc == 0;
}

/* Each item of a list as check_scalar. */
static bool check_list(struct config_settings *settings, const struct setting *setting)
{
    const struct yaml_node *list = setting->value;
    if (list->kind != YAML_LIST) {
        struct str expected;
        str_init(&expected);
        str_add(&expected, "a list, [...]");
        note_kind(settings, setting, list, expected.data);
        str_release(&expected);
        return false;
    }
    bool ok = true;
    for (size_t i = 0; i < list->count; i++) {
        ok = check_scalar(settings, setting, list->items[i]) && ok;
    }
    return ok;
}

static bool check_globs(struct config_settings *settings, const struct setting *setting)
{
    const struct yaml_node *node = setting->value;
    for (size_t i = 0; node->kind == YAML_LIST && i < node->count; i++) {
        if (node->items[i]->kind != YAML_SCALAR) {
            note_kind(settings, setting, node->items[i], "a glob");
            return false;
        }
    }
    if (node->kind == YAML_MAP) {
        note_kind(settings, setting, node, "a glob or a list of globs");
        return false;
    }
    if (node->kind == YAML_LIST && node->count == 0) {
        settings_note(settings, CONFIG_ERROR, CODE_MATCH, setting, NULL,
                      "an empty list matches nothing");
        return false;
    }
    return true;
}

static bool check(struct config_settings *settings, const struct setting *setting)
{
    switch (setting->option->type) {
    case OPTION_TREE:
        return true;
    case OPTION_GLOBS:
        return check_globs(settings, setting);
    case OPTION_MAP:
        if (setting->value->kind != YAML_SCALAR) {
            note_kind(settings, setting, setting->value, "a text");
            return false;
        }
        return true;
    default:
        return setting->option->list ? check_list(settings, setting)
                                     : check_scalar(settings, setting, setting->value);
    }
}

/* --- putting --- */

static struct setting *find(const struct config_settings *settings,
                            const struct option *option, const char *name,
                            const char *member)
{
    for (size_t i = 0; i < settings->count; i++) {
        struct setting *s = &settings->items[i];
        if (s->option == option && strcmp(s->name, name) == 0 &&
            (member == NULL || strcmp(s->member, member) == 0)) {
            return s;
        }
    }
    return NULL;
}

void settings_put(struct config_settings *settings, enum config_layer layer,
                  const char *where, const struct option *option, const char *name,
                  const char *member, struct yaml_node *value)
{
    struct setting fresh = {
        .option = option,
        .name = mem_strdup(name),
        .member = mem_strdup(member),
        .value = value,
        .layer = layer,
        .where = mem_strdup(where),
    };
    fresh.broken = !check(settings, &fresh);
    struct setting *old = find(settings, option, name, member);
    if (old != NULL) {
        ASSERT(old->layer <= layer);
        setting_release(old);
        *old = fresh;
        return;
    }
    if (settings->count == SETTINGS_MAX) {
        if (!settings->full) {
            settings_note(settings, CONFIG_ERROR, CODE_TOO_MANY, &fresh, NULL,
                          "more than %d settings", SETTINGS_MAX);
        }
        settings->full = true;
        setting_release(&fresh);
        return;
    }
    if ((settings->count & (settings->count - 1)) == 0) {
        size_t room = settings->count == 0 ? 1 : settings->count * 2;
        settings->items = mem_resize(settings->items, room * sizeof fresh);
    }
    settings->items[settings->count++] = fresh;
}

void settings_remove(struct config_settings *settings, const char *pattern,
                     const char *name)
{
    struct setting *setting = find(settings, config_option(pattern), name, NULL);
    if (setting == NULL) {
        return;
    }
    size_t after = settings->count - (size_t)(setting - settings->items) - 1;
    setting_release(setting);
    memmove(setting, setting + 1, after * sizeof *setting);
    settings->count--;
}

void settings_add_name(struct config_settings *settings, const char *section,
                       const char *name, const char *where)
{
    for (size_t i = 0; i < settings->name_count; i++) {
        if (strcmp(settings->names[i].section, section) == 0 &&
            strcmp(settings->names[i].name, name) == 0) {
            return;
        }
    }
    if ((settings->name_count & (settings->name_count - 1)) == 0) {
        size_t room = settings->name_count == 0 ? 1 : settings->name_count * 2;
        settings->names = mem_resize(settings->names, room * sizeof settings->names[0]);
    }
    settings->names[settings->name_count++] =
        (struct setting_name){mem_strdup(section), mem_strdup(name), mem_strdup(where)};
}

/* --- reading --- */

const struct setting *settings_get(const struct config_settings *settings,
                                   const char *pattern, const char *name)
{
    const struct setting *s = find(settings, config_option(pattern), name, NULL);
    return s == NULL || s->broken ? NULL : s;
}

bool settings_has(const struct config_settings *settings, const char *pattern,
                  const char *name)
{
    return find(settings, config_option(pattern), name, NULL) != NULL;
}

const struct setting *settings_member(const struct config_settings *settings,
                                      const char *pattern, const char *name,
                                      const struct setting *last)
{
    const struct option *option = config_option(pattern);
    const struct setting *s = last == NULL ? settings->items : last + 1;
    for (; s < settings->items + settings->count; s++) {
        if (s->option == option && strcmp(s->name, name) == 0 && !s->broken) {
            return s;
        }
    }
    return NULL;
}

const char *settings_text(const struct config_settings *settings, const char *pattern,
                          const char *name)
{
    const struct setting *s = settings_get(settings, pattern, name);
    return s == NULL ? NULL : s->value->text;
}

struct option_value settings_value(const struct config_settings *settings,
                                   const char *pattern, const char *name)
{
    struct option_value value = {0, 0, 0};
    const struct setting *s = settings_get(settings, pattern, name);
    if (s != NULL) {
        int rc = option_read(s->option, s->value->text, &value, NULL);
        ASSERT(rc == 0); /* it was typed when it was put */
    }
    return value;
}

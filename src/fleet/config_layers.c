/* The four layers: what the file, the environment and the flags say becomes settings.
 *
 * In the file a key is a path of names, walked against the table's patterns. Elsewhere it
 * is one text with dots, where a target's name may hold dots too (option_find), and a
 * member of a map may be named at its end ("kafka.properties.sasl.mechanism"). */
#include "fleet/config_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* --- the table as a tree of patterns --- */

static const struct option *row(const char *pattern)
{
    for (size_t i = 0; i < config_option_count; i++) {
        if (strcmp(config_options[i].key, pattern) == 0) {
            return &config_options[i];
        }
    }
    return NULL;
}

/* Does any key begin with "<pattern>."? */
static bool is_section(const char *pattern)
{
    size_t len = strlen(pattern);
    for (size_t i = 0; i < config_option_count; i++) {
        if (text_starts(config_options[i].key, pattern) &&
            config_options[i].key[len] == '.') {
            return true;
        }
    }
    return false;
}

/* The next words after "<pattern>.", each once. Returns owned strings in `words`. */
static size_t list_children(const char *pattern, char **words, size_t max)
{
    size_t len = strlen(pattern);
    size_t n = 0;
    for (size_t i = 0; i < config_option_count && n < max; i++) {
        const char *key = config_options[i].key;
        if (len > 0 && !(text_starts(key, pattern) && key[len] == '.')) {
            continue;
        }
        const char *word = key + len + (len > 0);
        size_t word_len = strcspn(word, ".");
        if (n == 0 || strncmp(words[n - 1], word, word_len) != 0 ||
            words[n - 1][word_len] != '\0') {
            words[n++] = mem_strndup(word, word_len);
        }
    }
    return n;
}

/* Near, or one within the other: "max_size" means "size". */
static const char *suggest(const char *word, char *const *words, size_t n)
{
    const char *near = text_nearest(word, (const char *const *)words, n);
    for (size_t i = 0; near == NULL && i < n; i++) {
        if (strstr(word, words[i]) != NULL || strstr(words[i], word) != NULL) {
            near = words[i];
        }
    }
    return near;
}

static void note_unknown(struct config_settings *settings, const char *where,
                         const char *pattern, const char *prefix, const char *word)
{
    char *words[64];
    struct str known;
    size_t n = list_children(pattern, words, 64);
    const char *near = suggest(word, words, n);
    str_init(&known);
    for (size_t i = 0; i < n; i++) {
        str_addf(&known, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    if (near != NULL) {
        config_note(settings->report, CONFIG_ERROR, CODE_UNKNOWN_KEY, where,
                    "unknown key \"%.80s\"%s%.120s (did you mean \"%s\"?)", word,
                    prefix[0] != '\0' ? " in " : "", prefix, near);
    } else {
        config_note(settings->report, CONFIG_ERROR, CODE_UNKNOWN_KEY, where,
                    "unknown key \"%.80s\"%s%.120s; known are %s", word,
                    prefix[0] != '\0' ? " in " : "", prefix, known.data);
    }
    for (size_t i = 0; i < n; i++) {
        free(words[i]);
    }
    str_release(&known);
}

/* --- putting --- */

static void put_members(struct config_settings *settings, enum config_layer layer,
                        const char *where, const struct option *option, const char *name,
                        const struct yaml_node *map)
{
    for (size_t i = 0; i < map->count; i++) {
        settings_put(settings, layer, where, option, name, map->items[i]->key,
                     yaml_copy(map->items[i]));
    }
}

static bool is_map_type(const struct option *option)
{
    return option->type == OPTION_MAP || option->type == OPTION_GLOBS;
}

static bool is_nothing(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && node->text[0] == '\0' && !node->quoted;
}

static void note_no_map(struct config_settings *settings, const char *where,
                        const char *key)
{
    config_note(settings->report, CONFIG_ERROR, CODE_TYPE, where,
                "%.160s: expected a map of names and values", key);
}

static void put(struct config_settings *settings, enum config_layer layer,
                const char *where, const char *shown, const struct option *option,
                const char *name, const struct yaml_node *value)
{
    if (!is_map_type(option)) {
        settings_put(settings, layer, where, option, name, "", yaml_copy(value));
    } else if (value->kind == YAML_MAP) {
        put_members(settings, layer, where, option, name, value);
    } else if (!is_nothing(value)) {
        note_no_map(settings, shown, option->key);
    }
}

/* --- the file --- */

struct walk {
    struct config_settings *settings;
    char pattern[OPTION_KEY_MAX]; /* "targets.*.retry" */
    char prefix[OPTION_KEY_MAX];  /* "targets.argocd.retry" */
    char name[OPTION_NAME_MAX];   /* "argocd" */
};

static void file_place(const struct config_settings *settings, int line, int column,
                       char where[WHERE_MAX])
{
    snprintf(where, WHERE_MAX, "%.280s:%d:%d", settings->path, line, column);
}

static void join(char out[OPTION_KEY_MAX], const char *prefix, const char *word)
{
    int len = snprintf(out, OPTION_KEY_MAX, "%s%s%.100s", prefix,
                       prefix[0] != '\0' ? "." : "", word);
    ASSERT(len >= 0);
}

static void walk_map(const struct walk *at, const struct yaml_node *map);

/* A member of a section whose members are named by the user. */
static void walk_named(const struct walk *at, const struct yaml_node *member)
{
    struct walk inner = *at;
    char where[WHERE_MAX];
    file_place(at->settings, member->key_line, member->key_column, where);
    if (strlen(member->key) >= OPTION_NAME_MAX) {
        config_note(at->settings->report, CONFIG_ERROR, CODE_NAME, where,
                    "%s: the name is too long", at->prefix);
        return;
    }
    join(inner.pattern, at->pattern, "*");
    join(inner.prefix, at->prefix, member->key);
    snprintf(inner.name, sizeof inner.name, "%s", member->key);
    settings_add_name(at->settings, at->pattern, member->key, where);
    walk_map(&inner, member);
}

static void walk_member(const struct walk *at, const struct yaml_node *member)
{
    struct walk inner = *at;
    char where[WHERE_MAX];
    char named[OPTION_KEY_MAX];
    join(named, at->pattern, "*");
    if (is_section(named)) {
        walk_named(at, member);
        return;
    }
    join(inner.pattern, at->pattern, member->key);
    join(inner.prefix, at->prefix, member->key);
    /* a key is one word: "batch.size: 5" is not how a file says it */
    bool dotted = strchr(member->key, '.') != NULL;
    const struct option *option = dotted ? NULL : row(inner.pattern);
    if (option != NULL) {
        file_place(at->settings, member->line, member->column, where);
        put(at->settings, LAYER_FILE, NULL, where, option, at->name, member);
    } else if (!dotted && is_section(inner.pattern)) {
        walk_map(&inner, member);
    } else {
        file_place(at->settings, member->key_line, member->key_column, where);
        note_unknown(at->settings, where, at->pattern, at->prefix, member->key);
    }
}

static void walk_map(const struct walk *at, const struct yaml_node *map)
{
    if (map->kind != YAML_MAP) {
        char where[WHERE_MAX];
        file_place(at->settings, map->line, map->column, where);
        if (!is_nothing(map)) {
            note_no_map(at->settings, where,
                        at->prefix[0] != '\0' ? at->prefix : "the file");
        }
        return;
    }
    for (size_t i = 0; i < map->count; i++) {
        walk_member(at, map->items[i]);
    }
}

void layer_file(struct config_settings *settings, const struct yaml_node *root)
{
    struct walk top = {.settings = settings};
    walk_map(&top, root);
}

/* --- one text: environment and flags --- */

static struct yaml_node *split_commas(const char *text)
{
    struct yaml_node *list = yaml_list_new();
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        size_t from = strspn(text, " ");
        size_t to = len;
        while (to > from && text[to - 1] == ' ') {
            to--;
        }
        char *item =
            mem_strndup(text + (from < to ? from : to), from < to ? to - from : 0);
        yaml_append(list, yaml_scalar_new(item));
        free(item);
        text += len + (text[len] == ',');
    }
    return list;
}

/* The node a text stands for: `[a, b]` and `{a: b}` are YAML where the row wants such. */
static struct yaml_node *node_of(struct config_settings *settings,
                                 const struct option *option, bool member,
                                 const char *where, const char *text)
{
    bool bracket = text[0] == '[' && (option->list || option->type == OPTION_GLOBS);
    bool map = is_map_type(option) && !member;
    if (!bracket && !map && option->type != OPTION_TREE) {
        return option->list ? split_commas(text) : yaml_scalar_new(text);
    }
    struct yaml_issues issues;
    struct yaml_node *node = yaml_parse(text, strlen(text), &issues);
    for (size_t i = 0; i < issues.count; i++) {
        config_note(settings->report, CONFIG_ERROR,
                    issues.items[i].fault == YAML_DUPLICATE ? CODE_DUPLICATE
                                                            : CODE_SYNTAX,
                    where, "%s", issues.items[i].text);
    }
    return node;
}

static void add_section_name(struct config_settings *settings,
                             const struct option *option, const char *name,
                             const char *where)
{
    if (name[0] != '\0') {
        char *section = mem_strndup(option->key, strcspn(option->key, "."));
        settings_add_name(settings, section, name, where);
        free(section);
    }
}

static void put_text(struct config_settings *settings, enum config_layer layer,
                     const char *where, const struct option *option, const char *name,
                     const char *member, const char *text)
{
    struct yaml_node *node = node_of(settings, option, member[0] != '\0', where, text);
    if (node == NULL) {
        return;
    }
    add_section_name(settings, option, name, where);
    if (member[0] != '\0') {
        settings_put(settings, layer, where, option, name, member, node);
        return;
    }
    put(settings, layer, where, where, option, name, node);
    yaml_node_free(node);
}

/* "kafka.properties.sasl.mechanism": the row of a map option that the key begins with.
 * member: out, borrowed from key. */
static const struct option *find_member(const char *key, char name[OPTION_NAME_MAX],
                                        const char **member)
{
    for (const char *dot = strchr(key, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        char *front = mem_strndup(key, (size_t)(dot - key));
        const struct option *option =
            option_find(config_options, config_option_count, front, name);
        free(front);
        if (option != NULL && is_map_type(option) && dot[1] != '\0') {
            *member = dot + 1;
            return option;
        }
    }
    return NULL;
}

static void override(struct config_settings *settings,
                     const struct config_override *override_)
{
    char name[OPTION_NAME_MAX];
    const char *member = "";
    const char *key = override_->key;
    const char *where = override_->origin != NULL ? override_->origin : key;
    const struct option *option = find_member(key, name, &member);
    if (option == NULL) {
        option = option_find(config_options, config_option_count, key, name);
    }
    if (option != NULL) {
        put_text(settings, LAYER_FLAG, where, option, name, member, override_->value);
        return;
    }
    const char *keys[256];
    size_t n = 0;
    for (size_t i = 0; i < config_option_count && n < 256; i++) {
        keys[n++] = config_options[i].key;
    }
    const char *near = text_nearest(key, keys, n);
    config_note(settings->report, CONFIG_ERROR, CODE_UNKNOWN_KEY, where,
                "unknown key \"%.120s\"%s%s%s", key,
                near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                near != NULL ? "\"?)" : "; sluice-consumer help config lists them");
}

void layer_overrides(struct config_settings *settings,
                     const struct config_override *overrides, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        override(settings, &overrides[i]);
    }
}

/* --- the environment --- */

/* SLUICE_SECRET_ARGOCD and SLUICE_SECRET_ARGOCD_FILE. `variable` begins after the
 * prefix. */
static void put_secret(struct config_settings *settings, const char *where,
                       const char *variable, const char *value)
{
    char name[OPTION_NAME_MAX] = "";
    size_t len = strlen(variable);
    bool file = len > 5 && strcmp(variable + len - 5, "_FILE") == 0;
    for (size_t i = 0; i < settings->name_count; i++) {
        char env[OPTION_KEY_MAX];
        option_env_name(settings->names[i].name, env);
        bool secret = strcmp(settings->names[i].section, "secrets") == 0;
        bool whole = strcmp(env + strlen("SLUICE_"), variable) == 0;
        bool front = file && strlen(env + strlen("SLUICE_")) == len - 5 &&
                     strncmp(env + strlen("SLUICE_"), variable, len - 5) == 0;
        if (secret && (whole || front)) {
            snprintf(name, sizeof name, "%s", settings->names[i].name);
            file = !whole;
        }
    }
    if (name[0] == '\0') {
        size_t n = len - (file ? 5 : 0);
        for (size_t i = 0; i < n && i < sizeof name - 1; i++) {
            bool upper = variable[i] >= 'A' && variable[i] <= 'Z';
            name[i] = (char)(upper ? variable[i] + ('a' - 'A') : variable[i]);
        }
    }
    settings_remove(settings, file ? "secrets.*.env" : "secrets.*.file", name);
    put_text(settings, LAYER_ENVIRONMENT, where,
             config_option(file ? "secrets.*.file" : "secrets.*.env"), name, "",
             file ? value : where);
}

/* The row and the name a variable stands for, among the names there are. */
static const struct option *find_variable(const struct config_settings *settings,
                                          const char *variable,
                                          char name[OPTION_NAME_MAX])
{
    char key[OPTION_KEY_MAX];
    char env[OPTION_KEY_MAX];
    name[0] = '\0';
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *option = &config_options[i];
        if (strchr(option->key, '*') == NULL) {
            option_env_name(option->key, env);
            if (strcmp(env, variable) == 0) {
                return option;
            }
            continue;
        }
        for (size_t k = 0; k < settings->name_count; k++) {
            if (!text_starts(option->key, settings->names[k].section)) {
                continue;
            }
            option_key(option, settings->names[k].name, key);
            option_env_name(key, env);
            if (strcmp(env, variable) == 0) {
                snprintf(name, OPTION_NAME_MAX, "%s", settings->names[k].name);
                return option;
            }
        }
    }
    return NULL;
}

static void note_variable(struct config_settings *settings, const char *variable)
{
    char names[128][OPTION_KEY_MAX];
    const char *list[128];
    size_t n = 0;
    for (size_t i = 0; i < config_option_count && n < 128; i++) {
        option_env_name(config_options[i].key, names[n]);
        list[n] = names[n];
        n++;
    }
    const char *near = text_nearest(variable, list, n);
    bool named = text_starts(variable, "SLUICE_TARGETS_") ||
                 text_starts(variable, "SLUICE_LIMITS_");
    config_note(settings->report, CONFIG_WARNING, CODE_UNKNOWN_VARIABLE, variable,
                "unknown variable, without effect%s%s%s",
                near != NULL ? " (did you mean " : "", near != NULL ? near : "",
                near != NULL ? "?)"
                : named      ? ": no target or limit of that name, or no such key"
                             : "");
}

void layer_environment(struct config_settings *settings, char *const *environment)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        if (!text_starts(*environment, "SLUICE_") || equals == NULL ||
            equals - *environment >= OPTION_KEY_MAX) {
            continue;
        }
        char variable[OPTION_KEY_MAX];
        char name[OPTION_NAME_MAX];
        snprintf(variable, sizeof variable, "%.*s", (int)(equals - *environment),
                 *environment);
        if (strcmp(variable, "SLUICE_CONFIG") == 0) {
            continue;
        }
        if (text_starts(variable, "SLUICE_SECRET_")) {
            put_secret(settings, variable, variable + strlen("SLUICE_SECRET_"),
                       equals + 1);
            continue;
        }
        const struct option *option = find_variable(settings, variable, name);
        if (option != NULL) {
            put_text(settings, LAYER_ENVIRONMENT, variable, option, name, "", equals + 1);
        } else {
            note_variable(settings, variable);
        }
    }
}

/* --- defaults --- */

static void put_default(struct config_settings *settings, const struct option *option,
                        const char *name)
{
    if (!settings_has(settings, option->key, name)) {
        put_text(settings, LAYER_DEFAULT, "default", option, name, "", option->initial);
    }
}

void layer_defaults(struct config_settings *settings)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *option = &config_options[i];
        if (option->initial == NULL) {
            continue;
        }
        if (strchr(option->key, '*') == NULL) {
            put_default(settings, option, "");
            continue;
        }
        for (size_t k = 0; k < settings->name_count; k++) {
            if (text_starts(option->key, settings->names[k].section)) {
                put_default(settings, option, settings->names[k].name);
            }
        }
    }
}

/* The effective configuration as text that loads again, or as JSON.
 *
 * Settings are visited in the table's order, named things one after the other; a visit
 * names the path as a list of words. The YAML writer opens the words that differ from the
 * visit before; the JSON writer hangs each value into a tree. */
#include "fleet/config_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/crypto.h"

static const char masked[] = "••••••";

enum { PATH_MAX_WORDS = 6 };

struct path {
    const char *words[PATH_MAX_WORDS];
    size_t count;
    char text[OPTION_KEY_MAX]; /* the words' memory */
};

typedef void visit_fn(void *arg, const struct path *path, const struct setting *setting);

/* --- order --- */

/* "targets.*.retry.hold", "argocd" -> targets, argocd, retry, hold */
static void path_of(const struct setting *setting, struct path *path)
{
    path->count = 0;
    snprintf(path->text, sizeof path->text, "%s", setting->option->key);
    for (char *word = path->text; word != NULL;) {
        char *dot = strchr(word, '.');
        if (dot != NULL) {
            *dot = '\0';
        }
        ASSERT(path->count < PATH_MAX_WORDS - 1);
        path->words[path->count++] = strcmp(word, "*") == 0 ? setting->name : word;
        word = dot != NULL ? dot + 1 : NULL;
    }
    if (setting->member[0] != '\0') {
        path->words[path->count++] = setting->member;
    }
}

static void visit_option(const struct config_settings *settings,
                         const struct option *option, const char *name, visit_fn *visit,
                         void *arg)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *s = &settings->items[i];
        if (s->option == option && strcmp(s->name, name) == 0) {
            struct path path;
            path_of(s, &path);
            visit(arg, &path, s);
        }
    }
}

static bool same_section(const struct option *a, const struct option *b)
{
    size_t len = strcspn(a->key, ".");
    return strncmp(a->key, b->key, len + 1) == 0;
}

/* Each name of the section of option i with all its rows. Returns the section's end. */
static size_t visit_section(const struct config_settings *settings, size_t i,
                            visit_fn *visit, void *arg)
{
    size_t end = i;
    while (end < config_option_count &&
           same_section(&config_options[i], &config_options[end])) {
        end++;
    }
    for (size_t n = 0; n < settings->name_count; n++) {
        if (!text_starts(config_options[i].key, settings->names[n].section)) {
            continue;
        }
        for (size_t k = i; k < end; k++) {
            visit_option(settings, &config_options[k], settings->names[n].name, visit,
                         arg);
        }
    }
    return end;
}

static void visit_all(const struct config_settings *settings, visit_fn *visit, void *arg)
{
    size_t i = 0;
    while (i < config_option_count) {
        if (strchr(config_options[i].key, '*') != NULL) {
            i = visit_section(settings, i, visit, arg);
        } else {
            visit_option(settings, &config_options[i], "", visit, arg);
            i++;
        }
    }
}

/* --- values --- */

/* redis://user:password@host -> redis://user:******@host. Returns owned. */
static char *mask_url(const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *at = strrchr(url, '@');
    if (scheme == NULL || at == NULL || at < scheme) {
        return mem_strdup(url);
    }
    const char *colon = memchr(scheme + 3, ':', (size_t)(at - scheme - 3));
    struct str out;
    str_init(&out);
    str_put(&out, url, (size_t)((colon != NULL ? colon : scheme + 2) - url) + 1);
    str_add(&out, "******");
    str_add(&out, at);
    return str_take(&out);
}

/* What may be shown of a setting. Returns owned. */
static struct yaml_node *shown(const struct setting *setting)
{
    if (config_is_credential(setting)) {
        struct yaml_node *node = yaml_scalar_new(masked);
        node->quoted = true;
        return node;
    }
    bool url = strcmp(setting->option->key, "redis.url") == 0 ||
               strcmp(setting->option->key, "workflow.ci.url") == 0 ||
               strcmp(setting->option->key, "targets.*.url") == 0;
    if (url && setting->value->text != NULL) {
        char *text = mask_url(setting->value->text);
        struct yaml_node *node = yaml_scalar_new(text);
        free(text);
        return node;
    }
    return yaml_copy(setting->value);
}

static void add_origin(const struct config_settings *settings,
                       const struct setting *setting, struct str *out)
{
    static const char *const layers[] = {"", "", "env ", "flag "};
    char where[WHERE_MAX];
    settings_where(settings, setting, NULL, where);
    str_add(out, layers[setting->layer]);
    str_add(out, where);
}

/* --- YAML --- */

struct yaml_writer {
    const struct config_settings *settings;
    bool origin;
    struct path last;
    struct str *out;
};

static void write_line(void *arg, const struct path *path, const struct setting *setting)
{
    struct yaml_writer *w = arg;
    struct yaml_node *value = shown(setting);
    struct str line;
    size_t same = 0;
    while (same + 1 < path->count && same + 1 < w->last.count &&
           strcmp(path->words[same], w->last.words[same]) == 0) {
        same++;
    }
    str_init(&line);
    for (size_t i = same; i < path->count; i++) {
        char *word = yaml_quote(path->words[i]);
        str_addf(&line, "%*s%s:%s", (int)i * 2, "", word,
                 i + 1 < path->count ? "\n" : " ");
        free(word);
    }
    size_t begin = line.len;
    while (begin > 0 && line.data[begin - 1] != '\n') {
        begin--;
    }
    config_flow(value, &line);
    if (w->origin) {
        int pad = 44 - (int)(line.len - begin);
        str_addf(&line, "%*s# ", pad > 2 ? pad : 2, "");
        add_origin(w->settings, setting, &line);
    }
    str_addc(&line, '\n');
    str_add(w->out, line.data);
    str_release(&line);
    yaml_node_free(value);
    path_of(setting, &w->last); /* its words are in w->last.text and in the setting */
}

static void show_yaml(const struct config *config, bool origin, struct str *out)
{
    struct yaml_writer w = {.settings = config->settings, .origin = origin, .out = out};
    visit_all(config->settings, write_line, &w);
}

/* --- JSON --- */

static struct json_object *scalar_value(const struct option *option, const char *text)
{
    struct option_value value;
    if (option_read(option, text, &value, NULL) != 0) {
        return json_object_new_string(text); /* masked */
    }
    switch (option->type) {
    case OPTION_BOOL:
        return json_object_new_boolean(value.number != 0);
    case OPTION_INT:
        return json_object_new_int64(value.number);
    case OPTION_NUMBER:
        return json_object_new_double(value.real);
    default:
        return json_object_new_string(text);
    }
}

static struct json_object *json_value(const struct option *option,
                                      const struct yaml_node *node)
{
    if (option->type == OPTION_TREE) {
        return config_tree_to_json(node);
    }
    if (node->kind == YAML_SCALAR) {
        return scalar_value(option, node->text);
    }
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < node->count; i++) {
        json_object_array_add(list, scalar_value(option, node->items[i]->text));
    }
    return list;
}

struct json_writer {
    const struct config_settings *settings;
    bool origin;
    struct json_object *root;
};

static void hang_value(void *arg, const struct path *path, const struct setting *setting)
{
    struct json_writer *w = arg;
    struct json_object *at = w->root;
    for (size_t i = 0; i + 1 < path->count; i++) {
        struct json_object *next;
        if (!json_object_object_get_ex(at, path->words[i], &next)) {
            next = json_object_new_object();
            json_object_object_add(at, path->words[i], next);
        }
        at = next;
    }
    struct yaml_node *node = shown(setting);
    struct json_object *value = json_value(setting->option, node);
    if (w->origin) {
        struct json_object *both = json_object_new_object();
        struct str where;
        str_init(&where);
        add_origin(w->settings, setting, &where);
        json_object_object_add(both, "value", value);
        json_object_object_add(both, "origin", json_object_new_string(where.data));
        str_release(&where);
        value = both;
    }
    json_object_object_add(at, path->words[path->count - 1], value);
    yaml_node_free(node);
}

void config_show(const struct config *config, bool origin, bool json, struct str *out)
{
    if (!json) {
        show_yaml(config, origin, out);
        return;
    }
    struct json_writer w = {.settings = config->settings,
                            .origin = origin,
                            .root = json_object_new_object()};
    visit_all(config->settings, hang_value, &w);
    json_print_pretty(w.root, out);
    json_free(w.root);
}

/* --- the hash --- */

/* Its own name, port and way to log are each process' affair. */
static bool is_own(const struct option *option)
{
    return strcmp(option->key, "kafka.client_id") == 0 ||
           strcmp(option->key, "http.listen") == 0 || text_starts(option->key, "log.") ||
           text_starts(option->key, "console.") || text_starts(option->key, "workflow.");
}

static void add_to_hash(void *arg, const struct path *path, const struct setting *setting)
{
    struct str *text = arg;
    if (is_own(setting->option)) {
        return;
    }
    struct yaml_node *value = shown(setting);
    for (size_t i = 0; i < path->count; i++) {
        str_addf(text, "%zu:%s ", strlen(path->words[i]), path->words[i]);
    }
    config_flow(value, text);
    str_addc(text, '\n');
    yaml_node_free(value);
}

void config_hash(const struct config *config, char hex[CONFIG_HASH_LEN])
{
    char whole[CRYPTO_HEX128_LEN];
    struct str text;
    str_init(&text);
    visit_all(config->settings, add_to_hash, &text);
    const char *const texts[] = {text.data};
    crypto_hash128_texts(texts, 1, whole);
    snprintf(hex, CONFIG_HASH_LEN, "%.12s", whole);
    str_release(&text);
}

/* What is different in two configurations. */
#include "fleet/config_private.h"

#include <stdlib.h>
#include <string.h>

static const struct setting *find(const struct config *config, const struct setting *like)
{
    const struct config_settings *settings = config->settings;
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *s = &settings->items[i];
        if (s->option == like->option && strcmp(s->name, like->name) == 0 &&
            strcmp(s->member, like->member) == 0) {
            return s;
        }
    }
    return NULL;
}

/* As it would be written. NULL: not at all. */
static bool same_value(const struct setting *a, const struct setting *b)
{
    struct str one;
    struct str other;
    if (!a || !b) {
        return a == b;
    }
    str_init(&one);
    str_init(&other);
    config_flow(a->value, &one);
    config_flow(b->value, &other);
    bool same = one.len == other.len && memcmp(one.data, other.data, one.len) == 0;
    str_release(&one);
    str_release(&other);
    return same;
}

bool config_same(const struct config *a, const struct config *b, const char *pattern,
                 const char *name)
{
    return same_value(settings_get(a->settings, pattern, name),
                      settings_get(b->settings, pattern, name));
}

/* --- named things --- */

static bool has_name(const struct config *config, const struct setting_name *name)
{
    const struct config_settings *settings = config->settings;
    for (size_t i = 0; i < settings->name_count; i++) {
        if (strcmp(settings->names[i].section, name->section) == 0 &&
            strcmp(settings->names[i].name, name->name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_of(const struct setting *setting, const struct setting_name *name)
{
    return strchr(setting->option->key, '*') && strcmp(setting->name, name->name) == 0 &&
           text_starts(setting->option->key, name->section);
}

static bool same_secret(const struct config *from, const struct config *to,
                        const char *name)
{
    const struct config_secret *a = config_secret_find(from, name);
    const struct config_secret *b = config_secret_find(to, name);
    return a && b && a->value && b->value && strcmp(a->value, b->value) == 0;
}

/* Has every setting of this thing the same value in the other? */
static bool is_covered(const struct config *from, const struct config *to,
                       const struct setting_name *name)
{
    const struct config_settings *settings = from->settings;
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *s = &settings->items[i];
        if (is_of(s, name) && !same_value(s, find(to, s))) {
            return false;
        }
    }
    return true;
}

static void add_count(struct str *summary, size_t n, const char *thing, const char *what)
{
    if (n > 0) {
        str_addf(summary, "%s%zu %s%s %s", summary->len > 0 ? ", " : "", n, thing,
                 n == 1 ? "" : "s", what);
    }
}

/* section  "targets"; thing: "target". */
static void compare_section(const struct config *from, const struct config *to,
                            const char *section, const char *thing, struct str *summary)
{
    size_t added = 0;
    size_t removed = 0;
    size_t changed = 0;
    for (size_t i = 0; i < from->settings->name_count; i++) {
        const struct setting_name *name = &from->settings->names[i];
        removed += strcmp(name->section, section) == 0 && !has_name(to, name);
    }
    for (size_t i = 0; i < to->settings->name_count; i++) {
        const struct setting_name *name = &to->settings->names[i];
        if (strcmp(name->section, section) != 0) {
            continue;
        }
        if (!has_name(from, name)) {
            added++;
        } else if (!is_covered(from, to, name) || !is_covered(to, from, name) ||
                   (strcmp(section, "secrets") == 0 &&
                    !same_secret(from, to, name->name))) {
            changed++;
        }
    }
    add_count(summary, added, thing, "added");
    add_count(summary, changed, thing, "changed");
    add_count(summary, removed, thing, "removed");
}

/* --- the rest --- */

static void add_fixed(struct str *fixed, const char *key)
{
    if (!fixed->data || !strstr(fixed->data, key)) {
        str_addf(fixed, "%s%s", fixed->len > 0 ? ", " : "", key);
    }
}

/* Settings of `a` that differ in `b` and, unless `absent`, are there. Returns how many of
 * them are hot. */
static size_t compare_settings(const struct config *a, const struct config *b,
                               bool absent, struct str *fixed)
{
    size_t hot = 0;
    for (size_t i = 0; i < a->settings->count; i++) {
        const struct setting *s = &a->settings->items[i];
        const struct setting *other = find(b, s);
        if (strchr(s->option->key, '*') || same_value(s, other) || (absent && other)) {
            continue;
        }
        hot += s->option->hot;
        if (!s->option->hot) {
            add_fixed(fixed, s->option->key);
        }
    }
    return hot;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* What secrets and files put into settings that stay as they are written. */
static void compare_credentials(const struct config *from, const struct config *to,
                                struct str *fixed)
{
    size_t n = from->kafka.property_count;
    bool same = n == to->kafka.property_count;
    for (size_t i = 0; i < n && same; i++) {
        same = same_text(from->kafka.properties[i].value, to->kafka.properties[i].value);
    }
    if (!same) {
        add_fixed(fixed, "kafka.properties");
    }
    if (!same_text(from->redis.password, to->redis.password)) {
        add_fixed(fixed, "redis.password");
    }
}

void config_compare(const struct config *from, const struct config *to,
                    struct str *summary, struct str *fixed)
{
    compare_section(from, to, "targets", "target", summary);
    compare_section(from, to, "limits", "limit", summary);
    compare_section(from, to, "secrets", "secret", summary);
    compare_section(from, to, "clusters", "cluster", summary);
    compare_section(from, to, "roles", "role", summary);
    compare_section(from, to, "tokens", "token", summary);
    size_t hot = compare_settings(from, to, false, fixed);
    hot += compare_settings(to, from, true, fixed);
    add_count(summary, hot, "setting", "changed");
    compare_credentials(from, to, fixed);
    if (summary->len == 0) {
        str_add(summary, "nothing changed");
    }
}

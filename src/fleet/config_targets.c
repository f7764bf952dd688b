/* The sections whose members are named: limits, secrets, targets. */
#include "fleet/config_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { SECRETS_MAX = 256 };

/* --- names --- */

/* Lower case letters, digits and . _ - behind a letter or digit, and short. */
static bool name_is_good(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len >= TARGET_NAME_MAX || strchr("._-", name[0]) != NULL) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) &&
            strchr("._-", name[i]) == NULL) {
            return false;
        }
    }
    return true;
}

const char *config_next_name(struct config *config, const char *section, size_t max,
                             size_t have, size_t *i)
{
    struct config_settings *settings = config->settings;
    while (*i < settings->name_count) {
        const struct setting_name *named = &settings->names[(*i)++];
        if (strcmp(named->section, section) != 0) {
            continue;
        }
        if (!name_is_good(named->name)) {
            config_note(settings->report, CONFIG_ERROR, CODE_NAME, named->where,
                        "%s: \"%.80s\" is no name: at most %d of a-z 0-9 . _ - behind a "
                        "letter or digit",
                        section, named->name, TARGET_NAME_MAX - 1);
            continue;
        }
        if (have == max) {
            config_note(settings->report, CONFIG_ERROR, CODE_TOO_MANY, named->where,
                        "%s: more than %zu", section, max);
            *i = settings->name_count;
            return NULL;
        }
        return named->name;
    }
    return NULL;
}

const char *config_name_where(const struct config *config, const char *section,
                              const char *name)
{
    for (size_t i = 0; i < config->settings->name_count; i++) {
        const struct setting_name *named = &config->settings->names[i];
        if (strcmp(named->section, section) == 0 && strcmp(named->name, name) == 0) {
            return named->where;
        }
    }
    return section;
}

void config_note_required(struct config *config, const char *section, const char *name,
                          const char *pattern)
{
    if (!settings_has(config->settings, pattern, name)) {
        char key[OPTION_KEY_MAX];
        option_key(config_option(pattern), name, key);
        config_note(config->settings->report, CONFIG_ERROR, CODE_MISSING,
                    config_name_where(config, section, name), "%s is missing", key);
    }
}

/* --- limits --- */

void config_build_limits(struct config *config)
{
    config->limits = mem_array(CONFIG_LIMITS_MAX, sizeof config->limits[0]);
    size_t i = 0;
    while (true) {
        const char *name = config_next_name(config, "limits", CONFIG_LIMITS_MAX,
                                            config->limit_count, &i);
        if (name == NULL) {
            return;
        }
        struct config_limit *limit = &config->limits[config->limit_count++];
        config_note_required(config, "limits", name, "limits.*.rate");
        limit->name = mem_strdup(name);
        limit->rate_per_s = settings_value(config->settings, "limits.*.rate", name).real;
        limit->burst = settings_value(config->settings, "limits.*.burst", name).real;
        if (limit->burst < 1) {
            limit->burst = limit->rate_per_s > 1 ? limit->rate_per_s : 1;
        }
    }
}

/* --- secrets --- */

struct config_secret *config_secret_find(const struct config *config, const char *name)
{
    char wanted[OPTION_KEY_MAX];
    char have[OPTION_KEY_MAX];
    option_env_name(name, wanted);
    for (size_t i = 0; i < config->secret_count; i++) {
        option_env_name(config->secrets[i].name, have);
        if (strcmp(have, wanted) == 0) {
            return &config->secrets[i];
        }
    }
    return NULL;
}

static void build_secret(struct config *config, const char *name)
{
    struct config_settings *settings = config->settings;
    const char *where = config_name_where(config, "secrets", name);
    const char *file = settings_text(settings, "secrets.*.file", name);
    const char *env = settings_text(settings, "secrets.*.env", name);
    if (config_secret_find(config, name) != NULL) {
        config_note(settings->report, CONFIG_ERROR, CODE_DUPLICATE, where,
                    "secrets: \"%s\" and \"%s\" are the same to the environment", name,
                    config_secret_find(config, name)->name);
        return;
    }
    bool any = settings_has(settings, "secrets.*.file", name) ||
               settings_has(settings, "secrets.*.env", name);
    if (!any) {
        config_note(settings->report, CONFIG_ERROR, CODE_MISSING, where,
                    "secrets.%s: give `file: PATH` or `env: VARIABLE`", name);
    } else if (file != NULL && env != NULL) {
        config_note(settings->report, CONFIG_ERROR, CODE_TWO_SOURCES, where,
                    "secrets.%s: `file` and `env` are both given", name);
    }
    config->secrets[config->secret_count++] =
        (struct config_secret){.name = mem_strdup(name),
                               .file = mem_strdup(file),
                               .env = mem_strdup(env)};
}

void config_build_secrets(struct config *config)
{
    config->secrets = mem_array(SECRETS_MAX, sizeof config->secrets[0]);
    size_t i = 0;
    const char *name;
    do {
        name = config_next_name(config, "secrets", SECRETS_MAX, config->secret_count, &i);
        if (name != NULL) {
            build_secret(config, name);
        }
    } while (name != NULL);
}

/* --- templates: each is compiled once here, so that a fault has its own place --- */

struct secret_use {
    const struct config *config;
    char unknown[OPTION_NAME_MAX]; /* the first name that is not defined */
};

/* Always true: an unknown secret is reported by us, with a suggestion. */
static bool remember_secret(void *arg, const char *name)
{
    struct secret_use *use = arg;
    if (use->unknown[0] == '\0' && config_secret_find(use->config, name) == NULL) {
        snprintf(use->unknown, sizeof use->unknown, "%s", name);
    }
    return true;
}

void config_note_secret(const struct config *config, const struct setting *setting,
                        const struct yaml_node *node, const char *name)
{
    const char *names[SECRETS_MAX];
    for (size_t i = 0; i < config->secret_count; i++) {
        names[i] = config->secrets[i].name;
    }
    const char *near = text_nearest(name, names, config->secret_count);
    settings_note(config->settings, CONFIG_ERROR, CODE_SECRET, setting, node,
                  "secret \"%s\" is not defined%s%s%s", name,
                  near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                  near != NULL ? "\"?)" : "; define it under `secrets`");
}

/* Returns whether the text can be used. */
static bool check_template(const struct config *config, const struct setting *setting,
                           const struct yaml_node *node)
{
    struct secret_use use = {.config = config};
    struct template_scope scope = {remember_secret, &use, setting->name};
    struct err err = ERR_INIT;
    struct template *t = template_compile_in(node->text, &scope, &err);
    if (t == NULL) {
        settings_note(config->settings, CONFIG_ERROR, CODE_TEMPLATE, setting, node, "%s",
                      err.text);
    } else if (use.unknown[0] != '\0') {
        config_note_secret(config, setting, node, use.unknown);
    }
    template_free(t);
    return t != NULL && use.unknown[0] == '\0';
}

static bool check_tree(const struct config *config, const struct setting *setting,
                       const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR) {
        return check_template(config, setting, node);
    }
    bool ok = true;
    for (size_t i = 0; i < node->count; i++) {
        ok = check_tree(config, setting, node->items[i]) && ok;
    }
    return ok;
}

/* --- bodies --- */

/* The one place where the kind of a value is read off its text: only the target knows
 * what it wants. */
static struct json_object *scalar_to_json(const struct yaml_node *node)
{
    struct json_object *doc = NULL;
    if (!node->quoted && node->text[0] != '\0' &&
        strchr("-0123456789tfn", node->text[0]) != NULL &&
        json_parse(node->text, strlen(node->text), &doc, NULL) == 0) {
        return doc;
    }
    return json_object_new_string(node->text);
}

struct json_object *config_tree_to_json(const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR) {
        return scalar_to_json(node);
    }
    struct json_object *doc =
        node->kind == YAML_MAP ? json_object_new_object() : json_object_new_array();
    for (size_t i = 0; i < node->count; i++) {
        struct json_object *member = config_tree_to_json(node->items[i]);
        if (node->kind == YAML_MAP) {
            json_object_object_add(doc, node->items[i]->key, member);
        } else {
            json_object_array_add(doc, member);
        }
    }
    return doc;
}

static bool is_none(const struct setting *body)
{
    return body != NULL && body->value->kind == YAML_SCALAR && !body->value->quoted &&
           strcmp(body->value->text, "none") == 0;
}

/* --- one target --- */

static void build_match(struct config *config, struct config_target *target)
{
    const struct setting *s = NULL;
    while (true) {
        s = settings_member(config->settings, "targets.*.match", target->name, s);
        if (s == NULL) {
            return;
        }
        const struct yaml_node *one[] = {s->value};
        const struct yaml_node *const *globs =
            s->value->kind == YAML_LIST ? (const struct yaml_node *const *)s->value->items
                                        : one;
        size_t n = s->value->kind == YAML_LIST ? s->value->count : 1;
        const char **texts = mem_array(n, sizeof texts[0]);
        for (size_t i = 0; i < n; i++) {
            texts[i] = globs[i]->text;
        }
        struct err err = ERR_INIT;
        if (match_add(&target->match, s->member, texts, n, &err) != 0) {
            settings_note(config->settings, CONFIG_ERROR, CODE_MATCH, s, NULL, "%s",
                          err.text);
        }
        free(texts);
    }
}

static void build_limits(struct config *config, struct config_target *target)
{
    const struct setting *s =
        settings_get(config->settings, "targets.*.limits", target->name);
    const char *names[CONFIG_LIMITS_MAX];
    for (size_t i = 0; i < config->limit_count; i++) {
        names[i] = config->limits[i].name;
    }
    for (size_t i = 0; s != NULL && i < s->value->count; i++) {
        const struct yaml_node *item = s->value->items[i];
        size_t k = 0;
        while (k < config->limit_count && strcmp(names[k], item->text) != 0) {
            k++;
        }
        if (k == config->limit_count) {
            const char *near = text_nearest(item->text, names, k);
            settings_note(config->settings, CONFIG_ERROR, CODE_LIMIT, s, item,
                          "limit \"%.80s\" is not defined%s%s%s", item->text,
                          near != NULL ? " (did you mean \"" : "",
                          near != NULL ? near : "",
                          near != NULL ? "\"?)" : "; define it under `limits`");
        } else if (target->limit_count == TARGET_LIMITS_MAX) {
            settings_note(config->settings, CONFIG_ERROR, CODE_TOO_MANY, s, item,
                          "more than %d limits", TARGET_LIMITS_MAX);
            return;
        } else {
            target->limits[target->limit_count++] = (int)k;
        }
    }
}

/* Returns the number of headers, or -1 when one is wrong. */
static int build_headers(struct config *config, const char *name,
                         struct http_header headers[TARGET_HEADERS_MAX])
{
    const struct setting *s = NULL;
    int n = 0;
    bool ok = true;
    while (true) {
        s = settings_member(config->settings, "targets.*.headers", name, s);
        if (s == NULL) {
            return ok ? n : -1;
        }
        if (n == TARGET_HEADERS_MAX) {
            settings_note(config->settings, CONFIG_ERROR, CODE_TOO_MANY, s, NULL,
                          "more than %d headers", TARGET_HEADERS_MAX);
            return -1;
        }
        ok = check_template(config, s, s->value) && ok;
        headers[n++] = (struct http_header){s->member, s->value->text};
    }
}

/* target_new names the key when it is not the URL: find its place. */
static void note_target(struct config *config, const struct setting *url,
                        const char *kind, const char *text)
{
    enum config_code code = strcmp(kind, "http") == 0 ? CODE_TARGET : CODE_KIND;
    for (size_t i = 0; i < config->settings->count; i++) {
        const struct setting *s = &config->settings->items[i];
        char key[OPTION_KEY_MAX];
        char whole[2 * OPTION_KEY_MAX];
        option_key(s->option, s->name, key);
        snprintf(whole, sizeof whole, "%s%s%s: ", key, s->member[0] != '\0' ? "." : "",
                 s->member);
        if (text_starts(text, whole)) {
            settings_note(config->settings, CONFIG_ERROR, s == url ? CODE_URL : code, s,
                          NULL, "%s", text + strlen(whole));
            return;
        }
    }
    config_note(config->settings->report, CONFIG_ERROR, code,
                config_name_where(config, "targets", url->name), "%s", text);
}

/* NULL: the kind's. */
static const char *given_method(const struct config_settings *settings, const char *name)
{
    const struct setting *s = settings_get(settings, "targets.*.method", name);
    return s != NULL && s->layer != LAYER_DEFAULT ? s->value->text : NULL;
}

/* Everything that goes into the request; what is left for target_new to refuse is the
 * URL. */
static void build_request(struct config *config, struct config_target *target)
{
    struct config_settings *settings = config->settings;
    struct http_header headers[TARGET_HEADERS_MAX];
    const struct setting *body = settings_get(settings, "targets.*.body", target->name);
    const struct setting *url = settings_get(settings, "targets.*.url", target->name);
    struct target_options options = {
        .name = target->name,
        .method = given_method(settings, target->name),
        .headers = headers,
        .no_body = is_none(body),
    };
    int header_count = build_headers(config, target->name, headers);
    bool ok = header_count >= 0;
    ok = config_build_kind(config, target, &options) && ok;
    if (body != NULL && !options.no_body) {
        ok = check_tree(config, body, body->value) && ok;
    }
    if (url == NULL || !check_template(config, url, url->value) || !ok) {
        return;
    }
    struct secret_use use = {.config = config};
    struct err err = ERR_INIT;
    options.url = url->value->text;
    options.header_count = (size_t)header_count;
    options.body =
        body != NULL && !options.no_body ? config_tree_to_json(body->value) : NULL;
    target->target = target_new(&options, remember_secret, &use, &err);
    json_free(options.body);
    if (target->target == NULL) {
        note_target(config, url, options.kind, err.text);
    }
}

static void build_times(struct config *config, struct config_target *target)
{
    struct config_settings *settings = config->settings;
    const char *name = target->name;
    struct option_value backoff =
        settings_value(settings, "targets.*.retry.backoff", name);
    target->timeout_ms = settings_value(settings, "targets.*.timeout", name).number;
    target->connect_timeout_ms =
        settings_value(settings, "targets.*.connect_timeout", name).number;
    target->retry_hold_ms = settings_value(settings, "targets.*.retry.hold", name).number;
    target->backoff_min_ms = backoff.number;
    target->backoff_max_ms = backoff.upper;
    target->retry_budget_ms =
        settings_value(settings, "targets.*.retry.budget", name).number;
    target->retry_after_cap_ms =
        settings_value(settings, "targets.*.retry.after_cap", name).number;
    const struct setting *connect =
        settings_get(settings, "targets.*.connect_timeout", name);
    if (target->connect_timeout_ms > target->timeout_ms) {
        if (connect != NULL && connect->layer != LAYER_DEFAULT) {
            settings_note(settings, CONFIG_ERROR, CODE_TIMEOUT, connect, NULL,
                          "longer than the whole call (timeout)");
        }
        target->connect_timeout_ms = target->timeout_ms;
    }
}

static void build_amount(struct config *config, struct config_target *target)
{
    const char *name = settings_text(config->settings, "targets.*.kind", target->name);
    const struct kind *kind = name != NULL ? kind_find(name) : NULL;
    const char *pattern = "targets.*.concurrency";
    build_limits(config, target);
    if (settings_has(config->settings, pattern, target->name)) {
        target->concurrency =
            (int)settings_value(config->settings, pattern, target->name).number;
    } else if (kind != NULL) {
        target->concurrency = kind->concurrency;
    }
    if (kind != NULL) {
        config_build_own_limit(config, target, kind);
    }
}

static void build_target(struct config *config, struct config_target *target,
                         const char *name)
{
    struct config_settings *settings = config->settings;
    target->name = mem_strdup(name);
    config_note_required(config, "targets", name, "targets.*.url");
    build_match(config, target);
    build_amount(config, target);
    build_request(config, target);
    build_times(config, target);
    target->uncertain_dead =
        settings_value(settings, "targets.*.on_uncertain", name).number == 1;
    target->order_key = settings_value(settings, "targets.*.order", name).number == 0;
    target->public_only =
        settings_value(settings, "targets.*.public_only", name).number != 0;
    target->send_without_redis =
        settings_value(settings, "targets.*.on_redis_loss", name).number == 1;
    config_build_gate(config, target);
}

void config_build_targets(struct config *config)
{
    config->targets = mem_array(CONFIG_TARGETS_MAX, sizeof config->targets[0]);
    size_t i = 0;
    const char *name;
    do {
        name = config_next_name(config, "targets", CONFIG_TARGETS_MAX,
                                config->target_count, &i);
        if (name != NULL) {
            build_target(config, &config->targets[config->target_count++], name);
        }
    } while (name != NULL);
}

/* Who may do what through the HTTP API: the sections `roles` and `tokens`. */
#include "fleet/config_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* --- roles --- */

static void build_role(struct config *config, struct config_role *role, const char *name)
{
    const struct setting *s = settings_get(config->settings, "roles.*.allow", name);
    role->name = mem_strdup(name);
    config_note_required(config, "roles", name, "roles.*.allow");
    if (s == NULL) {
        return;
    }
    if (s->value->count == 0) {
        settings_note(config->settings, CONFIG_ERROR, CODE_ROLE, s, NULL,
                      "an empty list allows nothing");
    }
    role->rules = mem_array(s->value->count, sizeof role->rules[0]);
    for (size_t i = 0; i < s->value->count; i++) {
        const struct yaml_node *item = s->value->items[i];
        struct err err = ERR_INIT;
        if (rule_parse(item->text, &role->rules[role->rule_count], &err) == 0) {
            role->rule_count++;
        } else {
            settings_note(config->settings, CONFIG_ERROR, CODE_ROLE, s, item, "%s",
                          err.text);
        }
    }
}

static void build_roles(struct config *config)
{
    config->access.roles = mem_array(CONFIG_ROLES_MAX, sizeof config->access.roles[0]);
    size_t i = 0;
    const char *name;
    do {
        size_t have = config->access.role_count;
        name = config_next_name(config, "roles", CONFIG_ROLES_MAX, have, &i);
        if (name != NULL) {
            build_role(config, &config->access.roles[config->access.role_count++], name);
        }
    } while (name != NULL);
}

/* --- tokens --- */

static void build_roles_of(struct config *config, struct config_token *token)
{
    const struct setting *s =
        settings_get(config->settings, "tokens.*.roles", token->name);
    const char *names[CONFIG_ROLES_MAX];
    size_t n = config->access.role_count;
    for (size_t i = 0; i < n; i++) {
        names[i] = config->access.roles[i].name;
    }
    token->roles = s == NULL ? NULL : mem_array(s->value->count, sizeof token->roles[0]);
    for (size_t i = 0; s != NULL && i < s->value->count; i++) {
        const struct yaml_node *item = s->value->items[i];
        size_t k = 0;
        while (k < n && strcmp(names[k], item->text) != 0) {
            k++;
        }
        if (k < n) {
            token->roles[token->role_count++] = (int)k;
            continue;
        }
        const char *near = text_nearest(item->text, names, n);
        settings_note(config->settings, CONFIG_ERROR, CODE_TOKEN, s, item,
                      "role \"%.80s\" is not defined%s%s%s", item->text,
                      near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                      near != NULL ? "\"?)" : "; define it under `roles`");
    }
    if (s != NULL && s->value->count == 0) {
        settings_note(config->settings, CONFIG_ERROR, CODE_TOKEN, s, NULL,
                      "an empty list: this token could do nothing");
    }
}

static void build_secret_of(struct config *config, struct config_token *token)
{
    const struct setting *s =
        settings_get(config->settings, "tokens.*.secret", token->name);
    if (s == NULL) {
        return;
    }
    const struct config_secret *secret = config_secret_find(config, s->value->text);
    if (secret == NULL) {
        config_note_secret(config, s, NULL, s->value->text);
        return;
    }
    token->secret = mem_strdup(s->value->text);
    for (struct config_token *other = config->access.tokens; other < token; other++) {
        if (other->secret != NULL &&
            config_secret_find(config, other->secret) == secret) {
            settings_note(config->settings, CONFIG_ERROR, CODE_TOKEN, s, NULL,
                          "tokens.%s has this secret too: nobody could tell them apart",
                          other->name);
            return;
        }
    }
}

static void build_token(struct config *config, const char *name)
{
    struct config_token *token = &config->access.tokens[config->access.token_count++];
    token->name = mem_strdup(name);
    config_note_required(config, "tokens", name, "tokens.*.secret");
    config_note_required(config, "tokens", name, "tokens.*.roles");
    build_secret_of(config, token);
    build_roles_of(config, token);
}

static void build_tokens(struct config *config)
{
    config->access.tokens = mem_array(CONFIG_TOKENS_MAX, sizeof config->access.tokens[0]);
    size_t i = 0;
    const char *name;
    do {
        size_t have = config->access.token_count;
        name = config_next_name(config, "tokens", CONFIG_TOKENS_MAX, have, &i);
        if (name != NULL) {
            build_token(config, name);
        }
    } while (name != NULL);
}

/* --- the whole --- */

static bool role_is_used(const struct config *config, size_t role)
{
    for (size_t i = 0; i < config->access.token_count; i++) {
        const struct config_token *token = &config->access.tokens[i];
        for (size_t k = 0; k < token->role_count; k++) {
            if ((size_t)token->roles[k] == role) {
                return true;
            }
        }
    }
    return false;
}

void config_build_access(struct config *config)
{
    config->access.parts =
        (int)settings_value(config->settings, "access.parts", "").number;
    build_roles(config);
    build_tokens(config);
    bool sure = config->settings->report->errors == 0;
    for (size_t i = 0; i < config->access.role_count && sure; i++) {
        const char *name = config->access.roles[i].name;
        if (!role_is_used(config, i)) {
            config_note(config->settings->report, CONFIG_WARNING, CODE_UNUSED,
                        config_name_where(config, "roles", name),
                        "roles.%s: no token has it", name);
        }
    }
}

void config_free_access(struct config *config)
{
    for (size_t i = 0; i < config->access.role_count; i++) {
        struct config_role *role = &config->access.roles[i];
        for (size_t k = 0; k < role->rule_count; k++) {
            rule_release(&role->rules[k]);
        }
        free(role->rules);
        free(role->name);
    }
    for (size_t i = 0; i < config->access.token_count; i++) {
        free(config->access.tokens[i].name);
        free(config->access.tokens[i].secret);
        free(config->access.tokens[i].roles);
    }
    free(config->access.roles);
    free(config->access.tokens);
}

static int check_text(const struct config_token *token, const char *text, struct err *err)
{
    size_t len = strlen(text);
    if (len < CONFIG_TOKEN_MIN || len > CONFIG_TOKEN_MAX) {
        return err_set(err, -EINVAL,
                       "tokens.%s: secret %s has %zu characters, a token has %d to %d; "
                       "`openssl rand -hex 32` makes one",
                       token->name, token->secret, len, CONFIG_TOKEN_MIN,
                       CONFIG_TOKEN_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        if (!isgraph((unsigned char)text[i])) {
            return err_set(err, -EINVAL,
                           "tokens.%s: secret %s holds a space or another character "
                           "that no header carries; `openssl rand -hex 32` makes one",
                           token->name, token->secret);
        }
    }
    return 0;
}

int config_check_token(const struct config *config, const struct config_secret *secret,
                       struct err *err)
{
    for (size_t i = 0; i < config->access.token_count; i++) {
        const struct config_token *token = &config->access.tokens[i];
        const struct config_secret *its = config_secret_find(config, token->secret);
        if (its != NULL && strcmp(its->name, secret->name) == 0) {
            return check_text(token, secret->value, err);
        }
    }
    return 0;
}

int config_check_tokens(const struct config *config, struct err *err)
{
    const char *texts[CONFIG_TOKENS_MAX];
    for (size_t i = 0; i < config->access.token_count; i++) {
        const struct config_token *token = &config->access.tokens[i];
        texts[i] = config_secret_find(config, token->secret)->value;
        int rc = texts[i] != NULL ? check_text(token, texts[i], err) : 0;
        if (rc) {
            return rc;
        }
        for (size_t k = 0; k < i && texts[i] != NULL; k++) {
            if (texts[k] != NULL && strcmp(texts[k], texts[i]) == 0) {
                return err_set(err, -EINVAL,
                               "tokens.%s and tokens.%s have the same text: nobody "
                               "could tell them apart; give each its own",
                               config->access.tokens[k].name, token->name);
            }
        }
    }
    return 0;
}

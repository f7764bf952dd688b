/* What a target's kind adds to it: how it says its token and signs, how much it takes. */
#include <string.h>

#include "base/mem.h"
#include "fleet/config_private.h"

/* --- token and signature --- */

/* token. Whoever wrote the token itself does not find it in a log. */
static bool build_token(const struct config *config, const struct config_target *target,
                        struct target_options *options)
{
    const struct setting *s =
        settings_get(config->settings, "targets.*.token", target->name);
    if (s == NULL) {
        return true;
    }
    if (config_secret_find(config, s->value->text) == NULL) {
        settings_note(config->settings, CONFIG_ERROR, CODE_SECRET, s, NULL,
                      "names no secret that is defined; define one under `secrets` and "
                      "write its name here, not the token itself");
        return false;
    }
    options->token_secret = s->value->text;
    return true;
}

/* sign and sign_secret. Returns whether they fit together. */
static bool build_sign(const struct config *config, const struct config_target *target,
                       const struct kind *kind, struct target_options *options)
{
    struct config_settings *settings = config->settings;
    const struct setting *sign = settings_get(settings, "targets.*.sign", target->name);
    const struct setting *by =
        settings_get(settings, "targets.*.sign_secret", target->name);
    options->sign = sign != NULL ? sign->value->text : kind->sign;
    if (options->sign != NULL && strcmp(options->sign, "none") == 0) {
        options->sign = NULL;
    }
    if (options->sign == NULL && by != NULL) {
        settings_note(settings, CONFIG_ERROR, CODE_SIGN, by, NULL,
                      "without effect: sign is none");
        return false;
    }
    if (by != NULL && config_secret_find(config, by->value->text) == NULL) {
        config_note_secret(config, by, NULL, by->value->text);
        return false;
    }
    if (options->sign == NULL || by != NULL) {
        options->sign_secret = by != NULL ? by->value->text : NULL;
        return true;
    }
    bool webhooks = strcmp(options->sign, "standard-webhooks") == 0;
    if (sign != NULL) {
        settings_note(settings, CONFIG_ERROR, CODE_SIGN, sign, NULL,
                      "needs sign_secret: the name of a secret%s",
                      webhooks ? " (whsec_...)" : "");
    } else {
        settings_note(settings, CONFIG_ERROR, CODE_SIGN,
                      settings_get(settings, "targets.*.kind", target->name), NULL,
                      "signs its requests (%s), which needs sign_secret: the name of a "
                      "secret%s; or sign: none",
                      options->sign, webhooks ? " (whsec_...)" : "");
    }
    return false;
}

bool config_build_kind(struct config *config, const struct config_target *target,
                       struct target_options *options)
{
    options->kind = settings_text(config->settings, "targets.*.kind", target->name);
    const struct kind *kind = options->kind != NULL ? kind_find(options->kind) : NULL;
    if (kind == NULL) { /* no such word, and said so */
        return false;
    }
    bool token = build_token(config, target, options);
    return build_sign(config, target, kind, options) && token;
}

/* --- limits --- */

static int find_limit(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->limit_count; i++) {
        if (strcmp(config->limits[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

void config_build_own_limit(struct config *config, struct config_target *target,
                            const struct kind *kind)
{
    struct config_settings *settings = config->settings;
    const struct setting *by = settings_get(settings, "targets.*.kind", target->name);
    if (kind->rate_per_s <= 0 || by == NULL ||
        settings_has(settings, "targets.*.limits", target->name)) {
        return;
    }
    int at = find_limit(config, target->name);
    if (at < 0 && config->limit_count == CONFIG_LIMITS_MAX) {
        settings_note(settings, CONFIG_ERROR, CODE_TOO_MANY, by, NULL,
                      "more than %d limits", CONFIG_LIMITS_MAX);
        return;
    }
    if (at < 0) {
        at = (int)config->limit_count++;
        config->limits[at] =
            (struct config_limit){.name = mem_strdup(target->name),
                                  .rate_per_s = kind->rate_per_s,
                                  .burst = kind->burst >= 1 ? kind->burst : 1};
    }
    target->limits[target->limit_count++] = at;
    settings_note(
        settings, CONFIG_NOTE, CODE_KIND, by, NULL,
        "names no limits, so it has one of its own, \"%s\": %g/s, burst %g over "
        "the whole fleet; `limits: []` for none",
        target->name, config->limits[at].rate_per_s, config->limits[at].burst);
}

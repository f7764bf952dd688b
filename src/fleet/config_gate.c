/* The gate of a target: what is asked of which cluster before a trigger. */
#include "fleet/config_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "event/template.h"

static bool no_secret(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return false;
}

/* Returns owned, or NULL: absent, or wrong and reported. */
static struct template *build_template(struct config *config, const char *pattern,
                                       const char *name)
{
    const struct setting *s = settings_get(config->settings, pattern, name);
    if (s == NULL) {
        return NULL;
    }
    struct err err = ERR_INIT;
    struct template *t = template_compile(s->value->text, no_secret, NULL, &err);
    if (t == NULL && strstr(s->value->text, "${secret.") != NULL) {
        settings_note(config->settings, CONFIG_ERROR, CODE_GATE, s, NULL,
                      "holds a secret, and this text is logged; use ${event.x} only");
    } else if (t == NULL) {
        settings_note(config->settings, CONFIG_ERROR, CODE_TEMPLATE, s, NULL, "%s",
                      err.text);
    }
    return t;
}

/* "apps/v1/Deployment", "v1/Pod": a kind begins with a capital letter. */
static bool kind_is_good(const char *text)
{
    const char *kind = strrchr(text, '/');
    size_t slashes = 0;
    for (const char *c = text; *c != '\0'; c++) {
        slashes += *c == '/';
        if (!isalnum((unsigned char)*c) && strchr("./-", *c) == NULL) {
            return false;
        }
    }
    return kind != NULL && kind != text && text[0] != '/' && slashes <= 2 &&
           strstr(text, "//") == NULL && isupper((unsigned char)kind[1]);
}

static void build_kinds(struct config *config, struct config_gate *gate, const char *name)
{
    const struct setting *s =
        settings_get(config->settings, "targets.*.gate.kinds", name);
    if (s == NULL) {
        return;
    }
    if (s->value->count == 0 || s->value->count > CONFIG_GATE_KINDS_MAX) {
        settings_note(config->settings, CONFIG_ERROR, CODE_GATE, s, NULL,
                      "%zu kinds; expected 1 to %d", s->value->count,
                      CONFIG_GATE_KINDS_MAX);
        return;
    }
    gate->kinds = mem_array(s->value->count, sizeof gate->kinds[0]);
    for (size_t i = 0; i < s->value->count; i++) {
        const struct yaml_node *item = s->value->items[i];
        if (!kind_is_good(item->text)) {
            settings_note(config->settings, CONFIG_ERROR, CODE_GATE, s, item,
                          "\"%.80s\" is not group/version/Kind, such as "
                          "apps/v1/Deployment",
                          item->text);
        }
        gate->kinds[gate->kind_count++] = mem_strdup(item->text);
    }
}

/* What is said while no gate asks would have no effect, and nobody would see that. */
static void note_idle(struct config *config, const char *name)
{
    static const char *const keys[] = {"targets.*.gate.cluster",
                                       "targets.*.gate.namespace"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct setting *s = settings_get(config->settings, keys[i], name);
        if (s != NULL) {
            settings_note(config->settings, CONFIG_ERROR, CODE_GATE, s, NULL,
                          "without effect: gate.hibernating is send");
        }
    }
}

/* Which cluster is meant, by name. Clusters are built before targets. */
static void build_cluster(struct config *config, struct config_gate *gate,
                          const char *name, const struct setting *policy)
{
    const struct setting *s =
        settings_get(config->settings, "targets.*.gate.cluster", name);
    struct err err = ERR_INIT;
    const struct config_cluster *cluster =
        config_cluster_find(config, s != NULL ? s->value->text : NULL, &err);
    if (cluster == NULL) {
        settings_note(config->settings, CONFIG_ERROR, CODE_GATE, s != NULL ? s : policy,
                      NULL, "%s", err.text);
        return;
    }
    if (cluster->is_virtual) {
        settings_note(config->settings, CONFIG_ERROR, CODE_GATE, s != NULL ? s : policy,
                      NULL, "cluster \"%s\" is virtual: nobody could ask it",
                      cluster->name);
    }
    gate->cluster = mem_strdup(cluster->name);
}

void config_build_gate(struct config *config, struct config_target *target)
{
    struct config_settings *settings = config->settings;
    struct config_gate *gate = &target->gate;
    const struct setting *policy =
        settings_get(settings, "targets.*.gate.hibernating", target->name);
    gate->policy =
        (enum config_gate_policy)settings_value(settings, "targets.*.gate.hibernating",
                                                target->name)
            .number;
    if (policy == NULL || gate->policy == CONFIG_GATE_SEND) {
        note_idle(config, target->name);
        return;
    }
    gate->unknown_send =
        settings_value(settings, "targets.*.gate.unknown", target->name).number == 1;
    build_cluster(config, gate, target->name, policy);
    gate->ns = build_template(config, "targets.*.gate.namespace", target->name);
    gate->selector = build_template(config, "targets.*.gate.selector", target->name);
    build_kinds(config, gate, target->name);
    if (!settings_has(settings, "targets.*.gate.namespace", target->name)) {
        settings_note(settings, CONFIG_ERROR, CODE_GATE, policy, NULL,
                      "needs gate.namespace, where the application's workloads are");
    }
}

void config_gate_release(struct config_gate *gate)
{
    free(gate->cluster);
    template_free(gate->ns);
    template_free(gate->selector);
    for (size_t i = 0; i < gate->kind_count; i++) {
        free(gate->kinds[i]);
    }
    free(gate->kinds);
}

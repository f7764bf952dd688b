/* Between the files of fleet/config: the settings, and how faults are noted.
 *
 * A setting is one value of one key and where it came from. Layers put settings over
 * settings (config_layers.c), each typed as it is put (config_settings.c); config.c and
 * config_targets.c make a struct config of what is left. Members of map options (a
 * header, a Kafka property) are settings of their own, so each has its own origin. */
#ifndef FLEET_CONFIG_PRIVATE_H
#define FLEET_CONFIG_PRIVATE_H

#include <stdatomic.h>

#include "base/option.h"
#include "fleet/config.h"
#include "wire/yaml.h"

extern const struct option config_options[];
extern const size_t config_option_count;

/* The row of a pattern ("targets.*.url"); there must be one. */
const struct option *config_option(const char *pattern);

enum config_layer { LAYER_DEFAULT, LAYER_FILE, LAYER_ENVIRONMENT, LAYER_FLAG };

struct setting {
    const struct option *option;
    char *name;              /* what stands for the `*`, else "" */
    char *member;            /* of a map option, else "" */
    struct yaml_node *value; /* owned */
    enum config_layer layer;
    char *where; /* "SLUICE_BATCH_SIZE", "--set batch.size"; NULL: see value's place */
    bool broken; /* wrong, and reported: nobody reads it */
};

/* A limit, a target or whatever else somebody named. */
struct setting_name {
    char *section; /* "targets" */
    char *name;
    char *where;
};

struct config_settings {
    struct setting *items;
    size_t count;
    bool full; /* and said so */
    struct setting_name *names;
    size_t name_count;
    char *path;                   /* of the file; NULL: none */
    struct config_report *report; /* while loading */
    atomic_int owners;            /* of the struct config */
};

struct config_settings *settings_new(void);
void settings_free(struct config_settings *settings);

/* Take a value from a layer, typed by its row; one of a lower layer gives way. Takes
 * value. where: NULL for the file. */
void settings_put(struct config_settings *settings, enum config_layer layer,
                  const char *where, const struct option *option, const char *name,
                  const char *member, struct yaml_node *value);
void settings_add_name(struct config_settings *settings, const char *section,
                       const char *name, const char *where);

/* The one a reader should use, or NULL: absent or broken. */
const struct setting *settings_get(const struct config_settings *settings,
                                   const char *pattern, const char *name);
bool settings_has(const struct config_settings *settings, const char *pattern,
                  const char *name); /* also a broken one */
void settings_remove(struct config_settings *settings, const char *pattern,
                     const char *name);
/* The next member of a map option after `last` (NULL: the first), or NULL. */
const struct setting *settings_member(const struct config_settings *settings,
                                      const char *pattern, const char *name,
                                      const struct setting *last);

/* Read typed; zero values when absent. */
const char *settings_text(const struct config_settings *settings, const char *pattern,
                          const char *name); /* NULL when absent; borrowed */
struct option_value settings_value(const struct config_settings *settings,
                                   const char *pattern, const char *name);

/* The four layers, lowest first. */
void layer_file(struct config_settings *settings, const struct yaml_node *root);
void layer_environment(struct config_settings *settings, char *const *environment);
void layer_overrides(struct config_settings *settings,
                     const struct config_override *overrides, size_t n);
void layer_defaults(struct config_settings *settings);

/* Codes have a paragraph each in config_codes.c. */
enum config_code {
    CODE_FILE = 0,
    CODE_SYNTAX = 1,
    CODE_UNKNOWN_KEY = 2,
    CODE_DUPLICATE = 3,
    CODE_UNWANTED = 4,
    CODE_TYPE = 5,
    CODE_RANGE = 6,
    CODE_URL = 7,
    CODE_MISSING = 8,
    CODE_KAFKA_NAME = 9,
    CODE_LIMIT = 10,
    CODE_NO_TARGETS = 11,
    CODE_SECRET = 12,
    CODE_TEMPLATE = 13,
    CODE_REDIS_URL = 14,
    CODE_DELAYS = 15,
    CODE_STOP = 16,
    CODE_NAME = 17,
    CODE_MATCH = 18,
    CODE_UNKNOWN_VARIABLE = 19,
    CODE_BROKERS = 20,
    CODE_TIMEOUT = 21,
    CODE_PLAIN_HTTP = 22,
    CODE_DONE_TTL = 23,
    CODE_OPEN_SECRET = 24,
    CODE_PROPERTY = 25,
    CODE_UNUSED = 26,
    CODE_SIGN = 27,
    CODE_TWO_SOURCES = 28,
    CODE_TARGET = 29,
    CODE_TOO_MANY = 30,
    CODE_KIND = 31,
    CODE_CLUSTER = 32,
    CODE_GATE = 33,
    CODE_ROLE = 34,
    CODE_TOKEN = 35,
    CODE_WORKFLOW = 36,
};

/* The next good name of a section from *i on, or NULL. Reports bad ones, and the first
 * one too many (max; have: how many there are). */
const char *config_next_name(struct config *config, const char *section, size_t max,
                             size_t have, size_t *i);
/* Where it was named, for what is said of the whole thing. */
const char *config_name_where(const struct config *config, const char *section,
                              const char *name);
void config_note_required(struct config *config, const char *section, const char *name,
                          const char *pattern);
/* That a text names a secret which is not there, with the nearest one that is. */
void config_note_secret(const struct config *config, const struct setting *setting,
                        const struct yaml_node *node, const char *name);

/* "sluice.yaml:3:5" of a setting or of a node in it. */
enum { WHERE_MAX = 320 };
void settings_where(const struct config_settings *settings, const struct setting *setting,
                    const struct yaml_node *node, char where[WHERE_MAX]);

void config_note(struct config_report *report, enum config_severity severity,
                 enum config_code code, const char *where, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* At a setting, with its key in front of the sentence. */
void settings_note(struct config_settings *settings, enum config_severity severity,
                   enum config_code code, const struct setting *setting,
                   const struct yaml_node *node, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* The parts of a struct config. */
void config_build_sections(struct config *config); /* config.c */
void config_build_limits(struct config *config);   /* config_targets.c, in this order */
void config_build_secrets(struct config *config);
void config_build_clusters(struct config *config); /* config_clusters.c */
void config_clusters_release(struct config *config);
void config_build_targets(struct config *config);
void config_build_workflow(struct config *config); /* config_workflow.c */
void config_workflow_release(struct config *config);
void config_build_gate(struct config *config,
                       struct config_target *target); /* config_gate.c */
void config_gate_release(struct config_gate *gate);
void config_build_access(struct config *config); /* config_access.c */
void config_free_access(struct config *config);
/* Is each token's text one that can be sent and that nobody guesses, and no two the same?
 * Of those secrets that are loaded; and of one alone. Returns 0 or -EINVAL. */
int config_check_tokens(const struct config *config, struct err *err);
int config_check_token(const struct config *config, const struct config_secret *secret,
                       struct err *err);
void config_check(const struct config *config); /* config_check.c: what no single value
                                                   shows */

/* config_kind.c: what a target's kind adds. Of the token and the signature; returns
 * whether they fit. And, after its limits were built, one of its own when it names none.
 */
bool config_build_kind(struct config *config, const struct config_target *target,
                       struct target_options *options);
void config_build_own_limit(struct config *config, struct config_target *target,
                            const struct kind *kind);

/* Note that no secret has this name, with the nearest one that there is. */
void config_note_secret(const struct config *config, const struct setting *setting,
                        const struct yaml_node *node, const char *name);
/* Where a named thing of a section was given its name. */
const char *config_name_where(const struct config *config, const char *section,
                              const char *name);

/* A secret by name; names that make the same environment name are the same secret. */
struct config_secret *config_secret_find(const struct config *config, const char *name);
/* Is the whole text "${secret.NAME}"? name: out. */
bool config_secret_reference(const char *text, char name[OPTION_NAME_MAX]);
/* A header whose value is a credential; a Kafka property that is one. */
bool config_is_credential(const struct setting *setting);

/* A node in flow style, on one line; what was quoted stays quoted. */
void config_flow(const struct yaml_node *node, struct str *out);
/* A body as JSON: an unquoted text that is exactly a JSON number, true, false or null is
 * that, everything else is a string. Returns owned; NULL stands for null. */
struct json_object *config_tree_to_json(const struct yaml_node *node);

#endif

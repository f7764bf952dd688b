/* The whole configuration, typed, checked and ready: defaults < file < environment <
 * flags.
 *
 * One option table (src/fleet/config_table.c over base/option.h) feeds the parser,
 * --help, the environment names, the JSON schema and the docs. Everything is read-only
 * after config_load. */
#ifndef FLEET_CONFIG_H
#define FLEET_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "event/match.h"
#include "fleet/rule.h"
#include "target/target.h"
#include "wire/kafka.h"

enum {
    CONFIG_LIMITS_MAX = 256,
    CONFIG_TARGETS_MAX = 256,
    CONFIG_CLUSTERS_MAX = 256,
    CONFIG_TIERS_MAX = 8,
    CONFIG_GATE_KINDS_MAX = 16,
    CONFIG_ROLES_MAX = 64,
    CONFIG_TOKENS_MAX = 64,
    CONFIG_TOKEN_MIN = 16, /* characters of a token's text */
    CONFIG_TOKEN_MAX = 512,
    CONFIG_ISSUES_MAX = 500
};

struct config_limit {
    char *name;
    double rate_per_s; /* > 0 */
    double burst;      /* >= 1 */
};

struct config_secret {
    char *name;
    char *file;  /* where it comes from; NULL: the environment */
    char *env;   /* the variable that holds it; NULL: the file */
    char *value; /* NULL until config_load_secrets; wiped on release */
};

/* A Kubernetes cluster that is asked: clusters.* */
struct config_cluster {
    char *name;
    char *kubeconfig; /* the file; NULL: in_cluster or is_virtual */
    char *context;    /* NULL: the file's own */
    bool in_cluster;  /* we are a pod of it */
    bool is_virtual;  /* it has no API server that could be reached; nobody dials it */
    double rate_per_s;
    double burst;
    int concurrency;
};

/* What a target wants to know of a cluster before it is called: targets.*.gate.* */
enum config_gate_policy {
    CONFIG_GATE_SEND, /* nothing: no gate asks */
    CONFIG_GATE_HOLD, /* a sleeping application's units wait until it is awake */
    CONFIG_GATE_WAKE, /* it is woken, then called */
    CONFIG_GATE_SKIP, /* it is not called */
};
struct config_gate {
    enum config_gate_policy policy; /* targets.*.gate.hibernating, send */
    char *cluster;                  /* of `clusters`; NULL with CONFIG_GATE_SEND only */
    struct template *ns;            /* these two name no secret; */
    struct template *selector;      /* NULL with CONFIG_GATE_SEND only */
    char **kinds;                   /* "apps/v1/Deployment" each */
    size_t kind_count;
    bool unknown_send; /* targets.*.gate.unknown: send */
};

struct config_target {
    char *name;
    struct match match;
    struct target *target;
    int limits[TARGET_LIMITS_MAX]; /* indexes into config.limits */
    size_t limit_count;
    int concurrency;            /* targets.*.concurrency, or its kind's; 0: neither */
    int64_t timeout_ms;         /* targets.*.timeout, 5s */
    int64_t connect_timeout_ms; /* targets.*.connect_timeout, 3s, at most timeout */
    int64_t retry_hold_ms;  /* targets.*.retry.hold, 10s: how long retries may hold the
                               barrier */
    int64_t backoff_min_ms; /* targets.*.retry.backoff, 200ms..5s */
    int64_t backoff_max_ms;
    int64_t retry_budget_ms; /* targets.*.retry.budget, 2h: then the dead-letter topic */
    int64_t retry_after_cap_ms; /* targets.*.retry.after_cap, 10m */
    bool uncertain_dead;        /* targets.*.on_uncertain: dead */
    bool order_key;             /* targets.*.order: key */
    bool public_only;           /* targets.*.public_only */
    bool send_without_redis;    /* targets.*.on_redis_loss: send */
    struct config_gate gate;
};

struct config_role {
    char *name;
    struct rule *rules; /* roles.*.allow */
    size_t rule_count;
};

/* Who may ask the HTTP API. */
struct config_token {
    char *name;
    char *secret; /* the name of the secret that holds its text */
    int *roles;   /* indexes into config.access.roles */
    size_t role_count;
};

struct config {
    struct {
        char *brokers; /* comma-separated */
        char *topic;
        char *group;
        char *client_id; /* default "sluice-<host>-<pid>" */
        bool start_earliest;
        enum kafka_gap on_gap;
        uint64_t prefetch_bytes; /* 32MiB */
        struct kafka_property *properties;
        size_t property_count;
    } kafka;
    struct {
        int size;       /* 1..1000, default 5 */
        int64_t age_ms; /* 200ms */
        int window;     /* 2: uncommitted batches a lane */
    } batch;
    int in_flight; /* 64; 1..4096 */
    struct {
        char *url;
        char *prefix; /* "sluice" */
        char *username;
        char *password;      /* of password_file: NULL until config_load_secrets */
        char *password_file; /* NULL: none */
        char *ca_file;       /* for rediss://; NULL: the system's */
        char *cert_file;     /* for rediss://, with key_file; NULL: none */
        char *key_file;
        int64_t timeout_ms; /* 2s: of one round trip */
        bool allow_eviction;
    } redis;
    int64_t done_ttl_ms; /* ledger.done_ttl, 7d */
    struct {
        int64_t events; /* 10000; 0: none */
        int64_t ttl_ms; /* 24h */
    } history;
    struct {
        int64_t tiers_ms[CONFIG_TIERS_MAX]; /* retry.delays, [30s, 5m, 30m], ascending */
        char *tier_names[CONFIG_TIERS_MAX]; /* as written, for topic names: "30s" */
        size_t tier_count;
    } retry;
    int64_t revoke_drain_ms; /* revoke.drain, 5s */
    int64_t stop_drain_ms;   /* stop.drain, 10s */
    int64_t stop_grace_ms;   /* stop.grace, 25s */
    int64_t progress_ms;     /* watchdog.progress, 60s */
    char *http_listen;       /* "127.0.0.1:9464"; "off": none */
    char *ca_file;           /* http.ca_file: for all targets; NULL: the system's */
    struct {
        char *listen;     /* "127.0.0.1:8080" */
        char *token_file; /* NULL: none */
        bool read_only;   /* true */
    } console;
    struct {
        int parts; /* 4: how many parts a list is asked in */
        struct config_role *roles;
        size_t role_count;
        struct config_token *tokens; /* none: whoever reaches the API may read */
        size_t token_count;
    } access;
    enum log_level log_level;
    enum log_format log_format;
    struct config_limit *limits;
    size_t limit_count;
    struct config_target *targets;
    size_t target_count;
    struct config_secret *secrets;
    size_t secret_count;
    struct config_cluster *clusters;
    size_t cluster_count;
    struct {
        int64_t every_ms;   /* 1m */
        int64_t timeout_ms; /* 5s: of one cluster */
        int width;          /* 16 */
    } cluster_check;
    struct {
        int64_t timeout_ms; /* 5s: both legs */
        struct target *ci;  /* the query to the CI system; NULL: none */
        char *ci_status;    /* JSON pointer into its answer; NULL: none */
    } workflow;
    struct config_settings *settings; /* what config_show prints; hidden */
    int64_t loaded_wall_ms; /* the limits' version: of two fleets that differ, the later
                               start wins */
};

/* One override from a flag: "batch.size", "10", "--set batch.size". */
struct config_override {
    const char *key;
    const char *value;
    const char *origin;
};

enum config_severity {
    CONFIG_ERROR,
    CONFIG_WARNING,
    CONFIG_NOTE, /* nothing is wrong, but it should be known; never an error */
};

/* Faults, all in one pass. `where` is "sluice.yaml:14:3", "SLUICE_BATCH_SIZE" or "--set
 * batch.size". */
struct config_issue {
    enum config_severity severity;
    char code[8]; /* "SL-C02" */
    char where[320];
    char text[ERR_TEXT_MAX];
};
struct config_report {
    struct config_issue *items; /* owned; config_report_release */
    size_t count;               /* kept: at most CONFIG_ISSUES_MAX */
    size_t errors;              /* found, also beyond what is kept */
    size_t warnings;
    bool no_input; /* the file itself is missing or unreadable: exit 66, not 78 */
};
void config_report_add(struct config_report *report, enum config_severity severity,
                       const char *code, const char *where, const char *text);
void config_report_release(struct config_report *report);

/* Load and check; opens no socket, reads no secret.
 * path         NULL: SLUICE_CONFIG, else ./sluice.yaml when it is there, else no file.
 * environment  "NAME=value" strings, NULL-ended (environ).
 * report       out: every fault, also warnings of a good configuration.
 * Returns owned (config_free) or NULL when there was an error. */
struct config *config_load(const char *path, const struct config_override *overrides,
                           size_t n, char *const *environment,
                           struct config_report *report);
/* One more owner, of whom each says config_free. Returns the configuration. */
struct config *config_hold(struct config *config);
void config_free(struct config *config);

/* A cluster by name (NULL: the only one there is), or NULL with a sentence that names
 * those there are, -EINVAL. */
const struct config_cluster *config_cluster_find(const struct config *config,
                                                 const char *name, struct err *err);

/* Is a setting ("targets.*.url" of "argocd-prod") written the same in both? */
bool config_same(const struct config *a, const struct config *b, const char *pattern,
                 const char *name);

/* The paragraph on a code ("SL-C02"), or NULL. And the i-th code, for a list; false at
 * the end. */
const char *config_code_explain(const char *code);
bool config_code_at(size_t i, char code[8], const char **title);

/* The option table, for help: a paragraph on each key that begins with `prefix`.
 * Returns how many there were. */
size_t config_help(const char *prefix, struct str *out);

/* Read secret files and SLUICE_SECRET_* variables. Returns 0, or -ENOENT/-EACCES with a
 * sentence naming the first secret that is not there and the file, and the next step (the
 * others are read all the same); or -EINVAL: the text of a token is too short, cannot be
 * sent, or is another's too. */
int config_load_secrets(struct config *config, char *const *environment, struct err *err);

/* What a reload from one to the other would change.
 * summary  appended: "1 target added, 1 limit changed", or "nothing changed".
 * fixed    appended: keys that differ and that only a restart changes, "kafka.topic,
 *          in_flight"; left as it is when there are none.
 * Secrets of both are loaded. */
void config_compare(const struct config *from, const struct config *to,
                    struct str *summary, struct str *fixed);

/* The same for those alone that Kafka and Redis want: what an operator's command needs,
 * which may not see the targets' secrets. */
int config_load_access(struct config *config, char *const *environment, struct err *err);
/* Only those that tokens want: who serves the HTTP API without the rest. */
int config_load_tokens(struct config *config, char *const *environment, struct err *err);
/* Only those that Kafka wants: who publishes. */
int config_load_kafka_access(struct config *config, char *const *environment,
                             struct err *err);

/* Could all secrets be read? As config_load_secrets, and nothing is kept. */
int config_try_secrets(const struct config *config, char *const *environment,
                       struct err *err);

/* The file it was loaded from, or NULL; borrowed. */
const char *config_path(const struct config *config);

/* template_secret_fn over a struct config. */
const char *config_secret_get(void *config, const char *name);

/* Effective values with their origin, secrets masked; YAML (which loads again) or JSON.
 */
void config_show(const struct config *config, bool origin, bool json, struct str *out);
/* What two workers of one group should have in common, as a short hash: all but the keys
 * that are each process' own. */
enum { CONFIG_HASH_LEN = 13 };
void config_hash(const struct config *config, char hex[CONFIG_HASH_LEN]);
void config_schema(struct str *out); /* JSON Schema 2020-12 */
/* A commented sluice.yaml with a target of a kind (target/kind.h) that passes the check;
 * "github" is "github-dispatch". Returns 0, or -EINVAL with a sentence for a kind that is
 * not there. */
int config_scaffold(const char *kind, struct str *out, struct err *err);

/* What the query workflow.ci is called as a target; and a sentence of target_new or
 * target_request_make about it, in the words of the configuration. */
#define CONFIG_WORKFLOW_CI "ci"
const char *config_workflow_sentence(const char *text, char sentence[ERR_TEXT_MAX]);
/* An event of what is kept of one (see ops/history): value gives a field by its name, or
 * NULL. event  out: event_release. */
void config_workflow_event(struct event *event,
                           const char *(*value)(void *, const char *), void *arg);

/* Topic names; the text is owned by the caller (free). */
char *config_retry_topic(const struct config *config, size_t tier);
/* Where units wait that an operator sends again, CONFIG_REDRIVE_DELAY. What is deferred
 * goes there only when that delay is configured, too. */
#define CONFIG_REDRIVE_DELAY "1s"
char *config_redrive_topic(const struct config *config);
char *config_dead_topic(const struct config *config);

#endif

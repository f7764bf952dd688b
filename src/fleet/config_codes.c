/* Faults: how they are noted, and a paragraph on each kind. */
#include "fleet/config_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* clang-format off */
static const struct {
    enum config_code code;
    const char *title;
    const char *text;
} codes[] = {
    {CODE_FILE, "the file cannot be read",
     "The configuration file named by -c or SLUICE_CONFIG is missing, unreadable or no file. Without\n"
     "either, ./sluice.yaml is read when it is there. `sluice-consumer config init > sluice.yaml` makes one."},
    {CODE_SYNTAX, "not YAML",
     "The file could not be parsed at this place. Usual causes: a tab used to indent, a value that begins\n"
     "with one of * & ! % @ ` { [ without quotes, a colon followed by a space inside a text, a bracket\n"
     "that is not closed, bytes that are not UTF-8."},
    {CODE_UNKNOWN_KEY, "unknown key",
     "No such key is known here. Keys are never ignored, because a misspelled limit would be no limit.\n"
     "`sluice-consumer help config` lists all of them."},
    {CODE_DUPLICATE, "a key given twice",
     "The same name stands twice in one map. Readers differ in which one they take, so neither is."},
    {CODE_UNWANTED, "a YAML feature that is not allowed",
     "Anchors, aliases, tags, merge keys and a second document are refused: they make a value stand\n"
     "elsewhere than where it is used, and a place in an error message would be wrong. Write it out."},
    {CODE_TYPE, "the wrong kind of value",
     "Every key has one kind of value (a whole number, a duration with a unit, a list ...), and texts are\n"
     "read as that kind, never guessed: `branch: 1e3` is the text 1e3, and `size: many` is an error."},
    {CODE_RANGE, "out of range",
     "The value is of the right kind, but too small or too large to work with."},
    {CODE_URL, "a target's URL",
     "A URL is http:// or https://, has a host, and takes ${event.x} and ${secret.x} in its path and query\n"
     "only: scheme, host and port never come from an event, or an event could choose who gets the secrets."},
    {CODE_MISSING, "something is missing",
     "This has no default and must be given."},
    {CODE_KAFKA_NAME, "a name Kafka does not take",
     "Topic names have at most 249 of a-z A-Z 0-9 . _ - and the group is part of the names of the retry\n"
     "and dead-letter topics (<topic>.<group>.retry.30s, <topic>.<group>.dlq), so it obeys the same rule\n"
     "and the longest of them must fit."},
    {CODE_LIMIT, "a limit that is not there",
     "targets.*.limits names entries of the section `limits`."},
    {CODE_NO_TARGETS, "nothing to trigger",
     "There is no target, so every event would be skipped. `sluice-consumer config init` shows one."},
    {CODE_SECRET, "a secret that is not there",
     "${secret.NAME}, token and sign_secret name entries of the section `secrets`, each with `file: PATH` or\n"
     "`env: VARIABLE`; SLUICE_SECRET_<NAME> and SLUICE_SECRET_<NAME>_FILE define one too."},
    {CODE_TEMPLATE, "a text with ${...}",
     "Known are ${event.FIELD}, ${event:/json/pointer}, ${secret.NAME}, and in targets ${trigger.key}, the\n"
     "idempotency key, and ${trigger.name}, a DNS label that is as unique; $$ is a dollar sign."},
    {CODE_REDIS_URL, "the URL of Redis",
     "redis://[user[:password]@]host[:port][/db], the same with rediss:// for TLS, or unix:///path. With TLS\n"
     "the server's certificate must be signed by an authority of redis.ca_file (left out: the system's) and\n"
     "be for this host; redis.cert_file and redis.key_file are shown to a server that asks who we are."},
    {CODE_DELAYS, "the retry delays",
     "1 to 8 durations in ascending order; each is a topic, so none can be there twice."},
    {CODE_STOP, "the times of a stop",
     "After stop.drain the last commit, leaving the group and closing connections take up to 8 s more.\n"
     "All of it must fit into stop.grace, or work is cut off that could have been finished."},
    {CODE_NAME, "the name of a limit, target or secret",
     "At most 63 of a-z 0-9 . _ - beginning with a letter or digit: names become metric labels, Redis keys\n"
     "and environment variables."},
    {CODE_MATCH, "a match rule",
     "Rules are named by a routing field (app repo branch commit image digest pipeline run run_url env type\n"
     "source id time key) or a JSON pointer (/a/b) and hold a glob or a list of globs."},
    {CODE_UNKNOWN_VARIABLE, "an unknown SLUICE_ variable",
     "It has no effect. Every key has one variable: kafka.brokers is SLUICE_KAFKA_BROKERS."},
    {CODE_BROKERS, "kafka.brokers",
     "A list of host:port. IPv6 addresses stand in brackets: [::1]:9092."},
    {CODE_TIMEOUT, "a target's times",
     "A call that is open when the group takes its partition away may end for revoke.drain; one that lasts\n"
     "longer leaves its unit to the next owner, which waits for it. Keep timeout at or below revoke.drain,\n"
     "connect_timeout at or below timeout, and retry.hold below retry.budget."},
    {CODE_PLAIN_HTTP, "unencrypted HTTP",
     "Headers, secrets and bodies are readable on the way, and answers can be forged. It works; loopback\n"
     "is not warned about."},
    {CODE_DONE_TTL, "ledger.done_ttl is short",
     "A unit that is retried longer than triggers are remembered can be called twice. It should also\n"
     "exceed the source topic's retention."},
    {CODE_OPEN_SECRET, "a credential in the open",
     "The value stands in the file itself. Put it into a secret and write ${secret.NAME}."},
    {CODE_PROPERTY, "a librdkafka property that is ours",
     "Committing, the group and its assignment are part of the promise that no event is lost; set them\n"
     "by the key that the message names, if there is one."},
    {CODE_UNUSED, "defined, but not used",
     "No target names it. A misspelled name elsewhere, perhaps."},
    {CODE_SIGN, "signing",
     "`sign: standard-webhooks` (or hmac-sha256) needs `sign_secret: NAME`, and the other way round. Some\n"
     "kinds sign unless `sign: none` says otherwise."},
    {CODE_TWO_SOURCES, "two sources for one secret",
     "Give either the file or the other one."},
    {CODE_TARGET, "a target that cannot be made",
     "The request of this target would not be one."},
    {CODE_TOO_MANY, "too many",
     "There are more of these than a process keeps."},
    {CODE_KIND, "what a target's kind wants",
     "`kind` says what is called, and so what its requests need: a path, members of the body, a signature.\n"
     "`sluice-consumer config init --target KIND` shows one that is complete. A target that names no limits\n"
     "has a bucket of its own with what its kind takes; `limits: []` is none, and says so."},
    {CODE_CLUSTER, "a cluster",
     "`clusters` names the Kubernetes clusters that are asked. Each is reached in one way: by a kubeconfig\n"
     "file, as a pod of it (`in_cluster: true`), or not at all (`virtual: true`)."},
    {CODE_GATE, "a target's gate",
     "`gate: {hibernating: hold|wake|skip}` asks a cluster before each trigger, so it needs that cluster\n"
     "(`clusters`; `gate.cluster` names one of several), a namespace, labels to look for as in\n"
     "`kubectl get -l`, and kinds written group/version/Kind. Namespace and labels may hold ${event.x}, but no\n"
     "secret: both are logged."},
    {CODE_ROLE, "a role",
     "roles.NAME.allow is a list of \"ACTION RESOURCE\". Resources are apps/NAME, targets/NAME, consumers/ID and\n"
     "clusters/NAME, with globs (\"read apps/payments-*\"), and fleet, stream, config, doctor and deadletters.\n"
     "`read` is for all of them, `pause` and `resume` for targets, `drain` for consumers, `redrive` for\n"
     "deadletters, `reload` for fleet, `kube` for clusters. A star in place of either is all: \"* *\"."},
    {CODE_TOKEN, "a token",
     "tokens.NAME needs `secret`, the name of the secret that holds its text, and `roles`, a list of entries of\n"
     "`roles`. The text has 16 to 512 printable characters without a space, and no two tokens have the same:\n"
     "`openssl rand -hex 32` makes one. With any token, /api/v1/ answers only who sends one."},
    {CODE_WORKFLOW, "the query to the CI system",
     "`workflow.ci` asks the CI system how the run stands that an event came from, long after the event was\n"
     "worked. Of an event id, app, repo, commit, branch, pipeline, run and run_url are kept for that; no JSON\n"
     "pointer into it, for the event itself is not kept. Its URL obeys the rules of a target's."},
};
/* clang-format on */
enum { CODE_COUNT = sizeof codes / sizeof codes[0], CODE_TEXT_MAX = 8 };

static void code_text(enum config_code code, char text[CODE_TEXT_MAX])
{
    snprintf(text, CODE_TEXT_MAX, "SL-C%02d", (int)code % 100);
}

const char *config_code_explain(const char *code)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        char text[CODE_TEXT_MAX];
        code_text(codes[i].code, text);
        if (strcmp(text, code) == 0) {
            return codes[i].text;
        }
    }
    return NULL;
}

bool config_code_at(size_t i, char code[8], const char **title)
{
    if (i >= CODE_COUNT) {
        return false;
    }
    code_text(codes[i].code, code);
    *title = codes[i].title;
    return true;
}

void config_report_add(struct config_report *report, enum config_severity severity,
                       const char *code, const char *where, const char *text)
{
    report->errors += severity == CONFIG_ERROR;
    report->warnings += severity == CONFIG_WARNING; /* a note is neither */
    if (report->count == CONFIG_ISSUES_MAX) {
        return;
    }
    if ((report->count & (report->count - 1)) == 0) {
        size_t room = report->count == 0 ? 1 : report->count * 2;
        report->items = mem_resize(report->items, room * sizeof report->items[0]);
    }
    /* by place: strverscmp takes sluice.yaml:9:3 before sluice.yaml:10:3 */
    size_t at = report->count++;
    while (at > 0 && strverscmp(report->items[at - 1].where, where) > 0) {
        report->items[at] = report->items[at - 1];
        at--;
    }
    struct config_issue *issue = &report->items[at];
    issue->severity = severity;
    snprintf(issue->code, sizeof issue->code, "%s", code);
    snprintf(issue->where, sizeof issue->where, "%s", where);
    snprintf(issue->text, sizeof issue->text, "%s", text);
}

static void note(struct config_report *report, enum config_severity severity,
                 enum config_code code, const char *where, const char *text)
{
    char name[CODE_TEXT_MAX];
    code_text(code, name);
    config_report_add(report, severity, name, where, text);
}

void config_note(struct config_report *report, enum config_severity severity,
                 enum config_code code, const char *where, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    note(report, severity, code, where, text);
}

void settings_where(const struct config_settings *settings, const struct setting *setting,
                    const struct yaml_node *node, char where[WHERE_MAX])
{
    const struct yaml_node *at = node != NULL ? node : setting->value;
    if (setting->where != NULL) {
        snprintf(where, WHERE_MAX, "%s", setting->where);
    } else {
        snprintf(where, WHERE_MAX, "%.280s:%d:%d", settings->path, at->line, at->column);
    }
}

void settings_note(struct config_settings *settings, enum config_severity severity,
                   enum config_code code, const struct setting *setting,
                   const struct yaml_node *node, const char *format, ...)
{
    char where[WHERE_MAX];
    char key[OPTION_KEY_MAX];
    char text[ERR_TEXT_MAX];
    settings_where(settings, setting, node, where);
    option_key(setting->option, setting->name, key);
    int len = snprintf(text, sizeof text, "%.150s%s%.100s: ", key,
                       setting->member[0] != '\0' ? "." : "", setting->member);
    va_list args;
    va_start(args, format);
    vsnprintf(text + len, sizeof text - (size_t)len, format, args);
    va_end(args);
    note(settings->report, severity, code, where, text);
}

void config_report_release(struct config_report *report)
{
    free(report->items);
    memset(report, 0, sizeof *report);
}

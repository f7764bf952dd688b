/* explain for people: as text, and as commands to paste. */
#include "explain.h"

#include <stdlib.h>
#include <string.h>

#include "base/option.h"
#include "event/trigger.h"

static const char *field(const struct explain *x, enum event_field name)
{
    return x->ev.fields[name] != NULL ? x->ev.fields[name] : "-";
}

/* --- which targets, and why --- */

static const char *rule_name(const struct match_rule *rule)
{
    return rule->field >= 0 ? event_field_name((enum event_field)rule->field)
                            : rule->pointer;
}

static void print_rule(const struct explain_rule *r, const struct paint *paint)
{
    printf("  %s=", rule_name(r->rule));
    for (size_t i = 0; i < r->rule->glob_count; i++) {
        printf("%s%s", i > 0 ? "|" : "", r->rule->globs[i]);
    }
    if (r->ok) {
        printf(" %s✓%s", paint->good, paint->off);
    } else {
        printf(" %s✗%s (%s)", paint->bad, paint->off,
               r->value != NULL ? r->value : "absent");
    }
}

static void print_routing(const struct explain *x, const struct paint *paint)
{
    int width = 1;
    for (size_t i = 0; i < x->target_count; i++) {
        int len = (int)strlen(x->targets[i].target->name);
        width = len > width ? len : width;
    }
    for (size_t i = 0; i < x->target_count; i++) {
        const struct explain_target *t = &x->targets[i];
        printf("  %-*s  %s%-5s%s", width, t->target->name, t->match ? paint->good : "",
               t->match ? "MATCH" : "no", t->match ? paint->off : "");
        for (size_t k = 0; k < t->rule_count; k++) {
            print_rule(&t->rules[k], paint);
        }
        printf("%s\n", t->rule_count == 0 ? "  (no rules: every event)" : "");
    }
}

/* --- the request --- */

static void print_limits(const struct config *config, const struct config_target *target)
{
    for (size_t i = 0; i < target->limit_count; i++) {
        const struct config_limit *limit = &config->limits[target->limits[i]];
        printf("  limit %s: %g/s, burst %g, shared by the whole fleet\n", limit->name,
               limit->rate_per_s, limit->burst);
    }
    if (target->limit_count == 0) {
        printf("  no limit\n");
    }
}

static void print_patience(const struct config *config,
                           const struct config_target *target)
{
    struct str out;
    str_init(&out);
    str_add(&out, "  timeout ");
    option_add_duration(&out, target->timeout_ms);
    str_add(&out, "; retried for ");
    option_add_duration(&out, target->retry_hold_ms);
    str_add(&out, " in the batch (");
    option_add_duration(&out, target->backoff_min_ms);
    str_add(&out, " to ");
    option_add_duration(&out, target->backoff_max_ms);
    str_add(&out, " apart), then once after ");
    for (size_t i = 0; i < config->retry.tier_count; i++) {
        bool last = i + 1 == config->retry.tier_count;
        str_addf(&out, "%s%s",
                 i == 0 ? ""
                 : last ? " and every "
                        : ", ",
                 config->retry.tier_names[i]);
    }
    str_add(&out, "; dead-lettered after ");
    option_add_duration(&out, target->retry_budget_ms);
    printf("%s\n", out.data);
    printf("  no answer: %s; same key: %s\n",
           target->uncertain_dead ? "dead-lettered as outcome-unknown" : "called again",
           target->order_key ? "one after the other" : "all at once");
    str_release(&out);
}

/* What its kind makes of a request, where it is more than any other target's. */
static void print_kind(const struct explain *x, const struct target *target)
{
    const struct kind *kind = target_kind(target);
    const char *sign = target_sign(target);
    struct str key;
    str_init(&key);
    trigger_add_key(&x->ev, target_name(target), &key);
    printf("  kind %s: %s\n", kind->name, kind->title);
    printf("  key %s%s\n", key.data,
           target_key_in_body(target) ? ", in the header and in the body" : "");
    if (sign != NULL) {
        printf("  signed as %s\n", sign);
    }
    str_release(&key);
}

static void print_request(const struct explain *x, const struct explain_target *t,
                          const struct paint *paint)
{
    const struct target_request *request = &t->request;
    if (!t->made) {
        printf("\n%scould not be sent to %s%s: %s; it would be dead-lettered\n",
               paint->bad, t->target->name, paint->off, t->err.text);
        return;
    }
    printf("\nwould send to %s%s%s:\n", paint->bold, t->target->name, paint->off);
    printf("  %s %s\n", request->method, request->url);
    for (size_t i = 0; i < request->header_count; i++) {
        printf("  %s: %s\n", request->headers[i].name, request->headers[i].value);
    }
    if (request->body != NULL) {
        printf("\n  %.*s\n\n", (int)request->body_len, request->body);
    }
    print_kind(x, t->target->target);
    print_limits(x->config, t->target);
    print_patience(x->config, t->target);
}

void explain_print_text(const struct explain *x, const struct command_line *line)
{
    struct paint paint = paint_for(line, stdout);
    if (x->outcome != EVENT_OK) {
        printf("skipped (%s): %s; no target is asked\n", x->reason.word, x->reason.text);
        return;
    }
    printf("event %s  %s  commit %s  branch %s  (%s)\n", field(x, EVENT_ID),
           field(x, EVENT_APP), field(x, EVENT_COMMIT), field(x, EVENT_BRANCH),
           event_format_name(x->ev.format));
    print_routing(x, &paint);
    size_t matches = 0;
    for (size_t i = 0; i < x->target_count; i++) {
        if (x->targets[i].match) {
            print_request(x, &x->targets[i], &paint);
            matches++;
        }
    }
    if (matches == 0) {
        printf("\nno target matches: the event would be skipped\n");
    } else {
        printf("\nwith --curl: as commands to paste\n");
    }
}

/* --- as curl --- */

/* In single quotes; a secret's marker becomes a variable outside of them. */
static void print_quoted(const char *text, size_t len)
{
    static const char front[] = "SLUICE_SECRET_";
    putchar('\'');
    for (size_t i = 0; i < len; i++) {
        size_t n = strlen(front);
        if (len - i > n && memcmp(text + i, front, n) == 0) {
            n += strspn(text + i + n, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
            printf("'\"$%.*s\"'", (int)n, text + i);
            i += n - 1;
        } else if (text[i] == '\'') {
            fputs("'\\''", stdout);
        } else {
            putchar(text[i]);
        }
    }
    putchar('\'');
}

/* Basic authorization is curl's own business: it wants the secret as it is. */
static void print_header(const struct target *target, const struct http_header *header)
{
    const char *basic = target_basic_secret(target);
    struct str text;
    str_init(&text);
    if (basic != NULL && strcmp(header->name, "authorization") == 0) {
        char key[OPTION_KEY_MAX];
        char env[OPTION_KEY_MAX];
        snprintf(key, sizeof key, "secret.%s", basic);
        option_env_name(key, env);
        str_add(&text, env);
        printf(" \\\n  -u ");
    } else {
        str_addf(&text, "%s: %s", header->name, header->value);
        printf(" \\\n  -H ");
    }
    print_quoted(text.data, text.len);
    str_release(&text);
}

void explain_print_curl(const struct explain *x)
{
    for (size_t i = 0; i < x->target_count; i++) {
        const struct explain_target *t = &x->targets[i];
        const struct target_request *request = &t->request;
        if (!t->made) {
            if (t->match) {
                fprintf(stderr, "%s: %s\n", t->target->name, t->err.text);
            }
            continue;
        }
        printf("# %s\ncurl -X %s ", t->target->name, request->method);
        print_quoted(request->url, strlen(request->url));
        for (size_t k = 0; k < request->header_count; k++) {
            print_header(t->target->target, &request->headers[k]);
        }
        if (request->body != NULL) {
            printf(" \\\n  --data-binary ");
            print_quoted(request->body, request->body_len);
        }
        putchar('\n');
    }
}

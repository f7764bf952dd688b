/* dlq redrive: send dead letters again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/now.h"
#include "base/option.h"
#include "dlq.h"
#include "interrupt.h"
#include "ops/redrive.h"
#include "progress.h"

const struct flag dlq_redrive_flags[] = {
    DLQ_FILTER_FLAGS,
    {"rate", 'r', "RATE", "How fast: 5/s, 600/m (50/s)"},
    {"limit", 'n', "N", "At most so many, the oldest first"},
    {"max", 0, "N", "Refuse when more match (5000)"},
    {"resume", 0, "TASK", "Go on with one that was stopped: r-0031"},
    {"force", 0, NULL, "Also letters that died again after 3 redrives"},
    {"why", 0, "TEXT", "For the audit: INC-42"},
    {"yes", 'y', NULL, "Do not ask"},
    {"dry-run", 0, NULL, "Say what would be sent"},
    {.name = NULL},
};

struct redriving {
    const struct command_line *line;
    struct ops_place *place;
    struct redrive_options options;
    int64_t max;
    struct progress progress;
};

static void on_progress(void *arg, const char *id, int64_t done, int64_t total)
{
    struct redriving *r = arg;
    (void)id;
    progress_tell(&r->progress, done, total);
}

int dlq_read_rate(const struct command_line *line, double absent, double *rate)
{
    static const struct option row = {.key = "rate", .type = OPTION_RATE};
    const char *text = flag_value(line, "rate");
    struct option_value value;
    struct err err = ERR_INIT;
    *rate = absent;
    if (!text) {
        return 0;
    }
    if (option_read(&row, text, &value, &err) || value.real <= 0) {
        return command_misused(line, "--rate \"%.40s\": expected a rate such as 5/s",
                               text);
    }
    *rate = value.real;
    return 0;
}

static int read_options(struct redriving *r)
{
    const struct command_line *line = r->line;
    const char *resume = flag_value(line, "resume");
    int code = dlq_read_filter(line, &r->options.filter);
    code = code ? code
                : dlq_read_rate(line, resume ? 0 : REDRIVE_RATE, &r->options.rate_per_s);
    code =
        code ? code : dlq_read_number(line, "limit", 1, INT32_MAX, 0, &r->options.limit);
    code = code ? code : dlq_read_number(line, "max", 1, INT32_MAX, REDRIVE_MAX, &r->max);
    r->options.force = flag_is_set(line, "force");
    r->options.why = flag_value(line, "why");
    r->options.progress = on_progress;
    r->options.arg = r;
    return code;
}

/* --- telling --- */

static void say_json(const struct redrive_plan *plan, const struct redrive_result *result,
                     const char *state)
{
    struct json_object *doc = json_object_new_object();
    json_object_object_add(doc, "schema", json_object_new_string("sluice.redrive/1"));
    json_object_object_add(doc, "task",
                           result->id[0] ? json_object_new_string(result->id) : NULL);
    json_object_object_add(doc, "state", json_object_new_string(state));
    if (plan) {
        struct json_object *left = json_object_new_object();
        for (size_t i = 0; i < plan->unfit_count; i++) {
            json_put_number(left, plan->unfit[i].why, plan->unfit[i].count);
        }
        json_put_number(doc, "matched", plan->matched);
        json_object_object_add(doc, "left_alone", left);
    }
    json_put_number(doc, "total", plan ? plan->fit : result->total);
    json_put_number(doc, "sent", result->sent);
    json_put_number(doc, "triggered", result->triggered);
    json_put_number(doc, "dead_again", result->dead_again);
    json_put_number(doc, "too_large", result->too_large);
    json_put_number(doc, "waiting", result->waiting);
    dlq_print_json(doc, false);
    json_free(doc);
}

static void say_plan(const struct redriving *r, const struct redrive_plan *plan)
{
    struct str text;
    if (plan->fit == 0 && plan->unfit_count == 0) {
        fprintf(stderr, "no dead letter matches; what there is: "
                        "sluice-consumer dlq list --group-by reason\n");
        return;
    }
    char *topic = config_redrive_topic(r->place->config);
    str_init(&text);
    dlq_add_count(&text, plan->fit);
    str_addf(&text, " dead letter%s → %s (oldest first, %g/s", plan->fit == 1 ? "" : "s",
             topic, r->options.rate_per_s);
    int64_t seconds = (int64_t)((double)plan->fit / r->options.rate_per_s + 0.5);
    str_add(&text, ", about ");
    option_add_duration(&text, (seconds ? seconds : 1) * 1000);
    str_addc(&text, ')');
    fprintf(stderr, "%s\n", text.data);
    for (size_t i = 0; i < plan->unfit_count; i++) {
        str_clear(&text);
        dlq_add_count(&text, plan->unfit[i].count);
        fprintf(stderr, "%s left alone: it %s\n", text.data, plan->unfit[i].why);
    }
    free(topic);
    str_release(&text);
}

static int say_end(struct redriving *r, const struct redrive_plan *plan,
                   const struct redrive_result *result, int rc, const struct err *err)
{
    const char *program = r->line->program->name;
    bool json = flag_is_set(r->line, "json");
    if (result->id[0]) {
        progress_end(&r->progress, result->sent, result->total,
                     rc == 0 ? "done" : "stopped");
    }
    if (json && result->id[0]) {
        say_json(plan, result, rc == 0 ? "done" : "stopped");
    } else if (rc == 0) {
        printf("%lld triggered, %lld dead again, %lld waiting for another try    (%s)\n",
               (long long)result->triggered, (long long)result->dead_again,
               (long long)result->waiting, result->id);
    }
    if (rc == 0 && result->too_large) {
        fprintf(
            stderr,
            "%lld too large to be sent again: they stay; see max.message.bytes of the "
            "redrive topic\n",
            (long long)result->too_large);
    }
    if (rc == 0 && result->dead_again) {
        fprintf(stderr, "what died again: %s dlq list --redrive %s\n", program,
                result->id);
    }
    if (rc == 0 && result->waiting) {
        fprintf(stderr,
                "are workers running? See: %s status; later: %s dlq list --redrive %s\n",
                program, program, result->id);
    }
    if (rc == 0) {
        return 0;
    }
    int code = command_failed(r->line, rc, err);
    if (result->id[0]) {
        fprintf(stderr, "go on with: %s dlq redrive --resume %s\n", program, result->id);
    }
    return rc == -ECANCELED || rc == -EAGAIN || rc == -EPIPE ? EXIT_AGAIN : code;
}

/* --- the command --- */

static int resume(struct redriving *r)
{
    struct redrive_result result;
    struct err err = ERR_INIT;
    int rc = redrive_resume(r->place, flag_value(r->line, "resume"), &r->options, &result,
                            &err);
    return say_end(r, NULL, &result, rc, &err);
}

static int begin(struct redriving *r)
{
    struct redrive_plan plan;
    struct redrive_result result = {.id = ""};
    struct err err = ERR_INIT;
    int rc = redrive_plan(r->place, &r->options, now_ms() + DLQ_TIMEOUT_MS, &plan, &err);
    if (rc) {
        return command_failed(r->line, rc, &err);
    }
    if (plan.fit > r->max) {
        return command_misused(r->line,
                               "%lld letters would be sent, more than --max %lld: narrow "
                               "the filter, give a --limit, or raise it on purpose",
                               (long long)plan.fit, (long long)r->max);
    }
    say_plan(r, &plan);
    if (plan.fit == 0 || flag_is_set(r->line, "dry-run") ||
        !dlq_may_act(r->line, "Proceed?")) {
        if (flag_is_set(r->line, "json")) {
            say_json(&plan, &result, "planned");
        }
        return 0;
    }
    rc = redrive_run(r->place, &r->options, &plan, &result, &err);
    return say_end(r, &plan, &result, rc, &err);
}

int dlq_redrive_run(const struct command_line *line)
{
    struct redriving r = {.line = line};
    struct ops_place place;
    struct config *config;
    int code = read_options(&r);
    if (code) {
        return code;
    }
    struct interrupt *interrupt = interrupt_start();
    code = dlq_open(line, &config, &place);
    if (code == 0) {
        r.place = &place;
        r.options.ctx = interrupt_ctx(interrupt);
        progress_init(&r.progress, line, "redriven");
        code = flag_is_set(line, "resume") ? resume(&r) : begin(&r);
        command_close(config, &place);
    }
    interrupt_stop(interrupt);
    return code;
}

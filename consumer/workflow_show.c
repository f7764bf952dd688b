/* workflow: how an application's last CI success stands, on both sides. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/now.h"
#include "commands.h"
#include "ops/words.h"
#include "wire/json.h"
#include "workflow.h"

enum { TARGET_WIDTH = 20, VERDICT_WIDTH = 12 };

static const char *colour(const struct paint *paint, const char *status)
{
    return strcmp(status, "ok") == 0     ? paint->good
           : strcmp(status, "none") == 0 ? ""
                                         : paint->bad;
}

static void print_plain(const char *before, const char *text)
{
    struct str plain;
    str_init(&plain);
    str_add_plain(&plain, text);
    if (plain.len > 0) {
        printf("%s%s", before, plain.data);
    }
    str_release(&plain);
}

static void print_head(struct json_object *doc, const struct paint *paint)
{
    printf("%s", paint->bold);
    print_plain("", json_text_or(doc, "/app", ""));
    printf("%s", paint->off);
    print_plain("  ", json_text_or(doc, "/repo", ""));
    print_plain("@", json_text_or(doc, "/commit", ""));
    print_plain("  run ", json_text_or(doc, "/run", ""));
    print_plain("  event ", json_text_or(doc, "/event", ""));
    printf("\n");
}

static void print_leg(const char *name, struct json_object *leg,
                      const struct paint *paint)
{
    const char *status = json_text_or(leg, "/status", "");
    printf("%s  %s%-7s%s", name, colour(paint, status), status, paint->off);
    print_plain("  ", json_text_or(leg, "/why", ""));
}

/* "succeeded: all synced, in 120 ms"; or why not. */
static void print_live(struct json_object *live)
{
    const char *says = json_text_or(live, "/says", json_text_or(live, "/text", ""));
    print_plain("  ", json_text_or(live, "/phase", ""));
    print_plain(json_text_or(live, "/phase", "")[0] ? ": " : "  ", says);
    print_plain("  ", json_text_or(live, "/why", ""));
    if (json_at(live, "/took_ms")) {
        printf(", in %lld ms", (long long)json_number_or(live, "/took_ms", 0));
    }
}

static void print_ci(struct json_object *doc, const struct paint *paint)
{
    struct json_object *leg = json_at(doc, "/ci");
    int64_t published_ms = json_number_or(leg, "/seen/published_ms", 0);
    print_leg("CI", leg, paint);
    if (published_ms > 0) {
        struct str at;
        str_init(&at);
        words_clock(&at, published_ms);
        printf("  succeeded at %s", at.data);
        str_release(&at);
    }
    if (strcmp(json_text_or(leg, "/status", ""), "ok") == 0) {
        print_live(json_at(leg, "/live"));
    }
    printf("\n");
}

static void print_target(struct json_object *target)
{
    struct str name;
    struct str verdict;
    str_init(&name);
    str_init(&verdict);
    str_add_plain(&name, json_text_or(target, "/target", ""));
    str_add_plain(&verdict, json_text_or(target, "/verdict", ""));
    printf("  %-*s  %-*s", TARGET_WIDTH, name.data, VERDICT_WIDTH, verdict.data);
    print_plain("  ", json_text_or(target, "/reason", ""));
    print_live(json_at(target, "/live"));
    printf("\n");
    str_release(&name);
    str_release(&verdict);
}

static void print_workflow(struct json_object *doc, const struct paint *paint)
{
    struct json_object *targets = json_at(doc, "/cd/targets");
    print_head(doc, paint);
    print_ci(doc, paint);
    print_leg("CD", json_at(doc, "/cd"), paint);
    printf("\n");
    for (size_t i = 0; targets && i < json_object_array_length(targets); i++) {
        print_target(json_object_array_get_idx(targets, i));
    }
}

static bool is_bad(struct json_object *doc, const char *leg)
{
    const char *status = json_text_or(doc, leg, "");
    return strcmp(status, "error") == 0 || strcmp(status, "timeout") == 0;
}

static int show(const struct command_line *line, struct config *config,
                struct ops_place *place, struct workflow *workflow)
{
    struct err err = ERR_INIT;
    struct json_object *doc = NULL;
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    int rc = workflow_read(workflow, place, line->words[0], ctx, &doc, &err);
    int code = 0;
    if (rc == -ENOENT) {
        fprintf(stderr, "sluice-consumer workflow: %s (%lld h)\n", err.text,
                (long long)(config->history.ttl_ms / 3600000));
        code = EXIT_NO;
    } else if (rc) {
        code = command_failed(line, rc, &err);
    } else {
        code = is_bad(doc, "/ci/status") || is_bad(doc, "/cd/status") ? EXIT_NO : 0;
    }
    if (doc && flag_is_set(line, "json")) {
        command_print_json(doc);
    } else if (doc && rc == 0) {
        struct paint paint = paint_for(line, stdout);
        print_workflow(doc, &paint);
    }
    json_free(doc);
    ctx_free(ctx);
    return code;
}

int workflow_run(const struct command_line *line)
{
    struct config *config;
    struct ops_place place;
    struct err err = ERR_INIT;
    if (line->word_count != 1) {
        return command_misused(line, "name one application");
    }
    int code = command_open(line, &config, &place);
    if (code) {
        return code;
    }
    /* who lacks one is told by the query that wants it */
    int rc = config_load_secrets(config, environ, &err);
    (void)rc;
    struct workflow *workflow = workflow_start(config, &err);
    if (workflow) {
        code = show(line, config, &place, workflow);
    } else {
        code = command_failed(line, err.code, &err);
    }
    workflow_stop(workflow);
    command_close(config, &place);
    return code;
}

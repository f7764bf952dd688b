/* kube clusters: do the clusters answer? */
#include "../commands.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "../table.h"
#include "base/now.h"
#include "cluster_set.h"
#include "wire/json.h"

enum { TIMEOUT_MAX_MS = 60 * 1000 };

const struct flag kube_clusters_flags[] = {
    {"timeout", 0, "TIME", "How long one cluster may take (cluster_check.timeout)"},
    {.name = NULL},
};

/* The worst of it: not reached, then refused, then what cannot be asked from here. */
static int exit_code(const struct cluster_view *views, size_t n)
{
    int code = 0;
    for (size_t i = 0; i < n; i++) {
        switch (views[i].state) {
        case CLUSTER_CONNECTED:
        case CLUSTER_VIRTUAL:
            break;
        case CLUSTER_UNAUTHORIZED:
        case CLUSTER_FORBIDDEN:
        case CLUSTER_TLS_ERROR:
            code = code == 0 || code == EXIT_CONFIG ? EXIT_REFUSED : code;
            break;
        case CLUSTER_UNKNOWN:
            code = code == 0 ? EXIT_CONFIG : code;
            break;
        default:
            code = EXIT_UNAVAILABLE;
            break;
        }
    }
    return code;
}

static void print_table(const struct command_line *line, const struct cluster_view *views,
                        size_t n)
{
    struct paint paint = paint_for(line, stdout);
    struct table *table = table_new("CLUSTER|STATE|>TOOK|WHY");
    struct str out;
    str_init(&out);
    for (size_t i = 0; i < n; i++) {
        char took[32] = "";
        if (views[i].checked_wall_ms > 0) {
            snprintf(took, sizeof took, "%lld ms", (long long)views[i].took_ms);
        }
        table_cell(table, views[i].name, "");
        table_cell(table, cluster_state_word(views[i].state),
                   views[i].state == CLUSTER_CONNECTED     ? paint.good
                   : cluster_state_is_good(views[i].state) ? ""
                                                           : paint.bad);
        table_cell(table, took, "");
        table_cell(table, views[i].why, "");
    }
    table_print(table, paint.bold, paint.off, 0, &out);
    fputs(out.data, stdout);
    str_release(&out);
    table_free(table);
}

static void print_json(const struct cluster_view *views, size_t n, bool ok)
{
    struct json_object *doc = json_object_new_object();
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        json_object_array_add(list, cluster_view_json(&views[i]));
    }
    json_put_text(doc, "schema", "sluice.clusters/1");
    json_object_object_add(doc, "ok", json_object_new_boolean(ok));
    json_object_object_add(doc, "clusters", list);
    command_print_json(doc);
    json_free(doc);
}

static int sweep(const struct command_line *line, const struct config *config,
                 int64_t timeout_ms)
{
    struct cluster_view *views;
    struct cluster_set *set = cluster_set_new(NULL, false);
    struct ctx *ctx = ctx_new(NULL, NOW_FOREVER);
    cluster_set_config(set, config);
    size_t n = cluster_set_sweep(set, ctx, timeout_ms, &views);
    int code = exit_code(views, n);
    if (flag_is_set(line, "json")) {
        print_json(views, n, code == 0);
    } else {
        print_table(line, views, n);
    }
    free(views);
    ctx_free(ctx);
    cluster_set_free(set);
    return code;
}

int kube_clusters_run(const struct command_line *line)
{
    const char *timeout = flag_value(line, "timeout");
    int64_t timeout_ms = 0;
    int code = 0;
    if (timeout != NULL && (now_parse_duration(timeout, &timeout_ms) != 0 ||
                            timeout_ms < 1 || timeout_ms > TIMEOUT_MAX_MS)) {
        return command_misused(line, "--timeout %s: expected 1ms to 60s", timeout);
    }
    struct config *config = command_load_or_say(line, NULL, &code);
    if (config == NULL) {
        return code;
    }
    log_set_level(flag_is_set(line, "verbose") ? LOG_DEBUG : LOG_ERROR);
    if (config->cluster_count == 0) {
        struct err err = ERR_INIT;
        (void)config_cluster_find(config, NULL, &err);
        code = command_failed(line, -EINVAL, &err);
    } else {
        code = sweep(line, config,
                     timeout_ms > 0 ? timeout_ms : config->cluster_check.timeout_ms);
    }
    config_free(config);
    return code;
}

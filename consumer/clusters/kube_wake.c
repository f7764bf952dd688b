/* kube wake, kube hibernate: scale an application's workloads back, or to zero. */
#include "../commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../dlq.h"
#include "../interrupt.h"
#include "../table.h"
#include "base/mem.h"
#include "kube_app.h"
#include "waking_note.h"
#include "wire/json.h"

const struct flag kube_wake_flags[] = {
    KUBE_APP_FLAGS,
    {"yes", 'y', NULL, "Do not ask"},
    {"why", 0, "TEXT", "For the audit: INC-42"},
    {.name = NULL},
};

struct doing {
    const struct command_line *line;
    struct ops_place *place;
    struct kube_app app;
    bool sleep;
    struct workloads read;
    struct waking *items; /* owned */
    size_t count;
};

static void choose(struct doing *d)
{
    enum hibernation_part part = d->sleep ? PART_RUNNING : PART_ASLEEP;
    d->items = mem_array(d->read.count + 1, sizeof d->items[0]);
    for (size_t i = 0; i < d->read.count; i++) {
        if (d->read.items[i].look.part == part) {
            d->items[d->count].workload = &d->read.items[i];
            d->items[d->count++].sleep = d->sleep;
        }
    }
}

static struct json_object *to_json(const struct doing *d, bool did, const char *text)
{
    struct json_object *doc = json_object_new_object();
    struct json_object *items = json_object_new_array();
    for (size_t i = 0; i < d->count; i++) {
        struct json_object *item = json_object_new_object();
        struct str ref;
        str_init(&ref);
        kube_ref_print(&d->items[i].workload->ref, &ref);
        json_put_text(item, "ref", ref.data);
        json_put_text(item, "end", did ? waking_word(&d->items[i]) : NULL);
        json_put_text(item, "why", d->items[i].err.text);
        json_object_array_add(items, item);
        str_release(&ref);
    }
    json_put_text(doc, "schema", "sluice.waking/1");
    json_put_text(doc, "text", text);
    json_object_object_add(doc, "items", items);
    return doc;
}

static void print_table(const struct doing *d, bool did, const char *text)
{
    struct paint paint = paint_for(d->line, stdout);
    struct table *table = table_new("KIND|NAME|>REPLICAS|END|WHY");
    struct str out;
    str_init(&out);
    for (size_t i = 0; i < d->count; i++) {
        const struct waking *item = &d->items[i];
        char replicas[24];
        snprintf(replicas, sizeof replicas, "%lld",
                 (long long)(d->sleep ? 0 : item->workload->look.remembered));
        table_cell(table, item->workload->ref.kind, "");
        table_cell(table, item->workload->ref.name, "");
        table_cell(table, replicas, "");
        table_cell(table, did ? waking_word(item) : "",
                   item->end >= WAKING_FAILED ? paint.bad : "");
        table_cell(table, item->end >= WAKING_FAILED ? item->err.text : "", "");
    }
    if (d->count > 0) {
        table_print(table, paint.bold, paint.off, 0, &out);
    }
    printf("%s%s\n", out.data, text);
    str_release(&out);
    table_free(table);
}

/* What is said at the end, and kept. */
static void tell(struct doing *d, bool did)
{
    struct waking_note note = {.kind = d->sleep ? "hibernate" : "wake",
                               .why = flag_value(d->line, "why"),
                               .cluster = d->app.cluster,
                               .ns = d->app.ns,
                               .selector = d->app.selector,
                               .items = d->items,
                               .count = d->count};
    struct str text;
    str_init(&text);
    if (did) {
        waking_say(&note, &text);
        waking_note(d->place, &note);
    } else {
        str_addf(&text, "%zu to %s", d->count, note.kind);
    }
    if (flag_is_set(d->line, "json")) {
        struct json_object *doc = to_json(d, did, text.data);
        command_print_json(doc);
        json_free(doc);
    } else {
        print_table(d, did, text.data);
    }
    str_release(&text);
}

/* What cannot be read is left alone: half an application would be woken. */
static int act(struct doing *d, struct ctx *ctx)
{
    kube_app_look(&d->app, ctx, &d->read);
    if (d->read.rc != 0) {
        struct err err = d->read.err;
        (void)command_failed(d->line, d->read.rc, &err);
        return kube_app_code(d->read.rc);
    }
    choose(d);
    if (!flag_is_set(d->line, "yes") || d->count == 0) {
        tell(d, false);
    }
    if (d->count == 0 || !dlq_may_act(d->line, "Proceed?")) {
        return 0;
    }
    int rc = waking_run(d->app.kube, ctx, d->items, d->count);
    tell(d, true);
    return rc == -ECANCELED ? EXIT_AGAIN : kube_app_code(rc);
}

static int run(const struct command_line *line, bool sleep)
{
    struct config *config;
    struct ops_place place;
    struct doing d = {.line = line, .place = &place, .sleep = sleep};
    int code = kube_app_read(line, &d.app);
    if (code == 0) {
        struct interrupt *interrupt = interrupt_start();
        code = command_open(line, &config, &place);
        if (code == 0) {
            code = kube_app_open(line, config, &d.app);
            code = code != 0 ? code : act(&d, interrupt_ctx(interrupt));
            kube_app_release(&d.app);
            command_close(config, &place);
        } else {
            kube_app_release(&d.app);
        }
        interrupt_stop(interrupt);
    } else {
        kube_app_release(&d.app);
    }
    free(d.items);
    workloads_release(&d.read);
    return code;
}

int kube_wake_run(const struct command_line *line)
{
    return run(line, false);
}

int kube_hibernate_run(const struct command_line *line)
{
    return run(line, true);
}

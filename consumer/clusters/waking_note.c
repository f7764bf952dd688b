#include "waking_note.h"

#include <string.h>

#include "base/now.h"
#include "ops/audit.h"
#include "ops/wakings.h"
#include "wire/json.h"

enum { ITEMS_KEPT_MAX = 32 };

/* "apps/v1/Deployment/shop/api" */
static void add_item(struct json_object *list, const struct waking *item)
{
    struct json_object *doc = json_object_new_object();
    struct str ref;
    str_init(&ref);
    kube_ref_print(&item->workload->ref, &ref);
    json_put_text(doc, "ref", ref.data);
    json_put_text(doc, "end", waking_word(item));
    if (item->end == WAKING_WOKEN) {
        json_put_number(doc, "replicas", item->replicas);
    }
    if (item->end == WAKING_FAILED || item->end == WAKING_UNCERTAIN) {
        json_put_text(doc, "why", item->err.text);
    }
    json_object_array_add(list, doc);
    str_release(&ref);
}

static struct json_object *to_json(const struct ops_place *place,
                                   const struct waking_note *note, const char *text)
{
    struct json_object *doc = json_object_new_object();
    struct json_object *items = json_object_new_array();
    for (size_t i = 0; i < note->count && i < ITEMS_KEPT_MAX; i++) {
        add_item(items, &note->items[i]);
    }
    json_put_number(doc, "at_ms", now_wall_ms());
    json_put_text(doc, "kind", note->kind);
    json_put_text(doc, "who", place->who);
    json_put_text(doc, "why", note->why);
    json_put_text(doc, "cluster", note->cluster);
    json_put_text(doc, "namespace", note->ns);
    json_put_text(doc, "selector", note->selector);
    json_put_text(doc, "text", text);
    json_object_object_add(doc, "items", items);
    return doc;
}

void waking_say(const struct waking_note *note, struct str *text)
{
    size_t n[WAKING_ENDS] = {0};
    for (size_t i = 0; i < note->count; i++) {
        n[note->items[i].end]++;
    }
    str_addf(text, "%s %zu of %zu",
             strcmp(note->kind, "wake") == 0 ? "woke" : "hibernated", n[WAKING_WOKEN],
             note->count);
    for (int end = 0; end < WAKING_ENDS; end++) {
        if (end != WAKING_WOKEN && n[end] > 0) {
            str_addf(text, ", %zu %s", n[end], waking_end_word((enum waking_end)end));
        }
    }
}

void waking_note(struct ops_place *place, const struct waking_note *note)
{
    struct str text;
    struct str what;
    str_init(&text);
    str_init(&what);
    waking_say(note, &text);
    str_addf(&what, "%s/%s %s", note->cluster, note->ns, note->selector);
    audit_write(place, &(struct audit){.kind = note->kind,
                                       .what = what.data,
                                       .why = note->why,
                                       .text = text.data});
    struct json_object *doc = to_json(place, note, text.data);
    wakings_note(place, doc);
    json_free(doc);
    str_release(&what);
    str_release(&text);
}

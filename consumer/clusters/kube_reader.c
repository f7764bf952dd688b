#include "kube_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cluster_set.h"

struct kube_reader {
    const struct config *config;
    struct cluster_set *clusters;
};

struct kube_reader *kube_reader_start(const struct config *config)
{
    struct kube_reader *reader = mem_zalloc(sizeof *reader);
    reader->config = config;
    reader->clusters = cluster_set_new(NULL, false);
    return reader;
}

void kube_reader_stop(struct kube_reader *reader)
{
    if (reader != NULL) {
        cluster_set_free(reader->clusters);
        free(reader);
    }
}

/* --- the question --- */

static int parse_one(const struct kube_reader *reader, const char *cluster,
                     const char *text, struct kube_ref *ref, struct err *err)
{
    int rc = kube_ref_parse(text, ref, err);
    if (rc != 0) {
        return rc;
    }
    const struct config_cluster *found =
        config_cluster_find(reader->config, ref->cluster != NULL ? ref->cluster : cluster,
                            err);
    if (found == NULL) {
        kube_ref_release(ref);
        return -EINVAL;
    }
    if (ref->cluster == NULL) {
        ref->cluster = mem_strdup(found->name);
    }
    return 0;
}

int kube_reader_parse(const struct kube_reader *reader,
                      const struct kube_question *question, struct kube_answer *answer,
                      struct err *err)
{
    if (question->count > MANIFESTS_MAX) {
        return err_set(err, -EINVAL, "%zu objects, %d is the most of one call",
                       question->count, MANIFESTS_MAX);
    }
    struct kube_answer made = {.items =
                                   mem_array(question->count + 1, sizeof made.items[0]),
                               .refs =
                                   mem_array(question->count + 1, sizeof made.refs[0])};
    for (size_t i = 0; i < question->count; i++) {
        int rc =
            parse_one(reader, question->cluster, question->refs[i], &made.refs[i], err);
        if (rc != 0) {
            kube_answer_release(&made);
            return rc;
        }
        made.items[i] = (struct manifest){.ref = &made.refs[i], .ns = question->ns};
        made.count++;
    }
    *answer = made;
    return 0;
}

void kube_answer_release(struct kube_answer *answer)
{
    manifests_release(answer->items, answer->count);
    for (size_t i = 0; i < answer->count; i++) {
        kube_ref_release(&answer->refs[i]);
    }
    free(answer->items);
    free(answer->refs);
    *answer = (struct kube_answer){.count = 0};
}

/* --- reading --- */

void kube_reader_read(struct kube_reader *reader, struct ctx *ctx, int width,
                      struct kube_answer *answer)
{
    struct manifest *asked = mem_array(answer->count + 1, sizeof asked[0]);
    size_t *places = mem_array(answer->count + 1, sizeof places[0]);
    size_t n = 0;
    cluster_set_config(reader->clusters, reader->config); /* files may have changed */
    for (size_t i = 0; i < answer->count; i++) {
        struct manifest *item = &answer->items[i];
        struct err why = ERR_INIT;
        if (item->rc != 0) {
            continue;
        }
        item->kube = cluster_set_take(reader->clusters, item->ref->cluster, &why);
        if (item->kube == NULL) {
            item->rc = err_set(&item->err, -EINVAL, "%s", why.text);
            continue;
        }
        places[n] = i;
        asked[n++] = *item;
    }
    int rc = manifests_get(ctx, asked, n, width);
    ASSERT(rc == 0);
    for (size_t i = 0; i < n; i++) {
        cluster_set_give(reader->clusters, asked[i].kube);
        answer->items[places[i]] = asked[i];
        answer->items[places[i]].kube = NULL;
    }
    free(asked);
    free(places);
}

/* --- telling --- */

const char *kube_answer_word(const struct manifest *item)
{
    switch (item->rc) {
    case 0:
        return "ok";
    case -ENOENT:
        return "missing";
    case -EACCES:
        return "refused";
    case -ETIMEDOUT:
        return "timeout";
    case -ECANCELED:
        return "cancelled";
    case -EIO:
        return "unreachable";
    default:
        return "error";
    }
}

static struct json_object *item_json(struct manifest *item)
{
    struct json_object *doc = json_object_new_object();
    struct str text;
    struct kube_ref ref = *item->ref;
    ref.cluster = NULL;
    str_init(&text);
    kube_ref_print(&ref, &text);
    json_put_text(doc, "ref", text.data);
    json_put_text(doc, "cluster", item->ref->cluster);
    json_put_text(doc, "status", kube_answer_word(item));
    if (item->status != 0) {
        json_put_number(doc, "http", item->status);
    }
    if (item->rc != 0) {
        json_put_text(doc, "error", item->err.text);
    } else {
        json_object_object_add(doc, "manifest", item->doc);
        item->doc = NULL;
    }
    str_release(&text);
    return doc;
}

struct json_object *kube_answer_json(struct kube_answer *answer)
{
    struct json_object *doc = json_object_new_object();
    struct json_object *items = json_object_new_array();
    int64_t ok = 0;
    for (size_t i = 0; i < answer->count; i++) {
        ok += answer->items[i].rc == 0;
        json_object_array_add(items, item_json(&answer->items[i]));
    }
    json_put_text(doc, "schema", "sluice.manifests/1");
    json_put_number(doc, "ok", ok);
    json_object_object_add(doc, "items", items);
    return doc;
}

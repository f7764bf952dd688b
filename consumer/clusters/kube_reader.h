/* Manifests for those who ask by text: the command `kube get` and the API.
 *
 * A question names objects; the clusters are the configuration's, opened when somebody
 * asks, and again when their files have changed. A cluster whose credentials cannot be
 * read costs its own objects only. Any thread. */
#ifndef CONSUMER_KUBE_READER_H
#define CONSUMER_KUBE_READER_H

#include "fleet/config.h"
#include "kube/manifests.h"
#include "sync/ctx.h"

enum {
    KUBE_READER_WIDTH = 5,
    KUBE_READER_TIMEOUT_MS = 5000,
};

struct kube_reader;

/* config  borrowed until kube_reader_stop. */
struct kube_reader *kube_reader_start(const struct config *config);
void kube_reader_stop(struct kube_reader *reader); /* after the last read; NULL allowed */

/* All borrowed for the call. */
struct kube_question {
    const char *cluster;     /* of the refs that name none; NULL: the only one there is */
    const char *ns;          /* of the refs that say none; NULL: their context's */
    const char *const *refs; /* "apps/v1/Deployment/shop/api", at most MANIFESTS_MAX */
    size_t count;
    int width;
};

struct kube_answer {
    size_t count;
    struct manifest *items; /* in the question's order; their `kube` is NULL by now */
    struct kube_ref *refs;  /* what the texts mean, the cluster always said */
};

/* Take the question apart, before anybody is asked.
 *
 * answer  out: items and refs; kube_answer_release. Untouched on failure.
 * Returns 0, or -EINVAL with a sentence: a ref that is none, a cluster that is not
 * configured, too many. */
int kube_reader_parse(const struct kube_reader *reader,
                      const struct kube_question *question, struct kube_answer *answer,
                      struct err *err) __attribute__((warn_unused_result));

/* Read them; each item has its own end, and one whose rc is set already is not asked for.
 * ctx, width  as manifests_get. */
void kube_reader_read(struct kube_reader *reader, struct ctx *ctx, int width,
                      struct kube_answer *answer);
void kube_answer_release(struct kube_answer *answer);

/* "ok", "missing", "refused", "timeout", "unreachable", "cancelled" or "error". */
const char *kube_answer_word(const struct manifest *item);

/* {"schema":"sluice.manifests/1","ok":N,"items":[{"ref","cluster","status","http","error",
 *  "manifest"}]}; returns owned. Takes the manifests out of the answer. */
struct json_object *kube_answer_json(struct kube_answer *answer);

#endif

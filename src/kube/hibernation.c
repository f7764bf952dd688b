#include "kube/hibernation.h"

#include <stdio.h>
#include <string.h>

enum { REPLICAS_MAX = 1000000 }; /* that anybody can have meant */

/* --- one part --- */

static void unreadable(struct hibernation_look *look, const char *why)
{
    look->part = PART_UNREADABLE;
    look->health = HEALTH_UNKNOWN;
    snprintf(look->why, sizeof look->why, "%s", why);
}

static bool has_owner(struct json_object *object)
{
    struct json_object *owners = json_at(object, "/metadata/ownerReferences");
    return json_object_is_type(owners, json_type_array) &&
           json_object_array_length(owners) > 0;
}

/* The annotation's member of the object's map, or NULL. By hand: its name has a slash. */
static struct json_object *remembered_text(struct json_object *object)
{
    struct json_object *member = NULL;
    struct json_object *annotations = json_at(object, "/metadata/annotations");
    if (json_object_is_type(annotations, json_type_object)) {
        json_object_object_get_ex(annotations, HIBERNATION_ANNOTATION, &member);
    }
    return member;
}

/* Of one at zero. Woken objects keep the annotation, as "0". */
static void look_at_zero(struct hibernation_look *look, struct json_object *object)
{
    struct json_object *member = remembered_text(object);
    const char *text = json_object_get_string(member);
    int64_t n = -1;
    if (member != NULL && !json_object_is_type(member, json_type_string)) {
        unreadable(look, "the annotation " HIBERNATION_ANNOTATION " is no text");
        return;
    }
    if (member != NULL && text_parse_int(text, 0, REPLICAS_MAX, &n) != 0) {
        n = -1;
    }
    look->part = member == NULL || n == 0 ? PART_ZERO : PART_ASLEEP;
    look->remembered = look->part == PART_ASLEEP ? n : -1;
}

void hibernation_look(const char *kind, struct json_object *object,
                      struct hibernation_look *look)
{
    *look = (struct hibernation_look){.part = PART_NOT_SCALABLE,
                                      .replicas = -1,
                                      .remembered = -1};
    if (!json_object_is_type(object, json_type_object) ||
        json_text_or(object, "/metadata/name", NULL) == NULL) {
        unreadable(look, "no object with a name");
        return;
    }
    if (has_owner(object)) {
        look->part = PART_OWNED;
        return;
    }
    struct json_object *replicas = json_at(object, "/spec/replicas");
    if (replicas != NULL && (!json_object_is_type(replicas, json_type_int) ||
                             json_object_get_int64(replicas) < 0)) {
        unreadable(look, "spec.replicas is no number of replicas");
        return;
    }
    look->health = health_of(kind, object, look->why, sizeof look->why);
    if (replicas == NULL) {
        return;
    }
    look->replicas = json_object_get_int64(replicas);
    look->part = PART_RUNNING;
    if (look->replicas == 0) {
        look_at_zero(look, object);
    }
}

/* --- all of them --- */

static void raise_worst(atomic_int *worst, int health)
{
    int seen = atomic_load(worst);
    while (seen < health && !atomic_compare_exchange_weak(worst, &seen, health)) {
    }
}

void hibernation_count(struct hibernation_counts *counts,
                       const struct hibernation_look *look)
{
    atomic_int *const of[] = {
        [PART_UNREADABLE] = &counts->unreadable,
        [PART_NOT_SCALABLE] = &counts->not_scalable,
        [PART_OWNED] = NULL,
        [PART_ASLEEP] = &counts->asleep,
        [PART_ZERO] = &counts->zero,
        [PART_RUNNING] = &counts->running,
    };
    if (of[look->part] == NULL) {
        return;
    }
    if (look->part != PART_UNREADABLE) {
        raise_worst(&counts->worst, (int)look->health);
    }
    atomic_fetch_add(of[look->part], 1);
}

static enum hibernation_state state_of(const struct hibernation *h)
{
    if (h->unreadable > 0) {
        return HIBERNATION_UNKNOWN;
    }
    if (h->asleep + h->zero + h->running == 0) {
        return HIBERNATION_NONE;
    }
    if (h->zero > 0) {
        return HIBERNATION_SCALED_TO_ZERO;
    }
    if (h->asleep == 0) {
        return HIBERNATION_AWAKE;
    }
    return h->running > 0 ? HIBERNATION_PARTLY : HIBERNATION_ASLEEP;
}

void hibernation_judge(struct hibernation_counts *counts, struct hibernation *out)
{
    *out = (struct hibernation){
        .unreadable = atomic_load(&counts->unreadable),
        .not_scalable = atomic_load(&counts->not_scalable),
        .asleep = atomic_load(&counts->asleep),
        .zero = atomic_load(&counts->zero),
        .running = atomic_load(&counts->running),
    };
    out->state = state_of(out);
    out->health =
        out->unreadable > 0 ? HEALTH_UNKNOWN : (enum health)atomic_load(&counts->worst);
}

bool hibernation_sleeps(const struct hibernation *h)
{
    return h->state != HIBERNATION_UNKNOWN && h->asleep > 0 && h->running == 0;
}

const char *hibernation_word(enum hibernation_state state)
{
    static const char *const words[] = {"unknown",    "none",
                                        "awake",      "partially-hibernated",
                                        "hibernated", "scaled-to-zero"};
    return words[state];
}

const char *hibernation_headline(const struct hibernation *h)
{
    return h->health > HEALTH_HEALTHY ? health_word(h->health)
                                      : hibernation_word(h->state);
}

void hibernation_say(const struct hibernation *h, struct str *out)
{
    int scalable = h->asleep + h->zero + h->running;
    int read = scalable + h->not_scalable;
    if (h->unreadable > 0) {
        str_addf(out, "only %d of %d read", read, read + h->unreadable);
        return;
    }
    if (scalable == 0) {
        str_add(out, read > 0 ? "nothing that scales" : "no workload with these labels");
        return;
    }
    str_addf(out, "%d of %d hibernated", h->asleep, scalable);
    if (h->zero > 0) {
        str_addf(out, ", %d at zero by somebody else", h->zero);
    }
    if (h->running > 0) {
        str_addf(out, ", %d running", h->running);
    }
}

/* Can this configuration work here? Checks in an order in which each rests on the ones
 * before; what rests on a failed one is skipped, so that one cause is one line. Sends no
 * trigger: a target gets a connection and a TLS handshake. Any thread; blocks. */
#ifndef OPS_DOCTOR_H
#define OPS_DOCTOR_H

#include "ops/place.h"

enum doctor_mark { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_FAILED, DOCTOR_SKIPPED };

struct doctor_check {
    char name[80]; /* "kafka", "target argocd-prod" */
    enum doctor_mark mark;
    char text[320];
    char next[200];   /* the next step; "" for none */
    const char *code; /* of ops/faults; "" for none */
    int rc;           /* of a failed one: -errno */
};

struct doctor {
    struct doctor_check *items; /* owned; doctor_release */
    size_t count;
};

/* timeout_ms    of each check.
 * environment   where secrets may be, as for config_load_secrets. */
void doctor_examine(struct ops_place *place, int64_t timeout_ms, char *const *environment,
                    struct doctor *doctor);
void doctor_release(struct doctor *doctor);

/* One more check behind the others, for who knows what ops does not: the caller fills it
 * in before the next is added. */
struct doctor_check *doctor_add(struct doctor *doctor);

size_t doctor_count(const struct doctor *doctor, enum doctor_mark mark);
const char *doctor_mark_word(enum doctor_mark mark); /* "ok", "warning", ... */

/* {"schema":"sluice.doctor/1","ok","checks":[{"name","mark","text","next"}]}; owned. */
struct json_object *doctor_json(const struct doctor *doctor);

#endif

/* From records to units: decode, route, find twins, chain by key. No network. Lane
 * thread. */
#ifndef FLEET_INTAKE_H
#define FLEET_INTAKE_H

#include "fleet/fleet.h"

/* The headers of a parked record, written by parking and read here. */
#define PARK_TARGET     "sluice-target"
#define PARK_EVENT_ID   "sluice-event-id"
#define PARK_ROUND      "sluice-round"
#define PARK_TIER       "sluice-tier"
#define PARK_ATTEMPTS   "sluice-attempts"
#define PARK_REASON     "sluice-reason"
#define PARK_CLASS      "sluice-class" /* dead, deferred, or */
#define PARK_CLASS_HELD "held"         /* deferred without a failure */
#define PARK_DETAIL     "sluice-detail"
#define PARK_TOPIC      "sluice-origin-topic"
#define PARK_PARTITION  "sluice-origin-partition"
#define PARK_OFFSET     "sluice-origin-offset"
#define PARK_FIRST_SEEN "sluice-first-seen"
#define PARK_NOT_BEFORE "sluice-not-before"
#define PARK_HELD       "sluice-held-ms" /* how long it was held */
#define PARK_PAUSED     "paused"         /* the reason of what waits for a resume */
#define PARK_CUT        "sluice-cut"
#define PARK_TRIES      "sluice-tries" /* as fleet/tries prints them */
/* Of what an operator sent again; they stay on it when it is parked once more. */
#define PARK_REDRIVE       "sluice-redrive"       /* the task: r-0031 */
#define PARK_REDRIVE_OF    "sluice-redrive-of"    /* dead letter: <partition>:<offset> */
#define PARK_REDRIVE_COUNT "sluice-redrive-count" /* how often so far */
#define PARK_REPLAY_OF     "sluice-replay-of"     /* event: <partition>:<offset> */
#define PARK_RESEND        "sluice-resend" /* the task; although it was triggered */

/* Make a batch of n records.
 * records  taken.
 * source   false: records of a retry topic, each one unit for the target it names, not
 * routed again. batch    out: units are in UNIT_CLAIM or UNIT_BLOCKED, or already
 * UNIT_ENDED with a verdict. */
void intake_open(struct lane *lane, const struct plan *plan,
                 const struct kafka_partition *partition, struct kafka_record **records,
                 size_t n, bool source, struct batch_of_events *batch);
void intake_close(struct batch_of_events *batch);

/* Why the unit of this record was held, a short word; NULL: it was not, it failed.
 * Borrows from the record. Pure. */
const char *intake_held(const struct kafka_record *record);

/* Is the unit held, for the same as in the round before? Then that was told. Pure. */
bool intake_still_held(const struct unit *unit);

#endif

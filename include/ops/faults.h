/* What may be wrong around a fleet, each with a code and a paragraph; the codes of the
 * configuration itself (SL-C..) are fleet/config's. Constant: any thread. */
#ifndef OPS_FAULTS_H
#define OPS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

#define FAULT_SECRET          "SL-S01"
#define FAULT_NO_BROKER       "SL-K01"
#define FAULT_KAFKA_REFUSES   "SL-K02"
#define FAULT_NO_TOPIC        "SL-K03"
#define FAULT_SIDE_TOPICS     "SL-K04"
#define FAULT_GROUP           "SL-K05"
#define FAULT_FENCED          "SL-K06"
#define FAULT_NO_REDIS        "SL-R01"
#define FAULT_REDIS_REFUSES   "SL-R02"
#define FAULT_EVICTION        "SL-R03"
#define FAULT_CLOCK           "SL-R04"
#define FAULT_TARGET          "SL-T01"
#define FAULT_CERTIFICATE     "SL-T02"
#define FAULT_CLUSTER         "SL-N01"
#define FAULT_CLUSTER_REFUSES "SL-N02"
#define FAULT_CLUSTER_TLS     "SL-N03"
#define FAULT_CLUSTER_ACCESS  "SL-N04"

/* The paragraph on a code, or NULL. */
const char *fault_explain(const char *code);

/* The i-th code, for a list; false at the end. */
bool fault_at(size_t i, const char **code, const char **title);

#endif

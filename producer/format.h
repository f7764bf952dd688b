/* Facts into the value and headers of a record, in the format that is asked for.
 *
 *   sluice       one flat JSON object
 *   cloudevents  structured mode: that object as data of a CloudEvent
 *   cdevents     CDEvents 0.5 in CloudEvents' binary mode (ce_ headers):
 *                artifact.published when there is an image, else pipelinerun.finished;
 *                what CDEvents has no place for is in customData
 *   devtron      Devtron's CiCompleteEvent; carries no id, needs an image
 */
#ifndef PRODUCER_FORMAT_H
#define PRODUCER_FORMAT_H

#include "facts.h"
#include "record.h"

enum format { FORMAT_SLUICE, FORMAT_CDEVENTS, FORMAT_CLOUDEVENTS, FORMAT_DEVTRON };

/* Returns an enum format or -1. */
int format_find(const char *name);

/* facts: completed. record: initialised; value and headers are added.
 * Returns 0, or -EINVAL with a sentence that names the flag that is missing. */
int format_write(enum format format, const struct facts *facts, struct record *record,
                 struct err *err);

#endif

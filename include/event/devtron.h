/* Devtron's CiCompleteEvent, as its CI runner publishes it.
 *
 *   recognised by   pipelineId with dockerImage or failureReason
 *   not ours        failureReason not empty (failures travel on the same topic)
 *   type, source    "CiCompleteEvent", "devtron"
 *   app pipeline    appName, pipelineName
 *   image digest    dockerImage (must hold a ':'), digest
 *   run             workflowId
 *   repo commit     ciProjectDetails[0].gitRepository (user and password cut out of a
 * URL), .commitHash branch          .branch; else .sourceValue when .sourceType says a
 * fixed branch; else .webhookData.data["target branch name"] or ["source branch name"] id
 * Devtron gives none: a hash of pipelineId and workflowId, or without the latter of
 * pipelineId, image, digest and commit */
#ifndef EVENT_DEVTRON_H
#define EVENT_DEVTRON_H

#include "event/decoding.h"

bool devtron_is(struct json_object *doc);
enum event_outcome devtron_decode(struct decoding *d, struct json_object *doc);

#endif

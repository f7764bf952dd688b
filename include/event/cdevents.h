/* CDEvents of the spec releases 0.3, 0.4 and 0.5, bare or as the data of a CloudEvent.
 *
 *   recognised by   members context and subject that are objects
 *   context         specversion or version: 0.3.*, 0.4.* or 0.5.*; id, source, type and
 *                   timestamp (RFC 3339) are required; they become id, source, type, time
 *   types           dev.cdevents.<subject>.<predicate>.<M.m.p>, M.m one of 0.1, 0.2, 0.3
 *                   (what those releases define; in 0.x a minor may break, so a later one
 *                   is unsupported-version rather than a guess)
 *
 *   pipelinerun.finished    success when outcome is "success"
 *   taskrun.finished        the same
 *   testsuiterun.finished   the same, or "pass" (0.2 and before)
 *   artifact.published, artifact.packaged   success by being said
 *   build.finished          not a success: it has no outcome
 *   any other type          not ours
 *
 *   pipeline   pipelineName; taskName; testSuite.name or testSuite.id
 *   run        subject.id of a run
 *   run_url    uri or url
 *   env        environment.id
 *   image digest app   of an artifact: from subject.id, a package URL: for
 * pkg:oci/NAME@DIGEST ?repository_url=R&tag=T the image is R (or NAME), with :T if there
 * is one and else @DIGEST; app is NAME. Also for pkg:docker repo       artifact.packaged:
 * change.source commit     artifact.packaged: change.id when it is 40 or 64 hex digits
 *
 * customData, when an object, may hold app repo branch commit image digest pipeline run
 * run_url env as strings (or integers); they win over the above, which has no place for
 * most of them. */
#ifndef EVENT_CDEVENTS_H
#define EVENT_CDEVENTS_H

#include "event/decoding.h"

bool cdevents_is(struct json_object *doc);

/* Is this the name of a CDEvents type, known or not? */
bool cdevents_is_type(const char *type);

/* Take the fields. id, source and type that a CloudEvent's attributes have set already
 * must agree. */
enum event_outcome cdevents_decode(struct decoding *d, struct json_object *doc);

#endif

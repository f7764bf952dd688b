/* Our own format: one flat JSON object.
 *
 *   id        string or integer; when absent derived from repo, commit, pipeline and run,
 *             of which repo and commit must then be there
 *   source    string; who says so. Identity is source + id; absent counts as ""
 *   type      "ci.succeeded"; may be absent, the topic says it
 *   outcome, status   may be absent; when there, must say success
 *             (decoding_outcome lists the words)
 *   app repo branch commit image digest run_url env   strings
 *   pipeline run   strings or integers
 *   time      RFC 3339
 *
 * Further members are allowed and reached by JSON pointer. A document that says another
 * type or anything but success in outcome or status is not ours. */
#ifndef EVENT_SLUICE_H
#define EVENT_SLUICE_H

#include "event/decoding.h"

#define SLUICE_TYPE "ci.succeeded"

/* Take the fields. When a CloudEvent's attributes are set already, they win: the document
 * is then its data, whose own id, source, type and time mean something else, except that
 * an attribute type other than ours asks for an explicit outcome or status. */
enum event_outcome sluice_decode(struct decoding *d, struct json_object *doc);

#endif

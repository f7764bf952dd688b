/* The life of one event, put together from what the history wrote down, or, when Redis
 * has forgotten it, from the dead letters it left. Any thread. */
#ifndef OPS_TRACE_H
#define OPS_TRACE_H

#include "ops/place.h"

/* {"schema":"sluice.trace/1","event","repo","app","commit","source":"history" or
 *  "dead-letter","steps":[{"at_ms","what","target","consumer","text","status","took_ms"}],
 *  "units":[{"target","verdict","held":true,"reason","attempts"}]}
 *
 * Steps are in the order of time; what: published, waiting (in a retry topic), taken,
 * batched, try, held (deferred, and it is no failure), or another verdict.
 * story  out: returns owned (json_free).
 * Returns 0; -ENOENT when nothing is known of such an event; or as redis_ask and
 * deadletters_show, with a sentence. */
int trace_read(struct ops_place *place, const char *event_id, int64_t until_ms,
               struct json_object **story, struct err *err);

/* What the history wrote of it, one object for each batch it was in, oldest first;
 * appended to the array. Nothing when it is forgotten. Returns 0, or as redis_ask. */
int trace_chapters(struct ops_place *place, const char *event_id, int64_t until_ms,
                   struct json_object *chapters, struct err *err);

/* The story from chapters as the history writes them (an array); source: as in the story.
 * Pure.
 * Returns owned. */
struct json_object *trace_story(const char *event_id, const char *source,
                                struct json_object *chapters);

#endif

/* How the last CI success of an application stands on both sides: the CI leg (what the
 * fleet saw of the run, and what the CI system says of it now) and the CD leg (what
 * became of it at each target, and how the run goes there that the trigger started).
 *
 * The past is read from the history once; then everybody is asked at the same time, until
 * one deadline (workflow.timeout). Each leg ends on its own: what did not come in time is
 * a timeout, what failed an error, and the rest is told all the same. When the context
 * ends, all that is open is aborted at once. */
#ifndef CONSUMER_WORKFLOW_H
#define CONSUMER_WORKFLOW_H

#include "fleet/config.h"
#include "ops/place.h"
#include "sync/ctx.h"

enum {
    WORKFLOW_TARGETS_MAX = 64, /* of one event; further ones are counted */
    WORKFLOW_LOOK_BACK = 5,    /* events whose stories are looked for, newest first */
    WORKFLOW_READERS_MAX = 8,  /* workflow_read at a time that ask one target */
};

struct workflow;

/* Starts the loop of its own that asks. config  borrowed until workflow_stop; of its
 * secrets those that could be read are loaded. Returns NULL with a sentence. */
struct workflow *workflow_start(const struct config *config, struct err *err);
void workflow_stop(struct workflow *workflow); /* NULL allowed; after the last read */

/* {"schema":"sluice.workflow/1","app","event","repo","commit","branch","pipeline","run",
 *  "run_url","earlier":[ids],"took_ms",
 *  "ci":{"status","why","took_ms","seen":{"published_ms","taken_ms","consumer","topic",
 *        "partition","offset"},"live":LIVE},
 *  "cd":{"status","why","took_ms","targets":[{"target","kind","verdict","reason",
 *        "detail","attempts","ended_ms","live":LIVE}],"more_targets"}}
 *
 * status: ok, error, timeout, or none (there is nothing to say). LIVE is {"status","why",
 * "took_ms","http","says" (CI) or "phase" and "text" (CD)}; none: nobody was asked, why
 * says so. A leg is ok when the past is known and whoever was asked answered.
 *
 * doc  out: returns owned (json_free); also when the history could not be read, then both
 *      legs say so; NULL when the application is not known.
 * Returns 0; -ENOENT with a sentence for an application that is not known; or as
 * redis_ask. Blocks. Any thread. */
int workflow_read(struct workflow *workflow, struct ops_place *place, const char *app,
                  struct ctx *ctx, struct json_object **doc, struct err *err);

#endif

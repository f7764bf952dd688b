/* The console's API: objects of the configured clusters. */
#ifndef CONSUMER_CONSOLE_KUBE_H
#define CONSUMER_CONSOLE_KUBE_H

#include "console_api.h"

/* GET /api/v1/manifests?ref=REF&ref=...[&cluster=C][&namespace=NS][&width=N][&timeout=T]:
 * as kube_answer_json says, 200 also when some could not be read. Ends with its reader.
 * Who asks must be allowed the action `kube` on each cluster; a Secret is shown to
 * nobody. */
job_fn console_manifests;

#endif

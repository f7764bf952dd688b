/* What both ways to start something at Jenkins share: the item in its queue. */
#ifndef TARGET_JENKINS_H
#define TARGET_JENKINS_H

#include "target/kind.h"

/* Append the query for a queue item. item: its path, ".../queue/item/12/". Returns 0 or
 * -ENOENT. */
int jenkins_follow_item(const char *item, struct str *path);
void jenkins_phase(int status, struct json_object *doc, struct kind_phase *out);

#endif

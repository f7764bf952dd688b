/* Calls whose answers are read on another thread than the loop's: for who has many. */
#ifndef KUBE_CLIENT_INSIDE_H
#define KUBE_CLIENT_INSIDE_H

#include "kube/client.h"

/* As kube_start, but `done` finds nothing out yet: kube_read comes after it, once, on any
 * thread. */
void kube_start_unread(struct kube *kube, struct kube_call *call);
void kube_read(struct kube_call *call);

#endif

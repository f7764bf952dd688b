/* What is kept of a waking: a line of the audit, and a place in the list of wakings. */
#ifndef CONSUMER_WAKING_NOTE_H
#define CONSUMER_WAKING_NOTE_H

#include "kube/waking.h"
#include "ops/place.h"

/* All borrowed for the call. */
struct waking_note {
    const char *kind; /* "wake", "hibernate" */
    const char *why;  /* NULL: not said */
    const char *cluster;
    const char *ns;
    const char *selector;
    const struct waking *items;
    size_t count;
};

/* Best effort, not waited for. place: its `who` is who did it. */
void waking_note(struct ops_place *place, const struct waking_note *note);

/* "woken 2 of 3, 1 failed" */
void waking_say(const struct waking_note *note, struct str *text);

#endif

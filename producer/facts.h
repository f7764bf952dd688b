/* What one event is to say, before it takes a format: texts by enum event_field. One
 * thread. */
#ifndef PRODUCER_FACTS_H
#define PRODUCER_FACTS_H

#include "event/event.h"

struct facts {
    char *field[EVENT_FIELD_COUNT]; /* owned; NULL: not known */
};

void facts_init(struct facts *facts);
void facts_release(struct facts *facts);

/* Set a field unless it is set or the text is NULL or empty: who is asked first wins.
 * Copies. */
void facts_put(struct facts *facts, enum event_field field, const char *text);

/* Fill what follows from the rest: app from repo, id from repo, commit, pipeline and run,
 * time from now_ms (wall clock). */
void facts_complete(struct facts *facts, int64_t now_ms);

/* The last part of a repository's name: "acme/api" -> "api". Borrowed. */
const char *facts_repo_name(const char *repo);

/* The default key: the repository, and the app when it is not all of it. Returns owned;
 * NULL when neither is known. */
char *facts_key(const struct facts *facts);

/* "acme/api@3f9c2e1 run 88123", as far as known. */
void facts_describe(const struct facts *facts, struct str *out);

#endif

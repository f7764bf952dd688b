/* The fields of an event by name, and the id made of them: what every format builds on.
 * Pure functions; any thread. */
#ifndef EVENT_FIELDS_H
#define EVENT_FIELDS_H

/* The routing fields, each also a template name ${event.<name>} and a key of `match`. */
enum event_field {
    EVENT_APP,
    EVENT_REPO,
    EVENT_BRANCH,
    EVENT_COMMIT,
    EVENT_IMAGE,
    EVENT_DIGEST,
    EVENT_PIPELINE,
    EVENT_RUN,
    EVENT_RUN_URL,
    EVENT_ENV,
    EVENT_TYPE,
    EVENT_SOURCE,
    EVENT_ID,
    EVENT_TIME,
    EVENT_KEY, /* the record's key; absent when it is no clean text */
    EVENT_FIELD_COUNT,
};
const char *event_field_name(enum event_field field); /* "run_url" */
int event_field_find(const char *name);               /* an enum event_field, or -1 */
/* The field whose name is most like this one, for "did you mean"; NULL: none is. */
const char *event_field_nearest(const char *name);

/* The id for an event that has none: from repo, commit, pipeline and run (NULL: absent).
 * text: 33 bytes. */
void event_derive_id(const char *repo, const char *commit, const char *pipeline,
                     const char *run, char text[33]);

#endif

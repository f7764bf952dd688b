/* What the formats share: taking fields out of a document, and the faults found on the
 * way. One decoding per record, on the caller's stack. One thread at a time.
 *
 * A fault does not stop a decoding: the first one decides the reason, all of them are
 * told to whoever validates. No text holds a value of a field. */
#ifndef EVENT_DECODING_H
#define EVENT_DECODING_H

#include "event/event.h"

struct decoding {
    const struct event_input *input;
    struct event *ev;
    struct event_reason *reason;
    void (*fn)(void *arg, const char *pointer, const char *text); /* may be NULL */
    void *arg;
    size_t faults;
};

enum decoding_kind {
    DECODING_TEXT,   /* a JSON string */
    DECODING_NUMBER, /* or an integer, taken as its text */
};

enum decoding_outcome_word {
    DECODING_ABSENT,
    DECODING_SUCCESS,
    DECODING_FAILURE,
    DECODING_OTHER
};

/* Note a fault. what: the rest of a sentence that begins with the pointer; the pointer
 * may also name a header ("header ce_id"). */
void decoding_fault(struct decoding *d, const char *word, const char *pointer,
                    const char *what);

/* The record is not ours: what says why. Returns EVENT_NOT_OURS, or EVENT_BAD when there
 * were faults before. */
enum event_outcome decoding_skip(struct decoding *d, const char *word, const char *what);

/* EVENT_OK, or EVENT_BAD when there were faults. */
enum event_outcome decoding_end(const struct decoding *d);

/* Set a field from bytes, unless it is set already: what is outside (an envelope) comes
 * first and wins. A URL's user is cut out. Control characters and overlong texts are
 * faults. */
void decoding_put(struct decoding *d, enum event_field field, const char *text,
                  size_t len, const char *pointer);

/* Set a field from a member. Absent and null leave it as it is. */
void decoding_take(struct decoding *d, enum event_field field, struct json_object *doc,
                   const char *pointer, enum decoding_kind kind);

/* The same for a member that others may use for something else: what is not text or
 * integer is passed over. */
void decoding_take_loose(struct decoding *d, enum event_field field,
                         struct json_object *doc, const char *pointer);

/* A fault when the field is absent or empty. */
void decoding_require(struct decoding *d, enum event_field field, const char *pointer);

/* Set time_ms from EVENT_TIME, if there is one. */
void decoding_read_time(struct decoding *d, const char *pointer);

/* What a member that should hold an outcome says: success, succeeded, successful, passed;
 * failure, failed, fail, error, errored, cancel, cancelled, canceled, aborted, timeout,
 * skipped (letters of either case). Anything else is DECODING_OTHER. */
enum decoding_outcome_word decoding_outcome(struct json_object *doc, const char *pointer);

/* Are there control characters (C0, DEL, C1) in this UTF-8 text? */
bool decoding_has_control(const char *text, size_t len);

#endif

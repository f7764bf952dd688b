/* CloudEvents 1.0 in the Kafka binding, binary and structured mode.
 *
 *   structured   header content-type begins with application/cloudevents (+json; any
 * other format, and batches, are unsupported-format); or no such header and a document
 * with specversion, id, source and type binary       otherwise, when one of the headers
 * ce_id, ce_source, ce_specversion and ce_type is there; all four must be
 *
 * Header names count as written, in lower case; the same attribute twice is a fault. The
 * attributes id, source, type and time become the event's and win over what the data
 * says; a CDEvent as data must agree on id, source and type. The data is any of the other
 * formats; the document for JSON pointers is the data, in both modes.
 *
 * In structured mode null means absent, data_base64 is decoded, data and data_base64
 * exclude each other, and a string as data is a string, not nested JSON: a fault. */
#ifndef EVENT_CLOUDEVENTS_H
#define EVENT_CLOUDEVENTS_H

#include "event/decoding.h"

enum cloudevents_mode {
    CLOUDEVENTS_NONE,
    CLOUDEVENTS_BINARY,
    CLOUDEVENTS_STRUCTURED,
    CLOUDEVENTS_UNSUPPORTED, /* another event format, or a batch */
};

/* What the headers say. */
enum cloudevents_mode cloudevents_mode(const struct event_input *input);

/* Is this document a structured CloudEvent without its header? */
bool cloudevents_is(struct json_object *doc);

/* Take the attributes out of headers, or out of the envelope. Faults are noted. */
void cloudevents_take_headers(struct decoding *d);
void cloudevents_take_envelope(struct decoding *d, struct json_object *envelope);

/* The data of an envelope. Returns owned, or NULL with a fault noted. */
struct json_object *cloudevents_data(struct decoding *d, struct json_object *envelope);

/* The first header of this exact name, or NULL. *again: there is another one. */
const struct event_header *cloudevents_header(const struct event_input *input,
                                              const char *name, bool *again);

#endif

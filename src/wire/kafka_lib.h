/* The one door to librdkafka, for src/wire/kafka*.c only: its header, and what all
 * clients share. */
#ifndef WIRE_KAFKA_LIB_H
#define WIRE_KAFKA_LIB_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/err.h"
#include "wire/kafka.h"

enum { KAFKA_ERROR_TEXT_MAX = 512, KAFKA_DESTROY_MS = 1500 };

/* A client configuration: ours first, then the user's properties, which may not touch
 * what the delivery promises rest on. ours  ended by one without a name. Returns owned
 * (rd_kafka_conf_destroy, or given to rd_kafka_new) or NULL with a sentence. */
rd_kafka_conf_t *kafka_conf(const struct kafka_property *ours,
                            const struct kafka_property *properties,
                            size_t property_count, struct err *err);

/* Our errno for a librdkafka code. */
int kafka_errno(rd_kafka_resp_err_t code);

/* Wrong credentials or missing rights: nothing that time heals. The second one knows the
 * client's sentence too: librdkafka also calls it a failed authentication when the
 * connection ends in the middle of one, as it does while a broker restarts. */
bool kafka_is_refusal(rd_kafka_resp_err_t code);
bool kafka_refuses(rd_kafka_resp_err_t code, const char *sentence);

/* Does the client's sentence say that either side does not trust the other's certificate?
 * At the start a person must mend that; later it is waited out, for it may be one broker
 * of several. */
bool kafka_distrusts(const char *sentence);

/* The client's sentence on a refusal, or on distrust, with the next step. */
void kafka_refusal_text(const char *sentence, char *text, size_t text_len);

/* A message as a record of our own, in one block: a held librdkafka message would pin its
 * whole fetch buffer. Returns owned (kafka_record_free). */
struct kafka_record *kafka_record_copy(const rd_kafka_message_t *message);

/* rd_kafka_destroy_flags in a helper thread, waited for at most KAFKA_DESTROY_MS: it can
 * hang for ever
 * (#3796, #4362). Returns false when it did not end; the client is then left behind, for
 * the process is about to exit. */
bool kafka_destroy(rd_kafka_t *rk, int flags);

#endif

/* A CD target to aim at: takes any call, answers as its mode says, and keeps account.
 *
 *   GET  /stats     the account; ?keys=all: of every idempotency key too
 *   GET  /control   the mode; POST changes it (mock_mode_change)
 *   POST /reset     clears the account
 *   anything else   a call */
#ifndef PRODUCER_MOCK_SERVER_H
#define PRODUCER_MOCK_SERVER_H

#include "mock_mode.h"
#include "mock_stats.h"

struct mock_server;

enum { MOCK_CONNECTIONS_MAX = 4096, MOCK_BODY_MAX = 1024 * 1024 };

struct mock_server_options {
    const char *address;
    int port; /* 0: any free one */
    int threads;
    uint64_t seed;
    struct mock_mode mode;
    const char *log_path;   /* a JSON line per call is appended; NULL: none */
    const char *log_header; /* a request header to write there too; NULL: none */
};

/* Returns NULL with a sentence; err->code is -EIO for the log, else as of httpd_start. */
struct mock_server *mock_server_start(const struct mock_server_options *options,
                                      struct err *err);
void mock_server_stop(struct mock_server *server); /* slow answers are not waited for */
int mock_server_port(const struct mock_server *server);
struct mock_stats *mock_server_stats(struct mock_server *server);

#endif

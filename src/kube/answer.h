/* What the end of a call to an API server means, and the sentence for it. Plain data. */
#ifndef KUBE_ANSWER_H
#define KUBE_ANSWER_H

#include "kube/client.h"

enum { ANSWER_TYPE_MAX = 64 };

/* An ended call of wire/http, with what is gone when its `done` has returned. */
struct answer {
    const char *cluster;
    const char *secret; /* what no sentence may repeat; "" for none */
    const struct http_call *http;
    char type[ANSWER_TYPE_MAX]; /* content-type, "" for none */
    struct str body;
};

/* Fill what is out in the call: rc, end, status, doc or text, reason, err. Parses; may
 * take the bytes of body. */
void answer_read(struct answer *answer, struct kube_call *call);

/* Did TLS end it? In TLS 1.3 a client certificate is judged after the request left. */
bool answer_is_tls(const struct http_call *http);

#endif

/* How the HTTP API answers: JSON, never cached, never guessed at by a browser. */
#ifndef CONSUMER_REPLY_H
#define CONSUMER_REPLY_H

#include "ops/place.h"
#include "wire/httpd.h"
#include "wire/json.h"

/* Headers of every answer of the API; ended by NULL. type: the content type. */
enum { REPLY_HEADERS_MAX = 16 };
void reply_headers(const char *type, const char *headers[REPLY_HEADERS_MAX]);

void reply_text(struct httpd_request *request, int status, const char *json, size_t len);
void reply_json(struct httpd_request *request, int status,
                struct json_object *doc); /* takes doc */

/* {"error": ..., "next": ...}: what is wrong, and what to do about it (NULL: nothing). */
void reply_error(struct httpd_request *request, int status, const char *error,
                 const char *next);

/* The same two with one header more. */
void reply_json_with(struct httpd_request *request, int status, struct json_object *doc,
                     const char *name, const char *value);
void reply_error_with(struct httpd_request *request, int status, const char *error,
                      const char *next, const char *name, const char *value);

/* For what a function of ops returned. */
void reply_failure(struct httpd_request *request, int rc, const struct err *err);

/* The body as a JSON object; an empty one is {}. body: owned, NULL on failure. Returns 0
 * or -EBADMSG with a sentence. */
int reply_read_body(struct httpd_request *request, struct json_object **body,
                    struct err *err);

/* Who acts through this console: as the request says (""; it does not), and from here. */
void reply_say_who(const struct ops_place *place, const char *said, char *who,
                   size_t len);

/* GET or HEAD? Answers and returns false when not. */
bool reply_is_get(struct httpd_request *request);

/* The same, and not on behalf of another site? */
bool reply_may_read(struct httpd_request *request);

#endif

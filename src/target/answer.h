/* What the kinds share to read answers: the bytes may be anything. Pure, in a call's done
 * only. */
#ifndef TARGET_ANSWER_H
#define TARGET_ANSWER_H

#include "target/kind.h"

/* The body as a document, or NULL when it is none, or cut. Returns owned (json_free). */
struct json_object *answer_doc(const struct http_call *call);

/* Another class and reason; detail and waits stay. */
void answer_is(struct attempt_result *result, enum attempt_class class,
               const char *reason);

/* Keep words of the target's as detail, clean and cut at a whole character. NULL: none.
 */
void answer_say(struct attempt_result *result, const char *text);
/* The text at the first of these pointers that has one: ended by NULL. */
void answer_say_at(struct attempt_result *result, struct json_object *doc,
                   const char *const *pointers);
/* The first line of a body that is plain text. */
void answer_say_line(struct attempt_result *result, const struct http_call *call);

/* The first byte of the body that is no white space and no byte order mark; 0: none. */
char answer_first(const struct http_call *call);

/* Is this word in the text (NULL: no), whatever its case? */
bool answer_has(const char *text, const char *word);

/* Append the path that was called up to a part of it ("/sync" of
 * ".../applications/x/sync"), without the query.
 * Returns 0, or -ENOENT when there is no such part. */
int answer_path_before(const struct http_call *call, const char *part, struct str *path);

/* Append one value percent-encoded. */
void answer_add(struct str *path, const char *value);

/* The path of a URL if it is on the host that was called, or a path already; else NULL.
 * Borrowed. */
const char *answer_own_path(const struct http_call *call, const char *url);

/* Phases by the word a system has for them; ended by a NULL word. */
struct phase_of {
    const char *word;
    enum kind_phase_word phase;
};
/* The phase of a word (NULL: none was given), and the word as text; behind it " more"
 * unless that is NULL or empty. Unknown words are PHASE_UNKNOWN. */
void phase_read(struct kind_phase *out, const struct phase_of *phases, const char *word,
                const char *more);
/* When the status is no 2xx, or there is no document: says so, and returns false. */
bool phase_is_told(int status, struct json_object *doc, struct kind_phase *out);

#endif

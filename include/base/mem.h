/* Memory that is there or the process is not.
 *
 * What a worker may hold is bounded and counted before it starts, so a refused allocation
 * means that a bound is wrong: a bug. These never return NULL; they end the process with
 * exit code 70, which loses nothing (what was not committed is delivered again). Any
 * thread. Free with free(). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);                  /* uninitialised; size 0 gives 1 byte */
void *mem_zalloc(size_t size);                 /* zeroed */
void *mem_array(size_t count, size_t size);    /* zeroed; overflow is a bug */
void *mem_resize(void *old, size_t size);      /* like realloc */
void *mem_dup(const void *data, size_t len);   /* copy, with one NUL after it */
char *mem_strdup(const char *text);            /* NULL gives NULL */
char *mem_strndup(const char *text, size_t n); /* at most n bytes, always ended by NUL */

/* Overwrite before freeing: for secrets. The compiler may not drop it. */
void mem_wipe(void *data, size_t len);

#endif

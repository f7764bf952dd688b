/* The largest number of stamps in any window of some lengths, exactly.
 *
 * Stamps come in ascending order; a window of length T holds the stamps t with
 * end - T < t <= end. One ring serves all lengths. Plain data: one thread at a time. */
#ifndef PRODUCER_WINDOWS_H
#define PRODUCER_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WINDOWS_MAX = 4, WINDOWS_STAMPS_MAX = 1 << 20 };

struct windows {
    size_t count;
    int64_t length_ns[WINDOWS_MAX];
    uint64_t first[WINDOWS_MAX]; /* number of the oldest stamp inside */
    uint64_t most[WINDOWS_MAX];
    uint64_t next;  /* number of the next stamp */
    int64_t *ring;  /* stamp n stands at n % WINDOWS_STAMPS_MAX */
    bool overflown; /* a window held more than the ring: `most` may be too small */
};

void windows_init(struct windows *w, const int64_t *length_ns, size_t count);
void windows_release(struct windows *w);
void windows_clear(struct windows *w);
void windows_add(struct windows *w, int64_t stamp_ns);

#endif

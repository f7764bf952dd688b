/* Chance that repeats: the same seed and the same names give the same throws, whatever
 * order they are asked in. Pure: any thread. */
#ifndef PRODUCER_DICE_H
#define PRODUCER_DICE_H

#include <stdint.h>

/* A generator that walks. */
struct dice {
    uint64_t state;
};

struct dice dice_new(uint64_t seed);
/* One that belongs to a name and a number under a seed. */
struct dice dice_for(uint64_t seed, const char *name, uint64_t number);

uint64_t dice_next(struct dice *dice);
double dice_unit(struct dice *dice);                    /* [0, 1) */
uint64_t dice_below(struct dice *dice, uint64_t limit); /* [0, limit); limit > 0 */

/* "2%" or "0.02" as 0 to 1. Returns 0 or -EINVAL, share untouched. */
int dice_read_share(const char *text, double *share);

#endif

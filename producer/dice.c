#include "dice.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/option.h"

/* splitmix64 (Steele, Lea, Flood 2014): passes BigCrush, eight lines, any seed will do.
 */
uint64_t dice_next(struct dice *dice)
{
    dice->state += 0x9e3779b97f4a7c15u;
    uint64_t z = dice->state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct dice dice_new(uint64_t seed)
{
    return (struct dice){seed};
}

struct dice dice_for(uint64_t seed, const char *name, uint64_t number)
{
    struct dice dice = {seed ^ 0xcbf29ce484222325u};
    for (; *name != '\0'; name++) {
        dice.state = (dice.state ^ (unsigned char)*name) * 0x100000001b3u;
    }
    dice.state ^= dice_next(&dice) + number;
    return dice;
}

double dice_unit(struct dice *dice)
{
    return (double)(dice_next(dice) >> 11) * 0x1p-53;
}

uint64_t dice_below(struct dice *dice, uint64_t limit)
{
    return dice_next(dice) % limit; /* the bias is below 2^-40 for what we ask */
}

int dice_read_share(const char *text, double *share)
{
    static const struct option row = {.key = "share", .type = OPTION_NUMBER};
    size_t len = strlen(text);
    bool percent = len > 0 && text[len - 1] == '%';
    char *number = mem_strndup(text, percent ? len - 1 : len);
    struct option_value value;
    int rc = option_read(&row, number, &value, NULL);
    free(number);
    value.real /= percent ? 100 : 1;
    if (rc != 0 || value.real > 1) {
        return -EINVAL;
    }
    *share = value.real;
    return 0;
}

/* Figures as people read them. Pure. */
#ifndef OPS_WORDS_H
#define OPS_WORDS_H

#include <stdint.h>

#include "base/str.h"

void words_count(struct str *out, int64_t n);       /* "1,204" */
void words_span_ms(struct str *out, int64_t ms);    /* "180 ms", "38 s", "2 min", "3 h" */
void words_up(struct str *out, int64_t s);          /* "1m", "2h04m", "3d07h" */
void words_clock(struct str *out, int64_t wall_ms); /* "14:02:08", where one is */
void words_rate(struct str *out, double per_s);     /* "0.4", "62", "1,204" */

#endif

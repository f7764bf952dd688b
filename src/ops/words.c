#include "ops/words.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

void words_count(struct str *out, int64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRId64, n < 0 ? -n : n);
    str_add(out, n < 0 ? "-" : "");
    for (int i = 0; i < len; i++) {
        str_addc(out, digits[i]);
        if (i + 1 < len && (len - i - 1) % 3 == 0) {
            str_addc(out, ',');
        }
    }
}

void words_clock(struct str *out, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / SECOND);
    struct tm tm;
    localtime_r(&seconds, &tm);
    str_addf(out, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void words_span_ms(struct str *out, int64_t ms)
{
    if (ms < SECOND) {
        str_addf(out, "%" PRId64 " ms", ms);
    } else if (ms < 10 * SECOND) {
        str_addf(out, "%.1f s", (double)ms / SECOND);
    } else if (ms < 2 * MINUTE) {
        str_addf(out, "%" PRId64 " s", (ms + SECOND / 2) / SECOND);
    } else if (ms < 2 * HOUR) {
        str_addf(out, "%" PRId64 " min", (ms + MINUTE / 2) / MINUTE);
    } else if (ms < 2 * (int64_t)DAY) {
        str_addf(out, "%" PRId64 " h", (ms + HOUR / 2) / HOUR);
    } else {
        words_count(out, (ms + DAY / 2) / DAY);
        str_add(out, " d");
    }
}

void words_up(struct str *out, int64_t s)
{
    int64_t minutes = s / 60;
    if (s < 60) {
        str_addf(out, "%" PRId64 "s", s);
    } else if (minutes < 60) {
        str_addf(out, "%" PRId64 "m", minutes);
    } else if (minutes < 24 * 60) {
        str_addf(out, "%" PRId64 "h%02" PRId64 "m", minutes / 60, minutes % 60);
    } else {
        str_addf(out, "%" PRId64 "d%02" PRId64 "h", minutes / (24 * 60),
                 minutes / 60 % 24);
    }
}

void words_rate(struct str *out, double per_s)
{
    if (per_s < 9.95 && fabs(per_s - round(per_s)) > 0.04) {
        str_addf(out, "%.1f", per_s);
    } else {
        words_count(out, llround(per_s));
    }
}

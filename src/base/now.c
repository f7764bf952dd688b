#include "base/now.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/err.h"

static int64_t clock_us(clockid_t clock)
{
    struct timespec t;
    MUST(clock_gettime(clock, &t));
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t now_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t now_boot_ms(void)
{
    return clock_us(CLOCK_BOOTTIME) / 1000;
}

int64_t now_wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

void now_rfc3339(int64_t wall_ms, char text[NOW_TEXT_MAX])
{
    bool before_1970 = wall_ms % 1000 < 0; /* then the division must round down */
    time_t seconds = (time_t)(wall_ms / 1000 - before_1970);
    int ms = (int)(wall_ms % 1000 + before_1970 * 1000);
    struct tm t;
    gmtime_r(&seconds, &t);
    size_t len = strftime(text, NOW_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &t);
    snprintf(text + len, NOW_TEXT_MAX - len, ".%03dZ", ms);
}

/* --- reading dates ------------------------------------------------------------------ */

struct date {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second;
};

/* The readers below take what they understand off *p and say whether it was there. */

static bool read_char(const char **p, const char *any_of)
{
    if (**p == 0 || strchr(any_of, **p) == NULL) {
        return false;
    }
    (*p)++;
    return true;
}

static bool read_digits(const char **p, int n, int *value)
{
    *value = 0;
    for (int i = 0; i < n; i++) {
        if (**p < '0' || **p > '9') {
            return false;
        }
        *value = *value * 10 + (**p - '0');
        (*p)++;
    }
    return true;
}

static bool read_word(const char **p, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*p, word, len) != 0) {
        return false;
    }
    *p += len;
    return true;
}

static bool read_month(const char **p, int *month)
{
    static const char *const names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (int i = 0; i < 12; i++) {
        if (read_word(p, names[i])) {
            *month = i + 1;
            return true;
        }
    }
    return false;
}

static bool read_clock(const char **p, struct date *d)
{
    return read_digits(p, 2, &d->hour) && read_char(p, ":") &&
           read_digits(p, 2, &d->minute) && read_char(p, ":") &&
           read_digits(p, 2, &d->second);
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* A second of 60 is a leap second and becomes the next minute's first. */
static bool date_valid(const struct date *d)
{
    return d->month >= 1 && d->month <= 12 && d->day >= 1 &&
           d->day <= days_in_month(d->year, d->month) && d->hour <= 23 &&
           d->minute <= 59 && d->second <= 60;
}

static int64_t date_to_ms(const struct date *d)
{
    /* Years counted from March put the leap day last; an era is 400 years. */
    int64_t year = d->month <= 2 ? d->year - 1 : d->year;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * ((d->month + 9) % 12) + 2) / 5 + d->day - 1;
    int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    int64_t days = era * 146097 + day_of_era - 719468;
    return ((days * 24 + d->hour) * 60 + d->minute) * 60000 + (int64_t)d->second * 1000;
}

/* ".402", and finer digits are dropped. No fraction is fine. */
static bool read_fraction_ms(const char **p, int *ms)
{
    *ms = 0;
    if (!read_char(p, ".")) {
        return true;
    }
    int scale = 100;
    int digit;
    if (!read_digits(p, 1, &digit)) {
        return false;
    }
    do {
        *ms += digit * scale;
        scale /= 10;
    } while (read_digits(p, 1, &digit));
    return true;
}

static bool read_offset_minutes(const char **p, int *minutes)
{
    *minutes = 0;
    if (read_char(p, "Zz")) {
        return true;
    }
    int sign = **p == '-' ? -1 : 1;
    int hour;
    int minute;
    if (!read_char(p, "+-") || !read_digits(p, 2, &hour) || !read_char(p, ":") ||
        !read_digits(p, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    *minutes = sign * (hour * 60 + minute);
    return true;
}

int now_parse_rfc3339(const char *text, int64_t *wall_ms)
{
    const char *p = text;
    struct date d;
    int ms;
    int offset;
    bool ok = read_digits(&p, 4, &d.year) && read_char(&p, "-") &&
              read_digits(&p, 2, &d.month) && read_char(&p, "-") &&
              read_digits(&p, 2, &d.day) && read_char(&p, "Tt ") && read_clock(&p, &d) &&
              read_fraction_ms(&p, &ms) && read_offset_minutes(&p, &offset) && *p == 0 &&
              date_valid(&d);
    if (!ok) {
        return -EINVAL;
    }
    *wall_ms = date_to_ms(&d) + ms - (int64_t)offset * 60000;
    return 0;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_imf_fixdate(const char *p, struct date *d)
{
    return read_char(&p, ",") && read_char(&p, " ") && read_digits(&p, 2, &d->day) &&
           read_char(&p, " ") && read_month(&p, &d->month) && read_char(&p, " ") &&
           read_digits(&p, 4, &d->year) && read_char(&p, " ") && read_clock(&p, d) &&
           read_word(&p, " GMT") && *p == 0;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT": the year that is at most 50 years ahead. */
static bool read_rfc850(const char *p, struct date *d)
{
    if (!(read_char(&p, ",") && read_char(&p, " ") && read_digits(&p, 2, &d->day) &&
          read_char(&p, "-") && read_month(&p, &d->month) && read_char(&p, "-") &&
          read_digits(&p, 2, &d->year) && read_char(&p, " ") && read_clock(&p, d) &&
          read_word(&p, " GMT") && *p == 0)) {
        return false;
    }
    time_t now = (time_t)(now_wall_ms() / 1000);
    struct tm t;
    gmtime_r(&now, &t);
    int this_year = t.tm_year + 1900;
    d->year += this_year / 100 * 100 + 100;
    while (d->year > this_year + 50) {
        d->year -= 100;
    }
    return true;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool read_asctime(const char *p, struct date *d)
{
    return read_char(&p, " ") && read_month(&p, &d->month) && read_char(&p, " ") &&
           (read_char(&p, " ") ? read_digits(&p, 1, &d->day)
                               : read_digits(&p, 2, &d->day)) &&
           read_char(&p, " ") && read_clock(&p, d) && read_char(&p, " ") &&
           read_digits(&p, 4, &d->year) && *p == 0;
}

int now_parse_http_date(const char *text, int64_t *wall_ms)
{
    /* The weekday says nothing new: it is skipped, not checked. */
    const char *p = text;
    while ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z')) {
        p++;
    }
    struct date d;
    bool ok = p > text &&
              (read_imf_fixdate(p, &d) || read_rfc850(p, &d) || read_asctime(p, &d)) &&
              date_valid(&d);
    if (!ok) {
        return -EINVAL;
    }
    *wall_ms = date_to_ms(&d);
    return 0;
}

/* --- reading durations -------------------------------------------------------------- */

struct unit {
    const char *name;
    int64_t ms;
};

/* Largest first. */
static const struct unit units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
enum { UNITS = sizeof units / sizeof units[0] };

static bool read_number(const char **p, int64_t *number)
{
    int digit;
    if (!read_digits(p, 1, &digit)) {
        return false;
    }
    *number = 0;
    do {
        if (*number > (INT64_MAX - digit) / 10) {
            return false;
        }
        *number = *number * 10 + digit;
    } while (read_digits(p, 1, &digit));
    return true;
}

/* Take a unit off *p, out of those smaller than the last one read. */
static bool read_unit(const char **p, int *next, int64_t *ms)
{
    for (int i = UNITS - 1; i >= *next; i--) { /* "ms" before "m" */
        if (read_word(p, units[i].name)) {
            *next = i + 1;
            *ms = units[i].ms;
            return true;
        }
    }
    return false;
}

int now_parse_duration(const char *text, int64_t *ms)
{
    const char *p = text;
    int64_t total = 0;
    int next = 0; /* units must get smaller: "1h30m", never "30m1h" or "5s5s" */
    do {
        int64_t number;
        int64_t unit_ms;
        if (!read_number(&p, &number) || !read_unit(&p, &next, &unit_ms) ||
            number > (INT64_MAX - total) / unit_ms) {
            return -EINVAL;
        }
        total += number * unit_ms;
    } while (*p != 0);
    *ms = total;
    return 0;
}

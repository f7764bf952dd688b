/* The clocks.
 *
 * Inside the program time is absolute and monotonic; wall time appears only in logs and
 * payloads. Any thread. */
#ifndef BASE_NOW_H
#define BASE_NOW_H

#include <stdint.h>

enum { NOW_TEXT_MAX = 32 };

#define NOW_FOREVER INT64_MAX /* a deadline that never comes */

int64_t now_ms(void); /* CLOCK_MONOTONIC */
int64_t now_us(void); /* CLOCK_MONOTONIC */
int64_t now_boot_ms(
    void); /* CLOCK_BOOTTIME: runs on while the machine sleeps; for leases */
int64_t now_wall_ms(void); /* since 1970 UTC */

/* "2026-11-23T14:02:08.402Z". */
void now_rfc3339(int64_t wall_ms, char text[NOW_TEXT_MAX]);

/* RFC 3339 with any offset and any number of fraction digits. Returns 0 or -EINVAL. */
int now_parse_rfc3339(const char *text, int64_t *wall_ms);

/* The three date forms of RFC 9110 5.6.7. Returns 0 or -EINVAL. */
int now_parse_http_date(const char *text, int64_t *wall_ms);

/* "200ms", "5s", "2m", "7d", "1h30m"; a bare number is refused. Returns 0 or -EINVAL. */
int now_parse_duration(const char *text, int64_t *ms);

#endif

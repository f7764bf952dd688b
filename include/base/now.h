/* The clocks.
 *
 * Inside the program time is absolute and monotonic; wall time appears only in logs and
 * payloads. Any thread. */
#ifndef BASE_NOW_H
#define BASE_NOW_H

#include <stdint.h>

enum { NOW_TEXT_MAX = 32 };

#define NOW_FOREVER INT64_MAX /* a deadline that never comes */

/* Monotonic. */
int64_t now_ms(void);
int64_t now_us(void);

/* Monotonic too, but runs on while the machine is suspended: for leases. Not comparable
 * with now_ms. */
int64_t now_boot_ms(void);

/* Since 1970, UTC. */
int64_t now_wall_ms(void);

/* "2026-11-23T14:02:08.402Z". */
void now_rfc3339(int64_t wall_ms, char text[NOW_TEXT_MAX]);

/* RFC 3339 with any offset and any number of fraction digits. Returns 0 or -EINVAL. */
int now_parse_rfc3339(const char *text, int64_t *wall_ms);

/* The three date forms of RFC 9110 5.6.7. Returns 0 or -EINVAL. */
int now_parse_http_date(const char *text, int64_t *wall_ms);

/* "200ms", "5s", "2m", "7d", "1h30m": whole numbers, units d h m s ms from large to
 * small. A bare number is refused, and so is what does not fit. Returns 0 or -EINVAL. */
int now_parse_duration(const char *text, int64_t *ms);

#endif

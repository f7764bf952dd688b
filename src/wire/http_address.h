/* Which addresses a call may connect to. Pure; any thread.
 *
 * The check is made on the address itself, at connect: a name may resolve to anything and
 * an IPv4 address has many spellings. */
#ifndef WIRE_HTTP_ADDRESS_H
#define WIRE_HTTP_ADDRESS_H

#include <stdbool.h>

/* Always refused: link-local, cloud metadata, "this network", multicast, reserved and
 * broadcast. With public_only also loopback, private, carrier-grade NAT and unique-local.
 * An IPv4 address inside an IPv6 one (mapped, compatible, NAT64) is judged as itself.
 * text  numeric, as inet_ntop writes it; anything else is refused.
 * Returns NULL when allowed, else what it is: "link-local". */
const char *http_address_refused(const char *text, bool public_only);

#endif

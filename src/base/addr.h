/* base/addr: an IP address with a port, as a value. Layer 0, pure (no resolver, no socket). */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include "base/span.h"

struct addr {
	uint8_t ip[16]; /* network order; IPv4 in the first four */
	uint16_t port;  /* host order */
	uint8_t family; /* 0 none, 4, 6 */
};

static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, 16) == 0;
}
static inline bool addr_same_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, 16) == 0;
}
/* An IPv4 or IPv6 literal (brackets allowed around IPv6) without port; out->port is set to port. -1: not a literal. */
int addr_parse(struct span s, uint16_t port, struct addr *out) __attribute__((warn_unused_result));
/* The same with a port behind it: "192.0.2.1:5060", "[2001:db8::1]:5060". -1: not that, or port 0. */
int addr_parse_port(struct span s, struct addr *out) __attribute__((warn_unused_result));
struct text;
/* "192.0.2.1" or "2001:db8::1". */
void addr_put_ip(struct text *t, const struct addr *a);
/* The same, IPv6 in brackets: as in a URI or Via. */
void addr_put_host(struct text *t, const struct addr *a);
/* "192.0.2.1:5060", "[2001:db8::1]:5060". */
void addr_put(struct text *t, const struct addr *a);

#endif

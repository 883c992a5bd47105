/* io/sock: addresses as the kernel wants them. Layer 1, shell. */
#ifndef IO_SOCK_H
#define IO_SOCK_H

#include "base/addr.h"

#include <sys/socket.h>

/* Length for bind/connect/sendto; 0 when a has no family. */
socklen_t sock_from_addr(const struct addr *a, struct sockaddr_storage *out);
/* IPv4-mapped IPv6 becomes IPv4. Anything else than IP: family 0. */
struct addr sock_to_addr(const struct sockaddr_storage *ss);
/* 0.0.0.0 or :: */
bool sock_is_any(const struct addr *a);
/* The address that this host would use to reach the network (no packet is sent): what to tell others when we listen on
 * all addresses. Loopback when there is no route. family: 4 or 6. */
struct addr sock_primary_addr(uint8_t family);
/* Raises the limit on open files to `want` (at most `cap`, and what the hard limit allows). Returns the limit in force. */
uint64_t sock_raise_nofile(uint64_t want, uint64_t cap);

#endif

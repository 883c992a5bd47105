/* io/udp: datagrams in batches. Layer 1, shell. One thread per socket. */
#ifndef IO_UDP_H
#define IO_UDP_H

#include "base/addr.h"

enum {
	UDP_BATCH = 64,
	UDP_DATAGRAM_MAX = 16384, /* larger ones are dropped and counted */
	UDP_SEND_MAX = 65507,
	UDP_SEND_BYTES = 256 * 1024 /* bytes that wait for one flush */
};

struct udp; /* one socket with its batches */

/* Binds. bound to an address: local is that address. Bound to 0.0.0.0 or ::, each datagram tells the address it came to
 * (IP_PKTINFO) and answers leave from it. NULL: errno. rcvbuf_bytes: wish, the system's limit applies. */
struct udp *udp_open(const struct addr *bind_to, int rcvbuf_bytes);
void udp_close(struct udp *u);
int udp_fd(const struct udp *u);
/* The address bound to, with the port really taken (when 0 was asked). */
struct addr udp_local(const struct udp *u);

/* Takes up to UDP_BATCH waiting datagrams with one system call and calls back for each; bytes are borrowed for the call.
 * Returns how many were taken, 0 when none waited, -1 on an error (errno). */
int udp_recv(struct udp *u, void (*each)(void *ctx, const struct addr *from, const struct addr *to, struct span bytes), void *ctx);

/* Copies a datagram to go out at the next flush (a full batch is flushed at once). from: our address for a wildcard
 * socket, as told by udp_recv; family 0: the kernel chooses. -1: too long or no destination. */
int udp_send(struct udp *u, const struct addr *to, const struct addr *from, struct span bytes);
/* What the kernel refuses (no route, full buffer) is counted as lost; SIP repeats it. */
void udp_flush(struct udp *u);

struct udp_counts {
	uint64_t rx, tx, rx_calls, tx_calls, rx_too_long, tx_lost;
};
struct udp_counts udp_counts(const struct udp *u);

#endif

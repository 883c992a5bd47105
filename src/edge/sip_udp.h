/* edge/sip_udp: SIP datagrams between sockets and the cell. Layer 5, shell; everything runs on the cell's thread.
 * One turn: what waits is read with one system call for 64, and what the cell sent leaves with one call for 64. */
#ifndef EDGE_SIP_UDP_H
#define EDGE_SIP_UDP_H

#include "io/loop.h"
#include "sip/msg/flow.h"

struct sip_udp;

struct sip_udp_opts {
	struct loop *loop;
	/* One datagram that is no keep-alive; bytes are borrowed for the call. */
	void (*on_message)(void *ctx, const struct sip_flow *flow, struct span bytes);
	void *ctx;
};

struct sip_udp *sip_udp_new(const struct sip_udp_opts *o);
/* Opens listener number `listener` (sip_flow.listener). -1: errno of bind. */
int sip_udp_listen(struct sip_udp *s, uint16_t listener, const struct addr *at) __attribute__((warn_unused_result));
void sip_udp_free(struct sip_udp *s);
/* Queued until sip_udp_flush; false: no such listener, or it cannot go there. */
bool sip_udp_send(struct sip_udp *s, const struct sip_flow *to, struct span bytes);
void sip_udp_flush(struct sip_udp *s);

/* About how long the oldest datagram that waits has waited: since when each turn has read a full batch. Once, at the end of a turn. */
int64_t sip_udp_late_us(struct sip_udp *s, int64_t now_us);

struct sip_udp_counts {
	uint64_t rx, tx, rx_calls, tx_calls, keepalives, too_long, lost;
};
struct sip_udp_counts sip_udp_counts(const struct sip_udp *s);

#endif

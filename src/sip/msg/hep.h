/* sip/msg/hep: a SIP message as a packet of the Homer Encapsulation Protocol, version 3 (hep-protocol document, rev. 36: "HEP3/EEP"). Level 2,
 * pure. Chunks in the order of their numbers; vendor 0. All numbers big-endian. */
#ifndef SIP_MSG_HEP_H
#define SIP_MSG_HEP_H

#include "base/addr.h"
#include "base/text.h"

enum {
	HEP_PACKET_MAX = 65507,  /* what a datagram takes; the packet's own length has 16 bits */
	HEP_CORRELATION_MAX = 255 /* a longer Call-ID is cut */
};

enum hep_chunk {
	HEP_IP_FAMILY = 1, /* 2: IPv4, 10: IPv6 */
	HEP_IP_PROTOCOL,   /* 17: UDP, 6: TCP */
	HEP_SRC_IP4, HEP_DST_IP4, HEP_SRC_IP6, HEP_DST_IP6, HEP_SRC_PORT, HEP_DST_PORT,
	HEP_SECONDS,       /* since 1970, UTC */
	HEP_MICROSECONDS,  /* of that second */
	HEP_PROTOCOL_TYPE, /* 1: SIP */
	HEP_AGENT_ID = 12,
	HEP_KEY = 14,      /* the collector's password, as it is */
	HEP_PAYLOAD = 15,
	HEP_CORRELATION = 17
};

struct hep_packet {
	const struct addr *src, *dst; /* the one that has a family says it for both; a missing one is all zero */
	bool udp;
	int64_t wall_us; /* UTC since 1970 */
	uint32_t agent;
	struct span key;         /* empty: no such chunk */
	struct span correlation; /* Call-ID; empty: no such chunk */
	struct span payload;     /* the message; credentials are blotted out in the packet (sip_redact) */
};
/* Appends the packet; t->over when it has no room or is longer than HEP_PACKET_MAX. */
void hep_put(struct text *t, const struct hep_packet *p);

#endif

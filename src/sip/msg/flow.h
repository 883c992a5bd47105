/* sip/msg/flow: where a message came from or goes to. Layer 2, pure value. */
#ifndef SIP_MSG_FLOW_H
#define SIP_MSG_FLOW_H

#include "base/addr.h"

enum sip_transport { SIP_UDP, SIP_TCP, SIP_TLS };

struct sip_flow {
	enum sip_transport transport;
	uint16_t listener; /* index of our listener (several ports, families); answers leave by the same one */
	uint32_t conn;     /* TCP/TLS: the shell's connection number; 0 = none yet: reuse one to `remote` or connect */
	struct addr remote;
	struct addr local; /* what we write into Via and Contact for this flow */
};

static inline bool sip_transport_reliable(enum sip_transport t)
{
	return t != SIP_UDP;
}
/* "UDP", "TCP", "TLS" as in Via. */
const char *sip_transport_name(enum sip_transport t);
/* "udp", "tcp", "tls" as in a URI parameter. */
const char *sip_transport_param(enum sip_transport t);
/* Same peer by the same way (remote address, transport; connection numbers must agree when both are set). */
bool sip_flow_same(const struct sip_flow *a, const struct sip_flow *b);

#endif

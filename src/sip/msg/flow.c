#include "sip/msg/flow.h"

const char *sip_transport_name(enum sip_transport t)
{
	switch (t) {
	case SIP_UDP: return "UDP";
	case SIP_TCP: return "TCP";
	case SIP_TLS: return "TLS";
	}
	return "UDP";
}

const char *sip_transport_param(enum sip_transport t)
{
	switch (t) {
	case SIP_UDP: return "udp";
	case SIP_TCP: return "tcp";
	case SIP_TLS: return "tls";
	}
	return "udp";
}

bool sip_flow_same(const struct sip_flow *a, const struct sip_flow *b)
{
	if (a->transport != b->transport || !addr_eq(&a->remote, &b->remote))
		return false;
	return a->conn == 0 || b->conn == 0 || a->conn == b->conn;
}

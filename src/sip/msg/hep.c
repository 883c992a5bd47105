#include "sip/msg/hep.h"

#include "sip/msg/redact.h"

enum { CHUNK_HEAD = 6, SIP = 1, FAMILY_4 = 2, FAMILY_6 = 10, PROTO_TCP = 6, PROTO_UDP = 17 };

static void put_be(struct text *t, uint64_t v, unsigned bytes)
{
	while (bytes-- > 0)
		text_putc(t, (char)(v >> 8 * bytes & 0xff));
}

static void chunk(struct text *t, enum hep_chunk type, struct span value)
{
	if (value.n > UINT16_MAX - CHUNK_HEAD) {
		t->over = true;
		return;
	}
	put_be(t, 0, 2); /* vendor: generic */
	put_be(t, type, 2);
	put_be(t, CHUNK_HEAD + value.n, 2);
	text_put(t, value);
}

static void number(struct text *t, enum hep_chunk type, uint64_t v, unsigned bytes)
{
	put_be(t, 0, 2);
	put_be(t, type, 2);
	put_be(t, CHUNK_HEAD + bytes, 2);
	put_be(t, v, bytes);
}

static void addresses(struct text *t, const struct hep_packet *p)
{
	bool six = (p->src->family ? p->src : p->dst)->family == 6;
	size_t n = six ? 16 : 4;
	chunk(t, six ? HEP_SRC_IP6 : HEP_SRC_IP4, span_mem(p->src->ip, n));
	chunk(t, six ? HEP_DST_IP6 : HEP_DST_IP4, span_mem(p->dst->ip, n));
	number(t, HEP_SRC_PORT, p->src->port, 2);
	number(t, HEP_DST_PORT, p->dst->port, 2);
}

void hep_put(struct text *t, const struct hep_packet *p)
{
	size_t start = t->n;
	bool six = (p->src->family ? p->src : p->dst)->family == 6;
	text_lit(t, "HEP3");
	put_be(t, 0, 2); /* its length comes when it is known */
	number(t, HEP_IP_FAMILY, six ? FAMILY_6 : FAMILY_4, 1);
	number(t, HEP_IP_PROTOCOL, p->udp ? PROTO_UDP : PROTO_TCP, 1);
	addresses(t, p);
	number(t, HEP_SECONDS, (uint64_t)(p->wall_us / 1000000), 4);
	number(t, HEP_MICROSECONDS, (uint64_t)(p->wall_us % 1000000), 4);
	number(t, HEP_PROTOCOL_TYPE, SIP, 1);
	number(t, HEP_AGENT_ID, p->agent, 4);
	if (p->key.n)
		chunk(t, HEP_KEY, p->key);
	chunk(t, HEP_PAYLOAD, p->payload);
	if (!t->over)
		sip_redact(t->p + t->n - p->payload.n, p->payload.n);
	if (p->correlation.n)
		chunk(t, HEP_CORRELATION, span_sub(p->correlation, 0, HEP_CORRELATION_MAX));
	if (!t->over && t->n - start > HEP_PACKET_MAX)
		t->over = true;
	if (t->over)
		return;
	t->p[start + 4] = (char)((t->n - start) >> 8);
	t->p[start + 5] = (char)((t->n - start) & 0xff);
}

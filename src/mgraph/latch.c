#include "mgraph/graph.h"

/* 0.0.0.0 is the old way to say hold (RFC 3264 8.4): no address to send to. */
static struct addr usable(const struct addr *a)
{
	static const uint8_t zero[16];
	if (!a->family || !a->port || memcmp(a->ip, zero, 16) == 0)
		return (struct addr){0};
	return *a;
}

void latch_remote(struct latch *l, const struct addr *rtp, const struct addr *rtcp, bool relearn)
{
	if (relearn) {
		l->source = l->source_rtcp = (struct addr){0};
		l->stranger_told = false;
	}
	l->signalled = usable(rtp);
	l->signalled_rtcp = usable(rtcp);
}

enum latch_answer latch_rtp(struct latch *l, const struct addr *from)
{
	if (l->source.family && addr_eq(from, &l->source))
		return LATCH_KNOWN;
	/* Nobody is let in before signalling said that there is a peer. The signalled address itself always wins over one
	 * that was only learned: whoever was quicker than the real phone loses the stream at the phone's first packet. */
	bool signalled = l->signalled.family && addr_eq(from, &l->signalled);
	if (!signalled && (l->source.family || !l->signalled.family))
		return LATCH_STRANGER;
	l->source = *from;
	l->source_rtcp = (struct addr){0};
	l->stranger_told = false;
	return LATCH_LATCHED;
}

bool latch_rtcp(struct latch *l, const struct addr *from)
{
	if (l->source_rtcp.family)
		return addr_eq(from, &l->source_rtcp);
	bool same = l->source.family ? addr_same_ip(from, &l->source)
	                             : (l->signalled.family && addr_same_ip(from, &l->signalled)) ||
	                                       (l->signalled_rtcp.family && addr_same_ip(from, &l->signalled_rtcp));
	/* Only a locked RTP source locks its RTCP port: else a guess before the first RTP packet would stick. */
	if (same && l->source.family)
		l->source_rtcp = *from;
	return same;
}

struct addr latch_target(const struct latch *l, bool rtcp)
{
	struct addr a = l->source.family ? l->source : l->signalled;
	if (!rtcp || !a.family)
		return a;
	if (l->source_rtcp.family)
		return l->source_rtcp;
	if (l->signalled_rtcp.family && addr_same_ip(&l->signalled_rtcp, &a))
		return l->signalled_rtcp;
	if (a.port == UINT16_MAX)
		return (struct addr){0};
	a.port++;
	return a;
}

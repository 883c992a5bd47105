#include "mgraph/graph.h"

bool slot_send(struct mgraph *g, struct slot *s, bool rtcp, struct span bytes)
{
	/* RTCP flows on hold too: it carries the reports and keeps the NAT open (RFC 3264 5.1). */
	struct addr to = latch_target(&s->latch, rtcp);
	if (!to.family || (!rtcp && !s->may_send))
		return false;
	if (!rtcp) {
		s->stats.tx_packets++;
		s->stats.tx_bytes += bytes.n;
	}
	g->out.send(g->out.ctx, slot_id(g, s), rtcp, &to, bytes);
	return true;
}

static void tell(struct mgraph *g, const struct slot *s, enum media_event_kind kind, const struct addr *source)
{
	struct media_event e = {.kind = kind, .slot = slot_id(g, s), .leg = s->leg, .source = *source};
	g->out.event(g->out.ctx, &e);
}

static bool admitted(struct mgraph *g, struct slot *s, const struct addr *from)
{
	switch (latch_rtp(&s->latch, from)) {
	case LATCH_KNOWN:
		return true;
	case LATCH_LATCHED:
		tell(g, s, MEDIA_EVENT_LATCHED, from);
		return true;
	case LATCH_STRANGER:
		if (s->latch.source.family && !s->latch.stranger_told) {
			s->latch.stranger_told = true;
			tell(g, s, MEDIA_EVENT_STRANGER, from);
		}
		return false;
	}
	return false;
}

static void rtp_in(struct mgraph *g, struct slot *s, const struct addr *from, struct span bytes, int64_t now_us)
{
	struct rtp h;
	if (rtp_parse(bytes, &h) < 0 || !admitted(g, s, from) || !s->may_recv) {
		s->stats.rx_dropped++;
		return;
	}
	s->stats.rx_packets++;
	s->stats.rx_bytes += bytes.n;
	/* Events repeat one timestamp and comfort noise comes when it likes: neither says anything about jitter. */
	bool steady = h.pt != RTP_PT_CN && (s->pt_dtmf == 0 || h.pt != s->pt_dtmf);
	if (steady)
		s->rx_pt = h.pt;
	(void)rtp_rx_packet(&s->rx, &h, steady ? s->clock_hz : 0, now_us);
	if (s->play.kind == SOURCE_ECHO)
		player_echo(g, s, &h, bytes);
	else if (s->peer && s->peer->play.kind == SOURCE_NONE)
		(void)slot_send(g, s->peer, false, bytes);
}

static void rtcp_in(struct mgraph *g, struct slot *s, const struct addr *from, struct span bytes, int64_t now_us)
{
	if (!rtcp_valid(bytes) || !latch_rtcp(&s->latch, from)) {
		s->stats.rx_dropped++;
		return;
	}
	stats_report_in(s, bytes, now_us);
	/* Reports on a stream that the peer does not hear (or on our own) would only confuse it. */
	if (s->play.kind != SOURCE_NONE || !s->peer || s->peer->play.kind != SOURCE_NONE)
		return;
	if (slot_send(g, s->peer, true, bytes))
		stats_report_out(s->peer, bytes, now_us);
}

void mgraph_packet(struct mgraph *g, media_slot slot, bool rtcp, const struct addr *from, struct span bytes, int64_t now_us)
{
	uint32_t n = slot & 0xffff;
	if (slot >> 16 != g->worker || n >= g->n_slots || !g->slots[n].open)
		return;
	if (rtcp)
		rtcp_in(g, &g->slots[n], from, bytes, now_us);
	else
		rtp_in(g, &g->slots[n], from, bytes, now_us);
}

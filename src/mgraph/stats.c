#include "mgraph/graph.h"

/* One-way delay for the E-model: half the round trip, one packet, and a jitter buffer of twice the jitter. */
static double delay_ms(const struct slot *s, const struct media_stats *m)
{
	return m->rtt_us / 2000.0 + (s->ptime_ms ? s->ptime_ms : 20) + 2.0 * m->jitter_us / 1000;
}

struct media_stats slot_stats(const struct slot *s)
{
	struct media_stats m = s->stats;
	m.rx_lost = rtp_rx_lost(&s->rx);
	m.jitter_us = rtp_rx_jitter_us(&s->rx);
	m.max_jitter_us = s->rx.max_jitter_x16_us >> 4;
	uint64_t received = s->rx.packets - s->rx.duplicates;
	if (received)
		m.mos_x100 = rtp_mos_x100(
		        rtp_emodel_r(s->rx_pt, (double)m.rx_lost / (double)(m.rx_lost + received), delay_ms(s, &m)));
	return m;
}

static void learn(struct slot *s, const struct rtcp_block *b, int64_t now_us)
{
	if (b->lost > 0)
		s->stats.far_lost = (uint32_t)b->lost;
	if (!s->sr_sent_us || b->lsr != s->sr_mid)
		return;
	/* Our own clock on both ends, so it also works for reports that we only passed on. */
	int64_t rtt = now_us - s->sr_sent_us - (int64_t)((uint64_t)b->dlsr * 1000000u >> 16);
	if (rtt >= 0 && rtt < 10000000)
		s->stats.rtt_us = (uint32_t)rtt;
}

void stats_report_in(struct slot *s, struct span compound, int64_t now_us)
{
	struct rtcp p;
	struct rtcp_block b;
	while (rtcp_next(&compound, &p) == 1)
		for (unsigned i = 0; i < p.count && rtcp_block(&p, i, &b) == 0; i++)
			learn(s, &b, now_us);
}

void stats_report_out(struct slot *s, struct span compound, int64_t now_us)
{
	struct rtcp p;
	struct rtcp_sender sr;
	if (rtcp_next(&compound, &p) != 1 || p.type != RTCP_SR || rtcp_sender(&p, &sr) < 0)
		return;
	s->sr_mid = (uint32_t)(sr.ntp >> 16);
	s->sr_sent_us = now_us;
}

bool mgraph_stats(const struct mgraph *g, media_slot slot, struct media_stats *out)
{
	uint32_t n = slot & 0xffff;
	if (slot >> 16 != g->worker || n >= g->n_slots || !g->slots[n].open)
		return false;
	*out = slot_stats(&g->slots[n]);
	return true;
}

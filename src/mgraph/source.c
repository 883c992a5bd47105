#include "mgraph/graph.h"

enum { REPORT_US = 5000000, LATE_PACKETS = 5, MAX_PTIME_MS = 60, MAX_SAMPLES = MAX_PTIME_MS * 8 };

/* Our sources speak G.711 only: 8 samples per millisecond. */
static uint32_t samples_of(const struct slot *s)
{
	return 8u * s->ptime_ms;
}

static bool plays(const struct player *p)
{
	return p->kind == SOURCE_MILLIWATT || p->kind == SOURCE_TONE || p->kind == SOURCE_RINGBACK;
}

static void arm(struct mgraph *g, struct player *p)
{
	bool packet = plays(p) && p->next_packet_us < p->next_report_us;
	wheel_set(&g->wheel, &p->timer, packet ? p->next_packet_us : p->next_report_us);
}

static void tune(struct player *p, const struct media_cmd *c)
{
	switch (c->source) {
	case SOURCE_NONE:
	case SOURCE_ECHO:
		break;
	case SOURCE_MILLIWATT:
		tone_init_milliwatt(&p->tone, 8000);
		break;
	case SOURCE_TONE:
		tone_init(&p->tone, 8000, c->tone_hz, c->tone_level_dbm0, c->tone_on_ms, c->tone_off_ms);
		break;
	case SOURCE_RINGBACK:
		tone_init_ringback(&p->tone, 8000);
		break;
	}
}

void player_start(struct mgraph *g, struct slot *s, const struct media_cmd *c, int64_t now_us)
{
	struct player *p = &s->play;
	bool fresh = p->kind == SOURCE_NONE;
	if (c->pt == RTP_PT_PCMU || c->pt == RTP_PT_PCMA)
		s->pt = c->pt;
	if (c->ptime_ms)
		s->ptime_ms = c->ptime_ms < 10 ? 10 : c->ptime_ms > MAX_PTIME_MS ? MAX_PTIME_MS : c->ptime_ms;
	p->kind = c->source;
	p->talking = false;
	tune(p, c);
	if (fresh) {
		/* A source that comes back is a new stream: its clock stood still in between (RFC 3550 8). */
		p->ssrc = (uint32_t)rng_u64(&g->rng);
		p->seq = (uint16_t)rng_u64(&g->rng);
		p->ts = (uint32_t)rng_u64(&g->rng);
		p->packets = p->octets = 0;
		p->next_packet_us = now_us;
		p->next_report_us = now_us + REPORT_US;
	}
	arm(g, p);
}

static void report(struct mgraph *g, struct slot *s, bool bye, int64_t now_us)
{
	struct player *p = &s->play;
	uint8_t buf[256];
	struct rtcp_block block;
	int64_t behind_us = plays(p) ? p->next_packet_us - now_us : 0;
	struct rtcp_report r = {
	        .is_sr = p->packets > 0,
	        .sender = {.ssrc = p->ssrc, .ntp = rtcp_ntp(now_us), .rtp_ts = p->ts - (uint32_t)(behind_us * 8 / 1000),
	                .packets = p->packets, .octets = p->octets},
	        .cname = span_z(g->cname),
	        .bye = bye,
	};
	if (s->rx.begun) {
		block = rtp_rx_block(&s->rx, s->clock_hz);
		r.blocks = &block;
		r.n_blocks = 1;
	}
	struct span bytes = {(const char *)buf, rtcp_write(&r, buf, sizeof buf)};
	if (slot_send(g, s, true, bytes))
		stats_report_out(s, bytes, now_us);
}

void player_stop(struct mgraph *g, struct slot *s, int64_t now_us)
{
	if (s->play.kind == SOURCE_NONE)
		return;
	if (s->play.packets > 0)
		report(g, s, true, now_us);
	s->play.kind = SOURCE_NONE;
	wheel_cancel(&g->wheel, &s->play.timer);
}

void player_echo(struct mgraph *g, struct slot *s, const struct rtp *h, struct span bytes)
{
	uint8_t copy[RTP_MAX_BYTES];
	struct player *p = &s->play;
	if (bytes.n > sizeof copy)
		return;
	memcpy(copy, bytes.p, bytes.n);
	for (int i = 0; i < 4; i++)
		copy[8 + i] = (uint8_t)(p->ssrc >> (24 - 8 * i));
	if (!slot_send(g, s, false, span_mem(copy, bytes.n)))
		return;
	p->packets++;
	p->octets += (uint32_t)h->payload.n;
	p->ts = h->ts;
}

static void play_one(struct mgraph *g, struct slot *s)
{
	struct player *p = &s->play;
	int16_t pcm[MAX_SAMPLES];
	uint8_t code[MAX_SAMPLES], packet[RTP_HEADER_BYTES + MAX_SAMPLES];
	uint32_t n = samples_of(s);
	INVARIANT(n <= MAX_SAMPLES);
	tone_fill(&p->tone, pcm, n);
	audio_g711_encode(s->pt == RTP_PT_PCMA, pcm, n, code);
	struct rtp h = {.pt = s->pt, .marker = !p->talking, .seq = p->seq, .ts = p->ts, .ssrc = p->ssrc, .payload = span_mem(code, n)};
	if (slot_send(g, s, false, span_mem(packet, rtp_write(&h, packet, sizeof packet)))) {
		p->talking = true;
		p->seq++;
		p->packets++;
		p->octets += n;
	}
	p->ts += n;
	p->next_packet_us += (int64_t)s->ptime_ms * 1000;
}

void player_due(struct mgraph *g, struct slot *s, int64_t now_us)
{
	struct player *p = &s->play;
	int64_t late_us = now_us - p->next_packet_us, step_us = (int64_t)s->ptime_ms * 1000;
	if (plays(p) && late_us > LATE_PACKETS * step_us) {
		/* We were stopped for a while: what was not sent then is not sent in a burst now. */
		int64_t skip = late_us / step_us;
		p->ts += (uint32_t)skip * samples_of(s);
		p->next_packet_us += skip * step_us;
		p->talking = false;
	}
	while (plays(p) && p->next_packet_us <= now_us)
		play_one(g, s);
	if (p->next_report_us <= now_us) {
		report(g, s, false, now_us);
		p->next_report_us = now_us + REPORT_US;
	}
	arm(g, p);
}

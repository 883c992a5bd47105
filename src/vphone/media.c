/* Real RTP: sections 6.2, 6.3; points V23, V24. Every packet's samples follow the last one's, so a probe of two packets a
 * second still is one unbroken tone to whoever puts them together. */
#include "vphone/machine.h"

#include <stdlib.h>

enum { FRAME = 160, DTMF_UNITS = 400 /* 50 ms: tone.dtmf.onTime */, DTMF_END_COPIES = 3, DTMF_GAP_TICKS = 3, PORTS = 47, LATE_MAX_US = 200000, FOREIGN_RUN = 25 };

static bool port_used(const struct vphone *v, uint16_t port)
{
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++)
		if (v->calls[i]->media && v->calls[i]->media->port == port)
			return true;
	return false;
}

/* Walks through 47 even ports from the start of the range and wraps (section 6.3). */
int vp_media_open(struct vphone *v, struct vp_call *c)
{
	uint16_t port = 0;
	if (c->media)
		return 0;
	for (int i = 0; i < PORTS && !port; i++) {
		uint16_t p = (uint16_t)(v->set.rtp_start + 2 * (v->next_port++ % PORTS));
		port = port_used(v, p) ? 0 : p;
	}
	struct vp_media *m = port ? calloc(1, sizeof *m) : NULL;
	if (!m)
		return -1;
	m->timer.kind = VP_T_RTP;
	m->call = c->serial;
	m->port = port;
	m->te_tx = m->te_rx = 0xff;
	m->seq = (uint16_t)rng_u64(&v->rng);
	m->ts = (uint32_t)rng_u64(&v->rng);
	m->ssrc = (uint32_t)rng_u64(&v->rng);
	c->media = m;
	vp_media_tone(v, m);
	vp_out(v, &(struct vphone_out){.kind = VP_OUT_RTP_OPEN, .rtp_port = port});
	return 0;
}

void vp_media_close(struct vphone *v, struct vp_call *c)
{
	struct vp_media *m = c->media;
	if (!m)
		return;
	wheel_cancel(&v->wheel, &m->timer);
	v->ended.rx = m->rx.packets;
	v->ended.tx = m->tx;
	v->ended.lost = rtp_rx_lost(&m->rx);
	v->ended.foreign = m->foreign;
	v->ended.jitter_us = rtp_rx_jitter_us(&m->rx);
	v->ended.tone_hz = v->sink ? vp_media_heard_hz(v, m) : 0;
	vp_out(v, &(struct vphone_out){.kind = VP_OUT_RTP_CLOSE, .rtp_port = m->port});
	free(m->pcm);
	free(m);
	c->media = NULL;
}

/* 400 + 10 * the last two digits of the extension, unless `play` said otherwise. */
void vp_media_tone(struct vphone *v, struct vp_media *m)
{
	struct vp_call *c = vp_call_by_serial(v, m->call);
	uint16_t hz = v->tone_hz;
	if (hz == 0 && c && c->line < v->n_lines) {
		struct span u = span_z(v->lines[c->line].user);
		uint64_t n = 0;
		if (span_u64(span_sub(u, u.n > 2 ? u.n - 2 : 0, u.n), 99, &n) != 0)
			n = 0;
		hz = (uint16_t)(400 + 10 * n);
	}
	if (hz == UINT16_MAX)
		hz = 0;
	tone_init(&m->tone, 8000, (const uint16_t[2]){hz, 0}, hz ? -10 : -60, 0, 0);
}

static bool sending(const struct vphone *v, const struct vp_call *c)
{
	return c->media && c->answered && c->state != VPC_ENDING && c->media->have_remote && c->media->send && !c->hold_local && !v->rtp_silent;
}

void vp_media_update(struct vphone *v, struct vp_call *c)
{
	struct vp_media *m = c->media;
	if (!m)
		return;
	/* what the switch no longer passes on while we hold is no loss: the next packet begins a new run */
	if (c->hold_local && m->rx.begun) {
		m->rx.lost_before = rtp_rx_lost(&m->rx);
		m->rx.begun = false;
	}
	if (!sending(v, c)) {
		wheel_cancel(&v->wheel, &m->timer);
	} else if (!timer_is_set(&m->timer)) {
		m->next_us = v->now_us;
		wheel_set(&v->wheel, &m->timer, m->next_us);
	}
}

static void emit(struct vphone *v, struct vp_media *m, const struct rtp *h)
{
	uint8_t buf[RTP_HEADER_BYTES + FRAME];
	size_t n = rtp_write(h, buf, sizeof buf);
	if (!n)
		return;
	m->tx++;
	vp_out(v, &(struct vphone_out){.kind = VP_OUT_RTP, .rtp_port = m->port, .to = m->remote, .bytes = span_mem(buf, n)});
}

static void fill(struct vp_media *m, int16_t *pcm)
{
	if (!m->pcm) {
		tone_fill(&m->tone, pcm, FRAME);
		return;
	}
	for (size_t i = 0; i < FRAME; i++)
		pcm[i] = m->pcm_at < m->pcm_n ? m->pcm[m->pcm_at++] : 0;
	if (m->pcm_at == m->pcm_n) {
		free(m->pcm);
		m->pcm = NULL;
		m->pcm_n = m->pcm_at = 0;
	}
}

static void send_audio(struct vphone *v, struct vp_media *m)
{
	int16_t pcm[FRAME];
	uint8_t codes[FRAME];
	fill(m, pcm);
	audio_g711_encode(m->pt == RTP_PT_PCMA, pcm, FRAME, codes);
	emit(v, m, &(struct rtp){.pt = m->pt, .marker = m->tx == 0, .seq = m->seq++, .ts = m->ts, .ssrc = m->ssrc,
		.payload = span_mem(codes, FRAME)});
}

/* One packet of the event at the head of the queue (RFC 4733 2.5.1): a frame more each time, the end three times. */
static void send_event(struct vphone *v, struct vp_media *m)
{
	uint8_t body[4];
	bool first = m->dtmf_units == 0;
	if (first)
		m->dtmf_ts = m->ts;
	uint32_t units = (uint32_t)m->dtmf_units + FRAME;
	bool end = units >= DTMF_UNITS;
	m->dtmf_units = (uint16_t)(end ? DTMF_UNITS : units);
	rtp_event_write(&(struct rtp_event){.event = (uint8_t)rtp_event_of(m->dtmf[0]), .end = end, .volume_dbm0 = 15, .duration = m->dtmf_units}, body);
	/* tone.dtmf.level -15 (section 6.2) */
	emit(v, m, &(struct rtp){.pt = m->te_tx, .marker = first, .seq = m->seq++, .ts = m->dtmf_ts, .ssrc = m->ssrc, .payload = span_mem(body, 4)});
	if (end && ++m->dtmf_ends == DTMF_END_COPIES) {
		memmove(m->dtmf, m->dtmf + 1, sizeof m->dtmf - 1);
		m->dtmf_units = 0;
		m->dtmf_ends = 0;
		m->dtmf_gap = DTMF_GAP_TICKS;
	}
}

void vp_media_timer(struct vphone *v, struct vp_media *m)
{
	struct vp_call *c = vp_call_by_serial(v, m->call);
	if (!c || !sending(v, c))
		return;
	uint32_t step_ms = v->rtp_interval_ms;
	if (m->dtmf[0] && m->dtmf_gap == 0) {
		send_event(v, m);
		step_ms = 20;
	} else {
		send_audio(v, m);
		if (m->dtmf_gap)
			m->dtmf_gap--;
		if (m->dtmf[0])
			step_ms = 20;
	}
	m->ts += step_ms * 8;
	m->next_us += step_ms * 1000;
	if (m->next_us < v->now_us - LATE_MAX_US)
		m->next_us = v->now_us; /* the host slept: do not send a burst */
	wheel_set(&v->wheel, &m->timer, m->next_us);
}

void vp_media_dtmf(struct vphone *v, struct vp_call *c, struct span digits)
{
	struct vp_media *m = c->media;
	if (!m || m->te_tx == 0xff) {
		vp_event(v, "cannot-dtmf", "no telephone-event agreed");
		return;
	}
	size_t at = strlen(m->dtmf);
	for (size_t i = 0; i < digits.n && at + 1 < sizeof m->dtmf; i++)
		if (rtp_event_of(digits.p[i]) >= 0)
			m->dtmf[at++] = digits.p[i];
	m->dtmf[at] = 0;
	if (timer_is_set(&m->timer)) { /* a probe's next packet may be far */
		m->next_us = v->now_us;
		wheel_set(&v->wheel, &m->timer, m->next_us);
	}
}

static void hear(struct vphone *v, struct vp_media *m, const struct rtp *h)
{
	bool alaw = h->pt == RTP_PT_PCMA;
	int64_t pause = (int64_t)v->rtp_interval_ms * 2000 + 100000;
	if (alaw != m->heard_alaw || v->now_us - m->heard_us > pause)
		m->heard_n = m->heard_at = 0;
	m->heard_alaw = alaw;
	m->heard_us = v->now_us;
	for (size_t i = 0; i < h->payload.n && i < VP_HEARD; i++) {
		m->heard[m->heard_at] = (uint8_t)h->payload.p[i];
		m->heard_at = (uint16_t)((m->heard_at + 1) % VP_HEARD);
		if (m->heard_n < VP_HEARD)
			m->heard_n++;
	}
}

static void hear_event(struct vphone *v, struct vp_media *m, const struct rtp *h)
{
	struct rtp_event e;
	if (!vp_rule(v, "RFC4733-2.3", rtp_event_parse(h->payload, &e) == 0, "telephone-event of %zu bytes", h->payload.n))
		return;
	if (m->te_seen && m->te_last_ts == h->ts)
		return;
	m->te_seen = true;
	m->te_last_ts = h->ts;
	char d[2] = {rtp_event_char(e.event), 0};
	size_t n = strlen(v->dtmf_heard);
	if (!d[0])
		return;
	if (n + 1 == sizeof v->dtmf_heard) { /* keep the last ones */
		memmove(v->dtmf_heard, v->dtmf_heard + 1, n - 1);
		n--;
	}
	v->dtmf_heard[n] = d[0];
	v->dtmf_heard[n + 1] = 0;
	vp_event(v, "dtmf", "%s", d);
}

void vp_media_rtp(struct vphone *v, const struct vphone_in *in)
{
	struct vp_call *c = NULL;
	struct rtp h;
	for (int i = 0; i < VP_CALLS && v->calls[i] && !c; i++)
		if (v->calls[i]->media && v->calls[i]->media->port == in->rtp_port)
			c = v->calls[i];
	struct vp_media *m = c ? c->media : NULL;
	if (!m || !m->have_remote) /* RTCP comes to the odd port: not read */
		return;
	if (v->set.filter_ip && !addr_same_ip(&in->rtp_from, &m->remote)) {
		m->foreign++;
		/* a little of it comes when a call moves: voice is faster than its announcement */
		if (++m->foreign_run > FOREIGN_RUN)
			vp_rule(v, "T30.rtp-source", false, "RTP from another address than the SDP named");
		return;
	}
	m->foreign_run = 0;
	if (c->hold_local) /* nothing is listened to */
		return;
	if (!vp_rule(v, "RFC3550-5.1", rtp_parse(in->bytes, &h) == 0, "malformed RTP packet of %zu bytes", in->bytes.n))
		return;
	if (h.pt == m->te_rx && m->te_rx != 0xff) {
		(void)rtp_rx_packet(&m->rx, &h, 0, v->now_us);
		hear_event(v, m, &h);
		return;
	}
	if (h.pt == m->te_tx && m->te_tx != 0xff && m->te_tx != m->te_rx) {
		vp_rule(v, "T31.te-number", false, "telephone-event came as %u, described as %u", h.pt, m->te_rx);
		return;
	}
	if (!vp_rule(v, "RFC3264-8.3", h.pt == RTP_PT_PCMU || h.pt == RTP_PT_PCMA, "payload type %u was not negotiated", h.pt)) {
		m->wrong_pt++;
		return;
	}
	enum rtp_rx_result r = rtp_rx_packet(&m->rx, &h, 8000, v->now_us);
	if (r == RTP_RX_NEW)
		hear(v, m, &h);
}

int vp_media_heard_hz(const struct vphone *v, struct vp_media *m)
{
	int16_t pcm[VP_HEARD];
	if (m->heard_n == 0 || v->now_us - m->heard_us > (int64_t)v->rtp_interval_ms * 2000 + 100000)
		return 0;
	/* costly: once per packet, and in a probe once per ten */
	uint64_t since = m->rx.packets - m->tone_packets;
	if (m->tone_packets && since < (v->rtp_interval_ms > 100 ? 10 : 1))
		return m->tone_found;
	m->tone_packets = m->rx.packets;
	size_t from = (size_t)(m->heard_at + VP_HEARD - m->heard_n) % VP_HEARD;
	for (size_t i = 0; i < m->heard_n; i++) {
		uint8_t code = m->heard[(from + i) % VP_HEARD];
		pcm[i] = m->heard_alaw ? audio_alaw_decode(code) : audio_ulaw_decode(code);
	}
	m->tone_found = (int)(tone_dominant_hz(pcm, m->heard_n, 8000) + 0.5);
	return m->tone_found;
}

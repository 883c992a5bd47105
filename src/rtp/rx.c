#include "rtp/rtp.h"

enum { MAX_DROPOUT = 3000, MAX_MISORDER = 100, WINDOW = 64 };

static uint32_t run_expected(const struct rtp_rx *r)
{
	return r->begun ? r->max_ext - r->base_ext + 1 : 0;
}

static uint32_t run_lost(const struct rtp_rx *r)
{
	uint32_t expected = run_expected(r);
	return expected > r->unique ? expected - r->unique : 0;
}

uint64_t rtp_rx_lost(const struct rtp_rx *r)
{
	return r->lost_before + run_lost(r);
}

static void begin_run(struct rtp_rx *r, const struct rtp *h)
{
	r->lost_before += run_lost(r);
	r->begun = true;
	r->ssrc = h->ssrc;
	/* One cycle up, so that packets sent before the first one to arrive do not wrap below zero. */
	r->base_ext = r->max_ext = 0x10000u | h->seq;
	r->window = 1;
	r->unique = 1;
	r->bad_set = false;
	r->transit_set = false;
	r->reported_expected = r->reported_unique = 0;
}

static void jitter(struct rtp_rx *r, const struct rtp *h, uint32_t clock_hz, int64_t now_us)
{
	if (clock_hz == 0)
		return;
	int64_t transit = now_us - (int64_t)((uint64_t)h->ts * 1000000u / clock_hz);
	int64_t wrap = (int64_t)((UINT64_C(1) << 32) * 1000000u / clock_hz);
	int64_t d = transit - r->transit_us;
	bool first = !r->transit_set;
	r->transit_us = transit;
	r->transit_set = true;
	if (first)
		return;
	if (d > wrap / 2)
		d -= wrap;
	else if (d < -wrap / 2)
		d += wrap;
	if (d < 0)
		d = -d;
	/* A new talkspurt with another timestamp base is no jitter: 3 s is beyond any network's variation. */
	if (d > 3000000)
		return;
	int64_t j = (int64_t)r->jitter_x16_us + d - (((int64_t)r->jitter_x16_us + 8) >> 4);
	r->jitter_x16_us = (uint32_t)(j < 0 ? 0 : j);
	if (r->jitter_x16_us > r->max_jitter_x16_us)
		r->max_jitter_x16_us = r->jitter_x16_us;
}

static enum rtp_rx_result ahead(struct rtp_rx *r, uint16_t by)
{
	r->max_ext += by;
	r->window = by < WINDOW ? r->window << by | 1 : 1;
	r->unique++;
	return RTP_RX_NEW;
}

static enum rtp_rx_result behind(struct rtp_rx *r, uint16_t by)
{
	/* Beyond the window we cannot tell; a late packet counted twice would hide a loss, so it counts as a duplicate. */
	if (by >= WINDOW || (r->window >> by & 1)) {
		r->duplicates++;
		return RTP_RX_DUPLICATE;
	}
	r->window |= UINT64_C(1) << by;
	r->unique++;
	if (r->max_ext - by < r->base_ext)
		r->base_ext = r->max_ext - by;
	return RTP_RX_LATE;
}

static enum rtp_rx_result place(struct rtp_rx *r, const struct rtp *h)
{
	if (!r->begun || h->ssrc != r->ssrc) {
		begin_run(r, h);
		return RTP_RX_NEW;
	}
	uint16_t delta = (uint16_t)(h->seq - (uint16_t)r->max_ext);
	if (delta != 0 && delta < MAX_DROPOUT) {
		r->bad_set = false;
		return ahead(r, delta);
	}
	uint16_t back = (uint16_t)-delta;
	if (back <= MAX_MISORDER)
		return behind(r, back);
	if (r->bad_set && h->seq == r->bad_seq) {
		begin_run(r, h);
		/* The first packet of the jump was real as well. */
		r->base_ext--;
		r->unique++;
		r->window |= 2;
		return RTP_RX_NEW;
	}
	r->bad_seq = (uint16_t)(h->seq + 1);
	r->bad_set = true;
	return RTP_RX_JUMP;
}

enum rtp_rx_result rtp_rx_packet(struct rtp_rx *r, const struct rtp *h, uint32_t clock_hz, int64_t now_us)
{
	enum rtp_rx_result res = place(r, h);
	r->packets++;
	if (res == RTP_RX_NEW || res == RTP_RX_LATE)
		jitter(r, h, clock_hz, now_us);
	return res;
}

static uint8_t fraction_of(uint32_t lost, uint32_t expected)
{
	uint64_t f = expected ? (uint64_t)lost * 256 / expected : 0;
	return (uint8_t)(f > 255 ? 255 : f);
}

struct rtcp_block rtp_rx_block(struct rtp_rx *r, uint32_t clock_hz)
{
	uint32_t expected = run_expected(r);
	uint32_t d_expected = expected - r->reported_expected, d_unique = r->unique - r->reported_unique;
	uint32_t d_lost = d_expected > d_unique ? d_expected - d_unique : 0;
	uint64_t lost = run_lost(r);
	struct rtcp_block b = {
	        .ssrc = r->ssrc,
	        .fraction_lost = fraction_of(d_lost, d_expected),
	        .lost = (int32_t)(lost > 0x7fffff ? 0x7fffff : lost),
	        .max_ext_seq = r->max_ext - 0x10000u,
	        .jitter = (uint32_t)((uint64_t)rtp_rx_jitter_us(r) * clock_hz / 1000000u),
	};
	r->reported_expected = expected;
	r->reported_unique = r->unique;
	return b;
}

#include "rtp/rtp.h"

#include "rtp/bytes.h"

enum { BLOCK_BYTES = 24, SENDER_BYTES = 20 };

int rtcp_next(struct span *rest, struct rtcp *out)
{
	const uint8_t *p = (const uint8_t *)rest->p;
	struct span all = *rest;
	if (all.n == 0)
		return 0;
	*rest = SPAN_NONE;
	if (all.n < 4 || p[0] >> 6 != 2)
		return -1;
	size_t n = 4u + 4u * get16(p + 2), pad = 0;
	if (n > all.n)
		return -1;
	if (p[0] & 0x20) {
		pad = p[n - 1];
		if (pad == 0 || pad % 4 != 0 || pad > n - 4 || n != all.n)
			return -1;
	}
	*out = (struct rtcp){.type = p[1], .count = p[0] & 0x1f, .body = {all.p + 4, n - 4 - pad}};
	*rest = span_sub(all, n, all.n);
	return 1;
}

bool rtcp_valid(struct span compound)
{
	struct rtcp p;
	struct rtcp_sender s;
	bool first = true;
	int rc;
	while ((rc = rtcp_next(&compound, &p)) == 1) {
		if (first && p.type != RTCP_SR && p.type != RTCP_RR)
			return false;
		if ((p.type == RTCP_SR || p.type == RTCP_RR) && rtcp_sender(&p, &s) < 0)
			return false;
		first = false;
	}
	return rc == 0 && !first;
}

static size_t blocks_at(const struct rtcp *p)
{
	return 4u + (p->type == RTCP_SR ? SENDER_BYTES : 0u);
}

int rtcp_sender(const struct rtcp *p, struct rtcp_sender *out)
{
	const uint8_t *b = (const uint8_t *)p->body.p;
	if ((p->type != RTCP_SR && p->type != RTCP_RR) || p->body.n < blocks_at(p) + (size_t)p->count * BLOCK_BYTES)
		return -1;
	struct rtcp_sender s = {.ssrc = get32(b)};
	if (p->type == RTCP_SR) {
		s.ntp = (uint64_t)get32(b + 4) << 32 | get32(b + 8);
		s.rtp_ts = get32(b + 12);
		s.packets = get32(b + 16);
		s.octets = get32(b + 20);
	}
	*out = s;
	return 0;
}

int rtcp_block(const struct rtcp *p, unsigned i, struct rtcp_block *out)
{
	if ((p->type != RTCP_SR && p->type != RTCP_RR) || i >= p->count)
		return -1;
	size_t at = blocks_at(p) + (size_t)i * BLOCK_BYTES;
	if (p->body.n < at + BLOCK_BYTES)
		return -1;
	const uint8_t *b = (const uint8_t *)p->body.p + at;
	int32_t lost = (int32_t)(get32(b + 4) & 0xffffff);
	*out = (struct rtcp_block){.ssrc = get32(b), .fraction_lost = b[4], .lost = lost >= 0x800000 ? lost - 0x1000000 : lost,
	        .max_ext_seq = get32(b + 8), .jitter = get32(b + 12), .lsr = get32(b + 16), .dlsr = get32(b + 20)};
	return 0;
}

int rtcp_bye(const struct rtcp *p, unsigned i, uint32_t *ssrc)
{
	if (p->type != RTCP_BYE || i >= p->count || p->body.n < 4u * (i + 1u))
		return -1;
	*ssrc = get32((const uint8_t *)p->body.p + 4u * i);
	return 0;
}

static void put_head(uint8_t *p, unsigned count, uint8_t type, size_t bytes)
{
	p[0] = (uint8_t)(0x80 | count);
	p[1] = type;
	put16(p + 2, (uint16_t)(bytes / 4 - 1));
}

static void put_block(uint8_t *p, const struct rtcp_block *b)
{
	put32(p, b->ssrc);
	put32(p + 4, (uint32_t)b->lost & 0xffffff);
	p[4] = b->fraction_lost;
	put32(p + 8, b->max_ext_seq);
	put32(p + 12, b->jitter);
	put32(p + 16, b->lsr);
	put32(p + 20, b->dlsr);
}

static size_t put_sdes(uint8_t *p, uint32_t ssrc, struct span cname)
{
	/* Item list ends with at least one zero byte, padded to a word. */
	size_t bytes = (8 + 2 + cname.n + 1 + 3) & ~(size_t)3;
	memset(p, 0, bytes);
	put_head(p, 1, RTCP_SDES, bytes);
	put32(p + 4, ssrc);
	p[8] = 1;
	p[9] = (uint8_t)cname.n;
	memcpy(p + 10, cname.p, cname.n);
	return bytes;
}

size_t rtcp_write(const struct rtcp_report *r, void *dst, size_t cap)
{
	uint8_t *p = dst;
	if (r->n_blocks > RTCP_MAX_BLOCKS || r->cname.n > 255)
		return 0;
	size_t report = 8 + (r->is_sr ? (size_t)SENDER_BYTES : 0) + (size_t)r->n_blocks * BLOCK_BYTES;
	size_t need = report + (r->cname.n ? (8 + 2 + r->cname.n + 1 + 3) & ~(size_t)3 : 0) + (r->bye ? 8 : 0);
	if (need > cap)
		return 0;
	put_head(p, r->n_blocks, r->is_sr ? RTCP_SR : RTCP_RR, report);
	put32(p + 4, r->sender.ssrc);
	size_t at = 8;
	if (r->is_sr) {
		put32(p + 8, (uint32_t)(r->sender.ntp >> 32));
		put32(p + 12, (uint32_t)r->sender.ntp);
		put32(p + 16, r->sender.rtp_ts);
		put32(p + 20, r->sender.packets);
		put32(p + 24, r->sender.octets);
		at += SENDER_BYTES;
	}
	for (unsigned i = 0; i < r->n_blocks; i++, at += BLOCK_BYTES)
		put_block(p + at, &r->blocks[i]);
	if (r->cname.n)
		at += put_sdes(p + at, r->sender.ssrc, r->cname);
	if (r->bye) {
		put_head(p + at, 1, RTCP_BYE, 8);
		put32(p + at + 4, r->sender.ssrc);
		at += 8;
	}
	return at;
}

uint32_t rtcp_rtt_us(const struct rtcp_block *b, uint64_t ntp_now)
{
	if (b->lsr == 0)
		return 0;
	uint32_t d = (uint32_t)(ntp_now >> 16) - b->lsr - b->dlsr;
	if (d > 10u * 65536u)
		return 0;
	return (uint32_t)((uint64_t)d * 1000000u >> 16);
}

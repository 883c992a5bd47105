#include "rtp/rtp.h"

#include "rtp/bytes.h"

int rtp_parse(struct span b, struct rtp *out)
{
	const uint8_t *p = (const uint8_t *)b.p;
	if (b.n < RTP_HEADER_BYTES || p[0] >> 6 != 2)
		return -1;
	struct rtp h = {.pt = p[1] & 0x7f, .marker = p[1] >> 7, .seq = get16(p + 2), .ts = get32(p + 4), .ssrc = get32(p + 8)};
	if (h.pt >= 64 && h.pt <= 95)
		return -1;
	h.n_csrc = p[0] & 0x0f;
	size_t at = RTP_HEADER_BYTES + 4u * h.n_csrc, end = b.n;
	if (at > end)
		return -1;
	if (p[0] & 0x10) {
		if (end - at < 4)
			return -1;
		size_t n = 4u * get16(p + at + 2);
		if (end - at - 4 < n)
			return -1;
		h.ext_profile = get16(p + at);
		h.ext = (struct span){b.p + at + 4, n};
		at += 4 + n;
	}
	if (p[0] & 0x20) {
		size_t pad = end > at ? p[end - 1] : 0;
		if (pad == 0 || pad > end - at)
			return -1;
		end -= pad;
	}
	h.payload = (struct span){b.p + at, end - at};
	*out = h;
	return 0;
}

size_t rtp_write(const struct rtp *h, void *dst, size_t cap)
{
	uint8_t *p = dst;
	if (cap < RTP_HEADER_BYTES || h->payload.n > cap - RTP_HEADER_BYTES)
		return 0;
	p[0] = 0x80;
	p[1] = (uint8_t)((h->marker ? 0x80 : 0) | (h->pt & 0x7f));
	put16(p + 2, h->seq);
	put32(p + 4, h->ts);
	put32(p + 8, h->ssrc);
	if (h->payload.n)
		memmove(p + RTP_HEADER_BYTES, h->payload.p, h->payload.n);
	return RTP_HEADER_BYTES + h->payload.n;
}

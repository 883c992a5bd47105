#include "rtp/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses lies inside the datagram and, written again without its extras, says the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[70000];
	struct rtp h, g;
	struct rtp_rx rx = {0};
	if (size > 65535 || rtp_parse(span_mem(data, size), &h) < 0)
		return 0;
	INVARIANT(h.payload.p >= (const char *)data && h.payload.p + h.payload.n <= (const char *)data + size);
	INVARIANT(h.ext.n == 0 || (h.ext.p >= (const char *)data && h.ext.p + h.ext.n <= (const char *)data + size));
	size_t n = rtp_write(&h, again, sizeof again);
	INVARIANT(n == RTP_HEADER_BYTES + h.payload.n && rtp_parse(span_mem(again, n), &g) == 0);
	INVARIANT(g.pt == h.pt && g.seq == h.seq && g.ts == h.ts && g.ssrc == h.ssrc && span_eq(g.payload, h.payload));
	/* The payload as a stream of sequence numbers and times: the tracker's sums stay sound. */
	for (size_t i = 0; i + 4 <= h.payload.n; i += 4) {
		const uint8_t *p = (const uint8_t *)h.payload.p + i;
		g.seq = (uint16_t)(p[0] << 8 | p[1]);
		g.ts = (uint32_t)p[2] << 24 | (uint32_t)p[3] << 8;
		(void)rtp_rx_packet(&rx, &g, 8000, (int64_t)i * 5000);
		INVARIANT(rx.unique <= rx.max_ext - rx.base_ext + 1);
	}
	return 0;
}

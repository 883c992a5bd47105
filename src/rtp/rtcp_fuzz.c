#include "rtp/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_mem(data, size);
	bool valid = rtcp_valid(rest);
	struct rtcp p;
	struct rtcp_sender s;
	struct rtcp_block b;
	uint32_t ssrc;
	int rc;
	while ((rc = rtcp_next(&rest, &p)) == 1) {
		INVARIANT(p.body.p >= (const char *)data && p.body.p + p.body.n <= (const char *)data + size);
		bool report = p.type == RTCP_SR || p.type == RTCP_RR;
		int sound = rtcp_sender(&p, &s);
		INVARIANT(!valid || !report || sound == 0);
		for (unsigned i = 0; i < 33; i++) {
			INVARIANT(rtcp_block(&p, i, &b) < 0 || (report && i < p.count));
			INVARIANT(rtcp_bye(&p, i, &ssrc) < 0 || (p.type == RTCP_BYE && i < p.count));
		}
	}
	INVARIANT(!valid || rc == 0);
	struct span ev = span_mem(data, size);
	struct rtp_event e;
	if (rtp_event_parse(ev, &e) == 0)
		(void)rtp_event_char(e.event);
	return 0;
}

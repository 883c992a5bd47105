/* Refer-To and Replaces. */
#include "sip/msg/refer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct span s, const void *p, size_t n)
{
	if (s.n && (s.p < (const char *)p || s.p + s.n > (const char *)p + n))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char buf[4096];
	struct sip_replaces r;
	struct sip_msg m;
	struct sip_error err;
	struct sip_refer f;
	if (sip_replaces_parse(span_mem(data, size), &r) == 0) {
		inside(r.call_id, data, size);
		inside(r.to_tag, data, size);
		if (!r.call_id.n || !r.to_tag.n || !r.from_tag.n)
			abort();
	}
	struct text t = TEXT_ARRAY(buf);
	text_lit(&t, "REFER sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\n"
			"CSeq: 1 REFER\r\nRefer-To: ");
	text_put(&t, span_mem(data, size));
	text_lit(&t, "\r\nContent-Length: 0\r\n\r\n");
	if (t.over || sip_parse(&m, text_span(&t), &err) || sip_refer_read(&m, &f) || !f.has_replaces)
		return 0;
	inside(f.replaces.call_id, f.buf, sizeof f.buf);
	inside(f.replaces.from_tag, f.buf, sizeof f.buf);
	return 0;
}

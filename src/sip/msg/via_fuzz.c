/* One Via value: what is read lies within it, reads the same again from its parts, and a shorter copy is never overrun. */
#include "base/assert.h"
#include "sip/msg/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct span all, struct span part)
{
	INVARIANT(part.n == 0 || (part.p >= all.p && part.p + part.n <= all.p + all.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sip_via v, again;
	struct span s = span_mem(data, size);
	if (sip_via_parse(s, &v) < 0)
		return 0;
	within(s, v.value);
	within(s, v.transport);
	within(s, v.host);
	within(s, v.branch);
	within(s, v.received);
	within(s, v.params);
	INVARIANT(v.transport.n && v.host.n);
	char buf[70000];
	struct text t = TEXT_ARRAY(buf);
	text_fmt(&t, "SIP/2.0/%.*s %.*s", (int)v.transport.n, v.transport.p, (int)v.host.n, v.host.p);
	if (v.port)
		text_fmt(&t, ":%u", v.port);
	text_put(&t, v.params);
	if (t.over)
		return 0;
	INVARIANT(sip_via_parse(text_span(&t), &again) == 0);
	INVARIANT(span_eq(again.transport, v.transport) && span_eq(again.host, v.host) && again.port == v.port);
	INVARIANT(span_eq(again.branch, v.branch) && span_eq(again.received, v.received) && again.has_rport == v.has_rport && again.rport == v.rport);
	return 0;
}

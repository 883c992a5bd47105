/* URIs, name-addr, Via and parameters. */
#include "sip/msg/msg.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char buf[512];
	struct span all = span_mem(data, size), left, right, name, value;
	struct sip_uri u, v;
	struct sip_nameaddr a;
	struct sip_via via;
	struct addr ip;
	right = all;
	left = span_cut(&right, '\n'); /* two URIs, one to a line */
	if (sip_uri_parse(left, &u) == 0) {
		if (u.scheme != SIP_SCHEME_OTHER && !sip_uri_equal(&u, &u))
			abort();
		if (sip_uri_parse(right, &v) == 0 && sip_uri_equal(&u, &v) != sip_uri_equal(&v, &u))
			abort();
		struct span plain = sip_unescape(u.user, buf, sizeof buf);
		struct text t = text_on((char[1600]){0}, 1600);
		sip_escape_user(&t, plain);
		char again[512];
		struct span back = sip_unescape(text_span(&t), again, sizeof again);
		if (plain.p && !t.over && (!back.p || !span_eq(back, plain)))
			abort();
		if (sip_uri_addr(&u, 5060, &ip) == 0 && ip.family == 0)
			abort();
		if (sip_param(u.params, "transport", &value) && value.n > size)
			abort();
	}
	if (sip_nameaddr_parse(all, &a) == 0 && sip_display(&a, buf, sizeof buf).n > sizeof buf)
		abort();
	if (sip_via_parse(all, &via) == 0 && via.host.n == 0)
		abort();
	for (struct span rest = all; sip_param_next(&rest, &name, &value) == 1;)
		if (name.n == 0)
			abort();
	return 0;
}

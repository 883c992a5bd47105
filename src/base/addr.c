#include "base/addr.h"

#include "base/text.h"

#include <arpa/inet.h>

int addr_parse(struct span s, uint16_t port, struct addr *out)
{
	char z[INET6_ADDRSTRLEN + 2];
	struct addr a = {.port = port};
	if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
		s = span_sub(s, 1, s.n - 1);
		if (span_chr(s, ':') < 0)
			return -1;
	}
	if (!span_copyz(s, z, sizeof z))
		return -1;
	if (inet_pton(AF_INET, z, a.ip) == 1)
		a.family = 4;
	else if (inet_pton(AF_INET6, z, a.ip) == 1)
		a.family = 6;
	else
		return -1;
	*out = a;
	return 0;
}

int addr_parse_port(struct span s, struct addr *out)
{
	size_t colon = s.n;
	uint64_t port;
	while (colon > 0 && s.p[colon - 1] != ':')
		colon--;
	if (colon == 0 || span_u64(span_sub(s, colon, s.n), UINT16_MAX, &port) != 0 || port == 0)
		return -1;
	struct span host = span_sub(s, 0, colon - 1);
	if (span_chr(host, ':') >= 0 && host.p[0] != '[')
		return -1; /* the port of a bare IPv6 address is not to be told from its last word */
	return addr_parse(host, (uint16_t)port, out);
}

void addr_put_ip(struct text *t, const struct addr *a)
{
	char z[INET6_ADDRSTRLEN];
	if (a->family == 4) {
		for (int i = 0; i < 4; i++) {
			if (i)
				text_putc(t, '.');
			text_u64(t, a->ip[i]);
		}
	} else if (a->family == 6 && inet_ntop(AF_INET6, a->ip, z, sizeof z)) {
		text_z(t, z);
	} else {
		text_lit(t, "-");
	}
}

void addr_put_host(struct text *t, const struct addr *a)
{
	if (a->family == 6)
		text_putc(t, '[');
	addr_put_ip(t, a);
	if (a->family == 6)
		text_putc(t, ']');
}

void addr_put(struct text *t, const struct addr *a)
{
	addr_put_host(t, a);
	text_putc(t, ':');
	text_u64(t, a->port);
}

#include "sip/msg/uri.h"

#include "sip/msg/cclass.h"

static enum sip_scheme scheme_of(struct span s)
{
	if (s.n == 3 && (s.p[0] | 0x20) == 's' && span_ieq(s, SPAN_LIT("sip")))
		return SIP_SCHEME_SIP;
	if (s.n == 4 && span_ieq(s, SPAN_LIT("sips")))
		return SIP_SCHEME_SIPS;
	if (s.n == 3 && span_ieq(s, SPAN_LIT("tel")))
		return SIP_SCHEME_TEL;
	return SIP_SCHEME_OTHER;
}

/* ";params" and "?headers" behind the host; s is empty or begins with one of the two. */
static int parse_tail(struct span s, struct sip_uri *u)
{
	if (s.n == 0)
		return 0;
	if ((s.p[0] != ';' && s.p[0] != '?') || !cc_all(CC_URITAIL, s) || !escapes_ok(s))
		return -1;
	ptrdiff_t q = span_chr(s, '?');
	u->params = q < 0 ? s : span_sub(s, 0, (size_t)q);
	if (q >= 0)
		u->headers = span_sub(s, (size_t)q, s.n);
	return 0;
}

static int parse_port(struct span *s, uint16_t *port)
{
	uint32_t v = 0;
	size_t i = 1;
	for (; i < s->n && ascii_digit(s->p[i]); i++) {
		v = v * 10 + (uint32_t)(s->p[i] - '0');
		if (v > 65535)
			return -1;
	}
	if (i == 1)
		return -1;
	*port = (uint16_t)v;
	span_drop(s, i);
	return 0;
}

static int parse_sip(struct span s, struct sip_uri *u)
{
	const char *at = s.n ? memchr(s.p, '@', s.n) : NULL;
	if (at) {
		struct span info = {s.p, (size_t)(at - s.p)};
		size_t n = cc_span(CC_USER, info);
		u->user = span_sub(info, 0, n);
		if (n < info.n) {
			u->password = span_sub(info, n + 1, info.n);
			if (info.p[n] != ':' || !cc_all(CC_PASSWORD, u->password))
				return -1;
		}
		if (n == 0 || !escapes_ok(info))
			return -1;
		span_drop(&s, info.n + 1);
	}
	size_t h;
	if (s.n && s.p[0] == '[') {
		struct addr ignored;
		ptrdiff_t end = span_chr(s, ']');
		h = end < 0 ? 0 : (size_t)end + 1;
		if (h == 0 || addr_parse(span_sub(s, 0, h), 0, &ignored) < 0)
			return -1;
	} else {
		h = cc_span(CC_HOST, s);
	}
	if (h == 0)
		return -1;
	u->host = span_sub(s, 0, h);
	span_drop(&s, h);
	if (s.n && s.p[0] == ':' && parse_port(&s, &u->port) < 0)
		return -1;
	return parse_tail(s, u);
}

static int parse_tel(struct span s, struct sip_uri *u)
{
	size_t n = cc_span(CC_TEL, s);
	if (n == 0)
		return -1;
	u->user = span_sub(s, 0, n);
	return parse_tail(span_sub(s, n, s.n), u);
}

int sip_uri_parse(struct span s, struct sip_uri *out)
{
	struct sip_uri u = {.all = s};
	size_t n = cc_span(CC_SCHEME, s);
	if (n == 0 || n + 1 >= s.n || s.p[n] != ':' || !ascii_alpha(s.p[0]))
		return -1;
	u.scheme_name = span_sub(s, 0, n);
	u.scheme = scheme_of(u.scheme_name);
	span_drop(&s, n + 1);
	int rc = 0;
	switch (u.scheme) {
	case SIP_SCHEME_SIP:
	case SIP_SCHEME_SIPS: rc = parse_sip(s, &u); break;
	case SIP_SCHEME_TEL: rc = parse_tel(s, &u); break;
	case SIP_SCHEME_OTHER: rc = cc_all(CC_OPAQUE, s) ? 0 : -1; break;
	}
	if (rc == 0)
		*out = u;
	return rc;
}

int sip_param_next(struct span *rest, struct span *name, struct span *value)
{
	struct span s = *rest;
	skip_lws(&s);
	if (s.n == 0) {
		*rest = s;
		return 0;
	}
	if (s.p[0] == ';') {
		span_drop(&s, 1);
		skip_lws(&s);
	}
	size_t n = cc_span(CC_PNAME, s);
	if (n == 0)
		return -1;
	*name = span_sub(s, 0, n);
	*value = SPAN_NONE;
	span_drop(&s, n);
	skip_lws(&s);
	if (s.n && s.p[0] == '=') {
		span_drop(&s, 1);
		skip_lws(&s);
		n = s.n && s.p[0] == '"' ? quoted_len(s) : cc_span(CC_PARAM, s);
		if (n == 0)
			return -1;
		*value = span_sub(s, 0, n);
		span_drop(&s, n);
		skip_lws(&s);
	}
	if (s.n && s.p[0] != ';')
		return -1;
	*rest = s;
	return 1;
}

bool sip_param(struct span params, const char *name, struct span *value)
{
	struct span n, v, want = span_z(name);
	while (sip_param_next(&params, &n, &v) == 1) {
		if (n.n == want.n && span_ieq(n, want)) {
			*value = v;
			return true;
		}
	}
	return false;
}

struct span sip_unescape(struct span s, char *dst, size_t cap)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '%') {
			int hi = i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1, lo = i + 2 < s.n ? ascii_hex(s.p[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return SPAN_NONE;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if (c == 0 || n == cap)
			return SPAN_NONE;
		dst[n++] = c;
	}
	return (struct span){dst, n};
}

void sip_escape_user(struct text *t, struct span s)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (cc_has(CC_USERKEEP, s.p[i])) {
			text_putc(t, s.p[i]);
		} else {
			text_putc(t, '%');
			text_putc(t, hex[c >> 4]);
			text_putc(t, hex[c & 15]);
		}
	}
}

int sip_uri_addr(const struct sip_uri *u, uint16_t default_port, struct addr *out)
{
	if (u->host.n == 0)
		return -1;
	return addr_parse(u->host, u->port ? u->port : default_port, out);
}

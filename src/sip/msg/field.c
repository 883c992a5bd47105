/* The structured header fields: lists, name-addr, Via, Contact. */
#include "sip/msg/cclass.h"
#include "sip/msg/msg.h"

/* Bytes of the list element at s: to the comma that is not within quotes or <>. */
static size_t element_len(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		i += cc_span(CC_PLAIN, (struct span){s.p + i, s.n - i});
		if (i == s.n || s.p[i] == ',')
			return i;
		if (s.p[i] == '"') {
			size_t q = quoted_len((struct span){s.p + i, s.n - i});
			if (q == 0)
				return s.n;
			i += q - 1;
		} else {
			const char *gt = memchr(s.p + i, '>', s.n - i);
			if (!gt)
				return s.n;
			i = (size_t)(gt - s.p);
		}
	}
	return s.n;
}

bool sip_list_next(struct span *rest, struct span *item)
{
	while (rest->n) {
		size_t n = element_len(*rest);
		struct span s = span_trim(span_sub(*rest, 0, n));
		*rest = n < rest->n ? span_sub(*rest, n + 1, rest->n) : SPAN_NONE;
		if (s.n) {
			*item = s;
			return true;
		}
	}
	return false;
}

bool sip_has_token(const struct sip_msg *m, enum sip_hdr_id id, const char *token)
{
	struct span item, want = span_z(token);
	for (const struct sip_hdr *h = sip_hdr(m, id); h; h = sip_hdr_next(m, h)) {
		struct span rest = h->value;
		while (sip_list_next(&rest, &item))
			if (span_ieq(item, want))
				return true;
	}
	return false;
}

bool sip_unknown_token(const struct sip_msg *m, enum sip_hdr_id id, const char *const *known, struct span *out)
{
	struct span item;
	for (const struct sip_hdr *h = sip_hdr(m, id); h; h = sip_hdr_next(m, h)) {
		struct span rest = h->value;
		while (sip_list_next(&rest, &item)) {
			size_t i = 0;
			while (known[i] && !span_ieqz(item, known[i]))
				i++;
			if (!known[i]) {
				*out = item;
				return true;
			}
		}
	}
	return false;
}

/* Whether a header parameter is well formed: token, then nothing, a quoted string or token and host characters. */
static bool param_ok(struct span name, struct span value)
{
	if (!cc_all(CC_TOKEN, name))
		return false;
	if (!value.n || value.p[0] == '"')
		return true;
	for (size_t i = cc_span(CC_PVALUE, value); i < value.n; i++)
		if (!cc_has(CC_PVALUE, value.p[i]) && (unsigned char)value.p[i] < 128)
			return false;
	return true;
}

/* Unquoted display name: tokens and space. Bytes above ASCII are let pass: phones send names as they were typed in. */
static bool display_ok(struct span d)
{
	for (size_t i = 0; i < d.n; i++)
		if (!cc_has(CC_TOKEN, d.p[i]) && !cc_lws(d.p[i]) && (unsigned char)d.p[i] < 128)
			return false;
	return true;
}

static int nameaddr_params(struct span s, struct sip_nameaddr *a)
{
	struct span rest, name, value;
	skip_lws(&s);
	if (s.n == 0)
		return 0;
	if (s.p[0] != ';')
		return -1;
	a->params = rest = s;
	int rc, tags = 0;
	while ((rc = sip_param_next(&rest, &name, &value)) == 1) {
		if (!param_ok(name, value))
			return -1;
		if (name.n == 3 && span_ieq(name, SPAN_LIT("tag"))) {
			if (tags++ || !value.n)
				return -1; /* RFC 3261 7.3.1: once only; two readers would take two dialogs */
			a->tag = value;
		}
	}
	return rc;
}

/* URI without <>: it ends at the first semicolon, and must hold no comma or question mark (RFC 3261 20). */
static int bare_uri(struct span s, struct sip_nameaddr *a)
{
	size_t n = 0;
	while (n < s.n && s.p[n] != ';' && !cc_lws(s.p[n])) {
		if (s.p[n] == '?' || s.p[n] == ',')
			return -1;
		n++;
	}
	if (sip_uri_parse(span_sub(s, 0, n), &a->uri) < 0)
		return -1;
	return nameaddr_params(span_sub(s, n, s.n), a);
}

int sip_nameaddr_parse(struct span value, struct sip_nameaddr *out)
{
	struct span s = span_trim(value);
	struct sip_nameaddr a = {.value = s};
	if (s.n == 0)
		return -1;
	if (s.n == 1 && s.p[0] == '*') {
		a.star = true;
		*out = a;
		return 0;
	}
	if (s.p[0] == '"') {
		size_t n = quoted_len(s);
		if (n == 0)
			return -1;
		a.display = span_sub(s, 0, n);
		span_drop(&s, n);
		skip_lws(&s);
		if (s.n == 0 || s.p[0] != '<')
			return -1;
	}
	ptrdiff_t lt = span_chr(s, '<'), semicolon = span_chr(s, ';');
	if (lt < 0 || (semicolon >= 0 && semicolon < lt)) { /* no display name holds a semicolon: the < is in a parameter */
		if (bare_uri(s, &a) < 0)
			return -1;
	} else {
		if (lt > 0) {
			a.display = span_trim(span_sub(s, 0, (size_t)lt));
			if (!display_ok(a.display))
				return -1;
			span_drop(&s, (size_t)lt);
		}
		ptrdiff_t gt = span_chr(s, '>');
		if (gt < 0 || sip_uri_parse(span_sub(s, 1, (size_t)gt), &a.uri) < 0 ||
		    nameaddr_params(span_sub(s, (size_t)gt + 1, s.n), &a) < 0)
			return -1;
	}
	*out = a;
	return 0;
}

/* "SIP / 2.0 / transport LWS" at the start of s; the grammar lets name and version be any token. */
static int via_protocol(struct span *s, struct span *transport)
{
	for (int part = 0; part < 3; part++) {
		size_t n = cc_span(CC_TOKEN, *s);
		struct span word = span_sub(*s, 0, n);
		if (n == 0)
			return -1;
		span_drop(s, n);
		size_t before = s->n;
		skip_lws(s);
		if (part == 2) {
			*transport = word;
			return before > s->n ? 0 : -1;
		}
		if (s->n == 0 || s->p[0] != '/')
			return -1;
		span_drop(s, 1);
		skip_lws(s);
	}
	return -1;
}

static int via_sent_by(struct span *s, struct sip_via *v)
{
	size_t n;
	uint64_t port;
	if (s->n && s->p[0] == '[') {
		struct addr ignored;
		ptrdiff_t end = span_chr(*s, ']');
		n = end < 0 ? 0 : (size_t)end + 1;
		if (n == 0 || addr_parse(span_sub(*s, 0, n), 0, &ignored) < 0)
			return -1;
	} else {
		n = cc_span(CC_HOST, *s);
	}
	if (n == 0)
		return -1;
	v->host = span_sub(*s, 0, n);
	span_drop(s, n);
	skip_lws(s);
	if (s->n && s->p[0] == ':') {
		span_drop(s, 1);
		skip_lws(s);
		for (n = 0; n < s->n && ascii_digit(s->p[n]); n++)
			;
		if (span_u64(span_sub(*s, 0, n), 65535, &port) < 0)
			return -1;
		v->port = (uint16_t)port;
		span_drop(s, n);
		skip_lws(s);
	}
	return 0;
}

static int via_param(struct sip_via *v, struct span name, struct span value)
{
	uint64_t port;
	if (!param_ok(name, value))
		return -1;
	if (name.n == 6 && span_ieq(name, SPAN_LIT("branch"))) {
		if (v->branch.n || !value.n)
			return -1; /* RFC 3261 7.3.1: once only; two readers would take two transactions */
		v->branch = value;
	} else if (name.n == 8 && span_ieq(name, SPAN_LIT("received"))) {
		v->received = value;
	} else if (name.n == 5 && span_ieq(name, SPAN_LIT("rport"))) {
		if (value.n && span_u64(value, 65535, &port) < 0)
			return -1;
		v->has_rport = true;
		v->rport = value.n ? (uint16_t)port : 0;
	}
	return 0;
}

int sip_via_parse(struct span value, struct sip_via *out)
{
	struct span s = span_trim(value), name, val;
	struct sip_via v = {.value = s};
	if (via_protocol(&s, &v.transport) < 0 || via_sent_by(&s, &v) < 0)
		return -1;
	if (s.n) {
		if (s.p[0] != ';')
			return -1;
		v.params = s;
		int rc;
		while ((rc = sip_param_next(&s, &name, &val)) == 1)
			if (via_param(&v, name, val) < 0)
				return -1;
		if (rc < 0)
			return -1;
	}
	*out = v;
	return 0;
}

int sip_contact_next(const struct sip_msg *m, enum sip_hdr_id id, struct sip_contact_iter *it, struct sip_nameaddr *out)
{
	struct span item;
	if (!it->started) {
		it->started = true;
		it->h = sip_hdr(m, id);
		it->rest = it->h ? it->h->value : SPAN_NONE;
	}
	while (it->h) {
		if (sip_list_next(&it->rest, &item))
			return sip_nameaddr_parse(item, out) < 0 || (out->star && item.n < it->h->value.n) ? -1 : 1;
		it->h = sip_hdr_next(m, it->h);
		it->rest = it->h ? it->h->value : SPAN_NONE;
	}
	return 0;
}

int64_t sip_expires(const struct sip_msg *m)
{
	uint64_t v;
	const struct sip_hdr *h = sip_hdr(m, SIP_H_EXPIRES);
	if (!h)
		return -1;
	return span_u64(h->value, UINT32_MAX, &v) < 0 ? -2 : (int64_t)v;
}

struct span sip_display(const struct sip_nameaddr *a, char *dst, size_t cap)
{
	struct span s = a->display;
	bool quoted = s.n >= 2 && s.p[0] == '"';
	size_t n = 0;
	if (quoted)
		s = span_sub(s, 1, s.n - 1);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (quoted && c == '\\' && i + 1 < s.n)
			c = s.p[++i];
		if (c == '\r' || c == '\n')
			continue; /* folding; the space behind it stays */
		if (n == cap) {
			if (((unsigned char)c & 0xc0) != 0x80)
				break;
			/* Never half a character of UTF-8. */
			while (n && ((unsigned char)dst[n - 1] & 0xc0) == 0x80)
				n--;
			if (n && (unsigned char)dst[n - 1] >= 0xc0)
				n--;
			break;
		}
		dst[n++] = c;
	}
	return (struct span){dst, n};
}

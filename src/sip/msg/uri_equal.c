/* Equality of URIs, apart from their parsing (RFC 3261 19.1.4). */
#include "sip/msg/cclass.h"
#include "sip/msg/uri.h"

/* The comparison of parameters is quadratic: what is longer than any honest URI is compared byte by byte. */
enum { LONGEST = 1024 };

/* Next character with its escape undone; -1 at the end. An escaped reserved character is not the bare one
 * (RFC 3261 19.1.4), so it is told apart by bit 8. */
static int next_char(struct span *s, bool fold)
{
	if (s->n == 0)
		return -1;
	char c = s->p[0];
	if (c == '%' && s->n >= 3 && ascii_hex(s->p[1]) >= 0 && ascii_hex(s->p[2]) >= 0) {
		c = (char)(ascii_hex(s->p[1]) << 4 | ascii_hex(s->p[2]));
		span_drop(s, 3);
		if (cc_has(CC_RESERVED, c) || c == '%')
			return (unsigned char)c | 0x100;
	} else {
		span_drop(s, 1);
	}
	return (unsigned char)(fold ? ascii_lower(c) : c);
}

static bool same_text(struct span a, struct span b, bool fold)
{
	for (;;) {
		int x = next_char(&a, fold), y = next_char(&b, fold);
		if (x != y)
			return false;
		if (x < 0)
			return true;
	}
}

static bool must_be_in_both(struct span name)
{
	return span_ieq(name, SPAN_LIT("user")) || span_ieq(name, SPAN_LIT("ttl")) || span_ieq(name, SPAN_LIT("method")) ||
	       span_ieq(name, SPAN_LIT("maddr")) || span_ieq(name, SPAN_LIT("transport"));
}

static bool find_param(struct span params, struct span name, struct span *value)
{
	struct span n;
	while (sip_param_next(&params, &n, value) == 1)
		if (same_text(n, name, true))
			return true;
	return false;
}

/* Every parameter of a agrees with b's of that name; those of the short list must be there. */
static bool params_agree(struct span a, struct span b)
{
	struct span name, value, other;
	while (sip_param_next(&a, &name, &value) == 1) {
		if (find_param(b, name, &other)) {
			if (!same_text(value, other, true))
				return false;
		} else if (must_be_in_both(name)) {
			return false;
		}
	}
	return true;
}

static struct span next_header(struct span *s)
{
	size_t n = 0;
	if (s->n && (s->p[0] == '?' || s->p[0] == '&'))
		span_drop(s, 1);
	while (n < s->n && s->p[n] != '&')
		n++;
	struct span h = span_sub(*s, 0, n);
	*s = span_sub(*s, n, s->n);
	return h;
}

/* Every header of a stands in b too. */
static bool headers_within(struct span a, struct span b)
{
	while (a.n) {
		struct span h = next_header(&a), rest = b;
		bool found = false;
		while (rest.n && !found)
			found = same_text(next_header(&rest), h, true);
		if (!found)
			return false;
	}
	return true;
}

static bool tel_separator(char c)
{
	return c == '-' || c == '.' || c == '(' || c == ')';
}

/* RFC 3966 section 5: separators do not count. */
static bool same_number(struct span a, struct span b)
{
	for (;;) {
		while (a.n && tel_separator(a.p[0]))
			span_drop(&a, 1);
		while (b.n && tel_separator(b.p[0]))
			span_drop(&b, 1);
		if (a.n == 0 || b.n == 0)
			return a.n == b.n;
		if (ascii_lower(a.p[0]) != ascii_lower(b.p[0]))
			return false;
		span_drop(&a, 1);
		span_drop(&b, 1);
	}
}

bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b)
{
	if (a->scheme != b->scheme)
		return false;
	/* Also what breaks the rules (a parameter twice) is equal to itself. */
	if (span_eq(a->all, b->all))
		return true;
	if (a->all.n > LONGEST || b->all.n > LONGEST)
		return false;
	switch (a->scheme) {
	case SIP_SCHEME_OTHER:
		return span_ieq(a->scheme_name, b->scheme_name) &&
		       span_eq(span_sub(a->all, a->scheme_name.n, a->all.n), span_sub(b->all, b->scheme_name.n, b->all.n));
	case SIP_SCHEME_TEL:
		return same_number(a->user, b->user) && params_agree(a->params, b->params) && params_agree(b->params, a->params);
	case SIP_SCHEME_SIP:
	case SIP_SCHEME_SIPS:
		break;
	}
	return a->port == b->port && same_text(a->user, b->user, false) && same_text(a->password, b->password, false) &&
	       span_ieq(a->host, b->host) && params_agree(a->params, b->params) && params_agree(b->params, a->params) &&
	       headers_within(a->headers, b->headers) && headers_within(b->headers, a->headers);
}

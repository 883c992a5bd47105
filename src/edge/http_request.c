#include "edge/http_request.h"

static struct span without_origin(struct span uri)
{
	if (uri.n && uri.p[0] == '/')
		return uri;
	ptrdiff_t at = span_find(uri, SPAN_LIT("://"));
	if (at < 0)
		return uri;
	struct span rest = span_sub(uri, (size_t)at + 3, uri.n);
	ptrdiff_t slash = span_chr(rest, '/');
	return slash < 0 ? SPAN_LIT("/") : span_sub(rest, (size_t)slash, rest.n);
}

/* Decodes into dst (as long as s is enough). -1: malformed. */
static ptrdiff_t decode(struct span s, char *dst)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '%') {
			int hi = s.n - i > 2 ? ascii_hex(s.p[i + 1]) : -1, lo = s.n - i > 2 ? ascii_hex(s.p[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return -1;
			c = (unsigned char)(hi * 16 + lo);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return -1;
		dst[n++] = (char)c;
	}
	return (ptrdiff_t)n;
}

void http_target_parse(struct http_target *t, struct span uri)
{
	t->path = t->query = SPAN_NONE;
	t->bad = 0;
	if (uri.n > sizeof t->mem) {
		t->bad = 414;
		return;
	}
	struct span rest = without_origin(uri), path = span_cut(&rest, '?');
	ptrdiff_t n = decode(path, t->mem);
	if (n < 1 || t->mem[0] != '/') {
		t->bad = 400;
		return;
	}
	t->path = span_mem(t->mem, (size_t)n);
	if (rest.p) { /* the decoded path is never longer than the raw one */
		memcpy(t->mem + n, rest.p, rest.n);
		t->query = span_mem(t->mem + n, rest.n);
	}
}

#include "base/span.h"

bool span_ieq(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	if (a.n && memcmp(a.p, b.p, a.n) == 0) /* mostly written as we write it */
		return true;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

bool span_ieqz(struct span a, const char *z)
{
	return span_ieq(a, span_z(z));
}

bool span_starts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_eq(span_sub(s, 0, prefix.n), prefix);
}

bool span_istarts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_ieq(span_sub(s, 0, prefix.n), prefix);
}

int span_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;
	if (c != 0)
		return c;
	return a.n < b.n ? -1 : a.n > b.n;
}

struct span span_sub(struct span s, size_t from, size_t to)
{
	if (to > s.n)
		to = s.n;
	if (from > to)
		from = to;
	return (struct span){s.p ? s.p + from : NULL, to - from};
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
	while (s.n && is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

ptrdiff_t span_chr(struct span s, char c)
{
	const char *q = s.n ? memchr(s.p, c, s.n) : NULL;
	return q ? q - s.p : -1;
}

ptrdiff_t span_find(struct span s, struct span needle)
{
	if (needle.n == 0)
		return 0;
	for (size_t i = 0; i + needle.n <= s.n; i++)
		if (s.p[i] == needle.p[0] && memcmp(s.p + i, needle.p, needle.n) == 0)
			return (ptrdiff_t)i;
	return -1;
}

struct span span_cut(struct span *rest, char sep)
{
	ptrdiff_t at = span_chr(*rest, sep);
	struct span piece = *rest;
	if (at < 0) {
		*rest = SPAN_NONE;
		return piece;
	}
	piece.n = (size_t)at;
	rest->p += at + 1;
	rest->n -= (size_t)at + 1;
	return piece;
}

int span_u64(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	if (s.n == 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_digit(s.p[i]))
			return -1;
		uint64_t d = (uint64_t)(s.p[i] - '0');
		if (v > (UINT64_MAX - d) / 10)
			return -1;
		v = v * 10 + d;
	}
	if (v > max)
		return -1;
	*out = v;
	return 0;
}

bool span_copyz(struct span s, char *dst, size_t cap)
{
	if (cap == 0)
		return false;
	if (s.n >= cap || (s.n && memchr(s.p, 0, s.n))) {
		dst[0] = 0;
		return false;
	}
	if (s.n)
		memcpy(dst, s.p, s.n);
	dst[s.n] = 0;
	return true;
}

bool span_eq_ct(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	volatile unsigned char d = 0;
	for (size_t i = 0; i < a.n; i++)
		d = (unsigned char)(d | ((unsigned char)a.p[i] ^ (unsigned char)b.p[i]));
	return d == 0;
}

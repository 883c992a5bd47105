/* sip/msg/cclass: character classes of RFC 3261 25.1 as bits of one table, as every byte of every message passes here.
 * Layer 2, pure; for the files of sip/msg only. */
#ifndef SIP_MSG_CCLASS_H
#define SIP_MSG_CCLASS_H

#include "base/span.h"

/* ASCII only, bytes above are in none of these */
enum {
	CC_TOKEN = 1 << 0,    /* alnum -.!%*_+`'~ */
	CC_HOST = 1 << 1,     /* alnum - . _ */
	CC_SCHEME = 1 << 2,   /* alnum + - . */
	CC_USER = 1 << 3,     /* user of a SIP URI; '#' though the RFC wants it escaped: phones send "*97#" as it was dialled */
	CC_USERKEEP = 1 << 4, /* user without '%' and '#' */
	CC_PASSWORD = 1 << 5,
	CC_URITAIL = 1 << 6,  /* URI parameters and headers */
	CC_PVALUE = 1 << 7,   /* printable but , ; " < > */
	CC_OPAQUE = 1 << 8,   /* printable but " < > */
	CC_TEL = 1 << 9,      /* RFC 3966 digits and separators */
	CC_RESERVED = 1 << 10, /* ; / ? : @ & = + $ , */
	/* all bytes but: */
	CC_PNAME = 1 << 11, /* = ; and white space */
	CC_PARAM = 1 << 12, /* ; and white space */
	CC_PLAIN = 1 << 13, /* , " < */
	CC_BLACK = 1 << 14  /* controls and space */
};
extern const uint16_t sip_cclass[256];

static inline bool cc_has(unsigned set, char c)
{
	return sip_cclass[(unsigned char)c] & set;
}
/* How many leading bytes of s are in the set. */
static inline size_t cc_span(unsigned set, struct span s)
{
	size_t i = 0;
	while (i < s.n && cc_has(set, s.p[i]))
		i++;
	return i;
}
static inline bool cc_all(unsigned set, struct span s)
{
	return cc_span(set, s) == s.n;
}
/* Space within a value; CR and LF stand there only as folding. */
static inline bool cc_lws(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
static inline void span_drop(struct span *s, size_t n)
{
	s->p += n;
	s->n -= n;
}
static inline void skip_lws(struct span *s)
{
	while (s->n && cc_lws(s->p[0]))
		span_drop(s, 1);
}
/* Every '%' is followed by two hexadecimal digits. */
static inline bool escapes_ok(struct span s)
{
	for (;;) {
		const char *q = s.n ? (const char *)memchr(s.p, '%', s.n) : NULL;
		if (!q)
			return true;
		span_drop(&s, (size_t)(q - s.p));
		if (s.n < 3 || ascii_hex(s.p[1]) < 0 || ascii_hex(s.p[2]) < 0)
			return false;
		span_drop(&s, 3);
	}
}
/* Length of the quoted string at s (s.p[0] is '"') with both quotes, or 0 when it does not end. */
static inline size_t quoted_len(struct span s)
{
	const char *q = s.n > 1 ? (const char *)memchr(s.p + 1, '"', s.n - 1) : NULL;
	if (!q)
		return 0;
	size_t i = (size_t)(q - s.p);
	const char *escape = memchr(s.p + 1, '\\', i - 1);
	if (!escape)
		return i + 1;
	for (i = (size_t)(escape - s.p); i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\')
			i++;
	}
	return 0;
}

#endif

/* sip/msg/cclass: character classes of RFC 3261 25.1 as bit sets. Layer 2, pure; for the files of sip/msg only. */
#ifndef SIP_MSG_CCLASS_H
#define SIP_MSG_CCLASS_H

#include "base/span.h"

struct cclass {
	uint64_t bits[2]; /* ASCII; bytes above are never in a set */
};

#define CC_TOKEN    ((struct cclass){{0x03ff6ca200000000u, 0x47ffffff87fffffeu}}) /* alnum -.!%*_+`'~ */
#define CC_HOST     ((struct cclass){{0x03ff600000000000u, 0x07fffffe87fffffeu}}) /* alnum - . _ */
#define CC_SCHEME   ((struct cclass){{0x03ff680000000000u, 0x07fffffe07fffffeu}}) /* alnum + - . */
/* user of a SIP URI; '#' though the RFC wants it escaped: phones send "*97#" as it was dialled */
#define CC_USER     ((struct cclass){{0xabfffffa00000000u, 0x47fffffe87fffffeu}})
#define CC_USERKEEP ((struct cclass){{0xabffffd200000000u, 0x47fffffe87fffffeu}}) /* user without '%' and '#' */
#define CC_PASSWORD ((struct cclass){{0x23ff7ff200000000u, 0x47fffffe87fffffeu}})
#define CC_URITAIL  ((struct cclass){{0xaffffff200000000u, 0x47fffffeaffffffeu}}) /* URI parameters and headers */
#define CC_PVALUE   ((struct cclass){{0xa7ffeffa00000000u, 0x7fffffffffffffffu}}) /* printable but , ; " < > */
#define CC_OPAQUE   ((struct cclass){{0xaffffffa00000000u, 0x7fffffffffffffffu}}) /* printable but " < > */
#define CC_TEL      ((struct cclass){{0x03ff6f2800000000u, 0x0000007e0000007eu}}) /* RFC 3966 digits and separators */
#define CC_RESERVED ((struct cclass){{0xac00985000000000u, 0x0000000000000001u}}) /* ; / ? : @ & = + $ , */

static inline bool cc_has(struct cclass set, char c)
{
	unsigned char u = (unsigned char)c;
	return u < 128 && ((set.bits[u >> 6] >> (u & 63)) & 1);
}
/* How many leading bytes of s are in the set. */
static inline size_t cc_span(struct cclass set, struct span s)
{
	size_t i = 0;
	while (i < s.n && cc_has(set, s.p[i]))
		i++;
	return i;
}
static inline bool cc_all(struct cclass set, struct span s)
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
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\')
			i++;
	}
	return 0;
}

#endif

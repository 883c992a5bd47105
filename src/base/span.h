/* base/span: a borrowed view of bytes. Layer 0, pure. The owner of the memory is named where a span is handed out. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *p; /* may be NULL when n is 0 */
	size_t n;      /* bytes */
};

#define SPAN_LIT(lit) ((struct span){"" lit, sizeof(lit) - 1})
#define SPAN_NONE     ((struct span){NULL, 0})
#define SPAN_FMT      "%.*s"
#define SPAN_ARG(s)   (int)(s).n, (s).p ? (s).p : ""

static inline struct span span_z(const char *z)
{
	return z ? (struct span){z, strlen(z)} : SPAN_NONE;
}
static inline struct span span_mem(const void *p, size_t n)
{
	return (struct span){(const char *)p, n};
}
static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool span_eqz(struct span a, const char *z)
{
	return span_eq(a, span_z(z));
}

/* ASCII case-insensitive compares, independent of locale. */
bool span_ieq(struct span a, struct span b);
bool span_ieqz(struct span a, const char *z);
bool span_starts(struct span s, struct span prefix);
bool span_istarts(struct span s, struct span prefix);
/* Total order by bytes, then by length: <0, 0, >0. */
int span_cmp(struct span a, struct span b);

/* Bytes [from, to) clamped to the span. */
struct span span_sub(struct span s, size_t from, size_t to);
/* Without leading and trailing SP, HT, CR, LF. */
struct span span_trim(struct span s);
/* Offset of the first c, or -1. */
ptrdiff_t span_chr(struct span s, char c);
/* Offset of the first needle, or -1. */
ptrdiff_t span_find(struct span s, struct span needle);

/* Cuts *rest at the first sep: the piece before it is returned and *rest moves behind it.
 * When *rest is used up rest->p becomes NULL; loop `while (rest.p) { piece = span_cut(&rest, ','); }`. */
struct span span_cut(struct span *rest, char sep);

/* Whole span as an unsigned decimal not above max. 0, or -1 (empty, other characters, too large). */
int span_u64(struct span s, uint64_t max, uint64_t *out) __attribute__((warn_unused_result));

/* Copies to a NUL-ended buffer of cap bytes; false (and "" in dst) when it does not fit or holds a NUL. */
bool span_copyz(struct span s, char *dst, size_t cap);

/* Constant time in the content (not in the length): for secrets and digests. */
bool span_eq_ct(struct span a, struct span b);

static inline char ascii_lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char)(c + 32) : c;
}
static inline bool ascii_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool ascii_digit(char c)
{
	return c >= '0' && c <= '9';
}
/* Value of a hexadecimal digit, or -1. */
static inline int ascii_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

#endif

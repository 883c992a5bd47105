/* base/text: a bounded writer over a buffer of the caller's. Layer 0, pure. Writing past the end sets `over`
 * and writes nothing more; the caller checks `over` once at the end. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/span.h"

struct text {
	char *p;
	size_t n, cap; /* bytes used, bytes there */
	bool over;     /* something did not fit */
};

static inline struct text text_on(char *buf, size_t cap)
{
	return (struct text){buf, 0, cap, false};
}
#define TEXT_ARRAY(a) text_on((a), sizeof(a))

static inline void text_put(struct text *t, struct span s)
{
	if (t->over || s.n > t->cap - t->n) {
		t->over = true;
		return;
	}
	if (s.n)
		memcpy(t->p + t->n, s.p, s.n);
	t->n += s.n;
}
static inline void text_putc(struct text *t, char c)
{
	if (t->over || t->n == t->cap) {
		t->over = true;
		return;
	}
	t->p[t->n++] = c;
}
#define text_lit(t, lit) text_put((t), SPAN_LIT(lit))
static inline void text_z(struct text *t, const char *z)
{
	text_put(t, span_z(z));
}
static inline struct span text_span(const struct text *t)
{
	return (struct span){t->p, t->n};
}
void text_u64(struct text *t, uint64_t v);
void text_i64(struct text *t, int64_t v);
/* Lower-case hexadecimal of n bytes. */
void text_hex(struct text *t, const void *bytes, size_t n);
/* v as `digits` lower-case hexadecimal digits. */
void text_hex64(struct text *t, uint64_t v, int digits);
void text_fmt(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* JSON string with its quotes; invalid UTF-8 bytes become U+FFFD. */
void text_json(struct text *t, struct span s);
/* XML attribute value content (no quotes): & < > " ' and control characters escaped. */
void text_xml(struct text *t, struct span s);
/* NUL-ends the text (not counted in n); false when there was no room, then the last byte is overwritten. */
bool text_end(struct text *t);

#endif

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

void text_u64(struct text *t, uint64_t v)
{
	char b[20];
	size_t i = sizeof b;
	do {
		b[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	text_put(t, span_mem(b + i, sizeof b - i));
}

void text_i64(struct text *t, int64_t v)
{
	if (v < 0) {
		text_putc(t, '-');
		text_u64(t, (uint64_t)(-(v + 1)) + 1);
	} else {
		text_u64(t, (uint64_t)v);
	}
}

static const char hex_digits[] = "0123456789abcdef";

void text_hex(struct text *t, const void *bytes, size_t n)
{
	const unsigned char *b = bytes;
	for (size_t i = 0; i < n; i++) {
		text_putc(t, hex_digits[b[i] >> 4]);
		text_putc(t, hex_digits[b[i] & 15]);
	}
}

void text_hex64(struct text *t, uint64_t v, int digits)
{
	for (int i = digits - 1; i >= 0; i--)
		text_putc(t, hex_digits[(v >> (i * 4)) & 15]);
}

void text_fmt(struct text *t, const char *fmt, ...)
{
	va_list ap;
	size_t room = t->cap - t->n;
	if (t->over)
		return;
	va_start(ap, fmt);
	int w = vsnprintf(t->p + t->n, room, fmt, ap);
	va_end(ap);
	if (w < 0 || (size_t)w >= room)
		t->over = true;
	else
		t->n += (size_t)w;
}

/* Length of the well-formed UTF-8 sequence at s, or 0 (RFC 3629). */
static size_t utf8_len(struct span s)
{
	const unsigned char *b = (const unsigned char *)s.p;
	size_t want = b[0] < 0x80 ? 1 : b[0] < 0xc2 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : b[0] < 0xf5 ? 4 : 0;
	if (want == 0 || want > s.n)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) || (b[0] == 0xf0 && b[1] < 0x90) ||
	    (b[0] == 0xf4 && b[1] > 0x8f))
		return 0;
	return want;
}

void text_json(struct text *t, struct span s)
{
	text_putc(t, '"');
	while (s.n) {
		char c = s.p[0];
		size_t len = utf8_len(s);
		if (c == '"' || c == '\\') {
			text_putc(t, '\\');
			text_putc(t, c);
		} else if (c == '\n') {
			text_lit(t, "\\n");
		} else if ((unsigned char)c < 0x20 || c == 0x7f) {
			text_lit(t, "\\u00");
			text_hex(t, &c, 1);
		} else if (len == 0) {
			text_lit(t, "\\ufffd");
		} else {
			text_put(t, span_sub(s, 0, len));
		}
		s = span_sub(s, len ? len : 1, s.n);
	}
	text_putc(t, '"');
}

void text_xml(struct text *t, struct span s)
{
	while (s.n) {
		char c = s.p[0];
		size_t len = utf8_len(s);
		switch (c) {
		case '&': text_lit(t, "&amp;"); break;
		case '<': text_lit(t, "&lt;"); break;
		case '>': text_lit(t, "&gt;"); break;
		case '"': text_lit(t, "&quot;"); break;
		case '\'': text_lit(t, "&apos;"); break;
		default:
			if (len == 0)
				text_lit(t, "\xef\xbf\xbd");
			else if (c == '\t' || c == '\n' || c == '\r')
				text_fmt(t, "&#%d;", c);
			else if ((unsigned char)c < 0x20)
				text_putc(t, '?');
			else
				text_put(t, span_sub(s, 0, len));
			break;
		}
		s = span_sub(s, len ? len : 1, s.n);
	}
}

bool text_end(struct text *t)
{
	if (t->cap == 0)
		return false;
	if (t->n < t->cap) {
		t->p[t->n] = 0;
		return !t->over;
	}
	t->p[t->cap - 1] = 0;
	t->over = true;
	return false;
}

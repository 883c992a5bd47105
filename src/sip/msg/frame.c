#include "sip/msg/frame.h"

#include "sip/msg/cclass.h"
#include "sip/msg/msg.h"

/* Content-Length of the header block [s, end): 0 and *out, or -1 when it is absent, doubled or malformed. */
static int content_length(const char *s, const char *end, uint64_t *out)
{
	bool found = false;
	while (s < end) {
		const char *lf = memchr(s, '\n', (size_t)(end - s));
		const char *next = lf ? lf + 1 : end;
		while (next < end && (*next == ' ' || *next == '\t')) {
			lf = memchr(next, '\n', (size_t)(end - next));
			next = lf ? lf + 1 : end;
		}
		struct span line = {s, (size_t)(next - s)};
		ptrdiff_t colon = (*s | 0x20) == 'c' || (*s | 0x20) == 'l' ? span_chr(line, ':') : -1;
		if (colon > 0 && sip_hdr_of(span_trim(span_sub(line, 0, (size_t)colon))) == SIP_H_CONTENT_LENGTH) {
			struct span v = span_trim(span_sub(line, (size_t)colon + 1, line.n));
			if (found || span_u64(v, UINT32_MAX, out) < 0)
				return -1;
			found = true;
		}
		s = next;
	}
	return found ? 0 : -1;
}

/* What may stand between messages. MORE here means: nothing of the kind. */
static enum sip_frame_kind between(struct span have, size_t *used, bool *wait)
{
	*wait = false;
	if (have.p[0] == '\r') {
		*wait = have.n < 2;
		if (have.n >= 2 && have.p[1] == '\n') {
			if (have.n >= 4 && have.p[2] == '\r' && have.p[3] == '\n') {
				*used = 4;
				return SIP_FRAME_PING;
			}
			*wait = have.n == 2 || (have.n == 3 && have.p[2] == '\r');
			if (*wait)
				return SIP_FRAME_MORE;
			*used = 2;
			return SIP_FRAME_SKIP;
		}
	} else if (have.p[0] == 0) {
		size_t n = 0;
		while (n < have.n && n < 4 && have.p[n] == 0)
			n++;
		*wait = n == have.n && n < 4;
		if (*wait)
			return SIP_FRAME_MORE;
		*used = n;
		return n == 4 ? SIP_FRAME_SKIP : SIP_FRAME_BROKEN;
	}
	return SIP_FRAME_MORE;
}

static enum sip_frame_kind broken(struct sip_framer *f, size_t n, size_t *used)
{
	f->scanned = 0;
	*used = n;
	return SIP_FRAME_BROKEN;
}

enum sip_frame_kind sip_frame(struct sip_framer *f, struct span have, size_t max_bytes, size_t *used)
{
	bool wait;
	uint64_t body;
	*used = 0;
	if (have.n == 0)
		return SIP_FRAME_MORE;
	if (f->scanned == 0) {
		enum sip_frame_kind k = between(have, used, &wait);
		if (k != SIP_FRAME_MORE || wait)
			return k;
	}
	ptrdiff_t at = -1;
	for (size_t i = f->scanned; i + 4 <= have.n;) {
		const char *q = memchr(have.p + i, '\r', have.n - 3 - i);
		if (!q)
			break;
		if (memcmp(q, "\r\n\r\n", 4) == 0) {
			at = q - have.p;
			break;
		}
		i = (size_t)(q - have.p) + 1;
	}
	if (at < 0) {
		if (have.n > max_bytes)
			return broken(f, have.n, used);
		f->scanned = have.n >= 3 ? have.n - 3 : 0;
		return SIP_FRAME_MORE;
	}
	size_t head = (size_t)at + 4;
	if (head > max_bytes || content_length(have.p, have.p + at + 2, &body) < 0 || body > max_bytes - head)
		return broken(f, head, used);
	if (have.n - head < body) {
		f->scanned = (size_t)at;
		return SIP_FRAME_MORE;
	}
	f->scanned = 0;
	*used = head + (size_t)body;
	return SIP_FRAME_MESSAGE;
}

bool sip_is_keepalive(struct span d)
{
	return d.n == 0 || (d.n == 4 && memcmp(d.p, "\0\0\0\0", 4) == 0) || (d.n == 2 && memcmp(d.p, "\r\n", 2) == 0) ||
	       (d.n == 4 && memcmp(d.p, "\r\n\r\n", 4) == 0);
}

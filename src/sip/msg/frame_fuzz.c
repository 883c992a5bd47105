/* A byte stream cut into messages, once with all bytes there from the start and once in the pieces that the first bytes of
 * the input say: what comes out must be the same. */
#include "base/assert.h"
#include "sip/msg/frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 256, CUTS = 16, LIMIT = 2048 };

struct cut {
	enum sip_frame_kind kind[MOST];
	size_t used[MOST];
	unsigned n;
};

static void note(struct cut *c, enum sip_frame_kind k, size_t used)
{
	/* Several single skips may come as one where more was there: only their bytes count. */
	if (c->n < MOST) {
		c->kind[c->n] = k;
		c->used[c->n++] = used;
	}
}

/* Feeds the stream in pieces of step[i] bytes (0: all that is left). */
static void feed(struct span in, const uint8_t *step, struct cut *out)
{
	struct sip_framer f = {0};
	size_t start = 0, have = 0, used;
	unsigned turn = 0;
	while (out->n < MOST) {
		/* a block of just what came, so that reading beyond is seen */
		char *copy = malloc(have - start ? have - start : 1);
		INVARIANT(copy != NULL);
		if (have > start)
			memcpy(copy, in.p + start, have - start);
		enum sip_frame_kind k = sip_frame(&f, span_mem(copy, have - start), LIMIT, &used);
		free(copy);
		INVARIANT(used <= have - start);
		if (k == SIP_FRAME_MORE) {
			if (have == in.n)
				return;
			size_t n = step[turn++ % CUTS];
			have = n == 0 || n > in.n - have ? in.n : have + n;
			continue;
		}
		INVARIANT(k == SIP_FRAME_BROKEN || used > 0);
		note(out, k, used);
		if (k == SIP_FRAME_BROKEN)
			return; /* the connection is closed */
		start += used;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t whole[CUTS];
	static struct cut a, b;
	if (size < CUTS)
		return 0;
	a.n = b.n = 0;
	struct span in = span_mem(data + CUTS, size - CUTS);
	feed(in, whole, &a);
	feed(in, data, &b);
	unsigned n = a.n < b.n ? a.n : b.n;
	for (unsigned i = 0; i < n; i++) {
		INVARIANT(a.kind[i] == b.kind[i]);
		INVARIANT(a.kind[i] == SIP_FRAME_BROKEN || a.used[i] == b.used[i]);
	}
	/* An endless head is refused once it is too long, however it comes. */
	INVARIANT(a.n == b.n);
	return 0;
}

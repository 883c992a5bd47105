/* guard/bucket: so many a second, and so many at once. Layer 2, pure. A bucket is a value of its owner's. */
#ifndef GUARD_BUCKET_H
#define GUARD_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	int64_t at_us;        /* when it was last looked at; monotonic */
	int64_t tokens_x1000; /* thousandths of what may pass now */
};

static inline void bucket_fill(struct bucket *b, int64_t now_us, uint32_t burst)
{
	*b = (struct bucket){now_us, (int64_t)burst * 1000};
}

/* One more? False: too many. */
static inline bool bucket_take(struct bucket *b, int64_t now_us, uint32_t per_s, uint32_t burst)
{
	int64_t full = (int64_t)burst * 1000, gained = now_us > b->at_us ? (now_us - b->at_us) * per_s / 1000 : 0;
	if (gained > full - b->tokens_x1000) {
		*b = (struct bucket){now_us, full};
	} else if (gained > 0) { /* what is less than a thousandth is not forgotten: its time is still to be counted */
		b->tokens_x1000 += gained;
		b->at_us += gained * 1000 / per_s;
	}
	if (b->tokens_x1000 < 1000)
		return false;
	b->tokens_x1000 -= 1000;
	return true;
}

#endif

/* base/slab: byte blocks in size classes (64 .. 64 K), carved from chunks and reused. Layer 0, pure.
 * For what outlives a turn but not a call: stored messages, dialog texts. One slab per cell or phone, one thread. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "base/span.h"

enum { SLAB_CLASSES = 21, SLAB_MAX = 65536 };

struct slab {
	void *free[SLAB_CLASSES];
	void *chunks;
	unsigned char *at, *end;
	size_t used_bytes, limit_bytes; /* live blocks by class size; limit 0: none */
};

void slab_init(struct slab *s, size_t limit_bytes);
void slab_destroy(struct slab *s);
/* 16-byte aligned, not zeroed; NULL when n > SLAB_MAX, at the limit or without memory. */
void *slab_alloc(struct slab *s, size_t n);
/* n: the size asked for at slab_alloc; p may be NULL. */
void slab_free(struct slab *s, void *p, size_t n);
/* Copy of bytes; NULL on failure (also for b.n == 0). Free with slab_free(s, p, b.n). */
char *slab_copy(struct slab *s, struct span b);

#endif

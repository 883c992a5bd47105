/* base/pool: objects of one size with generation handles. Layer 0, pure. Addresses are stable; a handle of a freed
 * object is never answered again (until 2^32 reuses of its place). Handle 0 is none. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/span.h"

typedef uint64_t handle; /* generation << 32 | index + 1; 0 is none */

struct pool {
	unsigned char **chunks;
	size_t obj_bytes, slot_bytes;
	uint32_t n_chunks, used, max; /* objects in use, at most */
	uint32_t free_head;           /* index + 1 of the first free place; 0 none */
	uint32_t fresh;               /* places never used begin here */
	uint8_t shift;                /* objects of a chunk: 1 << shift */
};

/* max: the limit on objects; memory grows by chunks of 256 objects as needed (of 16 when max is at most 256). */
void pool_init(struct pool *p, size_t obj_bytes, uint32_t max);
void pool_destroy(struct pool *p);
/* A zeroed object; NULL at the limit or without memory. */
void *pool_new(struct pool *p, handle *h);
/* The object, or NULL when h is stale or 0. */
void *pool_get(const struct pool *p, handle h);
/* Handle of a live object of this pool. */
handle pool_handle(const struct pool *p, const void *obj);
/* h must be live (invariant). */
void pool_delete(struct pool *p, handle h);
/* Live objects by place: start with *it = 0; NULL at the end. Deleting the one just returned is allowed. */
void *pool_next(const struct pool *p, uint32_t *it);

#endif

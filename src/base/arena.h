/* base/arena: bump allocation that is given back all at once. Layer 0, pure. Not for hot paths: chunks are kept on reset. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"

struct arena_chunk;
struct arena {
	struct arena_chunk *first, *cur;
	size_t chunk_bytes;
	size_t limit_bytes, used_bytes; /* limit 0: none */
};

void arena_init(struct arena *a, size_t chunk_bytes, size_t limit_bytes);
/* 16-byte aligned, zeroed; NULL at the limit or without memory. */
void *arena_alloc(struct arena *a, size_t n);
/* A copy with a NUL behind it; SPAN_NONE with n = 0 and p = NULL when it fails. */
struct span arena_copy(struct arena *a, struct span s);
/* Everything handed out becomes invalid; the memory is kept for the next round. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif

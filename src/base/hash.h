/* base/hash: SipHash-2-4 (keyed, for tables that strangers fill) and the running trace hash. Layer 0, pure. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/span.h"

struct hash_key {
	uint64_t k0, k1;
};

uint64_t siphash(const struct hash_key *k, const void *bytes, size_t n);

/* Running 64-bit hash over a sequence of items; order and lengths matter. Not for adversaries. */
struct trace_hash {
	uint64_t h;
	uint64_t items;
};
void trace_hash_add(struct trace_hash *t, const void *bytes, size_t n);
void trace_hash_u64(struct trace_hash *t, uint64_t v);

#endif

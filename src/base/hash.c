#include "base/hash.h"

static inline uint64_t rotl(uint64_t v, int b)
{
	return (v << b) | (v >> (64 - b));
}

#define SIPROUND(a, b, c, d)                                                                                           \
	do {                                                                                                           \
		a += b; b = rotl(b, 13); b ^= a; a = rotl(a, 32);                                                      \
		c += d; d = rotl(d, 16); d ^= c;                                                                       \
		a += d; d = rotl(d, 21); d ^= a;                                                                       \
		c += b; b = rotl(b, 17); b ^= c; c = rotl(c, 32);                                                      \
	} while (0)

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2 compression and 4 finalisation rounds. */
uint64_t siphash(const struct hash_key *k, const void *bytes, size_t n)
{
	const unsigned char *b = bytes;
	uint64_t v0 = k->k0 ^ 0x736f6d6570736575u, v1 = k->k1 ^ 0x646f72616e646f6du;
	uint64_t v2 = k->k0 ^ 0x6c7967656e657261u, v3 = k->k1 ^ 0x7465646279746573u;
	uint64_t m, tail = (uint64_t)n << 56;
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		memcpy(&m, b + i, 8);
		v3 ^= m;
		SIPROUND(v0, v1, v2, v3);
		SIPROUND(v0, v1, v2, v3);
		v0 ^= m;
	}
	for (int s = 0; i < n; i++, s += 8)
		tail |= (uint64_t)b[i] << s;
	v3 ^= tail;
	SIPROUND(v0, v1, v2, v3);
	SIPROUND(v0, v1, v2, v3);
	v0 ^= tail;
	v2 ^= 0xff;
	for (int r = 0; r < 4; r++)
		SIPROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}

void trace_hash_u64(struct trace_hash *t, uint64_t v)
{
	uint64_t x = (t->h ^ v) * 0x9fb21c651e98df25u;
	x ^= x >> 32;
	t->h = rotl(x * 0xd6e8feb86659fd93u, 27) + v;
	t->items++;
}

void trace_hash_add(struct trace_hash *t, const void *bytes, size_t n)
{
	const unsigned char *b = bytes;
	uint64_t m;
	trace_hash_u64(t, n);
	for (; n >= 8; n -= 8, b += 8) {
		memcpy(&m, b, 8);
		trace_hash_u64(t, m);
	}
	if (n) {
		m = 0;
		memcpy(&m, b, n);
		trace_hash_u64(t, m);
	}
}

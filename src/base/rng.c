#include "base/rng.h"

#include <math.h>

uint64_t rng_u64(struct rng *r)
{
	uint64_t c = r->counter++;
	return siphash(&r->key, &c, sizeof c);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	__extension__ typedef unsigned __int128 u128;
	return (uint64_t)(((u128)rng_u64(r) * n) >> 64);
}

double rng_unit(struct rng *r)
{
	return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double rng_exp(struct rng *r, double mean)
{
	return -mean * log(1.0 - rng_unit(r));
}

void rng_bytes(struct rng *r, void *dst, size_t n)
{
	unsigned char *d = dst;
	while (n) {
		uint64_t v = rng_u64(r);
		size_t k = n < 8 ? n : 8;
		memcpy(d, &v, k);
		d += k;
		n -= k;
	}
}

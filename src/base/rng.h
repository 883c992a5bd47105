/* base/rng: seeded pseudo-random numbers. Layer 0, pure: no ambient randomness, the seed comes in.
 * The stream is SipHash in counter mode: with a secret 128-bit seed its values cannot be guessed from earlier ones. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include "base/hash.h"

struct rng {
	struct hash_key key;
	uint64_t counter;
};

static inline struct rng rng_seed(uint64_t a, uint64_t b)
{
	return (struct rng){{a, b}, 0};
}
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, n); n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Uniform in [0, 1). */
double rng_unit(struct rng *r);
/* Exponential with this mean. */
double rng_exp(struct rng *r, double mean);
void rng_bytes(struct rng *r, void *dst, size_t n);

#endif

/* io/random: bytes that nobody can guess. Layer 1, shell. Any thread. */
#ifndef IO_RANDOM_H
#define IO_RANDOM_H

#include <stddef.h>

/* getrandom(2); cannot fail once the kernel's pool is ready (waits for it at early boot). */
void random_bytes(void *dst, size_t n);

#endif

/* io/clock: the two clocks. Layer 1, shell. Any thread. */
#ifndef IO_CLOCK_H
#define IO_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC, microseconds. */
int64_t mono_us(void);
/* UTC, microseconds since 1970. */
int64_t wall_us(void);

#endif

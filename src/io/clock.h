/* io/clock: the clocks. Layer 1, shell. Any thread. */
#ifndef IO_CLOCK_H
#define IO_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC, microseconds. */
int64_t mono_us(void);
/* UTC, microseconds since 1970. */
int64_t wall_us(void);
/* Microseconds since the machine was started, asleep or not: goes on where wall_us jumps, also between two processes of one start. */
int64_t boot_us(void);
/* Names this start of the machine: from $STROWGER_BOOT_ID (where /proc/sys is hidden), else from the kernel. "": not known. */
enum { BOOT_ID = 40 };
void boot_id(char out[BOOT_ID]);

#endif

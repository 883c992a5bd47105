/* base/wheel: hierarchical timer wheel that is told the time. Layer 0, pure. Intrusive, O(1) set and cancel, 1 ms ticks.
 * A timer never fires early; timers of one tick fire in the order in which they were set. */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include "base/span.h"

struct timer {
	struct timer *prev, *next; /* NULL while not set */
	int64_t at_us;             /* monotonic, microseconds */
	uint32_t kind;             /* the user's: which timer of its object this is */
	uint16_t slot;             /* the wheel's */
};

enum { WHEEL_BITS = 6, WHEEL_SLOTS = 64, WHEEL_LEVELS = 7 };

struct wheel {
	struct timer slots[WHEEL_LEVELS * WHEEL_SLOTS + 1]; /* list heads; the last holds what is due now */
	uint64_t busy[WHEEL_LEVELS];                       /* bit set: list may be non-empty */
	int64_t tick;                                      /* ticks up to here have been moved to the due list */
	size_t count;
};

#define WHEEL_NEVER INT64_MAX

void wheel_init(struct wheel *w, int64_t now_us);
/* Sets or moves t. The owner keeps t alive until it fired or was cancelled. */
void wheel_set(struct wheel *w, struct timer *t, int64_t at_us);
void wheel_cancel(struct wheel *w, struct timer *t);
static inline bool timer_is_set(const struct timer *t)
{
	return t->next != NULL;
}
/* A time not after the first deadline and at most one cascade before it; WHEEL_NEVER when empty. Calling wheel_pop at
 * that time may yield nothing; then ask again. */
int64_t wheel_deadline(const struct wheel *w);
/* The next expired timer, taken out, or NULL. now_us must not go back. */
struct timer *wheel_pop(struct wheel *w, int64_t now_us);

#endif

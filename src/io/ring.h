/* io/ring: bounded queues of fixed-size values between threads: many writers, one reader. Layer 1, shell.
 * A reader sleeps on a waker that several rings may share; a writer pays for the wake-up only when the reader sleeps. */
#ifndef IO_RING_H
#define IO_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct waker {
	int fd; /* eventfd, non-blocking: readable when woken; put it into the reader's loop */
	atomic_int asleep;
};

/* 0 or -1 (errno). */
int waker_init(struct waker *w) __attribute__((warn_unused_result));
void waker_close(struct waker *w);
/* Any thread: the reader's next or present sleep ends. */
void waker_wake(struct waker *w);
/* Reader: about to sleep. After this call it must look at its rings once more (ring_empty) before it really sleeps. */
void waker_sleep(struct waker *w);
/* Reader: awake again; empties the eventfd when it was written. */
void waker_awake(struct waker *w, bool fd_ready);

struct ring {
	unsigned char *cells;
	size_t item_bytes, cell_bytes;
	uint64_t mask;
	struct waker *waker; /* borrowed */
	_Alignas(64) atomic_uint_fast64_t tail; /* writers */
	_Alignas(64) atomic_uint_fast64_t head; /* the reader */
};

/* capacity is rounded up to a power of two. 0 or -1 (no memory). */
int ring_init(struct ring *r, size_t item_bytes, size_t capacity, struct waker *w) __attribute__((warn_unused_result));
void ring_free(struct ring *r);
/* Copies item in and wakes the reader. False: full. Any thread. */
bool ring_push(struct ring *r, const void *item) __attribute__((warn_unused_result));
/* The same without a wake-up: for a writer that wakes once after many (waker_wake). */
bool ring_push_quiet(struct ring *r, const void *item) __attribute__((warn_unused_result));
/* Copies the oldest out. False: empty. The reader's thread only. */
bool ring_pop(struct ring *r, void *item) __attribute__((warn_unused_result));
bool ring_empty(const struct ring *r);

#endif

#include "io/ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int waker_init(struct waker *w)
{
	atomic_init(&w->asleep, 0);
	w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return w->fd < 0 ? -1 : 0;
}

void waker_close(struct waker *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

void waker_wake(struct waker *w)
{
	/* Pairs with waker_sleep: either the reader sees what we pushed, or we see that it sleeps. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&w->asleep, memory_order_relaxed) && atomic_exchange(&w->asleep, 0)) {
		uint64_t one = 1;
		ssize_t n = write(w->fd, &one, sizeof one);
		(void)n; /* EAGAIN: 2^64 - 2 wake-ups are waiting already */
	}
}

void waker_sleep(struct waker *w)
{
	atomic_store(&w->asleep, 1);
	atomic_thread_fence(memory_order_seq_cst);
}

void waker_awake(struct waker *w, bool fd_ready)
{
	atomic_store_explicit(&w->asleep, 0, memory_order_relaxed);
	if (fd_ready) {
		uint64_t n;
		ssize_t got = read(w->fd, &n, sizeof n);
		(void)got;
	}
}

/* Each cell carries a turn number (Vyukov's bounded queue): turn == position: free for the writer of that position;
 * position + 1: filled for its reader. */
static atomic_uint_fast64_t *turn_at(const struct ring *r, uint64_t pos)
{
	return (atomic_uint_fast64_t *)(void *)(r->cells + (pos & r->mask) * r->cell_bytes);
}

static unsigned char *item_at(const struct ring *r, uint64_t pos)
{
	return r->cells + (pos & r->mask) * r->cell_bytes + sizeof(atomic_uint_fast64_t);
}

int ring_init(struct ring *r, size_t item_bytes, size_t capacity, struct waker *w)
{
	uint64_t n = 2;
	while (n < capacity)
		n *= 2;
	r->item_bytes = item_bytes;
	r->cell_bytes = (item_bytes + sizeof(atomic_uint_fast64_t) + 15) & ~(size_t)15;
	r->mask = n - 1;
	r->waker = w;
	atomic_init(&r->tail, 0);
	atomic_init(&r->head, 0);
	r->cells = calloc(n, r->cell_bytes);
	if (!r->cells)
		return -1;
	for (uint64_t i = 0; i < n; i++)
		atomic_init(turn_at(r, i), i);
	return 0;
}

void ring_free(struct ring *r)
{
	free(r->cells);
	r->cells = NULL;
}

bool ring_push_quiet(struct ring *r, const void *item)
{
	uint_fast64_t pos = atomic_load_explicit(&r->tail, memory_order_relaxed);
	for (;;) {
		uint64_t turn = atomic_load_explicit(turn_at(r, pos), memory_order_acquire);
		if (turn == pos) {
			if (atomic_compare_exchange_weak_explicit(&r->tail, &pos, pos + 1, memory_order_relaxed, memory_order_relaxed))
				break;
		} else if ((int64_t)(turn - pos) < 0) {
			return false;
		} else {
			pos = atomic_load_explicit(&r->tail, memory_order_relaxed);
		}
	}
	memcpy(item_at(r, pos), item, r->item_bytes);
	atomic_store_explicit(turn_at(r, pos), pos + 1, memory_order_release);
	return true;
}

bool ring_push(struct ring *r, const void *item)
{
	if (!ring_push_quiet(r, item))
		return false;
	waker_wake(r->waker);
	return true;
}

bool ring_pop(struct ring *r, void *item)
{
	uint64_t pos = atomic_load_explicit(&r->head, memory_order_relaxed);
	if (atomic_load_explicit(turn_at(r, pos), memory_order_acquire) != pos + 1)
		return false;
	memcpy(item, item_at(r, pos), r->item_bytes);
	atomic_store_explicit(turn_at(r, pos), pos + r->mask + 1, memory_order_release);
	atomic_store_explicit(&r->head, pos + 1, memory_order_relaxed);
	return true;
}

bool ring_empty(const struct ring *r)
{
	uint64_t pos = atomic_load_explicit(&r->head, memory_order_relaxed);
	return atomic_load_explicit(turn_at(r, pos), memory_order_acquire) != pos + 1;
}

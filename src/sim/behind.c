/* A table of what is written behind (store/behind.c) on the virtual disk: registrations, subscriptions, bans. Written a while after the cell
 * said so; a crash keeps a random first part of what waits. */
#include "sim/world.h"

#include <stdlib.h>

enum { BEHIND_US = 400000 /* store: BEHIND_WINDOW_MS and the commit */ };

struct wait_head {
	int64_t due_us;
	bool gone;
};

void *behind_row(const struct sim_behind *b, uint32_t i)
{
	return b->row + i * b->row_bytes;
}

static size_t wait_bytes(const struct sim_behind *b)
{
	return sizeof(struct wait_head) + b->row_bytes;
}

static unsigned char *waiting(const struct sim_behind *b, uint32_t i)
{
	return b->wait + i * wait_bytes(b);
}

static struct wait_head head_of(const struct sim_behind *b, uint32_t i)
{
	struct wait_head h;
	memcpy(&h, waiting(b, i), sizeof h);
	return h;
}

static void *room(void *mem, uint32_t n, uint32_t *cap, size_t bytes)
{
	if (n < *cap)
		return mem;
	*cap = *cap ? *cap * 2 : 64;
	return world_grown(mem, *cap * bytes);
}

static void synced(struct sim_behind *b, uint32_t i)
{
	const void *row = waiting(b, i) + sizeof(struct wait_head);
	uint32_t at = 0;
	while (at < b->n && !b->same(behind_row(b, at), row))
		at++;
	if (head_of(b, i).gone) {
		if (at < b->n)
			memmove(behind_row(b, at), behind_row(b, --b->n), b->row_bytes);
		return;
	}
	b->row = room(b->row, at, &b->cap, b->row_bytes);
	memcpy(behind_row(b, at), row, b->row_bytes);
	b->n += at == b->n;
}

static void sync_due(struct world *w, struct sim_behind *b)
{
	uint32_t n = 0;
	disk_clock(w);
	while (n < b->n_wait && head_of(b, n).due_us <= w->now)
		synced(b, n++);
	if (n)
		memmove(b->wait, waiting(b, n), (b->n_wait - n) * wait_bytes(b));
	b->n_wait -= n;
}

void behind_put(struct world *w, struct sim_behind *b, const void *row, bool gone)
{
	struct wait_head h = {w->now + BEHIND_US, gone};
	if (!w->disk.on)
		return;
	sync_due(w, b);
	b->wait = room(b->wait, b->n_wait, &b->cap_wait, wait_bytes(b));
	memcpy(waiting(b, b->n_wait), &h, sizeof h);
	memcpy(waiting(b, b->n_wait++) + sizeof h, row, b->row_bytes);
}

void behind_tear(struct world *w, struct sim_behind *b)
{
	sync_due(w, b);
	uint32_t keep = b->n_wait ? (uint32_t)rng_below(&w->rng_store, b->n_wait + 1) : 0;
	for (uint32_t i = 0; i < keep; i++)
		synced(b, i);
	b->n_wait = 0;
}

void behind_free(struct sim_behind *b)
{
	free(b->row);
	free(b->wait);
}

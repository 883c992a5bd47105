/* Subscriptions on the virtual disk: written behind like registrations, torn like them by a crash. */
#include "sim/world.h"

#include <stdlib.h>

enum { SUB_BEHIND_US = 400000 };

static void synced(struct disk *d, const struct sub_write *b)
{
	uint32_t i = 0;
	while (i < d->n_sub && strcmp(d->sub[i].local_tag, b->row.local_tag) != 0)
		i++;
	if (b->gone) {
		if (i < d->n_sub)
			d->sub[i] = d->sub[--d->n_sub];
		return;
	}
	if (i == d->n_sub && d->n_sub == d->cap_sub) {
		d->cap_sub = d->cap_sub ? d->cap_sub * 2 : 64;
		d->sub = world_grown(d->sub, d->cap_sub * sizeof *d->sub);
	}
	d->sub[i] = b->row;
	d->n_sub += i == d->n_sub;
}

static void sync_due(struct world *w)
{
	struct disk *d = &w->disk;
	uint32_t n = 0;
	disk_clock(w);
	while (n < d->n_sub_wait && d->sub_wait[n].due_us <= w->now)
		synced(d, &d->sub_wait[n++]);
	if (n)
		memmove(d->sub_wait, d->sub_wait + n, (d->n_sub_wait - n) * sizeof *d->sub_wait);
	d->n_sub_wait -= n;
}

void disk_subscription(struct world *w, const struct subscription_row *row, bool gone)
{
	struct disk *d = &w->disk;
	if (!d->on)
		return;
	sync_due(w);
	if (d->n_sub_wait == d->cap_sub_wait) {
		d->cap_sub_wait = d->cap_sub_wait ? d->cap_sub_wait * 2 : 64;
		d->sub_wait = world_grown(d->sub_wait, d->cap_sub_wait * sizeof *d->sub_wait);
	}
	d->sub_wait[d->n_sub_wait++] = (struct sub_write){w->now + SUB_BEHIND_US, gone, *row};
}

void disk_subs_tear(struct world *w)
{
	struct disk *d = &w->disk;
	sync_due(w);
	uint32_t keep = d->n_sub_wait ? (uint32_t)rng_below(&w->rng_store, d->n_sub_wait + 1) : 0;
	for (uint32_t i = 0; i < keep; i++)
		synced(d, &d->sub_wait[i]);
	d->n_sub_wait = 0;
}

void disk_subs_free(struct world *w)
{
	free(w->disk.sub);
	free(w->disk.sub_wait);
}

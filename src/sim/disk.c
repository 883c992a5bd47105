/* What is really on the virtual disk, and what a crash leaves of it. Writes wait for their group commit; a crash keeps a
 * random first part of those that wait and forgets the rest, as SQLite's log does with whole transactions. */
#include "sim/world.h"

#include <stdlib.h>

/* Registrations are written behind in batches (store: BINDING_WINDOW_MS and the commit). */
enum { BINDING_BEHIND_US = 400000 };

/* ---- CDRs --------------------------------------------------------------------------------------------------------- */

void disk_cdr_queued(struct world *w, uint64_t token, uint32_t row, const struct cdr_state *v)
{
	struct disk *d = &w->disk;
	if (d->n_cdr == d->cap_cdr) {
		d->cap_cdr = d->cap_cdr ? d->cap_cdr * 2 : 64;
		d->cdr = world_grown(d->cdr, d->cap_cdr * sizeof *d->cdr);
	}
	d->cdr[d->n_cdr++] = (struct cdr_write){token, ++d->seq, row, *v};
}

static void cdr_synced(struct world *w, const struct cdr_write *c)
{
	struct cdr_seen *r = &w->cdr.row[c->row];
	if (r->disk_seq > c->seq)
		return; /* a later write of this row was quicker */
	r->disk_seq = c->seq;
	r->disk = c->v;
}

void disk_cdr_done(struct world *w, uint64_t token)
{
	struct disk *d = &w->disk;
	for (uint32_t i = 0; i < d->n_cdr; i++) {
		if (d->cdr[i].token != token)
			continue;
		cdr_synced(w, &d->cdr[i]);
		memmove(&d->cdr[i], &d->cdr[i + 1], (d->n_cdr - i - 1) * sizeof *d->cdr);
		d->n_cdr--;
		return;
	}
}

/* ---- registrations -------------------------------------------------------------------------------------------------- */

static bool same_key(const struct binding_row *a, const struct binding_row *b)
{
	return strcmp(a->extension, b->extension) == 0 && strcmp(a->contact, b->contact) == 0 && strcmp(a->instance, b->instance) == 0;
}

static void binding_synced(struct disk *d, const struct binding_write *b)
{
	uint32_t i = 0;
	while (i < d->n_bind && !same_key(&d->bind[i], &b->row))
		i++;
	if (b->gone) {
		if (i < d->n_bind)
			d->bind[i] = d->bind[--d->n_bind];
		return;
	}
	if (i == d->n_bind && d->n_bind == d->cap_bind) {
		d->cap_bind = d->cap_bind ? d->cap_bind * 2 : 64;
		d->bind = world_grown(d->bind, d->cap_bind * sizeof *d->bind);
	}
	d->bind[i] = b->row;
	d->n_bind += i == d->n_bind;
}

void disk_clock(struct world *w)
{
	struct disk *d = &w->disk;
	int64_t by_ms = (w->wall_minus_mono - d->wall_minus_mono) / 1000;
	for (uint32_t i = 0; i < d->n_bind; i++)
		d->bind[i].expires_wall_ms += by_ms;
	for (uint32_t i = 0; i < d->n_sub; i++) {
		d->sub[i].expires_wall_ms += by_ms;
		d->sub[i].written_wall_ms += by_ms;
	}
	d->wall_minus_mono = w->wall_minus_mono;
}

static void sync_due(struct world *w)
{
	struct disk *d = &w->disk;
	uint32_t n = 0;
	disk_clock(w);
	while (n < d->n_wait && d->wait[n].due_us <= w->now)
		binding_synced(d, &d->wait[n++]);
	if (n)
		memmove(d->wait, d->wait + n, (d->n_wait - n) * sizeof *d->wait);
	d->n_wait -= n;
}

void disk_binding(struct world *w, const struct binding_row *row, bool gone)
{
	struct disk *d = &w->disk;
	if (!d->on)
		return;
	sync_due(w);
	if (d->n_wait == d->cap_wait) {
		d->cap_wait = d->cap_wait ? d->cap_wait * 2 : 64;
		d->wait = world_grown(d->wait, d->cap_wait * sizeof *d->wait);
	}
	d->wait[d->n_wait++] = (struct binding_write){w->now + BINDING_BEHIND_US, gone, *row};
}

/* ---- the crash -------------------------------------------------------------------------------------------------------- */

void disk_tear(struct world *w)
{
	struct disk *d = &w->disk;
	uint32_t keep = d->n_cdr ? (uint32_t)rng_below(&w->rng_store, d->n_cdr + 1) : 0;
	for (uint32_t i = 0; i < keep; i++)
		cdr_synced(w, &d->cdr[i]);
	d->n_cdr = 0;
	sync_due(w);
	keep = d->n_wait ? (uint32_t)rng_below(&w->rng_store, d->n_wait + 1) : 0;
	for (uint32_t i = 0; i < keep; i++)
		binding_synced(d, &d->wait[i]);
	d->n_wait = 0;
	disk_subs_tear(w);
}

/* At the next start: what is there is there; open rows are closed as interrupted, as store_close_open_cdrs does. */
void disk_reopen(struct world *w)
{
	disk_clock(w);
	for (uint32_t i = 0; i < w->cdr.n; i++) {
		struct cdr_seen *r = &w->cdr.row[i];
		if (r->gone || r->disk.closed)
			continue;
		if (r->closes == 0)
			w->cdr.open--;
		r->closes = 1;
		r->gone = !r->disk.there;
		if (r->answered && w->crashed_us - r->answered_us > 100000 && !r->disk.answered)
			violation(w, "leg %u of %s was answered %lld ms before the crash, and its CDR is %s", r->leg_no, r->ext,
				  (long long)(w->crashed_us - r->answered_us) / 1000, r->gone ? "lost" : "one of an unanswered call");
		r->answered = r->disk.answered;
		r->cause = CDR_INTERRUPTED;
		r->disk.closed = true;
		w->res.interrupted += !r->gone;
	}
}

void disk_free(struct world *w)
{
	free(w->disk.cdr);
	free(w->disk.bind);
	free(w->disk.wait);
	disk_subs_free(w);
}

/* What is really on the virtual disk, and what a crash leaves of it. Writes wait for their group commit; a crash keeps a
 * random first part of those that wait and forgets the rest, as SQLite's log does with whole transactions. */
#include "sim/world.h"

#include <stdlib.h>

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

/* ---- what is written behind -------------------------------------------------------------------------------------------------- */

static bool same_binding(const void *x, const void *y)
{
	const struct binding_row *a = x, *b = y;
	return strcmp(a->extension, b->extension) == 0 && strcmp(a->contact, b->contact) == 0 && strcmp(a->instance, b->instance) == 0;
}

static bool same_sub(const void *x, const void *y)
{
	const struct subscription_row *a = x, *b = y;
	return strcmp(a->local_tag, b->local_tag) == 0;
}

static bool same_ban(const void *x, const void *y)
{
	const struct ban_row *a = x, *b = y;
	return addr_same_ip(&a->source, &b->source);
}

void disk_init(struct disk *d)
{
	d->bind = (struct sim_behind){.row_bytes = sizeof(struct binding_row), .same = same_binding};
	d->sub = (struct sim_behind){.row_bytes = sizeof(struct subscription_row), .same = same_sub};
	d->ban = (struct sim_behind){.row_bytes = sizeof(struct ban_row), .same = same_ban};
}

void disk_clock(struct world *w)
{
	struct disk *d = &w->disk;
	int64_t by_ms = (w->wall_minus_mono - d->wall_minus_mono) / 1000;
	for (uint32_t i = 0; by_ms && i < d->bind.n; i++)
		((struct binding_row *)behind_row(&d->bind, i))->expires_wall_ms += by_ms;
	for (uint32_t i = 0; by_ms && i < d->sub.n; i++) {
		((struct subscription_row *)behind_row(&d->sub, i))->expires_wall_ms += by_ms;
		((struct subscription_row *)behind_row(&d->sub, i))->written_wall_ms += by_ms;
	}
	for (uint32_t i = 0; by_ms && i < d->ban.n; i++)
		((struct ban_row *)behind_row(&d->ban, i))->until_wall_ms += by_ms;
	d->wall_minus_mono = w->wall_minus_mono;
}

/* ---- the crash -------------------------------------------------------------------------------------------------------- */

void disk_tear(struct world *w)
{
	struct disk *d = &w->disk;
	uint32_t keep = d->n_cdr ? (uint32_t)rng_below(&w->rng_store, d->n_cdr + 1) : 0;
	for (uint32_t i = 0; i < keep; i++)
		cdr_synced(w, &d->cdr[i]);
	d->n_cdr = 0;
	behind_tear(w, &d->bind);
	behind_tear(w, &d->sub);
	behind_tear(w, &d->ban);
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
	behind_free(&w->disk.bind);
	behind_free(&w->disk.sub);
	behind_free(&w->disk.ban);
}

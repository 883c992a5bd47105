/* The store as the cell sees it: CDR rows with the time that a group commit takes. */
#include "sim/world.h"

#include <stdlib.h>

static void reindex(struct cdr_table *t)
{
	uint32_t n = t->n_index ? t->n_index * 2 : 1024;
	t->by_id = world_grown(t->by_id, n * sizeof *t->by_id);
	t->by_cid = world_grown(t->by_cid, n * sizeof *t->by_cid);
	memset(t->by_id, 0, n * sizeof *t->by_id);
	memset(t->by_cid, 0, n * sizeof *t->by_cid);
	t->n_index = n;
	for (uint32_t i = 0; i < t->n; i++) {
		struct cdr_seen *r = &t->row[i];
		r->next_id = t->by_id[r->id & (n - 1)];
		t->by_id[r->id & (n - 1)] = i + 1;
		r->next_cid = t->by_cid[r->cid & (n - 1)];
		t->by_cid[r->cid & (n - 1)] = i + 1;
	}
}

static struct cdr_seen *by_id(const struct cdr_table *t, uint64_t id)
{
	uint32_t i = t->n_index ? t->by_id[id & (t->n_index - 1)] : 0;
	while (i && t->row[i - 1].id != id)
		i = t->row[i - 1].next_id;
	return i ? &t->row[i - 1] : NULL;
}

static void put_cid(struct cdr_table *t, struct cdr_seen *r, uint64_t cid)
{
	r->cid = cid;
	r->next_cid = t->by_cid[cid & (t->n_index - 1)];
	t->by_cid[cid & (t->n_index - 1)] = (uint32_t)(r - t->row) + 1;
}

static struct cdr_seen *add(struct world *w, const struct cdr_row *row, uint64_t id, uint64_t cid)
{
	struct cdr_table *t = &w->cdr;
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 1024;
		t->row = world_grown(t->row, t->cap * sizeof *t->row);
	}
	if (t->n + 1 > t->n_index)
		reindex(t);
	struct cdr_seen *r = &t->row[t->n++];
	*r = (struct cdr_seen){.id = id, .call = world_hash(w, span_z(row->call)), .leg_no = row->leg_no, .direction = row->direction,
			       .start_wall_ms = row->start_wall_ms, .opened_us = w->now};
	memcpy(r->ext, row->extension, sizeof r->ext);
	r->ext[sizeof r->ext - 1] = 0;
	r->next_id = t->by_id[id & (t->n_index - 1)];
	t->by_id[id & (t->n_index - 1)] = t->n;
	put_cid(t, r, cid);
	t->open++;
	return r;
}

const struct cdr_seen *store_find(const struct world *w, struct span call_id, uint32_t *n)
{
	const struct cdr_table *t = &w->cdr;
	uint64_t cid = world_hash(w, call_id);
	const struct cdr_seen *found = NULL;
	*n = 0;
	for (uint32_t i = t->n_index ? t->by_cid[cid & (t->n_index - 1)] : 0; i; i = t->row[i - 1].next_cid) {
		if (t->row[i - 1].cid != cid || t->row[i - 1].gone)
			continue;
		found = &t->row[i - 1];
		++*n;
	}
	return found;
}

static void check_row(struct world *w, const struct cdr_seen *r, const struct cdr_row *row)
{
	if (r->closes > 0)
		violation(w, "CDR %s is written again after it was closed", row->id);
	if (r->start_wall_ms != row->start_wall_ms || r->leg_no != row->leg_no)
		violation(w, "CDR %s: start or leg number changed", row->id);
	if (!row->closed)
		return;
	if (row->cause == CDR_NONE)
		violation(w, "CDR %s of leg %u is closed without a cause", row->id, row->leg_no);
	if (row->talk_ms < 0 || row->ring_ms < 0 || (row->talk_ms > 0 && row->answer_wall_ms == 0))
		violation(w, "CDR %s: durations ring %lld ms talk %lld ms do not fit its times", row->id, (long long)row->ring_ms,
			  (long long)row->talk_ms);
	if (row->talk_ms > w->now / 1000 - r->opened_us / 1000 + 1)
		violation(w, "CDR %s: talked %lld ms, longer than the leg lived", row->id, (long long)row->talk_ms);
}

void store_cdr(struct world *w, uint64_t token, const struct cdr_row *row)
{
	uint64_t id = world_hash(w, span_z(row->id));
	uint64_t cid = row->sip_call_id[0] ? world_hash(w, span_z(row->sip_call_id)) : 0;
	struct cdr_seen *r = by_id(&w->cdr, id);
	if (!r)
		r = add(w, row, id, cid);
	else if (r->cid == 0 && cid)
		put_cid(&w->cdr, r, cid);
	check_row(w, r, row);
	r->emits++;
	if (row->answer_wall_ms && !r->answered)
		r->answered_us = w->now;
	r->answered = row->answer_wall_ms != 0;
	r->talk_ms = row->talk_ms;
	r->cause = row->cause;
	r->status = row->sip_status;
	r->ended_by = row->ended_by;
	if (row->closed && r->closes++ == 0) {
		r->closed_us = w->now;
		w->cdr.open--;
	}
	disk_cdr_queued(w, token, (uint32_t)(r - w->cdr.row), &(struct cdr_state){true, row->closed, r->answered});
	w->persist_pending++;
	world_at(w, w->now + 2000 + (int64_t)rng_below(&w->rng_store, 48000), EV_PERSISTED, token, w->epoch, NULL);
}

void store_free(struct world *w)
{
	disk_free(w);
	free(w->cdr.row);
	free(w->cdr.by_id);
	free(w->cdr.by_cid);
}

/* What is written behind: registrations, subscriptions, bans. Queued by the cell's thread, written by the writer in batches to
 * registrations.db (FULL: with NORMAL a power cut takes all since the last checkpoint), one transaction for all three. Rows stay queued until they are written. */
#include <stdlib.h>

#include "store/store_int.h"

struct binding_item {
	bool gone;
	struct binding_row row;
};
struct sub_item {
	bool gone;
	struct subscription_row row;
};
struct ban_item {
	bool gone;
	struct ban_row row;
};

static int apply_binding(struct store *s, const void *item)
{
	const struct binding_item *it = item;
	sqlite3_stmt *st = s->rg[it->gone ? RG_DROP : RG_PUT];
	if (it->gone) {
		store_bind_text(st, 1, it->row.extension);
		store_bind_text(st, 2, it->row.contact);
		store_bind_text(st, 3, it->row.instance);
	} else {
		store_bind_binding(st, &it->row);
	}
	return store_run(st);
}

static int apply_sub(struct store *s, const void *item)
{
	const struct sub_item *it = item;
	sqlite3_stmt *st = s->rg[it->gone ? RG_SUB_DROP : RG_SUB_PUT];
	if (it->gone)
		store_bind_text(st, 1, it->row.local_tag);
	else
		store_bind_sub(st, &it->row);
	return store_run(st);
}

static int apply_ban(struct store *s, const void *item)
{
	const struct ban_item *it = item;
	sqlite3_stmt *st = s->rg[it->gone ? RG_BAN_DROP : RG_BAN_PUT];
	store_bind_ban(st, &it->row, it->gone);
	return store_run(st);
}

static const struct {
	uint32_t cap, item_bytes;
	int (*apply)(struct store *s, const void *item);
} kinds[BEHIND_N] = {
	[BEHIND_BINDING] = {4096, sizeof(struct binding_item), apply_binding},
	[BEHIND_SUB] = {2048, sizeof(struct sub_item), apply_sub}, /* sip/event gives out 4,000 a second at most, a window is 300 ms */
	[BEHIND_BAN] = {256, sizeof(struct ban_item), apply_ban},
};

static uint32_t waiting(const struct behind *q)
{
	return q->head - q->tail;
}

static void *item_at(const struct store *s, enum behind_kind k, uint32_t i)
{
	return s->behind[k].items + (size_t)(i % kinds[k].cap) * kinds[k].item_bytes;
}

/* spare: places left free for others. */
static int put(struct store *s, enum behind_kind k, const void *item, uint32_t spare)
{
	struct behind *q = &s->behind[k];
	int rc = -1;
	pthread_mutex_lock(&s->lock);
	if (waiting(q) < kinds[k].cap - spare) {
		memcpy(item_at(s, k, q->head++), item, kinds[k].item_bytes);
		store_wake_writer(s, waiting(q) == BEHIND_BATCH ? 0 : store_now_ms() + BEHIND_WINDOW_MS);
		rc = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int put_binding(struct store *s, const struct binding_row *b, bool gone)
{
	const struct binding_item it = {gone, *b};
	return put(s, BEHIND_BINDING, &it, 0);
}

static int put_sub(struct store *s, const struct subscription_row *r, bool gone)
{
	const struct sub_item it = {gone, *r};
	return put(s, BEHIND_SUB, &it, 0);
}

static int put_ban(struct store *s, const struct ban_row *r, bool gone)
{
	const struct ban_item it = {gone, *r};
	return put(s, BEHIND_BAN, &it, gone ? 0 : 64); /* strangers fill it with bans; a release must find room */
}

int store_put_binding(struct store *s, const struct binding_row *b)
{
	return put_binding(s, b, false);
}

int store_drop_binding(struct store *s, const struct binding_row *b)
{
	return put_binding(s, b, true);
}

int store_put_subscription(struct store *s, const struct subscription_row *r)
{
	return put_sub(s, r, false);
}

int store_drop_subscription(struct store *s, const struct subscription_row *r)
{
	return put_sub(s, r, true);
}

int store_put_ban(struct store *s, const struct ban_row *r)
{
	return put_ban(s, r, false);
}

int store_drop_ban(struct store *s, const struct ban_row *r)
{
	return put_ban(s, r, true);
}

/* ---- the writer's side ---- */

int store_behind_init(struct store *s)
{
	for (int k = 0; k < BEHIND_N; k++)
		if (!(s->behind[k].items = calloc(kinds[k].cap, kinds[k].item_bytes)))
			return -1;
	return 0;
}

void store_behind_free(struct store *s)
{
	for (int k = 0; k < BEHIND_N; k++)
		free(s->behind[k].items);
}

uint32_t store_behind_waiting(const struct store *s, bool *batch_full)
{
	uint32_t n = 0;
	*batch_full = false;
	for (int k = 0; k < BEHIND_N; k++) {
		n += waiting(&s->behind[k]);
		*batch_full = *batch_full || waiting(&s->behind[k]) >= BEHIND_BATCH;
	}
	return n;
}

static bool write_some(struct store *s, const uint32_t n[BEHIND_N])
{
	bool ok = store_clock_follow(s) == 0 && store_run(s->rg[RG_BEGIN]) == 0;
	for (enum behind_kind k = 0; k < BEHIND_N; k++) /* the writer alone moves the tails: no lock is needed to read */
		for (uint32_t i = 0; ok && i < n[k]; i++)
			ok = kinds[k].apply(s, item_at(s, k, s->behind[k].tail + i)) == 0;
	if (ok && n[BEHIND_BAN])
		ok = store_prune_bans(s) == 0;
	return ok && store_run(s->rg[RG_COMMIT]) == 0;
}

void store_behind_commit(struct store *s)
{
	uint32_t n[BEHIND_N];
	pthread_mutex_lock(&s->lock);
	for (int k = 0; k < BEHIND_N; k++)
		n[k] = waiting(&s->behind[k]) < BEHIND_BATCH ? waiting(&s->behind[k]) : BEHIND_BATCH;
	pthread_mutex_unlock(&s->lock);
	bool ok = write_some(s, n);
	if (!ok) {
		store_note_failure(s, s->reg, "store.registrations_failed", &s->behind_failing);
		int code = sqlite3_errcode(s->reg) & 0xff;
		if (!sqlite3_get_autocommit(s->reg))
			store_run(s->rg[RG_ROLLBACK]);
		if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
			store_heal_registrations(s);
	} else {
		s->behind_failing = false;
	}
	pthread_mutex_lock(&s->lock);
	for (int k = 0; k < BEHIND_N; k++)
		s->behind[k].tail += ok ? n[k] : 0;
	s->stats.bindings_written += ok ? n[BEHIND_BINDING] : 0;
	s->stats.commits += ok;
	s->stats.failures += !ok;
	pthread_mutex_unlock(&s->lock);
}

/* Consistency of everything that points at something else. For tests and the simulator. */
#include "pbx/cell_internal.h"
#include "sip/event/event.h"

#define MUST(cond, what)                                                                                               \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			return what;                                                                                   \
	} while (0)

static const char *check_bindings(const struct cell *c)
{
	uint32_t n = 0, it = 0, in_aors = 0, with_conn = 0;
	const struct binding *prev = NULL;
	for (const struct binding *b = c->bind_first; b; prev = b, b = b->all_next, n++) {
		MUST(n < c->bindings.used, "bindings: more in the list than live");
		MUST(b->all_prev == prev, "bindings: broken list");
		MUST(!prev || prev->seq < b->seq, "bindings: out of order");
		MUST(b->aor && aor_find(c, span_z(b->aor->number)) == b->aor, "binding: its AOR is not indexed");
		MUST(timer_is_set(&b->expiry), "binding: no expiry timer");
		MUST(b->len[BIND_CONTACT], "binding: no contact");
		MUST(!b->conn_at == !b->flow.conn && (!b->conn_at || *b->conn_at == b), "binding: not found by its connection");
		with_conn += b->flow.conn != 0;
	}
	for (uint32_t i = 0; i < CONN_BUCKETS; i++)
		for (const struct binding *b = c->bind_by_conn[i]; b; b = b->conn_next, with_conn--)
			MUST(with_conn && b->flow.conn % CONN_BUCKETS == i, "binding: in a strange bucket");
	MUST(!with_conn, "bindings: some are not found by their connection");
	MUST(n == c->bindings.used && prev == c->bind_last, "bindings: list and pool differ");
	for (const struct aor *a; (a = map_next(&c->aor_map, &it));) {
		uint32_t k = 0;
		for (const struct binding *b = a->first; b; b = b->next, k++)
			MUST(b->aor == a && k < a->n, "aor: a strange binding");
		MUST(k == a->n && k > 0, "aor: wrong count");
		MUST(k <= c->o.limits.max_bindings_per_extension, "aor: too many bindings");
		in_aors += k;
	}
	MUST(in_aors == n && map_count(&c->aor_map) == c->aors.used, "aors: map and pool differ");
	return NULL;
}

static bool waits_for_something(const struct leg *l)
{
	switch (l->state) {
	case LEG_GONE: return l->cdr && timer_is_set(&l->stats);
	case LEG_CLOSING: return l->bye != 0 || timer_is_set(&l->retry);
	case LEG_IN_LEAVING: case LEG_IN_ANSWERED: return l->unacked != 0;
	case LEG_IN_TRYING: case LEG_IN_RINGING: case LEG_OUT_CALLING: case LEG_OUT_RINGING: case LEG_OUT_CANCELLING: return l->inv != 0;
	case LEG_UP: return !l->ended;
	case LEG_STATES: return false;
	}
	return false;
}

static const char *check_leg(const struct cell *c, const struct leg *l)
{
	MUST(pool_get(&c->legs, l->h) == l, "leg: wrong handle");
	MUST(leg_by_tag(c, span_z(l->tag)) == l, "leg: its tag is not indexed");
	MUST(!l->merge || map_get(&c->merges, span_mem(&l->merge, sizeof l->merge)) == l, "leg: its merge key is not indexed");
	MUST(waits_for_something(l), "leg: waits for nothing");
	MUST(!l->ended || l->state != LEG_UP, "leg: ended but up");
	MUST(l->ended || l->state != LEG_GONE, "leg: gone but not ended");
	MUST(!l->cdr || !l->cdr->row.closed, "leg: holds a closed record");
	MUST(!l->reaped, "leg: left on the reap list");
	MUST(!(l->re_in && l->re_out), "leg: two exchanges at once");
	MUST(!l->re_out || l->offer.state == OFFER_LOCAL || l->state != LEG_UP, "leg: re-INVITE without offer");
	if (l->slot == MEDIA_NO_SLOT)
		return NULL;
	const struct slot *s = &c->workers[l->slot >> 16].slots[l->slot & 0xffff];
	MUST(s->leg == l->h, "leg: its slot is another's");
	MUST(s->state == (l->ended ? SLOT_CLOSING : SLOT_USED), "leg: its slot is in the wrong state");
	return NULL;
}

static const char *check_call(const struct cell *c, const struct call *k, uint32_t *legs, uint32_t *dialogs)
{
	uint32_t n = 0, alive = 0;
	bool caller = !k->caller, winner = !k->winner, early = !k->early;
	for (const struct leg *l = k->first; l; l = l->next) {
		MUST(l->call == k && n++ < k->n_legs, "call: a strange leg");
		const char *bad = check_leg(c, l);
		MUST(!bad, bad);
		caller = caller || l == k->caller;
		winner = winner || l == k->winner;
		early = early || l == k->early;
		alive += !l->ended;
		*dialogs += l->dlg.state != DIALOG_NONE;
	}
	MUST(n == k->n_legs && n > 0, "call: wrong number of legs");
	MUST(caller && winner && early, "call: points at a leg that is not its own");
	MUST(k->state != CALL_ENDED || alive == 0, "call: ended with a living leg");
	MUST(!k->referring || (k->state == CALL_UP && k->refer_kept && !k->refer_kept->ended), "call: a transfer of nobody");
	MUST(!k->referring || (!k->refer_by || call_peer(k->refer_by) == k->refer_kept), "call: a transfer by a stranger");
	uint32_t talking = k->test ? 1u : 2u;
	if (k->referring) /* one who waits, perhaps who sent it away, and phones that ring */
		MUST(alive >= (k->refer_by ? 3u : 2u), "call: a transfer to nobody");
	else
		MUST(k->state != CALL_UP || alive == talking, "call: up without its parties");
	MUST(timer_is_set(&k->ring) == (k->state == CALL_SETUP || k->state == CALL_RINGING || k->referring), "call: ring timer and state differ");
	*legs += n;
	return NULL;
}

static const char *check_calls(const struct cell *c)
{
	uint32_t n = 0, legs = 0, dialogs = 0;
	const struct call *prev = NULL;
	for (const struct call *k = c->call_first; k; prev = k, k = k->next, n++) {
		MUST(k->prev == prev && n < c->calls.used, "calls: broken list");
		const char *bad = check_call(c, k, &legs, &dialogs);
		MUST(!bad, bad);
	}
	MUST(n == c->calls.used && prev == c->call_last, "calls: list and pool differ");
	MUST(legs == c->legs.used && legs == map_count(&c->tags), "legs: calls, pool and tags differ");
	MUST(dialogs == c->dialogs, "dialogs: wrong count");
	return NULL;
}

static const char *check_slots(const struct cell *c)
{
	uint32_t used = 0;
	for (int w = 0; w < MAX_WORKERS; w++) {
		const struct worker *k = &c->workers[w];
		uint32_t n_free = 0, n_listed = 0;
		for (uint32_t i = 0; i < k->n; i++) {
			const struct slot *s = &k->slots[i];
			const struct leg *l = pool_get(&c->legs, s->leg);
			n_free += s->state == SLOT_FREE;
			MUST(s->state != SLOT_USED || (l && l->slot == ((uint32_t)w << 16 | i)), "slot: used by nobody");
		}
		for (uint32_t i = k->free_first; i && n_listed <= k->n; i = k->slots[i - 1].next, n_listed++)
			MUST(k->slots[i - 1].state == SLOT_FREE, "slot: in the free list but in use");
		MUST(n_listed == n_free && n_free == k->n_free, "slots: free list is wrong");
		used += k->n - n_free;
	}
	MUST(used == c->slots_used, "slots: wrong count");
	return NULL;
}

static const char *check_cdrs(const struct cell *c)
{
	uint32_t it = 0, listed = 0, open = 0, pending = 0;
	const struct cdr_record *prev = NULL;
	for (const struct cdr_record *r = c->cdr_first; r; prev = r, r = r->next, listed++)
		MUST(r->prev == prev && r->row.closed && r->listed, "cdr: broken list");
	MUST(listed == c->cdr_listed && prev == c->cdr_last, "cdr: list has the wrong length");
	for (const struct cdr_record *r; (r = pool_next(&c->cdrs, &it));) {
		open += !r->row.closed;
		pending += r->pending;
		MUST(!r->row.closed || r->listed, "cdr: closed and forgotten");
		MUST(!(r->row.closed || r->pending) || timer_is_set(&r->retry), "cdr: nobody stores it");
	}
	MUST(open == c->cdr_open && open + listed == c->cdrs.used, "cdr: wrong count");
	MUST(pending == map_count(&c->cdr_tokens), "cdr: tokens differ");
	return NULL;
}

const char *cell_check(const struct cell *c)
{
	const char *(*const checks[])(const struct cell *) = {check_bindings, check_calls, check_slots, check_cdrs};
	for (size_t i = 0; i < COUNT_OF(checks); i++) {
		const char *bad = checks[i](c);
		MUST(!bad, bad);
	}
	const char *events = event_check(c->events);
	MUST(!events, events);
	MUST(map_count(&c->known_map) == c->known.used, "known devices: map and pool differ");
	return NULL;
}

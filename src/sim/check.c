/* What must hold at all times, and what must be gone in the end. */
#include "sim/world.h"

enum { LINGER_US = 70 * US_PER_S }; /* 64 T1 and the layers above it */

void check_note_request(struct world *w, struct sim_phone *p, struct span bytes)
{
	struct sip_msg m;
	struct sip_error err;
	if (bytes.n < 8 || span_starts(bytes, SPAN_LIT("SIP/")) || sip_parse(&m, bytes, &err) != 0)
		return;
	p->asked[p->n_asked++ % SIM_ASKED] = (struct asked){world_hash(w, m.via.branch), world_hash(w, m.call_id), world_hash(w, m.from.tag), m.cseq};
}

static void check_answer(struct world *w, const struct sip_flow *to, const struct sip_msg *m)
{
	const struct sim_phone *p = net_phone_of(w, &to->remote);
	uint64_t branch = world_hash(w, m->via.branch);
	for (uint32_t i = 0; p && i < SIM_ASKED; i++) {
		const struct asked *a = &p->asked[i];
		if (a->branch != branch)
			continue;
		if (a->cseq != m->cseq || a->call_id != world_hash(w, m->call_id) || a->from_tag != world_hash(w, m->from.tag))
			violation(w, "the answer %u to %s has another CSeq, Call-ID or From tag than the request", m->status, p->ext);
		return;
	}
}

/* Read with the strict parser of the house: what it refuses no phone has to understand. */
void check_sip(struct world *w, const struct sip_flow *to, struct span bytes)
{
	struct sip_msg m;
	struct sip_error err;
	if (to->remote.port == 0 || to->remote.family == 0)
		violation(w, "cell sends to no address");
	if (bytes.n <= 4)
		return; /* keep-alive */
	if (sip_parse(&m, bytes, &err) != 0) {
		violation(w, "cell sends what cannot be read: %s at byte %zu", err.reason, err.offset);
		return;
	}
	if (!m.is_request)
		check_answer(w, to, &m);
	const struct sip_hdr *cl = sip_hdr(&m, SIP_H_CONTENT_LENGTH);
	uint64_t n = 0;
	if (!cl || span_u64(cl->value, SIP_MAX_MESSAGE, &n) != 0 || n != (uint64_t)(bytes.p + bytes.n - m.body.p))
		violation(w, "cell sends a %s with a Content-Length that is not its body's", m.is_request ? sip_method_name(m.method) : "response");
	if (m.is_request && m.max_forwards < 0)
		violation(w, "cell sends a request without Max-Forwards");
	if (m.is_request && m.method == SIP_NOTIFY)
		check_note_register(w); /* it waits 32 s for its answer */
}

static void forget_registers(struct world *w)
{
	int64_t s = w->now / US_PER_S;
	if (s - w->registers_s > 63)
		w->registers_s = s - 64;
	while (w->registers_s < s)
		w->registers[++w->registers_s % 64] = 0;
}

void check_note_register(struct world *w)
{
	forget_registers(w);
	w->registers[w->registers_s % 64]++;
}

/* Server transactions of REGISTER and SUBSCRIBE live on for 32 s (Timer J), a NOTIFY as long at most; nothing else may be there in a quiet world. */
static uint32_t register_txns(struct world *w)
{
	uint32_t n = 0;
	forget_registers(w);
	for (int i = 0; i < 40; i++)
		n += w->registers[(w->registers_s + 64 - i) % 64];
	return n;
}

void check_media(struct world *w, const struct media_cmd *c)
{
	if (c->seq != w->media_seq + 1 && w->media_seq != 0)
		violation(w, "media command %llu follows %llu", (unsigned long long)c->seq, (unsigned long long)w->media_seq);
	w->media_seq = c->seq;
	if (c->slot >= w->n_slots) {
		violation(w, "media command for slot %u which is not there", c->slot);
		return;
	}
	bool open = w->slot_open[c->slot] != 0;
	if (c->op == MEDIA_OPEN) {
		if (open)
			violation(w, "slot %u is opened twice", c->slot);
		w->slots_open += !open;
		w->slot_open[c->slot] = 1;
		return;
	}
	if (!open)
		violation(w, "media command %d for slot %u which is not open", (int)c->op, c->slot);
	if (c->op == MEDIA_BRIDGE && (c->peer_slot >= w->n_slots || !w->slot_open[c->peer_slot]))
		violation(w, "slot %u is bridged to slot %u which is not open", c->slot, c->peer_slot);
	if (c->op == MEDIA_CLOSE && open) {
		w->slot_open[c->slot] = 0;
		w->slots_open--;
	}
}

static bool phone_has(struct world *w, const struct sim_phone *p, uint64_t cid)
{
	struct vphone_view v;
	vphone_view_quick(p->v, &v);
	for (int i = 0; i < v.n_calls; i++)
		if (world_hash(w, vphone_call_id(p->v, i)) == cid)
			return true;
	return false;
}

/* Seen twice, a minute apart, it is not a message on its way. */
void check_open_legs(struct world *w)
{
	struct cdr_table *t = &w->cdr;
	while (t->first_open < t->n && t->row[t->first_open].closes)
		t->first_open++;
	for (uint32_t i = t->first_open; i < t->n; i++) {
		struct cdr_seen *r = &t->row[i];
		bool there = false;
		if (r->closes || !r->cid || w->now - r->opened_us < US_PER_S)
			continue;
		for (uint32_t k = 0; k < w->n_phones && !there; k++)
			there = w->phone[k].v && strcmp(w->phone[k].ext, r->ext) == 0 && phone_has(w, &w->phone[k], r->cid);
		if (!there && r->suspect)
			violation(w, "the switch holds leg %u of %s, its phone does not", r->leg_no, r->ext);
		r->suspect = !there;
	}
}

static void check_phones(struct world *w)
{
	for (uint32_t i = 0; i < w->n_phones; i++) {
		struct sim_phone *p = &w->phone[i];
		uint32_t dialogs, txns, ports;
		if (!p->v || w->now - p->changed_at < LINGER_US)
			continue;
		struct vphone_view v;
		vphone_view_quick(p->v, &v);
		if (v.n_calls > 0)
			continue;
		vphone_live(p->v, &dialogs, &txns, &ports);
		if (dialogs || txns || ports)
			violation(w, "phone %s idles with %u dialogs, %u transactions, %u RTP ports", p->ext, dialogs, txns, ports);
	}
}

void check_periodic(struct world *w, bool full)
{
	if (!w->cell)
		return;
	const char *bad = cell_check(w->cell);
	if (bad)
		violation(w, "cell: %s", bad);
	if (!full)
		return;
	struct cell_counts c = cell_counts(w->cell);
	if (w->slots_open > c.slots_used)
		violation(w, "%u slots are open, the cell knows of %u", w->slots_open, c.slots_used);
	if (c.cdr_open > c.legs)
		violation(w, "%u CDRs are open for %u legs", c.cdr_open, c.legs);
	if (w->cdr.open > c.legs + w->persist_pending)
		violation(w, "the store has %u open rows, the cell %u legs", w->cdr.open, c.legs);
}

void check_quiet(struct world *w, const char *when)
{
	if (!w->cell)
		return;
	struct cell_counts c = cell_counts(w->cell);
	if (c.calls || c.legs || c.dialogs || c.slots_used || c.cdr_open)
		violation(w, "%s: cell still holds %u calls, %u legs, %u dialogs, %u slots, %u open CDRs", when, c.calls, c.legs, c.dialogs,
			  c.slots_used, c.cdr_open);
	if (c.cdr_unconfirmed > w->persist_pending)
		violation(w, "%s: %u CDRs wait for the store, which has %u", when, c.cdr_unconfirmed, w->persist_pending);
	if (w->slots_open)
		violation(w, "%s: %u slots of the media graph are open", when, w->slots_open);
	if (w->cdr.open)
		violation(w, "%s: %u CDR rows never closed", when, w->cdr.open);
	if (c.txns > register_txns(w))
		violation(w, "%s: cell still holds %u transactions", when, c.txns);
	check_phones(w);
	check_periodic(w, true);
}

/* The rows of one call must be its legs, each once. Rows of a call stand close together: look back a little. */
static void check_rows(struct world *w)
{
	const struct cdr_table *t = &w->cdr;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct cdr_seen *r = &t->row[i];
		if (r->gone)
			continue;
		if (r->closes != 1)
			violation(w, "CDR of leg %u of %s was closed %u times", r->leg_no, r->ext, r->closes);
		for (uint32_t k = i; k-- > 0 && i - k < 4096;)
			if (!t->row[k].gone && t->row[k].call == r->call && t->row[k].leg_no == r->leg_no)
				violation(w, "two CDRs for leg %u of one call of %s", r->leg_no, r->ext);
	}
}

/* The same phone with the same Call-ID: at most one of its rows is more than a try that a crash cut off (pbx/cell.h). */
static void check_tries(struct world *w)
{
	const struct cdr_table *t = &w->cdr;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct cdr_seen *r = &t->row[i];
		if (!r->cid || r->gone || (r->cause == CDR_INTERRUPTED && !r->answered))
			continue;
		for (uint32_t k = r->next_cid; k; k = t->row[k - 1].next_cid) {
			const struct cdr_seen *o = &t->row[k - 1];
			if (o->cid == r->cid && !o->gone && o->direction == r->direction && !(o->cause == CDR_INTERRUPTED && !o->answered))
				violation(w, "two CDRs for one leg of %s over a crash: causes %u and %u", r->ext, o->cause, r->cause);
		}
	}
}

void check_end(struct world *w)
{
	check_quiet(w, "at the end");
	struct cell_counts c = cell_counts(w->cell);
	if (w->o.net.loss == 0 && w->o.net.dup == 0 && w->o.net.delay_us + w->o.net.jitter_us < 20000 && c.retransmits > 0)
		violation(w, "cell retransmitted %llu times on a network that loses nothing", (unsigned long long)c.retransmits);
	check_rows(w);
	check_tries(w);
}

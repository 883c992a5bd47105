/* Call detail records: one row per leg, sent when it opens, when it is answered and when it closes, and again until the
 * store has it (R9): after a refusal, and after five minutes without a word, should that have been lost on its way. Durations come from the monotonic clock (R15). */
#include "pbx/cell_internal.h"

enum { BACKOFF_MAX_S = 60, NO_ROOM_S = 1, SILENT_S = 300 };

static void list_add(struct cell *c, struct cdr_record *r)
{
	r->listed = true;
	r->prev = c->cdr_last;
	*(c->cdr_last ? &c->cdr_last->next : &c->cdr_first) = r;
	c->cdr_last = r;
	c->cdr_listed++;
}

static void list_remove(struct cell *c, struct cdr_record *r)
{
	*(r->prev ? &r->prev->next : &c->cdr_first) = r->next;
	*(r->next ? &r->next->prev : &c->cdr_last) = r->prev;
	r->next = r->prev = NULL;
	r->listed = false;
	c->cdr_listed--;
}

static struct span token_key(const struct cdr_record *r)
{
	return span_mem(&r->token, sizeof r->token);
}

static void forget(struct cell *c, struct cdr_record *r)
{
	if (r->pending)
		map_remove(&c->cdr_tokens, token_key(r));
	if (r->listed)
		list_remove(c, r);
	wheel_cancel(&c->wheel, &r->retry);
	pool_delete(&c->cdrs, pool_handle(&c->cdrs, r));
}

/* The newest state of the row, under a token of its own: a late word about an older one is told apart. */
void cdr_emit(struct cell *c, struct cdr_record *r)
{
	wheel_cancel(&c->wheel, &r->retry);
	if (r->pending)
		map_remove(&c->cdr_tokens, token_key(r));
	r->token = ++c->cdr_token;
	r->pending = map_put(&c->cdr_tokens, token_key(r), r) == 0;
	r->retry.kind = TIMER_CDR;
	wheel_set(&c->wheel, &r->retry, c->now_us + (r->pending ? SILENT_S : NO_ROOM_S) * SECOND_US);
	if (!r->pending) /* the store's word would find nobody: later, then */
		return;
	struct cell_out out = {.kind = CELL_OUT_CDR, .u.cdr = {r->token, &r->row, r->told}};
	r->told = true;
	cell_emit(c, &out);
}

/* The first refusal at once, then at most one line a second for all of them. */
static void tell_not_stored(struct cell *c, const struct cdr_record *r)
{
	c->not_stored++;
	if (c->not_stored_us && c->now_us - c->not_stored_us < SECOND_US)
		return;
	cell_log(c, LOG_ERROR, "cdr.not_stored", LOG_Z("call", r->row.call), LOG_I("leg", r->row.leg_no), LOG_Z("extension", r->row.extension), LOG_I("times", c->not_stored), LOG_I("waiting", c->cdr_listed));
	c->not_stored_us = c->now_us;
	c->not_stored = 0;
}

bool cdr_behind(const struct cell *c)
{
	return c->cdr_listed >= c->o.limits.max_unconfirmed - c->o.limits.max_unconfirmed / 10;
}

void cdr_persisted(struct cell *c, uint64_t token, bool ok)
{
	struct cdr_record *r = map_get(&c->cdr_tokens, span_mem(&token, sizeof token));
	if (!r)
		return;
	map_remove(&c->cdr_tokens, token_key(r));
	r->pending = false;
	wheel_cancel(&c->wheel, &r->retry);
	if (ok) {
		r->failures = 0;
		if (r->row.closed)
			forget(c, r);
		return;
	}
	int64_t wait_s = r->failures < 6 ? INT64_C(1) << r->failures : BACKOFF_MAX_S;
	if (r->failures < UINT8_MAX)
		r->failures++;
	tell_not_stored(c, r);
	wheel_set(&c->wheel, &r->retry, c->now_us + wait_s * SECOND_US);
}

static void put_remote(const struct leg *l, struct cdr_row *row)
{
	struct text t = text_on(row->remote, sizeof row->remote);
	addr_put(&t, &l->flow.remote);
	text_putc(&t, '/');
	text_z(&t, sip_transport_param(l->flow.transport));
	text_end(&t);
}

bool cdr_open(struct cell *c, struct leg *l, struct span device)
{
	handle h;
	struct cdr_record *r = pool_new(&c->cdrs, &h);
	const struct call *k = l->call;
	if (!r)
		return false;
	struct cdr_row *row = &r->row;
	struct text t = TEXT_ARRAY(row->call);
	call_id_text(c, k, &t);
	text_end(&t);
	t = TEXT_ARRAY(row->id);
	call_id_text(c, k, &t);
	text_putc(&t, '-');
	text_u64(&t, l->no);
	text_end(&t);
	row->leg_no = l->no;
	row->direction = l->inbound ? 0 : 1;
	memcpy(row->extension, l->ext, sizeof row->extension);
	(void)span_copyz(span_sub(device, 0, sizeof row->device - 1), row->device, sizeof row->device);
	memcpy(row->caller, k->caller_number, sizeof k->caller_number);
	memcpy(row->callee, k->callee, sizeof k->callee);
	memcpy(row->dialled, k->dialled, sizeof row->dialled);
	if (k->referring) { /* the target of a transfer: of whom, and as what it was dialled */
		memcpy(row->caller, k->refer_kept->ext, sizeof k->refer_kept->ext);
		memcpy(row->callee, l->ext, sizeof l->ext);
		memcpy(row->dialled, k->refer_to, sizeof row->dialled);
	}
	struct span call_id = l->inbound ? l->dlg.call_id : span_z(l->call_id);
	(void)span_copyz(span_sub(call_id, 0, sizeof row->sip_call_id - 1), row->sip_call_id, sizeof row->sip_call_id);
	put_remote(l, row);
	row->start_wall_ms = cell_wall_ms(c);
	row->direct_media = k->direct;
	l->cdr = r;
	c->cdr_open++;
	leg_log(c, l, l->inbound ? LOG_INFO : LOG_DEBUG, l->inbound ? "call.started" : "call.leg", LOG_Z("source", row->remote),
		LOG_Z("dialled", row->dialled), LOG_Z("sip_call_id", row->sip_call_id));
	cdr_emit(c, r);
	return true;
}

static void progress(struct cell *c, const struct leg *l, bool answered)
{
	struct cell_out out = {.kind = CELL_OUT_PROGRESS, .u.progress = {answered, c->now_us - l->started_us}};
	if (l->no == 0)
		cell_emit(c, &out);
}

void cdr_rang(struct cell *c, struct leg *l)
{
	if (l->rang_us || l->answered_us)
		return;
	l->rang_us = c->now_us;
	progress(c, l, false);
	leg_log(c, l, LOG_DEBUG, "call.ringing", LOG_I("after_ms", (c->now_us - l->started_us) / 1000));
	if (l->cdr)
		l->cdr->row.ring_wall_ms = cell_wall_ms(c);
}

void cdr_answered(struct cell *c, struct leg *l)
{
	if (l->answered_us || !l->cdr)
		return;
	l->answered_us = c->now_us;
	progress(c, l, true);
	leg_log(c, l, l->inbound ? LOG_INFO : LOG_DEBUG, "call.answered", LOG_I("after_ms", (c->now_us - l->started_us) / 1000));
	l->cdr->row.answer_wall_ms = cell_wall_ms(c);
	l->cdr->row.sip_status = 200;
	l->cdr->row.direct_media = l->call->direct;
	if (l->rang_us)
		l->cdr->row.ring_ms = (c->now_us - l->rang_us) / 1000;
	l->cdr->told = false;
	cdr_emit(c, l->cdr);
}

void cdr_end(struct cell *c, struct leg *l, uint16_t cause, uint16_t status, uint8_t by)
{
	struct cdr_row *row = l->cdr ? &l->cdr->row : NULL;
	if (!row)
		return;
	row->end_wall_ms = cell_wall_ms(c);
	row->cause = cause;
	if (status)
		row->sip_status = status;
	row->ended_by = by;
	if (l->answered_us)
		row->talk_ms = (c->now_us - l->answered_us) / 1000;
	else if (l->rang_us)
		row->ring_ms = (c->now_us - l->rang_us) / 1000;
}

void cdr_close(struct cell *c, struct leg *l, const struct media_stats *stats)
{
	struct cdr_record *r = l->cdr;
	if (!r || r->row.closed || !l->ended)
		return;
	if (stats)
		r->row.media = *stats;
	r->row.closed = true;
	r->told = false;
	leg_log(c, l, l->inbound ? LOG_INFO : LOG_DEBUG, "call.ended", LOG_I("cause", r->row.cause), LOG_I("status", r->row.sip_status),
		LOG_I("talk_ms", r->row.talk_ms), LOG_Z("source", r->row.remote));
	l->cdr = NULL;
	wheel_cancel(&c->wheel, &l->stats);
	c->cdr_open--;
	list_add(c, r);
	cdr_emit(c, r);
}

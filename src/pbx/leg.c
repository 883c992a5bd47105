/* A leg: what one party experiences. Its life and its messages; what may happen when is in leg_table.c. */
#include "pbx/cell_internal.h"
#include "pbx/watch.h"

enum { BYE_TRIES = 16, BYE_AGAIN_US = 2 * SECOND_US, TRANSFEROR_BYE_US = 3 * SECOND_US };

struct leg *leg_by_tag(const struct cell *c, struct span tag)
{
	return tag.n ? map_get(&c->tags, tag) : NULL;
}

uint64_t merge_key(const struct cell *c, const struct sip_msg *req)
{
	char buf[1024];
	struct text t = TEXT_ARRAY(buf);
	text_put(&t, span_sub(req->call_id, 0, 480));
	text_putc(&t, '\n');
	text_put(&t, span_sub(req->from.tag, 0, 480));
	text_putc(&t, '\n');
	text_u64(&t, req->cseq);
	return siphash(&c->o.seed, buf, t.n);
}

struct leg *leg_new(struct cell *c, struct call *k, bool inbound)
{
	handle h;
	struct leg *l = pool_new(&c->legs, &h);
	if (!l)
		return NULL;
	new_tag(c, l->tag);
	if (map_put(&c->tags, span_z(l->tag), l)) {
		pool_delete(&c->legs, h);
		return NULL;
	}
	l->h = h;
	l->call = k;
	l->inbound = inbound;
	l->state = inbound ? LEG_IN_TRYING : LEG_OUT_CALLING;
	l->slot = MEDIA_NO_SLOT;
	l->started_us = c->now_us;
	l->no = k->next_leg_no++;
	l->stats.kind = TIMER_STATS;
	l->retry.kind = TIMER_RETRY;
	l->session.due.kind = TIMER_SESSION;
	l->rel.again.kind = TIMER_RELIABLE;
	l->inv_cseq = 1;
	*(k->last ? &k->last->next : &k->first) = l;
	k->last = l;
	k->n_legs++;
	return l;
}

static void unlink_leg(struct leg *l)
{
	struct call *k = l->call;
	struct leg **at = &k->first, *prev = NULL;
	for (; *at != l; at = &(*at)->next)
		prev = *at;
	*at = l->next;
	if (k->last == l)
		k->last = prev;
	k->n_legs--;
	if (k->caller == l)
		k->caller = NULL;
	if (k->winner == l)
		k->winner = NULL;
	if (k->early == l)
		k->early = NULL;
	if (k->refer_by == l)
		k->refer_by = NULL;
	if (k->refer_kept == l)
		k->refer_kept = NULL;
	l->next = NULL;
}

void leg_move(struct leg *l, struct call *k)
{
	unlink_leg(l);
	l->call = k;
	*(k->last ? &k->last->next : &k->first) = l;
	k->last = l;
	k->n_legs++;
}

void leg_free(struct cell *c, struct leg *l)
{
	watch_leg_gone(c, l);
	struct call *k = l->call;
	const txn_id ids[] = {l->inv, l->bye, l->re_in, l->re_out, l->unacked};
	for (size_t i = 0; i < COUNT_OF(ids); i++)
		if (ids[i])
			txn_orphan(c->txn, ids[i]);
	for (size_t i = 0; i < MAX_RELAYED; i++)
		if (l->relay[i].out)
			txn_orphan(c->txn, l->relay[i].out);
	map_remove(&c->tags, span_z(l->tag));
	if (l->merge)
		map_remove(&c->merges, span_mem(&l->merge, sizeof l->merge));
	wheel_cancel(&c->wheel, &l->stats);
	wheel_cancel(&c->wheel, &l->retry);
	session_stop(c, l);
	prack_stop(c, l);
	prack_forget(c, l);
	if (l->dlg.state != DIALOG_NONE)
		c->dialogs--;
	dialog_clear(&l->dlg, &c->slab);
	struct block *const blocks[] = {&l->contact, &l->path, &l->remote_sdp, &l->wanted_sdp, &l->local_sdp, &l->offer_sdp};
	for (size_t i = 0; i < COUNT_OF(blocks); i++)
		block_clear(c, blocks[i]);
	unlink_leg(l);
	pool_delete(&c->legs, l->h);
	if (!k->first)
		call_free(c, k);
}

/* Freed when the step ends, if nothing is awaited any more. */
void leg_reap(struct cell *c, struct leg *l)
{
	if (l->reaped)
		return;
	l->reaped = true;
	l->reap_next = c->reap;
	c->reap = l;
}

void cell_reap(struct cell *c)
{
	while (c->reap) {
		struct leg *l = c->reap;
		c->reap = l->reap_next;
		l->reaped = false;
		if (l->state == LEG_GONE && l->ended && !l->cdr)
			leg_free(c, l);
	}
}

void leg_gone(struct cell *c, struct leg *l)
{
	l->state = LEG_GONE;
	leg_reap(c, l);
}

void leg_end(struct cell *c, struct leg *l, uint16_t cause, uint16_t status, uint8_t by)
{
	if (l->ended)
		return;
	l->ended = true;
	l->cause = cause;
	wheel_cancel(&c->wheel, &l->retry);
	session_stop(c, l);
	prack_stop(c, l);
	leg_drop_requests(c, l);
	cdr_end(c, l, cause, status, by);
	if (l->slot != MEDIA_NO_SLOT) {
		slot_close(c, l);
		wheel_set(&c->wheel, &l->stats, c->now_us + MEDIA_STATS_WAIT_US);
	} else {
		cdr_close(c, l, NULL);
	}
	leg_reap(c, l);
}

void leg_hang(struct cell *c, struct leg *l, uint16_t cause, uint16_t status, uint8_t by)
{
	struct leg_arg arg = {.status = status};
	leg_end(c, l, cause, status, by);
	leg_event(c, l, LEG_EV_HANGUP, &arg);
}

void leg_hang_later(struct cell *c, struct leg *l, uint16_t cause)
{
	if (l->state != LEG_UP) {
		leg_hang(c, l, cause, 0, 1);
		return;
	}
	if (l->unacked)
		txn_acked(c->txn, l->unacked);
	l->unacked = 0;
	leg_end(c, l, cause, 0, 1);
	l->state = LEG_CLOSING;
	wheel_set(&c->wheel, &l->retry, c->now_us + TRANSFEROR_BYE_US);
}

/* ---- towards a caller --------------------------------------------------------------------------------------- */

static struct span own_user(const struct leg *l)
{
	return l->inbound ? span_z(l->call->dialled) : span_z(l->call->caller_number);
}

void leg_send_ring(struct cell *c, struct leg *l, uint16_t status, bool with_sdp)
{
	struct sip_msg req;
	struct sip_flow from;
	if (txn_request_of(c->txn, l->inv, &req, &from))
		return;
	l->early_status = status;
	bool reliable = sip_has_token(&req, SIP_H_REQUIRE, "100rel");
	if (reliable && prack_waits(l, status, with_sdp))
		return;
	struct span sdp = with_sdp ? block_span(&l->local_sdp) : SPAN_NONE;
	if (reliable && l->call->offerless && !l->rel.rseq && plan_offer(c, l, NULL)) { /* RFC 3262 5: the first one holds our offer */
		sdp = block_span(&l->offer_sdp);
		(void)offer_sent(&l->offer);
	} else if (reliable && with_sdp) {
		(void)answer_sent(&l->offer);
		l->rel.agreed = true;
	}
	reply_begin(c, &req, &from, status, span_z(l->tag));
	put_contact_for(c, own_user(l), &from, &req);
	sip_put_z(&c->b, SIP_H_ALLOW, cell_allow);
	if (reliable)
		prack_put(c, l);
	reply_send(c, l->inv, l->h, status, sdp.n ? "application/sdp" : "", sdp);
	if (reliable)
		prack_sent(c, l, status, sdp.n > 0);
}

/* 200 with our answer, or with our offer when the INVITE had none. */
bool leg_send_answer(struct cell *c, struct leg *l)
{
	struct sip_msg req;
	struct sip_flow from;
	if (txn_request_of(c->txn, l->inv, &req, &from))
		return false;
	struct span sdp = block_span(l->wanted_sdp.n ? &l->local_sdp : &l->offer_sdp);
	wheel_cancel(&c->wheel, &l->rel.again);
	if (l->rel.agreed) /* RFC 6337 3.1.1: an answer given before is given once more, an offer is not */
		sdp = l->wanted_sdp.n ? sdp : SPAN_NONE;
	else if (l->wanted_sdp.n)
		(void)answer_sent(&l->offer);
	else
		(void)offer_sent(&l->offer);
	l->answer_in_ack = !l->wanted_sdp.n && !l->rel.agreed;
	l->unacked = l->inv;
	l->dlg.state = DIALOG_CONFIRMED;
	reply_begin(c, &req, &from, 200, span_z(l->tag));
	put_contact_for(c, own_user(l), &from, &req);
	sip_put_z(&c->b, SIP_H_ALLOW, cell_allow);
	session_put_answer(c, l, &req);
	reply_send(c, l->inv, l->h, 200, sdp.n ? "application/sdp" : "", sdp);
	if (l->wanted_sdp.n)
		block_move(c, &l->remote_sdp, &l->wanted_sdp);
	return true;
}

static void put_reason(struct cell *c, uint16_t cause)
{
	if (cause == CDR_NONE || cause > 127)
		return;
	sip_head(&c->b, SIP_H_REASON);
	text_lit(&c->b.t, "Q.850;cause=");
	text_u64(&c->b.t, cause);
	sip_eol(&c->b);
}

void leg_send_refusal(struct cell *c, struct leg *l, uint16_t status)
{
	struct sip_msg req;
	struct sip_flow from;
	if (txn_request_of(c->txn, l->inv, &req, &from))
		return;
	reply_begin(c, &req, &from, status, span_z(l->tag));
	put_reason(c, l->cause);
	if (status == 503)
		sip_put_u(&c->b, SIP_H_RETRY_AFTER, 10);
	if (status == 415)
		sip_put_z(&c->b, SIP_H_ACCEPT, "application/sdp");
	reply_send(c, l->inv, l->h, status, "", SPAN_NONE);
}

/* ---- towards a called party --------------------------------------------------------------------------------- */

void put_party(struct cell *c, const struct sip_flow *flow, const char *name, const char *number)
{
	struct text *t = &c->b.t;
	if (name[0]) {
		text_putc(t, '"');
		for (; *name; name++) {
			if (*name == '"' || *name == '\\')
				text_putc(t, '\\');
			text_putc(t, (unsigned char)*name < ' ' ? ' ' : *name);
		}
		text_lit(t, "\" ");
	}
	text_lit(t, "<sip:");
	sip_escape_user(t, span_z(number));
	text_putc(t, '@');
	put_host(c, t, flow);
	text_putc(t, '>');
}

static void put_identity(struct cell *c, const struct leg *l)
{
	const struct call *k = l->call;
	const struct site_extension *kept = k->referring && k->refer_kept ? site_extension_find(c->site, span_z(k->refer_kept->ext)) : NULL;
	put_party(c, &l->flow, kept ? kept->row.name : k->caller_name, kept ? kept->row.number : k->caller_number);
}

static void put_invite(struct cell *c, struct leg *l)
{
	struct sip_build *b = &c->b;
	sip_put_u(b, SIP_H_MAX_FORWARDS, (uint64_t)l->call->max_forwards);
	if (l->path.n)
		sip_put(b, SIP_H_ROUTE, block_span(&l->path));
	sip_head(b, SIP_H_FROM);
	put_identity(c, l);
	text_lit(&b->t, ";tag=");
	text_z(&b->t, l->tag);
	sip_eol(b);
	sip_head(b, SIP_H_TO);
	text_lit(&b->t, "<sip:");
	sip_escape_user(&b->t, span_z(l->ext));
	text_putc(&b->t, '@');
	put_host(c, &b->t, &l->flow);
	text_putc(&b->t, '>');
	sip_eol(b);
	sip_put_z(b, SIP_H_CALL_ID, l->call_id);
	sip_head(b, SIP_H_CSEQ);
	text_u64(&b->t, l->inv_cseq);
	text_lit(&b->t, " INVITE");
	sip_eol(b);
	put_contact_to(c, own_user(l), &l->flow, block_span(&l->contact));
	sip_head(b, SIP_H_P_ASSERTED_IDENTITY);
	put_identity(c, l);
	sip_eol(b);
	if (l->call->referring && l->call->refer_by) { /* RFC 3892, as far as we know it ourselves */
		sip_head(b, SIP_H_REFERRED_BY);
		put_party(c, &l->flow, "", l->call->refer_by->ext);
		sip_eol(b);
	}
	sip_put_z(b, SIP_H_ALLOW, cell_allow);
	sip_put_z(b, SIP_H_SUPPORTED, c->settings->reliable_provisional ? cell_supported : "timer");
	session_put_request(c, l);
	put_server(c, SIP_H_USER_AGENT);
}

int leg_invite(struct cell *c, struct leg *l, const struct binding *b)
{
	struct text t = TEXT_ARRAY(l->call_id);
	text_hex64(&t, rng_u64(&c->rng), 16);
	text_hex64(&t, rng_u64(&c->rng), 16);
	text_end(&t);
	l->flow = b->flow;
	l->device_id = b->device_id;
	if (!block_set(c, &l->contact, binding_text(b, BIND_CONTACT)) || !block_set(c, &l->path, binding_text(b, BIND_PATH)))
		return -1;
	return leg_send_invite(c, l);
}

int leg_send_invite(struct cell *c, struct leg *l)
{
	char branch[32];
	c->b.t = text_on(c->out, sizeof c->out);
	sip_request_begin(&c->b, SIP_INVITE, block_span(&l->contact), &l->flow, sip_branch(&c->rng, branch));
	put_invite(c, l);
	if (!sip_finish(&c->b, "application/sdp", block_span(&l->offer_sdp)))
		return -1;
	if (txn_send(c->txn, text_span(&c->b.t), &l->flow, l->h, c->now_us, &l->inv)) {
		l->inv = 0;
		return -1;
	}
	(void)offer_sent(&l->offer);
	return 0;
}

static void send_ack(struct cell *c, struct dialog *d, txn_id id, const struct sip_msg *resp)
{
	char branch[32];
	c->b.t = text_on(c->out, sizeof c->out);
	dialog_request_begin(d, &c->b, SIP_ACK, resp->cseq, sip_branch(&c->rng, branch));
	if (sip_finish(&c->b, "", SPAN_NONE))
		txn_ack(c->txn, id, resp->to.tag, text_span(&c->b.t), &d->flow, c->now_us);
}

static int send_bye(struct cell *c, struct dialog *d, uint64_t owner, txn_id *id)
{
	char branch[32];
	c->b.t = text_on(c->out, sizeof c->out);
	dialog_request_begin(d, &c->b, SIP_BYE, 0, sip_branch(&c->rng, branch));
	put_server(c, SIP_H_USER_AGENT);
	return sip_finish(&c->b, "", SPAN_NONE) ? txn_send(c->txn, text_span(&c->b.t), &d->flow, owner, c->now_us, id) : -1;
}

/* The dialog of a 2xx to our INVITE, and its ACK. False: the answer is useless (no Contact) or memory is short. */
bool leg_confirm(struct cell *c, struct leg *l, const struct sip_msg *resp)
{
	if (!prack_take_dialog(c, l, resp) && dialog_from_response(&l->dlg, &c->slab, resp, &l->flow))
		return false;
	prack_forget(c, l);
	c->dialogs++;
	send_ack(c, &l->dlg, l->inv, resp);
	session_answered(c, l, resp);
	return true;
}

void leg_send_bye(struct cell *c, struct leg *l)
{
	if (l->dlg.state == DIALOG_NONE || l->byes >= BYE_TRIES) {
		leg_gone(c, l);
		return;
	}
	l->state = LEG_CLOSING;
	l->byes++;
	if (send_bye(c, &l->dlg, l->h, &l->bye) == 0)
		return;
	l->bye = 0; /* no room: the party must not be left in a call that is none */
	wheel_set(&c->wheel, &l->retry, c->now_us + BYE_AGAIN_US);
}

/* A 2xx that nobody wants any more: of a cancelled INVITE, or of another branch that a proxy made. */
void leg_ack_and_bye(struct cell *c, struct leg *l, txn_id id, const struct sip_msg *resp)
{
	struct dialog d = {0};
	txn_id bye;
	if (dialog_from_response(&d, &c->slab, resp, &l->flow))
		return;
	send_ack(c, &d, id, resp);
	if (send_bye(c, &d, 0, &bye) == 0)
		txn_orphan(c->txn, bye);
	dialog_clear(&d, &c->slab);
}

/* Reliable provisional responses (RFC 3262). A called phone that sends one gets its PRACK; a caller that demands them
 * (Require: 100rel) gets them, one at a time, repeated until its PRACK comes. We never demand. */
#include "pbx/cell_internal.h"

enum { T1_US = SECOND_US / 2, GIVE_UP_US = 64 * T1_US, MAX_EARLY = 8 };

/* ---- towards a called party: the early dialogs of our INVITE ---------------------------------------------------- */

static struct early_dialog *early_of(const struct leg *l, struct span tag)
{
	struct early_dialog *e = l->early;
	while (e && !span_eq(e->dlg.remote_tag, tag))
		e = e->next;
	return e;
}

static struct early_dialog *early_new(struct cell *c, struct leg *l, const struct sip_msg *resp)
{
	int n = 0;
	for (const struct early_dialog *e = l->early; e; e = e->next)
		n++;
	struct early_dialog *e = n < MAX_EARLY ? slab_alloc(&c->slab, sizeof *e) : NULL;
	if (!e)
		return NULL;
	*e = (struct early_dialog){.next = l->early};
	if (dialog_from_response(&e->dlg, &c->slab, resp, &l->flow)) {
		slab_free(&c->slab, e, sizeof *e);
		return NULL;
	}
	return l->early = e;
}

void prack_forget(struct cell *c, struct leg *l)
{
	while (l->early) {
		struct early_dialog *e = l->early;
		l->early = e->next;
		dialog_clear(&e->dlg, &c->slab);
		slab_free(&c->slab, e, sizeof *e);
	}
}

bool prack_take_dialog(struct cell *c, struct leg *l, const struct sip_msg *resp)
{
	struct early_dialog *e = early_of(l, resp->to.tag);
	if (!e)
		return false;
	l->dlg = e->dlg;
	e->dlg = (struct dialog){0};
	l->dlg.flow = l->flow;
	if (dialog_confirm(&l->dlg, &c->slab, resp)) /* without a Contact the early one stays good */
		l->dlg.state = DIALOG_CONFIRMED;
	return true;
}

static bool send_prack(struct cell *c, struct leg *l, struct early_dialog *e, uint32_t rseq, uint32_t cseq)
{
	char branch[32];
	txn_id id;
	c->b.t = text_on(c->out, sizeof c->out);
	dialog_request_begin(&e->dlg, &c->b, SIP_PRACK, 0, sip_branch(&c->rng, branch));
	sip_head(&c->b, SIP_H_RACK);
	text_u64(&c->b.t, rseq);
	text_putc(&c->b.t, ' ');
	text_u64(&c->b.t, cseq);
	text_lit(&c->b.t, " INVITE");
	sip_eol(&c->b);
	put_server(c, SIP_H_USER_AGENT);
	if (!sip_finish(&c->b, "", SPAN_NONE) || txn_send(c->txn, text_span(&c->b.t), &e->dlg.flow, l->h, c->now_us, &id))
		return false;
	txn_orphan(c->txn, id); /* its end changes nothing: without a PRACK the phone gives up by itself */
	return true;
}

bool prack_provisional(struct cell *c, struct leg *l, const struct sip_msg *resp)
{
	uint64_t rseq;
	if (!sip_has_token(resp, SIP_H_REQUIRE, "100rel") || !resp->to.tag.n ||
	    span_u64(sip_hdr_value(resp, SIP_H_RSEQ), INT32_MAX, &rseq) < 0 || !rseq)
		return true;
	struct early_dialog *e = early_of(l, resp->to.tag);
	bool first = !e;
	if (first && !(e = early_new(c, l, resp)))
		return true;
	if (!first && rseq != e->rseq + 1u) /* said before, or what came before is missing (RFC 3262 4) */
		return false;
	e->rseq = (uint32_t)rseq;
	if (!send_prack(c, l, e, e->rseq, resp->cseq)) { /* its repetition is taken as the first */
		e->rseq--;
		return false;
	}
	if (resp->body.n && !e->next)
		(void)answer_received(&l->offer);
	return true;
}

bool prack_in_order(struct leg *l, const struct sip_msg *req)
{
	struct early_dialog *e = early_of(l, req->from.tag);
	return !e || dialog_accept_request(&e->dlg, req) != DIALOG_OLD_CSEQ;
}

/* ---- towards a caller ------------------------------------------------------------------------------------------------ */

bool prack_waits(struct leg *l, uint16_t status, bool with_sdp)
{
	struct reliable *r = &l->rel;
	if (!r->open)
		return false;
	r->next_status = status;
	r->next_sdp |= with_sdp;
	return true;
}

void prack_put(struct cell *c, struct leg *l)
{
	struct reliable *r = &l->rel;
	r->rseq = r->rseq ? r->rseq + 1 : 1 + (uint32_t)rng_below(&c->rng, 1 << 16);
	sip_put_z(&c->b, SIP_H_REQUIRE, "100rel");
	sip_put_u(&c->b, SIP_H_RSEQ, r->rseq);
}

void prack_sent(struct cell *c, struct leg *l, uint16_t status, bool with_sdp)
{
	struct reliable *r = &l->rel;
	r->open = true;
	r->with_sdp = with_sdp;
	r->status = status;
	r->wait_us = T1_US;
	r->until_us = c->now_us + GIVE_UP_US;
	(void)block_set(c, &r->bytes, text_span(&c->b.t)); /* without memory it is sent only once */
	wheel_set(&c->wheel, &r->again, c->now_us + T1_US);
}

/* Without a PRACK for 64*T1 the INVITE is refused (RFC 3262 3). */
void prack_again(struct cell *c, struct leg *l)
{
	struct reliable *r = &l->rel;
	if (!r->open || (l->state != LEG_IN_RINGING && l->state != LEG_IN_TRYING))
		return;
	if (c->now_us >= r->until_us) {
		leg_log(c, l, LOG_WARN, "call.no_prack", LOG_I("rseq", r->rseq));
		leg_end(c, l, CDR_NO_RESPONSE, 504, 3);
		leg_send_refusal(c, l, 504);
		leg_gone(c, l);
		call_event(c, l->call, l, CALL_EV_LOST, 0, NULL);
		return;
	}
	if (r->bytes.n)
		(void)txn_reply(c->txn, l->inv, l->h, r->status, block_span(&r->bytes), c->now_us);
	r->wait_us *= 2;
	wheel_set(&c->wheel, &r->again, c->now_us + r->wait_us < r->until_us ? c->now_us + r->wait_us : r->until_us);
}

void prack_stop(struct cell *c, struct leg *l)
{
	wheel_cancel(&c->wheel, &l->rel.again);
	block_clear(c, &l->rel.bytes);
}

bool prack_holds_answer(struct leg *l)
{
	return l->rel.answer_waits = l->rel.open && l->rel.with_sdp;
}

static bool matches(const struct leg *l, const struct sip_msg *req)
{
	struct span v = sip_hdr_value(req, SIP_H_RACK), word[3] = {{0}};
	uint64_t rseq, cseq;
	for (size_t i = 0; i < COUNT_OF(word); i++) {
		v = span_trim(v);
		word[i] = i < 2 ? span_cut(&v, ' ') : v;
	}
	return l->inbound && l->rel.open && span_u64(word[0], UINT32_MAX, &rseq) == 0 && rseq == l->rel.rseq &&
	       span_u64(word[1], UINT32_MAX, &cseq) == 0 && cseq == l->inv_cseq && span_eqz(word[2], "INVITE");
}

/* The answer to our offer in the 18x, or a new offer (RFC 3262 5). What goes into the 200. False: 488. */
static bool take_body(struct cell *c, struct leg *l, const struct sip_msg *req, struct span *sdp)
{
	struct sdp s;
	*sdp = SPAN_NONE;
	if (!req->body.n)
		return true;
	const struct sdp_media *m = plan_parse(c, req->body, &s, NULL);
	if (!m)
		return false;
	if (l->offer.state == OFFER_LOCAL) {
		if (!block_set(c, &l->remote_sdp, req->body))
			return false;
		(void)answer_received(&l->offer);
		block_move(c, &l->local_sdp, &l->offer_sdp);
		media_remote(c, l, m);
		plan_note_codec(l, m);
		l->rel.agreed = true;
		return true;
	}
	if (!reinvite_early(c, l, req->body))
		return false;
	*sdp = block_span(&l->local_sdp);
	return true;
}

void prack_request(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from)
{
	struct reliable *r = &l->rel;
	struct leg_arg arg = {.status = 200};
	struct span sdp;
	if (!matches(l, req)) {
		reply_plain(c, id, l->h, req, from, 481, span_z(l->tag));
		return;
	}
	r->open = false;
	prack_stop(c, l);
	bool taken = take_body(c, l, req, &sdp);
	reply_begin(c, req, from, taken ? 200 : 488, span_z(l->tag));
	reply_send(c, id, l->h, taken ? 200 : 488, sdp.n ? "application/sdp" : "", sdp);
	if (l->state != LEG_IN_RINGING)
		return;
	if (r->answer_waits) {
		r->answer_waits = false;
		leg_event(c, l, LEG_EV_ANSWER, &arg);
	} else if (r->next_status) {
		arg = (struct leg_arg){.status = r->next_status, .with_sdp = r->next_sdp};
		r->next_status = 0;
		r->next_sdp = false;
		leg_event(c, l, LEG_EV_RING, &arg);
	}
}

/* Offers inside a call (re-INVITE, UPDATE): hold, resume, change of codec or address, refresh. What one party offers is
 * offered to the other by a re-INVITE of ours, and its answer goes back; a refusal leaves both as they were. */
#include "pbx/cell_internal.h"

/* ---- answers to the asking party ----------------------------------------------------------------------------- */

static void put_answer(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from, struct span sdp)
{
	if (l->dlg.state != DIALOG_NONE)
		(void)dialog_refresh_target(&l->dlg, &c->slab, req);
	reply_begin(c, req, from, 200, span_z(l->tag));
	put_contact_for(c, l->inbound ? span_z(l->call->dialled) : span_z(l->call->caller_number), from, req);
	sip_put_z(&c->b, SIP_H_ALLOW, cell_allow);
	if (l->state == LEG_UP || l->state == LEG_IN_ANSWERED)
		session_put_answer(c, l, req);
	if (req->method == SIP_INVITE)
		l->unacked = id;
	reply_send(c, id, l->h, 200, sdp.n ? "application/sdp" : "", sdp);
}

static void refuse(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from, uint16_t status)
{
	reply_retry(c, id, l, req, from, status);
}

static bool negotiating(const struct leg *l)
{
	return l->re_in || l->re_out || l->unacked || l->offer.state != OFFER_IDLE;
}

/* ---- our re-INVITE to the other party ------------------------------------------------------------------------ */

static void put_other_party(struct cell *c, const struct leg *l)
{
	const struct leg *peer = call_peer(l);
	const struct site_extension *e = peer ? site_extension_find(c->site, span_z(peer->ext)) : NULL;
	if (!e)
		return;
	sip_head(&c->b, SIP_H_P_ASSERTED_IDENTITY);
	put_party(c, &l->dlg.flow, e->row.name, e->row.number);
	sip_eol(&c->b);
}

static bool send_offer(struct cell *c, struct leg *l)
{
	char branch[32];
	c->b.t = text_on(c->out, sizeof c->out);
	dialog_request_begin(&l->dlg, &c->b, SIP_INVITE, 0, sip_branch(&c->rng, branch));
	put_contact_to(c, l->inbound ? span_z(l->call->dialled) : span_z(l->call->caller_number), &l->dlg.flow, l->dlg.remote_target);
	sip_put_z(&c->b, SIP_H_ALLOW, cell_allow);
	sip_put_z(&c->b, SIP_H_SUPPORTED, "timer");
	session_put_request(c, l);
	put_server(c, SIP_H_USER_AGENT);
	put_other_party(c, l); /* it may be another one than at first */
	if (!sip_finish(&c->b, "application/sdp", block_span(&l->offer_sdp)) ||
	    txn_send(c->txn, text_span(&c->b.t), &l->dlg.flow, l->h, c->now_us, &l->re_out)) {
		l->re_out = 0;
		return false;
	}
	(void)offer_sent(&l->offer);
	return true;
}

/* Offers to `to` what the other party says now; waits when an exchange is under way. */
void reinvite_resync(struct cell *c, struct leg *to)
{
	struct leg *other = call_peer(to);
	struct sdp s;
	if (!other || to->state != LEG_UP || to->ended)
		return;
	if (negotiating(to) || other->re_in) {
		wheel_set(&c->wheel, &to->retry, c->now_us + SECOND_US);
		return;
	}
	struct sdp_media open;
	const struct sdp_media *m = plan_parse(c, block_span(&other->remote_sdp), &s, NULL);
	if (!to->moved) {
		if (m && plan_offer(c, to, m))
			(void)send_offer(c, to);
	} else if (plan_offer(c, to, plan_opened(m, &open)) && send_offer(c, to)) {
		to->moved = MOVED_OFFERED;
		wheel_cancel(&c->wheel, &to->retry);
	} else {
		refer_moved(c, to); /* it cannot be told: it keeps what it has */
	}
}

bool reinvite_under_way(const struct leg *l)
{
	return negotiating(l);
}

bool reinvite_refresh(struct cell *c, struct leg *l)
{
	return l->local_sdp.n && block_set(c, &l->offer_sdp, block_span(&l->local_sdp)) && send_offer(c, l);
}

/* RFC 3261 14.1: who made the Call-ID waits longer. */
static void retry_after_glare(struct cell *c, struct leg *l)
{
	int64_t ms = l->inbound ? (int64_t)rng_below(&c->rng, 2000) : 2100 + (int64_t)rng_below(&c->rng, 1900);
	wheel_set(&c->wheel, &l->retry, c->now_us + ms * 1000);
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

static void local_test(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from)
{
	struct sdp s;
	uint8_t pt;
	const struct sdp_media *m = plan_parse(c, req->body, &s, NULL);
	if (!m || !block_set(c, &l->wanted_sdp, req->body) || !plan_test(c, l, l->call->test != SOURCE_ECHO, &pt)) {
		offer_failed(&l->offer);
		refuse(c, id, l, req, from, 488);
		return;
	}
	media_remote(c, l, m);
	media_source(c, l, l->call->test, pt);
	block_move(c, &l->remote_sdp, &l->wanted_sdp);
	(void)answer_sent(&l->offer);
	put_answer(c, id, l, req, from, block_span(&l->local_sdp));
}

/* No description: we offer what the other party says now, the answer comes in the ACK. */
static void offerless(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from)
{
	struct leg *peer = call_peer(l);
	struct sdp s;
	const struct sdp_media *m = peer ? plan_parse(c, block_span(&peer->remote_sdp), &s, NULL) : NULL;
	struct sdp_media open;
	if (!plan_offer(c, l, plan_opened(m, &open))) {
		refuse(c, id, l, req, from, 488);
		return;
	}
	(void)offer_sent(&l->offer);
	l->answer_in_ack = true;
	put_answer(c, id, l, req, from, block_span(&l->offer_sdp));
}

static void pass_offer(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from,
		       const struct sdp_media *m)
{
	struct leg *peer = call_peer(l);
	if (!peer || peer->state != LEG_UP || negotiating(peer)) {
		offer_failed(&l->offer);
		refuse(c, id, l, req, from, 491);
		return;
	}
	if (!block_set(c, &l->wanted_sdp, req->body) || !plan_offer(c, peer, m) || !send_offer(c, peer)) {
		block_clear(c, &l->wanted_sdp);
		offer_failed(&l->offer);
		refuse(c, id, l, req, from, 500);
		return;
	}
	l->re_in = id;
	l->re_in_update = req->method == SIP_UPDATE;
	txn_set_owner(c->txn, id, l->h);
	if (req->method == SIP_INVITE)
		reply_plain(c, id, l->h, req, from, 100, SPAN_NONE);
}

static void offered(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from)
{
	struct sdp now, before;
	const struct sdp_media *m = plan_parse(c, req->body, &now, NULL);
	const struct sdp_media *was = plan_parse(c, block_span(&l->remote_sdp), &before, NULL);
	if (!m) {
		offer_failed(&l->offer);
		refuse(c, id, l, req, from, 488);
	} else if (l->call->test) {
		local_test(c, id, l, req, from);
	} else if (was && plan_same(m, was) && now.n_media == before.n_media) {
		(void)answer_sent(&l->offer);
		put_answer(c, id, l, req, from, block_span(&l->local_sdp));
	} else {
		pass_offer(c, id, l, req, from, m);
	}
}

/* Before the answer the other party cannot be asked: it has an offer of ours, or none of its answers stands. What it said so
 * far is the answer; what changed is offered to it when the call is up. */
bool reinvite_early(struct cell *c, struct leg *l, struct span body)
{
	struct call *k = l->call;
	struct leg *other = k->referring ? k->refer_kept : l->inbound ? k->early : k->caller;
	struct sdp s, o, old;
	if (!other || k->direct || other->ended)
		return false;
	const struct sdp_media *m = plan_parse(c, body, &s, NULL);
	const struct sdp_media *om = plan_parse(c, block_span(other->remote_sdp.n ? &other->remote_sdp : &other->wanted_sdp), &o, NULL);
	struct block *said = l->inbound && l->wanted_sdp.n ? &l->wanted_sdp : &l->remote_sdp;
	const struct sdp_media *was = plan_parse(c, block_span(said), &old, NULL);
	bool news = m && (!was || !plan_same(m, was));
	if (!m || !om || !plan_answer(c, l, body, om) || !block_set(c, said, body))
		return false;
	media_remote(c, l, m);
	if (k->caller && news && !k->referring) /* else it is told when the transfer is done */
		*(l->inbound ? &k->caller->rel.news_for_peer : &k->caller->rel.news) = true;
	return true;
}

static void early_update(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from)
{
	enum offer_verdict v = offer_received(&l->offer);
	if (v != OFFER_OK) { /* RFC 3311 5.2 */
		refuse(c, id, l, req, from, v == OFFER_GLARE ? 491 : 500);
	} else if (!reinvite_early(c, l, req->body)) {
		offer_failed(&l->offer);
		refuse(c, id, l, req, from, 488);
	} else {
		(void)answer_sent(&l->offer);
		put_answer(c, id, l, req, from, block_span(&l->local_sdp));
	}
}

static bool is_early(const struct leg *l)
{
	return l->state == LEG_IN_TRYING || l->state == LEG_IN_RINGING || l->state == LEG_OUT_CALLING || l->state == LEG_OUT_RINGING;
}

void reinvite_request(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from)
{
	struct span type = sip_hdr_value(req, SIP_H_CONTENT_TYPE);
	if (l->state == LEG_GONE || l->state == LEG_CLOSING || l->ended) {
		reply_plain(c, id, l->h, req, from, 481, span_z(l->tag));
	} else if (session_refuse(c, id, l->h, req, from, span_z(l->tag))) {
		return;
	} else if (!req->body.n && req->method == SIP_UPDATE) {
		put_answer(c, id, l, req, from, SPAN_NONE);
	} else if (req->body.n && !span_istarts(type, SPAN_LIT("application/sdp"))) {
		reply_begin(c, req, from, 415, span_z(l->tag));
		sip_put_z(&c->b, SIP_H_ACCEPT, "application/sdp");
		reply_send(c, id, l->h, 415, "", SPAN_NONE);
	} else if (req->method == SIP_UPDATE && is_early(l)) {
		early_update(c, id, l, req, from);
	} else if (l->re_in || (l->unacked && l->state == LEG_UP)) {
		refuse(c, id, l, req, from, 500);
	} else if (l->re_out || l->state != LEG_UP) {
		refuse(c, id, l, req, from, 491);
	} else if (!req->body.n) {
		offerless(c, id, l, req, from);
	} else {
		enum offer_verdict v = offer_received(&l->offer);
		if (v == OFFER_OK)
			offered(c, id, l, req, from);
		else
			refuse(c, id, l, req, from, v == OFFER_GLARE ? 491 : 500);
	}
}

/* ---- responses of the other party ------------------------------------------------------------------------------ */

static void ack(struct cell *c, struct leg *l, txn_id id, const struct sip_msg *resp)
{
	char branch[32];
	c->b.t = text_on(c->out, sizeof c->out);
	dialog_request_begin(&l->dlg, &c->b, SIP_ACK, resp->cseq, sip_branch(&c->rng, branch));
	if (sip_finish(&c->b, "", SPAN_NONE))
		txn_ack(c->txn, id, resp->to.tag, text_span(&c->b.t), &l->dlg.flow, c->now_us);
}

/* The party that asked gets its answer; both streams are set anew. */
static bool complete(struct cell *c, struct leg *asking, struct leg *l, const struct sdp_media *m)
{
	struct sdp s;
	struct sip_msg req;
	struct sip_flow from;
	txn_id id = asking->re_in;
	const struct sdp_media *am = plan_parse(c, block_span(&asking->wanted_sdp), &s, NULL);
	if (!am || txn_request_of(c->txn, id, &req, &from) || !plan_answer(c, asking, block_span(&asking->wanted_sdp), m))
		return false;
	media_remote(c, asking, am);
	media_remote(c, l, m);
	block_move(c, &asking->remote_sdp, &asking->wanted_sdp);
	(void)answer_sent(&asking->offer);
	asking->re_in = 0;
	put_answer(c, id, asking, &req, &from, block_span(&asking->local_sdp));
	return true;
}

static void give_up(struct cell *c, struct leg *asking, uint16_t status)
{
	txn_id id = asking->re_in;
	asking->re_in = 0;
	offer_failed(&asking->offer);
	block_clear(c, &asking->wanted_sdp);
	reply_stored(c, id, asking, status);
}

static void agreed(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *resp)
{
	struct leg *asking = call_peer(l);
	struct sdp s, old;
	ack(c, l, id, resp);
	(void)dialog_refresh_target(&l->dlg, &c->slab, resp);
	bool refresh = l->session.refreshing;
	session_answered(c, l, resp);
	const struct sdp_media *m = plan_parse(c, resp->body, &s, NULL);
	const struct sdp_media *was = plan_parse(c, block_span(&l->remote_sdp), &old, NULL);
	bool news = refresh && m && was && !plan_same(m, was);
	if (!m || !block_set(c, &l->remote_sdp, resp->body)) {
		offer_failed(&l->offer);
		if (asking && asking->re_in)
			give_up(c, asking, 488);
		refer_settled(c, l);
		return;
	}
	(void)answer_received(&l->offer);
	block_move(c, &l->local_sdp, &l->offer_sdp);
	if (!asking || !asking->re_in) {
		media_remote(c, l, m);
		/* the asker took its offer back while the answer was on its way */
		if (asking && asking->wanted_sdp.n) {
			block_clear(c, &asking->wanted_sdp);
			reinvite_resync(c, l);
		} else if (asking && news && !l->moved) { /* it answered our refresh with another description */
			reinvite_resync(c, asking);
		}
		refer_settled(c, l);
		return;
	}
	if (!complete(c, asking, l, m))
		give_up(c, asking, 488);
}

static uint16_t refusal_for(uint16_t status)
{
	if (status == 491 || status == 488 || status == 500 || status == 603)
		return status;
	return 488;
}

void reinvite_response(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *resp, uint16_t status)
{
	struct leg *asking = call_peer(l);
	l->re_out = 0;
	if (l->state != LEG_UP) {
		if (resp && status < 300)
			ack(c, l, id, resp);
		return;
	}
	if (status < 300) {
		agreed(c, id, l, resp);
		return;
	}
	offer_failed(&l->offer);
	block_clear(c, &l->offer_sdp);
	if (l->session.refreshing) {
		session_failed(c, l, resp, status);
		return;
	}
	if (status == 481 || status == 408) { /* RFC 3261 14.1: the dialog is dead */
		leg_hang(c, l, CDR_TEMPORARY, 0, 3);
		call_event(c, l->call, l, CALL_EV_LOST, 0, NULL);
	} else if (asking && asking->re_in) {
		give_up(c, asking, refusal_for(status));
	} else {
		if (asking && !asking->re_in)
			block_clear(c, &asking->wanted_sdp);
		if (status == 491)
			retry_after_glare(c, l);
		else
			refer_settled(c, l);
	}
}

/* CANCEL of a re-INVITE: the wish stays noted until the other party's word is in. */
void reinvite_cancelled(struct cell *c, struct leg *l)
{
	struct leg *peer = call_peer(l);
	txn_id id = l->re_in;
	l->re_in = 0;
	offer_failed(&l->offer);
	reply_stored(c, id, l, 487);
	if (peer && peer->re_out)
		txn_cancel(c->txn, peer->re_out, c->now_us);
}

/* ---- the answer in an ACK ---------------------------------------------------------------------------------------- */

void reinvite_acked(struct cell *c, struct leg *l, const struct sip_msg *msg)
{
	struct sdp s, old;
	struct leg *peer = call_peer(l);
	const struct sdp_media *m = plan_parse(c, msg->body, &s, NULL);
	l->answer_in_ack = false;
	if (!m) { /* an offer without its answer: what was agreed before stands */
		offer_failed(&l->offer);
		if (!l->remote_sdp.n) {
			leg_hang(c, l, CDR_NOT_ACCEPTABLE, 0, 3);
			call_event(c, l->call, l, CALL_EV_LOST, 0, NULL);
		}
		return;
	}
	(void)answer_received(&l->offer);
	block_move(c, &l->local_sdp, &l->offer_sdp);
	/* the first exchange: the other party answered what we offered in this one's name */
	const struct block *known = l->remote_sdp.n ? &l->remote_sdp : peer ? &peer->remote_sdp : NULL;
	const struct sdp_media *was = known ? plan_parse(c, block_span(known), &old, NULL) : NULL;
	bool news = !was || (l->remote_sdp.n ? !plan_same(m, was) : m->fmt[0].pt != was->fmt[0].pt || plan_dir(m) != SDP_SENDRECV);
	if (!block_set(c, &l->remote_sdp, msg->body))
		return;
	media_remote(c, l, m);
	plan_note_codec(l, m);
	if (peer && (news || peer->moved == MOVED_DUE))
		reinvite_resync(c, peer);
}

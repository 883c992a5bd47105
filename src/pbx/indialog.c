/* Requests inside dialogs, and whose a response, an ACK or a CANCEL is. */
#include "pbx/cell_internal.h"
#include "sip/event/event.h"

/* ---- passing a request to the other party (INFO) -------------------------------------------------------------- */

static struct relay *relay_slot(struct leg *l)
{
	for (int i = 0; i < MAX_RELAYED; i++)
		if (!l->relay[i].in)
			return &l->relay[i];
	return NULL;
}

static void pass_on(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from)
{
	struct leg *peer = call_peer(l);
	struct relay *r = relay_slot(l);
	if (l->state != LEG_UP || !peer || peer->state != LEG_UP) {
		/* nobody to hear it: a test number, or a call that is just ending */
		reply_plain(c, id, l->h, req, from, l->state == LEG_UP && !peer ? 200 : 481, span_z(l->tag));
		return;
	}
	if (!r) {
		reply_retry(c, id, l, req, from, 500);
		return;
	}
	char branch[32], type[128];
	c->b.t = text_on(c->out, sizeof c->out);
	dialog_request_begin(&peer->dlg, &c->b, SIP_INFO, 0, sip_branch(&c->rng, branch));
	put_server(c, SIP_H_USER_AGENT);
	(void)span_copyz(sip_hdr_value(req, SIP_H_CONTENT_TYPE), type, sizeof type);
	if (!sip_finish(&c->b, type, req->body) || txn_send(c->txn, text_span(&c->b.t), &peer->dlg.flow, peer->h, c->now_us, &r->out)) {
		r->out = 0;
		reply_plain(c, id, l->h, req, from, 503, span_z(l->tag));
		return;
	}
	r->in = id;
	txn_set_owner(c->txn, id, l->h);
}

static bool relay_answered(struct cell *c, txn_id id, struct leg *answering, uint16_t status)
{
	for (struct leg *l = answering->call->first; l; l = l->next) {
		for (int i = 0; i < MAX_RELAYED; i++) {
			if (!id || l->relay[i].out != id)
				continue;
			reply_stored(c, l->relay[i].in, l, status);
			l->relay[i] = (struct relay){0};
			return true;
		}
	}
	return false;
}

/* What the party still waits for will not come. */
void leg_drop_requests(struct cell *c, struct leg *l)
{
	for (int i = 0; i < MAX_RELAYED; i++) {
		if (!l->relay[i].in)
			continue;
		txn_orphan(c->txn, l->relay[i].out);
		reply_stored(c, l->relay[i].in, l, 481);
		l->relay[i] = (struct relay){0};
	}
	if (l->re_in)
		reply_stored(c, l->re_in, l, l->re_in_update ? 481 : 487);
	l->re_in = 0;
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

void indialog_request(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from)
{
	if (l->dlg.state != DIALOG_NONE ? dialog_accept_request(&l->dlg, req) == DIALOG_OLD_CSEQ : !prack_in_order(l, req)) {
		reply_plain(c, id, l->h, req, from, 500, span_z(l->tag));
		return;
	}
	if (req->method == SIP_BYE) {
		struct leg_arg arg = {.id = id, .msg = req, .from = from};
		leg_event(c, l, LEG_EV_BYE, &arg);
	} else if (req->method == SIP_INVITE || req->method == SIP_UPDATE) {
		reinvite_request(c, id, l, req, from);
	} else if (req->method == SIP_PRACK) {
		prack_request(c, id, l, req, from);
	} else if (req->method == SIP_INFO) {
		pass_on(c, id, l, req, from);
	} else if (req->method == SIP_REFER) {
		refer_request(c, id, l, req, from);
	} else {
		reply_begin(c, req, from, 405, span_z(l->tag));
		sip_put_z(&c->b, SIP_H_ALLOW, cell_allow);
		reply_send(c, id, l->h, 405, "", SPAN_NONE);
	}
}

void cell_on_ack(void *ctx, const struct sip_msg *ack, const struct sip_flow *from)
{
	struct cell *c = ctx;
	struct leg *l = leg_by_tag(c, ack->to.tag);
	struct leg_arg arg = {.msg = ack, .from = from};
	if (l && dialog_matches_request(&l->dlg, ack))
		leg_event(c, l, LEG_EV_ACK, &arg);
}

void cell_on_cancel(void *ctx, txn_id id, const struct sip_msg *cancel)
{
	struct cell *c = ctx;
	uint64_t key = merge_key(c, cancel);
	struct leg *l = map_get(&c->merges, span_mem(&key, sizeof key));
	struct leg_arg arg = {.id = id, .msg = cancel};
	if (l && l->inv == id) {
		leg_event(c, l, LEG_EV_CANCEL, &arg);
		return;
	}
	l = leg_by_tag(c, cancel->to.tag);
	if (l && l->re_in == id)
		reinvite_cancelled(c, l);
}

/* ---- responses ------------------------------------------------------------------------------------------------- */

/* status stands for the response when there is none (408, 503). */
void indialog_response(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *resp, uint16_t status)
{
	struct leg_arg arg = {.id = id, .msg = resp, .status = status};
	if (id == l->inv && !l->inbound && resp && status < 200 && !prack_provisional(c, l, resp))
		return;
	if (id == l->inv && !l->inbound && resp && status == 422 && (l->state == LEG_OUT_CALLING || l->state == LEG_OUT_RINGING) &&
	    session_again(c, l, resp))
		return;
	if (id == l->inv && !l->inbound && (status == 430 || (!resp && status == 503)) &&
	    (l->state == LEG_OUT_CALLING || l->state == LEG_OUT_RINGING))
		fork_next_flow(c, l);
	if (id == l->inv && !l->inbound)
		leg_event(c, l, status < 200 ? LEG_EV_1XX : status < 300 ? LEG_EV_2XX : LEG_EV_FAIL, &arg);
	else if (status < 200)
		return;
	else if (id == l->bye)
		leg_event(c, l, LEG_EV_BYE_DONE, &arg);
	else if (id == l->session.out)
		session_response(c, l, resp, status);
	else if (id == l->re_out)
		reinvite_response(c, id, l, resp, status);
	else
		(void)relay_answered(c, id, l, status);
}

void cell_on_response(void *ctx, txn_id id, uint64_t owner, const struct sip_msg *resp, const struct sip_flow *from)
{
	struct cell *c = ctx;
	if (owner & EVENT_OWNER) {
		event_response(c->events, owner, resp, resp->status, c->now_us);
		return;
	}
	struct leg *l = pool_get(&c->legs, owner);
	if (!l)
		return;
	if (sip_transport_reliable(from->transport))
		l->flow = *from;
	indialog_response(c, id, l, resp, resp->status);
}

void cell_on_failure(void *ctx, txn_id id, uint64_t owner, enum txn_failure why)
{
	struct cell *c = ctx;
	if (owner & EVENT_OWNER) {
		event_response(c->events, owner, NULL, why == TXN_TRANSPORT ? 503 : 408, c->now_us);
		return;
	}
	struct leg *l = pool_get(&c->legs, owner);
	if (!l)
		return;
	switch (why) {
	case TXN_NO_ACK: {
		struct leg_arg arg = {.id = id};
		if (l->unacked == id)
			leg_event(c, l, LEG_EV_NO_ACK, &arg);
		break;
	}
	case TXN_TIMEOUT:
		indialog_response(c, id, l, NULL, 408);
		break;
	case TXN_TRANSPORT:
		indialog_response(c, id, l, NULL, 503);
		break;
	}
}

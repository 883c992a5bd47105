/* The user agent's door: messages in, transactions' calls to whom they belong. Points V17a, V20 (OPTIONS, INFO, NOTIFY). */
#include "vphone/machine.h"

#include "sip/msg/frame.h"

static struct vp_reg *reg_of(struct vphone *v, uint32_t serial)
{
	unsigned line = serial >> 8, server = serial & 0xff;
	return line < v->n_lines && server >= 1 && server <= VP_MAX_SERVERS ? &v->lines[line].reg[server - 1] : NULL;
}

/* Section 8, S25: what a phone says about itself. */
static void answer_options(struct vphone *v, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	char buf[VP_MSG_MAX], tag[20];
	struct sip_build b = {TEXT_ARRAY(buf)};
	vp_new_tag(v, tag);
	vp_reply_begin(v, &b, req, from, 200, NULL, span_z(tag), v->n_lines ? v->line : -1);
	sip_put_z(&b, SIP_H_ALLOW, vp_allow);
	vp_session_supported(v, &b);
	sip_put_z(&b, SIP_H_ACCEPT, "application/sdp,text/plain,message/sipfrag,application/dialog-info+xml");
	sip_put_named(&b, "Accept-Encoding", SPAN_LIT("identity"));
	if (sip_finish(&b, "", SPAN_NONE))
		(void)txn_reply(v->txn, id, 0, 200, text_span(&b.t), v->now_us);
}

/* Unsolicited message-summary and check-sync are taken; the rest is 489 (section 8, last line). */
static uint16_t notify_status(struct vphone *v, const struct sip_msg *req)
{
	struct span ev = sip_hdr_value(req, SIP_H_EVENT), name = span_trim(span_cut(&ev, ';'));
	bool known = span_ieqz(name, "check-sync") || span_ieqz(name, "message-summary");
	vp_rule(v, "RFC6665-8.2.1", name.n > 0, "NOTIFY without Event");
	if (known)
		vp_event(v, "notify", SPAN_FMT, SPAN_ARG(name));
	return known ? 200 : 489;
}

static void outside(struct vphone *v, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	char tag[20];
	vp_new_tag(v, tag);
	if (req->to.tag.n) {
		vp_reply_simple(v, id, req, from, 481, NULL, SPAN_NONE);
		return;
	}
	switch (req->method) {
	case SIP_INVITE: vp_incoming_invite(v, id, req, from); return;
	case SIP_OPTIONS: answer_options(v, id, req, from); return;
	case SIP_NOTIFY: vp_reply_simple(v, id, req, from, notify_status(v, req), NULL, span_z(tag)); return;
	case SIP_MESSAGE: vp_reply_simple(v, id, req, from, 200, NULL, span_z(tag)); return;
	case SIP_SUBSCRIBE: vp_reply_simple(v, id, req, from, 489, NULL, span_z(tag)); return;
	case SIP_BYE:
	case SIP_CANCEL:
	case SIP_PRACK:
	case SIP_UPDATE:
	case SIP_INFO: vp_reply_simple(v, id, req, from, 481, NULL, span_z(tag)); return;
	case SIP_REFER:
	case SIP_REGISTER:
	case SIP_PUBLISH:
	case SIP_OTHER_METHOD: vp_reply_simple(v, id, req, from, 501, NULL, span_z(tag)); return;
	case SIP_ACK: return;
	}
}

static void got_bye(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	vp_reply_simple(v, id, req, from, 200, NULL, SPAN_NONE);
	/* their INVITE may still be open: a BYE in an early dialog */
	if (c->server && !c->answered) {
		vp_refuse(v, c, 487, "Request Cancelled");
		return;
	}
	vp_call_ended(v, c, "by peer");
}

static void inside(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	enum dialog_check ok = dialog_accept_request(&c->dlg, req);
	vp_rule(v, "RFC3261-12.2.2", ok != DIALOG_OLD_CSEQ, SPAN_FMT " with an old CSeq %u", SPAN_ARG(req->method_name), req->cseq);
	if (ok != DIALOG_FRESH) {
		vp_reply_simple(v, id, req, from, ok == DIALOG_OLD_CSEQ ? 500 : 481, NULL, SPAN_NONE);
		return;
	}
	switch (req->method) {
	case SIP_INVITE: vp_incoming_reinvite(v, c, id, req, from); return;
	case SIP_BYE: got_bye(v, c, id, req, from); return;
	case SIP_UPDATE: vp_incoming_update(v, c, id, req, from); return;
	case SIP_PRACK: vp_incoming_prack(v, c, id, req, from); return;
	case SIP_OPTIONS: answer_options(v, id, req, from); return;
	case SIP_NOTIFY: vp_reply_simple(v, id, req, from, notify_status(v, req), NULL, SPAN_NONE); return;
	case SIP_INFO:
	case SIP_MESSAGE: vp_reply_simple(v, id, req, from, 200, NULL, SPAN_NONE); return;
	case SIP_SUBSCRIBE: vp_reply_simple(v, id, req, from, 489, NULL, SPAN_NONE); return;
	case SIP_REFER:
	case SIP_REGISTER:
	case SIP_PUBLISH:
	case SIP_CANCEL:
	case SIP_OTHER_METHOD: vp_reply_simple(v, id, req, from, 501, NULL, SPAN_NONE); return;
	case SIP_ACK: return;
	}
}

static void on_request(void *ctx, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	struct vphone *v = ctx;
	vp_check_request(v, req);
	if (req->method == SIP_NOTIFY && (vp_mwi_notify(v, id, req, from) || vp_refer_notify(v, id, req, from)))
		return;
	struct vp_call *c = vp_call_by_request(v, req);
	if (c)
		inside(v, c, id, req, from);
	else
		outside(v, id, req, from);
}

static void on_cancel(void *ctx, txn_id id, const struct sip_msg *cancel)
{
	struct vphone *v = ctx;
	(void)cancel;
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++)
		if (v->calls[i]->server == id && !v->calls[i]->answered) {
			vp_refuse(v, v->calls[i], 487, "Request Cancelled"); /* section 8: its wording */
			return;
		}
}

static void on_ack(void *ctx, const struct sip_msg *ack, const struct sip_flow *from)
{
	struct vphone *v = ctx;
	struct vp_call *c = vp_call_by_request(v, ack);
	(void)from;
	if (c)
		vp_incoming_ack(v, c, ack);
}

static void bye_done(struct vphone *v, struct vp_call *c, const struct sip_msg *resp)
{
	if (resp && resp->status < 200)
		return;
	if (resp && (resp->status == 401 || resp->status == 407) && c->challenges++ < 2) {
		vp_call_bye(v, c, resp);
		return;
	}
	vp_call_ended(v, c, "hung up");
}

static void on_response(void *ctx, txn_id id, uint64_t owner, const struct sip_msg *resp, const struct sip_flow *from)
{
	struct vphone *v = ctx;
	uint32_t serial = (uint32_t)owner;
	struct vp_call *c = vp_call_by_serial(v, serial);
	struct vp_reg *r;
	vp_check_response(v, resp);
	switch ((enum vp_owner)(owner >> 32)) {
	case VP_OWN_REG:
		if ((r = reg_of(v, serial)) && r->txn == id)
			vp_reg_response(v, r, resp);
		return;
	case VP_OWN_MWI:
		if (serial < v->n_lines && v->lines[serial].mwi.txn == id)
			vp_mwi_response(v, &v->lines[serial].mwi, resp);
		return;
	case VP_OWN_INVITE:
		if (c)
			vp_invite_response(v, c, id, resp, from);
		return;
	case VP_OWN_BYE:
		if (c)
			bye_done(v, c, resp);
		return;
	case VP_OWN_REFER:
		if (c)
			vp_refer_response(v, c, resp);
		return;
	case VP_OWN_NONE:
	case VP_OWN_PRACK:
	case VP_OWN_SERVER: return;
	}
}

/* Our 2xx was never acknowledged: the call is ended (RFC 3261 13.3.1.4). */
static void no_ack(struct vphone *v, struct vp_call *c)
{
	vp_rule(v, "RFC3261-13.2.2.4", false, "the 2xx to %s was never acknowledged", c->number);
	c->server = 0;
	if (c->state != VPC_ENDING || c->bye_after_ack) {
		c->bye_after_ack = false;
		vp_media_close(v, c);
		vp_call_state(v, c, VPC_ENDING);
		vp_call_bye(v, c, NULL);
	}
}

static void on_failure(void *ctx, txn_id id, uint64_t owner, enum txn_failure why)
{
	struct vphone *v = ctx;
	uint32_t serial = (uint32_t)owner;
	struct vp_call *c = vp_call_by_serial(v, serial);
	struct vp_reg *r;
	switch ((enum vp_owner)(owner >> 32)) {
	case VP_OWN_REG:
		if ((r = reg_of(v, serial)) && r->txn == id) {
			r->txn = 0;
			vp_reg_failed(v, r, 408, why == TXN_TRANSPORT ? "transport" : "no answer");
		}
		return;
	case VP_OWN_MWI:
		if (serial < v->n_lines && v->lines[serial].mwi.txn == id)
			vp_mwi_response(v, &v->lines[serial].mwi, NULL);
		return;
	case VP_OWN_INVITE:
		if (c && c->client == id)
			vp_invite_failure(v, c, why);
		return;
	case VP_OWN_BYE:
		if (c)
			bye_done(v, c, NULL);
		return;
	case VP_OWN_REFER:
		if (c)
			vp_refer_response(v, c, NULL);
		return;
	case VP_OWN_SERVER:
		if (c && c->server == id)
			no_ack(v, c);
		return;
	case VP_OWN_NONE:
	case VP_OWN_PRACK: return;
	}
}

static void on_send(void *ctx, const struct sip_flow *to, struct span bytes)
{
	vp_out(ctx, &(struct vphone_out){.kind = VP_OUT_SIP, .flow = *to, .bytes = bytes});
}

const struct txn_user vp_txn_user = {NULL, on_request, on_cancel, on_ack, on_response, on_failure, on_send};

void vp_ua_bytes(struct vphone *v, const struct vphone_in *in)
{
	struct sip_msg m;
	struct sip_error err = {0};
	if (sip_is_keepalive(in->bytes))
		return;
	int rc = sip_parse(&m, in->bytes, &err);
	if (!vp_rule(v, "RFC3261-7", rc == 0, "malformed message at byte %zu: %s", err.offset, err.reason ? err.reason : ""))
		return;
	struct sip_flow from = in->flow;
	if (!from.local.family)
		from.local = v->ip;
	txn_recv(v->txn, &m, &from, v->now_us);
}

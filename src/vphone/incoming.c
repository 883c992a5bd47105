/* Calls that come in and re-INVITEs of the peer: section 8 "Responses, phone as callee"; points V17a, V19, V21, V22. */
#include "vphone/machine.h"

enum { T1_US = 500000, RSEQ_FIRST = 8193 /* section 8, S67 */ };

/* The line by the user of the request-URI; the first line takes what fits none. */
static int line_for(const struct vphone *v, const struct sip_msg *req)
{
	char user[64];
	struct span u = sip_unescape(req->ruri.user, user, sizeof user);
	for (unsigned i = 0; i < v->n_lines; i++)
		if (v->lines[i].user[0] && u.p && span_eqz(u, v->lines[i].user))
			return (int)i;
	for (unsigned i = 0; i < v->n_lines; i++)
		if (v->lines[i].user[0])
			return (int)i;
	return -1;
}

static bool can_talk(const struct vphone *v, const struct sdp *offer)
{
	const struct sdp_media *m = sdp_audio(offer);
	for (unsigned i = 0; m && i < m->n_fmt; i++)
		for (unsigned k = 0; k < v->set.n_codec; k++)
			if (m->fmt[i].pt == v->set.codec[k] && span_eqz(m->proto, "RTP/AVP"))
				return true;
	return false;
}

/* 0 when the request may become a call; else the status to refuse it with. */
static uint16_t screen(struct vphone *v, const struct sip_msg *req, int line)
{
	struct sdp sdp;
	if (line < 0)
		return 404;
	if (req->body.n) {
		if (!vp_parse_sdp(v, req->body, &sdp))
			return 400;
		if (!vp_rule(v, "T31.codecs", can_talk(v, &sdp), "the offer holds no codec of this phone"))
			return 488;
	}
	/* V21: calls per line key; one call only without call waiting */
	int have = vp_call_count(v, line);
	if (have >= v->lines[line].max_calls || vp_call_count(v, -1) >= VP_CALLS || (!v->set.call_waiting && have > 0))
		return 486;
	return 0;
}

static void take_peer(struct vp_call *c, const struct sip_msg *req)
{
	char name[64];
	struct sip_nameaddr pai;
	const struct sip_nameaddr *a = &req->from;
	struct span v = sip_hdr_value(req, SIP_H_P_ASSERTED_IDENTITY);
	/* section 8: P-Asserted-Identity, Remote-Party-ID, From */
	if (!v.n)
		v = sip_hdr_value(req, SIP_H_REMOTE_PARTY_ID);
	if (v.n && sip_nameaddr_parse(v, &pai) == 0)
		a = &pai;
	struct span d = sip_display(a, name, sizeof name);
	vp_copyz(c->name, sizeof c->name, d);
	char user[64];
	struct span u = sip_unescape(a->uri.user, user, sizeof user);
	vp_copyz(c->number, sizeof c->number, u.p ? u : a->uri.user);
}

static void reply(struct vphone *v, struct vp_call *c, const struct sip_msg *req, const struct sip_flow *from, uint16_t status,
		  struct span sdp, bool allow)
{
	char buf[VP_MSG_MAX];
	struct sip_build b = {TEXT_ARRAY(buf)};
	vp_reply_begin(v, &b, req, from, status, NULL, span_z(c->tag), c->line);
	if (status == 180)
		sip_put_named(&b, "Allow-Events", SPAN_LIT("conference,talk,hold"));
	if (status == 180 && c->rel_open) {
		sip_put_z(&b, SIP_H_REQUIRE, "100rel");
		sip_put_u(&b, SIP_H_RSEQ, RSEQ_FIRST);
	}
	if (allow) { /* 200 has Allow, no Supported */
		sip_put_z(&b, SIP_H_ALLOW, vp_allow);
		vp_session_reply(v, c, req, &b);
	}
	if (sip_finish(&b, sdp.n ? "application/sdp" : "", sdp))
		(void)txn_reply(v->txn, c->server, vp_owner(VP_OWN_SERVER, c->serial), status, text_span(&b.t), v->now_us);
}

static void ring(struct vphone *v, struct vp_call *c, const struct sip_msg *req, const struct sip_flow *from)
{
	reply(v, c, req, from, 100, SPAN_NONE, false); /* V17a: with our tag */
	if (sip_has_token(req, SIP_H_SUPPORTED, "100rel") || sip_has_token(req, SIP_H_REQUIRE, "100rel")) {
		c->rel_open = true;
		wheel_set(&v->wheel, &c->rel, v->now_us + T1_US);
	}
	reply(v, c, req, from, 180, SPAN_NONE, false);
	if (!v->focus)
		v->focus = c->serial;
	vp_call_state(v, c, VPC_RINGING);
	wheel_set(&v->wheel, &c->timer, v->now_us + (int64_t)v->set.offering_s * VP_SECOND);
}

void vp_incoming_invite(struct vphone *v, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	char tag[20];
	static const char *const known[] = {"100rel", "replaces", "timer", NULL};
	struct span odd;
	struct vp_call *old = NULL;
	int line = line_for(v, req);
	vp_new_tag(v, tag);
	uint16_t no = sip_unknown_token(req, SIP_H_REQUIRE, known, &odd) ? 420 : screen(v, req, line);
	if (!no)
		no = vp_replaced(v, req, &old);
	struct vp_call *c = no ? NULL : vp_call_new(v, (uint8_t)line);
	if (!c) {
		vp_reply_simple(v, id, req, from, no ? no : 486, NULL, span_z(tag));
		return;
	}
	vp_copyz(c->tag, sizeof c->tag, span_z(tag));
	c->server = id;
	c->server_cseq = req->cseq;
	c->flow = *from;
	c->offerless = req->body.n == 0;
	if (dialog_from_request(&c->dlg, &v->slab, req, from, span_z(c->tag)) != 0) {
		vp_reply_simple(v, id, req, from, 400, NULL, span_z(tag));
		c->server = 0;
		vp_call_free(v, c);
		return;
	}
	if (!c->offerless)
		(void)offer_received(&c->offer);
	take_peer(c, req);
	if (old) { /* in its place, at once (RFC 3891 3) */
		vp_call_hang(v, old);
		vp_call_state(v, c, VPC_RINGING);
		vp_answer(v, c);
		return;
	}
	ring(v, c, req, from);
}

/* RFC 3262 3: the reliable 180 again, doubling, 64 * T1 at most; then the call is refused. */
void vp_incoming_rel_timer(struct vphone *v, struct vp_call *c)
{
	struct sip_msg req;
	struct sip_flow from;
	if (!c->rel_open || c->state != VPC_RINGING)
		return;
	if (++c->rel_tries >= 6 || txn_request_of(v->txn, c->server, &req, &from) != 0) {
		vp_rule(v, "T34.prack", false, "listed 100rel but sent no PRACK for the 180");
		vp_refuse(v, c, 500, NULL);
		return;
	}
	reply(v, c, &req, &from, 180, SPAN_NONE, false);
	wheel_set(&v->wheel, &c->rel, v->now_us + ((int64_t)T1_US << c->rel_tries));
}

void vp_incoming_prack(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	bool ok = c->rel_open;
	c->rel_open = false;
	wheel_cancel(&v->wheel, &c->rel);
	vp_reply_simple(v, id, req, from, ok ? 200 : 481, NULL, SPAN_NONE);
}

void vp_refuse(struct vphone *v, struct vp_call *c, uint16_t status, const char *reason)
{
	struct sip_msg req;
	struct sip_flow from;
	char buf[VP_MSG_MAX];
	struct sip_build b = {TEXT_ARRAY(buf)};
	if (txn_request_of(v->txn, c->server, &req, &from) == 0) {
		vp_reply_begin(v, &b, &req, &from, status, reason, span_z(c->tag), -1);
		if (sip_finish(&b, "", SPAN_NONE))
			(void)txn_reply(v->txn, c->server, 0, status, text_span(&b.t), v->now_us);
	}
	vp_call_ended(v, c, status == 487 ? "cancelled by peer" : status == 480 ? "not answered" : "refused");
}

void vp_answer(struct vphone *v, struct vp_call *c)
{
	struct sip_msg req;
	struct sip_flow from;
	struct sdp sdp;
	struct sdp_error err;
	char body[2048];
	struct text t = TEXT_ARRAY(body);
	if (c->state != VPC_RINGING)
		return;
	if (txn_request_of(v->txn, c->server, &req, &from) != 0) {
		vp_call_ended(v, c, "gone");
		return;
	}
	if (vp_media_open(v, c) != 0) {
		vp_refuse(v, c, 486, NULL);
		return;
	}
	if (c->offerless) {
		c->want_ack_answer = true;
		(void)offer_sent(&c->offer);
		vp_sdp_offer(v, c, &t);
	} else if (sdp_parse(req.body, &sdp, &err) != 0 || vp_sdp_answer(v, c, &sdp, &t) != 0) {
		vp_refuse(v, c, 488, NULL);
		return;
	} else {
		(void)answer_sent(&c->offer);
	}
	v->focus = c->serial;
	vp_hold_others(v, c);
	wheel_cancel(&v->wheel, &c->timer);
	wheel_cancel(&v->wheel, &c->rel);
	c->rel_open = false;
	c->answered = true;
	if (!c->dlg.has_remote_cseq)
		c->dlg.remote_cseq = req.cseq, c->dlg.has_remote_cseq = true;
	reply(v, c, &req, &from, 200, text_span(&t), true);
	c->dlg.state = DIALOG_CONFIRMED;
	vp_call_settle(v, c);
}

void vp_incoming_ack(struct vphone *v, struct vp_call *c, const struct sip_msg *ack)
{
	struct sdp sdp;
	struct sdp_error err;
	if (!c->server || ack->cseq != c->server_cseq)
		return;
	txn_acked(v->txn, c->server);
	c->server = 0;
	if (c->want_ack_answer) {
		c->want_ack_answer = false;
		bool ok = ack->body.n && sdp_parse(ack->body, &sdp, &err) == 0 && answer_received(&c->offer) == OFFER_OK;
		if (vp_rule(v, "RFC3261-13.2.2.4", ok, "the ACK to an offer holds no answer")) {
			vp_check_answer(v, c, &sdp);
			(void)!vp_sdp_take_answer(v, c, &sdp);
		} else {
			offer_failed(&c->offer);
		}
		vp_call_settle(v, c);
	}
	if (c->bye_after_ack) {
		c->bye_after_ack = false;
		vp_call_bye(v, c, NULL);
	}
}

/* 0: *t holds our answer, or nothing when there is no description; else the status to refuse with. */
static uint16_t counter(struct vphone *v, struct vp_call *c, const struct sip_msg *req, struct text *t)
{
	struct sdp sdp;
	if (!vp_parse_sdp(v, req->body, &sdp))
		return 400;
	switch (offer_received(&c->offer)) {
	case OFFER_OK: break;
	case OFFER_GLARE: return 491;
	case OFFER_BUSY:
	case OFFER_UNEXPECTED: return 500;
	}
	c->sdp_version++;
	if (vp_sdp_answer(v, c, &sdp, t) != 0) {
		offer_failed(&c->offer);
		return 488;
	}
	(void)answer_sent(&c->offer);
	return 0;
}

void vp_incoming_reinvite(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	char body[2048];
	struct text t = TEXT_ARRAY(body);
	uint16_t no = 0;
	if (!c->answered || c->state == VPC_ENDING)
		no = c->state == VPC_ENDING ? 481 : 491;
	else if (c->client)
		no = 491;
	else if (c->server)
		no = 500;
	else if (req->body.n)
		no = counter(v, c, req, &t);
	if (no) {
		vp_reply_simple(v, id, req, from, no, NULL, SPAN_NONE);
		return;
	}
	(void)!dialog_refresh_target(&c->dlg, &v->slab, req);
	c->server = id;
	c->server_cseq = req->cseq;
	if (req->body.n == 0) {
		c->want_ack_answer = true;
		c->sdp_version++;
		(void)offer_sent(&c->offer);
		vp_sdp_offer(v, c, &t);
	}
	take_peer(c, req);
	reply(v, c, req, from, 200, text_span(&t), true);
	vp_call_settle(v, c);
}

void vp_incoming_update(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	char body[2048], buf[VP_MSG_MAX];
	struct text t = TEXT_ARRAY(body);
	struct sip_build b = {TEXT_ARRAY(buf)};
	uint16_t no = req->body.n ? !c->media ? 491 : counter(v, c, req, &t) : 0;
	if (no) {
		vp_reply_simple(v, id, req, from, no, NULL, SPAN_NONE);
		return;
	}
	(void)!dialog_refresh_target(&c->dlg, &v->slab, req);
	if (sip_hdr(req, SIP_H_P_ASSERTED_IDENTITY) || sip_hdr(req, SIP_H_REMOTE_PARTY_ID))
		take_peer(c, req);
	vp_reply_begin(v, &b, req, from, 200, NULL, SPAN_NONE, c->line);
	sip_put_z(&b, SIP_H_ALLOW, vp_allow);
	vp_session_reply(v, c, req, &b);
	if (sip_finish(&b, t.n ? "application/sdp" : "", text_span(&t)))
		(void)txn_reply(v->txn, id, 0, 200, text_span(&b.t), v->now_us);
	vp_call_settle(v, c);
}

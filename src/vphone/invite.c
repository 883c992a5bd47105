/* Calls that we make and re-INVITEs that we send: section 8; points V18, V19, V22. */
#include "vphone/machine.h"

enum { AUTH_TRIES = 2, PENDING_RETRY_US = 200000 };

static struct vp_reg *server_of(struct vphone *v, const struct vp_call *c)
{
	return &v->lines[c->line].reg[0];
}

static void put_from(const struct vp_line *l, const struct vp_call *c, struct text *t)
{
	if (l->display[0])
		text_fmt(t, "\"%s\" ", l->display);
	text_lit(t, "<sip:");
	sip_escape_user(t, span_z(l->user));
	text_fmt(t, "@%s>;tag=%s", l->domain, c->tag);
}

static bool finish_and_send(struct vphone *v, struct vp_call *c, struct sip_build *b, const struct sip_flow *flow)
{
	char sdp[2048];
	struct text ts = TEXT_ARRAY(sdp);
	vp_sdp_offer(v, c, &ts);
	sip_put_z(b, SIP_H_ALLOW, vp_allow);
	vp_session_supported(v, b);
	sip_put_named(b, "Allow-Events", SPAN_LIT("conference,talk,hold"));
	return !ts.over && vp_req_end(v, b, text_span(&ts)) &&
	       txn_send(v->txn, text_span(&b->t), flow, vp_owner(VP_OWN_INVITE, c->serial), v->now_us, &c->client) == 0;
}

/* The first INVITE, or again with credentials. */
static void send_invite(struct vphone *v, struct vp_call *c, const struct sip_msg *challenge)
{
	char buf[VP_MSG_MAX], from[320], to[256];
	const struct vp_line *l = &v->lines[c->line];
	struct sip_build b = {TEXT_ARRAY(buf)};
	struct text tf = TEXT_ARRAY(from), tt = TEXT_ARRAY(to);
	put_from(l, c, &tf);
	text_fmt(&tt, "<%s>", c->target); /* To likewise: ;user=phone too */
	vp_req_begin(v, &b, &(struct vp_req){.method = SIP_INVITE, .flow = &c->flow, .ruri = span_z(c->target), .from = text_span(&tf),
		.to = text_span(&tt), .call_id = span_z(c->call_id), .cseq = ++c->client_cseq, .line = c->line, .contact_params = ""});
	if (challenge)
		vp_put_auth(v, &b, l, challenge, SIP_INVITE, span_z(c->target));
	if (!finish_and_send(v, c, &b, &c->flow))
		vp_call_failed(v, c, 500, SPAN_LIT("no room to send"));
}

static bool is_dialled(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_digit(s.p[i]) && s.p[i] != '*' && s.p[i] != '#' && s.p[i] != '+')
			return false;
	return s.n > 0;
}

static void put_target(struct vphone *v, struct vp_call *c, struct span number, bool digits)
{
	struct text t = TEXT_ARRAY(c->target);
	struct span at = number, user = span_cut(&at, '@');
	text_lit(&t, "sip:");
	sip_escape_user(&t, user);
	text_putc(&t, '@');
	text_put(&t, at.p ? at : span_z(v->lines[c->line].domain));
	if (digits && is_dialled(user))
		text_lit(&t, ";user=phone");
	if (c->flow.transport != SIP_UDP)
		text_fmt(&t, ";transport=%s", sip_transport_param(c->flow.transport));
	if (!text_end(&t))
		c->target[0] = 0;
	vp_copyz(c->number, sizeof c->number, user);
}

void vp_dial(struct vphone *v, struct span number, bool digits)
{
	struct vp_call *c;
	if (number.n == 0 || number.n > 60 || !v->booted || v->line >= v->n_lines || v->lines[v->line].n_regs == 0) {
		vp_event(v, "cannot-dial", "%s", v->booted ? "no line" : "not booted");
		return;
	}
	if (!(c = vp_call_new(v, v->line)))
		return;
	c->outgoing = true;
	c->flow = server_of(v, c)->flow;
	c->flow.conn = 0;
	vp_new_call_id(v, c->call_id);
	vp_new_tag(v, c->tag);
	put_target(v, c, number, digits);
	v->focus = c->serial;
	vp_hold_others(v, c);
	vp_call_state(v, c, VPC_PROCEEDING);
	if (!c->target[0] || vp_media_open(v, c) != 0 || offer_sent(&c->offer) != OFFER_OK) {
		vp_call_failed(v, c, 500, SPAN_LIT("no media port"));
		return;
	}
	send_invite(v, c, NULL);
}

/* ACK for a 2xx; it carries Allow and Contact (section 8). */
static void ack(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *resp)
{
	char buf[VP_MSG_MAX];
	struct sip_build b = {TEXT_ARRAY(buf)};
	vp_dlg_begin(v, &b, c, SIP_ACK, resp->cseq);
	sip_put_z(&b, SIP_H_ALLOW, vp_allow);
	if (vp_req_end(v, &b, SPAN_NONE))
		txn_ack(v->txn, id, resp->to.tag, text_span(&b.t), &c->dlg.flow, v->now_us);
}

/* A second phone answered the same INVITE: its dialog is acknowledged and ended at once. */
static void drop_fork(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *resp, const struct sip_flow *from)
{
	struct dialog mine = c->dlg;
	c->dlg = (struct dialog){0};
	if (dialog_from_response(&c->dlg, &v->slab, resp, from) == 0) {
		char buf[VP_MSG_MAX];
		struct sip_build b = {TEXT_ARRAY(buf)};
		txn_id bye;
		ack(v, c, id, resp);
		vp_dlg_begin(v, &b, c, SIP_BYE, 0);
		if (vp_req_end(v, &b, SPAN_NONE))
			(void)!txn_send(v->txn, text_span(&b.t), from, 0, v->now_us, &bye);
	}
	dialog_clear(&c->dlg, &v->slab);
	c->dlg = mine;
}

static bool take_body(struct vphone *v, struct vp_call *c, const struct sip_msg *resp)
{
	struct sdp sdp;
	if (resp->body.n == 0 || !vp_parse_sdp(v, resp->body, &sdp))
		return false;
	/* once answered, a repetition in a later response must not change anything (RFC 3261 13.2.1) */
	if (c->offer.state != OFFER_LOCAL || answer_received(&c->offer) != OFFER_OK)
		return c->media && c->media->have_remote;
	vp_check_answer(v, c, &sdp);
	return vp_sdp_take_answer(v, c, &sdp) == 0;
}

static void prack(struct vphone *v, struct vp_call *c, const struct sip_msg *resp)
{
	uint64_t rseq;
	char buf[VP_MSG_MAX];
	struct sip_build b = {TEXT_ARRAY(buf)};
	txn_id id;
	if (!sip_has_token(resp, SIP_H_REQUIRE, "100rel") || span_u64(sip_hdr_value(resp, SIP_H_RSEQ), UINT32_MAX, &rseq) != 0)
		return;
	if (c->dlg.state == DIALOG_NONE || rseq <= c->rseq)
		return;
	c->rseq = (uint32_t)rseq;
	vp_dlg_begin(v, &b, c, SIP_PRACK, 0);
	sip_head(&b, SIP_H_RACK);
	text_fmt(&b.t, "%u %u INVITE", c->rseq, resp->cseq);
	sip_eol(&b);
	if (vp_req_end(v, &b, SPAN_NONE))
		(void)!txn_send(v->txn, text_span(&b.t), &c->dlg.flow, vp_owner(VP_OWN_PRACK, c->serial), v->now_us, &id);
}

/* The dialog of this response: made, or replaced when another fork speaks now. */
static bool adopt(struct vphone *v, struct vp_call *c, const struct sip_msg *resp, const struct sip_flow *from)
{
	if (resp->to.tag.n == 0)
		return false;
	if (c->dlg.state == DIALOG_EARLY && resp->status < 200 && dialog_matches_response(&c->dlg, resp))
		return true;
	uint32_t cseq = c->dlg.state == DIALOG_EARLY && dialog_matches_response(&c->dlg, resp) ? c->dlg.local_cseq : 0;
	dialog_clear(&c->dlg, &v->slab);
	c->dlg = (struct dialog){0};
	if (dialog_from_response(&c->dlg, &v->slab, resp, from) != 0)
		return false;
	if (c->dlg.local_cseq < cseq) /* a PRACK has taken a number */
		c->dlg.local_cseq = cseq;
	return true;
}

static void provisional(struct vphone *v, struct vp_call *c, const struct sip_msg *resp, const struct sip_flow *from)
{
	if (resp->status == 100 || c->answered || c->cancelled)
		return;
	if (!adopt(v, c, resp, from))
		return;
	prack(v, c, resp);
	bool early = take_body(v, c, resp);
	if (early)
		vp_media_update(v, c);
	if (c->state == VPC_PROCEEDING && (resp->status == 180 || resp->status == 183)) {
		vp_call_state(v, c, VPC_RINGBACK);
		if (v->set.ringback_s) /* V22 */
			wheel_set(&v->wheel, &c->timer, v->now_us + (int64_t)v->set.ringback_s * VP_SECOND);
	}
}

static void answered(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *resp, const struct sip_flow *from)
{
	if (!adopt(v, c, resp, from)) {
		vp_call_failed(v, c, 500, SPAN_LIT("unusable 200"));
		return;
	}
	wheel_cancel(&v->wheel, &c->timer);
	ack(v, c, id, resp);
	c->answered = true;
	vp_session_answered(v, c, resp);
	c->challenges = 0;
	bool media = take_body(v, c, resp);
	if (c->cancelled || !vp_rule(v, "RFC3264-5", media, "the 200 to INVITE holds no usable answer")) {
		vp_media_close(v, c);
		vp_call_state(v, c, VPC_ENDING);
		vp_call_bye(v, c, NULL);
		return;
	}
	vp_call_settle(v, c);
}

static void send_reinvite(struct vphone *v, struct vp_call *c, const struct sip_msg *challenge)
{
	char buf[VP_MSG_MAX];
	struct sip_build b = {TEXT_ARRAY(buf)};
	vp_dlg_begin(v, &b, c, SIP_INVITE, 0);
	c->client_cseq = c->dlg.local_cseq;
	if (challenge)
		vp_put_auth(v, &b, &v->lines[c->line], challenge, SIP_INVITE, c->dlg.remote_target);
	if (!finish_and_send(v, c, &b, &c->dlg.flow)) {
		offer_failed(&c->offer);
		vp_log(v, "no room for a re-INVITE");
	}
}

void vp_reinvite(struct vphone *v, struct vp_call *c, bool hold)
{
	if (!c->answered || c->state == VPC_ENDING)
		return;
	c->hold_local = hold;
	vp_media_update(v, c);
	if (c->client || c->server || c->offer.state != OFFER_IDLE) {
		/* something is under way: again when it is through */
		wheel_set(&v->wheel, &c->glare, v->now_us + PENDING_RETRY_US);
		return;
	}
	if (offer_sent(&c->offer) != OFFER_OK)
		return;
	c->sdp_version++;
	c->challenges = 0;
	send_reinvite(v, c, NULL);
}

void vp_glare_timer(struct vphone *v, struct vp_call *c)
{
	vp_reinvite(v, c, c->hold_local);
}

/* RFC 3261 14.1: 2.1 to 4 s for the owner of the Call-ID, else 0 to 2 s, in steps of 10 ms. */
static void glare(struct vphone *v, struct vp_call *c)
{
	uint64_t ms = c->outgoing ? 2100 + 10 * rng_below(&v->rng, 191) : 10 * rng_below(&v->rng, 201);
	vp_event(v, "glare", "retry in %u ms", (unsigned)ms);
	wheel_set(&v->wheel, &c->glare, v->now_us + (int64_t)ms * 1000);
}

static bool wants_auth(struct vp_call *c, const struct sip_msg *resp)
{
	return (resp->status == 401 || resp->status == 407) && c->challenges++ < AUTH_TRIES;
}

static void reinvite_response(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *resp)
{
	if (resp->status < 300) {
		ack(v, c, id, resp);
		c->client = 0;
		(void)!dialog_refresh_target(&c->dlg, &v->slab, resp);
		vp_session_answered(v, c, resp);
		vp_rule(v, "RFC3261-14.1", take_body(v, c, resp), "the 200 to a re-INVITE holds no usable answer");
		if (c->offer.state == OFFER_LOCAL)
			offer_failed(&c->offer);
		vp_call_settle(v, c);
		return;
	}
	c->client = 0;
	if (wants_auth(c, resp)) {
		send_reinvite(v, c, resp);
		return;
	}
	offer_failed(&c->offer);
	if (resp->status == 491) {
		glare(v, c);
	} else if (resp->status == 481 || resp->status == 408) {
		/* RFC 3261 12.2.1.2: the dialog is gone */
		vp_media_close(v, c);
		vp_call_state(v, c, VPC_ENDING);
		vp_call_bye(v, c, NULL);
	} else {
		c->hold_local = c->state == VPC_HELD;
		vp_event(v, "reinvite-failed", "%u", resp->status);
		vp_call_settle(v, c);
	}
}

void vp_invite_response(struct vphone *v, struct vp_call *c, txn_id id, const struct sip_msg *resp, const struct sip_flow *from)
{
	if (c->answered && resp->status >= 200 && resp->status < 300 && !dialog_matches_response(&c->dlg, resp)) {
		drop_fork(v, c, id, resp, from);
		return;
	}
	if (c->client != id)
		return;
	if (c->answered) {
		if (resp->status >= 200)
			reinvite_response(v, c, id, resp);
		return;
	}
	if (resp->status < 200) {
		provisional(v, c, resp, from);
		return;
	}
	if (resp->status < 300) {
		c->client = 0;
		answered(v, c, id, resp, from);
		return;
	}
	c->client = 0;
	wheel_cancel(&v->wheel, &c->timer);
	if (!c->cancelled && wants_auth(c, resp)) {
		dialog_clear(&c->dlg, &v->slab);
		c->dlg = (struct dialog){0};
		send_invite(v, c, resp);
		return;
	}
	vp_call_failed(v, c, resp->status, resp->reason);
}

void vp_invite_failure(struct vphone *v, struct vp_call *c, enum txn_failure why)
{
	c->client = 0;
	if (!c->answered) {
		vp_call_failed(v, c, 408, why == TXN_TRANSPORT ? SPAN_LIT("transport failed") : SPAN_LIT("no answer from the server"));
		return;
	}
	offer_failed(&c->offer);
	vp_media_close(v, c);
	vp_call_state(v, c, VPC_ENDING);
	vp_call_bye(v, c, NULL);
}

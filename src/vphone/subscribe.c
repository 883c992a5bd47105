/* Message lamp: SUBSCRIBE message-summary (sections 8 and 9, msg.mwi.x.subscribe; points V20, V37; RFC 6665, RFC 3842). One
 * subscription for a line, made after the registration; refreshed before it ends; made anew when the server has lost it. */
#include "vphone/machine.h"

enum { RETRY_S = 60, OVERLAP_S = 60 };

static void retry_in(struct vphone *v, struct vp_mwi *s, int64_t seconds)
{
	wheel_set(&v->wheel, &s->timer, v->now_us + seconds * VP_SECOND);
}

void vp_mwi_clear(struct vphone *v, struct vp_mwi *s)
{
	wheel_cancel(&v->wheel, &s->timer);
	dialog_clear(&s->dlg, &v->slab);
	if (s->txn)
		txn_orphan(v->txn, s->txn);
	s->txn = 0;
	s->state = VP_MWI_NONE;
	s->cseq_seen = false;
}

static void begin(struct vphone *v, struct vp_mwi *s, struct sip_build *b, struct text *uri)
{
	const struct vp_line *l = &v->lines[s->line];
	const struct vp_reg *r = &l->reg[0];
	char from[320], to[256];
	struct text tf = TEXT_ARRAY(from), tt = TEXT_ARRAY(to);
	if (s->dlg.state != DIALOG_NONE) {
		text_put(uri, s->dlg.remote_target);
		text_fmt(&tf, SPAN_FMT ";tag=" SPAN_FMT, SPAN_ARG(s->dlg.local_uri), SPAN_ARG(s->dlg.local_tag));
		text_fmt(&tt, SPAN_FMT ";tag=" SPAN_FMT, SPAN_ARG(s->dlg.remote_uri), SPAN_ARG(s->dlg.remote_tag));
		s->dlg.flow = r->flow;
	} else {
		text_fmt(uri, "sip:%s@%s", s->target, l->domain);
		text_fmt(&tf, "<sip:%s@%s>;tag=%s", l->user, l->domain, s->tag);
		text_fmt(&tt, "<sip:%s@%s>", s->target, l->domain);
	}
	vp_req_begin(v, b, &(struct vp_req){.method = SIP_SUBSCRIBE, .flow = &r->flow, .ruri = text_span(uri), .from = text_span(&tf),
		.to = text_span(&tt), .call_id = span_z(s->call_id), .cseq = ++s->cseq, .line = s->line, .contact_params = "",
		.route = s->dlg.route});
}

static void send(struct vphone *v, struct vp_mwi *s, uint32_t expires_s)
{
	const struct vp_line *l = &v->lines[s->line];
	char buf[VP_MSG_MAX], uri[256];
	struct sip_build b = {TEXT_ARRAY(buf)};
	struct text tu = TEXT_ARRAY(uri);
	if (s->txn)
		return;
	begin(v, s, &b, &tu);
	s->tried_auth = s->ch.set;
	if (s->ch.set) {
		sip_head(&b, SIP_H_AUTHORIZATION);
		vp_challenge_answer(v, &s->ch, &b.t, span_z(l->auth_user), span_z(l->auth_password), SPAN_LIT("SUBSCRIBE"), text_span(&tu));
		sip_eol(&b);
	}
	sip_put_z(&b, SIP_H_EVENT, "message-summary");
	sip_put_z(&b, SIP_H_ACCEPT, "application/simple-message-summary");
	sip_put_u(&b, SIP_H_MAX_FORWARDS, 70);
	sip_put_u(&b, SIP_H_EXPIRES, expires_s);
	s->asked_s = expires_s;
	if (!sip_finish(&b, "", SPAN_NONE) ||
	    txn_send(v->txn, text_span(&b.t), &l->reg[0].flow, vp_owner(VP_OWN_MWI, s->line), v->now_us, &s->txn) != 0) {
		s->txn = 0;
		retry_in(v, s, RETRY_S);
	}
}

static void fresh(struct vphone *v, struct vp_mwi *s)
{
	vp_mwi_clear(v, s);
	vp_new_call_id(v, s->call_id);
	vp_new_tag(v, s->tag);
	s->cseq = 0;
	s->challenges = 0;
	send(v, s, s->expires_s);
}

void vp_mwi_setup(struct vphone *v, struct vp_mwi *s, unsigned line)
{
	struct span want = vp_cfg(v, "msg.mwi.%u.subscribe", line + 1), user = span_cut(&want, '@');
	*s = (struct vp_mwi){.line = (uint8_t)line, .timer = {.kind = VP_T_MWI}};
	vp_copyz(s->target, sizeof s->target, user);
	s->expires_s = vp_cfg_u(v, 3600, INT32_MAX, "reg.%u.server.1.subscribe.expires", line + 1);
}

/* After each 200 to REGISTER. */
void vp_mwi_registered(struct vphone *v, unsigned line)
{
	struct vp_mwi *s = &v->lines[line].mwi;
	if (s->target[0] && s->state == VP_MWI_NONE && !s->txn && !timer_is_set(&s->timer))
		fresh(v, s);
}

void vp_mwi_timer(struct vphone *v, struct vp_mwi *s)
{
	s->challenges = 0;
	if (!vp_line_registered(&v->lines[s->line]))
		retry_in(v, s, RETRY_S);
	else if (s->state == VP_MWI_ACTIVE)
		send(v, s, s->expires_s);
	else
		fresh(v, s);
}

static void accepted(struct vphone *v, struct vp_mwi *s, const struct sip_msg *m)
{
	int64_t got = sip_expires(m);
	vp_rule(v, "RFC6665-4.2.1.1", got >= 0, "%u to SUBSCRIBE without Expires", m->status);
	vp_rule(v, "RFC6665-4.2.1.1b", got <= (int64_t)s->asked_s, "Expires %lld is more than the %u asked for", (long long)got, s->asked_s);
	vp_rule(v, "RFC6665-4.2.1c", sip_hdr(m, SIP_H_CONTACT) != NULL, "%u to SUBSCRIBE without Contact", m->status);
	if (s->dlg.state == DIALOG_NONE && dialog_from_response(&s->dlg, &v->slab, m, &v->lines[s->line].reg[0].flow) != 0) {
		retry_in(v, s, RETRY_S);
		return;
	}
	if (got <= 0)
		got = s->expires_s;
	s->state = VP_MWI_ACTIVE;
	s->challenges = 0;
	retry_in(v, s, got / 2 < OVERLAP_S ? got / 2 + 1 : got - OVERLAP_S);
}

static void failed(struct vphone *v, struct vp_mwi *s, uint16_t status)
{
	vp_event(v, "subscribe-failed", "message-summary %u", status);
	bool lost = status == 481 && s->state == VP_MWI_ACTIVE;
	vp_mwi_clear(v, s);
	if (lost)
		fresh(v, s); /* the server knows it no more: at once anew (RFC 6665 4.1.2.2) */
	else
		retry_in(v, s, RETRY_S);
}

/* resp NULL: none came. */
void vp_mwi_response(struct vphone *v, struct vp_mwi *s, const struct sip_msg *m)
{
	bool stale;
	if (m && m->status < 200)
		return;
	s->txn = 0;
	if (!m) {
		if (s->state == VP_MWI_ACTIVE)
			retry_in(v, s, RETRY_S / 2); /* the subscription may live on at the server */
		else
			failed(v, s, 408);
	} else if (m->status < 300) {
		accepted(v, s, m);
	} else if ((m->status == 401 || m->status == 407) && s->challenges < 3) {
		bool tried = s->tried_auth;
		enum sip_hdr_id id = m->status == 401 ? SIP_H_WWW_AUTHENTICATE : SIP_H_PROXY_AUTHENTICATE;
		if (!vp_challenge_take(&s->ch, sip_hdr_value(m, id), &stale) || s->ch.basic || (tried && !stale && s->challenges > 0)) {
			s->ch = (struct vp_challenge){0};
			failed(v, s, m->status);
			return;
		}
		s->challenges++;
		send(v, s, s->asked_s);
	} else {
		failed(v, s, m->status);
	}
}

/* ---- NOTIFY ---- */

static struct vp_mwi *of_request(struct vphone *v, const struct sip_msg *req)
{
	for (unsigned i = 0; i < v->n_lines; i++) {
		struct vp_mwi *s = &v->lines[i].mwi;
		/* it may be here before the 200 to the SUBSCRIBE (RFC 6665 4.1.2.4): then the server's tag is not known yet */
		if (s->target[0] && (s->state != VP_MWI_NONE || s->txn) && span_eqz(req->call_id, s->call_id) && span_eqz(req->to.tag, s->tag) &&
		    (s->dlg.state == DIALOG_NONE || span_eq(req->from.tag, s->dlg.remote_tag)))
			return s;
	}
	return NULL;
}

static void take_summary(struct vphone *v, struct vp_mwi *s, struct span body)
{
	uint64_t fresh_n = 0, old = 0;
	bool waiting = false, said = false;
	while (body.p) {
		struct span line = span_trim(span_cut(&body, '\n')), key = span_trim(span_cut(&line, ':'));
		line = span_trim(line);
		if (span_ieqz(key, "Messages-Waiting")) {
			said = true;
			waiting = span_ieqz(line, "yes");
		} else if (span_ieqz(key, "Voice-Message")) {
			struct span n = span_trim(span_cut(&line, '/')), rest = line;
			struct span o = span_trim(span_cut(&rest, ' '));
			vp_rule(v, "RFC3842-5.2", span_u64(n, UINT32_MAX, &fresh_n) == 0 && span_u64(o, UINT32_MAX, &old) == 0, "Voice-Message is not NEW/OLD");
		}
	}
	vp_rule(v, "RFC3842-3.5", said, "message-summary without Messages-Waiting");
	vp_rule(v, "RFC3842-3.5b", waiting == (fresh_n > 0), "Messages-Waiting and Voice-Message disagree");
	s->fresh = (uint32_t)fresh_n;
	s->old = (uint32_t)old;
	s->lamp = waiting;
	vp_event(v, "messages", "%u/%u", s->fresh, s->old);
}

/* True: it was for a subscription of ours and has been answered. */
bool vp_mwi_notify(struct vphone *v, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	struct vp_mwi *s = of_request(v, req);
	struct span ev = sip_hdr_value(req, SIP_H_EVENT), name = span_trim(span_cut(&ev, ';'));
	struct span st = sip_hdr_value(req, SIP_H_SUBSCRIPTION_STATE), word = span_trim(span_cut(&st, ';'));
	if (!s)
		return false;
	vp_rule(v, "RFC6665-8.2.1", span_eqz(name, "message-summary"), "NOTIFY of " SPAN_FMT " in a message-summary subscription", SPAN_ARG(name));
	vp_rule(v, "RFC6665-4.1.3", word.n > 0, "NOTIFY without Subscription-State");
	vp_rule(v, "RFC6665-4.1.3b", sip_hdr(req, SIP_H_CONTACT) != NULL, "NOTIFY without Contact");
	vp_rule(v, "V26.cseq", !s->cseq_seen || req->cseq > s->last_cseq, "NOTIFY's CSeq went from %u to %u", s->last_cseq, req->cseq);
	if (s->cseq_seen && req->cseq <= s->last_cseq) {
		vp_reply_simple(v, id, req, from, 500, NULL, SPAN_NONE);
		return true;
	}
	s->cseq_seen = true;
	s->last_cseq = req->cseq;
	vp_reply_simple(v, id, req, from, 200, NULL, SPAN_NONE);
	if (req->body.n)
		take_summary(v, s, req->body);
	v->notifies++;
	if (span_ieqz(word, "terminated")) {
		vp_mwi_clear(v, s);
		retry_in(v, s, 5); /* RFC 6665 4.1.3: deactivated and timeout may subscribe again */
	}
	return true;
}

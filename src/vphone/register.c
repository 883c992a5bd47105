/* Registration: section 3 and section 8 "REGISTER"; points V15, V16. */
#include "vphone/machine.h"

static const char methods[] = ";methods=\"INVITE,ACK,BYE,CANCEL,OPTIONS,INFO,MESSAGE,SUBSCRIBE,NOTIFY,PRACK,UPDATE,REFER\"";

bool vp_line_registered(const struct vp_line *l)
{
	for (unsigned k = 0; k < VP_MAX_SERVERS; k++)
		if (l->reg[k].registered)
			return true;
	return false;
}

static uint32_t serial_of(const struct vp_reg *r)
{
	return (uint32_t)r->line << 8 | r->server;
}

static void send(struct vphone *v, struct vp_reg *r)
{
	const struct vp_line *l = &v->lines[r->line];
	char buf[VP_MSG_MAX], uri[192], from[320], to[256];
	struct sip_build b = {TEXT_ARRAY(buf)};
	struct text tu = TEXT_ARRAY(uri), tf = TEXT_ARRAY(from), tt = TEXT_ARRAY(to);
	text_fmt(&tu, "sip:%s;transport=%s", l->domain, sip_transport_param(r->flow.transport));
	text_lit(&tt, "<sip:");
	sip_escape_user(&tt, span_z(l->user));
	text_fmt(&tt, "@%s>", l->domain);
	if (l->display[0])
		text_fmt(&tf, "\"%s\" ", l->display);
	text_put(&tf, text_span(&tt));
	text_fmt(&tf, ";tag=%s", r->tag);
	r->flow.conn = 0;
	vp_req_begin(v, &b, &(struct vp_req){.method = SIP_REGISTER, .flow = &r->flow, .ruri = text_span(&tu), .from = text_span(&tf),
		.to = text_span(&tt), .call_id = span_z(r->call_id), .cseq = ++r->cseq, .line = r->line, .contact_params = methods});
	r->tried_auth = r->ch.set;
	if (r->ch.set) {
		/* the last nonce again with its next count (V16) */
		sip_head(&b, SIP_H_AUTHORIZATION);
		vp_challenge_answer(v, &r->ch, &b.t, span_z(l->auth_user), span_z(l->auth_password), SPAN_LIT("REGISTER"), text_span(&tu));
		sip_eol(&b);
	}
	sip_put_u(&b, SIP_H_MAX_FORWARDS, 70);
	sip_put_u(&b, SIP_H_EXPIRES, r->expires_s);
	v->registers_sent++;
	if (!sip_finish(&b, "", SPAN_NONE) ||
	    txn_send(v->txn, text_span(&b.t), &r->flow, vp_owner(VP_OWN_REG, serial_of(r)), v->now_us, &r->txn) != 0)
		vp_reg_failed(v, r, 0, "no room to send");
}

void vp_reg_start_all(struct vphone *v)
{
	for (unsigned i = 0; i < v->n_lines; i++)
		for (unsigned k = 0; k < VP_MAX_SERVERS; k++)
			if (v->lines[i].reg[k].wanted)
				send(v, &v->lines[i].reg[k]);
}

void vp_reg_timer(struct vphone *v, struct vp_reg *r)
{
	r->challenges = 0;
	send(v, r);
}

/* RFC 5626 4.5: base * 2^failures up to max, between half and all of it. 403 too: slowly, never for ever off (V16). */
void vp_reg_failed(struct vphone *v, struct vp_reg *r, uint16_t status, const char *why)
{
	uint64_t wait = (uint64_t)r->base_s << (r->fails < 8 ? r->fails : 8);
	if (wait > r->max_s)
		wait = r->max_s;
	wait = wait * VP_SECOND;
	if (r->fails < 255)
		r->fails++;
	if (r->registered) {
		r->registered = false;
		vp_event(v, "unregistered", "%s", v->lines[r->line].user);
	}
	vp_event(v, "register-failed", "%u %s", status, why);
	wheel_set(&v->wheel, &r->timer, v->now_us + (int64_t)(wait / 2 + rng_below(&v->rng, wait / 2 + 1)));
}

static bool same_contact(const struct vphone *v, const struct sip_nameaddr *a)
{
	struct addr at;
	return !a->star && sip_uri_addr(&a->uri, 5060, &at) == 0 && addr_eq(&at, &v->ip);
}

/* The expiry of our own Contact, else the Expires header, else what was asked. */
static uint32_t granted(const struct vphone *v, const struct vp_reg *r, const struct sip_msg *m, bool *ours)
{
	struct sip_contact_iter it = {0};
	struct sip_nameaddr a;
	int64_t e = sip_expires(m);
	*ours = false;
	for (int guard = 0; guard < 64 && sip_contact_next(m, SIP_H_CONTACT, &it, &a) == 1; guard++) {
		struct span p;
		uint64_t n;
		if (!same_contact(v, &a))
			continue;
		*ours = true;
		if (sip_param(a.params, "expires", &p) && span_u64(p, UINT32_MAX, &n) == 0)
			return (uint32_t)n;
	}
	return e >= 0 && e <= UINT32_MAX ? (uint32_t)e : r->expires_s;
}

static void accepted(struct vphone *v, struct vp_reg *r, const struct sip_msg *m)
{
	bool ours, was = r->registered;
	r->granted_s = granted(v, r, m, &ours);
	vp_rule(v, "RFC3261-10.3.8", ours, "the 200 to REGISTER does not list this phone's Contact");
	if (!vp_rule(v, "T49.expires", r->granted_s > 0, "granted 0 seconds")) {
		vp_reg_failed(v, r, m->status, "granted 0 seconds");
		return;
	}
	r->registered = true;
	r->fails = r->challenges = 0;
	/* V16: at expires - overlap, or at half when that is less than the overlap */
	uint32_t half = r->granted_s / 2, at = half < r->overlap_s ? half : r->granted_s - r->overlap_s;
	wheel_set(&v->wheel, &r->timer, v->now_us + (int64_t)(at ? at : 1) * VP_SECOND);
	if (r->server == 1) /* services are server 1's only (section 3) */
		vp_mwi_registered(v, r->line);
	if (!was)
		vp_event(v, "registered", "%s", v->lines[r->line].user);
}

void vp_reg_response(struct vphone *v, struct vp_reg *r, const struct sip_msg *m)
{
	bool stale;
	uint64_t min;
	if (m->status < 200)
		return;
	r->txn = 0;
	if (m->status < 300) {
		accepted(v, r, m);
		return;
	}
	if ((m->status == 401 || m->status == 407) && r->challenges < 3) {
		bool tried = r->tried_auth;
		struct span old = span_z(r->ch.nonce);
		char was[128];
		vp_copyz(was, sizeof was, old);
		if (vp_challenge_take(&r->ch, sip_hdr_value(m, m->status == 401 ? SIP_H_WWW_AUTHENTICATE : SIP_H_PROXY_AUTHENTICATE), &stale) &&
		    !r->ch.basic && (!tried || stale || (r->challenges == 0 && !span_eqz(span_z(was), r->ch.nonce)))) {
			r->challenges++;
			send(v, r);
			return;
		}
		r->ch = (struct vp_challenge){0};
	}
	if (m->status == 423 && span_u64(sip_hdr_value(m, SIP_H_MIN_EXPIRES), UINT32_MAX, &min) == 0 && min > r->expires_s) {
		r->expires_s = (uint32_t)min;
		send(v, r);
		return;
	}
	char why[64];
	vp_copyz(why, sizeof why, m->reason);
	vp_reg_failed(v, r, m->status, why);
}

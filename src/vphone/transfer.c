/* Transfers: section 8 "Transfer" (S23, S67), points V17a, V20. The phone asks for them by REFER in the dialog of the call that is to
 * move, holding it; a blind one is over for it at the first 180, an attended one when the 200 is told. What a NOTIFY says is heard
 * also when the call itself is over. And INVITE with Replaces: it takes the place of a call of ours at once. */
#include "vphone/machine.h"

#include "sip/msg/refer.h"

enum { AUTH_TRIES = 2, REFER_LIFE_S = 300 };

/* ---- what is asked for ---------------------------------------------------------------------------------------------- */

/* A header's value inside a URI: all that is not unreserved is escaped (RFC 3261 25.1, hvalue). */
static void put_escaped(struct text *t, struct span s)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];
		if (ascii_alpha((char)ch) || ascii_digit((char)ch) || strchr("-_.!~*'()", ch)) {
			text_putc(t, (char)ch);
		} else {
			text_putc(t, '%');
			text_putc(t, hex[ch >> 4]);
			text_putc(t, hex[ch & 15]);
		}
	}
}

/* The dialog as its far end names it. */
static void put_replaces(struct text *t, const struct dialog *d)
{
	text_lit(t, "?Replaces=");
	put_escaped(t, d->call_id);
	text_lit(t, "%3Bto-tag%3D");
	put_escaped(t, d->remote_tag);
	text_lit(t, "%3Bfrom-tag%3D");
	put_escaped(t, d->local_tag);
}

static struct vp_refer *refer_slot(struct vphone *v)
{
	for (size_t i = 0; i < COUNT_OF(v->refers); i++)
		if (!v->refers[i].used)
			return &v->refers[i];
	return NULL;
}

void vp_refer_clear(struct vphone *v, struct vp_refer *r)
{
	wheel_cancel(&v->wheel, &r->timer);
	*r = (struct vp_refer){0};
}

static void remember(struct vphone *v, const struct vp_call *c, uint32_t consult)
{
	struct vp_refer *r = refer_slot(v);
	if (!r)
		return;
	*r = (struct vp_refer){.used = true, .call = c->serial, .consult = consult, .id = c->dlg.local_cseq, .timer = {.kind = VP_T_REFER}};
	vp_copyz(r->call_id, sizeof r->call_id, c->dlg.call_id);
	vp_copyz(r->ltag, sizeof r->ltag, c->dlg.local_tag);
	vp_copyz(r->rtag, sizeof r->rtag, c->dlg.remote_tag);
	wheel_set(&v->wheel, &r->timer, v->now_us + (int64_t)REFER_LIFE_S * VP_SECOND);
}

static void failed(struct vphone *v, struct vp_call *c, uint16_t status)
{
	if (c)
		c->last_status = status;
	v->last_status = status;
	vp_event(v, "transfer-failed", "%u", status);
}

static void send_refer(struct vphone *v, struct vp_call *c, const struct sip_msg *challenge)
{
	const struct vp_line *l = &v->lines[c->line];
	const struct vp_call *with = c->refer_with ? vp_call_by_serial(v, c->refer_with) : NULL;
	char buf[VP_MSG_MAX];
	struct sip_build b = {TEXT_ARRAY(buf)};
	txn_id id;
	vp_dlg_begin(v, &b, c, SIP_REFER, 0);
	if (challenge)
		vp_put_auth(v, &b, l, challenge, SIP_REFER, c->dlg.remote_target);
	sip_head(&b, SIP_H_REFER_TO);
	text_z(&b.t, with ? "<sip:" : "sip:"); /* S67: a blind one has no angle brackets */
	sip_escape_user(&b.t, span_z(c->refer_to));
	text_fmt(&b.t, "@%s", l->domain);
	if (with) {
		put_replaces(&b.t, &with->dlg);
		text_putc(&b.t, '>');
	}
	sip_eol(&b);
	sip_head(&b, SIP_H_REFERRED_BY);
	text_fmt(&b.t, "<sip:%s@%s>", l->user, l->domain);
	sip_eol(&b);
	if (!vp_req_end(v, &b, SPAN_NONE) ||
	    txn_send(v->txn, text_span(&b.t), &c->dlg.flow, vp_owner(VP_OWN_REFER, c->serial), v->now_us, &id) != 0)
		failed(v, c, 500);
	else
		remember(v, c, c->refer_with);
}

/* The hold comes first. */
void vp_refer_poke(struct vphone *v, struct vp_call *c)
{
	if (!c->refer_due || c->client || !c->answered || c->state == VPC_ENDING)
		return;
	c->refer_due = false;
	c->challenges = 0;
	send_refer(v, c, NULL);
}

static void ask(struct vphone *v, struct vp_call *c, struct span to, uint32_t with)
{
	vp_copyz(c->refer_to, sizeof c->refer_to, to);
	c->refer_with = with;
	c->refer_due = true;
	if (!c->hold_local)
		vp_reinvite(v, c, true);
	vp_refer_poke(v, c);
}

static bool is_up(const struct vp_call *c)
{
	return c && (c->state == VPC_CONNECTED || c->state == VPC_HELD || c->state == VPC_HELD_BY_PEER);
}

/* Soft key Blind: the focused call goes to this number. */
void vp_transfer_blind(struct vphone *v, struct span number)
{
	struct vp_call *c = vp_focus(v);
	if (v->transferring && !number.n)
		v->blind = true; /* the soft key at the dial tone */
	else if (is_up(c) && number.n && number.n < sizeof c->refer_to)
		ask(v, c, number, 0);
	else
		vp_event(v, "cannot-transfer", "%s", "no call");
}

/* The key Transfer in a call: it is held, and the dial tone asks for whom. */
static void begin(struct vphone *v, struct vp_call *c)
{
	struct vp_call *tone = vp_call_new(v, c->line);
	if (!tone)
		return;
	v->transferring = c->serial;
	v->blind = span_ieqz(vp_cfg(v, "call.defaultTransferType"), "Blind") || vp_cfg_u(v, 0, 1, "call.transfer.blindPreferred") == 1;
	if (!c->hold_local)
		vp_reinvite(v, c, true);
	v->offhook = true;
	v->focus = tone->serial;
	vp_call_state(v, tone, VPC_DIALTONE);
	wheel_set(&v->wheel, &tone->timer, v->now_us + (int64_t)vp_cfg_u(v, 60, 3600, "call.dialtoneTimeOut") * VP_SECOND);
}

/* What was dialled after the key: true when it is dealt with. */
bool vp_transfer_digits(struct vphone *v, struct span number)
{
	struct vp_call *c = v->transferring ? vp_call_by_serial(v, v->transferring) : NULL, *n;
	v->transferring = 0;
	if (!is_up(c))
		return false;
	if (v->blind) {
		v->focus = c->serial;
		ask(v, c, number, 0);
		return true;
	}
	vp_dial(v, number, true);
	n = vp_focus(v);
	if (n && n != c)
		n->consult_for = c->serial;
	return true;
}

/* The key Transfer. With a number: the focused call is held and the number is asked first. Without: it is done. While the number
 * still rings, the phone gives that call up and transfers blind (with allowTransferOnProceeding 1 or 2). */
void vp_transfer(struct vphone *v, struct span number)
{
	struct vp_call *c = vp_focus(v), *n = c;
	char to[64];
	if (number.n) {
		if (!is_up(c))
			return;
		vp_dial(v, number, true);
		n = vp_focus(v);
		if (n && n != c)
			n->consult_for = c->serial;
		return;
	}
	if (is_up(n) && !n->consult_for) {
		begin(v, n);
		return;
	}
	c = n && n->consult_for ? vp_call_by_serial(v, n->consult_for) : NULL;
	if (!is_up(c)) {
		vp_event(v, "cannot-transfer", "%s", "no call to transfer");
		return;
	}
	vp_copyz(to, sizeof to, span_z(n->number));
	if (is_up(n)) {
		ask(v, c, span_z(to), n->serial);
		return;
	}
	vp_call_hang(v, n);
	ask(v, c, span_z(to), 0);
}

/* resp NULL: none came. */
void vp_refer_response(struct vphone *v, struct vp_call *c, const struct sip_msg *resp)
{
	if (resp && resp->status < 300)
		return;
	for (size_t i = 0; i < COUNT_OF(v->refers); i++)
		if (v->refers[i].used && v->refers[i].call == c->serial)
			vp_refer_clear(v, &v->refers[i]);
	if (resp && (resp->status == 401 || resp->status == 407) && c->challenges++ < AUTH_TRIES)
		send_refer(v, c, resp);
	else
		failed(v, c, resp ? resp->status : 408);
}

/* ---- what is told of it ---------------------------------------------------------------------------------------------- */

static struct vp_refer *refer_of(struct vphone *v, const struct sip_msg *req)
{
	struct span ev = sip_hdr_value(req, SIP_H_EVENT), name = span_trim(span_cut(&ev, ';')), id = SPAN_NONE;
	uint64_t n = 0;
	if (!span_ieqz(name, "refer"))
		return NULL;
	while (ev.p) {
		struct span value = span_trim(span_cut(&ev, ';')), key = span_trim(span_cut(&value, '='));
		if (span_ieqz(key, "id"))
			id = span_trim(value);
	}
	bool with_id = id.n && span_u64(id, UINT32_MAX, &n) == 0;
	for (size_t i = 0; i < COUNT_OF(v->refers); i++) {
		struct vp_refer *r = &v->refers[i];
		if (r->used && span_eqz(req->call_id, r->call_id) && span_eqz(req->to.tag, r->ltag) && span_eqz(req->from.tag, r->rtag) &&
		    (!with_id || n == r->id))
			return r;
	}
	return NULL;
}

static uint16_t status_of(struct span body)
{
	uint64_t n;
	if (!span_istarts(body, SPAN_LIT("SIP/2.0 ")) || body.n < 11 || span_u64(span_sub(body, 8, 11), 699, &n) != 0 || n < 100)
		return 0;
	return (uint16_t)n;
}

static void act(struct vphone *v, const struct vp_refer *r, uint16_t status)
{
	struct vp_call *c = vp_call_by_serial(v, r->call), *n = r->consult ? vp_call_by_serial(v, r->consult) : NULL;
	vp_event(v, "transfer", "%u", status);
	if (status >= 300)
		failed(v, c, status);
	if (status < (r->consult ? 200 : 180) || status >= 300)
		return;
	if (status >= 200)
		vp_event(v, "transferred", "%s", "");
	if (is_up(n))
		vp_call_hang(v, n);
	if (is_up(c))
		vp_call_hang(v, c);
}

/* True: it was for a REFER of ours and has been answered. */
bool vp_refer_notify(struct vphone *v, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	struct vp_refer *r = refer_of(v, req);
	struct vp_call *c = vp_call_by_request(v, req);
	struct span st = sip_hdr_value(req, SIP_H_SUBSCRIPTION_STATE), word = span_trim(span_cut(&st, ';'));
	char buf[VP_MSG_MAX];
	struct sip_build b = {TEXT_ARRAY(buf)};
	if (!r)
		return false;
	/* one that was lost may be overtaken by another request of the dialog: it is refused, and comes anew */
	bool overtaken = c && dialog_accept_request(&c->dlg, req) == DIALOG_OLD_CSEQ;
	if (!vp_rule(v, "V26.cseq", req->cseq > r->last_cseq, "NOTIFY's CSeq went from %u to %u", r->last_cseq, req->cseq) || overtaken) {
		vp_reply_simple(v, id, req, from, 500, NULL, SPAN_NONE);
		return true;
	}
	r->last_cseq = req->cseq;
	vp_reply_begin(v, &b, req, from, 200, NULL, SPAN_NONE, -1);
	sip_head(&b, SIP_H_EVENT); /* S67: with the id, asked or not */
	text_fmt(&b.t, "refer;id=%u", r->id);
	sip_eol(&b);
	if (sip_finish(&b, "", SPAN_NONE))
		(void)txn_reply(v->txn, id, 0, 200, text_span(&b.t), v->now_us);
	uint16_t status = status_of(req->body);
	bool last = span_ieqz(word, "terminated");
	vp_rule(v, "RFC6665-4.1.3", word.n > 0, "NOTIFY without Subscription-State");
	vp_rule(v, "RFC3515-2.4.5", status && span_istarts(sip_hdr_value(req, SIP_H_CONTENT_TYPE), SPAN_LIT("message/sipfrag")),
		"NOTIFY of refer without a status line as message/sipfrag");
	vp_rule(v, "RFC3515-2.4.7", last == (status >= 200), "NOTIFY of %u says the subscription is " SPAN_FMT, status, SPAN_ARG(word));
	v->notifies++;
	if (status)
		act(v, r, status);
	if (last)
		vp_refer_clear(v, r);
	return true;
}

/* ---- INVITE with Replaces (RFC 3891) ----------------------------------------------------------------------------------- */

/* 0 without such a header; or when *old is the call that it replaces; else the refusal. */
uint16_t vp_replaced(struct vphone *v, const struct sip_msg *req, struct vp_call **old)
{
	struct sip_replaces r;
	const struct sip_hdr *h = sip_hdr(req, SIP_H_REPLACES);
	*old = NULL;
	if (!h)
		return 0;
	if (sip_hdr_next(req, h) || sip_replaces_parse(h->value, &r))
		return 400;
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++) {
		struct vp_call *c = v->calls[i];
		const struct dialog *d = &c->dlg;
		if (d->state == DIALOG_NONE || !span_eq(d->call_id, r.call_id) || !span_eq(d->local_tag, r.to_tag) || !span_eq(d->remote_tag, r.from_tag))
			continue;
		if (c->state == VPC_ENDING)
			return 603;
		if (is_up(c) && r.early_only)
			return 486;
		if (!is_up(c) && c->state != VPC_RINGBACK) /* an early dialog that is not of our making */
			return 481;
		*old = c;
		return 0;
	}
	return 481;
}

/* What the phone's messages look like: section 8, point V18. Headers are in the order of the traces; no rport, and no port
 * in Via and Contact while voIpProt.SIP.local.port is 0. */
#include "vphone/machine.h"

/* Section 8, row Allow. */
const char vp_allow[] = "INVITE,ACK,BYE,CANCEL,OPTIONS,INFO,MESSAGE,SUBSCRIBE,NOTIFY,PRACK,UPDATE,REFER";

static void put_hex(struct text *t, uint64_t value, int digits, bool upper)
{
	size_t from = t->n;
	text_hex64(t, value, digits);
	for (size_t i = from; upper && i < t->n; i++)
		if (t->p[i] >= 'a')
			t->p[i] = (char)(t->p[i] - 32);
}

/* 8hex-8hex-8hex@ip */
void vp_new_call_id(struct vphone *v, char dst[64])
{
	struct text t = text_on(dst, 64);
	uint64_t a = rng_u64(&v->rng), b = rng_u64(&v->rng);
	put_hex(&t, a, 8, false);
	text_putc(&t, '-');
	put_hex(&t, a >> 32, 8, false);
	text_putc(&t, '-');
	put_hex(&t, b, 8, false);
	text_putc(&t, '@');
	addr_put_ip(&t, &v->ip);
	text_end(&t);
}

/* 8HEX-8HEX */
void vp_new_tag(struct vphone *v, char dst[20])
{
	struct text t = text_on(dst, 20);
	uint64_t a = rng_u64(&v->rng);
	put_hex(&t, a, 8, true);
	text_putc(&t, '-');
	put_hex(&t, a >> 32, 8, true);
	text_end(&t);
}

/* z9hG4bK, 8 lower hex, 8 upper hex */
static void put_branch(struct vphone *v, struct text *t)
{
	uint64_t a = rng_u64(&v->rng);
	text_lit(t, "z9hG4bK");
	put_hex(t, a, 8, false);
	put_hex(t, a >> 32, 8, true);
}

static void put_own_host(const struct vphone *v, struct text *t)
{
	addr_put_host(t, &v->ip);
	if (v->set.advertise_port)
		text_fmt(t, ":%u", v->ip.port);
}

static void put_contact(struct vphone *v, struct sip_build *b, unsigned line, enum sip_transport tr, const char *params)
{
	sip_head(b, SIP_H_CONTACT);
	text_lit(&b->t, "<sip:");
	sip_escape_user(&b->t, span_z(line < v->n_lines ? v->lines[line].user : v->mac));
	text_putc(&b->t, '@');
	put_own_host(v, &b->t);
	if (tr != SIP_UDP || params[0])
		text_fmt(&b->t, ";transport=%s", sip_transport_param(tr));
	text_putc(&b->t, '>');
	text_z(&b->t, params);
	sip_eol(b);
}

static void put_agent(struct vphone *v, struct sip_build *b)
{
	sip_head(b, SIP_H_USER_AGENT);
	vp_ua_sip(v, &b->t);
	sip_eol(b);
}

void vp_req_begin(struct vphone *v, struct sip_build *b, const struct vp_req *r)
{
	struct text *t = &b->t;
	text_fmt(t, "%s " SPAN_FMT " SIP/2.0\r\nVia: SIP/2.0/%s ", sip_method_name(r->method), SPAN_ARG(r->ruri),
		 sip_transport_name(r->flow->transport));
	put_own_host(v, t);
	text_lit(t, ";branch=");
	put_branch(v, t);
	sip_eol(b);
	if (r->route.n)
		sip_put(b, SIP_H_ROUTE, r->route);
	sip_put(b, SIP_H_FROM, r->from);
	sip_put(b, SIP_H_TO, r->to);
	sip_head(b, SIP_H_CSEQ);
	text_fmt(t, "%u %s", r->cseq, sip_method_name(r->method));
	sip_eol(b);
	sip_put(b, SIP_H_CALL_ID, r->call_id);
	if (r->contact_params)
		put_contact(v, b, r->line, r->flow->transport, r->contact_params);
	put_agent(v, b);
	sip_put_named(b, "Accept-Language", SPAN_LIT("en"));
}

void vp_dlg_begin(struct vphone *v, struct sip_build *b, struct vp_call *c, enum sip_method m, uint32_t cseq)
{
	struct dialog *d = &c->dlg;
	char from[512], to[512];
	struct text tf = TEXT_ARRAY(from), tt = TEXT_ARRAY(to);
	text_fmt(&tf, SPAN_FMT ";tag=" SPAN_FMT, SPAN_ARG(d->local_uri), SPAN_ARG(d->local_tag));
	text_put(&tt, d->remote_uri);
	if (d->remote_tag.n)
		text_fmt(&tt, ";tag=" SPAN_FMT, SPAN_ARG(d->remote_tag));
	if (cseq == 0)
		cseq = ++d->local_cseq;
	vp_req_begin(v, b, &(struct vp_req){.method = m, .flow = &d->flow, .ruri = d->remote_target, .from = text_span(&tf),
		.to = text_span(&tt), .call_id = d->call_id, .route = d->route, .cseq = cseq, .line = c->line, .contact_params = ""});
}

/* Answers the challenge of a 401 or 407; a fresh nonce, so nc is 1 (section 8, Digest). */
void vp_put_auth(struct vphone *v, struct sip_build *b, const struct vp_line *l, const struct sip_msg *resp, enum sip_method m,
		 struct span uri)
{
	bool proxy = resp->status == 407, stale;
	struct vp_challenge ch = {0};
	if (!vp_challenge_take(&ch, sip_hdr_value(resp, proxy ? SIP_H_PROXY_AUTHENTICATE : SIP_H_WWW_AUTHENTICATE), &stale) || ch.basic)
		return;
	sip_head(b, proxy ? SIP_H_PROXY_AUTHORIZATION : SIP_H_AUTHORIZATION);
	vp_challenge_answer(v, &ch, &b->t, span_z(l->auth_user), span_z(l->auth_password), span_z(sip_method_name(m)), uri);
	sip_eol(b);
}

bool vp_req_end(struct vphone *v, struct sip_build *b, struct span sdp)
{
	(void)v;
	sip_put_u(b, SIP_H_MAX_FORWARDS, 70);
	return sip_finish(b, sdp.n ? "application/sdp" : "", sdp);
}

void vp_reply_begin(struct vphone *v, struct sip_build *b, const struct sip_msg *req, const struct sip_flow *from, uint16_t status,
		    const char *reason, struct span tag, int line)
{
	sip_reply_begin(b, req, from, status, reason, tag);
	if (line >= 0)
		put_contact(v, b, (unsigned)line, from->transport, "");
	put_agent(v, b);
	sip_put_named(b, "Accept-Language", SPAN_LIT("en"));
}

void vp_reply_simple(struct vphone *v, txn_id id, const struct sip_msg *req, const struct sip_flow *from, uint16_t status,
		     const char *reason, struct span tag)
{
	char buf[VP_MSG_MAX];
	struct sip_build b = {TEXT_ARRAY(buf)};
	vp_reply_begin(v, &b, req, from, status, reason, tag, -1);
	if (sip_finish(&b, "", SPAN_NONE))
		(void)txn_reply(v->txn, id, 0, status, text_span(&b.t), v->now_us);
}

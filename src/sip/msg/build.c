#include "sip/msg/build.h"

#include "sip/msg/cclass.h"

/* No CR or LF gets out: folding of what we copy, or an attack by way of what we were given. */
static void put_clean(struct text *t, struct span s)
{
	size_t from = t->n;
	text_put(t, s);
	for (size_t i = from; i < t->n; i++)
		if (t->p[i] == '\r' || t->p[i] == '\n')
			t->p[i] = ' ';
}

void sip_head(struct sip_build *b, enum sip_hdr_id id)
{
	text_z(&b->t, sip_hdr_name(id));
	text_lit(&b->t, ": ");
}

void sip_eol(struct sip_build *b)
{
	text_lit(&b->t, "\r\n");
}

void sip_put(struct sip_build *b, enum sip_hdr_id id, struct span value)
{
	sip_head(b, id);
	put_clean(&b->t, value);
	sip_eol(b);
}

void sip_put_z(struct sip_build *b, enum sip_hdr_id id, const char *value)
{
	sip_put(b, id, span_z(value));
}

void sip_put_u(struct sip_build *b, enum sip_hdr_id id, uint64_t value)
{
	sip_head(b, id);
	text_u64(&b->t, value);
	sip_eol(b);
}

void sip_put_named(struct sip_build *b, const char *name, struct span value)
{
	put_clean(&b->t, span_z(name));
	text_lit(&b->t, ": ");
	put_clean(&b->t, value);
	sip_eol(b);
}

/* The topmost Via as it came but for received and rport, which are ours to say (RFC 3581 section 4). */
static void put_top_via(struct text *t, const struct sip_via *via, const struct addr *from)
{
	struct span rest = via->params, name, value;
	struct addr host;
	put_clean(t, span_sub(via->value, 0, via->value.n - rest.n));
	while (sip_param_next(&rest, &name, &value) == 1) {
		if (span_ieq(name, SPAN_LIT("received")) || span_ieq(name, SPAN_LIT("rport")))
			continue;
		text_putc(t, ';');
		text_put(t, name);
		if (value.n) {
			text_putc(t, '=');
			put_clean(t, value);
		}
	}
	if (from->family == 0)
		return;
	bool differs = addr_parse(via->host, from->port, &host) < 0 || !addr_same_ip(&host, from);
	if (via->has_rport || differs) {
		text_lit(t, ";received=");
		addr_put_ip(t, from);
	}
	if (via->has_rport) {
		text_lit(t, ";rport=");
		text_u64(t, from->port);
	}
}

static void copy_vias(struct sip_build *b, const struct sip_msg *req, const struct sip_flow *from)
{
	const struct sip_hdr *h = sip_hdr(req, SIP_H_VIA);
	for (bool first = true; h; h = sip_hdr_next(req, h), first = false) {
		struct span value = h->value;
		sip_head(b, SIP_H_VIA);
		if (first && req->via.value.p) {
			const char *end = req->via.value.p + req->via.value.n;
			put_top_via(&b->t, &req->via, &from->remote);
			value = (struct span){end, (size_t)(h->value.p + h->value.n - end)};
		}
		put_clean(&b->t, value);
		sip_eol(b);
	}
}

static void copy_first(struct sip_build *b, const struct sip_msg *m, enum sip_hdr_id id)
{
	const struct sip_hdr *h = sip_hdr(m, id);
	if (h)
		sip_put(b, id, h->value);
}

static void copy_all(struct sip_build *b, const struct sip_msg *m, enum sip_hdr_id id)
{
	for (const struct sip_hdr *h = sip_hdr(m, id); h; h = sip_hdr_next(m, h))
		sip_put(b, id, h->value);
}

void sip_reply_begin(struct sip_build *b, const struct sip_msg *req, const struct sip_flow *from, uint16_t status,
		     const char *reason, struct span to_tag)
{
	const struct sip_hdr *to = sip_hdr(req, SIP_H_TO);
	bool tagged = req->to.tag.n || to_tag.n;
	text_lit(&b->t, "SIP/2.0 ");
	text_u64(&b->t, status);
	text_putc(&b->t, ' ');
	put_clean(&b->t, span_z(reason ? reason : sip_reason_phrase(status)));
	sip_eol(b);
	copy_vias(b, req, from);
	copy_first(b, req, SIP_H_FROM);
	if (to) {
		sip_head(b, SIP_H_TO);
		put_clean(&b->t, to->value);
		if (req->to.tag.n == 0 && to_tag.n) {
			text_lit(&b->t, ";tag=");
			put_clean(&b->t, to_tag);
		}
		sip_eol(b);
	}
	copy_first(b, req, SIP_H_CALL_ID);
	copy_first(b, req, SIP_H_CSEQ);
	if (status == 100)
		copy_first(b, req, SIP_H_TIMESTAMP); /* RFC 3261 8.2.6.1 */
	if (status > 100 && status < 300 && tagged)
		copy_all(b, req, SIP_H_RECORD_ROUTE);
}

void sip_request_begin(struct sip_build *b, enum sip_method m, struct span ruri, const struct sip_flow *flow,
		       struct span branch)
{
	text_z(&b->t, sip_method_name(m));
	text_putc(&b->t, ' ');
	put_clean(&b->t, ruri);
	text_lit(&b->t, " SIP/2.0\r\nVia: SIP/2.0/");
	text_z(&b->t, sip_transport_name(flow->transport));
	text_putc(&b->t, ' ');
	addr_put(&b->t, &flow->local);
	text_lit(&b->t, ";branch=");
	put_clean(&b->t, branch);
	text_lit(&b->t, ";rport\r\n");
}

bool sip_finish(struct sip_build *b, const char *content_type, struct span body)
{
	if (content_type && *content_type)
		sip_put_z(b, SIP_H_CONTENT_TYPE, content_type);
	sip_put_u(b, SIP_H_CONTENT_LENGTH, body.n);
	sip_eol(b);
	text_put(&b->t, body);
	return !b->t.over;
}

/* ACK and CANCEL go where the INVITE went and are matched to it by the same topmost Via. */
static bool follow_up(struct sip_build *b, struct span invite, const char *method, const struct sip_msg *response)
{
	struct sip_msg m;
	struct sip_error err;
	if (sip_parse(&m, invite, &err) < 0 || !m.is_request)
		return false;
	text_z(&b->t, method);
	text_putc(&b->t, ' ');
	put_clean(&b->t, m.ruri_text);
	text_lit(&b->t, " SIP/2.0\r\n");
	sip_put(b, SIP_H_VIA, m.via.value);
	copy_all(b, &m, SIP_H_ROUTE);
	sip_put_u(b, SIP_H_MAX_FORWARDS, 70);
	copy_first(b, &m, SIP_H_FROM);
	copy_first(b, response ? response : &m, SIP_H_TO);
	copy_first(b, &m, SIP_H_CALL_ID);
	sip_head(b, SIP_H_CSEQ);
	text_u64(&b->t, m.cseq);
	text_putc(&b->t, ' ');
	text_z(&b->t, method);
	sip_eol(b);
	return sip_finish(b, NULL, SPAN_NONE);
}

bool sip_ack_for_error(struct sip_build *b, struct span invite, const struct sip_msg *response)
{
	return follow_up(b, invite, "ACK", response);
}

bool sip_cancel_for(struct sip_build *b, struct span invite)
{
	return follow_up(b, invite, "CANCEL", NULL);
}

#include "pbx/cell_internal.h"

const char cell_allow[] = "INVITE, ACK, CANCEL, BYE, REGISTER, OPTIONS, INFO, UPDATE, SUBSCRIBE, PRACK, REFER"; /* what we really do */
const char cell_supported[] = "100rel, timer, replaces, norefersub";

void cell_emit(struct cell *c, const struct cell_out *out)
{
	if (c->sink)
		c->sink->emit(c->sink, out);
}

int64_t cell_wall_ms(const struct cell *c)
{
	return (c->now_us + c->wall_minus_mono_us) / 1000;
}

void block_clear(struct cell *c, struct block *b)
{
	slab_free(&c->slab, b->p, b->n);
	*b = (struct block){0};
}

bool block_set(struct cell *c, struct block *b, struct span s)
{
	if (s.n && b->n == s.n && b->p != s.p) {
		memcpy(b->p, s.p, s.n);
		return true;
	}
	char *p = s.n ? slab_copy(&c->slab, s) : NULL;
	if (s.n && !p)
		return false;
	block_clear(c, b);
	*b = (struct block){p, s.n};
	return true;
}

void block_move(struct cell *c, struct block *to, struct block *from)
{
	block_clear(c, to);
	*to = *from;
	*from = (struct block){0};
}

void cell_log_write(struct cell *c, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	struct cell_out out = {.kind = CELL_OUT_LOG, .u.log = {level, event, f, n}};
	cell_emit(c, &out);
}

void put_host(struct cell *c, struct text *t, const struct sip_flow *flow)
{
	if (c->settings && c->settings->identity[0])
		text_z(t, c->settings->identity);
	else
		addr_put_host(t, &flow->local);
}

static void contact(struct cell *c, struct span user, const struct sip_flow *flow, bool secure)
{
	struct text *t = &c->b.t;
	sip_head(&c->b, SIP_H_CONTACT);
	text_z(t, secure ? "<sips:" : "<sip:");
	sip_escape_user(t, user);
	text_putc(t, '@');
	addr_put(t, &flow->local);
	text_lit(t, ";transport=");
	/* RFC 5630 3.1.1: sips says TLS; transport=tls would say it twice, and in a word that is withdrawn there */
	text_z(t, sip_transport_param(secure ? SIP_TCP : flow->transport));
	text_putc(t, '>');
	sip_eol(&c->b);
}

void put_contact(struct cell *c, struct span user, const struct sip_flow *flow)
{
	contact(c, user, flow, false);
}

void put_contact_to(struct cell *c, struct span user, const struct sip_flow *flow, struct span target)
{
	contact(c, user, flow, flow->transport == SIP_TLS && span_istarts(target, SPAN_LIT("sips:")));
}

void put_contact_for(struct cell *c, struct span user, const struct sip_flow *flow, const struct sip_msg *req)
{
	struct sip_contact_iter it = {0};
	struct sip_nameaddr a;
	bool secure = req->ruri.scheme == SIP_SCHEME_SIPS ||
		      (sip_contact_next(req, SIP_H_CONTACT, &it, &a) > 0 && !a.star && a.uri.scheme == SIP_SCHEME_SIPS);
	contact(c, user, flow, secure && flow->transport == SIP_TLS);
}

void put_server(struct cell *c, enum sip_hdr_id id)
{
	sip_put(&c->b, id, SPAN_LIT("Strowger/" STROWGER_VERSION));
}

struct span new_tag(struct cell *c, char buf[20])
{
	struct text t = text_on(buf, 20);
	text_hex64(&t, rng_u64(&c->rng), 16);
	text_end(&t);
	return text_span(&t);
}

/* diff_libre: libre as an oracle of the differential test (oracle.h). */
#include "oracle.h"

#include <re.h>

static void field(const char *name, const struct pl *s)
{
	put_field(name, s->p, s->l);
}

static void uri(const char *prefix, const struct uri *u)
{
	char name[32];
	snprintf(name, sizeof name, "%s.scheme", prefix);
	field(name, &u->scheme);
	if (pl_strcasecmp(&u->scheme, "sip") && pl_strcasecmp(&u->scheme, "sips"))
		return;
	snprintf(name, sizeof name, "%s.user", prefix);
	field(name, &u->user);
	snprintf(name, sizeof name, "%s.host", prefix);
	put_host(name, u->host.p, u->host.l);
	snprintf(name, sizeof name, "%s.port", prefix);
	if (u->port)
		put_number(name, u->port);
}

static void contacts(const struct sip_msg *m)
{
	const struct sip_hdr *h = sip_msg_hdr(m, SIP_HDR_CONTACT);
	struct sip_addr a;
	if (!h)
		return;
	if (!pl_strcmp(&h->val, "*")) {
		put_number("contacts", 1);
		put_text("contact.uri", "*");
	} else if (sip_addr_decode(&a, &h->val)) {
		put_text("contacts", "bad");
	} else {
		put_number("contacts", sip_msg_hdr_count(m, SIP_HDR_CONTACT));
		uri("contact", &a.uri);
	}
}

static void number(const char *name, const struct pl *s)
{
	if (pl_isset(s))
		put_number(name, (unsigned long long)pl_u32(s));
}

static void accepted(const struct sip_msg *m)
{
	struct pl host = PL_INIT, port = PL_INIT, transport = PL_INIT;
	size_t left = mbuf_get_left(m->mb), length = pl_isset(&m->clen) ? pl_u32(&m->clen) : left;
	unsigned routes = sip_msg_hdr_count(m, SIP_HDR_ROUTE);
	if (m->req) {
		field("method", &m->met);
		uri("ruri", &m->uri);
	} else {
		put_number("status", m->scode);
	}
	uri("from", &m->from.uri);
	field("from.tag", &m->from.tag);
	uri("to", &m->to.uri);
	field("to.tag", &m->to.tag);
	field("callid", &m->callid);
	if (pl_isset(&m->cseq.met)) {
		put_number("cseq", m->cseq.num);
		field("cseq.method", &m->cseq.met);
	}
	if (pl_isset(&m->via.sentby)) {
		if (!re_regex(m->via.val.p, m->via.val.l, "SIP[ \t\r\n]*/[ \t\r\n]*2.0[ \t\r\n]*/[ \t\r\n]*[^ \t\r\n]+", NULL, NULL, NULL, NULL, &transport))
			field("via.transport", &transport);
		if (!uri_decode_hostport(&m->via.sentby, &host, &port)) {
			put_host("via.host", host.p, host.l);
			number("via.port", &port);
		}
		field("via.branch", &m->via.branch);
	}
	contacts(m);
	if (routes)
		put_number("routes", routes);
	put_number("vias", sip_msg_hdr_count(m, SIP_HDR_VIA));
	put_number("body", length < left ? length : left);
	number("expires", &m->expires);
	number("maxf", &m->maxfwd);
}

static void one(char *msg, size_t n)
{
	struct sip_msg *m = NULL;
	struct mbuf *mb = mbuf_alloc(n ? n : 1);
	if (!mb)
		exit(3);
	mbuf_write_mem(mb, (const uint8_t *)msg, n);
	mbuf_set_pos(mb, 0);
	/* As its transport does: what stands before a message is not skipped, a message that does not end is left. */
	if (sip_msg_decode(&m, mb)) {
		fputs("reject", stdout);
	} else {
		fputs("accept", stdout);
		accepted(m);
	}
	mem_deref(m);
	mem_deref(mb);
}

int main(void)
{
	if (libre_init())
		return 1;
	int rc = oracle_loop(one);
	libre_close();
	return rc;
}

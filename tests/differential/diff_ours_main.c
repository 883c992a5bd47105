/* diff_ours: our parser as an oracle of the differential test (oracle.h). */
#include "oracle.h"

#include "sip/msg/msg.h"

static void field(const char *name, struct span s)
{
	put_field(name, s.p, s.n);
}

static void uri(const char *prefix, const struct sip_uri *u)
{
	char name[32];
	snprintf(name, sizeof name, "%s.scheme", prefix);
	field(name, u->scheme_name);
	if (u->scheme != SIP_SCHEME_SIP && u->scheme != SIP_SCHEME_SIPS)
		return; /* the peers put the parts of other schemes into different members */
	snprintf(name, sizeof name, "%s.user", prefix);
	field(name, u->user);
	snprintf(name, sizeof name, "%s.host", prefix);
	put_host(name, u->host.p, u->host.n);
	snprintf(name, sizeof name, "%s.port", prefix);
	if (u->port)
		put_number(name, u->port);
}

static void contacts(const struct sip_msg *m)
{
	struct sip_contact_iter it = {0};
	struct sip_nameaddr c, first = {0};
	int rc;
	unsigned n = 0;
	while ((rc = sip_contact_next(m, SIP_H_CONTACT, &it, &c)) == 1)
		if (n++ == 0)
			first = c;
	if (rc < 0) {
		put_text("contacts", "bad");
		return;
	}
	if (n == 0)
		return;
	put_number("contacts", n);
	if (first.star)
		put_text("contact.uri", "*");
	else
		uri("contact", &first.uri);
}

static void lists(const struct sip_msg *m)
{
	struct span item;
	unsigned routes = 0, vias = 0;
	for (const struct sip_hdr *h = sip_hdr(m, SIP_H_ROUTE); h; h = sip_hdr_next(m, h))
		for (struct span rest = h->value; sip_list_next(&rest, &item);)
			routes++;
	for (const struct sip_hdr *h = sip_hdr(m, SIP_H_VIA); h; h = sip_hdr_next(m, h))
		for (struct span rest = h->value; sip_list_next(&rest, &item);)
			vias++;
	if (routes)
		put_number("routes", routes);
	put_number("vias", vias);
}

static void accepted(const struct sip_msg *m)
{
	int64_t expires = sip_expires(m);
	if (m->is_request) {
		field("method", m->method_name);
		uri("ruri", &m->ruri);
	} else {
		put_number("status", m->status);
	}
	uri("from", &m->from.uri);
	field("from.tag", m->from.tag);
	uri("to", &m->to.uri);
	field("to.tag", m->to.tag);
	field("callid", m->call_id);
	put_number("cseq", m->cseq);
	field("cseq.method", m->cseq_method_name);
	field("via.transport", m->via.transport);
	put_host("via.host", m->via.host.p, m->via.host.n);
	if (m->via.port)
		put_number("via.port", m->via.port);
	field("via.branch", m->via.branch);
	contacts(m);
	lists(m);
	put_number("body", m->body.n);
	if (expires >= 0)
		put_number("expires", (unsigned long long)expires);
	else if (expires == -2)
		put_text("expires", "bad");
	if (m->max_forwards >= 0)
		put_number("maxf", (unsigned long long)m->max_forwards);
}

static void one(char *msg, size_t n)
{
	static struct sip_msg m;
	struct sip_error err;
	/* A block of just the size, so that a sanitizer sees a read behind it. */
	char *exact = malloc(n ? n : 1);
	if (!exact)
		exit(3);
	memcpy(exact, msg, n);
	if (sip_parse(&m, span_mem(exact, n), &err) == 0) {
		fputs("accept", stdout);
		accepted(&m);
	} else {
		fputs("reject", stdout);
		put_text("why", err.reason);
	}
	free(exact);
}

int main(void)
{
	return oracle_loop(one);
}

/* diff_sofia: sofia-sip as an oracle of the differential test (oracle.h). */
#include <sofia-sip/msg.h>
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/msg_parser.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>
#include <sofia-sip/sip_util.h>
#include <strings.h>

#include "oracle.h"

static void uri(const char *prefix, const url_t *u)
{
	char name[32];
	snprintf(name, sizeof name, "%s.scheme", prefix);
	put_text(name, u->url_scheme);
	if (u->url_type != url_sip && u->url_type != url_sips)
		return;
	snprintf(name, sizeof name, "%s.user", prefix);
	put_text(name, u->url_user);
	snprintf(name, sizeof name, "%s.host", prefix);
	put_host(name, u->url_host, u->url_host ? strlen(u->url_host) : 0);
	snprintf(name, sizeof name, "%s.port", prefix);
	put_text(name, u->url_port);
}

static void contacts(const sip_t *s)
{
	unsigned n = 0;
	for (const sip_contact_t *c = s->sip_contact; c; c = c->m_next)
		n++;
	if (!n)
		return;
	put_number("contacts", n);
	if (s->sip_contact->m_url->url_type == url_any)
		put_text("contact.uri", "*");
	else
		uri("contact", s->sip_contact->m_url);
}

static void via(const sip_t *s)
{
	unsigned n = 0;
	if (s->sip_via) {
		const char *slash = s->sip_via->v_protocol ? strrchr(s->sip_via->v_protocol, '/') : NULL;
		put_text("via.transport", slash ? slash + 1 : s->sip_via->v_protocol);
		put_host("via.host", s->sip_via->v_host, s->sip_via->v_host ? strlen(s->sip_via->v_host) : 0);
		put_text("via.port", s->sip_via->v_port);
		put_text("via.branch", s->sip_via->v_branch);
	}
	for (const sip_via_t *v = s->sip_via; v; v = v->v_next)
		n++;
	put_number("vias", n);
}

static void accepted(const sip_t *s)
{
	unsigned routes = 0;
	if (s->sip_request) {
		put_text("method", s->sip_request->rq_method_name);
		uri("ruri", s->sip_request->rq_url);
	} else if (s->sip_status) {
		put_number("status", (unsigned)s->sip_status->st_status);
	}
	if (s->sip_from) {
		uri("from", s->sip_from->a_url);
		put_text("from.tag", s->sip_from->a_tag);
	}
	if (s->sip_to) {
		uri("to", s->sip_to->a_url);
		put_text("to.tag", s->sip_to->a_tag);
	}
	if (s->sip_call_id)
		put_text("callid", s->sip_call_id->i_id);
	if (s->sip_cseq) {
		put_number("cseq", s->sip_cseq->cs_seq);
		put_text("cseq.method", s->sip_cseq->cs_method_name);
	}
	contacts(s);
	via(s);
	for (const sip_route_t *r = s->sip_route; r; r = r->r_next)
		routes++;
	if (routes)
		put_number("routes", routes);
	put_number("body", s->sip_payload ? s->sip_payload->pl_len : 0);
	if (s->sip_expires)
		put_number("expires", s->sip_expires->ex_delta);
	if (s->sip_max_forwards)
		put_number("maxf", s->sip_max_forwards->mf_count);
}

static void one(char *msg, size_t n)
{
	msg_t *m = msg_make(sip_default_mclass(), 0, msg, (ssize_t)n);
	sip_t *s = m ? sip_object(m) : NULL;
	/* A header that its parser refused is put into the list of errors. */
	if (!s || s->sip_error || (!s->sip_request && !s->sip_status) || (s->sip_flags & MSG_FLG_ERROR)) {
		fputs("reject", stdout);
		if (s && s->sip_error && s->sip_error->er_name)
			put_text("why", s->sip_error->er_name);
	} else {
		fputs("accept", stdout);
		accepted(s);
	}
	if (m)
		msg_destroy(m);
}

int main(void)
{
	return oracle_loop(one);
}

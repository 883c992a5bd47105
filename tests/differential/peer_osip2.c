/* diff_osip2: osip2 as an oracle of the differential test (oracle.h). */
#include <osipparser2/osip_headers.h>
#include <osipparser2/osip_parser.h>
#include <strings.h>

#include "oracle.h"

static void uri(const char *prefix, const osip_uri_t *u)
{
	char name[32];
	if (!u)
		return;
	snprintf(name, sizeof name, "%s.scheme", prefix);
	put_text(name, u->scheme);
	if (!u->scheme || (strcasecmp(u->scheme, "sip") && strcasecmp(u->scheme, "sips")))
		return;
	snprintf(name, sizeof name, "%s.user", prefix);
	put_text(name, u->username);
	snprintf(name, sizeof name, "%s.host", prefix);
	put_host(name, u->host, u->host ? strlen(u->host) : 0);
	snprintf(name, sizeof name, "%s.port", prefix);
	put_text(name, u->port);
}

static void party(const char *prefix, osip_from_t *a)
{
	osip_generic_param_t *tag = NULL;
	char name[32];
	if (!a)
		return;
	uri(prefix, a->url);
	snprintf(name, sizeof name, "%s.tag", prefix);
	osip_from_get_tag(a, &tag);
	if (tag)
		put_text(name, tag->gvalue);
}

static void contacts(osip_message_t *m)
{
	osip_contact_t *c = NULL;
	int n = osip_list_size(&m->contacts);
	if (n <= 0)
		return;
	put_number("contacts", (unsigned)n);
	osip_message_get_contact(m, 0, &c);
	/* "*" is kept as a display name without a URI */
	if (c && c->displayname && !c->url)
		put_text("contact.uri", c->displayname);
	else if (c)
		uri("contact", c->url);
}

static size_t body_length(osip_message_t *m)
{
	size_t n = 0;
	osip_body_t *b = NULL;
	for (int i = 0; osip_message_get_body(m, i, &b) >= 0; i++)
		n += b->length;
	return n;
}

static void via(osip_message_t *m)
{
	osip_via_t *v = NULL;
	osip_generic_param_t *branch = NULL;
	if (osip_message_get_via(m, 0, &v) < 0 || !v)
		return;
	put_text("via.transport", v->protocol);
	put_host("via.host", v->host, v->host ? strlen(v->host) : 0);
	put_text("via.port", v->port);
	osip_via_param_get_byname(v, "branch", &branch);
	if (branch)
		put_text("via.branch", branch->gvalue);
}

static void header(osip_message_t *m, const char *name, const char *as)
{
	osip_header_t *h = NULL;
	if (osip_message_header_get_byname(m, name, 0, &h) >= 0 && h)
		put_text(as, h->hvalue);
}

static void accepted(osip_message_t *m)
{
	if (MSG_IS_REQUEST(m)) {
		put_text("method", m->sip_method);
		uri("ruri", m->req_uri);
	} else {
		put_number("status", (unsigned)m->status_code);
	}
	party("from", m->from);
	party("to", m->to);
	if (m->call_id && m->call_id->number) {
		fputs("\tcallid=", stdout);
		put_bytes(m->call_id->number, strlen(m->call_id->number));
		if (m->call_id->host) {
			putchar('@');
			put_bytes(m->call_id->host, strlen(m->call_id->host));
		}
	}
	if (m->cseq) {
		put_text("cseq", m->cseq->number);
		put_text("cseq.method", m->cseq->method);
	}
	via(m);
	contacts(m);
	if (osip_list_size(&m->routes) > 0)
		put_number("routes", (unsigned)osip_list_size(&m->routes));
	put_number("vias", (unsigned)osip_list_size(&m->vias));
	put_number("body", body_length(m));
	header(m, "expires", "expires");
	header(m, "max-forwards", "maxf");
}

static void one(char *msg, size_t n)
{
	osip_message_t *m = NULL;
	if (osip_message_init(&m))
		exit(3);
	if (osip_message_parse(m, msg, n)) {
		fputs("reject", stdout);
	} else {
		fputs("accept", stdout);
		accepted(m);
	}
	osip_message_free(m);
}

static void silent(const char *file, int line, osip_trace_level_t level, const char *format, va_list args)
{
	(void)file;
	(void)line;
	(void)level;
	(void)format;
	(void)args;
}

int main(void)
{
	parser_init();
	osip_trace_initialize_func(TRACE_LEVEL0, silent); /* else it writes to standard output */
	return oracle_loop(one);
}

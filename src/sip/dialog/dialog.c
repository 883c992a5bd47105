#include "sip/dialog/dialog.h"

#include "base/assert.h"

enum { MAX_ROUTES = 32 };

/* Texts are first gathered as spans into the message, then copied into one block. */
struct gathered {
	struct span call_id, local_tag, remote_tag, local_uri, remote_uri, target;
	struct span routes[MAX_ROUTES];
	size_t n_routes;
};

/* name-addr or addr-spec, without the header's own parameters. */
static struct span bare_nameaddr(const struct sip_nameaddr *a)
{
	return span_trim(span_sub(a->value, 0, a->value.n - a->params.n));
}

static int gather_routes(struct gathered *g, const struct sip_msg *m, bool reverse)
{
	for (const struct sip_hdr *h = sip_hdr(m, SIP_H_RECORD_ROUTE); h; h = sip_hdr_next(m, h)) {
		struct span rest = h->value, item;
		while (sip_list_next(&rest, &item)) {
			if (g->n_routes == MAX_ROUTES)
				return -1;
			g->routes[g->n_routes++] = item;
		}
	}
	for (size_t i = 0; reverse && i < g->n_routes / 2; i++) {
		struct span t = g->routes[i];
		g->routes[i] = g->routes[g->n_routes - 1 - i];
		g->routes[g->n_routes - 1 - i] = t;
	}
	return 0;
}

/* 1 *out filled, 0 no Contact, -1 not one that requests can be sent to. */
static int contact_of(const struct sip_msg *m, struct span *out)
{
	struct sip_contact_iter it = {0};
	struct sip_nameaddr a;
	int rc = sip_contact_next(m, SIP_H_CONTACT, &it, &a);
	if (rc <= 0)
		return rc;
	if (a.star || !a.uri.all.n)
		return -1;
	*out = a.uri.all;
	return 1;
}

static size_t bytes_of(const struct gathered *g)
{
	size_t n = g->call_id.n + g->local_tag.n + g->remote_tag.n + g->local_uri.n + g->remote_uri.n + g->target.n;
	for (size_t i = 0; i < g->n_routes; i++)
		n += g->routes[i].n + 2;
	return n;
}

/* A folded value holds CRLF: that must not get into a header of ours. */
static struct span keep(struct text *t, struct span s)
{
	size_t at = t->n;
	for (size_t i = 0; i < s.n; i++)
		text_putc(t, s.p[i] == '\r' || s.p[i] == '\n' ? ' ' : s.p[i]);
	return (struct span){t->p + at, t->n - at};
}

static int settle(struct dialog *d, struct slab *s, const struct gathered *g)
{
	size_t n = bytes_of(g);
	char *block = slab_alloc(s, n);
	if (!block)
		return -1;
	struct text t = text_on(block, n);
	d->block = block;
	d->block_bytes = n;
	d->call_id = keep(&t, g->call_id);
	d->local_tag = keep(&t, g->local_tag);
	d->remote_tag = keep(&t, g->remote_tag);
	d->local_uri = keep(&t, g->local_uri);
	d->remote_uri = keep(&t, g->remote_uri);
	d->remote_target = keep(&t, g->target);
	size_t at = t.n;
	for (size_t i = 0; i < g->n_routes; i++) {
		if (i)
			text_lit(&t, ", ");
		(void)keep(&t, g->routes[i]);
	}
	INVARIANT(!t.over);
	d->route = (struct span){block + at, t.n - at};
	return 0;
}

int dialog_from_request(struct dialog *d, struct slab *s, const struct sip_msg *req, const struct sip_flow *from,
			struct span local_tag)
{
	struct gathered g = {
		.call_id = req->call_id, .local_tag = local_tag, .remote_tag = req->from.tag,
		.local_uri = bare_nameaddr(&req->to), .remote_uri = bare_nameaddr(&req->from),
	};
	struct dialog out = {
		.state = req->method == SIP_INVITE ? DIALOG_EARLY : DIALOG_CONFIRMED,
		.flow = *from, .remote_cseq = req->cseq, .has_remote_cseq = true,
	};
	if (contact_of(req, &g.target) != 1 || gather_routes(&g, req, false) != 0 || settle(&out, s, &g) != 0)
		return -1;
	*d = out;
	return 0;
}

int dialog_from_response(struct dialog *d, struct slab *s, const struct sip_msg *resp, const struct sip_flow *flow)
{
	struct gathered g = {
		.call_id = resp->call_id, .local_tag = resp->from.tag, .remote_tag = resp->to.tag,
		.local_uri = bare_nameaddr(&resp->from), .remote_uri = bare_nameaddr(&resp->to),
		/* A 180 or 200 without Contact is wrong but met; its sender could not be hung up on otherwise. */
		.target = resp->to.uri.all,
	};
	struct dialog out = {
		.state = resp->status < 200 ? DIALOG_EARLY : DIALOG_CONFIRMED,
		.is_uac = true, .flow = *flow, .local_cseq = resp->cseq,
	};
	if (resp->status <= 100 || resp->status >= 300 || !resp->to.tag.n)
		return -1;
	if (contact_of(resp, &g.target) < 0 || gather_routes(&g, resp, true) != 0 || settle(&out, s, &g) != 0)
		return -1;
	*d = out;
	return 0;
}

int dialog_confirm(struct dialog *d, struct slab *s, const struct sip_msg *resp)
{
	struct dialog now;
	if (d->state != DIALOG_EARLY || !d->is_uac || resp->status < 200)
		return -1;
	if (dialog_from_response(&now, s, resp, &d->flow) != 0)
		return -1;
	/* PRACK and UPDATE have gone out and come in meanwhile; only routes and target are computed anew. */
	now.local_cseq = d->local_cseq;
	now.remote_cseq = d->remote_cseq;
	now.has_remote_cseq = d->has_remote_cseq;
	dialog_clear(d, s);
	*d = now;
	return 0;
}

int dialog_copy(struct dialog *d, struct slab *s, const struct dialog *from)
{
	struct gathered g = {
		.call_id = from->call_id, .local_tag = from->local_tag, .remote_tag = from->remote_tag, .local_uri = from->local_uri,
		.remote_uri = from->remote_uri, .target = from->remote_target, .routes = {from->route}, .n_routes = from->route.n ? 1 : 0,
	};
	struct dialog out = *from;
	out.target_block = NULL;
	out.target_bytes = 0;
	if (settle(&out, s, &g) != 0)
		return -1;
	*d = out;
	return 0;
}

void dialog_clear(struct dialog *d, struct slab *s)
{
	slab_free(s, d->block, d->block_bytes);
	slab_free(s, d->target_block, d->target_bytes);
	*d = (struct dialog){.state = DIALOG_NONE};
}

static bool is_live(const struct dialog *d)
{
	return d->state == DIALOG_EARLY || d->state == DIALOG_CONFIRMED;
}

bool dialog_matches_request(const struct dialog *d, const struct sip_msg *req)
{
	return is_live(d) && span_eq(d->call_id, req->call_id) && span_eq(d->remote_tag, req->from.tag) &&
	       span_eq(d->local_tag, req->to.tag);
}

bool dialog_matches_response(const struct dialog *d, const struct sip_msg *resp)
{
	return is_live(d) && span_eq(d->call_id, resp->call_id) && span_eq(d->local_tag, resp->from.tag) &&
	       span_eq(d->remote_tag, resp->to.tag);
}

enum dialog_check dialog_accept_request(struct dialog *d, const struct sip_msg *req)
{
	if (!dialog_matches_request(d, req))
		return DIALOG_BAD_TAGS;
	/* Lower is refused, equal is not (RFC 3261 12.2.2): copies never get here, they are the transaction's. */
	if (d->has_remote_cseq && req->cseq < d->remote_cseq)
		return DIALOG_OLD_CSEQ;
	d->remote_cseq = req->cseq;
	d->has_remote_cseq = true;
	return DIALOG_FRESH;
}

int dialog_refresh_target(struct dialog *d, struct slab *s, const struct sip_msg *m)
{
	struct span target;
	int rc = contact_of(m, &target);
	if (rc <= 0)
		return rc;
	if (span_eq(target, d->remote_target))
		return 0;
	char *p = slab_copy(s, target);
	if (!p)
		return -1;
	slab_free(s, d->target_block, d->target_bytes);
	d->target_block = p;
	d->target_bytes = target.n;
	d->remote_target = (struct span){p, target.n};
	return 0;
}

/* RFC 3261 12.2.1.1: where the request line and the Route headers come from. A first hop without lr is a strict router:
 * it wants its own URI in the request line and the target as the last Route. */
struct path {
	struct span ruri, route;
	bool strict;
};

static struct path path_of(const struct dialog *d)
{
	struct span rest = d->route, first, value;
	struct sip_nameaddr a;
	if (!sip_list_next(&rest, &first) || sip_nameaddr_parse(first, &a) != 0 || sip_param(a.uri.params, "lr", &value))
		return (struct path){d->remote_target, d->route, false};
	/* Headers may not stand in a request line (RFC 3261 19.1.1 table 1). */
	return (struct path){span_sub(a.uri.all, 0, a.uri.all.n - a.uri.headers.n), span_trim(rest), true};
}

static void put_routes(struct sip_build *b, const struct path *p, struct span target)
{
	if (!p->strict) {
		if (p->route.n)
			sip_put(b, SIP_H_ROUTE, p->route);
		return;
	}
	sip_head(b, SIP_H_ROUTE);
	struct span rest = p->route, item;
	while (sip_list_next(&rest, &item)) {
		text_put(&b->t, item);
		text_lit(&b->t, ", ");
	}
	text_putc(&b->t, '<');
	text_put(&b->t, target);
	text_putc(&b->t, '>');
	sip_eol(b);
}

static void put_party(struct sip_build *b, enum sip_hdr_id id, struct span uri, struct span tag)
{
	sip_head(b, id);
	text_put(&b->t, uri);
	if (tag.n) {
		text_lit(&b->t, ";tag=");
		text_put(&b->t, tag);
	}
	sip_eol(b);
}

void dialog_request_begin(struct dialog *d, struct sip_build *b, enum sip_method m, uint32_t cseq, struct span branch)
{
	struct path p = path_of(d);
	sip_request_begin(b, m, p.ruri, &d->flow, branch);
	sip_put_u(b, SIP_H_MAX_FORWARDS, 70);
	put_routes(b, &p, d->remote_target);
	put_party(b, SIP_H_FROM, d->local_uri, d->local_tag);
	put_party(b, SIP_H_TO, d->remote_uri, d->remote_tag);
	sip_put(b, SIP_H_CALL_ID, d->call_id);
	sip_head(b, SIP_H_CSEQ);
	text_u64(&b->t, cseq ? cseq : ++d->local_cseq);
	text_putc(&b->t, ' ');
	text_z(&b->t, sip_method_name(m));
	sip_eol(b);
}

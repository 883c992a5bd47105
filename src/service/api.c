/* /api/v1: the same handlers for the control socket and for HTTP with a token. */
#include "service/api.h"

#include <stdlib.h>

void api_error(struct http_response *rs, uint16_t status, const char *what, const char *where, const char *mend)
{
	char *mem = malloc(1024);
	struct text t = text_on(mem, mem ? 1024 : 0);
	text_lit(&t, "{\"error\":{\"what\":");
	text_json(&t, span_z(what));
	text_lit(&t, ",\"where\":");
	text_json(&t, span_z(where));
	text_lit(&t, ",\"mend\":");
	text_json(&t, span_z(mend));
	text_lit(&t, "}}\n");
	http_body(rs, status, "application/json", mem, t.over ? 0 : t.n);
}

void api_grow(struct api_out *o, size_t room)
{
	if (o->t.cap - o->t.n >= room || o->t.over)
		return;
	size_t cap = o->t.cap ? o->t.cap * 2 : 8192;
	while (cap - o->t.n < room)
		cap *= 2;
	char *p = realloc(o->t.p, cap);
	if (!p) {
		o->t.over = true;
		return;
	}
	o->t.p = p;
	o->t.cap = cap;
}

void api_send(struct http_response *rs, uint16_t status, struct api_out *o)
{
	if (o->t.over) {
		free(o->t.p);
		api_error(rs, 503, "out of memory", "", "try again");
		return;
	}
	http_body(rs, status, "application/json", o->t.p, o->t.n);
}

uint64_t api_query_u64(struct span query, const char *name)
{
	uint64_t v = 0;
	while (query.p) {
		struct span pair = span_cut(&query, '&'), key = span_cut(&pair, '=');
		if (span_eqz(key, name) && span_u64(pair, UINT64_MAX, &v) != 0)
			v = 0;
	}
	return v;
}

/* Live state, asked from the cell in pages. */
static void live(struct service *s, const struct http_request *rq, enum cell_query_kind kind, struct span arg, struct http_response *rs)
{
	char *json = NULL;
	size_t n = 0;
	uint64_t next = 0;
	struct api_out o = {0};
	int status = s->ports.ask(s->ports.ctx, kind, api_query_u64(rq->query, "cursor"), 500, arg, &json, &n, &next);
	if (status < 200 || status >= 300) {
		free(json);
		api_error(rs, (uint16_t)(status == 404 ? 404 : 503), status == 404 ? "no such thing" : "the switch did not answer in time", "", "try again");
		return;
	}
	if (kind == CELL_Q_HANGUP || kind == CELL_Q_UNREGISTER)
		api_note(s, rq, "end", kind == CELL_Q_HANGUP ? "call" : "registration", arg, SPAN_NONE);
	struct span body = span_trim(span_mem(json, n));
	api_grow(&o, n + 128);
	if (!o.t.over) {
		bool rows = kind == CELL_Q_BANS || kind == CELL_Q_CALLS || kind == CELL_Q_REGISTRATIONS || kind == CELL_Q_SUBSCRIPTIONS;
		bool bare = rows && !(body.n && body.p[0] == '[');
		if (rows)
			text_lit(&o.t, "{\"items\":");
		if (bare)
			text_putc(&o.t, '[');
		text_put(&o.t, body);
		if (bare)
			text_putc(&o.t, ']');
		if (rows)
			text_fmt(&o.t, ",\"next\":%llu}", (unsigned long long)next);
		text_putc(&o.t, '\n');
	}
	free(json);
	api_send(rs, 200, &o);
}

/* An address, or an extension whose PIN is locked: on every path at once. */
static void release(struct service *s, const struct http_request *rq, struct span what, struct http_response *rs)
{
	char *json = NULL;
	size_t n = 0;
	uint64_t next = 0;
	bool pin = guard_unlock(&s->guard, what);
	int status = s->ports.ask(s->ports.ctx, CELL_Q_BAN_RELEASE, 0, 0, what, &json, &n, &next);
	free(json);
	if (status == 200 || pin)
		api_note(s, rq, "release", "ban", what, SPAN_NONE);
	if (status == 200 || pin)
		rs->status = 204;
	else if (status == 404)
		api_error(rs, 404, "it is not held", "path", "see: strowger ban list");
	else
		api_error(rs, 503, "the switch did not answer in time", "", "try again");
}

static void cdr(struct service *s, const struct http_request *rq, struct http_response *rs)
{
	char *json = NULL;
	size_t n = 0;
	struct api_out o = {0};
	uint64_t limit = api_query_u64(rq->query, "limit");
	struct span query = rq->query, extension = SPAN_NONE;
	while (query.p) {
		struct span pair = span_cut(&query, '&'), key = span_cut(&pair, '=');
		if (span_eqz(key, "extension") && pair.p)
			extension = pair;
	}
	if (s->ports.cdr_read(s->ports.ctx, limit && limit < 10000 ? (uint32_t)limit : 100, extension, &json, &n) != 0) {
		free(json);
		api_error(rs, 503, "the call records cannot be read", "store", "see the log for the reason");
		return;
	}
	api_grow(&o, n + 16);
	text_putc(&o.t, '[');
	text_put(&o.t, span_mem(json, n));
	text_lit(&o.t, "]\n");
	free(json);
	api_send(rs, 200, &o);
}

static enum route_method method_of(enum http_method m)
{
	switch (m) {
	case HTTP_GET:
	case HTTP_HEAD: return ROUTE_GET;
	case HTTP_PUT: return ROUTE_PUT;
	case HTTP_POST: return ROUTE_POST;
	case HTTP_PATCH: return ROUTE_PATCH;
	case HTTP_DELETE: return ROUTE_DELETE;
	case HTTP_OTHER: break;
	}
	return ROUTE_METHODS;
}

static void description(struct http_response *rs)
{
	*rs = (struct http_response){.status = 200, .content_type = "application/json", .body = {openapi_json, openapi_json_n}};
}

/* Which kind of thing, whatever is done with it: the route has been found good. */
static void go(struct service *s, const struct http_request *rq, struct span path, struct http_response *rs)
{
	struct span rest = path, head = span_cut(&rest, '/'), id = rest.p ? rest : SPAN_NONE;
	bool gone = rq->method == HTTP_DELETE;
	if (span_eqz(head, "extensions"))
		api_extensions(s, rq, id, rs);
	else if (span_eqz(head, "devices"))
		api_devices(s, rq, id, rs);
	else if (span_eqz(head, "settings"))
		api_settings(s, rq, rs);
	else if (span_eqz(head, "phones"))
		api_phones(s, rq, rs);
	else if (span_eqz(head, "calls"))
		live(s, rq, gone ? CELL_Q_HANGUP : CELL_Q_CALLS, id, rs);
	else if (span_eqz(head, "registrations"))
		live(s, rq, gone ? CELL_Q_UNREGISTER : CELL_Q_REGISTRATIONS, id, rs);
	else if (span_eqz(head, "subscriptions"))
		live(s, rq, CELL_Q_SUBSCRIPTIONS, SPAN_NONE, rs);
	else if (span_eqz(head, "features"))
		api_features(s, rq, id, rs);
	else if (span_eqz(head, "bans") && gone)
		release(s, rq, id, rs);
	else if (span_eqz(head, "bans"))
		live(s, rq, CELL_Q_BANS, SPAN_NONE, rs);
	else if (span_eqz(head, "status"))
		live(s, rq, CELL_Q_STATUS, SPAN_NONE, rs);
	else if (span_eqz(head, "log") && s->ports.logs)
		s->ports.logs(s->ports.ctx, rq, rs);
	else if (span_eqz(head, "audit"))
		api_audit(s, rq, id, rs);
	else if (span_eqz(head, "cdr"))
		cdr(s, rq, rs);
	else if (span_eqz(head, "tokens"))
		api_tokens(s, rq, id, rs);
	else if (span_eqz(head, "openapi.json"))
		description(rs);
	else
		api_error(rs, 503, "this is not kept here", "path", "ask a switch that keeps it");
}

static void not_there(struct http_response *rs)
{
	char list[256];
	struct text t = TEXT_ARRAY(list);
	text_lit(&t, "there are");
	for (size_t i = 0; i < routes_n; i++)
		if (!strchr(routes[i].path, '/'))
			text_fmt(&t, " %s", routes[i].path);
	(void)text_end(&t);
	api_error(rs, 404, "no such collection", "path", list);
}

void api_handle(struct service *s, const struct http_request *rq, enum route_scope scope, struct http_response *rs)
{
	static const char *const scopes[] = {"never", "read", "write", "admin"};
	struct span path = rq->path;
	if (!span_starts(path, SPAN_LIT("/api/v1/"))) {
		api_error(rs, 404, "no such version", "path", "use /api/v1/");
		return;
	}
	path = span_sub(path, 8, path.n);
	const struct route *r = route_of(path);
	enum route_method m = method_of(rq->method);
	char mend[96];
	if (!r) {
		not_there(rs);
	} else if (m == ROUTE_METHODS || r->scope[m] == ROUTE_NEVER) {
		struct text t = TEXT_ARRAY(mend);
		text_fmt(&t, "here go: %s", r->allow);
		(void)text_end(&t);
		api_error(rs, 405, "this method is not for this path", "method", mend);
		http_header(rs, "Allow", span_z(r->allow));
	} else if (r->scope[m] > scope) {
		struct text t = TEXT_ARRAY(mend);
		text_fmt(&t, "use a token with scope %s; this one has %s", scopes[r->scope[m]], scopes[scope]);
		(void)text_end(&t);
		api_error(rs, 403, "this token may not do that", "Authorization", mend);
	} else if (r->revision[m] && !span_trim(rq->if_match).n) {
		api_error(rs, 428, "a change says of which revision it is", "If-Match", "read it, and send its ETag as If-Match; or If-Match: * for whatever it is now");
	} else {
		struct http_request as = *rq;
		as.method = rq->method == HTTP_HEAD ? HTTP_GET : rq->method;
		go(s, &as, path, rs);
	}
}

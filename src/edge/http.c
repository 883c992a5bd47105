#include "edge/http.h"

#include "edge/http_request.h"
#include "edge/limits.h"
#include "io/clock.h"
#include "io/sock.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

struct http_server {
	struct http_opts o;
	struct MHD_Daemon *mhd;
};

/* One request on its way in. Made by on_uri, freed by on_completed. */
struct exchange {
	struct http_server *server;
	struct http_target target;
	struct http_request rq;
	bool begun;
	uint16_t refused; /* status to answer once the body has been swallowed */
	char *body;
	size_t n, cap, limit, swallowed;
};

static enum http_method method_of(const char *m)
{
	static const struct { const char *name; enum http_method m; } known[] = {
		{"GET", HTTP_GET}, {"HEAD", HTTP_HEAD}, {"PUT", HTTP_PUT}, {"POST", HTTP_POST}, {"PATCH", HTTP_PATCH}, {"DELETE", HTTP_DELETE}};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(m, known[i].name) == 0)
			return known[i].m;
	return HTTP_OTHER;
}

static struct span header(struct MHD_Connection *c, const char *name)
{
	return span_z(MHD_lookup_connection_value(c, MHD_HEADER_KIND, name));
}

static void read_head(struct exchange *x, struct MHD_Connection *c, const char *method)
{
	struct http_request *rq = &x->rq;
	rq->method = method_of(method);
	rq->path = x->target.path;
	rq->query = x->target.query;
	rq->user_agent = header(c, MHD_HTTP_HEADER_USER_AGENT);
	rq->authorization = header(c, MHD_HTTP_HEADER_AUTHORIZATION);
	rq->if_match = header(c, MHD_HTTP_HEADER_IF_MATCH);
	rq->idempotency_key = header(c, "Idempotency-Key");
	rq->content_type = header(c, MHD_HTTP_HEADER_CONTENT_TYPE);
	rq->host = header(c, MHD_HTTP_HEADER_HOST);
	rq->control = x->server->o.control;
	rq->tls = x->server->o.cert != NULL;
	if (!rq->control) {
		const union MHD_ConnectionInfo *ci = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		struct sockaddr_storage ss = {0};
		if (ci && ci->client_addr) {
			memcpy(&ss, ci->client_addr, ci->client_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
			rq->from = sock_to_addr(&ss);
		}
	}
	rq->now_us = mono_us();
	rq->wall_us = wall_us();
}

static enum MHD_Result respond(struct MHD_Connection *c, struct http_response *rs, bool close_after)
{
	struct MHD_Response *r;
	enum MHD_Result ok = MHD_NO;
	/* The body is ours until libmicrohttpd has sent it: it frees body_mem, which need not begin where the body does. */
	if (rs->body_mem)
		r = MHD_create_response_from_buffer_with_free_callback_cls(rs->body.n, (void *)(uintptr_t)rs->body.p, free, rs->body_mem);
	else
		r = MHD_create_response_from_buffer(rs->body.n, (void *)(uintptr_t)rs->body.p, MHD_RESPMEM_MUST_COPY);
	if (!r)
		return MHD_NO;
	rs->body_mem = NULL;
	if (rs->content_type)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, rs->content_type);
	for (unsigned i = 0; i < rs->n_header; i++)
		MHD_add_response_header(r, rs->header[i].name, rs->header[i].value);
	if (close_after)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	ok = MHD_queue_response(c, rs->status ? rs->status : 500, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result refuse(struct exchange *x, struct MHD_Connection *c, uint16_t status)
{
	struct http_response rs = {.status = status, .content_type = "text/plain; charset=utf-8"};
	char why[160];
	if (status == 413)
		snprintf(why, sizeof why, "The body is longer than the %zu bytes that are taken here.\n", x->limit);
	else if (status == 414)
		snprintf(why, sizeof why, "The address is longer than %d bytes.\n", HTTP_MAX_URI);
	else
		snprintf(why, sizeof why, "The address in the request line cannot be read: bad %%-escape, or a control character.\n");
	rs.body = span_z(why);
	log_event(x->server->o.log, LOG_INFO, "http.refused", LOG_I("status", status), LOG_S("path", x->target.path));
	return respond(c, &rs, true);
}

/* The head is there, the body is not: decides whether it will be read at all. A refusal here goes out before
 * "100 Continue", so that a phone does not send what nobody takes. */
static enum MHD_Result begin(struct exchange *x, struct MHD_Connection *c, const char *method)
{
	x->begun = true;
	if (x->target.bad)
		return refuse(x, c, x->target.bad);
	read_head(x, c, method);
	x->limit = x->server->o.handler.body_limit(x->server->o.handler.ctx, &x->rq);
	if (x->limit > HTTP_MAX_BODY)
		x->limit = HTTP_MAX_BODY;
	struct span length = header(c, MHD_HTTP_HEADER_CONTENT_LENGTH);
	uint64_t n;
	if (length.p && (span_u64(span_trim(length), UINT64_MAX, &n) != 0 || n > x->limit))
		return refuse(x, c, 413);
	return MHD_YES;
}

/* Without an announced length a body may turn out too long; libmicrohttpd answers only when it is all there, so a little
 * more is read and dropped, and beyond that the connection is cut. */
static enum MHD_Result take(struct exchange *x, const char *data, size_t n)
{
	if (x->refused || n > x->limit - x->n) {
		x->refused = 413;
		x->swallowed += n;
		return x->swallowed > HTTP_MAX_SWALLOW ? MHD_NO : MHD_YES;
	}
	if (x->n + n > x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 8192;
		while (cap < x->n + n)
			cap *= 2;
		char *mem = realloc(x->body, cap);
		if (!mem)
			return MHD_NO;
		x->body = mem;
		x->cap = cap;
	}
	memcpy(x->body + x->n, data, n);
	x->n += n;
	return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version,
				  const char *upload, size_t *upload_n, void **con_cls)
{
	struct exchange *x = *con_cls;
	(void)cls;
	(void)url;
	(void)version;
	if (!x)
		return MHD_NO; /* no memory at on_uri */
	if (!x->begun)
		return begin(x, c, method);
	if (*upload_n) {
		enum MHD_Result ok = take(x, upload, *upload_n);
		*upload_n = 0;
		return ok;
	}
	if (x->refused)
		return refuse(x, c, x->refused);
	struct http_response rs = {0};
	x->rq.body = span_mem(x->body, x->n);
	x->server->o.handler.handle(x->server->o.handler.ctx, &x->rq, &rs);
	enum MHD_Result ok = respond(c, &rs, false);
	free(rs.body_mem);
	return ok;
}

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
	(void)c;
	struct exchange *x = calloc(1, sizeof *x);
	if (x) {
		x->server = cls;
		http_target_parse(&x->target, span_z(uri));
	}
	return x;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **con_cls, enum MHD_RequestTerminationCode why)
{
	(void)cls;
	(void)c;
	(void)why;
	struct exchange *x = *con_cls;
	if (x)
		free(x->body);
	free(x);
	*con_cls = NULL;
}

/* We decode the target ourselves: libmicrohttpd would let a %00 end the path. */
static size_t leave_as_it_is(void *cls, struct MHD_Connection *c, char *s)
{
	(void)cls;
	(void)c;
	return strlen(s);
}

static void on_log(void *cls, const char *fmt, va_list ap)
{
	struct http_server *s = cls;
	char line[256];
	vsnprintf(line, sizeof line, fmt, ap);
	log_event(s->o.log, LOG_DEBUG, "http.library", LOG_S("text", span_trim(span_z(line))));
}

static unsigned or_else(unsigned v, unsigned d)
{
	return v ? v : d;
}

/* What GnuTLS shall speak: as the SIP side's TLS_MODERN. */
static const char tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

struct http_server *http_start(const struct http_opts *o)
{
	struct http_server *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->o = *o;
	unsigned conns = or_else(o->max_conns, o->control ? HTTP_CONTROL_MAX_CONNS : HTTP_MAX_CONNS);
	unsigned per_ip = o->control ? 0 : or_else(o->max_conns_per_ip, HTTP_MAX_CONNS_PER_IP);
	unsigned threads = or_else(o->threads, 2);
	struct MHD_OptionItem items[] = {
		{MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_log, s}, /* first: it serves the options after it */
		{MHD_OPTION_LISTEN_SOCKET, o->listen_fd, NULL},
		{MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL},
		{MHD_OPTION_CONNECTION_LIMIT, (intptr_t)(conns < threads ? threads : conns), NULL},
		{MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)per_ip, NULL},
		{MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)or_else(o->idle_s, HTTP_IDLE_S), NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_HEADER_MEMORY, NULL},
		{MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_uri, s},
		{MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_as_it_is, NULL},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, NULL},
		{o->cert ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, (void *)(uintptr_t)o->cert},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities},
		{o->makers ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, (void *)(uintptr_t)o->makers},
		{MHD_OPTION_END, 0, NULL}};
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ITC | MHD_USE_ERROR_LOG | (o->cert ? (unsigned)MHD_USE_TLS : 0u);
	s->mhd = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
	if (s->mhd)
		return s;
	free(s);
	return NULL;
}

int http_quiesce(struct http_server *s)
{
	MHD_socket fd = MHD_quiesce_daemon(s->mhd);
	return fd == MHD_INVALID_SOCKET ? -1 : fd;
}

void http_stop(struct http_server *s)
{
	if (!s)
		return;
	MHD_stop_daemon(s->mhd);
	free(s);
}

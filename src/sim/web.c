/* Provisioning: HTTP exchanges between phones and the service, whose ports end in memory here. */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>

static struct site *port_site(void *ctx)
{
	struct world *w = ctx;
	return site_ref(w->site);
}

static void publish(struct world *w, struct site *s)
{
	site_unref(w->site);
	w->site = s;
	struct cell_in in = {.kind = CELL_IN_SITE};
	in.u.site = s;
	world_inside(w, false);
	world_cell(w, &in);
	world_inside(w, true);
}

/* 0 means that it does not exist. */
static uint64_t revision_now(const struct world *w, const struct site_change *c)
{
	const struct site_extension *e;
	const struct site_device *d;
	switch (c->kind) {
	case CHANGE_SETTINGS:
		return site_settings_of(w->site)->revision;
	case CHANGE_EXTENSION:
	case CHANGE_EXTENSION_GONE:
		e = site_extension_find(w->site, span_z(c->extension.row.number));
		return e ? (e->row.revision ? e->row.revision : 1) : 0;
	case CHANGE_DEVICE:
	case CHANGE_DEVICE_GONE:
		d = c->device.row.id ? site_device_by_id(w->site, c->device.row.id) : NULL;
		return d ? (d->row.revision ? d->row.revision : 1) : 0;
	case CHANGE_TOKEN: /* no machine asks the simulator's API */
	case CHANGE_TOKEN_GONE:
		break;
	}
	return 0;
}

static struct site *changed(struct world *w, struct site_change *c, uint64_t rev)
{
	switch (c->kind) {
	case CHANGE_SETTINGS:
		c->settings.revision = rev + 1;
		return site_with_settings(w->site, &c->settings);
	case CHANGE_EXTENSION:
		c->extension.row.revision = rev + 1;
		return site_with_extension(w->site, &c->extension);
	case CHANGE_EXTENSION_GONE:
		return site_without_extension(w->site, span_z(c->extension.row.number));
	case CHANGE_DEVICE:
		if (c->device.row.id == 0)
			c->device.row.id = ++w->next_device_id;
		c->device.row.revision = rev + 1;
		/* As the store does after its commit: a row's secrets are opened before it is published. */
		(void)site_device_open(&w->site_key, site_settings_of(w->site), &c->device);
		return site_with_device(w->site, &c->device);
	case CHANGE_DEVICE_GONE:
		return site_without_device(w->site, c->device.row.id);
	case CHANGE_TOKEN:
	case CHANGE_TOKEN_GONE:
		break;
	}
	return NULL;
}

static enum change_result port_change(void *ctx, struct site_change *c)
{
	struct world *w = ctx;
	uint64_t rev = revision_now(w, c);
	if (c->if_revision != UINT64_MAX && c->if_revision != rev)
		return rev ? CHANGE_CONFLICT : CHANGE_MISSING;
	struct site *s = changed(w, c, rev);
	if (!s)
		return CHANGE_STORE_FAILED;
	publish(w, s);
	return CHANGE_OK;
}

static int port_ask(void *ctx, enum cell_query_kind kind, uint64_t cursor, uint32_t limit, struct span arg, char **json, size_t *n,
		    uint64_t *next_cursor)
{
	(void)ctx, (void)kind, (void)cursor, (void)limit, (void)arg, (void)json, (void)n, (void)next_cursor;
	return 503; /* phones do not ask the cell over HTTP */
}

static int port_cdr(void *ctx, uint32_t limit, struct span extension, char **json, size_t *n)
{
	(void)ctx, (void)limit, (void)extension, (void)json, (void)n;
	return -1;
}

static int port_upload(void *ctx, struct span mac12, struct span name, struct span body)
{
	(void)ctx, (void)mac12, (void)name, (void)body;
	return 0;
}

static void port_fetched(void *ctx, struct span mac12, struct span path, uint16_t status, const struct http_request *rq)
{
	(void)ctx, (void)mac12, (void)path, (void)status, (void)rq;
}

static void port_random(void *ctx, void *dst, size_t n)
{
	struct world *w = ctx;
	rng_bytes(&w->rng_service, dst, n);
}

static void log_write(struct log_sink *s, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	(void)s, (void)level, (void)event, (void)f, (void)n;
}

static struct log_sink no_log = {log_write, LOG_ERROR};

int web_init(struct world *w, const char **error)
{
	struct service_ports p = {.ctx = w, .site = port_site, .change = port_change, .ask = port_ask, .cdr_read = port_cdr,
				  .upload = port_upload, .fetched = port_fetched, .random = port_random, .log = &no_log};
	struct nonce_key nk;
	rng_bytes(&w->rng_service, &nk, sizeof nk);
	if (w->epoch == 0) /* a file of the site: outlives the process */
		rng_bytes(&w->rng_service, &w->site_key, sizeof w->site_key);
	w->service = service_new(&p, &w->site_key, &nk, "simulator", SIM_SIP_PORT);
	if (!w->service)
		*error = "no memory for the service";
	return w->service ? 0 : -1;
}

void web_free(struct world *w)
{
	if (w->service)
		service_free(w->service);
}

int web_extension(struct world *w, const char *number, const char *name, const char *pin)
{
	struct site_change c = {.kind = CHANGE_EXTENSION, .if_revision = UINT64_MAX, .actor = "simulator"};
	extension_defaults(&c.extension.row);
	if (!span_copyz(span_z(number), c.extension.row.number, sizeof c.extension.row.number) ||
	    !span_copyz(span_z(name), c.extension.row.name, sizeof c.extension.row.name))
		return -1;
	/* As a row is after its load: the PIN's HA1 is in memory, its sealed form is the store's affair. */
	digest_ha1_make(&c.extension.pin_ha1, span_z(number), span_z(site_settings_of(w->site)->realm), span_z(pin));
	c.extension.has_pin = true;
	return port_change(w, &c) == CHANGE_OK ? 0 : -1;
}

/* ---- exchanges -------------------------------------------------------------------------------------------------- */

static void job_free(struct http_job *j)
{
	free(j->mem);
	free(j->answer);
	free(j);
}

static struct span keep(struct text *t, struct span s)
{
	size_t at = t->n;
	text_put(t, s);
	return span_mem(t->p + at, s.n);
}

static struct span keep_decoded(struct text *t, struct span s)
{
	size_t at = t->n;
	for (size_t i = 0; i < s.n; i++) {
		int hi, lo;
		if (s.p[i] == '%' && i + 2 < s.n && (hi = ascii_hex(s.p[i + 1])) >= 0 && (lo = ascii_hex(s.p[i + 2])) >= 0) {
			text_putc(t, (char)(hi * 16 + lo));
			i += 2;
		} else {
			text_putc(t, s.p[i]);
		}
	}
	return span_mem(t->p + at, t->n - at);
}

static enum http_method method_of(const char *m)
{
	static const char *const names[] = {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"};
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (strcmp(m, names[i]) == 0)
			return (enum http_method)i;
	return HTTP_OTHER;
}

void web_request(struct world *w, struct sim_phone *p, const struct vphone_out *o)
{
	struct http_job *j = calloc(1, sizeof *j);
	size_t cap = o->http_url.n * 2 + o->http_user_agent.n + o->http_authorization.n + o->bytes.n + 64;
	char *mem = malloc(cap);
	INVARIANT(j != NULL && mem != NULL);
	struct text t = text_on(mem, cap);
	*j = (struct http_job){.phone = p->i, .id = o->http_id, .method = method_of(o->http_method), .mem = mem};
	struct span rest = o->http_url;
	ptrdiff_t scheme = span_find(rest, SPAN_LIT("://"));
	if (scheme >= 0)
		rest = span_sub(rest, (size_t)scheme + 3, rest.n);
	ptrdiff_t slash = span_chr(rest, '/');
	struct span host = slash < 0 ? rest : span_sub(rest, 0, (size_t)slash);
	struct span path = slash < 0 ? SPAN_LIT("/") : span_sub(rest, (size_t)slash, rest.n);
	ptrdiff_t at = span_chr(host, '@');
	if (at >= 0)
		host = span_sub(host, (size_t)at + 1, host.n);
	ptrdiff_t q = span_chr(path, '?');
	j->host = keep(&t, host);
	j->query = q < 0 ? SPAN_NONE : keep(&t, span_sub(path, (size_t)q + 1, path.n));
	j->path = keep_decoded(&t, q < 0 ? path : span_sub(path, 0, (size_t)q));
	j->user_agent = keep(&t, o->http_user_agent);
	j->authorization = keep(&t, o->http_authorization);
	j->body = keep(&t, o->bytes);
	world_at(w, w->now + 2 * net_delay(w), EV_HTTP_ASK, 0, 0, j); /* TCP handshake and request */
}

/* What an administrator's override would say; the service itself writes UDPOnly. */
static void prefer_tcp(char *body, size_t n)
{
	struct span b = span_mem(body, n);
	ptrdiff_t at = n ? span_find(b, SPAN_LIT("\"UDPOnly\"")) : -1;
	if (at >= 0)
		memcpy(body + at + 1, "TCP", 3);
}

/* Another one: the phone speaks session timers; the service writes 0. */
static void speak_timers(char *body, size_t n)
{
	static const char off[] = "keepalive.sessionTimers=\"0\"";
	ptrdiff_t at = n ? span_find(span_mem(body, n), span_z(off)) : -1;
	if (at >= 0)
		body[at + (ptrdiff_t)sizeof off - 3] = '1';
}

void web_ask(struct world *w, struct http_job *j)
{
	struct http_request rq = {.method = j->method, .path = j->path, .query = j->query, .user_agent = j->user_agent,
				  .authorization = j->authorization, .host = j->host, .body = j->body, .from = w->phone[j->phone].ip,
				  .now_us = w->now, .wall_us = world_wall_us(w)};
	struct http_response rs = {0};
	if (!w->service) { /* the switch is down: no connection */
		j->status = 0;
		world_at(w, w->now + net_delay(w), EV_HTTP_ANSWER, 0, 0, j);
		return;
	}
	rq.from.port = 40000;
	if (j->body.n > service_body_limit(w->service, &rq)) {
		rs.status = 413;
	} else {
		world_inside(w, true);
		service_handle(w->service, &rq, &rs);
		world_inside(w, false);
	}
	j->status = rs.status;
	if (w->o.verbose)
		world_say(w, SAY_TRACE, "http %s " SPAN_FMT " -> %u", w->phone[j->phone].ext, SPAN_ARG(j->path), rs.status);
	if (rs.body.n && (j->answer = malloc(rs.body.n))) {
		memcpy(j->answer, rs.body.p, rs.body.n);
		j->answer_n = rs.body.n;
	}
	if (w->phone[j->phone].timers)
		speak_timers(j->answer, j->answer_n);
	if (w->phone[j->phone].tcp)
		prefer_tcp(j->answer, j->answer_n);
	struct text t = TEXT_ARRAY(j->challenge);
	for (int i = 0; i < rs.n_header; i++) {
		if (!span_ieqz(span_z(rs.header[i].name), "WWW-Authenticate"))
			continue;
		if (t.n)
			text_putc(&t, '\n');
		text_z(&t, rs.header[i].value);
	}
	j->challenge_n = t.n;
	http_response_free(&rs);
	world_at(w, w->now + net_delay(w), EV_HTTP_ANSWER, 0, 0, j);
}

void web_answer(struct world *w, struct http_job *j)
{
	struct vphone_in in = {.kind = VP_IN_HTTP, .http_id = j->id, .http_status = j->status, .bytes = span_mem(j->answer, j->answer_n),
			       .www_authenticate = span_mem(j->challenge, j->challenge_n)};
	phone_step(&w->phone[j->phone], &in);
	job_free(j);
}

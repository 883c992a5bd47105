/* Start, in the order in which things need each other; drain and end, the other way round. */
#include "app/strowgerd.h"

#include "edge/limits.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/random.h"
#include "io/sandbox.h"
#include "io/sock.h"
#include "io/tcp.h"
#include "io/thread.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PEM_MAX = 65536, NOFILE_CAP = 16000, NOFILE_OTHERS = 200 /* database, loops, wakers, threads */ };

struct strowgerd {
	struct daemon_opts o;
	struct daemon_ports ports;
	struct logs *logs;
	struct log_sink *log;
	struct trace *trace;
	struct metrics *metrics;
	struct metrics_server metrics_server;
	struct http_server *metrics_http;
	struct site_dir dir;
	struct world world;
	struct store *store;
	struct recorder *recorder;
	struct cell_host *host;
	struct ask_desk *desk;
	struct media *media;
	struct sip_tcp *tcp, *tls;
	struct site_certs certs;
	struct service *service;
	struct http_server *http[MAX_LISTEN], *https[MAX_LISTEN], *control;
	struct addr shown; /* what we tell others: our address */
	struct tcp_budget streams; /* of SIP over TCP and TLS together */
	uint32_t extensions; /* at the start */
	bool ready;
};

static int failed(const char *what)
{
	complain("%s: %s.", what, errno ? strerror(errno) : "no memory");
	return EXIT_FAILED;
}

/* ---- store, site, cell ---- */

static void on_cdr_done(void *ctx, uint64_t token, bool ok)
{
	cell_host_persisted(ctx, token, ok);
}

static bool open_and_read(struct strowgerd *d, struct store_error *err)
{
	d->store = store_open(d->dir.path, &d->dir.key, d->log, err);
	return d->store && store_load_site(d->store, &d->dir.key, &d->world.site, err) == 0;
}

static int open_store(struct strowgerd *d)
{
	struct store_error err = {0};
	bool ok = open_and_read(d, &err);
	if (!ok && err.damaged) {
		log_event(d->log, LOG_ERROR, "store.damaged", LOG_Z("why", err.text));
		store_close(d->store);
		d->store = NULL;
		ok = store_recover(d->dir.path, &d->dir.key, d->log) && open_and_read(d, &err);
	}
	if (!ok) {
		complain("%s", err.text);
		return EXIT_FAILED;
	}
	store_keep_start(d->store);
	int open = store_close_open_cdrs(d->store, wall_us() / 1000);
	if (open > 0)
		log_event(d->log, LOG_WARN, "cdr.closed_as_interrupted", LOG_I("rows", open));
	return 0;
}

static struct cell_opts cell_options(void)
{
	struct cell_opts o = {.limits = cell_limits_default, .min_expires_s = 60, .max_expires_s = 3600, .log_min = LOG_DEBUG};
	uint64_t boot;
	random_bytes(&o.seed, sizeof o.seed);
	random_bytes(&o.nonce_key, sizeof o.nonce_key);
	random_bytes(&boot, sizeof boot);
	struct text t = TEXT_ARRAY(o.boot_id);
	text_hex64(&t, boot, 16);
	text_end(&t);
	return o;
}

static int make_cell(struct strowgerd *d)
{
	if (d->o.record && !(d->recorder = recorder_open(d->o.record))) {
		complain("cannot write the recording %s: %s.", d->o.record, strerror(errno));
		return EXIT_FAILED;
	}
	errno = 0;
	d->desk = ask_new();
	d->trace = trace_new(d->logs);
	d->metrics = metrics_new(mono_us());
	struct cell_host_opts o = {.cell = cell_options(), .log = d->log, .store = d->store, .recorder = d->recorder, .trace = d->trace, .metrics = d->metrics,
				   .answer = ask_answered, .ctx = d->desk};
	if (!d->desk || !d->trace || !d->metrics || !(d->host = cell_host_new(&o)))
		return failed("cannot make the cell");
	struct cell_in in = {.kind = CELL_IN_SITE, .u.site = d->world.site};
	cell_host_feed(d->host, &in);
	struct store_done done = {d->host, on_cdr_done};
	store_on_done(d->store, &done);
	return 0;
}

struct restore {
	struct strowgerd *d;
	uint32_t n;
};

static void restore_binding(void *ctx, const struct binding_row *b)
{
	struct restore *r = ctx;
	struct cell_in in = {.kind = CELL_IN_BINDING, .u.binding = *b};
	/* Connections of the last run are gone, and their numbers will be given to others. */
	in.u.binding.flow.conn = 0;
	if (in.u.binding.flow.listener >= 4 * r->d->o.n_listen)
		in.u.binding.flow.listener = 0;
	cell_host_feed(r->d->host, &in);
	r->n++;
}

static int restore_bindings(struct strowgerd *d)
{
	struct restore r = {d, 0};
	if (store_load_bindings(d->store, wall_us() / 1000, restore_binding, &r) != 0)
		log_event(d->log, LOG_WARN, "store.bindings_not_read", LOG_Z("file", "registrations.db"));
	if (r.n)
		log_event(d->log, LOG_INFO, "registrations.restored", LOG_I("n", r.n));
	return 0;
}

static void restore_subscription(void *ctx, const struct subscription_row *row)
{
	struct restore *r = ctx;
	struct cell_in in = {.kind = CELL_IN_SUBSCRIPTION, .u.subscription = *row};
	in.u.subscription.flow.conn = 0;
	if (in.u.subscription.flow.listener >= 4 * r->d->o.n_listen)
		in.u.subscription.flow.listener = 0;
	cell_host_feed(r->d->host, &in);
	r->n++;
}

static void restore_subscriptions(struct strowgerd *d)
{
	struct restore r = {d, 0};
	if (store_load_subscriptions(d->store, wall_us() / 1000, restore_subscription, &r) != 0)
		log_event(d->log, LOG_WARN, "store.subscriptions_not_read", LOG_Z("file", "registrations.db"));
	if (r.n)
		log_event(d->log, LOG_INFO, "subscriptions.restored", LOG_I("n", r.n));
}

/* ---- media ---- */

/* The address that phones are told: the site's identity when it is an IP address, else where we listen, else the address
 * of the way to the network. */
static struct addr shown_address(const struct strowgerd *d)
{
	struct addr a;
	const struct addr *l = &d->o.listen[0];
	if (!sock_is_any(l))
		return *l;
	if (addr_parse(span_z(site_settings_of(d->world.site)->identity), 0, &a) == 0 && a.family == l->family)
		return a;
	return sock_primary_addr(l->family);
}

static int start_media(struct strowgerd *d)
{
	char err[256] = "";
	unsigned per_worker = (d->o.pairs + d->o.workers - 1) / d->o.workers;
	if (cell_host_media_ring(d->host, (size_t)per_worker * d->o.workers) != 0)
		return failed("cannot make the media ring");
	struct media_opts o = {.addr = d->o.listen[0], .port_first = d->ports.rtp_first, .pairs_per_worker = per_worker,
			       .workers = d->o.workers, .on_event = cell_host_on_media, .ctx = d->host};
	random_bytes(&o.seed, sizeof o.seed);
	d->media = media_start(&o, err, sizeof err);
	if (!d->media) {
		complain("cannot open the voice ports: %s. Take others with --port-base, or fewer with --rtp-pairs.", err);
		return EXIT_FAILED;
	}
	cell_host_media(d->host, d->media);
	for (unsigned w = 0; w < media_workers(d->media); w++) {
		struct cell_in in = {.kind = CELL_IN_SLOTS};
		media_slots(d->media, w, &in.u.slots.first, &in.u.slots.n, &in.u.slots.addr);
		if (sock_is_any(&in.u.slots.addr)) {
			uint16_t port = in.u.slots.addr.port;
			in.u.slots.addr = d->shown;
			in.u.slots.addr.port = port;
		}
		cell_host_feed(d->host, &in);
	}
	return 0;
}

/* ---- sockets ---- */

static int not_bound(const char *proto, const struct addr *at)
{
	char where[80];
	int e = errno;
	struct text t = TEXT_ARRAY(where);
	addr_put(&t, at);
	text_end(&t);
	if (e == EADDRINUSE)
		complain("%s port %s is in use by another program. Stop it (`ss -%slnp` shows which), or take other ports with --port-base N.",
			 proto, where, strcmp(proto, "UDP") == 0 ? "u" : "t");
	else if (e == EADDRNOTAVAIL)
		complain("cannot listen on %s: this computer does not have that address. Give one of its own with --listen.", where);
	else if (e == EACCES)
		complain("cannot listen on %s %s: ports below 1024 need a privilege. Take others with --port-base N.", proto, where);
	else
		complain("cannot listen on %s %s: %s.", proto, where, strerror(e));
	return EXIT_FAILED;
}

/* Listeners 2n and up: TLS; 3n and up: TLS for old phones. */
static int open_tls(struct strowgerd *d)
{
	const struct site_settings *st = site_settings_of(d->world.site);
	int rc = certs_ready(&d->certs, &d->dir, &d->o, st->identity, d->log);
	struct tls_ctx *modern = rc == 0 ? certs_context(&d->certs, &d->dir, TLS_MODERN) : NULL;
	struct tls_ctx *legacy = modern && st->legacy_tls ? certs_context(&d->certs, &d->dir, TLS_LEGACY) : NULL;
	if (!modern || (st->legacy_tls && !legacy)) {
		tls_ctx_unref(modern);
		return rc ? rc : EXIT_FAILED;
	}
	struct sip_tcp_opts to = {.waker = cell_host_waker(d->host), .log = d->log, .budget = &d->streams, .tls = modern};
	d->tls = sip_tcp_new(&to);
	tls_ctx_unref(modern);
	if (!d->tls) {
		tls_ctx_unref(legacy);
		return failed("cannot make the TLS transport");
	}
	for (unsigned i = 0; i < (legacy ? 2u : 1u) * d->o.n_listen; i++) {
		struct addr at = d->o.listen[i % d->o.n_listen];
		bool old = i >= d->o.n_listen;
		at.port = old ? d->ports.sips_legacy : d->ports.sips;
		if (sip_tcp_listen_tls(d->tls, (uint16_t)(2 * d->o.n_listen + i), &at, old ? legacy : NULL) != 0) {
			tls_ctx_unref(legacy);
			return not_bound("TCP", &at);
		}
	}
	tls_ctx_unref(legacy);
	return 0;
}

static int open_sip(struct strowgerd *d)
{
	struct sip_tcp_opts to = {.waker = cell_host_waker(d->host), .log = d->log, .budget = &d->streams};
	if (!(d->tcp = sip_tcp_new(&to)))
		return failed("cannot make the TCP transport");
	for (unsigned i = 0; i < 2 * d->o.n_listen; i++) {
		struct addr at = d->o.listen[i / 2];
		at.port = i % 2 ? d->ports.sip_service : d->ports.sip;
		if (sip_udp_listen(cell_host_udp(d->host), (uint16_t)i, &at) != 0)
			return not_bound("UDP", &at);
		if (sip_tcp_listen(d->tcp, (uint16_t)i, &at) != 0)
			return not_bound("TCP", &at);
	}
	int rc = open_tls(d);
	cell_host_tcp(d->host, d->tcp, d->tls);
	return rc;
}

static size_t body_limit(void *ctx, const struct http_request *rq)
{
	return service_body_limit(ctx, rq);
}

static void handle(void *ctx, const struct http_request *rq, struct http_response *rs)
{
	service_handle(ctx, rq, rs);
}

static int open_web(struct strowgerd *d, struct http_opts *o, uint16_t port, struct http_server **out)
{
	for (unsigned i = 0; i < d->o.n_listen; i++) {
		struct addr at = d->o.listen[i];
		at.port = port;
		o->listen_fd = tcp_listen(&at, HTTP_BACKLOG);
		if (o->listen_fd < 0)
			return not_bound("TCP", &at);
		if (!(out[i] = http_start(o))) {
			close(o->listen_fd);
			return failed("cannot start HTTP");
		}
	}
	return 0;
}

/* The same sockets, served with other certificates: who connects meanwhile waits in the backlog. */
static int serve_anew(struct strowgerd *d, struct http_opts *o)
{
	for (unsigned i = 0; i < d->o.n_listen; i++) {
		struct addr at = d->o.listen[i];
		at.port = d->ports.https;
		o->listen_fd = d->https[i] ? http_quiesce(d->https[i]) : -1;
		http_stop(d->https[i]);
		if (o->listen_fd < 0) /* the last one did not start */
			o->listen_fd = tcp_listen(&at, HTTP_BACKLOG);
		d->https[i] = o->listen_fd < 0 ? NULL : http_start(o);
		if (!d->https[i]) {
			if (o->listen_fd >= 0)
				close(o->listen_fd);
			return failed("cannot start HTTPS again");
		}
	}
	return 0;
}

static int open_https(struct strowgerd *d, struct http_opts o, bool anew)
{
	char *cert = NULL, *key = NULL;
	size_t n = 0;
	int rc = EXIT_FAILED;
	o.threads = HTTPS_THREADS;
	if (file_read(d->certs.cert, PEM_MAX, &cert, &n) != 0 || file_read(d->certs.key, PEM_MAX, &key, &n) != 0) {
		complain("cannot read %s and its key: %s.", d->certs.cert, strerror(errno));
	} else {
		o.cert = cert;
		o.key = key;
		rc = anew ? serve_anew(d, &o) : open_web(d, &o, d->ports.https, d->https);
	}
	if (key)
		explicit_bzero(key, n);
	free(cert);
	free(key);
	return rc;
}

static int open_http(struct strowgerd *d)
{
	struct service_ports ports = world_ports(&d->world);
	struct nonce_key nonces;
	random_bytes(&nonces, sizeof nonces);
	errno = 0;
	d->service = service_new(&ports, &d->dir.key, &nonces, d->dir.token, d->ports.sip);
	if (!d->service)
		return failed("cannot make the HTTP service");
	struct http_opts o = {.handler = {d->service, body_limit, handle}, .log = d->log};
	o.threads = d->o.n_listen > 1 ? 2 : HTTP_THREADS;
	int rc = open_web(d, &o, d->ports.http, d->http);
	if (rc == 0)
		rc = open_https(d, o, false);
	if (rc != 0)
		return rc;
	o.threads = HTTP_CONTROL_THREADS;
	o.control = true;
	o.listen_fd = unix_listen(d->dir.control_path, 64);
	if (o.listen_fd < 0 && errno == ENAMETOOLONG) {
		complain("the name %s is too long for a socket (107 bytes): choose a shorter --site.", d->dir.control_path);
		return EXIT_FAILED;
	}
	if (o.listen_fd < 0 || !(d->control = http_start(&o)))
		return failed("cannot make the control socket");
	return 0;
}

/* Calls go on without it: what is in the way is told, and that is all. */
static void open_metrics(struct strowgerd *d)
{
	struct addr at = {.family = 4, .ip = {127, 0, 0, 1}, .port = d->ports.metrics};
	const struct addr *l = &d->o.listen[0];
	if (l->family == 4 && l->ip[0] == 127)
		memcpy(at.ip, l->ip, sizeof at.ip);
	d->metrics_server = (struct metrics_server){d->metrics, d->host, d->tcp, d->tls, d->media, d->store, &d->world, d->logs,
						    (d->o.pairs + d->o.workers - 1) / d->o.workers * d->o.workers, d->streams.max};
	int fd = tcp_listen(&at, HTTP_CONTROL_MAX_CONNS);
	if (fd >= 0 && (d->metrics_http = metrics_serve(&d->metrics_server, fd)))
		return;
	log_event(d->log, LOG_WARN, "metrics.not_served", LOG_I("port", at.port), LOG_Z("why", strerror(errno)));
	if (fd >= 0)
		close(fd);
}

void strowgerd_reload(struct strowgerd *d)
{
	char identity[256] = "";
	struct site_certs was = d->certs;
	pthread_mutex_lock(&d->world.site_mu);
	(void)span_copyz(span_z(site_settings_of(d->world.site)->identity), identity, sizeof identity);
	pthread_mutex_unlock(&d->world.site_mu);
	int rc = certs_ready(&d->certs, &d->dir, &d->o, identity, d->log);
	struct tls_ctx *ctx = rc == 0 ? certs_context(&d->certs, &d->dir, TLS_MODERN) : NULL;
	if (!ctx) {
		d->certs = was;
		log_event(d->log, LOG_ERROR, "tls.not_reloaded", LOG_Z("kept", was.cert));
		return;
	}
	sip_tcp_set_tls(d->tls, ctx);
	tls_ctx_unref(ctx);
	struct http_opts o = {.handler = {d->service, body_limit, handle}, .log = d->log};
	if (open_https(d, o, true) == 0)
		log_event(d->log, LOG_INFO, "tls.reloaded", LOG_Z("file", d->certs.cert));
}

/* ---- all of it ---- */

/* Descriptors are shared out: voice ports first, then HTTP, and SIP connections get what is left. */
static int plan_descriptors(struct strowgerd *d)
{
	uint64_t fixed = 2u * (d->o.pairs + d->o.workers) + 2 * HTTP_MAX_CONNS * d->o.n_listen + HTTP_CONTROL_MAX_CONNS + NOFILE_OTHERS;
	uint64_t have = sock_raise_nofile(fixed + TCP_MAX_CONNS, NOFILE_CAP);
	if (have < fixed + 16) {
		complain("%llu open files are allowed, %llu are needed. Raise the limit (`ulimit -n`), or take fewer --rtp-pairs.",
			 (unsigned long long)have, (unsigned long long)(fixed + 16));
		return EXIT_FAILED;
	}
	d->streams.max = have - fixed > TCP_MAX_CONNS ? TCP_MAX_CONNS : (uint32_t)(have - fixed);
	return 0;
}

static int start(struct strowgerd *d)
{
	int rc = site_dir_open(&d->dir, d->o.site);
	if (rc == 0)
		rc = plan_descriptors(d);
	if (rc == 0)
		rc = open_store(d);
	if (rc == 0)
		rc = make_cell(d);
	if (rc != 0)
		return rc;
	d->shown = shown_address(d);
	d->world.log = d->log;
	d->world.logs = d->logs;
	d->world.dir = &d->dir;
	d->world.store = d->store;
	d->world.host = d->host;
	d->world.desk = d->desk;
	uploads_count(&d->world);
	rc = open_sip(d); /* first: of two daemons on the same ports, the second should hear of the SIP port */
	if (rc == 0)
		rc = start_media(d);
	if (rc == 0)
		rc = restore_bindings(d);
	if (rc != 0)
		return rc;
	restore_subscriptions(d);
	errno = 0;
	d->extensions = site_extension_count(d->world.site); /* from here on HTTP threads replace the snapshot */
	if (cell_host_start(d->host) != 0 || sip_tcp_start(d->tcp) != 0 || sip_tcp_start(d->tls) != 0)
		return failed("cannot start a thread");
	rc = open_http(d);
	if (rc == 0)
		open_metrics(d);
	return rc;
}

int strowgerd_start(struct strowgerd **out, const struct daemon_opts *o)
{
	struct strowgerd *d = calloc(1, sizeof *d);
	*out = d;
	errno = 0;
	if (!d)
		return failed("cannot start");
	int64_t began = mono_us();
	d->o = *o;
	d->ports = ports_of(o);
	d->dir.lock_fd = -1;
	world_init(&d->world);
	int rc = become_user(o);
	if (rc != 0)
		return rc;
	if (!(d->logs = logs_open(&o->log)))
		return EXIT_FAILED;
	d->log = logs_sink(d->logs);
	rc = start(d);
	if (rc == 0 && !o->no_seccomp && !sandbox_is_off_by_build() && sandbox_enter() != 0)
		rc = failed("cannot install the filter of system calls (leave it out with --no-seccomp)");
	d->ready = rc == 0;
	if (d->ready)
		log_event(d->log, LOG_INFO, "daemon.started", LOG_Z("version", STROWGER_VERSION), LOG_Z("site", d->dir.path),
			  LOG_I("extensions", d->extensions), LOG_I("took_ms", (mono_us() - began) / 1000));
	return rc;
}

void strowgerd_ready(const struct strowgerd *d)
{
	char host[64];
	struct text t = TEXT_ARRAY(host);
	addr_put_host(&t, &d->shown);
	text_end(&t);
	printf("READY http=http://%s:%u sip=%s:%u token=%s\n", host, d->ports.http, host, d->ports.sip, d->dir.token_path);
	fflush(stdout);
}

/* ---- the end ---- */

/* Ids of up to a page of calls are asked for, and each is hung up, until none is left. */
static bool hang_up_some(struct strowgerd *d)
{
	char *text = NULL;
	size_t n = 0, i;
	uint64_t next = 0;
	json_t *calls = NULL, *call;
	int status = ask(d->desk, d->host, CELL_Q_CALLS, 0, 100, SPAN_NONE, &text, &n, &next);
	if (status == 200)
		calls = json_loadb(text, n, 0, NULL);
	bool any = json_array_size(calls) > 0;
	json_array_foreach(calls, i, call) {
		const char *id = json_string_value(json_object_get(call, "id"));
		char *ignored = NULL;
		size_t ignored_n = 0;
		if (id)
			ask(d->desk, d->host, CELL_Q_HANGUP, 0, 0, span_z(id), &ignored, &ignored_n, &next);
		free(ignored);
	}
	json_decref(calls);
	free(text);
	return any;
}

void strowgerd_drain(struct strowgerd *d)
{
	log_event(d->log, LOG_INFO, "daemon.draining", LOG_I("calls", cell_host_counts(d->host).calls));
	for (unsigned i = 0; i < d->o.n_listen; i++) {
		http_stop(d->http[i]);
		http_stop(d->https[i]);
		d->http[i] = d->https[i] = NULL;
	}
	http_stop(d->control);
	d->control = NULL;
	unlink(d->dir.control_path);
	int64_t until = mono_us() + 3000000;
	bool any = false;
	while (mono_us() < until && hang_up_some(d)) {
		any = true;
		thread_sleep_us(50000);
	}
	if (any) /* a phone that is there answers its BYE now; one that is not would keep us for half a minute */
		thread_sleep_us(100000);
	while (mono_us() < until && cell_host_counts(d->host).cdr_unconfirmed)
		thread_sleep_us(20000);
}

void strowgerd_free(struct strowgerd *d)
{
	if (!d)
		return;
	http_stop(d->metrics_http);
	for (unsigned i = 0; i < MAX_LISTEN; i++) {
		http_stop(d->http[i]);
		http_stop(d->https[i]);
	}
	http_stop(d->control);
	if (d->control)
		unlink(d->dir.control_path);
	if (d->host)
		cell_host_stop(d->host);
	media_stop(d->media);
	sip_tcp_free(d->tls);
	sip_tcp_free(d->tcp); /* what the cell said last still goes out */
	uint32_t open = d->host ? cell_host_counts(d->host).cdr_open : 0;
	if (d->store) {
		if (open) /* what was open and confirmed: the queue holds nothing of it any more */
			log_event(d->log, LOG_WARN, "cdr.closed_as_interrupted", LOG_I("rows", store_close_open_cdrs(d->store, wall_us() / 1000)));
		store_close(d->store); /* before the host: its writer still tells of rows */
	}
	cell_host_free(d->host);
	recorder_close(d->recorder);
	ask_free(d->desk);
	if (d->service)
		service_free(d->service);
	world_free(&d->world);
	site_dir_close(&d->dir);
	if (d->ready)
		log_event(d->log, LOG_INFO, "daemon.ended", LOG_I("open_cdrs", open));
	trace_free(d->trace);
	metrics_free(d->metrics);
	logs_close(d->logs);
	free(d);
}

int64_t strowgerd_alive_us(const struct strowgerd *d)
{
	return cell_host_alive_us(d->host);
}

void strowgerd_reopen_log(const struct strowgerd *d)
{
	logs_reopen(d->logs);
}

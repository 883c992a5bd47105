/* The daemon's sockets: SIP over UDP, TCP and TLS, HTTP, HTTPS, the control socket, metrics; certificates anew at SIGHUP. */
#include "app/strowgerd_internal.h"

#include "edge/limits.h"
#include "io/file.h"
#include "io/random.h"
#include "io/tcp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PEM_MAX = 65536 };

static int not_bound(const char *proto, const struct addr *at)
{
	char where[80];
	int e = errno;
	struct text t = TEXT_ARRAY(where);
	addr_put(&t, at);
	text_end(&t);
	if (e == EADDRINUSE)
		complain("%s port %s is in use by another program. Stop it (`ss -%slnp` shows which), or take other ports with --port-base N or --port NAME=N.",
			 proto, where, strcmp(proto, "UDP") == 0 ? "u" : "t");
	else if (e == EADDRNOTAVAIL)
		complain("cannot listen on %s: this computer does not have that address. Give one of its own with --listen.", where);
	else if (e == EACCES)
		complain("cannot listen on %s %s: ports below 1024 need a privilege. Start as root with --user, or take others with --port NAME=N.", proto, where);
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
		return start_failed("cannot make the TLS transport");
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

int open_sip(struct strowgerd *d)
{
	struct sip_tcp_opts to = {.waker = cell_host_waker(d->host), .log = d->log, .budget = &d->streams};
	if (!(d->tcp = sip_tcp_new(&to)))
		return start_failed("cannot make the TCP transport");
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
			return start_failed("cannot start HTTP");
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
			return start_failed("cannot start HTTPS again");
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

int open_http(struct strowgerd *d)
{
	struct service_ports ports = world_ports(&d->world);
	struct nonce_key nonces;
	random_bytes(&nonces, sizeof nonces);
	errno = 0;
	d->service = service_new(&ports, &d->dir.key, &nonces, d->dir.token, d->ports.sip);
	if (!d->service)
		return start_failed("cannot make the HTTP service");
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
		return start_failed("cannot make the control socket");
	return 0;
}

void open_metrics(struct strowgerd *d)
{
	struct addr at = {.family = 4, .ip = {127, 0, 0, 1}, .port = d->ports.metrics};
	const struct addr *l = &d->o.listen[0];
	if (l->family == 4 && l->ip[0] == 127)
		memcpy(at.ip, l->ip, sizeof at.ip);
	d->metrics_server = (struct metrics_server){d->metrics, d->host, d->tcp, d->tls, d->media, d->store, &d->world, d->logs, d->hep,
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

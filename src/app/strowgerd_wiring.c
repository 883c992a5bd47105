/* Start, in the order in which things need each other; drain and end, the other way round. */
#include "app/strowgerd_internal.h"

#include "edge/limits.h"
#include "io/clock.h"
#include "io/random.h"
#include "io/sandbox.h"
#include "io/sock.h"
#include "io/thread.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { NOFILE_CAP = 16000, NOFILE_OTHERS = 200 /* database, loops, wakers, threads */ };

int start_failed(const char *what)
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
	struct cell_opts o = {.limits = cell_limits_default, .min_expires_s = 60, .max_expires_s = 3600};
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
	d->hep = hep_new(&d->dir.key, d->log);
	struct cell_host_opts o = {.cell = cell_options(), .log = d->log, .store = d->store, .recorder = d->recorder, .trace = d->trace, .metrics = d->metrics, .hep = d->hep,
				   .answer = ask_answered, .ctx = d->desk};
	if (!d->desk || !d->trace || !d->metrics || !d->hep || !(d->host = cell_host_new(&o)))
		return start_failed("cannot make the cell");
	struct cell_in in = {.kind = CELL_IN_SITE, .u.site = d->world.site};
	cell_host_feed(d->host, &in);
	struct store_done done = {d->host, on_cdr_done};
	store_on_done(d->store, &done);
	return 0;
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
		return start_failed("cannot make the media ring");
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
	if (rc != 0)
		return rc;
	restore_live(d->store, d->host, 4 * d->o.n_listen, d->log);
	errno = 0;
	d->extensions = site_extension_count(d->world.site); /* from here on HTTP threads replace the snapshot */
	if (cell_host_start(d->host) != 0 || sip_tcp_start(d->tcp) != 0 || sip_tcp_start(d->tls) != 0)
		return start_failed("cannot start a thread");
	rc = open_http(d);
	if (rc != 0)
		return rc;
	open_metrics(d);
	if (ports_write(&d->ports, d->dir.path) != 0)
		log_event(d->log, LOG_WARN, "ports.not_written", LOG_Z("why", strerror(errno)));
	return 0;
}

int strowgerd_start(struct strowgerd **out, const struct daemon_opts *o)
{
	struct strowgerd *d = calloc(1, sizeof *d);
	*out = d;
	errno = 0;
	if (!d)
		return start_failed("cannot start");
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
		rc = start_failed("cannot install the filter of system calls (leave it out with --no-seccomp)");
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
	hep_free(d->hep);
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

/* The cell's thread: one turn takes what came in, lets the cell decide, and sends what it said. */
#include "app/strowgerd.h"

#include "edge/admit.h"
#include "edge/limits.h"
#include "io/random.h"
#include "io/clock.h"
#include "io/log_out.h"
#include "io/thread.h"

#include <errno.h>
#include <stdlib.h>

enum { RING_CONTROL = 4096, TURN_LIMIT_US = 5000, TCP_PER_LOOP = 256, WALL_STEP_US = 20000,
	BACKLOG_MAX = 16384, BACKLOG_RETRY_US = 50000, WAKE_MAX_US = 1000000 };

/* Registrations that the store's queue had no room for (a storm): kept in order until it has. */
struct late_row {
	struct late_row *next;
	bool gone;
	struct binding_row row;
};

struct cell_host {
	struct cell_host_opts o;
	struct cell *cell;
	struct cell_sink sink;
	struct loop loop;
	struct waker waker;
	struct loop_fd waker_watch;
	bool waker_ready, started;
	struct sip_udp *udp;
	struct admit *admit;
	uint64_t lost_sources;
	struct sip_tcp *tcp, *tls;
	struct media *media;
	struct ring control, media_ring;
	bool has_media_ring;
	atomic_bool stop;
	pthread_t thread;
	int64_t wall_minus_mono_us, long_turn_told_us;
	uint64_t *refused; /* tokens of CDRs that the store would not take: told to the cell after the step */
	size_t n_refused, cap_refused;
	uint32_t inputs; /* of this turn */
	uint64_t lost_sip, lost_rows, lost_subs, lost_bans;
	struct late_row *late, **late_tail;
	uint32_t n_late;
	pthread_mutex_t counts_mu;
	struct cell_counts counts;
	struct sip_udp_counts udp_counts;
	struct admit_counts admit_counts;
	atomic_int_fast64_t alive_us;
};

/* ---- what the cell says ---- */

static void refuse_cdr(struct cell_host *h, uint64_t token)
{
	if (h->n_refused == h->cap_refused) {
		size_t cap = h->cap_refused ? h->cap_refused * 2 : 256;
		uint64_t *mem = realloc(h->refused, cap * sizeof *mem);
		if (!mem)
			return; /* the cell never hears of it: it keeps the row, and sends it again (pbx/cdr.c) */
		h->refused = mem;
		h->cap_refused = cap;
	}
	h->refused[h->n_refused++] = token;
}

static void emit_sip(struct cell_host *h, const struct cell_out *out)
{
	const struct sip_flow *to = out->u.sip.to;
	bool ok = false;
	trace_message(h->o.trace, false, to, out->u.sip.bytes);
	metrics_message(h->o.metrics, false, out->u.sip.bytes);
	if (hep_is_on(h->o.hep))
		hep_message(h->o.hep, false, to, out->u.sip.bytes, h->loop.now_us + h->wall_minus_mono_us);
	switch (to->transport) {
	case SIP_UDP: ok = h->udp && sip_udp_send(h->udp, to, out->u.sip.bytes); break;
	case SIP_TCP: ok = h->tcp && sip_tcp_send(h->tcp, to, out->u.sip.bytes); break;
	case SIP_TLS: ok = h->tls && sip_tcp_send(h->tls, to, out->u.sip.bytes); break;
	}
	if (!ok)
		metrics_effect_lost(h->o.metrics);
	if (!ok && h->lost_sip++ == 0)
		log_event(h->o.log, LOG_WARN, "sip.not_sent", LOG_Z("transport", sip_transport_name(to->transport)),
			  LOG_I("port", to->remote.port), LOG_I("bytes", out->u.sip.bytes.n));
}

static int put_row(struct cell_host *h, const struct binding_row *row, bool gone)
{
	return gone ? store_drop_binding(h->o.store, row) : store_put_binding(h->o.store, row);
}

/* Order matters (put, then dropped): while some wait, all wait. */
static void write_behind(struct cell_host *h, const struct binding_row *row, bool gone)
{
	if (!h->late && put_row(h, row, gone) == 0)
		return;
	struct late_row *l = h->n_late < BACKLOG_MAX ? malloc(sizeof *l) : NULL;
	if (!l) {
		if (h->lost_rows++ == 0)
			log_event(h->o.log, LOG_WARN, "store.registration_not_kept", LOG_Z("extension", row->extension));
		return;
	}
	l->next = NULL;
	l->gone = gone;
	l->row = *row;
	*h->late_tail = l;
	h->late_tail = &l->next;
	h->n_late++;
}

static void write_late(struct cell_host *h)
{
	while (h->late && put_row(h, &h->late->row, h->late->gone) == 0) {
		struct late_row *l = h->late;
		h->late = l->next;
		if (!h->late)
			h->late_tail = &h->late;
		h->n_late--;
		free(l);
	}
}

/* In pace already (sip/event). What the queue has no room for is not there after a restart; the phone subscribes again. */
static void keep_subscription(struct cell_host *h, const struct subscription_row *row, bool gone)
{
	int rc = gone ? store_drop_subscription(h->o.store, row) : store_put_subscription(h->o.store, row);
	if (rc != 0 && h->lost_subs++ == 0)
		log_event(h->o.log, LOG_WARN, "store.subscription_not_kept", LOG_Z("extension", row->subscriber));
}

static void keep_ban(struct cell_host *h, const struct ban_row *row, bool gone)
{
	int rc = gone ? store_drop_ban(h->o.store, row) : store_put_ban(h->o.store, row);
	if (rc != 0 && h->lost_bans++ == 0)
		log_event(h->o.log, LOG_WARN, "store.ban_not_kept", LOG_I("gone", gone));
}

static void source_news(struct cell_host *h, const struct cell_out *out)
{
	if (out->u.source.known || !out->u.source.blocked_until_us)
		if (!admit_known(h->admit, out->u.source.addr, out->u.source.known) && h->lost_sources++ == 0)
			log_event(h->o.log, LOG_WARN, "limit.sources", LOG_I("places", ADMIT_SOURCES));
	admit_blocked(h->admit, out->u.source.addr, out->u.source.blocked_until_us);
}

static void on_emit(struct cell_sink *s, const struct cell_out *out)
{
	struct cell_host *h = CONTAINER_OF(s, struct cell_host, sink);
	if (h->o.recorder)
		recorder_effect(h->o.recorder, out);
	switch (out->kind) {
	case CELL_OUT_SIP: emit_sip(h, out); break;
	case CELL_OUT_MEDIA:
		if (h->media)
			media_command(h->media, out->u.media);
		break;
	case CELL_OUT_CDR:
		trace_leg(h->o.trace, out->u.cdr.row);
		if (!out->u.cdr.again)
			metrics_record(h->o.metrics, out->u.cdr.row);
		if (store_put_cdr(h->o.store, out->u.cdr.token, out->u.cdr.row) != 0)
			refuse_cdr(h, out->u.cdr.token);
		break;
	case CELL_OUT_BINDING: write_behind(h, out->u.binding, false); break;
	case CELL_OUT_BINDING_GONE: write_behind(h, out->u.binding, true); break;
	case CELL_OUT_SUBSCRIPTION: keep_subscription(h, out->u.subscription, false); break;
	case CELL_OUT_SUBSCRIPTION_GONE: keep_subscription(h, out->u.subscription, true); break;
	case CELL_OUT_BAN: keep_ban(h, out->u.ban, false); break;
	case CELL_OUT_BAN_GONE: keep_ban(h, out->u.ban, true); break;
	case CELL_OUT_SOURCE: source_news(h, out); break;
	case CELL_OUT_PROGRESS: metrics_progress(h->o.metrics, out->u.progress.answered, out->u.progress.after_us); break;
	case CELL_OUT_ANSWER:
		h->o.answer(h->o.ctx, out->u.answer.token, out->u.answer.status, out->u.answer.json, out->u.answer.next_cursor);
		break;
	case CELL_OUT_LOG:
		metrics_event(h->o.metrics, out->u.log.level);
		if (h->o.log)
			h->o.log->write(h->o.log, out->u.log.level, out->u.log.event, out->u.log.f, out->u.log.n);
		break;
	}
}

/* ---- what the cell hears ---- */

static void step(struct cell_host *h, const struct cell_in *in)
{
	if (h->o.recorder)
		recorder_input(h->o.recorder, in, h->loop.now_us);
	h->inputs++;
	h->sink.log_min = h->o.log ? h->o.log->min : LOG_ERROR + 1;
	cell_step(h->cell, in, h->loop.now_us, &h->sink);
}

static void admit_site(struct cell_host *h, const struct site *site)
{
	const struct site_settings *st = site_settings_of(site);
	hep_site(h->o.hep, site);
	admit_lists(h->admit, span_z(st->trusted_sources), span_z(st->blocked_sources), span_z(st->emergency_numbers));
}

void cell_host_feed(struct cell_host *h, const struct cell_in *in)
{
	h->loop.now_us = mono_us();
	if (in->kind == CELL_IN_SITE)
		admit_site(h, in->u.site);
	step(h, in);
}

static void heard(struct cell_host *h, const struct sip_flow *flow, struct span bytes)
{
	trace_message(h->o.trace, true, flow, bytes);
	metrics_message(h->o.metrics, true, bytes);
	if (hep_is_on(h->o.hep))
		hep_message(h->o.hep, true, flow, bytes, h->loop.now_us + h->wall_minus_mono_us);
}

static void on_udp(void *ctx, const struct sip_flow *flow, struct span bytes)
{
	struct cell_host *h = ctx;
	if (admit_check(h->admit, &flow->remote, bytes, h->loop.now_us) != ADMIT_PASS)
		return;
	struct cell_in in = {.kind = CELL_IN_SIP, .u.sip = {*flow, bytes}};
	heard(h, flow, bytes);
	step(h, &in);
}

static void drain_stream(struct cell_host *h, struct sip_tcp *t)
{
	struct sip_tcp_in m;
	for (int i = 0; t && i < TCP_PER_LOOP && sip_tcp_next(t, &m); i++) {
		struct cell_in in = {.kind = m.mem ? CELL_IN_SIP : CELL_IN_FLOW_CLOSED, .u.sip = {m.flow, {m.mem, m.n}}};
		if (m.mem && admit_check(h->admit, &m.flow.remote, in.u.sip.bytes, h->loop.now_us) != ADMIT_PASS) {
			sip_tcp_done(t, &m);
			continue;
		}
		if (m.mem)
			heard(h, &m.flow, in.u.sip.bytes);
		step(h, &in);
		sip_tcp_done(t, &m);
	}
}

static void drain_media(struct cell_host *h)
{
	struct cell_in in = {.kind = CELL_IN_MEDIA};
	while (h->has_media_ring && ring_pop(&h->media_ring, &in.u.media))
		step(h, &in);
}

static void take_control(struct cell_host *h, const struct cell_msg *m)
{
	struct cell_in in = {0};
	switch (m->kind) {
	case MSG_SITE:
		in.kind = CELL_IN_SITE;
		in.u.site = m->site;
		admit_site(h, m->site);
		step(h, &in);
		site_unref(m->site); /* the cell has taken a reference of its own */
		return;
	case MSG_QUERY:
		in.kind = CELL_IN_QUERY;
		in.u.query.token = m->token;
		in.u.query.kind = m->query;
		in.u.query.cursor = m->cursor;
		in.u.query.limit = m->limit;
		in.u.query.arg = span_mem(m->arg, m->arg_n);
		step(h, &in);
		return;
	case MSG_PERSISTED:
		in.kind = CELL_IN_PERSISTED;
		in.u.persisted.token = m->token;
		in.u.persisted.ok = m->ok;
		step(h, &in);
		return;
	}
}

static void drain_control(struct cell_host *h)
{
	struct cell_msg m;
	for (int i = 0; i < RING_CONTROL && ring_pop(&h->control, &m); i++)
		take_control(h, &m);
}

/* The cell may answer a refusal with the same row again: once for each turn is enough. */
static void tell_refused(struct cell_host *h)
{
	size_t n = h->n_refused;
	for (size_t i = 0; i < n; i++) {
		struct cell_in in = {.kind = CELL_IN_PERSISTED, .u.persisted = {h->refused[i], false}};
		step(h, &in);
	}
	if (n)
		memmove(h->refused, h->refused + n, (h->n_refused - n) * sizeof *h->refused);
	h->n_refused -= n;
}

/* Each turn: a row written by a clock that has jumped would come back with a wrong end (store/clock.c). */
static void look_at_wall(struct cell_host *h)
{
	int64_t diff = wall_us() - mono_us(), moved = diff - h->wall_minus_mono_us;
	if (moved < WALL_STEP_US && moved > -WALL_STEP_US)
		return;
	h->wall_minus_mono_us = diff;
	struct cell_in in = {.kind = CELL_IN_WALL, .u.wall_minus_mono_us = diff};
	step(h, &in);
}

/* ---- turns ---- */

static bool nothing_waits(const struct cell_host *h)
{
	return ring_empty(&h->control) && (!h->has_media_ring || ring_empty(&h->media_ring)) && !(h->tcp && sip_tcp_waiting(h->tcp)) &&
	       !(h->tls && sip_tcp_waiting(h->tls)) &&
	       h->n_refused == 0 && !atomic_load_explicit(&h->stop, memory_order_relaxed);
}

static void flush(struct cell_host *h)
{
	log_release(); /* before the answers: who has one finds it in the log */
	sip_udp_flush(h->udp);
	if (h->tcp)
		sip_tcp_flush(h->tcp);
	if (h->tls)
		sip_tcp_flush(h->tls);
	if (h->media)
		media_flush(h->media);
	hep_flush(h->o.hep);
}

static void measure(struct cell_host *h)
{
	int64_t took = mono_us() - h->loop.now_us;
	metrics_turn(h->o.metrics, took, h->inputs);
	pthread_mutex_lock(&h->counts_mu);
	h->counts = cell_counts(h->cell);
	h->udp_counts = sip_udp_counts(h->udp);
	h->admit_counts = admit_counts(h->admit);
	pthread_mutex_unlock(&h->counts_mu);
	if (took > TURN_LIMIT_US && h->loop.now_us - h->long_turn_told_us > 1000000) {
		h->long_turn_told_us = h->loop.now_us;
		log_event(h->o.log, LOG_WARN, "cell.long_turn", LOG_I("us", took), LOG_I("inputs", h->inputs));
	}
}

static int64_t wake_at(const struct cell_host *h)
{
	int64_t at = cell_deadline(h->cell), retry = h->loop.now_us + BACKLOG_RETRY_US;
	if (!nothing_waits(h))
		return 0;
	if (h->late && retry < at)
		at = retry;
	return at < h->loop.now_us + WAKE_MAX_US ? at : h->loop.now_us + WAKE_MAX_US; /* so that a watchdog sees a quiet switch alive */
}

static void turn(struct cell_host *h)
{
	waker_sleep(&h->waker);
	h->inputs = 0;
	if (loop_turn(&h->loop, wake_at(h)) < 0) {
		log_event(h->o.log, LOG_ERROR, "cell.wait_failed", LOG_I("errno", errno));
		thread_sleep_us(10000);
	}
	atomic_store_explicit(&h->alive_us, h->loop.now_us, memory_order_relaxed);
	waker_awake(&h->waker, h->waker_ready);
	h->waker_ready = false;
	write_late(h);
	look_at_wall(h);
	drain_media(h);
	drain_stream(h, h->tcp);
	drain_stream(h, h->tls);
	drain_control(h);
	tell_refused(h);
	if (cell_deadline(h->cell) <= h->loop.now_us) {
		struct cell_in in = {.kind = CELL_IN_TIMER};
		step(h, &in);
	}
	int64_t late_us = sip_udp_late_us(h->udp, mono_us());
	metrics_late(h->o.metrics, late_us);
	admit_late(h->admit, late_us, h->loop.now_us);
	flush(h);
	measure(h);
}

static void *cell_thread(void *arg)
{
	struct cell_host *h = arg;
	log_hold();
	while (!atomic_load(&h->stop))
		turn(h);
	flush(h);
	for (int i = 0; h->late && i < 250; i++) { /* the store is drained after us */
		write_late(h);
		thread_sleep_us(20000);
	}
	if (h->late)
		log_event(h->o.log, LOG_WARN, "store.registrations_not_kept", LOG_I("rows", h->n_late));
	log_hold_end();
	return NULL;
}

static void on_waker(struct loop_fd *f, uint32_t events)
{
	(void)events;
	CONTAINER_OF(f, struct cell_host, waker_watch)->waker_ready = true;
}

/* ---- from other threads ---- */

bool cell_host_post(struct cell_host *h, const struct cell_msg *m)
{
	for (int i = 0; i < 2000 && !atomic_load(&h->stop); i++) {
		if (ring_push(&h->control, m))
			return true;
		thread_sleep_us(1000);
	}
	return false;
}

/* The writer waits with it: what is put meanwhile is refused, and comes again. */
void cell_host_persisted(struct cell_host *h, uint64_t token, bool ok)
{
	struct cell_msg m = {.kind = MSG_PERSISTED, .token = token, .ok = ok};
	while (!cell_host_post(h, &m) && !atomic_load(&h->stop))
		;
}

void cell_host_on_media(void *host, const struct media_event *e)
{
	struct cell_host *h = host;
	/* The ring has room for several events of every slot; should it be full all the same, a CLOSED must not be lost: its slot
	 * would never be used again. */
	while (!ring_push(&h->media_ring, e)) {
		if (e->kind != MEDIA_EVENT_CLOSED || atomic_load(&h->stop))
			return;
		thread_sleep_us(1000);
	}
}

void cell_host_view(struct cell_host *h, struct metrics_view *v)
{
	pthread_mutex_lock(&h->counts_mu);
	v->cell = h->counts;
	v->udp = h->udp_counts;
	v->admit = h->admit_counts;
	pthread_mutex_unlock(&h->counts_mu);
}

int64_t cell_host_alive_us(struct cell_host *h)
{
	return atomic_load_explicit(&h->alive_us, memory_order_relaxed);
}

struct cell_counts cell_host_counts(struct cell_host *h)
{
	pthread_mutex_lock(&h->counts_mu);
	struct cell_counts c = h->counts;
	pthread_mutex_unlock(&h->counts_mu);
	return c;
}

/* ---- life ---- */

/* Busy: one wake-up serves two milliseconds' messages. A wake-up costs as much as several messages: at 1,000 calls a
 * second a call cost 175 us of CPU without gathering, about 100 with it (docs/bench.md). */
enum { GATHER_US = 2000 };

struct cell_host *cell_host_new(const struct cell_host_opts *o)
{
	struct cell_host *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->o = *o;
	h->sink.emit = on_emit;
	h->late_tail = &h->late;
	h->waker.fd = h->loop.ep = -1;
	pthread_mutex_init(&h->counts_mu, NULL);
	struct sip_udp_opts uo = {&h->loop, on_udp, h};
	struct hash_key key;
	random_bytes(&key, sizeof key);
	if (!(h->admit = admit_new(key)) || waker_init(&h->waker) != 0 || loop_init(&h->loop) != 0 || !(h->udp = sip_udp_new(&uo)) ||
	    ring_init(&h->control, sizeof(struct cell_msg), RING_CONTROL, &h->waker) != 0 ||
	    !(h->cell = cell_new(&o->cell, h->loop.now_us))) {
		cell_host_free(h);
		return NULL;
	}
	h->loop.gather_us = GATHER_US;
	if (o->recorder)
		recorder_begin(o->recorder, &o->cell, h->loop.now_us);
	h->wall_minus_mono_us = wall_us() - h->loop.now_us;
	struct cell_in in = {.kind = CELL_IN_WALL, .u.wall_minus_mono_us = h->wall_minus_mono_us};
	step(h, &in);
	return h;
}

struct sip_udp *cell_host_udp(struct cell_host *h)
{
	return h->udp;
}

struct waker *cell_host_waker(struct cell_host *h)
{
	return &h->waker;
}

void cell_host_media(struct cell_host *h, struct media *m)
{
	h->media = m;
}

void cell_host_tcp(struct cell_host *h, struct sip_tcp *tcp, struct sip_tcp *tls)
{
	h->tcp = tcp;
	h->tls = tls;
}

int cell_host_media_ring(struct cell_host *h, size_t slots)
{
	if (ring_init(&h->media_ring, sizeof(struct media_event), slots * 4 + 64, &h->waker) != 0)
		return -1;
	h->has_media_ring = true;
	return 0;
}

int cell_host_start(struct cell_host *h)
{
	h->waker_watch = (struct loop_fd){h->waker.fd, on_waker};
	if (loop_add(&h->loop, &h->waker_watch, EPOLLIN) != 0)
		return -1;
	h->started = thread_start(&h->thread, "cell", cell_thread, h) == 0;
	return h->started ? 0 : -1;
}

void cell_host_stop(struct cell_host *h)
{
	atomic_store(&h->stop, true);
	if (h->started) {
		waker_wake(&h->waker);
		pthread_join(h->thread, NULL);
	}
	h->started = false;
}

void cell_host_free(struct cell_host *h)
{
	struct cell_msg m;
	if (!h)
		return;
	cell_host_stop(h);
	while (h->control.cells && ring_pop(&h->control, &m))
		if (m.kind == MSG_SITE)
			site_unref(m.site);
	sip_udp_free(h->udp);
	admit_free(h->admit);
	if (h->cell)
		cell_free(h->cell);
	ring_free(&h->control);
	if (h->has_media_ring)
		ring_free(&h->media_ring);
	waker_close(&h->waker);
	loop_close(&h->loop);
	pthread_mutex_destroy(&h->counts_mu);
	while (h->late) {
		struct late_row *next = h->late->next;
		free(h->late);
		h->late = next;
	}
	free(h->refused);
	free(h);
}

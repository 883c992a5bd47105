/* The transport thread: listeners, the way out, timers; and the two rings. */
#include "edge/sip_tcp_internal.h"

#include "base/assert.h"
#include "io/random.h"
#include "io/tcp.h"
#include "io/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct sip_tcp *sip_tcp_new(const struct sip_tcp_opts *o)
{
	struct sip_tcp *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->o = *o;
	s->max_conns = o->max_conns ? o->max_conns : TCP_MAX_CONNS;
	s->waker.fd = s->loop.ep = -1;
	s->conns = calloc(s->max_conns, sizeof *s->conns); /* untouched pages cost nothing */
	s->tls = o->tls ? tls_ctx_ref(o->tls) : NULL;
	s->hs = s->tls ? calloc(TCP_HS_SOURCES, sizeof *s->hs) : NULL;
	random_bytes(&s->hs_key, sizeof s->hs_key);
	if (!s->conns || (s->tls && !s->hs) || waker_init(&s->waker) != 0 || loop_init(&s->loop) != 0 ||
	    ring_init(&s->in, sizeof(struct sip_tcp_in), TCP_RING_IN, o->waker) != 0 ||
	    ring_init(&s->out, sizeof(struct tcp_out), TCP_RING_OUT, &s->waker) != 0) {
		int e = errno;
		sip_tcp_free(s);
		errno = e;
		return NULL;
	}
	wheel_init(&s->wheel, s->loop.now_us);
	return s;
}

bool tcp_tell(struct sip_tcp *s, const struct sip_flow *flow, char *mem, uint32_t n)
{
	struct sip_tcp_in in = {*flow, mem, n};
	if (mem && atomic_load(&s->in_bytes) > TCP_BYTES_IN_FLIGHT)
		return false;
	atomic_fetch_add(&s->in_bytes, n); /* before the push: the cell may take it out at once */
	while (!ring_push(&s->in, &in)) {
		if (mem) {
			atomic_fetch_sub(&s->in_bytes, n);
			return false;
		}
		/* That a connection went away must not be lost. The cell always comes round to its ring. */
		if (atomic_load(&s->stop))
			return false;
		thread_sleep_us(1000);
	}
	return true;
}

bool sip_tcp_next(struct sip_tcp *s, struct sip_tcp_in *in)
{
	return ring_pop(&s->in, in);
}

bool sip_tcp_waiting(const struct sip_tcp *s)
{
	return !ring_empty(&s->in);
}

void sip_tcp_done(struct sip_tcp *s, struct sip_tcp_in *in)
{
	atomic_fetch_sub(&s->in_bytes, in->n);
	free(in->mem);
	in->mem = NULL;
}

bool sip_tcp_send(struct sip_tcp *s, const struct sip_flow *to, struct span bytes)
{
	if (bytes.n == 0 || bytes.n > TCP_MAX_MESSAGE)
		return false;
	struct tcp_out o = {*to, NULL};
	if (atomic_load(&s->out_bytes) <= TCP_BYTES_IN_FLIGHT)
		o.chunk = tcp_chunk_new(bytes);
	atomic_fetch_add(&s->out_bytes, bytes.n);
	if (o.chunk && ring_push_quiet(&s->out, &o))
		return true;
	atomic_fetch_sub(&s->out_bytes, bytes.n);
	free(o.chunk);
	tcp_count(&s->out_full);
	return false;
}

void sip_tcp_flush(struct sip_tcp *s)
{
	if (!ring_empty(&s->out))
		waker_wake(&s->waker);
}

/* ---- connections ---- */

static void on_conn(struct loop_fd *f, uint32_t events)
{
	struct tcp_conn *c = CONTAINER_OF(f, struct tcp_conn, watch);
	struct sip_tcp *s = c->owner;
	uint32_t number = c->flow.conn;
	if (c->state == TCP_CONNECTING) {
		if (tcp_error(f->fd) != 0 || (events & (EPOLLERR | EPOLLHUP))) {
			tcp_table_close(s, c, true);
			return;
		}
		c->state = TCP_OPEN;
		c->flow.local = tcp_local(f->fd);
		c->heard_us = s->loop.now_us;
		tcp_count(&s->connected);
		tcp_set_timer(c);
		tcp_watch(c);
	}
	if (c->handshaking && !tcp_tls_go_on(c))
		return;
	if (c->tls_wants_write && (events & EPOLLOUT)) {
		c->tls_wants_write = false;
		events |= EPOLLIN;
		tcp_watch(c);
	}
	if (events & EPOLLOUT)
		tcp_writable(c);
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && tcp_table_get(s, number) == c) {
		if (c->paused || c->closing) { /* not asked for input: only a broken connection says something */
			if (events & (EPOLLHUP | EPOLLERR))
				tcp_table_close(s, c, true);
		} else {
			tcp_read(c);
		}
	}
}

static struct tcp_conn *adopt(struct sip_tcp *s, int fd, const struct sip_flow *flow, enum tcp_state st)
{
	struct tcp_conn *c = tcp_table_new(s, fd, flow, st);
	if (!c) {
		close(fd);
		log_event(s->o.log, LOG_WARN, "tcp.connections_full", LOG_I("limit", s->max_conns));
		return NULL;
	}
	c->watch.ready = on_conn;
	if (loop_add(&s->loop, &c->watch, st == TCP_OPEN ? EPOLLIN : EPOLLOUT) != 0 || (s->tls && !tcp_tls_begin(c))) {
		tcp_table_close(s, c, false);
		return NULL;
	}
	tcp_set_timer(c);
	return c;
}

static void on_listener(struct loop_fd *f, uint32_t events)
{
	(void)events;
	struct tcp_listener *l = CONTAINER_OF(f, struct tcp_listener, watch);
	struct sip_tcp *s = l->owner;
	for (int i = 0; i < TCP_PER_TURN; i++) {
		struct sip_flow flow = {.transport = s->tls ? SIP_TLS : SIP_TCP, .listener = l->number};
		int fd = tcp_accept(f->fd, &flow.remote, &flow.local);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
				l->resting = true;
				loop_modify(&s->loop, f, 0);
				wheel_set(&s->wheel, &s->retry, s->loop.now_us + 1000000);
				log_event(s->o.log, LOG_WARN, "tcp.out_of_descriptors", LOG_I("errno", errno));
			}
			return;
		}
		tcp_count(&s->accepted);
		if (s->tls && tcp_tls_too_many(s, &flow.remote)) {
			tcp_count(&s->hs_refused);
			close(fd);
			continue;
		}
		adopt(s, fd, &flow, TCP_OPEN);
	}
}

/* ---- the way out ---- */

static void send_one(struct sip_tcp *s, struct tcp_out *o)
{
	struct sip_flow gone = o->flow;
	struct tcp_conn *c = o->flow.conn ? tcp_table_get(s, o->flow.conn) : tcp_table_find(s, &o->flow);
	if (!c && !o->flow.conn && !s->tls) { /* a phone that speaks TLS calls us: it has no certificate to be called by */
		int fd = tcp_connect(&o->flow.remote, &o->flow.local);
		if (fd >= 0)
			c = adopt(s, fd, &o->flow, TCP_CONNECTING);
	}
	if (c && !c->closing) {
		tcp_count(&s->tx);
		tcp_write(c, o->chunk);
		return;
	}
	free(o->chunk);
	tcp_tell(s, &gone, NULL, 0);
}

static void drain_out(struct sip_tcp *s)
{
	struct tcp_out o;
	while (ring_pop(&s->out, &o)) {
		atomic_fetch_sub(&s->out_bytes, o.chunk->n);
		send_one(s, &o);
	}
}

/* ---- time ---- */

static void retry(struct sip_tcp *s)
{
	for (unsigned i = 0; i < SIP_MAX_LISTENERS; i++) {
		struct tcp_listener *l = &s->listeners[i];
		if (l->open && l->resting) {
			l->resting = false;
			loop_modify(&s->loop, &l->watch, EPOLLIN);
		}
	}
	for (uint32_t i = 0; i < s->fresh && s->n_paused; i++)
		if (s->conns[i].state == TCP_OPEN && s->conns[i].paused)
			tcp_resume(&s->conns[i]);
}

static void run_timers(struct sip_tcp *s)
{
	struct timer *t;
	while ((t = wheel_pop(&s->wheel, s->loop.now_us)) != NULL) {
		if (t == &s->retry) {
			retry(s);
			continue;
		}
		struct tcp_conn *c = CONTAINER_OF(t, struct tcp_conn, timer);
		tcp_count(&s->timed_out);
		log_event(s->o.log, LOG_INFO, "tcp.timed_out", LOG_I("conn", c->flow.conn), LOG_I("half_message", c->in_n),
			  LOG_I("proven", c->proven));
		tcp_table_close(s, c, true);
	}
}

static void on_waker(struct loop_fd *f, uint32_t events)
{
	(void)events;
	CONTAINER_OF(f, struct sip_tcp, waker_watch)->waker_ready = true;
}

static void *transport_thread(void *arg)
{
	struct sip_tcp *s = arg;
	while (!atomic_load(&s->stop)) {
		waker_sleep(&s->waker);
		bool idle = ring_empty(&s->out) && !atomic_load(&s->stop);
		if (loop_turn(&s->loop, idle ? wheel_deadline(&s->wheel) : 0) < 0) {
			log_event(s->o.log, LOG_ERROR, "tcp.wait_failed", LOG_I("errno", errno));
			thread_sleep_us(10000);
		}
		waker_awake(&s->waker, s->waker_ready);
		s->waker_ready = false;
		drain_out(s);
		run_timers(s);
	}
	drain_out(s);
	return NULL;
}

/* ---- life ---- */

int sip_tcp_listen(struct sip_tcp *s, uint16_t listener, const struct addr *at)
{
	INVARIANT(listener < SIP_MAX_LISTENERS && !s->listeners[listener].open && !s->running);
	int fd = tcp_listen(at, TCP_BACKLOG);
	if (fd < 0)
		return -1;
	struct tcp_listener *l = &s->listeners[listener];
	*l = (struct tcp_listener){.watch = {fd, on_listener}, .owner = s, .number = listener, .at = tcp_local(fd), .open = true};
	if (loop_add(&s->loop, &l->watch, EPOLLIN) == 0)
		return 0;
	int e = errno;
	l->open = false;
	close(fd);
	errno = e;
	return -1;
}

int sip_tcp_listen_tls(struct sip_tcp *s, uint16_t listener, const struct addr *at, struct tls_ctx *ctx)
{
	if (sip_tcp_listen(s, listener, at) != 0)
		return -1;
	s->listeners[listener].tls = ctx ? tls_ctx_ref(ctx) : NULL;
	return 0;
}

int sip_tcp_start(struct sip_tcp *s)
{
	s->waker_watch = (struct loop_fd){s->waker.fd, on_waker};
	if (loop_add(&s->loop, &s->waker_watch, EPOLLIN) != 0)
		return -1;
	int e = thread_start(&s->thread, s->tls ? "sip-tls" : "sip-tcp", transport_thread, s);
	if (e) {
		errno = e;
		return -1;
	}
	s->running = true;
	return 0;
}

static void close_all(struct sip_tcp *s)
{
	for (uint32_t i = 0; i < s->fresh; i++)
		if (s->conns[i].state != TCP_FREE)
			tcp_table_close(s, &s->conns[i], false);
	for (unsigned i = 0; i < SIP_MAX_LISTENERS; i++) {
		if (s->listeners[i].open)
			close(s->listeners[i].watch.fd);
		tls_ctx_unref(s->listeners[i].tls);
	}
	struct sip_tcp_in in;
	while (s->in.cells && ring_pop(&s->in, &in))
		free(in.mem);
	struct tcp_out out;
	while (s->out.cells && ring_pop(&s->out, &out))
		free(out.chunk);
}

void sip_tcp_free(struct sip_tcp *s)
{
	if (!s)
		return;
	atomic_store(&s->stop, true);
	if (s->running) {
		waker_wake(&s->waker);
		pthread_join(s->thread, NULL);
	}
	close_all(s);
	ring_free(&s->in);
	ring_free(&s->out);
	waker_close(&s->waker);
	loop_close(&s->loop);
	tls_ctx_unref(s->tls);
	tls_ctx_unref(atomic_exchange(&s->tls_next, NULL));
	free(s->hs);
	free(s->conns);
	free(s);
}

void sip_tcp_set_tls(struct sip_tcp *s, struct tls_ctx *c)
{
	tls_ctx_unref(atomic_exchange(&s->tls_next, tls_ctx_ref(c)));
}

struct sip_tcp_counts sip_tcp_counts(const struct sip_tcp *s)
{
	return (struct sip_tcp_counts){
		.accepted = atomic_load(&s->accepted), .connected = atomic_load(&s->connected), .closed = atomic_load(&s->closed),
		.rx = atomic_load(&s->rx), .tx = atomic_load(&s->tx), .pings = atomic_load(&s->pings), .broken = atomic_load(&s->broken),
		.slow_closed = atomic_load(&s->slow), .timed_out = atomic_load(&s->timed_out), .ring_out_full = atomic_load(&s->out_full),
		.open = (uint32_t)atomic_load(&s->open), .handshakes = atomic_load(&s->hs_done), .resumed = atomic_load(&s->hs_resumed),
		.handshake_failed = atomic_load(&s->hs_failed), .handshake_refused = atomic_load(&s->hs_refused)};
}

/* TLS under the connections: the handshake, and what reading and writing mean with it. */
#include "edge/sip_tcp_internal.h"

#include <errno.h>
#include <sys/socket.h>

enum tcp_io tcp_recv(struct tcp_conn *c, char *dst, size_t n, size_t *got)
{
	if (!c->tls) {
		ssize_t k = recv(c->watch.fd, dst, n, MSG_DONTWAIT);
		*got = k > 0 ? (size_t)k : 0;
		if (k > 0)
			return TCP_IO_DONE;
		return k < 0 && (errno == EAGAIN || errno == EINTR) ? TCP_IO_AGAIN : TCP_IO_GONE;
	}
	switch (tls_read(c->tls, dst, n, got)) {
	case TLS_DONE: return TCP_IO_DONE;
	case TLS_WANTS_READ: return TCP_IO_AGAIN;
	case TLS_WANTS_WRITE:
		c->tls_wants_write = true;
		tcp_watch(c);
		return TCP_IO_AGAIN;
	case TLS_CLOSED:
	case TLS_BROKEN: return TCP_IO_GONE;
	}
	return TCP_IO_GONE;
}

enum tcp_io tcp_send(struct tcp_conn *c, const char *src, size_t n, size_t *put)
{
	if (!c->tls) {
		ssize_t k = send(c->watch.fd, src, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		*put = k > 0 ? (size_t)k : 0;
		if (k >= 0)
			return TCP_IO_DONE;
		return errno == EAGAIN || errno == EINTR ? TCP_IO_AGAIN : TCP_IO_GONE;
	}
	switch (tls_write(c->tls, src, n, put)) {
	case TLS_DONE: return TCP_IO_DONE;
	case TLS_WANTS_READ: /* the next reading goes on with it */
	case TLS_WANTS_WRITE: return TCP_IO_AGAIN;
	case TLS_CLOSED:
	case TLS_BROKEN: return TCP_IO_GONE;
	}
	return TCP_IO_GONE;
}

/* Its place among few; the one that was heard of longest ago gives way. Nobody can choose whose place is his. */
static struct tcp_hs_source *source_of(struct sip_tcp *s, const struct addr *from, int64_t now_us)
{
	uint64_t h = siphash(&s->hs_key, from->ip, sizeof from->ip);
	struct tcp_hs_source *old = NULL;
	for (uint64_t i = 0; i < TCP_HS_WAYS; i++) {
		struct tcp_hs_source *p = &s->hs[(h + i) % TCP_HS_SOURCES];
		if (p->addr.family && addr_same_ip(&p->addr, from))
			return p;
		if (!old || (old->addr.family && (!p->addr.family || p->rate.at_us < old->rate.at_us)))
			old = p;
	}
	old->addr = *from;
	bucket_fill(&old->rate, now_us, TLS_HANDSHAKES_BURST);
	return old;
}

bool tcp_tls_too_many(struct sip_tcp *s, const struct addr *from)
{
	int64_t now = s->loop.now_us;
	return !bucket_take(&source_of(s, from, now)->rate, now, TLS_HANDSHAKES_PER_S, TLS_HANDSHAKES_BURST);
}

bool tcp_tls_begin(struct tcp_conn *c)
{
	struct sip_tcp *s = c->owner;
	struct tls_ctx *next = atomic_exchange(&s->tls_next, NULL);
	if (next) {
		tls_ctx_unref(s->tls);
		s->tls = next;
	}
	struct tls_ctx *own = s->listeners[c->flow.listener].tls;
	c->tls = tls_accept(own ? own : s->tls, c->watch.fd);
	c->handshaking = c->tls != NULL;
	return c->tls != NULL;
}

static void told(struct tcp_conn *c)
{
	struct sip_tcp *s = c->owner;
	struct tls_peer p;
	tls_peer(c->tls, &p);
	tcp_count(&s->hs_done);
	if (p.resumed)
		tcp_count(&s->hs_resumed);
	log_event(s->o.log, LOG_DEBUG, "tls.connected", LOG_I("conn", c->flow.conn), LOG_Z("version", p.version), LOG_I("resumed", p.resumed),
		  LOG_Z("client", p.cn), LOG_I("verified", p.verified), LOG_I("self_signed", p.self_signed));
}

bool tcp_tls_go_on(struct tcp_conn *c)
{
	struct sip_tcp *s = c->owner;
	c->tls_wants_write = false;
	switch (tls_handshake(c->tls)) {
	case TLS_DONE:
		c->handshaking = false;
		told(c);
		tcp_watch(c);
		return true;
	case TLS_WANTS_READ: break;
	case TLS_WANTS_WRITE: c->tls_wants_write = true; break;
	case TLS_CLOSED:
	case TLS_BROKEN:
		tcp_count(&s->hs_failed);
		log_event(s->o.log, LOG_INFO, "tls.handshake_failed", LOG_I("conn", c->flow.conn));
		tcp_table_close(s, c, false);
		return false;
	}
	tcp_watch(c);
	return false;
}

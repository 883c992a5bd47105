/* edge/sip_tcp: SIP over TCP, or over TLS, on a thread of its own (one instance each: a handshake holds up nobody's TCP). Layer 5, shell. Connections are cut into whole messages there
 * (RFC 3261 18.3); messages cross to and from the cell's thread over bounded rings, as values that own their bytes.
 * A slow cell makes the sockets wait; a slow phone is closed. */
#ifndef EDGE_SIP_TCP_H
#define EDGE_SIP_TCP_H

#include "base/log.h"
#include "io/ring.h"
#include "io/tls.h"
#include "sip/msg/flow.h"

struct sip_tcp;

/* What comes to the cell's thread. */
struct sip_tcp_in {
	struct sip_flow flow;
	char *mem;     /* malloc'd: give it back with sip_tcp_done; NULL: the connection went away */
	uint32_t n;
};

/* Descriptors that several instances share. */
struct tcp_budget {
	atomic_uint open;
	uint32_t max;
};

struct sip_tcp_opts {
	struct waker *waker;   /* of the cell's thread */
	struct log_sink *log;  /* safe to call from the transport thread; may be NULL */
	int64_t first_message_us, rest_of_message_us, idle_us; /* 0: edge/limits.h */
	uint32_t max_conns;    /* 0: edge/limits.h */
	struct tcp_budget *budget; /* NULL: max_conns alone counts */
	struct tls_ctx *tls;   /* NULL: plain TCP. A reference is taken */
};

struct sip_tcp *sip_tcp_new(const struct sip_tcp_opts *o); /* NULL: errno */
/* Before sip_tcp_start. -1: errno of bind. */
int sip_tcp_listen(struct sip_tcp *s, uint16_t listener, const struct addr *at) __attribute__((warn_unused_result));
/* The same for an instance made with o.tls: this listener's connections get ctx (a reference is taken); NULL: the instance's. */
int sip_tcp_listen_tls(struct sip_tcp *s, uint16_t listener, const struct addr *at, struct tls_ctx *ctx) __attribute__((warn_unused_result));
int sip_tcp_start(struct sip_tcp *s) __attribute__((warn_unused_result));
/* TLS: the next connections get this context (a reference is taken), those that are there keep theirs. Any thread. */
void sip_tcp_set_tls(struct sip_tcp *s, struct tls_ctx *c);
/* Stops and joins the thread, closes everything (what was queued to go out is tried once). NULL allowed. */
void sip_tcp_free(struct sip_tcp *s);

/* Cell's thread. */
bool sip_tcp_next(struct sip_tcp *s, struct sip_tcp_in *in) __attribute__((warn_unused_result));
void sip_tcp_done(struct sip_tcp *s, struct sip_tcp_in *in);
bool sip_tcp_waiting(const struct sip_tcp *s); /* something for sip_tcp_next is there */
/* Queued; false when the ring is full. A connection that is gone is answered by an `in` without bytes. */
bool sip_tcp_send(struct sip_tcp *s, const struct sip_flow *to, struct span bytes);
void sip_tcp_flush(struct sip_tcp *s); /* wakes the transport thread once for all that was queued */

struct sip_tcp_counts {
	uint64_t accepted, connected, closed, rx, tx, pings, broken, slow_closed, timed_out, ring_out_full, handshakes, resumed, handshake_failed, handshake_refused;
	uint32_t open;
};
struct sip_tcp_counts sip_tcp_counts(const struct sip_tcp *s); /* any thread; approximate */

#endif

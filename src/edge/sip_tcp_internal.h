/* Inside edge/sip_tcp: the connection table and its parts. The transport thread owns everything here but the rings. */
#ifndef EDGE_SIP_TCP_INTERNAL_H
#define EDGE_SIP_TCP_INTERNAL_H

#include "base/hash.h"
#include "base/wheel.h"
#include "edge/limits.h"
#include "edge/sip_tcp.h"
#include "guard/bucket.h"
#include "io/loop.h"
#include "sip/msg/frame.h"

#include <pthread.h>

struct tcp_chunk { /* bytes that wait to be written */
	struct tcp_chunk *next;
	uint32_t n, at;
	char bytes[];
};

enum tcp_state { TCP_FREE, TCP_CONNECTING, TCP_OPEN };

struct tcp_conn {
	struct loop_fd watch;
	struct sip_tcp *owner;
	struct timer timer;
	enum tcp_state state;
	struct sip_flow flow; /* conn: its number */
	uint32_t generation, index, next_free;
	struct sip_framer framer;
	char *in;             /* NULL while nothing is half received */
	uint32_t in_n, in_cap, in_at; /* in_at: used up so far, while cutting */
	int64_t message_began_us; /* 0: between messages */
	int64_t heard_us;
	struct tcp_chunk *out, **out_tail;
	uint32_t out_bytes;
	struct tls *tls;      /* NULL: plain */
	bool handshaking;
	bool tls_wants_write; /* a record of TLS's own waits for the socket */
	bool proven;          /* has sent a whole message */
	bool paused;          /* the ring to the cell is full */
	bool closing;         /* closes when all is written */
	struct tcp_conn *older, *newer; /* among the unproven */
	struct tcp_conn *same_next;     /* of the same hash of the remote address */
};

struct tcp_listener {
	struct loop_fd watch;
	struct sip_tcp *owner;
	uint16_t number;
	struct addr at;
	struct tls_ctx *tls; /* of its own; NULL: the instance's */
	bool open, resting; /* resting: out of descriptors, not watched for a moment */
};

enum { TCP_HASH = 16384 };

struct tcp_out {
	struct sip_flow flow;
	struct tcp_chunk *chunk;
};

/* Handshakes cost much and come before anything is known of the peer: so many a second for each source. */
struct tcp_hs_source {
	struct addr addr; /* family 0: free */
	struct bucket rate;
};
enum { TCP_HS_SOURCES = 4096, TCP_HS_WAYS = 4 };

struct sip_tcp {
	struct sip_tcp_opts o;
	struct loop loop;
	struct wheel wheel;
	struct tcp_listener listeners[SIP_MAX_LISTENERS];
	struct tcp_conn *conns; /* max_conns of them; never moved */
	uint32_t max_conns, fresh, free_head, n_open, n_unproven, n_paused;
	struct tcp_conn *oldest, *newest;
	struct tcp_conn *by_remote[TCP_HASH];
	struct tls_ctx *tls;                 /* the transport thread's */
	_Atomic(struct tls_ctx *) tls_next;  /* from sip_tcp_set_tls */
	struct tcp_hs_source *hs;            /* TLS only */
	struct hash_key hs_key;
	struct ring in, out;
	struct waker waker;
	struct loop_fd waker_watch;
	bool waker_ready;
	atomic_bool stop;
	atomic_uint_fast64_t in_bytes, out_bytes;
	pthread_t thread;
	bool running;
	struct timer retry; /* paused connections, resting listeners */
	atomic_uint_fast64_t accepted, connected, closed, rx, tx, pings, broken, slow, timed_out, out_full, open, hs_done, hs_resumed, hs_failed, hs_refused;
};

/* sip_tcp_table.c */
struct tcp_conn *tcp_table_new(struct sip_tcp *s, int fd, const struct sip_flow *flow, enum tcp_state st);
/* Number -> connection; NULL when it is gone. */
struct tcp_conn *tcp_table_get(struct sip_tcp *s, uint32_t number);
struct tcp_conn *tcp_table_find(struct sip_tcp *s, const struct sip_flow *to);
void tcp_table_prove(struct sip_tcp *s, struct tcp_conn *c);
/* Closes the descriptor, tells the cell when tell is set, frees all. */
void tcp_table_close(struct sip_tcp *s, struct tcp_conn *c, bool tell);

/* sip_tcp_read.c */
void tcp_read(struct tcp_conn *c);
/* Hands on what is buffered: after the ring had been full. */
void tcp_resume(struct tcp_conn *c);
void tcp_set_timer(struct tcp_conn *c);

/* sip_tcp_write.c */
/* Takes the chunk. Writes at once what the socket takes. */
void tcp_write(struct tcp_conn *c, struct tcp_chunk *chunk);
void tcp_write_bytes(struct tcp_conn *c, struct span bytes);
void tcp_writable(struct tcp_conn *c);
void tcp_watch(struct tcp_conn *c);
struct tcp_chunk *tcp_chunk_new(struct span bytes);

/* sip_tcp_tls.c: bytes through the socket or TLS. */
enum tcp_io { TCP_IO_DONE, TCP_IO_AGAIN, TCP_IO_GONE };
enum tcp_io tcp_recv(struct tcp_conn *c, char *dst, size_t n, size_t *got);
enum tcp_io tcp_send(struct tcp_conn *c, const char *src, size_t n, size_t *put);
/* A new connection of a TLS listener. False: refused or no memory. */
bool tcp_tls_begin(struct tcp_conn *c);
/* True: may be used. False: not yet, or closed. */
bool tcp_tls_go_on(struct tcp_conn *c);
/* Handshakes of this source are too many just now. */
bool tcp_tls_too_many(struct sip_tcp *s, const struct addr *from);

/* To the cell; false: the ring is full. Takes mem when true. */
bool tcp_tell(struct sip_tcp *s, const struct sip_flow *flow, char *mem, uint32_t n);

static inline void tcp_count(atomic_uint_fast64_t *c)
{
	atomic_fetch_add_explicit(c, 1, memory_order_relaxed);
}

#endif

/* edge/http: libmicrohttpd, reduced to (request) -> response. Layer 5, shell. A small pool of threads waits and calls the
 * handler, which may block. Bodies are refused before they are read when they are too long, and are bounded anyhow. */
#ifndef EDGE_HTTP_H
#define EDGE_HTTP_H

#include "base/log.h"
#include "edge/http_stream.h"
#include "service/http.h"

struct http_handler { /* called from several threads at once */
	void *ctx;
	/* Largest body for this request (its body is still empty); 0: none. */
	size_t (*body_limit)(void *ctx, const struct http_request *rq);
	void (*handle)(void *ctx, const struct http_request *rq, struct http_response *rs);
};

struct http_opts {
	int listen_fd;      /* bound and listening (io/tcp); owned by the server once it has started */
	bool control;       /* a Unix socket: who reaches it is the administrator */
	/* HTTPS when cert is set: PEM texts, copied. makers: who signs phones' certificates; one is asked for, none demanded. */
	const char *cert, *key, *makers;
	unsigned threads;
	struct http_handler handler;
	struct log_sink *log; /* may be NULL; called from several threads */
	struct http_streams *streams; /* NULL: no answers that go on */
	unsigned idle_s, max_conns, max_conns_per_ip; /* 0: edge/limits.h */
};

struct http_server;
struct http_server *http_start(const struct http_opts *o); /* NULL: could not start; listen_fd is still the caller's */
/* No new connections from now on; who connects waits in the backlog of the descriptor, which is the caller's again: another server
 * may serve it. -1: it could not be had back. Follow it with http_stop. */
int http_quiesce(struct http_server *s);
/* No new connections; requests that run are finished. NULL allowed. */
void http_stop(struct http_server *s);

#endif

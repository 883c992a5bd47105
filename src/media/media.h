/* media: threads that walk the media graph on real sockets. Layer 5, shell.
 * One worker = one thread, one mgraph, pairs_per_worker RTP/RTCP port pairs opened at the start. Signalling (one thread)
 * gives commands; events come back on the worker's thread. Nothing is allocated after media_start. */
#ifndef MEDIA_MEDIA_H
#define MEDIA_MEDIA_H

#include "base/assert.h"
#include "mgraph/command.h"

struct media;

enum { MEDIA_MAX_WORKERS = 64, MEDIA_MAX_PAIRS = 8192 /* per worker */ };

struct media_opts {
	struct addr addr;          /* where RTP sockets bind (IPv4 or IPv6; wildcard allowed), and what phones are told; port unused */
	uint16_t port_first;       /* even; pair i of worker w has RTP port_first + 2 * (w * pairs_per_worker + i), RTCP one above */
	unsigned pairs_per_worker; /* 1..MEDIA_MAX_PAIRS */
	unsigned workers;          /* 0: one per core this process may run on */
	uint64_t seed;             /* SSRCs and first sequence numbers: from a random source */
	int64_t (*now_us)(void);   /* monotonic; NULL: CLOCK_MONOTONIC */
	/* Called on the worker's thread, so it must only queue and wake (a ring and an eventfd). MEDIA_EVENT_CLOSED of a slot
	 * comes after its last packet. Borrowed for the call. */
	void (*on_event)(void *ctx, const struct media_event *e);
	void *ctx;
};

/* Opens all ports and starts the workers; NULL and a text naming the port (err, cap bytes, NUL-ended) on failure. */
struct media *media_start(const struct media_opts *o, char *err, size_t cap) NODISCARD;
/* Stops and joins the workers, closes the ports. Commands not yet taken are dropped. NULL allowed. */
void media_stop(struct media *m);

unsigned media_workers(const struct media *m);
/* What CELL_IN_SLOTS tells for one worker: slots first .. first + n - 1 have RTP ports addr.port, addr.port + 2, ... */
void media_slots(const struct media *m, unsigned worker, media_slot *first, uint32_t *n, struct addr *addr);

/* Hands a command to the worker of c->slot (copied; from one thread only). Never refused: the ring holds 16 commands per slot;
 * if a worker is so late that it is full the call waits for it (counted in media_counts.waits). seq is the caller's and
 * grows by one per worker. The worker is woken by media_flush, so a turn of the cell costs one wake-up for each worker. */
void media_command(struct media *m, const struct media_cmd *c);
void media_flush(struct media *m);

/* Counters since the start, all workers; any thread. */
struct media_counts {
	uint64_t rx_packets, tx_packets, rx_syscalls, tx_syscalls, wakeups;
	uint64_t tx_failed; /* the kernel refused (no route, buffers full): counted as lost */
	uint64_t waits;     /* times media_command found a full ring */
};
void media_counts(const struct media *m, struct media_counts *out);

#endif

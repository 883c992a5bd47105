/* media/worker: one thread, its sockets and its graph. Private to src/media. Layer 5, shell. */
#ifndef MEDIA_WORKER_H
#define MEDIA_WORKER_H

#include "media/media.h"
#include "mgraph/mgraph.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { BATCH = 4, MAX_DATAGRAM = 2048, EVENTS = 256 };

/* Commands: one writer (signalling), one reader (the worker). Indices grow without end; size is a power of two. */
struct cmd_ring {
	struct media_cmd *at;
	uint32_t size;
	_Alignas(64) _Atomic uint32_t head; /* next to write */
	_Alignas(64) _Atomic uint32_t tail; /* next to read */
};

struct worker {
	struct media *media;
	unsigned number;
	uint16_t port_first;
	uint32_t n_pairs;
	int *fd; /* 2 * pair: RTP, + 1: RTCP; -1 not open */
	int epoll_fd, wake_fd;
	struct mgraph *graph;
	struct cmd_ring ring;
	bool unflushed; /* the commanding thread's: there are commands that the worker was not woken for */
	pthread_t thread;
	bool running;
	_Atomic bool stop;
	int64_t now_us;
	struct {
		_Atomic uint64_t rx_packets, tx_packets, rx_syscalls, tx_syscalls, wakeups, tx_failed;
	} count;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_storage from[BATCH];
	uint8_t buf[BATCH][MAX_DATAGRAM];
};

struct media {
	struct media_opts opts;
	unsigned n_workers;
	_Atomic uint64_t waits;
	struct worker *workers[MEDIA_MAX_WORKERS];
};

/* ports.c: opens and registers all port pairs of w; 0 or -1 with a text. */
int ports_open(struct worker *w, const struct addr *addr, char *err, size_t cap) NODISCARD;
void ports_close(struct worker *w);
socklen_t sockaddr_of(const struct addr *a, int socket_family, struct sockaddr_storage *out);
void addr_of(const struct sockaddr_storage *ss, struct addr *out);
/* Enough descriptors for n sockets: raises the soft limit. */
int ports_limit(size_t n, char *err, size_t cap) NODISCARD;

/* worker.c */
void *worker_main(void *arg);
int worker_wake(struct worker *w);
int worker_init(struct worker *w, char *err, size_t cap) NODISCARD;

#define WAKE UINT32_MAX /* epoll tag of wake_fd */

#endif

#include "media/worker.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Counters have one writer: a plain add, readable from elsewhere. */
#define ADD(counter, n) \
	atomic_store_explicit(&(counter), atomic_load_explicit(&(counter), memory_order_relaxed) + (uint64_t)(n), memory_order_relaxed)

enum {
	COALESCE_US = 1000, /* how long a busy worker lets packets gather */
	BUSY_PACKETS = 2,   /* a wake-up that found this many: the worker is busy */
};

static int64_t clock_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t now_of(const struct worker *w)
{
	return w->media->opts.now_us ? w->media->opts.now_us() : clock_us();
}

static void send_datagram(void *ctx, media_slot slot, bool rtcp, const struct addr *to, struct span bytes)
{
	struct worker *w = ctx;
	struct sockaddr_storage ss;
	int family = w->media->opts.addr.family == 4 ? AF_INET : AF_INET6;
	socklen_t n = sockaddr_of(to, family, &ss);
	ssize_t sent = n ? sendto(w->fd[2 * (slot & 0xffff) + rtcp], bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&ss, n) : -1;
	ADD(w->count.tx_syscalls, 1);
	if (sent < 0)
		ADD(w->count.tx_failed, 1);
	else
		ADD(w->count.tx_packets, 1);
}

static void pass_event(void *ctx, const struct media_event *e)
{
	struct worker *w = ctx;
	if (w->media->opts.on_event)
		w->media->opts.on_event(w->media->opts.ctx, e);
}

int worker_init(struct worker *w, char *err, size_t cap)
{
	struct mgraph_out out = {.ctx = w, .send = send_datagram, .event = pass_event};
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = WAKE};
	for (int i = 0; i < BATCH; i++) {
		w->iov[i] = (struct iovec){w->buf[i], MAX_DATAGRAM};
		w->msg[i].msg_hdr = (struct msghdr){.msg_name = &w->from[i], .msg_iov = &w->iov[i], .msg_iovlen = 1};
	}
	w->graph = mgraph_new((uint16_t)w->number, w->n_pairs, w->media->opts.seed, &out);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!w->graph || w->epoll_fd < 0 || w->wake_fd < 0 || epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &ev) < 0) {
		(void)snprintf(err, cap, "media worker %u: %s", w->number, w->graph ? strerror(errno) : "out of memory");
		return -1;
	}
	return 0;
}

int worker_wake(struct worker *w)
{
	uint64_t one = 1;
	return write(w->wake_fd, &one, sizeof one) == sizeof one ? 0 : -1;
}

static void take_commands(struct worker *w)
{
	struct cmd_ring *r = &w->ring;
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	while (tail != atomic_load_explicit(&r->head, memory_order_acquire)) {
		mgraph_command(w->graph, &r->at[tail & (r->size - 1)], w->now_us);
		atomic_store_explicit(&r->tail, ++tail, memory_order_release);
	}
}

/* Reads a socket until it is empty (the epoll is edge triggered), but never more than a burst's worth at once for one
 * sender; what is left then is asked for again. Returns packets read. */
static unsigned drain(struct worker *w, uint32_t index)
{
	unsigned total = 0;
	for (int round = 0; round < 16; round++) {
		for (int i = 0; i < BATCH; i++)
			w->msg[i].msg_hdr.msg_namelen = sizeof w->from[i];
		int n = recvmmsg(w->fd[index], w->msg, BATCH, MSG_DONTWAIT, NULL);
		ADD(w->count.rx_syscalls, 1);
		for (int i = 0; i < n; i++) {
			struct addr from;
			if (w->msg[i].msg_hdr.msg_flags & MSG_TRUNC)
				continue;
			addr_of(&w->from[i], &from);
			mgraph_packet(w->graph, (media_slot)w->number << 16 | index / 2, index & 1, &from, span_mem(w->buf[i], w->msg[i].msg_len), w->now_us);
		}
		total += n > 0 ? (unsigned)n : 0;
		if (n < BATCH)
			return total;
	}
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u32 = index};
	(void)epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, w->fd[index], &ev);
	return total;
}

static int timeout_ms(struct worker *w)
{
	int64_t at = mgraph_deadline(w->graph);
	if (at == INT64_MAX)
		return -1;
	int64_t left = at - now_of(w);
	return left <= 0 ? 0 : left > 60000000 ? 60000 : (int)((left + 999) / 1000);
}

static unsigned handle(struct worker *w, const struct epoll_event *ev, int n)
{
	unsigned packets = 0;
	for (int i = 0; i < n; i++) {
		uint64_t ignored;
		if (ev[i].data.u32 != WAKE)
			packets += drain(w, ev[i].data.u32);
		else if (read(w->wake_fd, &ignored, sizeof ignored) > 0)
			take_commands(w);
	}
	ADD(w->count.rx_packets, packets);
	return packets;
}

void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct epoll_event ev[EVENTS];
	unsigned packets = 0;
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		/* A wake-up costs as much as a packet. While packets come densely we let a millisecond's worth gather: far below
		 * what any jitter buffer notices (they are sent every 20 ms). A quiet worker forwards at once. */
		if (packets >= BUSY_PACKETS)
			(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = COALESCE_US * 1000}, NULL);
		int n = epoll_wait(w->epoll_fd, ev, EVENTS, timeout_ms(w));
		ADD(w->count.wakeups, 1);
		w->now_us = now_of(w);
		packets = n > 0 ? handle(w, ev, n) : 0;
		mgraph_tick(w->graph, w->now_us);
	}
	return NULL;
}

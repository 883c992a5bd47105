#include "media/worker.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { COMMANDS_PER_SLOT = 16 };

static unsigned cores(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
	return n < 1 ? 1 : n > MEDIA_MAX_WORKERS ? MEDIA_MAX_WORKERS : (unsigned)n;
}

static void worker_free(struct worker *w)
{
	if (!w)
		return;
	ports_close(w);
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	mgraph_free(w->graph);
	free(w->ring.at);
	free(w->fd);
	free(w);
}

static uint32_t ring_size(uint32_t pairs)
{
	uint32_t n = 64;
	while (n < pairs * COMMANDS_PER_SLOT)
		n *= 2;
	return n;
}

static struct worker *worker_new(struct media *m, unsigned number, char *err, size_t cap)
{
	struct worker *w = aligned_alloc(64, (sizeof *w + 63) & ~(size_t)63);
	if (!w)
		goto no_memory;
	memset(w, 0, sizeof *w);
	w->media = m;
	w->number = number;
	w->n_pairs = m->opts.pairs_per_worker;
	w->port_first = (uint16_t)(m->opts.port_first + 2 * number * w->n_pairs);
	w->epoll_fd = w->wake_fd = -1;
	w->ring.size = ring_size(w->n_pairs);
	w->ring.at = calloc(w->ring.size, sizeof w->ring.at[0]);
	w->fd = malloc(2 * w->n_pairs * sizeof w->fd[0]);
	for (uint32_t i = 0; w->fd && i < 2 * w->n_pairs; i++)
		w->fd[i] = -1;
	if (!w->ring.at || !w->fd)
		goto no_memory;
	if (worker_init(w, err, cap) < 0 || ports_open(w, &m->opts.addr, err, cap) < 0) {
		worker_free(w);
		return NULL;
	}
	return w;
no_memory:
	worker_free(w);
	(void)snprintf(err, cap, "media worker %u: out of memory", number);
	return NULL;
}

static int worker_run(struct worker *w, char *err, size_t cap)
{
	/* Signals belong to the main thread. */
	sigset_t all, old;
	char name[16];
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		(void)snprintf(err, cap, "media worker %u: %s", w->number, strerror(rc));
		return -1;
	}
	w->running = true;
	(void)snprintf(name, sizeof name, "media-%u", w->number);
	(void)pthread_setname_np(w->thread, name);
	return 0;
}

static int check(const struct media_opts *o, unsigned workers, char *err, size_t cap)
{
	uint64_t end = (uint64_t)o->port_first + 2u * (uint64_t)workers * o->pairs_per_worker;
	if (o->addr.family != 4 && o->addr.family != 6)
		(void)snprintf(err, cap, "media address: none");
	else if (workers > MEDIA_MAX_WORKERS || o->pairs_per_worker < 1 || o->pairs_per_worker > MEDIA_MAX_PAIRS)
		(void)snprintf(err, cap, "media: %u workers with %u port pairs are out of range", workers, o->pairs_per_worker);
	else if (o->port_first % 2 || o->port_first == 0 || end > 65536)
		(void)snprintf(err, cap, "RTP ports %u to %llu: must begin even and end by 65535", o->port_first, (unsigned long long)end - 1);
	else
		return 0;
	return -1;
}

struct media *media_start(const struct media_opts *o, char *err, size_t cap)
{
	unsigned workers = o->workers ? o->workers : cores();
	if (check(o, workers, err, cap) < 0 || ports_limit(2u * (size_t)workers * o->pairs_per_worker, err, cap) < 0)
		return NULL;
	struct media *m = calloc(1, sizeof *m);
	if (!m) {
		(void)snprintf(err, cap, "media: out of memory");
		return NULL;
	}
	m->opts = *o;
	for (; m->n_workers < workers; m->n_workers++) {
		m->workers[m->n_workers] = worker_new(m, m->n_workers, err, cap);
		if (!m->workers[m->n_workers])
			goto fail;
	}
	for (unsigned i = 0; i < workers; i++)
		if (worker_run(m->workers[i], err, cap) < 0)
			goto fail;
	return m;
fail:
	media_stop(m);
	return NULL;
}

void media_stop(struct media *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < m->n_workers; i++) {
		struct worker *w = m->workers[i];
		if (!w->running)
			continue;
		atomic_store(&w->stop, true);
		(void)worker_wake(w);
		pthread_join(w->thread, NULL);
	}
	for (unsigned i = 0; i < m->n_workers; i++)
		worker_free(m->workers[i]);
	free(m);
}

unsigned media_workers(const struct media *m)
{
	return m->n_workers;
}

void media_slots(const struct media *m, unsigned worker, media_slot *first, uint32_t *n, struct addr *addr)
{
	INVARIANT(worker < m->n_workers);
	const struct worker *w = m->workers[worker];
	*first = (media_slot)worker << 16;
	*n = w->n_pairs;
	*addr = m->opts.addr;
	addr->port = w->port_first;
}

void media_command(struct media *m, const struct media_cmd *c)
{
	uint32_t number = c->slot >> 16;
	INVARIANT(number < m->n_workers);
	struct worker *w = m->workers[number];
	struct cmd_ring *r = &w->ring;
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	while (head - atomic_load_explicit(&r->tail, memory_order_acquire) == r->size) {
		atomic_fetch_add_explicit(&m->waits, 1, memory_order_relaxed);
		(void)worker_wake(w);
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 100000}, NULL);
	}
	r->at[head & (r->size - 1)] = *c;
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	w->unflushed = true;
}

void media_flush(struct media *m)
{
	for (unsigned i = 0; i < m->n_workers; i++) {
		if (!m->workers[i]->unflushed)
			continue;
		m->workers[i]->unflushed = false;
		(void)worker_wake(m->workers[i]);
	}
}

void media_counts(const struct media *m, struct media_counts *out)
{
	*out = (struct media_counts){.waits = atomic_load_explicit(&m->waits, memory_order_relaxed)};
	for (unsigned i = 0; i < m->n_workers; i++) {
		struct worker *w = m->workers[i];
		out->rx_packets += atomic_load_explicit(&w->count.rx_packets, memory_order_relaxed);
		out->tx_packets += atomic_load_explicit(&w->count.tx_packets, memory_order_relaxed);
		out->rx_syscalls += atomic_load_explicit(&w->count.rx_syscalls, memory_order_relaxed);
		out->tx_syscalls += atomic_load_explicit(&w->count.tx_syscalls, memory_order_relaxed);
		out->wakeups += atomic_load_explicit(&w->count.wakeups, memory_order_relaxed);
		out->tx_failed += atomic_load_explicit(&w->count.tx_failed, memory_order_relaxed);
	}
}

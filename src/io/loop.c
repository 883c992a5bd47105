#include "io/loop.h"

#include "io/clock.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

int loop_init(struct loop *l)
{
	*l = (struct loop){.now_us = mono_us()};
	l->ep = epoll_create1(EPOLL_CLOEXEC);
	return l->ep < 0 ? -1 : 0;
}

void loop_close(struct loop *l)
{
	if (l->ep >= 0)
		close(l->ep);
	l->ep = -1;
}

int loop_add(struct loop *l, struct loop_fd *f, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = f};
	return epoll_ctl(l->ep, EPOLL_CTL_ADD, f->fd, &e);
}

int loop_modify(struct loop *l, struct loop_fd *f, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = f};
	return epoll_ctl(l->ep, EPOLL_CTL_MOD, f->fd, &e);
}

void loop_remove(struct loop *l, struct loop_fd *f)
{
	epoll_ctl(l->ep, EPOLL_CTL_DEL, f->fd, NULL);
	for (int i = l->at; i < l->n; i++)
		if (l->batch[i].data.ptr == f)
			l->batch[i].data.ptr = NULL;
}

static int wait_batch(struct loop *l, int64_t deadline_us)
{
	struct timespec ts, *t = NULL;
	if (deadline_us != INT64_MAX) {
		int64_t left = deadline_us - mono_us();
		if (left < 0)
			left = 0;
		ts = (struct timespec){left / 1000000, left % 1000000 * 1000};
		t = &ts;
	}
	int n = epoll_pwait2(l->ep, l->batch, LOOP_BATCH, t, NULL);
	if (n >= 0 || errno == EINTR)
		return n < 0 ? 0 : n;
	if (errno != ENOSYS && errno != EPERM)
		return -1;
	/* Kernels before 5.11, and sandboxes that do not know the call: whole milliseconds, never early. */
	int ms = t ? (int)((t->tv_sec > 86400 ? 86400 : t->tv_sec) * 1000 + (t->tv_nsec + 999999) / 1000000) : -1;
	n = epoll_wait(l->ep, l->batch, LOOP_BATCH, ms);
	return n < 0 && errno == EINTR ? 0 : n;
}

static void gather(const struct loop *l)
{
	int64_t left = l->gather_us ? l->now_us + l->gather_us - mono_us() : 0;
	if (left > 0)
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = left * 1000}, NULL);
}

int loop_turn(struct loop *l, int64_t deadline_us)
{
	gather(l);
	int n = wait_batch(l, deadline_us);
	if (n < 0)
		return -1;
	l->now_us = mono_us();
	l->n = n;
	int ran = 0;
	for (l->at = 0; l->at < l->n;) {
		struct epoll_event *e = &l->batch[l->at++];
		struct loop_fd *f = e->data.ptr;
		if (f) {
			f->ready(f, e->events);
			ran++;
		}
	}
	l->at = l->n = 0;
	return ran;
}

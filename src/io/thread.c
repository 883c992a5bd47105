#include "io/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

int thread_start(pthread_t *t, const char *name, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* inherited by the new thread */
	int e = pthread_create(t, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (e)
		return e;
	char shown[16];
	snprintf(shown, sizeof shown, "%.15s", name);
	pthread_setname_np(*t, shown);
	return 0;
}

unsigned thread_cores(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return 1;
	int n = CPU_COUNT(&set);
	return n > 0 ? (unsigned)n : 1;
}

static struct timespec spec_of(int64_t us)
{
	return (struct timespec){us / 1000000, us % 1000000 * 1000};
}

void thread_sleep_us(int64_t us)
{
	struct timespec ts = spec_of(us);
	nanosleep(&ts, NULL);
}

int thread_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t a;
	int e = pthread_condattr_init(&a);
	if (e)
		return e;
	e = pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	if (!e)
		e = pthread_cond_init(c, &a);
	pthread_condattr_destroy(&a);
	return e;
}

bool thread_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, int64_t at_us)
{
	struct timespec ts = spec_of(at_us);
	return pthread_cond_timedwait(c, m, &ts) != ETIMEDOUT;
}

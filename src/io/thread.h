/* io/thread: start and join, with a name and without signals. Layer 1, shell. */
#ifndef IO_THREAD_H
#define IO_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts fn(arg) as thread `name` (at most 15 characters are shown). All signals are blocked in it: the main thread
 * takes them. 0, or an errno value. */
int thread_start(pthread_t *t, const char *name, void *(*fn)(void *), void *arg) __attribute__((warn_unused_result));
/* How many cores this process may run on; at least 1. */
unsigned thread_cores(void);
/* Sleeps about this long (an interrupt may shorten it). */
void thread_sleep_us(int64_t us);
/* A condition whose timed waits use CLOCK_MONOTONIC. 0 or an errno value. */
int thread_cond_init(pthread_cond_t *c) __attribute__((warn_unused_result));
/* Waits until signalled or mono time at_us (io/clock). False: the time came. */
bool thread_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, int64_t at_us);

#endif

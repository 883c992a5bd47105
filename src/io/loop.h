/* io/loop: waits on descriptors and one deadline. Layer 1, shell; epoll. One thread; nothing here may be called from
 * another. Level-triggered: what a callback leaves unread comes up again in the next turn. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "io/ring.h"

#include <sys/epoll.h>

struct loop_fd {
	int fd;
	/* events: EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP. May remove this and any other watch. */
	void (*ready)(struct loop_fd *f, uint32_t events);
};

enum { LOOP_BATCH = 128 };

struct loop {
	int ep;
	int64_t now_us; /* read once after each wait */
	int64_t gather_us; /* 0: never. Else a turn begins at the earliest this long after the last one began (see loop_turn) */
	int at, n;      /* the batch being walked */
	struct epoll_event batch[LOOP_BATCH];
};

/* 0 or -1 (errno). */
int loop_init(struct loop *l) __attribute__((warn_unused_result));
void loop_close(struct loop *l);
/* f stays the caller's and must live until loop_remove. 0 or -1 (errno). */
int loop_add(struct loop *l, struct loop_fd *f, uint32_t events) __attribute__((warn_unused_result));
int loop_modify(struct loop *l, struct loop_fd *f, uint32_t events);
/* Also forgets events of this batch that were not delivered yet. Call it before close(2). */
void loop_remove(struct loop *l, struct loop_fd *f);
/* One turn: waits until something is ready or deadline_us (monotonic; INT64_MAX: none; in the past: does not wait),
 * reads the clock, calls back. A wake-up costs more than a small packet's work: with gather_us set, what comes within that
 * time of the last turn is left to gather and served together; after a quiet time the first one is served at once.
 * Returns how many callbacks ran, -1 on an error of epoll (errno). */
int loop_turn(struct loop *l, int64_t deadline_us);

#endif

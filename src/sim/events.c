#include "sim/world.h"

#include <stdlib.h>

static inline bool before(const struct sim_ev *a, const struct sim_ev *b)
{
	return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

void queue_push(struct sim_queue *q, struct sim_ev e)
{
	if (q->n == q->cap) {
		size_t cap = q->cap ? q->cap * 2 : 1024;
		struct sim_ev *h = realloc(q->heap, cap * sizeof *h);
		INVARIANT(h != NULL); /* a world without memory has no meaning */
		q->heap = h;
		q->cap = cap;
	}
	e.seq = q->seq++;
	size_t i = q->n++;
	while (i > 0) {
		size_t up = (i - 1) / 4;
		if (!before(&e, &q->heap[up]))
			break;
		q->heap[i] = q->heap[up];
		i = up;
	}
	q->heap[i] = e;
}

struct sim_ev queue_pop(struct sim_queue *q)
{
	struct sim_ev top = q->heap[0], e = q->heap[--q->n];
	size_t i = 0;
	for (;;) {
		size_t c = i * 4 + 1, best = c;
		if (c >= q->n)
			break;
		size_t end = c + 4 < q->n ? c + 4 : q->n;
		for (c++; c < end; c++)
			if (before(&q->heap[c], &q->heap[best]))
				best = c;
		if (!before(&q->heap[best], &e))
			break;
		q->heap[i] = q->heap[best];
		i = best;
	}
	if (q->n > 0)
		q->heap[i] = e;
	return top;
}

void queue_free(struct sim_queue *q)
{
	free(q->heap);
	*q = (struct sim_queue){0};
}

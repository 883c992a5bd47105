/* The connection table: numbers, lookup by remote address, who has not proven itself yet. */
#include "edge/sip_tcp_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <unistd.h>

enum { INDEX_BITS = 14, GENERATIONS = 1 << 17 };
_Static_assert(TCP_MAX_CONNS < (1 << INDEX_BITS), "connection numbers");

/* Remote ports are chosen by strangers, but a chain costs only our own lookups of phones we call: no key is needed. */
static struct tcp_conn **bucket_of(struct sip_tcp *s, const struct addr *a)
{
	uint32_t h = 2166136261u;
	for (unsigned i = 0; i < 16; i++)
		h = (h ^ a->ip[i]) * 16777619u;
	h = (h ^ a->port) * 16777619u;
	h ^= h >> 15;
	return &s->by_remote[h & (TCP_HASH - 1)];
}

/* The two instances number apart: a connection is known by its number alone. */
static void number_it(struct tcp_conn *c)
{
	uint32_t instance = c->owner->tls ? UINT32_C(1) << 31 : 0;
	c->flow.conn = instance | (c->generation & (GENERATIONS - 1)) << INDEX_BITS | (c->index + 1);
}

static void unproven_remove(struct sip_tcp *s, struct tcp_conn *c)
{
	*(c->older ? &c->older->newer : &s->oldest) = c->newer;
	*(c->newer ? &c->newer->older : &s->newest) = c->older;
	c->older = c->newer = NULL;
	s->n_unproven--;
}

static void unproven_add(struct sip_tcp *s, struct tcp_conn *c)
{
	if (s->n_unproven >= TCP_MAX_UNPROVEN)
		tcp_table_close(s, s->oldest, true);
	c->older = s->newest;
	c->newer = NULL;
	*(s->newest ? &s->newest->newer : &s->oldest) = c;
	s->newest = c;
	s->n_unproven++;
}

struct tcp_conn *tcp_table_new(struct sip_tcp *s, int fd, const struct sip_flow *flow, enum tcp_state st)
{
	struct tcp_conn *c;
	bool full = s->n_open >= s->max_conns || (s->o.budget && atomic_load(&s->o.budget->open) >= s->o.budget->max);
	if (full && st == TCP_OPEN && s->oldest) {
		tcp_table_close(s, s->oldest, true);
		full = false;
	}
	if (full)
		return NULL;
	if (s->free_head) {
		c = &s->conns[s->free_head - 1];
		s->free_head = c->next_free;
	} else if (s->fresh < s->max_conns) {
		c = &s->conns[s->fresh];
		c->index = s->fresh++;
	} else {
		return NULL;
	}
	uint32_t index = c->index, generation = c->generation + 1;
	memset(c, 0, sizeof *c);
	c->index = index;
	c->generation = generation % GENERATIONS ? generation : generation + 1;
	c->owner = s;
	c->watch.fd = fd;
	c->state = st;
	c->flow = *flow;
	c->out_tail = &c->out;
	c->heard_us = s->loop.now_us;
	number_it(c);
	struct tcp_conn **b = bucket_of(s, &c->flow.remote);
	c->same_next = *b;
	*b = c;
	s->n_open++;
	if (s->o.budget)
		atomic_fetch_add(&s->o.budget->open, 1);
	atomic_store_explicit(&s->open, s->n_open, memory_order_relaxed);
	if (st == TCP_OPEN)
		unproven_add(s, c);
	else
		c->proven = true; /* we called it ourselves */
	return c;
}

struct tcp_conn *tcp_table_get(struct sip_tcp *s, uint32_t number)
{
	uint32_t index = (number & ((1u << INDEX_BITS) - 1)) - 1;
	if (number == 0 || index >= s->fresh)
		return NULL;
	struct tcp_conn *c = &s->conns[index];
	return c->state != TCP_FREE && c->flow.conn == number ? c : NULL;
}

struct tcp_conn *tcp_table_find(struct sip_tcp *s, const struct sip_flow *to)
{
	for (struct tcp_conn *c = *bucket_of(s, &to->remote); c; c = c->same_next)
		if (addr_eq(&c->flow.remote, &to->remote) && !c->closing)
			return c;
	return NULL;
}

void tcp_table_prove(struct sip_tcp *s, struct tcp_conn *c)
{
	if (c->proven)
		return;
	c->proven = true;
	unproven_remove(s, c);
}

void tcp_table_close(struct sip_tcp *s, struct tcp_conn *c, bool tell)
{
	INVARIANT(c->state != TCP_FREE);
	struct sip_flow flow = c->flow;
	loop_remove(&s->loop, &c->watch);
	tls_free(c->tls);
	close(c->watch.fd);
	wheel_cancel(&s->wheel, &c->timer);
	struct tcp_conn **at = bucket_of(s, &c->flow.remote);
	while (*at != c)
		at = &(*at)->same_next;
	*at = c->same_next;
	if (!c->proven)
		unproven_remove(s, c);
	if (c->paused)
		s->n_paused--;
	free(c->in);
	while (c->out) {
		struct tcp_chunk *next = c->out->next;
		free(c->out);
		c->out = next;
	}
	bool known = c->proven; /* of others the cell has never heard */
	c->state = TCP_FREE;
	c->next_free = s->free_head;
	s->free_head = c->index + 1;
	s->n_open--;
	if (s->o.budget)
		atomic_fetch_sub(&s->o.budget->open, 1);
	atomic_store_explicit(&s->open, s->n_open, memory_order_relaxed);
	tcp_count(&s->closed);
	if (tell && known)
		tcp_tell(s, &flow, NULL, 0);
}

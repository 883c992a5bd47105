#include "sip/txn/layer.h"

#include "base/assert.h"

#include <stdlib.h>

const struct txn_times txn_times_default = {500000, 4000000, 5000000, 32000000};

struct txn_layer *txn_layer_new(const struct txn_user *user, const struct txn_limits *lim, const struct txn_times *times,
				struct hash_key key, struct slab *slab, struct wheel *wheel)
{
	struct txn_layer *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->user = *user;
	l->lim = *lim;
	l->times = *times;
	l->key = key;
	l->key2 = (struct hash_key){key.k0 ^ 0x9e3779b97f4a7c15, key.k1 ^ 0xd1b54a32d192ed03};
	l->slab = slab;
	l->wheel = wheel;
	pool_init(&l->pool, sizeof(struct txn), lim->max_txns);
	map_init(&l->map, key);
	return l;
}

void txn_layer_free(struct txn_layer *l)
{
	if (!l)
		return;
	uint32_t it = 0;
	for (struct txn *t; (t = pool_next(&l->pool, &it));)
		txn_end(l, t);
	map_destroy(&l->map);
	pool_destroy(&l->pool);
	free(l);
}

static struct span key_span(const struct txn_key *k)
{
	return span_mem(k, sizeof *k);
}

struct txn *txn_find(const struct txn_layer *l, const struct txn_key *k)
{
	return map_get(&l->map, key_span(k));
}

struct txn *txn_get(const struct txn_layer *l, txn_id id)
{
	return pool_get(&l->pool, id);
}

struct txn *txn_new(struct txn_layer *l, enum txn_type type, const struct txn_key *k)
{
	handle h;
	if (txn_find(l, k))
		return NULL;
	struct txn *t = pool_new(&l->pool, &h);
	if (!t)
		return NULL;
	t->key = *k;
	t->type = (uint8_t)type;
	t->state = TXN_TRYING;
	t->serial = ++l->serial;
	t->again.kind = TXN_TIMER_AGAIN;
	t->life.kind = TXN_TIMER_LIFE;
	if (map_put(&l->map, key_span(&t->key), t) != 0) {
		pool_delete(&l->pool, h);
		return NULL;
	}
	return t;
}

bool txn_store(struct txn_layer *l, struct txn_bytes *to, struct span bytes)
{
	txn_drop(l, to);
	if (l->lim.max_bytes && bytes.n > l->lim.max_bytes - l->stored_bytes)
		return false;
	char *p = slab_copy(l->slab, bytes);
	if (!p)
		return false;
	*to = (struct txn_bytes){p, bytes.n};
	l->stored_bytes += bytes.n;
	return true;
}

void txn_drop(struct txn_layer *l, struct txn_bytes *b)
{
	if (!b->p)
		return;
	slab_free(l->slab, b->p, b->n);
	l->stored_bytes -= b->n;
	*b = (struct txn_bytes){NULL, 0};
}

void txn_end(struct txn_layer *l, struct txn *t)
{
	wheel_cancel(l->wheel, &t->again);
	wheel_cancel(l->wheel, &t->life);
	txn_drop(l, &t->req);
	txn_drop(l, &t->resp);
	for (struct txn_fork *f = t->forks, *next; f; f = next) {
		next = f->next;
		txn_drop(l, &f->ack);
		slab_free(l->slab, f, sizeof *f);
	}
	(void)map_remove(&l->map, key_span(&t->key));
	pool_delete(&l->pool, pool_handle(&l->pool, t));
}

void txn_put(struct txn_layer *l, const struct sip_flow *to, struct span bytes)
{
	l->user.send(l->user.ctx, to, bytes);
}

void txn_recv(struct txn_layer *l, const struct sip_msg *m, const struct sip_flow *from, int64_t now_us)
{
	if (!m->is_request)
		txn_client_response(l, m, from, now_us);
	else if (m->method == SIP_ACK)
		txn_server_ack(l, m, from, now_us);
	else if (m->method == SIP_CANCEL)
		txn_server_cancel(l, m, from);
	else
		txn_server_request(l, m, from, now_us);
}

void txn_timer(struct txn_layer *l, struct timer *tm, int64_t now_us)
{
	bool again = tm->kind == TXN_TIMER_AGAIN;
	struct txn *t = again ? CONTAINER_OF(tm, struct txn, again) : CONTAINER_OF(tm, struct txn, life);
	if (txn_is_client(t)) {
		if (again)
			txn_client_again(l, t, now_us);
		else
			txn_client_life(l, t);
	} else {
		if (again)
			txn_server_again(l, t, now_us);
		else
			txn_server_life(l, t);
	}
}

void txn_flow_failed(struct txn_layer *l, const struct sip_flow *flow, int64_t now_us)
{
	(void)now_us;
	/* The user may send anew by the same flow when told: only what was there before fails now, so that this ends. */
	uint64_t before = l->serial;
	uint32_t it = 0;
	for (struct txn *t; (t = pool_next(&l->pool, &it));) {
		if (txn_is_client(t) && t->serial <= before && sip_flow_same(&t->flow, flow))
			txn_client_broken(l, t);
	}
}

void txn_set_owner(struct txn_layer *l, txn_id id, uint64_t owner)
{
	struct txn *t = txn_get(l, id);
	if (t)
		t->owner = owner;
}

int txn_request_of(struct txn_layer *l, txn_id id, struct sip_msg *out, struct sip_flow *from)
{
	struct txn *t = txn_get(l, id);
	struct sip_error err;
	if (!t || txn_is_client(t) || !t->req.p || sip_parse(out, txn_span(&t->req), &err) != 0)
		return -1;
	*from = t->flow;
	return 0;
}

void txn_orphan(struct txn_layer *l, txn_id id)
{
	struct txn *t = txn_get(l, id);
	if (!t || t->orphan)
		return;
	t->orphan = true;
	/* No time is given here; the wheel was told it in this turn. */
	int64_t now_us = l->wheel->tick * 1000;
	if (txn_is_client(t))
		txn_client_cancel(l, t, now_us);
	else
		txn_server_orphan(l, t, now_us);
}

struct txn_counts txn_counts(const struct txn_layer *l)
{
	struct txn_counts c = l->counts;
	c.live = l->pool.used;
	return c;
}

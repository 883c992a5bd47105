/* The tables of the server: who subscribed to what, by which device. */
#include "sip/event/event_internal.h"

#include <stdlib.h>

/* ---- lists ---- */

static struct event_link *link_of(struct event_sub *s, size_t link)
{
	return (struct event_link *)(void *)((char *)s + link);
}

void list_add(struct event_list *l, struct event_sub *s, size_t link)
{
	*link_of(s, link) = (struct event_link){NULL, l->last};
	if (l->last)
		link_of(l->last, link)->next = s;
	else
		l->first = s;
	l->last = s;
	l->n++;
}

void list_remove(struct event_list *l, struct event_sub *s, size_t link)
{
	struct event_link *k = link_of(s, link);
	if (k->prev)
		link_of(k->prev, link)->next = k->next;
	else
		l->first = k->next;
	if (k->next)
		link_of(k->next, link)->prev = k->prev;
	else
		l->last = k->prev;
	*k = (struct event_link){NULL, NULL};
	l->n--;
}

void sub_to_queue(struct event_server *es, struct event_sub *s, enum event_queue_name q)
{
	if (s->queue == q)
		return;
	if (s->queue != Q_NONE)
		list_remove(&es->queue[s->queue], s, offsetof(struct event_sub, of_queue));
	s->queue = (uint8_t)q;
	if (q != Q_NONE)
		list_add(&es->queue[q], s, offsetof(struct event_sub, of_queue));
}

/* ---- life ---- */

struct event_server *event_server_new(const struct event_user *user, const struct event_limits *lim, struct hash_key key, struct slab *slab,
				      struct wheel *wheel, struct rng *rng, struct txn_layer *txn, struct text scratch)
{
	struct event_server *es = calloc(1, sizeof *es);
	if (!es)
		return NULL;
	es->user = *user;
	es->lim = *lim;
	es->slab = slab;
	es->wheel = wheel;
	es->rng = rng;
	es->txn = txn;
	es->scratch = scratch;
	es->pump.kind = TIMER_PUMP;
	es->saver.kind = TIMER_STORE;
	pool_init(&es->subs, sizeof(struct event_sub), lim->max_subscriptions);
	pool_init(&es->resources, sizeof(struct event_resource), lim->max_subscriptions);
	pool_init(&es->peers, sizeof(struct event_peer), lim->max_subscriptions);
	map_init(&es->tags, (struct hash_key){key.k0 ^ 1, key.k1});
	map_init(&es->by_key, (struct hash_key){key.k0 ^ 2, key.k1});
	map_init(&es->by_device, (struct hash_key){key.k0 ^ 3, key.k1});
	return es;
}

void event_server_free(struct event_server *es)
{
	if (!es)
		return;
	map_destroy(&es->tags);
	map_destroy(&es->by_key);
	map_destroy(&es->by_device);
	pool_destroy(&es->subs);
	pool_destroy(&es->resources);
	pool_destroy(&es->peers);
	free(es);
}

void event_wall(struct event_server *es, int64_t wall_minus_mono_us)
{
	es->wall_minus_mono_us = wall_minus_mono_us;
}

/* ---- resources and devices ---- */

static bool key_write(char key[EV_KEY], const struct event_package *p, struct span name, size_t *name_at, size_t *n)
{
	struct text t = text_on(key, EV_KEY);
	text_z(&t, p->name);
	text_putc(&t, 0);
	*name_at = t.n;
	text_put(&t, name);
	*n = t.n;
	return !t.over;
}

struct event_resource *resource_find(const struct event_server *es, const struct event_package *p, struct span name)
{
	char key[EV_KEY];
	size_t at, n;
	return key_write(key, p, name, &at, &n) ? map_get(&es->by_key, span_mem(key, n)) : NULL;
}

static struct event_resource *resource_make(struct event_server *es, const struct event_package *p, struct span name)
{
	struct event_resource *r = resource_find(es, p, name);
	size_t at, n;
	handle h;
	if (r)
		return r;
	r = pool_new(&es->resources, &h);
	if (!r)
		return NULL;
	r->package = p;
	if (key_write(r->key, p, name, &at, &n) && !map_put(&es->by_key, span_mem(r->key, n), r)) {
		r->name_at = (uint8_t)at;
		r->key_n = (uint8_t)n;
		return r;
	}
	pool_delete(&es->resources, h);
	return NULL;
}

static void resource_drop_empty(struct event_server *es, struct event_resource *r)
{
	if (r->n)
		return;
	map_remove(&es->by_key, span_mem(r->key, r->key_n));
	pool_delete(&es->resources, pool_handle(&es->resources, r));
}

struct event_peer *peer_find(const struct event_server *es, uint64_t device_id)
{
	return map_get(&es->by_device, span_mem(&device_id, sizeof device_id));
}

static struct event_peer *peer_make(struct event_server *es, uint64_t device_id)
{
	struct event_peer *p = peer_find(es, device_id);
	handle h;
	if (p)
		return p;
	p = pool_new(&es->peers, &h);
	if (!p)
		return NULL;
	p->device_id = device_id;
	if (!map_put(&es->by_device, span_mem(&p->device_id, sizeof p->device_id), p))
		return p;
	pool_delete(&es->peers, h);
	return NULL;
}

static void peer_drop_empty(struct event_server *es, struct event_peer *p)
{
	if (p->n)
		return;
	map_remove(&es->by_device, span_mem(&p->device_id, sizeof p->device_id));
	pool_delete(&es->peers, pool_handle(&es->peers, p));
}

/* ---- subscriptions ---- */

struct event_sub *sub_get(const struct event_server *es, handle h)
{
	return h ? pool_get(&es->subs, h & ~EVENT_OWNER) : NULL;
}

struct event_sub *sub_new(struct event_server *es)
{
	handle h;
	struct event_sub *s = pool_new(&es->subs, &h);
	if (!s)
		return NULL;
	s->h = h;
	s->timer.kind = TIMER_SUB;
	s->state = EVENT_ACTIVE;
	return s;
}

static void join_resource(struct event_sub *s, struct event_resource *r)
{
	s->res = r;
	s->of_res = (struct event_link){NULL, r->last};
	*(r->last ? &r->last->of_res.next : &r->first) = s;
	r->last = s;
	r->n++;
}

static void leave_resource(struct event_server *es, struct event_sub *s)
{
	struct event_resource *r = s->res;
	if (!r)
		return;
	*(s->of_res.prev ? &s->of_res.prev->of_res.next : &r->first) = s->of_res.next;
	*(s->of_res.next ? &s->of_res.next->of_res.prev : &r->last) = s->of_res.prev;
	r->n--;
	s->res = NULL;
	resource_drop_empty(es, r);
}

static void join_peer(struct event_sub *s, struct event_peer *p)
{
	s->peer = p;
	s->of_peer = (struct event_link){p->first, NULL};
	if (p->first)
		p->first->of_peer.prev = s;
	p->first = s;
	p->n++;
}

static void leave_peer(struct event_server *es, struct event_sub *s)
{
	struct event_peer *p = s->peer;
	if (!p)
		return;
	*(s->of_peer.prev ? &s->of_peer.prev->of_peer.next : &p->first) = s->of_peer.next;
	if (s->of_peer.next)
		s->of_peer.next->of_peer.prev = s->of_peer.prev;
	p->n--;
	s->peer = NULL;
	peer_drop_empty(es, p);
}

bool sub_join(struct event_server *es, struct event_sub *s, const struct event_package *p, struct span resource, uint64_t device_id)
{
	struct event_resource *r = p ? resource_make(es, p, resource) : NULL;
	if (p && !r)
		return false;
	struct event_peer *dev = peer_make(es, device_id);
	if (!dev) {
		if (r)
			resource_drop_empty(es, r);
		return false;
	}
	if (r)
		join_resource(s, r);
	join_peer(s, dev);
	return true;
}

bool sub_index_tag(struct event_server *es, struct event_sub *s)
{
	s->tagged = !map_get(&es->tags, s->dlg.local_tag) && !map_put(&es->tags, s->dlg.local_tag, s);
	return s->tagged;
}

void sub_free(struct event_server *es, struct event_sub *s)
{
	row_gone(es, s);
	sub_to_queue(es, s, Q_NONE);
	if (s->unsaved)
		list_remove(&es->store, s, offsetof(struct event_sub, of_store));
	if (s->implicit)
		list_remove(&es->implicit, s, offsetof(struct event_sub, of_store));
	if (s->tagged)
		map_remove(&es->tags, s->dlg.local_tag);
	if (s->txn)
		txn_orphan(es->txn, s->txn);
	sub_set_state(es, s, EVENT_TERMINATED);
	sub_set_waiting(es, s, false);
	wheel_cancel(es->wheel, &s->timer);
	leave_resource(es, s);
	leave_peer(es, s);
	slab_free(es->slab, s->id, s->id_n);
	slab_free(es->slab, s->note, s->note_n);
	dialog_clear(&s->dlg, es->slab);
	pool_delete(&es->subs, s->h);
}

void sub_set_state(struct event_server *es, struct event_sub *s, enum event_state state)
{
	es->n_pending -= s->state == EVENT_PENDING;
	s->state = (uint8_t)state;
	es->n_pending += state == EVENT_PENDING;
}

void sub_set_waiting(struct event_server *es, struct event_sub *s, bool waiting)
{
	es->n_waiting -= s->waiting;
	s->waiting = waiting;
	es->n_waiting += waiting;
}

void sub_set_timer(struct event_server *es, struct event_sub *s)
{
	int64_t at = s->state == EVENT_TERMINATED ? WHEEL_NEVER : s->expires_us;
	if (s->retry_us && s->retry_us < at)
		at = s->retry_us;
	if (at == WHEEL_NEVER)
		wheel_cancel(es->wheel, &s->timer);
	else
		wheel_set(es->wheel, &s->timer, at);
}

struct span sub_resource(const struct event_sub *s)
{
	return s->res ? span_mem(s->res->key + s->res->name_at, (size_t)(s->res->key_n - s->res->name_at)) : SPAN_NONE;
}

const char *event_name_of(const struct event_sub *s)
{
	return s->res ? s->res->package->name : "refer";
}

/* ---- time ---- */

void event_timer(struct event_server *es, struct timer *t, int64_t now_us)
{
	if (t->kind == TIMER_STORE) {
		rows_write(es, now_us);
	} else if (t->kind == TIMER_SUB) {
		struct event_sub *s = CONTAINER_OF(t, struct event_sub, timer);
		if (s->retry_us && now_us >= s->retry_us) {
			s->retry_us = 0;
			notify_want(es, s, true, Q_CHANGED);
		}
		if (s->state != EVENT_TERMINATED && now_us >= s->expires_us)
			notify_end(es, s, "timeout");
		else
			sub_set_timer(es, s);
	}
	/* TIMER_PUMP: the step ends with event_pump */
}

/* ---- looking in ---- */

static struct event_party party_of(const struct event_sub *s)
{
	return (struct event_party){span_z(s->subscriber), sub_resource(s), s->peer->device_id, s->dlg.flow, s->res ? s->res->package : NULL};
}

bool event_party(const struct event_server *es, handle sub, struct event_party *out)
{
	const struct event_sub *s = sub_get(es, sub);
	if (s)
		*out = party_of(s);
	return s != NULL;
}

uint32_t event_watchers(const struct event_server *es, const struct event_package *package, struct span resource)
{
	const struct event_resource *r = resource_find(es, package, resource);
	return r ? r->n : 0;
}

struct event_counts event_counts(const struct event_server *es)
{
	struct event_counts c = es->counts;
	c.live = es->subs.used;
	c.pending = es->n_pending;
	c.waiting = es->n_waiting;
	return c;
}

bool event_next(const struct event_server *es, uint64_t *cursor, struct event_view *out)
{
	uint32_t it = (uint32_t)*cursor;
	const struct event_sub *s = pool_next(&es->subs, &it);
	*cursor = it;
	if (s)
		*out = (struct event_view){party_of(s), s->dlg.remote_target, (enum event_state)s->state, s->dlg.local_cseq ? s->dlg.local_cseq - 1 : 0,
					   s->expires_us, s->waiting, s->txn != 0};
	return s != NULL;
}

void event_end_devices(struct event_server *es, bool (*gone)(void *ctx, const struct event_party *p), void *ctx, const char *reason, int64_t now_us)
{
	uint32_t it = 0;
	(void)now_us;
	for (struct event_peer *p; (p = map_next(&es->by_device, &it));) {
		struct event_party party = party_of(p->first);
		uint32_t left = p->n; /* the device goes with its last subscription */
		for (struct event_sub *s = gone(ctx, &party) ? p->first : NULL, *next; s && left--; s = next) {
			next = s->of_peer.next;
			if (s->state != EVENT_TERMINATED)
				notify_end(es, s, reason);
		}
	}
}

#define MUST(cond, what)                                                                                               \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			return what;                                                                                   \
	} while (0)

static const char *check_sub(const struct event_server *es, const struct event_sub *s)
{
	MUST(s->peer && peer_find(es, s->peer->device_id) == s->peer, "subscription: its device is not indexed");
	MUST(s->implicit || (s->res && resource_find(es, s->res->package, sub_resource(s)) == s->res), "subscription: its resource is not indexed");
	MUST(!s->tagged || map_get(&es->tags, s->dlg.local_tag) == s, "subscription: its tag is not indexed");
	MUST(s->state != EVENT_TERMINATED || s->txn || s->dirty, "subscription: over, and nothing is left to say");
	MUST(s->state == EVENT_TERMINATED || timer_is_set(&s->timer), "subscription: without an end");
	MUST(!s->waiting || sip_transport_reliable(s->dlg.flow.transport), "subscription: waits for a connection it does not need");
	MUST(!s->dirty || s->txn || s->queue != Q_NONE || s->retry_us || s->waiting, "subscription: something to say, and nobody will");
	MUST(!(s->txn && s->queue != Q_NONE), "subscription: two NOTIFYs at once");
	return NULL;
}

const char *event_check(const struct event_server *es)
{
	uint32_t it = 0, n = 0, in_res = 0, in_peers = 0, pending = 0, waiting = 0;
	for (const struct event_sub *s; (s = pool_next(&es->subs, &it)); n++) {
		const char *bad = check_sub(es, s);
		MUST(!bad, bad);
		pending += s->state == EVENT_PENDING;
		waiting += s->waiting;
		in_res += s->implicit;
	}
	it = 0;
	for (const struct event_resource *r; (r = map_next(&es->by_key, &it));) {
		uint32_t k = 0;
		for (const struct event_sub *s = r->first; s; s = s->of_res.next, k++)
			MUST(s->res == r && k < r->n, "event resource: a strange subscription");
		MUST(k == r->n && k, "event resource: wrong count");
		in_res += k;
	}
	it = 0;
	for (const struct event_peer *p; (p = map_next(&es->by_device, &it));)
		in_peers += p->n;
	MUST(n == es->subs.used && in_res == n && in_peers == n, "subscriptions: pool, resources and devices differ");
	MUST(pending == es->n_pending && waiting == es->n_waiting, "subscriptions: wrong counts");
	MUST(map_count(&es->by_key) == es->resources.used && map_count(&es->by_device) == es->peers.used, "subscriptions: maps and pools differ");
	return NULL;
}

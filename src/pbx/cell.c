#include "pbx/cell_internal.h"
#include "pbx/watch.h"
#include "sip/msg/frame.h"

#include <stdlib.h>

const struct cell_limits cell_limits_default = {
	.max_calls = 2000, .max_legs = 8000, .max_bindings = 40000, .max_bindings_per_extension = 10, .max_txns = 65536,
	.max_unconfirmed = 10000, .max_message_bytes = 256u << 20,
	.max_subscriptions = 65536, .max_subscriptions_per_device = 300 /* keys of the largest phone: 268 */,
	.notify_initial_per_s = 5000, .notify_per_ms = 256,
};

/* ---- life ------------------------------------------------------------------------------------------------------- */

static void on_send(void *ctx, const struct sip_flow *to, struct span bytes)
{
	struct cell *c = ctx;
	struct cell_out out = {.kind = CELL_OUT_SIP, .u.sip = {to, bytes}};
	cell_emit(c, &out);
}

static struct hash_key key_for(const struct cell *c, uint64_t which)
{
	return (struct hash_key){siphash(&c->o.seed, &which, sizeof which), siphash(&c->o.seed, &c->o.nonce_key, sizeof c->o.nonce_key) ^ which};
}

static void init_tables(struct cell *c)
{
	const struct cell_limits *l = &c->o.limits;
	wheel_init(&c->wheel, c->now_us);
	slab_init(&c->slab, 0);
	pool_init(&c->homes, sizeof(struct home), l->max_bindings);
	map_init(&c->home_map, key_for(c, 20));
	pool_init(&c->aors, sizeof(struct aor), l->max_bindings);
	pool_init(&c->bindings, sizeof(struct binding), l->max_bindings);
	pool_init(&c->known, sizeof(struct known), l->max_bindings);
	pool_init(&c->legs, sizeof(struct leg), l->max_legs);
	pool_init(&c->calls, sizeof(struct call), l->max_calls);
	pool_init(&c->cdrs, sizeof(struct cdr_record), l->max_legs + l->max_unconfirmed);
	map_init(&c->aor_map, key_for(c, 1));
	map_init(&c->known_map, key_for(c, 2));
	map_init(&c->tags, key_for(c, 3));
	map_init(&c->merges, key_for(c, 4));
	map_init(&c->cdr_tokens, key_for(c, 5));
}

struct cell *cell_new(const struct cell_opts *o, int64_t now_us)
{
	struct cell *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->o = *o;
	c->now_us = now_us;
	init_tables(c);
	if (!(c->budget = malloc(sizeof *c->budget))) {
		cell_free(c);
		return NULL;
	}
	budget_init(c->budget, key_for(c, 21));
	struct hash_key rng = key_for(c, 6);
	c->rng = rng_seed(rng.k0, rng.k1);
	rng_bytes(&c->rng, &c->fake_ha1, sizeof c->fake_ha1);
	const struct txn_user user = {c, cell_on_request, cell_on_cancel, cell_on_ack, cell_on_response, cell_on_failure, on_send};
	const struct txn_limits lim = {o->limits.max_txns, o->limits.max_message_bytes};
	c->txn = txn_layer_new(&user, &lim, &txn_times_default, key_for(c, 7), &c->slab, &c->wheel);
	if (c->txn && watch_start(c) == 0)
		return c;
	cell_free(c);
	return NULL;
}

void cell_free(struct cell *c)
{
	if (!c)
		return;
	if (c->txn)
		txn_layer_free(c->txn);
	watch_stop(c);
	struct map *const maps[] = {&c->aor_map, &c->known_map, &c->tags, &c->merges, &c->cdr_tokens};
	for (size_t i = 0; i < COUNT_OF(maps); i++)
		map_destroy(maps[i]);
	struct pool *const pools[] = {&c->aors, &c->bindings, &c->known, &c->legs, &c->calls, &c->cdrs};
	for (size_t i = 0; i < COUNT_OF(pools); i++)
		pool_destroy(pools[i]);
	pool_destroy(&c->homes);
	map_destroy(&c->home_map);
	free(c->budget);
	slots_free(c);
	slab_destroy(&c->slab);
	if (c->site)
		site_unref(c->site);
	free(c);
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

static void own_timer(struct cell *c, struct timer *t)
{
	switch ((enum cell_timer)t->kind) {
	case TIMER_BINDING: {
		struct binding *b = CONTAINER_OF(t, struct binding, expiry);
		cell_log(c, LOG_INFO, "register.expired", LOG_Z("extension", b->aor->number));
		binding_drop(c, b, true);
		break;
	}
	case TIMER_RING:
		call_event(c, CONTAINER_OF(t, struct call, ring), NULL, CALL_EV_NO_ANSWER, 480, NULL);
		break;
	case TIMER_STATS: {
		struct leg *l = CONTAINER_OF(t, struct leg, stats);
		cdr_close(c, l, NULL);
		leg_reap(c, l);
		break;
	}
	case TIMER_RETRY: {
		struct leg *l = CONTAINER_OF(t, struct leg, retry);
		if (l->state == LEG_CLOSING)
			leg_send_bye(c, l);
		else
			reinvite_resync(c, l);
		break;
	}
	case TIMER_SESSION: session_due(c, CONTAINER_OF(t, struct leg, session.due)); break;
	case TIMER_RELIABLE: prack_again(c, CONTAINER_OF(t, struct leg, rel.again)); break;
	case TIMER_CDR:
		cdr_emit(c, CONTAINER_OF(t, struct cdr_record, retry));
		break;
	}
}

static void run_timers(struct cell *c)
{
	for (struct timer *t; (t = wheel_pop(&c->wheel, c->now_us));) {
		if (t->kind >= TXN_TIMER_FIRST && t->kind <= TXN_TIMER_LAST)
			txn_timer(c->txn, t, c->now_us);
		else if (t->kind >= EVENT_TIMER)
			event_timer(c->events, t, c->now_us);
		else
			own_timer(c, t);
		cell_reap(c);
	}
}

static void take_sip(struct cell *c, const struct sip_flow *from, struct span bytes)
{
	struct sip_msg m;
	struct sip_error err = {0};
	if (sip_is_keepalive(bytes))
		return;
	if (sip_parse(&m, bytes, &err))
		cell_bad_message(c, &m, &err, from);
	else if (c->site) /* nothing can be known of anybody before the configuration is there */
		txn_recv(c->txn, &m, from, c->now_us);
}

static void take_site(struct cell *c, struct site *s)
{
	struct site *old = c->site;
	c->site = site_ref(s);
	c->settings = site_settings_of(s);
	plan_profile(c);
	binding_site_changed(c);
	guard_site_changed(c);
	watch_site_changed(c);
	if (old)
		site_unref(old);
}

static void take_flow_closed(struct cell *c, const struct sip_flow *flow)
{
	txn_flow_failed(c->txn, flow, c->now_us);
	binding_flow_closed(c, flow);
	for (struct call *k = c->call_first; k; k = k->next)
		for (struct leg *l = k->first; l; l = l->next)
			if (flow->conn && l->dlg.flow.conn == flow->conn)
				l->dlg.flow.conn = 0;
}

static void take(struct cell *c, const struct cell_in *in)
{
	switch (in->kind) {
	case CELL_IN_TIMER: break;
	case CELL_IN_SIP: take_sip(c, &in->u.sip.flow, in->u.sip.bytes); break;
	case CELL_IN_FLOW_CLOSED: take_flow_closed(c, &in->u.sip.flow); break;
	case CELL_IN_SITE: take_site(c, in->u.site); break;
	case CELL_IN_WALL:
		c->wall_minus_mono_us = in->u.wall_minus_mono_us;
		event_wall(c->events, c->wall_minus_mono_us);
		break;
	case CELL_IN_SLOTS:
		if (slots_add(c, in->u.slots.first, in->u.slots.n, &in->u.slots.addr))
			cell_log(c, LOG_ERROR, "media.slots_refused", LOG_I("first", in->u.slots.first), LOG_I("n", in->u.slots.n));
		break;
	case CELL_IN_MEDIA: media_event(c, &in->u.media); break;
	case CELL_IN_BINDING: binding_restore(c, &in->u.binding); break;
	case CELL_IN_SUBSCRIPTION: watch_restore(c, &in->u.subscription); break;
	case CELL_IN_BAN: guard_restore(c, &in->u.ban); break;
	case CELL_IN_PERSISTED: cdr_persisted(c, in->u.persisted.token, in->u.persisted.ok); break;
	case CELL_IN_QUERY: query_answer(c, in); break;
	}
}

void cell_step(struct cell *c, const struct cell_in *in, int64_t now_us, struct cell_sink *sink)
{
	if (now_us > c->now_us)
		c->now_us = now_us;
	c->sink = sink;
	run_timers(c);
	take(c, in);
	cell_reap(c);
	event_pump(c->events, c->now_us);
	c->sink = NULL;
}

int64_t cell_deadline(const struct cell *c)
{
	return wheel_deadline(&c->wheel);
}

struct cell_counts cell_counts(const struct cell *c)
{
	struct txn_counts t = txn_counts(c->txn);
	struct event_counts e = event_counts(c->events);
	return (struct cell_counts){
		.calls = c->calls.used, .legs = c->legs.used, .bindings = c->bindings.used, .txns = t.live, .dialogs = c->dialogs,
		.slots_used = c->slots_used, .timers = (uint32_t)c->wheel.count, .cdr_open = c->cdr_open, .cdr_unconfirmed = c->cdrs.used,
		.calls_total = c->call_seq, .calls_answered = c->calls_answered, .registrations_total = c->registrations,
		.refused_total = c->refused, .retransmits = t.retransmits_sent,
		.subscriptions = e.live, .notifies = e.notifies, .notify_retries = e.retries, .subscriptions_dropped = e.dropped,
		.noted = c->noted,
	};
}

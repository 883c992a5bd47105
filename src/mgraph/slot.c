#include "mgraph/graph.h"

#include <stdlib.h>

struct mgraph *mgraph_new(uint16_t worker, uint32_t n_slots, uint64_t seed, const struct mgraph_out *out)
{
	static const char hex[] = "0123456789abcdef";
	if (n_slots > 0x10000)
		return NULL;
	struct mgraph *g = calloc(1, sizeof *g + (size_t)n_slots * sizeof g->slots[0]);
	if (!g)
		return NULL;
	g->out = *out;
	g->rng = rng_seed(seed, worker);
	g->worker = worker;
	g->n_slots = n_slots;
	for (uint32_t i = 0; i < n_slots; i++)
		g->slots[i].number = i;
	/* RFC 7022: a random name, no address in it. */
	for (size_t i = 0; i + 1 < sizeof g->cname; i++)
		g->cname[i] = hex[rng_below(&g->rng, 16)];
	return g;
}

void mgraph_free(struct mgraph *g)
{
	free(g);
}

static struct slot *find(struct mgraph *g, media_slot id)
{
	uint32_t n = id & 0xffff;
	return id != MEDIA_NO_SLOT && id >> 16 == g->worker && n < g->n_slots ? &g->slots[n] : NULL;
}

static void unbridge(struct slot *s)
{
	if (!s->peer)
		return;
	s->peer->peer = NULL;
	s->peer = NULL;
}

static void forget(struct mgraph *g, struct slot *s, int64_t now_us)
{
	player_stop(g, s, now_us);
	unbridge(s);
	*s = (struct slot){.number = s->number};
}

static void open_slot(struct mgraph *g, struct slot *s, const struct media_cmd *c, int64_t now_us)
{
	forget(g, s, now_us);
	s->open = true;
	s->leg = c->leg;
	s->clock_hz = 8000;
	s->ptime_ms = 20;
	s->pt_dtmf = c->pt_dtmf;
}

static void remote(struct slot *s, const struct media_cmd *c)
{
	latch_remote(&s->latch, &c->remote, &c->remote_rtcp, c->relearn);
	s->may_send = c->may_send;
	s->may_recv = c->may_recv;
	s->pt = c->pt;
	s->pt_dtmf = c->pt_dtmf;
	s->clock_hz = c->clock_hz ? c->clock_hz : 8000;
	if (c->ptime_ms >= 10 && c->ptime_ms <= 60)
		s->ptime_ms = c->ptime_ms;
}

static void bridge(struct mgraph *g, struct slot *a, struct slot *b, int64_t now_us)
{
	if (!b || !b->open || a == b)
		return;
	player_stop(g, a, now_us);
	player_stop(g, b, now_us);
	unbridge(a);
	unbridge(b);
	a->peer = b;
	b->peer = a;
}

static void source(struct mgraph *g, struct slot *s, const struct media_cmd *c, int64_t now_us)
{
	if (c->source == SOURCE_NONE)
		player_stop(g, s, now_us);
	else
		player_start(g, s, c, now_us);
}

static void close_slot(struct mgraph *g, struct slot *s, const struct media_cmd *c, int64_t now_us)
{
	struct media_event e = {.kind = MEDIA_EVENT_CLOSED, .slot = c->slot, .leg = s->open ? s->leg : c->leg, .seq = c->seq};
	player_stop(g, s, now_us);
	if (s->open) {
		e.source = s->latch.source;
		e.stats = slot_stats(s);
	}
	forget(g, s, now_us);
	/* Told also for a slot that was not open: whoever closes waits for this to use the slot again. */
	g->out.event(g->out.ctx, &e);
}

static void apply(struct mgraph *g, struct slot *s, const struct media_cmd *c, int64_t now_us)
{
	if (!s->open && c->op != MEDIA_OPEN && c->op != MEDIA_CLOSE)
		return;
	switch (c->op) {
	case MEDIA_OPEN:
		open_slot(g, s, c, now_us);
		break;
	case MEDIA_REMOTE:
		remote(s, c);
		break;
	case MEDIA_BRIDGE:
		bridge(g, s, find(g, c->peer_slot), now_us);
		break;
	case MEDIA_SOURCE:
		source(g, s, c, now_us);
		break;
	case MEDIA_UNBRIDGE:
		unbridge(s);
		break;
	case MEDIA_CLOSE:
		close_slot(g, s, c, now_us);
		break;
	}
}

void mgraph_command(struct mgraph *g, const struct media_cmd *c, int64_t now_us)
{
	if (c->seq <= g->last_seq)
		return;
	g->last_seq = c->seq;
	if (!g->wheel_ready) {
		wheel_init(&g->wheel, now_us);
		g->wheel_ready = true;
	}
	struct slot *s = find(g, c->slot);
	if (s)
		apply(g, s, c, now_us);
}

int64_t mgraph_deadline(const struct mgraph *g)
{
	return g->wheel_ready ? wheel_deadline(&g->wheel) : INT64_MAX;
}

void mgraph_tick(struct mgraph *g, int64_t now_us)
{
	struct timer *t;
	if (!g->wheel_ready)
		return;
	while ((t = wheel_pop(&g->wheel, now_us)) != NULL) {
		struct slot *s = CONTAINER_OF(t, struct slot, play.timer);
		player_due(g, s, now_us);
	}
}

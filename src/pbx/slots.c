/* Media slots: the cell's own free lists of the port pairs that workers opened, and commands to the workers. */
#include "pbx/cell_internal.h"

#include <stdlib.h>

static struct worker *worker_of(const struct cell *c, media_slot s)
{
	return (struct worker *)&c->workers[(s >> 16) % MAX_WORKERS];
}

static struct slot *slot_of(const struct cell *c, media_slot s)
{
	struct worker *w = s == MEDIA_NO_SLOT || s >> 16 >= MAX_WORKERS ? NULL : worker_of(c, s);
	return w && (s & 0xffff) < w->n ? &w->slots[s & 0xffff] : NULL;
}

static void give_back(struct worker *w, uint32_t i)
{
	w->slots[i].state = SLOT_FREE;
	w->slots[i].next = 0;
	*(w->free_last ? &w->slots[w->free_last - 1].next : &w->free_first) = i + 1;
	w->free_last = i + 1;
	w->n_free++;
}

/* Slots of one worker come in order of their numbers. -1: not so, or no memory. */
int slots_add(struct cell *c, media_slot first, uint32_t n, const struct addr *addr)
{
	uint32_t from = first & 0xffff;
	if (first >> 16 >= MAX_WORKERS || n > 65536 - from || from != worker_of(c, first)->n)
		return -1;
	struct worker *w = worker_of(c, first);
	struct slot *s = realloc(w->slots, ((size_t)w->n + n) * sizeof *s);
	if (!s)
		return -1;
	w->slots = s;
	for (uint32_t i = 0; i < n; i++) {
		s[from + i] = (struct slot){.addr = *addr};
		s[from + i].addr.port = (uint16_t)(addr->port + 2 * i);
		w->n++;
		give_back(w, from + i);
	}
	return 0;
}

void slots_free(struct cell *c)
{
	for (int i = 0; i < MAX_WORKERS; i++)
		free(c->workers[i].slots);
}

const struct addr *slot_addr(const struct cell *c, media_slot s)
{
	const struct slot *p = slot_of(c, s);
	return p ? &p->addr : NULL;
}

static void command(struct cell *c, struct media_cmd *m)
{
	m->seq = ++worker_of(c, m->slot)->seq;
	struct cell_out out = {.kind = CELL_OUT_MEDIA, .u.media = m};
	cell_emit(c, &out);
}

static uint32_t emptiest(const struct cell *c)
{
	uint32_t best = 0;
	for (uint32_t i = 1; i < MAX_WORKERS; i++)
		if (c->workers[i].n_free > c->workers[best].n_free)
			best = i;
	return best;
}

media_slot slot_draw(struct cell *c, struct leg *l, media_slot near)
{
	uint32_t wi = near == MEDIA_NO_SLOT ? emptiest(c) : near >> 16;
	struct worker *w = &c->workers[wi];
	if (!w->free_first)
		return MEDIA_NO_SLOT;
	uint32_t i = w->free_first - 1;
	w->free_first = w->slots[i].next;
	if (!w->free_first)
		w->free_last = 0;
	w->n_free--;
	w->slots[i].state = SLOT_USED;
	w->slots[i].leg = l->h;
	c->slots_used++;
	media_slot s = wi << 16 | i;
	struct media_cmd m = {.op = MEDIA_OPEN, .slot = s, .peer_slot = MEDIA_NO_SLOT, .leg = l->h};
	command(c, &m);
	return s;
}

/* The leg keeps waiting for the statistics; the slot is free again when the worker says so. */
void slot_close(struct cell *c, struct leg *l)
{
	struct slot *s = slot_of(c, l->slot);
	if (!s || s->state != SLOT_USED)
		return;
	s->state = SLOT_CLOSING;
	struct media_cmd m = {.op = MEDIA_CLOSE, .slot = l->slot, .peer_slot = MEDIA_NO_SLOT, .leg = l->h};
	command(c, &m);
}

static const struct sdp_format *voice_format(const struct sdp_media *m)
{
	for (int i = 0; i < m->n_fmt; i++)
		if (!span_ieqz(m->fmt[i].encoding, "telephone-event"))
			return &m->fmt[i];
	return NULL;
}

static uint8_t dtmf_pt(const struct sdp_media *m)
{
	for (int i = 0; i < m->n_fmt; i++)
		if (span_ieqz(m->fmt[i].encoding, "telephone-event") && m->fmt[i].pt > 0)
			return (uint8_t)m->fmt[i].pt;
	return 0;
}

void media_remote(struct cell *c, struct leg *l, const struct sdp_media *m)
{
	if (!slot_of(c, l->slot))
		return;
	enum sdp_dir dir = plan_dir(m);
	const struct sdp_format *f = voice_format(m);
	struct media_cmd cmd = {.op = MEDIA_REMOTE, .slot = l->slot, .peer_slot = MEDIA_NO_SLOT, .leg = l->h};
	cmd.remote = cmd.remote_rtcp = m->conn;
	cmd.remote.port = m->port;
	cmd.remote_rtcp.port = m->rtcp_mux ? m->port : m->rtcp_port ? m->rtcp_port : (uint16_t)(m->port + 1);
	cmd.may_send = (dir == SDP_SENDRECV || dir == SDP_RECVONLY) && !m->conn_zero;
	cmd.may_recv = dir == SDP_SENDRECV || dir == SDP_SENDONLY;
	cmd.pt = f && f->pt > 0 ? (uint8_t)f->pt : 0;
	cmd.pt_dtmf = dtmf_pt(m);
	cmd.clock_hz = f && f->clock_hz ? f->clock_hz : 8000;
	cmd.ptime_ms = m->ptime_ms;
	cmd.relearn = l->media_remote.family && !addr_eq(&l->media_remote, &cmd.remote);
	if (!m->conn_zero)
		l->media_remote = cmd.remote;
	command(c, &cmd);
}

void media_bridge(struct cell *c, struct leg *a, struct leg *b)
{
	if (!slot_of(c, a->slot) || !slot_of(c, b->slot))
		return;
	a->bridged = b->bridged = true;
	struct media_cmd m = {.op = MEDIA_BRIDGE, .slot = a->slot, .peer_slot = b->slot, .leg = a->h};
	command(c, &m);
}

void media_source(struct cell *c, struct leg *l, enum media_source src, uint8_t pt)
{
	struct media_cmd m = {.op = MEDIA_SOURCE, .slot = l->slot, .peer_slot = MEDIA_NO_SLOT, .leg = l->h, .source = src, .pt = pt,
			      .clock_hz = 8000, .ptime_ms = 20};
	if (src == SOURCE_TONE) {
		m.tone_hz[0] = 440;
		m.tone_on_ms = 1000;
		m.tone_level_dbm0 = -13;
	}
	command(c, &m);
}

void media_event(struct cell *c, const struct media_event *e)
{
	struct slot *s = slot_of(c, e->slot);
	if (!s)
		return;
	struct leg *l = pool_get(&c->legs, e->leg);
	switch (e->kind) {
	case MEDIA_EVENT_LATCHED:
		break;
	case MEDIA_EVENT_STRANGER:
		c->noted.media_strangers++;
		if (l)
			leg_log(c, l, LOG_WARN, "media.stranger", LOG_I("slot", e->slot), LOG_I("port", e->source.port));
		break;
	case MEDIA_EVENT_CLOSED:
		if (s->state != SLOT_CLOSING || s->leg != e->leg)
			break;
		s->leg = 0;
		c->slots_used--;
		give_back(worker_of(c, e->slot), e->slot & 0xffff);
		if (l && l->slot == e->slot) {
			l->slot = MEDIA_NO_SLOT;
			cdr_close(c, l, &e->stats);
			leg_reap(c, l);
		}
		break;
	}
}

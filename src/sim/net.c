#include "sim/world.h"

#include <stdlib.h>

const struct sim_net sim_net_office = {.loss = 0, .dup = 0.0005, .reorder = 0.0005, .delay_us = 300, .jitter_us = 300};

static struct packet *packet_new(struct world *w, struct span bytes)
{
	struct packet *k = slab_alloc(&w->slab, sizeof *k + bytes.n);
	if (!k)
		return NULL;
	*k = (struct packet){.origin = ORIGIN_NONE, .n = (uint32_t)bytes.n};
	if (bytes.n)
		memcpy(k->bytes, bytes.p, bytes.n);
	return k;
}

static void packet_free(struct world *w, struct packet *k)
{
	slab_free(&w->slab, k, sizeof *k + k->n);
}

static int64_t delay_of(const struct sim_net *n, struct rng *r)
{
	int64_t d = n->delay_us;
	if (n->jitter_us > 0)
		d += (int64_t)rng_exp(r, (double)n->jitter_us);
	return d;
}

int64_t net_delay(struct world *w)
{
	return delay_of(&w->o.net, &w->rng_net);
}

/* Signalling and voice draw from two streams: how often phones send voice must not change what happens to their calls. */
void net_udp(struct world *w, const struct addr *from, const struct addr *to, struct span bytes, int32_t origin, bool rtp)
{
	const struct sim_net *n = &w->o.net;
	struct rng *r = rtp ? &w->rng_rtp : &w->rng_net;
	if (n->loss > 0 && rng_unit(r) < n->loss)
		return;
	int copies = 1 + (n->dup > 0 && rng_unit(r) < n->dup);
	while (copies-- > 0) {
		struct packet *k = packet_new(w, bytes);
		if (!k)
			return;
		k->from = *from;
		k->to = *to;
		k->origin = origin;
		k->transport = SIP_UDP;
		int64_t at = w->now + delay_of(n, r);
		if (n->reorder > 0 && rng_unit(r) < n->reorder)
			at += (int64_t)rng_below(r, 20000);
		world_at(w, at, EV_PACKET, 0, 0, k);
	}
}

struct sim_phone *net_phone_of(struct world *w, const struct addr *a)
{
	if (a->family != 4 || a->ip[0] != 10 || a->ip[1] != 1)
		return NULL;
	uint32_t i = (uint32_t)a->ip[2] * 250 + a->ip[3] - 1;
	return a->ip[3] > 0 && a->ip[3] <= 250 && i < w->n_phones ? &w->phone[i] : NULL;
}

/* ---- TCP ----------------------------------------------------------------------------------------------------- */

static struct link *link_of(struct world *w, uint32_t conn)
{
	return conn > 0 && conn <= w->n_links ? &w->link[conn - 1] : NULL;
}

static struct link *link_open(struct world *w, struct sim_phone *p)
{
	if (w->n_links == w->cap_links) {
		uint32_t cap = w->cap_links ? w->cap_links * 2 : 64;
		w->link = world_grown(w->link, cap * sizeof *w->link);
		w->cap_links = cap;
	}
	struct link *l = &w->link[w->n_links++];
	*l = (struct link){.conn = w->n_links, .phone = p->i, .phone_port = (uint16_t)(32768 + p->next_tcp_port++ % 28000), .up = true};
	l->last_at[0] = l->last_at[1] = w->now + 3 * net_delay(w);
	p->link = l->conn;
	l->dead = !w->cell; /* nobody listens: the attempt is refused */
	world_at(w, l->last_at[1], EV_CONN, (uint64_t)p->i << 32 | l->conn, w->cell != NULL, NULL);
	return l;
}

static void stream_send(struct world *w, struct link *l, int dir, struct span bytes)
{
	struct packet *k = packet_new(w, bytes);
	if (!k)
		return;
	k->conn = l->conn;
	k->transport = SIP_TCP;
	k->origin = dir;
	int64_t at = w->now + net_delay(w);
	while (w->o.net.loss > 0 && rng_unit(&w->rng_net) < w->o.net.loss)
		at += 200000; /* what a retransmission costs */
	if (at <= l->last_at[dir])
		at = l->last_at[dir] + 1;
	l->last_at[dir] = at;
	world_at(w, at, EV_STREAM, 0, 0, k);
}

static struct sip_flow flow_at_cell(struct world *w, const struct link *l)
{
	struct sip_flow f = {.transport = SIP_TCP, .conn = l->conn, .remote = w->phone[l->phone].ip, .local = w->cell_addr};
	f.remote.port = l->phone_port;
	return f;
}

static struct sip_flow flow_at_phone(struct world *w, const struct link *l)
{
	struct sip_flow f = {.transport = SIP_TCP, .conn = l->conn, .remote = w->cell_addr, .local = w->phone[l->phone].ip};
	f.local.port = l->phone_port;
	return f;
}

void net_stream(struct world *w, struct packet *k)
{
	struct link *l = link_of(w, k->conn);
	if (!l->dead && k->origin == 0) {
		struct cell_in in = {.kind = CELL_IN_SIP};
		in.u.sip.flow = flow_at_cell(w, l);
		in.u.sip.bytes = span_mem(k->bytes, k->n);
		if (span_starts(in.u.sip.bytes, SPAN_LIT("REGISTER ")) || span_starts(in.u.sip.bytes, SPAN_LIT("SUBSCRIBE ")))
			check_note_register(w);
		world_cell(w, &in);
	} else if (!l->dead && w->phone[l->phone].link == l->conn) {
		struct vphone_in in = {.kind = VP_IN_SIP, .flow = flow_at_phone(w, l), .bytes = span_mem(k->bytes, k->n)};
		phone_step(&w->phone[l->phone], &in);
	}
	packet_free(w, k);
}

void net_conn(struct world *w, uint32_t phone, uint32_t conn, bool up)
{
	struct link *l = link_of(w, conn);
	if (up && l->dead)
		return;
	struct vphone_in in = {.kind = VP_IN_CONN, .flow = flow_at_phone(w, l), .conn_up = up};
	phone_step(&w->phone[phone], &in);
}

void net_cut(struct world *w, struct sim_phone *p)
{
	struct link *l = link_of(w, p->link);
	if (!l || l->dead)
		return;
	l->dead = true;
	p->link = 0;
	struct cell_in in = {.kind = CELL_IN_FLOW_CLOSED};
	in.u.sip.flow = flow_at_cell(w, l);
	world_cell(w, &in);
	if (p->v)
		world_at(w, w->now + net_delay(w), EV_CONN, (uint64_t)p->i << 32 | l->conn, 0, NULL);
}

void net_down(struct world *w)
{
	for (uint32_t i = 0; i < w->n_links; i++) {
		struct link *l = &w->link[i];
		struct sim_phone *p = &w->phone[l->phone];
		if (l->dead)
			continue;
		l->dead = true;
		if (p->link == l->conn)
			p->link = 0;
		if (p->v)
			world_at(w, w->now + net_delay(w), EV_CONN, (uint64_t)p->i << 32 | l->conn, 0, NULL);
	}
}

/* ---- in and out ---------------------------------------------------------------------------------------------- */

void net_from_cell(struct world *w, const struct sip_flow *to, struct span bytes)
{
	struct sim_phone *p = net_phone_of(w, &to->remote);
	if (!p) {
		violation(w, "cell sends to an address where nobody is: %u.%u.%u.%u:%u", to->remote.ip[0], to->remote.ip[1], to->remote.ip[2],
			  to->remote.ip[3], to->remote.port);
		return;
	}
	if (to->transport == SIP_UDP) {
		net_udp(w, &w->cell_addr, &to->remote, bytes, ORIGIN_NONE, false);
		return;
	}
	struct link *l = link_of(w, to->conn ? to->conn : p->link);
	if (l && !l->dead)
		stream_send(w, l, 1, bytes);
}

void net_from_phone(struct world *w, struct sim_phone *p, const struct sip_flow *flow, struct span bytes)
{
	if (!addr_eq(&flow->remote, &w->cell_addr)) {
		w->res.events++; /* a phone may be told to send anywhere: it goes nowhere */
		return;
	}
	if (flow->transport == SIP_UDP) {
		net_udp(w, &p->ip, &flow->remote, bytes, ORIGIN_NONE, false);
		return;
	}
	struct link *l = link_of(w, flow->conn ? flow->conn : p->link);
	if (!l || l->dead)
		l = link_open(w, p);
	if (!l->dead)
		stream_send(w, l, 0, bytes);
}

static void to_cell_host(struct world *w, const struct packet *k)
{
	struct span bytes = span_mem(k->bytes, k->n);
	if (!w->cell)
		return;
	if (k->to.port == SIM_SIP_PORT) {
		struct cell_in in = {.kind = CELL_IN_SIP};
		in.u.sip.flow = (struct sip_flow){.transport = SIP_UDP, .remote = k->from, .local = w->cell_addr};
		in.u.sip.bytes = bytes;
		if (span_starts(bytes, SPAN_LIT("REGISTER ")) || span_starts(bytes, SPAN_LIT("SUBSCRIBE ")))
			check_note_register(w);
		world_cell(w, &in);
	} else if (k->to.port >= SIM_RTP_BASE && k->to.port < SIM_RTP_BASE + 2 * w->n_slots) {
		uint32_t off = (uint32_t)k->to.port - SIM_RTP_BASE;
		w->res.rtp_packets++;
		w->origin = k->origin;
		mgraph_packet(w->media, off / 2, off & 1, &k->from, bytes, w->now);
		w->origin = ORIGIN_NONE;
	}
}

static void to_phone(struct world *w, struct sim_phone *p, const struct packet *k)
{
	if (!p->v)
		return;
	if (k->to.port == p->ip.port) {
		struct vphone_in in = {.kind = VP_IN_SIP, .bytes = span_mem(k->bytes, k->n)};
		in.flow = (struct sip_flow){.transport = SIP_UDP, .remote = k->from, .local = p->ip};
		phone_step(p, &in);
		return;
	}
	if (!phone_rtp_is_open(p, k->to.port))
		return;
	struct vphone_in in = {.kind = VP_IN_RTP, .bytes = span_mem(k->bytes, k->n), .rtp_port = k->to.port, .rtp_from = k->from};
	if (!(k->to.port & 1)) {
		p->heard++;
		p->heard_from = k->origin;
		p->heard_at = w->now;
		if (w->host.heard)
			w->host.heard(w->host.ctx, p, k->origin);
	}
	phone_step(p, &in);
}

void net_packet(struct world *w, struct packet *k)
{
	struct sim_phone *p = net_phone_of(w, &k->to);
	if (p)
		to_phone(w, p, k);
	else if (addr_same_ip(&k->to, &w->cell_addr))
		to_cell_host(w, k);
	packet_free(w, k);
}

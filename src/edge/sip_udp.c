#include "edge/sip_udp.h"

#include "base/assert.h"
#include "edge/limits.h"
#include "io/udp.h"
#include "sip/msg/frame.h"

#include <stdlib.h>

struct listener {
	struct loop_fd watch;
	struct sip_udp *owner;
	struct udp *sock;
	uint16_t number;
	int64_t full_since_us; /* 0: the last reading took all there was */
	bool full;             /* read in this turn, and there may be more */
};

struct sip_udp {
	struct sip_udp_opts o;
	struct listener listeners[SIP_MAX_LISTENERS];
	uint64_t keepalives;
};

struct sip_udp *sip_udp_new(const struct sip_udp_opts *o)
{
	struct sip_udp *s = calloc(1, sizeof *s);
	if (s)
		s->o = *o;
	return s;
}

static void on_datagram(void *ctx, const struct addr *from, const struct addr *to, struct span bytes)
{
	struct listener *l = ctx;
	if (sip_is_keepalive(bytes)) {
		l->owner->keepalives++;
		return;
	}
	struct sip_flow flow = {.transport = SIP_UDP, .listener = l->number, .remote = *from, .local = *to};
	l->owner->o.on_message(l->owner->o.ctx, &flow, bytes);
}

/* One batch for each turn: the rest comes up again after the answers have left. */
static void on_ready(struct loop_fd *f, uint32_t events)
{
	(void)events;
	struct listener *l = CONTAINER_OF(f, struct listener, watch);
	int n = udp_recv(l->sock, on_datagram, l);
	l->full = n >= UDP_BATCH;
	if (l->full && !l->full_since_us)
		l->full_since_us = l->owner->o.loop->now_us;
}

int sip_udp_listen(struct sip_udp *s, uint16_t listener, const struct addr *at)
{
	INVARIANT(listener < SIP_MAX_LISTENERS && !s->listeners[listener].sock);
	struct udp *u = udp_open(at, UDP_RCVBUF);
	if (!u)
		return -1;
	struct listener *l = &s->listeners[listener];
	*l = (struct listener){.watch = {udp_fd(u), on_ready}, .owner = s, .sock = u, .number = listener};
	if (loop_add(s->o.loop, &l->watch, EPOLLIN) == 0)
		return 0;
	udp_close(u);
	l->sock = NULL;
	return -1;
}

void sip_udp_free(struct sip_udp *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < SIP_MAX_LISTENERS; i++) {
		if (!s->listeners[i].sock)
			continue;
		udp_flush(s->listeners[i].sock);
		loop_remove(s->o.loop, &s->listeners[i].watch);
		udp_close(s->listeners[i].sock);
	}
	free(s);
}

bool sip_udp_send(struct sip_udp *s, const struct sip_flow *to, struct span bytes)
{
	if (to->listener >= SIP_MAX_LISTENERS || !s->listeners[to->listener].sock)
		return false;
	return udp_send(s->listeners[to->listener].sock, &to->remote, &to->local, bytes) == 0;
}

void sip_udp_flush(struct sip_udp *s)
{
	for (unsigned i = 0; i < SIP_MAX_LISTENERS; i++)
		if (s->listeners[i].sock)
			udp_flush(s->listeners[i].sock);
}

int64_t sip_udp_late_us(struct sip_udp *s, int64_t now_us)
{
	int64_t most = 0;
	for (unsigned i = 0; i < SIP_MAX_LISTENERS; i++) {
		struct listener *l = &s->listeners[i];
		if (!l->full)
			l->full_since_us = 0; /* also when nothing came: the last batch was full by chance */
		else if (now_us - l->full_since_us > most)
			most = now_us - l->full_since_us;
		l->full = false;
	}
	return most;
}

struct sip_udp_counts sip_udp_counts(const struct sip_udp *s)
{
	struct sip_udp_counts c = {.keepalives = s->keepalives};
	for (unsigned i = 0; i < SIP_MAX_LISTENERS; i++) {
		if (!s->listeners[i].sock)
			continue;
		struct udp_counts u = udp_counts(s->listeners[i].sock);
		c.rx += u.rx;
		c.tx += u.tx;
		c.rx_calls += u.rx_calls;
		c.tx_calls += u.tx_calls;
		c.too_long += u.rx_too_long;
		c.lost += u.tx_lost;
	}
	return c;
}

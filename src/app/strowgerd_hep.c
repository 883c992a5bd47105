#include "app/strowgerd_hep.h"

#include "io/udp.h"
#include "sip/msg/hep.h"
#include "sip/msg/redact.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct hep_sender {
	const struct site_key *key;
	struct log_sink *log;
	struct udp *sock; /* NULL: off */
	struct addr to;
	uint32_t agent;
	uint64_t settings; /* revision they were read at */
	char password[64];
	size_t n_password;
	struct udp_counts before; /* of sockets that are closed */
	uint64_t too_long;
	atomic_uint_fast64_t sent, dropped;
	char packet[HEP_PACKET_MAX];
};

struct hep_sender *hep_new(const struct site_key *key, struct log_sink *log)
{
	struct hep_sender *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->key = key;
	h->log = log;
	return h;
}

static void off(struct hep_sender *h)
{
	if (!h->sock)
		return;
	hep_flush(h);
	h->before.tx += udp_counts(h->sock).tx;
	h->before.tx_lost += udp_counts(h->sock).tx_lost;
	udp_close(h->sock);
	h->sock = NULL;
}

void hep_free(struct hep_sender *h)
{
	if (!h)
		return;
	off(h);
	explicit_bzero(h->password, sizeof h->password);
	free(h);
}

static void read_password(struct hep_sender *h, const char *sealed)
{
	struct text t = TEXT_ARRAY(h->password);
	h->n_password = 0;
	if (!sealed[0])
		return;
	if (unseal(h->key, "hep", span_z(sealed), &t) == 0)
		h->n_password = t.n;
	else
		log_event(h->log, LOG_ERROR, "site.secret_not_opened", LOG_Z("setting", "hep_key"));
}

void hep_site(struct hep_sender *h, const struct site *site)
{
	const struct site_settings *st = site_settings_of(site);
	struct addr to = {0};
	if (!h || st->revision == h->settings)
		return;
	h->settings = st->revision;
	h->agent = (uint32_t)st->hep_agent_id;
	read_password(h, st->hep_key_sealed);
	if (st->hep_collector[0] && addr_parse_port(span_z(st->hep_collector), &to) != 0)
		to = (struct addr){0};
	if (addr_eq(&to, &h->to))
		return;
	off(h);
	h->to = to;
	if (!to.family)
		return;
	struct addr any = {.family = to.family};
	h->sock = udp_open(&any, 0);
	if (h->sock)
		log_event(h->log, LOG_INFO, "hep.on", LOG_Z("collector", st->hep_collector), LOG_I("agent", h->agent));
	else
		log_event(h->log, LOG_ERROR, "hep.not_on", LOG_Z("collector", st->hep_collector), LOG_Z("why", strerror(errno)));
}

bool hep_is_on(const struct hep_sender *h)
{
	return h && h->sock;
}

void hep_message(struct hep_sender *h, bool in, const struct sip_flow *flow, struct span bytes, int64_t wall_us)
{
	struct sip_glance g;
	sip_glance(&g, bytes);
	struct hep_packet p = {.src = in ? &flow->remote : &flow->local, .dst = in ? &flow->local : &flow->remote,
			       .udp = flow->transport == SIP_UDP, .wall_us = wall_us, .agent = h->agent,
			       .key = span_mem(h->password, h->n_password), .correlation = g.call_id, .payload = bytes};
	struct text t = TEXT_ARRAY(h->packet);
	hep_put(&t, &p);
	if (t.over || udp_send(h->sock, &h->to, &(struct addr){0}, text_span(&t)) != 0)
		h->too_long++;
}

void hep_flush(struct hep_sender *h)
{
	if (!hep_is_on(h))
		return;
	udp_flush(h->sock);
	struct udp_counts c = udp_counts(h->sock);
	atomic_store_explicit(&h->sent, h->before.tx + c.tx, memory_order_relaxed);
	atomic_store_explicit(&h->dropped, h->before.tx_lost + c.tx_lost + h->too_long, memory_order_relaxed);
}

struct hep_counts hep_counts(const struct hep_sender *h)
{
	return (struct hep_counts){atomic_load_explicit(&h->sent, memory_order_relaxed), atomic_load_explicit(&h->dropped, memory_order_relaxed)};
}

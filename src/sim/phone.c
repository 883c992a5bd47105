#include "sim/world.h"

#include <stdlib.h>
#include <stdio.h>

static void rearm(struct sim_phone *p)
{
	int64_t d = p->v ? vphone_deadline(p->v) : INT64_MAX;
	if (d >= p->timer_at)
		return;
	if (d < p->w->now)
		d = p->w->now;
	p->timer_at = d;
	world_at(p->w, d, EV_PHONE_TIMER, p->i, 0, NULL);
}

bool phone_rtp_is_open(const struct sim_phone *p, uint16_t port)
{
	uint16_t even = port & 0xfffe;
	for (int i = 0; i < SIM_RTP_PORTS; i++)
		if (p->rtp_port[i] == even)
			return true;
	return false;
}

static void rtp_open(struct sim_phone *p, uint16_t port)
{
	if (phone_rtp_is_open(p, port))
		return;
	for (int i = 0; i < SIM_RTP_PORTS; i++) {
		if (p->rtp_port[i] == 0) {
			p->rtp_port[i] = port;
			return;
		}
	}
	violation(p->w, "phone %s: more than %d RTP ports open", p->ext, SIM_RTP_PORTS);
}

static void rtp_close(struct sim_phone *p, uint16_t port)
{
	for (int i = 0; i < SIM_RTP_PORTS; i++)
		if (p->rtp_port[i] == port)
			p->rtp_port[i] = 0;
}

static void keep_flash(struct sim_phone *p, struct span b)
{
	if (b.n > p->flash_cap) {
		p->flash = world_grown(p->flash, b.n);
		p->flash_cap = b.n;
	}
	if (b.n)
		memcpy(p->flash, b.p, b.n);
	p->flash_n = b.n;
}

static void trace(struct world *w, const struct sim_phone *p, const struct vphone_out *o)
{
	trace_hash_u64(&w->trace, (uint64_t)p->i << 8 | (uint64_t)o->kind);
	if (o->bytes.n)
		trace_hash_add(&w->trace, o->bytes.p, o->bytes.n);
	if (o->event.n)
		trace_hash_add(&w->trace, o->event.p, o->event.n);
	if (o->http_url.n)
		trace_hash_add(&w->trace, o->http_url.p, o->http_url.n);
}

static void send_rtp(struct world *w, struct sim_phone *p, const struct vphone_out *o)
{
	struct addr from = p->ip;
	from.port = o->rtp_port;
	w->res.rtp_packets++;
	net_udp(w, &from, &o->to, o->bytes, (int32_t)p->i, true);
}

/* An ACK that never came is the network's fault where it loses a fifth, and the crash's where there was one. */
static bool excused(const struct world *w)
{
	return w->o.net.loss >= 0.1 || (w->crashed_us && w->now - w->crashed_us < 120 * INT64_C(1000000));
}

static void on_out(struct vphone_sink *s, const struct vphone_out *o)
{
	struct sim_phone *p = CONTAINER_OF(s, struct sim_phone, sink);
	struct world *w = p->w;
	if (o->kind == VP_OUT_RTP) {
		send_rtp(w, p, o);
		return;
	}
	if (o->kind != VP_OUT_LOG)
		trace(w, p, o);
	switch (o->kind) {
	case VP_OUT_RTP:
		break;
	case VP_OUT_SIP:
		w->res.sip_messages++;
		p->changed = true;
		if (w->o.verbose)
			world_say(w, SAY_TRACE, "phone %s >> " SPAN_FMT, p->ext, SPAN_ARG(o->bytes));
		check_note_request(w, p, o->bytes);
		net_from_phone(w, p, &o->flow, o->bytes);
		break;
	case VP_OUT_HTTP:
		web_request(w, p, o);
		break;
	case VP_OUT_RTP_OPEN:
		rtp_open(p, o->rtp_port);
		break;
	case VP_OUT_RTP_CLOSE:
		rtp_close(p, o->rtp_port);
		break;
	case VP_OUT_FLASH:
		keep_flash(p, o->bytes);
		break;
	case VP_OUT_EVENT:
		p->changed = true;
		if (span_eqz(o->event, "registered") && !p->registered_us)
			p->registered_us = w->now;
		else if (span_eqz(o->event, "unregistered"))
			p->registered_us = 0;
		if (w->o.verbose)
			world_say(w, SAY_TRACE, "phone %s: event " SPAN_FMT " " SPAN_FMT, p->ext, SPAN_ARG(o->event), SPAN_ARG(o->detail));
		break;
	case VP_OUT_DEFECT:
		if (span_eqz(o->event, "RFC3261-13.2.2.4") && excused(w))
			break;
		violation(w, "phone %s reports defect " SPAN_FMT ": " SPAN_FMT, p->ext, SPAN_ARG(o->event), SPAN_ARG(o->detail));
		break;
	case VP_OUT_LOG:
		if (w->o.verbose)
			world_say(w, SAY_TRACE, "phone %s: " SPAN_FMT, p->ext, SPAN_ARG(o->detail));
		break;
	}
}

void phone_step(struct sim_phone *p, const struct vphone_in *in)
{
	if (!p->v)
		return;
	p->w->res.steps++;
	vphone_step(p->v, in, p->w->now, &p->sink);
	rearm(p);
	if (p->changed) {
		p->changed = false;
		p->changed_at = p->w->now;
		if (p->w->host.changed)
			p->w->host.changed(p->w->host.ctx, p);
	}
}

void phone_timer(struct sim_phone *p)
{
	if (p->timer_at > p->w->now)
		return; /* an earlier wake-up was queued behind this one and has already run */
	p->timer_at = INT64_MAX;
	if (p->v && vphone_deadline(p->v) <= p->w->now) {
		struct vphone_in in = {.kind = VP_IN_TIMER};
		phone_step(p, &in);
	} else {
		rearm(p);
	}
}

void phone_user(struct sim_phone *p, const char *verb, const char *arg)
{
	struct vphone_in in = {.kind = VP_IN_USER, .verb = span_z(verb), .arg = span_z(arg)};
	if (p->w->o.verbose)
		world_say(p->w, SAY_TRACE, "user of %s: %s %s", p->ext, verb, arg ? arg : "");
	phone_step(p, &in);
	if (p->w->host.changed)
		p->w->host.changed(p->w->host.ctx, p);
}

int phone_init(struct world *w, uint32_t i, const char *ext, const char *pin, const char **error)
{
	struct sim_phone *p = &w->phone[i];
	static const char *const models[] = {"VVX410", "SPIP650"};
	p->w = w;
	p->i = i;
	p->sink.emit = on_out;
	p->timer_at = INT64_MAX;
	p->heard_from = ORIGIN_NONE;
	p->model = models[i % 2];
	p->ip = (struct addr){.ip = {10, 1, (uint8_t)(i / 250), (uint8_t)(i % 250 + 1)}, .port = 5060, .family = 4};
	snprintf(p->mac, sizeof p->mac, "%s%06x", i % 2 ? "0004f2" : "64167f", i + 0x100);
	if (!span_copyz(span_z(ext), p->ext, sizeof p->ext) || !span_copyz(span_z(pin), p->pin, sizeof p->pin)) {
		*error = "extension or PIN is too long";
		return -1;
	}
	snprintf(p->url, sizeof p->url, "http://10.0.0.1:%d/", SIM_HTTP_PORT);
	return 0;
}

int phone_power(struct world *w, struct sim_phone *p, uint16_t sip_port, uint16_t rtp_ms, const char **error)
{
	if (p->v) {
		net_cut(w, p);
		vphone_free(p->v);
		p->v = NULL;
		memset(p->rtp_port, 0, sizeof p->rtp_port);
	}
	p->registered_us = 0;
	p->ip.port = sip_port;
	struct vphone_opts o = {.model = p->model, .ip = p->ip, .seed = {w->o.seed ^ 0x70686f6e65, p->i + ((uint64_t)w->now << 16)},
				.server_url = p->url, .server_user = p->ext, .server_password = p->pin,
				.flash = span_mem(p->flash, p->flash_n), .rtp_interval_ms = rtp_ms};
	memcpy(o.mac, p->mac, sizeof o.mac);
	p->v = vphone_new(&o, w->now, error);
	if (!p->v)
		return -1;
	world_at(w, w->now, EV_START, p->i, 0, NULL);
	return 0;
}

void phone_free(struct sim_phone *p)
{
	vphone_free(p->v);
	free(p->flash);
	p->v = NULL;
	p->flash = NULL;
}

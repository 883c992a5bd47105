/* The machine's door: construction, the step, the deadline, what outputs share. */
#include "vphone/machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void vp_copyz(char *dst, size_t cap, struct span s)
{
	size_t n = s.n < cap ? s.n : cap - 1;
	if (n)
		memcpy(dst, s.p, n);
	dst[n] = 0;
}

void vp_out(struct vphone *v, const struct vphone_out *o)
{
	if (v->sink)
		v->sink->emit(v->sink, o);
}

void vp_event(struct vphone *v, const char *event, const char *fmt, ...)
{
	char detail[192];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof detail, fmt, ap);
	va_end(ap);
	vp_out(v, &(struct vphone_out){.kind = VP_OUT_EVENT, .event = span_z(event), .detail = span_z(detail)});
}

void vp_log(struct vphone *v, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	vp_out(v, &(struct vphone_out){.kind = VP_OUT_LOG, .detail = span_z(line)});
}

static bool take_mac(char dst[13], const char *mac)
{
	size_t n = strlen(mac);
	if (n != 12)
		return false;
	for (size_t i = 0; i < 12; i++) {
		if (ascii_hex(mac[i]) < 0)
			return false;
		dst[i] = ascii_lower(mac[i]); /* V5: names on the wire are in lower case */
	}
	dst[12] = 0;
	return true;
}

static struct txn_layer *new_layer(struct vphone *v)
{
	struct txn_user u = vp_txn_user;
	struct txn_limits lim = {.max_txns = 256, .max_bytes = 512 * 1024};
	struct hash_key key = {rng_u64(&v->rng), rng_u64(&v->rng)};
	u.ctx = v;
	return txn_layer_new(&u, &lim, &txn_times_default, key, &v->slab, &v->wheel);
}

struct vphone *vphone_new(const struct vphone_opts *o, int64_t now_us, const char **error)
{
	const struct vp_model *model = vp_model_find(span_z(o->model));
	struct vphone *v = calloc(1, sizeof *v);
	*error = "no memory";
	if (!v)
		return NULL;
	if (!model || !take_mac(v->mac, o->mac)) {
		*error = model ? "the MAC must be 12 hexadecimal digits" : "no such model";
		free(v);
		return NULL;
	}
	v->model = model;
	v->ip = o->ip;
	if (!v->ip.port)
		v->ip.port = 5060;
	v->rng = rng_seed(o->seed.k0, o->seed.k1);
	v->rtp_interval_ms = o->rtp_interval_ms ? o->rtp_interval_ms : 20;
	v->rtp_silent = o->rtp_silent;
	v->force_transport = o->force_transport;
	v->force_rtp_base = o->force_rtp_base & 0xfffeu;
	v->boot_us = (o->boot_ms ? o->boot_ms : 2000) * 1000;
	v->focus = 0;
	v->now_us = now_us;
	v->digit_timer.kind = VP_T_DIGIT;
	vp_flash_load(&v->flash, o->flash);
	if (o->server_url && o->server_url[0])
		vp_copyz(v->flash.url, sizeof v->flash.url, span_z(o->server_url));
	if (o->server_user && o->server_user[0]) {
		vp_copyz(v->flash.user, sizeof v->flash.user, span_z(o->server_user));
		vp_copyz(v->flash.password, sizeof v->flash.password, span_z(o->server_password ? o->server_password : ""));
	}
	wheel_init(&v->wheel, now_us);
	slab_init(&v->slab, 1024 * 1024);
	v->txn = new_layer(v);
	if (!v->txn) {
		vphone_free(v);
		return NULL;
	}
	return v;
}

void vp_power_off(struct vphone *v)
{
	while (v->calls[0])
		vp_call_free(v, v->calls[0]);
	for (unsigned i = 0; i < v->n_lines; i++)
		for (unsigned k = 0; k < VP_MAX_SERVERS; k++)
			wheel_cancel(&v->wheel, &v->lines[i].reg[k].timer);
	for (unsigned i = 0; i < v->n_lines; i++)
		vp_mwi_clear(v, &v->lines[i].mwi);
	for (size_t i = 0; i < COUNT_OF(v->refers); i++)
		vp_refer_clear(v, &v->refers[i]);
	free(v->lines);
	v->lines = NULL;
	v->n_lines = 0;
	v->line = 0;
	vp_boot_drop(v);
	wheel_cancel(&v->wheel, &v->digit_timer);
	v->booted = v->offhook = false;
	v->transferring = 0;
	v->digits[0] = 0;
	v->focus = 0;
}

void vp_reboot(struct vphone *v, int64_t delay_us)
{
	vp_power_off(v);
	/* transactions under way die with the power */
	if (v->txn)
		txn_layer_free(v->txn);
	v->txn = new_layer(v);
	if (v->txn)
		vp_boot_start(v, delay_us);
}

void vphone_free(struct vphone *v)
{
	if (!v)
		return;
	v->sink = NULL;
	vp_power_off(v);
	if (v->txn)
		txn_layer_free(v->txn);
	vp_params_clear(&v->params);
	vp_params_clear(&v->flash.cached);
	free(v->defects);
	slab_destroy(&v->slab);
	free(v);
}

static void fire(struct vphone *v, struct timer *t)
{
	if (t->kind >= TXN_TIMER_FIRST && t->kind <= TXN_TIMER_LAST) {
		txn_timer(v->txn, t, v->now_us);
		return;
	}
	switch ((enum vp_timer)t->kind) {
	case VP_T_BOOT: vp_boot_timer(v); break;
	case VP_T_REG: vp_reg_timer(v, CONTAINER_OF(t, struct vp_reg, timer)); break;
	case VP_T_CALL: vp_call_timer(v, CONTAINER_OF(t, struct vp_call, timer)); break;
	case VP_T_RTP: vp_media_timer(v, CONTAINER_OF(t, struct vp_media, timer)); break;
	case VP_T_GLARE: vp_glare_timer(v, CONTAINER_OF(t, struct vp_call, glare)); break;
	case VP_T_REL: vp_incoming_rel_timer(v, CONTAINER_OF(t, struct vp_call, rel)); break;
	case VP_T_MWI: vp_mwi_timer(v, CONTAINER_OF(t, struct vp_mwi, timer)); break;
	case VP_T_SESSION: vp_session_timer(v, CONTAINER_OF(t, struct vp_call, session)); break;
	case VP_T_DIGIT: vp_digit_timer(v); break;
	case VP_T_REFER: vp_refer_clear(v, CONTAINER_OF(t, struct vp_refer, timer)); break;
	}
}

static void conn_changed(struct vphone *v, const struct vphone_in *in)
{
	if (in->conn_up || !v->booted)
		return;
	txn_flow_failed(v->txn, &in->flow, v->now_us);
	/* a registration lived on that connection: make it anew */
	for (unsigned i = 0; i < v->n_lines; i++)
		for (unsigned k = 0; k < VP_MAX_SERVERS; k++) {
			struct vp_reg *r = &v->lines[i].reg[k];
			if (r->registered && r->flow.transport != SIP_UDP && addr_eq(&r->flow.remote, &in->flow.remote))
				vp_reg_failed(v, r, 0, "connection lost");
		}
}

void vphone_step(struct vphone *v, const struct vphone_in *in, int64_t now_us, struct vphone_sink *sink)
{
	struct timer *t;
	v->sink = sink;
	if (now_us > v->now_us)
		v->now_us = now_us;
	while ((t = wheel_pop(&v->wheel, v->now_us)))
		fire(v, t);
	switch (in->kind) {
	case VP_IN_START:
		if (!v->started) {
			v->started = true;
			vp_boot_start(v, v->boot_us);
		}
		break;
	case VP_IN_TIMER: break;
	case VP_IN_SIP:
		if (v->booted)
			vp_ua_bytes(v, in);
		break;
	case VP_IN_CONN: conn_changed(v, in); break;
	case VP_IN_HTTP: vp_boot_http(v, in); break;
	case VP_IN_RTP:
		if (v->booted)
			vp_media_rtp(v, in);
		break;
	case VP_IN_USER: vp_user(v, in->verb, in->arg); break;
	}
	v->sink = NULL;
}

int64_t vphone_deadline(const struct vphone *v)
{
	return wheel_deadline(&v->wheel);
}

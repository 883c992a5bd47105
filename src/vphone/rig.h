/* A little world for the phone's tests: virtual time, a file server, a registrar and proxy of a few lines, RTP by address.
 * Only for *_test.c and *_fuzz.c of this folder. */
#ifndef VPHONE_RIG_H
#define VPHONE_RIG_H

#include "base/rng.h"
#include "sip/auth/auth.h"
#include "sip/msg/build.h"
#include "vphone/vphone.h"

#include <stdio.h>
#include <stdlib.h>

enum { RIG_PHONES = 3, RIG_FILES = 16, RIG_QUEUE = 512, RIG_LOG = 16384 };

struct rig_packet {
	enum vphone_in_kind kind;
	int to; /* phone, or -1: the server */
	struct sip_flow flow; /* as the receiver sees it */
	struct addr from;
	uint16_t rtp_port;
	uint32_t http_id;
	int http_status;
	char *bytes;
	size_t n;
	const char *challenge;
	int64_t at_us;
};

struct rig_phone {
	struct vphone_sink sink;
	struct rig *rig;
	int index;
	struct vphone *v;
	struct addr ip;
	char events[RIG_LOG], http[RIG_LOG];
	size_t events_n, http_n;
	char flash[8192];
	size_t flash_n;
	struct vphone_opts opts;
	char contact[128]; /* as registered */
	int registers, ports_open, tries_of_auth;
	char last_register[2048], last_invite[4096], last_200[4096];
};

struct rig_file {
	const char *name, *body;
};

struct rig {
	int64_t now_us;
	struct rig_phone p[RIG_PHONES];
	int n;
	struct rig_packet q[RIG_QUEUE];
	int queued;
	struct addr server;
	struct rig_file file[RIG_FILES];
	int files;
	/* behaviour of the server */
	bool http_down, http_auth, sip_silent, keep_100rel, sip_auth, log_sip;
	const char *user, *password, *users[RIG_PHONES];
	uint32_t grant_s;
	int refuse_register; /* status */
	char rtp_alter_ip;   /* last byte of the source address of RTP; 0 true */
	int drop_rtp_every;
	uint32_t rtp_seen;
	char sip_log[65536];
	size_t sip_log_n;
};

static inline void rig_append(char *log, size_t *n, size_t cap, const char *line)
{
	size_t len = strlen(line);
	if (*n + len + 1 < cap) {
		memcpy(log + *n, line, len + 1);
		*n += len;
	}
}

static inline void rig_push(struct rig *r, struct rig_packet k, struct span bytes, int64_t delay_us)
{
	if (r->queued == RIG_QUEUE)
		abort();
	k.bytes = malloc(bytes.n + 1);
	if (bytes.n)
		memcpy(k.bytes, bytes.p, bytes.n);
	k.n = bytes.n;
	k.at_us = r->now_us + delay_us;
	r->q[r->queued++] = k;
}

static inline int rig_who(const struct rig *r, const struct addr *a)
{
	for (int i = 0; i < r->n; i++)
		if (addr_same_ip(&r->p[i].ip, a))
			return i;
	return -1;
}

static inline const char *rig_path(struct span url)
{
	static char path[512];
	ptrdiff_t at = span_find(url, SPAN_LIT("://"));
	struct span s = at >= 0 ? span_sub(url, (size_t)at + 3, url.n) : url;
	at = span_chr(s, '/');
	span_copyz(at >= 0 ? span_sub(s, (size_t)at + 1, s.n) : SPAN_NONE, path, sizeof path);
	return path;
}

static inline bool rig_http_ok(struct rig *r, const struct vphone_out *o)
{
	struct digest_creds c;
	struct digest_ha1 ha1;
	if (!r->http_auth)
		return true;
	if (digest_parse_creds(o->http_authorization, &c) != DIGEST_OK)
		return false;
	digest_ha1_make(&ha1, span_z(r->user), SPAN_LIT("prov"), span_z(r->password));
	return span_eqz(c.username, r->user) && span_eqz(c.nonce, "n1") && span_eqz(c.qop, "auth") &&
	       digest_check(&c, &ha1, span_z(o->http_method), false);
}

static inline void rig_http(struct rig *r, struct rig_phone *p, const struct vphone_out *o)
{
	char line[1024];
	const char *path = rig_path(o->http_url);
	int status = 404;
	const char *body = "";
	if (r->http_down)
		status = 0;
	else if (!rig_http_ok(r, o))
		status = 401;
	else if (o->http_method[0] == 'P')
		status = 201;
	else
		for (int i = 0; i < r->files; i++)
			if (strcmp(r->file[i].name, path) == 0)
				status = 200, body = r->file[i].body;
	snprintf(line, sizeof line, "%s /%s %s%s\n", o->http_method, path,
		 span_find(o->http_user_agent, SPAN_LIT("Type/Updater")) > 0 ? "U" : "A", status == 401 ? " 401" : status == 0 ? " down" : "");
	rig_append(p->http, &p->http_n, RIG_LOG, line);
	p->tries_of_auth += o->http_authorization.n > 0;
	rig_push(r, (struct rig_packet){.kind = VP_IN_HTTP, .to = p->index, .http_id = o->http_id, .http_status = status,
		.challenge = status == 401 ? "Digest realm=\"prov\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"" : ""}, span_z(body), 2000);
}

static inline void rig_emit(struct vphone_sink *s, const struct vphone_out *o)
{
	struct rig_phone *p = (struct rig_phone *)(void *)s;
	struct rig *r = p->rig;
	char line[512];
	switch (o->kind) {
	case VP_OUT_HTTP: rig_http(r, p, o); break;
	case VP_OUT_SIP: {
		struct sip_flow f = o->flow;
		struct addr to = f.remote;
		f.remote = p->ip;
		if (f.local.port)
			f.remote.port = f.local.port;
		f.local = to;
		if (r->log_sip) {
			rig_append(r->sip_log, &r->sip_log_n, sizeof r->sip_log, "");
			snprintf(line, sizeof line, "---- from %d at %lld\n", p->index, (long long)r->now_us);
			rig_append(r->sip_log, &r->sip_log_n, sizeof r->sip_log, line);
			char *z = strndup(o->bytes.p, o->bytes.n);
			rig_append(r->sip_log, &r->sip_log_n, sizeof r->sip_log, z);
			free(z);
		}
		if (span_starts(o->bytes, SPAN_LIT("INVITE")))
			span_copyz(o->bytes, p->last_invite, sizeof p->last_invite);
		if (span_starts(o->bytes, SPAN_LIT("SIP/2.0 200")))
			span_copyz(o->bytes, p->last_200, sizeof p->last_200);
		rig_push(r, (struct rig_packet){.kind = VP_IN_SIP, .to = rig_who(r, &to), .flow = f, .from = f.remote}, o->bytes, 3000);
		break;
	}
	case VP_OUT_RTP: {
		struct addr from = p->ip;
		int to = rig_who(r, &o->to);
		r->rtp_seen++;
		if (r->rtp_alter_ip)
			from.ip[3] = (uint8_t)r->rtp_alter_ip;
		if (to >= 0 && (!r->drop_rtp_every || r->rtp_seen % (uint32_t)r->drop_rtp_every))
			rig_push(r, (struct rig_packet){.kind = VP_IN_RTP, .to = to, .rtp_port = o->to.port, .from = from}, o->bytes, 4000);
		break;
	}
	case VP_OUT_RTP_OPEN: p->ports_open++; break;
	case VP_OUT_RTP_CLOSE: p->ports_open--; break;
	case VP_OUT_FLASH:
		p->flash_n = o->bytes.n < sizeof p->flash ? o->bytes.n : 0;
		memcpy(p->flash, o->bytes.p, p->flash_n);
		break;
	case VP_OUT_EVENT:
	case VP_OUT_DEFECT:
		snprintf(line, sizeof line, "%s%.*s %.*s\n", o->kind == VP_OUT_DEFECT ? "DEFECT " : "", (int)o->event.n, o->event.p,
			 (int)o->detail.n, o->detail.p);
		rig_append(p->events, &p->events_n, RIG_LOG, line);
		break;
	case VP_OUT_LOG: break;
	}
}

/* ---- the server: registrar and proxy ---- */

static inline void rig_send(struct rig *r, const struct addr *to, struct span bytes, enum sip_transport tr)
{
	struct sip_flow f = {.transport = tr, .remote = r->server, .local = *to};
	int who = rig_who(r, to);
	if (who >= 0)
		rig_push(r, (struct rig_packet){.kind = VP_IN_SIP, .to = who, .flow = f}, bytes, 3000);
}

static inline void rig_reply(struct rig *r, const struct sip_msg *m, const struct sip_flow *from, uint16_t status, const char *extra)
{
	char buf[4096];
	struct sip_build b = {TEXT_ARRAY(buf)};
	sip_reply_begin(&b, m, from, status, NULL, SPAN_LIT("srv"));
	text_z(&b.t, extra);
	if (sip_finish(&b, "", SPAN_NONE))
		rig_send(r, &from->remote, text_span(&b.t), from->transport);
}

static inline bool rig_authed(struct rig *r, const struct sip_msg *m, int who)
{
	struct digest_creds c;
	struct digest_ha1 ha1;
	enum sip_hdr_id id = m->method == SIP_REGISTER ? SIP_H_AUTHORIZATION : SIP_H_PROXY_AUTHORIZATION;
	if (digest_parse_creds(sip_hdr_value(m, id), &c) != DIGEST_OK)
		return false;
	digest_ha1_make(&ha1, span_z(r->users[who]), SPAN_LIT("sip"), SPAN_LIT("secret"));
	return digest_check(&c, &ha1, m->method_name, false);
}

static inline void rig_register(struct rig *r, const struct sip_msg *m, const struct sip_flow *from)
{
	char extra[512];
	int who = rig_who(r, &from->remote);
	if (who < 0)
		return;
	struct rig_phone *p = &r->p[who];
	p->registers++;
	span_copyz(m->raw, p->last_register, sizeof p->last_register);
	if (r->refuse_register) {
		rig_reply(r, m, from, (uint16_t)r->refuse_register, "");
		return;
	}
	if (r->sip_auth && !rig_authed(r, m, who)) {
		rig_reply(r, m, from, 401, "WWW-Authenticate: Digest realm=\"sip\", nonce=\"abc\", algorithm=MD5, qop=\"auth\"\r\n");
		return;
	}
	struct sip_contact_iter it = {0};
	struct sip_nameaddr a;
	if (sip_contact_next(m, SIP_H_CONTACT, &it, &a) != 1)
		return;
	span_copyz(a.uri.all, p->contact, sizeof p->contact);
	snprintf(extra, sizeof extra, "Contact: <%s>;expires=%u\r\n", p->contact, r->grant_s ? r->grant_s : 3600);
	rig_reply(r, m, from, 200, extra);
}

static inline int rig_user(const struct rig *r, struct span user)
{
	for (int i = 0; i < r->n; i++)
		if (r->users[i] && span_eqz(user, r->users[i]))
			return i;
	return -1;
}

/* Stateless forwarding: one Via on top with a branch made of the one below. */
static inline void rig_forward(struct rig *r, const struct sip_msg *m, const struct sip_flow *from, int to)
{
	char buf[8192], *strip;
	struct text t = TEXT_ARRAY(buf);
	text_fmt(&t, "%.*s %s SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKp%.*s\r\n", SPAN_ARG(m->method_name), r->p[to].contact,
		 SPAN_ARG(m->via.branch));
	const char *rest = memchr(m->raw.p, '\n', m->raw.n);
	text_put(&t, span_mem(rest + 1, (size_t)(m->raw.p + m->raw.n - rest - 1)));
	text_end(&t);
	if (!r->keep_100rel && (strip = strstr(buf, "Supported: 100rel,replaces"))) /* as section 12 34 advises */
		memcpy(strip, "Supported: replaces,xxxxxx", 26);
	(void)from;
	rig_send(r, &r->p[to].ip, span_mem(buf, t.n), SIP_UDP);
}

static inline void rig_server(struct rig *r, const struct rig_packet *k)
{
	struct sip_msg m;
	struct sip_error err;
	if (r->sip_silent || sip_parse(&m, span_mem(k->bytes, k->n), &err) != 0)
		return;
	if (!m.is_request) { /* strip our Via */
		const char *via = strstr(k->bytes, "Via:"), *end = via ? strstr(via, "\r\n") : NULL;
		if (!end || !strstr(end, "Via:"))
			return;
		char buf[8192];
		struct text t = TEXT_ARRAY(buf);
		text_put(&t, span_mem(k->bytes, (size_t)(via - k->bytes)));
		text_put(&t, span_mem(end + 2, k->n - (size_t)(end + 2 - k->bytes)));
		struct sip_via v;
		struct addr to;
		const char *next = strstr(end, "Via:") + 4, *stop = strstr(next, "\r\n");
		if (sip_via_parse(span_trim(span_mem(next, (size_t)(stop - next))), &v) == 0 && addr_parse(v.host, v.port ? v.port : 5060, &to) == 0)
			rig_send(r, &to, text_span(&t), SIP_UDP);
		return;
	}
	if (m.method == SIP_REGISTER) {
		rig_register(r, &m, &k->flow);
		return;
	}
	int to = rig_user(r, m.ruri.user);
	if (r->sip_auth && m.method == SIP_INVITE && m.to.tag.n == 0 && !rig_authed(r, &m, rig_who(r, &k->flow.remote)))
		rig_reply(r, &m, &k->flow, 407, "Proxy-Authenticate: Digest realm=\"sip\", nonce=\"inv\", algorithm=MD5, qop=\"auth\"\r\n");
	else if (to >= 0 && r->p[to].contact[0])
		rig_forward(r, &m, &k->flow, to);
	else if (m.method != SIP_ACK)
		rig_reply(r, &m, &k->flow, m.method == SIP_INVITE ? 404 : 481, "");
}

/* ---- time ---- */

static inline void rig_deliver(struct rig *r, int i)
{
	struct rig_packet k = r->q[i];
	memmove(&r->q[i], &r->q[i + 1], sizeof r->q[0] * (size_t)(r->queued - i - 1));
	r->queued--;
	if (k.to < 0) {
		k.bytes[k.n] = 0;
		if (k.kind == VP_IN_SIP)
			rig_server(r, &k);
	} else {
		struct rig_phone *p = &r->p[k.to];
		struct vphone_in in = {.kind = k.kind, .flow = k.flow, .bytes = span_mem(k.bytes, k.n), .rtp_port = k.rtp_port, .rtp_from = k.from,
			.http_id = k.http_id, .http_status = k.http_status, .www_authenticate = span_z(k.challenge)};
		if (p->v)
			vphone_step(p->v, &in, r->now_us, &p->sink);
	}
	free(k.bytes);
}

/* Runs until `until_us`, packet by packet, timer by timer. */
static inline void rig_until(struct rig *r, int64_t until_us)
{
	for (long guard = 0; guard < 20000000; guard++) {
		int64_t at = INT64_MAX;
		int packet = -1, phone = -1;
		for (int i = 0; i < r->queued; i++)
			if (r->q[i].at_us < at)
				at = r->q[i].at_us, packet = i;
		for (int i = 0; i < r->n; i++) {
			int64_t d = r->p[i].v ? vphone_deadline(r->p[i].v) : INT64_MAX;
			if (d < at)
				at = d, packet = -1, phone = i;
		}
		if (at > until_us)
			break;
		if (at > r->now_us)
			r->now_us = at;
		if (packet >= 0)
			rig_deliver(r, packet);
		else
			vphone_step(r->p[phone].v, &(struct vphone_in){.kind = VP_IN_TIMER}, r->now_us, &r->p[phone].sink);
	}
	r->now_us = until_us;
}

static inline void rig_run_ms(struct rig *r, int64_t ms)
{
	rig_until(r, r->now_us + ms * 1000);
}

static inline void rig_do(struct rig *r, int i, const char *verb, const char *arg)
{
	struct vphone_in in = {.kind = VP_IN_USER, .verb = span_z(verb), .arg = span_z(arg)};
	vphone_step(r->p[i].v, &in, r->now_us, &r->p[i].sink);
}

static inline struct vphone_view rig_view(const struct rig *r, int i)
{
	struct vphone_view o;
	vphone_view(r->p[i].v, &o);
	return o;
}

static inline int rig_count(const char *log, const char *what)
{
	int n = 0;
	for (const char *p = log; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

static inline void rig_clear(struct rig *r, int i)
{
	r->p[i].events_n = r->p[i].http_n = 0;
	r->p[i].events[0] = r->p[i].http[0] = 0;
}

static inline struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof *r);
	r->now_us = 1000000;
	r->user = "PlcmSpIp";
	r->password = "PlcmSpIp";
	(void)!addr_parse(SPAN_LIT("10.0.0.1"), 5060, &r->server);
	return r;
}

/* Powers a phone on (again); flash is what it stored. */
static inline void rig_power(struct rig *r, int i)
{
	const char *error;
	struct rig_phone *p = &r->p[i];
	vphone_free(p->v);
	p->opts.flash = span_mem(p->flash, p->flash_n);
	p->v = vphone_new(&p->opts, r->now_us, &error);
	if (!p->v)
		abort();
	vphone_step(p->v, &(struct vphone_in){.kind = VP_IN_START}, r->now_us, &p->sink);
}

static inline int rig_phone(struct rig *r, const char *model, const char *mac, const char *user)
{
	int i = r->n++;
	struct rig_phone *p = &r->p[i];
	p->sink.emit = rig_emit;
	p->rig = r;
	p->index = i;
	char ip[32];
	snprintf(ip, sizeof ip, "10.0.0.%d", 11 + i);
	(void)!addr_parse(span_z(ip), 5060, &p->ip);
	r->users[i] = user;
	p->opts = (struct vphone_opts){.model = model, .mac = "", .ip = p->ip, .seed = {7, (uint64_t)i}, .server_url = "http://10.0.0.1/"};
	memcpy(p->opts.mac, mac, 13);
	return i;
}

static inline void rig_file(struct rig *r, const char *name, const char *body)
{
	for (int i = 0; i < r->files; i++)
		if (strcmp(r->file[i].name, name) == 0) {
			r->file[i].body = body;
			return;
		}
	r->file[r->files++] = (struct rig_file){name, body};
}

static inline void rig_free(struct rig *r)
{
	for (int i = 0; i < r->n; i++)
		vphone_free(r->p[i].v);
	for (int i = 0; i < r->queued; i++)
		free(r->q[i].bytes);
	free(r);
}

/* Two booted, registered phones 201 and 202. */
static inline struct rig *rig_pair(void)
{
	struct rig *r = rig_new();
	rig_phone(r, "VVX410", "0004f2aabb01", "201");
	rig_phone(r, "SPIP650", "0004f2aabb02", "202");
	rig_file(r, "0004f2aabb01.cfg", "<APPLICATION CONFIG_FILES=\"201.cfg\"/>");
	rig_file(r, "0004f2aabb02.cfg", "<APPLICATION CONFIG_FILES=\"202.cfg\"/>");
	rig_file(r, "201.cfg", "<a reg.1.address=\"201\" reg.1.displayName=\"Ann\" reg.1.auth.userId=\"201\" reg.1.auth.password=\"secret\" "
			       "reg.1.server.1.address=\"10.0.0.1\"/>");
	rig_file(r, "202.cfg", "<a reg.1.address=\"202\" reg.1.displayName=\"Bob\" reg.1.auth.userId=\"202\" reg.1.auth.password=\"secret\" "
			       "reg.1.server.1.address=\"10.0.0.1\"/>");
	rig_power(r, 0);
	rig_power(r, 1);
	rig_run_ms(r, 3000);
	return r;
}

#endif

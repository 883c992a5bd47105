/* Provisioning: who asks, for which file, and what that phone may have. Digest by extension and PIN (G34); factory
 * credentials get the guest files (G36); everything else is refused alike, known or not. */
#include "polycom/ua.h"
#include "service/service_internal.h"

#include <stdlib.h>

enum { FILE_MAX = 16384 };

#define FACTORY "PlcmSpIp" /* user and password of a phone as it comes out of the box */

enum who { WHO_NOBODY, WHO_FACTORY, WHO_EXTENSION, WHO_SWITCHED_OFF };

static bool is_trusted(const struct site_settings *st, const struct addr *from)
{
	struct nets n;
	struct span bad;
	return st->trusted_sources[0] && nets_parse(&n, span_z(st->trusted_sources), &bad) == 0 && nets_hold(&n, from);
}

/* SHA-256 first (RFC 7616 3.7), but not for phones: theirs take one challenge, and know MD5 alone. */
static void challenge(struct service *s, const struct site_settings *st, const struct http_request *rq, bool stale, struct http_response *rs)
{
	char nonce[NONCE_MAX + 1], value[256], bind[64];
	struct text n = TEXT_ARRAY(nonce), b = TEXT_ARRAY(bind);
	bool phone = span_istarts(rq->user_agent, SPAN_LIT("FileTransport "));
	addr_put_ip(&b, &rq->from);
	nonce_make(&n, &s->nonces, rq->now_us, text_span(&b));
	rs->status = 401;
	for (int alg = phone ? DIGEST_MD5 : DIGEST_SHA256; alg >= DIGEST_MD5; alg--) {
		struct text v = TEXT_ARRAY(value);
		digest_challenge_write(&v, span_z(st->realm), text_span(&n), (enum digest_alg)alg, stale);
		http_header(rs, "WWW-Authenticate", text_span(&v));
	}
}

/* The work is the same whether the extension exists or not. */
static enum who check(struct service *s, const struct site *site, const struct http_request *rq, const struct digest_creds *c,
		      const struct site_extension **out)
{
	const struct site_settings *st = site_settings_of(site);
	const struct site_extension *e = site_extension_find(site, c->username);
	struct digest_ha1 ha1, factory;
	bool is_factory = span_eqz(c->username, FACTORY);
	digest_ha1_make(&factory, SPAN_LIT(FACTORY), span_z(st->realm), SPAN_LIT(FACTORY));
	digest_ha1_make(&ha1, c->username, span_z(st->realm), span_mem(s->nonces.k, sizeof s->nonces.k)); /* nobody's */
	if (is_factory)
		ha1 = factory;
	else if (e && e->has_pin)
		ha1 = e->pin_ha1;
	struct span method = rq->method == HTTP_PUT ? SPAN_LIT("PUT") : rq->method == HTTP_HEAD ? SPAN_LIT("HEAD") : SPAN_LIT("GET");
	bool fits = digest_check(c, &ha1, method, true);
	if (!fits || (!is_factory && !(e && e->has_pin)))
		return WHO_NOBODY;
	if (is_factory)
		return WHO_FACTORY;
	*out = e;
	return e->row.enabled && e->row.sip_device ? WHO_EXTENSION : WHO_SWITCHED_OFF;
}

static enum who authenticate(struct service *s, const struct site *site, const struct http_request *rq, const struct site_extension **e,
			     struct http_response *rs)
{
	struct digest_creds c;
	char bind[64];
	struct text b = TEXT_ARRAY(bind);
	uint64_t id;
	const struct site_settings *st = site_settings_of(site);
	if (rq->authorization.n == 0 || digest_parse_creds(rq->authorization, &c) != DIGEST_OK || !span_eqz(c.realm, st->realm)) {
		challenge(s, st, rq, false, rs);
		return WHO_NOBODY;
	}
	addr_put_ip(&b, &rq->from);
	enum nonce_state ns = nonce_check(c.nonce, &s->nonces, rq->now_us, NONCE_LIFE_US, text_span(&b), &id);
	struct span uri = c.uri;
	ptrdiff_t q = span_chr(uri, '?');
	if (q >= 0)
		uri.n = (size_t)q;
	if (ns != NONCE_GOOD || !span_eq(uri, rq->path)) {
		challenge(s, st, rq, ns == NONCE_STALE, rs);
		return WHO_NOBODY;
	}
	/* the factory's password is public: there is nothing to guess, and no stranger may lock it for new phones */
	bool guarded = !span_eqz(c.username, FACTORY);
	if (guarded && guard_blocked(&s->guard, c.username, &rq->from, rq->now_us)) {
		log_event(s->ports.log, LOG_WARN, "provision.paused", LOG_S("user", c.username), LOG_S("from", text_span(&b)));
		challenge(s, st, rq, false, rs);
		return WHO_NOBODY;
	}
	enum who who = check(s, site, rq, &c, e);
	if (who == WHO_NOBODY) {
		struct budget_news n = {0};
		if (guarded)
			n = guard_failed(&s->guard, c.username, &rq->from, site_extension_find(site, c.username) != NULL, is_trusted(st, &rq->from), rq->now_us);
		if (n.blocked)
			log_event(s->ports.log, LOG_WARN, "ban.blocked", LOG_S("source", text_span(&b)), LOG_Z("by", "http"));
		log_event(s->ports.log, LOG_WARN, n.locked ? "provision.pin_locked" : "provision.refused", LOG_S("user", c.username),
			  LOG_S("from", text_span(&b)), LOG_S("path", rq->path));
		challenge(s, st, rq, false, rs);
	} else if (who == WHO_EXTENSION) {
		guard_passed(&s->guard, c.username, &rq->from);
	}
	return who;
}

/* G34: the phone becomes a device of this extension; a phone of another one moves; a known one is brought up to date. */
static int bind_phone(struct service *s, const struct site *site, const struct http_request *rq, struct span mac, const struct site_extension *e)
{
	const struct site_device *known = site_device_by_mac(site, mac);
	struct site_change c = {.kind = CHANGE_DEVICE, .if_revision = UINT64_MAX};
	struct polycom_ua ua;
	struct text actor = TEXT_ARRAY(c.actor);
	bool moved = !known || strcmp(known->row.extension, e->row.number) != 0;
	if (known) {
		c.device = *known;
	} else {
		device_defaults(&c.device.row);
		c.device.row.kind = DEVICE_KIND_POLYCOM;
		if (!span_copyz(mac, c.device.row.mac, sizeof c.device.row.mac))
			return -1;
	}
	if (moved) {
		memcpy(c.device.row.extension, e->row.number, sizeof c.device.row.extension);
		c.device.row.bound_by = DEVICE_BOUND_BY_PIN;
		if (known)
			c.device.row.generation++; /* the old extension's secret ends with it */
	}
	if (polycom_ua_parse(rq->user_agent, &ua)) {
		(void)span_copyz(ua.model, c.device.row.model, sizeof c.device.row.model);
		if (ua.application)
			(void)span_copyz(ua.version, c.device.row.firmware, sizeof c.device.row.firmware);
	}
	if (known && !memcmp(&known->row, &c.device.row, sizeof known->row))
		return 0;
	text_fmt(&actor, "pin:%s", e->row.number);
	(void)text_end(&actor);
	change_source(&c, rq);
	if (s->ports.change(s->ports.ctx, &c) != CHANGE_OK)
		return -1;
	log_event(s->ports.log, LOG_INFO, moved ? "phone.bound" : "phone.updated", LOG_S("mac", mac), LOG_Z("ext", e->row.number),
		  LOG_Z("model", c.device.row.model));
	return 0;
}

static void serve(struct http_response *rs, char *mem, bool ok, const struct text *t)
{
	if (!ok) {
		free(mem);
		http_text(rs, 500, "the file could not be made: it would break a limit of the phone\n");
		return;
	}
	http_body(rs, 200, "text/xml", mem, t->n);
}

static void serve_extension(struct service *s, const struct http_request *rq, const struct prov_name *name, const struct site_extension *e,
			    struct http_response *rs)
{
	struct site *now = s->ports.site(s->ports.ctx);
	const struct site_settings *st = site_settings_of(now);
	const struct site_device *d = site_device_by_mac(now, span_z(name->mac));
	struct span server = span_z(st->identity);
	char *mem = NULL;
	if (!d || d->row.kind != DEVICE_KIND_POLYCOM || strcmp(d->row.extension, e->row.number) || !span_eqz(name->number, e->row.number)) {
		rs->status = 404;
	} else if (!(mem = malloc(FILE_MAX))) {
		rs->status = 503;
	} else {
		struct text t = text_on(mem, FILE_MAX);
		if (server.n == 0) {
			/* the address by which this phone reached us */
			ptrdiff_t end = rq->host.n && rq->host.p[0] == '[' ? span_chr(rq->host, ']') + 1 : span_chr(rq->host, ':');
			server = span_sub(rq->host, 0, end > 0 ? (size_t)end : rq->host.n);
		}
		serve(rs, mem, prov_extension(&t, s, st, e, d, server), &t);
	}
	site_unref(now);
}

static void serve_text(struct http_response *rs, bool guest, struct span mac, const struct site_extension *e)
{
	char *mem = malloc(FILE_MAX);
	struct text t = text_on(mem, FILE_MAX);
	if (!mem) {
		rs->status = 503;
		return;
	}
	bool ok = guest ? prov_guest(&t) : prov_master(&t, mac, e);
	serve(rs, mem, ok, &t);
}

/* A phone brings files of its own MAC only: its extension's phone, or with factory credentials one that nobody has yet. */
static bool own_mac(const struct site *site, const struct prov_name *name, const struct site_extension *e)
{
	const struct site_device *d = site_device_by_mac(site, span_z(name->mac));
	return e ? d && !strcmp(d->row.extension, e->row.number) : !d;
}

static void put(struct service *s, const struct site *site, const struct http_request *rq, const struct prov_name *name,
		const struct site_extension *e, struct http_response *rs)
{
	if ((name->file != PROV_LOG && name->file != PROV_OPTIONAL) || !strcmp(name->mac, "000000000000")) {
		http_text(rs, 403, "a phone may bring its logs, overrides, directory and call lists only\n");
		return;
	}
	if (!own_mac(site, name, e)) {
		http_text(rs, 403, "these credentials do not belong to the phone of this name\n");
		return;
	}
	int rc = s->ports.upload ? s->ports.upload(s->ports.ctx, span_z(name->mac), name->leaf, rq->body) : 0;
	rs->status = rc == 0 ? 201 : rc == -2 ? 413 : 507;
}

void prov_handle(struct service *s, const struct http_request *rq, const struct prov_name *name, struct http_response *rs)
{
	struct site *site = s->ports.site(s->ports.ctx);
	const struct site_extension *e = NULL;
	enum who who;
	if (rq->method != HTTP_GET && rq->method != HTTP_HEAD && rq->method != HTTP_PUT) {
		rs->status = 405;
		http_header(rs, "Allow", SPAN_LIT("GET, HEAD, PUT"));
	} else if ((who = authenticate(s, site, rq, &e, rs)) == WHO_NOBODY) {
		/* challenged */
	} else if (who == WHO_SWITCHED_OFF) {
		http_text(rs, 403, "extension %s is switched off; the administrator enables it with: strowger extension set %s --enabled yes --sip-device yes\n",
			  e->row.number, e->row.number);
	} else if (rq->method == HTTP_PUT) {
		put(s, site, rq, name, who == WHO_EXTENSION ? e : NULL, rs);
	} else {
		switch (name->file) {
		case PROV_MASTER:
			if (who == WHO_EXTENSION && bind_phone(s, site, rq, span_z(name->mac), e) != 0)
				http_text(rs, 503, "the binding of the phone could not be stored; try again\n");
			else
				serve_text(rs, false, span_z(name->mac), who == WHO_EXTENSION ? e : NULL);
			break;
		case PROV_ZERO_MASTER: serve_text(rs, false, SPAN_NONE, NULL); break;
		case PROV_GUEST: serve_text(rs, true, SPAN_NONE, NULL); break;
		case PROV_EXTENSION:
			if (who == WHO_EXTENSION)
				serve_extension(s, rq, name, e, rs);
			else
				rs->status = 404;
			break;
		case PROV_OPTIONAL:
		case PROV_LOG:
		case PROV_FIRMWARE:
		case PROV_NONE: rs->status = 404; break;
		}
	}
	if (s->ports.fetched && rs->status != 401)
		s->ports.fetched(s->ports.ctx, span_z(name->mac), rq->path, rs->status, rq);
	site_unref(site);
}

/* Default deny: whoever wants something out of a dialog proves by digest that it is a device of the site. An unknown
 * extension and a wrong secret get the same answer after the same work. */
#include "pbx/cell_internal.h"

enum { NONCE_LIFE_US = 300 * SECOND_US, CHECKS_ALWAYS = 4 };

static struct span source_of(const struct sip_flow *from)
{
	return span_mem(from->remote.ip, sizeof from->remote.ip);
}

static void challenge(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, bool stale)
{
	char buf[20], nonce[NONCE_MAX];
	struct text n = TEXT_ARRAY(nonce);
	c->nonce_us = c->nonce_us < c->now_us ? c->now_us : c->nonce_us + 1;
	nonce_make(&n, &c->o.nonce_key, c->nonce_us, source_of(from));
	struct span realm = c->settings ? span_z(c->settings->realm) : SPAN_LIT("strowger");
	reply_begin(c, req, from, 401, stray_tag(c, req, buf));
	if (c->settings && c->settings->auth_sha256) {
		sip_head(&c->b, SIP_H_WWW_AUTHENTICATE);
		digest_challenge_write(&c->b.t, realm, text_span(&n), DIGEST_SHA256, stale);
		sip_eol(&c->b);
	}
	sip_head(&c->b, SIP_H_WWW_AUTHENTICATE);
	digest_challenge_write(&c->b.t, realm, text_span(&n), DIGEST_MD5, stale);
	sip_eol(&c->b);
	reply_forget(c, id);
}

/* Credentials for our realm among all that were sent. */
static bool find_creds(const struct cell *c, const struct sip_msg *req, struct digest_creds *out)
{
	static const enum sip_hdr_id where[] = {SIP_H_AUTHORIZATION, SIP_H_PROXY_AUTHORIZATION};
	for (size_t i = 0; i < COUNT_OF(where); i++)
		for (const struct sip_hdr *h = sip_hdr(req, where[i]); h; h = sip_hdr_next(req, h))
			if (digest_parse_creds(h->value, out) == DIGEST_OK && c->settings && span_eqz(out->realm, c->settings->realm))
				return true;
	return false;
}

static uint64_t device_of_flow(const struct cell *c, struct span number, const struct sip_flow *from)
{
	const struct aor *a = aor_find(c, number);
	for (const struct binding *b = a ? a->first : NULL; b; b = b->next)
		if (sip_flow_same(&b->flow, from))
			return b->device_id;
	return 0;
}

/* The device of the extension whose secret fits (Z55): the one already bound to this flow first. */
static const struct site_device *device_that_fits(struct cell *c, const struct site_extension *ext, const struct digest_creds *creds,
						  struct span method, const struct sip_flow *from)
{
	struct span number = ext ? span_z(ext->row.number) : SPAN_NONE;
	uint64_t likely = ext ? device_of_flow(c, number, from) : 0, cursor = 0;
	const struct site_device *d = likely ? site_device_by_id(c->site, likely) : NULL;
	int checks = 0;
	if (d && d->has_secret && span_eqz(number, d->row.extension)) {
		checks++;
		if (digest_check(creds, &d->sip_ha1, method, true))
			return d;
	}
	while (ext && (d = site_devices_of(c->site, number, &cursor))) {
		if (!d->has_secret || d->row.id == likely)
			continue;
		checks++;
		if (digest_check(creds, &d->sip_ha1, method, true))
			return d;
	}
	for (; checks < CHECKS_ALWAYS; checks++)
		(void)digest_check(creds, &c->fake_ha1, method, true);
	return NULL;
}

static bool count_is_new(struct cell *c, const struct site_device *d, uint64_t nonce_id, struct span nc)
{
	if (!nc.n) /* RFC 2069: no counts, the nonce's life must do */
		return true;
	struct known *k = map_get(&c->known_map, span_mem(&d->row.id, sizeof d->row.id));
	if (!k) {
		handle h;
		k = pool_new(&c->known, &h);
		if (!k)
			return false;
		k->device_id = d->row.id;
		if (map_put(&c->known_map, span_mem(&k->device_id, sizeof k->device_id), k)) {
			pool_delete(&c->known, h);
			return false;
		}
	}
	for (size_t i = 0; i < COUNT_OF(k->w); i++)
		if (k->w[i].nonce_id == nonce_id && k->w[i].seen)
			return nc_accept(&k->w[i], nonce_id, nc);
	k->turn = (uint8_t)((k->turn + 1) % COUNT_OF(k->w));
	return nc_accept(&k->w[k->turn], nonce_id, nc);
}

static void note_refusal(struct cell *c, const struct digest_creds *creds, const struct sip_flow *from)
{
	char src[64];
	struct text t = TEXT_ARRAY(src);
	addr_put(&t, &from->remote);
	c->refused++;
	c->noted.auth_refused++;
	cell_log(c, LOG_WARN, "auth.refused", LOG_S("user", span_sub(creds->username, 0, 32)), LOG_S("source", text_span(&t)));
}

/* ---- sources ------------------------------------------------------------------------------------------------------ */

static struct span home_key(const struct addr *a)
{
	return span_mem(a->ip, sizeof a->ip);
}

static void tell_edge(struct cell *c, const struct addr *a, bool known, int64_t until_us)
{
	struct cell_out out = {.kind = CELL_OUT_SOURCE, .u.source = {a, known, until_us}};
	cell_emit(c, &out);
}

static void keep_ban(struct cell *c, const struct addr *a, int64_t until_us)
{
	struct ban_row row = {*a, until_us ? (until_us + c->wall_minus_mono_us) / 1000 : 0};
	row.source.port = 0;
	struct cell_out out = {.kind = until_us ? CELL_OUT_BAN : CELL_OUT_BAN_GONE, .u.ban = &row};
	cell_emit(c, &out);
}

static void leave_home(struct cell *c, struct binding *b)
{
	struct home *h = b->home.family ? map_get(&c->home_map, home_key(&b->home)) : NULL;
	b->home.family = 0;
	if (!h || --h->n)
		return;
	tell_edge(c, &h->addr, false, 0);
	map_remove(&c->home_map, home_key(&h->addr));
	pool_delete(&c->homes, pool_handle(&c->homes, h));
}

/* Without room for it the source is treated as a stranger's: its phones work until there is a flood. */
void guard_home(struct cell *c, struct binding *b, bool gone)
{
	handle id;
	if (!gone && b->home.family && addr_same_ip(&b->home, &b->flow.remote))
		return;
	leave_home(c, b);
	if (gone)
		return;
	struct home *h = map_get(&c->home_map, home_key(&b->flow.remote));
	if (!h) {
		h = pool_new(&c->homes, &id);
		if (!h)
			return;
		h->addr = b->flow.remote;
		h->addr.port = 0;
		if (map_put(&c->home_map, home_key(&h->addr), h)) {
			pool_delete(&c->homes, id);
			return;
		}
		if (budget_release_source(c->budget, &h->addr))
			keep_ban(c, &h->addr, 0);
		tell_edge(c, &h->addr, true, 0);
	}
	h->n++;
	b->home = h->addr;
}

bool guard_is_emergency(const struct cell *c, const struct sip_msg *req)
{
	char user[32];
	return req->method == SIP_INVITE && route_is_emergency(c, sip_unescape(req->ruri.user, user, sizeof user));
}

/* Ruling Z45. A phone on the flow of its own registration is not paused by others behind the same address. */
static bool held(struct cell *c, const struct sip_msg *req, struct span user, const struct sip_flow *from)
{
	if (budget_check(c->budget, user, &from->remote, c->now_us) == BUDGET_FREE)
		return false;
	return !guard_is_emergency(c, req) && !device_of_flow(c, user, from);
}

static void count_failure(struct cell *c, struct span user, bool known, const struct sip_flow *from)
{
	char src[64];
	struct text t = TEXT_ARRAY(src);
	struct budget_case k = {.known = known, .trusted = nets_hold(&c->trusted, &from->remote),
				.home = map_get(&c->home_map, home_key(&from->remote)) != NULL};
	struct budget_news n = budget_failed(c->budget, user, &from->remote, k, c->now_us);
	addr_put_ip(&t, &from->remote);
	if (n.paused)
		cell_log(c, LOG_WARN, "ban.paused", LOG_S("user", span_sub(user, 0, 32)), LOG_S("source", text_span(&t)), LOG_I("seconds", (n.until_us - c->now_us) / SECOND_US));
	if (!n.blocked)
		return;
	cell_log(c, LOG_WARN, "ban.blocked", LOG_S("source", text_span(&t)), LOG_Z("by", "sip"), LOG_I("seconds", (n.until_us - c->now_us) / SECOND_US));
	tell_edge(c, &from->remote, false, n.until_us);
	keep_ban(c, &from->remote, n.until_us);
}

/* Of a life before. It lasts as long as was left of it, and no longer than a new one would, whatever the clock says. */
void guard_restore(struct cell *c, const struct ban_row *row)
{
	int64_t left_us = (row->until_wall_ms - cell_wall_ms(c)) * 1000;
	if (left_us <= 0 || nets_hold(&c->trusted, &row->source) || map_get(&c->home_map, home_key(&row->source)))
		return;
	if (left_us > (int64_t)BUDGET_BLOCK_S * SECOND_US)
		left_us = (int64_t)BUDGET_BLOCK_S * SECOND_US;
	budget_block(c->budget, &row->source, c->now_us + left_us, c->now_us);
	tell_edge(c, &row->source, false, c->now_us + left_us);
}

void guard_bans(struct cell *c, struct text *t)
{
	uint32_t it = 0, n = 0;
	text_putc(t, '[');
	for (const struct budget_source *s; t->cap - t->n > 256 && (s = budget_next_blocked(c->budget, &it, c->now_us));) {
		char ip[64];
		struct text a = TEXT_ARRAY(ip);
		addr_put_ip(&a, &s->addr);
		if (n++)
			text_putc(t, ',');
		text_lit(t, "{\"source\":");
		text_json(t, text_span(&a));
		text_fmt(t, ",\"seconds\":%lld}", (long long)((s->until_us - c->now_us) / SECOND_US));
	}
	text_putc(t, ']');
}

bool guard_release(struct cell *c, struct span what)
{
	struct addr a;
	if (addr_parse(what, 0, &a) != 0)
		return budget_release_user(c->budget, what);
	bool was = budget_release_source(c->budget, &a);
	if (was)
		keep_ban(c, &a, 0);
	if (was)
		tell_edge(c, &a, map_get(&c->home_map, home_key(&a)) != NULL, 0);
	return was;
}

enum guard_verdict guard_check(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, struct who *who)
{
	struct digest_creds creds;
	if (!find_creds(c, req, &creds)) {
		challenge(c, id, req, from, false);
		return GUARD_DONE;
	}
	uint64_t nonce_id = 0;
	int64_t now_us = c->nonce_us > c->now_us ? c->nonce_us : c->now_us;
	enum nonce_state nonce = nonce_check(creds.nonce, &c->o.nonce_key, now_us, NONCE_LIFE_US, source_of(from), &nonce_id);
	char user[32];
	struct span number = sip_unescape(creds.username, user, sizeof user);
	bool paused = held(c, req, number, from); /* the same work and the same answer as for a wrong secret */
	const struct site_extension *ext = number.n && !paused ? site_extension_find(c->site, number) : NULL;
	const struct site_device *dev = device_that_fits(c, ext, &creds, req->method_name, from);
	if (!dev) {
		if (!paused)
			count_failure(c, number, ext != NULL, from);
		note_refusal(c, &creds, from);
		challenge(c, id, req, from, false);
		return GUARD_DONE;
	}
	/* A count seen before is either a replay or a phone that counts from one again, and a nonce that is not ours may be one of
	 * before our restart: a fresh nonce tells which. Who knows the secret is no intruder, and must not be counted as one. */
	if (nonce != NONCE_GOOD || !count_is_new(c, dev, nonce_id, creds.nc)) {
		challenge(c, id, req, from, true);
		return GUARD_DONE;
	}
	budget_passed(c->budget, number, &from->remote);
	if ((!ext->row.enabled || !ext->row.sip_device) && !guard_is_emergency(c, req)) { /* G107 */
		c->refused++;
		cell_log(c, LOG_INFO, "auth.disabled", LOG_Z("extension", ext->row.number));
		reply_plain(c, id, 0, req, from, 403, SPAN_NONE);
		return GUARD_DONE;
	}
	*who = (struct who){ext, dev};
	return GUARD_OK;
}

void guard_site_changed(struct cell *c)
{
	uint32_t it = 0;
	struct span bad;
	(void)!nets_parse(&c->trusted, span_z(c->settings->trusted_sources), &bad);
	for (struct known *k; (k = map_next(&c->known_map, &it));) {
		if (site_device_by_id(c->site, k->device_id))
			continue;
		map_remove(&c->known_map, span_mem(&k->device_id, sizeof k->device_id));
		pool_delete(&c->known, pool_handle(&c->known, k));
	}
}

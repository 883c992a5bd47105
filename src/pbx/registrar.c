/* REGISTER (RFC 3261 10.3, RFC 3327 Path, RFC 5626 instances). All contacts of a request are accepted or none. */
#include "pbx/watch.h"

enum { MAX_CONTACTS = 10, EXPIRES_DEFAULT_S = 3600 };

struct wish {
	struct span uri, instance;
	uint32_t reg_id;
	int64_t expires_s;
	struct binding *old;
};

struct order {
	struct cell *c;
	const struct sip_msg *req;
	const struct sip_flow *from;
	const struct who *who;
	struct span number, path, agent;
	struct aor *aor;
	struct wish wish[MAX_CONTACTS];
	int n;
	bool star;
};

static void refuse(struct order *o, txn_id id, uint16_t status)
{
	struct cell *c = o->c;
	char buf[20], src[64];
	struct text t = TEXT_ARRAY(src);
	addr_put(&t, &o->from->remote);
	reply_begin(c, o->req, o->from, status, stray_tag(c, o->req, buf));
	if (status == 423)
		sip_put_u(&c->b, SIP_H_MIN_EXPIRES, c->o.min_expires_s);
	if (status == 503)
		sip_put_u(&c->b, SIP_H_RETRY_AFTER, 30 + rng_below(&c->rng, 30));
	c->refused++;
	c->noted.register_refused++;
	cell_log(c, LOG_INFO, "register.refused", LOG_S("extension", o->number), LOG_I("status", status), LOG_S("source", text_span(&t)));
	reply_send(c, id, 0, status, "", SPAN_NONE);
}

static struct span unquoted(struct span s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return span_sub(s, 1, s.n - 1);
	return s;
}

static uint16_t read_wish(const struct sip_nameaddr *a, int64_t header_expires, struct wish *w)
{
	struct span v;
	uint64_t n;
	if (a->uri.scheme != SIP_SCHEME_SIP && a->uri.scheme != SIP_SCHEME_SIPS)
		return 400;
	*w = (struct wish){.uri = a->uri.all, .expires_s = header_expires >= 0 ? header_expires : EXPIRES_DEFAULT_S};
	if (sip_param(a->params, "expires", &v) && span_u64(v, UINT32_MAX, &n) == 0)
		w->expires_s = (int64_t)n;
	if (sip_param(a->params, "+sip.instance", &v))
		w->instance = unquoted(v);
	if (sip_param(a->params, "reg-id", &v) && span_u64(v, UINT32_MAX, &n) == 0)
		w->reg_id = (uint32_t)n;
	/* what the stored row can hold */
	return w->uri.n > 255 || w->instance.n > 127 ? 400 : 0;
}

static uint16_t read_contacts(struct order *o)
{
	struct sip_contact_iter it = {0};
	struct sip_nameaddr a;
	int64_t header = sip_expires(o->req);
	if (header == -2)
		return 400;
	for (int r; (r = sip_contact_next(o->req, SIP_H_CONTACT, &it, &a)) != 0;) {
		if (r < 0 || o->star || o->n == MAX_CONTACTS)
			return 400;
		if (a.star) {
			if (o->n || header != 0)
				return 400;
			o->star = true;
			continue;
		}
		uint16_t fault = read_wish(&a, header, &o->wish[o->n]);
		if (fault)
			return fault;
		o->n++;
	}
	return 0;
}

/* The Contact says another address than the packet: a router between us translates. Behind a proxy (Path) it is the proxy's
 * business. */
static bool behind_nat(const struct order *o, const struct wish *w)
{
	struct sip_uri u;
	struct addr a;
	return o->from->transport == SIP_UDP && !o->path.n && !sip_uri_parse(w->uri, &u) && !sip_uri_addr(&u, 5060, &a) &&
	       !addr_eq(&a, &o->from->remote);
}

static int64_t longest_expires(const struct order *o, const struct wish *w)
{
	const struct cell *c = o->c;
	uint32_t nat = (uint32_t)c->settings->nat_expires_s;
	if (nat < c->o.min_expires_s)
		nat = c->o.min_expires_s;
	return behind_nat(o, w) && nat < c->o.max_expires_s ? nat : c->o.max_expires_s;
}

static bool same_contact(const struct binding *b, struct span uri)
{
	struct span have = binding_text(b, BIND_CONTACT);
	struct sip_uri x, y;
	return span_eq(have, uri) || (!sip_uri_parse(have, &x) && !sip_uri_parse(uri, &y) && sip_uri_equal(&x, &y));
}

/* The binding that this contact replaces: its own instance, its own URI, or what the same device left behind under an
 * earlier address (C48), unless another contact of this request speaks for that one. */
static bool replaces(const struct order *o, const struct wish *w, const struct binding *b)
{
	struct span instance = binding_text(b, BIND_INSTANCE);
	if (w->instance.n && instance.n)
		return span_eq(w->instance, instance) && w->reg_id == b->reg_id;
	if (same_contact(b, w->uri))
		return true;
	if (b->device_id != o->who->dev->row.id || b->reg_id != w->reg_id)
		return false;
	for (int i = 0; i < o->n; i++)
		if (&o->wish[i] != w && (o->wish[i].old == b || same_contact(b, o->wish[i].uri)))
			return false;
	return true;
}

static struct binding *find_old(const struct order *o, const struct wish *w)
{
	for (struct binding *b = o->aor ? o->aor->first : NULL; b; b = b->next)
		if (same_contact(b, w->uri) && replaces(o, w, b))
			return b;
	for (struct binding *b = o->aor ? o->aor->first : NULL; b; b = b->next)
		if (replaces(o, w, b))
			return b;
	return NULL;
}

static bool in_order(const struct order *o, const struct binding *b)
{
	return !span_eq(binding_text(b, BIND_CALL_ID), o->req->call_id) || o->req->cseq > b->cseq;
}

static uint16_t check(struct order *o)
{
	struct cell *c = o->c;
	uint32_t fresh = 0;
	for (int i = 0; i < o->n; i++) {
		struct wish *w = &o->wish[i];
		w->old = find_old(o, w);
		if (w->old && !in_order(o, w->old))
			return 500; /* late or repeated: the newer one stands */
		if (w->expires_s > 0 && w->expires_s < c->o.min_expires_s)
			return 423;
		if (w->expires_s > longest_expires(o, w))
			w->expires_s = longest_expires(o, w);
		if (!w->old && w->expires_s)
			fresh++;
	}
	if ((o->aor ? o->aor->n : 0) + fresh > c->o.limits.max_bindings_per_extension)
		return 503;
	for (struct binding *b = o->star && o->aor ? o->aor->first : NULL; b; b = b->next)
		if (!in_order(o, b))
			return 500;
	return 0;
}

/* The device's calls follow it to its new address. */
static void move_calls(struct cell *c, const struct binding *b, const struct sip_flow *was)
{
	for (struct call *k = c->call_first; k; k = k->next)
		for (struct leg *l = k->first; l; l = l->next)
			if (l->device_id == b->device_id && sip_flow_same(&l->dlg.flow, was))
				l->dlg.flow = b->flow;
}

static bool keep(struct order *o, const struct wish *w)
{
	struct cell *c = o->c;
	struct binding *b = w->old ? w->old : binding_new(c, o->number);
	if (!b)
		return false;
	bool key_changed = w->old && (!span_eq(binding_text(b, BIND_CONTACT), w->uri) || !span_eq(binding_text(b, BIND_INSTANCE), w->instance));
	bool moved = w->old && (!addr_eq(&b->flow.remote, &o->from->remote) || b->flow.transport != o->from->transport);
	bool changed = !w->old || key_changed || moved || !span_eq(binding_text(b, BIND_CALL_ID), o->req->call_id) ||
		       !span_eq(binding_text(b, BIND_PATH), o->path) || b->device_id != o->who->dev->row.id;
	struct sip_flow was = b->flow;
	if (key_changed) { /* the store's key holds contact and instance */
		struct binding *fresh = binding_new(c, o->number);
		if (!fresh)
			return false;
		fresh->registered_wall_ms = b->registered_wall_ms;
		binding_drop(c, b, true);
		b = fresh;
	}
	const struct span texts[BIND_TEXTS] = {w->uri, w->instance, o->req->call_id, o->agent, o->path};
	if (!binding_set_texts(c, b, texts)) {
		binding_drop(c, b, w->old != NULL);
		return false;
	}
	if (!b->registered_wall_ms)
		b->registered_wall_ms = cell_wall_ms(c);
	binding_set_flow(c, b, o->from);
	guard_home(c, b, false);
	b->device_id = o->who->dev->row.id;
	b->reg_id = w->reg_id;
	b->cseq = o->req->cseq;
	b->granted_us = w->expires_s * SECOND_US;
	b->expires_us = c->now_us + b->granted_us;
	wheel_set(&c->wheel, &b->expiry, b->expires_us);
	if (changed || binding_must_store(c, b))
		binding_store(c, b);
	if (moved)
		move_calls(c, b, &was);
	watch_registered(c, o->who->ext, b->device_id, moved ? &was : NULL, &b->flow);
	return true;
}

static bool is_wished(const struct order *o, const struct binding *b)
{
	for (int i = 0; i < o->n; i++)
		if (o->wish[i].old == b)
			return true;
	return false;
}

/* A device without instances has one binding for each reg-id: whatever else it left behind (an address of before a
 * restart, whose removal never reached the store) goes when it registers again. w->old stays, and with it the AOR. */
static void drop_leftovers(struct order *o, const struct wish *w)
{
	for (struct binding *b = w->old && !w->instance.n ? w->old->aor->first : NULL, *next; b; b = next) {
		next = b->next;
		if (!b->len[BIND_INSTANCE] && !is_wished(o, b) && replaces(o, w, b))
			binding_drop(o->c, b, true);
	}
}

static bool apply(struct order *o)
{
	struct cell *c = o->c;
	bool ok = true;
	if (o->star)
		binding_drop_all(c, o->number);
	for (int i = 0; i < o->n; i++) {
		struct wish *w = &o->wish[i];
		if (w->expires_s)
			drop_leftovers(o, w);
		if (w->expires_s)
			ok = keep(o, w) && ok;
		else if (w->old)
			binding_drop(c, w->old, true);
		for (int j = i + 1; j < o->n; j++)
			if (w->old && o->wish[j].old == w->old)
				o->wish[j].old = NULL;
	}
	return ok;
}

static void put_bindings(struct cell *c, const struct aor *a)
{
	struct text *t = &c->b.t;
	for (const struct binding *b = a ? a->first : NULL; b; b = b->next) {
		struct span instance = binding_text(b, BIND_INSTANCE);
		int64_t left = (b->expires_us - c->now_us + SECOND_US - 1) / SECOND_US;
		sip_head(&c->b, SIP_H_CONTACT);
		text_putc(t, '<');
		text_put(t, binding_text(b, BIND_CONTACT));
		text_lit(t, ">;expires=");
		text_i64(t, left > 0 ? left : 0);
		if (instance.n) {
			text_lit(t, ";+sip.instance=\"");
			text_put(t, instance);
			text_putc(t, '"');
		}
		if (b->reg_id) {
			text_lit(t, ";reg-id=");
			text_u64(t, b->reg_id);
		}
		sip_eol(&c->b);
	}
}

static bool outbound(const struct order *o)
{
	if (!sip_has_token(o->req, SIP_H_SUPPORTED, "outbound") && !sip_has_token(o->req, SIP_H_REQUIRE, "outbound"))
		return false;
	for (int i = 0; i < o->n; i++)
		if (o->wish[i].reg_id && o->wish[i].instance.n && o->wish[i].expires_s)
			return true;
	return false;
}

static void accept(struct order *o, txn_id id)
{
	struct cell *c = o->c;
	char buf[20];
	reply_begin(c, o->req, o->from, 200, stray_tag(c, o->req, buf));
	put_bindings(c, aor_find(c, o->number));
	if (o->path.n)
		sip_put(&c->b, SIP_H_PATH, o->path);
	if (outbound(o)) /* RFC 5626 6: its flows are kept apart, and it must keep them alive */
		sip_put_z(&c->b, SIP_H_REQUIRE, "outbound");
	c->registrations++;
	reply_send(c, id, 0, 200, "", SPAN_NONE);
}

void registrar_request(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who)
{
	struct order o = {.c = c, .req = req, .from = from, .who = who, .number = span_z(who->ext->row.number),
			  .path = sip_hdr_value(req, SIP_H_PATH), .agent = span_sub(sip_hdr_value(req, SIP_H_USER_AGENT), 0, 127)};
	char user[32];
	struct span aor = sip_unescape(req->to.uri.user, user, sizeof user);
	o.aor = aor_find(c, o.number);
	uint16_t fault = span_eq(aor, o.number) ? 0 : 403; /* nobody registers for another */
	if (!fault && (o.path.n > 255 || req->call_id.n > 127))
		fault = 400;
	if (!fault)
		fault = read_contacts(&o);
	if (!fault)
		fault = check(&o);
	if (!fault && !apply(&o)) {
		fault = 503;
		c->noted.limits_reached++;
		cell_log(c, LOG_ERROR, "limit.bindings", LOG_S("extension", o.number));
	}
	if (fault)
		refuse(&o, id, fault);
	else
		accept(&o, id);
}

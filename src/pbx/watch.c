/* SUBSCRIBE as the cell sees it: which package, who may, what it looks like. The machine is sip/event. */
#include "pbx/watch.h"

#include "pbx/feature.h"

#include <stdlib.h>

/* ---- features and their packages ---- */

static bool is_enabled(const struct cell *c, const struct watch_package *p)
{
	return !p->enabled || p->enabled(c);
}

static const struct watch_package *package_find(const struct cell *c, struct span name)
{
	for (size_t i = 0; i < features_n; i++)
		for (size_t k = 0; k < features_all[i]->n_packages; k++)
			if (span_eqz(name, features_all[i]->packages[k].event.name) && is_enabled(c, &features_all[i]->packages[k]))
				return &features_all[i]->packages[k];
	return NULL;
}

static const struct watch_package *package_of(const struct event_package *e)
{
	return (const struct watch_package *)(const void *)((const char *)e - offsetof(struct watch_package, event));
}

static size_t feature_of(const struct watch_package *p)
{
	size_t i = 0;
	while (i < features_n && !(p >= features_all[i]->packages && p < features_all[i]->packages + features_all[i]->n_packages))
		i++;
	INVARIANT(i < features_n);
	return i;
}

void *feature_state(struct cell *c, const struct feature *f)
{
	for (size_t i = 0; c->feature_states && i < features_n; i++)
		if (features_all[i] == f)
			return c->feature_states[i];
	return NULL;
}

const struct site *feature_site(const struct cell *c)
{
	return c->site;
}

void watch_put_packages(struct cell *c)
{
	size_t n = 0;
	sip_head(&c->b, SIP_H_ALLOW_EVENTS);
	for (size_t i = 0; i < features_n; i++) {
		for (size_t k = 0; k < features_all[i]->n_packages; k++) {
			const struct watch_package *p = &features_all[i]->packages[k];
			if (!is_enabled(c, p))
				continue;
			if (n++)
				text_lit(&c->b.t, ", ");
			text_z(&c->b.t, p->event.name);
		}
	}
	if (n)
		text_lit(&c->b.t, ", ");
	text_lit(&c->b.t, "refer");
	sip_eol(&c->b);
}

/* ---- what sip/event asks ---- */

static void on_contact(void *ctx, struct sip_build *b, struct span user, const struct sip_flow *flow)
{
	struct cell *c = ctx;
	struct sip_build keep = c->b;
	c->b = *b;
	put_contact(c, user, flow);
	*b = c->b;
	c->b = keep;
}

static void on_product(void *ctx, struct sip_build *b, enum sip_hdr_id id)
{
	(void)ctx;
	sip_put(b, id, SPAN_LIT("Strowger/" STROWGER_VERSION));
}

static int on_render(void *ctx, const struct event_ask *ask, struct event_body *out)
{
	struct cell *c = ctx;
	const struct watch_package *p = package_of(ask->package);
	return p->render(c, c->feature_states[feature_of(p)], ask, out);
}

static void on_store(void *ctx, const struct subscription_row *row, bool gone)
{
	struct cell_out out = {.kind = gone ? CELL_OUT_SUBSCRIPTION_GONE : CELL_OUT_SUBSCRIPTION, .u.subscription = row};
	cell_emit(ctx, &out);
}

static void on_log(void *ctx, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	struct cell *c = ctx;
	if (cell_tells(c, level))
		cell_log_write(c, level, event, f, n);
}

static uint32_t on_next_cseq(void *ctx, uint64_t dialog_owner)
{
	struct cell *c = ctx;
	struct leg *l = pool_get(&c->legs, dialog_owner);
	return l && l->dlg.state != DIALOG_NONE ? ++l->dlg.local_cseq : 0;
}

/* ---- life ---- */

int watch_start(struct cell *c)
{
	const struct event_user user = {c, on_contact, on_product, on_render, on_store, on_log, on_next_cseq};
	const struct cell_limits *l = &c->o.limits;
	const struct event_limits lim = {l->max_subscriptions, l->max_subscriptions_per_device, l->notify_initial_per_s, l->notify_per_ms};
	const struct hash_key key = {rng_u64(&c->rng), rng_u64(&c->rng)};
	c->feature_states = calloc(features_n + 1, sizeof *c->feature_states);
	for (size_t i = 0; c->feature_states && i < features_n; i++)
		if (features_all[i]->state_bytes && !(c->feature_states[i] = calloc(1, features_all[i]->state_bytes)))
			return -1;
	c->events = event_server_new(&user, &lim, key, &c->slab, &c->wheel, &c->rng, c->txn, text_on(c->out, sizeof c->out));
	return c->events && c->feature_states ? 0 : -1;
}

void watch_stop(struct cell *c)
{
	event_server_free(c->events);
	for (size_t i = 0; c->feature_states && i < features_n; i++) {
		if (c->feature_states[i] && features_all[i]->free_state)
			features_all[i]->free_state(c, c->feature_states[i]);
		free(c->feature_states[i]);
	}
	free(c->feature_states);
}

/* ---- SUBSCRIBE ---- */

static void refuse(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, uint16_t status)
{
	char buf[20];
	reply_begin(c, req, from, status, req->to.tag.n ? SPAN_NONE : stray_tag(c, req, buf));
	if (status == 489)
		watch_put_packages(c);
	reply_send(c, id, 0, status, "", SPAN_NONE);
}

void watch_subscribe(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who)
{
	char user[64];
	struct span event_id, token = event_token_of(req, &event_id);
	struct span resource = sip_unescape(req->ruri.user, user, sizeof user);
	const struct watch_package *p = package_find(c, token);
	if (!p) {
		refuse(c, id, req, from, 489);
		return;
	}
	struct watch_verdict v = resource.n ? p->authorise(c, who->ext, resource) : (struct watch_verdict){.status = 404};
	if (v.status) {
		cell_log(c, LOG_INFO, "subscribe.refused", LOG_Z("package", p->event.name), LOG_Z("extension", who->ext->row.number),
			 LOG_S("resource", resource), LOG_I("status", v.status));
		c->refused++;
		refuse(c, id, req, from, v.status);
		return;
	}
	struct event_request r = {
		.id = id, .req = req, .from = from, .package = &p->event, .resource = resource, .subscriber = span_z(who->ext->row.number),
		.device_id = who->dev->row.id, .state = v.pending ? EVENT_PENDING : EVENT_ACTIVE,
	};
	(void)event_subscribe(c->events, &r, c->now_us);
}

/* From where it came before, or with proof that it is still the same extension. */
static bool is_believed(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct event_party *p)
{
	struct who who;
	if (addr_same_ip(&from->remote, &p->flow.remote))
		return true;
	if (guard_check(c, id, req, from, &who) != GUARD_OK)
		return false;
	if (span_eqz(p->subscriber, who.ext->row.number))
		return true;
	refuse(c, id, req, from, 403);
	return false;
}

bool watch_knows(const struct cell *c, const struct sip_msg *req)
{
	return req->method == SIP_SUBSCRIBE && event_find(c->events, req) != 0;
}

void watch_in_dialog(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	struct event_party p;
	handle sub = event_find(c->events, req);
	if (!event_party(c->events, sub, &p) || !is_believed(c, id, req, from, &p))
		return;
	if (p.package && !is_enabled(c, package_of(p.package)))
		event_end(c->events, sub, "noresource", c->now_us);
	event_refresh(c->events, sub, id, req, from, c->now_us);
}

void watch_changed(struct cell *c, const char *package, struct span resource)
{
	const struct watch_package *p = package_find(c, span_z(package));
	if (p)
		(void)event_changed(c->events, &p->event, resource, c->now_us);
}

uint32_t watch_decide(struct cell *c, const char *package, struct span resource, struct span subscriber, bool allow)
{
	const struct watch_package *p = package_find(c, span_z(package));
	return p ? event_decide(c->events, &p->event, resource, subscriber, allow, c->now_us) : 0;
}

/* ---- REFER ---- */

enum { REFER_LIFE_S = 300 };

handle watch_refer_begin(struct cell *c, const struct sip_msg *req, const struct sip_flow *from, struct leg *l, struct span tag, const struct who *who)
{
	struct event_implicit i = {
		.refer = req, .from = from, .in = l ? &l->dlg : NULL, .dialog_owner = l ? l->h : 0, .local_tag = tag,
		.subscriber = l ? span_z(l->ext) : span_z(who->ext->row.number), .device_id = l ? l->device_id : who->dev->row.id,
		.expires_s = REFER_LIFE_S, .with_id = l && l->refers > 0,
	};
	handle h = event_implicit_new(c->events, &i, c->now_us);
	if (h && l)
		l->refers++;
	return h;
}

void watch_refer_notify(struct cell *c, handle sub, uint16_t status, bool last)
{
	char buf[80];
	struct text t = TEXT_ARRAY(buf);
	text_lit(&t, "SIP/2.0 ");
	text_u64(&t, status);
	text_putc(&t, ' ');
	text_z(&t, sip_reason_phrase(status));
	event_implicit_notify(c->events, sub, text_span(&t), last, c->now_us);
}

void watch_leg_gone(struct cell *c, struct leg *l)
{
	event_dialog_left(c->events, l->h, l->dlg.local_cseq);
}

/* ---- the rest of the cell ---- */

static bool device_left(void *ctx, const struct event_party *p)
{
	const struct cell *c = ctx;
	const struct site_extension *e = site_extension_find(c->site, p->subscriber);
	const struct site_device *d = site_device_by_id(c->site, p->device_id);
	return !e || !e->row.enabled || !e->row.sip_device || !d || !span_eqz(p->subscriber, d->row.extension);
}

void watch_site_changed(struct cell *c)
{
	event_end_devices(c->events, device_left, c, "rejected", c->now_us);
}

void watch_registered(struct cell *c, const struct site_extension *ext, uint64_t device_id, const struct sip_flow *was, const struct sip_flow *now)
{
	event_peer_flow(c->events, device_id, was, now, c->now_us);
	for (size_t i = 0; i < features_n; i++)
		if (features_all[i]->on_register)
			features_all[i]->on_register(c, c->feature_states[i], ext, device_id);
}

void watch_restore(struct cell *c, const struct subscription_row *row)
{
	const struct watch_package *p = package_find(c, span_z(row->package));
	struct event_party party = {.subscriber = span_z(row->subscriber), .device_id = row->device_id};
	if (p && c->site && !device_left(c, &party) && event_restore(c->events, row, &p->event, c->now_us) == 0)
		return;
	struct cell_out out = {.kind = CELL_OUT_SUBSCRIPTION_GONE, .u.subscription = row};
	cell_emit(c, &out);
}

uint16_t watch_verb(struct cell *c, struct span words, struct text *json)
{
	struct span name = span_cut(&words, ' ');
	for (size_t i = 0; i < features_n; i++)
		if (features_all[i]->verb && span_eqz(name, features_all[i]->name))
			return features_all[i]->verb(c, c->feature_states[i], words.p ? words : SPAN_NONE, json);
	return 404;
}

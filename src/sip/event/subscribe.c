/* SUBSCRIBE: RFC 6665 4.2.1 (the notifier's side), and REFER's implicit subscription. */
#include "sip/event/event_internal.h"

/* ---- reading the request ---- */

struct span event_token_of(const struct sip_msg *m, struct span *id)
{
	struct span v = sip_hdr_value(m, SIP_H_EVENT);
	ptrdiff_t semi = span_chr(v, ';');
	struct span token = span_trim(semi < 0 ? v : span_sub(v, 0, (size_t)semi));
	*id = SPAN_NONE;
	if (semi >= 0 && !sip_param(span_sub(v, (size_t)semi, v.n), "id", id))
		*id = SPAN_NONE;
	return token;
}

static bool range_has(struct span range, struct span type)
{
	ptrdiff_t semi = span_chr(range, ';'), slash = span_chr(type, '/');
	range = span_trim(semi < 0 ? range : span_sub(range, 0, (size_t)semi));
	if (span_ieq(range, type) || span_eqz(range, "*/*"))
		return true;
	return range.n > 2 && range.p[range.n - 1] == '*' && slash > 0 && range.n == (size_t)slash + 2 &&
	       span_ieq(span_sub(range, 0, range.n - 1), span_sub(type, 0, (size_t)slash + 1));
}

/* The package's first type that the subscriber takes; -1: none. */
static int pick_type(const struct event_package *p, const struct sip_msg *req)
{
	const struct sip_hdr *first = sip_hdr(req, SIP_H_ACCEPT);
	if (!first)
		return 0;
	for (int i = 0; p->types[i]; i++) {
		for (const struct sip_hdr *h = first; h; h = sip_hdr_next(req, h)) {
			struct span rest = h->value, item;
			while (sip_list_next(&rest, &item))
				if (range_has(item, span_z(p->types[i])))
					return i;
		}
	}
	return -1;
}

static bool has_contact(const struct sip_msg *req)
{
	struct sip_contact_iter it = {0};
	struct sip_nameaddr a;
	return sip_contact_next(req, SIP_H_CONTACT, &it, &a) == 1 && !a.star &&
	       (a.uri.scheme == SIP_SCHEME_SIP || a.uri.scheme == SIP_SCHEME_SIPS);
}

/* Seconds granted: cut to the maximum, and spread, so that phones that started together do not refresh together. 0: end or
 * fetch. -1: malformed, -2: too brief. */
static int64_t grant(struct event_server *es, const struct event_package *p, const struct sip_msg *req)
{
	int64_t s = sip_expires(req);
	if (s == -2)
		return -1;
	if (s < 0)
		s = p->default_expires_s;
	if (s == 0)
		return 0;
	if (s < p->min_expires_s)
		return -2;
	if (s > p->max_expires_s)
		s = p->max_expires_s;
	int64_t spread = s / 16;
	if (s - spread < p->min_expires_s)
		spread = s - p->min_expires_s;
	return s >= 600 && spread > 0 ? s - (int64_t)rng_below(es->rng, (uint64_t)spread) : s;
}

/* ---- answers ---- */

static void begin(struct event_server *es, const struct sip_msg *req, const struct sip_flow *from, uint16_t status, struct span tag)
{
	es->b.t = es->scratch;
	sip_reply_begin(&es->b, req, from, status, NULL, tag);
	es->user.product(es->user.ctx, &es->b, SIP_H_SERVER);
}

static void finish(struct event_server *es, txn_id id, uint16_t status, int64_t now_us)
{
	if (sip_finish(&es->b, "", SPAN_NONE))
		(void)txn_reply(es->txn, id, 0, status, text_span(&es->b.t), now_us);
}

static void make_tag(struct event_server *es, char tag[20])
{
	struct text t = text_on(tag, 20);
	text_hex64(&t, rng_u64(es->rng), 16);
	text_end(&t);
}

static void refuse(struct event_server *es, const struct event_package *p, txn_id id, const struct sip_msg *req, const struct sip_flow *from,
		   uint16_t status, int64_t now_us)
{
	char tag[20];
	make_tag(es, tag);
	begin(es, req, from, status, span_z(tag));
	if (status == 423)
		sip_put_u(&es->b, SIP_H_MIN_EXPIRES, p->min_expires_s);
	if (status == 503)
		sip_put_u(&es->b, SIP_H_RETRY_AFTER, 30 + rng_below(es->rng, 30));
	if (status == 406)
		for (int i = 0; p->types[i]; i++)
			sip_put_z(&es->b, SIP_H_ACCEPT, p->types[i]);
	es->counts.refused++;
	ev_log(es, LOG_INFO, "subscribe.refused", LOG_Z("package", p->name), LOG_I("status", status));
	finish(es, id, status, now_us);
}

static void accept(struct event_server *es, struct event_sub *s, txn_id id, const struct sip_msg *req, const struct sip_flow *from, int64_t now_us)
{
	begin(es, req, from, 200, s->dlg.local_tag);
	int64_t left = s->state == EVENT_TERMINATED ? 0 : (s->expires_us - now_us) / EV_SECOND_US;
	sip_put_u(&es->b, SIP_H_EXPIRES, (uint64_t)left);
	es->user.contact(es->user.ctx, &es->b, sub_resource(s), from);
	finish(es, id, 200, now_us);
}

/* ---- outside a dialog ---- */

static bool too_many(struct event_server *es, uint64_t device_id, struct span who)
{
	const struct event_peer *p = peer_find(es, device_id);
	if (es->subs.used < es->lim.max_subscriptions && (!p || p->n < es->lim.max_per_device))
		return false;
	ev_log(es, LOG_WARN, "limit.subscriptions", LOG_S("extension", who), LOG_I("live", es->subs.used), LOG_I("of_device", p ? p->n : 0));
	return true;
}

static bool set_texts(struct event_server *es, struct event_sub *s, struct span id, struct span subscriber)
{
	if (id.n) {
		s->id = slab_copy(es->slab, id);
		if (!s->id)
			return false;
		s->id_n = (uint8_t)id.n;
	}
	return span_copyz(subscriber, s->subscriber, sizeof s->subscriber);
}

static struct event_sub *make(struct event_server *es, const struct event_request *r, struct span id)
{
	char tag[20];
	struct event_sub *s = sub_new(es);
	if (!s)
		return NULL;
	make_tag(es, tag);
	if (dialog_from_request(&s->dlg, es->slab, r->req, r->from, span_z(tag)) != 0) {
		pool_delete(&es->subs, s->h);
		return NULL;
	}
	if (!sub_index_tag(es, s) || !sub_join(es, s, r->package, r->resource, r->device_id) || !set_texts(es, s, id, r->subscriber)) {
		sub_free(es, s);
		return NULL;
	}
	return s;
}

static void lives_until(struct event_server *es, struct event_sub *s, int64_t seconds, int64_t now_us)
{
	s->granted_us = seconds * EV_SECOND_US;
	s->expires_us = now_us + s->granted_us;
	sub_set_timer(es, s);
	if (!s->implicit && (!s->stored_cseq || s->stored_us - now_us < 2 * s->granted_us))
		row_wanted(es, s, now_us);
}

static bool is_for(const struct event_sub *s, struct span token, struct span id)
{
	return s->state != EVENT_TERMINATED && span_eqz(token, event_name_of(s)) && span_eq(id, span_mem(s->id, s->id_n));
}

/* The subscription that this SUBSCRIBE made already, in a life before: its answer did not get through, and the phone asks again. */
static struct event_sub *made_already(const struct event_server *es, const struct event_request *r)
{
	const struct event_peer *p = peer_find(es, r->device_id);
	struct span id, token = event_token_of(r->req, &id);
	for (struct event_sub *s = p ? p->first : NULL; s; s = s->of_peer.next)
		if (span_eq(s->dlg.call_id, r->req->call_id) && span_eq(s->dlg.remote_tag, r->req->from.tag) && is_for(s, token, id) &&
		    r->req->cseq > s->dlg.remote_cseq)
			return s;
	return NULL;
}

handle event_subscribe(struct event_server *es, const struct event_request *r, int64_t now_us)
{
	struct span id;
	struct event_sub *same = made_already(es, r);
	if (same) { /* its dialog goes on: two would notify one phone */
		handle h = same->h;
		event_refresh(es, h, r->id, r->req, r->from, now_us);
		same = sub_get(es, h);
		return same && same->state != EVENT_TERMINATED ? h : 0;
	}
	(void)event_token_of(r->req, &id);
	int64_t seconds = grant(es, r->package, r->req);
	int type = pick_type(r->package, r->req);
	uint16_t fault = 0;
	if (!has_contact(r->req) || seconds == -1 || id.n > 31 || r->resource.n > 63 || r->subscriber.n > 15)
		fault = 400;
	else if (type < 0)
		fault = 406;
	else if (seconds == -2)
		fault = 423;
	else if (too_many(es, r->device_id, r->subscriber))
		fault = 503;
	struct event_sub *s = fault ? NULL : make(es, r, id);
	if (!s) {
		refuse(es, r->package, r->id, r->req, r->from, fault ? fault : 503, now_us);
		return 0;
	}
	s->type = (uint8_t)type;
	s->full = true;
	sub_set_state(es, s, r->state);
	if (seconds)
		lives_until(es, s, seconds, now_us);
	else
		notify_end(es, s, "timeout");
	accept(es, s, r->id, r->req, r->from, now_us);
	if (seconds)
		notify_want(es, s, true, Q_INITIAL);
	return seconds ? s->h : 0;
}

/* ---- in the dialog ---- */

handle event_find(const struct event_server *es, const struct sip_msg *req)
{
	struct span id, token = event_token_of(req, &id);
	const struct event_sub *s = req->to.tag.n ? map_get(&es->tags, req->to.tag) : NULL;
	if (s && dialog_matches_request(&s->dlg, req) && is_for(s, token, id))
		return s->h;
	for (s = es->implicit.first; s; s = s->of_store.next)
		if (dialog_matches_request(&s->dlg, req) && is_for(s, token, id))
			return s->h;
	return 0;
}

static const struct event_package refer_package = {.name = "refer", .types = (const char *const[]){"message/sipfrag", NULL},
						   .min_expires_s = 1, .default_expires_s = 60, .max_expires_s = 3600};

void event_refresh(struct event_server *es, handle sub, txn_id id, const struct sip_msg *req, const struct sip_flow *from, int64_t now_us)
{
	struct event_sub *s = sub_get(es, sub);
	if (!s)
		return;
	const struct event_package *p = s->res ? s->res->package : &refer_package;
	int64_t seconds = grant(es, p, req);
	uint16_t fault = 0;
	/* The CSeqs of a call's dialog are its owner's to judge. */
	if (!s->dialog_owner && dialog_accept_request(&s->dlg, req) != DIALOG_FRESH)
		fault = 500;
	else if (seconds == -1 || dialog_refresh_target(&s->dlg, es->slab, req) != 0)
		fault = 400;
	else if (seconds == -2)
		fault = 423;
	if (fault) {
		refuse(es, p, id, req, from, fault, now_us);
		return;
	}
	s->dlg.flow = *from;
	s->no_tcp = false;
	s->failures = 0;
	s->retry_us = 0;
	sub_set_waiting(es, s, false);
	if (seconds)
		lives_until(es, s, seconds, now_us);
	else
		notify_end(es, s, "timeout");
	accept(es, s, id, req, from, now_us);
	if (seconds)
		notify_want(es, s, true, Q_CHANGED);
}

/* ---- REFER ---- */

handle event_implicit_new(struct event_server *es, const struct event_implicit *i, int64_t now_us)
{
	char id[12];
	struct text t = TEXT_ARRAY(id);
	if (too_many(es, i->device_id, i->subscriber))
		return 0;
	struct event_sub *s = sub_new(es);
	if (!s)
		return 0;
	int rc = i->in ? dialog_copy(&s->dlg, es->slab, i->in) : dialog_from_request(&s->dlg, es->slab, i->refer, i->from, i->local_tag);
	if (rc != 0) {
		pool_delete(&es->subs, s->h);
		return 0;
	}
	s->implicit = true;
	list_add(&es->implicit, s, offsetof(struct event_sub, of_store));
	s->dialog_owner = i->in ? i->dialog_owner : 0;
	if (i->with_id)
		text_u64(&t, i->refer->cseq);
	if ((!i->in && !sub_index_tag(es, s)) || !sub_join(es, s, NULL, SPAN_NONE, i->device_id) || !set_texts(es, s, text_span(&t), i->subscriber)) {
		sub_free(es, s);
		return 0;
	}
	lives_until(es, s, i->expires_s ? i->expires_s : 180, now_us);
	return s->h;
}

void event_implicit_notify(struct event_server *es, handle sub, struct span status_line, bool last, int64_t now_us)
{
	struct event_sub *s = sub_get(es, sub);
	(void)now_us;
	if (!s || !s->implicit || s->state == EVENT_TERMINATED || status_line.n > 512)
		return;
	char *p = slab_copy(es->slab, status_line);
	if (p) {
		slab_free(es->slab, s->note, s->note_n);
		s->note = p;
		s->note_n = (uint16_t)status_line.n;
	}
	if (last)
		notify_end(es, s, "noresource");
	else
		notify_want(es, s, false, Q_CHANGED);
}

void event_dialog_left(struct event_server *es, uint64_t dialog_owner, uint32_t last_cseq)
{
	for (struct event_sub *s = es->implicit.first; s && dialog_owner; s = s->of_store.next) {
		if (s->dialog_owner != dialog_owner)
			continue;
		s->dialog_owner = 0;
		s->dlg.local_cseq = last_cseq;
	}
}

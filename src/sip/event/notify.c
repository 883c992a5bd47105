/* NOTIFY: RFC 6665 4.2.2. One under way for each subscription; pace; what a failure means. */
#include "sip/event/event_internal.h"

enum {
	MAX_TIMEOUTS = 3,  /* unanswered in a row: 3 x 32 s over UDP */
	MAX_FAILURES = 6,  /* refused in a row for reasons that may pass */
	RETRY_FIRST_S = 2, RETRY_MAX_S = 600,
	TYPE_ROOM = 64,    /* Content-Type and Content-Length lines */
	STATE_ROOM = 64    /* the Subscription-State line */
};

/* ---- what is wanted ---- */

void notify_want(struct event_server *es, struct event_sub *s, bool full, enum event_queue_name q)
{
	es->counts.collapsed += s->dirty;
	s->dirty = true;
	s->full = s->full || full;
	if (s->txn || s->waiting || s->retry_us)
		return; /* the answer, the connection or the timer brings it up again */
	if (s->queue == Q_NONE || q == Q_CHANGED)
		sub_to_queue(es, s, q);
}

void notify_end(struct event_server *es, struct event_sub *s, const char *reason)
{
	s->reason = reason;
	s->hidden = s->state == EVENT_PENDING;
	sub_set_state(es, s, EVENT_TERMINATED);
	row_gone(es, s);
	if (s->waiting) { /* no way to tell it */
		sub_free(es, s);
		return;
	}
	s->retry_us = 0;
	sub_set_timer(es, s);
	notify_want(es, s, true, Q_CHANGED);
}

/* ---- writing ---- */

static void put_event(struct event_server *es, const struct event_sub *s)
{
	struct text *t = &es->b.t;
	sip_head(&es->b, SIP_H_EVENT);
	text_z(t, event_name_of(s));
	if (s->id_n) {
		text_lit(t, ";id=");
		text_put(t, span_mem(s->id, s->id_n));
	}
	sip_eol(&es->b);
}

static void put_state(struct event_server *es, const struct event_sub *s, int64_t now_us)
{
	struct text *t = &es->b.t;
	sip_head(&es->b, SIP_H_SUBSCRIPTION_STATE);
	switch ((enum event_state)s->state) {
	case EVENT_PENDING: text_lit(t, "pending;expires="); break;
	case EVENT_ACTIVE: text_lit(t, "active;expires="); break;
	case EVENT_TERMINATED:
		text_lit(t, "terminated;reason=");
		text_z(t, s->reason);
		sip_eol(&es->b);
		return;
	}
	text_i64(t, s->expires_us > now_us ? (s->expires_us - now_us) / EV_SECOND_US : 0);
	sip_eol(&es->b);
}

static struct span own_user(const struct event_sub *s)
{
	struct sip_nameaddr a;
	if (s->res)
		return sub_resource(s);
	return sip_nameaddr_parse(s->dlg.local_uri, &a) == 0 ? a.uri.user : SPAN_NONE;
}

/* All headers but those of the body. */
static void put_head(struct event_server *es, struct event_sub *s, const struct sip_flow *by, uint32_t cseq)
{
	char branch[32];
	struct sip_flow keep = s->dlg.flow;
	s->dlg.flow = *by; /* for Via: Contact stays what the dialog knows */
	es->b.t = es->scratch;
	dialog_request_begin(&s->dlg, &es->b, SIP_NOTIFY, cseq, sip_branch(es->rng, branch));
	s->dlg.flow = keep;
	es->user.contact(es->user.ctx, &es->b, own_user(s), &keep);
	put_event(es, s);
	es->user.product(es->user.ctx, &es->b, SIP_H_USER_AGENT);
}

static const char *type_of(const struct event_sub *s)
{
	return s->res ? s->res->package->types[s->type] : "message/sipfrag;version=2.0";
}

/* 0 and *body; -1: the resource is gone. */
static int render(struct event_server *es, struct event_sub *s, uint32_t cseq, bool full, struct event_body *body)
{
	size_t head = es->b.t.n + STATE_ROOM + TYPE_ROOM;
	body->text = text_on(es->body, sizeof es->body);
	body->seen = 0;
	if (!s->res) {
		text_put(&body->text, span_mem(s->note, s->note_n));
		text_lit(&body->text, "\r\n");
		return 0;
	}
	if (s->state == EVENT_PENDING || s->hidden) /* nothing is told before it is allowed */
		return 0;
	struct event_ask ask = {
		.package = s->res->package, .resource = sub_resource(s), .subscriber = span_z(s->subscriber), .event_id = span_mem(s->id, s->id_n),
		.type = type_of(s), .version = cseq - 1, .seen = full ? 0 : s->seen, .full = full,
		.room = head < EVENT_UDP_MAX ? EVENT_UDP_MAX - head : 0,
	};
	return es->user.render(es->user.ctx, &ask, body) != 0 || body->text.over ? -1 : 0;
}

/* A datagram over 1300 bytes must go by a stream where the subscriber can take one (RFC 3261 18.1.1). */
static bool stream_to(const struct event_sub *s, struct sip_flow *out)
{
	struct sip_uri u;
	struct addr a;
	struct span transport;
	if (s->no_tcp || s->dlg.route.n || sip_uri_parse(s->dlg.remote_target, &u) != 0 || sip_uri_addr(&u, 5060, &a) != 0)
		return false;
	bool said = sip_param(u.params, "transport", &transport);
	if (said ? !span_ieqz(transport, "tcp") : !addr_same_ip(&a, &s->dlg.flow.remote))
		return false;
	*out = s->dlg.flow;
	out->transport = SIP_TCP;
	out->conn = 0;
	out->remote = a;
	return true;
}

static uint32_t next_cseq(struct event_server *es, struct event_sub *s)
{
	uint32_t n = s->dialog_owner ? es->user.next_cseq(es->user.ctx, s->dialog_owner) : 0;
	if (!n) {
		s->dialog_owner = 0;
		return ++s->dlg.local_cseq;
	}
	s->dlg.local_cseq = n;
	return n;
}

static void reserve(struct event_server *es, struct event_sub *s, int64_t now_us)
{
	if (s->stored_cseq && s->stored_cseq - s->dlg.local_cseq < EVENT_RESERVE / 2 && s->state != EVENT_TERMINATED)
		row_wanted(es, s, now_us);
}

void notify_send(struct event_server *es, struct event_sub *s, int64_t now_us)
{
	struct event_body body;
	struct sip_flow by = s->dlg.flow;
	uint32_t cseq = next_cseq(es, s);
	bool full = s->full || !s->seen || !s->res || !s->res->package->partial;
	put_head(es, s, &by, cseq);
	int rc = render(es, s, cseq, full, &body);
	if (rc != 0) {
		s->reason = "noresource";
		sub_set_state(es, s, EVENT_TERMINATED);
		sub_set_timer(es, s);
		body.text.n = 0;
	}
	s->over_tcp = false;
	if (by.transport == SIP_UDP && es->b.t.n + STATE_ROOM + TYPE_ROOM + body.text.n > EVENT_UDP_MAX) {
		if (stream_to(s, &by)) {
			s->over_tcp = true;
			es->counts.oversize_tcp++;
			put_head(es, s, &by, cseq);
		} else if (es->counts.oversize_udp++ == 0) { /* it fragments: told once, counted always */
			ev_log(es, LOG_WARN, "notify.oversize", LOG_Z("package", event_name_of(s)), LOG_Z("extension", s->subscriber),
			       LOG_I("bytes", es->b.t.n + body.text.n));
		}
	}
	put_state(es, s, now_us);
	s->dirty = false;
	s->full = false;
	s->sent_seen = body.seen;
	s->last_sent = s->state == EVENT_TERMINATED;
	es->counts.notifies++;
	if (!sip_finish(&es->b, body.text.n ? type_of(s) : "", text_span(&body.text)) ||
	    txn_send(es->txn, text_span(&es->b.t), &by, s->h | EVENT_OWNER, now_us, &s->txn) != 0) {
		s->txn = 0; /* no room: like a 503 */
		s->dirty = s->full = true;
		s->retry_us = now_us + RETRY_FIRST_S * EV_SECOND_US;
		sub_set_timer(es, s);
		return;
	}
	reserve(es, s, now_us);
}

/* ---- pace ---- */

static void refill(struct event_server *es, int64_t now_us)
{
	uint32_t burst = es->lim.initial_per_s / 20 + 1;
	int64_t step = EV_SECOND_US / es->lim.initial_per_s + 1;
	if (es->credit_us == 0 || now_us - es->credit_us >= (int64_t)burst * step) {
		es->credit = burst;
		es->credit_us = now_us;
	}
	while (es->credit < burst && now_us - es->credit_us >= step) {
		es->credit++;
		es->credit_us += step;
	}
	if (es->credit == burst)
		es->credit_us = now_us;
}

static bool may_fan_out(struct event_server *es, int64_t now_us)
{
	if (now_us - es->window_us >= 1000 || es->window_us == 0) {
		es->window_us = now_us;
		es->window_sent = 0;
	}
	return es->window_sent < es->lim.fan_out_per_ms;
}

static void send_first(struct event_server *es, enum event_queue_name q, int64_t now_us)
{
	struct event_sub *s = es->queue[q].first;
	sub_to_queue(es, s, Q_NONE);
	notify_send(es, s, now_us);
}

void event_pump(struct event_server *es, int64_t now_us)
{
	if (!es->queue[Q_CHANGED].first && !es->queue[Q_INITIAL].first)
		return;
	refill(es, now_us);
	while (es->queue[Q_CHANGED].first && may_fan_out(es, now_us)) {
		es->window_sent++;
		send_first(es, Q_CHANGED, now_us);
	}
	while (es->queue[Q_INITIAL].first && es->credit && may_fan_out(es, now_us)) {
		es->window_sent++;
		es->credit--;
		send_first(es, Q_INITIAL, now_us);
	}
	if (es->queue[Q_CHANGED].first || es->queue[Q_INITIAL].first)
		wheel_set(es->wheel, &es->pump, now_us + 1000);
}

/* ---- answers ---- */

/* RFC 6665 4.2.2: these end a subscription at once. */
static bool is_final(uint16_t status)
{
	return status == 404 || status == 405 || status == 410 || status == 416 || (status >= 480 && status <= 485) || status == 489 ||
	       status == 501 || status == 604;
}

static int64_t retry_after_s(const struct sip_msg *resp)
{
	struct span v = resp ? sip_hdr_value(resp, SIP_H_RETRY_AFTER) : SPAN_NONE;
	size_t n = 0;
	uint64_t s;
	while (n < v.n && ascii_digit(v.p[n])) /* a comment and parameters may follow */
		n++;
	return n && span_u64(span_sub(v, 0, n), 3600, &s) == 0 ? (int64_t)s : -1;
}

static void drop(struct event_server *es, struct event_sub *s, uint16_t status)
{
	es->counts.dropped++;
	ev_log(es, LOG_INFO, "subscription.dropped", LOG_Z("package", event_name_of(s)), LOG_S("resource", sub_resource(s)),
	       LOG_Z("extension", s->subscriber), LOG_I("status", status));
	sub_free(es, s);
}

static void retry_later(struct event_server *es, struct event_sub *s, int64_t after_s, int64_t now_us)
{
	int64_t wait = after_s > 0 ? after_s : (int64_t)RETRY_FIRST_S << s->failures;
	es->counts.retries++;
	s->dirty = true;
	s->retry_us = now_us + (wait < RETRY_MAX_S || after_s > 0 ? wait : RETRY_MAX_S) * EV_SECOND_US;
	sub_set_timer(es, s);
}

static void failed(struct event_server *es, struct event_sub *s, const struct sip_msg *resp, uint16_t status, int64_t now_us)
{
	int64_t after = retry_after_s(resp);
	s->full = true;
	s->seen = 0;
	if (s->over_tcp && !resp) { /* it has no ear for TCP: the datagram then, in fragments */
		s->no_tcp = true;
		notify_want(es, s, true, Q_CHANGED);
		return;
	}
	if (s->state == EVENT_TERMINATED && s->last_sent) {
		sub_free(es, s);
		return;
	}
	if (resp && after < 0 && is_final(status)) {
		drop(es, s, status);
		return;
	}
	if (!resp && status == 503 && sip_transport_reliable(s->dlg.flow.transport)) {
		if (s->state == EVENT_TERMINATED) {
			sub_free(es, s);
			return;
		}
		s->dlg.flow.conn = 0;
		s->dirty = true;
		sub_set_waiting(es, s, true); /* for the phone's next connection */
		return;
	}
	s->failures++;
	if (s->failures >= (resp ? MAX_FAILURES : MAX_TIMEOUTS)) {
		drop(es, s, status);
		return;
	}
	retry_later(es, s, after, now_us);
}

void event_response(struct event_server *es, uint64_t owner, const struct sip_msg *resp, uint16_t status, int64_t now_us)
{
	struct event_sub *s = sub_get(es, owner);
	if (!s || status < 200)
		return;
	s->txn = 0;
	if (status >= 300) {
		failed(es, s, resp, status, now_us);
		return;
	}
	s->failures = 0;
	s->seen = s->sent_seen;
	if (s->last_sent)
		sub_free(es, s);
	else if (s->dirty)
		sub_to_queue(es, s, Q_CHANGED);
}

/* ---- changes ---- */

uint32_t event_changed(struct event_server *es, const struct event_package *package, struct span resource, int64_t now_us)
{
	struct event_resource *r = resource_find(es, package, resource);
	(void)now_us;
	for (struct event_sub *s = r ? r->first : NULL; s; s = s->of_res.next)
		if (s->state == EVENT_ACTIVE)
			notify_want(es, s, false, Q_CHANGED);
	return r ? r->n : 0;
}

uint32_t event_decide(struct event_server *es, const struct event_package *package, struct span resource, struct span subscriber, bool allow, int64_t now_us)
{
	struct event_resource *r = resource_find(es, package, resource);
	uint32_t n = 0;
	for (struct event_sub *s = r ? r->first : NULL, *next; s; s = next) {
		next = s->of_res.next;
		if (s->state != EVENT_PENDING || !span_eqz(subscriber, s->subscriber))
			continue;
		n++;
		if (!allow) {
			notify_end(es, s, "rejected");
			continue;
		}
		sub_set_state(es, s, EVENT_ACTIVE);
		row_wanted(es, s, now_us);
		notify_want(es, s, true, Q_CHANGED);
	}
	return n;
}

void event_end(struct event_server *es, handle sub, const char *reason, int64_t now_us)
{
	struct event_sub *s = sub_get(es, sub);
	(void)now_us;
	if (s && s->state != EVENT_TERMINATED)
		notify_end(es, s, reason);
}

void event_peer_flow(struct event_server *es, uint64_t device_id, const struct sip_flow *was, const struct sip_flow *now, int64_t now_us)
{
	struct event_peer *p = peer_find(es, device_id);
	for (struct event_sub *s = p ? p->first : NULL; s; s = s->of_peer.next) {
		struct sip_flow *f = &s->dlg.flow;
		bool lost = s->waiting || (sip_transport_reliable(f->transport) && f->conn != now->conn);
		if (f->transport != now->transport || !(lost || (was && sip_flow_same(f, was))) || sip_flow_same(f, now))
			continue;
		*f = *now;
		row_wanted(es, s, now_us);
		if (!s->waiting)
			continue;
		sub_set_waiting(es, s, false);
		if (s->dirty)
			notify_want(es, s, true, Q_INITIAL);
	}
}

/* Questions of the API, answered in JSON pages. */
#include "pbx/watch.h"

enum { PAGE_MAX = 200 };

static void answer(struct cell *c, const struct cell_in *in, uint16_t status, struct span json, uint64_t next)
{
	struct cell_out out = {.kind = CELL_OUT_ANSWER, .u.answer = {in->u.query.token, status, json, next}};
	cell_emit(c, &out);
}

static void key(struct text *t, const char *name, bool first)
{
	if (!first)
		text_putc(t, ',');
	text_json(t, span_z(name));
	text_putc(t, ':');
}

static void field(struct text *t, const char *name, struct span v, bool first)
{
	key(t, name, first);
	text_json(t, v);
}

static void number(struct text *t, const char *name, int64_t v)
{
	key(t, name, false);
	text_i64(t, v);
}

static void put_flow(struct text *t, const struct sip_flow *f)
{
	char buf[80];
	struct text a = TEXT_ARRAY(buf);
	addr_put(&a, &f->remote);
	text_putc(&a, '/');
	text_z(&a, sip_transport_param(f->transport));
	field(t, "source", text_span(&a), false);
}

static void put_binding(struct cell *c, struct text *t, const struct binding *b)
{
	const struct site_device *d = c->site ? site_device_by_id(c->site, b->device_id) : NULL;
	text_putc(t, '{');
	field(t, "extension", span_z(b->aor->number), true);
	field(t, "contact", binding_text(b, BIND_CONTACT), false);
	field(t, "instance", binding_text(b, BIND_INSTANCE), false);
	field(t, "user_agent", binding_text(b, BIND_AGENT), false);
	field(t, "mac", span_z(d ? d->row.mac : ""), false);
	put_flow(t, &b->flow);
	number(t, "device", (int64_t)b->device_id);
	number(t, "expires_s", (b->expires_us - c->now_us) / SECOND_US);
	number(t, "registered_ms", b->registered_wall_ms);
	text_putc(t, '}');
}

static void put_leg(struct cell *c, struct text *t, const struct leg *l)
{
	char buf[80];
	struct text a = TEXT_ARRAY(buf);
	text_putc(t, '{');
	field(t, "extension", span_z(l->ext), true);
	field(t, "state", span_z(leg_state_name(l->state)), false);
	field(t, "direction", span_z(l->inbound ? "in" : "out"), false);
	addr_put(&a, &l->flow.remote);
	field(t, "remote", text_span(&a), false);
	number(t, "seconds", (c->now_us - l->started_us) / SECOND_US);
	text_putc(t, '}');
}

static void put_call(struct cell *c, struct text *t, const struct call *k)
{
	char buf[48];
	struct text id = TEXT_ARRAY(buf);
	call_id_text(c, k, &id);
	text_putc(t, '{');
	field(t, "id", text_span(&id), true);
	field(t, "state", span_z(call_state_name(k->state)), false);
	field(t, "caller", span_z(k->caller_number), false);
	field(t, "callee", span_z(k->callee), false);
	number(t, "seconds", (c->now_us - k->started_us) / SECOND_US);
	number(t, "talk_seconds", k->answered_us ? (c->now_us - k->answered_us) / SECOND_US : 0);
	key(t, "direct_media", false);
	text_z(t, k->direct ? "true" : "false");
	key(t, "legs", false);
	text_putc(t, '[');
	for (const struct leg *l = k->first; l; l = l->next) {
		if (l != k->first)
			text_putc(t, ',');
		put_leg(c, t, l);
	}
	text_lit(t, "]}");
}

static uint32_t page_size(const struct cell_in *in)
{
	uint32_t n = in->u.query.limit;
	return n && n < PAGE_MAX ? n : PAGE_MAX;
}

/* Ends a page before the item that does not fit; the cursor is the number of the last item written. */
static bool item_fits(struct text *t, const struct text *before)
{
	if (!t->over && t->cap - t->n >= 2)
		return true;
	*t = *before;
	return false;
}

static void registrations(struct cell *c, const struct cell_in *in)
{
	struct text t = TEXT_ARRAY(c->out), before;
	uint64_t last = in->u.query.cursor;
	uint32_t left = page_size(in), n = 0;
	struct binding *b = c->bind_first;
	text_putc(&t, '[');
	for (; b && left; b = b->all_next) {
		if (b->seq <= in->u.query.cursor || (in->u.query.arg.n && !span_eqz(in->u.query.arg, b->aor->number)))
			continue;
		before = t;
		if (n++)
			text_putc(&t, ',');
		put_binding(c, &t, b);
		if (!item_fits(&t, &before))
			break;
		last = b->seq;
		left--;
	}
	text_putc(&t, ']');
	answer(c, in, 200, text_span(&t), b ? last : 0);
}

static void put_subscription(struct cell *c, struct text *t, const struct event_view *v)
{
	static const char *const states[] = {"pending", "active", "terminated"};
	text_putc(t, '{');
	field(t, "extension", v->party.subscriber, true);
	field(t, "event", span_z(v->party.package ? v->party.package->name : "refer"), false);
	field(t, "resource", v->party.resource, false);
	field(t, "state", span_z(states[v->state]), false);
	field(t, "target", v->target, false);
	put_flow(t, &v->party.flow);
	number(t, "device", (int64_t)v->party.device_id);
	number(t, "version", v->version);
	number(t, "expires_s", v->expires_us > c->now_us ? (v->expires_us - c->now_us) / SECOND_US : 0);
	key(t, "waits_for_connection", false);
	text_z(t, v->waiting ? "true" : "false");
	text_putc(t, '}');
}

static void subscriptions(struct cell *c, const struct cell_in *in)
{
	struct text t = TEXT_ARRAY(c->out), before;
	struct event_view v;
	uint64_t cursor = in->u.query.cursor, last = cursor;
	uint32_t left = page_size(in), n = 0;
	bool more = false;
	text_putc(&t, '[');
	while (left && (more = event_next(c->events, &cursor, &v))) {
		if (in->u.query.arg.n && !span_eq(in->u.query.arg, v.party.subscriber))
			continue;
		before = t;
		if (n++)
			text_putc(&t, ',');
		put_subscription(c, &t, &v);
		if (!item_fits(&t, &before))
			break;
		last = cursor;
		left--;
	}
	text_putc(&t, ']');
	answer(c, in, 200, text_span(&t), more ? last : 0);
}

static void feature(struct cell *c, const struct cell_in *in)
{
	char json[512];
	struct text t = TEXT_ARRAY(json);
	uint16_t status = watch_verb(c, in->u.query.arg, &t);
	answer(c, in, status, text_span(&t), 0);
}

static void calls(struct cell *c, const struct cell_in *in)
{
	struct text t = TEXT_ARRAY(c->out), before;
	uint64_t last = in->u.query.cursor;
	uint32_t left = page_size(in), n = 0;
	struct call *k = c->call_first;
	text_putc(&t, '[');
	for (; k && left; k = k->next) {
		if (k->number <= in->u.query.cursor || k->state == CALL_ENDED)
			continue;
		before = t;
		if (n++)
			text_putc(&t, ',');
		put_call(c, &t, k);
		if (!item_fits(&t, &before))
			break;
		last = k->number;
		left--;
	}
	text_putc(&t, ']');
	answer(c, in, 200, text_span(&t), k ? last : 0);
}

static void status(struct cell *c, const struct cell_in *in)
{
	struct cell_counts n = cell_counts(c);
	struct text t = TEXT_ARRAY(c->out);
	text_putc(&t, '{');
	field(&t, "version", SPAN_LIT(STROWGER_VERSION), true);
	number(&t, "extensions", c->site ? site_extension_count(c->site) : 0);
	number(&t, "devices", c->site ? site_device_count(c->site) : 0);
	number(&t, "registrations", n.bindings);
	number(&t, "calls", n.calls);
	number(&t, "legs", n.legs);
	number(&t, "transactions", n.txns);
	number(&t, "media_slots_used", n.slots_used);
	number(&t, "cdr_unconfirmed", n.cdr_unconfirmed);
	number(&t, "calls_total", (int64_t)n.calls_total);
	number(&t, "calls_answered", (int64_t)n.calls_answered);
	number(&t, "registrations_total", (int64_t)n.registrations_total);
	number(&t, "refused_total", (int64_t)n.refused_total);
	number(&t, "retransmits", (int64_t)n.retransmits);
	text_putc(&t, '}');
	answer(c, in, 200, text_span(&t), 0);
}

static void bans(struct cell *c, const struct cell_in *in)
{
	struct text t = TEXT_ARRAY(c->out);
	guard_bans(c, &t);
	answer(c, in, 200, text_span(&t), 0);
}

static void release(struct cell *c, const struct cell_in *in)
{
	answer(c, in, guard_release(c, in->u.query.arg) ? 200 : 404, SPAN_LIT("{}"), 0);
}

static void unregister(struct cell *c, const struct cell_in *in)
{
	uint32_t n = binding_drop_all(c, in->u.query.arg);
	char buf[48];
	struct text t = TEXT_ARRAY(buf);
	text_fmt(&t, "{\"removed\":%u}", n);
	answer(c, in, n ? 200 : 404, text_span(&t), 0);
}

static void hangup(struct cell *c, const struct cell_in *in)
{
	char buf[48];
	for (struct call *k = c->call_first; k; k = k->next) {
		struct text id = TEXT_ARRAY(buf);
		call_id_text(c, k, &id);
		if (!span_eq(text_span(&id), in->u.query.arg) || k->state == CALL_ENDED)
			continue;
		call_event(c, k, NULL, CALL_EV_END, 480, NULL);
		answer(c, in, 200, SPAN_LIT("{}"), 0);
		return;
	}
	answer(c, in, 404, SPAN_LIT("{}"), 0);
}

void query_answer(struct cell *c, const struct cell_in *in)
{
	switch (in->u.query.kind) {
	case CELL_Q_CALLS: calls(c, in); break;
	case CELL_Q_REGISTRATIONS: registrations(c, in); break;
	case CELL_Q_STATUS: status(c, in); break;
	case CELL_Q_UNREGISTER: unregister(c, in); break;
	case CELL_Q_HANGUP: hangup(c, in); break;
	case CELL_Q_BANS: bans(c, in); break;
	case CELL_Q_BAN_RELEASE: release(c, in); break;
	case CELL_Q_SUBSCRIPTIONS: subscriptions(c, in); break;
	case CELL_Q_FEATURE: feature(c, in); break;
	}
}

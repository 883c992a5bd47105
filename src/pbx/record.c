#include "pbx/record.h"

/* A frame: length of what follows, kind, payload. */
struct frame_head {
	uint32_t bytes;
	uint32_t kind; /* enum record_kind */
};

struct build_id {
	char version[24];
	uint32_t opts, row, media, settings, extension, device, flow, subscription;
};

static struct build_id this_build(void)
{
	struct build_id b = {.opts = sizeof(struct cell_opts), .row = sizeof(struct binding_row), .media = sizeof(struct media_event),
			     .settings = sizeof(struct site_settings), .extension = sizeof(struct site_extension),
			     .device = sizeof(struct site_device), .flow = sizeof(struct sip_flow), .subscription = sizeof(struct subscription_row)};
	(void)span_copyz(SPAN_LIT("strowger " STROWGER_VERSION), b.version, sizeof b.version);
	return b;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static void put(struct record_sink *s, const void *p, size_t n)
{
	if (n)
		s->write(s, span_mem(p, n));
}

static void begin(struct record_sink *s, enum record_kind kind, size_t bytes)
{
	struct frame_head h = {(uint32_t)bytes, kind};
	put(s, &h, sizeof h);
}

void record_header(struct record_sink *s, const struct cell_opts *o, int64_t now_us)
{
	struct build_id b = this_build();
	begin(s, RECORD_HEADER, sizeof b + sizeof now_us + sizeof *o);
	put(s, &b, sizeof b);
	put(s, &now_us, sizeof now_us);
	put(s, o, sizeof *o);
}

void record_checkpoint(struct record_sink *s, const struct trace_hash *h)
{
	begin(s, RECORD_CHECKPOINT, 2 * sizeof(uint64_t));
	put(s, &h->h, sizeof h->h);
	put(s, &h->items, sizeof h->items);
}

struct input_head {
	int64_t now_us;
	uint32_t kind;
	uint32_t spare;
};

static void put_site(struct record_sink *s, const struct input_head *h, const struct site *site)
{
	uint32_t n[2] = {site_extension_count(site), site_device_count(site)};
	uint64_t cursor = 0;
	begin(s, RECORD_INPUT, sizeof *h + sizeof(struct site_settings) + sizeof n + n[0] * sizeof(struct site_extension) +
				       n[1] * sizeof(struct site_device));
	put(s, h, sizeof *h);
	put(s, site_settings_of(site), sizeof(struct site_settings));
	put(s, n, sizeof n);
	for (const struct site_extension *e; (e = site_extension_next(site, &cursor));)
		put(s, e, sizeof *e);
	cursor = 0;
	for (const struct site_device *d; (d = site_device_next(site, &cursor));)
		put(s, d, sizeof *d);
}

/* Two parts behind the head: a fixed one and a text. */
static void put_parts(struct record_sink *s, const struct input_head *h, const void *p, size_t n, struct span text)
{
	begin(s, RECORD_INPUT, sizeof *h + n + text.n);
	put(s, h, sizeof *h);
	put(s, p, n);
	put(s, text.p, text.n);
}

struct query_part {
	uint64_t token, cursor;
	uint32_t kind, limit;
};

void record_input(struct record_sink *s, const struct cell_in *in, int64_t now_us)
{
	struct input_head h = {now_us, in->kind, 0};
	switch (in->kind) {
	case CELL_IN_TIMER: put_parts(s, &h, NULL, 0, SPAN_NONE); break;
	case CELL_IN_SIP: put_parts(s, &h, &in->u.sip.flow, sizeof in->u.sip.flow, in->u.sip.bytes); break;
	case CELL_IN_FLOW_CLOSED: put_parts(s, &h, &in->u.sip.flow, sizeof in->u.sip.flow, SPAN_NONE); break;
	case CELL_IN_SITE: put_site(s, &h, in->u.site); break;
	case CELL_IN_WALL: put_parts(s, &h, &in->u.wall_minus_mono_us, sizeof in->u.wall_minus_mono_us, SPAN_NONE); break;
	case CELL_IN_SLOTS: put_parts(s, &h, &in->u.slots, sizeof in->u.slots, SPAN_NONE); break;
	case CELL_IN_MEDIA: put_parts(s, &h, &in->u.media, sizeof in->u.media, SPAN_NONE); break;
	case CELL_IN_BINDING: put_parts(s, &h, &in->u.binding, sizeof in->u.binding, SPAN_NONE); break;
	case CELL_IN_SUBSCRIPTION: put_parts(s, &h, &in->u.subscription, sizeof in->u.subscription, SPAN_NONE); break;
	case CELL_IN_BAN: put_parts(s, &h, &in->u.ban, sizeof in->u.ban, SPAN_NONE); break;
	case CELL_IN_PERSISTED: put_parts(s, &h, &in->u.persisted, sizeof in->u.persisted, SPAN_NONE); break;
	case CELL_IN_QUERY: {
		struct query_part q = {in->u.query.token, in->u.query.cursor, in->u.query.kind, in->u.query.limit};
		put_parts(s, &h, &q, sizeof q, in->u.query.arg);
		break;
	}
	}
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static bool get(struct span *s, void *dst, size_t n)
{
	if (s->n < n)
		return false;
	memcpy(dst, s->p, n);
	*s = span_sub(*s, n, s->n);
	return true;
}

static bool step_site(struct site **site, struct site *next)
{
	if (!next)
		return false;
	site_unref(*site);
	*site = next;
	return true;
}

static bool get_site(struct span *s, struct site **out)
{
	struct site_settings st;
	uint32_t n[2];
	if (!get(s, &st, sizeof st) || !get(s, n, sizeof n))
		return false;
	struct site *site = site_new(&st);
	bool ok = site != NULL;
	for (uint32_t i = 0; ok && i < n[0]; i++) {
		struct site_extension e;
		ok = get(s, &e, sizeof e) && step_site(&site, site_with_extension(site, &e));
	}
	for (uint32_t i = 0; ok && i < n[1]; i++) {
		struct site_device d;
		ok = get(s, &d, sizeof d) && step_site(&site, site_with_device(site, &d));
	}
	if (!ok && site)
		site_unref(site);
	*out = site;
	return ok;
}

static bool get_query(struct span *s, struct cell_in *in)
{
	struct query_part q;
	if (!get(s, &q, sizeof q))
		return false;
	in->u.query.token = q.token;
	in->u.query.cursor = q.cursor;
	in->u.query.kind = (enum cell_query_kind)q.kind;
	in->u.query.limit = q.limit;
	in->u.query.arg = *s;
	return true;
}

static bool get_input(struct span *s, struct cell_in *in)
{
	switch (in->kind) {
	case CELL_IN_TIMER: return true;
	case CELL_IN_SIP:
		if (!get(s, &in->u.sip.flow, sizeof in->u.sip.flow))
			return false;
		in->u.sip.bytes = *s;
		return true;
	case CELL_IN_FLOW_CLOSED: return get(s, &in->u.sip.flow, sizeof in->u.sip.flow);
	case CELL_IN_SITE: return get_site(s, &in->u.site);
	case CELL_IN_WALL: return get(s, &in->u.wall_minus_mono_us, sizeof in->u.wall_minus_mono_us);
	case CELL_IN_SLOTS: return get(s, &in->u.slots, sizeof in->u.slots);
	case CELL_IN_MEDIA: return get(s, &in->u.media, sizeof in->u.media);
	case CELL_IN_BINDING: return get(s, &in->u.binding, sizeof in->u.binding);
	case CELL_IN_SUBSCRIPTION: return get(s, &in->u.subscription, sizeof in->u.subscription);
	case CELL_IN_BAN: return get(s, &in->u.ban, sizeof in->u.ban);
	case CELL_IN_PERSISTED: return get(s, &in->u.persisted, sizeof in->u.persisted);
	case CELL_IN_QUERY: return get_query(s, in);
	}
	return false;
}

static bool get_payload(struct span s, enum record_kind kind, struct record_item *out)
{
	struct build_id b, mine = this_build();
	struct input_head h;
	switch (kind) {
	case RECORD_HEADER:
		return get(&s, &b, sizeof b) && memcmp(&b, &mine, sizeof b) == 0 && get(&s, &out->now_us, sizeof out->now_us) &&
		       get(&s, &out->opts, sizeof out->opts);
	case RECORD_INPUT:
		if (!get(&s, &h, sizeof h))
			return false;
		out->now_us = h.now_us;
		out->in.kind = (enum cell_in_kind)h.kind;
		return get_input(&s, &out->in);
	case RECORD_CHECKPOINT: return get(&s, &out->hash.h, sizeof out->hash.h) && get(&s, &out->hash.items, sizeof out->hash.items);
	case RECORD_END:
	case RECORD_BROKEN: return false;
	}
	return false;
}

enum record_kind record_read(struct span *rest, struct record_item *out)
{
	struct frame_head h;
	struct span s = *rest;
	memset(out, 0, sizeof *out);
	if (!s.n)
		return RECORD_END;
	if (!get(&s, &h, sizeof h) || s.n < h.bytes || !get_payload(span_sub(s, 0, h.bytes), (enum record_kind)h.kind, out))
		return RECORD_BROKEN;
	*rest = span_sub(s, h.bytes, s.n);
	return (enum record_kind)h.kind;
}

/* ---- the hash of effects ---------------------------------------------------------------------------------------- */

static void add_addr(struct trace_hash *h, const struct addr *a)
{
	trace_hash_add(h, a->ip, sizeof a->ip);
	trace_hash_u64(h, (uint64_t)a->port << 8 | a->family);
}

static void add_flow(struct trace_hash *h, const struct sip_flow *f)
{
	trace_hash_u64(h, (uint64_t)f->transport << 48 | (uint64_t)f->listener << 32 | f->conn);
	add_addr(h, &f->remote);
	add_addr(h, &f->local);
}

static void add_z(struct trace_hash *h, const char *z)
{
	trace_hash_add(h, z, strlen(z));
}

static void add_stats(struct trace_hash *h, const struct media_stats *m)
{
	const uint64_t v[] = {m->rx_packets, m->rx_bytes, m->tx_packets, m->tx_bytes, m->rx_lost, m->rx_dropped, m->jitter_us,
			      m->max_jitter_us, m->mos_x100, m->far_lost, m->rtt_us};
	trace_hash_add(h, v, sizeof v);
}

static void add_media(struct trace_hash *h, const struct media_cmd *m)
{
	const uint64_t v[] = {m->seq, m->op, m->slot, m->peer_slot, m->leg, m->may_send, m->may_recv, m->relearn, m->pt, m->pt_dtmf,
			      m->clock_hz, m->ptime_ms, m->source, m->tone_hz[0], m->tone_hz[1], m->tone_on_ms, m->tone_off_ms,
			      (uint64_t)(int64_t)m->tone_level_dbm0};
	trace_hash_add(h, v, sizeof v);
	add_addr(h, &m->remote);
	add_addr(h, &m->remote_rtcp);
}

static void add_cdr(struct trace_hash *h, uint64_t token, const struct cdr_row *r)
{
	const char *const texts[] = {r->id, r->call, r->extension, r->device, r->caller, r->callee, r->dialled, r->sip_call_id, r->remote,
				     r->codec};
	const int64_t v[] = {(int64_t)token, r->leg_no, r->direction, r->start_wall_ms, r->ring_wall_ms, r->answer_wall_ms, r->end_wall_ms,
			     r->ring_ms, r->talk_ms, r->cause, r->sip_status, r->ended_by, r->closed, r->direct_media};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		add_z(h, texts[i]);
	trace_hash_add(h, v, sizeof v);
	add_stats(h, &r->media);
}

static void add_binding(struct trace_hash *h, const struct binding_row *b)
{
	const char *const texts[] = {b->extension, b->contact, b->instance, b->call_id, b->user_agent, b->path};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		add_z(h, texts[i]);
	const int64_t v[] = {(int64_t)b->device_id, b->reg_id, b->cseq, b->expires_wall_ms, b->registered_wall_ms};
	trace_hash_add(h, v, sizeof v);
	add_flow(h, &b->flow);
}

static void add_subscription(struct trace_hash *h, const struct subscription_row *r)
{
	const char *const texts[] = {r->local_tag, r->remote_tag, r->call_id, r->local_uri, r->remote_uri, r->target, r->route, r->package,
				     r->event_id, r->type, r->resource, r->subscriber};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		add_z(h, texts[i]);
	const int64_t v[] = {(int64_t)r->device_id, r->cseq, r->remote_cseq, r->state, r->expires_wall_ms, r->written_wall_ms};
	trace_hash_add(h, v, sizeof v);
	add_flow(h, &r->flow);
}

/* What is told of it is no effect: that depends on who listens. */
void record_effect(struct trace_hash *h, const struct cell_out *out)
{
	if (out->kind == CELL_OUT_LOG)
		return;
	trace_hash_u64(h, out->kind);
	switch (out->kind) {
	case CELL_OUT_SIP:
		add_flow(h, out->u.sip.to);
		trace_hash_add(h, out->u.sip.bytes.p, out->u.sip.bytes.n);
		break;
	case CELL_OUT_MEDIA: add_media(h, out->u.media); break;
	case CELL_OUT_CDR: add_cdr(h, out->u.cdr.token, out->u.cdr.row); break;
	case CELL_OUT_BINDING:
	case CELL_OUT_BINDING_GONE: add_binding(h, out->u.binding); break;
	case CELL_OUT_SUBSCRIPTION:
	case CELL_OUT_SUBSCRIPTION_GONE: add_subscription(h, out->u.subscription); break;
	case CELL_OUT_BAN:
	case CELL_OUT_BAN_GONE:
		add_addr(h, &out->u.ban->source);
		trace_hash_u64(h, (uint64_t)out->u.ban->until_wall_ms);
		break;
	case CELL_OUT_SOURCE:
		add_addr(h, out->u.source.addr);
		trace_hash_u64(h, (uint64_t)out->u.source.blocked_until_us * 2 + out->u.source.known);
		break;
	case CELL_OUT_ANSWER:
		trace_hash_u64(h, out->u.answer.token);
		trace_hash_u64(h, (uint64_t)out->u.answer.status << 32 ^ out->u.answer.next_cursor);
		trace_hash_add(h, out->u.answer.json.p, out->u.answer.json.n);
		break;
	case CELL_OUT_PROGRESS: trace_hash_u64(h, (uint64_t)out->u.progress.after_us * 2 + out->u.progress.answered); break;
	case CELL_OUT_LOG: break;
	}
}

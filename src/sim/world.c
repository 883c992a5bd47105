#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void *world_grown(void *p, size_t n)
{
	void *q = realloc(p, n);
	INVARIANT(q != NULL);
	return q;
}

void world_at(struct world *w, int64_t at, enum sim_ev_kind kind, uint64_t a, uint32_t b, void *p)
{
	queue_push(&w->q, (struct sim_ev){.at = at < w->now ? w->now : at, .kind = kind, .a = a, .b = b, .p = p});
}

void world_say(struct world *w, enum sim_say what, const char *fmt, ...)
{
	if (what == SAY_VIOLATION)
		w->res.violations++;
	if (!w->o.say || (what != SAY_TRACE && w->said++ >= w->o.say_max))
		return;
	char line[2048];
	static const char *const names[] = {"violation", "lost", "trace"};
	int64_t s = w->now / US_PER_S;
	int n = snprintf(line, sizeof line, "%s %02d:%02d:%02d.%06d ", names[what], (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60),
			 (int)(w->now % US_PER_S));
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
	va_end(ap);
	w->o.say(w->o.say_ctx, line);
}

/* ---- the cell ------------------------------------------------------------------------------------------------- */

static void trace_media(struct world *w, const struct media_cmd *c)
{
	const uint64_t f[] = {c->seq, (uint64_t)c->op, c->slot, c->peer_slot, c->leg, c->remote.port, c->remote_rtcp.port,
			      (uint64_t)c->may_send << 3 | (uint64_t)c->may_recv << 2 | (uint64_t)c->relearn, c->pt, c->pt_dtmf,
			      c->clock_hz, c->ptime_ms, (uint64_t)c->source, c->tone_hz[0], c->tone_hz[1], c->tone_on_ms, c->tone_off_ms};
	trace_hash_add(&w->trace, f, sizeof f);
	trace_hash_add(&w->trace, c->remote.ip, 16);
}

static void trace_cdr(struct world *w, const struct cdr_row *r)
{
	const uint64_t f[] = {r->leg_no, r->direction, (uint64_t)r->start_wall_ms, (uint64_t)r->ring_wall_ms, (uint64_t)r->answer_wall_ms,
			      (uint64_t)r->end_wall_ms, (uint64_t)r->ring_ms, (uint64_t)r->talk_ms, r->cause, r->sip_status, r->ended_by,
			      r->closed, r->direct_media};
	const char *const t[] = {r->id, r->call, r->extension, r->device, r->caller, r->callee, r->dialled, r->sip_call_id, r->remote, r->codec};
	trace_hash_add(&w->trace, f, sizeof f);
	for (size_t i = 0; i < COUNT_OF(t); i++)
		trace_hash_add(&w->trace, t[i], strlen(t[i]));
}

static void trace_binding(struct world *w, const struct binding_row *b)
{
	trace_hash_add(&w->trace, b->extension, strlen(b->extension));
	trace_hash_add(&w->trace, b->contact, strlen(b->contact));
	trace_hash_u64(&w->trace, (uint64_t)b->expires_wall_ms);
}

static void media_apply(struct world *w, const struct media_cmd *c)
{
	trace_media(w, c);
	check_media(w, c);
	mgraph_command(w->media, c, w->now);
	world_media_rearm(w);
}

static void pass(struct world *w, const struct cell_out *o)
{
	trace_hash_u64(&w->trace, (uint64_t)o->kind);
	switch (o->kind) {
	case CELL_OUT_SIP:
		w->res.sip_messages++;
		trace_hash_add(&w->trace, o->u.sip.bytes.p, o->u.sip.bytes.n);
		trace_hash_add(&w->trace, o->u.sip.to->remote.ip, 16);
		trace_hash_u64(&w->trace, o->u.sip.to->remote.port);
		if (w->o.verbose)
			world_say(w, SAY_TRACE, "cell >> " SPAN_FMT, SPAN_ARG(o->u.sip.bytes));
		check_sip(w, o->u.sip.to, o->u.sip.bytes);
		net_from_cell(w, o->u.sip.to, o->u.sip.bytes);
		break;
	case CELL_OUT_MEDIA:
		media_apply(w, o->u.media);
		break;
	case CELL_OUT_CDR:
		trace_cdr(w, o->u.cdr.row);
		store_cdr(w, o->u.cdr.token, o->u.cdr.row);
		break;
	case CELL_OUT_BINDING:
		trace_binding(w, o->u.binding);
		w->bindings_written++;
		behind_put(w, &w->disk.bind, o->u.binding, false);
		break;
	case CELL_OUT_BINDING_GONE:
		trace_binding(w, o->u.binding);
		w->bindings_gone++;
		behind_put(w, &w->disk.bind, o->u.binding, true);
		break;
	case CELL_OUT_SUBSCRIPTION:
	case CELL_OUT_SUBSCRIPTION_GONE:
		trace_hash_add(&w->trace, o->u.subscription->local_tag, strlen(o->u.subscription->local_tag));
		trace_hash_u64(&w->trace, o->u.subscription->cseq);
		behind_put(w, &w->disk.sub, o->u.subscription, o->kind == CELL_OUT_SUBSCRIPTION_GONE);
		break;
	case CELL_OUT_BAN:
	case CELL_OUT_BAN_GONE:
		behind_put(w, &w->disk.ban, o->u.ban, o->kind == CELL_OUT_BAN_GONE);
		break;
	case CELL_OUT_SOURCE:
	case CELL_OUT_PROGRESS:
	case CELL_OUT_ANSWER:
	case CELL_OUT_LOG:
		break;
	}
}

static void log_line(struct world *w, const struct cell_out *o)
{
	char buf[1024];
	struct text t = TEXT_ARRAY(buf);
	log_format(&t, o->u.log.level, o->u.log.event, o->u.log.f, o->u.log.n);
	world_say(w, SAY_TRACE, "cell log " SPAN_FMT, SPAN_ARG(text_span(&t)));
}

static void cell_emit(struct cell_sink *s, const struct cell_out *o)
{
	struct world *w = CONTAINER_OF(s, struct world, cell_sink);
	world_inside(w, false); /* the world is not under test */
	if (w->o.record)
		record_effect(&w->effects, o);
	if (o->kind == CELL_OUT_LOG && w->o.verbose)
		log_line(w, o);
	if (w->sab.which < 0 || !sabotage_out(w, o, pass))
		pass(w, o);
	world_inside(w, true);
}

static void cell_rearm(struct world *w)
{
	int64_t d = cell_deadline(w->cell);
	if (d >= w->cell_timer_at)
		return;
	if (d < w->now)
		d = w->now;
	w->cell_timer_at = d;
	world_at(w, d, EV_CELL_TIMER, 0, 0, NULL);
}

void world_cell(struct world *w, const struct cell_in *in)
{
	INVARIANT(!w->in_cell);
	if (!w->cell)
		return;
	w->in_cell = true;
	w->res.steps++;
	int64_t now = sabotage_clock(w, w->now);
	if (w->o.record)
		record_input(w->o.record, in, now);
	world_inside(w, true);
	cell_step(w->cell, in, now, &w->cell_sink);
	world_inside(w, false);
	w->in_cell = false;
	cell_rearm(w);
	if (w->res.steps % 20011 == 0)
		check_periodic(w, true);
}

static void cell_timer(struct world *w)
{
	if (!w->cell || w->cell_timer_at > w->now)
		return;
	w->cell_timer_at = INT64_MAX;
	if (cell_deadline(w->cell) <= w->now) {
		struct cell_in in = {.kind = CELL_IN_TIMER};
		world_cell(w, &in);
		/* A cell that does not serve its deadline would stop the clock: ask again later, its timers are then late. */
		if (w->cell_timer_at <= w->now) {
			w->cell_timer_at = w->now + 100000;
			world_at(w, w->cell_timer_at, EV_CELL_TIMER, 0, 0, NULL);
		}
	} else {
		cell_rearm(w);
	}
}

void world_wall(struct world *w, int64_t wall_minus_mono_us)
{
	w->wall_minus_mono = wall_minus_mono_us;
	struct cell_in in = {.kind = CELL_IN_WALL};
	in.u.wall_minus_mono_us = wall_minus_mono_us;
	world_cell(w, &in);
}

/* ---- the media graph ------------------------------------------------------------------------------------------ */

void world_media_rearm(struct world *w)
{
	int64_t d = mgraph_deadline(w->media);
	if (d >= w->media_timer_at)
		return;
	if (d < w->now)
		d = w->now;
	w->media_timer_at = d;
	world_at(w, d, EV_MEDIA_TIMER, 0, 0, NULL);
}

static void media_timer(struct world *w)
{
	if (!w->media || w->media_timer_at > w->now)
		return;
	w->media_timer_at = INT64_MAX;
	mgraph_tick(w->media, w->now);
	world_media_rearm(w);
}

static void media_send(void *ctx, media_slot slot, bool rtcp, const struct addr *to, struct span bytes)
{
	struct world *w = ctx;
	struct addr from = w->cell_addr;
	uint32_t i = slot & 0xffff;
	if (i >= w->n_slots) {
		violation(w, "media sends from slot %u which is not there", slot);
		return;
	}
	from.port = (uint16_t)(SIM_RTP_BASE + 2 * i + rtcp);
	w->res.rtp_packets++;
	if (w->sab.which >= 0)
		sabotage_rtp(w, &from, w->origin);
	net_udp(w, &from, to, bytes, w->origin, true);
}

static void media_event(void *ctx, const struct media_event *e)
{
	struct world *w = ctx;
	if (w->sab.which >= 0 && sabotage_media_event(w, e))
		return;
	struct media_event *copy = slab_alloc(&w->slab, sizeof *copy);
	INVARIANT(copy != NULL);
	*copy = *e;
	world_at(w, w->now + 50, EV_MEDIA_EVENT, 0, 0, copy);
}

static void media_told(struct world *w, struct media_event *e)
{
	struct cell_in in = {.kind = CELL_IN_MEDIA};
	in.u.media = *e;
	slab_free(&w->slab, e, sizeof *e);
	world_cell(w, &in);
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

static void persisted(struct world *w, uint64_t token, uint32_t epoch)
{
	if (epoch != w->epoch)
		return;
	w->persist_pending--;
	disk_cdr_done(w, token);
	if (w->sab.which >= 0 && sabotage_persisted(w))
		return;
	struct cell_in in = {.kind = CELL_IN_PERSISTED};
	in.u.persisted.token = token;
	in.u.persisted.ok = true;
	world_cell(w, &in);
}

static void dispatch(struct world *w, const struct sim_ev *e)
{
	switch (e->kind) {
	case EV_PACKET:
		net_packet(w, e->p);
		break;
	case EV_STREAM:
		net_stream(w, e->p);
		break;
	case EV_CELL_TIMER:
		cell_timer(w);
		break;
	case EV_MEDIA_TIMER:
		media_timer(w);
		break;
	case EV_PHONE_TIMER:
		phone_timer(&w->phone[e->a]);
		break;
	case EV_MEDIA_EVENT:
		media_told(w, e->p);
		break;
	case EV_PERSISTED:
		persisted(w, e->a, e->b);
		break;
	case EV_CONN:
		net_conn(w, (uint32_t)(e->a >> 32), (uint32_t)e->a, e->b != 0);
		break;
	case EV_HTTP_ASK:
		web_ask(w, e->p);
		break;
	case EV_HTTP_ANSWER:
		web_answer(w, e->p);
		break;
	case EV_START: {
		struct vphone_in in = {.kind = VP_IN_START};
		phone_step(&w->phone[e->a], &in);
		break;
	}
	case EV_RESTART:
		world_restart(w);
		break;
	case EV_HOST:
		w->host.event(w->host.ctx, e->a, e->b);
		break;
	}
}

void world_run(struct world *w, int64_t until)
{
	while (w->q.n > 0 && w->q.heap[0].at <= until) {
		struct sim_ev e = queue_pop(&w->q);
		w->now = e.at;
		w->res.events++;
		dispatch(w, &e);
	}
	w->now = until;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static int make_cell(struct world *w, const char **error)
{
	struct cell_opts o = {.limits = cell_limits_default, .seed = {w->o.seed, 0x63656c6c}, .min_expires_s = 60, .max_expires_s = 3600};
	snprintf(o.boot_id, sizeof o.boot_id, "%016x", 0x51a0 + w->epoch);
	o.seed.k1 += w->epoch;
	struct rng r = rng_seed(w->o.seed, 0x6e6f6e6365 + w->epoch);
	rng_bytes(&r, &o.nonce_key, sizeof o.nonce_key);
	if (w->sab.which >= 0)
		sabotage_boot(w, &o);
	if (w->o.record)
		record_header(w->o.record, &o, 0);
	w->cell = cell_new(&o, w->now);
	if (!w->cell) {
		*error = "no memory for the cell";
		return -1;
	}
	w->cell_sink = (struct cell_sink){cell_emit, w->o.verbose ? LOG_DEBUG : LOG_ERROR};
	struct cell_in in = {.kind = CELL_IN_SLOTS};
	in.u.slots.n = w->n_slots;
	in.u.slots.addr = w->cell_addr;
	in.u.slots.addr.port = SIM_RTP_BASE;
	world_wall(w, w->epoch ? w->wall_minus_mono : SIM_WALL_0);
	world_cell(w, &in);
	return 0;
}

static int make_media(struct world *w, const char **error)
{
	struct mgraph_out out = {.ctx = w, .send = media_send, .event = media_event};
	w->n_slots = w->n_phones * 2 + 64;
	if (!w->slot_open)
		w->slot_open = calloc(w->n_slots, 1);
	w->media = mgraph_new(0, w->n_slots, w->o.seed ^ 0x6d65646961 ^ w->epoch, &out);
	if (!w->media || !w->slot_open) {
		*error = "no memory for the media graph";
		return -1;
	}
	return 0;
}

int world_boot(struct world *w, const char **error)
{
	if (make_media(w, error) != 0 || make_cell(w, error) != 0)
		return -1;
	struct cell_in in = {.kind = CELL_IN_SITE};
	in.u.site = w->site;
	world_cell(w, &in);
	return 0;
}

int world_init(struct world *w, const struct sim_opts *o, uint32_t n_phones, const struct site_settings *st, const char **error)
{
	*w = (struct world){.o = *o, .cell_timer_at = INT64_MAX, .media_timer_at = INT64_MAX, .origin = ORIGIN_NONE, .n_phones = n_phones};
	w->cell_addr = (struct addr){.ip = {10, 0, 0, 1}, .port = SIM_SIP_PORT, .family = 4};
	w->key = (struct hash_key){o->seed, 1};
	w->rng_net = rng_seed(o->seed, 2);
	w->rng_rtp = rng_seed(o->seed, 3);
	w->rng_user = rng_seed(o->seed, 4);
	w->rng_service = rng_seed(o->seed, 5);
	w->rng_store = rng_seed(o->seed, 6);
	slab_init(&w->slab, 0);
	disk_init(&w->disk);
	w->sab.which = -1;
	if (n_phones == 0 || n_phones > SIM_MAX_PHONES) {
		*error = "phones: 1 to 8000";
		return -1;
	}
	if (o->sabotage && (w->sab.which = sabotage_find(o->sabotage)) < 0) {
		*error = "no such sabotage (see --list-sabotage)";
		return -1;
	}
	w->phone = calloc(n_phones, sizeof *w->phone);
	w->site = site_new(st);
	if (!w->phone || !w->site) {
		*error = "no memory";
		return -1;
	}
	return world_boot(w, error) != 0 ? -1 : web_init(w, error);
}

static void free_event(struct world *w, const struct sim_ev *e)
{
	if (e->kind == EV_HTTP_ASK || e->kind == EV_HTTP_ANSWER) {
		struct http_job *j = e->p;
		free(j->mem);
		free(j->answer);
		free(j);
	}
	(void)w;
}

void world_free(struct world *w)
{
	for (size_t i = 0; i < w->q.n; i++)
		free_event(w, &w->q.heap[i]);
	for (uint32_t i = 0; w->phone && i < w->n_phones; i++)
		phone_free(&w->phone[i]);
	web_free(w);
	if (w->cell)
		cell_free(w->cell);
	if (w->media)
		mgraph_free(w->media);
	site_unref(w->site);
	store_free(w);
	queue_free(&w->q);
	slab_destroy(&w->slab);
	free(w->slot_open);
	free(w->link);
	free(w->phone);
}

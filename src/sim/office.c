#include "sim/office.h"

#include <stdio.h>
#include <stdlib.h>

static void later(struct office *o, int64_t after_us, enum office_ev ev, uint64_t a)
{
	world_at(&o->w, o->w.now + after_us, EV_HOST, a, ev, NULL);
}

static void dial(struct office *o, uint32_t i)
{
	struct sim_phone *p = &o->w.phone[i];
	struct person *me = &o->person[i];
	struct vphone_view v;
	vphone_view_quick(p->v, &v);
	if (me->out || me->in || v.n_calls > 0 || !v.registered) {
		if (o->w.now + s_us(30) < o->t_last)
			later(o, s_us(office_between(o, 10, 30)), OE_DIAL, i);
		return;
	}
	handle h;
	struct office_call *c = pool_new(&o->calls, &h);
	INVARIANT(c != NULL);
	c->id = ++o->next_id;
	c->caller.phone = p;
	office_script(o, c, i);
	c->caller.state = SIDE_DIALLED;
	c->dialled_us = o->w.now;
	c->callee_was_busy = c->callee.phone && (o->person[c->callee.phone->i].in || o->person[c->callee.phone->i].out);
	/* Nobody is there to take it, or a phone's connection is not back yet. */
	bool stream = p->tcp || (c->callee.phone && c->callee.phone->tcp);
	c->cut = !o->w.cell || (stream && o->w.crashed_us && o->w.now - o->w.crashed_us < s_us(RECONNECT_S));
	me->out = h;
	o->live++;
	o->w.res.calls++;
	if (c->give_up_us > 0)
		later(o, c->give_up_us, OE_GIVE_UP, h);
	later(o, s_us(60 + 120) + c->talk_us, OE_WATCHDOG, h);
	phone_user(p, "dial", c->number);
}

/* ---- what the phones show ---------------------------------------------------------------------------------------- */

static void side_over(struct office *o, struct office_call *c, struct side *s)
{
	if (s->state == SIDE_OVER)
		return;
	s->state = SIDE_OVER;
	s->over_us = o->w.now;
	bool callee_done = !c->callee.phone || c->callee.state == SIDE_OVER || c->callee.state == SIDE_NONE;
	if (c->caller.state != SIDE_OVER || !callee_done || c->final_queued)
		return;
	c->final_queued = true;
	later(o, o->w.o.net.loss > 0 || c->cut ? s_us(36) : s_us(2), OE_FINAL, pool_handle(&o->calls, c));
}

static void began_talk(struct office *o, struct office_call *c, struct side *s, handle h)
{
	bool caller = s == &c->caller;
	s->state = SIDE_TALKS;
	s->talk_us = o->w.now;
	if (caller) {
		later(o, c->talk_us, OE_HANG_CALLER, h);
	} else {
		o->person[s->phone->i].in = h;
		later(o, c->talk_us, OE_HANG_CALLEE, h);
	}
	if (caller && (c->holder & 1)) {
		later(o, c->hold_at_us, OE_HOLD_CALLER, h);
		later(o, c->hold_at_us + c->hold_us, OE_RESUME_CALLER, h);
	}
	if (!caller && (c->holder & 2)) {
		later(o, c->hold_at_us, OE_HOLD_CALLEE, h);
		later(o, c->hold_at_us + c->hold_us + s_us(1), OE_RESUME_CALLEE, h);
	}
	if (caller && c->dtmf)
		later(o, s_us(3), OE_DTMF, h);
	if (caller || c->caller.state == SIDE_TALKS)
		later(o, s_us(1), OE_TALK_CHECK, h);
}

static bool is_talk(enum vphone_call_state s)
{
	return s == VPC_CONNECTED || s == VPC_HELD || s == VPC_HELD_BY_PEER;
}

static void follow(struct office *o, struct office_call *c, struct side *s, handle h, const struct vphone_call_view *cv)
{
	if (s->state == SIDE_OVER)
		return;
	if (cv->rtp_rx > s->rtp_rx)
		s->rtp_rx = cv->rtp_rx;
	if (is_talk(cv->state) && s->state != SIDE_TALKS)
		began_talk(o, c, s, h);
	if (cv->state == VPC_RINGING && s->state == SIDE_NONE) {
		s->state = SIDE_RINGS;
		s->rung_us = o->w.now;
		later(o, c->act == ACT_IGNORE ? s_us(70) : c->act_after_us, OE_ACT, h);
	}
	if (cv->state == VPC_BUSY_TONE && s->status == 0) {
		s->status = cv->last_status ? cv->last_status : 1;
		later(o, s_us(2), OE_CLEAR_CALLER, h);
	}
	if (cv->state == VPC_ENDING)
		side_over(o, c, s);
}

static struct side *side_of(struct office_call *c, const struct sim_phone *p)
{
	return c->caller.phone == p ? &c->caller : &c->callee;
}

/* A call of the view that nobody has claimed yet: an incoming one belongs to whoever is calling us. */
static handle claim(struct office *o, struct sim_phone *p, const struct vphone_call_view *cv, struct span cid)
{
	struct person *me = &o->person[p->i];
	struct office_call *c = pool_get(&o->calls, me->out);
	if (cv->state != VPC_RINGING && c && c->caller.cid[0] == 0 && c->caller.state == SIDE_DIALLED && cid.n) {
		span_copyz(cid, c->caller.cid, sizeof c->caller.cid);
		return me->out;
	}
	if (cv->state != VPC_RINGING || cid.n == 0)
		return 0;
	for (uint32_t it = 0; (c = pool_next(&o->calls, &it));) {
		if (c->callee.phone != p || c->callee.cid[0] || !span_eqz(cv->peer_number, c->caller.phone->ext))
			continue;
		span_copyz(cid, c->callee.cid, sizeof c->callee.cid);
		handle h = pool_handle(&o->calls, c);
		if (!pool_get(&o->calls, me->in))
			me->in = h;
		return h;
	}
	return 0;
}

static bool side_is(struct office *o, handle h, struct sim_phone *p, struct span cid)
{
	struct office_call *c = pool_get(&o->calls, h);
	return c && cid.n && span_eqz(cid, side_of(c, p)->cid);
}

/* Calls that ring at a phone whose user talks: found by walking, they are few. */
static handle find_by_cid(struct office *o, struct sim_phone *p, struct span cid)
{
	struct person *me = &o->person[p->i];
	if (side_is(o, me->out, p, cid))
		return me->out;
	if (side_is(o, me->in, p, cid))
		return me->in;
	struct office_call *c;
	for (uint32_t it = 0; cid.n && (c = pool_next(&o->calls, &it));)
		if (c->callee.phone == p && span_eqz(cid, c->callee.cid))
			return pool_handle(&o->calls, c);
	return 0;
}

static void sweep(struct office *o, handle h, struct sim_phone *p, const handle *seen, int n)
{
	struct office_call *c = pool_get(&o->calls, h);
	if (!c)
		return;
	for (int i = 0; i < n; i++)
		if (seen[i] == h)
			return;
	struct side *s = side_of(c, p);
	if (s->cid[0] || s->state == SIDE_DIALLED)
		side_over(o, c, s);
}

static void changed(void *ctx, struct sim_phone *p)
{
	struct office *o = ctx;
	struct vphone_view v;
	handle seen[VP_MAX_CALLS];
	vphone_view_quick(p->v, &v);
	if (v.registered && !p->registered_once) {
		p->registered_once = true;
		o->booted++;
	}
	for (int i = 0; i < v.n_calls; i++) {
		struct span cid = vphone_call_id(p->v, i);
		handle h = find_by_cid(o, p, cid);
		seen[i] = h ? h : claim(o, p, &v.call[i], cid);
		struct office_call *c = pool_get(&o->calls, seen[i]);
		if (!c)
			continue;
		if (v.n_calls > 1 && c->callee.phone == p)
			c->callee_was_busy = true; /* keys may hit either call */
		follow(o, c, side_of(c, p), seen[i], &v.call[i]);
	}
	sweep(o, o->person[p->i].out, p, seen, v.n_calls);
	struct office_call *c;
	for (uint32_t it = 0; (c = pool_next(&o->calls, &it));)
		if (c->callee.phone == p)
			sweep(o, pool_handle(&o->calls, c), p, seen, v.n_calls);
}

static void heard(void *ctx, struct sim_phone *p, int32_t from)
{
	struct office *o = ctx;
	struct person *me = &o->person[p->i];
	struct office_call *c = pool_get(&o->calls, me->out);
	if (!c || c->caller.state != SIDE_TALKS)
		c = pool_get(&o->calls, me->in);
	if (!c)
		return;
	struct side *s = side_of(c, p);
	if (s->state != SIDE_TALKS || s->heard)
		return;
	const struct sim_phone *partner = s == &c->caller ? c->callee.phone : c->caller.phone;
	/* the echo test gives us our own voice, the other test numbers the switch's */
	s->heard = partner ? from == (int32_t)partner->i : (from == ORIGIN_NONE || from == (int32_t)p->i);
	if (!s->heard && partner && from >= 0 && o->w.now - s->talk_us > s_us(1) && c->callee.state == SIDE_TALKS && c->caller.state == SIDE_TALKS) {
		violation(&o->w, "call %u: %s hears %s but talks to %s", c->id, p->ext, o->w.phone[from].ext, partner->ext);
		s->heard = true;
	}
}

/* ---- what people do ---------------------------------------------------------------------------------------------- */

static int view_index(struct sim_phone *p, const char *cid, struct vphone_view *v)
{
	vphone_view_quick(p->v, v);
	for (int i = 0; i < v->n_calls; i++)
		if (cid[0] && span_eqz(vphone_call_id(p->v, i), cid))
			return i;
	return -1;
}

/* Both counters while both calls still stand: the phone of the other forgets its call without being asked. */
static void read_counters(struct side *s)
{
	struct vphone_view v;
	int i = s->phone ? view_index(s->phone, s->cid, &v) : -1;
	if (i >= 0 && v.call[i].rtp_rx > s->rtp_rx)
		s->rtp_rx = v.call[i].rtp_rx;
}

static void hang_up(struct office *o, struct office_call *c, struct side *s)
{
	struct vphone_view v;
	int i = view_index(s->phone, s->cid, &v);
	if (i < 0 && !(s->state == SIDE_DIALLED && s->cid[0] == 0))
		return;
	read_counters(&c->caller);
	read_counters(&c->callee);
	s->hung_up = true;
	phone_user(s->phone, "hangup", "");
	/* The key acts on the call that the phone shows: with two of them it may have been the other. Press again. */
	if (s->state != SIDE_OVER && view_index(s->phone, s->cid, &v) >= 0 && s->presses++ < 20)
		later(o, s_us(1), s == &c->caller ? OE_CLEAR_CALLER : OE_CLEAR_CALLEE, pool_handle(&o->calls, c));
}

static void act(struct office *o, struct office_call *c, handle h)
{
	struct side *s = &c->callee;
	struct vphone_view v;
	int i = view_index(s->phone, s->cid, &v);
	if (s->state != SIDE_RINGS || i < 0 || v.call[i].state != VPC_RINGING)
		return;
	bool busy = v.n_calls > 1;
	if (c->act == ACT_IGNORE)
		return;
	if (busy)
		c->callee_was_busy = true;
	phone_user(s->phone, busy || c->act == ACT_REJECT ? "reject" : "answer", "");
	if (s->state == SIDE_RINGS && s->presses++ < 20) /* two were ringing, it was the other */
		later(o, s_us(1), OE_ACT, h);
}

static void hold(struct side *s, const char *verb, enum vphone_call_state not_in)
{
	struct vphone_view v;
	int i = view_index(s->phone, s->cid, &v);
	if (i >= 0 && s->state == SIDE_TALKS && is_talk(v.call[i].state) && v.call[i].state != not_in)
		phone_user(s->phone, verb, "");
}

static void give_up(struct office *o, struct office_call *c)
{
	if (c->caller.state != SIDE_DIALLED || c->caller.status)
		return;
	c->cancelled = true;
	hang_up(o, c, &c->caller);
}

static void watchdog(struct office *o, struct office_call *c)
{
	c->doomed = true;
	violation(&o->w, "call %u: %s -> %s does not end (caller %d, callee %d)", c->id, c->caller.phone->ext, c->number,
		  (int)c->caller.state, (int)c->callee.state);
	hang_up(o, c, &c->caller);
	if (c->callee.phone)
		hang_up(o, c, &c->callee);
	if (!c->final_queued)
		later(o, s_us(5), OE_FINAL, pool_handle(&o->calls, c));
	c->final_queued = true;
}

static void final(struct office *o, struct office_call *c, handle h)
{
	bool callee_on = c->callee.phone && c->callee.state != SIDE_OVER && c->callee.state != SIDE_NONE;
	if (!c->doomed && (c->caller.state != SIDE_OVER || callee_on)) {
		c->final_queued = false; /* the callee began to ring late */
		return;
	}
	outcome_final(o, c);
	uint32_t i = c->caller.phone->i;
	if (o->person[i].out == h)
		o->person[i].out = 0;
	if (c->callee.phone && o->person[c->callee.phone->i].in == h)
		o->person[c->callee.phone->i].in = 0;
	pool_delete(&o->calls, h);
	o->live--;
	o->last_end_us = o->w.now;
	office_next_dial(o, i);
}

/* Calls on phones whose users know of none. */
static void check_ghosts(struct office *o)
{
	for (uint32_t i = 0; i < o->w.n_phones; i++) {
		struct sim_phone *p = &o->w.phone[i];
		struct vphone_view v;
		bool ghost = false;
		if (p->v && !pool_get(&o->calls, o->person[i].out) && !pool_get(&o->calls, o->person[i].in)) {
			vphone_view_quick(p->v, &v);
			ghost = v.n_calls > 0;
		}
		if (ghost && p->suspect)
			violation(&o->w, "phone %s shows a call (state %d) that nobody makes", p->ext, (int)v.call[0].state);
		p->suspect = ghost;
	}
}

/* What is up is cut; what is dialled now finds nobody. Then the next one is drawn. */
static void crash(struct office *o)
{
	struct world *w = &o->w;
	struct office_call *c;
	for (uint32_t it = 0; (c = pool_next(&o->calls, &it));) {
		c->cut = true;
		/* nobody tells them: they notice the silence and hang up */
		later(o, s_us(office_between(o, 5, 20)), OE_CLEAR_CALLER, pool_handle(&o->calls, c));
		if (c->callee.phone)
			later(o, s_us(office_between(o, 5, 20)), OE_CLEAR_CALLEE, pool_handle(&o->calls, c));
	}
	world_crash(w, (int64_t)office_between(o, CRASH_DOWN_MIN_MS, CRASH_DOWN_MAX_MS) * 1000);
	int64_t next = s_us(rng_exp(&w->rng_user, w->o.crash_every_min * 60)) + s_us(5);
	if (w->now + next < o->t_last)
		later(o, next, OE_CRASH, 0);
}

static void tick(struct office *o)
{
	sabotage_tick(&o->w);
	check_periodic(&o->w, true);
	check_open_legs(&o->w);
	check_ghosts(o);
	if (o->live == 0 && o->w.now - o->last_end_us > s_us(80))
		check_quiet(&o->w, "in a quiet hour");
	later(o, s_us(60), OE_TICK, 0);
}

static void power(struct office *o, uint32_t i)
{
	if (phone_power(&o->w, &o->w.phone[i], 5060, 500, &o->error) != 0)
		violation(&o->w, "phone %s: %s", o->w.phone[i].ext, o->error);
}

static void on_call(struct office *o, struct office_call *c, handle h, enum office_ev ev)
{
	switch (ev) {
	case OE_ACT:
		act(o, c, h);
		break;
	case OE_GIVE_UP:
		give_up(o, c);
		break;
	case OE_HANG_CALLER:
		if (c->hanger != 1)
			hang_up(o, c, &c->caller);
		break;
	case OE_HANG_CALLEE:
		if (c->hanger != 0)
			hang_up(o, c, &c->callee);
		break;
	case OE_CLEAR_CALLER:
		hang_up(o, c, &c->caller);
		break;
	case OE_CLEAR_CALLEE:
		hang_up(o, c, &c->callee);
		break;
	case OE_HOLD_CALLER:
		hold(&c->caller, "hold", VPC_HELD);
		break;
	case OE_HOLD_CALLEE:
		hold(&c->callee, "hold", VPC_HELD);
		break;
	case OE_RESUME_CALLER:
		hold(&c->caller, "resume", VPC_CONNECTED);
		break;
	case OE_RESUME_CALLEE:
		hold(&c->callee, "resume", VPC_CONNECTED);
		break;
	case OE_DTMF:
		if (c->caller.state == SIDE_TALKS)
			phone_user(c->caller.phone, "dtmf", "159");
		break;
	case OE_TALK_CHECK:
		outcome_talking(o, c);
		break;
	case OE_FINAL:
		final(o, c, h);
		break;
	case OE_WATCHDOG:
		watchdog(o, c);
		break;
	case OE_DIAL:
	case OE_CRASH:
	case OE_TICK:
	case OE_POWER:
		break;
	}
}

static void event(void *ctx, uint64_t a, uint32_t b)
{
	struct office *o = ctx;
	if (b == OE_DIAL) {
		dial(o, (uint32_t)a);
	} else if (b == OE_TICK) {
		tick(o);
	} else if (b == OE_CRASH) {
		crash(o);
	} else if (b == OE_POWER) {
		power(o, (uint32_t)a);
	} else {
		struct office_call *c = pool_get(&o->calls, a);
		if (c)
			on_call(o, c, a, (enum office_ev)b);
	}
}

/* ---- the day ------------------------------------------------------------------------------------------------------ */

static int people(struct office *o, const char **error)
{
	struct world *w = &o->w;
	for (uint32_t i = 0; i < w->n_phones; i++) {
		char ext[8], pin[8], name[24];
		snprintf(ext, sizeof ext, "%u", 1000 + i);
		snprintf(pin, sizeof pin, "%06u", (unsigned)(260000 + (i * 7919u) % 100000));
		snprintf(name, sizeof name, "User %u", 1000 + i);
		if (phone_init(w, i, ext, pin, error) != 0)
			return -1;
		w->phone[i].tcp = i * w->o.tcp_share - (double)(uint32_t)(i * w->o.tcp_share) + w->o.tcp_share >= 1;
		if (web_extension(w, ext, name, pin) != 0) {
			*error = "an extension could not be made";
			return -1;
		}
		world_at(w, (int64_t)rng_below(&w->rng_user, 240 * US_PER_S), EV_HOST, i, OE_POWER, NULL);
	}
	return 0;
}

static void run_day(struct office *o, struct sim_result *r)
{
	struct world *w = &o->w;
	for (uint32_t i = 0; i < w->n_phones; i++)
		office_next_dial(o, i);
	world_at(w, 60 * US_PER_S, EV_HOST, 0, OE_TICK, NULL);
	if (w->o.crash_every_min > 0)
		world_at(w, o->t_first + s_us(rng_exp(&w->rng_user, w->o.crash_every_min * 60)), EV_HOST, 0, OE_CRASH, NULL);
	world_run(w, o->t_last);
	/* The last calls end; then everything they left behind must time out. */
	for (int i = 0; i < 30 && o->live > 0; i++)
		world_run(w, w->now + s_us(60));
	world_run(w, w->now + s_us(SIM_DRAIN_S));
	if (o->live)
		violation(w, "%u calls are still there", o->live);
	check_end(w);
	for (uint32_t i = 0; i < w->n_phones; i++) {
		struct vphone_view v;
		vphone_view_quick(w->phone[i].v, &v);
		r->registrations += v.registered;
		if (!v.registered && !w->o.inside)
			violation(w, "phone %s is not registered at the end", w->phone[i].ext);
	}
	struct cell_counts c = cell_counts(w->cell);
	if (c.bindings != w->n_phones && !w->o.inside)
		violation(w, "%u bindings for %u phones at the end", c.bindings, w->n_phones);
}

int sim_office(const struct sim_opts *opts, struct sim_result *r, const char **error)
{
	struct office *o = calloc(1, sizeof *o);
	struct site_settings st;
	int rc = -1;
	*r = (struct sim_result){0};
	*error = "no memory";
	if (!o)
		return -1;
	site_settings_defaults(&st);
	pool_init(&o->calls, sizeof(struct office_call), UINT32_MAX - 1);
	if (world_init(&o->w, opts, opts->phones, &st, error) != 0)
		goto out;
	o->person = calloc(opts->phones, sizeof *o->person);
	if (!o->person)
		goto out;
	o->w.host = (struct sim_host){event, changed, heard, o};
	if (sabotage_wants_crash(o->w.sab.which) && o->w.o.crash_every_min <= 0)
		o->w.o.crash_every_min = SABOTAGE_CRASH_MIN;
	o->w.disk.on = o->w.o.crash_every_min > 0;
	o->t_first = s_us(300);
	o->t_last = s_us(opts->hours * 3600);
	o->day_offset_us = opts->hours < 12 ? s_us(9 * 3600) : 0; /* a short day is a morning */
	if (people(o, error) != 0)
		goto out;
	run_day(o, &o->w.res);
	if (opts->record)
		record_checkpoint(opts->record, &o->w.effects);
	o->w.res.hash = o->w.trace.h;
	o->w.res.end_us = o->w.now;
	*r = o->w.res;
	rc = 0;
out:
	world_free(&o->w);
	pool_destroy(&o->calls);
	free(o->person);
	free(o);
	return rc;
}

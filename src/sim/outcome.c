/* How a call ended: by its users' scripts, by their phones, and by the switch's CDRs, which must tell one story. */
#include "sim/office.h"

static void lost(struct office *o, const struct office_call *c, const char *why)
{
	struct world *w = &o->w;
	w->res.lost++;
	/* A network without loss is no excuse. */
	if (w->o.net.loss == 0 && !w->o.inside)
		w->res.violations++;
	world_say(w, SAY_LOST, "call %u %s -> %s (act %d, give up %lld ms, talk %lld ms): %s; caller %d status %u hung %d, callee %d hung %d",
		  c->id, c->caller.phone->ext, c->number, (int)c->act, (long long)c->give_up_us / 1000, (long long)c->talk_us / 1000, why,
		  (int)c->caller.state, c->caller.status, c->caller.hung_up, (int)c->callee.state, c->callee.hung_up);
}

static const char *talk_story(const struct office_call *c)
{
	if (c->callee.phone && c->callee.talk_us == 0)
		return "the callee never talked";
	if (!c->caller.heard)
		return "the caller did not hear the other";
	if (c->callee.phone && !c->callee.heard)
		return "the callee did not hear the other";
	if (c->caller.rtp_rx == 0 || (c->callee.phone && c->callee.rtp_rx == 0))
		return "a phone counted no voice";
	if (!c->caller.hung_up && !c->callee.hung_up)
		return "cut off: nobody hung up";
	return NULL;
}

static const char *failed_story(const struct office_call *c)
{
	uint16_t s = c->caller.status;
	if (c->kind == CALL_WRONG)
		return s == 404 ? NULL : "a wrong number was not answered with 404";
	if (c->kind == CALL_TEST)
		return "a test number did not answer";
	/* Phone and switch both stop after 60 s: whoever is first. */
	if (s == 0 && c->act == ACT_IGNORE && c->callee.rung_us && c->caller.over_us - c->callee.rung_us > 59 * (int64_t)US_PER_S)
		return NULL;
	if (s == 486 || s == 603 || s == 600)
		return c->act == ACT_REJECT || c->callee_was_busy || c->callee.rung_us == 0 ? NULL : "busy without a reason";
	if (s == 480 || s == 408 || s == 487)
		return c->act == ACT_IGNORE && c->callee.rung_us ? NULL : "no answer although somebody wanted to";
	return "it failed";
}

static int64_t tolerance_ms(const struct world *w)
{
	if (w->o.inside)
		return 33000; /* a BYE may have to wait for room */
	if (w->o.net.loss == 0)
		return 1000;
	return w->o.net.loss < 0.1 ? 13000 : 33000;
}

/* A caller who hung up before the answer: the other must stop ringing, or talk to nobody for a moment only. */
static const char *abandoned_story(const struct world *w, const struct office_call *c)
{
	int64_t after_us = c->callee.over_us - c->caller.over_us;
	return c->callee.rung_us && after_us > tolerance_ms(w) * 1000 ? "the callee was left behind" : NULL;
}

static void check_leg(struct office *o, const struct office_call *c, const struct side *s, uint8_t direction)
{
	struct world *w = &o->w;
	uint32_t n = 0;
	const struct cdr_seen *r = store_find(w, span_z(s->cid), &n);
	if (!s->cid[0])
		return;
	if (!r) {
		if (!(s->hung_up && s->state == SIDE_OVER && s->talk_us == 0)) /* given up before the first answer of the switch */
			violation(w, "call %u: no CDR for the leg of %s", c->id, s->phone->ext);
		return;
	}
	if (n != 1)
		violation(w, "call %u: %u CDRs for the leg of %s", c->id, n, s->phone->ext);
	if (strcmp(r->ext, s->phone->ext) != 0 || r->direction != direction)
		violation(w, "call %u: the CDR for the leg of %s is %s's, direction %u", c->id, s->phone->ext, r->ext, r->direction);
	if (r->closes != 1) {
		violation(w, "call %u: CDR of %s was closed %u times", c->id, s->phone->ext, r->closes);
		return;
	}
	int64_t talked = s->talk_us ? (s->over_us - s->talk_us) / 1000 : 0, off = r->talk_ms - talked;
	if (off > tolerance_ms(w) || off < -tolerance_ms(w))
		violation(w, "call %u: CDR of %s says %lld ms of talk, its phone %lld ms", c->id, s->phone->ext, (long long)r->talk_ms,
			  (long long)talked);
}

void outcome_talking(struct office *o, struct office_call *c)
{
	uint32_t n = 0;
	if (c->cut || c->checked_talk || c->caller.state != SIDE_TALKS || (c->callee.phone && c->callee.state != SIDE_TALKS))
		return;
	c->checked_talk = true;
	const struct cdr_seen *a = store_find(&o->w, span_z(c->caller.cid), &n), *b = NULL;
	if (!a || a->closes) {
		violation(&o->w, "call %u: %s talks, the switch knows of no such leg", c->id, c->caller.phone->ext);
		return;
	}
	if (!c->callee.phone)
		return;
	b = store_find(&o->w, span_z(c->callee.cid), &n);
	if (!b || b->closes)
		violation(&o->w, "call %u: %s talks, the switch knows of no such leg", c->id, c->callee.phone->ext);
	else if (b->call != a->call)
		violation(&o->w, "call %u: its two legs belong to two calls", c->id);
}

void outcome_final(struct office *o, struct office_call *c)
{
	const char *why;
	if (c->cut) { /* the disk's checks have looked at its rows (disk.c) */
		o->w.res.cut++;
		return;
	}
	if (c->doomed) {
		lost(o, c, "it did not end");
		return;
	}
	check_leg(o, c, &c->caller, 0);
	if (c->callee.phone)
		check_leg(o, c, &c->callee, 1);
	if (c->caller.talk_us) {
		why = talk_story(c);
		o->w.res.completed += why == NULL;
	} else if (c->caller.hung_up && c->caller.status == 0) {
		why = c->cancelled ? abandoned_story(&o->w, c) : "the caller had to give up";
		o->w.res.abandoned += why == NULL;
	} else {
		why = failed_story(c);
		o->w.res.completed += why == NULL;
	}
	if (why)
		lost(o, c, why);
}

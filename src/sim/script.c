/* What people mean to do: when they call whom, what the other does, how long they talk. */
#include "sim/office.h"

#include <stdio.h>

static const char *const test_numbers[] = {"9196", "9197", "9198"};

/* Calls begun per person and hour, by the hour of the day. The sum of 24 is about 18. */
static const double rate_of_hour[24] = {0.05, 0.03, 0.02, 0.02, 0.02, 0.05, 0.2, 0.7, 1.6, 2.3, 2.3, 2.0,
					1.2,  1.5,  2.1,  2.2, 1.9,  1.3,  0.6, 0.3, 0.2, 0.1, 0.1, 0.06};

static double chance(struct office *o)
{
	return rng_unit(&o->w.rng_user);
}

double office_between(struct office *o, double a, double b)
{
	return a + (b - a) * chance(o);
}

/* Thinning: draw at the highest rate, keep by the rate of the hour. */
void office_next_dial(struct office *o, uint32_t i)
{
	int64_t t = o->w.now > o->t_first ? o->w.now : o->t_first;
	double rate = o->w.o.rate > 0 ? o->w.o.rate : 1;
	for (;;) {
		t += (int64_t)rng_exp(&o->w.rng_user, 3600e6 / 2.3 / rate);
		if (t >= o->t_last)
			return;
		int hour = (int)((t + o->day_offset_us) / (3600 * INT64_C(1000000)) % 24);
		if (chance(o) < rate_of_hour[hour] / 2.3)
			break;
	}
	world_at(&o->w, t, EV_HOST, i, OE_DIAL, NULL);
}

/* ---- a call's script --------------------------------------------------------------------------------------------- */

static void draw_talk(struct office *o, struct office_call *c)
{
	double talk = rng_exp(&o->w.rng_user, 60);
	c->talk_us = s_us(talk < 12 ? 12 : talk > 600 ? 600 : talk);
	double h = chance(o);
	c->hanger = h < 0.49 ? 0 : h < 0.98 ? 1 : 2;
	h = chance(o);
	if (h < 0.08 && c->talk_us > s_us(20)) {
		c->holder = h < 0.04 ? 1 : h < 0.075 ? 2 : 3;
		c->hold_at_us = s_us(office_between(o, 5, 8));
		c->hold_us = s_us(office_between(o, 2, 8));
	}
	c->dtmf = chance(o) < 0.05;
}

static void draw_callee(struct office *o, struct office_call *c)
{
	double a = chance(o);
	c->act = a < 0.84 ? ACT_ANSWER : a < 0.90 ? ACT_REJECT : ACT_IGNORE;
	c->act_after_us = s_us(office_between(o, 1.5, 9));
	if (chance(o) < 0.06)
		c->give_up_us = s_us(office_between(o, 0.05, 12));
	else if (c->act == ACT_IGNORE && chance(o) < 0.7)
		c->give_up_us = s_us(office_between(o, 15, 45));
	if (chance(o) < 0.01 && c->act == ACT_ANSWER) /* the caller gives up as the other answers */
		c->give_up_us = c->act_after_us + s_us(office_between(o, -0.01, 0.05));
}

static void draw_number(struct office *o, struct office_call *c, uint32_t i)
{
	double a = chance(o);
	c->kind = a < 0.03 ? CALL_WRONG : a < 0.06 ? CALL_TEST : CALL_COLLEAGUE;
	if (c->kind == CALL_COLLEAGUE && o->w.n_phones > 1) {
		uint32_t k = (uint32_t)rng_below(&o->w.rng_user, o->w.n_phones - 1);
		k += k >= i;
		c->callee.phone = &o->w.phone[k];
		memcpy(c->number, c->callee.phone->ext, sizeof c->number);
		draw_callee(o, c);
		return;
	}
	if (c->kind == CALL_COLLEAGUE)
		c->kind = CALL_WRONG;
	if (c->kind == CALL_TEST)
		span_copyz(span_z(test_numbers[rng_below(&o->w.rng_user, 3)]), c->number, sizeof c->number);
	else
		snprintf(c->number, sizeof c->number, "%u", 9900 + (unsigned)rng_below(&o->w.rng_user, 90));
}

void office_script(struct office *o, struct office_call *c, uint32_t caller)
{
	draw_number(o, c, caller);
	draw_talk(o, c);
	if (c->kind == CALL_TEST) {
		c->talk_us = s_us(office_between(o, 4, 15));
		c->hanger = 0;
		c->holder = 0;
	}
}

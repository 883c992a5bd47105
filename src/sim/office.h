/* sim/office: people with phones over a working day. Shared by office.c (what happens at the phones), script.c (what they mean to do) and
 * outcome.c (how a call ended, and whether everybody tells the same story). */
#ifndef SIM_OFFICE_H
#define SIM_OFFICE_H

#include "sim/world.h"

enum call_kind { CALL_COLLEAGUE, CALL_TEST, CALL_WRONG };
enum callee_act { ACT_ANSWER, ACT_REJECT, ACT_IGNORE };
enum side_state { SIDE_NONE, SIDE_DIALLED, SIDE_RINGS, SIDE_TALKS, SIDE_OVER };

/* One party's experience of one call. */
struct side {
	struct sim_phone *phone;
	enum side_state state;
	char cid[128];
	uint16_t status;     /* what a failed call showed */
	bool hung_up;        /* this user ended it */
	bool heard;          /* the right voice arrived */
	int64_t rung_us, talk_us, over_us; /* when */
	uint64_t rtp_rx;     /* as its phone counted */
	uint8_t presses;     /* of a key that hit another call */
};

struct office_call {
	uint32_t id;
	enum call_kind kind;
	enum callee_act act;
	struct side caller, callee; /* callee.phone NULL: a test or wrong number */
	char number[8];
	int64_t act_after_us, give_up_us, talk_us, hold_at_us, hold_us, dialled_us;
	uint8_t hanger;  /* 0 caller, 1 callee, 2 both at the same moment */
	uint8_t holder;  /* 0 nobody, 1 caller, 2 callee, 3 both at the same moment */
	bool dtmf, callee_was_busy, checked_talk, cancelled, final_queued;
	bool doomed;     /* the watchdog had to end it */
	bool cut;        /* the switch died on it */
};

enum office_ev { /* b of EV_HOST; a: the call's handle or a phone */
	OE_DIAL, OE_ACT, OE_GIVE_UP, OE_HANG_CALLER, OE_HANG_CALLEE, OE_HOLD_CALLER, OE_HOLD_CALLEE, OE_RESUME_CALLER,
	OE_RESUME_CALLEE, OE_CLEAR_CALLER, OE_CLEAR_CALLEE, OE_DTMF, OE_FINAL, OE_WATCHDOG, OE_TICK, OE_POWER, OE_TALK_CHECK, OE_CRASH
};

struct person {
	handle out, in; /* calls */
};

struct office {
	struct world w;
	struct pool calls; /* struct office_call */
	struct person *person;
	int64_t t_first, t_last;   /* calls begin between them */
	int64_t day_offset_us;     /* time of day at 0 */
	int64_t last_end_us;
	uint32_t live, booted;
	uint32_t next_id;
	const char *error;
};

static inline int64_t s_us(double s)
{
	return (int64_t)(s * US_PER_S);
}
enum { CRASH_DOWN_MIN_MS = 200, CRASH_DOWN_MAX_MS = 3000, RECONNECT_S = 150, SABOTAGE_CRASH_MIN = 5 };
/* script.c */
double office_between(struct office *o, double a, double b);
void office_next_dial(struct office *o, uint32_t i); /* queues OE_DIAL */
void office_script(struct office *o, struct office_call *c, uint32_t caller);

/* outcome.c */
void outcome_final(struct office *o, struct office_call *c);
/* Both talk: the switch must have two open rows of one call. */
void outcome_talking(struct office *o, struct office_call *c);

#endif

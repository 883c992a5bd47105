/* The call machine: state x event. */
#include "pbx/cell_internal.h"

typedef void action(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg);

static void none(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	(void)c, (void)k, (void)l, (void)status, (void)msg;
}

/* A party answers a call that has gone on without it. */
static void too_late(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	(void)status, (void)msg;
	if (k->referring && k->state == CALL_UP) {
		refer_answered(c, k, l, status, msg);
		return;
	}
	leg_hang(c, l, CDR_ANSWERED_ELSEWHERE, 0, 3);
}

/* PROGRESS ANSWERED REFUSED LEFT LOST NO_ANSWER END */
static action *const table[CALL_STATES][CALL_EVENTS] = {
	[CALL_SETUP] = {call_progress, call_answered, call_refused, call_left, call_lost, call_no_answer, call_end},
	[CALL_RINGING] = {call_progress, call_answered, call_refused, call_left, call_lost, call_no_answer, call_end},
	[CALL_UP] = {refer_progress, too_late, refer_refused, call_left, call_lost, call_no_answer, call_end},
	[CALL_ENDED] = {none, too_late, none, none, none, none, none},
};

void call_event(struct cell *c, struct call *k, struct leg *l, enum call_event ev, uint16_t status, const struct sip_msg *msg)
{
	table[k->state][ev](c, k, l, status, msg);
}

const char *call_state_name(enum call_state s)
{
	static const char *const names[] = {
#define X(n) #n,
		CALL_STATE_LIST(X)
#undef X
	};
	return names[s];
}

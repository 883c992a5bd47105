/* The leg machine: state x event. Every box is filled, so that a new state or event asks for its answers. */
#include "pbx/cell_internal.h"

typedef void action(struct cell *c, struct leg *l, const struct leg_arg *a);

static void none(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	(void)c, (void)l, (void)a;
}

/* ---- a caller's leg before its answer ------------------------------------------------------------------------ */

static void ring(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	l->state = LEG_IN_RINGING;
	leg_send_ring(c, l, a->status, a->with_sdp);
}

static void refuse(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	leg_send_refusal(c, l, a->status ? a->status : 480); /* 0: the other party left while our 200 waited for a PRACK */
	leg_gone(c, l);
}

static void answer(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	(void)a;
	if (prack_holds_answer(l))
		return;
	l->state = LEG_IN_ANSWERED;
	if (leg_send_answer(c, l))
		return;
	leg_end(c, l, CDR_TEMPORARY, 500, 3);
	leg_gone(c, l);
	call_event(c, l->call, l, CALL_EV_LOST, 0, NULL);
}

static void cancelled(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	(void)a;
	leg_end(c, l, CDR_CANCELLED, 487, 1);
	leg_send_refusal(c, l, 487);
	leg_gone(c, l);
	call_event(c, l->call, l, CALL_EV_LEFT, 487, NULL);
}

/* BYE of a caller in an early dialog (RFC 3261 15.1.1): as good as a CANCEL. */
static void early_bye(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	reply_plain(c, a->id, 0, a->msg, a->from, 200, span_z(l->tag));
	cancelled(c, l, a);
}

/* ---- answered ------------------------------------------------------------------------------------------------ */

static void take_ack(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	txn_id id = l->unacked;
	if (!id)
		return;
	l->unacked = 0;
	txn_acked(c->txn, id);
	l->state = l->state == LEG_IN_ANSWERED ? LEG_UP : l->state;
	if (l->answer_in_ack)
		reinvite_acked(c, l, a->msg);
	if (l->rel.news && l->state == LEG_UP)
		reinvite_resync(c, l);
	else if (l->rel.news_for_peer && call_peer(l))
		reinvite_resync(c, call_peer(l));
	l->rel.news = l->rel.news_for_peer = false;
}

static void leave_later(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	(void)c, (void)a;
	l->state = LEG_IN_LEAVING;
}

static void hangup(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	(void)a;
	leg_send_bye(c, l);
}

static void leave_now(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	(void)a;
	if (l->unacked)
		txn_acked(c->txn, l->unacked);
	l->unacked = 0;
	leg_send_bye(c, l);
}

static void bye(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	reply_plain(c, a->id, l->h, a->msg, a->from, 200, span_z(l->tag));
	if (l->unacked)
		txn_acked(c->txn, l->unacked);
	l->unacked = 0;
	l->dlg.state = DIALOG_ENDED;
	leg_end(c, l, refer_by(l) ? CDR_TRANSFERRED : CDR_NORMAL, 0, 1);
	leg_gone(c, l);
	call_event(c, l->call, l, CALL_EV_LEFT, 0, NULL);
}

/* BYE crossed ours, or came while ours was waiting: ours stays on its way until it is answered. */
static void bye_too(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	reply_plain(c, a->id, l->h, a->msg, a->from, 200, span_z(l->tag));
	if (l->state == LEG_CLOSING && !l->bye) { /* ours was not sent yet */
		wheel_cancel(&c->wheel, &l->retry);
		leg_gone(c, l);
	}
	if (l->state != LEG_IN_LEAVING)
		return;
	if (l->unacked)
		txn_acked(c->txn, l->unacked);
	l->unacked = 0;
	leg_gone(c, l);
}

static void stray_bye(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	reply_plain(c, a->id, l->h, a->msg, a->from, 481, span_z(l->tag));
}

static void no_ack(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	(void)a;
	l->unacked = 0;
	leg_end(c, l, CDR_NO_RESPONSE, 0, 3);
	leg_send_bye(c, l);
	call_event(c, l->call, l, CALL_EV_LOST, 0, NULL);
}

/* ---- a called party's leg ------------------------------------------------------------------------------------ */

static void progress(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	if (a->status != 180 && a->status != 183)
		return;
	l->state = LEG_OUT_RINGING;
	call_event(c, l->call, l, CALL_EV_PROGRESS, a->status, a->msg);
}

static void fail(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	leg_end(c, l, cause_of(a->status), a->status, 1);
	leg_gone(c, l);
	call_event(c, l->call, l, CALL_EV_REFUSED, a->status, a->msg);
}

static void answered(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	if (!leg_confirm(c, l, a->msg)) {
		struct leg_arg broken = {.status = 500};
		fail(c, l, &broken);
		return;
	}
	l->state = LEG_UP;
	call_event(c, l->call, l, CALL_EV_ANSWERED, 200, a->msg);
}

static void cancel(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	(void)a;
	l->state = LEG_OUT_CANCELLING;
	txn_cancel(c->txn, l->inv, c->now_us);
}

/* The 200 crossed our CANCEL. */
static void crossed(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	if (leg_confirm(c, l, a->msg))
		leg_send_bye(c, l);
	else
		leg_gone(c, l);
}

/* A called phone's BYE overtook its own 200. */
static void overtaking_bye(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	reply_plain(c, a->id, l->h, a->msg, a->from, 200, span_z(l->tag));
	leg_end(c, l, CDR_NORMAL, 480, 1);
	cancel(c, l, a);
	call_event(c, l->call, l, CALL_EV_REFUSED, 480, NULL);
}

static void bye_while_cancelling(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	reply_plain(c, a->id, l->h, a->msg, a->from, 200, span_z(l->tag));
}

/* A second 2xx with another tag: a proxy forked behind our back. */
static void other_fork(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	leg_ack_and_bye(c, l, a->id, a->msg);
}

static void over(struct cell *c, struct leg *l, const struct leg_arg *a)
{
	(void)a;
	leg_gone(c, l);
}

/* RING ANSWER REFUSE HANGUP | CANCEL ACK BYE | 1XX 2XX FAIL NO_ACK BYE_DONE */
static action *const table[LEG_STATES][LEG_EVENTS] = {
	[LEG_IN_TRYING] = {ring, answer, refuse, refuse, cancelled, none, early_bye, none, none, none, none, none},
	[LEG_IN_RINGING] = {ring, answer, refuse, refuse, cancelled, none, early_bye, none, none, none, none, none},
	[LEG_IN_ANSWERED] = {none, none, none, leave_later, none, take_ack, bye, none, none, none, no_ack, none},
	[LEG_IN_LEAVING] = {none, none, none, none, none, leave_now, bye_too, none, none, none, leave_now, none},
	[LEG_OUT_CALLING] = {none, none, none, cancel, none, none, overtaking_bye, progress, answered, fail, none, none},
	[LEG_OUT_RINGING] = {none, none, none, cancel, none, none, overtaking_bye, progress, answered, fail, none, none},
	[LEG_OUT_CANCELLING] = {none, none, none, none, none, none, bye_while_cancelling, none, crossed, over, none, none},
	[LEG_UP] = {none, none, none, hangup, none, take_ack, bye, none, other_fork, none, no_ack, none},
	[LEG_CLOSING] = {none, none, none, none, none, none, bye_too, none, other_fork, none, none, over},
	[LEG_GONE] = {none, none, none, none, none, none, stray_bye, none, other_fork, none, none, none},
};

void leg_event(struct cell *c, struct leg *l, enum leg_event ev, const struct leg_arg *arg)
{
	table[l->state][ev](c, l, arg);
}

const char *leg_state_name(enum leg_state s)
{
	static const char *const names[] = {
#define X(n) #n,
		LEG_STATE_LIST(X)
#undef X
	};
	return names[s];
}

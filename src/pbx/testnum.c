/* Test numbers: the cell answers them itself; the media graph plays or echoes. */
#include "pbx/cell_internal.h"

void test_answer(struct cell *c, struct call *k)
{
	struct leg *a = k->caller;
	struct leg_arg arg = {.status = 200};
	struct sdp s;
	uint8_t pt;
	if (!plan_test(c, a, k->test != SOURCE_ECHO, &pt)) {
		call_refuse(c, k, 488, CDR_NOT_ACCEPTABLE);
		return;
	}
	const struct sdp_media *m = plan_parse(c, block_span(&a->wanted_sdp), &s, NULL);
	if (m) {
		media_remote(c, a, m);
	} else {
		block_move(c, &a->offer_sdp, &a->local_sdp); /* it is an offer: the INVITE had none */
	}
	media_source(c, a, k->test, pt);
	const struct sdp_media *ours = plan_parse(c, block_span(m ? &a->local_sdp : &a->offer_sdp), &s, NULL);
	if (ours)
		plan_note_codec(a, ours);
	k->state = CALL_UP;
	k->answered_us = c->now_us;
	c->calls_answered++;
	cdr_answered(c, a);
	leg_event(c, a, LEG_EV_ANSWER, &arg);
}

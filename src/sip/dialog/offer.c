#include "sip/dialog/offer.h"

enum event { GOT_OFFER, GOT_ANSWER, SENT_OFFER, SENT_ANSWER, N_EVENTS };

struct step {
	enum offer_verdict verdict;
	enum offer_state next;
	bool completes;
};

/* Rows: the state; columns: what happens. RFC 3264 4 and 8, RFC 3261 14.1 and 14.2, RFC 3311 5.2, RFC 6337 table 1.
 * Glare: both offered at once; the one who receives refuses with 491 and keeps waiting for its answer. */
static const struct step table[3][N_EVENTS] = {
	[OFFER_IDLE] = {
		[GOT_OFFER] = {OFFER_OK, OFFER_REMOTE, false},
		[GOT_ANSWER] = {OFFER_UNEXPECTED, OFFER_IDLE, false},
		[SENT_OFFER] = {OFFER_OK, OFFER_LOCAL, false},
		[SENT_ANSWER] = {OFFER_UNEXPECTED, OFFER_IDLE, false},
	},
	[OFFER_LOCAL] = {
		[GOT_OFFER] = {OFFER_GLARE, OFFER_LOCAL, false},
		[GOT_ANSWER] = {OFFER_OK, OFFER_IDLE, true},
		[SENT_OFFER] = {OFFER_BUSY, OFFER_LOCAL, false},
		[SENT_ANSWER] = {OFFER_UNEXPECTED, OFFER_LOCAL, false},
	},
	[OFFER_REMOTE] = {
		[GOT_OFFER] = {OFFER_BUSY, OFFER_REMOTE, false},
		[GOT_ANSWER] = {OFFER_UNEXPECTED, OFFER_REMOTE, false},
		[SENT_OFFER] = {OFFER_BUSY, OFFER_REMOTE, false},
		[SENT_ANSWER] = {OFFER_OK, OFFER_IDLE, true},
	},
};

static enum offer_verdict step(struct offer *o, enum event e)
{
	const struct step *s = &table[o->state][e];
	o->state = s->next;
	o->established |= s->completes;
	return s->verdict;
}

enum offer_verdict offer_received(struct offer *o)
{
	return step(o, GOT_OFFER);
}

enum offer_verdict answer_received(struct offer *o)
{
	return step(o, GOT_ANSWER);
}

enum offer_verdict offer_sent(struct offer *o)
{
	return step(o, SENT_OFFER);
}

enum offer_verdict answer_sent(struct offer *o)
{
	return step(o, SENT_ANSWER);
}

void offer_failed(struct offer *o)
{
	o->state = OFFER_IDLE;
}

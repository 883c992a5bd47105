/* sip/dialog/offer: the offer/answer state of one dialog (RFC 3264, RFC 3261 13-14, RFC 6337). Layer 2, pure: only the
 * rule who may offer now; what the descriptions say is sip/sdp's and the leg's. */
#ifndef SIP_DIALOG_OFFER_H
#define SIP_DIALOG_OFFER_H

#include <stdbool.h>

enum offer_state {
	OFFER_IDLE,   /* nothing open; before the first exchange or after a complete one */
	OFFER_LOCAL,  /* we offered, an answer is due from the peer */
	OFFER_REMOTE  /* the peer offered, an answer is due from us */
};

struct offer {
	enum offer_state state;
	bool established; /* one exchange has been completed */
};

enum offer_verdict { OFFER_OK, OFFER_GLARE /* answer 491 */, OFFER_BUSY /* answer 500 with Retry-After */, OFFER_UNEXPECTED };

/* A description was received in a message that may carry an offer (INVITE, UPDATE, 2xx to an offerless INVITE). */
enum offer_verdict offer_received(struct offer *o);
/* A description was received where it can only be an answer. */
enum offer_verdict answer_received(struct offer *o);
/* We want to send one; OFFER_OK moves the state. OFFER_BUSY: an exchange is open, wait for its end. */
enum offer_verdict offer_sent(struct offer *o);
enum offer_verdict answer_sent(struct offer *o);
/* The request that carried the open offer failed (488, 491 ...): back to where it was. */
void offer_failed(struct offer *o);

#endif

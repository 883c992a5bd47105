/* sip/dialog: dialogs (RFC 3261 12): identifiers, sequence numbers, route set, target. Layer 2, pure.
 * A dialog is a value in its owner's object; its texts are one slab block, freed by dialog_clear. */
#ifndef SIP_DIALOG_DIALOG_H
#define SIP_DIALOG_DIALOG_H

#include "base/slab.h"
#include "sip/msg/build.h"

enum dialog_state { DIALOG_NONE, DIALOG_EARLY, DIALOG_CONFIRMED, DIALOG_ENDED };

struct dialog {
	enum dialog_state state;
	bool is_uac; /* we sent the request that made it */
	struct span call_id, local_tag, remote_tag;
	struct span local_uri, remote_uri;     /* whole From/To value without tag: name-addr */
	struct span remote_target;             /* URI from Contact */
	struct span route;                     /* route set as one comma list in sending order; empty: none */
	uint32_t local_cseq, remote_cseq;      /* last used; 0 none */
	bool has_remote_cseq;
	struct sip_flow flow;                  /* where requests go (after rport / connection reuse) */
	char *block;                           /* slab block that holds the texts */
	size_t block_bytes;
	char *target_block;                    /* remote_target after a refresh */
	size_t target_bytes;
};

/* UAS: from a request and the tag that we put into To. Early for INVITE (the owner sets state when it answers), else
 * confirmed. 0 or -1 (no memory, no usable Contact, more than 32 routes). *d holds nothing before. */
int dialog_from_request(struct dialog *d, struct slab *s, const struct sip_msg *req, const struct sip_flow *from,
			struct span local_tag) __attribute__((warn_unused_result));
/* UAC: from a response with a To tag to a request of ours (1xx early, 2xx confirmed). local_cseq is taken from its CSeq. */
int dialog_from_response(struct dialog *d, struct slab *s, const struct sip_msg *resp, const struct sip_flow *flow)
	__attribute__((warn_unused_result));
/* UAC: the 2xx of an early dialog (same tags): routes and target are taken anew (RFC 3261 13.2.2.4). 0 or -1: unchanged. */
int dialog_confirm(struct dialog *d, struct slab *s, const struct sip_msg *resp) __attribute__((warn_unused_result));
/* A copy with texts of its own; from's texts may lie anywhere. 0 or -1. *d holds nothing before. */
int dialog_copy(struct dialog *d, struct slab *s, const struct dialog *from) __attribute__((warn_unused_result));
void dialog_clear(struct dialog *d, struct slab *s);

/* Same dialog: Call-ID and both tags (for a request from the peer: From tag is remote). */
bool dialog_matches_request(const struct dialog *d, const struct sip_msg *req);
bool dialog_matches_response(const struct dialog *d, const struct sip_msg *resp);

enum dialog_check { DIALOG_FRESH, DIALOG_OLD_CSEQ /* answer 500 */, DIALOG_BAD_TAGS /* answer 481 */ };
/* Checks and notes the CSeq of a request inside the dialog (not ACK). */
enum dialog_check dialog_accept_request(struct dialog *d, const struct sip_msg *req);
/* Target refresh from the Contact of a re-INVITE, UPDATE or their 2xx; keeps the old target when there is none.
 * -1: no memory or no usable Contact (unchanged). */
int dialog_refresh_target(struct dialog *d, struct slab *s, const struct sip_msg *m);

/* Starts a request inside the dialog with the next CSeq (ACK and CANCEL: with `cseq` given, else 0): request line, Via,
 * Max-Forwards, Route, From, To, Call-ID, CSeq. Contact and the rest are the caller's. */
void dialog_request_begin(struct dialog *d, struct sip_build *b, enum sip_method m, uint32_t cseq, struct span branch);

#endif

/* sip/msg/build: writes messages into a buffer of the caller's. Layer 2, pure. */
#ifndef SIP_MSG_BUILD_H
#define SIP_MSG_BUILD_H

#include "sip/msg/flow.h"
#include "sip/msg/msg.h"

struct sip_build {
	struct text t;
};

/* Starts a response to a parsed request: status line; all Via with received/rport of the source filled in (RFC 3261
 * 18.2.1, RFC 3581); From, To (with our tag appended when it has none and to_tag is not empty), Call-ID, CSeq;
 * Record-Route for 1xx with To tag and 2xx. Max-Forwards and the rest are not copied. */
void sip_reply_begin(struct sip_build *b, const struct sip_msg *req, const struct sip_flow *from, uint16_t status,
		     const char *reason /* NULL: the standard phrase */, struct span to_tag);

/* Starts a request: request line and Via ("SIP/2.0/<transport> <local host:port>;branch=<branch>;rport"). */
void sip_request_begin(struct sip_build *b, enum sip_method m, struct span ruri, const struct sip_flow *flow,
		       struct span branch);

/* A whole header line. Values must not hold CR or LF: such bytes are replaced by spaces. */
void sip_put(struct sip_build *b, enum sip_hdr_id id, struct span value);
void sip_put_z(struct sip_build *b, enum sip_hdr_id id, const char *value);
void sip_put_u(struct sip_build *b, enum sip_hdr_id id, uint64_t value);
void sip_put_named(struct sip_build *b, const char *name, struct span value);
/* "name: " only; the caller writes the value to b->t and ends the line with sip_eol. */
void sip_head(struct sip_build *b, enum sip_hdr_id id);
void sip_eol(struct sip_build *b);

/* Content-Type (unless empty), Content-Length and body. The message is complete. False: it did not fit. */
bool sip_finish(struct sip_build *b, const char *content_type, struct span body);

/* ACK for a non-2xx final response, from the INVITE as it was sent (RFC 3261 17.1.1.3). False: did not fit. */
bool sip_ack_for_error(struct sip_build *b, struct span invite, const struct sip_msg *response);
/* CANCEL for an INVITE as it was sent (RFC 3261 9.1). */
bool sip_cancel_for(struct sip_build *b, struct span invite);

#endif

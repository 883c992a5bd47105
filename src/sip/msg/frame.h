/* sip/msg/frame: cuts SIP messages from a byte stream (RFC 3261 18.3, RFC 5626 4.4.1 keep-alives). Layer 2, pure.
 * The buffer is the caller's; the framer only says where things end, and remembers how far it looked. */
#ifndef SIP_MSG_FRAME_H
#define SIP_MSG_FRAME_H

#include "base/span.h"

struct sip_framer {
	size_t scanned; /* bytes already searched for the end of headers */
};

enum sip_frame_kind {
	SIP_FRAME_MORE,      /* not whole yet */
	SIP_FRAME_MESSAGE,   /* *used bytes are one message */
	SIP_FRAME_PING,      /* double CRLF: answer CRLF; *used bytes to drop */
	SIP_FRAME_SKIP,      /* single CRLF or 4 zero bytes: drop *used bytes */
	SIP_FRAME_BROKEN     /* no or bad Content-Length, too large: close after answering 400 or 513 if it can be parsed */
};

/* have: all bytes received and not yet used, from the start of a message. After MESSAGE, PING or SKIP the caller
 * removes *used bytes and calls again. max_bytes: limit on one message. */
enum sip_frame_kind sip_frame(struct sip_framer *f, struct span have, size_t max_bytes, size_t *used);

/* True for what phones send to keep a NAT binding open on UDP: CRLF, CRLFCRLF, 4 zero bytes, empty. */
bool sip_is_keepalive(struct span datagram);

#endif

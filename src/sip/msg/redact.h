/* sip/msg/redact: blots the credentials out of a message before it is shown to anybody. Level 2, pure. Works on bytes that no
 * parser would take, too: line by line, lengths unchanged. */
#ifndef SIP_MSG_REDACT_H
#define SIP_MSG_REDACT_H

#include "base/span.h"

/* The values of Authorization and Proxy-Authorization become "Scheme ****...", folded lines included; also their copies in a
 * message/sipfrag body, since every line of the text is looked at. */
void sip_redact(char *bytes, size_t n);
/* What a look at the bytes gives without parsing them: start line, all headers, Call-ID; empty when not there. */
struct sip_glance {
	struct span first, headers, call_id;
};
void sip_glance(struct sip_glance *g, struct span bytes);

#endif

/* sip/msg/refer: Refer-To and Replaces (RFC 3515 2.1, RFC 3891 6.1, RFC 5589). Layer 2, pure. */
#ifndef SIP_MSG_REFER_H
#define SIP_MSG_REFER_H

#include "sip/msg/msg.h"

/* A dialog as its other side names it: to_tag is the tag of who is asked, from_tag the tag of who is replaced there. */
struct sip_replaces {
	struct span call_id, to_tag, from_tag;
	bool early_only;
};
/* The value of a Replaces header. Spans point into it. -1: malformed (no Call-ID, a tag missing or twice, both a space). */
int sip_replaces_parse(struct span value, struct sip_replaces *out) __attribute__((warn_unused_result));

/* A header in a URI ("?Replaces=...&x=y"), name case-insensitive, decoded into buf. 1: *value filled; 0: none; -1: twice, too long
 * or a broken escape. */
int sip_uri_header(const struct sip_uri *u, const char *name, char *buf, size_t cap, struct span *value) __attribute__((warn_unused_result));

struct sip_refer {
	struct sip_nameaddr to; /* whole Refer-To */
	char buf[512];          /* what replaces points into */
	struct sip_replaces replaces;
	bool has_replaces;
	bool silent;            /* nobody wants to hear of it: Refer-Sub: false (RFC 4488) */
};
/* 0; else the status to refuse with: 400 (no Refer-To, several, malformed), 416 (not sip or sips), 501 (to send anything but INVITE). */
uint16_t sip_refer_read(const struct sip_msg *req, struct sip_refer *out);

#endif

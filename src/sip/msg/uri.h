/* sip/msg/uri: SIP, SIPS and TEL URIs (RFC 3261 19.1, 25.1; RFC 3966). Layer 2, pure. Zero copy: spans point into the input. */
#ifndef SIP_MSG_URI_H
#define SIP_MSG_URI_H

#include "base/addr.h"
#include "base/text.h"

enum sip_scheme { SIP_SCHEME_OTHER, SIP_SCHEME_SIP, SIP_SCHEME_SIPS, SIP_SCHEME_TEL };

struct sip_uri {
	struct span all; /* the whole URI as it stood */
	enum sip_scheme scheme;
	struct span scheme_name;
	struct span user, password; /* escaped, as they stood; user of tel: the number */
	struct span host;           /* IPv6 with its brackets; empty for tel and other schemes */
	uint16_t port;              /* 0: none given */
	struct span params;         /* ";a=b;c" with the first semicolon, or empty */
	struct span headers;        /* "?h=v" with the question mark, or empty */
};

/* 0, or -1: malformed (unknown schemes are well formed when they look like one). Never reads outside s. */
int sip_uri_parse(struct span s, struct sip_uri *out) __attribute__((warn_unused_result));

/* A parameter of a ";a=b;c" list (URI, Via, Contact ...), name case-insensitive. *value is empty for a flag; quotes kept. */
bool sip_param(struct span params, const char *name, struct span *value);
/* Walks such a list: 1 = *name and *value filled and *rest moved on, 0 = end, -1 = malformed (no name, "a=", quote open). */
int sip_param_next(struct span *rest, struct span *name, struct span *value) __attribute__((warn_unused_result));

/* Decodes %HH into dst; span over dst, or p == NULL when it does not fit or an escape is broken or gives NUL. */
struct span sip_unescape(struct span s, char *dst, size_t cap);
/* Appends s with everything escaped that RFC 3261 does not allow in a user part ('#' becomes %23). */
void sip_escape_user(struct text *t, struct span s);

/* Equality of RFC 3261 19.1.4 (escapes decoded, parameters user ttl method maddr transport must agree). */
bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b);

/* Host as an address with the URI's port (or default_port). -1 when the host is a name. */
int sip_uri_addr(const struct sip_uri *u, uint16_t default_port, struct addr *out) __attribute__((warn_unused_result));

#endif

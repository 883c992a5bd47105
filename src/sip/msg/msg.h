/* sip/msg: zero-copy SIP message parser (RFC 3261 section 7, 25). Layer 2, pure, no allocation.
 * All spans point into the bytes given to sip_parse: whoever keeps a message keeps its bytes. */
#ifndef SIP_MSG_MSG_H
#define SIP_MSG_MSG_H

#include "sip/msg/uri.h"

enum sip_method {
	SIP_OTHER_METHOD, SIP_INVITE, SIP_ACK, SIP_BYE, SIP_CANCEL, SIP_REGISTER, SIP_OPTIONS, SIP_INFO, SIP_MESSAGE,
	SIP_SUBSCRIBE, SIP_NOTIFY, SIP_PRACK, SIP_UPDATE, SIP_REFER, SIP_PUBLISH,
};

/* Headers that the switch knows by number; compact forms map to the same id. */
enum sip_hdr_id {
	SIP_H_OTHER, SIP_H_VIA, SIP_H_FROM, SIP_H_TO, SIP_H_CALL_ID, SIP_H_CSEQ, SIP_H_CONTACT, SIP_H_MAX_FORWARDS,
	SIP_H_ROUTE, SIP_H_RECORD_ROUTE, SIP_H_CONTENT_LENGTH, SIP_H_CONTENT_TYPE, SIP_H_EXPIRES, SIP_H_MIN_EXPIRES,
	SIP_H_AUTHORIZATION, SIP_H_PROXY_AUTHORIZATION, SIP_H_WWW_AUTHENTICATE, SIP_H_PROXY_AUTHENTICATE,
	SIP_H_USER_AGENT, SIP_H_SERVER, SIP_H_ALLOW, SIP_H_SUPPORTED, SIP_H_REQUIRE, SIP_H_PROXY_REQUIRE,
	SIP_H_UNSUPPORTED, SIP_H_ALLOW_EVENTS, SIP_H_EVENT, SIP_H_SUBSCRIPTION_STATE, SIP_H_REFER_TO, SIP_H_REFERRED_BY,
	SIP_H_REPLACES, SIP_H_RACK, SIP_H_RSEQ, SIP_H_SESSION_EXPIRES, SIP_H_MIN_SE, SIP_H_PATH, SIP_H_REASON,
	SIP_H_RETRY_AFTER, SIP_H_WARNING, SIP_H_ACCEPT, SIP_H_CONTENT_ENCODING, SIP_H_DATE, SIP_H_TIMESTAMP,
	SIP_H_ALERT_INFO, SIP_H_CALL_INFO, SIP_H_DIVERSION, SIP_H_P_ASSERTED_IDENTITY, SIP_H_REMOTE_PARTY_ID,
	SIP_H_PRIVACY, SIP_H_AUTHENTICATION_INFO, SIP_H_MIME_VERSION,
	SIP_H_COUNT
};

enum { SIP_MAX_HEADERS = 96, SIP_MAX_MESSAGE = 65535 };

struct sip_hdr {
	uint8_t id;        /* enum sip_hdr_id */
	struct span name;  /* as it stood */
	struct span value; /* trimmed; a folded value still holds its CRLF SP */
};

struct sip_via {
	struct span value;     /* this one Via value */
	struct span transport; /* "UDP" */
	struct span host;      /* sent-by; IPv6 with brackets */
	uint16_t port;         /* 0: none given */
	struct span branch, received, params;
	bool has_rport;
	uint16_t rport; /* 0: no value */
};

/* name-addr / addr-spec with header parameters: From, To, Contact, Route, Refer-To ... */
struct sip_nameaddr {
	struct span value;   /* this one value */
	struct span display; /* as it stood, with quotes; empty when none */
	struct sip_uri uri;
	struct span params; /* header parameters ";tag=x" */
	struct span tag;    /* empty when none */
	bool star;          /* Contact: * */
};

struct sip_msg {
	struct span raw; /* the whole message: start line .. end of body */
	bool is_request;
	enum sip_method method; /* of the request, or of the response's CSeq */
	struct span method_name;
	struct span ruri_text;
	struct sip_uri ruri; /* valid when is_request and error is 0 */
	uint16_t status;     /* responses: 100 .. 699 */
	struct span reason;
	struct sip_hdr hdr[SIP_MAX_HEADERS];
	uint16_t n_hdr;
	/* The fields that every message must have, parsed. */
	struct sip_via via; /* topmost */
	struct sip_nameaddr from, to;
	struct span call_id;
	uint32_t cseq;
	enum sip_method cseq_method;
	struct span cseq_method_name;
	int max_forwards; /* -1: absent */
	struct span body; /* Content-Length bytes, or the rest of a datagram */
};

/* What is wrong with a message, for the answer and for the person who must mend it. */
struct sip_error {
	uint16_t status;    /* the answer for a request: 400, 414, 416, 420, 505, 513 ...; 0: drop without an answer */
	const char *reason; /* static text, fit for a reason phrase */
	size_t offset;      /* byte where it was seen */
	bool answerable;    /* Via, From, To, Call-ID and CSeq are good enough in *out to build an answer */
};

/* Parses one whole message: a datagram, or what the framer cut from a stream. 0, or -1 with *err filled.
 * On -1 with err->answerable the five mandatory fields in *out may be used by sip_reply_begin.
 * Rejects for a response (wrong status line, CSeq mismatch ...) are never answerable. */
int sip_parse(struct sip_msg *out, struct span bytes, struct sip_error *err) __attribute__((warn_unused_result));

enum sip_method sip_method_of(struct span name); /* case-sensitive, as RFC 3261 7.1 asks */
const char *sip_method_name(enum sip_method m);
enum sip_hdr_id sip_hdr_of(struct span name); /* case-insensitive, compact forms too */
const char *sip_hdr_name(enum sip_hdr_id id); /* canonical long form */
const char *sip_reason_phrase(uint16_t status);

/* First header of this id, NULL when absent; the next one after `prev`. */
const struct sip_hdr *sip_hdr(const struct sip_msg *m, enum sip_hdr_id id);
const struct sip_hdr *sip_hdr_next(const struct sip_msg *m, const struct sip_hdr *prev);
/* Value of the first header of this id, empty when absent. */
struct span sip_hdr_value(const struct sip_msg *m, enum sip_hdr_id id);

/* Cuts the next element of a comma-separated list, aware of quotes and <>; loop while it returns true.
 * Empty elements are skipped. */
bool sip_list_next(struct span *rest, struct span *item);
/* True when the comma lists of all headers of this id hold the token (case-insensitive). */
bool sip_has_token(const struct sip_msg *m, enum sip_hdr_id id, const char *token);
/* First element of any header of this id that stands in no row of `known` (NULL-ended); false when all are known. */
bool sip_unknown_token(const struct sip_msg *m, enum sip_hdr_id id, const char *const *known, struct span *out);

int sip_nameaddr_parse(struct span value, struct sip_nameaddr *out) __attribute__((warn_unused_result));
int sip_via_parse(struct span value, struct sip_via *out) __attribute__((warn_unused_result));
/* Walks all Contacts over all Contact headers and commas: start with a zeroed iterator. 1 = *out filled, 0 = end, -1 = malformed. */
struct sip_contact_iter {
	const struct sip_hdr *h;
	struct span rest;
	bool started;
};
int sip_contact_next(const struct sip_msg *m, enum sip_hdr_id id, struct sip_contact_iter *it, struct sip_nameaddr *out);
/* Expires as seconds; -1 when absent, -2 when malformed. */
int64_t sip_expires(const struct sip_msg *m);
/* Display name without quotes and escapes, into dst. Empty when none. */
struct span sip_display(const struct sip_nameaddr *a, char *dst, size_t cap);

#endif

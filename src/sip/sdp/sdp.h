/* sip/sdp: session descriptions (RFC 4566/8866) as far as offer/answer (RFC 3264) needs them. Layer 2, pure, zero copy. */
#ifndef SIP_SDP_SDP_H
#define SIP_SDP_SDP_H

#include "base/addr.h"
#include "base/text.h"

enum { SDP_MAX_MEDIA = 8, SDP_MAX_FORMATS = 32, SDP_MAX_CRYPTO = 4 };

enum sdp_dir { SDP_SENDRECV, SDP_SENDONLY, SDP_RECVONLY, SDP_INACTIVE };

struct sdp_format {
	struct span pt_text; /* as it stood in the m= line */
	int pt;              /* 0..127; -1: not a number (m=image udptl t38) */
	struct span encoding; /* from rtpmap, or the static table; may be empty */
	uint32_t clock_hz;    /* 0 unknown */
	uint8_t channels;
	struct span fmtp;
};

struct sdp_media {
	struct span type;     /* "audio" */
	struct span proto;    /* "RTP/AVP" */
	uint16_t port;        /* 0: refused */
	struct addr conn;     /* effective c=; family 0: absent or a name */
	bool conn_zero;       /* c=0.0.0.0: hold of RFC 2543 */
	enum sdp_dir dir;     /* media level, else session level, else sendrecv */
	struct sdp_format fmt[SDP_MAX_FORMATS];
	uint8_t n_fmt;
	uint16_t ptime_ms;    /* 0: not given */
	uint16_t rtcp_port;   /* 0: port + 1 */
	bool rtcp_mux;
	struct span crypto[SDP_MAX_CRYPTO]; /* a=crypto values */
	uint8_t n_crypto;
	struct span raw;      /* from "m=" to the next section, for passing through */
};

struct sdp {
	struct span raw;
	struct span origin_user;
	uint64_t origin_id, origin_version;
	struct span session_name;
	struct sdp_media media[SDP_MAX_MEDIA];
	uint8_t n_media;
};

struct sdp_error {
	const char *reason; /* static text */
	size_t offset;
};

int sdp_parse(struct span body, struct sdp *out, struct sdp_error *err) __attribute__((warn_unused_result));

/* First audio media with a non-zero port, or NULL. */
const struct sdp_media *sdp_audio(const struct sdp *s);
/* "PCMU" for 0 when no rtpmap was given, and so on: RFC 3551 table 4 and 5. NULL encoding when none. */
void sdp_static_format(int pt, struct span *encoding, uint32_t *clock_hz);
enum sdp_dir sdp_dir_reverse(enum sdp_dir d);
const char *sdp_dir_name(enum sdp_dir d);
/* True when both are the same codec (name case-insensitive, clock, channels). */
bool sdp_format_same(const struct sdp_format *a, const struct sdp_format *b);

/* A description of ours with one audio stream; other m= lines of an offer are answered as refused. */
struct sdp_local {
	uint64_t session_id, version; /* o=; version must grow when anything changes */
	struct addr rtp;              /* our address and RTP port */
	uint16_t rtcp_port;           /* written as a=rtcp when it is not rtp.port + 1; 0: not written */
	enum sdp_dir dir;
	struct sdp_format fmt[SDP_MAX_FORMATS];
	uint8_t n_fmt;
	uint16_t ptime_ms;
	const struct sdp *answer_to;  /* NULL: an offer; else refused lines are written with port 0, as many as offered */
	uint8_t audio_index;          /* which m= line of answer_to is the audio one */
};
void sdp_write(struct text *t, const struct sdp_local *l);

/* Formats of `offer` (an m= line) that `mine` (ordered list) has too, in the offer's order with the offer's payload
 * numbers; telephone-event kept when both have it. Returns how many. */
int sdp_intersect(const struct sdp_media *offer, const struct sdp_format *mine, int n_mine, struct sdp_format *out, int cap);

#endif

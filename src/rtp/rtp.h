/* rtp: RTP and RTCP packets as values, reception statistics, telephone events, the E-model. Layer 2, pure.
 * Sources: RFC 3550 (5.1, 6.4, A.1, A.3, A.8), RFC 5761 4 (payload types), RFC 4733 2.3, ITU-T G.107 and G.113.
 * Everything parsed borrows the caller's bytes. All numbers are in host order. */
#ifndef RTP_RTP_H
#define RTP_RTP_H

#include "base/assert.h"
#include "base/span.h"

/* ---- RTP (rtp.c) ------------------------------------------------------------------------------------------- */

enum { RTP_HEADER_BYTES = 12, RTP_MAX_BYTES = 2048, RTP_PT_PCMU = 0, RTP_PT_PCMA = 8, RTP_PT_G722 = 9, RTP_PT_CN = 13, RTP_PT_G729 = 18 };

struct rtp {
	uint8_t pt; /* 0..127 */
	bool marker;
	uint16_t seq;
	uint32_t ts;   /* in units of the payload's RTP clock */
	uint32_t ssrc;
	uint8_t n_csrc;       /* parse only; never written */
	uint16_t ext_profile; /* parse only */
	struct span ext;      /* header extension's data; empty when none */
	struct span payload;  /* without padding; may be empty */
};

/* 0, or -1 (short, version not 2, CSRC list, extension or padding beyond the datagram, a payload type that would be RTCP
 * on a shared port: 64..95 by RFC 5761). out is written only on success. */
int rtp_parse(struct span b, struct rtp *out) NODISCARD;
/* Fixed header (version 2, no padding, CSRC or extension) and payload. Bytes written, 0 when cap is too small. */
size_t rtp_write(const struct rtp *h, void *dst, size_t cap);

/* ---- reception of one stream (rx.c) ------------------------------------------------------------------------ */

struct rtp_rx {
	bool begun;
	uint32_t ssrc;
	uint32_t base_ext, max_ext; /* sequence numbers with cycles in the upper half */
	uint64_t window;            /* bit i: max_ext - i was received */
	uint32_t unique;            /* of this run: packets that were not duplicates */
	uint16_t bad_seq;           /* RFC 3550 A.1: a jump must be confirmed by its successor */
	bool bad_set;
	uint64_t packets, duplicates, lost_before; /* lost_before: of runs that ended (SSRC change, restart) */
	int64_t transit_us;
	bool transit_set;
	uint32_t jitter_x16_us, max_jitter_x16_us;
	uint32_t reported_expected, reported_unique; /* for the fraction since the last report */
};

enum rtp_rx_result { RTP_RX_NEW, RTP_RX_LATE /* reordered, still counted */, RTP_RX_DUPLICATE, RTP_RX_JUMP /* not yet believed */ };

/* Zeroed memory is a fresh tracker. A new SSRC begins a new run; losses of earlier runs stay counted. clock_hz is the
 * payload's RTP clock (8000 for G.722 too); 0 leaves jitter alone (telephone events repeat a timestamp). */
enum rtp_rx_result rtp_rx_packet(struct rtp_rx *r, const struct rtp *h, uint32_t clock_hz, int64_t now_us);
/* Expected minus received without duplicates, over all runs; never negative. */
uint64_t rtp_rx_lost(const struct rtp_rx *r);
static inline uint32_t rtp_rx_jitter_us(const struct rtp_rx *r)
{
	return r->jitter_x16_us >> 4;
}

/* ---- RTCP (rtcp.c) ----------------------------------------------------------------------------------------- */

enum { RTCP_SR = 200, RTCP_RR = 201, RTCP_SDES = 202, RTCP_BYE = 203, RTCP_APP = 204, RTCP_MAX_BLOCKS = 31 };

struct rtcp {
	uint8_t type, count; /* count: report blocks, chunks or sources */
	struct span body;    /* behind the four header bytes, without padding */
};
struct rtcp_block {
	uint32_t ssrc;
	uint8_t fraction_lost; /* 1/256 */
	int32_t lost;          /* cumulative, 24 bits signed */
	uint32_t max_ext_seq;
	uint32_t jitter; /* RTP clock units */
	uint32_t lsr, dlsr; /* middle 32 bits of NTP; 1/65536 s */
};
struct rtcp_sender {
	uint32_t ssrc;
	uint64_t ntp; /* 32.32 s since 1900 */
	uint32_t rtp_ts, packets, octets;
};

/* A whole compound datagram is sound: version 2, lengths add up, first is SR or RR, padding only in the last. */
bool rtcp_valid(struct span compound);
/* Takes the next packet off *rest. 1, 0 at the end, -1 malformed (and *rest is emptied). */
int rtcp_next(struct span *rest, struct rtcp *out) NODISCARD;
/* SR or RR: sender (out->ntp etc. only for SR; ssrc for both). 0 or -1. */
int rtcp_sender(const struct rtcp *p, struct rtcp_sender *out) NODISCARD;
/* SR or RR: report block i of p->count. 0 or -1. */
int rtcp_block(const struct rtcp *p, unsigned i, struct rtcp_block *out) NODISCARD;
/* Source i of a BYE. 0 or -1. */
int rtcp_bye(const struct rtcp *p, unsigned i, uint32_t *ssrc) NODISCARD;

struct rtcp_report {
	bool is_sr;
	struct rtcp_sender sender; /* ssrc always */
	const struct rtcp_block *blocks;
	unsigned n_blocks; /* up to 31 */
	struct span cname; /* 1..255 bytes; empty: no SDES */
	bool bye;
};
/* SR or RR, SDES CNAME, BYE as one compound datagram. Bytes written, 0 when it does not fit. */
size_t rtcp_write(const struct rtcp_report *r, void *dst, size_t cap);
/* What we report on a stream; moves the "since last report" marks. lsr, dlsr are the caller's. */
struct rtcp_block rtp_rx_block(struct rtp_rx *r, uint32_t clock_hz);
/* Round trip in microseconds from a report on us (RFC 3550 6.4.1): now - lsr - dlsr; 0 unknown or absurd (over 10 s). */
uint32_t rtcp_rtt_us(const struct rtcp_block *b, uint64_t ntp_now);
/* 32.32 fixed point of microseconds since any epoch. */
static inline uint64_t rtcp_ntp(int64_t us)
{
	uint64_t u = (uint64_t)us;
	return (u / 1000000) << 32 | ((u % 1000000) << 32) / 1000000;
}

/* ---- telephone events (event.c), RFC 4733 2.3 --------------------------------------------------------------- */

struct rtp_event {
	uint8_t event; /* 0-9, 10 *, 11 #, 12-15 A-D, 16 flash */
	bool end;
	uint8_t volume_dbm0; /* attenuation below 0 dBm0: 0..63 */
	uint16_t duration;   /* RTP clock units since the event began */
};
/* First event of a payload. 0 or -1 (shorter than 4 bytes). */
int rtp_event_parse(struct span payload, struct rtp_event *out) NODISCARD;
void rtp_event_write(const struct rtp_event *e, uint8_t dst[static 4]);
/* '0'..'9' '*' '#' 'A'..'D'; 0 for others. */
char rtp_event_char(uint8_t event);
/* Event number of a key (a-d too), or -1. */
int rtp_event_of(char c);

/* ---- quality (mos.c) ----------------------------------------------------------------------------------------- */

/* R of the E-model with defaults but for delay and loss (G.107 with Table 1 values; Ie and Bpl by G.113 for the static
 * payload type; unknown codecs count as G.711 with concealment). delay_ms is mouth to ear, one way. */
double rtp_emodel_r(uint8_t pt, double loss /* 0..1 */, double delay_ms);
/* MOS-CQE x 100 of an R value: 100..450. */
uint16_t rtp_mos_x100(double r);

#endif

/* mgraph/graph: the inside of the graph. Private to src/mgraph. Layer 3, pure. */
#ifndef MGRAPH_GRAPH_H
#define MGRAPH_GRAPH_H

#include "audio/audio.h"
#include "base/assert.h"
#include "base/rng.h"
#include "base/wheel.h"
#include "mgraph/mgraph.h"
#include "rtp/rtp.h"

/* Where a slot's peer is, and how sure we are (latch.c). */
struct latch {
	struct addr signalled, signalled_rtcp; /* family 0: unknown */
	struct addr source;                    /* of RTP; family 0: not latched */
	struct addr source_rtcp;
	bool stranger_told;
};

/* What a slot plays (source.c). */
struct player {
	enum media_source kind;
	struct timer timer; /* next packet or report, whichever is first */
	struct tone tone;
	int64_t next_packet_us, next_report_us;
	uint32_t ssrc, ts;
	uint16_t seq;
	bool talking; /* the next packet does not begin a talkspurt */
	uint32_t packets, octets;
};

struct slot {
	bool open, may_send, may_recv;
	uint8_t pt, pt_dtmf, rx_pt;
	uint16_t ptime_ms;
	uint32_t clock_hz, number;
	uint64_t leg;
	struct slot *peer; /* bridged to, both ways; NULL none */
	struct latch latch;
	struct rtp_rx rx;
	struct media_stats stats; /* packets and bytes; the rest is filled in by slot_stats */
	uint32_t sr_mid;          /* last sender report that went out to this slot's peer: what its LSR will be */
	int64_t sr_sent_us;       /* 0 none */
	struct player play;
};

struct mgraph {
	struct mgraph_out out;
	struct rng rng;
	struct wheel wheel;
	bool wheel_ready;
	uint16_t worker;
	uint32_t n_slots;
	uint64_t last_seq;
	char cname[17];
	struct slot slots[];
};

static inline media_slot slot_id(const struct mgraph *g, const struct slot *s)
{
	return (media_slot)g->worker << 16 | s->number;
}

/* latch.c */
void latch_remote(struct latch *l, const struct addr *rtp, const struct addr *rtcp, bool relearn);
/* May a valid RTP packet come in from there? LATCHED: and it is the first. */
enum latch_answer { LATCH_KNOWN, LATCH_LATCHED, LATCH_STRANGER };
enum latch_answer latch_rtp(struct latch *l, const struct addr *from);
bool latch_rtcp(struct latch *l, const struct addr *from);
/* Where to send; family 0: nowhere. */
struct addr latch_target(const struct latch *l, bool rtcp);

/* relay.c: to the slot's peer, if direction and address allow; counts. Returns whether it left. */
bool slot_send(struct mgraph *g, struct slot *s, bool rtcp, struct span bytes);

/* source.c */
void player_start(struct mgraph *g, struct slot *s, const struct media_cmd *c, int64_t now_us);
void player_stop(struct mgraph *g, struct slot *s, int64_t now_us);
void player_echo(struct mgraph *g, struct slot *s, const struct rtp *h, struct span bytes);
void player_due(struct mgraph *g, struct slot *s, int64_t now_us);

/* stats.c */
struct media_stats slot_stats(const struct slot *s);
/* Learns from what the far end reports: loss, round trip. */
void stats_report_in(struct slot *s, struct span compound, int64_t now_us);
/* A sender report is going to the slot's peer: remembered for the round trip. */
void stats_report_out(struct slot *s, struct span compound, int64_t now_us);

#endif

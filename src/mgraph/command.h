/* mgraph/command: what signalling tells the media graph, and what it hears back. Layer 3, pure values; the cell writes
 * them, media workers (or the simulator) walk them. */
#ifndef MGRAPH_COMMAND_H
#define MGRAPH_COMMAND_H

#include "base/addr.h"

/* A slot is one RTP/RTCP port pair of one worker, opened ahead. The cell draws slots from its own free list. */
typedef uint32_t media_slot; /* worker << 16 | number on that worker; MEDIA_NO_SLOT none */
#define MEDIA_NO_SLOT UINT32_MAX

enum media_op {
	MEDIA_OPEN,   /* begin with a slot: forget everything of its last use; `leg` is told in events */
	MEDIA_REMOTE, /* peer, direction, payload types (after each offer/answer); relearn: a new source may be latched once */
	MEDIA_BRIDGE, /* slot <-> peer_slot (same worker), replacing what either was bridged to */
	MEDIA_SOURCE, /* slot plays or answers by itself: enum media_source; SOURCE_NONE stops */
	MEDIA_UNBRIDGE,
	MEDIA_CLOSE   /* statistics are reported by MEDIA_EVENT_CLOSED, then the slot is silent */
};

enum media_source {
	SOURCE_NONE,
	SOURCE_ECHO,      /* what comes in goes back, same payload type and timestamps, our SSRC */
	SOURCE_MILLIWATT, /* 1004 Hz, 0 dBm0 (digital milliwatt of G.711) */
	SOURCE_TONE,      /* tone_hz[2], tone_on_ms/off_ms cadence, tone_level_dbm0 */
	SOURCE_RINGBACK   /* 440 + 480 Hz, 2 s on, 4 s off */
};

struct media_cmd {
	uint64_t seq; /* grows by one with each command to one worker */
	enum media_op op;
	media_slot slot, peer_slot;
	uint64_t leg; /* opaque to the graph */
	struct addr remote, remote_rtcp;
	bool may_send, may_recv; /* towards the peer, from the peer */
	bool relearn;
	uint8_t pt;      /* payload type that our sources send: 0 PCMU, 8 PCMA */
	uint8_t pt_dtmf; /* telephone-event of the peer; 0 none */
	uint32_t clock_hz;
	uint16_t ptime_ms; /* of our sources; 20 when 0 */
	enum media_source source;
	uint16_t tone_hz[2], tone_on_ms, tone_off_ms; /* off 0: continuous */
	int8_t tone_level_dbm0;
};

struct media_stats {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_lost;       /* by sequence numbers, duplicates not counted twice */
	uint64_t rx_dropped;    /* strangers, malformed, not allowed by direction */
	uint32_t jitter_us;     /* RFC 3550 6.4.1 at the end */
	uint32_t max_jitter_us;
	uint16_t mos_x100;      /* E-model (ITU-T G.107, simplified by G.113 Ie/Bpl); 0: nothing was received */
	uint32_t far_lost;      /* the far end's own report (RTCP RR), cumulative */
	uint32_t rtt_us;        /* from RTCP; 0 unknown */
};

enum media_event_kind {
	MEDIA_EVENT_LATCHED, /* first packet accepted; `source` tells from where */
	MEDIA_EVENT_CLOSED,  /* stats are final; the slot may be used again */
	MEDIA_EVENT_STRANGER /* packets from another source than the latched one are being dropped (once per latch) */
};

struct media_event {
	enum media_event_kind kind;
	media_slot slot;
	uint64_t leg;
	uint64_t seq; /* CLOSED: seq of the close command */
	struct addr source;
	struct media_stats stats;
};

#endif

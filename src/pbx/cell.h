/* pbx/cell: one site's whole switching world. Layer 3, pure: step(cell, input, now, sink). One thread, no locks.
 * Everything the cell does to the world goes to the sink, in order; everything it knows came in as an input, so a
 * recording of the inputs reproduces it (pbx/record). */
#ifndef PBX_CELL_H
#define PBX_CELL_H

#include "base/log.h"
#include "crypto/digest.h"
#include "mgraph/command.h"
#include "pbx/site.h"
#include "sip/auth/auth.h"
#include "sip/event/row.h"
#include "sip/msg/flow.h"

struct cell;

/* ---- inputs ------------------------------------------------------------------------------------------------ */

/* A source that is shut out (Z45), as stored. */
struct ban_row {
	struct addr source; /* no port */
	int64_t until_wall_ms;
};

enum cell_in_kind {
	CELL_IN_TIMER,       /* nothing but the time: due timers run (they also run at the start of every other step) */
	CELL_IN_SIP,         /* bytes from the wire: one datagram or one framed message */
	CELL_IN_FLOW_CLOSED, /* a TCP/TLS connection went away */
	CELL_IN_SITE,        /* a new snapshot (the cell takes one reference) */
	CELL_IN_WALL,        /* wall clock minus monotonic clock changed (start, NTP step) */
	CELL_IN_SLOTS,       /* a worker opened port pairs */
	CELL_IN_MEDIA,       /* an event of the media graph */
	CELL_IN_BINDING,     /* start: one stored registration to restore */
	CELL_IN_PERSISTED,   /* the store has made `token` durable, or failed */
	CELL_IN_SUBSCRIPTION, /* start: one stored subscription to restore; after SITE and the bindings */
	CELL_IN_BAN,         /* start: one stored ban to restore; after SITE, WALL and the bindings */
	CELL_IN_QUERY        /* a question of the API: answered by CELL_OUT_ANSWER */
};

/* One registration, as stored. Texts are NUL-ended and bounded. */
struct binding_row {
	char extension[16];
	uint64_t device_id;
	char contact[256];  /* Contact URI as the phone wrote it */
	char instance[128]; /* +sip.instance, or "" */
	char call_id[128];
	char user_agent[128];
	char path[256];
	uint32_t reg_id, cseq;
	struct sip_flow flow;      /* where it came from */
	int64_t expires_wall_ms;   /* UTC, milliseconds since 1970 */
	int64_t registered_wall_ms;
};

enum cdr_cause { /* Q.850 numbers */
	CDR_NONE = 0, CDR_UNALLOCATED = 1, CDR_NORMAL = 16, CDR_BUSY = 17, CDR_NO_RESPONSE = 18, CDR_NO_ANSWER = 19,
	CDR_REJECTED = 21, CDR_DESTINATION_OUT_OF_ORDER = 27, CDR_TEMPORARY = 41, CDR_CONGESTION = 42,
	CDR_NOT_ACCEPTABLE = 88, CDR_SESSION_EXPIRED = 102 /* recovery on timer expiry: nobody refreshed the session */, CDR_INTERWORKING = 127,
	CDR_CANCELLED = 487, CDR_ANSWERED_ELSEWHERE = 26, CDR_INTERRUPTED = 502,
	CDR_TRANSFERRED = 303 /* this party gave its place in the call to another */
};

/* One row per leg: opened at the INVITE, closed at its end; one that a crash left open is closed at the next start as
 * CDR_INTERRUPTED. A leg is what the switch had with a phone: an INVITE that was not answered when the switch died, and that the phone
 * sends to the new one again, begins another leg there. So a Call-ID and direction may have more than one row, of which one at most
 * was answered or ended otherwise than by the crash; the others are tries it cut off: CDR_INTERRUPTED, answer 0, talk 0 (R7). Nothing is
 * taken back from the table for that: they are in it because they rang phones. */
struct cdr_row {
	char id[40];      /* unique for ever: "<boot hex>-<call>-<leg>" */
	char call[40];    /* common to all legs of the call */
	uint16_t leg_no;  /* 0: the caller's */
	uint8_t direction; /* 0: in from the phone, 1: out to the phone */
	char extension[16], device[32]; /* whose leg; device: MAC or generic name */
	char caller[64], callee[64], dialled[64];
	char sip_call_id[128], remote[64];
	int64_t start_wall_ms, ring_wall_ms, answer_wall_ms, end_wall_ms; /* 0: did not happen */
	int64_t ring_ms, talk_ms;  /* from the monotonic clock */
	uint16_t cause, sip_status;
	uint8_t ended_by; /* 0 unknown, 1 this party, 2 the other, 3 the switch */
	bool closed, direct_media;
	char codec[16];
	struct media_stats media;
};

/* Questions: answered in JSON, in pages so that a turn stays short. */
enum cell_query_kind { CELL_Q_CALLS, CELL_Q_REGISTRATIONS, CELL_Q_STATUS, CELL_Q_UNREGISTER /* arg: extension */, CELL_Q_HANGUP /* arg: call id */,
	CELL_Q_SUBSCRIPTIONS, CELL_Q_FEATURE /* arg: a feature's name and the words of its verb */,
	CELL_Q_BANS, CELL_Q_BAN_RELEASE /* arg: address, or extension */ };

struct cell_in {
	enum cell_in_kind kind;
	union {
		struct { struct sip_flow flow; struct span bytes; } sip; /* SIP; FLOW_CLOSED uses flow only */
		struct site *site;
		int64_t wall_minus_mono_us;
		struct { media_slot first; uint32_t n; struct addr addr; /* port of the first pair; the next is + 2 */ } slots;
		struct media_event media;
		struct binding_row binding;
		struct subscription_row subscription;
		struct ban_row ban;
		struct { uint64_t token; bool ok; } persisted;
		struct { uint64_t token; enum cell_query_kind kind; uint64_t cursor; uint32_t limit; struct span arg; } query;
	} u;
};

/* ---- outputs ----------------------------------------------------------------------------------------------- */

enum cell_out_kind { CELL_OUT_SIP, CELL_OUT_MEDIA, CELL_OUT_CDR, CELL_OUT_BINDING, CELL_OUT_BINDING_GONE,
	CELL_OUT_SUBSCRIPTION, CELL_OUT_SUBSCRIPTION_GONE, CELL_OUT_BAN, CELL_OUT_BAN_GONE, CELL_OUT_SOURCE, CELL_OUT_PROGRESS, CELL_OUT_ANSWER, CELL_OUT_LOG };

struct cell_out {
	enum cell_out_kind kind;
	union { /* all borrowed for the call */
		struct { const struct sip_flow *to; struct span bytes; } sip;
		const struct media_cmd *media;
		/* Insert or replace by id; durable, then PERSISTED. again: emitted like this before, and not confirmed. */
		struct { uint64_t token; const struct cdr_row *row; bool again; } cdr;
		const struct binding_row *binding;  /* written behind; GONE: key is extension + contact + instance */
		const struct subscription_row *subscription; /* written behind, in pace; GONE: key is local_tag, nothing else is set */
		const struct ban_row *ban; /* written behind; GONE: source only */
		struct { uint64_t token; uint16_t status; struct span json; uint64_t next_cursor; } answer; /* cursor 0: end */
		/* For the edge: has registrations (known) or not; blocked until (0: not). */
		struct { const struct addr *addr; bool known; int64_t blocked_until_us; } source;
		/* Of the caller's leg, once each: the first 18x, the 200. */
		struct { bool answered; int64_t after_us; /* since the INVITE came */ } progress;
		struct { enum log_level level; const char *event; const struct log_field *f; size_t n; } log;
	} u;
};

struct cell_sink {
	void (*emit)(struct cell_sink *s, const struct cell_out *out);
	enum log_level log_min; /* CELL_OUT_LOG below it is not wanted; may change between steps, and changes nothing else */
};

/* ---- life -------------------------------------------------------------------------------------------------- */

struct cell_limits {
	uint32_t max_calls, max_legs, max_bindings, max_bindings_per_extension, max_txns;
	/* Closed CDR rows the store has not confirmed yet; at 9/10 of it new calls are refused. Rows of calls already up come
	 * on top (max_legs at most): none is ever dropped. */
	uint32_t max_unconfirmed;
	size_t max_message_bytes; /* stored messages */
	uint32_t max_subscriptions, max_subscriptions_per_device;
	uint32_t notify_initial_per_s, notify_per_ms; /* struct event_limits */
};
extern const struct cell_limits cell_limits_default;

struct cell_opts {
	struct cell_limits limits;
	struct hash_key seed;       /* secret and random in the daemon; fixed in the simulator */
	struct nonce_key nonce_key;
	char boot_id[17];           /* unique per start: CDR ids */
	uint32_t min_expires_s, max_expires_s; /* 60, 3600 */
	int64_t ring_timeout_us;    /* 0: the site's */
};

struct cell *cell_new(const struct cell_opts *o, int64_t now_us); /* NULL: no memory */
void cell_free(struct cell *c);
void cell_step(struct cell *c, const struct cell_in *in, int64_t now_us, struct cell_sink *sink);
/* When CELL_IN_TIMER is wanted; INT64_MAX: never. */
int64_t cell_deadline(const struct cell *c);

/* What lives now: for metrics, for tests, and for the simulator's invariants (all 0 in a quiet cell but bindings). */
/* What went wrong, since the start. */
struct cell_noted {
	uint64_t limits_reached, auth_refused, register_refused, malformed, media_strangers;
};
struct cell_counts {
	uint32_t calls, legs, bindings, txns, dialogs, slots_used, timers, cdr_open, cdr_unconfirmed, subscriptions;
	uint64_t calls_total, calls_answered, registrations_total, refused_total, retransmits;
	uint64_t notifies, notify_retries, subscriptions_dropped;
	struct cell_noted noted;
};
struct cell_counts cell_counts(const struct cell *c);
/* Internal consistency; NULL when sound, else a static text of what is broken. May take long: tests and simulator. */
const char *cell_check(const struct cell *c);

#endif

/* sip/event: the notifier's side of SIP events (RFC 6665), and the implicit subscription of REFER (RFC 3515, 4488).
 * Layer 2, pure. One server per cell, one thread. It owns the subscriptions, their dialogs and their NOTIFYs; what a resource
 * looks like is asked of the user (render), who may subscribe has been settled by the caller before it comes here.
 *
 * One NOTIFY of a subscription is on its way at a time; what changes meanwhile collapses into the next one, which is
 * rendered when it is sent. Each NOTIFY counts CSeq up by one, and the version that a body carries is CSeq - 1: neither
 * ever goes back, also over a restart, since numbers are reserved in the store by blocks of EVENT_RESERVE. */
#ifndef SIP_EVENT_EVENT_H
#define SIP_EVENT_EVENT_H

#include "sip/dialog/dialog.h"
#include "sip/event/row.h"
#include "sip/txn/txn.h"

enum { EVENT_RESERVE = 4096, EVENT_UDP_MAX = 1300 /* RFC 3261 18.1.1 */, EVENT_BODY_MAX = 32768, EVENT_TIMER = 0x200 };

/* Owners of transactions given to txn_send: this bit tells a subscription from the user's own objects. */
#define EVENT_OWNER (1ull << 63)

/* An event package, static. Times in seconds. */
struct event_package {
	const char *name;   /* Event token: "message-summary" */
	const char *const *types; /* body types, NULL-ended; the first is what a subscriber without Accept gets */
	uint32_t min_expires_s, default_expires_s, max_expires_s; /* 0 < min <= default <= max */
	bool partial;       /* render can say less than everything to who has seen the rest */
};

enum event_state { EVENT_PENDING, EVENT_ACTIVE, EVENT_TERMINATED };

/* What a body is wanted for. */
struct event_ask {
	const struct event_package *package;
	struct span resource, subscriber; /* subscriber: its extension */
	struct span event_id;   /* of the Event header, may be empty */
	const char *type;       /* one of package->types */
	uint32_t version;       /* CSeq - 1 */
	uint64_t seen;          /* `seen` of the body that the subscriber confirmed last; 0: none */
	bool full;              /* everything; else what changed after `seen` will do */
	size_t room;            /* bytes that a datagram has left for the body; more is allowed and goes by TCP or in fragments */
};
struct event_body {
	struct text text;       /* written by render; empty: no body */
	uint64_t seen;          /* the package's own mark of the state that is shown */
};

struct event_user {
	void *ctx;
	/* A whole Contact header, and a Server or User-Agent header. */
	void (*contact)(void *ctx, struct sip_build *b, struct span user, const struct sip_flow *flow);
	void (*product)(void *ctx, struct sip_build *b, enum sip_hdr_id id);
	/* Writes the body. 0, or -1: the resource is gone, the subscription ends ("noresource"). */
	int (*render)(void *ctx, const struct event_ask *ask, struct event_body *out);
	void (*store)(void *ctx, const struct subscription_row *row, bool gone);
	void (*log)(void *ctx, enum log_level level, const char *event, const struct log_field *f, size_t n);
	/* Implicit subscriptions inside somebody's dialog: its next CSeq; 0: that dialog has ended. */
	uint32_t (*next_cseq)(void *ctx, uint64_t dialog_owner);
};

struct event_limits {
	uint32_t max_subscriptions, max_per_device;
	uint32_t initial_per_s;  /* first NOTIFYs and those after a restart; 40,000 lamps within 10 s (R5) need 4,000 */
	uint32_t fan_out_per_ms; /* of all others: keeps a turn under 5 ms */
};

struct event_server;
/* slab, wheel, rng, txn and scratch (the buffer that messages are written into) stay the caller's. NULL: no memory. */
struct event_server *event_server_new(const struct event_user *user, const struct event_limits *lim, struct hash_key key, struct slab *slab,
				      struct wheel *wheel, struct rng *rng, struct txn_layer *txn, struct text scratch);
/* After the transaction layer: that one takes its timers out of the wheel, beside ours. */
void event_server_free(struct event_server *es);

/* ---- time ---- */

/* A timer whose kind is in [EVENT_TIMER, EVENT_TIMER + 0xff]. */
void event_timer(struct event_server *es, struct timer *t, int64_t now_us);
/* At the end of each step: sends what is due now, as far as the pace allows. Sets wheel timers for the rest. */
void event_pump(struct event_server *es, int64_t now_us);
/* wall - monotonic, microseconds: for the rows. */
void event_wall(struct event_server *es, int64_t wall_minus_mono_us);

/* ---- SUBSCRIBE ---- */

struct event_request {
	txn_id id;
	const struct sip_msg *req;
	const struct sip_flow *from;
	const struct event_package *package;
	struct span resource, subscriber; /* resource: at most 63 bytes; subscriber: 15 */
	uint64_t device_id;
	enum event_state state; /* PENDING or ACTIVE */
};
/* Outside a dialog, authorised. Answers the request (200; 400, 406, 423, 503) and queues the first NOTIFY. Expires 0: a
 * fetch, one NOTIFY and no subscription. The subscription, or 0. */
handle event_subscribe(struct event_server *es, const struct event_request *r, int64_t now_us);
/* The Event header's token, and its id parameter (empty: none). */
struct span event_token_of(const struct sip_msg *m, struct span *id);
/* In a dialog of ours: the subscription it is for, or 0 (answer 481). By To tag, Call-ID, From tag, Event and its id. */
handle event_find(const struct event_server *es, const struct sip_msg *req);
/* Refresh or end (Expires 0). The sender has been believed. Answers: 200; 400, 423, 500. */
void event_refresh(struct event_server *es, handle sub, txn_id id, const struct sip_msg *req, const struct sip_flow *from, int64_t now_us);
/* Whose it is and where it comes from: for the decision whether a request is believed. False: stale handle. */
struct event_party {
	struct span subscriber, resource;
	uint64_t device_id;
	struct sip_flow flow;
	const struct event_package *package;
};
bool event_party(const struct event_server *es, handle sub, struct event_party *out);

/* ---- state ---- */

/* The resource looks different: each of its subscriptions gets a NOTIFY. Returns how many. */
uint32_t event_changed(struct event_server *es, const struct event_package *package, struct span resource, int64_t now_us);
/* Has anybody subscribed to it? */
uint32_t event_watchers(const struct event_server *es, const struct event_package *package, struct span resource);
/* The pending ones of this subscriber: active, with a NOTIFY, or ended ("rejected"). Returns how many. */
uint32_t event_decide(struct event_server *es, const struct event_package *package, struct span resource, struct span subscriber, bool allow, int64_t now_us);
/* Last NOTIFY "terminated;reason=..." (deactivated, probation, rejected, timeout, giveup, noresource), then it is gone. */
void event_end(struct event_server *es, handle sub, const char *reason, int64_t now_us);
/* Asks `gone` once for each device; all subscriptions of those for which it says so are ended with this reason, in pace. */
void event_end_devices(struct event_server *es, bool (*gone)(void *ctx, const struct event_party *p), void *ctx, const char *reason, int64_t now_us);

/* ---- the implicit subscription of REFER ---- */

struct event_implicit {
	const struct sip_msg *refer;
	const struct sip_flow *from;
	/* The dialog in which the REFER came: copied; its owner gives the CSeqs as long as it lives (user.next_cseq), so that
	 * the subscription outlives the call's BYE. NULL: a dialog of its own is made from the REFER, with this To tag. */
	const struct dialog *in;
	uint64_t dialog_owner;
	struct span local_tag;  /* used with in == NULL; at most 19 bytes */
	struct span subscriber;
	uint64_t device_id;
	uint32_t expires_s;     /* 60 .. 3600; longer than the transfer may take */
	bool with_id;           /* "Event: refer;id=<CSeq of the REFER>": from the second REFER in a dialog on (RFC 3515 2.4.6) */
};
/* The caller answers the REFER itself (202), after this. 0: no room (answer 503). No NOTIFY goes until the first
 * event_implicit_notify. Not persisted. */
handle event_implicit_new(struct event_server *es, const struct event_implicit *i, int64_t now_us);
/* NOTIFY with message/sipfrag, e.g. "SIP/2.0 180 Ringing". A later one replaces one that waits. last: with
 * "terminated;reason=noresource"; the handle is stale afterwards. Stale handles are ignored: the subscriber may have ended it. */
void event_implicit_notify(struct event_server *es, handle sub, struct span status_line, bool last, int64_t now_us);
/* The dialog's owner ends: the subscription counts on from this CSeq by itself. */
void event_dialog_left(struct event_server *es, uint64_t dialog_owner, uint32_t last_cseq);

/* ---- transactions and flows ---- */

/* For owners with EVENT_OWNER set. resp NULL: none came; status is then 408 (timeout) or 503 (transport). */
void event_response(struct event_server *es, uint64_t owner, const struct sip_msg *resp, uint16_t status, int64_t now_us);
/* The device was heard on this flow (it registered): its subscriptions whose connection is gone, or that were on `was`
 * (may be NULL), go there from now on. */
void event_peer_flow(struct event_server *es, uint64_t device_id, const struct sip_flow *was, const struct sip_flow *now, int64_t now_us);

/* ---- store ---- */

/* 0; -1: expired, no room, or not usable. `package`: found by the caller by row->package. A full NOTIFY is queued, paced. */
int event_restore(struct event_server *es, const struct subscription_row *row, const struct event_package *package, int64_t now_us);

/* ---- looking in ---- */

struct event_counts {
	uint32_t live, pending, waiting; /* waiting: for a connection */
	uint64_t notifies, collapsed, retries, dropped, oversize_tcp, oversize_udp, refused;
};
struct event_counts event_counts(const struct event_server *es);
/* Subscriptions in the order of their making, for pages: cursor 0 at first; false at the end. */
struct event_view {
	struct event_party party;
	struct span target;
	enum event_state state;
	uint32_t version;
	int64_t expires_us; /* monotonic */
	bool waiting, in_flight;
};
bool event_next(const struct event_server *es, uint64_t *cursor, struct event_view *out);
/* NULL, or what is broken. */
const char *event_check(const struct event_server *es);

#endif

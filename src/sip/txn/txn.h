/* sip/txn: transactions of RFC 3261 17 with RFC 6026, client and server, INVITE and not, reliable and unreliable.
 * Layer 2, pure. One layer per cell or phone, one thread. Retransmissions are the layer's; 2xx to INVITE too, until
 * the user says that the ACK came. */
#ifndef SIP_TXN_TXN_H
#define SIP_TXN_TXN_H

#include "base/log.h"
#include "base/pool.h"
#include "base/slab.h"
#include "base/wheel.h"
#include "base/map.h"
#include "sip/msg/build.h"

typedef handle txn_id;

/* RFC 3261 table 4, microseconds. T1 may be set for tests. */
struct txn_times {
	int64_t t1_us, t2_us, t4_us, d_us; /* 500 ms, 4 s, 5 s, 32 s */
};
extern const struct txn_times txn_times_default;

enum txn_failure { TXN_TIMEOUT, TXN_TRANSPORT, TXN_NO_ACK };

struct txn_layer;

/* Called from within txn_recv, txn_tick and txn_flow_failed. Messages and flows are borrowed for the call. */
struct txn_user {
	void *ctx;
	/* A new request (never ACK, never CANCEL that matched). Answer it with txn_reply, now or later. A request that the
	 * user wants to answer without state (a 401 to a stranger) may be ended by txn_reply_stateless instead. */
	/* id 0: a BYE for which there was no room. It is told all the same, since its sender has gone; replies to 0 go nowhere,
	 * and the sender's repetition is answered (481) when there is room again. */
	void (*on_request)(void *ctx, txn_id id, const struct sip_msg *req, const struct sip_flow *from);
	/* A CANCEL for INVITE `id` that has no final answer yet; 200 to the CANCEL has been sent. Answer the INVITE with 487. */
	void (*on_cancel)(void *ctx, txn_id id, const struct sip_msg *cancel);
	/* ACK of a 2xx: belongs to a dialog. Also each ACK that fits nothing (a refusal without state is acknowledged too):
	 * the user drops what it does not know. */
	void (*on_ack)(void *ctx, const struct sip_msg *ack, const struct sip_flow *from);
	/* A response to a request of ours: each 1xx, the final, and for INVITE further 2xx of other forks (another To tag).
	 * A 2xx repeated for a tag that was acknowledged by txn_ack makes the layer repeat that ACK, without a call. */
	void (*on_response)(void *ctx, txn_id id, uint64_t owner, const struct sip_msg *resp, const struct sip_flow *from);
	/* Client: no final answer (timer B/F) or the transport failed. Server: TXN_NO_ACK, the 2xx was never acknowledged. */
	void (*on_failure)(void *ctx, txn_id id, uint64_t owner, enum txn_failure why);
	/* Bytes to the wire. Must not call back into the layer. */
	void (*send)(void *ctx, const struct sip_flow *to, struct span bytes);
};

struct txn_limits {
	uint32_t max_txns;
	size_t max_bytes; /* stored messages */
};

/* Layer in the caller's ownership; NULL without memory. slab, wheel and rng stay the caller's; the wheel is shared:
 * the caller pops timers and hands those with kind in [txn_timer_first, txn_timer_last] to txn_timer. */
struct txn_layer *txn_layer_new(const struct txn_user *user, const struct txn_limits *lim, const struct txn_times *times,
				struct hash_key key, struct slab *slab, struct wheel *wheel);
void txn_layer_free(struct txn_layer *l);

enum { TXN_TIMER_FIRST = 0x100, TXN_TIMER_LAST = 0x1ff };

/* A parsed message from the wire. Absorbs retransmissions, answers CANCEL, matches responses. Stray responses are dropped.
 * A request that finds no room is answered 503 without state. */
void txn_recv(struct txn_layer *l, const struct sip_msg *m, const struct sip_flow *from, int64_t now_us);
void txn_timer(struct txn_layer *l, struct timer *t, int64_t now_us);
/* The connection of this flow broke: client transactions on it fail. */
void txn_flow_failed(struct txn_layer *l, const struct sip_flow *flow, int64_t now_us);

/* Server side. bytes: a whole response built with sip_reply_begin; it is copied and sent. Provisional or final; after a
 * final further calls are ignored. reason 2xx on INVITE: repeated until txn_acked. -1: no such transaction (ended). */
int txn_reply(struct txn_layer *l, txn_id id, uint64_t owner, uint16_t status, struct span bytes, int64_t now_us);
/* Sends and forgets: the transaction is removed at once; a retransmitted request comes up as new. Not for INVITE 2xx. */
void txn_reply_stateless(struct txn_layer *l, txn_id id, struct span bytes);
/* The ACK for the 2xx of server INVITE `id` came: stop repeating it. Stale ids are ignored. */
void txn_acked(struct txn_layer *l, txn_id id);
/* The owner (given back in on_failure) of a server transaction. */
void txn_set_owner(struct txn_layer *l, txn_id id, uint64_t owner);
/* The request that made server transaction `id`, parsed again from the stored copy (kept for INVITE until the final
 * answer was acknowledged or timed out; for others until the answer). -1 when gone. */
int txn_request_of(struct txn_layer *l, txn_id id, struct sip_msg *out, struct sip_flow *from) __attribute__((warn_unused_result));

/* Client side. bytes: a whole request with a Via of ours on top; branch must be unique. It is copied and sent.
 * 0 and *id; -1: no room. */
int txn_send(struct txn_layer *l, struct span bytes, const struct sip_flow *to, uint64_t owner, int64_t now_us, txn_id *id)
	__attribute__((warn_unused_result));
/* CANCELs an INVITE: at once when a provisional came, else as soon as one comes (RFC 3261 9.1). The INVITE's own final
 * answer still arrives by on_response. Without a final for 64*T1 after the CANCEL: on_failure(TXN_TIMEOUT). */
void txn_cancel(struct txn_layer *l, txn_id id, int64_t now_us);
/* Sends the ACK of a 2xx and keeps it to repeat it when that 2xx (by To tag) is repeated. */
void txn_ack(struct txn_layer *l, txn_id id, struct span to_tag, struct span bytes, const struct sip_flow *to, int64_t now_us);
/* The owner no longer exists: no more calls for this transaction; it ends by itself. An INVITE of ours without a final
 * answer is cancelled, a request without our final answer gets 500, a 2xx is not repeated any more. */
void txn_orphan(struct txn_layer *l, txn_id id);

struct txn_counts {
	uint32_t live;
	uint64_t retransmits_sent, retransmits_absorbed, timeouts, strays;
};
struct txn_counts txn_counts(const struct txn_layer *l);

/* A branch "z9hG4bK" + 16 hex digits from a counter and a key: unique for the life of the process. */
struct rng;
struct span sip_branch(struct rng *r, char buf[32]);

#endif

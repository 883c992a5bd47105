/* sip/txn/layer: what the files of this folder share. Layer 2, pure, private. */
#ifndef SIP_TXN_LAYER_H
#define SIP_TXN_LAYER_H

#include "sip/txn/txn.h"

enum txn_type { TXN_SERVER_INVITE, TXN_SERVER_OTHER, TXN_CLIENT_INVITE, TXN_CLIENT_OTHER };

/* States of RFC 3261 figures 5 to 8 and RFC 6026; Calling is called Trying, Terminated is not to be there. */
enum txn_state { TXN_TRYING, TXN_PROCEEDING, TXN_COMPLETED, TXN_CONFIRMED, TXN_ACCEPTED };

/* Which of a transaction's two timers. */
enum { TXN_TIMER_AGAIN = TXN_TIMER_FIRST, TXN_TIMER_LIFE };

struct txn_bytes {
	char *p;
	size_t n;
};

/* 128 bits of keyed hash over what RFC 3261 17.1.3 and 17.2.3 compare: of one size, so that it lives in the object, and
 * nobody without the key can make two that are equal. */
struct txn_key {
	uint64_t h[2];
};

/* One 2xx of a forked INVITE: its To tag (hashed) and our ACK. */
struct txn_fork {
	struct txn_fork *next;
	uint64_t tag;
	struct txn_bytes ack; /* empty: passed up, not acknowledged yet */
	struct sip_flow flow;
};
enum { TXN_MAX_FORKS = 16 };

struct txn {
	struct timer again; /* A, E, G, repeats of 2xx; before any reply to an INVITE: when 100 is due */
	struct timer life;  /* B, D, F, H, I, J, K, L, M: what ends or fails this state */
	struct txn_key key;
	uint64_t owner;
	uint64_t serial; /* in order of making */
	int64_t interval_us;
	struct txn_bytes req;  /* as long as it may be needed: see free_request */
	struct txn_bytes resp; /* server: last response; client INVITE: ACK of a failure */
	struct txn_fork *forks;
	struct sip_flow flow;  /* server: where the request came from; client: where it went */
	uint16_t reply_port;   /* server: where replies go on flow.remote */
	uint8_t n_forks;
	uint8_t type, state;
	bool orphan;      /* no more calls up */
	bool cancelled;   /* CANCEL came (server), is wanted (client) */
	bool cancel_sent;
	bool acked;       /* server: the ACK of the 2xx came */
};

struct txn_layer {
	struct txn_user user;
	struct txn_limits lim;
	struct txn_times times;
	struct hash_key key, key2;
	struct slab *slab;
	struct wheel *wheel;
	struct pool pool;
	struct map map;
	size_t stored_bytes;
	uint64_t serial;
	struct txn_counts counts;
};

/* Messages of the layer's own making (100, 200 and 481 to CANCEL, 500, 503, ACK, CANCEL) are built in this. */
enum { TXN_SCRATCH = 8192 };

/* key.c */
struct txn_key txn_server_key(const struct txn_layer *l, const struct sip_msg *m, bool as_invite);
struct txn_key txn_client_key(const struct txn_layer *l, struct span branch, struct span method);
uint64_t txn_tag_hash(const struct txn_layer *l, struct span tag);
/* Method and top Via's branch of a request that we wrote. */
bool txn_sent_head(struct span bytes, struct span *method, struct span *branch);

/* layer.c */
struct txn *txn_find(const struct txn_layer *l, const struct txn_key *k);
struct txn *txn_get(const struct txn_layer *l, txn_id id);
/* NULL: no room, or the key is taken. */
struct txn *txn_new(struct txn_layer *l, enum txn_type type, const struct txn_key *k);
/* Ends it: timers, bytes and place are given back. */
void txn_end(struct txn_layer *l, struct txn *t);
bool txn_store(struct txn_layer *l, struct txn_bytes *to, struct span bytes);
void txn_drop(struct txn_layer *l, struct txn_bytes *b);
void txn_put(struct txn_layer *l, const struct sip_flow *to, struct span bytes);
static inline bool txn_is_client(const struct txn *t)
{
	return t->type == TXN_CLIENT_INVITE || t->type == TXN_CLIENT_OTHER;
}
static inline bool txn_reliable(const struct txn *t)
{
	return sip_transport_reliable(t->flow.transport);
}
static inline struct span txn_span(const struct txn_bytes *b)
{
	return (struct span){b->p, b->n};
}

/* server.c */
void txn_server_request(struct txn_layer *l, const struct sip_msg *m, const struct sip_flow *from, int64_t now_us);
void txn_server_ack(struct txn_layer *l, const struct sip_msg *m, const struct sip_flow *from, int64_t now_us);
void txn_server_cancel(struct txn_layer *l, const struct sip_msg *m, const struct sip_flow *from);
void txn_server_again(struct txn_layer *l, struct txn *t, int64_t now_us);
void txn_server_life(struct txn_layer *l, struct txn *t);
void txn_server_orphan(struct txn_layer *l, struct txn *t, int64_t now_us);

/* client.c */
void txn_client_response(struct txn_layer *l, const struct sip_msg *m, const struct sip_flow *from, int64_t now_us);
void txn_client_again(struct txn_layer *l, struct txn *t, int64_t now_us);
void txn_client_life(struct txn_layer *l, struct txn *t);
void txn_client_cancel(struct txn_layer *l, struct txn *t, int64_t now_us);
void txn_client_broken(struct txn_layer *l, struct txn *t);

#endif

/* pbx/cell_internal: what the files of the cell share; nobody else includes it. Layer 3, pure. One thread, no locks.
 * Ownership: the cell owns all; a call owns its legs, a leg its dialog, slot and texts, an AOR its bindings. Legs and calls
 * are freed only at the end of a step (reap), so that pointers stay good while one input is worked on. */
#ifndef PBX_CELL_INTERNAL_H
#define PBX_CELL_INTERNAL_H

#include "base/assert.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/slab.h"
#include "base/wheel.h"
#include "guard/budget.h"
#include "guard/nets.h"
#include "pbx/cell.h"
#include "sip/dialog/dialog.h"
#include "sip/dialog/offer.h"
#include "sip/event/event.h"
#include "sip/msg/refer.h"
#include "sip/sdp/sdp.h"
#include "sip/txn/txn.h"

enum { SECOND_US = 1000000, MEDIA_STATS_WAIT_US = 2 * SECOND_US, MAX_WORKERS = 64, MAX_RELAYED = 4, MAX_TRANSFERS = 50 /* of one call */ };

/* Timers of the cell; the transaction layer has its own range. */
enum cell_timer { TIMER_BINDING = 1, TIMER_RING, TIMER_STATS, TIMER_RETRY, TIMER_CDR, TIMER_SESSION, TIMER_RELIABLE };

/* A text of its own in the slab. */
struct block {
	char *p;
	size_t n;
};

/* ---- registrations --------------------------------------------------------------------------------------- */

enum binding_text { BIND_CONTACT, BIND_INSTANCE, BIND_CALL_ID, BIND_AGENT, BIND_PATH, BIND_TEXTS };

struct aor;
enum { CONN_BUCKETS = 4096 };
struct binding {
	struct aor *aor;
	struct binding *next, *prev;         /* of the AOR */
	struct binding *all_next, *all_prev; /* of the cell, in the order of their making */
	struct binding *conn_next, **conn_at; /* others with connections of this bucket; conn_at NULL: it has no connection */
	uint64_t seq;                        /* grows: the cursor of queries */
	struct timer expiry;
	struct sip_flow flow;
	struct addr home; /* where it is counted: the flow's address; family 0: nowhere */
	uint64_t device_id;
	uint32_t reg_id, cseq;
	int64_t expires_us, granted_us; /* monotonic; length of the last grant */
	int64_t stored_us;              /* until when the stored row is good: beyond expires_us */
	int64_t registered_wall_ms;
	char *texts; /* slab block, all texts one behind the other */
	uint16_t len[BIND_TEXTS];
};

struct aor {
	char number[16];
	struct binding *first, *last;
	uint32_t n;
};

/* A source address with registrations. */
struct home {
	struct addr addr; /* no port; its ip is the key in c->home_map */
	uint32_t n;
};

/* Nonce counts of a device that has proved itself: two nonces may be in use at once (REGISTER and INVITE). */
struct known {
	uint64_t device_id;
	struct nc_window w[2];
	uint8_t turn;
};

/* Who sent a request, proved by digest. Pointers into the snapshot: good for one step. */
struct who {
	const struct site_extension *ext;
	const struct site_device *dev;
};

/* ---- media slots ------------------------------------------------------------------------------------------- */

enum slot_state { SLOT_FREE, SLOT_USED, SLOT_CLOSING };
struct slot {
	struct addr addr;
	handle leg; /* whose; while closing: who waits for the statistics */
	uint32_t next; /* free list: number + 1 */
	uint8_t state; /* enum slot_state */
};
struct worker {
	struct slot *slots;
	uint32_t n, free_first, free_last, n_free; /* first and last: number + 1; first in, first out */
	uint64_t seq;
};

/* ---- call detail records ----------------------------------------------------------------------------------- */

struct cdr_record {
	struct cdr_row row;
	uint64_t token; /* of the last emission; key in c->cdr_tokens */
	struct cdr_record *next, *prev; /* closed and unconfirmed ones, oldest first */
	struct timer retry;
	uint8_t failures;
	bool pending; /* emitted, not confirmed */
	bool told;    /* emitted as it is now */
	bool listed;
};

/* ---- legs ---------------------------------------------------------------------------------------------------- */

#define LEG_STATE_LIST(X)                                                                                              \
	X(IN_TRYING)    /* its INVITE waits, 100 was sent */                                                           \
	X(IN_RINGING)   /* 18x was sent */                                                                             \
	X(IN_ANSWERED)  /* 2xx was sent, the ACK is due */                                                             \
	X(IN_LEAVING)   /* over, but BYE must wait for the ACK (RFC 3261 15) */                                        \
	X(OUT_CALLING)  /* our INVITE is out */                                                                        \
	X(OUT_RINGING)  /* 18x came */                                                                                 \
	X(OUT_CANCELLING)                                                                                              \
	X(UP)                                                                                                          \
	X(CLOSING)      /* our BYE is out */                                                                           \
	X(GONE)         /* nothing more on the wire */
enum leg_state {
#define X(s) LEG_##s,
	LEG_STATE_LIST(X)
#undef X
	LEG_STATES
};

enum leg_event {
	LEG_EV_RING,    /* of the call: tell the caller that it rings */
	LEG_EV_ANSWER,  /* of the call: 200 to the caller with its local_sdp */
	LEG_EV_REFUSE,  /* of the call: final failure to the caller */
	LEG_EV_HANGUP,  /* of the call: end, whatever there is */
	LEG_EV_CANCEL,  /* CANCEL from the party */
	LEG_EV_ACK,
	LEG_EV_BYE,
	LEG_EV_1XX,
	LEG_EV_2XX,
	LEG_EV_FAIL,    /* 3xx .. 6xx, timeout or broken transport of our INVITE */
	LEG_EV_NO_ACK,  /* the 2xx was never acknowledged */
	LEG_EV_BYE_DONE,
	LEG_EVENTS
};

struct leg_arg {
	txn_id id;
	const struct sip_msg *msg;
	const struct sip_flow *from;
	uint16_t status;
	bool with_sdp;
};

struct relay { /* a request passed to the other party (INFO) */
	txn_id in, out;
};

/* Session timer of a leg (RFC 4028). */
struct session {
	struct timer due;    /* the next refresh, or the end */
	int64_t end_us;      /* not refreshed until then: BYE */
	txn_id out;          /* our UPDATE */
	uint32_t interval_s; /* 0: none */
	uint32_t min_s;      /* largest Min-SE the party said */
	bool ours;           /* we refresh */
	bool agreed;         /* the party speaks session timers */
	bool update;         /* its Allow lists UPDATE */
	bool refreshing;     /* our re-INVITE is a refresh */
};

/* An early dialog of our INVITE whose provisional responses are reliable (RFC 3262). */
struct early_dialog {
	struct early_dialog *next;
	struct dialog dlg;
	uint32_t rseq; /* acknowledged last */
};

/* Our reliable provisional response to a caller. */
struct reliable {
	struct timer again;
	int64_t wait_us, until_us;
	struct block bytes;
	uint32_t rseq;
	uint16_t status, next_status; /* next: sent when this one is acknowledged */
	bool open;                    /* PRACK is due */
	bool with_sdp, next_sdp;
	bool answer_waits;            /* the 200 waits for the PRACK */
	bool agreed;                  /* offer and answer are complete before the 200 */
	bool news, news_for_peer;     /* to be offered to this party, to the other one, when the call is up */
};

struct call;
struct leg {
	handle h;
	struct call *call;
	struct leg *next;
	enum leg_state state;
	uint16_t no;
	bool inbound;
	char tag[20];   /* ours; key in c->tags */
	char call_id[40]; /* outbound: ours */
	uint64_t merge; /* inbound: hash of Call-ID, From tag and CSeq; key in c->merges (RFC 3261 8.2.2.2) */
	struct dialog dlg;
	struct offer offer;
	struct sip_flow flow;
	struct block contact, path; /* outbound: where the INVITE went */
	uint64_t device_id;
	char ext[16];

	txn_id inv;                /* the INVITE that made it */
	uint32_t inv_cseq;
	txn_id bye;
	txn_id unacked;            /* INVITE of the party that got our 2xx */
	bool answer_in_ack;        /* that 2xx held an offer of ours */
	txn_id re_in;              /* re-INVITE or UPDATE of the party that waits for the other one */
	bool re_in_update;
	txn_id re_out;             /* our re-INVITE */
	struct relay relay[MAX_RELAYED]; /* requests of this party passed to the other */
	uint16_t early_status;     /* last 18x sent to the party */

	struct block remote_sdp;   /* the party's description in force */
	struct block wanted_sdp;   /* offered by the party, not agreed yet */
	struct block local_sdp;    /* ours in force */
	struct block offer_sdp;    /* ours, offered and not answered yet */
	uint64_t sdp_id, sdp_version;
	struct addr media_remote;
	media_slot slot;
	struct timer stats;        /* waits for MEDIA_EVENT_CLOSED */
	struct timer retry;        /* re-INVITE after 491; BYE for which there was no room */
	uint8_t byes;              /* tries so far */

	struct session session;
	struct early_dialog *early;
	struct reliable rel;

	struct cdr_record *cdr;
	int64_t started_us, rang_us, answered_us;
	uint16_t cause;
	uint16_t refers;           /* REFERs of this dialog that have a subscription */
	enum { MOVED_NOT, MOVED_DUE, MOVED_OFFERED } moved; /* it has another party now, and is to be offered that one's description, off hold */
	bool ended, bridged;
	bool reaped;               /* on the list of the step's end */
	struct leg *reap_next;
};

/* ---- calls --------------------------------------------------------------------------------------------------- */

#define CALL_STATE_LIST(X) X(SETUP) X(RINGING) X(UP) X(ENDED)
enum call_state {
#define X(s) CALL_##s,
	CALL_STATE_LIST(X)
#undef X
	CALL_STATES
};

enum call_event {
	CALL_EV_PROGRESS,  /* a called party rings */
	CALL_EV_ANSWERED,
	CALL_EV_REFUSED,   /* arg.status */
	CALL_EV_LEFT,      /* a party hung up or cancelled */
	CALL_EV_LOST,      /* a party is dead: never acknowledged, timeout in the dialog */
	CALL_EV_NO_ANSWER, /* rang long enough */
	CALL_EV_END,       /* told from outside */
	CALL_EVENTS
};

struct call {
	handle h;
	uint64_t number;
	struct call *next, *prev; /* all, in the order of their making */
	enum call_state state;
	struct leg *caller, *winner, *early, *first, *last;
	uint16_t n_legs, next_leg_no;
	uint16_t best;   /* best refusal so far */
	bool direct, offerless;
	enum media_source test; /* SOURCE_NONE: a call between parties */
	char caller_number[16], caller_name[64], callee[16], dialled[64];
	int max_forwards;
	int64_t started_us, answered_us;
	struct timer ring;
	bool emergency;
	/* A transfer under way (refer.c): its target rings in this call, beside the two who talk. */
	bool referring;
	uint16_t refer_best;        /* best refusal of the target so far */
	struct leg *refer_by, *refer_kept; /* who asked for it (NULL: has hung up since); who is to be connected */
	handle refer_sub;           /* who asked hears of it; 0: nobody */
	uint8_t transfers;          /* so far */
	char refer_to[64];          /* what the target was dialled as */
};

/* ---- the cell ------------------------------------------------------------------------------------------------ */

struct cell {
	struct cell_opts o;
	struct wheel wheel;
	struct slab slab;
	struct txn_layer *txn;
	struct event_server *events;
	void **feature_states; /* one for each of features_all */
	struct rng rng;
	struct site *site;
	const struct site_settings *settings; /* of the snapshot; NULL before the first */
	int64_t now_us, wall_minus_mono_us;
	int64_t nonce_us; /* time in the last nonce: no two are equal, also within one microsecond */
	struct cell_sink *sink;

	struct pool aors, bindings, known, legs, calls, cdrs;
	struct map aor_map, known_map, tags, merges, cdr_tokens;
	struct binding *bind_first, *bind_last;
	struct binding *bind_by_conn[CONN_BUCKETS]; /* connection numbers count up: they spread evenly */
	struct call *call_first, *call_last;
	struct leg *reap;
	struct cdr_record *cdr_first, *cdr_last; /* closed, unconfirmed */
	uint32_t cdr_listed, cdr_open;
	struct worker workers[MAX_WORKERS];
	uint32_t slots_used, dialogs;
	uint64_t binding_seq, call_seq, cdr_token;
	uint64_t calls_answered, registrations, refused;
	struct cell_noted noted;
	int64_t not_stored_us;  /* when the store's refusals were last told */
	uint32_t not_stored;    /* since then */
	struct pool homes;
	struct map home_map;
	struct budget *budget;
	struct nets trusted;
	struct digest_ha1 fake_ha1; /* for strangers: the same work as for a real one */
	struct sdp_format profile[SDP_MAX_FORMATS];
	int n_profile;
	char profile_text[64];
	struct sip_build b;   /* the message being written, over out */
	char out[SIP_MAX_MESSAGE];
};

/* emit.c: effects */
void cell_emit(struct cell *c, const struct cell_out *out);
int64_t cell_wall_ms(const struct cell *c);
bool block_set(struct cell *c, struct block *b, struct span s);
void block_clear(struct cell *c, struct block *b);
void block_move(struct cell *c, struct block *to, struct block *from);
static inline struct span block_span(const struct block *b)
{
	return (struct span){b->p, b->n};
}
/* Is anybody interested? Most events are written by nobody: their texts are not even made. */
#define cell_tells(c, level) ((c)->sink && (level) >= (c)->sink->log_min)
#define cell_log(c, level, event, ...)                                                                                 \
	do {                                                                                                           \
		if (cell_tells((c), (level))) {                                                                           \
			const struct log_field cell_log_f_[] = {__VA_ARGS__};                                          \
			cell_log_write((c), (level), (event), cell_log_f_, COUNT_OF(cell_log_f_));                     \
		}                                                                                                      \
	} while (0)
/* The same for an event about a leg: it says of which call, which leg and whose. */
#define leg_log(c, l, level, event, ...)                                                                               \
	do {                                                                                                           \
		if (cell_tells((c), (level))) {                                                                           \
			char leg_log_id_[48];                                                                          \
			const struct log_field leg_log_f_[] = {LOG_Z("call", call_id_z((c), (l)->call, leg_log_id_)), LOG_I("leg", (l)->no), \
							       LOG_Z("extension", (l)->ext), __VA_ARGS__};             \
			cell_log_write((c), (level), (event), leg_log_f_, COUNT_OF(leg_log_f_));                       \
		}                                                                                                      \
	} while (0)
void cell_log_write(struct cell *c, enum log_level level, const char *event, const struct log_field *f, size_t n);
void put_host(struct cell *c, struct text *t, const struct sip_flow *flow); /* our name towards this flow */
void put_contact(struct cell *c, struct span user, const struct sip_flow *flow);
/* In a request to target: who is reached by sips is given sips (RFC 5630 3.1.3). */
void put_contact_to(struct cell *c, struct span user, const struct sip_flow *flow, struct span target);
/* In the answer to req, which may ask for sips (RFC 3261 12.1.1). */
void put_contact_for(struct cell *c, struct span user, const struct sip_flow *flow, const struct sip_msg *req);
void put_server(struct cell *c, enum sip_hdr_id id);
extern const char cell_allow[], cell_supported[];
struct span new_tag(struct cell *c, char buf[20]);

/* respond.c: answers */
struct sip_build *reply_begin(struct cell *c, const struct sip_msg *req, const struct sip_flow *from, uint16_t status, struct span tag);
/* Finishes c->b. */
void reply_send(struct cell *c, txn_id id, uint64_t owner, uint16_t status, const char *type, struct span body);
void reply_forget(struct cell *c, txn_id id);
/* Whole answers without a body. */
void reply_plain(struct cell *c, txn_id id, uint64_t owner, const struct sip_msg *req, const struct sip_flow *from, uint16_t status,
		 struct span tag);
void reply_stored(struct cell *c, txn_id id, const struct leg *l, uint16_t status);
void reply_retry(struct cell *c, txn_id id, const struct leg *l, const struct sip_msg *req, const struct sip_flow *from, uint16_t status);
/* A To tag that the same request always gets, for answers without state. */
struct span stray_tag(const struct cell *c, const struct sip_msg *req, char buf[20]);

/* request.c: what a request is for */
void cell_on_request(void *ctx, txn_id id, const struct sip_msg *req, const struct sip_flow *from);
void cell_bad_message(struct cell *c, const struct sip_msg *m, const struct sip_error *err, const struct sip_flow *from);

/* guard.c: default deny */
enum guard_verdict { GUARD_OK, GUARD_DONE /* it has been answered */ };
enum guard_verdict guard_check(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, struct who *who);
void guard_site_changed(struct cell *c);
/* The binding lives at its flow's address, or (gone) nowhere any more. */
void guard_home(struct cell *c, struct binding *b, bool gone);
bool guard_is_emergency(const struct cell *c, const struct sip_msg *req);
void guard_bans(struct cell *c, struct text *t);
void guard_restore(struct cell *c, const struct ban_row *row);
bool guard_release(struct cell *c, struct span what); /* an address or an extension; false: it was not held */

/* registrar.c, binding.c */
void registrar_request(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who);
struct aor *aor_find(const struct cell *c, struct span number);
struct span binding_text(const struct binding *b, enum binding_text which);
struct binding *binding_new(struct cell *c, struct span number);
bool binding_set_texts(struct cell *c, struct binding *b, const struct span texts[BIND_TEXTS]);
void binding_drop(struct cell *c, struct binding *b, bool tell);
void binding_set_flow(struct cell *c, struct binding *b, const struct sip_flow *flow);
void binding_free(struct cell *c, struct binding *b);
bool binding_must_store(const struct cell *c, const struct binding *b);
void binding_store(struct cell *c, struct binding *b);
void binding_restore(struct cell *c, const struct binding_row *row);
void binding_site_changed(struct cell *c);
/* One of a phone's flows (RFC 5626): has a reg-id and an instance. */
bool binding_outbound(const struct binding *b);
void binding_flow_closed(struct cell *c, const struct sip_flow *flow);
uint32_t binding_drop_all(struct cell *c, struct span number);

/* slots.c: media slots and commands */
int slots_add(struct cell *c, media_slot first, uint32_t n, const struct addr *addr);
void slots_free(struct cell *c);
/* From the worker of `near`, or from the one with most free slots when near is MEDIA_NO_SLOT. */
media_slot slot_draw(struct cell *c, struct leg *l, media_slot near);
const struct addr *slot_addr(const struct cell *c, media_slot s);
void slot_close(struct cell *c, struct leg *l);
void media_remote(struct cell *c, struct leg *l, const struct sdp_media *m);
void media_bridge(struct cell *c, struct leg *a, struct leg *b);
void media_source(struct cell *c, struct leg *l, enum media_source src, uint8_t pt);
void media_event(struct cell *c, const struct media_event *e);

/* media_plan.c: descriptions */
void plan_profile(struct cell *c);
/* The audio line that we can use, with its index; NULL when there is none. */
const struct sdp_media *plan_audio(const struct cell *c, const struct sdp *s, uint8_t *index);
/* Parses and picks; NULL when unusable. */
const struct sdp_media *plan_parse(const struct cell *c, struct span body, struct sdp *s, uint8_t *index);
enum sdp_dir plan_dir(const struct sdp_media *m); /* with c=0.0.0.0 understood as hold */
/* Writes l->offer_sdp: what `from` (NULL: our profile) offers, with our address or (direct) its own. */
bool plan_offer(struct cell *c, struct leg *l, const struct sdp_media *from);
/* Writes l->local_sdp: an answer to `offer` (the party's own description) that says what `from` said. */
bool plan_answer(struct cell *c, struct leg *l, struct span offer, const struct sdp_media *from);
/* An answer or offer of our own for a test number, only with formats that our sources speak. */
bool plan_test(struct cell *c, struct leg *l, bool g711_only, uint8_t *pt);
bool plan_same(const struct sdp_media *a, const struct sdp_media *b);
void plan_note_codec(struct leg *l, const struct sdp_media *m);

/* leg.c, leg_table.c */
struct leg *leg_new(struct cell *c, struct call *call, bool inbound);
void leg_event(struct cell *c, struct leg *l, enum leg_event ev, const struct leg_arg *arg);
struct leg *leg_by_tag(const struct cell *c, struct span tag);
int leg_invite(struct cell *c, struct leg *l, const struct binding *b);
int leg_send_invite(struct cell *c, struct leg *l); /* again, with inv_cseq */
void leg_send_ring(struct cell *c, struct leg *l, uint16_t status, bool with_sdp);
bool leg_send_answer(struct cell *c, struct leg *l);
void leg_send_refusal(struct cell *c, struct leg *l, uint16_t status);
bool leg_confirm(struct cell *c, struct leg *l, const struct sip_msg *resp);
void leg_ack_and_bye(struct cell *c, struct leg *l, txn_id id, const struct sip_msg *resp);
void leg_send_bye(struct cell *c, struct leg *l);
void leg_drop_requests(struct cell *c, struct leg *l);
/* The party's part in the call is over: media closed, CDR to be closed. by: 1 this party, 2 the other, 3 the switch. */
void leg_end(struct cell *c, struct leg *l, uint16_t cause, uint16_t status, uint8_t by);
/* leg_end and the event HANGUP (a waiting INVITE is answered with status). */
void leg_hang(struct cell *c, struct leg *l, uint16_t cause, uint16_t status, uint8_t by);
/* The same for who transferred: it is left time to hear of it and to hang up by itself. */
void leg_hang_later(struct cell *c, struct leg *l, uint16_t cause);
void put_party(struct cell *c, const struct sip_flow *flow, const char *name, const char *number); /* "name" <sip:number@us> */
void leg_gone(struct cell *c, struct leg *l);
void leg_reap(struct cell *c, struct leg *l);
void leg_free(struct cell *c, struct leg *l);
void cell_reap(struct cell *c);
uint64_t merge_key(const struct cell *c, const struct sip_msg *req);
const char *leg_state_name(enum leg_state s);

/* indialog.c, reinvite.c */
void indialog_request(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from);
void indialog_response(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *resp, uint16_t status);
void cell_on_ack(void *ctx, const struct sip_msg *ack, const struct sip_flow *from);
void cell_on_cancel(void *ctx, txn_id id, const struct sip_msg *cancel);
void cell_on_response(void *ctx, txn_id id, uint64_t owner, const struct sip_msg *resp, const struct sip_flow *from);
void cell_on_failure(void *ctx, txn_id id, uint64_t owner, enum txn_failure why);
void reinvite_request(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from);
void reinvite_response(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *resp, uint16_t status);
void reinvite_cancelled(struct cell *c, struct leg *l);
void reinvite_acked(struct cell *c, struct leg *l, const struct sip_msg *ack);
void reinvite_resync(struct cell *c, struct leg *to); /* offers what the other party says now */

bool reinvite_under_way(const struct leg *l);
/* What we said last, once more with its version. False: not sent. */
bool reinvite_refresh(struct cell *c, struct leg *l);
/* An offer before the call is answered, answered here with what the other party said; writes l->local_sdp. */
bool reinvite_early(struct cell *c, struct leg *l, struct span body);

/* session_timer.c (RFC 4028) */
/* 422 when the request asks for less than our minimum; true: answered. */
bool session_refuse(struct cell *c, txn_id id, uint64_t owner, const struct sip_msg *req, const struct sip_flow *from, struct span tag);
void session_put_answer(struct cell *c, struct leg *l, const struct sip_msg *req); /* into a 2xx; starts the timer */
void session_put_request(struct cell *c, const struct leg *l);                     /* into an INVITE or UPDATE */
void session_answered(struct cell *c, struct leg *l, const struct sip_msg *resp);  /* 2xx of such a request */
bool session_again(struct cell *c, struct leg *l, const struct sip_msg *resp);     /* 422 of our INVITE: sent again */
void session_due(struct cell *c, struct leg *l);
void session_response(struct cell *c, struct leg *l, const struct sip_msg *resp, uint16_t status); /* of our UPDATE */
/* Our refresh was not accepted (resp NULL: no answer, status 408 or 503). */
void session_failed(struct cell *c, struct leg *l, const struct sip_msg *resp, uint16_t status);
void session_stop(struct cell *c, struct leg *l);

/* prack.c (RFC 3262) */
/* A 1xx of our INVITE: PRACK if it asks for one. False: a repetition, or out of order; it is as if it had not come. */
bool prack_provisional(struct cell *c, struct leg *l, const struct sip_msg *resp);
/* The 2xx belongs to an early dialog: that one becomes the leg's. */
bool prack_take_dialog(struct cell *c, struct leg *l, const struct sip_msg *resp);
bool prack_in_order(struct leg *l, const struct sip_msg *req); /* CSeq of a request in an early dialog of our INVITE */
void prack_forget(struct cell *c, struct leg *l);
/* Another 18x while one waits for its PRACK: kept for later. */
bool prack_waits(struct leg *l, uint16_t status, bool with_sdp);
void prack_put(struct cell *c, struct leg *l);
void prack_sent(struct cell *c, struct leg *l, uint16_t status, bool with_sdp);
void prack_again(struct cell *c, struct leg *l);
void prack_stop(struct cell *c, struct leg *l);
bool prack_holds_answer(struct leg *l); /* the 200 must wait; noted */
void prack_request(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from);

/* call.c, call_table.c, fork.c, testnum.c */
void call_invite(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who);
void call_event(struct cell *c, struct call *k, struct leg *l, enum call_event ev, uint16_t status, const struct sip_msg *msg);
struct leg *call_peer(const struct leg *l);
void call_refuse(struct cell *c, struct call *k, uint16_t status, uint16_t cause);
void call_free(struct cell *c, struct call *k);
void call_id_text(const struct cell *c, const struct call *k, struct text *t);
const char *call_id_z(const struct cell *c, const struct call *k, char buf[48]); /* buf, ended */
void call_progress(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg);
void call_answered(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg);
void call_refused(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg);
void call_left(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg);
void call_lost(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg);
void call_no_answer(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg);
void call_end(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg);
const char *call_state_name(enum call_state s);
uint16_t cause_of(uint16_t status);
/* The flow that this leg's INVITE went by has failed (430, or the connection broke): its binding goes, and another flow of the
 * same phone rings, if there is one that does not yet. */
void fork_next_flow(struct cell *c, struct leg *l);
void fork_ring(struct cell *c, struct call *k, const struct site_extension *ext);
/* The target of a transfer rings beside `kept`. 0, or the status that tells why nobody rings. */
uint16_t fork_transfer(struct cell *c, struct call *k, const struct site_extension *ext, struct leg *kept);
bool call_direct_wanted(const struct cell *c, const struct site_extension *e); /* its voice need not pass through us */
void test_answer(struct cell *c, struct call *k);

bool leg_is_pending(const struct leg *l); /* a called party that may still answer */
bool call_connect_media(struct cell *c, struct call *k, struct leg *l, const struct sdp_media *m);
/* Takes the leg out of its call and makes it one of k's. */
void leg_move(struct leg *l, struct call *k);
/* Direction and address as before a hold: what is offered anew must not stick to it. NULL stays NULL; no address: NULL. */
const struct sdp_media *plan_opened(const struct sdp_media *m, struct sdp_media *open);
struct leg *caller_leg(struct cell *c, struct call *k, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who);
uint16_t caller_offer(struct cell *c, struct leg *l, const struct sip_msg *req);
void name_of_device(const struct site_device *d, struct text *t);
void call_no_room(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const char *what);

/* refer.c: REFER (RFC 3515, 5589). The target rings in the same call; who it is connected to keeps talking until it answers. */
void refer_request(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from);
void refer_progress(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg);
void refer_answered(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg);
void refer_refused(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg);
/* Who asked for a transfer that is under way hangs up: that is no end as any other. */
static inline bool refer_by(const struct leg *l)
{
	return l->call->referring && l->call->refer_by == l;
}
/* A party of the call hung up or is lost. True: the transfer goes on without it. */
bool refer_left(struct cell *c, struct call *k, struct leg *l);
void refer_no_answer(struct cell *c, struct call *k);
void refer_dropped(struct cell *c, struct call *k, uint16_t status); /* the call ends: who asked is told */
void refer_moved(struct cell *c, struct leg *l); /* it has taken the new description, or will not */
void refer_settled(struct cell *c, struct leg *l); /* an offer of ours to it is through, whatever it was for */
/* `in` talks with `kept` from now on, in the place of whom it had; media and names follow. False: no room for the media. */
bool refer_join(struct cell *c, struct call *k, struct leg *kept, struct leg *in);

/* replaces.c: INVITE with Replaces (RFC 3891) */
/* Whose dialog with us it is, or NULL; named by either side's tag as its own. */
struct leg *replaces_leg(const struct cell *c, const struct sip_replaces *r);
void replaces_invite(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who, uint64_t merge);

/* route.c */
bool route_is_emergency(const struct cell *c, struct span user);
enum route_kind { ROUTE_UNKNOWN, ROUTE_EXTENSION, ROUTE_TEST, ROUTE_BAD };
struct route {
	enum route_kind kind;
	const struct site_extension *ext;
	enum media_source source;
	bool emergency;
	char dialled[64];
};
void route_find(const struct cell *c, const struct sip_uri *uri, struct route *out);

/* cdr.c */
/* The store is so far behind that a new call's rows might find no place (R9). */
bool cdr_behind(const struct cell *c);
bool cdr_open(struct cell *c, struct leg *l, struct span device);
void cdr_emit(struct cell *c, struct cdr_record *r);
void cdr_rang(struct cell *c, struct leg *l);
void cdr_answered(struct cell *c, struct leg *l);
void cdr_end(struct cell *c, struct leg *l, uint16_t cause, uint16_t status, uint8_t by);
void cdr_close(struct cell *c, struct leg *l, const struct media_stats *stats);
void cdr_persisted(struct cell *c, uint64_t token, bool ok);

/* query.c */
void query_answer(struct cell *c, const struct cell_in *in);

#endif

/* sip/event, inside: what its files share. */
#ifndef SIP_EVENT_INTERNAL_H
#define SIP_EVENT_INTERNAL_H

#include "base/assert.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/rng.h"
#include "sip/event/event.h"

enum { EV_SECOND_US = 1000000, EV_KEY = 112, TIMER_SUB = EVENT_TIMER, TIMER_PUMP, TIMER_STORE };

struct event_sub;

/* What is watched: one package's view of one name. */
struct event_resource {
	const struct event_package *package;
	struct event_sub *first, *last; /* in the order of their making */
	uint32_t n;
	uint8_t key_n, name_at; /* key: package name, NUL, resource name */
	char key[EV_KEY];
};

struct event_peer { /* a device */
	uint64_t device_id;
	struct event_sub *first;
	uint32_t n;
};

enum event_queue_name { Q_NONE, Q_CHANGED, Q_INITIAL, QUEUES };

struct event_link {
	struct event_sub *next, *prev;
};
struct event_list {
	struct event_sub *first, *last;
	uint32_t n;
};

struct event_sub {
	handle h;
	struct dialog dlg;
	struct event_resource *res; /* NULL: implicit */
	struct event_peer *peer;
	struct event_link of_res, of_peer, of_queue, of_store;
	struct timer timer;         /* the earlier of expiry and retry */
	uint64_t dialog_owner;      /* implicit, in a dialog that is still its owner's; 0: the dialog is ours */
	uint64_t seen, sent_seen;   /* the package's mark: confirmed by the subscriber; in the NOTIFY under way */
	txn_id txn;                 /* NOTIFY under way; 0: none */
	int64_t expires_us, granted_us, stored_us, retry_us; /* retry_us 0: none */
	char *id, *note;            /* slab: Event id; implicit: the line that waits */
	const char *reason;         /* of the termination, static */
	uint32_t stored_cseq;       /* reserved in the store up to here; 0: never stored */
	uint16_t note_n;
	uint8_t id_n, type, state, queue, failures;
	bool implicit, dirty, full, last_sent, waiting, over_tcp, no_tcp, tagged, unsaved, hidden /* ended before it was approved: its NOTIFY shows nothing */;
	char subscriber[16];
};

struct event_server {
	struct event_user user;
	struct event_limits lim;
	struct slab *slab;
	struct wheel *wheel;
	struct rng *rng;
	struct txn_layer *txn;
	struct sip_build b;
	struct text scratch;
	struct pool subs, resources, peers;
	struct map tags, by_key, by_device;
	struct event_list queue[QUEUES], store, implicit;
	struct timer pump, saver;
	int64_t wall_minus_mono_us;
	int64_t window_us, credit_us; /* start of the millisecond that fan_out counts in; when the bucket was last filled */
	uint32_t window_sent, credit; /* credit: first NOTIFYs allowed now */
	uint32_t n_pending, n_waiting;
	struct event_counts counts;
	char body[EVENT_BODY_MAX];
};

#define ev_log(es, level, event, ...)                                                                                  \
	do {                                                                                                           \
		const struct log_field ev_f_[] = {__VA_ARGS__};                                                        \
		(es)->user.log((es)->user.ctx, (level), (event), ev_f_, COUNT_OF(ev_f_));                              \
	} while (0)

/* server.c */
struct event_sub *sub_get(const struct event_server *es, handle h);
/* Joins the resource and the device; the dialog is set and its tag indexed when `tagged`. False: no room, nothing is left. */
bool sub_join(struct event_server *es, struct event_sub *s, const struct event_package *p, struct span resource, uint64_t device_id);
struct event_sub *sub_new(struct event_server *es);
bool sub_index_tag(struct event_server *es, struct event_sub *s);
/* Takes it out of everything; tells the store. */
void sub_free(struct event_server *es, struct event_sub *s);
void sub_set_timer(struct event_server *es, struct event_sub *s);
void sub_set_state(struct event_server *es, struct event_sub *s, enum event_state state);
void sub_set_waiting(struct event_server *es, struct event_sub *s, bool waiting);
struct span sub_resource(const struct event_sub *s);
struct event_resource *resource_find(const struct event_server *es, const struct event_package *p, struct span name);
struct event_peer *peer_find(const struct event_server *es, uint64_t device_id);
void sub_to_queue(struct event_server *es, struct event_sub *s, enum event_queue_name q);
void list_add(struct event_list *l, struct event_sub *s, size_t link);
void list_remove(struct event_list *l, struct event_sub *s, size_t link);
const char *event_name_of(const struct event_sub *s);

/* notify.c */
/* Something is to be said: now if nothing is under way, else behind it. */
void notify_want(struct event_server *es, struct event_sub *s, bool full, enum event_queue_name q);
void notify_end(struct event_server *es, struct event_sub *s, const char *reason);
void notify_send(struct event_server *es, struct event_sub *s, int64_t now_us);

/* rows.c */
void row_wanted(struct event_server *es, struct event_sub *s, int64_t now_us);
void rows_write(struct event_server *es, int64_t now_us);
void row_gone(struct event_server *es, struct event_sub *s);

#endif

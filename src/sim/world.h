/* sim/world: the inside of the world, shared by the files of this folder only. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/assert.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/slab.h"
#include "mgraph/mgraph.h"
#include "pbx/cell.h"
#include "pbx/record.h"
#include "service/service.h"
#include "sim/sim.h"
#include "sip/msg/msg.h"
#include "vphone/vphone.h"

enum { SIM_SIP_PORT = 5060, SIM_HTTP_PORT = 8080, SIM_RTP_BASE = 10000, SIM_MAX_PHONES = 8000, SIM_RTP_PORTS = 16 };
enum { US_PER_S = 1000000 };
#define SIM_WALL_0 INT64_C(1767225600000000) /* 2026-01-01 00:00 UTC, microseconds */
enum { SIM_DRAIN_S = 130 };

/* ---- events (events.c) --------------------------------------------------------------------------------------- */

enum sim_ev_kind {
	EV_PACKET,     /* p: struct packet, UDP */
	EV_STREAM,     /* p: struct packet, TCP */
	EV_CELL_TIMER, EV_MEDIA_TIMER, EV_PHONE_TIMER /* a: phone */,
	EV_MEDIA_EVENT, /* p: struct media_event */
	EV_PERSISTED,  /* a: token, b: epoch */
	EV_CONN,       /* a: phone << 32 | conn; b: up */
	EV_HTTP_ASK, EV_HTTP_ANSWER, /* p: struct http_job */
	EV_START,      /* a: phone */
	EV_RESTART,    /* of the switch after a crash */
	EV_HOST        /* a, b: of the load model or the scenario */
};
struct sim_ev {
	int64_t at;
	uint64_t seq;
	uint64_t a;
	void *p;
	uint32_t b;
	enum sim_ev_kind kind;
};
struct sim_queue {
	struct sim_ev *heap; /* 4-ary */
	size_t n, cap;
	uint64_t seq;
};
void queue_push(struct sim_queue *q, struct sim_ev e);
struct sim_ev queue_pop(struct sim_queue *q); /* q->n > 0 */
void queue_free(struct sim_queue *q);

/* ---- network (net.c) ----------------------------------------------------------------------------------------- */

enum { ORIGIN_NONE = -1 };
struct packet {
	struct addr from, to;
	int32_t origin;    /* RTP: phone whose voice it is; ORIGIN_NONE: made by the switch */
	uint32_t conn;     /* TCP */
	uint32_t n;
	enum sip_transport transport;
	char bytes[];
};
/* One TCP connection between a phone and the cell. */
struct link {
	uint32_t conn, phone;
	uint16_t phone_port;
	bool up, dead;
	int64_t last_at[2]; /* ordered: nothing arrives before what was sent earlier; 0 to the cell, 1 to the phone */
};

/* ---- phones (phone.c) ---------------------------------------------------------------------------------------- */

/* What a phone asked lately: the answers must be to that. */
enum { SIM_ASKED = 32 };
struct asked {
	uint64_t branch, call_id, from_tag;
	uint32_t cseq;
};

struct world;
struct sim_phone {
	struct vphone *v;
	struct vphone_sink sink;
	struct world *w;
	uint32_t i;
	struct addr ip;      /* with its SIP port */
	char ext[8], pin[8], mac[13], url[48];
	const char *model;
	char *flash;
	size_t flash_n, flash_cap;
	uint16_t rtp_port[SIM_RTP_PORTS]; /* open pairs; 0 free */
	uint16_t next_tcp_port;
	struct asked asked[SIM_ASKED];
	uint32_t n_asked;
	uint32_t link;       /* index + 1 of its live TCP link */
	int64_t timer_at;    /* queued wake-up */
	int64_t changed_at;  /* last step that said something to the world */
	int64_t registered_us; /* since when without a break; 0: it is not */
	bool changed, registered_once, tcp, timers;
	int32_t heard_from;  /* whose voice came last, ORIGIN_NONE: the switch's own */
	int64_t heard_at;
	uint64_t heard, foreign;
	bool suspect;        /* a minute ago it had a call that nobody makes */
};

struct http_job {
	uint32_t phone, id;
	enum http_method method;
	char *mem;           /* holds all texts */
	struct span path, query, user_agent, authorization, body, host;
	int status;
	char *answer;
	size_t answer_n;
	char challenge[1024];
	size_t challenge_n;
};

/* ---- CDRs as the store saw them (store.c) -------------------------------------------------------------------- */

/* What a write says, as far as the world checks it. */
struct cdr_state {
	bool there, closed, answered;
};
struct cdr_seen {
	uint64_t id, call, cid; /* hashes; cid 0 none */
	uint32_t next_id, next_cid; /* chains: index + 1 */
	char ext[8];
	int64_t start_wall_ms, opened_us, closed_us, talk_ms;
	uint16_t leg_no, cause, status, emits, closes;
	uint8_t direction, ended_by;
	bool answered, suspect /* open, and its phone knew nothing of it a minute ago */;
	bool gone;           /* a crash took it before it was on the disk */
	int64_t answered_us; /* when the cell first said so */
	struct cdr_state disk;
	uint64_t disk_seq;
};
struct cdr_table {
	struct cdr_seen *row;
	uint32_t n, cap, n_index, open, first_open; /* all rows below first_open are closed */
	uint32_t *by_id, *by_cid; /* power of two */
};

/* ---- the disk (disk.c) ---------------------------------------------------------------------------------------- */

struct cdr_write {
	uint64_t token, seq;
	uint32_t row; /* index in cdr_table */
	struct cdr_state v;
};
/* A table that is written behind (behind.c). */
struct sim_behind {
	size_t row_bytes;
	bool (*same)(const void *a, const void *b); /* one key */
	unsigned char *row; /* synced */
	uint32_t n, cap;
	unsigned char *wait;
	uint32_t n_wait, cap_wait;
};
struct disk {
	bool on; /* registrations are kept only where a crash may come */
	int64_t wall_minus_mono; /* by which the times of what is synced were written: store/clock.c */
	uint64_t seq;
	struct cdr_write *cdr; /* not synced yet, in the order of writing */
	uint32_t n_cdr, cap_cdr;
	struct sim_behind bind, sub, ban;
};

/* ---- sabotage (sabotage.c) ----------------------------------------------------------------------------------- */

struct sabotage {
	int which; /* index into the list; -1 none */
	uint64_t count, hits;
	struct media_cmd held;
	bool holding;
	int64_t frozen_us;
	char buf[SIP_MAX_MESSAGE];
};

/* ---- the world ----------------------------------------------------------------------------------------------- */

enum sim_say { SAY_VIOLATION, SAY_LOST, SAY_TRACE };

struct sim_host { /* the load model or a scenario */
	void (*event)(void *ctx, uint64_t a, uint32_t b);
	void (*changed)(void *ctx, struct sim_phone *p);
	/* phone `to` hears `from` (a phone or ORIGIN_NONE) */
	void (*heard)(void *ctx, struct sim_phone *to, int32_t from);
	void *ctx;
};

struct world {
	struct sim_opts o;
	int64_t now;
	int64_t wall_minus_mono; /* microseconds */
	struct sim_queue q;
	struct slab slab;
	struct rng rng_net, rng_rtp, rng_user, rng_service, rng_store;
	struct hash_key key;

	struct cell *cell;
	struct cell_sink cell_sink;
	int64_t cell_timer_at;
	struct addr cell_addr;
	struct mgraph *media;
	uint32_t n_slots;
	uint64_t media_seq;
	int64_t media_timer_at;
	uint8_t *slot_open;
	uint32_t slots_open;
	uint64_t slot_bad; /* commands that did not fit the slot's state */
	int32_t origin;   /* phone whose packet mgraph is walking */

	struct service *service;
	struct site *site;
	struct site_key site_key;
	uint64_t next_device_id;

	struct sim_phone *phone;
	uint32_t n_phones;
	struct link *link;
	uint32_t n_links, cap_links;
	bool tcp_off;

	struct cdr_table cdr;
	struct disk disk;
	uint32_t epoch;     /* starts of the switch */
	int64_t crashed_us; /* the last crash; 0: none */
	uint32_t persist_pending;
	uint64_t bindings_written, bindings_gone;
	uint32_t registers[64]; /* REGISTERs that reached the cell, by second: their transactions outlive them by 64 T1 */
	int64_t registers_s;

	struct sabotage sab;
	struct sim_host host;
	struct trace_hash trace;
	struct trace_hash effects; /* of the cell alone, as the daemon records them */
	struct sim_result res;
	uint32_t said;
	bool in_cell;
};

int world_init(struct world *w, const struct sim_opts *o, uint32_t n_phones, const struct site_settings *st, const char **error)
	__attribute__((warn_unused_result));
void world_free(struct world *w);
/* Cell, media graph and their first inputs. -1 with *error. */
int world_boot(struct world *w, const char **error) __attribute__((warn_unused_result));
void world_at(struct world *w, int64_t at, enum sim_ev_kind kind, uint64_t a, uint32_t b, void *p);
/* Handles events up to and including `until`; the clock then stands there. */
void world_run(struct world *w, int64_t until);
void world_cell(struct world *w, const struct cell_in *in);
void world_media_rearm(struct world *w);
void world_wall(struct world *w, int64_t wall_minus_mono_us);
__attribute__((format(printf, 3, 4))) void world_say(struct world *w, enum sim_say what, const char *fmt, ...);
#define violation(w, ...) world_say((w), SAY_VIOLATION, __VA_ARGS__)
void *world_grown(void *p, size_t n); /* realloc that cannot fail */
static inline void world_inside(const struct world *w, bool enter)
{
	if (w->o.inside)
		w->o.inside(enter);
}
static inline int64_t world_wall_us(const struct world *w)
{
	return w->now + w->wall_minus_mono;
}
static inline uint64_t world_hash(const struct world *w, struct span s)
{
	uint64_t h = siphash(&w->key, s.p ? s.p : "", s.n);
	return h ? h : 1;
}

/* crash.c: between crash and restart w->cell is NULL; w->disk.on must be set from the beginning */
void world_crash(struct world *w, int64_t down_us);
void world_restart(struct world *w);

/* disk.c */
void disk_cdr_queued(struct world *w, uint64_t token, uint32_t row, const struct cdr_state *v);
void disk_cdr_done(struct world *w, uint64_t token);
void disk_clock(struct world *w); /* the times of what is synced move with the wall clock */
void disk_init(struct disk *d);
void disk_tear(struct world *w);
void disk_reopen(struct world *w);
void disk_free(struct world *w);

/* behind.c */
void behind_put(struct world *w, struct sim_behind *b, const void *row, bool gone);
void behind_tear(struct world *w, struct sim_behind *b);
void *behind_row(const struct sim_behind *b, uint32_t i); /* the i-th that is synced */
void behind_free(struct sim_behind *b);

/* net.c */
void net_udp(struct world *w, const struct addr *from, const struct addr *to, struct span bytes, int32_t origin, bool rtp);
void net_from_cell(struct world *w, const struct sip_flow *to, struct span bytes);
void net_from_phone(struct world *w, struct sim_phone *p, const struct sip_flow *flow, struct span bytes);
void net_packet(struct world *w, struct packet *k);
void net_stream(struct world *w, struct packet *k);
void net_conn(struct world *w, uint32_t phone, uint32_t conn, bool up);
void net_cut(struct world *w, struct sim_phone *p); /* its TCP connection goes away */
void net_down(struct world *w); /* all of them: the switch has died */
struct sim_phone *net_phone_of(struct world *w, const struct addr *a);
int64_t net_delay(struct world *w);

/* phone.c */
int phone_init(struct world *w, uint32_t i, const char *ext, const char *pin, const char **error) __attribute__((warn_unused_result));
int phone_power(struct world *w, struct sim_phone *p, uint16_t sip_port, uint16_t rtp_ms, const char **error) __attribute__((warn_unused_result));
void phone_free(struct sim_phone *p);
void phone_step(struct sim_phone *p, const struct vphone_in *in);
void phone_user(struct sim_phone *p, const char *verb, const char *arg);
void phone_timer(struct sim_phone *p);
bool phone_rtp_is_open(const struct sim_phone *p, uint16_t port);

/* web.c: provisioning */
int web_init(struct world *w, const char **error) __attribute__((warn_unused_result));
void web_free(struct world *w);
/* A site extension with this PIN. -1: could not be sealed. */
int web_extension(struct world *w, const char *number, const char *name, const char *pin) __attribute__((warn_unused_result));
void web_request(struct world *w, struct sim_phone *p, const struct vphone_out *o);
void web_ask(struct world *w, struct http_job *j);
void web_answer(struct world *w, struct http_job *j);

/* store.c */
void store_cdr(struct world *w, uint64_t token, const struct cdr_row *row);
void store_free(struct world *w);
/* The row of one leg by Call-ID; NULL. *n: how many rows carry it. */
const struct cdr_seen *store_find(const struct world *w, struct span call_id, uint32_t *n);

/* check.c */
void check_sip(struct world *w, const struct sip_flow *to, struct span bytes);
void check_note_request(struct world *w, struct sim_phone *p, struct span bytes);
void check_note_register(struct world *w);
void check_media(struct world *w, const struct media_cmd *c);
void check_periodic(struct world *w, bool full);
/* Legs that the switch believes in and their phones do not. Once a minute. */
void check_open_legs(struct world *w);
/* Nothing may live but registrations. */
void check_quiet(struct world *w, const char *when);
void check_end(struct world *w);

/* sabotage.c: true: the effect or input was swallowed or replaced */
int sabotage_find(const char *name);
bool sabotage_out(struct world *w, const struct cell_out *out, void (*pass)(struct world *w, const struct cell_out *out));
bool sabotage_persisted(struct world *w);
/* Shows itself only when the switch dies now and then: the office day sees to that. */
bool sabotage_wants_crash(int which);
/* May change what a new start is made with. */
void sabotage_boot(struct world *w, struct cell_opts *o);
bool sabotage_media_event(struct world *w, const struct media_event *e);
void sabotage_rtp(struct world *w, struct addr *from, int32_t origin);
int64_t sabotage_clock(struct world *w, int64_t now);
void sabotage_tick(struct world *w);

#endif

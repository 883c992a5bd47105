/* sim: the virtual world. One clock, one event queue, one seeded network; a cell, its media graph, the service and many
 * virtual phones, all of them the daemon's own objects. Layer 5, pure: time, seed and texts come in, figures come out.
 * Owner and thread: whoever calls; several worlds may live in one process. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/hash.h"
#include "base/text.h"

/* The network between any two nodes. Probabilities per datagram and direction; TCP turns loss into delay. */
struct sim_net {
	double loss, dup, reorder;   /* 0 .. 1 */
	int64_t delay_us, jitter_us; /* delay + exponential(jitter); a reordered datagram waits up to 20 ms more */
};
extern const struct sim_net sim_net_office; /* a switched LAN with rare duplicates and reordering, no loss */

struct sim_opts {
	uint32_t phones;
	double hours;   /* office day: virtual time until the last call may begin */
	uint64_t seed;
	struct sim_net net;
	const char *sabotage; /* NULL: none */
	double tcp_share;     /* office day: part of the phones that use TCP */
	double rate;          /* office day: calls per person against an ordinary day; 0: 1 */
	double crash_every_min; /* office day: the switch is killed about so often, and starts again; 0: never */
	bool verbose;         /* every event goes to say */
	struct record_sink *record; /* NULL, or gets the cell's recording */
	/* NULL, or called on the way into and out of the cell and the service: for tests that make allocations fail there.
	 * With it a lost call is none of the switch's faults, and registrations may be missing at the end. */
	void (*inside)(bool enter);
	void (*say)(void *ctx, const char *line); /* violations and lost calls, bounded in number; may be NULL */
	void *say_ctx;
	uint32_t say_max;
};

struct sim_result {
	uint64_t calls, completed, abandoned, lost, registrations, steps, violations, hash;
	uint64_t crashes, cut, interrupted; /* of the switch; calls that a crash cut; CDRs closed as interrupted */
	uint64_t events, rtp_packets, sip_messages; /* for the profile */
	int64_t end_us;                             /* virtual time at the end */
};

/* 0; -1 with *error (static text): the world could not be made. */
int sim_office(const struct sim_opts *o, struct sim_result *r, const char **error) __attribute__((warn_unused_result));

/* One run of a scenario file. Its own `net` and `phones` lines overrule o. Violations include failed expectations. */
int sim_scenario(struct span file, const struct sim_opts *o, struct sim_result *r, const char **error) __attribute__((warn_unused_result));
/* How often the file wants to be run (its `seeds` line, default 1) and its `rows:` (empty when none). */
uint32_t sim_scenario_seeds(struct span file);
struct span sim_scenario_rows(struct span file);

/* A recording of the daemon's inputs (pbx/record), walked through a fresh cell. 0; -1: not a recording (*error). */
struct sim_replay {
	uint64_t inputs, outputs, checkpoints;
	uint64_t hash, recorded_hash; /* at the last checkpoint */
	bool equal;                   /* at every checkpoint */
	bool cut;                     /* the last frame is not whole */
};
int sim_replay(struct span file, struct sim_replay *r, const char **error) __attribute__((warn_unused_result));

/* Planted defects, by number from 0; NULL at the end. */
struct sim_sabotage_info { const char *name, *doc; };
const struct sim_sabotage_info *sim_sabotage_list(size_t i);

#endif

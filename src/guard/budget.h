/* guard/budget: failures of authentication and what follows from them (ruling Z45). Layer 2, pure; one owner, one thread, or a
 * lock of the owner's. Nothing is allocated for a stranger: the tables are fixed, and who was heard of longest ago gives way. */
#ifndef GUARD_BUDGET_H
#define GUARD_BUDGET_H

#include "base/addr.h"
#include "base/hash.h"
#include "base/text.h"

enum {
	BUDGET_PAIRS = 4096,       /* user at a source, and user alone */
	BUDGET_SOURCES = 4096,
	BUDGET_TRIES = 5,          /* failures of a user at a source in BUDGET_WINDOW_S: a pause */
	BUDGET_WINDOW_S = 300,
	BUDGET_PAUSE_S = 60,       /* doubling up to */
	BUDGET_PAUSE_MAX_S = 3600,
	BUDGET_STRANGERS = 20,     /* unknown users of one source in BUDGET_STRANGERS_S: blocked */
	BUDGET_STRANGERS_S = 600,
	BUDGET_BLOCK_S = 3600,
	BUDGET_IN_A_ROW = 8,       /* wrong PINs of one extension: its PIN is locked for */
	BUDGET_LOCK_S = 900
};

struct budget_pair {
	uint64_t key; /* 0: free */
	int64_t first_us, until_us, touched_us;
	uint32_t pause_s;
	uint16_t failures;
};
struct budget_source {
	struct addr addr; /* family 0: free; port unused */
	int64_t first_us, until_us, touched_us;
	uint64_t seen[BUDGET_STRANGERS]; /* hashes of different unknown users */
	uint16_t strangers;
};
struct budget {
	struct hash_key key;
	struct budget_pair pair[BUDGET_PAIRS];
	struct budget_source source[BUDGET_SOURCES];
};
void budget_init(struct budget *b, struct hash_key key);

enum budget_verdict { BUDGET_FREE, BUDGET_PAUSED /* this user at this source, or its PIN */, BUDGET_BLOCKED /* the source */ };
enum budget_verdict budget_check(const struct budget *b, struct span user, const struct addr *from, int64_t now_us);

struct budget_news { /* what just began with this failure */
	bool paused, locked, blocked;
	int64_t until_us;
};
struct budget_case {
	bool known;   /* the user exists (what is told to nobody) */
	bool pin;     /* the row of wrong PINs counts */
	bool trusted; /* no source rules */
	bool home;    /* phones of ours are registered from there: the failing identity alone is paused */
};
/* A wrong secret. */
struct budget_news budget_failed(struct budget *b, struct span user, const struct addr *from, struct budget_case k, int64_t now_us);
void budget_passed(struct budget *b, struct span user, const struct addr *from);
/* The administrator's word: the source, or the user's PIN, is free again. False: it was not held. */
bool budget_release_source(struct budget *b, const struct addr *from);
bool budget_release_user(struct budget *b, struct span user);
void budget_block(struct budget *b, const struct addr *from, int64_t until_us, int64_t now_us);
/* Blocked sources by place: start with *it = 0; NULL at the end. */
const struct budget_source *budget_next_blocked(const struct budget *b, uint32_t *it, int64_t now_us);

#endif

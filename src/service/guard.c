#include "service/service_internal.h"

static const int64_t WINDOW_US = 300 * INT64_C(1000000), PAUSE_US = 60 * INT64_C(1000000), PAUSE_MAX_US = 3600 * INT64_C(1000000),
		     LOCK_US = 900 * INT64_C(1000000);
enum { TRIES = 5, WRONG_IN_A_ROW = 8 };

static uint64_t key_of(struct span user, const struct addr *from)
{
	static const struct hash_key k = {0x67756172, 0x64}; /* the table is bounded and old entries give way: no secret needed */
	uint64_t h = siphash(&k, user.p, user.n);
	return from ? h ^ siphash(&k, from->ip, sizeof from->ip) * 3 : h | 1;
}

static void lock(struct guard *g)
{
	while (atomic_flag_test_and_set_explicit(&g->lock, memory_order_acquire))
		;
}

static void unlock(struct guard *g)
{
	atomic_flag_clear_explicit(&g->lock, memory_order_release);
}

/* Eight places in a row belong to a key; with `make` the one touched longest ago is given up. */
static struct guard_entry *find(struct guard *g, uint64_t key, bool make)
{
	struct guard_entry *old = NULL;
	for (uint64_t i = 0; i < 8; i++) {
		struct guard_entry *e = &g->entry[(key + i) % GUARD_ENTRIES];
		if (e->key == key)
			return e;
		if (!old || e->touched_us < old->touched_us)
			old = e;
	}
	if (make)
		*old = (struct guard_entry){.key = key};
	return make ? old : NULL;
}

bool guard_blocked(struct guard *g, struct span user, const struct addr *from, int64_t now_us)
{
	lock(g);
	const struct guard_entry *a = find(g, key_of(user, from), false), *b = find(g, key_of(user, NULL), false);
	bool blocked = (a && a->until_us > now_us) || (b && b->until_us > now_us);
	unlock(g);
	return blocked;
}

bool guard_failed(struct guard *g, struct span user, const struct addr *from, int64_t now_us)
{
	lock(g);
	struct guard_entry *a = find(g, key_of(user, from), true);
	a->touched_us = now_us;
	if (now_us - a->first_us > WINDOW_US) {
		a->first_us = now_us;
		a->failures = 0;
	}
	if (++a->failures >= TRIES) {
		a->pause_us = a->pause_us ? a->pause_us * 2 : PAUSE_US;
		if (a->pause_us > PAUSE_MAX_US)
			a->pause_us = PAUSE_MAX_US;
		a->until_us = now_us + a->pause_us;
		a->failures = 0;
	}
	struct guard_entry *b = find(g, key_of(user, NULL), true);
	b->touched_us = now_us;
	bool attacked = ++b->failures == WRONG_IN_A_ROW;
	if (attacked) {
		b->until_us = now_us + LOCK_US;
		b->failures = 0;
	}
	unlock(g);
	return attacked;
}

void guard_passed(struct guard *g, struct span user, const struct addr *from, int64_t now_us)
{
	(void)now_us;
	lock(g);
	struct guard_entry *a = find(g, key_of(user, from), false), *b = find(g, key_of(user, NULL), false);
	if (a)
		*a = (struct guard_entry){0};
	if (b)
		*b = (struct guard_entry){0};
	unlock(g);
}

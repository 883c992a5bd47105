#include "guard/budget.h"

enum { WAYS = 8 };
#define US INT64_C(1000000)

void budget_init(struct budget *b, struct hash_key key)
{
	memset(b, 0, sizeof *b);
	b->key = key;
}

static uint64_t pair_key(const struct budget *b, struct span user, const struct addr *from)
{
	uint64_t h = siphash(&b->key, user.p ? user.p : "", user.n);
	if (from)
		h ^= siphash(&b->key, from->ip, sizeof from->ip) * 3;
	return h ? h : 1;
}

/* Eight places in a row belong to a key; what was touched longest ago gives way. */
static struct budget_pair *pair(struct budget *b, uint64_t key, bool make)
{
	struct budget_pair *old = NULL;
	for (uint64_t i = 0; i < WAYS; i++) {
		struct budget_pair *e = &b->pair[(key + i) % BUDGET_PAIRS];
		if (e->key == key)
			return e;
		if (!old || e->touched_us < old->touched_us)
			old = e;
	}
	if (!make)
		return NULL;
	*old = (struct budget_pair){.key = key};
	return old;
}

static struct budget_source *source(struct budget *b, const struct addr *from, bool make)
{
	uint64_t h = siphash(&b->key, from->ip, sizeof from->ip);
	struct budget_source *old = NULL;
	for (uint64_t i = 0; i < WAYS; i++) {
		struct budget_source *e = &b->source[(h + i) % BUDGET_SOURCES];
		if (e->addr.family && addr_same_ip(&e->addr, from))
			return e;
		if (!old || e->touched_us < old->touched_us)
			old = e;
	}
	if (!make)
		return NULL;
	*old = (struct budget_source){.addr = *from};
	old->addr.port = 0;
	return old;
}

enum budget_verdict budget_check(const struct budget *b, struct span user, const struct addr *from, int64_t now_us)
{
	struct budget *m = (struct budget *)(uintptr_t)b; /* nothing is made */
	const struct budget_source *s = source(m, from, false);
	if (s && s->until_us > now_us)
		return BUDGET_BLOCKED;
	const struct budget_pair *at = pair(m, pair_key(b, user, from), false), *all = pair(m, pair_key(b, user, NULL), false);
	return (at && at->until_us > now_us) || (all && all->until_us > now_us) ? BUDGET_PAUSED : BUDGET_FREE;
}

static void count_user(struct budget *b, struct span user, const struct addr *from, int64_t now_us, struct budget_news *n)
{
	struct budget_pair *e = pair(b, pair_key(b, user, from), true);
	e->touched_us = now_us;
	if (now_us - e->first_us > BUDGET_WINDOW_S * US) {
		e->first_us = now_us;
		e->failures = 0;
	}
	if (++e->failures < BUDGET_TRIES)
		return;
	e->pause_s = e->pause_s ? e->pause_s * 2 : BUDGET_PAUSE_S;
	if (e->pause_s > BUDGET_PAUSE_MAX_S)
		e->pause_s = BUDGET_PAUSE_MAX_S;
	e->until_us = now_us + e->pause_s * US;
	e->failures = 0;
	n->paused = true;
	n->until_us = e->until_us;
}

static void count_pin(struct budget *b, struct span user, int64_t now_us, struct budget_news *n)
{
	struct budget_pair *e = pair(b, pair_key(b, user, NULL), true);
	e->touched_us = now_us;
	if (++e->failures < BUDGET_IN_A_ROW)
		return;
	e->failures = 0;
	e->until_us = now_us + BUDGET_LOCK_S * US;
	n->locked = true;
}

static void count_stranger(struct budget *b, struct span user, const struct addr *from, int64_t now_us, struct budget_news *n)
{
	struct budget_source *s = source(b, from, true);
	s->touched_us = now_us;
	if (now_us - s->first_us > BUDGET_STRANGERS_S * US) {
		s->first_us = now_us;
		s->strangers = 0;
	}
	uint64_t h = siphash(&b->key, user.p ? user.p : "", user.n);
	for (uint16_t i = 0; i < s->strangers; i++)
		if (s->seen[i] == h)
			return;
	s->seen[s->strangers++] = h;
	if (s->strangers < BUDGET_STRANGERS)
		return;
	s->strangers = 0;
	s->until_us = now_us + BUDGET_BLOCK_S * US;
	n->blocked = true;
	n->until_us = s->until_us;
}

struct budget_news budget_failed(struct budget *b, struct span user, const struct addr *from, struct budget_case k, int64_t now_us)
{
	struct budget_news n = {0};
	if (!k.trusted)
		count_user(b, user, from, now_us, &n);
	if (!k.trusted && !k.known && !k.home)
		count_stranger(b, user, from, now_us, &n);
	if (k.pin)
		count_pin(b, user, now_us, &n);
	return n;
}

static void forget(struct budget_pair *e)
{
	if (e)
		*e = (struct budget_pair){0};
}

void budget_passed(struct budget *b, struct span user, const struct addr *from)
{
	forget(pair(b, pair_key(b, user, from), false));
	forget(pair(b, pair_key(b, user, NULL), false));
}

bool budget_release_source(struct budget *b, const struct addr *from)
{
	struct budget_source *s = source(b, from, false);
	bool held = s && s->until_us;
	if (s) {
		s->until_us = 0;
		s->strangers = 0;
	}
	return held;
}

bool budget_release_user(struct budget *b, struct span user)
{
	struct budget_pair *e = pair(b, pair_key(b, user, NULL), false);
	bool held = e && e->until_us;
	forget(e);
	return held;
}

void budget_block(struct budget *b, const struct addr *from, int64_t until_us, int64_t now_us)
{
	struct budget_source *s = source(b, from, true);
	s->until_us = until_us;
	s->touched_us = now_us;
}

const struct budget_source *budget_next_blocked(const struct budget *b, uint32_t *it, int64_t now_us)
{
	while (*it < BUDGET_SOURCES) {
		const struct budget_source *s = &b->source[(*it)++];
		if (s->addr.family && s->until_us > now_us)
			return s;
	}
	return NULL;
}

/* The failure budgets of HTTP: guard/budget behind a lock. */
#include "service/service_internal.h"

static void lock(struct guard *g)
{
	while (atomic_flag_test_and_set_explicit(&g->lock, memory_order_acquire))
		;
}

static void unlock(struct guard *g)
{
	atomic_flag_clear_explicit(&g->lock, memory_order_release);
}

bool guard_blocked(struct guard *g, struct span user, const struct addr *from, int64_t now_us)
{
	lock(g);
	bool blocked = budget_check(&g->budget, user, from, now_us) != BUDGET_FREE;
	unlock(g);
	return blocked;
}

struct budget_news guard_failed(struct guard *g, struct span user, const struct addr *from, bool known, bool trusted, int64_t now_us)
{
	lock(g);
	struct budget_news n = budget_failed(&g->budget, user, from, (struct budget_case){.known = known, .pin = true, .trusted = trusted}, now_us);
	unlock(g);
	return n;
}

void guard_passed(struct guard *g, struct span user, const struct addr *from)
{
	lock(g);
	budget_passed(&g->budget, user, from);
	unlock(g);
}

bool guard_unlock(struct guard *g, struct span what)
{
	struct addr a;
	bool source = addr_parse(what, 0, &a) == 0;
	lock(g);
	bool held = source ? budget_release_source(&g->budget, &a) : budget_release_user(&g->budget, what);
	unlock(g);
	return held;
}

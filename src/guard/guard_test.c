#include "guard/bucket.h"
#include "guard/budget.h"
#include "guard/nets.h"
#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>

#define S INT64_C(1000000)
static const struct hash_key key = {1, 2};

static struct budget *fresh(void)
{
	struct budget *b = malloc(sizeof *b);
	assert_non_null(b);
	budget_init(b, key);
	return b;
}

static struct addr ip(const char *s)
{
	struct addr a;
	assert_int_equal(addr_parse(span_z(s), 0, &a), 0);
	return a;
}

static void pauses_double(void **state)
{
	(void)state;
	struct budget *b = fresh();
	struct addr a = ip("192.0.2.1"), other = ip("192.0.2.2");
	int64_t now = S, pause[8];
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < BUDGET_TRIES; i++) {
			assert_int_equal(budget_check(b, SPAN_LIT("201"), &a, now), BUDGET_FREE);
			struct budget_news n = budget_failed(b, SPAN_LIT("201"), &a, (struct budget_case){.known = true}, now);
			assert_int_equal(n.paused, i == BUDGET_TRIES - 1);
			pause[round] = n.until_us - now;
		}
		assert_int_equal(budget_check(b, SPAN_LIT("201"), &a, now + pause[round] - 1), BUDGET_PAUSED);
		assert_int_equal(budget_check(b, SPAN_LIT("201"), &other, now), BUDGET_FREE);
		assert_int_equal(budget_check(b, SPAN_LIT("202"), &a, now), BUDGET_FREE);
		now += pause[round];
	}
	assert_int_equal(pause[0], 60 * S);
	assert_int_equal(pause[1], 120 * S);
	assert_int_equal(pause[7], 3600 * S);
	/* four, then quiet: forgotten */
	budget_passed(b, SPAN_LIT("201"), &a);
	for (int i = 0; i < 20; i++) {
		assert_false(budget_failed(b, SPAN_LIT("201"), &a, (struct budget_case){.known = true}, now).paused);
		now += 76 * S + (i % 4 == 3) * 300 * S;
	}
	free(b);
}

static void strangers_block_their_source(void **state)
{
	(void)state;
	struct budget *b = fresh();
	struct addr a = ip("192.0.2.1"), nat = ip("198.51.100.1");
	struct budget_news n = {0};
	char user[16];
	for (int i = 0; i < 100; i++) /* one and the same user is no search */
		assert_false(budget_failed(b, SPAN_LIT("999"), &a, (struct budget_case){0}, S).blocked);
	for (int i = 0; i < BUDGET_STRANGERS - 1; i++) {
		snprintf(user, sizeof user, "x%d", i);
		n = budget_failed(b, span_z(user), &a, (struct budget_case){0}, S);
		assert_int_equal(n.blocked, i == BUDGET_STRANGERS - 2);
	}
	assert_int_equal(budget_check(b, SPAN_LIT("201"), &a, S + 3599 * S), BUDGET_BLOCKED);
	assert_int_not_equal(budget_check(b, SPAN_LIT("201"), &a, S + 3600 * S), BUDGET_BLOCKED);
	uint32_t it = 0;
	const struct budget_source *s = budget_next_blocked(b, &it, S);
	assert_non_null(s);
	assert_true(addr_same_ip(&s->addr, &a));
	assert_null(budget_next_blocked(b, &it, S));
	assert_true(budget_release_source(b, &a));
	assert_false(budget_release_source(b, &a));
	assert_int_equal(budget_check(b, SPAN_LIT("201"), &a, 2 * S), BUDGET_FREE);
	/* behind a NAT with phones of ours only the failing identity is paused */
	for (int i = 0; i < 200; i++) {
		snprintf(user, sizeof user, "y%d", i);
		assert_false(budget_failed(b, span_z(user), &nat, (struct budget_case){.home = true}, S).blocked);
	}
	assert_int_equal(budget_check(b, SPAN_LIT("201"), &nat, S), BUDGET_FREE);
	/* a trusted source is never blocked, nor its users paused */
	for (int i = 0; i < 200; i++) {
		snprintf(user, sizeof user, "z%d", i);
		struct budget_news t = budget_failed(b, span_z(user), &nat, (struct budget_case){.trusted = true}, S);
		assert_false(t.blocked || t.paused);
	}
	free(b);
}

static void pins_are_locked(void **state)
{
	(void)state;
	struct budget *b = fresh();
	char from[20];
	bool locked = false;
	for (int i = 0; i < BUDGET_IN_A_ROW; i++) { /* from everywhere, also trusted ones */
		snprintf(from, sizeof from, "10.0.0.%d", i + 1);
		struct addr a = ip(from);
		assert_false(locked);
		locked = budget_failed(b, SPAN_LIT("201"), &a, (struct budget_case){.known = true, .pin = true, .trusted = i % 2}, S).locked;
	}
	assert_true(locked);
	struct addr a = ip("10.9.9.9");
	assert_int_equal(budget_check(b, SPAN_LIT("201"), &a, S + 899 * S), BUDGET_PAUSED);
	assert_int_equal(budget_check(b, SPAN_LIT("201"), &a, S + 900 * S), BUDGET_FREE);
	assert_true(budget_release_user(b, SPAN_LIT("201")));
	assert_int_equal(budget_check(b, SPAN_LIT("201"), &a, S), BUDGET_FREE);
	free(b);
}

/* A hundred thousand strangers change nothing for those who come after. */
static void tables_are_bounded(void **state)
{
	(void)state;
	struct budget *b = fresh();
	struct addr home = ip("192.0.2.9"), a = ip("10.0.0.0");
	for (uint32_t i = 0; i < 100000; i++) {
		char user[16];
		snprintf(user, sizeof user, "u%u", i);
		a.ip[1] = (uint8_t)(i >> 16), a.ip[2] = (uint8_t)(i >> 8), a.ip[3] = (uint8_t)i;
		(void)budget_failed(b, span_z(user), &a, (struct budget_case){0}, S + i);
	}
	for (int i = 0; i < BUDGET_TRIES; i++)
		(void)budget_failed(b, SPAN_LIT("201"), &home, (struct budget_case){.known = true}, 2 * S);
	assert_int_equal(budget_check(b, SPAN_LIT("201"), &home, 2 * S), BUDGET_PAUSED);
	free(b);
}

static void networks(void **state)
{
	(void)state;
	struct nets n;
	struct span bad;
	assert_int_equal(nets_parse(&n, SPAN_LIT(" 192.0.2.0/24, 2001:db8::/33,198.51.100.7 ,, 10.0.0.0/7"), &bad), 0);
	assert_int_equal(n.n, 4);
	static const struct { const char *a; bool in; } t[] = {{"192.0.2.255", true}, {"192.0.3.0", false}, {"198.51.100.7", true}, {"198.51.100.8", false},
		{"2001:db8:7fff::1", true}, {"2001:db8:8000::1", false}, {"11.255.0.1", true}, {"12.0.0.1", false}};
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct addr a = ip(t[i].a);
		assert_int_equal(nets_hold(&n, &a), t[i].in);
	}
	assert_int_equal(nets_parse(&n, SPAN_LIT("10.0.0.0/33"), &bad), -1);
	assert_true(span_eqz(bad, "10.0.0.0/33"));
	assert_int_equal(nets_parse(&n, SPAN_LIT("10.0.0.1, phones"), &bad), -1);
	assert_true(span_eqz(bad, "phones"));
	assert_int_equal(nets_parse(&n, SPAN_NONE, &bad), 0);
	struct addr a = ip("1.2.3.4");
	assert_false(nets_hold(&n, &a));
	assert_int_equal(nets_parse(&n, SPAN_LIT("0.0.0.0/0"), &bad), 0);
	assert_true(nets_hold(&n, &a));
}

/* So many at once, then so many a second, also for who asks a thousand times between two; never more than the burst after a rest. */
static void a_bucket_fills_and_runs_over(void **state)
{
	(void)state;
	struct bucket b;
	uint32_t ok = 0;
	bucket_fill(&b, 5000000, 20);
	for (int i = 0; i < 100; i++)
		ok += bucket_take(&b, 5000000, 10, 20);
	assert_int_equal(ok, 20);
	for (int64_t t = 5000000; t <= 8000000; t += 37)
		ok += bucket_take(&b, t, 10, 20);
	assert_true(ok >= 49 && ok <= 50); /* 3 s at 10 a second */
	for (int i = 0; i < 100; i++)
		ok += bucket_take(&b, 9000000000, 10, 20);
	assert_true(ok >= 69 && ok <= 70);
	assert_false(bucket_take(&b, 0, 10, 20)); /* a time that goes back gains nothing */
}

static const struct test_case cases[] = {
	CASE(a_bucket_fills_and_runs_over, "R22 R26"),
	CASE(pauses_double, "Z45"), CASE(strangers_block_their_source, "Z45"), CASE(pins_are_locked, "Z45"), CASE(tables_are_bounded, "R23 Z45"),
	CASE(networks, "Z45"),
};
TEST_MAIN("guard", cases)

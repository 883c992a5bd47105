/* People who press at random: dial, answer, hold, transfer blind and attended, hang up, over five phones, by seeds, with and without
 * loss and crashes of the switch. Whatever they do: the cell stays sound, each leg's row is closed once, no phone is left with a call
 * that the switch does not know (nor the other way round), nothing is left at the end, and a seed gives the same run again. */
#include "base/rng.h"
#include "sim/sim.h"
#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>

enum { PHONES = 5, PRESSES = 70 };

static void print_line(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "%s\n", line);
}

static void press(struct rng *r, struct text *t)
{
	static const char *const plain[] = {"answer", "answer", "answer", "answer", "hangup", "hold", "resume", "reject", "transfer", "transfer", "transfer", "key Transfer"};
	unsigned who = 1 + (unsigned)rng_below(r, PHONES), whom = (unsigned)rng_below(r, PHONES + 1);
	text_fmt(t, "at +%u.%03u %u ", (unsigned)rng_below(r, 2), (unsigned)rng_below(r, 1000), who);
	switch (rng_below(r, 6)) {
	case 0: text_fmt(t, "dial 20%u\n", 1 + whom); break;
	case 1: text_fmt(t, "%s 20%u\n", rng_below(r, 2) ? "blind" : "transfer", 1 + whom); break;
	default: text_fmt(t, "%s\n", plain[rng_below(r, sizeof plain / sizeof plain[0])]); break;
	}
}

static void play(const char *more, uint64_t seed, bool crash, struct sim_result *out)
{
	char buf[8192];
	struct text t = TEXT_ARRAY(buf);
	struct rng r = rng_seed(seed, 77);
	const char *error = "";
	struct sim_opts o = {.phones = PHONES, .seed = seed, .net = sim_net_office, .say = print_line, .say_max = 10};
	text_fmt(&t, "phones %u\nsite ring_s 15\n%swait all registered 200\n", PHONES, more);
	for (int i = 0; i < PRESSES; i++) {
		press(&r, &t);
		if (crash && i == PRESSES / 2)
			text_lit(&t, "at +0..0.3 crash 0.5\n");
	}
	for (int i = 0; i < 6 * PHONES; i++) /* each may hold several calls */
		text_fmt(&t, "at +0.5 %u hangup\n%u resume\n", 1 + i % PHONES, 1 + i % PHONES);
	for (int i = 0; i < 4 * PHONES; i++)
		text_fmt(&t, "at +7 %u hangup\n", 1 + i % PHONES);
	text_lit(&t, "at +40 wait all idle 120\n");
	assert_false(t.over);
	if (sim_scenario(text_span(&t), &o, out, &error))
		fail_msg("%s", error);
	if (out->violations)
		fail_msg("seed %llu: %llu violations", (unsigned long long)seed, (unsigned long long)out->violations);
}

static void runs(const char *more, uint64_t from, int n, bool crash)
{
	const char *times = getenv("STROWGER_SEEDS"); /* so many times as many */
	uint64_t calls = 0;
	n *= times ? atoi(times) : 1;
	for (uint64_t seed = from; seed < from + (uint64_t)n; seed++) {
		struct sim_result a, b;
		play(more, seed, crash, &a);
		calls += a.calls;
		if (seed % 8)
			continue;
		play(more, seed, crash, &b);
		assert_true(a.hash == b.hash && a.steps == b.steps);
	}
	assert_true(crash || calls > (uint64_t)n);
}

static void at_random(void **state)
{
	(void)state;
	runs("", 1, 60, false);
}

static void at_random_direct(void **state)
{
	(void)state;
	runs("site media direct\n", 1000, 30, false);
}

static void at_random_with_loss(void **state)
{
	(void)state;
	runs("net loss 0.1 dup 0.03 reorder 0.03 delay_ms 5 jitter_ms 30\n", 2000, 30, false);
}

static void at_random_with_crashes(void **state)
{
	(void)state;
	runs("", 3000, 30, true);
}

static const struct test_case cases[] = {
	CASE(at_random, "R17"), CASE(at_random_direct, "R17"), CASE(at_random_with_loss, "R17"), CASE(at_random_with_crashes, "R17"),
};
TEST_MAIN("sim_transfer", cases)

#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/world.h"

static void queue_is_ordered(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct sim_queue q = {0};
		struct rng r = rng_seed(seed, 0);
		int64_t last_at = -1;
		uint64_t last_seq = 0;
		for (int i = 0; i < 3000; i++) {
			if (q.n == 0 || rng_below(&r, 3) > 0) {
				int64_t from = last_at < 0 ? 0 : last_at; /* nothing is queued for the past */
				queue_push(&q, (struct sim_ev){.at = from + (int64_t)rng_below(&r, 50)});
				continue;
			}
			struct sim_ev e = queue_pop(&q);
			assert_true(e.at > last_at || (e.at == last_at && e.seq > last_seq));
			last_at = e.at;
			last_seq = e.seq;
		}
		queue_free(&q);
	}
}

static const struct sim_opts small = {.phones = 16, .hours = 0.6, .seed = 11, .rate = 8,
				      .net = {.delay_us = 300, .jitter_us = 300, .dup = 0.0005, .reorder = 0.0005}};

static void print_line(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "%s\n", line);
}

static struct sim_result day(struct sim_opts o)
{
	struct sim_result r;
	const char *error = "";
	if (o.say_max) {
		o.say = print_line;
	}
	if (sim_office(&o, &r, &error) != 0)
		fail_msg("%s", error);
	return r;
}

static void office_is_clean_and_repeats(void **state)
{
	(void)state;
	struct sim_opts o = small;
	o.say_max = 20;
	struct sim_result a = day(o), b = day(o);
	assert_int_equal(a.violations, 0);
	assert_int_equal(a.lost, 0);
	assert_true(a.calls > 100);
	assert_int_equal(a.completed + a.abandoned, a.calls);
	assert_true(a.completed > a.calls / 2 && a.abandoned > 0);
	assert_int_equal(a.registrations, o.phones);
	assert_true(a.hash == b.hash && a.steps == b.steps);
	o.seed++;
	assert_true(day(o).hash != a.hash);
}

static void office_survives_loss(void **state)
{
	(void)state;
	struct sim_opts o = small;
	uint64_t calls = 0;
	o.net.loss = 0.05;
	o.hours = 1;
	o.tcp_share = 0.2;
	o.say_max = 20;
	for (o.seed = 1; o.seed <= 8; o.seed++) {
		struct sim_result a = day(o);
		assert_int_equal(a.lost, 0);
		assert_int_equal(a.violations, 0);
		calls += a.calls;
	}
	assert_true(calls > 1000);
}

/* Challenges are answered without state: with a fifth of all lost, 7 INVITEs and their 401 may all be gone (0.36^7). */
static void office_survives_bad_network(void **state)
{
	(void)state;
	struct sim_opts o = small;
	uint64_t calls = 0, lost = 0;
	o.net = (struct sim_net){.loss = 0.20, .dup = 0.02, .reorder = 0.10, .delay_us = 20000, .jitter_us = 100000};
	o.hours = 1;
	o.say_max = 5;
	for (o.seed = 11; o.seed < 19; o.seed++) {
		struct sim_result a = day(o);
		assert_int_equal(a.violations, 0);
		calls += a.calls;
		lost += a.lost;
	}
	assert_true(calls > 1000);
	assert_true(lost * 200 <= calls); /* at least 99.5 % */
}

static void office_survives_crashes(void **state)
{
	(void)state;
	struct sim_opts o = small;
	uint64_t crashes = 0, interrupted = 0;
	o.crash_every_min = 4;
	o.say_max = 20;
	for (o.seed = 21; o.seed < 27; o.seed++) {
		o.tcp_share = o.seed % 2 ? 0.3 : 0;
		struct sim_result a = day(o);
		assert_int_equal(a.violations, 0);
		assert_int_equal(a.lost, 0);
		assert_int_equal(a.completed + a.abandoned + a.cut, a.calls);
		assert_int_equal(a.registrations, o.phones);
		crashes += a.crashes;
		interrupted += a.interrupted;
	}
	assert_true(crashes > 20 && interrupted > 20);
	struct sim_result a = day(o), b = day(o);
	assert_true(a.hash == b.hash && a.steps == b.steps && a.crashes == b.crashes);
}

static void every_sabotage_is_noticed(void **state)
{
	(void)state;
	const struct sim_sabotage_info *s;
	size_t n = 0, missed = 0;
	for (; (s = sim_sabotage_list(n)); n++) {
		struct sim_opts o = small;
		o.sabotage = s->name;
		struct sim_result r = day(o);
		if (r.violations == 0) {
			fprintf(stderr, "not noticed: %s\n", s->name);
			missed++;
		}
	}
	assert_true(n >= 15);
	assert_int_equal(missed, 0);
}

static struct sim_result scene(const char *text, uint64_t seed)
{
	struct sim_opts o = {.seed = seed, .net = sim_net_office};
	struct sim_result r;
	const char *error = "";
	if (sim_scenario(span_z(text), &o, &r, &error) != 0)
		fail_msg("%s", error);
	return r;
}

static void scenario_expectations_can_fail(void **state)
{
	(void)state;
	static const char good[] = "phones 2\nwait all registered 60\nexpect bindings 2\nexpect 1 idle\n";
	assert_int_equal(scene(good, 1).violations, 0);
	assert_true(scene("phones 2\nexpect 1 registered\n", 1).violations > 0);
	assert_true(scene("phones 2\nwait all registered 60\nexpect bindings 3\n", 1).violations > 0);
	assert_true(scene("phones 2\nwait all registered 60\nhears 1 2\n", 1).violations > 0);
	assert_true(scene("phones 2\nwait all registered 60\n1 dial 202\nwait 2 connected 3\n", 1).violations > 0);
	assert_true(scene("phones 2\nfrobnicate\n", 1).violations > 0);
	assert_true(scene(good, 1).hash == scene(good, 1).hash);
}

struct keeper {
	struct record_sink sink;
	char *p;
	size_t n, cap;
};

static void keep(struct record_sink *s, struct span b)
{
	struct keeper *k = (struct keeper *)(void *)s;
	if (k->n + b.n > k->cap) {
		k->cap = (k->n + b.n) * 2;
		k->p = realloc(k->p, k->cap);
		assert_non_null(k->p);
	}
	memcpy(k->p + k->n, b.p, b.n);
	k->n += b.n;
}

static void recording_replays(void **state)
{
	(void)state;
	struct keeper k = {.sink = {keep}};
	struct sim_opts o = small;
	struct sim_replay r;
	const char *error = "";
	o.record = &k.sink;
	assert_true(day(o).calls > 100);
	assert_int_equal(sim_replay(span_mem(k.p, k.n), &r, &error), 0);
	assert_true(r.equal && r.hash == r.recorded_hash && r.outputs > 1000 && !r.cut);
	/* Other bytes give another hash or no recording at all, but for those that nothing depends on. */
	int noticed = 0;
	for (size_t at = k.n / 2, i = 0; i < 20; i++, at += 97) {
		k.p[at] ^= 1;
		noticed += sim_replay(span_mem(k.p, k.n), &r, &error) != 0 || !r.equal || r.cut;
		k.p[at] ^= 1;
	}
	assert_true(noticed > 5);
	assert_int_equal(sim_replay(SPAN_LIT("no recording"), &r, &error), -1);
	free(k.p);
}

static void scenario_words(void **state)
{
	(void)state;
	assert_int_equal(sim_scenario_seeds(SPAN_LIT("rows: R15 R16\nseeds 20\n")), 20);
	assert_int_equal(sim_scenario_seeds(SPAN_LIT("phones 2\n")), 1);
	assert_true(span_eqz(sim_scenario_rows(SPAN_LIT("# x\nrows: R15 R16\n")), "R15 R16"));
}

static const struct test_case cases[] = {
	CASE(queue_is_ordered, ""),
	CASE(scenario_words, ""),
	CASE(scenario_expectations_can_fail, ""),
	CASE(office_is_clean_and_repeats, ""),
	CASE(office_survives_loss, "R16"),
	CASE(office_survives_bad_network, "R17"),
	CASE(office_survives_crashes, "R4 R7"),
	CASE(recording_replays, ""),
	CASE(every_sabotage_is_noticed, ""),
};
TEST_MAIN("sim", cases)

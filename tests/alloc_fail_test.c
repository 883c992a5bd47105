/* Out of memory (R29): a small office runs in the simulator while the nth allocation inside cell or service fails, for every
 * n, and while every kth one does. Calls may be refused; nothing may crash, leak (the sanitizer looks), get stuck or be left
 * behind. The linker puts the functions below before the C library's (meson.build). */
#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/sim.h"

static int depth;
static bool armed;
static uint64_t count, nth, every, failed;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t a, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t a, size_t n);

static bool fails(void)
{
	if (!armed || depth <= 0)
		return false;
	count++;
	bool no = (nth && count == nth) || (every && count % every == 0);
	failed += no;
	return no;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m)
{
	return fails() ? NULL : __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t a, size_t n)
{
	return fails() ? NULL : __real_aligned_alloc(a, n);
}

static void inside(bool enter)
{
	depth += enter ? 1 : -1;
}

static void print_line(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "%s\n", line);
}

static struct sim_result office(uint64_t n, uint64_t k)
{
	struct sim_opts o = {.phones = 8, .hours = 0.25, .seed = 5, .rate = 12, .tcp_share = 0.25, .inside = inside, .say = print_line,
			     .say_max = 6, .net = {.delay_us = 300, .jitter_us = 300}};
	struct sim_result r;
	const char *error = "";
	count = failed = 0;
	nth = n;
	every = k;
	depth = 0;
	armed = true;
	int rc = sim_office(&o, &r, &error);
	armed = false;
	/* a world that could not even be made has said so */
	if (rc != 0)
		r = (struct sim_result){0};
	return r;
}

static void each_nth_fails(void **state)
{
	(void)state;
	struct sim_result r = office(0, 0);
	uint64_t n = count, hit = 0, bad = 0;
	assert_int_equal(r.violations, 0);
	assert_true(r.completed > 10 && n > 100);
	uint64_t step = 1 + n / 150; /* the whole sweep is ./accept's */
	for (uint64_t i = 1; i <= n; i += getenv("STROWGER_SWEEP") ? 1 : step) {
		r = office(i, 0);
		hit += failed;
		if (r.violations) {
			fprintf(stderr, "allocation %llu of %llu\n", (unsigned long long)i, (unsigned long long)n);
			bad++;
		}
	}
	assert_true(hit > 50);
	assert_int_equal(bad, 0);
}

static void every_kth_fails(void **state)
{
	(void)state;
	static const uint64_t ks[] = {2, 3, 5, 7, 11, 17, 31, 61, 127};
	for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++) {
		struct sim_result r = office(0, ks[i]);
		assert_true(failed > 0);
		assert_int_equal(r.violations, 0);
	}
}

static const struct test_case cases[] = {
	CASE(each_nth_fails, "R29"),
	CASE(every_kth_fails, "R29"),
};
TEST_MAIN("alloc_fail", cases)

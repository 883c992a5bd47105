#include "harness/harness.h"

#include "base/addr.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/slab.h"
#include "base/text.h"
#include "base/wheel.h"

#include <stdlib.h>

static void siphash_reference_vector(void **state)
{
	(void)state;
	unsigned char in[15];
	struct hash_key k = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
	for (int i = 0; i < 15; i++)
		in[i] = (unsigned char)i;
	assert_true(siphash(&k, in, 15) == 0xa129ca6149be45e5u); /* the paper's appendix A */
}

/* Property: against a sorted list, timers fire at their tick, never early, in order of ticks. */
static void wheel_matches_model(void **state)
{
	(void)state;
	enum { N = 400 };
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct rng r = rng_seed(seed, 9);
		struct wheel *w = malloc(sizeof *w);
		struct timer t[N] = {0};
		int64_t at[N], now = (int64_t)rng_below(&r, 1u << 30);
		size_t left = 0;
		wheel_init(w, now);
		for (int i = 0; i < N; i++) {
			at[i] = now + (int64_t)rng_below(&r, UINT64_C(1) << (10 + rng_below(&r, 32)));
			wheel_set(w, &t[i], at[i]);
			left++;
			if (rng_below(&r, 5) == 0) {
				int k = (int)rng_below(&r, (uint64_t)i + 1);
				if (timer_is_set(&t[k]))
					left--;
				wheel_cancel(w, &t[k]);
			}
		}
		for (int step = 0; left > 0; step++) {
			int64_t d = wheel_deadline(w);
			assert_true(d != WHEEL_NEVER);
			now = d > now ? d : now;
			if (rng_below(&r, 3) == 0)
				now += (int64_t)rng_below(&r, 5000000);
			struct timer *x;
			while ((x = wheel_pop(w, now))) {
				assert_true(x->at_us <= now);
				assert_true(now - x->at_us < 5000000 + 2000 + (step ? 0 : INT64_MAX / 2));
				left--;
			}
			for (int i = 0; i < N; i++)
				assert_false(timer_is_set(&t[i]) && t[i].at_us + 1000 <= now);
		}
		assert_true(wheel_deadline(w) == WHEEL_NEVER);
		free(w);
	}
}

static void map_keeps_order_and_content(void **state)
{
	(void)state;
	enum { N = 500 };
	struct map m;
	struct rng r = rng_seed(3, 4);
	static char key[N][8];
	static bool in[N];
	map_init(&m, (struct hash_key){1, 2});
	for (int i = 0; i < N; i++)
		memcpy(key[i], &(struct { uint64_t v; }){(uint64_t)i + 1}, 8);
	for (int step = 0; step < 20000; step++) {
		size_t i = rng_below(&r, N);
		struct span k = span_mem(key[i], 8);
		assert_ptr_equal(map_get(&m, k), in[i] ? key[i] : NULL);
		if (in[i])
			assert_ptr_equal(map_remove(&m, k), key[i]);
		else
			assert_int_equal(map_put(&m, k, key[i]), 0);
		in[i] = !in[i];
	}
	uint32_t n = 0;
	for (uint32_t it = 0; map_next(&m, &it);)
		n++;
	assert_int_equal(n, map_count(&m));
	map_destroy(&m);
	assert_int_equal(map_put(&m, SPAN_LIT("b"), key[0]), 0);
	assert_int_equal(map_put(&m, SPAN_LIT("a"), key[1]), 0);
	uint32_t it = 0;
	assert_ptr_equal(map_next(&m, &it), key[0]);
	assert_ptr_equal(map_next(&m, &it), key[1]);
	assert_null(map_next(&m, &it));
	map_destroy(&m);
}

static void pool_handles_go_stale(void **state)
{
	(void)state;
	struct pool p;
	handle h, h2;
	pool_init(&p, 24, 2);
	void *a = pool_new(&p, &h);
	assert_non_null(a);
	assert_true(pool_handle(&p, a) == h);
	assert_non_null(pool_new(&p, &h2));
	handle h3;
	assert_null(pool_new(&p, &h3)); /* exhaustion is an answer */
	pool_delete(&p, h);
	assert_null(pool_get(&p, h));
	assert_ptr_equal(pool_new(&p, &h3), a);
	assert_null(pool_get(&p, h));
	assert_non_null(pool_get(&p, h3));
	pool_destroy(&p);
}

static void slab_reuses_blocks(void **state)
{
	(void)state;
	struct slab s;
	slab_init(&s, 1 << 20);
	struct rng r = rng_seed(7, 7);
	struct { unsigned char *p; size_t n; unsigned char fill; } b[64] = {0};
	for (int i = 0; i < 20000; i++) {
		size_t k = rng_below(&r, 64);
		for (size_t j = 0; j < b[k].n; j++)
			assert_int_equal(b[k].p[j], b[k].fill);
		slab_free(&s, b[k].p, b[k].n);
		b[k].n = 1 + rng_below(&r, 3000);
		b[k].fill = (unsigned char)i;
		b[k].p = slab_alloc(&s, b[k].n);
		assert_non_null(b[k].p);
		memset(b[k].p, b[k].fill, b[k].n);
	}
	for (int k = 0; k < 64; k++)
		slab_free(&s, b[k].p, b[k].n);
	assert_int_equal(s.used_bytes, 0);
	slab_destroy(&s);
}

static void text_escapes(void **state)
{
	(void)state;
	char buf[128];
	struct text t = TEXT_ARRAY(buf);
	text_json(&t, SPAN_LIT("a\"\\\n\x01\xff" "\xc3\xa9"));
	assert_true(span_eqz(text_span(&t), "\"a\\\"\\\\\\n\\u0001\\ufffd\xc3\xa9\""));
	t = TEXT_ARRAY(buf);
	text_xml(&t, SPAN_LIT("<a b=\"c\">&'"));
	assert_true(span_eqz(text_span(&t), "&lt;a b=&quot;c&quot;&gt;&amp;&apos;"));
	t = text_on(buf, 3);
	text_lit(&t, "abcd");
	assert_true(t.over);
}

static void addr_round_trip(void **state)
{
	(void)state;
	static const char *const good[] = {"192.0.2.1", "0.0.0.0", "2001:db8::1", "::1"};
	for (size_t i = 0; i < 4; i++) {
		struct addr a;
		char buf[64];
		struct text t = TEXT_ARRAY(buf);
		assert_int_equal(addr_parse(span_z(good[i]), 5060, &a), 0);
		addr_put_ip(&t, &a);
		assert_true(span_eqz(text_span(&t), good[i]));
	}
	struct addr a;
	assert_int_equal(addr_parse(SPAN_LIT("example.org"), 1, &a), -1);
	assert_int_equal(addr_parse(SPAN_LIT("192.0.2.256"), 1, &a), -1);
	assert_int_equal(addr_parse_port(SPAN_LIT("192.0.2.7:9060"), &a), 0);
	assert_true(a.family == 4 && a.port == 9060 && a.ip[3] == 7);
	assert_int_equal(addr_parse_port(SPAN_LIT("[2001:db8::7]:1"), &a), 0);
	assert_true(a.family == 6 && a.port == 1 && a.ip[15] == 7);
	static const char *const no_port[] = {"", ":", ":5", "192.0.2.7", "192.0.2.7:", "192.0.2.7:0", "192.0.2.7:65536", "2001:db8::7:1", "[2001:db8::7]", "x:1", "192.0.2.7: 1"};
	for (size_t i = 0; i < sizeof no_port / sizeof no_port[0]; i++)
		assert_int_equal(addr_parse_port(span_z(no_port[i]), &a), -1);
}

static const struct test_case cases[] = {
	CASE(siphash_reference_vector, ""), CASE(wheel_matches_model, ""), CASE(map_keeps_order_and_content, ""),
	CASE(pool_handles_go_stale, ""), CASE(slab_reuses_blocks, ""), CASE(text_escapes, ""), CASE(addr_round_trip, ""),
};
TEST_MAIN("base", cases)

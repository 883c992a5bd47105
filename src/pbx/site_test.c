#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/rng.h"
#include "pbx/site.h"

enum { NUMS = 400, IDS = 600 };

/* The model: plain arrays. ext[i]: revision + 1 of number i, 0 absent. */
struct model {
	uint64_t ext[NUMS];
	struct { int owner; uint64_t tag; int mac; } dev[IDS + 1]; /* owner -1: absent */
	uint64_t settings_tag;
};

static void number_of(int i, char out[8])
{
	/* of several lengths, some the beginning of others */
	snprintf(out, 8, i % 3 ? "%d" : "%03d", i % 3 ? i + 10 : i + 100);
}

static void mac_of(int i, char out[13])
{
	snprintf(out, 13, "0004f2%06x", (unsigned)(i * 37 % 4096));
}

static void compare(const struct site *s, const struct model *m)
{
	uint32_t n_ext = 0, n_dev = 0, seen = 0;
	char num[8], mac[13];
	assert_int_equal(site_settings_of(s)->revision, m->settings_tag);
	for (int i = 0; i < NUMS; i++) {
		number_of(i, num);
		const struct site_extension *e = site_extension_find(s, span_z(num));
		assert_int_equal(e != NULL, m->ext[i] != 0);
		if (e)
			assert_int_equal(e->row.revision, m->ext[i]);
		n_ext += e != NULL;
		uint64_t at = 0, last = 0;
		const struct site_device *d;
		uint32_t mine = 0, want = 0;
		while ((d = site_devices_of(s, span_z(num), &at)) != NULL) {
			assert_true(d->row.id > last);
			last = d->row.id;
			assert_int_equal(m->dev[last].owner, i);
			mine++;
		}
		for (int k = 1; k <= IDS; k++)
			want += m->dev[k].owner == i;
		assert_int_equal(mine, want);
	}
	for (int k = 1; k <= IDS; k++) {
		const struct site_device *d = site_device_by_id(s, (uint64_t)k);
		assert_int_equal(d != NULL, m->dev[k].owner >= 0);
		if (!d)
			continue;
		n_dev++;
		assert_int_equal(d->row.revision, m->dev[k].tag);
		if (m->dev[k].mac) {
			mac_of(k, mac);
			assert_ptr_equal(site_device_by_mac(s, span_z(mac)), d);
		}
	}
	assert_int_equal(site_extension_count(s), n_ext);
	assert_int_equal(site_device_count(s), n_dev);
	const struct site_extension *e, *before = NULL;
	for (uint64_t at = 0; (e = site_extension_next(s, &at)) != NULL; before = e, seen++)
		assert_true(!before || strcmp(before->row.number, e->row.number) < 0);
	assert_int_equal(seen, n_ext);
	seen = 0;
	uint64_t last = 0;
	const struct site_device *d;
	for (uint64_t at = 0; (d = site_device_next(s, &at)) != NULL; last = d->row.id, seen++)
		assert_true(d->row.id > last);
	assert_int_equal(seen, n_dev);
}

static struct site *step(struct site *s, struct model *m, struct rng *r, uint64_t tag)
{
	struct site *n;
	int i = (int)rng_below(r, NUMS), k = (int)rng_below(r, IDS) + 1;
	struct site_extension e = {.row = {.revision = tag}};
	struct site_device d = {.row = {.revision = tag, .id = (uint64_t)k}};
	number_of(i, e.row.number);
	memcpy(d.row.extension, e.row.number, sizeof d.row.extension);
	switch (rng_below(r, 10)) {
	case 0: {
		struct site_settings st = *site_settings_of(s);
		st.revision = m->settings_tag = tag;
		n = site_with_settings(s, &st);
		break;
	}
	case 1:
		n = site_without_extension(s, span_z(e.row.number));
		m->ext[i] = 0;
		for (int q = 1; q <= IDS; q++)
			if (m->dev[q].owner == i)
				m->dev[q].owner = -1;
		break;
	case 2: case 3:
		n = site_without_device(s, (uint64_t)k);
		m->dev[k].owner = -1;
		break;
	case 4: case 5: case 6:
		if (rng_below(r, 3))
			mac_of(k, d.row.mac);
		n = site_with_device(s, &d);
		m->dev[k].owner = i;
		m->dev[k].tag = tag;
		m->dev[k].mac = d.row.mac[0] != 0;
		break;
	default:
		n = site_with_extension(s, &e);
		m->ext[i] = tag;
	}
	assert_non_null(n);
	assert_int_equal(site_revision(n), site_revision(s) + 1);
	return n;
}

/* Any run of changes looks like the model, and older snapshots stay what they were. */
static void behaves_like_the_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct rng r = rng_seed(seed, 77);
		static struct model m, old_m;
		memset(&m, 0, sizeof m);
		for (int k = 0; k <= IDS; k++)
			m.dev[k].owner = -1;
		struct site_settings st = {.revision = 0};
		struct site *s = site_new(&st), *old = site_ref(s);
		old_m = m;
		for (uint64_t tag = 1; tag <= 3000; tag++) {
			struct site *n = step(s, &m, &r, tag);
			site_unref(s);
			s = n;
			if (tag % 750 == 0) {
				compare(s, &m);
				compare(old, &old_m);
				site_unref(old);
				old = site_ref(s);
				old_m = m;
			}
		}
		site_unref(s);
		site_unref(old);
	}
}

static void a_number_is_not_its_prefix(void **state)
{
	(void)state;
	struct site_settings st;
	site_settings_defaults(&st);
	struct site *s = site_new(&st);
	struct site_extension e = {.row = {.number = "201"}};
	struct site *n = site_with_extension(s, &e);
	assert_null(site_extension_find(n, SPAN_LIT("20")));
	assert_null(site_extension_find(n, SPAN_LIT("2011")));
	assert_null(site_extension_find(n, SPAN_LIT("")));
	assert_null(site_extension_find(n, SPAN_LIT("201\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")));
	assert_non_null(site_extension_find(n, SPAN_LIT("201")));
	site_unref(s);
	site_unref(n);
}

/* The MAC index follows a phone that moves to another row, and is not lost when the older row goes. */
static void a_mac_follows_its_device(void **state)
{
	(void)state;
	struct site_settings st = {.id = 1};
	struct site *s = site_new(&st), *n;
	struct site_device d = {.row = {.id = 5, .extension = "201", .mac = "0004f2aabbcc"}};
	n = site_with_device(s, &d), site_unref(s), s = n;
	memcpy(d.row.extension, "202", 4);
	n = site_with_device(s, &d), site_unref(s), s = n;
	uint64_t at = 0;
	assert_null(site_devices_of(s, SPAN_LIT("201"), &at));
	assert_string_equal(site_device_by_mac(s, SPAN_LIT("0004f2aabbcc"))->row.extension, "202");
	d.row.mac[0] = 0;
	n = site_with_device(s, &d), site_unref(s), s = n;
	assert_null(site_device_by_mac(s, SPAN_LIT("0004f2aabbcc")));
	site_unref(s);
}

/* 10,000 extensions: one change takes at most 1 ms (the mean of many, so that a busy machine does not decide). */
static void a_change_among_ten_thousand_is_cheap(void **state)
{
	(void)state;
	struct site_settings st = {.id = 1};
	struct site *s = site_new(&st), *n;
	struct site_extension e = {.row = {.name = "x"}};
	struct site_device d = {.row = {.kind = DEVICE_KIND_POLYCOM}};
	for (int i = 0; i < 10000; i++) {
		snprintf(e.row.number, sizeof e.row.number, "%d", 10000 + i);
		memcpy(d.row.extension, e.row.number, sizeof d.row.extension);
		d.row.id = (uint64_t)i + 1;
		snprintf(d.row.mac, sizeof d.row.mac, "0004f2%06x", (unsigned)i & 0xffffff);
		n = site_with_extension(s, &e), site_unref(s), s = n;
		n = site_with_device(s, &d), site_unref(s), s = n;
	}
	assert_int_equal(site_extension_count(s), 10000);
	struct timespec a, b;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (int i = 0; i < 1000; i++) {
		snprintf(e.row.number, sizeof e.row.number, "%d", 10000 + i * 9);
		n = site_with_extension(s, &e), site_unref(s), s = n;
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	double us = ((double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3) / 1000;
	printf("# one change among 10,000: %.1f us\n", us);
	assert_true(us < 1000);
	site_unref(s);
}

/* A snapshot's tokens stay as they are while others come and go in the next ones. */
static void tokens_come_and_go(void **state)
{
	(void)state;
	struct site_settings st;
	site_settings_defaults(&st);
	struct site *first = site_new(&st), *s = site_ref(first), *n;
	struct api_token t = {.name = "a"};
	uint64_t at = 0;
	for (uint64_t i = 1; i <= SITE_TOKENS_MAX; i++) {
		t.id = i;
		snprintf(t.name, sizeof t.name, "t%d", (int)i);
		n = site_with_token(s, &t), site_unref(s), s = n;
		assert_non_null(s);
	}
	t.id = SITE_TOKENS_MAX + 1;
	assert_null(site_with_token(s, &t)); /* no room, and s is as it was */
	t.id = 2;
	snprintf(t.name, sizeof t.name, "other");
	n = site_with_token(s, &t); /* in its place */
	assert_string_equal((at = 1, site_token_next(n, &at))->name, "other");
	assert_string_equal((at = 1, site_token_next(s, &at))->name, "t2");
	site_unref(s), s = n;
	n = site_without_token(s, SPAN_LIT("t1")), site_unref(s), s = n;
	assert_string_equal((at = 0, site_token_next(s, &at))->name, "other");
	assert_null((at = SITE_TOKENS_MAX - 1, site_token_next(s, &at)));
	assert_null((at = 0, site_token_next(first, &at)));
	site_unref(s);
	site_unref(first);
}

static const struct test_case cases[] = {
	CASE(tokens_come_and_go, ""),
	CASE(behaves_like_the_model, "V5"),
	CASE(a_number_is_not_its_prefix, ""),
	CASE(a_mac_follows_its_device, "G34"),
	CASE(a_change_among_ten_thousand_is_cheap, ""),
};
TEST_MAIN("pbx/site", cases)

#include "io/clock.h"
#include "store/dir_test.h"

struct found {
	uint32_t n;
	char ip[64];
	int64_t left_ms;
};

static void on_ban(void *ctx, const struct ban_row *r)
{
	struct found *f = ctx;
	struct text t = TEXT_ARRAY(f->ip);
	addr_put_ip(&t, &r->source);
	assert_true(text_end(&t));
	f->left_ms = r->until_wall_ms - wall_us() / 1000;
	f->n++;
}

static struct ban_row ban(const char *ip, int64_t left_ms)
{
	struct ban_row r = {.until_wall_ms = wall_us() / 1000 + left_ms};
	assert_int_equal(addr_parse(span_z(ip), 0, &r.source), 0);
	return r;
}

static struct found load(struct store *s)
{
	struct found f = {0};
	assert_int_equal(store_load_bans(s, wall_us() / 1000, on_ban, &f), 0);
	return f;
}

static void bans_are_kept_and_released(void **state)
{
	(void)state;
	char dir[64];
	fresh(dir);
	struct store *s = open_ok(dir);
	struct ban_row a = ban("198.51.100.9", 3600000), b = ban("2001:db8::9", 3600000), over = ban("198.51.100.7", -1);
	assert_int_equal(store_put_ban(s, &a), 0);
	assert_int_equal(store_put_ban(s, &b), 0);
	assert_int_equal(store_put_ban(s, &over), 0);
	assert_int_equal(store_drop_ban(s, &a), 0);
	store_close(s);
	assert_int_equal(number_of(dir, "registrations.db", "SELECT count(*) FROM ban"), 1); /* the one that is over is not kept */
	s = open_ok(dir);
	struct found f = load(s);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.ip, "2001:db8::9");
	assert_in_range(f.left_ms, 3500000, 3600000);
	store_close(s);
	/* the clock stands a month ahead when the switch starts: what was left is left */
	assert_int_equal(run_sql(dir, "registrations.db", "UPDATE clock SET wall_ms = wall_ms - 2592000000; UPDATE ban SET until_ms = until_ms - 2592000000"), SQLITE_OK);
	s = open_ok(dir);
	f = load(s);
	assert_int_equal(f.n, 1);
	assert_in_range(f.left_ms, 3400000, 3600000);
	store_close(s);
	gone(dir);
}

/* A flood of sources fills the queue and then the table: both have an end, and a release finds room all the same. */
static void a_flood_of_bans_has_an_end(void **state)
{
	(void)state;
	char dir[64], ip[24];
	int refused = 0;
	fresh(dir);
	struct store *s = open_ok(dir);
	for (int i = 0; i < 6000; i++) {
		snprintf(ip, sizeof ip, "10.0.%d.%d", i / 250, i % 250 + 1);
		struct ban_row r = ban(ip, 1000000 + i * 100);
		bool told = false;
		for (int tries = 0; store_put_ban(s, &r) != 0 && tries < 10000; tries++) {
			if (!told) {
				assert_int_equal(store_drop_ban(s, &r), 0);
				refused++;
			}
			told = true;
			wait_ms(1);
		}
	}
	assert_true(refused > 0 && refused < 64);
	store_close(s);
	assert_int_equal(number_of(dir, "registrations.db", "SELECT count(*) FROM ban"), 4096);
	assert_int_equal(number_of(dir, "registrations.db", "SELECT count(*) FROM ban WHERE source = '10.0.23.250'"), 1); /* the newest stays */
	gone(dir);
}

static const struct test_case cases[] = {
	CASE(bans_are_kept_and_released, "Z45 R15"),
	CASE(a_flood_of_bans_has_an_end, "Z45"),
};
TEST_MAIN("bans", cases)

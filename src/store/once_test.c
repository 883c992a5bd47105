/* A change with a key is made once; tokens are rows like others. */
#include "store/dir_test.h"

static enum change_result change(struct store *s, struct site_change *c, const char *once, const char *request, int64_t wall_ms)
{
	snprintf(c->once_key, sizeof c->once_key, "%s", once);
	snprintf(c->once_request, sizeof c->once_request, "%s", request);
	return store_change(s, c, wall_ms, NULL);
}

static void a_key_is_good_for_one_change(void **state)
{
	(void)state;
	enum { DAY = 24 * 3600 * 1000 };
	char dir[64];
	fresh(dir);
	struct store *s = open_ok(dir);
	struct site_change a = extension_change("201", "Ann", 0), again = extension_change("", "", 0), b = extension_change("202", "Bea", 0);
	assert_int_equal(change(s, &a, "k", "make 201", 1000), CHANGE_OK);
	assert_int_equal(change(s, &again, "k", "make 201", 2000), CHANGE_DONE_BEFORE);
	assert_string_equal(again.extension.row.number, "201");
	assert_int_equal(change(s, &b, "k", "make 202", 2000), CHANGE_OTHER);
	assert_int_equal(number_of(dir, "strowger.db", "SELECT count(*) FROM extension"), 1);
	/* what was refused is not done: the key is free for it still */
	struct site_change twice = extension_change("201", "Ann", 0);
	assert_int_equal(change(s, &twice, "l", "make 201", 3000), CHANGE_CONFLICT);
	assert_int_equal(change(s, &b, "l", "make 202", 3000), CHANGE_OK);
	store_close(s);
	s = open_ok(dir); /* also over a restart */
	assert_int_equal(change(s, &b, "l", "make 202", 4000), CHANGE_DONE_BEFORE);
	/* and for a day */
	struct site_change c = extension_change("203", "Cid", 0);
	assert_int_equal(change(s, &c, "k", "make 203", 1000 + DAY), CHANGE_OK);
	assert_int_equal(number_of(dir, "strowger.db", "SELECT count(*) FROM once"), 2);
	store_close(s);
	gone(dir);
}

static void tokens_are_kept(void **state)
{
	(void)state;
	char dir[64];
	fresh(dir);
	struct store *s = open_ok(dir);
	struct site *site;
	uint64_t at = 0;
	struct site_change c = {.kind = CHANGE_TOKEN, .actor = "test"}, away = {.kind = CHANGE_TOKEN_GONE, .if_revision = UINT64_MAX, .actor = "test"};
	api_token_defaults(&c.token);
	snprintf(c.token.name, sizeof c.token.name, "wallboard");
	snprintf(c.token.hash, sizeof c.token.hash, "00ff");
	assert_int_equal(store_change(s, &c, 1, NULL), CHANGE_OK);
	struct site_change same = c;
	same.if_revision = 0;
	assert_int_equal(store_change(s, &same, 1, NULL), CHANGE_CONFLICT);
	store_close(s);
	s = open_ok(dir);
	assert_int_equal(store_load_site(s, &key, &site, NULL), 0);
	const struct api_token *t = site_token_next(site, &at);
	assert_true(t && span_eqz(span_z("wallboard"), t->name) && span_eqz(span_z("00ff"), t->hash) && !site_token_next(site, &at));
	site_unref(site);
	snprintf(away.token.name, sizeof away.token.name, "wallboard");
	assert_int_equal(store_change(s, &away, 1, NULL), CHANGE_OK);
	assert_int_equal(store_change(s, &away, 1, NULL), CHANGE_MISSING);
	assert_int_equal(number_of(dir, "strowger.db", "SELECT count(*) FROM audit WHERE entity = 'api_token' AND key = 'wallboard' AND value NOT LIKE '%00ff%'"), 2);
	store_close(s);
	gone(dir);
}

static const struct test_case cases[] = {CASE(a_key_is_good_for_one_change, ""), CASE(tokens_are_kept, "")};
TEST_MAIN("once", cases)

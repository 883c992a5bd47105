#include "pbx/phone_test.h"

static struct world *two_phones(struct phone *a, struct phone *b)
{
	struct world *w = w_new(8);
	phone_init(a, 1);
	phone_init(b, 2);
	register_phone(w, a);
	register_phone(w, b);
	return w;
}

/* A REGISTER for `user` with a digest that fits nobody. */
static const struct sip_msg *guess(struct world *w, struct phone *p, const char *user)
{
	struct phone x = *p;
	snprintf(x.ext, sizeof x.ext, "%.7s", user);
	x.ha1.md5[3] ^= 0x55;
	x.nonce[0] = 0;
	snprintf(x.reg_call_id, sizeof x.reg_call_id, "guess-%u", ++w->unique);
	return do_register(w, &x, "<sip:x@192.0.2.77>", "");
}

static void source_is_blocked(void **state)
{
	(void)state;
	struct phone a, b, x;
	struct world *w = two_phones(&a, &b);
	assert_true(w->source_known); /* the edge knows where phones are */
	int told = w->n_sources;
	phone_init(&x, 7);
	x.flow.remote = w_addr("198.51.100.9", 5099);
	char user[8];
	for (int i = 0; i < 20; i++) {
		assert_int_equal(w->n_sources, told);
		snprintf(user, sizeof user, "7%02d", i);
		assert_int_equal(guess(w, &x, user)->status, 401);
	}
	assert_int_equal(w->n_sources, told + 1);
	assert_false(w->source_known);
	assert_true(w->source_until > w->now && addr_same_ip(&w->source, &x.flow.remote));
	assert_true(w->n_bans == 1 && w->n_bans_gone == 0 && addr_same_ip(&w->ban.source, &x.flow.remote));
	assert_int_equal(w->ban.until_wall_ms, (w->source_until + INT64_C(1700000000) * SEC) / MS);
	/* nothing is told to it, and it is believed nothing, while it lasts */
	x.ha1 = a.ha1;
	snprintf(x.ext, sizeof x.ext, "201");
	assert_int_equal(do_register(w, &x, "<sip:201@198.51.100.9:5099>", "")->status, 401);
	struct cell_in in = {.kind = CELL_IN_QUERY, .u.query = {.kind = CELL_Q_BANS}};
	w_step(w, &in);
	assert_true(strstr(w->answer, "{\"source\":\"198.51.100.9\",\"seconds\":3") != NULL);
	in.u.query.kind = CELL_Q_BAN_RELEASE;
	in.u.query.arg = SPAN_LIT("198.51.100.9");
	w_step(w, &in);
	assert_int_equal(w->answer_status, 200);
	assert_int_equal(w->source_until, 0);
	assert_true(w->n_bans == 1 && w->n_bans_gone == 1);
	w_step(w, &in);
	assert_int_equal(w->answer_status, 404);
	assert_int_equal(do_register(w, &x, "<sip:201@198.51.100.9:5099>", "")->status, 200);
	w_close(w);
}

static void restore(struct world *w, const char *ip, int64_t left_s)
{
	struct cell_in in = {.kind = CELL_IN_BAN, .u.ban = {w_addr(ip, 0), (w->now + INT64_C(1700000000) * SEC) / MS + left_s * 1000}};
	w->source_until = 0;
	w_step(w, &in);
}

/* What was stored of a life before holds for what was left of it; not for those who have phones here or are trusted by now. */
static void bans_outlive_a_restart(void **state)
{
	(void)state;
	struct phone a, b, x;
	struct world *w = two_phones(&a, &b);
	struct site_settings st = *site_settings_of(w->site);
	snprintf(st.trusted_sources, sizeof st.trusted_sources, "203.0.113.0/24");
	w_site(w, site_with_settings(w->site, &st));
	restore(w, "192.0.2.1", 1000);
	assert_int_equal(w->source_until, 0);
	restore(w, "203.0.113.9", 1000);
	assert_int_equal(w->source_until, 0);
	restore(w, "198.51.100.9", -1);
	assert_int_equal(w->source_until, 0);
	restore(w, "198.51.100.8", 30 * 86400);
	assert_int_equal(w->source_until, w->now + 3600 * (int64_t)SEC);
	restore(w, "198.51.100.9", 1000);
	assert_int_equal(w->source_until, w->now + 1000 * (int64_t)SEC);
	phone_init(&x, 1);
	x.flow.remote = w_addr("198.51.100.9", 5099);
	assert_int_equal(do_register(w, &x, "<sip:201@198.51.100.9:5099>", "")->status, 401);
	w_run(w, 1001 * (int64_t)SEC);
	assert_int_equal(do_register(w, &x, "<sip:201@198.51.100.9:5099>", "")->status, 200);
	assert_int_equal(w->n_bans_gone, 1); /* a phone of ours is there now */
	w_close(w);
}

/* Phones of ours stand behind the same address: only the identity that fails is paused, and not on its own phone's flow. */
static void nat_is_not_blocked(void **state)
{
	(void)state;
	struct phone a, b, x;
	struct world *w = two_phones(&a, &b);
	int told = w->n_sources;
	phone_init(&x, 7);
	x.flow.remote.port = 6000;
	char user[8];
	for (int i = 0; i < 60; i++) {
		snprintf(user, sizeof user, "7%02d", i);
		assert_int_equal(guess(w, &x, user)->status, 401);
	}
	assert_int_equal(w->n_sources, told);
	for (int i = 0; i < 5; i++)
		assert_int_equal(guess(w, &x, "201")->status, 401);
	struct phone y = a; /* the right secret, from another port, a minute too early */
	y.flow.remote.port = 6001;
	y.nonce[0] = 0;
	snprintf(y.reg_call_id, sizeof y.reg_call_id, "second");
	assert_int_equal(do_register(w, &y, "<sip:201@192.0.2.1:6001>", "")->status, 401);
	register_phone(w, &a);
	register_phone(w, &b);
	w_run(w, 61 * (int64_t)SEC);
	assert_int_equal(do_register(w, &y, "<sip:201@192.0.2.1:6001>", "")->status, 200);
	w_close(w);
}

static void settings(struct world *w, const char *target)
{
	struct site_settings st = *site_settings_of(w->site);
	snprintf(st.emergency_target, sizeof st.emergency_target, "%s", target);
	snprintf(st.test_echo, sizeof st.test_echo, "112");
	w_site(w, site_with_settings(w->site, &st));
}

/* Outside of what is disabled, paused and set otherwise: a call for help reaches its target. */
static void emergency(void **state)
{
	(void)state;
	struct phone a, b;
	struct side sa, sb;
	struct world *w = two_phones(&a, &b);
	settings(w, "202");
	w_extension(w, "911", "An extension of that number");
	struct site_extension e = *site_extension_find(w->site, SPAN_LIT("201"));
	e.row.enabled = false;
	w_site(w, site_with_extension(w->site, &e));
	assert_int_equal(cell_counts(w->cell).bindings, 1);
	for (int i = 0; i < 5; i++)
		(void)guess(w, &a, "201");
	static const char *const numbers[] = {"911", "112", "9911"};
	for (size_t i = 0; i < 3; i++) {
		call(w, &sa, &a, numbers[i], "", SDP(&a));
		const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
		side_called(w, &sb, &b, inv);
		reply(w, &sb, inv, 200, SDP(&b));
		take_request(w, &b, SIP_ACK);
		side_answered(&sa, take_status(w, &a, 200));
		send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
		hang_up(w, &sa, &sb);
	}
	w_close(w);
}

static const struct test_case cases[] = {
	CASE(source_is_blocked, "Z45"), CASE(bans_outlive_a_restart, "Z45"), CASE(nat_is_not_blocked, "Z45"), CASE(emergency, "Z9 Z45"),
};
TEST_MAIN("pbx_guard", cases)

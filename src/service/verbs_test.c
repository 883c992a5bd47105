/* Verbs of the API go into the audit. */
#include "harness/harness.h"
#include "service/service_internal.h"
#include "service/service_world.h"

static void done(struct world *w, enum http_method m, const char *path, const char *body, int status, const char *note)
{
	w->last_note[0] = 0;
	struct http_response rs = world_api(w, m, path, body, NULL);
	assert_int_equal(rs.status, status);
	assert_string_equal(w->last_note, note);
	http_response_free(&rs);
}

static void who_did_what_is_noted(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	w.registrations = "[]";
	done(&w, HTTP_DELETE, "/api/v1/bans/192.0.2.66", NULL, 204, "control@ release ban 192.0.2.66 ");
	done(&w, HTTP_POST, "/api/v1/features/message-lamp", "{\"args\": \"set 201 \\\"2\\\"\"}", 200,
	     "control@ run feature message-lamp {\"args\":\"set 201 \\\"2\\\"\"}");
	done(&w, HTTP_DELETE, "/api/v1/calls/abc", NULL, 200, "control@ end call abc ");
	done(&w, HTTP_DELETE, "/api/v1/registrations/201", NULL, 200, "control@ end registration 201 ");
	/* what is only asked, or refused, is not */
	done(&w, HTTP_GET, "/api/v1/bans", NULL, 200, "");
	done(&w, HTTP_POST, "/api/v1/features/message-lamp", "{}", 400, "");
	world_free(&w);
}

/* An address that is shut out over HTTP is let in again by the same word as one over SIP. */
static void a_source_is_released(void **state)
{
	(void)state;
	struct guard *g = calloc(1, sizeof *g);
	struct addr from = {0};
	char user[8];
	budget_init(&g->budget, (struct hash_key){1, 2});
	assert_int_equal(addr_parse(SPAN_LIT("192.0.2.66"), 0, &from), 0);
	for (int i = 0; i < BUDGET_STRANGERS; i++) {
		snprintf(user, sizeof user, "7%02d", i);
		assert_false(guard_blocked(g, SPAN_LIT("201"), &from, 1000));
		(void)guard_failed(g, span_z(user), &from, false, false, 1000);
	}
	assert_true(guard_blocked(g, SPAN_LIT("201"), &from, 1000));
	assert_false(guard_unlock(g, SPAN_LIT("192.0.2.67")));
	assert_true(guard_unlock(g, SPAN_LIT("192.0.2.66")));
	assert_false(guard_blocked(g, SPAN_LIT("201"), &from, 1000));
	free(g);
}

static const struct test_case cases[] = {
	CASE(a_source_is_released, "Z45"),
	CASE(who_did_what_is_noted, "Z45"),
};
TEST_MAIN("verbs", cases)

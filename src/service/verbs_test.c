/* Verbs of the API go into the audit. */
#include "harness/harness.h"
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

static const struct test_case cases[] = {
	CASE(who_did_what_is_noted, "Z45"),
};
TEST_MAIN("verbs", cases)

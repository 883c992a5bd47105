#include "tests/harness/harness.h"

#include <expat.h>

#include "service/service_world.h"

#define VVX "FileTransport PolycomVVX-VVX_410-UA/5.4.2.6345 Type/Application"
#define VVX_UPDATER "FileTransport PolycomVVX-VVX_410-UA/5.7.2.1 Type/Updater"
#define SPIP "FileTransport PolycomSoundPointIP-SPIP_650-UA/4.0.4.2906 Type/Application"
#define MAC "0004f2aabbcc"

static const char *header_of(const struct http_response *rs, const char *name)
{
	for (int i = 0; i < rs->n_header; i++)
		if (!strcmp(rs->header[i].name, name))
			return rs->header[i].value;
	return NULL;
}

static bool has(const struct http_response *rs, const char *needle)
{
	return span_find(rs->body, span_z(needle)) >= 0;
}

struct ask {
	enum http_method method;
	const char *path, *user, *password, *agent, *body;
	const char *from;
};

/* As a phone does: once without credentials, then with an answer to the challenge. */
static struct http_response phone(struct world *w, struct ask a)
{
	struct http_response rs;
	struct http_request rq = {.method = a.method, .path = span_z(a.path), .user_agent = span_z(a.agent ? a.agent : VVX), .body = span_z(a.body),
				  .host = SPAN_LIT("192.0.2.10:8080"), .now_us = w->now_us};
	assert_int_equal(addr_parse(span_z(a.from ? a.from : "192.0.2.50"), 40000, &rq.from), 0);
	service_handle(w->s, &rq, &rs);
	if (!a.user || rs.status != 401)
		return rs;
	struct digest_challenge ch;
	struct digest_ha1 ha1;
	char value[512], www[256];
	struct text t = TEXT_ARRAY(value);
	snprintf(www, sizeof www, "%s", header_of(&rs, "WWW-Authenticate"));
	assert_int_equal(digest_parse_challenge(span_z(www), &ch), DIGEST_OK);
	assert_int_equal(ch.alg, DIGEST_MD5);
	digest_ha1_make(&ha1, span_z(a.user), ch.realm, span_z(a.password));
	digest_answer(&t, &ch, span_z(a.user), &ha1, a.method == HTTP_PUT ? SPAN_LIT("PUT") : a.method == HTTP_HEAD ? SPAN_LIT("HEAD") : SPAN_LIT("GET"),
		      rq.path, 1, SPAN_LIT("c0ffee"));
	rq.authorization = text_span(&t);
	http_response_free(&rs);
	service_handle(w->s, &rq, &rs);
	return rs;
}

static int status_of(struct http_response rs)
{
	int s = rs.status;
	http_response_free(&rs);
	return s;
}

static void add(struct world *w, const char *number, const char *pin, const char *name)
{
	char body[256];
	snprintf(body, sizeof body, "{\"number\":\"%s\",\"pin\":\"%s\",\"name\":\"%s\"}", number, pin, name);
	assert_int_equal(status_of(world_api(w, HTTP_POST, "/api/v1/extensions", body, NULL)), 201);
}

static void start(struct world *w)
{
	world_init(w);
	add(w, "201", "4071", "Ann <\\\"A&B\\\">");
	add(w, "202", "5820", "Bea");
}

/* Attributes of a served file, read as a phone reads them: any element, any depth. */
struct attrs {
	const char *want;
	char value[256];
	unsigned seen;
};
static void XMLCALL on_start(void *u, const XML_Char *el, const XML_Char **at)
{
	struct attrs *a = u;
	(void)el;
	for (; at[0]; at += 2)
		if (!strcmp(at[0], a->want)) {
			a->seen++;
			snprintf(a->value, sizeof a->value, "%s", at[1]);
		}
}
static struct attrs attr(struct span xml, const char *name)
{
	struct attrs a = {.want = name};
	XML_Parser p = XML_ParserCreate(NULL);
	XML_SetUserData(p, &a);
	XML_SetStartElementHandler(p, on_start);
	if (XML_Parse(p, xml.p, (int)xml.n, 1) != XML_STATUS_OK)
		fail_msg("not well-formed: %s", XML_ErrorString(XML_GetErrorCode(p)));
	XML_ParserFree(p);
	return a;
}
static void expect_attr(struct span xml, const char *name, const char *value)
{
	struct attrs a = attr(xml, name);
	if (a.seen != 1 || strcmp(a.value, value) != 0)
		fail_msg("%s: %u times, '%s' instead of '%s'", name, a.seen, a.value, value);
}

static void nobody_gets_a_challenge_only(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	static const char *const paths[] = {"/" MAC ".cfg", "/000000000000.cfg", "/guest.cfg", "/" MAC "/Extension_201.cfg", "/" MAC "-phone.cfg"};
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		struct http_response rs = phone(&w, (struct ask){.path = paths[i]});
		assert_int_equal(rs.status, 401);
		assert_int_equal(rs.body.n, 0);
		assert_non_null(header_of(&rs, "WWW-Authenticate"));
		http_response_free(&rs);
	}
	assert_int_equal(site_device_count(w.site), 0);
	/* names that no phone asks for, and ways out of the folder */
	static const char *const none[] = {"/", "", "/../etc/passwd", "/" MAC "/../x.cfg", "/" MAC ".cfg/", "/" MAC "-evil.cfg", "/0004f2aabbc.cfg", "/index.html",
					   "/" MAC "/Extension_.cfg", "/" MAC "/Extension_20a.cfg", "//guest.cfg"};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		struct http_response rs = phone(&w, (struct ask){.path = none[i], .user = "201", .password = "4071"});
		assert_int_equal(rs.status, 404);
		assert_int_equal(rs.body.n, 0);
		http_response_free(&rs);
	}
	world_free(&w);
}

/* The factory's credentials: the guest files, also for a phone that somebody has. */
static void factory_phone_is_a_guest(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	for (int bound = 0; bound < 2; bound++) {
		if (bound)
			assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "4071"})), 200);
		struct http_response rs = phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "PlcmSpIp", .password = "PlcmSpIp"});
		assert_int_equal(rs.status, 200);
		expect_attr(rs.body, "CONFIG_FILES", "guest.cfg");
		http_response_free(&rs);
		rs = phone(&w, (struct ask){.path = "/guest.cfg", .user = "PlcmSpIp", .password = "PlcmSpIp"});
		expect_attr(rs.body, "reg.1.label", "Press #17 to Register");
		expect_attr(rs.body, "reg.1.address", "");
		assert_false(has(&rs, "auth.password"));
		http_response_free(&rs);
		assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC "/Extension_201.cfg", .user = "PlcmSpIp", .password = "PlcmSpIp"})), 404);
		assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "PlcmSpIp", .password = "plcmspip"})), 401);
	}
	/* wrong factory passwords do not lock new phones out */
	for (int i = 0; i < 20; i++)
		assert_int_equal(status_of(phone(&w, (struct ask){.path = "/guest.cfg", .user = "PlcmSpIp", .password = "x"})), 401);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/guest.cfg", .user = "PlcmSpIp", .password = "PlcmSpIp", .from = "192.0.2.77"})), 200);
	world_free(&w);
}

static void extension_and_pin_bind_the_phone(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	/* stage 1: the Updater's version is not the phone's */
	struct http_response rs = phone(&w, (struct ask){.path = "/0004F2AABBCC.cfg", .user = "201", .password = "4071", .agent = VVX_UPDATER});
	assert_int_equal(rs.status, 200);
	expect_attr(rs.body, "CONFIG_FILES", MAC "/Extension_201.cfg");
	http_response_free(&rs);
	const struct site_device *d = site_device_by_mac(w.site, SPAN_LIT(MAC));
	assert_non_null(d);
	assert_string_equal(d->row.extension, "201");
	assert_int_equal(d->row.bound_by, DEVICE_BOUND_BY_PIN);
	assert_string_equal(d->row.model, "VVX_410");
	assert_string_equal(d->row.firmware, "");
	assert_string_equal(w.last_actor, "pin:201");
	/* stage 2 */
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "4071"})), 200);
	d = site_device_by_mac(w.site, SPAN_LIT(MAC));
	assert_string_equal(d->row.firmware, "5.4.2.6345");
	unsigned changes = w.changes;
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "4071"})), 200);
	assert_int_equal(w.changes, changes); /* a boot that changes nothing writes nothing */

	struct secret secret;
	char want[65] = "";
	device_secret(&world_key, d->row.id, (uint32_t)d->row.generation, &secret);
	memcpy(want, secret.b, secret.n);
	rs = phone(&w, (struct ask){.path = "/" MAC "/Extension_201.cfg", .user = "201", .password = "4071"});
	assert_int_equal(rs.status, 200);
	expect_attr(rs.body, "reg.1.auth.password", want);
	expect_attr(rs.body, "reg.1.auth.userId", "201");
	expect_attr(rs.body, "reg.1.address", "201");
	expect_attr(rs.body, "reg.1.displayName", "Ann <\"A&B\">");
	expect_attr(rs.body, "reg.1.server.1.address", "192.0.2.10");
	expect_attr(rs.body, "reg.1.server.1.port", "5060");
	expect_attr(rs.body, "reg.1.server.1.transport", "UDPOnly");
	expect_attr(rs.body, "voice.codecPref.G722", "1");
	expect_attr(rs.body, "voice.codecPref.G711_Mu", "2");
	assert_false(has(&rs, "4071"));
	http_response_free(&rs);
	world_free(&w);
}

/* No secret for another extension, another phone, or another name of the file. */
static void secrets_only_for_their_own(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "4071"})), 200);
	static const struct ask others[] = {
		{.path = "/" MAC "/Extension_201.cfg", .user = "202", .password = "5820"},
		{.path = "/" MAC "/Extension_202.cfg", .user = "202", .password = "5820"},
		{.path = "/" MAC "/Extension_202.cfg", .user = "201", .password = "4071"},
		{.path = "/0004f2000001/Extension_201.cfg", .user = "201", .password = "4071"},
		{.path = "/" MAC "/Extension_201.cfg", .user = "201", .password = "4072"},
		{.path = "/" MAC "/Extension_201.cfg", .user = "999", .password = "4071"},
	};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		struct http_response rs = phone(&w, others[i]);
		assert_true(rs.status == 404 || rs.status == 401);
		assert_int_equal(rs.body.n, 0);
		http_response_free(&rs);
	}
	world_free(&w);
}

static void the_phone_moves_to_who_logs_in(void **state)
{
	(void)state;
	struct world w;
	struct secret before, after;
	start(&w);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "4071"})), 200);
	const struct site_device *d = site_device_by_mac(w.site, SPAN_LIT(MAC));
	uint64_t id = d->row.id;
	device_secret(&world_key, id, (uint32_t)d->row.generation, &before);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "202", .password = "5820"})), 200);
	d = site_device_by_mac(w.site, SPAN_LIT(MAC));
	assert_int_equal(d->row.id, id);
	assert_string_equal(d->row.extension, "202");
	device_secret(&world_key, id, (uint32_t)d->row.generation, &after);
	assert_memory_not_equal(before.b, after.b, 24);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC "/Extension_201.cfg", .user = "201", .password = "4071"})), 404);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC "/Extension_202.cfg", .user = "202", .password = "5820"})), 200);
	world_free(&w);
}

/* A wrong PIN and an extension that is not there: the same answer in every part but the nonce. */
static void unknown_and_wrong_look_alike(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	struct http_response a = phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "9999"});
	struct http_response b = phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "299", .password = "9999"});
	assert_int_equal(a.status, b.status);
	assert_int_equal(a.status, 401);
	assert_int_equal(a.n_header, b.n_header);
	assert_string_equal(a.header[0].name, b.header[0].name);
	assert_int_equal(strlen(a.header[0].value), strlen(b.header[0].value));
	assert_true(span_eq(a.body, b.body) && a.content_type == b.content_type);
	http_response_free(&a);
	http_response_free(&b);
	assert_int_equal(w.changes, 2); /* the two extensions; nothing bound */
	world_free(&w);
}

static void guessing_is_paused_and_locked(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	struct ask wrong = {.path = "/" MAC ".cfg", .user = "201", .password = "0000"}, right = wrong;
	right.password = "4071";
	for (int i = 0; i < 5; i++)
		assert_int_equal(status_of(phone(&w, wrong)), 401);
	assert_int_equal(status_of(phone(&w, right)), 401); /* paused for 60 s, also with the right PIN */
	right.from = "192.0.2.51";
	assert_int_equal(status_of(phone(&w, right)), 200); /* another source is not */
	right.from = NULL;
	w.now_us += 61 * INT64_C(1000000);
	assert_int_equal(status_of(phone(&w, right)), 200);
	/* from many sources: 8 in a row lock the extension's PIN for all, for 15 minutes */
	for (int i = 0; i < 8; i++) {
		char from[20];
		snprintf(from, sizeof from, "198.51.100.%d", i);
		wrong.from = from;
		assert_int_equal(status_of(phone(&w, wrong)), 401);
	}
	assert_int_equal(status_of(phone(&w, right)), 401);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "202", .password = "5820"})), 200);
	w.now_us += 901 * INT64_C(1000000);
	assert_int_equal(status_of(phone(&w, right)), 200);
	world_free(&w);
}

static void optional_files_are_absent_at_once(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	static const char *const paths[] = {"/" MAC "-phone.cfg", "/" MAC "-web.cfg", "/000000000000-license.cfg", "/" MAC "-license.cfg", "/" MAC "-calls.xml",
					    "/" MAC "-directory.xml", "/000000000000-directory.xml", "/" MAC "-app.log", "/3111-46162-001.sip.ld", "/sip.ld"};
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		struct http_response rs = phone(&w, (struct ask){.path = paths[i], .user = "201", .password = "4071"});
		assert_int_equal(rs.status, 404);
		assert_int_equal(rs.body.n, 0);
		http_response_free(&rs);
	}
	world_free(&w);
}

static void uploads_are_the_phones_own(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "4071"})), 200);
	static const struct { const char *path, *user, *password; int status; } puts_[] = {
		{"/" MAC "-boot.log", "201", "4071", 201}, {"/0004F2AABBCC-app.log", "201", "4071", 201}, {"/" MAC "-phone.cfg", "201", "4071", 201},
		{"/" MAC "-web.cfg", "201", "4071", 201}, {"/" MAC "-directory.xml", "201", "4071", 201}, {"/" MAC "-calls.xml", "201", "4071", 201},
		{"/" MAC "-app.log", NULL, NULL, 401}, {"/" MAC "-app.log", "202", "5820", 403}, {"/" MAC "-app.log", "PlcmSpIp", "PlcmSpIp", 403},
		{"/0004f2000009-boot.log", "PlcmSpIp", "PlcmSpIp", 201}, {"/0004f2000009-boot.log", "201", "4071", 403},
		{"/" MAC ".cfg", "201", "4071", 403}, {"/000000000000.cfg", "201", "4071", 403}, {"/000000000000-directory.xml", "201", "4071", 403},
		{"/" MAC "/Extension_201.cfg", "201", "4071", 403}, {"/guest.cfg", "201", "4071", 403}, {"/x.ld", "201", "4071", 403}, {"/evil.sh", "201", "4071", 404},
	};
	unsigned kept = 0;
	for (size_t i = 0; i < sizeof puts_ / sizeof puts_[0]; i++) {
		int s = status_of(phone(&w, (struct ask){.method = HTTP_PUT, .path = puts_[i].path, .user = puts_[i].user, .password = puts_[i].password, .body = "x"}));
		if (s != puts_[i].status)
			fail_msg("%s by %s: %d", puts_[i].path, puts_[i].user ? puts_[i].user : "nobody", s);
		kept += s == 201;
	}
	assert_int_equal(w.uploads, kept);
	struct http_request rq = {.method = HTTP_PUT, .path = SPAN_LIT("/" MAC "-app.log")};
	assert_int_equal(service_body_limit(w.s, &rq), 1 << 20);
	rq.path = SPAN_LIT("/" MAC "-directory.xml");
	assert_int_equal(service_body_limit(w.s, &rq), 256 << 10);
	rq.path = SPAN_LIT("/evil.sh");
	assert_int_equal(service_body_limit(w.s, &rq), 0);
	world_free(&w);
}

static struct http_response file_of(struct world *w, const char *agent)
{
	assert_int_equal(status_of(phone(w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "4071", .agent = agent})), 200);
	return phone(w, (struct ask){.path = "/" MAC "/Extension_201.cfg", .user = "201", .password = "4071", .agent = agent});
}

static void impossible_matches_wait(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	struct http_response rs = file_of(&w, VVX);
	expect_attr(rs.body, "dialplan.impossibleMatchHandling", "3");
	expect_attr(rs.body, "dialplan.impossibleMatchHandling.timeOut", "4");
	http_response_free(&rs);
	rs = file_of(&w, SPIP);
	expect_attr(rs.body, "dialplan.impossibleMatchHandling", "2");
	assert_int_equal(attr(rs.body, "dialplan.impossibleMatchHandling.timeOut").seen, 0);
	http_response_free(&rs);
	world_free(&w);
}

static void trailing_hash_stays(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	struct http_response rs = file_of(&w, SPIP);
	expect_attr(rs.body, "dialplan.removeEndOfDial", "0");
	http_response_free(&rs);
	world_free(&w);
}

/* G107: either switch off, and the phone gets nothing but the reason. */
static void switched_off_gets_no_file(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "4071"})), 200);
	static const char *const off[] = {"{\"enabled\":false}", "{\"enabled\":true,\"sip_device\":false}"};
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(status_of(world_api(&w, HTTP_PATCH, "/api/v1/extensions/201", off[i], NULL)), 200);
		struct http_response rs = phone(&w, (struct ask){.path = "/" MAC "/Extension_201.cfg", .user = "201", .password = "4071"});
		assert_int_equal(rs.status, 403);
		assert_false(has(&rs, "password"));
		http_response_free(&rs);
	}
	assert_int_equal(status_of(world_api(&w, HTTP_PATCH, "/api/v1/extensions/201", "{\"sip_device\":true}", NULL)), 200);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC "/Extension_201.cfg", .user = "201", .password = "4071"})), 200);
	world_free(&w);
}

/* Z55: a new PIN leaves the device's secret as it was; G112: the PIN is not the SIP secret. */
static void a_new_pin_disturbs_no_registration(void **state)
{
	(void)state;
	struct world w;
	struct digest_ha1 before, pin;
	start(&w);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "4071"})), 200);
	before = site_device_by_mac(w.site, SPAN_LIT(MAC))->sip_ha1;
	digest_ha1_make(&pin, SPAN_LIT("201"), SPAN_LIT("strowger"), SPAN_LIT("4071"));
	assert_memory_not_equal(&before, &pin, sizeof pin);
	assert_int_equal(status_of(world_api(&w, HTTP_PATCH, "/api/v1/extensions/201", "{\"pin\":\"8362\"}", NULL)), 200);
	assert_memory_equal(&site_device_by_mac(w.site, SPAN_LIT(MAC))->sip_ha1, &before, sizeof before);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "4071"})), 401);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "8362"})), 200);
	world_free(&w);
}

static void weak_pins_are_refused(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	static const char *const weak[] = {"\"123\"", "\"123456789\"", "\"1111\"", "\"1234\"", "\"98765\"", "\"12a4\"", "\"\"", "4071", "null", "\"3003\""};
	for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++) {
		char body[128];
		snprintf(body, sizeof body, "{\"number\":\"3003\",\"pin\":%s}", weak[i]);
		struct http_response rs = world_api(&w, HTTP_POST, "/api/v1/extensions", body, NULL);
		if (rs.status != 422)
			fail_msg("PIN %s: %d", weak[i], rs.status);
		assert_true(has(&rs, "\"mend\":\"choose"));
		http_response_free(&rs);
	}
	assert_null(site_extension_find(w.site, SPAN_LIT("3003")));
	world_free(&w);
}

static void api_needs_the_token(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	static const struct { const char *auth; int status; } tries[] = {
		{NULL, 401}, {"Bearer ", 401}, {"Bearer token-of-the-tesT", 401}, {"Bearer token", 401}, {"Basic " WORLD_TOKEN, 401}, {"Bearer " WORLD_TOKEN, 200},
	};
	for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
		struct http_response rs;
		struct http_request rq = {.method = HTTP_GET, .path = SPAN_LIT("/api/v1/extensions"), .authorization = span_z(tries[i].auth)};
		service_handle(w.s, &rq, &rs);
		assert_int_equal(rs.status, tries[i].status);
		http_response_free(&rs);
	}
	world_free(&w);
}

static void changes_know_their_revision(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	struct http_response rs = world_api(&w, HTTP_GET, "/api/v1/extensions/201", NULL, NULL);
	assert_string_equal(header_of(&rs, "ETag"), "\"1\"");
	assert_false(has(&rs, "sealed"));
	http_response_free(&rs);
	assert_int_equal(status_of(world_api(&w, HTTP_PATCH, "/api/v1/extensions/201", "{\"name\":\"x\"}", "\"1\"")), 200);
	assert_int_equal(status_of(world_api(&w, HTTP_PATCH, "/api/v1/extensions/201", "{\"name\":\"y\"}", "\"1\"")), 409);
	assert_int_equal(status_of(world_api(&w, HTTP_PATCH, "/api/v1/extensions/201", "{\"name\":\"y\"}", "abc")), 409);
	assert_int_equal(status_of(world_api(&w, HTTP_POST, "/api/v1/extensions", "{\"number\":\"201\"}", NULL)), 409);
	assert_string_equal(site_extension_find(w.site, SPAN_LIT("201"))->row.name, "x");
	static const struct { const char *body; int status; } bad[] = {
		{"", 422}, {"[]", 400}, {"{", 400}, {"{\"number\":\"21\",\"name\":[]}", 422}, {"{\"number\":\"21\",\"colour\":\"red\"}", 422},
		{"{\"number\":\"2\"}", 422}, {"{\"number\":\"21\",\"ring_s\":1.5}", 422}, {"{\"number\":\"21\",\"pin_sealed\":\"00\"}", 422},
		{"{\"number\":\"21\",\"number\":\"22\"}", 400},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(status_of(world_api(&w, HTTP_POST, "/api/v1/extensions", bad[i].body, NULL)), bad[i].status);
	assert_int_equal(status_of(world_api(&w, HTTP_DELETE, "/api/v1/extensions/201", NULL, NULL)), 204);
	assert_int_equal(status_of(world_api(&w, HTTP_DELETE, "/api/v1/extensions/201", NULL, NULL)), 404);
	w.store_broken = true;
	assert_int_equal(status_of(world_api(&w, HTTP_PATCH, "/api/v1/extensions/202", "{\"name\":\"x\"}", NULL)), 507);
	world_free(&w);
}

/* Z20, G113: only a generic device has a secret that is shown, and only once. */
static void generic_secret_is_shown_once(void **state)
{
	(void)state;
	struct world w;
	struct digest_ha1 want;
	char secret[65] = "";
	start(&w);
	struct http_response rs = world_api(&w, HTTP_POST, "/api/v1/devices", "{\"extension\":\"202\",\"kind\":\"generic\"}", NULL);
	assert_int_equal(rs.status, 201);
	assert_true(has(&rs, "\"user\":\"202\"") && has(&rs, "\"realm\":\"strowger\""));
	ptrdiff_t at = span_find(rs.body, SPAN_LIT("\"secret\":\""));
	assert_true(at > 0);
	memcpy(secret, rs.body.p + at + 10, 20);
	http_response_free(&rs);
	digest_ha1_make(&want, SPAN_LIT("202"), SPAN_LIT("strowger"), span_z(secret));
	assert_memory_equal(&site_device_by_id(w.site, 1)->sip_ha1, &want, sizeof want);
	static const char *const paths[] = {"/api/v1/devices", "/api/v1/devices/1", "/api/v1/phones", "/api/v1/extensions", "/api/v1/settings"};
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		rs = world_api(&w, HTTP_GET, paths[i], NULL, NULL);
		assert_int_equal(rs.status, 200);
		assert_false(has(&rs, secret) || has(&rs, "secret") || has(&rs, "sealed") || has(&rs, "4071"));
		http_response_free(&rs);
	}
	static const struct { const char *body; int status; } more[] = {
		{"{\"extension\":\"202\",\"kind\":\"generic\",\"secret\":\"short\"}", 422}, {"{\"extension\":\"299\",\"kind\":\"generic\"}", 404},
		{"{\"extension\":\"202\",\"kind\":\"polycom\"}", 422}, {"{\"extension\":\"202\",\"kind\":\"generic\",\"mac\":\"0004f2000001\"}", 422},
		{"{\"extension\":\"202\",\"mac\":\"0004f2000001\"}", 201}, {"{\"extension\":\"202\",\"mac\":\"0004F2000001\"}", 422},
		{"{\"extension\":\"202\",\"kind\":\"generic\",\"secret\":\"longer-than-8\"}", 201},
	};
	for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
		assert_int_equal(status_of(world_api(&w, HTTP_POST, "/api/v1/devices", more[i].body, NULL)), more[i].status);
	assert_int_equal(status_of(world_api(&w, HTTP_DELETE, "/api/v1/devices/1", NULL, NULL)), 204);
	assert_int_equal(status_of(world_api(&w, HTTP_GET, "/api/v1/devices/1", NULL, NULL)), 404);
	world_free(&w);
}

static void phones_show_what_they_are(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/" MAC ".cfg", .user = "201", .password = "4071"})), 200);
	assert_int_equal(status_of(phone(&w, (struct ask){.path = "/0004f2000002.cfg", .user = "202", .password = "5820", .agent = SPIP})), 200);
	w.registrations = "[{\"device\":1,\"source\":\"192.0.2.50:5060/udp\",\"registered_ms\":1234567}]";
	struct http_response rs = world_api(&w, HTTP_GET, "/api/v1/phones", NULL, NULL);
	assert_int_equal(rs.status, 200);
	static const char *const want[] = {
		"\"number\":\"201\",\"status\":\"ACTIVE\"", "\"model\":\"VVX_410\"", "\"firmware\":\"5.4.2.6345\"", "\"mac\":\"" MAC "\"",
		"\"address\":\"192.0.2.50:5060/udp\"", "\"last_seen_ms\":1234567", "\"number\":\"202\",\"status\":\"INACTIVE\"", "\"model\":\"SPIP_650\"",
	};
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
		if (!has(&rs, want[i]))
			fail_msg("%s is not in %.*s", want[i], (int)rs.body.n, rs.body.p);
	http_response_free(&rs);
	world_free(&w);
}

static void sealed_text_opens_only_as_it_was(void **state)
{
	(void)state;
	const unsigned char nonce[12] = {1};
	char hex[256], plain[64];
	struct text h = TEXT_ARRAY(hex), p = TEXT_ARRAY(plain);
	assert_int_equal(seal(&world_key, "pin", SPAN_LIT("a secret"), nonce, &h), 0);
	assert_int_equal(unseal(&world_key, "pin", text_span(&h), &p), 0);
	assert_true(span_eqz(text_span(&p), "a secret"));
	assert_int_equal(unseal(&world_key, "device", text_span(&h), &p), -1);
	assert_int_equal(unseal(&world_key, "pin", span_sub(text_span(&h), 0, h.n - 2), &p), -1);
	for (size_t i = 0; i < h.n; i++) {
		char was = hex[i];
		hex[i] = was == '0' ? '1' : '0';
		assert_int_equal(unseal(&world_key, "pin", text_span(&h), &p), -1);
		hex[i] = was;
	}
}

static const struct test_case cases[] = {
	CASE(nobody_gets_a_challenge_only, "G34"),
	CASE(factory_phone_is_a_guest, "G36"),
	CASE(extension_and_pin_bind_the_phone, "G34 Z55"),
	CASE(secrets_only_for_their_own, "G34 Z55"),
	CASE(the_phone_moves_to_who_logs_in, "G34"),
	CASE(unknown_and_wrong_look_alike, "G34"),
	CASE(guessing_is_paused_and_locked, "G34 Z45"),
	CASE(optional_files_are_absent_at_once, ""),
	CASE(uploads_are_the_phones_own, ""),
	CASE(impossible_matches_wait, "Z56"),
	CASE(trailing_hash_stays, "Z57"),
	CASE(switched_off_gets_no_file, "G107"),
	CASE(a_new_pin_disturbs_no_registration, "Z55 G112"),
	CASE(weak_pins_are_refused, "G112 G113"),
	CASE(api_needs_the_token, ""),
	CASE(changes_know_their_revision, ""),
	CASE(generic_secret_is_shown_once, "Z20 G113"),
	CASE(phones_show_what_they_are, "G110"),
	CASE(sealed_text_opens_only_as_it_was, "G112"),
};
TEST_MAIN("service", cases)

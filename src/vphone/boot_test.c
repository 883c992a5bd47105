#include "harness/harness.h"
#include "vphone/rig.h"

#define MAC "0004f2aabb01"

static struct rig *one(const char *model)
{
	struct rig *r = rig_new();
	rig_phone(r, model, "0004F2AABB01", "201");
	rig_file(r, MAC ".cfg",
		 "<APPLICATION APP_FILE_PATH=\"fw/sip.ld\" CONFIG_FILES=\"users/mine.cfg, base.cfg\" LOG_FILE_DIRECTORY=\"logs\" "
		 "OVERRIDES_DIRECTORY=\"ov\"/>");
	rig_file(r, "users/mine.cfg", "<phone1 reg.1.address=\"201\" reg.1.label=\"first\" reg.1.server.1.address=\"10.0.0.1\"/>");
	rig_file(r, "base.cfg", "<x><y reg.1.label=\"second\" reg.1.displayName=\"Base\" call.offeringTimeOut=\"20\"/></x>");
	return r;
}

/* The order of section 2.3, stage by stage, in lower case, relative to the server's path and the directories. */
static void test_order_vvx(void **s)
{
	(void)s;
	struct rig *r = one("VVX410");
	rig_power(r, 0);
	rig_run_ms(r, 4000);
	assert_string_equal(r->p[0].http,
		"GET /0004f2aabb01.cfg U\nGET /fw/3111-46162-001.sip.ld U\nGET /fw/sip.ld U\nPUT /logs/0004f2aabb01-boot.log U\n"
		"GET /0004f2aabb01.cfg A\nGET /fw/3111-46162-001.sip.ld A\nGET /fw/sip.ld A\nGET /users/mine.cfg A\nGET /base.cfg A\n"
		"GET /ov/0004f2aabb01-phone.cfg A\nGET /ov/0004f2aabb01-web.cfg A\n"
		"GET /000000000000-license.cfg A\nGET /0004f2aabb01-license.cfg A\nGET /0004f2aabb01-calls.xml A\n"
		"GET /0004f2aabb01-directory.xml A\nGET /000000000000-directory.xml A\n"
		"HEAD /logs/0004f2aabb01-app.log A\nPUT /logs/0004f2aabb01-app.log A\n");
	assert_true(rig_view(r, 0).booted);
	assert_string_equal(rig_view(r, 0).label, "first"); /* the left-most file wins */
	rig_free(r);
}

static void test_master_names(void **s)
{
	(void)s;
	struct rig *r = rig_new();
	rig_phone(r, "SPIP650", MAC, "201");
	r->p[0].opts.server_url = "http://10.0.0.1/prov/special.cfg";
	rig_file(r, "prov/000000000000.cfg", "<APPLICATION/>");
	rig_power(r, 0);
	rig_run_ms(r, 4000);
	assert_non_null(strstr(r->p[0].http, "GET /prov/special.cfg U\nGET /prov/" MAC ".cfg U\nGET /prov/000000000000.cfg U\nPUT /prov/"));
	/* a 4.0.4 phone asks for no calls.xml */
	assert_null(strstr(r->p[0].http, "calls.xml"));
	assert_true(rig_view(r, 0).booted);
	rig_free(r);
}

static char seen_ua[2][160];
static void (*real_emit)(struct vphone_sink *, const struct vphone_out *);
static void spy(struct vphone_sink *s, const struct vphone_out *o)
{
	if (o->kind == VP_OUT_HTTP)
		span_copyz(o->http_user_agent, seen_ua[span_find(o->http_user_agent, SPAN_LIT("Updater")) < 0], sizeof seen_ua[0]);
	real_emit(s, o);
}

static void test_user_agents(void **s)
{
	(void)s;
	struct rig *r = one("VVX410");
	real_emit = rig_emit;
	r->p[0].sink.emit = spy;
	rig_power(r, 0);
	rig_run_ms(r, 4000);
	assert_string_equal(seen_ua[0], "FileTransport PolycomVVX-VVX_410-UA/5.7.2.21547 Type/Updater");
	assert_string_equal(seen_ua[1], "FileTransport PolycomVVX-VVX_410-UA/5.4.2.6345 Type/Application");
	assert_non_null(strstr(r->p[0].last_register, "User-Agent: Polycom/5.4.2.6345 PolycomVVX-VVX_410-UA/5.4.2.6345\r\n"));
	rig_free(r);
	r = one("SPIP650");
	r->p[0].sink.emit = spy;
	rig_power(r, 0);
	rig_run_ms(r, 4000);
	assert_string_equal(seen_ua[1], "FileTransport PolycomSoundPointIP-SPIP_650-UA/4.0.4.2906 Type/Application");
	assert_non_null(strstr(r->p[0].last_register, "User-Agent: PolycomSoundPointIP-SPIP_650-UA/4.0.4.2906\r\n"));
	rig_free(r);
}

/* No credentials first; factory ones when none were given; then the answer to the challenge. */
static void test_digest(void **s)
{
	(void)s;
	struct rig *r = one("VVX410");
	r->http_auth = true;
	rig_power(r, 0);
	rig_run_ms(r, 4000);
	assert_memory_equal(r->p[0].http, "GET /" MAC ".cfg U 401\nGET /" MAC ".cfg U\n", 2 * 25);
	assert_true(rig_view(r, 0).booted);
	assert_int_equal(rig_count(r->p[0].events, "download-failed"), 0);
	rig_free(r);
}

/* Three tries a second apart, then what is cached. */
static void test_wrong_password(void **s)
{
	(void)s;
	struct rig *r = one("VVX410");
	rig_power(r, 0);
	rig_run_ms(r, 4000);
	assert_string_equal(rig_view(r, 0).address, "201");
	r->http_auth = true;
	r->password = "changed";
	rig_clear(r, 0);
	r->p[0].tries_of_auth = 0;
	rig_power(r, 0);
	int64_t from = r->now_us;
	for (int i = 0; i < 100 && !rig_view(r, 0).booted; i++)
		rig_run_ms(r, 100);
	assert_true(rig_view(r, 0).booted);
	assert_int_equal(r->p[0].tries_of_auth, 3);
	assert_in_range(r->now_us - from, 4000000, 4200000); /* 2 s of power-up, then 1 s twice */
	assert_string_equal(rig_view(r, 0).address, "201");
	assert_int_equal(rig_count(r->p[0].events, "download-failed"), 1);
	rig_free(r);
}

/* Flash: the server is gone at the next boot, the configuration is still there; a factory reset takes it away. */
static void test_flash(void **s)
{
	(void)s;
	struct rig *r = one("VVX410");
	rig_power(r, 0);
	rig_run_ms(r, 4000);
	assert_true(r->p[0].flash_n > 0);
	r->http_down = true;
	rig_power(r, 0);
	rig_run_ms(r, 8000);
	struct vphone_view o = rig_view(r, 0);
	assert_true(o.booted && o.registered);
	assert_string_equal(o.label, "first");
	rig_do(r, 0, "factory-reset", "");
	rig_run_ms(r, 8000);
	o = rig_view(r, 0);
	assert_true(o.booted);
	assert_string_equal(o.address, "");
	rig_free(r);
}

/* What a file no longer says is forgotten at the next boot; a reboot goes through both stages again. */
static void test_reboot_forgets(void **s)
{
	(void)s;
	struct rig *r = one("VVX410");
	rig_power(r, 0);
	rig_run_ms(r, 4000);
	rig_file(r, "users/mine.cfg", "<a/>");
	rig_clear(r, 0);
	rig_do(r, 0, "reboot", "");
	rig_run_ms(r, 4000);
	assert_int_equal(rig_count(r->p[0].http, "GET /" MAC ".cfg"), 2);
	assert_string_equal(rig_view(r, 0).address, "");
	assert_int_equal(rig_view(r, 0).boots, 2);
	rig_free(r);
}

/* device.* holds with both switches only, and a change costs one more reboot. */
static void test_device(void **s)
{
	(void)s;
	struct rig *r = one("VVX410");
	rig_file(r, "base.cfg", "<d device.set=\"1\" device.prov.user=\"201\" device.prov.user.set=\"1\" device.prov.password=\"x\"/>");
	rig_power(r, 0);
	rig_run_ms(r, 9000);
	assert_int_equal(rig_view(r, 0).boots, 2);
	assert_true(rig_view(r, 0).booted);
	assert_non_null(strstr(r->p[0].events, "DEFECT T7.device-set device.prov.password"));
	r->http_auth = true;
	r->user = "201";
	rig_power(r, 0);
	rig_run_ms(r, 9000);
	assert_int_equal(rig_count(r->p[0].events, "download-failed"), 0);
	assert_int_equal(rig_view(r, 0).boots, 1);
	rig_free(r);
}

static void test_html(void **s)
{
	(void)s;
	struct rig *r = one("VVX410");
	rig_file(r, "base.cfg", "<!DOCTYPE html><html><body>Not found</body></html>");
	rig_file(r, "users/mine.cfg", "<a reg.1.address=\"201\"/>");
	rig_power(r, 0);
	rig_run_ms(r, 4000);
	assert_int_equal(rig_count(r->p[0].events, "DEFECT T10.html"), 1);
	rig_free(r);
}

static const struct test_case cases[] = {
	CASE(test_order_vvx, "V4 V12"), CASE(test_master_names, "V5"), CASE(test_user_agents, "V1"), CASE(test_digest, "V6"),
	CASE(test_wrong_password, "V6 V2"), CASE(test_flash, "V2"), CASE(test_reboot_forgets, "V2 V4"), CASE(test_device, "V13"),
	CASE(test_html, "V42"),
};
TEST_MAIN("vphone_boot", cases)

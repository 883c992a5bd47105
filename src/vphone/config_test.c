#include "harness/harness.h"
#include "vphone/machine.h"
#include "vphone/rig.h"

#define MAC "0004f2aabb01"

static struct rig *with(const char *config_files, const char *a, const char *b)
{
	static char master[512];
	struct rig *r = rig_new();
	rig_phone(r, "VVX410", MAC, "201");
	snprintf(master, sizeof master, "<APPLICATION CONFIG_FILES=\"%s\"/>", config_files);
	rig_file(r, MAC ".cfg", master);
	rig_file(r, "a.cfg", a);
	if (b)
		rig_file(r, "b.cfg", b);
	return r;
}

static void go(struct rig *r)
{
	rig_power(r, 0);
	rig_run_ms(r, 4000);
	assert_true(rig_view(r, 0).booted);
}

/* V8: any root, any depth; a duplicate attribute drops the file as a whole and the rest is used. */
static void test_parse(void **s)
{
	(void)s;
	struct rig *r = with("a.cfg, b.cfg", "<phone1 reg.1.address=\"999\" x=\"1\"><y a.b=\"1\" a.b=\"2\"/></phone1>",
			     "<anything><keyx2 ><deep reg.1.address =\"201\"/></keyx2><z reg.1.label=\"A &amp; B\"/></anything>");
	go(r);
	assert_string_equal(rig_view(r, 0).address, "201");
	assert_string_equal(rig_view(r, 0).label, "A & B");
	assert_int_equal(rig_count(r->p[0].events, "DEFECT T5.wellformed a.cfg line 1: duplicate attribute"), 1);
	rig_free(r);
}

static void test_values(void **s)
{
	(void)s;
	struct rig *r = with("a.cfg", "<a reg.1.address=\"201\" reg.1.server.1.address=\"10.0.0.1\" reg.1.server.1.expires=\"5\" "
				      "no.such.parameter=\"1\" feature.whatever=\"0\" linekey.1.index=\"1\" tone.dtmf.rfc2833Payload=\"200\"/>", NULL);
	go(r);
	assert_int_equal(rig_count(r->p[0].events, "DEFECT V8.unknown"), 1);
	assert_int_equal(rig_count(r->p[0].events, "DEFECT V8.range"), 2);
	assert_int_equal(rig_count(r->p[0].events, "DEFECT T8.case"), 1); /* lineKey is the name */
	assert_non_null(strstr(r->p[0].last_register, "Expires: 3600\r\n")); /* out of range: not used */
	char report[8192];
	struct text t = TEXT_ARRAY(report);
	vphone_report(r->p[0].v, &t);
	assert_true(text_end(&t));
	assert_non_null(strstr(report, "{\"rule\":\"V8.unknown\",\"count\":1,\"first\":\"a.cfg: no such parameter no.such.parameter\"}"));
	assert_non_null(strstr(report, "\"defects\":4"));
	rig_free(r);
}

/* V5a: the own model's suffix beats the plain name wherever it stands; other models' are not looked at. */
static void test_suffix(void **s)
{
	(void)s;
	struct rig *r = with("a.cfg, b.cfg", "<a reg.1.address=\"201\" reg.1.label=\"plain\" reg.1.label.SPIP650=\"other\"/>",
			     "<a reg.1.label.VVX410=\"mine\"/>");
	go(r);
	assert_string_equal(rig_view(r, 0).label, "mine");
	assert_int_equal(rig_count(r->p[0].events, "DEFECT"), 0);
	rig_free(r);
}

/* V10: left-most file, then web, then phone on top. */
static void test_precedence(void **s)
{
	(void)s;
	struct rig *r = with("a.cfg, b.cfg", "<a reg.1.address=\"1\" reg.1.label=\"a\"/>",
			     "<b reg.1.address=\"2\" reg.1.label=\"b\" reg.1.displayName=\"b\"/>");
	go(r);
	assert_string_equal(rig_view(r, 0).address, "1");
	rig_file(r, MAC "-web.cfg", "<PHONE_CONFIG><OVERRIDES reg.1.address=\"3\" reg.1.label=\"web\"/></PHONE_CONFIG>");
	rig_file(r, MAC "-phone.cfg", "<PHONE_CONFIG><OVERRIDES reg.1.address=\"4\"/></PHONE_CONFIG>");
	rig_power(r, 0);
	rig_run_ms(r, 4000);
	assert_string_equal(rig_view(r, 0).address, "4");
	assert_string_equal(rig_view(r, 0).label, "web");
	rig_free(r);
}

/* V9: attributes of any element, this model's beat the general ones, others' are ignored; substitutions. */
static void test_master(void **s)
{
	(void)s;
	struct rig *r = rig_new();
	rig_phone(r, "VVX410", MAC, "201");
	rig_file(r, MAC ".cfg",
		 "<APPLICATION><Software APP_FILE_PATH=\"x.ld\" APP_FILE_PATH_VVX410=\"y.ld\"/><Configuration CONFIG_FILES=\"general.cfg\"/>"
		 "<APPLICATION_VVX410 CONFIG_FILES_VVX410=\"dir/[PHONE_MAC_ADDRESS]-[PHONE_MODEL].cfg\"/>"
		 "<APPLICATION_SPIP650 CONFIG_FILES_SPIP650=\"spip.cfg\"/></APPLICATION>");
	rig_file(r, "dir/" MAC "-VVX410.cfg", "<a reg.1.address=\"201\"/>");
	go(r);
	assert_string_equal(rig_view(r, 0).address, "201");
	assert_non_null(strstr(r->p[0].http, "GET /3111-46162-001.y.ld U\nGET /y.ld U\n"));
	assert_null(strstr(r->p[0].http, "general.cfg"));
	assert_null(strstr(r->p[0].http, "spip.cfg"));
	rig_free(r);
}

/* What is not given is not done: no line, no registration. */
static void test_nothing_hidden(void **s)
{
	(void)s;
	struct rig *r = with("a.cfg", "<a feature.x=\"1\"/>", NULL);
	go(r);
	assert_int_equal(rig_view(r, 0).registers_sent, 0);
	rig_do(r, 0, "dial", "202");
	assert_non_null(strstr(r->p[0].events, "cannot-dial no line"));
	rig_free(r);
}

/* An entity bomb is refused before it grows. */
static void test_entities(void **s)
{
	(void)s;
	struct rig *r = with("a.cfg, b.cfg", "<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;\">]><a reg.1.address=\"&c;\"/>",
			     "<a reg.1.address=\"201\"/>");
	go(r);
	assert_string_equal(rig_view(r, 0).address, "201");
	assert_int_equal(rig_count(r->p[0].events, "entity declared"), 1);
	rig_free(r);
}

static void map_is(const char *map, const char *digits, enum vp_dm verdict, const char *send)
{
	struct vp_dm_result r;
	vp_digitmap(span_z(map), span_z(digits), &r);
	if (r.verdict != verdict || (send && strcmp(send, r.send) != 0))
		fail_msg("%s on %s: verdict %d send %s", map, digits, r.verdict, r.send);
}

/* Section 4: the examples of the facts. */
static void test_digitmap(void **s)
{
	(void)s;
	map_is("[2-9]11|0T", "9", VP_DM_MORE, NULL);
	map_is("[2-9]11|0T", "911", VP_DM_SEND, "911");
	map_is("[2-9]11|0T", "0", VP_DM_WAIT, "0");
	map_is("[2-9]11|0T", "1", VP_DM_IMPOSSIBLE, NULL);
	map_is("xxx.T", "12", VP_DM_WAIT, "12"); /* strict reading: two and more */
	map_is("xxx.T", "123456", VP_DM_WAIT, "123456");
	map_is("xx.", "1", VP_DM_SEND, "1"); /* the shortest match fires */
	map_is("[138]x", "48", VP_DM_IMPOSSIBLE, NULL);
	map_is("R9RRxxxxxxx", "95551234", VP_DM_SEND, "5551234");
	map_is("RR604Rxxxxxxx", "5551234", VP_DM_SEND, "6045551234");
	map_is("R9R604Rxxxxxxx", "95551234", VP_DM_SEND, "6045551234");
	map_is("R999R911R", "999", VP_DM_SEND, "911");
	map_is("xxR601R600Rxx", "1160122", VP_DM_SEND, "1160022");
	map_is("xR60xR600Rxxxxxxx", "16092345678", VP_DM_SEND, "16002345678");
	map_is("RR91R[2-9]xxxxxxxxxT", "4085979000", VP_DM_WAIT, "914085979000");
	map_is("#17|##[1-3]x", "#17", VP_DM_SEND, "#17");
	map_is("#17|##[1-3]x", "##2", VP_DM_MORE, NULL);
	map_is("", "1", VP_DM_IMPOSSIBLE, NULL);
	map_is("[2-|.x|RR", "1", VP_DM_IMPOSSIBLE, NULL); /* broken alternatives are passed over */
	struct vp_dm_result r;
	vp_digitmap(SPAN_LIT("9,xxxx|2xx"), SPAN_LIT("9"), &r);
	assert_true(r.verdict == VP_DM_MORE && r.second_tone);
	vp_digitmap(SPAN_LIT("9,xxxx|2xx"), SPAN_LIT("91"), &r);
	assert_false(r.second_tone);
}

static void keys(struct rig *r, const char *digits)
{
	for (; *digits; digits++)
		rig_do(r, 0, "key", (char[2]){*digits, 0});
}

/* Off the hook through the map with its timers; on the hook no map; soft keys by label. */
static void test_dialling(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	rig_file(r, "201.cfg", "<a reg.1.address=\"201\" reg.1.server.1.address=\"10.0.0.1\" dialplan.digitmap=\"R8RR2xx|9,xxx|[1-7]xxT\" "
			       "dialplan.digitmap.timeOut=\"3|3|2\"/>");
	rig_do(r, 0, "reboot", "");
	rig_run_ms(r, 4000);
	rig_do(r, 0, "offhook", "");
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_DIALTONE);
	keys(r, "202");
	rig_run_ms(r, 1900);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_DIALTONE);
	rig_run_ms(r, 300);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_RINGBACK);
	rig_do(r, 1, "softkey", "Answer");
	rig_run_ms(r, 300);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_CONNECTED);
	rig_do(r, 0, "onhook", "");
	rig_run_ms(r, 300);
	assert_int_equal(rig_view(r, 1).n_calls, 0);
	rig_do(r, 0, "offhook", "");
	keys(r, "8202"); /* 8 is taken off, at once */
	rig_run_ms(r, 300);
	assert_int_equal(rig_view(r, 1).call[0].state, VPC_RINGING);
	rig_do(r, 0, "onhook", "");
	rig_run_ms(r, 300);
	rig_do(r, 0, "offhook", "");
	keys(r, "9");
	assert_int_equal(rig_count(r->p[0].events, "second-dial-tone 9"), 1);
	keys(r, "*"); /* fits nothing: impossibleMatchHandling 0 sends */
	rig_run_ms(r, 300);
	assert_int_equal(rig_view(r, 0).call[0].last_status, 404);
	rig_do(r, 0, "onhook", "");
	/* on the hook nothing goes before Dial, and the map does not touch it */
	keys(r, "8202");
	rig_run_ms(r, 5000);
	assert_int_equal(rig_view(r, 0).n_calls, 0);
	rig_do(r, 0, "softkey", "Dial");
	rig_run_ms(r, 300);
	assert_non_null(strstr(r->p[0].last_invite, "INVITE sip:8202@"));
	rig_free(r);
}

static void test_screen(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	char buf[2048];
	struct text t = TEXT_ARRAY(buf);
	rig_do(r, 0, "dial", "202");
	rig_run_ms(r, 300);
	vphone_screen(r->p[1].v, &t);
	assert_true(text_end(&t));
	assert_non_null(strstr(buf, "Incoming call Ann 201"));
	assert_non_null(strstr(buf, "[Answer] [Reject]"));
	assert_non_null(strstr(buf, "(#) 202")); /* registered lamp */
	rig_free(r);
}

static const struct test_case cases[] = {
	CASE(test_parse, "V8"), CASE(test_values, "V8 V42"), CASE(test_suffix, "V5a"), CASE(test_precedence, "V10"), CASE(test_master, "V9"),
	CASE(test_nothing_hidden, ""), CASE(test_entities, ""), CASE(test_digitmap, "V25"), CASE(test_dialling, "V25 V40"),
	CASE(test_screen, "V40"),
};
TEST_MAIN("vphone_config", cases)

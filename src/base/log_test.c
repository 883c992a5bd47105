/* Events as lines, and the rules of what is written. */
#include "base/log_rules.h"
#include "base/text.h"
#include "harness/harness.h"

static bool wants(const struct log_rules *r, enum log_level l, const char *event, const char *key, const char *value)
{
	const struct log_field f[] = {LOG_Z(key, value)};
	return log_rules_want(r, l, event, f, 1);
}

/* A stranger's bytes cannot begin a line of their own, nor colour a terminal. */
static void strangers_bytes_are_escaped(void **state)
{
	(void)state;
	char line[512];
	struct text t = TEXT_ARRAY(line);
	const struct log_field f[] = {LOG_S("user", SPAN_LIT("x\r\nlevel=error event=forged \x1b[31m\x00\x7f\xff")), LOG_I("n", -3), LOG_Z("none", "")};
	log_format(&t, LOG_WARN, "auth.refused", f, 3);
	assert_false(t.over);
	assert_true(span_starts(text_span(&t), SPAN_LIT("level=warn event=auth.refused user=\"x\\u000d\\nlevel=error")));
	for (size_t i = 0; i < t.n; i++)
		assert_true((unsigned char)line[i] >= ' ');
	assert_true(span_find(text_span(&t), SPAN_LIT(" n=-3 none=\"\"")) > 0);
}

static void a_subsystem_has_its_own_level(void **state)
{
	(void)state;
	struct log_rules r = {.level = LOG_INFO};
	assert_int_equal(log_rules_subsystem(&r, SPAN_LIT("sip"), LOG_DEBUG), 0);
	assert_int_equal(log_rules_subsystem(&r, SPAN_LIT("http"), LOG_ERROR), 0);
	assert_true(log_rules_want(&r, LOG_DEBUG, "sip.message", NULL, 0));
	assert_false(log_rules_want(&r, LOG_DEBUG, "siphon.x", NULL, 0));
	assert_false(log_rules_want(&r, LOG_WARN, "http.refused", NULL, 0));
	assert_true(log_rules_want(&r, LOG_INFO, "call.ended", NULL, 0));
	assert_int_equal(log_rules_min(&r), LOG_DEBUG);
	assert_int_equal(log_rules_subsystem(&r, SPAN_LIT("sip"), LOG_WARN), 0);
	assert_int_equal(r.n_subsystem, 2);
	assert_int_equal(log_rules_min(&r), LOG_INFO);
}

static void one_phone_alone_is_traced(void **state)
{
	(void)state;
	struct log_rules r = {.level = LOG_WARN};
	assert_int_equal(log_rules_peer(&r, SPAN_LIT("192.0.2.7"), LOG_DEBUG, 100), 0);
	assert_int_equal(log_rules_peer(&r, SPAN_LIT("2001:db8::7"), LOG_DEBUG, 200), 0);
	assert_int_equal(log_rules_peer(&r, SPAN_LIT("201"), LOG_DEBUG, INT64_MAX), 0);
	assert_true(wants(&r, LOG_DEBUG, "sip.message", "source", "192.0.2.7:5060/udp"));
	assert_false(wants(&r, LOG_DEBUG, "sip.message", "source", "192.0.2.70:5060"));
	assert_true(wants(&r, LOG_DEBUG, "sip.message", "peer", "[2001:db8::7]:5060"));
	assert_false(wants(&r, LOG_DEBUG, "sip.message", "peer", "[2001:db8::7:1]:5060"));
	assert_false(wants(&r, LOG_DEBUG, "sip.message", "peer", "2001:db8::7:1"));
	assert_true(wants(&r, LOG_DEBUG, "call.started", "extension", "201"));
	assert_false(wants(&r, LOG_DEBUG, "call.started", "extension", "2011"));
	assert_false(wants(&r, LOG_DEBUG, "call.started", "agent", "201"));
	assert_int_equal(log_rules_expire(&r, 100), 200);
	assert_false(wants(&r, LOG_DEBUG, "sip.message", "source", "192.0.2.7:5060/udp"));
	assert_true(wants(&r, LOG_DEBUG, "x.y", "ext", "201"));
	assert_true(log_rules_peer_gone(&r, SPAN_LIT("201")));
	assert_false(log_rules_peer_gone(&r, SPAN_LIT("201")));
	assert_int_equal(log_rules_expire(&r, 200), INT64_MAX);
	assert_int_equal(log_rules_min(&r), LOG_WARN);
}

static void rules_are_bounded(void **state)
{
	(void)state;
	struct log_rules r = {.level = LOG_INFO};
	char name[16];
	for (int i = 0; i < LOG_MAX_PEERS + 1; i++) {
		struct text t = TEXT_ARRAY(name);
		text_fmt(&t, "p%d", i);
		assert_int_equal(log_rules_peer(&r, text_span(&t), LOG_DEBUG, 1), i < LOG_MAX_PEERS ? 0 : -1);
	}
	for (int i = 0; i < LOG_MAX_SUBSYSTEMS + 1; i++) {
		struct text t = TEXT_ARRAY(name);
		text_fmt(&t, "s%d", i);
		assert_int_equal(log_rules_subsystem(&r, text_span(&t), LOG_DEBUG), i < LOG_MAX_SUBSYSTEMS ? 0 : -1);
	}
	assert_int_equal(log_rules_subsystem(&r, SPAN_LIT("a b"), LOG_DEBUG), -1);
	assert_int_equal(log_rules_subsystem(&r, SPAN_LIT("much_too_long_a_name"), LOG_DEBUG), -1);
	assert_int_equal(log_rules_peer(&r, SPAN_LIT("\n"), LOG_DEBUG, 1), -1);
	assert_int_equal(log_rules_peer(&r, SPAN_LIT(""), LOG_DEBUG, 1), -1);
}

static const struct test_case cases[] = {
	CASE(strangers_bytes_are_escaped, ""),
	CASE(a_subsystem_has_its_own_level, ""),
	CASE(one_phone_alone_is_traced, ""),
	CASE(rules_are_bounded, ""),
};
TEST_MAIN("log", cases)

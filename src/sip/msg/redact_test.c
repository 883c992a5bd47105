/* No credential is shown to anybody. */
#include "sip/msg/redact.h"
#include "harness/harness.h"

static void redacted(const char *in, const char *out)
{
	char buf[512];
	size_t n = strlen(in);
	assert_int_equal(n, strlen(out));
	memcpy(buf, in, n);
	sip_redact(buf, n);
	assert_memory_equal(buf, out, n);
}

static void credentials_are_blotted(void **state)
{
	(void)state;
	redacted("REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username=\"1\"\r\nTo: <sip:1@x>\r\n\r\n",
		 "REGISTER sip:x SIP/2.0\r\nAuthorization: Digest ************\r\nTo: <sip:1@x>\r\n\r\n");
	redacted("a\nPROXY-AUTHORIZATION \t:Digest a,\r\n b=c\r\n\tc=d\r\nCall-ID: x\r\n",
		 "a\nPROXY-AUTHORIZATION \t:Digest **\r\n****\r\n****\r\nCall-ID: x\r\n");
	redacted("Authorization: secret", "Authorization: ******");
	redacted("Authorization:", "Authorization:");
	redacted("X-Authorization: shown", "X-Authorization: shown");
	redacted("a\r\n\r\nREGISTER sip:x SIP/2.0\r\nauthorization: Digest x=y\r\n", "a\r\n\r\nREGISTER sip:x SIP/2.0\r\nauthorization: Digest ***\r\n");
}

static void a_glance_needs_no_parser(void **state)
{
	(void)state;
	struct sip_glance g;
	sip_glance(&g, SPAN_LIT("OPTIONS sip:x SIP/2.0\r\nVia: v\r\ni: abc@x \r\nCall-ID: second\r\n\r\nbody: x\r\n"));
	assert_true(span_eqz(g.first, "OPTIONS sip:x SIP/2.0"));
	assert_true(span_eqz(g.headers, "Via: v\r\ni: abc@x \r\nCall-ID: second"));
	assert_true(span_eqz(g.call_id, "abc@x"));
	sip_glance(&g, SPAN_LIT("garbage"));
	assert_true(span_eqz(g.first, "garbage"));
	assert_int_equal(g.headers.n + g.call_id.n, 0);
	sip_glance(&g, SPAN_NONE);
	assert_int_equal(g.first.n + g.headers.n + g.call_id.n, 0);
}

static const struct test_case cases[] = {CASE(credentials_are_blotted, ""), CASE(a_glance_needs_no_parser, "")};
TEST_MAIN("redact", cases)

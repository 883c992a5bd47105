/* What a phone asks for when it transfers (S23, S67), how it takes what it is told, and INVITE with Replaces. */
#include "harness/harness.h"
#include "vphone/rig.h"

static struct rig *talking(void)
{
	struct rig *r = rig_pair();
	rig_do(r, 0, "dial", "202");
	rig_run_ms(r, 500);
	rig_do(r, 1, "answer", "");
	rig_run_ms(r, 1000);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_CONNECTED);
	r->log_sip = true;
	return r;
}

static void header_of(const char *msg, const char *name, char *dst, size_t cap)
{
	const char *at = strstr(msg, name);
	assert_non_null(at);
	at += strlen(name);
	snprintf(dst, cap, "%.*s", (int)strcspn(at, "\r\n"), at);
}

static void tag_of(const char *msg, const char *name, char *dst, size_t cap)
{
	char line[256];
	header_of(msg, name, line, sizeof line);
	char *tag = strstr(line, ";tag=");
	assert_non_null(tag);
	snprintf(dst, cap, "%s", tag + 5);
}

/* Blind: held first, no angle brackets. This far end does not do it: the call stays held. */
static void test_blind(void **s)
{
	(void)s;
	struct rig *r = talking();
	rig_do(r, 0, "blind", "203");
	rig_run_ms(r, 1000);
	const char *hold = strstr(r->sip_log, "INVITE sip:"), *refer = strstr(r->sip_log, "REFER sip:");
	assert_true(hold && refer && hold < refer);
	assert_non_null(strstr(refer, "\r\nRefer-To: sip:203@10.0.0.1\r\n"));
	assert_non_null(strstr(refer, "\r\nReferred-By: <sip:201@10.0.0.1>\r\n"));
	assert_null(strstr(refer, "Refer-Sub"));
	assert_int_equal(rig_count(r->p[0].events, "transfer-failed 501"), 1);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_HELD);
	rig_free(r);
}

/* Attended: in the dialog of the held call, naming the other one as its far end sees it. */
static void test_attended(void **s)
{
	(void)s;
	char want[300], from[64], to[64], call_id[128];
	struct rig *r = talking();
	rig_do(r, 0, "transfer", "202");
	rig_run_ms(r, 500);
	rig_do(r, 1, "answer", "");
	rig_run_ms(r, 1000);
	assert_int_equal(rig_view(r, 0).call[1].state, VPC_CONNECTED);
	tag_of(r->p[0].last_invite, "\r\nFrom: ", from, sizeof from);
	header_of(r->p[0].last_invite, "\r\nCall-ID: ", call_id, sizeof call_id);
	const char *answer = strstr(r->sip_log, "SIP/2.0 180");
	assert_non_null(answer);
	tag_of(answer, "\r\nTo: ", to, sizeof to);
	char *at = strchr(call_id, '@');
	snprintf(want, sizeof want, "\r\nRefer-To: <sip:202@10.0.0.1?Replaces=%.*s%%40%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\r\n", (int)(at - call_id), call_id,
		 at + 1, to, from);
	rig_do(r, 0, "transfer", "");
	rig_run_ms(r, 500);
	const char *refer = strstr(r->sip_log, "REFER sip:");
	assert_non_null(refer);
	if (!strstr(refer, want))
		fail_msg("not %s in %.1200s", want, refer);
	rig_free(r);
}

/* Somebody else takes the place of the caller: answered at once, the old call is ended. */
static void replace(struct rig *r, const char *replaces, const char *branch)
{
	char buf[2048], body[256];
	int n = snprintf(body, sizeof body, "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n");
	int len = snprintf(buf, sizeof buf, "INVITE sip:202@10.0.0.12 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=%s\r\nFrom: <sip:203@10.0.0.1>;tag=n%s\r\n"
		"To: <sip:202@10.0.0.1>\r\nCall-ID: new%s\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nAllow: INVITE\r\nContact: <sip:203@10.0.0.1>\r\nRequire: replaces\r\n"
		"Replaces: %s\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", branch, branch, branch, replaces, n, body);
	rig_send(r, &r->p[1].ip, span_mem(buf, (size_t)len), SIP_UDP);
	rig_run_ms(r, 300);
}

static void test_replaces(void **s)
{
	(void)s;
	struct rig *r = talking();
	char from[64], to[64], call_id[128], name[300], early[320];
	tag_of(r->p[1].last_200, "\r\nFrom: ", from, sizeof from);
	tag_of(r->p[1].last_200, "\r\nTo: ", to, sizeof to);
	header_of(r->p[1].last_200, "\r\nCall-ID: ", call_id, sizeof call_id);
	snprintf(name, sizeof name, "%s;to-tag=%s;from-tag=%s", call_id, to, from);
	snprintf(early, sizeof early, "%s;early-only", name);
	replace(r, "nobody;to-tag=1;from-tag=2", "z9hG4bKa");
	assert_non_null(strstr(r->sip_log, "SIP/2.0 481"));
	replace(r, early, "z9hG4bKb");
	assert_non_null(strstr(r->sip_log, "SIP/2.0 486"));
	replace(r, "broken", "z9hG4bKc");
	assert_non_null(strstr(r->sip_log, "SIP/2.0 400"));
	assert_int_equal(rig_view(r, 0).n_calls, 1);
	assert_int_equal(rig_view(r, 1).n_calls, 1);
	replace(r, name, "z9hG4bKd");
	assert_int_equal(rig_view(r, 0).n_calls, 0); /* it was told BYE */
	struct vphone_view b = rig_view(r, 1);
	assert_int_equal(b.n_calls, 1);
	assert_int_equal(b.call[0].state, VPC_CONNECTED);
	assert_true(span_eqz(b.call[0].peer_number, "203"));
	rig_free(r);
}

static const struct test_case cases[] = {
	CASE(test_blind, "V17a"), CASE(test_attended, "V20"), CASE(test_replaces, "V20"),
};
TEST_MAIN("vphone_transfer", cases)

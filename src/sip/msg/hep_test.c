/* Packets of HEPv3, byte for byte as the document says. */
#include "sip/msg/hep.h"
#include "harness/harness.h"

static struct addr at(const char *ip, uint16_t port)
{
	struct addr a;
	assert_int_equal(addr_parse(span_z(ip), port, &a), 0);
	return a;
}

static void a_packet_is_these_bytes(void **state)
{
	(void)state;
	static const char want[] =
		"HEP3\x00\x7c"
		"\0\0\0\x01\0\x07\x02"
		"\0\0\0\x02\0\x07\x11"
		"\0\0\0\x03\0\x0a\xc0\x00\x02\x07"
		"\0\0\0\x04\0\x0a\xc6\x33\x64\x09"
		"\0\0\0\x07\0\x08\x13\xc4"
		"\0\0\0\x08\0\x08\xeb\x28"
		"\0\0\0\x09\0\x0a\x6a\x42\xc8\x80"
		"\0\0\0\x0a\0\x0a\0\x01\xe2\x40"
		"\0\0\0\x0b\0\x07\x01"
		"\0\0\0\x0c\0\x0a\0\0\x07\xd1"
		"\0\0\0\x0e\0\x0a" "myHp"
		"\0\0\0\x0f\0\x0b" "BYE x"
		"\0\0\0\x11\0\x0a" "a@b1";
	char buf[256];
	struct text t = TEXT_ARRAY(buf);
	struct addr a = at("192.0.2.7", 5060), b = at("198.51.100.9", 60200);
	struct hep_packet p = {&a, &b, true, 1782761600123456, 2001, SPAN_LIT("myHp"), SPAN_LIT("a@b1"), SPAN_LIT("BYE x")};
	hep_put(&t, &p);
	assert_false(t.over);
	assert_int_equal(t.n, sizeof want - 1);
	assert_memory_equal(buf, want, sizeof want - 1);
}

static void six_over_tcp_without_key(void **state)
{
	(void)state;
	char buf[256];
	struct text t = TEXT_ARRAY(buf);
	struct addr a = at("2001:db8::7", 5061), none = {0};
	struct hep_packet p = {&none, &a, false, 0, 0, SPAN_NONE, SPAN_NONE, SPAN_LIT("x")};
	text_lit(&t, "before");
	hep_put(&t, &p);
	assert_false(t.over);
	assert_memory_equal(buf + 6 + 6, "\0\0\0\x01\0\x07\x0a\0\0\0\x02\0\x07\x06\0\0\0\x05\0\x16\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
					"\0\0\0\x06\0\x16\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 58);
	assert_int_equal((unsigned char)buf[10] << 8 | (unsigned char)buf[11], t.n - 6);
	assert_true(span_find(text_span(&t), span_mem("\0\0\0\x0e", 4)) < 0 && span_find(text_span(&t), span_mem("\0\0\0\x11", 4)) < 0);
}

static void credentials_do_not_leave(void **state)
{
	(void)state;
	char buf[512];
	struct text t = TEXT_ARRAY(buf);
	struct addr a = at("192.0.2.7", 5060);
	static const char msg[] = "REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username=\"201\", response=\"0123\"\r\n\r\n";
	struct hep_packet p = {&a, &a, true, 0, 0, SPAN_NONE, SPAN_LIT("c"), span_z(msg)};
	hep_put(&t, &p);
	assert_false(t.over);
	assert_true(span_find(text_span(&t), SPAN_LIT("response")) < 0);
	assert_true(span_find(text_span(&t), SPAN_LIT("Authorization: Digest ****")) > 0);
}

static void what_does_not_fit_is_over(void **state)
{
	(void)state;
	static char big[70000], buf[80000];
	struct addr a = at("192.0.2.7", 5060);
	struct hep_packet p = {&a, &a, true, 0, 0, SPAN_NONE, SPAN_NONE, span_mem(big, 65000)};
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = 'x';
	struct text t = TEXT_ARRAY(buf);
	hep_put(&t, &p);
	assert_false(t.over);
	for (size_t n = 65400; n < sizeof big; n += 23) {
		t = TEXT_ARRAY(buf);
		p.payload = span_mem(big, n);
		hep_put(&t, &p);
		assert_true(t.over || t.n <= HEP_PACKET_MAX);
		assert_true(!t.over || n > HEP_PACKET_MAX - 110);
	}
	for (size_t cap = 0; cap < 110; cap++) {
		t = text_on(buf, cap);
		p.payload = SPAN_LIT("BYE sip:x SIP/2.0\r\n\r\n");
		hep_put(&t, &p);
		assert_true(t.over);
	}
	t = TEXT_ARRAY(buf); /* a long Call-ID is cut */
	p.correlation = span_mem(big, 2000);
	hep_put(&t, &p);
	assert_false(t.over);
	assert_memory_equal(t.p + t.n - HEP_CORRELATION_MAX - 6, "\0\0\0\x11\x01\x05", 6);
}

static const struct test_case cases[] = {
	CASE(a_packet_is_these_bytes, ""), CASE(six_over_tcp_without_key, ""), CASE(credentials_do_not_leave, ""), CASE(what_does_not_fit_is_over, ""),
};
TEST_MAIN("hep", cases)

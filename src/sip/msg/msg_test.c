#include "harness/harness.h"

#include "base/assert.h"
#include "base/rng.h"
#include "sip/msg/build.h"
#include "sip/msg/cclass.h"
#include "sip/msg/frame.h"

#include <stdlib.h>
#include <string.h>

static struct sip_msg m;
static struct sip_error err;

#define VIA  "Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKabc;rport\r\n"
#define FROM "From: \"Ann\" <sip:100@pbx.example>;tag=f1\r\n"
#define TO   "To: <sip:101@pbx.example>\r\n"
#define REST "Call-ID: c1@192.0.2.7\r\nCSeq: 7 INVITE\r\n"
#define LINE "INVITE sip:101@pbx.example SIP/2.0\r\n"

static void ok(const char *z)
{
	if (sip_parse(&m, span_z(z), &err) < 0)
		fail_msg("%s at %zu", err.reason, err.offset);
}

static void refused(const char *z, int status)
{
	assert_int_equal(sip_parse(&m, span_z(z), &err), -1);
	assert_int_equal(err.status, status);
	assert_int_equal(err.answerable, status != 0);
}

static void request_fields(void **state)
{
	(void)state;
	ok("\r\n" LINE VIA "v: SIP/2.0/TCP [2001:db8::1];branch=x\r\n" FROM TO REST
	   "Max-Forwards: 70\r\nm: <sip:a@192.0.2.7>;q=0.5, \"b, c\" <sip:b@[::1]:5070;transport=tcp>\r\nExpires: 60\r\n"
	   "l: 3\r\n\r\nabcdef");
	assert_true(m.is_request && m.method == SIP_INVITE && m.cseq_method == SIP_INVITE);
	assert_true(span_eqz(m.ruri.user, "101") && span_eqz(m.ruri.host, "pbx.example"));
	assert_true(m.via.has_rport && m.via.port == 5062 && m.via.rport == 0);
	assert_true(span_eqz(m.call_id, "c1@192.0.2.7") && m.cseq == 7 && m.max_forwards == 70);
	assert_true(span_eqz(m.body, "abc"));
	assert_int_equal(sip_expires(&m), 60);
	struct sip_contact_iter it = {0};
	struct sip_nameaddr c;
	assert_int_equal(sip_contact_next(&m, SIP_H_CONTACT, &it, &c), 1);
	assert_int_equal(sip_contact_next(&m, SIP_H_CONTACT, &it, &c), 1);
	assert_true(c.uri.port == 5070 && span_eqz(c.display, "\"b, c\""));
	assert_int_equal(sip_contact_next(&m, SIP_H_CONTACT, &it, &c), 0);
}

static void refusals(void **state)
{
	(void)state;
	refused(LINE VIA FROM FROM TO REST "\r\n", 400);
	refused(LINE VIA FROM TO REST "no colon here\r\n\r\n", 400);
	refused(LINE VIA FROM TO REST ": no name\r\n\r\n", 400);
	refused(LINE VIA FROM TO TO REST "\r\n", 400);
	refused(LINE VIA FROM TO REST "i: other\r\n\r\n", 400);
	refused(LINE VIA FROM TO REST "CSeq: 7 INVITE\r\n\r\n", 400);
	refused(LINE VIA FROM TO REST "Max-Forwards: 1\r\nMax-Forwards: 1\r\n\r\n", 400);
	refused(LINE VIA FROM TO REST "Content-Length: -1\r\n\r\n", 400);
	refused(LINE VIA FROM TO REST "Content-Length: 18446744073709551617\r\n\r\n", 400);
	refused(LINE VIA FROM TO REST "Content-Length: 5\r\n\r\nabcd", 400);
	refused(LINE VIA FROM TO "Call-ID: x\r\nCSeq: 2147483648 INVITE\r\n\r\n", 400);
	refused("INVITE sip:a@b SIP/3.0\r\n" VIA FROM TO REST "\r\n", 505);
	refused("ACK sip:a@b SIP/3.0\r\n" VIA FROM TO REST "\r\n", 0);
	refused(LINE FROM TO REST "\r\n", 0); /* no Via: no way back */
	refused(LINE VIA FROM TO REST "No Token: x\r\n\r\n", 400);
	refused(LINE VIA FROM TO REST "Subject: bare\nContact: *\r\n\r\n", 400);
	refused("SIP/2.0 99 Low\r\n" VIA FROM TO REST "\r\n", 0);
	ok(LINE VIA FROM TO "Call-ID: x\r\nCSeq: 2147483647\r\n INVITE\r\n\r\n");
}

/* What the comparison with other parsers found (tests/differential): what two programs would read in two ways is refused,
 * what only looks odd is read. */
static void two_readings_are_refused(void **state)
{
	(void)state;
	struct sip_contact_iter it = {0};
	struct sip_nameaddr c;
	refused(LINE "Via: SIP/2.0/UDP h;branch=z9hG4bKa;branch=z9hG4bKb\r\n" FROM TO REST "\r\n", 400);
	refused(LINE "Via: SIP/2.0/UDP h;branch;branch=z9hG4bKb\r\n" FROM TO REST "\r\n", 400);
	refused(LINE VIA "From: <sip:a@b>;tag=1;tag=2\r\n" TO REST "\r\n", 400);
	refused(LINE VIA "From: <sip:a@b>;tag\r\n" TO REST "\r\n", 400);
	refused(LINE VIA FROM TO REST "Subject: a\rb\r\n\r\n", 400);
	refused(LINE VIA FROM TO REST "Subject: a\r\r\n\r\n", 400);
	refused(LINE VIA FROM "To: <+sip:a@b>\r\n" REST "\r\n", 400);
	ok(LINE VIA "From: sip:a@b;x=\"<,;>\";tag=1\r\n" TO REST "Contact: *, *\r\n\r\n");
	assert_true(span_eqz(m.from.tag, "1") && span_eqz(m.from.uri.host, "b") && m.from.display.n == 0);
	assert_int_equal(sip_contact_next(&m, SIP_H_CONTACT, &it, &c), -1); /* STAR stands alone */
}

static void every_name_is_known(void **state)
{
	(void)state;
	for (int i = SIP_H_VIA; i < SIP_H_COUNT; i++) {
		char low[32];
		const char *z = sip_hdr_name((enum sip_hdr_id)i);
		assert_int_equal(sip_hdr_of(span_z(z)), i);
		for (size_t k = 0; k <= strlen(z); k++)
			low[k] = ascii_lower(z[k]);
		assert_int_equal(sip_hdr_of(span_z(low)), i);
	}
	assert_int_equal(sip_hdr_of(SPAN_LIT("Vib")), SIP_H_OTHER);
	assert_int_equal(sip_hdr_of(SPAN_LIT("j")), SIP_H_OTHER);
	for (int i = SIP_INVITE; i <= SIP_PUBLISH; i++)
		assert_int_equal(sip_method_of(span_z(sip_method_name((enum sip_method)i))), i);
	assert_int_equal(sip_method_of(SPAN_LIT("invite")), SIP_OTHER_METHOD);
}

static struct sip_flow flow_from(const char *ip, uint16_t port)
{
	struct sip_flow f = {.transport = SIP_UDP};
	assert_int_equal(addr_parse(span_z(ip), port, &f.remote), 0);
	assert_int_equal(addr_parse(SPAN_LIT("192.0.2.1"), 5060, &f.local), 0);
	return f;
}

static void reply_golden(void **state)
{
	(void)state;
	char buf[1500];
	struct sip_flow f = flow_from("198.51.100.9", 1024);
	struct sip_build b = {TEXT_ARRAY(buf)};
	ok(LINE "Via: SIP/2.0/UDP 192.0.2.7:5062;received=6.6.6.6;branch=z9hG4bKabc;rport=1, SIP/2.0/UDP low\r\n" FROM TO
	   "Record-Route: <sip:p;lr>\r\n" REST "\r\n");
	sip_reply_begin(&b, &m, &f, 180, NULL, SPAN_LIT("t9"));
	sip_put_z(&b, SIP_H_CONTACT, "<sip:x@192.0.2.1>\r\nEvil: 1");
	assert_true(sip_finish(&b, NULL, SPAN_NONE) && text_end(&b.t));
	assert_string_equal(buf, "SIP/2.0 180 Ringing\r\n"
				 "Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKabc;received=198.51.100.9;rport=1024, SIP/2.0/UDP low\r\n"
				 "From: \"Ann\" <sip:100@pbx.example>;tag=f1\r\nTo: <sip:101@pbx.example>;tag=t9\r\n"
				 "Call-ID: c1@192.0.2.7\r\nCSeq: 7 INVITE\r\nRecord-Route: <sip:p;lr>\r\n"
				 "Contact: <sip:x@192.0.2.1>  Evil: 1\r\nContent-Length: 0\r\n\r\n");
}

static void ack_and_cancel(void **state)
{
	(void)state;
	char buf[1500];
	struct sip_msg answer;
	struct sip_build b = {TEXT_ARRAY(buf)};
	struct span invite = SPAN_LIT(LINE VIA "Route: <sip:p;lr>\r\n" FROM TO REST "\r\n");
	assert_int_equal(sip_parse(&answer, SPAN_LIT("SIP/2.0 486 Busy\r\n" VIA FROM "To: <sip:101@pbx.example>;tag=zz\r\n" REST "\r\n"), &err), 0);
	assert_int_equal(answer.method, SIP_INVITE);
	assert_true(sip_ack_for_error(&b, invite, &answer));
	assert_int_equal(sip_parse(&m, text_span(&b.t), &err), 0);
	assert_true(m.method == SIP_ACK && m.cseq == 7 && span_eqz(m.to.tag, "zz") && span_eqz(m.via.branch, "z9hG4bKabc"));
	assert_true(span_eqz(sip_hdr_value(&m, SIP_H_ROUTE), "<sip:p;lr>"));
	b.t = TEXT_ARRAY(buf);
	assert_true(sip_cancel_for(&b, invite));
	assert_int_equal(sip_parse(&m, text_span(&b.t), &err), 0);
	assert_true(m.method == SIP_CANCEL && m.to.tag.n == 0);
	b.t = text_on(buf, 40);
	assert_false(sip_cancel_for(&b, invite));
}

static bool equal(const char *x, const char *y)
{
	struct sip_uri a, b;
	assert_int_equal(sip_uri_parse(span_z(x), &a), 0);
	assert_int_equal(sip_uri_parse(span_z(y), &b), 0);
	assert_int_equal(sip_uri_equal(&a, &b), sip_uri_equal(&b, &a));
	return sip_uri_equal(&a, &b);
}

/* The pairs of RFC 3261 19.1.4. */
static void uri_equality(void **state)
{
	(void)state;
	assert_true(equal("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"));
	assert_true(equal("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
	assert_true(equal("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"));
	assert_true(equal("sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
			  "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"));
	assert_true(equal("sip:alice@atlanta.com?subject=project%20x&priority=urgent",
			  "sip:alice@atlanta.com?priority=urgent&subject=project%20x"));
	assert_false(equal("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
	assert_false(equal("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
	assert_false(equal("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
	assert_false(equal("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"));
	assert_false(equal("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
	assert_false(equal("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"));
	assert_true(equal("tel:+1-201-555-0123", "tel:+12015550123"));
}

static void uri_shapes(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "sip:", "sip:@h", "sip:a@", "sip:a@h:", "sip:a@h:70000", "sip:a@[::1", "sip:a b@h",
					  "sip:a%4@h", "sip:a%zz@h", "sip:a@b@c", "tel:", "1x:y", "sip:a@h>x", "nocolon", "sip:a@h:50x"};
	struct sip_uri u;
	struct addr a;
	char buf[32];
	struct text t = TEXT_ARRAY(buf);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (sip_uri_parse(span_z(bad[i]), &u) == 0)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(sip_uri_parse(SPAN_LIT("sips:*97#:pw@[2001:db8::5]:5061;lr;x=\x31?a=b"), &u), 0);
	assert_true(u.scheme == SIP_SCHEME_SIPS && span_eqz(u.user, "*97#") && span_eqz(u.password, "pw") && u.port == 5061);
	assert_true(span_eqz(u.params, ";lr;x=1") && span_eqz(u.headers, "?a=b"));
	assert_int_equal(sip_uri_addr(&u, 5060, &a), 0);
	assert_true(a.family == 6 && a.port == 5061);
	sip_escape_user(&t, SPAN_LIT("*97# \xc3\xa4"));
	assert_true(span_eqz(text_span(&t), "*97%23%20%C3%A4"));
	assert_true(span_eqz(sip_unescape(text_span(&t), (char[16]){0}, 16), "*97# \xc3\xa4"));
}

static void stream_is_cut(void **state)
{
	(void)state;
	static const char one[] = LINE VIA FROM TO REST "Content-Length : 4\r\n\r\nbody";
	char all[4 * sizeof one];
	struct text t = TEXT_ARRAY(all);
	text_lit(&t, "\r\n\r\n");
	text_z(&t, one);
	text_lit(&t, "\r\n");
	text_z(&t, one);
	text_put(&t, span_mem("\0\0\0\0", 4));
	text_z(&t, one);
	static const enum sip_frame_kind want[] = {SIP_FRAME_PING, SIP_FRAME_MESSAGE, SIP_FRAME_SKIP, SIP_FRAME_MESSAGE,
						   SIP_FRAME_SKIP, SIP_FRAME_MESSAGE};
	/* Whatever the pieces the bytes come in, the same frames come out. */
	for (size_t step = 1; step < 300; step += 7) {
		struct sip_framer f = {0};
		size_t from = 0, to = 0, used, k = 0;
		while (to < t.n || from < t.n) {
			to = to + step < t.n ? to + step : t.n;
			enum sip_frame_kind got;
			while ((got = sip_frame(&f, span_mem(all + from, to - from), 2000, &used)) != SIP_FRAME_MORE) {
				assert_true(k < 6);
				assert_int_equal(got, want[k++]);
				if (got == SIP_FRAME_MESSAGE)
					assert_int_equal(used, sizeof one - 1);
				from += used;
			}
		}
		assert_int_equal(k, 6);
	}
}

static void stream_is_refused(void **state)
{
	(void)state;
	size_t used;
	struct sip_framer f = {0};
	assert_int_equal(sip_frame(&f, SPAN_LIT(LINE VIA "\r\n"), 2000, &used), SIP_FRAME_BROKEN);
	assert_int_equal(sip_frame(&f, SPAN_LIT(LINE "l: 1\r\nContent-Length: 1\r\n\r\nx"), 2000, &used), SIP_FRAME_BROKEN);
	assert_int_equal(sip_frame(&f, SPAN_LIT(LINE "l: -1\r\n\r\nx"), 2000, &used), SIP_FRAME_BROKEN);
	assert_int_equal(sip_frame(&f, SPAN_LIT(LINE "l: 5000\r\n\r\n"), 2000, &used), SIP_FRAME_BROKEN);
	assert_int_equal(sip_frame(&f, SPAN_LIT(LINE VIA FROM TO), 20, &used), SIP_FRAME_BROKEN);
	assert_true(sip_is_keepalive(SPAN_LIT("\r\n\r\n")) && sip_is_keepalive(span_mem("\0\0\0\0", 4)));
	assert_false(sip_is_keepalive(SPAN_LIT("\r\nX")));
}

static struct span pick(struct rng *r, const char *set, char *dst, size_t most)
{
	size_t n = 1 + rng_below(r, most - 1), k = strlen(set);
	for (size_t i = 0; i < n; i++)
		dst[i] = set[rng_below(r, k)];
	return (struct span){dst, n};
}

/* What the builder writes of random parts, the parser reads back as it was. */
static void built_is_read_back(void **state)
{
	(void)state;
	struct rng r = rng_seed(4475, 3261);
	for (int round = 0; round < 3000; round++) {
		char buf[4000], ub[20], cb[30], bb[20], body[200], uri[64];
		struct sip_flow f = flow_from("203.0.113.5", (uint16_t)(1 + rng_below(&r, 65000)));
		struct sip_build b = {TEXT_ARRAY(buf)};
		struct text ut = TEXT_ARRAY(uri);
		enum sip_method method = (enum sip_method)(SIP_INVITE + rng_below(&r, SIP_PUBLISH));
		struct span user = pick(&r, "abcXYZ019-_.~*&=+$,;?/", ub, sizeof ub), branch = pick(&r, "abc0.-!%*_+", bb, sizeof bb);
		struct span call = pick(&r, "abc019@.-", cb, sizeof cb), bd = pick(&r, "v=0\r\n: ", body, sizeof body);
		uint32_t cseq = (uint32_t)rng_below(&r, 0x80000000u);
		text_lit(&ut, "sip:");
		sip_escape_user(&ut, user);
		text_lit(&ut, "@pbx.example:5070");
		sip_request_begin(&b, method, text_span(&ut), &f, branch);
		sip_head(&b, SIP_H_FROM);
		text_fmt(&b.t, "\"x, \\\"y\" <%.*s>;tag=a", SPAN_ARG(text_span(&ut)));
		sip_eol(&b);
		sip_head(&b, SIP_H_TO);
		text_fmt(&b.t, "<%.*s>", SPAN_ARG(text_span(&ut)));
		sip_eol(&b);
		sip_put(&b, SIP_H_CALL_ID, call);
		sip_head(&b, SIP_H_CSEQ);
		text_fmt(&b.t, "%u %s", cseq, sip_method_name(method));
		sip_eol(&b);
		assert_true(sip_finish(&b, "text/plain", bd));
		if (sip_parse(&m, text_span(&b.t), &err) < 0)
			fail_msg("round %d: %s at %zu", round, err.reason, err.offset);
		assert_true(m.method == method && m.cseq == cseq && span_eq(m.call_id, call) && span_eq(m.body, bd));
		assert_true(span_eq(m.ruri.user, user) && span_eq(m.from.uri.user, user) && m.to.uri.port == 5070);
		assert_true(span_eq(m.via.branch, branch) && m.via.has_rport);
		struct sip_framer fr = {0};
		size_t used;
		assert_int_equal(sip_frame(&fr, text_span(&b.t), sizeof buf, &used), SIP_FRAME_MESSAGE);
		assert_int_equal(used, m.raw.n);
	}
}

/* The table of classes says what RFC 3261 25.1 and the comments of its header say, for all 256 bytes. */
static void character_classes(void **state)
{
	(void)state;
	enum { ALNUM = 1, DIGITS = 2, PRINTABLE = 4, ALL = 8 };
	static const struct {
		unsigned set, base;
		const char *with, *without;
	} rows[] = {
		{CC_TOKEN, ALNUM, "-.!%*_+`'~", ""},
		{CC_HOST, ALNUM, "-._", ""},
		{CC_SCHEME, ALNUM, "+-.", "_"},
		{CC_USER, ALNUM, "-_.!~*'()&=+$,;?/%#", ""},
		{CC_USERKEEP, ALNUM, "-_.!~*'()&=+$,;?/", "%#"},
		{CC_PASSWORD, ALNUM, "-_.!~*'()&=+$,%", ""},
		{CC_URITAIL, ALNUM, "-_.!~*'()%[]/:&+$;=?,", ""},
		{CC_PVALUE, PRINTABLE, "", ",;\"<>"},
		{CC_OPAQUE, PRINTABLE, "", "\"<>"},
		{CC_TEL, DIGITS, "+-.()*#%ABCDEFabcdef", ""},
		{CC_RESERVED, 0, ";/?:@&=+$,", ""},
		{CC_PNAME, ALL, "", "=; \t\r\n"},
		{CC_PARAM, ALL, "", "; \t\r\n"},
		{CC_PLAIN, ALL, "", ",\"<"},
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (int c = 0; c < 256; c++) {
			bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), digit = c >= '0' && c <= '9';
			bool want = (rows[i].base & ALNUM && (alpha || digit)) || (rows[i].base & DIGITS && digit) ||
				    (rows[i].base & PRINTABLE && c > ' ' && c < 127) || rows[i].base & ALL;
			want = (want || (c && strchr(rows[i].with, c))) && !(c && strchr(rows[i].without, c));
			if (cc_has(rows[i].set, (char)c) != want)
				fail_msg("class %zu, byte %d: wanted %d", i, c, want);
		}
	}
	for (int c = 0; c < 256; c++)
		assert_int_equal(cc_has(CC_BLACK, (char)c), c > ' ');
}

/* Commas within quotes and <> part no elements, escapes within quotes end no quote; an end that is missing takes the rest. */
static void list_elements(void **state)
{
	(void)state;
	static const struct {
		const char *list, *items[3];
	} rows[] = {
		{"a, b ,c", {"a", "b", "c"}},
		{"\"x,\\\",y\" <sip:a,b@c>, d", {"\"x,\\\",y\" <sip:a,b@c>", "d"}},
		{"<a\",b>,c", {"<a\",b>", "c"}},
		{"<a<,>,b", {"<a<,>", "b"}},
		{"\"a\\\\\",b", {"\"a\\\\\"", "b"}},
		{"\"a,b", {"\"a,b"}},
		{"\"a\\\",b", {"\"a\\\",b"}},
		{"<a,b", {"<a,b"}},
		{",,a,\"\",", {"a", "\"\""}},
		{"a>,b", {"a>", "b"}},
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct span rest = span_z(rows[i].list), item;
		for (int k = 0; k < 3 && rows[i].items[k]; k++) {
			assert_true(sip_list_next(&rest, &item));
			if (!span_eqz(item, rows[i].items[k]))
				fail_msg("row %zu item %d: %.*s", i, k, (int)item.n, item.p);
		}
		assert_false(sip_list_next(&rest, &item));
	}
}

static const struct test_case cases[] = {
	CASE(request_fields, ""),
	CASE(refusals, "R19"),
	CASE(two_readings_are_refused, "R19"),
	CASE(every_name_is_known, ""),
	CASE(reply_golden, ""),
	CASE(ack_and_cancel, ""),
	CASE(uri_equality, ""),
	CASE(uri_shapes, ""),
	CASE(stream_is_cut, ""),
	CASE(stream_is_refused, "R19"),
	CASE(built_is_read_back, ""),
	CASE(character_classes, ""),
	CASE(list_elements, ""),
};
TEST_MAIN("msg", cases)

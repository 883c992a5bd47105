#include "harness/harness.h"

#include "sip/auth/auth.h"

#include "base/rng.h"
#include "base/text.h"

/* RFC 2617 3.5 */
static void rfc2617_mufasa(void **state)
{
	(void)state;
	struct digest_creds c;
	struct digest_ha1 ha1, wrong;
	assert_int_equal(digest_parse_creds(SPAN_LIT("Digest username=\"Mufasa\",\r\n realm=\"testrealm@host.com\",\r\n"
		" nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, nc=00000001,"
		" cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\","
		" opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""), &c), DIGEST_OK);
	digest_ha1_make(&ha1, SPAN_LIT("Mufasa"), SPAN_LIT("testrealm@host.com"), SPAN_LIT("Circle Of Life"));
	digest_ha1_make(&wrong, SPAN_LIT("Mufasa"), SPAN_LIT("testrealm@host.com"), SPAN_LIT("Circle Of life"));
	assert_true(digest_check(&c, &ha1, SPAN_LIT("GET"), false));
	assert_false(digest_check(&c, &wrong, SPAN_LIT("GET"), false));
	assert_false(digest_check(&c, &ha1, SPAN_LIT("PUT"), false));
	assert_true(span_eqz(c.opaque, "5ccc069c403ebaf9f0171e9517f40e41"));
	c.qop = SPAN_LIT("auth-int");
	assert_false(digest_check(&c, &ha1, SPAN_LIT("GET"), false));
}

/* RFC 7616 3.9.1, both algorithms */
static void rfc7616_mufasa(void **state)
{
	(void)state;
	static const char *const value[] = {
		"Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm=MD5,"
		" nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001,"
		" cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth,"
		" response=\"8ca523f5e9506fed4657c9700eebdbec\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
		"digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm=SHA-256,"
		" nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001,"
		" cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth,"
		" response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\"",
	};
	struct digest_ha1 ha1;
	digest_ha1_make(&ha1, SPAN_LIT("Mufasa"), SPAN_LIT("http-auth@example.org"), SPAN_LIT("Circle of Life"));
	for (size_t i = 0; i < 2; i++) {
		struct digest_creds c;
		assert_int_equal(digest_parse_creds(span_z(value[i]), &c), DIGEST_OK);
		assert_int_equal(c.alg, i ? DIGEST_SHA256 : DIGEST_MD5);
		assert_true(digest_check(&c, &ha1, SPAN_LIT("GET"), false));
		c.nc = SPAN_LIT("00000002");
		assert_false(digest_check(&c, &ha1, SPAN_LIT("GET"), false));
	}
}

/* What a Polycom phone writes: algorithm quoted or not, qop and nc bare, no opaque. */
static void polycom_answers_are_read(void **state)
{
	(void)state;
	struct digest_creds c;
	assert_int_equal(digest_parse_creds(SPAN_LIT("Digest username=\"1001\", realm=\"pbx\", nonce=\"abc\", qop=auth,"
		" cnonce=\"J5y3kQ\", nc=00000001, uri=\"sip:10.0.0.1:5060\","
		" response=\"00112233445566778899aabbccddeeff\", algorithm=MD5"), &c), DIGEST_OK);
	assert_true(span_eqz(c.nc, "00000001") && span_eqz(c.qop, "auth") && !c.opaque.p);
	assert_int_equal(digest_parse_creds(SPAN_LIT("Digest username=\"1001\",realm=\"pbx\",nonce=\"abc\",qop=\"auth\","
		"cnonce=\"J5y3kQ\",nc=00000001,uri=sip:10.0.0.1;transport=tcp,"
		"response=\"00112233445566778899AABBCCDDEEFF\",algorithm=\"MD5\""), &c), DIGEST_OK);
	assert_true(span_eqz(c.uri, "sip:10.0.0.1;transport=tcp") && c.alg == DIGEST_MD5);
}

static void malformed_is_refused(void **state)
{
	(void)state;
#define REST "realm=\"r\", nonce=\"n\", uri=\"sip:h\", response=\"00112233445566778899aabbccddeeff\""
	static const struct {
		const char *value;
		enum digest_parse want;
	} t[] = {
		{"", DIGEST_NOT_DIGEST},
		{"Basic QWxhZGRpbjpvcGVu", DIGEST_NOT_DIGEST},
		{"Digestusername=\"a\"", DIGEST_NOT_DIGEST},
		{"Digest", DIGEST_MALFORMED},
		{"Digest ,,,", DIGEST_MALFORMED},
		{"Digest username=\"a\", " REST, DIGEST_OK},
		{"Digest ,username=\"a\", ," REST ",", DIGEST_OK},
		{"Digest username=\"a, " REST, DIGEST_MALFORMED},
		{"Digest username=\"a\\", DIGEST_MALFORMED},
		{"Digest username=\"a\" " REST, DIGEST_MALFORMED},
		{"Digest username, " REST, DIGEST_MALFORMED},
		{"Digest =\"a\", " REST, DIGEST_MALFORMED},
		{"Digest username=, " REST, DIGEST_MALFORMED},
		{"Digest username=\"\", " REST, DIGEST_MALFORMED},
		{"Digest " REST, DIGEST_MALFORMED},
		{"Digest username=\"a\", username=\"b\", " REST, DIGEST_MALFORMED},
		{"Digest username=\"a\", qop=auth, " REST, DIGEST_MALFORMED},
		{"Digest username=\"a\", algorithm=SHA-256, " REST, DIGEST_MALFORMED},
		{"Digest username=\"a\", algorithm=MD5-sess, " REST, DIGEST_ALG_UNKNOWN},
		{"Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"12\"", DIGEST_MALFORMED},
	};
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct digest_creds c;
		if (digest_parse_creds(span_z(t[i].value), &c) != t[i].want)
			fail_msg("row %zu: %s", i, t[i].value);
	}
	struct digest_creds c = {.response = SPAN_LIT("0011223344556677889-aabbccddeeff"), .uri = SPAN_LIT("u")};
	struct digest_ha1 ha1 = {{0}, {0}};
	assert_false(digest_check(&c, &ha1, SPAN_LIT("GET"), true));
	char many[1024] = "Digest ";
	for (int i = 0; i < 64; i++)
		strcat(many, "a=b,");
	strcat(many, "username=\"a\"," REST);
	assert_int_equal(digest_parse_creds(span_z(many), &c), DIGEST_MALFORMED);
}

static void challenge_is_written_and_read(void **state)
{
	(void)state;
	char buf[256];
	struct text t = TEXT_ARRAY(buf);
	digest_challenge_write(&t, SPAN_LIT("pbx.example.net"), SPAN_LIT("0123"), DIGEST_MD5, false);
	assert_true(text_end(&t));
	assert_string_equal(buf, "Digest realm=\"pbx.example.net\", nonce=\"0123\", algorithm=MD5, qop=\"auth\"");
	t = TEXT_ARRAY(buf);
	digest_challenge_write(&t, SPAN_LIT("a \"b\"\r\nX: y"), SPAN_LIT("0123"), DIGEST_SHA256, true);
	assert_true(text_end(&t));
	assert_string_equal(buf, "Digest realm=\"a \\\"b\\\"  X: y\", nonce=\"0123\", algorithm=SHA-256, qop=\"auth\", stale=true");
	struct digest_challenge ch;
	assert_int_equal(digest_parse_challenge(span_z(buf), &ch), DIGEST_OK);
	assert_true(ch.qop_auth && ch.stale && ch.alg == DIGEST_SHA256 && span_eqz(ch.nonce, "0123"));
	assert_int_equal(digest_parse_challenge(SPAN_LIT("Digest realm=r, nonce=n, qop=\"auth-int, AUTH\""), &ch), DIGEST_OK);
	assert_true(ch.qop_auth && !ch.stale && ch.alg == DIGEST_MD5);
	assert_int_equal(digest_parse_challenge(SPAN_LIT("Digest realm=r, nonce=n, qop=\"auth-int\""), &ch), DIGEST_OK);
	assert_false(ch.qop_auth);
	assert_int_equal(digest_parse_challenge(SPAN_LIT("Digest realm=r"), &ch), DIGEST_MALFORMED);
	assert_int_equal(digest_parse_challenge(SPAN_LIT("Digest realm=r, nonce=n, algorithm=X"), &ch), DIGEST_ALG_UNKNOWN);
}

/* Both sides against each other, over algorithms, qop and odd names. */
static void answers_pass_the_check(void **state)
{
	(void)state;
	struct rng r = rng_seed(7, 2617);
	for (int i = 0; i < 2000; i++) {
		char user_b[16], pass_b[16], out_b[1024], ch_b[256];
		size_t un = 1 + rng_below(&r, 15), pn = rng_below(&r, 16);
		for (size_t k = 0; k < un; k++)
			user_b[k] = (char)(' ' + rng_below(&r, 94));
		for (size_t k = 0; k < pn; k++)
			pass_b[k] = (char)rng_below(&r, 256);
		struct span user = {user_b, un}, pass = {pass_b, pn}, realm = SPAN_LIT("pbx");
		struct text ct = TEXT_ARRAY(ch_b), out = TEXT_ARRAY(out_b);
		enum digest_alg alg = i & 1 ? DIGEST_SHA256 : DIGEST_MD5;
		digest_challenge_write(&ct, realm, SPAN_LIT("5f0011"), alg, false);
		struct digest_challenge ch;
		assert_int_equal(digest_parse_challenge(text_span(&ct), &ch), DIGEST_OK);
		ch.qop_auth = !(i & 2);
		struct digest_ha1 ha1, other;
		digest_ha1_make(&ha1, user, realm, pass);
		digest_ha1_make(&other, user, SPAN_LIT("pbx2"), pass);
		digest_answer(&out, &ch, user, &ha1, SPAN_LIT("REGISTER"), SPAN_LIT("sip:pbx"), (uint32_t)i + 1, SPAN_LIT("c0ffee"));
		assert_false(out.over);
		struct digest_creds c;
		assert_int_equal(digest_parse_creds(text_span(&out), &c), DIGEST_OK);
		assert_true(digest_check(&c, &ha1, SPAN_LIT("REGISTER"), true));
		assert_int_equal(digest_check(&c, &ha1, SPAN_LIT("REGISTER"), false), ch.qop_auth);
		assert_false(digest_check(&c, &other, SPAN_LIT("REGISTER"), true));
	}
}

static void nonce_is_bound_and_ages(void **state)
{
	(void)state;
	struct nonce_key k = {{1, 2, 3}}, k2 = {{1, 2, 4}};
	char buf[NONCE_MAX];
	struct text t = TEXT_ARRAY(buf);
	int64_t now = 1700000000000000, life = 60000000;
	struct span bind = SPAN_LIT("192.0.2.7");
	uint64_t id = 0, id2 = 0;
	nonce_make(&t, &k, now, bind);
	assert_false(t.over);
	struct span n = text_span(&t);
	assert_int_equal(nonce_check(n, &k, now, life, bind, &id), NONCE_GOOD);
	assert_int_equal(nonce_check(n, &k, now + life, life, bind, &id2), NONCE_GOOD);
	assert_true(id == id2 && id != 0);
	assert_int_equal(nonce_check(n, &k, now + life + 1, life, bind, &id), NONCE_STALE);
	assert_int_equal(nonce_check(n, &k, now - 1, life, bind, &id), NONCE_STALE);
	assert_int_equal(nonce_check(n, &k2, now, life, bind, &id), NONCE_FORGED);
	assert_int_equal(nonce_check(n, &k, now, life, SPAN_LIT("192.0.2.8"), &id), NONCE_FORGED);
	assert_int_equal(nonce_check(SPAN_NONE, &k, now, life, bind, &id), NONCE_FORGED);
	assert_int_equal(nonce_check(span_sub(n, 0, n.n - 1), &k, now, life, bind, &id), NONCE_FORGED);
	for (size_t i = 0; i < n.n; i++) {
		char was = buf[i];
		buf[i] = was == '0' ? '1' : '0';
		assert_int_equal(nonce_check(n, &k, now, life, bind, &id), NONCE_FORGED);
		buf[i] = was;
	}
	t = TEXT_ARRAY(buf);
	nonce_make(&t, &k, now + 1, bind);
	assert_int_equal(nonce_check(text_span(&t), &k, now + 1, life, bind, &id2), NONCE_GOOD);
	assert_true(id != id2);
}

/* Model: the set of all counts seen; the window may refuse old ones but never accept twice, and accepts all within 64. */
static void nc_is_accepted_once(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct rng r = rng_seed(seed, 64);
		struct nc_window w = {0};
		bool seen[2048] = {false};
		uint32_t high = 0;
		for (int i = 0; i < 1000; i++) {
			uint32_t base = high > 80 ? high - 80 : 0;
			uint32_t nc = base + (uint32_t)rng_below(&r, high - base + (i % 50 ? 4 : 100));
			if (nc >= 2048)
				break;
			char hex[8];
			struct text t = TEXT_ARRAY(hex);
			text_hex64(&t, nc, 8);
			bool want = nc > 0 && !seen[nc] && (nc > high || high - nc < 64);
			assert_int_equal(nc_accept(&w, 1, text_span(&t)), want);
			seen[nc] |= want;
			high = want && nc > high ? nc : high;
		}
		assert_true(high > 100);
	}
	struct nc_window w = {0};
	assert_true(nc_accept(&w, 5, SPAN_LIT("0000000A")));
	assert_false(nc_accept(&w, 5, SPAN_LIT("0000000a")));
	assert_true(nc_accept(&w, 6, SPAN_LIT("0000000a")));
	assert_true(nc_accept(&w, 6, SPAN_LIT("ffffffff")));
	assert_false(nc_accept(&w, 6, SPAN_LIT("0000000b")));
	assert_false(nc_accept(&w, 6, SPAN_LIT("1")));
	assert_false(nc_accept(&w, 6, SPAN_LIT("0000000g")));
	assert_false(nc_accept(&w, 6, SPAN_NONE));
}

static const struct test_case cases[] = {
	CASE(rfc2617_mufasa, ""), CASE(rfc7616_mufasa, ""), CASE(polycom_answers_are_read, ""),
	CASE(malformed_is_refused, ""), CASE(challenge_is_written_and_read, ""), CASE(answers_pass_the_check, ""),
	CASE(nonce_is_bound_and_ages, ""), CASE(nc_is_accepted_once, ""),
};
TEST_MAIN("sip/auth", cases)

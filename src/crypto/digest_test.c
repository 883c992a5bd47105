#include "harness/harness.h"

#include "crypto/digest.h"

#include "base/text.h"

#include <time.h>

static void assert_hex(const unsigned char *got, size_t n, const char *want)
{
	char buf[256];
	struct text t = TEXT_ARRAY(buf);
	text_hex(&t, got, n);
	assert_true(text_end(&t));
	assert_string_equal(buf, want);
}

static size_t unhex(const char *s, unsigned char *out)
{
	size_t n = 0;
	for (; s[0] && s[1]; s += 2)
		out[n++] = (unsigned char)(ascii_hex(s[0]) * 16 + ascii_hex(s[1]));
	return n;
}

/* RFC 1321 A.5; FIPS 180-4 */
static void digests_of_known_texts(void **state)
{
	(void)state;
	unsigned char out[32];
	crypto_md5(out, NULL, 0);
	assert_hex(out, 16, "d41d8cd98f00b204e9800998ecf8427e");
	const struct span abc[] = {SPAN_LIT("a"), SPAN_NONE, SPAN_LIT("bc")};
	crypto_md5(out, abc, 3);
	assert_hex(out, 16, "900150983cd24fb0d6963f7d28e17f72");
	crypto_sha256(out, abc, 3);
	assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	crypto_sha256(out, NULL, 0);
	assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231 cases 1, 2 and 6 */
static void hmac_vectors(void **state)
{
	(void)state;
	unsigned char key[131], out[32];
	memset(key, 0x0b, 20);
	struct span data = SPAN_LIT("Hi There");
	crypto_hmac_sha256(out, span_mem(key, 20), &data, 1);
	assert_hex(out, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	const struct span parts[] = {SPAN_LIT("what do ya want "), SPAN_LIT("for nothing?")};
	crypto_hmac_sha256(out, SPAN_LIT("Jefe"), parts, 2);
	assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof key);
	data = SPAN_LIT("Test Using Larger Than Block-Size Key - Hash Key First");
	crypto_hmac_sha256(out, span_mem(key, sizeof key), &data, 1);
	assert_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* RFC 5869 A.1 and A.3 */
static void hkdf_vectors(void **state)
{
	(void)state;
	unsigned char ikm[22], salt[13], info[10], out[42];
	memset(ikm, 0x0b, sizeof ikm);
	for (unsigned char i = 0; i < 13; i++)
		salt[i] = i;
	for (unsigned char i = 0; i < 10; i++)
		info[i] = (unsigned char)(0xf0 + i);
	crypto_hkdf(out, 42, span_mem(ikm, 22), span_mem(salt, 13), span_mem(info, 10));
	assert_hex(out, 42, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
	crypto_hkdf(out, 42, span_mem(ikm, 22), SPAN_NONE, SPAN_NONE);
	assert_hex(out, 42, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

/* McGrew & Viega, GCM test cases 13, 14 and 16 */
static void gcm_vectors(void **state)
{
	(void)state;
	unsigned char key[32] = {0}, iv[12] = {0}, out[80], back[80], plain[64], aad[20];
	assert_int_equal(crypto_gcm_seal(key, iv, SPAN_NONE, SPAN_NONE, out), 0);
	assert_hex(out, 16, "530f8afbc74536b9a963b4f1c4cb738b");
	memset(plain, 0, 16);
	assert_int_equal(crypto_gcm_seal(key, iv, SPAN_NONE, span_mem(plain, 16), out), 0);
	assert_hex(out, 32, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
	unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key);
	unhex("cafebabefacedbaddecaf888", iv);
	unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad);
	size_t n = unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
			 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39", plain);
	assert_int_equal(crypto_gcm_seal(key, iv, span_mem(aad, 20), span_mem(plain, n), out), 0);
	assert_hex(out + n, 16, "76fc6ece0f4e1768cddf8853bb2d551b");
	assert_int_equal(crypto_gcm_open(key, iv, span_mem(aad, 20), span_mem(out, n + 16), back), 0);
	assert_memory_equal(back, plain, n);
}

static void gcm_refuses_every_flipped_bit(void **state)
{
	(void)state;
	unsigned char key[32] = {7}, iv[12] = {9}, out[40], back[24];
	struct span aad = SPAN_LIT("row 12"), plain = SPAN_LIT("a secret of 24 bytes....");
	assert_int_equal(crypto_gcm_seal(key, iv, aad, plain, out), 0);
	for (size_t bit = 0; bit < sizeof out * 8; bit++) {
		out[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_int_equal(crypto_gcm_open(key, iv, aad, span_mem(out, sizeof out), back), -1);
		out[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	assert_int_equal(crypto_gcm_open(key, iv, SPAN_LIT("row 13"), span_mem(out, sizeof out), back), -1);
	assert_int_equal(crypto_gcm_open(key, iv, aad, span_mem(out, 15), back), -1);
	assert_int_equal(crypto_gcm_open(key, iv, aad, span_mem(out, sizeof out), back), 0);
}

/* The budget is 1 us; 10 us here, so that a loaded or sanitized machine does not fail it, yet a context made or an
 * algorithm fetched per call would be noticed in the number printed. */
static void md5_is_fast(void **state)
{
	(void)state;
	unsigned char out[16] = {0};
	struct timespec a, b;
	enum { N = 100000 };
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (int i = 0; i < N; i++) {
		const struct span parts[] = {span_mem(out, 16), SPAN_LIT(":0123456789012345678901234567890123456789:auth")};
		crypto_md5(out, parts, 2);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	double ns = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / N;
	print_message("md5 of 62 bytes: %.0f ns\n", ns);
	assert_true(ns < 10000);
}

static const struct test_case cases[] = {
	CASE(digests_of_known_texts, ""), CASE(hmac_vectors, ""), CASE(hkdf_vectors, ""), CASE(gcm_vectors, ""),
	CASE(gcm_refuses_every_flipped_bit, ""), CASE(md5_is_fast, ""),
};
TEST_MAIN("crypto", cases)

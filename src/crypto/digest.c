#include "crypto/digest.h"

#include "base/assert.h"

#include <openssl/evp.h>

/* Fetching an algorithm and making a context cost far more than a digest of 100 bytes. They are kept per thread: this
 * is a cache only, no result depends on what was computed before, so the callers stay pure. A thread's contexts live
 * until the process ends, or it says crypto_thread_end; threads are few and made at start. */
struct cache {
	EVP_MD *md5, *sha256;
	EVP_MD_CTX *md;
	EVP_CIPHER *gcm;
	EVP_CIPHER_CTX *cipher;
};

static _Thread_local struct cache kept;

static struct cache *cache(void)
{
	if (__builtin_expect(!kept.cipher, 0)) {
		/* RFC 3261 phones need MD5 for nothing but digests; a libcrypto without it cannot serve them. */
		INVARIANT((kept.md5 = EVP_MD_fetch(NULL, "MD5", NULL)));
		INVARIANT((kept.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL)));
		INVARIANT((kept.md = EVP_MD_CTX_new()));
		INVARIANT((kept.gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL)));
		INVARIANT((kept.cipher = EVP_CIPHER_CTX_new()));
	}
	return &kept;
}

void crypto_thread_end(void)
{
	EVP_CIPHER_CTX_free(kept.cipher);
	EVP_CIPHER_free(kept.gcm);
	EVP_MD_CTX_free(kept.md);
	EVP_MD_free(kept.sha256);
	EVP_MD_free(kept.md5);
	kept = (struct cache){0};
}

static void begin(EVP_MD_CTX *ctx, const EVP_MD *md)
{
	INVARIANT(EVP_DigestInit_ex2(ctx, md, NULL) == 1);
}

static void add(EVP_MD_CTX *ctx, const void *p, size_t n)
{
	if (n)
		INVARIANT(EVP_DigestUpdate(ctx, p, n) == 1);
}

static void add_parts(EVP_MD_CTX *ctx, const struct span *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(ctx, parts[i].p, parts[i].n);
}

static void end(EVP_MD_CTX *ctx, unsigned char *out)
{
	INVARIANT(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
}

void crypto_md5(unsigned char out[16], const struct span *parts, size_t n)
{
	struct cache *c = cache();
	begin(c->md, c->md5);
	add_parts(c->md, parts, n);
	end(c->md, out);
}

void crypto_sha256(unsigned char out[32], const struct span *parts, size_t n)
{
	struct cache *c = cache();
	begin(c->md, c->sha256);
	add_parts(c->md, parts, n);
	end(c->md, out);
}

/* RFC 2104 over the digest: libcrypto's own MAC objects take several times as long to set up as four blocks take. */
void crypto_hmac_sha256(unsigned char out[32], struct span key, const struct span *parts, size_t n)
{
	struct cache *c = cache();
	unsigned char pad[64] = {0}, inner[32];
	if (key.n > sizeof pad)
		crypto_sha256(pad, &key, 1);
	else if (key.n)
		memcpy(pad, key.p, key.n);
	for (size_t i = 0; i < sizeof pad; i++)
		pad[i] ^= 0x36;
	begin(c->md, c->sha256);
	add(c->md, pad, sizeof pad);
	add_parts(c->md, parts, n);
	end(c->md, inner);
	for (size_t i = 0; i < sizeof pad; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	begin(c->md, c->sha256);
	add(c->md, pad, sizeof pad);
	add(c->md, inner, sizeof inner);
	end(c->md, out);
	OPENSSL_cleanse(pad, sizeof pad);
}

void crypto_hkdf(void *out, size_t out_n, struct span key, struct span salt, struct span info)
{
	INVARIANT(out_n <= (size_t)255 * 32);
	unsigned char prk[32], block[32], counter = 0;
	crypto_hmac_sha256(prk, salt, &key, 1); /* an empty salt is a key of zeros, as RFC 5869 2.2 asks */
	for (size_t done = 0; done < out_n;) {
		counter++;
		const struct span parts[] = {span_mem(block, done ? sizeof block : 0), info, span_mem(&counter, 1)};
		crypto_hmac_sha256(block, span_mem(prk, sizeof prk), parts, COUNT_OF(parts));
		size_t n = out_n - done < sizeof block ? out_n - done : sizeof block;
		memcpy((unsigned char *)out + done, block, n);
		done += n;
	}
	OPENSSL_cleanse(prk, sizeof prk);
	OPENSSL_cleanse(block, sizeof block);
}

int crypto_gcm_seal(const unsigned char key[32], const unsigned char nonce[12], struct span aad, struct span plain,
		    unsigned char *out)
{
	struct cache *c = cache();
	EVP_CIPHER_CTX *x = c->cipher;
	int n = 0, rc = -1;
	if (plain.n > INT32_MAX / 2 || aad.n > INT32_MAX / 2)
		return -1;
	if (EVP_EncryptInit_ex2(x, c->gcm, key, nonce, NULL) != 1)
		goto out;
	if (aad.n && EVP_EncryptUpdate(x, NULL, &n, (const unsigned char *)aad.p, (int)aad.n) != 1)
		goto out;
	if (plain.n && EVP_EncryptUpdate(x, out, &n, (const unsigned char *)plain.p, (int)plain.n) != 1)
		goto out;
	if (EVP_EncryptFinal_ex(x, out + plain.n, &n) != 1)
		goto out;
	rc = EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, 16, out + plain.n) == 1 ? 0 : -1;
out:
	EVP_CIPHER_CTX_reset(x); /* the key schedule must not stay behind */
	return rc;
}

int crypto_gcm_open(const unsigned char key[32], const unsigned char nonce[12], struct span aad, struct span in,
		    unsigned char *out)
{
	struct cache *c = cache();
	EVP_CIPHER_CTX *x = c->cipher;
	unsigned char tag[16];
	int n = 0, rc = -1;
	if (in.n < sizeof tag || in.n > INT32_MAX / 2 || aad.n > INT32_MAX / 2)
		return -1;
	size_t body = in.n - sizeof tag;
	memcpy(tag, in.p + body, sizeof tag);
	if (EVP_DecryptInit_ex2(x, c->gcm, key, nonce, NULL) != 1)
		goto out;
	if (aad.n && EVP_DecryptUpdate(x, NULL, &n, (const unsigned char *)aad.p, (int)aad.n) != 1)
		goto out;
	if (body && EVP_DecryptUpdate(x, out, &n, (const unsigned char *)in.p, (int)body) != 1)
		goto out;
	if (EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, 16, tag) != 1)
		goto out;
	unsigned char last[16];
	rc = EVP_DecryptFinal_ex(x, last, &n) == 1 ? 0 : -1;
out:
	EVP_CIPHER_CTX_reset(x);
	if (rc != 0 && body)
		OPENSSL_cleanse(out, body); /* forged text must not be used by a caller that forgot to look */
	return rc;
}

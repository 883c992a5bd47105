/* crypto: wraps libcrypto; no randomness of its own. Layer 1, pure. All outputs are in the caller's buffers. */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "base/span.h"

/* Concatenation of parts is digested; no allocation per call (contexts are kept per thread). */
/* For a thread that ends before the process does: gives its contexts back. */
void crypto_thread_end(void);
void crypto_md5(unsigned char out[16], const struct span *parts, size_t n);
void crypto_sha256(unsigned char out[32], const struct span *parts, size_t n);
void crypto_hmac_sha256(unsigned char out[32], struct span key, const struct span *parts, size_t n);
/* HKDF-SHA-256 (RFC 5869). */
void crypto_hkdf(void *out, size_t out_n, struct span key, struct span salt, struct span info);
/* AES-256-GCM; out has n + 16 bytes (tag last). */
int crypto_gcm_seal(const unsigned char key[32], const unsigned char nonce[12], struct span aad, struct span plain, unsigned char *out)
	__attribute__((warn_unused_result));
/* in: ciphertext with tag; out has in.n - 16 bytes. -1: forged. */
int crypto_gcm_open(const unsigned char key[32], const unsigned char nonce[12], struct span aad, struct span in, unsigned char *out)
	__attribute__((warn_unused_result));

#endif

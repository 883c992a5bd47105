/* sip/auth: HTTP digest for SIP and for HTTP (RFC 2617, 7616, 8760, RFC 3261 22), both sides. Layer 2, pure.
 * MD5 and SHA-256, qop=auth; a stateless nonce; nc window. */
#ifndef SIP_AUTH_AUTH_H
#define SIP_AUTH_AUTH_H

#include "base/hash.h"
#include "base/text.h"

enum digest_alg { DIGEST_MD5, DIGEST_SHA256 };

struct digest_ha1 {
	unsigned char md5[16];    /* MD5(user:realm:password) */
	unsigned char sha256[32]; /* SHA-256 of the same */
};
void digest_ha1_make(struct digest_ha1 *out, struct span user, struct span realm, struct span password);

/* Authorization or Proxy-Authorization, parsed; spans point into the header value. */
struct digest_creds {
	struct span username, realm, nonce, uri, response, cnonce, opaque, qop, nc;
	enum digest_alg alg;
};
enum digest_parse { DIGEST_OK, DIGEST_NOT_DIGEST, DIGEST_MALFORMED, DIGEST_ALG_UNKNOWN };
enum digest_parse digest_parse_creds(struct span header_value, struct digest_creds *out);

/* WWW-Authenticate or Proxy-Authenticate, parsed. */
struct digest_challenge {
	struct span realm, nonce, opaque;
	enum digest_alg alg;
	bool qop_auth; /* offers qop=auth */
	bool stale;
};
enum digest_parse digest_parse_challenge(struct span header_value, struct digest_challenge *out);

/* True when the response in creds fits ha1 (constant-time compare). method: "REGISTER"; creds without qop are accepted
 * as RFC 2069 only when allow_no_qop. */
bool digest_check(const struct digest_creds *c, const struct digest_ha1 *ha1, struct span method, bool allow_no_qop);

/* Writes an Authorization value answering ch. nc counts from 1 for each nonce. */
void digest_answer(struct text *t, const struct digest_challenge *ch, struct span user, const struct digest_ha1 *ha1,
		   struct span method, struct span uri, uint32_t nc, struct span cnonce);

/* Stateless nonce: time in microseconds (also the salt) and a MAC over it and `bind` (the source's address, with the realm
 * when several realms share a key, or empty). 40 hex digits. */
struct nonce_key {
	unsigned char k[32];
};
enum { NONCE_MAX = 64 };
void nonce_make(struct text *t, const struct nonce_key *k, int64_t now_us, struct span bind);
enum nonce_state { NONCE_GOOD, NONCE_STALE, NONCE_FORGED };
/* id: a number that identifies this nonce, for the nc window. */
enum nonce_state nonce_check(struct span nonce, const struct nonce_key *k, int64_t now_us, int64_t life_us, struct span bind,
			     uint64_t *id);

/* Window of nonce counts seen for one (nonce, user): a count is accepted once; the last 64 below the highest may still come. */
struct nc_window {
	uint64_t nonce_id;
	uint32_t high;
	uint64_t seen; /* bit i: high - i was seen */
};
/* True when nc is new for this nonce (and notes it); a new nonce_id starts the window anew. nc_text: 8 hex digits. */
bool nc_accept(struct nc_window *w, uint64_t nonce_id, struct span nc_text);

/* Writes a challenge value: Digest realm="..", nonce="..", algorithm=.., qop="auth"[, stale=true]. */
void digest_challenge_write(struct text *t, struct span realm, struct span nonce, enum digest_alg alg, bool stale);

#endif

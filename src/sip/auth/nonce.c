#include "sip/auth/auth.h"

#include "base/assert.h"
#include "crypto/digest.h"

/* 14 hex digits of time, 26 of MAC. The time in microseconds doubles as the salt: two nonces of one microsecond and one
 * source may be equal, which the nc window of each user keeps apart. The MAC is HMAC-SHA-256 cut to 104 bits (RFC 2104 5)
 * and not SipHash: a nonce is seen by strangers without limit, and 64 bits are few for a key that lives for weeks. */
enum { TIME_DIGITS = 14, MAC_BYTES = 13, NONCE_LEN = TIME_DIGITS + 2 * MAC_BYTES };

static void mac_of(unsigned char out[32], const struct nonce_key *k, struct span time_hex, struct span bind)
{
	const struct span parts[] = {SPAN_LIT("nonce:"), time_hex, bind}; /* fixed lengths before bind: no ambiguity */
	crypto_hmac_sha256(out, span_mem(k->k, sizeof k->k), parts, COUNT_OF(parts));
}

void nonce_make(struct text *t, const struct nonce_key *k, int64_t now_us, struct span bind)
{
	char buf[TIME_DIGITS];
	struct text time = TEXT_ARRAY(buf);
	unsigned char mac[32];
	text_hex64(&time, (uint64_t)now_us & 0xffffffffffffff, TIME_DIGITS);
	mac_of(mac, k, text_span(&time), bind);
	text_put(t, text_span(&time));
	text_hex(t, mac, MAC_BYTES);
}

enum nonce_state nonce_check(struct span nonce, const struct nonce_key *k, int64_t now_us, int64_t life_us, struct span bind,
			     uint64_t *id)
{
	if (nonce.n != NONCE_LEN)
		return NONCE_FORGED;
	unsigned char mac[32];
	char want[2 * MAC_BYTES];
	struct text t = TEXT_ARRAY(want);
	struct span time_hex = span_sub(nonce, 0, TIME_DIGITS);
	mac_of(mac, k, time_hex, bind);
	text_hex(&t, mac, MAC_BYTES);
	if (!span_eq_ct(text_span(&t), span_sub(nonce, TIME_DIGITS, nonce.n)))
		return NONCE_FORGED;
	int64_t made_us = 0;
	for (size_t i = 0; i < TIME_DIGITS; i++)
		made_us = made_us * 16 + ascii_hex(nonce.p[i]); /* ours, as the MAC says: digits only */
	/* One from the future is ours too, of a time before the clock was set back. */
	if (made_us > now_us || now_us - made_us > life_us)
		return NONCE_STALE;
	memcpy(id, mac, sizeof *id);
	return NONCE_GOOD;
}

bool nc_accept(struct nc_window *w, uint64_t nonce_id, struct span nc_text)
{
	uint32_t nc = 0;
	if (nc_text.n != 8)
		return false;
	for (size_t i = 0; i < 8; i++) {
		int d = ascii_hex(nc_text.p[i]);
		if (d < 0)
			return false;
		nc = nc << 4 | (uint32_t)d;
	}
	if (nc == 0)
		return false;
	if (w->nonce_id != nonce_id || w->high == 0) {
		*w = (struct nc_window){nonce_id, nc, 1};
		return true;
	}
	if (nc > w->high) {
		uint32_t by = nc - w->high;
		w->seen = by < 64 ? w->seen << by | 1 : 1;
		w->high = nc;
		return true;
	}
	uint32_t back = w->high - nc;
	if (back >= 64 || w->seen >> back & 1)
		return false;
	w->seen |= (uint64_t)1 << back;
	return true;
}

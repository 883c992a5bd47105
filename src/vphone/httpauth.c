/* Credentials for HTTP and for REGISTER: section 2.7 "Auth", point V6; digest by sip/auth. */
#include "vphone/machine.h"

static bool take_one(struct vp_challenge *c, struct span value, bool *stale)
{
	struct digest_challenge d;
	if (digest_parse_challenge(value, &d) != DIGEST_OK)
		return false;
	if (d.realm.n >= sizeof c->realm || d.nonce.n >= sizeof c->nonce || d.opaque.n >= sizeof c->opaque)
		return false;
	bool same = c->set && !c->basic && span_eqz(d.nonce, c->nonce);
	uint32_t nc = same ? c->nc : 0;
	*c = (struct vp_challenge){.alg = d.alg, .qop = d.qop_auth, .set = true, .nc = nc};
	vp_copyz(c->realm, sizeof c->realm, d.realm);
	vp_copyz(c->nonce, sizeof c->nonce, d.nonce);
	vp_copyz(c->opaque, sizeof c->opaque, d.opaque);
	*stale = d.stale;
	return true;
}

/* MD5 is what these firmwares speak; Basic when nothing else is offered. */
bool vp_challenge_take(struct vp_challenge *c, struct span values, bool *stale)
{
	struct span rest = values;
	*stale = false;
	while (rest.p) {
		struct vp_challenge t = *c;
		if (take_one(&t, span_trim(span_cut(&rest, '\n')), stale) && t.alg == DIGEST_MD5) {
			*c = t;
			return true;
		}
	}
	rest = values;
	while (rest.p)
		if (span_istarts(span_trim(span_cut(&rest, '\n')), SPAN_LIT("Basic"))) {
			*c = (struct vp_challenge){.set = true, .basic = true};
			return true;
		}
	return false;
}

static void put_base64(struct text *t, struct span s)
{
	static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *b = (const unsigned char *)s.p;
	for (size_t i = 0; i < s.n; i += 3) {
		size_t left = s.n - i;
		uint32_t w = (uint32_t)b[i] << 16 | (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) | (left > 2 ? b[i + 2] : 0);
		text_putc(t, abc[w >> 18 & 63]);
		text_putc(t, abc[w >> 12 & 63]);
		text_putc(t, left > 1 ? abc[w >> 6 & 63] : '=');
		text_putc(t, left > 2 ? abc[w & 63] : '=');
	}
}

void vp_challenge_answer(struct vphone *v, struct vp_challenge *c, struct text *t, struct span user, struct span password,
			 struct span method, struct span uri)
{
	if (c->basic) {
		char up[256];
		struct text u = TEXT_ARRAY(up);
		text_put(&u, user);
		text_putc(&u, ':');
		text_put(&u, password);
		text_z(t, "Basic ");
		put_base64(t, text_span(&u));
		return;
	}
	struct digest_challenge d = {.realm = span_z(c->realm), .nonce = span_z(c->nonce), .opaque = span_z(c->opaque), .alg = c->alg, .qop_auth = c->qop};
	struct digest_ha1 ha1;
	char cn[17];
	struct text cnonce = TEXT_ARRAY(cn);
	digest_ha1_make(&ha1, user, d.realm, password);
	text_hex64(&cnonce, rng_u64(&v->rng), 16);
	digest_answer(t, &d, user, &ha1, method, uri, ++c->nc, text_span(&cnonce));
}

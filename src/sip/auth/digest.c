#include "sip/auth/auth.h"

#include "base/assert.h"
#include "crypto/digest.h"
#include "sip/auth/params.h"

enum { HEX_MAX = 64 };
#define COLON SPAN_LIT(":")

static size_t alg_bytes(enum digest_alg alg)
{
	return alg == DIGEST_MD5 ? 16 : 32;
}

static void alg_digest(enum digest_alg alg, unsigned char *out, const struct span *parts, size_t n)
{
	if (alg == DIGEST_MD5)
		crypto_md5(out, parts, n);
	else
		crypto_sha256(out, parts, n);
}

void digest_ha1_make(struct digest_ha1 *out, struct span user, struct span realm, struct span password)
{
	const struct span parts[] = {user, COLON, realm, COLON, password};
	crypto_md5(out->md5, parts, COUNT_OF(parts));
	crypto_sha256(out->sha256, parts, COUNT_OF(parts));
}

static bool alg_parse(struct span s, enum digest_alg *out)
{
	if (span_ieqz(s, "MD5"))
		*out = DIGEST_MD5;
	else if (span_ieqz(s, "SHA-256"))
		*out = DIGEST_SHA256;
	else
		return false; /* "-sess" and SHA-512-256 too: never offered by us */
	return true;
}

struct want {
	struct span name;
	struct span *to;
};

/* Fills the wanted parameters; a name given twice is an attack or a bug, never a choice of ours. */
static enum digest_parse collect(struct span value, const struct want *want, size_t n_want)
{
	uint32_t seen = 0;
	struct span rest = value, name, v;
	if (!auth_scheme_digest(&rest))
		return DIGEST_NOT_DIGEST;
	for (int i = 0;; i++) {
		int rc = auth_param_next(&rest, &name, &v);
		if (rc == 0)
			return i ? DIGEST_OK : DIGEST_MALFORMED;
		if (rc < 0 || i == AUTH_MAX_PARAMS)
			return DIGEST_MALFORMED;
		for (size_t k = 0; k < n_want; k++) {
			/* length and first letter tell nearly all of them apart */
			if (name.n != want[k].name.n || ((name.p[0] ^ want[k].name.p[0]) & 0xdf) || !span_ieq(name, want[k].name))
				continue;
			if (seen & 1u << k)
				return DIGEST_MALFORMED;
			seen |= 1u << k;
			*want[k].to = v;
			break;
		}
	}
}

enum digest_parse digest_parse_creds(struct span header_value, struct digest_creds *out)
{
	struct digest_creds c = {.alg = DIGEST_MD5};
	struct span alg = SPAN_NONE;
	const struct want want[] = {
		{SPAN_LIT("username"), &c.username}, {SPAN_LIT("realm"), &c.realm}, {SPAN_LIT("nonce"), &c.nonce}, {SPAN_LIT("uri"), &c.uri},
		{SPAN_LIT("response"), &c.response}, {SPAN_LIT("cnonce"), &c.cnonce}, {SPAN_LIT("opaque"), &c.opaque}, {SPAN_LIT("qop"), &c.qop},
		{SPAN_LIT("nc"), &c.nc}, {SPAN_LIT("algorithm"), &alg},
	};
	enum digest_parse rc = collect(header_value, want, COUNT_OF(want));
	if (rc != DIGEST_OK)
		return rc;
	if (alg.p && !alg_parse(alg, &c.alg))
		return DIGEST_ALG_UNKNOWN;
	if (!c.username.n || !c.realm.p || !c.nonce.n || !c.uri.n || c.response.n != alg_bytes(c.alg) * 2)
		return DIGEST_MALFORMED;
	if (c.qop.n && (!c.nc.n || !c.cnonce.p))
		return DIGEST_MALFORMED;
	*out = c;
	return DIGEST_OK;
}

enum digest_parse digest_parse_challenge(struct span header_value, struct digest_challenge *out)
{
	struct digest_challenge c = {.alg = DIGEST_MD5};
	struct span alg = SPAN_NONE, qop = SPAN_NONE, stale = SPAN_NONE;
	const struct want want[] = {
		{SPAN_LIT("realm"), &c.realm}, {SPAN_LIT("nonce"), &c.nonce}, {SPAN_LIT("opaque"), &c.opaque},
		{SPAN_LIT("algorithm"), &alg}, {SPAN_LIT("qop"), &qop}, {SPAN_LIT("stale"), &stale},
	};
	enum digest_parse rc = collect(header_value, want, COUNT_OF(want));
	if (rc != DIGEST_OK)
		return rc;
	if (alg.p && !alg_parse(alg, &c.alg))
		return DIGEST_ALG_UNKNOWN;
	if (!c.realm.p || !c.nonce.n)
		return DIGEST_MALFORMED;
	while (qop.p)
		c.qop_auth |= span_ieqz(span_trim(span_cut(&qop, ',')), "auth");
	c.stale = span_ieqz(stale, "true");
	*out = c;
	return DIGEST_OK;
}

struct digest_input {
	enum digest_alg alg;
	struct span method, uri, nonce, nc, cnonce, qop;
};

static void response_of(unsigned char out[32], const struct digest_ha1 *ha1, const struct digest_input *in)
{
	char hex1[HEX_MAX], hex2[HEX_MAX];
	struct text a1 = TEXT_ARRAY(hex1), a2 = TEXT_ARRAY(hex2);
	size_t n = alg_bytes(in->alg);
	const struct span p2[] = {in->method, COLON, in->uri};
	alg_digest(in->alg, out, p2, COUNT_OF(p2));
	text_hex(&a2, out, n);
	text_hex(&a1, in->alg == DIGEST_MD5 ? ha1->md5 : ha1->sha256, n);
	const struct span with_qop[] = {text_span(&a1), COLON, in->nonce, COLON, in->nc, COLON, in->cnonce, COLON,
					in->qop, COLON, text_span(&a2)};
	const struct span without[] = {text_span(&a1), COLON, in->nonce, COLON, text_span(&a2)};
	if (in->qop.n)
		alg_digest(in->alg, out, with_qop, COUNT_OF(with_qop));
	else
		alg_digest(in->alg, out, without, COUNT_OF(without));
}

bool digest_check(const struct digest_creds *c, const struct digest_ha1 *ha1, struct span method, bool allow_no_qop)
{
	if (c->qop.n ? !span_ieqz(c->qop, "auth") : !allow_no_qop)
		return false;
	unsigned char want[32], got[32];
	size_t n = alg_bytes(c->alg);
	if (c->response.n != n * 2)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = ascii_hex(c->response.p[2 * i]), lo = ascii_hex(c->response.p[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		got[i] = (unsigned char)(hi * 16 + lo);
	}
	const struct digest_input in = {c->alg, method, c->uri, c->nonce, c->nc, c->cnonce, c->qop};
	response_of(want, ha1, &in);
	return span_eq_ct(span_mem(want, n), span_mem(got, n));
}

/* A quoted string of text that is not one yet. CR and LF would end the header. */
static void put_quoted(struct text *t, struct span s)
{
	text_putc(t, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			text_putc(t, '\\');
		text_putc(t, s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0 ? ' ' : s.p[i]);
	}
	text_putc(t, '"');
}

/* One taken from a quoted string: its escapes are still there. */
static void put_param(struct text *t, const char *name, struct span as_it_stood)
{
	text_z(t, name);
	text_lit(t, "=\"");
	text_put(t, as_it_stood);
	text_putc(t, '"');
}

static const char *alg_name(enum digest_alg alg)
{
	return alg == DIGEST_MD5 ? "MD5" : "SHA-256";
}

void digest_answer(struct text *t, const struct digest_challenge *ch, struct span user, const struct digest_ha1 *ha1,
		   struct span method, struct span uri, uint32_t nc, struct span cnonce)
{
	char nc_hex[8];
	struct text nct = TEXT_ARRAY(nc_hex);
	text_hex64(&nct, nc, 8);
	struct digest_input in = {ch->alg, method, uri, ch->nonce, SPAN_NONE, SPAN_NONE, SPAN_NONE};
	if (ch->qop_auth) {
		in.nc = text_span(&nct);
		in.cnonce = cnonce;
		in.qop = SPAN_LIT("auth");
	}
	unsigned char resp[32];
	response_of(resp, ha1, &in);
	text_lit(t, "Digest username=");
	put_quoted(t, user);
	put_param(t, ", realm", ch->realm);
	put_param(t, ", nonce", ch->nonce);
	put_param(t, ", uri", uri);
	text_lit(t, ", response=\"");
	text_hex(t, resp, alg_bytes(ch->alg));
	text_lit(t, "\", algorithm=");
	text_z(t, alg_name(ch->alg));
	if (ch->qop_auth) {
		put_param(t, ", cnonce", cnonce);
		text_lit(t, ", qop=auth, nc=");
		text_put(t, in.nc);
	}
	if (ch->opaque.p)
		put_param(t, ", opaque", ch->opaque);
}

void digest_challenge_write(struct text *t, struct span realm, struct span nonce, enum digest_alg alg, bool stale)
{
	text_lit(t, "Digest realm=");
	put_quoted(t, realm);
	put_param(t, ", nonce", nonce);
	text_lit(t, ", algorithm=");
	text_z(t, alg_name(alg));
	text_lit(t, ", qop=\"auth\"");
	if (stale)
		text_lit(t, ", stale=true");
}

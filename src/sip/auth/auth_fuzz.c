/* Bytes as a header value: parsed as credentials and as a challenge; what parses is checked and answered. */
#include "sip/auth/auth.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct span part, struct span whole)
{
	INVARIANT(!part.p || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_mem(data, size);
	struct digest_creds c;
	struct digest_challenge ch;
	struct digest_ha1 ha1 = {{1}, {2}};
	struct nonce_key k = {{3}};
	struct nc_window w = {0};
	uint64_t id = 0;
	if (digest_parse_creds(in, &c) == DIGEST_OK) {
		const struct span all[] = {c.username, c.realm, c.nonce, c.uri, c.response, c.cnonce, c.opaque, c.qop, c.nc};
		for (size_t i = 0; i < COUNT_OF(all); i++)
			inside(all[i], in);
		(void)digest_check(&c, &ha1, SPAN_LIT("REGISTER"), true);
		(void)nonce_check(c.nonce, &k, 1, 1, SPAN_NONE, &id);
		if (nc_accept(&w, id, c.nc))
			INVARIANT(!nc_accept(&w, id, c.nc));
	}
	if (digest_parse_challenge(in, &ch) == DIGEST_OK) {
		inside(ch.realm, in);
		inside(ch.nonce, in);
		inside(ch.opaque, in);
		static char buf[16384];
		struct text t = TEXT_ARRAY(buf);
		digest_answer(&t, &ch, SPAN_LIT("u\"1"), &ha1, SPAN_LIT("REGISTER"), SPAN_LIT("sip:h"), 1, SPAN_LIT("cn"));
		/* What we write, we must read. */
		INVARIANT(t.over || digest_parse_creds(text_span(&t), &c) == DIGEST_OK);
		INVARIANT(t.over || digest_check(&c, &ha1, SPAN_LIT("REGISTER"), true));
	}
	return 0;
}

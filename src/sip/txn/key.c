#include "sip/txn/layer.h"

#include "base/assert.h"
#include "base/rng.h"

/* Parts are written one behind the other with their lengths; long ones as two hashes, so that any fits. */
enum { PART_MAX = 48, PARTS_MAX = 6 };
struct key_input {
	unsigned char b[PARTS_MAX * (PART_MAX + 3)];
	size_t n;
};

static void add(const struct txn_layer *l, struct key_input *in, struct span s, bool fold_case)
{
	unsigned char *at = in->b + in->n;
	INVARIANT(in->n + PART_MAX + 3 <= sizeof in->b);
	at[0] = (unsigned char)(s.n & 0xff);
	at[1] = (unsigned char)(s.n >> 8 & 0xff);
	at[2] = s.n > PART_MAX;
	in->n += 3;
	if (s.n > PART_MAX) {
		uint64_t h[2] = {siphash(&l->key, s.p, s.n), siphash(&l->key2, s.p, s.n)};
		memcpy(at + 3, h, sizeof h);
		in->n += sizeof h;
		return;
	}
	for (size_t i = 0; i < s.n; i++)
		at[3 + i] = (unsigned char)(fold_case ? ascii_lower(s.p[i]) : s.p[i]);
	in->n += s.n;
}

static void add_u32(const struct txn_layer *l, struct key_input *in, uint32_t v)
{
	add(l, in, span_mem(&v, sizeof v), false);
}

static struct txn_key key_of(const struct txn_layer *l, const struct key_input *in)
{
	return (struct txn_key){{siphash(&l->key, in->b, in->n), siphash(&l->key2, in->b, in->n)}};
}

/* RFC 3261 17.2.3. Without the cookie the branch is not unique (RFC 2543): Request-URI, Call-ID, From tag, CSeq and the
 * whole top Via stand for it. The To tag is left out, since the ACK of an INVITE carries the one that we gave. */
struct txn_key txn_server_key(const struct txn_layer *l, const struct sip_msg *m, bool as_invite)
{
	struct key_input in = {.n = 0};
	struct span method = as_invite ? SPAN_LIT("INVITE") : m->method_name, branch = m->via.branch;
	add(l, &in, method, false);
	if (branch.n > 7 && span_istarts(branch, SPAN_LIT("z9hG4bK"))) {
		add(l, &in, branch, false);
		add(l, &in, m->via.host, true);
		add_u32(l, &in, m->via.port);
	} else {
		add(l, &in, m->ruri_text, false);
		add(l, &in, m->call_id, false);
		add(l, &in, m->from.tag, false);
		add(l, &in, m->via.value, false);
		add_u32(l, &in, m->cseq);
	}
	return key_of(l, &in);
}

struct txn_key txn_client_key(const struct txn_layer *l, struct span branch, struct span method)
{
	struct key_input in = {.n = 0};
	add(l, &in, SPAN_LIT("c "), false); /* no method holds a space: client and server keys differ */
	add(l, &in, branch, false);
	add(l, &in, method, false);
	return key_of(l, &in);
}

uint64_t txn_tag_hash(const struct txn_layer *l, struct span tag)
{
	return siphash(&l->key, tag.p, tag.n);
}

/* sip_request_begin writes the Via right after the request line; a caller may have put other headers between. */
bool txn_sent_head(struct span bytes, struct span *method, struct span *branch)
{
	ptrdiff_t sp = span_chr(bytes, ' ');
	struct span rest = bytes;
	if (sp <= 0)
		return false;
	*method = span_sub(bytes, 0, (size_t)sp);
	(void)span_cut(&rest, '\n');
	while (rest.p && rest.n) {
		struct span line = span_trim(span_cut(&rest, '\n'));
		if (!line.n)
			return false;
		if (!span_istarts(line, SPAN_LIT("Via:")) && !span_istarts(line, SPAN_LIT("v:")))
			continue;
		ptrdiff_t at = span_find(line, SPAN_LIT(";branch="));
		if (at < 0)
			return false;
		struct span b = span_sub(line, (size_t)at + 8, line.n);
		size_t n = 0;
		while (n < b.n && b.p[n] != ';' && b.p[n] != ',' && b.p[n] > ' ')
			n++;
		*branch = span_sub(b, 0, n);
		return n > 0;
	}
	return false;
}

struct span sip_branch(struct rng *r, char buf[32])
{
	struct text t = text_on(buf, 32);
	text_lit(&t, "z9hG4bK");
	text_hex64(&t, rng_u64(r), 16);
	return text_span(&t);
}

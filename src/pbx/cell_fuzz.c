/* A cell with two registered phones and a call between them is fed messages cut from the input; what stands in it as
 * %T (our tag), %C (Call-ID of the call) is filled in, so that the dialog is reached. Afterwards the cell must be sound. */
#include "base/assert.h"
#include "pbx/cell.h"

#include <stdlib.h>

struct catcher {
	struct cell_sink sink;
	char tag[64];
	struct media_cmd closes[64];
	int n_closes;
};

static void emit(struct cell_sink *s, const struct cell_out *out)
{
	struct catcher *k = (struct catcher *)(void *)s;
	if (out->kind == CELL_OUT_MEDIA && out->u.media->op == MEDIA_CLOSE && k->n_closes < 64)
		k->closes[k->n_closes++] = *out->u.media;
	if (out->kind != CELL_OUT_SIP)
		return;
	ptrdiff_t to = span_find(out->u.sip.bytes, SPAN_LIT("\r\nTo: "));
	if (to < 0)
		return;
	struct span line = span_sub(out->u.sip.bytes, (size_t)to + 2, out->u.sip.bytes.n);
	line = span_sub(line, 0, (size_t)span_chr(line, '\r'));
	ptrdiff_t tag = span_find(line, SPAN_LIT(";tag="));
	if (tag >= 0)
		(void)span_copyz(span_sub(line, (size_t)tag + 5, line.n), k->tag, sizeof k->tag);
}

static struct site *make_site(void)
{
	struct site_settings st = {0};
	site_settings_defaults(&st);
	struct site *s = site_new(&st);
	for (int i = 0; i < 2; i++) {
		struct site_extension e = {0};
		struct site_device d = {0};
		extension_defaults(&e.row);
		device_defaults(&d.row);
		memcpy(e.row.number, i ? "202" : "201", 4);
		memcpy(d.row.extension, e.row.number, 4);
		d.row.id = (uint64_t)i + 1;
		digest_ha1_make(&d.sip_ha1, span_z(e.row.number), SPAN_LIT("strowger"), SPAN_LIT("secret"));
		d.has_secret = true;
		struct site *next = site_with_extension(s, &e);
		site_unref(s);
		s = site_with_device(next, &d);
		site_unref(next);
	}
	return s;
}

static struct sip_flow flow_of(uint16_t port)
{
	struct sip_flow f = {.transport = SIP_UDP, .remote = {{192, 0, 2, 1}, port, 4}, .local = {{10, 0, 0, 1}, 5060, 4}};
	return f;
}

/* Digest is not the fuzzer's business: the credentials for %A are made here. */
static void put_auth(struct text *t, struct span method, int64_t now_us, const struct nonce_key *key)
{
	char nonce[NONCE_MAX];
	struct text n = TEXT_ARRAY(nonce);
	struct digest_ha1 ha1;
	struct sip_flow f = flow_of(5061);
	static uint32_t nc;
	nonce_make(&n, key, now_us, span_mem(f.remote.ip, sizeof f.remote.ip));
	struct digest_challenge ch = {.realm = SPAN_LIT("strowger"), .nonce = text_span(&n), .qop_auth = true};
	digest_ha1_make(&ha1, SPAN_LIT("201"), SPAN_LIT("strowger"), SPAN_LIT("secret"));
	text_lit(t, "Authorization: ");
	digest_answer(t, &ch, SPAN_LIT("201"), &ha1, method, SPAN_LIT("sip:x"), ++nc, SPAN_LIT("c"));
	text_lit(t, "\r\n");
}

static void fill(struct text *t, struct span in, const struct catcher *k, int64_t now_us, const struct nonce_key *key)
{
	struct span line = in, method = span_cut(&line, ' ');
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '%' && i + 1 < in.n && in.p[i + 1] == 'T') {
			text_z(t, k->tag);
			i++;
		} else if (in.p[i] == '%' && i + 1 < in.n && in.p[i + 1] == 'A') {
			put_auth(t, method, now_us, key);
			i++;
		} else {
			text_putc(t, in.p[i]);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char buf[65536];
	struct catcher k = {.sink = {emit, LOG_ERROR}};
	struct cell_opts o = {.limits = cell_limits_default, .seed = {1, 2}, .boot_id = "f", .min_expires_s = 60, .max_expires_s = 3600};
	int64_t now = 1000000;
	struct cell *c = cell_new(&o, now);
	struct site *site = make_site();
	struct cell_in in = {.kind = CELL_IN_SITE, .u.site = site};
	cell_step(c, &in, now, &k.sink);
	in = (struct cell_in){.kind = CELL_IN_SLOTS, .u.slots = {0, 8, {{10, 0, 0, 1}, 20000, 4}}};
	cell_step(c, &in, now, &k.sink);
	for (uint16_t i = 1; i <= 2; i++) {
		in = (struct cell_in){.kind = CELL_IN_BINDING, .u.binding = {.device_id = i, .expires_wall_ms = 3600000, .flow = flow_of((uint16_t)(5060 + i))}};
		memcpy(in.u.binding.extension, i == 1 ? "201" : "202", 4);
		memcpy(in.u.binding.contact, "sip:20x@192.0.2.1", 18);
		cell_step(c, &in, now, &k.sink);
	}
	/* messages are separated by a byte 1 (from 201) or 2 (from 202); 3: time passes */
	struct span rest = span_mem(data, size);
	for (int i = 0; rest.n && i < 64; i++) {
		size_t n = 0;
		while (n < rest.n && (unsigned char)rest.p[n] > 3)
			n++;
		unsigned char sep = n < rest.n ? (unsigned char)rest.p[n] : 1;
		struct text t = TEXT_ARRAY(buf);
		fill(&t, span_sub(rest, 0, n), &k, now, &o.nonce_key);
		rest = span_sub(rest, n + 1, rest.n);
		in = (struct cell_in){.kind = CELL_IN_SIP, .u.sip = {flow_of(sep == 2 ? 5062 : 5061), text_span(&t)}};
		now += sep == 3 ? 5000000 : 1000;
		cell_step(c, &in, now, &k.sink);
		INVARIANT(cell_check(c) == NULL);
	}
	/* and everything ends */
	for (int i = 0; i < 20000 && now < INT64_C(200000000); i++) {
		int64_t d = cell_deadline(c);
		now = d > now && d < now + 1000000 ? d : now + 1000000;
		in = (struct cell_in){.kind = CELL_IN_TIMER};
		cell_step(c, &in, now, &k.sink);
		INVARIANT(cell_check(c) == NULL);
	}
	cell_free(c);
	site_unref(site);
	return 0;
}

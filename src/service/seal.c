/* Secrets at rest: AES-256-GCM under keys derived from the site key, one for each purpose. */
#include "crypto/digest.h"
#include "service/service.h"

static void purpose_key(const struct site_key *k, const char *purpose, unsigned char out[32])
{
	crypto_hkdf(out, 32, span_mem(k->k, sizeof k->k), SPAN_LIT("strowger seal"), span_z(purpose));
}

int seal(const struct site_key *k, const char *purpose, struct span plain, const unsigned char nonce[12], struct text *hex_out)
{
	unsigned char key[32], out[256 + 16];
	if (plain.n > 256)
		return -1;
	purpose_key(k, purpose, key);
	if (crypto_gcm_seal(key, nonce, span_z(purpose), plain, out) != 0)
		return -1;
	text_hex(hex_out, nonce, 12);
	text_hex(hex_out, out, plain.n + 16);
	return hex_out->over ? -1 : 0;
}

int unseal(const struct site_key *k, const char *purpose, struct span hex, struct text *plain_out)
{
	unsigned char raw[12 + 256 + 16], key[32], plain[256 + 16];
	size_t n = hex.n / 2;
	if (hex.n % 2 || n < 28 || n > sizeof raw)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int hi = ascii_hex(hex.p[2 * i]), lo = ascii_hex(hex.p[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return -1;
		raw[i] = (unsigned char)(hi << 4 | lo);
	}
	purpose_key(k, purpose, key);
	if (crypto_gcm_open(key, raw, span_z(purpose), span_mem(raw + 12, n - 12), plain) != 0)
		return -1;
	text_put(plain_out, span_mem(plain, n - 28));
	return plain_out->over ? -1 : 0;
}

void device_secret(const struct site_key *k, uint64_t device_id, uint32_t generation, struct secret *out)
{
	static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	char info[64];
	unsigned char raw[64];
	struct text t = TEXT_ARRAY(info);
	size_t n = 0;
	text_fmt(&t, "device %llu generation %u", (unsigned long long)device_id, generation);
	crypto_hkdf(raw, sizeof raw, span_mem(k->k, sizeof k->k), SPAN_LIT("strowger device"), text_span(&t));
	*out = (struct secret){.n = 24};
	/* 62 of 64 values: those above are skipped so that all characters are equally likely; 64 tries always give 24 */
	for (size_t i = 0; i < sizeof raw && n < 24; i++)
		if ((raw[i] & 63) < 62)
			out->b[n++] = (unsigned char)alphabet[raw[i] & 63];
	while (n < 24)
		out->b[n++] = '0';
}

int site_extension_open(const struct site_key *k, const struct site_settings *st, struct site_extension *e)
{
	char plain[256];
	struct text t = TEXT_ARRAY(plain);
	(void)st;
	e->has_pin = false;
	memset(&e->pin_ha1, 0, sizeof e->pin_ha1);
	if (!e->row.pin_sealed[0])
		return 0;
	if (unseal(k, "pin", span_z(e->row.pin_sealed), &t) != 0 || t.n != 48)
		return -1;
	memcpy(e->pin_ha1.md5, plain, 16);
	memcpy(e->pin_ha1.sha256, plain + 16, 32);
	e->has_pin = true;
	return 0;
}

int site_device_open(const struct site_key *k, const struct site_settings *st, struct site_device *d)
{
	struct secret s = {.n = 0};
	char plain[128];
	struct text t = TEXT_ARRAY(plain);
	d->has_secret = false;
	if (d->row.kind == DEVICE_KIND_POLYCOM) {
		device_secret(k, d->row.id, (uint32_t)d->row.generation, &s);
		text_put(&t, span_mem(s.b, s.n));
	} else {
		if (!d->row.secret_sealed[0])
			return 0;
		if (unseal(k, "device", span_z(d->row.secret_sealed), &t) != 0)
			return -1;
	}
	digest_ha1_make(&d->sip_ha1, span_z(d->row.extension), span_z(st->realm), text_span(&t));
	d->has_secret = true;
	secret_wipe(&s);
	memset(plain, 0, sizeof plain);
	return 0;
}

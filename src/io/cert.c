#include "io/cert.h"

#include "base/span.h"
#include "io/file.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>

enum { NO_CERT = -(1 << 20), BACKDATE_S = 86400 /* phones boot with a clock that is a little wrong */ };

static EVP_PKEY *new_key(enum cert_kind kind)
{
	return kind == CERT_P256 ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);
}

static bool write_pem(const char *path, X509 *cert, X509 *issuer, EVP_PKEY *key)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p;
	bool ok = b && (!cert || PEM_write_bio_X509(b, cert)) && (!issuer || PEM_write_bio_X509(b, issuer)) &&
		  (!key || PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL));
	long n = ok ? BIO_get_mem_data(b, &p) : 0;
	ok = ok && n > 0 && file_write(path, span_mem(p, (size_t)n), true) == 0;
	if (key && n > 0)
		OPENSSL_cleanse(p, (size_t)n);
	BIO_free(b);
	return ok;
}

static X509 *read_cert(const char *path)
{
	FILE *f = fopen(path, "r");
	X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	if (f)
		fclose(f);
	ERR_clear_error();
	return x;
}

static EVP_PKEY *read_key(const char *path)
{
	FILE *f = fopen(path, "r");
	EVP_PKEY *k = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
	if (f)
		fclose(f);
	ERR_clear_error();
	return k;
}

static bool extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = e && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static X509 *bare(EVP_PKEY *key, const char *cn, int days)
{
	unsigned char serial[16];
	X509 *x = X509_new();
	BIGNUM *bn = NULL;
	if (!x || RAND_bytes(serial, sizeof serial) != 1)
		goto bad;
	serial[0] &= 0x7f;
	bn = BN_bin2bn(serial, sizeof serial, NULL);
	X509_NAME *name = X509_get_subject_name(x);
	if (!bn || !BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x)) || !X509_set_version(x, 2) ||
	    !X509_gmtime_adj(X509_getm_notBefore(x), -BACKDATE_S) || !X509_time_adj_ex(X509_getm_notAfter(x), days, 0, NULL) ||
	    !X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Strowger", -1, -1, 0) ||
	    !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) || !X509_set_pubkey(x, key))
		goto bad;
	BN_free(bn);
	return x;
bad:
	BN_free(bn);
	X509_free(x);
	return NULL;
}

static int done(bool ok)
{
	ERR_clear_error();
	if (!ok && !errno)
		errno = ENOMEM;
	return ok ? 0 : -1;
}

int cert_make_ca(const char *cert_file, const char *key_file, const char *name, int days)
{
	errno = 0;
	EVP_PKEY *key = new_key(CERT_RSA2048); /* RSA: old phones cannot check a chain of another kind */
	X509 *x = key ? bare(key, name, days) : NULL;
	bool ok = x && X509_set_issuer_name(x, X509_get_subject_name(x)) && extend(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		  extend(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") && extend(x, x, NID_subject_key_identifier, "hash") &&
		  X509_sign(x, key, EVP_sha256()) > 0 && write_pem(key_file, NULL, NULL, key) && write_pem(cert_file, x, NULL, NULL);
	X509_free(x);
	EVP_PKEY_free(key);
	return done(ok);
}

static bool is_ip(const char *s)
{
	unsigned char ip[16];
	return inet_pton(AF_INET, s, ip) == 1 || inet_pton(AF_INET6, s, ip) == 1;
}

static bool alt_names(char *dst, size_t n, const char *const *names)
{
	size_t at = 0;
	for (; *names; names++) {
		int k = snprintf(dst + at, n - at, "%s%s:%s", at ? "," : "", is_ip(*names) ? "IP" : "DNS", *names);
		if (k < 0 || (size_t)k >= n - at)
			return false;
		at += (size_t)k;
	}
	return at > 0;
}

int cert_make(const char *ca_cert, const char *ca_key, const char *cert_file, const char *key_file, const struct cert_want *w)
{
	char san[2048];
	errno = 0;
	X509 *issuer = read_cert(ca_cert);
	EVP_PKEY *signer = read_key(ca_key), *key = new_key(w->kind);
	X509 *x = key ? bare(key, w->cn, w->days) : NULL;
	bool ok = x && issuer && signer && X509_set_issuer_name(x, X509_get_subject_name(issuer)) &&
		  extend(x, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
		  extend(x, issuer, NID_key_usage, w->kind == CERT_RSA2048 ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature") &&
		  extend(x, issuer, NID_ext_key_usage, w->client ? "clientAuth" : "serverAuth,clientAuth") &&
		  extend(x, issuer, NID_authority_key_identifier, "keyid") &&
		  (!w->names || (alt_names(san, sizeof san, w->names) && extend(x, issuer, NID_subject_alt_name, san))) &&
		  X509_sign(x, signer, EVP_sha256()) > 0 && write_pem(key_file, NULL, NULL, key) && write_pem(cert_file, x, issuer, NULL);
	X509_free(x);
	X509_free(issuer);
	EVP_PKEY_free(signer);
	EVP_PKEY_free(key);
	return done(ok);
}

int cert_days_left(const char *cert_file)
{
	X509 *x = read_cert(cert_file);
	int days = NO_CERT, seconds = 0;
	if (!x || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)) != 1)
		days = NO_CERT;
	else if (seconds < 0)
		days--;
	X509_free(x);
	return days;
}

bool cert_covers(const char *cert_file, const char *const *names)
{
	X509 *x = read_cert(cert_file);
	bool ok = x != NULL;
	for (; ok && *names; names++)
		ok = (is_ip(*names) ? X509_check_ip_asc(x, *names, 0) : X509_check_host(x, *names, 0, 0, NULL)) == 1;
	X509_free(x);
	return ok;
}

/* io/cert: makes the certificates of a site: an authority of its own and what it signs. Layer 1, shell; blocks. Keys are
 * written with mode 0600, never seen elsewhere. */
#ifndef IO_CERT_H
#define IO_CERT_H

#include <stdbool.h>
#include <stddef.h>

enum cert_kind { CERT_P256, CERT_RSA2048 };

/* A self-signed authority. 0, or -1 (errno, or ENOMEM when OpenSSL fails). */
int cert_make_ca(const char *cert_file, const char *key_file, const char *name, int days) __attribute__((warn_unused_result));

struct cert_want {
	enum cert_kind kind;
	const char *cn;
	const char *const *names; /* host names and IP addresses for subjectAltName; NULL-ended */
	int days;
	bool client;              /* clientAuth instead of serverAuth */
};
/* Signed by that authority; the file holds the certificate, then the authority's. */
int cert_make(const char *ca_cert, const char *ca_key, const char *cert_file, const char *key_file, const struct cert_want *w)
	__attribute__((warn_unused_result));

/* Days until it ends (negative: over); -1 << 20 when it cannot be read. */
int cert_days_left(const char *cert_file);
/* True when all names stand in its subjectAltName. */
bool cert_covers(const char *cert_file, const char *const *names);

#endif

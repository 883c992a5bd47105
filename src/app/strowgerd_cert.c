/* The certificates of the site: its own in the folder tls/, made at the first start and again when they run out or the site's
 * names change; or the administrator's, tls.crt and tls.key beside the database, which win. */
#include "app/strowgerd.h"

#include "io/cert.h"
#include "io/file.h"
#include "io/sock.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CA_DAYS = 20 * 365, SERVER_DAYS = 825, RENEW_DAYS = 30, MAX_NAMES = MAX_LISTEN + 4 };

struct names {
	char text[MAX_NAMES][256];
	const char *list[MAX_NAMES + 1];
	unsigned n;
};

static void add_name(struct names *v, const char *s)
{
	for (unsigned i = 0; i < v->n; i++)
		if (strcmp(v->text[i], s) == 0)
			return;
	if (!s[0] || v->n == MAX_NAMES || !span_copyz(span_z(s), v->text[v->n], sizeof v->text[0]))
		return;
	v->list[v->n] = v->text[v->n];
	v->n++;
}

static void add_addr(struct names *v, const struct addr *a)
{
	char ip[64];
	struct text t = TEXT_ARRAY(ip);
	addr_put_ip(&t, a);
	if (text_end(&t))
		add_name(v, ip);
}

static void names_of(struct names *v, const struct daemon_opts *o, const char *identity)
{
	*v = (struct names){0};
	add_name(v, identity);
	for (unsigned i = 0; i < o->n_listen; i++) {
		struct addr a = sock_is_any(&o->listen[i]) ? sock_primary_addr(o->listen[i].family) : o->listen[i];
		add_addr(v, &a);
	}
	add_name(v, "127.0.0.1");
	add_name(v, "localhost");
}

static void path_of(char *dst, size_t n, const struct site_dir *d, const char *leaf)
{
	snprintf(dst, n, "%s/%s", d->path, leaf);
}

static int not_made(const char *path)
{
	complain("cannot make the certificate %s: %s. Calls over TLS need it: make room, or let the folder be written to.", path, strerror(errno));
	return EXIT_FAILED;
}

static int ensure(const char *ca, const char *ca_key, const char *cert, const char *key, const struct names *v, enum cert_kind kind,
		  struct log_sink *log)
{
	int left = cert_days_left(cert);
	if (left > RENEW_DAYS && access(key, R_OK) == 0 && cert_covers(cert, v->list))
		return 0;
	struct cert_want w = {.kind = kind, .cn = v->list[0], .names = v->list, .days = SERVER_DAYS};
	if (cert_make(ca, ca_key, cert, key, &w) != 0)
		return not_made(cert);
	log_event(log, LOG_INFO, "tls.certificate_made", LOG_Z("file", cert), LOG_Z("for", v->list[0]), LOG_I("old_days_left", left));
	return 0;
}

int certs_ready(struct site_certs *c, const struct site_dir *d, const struct daemon_opts *o, const char *identity, struct log_sink *log)
{
	char dir[PATH_MAX], ca_key[PATH_MAX];
	struct names v;
	names_of(&v, o, identity);
	path_of(dir, sizeof dir, d, "tls");
	path_of(c->ca, sizeof c->ca, d, "tls/ca.crt");
	path_of(ca_key, sizeof ca_key, d, "tls/ca.key");
	path_of(c->cert, sizeof c->cert, d, "tls/server.crt");
	path_of(c->key, sizeof c->key, d, "tls/server.key");
	path_of(c->legacy_cert, sizeof c->legacy_cert, d, "tls/legacy.crt");
	path_of(c->legacy_key, sizeof c->legacy_key, d, "tls/legacy.key");
	if (file_mkdir(dir) != 0)
		return not_made(dir);
	if ((cert_days_left(c->ca) < RENEW_DAYS || access(ca_key, R_OK) != 0) && cert_make_ca(c->ca, ca_key, "Strowger site authority", CA_DAYS) != 0)
		return not_made(c->ca);
	int rc = ensure(c->ca, ca_key, c->legacy_cert, c->legacy_key, &v, CERT_RSA2048, log);
	char own[PATH_MAX];
	path_of(own, sizeof own, d, "tls.crt");
	if (rc == 0 && access(own, F_OK) == 0) {
		memcpy(c->cert, own, sizeof own);
		path_of(c->key, sizeof c->key, d, "tls.key");
		if (cert_days_left(c->cert) < 0)
			log_event(log, LOG_WARN, "tls.certificate_expired", LOG_Z("file", c->cert), LOG_I("days", -cert_days_left(c->cert)));
		return 0;
	}
	return rc ? rc : ensure(c->ca, ca_key, c->cert, c->key, &v, CERT_P256, log);
}

/* Tickets of the last run are good in this one: ten thousand phones come back with a fraction of the work. */
static void ticket_key(const struct site_key *k, enum tls_policy policy, unsigned char out[TLS_TICKET_KEY])
{
	for (unsigned i = 0; i * 40 < TLS_TICKET_KEY; i++) {
		char label[32];
		unsigned char mac[64];
		unsigned n = sizeof mac;
		int len = snprintf(label, sizeof label, "tls-ticket-%d-%u", (int)policy, i);
		HMAC(EVP_sha512(), k->k, sizeof k->k, (const unsigned char *)label, (size_t)len, mac, &n);
		memcpy(out + (size_t)i * 40, mac, 40);
	}
}

struct tls_ctx *certs_context(const struct site_certs *c, const struct site_dir *d, enum tls_policy policy)
{
	unsigned char ticket[TLS_TICKET_KEY];
	char why[512], makers[PATH_MAX];
	bool legacy = policy == TLS_LEGACY;
	path_of(makers, sizeof makers, d, "phone-ca.crt");
	ticket_key(&d->key, policy, ticket);
	struct tls_opts o = {.policy = policy, .cert_file = legacy ? c->legacy_cert : c->cert, .key_file = legacy ? c->legacy_key : c->key,
			     .ca_file = access(makers, R_OK) == 0 ? makers : NULL, .ticket_key = ticket, .server = true};
	struct tls_ctx *ctx = tls_ctx_new(&o, why, sizeof why);
	explicit_bzero(ticket, sizeof ticket);
	if (!ctx)
		complain("TLS: %s", why);
	return ctx;
}

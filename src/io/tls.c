#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct tls_ctx {
	atomic_uint refs;
	SSL_CTX *ssl;
	bool server;
};

struct tls {
	SSL *ssl;
	struct tls_ctx *ctx;
	bool broken; /* no good-bye */
};

/* No forward secrecy and no renegotiation belong to the legacy policy alone; the lists are OpenSSL's names. */
static const char modern_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES256:ECDHE+AES128:!aNULL:!MD5:!DSS:@STRENGTH";
static const char legacy_ciphers[] = "ALL:!aNULL:!eNULL:!LOW:!EXP:!MD5:!DSS:@SECLEVEL=0";

static bool why_failed(char *why, size_t n, const char *what, const char *file, const char *mend)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;
	snprintf(why, n, "%s %s: %s. %s", what, file, reason ? reason : "cannot be used", mend);
	ERR_clear_error();
	return false;
}

/* Notes the certificate; the chain's verdict is asked for later (tls_peer). */
static int take_note(int ok, X509_STORE_CTX *s)
{
	(void)ok, (void)s;
	return 1;
}

static bool server_side(struct tls_ctx *c, const struct tls_opts *o, char *why, size_t n)
{
	static const unsigned char id[] = "strowger";
	if (SSL_CTX_use_certificate_chain_file(c->ssl, o->cert_file) != 1)
		return why_failed(why, n, "the certificate", o->cert_file, "It must be PEM, the server's own certificate first; remove it to have one made.");
	if (SSL_CTX_use_PrivateKey_file(c->ssl, o->key_file, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(c->ssl) != 1)
		return why_failed(why, n, "the private key", o->key_file, "It must be PEM, without pass phrase, and belong to the certificate.");
	if (o->ca_file && SSL_CTX_load_verify_locations(c->ssl, o->ca_file, NULL) != 1)
		return why_failed(why, n, "the certificates of the phones' makers", o->ca_file, "They must be PEM.");
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, take_note);
	if (o->ca_file)
		SSL_CTX_set_client_CA_list(c->ssl, SSL_load_client_CA_file(o->ca_file));
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF); /* tickets only: nothing is kept for phones that are gone */
	if (o->ticket_key && SSL_CTX_set_tlsext_ticket_keys(c->ssl, (void *)(uintptr_t)o->ticket_key, TLS_TICKET_KEY) != 1)
		return why_failed(why, n, "the ticket key", "", "");
	SSL_CTX_set_num_tickets(c->ssl, 1);
	return SSL_CTX_set_session_id_context(c->ssl, id, sizeof id - 1) == 1;
}

struct tls_ctx *tls_ctx_new(const struct tls_opts *o, char *why, size_t n)
{
	struct tls_ctx *c = calloc(1, sizeof *c);
	bool legacy = o->policy == TLS_LEGACY;
	snprintf(why, n, "no memory");
	if (!c)
		return NULL;
	atomic_init(&c->refs, 1);
	c->server = o->server;
	c->ssl = SSL_CTX_new(o->server ? TLS_server_method() : TLS_client_method());
	if (!c->ssl || !SSL_CTX_set_cipher_list(c->ssl, legacy ? legacy_ciphers : modern_ciphers) ||
	    !SSL_CTX_set_min_proto_version(c->ssl, legacy ? TLS1_VERSION : TLS1_2_VERSION))
		goto bad;
	SSL_CTX_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (o->server ? !server_side(c, o, why, n) : o->ca_file && SSL_CTX_load_verify_locations(c->ssl, o->ca_file, NULL) != 1)
		goto bad;
	if (!o->server)
		SSL_CTX_set_verify(c->ssl, o->ca_file ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return c;
bad:
	tls_ctx_unref(c);
	return NULL;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void tls_ctx_unref(struct tls_ctx *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	SSL_CTX_free(c->ssl);
	free(c);
}

static struct tls *on(struct tls_ctx *c, int fd)
{
	struct tls *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->ssl = SSL_new(c->ssl);
	if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1) {
		SSL_free(t->ssl);
		free(t);
		return NULL;
	}
	t->ctx = tls_ctx_ref(c);
	return t;
}

struct tls *tls_accept(struct tls_ctx *c, int fd)
{
	struct tls *t = on(c, fd);
	if (t)
		SSL_set_accept_state(t->ssl);
	return t;
}

struct tls *tls_connect(struct tls_ctx *c, int fd, const char *name)
{
	struct tls *t = on(c, fd);
	if (!t)
		return NULL;
	SSL_set_connect_state(t->ssl);
	if (name) {
		X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
		if (X509_VERIFY_PARAM_set1_ip_asc(p, name) != 1) {
			SSL_set1_host(t->ssl, name);
			SSL_set_tlsext_host_name(t->ssl, name);
		}
	}
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	if (!t->broken && SSL_is_init_finished(t->ssl))
		SSL_shutdown(t->ssl);
	ERR_clear_error();
	SSL_free(t->ssl);
	tls_ctx_unref(t->ctx);
	free(t);
}

static enum tls_io verdict(struct tls *t, int rc)
{
	int e = SSL_get_error(t->ssl, rc);
	ERR_clear_error(); /* the queue is the thread's: the next connection must not read ours */
	if (e == SSL_ERROR_WANT_READ)
		return TLS_WANTS_READ;
	if (e == SSL_ERROR_WANT_WRITE)
		return TLS_WANTS_WRITE;
	t->broken = e != SSL_ERROR_ZERO_RETURN;
	return t->broken ? TLS_BROKEN : TLS_CLOSED;
}

enum tls_io tls_handshake(struct tls *t)
{
	int rc = SSL_do_handshake(t->ssl);
	return rc == 1 ? TLS_DONE : verdict(t, rc);
}

enum tls_io tls_read(struct tls *t, char *dst, size_t n, size_t *got)
{
	*got = 0;
	int rc = SSL_read_ex(t->ssl, dst, n, got);
	return rc == 1 ? TLS_DONE : verdict(t, rc);
}

enum tls_io tls_write(struct tls *t, const char *src, size_t n, size_t *put)
{
	*put = 0;
	int rc = SSL_write_ex(t->ssl, src, n, put);
	return rc == 1 ? TLS_DONE : verdict(t, rc);
}

bool tls_pending(const struct tls *t)
{
	return SSL_has_pending(t->ssl) == 1;
}

/* The chain alone counts, not the dates; our verify callback let everything pass, so it is asked again here. */
static bool chain_holds(const struct tls *t, X509 *cert)
{
	X509_STORE_CTX *s = X509_STORE_CTX_new();
	bool ok = false;
	if (s && X509_STORE_CTX_init(s, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(t->ssl)), cert, SSL_get_peer_cert_chain(t->ssl)) == 1) {
		X509_STORE_CTX_set_flags(s, X509_V_FLAG_NO_CHECK_TIME);
		ok = X509_verify_cert(s) == 1;
	}
	X509_STORE_CTX_free(s);
	ERR_clear_error();
	return ok;
}

void tls_peer(const struct tls *t, struct tls_peer *out)
{
	*out = (struct tls_peer){.resumed = SSL_session_reused(t->ssl) == 1};
	snprintf(out->version, sizeof out->version, "%s", SSL_get_version(t->ssl));
	X509 *cert = SSL_get1_peer_certificate(t->ssl);
	if (!cert)
		return;
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, out->cn, sizeof out->cn);
	out->self_signed = X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
	out->verified = chain_holds(t, cert);
	X509_free(cert);
}

/* io/tls: TLS on a non-blocking socket, by OpenSSL. Layer 1, shell. A context is counted and immutable: new certificates are
 * a new context, connections keep the one they began with. A connection belongs to one thread. */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "base/span.h"

struct tls_ctx;
struct tls;

enum tls_policy {
	TLS_MODERN, /* 1.2 and 1.3 */
	TLS_LEGACY  /* 1.0 up, for phones that know nothing better (SoundPoint 4.0.x): a listener of its own */
};
enum { TLS_TICKET_KEY = 80 };

struct tls_opts {
	enum tls_policy policy;
	const char *cert_file, *key_file; /* PEM; the certificate's chain behind it. Server */
	const char *ca_file; /* server: who signs phones' certificates, NULL: any is taken note of; client: whom to believe, NULL: nobody is checked */
	const unsigned char *ticket_key; /* TLS_TICKET_KEY bytes that outlive the process, so that sessions do, too; server */
	bool server;
};
/* NULL: why is filled with what is wrong and how to mend it. */
struct tls_ctx *tls_ctx_new(const struct tls_opts *o, char *why, size_t n);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *c);
void tls_ctx_unref(struct tls_ctx *c); /* NULL allowed */

/* fd stays the caller's. Server side: the client's certificate is asked for, never demanded. NULL: no memory. */
struct tls *tls_accept(struct tls_ctx *c, int fd);
/* name: what the certificate must be for (host name or IP text); NULL: not checked. */
struct tls *tls_connect(struct tls_ctx *c, int fd, const char *name);
/* Says good-bye if that goes without waiting, and frees. Does not close fd. NULL allowed. */
void tls_free(struct tls *t);

enum tls_io { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_CLOSED /* by the peer, in order */, TLS_BROKEN };
enum tls_io tls_handshake(struct tls *t);
enum tls_io tls_read(struct tls *t, char *dst, size_t n, size_t *got);
enum tls_io tls_write(struct tls *t, const char *src, size_t n, size_t *put);
/* Bytes that came with the last record and have not been read: no event of the socket will tell of them. */
bool tls_pending(const struct tls *t);

struct tls_peer {
	char version[12];  /* "TLSv1.3" */
	char cn[64];       /* of the peer's certificate; empty: none shown */
	bool verified;     /* its chain ends in ca_file (dates are not looked at: factory certificates expire, Z17) */
	bool self_signed, resumed;
};
void tls_peer(const struct tls *t, struct tls_peer *out); /* after the handshake */

#endif

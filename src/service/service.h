/* service: provisioning, API and control requests. Layer 4, pure. Thread: any HTTP thread (the ports below are safe to
 * call from several). What it needs of the world comes through `ports`. */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "base/log.h"
#include "base/secret.h"
#include "pbx/cell.h"
#include "service/http.h"

/* A change of the configuration. Exactly one field group is used per kind. */
enum change_kind { CHANGE_SETTINGS, CHANGE_EXTENSION, CHANGE_EXTENSION_GONE, CHANGE_DEVICE, CHANGE_DEVICE_GONE, CHANGE_TOKEN, CHANGE_TOKEN_GONE };
struct site_change {
	enum change_kind kind;
	uint64_t if_revision; /* of the entity when it was read; 0: must not exist yet; UINT64_MAX: any */
	struct site_settings settings;
	struct site_extension extension; /* GONE: row.number only */
	struct site_device device;       /* id 0: a new one, the store gives the id; GONE: row.id only */
	struct api_token token;          /* GONE: name only */
	/* The same key and request is done once (a day long): hashes, hex; key empty: as often as it comes. */
	char once_key[65], once_request[65];
	bool done_before; /* set by the API for CHANGE_DONE_BEFORE */
	char actor[64];                  /* who: "control", "pin:201", "token:NAME" */
	char source[64];                 /* from where: an IP address; empty: the control socket */
};
/* CHANGE_DONE_BEFORE: under this key, by the same request; extension.row.number or device.row.id say of which thing. CHANGE_OTHER: the key
 * stood for another request. */
enum change_result { CHANGE_OK, CHANGE_DONE_BEFORE, CHANGE_OTHER, CHANGE_CONFLICT /* if_revision is not the current one */, CHANGE_MISSING, CHANGE_STORE_FAILED };

/* One row of the audit. Of a verb: what was done (a word), to which kind of thing, which one, and how. */
struct audit_entry {
	int64_t wall_ms;
	const char *actor, *source, *what, *entity, *key; /* none is NULL; "" where there is nothing to say */
	uint64_t revision; /* 0: it has none */
	struct span value; /* a JSON object; empty: {} */
};
/* What is wanted of the audit; empty: any. */
struct audit_query {
	struct span entity, key;
	uint32_t limit;
	uint64_t before; /* rows with a smaller id; 0: from the newest on */
};
struct audit_verdict {
	int64_t rows, last; /* that are as they were written; the id of the last of them */
	int64_t broken;     /* id of the first that is not, or is not there; 0: all are */
	const char *why;
	int64_t cuts, lost; /* recoveries of a damaged file that the audit tells of; rows that they lost */
	char head[65];      /* hash of the last good row: kept elsewhere, it shows that the file was not replaced */
};

struct service_ports {
	void *ctx;
	/* The newest snapshot; the caller unrefs it. */
	struct site *(*site)(void *ctx);
	/* Durable (FULL) and published when it returns CHANGE_OK; c is updated (id, revision). Blocks the calling HTTP thread. */
	enum change_result (*change)(void *ctx, struct site_change *c);
	/* Asks the cell; the JSON is appended to *json (malloc'd, grown; caller frees). Returns the status of the answer, 504 on timeout. */
	int (*ask)(void *ctx, enum cell_query_kind kind, uint64_t cursor, uint32_t limit, struct span arg, char **json, size_t *n,
		   uint64_t *next_cursor);
	/* CDR rows, newest first, as JSON objects separated by commas. 0 or -1. */
	int (*cdr_read)(void *ctx, uint32_t limit, struct span extension, char **json, size_t *n);
	/* The audit, as cdr_read does; a walk over its chain. NULL where none is kept. */
	int (*audit_read)(void *ctx, const struct audit_query *q, char **json, size_t *n);
	int (*audit_verify)(void *ctx, struct audit_verdict *v);
	/* An act that changes no row of the configuration (a ban released, a feature's verb): durable when it returns 0. The port
	 * knows the time. Blocks the calling HTTP thread. NULL where no audit is kept. */
	int (*audit_add)(void *ctx, const struct audit_entry *e);
	/* Keeps a phone's upload under a safe name; 0, -1 failed (disk), -2 quota. NULL where uploads are not kept. */
	int (*upload)(void *ctx, struct span mac12, struct span name, struct span body);
	/* What the phone fetched: for `show phones`. model/firmware empty when the User-Agent did not say. */
	void (*fetched)(void *ctx, struct span mac12, struct span path, uint16_t status, const struct http_request *rq);
	/* The log's rules: GET, PATCH, DELETE of /api/v1/log. NULL where there is no log. */
	void (*logs)(void *ctx, const struct http_request *rq, struct http_response *rs);
	/* Fills with unguessable bytes. */
	void (*random)(void *ctx, void *dst, size_t n);
	struct log_sink *log;
};

struct site_key { unsigned char k[32]; }; /* the one secret file of a site */

struct service; /* rate limits, nonces: shared by threads, guarded inside by C11 atomics or given locks */
struct service *service_new(const struct service_ports *p, const struct site_key *key, const struct nonce_key *nonces,
			    const char *token /* bearer token of the API, 0600 file */, uint16_t sip_port);
void service_free(struct service *s);
/* Largest body accepted for this request line, decided before the body is read; 0: none. */
size_t service_body_limit(const struct service *s, const struct http_request *rq);
void service_handle(struct service *s, const struct http_request *rq, struct http_response *rs);

/* Sealing of secrets under the site key (AES-256-GCM, random nonce), hex in rows. 0, or -1 (does not fit; forged). */
int seal(const struct site_key *k, const char *purpose, struct span plain, const unsigned char nonce[12], struct text *hex_out);
int unseal(const struct site_key *k, const char *purpose, struct span hex, struct text *plain_out);
/* SIP secret of a Polycom device: KDF(site key, id, generation), 24 characters of [0-9A-Za-z]. */
void device_secret(const struct site_key *k, uint64_t device_id, uint32_t generation, struct secret *out);
/* Fills the in-memory HA1s of a row as loaded from the store. -1: the sealed text does not open (wrong site key). */
int site_extension_open(const struct site_key *k, const struct site_settings *st, struct site_extension *e);
int site_device_open(const struct site_key *k, const struct site_settings *st, struct site_device *d);

#endif

/* service: what its files share. Not for others. */
#ifndef SERVICE_SERVICE_INTERNAL_H
#define SERVICE_SERVICE_INTERNAL_H

#include "gen/routes.h"
#include "guard/budget.h"
#include "guard/nets.h"
#include "service/service.h"

#include <stdatomic.h>

enum {
	BODY_LOG_MAX = 1024 * 1024,    /* a phone's log */
	BODY_UPLOAD_MAX = 256 * 1024,  /* overrides, directory, call lists */
	BODY_API_MAX = 64 * 1024,
	NONCE_LIFE_US = 300 * 1000000
};

/* Ruling Z45, guard/budget.h. */
struct guard {
	atomic_flag lock;
	struct budget budget;
};
bool guard_blocked(struct guard *g, struct span user, const struct addr *from, int64_t now_us);
struct budget_news guard_failed(struct guard *g, struct span user, const struct addr *from, bool known, bool trusted, int64_t now_us);
void guard_passed(struct guard *g, struct span user, const struct addr *from);
bool guard_unlock(struct guard *g, struct span what); /* a user whose PIN is locked, or an address; false: it was not held */

struct service {
	struct service_ports ports;
	struct site_key key;
	struct nonce_key nonces;
	char token[128];
	uint16_t sip_port;
	struct guard guard;
};

/* A file that a phone may ask for or bring, by the fixed name patterns (polycom-facts 2.3). */
enum prov_file {
	PROV_NONE, PROV_MASTER, PROV_ZERO_MASTER, PROV_EXTENSION, PROV_GUEST, PROV_OPTIONAL /* may be absent */,
	PROV_LOG, PROV_FIRMWARE
};
struct prov_name {
	enum prov_file file;
	char mac[13];       /* lower case; empty when the name carries none */
	struct span number; /* EXTENSION */
	struct span leaf;   /* last part of the path */
};
bool prov_name_parse(struct span path, struct prov_name *out);
void prov_handle(struct service *s, const struct http_request *rq, const struct prov_name *name, struct http_response *rs);
/* The generated texts (pure functions of snapshot and device). False: does not fit. */
bool prov_master(struct text *t, struct span mac, const struct site_extension *e);
bool prov_extension(struct text *t, const struct service *s, const struct site_settings *st, const struct site_extension *e,
		    const struct site_device *d, struct span server);
bool prov_guest(struct text *t);

/* Fills where the change comes from. */
void change_source(struct site_change *c, const struct http_request *rq);
void api_handle(struct service *s, const struct http_request *rq, enum route_scope scope, struct http_response *rs);
enum { API_ACTOR = 48 };
/* What this token may do, and who that is, for the audit; NEVER: it is none of ours, or has run out. */
enum route_scope token_scope(struct service *s, struct span bearer, int64_t wall_us, char actor[API_ACTOR]);
void api_error(struct http_response *rs, uint16_t status, const char *what, const char *where, const char *mend);

#endif

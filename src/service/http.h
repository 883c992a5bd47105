/* service/http: an HTTP request and its answer as values. Layer 4, pure: handlers are functions of (request, context);
 * edge/http adapts libmicrohttpd to them, the simulator calls them directly. */
#ifndef SERVICE_HTTP_H
#define SERVICE_HTTP_H

#include "base/addr.h"
#include "base/text.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_PATCH, HTTP_DELETE, HTTP_OTHER };

struct http_request {
	enum http_method method;
	struct span path;          /* decoded, "/0004f2aabbcc.cfg" */
	struct span query;         /* raw, without '?' */
	struct span user_agent, authorization, if_match, idempotency_key, content_type, host;
	struct span body;          /* at most the limit that service_body_limit gave */
	struct addr from;
	bool tls;                  /* came over HTTPS */
	bool control;              /* came over the control socket: the caller is the administrator */
	int64_t now_us, wall_us;   /* monotonic, UTC */
	const char *actor;         /* who, for the audit: "control", "token", "token:NAME"; the API sets it when it has looked at the token */
};

enum { HTTP_MAX_HEADERS = 8 };
struct http_response {
	uint16_t status;
	const char *content_type; /* static text; NULL: none */
	struct span body;         /* lives in body_mem or is static */
	char *body_mem;           /* malloc'd by the handler, freed by the adapter; may be NULL */
	struct { const char *name; char value[256]; } header[HTTP_MAX_HEADERS];
	uint8_t n_header;
};

void http_response_free(struct http_response *r);
/* A short text/plain answer that says what, where and how to mend it. */
void http_text(struct http_response *r, uint16_t status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Takes a malloc'd body. */
void http_body(struct http_response *r, uint16_t status, const char *content_type, char *mem, size_t n);
void http_header(struct http_response *r, const char *name, struct span value); /* dropped when too long or too many */

#endif

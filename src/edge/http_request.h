/* edge/http_request: the target of a request line. Layer 5, no system calls. */
#ifndef EDGE_HTTP_REQUEST_H
#define EDGE_HTTP_REQUEST_H

#include "base/span.h"
#include "edge/limits.h"

struct http_target {
	struct span path;  /* decoded, begins with '/', no NUL or other control character; points into mem */
	struct span query; /* raw, without '?'; points into mem */
	unsigned short bad; /* 0, or the status that refuses it: 400, 414 */
	char mem[HTTP_MAX_URI];
};

/* uri: "/path%20x?query", or an absolute URI (RFC 9112 3.2.2), of which scheme and host are dropped. */
void http_target_parse(struct http_target *t, struct span uri);

#endif

/* gen/routes: the paths of the API, from src/service/routes.toml. Layer 1, pure. The table is generated (tools/openapi.py). */
#ifndef GEN_ROUTES_H
#define GEN_ROUTES_H

#include "base/span.h"

enum route_scope { ROUTE_NEVER, ROUTE_READ, ROUTE_WRITE, ROUTE_ADMIN };
enum route_method { ROUTE_GET, ROUTE_PUT, ROUTE_POST, ROUTE_PATCH, ROUTE_DELETE, ROUTE_METHODS };

struct route {
	const char *path; /* behind /api/v1/: "extensions/{number}"; {...} is one part */
	uint8_t scope[ROUTE_METHODS]; /* enum route_scope; NEVER: no such method here */
	bool revision[ROUTE_METHODS]; /* wants If-Match */
	const char *allow;
};
extern const struct route routes[];
extern const size_t routes_n;
extern const char openapi_json[]; /* OpenAPI 3.1, the whole document */
extern const size_t openapi_json_n;

/* The row whose path it is; a fixed path goes before one with a part that varies. NULL: none. */
const struct route *route_of(struct span path);

#endif

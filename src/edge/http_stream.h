/* edge/http_stream: answers that go on: the body is read from a source piece by piece, and where it has nothing the connection sleeps
 * (libmicrohttpd's suspend and resume): no thread waits for it. Layer 5, shell. */
#ifndef EDGE_HTTP_STREAM_H
#define EDGE_HTTP_STREAM_H

#include "service/http.h"

#include <stdatomic.h>

struct http_streams; /* of all servers that share it */
struct http_streams *http_streams_new(void); /* NULL: no memory */
void http_streams_free(struct http_streams *s); /* after the last server */
/* Any thread: every source is asked again. */
void http_streams_wake(struct http_streams *s);

/* ---- for edge/http.c ---- */

struct MHD_Connection;
struct MHD_Response;
/* A response over the source, which is closed with it. NULL: no memory; the source is still the caller's. ends: the server's; once it is set
 * and http_streams_end was called, none of its streams sleeps or falls asleep. */
struct MHD_Response *http_stream_response(struct http_streams *s, const atomic_bool *ends, struct MHD_Connection *c, const struct http_source *source);
void http_streams_end(struct http_streams *s, const atomic_bool *ends);

#endif

/* service/api: what the API's files share. Not for others. */
#ifndef SERVICE_API_H
#define SERVICE_API_H

#include "service/service_internal.h"

struct api_out {
	struct text t; /* malloc'd, grown by api_grow */
};
void api_grow(struct api_out *o, size_t room);
void api_send(struct http_response *rs, uint16_t status, struct api_out *o);
uint64_t api_query_u64(struct span query, const char *name);

/* A verb that was done goes into the audit; the answer stays what it is (a port that could not keep it has logged so). value: a
 * JSON object, or SPAN_NONE. */
void api_note(struct service *s, const struct http_request *rq, const char *what, const char *entity, struct span key, struct span value);

/* Reads a JSON object into the row; `verbs` (may be NULL) are left to the caller. False: answered. */
bool api_read_body(const struct http_request *rq, const struct entity_desc *d, void *row, struct http_response *rs);
/* Makes the change in the name of who asks. False: answered. */
bool api_commit(struct service *s, const struct http_request *rq, struct site_change *c, struct http_response *rs);
void api_tag(struct http_response *rs, uint64_t revision); /* ETag */

void api_tokens(struct service *s, const struct http_request *rq, struct span id, struct http_response *rs);
void api_extensions(struct service *s, const struct http_request *rq, struct span id, struct http_response *rs);
void api_devices(struct service *s, const struct http_request *rq, struct span id, struct http_response *rs);
void api_settings(struct service *s, const struct http_request *rq, struct http_response *rs);
void api_phones(struct service *s, const struct http_request *rq, struct http_response *rs);
void api_audit(struct service *s, const struct http_request *rq, struct span id, struct http_response *rs);
void api_features(struct service *s, const struct http_request *rq, struct span id, struct http_response *rs);

#endif

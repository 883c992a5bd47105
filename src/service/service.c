#include "service/service_internal.h"

#include <stdlib.h>

struct service *service_new(const struct service_ports *p, const struct site_key *key, const struct nonce_key *nonces, const char *token,
			    uint16_t sip_port)
{
	struct service *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->ports = *p;
	s->key = *key;
	s->nonces = *nonces;
	s->sip_port = sip_port;
	atomic_flag_clear(&s->guard.lock);
	struct hash_key k;
	p->random(p->ctx, &k, sizeof k);
	budget_init(&s->guard.budget, k);
	if (!span_copyz(span_z(token), s->token, sizeof s->token)) {
		free(s);
		return NULL;
	}
	return s;
}

void service_free(struct service *s)
{
	free(s);
}

void change_source(struct site_change *c, const struct http_request *rq)
{
	struct text t = TEXT_ARRAY(c->source);
	if (rq->from.family)
		addr_put_ip(&t, &rq->from);
	(void)text_end(&t);
}

static bool is_api(const struct http_request *rq)
{
	return span_starts(rq->path, SPAN_LIT("/api/"));
}

size_t service_body_limit(const struct service *s, const struct http_request *rq)
{
	struct prov_name n;
	(void)s;
	if (is_api(rq))
		return BODY_API_MAX;
	if (rq->method != HTTP_PUT || !prov_name_parse(rq->path, &n))
		return 0;
	return n.file == PROV_LOG ? BODY_LOG_MAX : n.file == PROV_OPTIONAL ? BODY_UPLOAD_MAX : 0;
}

void service_handle(struct service *s, const struct http_request *rq, struct http_response *rs)
{
	struct prov_name name;
	*rs = (struct http_response){.status = 404};
	if (is_api(rq)) {
		struct span bearer = span_istarts(rq->authorization, SPAN_LIT("Bearer ")) ? span_sub(rq->authorization, 7, rq->authorization.n) : SPAN_NONE;
		char actor[API_ACTOR] = "token";
		struct http_request known = *rq;
		bool own = s->token[0] && span_eq_ct(bearer, span_z(s->token));
		enum route_scope scope = rq->control || own ? ROUTE_ADMIN : bearer.n ? token_scope(s, bearer, rq->wall_us, actor) : ROUTE_NEVER;
		if (scope == ROUTE_NEVER) {
			api_error(rs, 401, "a token is needed that is known and has not run out", "Authorization",
				  "send 'Authorization: Bearer TOKEN'; the site's own is in its file api.token, others are made by: strowger token add NAME");
			http_header(rs, "WWW-Authenticate", SPAN_LIT("Bearer realm=\"strowger\""));
			return;
		}
		known.actor = rq->control ? "control" : actor;
		api_handle(s, &known, scope, rs);
	} else if (prov_name_parse(rq->path, &name)) {
		prov_handle(s, rq, &name, rs);
	}
}

/* The audit over the API: who changed what, newest first; and whether the record of it is whole. */
#include "service/api.h"

#include <stdlib.h>

static struct span query_text(struct span query, const char *name)
{
	struct span v = SPAN_NONE;
	while (query.p) {
		struct span pair = span_cut(&query, '&'), key = span_cut(&pair, '=');
		if (span_eqz(key, name) && pair.p)
			v = pair;
	}
	return v;
}

void api_note(struct service *s, const struct http_request *rq, const char *what, const char *entity, struct span key, struct span value)
{
	char of[64], source[64];
	struct text t = TEXT_ARRAY(source);
	if (!s->ports.audit_add)
		return;
	if (!rq->control && rq->from.family)
		addr_put_ip(&t, &rq->from);
	(void)text_end(&t);
	(void)span_copyz(span_sub(key, 0, sizeof of - 1), of, sizeof of);
	const struct audit_entry e = {.actor = rq->actor, .source = source, .what = what, .entity = entity, .key = of, .value = value};
	(void)s->ports.audit_add(s->ports.ctx, &e);
}

static void verify(struct service *s, struct http_response *rs)
{
	struct audit_verdict v;
	struct api_out o = {0};
	if (s->ports.audit_verify(s->ports.ctx, &v) != 0) {
		api_error(rs, 503, "the audit cannot be read to its end", "store", "see the log for the reason");
		return;
	}
	api_grow(&o, 512);
	text_fmt(&o.t, "{\"whole\":%s,\"rows\":%lld,\"head\":\"%s\",\"cuts\":%lld,\"lost\":%lld", v.broken ? "false" : "true",
		 (long long)v.rows, v.head, (long long)v.cuts, (long long)v.lost);
	if (v.broken) {
		text_fmt(&o.t, ",\"broken\":%lld,\"why\":", (long long)v.broken);
		text_json(&o.t, span_z(v.why));
	}
	text_lit(&o.t, "}\n");
	api_send(rs, 200, &o);
}

void api_audit(struct service *s, const struct http_request *rq, struct span id, struct http_response *rs)
{
	uint64_t limit = api_query_u64(rq->query, "limit");
	struct audit_query q = {query_text(rq->query, "entity"), query_text(rq->query, "key"), limit && limit < 10000 ? (uint32_t)limit : 100,
				api_query_u64(rq->query, "before")};
	struct api_out o = {0};
	char *json = NULL;
	size_t n = 0;
	if (rq->method != HTTP_GET) {
		api_error(rs, 405, "the audit is only read", "method", "use GET");
	} else if (id.n && !span_eqz(id, "verify")) {
		api_error(rs, 404, "there is no such thing", "path", "GET /api/v1/audit?limit=100&entity=extension&key=201, or /api/v1/audit/verify");
	} else if (!s->ports.audit_read || !s->ports.audit_verify) {
		api_error(rs, 503, "no audit is kept here", "store", "ask a switch with a store");
	} else if (id.n) {
		verify(s, rs);
	} else if (q.before > INT64_MAX || s->ports.audit_read(s->ports.ctx, &q, &json, &n) != 0) {
		api_error(rs, 503, "the audit cannot be read", "store", "see the log for the reason");
	} else {
		api_grow(&o, n + 16);
		text_putc(&o.t, '[');
		text_put(&o.t, span_mem(json, n));
		text_lit(&o.t, "]\n");
		api_send(rs, 200, &o);
	}
	free(json);
}

#include "sip/msg/refer.h"

static bool is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] == 0x7f || strchr("\"(),/:;<=>?@[\\]{}", s.p[i]))
			return false;
	return s.n > 0;
}

int sip_replaces_parse(struct span value, struct sip_replaces *out)
{
	struct span name, v;
	ptrdiff_t semi = span_chr(value, ';');
	*out = (struct sip_replaces){.call_id = span_trim(span_sub(value, 0, semi < 0 ? value.n : (size_t)semi))};
	struct span rest = semi < 0 ? SPAN_NONE : span_sub(value, (size_t)semi, value.n);
	int rc;
	for (size_t i = 0; i < out->call_id.n; i++)
		if ((unsigned char)out->call_id.p[i] <= ' ' || out->call_id.p[i] == ',')
			return -1;
	while ((rc = sip_param_next(&rest, &name, &v)) == 1) {
		struct span *tag = span_ieqz(name, "to-tag") ? &out->to_tag : span_ieqz(name, "from-tag") ? &out->from_tag : NULL;
		if (tag && (tag->n || !is_token(v)))
			return -1;
		if (tag)
			*tag = v;
		out->early_only |= span_ieqz(name, "early-only");
	}
	return rc == 0 && out->call_id.n && out->to_tag.n && out->from_tag.n ? 0 : -1;
}

int sip_uri_header(const struct sip_uri *u, const char *name, char *buf, size_t cap, struct span *value)
{
	struct span rest = span_sub(u->headers, 1, u->headers.n);
	int found = 0;
	if (!u->headers.n)
		return 0;
	while (rest.p) {
		struct span v = span_cut(&rest, '&'), n = span_cut(&v, '=');
		if (!span_ieqz(n, name))
			continue;
		if (found)
			return -1;
		found = 1;
		*value = sip_unescape(v, buf, cap);
		if (!value->p)
			return -1;
	}
	return found;
}

static bool is_false(struct span value)
{
	return span_ieqz(span_trim(span_cut(&value, ';')), "false");
}

static bool no_subscription(const struct sip_msg *req)
{
	for (uint16_t i = 0; i < req->n_hdr; i++)
		if (req->hdr[i].id == SIP_H_OTHER && span_ieqz(req->hdr[i].name, "Refer-Sub"))
			return is_false(req->hdr[i].value);
	return false;
}

uint16_t sip_refer_read(const struct sip_msg *req, struct sip_refer *out)
{
	const struct sip_hdr *h = sip_hdr(req, SIP_H_REFER_TO);
	struct span value, method;
	out->has_replaces = false;
	out->silent = no_subscription(req);
	if (!h || sip_hdr_next(req, h) || sip_nameaddr_parse(h->value, &out->to) || out->to.value.n != h->value.n)
		return 400;
	if (out->to.uri.scheme != SIP_SCHEME_SIP && out->to.uri.scheme != SIP_SCHEME_SIPS)
		return 416;
	if (sip_param(out->to.uri.params, "method", &method) && !span_ieqz(method, "INVITE"))
		return 501;
	int rc = sip_uri_header(&out->to.uri, "Replaces", out->buf, sizeof out->buf, &value);
	if (rc < 0 || (rc == 1 && sip_replaces_parse(value, &out->replaces)))
		return 400;
	out->has_replaces = rc == 1;
	return 0;
}

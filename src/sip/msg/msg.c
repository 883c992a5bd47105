#include "sip/msg/msg.h"

#include "sip/msg/cclass.h"

struct parser {
	struct sip_msg *m;
	struct sip_error *err;
	const char *base, *end;
	bool failed, via_ok;
	uint64_t seen;          /* bit per header id */
	const char *length_at;  /* Content-Length header, for the error */
	int64_t content_length; /* -1: absent */
};

_Static_assert(SIP_H_COUNT <= 64, "one bit each in parser.seen");

/* The first fault is the one told; parsing goes on, so that an answer can be built. */
static void fail(struct parser *p, uint16_t status, const char *reason, const char *at)
{
	if (p->failed)
		return;
	p->failed = true;
	*p->err = (struct sip_error){status, reason, (size_t)(at - p->base), false};
}

/* End of the line at s (its CR), or NULL: no CRLF. Bare CR or LF end no line and stand in none (RFC 3261 25.1 has them only
 * as CRLF): what two programs would read in two ways is not let pass. */
static const char *line_end(const char *s, const char *end)
{
	const char *cr = s < end ? memchr(s, '\r', (size_t)(end - s)) : NULL;
	if (!cr || cr + 1 == end || cr[1] != '\n' || memchr(s, '\n', (size_t)(cr - s)))
		return NULL;
	return cr;
}

static bool version_like(struct span v)
{
	if (v.n < 7 || !span_istarts(v, SPAN_LIT("SIP/")) || span_chr(v, '.') < 5)
		return false;
	for (size_t i = 4; i < v.n; i++)
		if (!ascii_digit(v.p[i]) && v.p[i] != '.')
			return false;
	return true;
}

static bool version_is_ours(struct span v)
{
	return v.n == 7 && (memcmp(v.p, "SIP/2.0", 7) == 0 || span_ieq(v, SPAN_LIT("SIP/2.0")));
}

static void parse_request_line(struct parser *p, struct span line)
{
	struct sip_msg *m = p->m;
	struct span rest = line;
	m->is_request = true;
	m->method_name = span_cut(&rest, ' ');
	if (!rest.p || m->method_name.n == 0 || !cc_all(CC_TOKEN, m->method_name)) {
		fail(p, 0, "Malformed Request Line", line.p);
		return;
	}
	m->method = sip_method_of(m->method_name);
	m->ruri_text = span_cut(&rest, ' ');
	if (!rest.p || !version_is_ours(rest)) {
		if (rest.p && version_like(rest))
			fail(p, 505, "Version Not Supported", rest.p);
		else
			fail(p, 400, "Malformed Request Line", line.p);
	}
	if (sip_uri_parse(m->ruri_text, &m->ruri) < 0)
		fail(p, 400, "Malformed Request-URI", line.p + m->method_name.n);
	else if (m->ruri.headers.n)
		fail(p, 400, "Headers In Request-URI", line.p + m->method_name.n); /* RFC 3261 19.1.1 */
}

static void parse_status_line(struct parser *p, struct span line)
{
	struct span rest = line;
	struct span version = span_cut(&rest, ' ');
	const char *d = rest.p;
	p->m->is_request = false;
	if (!version_is_ours(version) || rest.n < 3 || !ascii_digit(d[0]) || !ascii_digit(d[1]) || !ascii_digit(d[2]) ||
	    d[0] < '1' || d[0] > '6' || (rest.n > 3 && d[3] != ' ')) {
		fail(p, 0, "Malformed Status Line", line.p);
		return;
	}
	p->m->status = (uint16_t)((d[0] - '0') * 100 + (d[1] - '0') * 10 + (d[2] - '0'));
	p->m->reason = span_sub(rest, 4, rest.n);
}

/* Whole value as a decimal not above max; leading zeros allowed. */
static bool number(struct span s, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_digit(s.p[i]))
			return false;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
		if (v > max)
			return false;
	}
	*out = (uint32_t)v;
	return s.n > 0;
}

static void parse_via(struct parser *p, struct span value)
{
	struct span rest = value, first = SPAN_NONE;
	p->via_ok = sip_list_next(&rest, &first) && sip_via_parse(first, &p->m->via) == 0;
	if (!p->via_ok) {
		fail(p, 400, "Malformed Via", value.p);
		/* When only its parameters are broken there is still a way back for the answer. */
		p->via_ok = sip_via_parse(span_cut(&first, ';'), &p->m->via) == 0;
	} else if (p->m->via.branch.n == 7 && span_ieq(p->m->via.branch, SPAN_LIT("z9hG4bK"))) {
		fail(p, 400, "Empty Via Branch", value.p); /* RFC 4475 3.2.1: no key for a transaction */
	}
}

static void parse_party(struct parser *p, struct span value, struct sip_nameaddr *out, const char *reason)
{
	if (sip_nameaddr_parse(value, out) < 0 || out->star) {
		*out = (struct sip_nameaddr){.value = value};
		fail(p, 400, reason, value.p);
	}
}

static void parse_call_id(struct parser *p, struct span value)
{
	p->m->call_id = value;
	if (value.n == 0 || !cc_all(CC_BLACK, value))
		fail(p, 400, "Malformed Call-ID", value.p);
}

static void parse_cseq(struct parser *p, struct span value)
{
	size_t n = 0;
	while (n < value.n && ascii_digit(value.p[n]))
		n++;
	bool ok = number(span_sub(value, 0, n), 0x7fffffff, &p->m->cseq); /* RFC 3261 8.1.1.5 */
	struct span rest = span_sub(value, n, value.n);
	skip_lws(&rest);
	p->m->cseq_method_name = rest;
	p->m->cseq_method = sip_method_of(rest);
	if (!ok || rest.n == 0 || rest.p == value.p + n || !cc_all(CC_TOKEN, rest))
		fail(p, 400, "Malformed CSeq", value.p);
}

static void parse_known(struct parser *p, enum sip_hdr_id id, struct span value, const char *at)
{
	static const uint64_t singletons = 1u << SIP_H_FROM | 1u << SIP_H_TO | 1u << SIP_H_CALL_ID | 1u << SIP_H_CSEQ |
					   1u << SIP_H_MAX_FORWARDS | 1u << SIP_H_CONTENT_LENGTH;
	uint64_t bit = (uint64_t)1 << id;
	uint32_t v;
	if (p->seen & bit) {
		if (singletons & bit)
			fail(p, 400, "Duplicated Header", at);
		return;
	}
	p->seen |= bit;
	if (id == SIP_H_VIA) {
		parse_via(p, value);
	} else if (id == SIP_H_FROM) {
		parse_party(p, value, &p->m->from, "Malformed From");
	} else if (id == SIP_H_TO) {
		parse_party(p, value, &p->m->to, "Malformed To");
	} else if (id == SIP_H_CALL_ID) {
		parse_call_id(p, value);
	} else if (id == SIP_H_CSEQ) {
		parse_cseq(p, value);
	} else if (id == SIP_H_MAX_FORWARDS) {
		if (number(value, 255, &v))
			p->m->max_forwards = (int)v;
		else
			fail(p, 400, "Malformed Max-Forwards", at);
	} else if (id == SIP_H_CONTENT_LENGTH) {
		p->length_at = at;
		if (number(value, SIP_MAX_MESSAGE, &v))
			p->content_length = v;
		else
			fail(p, 400, "Malformed Content-Length", at);
	}
}

static struct span trim_line(const char *s, const char *e)
{
	while (s < e && cc_lws(*s))
		s++;
	while (e > s && cc_lws(e[-1]))
		e--;
	return (struct span){s, (size_t)(e - s)};
}

/* One header with its continuation lines; where the next begins, NULL when the message breaks off. */
static const char *parse_header(struct parser *p, const char *s)
{
	const char *e = line_end(s, p->end);
	if (!e) {
		fail(p, 400, "Line Without CRLF", s);
		return NULL;
	}
	const char *colon = memchr(s, ':', (size_t)(e - s));
	while (e + 2 < p->end && (e[2] == ' ' || e[2] == '\t')) {
		e = line_end(e + 2, p->end);
		if (!e) {
			fail(p, 400, "Line Without CRLF", s);
			return NULL;
		}
	}
	const char *name_end = colon;
	while (name_end && name_end > s && (name_end[-1] == ' ' || name_end[-1] == '\t'))
		name_end--;
	if (!colon || name_end == s) {
		fail(p, 400, "Malformed Header", s);
		return e + 2;
	}
	struct span name = {s, (size_t)(name_end - s)}, value = trim_line(colon + 1, e);
	enum sip_hdr_id id = sip_hdr_of(name);
	if (id == SIP_H_OTHER && !cc_all(CC_TOKEN, name)) {
		fail(p, 400, "Malformed Header Name", s);
		return e + 2;
	}
	if (p->m->n_hdr == SIP_MAX_HEADERS) {
		fail(p, 400, "Too Many Headers", s);
		return e + 2;
	}
	p->m->hdr[p->m->n_hdr++] = (struct sip_hdr){(uint8_t)id, name, value};
	parse_known(p, id, value, s);
	return e + 2;
}

static void check_whole(struct parser *p, const char *body)
{
	static const struct {
		uint8_t id;
		const char *reason;
	} needed[] = {{SIP_H_VIA, "Missing Via"}, {SIP_H_FROM, "Missing From"}, {SIP_H_TO, "Missing To"},
		      {SIP_H_CALL_ID, "Missing Call-ID"}, {SIP_H_CSEQ, "Missing CSeq"}};
	struct sip_msg *m = p->m;
	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
		if (!(p->seen >> needed[i].id & 1))
			fail(p, 400, needed[i].reason, p->base);
	if (!m->is_request)
		m->method = m->cseq_method;
	else if (!span_eq(m->method_name, m->cseq_method_name))
		fail(p, 400, "CSeq Method Mismatch", p->base); /* RFC 3261 8.1.1.5 */
	size_t there = (size_t)(p->end - body);
	m->body = (struct span){body, there};
	if (p->content_length > (int64_t)there)
		fail(p, 400, "Content-Length Too Large", p->length_at);
	else if (p->content_length >= 0)
		m->body.n = (size_t)p->content_length; /* RFC 3261 18.3: what is behind it in a datagram is dropped */
	m->raw.n = (size_t)(m->body.p + m->body.n - m->raw.p);
}

static void clear(struct sip_msg *m)
{
	/* Not the table of headers: n_hdr says what of it is written. */
	memset(m, 0, offsetof(struct sip_msg, hdr));
	memset((char *)m + offsetof(struct sip_msg, n_hdr), 0, sizeof *m - offsetof(struct sip_msg, n_hdr));
	m->max_forwards = -1;
}

static void parse_message(struct parser *p, const char *s)
{
	const char *e = line_end(s, p->end);
	if (!e || e == s) {
		fail(p, 0, "No Start Line", s);
		return;
	}
	struct span line = {s, (size_t)(e - s)};
	p->m->raw = (struct span){s, (size_t)(p->end - s)};
	if (line.n >= 4 && (line.p[0] | 0x20) == 's' && span_istarts(line, SPAN_LIT("SIP/")))
		parse_status_line(p, line);
	else
		parse_request_line(p, line);
	s = e + 2;
	if (s < p->end && (*s == ' ' || *s == '\t'))
		fail(p, 400, "Folded Start Line", s);
	while (s && !(p->end - s >= 2 && s[0] == '\r' && s[1] == '\n')) {
		if (s == p->end) {
			fail(p, 400, "Headers Without End", s);
			break;
		}
		s = parse_header(p, s);
	}
	check_whole(p, s && s < p->end ? s + 2 : p->end);
}

int sip_parse(struct sip_msg *out, struct span bytes, struct sip_error *err)
{
	struct parser p = {.m = out, .err = err, .base = bytes.p, .end = bytes.p + bytes.n, .content_length = -1};
	clear(out);
	if (bytes.n == 0 || bytes.n > SIP_MAX_MESSAGE) {
		*err = (struct sip_error){0, bytes.n ? "Message Too Large" : "Empty Message", 0, false};
		return -1;
	}
	const char *s = bytes.p;
	while (p.end - s >= 2 && s[0] == '\r' && s[1] == '\n')
		s += 2; /* RFC 3261 7.5 */
	parse_message(&p, s);
	if (!p.failed)
		return 0;
	/* An answer needs the way back; what else is missing the answer lacks too. ACK is never answered. */
	err->answerable = out->is_request && out->method_name.n && out->method != SIP_ACK && p.via_ok && err->status;
	if (!err->answerable)
		err->status = 0;
	return -1;
}

const struct sip_hdr *sip_hdr(const struct sip_msg *m, enum sip_hdr_id id)
{
	for (uint16_t i = 0; i < m->n_hdr; i++)
		if (m->hdr[i].id == id)
			return &m->hdr[i];
	return NULL;
}

const struct sip_hdr *sip_hdr_next(const struct sip_msg *m, const struct sip_hdr *prev)
{
	for (const struct sip_hdr *h = prev + 1; h < m->hdr + m->n_hdr; h++)
		if (h->id == prev->id)
			return h;
	return NULL;
}

struct span sip_hdr_value(const struct sip_msg *m, enum sip_hdr_id id)
{
	const struct sip_hdr *h = sip_hdr(m, id);
	return h ? h->value : SPAN_NONE;
}

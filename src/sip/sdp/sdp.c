#include "sip/sdp/sdp.h"

struct session {
	struct sdp *out;
	struct sdp_error *err;
	const char *base;
	struct addr conn; /* session level, inherited by each media */
	bool conn_zero, have_origin;
	enum sdp_dir dir;
};

static int fail(struct session *s, const char *reason, const char *at)
{
	*s->err = (struct sdp_error){reason, (size_t)(at - s->base)};
	return -1;
}

/* Next word; words stand apart by spaces. */
static struct span word(struct span *rest)
{
	size_t n = 0;
	while (rest->n && rest->p[0] == ' ')
		*rest = span_sub(*rest, 1, rest->n);
	while (n < rest->n && rest->p[n] != ' ')
		n++;
	struct span w = span_sub(*rest, 0, n);
	*rest = span_sub(*rest, n, rest->n);
	return w;
}

static int parse_origin(struct session *s, struct span v)
{
	s->out->origin_user = word(&v);
	struct span id = word(&v), version = word(&v), net = word(&v), type = word(&v), host = word(&v);
	if (host.n == 0 || net.n == 0 || type.n == 0)
		return -1;
	/* RFC 4566 asks for numbers; what is not one is as good as 0, the peer's answer does not hang on it. */
	if (span_u64(id, UINT64_MAX, &s->out->origin_id) < 0)
		s->out->origin_id = 0;
	if (span_u64(version, UINT64_MAX, &s->out->origin_version) < 0)
		s->out->origin_version = 0;
	s->have_origin = true;
	return 0;
}

/* "IN IP4 192.0.2.1[/ttl]"; family stays 0 for a host name. */
static int parse_conn(struct span v, struct addr *conn, bool *zero)
{
	static const uint8_t none[16];
	struct span net = word(&v), type = word(&v), host = word(&v);
	*conn = (struct addr){.family = 0};
	*zero = false;
	if (!span_ieq(net, SPAN_LIT("IN")) || host.n == 0)
		return -1;
	if (!span_ieq(type, SPAN_LIT("IP4")) && !span_ieq(type, SPAN_LIT("IP6")))
		return -1;
	host = span_cut(&host, '/');
	if (addr_parse(host, 0, conn) == 0)
		*zero = memcmp(conn->ip, none, 16) == 0;
	return 0;
}

static void add_format(struct sdp_media *m, struct span text)
{
	uint64_t pt;
	if (m->n_fmt == SDP_MAX_FORMATS)
		return; /* what is behind the 32nd is not offered to us */
	struct sdp_format *f = &m->fmt[m->n_fmt++];
	*f = (struct sdp_format){.pt_text = text, .pt = -1, .channels = 1};
	if (span_u64(text, 127, &pt) == 0) {
		f->pt = (int)pt;
		sdp_static_format(f->pt, &f->encoding, &f->clock_hz);
		if (pt == 10)
			f->channels = 2;
	}
}

static int parse_media(struct session *s, struct span v)
{
	uint64_t port;
	const char *line = v.p - 2; /* "m=" */
	if (s->out->n_media == SDP_MAX_MEDIA)
		return fail(s, "too many media", v.p);
	struct sdp_media *m = &s->out->media[s->out->n_media];
	memset(m, 0, offsetof(struct sdp_media, fmt));
	memset((char *)m + offsetof(struct sdp_media, n_fmt), 0, sizeof *m - offsetof(struct sdp_media, n_fmt));
	m->type = v.n && v.p[0] == ' ' ? SPAN_NONE : word(&v);
	struct span ports = word(&v), f;
	m->proto = word(&v);
	if (m->type.n == 0 || m->proto.n == 0 || span_u64(span_cut(&ports, '/'), 65535, &port) < 0)
		return fail(s, "malformed m= line", line);
	m->port = (uint16_t)port;
	while ((f = word(&v)).n)
		add_format(m, f);
	if (m->n_fmt == 0)
		return fail(s, "m= line without formats", line);
	m->conn = s->conn;
	m->conn_zero = s->conn_zero;
	m->dir = s->dir;
	m->raw = (struct span){line, 0};
	s->out->n_media++;
	return 0;
}

static struct sdp_format *format_of(struct sdp_media *m, struct span pt)
{
	for (int i = 0; i < m->n_fmt; i++)
		if (span_eq(m->fmt[i].pt_text, pt))
			return &m->fmt[i];
	return NULL;
}

static void parse_rtpmap(struct sdp_media *m, struct span v)
{
	struct sdp_format *f = format_of(m, word(&v));
	struct span enc, rest;
	uint64_t clock, channels;
	if (!f)
		return;
	rest = word(&v);
	enc = span_cut(&rest, '/');
	if (enc.n == 0 || span_u64(span_cut(&rest, '/'), 1000000, &clock) < 0)
		return; /* the format stays without a name and matches none of ours */
	f->encoding = enc;
	f->clock_hz = (uint32_t)clock;
	f->channels = span_u64(rest, 255, &channels) == 0 && channels ? (uint8_t)channels : 1;
}

static bool dir_of(struct span name, enum sdp_dir *dir)
{
	static const enum sdp_dir all[] = {SDP_SENDRECV, SDP_SENDONLY, SDP_RECVONLY, SDP_INACTIVE};
	for (size_t i = 0; i < 4; i++) {
		if (span_eqz(name, sdp_dir_name(all[i]))) {
			*dir = all[i];
			return true;
		}
	}
	return false;
}

static void media_attribute(struct sdp_media *m, struct span name, struct span v)
{
	uint64_t n;
	struct sdp_format *f;
	if (dir_of(name, &m->dir)) {
		return;
	} else if (span_eqz(name, "rtpmap")) {
		parse_rtpmap(m, v);
	} else if (span_eqz(name, "fmtp")) {
		f = format_of(m, word(&v));
		if (f)
			f->fmtp = span_trim(v);
	} else if (span_eqz(name, "ptime")) {
		if (span_u64(span_trim(v), 1000, &n) == 0)
			m->ptime_ms = (uint16_t)n;
	} else if (span_eqz(name, "rtcp")) {
		if (span_u64(word(&v), 65535, &n) == 0)
			m->rtcp_port = (uint16_t)n;
	} else if (span_eqz(name, "rtcp-mux")) {
		m->rtcp_mux = true;
	} else if (span_eqz(name, "crypto")) {
		if (m->n_crypto < SDP_MAX_CRYPTO)
			m->crypto[m->n_crypto++] = v;
	}
}

static int parse_line(struct session *s, char type, struct span v)
{
	struct sdp *o = s->out;
	struct sdp_media *m = o->n_media ? &o->media[o->n_media - 1] : NULL;
	struct span rest = v;
	switch (type) {
	case 'o':
		return !m && parse_origin(s, v) == 0 ? 0 : fail(s, "malformed o= line", v.p);
	case 's':
		if (!m)
			o->session_name = v;
		return 0;
	case 'c':
		if (parse_conn(v, m ? &m->conn : &s->conn, m ? &m->conn_zero : &s->conn_zero) < 0)
			return fail(s, "malformed c= line", v.p);
		return 0;
	case 'm':
		return parse_media(s, v);
	case 'a':
		v = span_cut(&rest, ':');
		if (m)
			media_attribute(m, v, rest);
		else
			dir_of(v, &s->dir);
		return 0;
	default:
		return 0; /* other types say nothing to offer/answer; unknown ones are left alone */
	}
}

int sdp_parse(struct span body, struct sdp *out, struct sdp_error *err)
{
	struct session s = {.out = out, .err = err, .base = body.p};
	struct span rest = body;
	bool first = true;
	memset(out, 0, offsetof(struct sdp, media));
	out->n_media = 0;
	out->raw = body;
	while (rest.p && rest.n) {
		/* RFC 4566 section 5: lines end with CRLF, a bare LF is to be taken too. */
		struct span line = span_cut(&rest, '\n');
		struct sdp_media *m = out->n_media ? &out->media[out->n_media - 1] : NULL;
		size_t whole = line.n + (rest.p ? 1 : 0);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n == 0)
			continue;
		if (line.n < 2 || line.p[1] != '=')
			return fail(&s, "line is not type=value", line.p);
		if (memchr(line.p, '\r', line.n) || memchr(line.p, 0, line.n))
			return fail(&s, "control character", line.p);
		if (first != (line.p[0] == 'v') || (first && !span_eqz(line, "v=0")))
			return fail(&s, "v=0 must be the first line", line.p);
		first = false;
		if (m && line.p[0] != 'm')
			m->raw.n = (size_t)(line.p + whole - m->raw.p);
		if (parse_line(&s, line.p[0], span_sub(line, 2, line.n)) < 0)
			return -1;
		if (line.p[0] == 'm')
			out->media[out->n_media - 1].raw.n = whole;
	}
	if (first)
		return fail(&s, "empty description", body.p);
	if (!s.have_origin)
		return fail(&s, "no o= line", body.p);
	for (int i = 0; i < out->n_media; i++)
		out->media[i].conn.port = out->media[i].port;
	return 0;
}

const struct sdp_media *sdp_audio(const struct sdp *s)
{
	for (int i = 0; i < s->n_media; i++)
		if (s->media[i].port && span_ieq(s->media[i].type, SPAN_LIT("audio")))
			return &s->media[i];
	return NULL;
}

void sdp_static_format(int pt, struct span *encoding, uint32_t *clock_hz)
{
	static const struct {
		const char *name;
		uint32_t clock_hz;
	} table[35] = {
		[0] = {"PCMU", 8000}, [3] = {"GSM", 8000}, [4] = {"G723", 8000}, [5] = {"DVI4", 8000}, [6] = {"DVI4", 16000},
		[7] = {"LPC", 8000}, [8] = {"PCMA", 8000}, [9] = {"G722", 8000}, [10] = {"L16", 44100}, [11] = {"L16", 44100},
		[12] = {"QCELP", 8000}, [13] = {"CN", 8000}, [14] = {"MPA", 90000}, [15] = {"G728", 8000},
		[16] = {"DVI4", 11025}, [17] = {"DVI4", 22050}, [18] = {"G729", 8000}, [25] = {"CelB", 90000},
		[26] = {"JPEG", 90000}, [28] = {"nv", 90000}, [31] = {"H261", 90000}, [32] = {"MPV", 90000},
		[33] = {"MP2T", 90000}, [34] = {"H263", 90000},
	};
	bool known = pt >= 0 && pt < 35 && table[pt].name;
	*encoding = known ? span_z(table[pt].name) : SPAN_NONE;
	*clock_hz = known ? table[pt].clock_hz : 0;
}

enum sdp_dir sdp_dir_reverse(enum sdp_dir d)
{
	switch (d) {
	case SDP_SENDONLY: return SDP_RECVONLY;
	case SDP_RECVONLY: return SDP_SENDONLY;
	case SDP_SENDRECV:
	case SDP_INACTIVE: break;
	}
	return d;
}

const char *sdp_dir_name(enum sdp_dir d)
{
	switch (d) {
	case SDP_SENDRECV: return "sendrecv";
	case SDP_SENDONLY: return "sendonly";
	case SDP_RECVONLY: return "recvonly";
	case SDP_INACTIVE: return "inactive";
	}
	return "sendrecv";
}

bool sdp_format_same(const struct sdp_format *a, const struct sdp_format *b)
{
	uint8_t ca = a->channels ? a->channels : 1, cb = b->channels ? b->channels : 1;
	return a->encoding.n && span_ieq(a->encoding, b->encoding) && a->clock_hz == b->clock_hz && ca == cb;
}

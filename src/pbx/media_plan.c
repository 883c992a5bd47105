/* What our descriptions say. Payload numbers go end to end, so that the relay need not look into packets. */
#include "pbx/cell_internal.h"

static const struct sdp_format ours[] = {
	{.pt_text = {"9", 1}, .pt = 9, .encoding = {"G722", 4}, .clock_hz = 8000, .channels = 1},
	{.pt_text = {"0", 1}, .pt = 0, .encoding = {"PCMU", 4}, .clock_hz = 8000, .channels = 1},
	{.pt_text = {"8", 1}, .pt = 8, .encoding = {"PCMA", 4}, .clock_hz = 8000, .channels = 1},
	{.pt_text = {"18", 2}, .pt = 18, .encoding = {"G729", 4}, .clock_hz = 8000, .channels = 1},
	{.pt_text = {"4", 1}, .pt = 4, .encoding = {"G723", 4}, .clock_hz = 8000, .channels = 1},
	{.pt_text = {"3", 1}, .pt = 3, .encoding = {"GSM", 3}, .clock_hz = 8000, .channels = 1},
	{.pt_text = {"97", 2}, .pt = 97, .encoding = {"iLBC", 4}, .clock_hz = 8000, .channels = 1},
	{.pt_text = {"107", 3}, .pt = 107, .encoding = {"opus", 4}, .clock_hz = 48000, .channels = 2},
};
static const struct sdp_format dtmf = {.pt_text = {"101", 3}, .pt = 101, .encoding = {"telephone-event", 15}, .clock_hz = 8000,
				       .channels = 1, .fmtp = {"0-15", 4}};

/* The site's codec list, in its order; unknown names are skipped (the schema's validator refuses them). */
void plan_profile(struct cell *c)
{
	struct span rest = c->settings ? span_z(c->settings->codecs) : SPAN_NONE;
	c->n_profile = 0;
	while (rest.p && c->n_profile < SDP_MAX_FORMATS - 1) {
		struct span name = span_trim(span_cut(&rest, ','));
		for (size_t i = 0; i < COUNT_OF(ours); i++)
			if (span_ieq(name, ours[i].encoding))
				c->profile[c->n_profile++] = ours[i];
	}
	c->profile[c->n_profile++] = dtmf;
}

static bool is_voice(const struct sdp_format *f)
{
	return !span_ieqz(f->encoding, "telephone-event");
}

static bool has_voice(const struct sdp_format *f, int n)
{
	for (int i = 0; i < n; i++)
		if (is_voice(&f[i]))
			return true;
	return false;
}

enum sdp_dir plan_dir(const struct sdp_media *m)
{
	if (!m->conn_zero)
		return m->dir;
	return m->dir == SDP_SENDRECV || m->dir == SDP_SENDONLY ? SDP_SENDONLY : SDP_INACTIVE;
}

const struct sdp_media *plan_audio(const struct cell *c, const struct sdp *s, uint8_t *index)
{
	struct sdp_format common[SDP_MAX_FORMATS];
	for (uint8_t i = 0; i < s->n_media; i++) {
		const struct sdp_media *m = &s->media[i];
		if (!span_eqz(m->type, "audio") || !m->port || !span_ieqz(m->proto, "RTP/AVP") || (!m->conn.family && !m->conn_zero))
			continue;
		if (!has_voice(common, sdp_intersect(m, c->profile, c->n_profile, common, SDP_MAX_FORMATS)))
			continue;
		if (index)
			*index = i;
		return m;
	}
	return NULL;
}

const struct sdp_media *plan_parse(const struct cell *c, struct span body, struct sdp *s, uint8_t *index)
{
	struct sdp_error err;
	if (!body.n || sdp_parse(body, s, &err))
		return NULL;
	return plan_audio(c, s, index);
}

const struct sdp_media *plan_opened(const struct sdp_media *m, struct sdp_media *open)
{
	if (!m || !m->conn.family)
		return NULL;
	*open = *m;
	open->dir = SDP_SENDRECV;
	open->conn_zero = false;
	return open;
}

static bool write_out(struct cell *c, struct leg *l, struct sdp_local *d, struct block *into)
{
	char buf[4096];
	struct text t = TEXT_ARRAY(buf);
	if (!l->sdp_id)
		l->sdp_id = 1 + rng_below(&c->rng, UINT64_C(1) << 40);
	d->session_id = l->sdp_id;
	d->version = ++l->sdp_version;
	sdp_write(&t, d);
	return !t.over && block_set(c, into, text_span(&t));
}

/* Our address of the leg's slot, or (direct) the other party's own. */
static bool set_address(const struct cell *c, const struct leg *l, const struct sdp_media *from, struct sdp_local *d)
{
	const struct addr *a = slot_addr(c, l->slot);
	if (a) {
		d->rtp = *a;
		return true;
	}
	if (!from || !from->conn.family)
		return false;
	d->rtp = from->conn;
	d->rtp.port = from->port;
	if (from->rtcp_port && from->rtcp_port != from->port + 1)
		d->rtcp_port = from->rtcp_port;
	return true;
}

bool plan_offer(struct cell *c, struct leg *l, const struct sdp_media *from)
{
	struct sdp_local d = {.dir = from ? plan_dir(from) : SDP_SENDRECV, .ptime_ms = from ? from->ptime_ms : 20};
	if (!set_address(c, l, from, &d))
		return false;
	if (from) {
		d.n_fmt = (uint8_t)sdp_intersect(from, c->profile, c->n_profile, d.fmt, SDP_MAX_FORMATS);
	} else {
		memcpy(d.fmt, c->profile, (size_t)c->n_profile * sizeof d.fmt[0]);
		d.n_fmt = (uint8_t)c->n_profile;
	}
	return has_voice(d.fmt, d.n_fmt) && write_out(c, l, &d, &l->offer_sdp);
}

/* The direction may not be wider than what was offered allows (RFC 3264 6.1). */
static enum sdp_dir within(enum sdp_dir answer, enum sdp_dir offered)
{
	bool send = (answer == SDP_SENDRECV || answer == SDP_SENDONLY) && (offered == SDP_SENDRECV || offered == SDP_RECVONLY);
	bool recv = (answer == SDP_SENDRECV || answer == SDP_RECVONLY) && (offered == SDP_SENDRECV || offered == SDP_SENDONLY);
	return send ? (recv ? SDP_SENDRECV : SDP_SENDONLY) : (recv ? SDP_RECVONLY : SDP_INACTIVE);
}

bool plan_answer(struct cell *c, struct leg *l, struct span offer, const struct sdp_media *from)
{
	struct sdp o;
	uint8_t index = 0;
	const struct sdp_media *m = plan_parse(c, offer, &o, &index);
	if (!m)
		return false;
	struct sdp_local d = {.dir = within(plan_dir(from), plan_dir(m)), .ptime_ms = from->ptime_ms, .answer_to = &o, .audio_index = index};
	d.n_fmt = (uint8_t)sdp_intersect(from, m->fmt, m->n_fmt, d.fmt, SDP_MAX_FORMATS);
	return set_address(c, l, from, &d) && has_voice(d.fmt, d.n_fmt) && write_out(c, l, &d, &l->local_sdp);
}

static int keep_g711(struct sdp_format *f, int n)
{
	int kept = 0;
	for (int i = 0; i < n; i++)
		if (!is_voice(&f[i]) || span_ieqz(f[i].encoding, "PCMU") || span_ieqz(f[i].encoding, "PCMA"))
			f[kept++] = f[i];
	return kept;
}

bool plan_test(struct cell *c, struct leg *l, bool g711_only, uint8_t *pt)
{
	struct sdp o;
	struct sdp_local d = {.dir = SDP_SENDRECV, .ptime_ms = 20};
	const struct sdp_media *m = NULL;
	int n = c->n_profile;
	if (l->wanted_sdp.n) {
		m = plan_parse(c, block_span(&l->wanted_sdp), &o, &d.audio_index);
		if (!m)
			return false;
		n = sdp_intersect(m, c->profile, c->n_profile, d.fmt, SDP_MAX_FORMATS);
		d.answer_to = &o;
		d.dir = within(SDP_SENDRECV, plan_dir(m));
	} else {
		memcpy(d.fmt, c->profile, (size_t)n * sizeof d.fmt[0]);
	}
	if (g711_only)
		n = keep_g711(d.fmt, n);
	d.n_fmt = (uint8_t)n;
	if (!has_voice(d.fmt, n) || !set_address(c, l, NULL, &d))
		return false;
	*pt = 0;
	for (int i = n - 1; i >= 0; i--)
		if (is_voice(&d.fmt[i]) && d.fmt[i].pt >= 0)
			*pt = (uint8_t)d.fmt[i].pt;
	return write_out(c, l, &d, &l->local_sdp);
}

/* Nothing changes for the other party: same address, direction and formats. */
bool plan_same(const struct sdp_media *a, const struct sdp_media *b)
{
	if (!addr_eq(&a->conn, &b->conn) || a->port != b->port || plan_dir(a) != plan_dir(b) || a->n_fmt != b->n_fmt)
		return false;
	for (int i = 0; i < a->n_fmt; i++)
		if (a->fmt[i].pt != b->fmt[i].pt || !sdp_format_same(&a->fmt[i], &b->fmt[i]))
			return false;
	return true;
}

void plan_note_codec(struct leg *l, const struct sdp_media *m)
{
	for (int i = 0; i < m->n_fmt; i++) {
		if (!is_voice(&m->fmt[i]))
			continue;
		if (l->cdr)
			(void)span_copyz(span_sub(m->fmt[i].encoding, 0, sizeof l->cdr->row.codec - 1), l->cdr->row.codec, sizeof l->cdr->row.codec);
		return;
	}
}

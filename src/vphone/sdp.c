/* The phone's own descriptions in the layout of section 8 (row SDP); holds and payload numbers: points V19, V23. */
#include "vphone/machine.h"

static const char *rtpmap(uint8_t pt)
{
	return pt == RTP_PT_PCMA ? "PCMA/8000" : "PCMU/8000";
}

/* o=- T T, s=Polycom IP Phone, c, t, the direction at session level. */
static void head(struct vphone *v, const struct vp_call *c, struct text *t, bool zero, const char *dir)
{
	text_fmt(t, "v=0\r\no=- %u %u IN %s ", c->sdp_id, c->sdp_version, v->ip.family == 6 ? "IP6" : "IP4");
	addr_put_ip(t, &v->ip);
	text_fmt(t, "\r\ns=Polycom IP Phone\r\nc=IN %s ", v->ip.family == 6 ? "IP6" : "IP4");
	if (zero)
		text_z(t, v->ip.family == 6 ? "::" : "0.0.0.0");
	else
		addr_put_ip(t, &v->ip);
	text_fmt(t, "\r\nt=0 0\r\na=%s\r\n", dir);
}

static const char *dir_of(bool send, bool receive)
{
	return send ? receive ? "sendrecv" : "sendonly" : receive ? "recvonly" : "inactive";
}

void vp_sdp_offer(struct vphone *v, struct vp_call *c, struct text *t)
{
	const struct vp_settings *s = &v->set;
	bool old = c->hold_local && s->hold_2543;
	head(v, c, t, old, !c->hold_local || old ? "sendrecv" : s->hold_sendonly ? "sendonly" : "inactive");
	text_fmt(t, "m=audio %u RTP/AVP", c->media ? c->media->port : 0);
	for (unsigned i = 0; i < s->n_codec; i++)
		text_fmt(t, " %u", s->codec[i]);
	text_fmt(t, " %u\r\n", s->te_pt);
	for (unsigned i = 0; i < s->n_codec; i++)
		text_fmt(t, "a=rtpmap:%u %s\r\n", s->codec[i], rtpmap(s->codec[i]));
	/* without an fmtp line (section 6.2) */
	text_fmt(t, "a=rtpmap:%u telephone-event/8000\r\n", s->te_pt);
	if (c->media)
		c->media->te_rx = s->te_pt;
}

static int find_codec(const struct vphone *v, const struct sdp_media *m)
{
	for (unsigned i = 0; i < m->n_fmt; i++)
		for (unsigned k = 0; k < v->set.n_codec; k++)
			if (m->fmt[i].pt == v->set.codec[k])
				return m->fmt[i].pt;
	return -1;
}

static uint8_t find_te(const struct sdp_media *m)
{
	for (unsigned i = 0; i < m->n_fmt; i++)
		if (m->fmt[i].pt >= 0 && span_ieqz(m->fmt[i].encoding, "telephone-event"))
			return (uint8_t)m->fmt[i].pt;
	return 0xff;
}

static bool peer_sends(const struct sdp_media *m)
{
	return m->dir == SDP_SENDRECV || m->dir == SDP_SENDONLY;
}

static bool peer_receives(const struct sdp_media *m)
{
	return (m->dir == SDP_SENDRECV || m->dir == SDP_RECVONLY) && !m->conn_zero;
}

/* What the peer said about where and how, into the call's media. */
static void apply(struct vp_call *c, const struct sdp_media *m, int pt)
{
	struct vp_media *x = c->media;
	x->pt = (uint8_t)pt;
	x->te_tx = find_te(m);
	x->remote = m->conn;
	x->remote.port = m->port;
	x->have_remote = m->conn.family != 0 && !m->conn_zero && m->port != 0;
	x->send = peer_receives(m);
}

static void refuse_line(struct text *t, const struct sdp_media *m)
{
	text_fmt(t, "m=" SPAN_FMT " 0 " SPAN_FMT " ", SPAN_ARG(m->type), SPAN_ARG(m->proto));
	text_put(t, m->n_fmt ? m->fmt[0].pt_text : SPAN_LIT("0"));
	text_lit(t, "\r\n");
}

int vp_sdp_answer(struct vphone *v, struct vp_call *c, const struct sdp *offer, struct text *t)
{
	const struct sdp_media *m = sdp_audio(offer);
	int pt = m && span_eqz(m->proto, "RTP/AVP") ? find_codec(v, m) : -1;
	if (pt < 0 || !c->media)
		return -1;
	apply(c, m, pt);
	c->media->te_rx = c->media->te_tx; /* the numbers of the offer (section 6.2) */
	/* three styles of hold: sendonly, inactive, c=0.0.0.0 */
	c->hold_remote = m->conn_zero || m->dir == SDP_SENDONLY || m->dir == SDP_INACTIVE;
	head(v, c, t, false, dir_of(m->dir == SDP_SENDRECV || m->dir == SDP_RECVONLY, peer_sends(m) && !c->hold_local));
	for (unsigned i = 0; i < offer->n_media; i++) {
		if (&offer->media[i] != m) {
			refuse_line(t, &offer->media[i]);
			continue;
		}
		text_fmt(t, "m=audio %u RTP/AVP %d", c->media->port, pt);
		if (c->media->te_rx != 0xff)
			text_fmt(t, " %u", c->media->te_rx);
		text_fmt(t, "\r\na=rtpmap:%d %s\r\n", pt, rtpmap((uint8_t)pt));
		if (c->media->te_rx != 0xff)
			text_fmt(t, "a=rtpmap:%u telephone-event/8000\r\n", c->media->te_rx);
	}
	return t->over ? -1 : 0;
}

int vp_sdp_take_answer(struct vphone *v, struct vp_call *c, const struct sdp *answer)
{
	const struct sdp_media *m = sdp_audio(answer);
	int pt = m ? find_codec(v, m) : -1;
	if (pt < 0 || !c->media)
		return -1;
	apply(c, m, pt);
	if (!c->hold_local)
		c->hold_remote = m->conn_zero || m->dir == SDP_SENDONLY || m->dir == SDP_INACTIVE;
	return 0;
}

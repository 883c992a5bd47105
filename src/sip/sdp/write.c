/* Writing descriptions, and what an offer and we have in common (RFC 3264 section 6). */
#include "sip/sdp/sdp.h"

/* A value of somebody else's must not begin a line of its own. */
static void put_clean(struct text *t, struct span s)
{
	size_t from = t->n;
	text_put(t, s);
	for (size_t i = from; i < t->n; i++)
		if (t->p[i] == '\r' || t->p[i] == '\n')
			t->p[i] = ' ';
}

static void put_format_text(struct text *t, const struct sdp_format *f)
{
	if (f->pt >= 0)
		text_u64(t, (uint64_t)f->pt);
	else
		put_clean(t, f->pt_text);
}

static void write_refused(struct text *t, const struct sdp_media *m)
{
	text_lit(t, "m=");
	put_clean(t, m->type);
	text_lit(t, " 0 ");
	put_clean(t, m->proto);
	text_putc(t, ' ');
	put_format_text(t, &m->fmt[0]);
	text_lit(t, "\r\n");
}

static void write_format(struct text *t, const struct sdp_format *f)
{
	if (f->pt >= 0 && f->encoding.n) {
		text_lit(t, "a=rtpmap:");
		text_u64(t, (uint64_t)f->pt);
		text_putc(t, ' ');
		put_clean(t, f->encoding);
		text_putc(t, '/');
		text_u64(t, f->clock_hz);
		if (f->channels > 1) {
			text_putc(t, '/');
			text_u64(t, f->channels);
		}
		text_lit(t, "\r\n");
	}
	if (f->fmtp.n) {
		text_lit(t, "a=fmtp:");
		put_format_text(t, f);
		text_putc(t, ' ');
		put_clean(t, f->fmtp);
		text_lit(t, "\r\n");
	}
}

static void write_audio(struct text *t, const struct sdp_local *l)
{
	text_lit(t, "m=audio ");
	text_u64(t, l->rtp.port);
	text_putc(t, ' ');
	if (l->answer_to)
		put_clean(t, l->answer_to->media[l->audio_index].proto);
	else
		text_lit(t, "RTP/AVP");
	for (int i = 0; i < l->n_fmt; i++) {
		text_putc(t, ' ');
		put_format_text(t, &l->fmt[i]);
	}
	text_lit(t, "\r\n");
	for (int i = 0; i < l->n_fmt; i++)
		write_format(t, &l->fmt[i]);
	if (l->ptime_ms)
		text_fmt(t, "a=ptime:%u\r\n", l->ptime_ms);
	if (l->rtcp_port && l->rtcp_port != l->rtp.port + 1)
		text_fmt(t, "a=rtcp:%u\r\n", l->rtcp_port);
	text_fmt(t, "a=%s\r\n", sdp_dir_name(l->dir));
}

void sdp_write(struct text *t, const struct sdp_local *l)
{
	const char *family = l->rtp.family == 6 ? "IP6" : "IP4";
	text_lit(t, "v=0\r\no=- ");
	text_u64(t, l->session_id);
	text_putc(t, ' ');
	text_u64(t, l->version);
	text_fmt(t, " IN %s ", family);
	addr_put_ip(t, &l->rtp);
	text_fmt(t, "\r\ns=-\r\nc=IN %s ", family);
	addr_put_ip(t, &l->rtp);
	text_lit(t, "\r\nt=0 0\r\n");
	if (!l->answer_to) {
		write_audio(t, l);
		return;
	}
	for (int i = 0; i < l->answer_to->n_media; i++) {
		if (i == l->audio_index && l->n_fmt)
			write_audio(t, l);
		else
			write_refused(t, &l->answer_to->media[i]);
	}
}

static bool is_speech(const struct sdp_format *f)
{
	return !span_ieq(f->encoding, SPAN_LIT("telephone-event")) && !span_ieq(f->encoding, SPAN_LIT("CN"));
}

int sdp_intersect(const struct sdp_media *offer, const struct sdp_format *mine, int n_mine, struct sdp_format *out, int cap)
{
	int n = 0;
	bool speech = false;
	for (int i = 0; i < offer->n_fmt && n < cap; i++) {
		for (int k = 0; k < n_mine; k++) {
			if (offer->fmt[i].pt < 0 || !sdp_format_same(&offer->fmt[i], &mine[k]))
				continue;
			out[n++] = offer->fmt[i];
			speech |= is_speech(&offer->fmt[i]);
			break;
		}
	}
	return speech ? n : 0; /* digits and comfort noise alone are no call */
}

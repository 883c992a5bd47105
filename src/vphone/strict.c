/* The strictness report: point V42. Rules are named by the point (V), the trap of section 12 (T) or the RFC they come from. */
#include "vphone/machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void note(struct vphone *v, const char *rule, const char *what)
{
	if (!v->defects)
		v->defects = calloc(VP_DEFECTS, sizeof *v->defects);
	for (unsigned i = 0; i < v->used_defects; i++)
		if (strcmp(v->defects[i].rule, rule) == 0) {
			v->defects[i].count++;
			return;
		}
	if (!v->defects || v->used_defects == VP_DEFECTS)
		return;
	struct vp_defect *d = &v->defects[v->used_defects++];
	d->rule = rule;
	d->count = 1;
	vp_copyz(d->first, sizeof d->first, span_z(what));
}

bool vp_rule(struct vphone *v, const char *rule, bool ok, const char *fmt, ...)
{
	char what[256];
	v->rules++;
	if (ok)
		return true;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	v->n_defects++;
	note(v, rule, what);
	vp_out(v, &(struct vphone_out){.kind = VP_OUT_DEFECT, .event = span_z(rule), .detail = span_z(what)});
	return false;
}

bool vp_parse_sdp(struct vphone *v, struct span body, struct sdp *out)
{
	struct sdp_error err = {"", 0};
	int rc = sdp_parse(body, out, &err);
	return vp_rule(v, "RFC4566-5", rc == 0, "malformed SDP at byte %zu: %s", err.offset, err.reason ? err.reason : "");
}

static bool makes_dialog(const struct sip_msg *m)
{
	return m->method == SIP_INVITE || m->method == SIP_UPDATE;
}

void vp_check_request(struct vphone *v, const struct sip_msg *m)
{
	vp_rule(v, "RFC3261-8.1.1.6", m->max_forwards >= 0, SPAN_FMT " without Max-Forwards", SPAN_ARG(m->method_name));
	vp_rule(v, "RFC3261-8.1.1.3", m->from.tag.n > 0, SPAN_FMT " without From tag", SPAN_ARG(m->method_name));
	vp_rule(v, "RFC3261-8.1.1.7", span_starts(m->via.branch, SPAN_LIT("z9hG4bK")), "Via branch without the magic cookie");
	if (!makes_dialog(m))
		return;
	vp_rule(v, "RFC3261-8.1.1.8", sip_hdr(m, SIP_H_CONTACT) != NULL, SPAN_FMT " without Contact", SPAN_ARG(m->method_name));
	vp_rule(v, "RFC3261-13.2.1", m->method != SIP_INVITE || sip_hdr(m, SIP_H_ALLOW) != NULL, "INVITE without Allow");
	/* every 180 becomes a reliable one; T34.prack is told when the PRACK does not come */
	vp_rule(v, "T34.100rel", !sip_has_token(m, SIP_H_SUPPORTED, "100rel") || sip_has_token(m, SIP_H_ALLOW, "PRACK"), "lists 100rel without PRACK");
	struct span alert = span_trim(sip_hdr_value(m, SIP_H_ALERT_INFO));
	vp_rule(v, "T29.alert-info", !span_istarts(alert, SPAN_LIT("http:")), "Alert-Info with a bare URL may be fetched");
}

void vp_check_response(struct vphone *v, const struct sip_msg *m)
{
	if (m->status > 100)
		vp_rule(v, "RFC3261-8.2.6.2", m->to.tag.n > 0, "%d without To tag", m->status);
	if (m->method == SIP_INVITE && m->status >= 200 && m->status < 300)
		vp_rule(v, "RFC3261-13.3.1.4", sip_hdr(m, SIP_H_CONTACT) != NULL, "%d to INVITE without Contact", m->status);
	if (m->status == 401 || m->status == 407) {
		enum sip_hdr_id id = m->status == 401 ? SIP_H_WWW_AUTHENTICATE : SIP_H_PROXY_AUTHENTICATE;
		vp_rule(v, "RFC3261-22.2", sip_hdr(m, id) != NULL, "%d without a challenge", m->status);
	}
	if (m->method == SIP_REGISTER && m->status >= 200 && m->status < 300)
		vp_rule(v, "RFC3261-10.3", sip_hdr(m, SIP_H_CONTACT) != NULL || sip_expires(m) == 0, "200 to REGISTER without Contact");
}

static bool offered(const struct vphone *v, int pt)
{
	for (unsigned i = 0; i < v->set.n_codec; i++)
		if (v->set.codec[i] == pt)
			return true;
	return pt == v->set.te_pt;
}

/* Answers to offers of ours: one audio line, formats out of what was offered. */
void vp_check_answer(struct vphone *v, const struct vp_call *c, const struct sdp *answer)
{
	(void)c;
	vp_rule(v, "T32.m-lines", answer->n_media == 1, "offered 1 m= line, answered %u", answer->n_media);
	if (answer->n_media == 0)
		return;
	const struct sdp_media *m = &answer->media[0];
	bool all = m->n_fmt > 0;
	for (unsigned i = 0; i < m->n_fmt; i++)
		all &= offered(v, m->fmt[i].pt);
	vp_rule(v, "RFC3264-6.1", all || m->port == 0, "the answer holds a format that was not offered");
	vp_rule(v, "RFC3264-6", span_eqz(m->proto, "RTP/AVP"), "the answer's profile is " SPAN_FMT, SPAN_ARG(m->proto));
}

void vphone_report(const struct vphone *v, struct text *t)
{
	text_fmt(t, "{\"model\":\"%s\",\"mac\":\"%s\",\"booted\":%s,\"boots\":%u,\"http_requests\":%u,\"registers_sent\":%u,", v->model->name,
		 v->mac, v->booted ? "true" : "false", v->boots, v->http_requests, v->registers_sent);
	text_fmt(t, "\"rules_evaluated\":%u,\"defects\":%u,\"strictness\":[", v->rules, v->n_defects);
	for (unsigned i = 0; i < v->used_defects; i++) {
		text_fmt(t, "%s{\"rule\":\"%s\",\"count\":%u,\"first\":", i ? "," : "", v->defects[i].rule, v->defects[i].count);
		text_json(t, span_z(v->defects[i].first));
		text_putc(t, '}');
	}
	text_fmt(t, "],\"last_call\":{\"rtp_rx\":%llu,\"rtp_tx\":%llu,\"rtp_lost\":%llu,\"rtp_foreign\":%llu,\"jitter_us\":%u,\"tone_hz\":%d}}",
		 (unsigned long long)v->ended.rx, (unsigned long long)v->ended.tx, (unsigned long long)v->ended.lost,
		 (unsigned long long)v->ended.foreign, v->ended.jitter_us, v->ended.tone_hz);
}

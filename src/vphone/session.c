/* Session timers of the phone (RFC 4028): off unless voIpProt.SIP.keepalive.sessionTimers is 1 (section 3). It speaks them then, asks
 * for none by itself, and ends a call that nobody refreshed. */
#include "vphone/machine.h"

static const char *supported(const struct vphone *v)
{
	return v->set.session_timers ? "100rel,timer,replaces" : "100rel,replaces";
}

void vp_session_supported(struct vphone *v, struct sip_build *b)
{
	sip_put_z(b, SIP_H_SUPPORTED, supported(v));
}

/* RFC 4028 10: who waits gives up at the interval less a third of it, 32 s at most. */
static void arm(struct vphone *v, struct vp_call *c)
{
	uint32_t grace = c->session_s / 3 < 32 ? c->session_s / 3 : 32;
	if (c->session_s)
		wheel_set(&v->wheel, &c->session, v->now_us + (int64_t)(c->session_ours ? c->session_s / 2 : c->session_s - grace) * VP_SECOND);
	else
		wheel_cancel(&v->wheel, &c->session);
}

static bool read(struct vphone *v, const struct sip_msg *m, uint32_t *s, struct span *refresher)
{
	struct span rest = sip_hdr_value(m, SIP_H_SESSION_EXPIRES), n = span_trim(span_cut(&rest, ';'));
	uint64_t u;
	*refresher = SPAN_NONE;
	if (!sip_hdr(m, SIP_H_SESSION_EXPIRES))
		return false;
	if (!vp_rule(v, "RFC4028-4", span_u64(n, UINT32_MAX, &u) == 0 && u >= 90, "Session-Expires of " SPAN_FMT, SPAN_ARG(n)))
		return false;
	*s = u < 86400 ? (uint32_t)u : 86400;
	while (rest.n) {
		struct span value = span_cut(&rest, ';'), name = span_trim(span_cut(&value, '='));
		if (span_ieqz(name, "refresher"))
			*refresher = span_trim(value);
	}
	return true;
}

void vp_session_reply(struct vphone *v, struct vp_call *c, const struct sip_msg *req, struct sip_build *b)
{
	struct span refresher;
	uint32_t s;
	if (!v->set.session_timers || !read(v, req, &s, &refresher))
		return;
	c->session_s = s;
	c->session_ours = span_ieqz(refresher, "uas"); /* nobody named: who asks refreshes */
	if (!c->session_ours)
		sip_put_z(b, SIP_H_REQUIRE, "timer");
	sip_head(b, SIP_H_SESSION_EXPIRES);
	text_u64(&b->t, s);
	text_z(&b->t, c->session_ours ? ";refresher=uas" : ";refresher=uac");
	sip_eol(b);
	arm(v, c);
}

void vp_session_answered(struct vphone *v, struct vp_call *c, const struct sip_msg *resp)
{
	struct span refresher;
	uint32_t s;
	if (!v->set.session_timers || !read(v, resp, &s, &refresher))
		return;
	c->session_s = s;
	c->session_ours = !span_ieqz(refresher, "uas");
	arm(v, c);
}

void vp_session_timer(struct vphone *v, struct vp_call *c)
{
	if (c->state == VPC_ENDING || !c->answered)
		return;
	if (c->session_ours) {
		vp_reinvite(v, c, c->hold_local);
		arm(v, c);
		return;
	}
	vp_event(v, "session-expired", "%u", (unsigned)c->session_s);
	vp_call_hang(v, c);
}

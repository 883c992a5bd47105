/* From parameters to what the phone runs with: sections 3 and 6, points V15 (transport and port rules), V19 (codec order). */
#include "vphone/machine.h"

#include <stdlib.h>

/* Only what this phone can really play and hear; section 6.1 gives the default order G711_Mu 6, G711_A 7 (S68). */
static void codecs(struct vphone *v)
{
	static const struct {
		const char *name;
		uint8_t pt, dflt;
	} all[] = {{"G711_Mu", RTP_PT_PCMU, 6}, {"G711_A", RTP_PT_PCMA, 7}};
	struct vp_settings *s = &v->set;
	uint32_t pref[COUNT_OF(all)];
	for (size_t i = 0; i < COUNT_OF(all); i++)
		pref[i] = vp_cfg_u(v, all[i].dflt, 50, "voice.codecPref.%s", all[i].name);
	for (uint32_t p = 1; p <= 50; p++)
		for (size_t i = 0; i < COUNT_OF(all); i++)
			if (pref[i] == p)
				s->codec[s->n_codec++] = all[i].pt;
}

static bool flag(const struct vphone *v, const char *name, bool dflt)
{
	return vp_cfg_u(v, dflt, 1, "%s", name) == 1;
}

static void general(struct vphone *v)
{
	struct vp_settings *s = &v->set;
	*s = (struct vp_settings){0};
	uint32_t port = vp_cfg_u(v, 0, 65535, "voIpProt.SIP.local.port");
	if (port)
		v->ip.port = (uint16_t)port;
	/* section 3: 0 = 5060 and not written into Contact and Via; other = used and advertised */
	s->advertise_port = port != 0 || v->ip.port != 5060;
	s->filter_ip = flag(v, "tcpIpApp.port.rtp.filterByIp", true);
	s->reject_486 = flag(v, "voIpProt.SIP.use486forReject", false);
	s->hold_2543 = flag(v, "voIpProt.SIP.useRFC2543hold", false);
	s->session_timers = flag(v, "voIpProt.SIP.keepalive.sessionTimers", false);
	s->hold_sendonly = flag(v, "voIpProt.SIP.useSendonlyHold", true);
	s->call_waiting = flag(v, "call.callWaiting.enable", true);
	s->tag_serial = flag(v, "sec.tagSerialNo", false);
	s->remove_end = flag(v, "dialplan.removeEndOfDial", true);
	s->inband_off = flag(v, "tone.dtmf.rfc2833Control", true);
	s->impossible = (uint8_t)vp_cfg_u(v, 0, 3, "dialplan.impossibleMatchHandling");
	s->impossible_s = vp_cfg_u(v, 4, 100, "dialplan.impossibleMatchHandling.timeOut");
	s->te_pt = (uint8_t)vp_cfg_u(v, 127, 127, "tone.dtmf.rfc2833Payload"); /* section 6.2 */
	s->rtp_start = (uint16_t)(vp_cfg_u(v, 2222, 65534, "tcpIpApp.port.rtp.mediaPortRangeStart") & ~1u);
	if (v->force_rtp_base)
		s->rtp_start = v->force_rtp_base;
	/* section 7.11: 60 and 60; SoundPoint does not honour 0 as "for ever" */
	s->offering_s = vp_cfg_u(v, 60, 3600, "call.offeringTimeOut");
	s->ringback_s = vp_cfg_u(v, 60, 3600, "call.ringBackTimeOut");
	if (s->offering_s == 0)
		s->offering_s = 60;
	codecs(v);
}

/* Section 3, transport rule: an IP address or an explicit port means UDP unless another transport is named. */
static enum sip_transport transport_of(struct vphone *v, struct span name)
{
	if (v->force_transport)
		return v->force_transport == 't' ? SIP_TCP : SIP_UDP;
	if (span_istarts(name, SPAN_LIT("TCP")))
		return SIP_TCP;
	return span_ieqz(name, "TLS") ? SIP_TLS : SIP_UDP;
}

/* "reg.1.server.1.X", then "voIpProt.server.1.X" when the line names no server of its own. */
static struct span server_cfg(const struct vphone *v, unsigned line, unsigned y, bool own, const char *what)
{
	return own ? vp_cfg(v, "reg.%u.server.%u.%s", line, y, what) : vp_cfg(v, "voIpProt.server.%u.%s", y, what);
}

static uint32_t server_u(const struct vphone *v, unsigned line, unsigned y, bool own, const char *what, uint32_t dflt, uint32_t max)
{
	uint64_t n;
	struct span s = server_cfg(v, line, y, own, what);
	return s.p && span_u64(s, max, &n) == 0 ? (uint32_t)n : dflt;
}

/* Where requests go: the outbound proxy when one is named, else the server. */
static bool destination(struct vphone *v, unsigned x, struct vp_reg *r, struct span host, uint16_t port, struct span transport)
{
	const char *pre = vp_cfg(v, "reg.%u.outboundProxy.address", x).p ? "reg" : "voIpProt.SIP";
	char key[48];
	struct text t = TEXT_ARRAY(key);
	text_z(&t, pre);
	if (pre[0] == 'r')
		text_fmt(&t, ".%u", x);
	text_lit(&t, ".outboundProxy");
	text_end(&t);
	struct span proxy = vp_cfg(v, "%s.address", key);
	if (proxy.p) {
		host = proxy;
		port = (uint16_t)vp_cfg_u(v, 0, 65535, "%s.port", key);
		transport = vp_cfg(v, "%s.transport", key);
	}
	r->flow.transport = transport_of(v, transport);
	r->flow.local = v->ip;
	return vp_rule(v, "V15.address", addr_parse(host, port ? port : r->flow.transport == SIP_TLS ? 5061 : 5060, &r->flow.remote) == 0,
		       "reg.%u: " SPAN_FMT " is no IP address: names are not resolved yet", x, SPAN_ARG(host));
}

static void one_server(struct vphone *v, struct vp_line *l, unsigned x, unsigned y)
{
	bool own = vp_cfg(v, "reg.%u.server.1.address", x).p != NULL;
	struct span host = server_cfg(v, x, y, own, "address");
	struct vp_reg *r = &l->reg[y - 1];
	r->timer.kind = VP_T_REG;
	r->line = (uint8_t)(x - 1);
	r->server = (uint8_t)y;
	if (!host.p || !destination(v, x, r, host, (uint16_t)server_u(v, x, y, own, "port", 0, 65535), server_cfg(v, x, y, own, "transport")))
		return;
	if (!l->domain[0])
		vp_copyz(l->domain, sizeof l->domain, host);
	l->n_regs = (uint8_t)y;
	r->wanted = server_u(v, x, y, own, "register", 1, 1) == 1;
	r->expires_s = server_u(v, x, y, own, "expires", 3600, INT32_MAX);
	r->overlap_s = server_u(v, x, y, own, "expires.overlap", 60, 65535);
	r->base_s = server_u(v, x, y, own, "registerRetry.baseTimeOut", 60, 120);
	r->max_s = server_u(v, x, y, own, "registerRetry.maxTimeOut", 60, 1800);
	if (r->max_s < r->base_s)
		r->max_s = r->base_s;
	vp_new_call_id(v, r->call_id);
	vp_new_tag(v, r->tag);
}

static void one_line(struct vphone *v, struct vp_line *l, unsigned x)
{
	struct span addr = vp_cfg(v, "reg.%u.address", x), user = span_cut(&addr, '@'), s;
	vp_copyz(l->user, sizeof l->user, user);
	if (addr.p)
		vp_copyz(l->domain, sizeof l->domain, addr);
	s = vp_cfg(v, "reg.%u.displayName", x);
	vp_copyz(l->display, sizeof l->display, s);
	s = vp_cfg(v, "reg.%u.label", x);
	vp_copyz(l->label, sizeof l->label, s.p ? s : user);
	s = vp_cfg(v, "reg.%u.auth.userId", x);
	vp_copyz(l->auth_user, sizeof l->auth_user, s.p ? s : user);
	vp_copyz(l->auth_password, sizeof l->auth_password, vp_cfg(v, "reg.%u.auth.password", x));
	uint32_t per = vp_cfg_u(v, v->model->calls_per_key, 24, "call.callsPerLineKey");
	per = vp_cfg_u(v, per, 24, "reg.%u.callsPerLineKey", x);
	l->max_calls = (uint16_t)(per * vp_cfg_u(v, 1, 48, "reg.%u.lineKeys", x));
	for (unsigned y = 1; y <= VP_MAX_SERVERS; y++)
		one_server(v, l, x, y);
	vp_mwi_setup(v, &l->mwi, x - 1);
}

/* V15: each reg.x that has an address, x up to the model's number of registrations. */
void vp_settings_apply(struct vphone *v)
{
	unsigned last = 0;
	general(v);
	for (unsigned x = 1; x <= v->model->max_reg; x++)
		if (vp_cfg(v, "reg.%u.address", x).p)
			last = x;
	free(v->lines);
	v->lines = last ? calloc(last, sizeof *v->lines) : NULL;
	v->n_lines = v->lines ? (uint8_t)last : 0;
	v->line = 0;
	for (unsigned x = 1; x <= v->n_lines; x++)
		if (vp_cfg(v, "reg.%u.address", x).p)
			one_line(v, &v->lines[x - 1], x);
	struct span map = vp_cfg(v, "dialplan.digitmap"), times = vp_cfg(v, "dialplan.digitmap.timeOut");
	unsigned n_map = 1, n_times = 1;
	for (size_t i = 0; i < map.n; i++)
		n_map += map.p[i] == '|';
	for (size_t i = 0; i < times.n; i++)
		n_times += times.p[i] == '|';
	if (map.p && times.p)
		vp_rule(v, "T14.timeouts", n_times == 1 || n_times == n_map, "%u patterns but %u time-outs", n_map, n_times);
}

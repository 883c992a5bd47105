/* The parameters the phone knows, transcribed from the facts; the section stands above each group. What the real firmware
 * has beyond these is unknown here and shows up in the strictness report as an unknown name. */
#include "vphone/machine.h"

#define TEXT(p)         {p, VP_P_TEXT, 0, 0, NULL}
#define INT(p, lo, hi)  {p, VP_P_INT, lo, hi, NULL}
#define BOOL(p)         {p, VP_P_INT, 0, 1, NULL}
#define WORD(p, w)      {p, VP_P_WORD, 0, 0, w}
#define KNOWN(p)        {p, VP_P_KNOWN, 0, 0, NULL}

#define TRANSPORTS "DNSnaptr|TCPpreferred|UDPOnly|TLS|TCPOnly" /* section 3; case of the last letters varies in the wild */

static const struct vp_param params[] = {
	/* section 2.2, 2.3 */
	BOOL("device.set"), TEXT("device.prov.serverName"), TEXT("device.prov.user"), TEXT("device.prov.password"),
	BOOL("device.prov.serverName.set"), BOOL("device.prov.user.set"), BOOL("device.prov.password.set"),
	BOOL("device.prov.tagSerialNo"), BOOL("device.prov.tagSerialNo.set"),
	WORD("device.prov.serverType", "FTP|TFTP|HTTP|HTTPS|FTPS|0|1|2|3|4"), BOOL("device.prov.serverType.set"),
	INT("device.prov.redunAttemptLimit", 1, 10), INT("device.prov.redunInterAttemptDelay", 0, 300),
	KNOWN("device.**"), KNOWN("prov.**"), KNOWN("upgrade.**"),
	/* section 3 */
	TEXT("reg.#.address"), TEXT("reg.#.displayName"), TEXT("reg.#.label"), TEXT("reg.#.auth.userId"), TEXT("reg.#.auth.password"),
	WORD("reg.#.type", "private|shared"), INT("reg.#.lineKeys", 1, 48), INT("reg.#.callsPerLineKey", 1, 24),
	TEXT("reg.#.server.#.address"), INT("reg.#.server.#.port", 0, 65535), WORD("reg.#.server.#.transport", TRANSPORTS),
	INT("reg.#.server.#.expires", 10, 2147483647), INT("reg.#.server.#.expires.overlap", 5, 65535),
	INT("reg.#.server.#.expires.lineSeize", 0, 65535), BOOL("reg.#.server.#.register"),
	INT("reg.#.server.#.registerRetry.baseTimeOut", 10, 120), INT("reg.#.server.#.registerRetry.maxTimeOut", 60, 1800),
	INT("reg.#.server.#.retryMaxCount", 0, 20), INT("reg.#.server.#.retryTimeOut", 0, 65535),
	WORD("reg.#.server.#.failOver.failBack.mode", "newRequests|DNSTTL|registration|duration"),
	INT("reg.#.server.#.failOver.failBack.timeout", 0, 65535), BOOL("reg.#.server.#.failOver.failRegistrationOn"),
	BOOL("reg.#.server.#.failOver.onlySignalWithRegistered"), BOOL("reg.#.server.#.failOver.reRegisterOn"),
	BOOL("reg.#.server.#.useOutboundProxy"), KNOWN("reg.#.server.#.specialInterop"), INT("reg.#.server.#.subscribe.expires", 10, 2147483647),
	TEXT("reg.#.outboundProxy.address"), INT("reg.#.outboundProxy.port", 0, 65535), WORD("reg.#.outboundProxy.transport", TRANSPORTS),
	BOOL("reg.#.serverFeatureControl.*"), BOOL("reg.#.srtp.enable"), BOOL("reg.#.srtp.offer"), BOOL("reg.#.srtp.require"),
	KNOWN("reg.#.musicOnHold.uri"), KNOWN("reg.#.ringType"), BOOL("reg.#.bargeInEnabled"), BOOL("reg.#.enablePvtHoldSoftKey"),
	TEXT("voIpProt.server.#.address"), INT("voIpProt.server.#.port", 0, 65535), WORD("voIpProt.server.#.transport", TRANSPORTS),
	INT("voIpProt.server.#.expires", 10, 2147483647), INT("voIpProt.server.#.expires.overlap", 5, 65535), BOOL("voIpProt.server.#.register"),
	INT("voIpProt.server.#.registerRetry.baseTimeOut", 10, 120), INT("voIpProt.server.#.registerRetry.maxTimeOut", 60, 1800),
	KNOWN("voIpProt.server.**"),
	INT("voIpProt.SIP.local.port", 0, 65535), TEXT("voIpProt.SIP.outboundProxy.address"), INT("voIpProt.SIP.outboundProxy.port", 0, 65535),
	WORD("voIpProt.SIP.outboundProxy.transport", TRANSPORTS), BOOL("voIpProt.SIP.use486forReject"), BOOL("voIpProt.SIP.strictReplacesHeader"),
	BOOL("voIpProt.SIP.tcpFastFailover"), BOOL("voIpProt.SIP.keepalive.sessionTimers"), BOOL("voIpProt.SIP.useRFC2543hold"),
	BOOL("voIpProt.SIP.useSendonlyHold"), KNOWN("voIpProt.SIP.requestValidation.**"), KNOWN("voIpProt.SIP.serverFeatureControl.**"),
	KNOWN("voIpProt.SIP.alertInfo.**"), KNOWN("voIpProt.SIP.conference.address"), KNOWN("voIpProt.SIP.specialEvent.**"),
	KNOWN("voIpProt.SIP.allowTransferOnProceeding"), KNOWN("voIpProt.SIP.musicOnHold.uri"), KNOWN("voIpProt.SIP.CID.sourcePreference"),
	KNOWN("voIpProt.SIP.useContactInReferTo"), KNOWN("voIpProt.SDP.**"),
	INT("nat.keepalive.interval", 0, 3600), KNOWN("nat.ip"), KNOWN("nat.signalPort"), KNOWN("nat.mediaPortStart"),
	BOOL("call.enableOnNotRegistered"),
	/* section 4 */
	TEXT("dialplan.digitmap"), TEXT("dialplan.digitmap.timeOut"), INT("dialplan.impossibleMatchHandling", 0, 3),
	INT("dialplan.impossibleMatchHandling.timeOut", 0, 100), BOOL("dialplan.removeEndOfDial"), BOOL("dialplan.applyToUserSend"),
	BOOL("dialplan.applyToUserDial"), BOOL("dialplan.applyToCallListDial"), BOOL("dialplan.applyToDirectoryDial"),
	BOOL("dialplan.applyToTelUriDial"), BOOL("dialplan.applyToForward"), BOOL("dialplan.applyToPstnDialing"),
	BOOL("dialplan.applyToRemoteDialing"), KNOWN("dialplan.userDial.timeOut"), BOOL("dialplan.filterNonDigitUriUsers"),
	KNOWN("dialplan.routing.**"), KNOWN("dialplan.#.**"), BOOL("dialplan.conflictMatchHandling"),
	/* section 5 */
	KNOWN("tcpIpApp.sntp.**"), KNOWN("lcl.**"), KNOWN("up.**"),
	/* section 6 */
	INT("voice.codecPref.G711_Mu", 0, 50), INT("voice.codecPref.G711_A", 0, 50), KNOWN("voice.**"),
	BOOL("tone.dtmf.viaRtp"), BOOL("tone.dtmf.rfc2833Control"), INT("tone.dtmf.rfc2833Payload", 96, 127), KNOWN("tone.**"),
	KNOWN("voIpProt.SIP.dtmfViaSignaling.rfc2976"),
	INT("tcpIpApp.port.rtp.mediaPortRangeStart", 1024, 65534), INT("tcpIpApp.port.rtp.mediaPortRangeEnd", 1024, 65535),
	BOOL("tcpIpApp.port.rtp.filterByIp"), BOOL("tcpIpApp.port.rtp.filterByPort"), KNOWN("tcpIpApp.port.rtp.forceSend"),
	KNOWN("tcpIpApp.port.rtp.video**"), KNOWN("tcpIpApp.keepalive.**"), KNOWN("sec.srtp.**"), KNOWN("video.**"), KNOWN("qos.**"),
	/* sections 7, 10: used by later parts of the phone */
	INT("call.callsPerLineKey", 1, 24), BOOL("call.callWaiting.enable"), WORD("call.callWaiting.ring", "beep|ring|silent"),
	INT("call.offeringTimeOut", 0, 3600), INT("call.ringBackTimeOut", 0, 3600), INT("call.dialtoneTimeOut", 0, 3600),
	KNOWN("call.**"), KNOWN("divert.**"), KNOWN("feature.**"), KNOWN("attendant.**"), KNOWN("softkey.**"), KNOWN("efk.**"),
	KNOWN("lineKey.**"), TEXT("msg.mwi.#.subscribe"), KNOWN("msg.**"), KNOWN("mb.**"), KNOWN("apps.**"), KNOWN("ptt.**"), KNOWN("se.**"), KNOWN("httpd.**"),
	KNOWN("log.**"), KNOWN("dir.**"), KNOWN("powerSaving.**"), KNOWN("phoneLock.**"), KNOWN("pres.**"), KNOWN("bg.**"), KNOWN("ind.**"),
	KNOWN("hoteling.**"), KNOWN("homeScreen.**"), KNOWN("license.**"), KNOWN("np.**"), KNOWN("key.**"), KNOWN("res.**"),
	BOOL("sec.tagSerialNo"), KNOWN("sec.**"), KNOWN("reg.limit"),
};

/* One part of the pattern against one part of the name. */
static bool part_fits(struct span pat, struct span part, bool *exact)
{
	if (span_eqz(pat, "*"))
		return part.n > 0;
	if (span_eqz(pat, "#")) {
		uint64_t n;
		return span_u64(part, 9999, &n) == 0 && n > 0;
	}
	if (!span_ieq(pat, part))
		return false;
	if (!span_eq(pat, part))
		*exact = false;
	return true;
}

static bool fits(const char *pattern, struct span name, bool *exact)
{
	struct span pat = span_z(pattern);
	*exact = true;
	while (pat.p && name.p) {
		struct span pp = span_cut(&pat, '.');
		if (pp.n >= 2 && span_eqz(span_sub(pp, pp.n - 2, pp.n), "**")) {
			struct span head = span_sub(pp, 0, pp.n - 2);
			return name.n >= head.n && span_ieq(span_sub(name, 0, head.n), head);
		}
		if (!part_fits(pp, span_cut(&name, '.'), exact))
			return false;
	}
	return !pat.p && !name.p;
}

/* The first row that fits exactly, else the first that fits but for the case. */
const struct vp_param *vp_param_find(struct span name, bool *exact)
{
	const struct vp_param *loose = NULL;
	if (name.n == 0)
		return NULL;
	for (size_t i = 0; i < COUNT_OF(params); i++) {
		bool same;
		if (ascii_lower(params[i].pattern[0]) != ascii_lower(name.p[0]) || !fits(params[i].pattern, name, &same))
			continue;
		if (same) {
			/* an open-ended row is weaker than a close one whose letters differ: reg names are misspelt so */
			if (loose && params[i].type == VP_P_KNOWN)
				break;
			*exact = true;
			return &params[i];
		}
		if (!loose)
			loose = &params[i];
	}
	*exact = false;
	return loose;
}

bool vp_param_value_ok(const struct vp_param *p, struct span value)
{
	uint64_t n;
	if (value.n == 0 || span_ieqz(value, "null"))
		return true;
	switch (p->type) {
	case VP_P_TEXT:
	case VP_P_KNOWN: return true;
	case VP_P_INT: return span_u64(value, (uint64_t)p->max, &n) == 0 && n >= (uint64_t)p->min;
	case VP_P_WORD: {
		struct span rest = span_z(p->words);
		while (rest.p)
			if (span_ieq(span_cut(&rest, '|'), value))
				return true;
		return false;
	}
	}
	return false;
}

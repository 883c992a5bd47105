/* What a phone is told. Pure functions of the snapshot and the device; every value that the facts mark unsure is written. */
#include "polycom/config.h"
#include "service/service_internal.h"

bool prov_master(struct text *t, struct span mac, const struct site_extension *e)
{
	text_lit(t, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<APPLICATION APP_FILE_PATH=\"\" CONFIG_FILES=\"");
	if (e) {
		text_xml(t, mac);
		text_fmt(t, "/Extension_%s.cfg", e->row.number);
	} else {
		text_lit(t, "guest.cfg");
	}
	text_lit(t, "\" MISC_FILES=\"\" LOG_FILE_DIRECTORY=\"\" OVERRIDES_DIRECTORY=\"\" CONTACTS_DIRECTORY=\"\" LICENSE_DIRECTORY=\"\"/>\n");
	return !t->over;
}

/* Codec names of the site's profile as the phones call them, in order of preference (polycom-facts 6.1). */
static void codecs(struct polycom_config *c, const struct site_settings *st)
{
	static const struct { const char *ours, *param; } known[] = {
		{"PCMU", "voice.codecPref.G711_Mu"}, {"PCMA", "voice.codecPref.G711_A"}, {"G722", "voice.codecPref.G722"},
		{"G729", "voice.codecPref.G729_AB"},
	};
	static const char *const off[] = {
		"voice.codecPref.G7221.32kbps", "voice.codecPref.G7221_C.48kbps", "voice.codecPref.Siren14.48kbps", "voice.codecPref.Siren22.64kbps",
	};
	polycom_config_group(c, "codecs");
	for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
		struct span rest = span_z(st->codecs);
		int place = 0, at = 0;
		while (rest.p) {
			place++;
			if (span_ieqz(span_trim(span_cut(&rest, ',')), known[k].ours))
				at = place;
		}
		polycom_config_set_int(c, known[k].param, at);
	}
	for (size_t k = 0; k < sizeof off / sizeof off[0]; k++)
		polycom_config_set_int(c, off[k], 0);
}

static void telephony(struct polycom_config *c, const struct site_device *d)
{
	bool vvx = !strncmp(d->row.model, "VVX", 3);
	polycom_config_group(c, "dtmf");
	polycom_config_set_int(c, "tone.dtmf.viaRtp", 1);
	polycom_config_set_int(c, "tone.dtmf.rfc2833Control", 1);
	polycom_config_set_int(c, "tone.dtmf.rfc2833Payload", 101);
	polycom_config_group(c, "dialling");
	/* Codes, extensions of 3 digits, the test numbers; anything else on the timer (rulings Z2, Z3, Z11). */
	polycom_config_set(c, "dialplan.digitmap", SPAN_LIT("911|9,911|0|##|#[1-3]x|#[5-9]x|#41T|#41xx|#4[2-9]|#40|[1-7]xx|919[6-8]|xxx.T"));
	polycom_config_set(c, "dialplan.digitmap.timeOut", SPAN_LIT("3|3|3|3|3|3|3|3|3|3|3|3|3"));
	/* ruling Z56: only the 5.x trains know 3 (send after a time); the others gather digits until Send */
	polycom_config_set_int(c, "dialplan.impossibleMatchHandling", vvx ? 3 : 2);
	if (vvx)
		polycom_config_set_int(c, "dialplan.impossibleMatchHandling.timeOut", 4);
	polycom_config_set_int(c, "dialplan.removeEndOfDial", 0); /* ruling Z57: ## arrives whole */
	polycom_config_group(c, "calls");
	polycom_config_set_int(c, "call.callWaiting.enable", 1);
	polycom_config_set_int(c, "call.offeringTimeOut", 60);
	polycom_config_set_int(c, "voIpProt.SIP.use486forReject", 0);
	polycom_config_set_int(c, "voIpProt.SIP.useRFC2543hold", 0);
	polycom_config_set_int(c, "voIpProt.SIP.useSendonlyHold", 1);
	polycom_config_set_int(c, "voIpProt.SIP.keepalive.sessionTimers", 0);
	polycom_config_set_int(c, "nat.keepalive.interval", 0);
}

/* TLS is one port above plain SIP, in the standard ports and in those from --port-base. */
static void transport(struct polycom_config *c, const struct service *s, const struct site_settings *st)
{
	bool tls = st->phone_transport == SITE_SETTINGS_PHONE_TRANSPORT_TLS;
	polycom_config_set_int(c, "reg.1.server.1.port", tls ? s->sip_port + 1 : s->sip_port);
	polycom_config_set(c, "reg.1.server.1.transport",
			   tls ? SPAN_LIT("TLS") : st->phone_transport == SITE_SETTINGS_PHONE_TRANSPORT_TCP ? SPAN_LIT("TCPOnly") : SPAN_LIT("UDPOnly"));
}

bool prov_extension(struct text *t, const struct service *s, const struct site_settings *st, const struct site_extension *e,
		    const struct site_device *d, struct span server)
{
	struct polycom_config c;
	struct secret secret;
	device_secret(&s->key, d->row.id, (uint32_t)d->row.generation, &secret);
	polycom_config_begin(&c, t);
	polycom_config_group(&c, "registration");
	polycom_config_set(&c, "reg.1.address", span_z(e->row.number));
	polycom_config_set(&c, "reg.1.label", span_z(e->row.number));
	polycom_config_set(&c, "reg.1.displayName", span_z(e->row.name[0] ? e->row.name : e->row.number));
	polycom_config_set(&c, "reg.1.auth.userId", span_z(e->row.number));
	polycom_config_set(&c, "reg.1.auth.password", span_mem(secret.b, secret.n));
	polycom_config_set(&c, "reg.1.type", SPAN_LIT("private"));
	polycom_config_set_int(&c, "reg.1.lineKeys", 1);
	polycom_config_set(&c, "reg.1.server.1.address", server);
	transport(&c, s, st);
	polycom_config_set_int(&c, "reg.1.server.1.expires", 3600);
	polycom_config_set_int(&c, "reg.1.server.1.expires.overlap", 60);
	polycom_config_set_int(&c, "reg.1.server.1.register", 1);
	polycom_config_set_int(&c, "reg.1.server.1.failOver.failRegistrationOn", 0);
	polycom_config_group(&c, "messages");
	polycom_config_set(&c, "msg.mwi.1.subscribe", span_z(e->row.number));
	codecs(&c, st);
	telephony(&c, d);
	secret_wipe(&secret);
	return polycom_config_end(&c);
}

bool prov_guest(struct text *t)
{
	struct polycom_config c;
	polycom_config_begin(&c, t);
	polycom_config_group(&c, "guest");
	polycom_config_set(&c, "reg.1.address", SPAN_NONE);
	polycom_config_set(&c, "reg.1.label", SPAN_LIT("Press #17 to Register"));
	polycom_config_set_int(&c, "call.enableOnNotRegistered", 1);
	return polycom_config_end(&c);
}

/* Models and User-Agents: facts section 1, 1.1, 2.7, 8. */
#include "vphone/machine.h"

/* Firmware: VVX 5.4.2.6345, SoundPoint 4.0.4.2906 with Updater 5.0.5.x, SoundStation 4.0.8.1972 (section 1.1).
 * Updaters: VVX 5.7.2.21547 (S11), SoundPoint 5.0.5.x (build number chosen), SoundStation 5.0.3.1667 (S4). */
#define VVX "5.4.2.6345", "5.7.2.21547"
#define SPIP "4.0.4.2906", "5.0.5.2080"
#define SSIP "4.0.8.1972", "5.0.3.1667"

static const struct vp_model models[] = {
	/* name      family             UA token     part number        versions keys reg  longUA calls.xml  per key (section 1; 3; 8) */
	{"SPIP331", "SoundPointIP", "SPIP_331", "2345-12365-001", SPIP, 2, 2, false, false, 24},
	{"SPIP450", "SoundPointIP", "SPIP_450", "2345-12450-001", SPIP, 3, 3, false, false, 24},
	{"SPIP550", "SoundPointIP", "SPIP_550", "2345-12500-001", SPIP, 4, 4, false, false, 24},
	{"SPIP560", "SoundPointIP", "SPIP_560", "2345-12560-001", SPIP, 4, 4, false, false, 24},
	{"SPIP650", "SoundPointIP", "SPIP_650", "2345-12600-001", SPIP, 6, 34, false, false, 24},
	{"SPIP670", "SoundPointIP", "SPIP_670", "2345-12670-001", SPIP, 6, 34, false, false, 24},
	{"SSIP6000", "SoundStationIP", "SSIP_6000", "3111-15600-001", SSIP, 1, 1, false, false, 24},
	{"SSIP7000", "SoundStationIP", "SSIP_7000", "3111-40000-001", SSIP, 1, 1, false, false, 24},
	{"VVX300", "VVX", "VVX_300", "3111-46135-002", VVX, 6, 6, true, true, 24},
	{"VVX310", "VVX", "VVX_310", "3111-46161-001", VVX, 6, 6, true, true, 24},
	{"VVX400", "VVX", "VVX_400", "3111-46157-002", VVX, 12, 12, true, true, 24},
	{"VVX410", "VVX", "VVX_410", "3111-46162-001", VVX, 12, 12, true, true, 24},
	{"VVX500", "VVX", "VVX_500", "3111-44500-001", VVX, 12, 12, true, true, 24},
	{"VVX600", "VVX", "VVX_600", "3111-44600-001", VVX, 16, 16, true, true, 24},
};

/* Models that appear as suffixes in Polycom's own templates though they are no target (S68). */
static const char *const others[] = {"SL8440", "SL8450", "SL8800", "SPIP321", "SPIP335", "SSIP5000", "SSDuo", "VVX1500"};

const struct vp_model *vp_model_find(struct span name)
{
	for (size_t i = 0; i < COUNT_OF(models); i++)
		if (span_eqz(name, models[i].name))
			return &models[i];
	return NULL;
}

bool vp_model_suffix(const struct vp_model *m, struct span name, struct span *base, bool *own)
{
	size_t dot = name.n;
	while (dot > 0 && name.p[dot - 1] != '.')
		dot--;
	if (dot < 2)
		return false;
	struct span tail = span_sub(name, dot, name.n);
	bool known = vp_model_find(tail) != NULL;
	for (size_t i = 0; i < COUNT_OF(others); i++)
		known |= span_eqz(tail, others[i]);
	if (!known)
		return false;
	*base = span_sub(name, 0, dot - 1);
	*own = span_eqz(tail, m->name);
	return true;
}

/* Section 2.7: "FileTransport PolycomVVX-VVX_410-UA/5.4.2.6345 Type/Application", with (SN:<mac>) when tagged (V7). */
void vp_ua_http(const struct vphone *v, bool application, struct text *t)
{
	const struct vp_model *m = v->model;
	text_fmt(t, "FileTransport Polycom%s-%s-UA/%s ", m->family, m->ua_model, application ? m->app : m->updater);
	if (v->flash.tag_serial)
		text_fmt(t, "(SN:%s) ", v->mac);
	text_z(t, application ? "Type/Application" : "Type/Updater");
}

/* Section 8 and fact 7. */
void vp_ua_sip(const struct vphone *v, struct text *t)
{
	const struct vp_model *m = v->model;
	if (m->long_sip_ua)
		text_fmt(t, "Polycom/%s ", m->app);
	text_fmt(t, "Polycom%s-%s-UA/%s", m->family, m->ua_model, m->app);
	if (v->set.tag_serial)
		text_fmt(t, "_%s", v->mac);
}

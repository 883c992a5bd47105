/* The lines of a scenario that describe its world: phones, net, site, ext, model, nopower, seeds, rows. */
#include "sim/scenario.h"

#include <stdio.h>
#include <stdlib.h>

enum { SCN_PHONES = 100 };

struct setup {
	uint32_t phones;
	struct sim_opts o;
	struct site_settings st;
	char ext[SCN_PHONES][8];
	const char *model[SCN_PHONES];
	bool off[SCN_PHONES], tcp[SCN_PHONES], timers[SCN_PHONES];
};

bool scn_is_setup(struct span w)
{
	static const char *const words[] = {"rows:", "seeds", "phones", "net", "site", "phone", "title:"};
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (span_eqz(w, words[i]))
			return true;
	return false;
}

/* net loss 0.05 dup 0.01 reorder 0.01 delay_ms 5 jitter_ms 20 */
static int net_line(struct setup *u, struct span rest)
{
	while (rest.n) {
		struct span key = scn_word(&rest);
		double v;
		if (!scn_number(scn_word(&rest), &v) || v < 0)
			return -1;
		if (span_eqz(key, "loss"))
			u->o.net.loss = v;
		else if (span_eqz(key, "dup"))
			u->o.net.dup = v;
		else if (span_eqz(key, "reorder"))
			u->o.net.reorder = v;
		else if (span_eqz(key, "delay_ms"))
			u->o.net.delay_us = (int64_t)(v * 1000);
		else if (span_eqz(key, "jitter_ms"))
			u->o.net.jitter_us = (int64_t)(v * 1000);
		else
			return -1;
	}
	return 0;
}

/* site ring_s 10 media direct codecs PCMU,PCMA auth_sha256 1 */
static int site_line(struct setup *u, struct span rest)
{
	while (rest.n) {
		struct span key = scn_word(&rest), v = scn_word(&rest);
		double n = 0;
		bool num = scn_number(v, &n);
		if (span_eqz(key, "ring_s") && num)
			u->st.ring_s = (int32_t)n;
		else if (span_eqz(key, "session_timer_s") && num)
			u->st.session_timer_s = (int32_t)n;
		else if (span_eqz(key, "session_min_s") && num)
			u->st.session_min_s = (int32_t)n;
		else if (span_eqz(key, "reliable_provisional") && num)
			u->st.reliable_provisional = n != 0;
		else if (span_eqz(key, "media"))
			u->st.media = span_eqz(v, "direct") ? SITE_SETTINGS_MEDIA_DIRECT : SITE_SETTINGS_MEDIA_ANCHOR;
		else if (span_eqz(key, "codecs") && span_copyz(v, u->st.codecs, sizeof u->st.codecs))
			continue;
		else if (span_eqz(key, "auth_sha256") && num)
			u->st.auth_sha256 = n != 0;
		else
			return -1;
	}
	return 0;
}

/* phone 3 ext 202 | phone 3 off | phone 3 tcp | phone 2 model SPIP650 */
static int phone_line(struct setup *u, struct span rest)
{
	uint64_t n;
	if (span_u64(scn_word(&rest), u->phones, &n) != 0 || n == 0)
		return -1;
	while (rest.n) {
		struct span key = scn_word(&rest);
		if (span_eqz(key, "off"))
			u->off[n - 1] = true;
		else if (span_eqz(key, "tcp"))
			u->tcp[n - 1] = true;
		else if (span_eqz(key, "timers"))
			u->timers[n - 1] = true;
		else if (span_eqz(key, "ext")) {
			if (!span_copyz(scn_word(&rest), u->ext[n - 1], sizeof u->ext[0]))
				return -1;
		} else if (span_eqz(key, "model")) {
			u->model[n - 1] = span_eqz(scn_word(&rest), "SPIP650") ? "SPIP650" : "VVX410";
		} else
			return -1;
	}
	return 0;
}

static int read_line(struct setup *u, struct span line)
{
	struct span rest = line, w = scn_word(&rest);
	uint64_t n;
	if (span_eqz(w, "net"))
		return net_line(u, rest);
	if (span_eqz(w, "site"))
		return site_line(u, rest);
	if (span_eqz(w, "phone"))
		return phone_line(u, rest);
	if (!span_eqz(w, "phones"))
		return 0;
	if (span_u64(rest, SCN_PHONES, &n) != 0 || n == 0)
		return -1;
	u->phones = (uint32_t)n;
	return 0;
}

static int read_setup(struct setup *u, struct span file, const struct sim_opts *o)
{
	*u = (struct setup){.phones = 2, .o = *o};
	site_settings_defaults(&u->st);
	for (uint32_t i = 0; i < SCN_PHONES; i++) {
		snprintf(u->ext[i], sizeof u->ext[i], "%u", 201 + i);
		u->model[i] = i % 2 ? "SPIP650" : "VVX410";
	}
	while (file.p) {
		struct span line = span_cut(&file, '\n');
		line = scn_strip(line);
		if (line.n && read_line(u, line) != 0)
			return -1;
	}
	return 0;
}

static int make_phones(struct scenario *s, const struct setup *u, const char **error)
{
	struct world *w = &s->w;
	for (uint32_t i = 0; i < u->phones; i++) {
		char pin[8], name[24];
		snprintf(pin, sizeof pin, "%s", "260817");
		snprintf(name, sizeof name, "User %s", u->ext[i]);
		if (phone_init(w, i, u->ext[i], pin, error) != 0)
			return -1;
		w->phone[i].model = u->model[i];
		w->phone[i].tcp = u->tcp[i];
		w->phone[i].timers = u->timers[i];
		if (!site_extension_find(w->site, span_z(u->ext[i])) && web_extension(w, u->ext[i], name, pin) != 0) {
			*error = "an extension could not be made";
			return -1;
		}
		if (!u->off[i] && phone_power(w, &w->phone[i], 5060, 20, error) != 0)
			return -1;
	}
	return 0;
}

int scn_setup(struct scenario *s, struct span file, const struct sim_opts *o, const char **error)
{
	struct setup *u = malloc(sizeof *u);
	int rc = -1;
	if (!u)
		return -1;
	if (read_setup(u, file, o) != 0) {
		*error = "a line that describes the world is not understood";
		goto out;
	}
	if (world_init(&s->w, &u->o, u->phones, &u->st, error) != 0)
		goto out;
	s->w.disk.on = true;
	s->heard = calloc((size_t)u->phones * (u->phones + 1), sizeof *s->heard);
	s->status = calloc(u->phones, sizeof *s->status);
	if (s->heard && s->status)
		rc = make_phones(s, u, error);
out:
	free(u);
	return rc;
}

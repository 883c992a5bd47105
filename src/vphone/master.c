/* Master file: section 2.4, point V9. */
#include "vphone/machine.h"

/* [NAME] -> what it stands for. */
static struct span subst_of(const struct vphone *v, struct span in, size_t *used)
{
	const struct {
		struct span key;
		const char *value;
	} k[] = {
		{SPAN_LIT("[PHONE_MAC_ADDRESS]"), v->mac},
		{SPAN_LIT("[PHONE_MODEL]"), v->model->name},
		{SPAN_LIT("[PHONE_PART_NUMBER]"), v->model->part}, /* name unsure (12b c) */
	};
	for (size_t i = 0; i < COUNT_OF(k); i++)
		if (span_starts(in, k[i].key)) {
			*used = k[i].key.n;
			return span_z(k[i].value);
		}
	*used = 1;
	return span_sub(in, 0, 1);
}

bool vp_substitute(const struct vphone *v, struct span in, char *dst, size_t cap)
{
	struct text t = text_on(dst, cap);
	while (in.n) {
		size_t used;
		text_put(&t, subst_of(v, in, &used));
		in = span_sub(in, used, in.n);
	}
	bool ok = text_end(&t);
	if (!ok)
		dst[0] = 0;
	return ok;
}

struct slot {
	const char *name;
	char *dst;
	size_t cap;
};

/* "APP_FILE_PATH" or "APP_FILE_PATH_VVX410". 0: neither, or another model's; 1 general; 2 ours. *mine: a master attribute. */
static int fit(const struct vphone *v, struct span attr, const char *name, bool *mine)
{
	struct span n = span_z(name);
	if (!span_starts(attr, n))
		return 0;
	if (attr.n == n.n)
		return *mine = true, 1;
	if (attr.p[n.n] != '_')
		return 0;
	*mine = true;
	return span_eqz(span_sub(attr, n.n + 1, attr.n), v->model->name) ? 2 : 0;
}

static void take(struct vphone *v, struct vp_master *m, const struct vp_params *got, struct span file)
{
	struct slot slots[] = {
		{"APP_FILE_PATH", m->app_file, sizeof m->app_file},
		{"CONFIG_FILES", m->config_files, sizeof m->config_files},
		{"MISC_FILES", m->misc_files, sizeof m->misc_files},
		{"LOG_FILE_DIRECTORY", m->log_dir, sizeof m->log_dir},
		{"OVERRIDES_DIRECTORY", m->overrides_dir, sizeof m->overrides_dir},
		{"CONTACTS_DIRECTORY", m->contacts_dir, sizeof m->contacts_dir},
		{"LICENSE_DIRECTORY", m->license_dir, sizeof m->license_dir},
		{"CALL_LISTS_DIRECTORY", m->calls_dir, sizeof m->calls_dir},
	};
	int rank[COUNT_OF(slots)] = {0};
	struct vp_param_it it = {0};
	while (vp_params_next(got, &it)) {
		for (size_t i = 0; i < COUNT_OF(slots); i++) {
			bool mine;
			int r = fit(v, it.name, slots[i].name, &mine);
			if (r <= rank[i])
				continue;
			/* CONFIG_FILES holds 2047 characters, names 255 (section 2.4) */
			if (vp_rule(v, "V9.length", vp_substitute(v, it.value, slots[i].dst, slots[i].cap),
				    SPAN_FMT ": " SPAN_FMT " is too long", SPAN_ARG(file), SPAN_ARG(it.name)))
				rank[i] = r;
		}
	}
}

static bool is_master_attr(struct span name)
{
	static const char *const all[] = {"APP_FILE_PATH", "CONFIG_FILES", "MISC_FILES", "LOG_FILE_DIRECTORY", "OVERRIDES_DIRECTORY",
		"CONTACTS_DIRECTORY", "LICENSE_DIRECTORY", "USER_PROFILES_DIRECTORY", "CALL_LISTS_DIRECTORY", "COREFILE_DIRECTORY",
		"CERTIFICATE_DIRECTORY", "DECT_FILE_PATH", "SERVICE_FILES"};
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		struct span k = span_z(all[i]);
		if (span_starts(name, k) && (name.n == k.n || name.p[k.n] == '_'))
			return true;
	}
	return false;
}

static bool has_parameters(const struct vp_params *got)
{
	struct vp_param_it it = {0};
	while (vp_params_next(got, &it))
		if (!is_master_attr(it.name) && span_chr(it.name, '.') > 0)
			return true;
	return false;
}

int vp_master_read(struct vphone *v, struct vp_master *m, struct span name, struct span xml)
{
	struct vp_params got = {0};
	const char *why;
	unsigned line;
	int rc = vp_xml_collect(v, xml, &got, &why, &line);
	*m = (struct vp_master){0};
	if (vp_rule(v, "T5.wellformed", rc == 0, SPAN_FMT " line %u: %s; the whole file is ignored", SPAN_ARG(name), line, why)) {
		take(v, m, &got, name);
		vp_rule(v, "T9.image-url", span_find(span_z(m->app_file), SPAN_LIT("://")) < 0, "APP_FILE_PATH %s is a URL", m->app_file);
	}
	/* a combined file: the phone takes the parameters that stand in it as the first of its files */
	if (rc == 0 && has_parameters(&got)) {
		struct vp_param_it it = {0};
		while (vp_params_next(&got, &it)) {
			bool exact, own = true;
			struct span base = it.name;
			bool suffix = vp_model_suffix(v->model, it.name, &base, &own);
			const struct vp_param *p = own && !is_master_attr(it.name) ? vp_param_find(base, &exact) : NULL;
			if (p && p->type != VP_P_KNOWN && vp_param_value_ok(p, it.value))
				(void)!vp_params_merge(&v->params, base, it.value, (uint8_t)(VP_L_CONFIG + suffix));
		}
	}
	vp_params_clear(&got);
	return rc;
}

/* Parameter files: sections 2.5 and 2.6, points V5a, V8, V10. */
#include "vphone/machine.h"

#include <expat.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { REC_HEAD = 5 };

static uint16_t get_u16(const char *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

bool vp_params_next(const struct vp_params *ps, struct vp_param_it *it)
{
	if (it->name.p)
		it->at += REC_HEAD + it->name.n + it->value.n;
	if (it->at + REC_HEAD > ps->n)
		return false;
	const char *p = ps->p + it->at;
	size_t nn = get_u16(p), vn = get_u16(p + 2);
	if (nn == 0 || REC_HEAD + nn + vn > ps->n - it->at)
		return false;
	it->rank = (uint8_t)p[4];
	it->name = span_mem(p + REC_HEAD, nn);
	it->value = span_mem(p + REC_HEAD + nn, vn);
	return true;
}

void vp_params_clear(struct vp_params *ps)
{
	free(ps->p);
	*ps = (struct vp_params){0};
}

int vp_params_add(struct vp_params *ps, struct span name, struct span value, uint8_t rank)
{
	size_t need = REC_HEAD + name.n + value.n;
	if (name.n == 0 || name.n > 0xffff || value.n > 0xffff || need > VP_PARAMS_MAX - ps->n)
		return -1;
	if (need > ps->cap - ps->n) {
		size_t cap = ps->cap ? ps->cap * 2 : 512;
		while (cap < ps->n + need)
			cap *= 2;
		char *p = realloc(ps->p, cap);
		if (!p)
			return -1;
		ps->p = p;
		ps->cap = cap;
	}
	char *p = ps->p + ps->n;
	uint16_t nn = (uint16_t)name.n, vn = (uint16_t)value.n;
	memcpy(p, &nn, sizeof nn);
	memcpy(p + 2, &vn, sizeof vn);
	p[4] = (char)rank;
	memcpy(p + REC_HEAD, name.p, name.n);
	if (value.n)
		memcpy(p + REC_HEAD + name.n, value.p, value.n);
	ps->n += need;
	return 0;
}

int vp_params_merge(struct vp_params *ps, struct span name, struct span value, uint8_t rank)
{
	struct vp_param_it it = {0};
	while (vp_params_next(ps, &it)) {
		if (!span_ieq(it.name, name))
			continue;
		if (it.rank >= rank)
			return 0;
		size_t len = REC_HEAD + it.name.n + it.value.n;
		memmove(ps->p + it.at, ps->p + it.at + len, ps->n - it.at - len);
		ps->n -= len;
		break;
	}
	return vp_params_add(ps, name, value, rank);
}

struct span vp_params_get(const struct vp_params *ps, struct span name)
{
	struct vp_param_it it = {0};
	while (vp_params_next(ps, &it))
		if (span_ieq(it.name, name))
			return it.value;
	return SPAN_NONE;
}

struct collect {
	XML_Parser xp;
	struct vp_params *out;
	const char *why;
};

static void XMLCALL on_start(void *user, const XML_Char *element, const XML_Char **atts)
{
	struct collect *c = user;
	(void)element;
	for (int i = 0; atts[i]; i += 2) {
		if (vp_params_add(c->out, span_z(atts[i]), span_z(atts[i + 1]), 0) == 0)
			continue;
		c->why = "too large";
		XML_StopParser(c->xp, XML_FALSE);
		return;
	}
}

/* Entities of the file's own could blow up; a configuration needs none. */
static void XMLCALL on_entity(void *user, const XML_Char *name, int is_param, const XML_Char *value, int len, const XML_Char *base,
			      const XML_Char *system, const XML_Char *public, const XML_Char *notation)
{
	struct collect *c = user;
	(void)name, (void)is_param, (void)value, (void)len, (void)base, (void)system, (void)public, (void)notation;
	c->why = "entity declared";
	XML_StopParser(c->xp, XML_FALSE);
}

int vp_xml_collect(struct vphone *v, struct span xml, struct vp_params *out, const char **why, unsigned *line)
{
	*why = "no memory";
	*line = 0;
	if (xml.n > VP_FILE_MAX) {
		*why = "too large";
		return -1;
	}
	XML_Parser xp = XML_ParserCreate(NULL);
	if (!xp)
		return -1;
	struct collect c = {xp, out, NULL};
	/* a salt of ours: the parser must not ask the system for randomness */
	XML_SetHashSalt(xp, (unsigned long)rng_u64(&v->rng) | 1);
	XML_SetUserData(xp, &c);
	XML_SetStartElementHandler(xp, on_start);
	XML_SetEntityDeclHandler(xp, on_entity);
	int rc = XML_Parse(xp, xml.p ? xml.p : "", (int)xml.n, 1) == XML_STATUS_OK ? 0 : -1;
	if (rc) {
		*why = c.why ? c.why : XML_ErrorString(XML_GetErrorCode(xp));
		*line = (unsigned)XML_GetCurrentLineNumber(xp);
	}
	XML_ParserFree(xp);
	return rc;
}

/* Does anything in this phone act on it? The rest need not be kept. */
static bool is_kept(const struct vp_param *p)
{
	return p->type != VP_P_KNOWN;
}

static void take(struct vphone *v, struct span file, struct span name, struct span value, enum vp_level level)
{
	struct span base = name;
	bool own = true, exact;
	uint8_t rank = (uint8_t)level;
	if (vp_model_suffix(v->model, name, &base, &own)) {
		if (!own)
			return;
		rank++;
	}
	const struct vp_param *p = vp_param_find(base, &exact);
	if (!vp_rule(v, "V8.unknown", p != NULL, SPAN_FMT ": no such parameter " SPAN_FMT, SPAN_ARG(file), SPAN_ARG(name)))
		return;
	vp_rule(v, "T8.case", exact, SPAN_FMT ": letters of " SPAN_FMT " differ from %s", SPAN_ARG(file), SPAN_ARG(name), p->pattern);
	if (!vp_rule(v, "V8.range", vp_param_value_ok(p, value), SPAN_FMT ": " SPAN_FMT "=\"" SPAN_FMT "\" is not allowed", SPAN_ARG(file),
		     SPAN_ARG(name), SPAN_ARG(value)))
		return;
	if (is_kept(p) && vp_params_merge(&v->params, base, value, rank) != 0)
		vp_log(v, "no room for parameter " SPAN_FMT, SPAN_ARG(name));
}

void vp_config_file(struct vphone *v, struct span name, struct span xml, enum vp_level level)
{
	struct vp_params got = {0};
	const char *why;
	unsigned line;
	int rc = vp_xml_collect(v, xml, &got, &why, &line);
	if (vp_rule(v, "T5.wellformed", rc == 0, SPAN_FMT " line %u: %s; the whole file is ignored", SPAN_ARG(name), line, why)) {
		struct vp_param_it it = {0};
		while (vp_params_next(&got, &it))
			take(v, name, it.name, it.value, level);
	}
	vp_params_clear(&got);
}

static struct span get(const struct vphone *v, const char *fmt, va_list ap)
{
	char name[128];
	int n = vsnprintf(name, sizeof name, fmt, ap);
	if (n <= 0 || (size_t)n >= sizeof name)
		return SPAN_NONE;
	struct span s = vp_params_get(&v->params, span_mem(name, (size_t)n));
	return s.n == 0 || span_ieqz(s, "null") ? SPAN_NONE : s;
}

struct span vp_cfg(const struct vphone *v, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct span s = get(v, fmt, ap);
	va_end(ap);
	return s;
}

uint32_t vp_cfg_u(const struct vphone *v, uint32_t dflt, uint32_t max, const char *fmt, ...)
{
	va_list ap;
	uint64_t n;
	va_start(ap, fmt);
	struct span s = get(v, fmt, ap);
	va_end(ap);
	return s.p && span_u64(s, max, &n) == 0 ? (uint32_t)n : dflt;
}

/* The boot as seen on the wire: section 2.3, 2.7; points V4, V5, V6, V9, V11 (first half), V12, V13. One request at a time. */
#include "vphone/machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum step {
	ST_MASTER1, ST_IMAGE1, ST_BOOT_LOG,                           /* Updater */
	ST_MASTER2, ST_IMAGE2, ST_CONFIG, ST_MISC, ST_PHONE, ST_WEB,  /* Application */
	ST_LICENSE0, ST_LICENSE, ST_CALLS, ST_DIRECTORY, ST_DIRECTORY0, ST_LOG_HEAD, ST_LOG_PUT, ST_DONE
};

enum { TRIES = 3, NAME_MAX_BYTES = 512 };

struct vp_boot {
	struct timer timer;
	enum step step;
	unsigned sub;      /* candidate within the step */
	unsigned tries;
	uint32_t http_id;  /* awaited; 0 none */
	bool answered;     /* the request under way carried credentials */
	bool cached;       /* gave up: run with the cached configuration */
	struct vp_challenge ch;
	struct vp_master master;
	char base[320], specified[64], user[64], password[64];
	const char *method;
	char name[NAME_MAX_BYTES];
};

void vp_boot_drop(struct vphone *v)
{
	if (!v->boot)
		return;
	wheel_cancel(&v->wheel, &v->boot->timer);
	free(v->boot);
	v->boot = NULL;
}

/* "http://user:pass@host:port/path[/file.cfg]" (section 2.1): credentials and a file's name are taken out. */
static void split_url(struct vphone *v, struct vp_boot *b)
{
	struct span url = span_z(v->flash.url), scheme = SPAN_LIT("http");
	ptrdiff_t at = span_find(url, SPAN_LIT("://"));
	vp_copyz(b->user, sizeof b->user, span_z(v->flash.user));
	vp_copyz(b->password, sizeof b->password, span_z(v->flash.password));
	if (at > 0) {
		scheme = span_sub(url, 0, (size_t)at);
		url = span_sub(url, (size_t)at + 3, url.n);
	}
	ptrdiff_t slash = span_chr(url, '/');
	struct span host = slash < 0 ? url : span_sub(url, 0, (size_t)slash);
	struct span path = slash < 0 ? SPAN_NONE : span_sub(url, (size_t)slash + 1, url.n);
	ptrdiff_t sign = span_chr(host, '@');
	if (sign >= 0) {
		struct span cred = span_sub(host, 0, (size_t)sign);
		struct span user = span_cut(&cred, ':');
		vp_copyz(b->user, sizeof b->user, user);
		vp_copyz(b->password, sizeof b->password, cred);
		host = span_sub(host, (size_t)sign + 1, host.n);
	}
	size_t dir = path.n;
	while (dir > 0 && path.p[dir - 1] != '/')
		dir--;
	struct span file = span_sub(path, dir, path.n);
	/* a file is at least five characters and ends in .cfg */
	bool is_file = file.n >= 5 && span_ieqz(span_sub(file, file.n - 4, file.n), ".cfg");
	if (is_file) {
		vp_copyz(b->specified, sizeof b->specified, file);
		path = span_sub(path, 0, dir);
	}
	struct text t = TEXT_ARRAY(b->base);
	text_put(&t, scheme);
	text_lit(&t, "://");
	text_put(&t, host);
	text_putc(&t, '/');
	text_put(&t, path);
	if (path.n && path.p[path.n - 1] != '/')
		text_putc(&t, '/');
	if (!text_end(&t))
		b->base[0] = 0;
}

static bool application(const struct vp_boot *b)
{
	return b->step >= ST_MASTER2;
}

static void put_url(const struct vp_boot *b, struct text *t)
{
	if (span_find(span_z(b->name), SPAN_LIT("://")) < 0)
		text_z(t, b->base);
	text_z(t, b->name);
}

/* The log that the phone leaves with the server. */
static void put_log(struct vphone *v, struct text *t)
{
	text_fmt(t, "000000.000|so   |4|00|%s %s version %s boot %u\n", v->model->name, v->mac, v->model->app, v->boots);
	for (unsigned i = 0; i < v->used_defects; i++)
		text_fmt(t, "000000.000|cfg  |4|00|%s x%u %s\n", v->defects[i].rule, v->defects[i].count, v->defects[i].first);
}

static void send(struct vphone *v, struct vp_boot *b)
{
	char url[1024], auth[768], ua[160], body[3072];
	struct text tu = TEXT_ARRAY(url), ta = TEXT_ARRAY(auth), tua = TEXT_ARRAY(ua), tb = TEXT_ARRAY(body);
	put_url(b, &tu);
	vp_ua_http(v, application(b), &tua);
	struct span whole = text_span(&tu), path = whole;
	ptrdiff_t at = span_find(path, SPAN_LIT("://"));
	if (at >= 0)
		path = span_sub(path, (size_t)at + 3, path.n);
	at = span_chr(path, '/');
	path = at >= 0 ? span_sub(path, (size_t)at, path.n) : SPAN_LIT("/");
	b->answered = b->ch.set;
	if (b->ch.set)
		vp_challenge_answer(v, &b->ch, &ta, span_z(b->user), span_z(b->password), span_z(b->method), path);
	if (b->method[0] == 'P')
		put_log(v, &tb);
	if (++v->http_id == 0)
		v->http_id = 1;
	b->http_id = v->http_id;
	v->http_requests++;
	vp_out(v, &(struct vphone_out){.kind = VP_OUT_HTTP, .http_id = b->http_id, .http_method = b->method, .http_url = whole,
		.http_user_agent = text_span(&tua), .http_authorization = text_span(&ta), .bytes = text_span(&tb)});
}

static void request(struct vphone *v, struct vp_boot *b, const char *method, struct span dir, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

static void request(struct vphone *v, struct vp_boot *b, const char *method, struct span dir, const char *fmt, ...)
{
	char rest[300];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(rest, sizeof rest, fmt, ap);
	va_end(ap);
	struct text t = TEXT_ARRAY(b->name);
	while (dir.n && dir.p[0] == '/')
		dir = span_sub(dir, 1, dir.n);
	text_put(&t, dir);
	if (dir.n && dir.p[dir.n - 1] != '/')
		text_putc(&t, '/');
	text_put(&t, span_mem(rest, n > 0 ? (size_t)n : 0));
	if (n < 0 || (size_t)n >= sizeof rest || !text_end(&t))
		b->name[0] = 0;
	b->method = method;
	b->tries = 0;
	send(v, b);
}

/* One directory attribute switches an upload off (sipXecs, section 2.4). */
static bool is_off(const char *dir)
{
	return span_starts(span_z(dir), SPAN_LIT("http://0.0.0.0"));
}

/* Candidate `sub` of the master's names (V5), or false. */
static bool ask_master(struct vphone *v, struct vp_boot *b)
{
	if (b->sub == 0 && !b->specified[0])
		b->sub = 1;
	switch (b->sub) {
	case 0: request(v, b, "GET", SPAN_NONE, "%s", b->specified); return true;
	case 1: request(v, b, "GET", SPAN_NONE, "%s.cfg", v->mac); return true;
	case 2: request(v, b, "GET", SPAN_NONE, "000000000000.cfg"); return true;
	default: return false;
	}
}

/* "<part>.<basename>" beside the plain file, then the plain name (fact 5, V11). */
static bool ask_image(struct vphone *v, struct vp_boot *b)
{
	struct span path = span_z(b->master.app_file);
	if (path.n == 0 || b->sub > 1)
		return false;
	size_t dir = path.n;
	while (dir > 0 && path.p[dir - 1] != '/')
		dir--;
	struct span base = span_sub(path, dir, path.n);
	if (b->sub == 1)
		request(v, b, "GET", SPAN_NONE, SPAN_FMT, SPAN_ARG(path));
	else
		request(v, b, "GET", span_sub(path, 0, dir), "%s." SPAN_FMT, v->model->part, SPAN_ARG(base));
	return true;
}

/* Entry `sub` of a comma list. */
static bool ask_entry(struct vphone *v, struct vp_boot *b, const char *list)
{
	struct span rest = span_z(list);
	unsigned i = 0;
	while (rest.p) {
		struct span name = span_trim(span_cut(&rest, ','));
		if (name.n == 0)
			continue;
		if (i++ < b->sub)
			continue;
		if (vp_rule(v, "V9.length", name.n <= 255, "a name in the list has %zu characters", name.n))
			request(v, b, "GET", SPAN_NONE, SPAN_FMT, SPAN_ARG(name));
		else
			b->sub++, i = 0, rest = span_z(list);
		if (b->http_id)
			return true;
	}
	return false;
}

/* Starts what `step` and `sub` name; false: nothing to do there. */
static bool ask(struct vphone *v, struct vp_boot *b)
{
	const struct vp_master *m = &b->master;
	const char *mac = v->mac;
	bool first = b->sub == 0;
	switch (b->step) {
	case ST_MASTER1:
	case ST_MASTER2: return ask_master(v, b);
	case ST_IMAGE1:
	case ST_IMAGE2: return ask_image(v, b);
	case ST_BOOT_LOG:
		if (!first || is_off(m->log_dir))
			return false;
		request(v, b, "PUT", span_z(m->log_dir), "%s-boot.log", mac);
		return true;
	case ST_CONFIG: return ask_entry(v, b, m->config_files);
	case ST_MISC: return ask_entry(v, b, m->misc_files);
	case ST_PHONE:
	case ST_WEB:
		if (first)
			request(v, b, "GET", span_z(m->overrides_dir), b->step == ST_PHONE ? "%s-phone.cfg" : "%s-web.cfg", mac);
		return first;
	case ST_LICENSE0:
	case ST_LICENSE:
		if (first)
			request(v, b, "GET", span_z(m->license_dir), "%s-license.cfg", b->step == ST_LICENSE ? mac : "000000000000");
		return first;
	case ST_CALLS:
		if (!first || !v->model->calls_xml || is_off(m->calls_dir))
			return false;
		request(v, b, "GET", span_z(m->calls_dir), "%s-calls.xml", mac);
		return true;
	case ST_DIRECTORY:
	case ST_DIRECTORY0:
		if (first)
			request(v, b, "GET", span_z(m->contacts_dir), "%s-directory.xml", b->step == ST_DIRECTORY ? mac : "000000000000");
		return first;
	case ST_LOG_HEAD:
	case ST_LOG_PUT:
		if (!first || is_off(m->log_dir))
			return false;
		request(v, b, b->step == ST_LOG_HEAD ? "HEAD" : "PUT", span_z(m->log_dir), "%s-app.log", mac);
		return true;
	case ST_DONE: return false;
	}
	return false;
}

/* V13: a device.* value holds only with both switches; returns whether it changes the flash. */
static bool device_value(struct vphone *v, const char *name, char *dst, size_t cap)
{
	struct span val = vp_cfg(v, "%s", name);
	if (!val.p)
		return false;
	bool set = vp_cfg_u(v, 0, 1, "device.set") == 1 && vp_cfg_u(v, 0, 1, "%s.set", name) == 1;
	if (!vp_rule(v, "T7.device-set", set, "%s without device.set or %s.set does nothing", name, name))
		return false;
	if (span_eqz(val, dst) || val.n >= cap)
		return false;
	vp_copyz(dst, cap, val);
	return true;
}

static bool device_values(struct vphone *v)
{
	struct vp_flash *f = &v->flash;
	char tag[2] = {f->tag_serial ? '1' : '0', 0};
	bool changed = device_value(v, "device.prov.serverName", f->url, sizeof f->url);
	changed |= device_value(v, "device.prov.user", f->user, sizeof f->user);
	changed |= device_value(v, "device.prov.password", f->password, sizeof f->password);
	changed |= device_value(v, "device.prov.tagSerialNo", tag, sizeof tag);
	f->tag_serial = tag[0] == '1';
	return changed;
}

static bool same_params(const struct vp_params *a, const struct vp_params *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

static void copy_params(struct vp_params *dst, const struct vp_params *src)
{
	struct vp_param_it it = {0};
	vp_params_clear(dst);
	while (vp_params_next(src, &it))
		if (vp_params_add(dst, it.name, it.value, it.rank) != 0)
			break;
}

static void finish(struct vphone *v)
{
	bool cached = v->boot->cached, again = false;
	vp_boot_drop(v);
	if (cached) {
		copy_params(&v->params, &v->flash.cached);
	} else {
		bool same = same_params(&v->params, &v->flash.cached);
		again = device_values(v);
		if (!same)
			copy_params(&v->flash.cached, &v->params);
		if (!same || again)
			vp_flash_emit(v);
	}
	if (again) {
		vp_event(v, "rebooting", "device settings changed");
		vp_reboot(v, v->boot_us);
		return;
	}
	vp_settings_apply(v);
	v->booted = true;
	vp_event(v, "booted", "%s", cached ? "with the cached configuration" : "");
	vp_reg_start_all(v);
}

/* Goes on with the first step that has something to ask. */
static void go(struct vphone *v, struct vp_boot *b)
{
	b->http_id = 0;
	while (b->step != ST_DONE && !ask(v, b)) {
		if ((b->step == ST_MASTER1 || b->step == ST_MASTER2)) {
			/* no master anywhere (V5): what was learned earlier, or nothing */
			vp_rule(v, "V5.master", false, "no master file: %s.cfg and 000000000000.cfg are missing", v->mac);
			b->cached = true;
			break;
		}
		b->step = (enum step)(b->step + 1);
		b->sub = 0;
	}
	if (b->step == ST_DONE || b->cached)
		finish(v);
}

static void next_step(struct vphone *v, struct vp_boot *b, enum step s)
{
	b->step = s;
	b->sub = 0;
	go(v, b);
}

static bool looks_html(struct span body)
{
	struct span s = span_trim(body);
	return span_istarts(s, SPAN_LIT("<!doctype html")) || span_istarts(s, SPAN_LIT("<html"));
}

static void got_master(struct vphone *v, struct vp_boot *b, bool found, struct span body)
{
	if (b->step == ST_MASTER2)
		vp_params_clear(&v->params);
	if (!found || vp_master_read(v, &b->master, span_z(b->name), body) != 0) {
		b->sub++;
		go(v, b);
		return;
	}
	next_step(v, b, (enum step)(b->step + 1));
}

static void got_config(struct vphone *v, struct vp_boot *b, bool found, struct span body, enum vp_level level)
{
	if (b->step == ST_CONFIG)
		vp_rule(v, "V4.config-missing", found, "%s is in CONFIG_FILES but is not there", b->name);
	if (found)
		vp_config_file(v, span_z(b->name), body, level);
	b->sub++;
	go(v, b);
}

static void got(struct vphone *v, struct vp_boot *b, int status, struct span body)
{
	bool found = status >= 200 && status < 300;
	if (b->method[0] == 'G' && found && !vp_rule(v, "T10.html", !looks_html(body), "%s is answered %d with a page", b->name, status))
		found = false;
	switch (b->step) {
	case ST_MASTER1:
	case ST_MASTER2: got_master(v, b, found, body); return;
	case ST_IMAGE1:
	case ST_IMAGE2:
		/* an image that is there counts as the running version: flashing is not simulated */
		b->sub = found ? 2 : b->sub + 1;
		go(v, b);
		return;
	case ST_CONFIG: got_config(v, b, found, body, VP_L_CONFIG); return;
	case ST_PHONE: got_config(v, b, found, body, VP_L_PHONE); return;
	case ST_WEB: got_config(v, b, found, body, VP_L_WEB); return;
	case ST_DIRECTORY: next_step(v, b, found ? ST_LOG_HEAD : ST_DIRECTORY0); return;
	case ST_BOOT_LOG:
	case ST_LOG_PUT: vp_rule(v, "T2.put", found, "PUT %s is answered %d", b->name, status); break;
	case ST_LOG_HEAD:
		vp_rule(v, "T2.head", found || status == 404, "HEAD %s is answered %d", b->name, status);
		break;
	case ST_MISC:
	case ST_LICENSE0:
	case ST_LICENSE:
	case ST_CALLS:
	case ST_DIRECTORY0:
	case ST_DONE: break;
	}
	b->sub++;
	go(v, b);
}

/* Three tries, one second apart, then the cache (V6, section 2.2). What is optional is only passed over. */
static void failed(struct vphone *v, struct vp_boot *b, int status)
{
	if (++b->tries < TRIES) {
		wheel_set(&v->wheel, &b->timer, v->now_us + VP_SECOND);
		return;
	}
	vp_event(v, "download-failed", "%s %d", b->name, status);
	if (b->step == ST_MASTER1 || b->step == ST_MASTER2 || b->step == ST_CONFIG || b->step == ST_PHONE || b->step == ST_WEB) {
		b->cached = true;
		finish(v);
		return;
	}
	b->sub++;
	go(v, b);
}

static void unauthorized(struct vphone *v, struct vp_boot *b, struct span values)
{
	bool stale, sent = b->answered, usable = vp_challenge_take(&b->ch, values, &stale);
	vp_rule(v, "V6.challenge", usable, "401 for %s without a Digest MD5 or Basic challenge", b->name);
	if (usable && (!sent || stale)) {
		send(v, b);
		return;
	}
	failed(v, b, 401);
}

void vp_boot_http(struct vphone *v, const struct vphone_in *in)
{
	struct vp_boot *b = v->boot;
	if (!b || in->http_id != b->http_id || b->http_id == 0)
		return;
	b->http_id = 0;
	if (in->http_status == 401)
		unauthorized(v, b, in->www_authenticate);
	else if (in->http_status == 0 || in->http_status >= 500)
		/* 501 to a PUT is harmless (S11b) */
		in->http_status == 501 ? got(v, b, 501, SPAN_NONE) : failed(v, b, in->http_status);
	else
		got(v, b, in->http_status, in->bytes);
}

void vp_boot_timer(struct vphone *v)
{
	struct vp_boot *b = v->boot;
	if (!b)
		return;
	if (b->method) {
		send(v, b); /* a further try */
		return;
	}
	if (!b->base[0] || !v->flash.url[0]) {
		b->cached = true;
		vp_event(v, "download-failed", "no server");
		finish(v);
		return;
	}
	go(v, b);
}

void vp_boot_start(struct vphone *v, int64_t delay_us)
{
	struct vp_boot *b = calloc(1, sizeof *b);
	if (!b)
		return;
	b->timer.kind = VP_T_BOOT;
	v->boot = b;
	v->boots++;
	vp_params_clear(&v->params);
	split_url(v, b);
	if (!v->flash.url[0])
		b->base[0] = 0;
	vp_event(v, "booting", "%s %s", v->model->name, v->mac);
	wheel_set(&v->wheel, &b->timer, v->now_us + delay_us);
}

/* For the service's tests and fuzz target: a site in memory behind the ports, and a phone that answers challenges. */
#ifndef SERVICE_SERVICE_WORLD_H
#define SERVICE_SERVICE_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "service/service.h"

struct world {
	struct site *site;
	struct service *s;
	uint64_t next_id;
	unsigned changes, uploads;
	char last_upload[64], last_actor[64], last_note[256];
	bool store_broken;
	const char *registrations; /* JSON array */
	int64_t now_us;
	unsigned char fill;
};
static const struct site_key world_key = {{4, 5, 6}};
#define WORLD_TOKEN "token-of-the-test"

static struct site *world_site(void *ctx)
{
	return site_ref(((struct world *)ctx)->site);
}

static enum change_result world_change(void *ctx, struct site_change *c)
{
	struct world *w = ctx;
	struct site *n = NULL;
	const struct site_extension *e = site_extension_find(w->site, span_z(c->extension.row.number));
	const struct site_device *d = site_device_by_id(w->site, c->device.row.id);
	uint64_t has = c->kind == CHANGE_SETTINGS ? site_settings_of(w->site)->revision
		       : c->kind == CHANGE_EXTENSION || c->kind == CHANGE_EXTENSION_GONE ? (e ? e->row.revision : 0) : d ? d->row.revision : 0;
	if (w->store_broken)
		return CHANGE_STORE_FAILED;
	if (c->kind != CHANGE_TOKEN && c->if_revision != UINT64_MAX && c->if_revision != has)
		return CHANGE_CONFLICT;
	switch (c->kind) {
	case CHANGE_SETTINGS:
		c->settings.revision = has + 1;
		n = site_with_settings(w->site, &c->settings);
		break;
	case CHANGE_EXTENSION:
		c->extension.row.revision = has + 1;
		if (site_extension_open(&world_key, site_settings_of(w->site), &c->extension) != 0)
			return CHANGE_STORE_FAILED;
		n = site_with_extension(w->site, &c->extension);
		break;
	case CHANGE_EXTENSION_GONE: n = site_without_extension(w->site, span_z(c->extension.row.number)); break;
	case CHANGE_DEVICE:
		if (!c->device.row.id)
			c->device.row.id = ++w->next_id;
		c->device.row.revision = has + 1;
		if (site_device_open(&world_key, site_settings_of(w->site), &c->device) != 0)
			return CHANGE_STORE_FAILED;
		n = site_with_device(w->site, &c->device);
		break;
	case CHANGE_DEVICE_GONE: n = site_without_device(w->site, c->device.row.id); break;
	case CHANGE_TOKEN:
		c->token.id = ++w->next_id;
		c->token.revision = 1;
		n = site_with_token(w->site, &c->token);
		break;
	case CHANGE_TOKEN_GONE: n = site_without_token(w->site, span_z(c->token.name)); break;
	}
	if (!n)
		return CHANGE_STORE_FAILED;
	site_unref(w->site);
	w->site = n;
	w->changes++;
	memcpy(w->last_actor, c->actor, sizeof w->last_actor);
	return CHANGE_OK;
}

static int world_ask(void *ctx, enum cell_query_kind kind, uint64_t cursor, uint32_t limit, struct span arg, char **json, size_t *n, uint64_t *next)
{
	struct world *w = ctx;
	(void)cursor;
	(void)limit;
	(void)arg;
	*json = strdup(kind == CELL_Q_REGISTRATIONS ? w->registrations : kind == CELL_Q_CALLS ? "[]" : "{}");
	*n = strlen(*json);
	*next = 0;
	return 200;
}

static int world_cdr(void *ctx, uint32_t limit, struct span extension, char **json, size_t *n)
{
	(void)ctx;
	(void)limit;
	(void)extension;
	*json = NULL;
	*n = 0;
	return 0;
}

static int world_note(void *ctx, const struct audit_entry *e)
{
	struct world *w = ctx;
	snprintf(w->last_note, sizeof w->last_note, "%s@%s %s %s %s %.*s", e->actor, e->source, e->what, e->entity, e->key, (int)e->value.n, e->value.n ? e->value.p : "");
	return 0;
}

static int world_upload(void *ctx, struct span mac, struct span name, struct span body)
{
	struct world *w = ctx;
	(void)mac;
	(void)body;
	w->uploads++;
	(void)span_copyz(name, w->last_upload, sizeof w->last_upload);
	return 0;
}

static void world_random(void *ctx, void *dst, size_t n)
{
	struct world *w = ctx;
	for (size_t i = 0; i < n; i++)
		((unsigned char *)dst)[i] = (unsigned char)(w->fill++ * 37 + 11);
}

static void world_init(struct world *w)
{
	static const struct nonce_key nonces = {{7}};
	struct site_settings st;
	*w = (struct world){.registrations = "[]", .now_us = 1000000};
	site_settings_defaults(&st);
	st.id = 1;
	w->site = site_new(&st);
	const struct service_ports p = {.ctx = w, .site = world_site, .change = world_change, .ask = world_ask, .cdr_read = world_cdr,
					.audit_add = world_note, .upload = world_upload, .random = world_random};
	w->s = service_new(&p, &world_key, &nonces, WORLD_TOKEN, 5060);
}

static void world_free(struct world *w)
{
	service_free(w->s);
	site_unref(w->site);
}

/* The administrator's side: by the control socket. */
static inline struct http_response world_api(struct world *w, enum http_method m, const char *path, const char *body, const char *if_match)
{
	struct http_response rs;
	struct http_request rq = {.method = m, .path = span_z(path), .body = span_z(body), .if_match = span_z(if_match ? if_match : "*"), .control = true, .now_us = w->now_us};
	service_handle(w->s, &rq, &rs);
	return rs;
}

#endif

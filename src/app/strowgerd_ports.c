/* What the service sees of the world: the snapshot, changes, the cell, stored calls. Called from HTTP threads. */
#include "app/strowgerd.h"

#include "io/clock.h"
#include "io/random.h"

void world_init(struct world *w)
{
	pthread_mutex_init(&w->site_mu, NULL);
	pthread_mutex_init(&w->change_mu, NULL);
	pthread_mutex_init(&w->upload_mu, NULL);
}

void world_free(struct world *w)
{
	if (w->site)
		site_unref(w->site);
	w->site = NULL;
	pthread_mutex_destroy(&w->site_mu);
	pthread_mutex_destroy(&w->change_mu);
	pthread_mutex_destroy(&w->upload_mu);
}

struct site *world_site(struct world *w)
{
	pthread_mutex_lock(&w->site_mu);
	struct site *s = site_ref(w->site);
	pthread_mutex_unlock(&w->site_mu);
	return s;
}

static struct site *snapshot(void *ctx)
{
	return world_site(ctx);
}

/* ---- changes ---- */

/* Another realm changes the HA1 of every device and person: all are opened anew, from the store. */
static struct site *with_settings(struct world *w, const struct site *cur, const struct site_change *c)
{
	struct store_error err = {0};
	struct site *fresh = NULL;
	if (strcmp(site_settings_of(cur)->realm, c->settings.realm) == 0)
		return site_with_settings(cur, &c->settings);
	if (store_load_site(w->store, &w->dir->key, &fresh, &err) == 0)
		return fresh;
	log_event(w->log, LOG_ERROR, "site.reload_failed", LOG_Z("why", err.text));
	return NULL;
}

static struct site *changed(struct world *w, const struct site *cur, struct site_change *c)
{
	const struct site_settings *st = site_settings_of(cur);
	int rc = 0;
	switch (c->kind) {
	case CHANGE_SETTINGS: return with_settings(w, cur, c);
	case CHANGE_EXTENSION:
		rc = site_extension_open(&w->dir->key, st, &c->extension);
		if (rc != 0)
			log_event(w->log, LOG_ERROR, "site.secret_not_opened", LOG_Z("extension", c->extension.row.number));
		return site_with_extension(cur, &c->extension);
	case CHANGE_EXTENSION_GONE: return site_without_extension(cur, span_z(c->extension.row.number));
	case CHANGE_DEVICE:
		rc = site_device_open(&w->dir->key, st, &c->device);
		if (rc != 0)
			log_event(w->log, LOG_ERROR, "site.secret_not_opened", LOG_I("device", c->device.row.id));
		return site_with_device(cur, &c->device);
	case CHANGE_DEVICE_GONE: return site_without_device(cur, c->device.row.id);
	case CHANGE_TOKEN: return site_with_token(cur, &c->token);
	case CHANGE_TOKEN_GONE: return site_without_token(cur, span_z(c->token.name));
	}
	return NULL;
}

static void publish(struct world *w, struct site *next)
{
	struct cell_msg m = {.kind = MSG_SITE, .site = site_ref(next)};
	pthread_mutex_lock(&w->site_mu);
	struct site *old = w->site;
	w->site = next;
	pthread_mutex_unlock(&w->site_mu);
	site_unref(old);
	if (!cell_host_post(w->host, &m)) {
		log_event(w->log, LOG_ERROR, "site.not_published", LOG_I("revision", site_revision(m.site)));
		site_unref(m.site);
	}
}

static const char *change_name(enum change_kind k)
{
	switch (k) {
	case CHANGE_SETTINGS: return "settings";
	case CHANGE_EXTENSION: return "extension";
	case CHANGE_EXTENSION_GONE: return "extension gone";
	case CHANGE_DEVICE: return "device";
	case CHANGE_DEVICE_GONE: return "device gone";
	case CHANGE_TOKEN: return "token";
	case CHANGE_TOKEN_GONE: return "token gone";
	}
	return "?";
}

static enum change_result change(void *ctx, struct site_change *c)
{
	struct world *w = ctx;
	struct store_error err = {0};
	pthread_mutex_lock(&w->change_mu);
	enum change_result rc = store_change(w->store, c, wall_us() / 1000, &err);
	if (rc == CHANGE_OK) {
		struct site *next = changed(w, w->site, c); /* w->site is only replaced under change_mu */
		if (next)
			publish(w, next);
		else
			rc = CHANGE_STORE_FAILED; /* stored, but no memory to show it: seen again after a restart */
	}
	pthread_mutex_unlock(&w->change_mu);
	if (rc == CHANGE_OK)
		log_event(w->log, LOG_INFO, "site.changed", LOG_Z("what", change_name(c->kind)), LOG_Z("by", c->actor));
	else if (rc == CHANGE_STORE_FAILED)
		log_event(w->log, LOG_ERROR, "site.change_failed", LOG_Z("what", change_name(c->kind)), LOG_Z("why", err.text));
	return rc;
}

/* ---- the rest ---- */

static int ask_cell(void *ctx, enum cell_query_kind kind, uint64_t cursor, uint32_t limit, struct span arg, char **json, size_t *n,
		    uint64_t *next_cursor)
{
	struct world *w = ctx;
	return ask(w->desk, w->host, kind, cursor, limit, arg, json, n, next_cursor);
}

static int read_cdrs(void *ctx, uint32_t limit, struct span extension, char **json, size_t *n)
{
	struct world *w = ctx;
	return store_read_cdrs(w->store, limit, extension, json, n);
}

static int read_audit(void *ctx, const struct audit_query *q, char **json, size_t *n)
{
	struct world *w = ctx;
	return store_read_audit(w->store, q, json, n);
}

static int verify_audit(void *ctx, struct audit_verdict *v)
{
	struct world *w = ctx;
	return store_audit_verify(w->store, v);
}

static int add_audit(void *ctx, const struct audit_entry *e)
{
	struct world *w = ctx;
	struct store_error err = {0};
	struct audit_entry now = *e;
	now.wall_ms = wall_us() / 1000;
	int rc = store_audit_add(w->store, &now, &err);
	if (rc != 0)
		log_event(w->log, LOG_ERROR, "audit.not_kept", LOG_Z("what", e->what), LOG_Z("entity", e->entity), LOG_Z("by", e->actor), LOG_Z("why", err.text));
	return rc;
}

static void fetched(void *ctx, struct span mac12, struct span path, uint16_t status, const struct http_request *rq)
{
	struct world *w = ctx;
	char from[64];
	struct text t = TEXT_ARRAY(from);
	addr_put(&t, &rq->from);
	log_event(w->log, LOG_DEBUG, "prov.fetched", LOG_S("mac", mac12), LOG_S("path", path), LOG_I("status", status),
		  LOG_S("from", text_span(&t)), LOG_S("agent", rq->user_agent));
}

static void logs_port(void *ctx, const struct http_request *rq, struct http_response *rs)
{
	struct world *w = ctx;
	logs_handle(w->logs, rq, rs);
}

static void random_port(void *ctx, void *dst, size_t n)
{
	(void)ctx;
	random_bytes(dst, n);
}

struct service_ports world_ports(struct world *w)
{
	return (struct service_ports){.ctx = w, .site = snapshot, .change = change, .ask = ask_cell, .cdr_read = read_cdrs, .audit_read = read_audit,
				      .audit_verify = verify_audit, .audit_add = add_audit, .upload = uploads_keep, .logs = logs_port, .fetched = fetched, .random = random_port,
				      .log = w->log};
}

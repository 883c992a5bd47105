/* One change of the configuration with its audit row, inside the writer's transaction. */
#include <stdio.h>

#include "store/store_int.h"

/* How long, and how many, requests with an Idempotency-Key are remembered. */
enum { ONCE_LIFE_MS = 24 * 3600 * 1000, ONCE_MAX = 10000 };

struct found {
	bool there;
	uint64_t id, revision;
};

static struct found find(sqlite3_stmt *st)
{
	struct found f = {false, 0, 0};
	if (sqlite3_step(st) == SQLITE_ROW) {
		f.there = true;
		f.id = (uint64_t)sqlite3_column_int64(st, 0);
		f.revision = (uint64_t)sqlite3_column_int64(st, 1);
	}
	sqlite3_reset(st);
	return f;
}

static struct found find_device(struct store *s, uint64_t id)
{
	sqlite3_bind_int64(s->st[ST_DEV_FIND], 1, (sqlite3_int64)id);
	return find(s->st[ST_DEV_FIND]);
}

static struct found find_extension(struct store *s, const char *number)
{
	store_bind_text(s->st[ST_EXT_FIND], 1, number);
	return find(s->st[ST_EXT_FIND]);
}

/* May this change go on, seen from what is there now? */
static enum change_result admit(const struct site_change *c, const struct found *f, bool make_allowed)
{
	if (!f->there)
		return make_allowed && (c->if_revision == 0 || c->if_revision == UINT64_MAX) ? CHANGE_OK : CHANGE_MISSING;
	return c->if_revision == UINT64_MAX || c->if_revision == f->revision ? CHANGE_OK : CHANGE_CONFLICT;
}

/* The row as it is now. False: it cannot be read. */
static bool read_old(sqlite3_stmt *st, uint64_t id, const struct entity_desc *d, void *row)
{
	sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
	bool ok = sqlite3_step(st) == SQLITE_ROW && store_read_row(st, d, row) == 0;
	sqlite3_reset(st);
	return ok;
}

union any_row {
	struct entity_head head;
	struct site_settings settings;
	struct extension extension;
	struct device device;
	struct api_token token;
};

/* How the statements and the audit name one kind of row. */
struct table {
	const struct entity_desc *desc;
	int read, insert, update, remove;
};
static const struct table settings_table = {&site_settings_desc, ST_SETTINGS_READ, ST_SETTINGS_INSERT, ST_SETTINGS_UPDATE, -1};
static const struct table extension_table = {&extension_desc, ST_EXT_READ, ST_EXT_INSERT, ST_EXT_UPDATE, ST_EXT_DELETE};
static const struct table device_table = {&device_desc, ST_DEV_READ, ST_DEV_INSERT, ST_DEV_UPDATE, ST_DEV_DELETE};

static const struct table token_table = {&api_token_desc, ST_TOKEN_READ, ST_TOKEN_INSERT, ST_TOKEN_UPDATE, ST_TOKEN_DELETE};

static enum change_result audit(struct store *s, const struct change_job *j, const struct table *t, const char *what, const void *old, const void *now)
{
	const struct entity_head *h = now ? now : old;
	const struct field_desc *kf = t == &extension_table || t == &token_table ? entity_field(t->desc, span_z(t->desc->key)) : NULL;
	char id[24];
	snprintf(id, sizeof id, "%llu", (unsigned long long)h->id);
	struct audit_entry e = {.wall_ms = j->wall_ms, .actor = j->c->actor, .source = j->c->source, .what = what, .entity = t->desc->name,
				.key = t == &settings_table ? "" : kf ? field_text(kf, h) : id, .revision = h->revision};
	return store_audit_row(s, &e, t->desc, old, now) == 0 ? CHANGE_OK : CHANGE_STORE_FAILED;
}

static enum change_result put(struct store *s, const struct change_job *j, const struct found *f, const struct table *t, void *row)
{
	struct entity_head h;
	union any_row old;
	if (f->there && !read_old(s->st[t->read], f->id, t->desc, &old))
		return CHANGE_STORE_FAILED;
	memcpy(&h, row, sizeof h);
	h.id = f->there ? f->id : h.id;
	h.revision = f->revision + 1;
	memcpy(row, &h, sizeof h);
	sqlite3_stmt *st = s->st[f->there ? t->update : t->insert];
	store_bind_row(st, t->desc, row);
	int rc = sqlite3_step(st);
	sqlite3_reset(st);
	if (rc == SQLITE_CONSTRAINT)
		return CHANGE_CONFLICT;
	if (rc != SQLITE_DONE)
		return CHANGE_STORE_FAILED;
	if (!h.id) {
		h.id = (uint64_t)sqlite3_last_insert_rowid(s->db);
		memcpy(row, &h, sizeof h);
	}
	return audit(s, j, t, f->there ? "set" : "add", f->there ? &old : NULL, row);
}

static enum change_result drop(struct store *s, const struct change_job *j, uint64_t id, const struct table *t)
{
	union any_row old;
	if (!read_old(s->st[t->read], id, t->desc, &old))
		return CHANGE_STORE_FAILED;
	sqlite3_bind_int64(s->st[t->remove], 1, (sqlite3_int64)id);
	return store_run(s->st[t->remove]) == 0 ? audit(s, j, t, "remove", &old, NULL) : CHANGE_STORE_FAILED;
}

static enum change_result change_settings(struct store *s, const struct change_job *j)
{
	struct site_change *c = j->c;
	struct found f = find(s->st[ST_SETTINGS_FIND]);
	enum change_result r = admit(c, &f, true);
	c->settings.id = 1;
	return r == CHANGE_OK ? put(s, j, &f, &settings_table, &c->settings) : r;
}

static enum change_result change_extension(struct store *s, const struct change_job *j)
{
	struct site_change *c = j->c;
	struct found f = find_extension(s, c->extension.row.number);
	enum change_result r = admit(c, &f, true);
	if (!f.there)
		c->extension.row.id = 0;
	return r == CHANGE_OK ? put(s, j, &f, &extension_table, &c->extension.row) : r;
}

/* Its devices go with it, each with an audit row of its own. */
static enum change_result extension_gone(struct store *s, const struct change_job *j)
{
	struct site_change *c = j->c;
	struct found f = find_extension(s, c->extension.row.number), d;
	enum change_result r = admit(c, &f, false);
	while (r == CHANGE_OK) {
		store_bind_text(s->st[ST_DEV_OF], 1, c->extension.row.number);
		int step = sqlite3_step(s->st[ST_DEV_OF]);
		d.there = step == SQLITE_ROW;
		d.id = d.there ? (uint64_t)sqlite3_column_int64(s->st[ST_DEV_OF], 0) : 0;
		sqlite3_reset(s->st[ST_DEV_OF]);
		if (step == SQLITE_DONE)
			return drop(s, j, f.id, &extension_table);
		r = d.there ? drop(s, j, d.id, &device_table) : CHANGE_STORE_FAILED;
	}
	return r;
}

static enum change_result change_device(struct store *s, const struct change_job *j)
{
	struct site_change *c = j->c;
	struct found f = c->device.row.id ? find_device(s, c->device.row.id) : (struct found){false, 0, 0};
	enum change_result r = admit(c, &f, c->device.row.id == 0);
	if (r == CHANGE_OK && !find_extension(s, c->device.row.extension).there)
		r = CHANGE_MISSING;
	return r == CHANGE_OK ? put(s, j, &f, &device_table, &c->device.row) : r;
}

static enum change_result device_gone(struct store *s, const struct change_job *j)
{
	struct found f = find_device(s, j->c->device.row.id);
	enum change_result r = admit(j->c, &f, false);
	return r == CHANGE_OK ? drop(s, j, f.id, &device_table) : r;
}

static struct found find_token(struct store *s, const char *name)
{
	store_bind_text(s->st[ST_TOKEN_FIND], 1, name);
	return find(s->st[ST_TOKEN_FIND]);
}

static enum change_result change_token(struct store *s, const struct change_job *j)
{
	struct site_change *c = j->c;
	struct found f = find_token(s, c->token.name);
	enum change_result r = admit(c, &f, true);
	if (!f.there)
		c->token.id = 0;
	return r == CHANGE_OK ? put(s, j, &f, &token_table, &c->token) : r;
}

static enum change_result token_gone(struct store *s, const struct change_job *j)
{
	struct found f = find_token(s, j->c->token.name);
	enum change_result r = admit(j->c, &f, false);
	return r == CHANGE_OK ? drop(s, j, f.id, &token_table) : r;
}

/* ---- done once (Idempotency-Key) ---- */

/* Of which thing the change is: the number of an extension, the id of a device. */
static void thing_of(const struct site_change *c, char thing[24])
{
	if (c->kind == CHANGE_DEVICE)
		snprintf(thing, 24, "%llu", (unsigned long long)c->device.row.id);
	else
		snprintf(thing, 24, "%s", c->extension.row.number);
}

static void take_thing(struct site_change *c, struct span thing)
{
	uint64_t id = 0;
	if (c->kind == CHANGE_DEVICE && span_u64(thing, INT64_MAX, &id) == 0)
		c->device.row.id = id;
	else if (c->kind != CHANGE_DEVICE)
		(void)span_copyz(thing, c->extension.row.number, sizeof c->extension.row.number);
}

/* CHANGE_OK: it has not been done yet. */
static enum change_result done_before(struct store *s, const struct change_job *j)
{
	sqlite3_stmt *st = s->st[ST_ONCE_FIND];
	enum change_result r = CHANGE_OK;
	store_bind_text(st, 1, j->c->once_key);
	sqlite3_bind_int64(st, 2, j->wall_ms - ONCE_LIFE_MS);
	int step = sqlite3_step(st);
	if (step == SQLITE_ROW) {
		const char *request = (const char *)sqlite3_column_text(st, 0), *thing = (const char *)sqlite3_column_text(st, 1);
		r = request && thing && strcmp(request, j->c->once_request) == 0 ? CHANGE_DONE_BEFORE : CHANGE_OTHER;
		if (r == CHANGE_DONE_BEFORE)
			take_thing(j->c, span_z(thing));
	} else if (step != SQLITE_DONE) {
		r = CHANGE_STORE_FAILED;
	}
	sqlite3_reset(st);
	return r;
}

static enum change_result note_done(struct store *s, const struct change_job *j)
{
	char thing[24];
	sqlite3_stmt *st = s->st[ST_ONCE_INSERT], *prune = s->st[ST_ONCE_PRUNE];
	thing_of(j->c, thing);
	store_bind_text(st, 1, j->c->once_key);
	store_bind_text(st, 2, j->c->once_request);
	store_bind_text(st, 3, thing);
	sqlite3_bind_int64(st, 4, j->wall_ms);
	int rc = store_run(st);
	sqlite3_bind_int64(prune, 1, j->wall_ms - ONCE_LIFE_MS);
	sqlite3_bind_int64(prune, 2, ONCE_MAX);
	return rc == 0 && store_run(prune) == 0 ? CHANGE_OK : CHANGE_STORE_FAILED;
}

static enum change_result one(struct store *s, const struct change_job *j)
{
	switch (j->c->kind) {
	case CHANGE_SETTINGS:
		return change_settings(s, j);
	case CHANGE_EXTENSION:
		return change_extension(s, j);
	case CHANGE_EXTENSION_GONE:
		return extension_gone(s, j);
	case CHANGE_DEVICE:
		return change_device(s, j);
	case CHANGE_DEVICE_GONE:
		return device_gone(s, j);
	case CHANGE_TOKEN:
		return change_token(s, j);
	case CHANGE_TOKEN_GONE:
		return token_gone(s, j);
	}
	return CHANGE_STORE_FAILED;
}

/* With a key: in one transaction with the note that it has been done. */
static enum change_result once(struct store *s, const struct change_job *j)
{
	if (!j->c->once_key[0])
		return one(s, j);
	enum change_result r = done_before(s, j);
	if (r == CHANGE_OK)
		r = one(s, j);
	return r == CHANGE_OK ? note_done(s, j) : r;
}

void store_apply_change(struct store *s, struct change_job *j)
{
	if (store_run(s->st[ST_SAVE]) != 0) {
		j->result = CHANGE_STORE_FAILED;
		return;
	}
	if (j->c)
		j->result = once(s, j);
	else
		j->result = store_audit_write(s, j->note) == 0 ? CHANGE_OK : CHANGE_STORE_FAILED;
	if (j->result == CHANGE_STORE_FAILED)
		store_fail(j->err, "%s/strowger.db: %s; free space on the disk or make it writable, then repeat the change", s->dir,
			   sqlite3_errmsg(s->db));
	if (j->result != CHANGE_OK)
		store_run(s->st[ST_BACK]);
	store_run(s->st[ST_RELEASE]);
}

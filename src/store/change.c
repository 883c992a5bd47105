/* One change of the configuration with its audit row, inside the writer's transaction. */
#include <stdio.h>

#include "store/store_int.h"

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

static enum change_result put(struct store *s, const struct found *f, int insert, int update, const struct entity_desc *d, void *row)
{
	struct entity_head h;
	memcpy(&h, row, sizeof h);
	h.id = f->there ? f->id : h.id;
	h.revision = f->revision + 1;
	memcpy(row, &h, sizeof h);
	sqlite3_stmt *st = s->st[f->there ? update : insert];
	store_bind_row(st, d, row);
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
	return CHANGE_OK;
}

static enum change_result drop(sqlite3_stmt *st, uint64_t id)
{
	sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
	return store_run(st) == 0 ? CHANGE_OK : CHANGE_STORE_FAILED;
}

static enum change_result change_settings(struct store *s, struct site_change *c)
{
	struct found f = find(s->st[ST_SETTINGS_FIND]);
	enum change_result r = admit(c, &f, true);
	c->settings.id = 1;
	return r == CHANGE_OK ? put(s, &f, ST_SETTINGS_INSERT, ST_SETTINGS_UPDATE, &site_settings_desc, &c->settings) : r;
}

static enum change_result change_extension(struct store *s, struct site_change *c)
{
	struct found f = find_extension(s, c->extension.row.number);
	enum change_result r = admit(c, &f, true);
	if (!f.there)
		c->extension.row.id = 0;
	return r == CHANGE_OK ? put(s, &f, ST_EXT_INSERT, ST_EXT_UPDATE, &extension_desc, &c->extension.row) : r;
}

static enum change_result extension_gone(struct store *s, struct site_change *c)
{
	struct found f = find_extension(s, c->extension.row.number);
	enum change_result r = admit(c, &f, false);
	if (r != CHANGE_OK)
		return r;
	store_bind_text(s->st[ST_EXT_DEVICES_DELETE], 1, c->extension.row.number);
	if (store_run(s->st[ST_EXT_DEVICES_DELETE]) != 0)
		return CHANGE_STORE_FAILED;
	return drop(s->st[ST_EXT_DELETE], f.id);
}

static enum change_result change_device(struct store *s, struct site_change *c)
{
	struct found f = c->device.row.id ? find_device(s, c->device.row.id) : (struct found){false, 0, 0};
	enum change_result r = admit(c, &f, c->device.row.id == 0);
	if (r == CHANGE_OK && !find_extension(s, c->device.row.extension).there)
		r = CHANGE_MISSING;
	return r == CHANGE_OK ? put(s, &f, ST_DEV_INSERT, ST_DEV_UPDATE, &device_desc, &c->device.row) : r;
}

static enum change_result device_gone(struct store *s, struct site_change *c)
{
	struct found f = find_device(s, c->device.row.id);
	enum change_result r = admit(c, &f, false);
	return r == CHANGE_OK ? drop(s->st[ST_DEV_DELETE], f.id) : r;
}

static enum change_result one(struct store *s, struct site_change *c)
{
	switch (c->kind) {
	case CHANGE_SETTINGS:
		return change_settings(s, c);
	case CHANGE_EXTENSION:
		return change_extension(s, c);
	case CHANGE_EXTENSION_GONE:
		return extension_gone(s, c);
	case CHANGE_DEVICE:
		return change_device(s, c);
	case CHANGE_DEVICE_GONE:
		return device_gone(s, c);
	}
	return CHANGE_STORE_FAILED;
}

/* The row as JSON without its sealed fields: an audit row tells what was set, never a secret. */
static int audit(struct store *s, const struct change_job *j)
{
	const struct site_change *c = j->c;
	char key[32], value[4096];
	const char *what = "set";
	struct text t = TEXT_ARRAY(value);
	uint64_t revision = 0;
	snprintf(key, sizeof key, "settings");
	text_lit(&t, "{");
	switch (c->kind) {
	case CHANGE_SETTINGS:
		revision = c->settings.revision;
		site_settings_json_members(&c->settings, &t);
		break;
	case CHANGE_EXTENSION_GONE:
		what = "remove";
		snprintf(key, sizeof key, "extension/%s", c->extension.row.number);
		break;
	case CHANGE_EXTENSION:
		revision = c->extension.row.revision;
		snprintf(key, sizeof key, "extension/%s", c->extension.row.number);
		extension_json_members(&c->extension.row, &t);
		break;
	case CHANGE_DEVICE_GONE:
		what = "remove";
		snprintf(key, sizeof key, "device/%llu", (unsigned long long)c->device.row.id);
		break;
	case CHANGE_DEVICE:
		revision = c->device.row.revision;
		snprintf(key, sizeof key, "device/%llu", (unsigned long long)c->device.row.id);
		device_json_members(&c->device.row, &t);
		break;
	}
	text_lit(&t, "}");
	sqlite3_stmt *st = s->st[ST_AUDIT];
	sqlite3_bind_int64(st, 1, j->wall_ms);
	store_bind_text(st, 2, c->actor);
	store_bind_text(st, 3, what);
	store_bind_text(st, 4, key);
	sqlite3_bind_int64(st, 5, (sqlite3_int64)revision);
	sqlite3_bind_text(st, 6, value, (int)t.n, SQLITE_STATIC);
	return store_run(st);
}

void store_apply_change(struct store *s, struct change_job *j)
{
	if (store_run(s->st[ST_SAVE]) != 0) {
		j->result = CHANGE_STORE_FAILED;
		return;
	}
	j->result = one(s, j->c);
	if (j->result == CHANGE_OK && audit(s, j) != 0)
		j->result = CHANGE_STORE_FAILED;
	if (j->result == CHANGE_STORE_FAILED)
		store_fail(j->err, "%s/strowger.db: %s; free space on the disk or make it writable, then repeat the change", s->dir,
			   sqlite3_errmsg(s->db));
	if (j->result != CHANGE_OK)
		store_run(s->st[ST_BACK]);
	store_run(s->st[ST_RELEASE]);
}

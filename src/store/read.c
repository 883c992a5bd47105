/* Reading: on the caller's thread, by the readers' connection. */
#include <stdlib.h>

#include "base/assert.h"
#include "gen/entities_sql.h"
#include "store/store_int.h"

/* 0; -1: does not fit; -2: a secret does not open (the row is taken without it); 1: one opened. */
typedef int (*row_fn)(struct site **s, const struct site_key *key, sqlite3_stmt *st);

static void replace(struct site **s, struct site *n)
{
	if (n) {
		site_unref(*s);
		*s = n;
	}
}

static int take_settings(struct site **s, const struct site_key *key, sqlite3_stmt *st)
{
	struct site_settings v;
	(void)key;
	if (store_read_row(st, &site_settings_desc, &v) != 0)
		return -1;
	struct site *n = site_with_settings(*s, &v);
	replace(s, n);
	return n ? 0 : -1;
}

static int take_extension(struct site **s, const struct site_key *key, sqlite3_stmt *st)
{
	struct site_extension e;
	memset(&e, 0, sizeof e);
	if (store_read_row(st, &extension_desc, &e.row) != 0)
		return -1;
	int shut = site_extension_open(key, site_settings_of(*s), &e);
	struct site *n = site_with_extension(*s, &e);
	replace(s, n);
	return !n ? -1 : shut ? -2 : e.row.pin_sealed[0] != 0;
}

static int take_device(struct site **s, const struct site_key *key, sqlite3_stmt *st)
{
	struct site_device d;
	memset(&d, 0, sizeof d);
	if (store_read_row(st, &device_desc, &d.row) != 0)
		return -1;
	int shut = site_device_open(key, site_settings_of(*s), &d);
	struct site *n = site_with_device(*s, &d);
	replace(s, n);
	return !n ? -1 : shut ? -2 : d.row.secret_sealed[0] != 0;
}

static int take_token(struct site **s, const struct site_key *key, sqlite3_stmt *st)
{
	struct api_token t;
	(void)key;
	if (store_read_row(st, &api_token_desc, &t) != 0)
		return -1;
	struct site *n = site_with_token(*s, &t);
	replace(s, n);
	return n ? 0 : -1;
}

static int load_all(struct store *s, const char *sql, row_fn take, const struct site_key *key, struct site **site, struct store_error *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->rd, sql, -1, &st, NULL);
	int took = 0;
	while (rc == SQLITE_OK && took != -1) {
		int step = sqlite3_step(st);
		if (step == SQLITE_DONE)
			break;
		if (step != SQLITE_ROW) {
			rc = step;
			break;
		}
		took = take(site, key, st);
		s->secrets_open += took == 1;
		s->secrets_shut += took == -2;
	}
	if (err && (took == -1 || (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_NOMEM && (rc & 0xff) != SQLITE_IOERR)))
		err->damaged = true;
	if (took == -1)
		store_fail(err, "%s/strowger.db: a row does not fit its fields; restore the file from a backup", s->dir);
	else if (rc != SQLITE_OK)
		store_fail(err, "%s/strowger.db: %s; restore the file from a backup", s->dir, sqlite3_errmsg(s->rd));
	sqlite3_finalize(st);
	return took == -1 || rc != SQLITE_OK ? -1 : 0;
}

int store_load_site(struct store *s, const struct site_key *key, struct site **out, struct store_error *err)
{
	struct site_settings st;
	site_settings_defaults(&st);
	st.id = 1;
	struct site *site = site_new(&st);
	int rc = -1;
	pthread_mutex_lock(&s->rd_lock);
	s->secrets_open = s->secrets_shut = 0;
	if (!site)
		store_fail(err, "out of memory");
	else if (load_all(s, SITE_SETTINGS_SELECT, take_settings, key, &site, err) == 0 &&
		 load_all(s, EXTENSION_SELECT " ORDER BY number", take_extension, key, &site, err) == 0 &&
		 load_all(s, DEVICE_SELECT " ORDER BY id", take_device, key, &site, err) == 0 &&
		 load_all(s, API_TOKEN_SELECT " ORDER BY id", take_token, key, &site, err) == 0)
		rc = 0;
	/* None opens: it is the wrong key. Some do: those that do not are damaged. */
	if (rc == 0 && s->secrets_shut) {
		rc = -1;
		if (err)
			err->damaged = s->secrets_open > 0;
		store_fail(err, s->secrets_open ? "%s/strowger.db: %u secrets are damaged; restore the file from a backup"
					       : "%s: a secret does not open with this site key; put back the key file that belongs to this database (%u rows)",
			   s->dir, s->secrets_shut);
	}
	pthread_mutex_unlock(&s->rd_lock);
	if (rc == 0)
		*out = site;
	else
		site_unref(site);
	return rc;
}

/* The registrations' file has the writer's connection only: it is read before there is anything to write. */
int store_walk(struct store *s, const char *sql, int64_t wall_ms, void (*row)(void *ctx, sqlite3_stmt *st), void *ctx)
{
	sqlite3 *db = store_open_file(s->dir, "registrations.db", SQLITE_OPEN_READONLY);
	sqlite3_stmt *st = NULL;
	int rc = db ? sqlite3_prepare_v2(db, sql, -1, &st, NULL) : SQLITE_CANTOPEN;
	if (rc == SQLITE_OK) {
		sqlite3_bind_int64(st, 1, wall_ms);
		while ((rc = sqlite3_step(st)) == SQLITE_ROW)
			row(ctx, st);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	return rc == SQLITE_DONE ? 0 : -1;
}

struct binding_walk {
	void (*each)(void *ctx, const struct binding_row *b);
	void *ctx;
};

static void on_binding(void *ctx, sqlite3_stmt *st)
{
	const struct binding_walk *w = ctx;
	struct binding_row b;
	if (store_read_binding(st, &b) == 0)
		w->each(w->ctx, &b);
}

int store_load_bindings(struct store *s, int64_t wall_ms, void (*each)(void *ctx, const struct binding_row *b), void *ctx)
{
	struct binding_walk w = {each, ctx};
	return store_walk(s, "SELECT " BINDING_COLUMNS " FROM binding WHERE expires_ms > ? ORDER BY extension, registered_ms", wall_ms, on_binding, &w);
}

/* Wall clock, ms; 0: not known. */
static int64_t last_seen_alive(const char *dir)
{
	sqlite3 *db = store_open_file(dir, "registrations.db", SQLITE_OPEN_READONLY);
	sqlite3_stmt *st = NULL;
	int64_t ms = 0;
	if (db && sqlite3_prepare_v2(db, "SELECT wall_ms FROM life", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		ms = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return ms;
}

int store_close_open_cdrs(struct store *s, int64_t wall_ms)
{
	/* a connection of its own: this is the caller's thread, and the writer may be at work */
	sqlite3 *db = store_open_file(s->dir, "strowger.db", SQLITE_OPEN_READWRITE);
	sqlite3_stmt *st = NULL;
	int n = -1;
	if (db && sqlite3_exec(db, "PRAGMA synchronous = FULL", NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "UPDATE cdr SET closed = 1, cause = ?1, ended_by = 3, end_ms = max(?2, start_ms, ring_at_ms, answer_ms), "
				   "talk_ms = CASE WHEN answer_ms > 0 THEN max(?2, answer_ms) - answer_ms ELSE talk_ms END WHERE closed = 0", -1, &st, NULL) == SQLITE_OK) {
		int64_t seen_ms = last_seen_alive(s->dir);
		sqlite3_bind_int(st, 1, CDR_INTERRUPTED);
		sqlite3_bind_int64(st, 2, seen_ms > 0 ? seen_ms : wall_ms);
		if (sqlite3_step(st) == SQLITE_DONE)
			n = sqlite3_changes(db);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static void json_row(sqlite3_stmt *st, struct text *t)
{
	int n = sqlite3_column_count(st);
	text_lit(t, "{");
	for (int i = 0; i < n; i++) {
		if (i)
			text_lit(t, ",");
		text_json(t, span_z(sqlite3_column_name(st, i)));
		text_lit(t, ":");
		if (sqlite3_column_type(st, i) == SQLITE_INTEGER)
			text_i64(t, sqlite3_column_int64(st, i));
		else
			text_json(t, span_z((const char *)sqlite3_column_text(st, i)));
	}
	text_lit(t, "}");
}

int store_grow(char **mem, size_t *cap, size_t need)
{
	if (need <= *cap)
		return 0;
	size_t to = *cap ? *cap * 2 : 16384;
	while (to < need)
		to *= 2;
	char *p = realloc(*mem, to);
	if (!p)
		return -1;
	*mem = p;
	*cap = to;
	return 0;
}

int store_read_cdrs(struct store *s, uint32_t limit, struct span extension, char **json, size_t *n)
{
	enum { ROW_MAX = 8192 }; /* every text at its longest, each byte escaped, is below this */
	sqlite3_stmt *st = NULL;
	char *mem = NULL;
	size_t cap = 0, used = 0;
	int rc = -1;
	pthread_mutex_lock(&s->rd_lock);
	if (sqlite3_prepare_v2(s->rd, "SELECT " CDR_COLUMNS " FROM cdr WHERE ?1 = '' OR extension = ?1 ORDER BY rowid DESC LIMIT ?2", -1, &st, NULL) ==
	    SQLITE_OK) {
		sqlite3_bind_text(st, 1, extension.n ? extension.p : "", (int)extension.n, SQLITE_STATIC);
		sqlite3_bind_int64(st, 2, limit);
		int step;
		while ((step = sqlite3_step(st)) == SQLITE_ROW && store_grow(&mem, &cap, used + ROW_MAX) == 0) {
			struct text t = text_on(mem + used, cap - used);
			if (used)
				text_lit(&t, ",");
			json_row(st, &t);
			if (!t.over)
				used += t.n;
		}
		rc = step == SQLITE_DONE ? 0 : -1;
	}
	sqlite3_finalize(st);
	pthread_mutex_unlock(&s->rd_lock);
	if (rc != 0) {
		free(mem);
		return -1;
	}
	*json = mem;
	*n = used;
	return 0;
}

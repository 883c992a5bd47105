#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "gen/entities_sql.h"
#include "store/store_int.h"

static const struct { int version; const char *sql; } record_steps[] = {
	{1, "CREATE TABLE cdr (" CDR_COLUMNS ")"},
	{1, "CREATE UNIQUE INDEX cdr_id ON cdr(id)"},
	{1, "CREATE INDEX cdr_open ON cdr(closed) WHERE closed = 0"},
	{1, "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, wall_ms INTEGER NOT NULL, actor TEXT NOT NULL, "
	    "what TEXT NOT NULL, entity TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL) STRICT"},
	{2, "ALTER TABLE audit ADD COLUMN source TEXT NOT NULL DEFAULT ''"},
	{2, "ALTER TABLE audit ADD COLUMN key TEXT NOT NULL DEFAULT ''"},
	{2, "ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT ''"},
	{2, "UPDATE audit SET key = substr(entity, instr(entity, '/') + 1), entity = substr(entity, 1, instr(entity, '/') - 1) "
	    "WHERE instr(entity, '/') > 0"},
	{2, "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"},
	{2, "CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"},
	{3, "DROP TRIGGER IF EXISTS audit_stays"},
	{3, NULL}, /* store_audit_rekey */
	{3, "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"},
	{4, "CREATE TABLE IF NOT EXISTS once (key TEXT PRIMARY KEY, request TEXT NOT NULL, thing TEXT NOT NULL, wall_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID"},
	{4, "CREATE INDEX IF NOT EXISTS once_age ON once(wall_ms)"},
};
enum { RECORDS_VERSION = 4 };

static const char reg_schema[] =
	"CREATE TABLE IF NOT EXISTS binding (extension TEXT, contact TEXT, instance TEXT, device_id INTEGER, call_id TEXT, "
	"user_agent TEXT, path TEXT, reg_id INTEGER, cseq INTEGER, transport INTEGER, listener INTEGER, remote TEXT, local TEXT, "
	"expires_ms INTEGER, registered_ms INTEGER, PRIMARY KEY (extension, contact, instance)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS life (id INTEGER PRIMARY KEY, wall_ms INTEGER);"
	"CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY, wall_ms INTEGER, boot_ms INTEGER, boot TEXT);"
	"PRAGMA user_version = 1";

const char *const store_stmt_sql[ST_N] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_SAVE] = "SAVEPOINT change",
	[ST_RELEASE] = "RELEASE change",
	[ST_BACK] = "ROLLBACK TO change",
	[ST_CDR] = "INSERT INTO cdr (" CDR_COLUMNS ") VALUES (?, ?, ?, ?" STORE_Q10 STORE_Q10 STORE_Q10 ") ON CONFLICT (id) DO UPDATE SET "
		   "(" CDR_COLUMNS ") = (SELECT "
		   "excluded.id, excluded.call, excluded.leg_no, excluded.direction, excluded.extension, excluded.device, excluded.caller, "
		   "excluded.callee, excluded.dialled, excluded.sip_call_id, excluded.remote, excluded.start_ms, excluded.ring_at_ms, "
		   "excluded.answer_ms, excluded.end_ms, excluded.ring_ms, excluded.talk_ms, excluded.cause, excluded.sip_status, "
		   "excluded.ended_by, excluded.closed, excluded.direct_media, excluded.codec, excluded.rx_packets, excluded.rx_bytes, "
		   "excluded.tx_packets, excluded.tx_bytes, excluded.rx_lost, excluded.rx_dropped, excluded.jitter_us, "
		   "excluded.max_jitter_us, excluded.mos_x100, excluded.far_lost, excluded.rtt_us)",
	[ST_AUDIT] = store_audit_insert,
	[ST_AUDIT_LAST] = store_audit_last,
	[ST_SETTINGS_READ] = SITE_SETTINGS_SELECT " WHERE id = ?",
	[ST_EXT_READ] = EXTENSION_SELECT " WHERE id = ?",
	[ST_DEV_READ] = DEVICE_SELECT " WHERE id = ?",
	[ST_DEV_OF] = "SELECT id FROM device WHERE extension = ? ORDER BY id LIMIT 1",
	[ST_CDR_MOVE] = "UPDATE cdr SET start_ms = start_ms + ?1, ring_at_ms = ring_at_ms + iif(ring_at_ms > 0, ?1, 0), "
			"answer_ms = answer_ms + iif(answer_ms > 0, ?1, 0) WHERE closed = 0",
	[ST_CDR_OPEN] = "SELECT 1 FROM cdr WHERE closed = 0 LIMIT 1",
	[ST_SETTINGS_FIND] = "SELECT id, revision FROM site_settings WHERE id = 1",
	[ST_SETTINGS_INSERT] = SITE_SETTINGS_INSERT,
	[ST_SETTINGS_UPDATE] = SITE_SETTINGS_UPDATE,
	[ST_EXT_FIND] = "SELECT id, revision FROM extension WHERE number = ?",
	[ST_EXT_INSERT] = EXTENSION_INSERT,
	[ST_EXT_UPDATE] = EXTENSION_UPDATE,
	[ST_EXT_DELETE] = "DELETE FROM extension WHERE id = ?",
	[ST_DEV_FIND] = "SELECT id, revision FROM device WHERE id = ?",
	[ST_DEV_INSERT] = DEVICE_INSERT,
	[ST_DEV_UPDATE] = DEVICE_UPDATE,
	[ST_DEV_DELETE] = "DELETE FROM device WHERE id = ?",
	[ST_TOKEN_FIND] = "SELECT id, revision FROM api_token WHERE name = ?",
	[ST_TOKEN_READ] = API_TOKEN_SELECT " WHERE id = ?",
	[ST_TOKEN_INSERT] = API_TOKEN_INSERT,
	[ST_TOKEN_UPDATE] = API_TOKEN_UPDATE,
	[ST_TOKEN_DELETE] = "DELETE FROM api_token WHERE id = ?",
	[ST_ONCE_FIND] = "SELECT request, thing FROM once WHERE key = ? AND wall_ms > ?",
	[ST_ONCE_INSERT] = "INSERT OR REPLACE INTO once VALUES (?, ?, ?, ?)",
	[ST_ONCE_PRUNE] = "DELETE FROM once WHERE wall_ms <= ?1 OR key IN (SELECT key FROM once ORDER BY wall_ms DESC LIMIT -1 OFFSET ?2)",
};

const char *const store_reg_sql[RG_N] = {
	[RG_BEGIN] = "BEGIN IMMEDIATE",
	[RG_COMMIT] = "COMMIT",
	[RG_ROLLBACK] = "ROLLBACK",
	[RG_PUT] = "INSERT OR REPLACE INTO binding (" BINDING_COLUMNS ") VALUES (?, ?, ?, ?, ?" STORE_Q10 ")",
	[RG_DROP] = "DELETE FROM binding WHERE extension = ? AND contact = ? AND instance = ?",
	[RG_SUB_PUT] = store_subs_put,
	[RG_SUB_DROP] = store_subs_drop,
	[RG_BAN_PUT] = "INSERT OR REPLACE INTO ban (source, until_ms) VALUES (?, ?)",
	[RG_BAN_DROP] = "DELETE FROM ban WHERE source = ?",
	[RG_BAN_PRUNE] = store_bans_prune,
	[RG_MOVE_BANS] = "UPDATE ban SET until_ms = until_ms + ?1",
	[RG_LIFE] = "INSERT OR REPLACE INTO life VALUES (1, ?)",
	[RG_CLOCK] = "INSERT OR REPLACE INTO clock VALUES (1, ?, ?, ?)",
	[RG_MOVE_BINDINGS] = "UPDATE binding SET expires_ms = expires_ms + ?1, registered_ms = registered_ms + ?1",
	[RG_MOVE_SUBS] = "UPDATE subscription SET expires_ms = expires_ms + ?1, written_ms = written_ms + ?1",
};

sqlite3 *store_open_file(const char *dir, const char *name, int flags)
{
	sqlite3 *db = NULL;
	char path[448];
	struct text t = TEXT_ARRAY(path);
	text_fmt(&t, "%s/%s", dir, name);
	if (text_end(&t) && sqlite3_open_v2(path, &db, flags, NULL) == SQLITE_OK) {
		sqlite3_busy_timeout(db, 2000);
		return db;
	}
	sqlite3_close(db);
	return NULL;
}

int64_t store_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void store_fail(struct store_error *err, const char *fmt, ...)
{
	va_list ap;
	if (!err)
		return;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
}

/* What SQLite says, and what a person can do about it. */
static void fail_sqlite(struct store_error *err, const char *path, sqlite3 *db, int rc)
{
	const char *mend = "look at the disk and at the file's owner";
	switch (rc & 0xff) {
	case SQLITE_FULL:
		mend = "the disk is full: free some space and start again, nothing is lost";
		break;
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		mend = "the directory or file is not writable: check its owner and mode, or that the file system is not mounted read-only";
		break;
	case SQLITE_ERROR: /* a format, table or column that cannot be */
	case SQLITE_CONSTRAINT:
	case SQLITE_SCHEMA:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		if (err)
			err->damaged = true;
		mend = "the file is damaged: restore it from a backup; keep the damaged file and its -wal for repair";
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		mend = "another process uses it: is a second strowgerd running on this site?";
		break;
	case SQLITE_IOERR:
		mend = "the disk failed or is full: check `df` and the kernel log";
		break;
	}
	store_fail(err, "%s: %s; %s", path, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc), mend);
}

int store_prepare(sqlite3 *db, const char *const *sql, sqlite3_stmt **out, int n)
{
	for (int i = 0; i < n; i++) {
		int rc = sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &out[i], NULL);
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

static int version_of(sqlite3 *db, const char *part)
{
	sqlite3_stmt *st;
	int v = 0;
	if (sqlite3_prepare_v2(db, "SELECT max(version) FROM migrations WHERE part = ?", -1, &st, NULL) != SQLITE_OK)
		return 0; /* no such table: new */
	store_bind_text(st, 1, part);
	if (sqlite3_step(st) == SQLITE_ROW)
		v = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return v;
}

bool store_is_current(sqlite3 *db)
{
	return version_of(db, "entities") == ENTITIES_VERSION && version_of(db, "records") == RECORDS_VERSION;
}

/* A database of a newer version is only ever opened for reading. */
int store_refuse_newer(const char *path, struct store_error *err)
{
	sqlite3 *db = NULL;
	struct stat sb;
	int rc = 0;
	if (stat(path, &sb) != 0 || sb.st_size == 0)
		return 0;
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    (version_of(db, "entities") > ENTITIES_VERSION || version_of(db, "records") > RECORDS_VERSION)) {
		store_fail(err, "%s: written by a newer version of strowger (%d.%d, this one knows %d.%d); "
				"install that version again, or restore the backup taken before the upgrade. The file was not touched",
			   path, version_of(db, "entities"), version_of(db, "records"), (int)ENTITIES_VERSION, (int)RECORDS_VERSION);
		rc = -1;
	}
	sqlite3_close(db);
	return rc;
}

bool store_check(sqlite3 *db, const char *pragma, char why[STORE_WHY])
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, pragma, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	const char *said = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : sqlite3_errmsg(db);
	bool ok = rc == SQLITE_ROW && said && strcmp(said, "ok") == 0;
	if (!ok && why)
		snprintf(why, STORE_WHY, "%s", said ? said : "no answer");
	sqlite3_finalize(st);
	return ok;
}

bool store_file_is_sound(const char *path)
{
	sqlite3 *db = NULL;
	bool ok = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK && store_check(db, "PRAGMA integrity_check(1)", NULL);
	sqlite3_close(db);
	return ok;
}

static int quick_check(sqlite3 *db, const char *path, struct store_error *err)
{
	char why[STORE_WHY];
	struct stat sb;
	/* a long history is checked by its use; the configuration always */
	bool small = stat(path, &sb) == 0 && sb.st_size < 64L << 20;
	static const char *const parts[] = {"PRAGMA quick_check(1)", "PRAGMA integrity_check(extension)", "PRAGMA integrity_check(device)",
					    "PRAGMA integrity_check(site_settings)"};
	for (int i = small ? 0 : 1; i < 4; i++) {
		if (i && sqlite3_table_column_metadata(db, NULL, i == 1 ? "extension" : i == 2 ? "device" : "site_settings", NULL, NULL, NULL, NULL, NULL, NULL) != SQLITE_OK)
			continue; /* a new database */
		if (store_check(db, parts[i], why))
			continue;
		if (err)
			err->damaged = true;
		store_fail(err, "%s: damaged (%s); restore it from a backup; keep the damaged file and its -wal for repair", path, why);
		return -1;
	}
	return 0;
}

static int note_version(sqlite3 *db, const char *part, int version)
{
	char b[200];
	snprintf(b, sizeof b, "INSERT INTO migrations VALUES ('%s', %d, CAST(strftime('%%s') AS INTEGER) * 1000)", part, version);
	return sqlite3_exec(db, b, NULL, NULL, NULL);
}

int store_migrate(sqlite3 *db, const struct audit_key *key)
{
	int ve = version_of(db, "entities"), vr = version_of(db, "records");
	if (ve == ENTITIES_VERSION && vr == RECORDS_VERSION)
		return SQLITE_OK;
	int rc = sqlite3_exec(db, "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS migrations (part TEXT, version INTEGER, applied_ms INTEGER, "
				  "PRIMARY KEY (part, version))", NULL, NULL, NULL);
	for (size_t i = 0; rc == SQLITE_OK && i < COUNT_OF(entities_steps); i++)
		if (entities_steps[i].version > ve)
			rc = sqlite3_exec(db, entities_steps[i].sql, NULL, NULL, NULL);
	for (size_t i = 0; rc == SQLITE_OK && i < COUNT_OF(record_steps); i++)
		if (record_steps[i].version > vr)
			rc = record_steps[i].sql ? sqlite3_exec(db, record_steps[i].sql, NULL, NULL, NULL) : store_audit_rekey(db, key, vr >= 2);
	if (rc == SQLITE_OK && ve < ENTITIES_VERSION)
		rc = note_version(db, "entities", ENTITIES_VERSION);
	if (rc == SQLITE_OK && vr < RECORDS_VERSION)
		rc = note_version(db, "records", RECORDS_VERSION);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	return rc;
}

static int open_db(const char *path, sqlite3 **out, const char *pragmas, struct store_error *err)
{
	/* made here so that nobody else may read it, whatever the umask */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		store_fail(err, "%s: %s; check that the directory exists, is writable and not full", path, strerror(errno));
		return -1;
	}
	close(fd);
	int rc = sqlite3_open_v2(path, out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	sqlite3_busy_timeout(*out, 2000);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(*out, pragmas, NULL, NULL, NULL);
	if (rc != SQLITE_OK) {
		fail_sqlite(err, path, *out, rc);
		return -1;
	}
	return 0;
}

static const char main_pragmas[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; "
				   "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 16777216; "
				   "PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 2000";
static const char reg_pragmas[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; "
				  "PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -4096";

static int open_main(struct store *s, struct store_error *err)
{
	char path[448];
	snprintf(path, sizeof path, "%s/strowger.db", s->dir);
	if (store_was_lost(s->dir)) {
		store_fail(err, "%s: it is not there, though %s/good has copies of it; to begin a new site, take that folder away too", path, s->dir);
		if (err)
			err->damaged = true;
		return -1;
	}
	if (store_refuse_newer(path, err) != 0 || open_db(path, &s->db, main_pragmas, err) != 0 || quick_check(s->db, path, err) != 0)
		return -1;
	int rc = store_migrate(s->db, &s->audit_key);
	if (rc == SQLITE_OK)
		rc = store_prepare(s->db, store_stmt_sql, s->st, ST_N);
	if (rc != SQLITE_OK) {
		fail_sqlite(err, path, s->db, rc);
		return -1;
	}
	store_audit_tell(s);
	return open_db(path, &s->rd, "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF", err);
}

/* ---- registrations ------------------------------------------------------------------------------------------------------ */

static int open_reg(struct store *s, const char *path, struct store_error *err)
{
	if (open_db(path, &s->reg, reg_pragmas, err) != 0)
		return -1;
	int rc = sqlite3_exec(s->reg, reg_schema, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->reg, store_subs_schema, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->reg, store_bans_schema, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = store_prepare(s->reg, store_reg_sql, s->rg, RG_N);
	if (rc != SQLITE_OK)
		fail_sqlite(err, path, s->reg, rc);
	return rc == SQLITE_OK ? 0 : -1;
}

static void close_reg(struct store *s)
{
	for (int i = 0; i < RG_N; i++) {
		sqlite3_finalize(s->rg[i]);
		s->rg[i] = NULL;
	}
	sqlite3_close(s->reg);
	s->reg = NULL;
}

/* The rows that can be read, from the front up to the damage and from the back down to it. */
static int salvage(struct store *s, const char *aside)
{
	static const char *const walk[] = {
		"SELECT " BINDING_COLUMNS " FROM binding",
		"SELECT " BINDING_COLUMNS " FROM binding ORDER BY extension DESC, contact DESC, instance DESC",
	};
	sqlite3 *old = NULL;
	struct binding_row b;
	int n = 0;
	if (sqlite3_open_v2(aside, &old, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK && store_run(s->rg[RG_BEGIN]) == 0) {
		for (int i = 0; i < 2; i++) {
			sqlite3_stmt *st = NULL;
			if (sqlite3_prepare_v2(old, walk[i], -1, &st, NULL) == SQLITE_OK)
				while (sqlite3_step(st) == SQLITE_ROW)
					if (store_read_binding(st, &b) == 0) {
						store_bind_binding(s->rg[RG_PUT], &b);
						n += store_run(s->rg[RG_PUT]) == 0 && i == 0;
					}
			sqlite3_finalize(st);
		}
		store_run(s->rg[RG_COMMIT]);
	}
	if (old && !s->clock.wall_ms) { /* the rows are of its clock */
		sqlite3_stmt *st = NULL;
		if (sqlite3_prepare_v2(old, "SELECT wall_ms, boot_ms, boot FROM clock", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
			for (int i = 0; i < 3; i++)
				sqlite3_bind_value(s->rg[RG_CLOCK], i + 1, sqlite3_column_value(st, i));
			store_run(s->rg[RG_CLOCK]);
		}
		sqlite3_finalize(st);
	}
	sqlite3_close(old);
	return n;
}

/* Registrations come back by themselves within an hour: a damaged file is set aside, not a reason to stay down. */
int store_heal_registrations(struct store *s)
{
	static const char *const parts[] = {"", "-wal", "-shm"};
	char path[448], from[464], aside[512];
	long long now = (long long)time(NULL);
	close_reg(s);
	snprintf(path, sizeof path, "%s/registrations.db", s->dir);
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		snprintf(from, sizeof from, "%s%s", path, parts[i]);
		snprintf(aside, sizeof aside, "%s.damaged-%lld%s", path, now, parts[i]);
		if (rename(from, aside) != 0 && errno != ENOENT)
			return -1;
	}
	if (open_reg(s, path, NULL) != 0)
		return -1;
	snprintf(aside, sizeof aside, "%s.damaged-%lld", path, now);
	int n = salvage(s, aside);
	store_clock_open(s);
	log_event(s->log, LOG_WARN, "store.registrations_set_aside", LOG_Z("file", aside), LOG_I("read_from_the_front", n),
		  LOG_Z("mend", "none needed: phones register again within the hour"));
	return 0;
}

static int open_registrations(struct store *s, struct store_error *err)
{
	char path[448];
	snprintf(path, sizeof path, "%s/registrations.db", s->dir);
	if (open_reg(s, path, err) == 0 && store_check(s->reg, "PRAGMA quick_check(1)", NULL)) {
		store_clock_open(s);
		return 0;
	}
	int code = s->reg ? sqlite3_errcode(s->reg) & 0xff : SQLITE_CANTOPEN;
	if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR)
		return store_heal_registrations(s);
	if (err)
		err->damaged = false; /* the configuration is not */
	return -1;
}

static int start_writer(struct store *s)
{
	pthread_condattr_t a;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &a);
	pthread_cond_init(&s->finished, &a);
	pthread_cond_init(&s->keep_wake, &a);
	pthread_condattr_destroy(&a);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->rd_lock, NULL);
	s->jobs_end = &s->jobs;
	s->writer_runs = pthread_create(&s->writer, NULL, store_writer, s) == 0;
	return s->writer_runs ? 0 : -1;
}

struct store *store_open(const char *dir, const struct site_key *key, struct log_sink *log, struct store_error *err)
{
	struct store *s = calloc(1, sizeof *s);
	store_fail(err, "out of memory");
	if (!s)
		return NULL;
	s->log = log;
	s->audit_key = store_audit_key(key);
	s->cdr = calloc(CDR_RING, sizeof *s->cdr);
	if ((size_t)snprintf(s->dir, sizeof s->dir, "%s", dir) >= sizeof s->dir)
		store_fail(err, "%.100s...: the path is too long", dir);
	else if (s->cdr && store_behind_init(s) == 0 && open_main(s, err) == 0 && open_registrations(s, err) == 0 && start_writer(s) == 0) {
		err->text[0] = 0;
		return s;
	}
	store_close(s);
	return NULL;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->writer_runs) {
		store_keep_stop(s);
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->writer, NULL);
		pthread_cond_destroy(&s->wake);
		pthread_cond_destroy(&s->finished);
		pthread_cond_destroy(&s->keep_wake);
		pthread_mutex_destroy(&s->lock);
		pthread_mutex_destroy(&s->rd_lock);
	}
	for (int i = 0; i < ST_N; i++)
		sqlite3_finalize(s->st[i]);
	for (int i = 0; i < RG_N; i++)
		sqlite3_finalize(s->rg[i]);
	sqlite3_close(s->rd);
	sqlite3_close(s->db);
	sqlite3_close(s->reg);
	free(s->cdr);
	store_behind_free(s);
	free(s);
}

/* A damaged database is set aside and a good copy takes its place (R32), with what can still be read of the damaged one's call
 * records (R7) and audit: those are in no copy. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/file.h"
#include "store/store_int.h"

enum { COPY_MAX = 256 << 20, CDR_MAX = 1000000 /* about ten seconds; older ones stay in the damaged file */ };

static bool copy_of(const char *good, const char *to)
{
	char *mem = NULL;
	size_t n = 0;
	bool ok = file_read(good, COPY_MAX, &mem, &n) == 0 && file_write(to, span_mem(mem, n), true) == 0;
	free(mem);
	return ok;
}

/* From the newest back to the damage, then from the oldest up to it. How many. */
static int salvage_cdrs(sqlite3 *to, sqlite3 *from)
{
	static const char *const walk[] = {"SELECT rowid, " CDR_COLUMNS " FROM cdr ORDER BY rowid DESC", "SELECT rowid, " CDR_COLUMNS " FROM cdr ORDER BY rowid"};
	sqlite3_stmt *put = NULL;
	int n = 0;
	if (sqlite3_prepare_v2(to, "INSERT OR IGNORE INTO cdr (rowid, " CDR_COLUMNS ") VALUES (?" STORE_Q10 STORE_Q10 STORE_Q10 ", ?, ?, ?, ?)", -1, &put, NULL) != SQLITE_OK)
		return 0;
	for (size_t i = 0; i < 2; i++) {
		sqlite3_stmt *st = NULL;
		int step = sqlite3_prepare_v2(from, walk[i], -1, &st, NULL) == SQLITE_OK ? SQLITE_ROW : SQLITE_ERROR;
		while (step == SQLITE_ROW && n < CDR_MAX && (step = sqlite3_step(st)) == SQLITE_ROW) {
			for (int k = 0; k < sqlite3_column_count(st); k++)
				sqlite3_bind_value(put, k + 1, sqlite3_column_value(st, k));
			n += store_run(put) == 0 && sqlite3_changes(to) == 1;
		}
		sqlite3_finalize(st);
		if (step == SQLITE_DONE)
			break;
	}
	sqlite3_finalize(put);
	return n;
}

/* Into the copy, while it is in nobody's way yet. An SQLite code. */
static int salvage(const char *fresh, const char *db, const struct audit_key *key, const char *good, long long now, int *cdrs)
{
	sqlite3 *to = NULL, *from = NULL;
	int rc = sqlite3_open_v2(fresh, &to, SQLITE_OPEN_READWRITE, NULL);
	if (sqlite3_open_v2(db, &from, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
	    sqlite3_exec(from, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", NULL, NULL, NULL) != SQLITE_OK) {
		sqlite3_close(from);
		from = NULL;
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(to, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = store_migrate(to, key);
	if (rc == SQLITE_OK)
		rc = store_audit_salvage(to, from, key, good, now * 1000);
	if (rc == SQLITE_OK && from) {
		rc = sqlite3_exec(to, "BEGIN IMMEDIATE", NULL, NULL, NULL);
		*cdrs = salvage_cdrs(to, from);
		if (rc == SQLITE_OK)
			rc = sqlite3_exec(to, "COMMIT", NULL, NULL, NULL);
	}
	sqlite3_close(from);
	sqlite3_close(to);
	return rc;
}

bool store_recover(const char *dir, const struct site_key *key, struct log_sink *log)
{
	/* the database first: a file without its -wal could pass for a whole one of an earlier day */
	static const char *const parts[] = {"", "-wal", "-shm"};
	char good[STORE_PATH], db[STORE_PATH], fresh[STORE_PATH + 8], aside[STORE_PATH + 64];
	struct stat sb = {0};
	struct audit_key ak = store_audit_key(key);
	int cdrs = 0;
	long long now = (long long)time(NULL);
	snprintf(db, sizeof db, "%s/strowger.db", dir);
	snprintf(fresh, sizeof fresh, "%s.new", db);
	/* set aside already, by a recovery that was cut off before its last step: what it saved is in the new one */
	bool half_way = access(db, F_OK) != 0 && store_file_is_sound(fresh);
	if (!store_newest_good(dir, good, &sb) || (!half_way && (!copy_of(good, fresh) || salvage(fresh, db, &ak, good, now, &cdrs) != SQLITE_OK)))
		return false;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		char from[STORE_PATH + 8];
		snprintf(from, sizeof from, "%s%s", db, parts[i]);
		snprintf(aside, sizeof aside, "%s/strowger.db.damaged-%lld%s", dir, now, parts[i]);
		if (rename(from, aside) != 0 && errno != ENOENT)
			return false;
	}
	if (rename(fresh, db) != 0 || file_sync_folder(dir) != 0)
		return false;
	snprintf(aside, sizeof aside, "%s/strowger.db.damaged-%lld", dir, now);
	log_event(log, LOG_ERROR, "store.recovered", LOG_Z("from", good), LOG_I("copied_s_ago", now - (long long)sb.st_mtime), LOG_Z("damaged_kept_as", aside),
		  LOG_I("call_records_saved", cdrs), LOG_Z("missing", "changes since the copy, and what could not be read: see the damaged file and `strowger audit verify`"));
	return true;
}

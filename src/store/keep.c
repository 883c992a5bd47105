/* The last good configuration (R32): after each change that has settled, and after a start that could read everything, the
 * configuration alone (no call records, no audit) is copied into a database of its own, checked, and put in front of the
 * older ones. A start that finds the database damaged sets it aside and goes on from the newest good copy. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/file.h"
#include "store/store_int.h"

enum { GENERATIONS = 3, SETTLE_MS = 3000, AGAIN_MS = 60000 };

static void good_path(char dst[STORE_PATH], const char *dir, int generation)
{
	if (generation)
		snprintf(dst, STORE_PATH, "%s/good/%d.db", dir, generation);
	else
		snprintf(dst, STORE_PATH, "%s/good/new.db", dir);
}

/* Every table of the configuration, whatever features added. */
static int copy_tables(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT name FROM src.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT IN "
					"('cdr', 'audit', 'migrations')", -1, &st, NULL);
	while (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
		char *sql = sqlite3_mprintf("INSERT INTO main.\"%w\" SELECT * FROM src.\"%w\"", sqlite3_column_text(st, 0), sqlite3_column_text(st, 0));
		rc = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
		sqlite3_free(sql);
	}
	sqlite3_finalize(st);
	return rc;
}

static int attach(sqlite3 *db, const char *path)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "ATTACH ? AS src", -1, &st, NULL);
	if (rc == SQLITE_OK) {
		store_bind_text(st, 1, path);
		rc = sqlite3_step(st);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Nothing but the times of migrations differs: the older copies stay as they are, however often the switch starts. */
static bool same_config(const char *a, const char *b)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	bool same = access(b, R_OK) == 0 && sqlite3_open_v2(a, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK && attach(db, b) == SQLITE_OK &&
		    sqlite3_prepare_v2(db, "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT IN "
					   "('cdr', 'audit', 'migrations')", -1, &st, NULL) == SQLITE_OK;
	while (same && sqlite3_step(st) == SQLITE_ROW) {
		const unsigned char *t = sqlite3_column_text(st, 0);
		sqlite3_stmt *d = NULL;
		char *sql = sqlite3_mprintf("SELECT EXISTS (SELECT * FROM main.\"%w\" EXCEPT SELECT * FROM src.\"%w\") + "
					    "EXISTS (SELECT * FROM src.\"%w\" EXCEPT SELECT * FROM main.\"%w\")", t, t, t, t);
		same = sql && sqlite3_prepare_v2(db, sql, -1, &d, NULL) == SQLITE_OK && sqlite3_step(d) == SQLITE_ROW && sqlite3_column_int(d, 0) == 0;
		sqlite3_finalize(d);
		sqlite3_free(sql);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	return same;
}

static bool copy_config(const char *dir, const char *to)
{
	sqlite3 *db = NULL;
	char src[STORE_PATH];
	snprintf(src, sizeof src, "%s/strowger.db", dir);
	(void)unlink(to);
	if (access(src, R_OK) != 0)
		return false; /* ATTACH would make it */
	int rc = sqlite3_open_v2(to, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	sqlite3_busy_timeout(db, 2000);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = store_migrate(db, &(struct audit_key){{0}}); /* its audit is empty */
	if (rc == SQLITE_OK)
		rc = attach(db, src);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = copy_tables(db);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	bool ok = rc == SQLITE_OK && store_check(db, "PRAGMA integrity_check(1)", NULL);
	sqlite3_close(db);
	return ok && chmod(to, 0600) == 0;
}

int store_keep_good(const char *dir)
{
	char good[STORE_PATH], from[STORE_PATH], to[STORE_PATH];
	snprintf(good, sizeof good, "%s/good", dir);
	good_path(from, dir, 0);
	if (file_mkdir(good) != 0 || !copy_config(dir, from)) {
		(void)unlink(from);
		return -1;
	}
	good_path(to, dir, 1);
	if (same_config(from, to))
		return unlink(from);
	for (int g = GENERATIONS - 1; g >= 1; g--) {
		good_path(from, dir, g);
		good_path(to, dir, g + 1);
		(void)rename(from, to);
	}
	good_path(from, dir, 0);
	good_path(to, dir, 1);
	return rename(from, to) == 0 ? file_sync_folder(good) : -1;
}

/* ---- the keeper's thread ------------------------------------------------------------------------------------------------ */

static void *keeper(void *arg)
{
	struct store *s = arg;
	bool failed = false;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->keep_stop && s->kept == s->changes)
			pthread_cond_wait(&s->keep_wake, &s->lock);
		if (s->kept == s->changes)
			break;
		uint64_t seen = s->changes;
		int64_t until_ms = store_now_ms() + (failed ? AGAIN_MS : SETTLE_MS);
		struct timespec t = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
		while (!s->keep_stop && pthread_cond_timedwait(&s->keep_wake, &s->lock, &t) != ETIMEDOUT) {
		}
		if (!s->keep_stop && !failed && s->changes != seen && s->changes - s->kept < 1000)
			continue; /* not settled */
		seen = s->changes;
		pthread_mutex_unlock(&s->lock);
		failed = store_keep_good(s->dir) != 0;
		if (failed)
			log_event(s->log, LOG_WARN, "store.good_copy_failed", LOG_Z("folder", s->dir), LOG_I("errno", errno));
		pthread_mutex_lock(&s->lock);
		if (!failed)
			s->kept = seen;
		else if (s->keep_stop)
			break;
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* So a few seconds after each start the keeper opens strowger.db once more, to read it (copy_config): a connection of SQLite's own beside the
 * writer's and the readers', that blocks neither (WAL); SQLite keeps the process's locks of the file when one of its connections closes. */
void store_keep_start(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	s->changes++; /* what was read is good */
	pthread_mutex_unlock(&s->lock);
	s->keeper_runs = pthread_create(&s->keeper, NULL, keeper, s) == 0;
}

void store_keep_stop(struct store *s)
{
	if (!s->keeper_runs)
		return;
	pthread_mutex_lock(&s->lock);
	s->keep_stop = true;
	pthread_cond_signal(&s->keep_wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->keeper, NULL);
	s->keeper_runs = false;
}

/* ---- what is there ---------------------------------------------------------------------------------------------------------- */

int store_newest_good(const char *dir, char good[STORE_PATH], struct stat *sb)
{
	for (int g = 1; g <= GENERATIONS; g++) {
		good_path(good, dir, g);
		if (stat(good, sb) == 0 && store_file_is_sound(good))
			return g;
	}
	return 0;
}

/* A site has good copies only once it had a database: one that is away or empty was lost, perhaps between two steps of a recovery. */
bool store_was_lost(const char *dir)
{
	char path[STORE_PATH];
	struct stat sb;
	snprintf(path, sizeof path, "%s/strowger.db", dir);
	if (stat(path, &sb) == 0 && sb.st_size > 0)
		return false;
	return store_newest_good(dir, path, &sb) != 0;
}

/* The last good configuration (R32): after each change that has settled, and after a start that could read everything, the
 * configuration alone (no call records, no audit) is copied into a database of its own, checked, and put in front of the
 * older ones. A start that finds the database damaged sets it aside and goes on from the newest good copy. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/file.h"
#include "store/store_int.h"

enum { GENERATIONS = 3, SETTLE_MS = 3000, PATH = 512, COPY_MAX = 256 << 20 };

static void good_path(char dst[PATH], const char *dir, int generation)
{
	if (generation)
		snprintf(dst, PATH, "%s/good/%d.db", dir, generation);
	else
		snprintf(dst, PATH, "%s/good/new.db", dir);
}

static bool sound(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	bool ok = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW &&
		  strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
	sqlite3_finalize(st);
	return ok;
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

static bool copy_config(const char *dir, const char *to)
{
	sqlite3 *db = NULL;
	char attach[PATH + 64];
	(void)unlink(to);
	snprintf(attach, sizeof attach, "ATTACH 'file:%s/strowger.db?mode=ro' AS src", dir);
	int rc = sqlite3_open_v2(to, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI, NULL);
	sqlite3_busy_timeout(db, 2000);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = store_migrate(db);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, attach, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = copy_tables(db);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	bool ok = rc == SQLITE_OK && sound(db);
	sqlite3_close(db);
	return ok && chmod(to, 0600) == 0;
}

int store_keep_good(const char *dir)
{
	char good[PATH], from[PATH], to[PATH];
	snprintf(good, sizeof good, "%s/good", dir);
	good_path(from, dir, 0);
	if (file_mkdir(good) != 0 || !copy_config(dir, from)) {
		(void)unlink(from);
		return -1;
	}
	for (int g = GENERATIONS - 1; g >= 1; g--) {
		good_path(from, dir, g);
		good_path(to, dir, g + 1);
		(void)rename(from, to);
	}
	good_path(from, dir, 0);
	good_path(to, dir, 1);
	int rc = rename(from, to), fd = open(good, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		rc = fsync(fd) ? -1 : rc;
		close(fd);
	}
	return rc;
}

/* ---- the keeper's thread ------------------------------------------------------------------------------------------------ */

static void *keeper(void *arg)
{
	struct store *s = arg;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->keep_stop && s->kept == s->changes)
			pthread_cond_wait(&s->keep_wake, &s->lock);
		if (s->kept == s->changes)
			break;
		uint64_t seen = s->changes;
		int64_t until_ms = store_now_ms() + SETTLE_MS;
		struct timespec t = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
		while (!s->keep_stop && pthread_cond_timedwait(&s->keep_wake, &s->lock, &t) != ETIMEDOUT) {
		}
		if (!s->keep_stop && s->changes != seen && s->changes - s->kept < 1000)
			continue; /* not settled */
		seen = s->changes;
		pthread_mutex_unlock(&s->lock);
		if (store_keep_good(s->dir) != 0)
			log_event(s->log, LOG_WARN, "store.good_copy_failed", LOG_Z("folder", s->dir), LOG_I("errno", errno));
		pthread_mutex_lock(&s->lock);
		s->kept = seen;
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

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

/* ---- recovery -------------------------------------------------------------------------------------------------------------- */

static bool is_good(const char *path)
{
	sqlite3 *db = NULL;
	bool ok = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK && sound(db);
	sqlite3_close(db);
	return ok;
}

static bool put_in_place(const char *good, const char *db)
{
	char *mem = NULL;
	size_t n = 0;
	bool ok = file_read(good, COPY_MAX, &mem, &n) == 0 && file_write(db, span_mem(mem, n), true) == 0;
	free(mem);
	return ok;
}

bool store_recover(const char *dir, struct log_sink *log)
{
	static const char *const parts[] = {"", "-wal", "-shm"};
	char good[PATH], db[PATH], aside[PATH + 64];
	struct stat sb = {0};
	int g = 1;
	snprintf(db, sizeof db, "%s/strowger.db", dir);
	for (; g <= GENERATIONS; g++) {
		good_path(good, dir, g);
		if (stat(good, &sb) == 0 && is_good(good))
			break;
	}
	if (g > GENERATIONS)
		return false;
	long long now = (long long)time(NULL);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		char from[PATH + 8];
		snprintf(from, sizeof from, "%s%s", db, parts[i]);
		snprintf(aside, sizeof aside, "%s/strowger.db.damaged-%lld%s", dir, now, parts[i]);
		if (rename(from, aside) != 0 && errno != ENOENT)
			return false;
	}
	if (!put_in_place(good, db))
		return false;
	snprintf(aside, sizeof aside, "%s/strowger.db.damaged-%lld", dir, now);
	log_event(log, LOG_ERROR, "store.recovered", LOG_Z("from", good), LOG_I("copied_s_ago", now - (long long)sb.st_mtime), LOG_Z("damaged_kept_as", aside),
		  LOG_Z("missing", "call records and changes since then: see the damaged file"));
	return true;
}

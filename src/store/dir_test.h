/* A site's folder for a test of the store, and what the tests do with its files behind the store's back. */
#ifndef STORE_DIR_TEST_H
#define STORE_DIR_TEST_H

#include "harness/harness.h"
#include "store/store.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

UNUSED static const struct site_key key = {{1, 2, 3}};

/* A folder whose name SQL or a URI would trip over. */
static void fresh(char dir[64])
{
	char top[64] = "/tmp/strowger-store-XXXXXX";
	assert_non_null(mkdtemp(top));
	assert_int_equal(chmod(top, 0711), 0); /* one test looks at it as another user */
	snprintf(dir, 64, "%s/it's 50%%?", top);
	assert_int_equal(mkdir(dir, 0700), 0);
}

static void empty(const char *dir)
{
	char path[512];
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		if (e->d_type == DT_DIR)
			empty(path);
		remove(path);
	}
	closedir(d);
}

static void gone(char dir[64])
{
	chmod(dir, 0700);
	empty(dir);
	rmdir(dir);
	*strrchr(dir, '/') = 0;
	rmdir(dir);
}

static struct store *open_ok(const char *dir)
{
	struct store_error err;
	struct store *s = store_open(dir, &key, NULL, &err);
	if (!s)
		fail_msg("%s", err.text);
	return s;
}

UNUSED static struct site_change extension_change(const char *number, const char *name, uint64_t if_revision)
{
	struct site_change c = {.kind = CHANGE_EXTENSION, .if_revision = if_revision, .actor = "test"};
	extension_defaults(&c.extension.row);
	snprintf(c.extension.row.number, sizeof c.extension.row.number, "%s", number);
	snprintf(c.extension.row.name, sizeof c.extension.row.name, "%s", name);
	return c;
}

/* The SQLite code. */
UNUSED static int run_sql(const char *dir, const char *file, const char *sql)
{
	char path[256];
	sqlite3 *db;
	snprintf(path, sizeof path, "%s/%s", dir, file);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_close(db);
	return rc;
}

/* The first column of the first row; -1: there is none. */
UNUSED static int64_t number_of(const char *dir, const char *file, const char *sql)
{
	char path[256];
	sqlite3 *db;
	sqlite3_stmt *st = NULL;
	int64_t v = -1;
	snprintf(path, sizeof path, "%s/%s", dir, file);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return v;
}

UNUSED static void wait_ms(int ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

#endif

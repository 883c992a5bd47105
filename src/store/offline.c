/* What the command line does with a site's files itself: beside the daemon (a row of the audit) or without it (after a restore). */
#include "store/store_int.h"

int store_audit_beside(const char *dir, const struct site_key *key, const struct audit_entry *e, struct store_error *err)
{
	struct audit_key ak = store_audit_key(key);
	sqlite3 *db = store_open_file(dir, "strowger.db", SQLITE_OPEN_READWRITE);
	int rc = -1;
	if (!db)
		store_fail(err, "%s/strowger.db: cannot be opened", dir);
	else if (!store_is_current(db))
		store_fail(err, "%s/strowger.db: of another version of strowger", dir);
	else if (sqlite3_exec(db, "PRAGMA synchronous = FULL; BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK || store_audit_append(db, &ak, e) != 0 ||
		 sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		store_fail(err, "%s/strowger.db: %s", dir, sqlite3_errmsg(db));
	else
		rc = 0;
	sqlite3_close(db);
	return rc;
}

int store_restored(const char *dir, const struct site_key *key, const struct audit_entry *e, struct store_error *err)
{
	/* by the wall clock alone: what was registered long ago is not, though it was by the clock of another machine (clock.c) */
	sqlite3 *reg = store_open_file(dir, "registrations.db", SQLITE_OPEN_READWRITE);
	if (reg)
		(void)sqlite3_exec(reg, "DELETE FROM clock", NULL, NULL, NULL);
	sqlite3_close(reg);
	struct store *s = store_open(dir, key, NULL, err);
	int rc = s ? store_audit_add(s, e, err) : -1;
	store_close(s);
	return rc;
}

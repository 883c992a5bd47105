#include "store/dir_test.h"

static void set_extension(struct store *s, const char *number, const char *name, const char *pin_sealed)
{
	struct store_error err;
	struct site_change c = extension_change(number, name, UINT64_MAX);
	strcpy(c.actor, "token:ann");
	strcpy(c.source, "192.0.2.7");
	snprintf(c.extension.row.pin_sealed, sizeof c.extension.row.pin_sealed, "%s", pin_sealed);
	assert_int_equal(store_change(s, &c, 77, &err), CHANGE_OK);
}

static char *audit_of(struct store *s, struct audit_query q)
{
	static char text[65536];
	char *json = NULL;
	size_t n = 0;
	assert_int_equal(store_read_audit(s, &q, &json, &n), 0);
	assert_true(n < sizeof text);
	if (n)
		memcpy(text, json, n);
	text[n] = 0;
	free(json);
	return text;
}

static int64_t broken(struct store *s, int64_t rows)
{
	struct audit_verdict v;
	assert_int_equal(store_audit_verify(s, &v), 0);
	if (rows >= 0)
		assert_int_equal(v.rows, rows);
	return v.broken;
}

static void old_and_new_values_are_kept(void **state)
{
	(void)state;
	char dir[64];
	struct store_error err;
	fresh(dir);
	struct store *s = open_ok(dir);
	set_extension(s, "201", "Ann", "aaaa");
	set_extension(s, "201", "Bea", "bbbb");
	set_extension(s, "202", "Cid", "");
	struct site_change d = {.kind = CHANGE_DEVICE, .if_revision = 0, .actor = "control"};
	device_defaults(&d.device.row);
	strcpy(d.device.row.extension, "201");
	strcpy(d.device.row.mac, "0004f2000001");
	assert_int_equal(store_change(s, &d, 78, &err), CHANGE_OK);
	struct site_change g = {.kind = CHANGE_EXTENSION_GONE, .if_revision = UINT64_MAX, .actor = "control"};
	strcpy(g.extension.row.number, "201");
	assert_int_equal(store_change(s, &g, 79, &err), CHANGE_OK);

	const char *all = audit_of(s, (struct audit_query){.limit = 100});
	assert_null(strstr(all, "aaaa"));
	assert_null(strstr(all, "bbbb"));
	assert_non_null(strstr(all, "\"name\":{\"old\":\"Ann\",\"new\":\"Bea\"}"));
	assert_non_null(strstr(all, "\"pin\":\"changed\""));
	assert_non_null(strstr(all, "\"wall_ms\":77,\"actor\":\"token:ann\",\"source\":\"192.0.2.7\",\"what\":\"set\",\"entity\":\"extension\",\"key\":\"201\","
				    "\"revision\":2,\"changes\":{\"name\":"));
	/* the phone went with its extension: a row of its own */
	assert_non_null(strstr(all, "\"what\":\"remove\",\"entity\":\"device\""));
	assert_non_null(strstr(all, "\"mac\":{\"old\":\"0004f2000001\"}"));
	/* newest first, filtered, in pages */
	assert_int_equal(strncmp(all, "{\"id\":6,", 8), 0);
	const char *one = audit_of(s, (struct audit_query){.limit = 100, .entity = SPAN_LIT("extension"), .key = SPAN_LIT("202")});
	assert_int_equal(strncmp(one, "{\"id\":3,", 8), 0);
	assert_null(strstr(one, "},{"));
	assert_int_equal(strncmp(audit_of(s, (struct audit_query){.limit = 1, .before = 5}), "{\"id\":4,", 8), 0);
	assert_int_equal(broken(s, 6), 0);
	store_close(s);
	gone(dir);
}

static const char drop_triggers[] = "DROP TRIGGER audit_stays; DROP TRIGGER audit_keeps;";

static void a_refused_change_leaves_no_row(void **state)
{
	(void)state;
	char dir[64];
	struct store_error err;
	fresh(dir);
	struct store *s = open_ok(dir);
	set_extension(s, "201", "Ann", "");
	struct site_change c = {.kind = CHANGE_EXTENSION_GONE, .if_revision = 9};
	strcpy(c.extension.row.number, "201");
	assert_int_equal(store_change(s, &c, 79, &err), CHANGE_CONFLICT);
	assert_int_equal(broken(s, 1), 0);
	/* append-only, for every connection */
	assert_int_not_equal(run_sql(dir, "strowger.db", "UPDATE audit SET actor = 'nobody'"), SQLITE_OK);
	assert_int_not_equal(run_sql(dir, "strowger.db", "DELETE FROM audit"), SQLITE_OK);
	store_close(s);
	gone(dir);
}

static void tampering_is_found(void **state)
{
	(void)state;
	static const struct { const char *sql; int64_t first; } edits[] = {
		{"UPDATE audit SET actor = 'nobody' WHERE id = 3", 3},
		{"UPDATE audit SET value = replace(value, 'Ann', 'Eve') WHERE id = 1", 1},
		{"UPDATE audit SET wall_ms = 78 WHERE id = 5", 5},
		{"UPDATE audit SET source = source || what, what = '' WHERE id = 2", 2},
		{"DELETE FROM audit WHERE id = 2", 2},
		{"DELETE FROM audit WHERE id = 5", 5},
		{"DELETE FROM audit WHERE id = 1", 1},
		{"DELETE FROM audit", 1},
		{"UPDATE audit SET hash = (SELECT hash FROM audit WHERE id = 1) WHERE id = 4", 4},
	};
	for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
		char dir[64];
		fresh(dir);
		struct store *s = open_ok(dir);
		for (int k = 0; k < 5; k++)
			set_extension(s, "201", k % 2 ? "Bea" : "Ann", "");
		assert_int_equal(broken(s, 5), 0);
		assert_int_equal(run_sql(dir, "strowger.db", drop_triggers), SQLITE_OK);
		assert_int_equal(run_sql(dir, "strowger.db", edits[i].sql), SQLITE_OK);
		assert_int_equal(broken(s, -1), edits[i].first);
		/* what comes behind does not cover it */
		set_extension(s, "201", "Cid", "");
		assert_int_equal(broken(s, -1), edits[i].first);
		store_close(s);
		gone(dir);
	}
}

/* A database as version 1 of the records left it. */
static void rows_of_the_old_form_join_the_chain(void **state)
{
	(void)state;
	char dir[64];
	fresh(dir);
	struct store *s = open_ok(dir);
	store_close(s);
	assert_int_equal(run_sql(dir, "strowger.db", "DROP TABLE audit; DELETE FROM migrations WHERE part = 'records' AND version > 1;"
				      "INSERT OR IGNORE INTO migrations VALUES ('records', 1, 0);"
				      "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, wall_ms INTEGER NOT NULL, actor TEXT NOT NULL, "
				      "what TEXT NOT NULL, entity TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL) STRICT;"
				      "INSERT INTO audit (wall_ms, actor, what, entity, revision, value) VALUES "
				      "(5, 'control', 'set', 'settings', 1, '{\"name\":\"Old\"}'), (6, 'pin:201', 'set', 'device/7', 3, '{}')"),
			 SQLITE_OK);
	s = open_ok(dir);
	set_extension(s, "201", "Ann", "");
	const char *all = audit_of(s, (struct audit_query){.limit = 100});
	assert_non_null(strstr(all, "\"entity\":\"device\",\"key\":\"7\",\"revision\":3"));
	assert_non_null(strstr(all, "\"changes\":{\"name\":\"Old\"}"));
	assert_int_equal(broken(s, 3), 0);
	store_close(s);
	s = open_ok(dir); /* once only */
	assert_int_equal(run_sql(dir, "strowger.db", drop_triggers), SQLITE_OK);
	assert_int_equal(run_sql(dir, "strowger.db", "UPDATE audit SET value = '{\"name\":\"New\"}' WHERE id = 1"), SQLITE_OK);
	assert_int_equal(broken(s, 0), 1);
	store_close(s);
	gone(dir);
}

static const struct test_case cases[] = {
	CASE(old_and_new_values_are_kept, ""),
	CASE(a_refused_change_leaves_no_row, ""),
	CASE(tampering_is_found, ""),
	CASE(rows_of_the_old_form_join_the_chain, ""),
};
TEST_MAIN("audit", cases)

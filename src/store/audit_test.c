#include <fcntl.h>

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

/* Whoever has the file but not the key cannot write a chain that passes: not with SHA-256 as version 2 did, nor with another key. */
static void without_the_key_no_chain_passes(void **state)
{
	(void)state;
	static const struct site_key other = {{9}};
	static const char version_2[] =
		"INSERT INTO audit (id, wall_ms, actor, source, what, entity, key, revision, value, hash) VALUES "
		"(1, 5, 'control', '', 'set', 'settings', '', 1, '{}', '19624694d5e9bae18fb9e9d9dddac755ae991a0a4bd80692d7627bdc6857148b'), "
		"(2, 6, 'control', '', 'set', 'settings', '', 2, '{}', '2b3aa445a4e866c1966cb6df0adb0b1bea5e8a79745bac39c90aa758b7c1425d'), "
		"(3, 7, 'control', '', 'set', 'settings', '', 3, '{}', '942b0e1aba5fc17f16e6c774d2fc7a03072c02fe076a338e9a1c5eb86c2e0972')";
	char dir[64];
	struct store_error err;
	fresh(dir);
	struct store *s = store_open(dir, &other, NULL, &err);
	assert_non_null(s);
	set_extension(s, "201", "Ann", "");
	assert_int_equal(broken(s, 1), 0);
	store_close(s);
	s = open_ok(dir);
	assert_int_equal(broken(s, 0), 1);
	store_close(s);
	gone(dir);

	fresh(dir);
	store_close(open_ok(dir));
	assert_int_equal(run_sql(dir, "strowger.db", version_2), SQLITE_OK);
	s = open_ok(dir);
	assert_int_equal(broken(s, 0), 1);
	store_close(s);
	/* but a database of that version gets keyed hashes when it is first opened */
	assert_int_equal(run_sql(dir, "strowger.db", "DELETE FROM migrations WHERE part = 'records' AND version > 2;"
						     "INSERT OR IGNORE INTO migrations VALUES ('records', 2, 0)"), SQLITE_OK);
	s = open_ok(dir);
	assert_int_equal(broken(s, 3), 0);
	set_extension(s, "201", "Ann", "");
	assert_int_equal(broken(s, 4), 0);
	assert_int_not_equal(run_sql(dir, "strowger.db", "UPDATE audit SET actor = 'nobody'"), SQLITE_OK);
	store_close(s);
	gone(dir);

	/* and a row that was not what was written then is not vouched for now */
	fresh(dir);
	store_close(open_ok(dir));
	assert_int_equal(run_sql(dir, "strowger.db", version_2), SQLITE_OK);
	assert_int_equal(run_sql(dir, "strowger.db", drop_triggers), SQLITE_OK);
	assert_int_equal(run_sql(dir, "strowger.db", "UPDATE audit SET actor = 'nobody' WHERE id = 2; DELETE FROM migrations WHERE part = 'records' AND version > 2;"
						     "INSERT OR IGNORE INTO migrations VALUES ('records', 2, 0)"), SQLITE_OK);
	s = open_ok(dir);
	assert_int_equal(broken(s, 1), 2);
	store_close(s);
	gone(dir);
}

static void verbs_have_rows_too(void **state)
{
	(void)state;
	char dir[64];
	struct store_error err;
	fresh(dir);
	struct store *s = open_ok(dir);
	set_extension(s, "201", "Ann", "");
	const struct audit_entry e = {.wall_ms = 78, .actor = "token", .source = "192.0.2.7", .what = "release", .entity = "ban", .key = "192.0.2.66"};
	assert_int_equal(store_audit_add(s, &e, &err), 0);
	assert_non_null(strstr(audit_of(s, (struct audit_query){.limit = 1}), "\"id\":2,\"wall_ms\":78,\"actor\":\"token\",\"source\":\"192.0.2.7\","
										  "\"what\":\"release\",\"entity\":\"ban\",\"key\":\"192.0.2.66\",\"revision\":0,\"changes\":{}"));
	assert_int_equal(broken(s, 2), 0);
	store_close(s);
	gone(dir);
}

/* A page of the damaged file is junk: what stands before and behind it is saved, and the gap is told of by a row of the chain. */
static void the_audit_outlives_a_recovery(void **state)
{
	(void)state;
	char dir[64], path[128], name[40];
	struct audit_verdict v;
	fresh(dir);
	struct store *s = open_ok(dir);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "Person %d", i);
		set_extension(s, "201", name, "");
	}
	assert_int_equal(store_keep_good(dir), 0);
	set_extension(s, "201", "Last", "");
	struct cdr_row r = {.id = "b-1-0", .call = "c", .extension = "201", .start_wall_ms = 1000, .closed = true};
	assert_int_equal(store_put_cdr(s, 1, &r), 0);
	store_close(s);
	int64_t page = number_of(dir, "strowger.db", "SELECT pageno FROM dbstat WHERE name = 'audit' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 3");
	assert_true(page > 1);
	snprintf(path, sizeof path, "%s/strowger.db", dir);
	int fd = open(path, O_WRONLY);
	static const char junk[4096] = {'x', 'y'};
	assert_int_equal(pwrite(fd, junk, sizeof junk, (page - 1) * 4096), (ssize_t)sizeof junk);
	close(fd);
	assert_true(store_recover(dir, &key, NULL));
	s = open_ok(dir);
	assert_int_equal(store_audit_verify(s, &v), 0);
	assert_int_equal(v.broken, 0);
	assert_int_equal(v.cuts, 1);
	assert_int_equal(v.last, 202); /* 201 changes and the recovery's own */
	assert_true(v.lost > 0 && v.lost < 50);
	assert_int_equal(v.rows + v.lost, 202);
	assert_non_null(strstr(audit_of(s, (struct audit_query){.limit = 2}), "\"what\":\"recover\",\"entity\":\"audit\""));
	assert_non_null(strstr(audit_of(s, (struct audit_query){.limit = 2}), "\"new\":\"Last\"")); /* the newest change, though the copy has it not */
	assert_int_equal(number_of(dir, "strowger.db", "SELECT count(*) FROM cdr WHERE id = 'b-1-0'"), 1);
	/* what is taken away now is not covered by what the recovery told of */
	assert_int_equal(run_sql(dir, "strowger.db", drop_triggers), SQLITE_OK);
	assert_int_equal(run_sql(dir, "strowger.db", "DELETE FROM audit WHERE id = 190"), SQLITE_OK);
	assert_int_equal(broken(s, -1), 190);
	store_close(s);
	gone(dir);
}

/* Nothing can be read: the chain begins anew, and says so. A recovery that was cut off between its steps is gone on with. */
static void a_lost_audit_is_told_of(void **state)
{
	(void)state;
	char dir[64], path[128], to[160];
	struct audit_verdict v;
	fresh(dir);
	struct store *s = open_ok(dir);
	set_extension(s, "201", "Ann", "");
	set_extension(s, "201", "Bea", "");
	assert_int_equal(store_keep_good(dir), 0);
	store_close(s);
	snprintf(path, sizeof path, "%s/strowger.db", dir);
	snprintf(to, sizeof to, "%s/strowger.db.new", dir);
	assert_true(store_recover(dir, &key, NULL)); /* whole: nothing is lost */
	s = open_ok(dir);
	assert_int_equal(store_audit_verify(s, &v), 0);
	assert_true(v.rows == 3 && v.cuts == 1 && v.lost == 0 && !v.broken);
	store_close(s);
	assert_int_equal(rename(path, to), 0); /* as a kill leaves it before the last step */
	assert_true(store_recover(dir, &key, NULL));
	s = open_ok(dir);
	assert_int_equal(broken(s, 3), 0);
	store_close(s);
	assert_int_equal(truncate(path, 0), 0);
	assert_true(store_recover(dir, &key, NULL));
	s = open_ok(dir);
	assert_int_equal(store_audit_verify(s, &v), 0);
	assert_true(v.rows == 1 && v.cuts == 1 && !v.broken);
	set_extension(s, "201", "Cid", "");
	assert_int_equal(broken(s, 2), 0);
	store_close(s);
	gone(dir);
}

static const struct test_case cases[] = {
	CASE(old_and_new_values_are_kept, ""),
	CASE(a_refused_change_leaves_no_row, ""),
	CASE(tampering_is_found, ""),
	CASE(rows_of_the_old_form_join_the_chain, ""),
	CASE(without_the_key_no_chain_passes, ""),
	CASE(verbs_have_rows_too, ""),
	CASE(the_audit_outlives_a_recovery, "R32 R7"),
	CASE(a_lost_audit_is_told_of, "R32"),
};
TEST_MAIN("audit", cases)

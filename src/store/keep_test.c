/* The good copies, the note of life, and a damaged file of registrations (R7 R15 R32 R4). */
#include <fcntl.h>

#include "store/dir_test.h"

static void add(struct store *s, const char *number)
{
	struct store_error err;
	struct site_change c = extension_change(number, "", 0);
	assert_int_equal(store_change(s, &c, 1000, &err), CHANGE_OK);
}

static void a_lost_database_is_brought_back(void **state)
{
	(void)state;
	char dir[64], path[256], to[256];
	struct store_error err = {0};
	fresh(dir);
	struct store *s = open_ok(dir);
	add(s, "201");
	assert_int_equal(store_keep_good(dir), 0);
	add(s, "202");
	assert_int_equal(store_keep_good(dir), 0);
	store_close(s);
	assert_false(store_was_lost(dir));
	/* as a kill between two steps of a recovery leaves it */
	snprintf(path, sizeof path, "%s/strowger.db", dir);
	snprintf(to, sizeof to, "%s/aside", dir);
	assert_int_equal(rename(path, to), 0);
	assert_true(store_was_lost(dir));
	assert_null(store_open(dir, &key, NULL, &err));
	assert_true(err.damaged);
	assert_int_not_equal(access(path, F_OK), 0); /* nothing empty was made */
	assert_true(store_recover(dir, &key, NULL));
	s = open_ok(dir);
	store_close(s);
	assert_int_equal(number_of(dir, "strowger.db", "SELECT count(*) FROM extension"), 2);
	/* an emptied one too */
	assert_int_equal(truncate(path, 0), 0);
	assert_null(store_open(dir, &key, NULL, &err));
	assert_true(store_recover(dir, &key, NULL));
	assert_int_equal(number_of(dir, "strowger.db", "SELECT count(*) FROM extension"), 2);
	gone(dir);
}

static void copies_of_the_same_push_nothing_out(void **state)
{
	(void)state;
	char dir[64];
	fresh(dir);
	struct store *s = open_ok(dir);
	add(s, "201");
	assert_int_equal(store_keep_good(dir), 0);
	add(s, "202");
	for (int i = 0; i < 5; i++)
		assert_int_equal(store_keep_good(dir), 0);
	assert_int_equal(number_of(dir, "good/1.db", "SELECT count(*) FROM extension"), 2);
	assert_int_equal(number_of(dir, "good/2.db", "SELECT count(*) FROM extension"), 1);
	store_close(s);
	gone(dir);
}

static int64_t wall_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void an_interrupted_call_ends_when_the_switch_did(void **state)
{
	(void)state;
	char dir[64];
	fresh(dir);
	struct store *s = open_ok(dir);
	int64_t now = wall_ms();
	struct cdr_row r = {.id = "b-1-0", .call = "c", .extension = "201", .start_wall_ms = now - 60000, .ring_wall_ms = now - 59000, .answer_wall_ms = now - 50000};
	assert_int_equal(store_put_cdr(s, 1, &r), 0);
	for (int i = 0; i < 500 && number_of(dir, "registrations.db", "SELECT wall_ms FROM life") < now; i++)
		wait_ms(10);
	int64_t first = number_of(dir, "registrations.db", "SELECT wall_ms FROM life");
	assert_true(first >= now);
	for (int i = 0; i < 500 && number_of(dir, "registrations.db", "SELECT wall_ms FROM life") == first; i++)
		wait_ms(10);
	assert_true(number_of(dir, "registrations.db", "SELECT wall_ms FROM life") > first); /* each second while it lasts */
	store_close(s); /* the row stays open, as a crash leaves it */
	int64_t last = number_of(dir, "registrations.db", "SELECT wall_ms FROM life");
	s = open_ok(dir);
	assert_int_equal(store_close_open_cdrs(s, now + 3600000), 1); /* started again an hour later */
	assert_int_equal(number_of(dir, "strowger.db", "SELECT end_ms FROM cdr"), last);
	assert_int_equal(number_of(dir, "strowger.db", "SELECT talk_ms FROM cdr"), last - r.answer_wall_ms);
	store_close(s);
	gone(dir);
}

static uint32_t restored;
static void on_binding(void *ctx, const struct binding_row *b)
{
	(void)ctx;
	(void)b;
	restored++;
}

static void what_can_be_read_of_registrations_is_kept(void **state)
{
	(void)state;
	char dir[64], path[256];
	fresh(dir);
	struct store *s = open_ok(dir);
	for (int i = 0; i < 2000; i++) {
		struct binding_row b = {.cseq = 1, .expires_wall_ms = 9000000, .registered_wall_ms = 1};
		snprintf(b.extension, sizeof b.extension, "%d", 1000 + i);
		snprintf(b.contact, sizeof b.contact, "sip:%d@192.0.2.1", 1000 + i);
		b.flow.remote = b.flow.local = (struct addr){.family = 4, .port = 5060};
		while (store_put_binding(s, &b) != 0)
			wait_ms(10);
	}
	store_close(s);
	snprintf(path, sizeof path, "%s/registrations.db", dir);
	int fd = open(path, O_WRONLY);
	struct stat sb;
	assert_int_equal(fstat(fd, &sb), 0);
	static const char junk[4096] = {'x', 'y'};
	off_t at = sb.st_size / 2 / 4096 * 4096;
	assert_int_equal(pwrite(fd, junk, sizeof junk, at), (ssize_t)sizeof junk);
	close(fd);
	s = open_ok(dir);
	restored = 0;
	assert_int_equal(store_load_bindings(s, 1, on_binding, NULL), 0);
	assert_in_range(restored, 1500, 1999);
	struct binding_row b = {.extension = "9", .contact = "sip:9@192.0.2.1", .expires_wall_ms = 9000000};
	b.flow.remote = b.flow.local = (struct addr){.family = 4, .port = 5060};
	assert_int_equal(store_put_binding(s, &b), 0); /* and it can be worked with */
	store_close(s);
	assert_int_equal(number_of(dir, "registrations.db", "SELECT count(*) FROM binding"), restored + 1);
	gone(dir);
}

static const struct test_case cases[] = {
	CASE(a_lost_database_is_brought_back, "R32"),
	CASE(copies_of_the_same_push_nothing_out, "R32"),
	CASE(an_interrupted_call_ends_when_the_switch_did, "R7 R15"),
	CASE(what_can_be_read_of_registrations_is_kept, "R4"),
};
TEST_MAIN("keep", cases)

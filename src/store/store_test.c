#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "store/dir_test.h"

static struct cdr_row cdr(const char *id, bool closed)
{
	struct cdr_row r = {.call = "c", .extension = "201", .caller = "\"x\"", .start_wall_ms = 1000, .closed = closed, .cause = closed ? CDR_NORMAL : 0};
	snprintf(r.id, sizeof r.id, "%s", id);
	return r;
}

static struct seen { atomic_uint ok, failed; } seen;
static void on_cdr(void *ctx, uint64_t token, bool ok)
{
	(void)ctx;
	(void)token;
	atomic_fetch_add(ok ? &seen.ok : &seen.failed, 1);
}

static void watch(struct store *s)
{
	atomic_store(&seen.ok, 0);
	atomic_store(&seen.failed, 0);
	store_on_done(s, &(struct store_done){NULL, on_cdr});
}

static bool wait_for(atomic_uint *n, unsigned want)
{
	for (int i = 0; i < 500 && atomic_load(n) < want; i++)
		wait_ms(10);
	return atomic_load(n) >= want;
}

static void changes_are_kept_and_checked(void **state)
{
	(void)state;
	char dir[64];
	struct store_error err;
	fresh(dir);
	struct store *s = open_ok(dir);
	struct site_change c = extension_change("201", "Ann", 0);
	assert_int_equal(store_change(s, &c, 5, &err), CHANGE_OK);
	assert_int_equal(c.extension.row.revision, 1);
	assert_true(c.extension.row.id != 0);
	c = extension_change("201", "Again", 0); /* exists already */
	assert_int_equal(store_change(s, &c, 5, &err), CHANGE_CONFLICT);
	c = extension_change("201", "Bea", 1);
	assert_int_equal(store_change(s, &c, 5, &err), CHANGE_OK);
	assert_int_equal(c.extension.row.revision, 2);
	c = extension_change("201", "Late", 1);
	assert_int_equal(store_change(s, &c, 5, &err), CHANGE_CONFLICT);
	c = extension_change("202", "None", 7);
	assert_int_equal(store_change(s, &c, 5, &err), CHANGE_MISSING);

	struct site_change d = {.kind = CHANGE_DEVICE, .if_revision = 0};
	device_defaults(&d.device.row);
	strcpy(d.device.row.extension, "299");
	strcpy(d.device.row.mac, "0004f2000001");
	assert_int_equal(store_change(s, &d, 5, &err), CHANGE_MISSING);
	strcpy(d.device.row.extension, "201");
	assert_int_equal(store_change(s, &d, 5, &err), CHANGE_OK);
	uint64_t id = d.device.row.id;
	assert_true(id != 0);
	d.device.row.id = 0; /* a second phone with this MAC */
	assert_int_equal(store_change(s, &d, 5, &err), CHANGE_CONFLICT);
	store_close(s);

	s = open_ok(dir);
	struct site *site = NULL;
	assert_int_equal(store_load_site(s, &key, &site, &err), 0);
	assert_string_equal(site_extension_find(site, SPAN_LIT("201"))->row.name, "Bea");
	assert_int_equal(site_device_count(site), 1);
	assert_true(site_device_by_id(site, id)->has_secret);
	site_unref(site);
	struct site_change g = {.kind = CHANGE_EXTENSION_GONE, .if_revision = UINT64_MAX};
	strcpy(g.extension.row.number, "201");
	assert_int_equal(store_change(s, &g, 5, &err), CHANGE_OK);
	assert_int_equal(store_change(s, &g, 5, &err), CHANGE_MISSING);
	c = extension_change("201", "New", 0);
	assert_int_equal(store_change(s, &c, 5, &err), CHANGE_OK);
	strcpy(d.device.row.mac, "0004f2000002");
	d.device.row.id = 0;
	assert_int_equal(store_change(s, &d, 5, &err), CHANGE_OK);
	/* an id is never given twice: the secrets are derived from it */
	assert_true(d.device.row.id > id);
	store_close(s);
	assert_int_equal(number_of(dir, "strowger.db", "SELECT count(*) FROM audit WHERE actor <> ''"), 3);
	assert_int_equal(number_of(dir, "strowger.db", "SELECT count(*) FROM audit"), 7);
	gone(dir);
}

static void a_secret_needs_its_key(void **state)
{
	(void)state;
	char dir[64];
	struct store_error err;
	fresh(dir);
	struct store *s = open_ok(dir);
	struct site_change c = extension_change("201", "Ann", 0);
	unsigned char ha1s[48] = {7};
	const unsigned char nonce[12] = {9};
	struct text t = TEXT_ARRAY(c.extension.row.pin_sealed);
	assert_int_equal(seal(&key, "pin", span_mem(ha1s, 48), nonce, &t), 0);
	assert_true(text_end(&t));
	assert_int_equal(store_change(s, &c, 5, &err), CHANGE_OK);
	struct site *site = NULL;
	assert_int_equal(store_load_site(s, &key, &site, &err), 0);
	assert_true(site_extension_find(site, SPAN_LIT("201"))->has_pin);
	site_unref(site);
	static const struct site_key other = {{8}};
	assert_int_equal(store_load_site(s, &other, &site, &err), -1);
	assert_non_null(strstr(err.text, "key"));
	store_close(s);
	assert_int_equal(number_of(dir, "strowger.db", "SELECT count(*) FROM audit WHERE value LIKE '%sealed%'"), 0);
	gone(dir);
}

static void cdrs_come_back_newest_first(void **state)
{
	(void)state;
	char dir[64], *json = NULL;
	size_t n = 0;
	fresh(dir);
	struct store *s = open_ok(dir);
	watch(s);
	struct cdr_row r = cdr("b-1-0", false);
	assert_int_equal(store_put_cdr(s, 1, &r), 0);
	assert_true(wait_for(&seen.ok, 1));
	r = cdr("b-2-0", false);
	assert_int_equal(store_put_cdr(s, 2, &r), 0);
	r = cdr("b-2-0", true);
	assert_int_equal(store_put_cdr(s, 3, &r), 0);
	assert_true(wait_for(&seen.ok, 3));
	assert_int_equal(atomic_load(&seen.failed), 0);
	/* the second row came in one batch: opened and closed by one statement */
	assert_int_equal(store_stats_of(s).cdr_written, 2);
	assert_int_equal(store_read_cdrs(s, 10, SPAN_NONE, &json, &n), 0);
	char *z = strndup(json, n);
	char *two = strstr(z, "b-2-0"), *one = strstr(z, "b-1-0");
	assert_true(two && one && two < one);
	assert_non_null(strstr(z, "\"caller\":\"\\\"x\\\"\""));
	assert_non_null(strstr(z, "\"closed\":1"));
	free(z);
	free(json);
	assert_int_equal(store_read_cdrs(s, 10, SPAN_LIT("999"), &json, &n), 0);
	assert_int_equal(n, 0);
	free(json);
	assert_int_equal(store_close_open_cdrs(s, 99), 1);
	assert_int_equal(store_close_open_cdrs(s, 99), 0);
	store_close(s);
	assert_int_equal(number_of(dir, "strowger.db", "SELECT cause FROM cdr WHERE id = 'b-1-0'"), CDR_INTERRUPTED);
	assert_int_equal(number_of(dir, "strowger.db", "SELECT cause FROM cdr WHERE id = 'b-2-0'"), CDR_NORMAL);
	gone(dir);
}

static struct binding_row got;
static unsigned n_got;
static void each_binding(void *ctx, const struct binding_row *b)
{
	(void)ctx;
	got = *b;
	n_got++;
}

static void registrations_are_restored(void **state)
{
	(void)state;
	char dir[64];
	fresh(dir);
	struct store *s = open_ok(dir);
	struct binding_row b = {.extension = "201", .contact = "sip:201@192.0.2.1", .call_id = "cc", .cseq = 4000000000u, .device_id = 3,
				.expires_wall_ms = 5000, .registered_wall_ms = 10};
	b.flow.transport = SIP_TCP;
	b.flow.listener = 2;
	assert_int_equal(addr_parse(SPAN_LIT("2001:db8::7"), 5062, &b.flow.remote), 0);
	assert_int_equal(addr_parse(SPAN_LIT("192.0.2.9"), 5060, &b.flow.local), 0);
	assert_int_equal(store_put_binding(s, &b), 0);
	struct binding_row old = b;
	strcpy(old.contact, "sip:old");
	old.expires_wall_ms = 100;
	assert_int_equal(store_put_binding(s, &old), 0);
	struct binding_row dropped = b;
	strcpy(dropped.contact, "sip:dropped");
	assert_int_equal(store_put_binding(s, &dropped), 0);
	assert_int_equal(store_drop_binding(s, &dropped), 0);
	store_close(s); /* drains */
	s = open_ok(dir);
	n_got = 0;
	assert_int_equal(store_load_bindings(s, 1000, each_binding, NULL), 0);
	assert_int_equal(n_got, 1);
	assert_string_equal(got.contact, b.contact);
	assert_true(addr_eq(&got.flow.remote, &b.flow.remote) && addr_eq(&got.flow.local, &b.flow.local));
	assert_int_equal(got.flow.transport, SIP_TCP);
	assert_int_equal(got.cseq, b.cseq);
	assert_int_equal(got.device_id, 3);
	store_close(s);
	gone(dir);
}

/* What was confirmed is there after the process was killed; a torn end of the log takes nothing confirmed before it. */
static void a_kill_loses_nothing_confirmed(void **state)
{
	(void)state;
	char dir[64], path[128];
	int pipefd[2];
	unsigned confirmed = 0;
	fresh(dir);
	assert_int_equal(pipe(pipefd), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct store_error err;
		struct store *s = store_open(dir, &key, NULL, &err);
		for (int i = 0; s; i++) {
			char number[12];
			snprintf(number, sizeof number, "%d", 1000 + i);
			struct site_change c = extension_change(number, "k", 0);
			struct cdr_row r = cdr(number, false);
			(void)store_put_cdr(s, (uint64_t)i, &r);
			if (store_change(s, &c, 1, &err) != CHANGE_OK || write(pipefd[1], "x", 1) != 1)
				break;
		}
		_exit(1);
	}
	close(pipefd[1]);
	char b;
	while (confirmed < 100 && read(pipefd[0], &b, 1) == 1)
		confirmed++;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (read(pipefd[0], &b, 1) == 1)
		confirmed++;
	close(pipefd[0]);
	assert_true(confirmed >= 100);
	/* as if the machine had stopped while it wrote the next frame */
	snprintf(path, sizeof path, "%s/strowger.db-wal", dir);
	int fd = open(path, O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "torn frame torn frame torn frame", 32), 32);
	close(fd);
	struct store *s = open_ok(dir);
	struct site *site = NULL;
	struct store_error err;
	assert_int_equal(store_load_site(s, &key, &site, &err), 0);
	assert_true(site_extension_count(site) >= confirmed && site_extension_count(site) <= confirmed + 1);
	/* each change committed the row queued before it */
	assert_true(store_close_open_cdrs(s, 5) >= (int)confirmed);
	site_unref(site);
	store_close(s);
	gone(dir);
}

static void a_newer_version_is_left_alone(void **state)
{
	(void)state;
	char dir[64], path[128];
	struct store_error err;
	struct stat before, after;
	fresh(dir);
	store_close(open_ok(dir));
	run_sql(dir, "strowger.db", "INSERT INTO migrations VALUES ('entities', 999, 0)");
	snprintf(path, sizeof path, "%s/strowger.db", dir);
	assert_int_equal(stat(path, &before), 0);
	assert_null(store_open(dir, &key, NULL, &err));
	assert_non_null(strstr(err.text, "newer version"));
	assert_non_null(strstr(err.text, path));
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	gone(dir);
}

static void damage_is_told(void **state)
{
	(void)state;
	char dir[64], path[128];
	struct store_error err;
	fresh(dir);
	struct store *s = open_ok(dir);
	struct site_change c = extension_change("201", "Ann", 0);
	assert_int_equal(store_change(s, &c, 5, &err), CHANGE_OK);
	store_close(s);
	snprintf(path, sizeof path, "%s/strowger.db", dir);
	assert_true(store_file_is_sound(path));
	int fd = open(path, O_WRONLY);
	char junk[4096];
	memset(junk, 0xa5, sizeof junk);
	struct stat sb;
	fstat(fd, &sb);
	for (off_t at = 4096; at < sb.st_size; at += 4096)
		assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
	close(fd);
	assert_false(store_file_is_sound(path));
	assert_null(store_open(dir, &key, NULL, &err));
	assert_non_null(strstr(err.text, "damaged"));
	gone(dir);
	/* registrations come back by themselves: their damage does not stop the switch */
	fresh(dir);
	store_close(open_ok(dir));
	snprintf(path, sizeof path, "%s/registrations.db", dir);
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, junk, sizeof junk), sizeof junk);
	close(fd);
	store_close(open_ok(dir));
	gone(dir);
}

/* As another user where the tests run as root: root writes everywhere. */
static void a_read_only_folder_is_told(void **state)
{
	(void)state;
	char dir[64];
	fresh(dir);
	store_close(open_ok(dir));
	chmod(dir, 0555);
	pid_t pid = fork();
	if (pid == 0) {
		struct store_error err;
		if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(2);
		struct store *s = store_open(dir, &key, NULL, &err);
		_exit(!s && strstr(err.text, "writable") && strstr(err.text, dir) ? 0 : 1);
	}
	int status;
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	chmod(dir, 0755);
	char missing[96];
	struct store_error err;
	snprintf(missing, sizeof missing, "%s/nowhere", dir);
	assert_null(store_open(missing, &key, NULL, &err));
	assert_non_null(strstr(err.text, "exists"));
	gone(dir);
}

/* Full: rows are refused by their completion, changes by their answer; with room again all goes on. */
static void a_full_disk_is_survived(void **state)
{
	(void)state;
	char dir[64];
	fresh(dir);
	pid_t pid = fork();
	if (pid == 0) {
		struct store_error err;
		struct rlimit full = {1, RLIM_INFINITY}, room = {RLIM_INFINITY, RLIM_INFINITY};
		signal(SIGXFSZ, SIG_IGN);
		struct store *s = store_open(dir, &key, NULL, &err);
		if (!s)
			_exit(10);
		watch(s);
		setrlimit(RLIMIT_FSIZE, &full);
		struct cdr_row r = cdr("full", true);
		if (store_put_cdr(s, 1, &r) != 0 || !wait_for(&seen.failed, 1))
			_exit(11);
		struct site_change c = extension_change("201", "Ann", 0);
		if (store_change(s, &c, 5, &err) != CHANGE_STORE_FAILED || !strstr(err.text, "free space"))
			_exit(12);
		struct binding_row b = {.extension = "201", .contact = "sip:x", .expires_wall_ms = 5000};
		if (store_put_binding(s, &b) != 0)
			_exit(13);
		wait_ms(500);
		setrlimit(RLIMIT_FSIZE, &room);
		if (store_put_cdr(s, 2, &r) != 0 || !wait_for(&seen.ok, 1))
			_exit(14);
		c = extension_change("201", "Ann", 0);
		if (store_change(s, &c, 5, &err) != CHANGE_OK)
			_exit(15);
		store_close(s);
		s = store_open(dir, &key, NULL, &err);
		n_got = 0;
		if (!s || store_load_bindings(s, 0, each_binding, NULL) != 0 || n_got != 1)
			_exit(16);
		store_close(s);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	gone(dir);
}

static void a_full_queue_says_so(void **state)
{
	(void)state;
	char dir[64];
	fresh(dir);
	struct store *s = open_ok(dir);
	watch(s);
	unsigned taken = 0, refused = 0;
	struct timespec a, z;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (int i = 0; i < 20000; i++) {
		char id[24];
		snprintf(id, sizeof id, "q-%d-%d", i / 2, i % 2);
		struct cdr_row r = cdr(id, true);
		if (store_put_cdr(s, (uint64_t)i, &r) == 0)
			taken++;
		else
			refused++;
	}
	assert_true(wait_for(&seen.ok, taken));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &z);
	printf("# %u rows, %u refused: %.1f us of CPU per row\n", taken, refused,
	       ((double)(z.tv_sec - a.tv_sec) * 1e6 + (double)(z.tv_nsec - a.tv_nsec) / 1e3) / taken);
	assert_true(refused > 0);
	assert_int_equal(store_stats_of(s).queued, 0);
	store_close(s);
	assert_int_equal(number_of(dir, "strowger.db", "SELECT count(*) FROM cdr"), taken);
	gone(dir);
}

static struct binding_row numbered_binding(int i)
{
	struct binding_row b = {.extension = "201", .expires_wall_ms = 5000};
	snprintf(b.contact, sizeof b.contact, "sip:201@192.0.2.1:%d", i);
	return b;
}

/* More than a batch at once: all batches but the last are written without waiting for the window of 300 ms. */
static void a_burst_of_registrations_is_not_paced(void **state)
{
	(void)state;
	enum { BURST = 15 * 1024 };
	char dir[64];
	fresh(dir);
	struct store *s = open_ok(dir);
	struct timespec a, z;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0, tries = 0; i < BURST && tries < 20000; tries++) {
		struct binding_row b = numbered_binding(i);
		if (store_put_binding(s, &b) == 0)
			i++;
		else
			wait_ms(1);
	}
	for (int i = 0; i < 1000 && store_stats_of(s).bindings_written < BURST; i++)
		wait_ms(10);
	clock_gettime(CLOCK_MONOTONIC, &z);
	assert_int_equal(store_stats_of(s).bindings_written, BURST);
	double seconds = (double)(z.tv_sec - a.tv_sec) + (double)(z.tv_nsec - a.tv_nsec) / 1e9;
	printf("# %d registrations in %.2f s\n", BURST, seconds);
	assert_true(seconds < 3); /* at a batch a window it takes 4.2 s */
	store_close(s);
	gone(dir);
}

static void closing_writes_a_full_queue(void **state)
{
	(void)state;
	char dir[64];
	fresh(dir);
	struct store *s = open_ok(dir);
	int taken = 0;
	for (int i = 0; i < 20000; i++) {
		struct binding_row b = numbered_binding(i);
		taken += store_put_binding(s, &b) == 0;
	}
	store_close(s);
	assert_true(taken >= 4096);
	assert_int_equal(number_of(dir, "registrations.db", "SELECT count(*) FROM binding"), taken);
	gone(dir);
}

static const struct test_case cases[] = {
	CASE(changes_are_kept_and_checked, ""),
	CASE(a_secret_needs_its_key, "G112"),
	CASE(cdrs_come_back_newest_first, ""),
	CASE(registrations_are_restored, ""),
	CASE(a_kill_loses_nothing_confirmed, ""),
	CASE(a_newer_version_is_left_alone, ""),
	CASE(damage_is_told, ""),
	CASE(a_read_only_folder_is_told, ""),
	CASE(a_full_disk_is_survived, ""),
	CASE(a_full_queue_says_so, ""),
	CASE(a_burst_of_registrations_is_not_paced, ""),
	CASE(closing_writes_a_full_queue, ""),
};
TEST_MAIN("store", cases)

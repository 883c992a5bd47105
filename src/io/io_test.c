#include "tests/harness/harness.h"
#include "base/assert.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/log_out.h"
#include "io/loop.h"
#include "io/random.h"
#include "io/ring.h"
#include "io/sock.h"
#include "io/tcp.h"
#include "io/thread.h"
#include "io/udp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct addr at(const char *ip, uint16_t port)
{
	struct addr a;
	assert_int_equal(addr_parse(span_z(ip), port, &a), 0);
	return a;
}

/* ---- ring ---- */

struct item {
	uint32_t writer, number;
	uint64_t pad[5];
};
enum { WRITERS = 4, PER_WRITER = 20000 };

struct writer {
	struct ring *ring;
	uint32_t id;
};

static void *write_items(void *arg)
{
	struct writer *w = arg;
	for (uint32_t i = 0; i < PER_WRITER; i++) {
		struct item it = {w->id, i, {i, i, i, i, i ^ w->id}};
		while (!ring_push(w->ring, &it))
			thread_sleep_us(50);
	}
	return NULL;
}

struct woken {
	struct loop_fd f;
	bool ready;
};

static void on_wake(struct loop_fd *f, uint32_t events)
{
	(void)events;
	CONTAINER_OF(f, struct woken, f)->ready = true;
}

/* Four writers, a small ring, a reader that sleeps: nothing is lost, torn or out of order, and no wake-up is missed. */
static void ring_many_writers(void **state)
{
	(void)state;
	struct waker wk;
	struct ring r;
	struct loop l;
	assert_int_equal(waker_init(&wk), 0);
	assert_int_equal(ring_init(&r, sizeof(struct item), 60, &wk), 0);
	assert_int_equal(loop_init(&l), 0);
	struct woken w = {{wk.fd, on_wake}, false};
	assert_int_equal(loop_add(&l, &w.f, EPOLLIN), 0);
	pthread_t t[WRITERS];
	struct writer ws[WRITERS];
	for (uint32_t i = 0; i < WRITERS; i++) {
		ws[i] = (struct writer){&r, i};
		assert_int_equal(thread_start(&t[i], "writer", write_items, &ws[i]), 0);
	}
	uint32_t next[WRITERS] = {0}, got = 0;
	while (got < WRITERS * PER_WRITER) {
		waker_sleep(&wk);
		int64_t began = mono_us();
		loop_turn(&l, ring_empty(&r) ? mono_us() + 5000000 : 0);
		assert_true(mono_us() - began < 4000000);
		waker_awake(&wk, w.ready);
		w.ready = false;
		struct item it;
		while (ring_pop(&r, &it)) {
			assert_true(it.writer < WRITERS);
			assert_int_equal(it.number, next[it.writer]++);
			assert_int_equal(it.pad[4], (uint64_t)(it.number ^ it.writer));
			got++;
		}
	}
	for (uint32_t i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
	loop_close(&l);
	ring_free(&r);
	waker_close(&wk);
}

static void ring_bounds(void **state)
{
	(void)state;
	struct waker wk;
	struct ring r;
	assert_int_equal(waker_init(&wk), 0);
	assert_int_equal(ring_init(&r, 4, 8, &wk), 0);
	uint32_t v;
	for (int round = 0; round < 3; round++) {
		assert_true(ring_empty(&r));
		for (v = 0; v < 8; v++)
			assert_true(ring_push(&r, &v));
		assert_false(ring_push(&r, &v));
		for (uint32_t i = 0; i < 8; i++) {
			assert_true(ring_pop(&r, &v));
			assert_int_equal(v, i);
		}
		assert_false(ring_pop(&r, &v));
	}
	ring_free(&r);
	waker_close(&wk);
}

/* ---- loop ---- */

static void loop_deadline_is_kept(void **state)
{
	(void)state;
	struct loop l;
	assert_int_equal(loop_init(&l), 0);
	int64_t want = mono_us() + 20000;
	assert_int_equal(loop_turn(&l, want), 0);
	assert_true(l.now_us >= want && l.now_us < want + 500000);
	assert_int_equal(loop_turn(&l, 0), 0);
	loop_close(&l);
}

struct pair_watch {
	struct loop_fd f;
	struct loop *l;
	struct pair_watch *other;
	int ran;
};

static void remove_both(struct loop_fd *f, uint32_t events)
{
	(void)events;
	struct pair_watch *w = CONTAINER_OF(f, struct pair_watch, f);
	w->ran++;
	loop_remove(w->l, &w->f);
	loop_remove(w->l, &w->other->f);
}

/* A callback that removes another ready watch: the removed one is not called any more. */
static void loop_remove_in_batch(void **state)
{
	(void)state;
	struct loop l;
	int a[2], b[2];
	assert_int_equal(loop_init(&l), 0);
	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	struct pair_watch x = {{a[0], remove_both}, &l, NULL, 0}, y = {{b[0], remove_both}, &l, &x, 0};
	x.other = &y;
	assert_int_equal(loop_add(&l, &x.f, EPOLLIN), 0);
	assert_int_equal(loop_add(&l, &y.f, EPOLLIN), 0);
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	assert_int_equal(loop_turn(&l, mono_us() + 1000000), 1);
	assert_int_equal(x.ran + y.ran, 1);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
	loop_close(&l);
}

/* ---- udp ---- */

struct seen {
	struct addr from, to;
	char last[64];
	int n;
};

static void note(void *ctx, const struct addr *from, const struct addr *to, struct span b)
{
	struct seen *s = ctx;
	s->from = *from;
	s->to = *to;
	s->n++;
	span_copyz(b, s->last, sizeof s->last);
}

static int drain(struct udp *u, struct seen *s)
{
	for (int i = 0; i < 200; i++) {
		int n = udp_recv(u, note, s);
		if (n != 0)
			return n;
		thread_sleep_us(1000);
	}
	return 0;
}

/* 150 datagrams leave in three system calls and arrive in order. */
static void udp_batches(void **state)
{
	(void)state;
	struct addr any_port = at("127.0.0.1", 0), none = {0};
	struct udp *a = udp_open(&any_port, 1 << 20), *b = udp_open(&any_port, 1 << 20);
	assert_non_null(a);
	assert_non_null(b);
	struct addr to = udp_local(b);
	char text[16];
	for (int i = 0; i < 150; i++) {
		snprintf(text, sizeof text, "m%d", i);
		assert_int_equal(udp_send(a, &to, &none, span_z(text)), 0);
	}
	udp_flush(a);
	struct seen s = {0};
	while (s.n < 150 && drain(b, &s) > 0)
		;
	assert_int_equal(s.n, 150);
	assert_string_equal(s.last, "m149");
	struct addr from = udp_local(a);
	assert_true(addr_eq(&s.from, &from));
	assert_int_equal(udp_counts(a).tx_calls, 3);
	assert_true(udp_counts(b).rx_calls <= 6);
	struct addr v6 = at("::1", 9);
	assert_int_equal(udp_send(a, &v6, &none, SPAN_LIT("x")), -1);
	udp_close(a);
	udp_close(b);
}

/* A wildcard socket tells which address was called, and answers leave from it. */
static void udp_wildcard_answers_from_called_address(void **state)
{
	(void)state;
	struct addr any = at("0.0.0.0", 0), me = at("127.0.0.1", 0), none = {0};
	struct udp *srv = udp_open(&any, 1 << 16), *cli = udp_open(&me, 1 << 16);
	assert_non_null(srv);
	assert_non_null(cli);
	struct addr called = at("127.0.0.5", udp_local(srv).port);
	assert_int_equal(udp_send(cli, &called, &none, SPAN_LIT("hello")), 0);
	udp_flush(cli);
	struct seen s = {0};
	assert_int_equal(drain(srv, &s), 1);
	assert_true(addr_eq(&s.to, &called));
	assert_int_equal(udp_send(srv, &s.from, &s.to, SPAN_LIT("back")), 0);
	udp_flush(srv);
	assert_int_equal(drain(cli, &s), 1);
	assert_true(addr_eq(&s.from, &called));
	udp_close(srv);
	udp_close(cli);
}

static void udp_too_long_is_dropped(void **state)
{
	(void)state;
	struct addr me = at("::1", 0), none = {0};
	struct udp *a = udp_open(&me, 1 << 18), *b = udp_open(&me, 1 << 18);
	if (!a || !b) { /* no IPv6 here: the same with IPv4 */
		me = at("127.0.0.1", 0);
		a = udp_open(&me, 1 << 18);
		b = udp_open(&me, 1 << 18);
	}
	assert_non_null(a);
	assert_non_null(b);
	static char big[UDP_DATAGRAM_MAX + 1];
	struct addr to = udp_local(b);
	assert_int_equal(udp_send(a, &to, &none, span_mem(big, sizeof big)), 0);
	assert_int_equal(udp_send(a, &to, &none, SPAN_LIT("after")), 0);
	udp_flush(a);
	struct seen s = {0};
	while (s.n < 1 && drain(b, &s) > 0)
		;
	assert_int_equal(s.n, 1);
	assert_string_equal(s.last, "after");
	assert_int_equal(udp_counts(b).rx_too_long, 1);
	udp_close(a);
	udp_close(b);
}

/* ---- tcp ---- */

static void tcp_connect_and_refuse(void **state)
{
	(void)state;
	struct addr me = at("127.0.0.1", 0), remote, local, none = {0};
	int ls = tcp_listen(&me, 8);
	assert_true(ls >= 0);
	struct addr there = tcp_local(ls);
	errno = 0;
	assert_int_equal(tcp_accept(ls, &remote, &local), -1);
	assert_int_equal(errno, EAGAIN);
	struct addr from = at("127.0.0.9", 4);
	int c = tcp_connect(&there, &from);
	assert_true(c >= 0);
	int s = -1;
	for (int i = 0; i < 200 && s < 0; i++) {
		s = tcp_accept(ls, &remote, &local);
		if (s < 0)
			thread_sleep_us(1000);
	}
	assert_true(s >= 0);
	assert_int_equal(tcp_error(c), 0);
	assert_true(addr_same_ip(&remote, &from));
	assert_true(addr_eq(&local, &there));
	assert_int_equal(tcp_listen(&there, 8), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(s);
	close(c);
	close(ls);
	c = tcp_connect(&there, &none);
	if (c >= 0) {
		thread_sleep_us(20000);
		assert_int_equal(tcp_error(c), ECONNREFUSED);
		close(c);
	}
}

/* ---- file ---- */

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/io_test.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static void file_write_and_read(void **state)
{
	make_dir(state);
	const char *p = in_dir("f");
	char *mem;
	size_t n;
	struct stat st;
	assert_int_equal(file_write(p, SPAN_LIT("one"), true), 0);
	assert_int_equal(file_write(p, SPAN_LIT("two two"), false), 0);
	assert_int_equal(file_read(p, 7, &mem, &n), 0);
	assert_int_equal(n, 7);
	assert_string_equal(mem, "two two");
	free(mem);
	assert_int_equal(file_read(p, 6, &mem, &n), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(stat(p, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(file_mkdir(p), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(file_write(in_dir("none/f"), SPAN_LIT("x"), true), -1);
	unlink(in_dir("f"));
	assert_int_equal(rmdir(dir), 0); /* no temporary file was left behind */
}

static void file_lock_excludes(void **state)
{
	make_dir(state);
	const char *p = in_dir("lock");
	int fd = file_lock(p);
	assert_true(fd >= 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(file_lock(p) == -1 && errno == EWOULDBLOCK ? 7 : 1);
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	close(fd);
	fd = file_lock(p);
	assert_true(fd >= 0);
	close(fd);
	unlink(p);
	rmdir(dir);
}

static void unix_socket_mode(void **state)
{
	make_dir(state);
	const char *p = in_dir("s.sock");
	struct stat st;
	int fd = unix_listen(p, 4);
	assert_true(fd >= 0);
	assert_int_equal(stat(p, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	close(fd);
	fd = unix_listen(p, 4); /* what a crash left behind is replaced */
	assert_true(fd >= 0);
	close(fd);
	unlink(p);
	rmdir(dir);
}

static size_t size_of(const char *p)
{
	struct stat st;
	assert_int_equal(stat(p, &st), 0);
	return (size_t)st.st_size;
}

static void lines_are_held_for_a_turn(void **state)
{
	make_dir(state);
	const char *p = in_dir("log");
	char text[128];
	struct log_sink *l = log_to_file(p, 0);
	assert_non_null(l);
	log_event(l, LOG_INFO, "a.b", LOG_I("n", 1));
	size_t one = size_of(p);
	assert_true(one > 0);
	log_hold();
	log_event(l, LOG_INFO, "a.b", LOG_I("n", 2));
	log_event(l, LOG_INFO, "a.b", LOG_I("n", 3));
	assert_int_equal(size_of(p), one);
	log_release();
	assert_int_equal(size_of(p), 3 * one);
	log_event(l, LOG_INFO, "a.b", LOG_I("n", 4));
	log_event(l, LOG_WARN, "a.b", LOG_I("n", 5));
	assert_int_equal(size_of(p), 5 * one);
	for (size_t held = 0; held <= LOG_HELD_MAX; held += one)
		log_event(l, LOG_INFO, "a.b", LOG_I("n", 6));
	size_t now = size_of(p);
	assert_true(now > 5 * one && now % one == 0);
	log_hold_end();
	log_event(l, LOG_INFO, "a.b", LOG_I("n", 7));
	assert_int_equal(size_of(p), 5 * one + (LOG_HELD_MAX / one + 2) * one);
	FILE *f = fopen(p, "r");
	for (int i = 1; i <= 6; i++) {
		char want[16];
		snprintf(want, sizeof want, "n=%d\n", i);
		assert_non_null(fgets(text, sizeof text, f));
		assert_non_null(strstr(text, want));
	}
	fclose(f);
	assert_int_equal(log_file_dropped(l), 0);
	log_file_close(l);
	unlink(p);
	rmdir(dir);
}

static void misc(void **state)
{
	(void)state;
	unsigned char a[32] = {0}, b[32] = {0};
	random_bytes(a, sizeof a);
	random_bytes(b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
	assert_true(thread_cores() >= 1);
	int64_t m = mono_us();
	assert_true(mono_us() >= m && wall_us() > 1600000000ll * 1000000);
	struct addr p = sock_primary_addr(4), any = at("::", 0);
	assert_int_equal(p.family, 4);
	assert_false(sock_is_any(&p));
	assert_true(sock_is_any(&any));
	struct sockaddr_storage ss;
	struct addr six = at("2001:db8::7", 99);
	assert_true(sock_from_addr(&six, &ss) > 0);
	struct addr back = sock_to_addr(&ss), mapped = at("::ffff:127.0.0.1", 5);
	assert_true(addr_eq(&back, &six));
	sock_from_addr(&mapped, &ss);
	back = sock_to_addr(&ss);
	struct addr four = at("127.0.0.1", 5);
	assert_true(addr_eq(&back, &four));
}

static const struct test_case cases[] = {
	CASE(ring_many_writers, ""), CASE(ring_bounds, ""), CASE(loop_deadline_is_kept, ""), CASE(loop_remove_in_batch, ""),
	CASE(udp_batches, ""), CASE(udp_wildcard_answers_from_called_address, ""), CASE(udp_too_long_is_dropped, ""),
	CASE(tcp_connect_and_refuse, ""), CASE(file_write_and_read, ""), CASE(file_lock_excludes, ""), CASE(unix_socket_mode, ""),
	CASE(lines_are_held_for_a_turn, ""), CASE(misc, ""),
};
TEST_MAIN("io", cases)

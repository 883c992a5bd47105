#include "tests/harness/harness.h"
#include "base/assert.h"
#include "edge/http_request.h"
#include "edge/sip_tcp.h"
#include "io/clock.h"
#include "io/tcp.h"
#include "io/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- HTTP targets ---- */

static void target(const char *uri, const char *path, const char *query, int bad)
{
	struct http_target t;
	http_target_parse(&t, span_z(uri));
	assert_int_equal(t.bad, bad);
	assert_true(span_eqz(t.path, path));
	assert_true(span_eqz(t.query, query));
}

static void http_targets(void **state)
{
	(void)state;
	target("/0004f2aabbcc.cfg", "/0004f2aabbcc.cfg", "", 0);
	target("/a%20b%2Fc?x=%20&y", "/a b/c", "x=%20&y", 0);
	target("/a??b?", "/a", "?b?", 0);
	target("http://10.0.0.1:8080/x?y", "/x", "y", 0);
	target("http://10.0.0.1", "/", "", 0);
	target("*", "", "", 400);
	target("", "", "", 400);
	target("/%00", "", "", 400);
	target("/%0d%0a", "", "", 400);
	target("/%4", "", "", 400);
	target("/%", "", "", 400);
	target("/%g0", "", "", 400);
	char longest[HTTP_MAX_URI + 2];
	memset(longest, 'a', sizeof longest);
	longest[0] = '/';
	longest[HTTP_MAX_URI + 1] = '\0';
	target(longest, "", "", 414);
	longest[HTTP_MAX_URI] = '\0';
	target(longest, longest, "", 0);
}

/* ---- SIP over TCP ---- */

struct rig {
	struct sip_tcp *t;
	struct waker w;
	struct addr at;
};

static void rig_up(struct rig *r, struct sip_tcp_opts o)
{
	struct addr any_port;
	assert_int_equal(addr_parse(SPAN_LIT("127.0.0.1"), 0, &any_port), 0);
	int probe = tcp_listen(&any_port, 1);
	r->at = tcp_local(probe);
	close(probe);
	assert_int_equal(waker_init(&r->w), 0);
	o.waker = &r->w;
	r->t = sip_tcp_new(&o);
	assert_non_null(r->t);
	assert_int_equal(sip_tcp_listen(r->t, 3, &r->at), 0);
	assert_int_equal(sip_tcp_start(r->t), 0);
}

static void rig_down(struct rig *r)
{
	sip_tcp_free(r->t);
	waker_close(&r->w);
}

static int call_in(struct rig *r)
{
	struct timeval tv = {5, 0};
	int fd = tcp_connect(&r->at, &(struct addr){0});
	assert_true(fd >= 0);
	thread_sleep_us(2000); /* loopback: connected by now */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
	return fd;
}

static bool next_in(struct rig *r, struct sip_tcp_in *in)
{
	for (int i = 0; i < 3000; i++) {
		if (sip_tcp_next(r->t, in))
			return true;
		thread_sleep_us(1000);
	}
	return false;
}

static bool hears_close(int fd)
{
	char b[4096];
	for (int i = 0; i < 3000; i++) {
		ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return true;
		if (n < 0)
			thread_sleep_us(1000);
	}
	return false;
}

static const char msg[] = "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x>\r\n"
			  "Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 4\r\n\r\nbody";

static void say(int fd, const char *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* A message in pieces arrives whole, with its listener and number; answers find the same connection; its end is told. */
static void tcp_message_answer_close(void **state)
{
	(void)state;
	struct rig r;
	struct sip_tcp_in in;
	char b[64];
	rig_up(&r, (struct sip_tcp_opts){0});
	int fd = call_in(&r);
	for (size_t i = 0; i < sizeof msg - 1; i++)
		say(fd, msg + i, 1);
	assert_true(next_in(&r, &in));
	assert_int_equal(in.n, sizeof msg - 1);
	assert_memory_equal(in.mem, msg, in.n);
	assert_int_equal(in.flow.listener, 3);
	assert_int_not_equal(in.flow.conn, 0);
	struct sip_flow flow = in.flow;
	sip_tcp_done(r.t, &in);
	assert_true(sip_tcp_send(r.t, &flow, SPAN_LIT("answer")));
	sip_tcp_flush(r.t);
	for (int i = 0; i < 3000 && recv(fd, b, sizeof b, MSG_PEEK | MSG_DONTWAIT) < 6; i++)
		thread_sleep_us(1000);
	assert_int_equal(recv(fd, b, sizeof b, 0), 6);
	/* conn 0 means: whichever connection there is to that address */
	struct sip_flow by_addr = flow;
	by_addr.conn = 0;
	assert_true(sip_tcp_send(r.t, &by_addr, SPAN_LIT("again")));
	sip_tcp_flush(r.t);
	for (int i = 0; i < 3000 && recv(fd, b, sizeof b, MSG_PEEK | MSG_DONTWAIT) < 5; i++)
		thread_sleep_us(1000);
	assert_int_equal(recv(fd, b, sizeof b, 0), 5);
	close(fd);
	assert_true(next_in(&r, &in));
	assert_null(in.mem);
	assert_int_equal(in.flow.conn, flow.conn);
	/* to a connection that is gone: told once more */
	assert_true(sip_tcp_send(r.t, &flow, SPAN_LIT("late")));
	sip_tcp_flush(r.t);
	assert_true(next_in(&r, &in));
	assert_null(in.mem);
	assert_int_equal(in.flow.conn, flow.conn);
	rig_down(&r);
}

/* Without a connection one is made, and messages that come back on it carry its number; where nobody listens the end is told. */
static void tcp_connect_on_demand(void **state)
{
	(void)state;
	struct rig r;
	struct sip_tcp_in in;
	struct addr me, remote, local;
	rig_up(&r, (struct sip_tcp_opts){0});
	assert_int_equal(addr_parse(SPAN_LIT("127.0.0.1"), 0, &me), 0);
	int phone = tcp_listen(&me, 4), fd = -1;
	struct sip_flow to = {.transport = SIP_TCP, .listener = 3, .remote = tcp_local(phone), .local = r.at};
	assert_true(sip_tcp_send(r.t, &to, SPAN_LIT("one")));
	assert_true(sip_tcp_send(r.t, &to, SPAN_LIT("two")));
	sip_tcp_flush(r.t);
	for (int i = 0; i < 3000 && fd < 0; i++) {
		fd = tcp_accept(phone, &remote, &local);
		thread_sleep_us(1000);
	}
	assert_true(fd >= 0);
	char b[16] = {0};
	for (int i = 0; i < 3000 && recv(fd, b, sizeof b, MSG_PEEK | MSG_DONTWAIT) < 6; i++)
		thread_sleep_us(1000);
	assert_int_equal(recv(fd, b, sizeof b, 0), 6);
	assert_memory_equal(b, "onetwo", 6);
	say(fd, msg, sizeof msg - 1);
	assert_true(next_in(&r, &in));
	assert_int_not_equal(in.flow.conn, 0);
	assert_true(addr_eq(&in.flow.remote, &to.remote));
	sip_tcp_done(r.t, &in);
	close(fd);
	close(phone);
	assert_true(next_in(&r, &in));
	assert_null(in.mem);
	assert_true(sip_tcp_send(r.t, &to, SPAN_LIT("nobody")));
	sip_tcp_flush(r.t);
	assert_true(next_in(&r, &in));
	assert_null(in.mem);
	assert_true(addr_eq(&in.flow.remote, &to.remote));
	rig_down(&r);
}

/* Half a message, no message at all, only pings: each ends by its own limit. A proven connection outlives them. */
static void tcp_time_limits(void **state)
{
	(void)state;
	struct rig r;
	struct sip_tcp_in in;
	rig_up(&r, (struct sip_tcp_opts){.first_message_us = 300000, .rest_of_message_us = 200000, .idle_us = 60000000});
	int silent = call_in(&r), pings = call_in(&r), half = call_in(&r), good = call_in(&r);
	say(good, msg, sizeof msg - 1);
	assert_true(next_in(&r, &in));
	sip_tcp_done(r.t, &in);
	say(half, msg, sizeof msg - 1);
	assert_true(next_in(&r, &in));
	sip_tcp_done(r.t, &in);
	say(half, msg, 40);
	say(pings, "\r\n\r\n", 4);
	assert_true(hears_close(silent));
	assert_true(hears_close(pings));
	assert_true(hears_close(half));
	say(good, msg, sizeof msg - 1);
	assert_true(next_in(&r, &in)); /* the close of `half`; of the two others the cell never heard */
	assert_null(in.mem);
	assert_true(next_in(&r, &in));
	assert_non_null(in.mem);
	sip_tcp_done(r.t, &in);
	assert_int_equal(sip_tcp_counts(r.t).timed_out, 3);
	close(silent);
	close(pings);
	close(half);
	close(good);
	rig_down(&r);
}

/* A phone that does not read is closed when it owes too much; nothing else suffers. */
static void tcp_slow_reader(void **state)
{
	(void)state;
	struct rig r;
	struct sip_tcp_in in;
	static char big[60000];
	rig_up(&r, (struct sip_tcp_opts){0});
	int fd = call_in(&r);
	say(fd, msg, sizeof msg - 1);
	assert_true(next_in(&r, &in));
	struct sip_flow flow = in.flow;
	sip_tcp_done(r.t, &in);
	bool closed = false;
	for (int i = 0; i < 2000 && !closed; i++) {
		sip_tcp_send(r.t, &flow, span_mem(big, sizeof big));
		sip_tcp_flush(r.t);
		closed = sip_tcp_next(r.t, &in);
		thread_sleep_us(200);
	}
	assert_true(closed);
	assert_null(in.mem);
	assert_int_equal(sip_tcp_counts(r.t).slow_closed, 1);
	close(fd);
	rig_down(&r);
}

/* More messages than the ring holds while the cell sleeps: the socket waits, and in the end every one has come, in order. */
static void tcp_slow_cell(void **state)
{
	(void)state;
	enum { N = 6000 };
	struct rig r;
	struct sip_tcp_in in;
	rig_up(&r, (struct sip_tcp_opts){0});
	int fd = call_in(&r), sent = 0, got = 0;
	size_t at = 0;
	char one[512];
	int len = 0;
	int64_t until = mono_us() + 20000000;
	while (got < N && mono_us() < until) {
		if (sent < N && at == (size_t)len) {
			len = snprintf(one, sizeof one, "OPTIONS sip:x SIP/2.0\r\nCall-ID: %d\r\nContent-Length: 0\r\n\r\n", sent);
			at = 0;
			sent++;
		}
		ssize_t n = at < (size_t)len ? send(fd, one + at, (size_t)len - at, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
		at += n > 0 ? (size_t)n : 0;
		if (sent < 5000 && n > 0)
			continue; /* the cell sleeps */
		while (sip_tcp_next(r.t, &in)) {
			char want[32];
			snprintf(want, sizeof want, "Call-ID: %d\r\n", got++);
			assert_non_null(in.mem);
			assert_true(span_find(span_mem(in.mem, in.n), span_z(want)) > 0);
			sip_tcp_done(r.t, &in);
		}
	}
	assert_int_equal(got, N);
	close(fd);
	rig_down(&r);
}

/* When the table is full of strangers the oldest makes room. */
static void tcp_table_full(void **state)
{
	(void)state;
	struct rig r;
	struct sip_tcp_in in;
	rig_up(&r, (struct sip_tcp_opts){.max_conns = 4});
	int fd[6];
	for (int i = 0; i < 6; i++)
		fd[i] = call_in(&r);
	assert_true(hears_close(fd[0]));
	assert_true(hears_close(fd[1]));
	say(fd[5], msg, sizeof msg - 1);
	assert_true(next_in(&r, &in));
	sip_tcp_done(r.t, &in);
	assert_int_equal(sip_tcp_counts(r.t).open, 4);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
	rig_down(&r);
}

static const struct test_case cases[] = {
	CASE(http_targets, ""), CASE(tcp_message_answer_close, ""), CASE(tcp_connect_on_demand, ""), CASE(tcp_time_limits, ""),
	CASE(tcp_slow_reader, ""), CASE(tcp_slow_cell, ""), CASE(tcp_table_full, ""),
};
TEST_MAIN("edge", cases)

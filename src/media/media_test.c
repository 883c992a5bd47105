#include "harness/harness.h"

#include "media/worker.h"
#include "rtp/rtp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static struct media_event events[64];
static _Atomic unsigned n_events;

static void on_event(void *ctx, const struct media_event *e)
{
	(void)ctx;
	unsigned n = atomic_load(&n_events);
	if (n < COUNT_OF(events))
		events[n] = *e;
	atomic_store(&n_events, n + 1);
}

static bool wait_events(unsigned n)
{
	for (int i = 0; i < 2000 && atomic_load(&n_events) < n; i++)
		usleep(1000);
	return atomic_load(&n_events) >= n;
}

static struct addr local(const char *ip, uint16_t port)
{
	struct addr a;
	assert_int_equal(addr_parse(span_z(ip), port, &a), 0);
	return a;
}

static int phone(const char *ip, struct addr *at)
{
	struct sockaddr_storage ss;
	*at = local(ip, 0);
	int family = at->family == 4 ? AF_INET : AF_INET6;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t n = sockaddr_of(at, family, &ss);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &n), 0);
	addr_of(&ss, at);
	return fd;
}

static void send_rtp(int fd, struct addr to, uint16_t seq, const char *payload)
{
	uint8_t b[100];
	struct sockaddr_storage ss;
	struct rtp h = {.seq = seq, .ts = seq * 160u, .ssrc = 5, .payload = span_z(payload)};
	size_t n = rtp_write(&h, b, sizeof b);
	socklen_t sn = sockaddr_of(&to, to.family == 4 ? AF_INET : AF_INET6, &ss);
	assert_int_equal(sendto(fd, b, n, 0, (struct sockaddr *)&ss, sn), n);
}

/* Payload received within wait_ms, and from where; false: nothing came. */
static bool receive(int fd, int wait_ms, char *payload, size_t cap, struct addr *from)
{
	uint8_t b[2048];
	struct sockaddr_storage ss;
	socklen_t sn = sizeof ss;
	struct rtp h;
	if (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, wait_ms) != 1)
		return false;
	ssize_t n = recvfrom(fd, b, sizeof b, 0, (struct sockaddr *)&ss, &sn);
	addr_of(&ss, from);
	assert_true(n > 0 && rtp_parse(span_mem(b, (size_t)n), &h) == 0);
	assert_true(span_copyz(h.payload, payload, cap));
	return true;
}

/* Ports below the ephemeral range, so that nobody else's outgoing socket holds one; another process may. */
static struct media *start(const char *ip, uint16_t *first)
{
	char err[200] = "";
	atomic_store(&n_events, 0);
	for (unsigned i = 0; i < 50; i++) {
		*first = (uint16_t)(10000 + 100 * (((unsigned)getpid() + i) % 200));
		struct media_opts o = {.addr = local(ip, 0), .port_first = *first, .pairs_per_worker = 4, .workers = 2, .seed = 9, .on_event = on_event};
		struct media *m = media_start(&o, err, sizeof err);
		if (m)
			return m;
	}
	print_message("%s\n", err);
	fail();
	return NULL;
}

static uint64_t seq;
static void command(struct media *m, struct media_cmd c)
{
	c.seq = ++seq;
	media_command(m, &c);
	media_flush(m);
}

static void open_to(struct media *m, media_slot slot, struct addr remote)
{
	command(m, (struct media_cmd){.op = MEDIA_OPEN, .slot = slot, .leg = slot});
	command(m, (struct media_cmd){.op = MEDIA_REMOTE, .slot = slot, .remote = remote, .may_send = true, .may_recv = true, .clock_hz = 8000});
}

static void relay_on(const char *ip)
{
	uint16_t port;
	struct media *m = start(ip, &port);
	struct addr a, b, base, from, x;
	media_slot first;
	uint32_t n;
	char got[64];
	media_slots(m, 1, &first, &n, &base);
	assert_int_equal(first, 1u << 16);
	assert_int_equal(n, 4);
	assert_int_equal(base.port, port + 8);
	int fa = phone(ip, &a), fb = phone(ip, &b), fx = phone(ip, &x);
	open_to(m, first, a);
	open_to(m, first + 1, b);
	command(m, (struct media_cmd){.op = MEDIA_BRIDGE, .slot = first, .peer_slot = first + 1});
	struct addr sa = base, sb = base;
	sb.port = (uint16_t)(sb.port + 2);
	for (uint16_t i = 0; i < 20; i++) {
		send_rtp(fa, sa, i, "from a");
		assert_true(receive(fb, 2000, got, sizeof got, &from));
		assert_string_equal(got, "from a");
		assert_true(addr_eq(&from, &sb)); /* own port of the leg: symmetric RTP */
		send_rtp(fb, sb, i, "from b");
		assert_true(receive(fa, 2000, got, sizeof got, &from));
		assert_string_equal(got, "from b");
		assert_true(addr_eq(&from, &sa));
	}
	send_rtp(fx, sa, 99, "stranger");
	assert_true(wait_events(3)); /* two latches, one stranger */
	assert_false(receive(fb, 50, got, sizeof got, &from));
	command(m, (struct media_cmd){.op = MEDIA_CLOSE, .slot = first});
	command(m, (struct media_cmd){.op = MEDIA_CLOSE, .slot = first + 1});
	assert_true(wait_events(5));
	assert_int_equal(events[2].kind, MEDIA_EVENT_STRANGER);
	assert_true(addr_eq(&events[2].source, &x));
	assert_int_equal(events[3].kind, MEDIA_EVENT_CLOSED);
	assert_int_equal(events[3].slot, first);
	assert_int_equal(events[3].stats.rx_packets, 20);
	assert_int_equal(events[3].stats.tx_packets, 20);
	assert_int_equal(events[3].stats.rx_dropped, 1);
	assert_int_equal(events[4].seq, seq);
	send_rtp(fa, sa, 100, "closed");
	assert_false(receive(fb, 50, got, sizeof got, &from));
	media_stop(m);
	close(fa);
	close(fb);
	close(fx);
}

static void test_relay_v4(void **state)
{
	(void)state;
	relay_on("127.0.0.1");
}

static void test_relay_v6(void **state)
{
	(void)state;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	struct addr lo = local("::1", 0);
	socklen_t n = sockaddr_of(&lo, AF_INET6, &ss);
	bool there = fd >= 0 && bind(fd, (struct sockaddr *)&ss, n) == 0;
	if (fd >= 0)
		close(fd);
	if (!there)
		skip();
	relay_on("::1");
}

/* A source plays by the worker's own clock: 1 s of packets, 20 ms apart. */
static void test_source(void **state)
{
	(void)state;
	uint16_t port;
	struct media *m = start("127.0.0.1", &port);
	struct addr a, from;
	char got[400];
	int fa = phone("127.0.0.1", &a), n = 0;
	open_to(m, 0, a);
	command(m, (struct media_cmd){.op = MEDIA_SOURCE, .slot = 0, .source = SOURCE_MILLIWATT});
	struct timespec t0, t1;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	while (n < 51 && receive(fa, 1000, got, sizeof got, &from))
		n++;
	clock_gettime(CLOCK_MONOTONIC, &t1);
	assert_int_equal(n, 51);
	double ms = (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6;
	assert_true(ms > 950); /* and not in a burst; a slow machine may take longer */
	assert_int_equal(from.port, port);
	media_stop(m);
	close(fa);
}

static void test_port_in_use(void **state)
{
	(void)state;
	uint16_t port;
	char err[200] = "", want[40];
	struct media *m = start("127.0.0.1", &port);
	struct media_opts o = {.addr = local("127.0.0.1", 0), .port_first = (uint16_t)(port - 2), .pairs_per_worker = 2, .workers = 1};
	assert_null(media_start(&o, err, sizeof err));
	(void)snprintf(want, sizeof want, "127.0.0.1:%u", port);
	/* port - 2 may be another process's, but then it is named */
	assert_non_null(strstr(err, "RTP port 127.0.0.1:"));
	if (!strstr(err, want))
		print_message("%s\n", err);
	assert_non_null(strstr(err, "in use"));
	o.port_first = 10001;
	assert_null(media_start(&o, err, sizeof err));
	o.port_first = 65534;
	assert_null(media_start(&o, err, sizeof err));
	media_stop(m);
}

/* More commands than the ring holds, in one turn: all are carried out, in order. */
static void test_many_commands(void **state)
{
	(void)state;
	uint16_t port;
	struct media *m = start("127.0.0.1", &port);
	for (int i = 0; i < 2000; i++) {
		struct media_cmd c = {.op = MEDIA_OPEN, .slot = 1, .leg = (uint64_t)i, .seq = ++seq};
		media_command(m, &c);
		c.op = MEDIA_CLOSE;
		c.seq = ++seq;
		media_command(m, &c);
	}
	media_flush(m);
	assert_true(wait_events(2000));
	assert_int_equal(events[63].leg, 63);
	media_stop(m);
	assert_int_equal(atomic_load(&n_events), 2000);
}

static const struct test_case cases[] = {CASE(test_relay_v4, "R18"), CASE(test_relay_v6, "R18"), CASE(test_source, ""), CASE(test_port_in_use, ""),
        CASE(test_many_commands, "")};
TEST_MAIN("media", cases)

#include "edge/sip_udp.h"
#include "harness/harness.h"
#include "io/clock.h"
#include "io/udp.h"

#include <stdio.h>

enum { PORTS = 200, SECOND = 1000000 };

static void count(void *ctx, const struct sip_flow *flow, struct span bytes)
{
	(void)flow, (void)bytes;
	++*(int *)ctx;
}

static void send_n(struct udp *from, const struct addr *to, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(udp_send(from, to, &(struct addr){0}, SPAN_LIT("OPTIONS sip:x SIP/2.0\r\n\r\n")), 0);
	udp_flush(from);
}

/* Turns until `want` have come, without asking how late it is. */
static void turns(struct loop *l, const int *got, int want)
{
	for (int i = 0; i < 1000 && *got < want; i++)
		assert_true(loop_turn(l, mono_us() + SECOND / 100) >= 0);
	assert_int_equal(*got, want);
}

/* Late is who still has something to read; a batch that was full by chance makes nobody late, however long nothing comes then. */
static void late_while_datagrams_wait(void **state)
{
	(void)state;
	struct loop l;
	struct addr me, at;
	int got = 0, rc = -1;
	assert_int_equal(loop_init(&l), 0);
	struct sip_udp *s = sip_udp_new(&(struct sip_udp_opts){.loop = &l, .on_message = count, .ctx = &got});
	assert_int_equal(addr_parse(SPAN_LIT("127.0.0.1"), 0, &me), 0);
	for (uint16_t port = 17000; rc != 0 && port < 17000 + PORTS; port++) {
		assert_int_equal(addr_parse(SPAN_LIT("127.0.0.1"), port, &at), 0);
		rc = sip_udp_listen(s, 0, &at);
	}
	assert_int_equal(rc, 0);
	struct udp *u = udp_open(&me, UDP_BATCH * 1024);
	assert_non_null(u);

	send_n(u, &at, 3 * UDP_BATCH);
	turns(&l, &got, UDP_BATCH);
	int64_t began = l.now_us;
	assert_int_equal(sip_udp_late_us(s, began + SECOND), SECOND);
	turns(&l, &got, 2 * UDP_BATCH);
	assert_int_equal(sip_udp_late_us(s, began + 2 * SECOND), 2 * SECOND); /* since the first one, not since the last */
	turns(&l, &got, 3 * UDP_BATCH); /* full by chance: nothing is behind it */
	(void)sip_udp_late_us(s, l.now_us);
	assert_int_equal(loop_turn(&l, mono_us()), 0);
	assert_int_equal(sip_udp_late_us(s, began + 9 * SECOND), 0);
	send_n(u, &at, UDP_BATCH);
	turns(&l, &got, 4 * UDP_BATCH);
	assert_int_equal(sip_udp_late_us(s, l.now_us + SECOND), SECOND); /* and it counts anew */
	send_n(u, &at, 1);
	turns(&l, &got, 4 * UDP_BATCH + 1);
	assert_int_equal(sip_udp_late_us(s, l.now_us + SECOND), 0);

	udp_close(u);
	sip_udp_free(s);
	loop_close(&l);
}

static const struct test_case cases[] = {CASE(late_while_datagrams_wait, "R22")};
TEST_MAIN("sip_udp", cases)

#include "harness/harness.h"

#include "base/rng.h"
#include "rtp/rtp.h"

#include <math.h>
#include <stdlib.h>

static void test_round_trip(void **state)
{
	(void)state;
	uint8_t b[64];
	struct rtp in = {.pt = 8, .marker = true, .seq = 65535, .ts = 0xdeadbeef, .ssrc = 0x12345678, .payload = SPAN_LIT("abcde")}, out;
	size_t n = rtp_write(&in, b, sizeof b);
	assert_int_equal(n, 17);
	assert_int_equal(rtp_parse(span_mem(b, n), &out), 0);
	assert_int_equal(out.pt, 8);
	assert_true(out.marker);
	assert_int_equal(out.seq, 65535);
	assert_int_equal(out.ts, 0xdeadbeef);
	assert_int_equal(out.ssrc, 0x12345678);
	assert_true(span_eqz(out.payload, "abcde"));
	assert_int_equal(rtp_write(&in, b, 16), 0);
}

static void test_bounds(void **state)
{
	(void)state;
	struct rtp h;
	/* version 2, padding, extension, 1 CSRC; ext of one word; payload "xy" and two bytes of padding */
	static const uint8_t good[] = {0xb1, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9, 9, 9, 0xbe, 0xde, 0, 1, 1, 2, 3, 4, 'x', 'y', 0, 2};
	assert_int_equal(rtp_parse(span_mem(good, sizeof good), &h), 0);
	assert_true(span_eqz(h.payload, "xy"));
	assert_int_equal(h.ext.n, 4);
	assert_int_equal(h.ext_profile, 0xbede);
	/* Cut short, the last byte is read as padding: 4 bytes of ext end at 24. */
	for (size_t n = 0; n < 25; n++)
		assert_int_equal(rtp_parse(span_mem(good, n), &h), -1);
	uint8_t bad[sizeof good];
	memcpy(bad, good, sizeof good);
	bad[27] = 5; /* more padding than payload */
	assert_int_equal(rtp_parse(span_mem(bad, sizeof bad), &h), -1);
	bad[27] = 0;
	assert_int_equal(rtp_parse(span_mem(bad, sizeof bad), &h), -1);
	memcpy(bad, good, sizeof good);
	bad[0] = 0x71; /* version 1 */
	assert_int_equal(rtp_parse(span_mem(bad, sizeof bad), &h), -1);
	memcpy(bad, good, sizeof good);
	bad[1] = 200; /* RTCP on the RTP port */
	assert_int_equal(rtp_parse(span_mem(bad, sizeof bad), &h), -1);
}

/* Against a model that remembers every sequence number: losses, duplicates and bounded reordering, over wraps. */
static void test_loss_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct rng r = rng_seed(seed, 1);
		struct rtp_rx rx = {0};
		enum { N = 70000 };
		uint8_t *got = calloc(N, 1);
		uint32_t base = (uint32_t)rng_u64(&r) & 0xffff, held = UINT32_MAX;
		uint64_t unique = 0, dup = 0, last = 0;
		double loss = rng_unit(&r) * 0.3;
		for (uint32_t i = 0; i < N; i++) {
			uint32_t send[3], n = 0;
			bool lost = i > 0 && i < N - 1 && rng_unit(&r) < loss;
			if (!lost && held == UINT32_MAX && i > 0 && i < N - 40 && rng_below(&r, 50) == 0)
				held = i;
			else if (!lost)
				send[n++] = i;
			if (n && rng_below(&r, 100) == 0)
				send[n++] = i;
			if (n && held != UINT32_MAX && (rng_below(&r, 5) == 0 || i - held > 20)) {
				send[n++] = held;
				held = UINT32_MAX;
			}
			for (uint32_t k = 0; k < n; k++) {
				struct rtp h = {.seq = (uint16_t)(base + send[k]), .ts = send[k] * 160, .ssrc = 7};
				enum rtp_rx_result res = rtp_rx_packet(&rx, &h, 8000, 0);
				assert_int_equal(res == RTP_RX_DUPLICATE, got[send[k]]);
				dup += got[send[k]];
				unique += !got[send[k]];
				got[send[k]] = 1;
				last = send[k] > last ? send[k] : last;
			}
		}
		assert_int_equal(rtp_rx_lost(&rx), last + 1 - unique);
		assert_int_equal(rx.duplicates, dup);
		free(got);
	}
}

static void test_runs(void **state)
{
	(void)state;
	struct rtp_rx rx = {0};
	struct rtp h = {.ssrc = 1};
	for (h.seq = 100; h.seq < 110; h.seq++)
		if (h.seq != 105)
			(void)rtp_rx_packet(&rx, &h, 0, 0);
	assert_int_equal(rtp_rx_lost(&rx), 1);
	h.ssrc = 2; /* another stream: its numbers have nothing to do with the old ones */
	h.seq = 40000;
	assert_int_equal(rtp_rx_packet(&rx, &h, 0, 0), RTP_RX_NEW);
	assert_int_equal(rtp_rx_lost(&rx), 1);
	h.seq = 10000; /* one stray packet is not believed, two in a row are */
	assert_int_equal(rtp_rx_packet(&rx, &h, 0, 0), RTP_RX_JUMP);
	h.seq = 40001;
	assert_int_equal(rtp_rx_packet(&rx, &h, 0, 0), RTP_RX_NEW);
	h.seq = 20000;
	assert_int_equal(rtp_rx_packet(&rx, &h, 0, 0), RTP_RX_JUMP);
	h.seq = 20001;
	assert_int_equal(rtp_rx_packet(&rx, &h, 0, 0), RTP_RX_NEW);
	assert_int_equal(rtp_rx_lost(&rx), 1);
}

static void test_jitter(void **state)
{
	(void)state;
	struct rtp_rx rx = {0};
	struct rtp h = {.ssrc = 1, .ts = 0xfffff000}; /* the timestamp wraps on the way */
	for (int i = 0; i < 1000; i++, h.seq++, h.ts += 160)
		(void)rtp_rx_packet(&rx, &h, 8000, i * 20000);
	assert_int_equal(rtp_rx_jitter_us(&rx), 0);
	for (int i = 1000; i < 2000; i++, h.seq++, h.ts += 160) /* alternately 4 ms late: |D| is 4 ms each time */
		(void)rtp_rx_packet(&rx, &h, 8000, i * 20000 + (i & 1) * 4000);
	assert_in_range(rtp_rx_jitter_us(&rx), 3950, 4010);
}

static void test_rtcp(void **state)
{
	(void)state;
	uint8_t b[400];
	struct rtcp_block blocks[2] = {
	        {.ssrc = 5, .fraction_lost = 25, .lost = -3, .max_ext_seq = 70000, .jitter = 9, .lsr = 0x11223344, .dlsr = 65536},
	        {.ssrc = 6, .lost = 0x7fffff},
	};
	struct rtcp_report r = {.is_sr = true, .sender = {.ssrc = 77, .ntp = UINT64_C(0x0102030405060708), .rtp_ts = 1, .packets = 2, .octets = 3},
	        .blocks = blocks, .n_blocks = 2, .cname = SPAN_LIT("x@y"), .bye = true};
	size_t n = rtcp_write(&r, b, sizeof b);
	assert_int_equal(n, 8 + 20 + 48 + 16 + 8);
	assert_true(rtcp_valid(span_mem(b, n)));
	struct span rest = span_mem(b, n);
	struct rtcp p;
	struct rtcp_sender s;
	struct rtcp_block k;
	uint32_t ssrc;
	assert_int_equal(rtcp_next(&rest, &p), 1);
	assert_int_equal(rtcp_sender(&p, &s), 0);
	assert_true(s.ntp == r.sender.ntp && s.ssrc == 77 && s.octets == 3);
	assert_int_equal(rtcp_block(&p, 0, &k), 0);
	assert_true(k.lost == -3 && k.fraction_lost == 25 && k.dlsr == 65536 && k.lsr == 0x11223344 && k.max_ext_seq == 70000);
	assert_int_equal(rtcp_block(&p, 1, &k), 0);
	assert_int_equal(k.lost, 0x7fffff);
	assert_int_equal(rtcp_block(&p, 2, &k), -1);
	assert_int_equal(rtcp_next(&rest, &p), 1);
	assert_int_equal(p.type, RTCP_SDES);
	assert_int_equal(rtcp_next(&rest, &p), 1);
	assert_int_equal(rtcp_bye(&p, 0, &ssrc), 0);
	assert_int_equal(ssrc, 77);
	assert_int_equal(rtcp_next(&rest, &p), 0);
	for (size_t cut = 1; cut < n; cut++)
		if (cut != 76 && cut != 92)
			assert_false(rtcp_valid(span_mem(b, cut)));
	b[0] = (uint8_t)(0x80 | 3); /* says three blocks, holds two */
	assert_false(rtcp_valid(span_mem(b, n)));
	assert_int_equal(rtcp_write(&r, b, n - 1), 0);
}

static void test_rtt(void **state)
{
	(void)state;
	uint64_t t0 = rtcp_ntp(1000000);
	struct rtcp_block b = {.lsr = (uint32_t)(t0 >> 16), .dlsr = 65536 / 2};
	assert_in_range(rtcp_rtt_us(&b, rtcp_ntp(1600000)), 99900, 100100);
	assert_int_equal(rtcp_rtt_us(&b, rtcp_ntp(1400000)), 0); /* would be negative */
}

static void test_event(void **state)
{
	(void)state;
	uint8_t b[4];
	struct rtp_event e = {.event = 11, .end = true, .volume_dbm0 = 10, .duration = 1600}, o;
	rtp_event_write(&e, b);
	assert_int_equal(rtp_event_parse(span_mem(b, 4), &o), 0);
	assert_true(o.event == 11 && o.end && o.volume_dbm0 == 10 && o.duration == 1600);
	assert_int_equal(rtp_event_parse(span_mem(b, 3), &o), -1);
	for (uint8_t i = 0; i < 16; i++)
		assert_int_equal(rtp_event_of(rtp_event_char(i)), i);
	assert_int_equal(rtp_event_char(16), 0);
	assert_int_equal(rtp_event_of('x'), -1);
}

static void test_mos(void **state)
{
	(void)state;
	assert_in_range(rtp_mos_x100(rtp_emodel_r(0, 0, 0)), 440, 442); /* G.107: R 93.2 is MOS 4.41 */
	assert_in_range(rtp_mos_x100(rtp_emodel_r(18, 0, 0)), 405, 420); /* Ie 11: R 82.2, MOS 4.1 */
	assert_in_range(rtp_mos_x100(50), 257, 259); /* table B.1 of G.107: R 50 is 2.58 */
	assert_in_range(rtp_mos_x100(80), 402, 404); /* R 80 is 4.03 */
	uint16_t last = 500;
	for (int loss = 0; loss <= 100; loss++) {
		uint16_t m = rtp_mos_x100(rtp_emodel_r(0, loss / 100.0, 50));
		assert_true(m <= last && m >= 100);
		last = m;
	}
	assert_true(rtp_emodel_r(0, 0, 300) < rtp_emodel_r(0, 0, 150) - 10);
}

static const struct test_case cases[] = {CASE(test_round_trip, ""), CASE(test_bounds, ""), CASE(test_loss_model, ""), CASE(test_runs, ""),
        CASE(test_jitter, ""), CASE(test_rtcp, ""), CASE(test_rtt, ""), CASE(test_event, ""), CASE(test_mos, "")};
TEST_MAIN("rtp", cases)

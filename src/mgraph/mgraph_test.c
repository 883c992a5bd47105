#include "harness/harness.h"

#include "audio/audio.h"
#include "base/assert.h"
#include "base/rng.h"
#include "mgraph/mgraph.h"
#include "rtp/rtp.h"

#include <math.h>
#include <stdlib.h>

enum { SLOTS = 8, KEEP = 4096 };

struct sent {
	media_slot slot;
	bool rtcp;
	struct addr to;
	const char *where; /* the very bytes, not a copy */
	uint8_t bytes[600];
	size_t n;
	int64_t at_us;
};
static struct world {
	struct mgraph *g;
	int64_t now_us;
	uint64_t seq;
	struct sent sent[KEEP];
	size_t n_sent;
	struct media_event event[64];
	size_t n_events;
} w;

static void on_send(void *ctx, media_slot slot, bool rtcp, const struct addr *to, struct span bytes)
{
	(void)ctx;
	struct sent *s = &w.sent[w.n_sent++ % KEEP];
	*s = (struct sent){.slot = slot, .rtcp = rtcp, .to = *to, .where = bytes.p, .n = bytes.n, .at_us = w.now_us};
	memcpy(s->bytes, bytes.p, bytes.n < sizeof s->bytes ? bytes.n : sizeof s->bytes);
}

static void on_event(void *ctx, const struct media_event *e)
{
	(void)ctx;
	w.event[w.n_events++ % COUNT_OF(w.event)] = *e;
}

static int setup(void)
{
	struct mgraph_out out = {.send = on_send, .event = on_event};
	memset(&w, 0, sizeof w);
	w.now_us = 1000000;
	w.g = mgraph_new(1, SLOTS, 42, &out);
	assert_non_null(w.g);
	return 0;
}

static media_slot slot(unsigned n)
{
	return 1u << 16 | n;
}

static struct addr at(unsigned host, uint16_t port)
{
	return (struct addr){.family = 4, .ip = {10, 0, 0, (uint8_t)host}, .port = port};
}

static void command(struct media_cmd c)
{
	c.seq = ++w.seq;
	mgraph_command(w.g, &c, w.now_us);
}

static void open_at(unsigned n, struct addr remote)
{
	command((struct media_cmd){.op = MEDIA_OPEN, .slot = slot(n), .leg = 100 + n});
	command((struct media_cmd){.op = MEDIA_REMOTE, .slot = slot(n), .remote = remote, .may_send = true, .may_recv = true, .clock_hz = 8000});
}

static void bridge(unsigned a, unsigned b)
{
	command((struct media_cmd){.op = MEDIA_BRIDGE, .slot = slot(a), .peer_slot = slot(b)});
}

static uint8_t packet[300];
static struct span rtp(uint8_t pt, uint16_t seq, const char *payload)
{
	struct rtp h = {.pt = pt, .seq = seq, .ts = seq * 160u, .ssrc = 9, .payload = span_z(payload)};
	return span_mem(packet, rtp_write(&h, packet, sizeof packet));
}

static void in(unsigned n, struct addr from, struct span b)
{
	mgraph_packet(w.g, slot(n), false, &from, b, w.now_us);
}

static void in_rtcp(unsigned n, struct addr from, struct span b)
{
	mgraph_packet(w.g, slot(n), true, &from, b, w.now_us);
}

static struct sent *last(void)
{
	assert_true(w.n_sent > 0);
	return &w.sent[(w.n_sent - 1) % KEEP];
}

static struct media_stats stats(unsigned n)
{
	struct media_stats m;
	assert_true(mgraph_stats(w.g, slot(n), &m));
	return m;
}

static void test_bridge(void **state)
{
	(void)state;
	setup();
	open_at(0, at(1, 4000));
	open_at(1, at(2, 5000));
	in(0, at(1, 4000), rtp(0, 1, "early")); /* not bridged: counted, not sent */
	assert_int_equal(w.n_sent, 0);
	bridge(0, 1);
	struct span b = rtp(0, 2, "hello");
	in(0, at(1, 4000), b);
	assert_int_equal(w.n_sent, 1);
	assert_int_equal(last()->slot, slot(1));
	assert_ptr_equal(last()->where, b.p);
	assert_int_equal(last()->n, b.n);
	struct addr to = at(2, 5000);
	assert_true(addr_eq(&last()->to, &to));
	in(1, at(2, 5000), rtp(0, 9, "back"));
	assert_int_equal(w.n_sent, 2);
	assert_int_equal(last()->slot, slot(0));
	assert_int_equal(stats(0).rx_packets, 2);
	assert_int_equal(stats(0).tx_packets, 1);
	assert_int_equal(stats(1).tx_packets, 1);
	mgraph_free(w.g);
}

/* Codecs that we cannot speak, and payload types that we do not know, go through byte for byte. */
static void test_pass_through(void **state)
{
	(void)state;
	static const uint8_t types[] = {RTP_PT_G722, RTP_PT_G729, 101, 127, 13};
	setup();
	open_at(0, at(1, 4000));
	open_at(1, at(2, 5000));
	bridge(0, 1);
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		struct span b = rtp(types[i], (uint16_t)i, "\x01\xff\x80 any bytes");
		uint8_t copy[300];
		memcpy(copy, b.p, b.n);
		in(0, at(1, 4000), b);
		assert_int_equal(w.n_sent, i + 1);
		assert_memory_equal(last()->bytes, copy, b.n);
	}
	mgraph_free(w.g);
}

static void test_symmetric(void **state)
{
	(void)state;
	setup();
	open_at(0, at(200, 4000)); /* a private address in the SDP; the packets come from the NAT's */
	open_at(1, at(2, 5000));
	bridge(0, 1);
	in(1, at(2, 5000), rtp(0, 1, "x"));
	struct addr signalled = at(200, 4000), nat = at(7, 61000);
	assert_true(addr_eq(&last()->to, &signalled));
	in(0, nat, rtp(0, 1, "x"));
	assert_int_equal(w.n_events, 2);
	assert_int_equal(w.event[1].kind, MEDIA_EVENT_LATCHED);
	assert_true(addr_eq(&w.event[1].source, &nat));
	assert_int_equal(w.event[1].leg, 100);
	in(1, at(2, 5000), rtp(0, 2, "x"));
	assert_true(addr_eq(&last()->to, &nat));
	/* RTCP goes beside it, until the phone shows where its own comes from. */
	uint8_t rr[64];
	struct rtcp_report r = {.sender.ssrc = 1, .cname = SPAN_LIT("a")};
	struct span report = span_mem(rr, rtcp_write(&r, rr, sizeof rr));
	in_rtcp(1, at(2, 5001), report);
	assert_true(last()->rtcp);
	assert_int_equal(last()->to.port, 61001);
	in_rtcp(0, at(7, 61555), report);
	in_rtcp(1, at(2, 5001), report);
	assert_int_equal(last()->to.port, 61555);
	mgraph_free(w.g);
}

/* Whatever strangers send, the latch stays, nothing of theirs is relayed, one event is told. */
static void test_stranger_property(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct rng r = rng_seed(seed, 7);
		setup();
		open_at(0, at(1, 4000));
		open_at(1, at(2, 5000));
		bridge(0, 1);
		struct addr own = rng_below(&r, 2) ? at(1, 4000) : at(3, 4444);
		in(0, own, rtp(0, 1, "first"));
		size_t good = 1, strangers = 0;
		uint8_t rr[64];
		struct rtcp_report rep = {.sender.ssrc = 1, .cname = SPAN_LIT("a")};
		struct span report = span_mem(rr, rtcp_write(&rep, rr, sizeof rr));
		for (int i = 0; i < 60; i++) {
			struct addr from = at(10 + (unsigned)rng_below(&r, 4), (uint16_t)(4000 + rng_below(&r, 4)));
			switch (rng_below(&r, 4)) {
			case 0:
				from = own;
				good++;
				break;
			case 1: /* right host, wrong port */
				from = own;
				from.port = (uint16_t)(from.port + 2);
				strangers++;
				break;
			case 2:
				in_rtcp(0, from, report);
				continue;
			case 3:
				strangers++;
				break;
			}
			in(0, from, rtp(0, (uint16_t)(2 + i), "x"));
		}
		assert_int_equal(w.n_sent, good);
		in(1, at(2, 5000), rtp(0, 1, "answer"));
		assert_true(addr_eq(&last()->to, &own));
		size_t told = 0;
		for (size_t i = 0; i < w.n_events; i++)
			told += w.event[i].kind == MEDIA_EVENT_STRANGER;
		assert_int_equal(told, strangers > 0);
		assert_true(stats(0).rx_dropped >= strangers);
		mgraph_free(w.g);
	}
}

static void test_signalled_wins(void **state)
{
	(void)state;
	setup();
	open_at(0, at(1, 4000));
	in(0, at(66, 666), rtp(0, 1, "quicker than the phone"));
	in(0, at(1, 4000), rtp(0, 1, "the phone"));
	assert_int_equal(w.event[1].kind, MEDIA_EVENT_LATCHED);
	in(0, at(66, 666), rtp(0, 2, "again"));
	assert_int_equal(stats(0).rx_packets, 2);
	assert_int_equal(stats(0).rx_dropped, 1);
	mgraph_free(w.g);
}

static void test_relearn(void **state)
{
	(void)state;
	setup();
	open_at(0, at(1, 4000));
	in(0, at(1, 4000), rtp(0, 1, "x"));
	struct media_cmd c = {.op = MEDIA_REMOTE, .slot = slot(0), .remote = at(1, 4000), .may_send = true, .may_recv = true};
	command(c); /* a session refresh: no new source */
	in(0, at(5, 1), rtp(0, 2, "x"));
	assert_int_equal(stats(0).rx_packets, 1);
	c.relearn = true;
	command(c);
	in(0, at(5, 1), rtp(0, 3, "x"));
	assert_int_equal(stats(0).rx_packets, 2);
	in(0, at(6, 1), rtp(0, 4, "x")); /* once */
	assert_int_equal(stats(0).rx_packets, 2);
	mgraph_free(w.g);
}

static void test_direction(void **state)
{
	(void)state;
	setup();
	command((struct media_cmd){.op = MEDIA_OPEN, .slot = slot(0), .leg = 1});
	in(0, at(1, 4000), rtp(0, 1, "before signalling"));
	assert_int_equal(stats(0).rx_dropped, 1);
	assert_int_equal(w.n_events, 0);
	open_at(0, at(1, 4000));
	open_at(1, at(2, 5000));
	bridge(0, 1);
	struct media_cmd hold = {.op = MEDIA_REMOTE, .slot = slot(1), .remote = at(2, 5000), .may_recv = true};
	command(hold);
	in(0, at(1, 4000), rtp(0, 1, "x"));
	assert_int_equal(w.n_sent, 0);
	in(1, at(2, 5000), rtp(0, 1, "x"));
	assert_int_equal(w.n_sent, 1);
	hold.may_recv = false;
	hold.may_send = true;
	command(hold);
	in(1, at(2, 5000), rtp(0, 2, "x"));
	assert_int_equal(w.n_sent, 1);
	in(0, at(1, 4000), rtp(0, 2, "x"));
	assert_int_equal(w.n_sent, 2);
	hold.remote = (struct addr){.family = 4, .port = 5000}; /* c=0.0.0.0 */
	hold.relearn = true;
	command(hold);
	in(0, at(1, 4000), rtp(0, 3, "x"));
	assert_int_equal(w.n_sent, 2);
	mgraph_free(w.g);
}

static void test_close(void **state)
{
	(void)state;
	setup();
	open_at(0, at(1, 4000));
	open_at(1, at(2, 5000));
	bridge(0, 1);
	for (uint16_t i = 0; i < 100; i++) {
		w.now_us += 20000;
		if (i % 10 != 5)
			in(0, at(1, 4000), rtp(0, i, "x"));
	}
	command((struct media_cmd){.op = MEDIA_CLOSE, .slot = slot(0)});
	struct media_event *e = &w.event[w.n_events - 1];
	assert_int_equal(e->kind, MEDIA_EVENT_CLOSED);
	assert_int_equal(e->seq, w.seq);
	assert_int_equal(e->leg, 100);
	assert_int_equal(e->stats.rx_packets, 90);
	assert_int_equal(e->stats.rx_lost, 10);
	assert_in_range(e->stats.mos_x100, 250, 350); /* 10 % of loss: R about 65 */
	size_t before = w.n_sent;
	in(0, at(1, 4000), rtp(0, 101, "late"));
	in(1, at(2, 5000), rtp(0, 1, "to nobody"));
	assert_int_equal(w.n_sent, before);
	struct media_stats m;
	assert_false(mgraph_stats(w.g, slot(0), &m));
	command((struct media_cmd){.op = MEDIA_CLOSE, .slot = slot(0), .leg = 55}); /* twice: answered again */
	assert_int_equal(w.event[w.n_events - 1].kind, MEDIA_EVENT_CLOSED);
	assert_int_equal(w.event[w.n_events - 1].leg, 55);
	open_at(0, at(9, 9)); /* nothing of the last use is left */
	assert_int_equal(stats(0).rx_packets, 0);
	in(1, at(2, 5000), rtp(0, 2, "x"));
	assert_int_equal(w.n_sent, before);
	mgraph_free(w.g);
}

static void test_duplicate_commands(void **state)
{
	(void)state;
	setup();
	open_at(0, at(1, 4000));
	in(0, at(1, 4000), rtp(0, 1, "x"));
	struct media_cmd again = {.op = MEDIA_OPEN, .slot = slot(0), .seq = 1, .leg = 7};
	mgraph_command(w.g, &again, w.now_us);
	assert_int_equal(stats(0).rx_packets, 1);
	again.seq = w.seq;
	again.op = MEDIA_CLOSE;
	mgraph_command(w.g, &again, w.now_us);
	assert_int_equal(stats(0).rx_packets, 1);
	mgraph_free(w.g);
}

static void run_us(int64_t us)
{
	for (int64_t end = w.now_us + us; w.now_us < end;) {
		int64_t next = mgraph_deadline(w.g);
		w.now_us = next < end ? (next > w.now_us ? next : w.now_us + 1) : end;
		mgraph_tick(w.g, w.now_us);
	}
}

/* What the slot sent, decoded; returns samples, checks sequence, timestamps and pacing. */
static size_t heard(bool alaw, int16_t *pcm, size_t cap)
{
	size_t n = 0, rtcp = 0;
	struct rtp h, prev = {0};
	int64_t first_us = 0;
	for (size_t i = 0; i < w.n_sent; i++) {
		if (w.sent[i].rtcp) {
			assert_true(rtcp_valid(span_mem(w.sent[i].bytes, w.sent[i].n)));
			rtcp++;
			continue;
		}
		assert_int_equal(rtp_parse(span_mem(w.sent[i].bytes, w.sent[i].n), &h), 0);
		assert_int_equal(h.pt, alaw ? 8 : 0);
		assert_int_equal(h.marker, n == 0);
		if (n) {
			assert_int_equal(h.seq, (uint16_t)(prev.seq + 1));
			assert_int_equal(h.ts, prev.ts + 160);
			assert_int_equal(h.ssrc, prev.ssrc);
		} else {
			first_us = w.sent[i].at_us;
		}
		/* within the timer's millisecond, and no drift */
		assert_in_range(w.sent[i].at_us - first_us - (int64_t)n / 8 * 1000 + 1000, 0, 2000);
		prev = h;
		if (n + 160 <= cap) {
			audio_g711_decode(alaw, (const uint8_t *)h.payload.p, 160, pcm + n);
			n += 160;
		}
	}
	return n;
}

static void test_sources(void **state)
{
	(void)state;
	static int16_t pcm[8000 * 20];
	static const struct {
		struct media_cmd c;
		double hz;
	} row[] = {
	        {{.source = SOURCE_MILLIWATT, .pt = 0}, 1004},
	        {{.source = SOURCE_MILLIWATT, .pt = 8}, 1004},
	        {{.source = SOURCE_TONE, .tone_hz = {620}, .tone_level_dbm0 = -12, .pt = 0}, 620},
	        {{.source = SOURCE_TONE, .tone_hz = {2600}, .tone_level_dbm0 = -20, .pt = 8}, 2600},
	};
	for (size_t i = 0; i < COUNT_OF(row); i++) {
		setup();
		open_at(0, at(1, 4000));
		struct media_cmd c = row[i].c;
		c.op = MEDIA_SOURCE;
		c.slot = slot(0);
		command(c);
		run_us(12000000);
		size_t n = heard(c.pt == 8, pcm, COUNT_OF(pcm));
		assert_in_range(n, 8000 * 12 - 160, 8000 * 12 + 320);
		double hz = tone_dominant_hz(pcm + 4000, 1600, 8000);
		assert_true(fabs(hz - row[i].hz) <= 2);
		double want = c.source == SOURCE_TONE ? c.tone_level_dbm0 : 0;
		assert_true(fabs(tone_level_dbm0(pcm, 8000, 8000, row[i].hz) - want) < 0.4);
		size_t reports = 0;
		for (size_t k = 0; k < w.n_sent; k++)
			reports += w.sent[k].rtcp && w.sent[k].to.port == 4001;
		assert_int_equal(reports, 2); /* at 5 and 10 s */
		c.source = SOURCE_NONE;
		size_t before = w.n_sent;
		command(c);
		assert_int_equal(w.n_sent, before + 1); /* BYE */
		run_us(1000000);
		assert_int_equal(w.n_sent, before + 1);
		assert_true(mgraph_deadline(w.g) == INT64_MAX);
		mgraph_free(w.g);
	}
}

static void test_stall(void **state)
{
	(void)state;
	setup();
	open_at(0, at(1, 4000));
	command((struct media_cmd){.op = MEDIA_SOURCE, .slot = slot(0), .source = SOURCE_RINGBACK});
	run_us(100000);
	size_t before = w.n_sent;
	w.now_us += 3000000;
	mgraph_tick(w.g, w.now_us);
	assert_in_range(w.n_sent - before, 1, 6);
	mgraph_free(w.g);
}

static void test_echo(void **state)
{
	(void)state;
	setup();
	open_at(0, at(1, 4000));
	command((struct media_cmd){.op = MEDIA_SOURCE, .slot = slot(0), .source = SOURCE_ECHO});
	struct rtp h;
	in(0, at(1, 4000), rtp(9, 7, "hello"));
	assert_int_equal(w.n_sent, 1);
	assert_int_equal(rtp_parse(span_mem(last()->bytes, last()->n), &h), 0);
	assert_true(h.pt == 9 && h.seq == 7 && h.ts == 7 * 160 && h.ssrc != 9 && span_eqz(h.payload, "hello"));
	run_us(5100000);
	assert_true(last()->rtcp);
	mgraph_free(w.g);
}

static void test_source_over_bridge(void **state)
{
	(void)state;
	setup();
	open_at(0, at(1, 4000));
	open_at(1, at(2, 5000));
	command((struct media_cmd){.op = MEDIA_SOURCE, .slot = slot(0), .source = SOURCE_RINGBACK});
	bridge(0, 1); /* answered: the ringback ends */
	run_us(1000000);
	size_t n = w.n_sent;
	in(1, at(2, 5000), rtp(0, 1, "x"));
	assert_int_equal(w.n_sent, n + 1);
	command((struct media_cmd){.op = MEDIA_SOURCE, .slot = slot(0), .source = SOURCE_TONE, .tone_hz = {440}});
	n = w.n_sent;
	in(1, at(2, 5000), rtp(0, 2, "not heard over the tone"));
	assert_int_equal(w.n_sent, n);
	in(0, at(1, 4000), rtp(0, 1, "heard"));
	assert_int_equal(w.n_sent, n + 1);
	mgraph_free(w.g);
}

/* Reports of the two phones cross the relay; the round trip is measured with our clock. */
static void test_rtcp_relayed(void **state)
{
	(void)state;
	uint8_t b[100];
	setup();
	open_at(0, at(1, 4000));
	open_at(1, at(2, 5000));
	bridge(0, 1);
	struct rtcp_report sr = {.is_sr = true, .sender = {.ssrc = 5, .ntp = UINT64_C(0xaaaabbbbccccdddd)}, .cname = SPAN_LIT("p")};
	struct span s = span_mem(b, rtcp_write(&sr, b, sizeof b));
	in_rtcp(0, at(1, 4001), s);
	assert_true(last()->rtcp && last()->slot == slot(1));
	assert_int_equal(last()->to.port, 5001);
	assert_memory_equal(last()->bytes, b, s.n);
	w.now_us += 130000;
	struct rtcp_block block = {.ssrc = 5, .lost = 17, .lsr = 0xbbbbcccc, .dlsr = 65536 / 10};
	struct rtcp_report rr = {.sender.ssrc = 6, .blocks = &block, .n_blocks = 1, .cname = SPAN_LIT("q")};
	in_rtcp(1, at(2, 5001), span_mem(b, rtcp_write(&rr, b, sizeof b)));
	assert_int_equal(stats(1).far_lost, 17);
	assert_in_range(stats(1).rtt_us, 29900, 30100);
	size_t n = w.n_sent;
	in_rtcp(1, at(99, 5001), s); /* another host */
	in_rtcp(1, at(2, 5001), SPAN_LIT("not rtcp"));
	assert_int_equal(w.n_sent, n);
	mgraph_free(w.g);
}

static void test_bad_slots(void **state)
{
	(void)state;
	setup();
	open_at(0, at(1, 4000));
	struct addr a = at(1, 1);
	mgraph_packet(w.g, slot(SLOTS), false, &a, rtp(0, 1, "x"), w.now_us);
	mgraph_packet(w.g, MEDIA_NO_SLOT, false, &a, rtp(0, 1, "x"), w.now_us);
	bridge(0, 0);
	bridge(0, 3); /* not open */
	bridge(0, SLOTS + 5);
	in(0, at(1, 4000), rtp(0, 1, "x"));
	assert_int_equal(w.n_sent, 0);
	mgraph_free(w.g);
}

static const struct test_case cases[] = {CASE(test_bridge, "R18"), CASE(test_pass_through, "G8"), CASE(test_symmetric, "R18"),
        CASE(test_stranger_property, "R18"), CASE(test_signalled_wins, "R18"), CASE(test_relearn, ""), CASE(test_direction, ""),
        CASE(test_close, ""), CASE(test_duplicate_commands, ""), CASE(test_sources, ""), CASE(test_stall, ""), CASE(test_echo, ""),
        CASE(test_source_over_bridge, ""), CASE(test_rtcp_relayed, ""), CASE(test_bad_slots, "")};
TEST_MAIN("mgraph", cases)

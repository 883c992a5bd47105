#include "harness/harness.h"

#include "audio/audio.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

/* The ITU's tables 1a and 2a as numbers: segment ends and steps; decoded values are interval middles. */
static int ulaw_model(int code)
{
	int v = 255 - code, seg = (v & 0x7f) >> 4, step = v & 15;
	int mag = seg == 0 ? step * 2 : (33 << seg) - 33 + step * (2 << seg);
	return 4 * (v & 0x80 ? -mag : mag);
}

static int alaw_model(int code)
{
	int v = code ^ 0x55, seg = (v & 0x7f) >> 4, step = v & 15;
	int mag = seg == 0 ? 1 + 2 * step : ((1 << seg) * 16) + (1 << (seg - 1)) + step * (1 << seg);
	return 8 * (v & 0x80 ? mag : -mag);
}

static void test_decode(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		assert_int_equal(audio_ulaw_decode((uint8_t)c), ulaw_model(c));
		assert_int_equal(audio_alaw_decode((uint8_t)c), alaw_model(c));
	}
	assert_int_equal(audio_ulaw_decode(0x80), 32124);
	assert_int_equal(audio_ulaw_decode(0x00), -32124);
	assert_int_equal(audio_alaw_decode(0xaa), 32256);
	assert_int_equal(audio_ulaw_encode(0), 0xff);
	assert_int_equal(audio_alaw_encode(0), 0xd5);
}

/* Decision values of tables 1a and 2a: how many of them lie at or below a magnitude is the step's number. */
static int steps_below(int mag, int first, int flat, int width)
{
	int n = 0, at = first;
	for (int step = width; n < 127 && at <= mag; step *= 2)
		for (int i = 0; i < (step == width ? flat : 16) && n < 127 && at <= mag; i++, n++)
			at += step;
	return n;
}

static void test_encode(void **state)
{
	(void)state;
	for (int s = 0; s < 32768; s++) {
		/* mu-law: 1, 3 .. 31, 35 .. 95, 103 ..; A-law: 2, 4 .. 64, 68 .. 128, 136 .. */
		int u = 0xff - steps_below(s >> 2, 1, 15, 2), a = (0x80 | steps_below(s >> 3, 2, 31, 2)) ^ 0x55;
		assert_int_equal(audio_ulaw_encode((int16_t)s), u);
		assert_int_equal(audio_alaw_encode((int16_t)s), a);
		assert_int_equal(audio_ulaw_encode((int16_t)~s), u ^ 0x80);
		assert_int_equal(audio_alaw_encode((int16_t)~s), a ^ 0x80);
	}
	for (int c = 0; c < 256; c++) {
		/* 0x7f is mu-law's negative zero: it comes back as the positive one. */
		assert_int_equal(audio_ulaw_encode(audio_ulaw_decode((uint8_t)c)), c == 0x7f ? 0xff : c);
		assert_int_equal(audio_alaw_encode(audio_alaw_decode((uint8_t)c)), c);
	}
	for (int s = -32768; s < 32767; s++) {
		assert_true(audio_ulaw_decode(audio_ulaw_encode((int16_t)s)) <= audio_ulaw_decode(audio_ulaw_encode((int16_t)(s + 1))));
		assert_true(audio_alaw_decode(audio_alaw_encode((int16_t)s)) <= audio_alaw_decode(audio_alaw_encode((int16_t)(s + 1))));
	}
}

/* Any tone at any level from -40 dBm0 through G.711 and noise is heard within 5 Hz over 200 ms. */
static void test_detect(void **state)
{
	(void)state;
	struct rng r = rng_seed(3, 4);
	int16_t pcm[1600];
	uint8_t code[1600];
	for (uint16_t hz = 300; hz <= 3400; hz = (uint16_t)(hz + 7)) {
		struct tone t;
		bool alaw = hz & 1;
		tone_init(&t, 8000, (const uint16_t[2]){hz, 0}, -(int)rng_below(&r, 30), 0, 0);
		t.phase[0] = (uint32_t)rng_u64(&r);
		tone_fill(&t, pcm, 1600);
		audio_g711_encode(alaw, pcm, 1600, code);
		audio_g711_decode(alaw, code, 1600, pcm);
		double got = tone_dominant_hz(pcm, 1600, 8000);
		if (fabs(got - hz) > 5)
			print_message("%u Hz heard as %.1f\n", hz, got);
		assert_true(fabs(got - hz) <= 5);
	}
}

static void test_no_tone(void **state)
{
	(void)state;
	struct rng r = rng_seed(5, 6);
	int16_t pcm[1600] = {0};
	assert_true(tone_dominant_hz(pcm, 1600, 8000) == 0);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 1600; i++)
			pcm[i] = (int16_t)((int)rng_below(&r, 16000) - 8000);
		assert_true(tone_dominant_hz(pcm, 1600, 8000) == 0);
	}
	assert_true(tone_dominant_hz(pcm, 100, 8000) == 0);
}

static void test_stronger_of_two(void **state)
{
	(void)state;
	int16_t a[1600], b[1600];
	struct tone t;
	tone_init(&t, 8000, (const uint16_t[2]){700, 0}, -10, 0, 0);
	tone_fill(&t, a, 1600);
	tone_init(&t, 8000, (const uint16_t[2]){1900, 0}, -16, 0, 0);
	tone_fill(&t, b, 1600);
	for (int i = 0; i < 1600; i++)
		a[i] = (int16_t)(a[i] + b[i]);
	assert_true(fabs(tone_dominant_hz(a, 1600, 8000) - 700) <= 5);
}

static void test_levels(void **state)
{
	(void)state;
	int16_t pcm[8000];
	struct tone t;
	tone_init_milliwatt(&t, 8000);
	tone_fill(&t, pcm, 8000);
	assert_true(fabs(tone_level_dbm0(pcm, 8000, 8000, 1004)) < 0.05);
	assert_true(tone_level_dbm0(pcm, 8000, 8000, 1204) < -50);
	tone_init_ringback(&t, 8000);
	tone_fill(&t, pcm, 8000);
	assert_true(fabs(tone_level_dbm0(pcm, 8000, 8000, 440) + 19) < 0.1);
	assert_true(fabs(tone_level_dbm0(pcm, 8000, 8000, 480) + 19) < 0.1);
	/* Cadence: 2 s on, 4 s off, filled in odd pieces. */
	tone_init_ringback(&t, 8000);
	for (int i = 0, at = 0; i < 700; i++) {
		tone_fill(&t, pcm, 137);
		int loud = 0;
		for (int k = 0; k < 137; k++)
			loud |= abs(pcm[k]) > 100 && at + k >= 0;
		int from = at % 48000, to = (at + 136) % 48000;
		if (from < 16000 && to < 16000 && from < to)
			assert_true(loud);
		if (from >= 16000 && to >= 16000)
			assert_false(loud);
		at += 137;
	}
}

static const struct test_case cases[] = {CASE(test_decode, ""), CASE(test_encode, ""), CASE(test_detect, ""), CASE(test_no_tone, ""),
        CASE(test_stronger_of_two, ""), CASE(test_levels, "")};
TEST_MAIN("audio", cases)

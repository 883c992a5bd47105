/* audio: G.711, tones and a tone detector. Layer 2, pure. Samples are int16_t, linear; a full-scale sine is +3.17 dBm0
 * (ITU-T G.711 table 5/6 note), so a 0 dBm0 sine peaks at AUDIO_PEAK_0DBM0. Rates in Hz. */
#ifndef AUDIO_AUDIO_H
#define AUDIO_AUDIO_H

#include "base/span.h"

enum { AUDIO_PEAK_0DBM0 = 22657 };

/* ---- G.711 (g711.c) ------------------------------------------------------------------------------------------ */

uint8_t audio_ulaw_encode(int16_t sample);
int16_t audio_ulaw_decode(uint8_t code);
uint8_t audio_alaw_encode(int16_t sample);
int16_t audio_alaw_decode(uint8_t code);
/* n samples to n bytes and back; alaw false: mu-law. */
void audio_g711_encode(bool alaw, const int16_t *samples, size_t n, uint8_t *dst);
void audio_g711_decode(bool alaw, const uint8_t *codes, size_t n, int16_t *dst);

/* ---- tone generator (tone.c) --------------------------------------------------------------------------------- */

/* One or two sines with a cadence; phase runs on without a click from one call to the next. */
struct tone {
	uint32_t step[2], phase[2]; /* turns, 32-bit fraction */
	float peak;
	uint32_t on_samples, period_samples, at_sample; /* period 0: continuous */
};
/* hz[1] 0: one sine. level_dbm0: of each sine, -60..+3. off_ms 0: continuous. Frequencies above rate/2 are silent. */
void tone_init(struct tone *t, uint32_t rate_hz, const uint16_t hz[static 2], int level_dbm0, uint32_t on_ms, uint32_t off_ms);
/* 440 + 480 Hz, -19 dBm0 each, 2 s on, 4 s off (North America). */
void tone_init_ringback(struct tone *t, uint32_t rate_hz);
/* 1004 Hz at 0 dBm0: the milliwatt test. */
void tone_init_milliwatt(struct tone *t, uint32_t rate_hz);
void tone_fill(struct tone *t, int16_t *dst, size_t n);
/* Peak of a sine of this level, in sample units. */
double tone_peak_of(double dbm0);

/* ---- detector (detect.c) ------------------------------------------------------------------------------------- */

/* Power at one frequency, as dBm0 of a sine that would give it; -100 for none. Goertzel, rectangular window. */
double tone_level_dbm0(const int16_t *samples, size_t n, uint32_t rate_hz, double hz);
/* Frequency of the strongest sine between 250 and 3500 Hz: within 5 Hz for n of at least 200 ms (works, coarser, from
 * 50 ms). 0: too short, below -45 dBm0, or no sine holds a quarter of the energy (speech, noise). */
double tone_dominant_hz(const int16_t *samples, size_t n, uint32_t rate_hz);

#endif

#include "audio/audio.h"

#include <math.h>

double tone_peak_of(double dbm0)
{
	return AUDIO_PEAK_0DBM0 * pow(10, dbm0 / 20);
}

void tone_init(struct tone *t, uint32_t rate_hz, const uint16_t hz[static 2], int level_dbm0, uint32_t on_ms, uint32_t off_ms)
{
	int level = level_dbm0 < -60 ? -60 : level_dbm0 > 3 ? 3 : level_dbm0;
	*t = (struct tone){.peak = (float)tone_peak_of(level)};
	for (int i = 0; i < 2; i++)
		if (hz[i] && rate_hz && hz[i] <= rate_hz / 2)
			t->step[i] = (uint32_t)(((uint64_t)hz[i] << 32) / rate_hz);
	if (off_ms && on_ms) {
		t->on_samples = (uint32_t)((uint64_t)on_ms * rate_hz / 1000);
		t->period_samples = t->on_samples + (uint32_t)((uint64_t)off_ms * rate_hz / 1000);
	}
}

void tone_init_ringback(struct tone *t, uint32_t rate_hz)
{
	tone_init(t, rate_hz, (const uint16_t[2]){440, 480}, -19, 2000, 4000);
}

void tone_init_milliwatt(struct tone *t, uint32_t rate_hz)
{
	tone_init(t, rate_hz, (const uint16_t[2]){1004, 0}, 0, 0, 0);
}

/* sin of a turn by an odd polynomial over the quarter wave (error below 1e-6): the same bits on every machine's libm. */
static float sine(uint32_t phase)
{
	uint32_t q = phase & 0x7fffffff; /* half a turn, mirrored at its middle */
	if (q > 0x40000000)
		q = 0x80000000u - q;
	float x = (float)q * (1.0f / 1073741824.0f), y = x * x;
	float s = x * (1.5707963f - y * (0.6459641f - y * (0.0796926f - y * (0.0046818f - y * 0.00016044f))));
	return phase & 0x80000000u ? -s : s;
}

static int16_t clip(float v)
{
	if (v > 32767)
		return 32767;
	if (v < -32768)
		return -32768;
	return (int16_t)(v < 0 ? v - 0.5f : v + 0.5f);
}

void tone_fill(struct tone *t, int16_t *dst, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		float v = sine(t->phase[0]);
		if (t->step[1])
			v += sine(t->phase[1]);
		dst[i] = t->period_samples && t->at_sample >= t->on_samples ? 0 : clip(v * t->peak);
		t->phase[0] += t->step[0];
		t->phase[1] += t->step[1];
		if (t->period_samples && ++t->at_sample == t->period_samples)
			t->at_sample = 0;
	}
}

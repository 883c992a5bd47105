#include "audio/audio.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* Energy of one frequency under a Hann window (side lobes would else hide a weaker tone's own peak). */
static double hann_power(const int16_t *s, size_t n, double rate, double hz, bool window)
{
	double c = 2 * cos(2 * pi * hz / rate), s1 = 0, s2 = 0;
	/* The window by its own recurrence: cos(k w) without a call per sample. */
	double w = 2 * pi / (double)n, cw = 2 * cos(w), k1 = cos(-w), k0 = 1;
	for (size_t i = 0; i < n; i++) {
		double x = s[i] * (window ? 0.5 - 0.5 * k0 : 1.0);
		double next = cw * k0 - k1, y = x + c * s1 - s2;
		k1 = k0;
		k0 = next;
		s2 = s1;
		s1 = y;
	}
	return s1 * s1 + s2 * s2 - c * s1 * s2;
}

double tone_level_dbm0(const int16_t *samples, size_t n, uint32_t rate_hz, double hz)
{
	if (n == 0 || rate_hz == 0)
		return -100;
	double peak = 2 * sqrt(fabs(hann_power(samples, n, rate_hz, hz, false))) / (double)n;
	double db = peak > 0 ? 20 * log10(peak / AUDIO_PEAK_0DBM0) : -100;
	return db < -100 ? -100 : db;
}

static double energy(const int16_t *s, size_t n)
{
	double e = 0;
	for (size_t i = 0; i < n; i++)
		e += (double)s[i] * s[i];
	return e;
}

/* Strongest of the coarse bins: blocks of 50 ms, summed without phase. */
static double coarse(const int16_t *s, size_t n, double rate)
{
	size_t block = (size_t)(rate / 20);
	double best = 0, best_hz = 0;
	for (double hz = 240; hz <= 3520 && hz < rate / 2; hz += 20) {
		double p = 0;
		for (size_t at = 0; at + block <= n; at += block)
			p += hann_power(s + at, block, rate, hz, true);
		if (p > best) {
			best = p;
			best_hz = hz;
		}
	}
	return best_hz;
}

double tone_dominant_hz(const int16_t *samples, size_t n, uint32_t rate_hz)
{
	double rate = rate_hz;
	if (rate_hz < 8000 || n < rate_hz / 20)
		return 0;
	double e = energy(samples, n);
	double floor_peak = tone_peak_of(-45);
	if (e < (double)n * floor_peak * floor_peak / 2)
		return 0;
	double centre = coarse(samples, n, rate), hz = centre;
	/* Narrow by halves on the whole length: the main lobe is wider than the first step, so the hill has one top. */
	double step = rate / (double)n > 10 ? 10 : rate / (double)n;
	double top = 0;
	for (double at = centre - 30; at <= centre + 30; at += step) {
		double p = hann_power(samples, n, rate, at, true);
		if (p > top) {
			top = p;
			hz = at;
		}
	}
	for (step /= 2; step > 0.2; step /= 2) {
		double lo = hann_power(samples, n, rate, hz - step, true), hi = hann_power(samples, n, rate, hz + step, true);
		if (lo > top || hi > top) {
			hz += hi > lo ? step : -step;
			top = hi > lo ? hi : lo;
		}
	}
	/* A sine of peak A gives A n / 4 under Hann and holds A^2 n / 2 of energy. */
	double peak = 4 * sqrt(top) / (double)n;
	if (hz < 250 || hz > 3500 || peak * peak * (double)n / 2 < 0.25 * e)
		return 0;
	return hz;
}

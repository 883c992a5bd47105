#include "audio/audio.h"

/* ITU-T G.711 as bit operations: 14-bit mu-law and 13-bit A-law, scaled to 16 bits. */
enum { ULAW_BIAS = 33, ULAW_CLIP = 8158 };

static unsigned top_bit(unsigned v)
{
	return 31u - (unsigned)__builtin_clz(v);
}

uint8_t audio_ulaw_encode(int16_t sample)
{
	/* Magnitudes as of one's complement: -1 is the smallest negative step, as in the ITU's reference code. */
	unsigned mag = (unsigned)(sample < 0 ? ~sample : sample) >> 2, sign = sample < 0 ? 0 : 0x80;
	if (mag > ULAW_CLIP)
		mag = ULAW_CLIP;
	mag += ULAW_BIAS;
	unsigned seg = top_bit(mag) - 5, low = mag >> (seg + 1) & 0x0f;
	return (uint8_t)(sign | (~(seg << 4 | low) & 0x7f));
}

int16_t audio_ulaw_decode(uint8_t code)
{
	unsigned u = (unsigned)~code & 0xff, seg = u >> 4 & 7;
	int v = (int)((((u & 0x0f) << 1) + ULAW_BIAS) << seg) - ULAW_BIAS;
	return (int16_t)(u & 0x80 ? -v * 4 : v * 4);
}

uint8_t audio_alaw_encode(int16_t sample)
{
	unsigned mag = (unsigned)(sample < 0 ? ~sample : sample) >> 4, sign = sample < 0 ? 0 : 0x80;
	unsigned seg = mag < 16 ? 0 : top_bit(mag) - 3, low = (seg < 2 ? mag : mag >> (seg - 1)) & 0x0f;
	return (uint8_t)((sign | seg << 4 | low) ^ 0x55);
}

int16_t audio_alaw_decode(uint8_t code)
{
	unsigned a = code ^ 0x55u, seg = a >> 4 & 7, low = a & 0x0f;
	unsigned v = seg == 0 ? low * 2 + 1 : (low * 2 + 33) << (seg - 1);
	return (int16_t)(a & 0x80 ? (int)v * 8 : -(int)v * 8);
}

void audio_g711_encode(bool alaw, const int16_t *samples, size_t n, uint8_t *dst)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = alaw ? audio_alaw_encode(samples[i]) : audio_ulaw_encode(samples[i]);
}

void audio_g711_decode(bool alaw, const uint8_t *codes, size_t n, int16_t *dst)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = alaw ? audio_alaw_decode(codes[i]) : audio_ulaw_decode(codes[i]);
}

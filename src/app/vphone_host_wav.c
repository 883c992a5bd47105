/* WAV files of 8 kHz, 16 bit, one channel; and the recording of what comes in. */
#include "app/vphone_host.h"

#include "audio/audio.h"
#include "io/file.h"
#include "rtp/rtp.h"

#include <stdlib.h>

enum { WAV_MAX = 64 * 1024 * 1024 };

static uint32_t le(const char *p, int n)
{
	uint32_t v = 0;
	for (int i = n - 1; i >= 0; i--)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

int vh_wav_read(const char *path, int16_t **pcm, size_t *n)
{
	char *b;
	size_t len, at = 12;
	bool good = false;
	if (file_read(path, WAV_MAX, &b, &len) != 0)
		return -1;
	*pcm = NULL;
	while (len >= 12 && memcmp(b, "RIFF", 4) == 0 && memcmp(b + 8, "WAVE", 4) == 0 && len - at >= 8 && at <= len) {
		size_t size = le(b + at + 4, 4), room = len - at - 8;
		if (size > room)
			size = room;
		if (memcmp(b + at, "fmt ", 4) == 0 && size >= 16)
			good = le(b + at + 8, 2) == 1 && le(b + at + 10, 2) == 1 && le(b + at + 12, 4) == 8000 && le(b + at + 22, 2) == 16;
		if (memcmp(b + at, "data", 4) == 0 && good && (*pcm = malloc(size ? size : 1))) {
			memcpy(*pcm, b + at + 8, size);
			*n = size / 2;
			break;
		}
		at += 8 + size + (size & 1);
		if (at > len)
			break;
	}
	free(b);
	return *pcm ? 0 : -1;
}

static void put(char *p, uint32_t v, int n)
{
	for (int i = 0; i < n; i++, v >>= 8)
		p[i] = (char)(v & 0xff);
}

int vh_wav_write(const char *path, const int16_t *pcm, size_t n)
{
	size_t bytes = n * 2;
	char *b = calloc(1, 44 + bytes);
	if (!b)
		return -1;
	memcpy(b, "RIFF", 4);
	put(b + 4, (uint32_t)(36 + bytes), 4);
	memcpy(b + 8, "WAVEfmt ", 8);
	put(b + 16, 16, 4);
	put(b + 20, 1, 2);
	put(b + 22, 1, 2);
	put(b + 24, 8000, 4);
	put(b + 28, 16000, 4);
	put(b + 32, 2, 2);
	put(b + 34, 16, 2);
	memcpy(b + 36, "data", 4);
	put(b + 40, (uint32_t)bytes, 4);
	if (bytes)
		memcpy(b + 44, pcm, bytes);
	int rc = file_write(path, span_mem(b, 44 + bytes), false);
	free(b);
	return rc;
}

void vh_record_packet(struct vhost *h, struct span packet)
{
	struct rtp r;
	if (!h->rec_path[0] || rtp_parse(packet, &r) != 0 || (r.pt != RTP_PT_PCMU && r.pt != RTP_PT_PCMA))
		return;
	if (h->rec_n + r.payload.n > WAV_MAX / 2)
		return;
	if (h->rec_n + r.payload.n > h->rec_cap) {
		size_t cap = h->rec_cap ? h->rec_cap * 2 : 80000;
		int16_t *p = realloc(h->rec, cap * 2);
		if (!p)
			return;
		h->rec = p;
		h->rec_cap = cap;
	}
	if (h->rec_n + r.payload.n <= h->rec_cap) {
		audio_g711_decode(r.pt == RTP_PT_PCMA, (const uint8_t *)r.payload.p, r.payload.n, h->rec + h->rec_n);
		h->rec_n += r.payload.n;
	}
}

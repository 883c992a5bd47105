/* Descriptions; our answer to each must parse and have as many m= lines. */
#include "sip/sdp/sdp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sdp s, back;
	static char out[1 << 17];
	struct sdp_error err;
	struct sdp_local l = {.session_id = 1, .version = 1, .rtp = {.family = 4, .port = 2000}, .answer_to = &s};
	struct sdp_format mine[] = {{.pt = 0, .encoding = SPAN_LIT("PCMU"), .clock_hz = 8000, .channels = 1},
				    {.pt = 101, .encoding = SPAN_LIT("telephone-event"), .clock_hz = 8000, .channels = 1}};
	struct text t = TEXT_ARRAY(out);
	if (size > 60000)
		return 0;
	if (sdp_parse(span_mem(data, size), &s, &err) < 0) {
		if (err.offset > size)
			abort();
		return 0;
	}
	const struct sdp_media *a = sdp_audio(&s);
	if (a) {
		l.audio_index = (uint8_t)(a - s.media);
		l.n_fmt = (uint8_t)sdp_intersect(a, mine, 2, l.fmt, SDP_MAX_FORMATS);
	}
	for (int i = 0; i < s.n_media; i++)
		if (s.media[i].raw.p < s.raw.p || s.media[i].raw.p + s.media[i].raw.n > s.raw.p + s.raw.n)
			abort();
	sdp_write(&t, &l);
	if (!t.over && (sdp_parse(text_span(&t), &back, &err) < 0 || back.n_media != s.n_media))
		abort();
	return 0;
}

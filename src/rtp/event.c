#include "rtp/rtp.h"

#include "rtp/bytes.h"

static const char keys[] = "0123456789*#ABCD";

int rtp_event_parse(struct span payload, struct rtp_event *out)
{
	const uint8_t *p = (const uint8_t *)payload.p;
	if (payload.n < 4)
		return -1;
	*out = (struct rtp_event){.event = p[0], .end = p[1] >> 7, .volume_dbm0 = p[1] & 0x3f, .duration = get16(p + 2)};
	return 0;
}

void rtp_event_write(const struct rtp_event *e, uint8_t dst[static 4])
{
	dst[0] = e->event;
	dst[1] = (uint8_t)((e->end ? 0x80 : 0) | (e->volume_dbm0 & 0x3f));
	put16(dst + 2, e->duration);
}

char rtp_event_char(uint8_t event)
{
	return event < sizeof keys - 1 ? keys[event] : '\0';
}

int rtp_event_of(char c)
{
	if (c >= 'a' && c <= 'd')
		c = (char)(c - 'a' + 'A');
	for (int i = 0; i < (int)sizeof keys - 1; i++)
		if (keys[i] == c)
			return i;
	return -1;
}

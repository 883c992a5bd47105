#include "base/assert.h"
#include "mgraph/mgraph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SLOTS = 4 };
static uint64_t sends;

static void on_send(void *ctx, media_slot slot, bool rtcp, const struct addr *to, struct span bytes)
{
	(void)ctx;
	(void)rtcp;
	INVARIANT(slot >> 16 == 3 && (slot & 0xffff) < SLOTS && to->family && to->port && bytes.n > 0);
	sends++;
}

static void on_event(void *ctx, const struct media_event *e)
{
	(void)ctx;
	INVARIANT(e->stats.mos_x100 <= 450);
}

static struct addr from_byte(uint8_t b)
{
	return (struct addr){.family = b & 8 ? 6 : 4, .ip = {10, (uint8_t)(b & 1)}, .port = (uint16_t)(4000 + (b >> 1 & 3))};
}

static void one_command(struct mgraph *g, const uint8_t *p, uint64_t seq, int64_t now)
{
	struct media_cmd c = {.seq = seq, .op = (enum media_op)(p[0] % (MEDIA_CLOSE + 1)), .slot = 3u << 16 | (p[1] & 7), .peer_slot = 3u << 16 | (p[1] >> 3 & 7),
	        .remote = from_byte(p[2]), .remote_rtcp = from_byte(p[3]), .may_send = p[4] & 1, .may_recv = p[4] & 2, .relearn = p[4] & 4, .pt = p[5],
	        .pt_dtmf = p[6], .ptime_ms = p[7], .source = (enum media_source)(p[4] >> 3 & 3), .tone_hz = {p[5], (uint16_t)(p[6] * 30)},
	        .tone_on_ms = p[2], .tone_off_ms = p[3], .tone_level_dbm0 = (int8_t)p[7], .clock_hz = p[6] * 100u};
	mgraph_command(g, &c, now);
}

/* Records: kind, time step, then 8 bytes of command or an address, a length and that many bytes of datagram. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mgraph_out out = {.send = on_send, .event = on_event};
	struct mgraph *g = mgraph_new(3, SLOTS, 1, &out);
	int64_t now = 1000000;
	uint64_t seq = 0;
	size_t at = 0;
	if (!g)
		return 0;
	while (size - at >= 10) {
		const uint8_t *p = data + at;
		now += p[1] * 1000;
		at += 10;
		if (p[0] & 1) {
			one_command(g, p + 2, ++seq, now);
		} else {
			size_t n = p[4] < size - at ? p[4] : size - at;
			struct addr from = from_byte(p[2]);
			mgraph_packet(g, 3u << 16 | (p[3] & 7), p[0] & 2, &from, span_mem(data + at, n), now);
			at += n;
		}
		mgraph_tick(g, now);
		INVARIANT(mgraph_deadline(g) > now - 1000);
	}
	mgraph_free(g);
	return 0;
}

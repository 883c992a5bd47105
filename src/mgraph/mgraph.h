/* mgraph: the media graph of one worker. Layer 3, pure: (command | packet | tick, now) -> packets and events.
 * Owner and thread: one media worker, or the simulator. No allocation after mgraph_new. */
#ifndef MGRAPH_MGRAPH_H
#define MGRAPH_MGRAPH_H

#include "mgraph/command.h"

struct mgraph;

struct mgraph_out {
	void *ctx;
	/* Bytes leave by the RTP (or RTCP) socket of the slot. Borrowed for the call; for a relayed packet they are the
	 * received bytes themselves (no copy). */
	void (*send)(void *ctx, media_slot slot, bool rtcp, const struct addr *to, struct span bytes);
	void (*event)(void *ctx, const struct media_event *e);
};

/* worker: upper half of its slot numbers; n_slots port pairs. NULL without memory. */
struct mgraph *mgraph_new(uint16_t worker, uint32_t n_slots, uint64_t seed, const struct mgraph_out *out);
void mgraph_free(struct mgraph *g);
/* Commands apply in order; one with a seq not above the last is ignored (delivered twice).
 * After OPEN nothing is sent or received until MEDIA_REMOTE says so. BRIDGE stops the sources of both slots; a source
 * started on a bridged slot is heard instead of the other side until SOURCE_NONE. Closing a slot that is not open is
 * answered by CLOSED all the same. */
void mgraph_command(struct mgraph *g, const struct media_cmd *c, int64_t now_us);
/* A datagram on the slot's RTP or RTCP port. Rules: nothing before OPEN; the source is latched by the first valid RTP
 * packet whose address equals the signalled one, or (symmetric RTP behind NAT) from any address while not yet latched;
 * after that packets of others are dropped and never re-learned unless MEDIA_REMOTE said relearn. One exception: the
 * signalled address itself takes the stream over from a source that was only learned. RTCP: from the same IP only. */
void mgraph_packet(struct mgraph *g, media_slot slot, bool rtcp, const struct addr *from, struct span bytes, int64_t now_us);
/* Next time mgraph_tick wants to be called; INT64_MAX: none (no source plays). */
int64_t mgraph_deadline(const struct mgraph *g);
void mgraph_tick(struct mgraph *g, int64_t now_us);
/* Live statistics of an open slot. */
bool mgraph_stats(const struct mgraph *g, media_slot slot, struct media_stats *out);

#endif

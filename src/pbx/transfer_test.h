/* What the tests of transfers share: four phones, who is moved to whom, whose voices meet. */
#ifndef PBX_TRANSFER_TEST_H
#define PBX_TRANSFER_TEST_H

#include "pbx/phone_test.h"

static struct phone a, b, c, d;
UNUSED static struct world *start(void)
{
	struct world *w = w_new(16);
	struct phone *const all[] = {&a, &b, &c, &d};
	for (int i = 0; i < 4; i++) {
		phone_init(all[i], i + 1);
		register_phone(w, all[i]);
	}
	return w;
}

UNUSED static bool has(struct span hay, const char *needle)
{
	return span_find(hay, span_z(needle)) >= 0;
}

UNUSED static const struct sdp_media *audio(const struct sip_msg *m)
{
	static struct sdp s;
	struct sdp_error err;
	assert_int_equal(sdp_parse(m->body, &s, &err), 0);
	return sdp_audio(&s);
}

/* It is offered the other one's description, off hold, with that one's name, and takes it. */
UNUSED static void moved(struct world *w, struct side *s, const struct phone *to, bool named)
{
	const struct sip_msg *m = take_request(w, s->p, SIP_INVITE);
	assert_int_equal(audio(m)->dir, SDP_SENDRECV);
	if (named)
		assert_true(has(sip_hdr_value(m, SIP_H_P_ASSERTED_IDENTITY), to->ext));
	reply(w, s, m, 200, SDP(s->p));
	take_request(w, s->p, SIP_ACK);
}

UNUSED static const struct media_cmd *last(const struct world *w, enum media_op op)
{
	for (int i = w->n_media - 1; i >= 0; i--)
		if (w->media[i].op == op)
			return &w->media[i];
	return NULL;
}

/* The voices of these two: one bridge between their slots, both may speak. */
UNUSED static void bridged(const struct world *w, const struct phone *x, const struct phone *y)
{
	const struct media_cmd *br = last(w, MEDIA_BRIDGE), *rx = NULL, *ry = NULL;
	for (int i = 0; i < w->n_media; i++) {
		const struct media_cmd *m = &w->media[i];
		if (m->op != MEDIA_REMOTE)
			continue;
		if (m->remote.port == x->rtp && (m->slot == br->slot || m->slot == br->peer_slot))
			rx = m;
		if (m->remote.port == y->rtp && (m->slot == br->slot || m->slot == br->peer_slot))
			ry = m;
	}
	assert_true(rx && ry && rx->slot != ry->slot);
	assert_true(rx->may_send && rx->may_recv && ry->may_send && ry->may_recv);
}

UNUSED static int causes(const struct world *w, uint16_t cause)
{
	int n = 0;
	for (int i = 0; i < w->n_cdr; i++)
		n += w->cdr[i].closed && w->cdr[i].cause == cause;
	return n;
}

UNUSED static const struct sip_msg *rings(struct world *w, struct side *s, struct phone *p)
{
	const struct sip_msg *inv = take_request(w, p, SIP_INVITE);
	side_called(w, s, p, inv);
	reply(w, s, inv, 180, SPAN_NONE);
	return inv;
}

#endif

/* INVITE with Replaces: who sends it, and has proved who it is, takes the place of the party whose dialog it names: of one who talks
 * (taken over by another phone of the same extension), or of one who rings (picked up by whoever was told the dialog's names, which
 * only its two ends and we know). A call for help is never taken over. */
#include "pbx/cell_internal.h"

/* A called party before its answer has no dialog of ours yet: it is told by our tag and the Call-ID. */
static bool is_early(const struct leg *l)
{
	return !l->inbound && l->dlg.state == DIALOG_NONE;
}

static struct leg *named(const struct cell *c, const struct sip_replaces *r, struct span ours, struct span theirs)
{
	struct leg *l = leg_by_tag(c, ours);
	if (!l)
		return NULL;
	if (is_early(l))
		return span_eqz(r->call_id, l->call_id) ? l : NULL;
	return span_eq(r->call_id, l->dlg.call_id) && span_eq(theirs, l->dlg.remote_tag) ? l : NULL;
}

/* Who refers names the dialog as its far end sees it: our tag is the to-tag. Who picks up names it as the watched phone does:
 * our tag is the from-tag. */
struct leg *replaces_leg(const struct cell *c, const struct sip_replaces *r)
{
	struct leg *l = named(c, r, r->to_tag, r->from_tag);
	return l ? l : named(c, r, r->from_tag, r->to_tag);
}

/* 0: *x may be replaced; else the answer (RFC 3891 3). */
static uint16_t whom(const struct cell *c, const struct sip_msg *req, const struct who *who, struct leg **x)
{
	struct sip_replaces r;
	const struct sip_hdr *h = sip_hdr(req, SIP_H_REPLACES);
	if (sip_hdr_next(req, h) || sip_replaces_parse(h->value, &r))
		return 400;
	struct leg *l = *x = replaces_leg(c, &r);
	if (!l)
		return 481;
	if (l->ended)
		return 603;
	/* a talking party gives its place to nobody but another phone of its own; a ringing call goes to who was told of it */
	if (l->call->emergency || (!is_early(l) && strcmp(l->ext, who->ext->row.number) != 0))
		return 403;
	if (l->call->referring)
		return 491;
	if (is_early(l))
		return leg_is_pending(l) && l->call->caller && !l->call->offerless ? 0 : 481;
	const struct leg *peer = call_peer(l);
	if (l->state != LEG_UP || !peer || peer->state != LEG_UP || peer->ended)
		return 481;
	return r.early_only ? 486 : 0;
}

/* An answer to the newcomer that says what the other one said, or an offer of it. */
static bool describe(struct cell *c, struct leg *l, const struct leg *other)
{
	struct sdp s, o;
	struct sdp_media open;
	const struct block *says = other->remote_sdp.n ? &other->remote_sdp : &other->wanted_sdp;
	const struct sdp_media *m = plan_opened(plan_parse(c, block_span(says), &s, NULL), &open);
	if (!l->wanted_sdp.n)
		return plan_offer(c, l, m);
	const struct sdp_media *own = plan_parse(c, block_span(&l->wanted_sdp), &o, NULL);
	if (!own || !m || !plan_answer(c, l, block_span(&l->wanted_sdp), m))
		return false;
	media_remote(c, l, own);
	plan_note_codec(l, m);
	return true;
}

static void answer(struct cell *c, struct leg *l)
{
	struct leg_arg arg = {.status = 200};
	cdr_answered(c, l);
	leg_event(c, l, LEG_EV_ANSWER, &arg);
}

static bool take_over(struct cell *c, struct leg *l, struct leg *x)
{
	struct call *k = l->call;
	struct leg *peer = call_peer(x);
	bool offered = l->wanted_sdp.n > 0;
	if (!describe(c, l, peer) || !refer_join(c, k, peer, l))
		return false;
	leg_log(c, peer, LOG_INFO, "call.replaced", LOG_Z("by", l->ext), LOG_Z("was", x->ext));
	answer(c, l);
	leg_hang(c, x, CDR_TRANSFERRED, 0, 2);
	peer->moved = MOVED_DUE;
	if (offered) /* else when the ACK brings the answer */
		reinvite_resync(c, peer);
	return true;
}

static bool pick_up(struct cell *c, struct leg *l)
{
	struct call *k = l->call;
	struct leg *a = k->caller;
	struct leg_arg arg = {.status = 200};
	struct sdp s;
	const struct sdp_media *m = plan_parse(c, block_span(&l->wanted_sdp), &s, NULL);
	if (!m || !describe(c, l, a) || !call_connect_media(c, k, l, m))
		return false;
	leg_log(c, a, LOG_INFO, "call.picked_up", LOG_Z("by", l->ext));
	k->state = CALL_UP;
	k->winner = l;
	k->answered_us = c->now_us;
	c->calls_answered++;
	wheel_cancel(&c->wheel, &k->ring);
	memcpy(k->callee, l->ext, sizeof l->ext);
	cdr_answered(c, a);
	leg_event(c, a, LEG_EV_ANSWER, &arg);
	answer(c, l);
	for (struct leg *o = k->first; o; o = o->next)
		if (leg_is_pending(o))
			leg_hang(c, o, CDR_ANSWERED_ELSEWHERE, 487, 3);
	return true;
}

static void refuse(struct cell *c, struct leg *l, uint16_t status)
{
	struct leg_arg arg = {.status = status};
	leg_end(c, l, cause_of(status), status, 3);
	leg_event(c, l, LEG_EV_REFUSE, &arg);
}

/* The newcomer's leg in the call, with dialog and record; NULL: answered. */
static struct leg *newcomer(struct cell *c, struct call *k, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who,
			    uint64_t merge)
{
	char device[32];
	struct text dev = TEXT_ARRAY(device);
	struct leg *l = caller_leg(c, k, id, req, from, who);
	bool dialog = l && dialog_from_request(&l->dlg, &c->slab, req, from, span_z(l->tag)) == 0;
	if (dialog) {
		c->dialogs++;
		l->merge = merge;
		if (map_put(&c->merges, span_mem(&l->merge, sizeof l->merge), l))
			l->merge = 0;
	}
	name_of_device(who->dev, &dev);
	if (dialog && l->merge && cdr_open(c, l, text_span(&dev)))
		return l;
	if (l) {
		l->inv = 0; /* answered here */
		leg_free(c, l);
	}
	if (!l || dialog)
		call_no_room(c, id, req, from, "legs");
	else
		reply_plain(c, id, 0, req, from, 400, SPAN_NONE);
	return NULL;
}

void replaces_invite(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who, uint64_t merge)
{
	struct leg *x;
	uint16_t fault = whom(c, req, who, &x);
	if (fault) {
		c->refused++;
		reply_plain(c, id, 0, req, from, fault, SPAN_NONE);
		return;
	}
	struct call *k = x->call;
	bool early = is_early(x);
	struct leg *beside = early ? k->caller : call_peer(x);
	struct leg *l = newcomer(c, k, id, req, from, who, merge);
	if (!l)
		return;
	reply_plain(c, id, l->h, req, from, 100, SPAN_NONE);
	fault = caller_offer(c, l, req);
	if (!fault && !k->direct && (l->slot = slot_draw(c, l, beside->slot)) == MEDIA_NO_SLOT)
		fault = 503;
	if (!fault && !(early ? pick_up(c, l) : take_over(c, l, x)))
		fault = 488;
	if (fault)
		refuse(c, l, fault);
}

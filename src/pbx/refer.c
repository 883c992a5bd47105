/* REFER inside a call. Blind: the target rings in the same call while the two go on, and takes the place of who asked when it
 * answers; a refusal leaves both as they were. Attended (Replaces): the other party of the second call takes that place at once.
 * Who asked may hang up as soon as it likes: the one to be connected waits for the target alone. */
#include "pbx/watch.h"

/* The transfer is decided: who asked hears it. */
static void tell(struct cell *c, struct call *k, uint16_t status, bool last)
{
	watch_refer_notify(c, k->refer_sub, status, last);
	if (last)
		k->refer_sub = 0;
}

static void forget(struct cell *c, struct call *k)
{
	k->referring = k->emergency = false; /* a call for help is never transferred: if it was one, it is the transfer's */
	k->refer_by = k->refer_kept = NULL;
	k->refer_best = 0;
	wheel_cancel(&c->wheel, &k->ring);
}

static void hang_pending(struct cell *c, struct call *k, const struct leg *but, uint16_t cause)
{
	for (struct leg *l = k->first; l; l = l->next)
		if (l != but && leg_is_pending(l))
			leg_hang(c, l, cause, 487, 3);
}

/* It did not work out. Who asked is still there and talks on, or the one who was to be connected has nobody left. */
static void failed(struct cell *c, struct call *k, uint16_t status)
{
	struct leg *kept = k->refer_kept;
	bool alone = !k->refer_by;
	tell(c, k, status, true);
	forget(c, k);
	if (!alone || !kept)
		return;
	leg_hang(c, kept, cause_of(status), status, 3);
	k->state = CALL_ENDED;
}

/* ---- two who talk ------------------------------------------------------------------------------------------------ */

/* Both on one worker, or neither has a slot (the voice goes direct). */
static bool give_slots(struct cell *c, struct call *k, struct leg *kept, struct leg *in)
{
	if (kept->slot == MEDIA_NO_SLOT && in->slot == MEDIA_NO_SLOT)
		return k->direct;
	bool drawn = kept->slot == MEDIA_NO_SLOT;
	if (drawn)
		kept->slot = slot_draw(c, kept, in->slot);
	if (kept->slot == MEDIA_NO_SLOT)
		return false;
	k->direct = false;
	if (in->slot != MEDIA_NO_SLOT && in->slot >> 16 == kept->slot >> 16)
		return true;
	media_slot near = slot_draw(c, in, kept->slot);
	if (near != MEDIA_NO_SLOT) {
		slot_close(c, in); /* its statistics are not counted: they are of the time before */
		in->slot = near;
		return true;
	}
	if (drawn) {
		slot_close(c, kept);
		kept->slot = MEDIA_NO_SLOT;
		k->direct = true;
	}
	return false;
}

static void rename_parties(struct cell *c, struct call *k, const struct leg *kept, const struct leg *in)
{
	const struct site_extension *e = site_extension_find(c->site, span_z(in->ext));
	if (kept == k->caller) {
		memcpy(k->callee, in->ext, sizeof in->ext);
		return;
	}
	memcpy(k->caller_number, in->ext, sizeof in->ext);
	memset(k->caller_name, 0, sizeof k->caller_name);
	if (e)
		memcpy(k->caller_name, e->row.name, sizeof k->caller_name);
}

/* What they asked of the one they talked with has no answer any more: they may ask again. */
static void let_go(struct cell *c, struct leg *l)
{
	for (int i = 0; i < MAX_RELAYED; i++) {
		if (!l->relay[i].in)
			continue;
		txn_orphan(c->txn, l->relay[i].out);
		reply_stored(c, l->relay[i].in, l, 503);
		l->relay[i] = (struct relay){0};
	}
	txn_id id = l->re_in;
	if (!id)
		return;
	l->re_in = 0;
	offer_failed(&l->offer);
	block_clear(c, &l->wanted_sdp);
	reply_stored(c, id, l, 491);
}

bool refer_join(struct cell *c, struct call *k, struct leg *kept, struct leg *in)
{
	if (!give_slots(c, k, kept, in))
		return false;
	*(kept == k->caller ? &k->winner : &k->caller) = in;
	k->early = NULL;
	rename_parties(c, k, kept, in);
	kept->bridged = in->bridged = false;
	media_bridge(c, kept, in);
	let_go(c, kept);
	if (in->state == LEG_UP)
		let_go(c, in);
	if (k->transfers < UINT8_MAX)
		k->transfers++;
	return true;
}

void refer_moved(struct cell *c, struct leg *l)
{
	struct leg *peer = call_peer(l);
	l->moved = MOVED_NOT;
	if (peer && peer->moved == MOVED_DUE)
		reinvite_resync(c, peer);
}

void refer_settled(struct cell *c, struct leg *l)
{
	if (l->moved == MOVED_OFFERED)
		refer_moved(c, l);
	else if (l->moved == MOVED_DUE) /* that was of the time before */
		reinvite_resync(c, l);
}

/* ---- attended ------------------------------------------------------------------------------------------------------ */

static uint16_t attended(struct cell *c, struct call *k, struct leg *x)
{
	struct leg *by = k->refer_by, *kept = k->refer_kept, *far = call_peer(x);
	struct call *second = x->call;
	char other[48];
	if (!far || far->state != LEG_UP || far->ended)
		return second->test ? 488 : 481;
	leg_log(c, kept, LOG_INFO, "call.transferred", LOG_Z("by", by->ext), LOG_Z("to", far->ext), LOG_Z("joined", call_id_z(c, second, other)));
	leg_move(far, k);
	if (!refer_join(c, k, kept, far)) {
		leg_move(far, second);
		*(x == second->caller ? &second->winner : &second->caller) = far;
		return 503;
	}
	second->state = CALL_ENDED;
	tell(c, k, 200, true);
	forget(c, k);
	leg_hang(c, x, CDR_TRANSFERRED, 0, 1);
	leg_hang_later(c, by, CDR_TRANSFERRED);
	kept->moved = far->moved = MOVED_DUE;
	reinvite_resync(c, far);
	return 0;
}

/* ---- blind --------------------------------------------------------------------------------------------------------- */

static uint16_t ring_target(struct cell *c, struct call *k, const struct sip_uri *uri)
{
	struct route rt;
	route_find(c, uri, &rt);
	if (rt.kind != ROUTE_EXTENSION)
		return rt.kind == ROUTE_TEST ? 488 : rt.kind == ROUTE_BAD ? 484 : 404;
	if (cdr_behind(c) && !rt.emergency)
		return 503;
	memcpy(k->refer_to, rt.dialled, sizeof k->refer_to);
	if (rt.emergency)
		leg_log(c, k->refer_by, LOG_WARN, "call.emergency", LOG_Z("number", rt.dialled), LOG_Z("target", c->settings->emergency_target));
	k->emergency |= rt.emergency;
	leg_log(c, k->refer_kept, LOG_INFO, "call.transfer", LOG_Z("by", k->refer_by->ext), LOG_Z("to", rt.dialled));
	return fork_transfer(c, k, rt.ext, k->refer_kept);
}

/* The second call is still ringing: it is given up, and the same number rings for the one who is to be connected. */
static uint16_t instead_of(struct cell *c, struct call *k, struct leg *x)
{
	char text[80];
	struct sip_uri uri;
	struct text t = TEXT_ARRAY(text);
	text_lit(&t, "sip:");
	sip_escape_user(&t, span_z(x->call->dialled));
	text_lit(&t, "@localhost");
	if (t.over || sip_uri_parse(text_span(&t), &uri))
		return 404;
	call_event(c, x->call, x, CALL_EV_END, 487, NULL);
	return ring_target(c, k, &uri);
}

static uint16_t carry_out(struct cell *c, struct call *k, const struct sip_refer *r)
{
	if (!r->has_replaces)
		return ring_target(c, k, &r->to.uri);
	struct leg *x = replaces_leg(c, &r->replaces);
	if (!x || x->ended || x->call == k)
		return 481;
	if (strcmp(x->ext, k->refer_by->ext) != 0 || x->call->emergency)
		return 403;
	if (x->call->state == CALL_UP && r->replaces.early_only)
		return 486;
	if (x->call->state == CALL_UP)
		return x->call->referring ? 491 : attended(c, k, x);
	return x == x->call->caller ? instead_of(c, k, x) : 481;
}

/* ---- the request --------------------------------------------------------------------------------------------------- */

/* Help is called whatever the limits, and whether there is room to tell of it or not. */
static bool for_help(const struct cell *c, const struct sip_refer *r)
{
	struct route rt;
	if (r->has_replaces)
		return false;
	route_find(c, &r->to.uri, &rt);
	return rt.emergency;
}

static uint16_t fault_of(const struct cell *c, const struct leg *l, const struct sip_msg *req, struct sip_refer *r)
{
	const struct leg *peer = call_peer(l);
	if (l->ended || l->state == LEG_CLOSING || l->state == LEG_GONE)
		return 481;
	uint16_t fault = sip_refer_read(req, r);
	if (fault)
		return fault;
	if (l->call->emergency || (l->call->transfers >= MAX_TRANSFERS && !for_help(c, r)))
		return 403;
	if (l->state != LEG_UP || l->call->referring)
		return 491;
	return !peer || peer->state != LEG_UP || peer->ended ? 603 : 0;
}

void refer_request(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from)
{
	struct sip_refer r;
	struct call *k = l->call;
	uint16_t fault = fault_of(c, l, req, &r);
	handle sub = 0;
	if (!fault && !r.silent && !(sub = watch_refer_begin(c, req, from, l, SPAN_NONE, NULL)) && !for_help(c, &r))
		fault = 503;
	if (fault) {
		reply_plain(c, id, l->h, req, from, fault, span_z(l->tag));
		return;
	}
	(void)dialog_refresh_target(&l->dlg, &c->slab, req);
	reply_begin(c, req, from, 202, span_z(l->tag));
	put_contact_for(c, l->inbound ? span_z(k->dialled) : span_z(k->caller_number), from, req);
	if (r.silent)
		sip_put_named(&c->b, "Refer-Sub", SPAN_LIT("false"));
	reply_send(c, id, l->h, 202, "", SPAN_NONE);
	k->referring = true;
	k->refer_by = l;
	k->refer_kept = call_peer(l);
	k->refer_sub = sub;
	k->refer_best = 0;
	tell(c, k, 100, false);
	uint16_t status = carry_out(c, k, &r);
	if (status)
		failed(c, k, status);
}

/* ---- what the target says ------------------------------------------------------------------------------------------ */

void refer_progress(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	struct sdp s;
	if (!k->referring)
		return;
	if (!l->remote_sdp.n && plan_parse(c, msg->body, &s, NULL)) /* a 200 need not say it again (RFC 3262 5) */
		(void)block_set(c, &l->remote_sdp, msg->body);
	cdr_rang(c, l);
	tell(c, k, status, false);
}

static bool take_answer(struct cell *c, struct call *k, struct leg *l, const struct sip_msg *msg)
{
	struct sdp s;
	struct span body = msg->body.n ? msg->body : block_span(&l->remote_sdp);
	const struct sdp_media *m = plan_parse(c, body, &s, NULL);
	(void)answer_received(&l->offer);
	block_move(c, &l->local_sdp, &l->offer_sdp);
	if (!m || (msg->body.n && !block_set(c, &l->remote_sdp, msg->body)) || !refer_join(c, k, k->refer_kept, l))
		return false;
	media_remote(c, l, m);
	plan_note_codec(l, m);
	return true;
}

void refer_answered(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	struct leg *by = k->refer_by, *kept = k->refer_kept;
	if (!take_answer(c, k, l, msg)) {
		leg_hang(c, l, CDR_NOT_ACCEPTABLE, 488, 3);
		refer_refused(c, k, l, 488, NULL);
		return;
	}
	c->calls_answered++;
	cdr_answered(c, l);
	hang_pending(c, k, l, CDR_ANSWERED_ELSEWHERE);
	leg_log(c, kept, LOG_INFO, "call.transferred", LOG_Z("by", by ? by->ext : ""), LOG_Z("to", l->ext));
	tell(c, k, status, true);
	bool help = k->emergency;
	forget(c, k);
	k->emergency = help;
	if (by)
		leg_hang_later(c, by, CDR_TRANSFERRED);
	kept->moved = MOVED_DUE;
	reinvite_resync(c, kept);
}

void refer_refused(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	(void)l, (void)msg;
	if (!k->referring)
		return;
	if (!k->refer_best || status == 486 || status >= 600)
		k->refer_best = status;
	if (status >= 600)
		hang_pending(c, k, NULL, CDR_NORMAL);
	for (const struct leg *o = k->first; o; o = o->next)
		if (leg_is_pending(o))
			return;
	failed(c, k, k->refer_best);
}

void refer_no_answer(struct cell *c, struct call *k)
{
	if (!k->referring)
		return;
	hang_pending(c, k, NULL, CDR_NO_ANSWER);
	failed(c, k, 480);
}

/* ---- who leaves meanwhile ------------------------------------------------------------------------------------------ */

void refer_dropped(struct cell *c, struct call *k, uint16_t status)
{
	if (!k->referring)
		return;
	tell(c, k, status, true);
	forget(c, k);
}

bool refer_left(struct cell *c, struct call *k, struct leg *l)
{
	if (!k->referring)
		return false;
	if (l != k->refer_by) {
		refer_dropped(c, k, 487);
		return false;
	}
	*(l == k->caller ? &k->caller : &k->winner) = NULL;
	k->refer_by = NULL;
	return true;
}

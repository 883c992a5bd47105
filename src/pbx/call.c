/* A call: what the PBX means by the legs. How it begins and what its events do; call_table.c says when. */
#include "pbx/cell_internal.h"

/* ---- life -------------------------------------------------------------------------------------------------------- */

void call_id_text(const struct cell *c, const struct call *k, struct text *t)
{
	text_z(t, c->o.boot_id);
	text_putc(t, '-');
	text_u64(t, k->number);
}

const char *call_id_z(const struct cell *c, const struct call *k, char buf[48])
{
	struct text t = text_on(buf, 48);
	call_id_text(c, k, &t);
	text_end(&t);
	return buf;
}

static struct call *call_new(struct cell *c)
{
	handle h;
	struct call *k = pool_new(&c->calls, &h);
	if (!k)
		return NULL;
	k->h = h;
	k->number = ++c->call_seq;
	k->started_us = c->now_us;
	k->ring.kind = TIMER_RING;
	k->prev = c->call_last;
	*(c->call_last ? &c->call_last->next : &c->call_first) = k;
	c->call_last = k;
	return k;
}

void call_free(struct cell *c, struct call *k)
{
	wheel_cancel(&c->wheel, &k->ring);
	*(k->prev ? &k->prev->next : &c->call_first) = k->next;
	*(k->next ? &k->next->prev : &c->call_last) = k->prev;
	pool_delete(&c->calls, k->h);
}

struct leg *call_peer(const struct leg *l)
{
	const struct call *k = l->call;
	if (!k->caller || !k->winner || k->caller == k->winner)
		return NULL;
	return l == k->caller ? k->winner : l == k->winner ? k->caller : NULL;
}

uint16_t cause_of(uint16_t status)
{
	switch (status) {
	case 404: case 410: case 484: return CDR_UNALLOCATED;
	case 486: case 600: return CDR_BUSY;
	case 408: return CDR_NO_RESPONSE;
	case 403: case 603: return CDR_REJECTED;
	case 415: case 488: case 606: return CDR_NOT_ACCEPTABLE;
	case 480: return CDR_DESTINATION_OUT_OF_ORDER;
	case 487: return CDR_CANCELLED;
	case 503: return CDR_CONGESTION;
	default: return status >= 500 && status < 600 ? CDR_TEMPORARY : CDR_INTERWORKING;
	}
}

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

void name_of_device(const struct site_device *d, struct text *t)
{
	if (d->row.mac[0]) {
		text_z(t, d->row.mac);
	} else {
		text_lit(t, "device-");
		text_u64(t, d->row.id);
	}
}

void call_no_room(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const char *what)
{
	char buf[20];
	c->noted.limits_reached++;
	cell_log(c, LOG_ERROR, "limit.reached", LOG_Z("what", what));
	c->refused++;
	reply_begin(c, req, from, 503, stray_tag(c, req, buf));
	sip_put_u(&c->b, SIP_H_RETRY_AFTER, 10);
	reply_send(c, id, 0, 503, "", SPAN_NONE);
}

/* The leg of who sends an INVITE; NULL: no room. */
struct leg *caller_leg(struct cell *c, struct call *k, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who)
{
	struct leg *l = leg_new(c, k, true);
	if (!l)
		return NULL;
	memcpy(l->ext, who->ext->row.number, sizeof l->ext);
	l->inv = id;
	l->inv_cseq = req->cseq;
	l->flow = *from;
	l->device_id = who->dev->row.id;
	txn_set_owner(c->txn, id, l->h);
	return l;
}

static struct call *call_of(struct cell *c, const struct sip_msg *req, const struct who *who, const struct route *rt)
{
	struct call *k = call_new(c);
	if (!k)
		return NULL;
	k->max_forwards = req->max_forwards > 0 ? req->max_forwards - 1 : 69;
	memcpy(k->caller_number, who->ext->row.number, sizeof who->ext->row.number);
	memcpy(k->caller_name, who->ext->row.name, sizeof k->caller_name);
	memcpy(k->dialled, rt->dialled, sizeof k->dialled);
	memcpy(k->callee, rt->dialled, sizeof k->callee - 1);
	k->emergency = rt->emergency;
	return k;
}

/* 0: go on; else the status to refuse with. */
uint16_t caller_offer(struct cell *c, struct leg *l, const struct sip_msg *req)
{
	struct sdp s;
	if (!req->body.n) {
		l->call->offerless |= l == l->call->caller;
		return 0;
	}
	if (!span_istarts(sip_hdr_value(req, SIP_H_CONTENT_TYPE), SPAN_LIT("application/sdp")) || sip_hdr(req, SIP_H_CONTENT_ENCODING))
		return 415;
	if (!plan_parse(c, req->body, &s, NULL))
		return 488;
	(void)offer_received(&l->offer);
	return block_set(c, &l->wanted_sdp, req->body) ? 0 : 503;
}

bool call_direct_wanted(const struct cell *c, const struct site_extension *e)
{
	switch (e->row.media) {
	case EXTENSION_MEDIA_SITE: return c->settings->media == SITE_SETTINGS_MEDIA_DIRECT;
	case EXTENSION_MEDIA_ANCHOR: return false;
	case EXTENSION_MEDIA_DIRECT: return true;
	}
	return false;
}

static void go(struct cell *c, struct call *k, const struct route *rt, const struct who *who)
{
	struct leg *a = k->caller;
	if (rt->emergency)
		leg_log(c, a, LOG_WARN, "call.emergency", LOG_Z("number", rt->dialled), LOG_Z("target", c->settings->emergency_target));
	switch (rt->kind) {
	case ROUTE_BAD:
	case ROUTE_UNKNOWN:
		call_refuse(c, k, rt->kind == ROUTE_BAD ? 484 : 404, CDR_UNALLOCATED);
		return;
	case ROUTE_EXTENSION:
		k->direct = !k->offerless && call_direct_wanted(c, rt->ext) && call_direct_wanted(c, who->ext);
		break;
	case ROUTE_TEST:
		k->test = rt->source;
		break;
	}
	if (!k->direct)
		a->slot = slot_draw(c, a, MEDIA_NO_SLOT);
	if (!k->direct && a->slot == MEDIA_NO_SLOT) {
		c->noted.limits_reached++;
		leg_log(c, a, LOG_ERROR, "limit.reached", LOG_Z("what", "media slots"));
		call_refuse(c, k, 503, CDR_CONGESTION);
	} else if (rt->kind == ROUTE_TEST) {
		test_answer(c, k);
	} else {
		fork_ring(c, k, rt->ext);
	}
}

static void drop_unborn(struct cell *c, struct leg *l)
{
	l->inv = 0; /* answered by the caller of this */
	leg_free(c, l);
}

void call_invite(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who)
{
	char device[32];
	struct text dev = TEXT_ARRAY(device);
	struct route rt;
	uint64_t key = merge_key(c, req);
	if (map_get(&c->merges, span_mem(&key, sizeof key))) {
		reply_plain(c, id, 0, req, from, 482, SPAN_NONE);
		return;
	}
	if (session_refuse(c, id, 0, req, from, SPAN_NONE))
		return;
	if (cdr_behind(c) && !guard_is_emergency(c, req)) {
		call_no_room(c, id, req, from, "unconfirmed records");
		return;
	}
	if (sip_hdr(req, SIP_H_REPLACES)) {
		replaces_invite(c, id, req, from, who, key);
		return;
	}
	route_find(c, &req->ruri, &rt);
	struct call *k = call_of(c, req, who, &rt);
	struct leg *l = k ? caller_leg(c, k, id, req, from, who) : NULL;
	if (!l) {
		if (k)
			call_free(c, k);
		call_no_room(c, id, req, from, "calls");
		return;
	}
	k->caller = l;
	if (dialog_from_request(&l->dlg, &c->slab, req, from, span_z(l->tag))) {
		drop_unborn(c, l);
		reply_plain(c, id, 0, req, from, 400, SPAN_NONE);
		return;
	}
	c->dialogs++;
	name_of_device(who->dev, &dev);
	l->merge = key;
	if (map_put(&c->merges, span_mem(&l->merge, sizeof l->merge), l))
		l->merge = 0;
	if (!l->merge || !cdr_open(c, l, text_span(&dev))) {
		drop_unborn(c, l);
		call_no_room(c, id, req, from, "records");
		return;
	}
	reply_plain(c, id, l->h, req, from, 100, SPAN_NONE);
	uint16_t fault = caller_offer(c, l, req);
	if (fault)
		call_refuse(c, l->call, fault, cause_of(fault));
	else
		go(c, l->call, &rt, who);
}

/* ---- events -------------------------------------------------------------------------------------------------------- */

bool leg_is_pending(const struct leg *l)
{
	return !l->inbound && !l->ended && (l->state == LEG_OUT_CALLING || l->state == LEG_OUT_RINGING);
}

static void hang_called(struct cell *c, struct call *k, const struct leg *but, uint16_t cause, uint8_t by)
{
	for (struct leg *l = k->first; l; l = l->next)
		if (!l->inbound && l != but && !l->ended)
			leg_hang(c, l, cause, 487, by);
}

void call_refuse(struct cell *c, struct call *k, uint16_t status, uint16_t cause)
{
	struct leg *a = k->caller;
	struct leg_arg arg = {.status = status};
	k->state = CALL_ENDED;
	wheel_cancel(&c->wheel, &k->ring);
	if (!a || a->ended)
		return;
	leg_end(c, a, cause, status, k->next_leg_no > 1 ? 2 : 3);
	leg_event(c, a, LEG_EV_REFUSE, &arg);
}

/* Early media: the first who sends a description is heard. */
static bool early_media(struct cell *c, struct call *k, struct leg *l, const struct sip_msg *msg)
{
	struct leg *a = k->caller;
	struct sdp s, o;
	if (k->early || k->offerless || !msg->body.n)
		return false;
	const struct sdp_media *m = plan_parse(c, msg->body, &s, NULL);
	const struct sdp_media *am = plan_parse(c, block_span(&a->wanted_sdp), &o, NULL);
	if (!m || !am || !plan_answer(c, a, block_span(&a->wanted_sdp), m) || !block_set(c, &l->remote_sdp, msg->body))
		return false;
	k->early = l;
	media_remote(c, a, am);
	media_remote(c, l, m);
	media_bridge(c, a, l);
	return true;
}

void call_progress(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	struct leg *a = k->caller;
	bool sdp = early_media(c, k, l, msg);
	struct leg_arg arg = {.status = status, .with_sdp = sdp};
	k->state = CALL_RINGING;
	cdr_rang(c, l);
	cdr_rang(c, a);
	if (sdp || a->early_status != status)
		leg_event(c, a, LEG_EV_RING, &arg);
}

bool call_connect_media(struct cell *c, struct call *k, struct leg *l, const struct sdp_media *m)
{
	struct leg *a = k->caller;
	struct sdp o;
	const struct sdp_media *am = plan_parse(c, block_span(a->remote_sdp.n ? &a->remote_sdp : &a->wanted_sdp), &o, NULL);
	if (a->rel.agreed) { /* before the answer, by a reliable 18x: what is new goes to whom it concerns when the call is up */
		a->rel.news |= !k->offerless && k->early != l;
		a->rel.news_for_peer |= k->offerless;
		if (!am)
			return false;
	} else if (k->offerless ? !plan_offer(c, a, m) : !am || !plan_answer(c, a, block_span(&a->wanted_sdp), m))
		return false;
	if (am)
		media_remote(c, a, am);
	media_remote(c, l, m);
	if (!a->bridged || k->early != l)
		media_bridge(c, a, l);
	plan_note_codec(a, m);
	plan_note_codec(l, m);
	return true;
}

void call_answered(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	struct leg *a = k->caller;
	struct leg_arg arg = {.status = status};
	struct sdp s;
	struct span body = msg->body.n ? msg->body : block_span(&l->remote_sdp);
	const struct sdp_media *m = plan_parse(c, body, &s, NULL);
	bool stored = m && (!msg->body.n || block_set(c, &l->remote_sdp, msg->body));
	(void)answer_received(&l->offer);
	block_move(c, &l->local_sdp, &l->offer_sdp);
	if (!stored || !call_connect_media(c, k, l, m)) {
		leg_hang(c, l, CDR_NOT_ACCEPTABLE, 488, 3);
		call_event(c, k, l, CALL_EV_REFUSED, 488, NULL);
		return;
	}
	k->state = CALL_UP;
	k->winner = l;
	k->answered_us = c->now_us;
	c->calls_answered++;
	wheel_cancel(&c->wheel, &k->ring);
	cdr_answered(c, l);
	cdr_answered(c, a);
	leg_event(c, a, LEG_EV_ANSWER, &arg);
	hang_called(c, k, l, CDR_ANSWERED_ELSEWHERE, 3);
}

/* What the caller is told of a branch's refusal. A phone's own trouble is not the caller's (RFC 3261 16.7 step 6). */
static uint16_t seen_by_caller(uint16_t status)
{
	if (status >= 600 || status == 486 || status == 488 || status == 403)
		return status;
	return status == 415 || status == 606 ? 488 : 480;
}

static int rank(uint16_t status)
{
	return status >= 600 ? 0 : status == 486 ? 1 : status == 488 ? 2 : status == 403 ? 3 : status ? 4 : 5;
}

void call_refused(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	(void)l, (void)msg;
	uint16_t seen = seen_by_caller(status);
	if (rank(seen) < rank(k->best))
		k->best = seen;
	if (status >= 600)
		hang_called(c, k, NULL, CDR_NORMAL, 3);
	for (const struct leg *o = k->first; o; o = o->next)
		if (leg_is_pending(o))
			return;
	call_refuse(c, k, k->best, status == 408 && k->best == 480 ? CDR_NO_RESPONSE : cause_of(k->best));
}

void call_left(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	(void)status, (void)msg;
	bool up = k->state == CALL_UP;
	if (refer_left(c, k, l))
		return;
	k->state = CALL_ENDED;
	wheel_cancel(&c->wheel, &k->ring);
	for (struct leg *o = k->first; o; o = o->next)
		if (o != l && !o->ended)
			leg_hang(c, o, up ? CDR_NORMAL : CDR_CANCELLED, up ? 0 : 487, 2);
}

static void end_all(struct cell *c, struct call *k, uint16_t cause, uint16_t status)
{
	k->state = CALL_ENDED;
	wheel_cancel(&c->wheel, &k->ring);
	for (struct leg *o = k->first; o; o = o->next)
		if (!o->ended)
			leg_hang(c, o, cause, status, 3);
}

void call_lost(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	(void)status, (void)msg;
	if (refer_left(c, k, l))
		return;
	end_all(c, k, CDR_TEMPORARY, k->state == CALL_UP ? 0 : 500);
}

void call_end(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	(void)l, (void)msg;
	refer_dropped(c, k, 487);
	end_all(c, k, CDR_NORMAL, k->state == CALL_UP ? 0 : status);
}

void call_no_answer(struct cell *c, struct call *k, struct leg *l, uint16_t status, const struct sip_msg *msg)
{
	(void)l, (void)status, (void)msg;
	if (k->state == CALL_UP) {
		refer_no_answer(c, k);
		return;
	}
	hang_called(c, k, NULL, CDR_NO_ANSWER, 3);
	call_refuse(c, k, 480, CDR_NO_ANSWER);
}

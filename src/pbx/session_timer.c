/* Session timers (RFC 4028), each leg its own. We ask for none to be spoken (no Require) and are the refresher wherever the
 * party leaves that to us: a phone refreshes nothing by itself, and a dead phone's call must end. A party that knows no
 * session timers is refreshed too: any answer of its own says that it lives. */
#include "pbx/cell_internal.h"

enum { GRACE_S = 32, AGAIN_US = SECOND_US, LONGEST_S = 86400 };

static uint32_t floor_s(const struct cell *c)
{
	return (uint32_t)c->settings->session_min_s;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Delta seconds before the parameters; 0: absent or no number. */
static uint32_t seconds(const struct sip_msg *m, enum sip_hdr_id id, struct span *refresher)
{
	struct span v = sip_hdr_value(m, id), n = span_trim(span_cut(&v, ';')), name, value;
	uint64_t s;
	if (refresher) {
		*refresher = SPAN_NONE;
		while (v.n) {
			value = span_cut(&v, ';');
			name = span_trim(span_cut(&value, '='));
			if (span_ieqz(name, "refresher"))
				*refresher = span_trim(value);
		}
	}
	return span_u64(n, UINT32_MAX, &s) < 0 ? 0 : s > LONGEST_S ? LONGEST_S : (uint32_t)s;
}

static bool speaks(const struct sip_msg *m)
{
	return sip_has_token(m, SIP_H_SUPPORTED, "timer") || sip_has_token(m, SIP_H_REQUIRE, "timer");
}

static void learn(struct leg *l, const struct sip_msg *m)
{
	if (sip_hdr(m, SIP_H_ALLOW))
		l->session.update = sip_has_token(m, SIP_H_ALLOW, "UPDATE");
}

/* RFC 4028 10: who waits gives up a little before the interval is over. */
static void arm(struct cell *c, struct leg *l)
{
	struct session *s = &l->session;
	uint32_t grace = s->interval_s / 3 < GRACE_S ? s->interval_s / 3 : GRACE_S;
	if (!s->interval_s) {
		wheel_cancel(&c->wheel, &s->due);
		return;
	}
	s->end_us = c->now_us + (int64_t)(s->interval_s - grace) * SECOND_US;
	wheel_set(&c->wheel, &s->due, s->ours ? c->now_us + (int64_t)s->interval_s * SECOND_US / 2 : s->end_us);
}

void session_stop(struct cell *c, struct leg *l)
{
	wheel_cancel(&c->wheel, &l->session.due);
	if (l->session.out)
		txn_orphan(c->txn, l->session.out);
	l->session.out = 0;
}

/* ---- requests of the party ----------------------------------------------------------------------------------- */

bool session_refuse(struct cell *c, txn_id id, uint64_t owner, const struct sip_msg *req, const struct sip_flow *from, struct span tag)
{
	uint32_t s = seconds(req, SIP_H_SESSION_EXPIRES, NULL);
	char buf[20];
	if (!s || s >= floor_s(c) || !speaks(req) || guard_is_emergency(c, req))
		return false;
	reply_begin(c, req, from, 422, tag.n ? tag : stray_tag(c, req, buf));
	sip_put_u(&c->b, SIP_H_MIN_SE, floor_s(c));
	reply_send(c, id, owner, 422, "", SPAN_NONE);
	return true;
}

/* What was agreed with the request that gets this 2xx (RFC 4028 9, table 2). */
static void agree(struct cell *c, struct leg *l, const struct sip_msg *req)
{
	struct session *s = &l->session;
	struct span refresher;
	uint32_t asked = seconds(req, SIP_H_SESSION_EXPIRES, &refresher), want = (uint32_t)c->settings->session_timer_s;
	learn(l, req);
	s->min_s = larger(seconds(req, SIP_H_MIN_SE, NULL), s->min_s);
	bool was_ours = s->interval_s == 0 || s->ours;
	if (asked && want)
		want = larger(want, larger(s->min_s, floor_s(c)));
	if (asked)
		s->interval_s = want && want < asked ? want : asked;
	else if (!s->interval_s && want)
		s->interval_s = larger(want, s->min_s);
	s->agreed = speaks(req);
	s->ours = !s->agreed || (refresher.n ? !span_ieqz(refresher, "uac") : was_ours);
	arm(c, l);
}

void session_put_answer(struct cell *c, struct leg *l, const struct sip_msg *req)
{
	const struct session *s = &l->session;
	agree(c, l, req);
	sip_put_z(&c->b, SIP_H_SUPPORTED, cell_supported);
	if (!s->interval_s || (!s->agreed && !sip_hdr(req, SIP_H_SESSION_EXPIRES)))
		return;
	if (!s->ours)
		sip_put_z(&c->b, SIP_H_REQUIRE, "timer");
	sip_head(&c->b, SIP_H_SESSION_EXPIRES);
	text_u64(&c->b.t, s->interval_s);
	text_z(&c->b.t, s->ours ? ";refresher=uas" : ";refresher=uac");
	sip_eol(&c->b);
}

/* ---- requests of ours ------------------------------------------------------------------------------------------ */

void session_put_request(struct cell *c, const struct leg *l)
{
	const struct session *s = &l->session;
	uint32_t min = larger(s->min_s, floor_s(c)), n = s->interval_s ? s->interval_s : (uint32_t)c->settings->session_timer_s;
	if (!n)
		return;
	sip_head(&c->b, SIP_H_SESSION_EXPIRES);
	text_u64(&c->b.t, larger(n, min));
	text_z(&c->b.t, s->interval_s && !s->ours ? ";refresher=uas" : ";refresher=uac");
	sip_eol(&c->b);
	sip_put_u(&c->b, SIP_H_MIN_SE, min);
}

void session_answered(struct cell *c, struct leg *l, const struct sip_msg *resp)
{
	struct session *s = &l->session;
	struct span refresher;
	uint32_t n = seconds(resp, SIP_H_SESSION_EXPIRES, &refresher);
	learn(l, resp);
	s->refreshing = false;
	s->agreed = n != 0;
	s->ours = !n || !span_ieqz(refresher, "uas");
	if (n)
		s->interval_s = larger(n, floor_s(c));
	else if (!s->interval_s && c->settings->session_timer_s)
		s->interval_s = larger((uint32_t)c->settings->session_timer_s, s->min_s);
	arm(c, l);
}

/* The Min-SE of a 422, if it asks for more than we did. */
static bool raise(struct leg *l, const struct sip_msg *resp)
{
	uint32_t min = seconds(resp, SIP_H_MIN_SE, NULL);
	if (min <= l->session.min_s)
		return false;
	l->session.min_s = min;
	if (l->session.interval_s)
		l->session.interval_s = larger(l->session.interval_s, min);
	return true;
}

bool session_again(struct cell *c, struct leg *l, const struct sip_msg *resp)
{
	if (!raise(l, resp))
		return false;
	l->inv_cseq++;
	return leg_send_invite(c, l) == 0;
}

/* ---- refreshes ---------------------------------------------------------------------------------------------------- */

static void lose(struct cell *c, struct leg *l)
{
	leg_log(c, l, LOG_WARN, "call.expired", LOG_I("interval_s", l->session.interval_s), LOG_I("refresher_we", l->session.ours));
	leg_hang(c, l, CDR_SESSION_EXPIRED, 0, 3);
	call_event(c, l->call, l, CALL_EV_LOST, 0, NULL);
}

static bool send_update(struct cell *c, struct leg *l)
{
	char branch[32];
	c->b.t = text_on(c->out, sizeof c->out);
	dialog_request_begin(&l->dlg, &c->b, SIP_UPDATE, 0, sip_branch(&c->rng, branch));
	put_contact_to(c, l->inbound ? span_z(l->call->dialled) : span_z(l->call->caller_number), &l->dlg.flow, l->dlg.remote_target);
	sip_put_z(&c->b, SIP_H_ALLOW, cell_allow);
	sip_put_z(&c->b, SIP_H_SUPPORTED, "timer");
	session_put_request(c, l);
	put_server(c, SIP_H_USER_AGENT);
	if (sip_finish(&c->b, "", SPAN_NONE) && txn_send(c->txn, text_span(&c->b.t), &l->dlg.flow, l->h, c->now_us, &l->session.out) == 0)
		return true;
	l->session.out = 0;
	return false;
}

void session_due(struct cell *c, struct leg *l)
{
	struct session *s = &l->session;
	int64_t again = c->now_us + AGAIN_US;
	if (l->ended || (l->state != LEG_UP && l->state != LEG_IN_ANSWERED))
		return;
	if (!s->ours || (s->agreed && c->now_us >= s->end_us)) {
		lose(c, l);
		return;
	}
	if (l->state == LEG_UP && !s->out && !reinvite_under_way(l)) {
		s->refreshing = !s->update;
		if (s->update ? send_update(c, l) : reinvite_refresh(c, l))
			again = s->agreed ? s->end_us : c->now_us + (int64_t)GRACE_S * 2 * SECOND_US;
		else
			s->refreshing = false;
	}
	wheel_set(&c->wheel, &s->due, again);
}

void session_failed(struct cell *c, struct leg *l, const struct sip_msg *resp, uint16_t status)
{
	struct session *s = &l->session;
	int64_t left = s->end_us - c->now_us, wait = left / 2 > SECOND_US ? left / 2 : SECOND_US;
	bool by_update = !s->refreshing;
	s->refreshing = false;
	if (status == 408 || status == 481) {
		lose(c, l);
		return;
	}
	if (status == 422 && resp && raise(l, resp)) {
		wait = 0;
	} else if (by_update && (status == 405 || status == 501)) {
		s->update = false;
		wait = 0;
	} else if (!s->agreed && resp) { /* it lives */
		arm(c, l);
		return;
	} else if (status == 491) { /* RFC 3261 14.1 */
		wait = l->inbound ? (int64_t)rng_below(&c->rng, 2000) * 1000 : (2100 + (int64_t)rng_below(&c->rng, 1900)) * 1000;
	}
	wheel_set(&c->wheel, &s->due, c->now_us + wait);
}

void session_response(struct cell *c, struct leg *l, const struct sip_msg *resp, uint16_t status)
{
	l->session.out = 0;
	if (l->ended || l->state != LEG_UP)
		return;
	if (resp && status < 300) {
		(void)dialog_refresh_target(&l->dlg, &c->slab, resp);
		session_answered(c, l, resp);
	} else {
		session_failed(c, l, resp, status);
	}
}

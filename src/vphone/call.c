/* Calls as the person sees them: the table, states, ends. v->calls is kept without holes, oldest first. */
#include "vphone/machine.h"

#include <stdlib.h>

enum { BUSY_TONE_S = 10 };

struct vp_call *vp_call_new(struct vphone *v, uint8_t line)
{
	int n = vp_call_count(v, -1);
	struct vp_call *c = n < VP_CALLS ? calloc(1, sizeof *c) : NULL;
	if (!c)
		return NULL;
	if (++v->next_serial == 0)
		v->next_serial = 1;
	c->serial = v->next_serial;
	c->line = line;
	c->timer.kind = VP_T_CALL;
	c->glare.kind = VP_T_GLARE;
	c->rel.kind = VP_T_REL;
	c->session.kind = VP_T_SESSION;
	/* o=- T T: seconds (section 8) */
	c->sdp_id = c->sdp_version = (uint32_t)(v->now_us / VP_SECOND) + 1000000000u;
	v->calls[n] = c;
	return c;
}

struct vp_call *vp_call_by_serial(const struct vphone *v, uint32_t serial)
{
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++)
		if (v->calls[i]->serial == serial)
			return v->calls[i];
	return NULL;
}

struct vp_call *vp_call_by_request(const struct vphone *v, const struct sip_msg *req)
{
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++)
		if (v->calls[i]->dlg.state != DIALOG_NONE && dialog_matches_request(&v->calls[i]->dlg, req))
			return v->calls[i];
	return NULL;
}

int vp_call_count(const struct vphone *v, int line)
{
	int n = 0;
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++)
		n += line < 0 || v->calls[i]->line == line;
	return n;
}

struct vp_call *vp_focus(const struct vphone *v)
{
	return v->focus ? vp_call_by_serial(v, v->focus) : NULL;
}

/* The newest call that is still something to a person. */
static void refocus(struct vphone *v)
{
	v->focus = 0;
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++)
		if (v->calls[i]->state != VPC_ENDING)
			v->focus = v->calls[i]->serial;
}

void vp_call_free(struct vphone *v, struct vp_call *c)
{
	int i = 0;
	vp_media_close(v, c);
	wheel_cancel(&v->wheel, &c->timer);
	wheel_cancel(&v->wheel, &c->glare);
	wheel_cancel(&v->wheel, &c->session);
	wheel_cancel(&v->wheel, &c->rel);
	if (v->txn && c->client)
		txn_orphan(v->txn, c->client);
	if (v->txn && c->server)
		txn_orphan(v->txn, c->server);
	dialog_clear(&c->dlg, &v->slab);
	while (i < VP_CALLS && v->calls[i] != c)
		i++;
	INVARIANT(i < VP_CALLS);
	for (; i + 1 < VP_CALLS; i++)
		v->calls[i] = v->calls[i + 1];
	v->calls[VP_CALLS - 1] = NULL;
	bool focused = v->focus == c->serial;
	free(c);
	if (focused)
		refocus(v);
}

static const char *event_of(enum vphone_call_state s)
{
	switch (s) {
	case VPC_NONE: return "none";
	case VPC_DIALTONE: return "dialtone";
	case VPC_PROCEEDING: return "proceeding";
	case VPC_RINGBACK: return "ringback";
	case VPC_RINGING: return "ringing";
	case VPC_CONNECTED: return "talking";
	case VPC_HELD: return "held";
	case VPC_HELD_BY_PEER: return "heldbypeer";
	case VPC_BUSY_TONE: return "busytone";
	case VPC_ENDING: return "ending";
	}
	return "none";
}

void vp_call_state(struct vphone *v, struct vp_call *c, enum vphone_call_state s)
{
	if (c->state == s)
		return;
	c->state = s;
	vp_event(v, event_of(s), "%s", c->number);
	if (s == VPC_ENDING && v->focus == c->serial)
		refocus(v);
}

void vp_call_settle(struct vphone *v, struct vp_call *c)
{
	if (c->answered && c->state != VPC_ENDING) {
		if (!c->connected_us)
			c->connected_us = v->now_us;
		vp_call_state(v, c, c->hold_local ? VPC_HELD : c->hold_remote ? VPC_HELD_BY_PEER : VPC_CONNECTED);
	}
	vp_media_update(v, c);
	vp_refer_poke(v, c);
}

static void gone(struct vphone *v)
{
	if (!v->calls[0])
		vp_event(v, "idle", "%s", "");
}

void vp_call_ended(struct vphone *v, struct vp_call *c, const char *why)
{
	vp_event(v, "ended", "%s %s", c->number, why);
	vp_call_free(v, c);
	gone(v);
}

/* A call of ours that failed plays its tone until the user hangs up, or for a while. */
void vp_call_failed(struct vphone *v, struct vp_call *c, uint16_t status, struct span reason)
{
	c->last_status = v->last_status = status;
	vp_event(v, "status", "%u " SPAN_FMT, status, SPAN_ARG(reason));
	if (c->cancelled) {
		vp_call_ended(v, c, "cancelled");
		return;
	}
	vp_media_close(v, c);
	dialog_clear(&c->dlg, &v->slab);
	vp_call_state(v, c, VPC_BUSY_TONE);
	wheel_set(&v->wheel, &c->timer, v->now_us + BUSY_TONE_S * VP_SECOND);
}

void vp_call_timer(struct vphone *v, struct vp_call *c)
{
	switch (c->state) {
	case VPC_RINGING: vp_refuse(v, c, 480, NULL); return; /* V22: it stops ringing */
	case VPC_PROCEEDING:
	case VPC_RINGBACK: vp_call_hang(v, c); return;
	case VPC_BUSY_TONE: vp_call_ended(v, c, "failed"); return;
	case VPC_DIALTONE: vp_call_ended(v, c, "dialtone time-out"); return;
	case VPC_ENDING: vp_call_ended(v, c, "time-out"); return;
	case VPC_NONE:
	case VPC_CONNECTED:
	case VPC_HELD:
	case VPC_HELD_BY_PEER: return;
	}
}

/* challenge: the 401 or 407 to an earlier BYE, or NULL. */
void vp_call_bye(struct vphone *v, struct vp_call *c, const struct sip_msg *challenge)
{
	char buf[VP_MSG_MAX];
	struct sip_build b = {TEXT_ARRAY(buf)};
	txn_id id;
	vp_dlg_begin(v, &b, c, SIP_BYE, 0);
	if (challenge)
		vp_put_auth(v, &b, &v->lines[c->line], challenge, SIP_BYE, c->dlg.remote_target);
	if (!vp_req_end(v, &b, SPAN_NONE) ||
	    txn_send(v->txn, text_span(&b.t), &c->dlg.flow, vp_owner(VP_OWN_BYE, c->serial), v->now_us, &id) != 0)
		vp_call_ended(v, c, "no room for BYE");
}

static void hang_answered(struct vphone *v, struct vp_call *c)
{
	vp_media_close(v, c);
	wheel_cancel(&v->wheel, &c->timer);
	wheel_cancel(&v->wheel, &c->glare);
	wheel_cancel(&v->wheel, &c->session);
	vp_call_state(v, c, VPC_ENDING);
	/* RFC 3261 15: the callee waits for the ACK of its 2xx */
	if (c->server)
		c->bye_after_ack = true;
	else
		vp_call_bye(v, c, NULL);
}

void vp_call_hang(struct vphone *v, struct vp_call *c)
{
	switch (c->state) {
	case VPC_RINGING: vp_refuse(v, c, v->set.reject_486 ? 486 : 603, NULL); return;
	case VPC_PROCEEDING:
	case VPC_RINGBACK:
		c->cancelled = true;
		vp_media_close(v, c);
		wheel_cancel(&v->wheel, &c->timer);
		vp_call_state(v, c, VPC_ENDING);
		if (c->client)
			txn_cancel(v->txn, c->client, v->now_us);
		else
			vp_call_ended(v, c, "cancelled");
		return;
	case VPC_CONNECTED:
	case VPC_HELD:
	case VPC_HELD_BY_PEER: hang_answered(v, c); return;
	case VPC_DIALTONE:
	case VPC_BUSY_TONE: vp_call_ended(v, c, "hung up"); return;
	case VPC_NONE:
	case VPC_ENDING: return;
	}
}

/* One call is active at a time: the others go on hold. */
void vp_hold_others(struct vphone *v, const struct vp_call *keep)
{
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++) {
		struct vp_call *c = v->calls[i];
		if (c != keep && (c->state == VPC_CONNECTED || c->state == VPC_HELD_BY_PEER))
			vp_reinvite(v, c, true);
	}
}

void vphone_live(const struct vphone *v, uint32_t *dialogs, uint32_t *txns, uint32_t *rtp_ports)
{
	*dialogs = *rtp_ports = 0;
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++) {
		enum dialog_state s = v->calls[i]->dlg.state;
		*dialogs += s == DIALOG_EARLY || s == DIALOG_CONFIRMED;
		*rtp_ports += v->calls[i]->media != NULL;
	}
	*txns = v->txn ? txn_counts(v->txn).live : 0;
}

struct span vphone_call_id(const struct vphone *v, int call)
{
	if (call < 0 || call >= VP_CALLS || call >= vp_call_count(v, -1))
		return SPAN_NONE;
	const struct vp_call *c = v->calls[call];
	return c->dlg.state != DIALOG_NONE ? c->dlg.call_id : span_z(c->call_id);
}

/* What a person sees: the view, and the screen as lines of text. */
#include "vphone/machine.h"

static void call_view(const struct vphone *v, const struct vp_call *c, bool tones, struct vphone_call_view *o)
{
	*o = (struct vphone_call_view){.state = c->state, .peer_name = span_z(c->name), .peer_number = span_z(c->number),
		.last_status = c->last_status};
	if (c->connected_us)
		o->talk_us = v->now_us - c->connected_us;
	if (!c->media)
		return;
	o->rtp_rx = c->media->rx.packets;
	o->rtp_tx = c->media->tx;
	o->rtp_lost = rtp_rx_lost(&c->media->rx);
	o->rtp_foreign = c->media->foreign;
	o->tone_hz = tones ? vp_media_heard_hz(v, c->media) : 0;
}

static void view(const struct vphone *v, bool tones, struct vphone_view *o)
{
	*o = (struct vphone_view){.booted = v->booted, .focus = -1, .boots = v->boots, .registers_sent = v->registers_sent,
		.http_requests = v->http_requests, .notifies = v->notifies, .defects = v->n_defects, .rules_evaluated = v->rules};
	vp_copyz(o->app_version, sizeof o->app_version, span_z(v->model->app));
	if (v->line < v->n_lines) {
		const struct vp_line *l = &v->lines[v->line];
		o->registered = vp_line_registered(l);
		o->subscribed = l->mwi.state == VP_MWI_ACTIVE;
		o->lamp = l->mwi.lamp;
		o->messages_new = l->mwi.fresh;
		o->messages_old = l->mwi.old;
		vp_copyz(o->label, sizeof o->label, span_z(l->label));
		vp_copyz(o->address, sizeof o->address, span_z(l->user));
	}
	for (int i = 0; i < VP_MAX_CALLS && v->calls[i]; i++) {
		call_view(v, v->calls[i], tones, &o->call[i]);
		o->n_calls = i + 1;
		if (v->calls[i]->serial == v->focus)
			o->focus = i;
	}
	vp_copyz(o->digits, sizeof o->digits, span_z(v->digits[0] ? v->digits : v->dtmf_heard));
}

void vphone_view(const struct vphone *v, struct vphone_view *o)
{
	view(v, true, o);
}

void vphone_view_quick(const struct vphone *v, struct vphone_view *o)
{
	view(v, false, o);
}

static const char *state_text(enum vphone_call_state s)
{
	switch (s) {
	case VPC_NONE: return "";
	case VPC_DIALTONE: return "Enter number";
	case VPC_PROCEEDING: return "Dialing";
	case VPC_RINGBACK: return "Ringing";
	case VPC_RINGING: return "Incoming call";
	case VPC_CONNECTED: return "Connected";
	case VPC_HELD: return "On hold";
	case VPC_HELD_BY_PEER: return "Held by the other side";
	case VPC_BUSY_TONE: return "Call failed";
	case VPC_ENDING: return "Ending";
	}
	return "";
}

static const char *soft_keys(const struct vphone *v, const struct vp_call *c)
{
	if (!c)
		return v->digits[0] ? "[Dial] [Delete] [Cancel]" : "[NewCall]";
	switch (c->state) {
	case VPC_DIALTONE: return "[Send] [EndCall]";
	case VPC_PROCEEDING:
	case VPC_RINGBACK: return "[EndCall]";
	case VPC_RINGING: return "[Answer] [Reject]";
	case VPC_CONNECTED:
	case VPC_HELD_BY_PEER: return "[Hold] [EndCall] [NewCall]";
	case VPC_HELD: return "[Resume] [EndCall] [NewCall]";
	case VPC_BUSY_TONE: return "[EndCall]";
	case VPC_NONE:
	case VPC_ENDING: return "";
	}
	return "";
}

void vphone_screen(const struct vphone *v, struct text *t)
{
	struct vp_call *c = vp_focus(v);
	text_fmt(t, "%s  %s  %s\n", v->model->name, v->model->app, v->booted ? "" : v->boot ? "Updating..." : "Off");
	for (unsigned i = 0; i < v->n_lines; i++)
		if (v->lines[i].user[0])
			text_fmt(t, "%s %s %s\n", v->line == i ? ">" : " ", vp_line_registered(&v->lines[i]) ? "(#)" : "( )", v->lines[i].label);
	if (v->line < v->n_lines && v->lines[v->line].mwi.lamp)
		text_fmt(t, "  (*) Messages: %u new, %u old\n", v->lines[v->line].mwi.fresh, v->lines[v->line].mwi.old);
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++) {
		const struct vp_call *k = v->calls[i];
		text_fmt(t, "%s %s %s %s", k == c ? "*" : " ", state_text(k->state), k->name, k->number);
		if (k->connected_us)
			text_fmt(t, " %lld s", (long long)((v->now_us - k->connected_us) / VP_SECOND));
		if (k->last_status)
			text_fmt(t, " %u", k->last_status);
		text_putc(t, '\n');
	}
	if (v->digits[0])
		text_fmt(t, "  %s\n", v->digits);
	text_fmt(t, "%s\n", soft_keys(v, c));
}

/* The person's side: hook, keys, soft keys, dialling; points V25, V40. Also the verbs by which scripts act. */
#include "vphone/machine.h"

#include <stdlib.h>

/* Section 4: default of 4.0.8; taken for 5.4 too (its own default is not known). */
static const char default_map[] = "[2-9]11|0T|011xxx.T|[0-1][2-9]xxxxxxxxx|[2-9]xxxxxxxxx|[2-9]xxxT|**x.T";

static struct span digit_map(const struct vphone *v)
{
	struct span own = vp_cfg(v, "dialplan.digitmap");
	return own.p ? own : span_z(default_map);
}

/* Of pattern i; the last value serves when the list is short. */
static int64_t pattern_us(const struct vphone *v, int i)
{
	struct span rest = vp_cfg(v, "dialplan.digitmap.timeOut");
	uint64_t s = 3, n;
	for (int k = 0; rest.p && k <= i; k++)
		if (span_u64(span_trim(span_cut(&rest, '|')), 100, &n) == 0)
			s = n;
	return (int64_t)s * VP_SECOND;
}

static void clear_digits(struct vphone *v)
{
	v->digits[0] = 0;
	v->second_tone = false;
	wheel_cancel(&v->wheel, &v->digit_timer);
}

static struct vp_call *call_in(const struct vphone *v, enum vphone_call_state s)
{
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++)
		if (v->calls[i]->state == s)
			return v->calls[i];
	return NULL;
}

static bool is_talking(const struct vp_call *c)
{
	return c && (c->state == VPC_CONNECTED || c->state == VPC_HELD || c->state == VPC_HELD_BY_PEER);
}

static bool is_up(const struct vp_call *c)
{
	return is_talking(c) || (c && (c->state == VPC_PROCEEDING || c->state == VPC_RINGBACK));
}

static void send_digits(struct vphone *v, struct span number)
{
	char n[64];
	struct vp_call *tone = call_in(v, VPC_DIALTONE);
	vp_copyz(n, sizeof n, number);
	clear_digits(v);
	if (tone)
		vp_call_free(v, tone);
	if (!vp_transfer_digits(v, span_z(n)))
		vp_dial(v, span_z(n), true);
}

static void impossible(struct vphone *v)
{
	switch (v->set.impossible) {
	case 0: send_digits(v, span_z(v->digits)); return;
	case 1: vp_event(v, "reorder", "%s", v->digits); clear_digits(v); return;
	case 3: wheel_set(&v->wheel, &v->digit_timer, v->now_us + (int64_t)v->set.impossible_s * VP_SECOND); return;
	default: return; /* 2: gathers until Send */
	}
}

/* Off-hook dialling: each digit goes through the map. */
static void run_map(struct vphone *v)
{
	struct vp_dm_result r;
	vp_digitmap(digit_map(v), span_z(v->digits), &r);
	wheel_cancel(&v->wheel, &v->digit_timer);
	if (r.second_tone && !v->second_tone)
		vp_event(v, "second-dial-tone", "%s", v->digits);
	v->second_tone = r.second_tone;
	switch (r.verdict) {
	case VP_DM_SEND: send_digits(v, span_z(r.send)); return;
	case VP_DM_WAIT: wheel_set(&v->wheel, &v->digit_timer, v->now_us + pattern_us(v, r.pattern)); return;
	case VP_DM_IMPOSSIBLE: impossible(v); return;
	case VP_DM_MORE: return;
	}
}

void vp_digit_timer(struct vphone *v)
{
	struct vp_dm_result r;
	vp_digitmap(digit_map(v), span_z(v->digits), &r);
	send_digits(v, r.verdict == VP_DM_WAIT ? span_z(r.send) : span_z(v->digits));
}

/* '#' ends dialling when no pattern wants it (dialplan.removeEndOfDial takes it off). */
static bool end_of_dial(struct vphone *v, char k)
{
	struct vp_dm_result r;
	char with[40];
	struct text t = TEXT_ARRAY(with);
	if (k != '#' || !v->digits[0])
		return false;
	text_fmt(&t, "%s#", v->digits);
	vp_digitmap(digit_map(v), text_span(&t), &r);
	if (r.verdict != VP_DM_IMPOSSIBLE)
		return false;
	send_digits(v, v->set.remove_end ? span_z(v->digits) : text_span(&t));
	return true;
}

static void key_digit(struct vphone *v, char k)
{
	struct vp_call *c = vp_focus(v);
	size_t n = strlen(v->digits);
	if (is_talking(c)) {
		vp_media_dtmf(v, c, span_mem(&k, 1));
		return;
	}
	if (!v->booted || is_up(c) || n + 1 >= sizeof v->digits)
		return;
	if (v->offhook && end_of_dial(v, k))
		return;
	v->digits[n] = k;
	v->digits[n + 1] = 0;
	if (v->offhook) /* on the hook the map is ignored (fact 13) */
		run_map(v);
}

static void offhook(struct vphone *v)
{
	struct vp_call *ringing = call_in(v, VPC_RINGING);
	if (v->offhook && !ringing)
		return;
	v->offhook = true;
	if (ringing && !is_talking(vp_focus(v))) {
		vp_answer(v, ringing);
		return;
	}
	if (v->digits[0]) { /* digits dialled before lifting are sent */
		send_digits(v, span_z(v->digits));
		return;
	}
	struct vp_call *c = v->booted && v->n_lines && !is_up(vp_focus(v)) ? vp_call_new(v, v->line) : NULL;
	if (!c)
		return;
	v->focus = c->serial;
	vp_call_state(v, c, VPC_DIALTONE);
	wheel_set(&v->wheel, &c->timer, v->now_us + (int64_t)vp_cfg_u(v, 60, 3600, "call.dialtoneTimeOut") * VP_SECOND);
}

static void hangup(struct vphone *v)
{
	struct vp_call *c = vp_focus(v);
	v->offhook = false;
	v->transferring = 0;
	clear_digits(v);
	if (c)
		vp_call_hang(v, c);
}

static void onhook(struct vphone *v)
{
	struct vp_call *c = vp_focus(v);
	v->offhook = false;
	v->transferring = 0;
	clear_digits(v);
	/* putting the handset down does not refuse a ringing call, nor drop one on hold */
	if (c && c->state != VPC_RINGING && c->state != VPC_HELD)
		vp_call_hang(v, c);
}

static void answer(struct vphone *v)
{
	struct vp_call *c = call_in(v, VPC_RINGING);
	if (c)
		vp_answer(v, c);
}

static void resume(struct vphone *v)
{
	struct vp_call *c = vp_focus(v);
	if (!c || c->state != VPC_HELD)
		c = call_in(v, VPC_HELD);
	if (!c)
		return;
	vp_hold_others(v, c);
	v->focus = c->serial;
	vp_reinvite(v, c, false);
}

static void hold(struct vphone *v)
{
	struct vp_call *c = vp_focus(v);
	if (is_talking(c) && c->state != VPC_HELD)
		vp_reinvite(v, c, true);
}

static void reject(struct vphone *v)
{
	struct vp_call *c = call_in(v, VPC_RINGING);
	if (c) /* V21 */
		vp_refuse(v, c, v->set.reject_486 ? 486 : 603, NULL);
}

static void line(struct vphone *v, struct span arg)
{
	uint64_t n;
	if (span_u64(arg, v->n_lines, &n) == 0 && n >= 1 && v->lines[n - 1].user[0])
		v->line = (uint8_t)(n - 1);
}

static void play(struct vphone *v, struct span arg)
{
	uint64_t hz;
	if (span_u64(arg, 3500, &hz) != 0)
		return;
	v->tone_hz = hz ? (uint16_t)hz : UINT16_MAX;
	for (int i = 0; i < VP_CALLS && v->calls[i]; i++)
		if (v->calls[i]->media)
			vp_media_tone(v, v->calls[i]->media);
}

/* arg: 16-bit samples of the host's byte order, 8 kHz; at most two minutes. */
static void play_pcm(struct vphone *v, struct span arg)
{
	struct vp_call *c = vp_focus(v);
	size_t n = arg.n / 2;
	if (!c || !c->media || n == 0 || n > 120 * 8000)
		return;
	int16_t *pcm = malloc(n * 2);
	if (!pcm)
		return;
	memcpy(pcm, arg.p, n * 2);
	free(c->media->pcm);
	c->media->pcm = pcm;
	c->media->pcm_n = n;
	c->media->pcm_at = 0;
}

static void softkey(struct vphone *v, struct span label)
{
	if (span_ieqz(label, "answer"))
		answer(v);
	else if (span_ieqz(label, "reject"))
		reject(v);
	else if (span_ieqz(label, "hold"))
		hold(v);
	else if (span_ieqz(label, "resume"))
		resume(v);
	else if (span_ieqz(label, "endcall") || span_ieqz(label, "end call") || span_ieqz(label, "cancel"))
		hangup(v);
	else if (span_ieqz(label, "transfer"))
		vp_transfer(v, SPAN_NONE);
	else if (span_ieqz(label, "blind"))
		vp_transfer_blind(v, SPAN_NONE);
	else if (span_ieqz(label, "newcall") || span_ieqz(label, "new call"))
		offhook(v);
	else if ((span_ieqz(label, "dial") || span_ieqz(label, "send")) && v->digits[0])
		send_digits(v, span_z(v->digits));
	else
		vp_event(v, "no-such-softkey", SPAN_FMT, SPAN_ARG(label));
}

static void key(struct vphone *v, struct span name)
{
	if (name.n == 1 && (ascii_digit(name.p[0]) || name.p[0] == '*' || name.p[0] == '#'))
		key_digit(v, name.p[0]);
	else if (span_ieqz(name, "delete") && v->digits[0])
		v->digits[strlen(v->digits) - 1] = 0;
	else
		softkey(v, name); /* hard keys Hold, ... do what the soft keys of that name do */
}

static void factory_reset(struct vphone *v)
{
	char url[256];
	vp_copyz(url, sizeof url, span_z(v->flash.url)); /* DHCP gives it again */
	vp_flash_defaults(&v->flash);
	vp_copyz(v->flash.url, sizeof v->flash.url, span_z(url));
	vp_flash_emit(v);
	vp_reboot(v, v->boot_us);
}

/* A reboot from the menu is orderly: calls are ended first. The goodbyes go out once, with the power goes their memory. */
static void reboot(struct vphone *v)
{
	for (int i = VP_CALLS - 1; i >= 0; i--)
		if (v->calls[i])
			vp_call_hang(v, v->calls[i]);
	vp_reboot(v, v->boot_us);
}

void vp_user(struct vphone *v, struct span verb, struct span arg)
{
	static const struct {
		const char *name;
		void (*plain)(struct vphone *);
		void (*with)(struct vphone *, struct span);
	} verbs[] = {
		{"offhook", offhook, NULL}, {"onhook", onhook, NULL}, {"hold", hold, NULL}, {"resume", resume, NULL},
		{"answer", answer, NULL}, {"reject", reject, NULL}, {"hangup", hangup, NULL}, {"reboot", reboot, NULL},
		{"factory-reset", factory_reset, NULL}, {"key", NULL, key}, {"softkey", NULL, softkey}, {"line", NULL, line},
		{"play", NULL, play}, {"play-pcm", NULL, play_pcm}, {"blind", NULL, vp_transfer_blind}, {"transfer", NULL, vp_transfer},
	};
	struct vp_call *c = vp_focus(v);
	for (size_t i = 0; i < COUNT_OF(verbs); i++) {
		if (!span_eqz(verb, verbs[i].name))
			continue;
		if (verbs[i].plain)
			verbs[i].plain(v);
		else
			verbs[i].with(v, arg);
		return;
	}
	if (span_eqz(verb, "dial"))
		send_digits(v, arg); /* on the hook: at once, no map */
	else if (span_eqz(verb, "dtmf") && c)
		vp_media_dtmf(v, c, arg);
	else if (!span_eqz(verb, "dtmf"))
		vp_log(v, "no such verb " SPAN_FMT, SPAN_ARG(verb));
}

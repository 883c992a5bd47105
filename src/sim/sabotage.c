/* Planted defects at the seams of the world: each stands for a bug the switch could have, and each must be noticed.
 * They act on what the cell emitted or is told, so that the cell's own code stays the daemon's. */
#include "sim/world.h"

#include <stdio.h>

typedef void (*pass_fn)(struct world *w, const struct cell_out *out);

enum sim_sabotage {
	SB_DROP_BYE, SB_DROP_ACK, SB_DROP_CANCEL, SB_DROP_FINAL, SB_SWAP_TAGS, SB_CHANGE_CSEQ, SB_CONTENT_LENGTH, SB_SECOND_200,
	SB_FOREIGN_CODEC, SB_WRONG_PORT, SB_CALL_ID, SB_DOUBLE_CDR, SB_LOSE_CDR, SB_LONG_CDR, SB_REOPEN_CDR, SB_LEAK_SLOT,
	SB_SWAP_BRIDGE, SB_LOSE_BRIDGE, SB_ONE_WAY, SB_RTP_SOURCE, SB_LOSE_PERSISTED, SB_STUCK_CLOCK, SB_EXPIRE_BINDING,
	SB_STRAY_BYE, SB_DOUBLE_INVITE, SB_LOSE_CLOSED, SB_BAD_REGISTER,
	SB_LATE_CDR, SB_LOSE_BINDING, SB_SAME_BOOT
};

static const struct sim_sabotage_info list[] = {
	[SB_DROP_BYE] = {"drop-bye", "every BYE of the cell to some calls is lost for good"},
	[SB_DROP_ACK] = {"drop-ack", "every ACK of the cell to some calls is lost for good"},
	[SB_DROP_CANCEL] = {"drop-cancel", "CANCELs of the cell are lost for good"},
	[SB_DROP_FINAL] = {"drop-final", "the 200 to the INVITE of some callers is lost for good"},
	[SB_SWAP_TAGS] = {"swap-tags", "From and To tags are swapped in some requests within a dialog"},
	[SB_CHANGE_CSEQ] = {"change-cseq", "the CSeq of some responses is another"},
	[SB_CONTENT_LENGTH] = {"content-length", "Content-Length of some messages is one too many"},
	[SB_SECOND_200] = {"second-200", "some 200 to INVITE come again with another To tag"},
	[SB_FOREIGN_CODEC] = {"foreign-codec", "some answers hold a codec that was not offered"},
	[SB_WRONG_PORT] = {"wrong-port", "the RTP port in some answers is another"},
	[SB_CALL_ID] = {"wrong-call-id", "the Call-ID of some BYEs is another"},
	[SB_DOUBLE_CDR] = {"double-cdr", "some closed CDRs are written twice under two ids"},
	[SB_LOSE_CDR] = {"lose-cdr", "the close of some CDRs is lost"},
	[SB_LONG_CDR] = {"long-cdr", "some CDRs say 5 s more than was talked"},
	[SB_REOPEN_CDR] = {"reopen-cdr", "some CDRs are written again after their close"},
	[SB_LEAK_SLOT] = {"leak-slot", "some MEDIA_CLOSE never reach the media graph"},
	[SB_SWAP_BRIDGE] = {"swap-bridge", "some bridges are made between legs of two calls"},
	[SB_LOSE_BRIDGE] = {"lose-bridge", "some bridges are not made"},
	[SB_ONE_WAY] = {"one-way", "some legs are not allowed to be heard"},
	[SB_RTP_SOURCE] = {"rtp-source", "some RTP leaves from another address than the SDP says"},
	[SB_LOSE_PERSISTED] = {"lose-persisted", "some confirmations of the store are lost"},
	[SB_STUCK_CLOCK] = {"stuck-clock", "after ten minutes the cell's clock stands still: timers are never due"},
	[SB_EXPIRE_BINDING] = {"expire-binding", "bindings vanish before their time"},
	[SB_STRAY_BYE] = {"stray-bye", "some calls get a BYE in the middle of the talk"},
	[SB_DOUBLE_INVITE] = {"double-invite", "some INVITEs come again under another branch"},
	[SB_LOSE_CLOSED] = {"lose-closed", "some CLOSED events of the media graph are lost"},
	[SB_LATE_CDR] = {"late-cdr", "CDRs are written at the end of the leg only: a crash takes them"},
	[SB_LOSE_BINDING] = {"lose-binding", "some registrations never reach the store"},
	[SB_SAME_BOOT] = {"same-boot", "every start makes the same CDR ids"},
	[SB_BAD_REGISTER] = {"forget-contact", "the Contact is missing in some 200 to REGISTER"},
};

const struct sim_sabotage_info *sim_sabotage_list(size_t i)
{
	return i < COUNT_OF(list) ? &list[i] : NULL;
}

int sabotage_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(list); i++)
		if (strcmp(list[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* ---- editing ---------------------------------------------------------------------------------------------------- */

struct edit {
	struct world *w;
	struct span b;
	struct text t;
	size_t done; /* bytes of b already copied */
};

static struct edit edit_of(struct world *w, struct span b)
{
	return (struct edit){w, b, text_on(w->sab.buf, sizeof w->sab.buf), 0};
}

/* Replaces `old`, which lies in b behind all earlier edits. */
static void replace(struct edit *e, struct span old, struct span with)
{
	size_t at = (size_t)(old.p - e->b.p);
	text_put(&e->t, span_sub(e->b, e->done, at));
	text_put(&e->t, with);
	e->done = at + old.n;
}

static struct span edited(struct edit *e)
{
	text_put(&e->t, span_sub(e->b, e->done, e->b.n));
	return text_span(&e->t);
}

static void send(struct world *w, const struct cell_out *o, struct span bytes, pass_fn pass)
{
	struct cell_out x = *o;
	x.u.sip.bytes = bytes;
	pass(w, &x);
}

/* ---- SIP -------------------------------------------------------------------------------------------------------- */

/* The same answer for all copies of one message: a retransmission must not heal what was lost for good. */
static bool chosen(struct world *w, const struct sip_msg *m, uint64_t one_in)
{
	char cid[300];
	struct text t = TEXT_ARRAY(cid);
	text_put(&t, span_sub(m->call_id, 0, 256));
	return world_hash(w, text_span(&t)) % one_in == 0;
}

static bool swap_tags(struct world *w, const struct cell_out *o, const struct sip_msg *m, pass_fn pass)
{
	struct edit e = edit_of(w, o->u.sip.bytes);
	struct span a = m->from.tag, b = m->to.tag;
	if (!a.n || !b.n)
		return false;
	bool from_first = a.p < b.p;
	replace(&e, from_first ? a : b, from_first ? b : a);
	replace(&e, from_first ? b : a, from_first ? a : b);
	send(w, o, edited(&e), pass);
	return true;
}

static bool change_text(struct world *w, const struct cell_out *o, struct span old, const char *with, pass_fn pass)
{
	if (!old.p)
		return false;
	struct edit e = edit_of(w, o->u.sip.bytes);
	replace(&e, old, span_z(with));
	send(w, o, edited(&e), pass);
	return true;
}

static struct span cut_word(struct span s, size_t skip)
{
	struct span rest = span_sub(s, skip, s.n);
	ptrdiff_t end = span_chr(rest, ' ');
	return end < 0 ? SPAN_NONE : span_sub(rest, 0, (size_t)end);
}

/* "m=audio PORT RTP/AVP PT ...": the edit keeps the body's length. */
static bool change_media(struct world *w, const struct cell_out *o, const struct sip_msg *m, bool port, pass_fn pass)
{
	ptrdiff_t at = span_find(m->body, SPAN_LIT("m=audio "));
	if (at < 0)
		return false;
	struct span line = span_sub(m->body, (size_t)at, m->body.n), p = cut_word(line, 8);
	if (port && p.n) {
		char with[8] = "";
		span_copyz(p, with, sizeof with);
		with[p.n - 1] = with[p.n - 1] < '8' ? (char)(with[p.n - 1] + 2) : (char)(with[p.n - 1] - 2);
		return change_text(w, o, p, with, pass);
	}
	ptrdiff_t avp = span_find(line, SPAN_LIT("RTP/AVP "));
	if (avp < 0)
		return false;
	struct span pt = span_sub(line, (size_t)avp + 8, (size_t)avp + 9);
	return change_text(w, o, pt, "7", pass); /* 7 is LPC: nobody offers it */
}

static bool double_invite(struct world *w, const struct cell_out *o, const struct sip_msg *m, pass_fn pass)
{
	char with[128] = "z9hG4bKsab";
	struct text t = TEXT_ARRAY(with);
	t.n = 10;
	text_u64(&t, ++w->sab.count);
	text_end(&t);
	pass(w, o);
	return change_text(w, o, m->via.branch, with, pass);
}

static bool second_200(struct world *w, const struct cell_out *o, const struct sip_msg *m, pass_fn pass)
{
	pass(w, o);
	return change_text(w, o, m->to.tag, "sab0tage", pass);
}

/* A BYE made from an ACK that the cell just sent: as if the call had ended. */
static bool stray_bye(struct world *w, const struct cell_out *o, const struct sip_msg *m, pass_fn pass)
{
	pass(w, o);
	struct edit e = edit_of(w, o->u.sip.bytes);
	struct span cseq = sip_hdr_value(m, SIP_H_CSEQ);
	char with[32];
	struct text t = TEXT_ARRAY(with);
	text_u64(&t, (uint64_t)m->cseq + 50);
	text_lit(&t, " BYE");
	replace(&e, span_sub(m->raw, 0, 3), SPAN_LIT("BYE"));
	replace(&e, m->via.branch, SPAN_LIT("z9hG4bKstray"));
	replace(&e, cseq, text_span(&t));
	send(w, o, edited(&e), pass);
	return true;
}

static bool on_response(struct world *w, const struct cell_out *o, const struct sip_msg *m, enum sim_sabotage which, pass_fn pass)
{
	bool ok_invite = m->status == 200 && m->cseq_method == SIP_INVITE && chosen(w, m, 3);
	if (which == SB_DROP_FINAL)
		return ok_invite;
	if (which == SB_SECOND_200)
		return ok_invite && second_200(w, o, m, pass);
	if (which == SB_FOREIGN_CODEC)
		return ok_invite && change_media(w, o, m, false, pass);
	if (which == SB_WRONG_PORT)
		return ok_invite && change_media(w, o, m, true, pass);
	if (which == SB_CHANGE_CSEQ && m->status >= 200 && chosen(w, m, 5)) {
		struct span v = sip_hdr_value(m, SIP_H_CSEQ);
		return change_text(w, o, cut_word(v, 0), "77777", pass);
	}
	if (which == SB_BAD_REGISTER && m->status == 200 && m->cseq_method == SIP_REGISTER && chosen(w, m, 3)) {
		const struct sip_hdr *h = sip_hdr(m, SIP_H_CONTACT);
		return h && change_text(w, o, h->name, "X-Gone", pass);
	}
	return false;
}

static bool on_request(struct world *w, const struct cell_out *o, const struct sip_msg *m, enum sim_sabotage which, pass_fn pass)
{
	if (which == SB_DROP_BYE)
		return m->method == SIP_BYE && chosen(w, m, 3);
	if (which == SB_DROP_ACK)
		return m->method == SIP_ACK && chosen(w, m, 3);
	if (which == SB_DROP_CANCEL)
		return m->method == SIP_CANCEL;
	if (which == SB_SWAP_TAGS)
		return m->method == SIP_BYE && chosen(w, m, 3) && swap_tags(w, o, m, pass);
	if (which == SB_CALL_ID)
		return m->method == SIP_BYE && chosen(w, m, 3) && change_text(w, o, m->call_id, "nobody", pass);
	if (which == SB_DOUBLE_INVITE)
		return m->method == SIP_INVITE && m->to.tag.n == 0 && chosen(w, m, 3) && double_invite(w, o, m, pass);
	if (which == SB_STRAY_BYE)
		return m->method == SIP_ACK && m->to.tag.n && chosen(w, m, 3) && stray_bye(w, o, m, pass);
	return false;
}

static bool on_sip(struct world *w, const struct cell_out *o, enum sim_sabotage which, pass_fn pass)
{
	struct sip_msg m;
	struct sip_error err;
	if (sip_parse(&m, o->u.sip.bytes, &err) != 0)
		return false;
	if (which == SB_CONTENT_LENGTH && chosen(w, &m, 7)) {
		struct span v = sip_hdr_value(&m, SIP_H_CONTENT_LENGTH);
		uint64_t n;
		char with[24];
		struct text t = TEXT_ARRAY(with);
		if (span_u64(v, SIP_MAX_MESSAGE, &n) != 0)
			return false;
		text_u64(&t, n + 1);
		text_end(&t);
		return change_text(w, o, v, with, pass);
	}
	return m.is_request ? on_request(w, o, &m, which, pass) : on_response(w, o, &m, which, pass);
}

/* ---- CDRs, media, store, clock ----------------------------------------------------------------------------------- */

static bool on_cdr(struct world *w, const struct cell_out *o, enum sim_sabotage which, pass_fn pass)
{
	struct cdr_row row = *o->u.cdr.row;
	struct cell_out x = *o;
	x.u.cdr.row = &row;
	if (which == SB_LATE_CDR && !row.closed) { /* confirmed all the same */
		w->persist_pending++;
		world_at(w, w->now + 2000, EV_PERSISTED, o->u.cdr.token, w->epoch, NULL);
		return true;
	}
	if (!row.closed || world_hash(w, span_z(row.id)) % 5 != 0)
		return false;
	if (which == SB_LOSE_CDR) { /* the store confirms what it never wrote */
		w->persist_pending++;
		world_at(w, w->now + 2000, EV_PERSISTED, o->u.cdr.token, w->epoch, NULL);
		return true;
	}
	if (which == SB_DOUBLE_CDR) {
		pass(w, o);
		row.id[0] = row.id[0] == 'x' ? 'y' : 'x';
		pass(w, &x);
		return true;
	}
	if (which == SB_REOPEN_CDR) {
		pass(w, o);
		pass(w, o);
		return true;
	}
	if (which == SB_LONG_CDR && row.talk_ms > 0) {
		row.talk_ms += 5000;
		pass(w, &x);
		return true;
	}
	return false;
}

/* The seq of a swallowed command is used up by a harmless one, as if the command had been another from the start. */
static bool swallow(struct world *w, const struct cell_out *o)
{
	w->media_seq = o->u.media->seq;
	return true;
}

static bool on_media(struct world *w, const struct cell_out *o, enum sim_sabotage which, pass_fn pass)
{
	struct media_cmd c = *o->u.media;
	struct cell_out x = *o;
	x.u.media = &c;
	if (which == SB_LEAK_SLOT && c.op == MEDIA_CLOSE)
		return ++w->sab.count % 5 == 0 && swallow(w, o);
	if (which == SB_LOSE_BRIDGE && c.op == MEDIA_BRIDGE)
		return c.slot % 3 == 0 && swallow(w, o);
	if (which == SB_ONE_WAY && c.op == MEDIA_REMOTE && c.slot % 3 == 0) {
		c.may_recv = false;
		pass(w, &x);
		return true;
	}
	if (which == SB_SWAP_BRIDGE && c.op == MEDIA_BRIDGE) {
		media_slot other = w->sab.held.slot;
		bool swap = w->sab.holding && other != c.slot && other != c.peer_slot && other < w->n_slots && w->slot_open[other];
		w->sab.held = c;
		w->sab.holding = true;
		if (!swap)
			return false;
		c.peer_slot = other;
		pass(w, &x);
		return true;
	}
	return false;
}

static bool acted(struct world *w, const struct cell_out *o, pass_fn pass)
{
	enum sim_sabotage which = (enum sim_sabotage)w->sab.which;
	switch (o->kind) {
	case CELL_OUT_SIP:
		return on_sip(w, o, which, pass);
	case CELL_OUT_CDR:
		return on_cdr(w, o, which, pass);
	case CELL_OUT_MEDIA:
		return on_media(w, o, which, pass);
	case CELL_OUT_BINDING:
		return which == SB_LOSE_BINDING && world_hash(w, span_z(o->u.binding->extension)) % 3 == 0;
	case CELL_OUT_BINDING_GONE:
	case CELL_OUT_SUBSCRIPTION:
	case CELL_OUT_SUBSCRIPTION_GONE:
	case CELL_OUT_BAN:
	case CELL_OUT_BAN_GONE:
	case CELL_OUT_SOURCE:
	case CELL_OUT_PROGRESS:
	case CELL_OUT_ANSWER:
	case CELL_OUT_LOG:
		return false;
	}
	return false;
}

bool sabotage_out(struct world *w, const struct cell_out *o, pass_fn pass)
{
	bool done = acted(w, o, pass);
	w->sab.hits += done;
	return done;
}

bool sabotage_persisted(struct world *w)
{
	return w->sab.which == SB_LOSE_PERSISTED && ++w->sab.count % 50 == 0;
}

bool sabotage_wants_crash(int which)
{
	return which == SB_LATE_CDR || which == SB_LOSE_BINDING || which == SB_SAME_BOOT;
}

void sabotage_boot(struct world *w, struct cell_opts *o)
{
	if (w->sab.which == SB_SAME_BOOT)
		memcpy(o->boot_id, "00000000000051a0", 17);
}

bool sabotage_media_event(struct world *w, const struct media_event *e)
{
	return w->sab.which == SB_LOSE_CLOSED && e->kind == MEDIA_EVENT_CLOSED && ++w->sab.count % 5 == 0;
}

void sabotage_rtp(struct world *w, struct addr *from, int32_t origin)
{
	if (w->sab.which == SB_RTP_SOURCE && origin >= 0 && origin % 3 == 0)
		from->ip[3] = 2;
}

int64_t sabotage_clock(struct world *w, int64_t now)
{
	if (w->sab.which != SB_STUCK_CLOCK || now < 600 * INT64_C(1000000))
		return now;
	return 600 * INT64_C(1000000);
}

/* Called every minute. */
void sabotage_tick(struct world *w)
{
	if (w->sab.which != SB_EXPIRE_BINDING)
		return;
	struct cell_in in = {.kind = CELL_IN_QUERY};
	in.u.query.kind = CELL_Q_UNREGISTER;
	in.u.query.arg = span_z(w->phone[++w->sab.count % w->n_phones].ext);
	world_cell(w, &in);
}

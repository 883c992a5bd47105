/* Valid dialog operations in an order that the input chooses, over the cell through four test phones, with loss, repetition,
 * reordering and the passing of time. Each phone keeps a small model of its own dialogs: what it sent, what state the other
 * side may be in. Held after every step: the cell is sound (cell_check), what it sends parses, belongs to a dialog or
 * transaction that a phone knows, counts its CSeq up, and answers only what was asked. In the end all phones hang up and
 * answer as they should: everything in the cell is gone, all CDRs are closed, and a replay of the recording gives the same. */
#define TESTS_HARNESS_H /* not cmocka: here a broken expectation ends the process, as the fuzzer wants it */
#include "base/assert.h"
#define assert_true(c) INVARIANT(c)
#define assert_false(c) INVARIANT(!(c))
#define assert_null(p) INVARIANT((p) == NULL)
#define assert_non_null(p) INVARIANT((p) != NULL)
#define assert_int_equal(a, b) INVARIANT((a) == (b))
#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), abort())
#include <stdio.h>
#include "pbx/phone_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PHONES = 4, SIDES = 12, SUBS = 6, STEPS = 160 };
enum phase { FREE, CALLING, RINGING, UP, ENDED };

struct dialog {
	struct side s;
	enum phase phase;
	bool caller;
	char invite[4096];   /* as it came to the called party, for its answers */
	size_t invite_n;
	char last[8192];     /* what this side sent last, for repetition */
	size_t last_n;
	uint32_t rcseq;      /* highest CSeq the switch used towards us */
	bool reinvite_open;  /* our own re-INVITE waits for its answer */
	char final_to[256];
	const char *extra;   /* what the INVITE says besides */
	uint8_t how;         /* bits: 1 PRACK late, 2..3 what a refresh is answered with */
	uint32_t rseq;       /* of the last reliable 18x: the switch's (caller), ours (called) */
	uint32_t racked;     /* ours, acknowledged last */
	struct side early;   /* the dialog of the switch's 18x */
};

/* A subscription as its phone knows it: a dialog with NOTIFYs only. */
struct watcher {
	struct side s;
	uint8_t event;       /* of events[] */
	uint32_t rcseq;      /* of the last NOTIFY */
	bool confirmed, over;
};

struct play {
	struct world *w;
	struct watcher sub[SUBS];
	uint8_t notify_answers; /* two bits for each NOTIFY to come: 200, 200, 481, none */
	struct phone phone[PHONES];
	struct dialog d[SIDES];
	struct span in;
	int read_to; /* packets of w->q already looked at */
};

static uint8_t pick(struct play *p)
{
	if (!p->in.n)
		return 0;
	uint8_t c = (uint8_t)p->in.p[0];
	p->in = span_sub(p->in, 1, p->in.n);
	return c;
}

static struct phone *owner(struct play *p, const struct sip_flow *to)
{
	for (int i = 0; i < PHONES; i++)
		if (sip_flow_same(to, &p->phone[i].flow))
			return &p->phone[i];
	return NULL;
}

static struct dialog *known(struct play *p, const struct phone *ph, const struct sip_msg *m)
{
	for (int i = 0; i < SIDES; i++) {
		struct dialog *d = &p->d[i];
		if (d->phase != FREE && d->s.p == ph && span_eqz(m->call_id, d->s.call_id))
			return d;
	}
	return NULL;
}

static struct dialog *unused(struct play *p)
{
	for (int i = 0; i < SIDES; i++)
		if (p->d[i].phase == FREE || p->d[i].phase == ENDED) {
			memset(&p->d[i], 0, sizeof p->d[i]);
			return &p->d[i];
		}
	return NULL;
}

static void bare_reply(struct play *p, const struct phone *ph, const struct sip_msg *req, uint16_t status)
{
	char buf[8192];
	struct sip_build b = {TEXT_ARRAY(buf)};
	sip_reply_begin(&b, req, &ph->flow, status, NULL, SPAN_LIT("stray"));
	INVARIANT(sip_finish(&b, "", SPAN_NONE));
	send_bytes(p->w, &ph->flow, text_span(&b.t));
}

static bool invite_of(const struct dialog *d, struct sip_msg *out)
{
	struct sip_error err;
	return d->invite_n && sip_parse(out, span_mem(d->invite, d->invite_n), &err) == 0;
}

static void answer(struct play *p, struct dialog *d, uint16_t status)
{
	static struct sip_msg m;
	if (!invite_of(d, &m))
		return;
	reply(p->w, &d->s, &m, status, status == 200 || status == 183 ? SDP(d->s.p) : SPAN_NONE);
	if (status >= 300)
		d->phase = ENDED;
	else if (status >= 200)
		d->phase = UP;
}

/* A reliable 18x: the next number, or the last one again. */
static void answer_reliably(struct play *p, struct dialog *d, uint8_t how)
{
	static struct sip_msg m;
	char buf[8192];
	struct sip_build b = {TEXT_ARRAY(buf)};
	if (!invite_of(d, &m))
		return;
	if (how & 1 || !d->rseq)
		d->rseq++;
	sip_reply_begin(&b, &m, &d->s.p->flow, how & 2 ? 183 : 180, NULL, span_z(d->s.ltag));
	text_fmt(&b.t, "Contact: <%s>\r\nRequire: 100rel\r\nRSeq: %u\r\n", d->s.p->contact, d->rseq + (how & 4 ? 1 : 0));
	INVARIANT(sip_finish(&b, how & 2 ? "application/sdp" : "", how & 2 ? SDP(d->s.p) : SPAN_NONE));
	send_bytes(p->w, &d->s.p->flow, text_span(&b.t));
}

/* ---- what the phones do with what comes ------------------------------------------------------------------------------ */

static void incoming_invite(struct play *p, struct phone *ph, struct dialog *d, const struct sip_msg *m, struct span raw)
{
	if (d && m->to.tag.n) { /* within the dialog: hold, resume, refresh */
		if (d->phase == UP)
			reply(p->w, &d->s, m, d->reinvite_open ? 491 : 200, d->reinvite_open ? SPAN_NONE : SDP(ph));
		else
			bare_reply(p, ph, m, 481);
		return;
	}
	if (d && d->phase == ENDED && m->cseq > d->rcseq) /* after our 422: with our Min-SE */
		memset(d, 0, sizeof *d);
	else if (d)
		return; /* a repetition: the answer stands */
	d = unused(p);
	if (!d || raw.n > sizeof d->invite) {
		bare_reply(p, ph, m, 486);
		return;
	}
	side_called(p->w, &d->s, ph, m);
	memcpy(d->invite, raw.p, raw.n);
	d->invite_n = raw.n;
	d->phase = RINGING;
	d->rcseq = m->cseq;
	answer(p, d, 180);
}

static struct watcher *watcher_of(struct play *p, const struct phone *ph, const struct sip_msg *m)
{
	for (int i = 0; i < SUBS; i++)
		if (p->sub[i].s.p == ph && span_eqz(m->call_id, p->sub[i].s.call_id))
			return &p->sub[i];
	return NULL;
}

/* RFC 6665 4.1.3: state and Event are there, CSeq counts up, and none comes after the last one that was confirmed. */
static void incoming_notify(struct play *p, struct phone *ph, struct watcher *s, const struct sip_msg *m)
{
	struct span state = sip_hdr_value(m, SIP_H_SUBSCRIPTION_STATE);
	uint8_t how = p->notify_answers & 3;
	p->notify_answers = (uint8_t)(p->notify_answers >> 2 | p->notify_answers << 6);
	INVARIANT(state.n && sip_hdr_value(m, SIP_H_EVENT).n && m->to.tag.n);
	INVARIANT(span_eqz(m->to.tag, s->s.ltag) && (m->cseq >= s->rcseq || s->over));
	INVARIANT(!(s->over && m->cseq > s->rcseq && span_istarts(state, SPAN_LIT("active"))));
	s->rcseq = m->cseq;
	if (!s->s.rtag[0]) /* it may overtake the 200 */
		INVARIANT(span_copyz(m->from.tag, s->s.rtag, sizeof s->s.rtag));
	if (how == 3)
		return; /* lost: the switch repeats it, and gives up at last */
	bare_reply(p, ph, m, how == 2 ? 481 : 200);
	if (span_istarts(state, SPAN_LIT("terminated")))
		s->over = true; /* a 481 may be too late: its transaction is over, and the switch tries again */
}

static void incoming_request(struct play *p, struct phone *ph, const struct sip_msg *m, struct span raw)
{
	struct watcher *sub = m->method == SIP_NOTIFY ? watcher_of(p, ph, m) : NULL;
	if (sub) {
		incoming_notify(p, ph, sub, m);
		return;
	}
	struct dialog *d = known(p, ph, m);
	if (d && m->method == SIP_PRACK) { /* RFC 3262 4: each number once, in order */
		uint64_t rack;
		struct span v = sip_hdr_value(m, SIP_H_RACK);
		INVARIANT(span_u64(span_cut(&v, ' '), UINT32_MAX, &rack) == 0 && rack <= d->rseq + 1u);
		INVARIANT(m->cseq <= d->rcseq ? rack <= d->racked : rack > d->racked);
		if (rack > d->racked)
			d->racked = (uint32_t)rack;
	}
	if (d && m->to.tag.n && m->method != SIP_ACK && m->method != SIP_CANCEL) {
		INVARIANT(d->rcseq == 0 || m->cseq >= d->rcseq || d->phase == ENDED); /* RFC 3261 12.2.1.1: counts up */
		d->rcseq = m->cseq;
	}
	if (m->method == SIP_INVITE) {
		incoming_invite(p, ph, d, m, raw);
	} else if (m->method == SIP_CANCEL) {
		bare_reply(p, ph, m, d ? 200 : 481);
		if (d && d->phase == RINGING)
			answer(p, d, 487);
	} else if (m->method == SIP_BYE) {
		INVARIANT(m->to.tag.n);
		bare_reply(p, ph, m, 200);
		if (d)
			d->phase = ENDED;
	} else if (m->method == SIP_UPDATE && d) { /* a refresh */
		static const uint16_t status[] = {200, 200, 500, 481};
		uint16_t st = status[d->how >> 1 & 3];
		bare_reply(p, ph, m, st);
		d->phase = st == 481 ? ENDED : d->phase;
	} else if (m->method != SIP_ACK) {
		bare_reply(p, ph, m, d || m->method == SIP_NOTIFY || m->method == SIP_OPTIONS ? 200 : 481);
	}
}

static void final_of_invite(struct play *p, struct phone *ph, struct dialog *d, const struct sip_msg *m)
{
	if (m->cseq != d->s.inv_cseq)
		return; /* of an older try */
	if (m->status >= 300) {
		struct digest_challenge ch;
		ack_failure(p->w, &d->s, m);
		d->reinvite_open = false;
		if (m->status == 401 && d->phase == CALLING && digest_parse_challenge(sip_hdr_value(m, SIP_H_WWW_AUTHENTICATE), &ch) == DIGEST_OK) {
			learn(ph, m, &ch);
			char number[8];
			snprintf(number, sizeof number, "%.3s", d->s.target + 4);
			send_invite(p->w, &d->s, number, d->extra ? d->extra : "", SDP(ph), true);
			return;
		}
		if (d->phase == CALLING)
			d->phase = ENDED;
		return;
	}
	bool first = d->phase == CALLING;
	if (d->phase == ENDED && d->s.rtag[0] == 0)
		return;
	if (first || d->phase == UP) {
		side_answered(&d->s, m);
		d->phase = UP;
		d->reinvite_open = false;
	}
	uint32_t cseq = d->s.cseq;
	d->s.cseq = d->s.inv_cseq; /* the ACK has the number of its INVITE */
	send_in_dialog(p->w, &d->s, "ACK", "", SPAN_NONE);
	d->s.cseq = cseq;
}

static void send_prack(struct play *p, struct dialog *d, uint32_t rseq)
{
	char rack[64];
	snprintf(rack, sizeof rack, "RAck: %u %u INVITE\r\n", rseq, d->s.inv_cseq);
	d->early.cseq = d->s.cseq;
	send_in_dialog(p->w, &d->early, "PRACK", rack, SPAN_NONE);
	d->s.cseq = d->early.cseq;
}

/* RFC 3262 3: numbers count up by one; one at a time. */
static void reliable_18x(struct play *p, struct dialog *d, const struct sip_msg *m)
{
	uint64_t rseq;
	if (span_u64(sip_hdr_value(m, SIP_H_RSEQ), INT32_MAX, &rseq) || d->phase != CALLING)
		return;
	INVARIANT(d->extra && strstr(d->extra, "Require: 100rel")); /* who does not demand it is not asked */
	INVARIANT(!d->rseq || rseq <= d->rseq + 1u);
	if (rseq > d->rseq || !d->rseq) {
		d->rseq = (uint32_t)rseq;
		d->early = d->s;
		side_answered(&d->early, m);
		if (!(d->how & 1))
			send_prack(p, d, d->rseq);
	}
}

static void incoming_response(struct play *p, struct phone *ph, const struct sip_msg *m)
{
	struct dialog *d = known(p, ph, m);
	struct watcher *sub = watcher_of(p, ph, m);
	struct digest_challenge ch;
	if (sub && m->status < 300 && m->status >= 200 && !sub->over) {
		struct sip_contact_iter it = {0};
		struct sip_nameaddr a;
		INVARIANT(span_copyz(m->to.tag, sub->s.rtag, sizeof sub->s.rtag) && sip_hdr(m, SIP_H_EXPIRES));
		if (sip_contact_next(m, SIP_H_CONTACT, &it, &a) == 1)
			INVARIANT(span_copyz(a.uri.all, sub->s.target, sizeof sub->s.target));
		sub->confirmed = true;
	}
	if (!d) {
		if (m->cseq_method == SIP_REGISTER && m->status == 401 && digest_parse_challenge(sip_hdr_value(m, SIP_H_WWW_AUTHENTICATE), &ch) == DIGEST_OK)
			learn(ph, m, &ch);
		return;
	}
	INVARIANT(span_eqz(m->from.tag, d->s.ltag)); /* it answers what we sent */
	if (m->cseq_method == SIP_INVITE && m->status >= 200)
		final_of_invite(p, ph, d, m);
	else if (m->cseq_method == SIP_INVITE)
		reliable_18x(p, d, m);
	else if ((m->status == 481 || m->status == 408) && m->cseq_method != SIP_PRACK)
		d->phase = m->cseq_method == SIP_CANCEL ? d->phase : ENDED;
}

static void deliver(struct play *p, int i)
{
	static struct sip_msg m;
	struct sip_error err;
	struct packet *k = &p->w->q[i];
	if (k->taken)
		return;
	k->taken = true;
	struct span raw = {k->p, k->n};
	struct phone *ph = owner(p, &k->to);
	INVARIANT(sip_parse(&m, raw, &err) == 0);
	INVARIANT(ph != NULL);
	if (m.is_request)
		incoming_request(p, ph, &m, raw);
	else
		incoming_response(p, ph, &m);
}

/* Keeps the queue of the world short: delivered packets go. */
static void sweep(struct play *p)
{
	struct world *w = p->w;
	int n = 0;
	for (int i = 0; i < w->n_q; i++) {
		if (w->q[i].taken)
			free(w->q[i].p);
		else
			w->q[n++] = w->q[i];
	}
	w->n_q = n;
}

/* All that lies in the queue, in order; how: bits say which packet is lost and which comes last. */
static void network(struct play *p, uint8_t how)
{
	for (int round = 0; round < 32; round++) {
		int n = p->w->n_q;
		bool some = false;
		for (int i = 0; i < n; i++) {
			if (p->w->q[i].taken)
				continue;
			some = true;
			if (how & 1 && (how >> (1 + i % 7) & 1))
				p->w->q[i].taken = true; /* lost */
			else if (how & 2)
				deliver(p, n - 1 - i < i ? i : n - 1 - i); /* the other way round */
			else
				deliver(p, i);
			if (p->w->n_q > MAX_QUEUE / 2)
				break;
		}
		sweep(p);
		if (!some)
			return;
		how &= (uint8_t)~1u; /* what is sent in answer arrives */
	}
}

/* ---- what the phones do of their own ---------------------------------------------------------------------------------- */

static void start_call(struct play *p, uint8_t c)
{
	static const char *const extra[] = {
		"Supported: 100rel,timer,replaces\r\n", "Require: 100rel\r\n", "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\nAllow: UPDATE\r\n",
		"Supported: timer\r\nSession-Expires: 120;refresher=uas\r\nRequire: 100rel\r\n", "Supported: timer\r\nSession-Expires: 20\r\n",
	};
	struct dialog *d = unused(p);
	struct phone *ph = &p->phone[c % PHONES];
	char number[8];
	if (!d)
		return;
	if (c & 0x80)
		snprintf(number, sizeof number, "*9%u", (c >> 2) % 10);
	else
		snprintf(number, sizeof number, "20%u", 1 + (c >> 2) % 5);
	side_init(p->w, &d->s, ph, number);
	d->caller = true;
	d->phase = CALLING;
	if (c & 0x40) {
		d->how = pick(p);
		d->extra = extra[(d->how >> 3) % COUNT_OF(extra)];
	}
	send_invite(p->w, &d->s, number, d->extra ? d->extra : "", SDP(ph), ph->nonce[0] != 0);
}

static void cancel(struct play *p, struct dialog *d)
{
	char buf[2048];
	struct text t = TEXT_ARRAY(buf);
	text_fmt(&t, "CANCEL %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.9:5060;branch=%s;rport\r\nFrom: %s;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u CANCEL\r\n"
		     "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		 d->s.target, d->s.branch, d->s.luri, d->s.ltag, d->s.ruri, d->s.call_id, d->s.inv_cseq);
	send_bytes(p->w, &d->s.p->flow, text_span(&t));
}

static void in_dialog(struct play *p, struct dialog *d, uint8_t c)
{
	static const char *const refer[] = {"Refer-To: <sip:203@10.0.0.1>\r\n", "Refer-To: <sip:204@10.0.0.1>\r\n", "Refer-To: <tel:1>\r\n", ""};
	char extra[400];
	switch (c % 8) {
	case 0: send_in_dialog(p->w, &d->s, "BYE", "", SPAN_NONE); d->phase = ENDED; break;
	case 1: send_in_dialog(p->w, &d->s, "INVITE", "", SDP_DIR(d->s.p, "sendonly")); d->s.inv_cseq = d->s.cseq; d->reinvite_open = true; break;
	case 2: send_in_dialog(p->w, &d->s, "INVITE", "", SDP(d->s.p)); d->s.inv_cseq = d->s.cseq; d->reinvite_open = true; break;
	case 3: send_in_dialog(p->w, &d->s, "INFO", "Content-Type: application/dtmf-relay\r\n", SPAN_LIT("Signal=5\r\nDuration=160\r\n")); break;
	case 4: send_in_dialog(p->w, &d->s, "UPDATE", c & 0x40 ? "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n" : c & 0x20 ? "Allow: UPDATE\r\n" : "", c & 0x80 ? SDP_DIR(d->s.p, "inactive") : SPAN_NONE); break;
	case 5: send_in_dialog(p->w, &d->s, "PRACK", "RAck: 1 1 INVITE\r\n", SPAN_NONE); break;
	case 6: send_in_dialog(p->w, &d->s, "REFER", refer[c >> 3 & 3], SPAN_NONE); break;
	case 7: { /* attended transfer to another dialog of this phone */
		const struct dialog *o = &p->d[(c >> 3) % SIDES];
		snprintf(extra, sizeof extra, "Refer-To: <sip:202@10.0.0.1?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\r\n", o->s.call_id[0] ? o->s.call_id : "none",
			 o->s.rtag[0] ? o->s.rtag : "x", o->s.ltag[0] ? o->s.ltag : "y");
		send_in_dialog(p->w, &d->s, "REFER", extra, SPAN_NONE);
		break;
	}
	}
}

/* An INVITE of a third phone with Replaces of some dialog. */
static void replace(struct play *p, uint8_t c)
{
	struct dialog *d = unused(p), *o = &p->d[(c >> 2) % SIDES];
	char extra[300];
	if (!d || o == d || !o->s.call_id[0])
		return;
	struct phone *ph = &p->phone[c % PHONES];
	snprintf(extra, sizeof extra, "Replaces: %s;to-tag=%s;from-tag=%s\r\n", o->s.call_id, o->s.rtag[0] ? o->s.rtag : "x", o->s.ltag);
	side_init(p->w, &d->s, ph, "202");
	d->phase = CALLING;
	send_invite(p->w, &d->s, "202", extra, SDP(ph), ph->nonce[0] != 0);
}

static const char *const events[] = {"message-summary", "message-summary", "dialog", "nonsense;id=7"};

static void send_subscribe(struct play *p, struct watcher *s, unsigned expires, const char *extra)
{
	char buf[4096];
	struct text t = TEXT_ARRAY(buf);
	char branch[24];
	snprintf(branch, sizeof branch, "z9hG4bKs%u", ++p->w->unique);
	put_common(p->w, &s->s, &t, "SUBSCRIBE", s->s.target, ++s->s.cseq, branch);
	text_fmt(&t, "Event: %s\r\nExpires: %u\r\n", events[s->event], expires);
	if (s->s.p->nonce[0]) {
		struct digest_challenge ch = known_challenge(s->s.p);
		put_auth(p->w, s->s.p, &t, &ch, "SUBSCRIBE", s->s.target);
	}
	put_body(&t, extra, SPAN_NONE);
	send_bytes(p->w, &s->s.p->flow, text_span(&t));
}

/* A new subscription, its refresh, its end; what the answers to the next NOTIFYs will be. */
static void subscribe(struct play *p, uint8_t c)
{
	static const char *const accept[] = {"", "Accept: application/simple-message-summary\r\n", "Accept: text/plain\r\n", "Accept: */*\r\n"};
	struct watcher *s = &p->sub[c % SUBS];
	uint8_t how = pick(p);
	p->notify_answers = pick(p);
	if (s->s.p && s->confirmed && !s->over && how & 1) {
		send_subscribe(p, s, how & 2 ? 0 : 60u << (how >> 6), accept[how >> 2 & 3]);
		return;
	}
	memset(s, 0, sizeof *s);
	char number[8];
	snprintf(number, sizeof number, "20%u", 1 + (how >> 4) % 4);
	side_init(p->w, &s->s, &p->phone[c / SUBS % PHONES], number);
	s->event = c >> 6;
	send_subscribe(p, s, how & 8 ? 60 : how & 4 ? 0 : 3600, accept[how >> 2 & 3]);
}

/* What the administrator asks meanwhile. */
static void ask(struct play *p, uint8_t c)
{
	static const char *const arg[] = {"mwi set 201 1 0", "mwi set 202 3 2", "mwi set 201 0 0", "mwi", "none x", "mwi set 999 1 x", ""};
	static const enum cell_query_kind kind[] = {CELL_Q_FEATURE, CELL_Q_FEATURE, CELL_Q_CALLS, CELL_Q_REGISTRATIONS, CELL_Q_STATUS, CELL_Q_SUBSCRIPTIONS,
						    CELL_Q_UNREGISTER, CELL_Q_HANGUP};
	struct cell_in in = {.kind = CELL_IN_QUERY, .u.query = {.token = 1, .kind = kind[c & 7], .limit = 10, .arg = span_z(arg[(c >> 3) % 7])}};
	if ((c & 7) == 6)
		in.u.query.arg = SPAN_LIT("203");
	w_step(p->w, &in);
	w_settle(p->w);
}

static void register_again(struct play *p, uint8_t c)
{
	struct phone *ph = &p->phone[c % PHONES];
	char contact[128];
	snprintf(contact, sizeof contact, "<%s>", ph->contact);
	send_register(p->w, ph, c & 0x40 ? "*" : contact, c & 0x40 || c & 0x20 ? "Expires: 0\r\n" : "Expires: 600\r\n");
}

static void step(struct play *p)
{
	uint8_t op = pick(p), c = pick(p);
	struct dialog *d = &p->d[c % SIDES];
	uint8_t more = (uint8_t)(c / SIDES);
	switch (op % 13) {
	case 0: start_call(p, c); break;
	case 1:
		if (d->phase == CALLING && d->early.p && more & 1)
			send_prack(p, d, d->rseq);
		else if (d->phase == CALLING && d->early.p && more & 2) { /* UPDATE before the answer */
			d->early.cseq = d->s.cseq;
			send_in_dialog(p->w, &d->early, "UPDATE", "", more & 4 ? SDP(d->s.p) : SPAN_NONE);
			d->s.cseq = d->early.cseq;
		} else if (d->phase == CALLING)
			cancel(p, d);
		break;
	case 2:
		if (d->phase == RINGING) {
			static const uint16_t status[] = {200, 180, 183, 486, 603, 302, 480, 200};
			if (more & 8)
				answer_reliably(p, d, more);
			else
				answer(p, d, status[more % 8]);
		}
		break;
	case 3:
		if (d->phase == UP)
			in_dialog(p, d, pick(p));
		break;
	case 4: replace(p, c); break;
	case 5: subscribe(p, c); break;
	case 6: register_again(p, c); break;
	case 7: w_run(p->w, (int64_t)c * 50 * MS); break;
	case 8: w_run(p->w, (int64_t)c * SEC); break;
	case 9: network(p, c); return;
	case 10: /* the answer or request once more */
		if (d->phase == UP && !d->caller)
			answer(p, d, 200);
		else if (d->phase == ENDED && d->s.rtag[0])
			send_in_dialog(p->w, &d->s, "BYE", "", SPAN_NONE);
		break;
	case 12: ask(p, c); break;
	case 11: return; /* nothing is delivered in this step: what comes next overtakes */
	}
	network(p, 0);
}

/* Phones hang up what they have, then answer what still comes, until the cell is quiet. */
static void finish(struct play *p)
{
	for (int i = 0; i < SIDES; i++) {
		struct dialog *d = &p->d[i];
		if (d->phase == CALLING)
			cancel(p, d);
		else if (d->phase == RINGING)
			answer(p, d, 486);
		else if (d->phase == UP)
			send_in_dialog(p->w, &d->s, "BYE", "", SPAN_NONE);
		d->phase = d->phase == FREE ? FREE : ENDED;
		network(p, 0);
	}
	p->notify_answers = 0;
	for (int i = 0; i < 1000 && (i < 80 || cell_counts(p->w->cell).subscriptions); i++) {
		w_run(p->w, 5 * (int64_t)SEC);
		network(p, 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct play p;
	memset(&p, 0, sizeof p);
	p.in = span_mem(data, size);
	p.w = w_new(8);
	for (int i = 0; i < PHONES; i++) {
		phone_init(&p.phone[i], i + 1);
		register_phone(p.w, &p.phone[i]);
	}
	sweep(&p);
	for (int i = 0; i < STEPS && p.in.n; i++) {
		step(&p);
		if (p.w->n_media > MAX_MEDIA / 2 || p.w->n_cdr > MAX_CDR / 2)
			break; /* the tables of the test world end here */
		if (p.w->n_media == p.w->media_done)
			p.w->n_media = p.w->media_done = 0;
	}
	finish(&p);
	network(&p, 0);
	w_close(p.w);
	return 0;
}

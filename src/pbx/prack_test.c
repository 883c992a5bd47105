/* Reliable provisional responses (RFC 3262), and UPDATE in an early dialog that they have agreed (RFC 3311). */
#include "pbx/phone_test.h"

static struct phone a, b;
static struct side sa, sb;

static struct world *two(void)
{
	struct world *w = w_new(16);
	phone_init(&a, 1);
	phone_init(&b, 2);
	register_phone(w, &a);
	register_phone(w, &b);
	return w;
}

static void reliable(struct world *w, struct side *s, const struct sip_msg *req, uint16_t status, unsigned rseq, struct span body)
{
	char buf[8192];
	struct sip_build m = {TEXT_ARRAY(buf)};
	sip_reply_begin(&m, req, &s->p->flow, status, NULL, span_z(s->ltag));
	text_fmt(&m.t, "Contact: <%s>\r\nRequire: 100rel\r\nRSeq: %u\r\n", s->p->contact, rseq);
	assert_true(sip_finish(&m, body.n ? "application/sdp" : "", body));
	send_bytes(w, &s->p->flow, text_span(&m.t));
}

static const struct sip_msg *expect_prack(struct world *w, const char *rack)
{
	const struct sip_msg *m = take_request(w, &b, SIP_PRACK);
	if (!span_eqz(sip_hdr_value(m, SIP_H_RACK), rack))
		fail_msg("RAck: " SPAN_FMT, SPAN_ARG(sip_hdr_value(m, SIP_H_RACK)));
	return m;
}

/* One PRACK for each RSeq in order; copies and gaps get none, and a second fork has numbers of its own. */
static void called_phone(void **state)
{
	(void)state;
	struct world *w = two();
	struct side fork;
	call(w, &sa, &a, "202", "Supported: 100rel\r\n", SDP(&a));
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	side_called(w, &sb, &b, inv);
	side_called(w, &fork, &b, inv);
	reliable(w, &sb, inv, 180, 8193, SPAN_NONE);
	const struct sip_msg *p = expect_prack(w, "8193 1 INVITE");
	assert_int_equal(p->cseq, 2);
	assert_true(span_eqz(p->to.tag, sb.ltag));
	const struct sip_msg *ring = take_status(w, &a, 180);
	assert_null(sip_hdr(ring, SIP_H_REQUIRE)); /* it did not demand it: plain */
	reliable(w, &sb, inv, 180, 8193, SPAN_NONE);
	nothing(w, &b);
	reply(w, &sb, p, 200, SPAN_NONE);
	reliable(w, &sb, inv, 183, 8195, SDP(&b)); /* 8194 is missing */
	nothing(w, &b);
	nothing(w, &a);
	reliable(w, &sb, inv, 183, 8194, SDP(&b));
	reply(w, &sb, expect_prack(w, "8194 1 INVITE"), 200, SPAN_NONE);
	assert_true(take_status(w, &a, 183)->body.n > 0);
	reliable(w, &fork, inv, 180, 1, SPAN_NONE);
	p = expect_prack(w, "1 1 INVITE");
	assert_true(span_eqz(p->to.tag, fork.ltag));
	assert_int_equal(p->cseq, 2);
	reply(w, &fork, p, 200, SPAN_NONE);
	while (take(w, &a))
		;
	reply(w, &sb, inv, 200, SPAN_NONE); /* the answer was in the 183 */
	assert_int_equal(take_request(w, &b, SIP_ACK)->cseq, 1);
	side_answered(&sa, take_status(w, &a, 200));
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	send_in_dialog(w, &sa, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	const struct sip_msg *bye = take_request(w, &b, SIP_BYE);
	assert_int_equal(bye->cseq, 4); /* INVITE, two PRACKs of this dialog */
	reply(w, &sb, bye, 200, SPAN_NONE);
	w_close(w);
}

/* A lost PRACK is repeated by its own transaction; a call that is cancelled leaves nothing behind. */
static void lost_prack_and_cancel(void **state)
{
	(void)state;
	struct world *w = two();
	call(w, &sa, &a, "202", "", SDP(&a));
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	side_called(w, &sb, &b, inv);
	reliable(w, &sb, inv, 180, 5, SPAN_NONE);
	expect_prack(w, "5 1 INVITE");
	w_run(w, 600 * MS);
	reply(w, &sb, expect_prack(w, "5 1 INVITE"), 200, SPAN_NONE);
	w_run(w, 5 * SEC);
	nothing(w, &b);
	take_status(w, &a, 180);
	w_run(w, 54500 * (int64_t)MS); /* nobody answers */
	take_request(w, &b, SIP_CANCEL);
	reply(w, &sb, inv, 487, SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	ack_failure(w, &sa, take_status(w, &a, 480));
	w_close(w);
}

static void send_prack(struct world *w, const struct sip_msg *resp, struct span body)
{
	char rack[80];
	snprintf(rack, sizeof rack, "RAck: " SPAN_FMT " %u INVITE\r\n", SPAN_ARG(sip_hdr_value(resp, SIP_H_RSEQ)), resp->cseq);
	send_in_dialog(w, &sa, "PRACK", rack, body);
}

static const struct sip_msg *ringing(struct world *w, const char *extra, struct span caller_sdp, struct span early)
{
	call(w, &sa, &a, "202", extra, caller_sdp);
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	side_called(w, &sb, &b, inv);
	reply(w, &sb, inv, early.n ? 183 : 180, early);
	const struct sip_msg *ring = take_status(w, &a, early.n ? 183 : 180);
	side_answered(&sa, ring);
	assert_true(sip_has_token(ring, SIP_H_REQUIRE, "100rel"));
	return ring;
}

/* The INVITE that B has got, once more. */
static const struct sip_msg *invite_of_b(const struct world *w)
{
	static struct sip_msg m;
	struct sip_error err;
	for (int i = 0; i < w->n_q; i++)
		if (sip_parse(&m, (struct span){w->q[i].p, w->q[i].n}, &err) == 0 && m.is_request && m.method == SIP_INVITE)
			return &m;
	fail_msg("no INVITE");
	return NULL;
}

/* Who demands them gets them: repeated, doubling, until the PRACK comes; the next one waits; a wrong PRACK is 481. */
static void caller_demands(void **state)
{
	(void)state;
	struct world *w = two();
	const struct sip_msg *ring = ringing(w, "Require: 100rel\r\n", SDP(&a), SPAN_NONE), *again = NULL;
	uint64_t rseq, next;
	assert_int_equal(span_u64(sip_hdr_value(ring, SIP_H_RSEQ), INT32_MAX, &rseq), 0);
	w_run(w, 3600 * MS); /* after 0.5, 1.5, 3.5 s */
	for (int i = 0; i < 3; i++) {
		again = take_status(w, &a, 180);
		assert_true(span_eq(again->raw, ring->raw));
	}
	nothing(w, &a);
	send_in_dialog(w, &sa, "PRACK", "RAck: 1 1 BYE\r\n", SPAN_NONE);
	take_status(w, &a, 481);
	send_in_dialog(w, &sa, "PRACK", "", SPAN_NONE);
	take_status(w, &a, 481);
	char rack[64]; /* the right number, of another INVITE */
	snprintf(rack, sizeof rack, "RAck: %u %u INVITE\r\n", (unsigned)rseq, sa.inv_cseq + 1);
	send_in_dialog(w, &sa, "PRACK", rack, SPAN_NONE);
	take_status(w, &a, 481);
	uint32_t inv_cseq = sa.inv_cseq;
	send_prack(w, ring, SPAN_NONE);
	take_status(w, &a, 200);
	send_prack(w, ring, SPAN_NONE); /* a second one, by a transaction of its own */
	take_status(w, &a, 481);
	w_run(w, 10 * SEC);
	nothing(w, &a);
	/* the called phone goes on: 183 with a description is the next number, the 200 waits for its PRACK */
	reply(w, &sb, invite_of_b(w), 183, SDP(&b));
	const struct sip_msg *r183 = take_status(w, &a, 183);
	assert_int_equal(span_u64(sip_hdr_value(r183, SIP_H_RSEQ), INT32_MAX, &next), 0);
	assert_int_equal(next, rseq + 1);
	reply(w, &sb, invite_of_b(w), 200, SDP(&b));
	take_request(w, &b, SIP_ACK);
	nothing(w, &a);
	send_in_dialog(w, &sa, "UPDATE", "", SDP(&a)); /* offer and answer are complete: a new offer may come */
	assert_true(take_status(w, &a, 200)->body.n > 0);
	send_prack(w, r183, SPAN_NONE);
	take_status(w, &a, 200);
	take_status(w, &a, 200);
	sa.inv_cseq = inv_cseq;
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	const struct sip_msg *m = take(w, &b); /* what the UPDATE changed may be told to B */
	if (m) {
		reply(w, &sb, m, 200, SDP(&b));
		take_request(w, &b, SIP_ACK);
	}
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void never_acknowledged(void **state)
{
	(void)state;
	struct world *w = two();
	ringing(w, "Require: 100rel\r\n", SDP(&a), SPAN_NONE);
	int copies = 0;
	for (const struct sip_msg *m; w_run(w, SEC), true;) {
		m = take(w, &a);
		if (!m)
			continue;
		if (m->status == 180) {
			copies++;
			continue;
		}
		assert_int_equal(m->status, 504);
		sa.rtag[0] = '\0';
		ack_failure(w, &sa, m);
		break;
	}
	assert_in_range(copies, 5, 7);
	take_request(w, &b, SIP_CANCEL);
	assert_int_equal(cdr_of(w, 1, 0)->cause, 18);
	w_close(w);
}

/* RFC 3262 5: without an offer in the INVITE the first reliable 18x holds ours, the PRACK the answer. */
static void offer_in_the_18x(void **state)
{
	(void)state;
	struct world *w = two();
	const struct sip_msg *ring = ringing(w, "Require: 100rel\r\n", SPAN_NONE, SPAN_NONE);
	uint32_t inv_cseq = sa.inv_cseq;
	assert_true(ring->body.n > 0);
	send_prack(w, ring, SDP_FMT(&a, "8 127"));
	take_status(w, &a, 200);
	reply(w, &sb, invite_of_b(w), 200, SDP_FMT(&b, "0 8 127"));
	take_request(w, &b, SIP_ACK);
	const struct sip_msg *ok = take_status(w, &a, 200);
	assert_int_equal(ok->body.n, 0);
	sa.inv_cseq = inv_cseq;
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	const struct sip_msg *re = take_request(w, &b, SIP_INVITE); /* B learns what A has chosen */
	struct sdp s;
	struct sdp_error err;
	assert_int_equal(sdp_parse(re->body, &s, &err), 0);
	assert_int_equal(sdp_audio(&s)->fmt[0].pt, 8);
	reply(w, &sb, re, 200, SDP_FMT(&b, "8 127"));
	take_request(w, &b, SIP_ACK);
	hang_up(w, &sa, &sb);
	w_close(w);
}

/* The other party hangs up, or the caller cancels, while the 200 waits for a PRACK. */
static void ends_while_the_answer_waits(void **state)
{
	(void)state;
	for (int by_caller = 0; by_caller < 2; by_caller++) {
		struct world *w = two();
		ringing(w, "Require: 100rel\r\n", SDP(&a), SDP(&b));
		reply(w, &sb, invite_of_b(w), 200, SDP(&b));
		take_request(w, &b, SIP_ACK);
		nothing(w, &a);
		if (by_caller) {
			send_in_dialog(w, &sa, "BYE", "", SPAN_NONE);
			take_status(w, &a, 200);
			take_status(w, &a, 487);
			reply(w, &sb, take_request(w, &b, SIP_BYE), 200, SPAN_NONE);
		} else {
			send_in_dialog(w, &sb, "BYE", "", SPAN_NONE);
			take_status(w, &b, 200);
			take_status(w, &a, 480);
		}
		w_close(w);
	}
}

static const struct test_case cases[] = {
	CASE(called_phone, "R17"), CASE(lost_prack_and_cancel, "R17"), CASE(caller_demands, "R17"), CASE(never_acknowledged, "R17"),
	CASE(offer_in_the_18x, "R17"), CASE(ends_while_the_answer_waits, "R17"),
};
TEST_MAIN("pbx_prack", cases)

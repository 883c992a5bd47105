/* Session timers (RFC 4028) and UPDATE (RFC 3311). */
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

static void reply_with(struct world *w, struct side *s, const struct sip_msg *req, uint16_t status, const char *lines, struct span body)
{
	char buf[8192];
	struct sip_build m = {TEXT_ARRAY(buf)};
	sip_reply_begin(&m, req, &s->p->flow, status, NULL, span_z(s->ltag));
	text_fmt(&m.t, "Contact: <%s>\r\n%s", s->p->contact, lines);
	assert_true(sip_finish(&m, body.n ? "application/sdp" : "", body));
	send_bytes(w, &s->p->flow, text_span(&m.t));
}

/* A calls B; what each says of timers. */
static struct world *talking(const char *caller_says, const char *called_says)
{
	struct world *w = two();
	call(w, &sa, &a, "202", caller_says, SDP(&a));
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	assert_true(span_eqz(sip_hdr_value(inv, SIP_H_SESSION_EXPIRES), "1800;refresher=uac"));
	assert_true(sip_has_token(inv, SIP_H_SUPPORTED, "timer"));
	assert_null(sip_hdr(inv, SIP_H_REQUIRE)); /* never demanded */
	side_called(w, &sb, &b, inv);
	reply_with(w, &sb, inv, 200, called_says, SDP(&b));
	take_request(w, &b, SIP_ACK);
	return w;
}

static const struct sip_msg *up(struct world *w)
{
	const struct sip_msg *ok = take_status(w, &a, 200);
	side_answered(&sa, ok);
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	return ok;
}

#define EXPIRES(m, text) assert_true(span_eqz(sip_hdr_value(m, SIP_H_SESSION_EXPIRES), text))

static uint16_t cause(const struct world *w, int leg)
{
	return cdr_of(w, 1, leg)->cause;
}

/* Both refreshed by us at half of the interval: by UPDATE where it is allowed, else by the same description once more. */
static void server_refreshes(void **state)
{
	(void)state;
	struct world *w = talking("Supported: timer\r\nAllow: INVITE, UPDATE\r\n", "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n");
	char before[2048];
	const struct sip_msg *ok = up(w);
	EXPIRES(ok, "1800;refresher=uas");
	assert_true(sip_has_token(ok, SIP_H_SUPPORTED, "timer"));
	w_run(w, 899900 * (int64_t)MS);
	nothing(w, &a);
	nothing(w, &b);
	for (int i = 0; i < 3; i++) {
		w_run(w, 200 * MS); /* sooner than a repetition */
		const struct sip_msg *u = take_request(w, &a, SIP_UPDATE);
		EXPIRES(u, "1800;refresher=uac");
		assert_int_equal(u->body.n, 0);
		reply_with(w, &sa, u, 200, "Session-Expires: 1800;refresher=uac\r\n", SPAN_NONE);
		const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
		EXPIRES(inv, "1800;refresher=uac");
		assert_true(inv->body.n > 0 && inv->body.n < sizeof before);
		if (i)
			assert_memory_equal(before, inv->body.p, inv->body.n); /* o= with the same version */
		memcpy(before, inv->body.p, inv->body.n);
		reply_with(w, &sb, inv, 200, "Session-Expires: 1800;refresher=uac\r\n", SDP(&b));
		take_request(w, &b, SIP_ACK);
		nothing(w, &a);
		nothing(w, &b);
		w_run(w, 899900 * (int64_t)MS);
	}
	w_run(w, 200 * MS);
	reply_with(w, &sa, take_request(w, &a, SIP_UPDATE), 200, "", SPAN_NONE);
	reply_with(w, &sb, take_request(w, &b, SIP_INVITE), 200, "", SDP(&b));
	take_request(w, &b, SIP_ACK);
	hang_up(w, &sa, &sb);
	w_close(w);
}

/* A phone that knows no timers: asked all the same, and whatever it answers, it lives. */
static void knows_no_timers(void **state)
{
	(void)state;
	struct world *w = talking("Allow: INVITE, UPDATE\r\n", "");
	assert_null(sip_hdr(up(w), SIP_H_SESSION_EXPIRES));
	w_run(w, 900100 * (int64_t)MS);
	reply_with(w, &sa, take_request(w, &a, SIP_UPDATE), 501, "", SPAN_NONE);
	reply_with(w, &sb, take_request(w, &b, SIP_INVITE), 488, "", SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	w_run(w, 100 * MS); /* A takes no UPDATE: a re-INVITE then */
	reply_with(w, &sa, take_request(w, &a, SIP_INVITE), 200, "", SDP(&a));
	take_request(w, &a, SIP_ACK);
	w_run(w, 899950 * (int64_t)MS);
	take_request(w, &b, SIP_INVITE);
	w_run(w, 33 * SEC); /* B is dead */
	while (take(w, &b))
		;
	while (take(w, &a))
		;
	assert_int_equal(cause(w, 1), 102);
	assert_true(cdr_of(w, 1, 1)->talk_ms > 1800 * 1000);
	w_close(w);
}

static void dead_phone(void **state)
{
	(void)state;
	struct world *w = talking("Supported: timer\r\nAllow: UPDATE\r\n", "Session-Expires: 1800;refresher=uac\r\nAllow: UPDATE\r\n");
	up(w);
	w_run(w, 900100 * (int64_t)MS);
	reply_with(w, &sb, take_request(w, &b, SIP_UPDATE), 481, "", SPAN_NONE);
	while (take(w, &a))
		;
	assert_int_equal(take_request(w, &b, SIP_BYE)->cseq, 3);
	assert_int_equal(cause(w, 1), 102);
	w_close(w);
}

/* The refusal of a refresh is no reason to end before the interval is over; then it is. */
static void refused_until_the_end(void **state)
{
	(void)state;
	struct world *w = talking("", "Session-Expires: 300;refresher=uac\r\nAllow: UPDATE\r\n");
	up(w);
	int refused = 0;
	for (int s = 0; s < 300; s++) {
		w_run(w, SEC);
		for (const struct sip_msg *m; (m = take(w, &b));) {
			if (m->method == SIP_UPDATE)
				refused++, reply_with(w, &sb, m, 500, "", SPAN_NONE);
			if (m->method == SIP_BYE) {
				assert_in_range(s, 266, 269); /* 300 - 32 */
				assert_true(refused > 2);
				reply(w, &sb, m, 200, SPAN_NONE);
				take_request(w, &a, SIP_BYE);
				assert_int_equal(cause(w, 1), 102);
				w_close(w);
				return;
			}
		}
	}
	fail_msg("never ended");
}

/* The party refreshes: what it asks for is kept over re-INVITEs; when it falls silent, BYE at the interval less a third. */
static void party_refreshes(void **state)
{
	(void)state;
	struct world *w = talking("Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n", "Session-Expires: 120;refresher=uas\r\nRequire: timer\r\n");
	const struct sip_msg *ok = up(w);
	EXPIRES(ok, "90;refresher=uac");
	assert_true(sip_has_token(ok, SIP_H_REQUIRE, "timer"));
	for (int i = 0; i < 4; i++) {
		w_run(w, 50 * SEC);
		send_in_dialog(w, &sa, i & 1 ? "INVITE" : "UPDATE", "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n", i & 1 ? SDP(&a) : SPAN_NONE);
		EXPIRES(take_status(w, &a, 200), "90;refresher=uac");
		if (i & 1)
			send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
		send_in_dialog(w, &sb, "UPDATE", "Supported: timer\r\n", SPAN_NONE); /* it says no interval: the old one stays */
		EXPIRES(take_status(w, &b, 200), "120;refresher=uac");
		nothing(w, &a);
	}
	w_run(w, 59 * SEC);
	while (take(w, &b))
		;
	nothing(w, &a);
	w_run(w, 2 * SEC); /* 90 - 30 */
	take_request(w, &a, SIP_BYE);
	assert_int_equal(cause(w, 0), 102);
	while (take(w, &b))
		;
	w_close(w);
}

static void too_small(void **state)
{
	(void)state;
	struct digest_challenge ch;
	struct world *w = two();
	side_init(w, &sa, &a, "202");
	send_invite(w, &sa, "202", "", SDP(&a), false);
	learn(&a, take_status(w, &a, 401), &ch);
	send_invite(w, &sa, "202", "Supported: timer\r\nSession-Expires: 89\r\n", SDP(&a), true);
	const struct sip_msg *m = take_status(w, &a, 422);
	assert_true(span_eqz(sip_hdr_value(m, SIP_H_MIN_SE), "90"));
	nothing(w, &b);
	assert_int_equal(w->n_cdr, 0);
	ack_failure(w, &sa, m);
	w_close(w);
	w = talking("Supported: timer\r\n", "");
	up(w);
	send_in_dialog(w, &sa, "UPDATE", "Supported: timer\r\nx: 20\r\n", SPAN_NONE);
	take_status(w, &a, 422);
	hang_up(w, &sa, &sb);
	w_close(w);
}

/* A phone with a longer minimum gets what it wants: in the INVITE and in a refresh. */
static void phone_wants_longer(void **state)
{
	(void)state;
	struct world *w = two();
	call(w, &sa, &a, "202", "", SDP(&a));
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	side_called(w, &sb, &b, inv);
	reply_with(w, &sb, inv, 422, "Min-SE: 3000\r\n", SPAN_NONE);
	assert_int_equal(take_request(w, &b, SIP_ACK)->cseq, 1);
	nothing(w, &a);
	inv = take_request(w, &b, SIP_INVITE);
	assert_int_equal(inv->cseq, 2);
	EXPIRES(inv, "3000;refresher=uac");
	assert_true(span_eqz(sip_hdr_value(inv, SIP_H_MIN_SE), "3000"));
	reply_with(w, &sb, inv, 200, "Session-Expires: 3000\r\nAllow: UPDATE\r\n", SDP(&b));
	assert_int_equal(take_request(w, &b, SIP_ACK)->cseq, 2);
	up(w);
	w_run(w, 900100 * (int64_t)MS);
	reply_with(w, &sa, take_request(w, &a, SIP_INVITE), 488, "", SPAN_NONE); /* it lives */
	take_request(w, &a, SIP_ACK);
	w_run(w, 600100 * (int64_t)MS);
	const struct sip_msg *u = take_request(w, &b, SIP_UPDATE);
	reply_with(w, &sb, u, 422, "Min-SE: 4000\r\n", SPAN_NONE);
	w_run(w, 100 * MS);
	u = take_request(w, &b, SIP_UPDATE);
	EXPIRES(u, "4000;refresher=uac");
	reply_with(w, &sb, u, 200, "Session-Expires: 4000\r\n", SPAN_NONE);
	nothing(w, &a);
	hang_up(w, &sa, &sb);
	w_close(w);
	/* the same 422 for ever does not loop */
	w = two();
	call(w, &sa, &a, "202", "", SDP(&a));
	for (int i = 0; i < 2; i++) {
		inv = take_request(w, &b, SIP_INVITE);
		side_called(w, &sb, &b, inv);
		reply_with(w, &sb, inv, 422, "Min-SE: 3000\r\n", SPAN_NONE);
		take_request(w, &b, SIP_ACK);
	}
	nothing(w, &b);
	ack_failure(w, &sa, take_status(w, &a, 480));
	w_close(w);
}

/* RFC 3311 5.2: before its own offer is answered a caller's UPDATE with another waits, one without is a refresh. */
static void early_update(void **state)
{
	(void)state;
	struct world *w = two();
	call(w, &sa, &a, "202", "", SDP(&a));
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	side_called(w, &sb, &b, inv);
	reply(w, &sb, inv, 180, SPAN_NONE);
	side_answered(&sa, take_status(w, &a, 180));
	send_in_dialog(w, &sa, "UPDATE", "", SPAN_NONE);
	assert_null(sip_hdr(take_status(w, &a, 200), SIP_H_SESSION_EXPIRES));
	send_in_dialog(w, &sa, "UPDATE", "", SDP(&a));
	assert_true(sip_hdr_value(take_status(w, &a, 500), SIP_H_RETRY_AFTER).n > 0);
	send_in_dialog(w, &sb, "UPDATE", "", SDP(&b)); /* our offer is open there */
	take_status(w, &b, 491);
	send_in_dialog(w, &sb, "UPDATE", "", SPAN_NONE);
	take_status(w, &b, 200);
	reply(w, &sb, inv, 200, SDP(&b));
	take_request(w, &b, SIP_ACK);
	sa.inv_cseq = sa.cseq - 2;
	up(w);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static const struct test_case cases[] = {
	CASE(server_refreshes, "R17"), CASE(knows_no_timers, "R17"), CASE(dead_phone, "R17"), CASE(refused_until_the_end, "R17"),
	CASE(party_refreshes, "R17"), CASE(too_small, "R17"), CASE(phone_wants_longer, "R17"), CASE(early_update, "R17"),
};
TEST_MAIN("pbx_session_timer", cases)

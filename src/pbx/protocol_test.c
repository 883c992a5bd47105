/* RFC 3261 8.2: what a request must be before it is looked at; and what strangers learn. */
#include "pbx/phone_test.h"

static struct phone a, b;
static struct side sa;

static struct world *one_phone(void)
{
	struct world *w = w_new(16);
	phone_init(&a, 1);
	phone_init(&b, 2);
	return w;
}

static const struct sip_msg *raw(struct world *w, const char *method, const char *uri, const char *to_tag, const char *extra)
{
	char buf[4096];
	struct text t = TEXT_ARRAY(buf);
	w->unique++;
	text_fmt(&t, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.9:5060;branch=z9hG4bKx%u;rport\r\nFrom: <sip:201@x>;tag=1\r\nTo: <sip:202@x>%s\r\n"
		     "Call-ID: raw%u\r\nCSeq: 7 %s\r\nContact: <sip:201@192.0.2.1>\r\n%s\r\n",
		 method, uri, w->unique, to_tag, w->unique, method, extra);
	send_bytes(w, &a.flow, text_span(&t));
	return take(w, &a);
}

static void strangers(void **state)
{
	(void)state;
	static const struct { const char *method, *uri, *tag, *extra; uint16_t status; } rows[] = {
		{"OPTIONS", "sip:10.0.0.1", "", "Max-Forwards: 70\r\n", 200},
		{"OPTIONS", "sip:10.0.0.1", "", "Max-Forwards: 0\r\n", 483},
		{"OPTIONS", "sip:10.0.0.1", "", "Max-Forwards: 70\r\nRequire: nothing\r\n", 420},
		{"INVITE", "sip:202@10.0.0.1", "", "Max-Forwards: 0\r\n", 483},
		{"INVITE", "sip:202@10.0.0.1", "", "Max-Forwards: 70\r\n", 401},
		{"REGISTER", "sip:10.0.0.1", "", "Max-Forwards: 70\r\n", 401},
		{"SUBSCRIBE", "sip:202@10.0.0.1", "", "Max-Forwards: 70\r\nEvent: dialog\r\n", 401},
		{"MESSAGE", "sip:202@10.0.0.1", "", "Max-Forwards: 70\r\n", 401},
		{"BYE", "sip:202@10.0.0.1", "", "Max-Forwards: 70\r\n", 401},
		{"BYE", "sip:202@10.0.0.1", ";tag=zz", "Max-Forwards: 70\r\n", 481},
		{"INVITE", "sip:202@10.0.0.1", ";tag=zz", "Max-Forwards: 70\r\n", 481},
		{"FROBNICATE", "sip:202@10.0.0.1", "", "Max-Forwards: 70\r\n", 501},
		{"OPTIONS", "http://10.0.0.1", "", "Max-Forwards: 70\r\n", 416},
	};
	struct world *w = one_phone();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct sip_msg *m = raw(w, rows[i].method, rows[i].uri, rows[i].tag, rows[i].extra);
		assert_non_null(m);
		if (m->status != rows[i].status)
			fail_msg("%s %s: %d, not %d", rows[i].method, rows[i].uri, m->status, rows[i].status);
		assert_true(m->to.tag.n > 0);
		if (rows[i].status == 420)
			assert_true(span_eqz(sip_hdr_value(m, SIP_H_UNSUPPORTED), "nothing"));
		if (rows[i].status == 501)
			assert_true(sip_has_token(m, SIP_H_ALLOW, "INVITE"));
		assert_int_equal(cell_counts(w->cell).txns, 0); /* nothing is kept for strangers */
	}
	assert_null(raw(w, "ACK", "sip:202@10.0.0.1", ";tag=zz", "Max-Forwards: 70\r\n"));
	assert_null(raw(w, "ACK", "sip:202@10.0.0.1", "", "Max-Forwards: 70\r\n"));
	w_close(w);
}

static void keepalives_and_noise(void **state)
{
	(void)state;
	struct world *w = one_phone();
	static const struct span noise[] = {
		{"\r\n\r\n", 4}, {"\r\n", 2}, {"\0\0\0\0", 4}, {"", 0}, {"hello", 5}, {"SIP/2.0 200 OK\r\n\r\n", 18}, {"INVITE sip:a SIP/2.0\r\n\r\n", 24},
	};
	for (size_t i = 0; i < sizeof noise / sizeof noise[0]; i++) {
		send_bytes(w, &a.flow, noise[i]);
		nothing(w, &a);
	}
	/* broken, but good enough to be told so */
	const struct sip_msg *m = raw(w, "OPTIONS", "sip:10.0.0.1", "", "Content-Length: 77\r\n");
	assert_non_null(m);
	assert_int_equal(m->status, 400);
	w_close(w);
}

static void known_devices(void **state)
{
	(void)state;
	struct world *w = one_phone();
	register_phone(w, &a);
	register_phone(w, &b);
	/* reliable provisionals and session timers are understood, not demanded; the first is not even offered (V17a) */
	call(w, &sa, &a, "202", "", SDP(&a));
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	assert_false(sip_has_token(inv, SIP_H_SUPPORTED, "100rel"));
	assert_true(sip_has_token(inv, SIP_H_ALLOW, "PRACK"));
	assert_null(sip_hdr(inv, SIP_H_REQUIRE));
	struct digest_challenge ch;
	side_init(w, &sa, &a, "202");
	send_invite(w, &sa, "202", "Require: nothing\r\n", SDP(&a), false);
	learn(&a, take_status(w, &a, 401), &ch);
	send_invite(w, &sa, "202", "Require: 100rel, nothing\r\n", SDP(&a), true);
	const struct sip_msg *m = take_status(w, &a, 420);
	ack_failure(w, &sa, m);
	call(w, &sa, &a, "202", "Content-Type: text/plain\r\n", SPAN_LIT("hello"));
	ack_failure(w, &sa, take_status(w, &a, 415));
	call(w, &sa, &a, "202", "", SPAN_LIT("v=0\r\nthis is no description"));
	ack_failure(w, &sa, take_status(w, &a, 488));
	call(w, &sa, &a, "%00", "", SDP(&a));
	ack_failure(w, &sa, take_status(w, &a, 484));
	while (take(w, &b))
		;
	w_close(w);
}

/* The same INVITE by another way (RFC 3261 8.2.2.2). */
static void merged(void **state)
{
	(void)state;
	struct world *w = one_phone();
	register_phone(w, &a);
	call(w, &sa, &a, "9196", "", SDP(&a));
	side_answered(&sa, take_status(w, &a, 200));
	struct digest_challenge ch;
	struct side again = sa;
	again.rtag[0] = '\0';
	again.cseq--;
	send_invite(w, &again, "9196", "", SDP(&a), false);
	learn(&a, take_status(w, &a, 401), &ch);
	again.cseq--;
	send_invite(w, &again, "9196", "", SDP(&a), true);
	ack_failure(w, &again, take_status(w, &a, 482));
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	send_in_dialog(w, &sa, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	w_close(w);
}

static void old_sequence_number(void **state)
{
	(void)state;
	struct world *w = one_phone();
	register_phone(w, &a);
	call(w, &sa, &a, "9196", "", SDP(&a));
	side_answered(&sa, take_status(w, &a, 200));
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	sa.cseq -= 2;
	send_in_dialog(w, &sa, "BYE", "", SPAN_NONE);
	take_status(w, &a, 500);
	sa.cseq += 2;
	send_in_dialog(w, &sa, "MESSAGE", "", SPAN_NONE);
	assert_true(sip_has_token(take_status(w, &a, 405), SIP_H_ALLOW, "UPDATE"));
	send_in_dialog(w, &sa, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	w_close(w);
}

/* Every prefix and many one-byte damages of a real INVITE: never a crash, never a broken cell. */
static void damaged_messages(void **state)
{
	(void)state;
	struct world *w = one_phone();
	char buf[4096];
	struct text t = TEXT_ARRAY(buf);
	side_init(w, &sa, &a, "202");
	put_common(w, &sa, &t, "INVITE", "sip:202@10.0.0.1", 1, "z9hG4bKdamage");
	put_body(&t, "Authorization: Digest username=\"201\", realm=\"strowger\", nonce=\"00\", uri=\"sip:x\", response=\"00\"\r\n", SDP(&a));
	for (size_t i = 0; i < t.n; i++) {
		send_bytes(w, &a.flow, (struct span){buf, i});
		char was = buf[i];
		buf[i] = (char)(i * 37);
		send_bytes(w, &a.flow, text_span(&t));
		buf[i] = was;
		for (int k = 0; k < w->n_q; k++)
			free(w->q[k].p);
		w->n_q = 0;
	}
	w_close(w);
}

static const struct test_case cases[] = {
	CASE(strangers, ""), CASE(keepalives_and_noise, ""), CASE(known_devices, ""), CASE(merged, ""), CASE(old_sequence_number, ""),
	CASE(damaged_messages, ""),
};
TEST_MAIN("pbx_protocol", cases)

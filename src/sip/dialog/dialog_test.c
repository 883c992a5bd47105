#include "harness/harness.h"

#include "sip/dialog/dialog.h"
#include "sip/dialog/offer.h"

#include "base/rng.h"

static struct slab slab;
static const struct sip_flow flow = {
	.transport = SIP_UDP,
	.remote = {.ip = {192, 0, 2, 4}, .port = 5060, .family = 4},
	.local = {.ip = {192, 0, 2, 1}, .port = 5060, .family = 4},
};

static int setup(void)
{
	slab_init(&slab, 0);
	return 0;
}

static void teardown(void)
{
	assert_int_equal(slab.used_bytes, 0); /* each case gives back what it took */
	slab_destroy(&slab);
}

static struct sip_msg parse(const char *text)
{
	struct sip_msg m;
	struct sip_error err;
	if (sip_parse(&m, span_z(text), &err) != 0)
		fail_msg("%s at %zu in %s", err.reason, err.offset, text);
	return m;
}

/* RFC 3665 3.1: Alice calls Bob, seen by Bob */
#define INVITE(contact, rr)                                                                                            \
	"INVITE sip:bob@biloxi.example.com SIP/2.0\r\nVia: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9\r\n" \
	"Max-Forwards: 70\r\nFrom: \"Alice; tag=no\" <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n"                \
	"To: Bob <sip:bob@biloxi.example.com>\r\nCall-ID: 3848276298220188511@atlanta.example.com\r\nCSeq: 7 INVITE\r\n" rr contact \
	"Content-Length: 0\r\n\r\n"
#define IN_DIALOG(method, cseq, from_tag, to_tag, extra)                                                               \
	method " sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKnashds7\r\nMax-Forwards: 70\r\n"  \
	"From: <sip:alice@atlanta.example.com>;tag=" from_tag "\r\nTo: Bob <sip:bob@biloxi.example.com>;tag=" to_tag "\r\n" \
	"Call-ID: 3848276298220188511@atlanta.example.com\r\nCSeq: " cseq " " method "\r\n" extra "Content-Length: 0\r\n\r\n"
#define RESPONSE(status, tag, contact, rr)                                                                             \
	"SIP/2.0 " status " X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:alice@atlanta.example.com>;tag=9fx\r\n" \
	"To: Bob <sip:bob@biloxi.example.com>" tag "\r\nCall-ID: cid1\r\nCSeq: 2 INVITE\r\n" rr contact "Content-Length: 0\r\n\r\n"
#define CONTACT_BOB "Contact: <sip:bob@192.0.2.4;transport=udp>\r\n"

static void written(struct dialog *d, enum sip_method m, uint32_t cseq, const char *want)
{
	char buf[2048];
	struct sip_build b = {TEXT_ARRAY(buf)};
	dialog_request_begin(d, &b, m, cseq, SPAN_LIT("z9hG4bKx"));
	assert_true(text_end(&b.t));
	assert_string_equal(buf, want);
}

static void uas_answers_and_hangs_up(void **state)
{
	(void)state;
	setup();
	struct dialog d = {0};
	struct sip_msg m = parse(INVITE("Contact: <sip:alice@client.atlanta.example.com;transport=tcp>\r\n", ""));
	assert_int_equal(dialog_from_request(&d, &slab, &m, &flow, SPAN_LIT("8321234356")), 0);
	assert_int_equal(d.state, DIALOG_EARLY);
	assert_false(d.is_uac);
	d.state = DIALOG_CONFIRMED;
	written(&d, SIP_BYE, 0,
		"BYE sip:alice@client.atlanta.example.com;transport=tcp SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport\r\nMax-Forwards: 70\r\n"
		"From: Bob <sip:bob@biloxi.example.com>;tag=8321234356\r\n"
		"To: \"Alice; tag=no\" <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n"
		"Call-ID: 3848276298220188511@atlanta.example.com\r\nCSeq: 1 BYE\r\n");
	dialog_clear(&d, &slab);
	assert_int_equal(d.state, DIALOG_NONE);
	dialog_clear(&d, &slab);
	m = parse(INVITE("", ""));
	assert_int_equal(dialog_from_request(&d, &slab, &m, &flow, SPAN_LIT("1")), -1);
	m = parse(INVITE("Contact: *\r\n", ""));
	assert_int_equal(dialog_from_request(&d, &slab, &m, &flow, SPAN_LIT("1")), -1);
	teardown();
}

static void uas_checks_tags_and_sequence(void **state)
{
	(void)state;
	setup();
	struct dialog d = {0};
	struct sip_msg m = parse(INVITE(CONTACT_BOB, ""));
	assert_int_equal(dialog_from_request(&d, &slab, &m, &flow, SPAN_LIT("LT")), 0);
	static const struct {
		const char *text;
		enum dialog_check want;
	} row[] = {
		{IN_DIALOG("INFO", "6", "9fxced76sl", "LT", ""), DIALOG_OLD_CSEQ},
		{IN_DIALOG("INFO", "7", "9fxced76sl", "LT", ""), DIALOG_FRESH},
		{IN_DIALOG("INFO", "9", "9fxced76sl", "LT", ""), DIALOG_FRESH},
		{IN_DIALOG("INFO", "8", "9fxced76sl", "LT", ""), DIALOG_OLD_CSEQ},
		{IN_DIALOG("BYE", "2147483647", "9fxced76sl", "lt", ""), DIALOG_BAD_TAGS},
		{IN_DIALOG("BYE", "10", "LT", "9fxced76sl", ""), DIALOG_BAD_TAGS},
		{IN_DIALOG("BYE", "10", "9fxced76sl", "LT", ""), DIALOG_FRESH},
	};
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		m = parse(row[i].text);
		if (dialog_accept_request(&d, &m) != row[i].want)
			fail_msg("row %zu", i);
	}
	d.state = DIALOG_ENDED;
	m = parse(IN_DIALOG("BYE", "11", "9fxced76sl", "LT", ""));
	assert_int_equal(dialog_accept_request(&d, &m), DIALOG_BAD_TAGS);
	dialog_clear(&d, &slab);
	teardown();
}

/* RFC 3261 12.1.1, 12.1.2: the order of routes for each side */
static void routes_have_the_right_order(void **state)
{
	(void)state;
	setup();
	struct dialog d = {0};
	struct sip_msg m = parse(INVITE(CONTACT_BOB, "Record-Route: <sip:p1;lr>, \"a,b\" <sip:p2;lr>\r\nRecord-Route: <sip:p3;lr>\r\n"));
	assert_int_equal(dialog_from_request(&d, &slab, &m, &flow, SPAN_LIT("LT")), 0);
	assert_true(span_eqz(d.route, "<sip:p1;lr>, \"a,b\" <sip:p2;lr>, <sip:p3;lr>"));
	dialog_clear(&d, &slab);
	m = parse(RESPONSE("200", ";tag=rt", CONTACT_BOB, "Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nRecord-Route: <sip:p3;lr>\r\n"));
	assert_int_equal(dialog_from_response(&d, &slab, &m, &flow), 0);
	assert_true(span_eqz(d.route, "<sip:p3;lr>, <sip:p2;lr>, <sip:p1;lr>"));
	written(&d, SIP_ACK, 2,
		"ACK sip:bob@192.0.2.4;transport=udp SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport\r\n"
		"Max-Forwards: 70\r\nRoute: <sip:p3;lr>, <sip:p2;lr>, <sip:p1;lr>\r\n"
		"From: <sip:alice@atlanta.example.com>;tag=9fx\r\nTo: Bob <sip:bob@biloxi.example.com>;tag=rt\r\n"
		"Call-ID: cid1\r\nCSeq: 2 ACK\r\n");
	written(&d, SIP_BYE, 0,
		"BYE sip:bob@192.0.2.4;transport=udp SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport\r\n"
		"Max-Forwards: 70\r\nRoute: <sip:p3;lr>, <sip:p2;lr>, <sip:p1;lr>\r\n"
		"From: <sip:alice@atlanta.example.com>;tag=9fx\r\nTo: Bob <sip:bob@biloxi.example.com>;tag=rt\r\n"
		"Call-ID: cid1\r\nCSeq: 3 BYE\r\n");
	dialog_clear(&d, &slab);
	/* More routes than are kept */
	static char many[8192];
	struct text t = TEXT_ARRAY(many);
	text_lit(&t, "SIP/2.0 200 X\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n"
		     "Call-ID: c\r\nCSeq: 1 INVITE\r\n" CONTACT_BOB "Record-Route: <sip:p0;lr>");
	for (int i = 0; i < 40; i++)
		text_lit(&t, ",<sip:p;lr>");
	text_lit(&t, "\r\nContent-Length: 0\r\n\r\n");
	assert_true(text_end(&t));
	m = parse(many);
	assert_int_equal(dialog_from_response(&d, &slab, &m, &flow), -1);
	teardown();
}

/* RFC 3261 12.2.1.1, its own example of a strict first hop */
static void strict_router_is_served(void **state)
{
	(void)state;
	setup();
	struct dialog d = {0};
	struct sip_msg m = parse(RESPONSE("200", ";tag=rt", "Contact: <sip:user@remoteua>\r\n",
		"Record-Route: <sip:proxy4;lr>, <sip:proxy3>, <sip:proxy2>, <sip:proxy1>\r\n"));
	assert_int_equal(dialog_from_response(&d, &slab, &m, &flow), 0);
	written(&d, SIP_BYE, 0,
		"BYE sip:proxy1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport\r\nMax-Forwards: 70\r\n"
		"Route: <sip:proxy2>, <sip:proxy3>, <sip:proxy4;lr>, <sip:user@remoteua>\r\n"
		"From: <sip:alice@atlanta.example.com>;tag=9fx\r\nTo: Bob <sip:bob@biloxi.example.com>;tag=rt\r\n"
		"Call-ID: cid1\r\nCSeq: 3 BYE\r\n");
	dialog_clear(&d, &slab);
	m = parse(RESPONSE("200", ";tag=rt", "Contact: <sip:user@remoteua>\r\n", "Record-Route: <sip:proxy1>\r\n"));
	assert_int_equal(dialog_from_response(&d, &slab, &m, &flow), 0);
	written(&d, SIP_INFO, 9,
		"INFO sip:proxy1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport\r\nMax-Forwards: 70\r\n"
		"Route: <sip:user@remoteua>\r\n"
		"From: <sip:alice@atlanta.example.com>;tag=9fx\r\nTo: Bob <sip:bob@biloxi.example.com>;tag=rt\r\n"
		"Call-ID: cid1\r\nCSeq: 9 INFO\r\n");
	dialog_clear(&d, &slab);
	teardown();
}

static void early_dialog_becomes_confirmed(void **state)
{
	(void)state;
	setup();
	struct dialog d = {0};
	struct sip_msg m = parse(RESPONSE("100", "", "", ""));
	assert_int_equal(dialog_from_response(&d, &slab, &m, &flow), -1);
	m = parse(RESPONSE("486", ";tag=rt", "", ""));
	assert_int_equal(dialog_from_response(&d, &slab, &m, &flow), -1);
	m = parse(RESPONSE("180", ";tag=rt", "", "Record-Route: <sip:p1;lr>\r\n"));
	assert_int_equal(dialog_from_response(&d, &slab, &m, &flow), 0);
	assert_int_equal(d.state, DIALOG_EARLY);
	assert_true(span_eqz(d.remote_target, "sip:bob@biloxi.example.com"));
	d.local_cseq = 5; /* PRACK and UPDATE */
	m = parse(RESPONSE("200", ";tag=rt", CONTACT_BOB, ""));
	assert_true(dialog_matches_response(&d, &m));
	assert_int_equal(dialog_confirm(&d, &slab, &m), 0);
	assert_int_equal(d.state, DIALOG_CONFIRMED);
	assert_int_equal(d.local_cseq, 5);
	assert_int_equal(d.route.n, 0);
	assert_true(span_eqz(d.remote_target, "sip:bob@192.0.2.4;transport=udp"));
	m = parse(RESPONSE("200", ";tag=other", CONTACT_BOB, ""));
	assert_false(dialog_matches_response(&d, &m));
	m = parse(RESPONSE("200", ";tag=rt", "Contact: <sip:bob@198.51.100.7>\r\n", ""));
	assert_int_equal(dialog_refresh_target(&d, &slab, &m), 0);
	assert_true(span_eqz(d.remote_target, "sip:bob@198.51.100.7"));
	m = parse(RESPONSE("200", ";tag=rt", "Contact: <sip:bob@198.51.100.8>\r\n", ""));
	assert_int_equal(dialog_refresh_target(&d, &slab, &m), 0);
	assert_true(span_eqz(d.remote_target, "sip:bob@198.51.100.8"));
	m = parse(RESPONSE("200", ";tag=rt", "", ""));
	assert_int_equal(dialog_refresh_target(&d, &slab, &m), 0);
	assert_true(span_eqz(d.remote_target, "sip:bob@198.51.100.8"));
	dialog_clear(&d, &slab);
	teardown();
}

static void no_memory_is_an_answer(void **state)
{
	(void)state;
	setup();
	struct slab tiny;
	slab_init(&tiny, 64);
	struct dialog d = {0};
	struct sip_msg m = parse(INVITE(CONTACT_BOB, ""));
	assert_int_equal(dialog_from_request(&d, &tiny, &m, &flow, SPAN_LIT("LT")), -1);
	assert_int_equal(d.state, DIALOG_NONE);
	assert_int_equal(tiny.used_bytes, 0);
	slab_destroy(&tiny);
	teardown();
}

static void no_line_break_gets_into_a_request(void **state)
{
	(void)state;
	setup();
	struct dialog d = {0};
	struct sip_msg m = parse(INVITE("Contact: <sip:a@192.0.2.4>\r\n", "Record-Route: <sip:p1;lr>\r\n , <sip:p2;lr>\r\n"));
	assert_int_equal(dialog_from_request(&d, &slab, &m, &flow, SPAN_LIT("LT")), 0);
	char buf[2048];
	struct sip_build b = {TEXT_ARRAY(buf)};
	dialog_request_begin(&d, &b, SIP_BYE, 0, SPAN_LIT("z9hG4bKx"));
	assert_true(sip_finish(&b, NULL, SPAN_NONE));
	struct sip_msg out;
	struct sip_error err;
	assert_int_equal(sip_parse(&out, text_span(&b.t), &err), 0);
	assert_true(span_find(text_span(&b.t), SPAN_LIT("\r\n ")) < 0);
	dialog_clear(&d, &slab);
	teardown();
}

/* Two ends over a channel that keeps order in each direction. The model is the log of what is open; whatever is tried,
 * an accepted offer is answered by the other end, both ends never wait for each other, and glare is undone. */
enum note { OFFER_NOTE, ANSWER_NOTE, REFUSE_NOTE };

static void offers_never_deadlock(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 400; seed++) {
		struct rng r = rng_seed(seed, 3264);
		struct offer end[2] = {{OFFER_IDLE, false}, {OFFER_IDLE, false}};
		enum note wire[2][64];
		unsigned in[2] = {0}, out[2] = {0}, glares = 0, done = 0;
		for (int step = 0; step < 600; step++) {
			unsigned me = (unsigned)rng_below(&r, 2), you = 1 - me;
			bool draining = step > 500;
			if (in[you] - out[you] > 40)
				continue;
			if (!draining && rng_below(&r, 2) && offer_sent(&end[me]) == OFFER_OK) {
				wire[you][in[you]++ % 64] = OFFER_NOTE;
			} else if (end[me].state == OFFER_REMOTE && (draining || rng_below(&r, 2))) {
				if (rng_below(&r, 5)) {
					assert_int_equal(answer_sent(&end[me]), OFFER_OK);
					wire[you][in[you]++ % 64] = ANSWER_NOTE;
				} else { /* 488 */
					offer_failed(&end[me]);
					wire[you][in[you]++ % 64] = REFUSE_NOTE;
				}
			} else if (in[me] != out[me]) {
				switch (wire[me][out[me]++ % 64]) {
				case OFFER_NOTE:
					switch (offer_received(&end[me])) {
					case OFFER_OK: break;
					case OFFER_GLARE:
						assert_int_equal(end[me].state, OFFER_LOCAL);
						glares++;
						wire[you][in[you]++ % 64] = REFUSE_NOTE;
						break;
					case OFFER_BUSY:
					case OFFER_UNEXPECTED: fail_msg("an ordered channel gives neither");
					}
					break;
				case ANSWER_NOTE:
					assert_int_equal(answer_received(&end[me]), OFFER_OK);
					assert_true(end[me].established);
					done++;
					break;
				case REFUSE_NOTE:
					assert_int_equal(end[me].state, OFFER_LOCAL);
					offer_failed(&end[me]);
					break;
				}
			}
		}
		assert_int_equal(in[0] - out[0] + in[1] - out[1], 0);
		assert_int_equal(end[0].state, OFFER_IDLE);
		assert_int_equal(end[1].state, OFFER_IDLE);
		assert_true(glares > 0 && done > 0);
	}
}

static void offer_table_is_as_the_rfc_says(void **state)
{
	(void)state;
	static const struct {
		enum offer_state from;
		enum offer_verdict got_offer, got_answer, sent_offer, sent_answer;
	} row[] = {
		{OFFER_IDLE, OFFER_OK, OFFER_UNEXPECTED, OFFER_OK, OFFER_UNEXPECTED},
		{OFFER_LOCAL, OFFER_GLARE, OFFER_OK, OFFER_BUSY, OFFER_UNEXPECTED},
		{OFFER_REMOTE, OFFER_BUSY, OFFER_UNEXPECTED, OFFER_BUSY, OFFER_OK},
	};
	for (size_t i = 0; i < 3; i++) {
		struct offer o = {row[i].from, false};
		assert_int_equal(offer_received(&o), row[i].got_offer);
		assert_int_equal(o.state, row[i].got_offer == OFFER_OK ? OFFER_REMOTE : row[i].from);
		o = (struct offer){row[i].from, false};
		assert_int_equal(answer_received(&o), row[i].got_answer);
		assert_int_equal(o.established, row[i].got_answer == OFFER_OK);
		o = (struct offer){row[i].from, false};
		assert_int_equal(offer_sent(&o), row[i].sent_offer);
		assert_int_equal(o.state, row[i].sent_offer == OFFER_OK ? OFFER_LOCAL : row[i].from);
		o = (struct offer){row[i].from, false};
		assert_int_equal(answer_sent(&o), row[i].sent_answer);
		assert_int_equal(o.established, row[i].sent_answer == OFFER_OK);
	}
}

static const struct test_case cases[] = {
	CASE(uas_answers_and_hangs_up, ""), CASE(uas_checks_tags_and_sequence, ""), CASE(routes_have_the_right_order, ""),
	CASE(strict_router_is_served, ""), CASE(early_dialog_becomes_confirmed, ""), CASE(no_memory_is_an_answer, ""),
	CASE(no_line_break_gets_into_a_request, ""), CASE(offers_never_deadlock, ""), CASE(offer_table_is_as_the_rfc_says, ""),
};
TEST_MAIN("sip/dialog", cases)

/* Calls between two parties: the plain way, all refusals, all races. */
#include "pbx/phone_test.h"

static struct phone a, b, c;
static struct side sa, sb, sc;

static struct world *three_phones(void)
{
	struct world *w = w_new(16);
	phone_init(&a, 1);
	phone_init(&b, 2);
	phone_init(&c, 3);
	register_phone(w, &a);
	register_phone(w, &b);
	register_phone(w, &c);
	return w;
}

/* Phone c as a second device of extension 202. */
static void c_joins_202(struct world *w)
{
	w_device(w, 22, "202", "second");
	phone_init(&c, 3);
	snprintf(c.ext, sizeof c.ext, "202");
	snprintf(c.contact, sizeof c.contact, "sip:202@192.0.2.1:5063");
	digest_ha1_make(&c.ha1, SPAN_LIT("202"), SPAN_LIT("strowger"), SPAN_LIT("second"));
	register_phone(w, &c);
}

static const struct sip_msg *ring_b(struct world *w)
{
	call(w, &sa, &a, "202", "", SDP(&a));
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	side_called(w, &sb, &b, inv);
	return inv;
}

static void caller_gets(struct world *w, uint16_t status)
{
	ack_failure(w, &sa, take_status(w, &a, status));
	nothing(w, &a);
}

static const struct media_cmd *media_of(const struct world *w, enum media_op op, int nth)
{
	for (int i = 0; i < w->n_media; i++)
		if (w->media[i].op == op && nth-- == 0)
			return &w->media[i];
	fail_msg("no such media command");
	return NULL;
}

static void basic_call(void **state)
{
	(void)state;
	struct world *w = three_phones();
	connect_call(w, &sa, &a, &sb, &b);
	struct cell_counts n = cell_counts(w->cell);
	assert_int_equal(n.calls, 1);
	assert_int_equal(n.legs, 2);
	assert_int_equal(n.dialogs, 2);
	assert_int_equal(n.slots_used, 2);
	w_run(w, 10 * SEC);
	hang_up(w, &sa, &sb);
	const struct cdr_row *r = cdr_of(w, 1, 0);
	assert_int_equal(r->talk_ms, 10000);
	assert_int_equal(r->ring_ms, 2000);
	assert_int_equal(r->cause, CDR_NORMAL);
	assert_int_equal(r->ended_by, 1);
	assert_int_equal(r->sip_status, 200);
	assert_int_equal(r->answer_wall_ms - r->start_wall_ms, 2000);
	assert_string_equal(r->codec, "G722");
	assert_string_equal(r->device, "0004f2000001");
	assert_string_equal(r->caller, "201");
	assert_string_equal(r->dialled, "202");
	assert_string_equal(r->remote, "192.0.2.1:5061/udp");
	assert_int_equal(r->media.rx_packets, 50);
	assert_string_equal(cdr_of(w, 1, 1)->extension, "202");
	assert_string_equal(cdr_of(w, 1, 1)->call, r->call);
	assert_int_equal(cdr_of(w, 1, 1)->ended_by, 2);
	assert_true(w->n_progress[0] == 1 && w->n_progress[1] == 1);
	w_close(w);
}

/* Who listens to the log changes nothing that is done, and what is counted is counted all the same. */
static void the_log_changes_nothing(void **state)
{
	(void)state;
	struct trace_hash hash[2];
	for (int quiet = 0; quiet < 2; quiet++) {
		struct world *w = three_phones();
		w->sink.log_min = quiet ? LOG_ERROR : LOG_DEBUG;
		connect_call(w, &sa, &a, &sb, &b);
		hang_up(w, &sa, &sb);
		send_bytes(w, &a.flow, SPAN_LIT("INVITE sip:202@10.0.0.1 SIP/2.0\r\nCSeq: x\r\n\r\n"));
		assert_int_equal(cell_counts(w->cell).noted.malformed, 1);
		assert_int_equal(strcmp(w->last_log, "sip.malformed") == 0, !quiet);
		hash[quiet] = w->hash;
		w_close(w);
	}
	assert_memory_equal(&hash[0], &hash[1], sizeof hash[0]);
}

static void media_commands(void **state)
{
	(void)state;
	struct world *w = three_phones();
	connect_call(w, &sa, &a, &sb, &b);
	hang_up(w, &sa, &sb);
	assert_int_equal(media_of(w, MEDIA_OPEN, 0)->slot, 0);
	assert_int_equal(media_of(w, MEDIA_OPEN, 1)->slot, 1);
	const struct media_cmd *r = media_of(w, MEDIA_REMOTE, 0);
	assert_int_equal(r->remote.port, 30010);
	assert_int_equal(r->remote_rtcp.port, 30011);
	assert_true(r->may_send && r->may_recv && !r->relearn);
	assert_int_equal(r->pt_dtmf, 127);
	assert_int_equal(media_of(w, MEDIA_REMOTE, 1)->remote.port, 30020);
	assert_int_equal(media_of(w, MEDIA_BRIDGE, 0)->peer_slot, 1);
	for (int i = 0; i < w->n_media; i++)
		assert_int_equal(w->media[i].seq, i + 1);
	w_close(w);
}

/* What phones are offered: the profile's codecs only, with the caller's payload numbers. */
static void codec_profile(void **state)
{
	(void)state;
	struct world *w = three_phones();
	struct sdp s;
	struct sdp_error err;
	char sdp[1024];
	snprintf(sdp, sizeof sdp, "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 30010 RTP/AVP 115 18 102 127\r\n"
				  "a=rtpmap:115 SIREN7/16000\r\na=fmtp:18 annexb=no\r\na=rtpmap:102 iLBC/8000\r\na=rtpmap:127 telephone-event/8000\r\n"
				  "m=video 5000 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n");
	call(w, &sa, &a, "202", "", span_z(sdp));
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	side_called(w, &sb, &b, inv);
	assert_int_equal(sdp_parse(inv->body, &s, &err), 0);
	assert_int_equal(s.n_media, 1);
	assert_int_equal(s.media[0].n_fmt, 2);
	assert_int_equal(s.media[0].fmt[0].pt, 18);
	assert_true(span_eqz(s.media[0].fmt[0].fmtp, "annexb=no"));
	assert_int_equal(s.media[0].fmt[1].pt, 127);
	reply(w, &sb, inv, 200, SDP_FMT(&b, "18 127"));
	take_request(w, &b, SIP_ACK);
	const struct sip_msg *ok = take_status(w, &a, 200);
	side_answered(&sa, ok);
	assert_int_equal(sdp_parse(ok->body, &s, &err), 0);
	assert_int_equal(s.n_media, 2); /* as many lines as offered */
	assert_int_equal(s.media[1].port, 0);
	assert_int_equal(s.media[0].port, 20000);
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	hang_up(w, &sa, &sb);
	assert_string_equal(cdr_of(w, 1, 0)->codec, "G729");
	/* nothing in common */
	call(w, &sa, &a, "202", "", SDP_FMT(&a, "115"));
	caller_gets(w, 488);
	nothing(w, &b);
	w_close(w);
}

static void refusals(void **state)
{
	(void)state;
	static const struct { uint16_t from_b, to_a, cause; } rows[] = {
		{486, 486, CDR_BUSY}, {603, 603, CDR_REJECTED}, {480, 480, CDR_DESTINATION_OUT_OF_ORDER}, {404, 480, CDR_DESTINATION_OUT_OF_ORDER},
		{503, 480, CDR_DESTINATION_OUT_OF_ORDER}, {488, 488, CDR_NOT_ACCEPTABLE}, {302, 480, CDR_DESTINATION_OUT_OF_ORDER},
		{403, 403, CDR_REJECTED}, {401, 480, CDR_DESTINATION_OUT_OF_ORDER},
	};
	struct world *w = three_phones();
	for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++) {
		const struct sip_msg *inv = ring_b(w);
		reply(w, &sb, inv, rows[i].from_b, SPAN_NONE);
		take_request(w, &b, SIP_ACK);
		caller_gets(w, rows[i].to_a);
		assert_int_equal(cdr_of(w, i + 1, 0)->cause, rows[i].cause);
		assert_int_equal(cdr_of(w, i + 1, 0)->sip_status, rows[i].to_a);
		assert_int_equal(cdr_of(w, i + 1, 1)->sip_status, rows[i].from_b);
		w_run(w, 40 * (int64_t)SEC);
	}
	w_close(w);
}

static void nobody_there(void **state)
{
	(void)state;
	struct world *w = three_phones();
	call(w, &sa, &a, "999", "", SDP(&a));
	caller_gets(w, 404);
	assert_int_equal(cdr_of(w, 1, 0)->cause, CDR_UNALLOCATED);
	call(w, &sa, &a, "204", "", SDP(&a)); /* not registered */
	caller_gets(w, 480);
	call(w, &sa, &a, "201", "", SDP(&a)); /* itself */
	caller_gets(w, 486);
	call(w, &sa, &a, "%32%30%32;user=phone", "", SDP(&a)); /* escaped 202 */
	take_request(w, &b, SIP_INVITE);
	w_close(w);
}

static void no_answer(void **state)
{
	(void)state;
	struct world *w = three_phones();
	const struct sip_msg *inv = ring_b(w);
	reply(w, &sb, inv, 180, SPAN_NONE);
	take_status(w, &a, 180);
	w_run(w, 59 * (int64_t)SEC);
	nothing(w, &a);
	w_run(w, SEC + 10 * MS);
	const struct sip_msg *m = take_status(w, &a, 480);
	assert_true(span_eqz(sip_hdr_value(m, SIP_H_REASON), "Q.850;cause=19"));
	ack_failure(w, &sa, m);
	const struct sip_msg *cancel = take_request(w, &b, SIP_CANCEL);
	reply(w, &sb, cancel, 200, SPAN_NONE);
	reply(w, &sb, inv, 487, SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	assert_int_equal(cdr_of(w, 1, 0)->cause, CDR_NO_ANSWER);
	assert_int_equal(cdr_of(w, 1, 0)->ring_ms, 60000);
	w_close(w);
}

static void phone_is_dead(void **state)
{
	(void)state;
	struct world *w = three_phones();
	ring_b(w);
	w_run(w, 33 * (int64_t)SEC);
	ack_failure(w, &sa, take_status(w, &a, 480));
	assert_int_equal(cdr_of(w, 1, 1)->sip_status, 408);
	assert_int_equal(cdr_of(w, 1, 1)->cause, CDR_NO_RESPONSE);
	w_close(w);
}

static void send_cancel(struct world *w, struct side *s)
{
	char buf[2048];
	struct text t = TEXT_ARRAY(buf);
	put_common(w, s, &t, "CANCEL", "sip:202@10.0.0.1", s->inv_cseq, s->branch);
	put_body(&t, "", SPAN_NONE);
	send_bytes(w, &s->p->flow, text_span(&t));
	take_status(w, s->p, 200);
}

static void cancelled(void **state)
{
	(void)state;
	struct world *w = three_phones();
	const struct sip_msg *inv = ring_b(w);
	reply(w, &sb, inv, 180, SPAN_NONE);
	take_status(w, &a, 180);
	send_cancel(w, &sa);
	caller_gets(w, 487);
	const struct sip_msg *cancel = take_request(w, &b, SIP_CANCEL);
	reply(w, &sb, cancel, 200, SPAN_NONE);
	reply(w, &sb, inv, 487, SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	nothing(w, &b);
	assert_int_equal(cdr_of(w, 1, 0)->cause, CDR_CANCELLED);
	assert_int_equal(cdr_of(w, 1, 0)->ended_by, 1);
	assert_int_equal(cdr_of(w, 1, 1)->ended_by, 2);
	w_close(w);
}

/* CANCEL before the called phone said anything: it waits for a provisional answer (RFC 3261 9.1). */
static void cancelled_early(void **state)
{
	(void)state;
	struct world *w = three_phones();
	const struct sip_msg *inv = ring_b(w);
	send_cancel(w, &sa);
	caller_gets(w, 487);
	nothing(w, &b);
	reply(w, &sb, inv, 100, SPAN_NONE);
	take_request(w, &b, SIP_CANCEL);
	reply(w, &sb, inv, 487, SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	w_close(w);
}

static void cancel_crosses_answer(void **state)
{
	(void)state;
	struct world *w = three_phones();
	const struct sip_msg *inv = ring_b(w);
	reply(w, &sb, inv, 180, SPAN_NONE);
	take_status(w, &a, 180);
	send_cancel(w, &sa);
	caller_gets(w, 487);
	take_request(w, &b, SIP_CANCEL);
	reply(w, &sb, inv, 200, SDP(&b)); /* picked up at that moment */
	take_request(w, &b, SIP_ACK);
	const struct sip_msg *bye = take_request(w, &b, SIP_BYE);
	reply(w, &sb, bye, 200, SPAN_NONE);
	nothing(w, &b);
	w_close(w);
}

/* The caller's CANCEL comes after our 200: the call is up, the caller ends it by BYE. */
static void cancel_comes_too_late(void **state)
{
	(void)state;
	struct world *w = three_phones();
	const struct sip_msg *inv = ring_b(w);
	reply(w, &sb, inv, 200, SDP(&b));
	take_request(w, &b, SIP_ACK);
	side_answered(&sa, take_status(w, &a, 200));
	char tag[24]; /* the CANCEL has no To tag, as its INVITE */
	memcpy(tag, sa.rtag, sizeof tag);
	sa.rtag[0] = '\0';
	send_cancel(w, &sa);
	memcpy(sa.rtag, tag, sizeof tag);
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	nothing(w, &b);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void both_hang_up(void **state)
{
	(void)state;
	struct world *w = three_phones();
	connect_call(w, &sa, &a, &sb, &b);
	send_in_dialog(w, &sa, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	const struct sip_msg *bye = take_request(w, &b, SIP_BYE);
	send_in_dialog(w, &sb, "BYE", "", SPAN_NONE);
	take_status(w, &b, 200);
	reply(w, &sb, bye, 481, SPAN_NONE);
	nothing(w, &a);
	w_close(w);
}

static void called_party_hangs_up(void **state)
{
	(void)state;
	struct world *w = three_phones();
	connect_call(w, &sa, &a, &sb, &b);
	hang_up(w, &sb, &sa);
	assert_int_equal(cdr_of(w, 1, 1)->ended_by, 1);
	assert_int_equal(cdr_of(w, 1, 0)->ended_by, 2);
	w_close(w);
}

static void bye_before_ack(void **state)
{
	(void)state;
	struct world *w = three_phones();
	const struct sip_msg *inv = ring_b(w);
	reply(w, &sb, inv, 200, SDP(&b));
	take_request(w, &b, SIP_ACK);
	side_answered(&sa, take_status(w, &a, 200));
	send_in_dialog(w, &sa, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	reply(w, &sb, take_request(w, &b, SIP_BYE), 200, SPAN_NONE);
	w_run(w, 5 * SEC);
	nothing(w, &a); /* our 200 is not repeated any more */
	w_close(w);
}

/* B hangs up before A's ACK: our BYE to A waits for it (RFC 3261 15). */
static void called_bye_before_callers_ack(void **state)
{
	(void)state;
	struct world *w = three_phones();
	const struct sip_msg *inv = ring_b(w);
	reply(w, &sb, inv, 200, SDP(&b));
	take_request(w, &b, SIP_ACK);
	side_answered(&sa, take_status(w, &a, 200));
	send_in_dialog(w, &sb, "BYE", "", SPAN_NONE);
	take_status(w, &b, 200);
	nothing(w, &a);
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	reply(w, &sa, take_request(w, &a, SIP_BYE), 200, SPAN_NONE);
	w_close(w);
}

static void early_bye(void **state)
{
	(void)state;
	struct world *w = three_phones();
	const struct sip_msg *inv = ring_b(w);
	reply(w, &sb, inv, 180, SPAN_NONE);
	side_answered(&sa, take_status(w, &a, 180));
	send_in_dialog(w, &sa, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	take_status(w, &a, 487);
	take_request(w, &b, SIP_CANCEL);
	reply(w, &sb, inv, 487, SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	w_close(w);
}

static void bye_overtakes_answer(void **state)
{
	(void)state;
	struct world *w = three_phones();
	const struct sip_msg *inv = ring_b(w);
	send_in_dialog(w, &sb, "BYE", "", SPAN_NONE);
	take_status(w, &b, 200);
	caller_gets(w, 480);
	reply(w, &sb, inv, 200, SDP(&b));
	take_request(w, &b, SIP_ACK);
	reply(w, &sb, take_request(w, &b, SIP_BYE), 481, SPAN_NONE);
	w_close(w);
}

static void never_acknowledged(void **state)
{
	(void)state;
	struct world *w = three_phones();
	const struct sip_msg *inv = ring_b(w);
	reply(w, &sb, inv, 200, SDP(&b));
	take_request(w, &b, SIP_ACK);
	w_run(w, 33 * (int64_t)SEC);
	const struct sip_msg *m;
	int oks = 0, byes = 0;
	while ((m = take(w, &a))) {
		oks += !m->is_request && m->status == 200;
		byes += m->is_request && m->method == SIP_BYE;
	}
	assert_true(oks > 5);
	assert_true(byes > 0);
	take_request(w, &b, SIP_BYE);
	w_close(w);
}

static void early_media(void **state)
{
	(void)state;
	struct world *w = three_phones();
	const struct sip_msg *inv = ring_b(w);
	reply(w, &sb, inv, 183, SDP(&b));
	const struct sip_msg *m = take_status(w, &a, 183);
	assert_true(m->body.n > 0);
	assert_int_equal(media_of(w, MEDIA_BRIDGE, 0)->peer_slot, 1);
	reply(w, &sb, inv, 200, SPAN_NONE); /* the description was in the 183 */
	take_request(w, &b, SIP_ACK);
	m = take_status(w, &a, 200);
	assert_true(m->body.n > 0);
	side_answered(&sa, m);
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void all_devices_ring(void **state)
{
	(void)state;
	struct world *w = three_phones();
	c_joins_202(w);
	const struct sip_msg *inv = ring_b(w), *inv_c = take_request(w, &c, SIP_INVITE);
	side_called(w, &sc, &c, inv_c);
	reply(w, &sb, inv, 180, SPAN_NONE);
	reply(w, &sc, inv_c, 180, SPAN_NONE);
	take_status(w, &a, 180);
	nothing(w, &a);
	reply(w, &sc, inv_c, 200, SDP(&c));
	take_request(w, &c, SIP_ACK);
	side_answered(&sa, take_status(w, &a, 200));
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	/* b picks up at the same moment: its 200 crosses our CANCEL */
	take_request(w, &b, SIP_CANCEL);
	reply(w, &sb, inv, 200, SDP(&b));
	take_request(w, &b, SIP_ACK);
	reply(w, &sb, take_request(w, &b, SIP_BYE), 200, SPAN_NONE);
	assert_int_equal(cdr_of(w, 1, 1)->cause, CDR_ANSWERED_ELSEWHERE);
	hang_up(w, &sa, &sc);
	assert_int_equal(cdr_of(w, 1, 2)->cause, CDR_NORMAL);
	w_close(w);
}

static void busy_on_all_devices(void **state)
{
	(void)state;
	struct world *w = three_phones();
	c_joins_202(w);
	const struct sip_msg *inv = ring_b(w), *inv_c = take_request(w, &c, SIP_INVITE);
	side_called(w, &sc, &c, inv_c);
	reply(w, &sb, inv, 486, SPAN_NONE);
	nothing(w, &a);
	reply(w, &sc, inv_c, 486, SPAN_NONE);
	caller_gets(w, 486);
	/* one declines: that is for all */
	w_run(w, 40 * (int64_t)SEC);
	while (take(w, &b) || take(w, &c))
		;
	inv = ring_b(w);
	inv_c = take_request(w, &c, SIP_INVITE);
	side_called(w, &sc, &c, inv_c);
	reply(w, &sc, inv_c, 180, SPAN_NONE);
	take_status(w, &a, 180);
	reply(w, &sb, inv, 603, SPAN_NONE);
	caller_gets(w, 603);
	take_request(w, &c, SIP_CANCEL);
	reply(w, &sc, inv_c, 487, SPAN_NONE);
	take_request(w, &c, SIP_ACK);
	w_close(w);
}

/* Told to who watches from outside, and only then; a recording does not know the difference. */
static void what_happens_is_told_to_who_listens(void **state)
{
	(void)state;
	struct world *w = three_phones();
	connect_call(w, &sa, &a, &sb, &b);
	w->sink.events = true;
	hang_up(w, &sa, &sb);
	assert_int_equal(w->n_events[CELL_EVENT_ENDED], 2);
	connect_call(w, &sa, &a, &sb, &b);
	assert_int_equal(w->n_events[CELL_EVENT_RINGING], 2);
	assert_int_equal(w->n_events[CELL_EVENT_ANSWERED], 2);
	hang_up(w, &sa, &sb);
	register_phone(w, &a); /* a refresh */
	assert_int_equal(w->n_events[CELL_EVENT_REGISTERED] + w->n_events[CELL_EVENT_UNREGISTERED], 0);
	do_register(w, &a, "*", "Expires: 0\r\n");
	assert_int_equal(w->n_events[CELL_EVENT_UNREGISTERED], 1);
	register_phone(w, &a);
	assert_int_equal(w->n_events[CELL_EVENT_REGISTERED], 1);
	w->sink.events = false;
	connect_call(w, &sa, &a, &sb, &b);
	hang_up(w, &sa, &sb);
	assert_int_equal(w->n_events[CELL_EVENT_ENDED], 4);
	w_close(w);
}

/* A row that the store did not take comes again as the same one: who counts rows is told. */
static void rows_that_come_again_say_so(void **state)
{
	(void)state;
	struct world *w = three_phones();
	connect_call(w, &sa, &a, &sb, &b);
	w_run(w, SEC);
	int rows = w->cdr_emissions;
	assert_int_equal(w->n_again, 0);
	w->store_fails = true;
	hang_up(w, &sa, &sb);
	assert_int_equal(w->cdr_emissions - rows - w->n_again, 2);
	w_run(w, 20 * (int64_t)SEC);
	assert_true(w->n_again >= 4);
	assert_int_equal(w->cdr_emissions - rows - w->n_again, 2);
	w->store_fails = false;
	w_close(w);
}

static const struct test_case cases[] = {
	CASE(the_log_changes_nothing, ""), CASE(basic_call, "G4"), CASE(media_commands, ""), CASE(codec_profile, "G8"), CASE(refusals, ""), CASE(nobody_there, ""),
	CASE(no_answer, ""), CASE(phone_is_dead, ""), CASE(cancelled, ""), CASE(cancelled_early, ""), CASE(cancel_crosses_answer, ""),
	CASE(cancel_comes_too_late, ""), CASE(both_hang_up, ""), CASE(called_party_hangs_up, ""), CASE(bye_before_ack, ""),
	CASE(called_bye_before_callers_ack, ""), CASE(early_bye, ""), CASE(bye_overtakes_answer, ""), CASE(never_acknowledged, ""),
	CASE(early_media, ""), CASE(all_devices_ring, ""), CASE(busy_on_all_devices, ""), CASE(rows_that_come_again_say_so, "R9"),
	CASE(what_happens_is_told_to_who_listens, ""),
};
TEST_MAIN("pbx_cell", cases)

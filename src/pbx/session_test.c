/* Inside a call: hold, resume, late offers, direct media, INFO, test numbers, records, queries, limits. */
#include "pbx/phone_test.h"

static struct phone a, b, c;
static struct side sa, sb;

static struct world *talking(void)
{
	struct world *w = w_new(16);
	phone_init(&a, 1);
	phone_init(&b, 2);
	phone_init(&c, 3);
	register_phone(w, &a);
	register_phone(w, &b);
	connect_call(w, &sa, &a, &sb, &b);
	return w;
}

static const struct sdp_media *audio(const struct sip_msg *m)
{
	static struct sdp s;
	struct sdp_error err;
	assert_int_equal(sdp_parse(m->body, &s, &err), 0);
	const struct sdp_media *au = sdp_audio(&s);
	assert_non_null(au);
	return au;
}

/* x offers dir, y is offered `passed` and answers `answer`, x gets `back`. */
static void exchange(struct world *w, struct side *x, struct side *y, const char *dir, enum sdp_dir passed, const char *answer, enum sdp_dir back)
{
	send_in_dialog(w, x, "INVITE", "", SDP_DIR(x->p, dir));
	take_status(w, x->p, 100);
	const struct sip_msg *inv = take_request(w, y->p, SIP_INVITE);
	assert_int_equal(audio(inv)->dir, passed);
	reply(w, y, inv, 200, SDP_DIR(y->p, answer));
	take_request(w, y->p, SIP_ACK);
	const struct sip_msg *ok = take_status(w, x->p, 200);
	assert_int_equal(audio(ok)->dir, back);
	send_in_dialog(w, x, "ACK", "", SPAN_NONE);
	nothing(w, x->p);
	nothing(w, y->p);
}

static const struct media_cmd *last_remote(const struct world *w, media_slot slot)
{
	for (int i = w->n_media - 1; i >= 0; i--)
		if (w->media[i].op == MEDIA_REMOTE && w->media[i].slot == slot)
			return &w->media[i];
	fail_msg("no MEDIA_REMOTE");
	return NULL;
}

static void hold_and_resume(void **state)
{
	(void)state;
	struct world *w = talking();
	exchange(w, &sa, &sb, "sendonly", SDP_SENDONLY, "recvonly", SDP_RECVONLY);
	assert_false(last_remote(w, 0)->may_send);
	assert_true(last_remote(w, 0)->may_recv);
	assert_true(last_remote(w, 1)->may_send);
	assert_false(last_remote(w, 1)->may_recv);
	/* the other one holds too, then the first resumes */
	exchange(w, &sb, &sa, "inactive", SDP_INACTIVE, "inactive", SDP_INACTIVE);
	exchange(w, &sb, &sa, "sendrecv", SDP_SENDRECV, "sendonly", SDP_SENDONLY);
	exchange(w, &sa, &sb, "sendrecv", SDP_SENDRECV, "sendrecv", SDP_SENDRECV);
	assert_true(last_remote(w, 0)->may_send && last_remote(w, 0)->may_recv);
	/* the old way */
	exchange(w, &sa, &sb, "zero", SDP_SENDONLY, "recvonly", SDP_RECVONLY);
	assert_false(last_remote(w, 0)->may_send);
	exchange(w, &sa, &sb, "sendrecv", SDP_SENDRECV, "sendrecv", SDP_SENDRECV);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void new_address_is_relearned(void **state)
{
	(void)state;
	struct world *w = talking();
	a.rtp = 41000;
	exchange(w, &sa, &sb, "sendrecv", SDP_SENDRECV, "sendrecv", SDP_SENDRECV);
	assert_int_equal(last_remote(w, 0)->remote.port, 41000);
	assert_true(last_remote(w, 0)->relearn);
	assert_false(last_remote(w, 1)->relearn);
	hang_up(w, &sa, &sb);
	w_close(w);
}

/* Nothing changes: answered here, the other party is left alone. */
static void refresh(void **state)
{
	(void)state;
	struct world *w = talking();
	send_in_dialog(w, &sa, "INVITE", "", SDP(&a));
	const struct sip_msg *ok = take_status(w, &a, 200);
	assert_int_equal(audio(ok)->port, 20000);
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	send_in_dialog(w, &sa, "UPDATE", "", SPAN_NONE);
	take_status(w, &a, 200);
	nothing(w, &b);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void update_with_offer(void **state)
{
	(void)state;
	struct world *w = talking();
	send_in_dialog(w, &sb, "UPDATE", "", SDP_DIR(&b, "sendonly"));
	const struct sip_msg *inv = take_request(w, &a, SIP_INVITE);
	assert_int_equal(audio(inv)->dir, SDP_SENDONLY);
	reply(w, &sa, inv, 200, SDP_DIR(&a, "recvonly"));
	take_request(w, &a, SIP_ACK);
	assert_int_equal(audio(take_status(w, &b, 200))->dir, SDP_RECVONLY);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void refused_offer_keeps_the_session(void **state)
{
	(void)state;
	struct world *w = talking();
	int media = w->n_media;
	send_in_dialog(w, &sa, "INVITE", "", SDP_DIR(&a, "sendonly"));
	take_status(w, &a, 100);
	reply(w, &sb, take_request(w, &b, SIP_INVITE), 488, SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	ack_failure(w, &sa, take_status(w, &a, 488));
	assert_int_equal(w->n_media, media);
	exchange(w, &sa, &sb, "sendonly", SDP_SENDONLY, "recvonly", SDP_RECVONLY);
	send_in_dialog(w, &sa, "INVITE", "", SDP_FMT(&a, "115")); /* nothing we speak */
	ack_failure(w, &sa, take_status(w, &a, 488));
	nothing(w, &b);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void glare(void **state)
{
	(void)state;
	struct world *w = talking();
	send_in_dialog(w, &sa, "INVITE", "", SDP_DIR(&a, "sendonly"));
	take_status(w, &a, 100);
	const struct sip_msg *ours = take_request(w, &b, SIP_INVITE);
	send_in_dialog(w, &sb, "INVITE", "", SDP_DIR(&b, "sendonly"));
	ack_failure(w, &sb, take_status(w, &b, 491));
	reply(w, &sb, ours, 491, SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	ack_failure(w, &sa, take_status(w, &a, 491));
	exchange(w, &sa, &sb, "sendonly", SDP_SENDONLY, "recvonly", SDP_RECVONLY);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void second_offer_while_first_waits(void **state)
{
	(void)state;
	struct world *w = talking();
	send_in_dialog(w, &sa, "INVITE", "", SDP_DIR(&a, "sendonly"));
	take_status(w, &a, 100);
	const struct sip_msg *ours = take_request(w, &b, SIP_INVITE);
	send_in_dialog(w, &sa, "UPDATE", "", SDP(&a));
	const struct sip_msg *m = take_status(w, &a, 500);
	assert_true(sip_hdr_value(m, SIP_H_RETRY_AFTER).n > 0);
	reply(w, &sb, ours, 200, SDP_DIR(&b, "recvonly"));
	take_request(w, &b, SIP_ACK);
	take_status(w, &a, 200);
	sa.inv_cseq = sa.cseq - 1;
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void hang_up_while_an_offer_waits(void **state)
{
	(void)state;
	struct world *w = talking();
	send_in_dialog(w, &sa, "INVITE", "", SDP_DIR(&a, "sendonly"));
	take_status(w, &a, 100);
	const struct sip_msg *ours = take_request(w, &b, SIP_INVITE);
	send_in_dialog(w, &sb, "BYE", "", SPAN_NONE);
	take_status(w, &b, 200);
	reply(w, &sb, ours, 487, SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	take_status(w, &a, 487);
	reply(w, &sa, take_request(w, &a, SIP_BYE), 200, SPAN_NONE);
	w_close(w);
}

/* The dialog is dead at the other side: the call ends. */
static void offer_meets_a_dead_dialog(void **state)
{
	(void)state;
	struct world *w = talking();
	send_in_dialog(w, &sa, "INVITE", "", SDP_DIR(&a, "sendonly"));
	take_status(w, &a, 100);
	reply(w, &sb, take_request(w, &b, SIP_INVITE), 481, SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	take_request(w, &b, SIP_BYE);
	take_status(w, &a, 487);
	take_request(w, &a, SIP_BYE);
	w_close(w);
}

/* Music on hold as Polycoms do it: an INVITE without a description, the answer in the ACK is another server's. */
static void answer_in_ack(void **state)
{
	(void)state;
	struct world *w = talking();
	send_in_dialog(w, &sa, "INVITE", "", SPAN_NONE);
	const struct sip_msg *ok = take_status(w, &a, 200);
	assert_int_equal(audio(ok)->dir, SDP_SENDRECV);
	assert_int_equal(audio(ok)->port, 20000);
	a.rtp = 6000;
	send_in_dialog(w, &sa, "ACK", "", SDP_DIR(&a, "sendonly"));
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	assert_int_equal(audio(inv)->dir, SDP_SENDONLY);
	reply(w, &sb, inv, 200, SDP_DIR(&b, "recvonly"));
	take_request(w, &b, SIP_ACK);
	assert_int_equal(last_remote(w, 0)->remote.port, 6000);
	assert_false(last_remote(w, 0)->may_send);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void call_without_offer(void **state)
{
	(void)state;
	struct world *w = w_new(16);
	phone_init(&a, 1);
	phone_init(&b, 2);
	register_phone(w, &b);
	call(w, &sa, &a, "202", "", SPAN_NONE);
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	assert_int_equal(audio(inv)->n_fmt, 5); /* our own profile and telephone-event */
	side_called(w, &sb, &b, inv);
	reply(w, &sb, inv, 200, SDP_FMT(&b, "0 101"));
	take_request(w, &b, SIP_ACK);
	const struct sip_msg *ok = take_status(w, &a, 200);
	assert_int_equal(audio(ok)->fmt[0].pt, 0);
	side_answered(&sa, ok);
	send_in_dialog(w, &sa, "ACK", "", SDP_FMT(&a, "0"));
	nothing(w, &b);
	assert_int_equal(last_remote(w, 0)->remote.port, a.rtp);
	hang_up(w, &sa, &sb);
	/* and one whose ACK holds no answer is no call */
	call(w, &sa, &a, "202", "", SPAN_NONE);
	inv = take_request(w, &b, SIP_INVITE);
	side_called(w, &sb, &b, inv);
	reply(w, &sb, inv, 200, SDP_FMT(&b, "0"));
	take_request(w, &b, SIP_ACK);
	side_answered(&sa, take_status(w, &a, 200));
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	take_request(w, &a, SIP_BYE);
	take_request(w, &b, SIP_BYE);
	w_close(w);
}

static void direct_media(void **state)
{
	(void)state;
	struct world *w = w_new(16);
	struct site_settings st = *site_settings_of(w->site);
	st.media = SITE_SETTINGS_MEDIA_DIRECT;
	w_site(w, site_with_settings(w->site, &st));
	phone_init(&a, 1);
	phone_init(&b, 2);
	register_phone(w, &a);
	register_phone(w, &b);
	call(w, &sa, &a, "202", "", SDP(&a));
	const struct sip_msg *inv = take_request(w, &b, SIP_INVITE);
	assert_int_equal(audio(inv)->port, a.rtp);
	side_called(w, &sb, &b, inv);
	reply(w, &sb, inv, 200, SDP(&b));
	take_request(w, &b, SIP_ACK);
	const struct sip_msg *ok = take_status(w, &a, 200);
	assert_int_equal(audio(ok)->port, b.rtp);
	side_answered(&sa, ok);
	send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
	a.rtp = 42000;
	exchange(w, &sa, &sb, "sendonly", SDP_SENDONLY, "recvonly", SDP_RECVONLY);
	assert_int_equal(w->n_media, 0);
	hang_up(w, &sa, &sb);
	assert_true(cdr_of(w, 1, 0)->direct_media);
	/* one extension wants its stream through the server: so it goes for both */
	struct site_extension e = *site_extension_find(w->site, SPAN_LIT("202"));
	e.row.media = EXTENSION_MEDIA_ANCHOR;
	w_site(w, site_with_extension(w->site, &e));
	connect_call(w, &sa, &a, &sb, &b);
	assert_true(w->n_media > 0);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void info_is_passed(void **state)
{
	(void)state;
	struct world *w = talking();
	struct span dtmf = SPAN_LIT("Signal=5\r\nDuration=160\r\n");
	send_in_dialog(w, &sa, "INFO", "Content-Type: application/dtmf-relay\r\n", dtmf);
	const struct sip_msg *m = take_request(w, &b, SIP_INFO);
	assert_true(span_eq(m->body, dtmf));
	assert_true(span_eqz(sip_hdr_value(m, SIP_H_CONTENT_TYPE), "application/dtmf-relay"));
	nothing(w, &a);
	reply(w, &sb, m, 415, SPAN_NONE);
	take_status(w, &a, 415);
	send_in_dialog(w, &sb, "INFO", "Content-Type: application/dtmf-relay\r\n", dtmf);
	take_request(w, &a, SIP_INFO);
	send_in_dialog(w, &sa, "BYE", "", SPAN_NONE); /* with one unanswered */
	take_status(w, &a, 200);
	take_status(w, &b, 481);
	reply(w, &sb, take_request(w, &b, SIP_BYE), 200, SPAN_NONE);
	w_close(w);
}

static void test_numbers(void **state)
{
	(void)state;
	static const struct { const char *number; enum media_source source; } rows[] = {
		{"9196", SOURCE_ECHO}, {"9197", SOURCE_MILLIWATT}, {"9198", SOURCE_TONE},
	};
	struct world *w = w_new(16);
	phone_init(&a, 1);
	register_phone(w, &a);
	for (int i = 0; i < 3; i++) {
		call(w, &sa, &a, rows[i].number, "", i == 2 ? SPAN_NONE : SDP(&a));
		const struct sip_msg *ok = take_status(w, &a, 200);
		assert_int_equal(audio(ok)->fmt[0].pt, i ? 0 : 9); /* our generators speak G.711 only */
		side_answered(&sa, ok);
		send_in_dialog(w, &sa, "ACK", "", i == 2 ? SDP_FMT(&a, "0") : SPAN_NONE);
		const struct media_cmd *m = NULL;
		for (int k = 0; k < w->n_media; k++)
			if (w->media[k].op == MEDIA_SOURCE)
				m = &w->media[k];
		assert_non_null(m);
		assert_int_equal(m->source, rows[i].source);
		if (i == 0) { /* hold is answered here */
			send_in_dialog(w, &sa, "INVITE", "", SDP_DIR(&a, "sendonly"));
			assert_int_equal(audio(take_status(w, &a, 200))->dir, SDP_RECVONLY);
			send_in_dialog(w, &sa, "ACK", "", SPAN_NONE);
		}
		send_in_dialog(w, &sa, "BYE", "", SPAN_NONE);
		take_status(w, &a, 200);
	}
	call(w, &sa, &a, "9197", "", SDP_FMT(&a, "9"));
	ack_failure(w, &sa, take_status(w, &a, 488));
	w_close(w);
}

/* The store fails for a while: the rows come again until it has them, newest state only (R9). */
static void store_is_down(void **state)
{
	(void)state;
	struct world *w = w_new(16);
	phone_init(&a, 1);
	phone_init(&b, 2);
	register_phone(w, &a);
	register_phone(w, &b);
	w->store_fails = true;
	connect_call(w, &sa, &a, &sb, &b);
	hang_up(w, &sa, &sb);
	assert_int_equal(cell_counts(w->cell).cdr_open, 0);
	w_run(w, 30 * (int64_t)SEC);
	assert_int_equal(cell_counts(w->cell).cdr_unconfirmed, 2);
	int before = w->cdr_emissions;
	assert_true(before < 24); /* backing off */
	w->store_fails = false;
	w_run(w, 61 * (int64_t)SEC);
	assert_int_equal(w->cdr_emissions, before + 2);
	assert_int_equal(cell_counts(w->cell).cdr_unconfirmed, 0);
	w_close(w);
}

/* The store's word never comes (the ring to the cell was full): each row is sent again, and is not waited for in vain for ever. */
static void the_word_of_the_store_is_lost(void **state)
{
	(void)state;
	struct world *w = w_new(16);
	phone_init(&a, 1);
	phone_init(&b, 2);
	register_phone(w, &a);
	register_phone(w, &b);
	w->store_silent = true;
	connect_call(w, &sa, &a, &sb, &b);
	hang_up(w, &sa, &sb);
	w_run(w, 30 * (int64_t)SEC);
	assert_int_equal(cell_counts(w->cell).cdr_unconfirmed, 2);
	int before = w->cdr_emissions;
	w_run(w, 301 * (int64_t)SEC);
	assert_int_equal(w->cdr_emissions, before + 2);
	w->store_silent = false;
	w_run(w, 301 * (int64_t)SEC);
	assert_int_equal(w->cdr_emissions, before + 4);
	assert_int_equal(cell_counts(w->cell).cdr_unconfirmed, 0);
	w_run(w, 600 * (int64_t)SEC);
	assert_int_equal(w->cdr_emissions, before + 4);
	w_close(w);
}

/* The store is down for long: before the rows have no place left new calls are refused; what is up goes on and ends, and
 * every row arrives in the end. The log tells it once, not once for each row. */
static void store_is_down_for_long(void **state)
{
	(void)state;
	enum { ROOM = 36 }; /* 9/10 of the world's limit */
	struct side s;
	struct world *w = w_new(16);
	phone_init(&a, 1);
	phone_init(&b, 2);
	register_phone(w, &a);
	register_phone(w, &b);
	connect_call(w, &sa, &a, &sb, &b);
	w->store_fails = true;
	for (int i = 0; i < ROOM; i++) {
		call(w, &s, &a, "999", "", SDP(&a));
		ack_failure(w, &s, take_status(w, &a, 404));
	}
	assert_int_equal(w->n_not_stored, 1);
	struct digest_challenge ch;
	side_init(w, &s, &a, "202");
	send_invite(w, &s, "202", "", SDP(&a), false);
	const struct sip_msg *m = take_status(w, &a, 401);
	learn(&a, m, &ch);
	ack_failure(w, &s, m);
	send_invite(w, &s, "202", "", SDP(&a), true);
	m = take_status(w, &a, 503);
	assert_true(sip_hdr_value(m, SIP_H_RETRY_AFTER).n > 0);
	ack_failure(w, &s, m);
	nothing(w, &b);
	hang_up(w, &sa, &sb);
	assert_int_equal(cell_counts(w->cell).cdr_open, 0);
	assert_int_equal(cell_counts(w->cell).cdr_unconfirmed, ROOM + 2);
	w_run(w, 30 * (int64_t)SEC);
	assert_true(w->n_not_stored > 1 && w->n_not_stored < 12);
	int before = w->cdr_emissions;
	w->store_fails = false;
	w_run(w, 61 * (int64_t)SEC);
	assert_int_equal(w->cdr_emissions, before + ROOM + 2); /* each row once more, and now for good */
	assert_int_equal(cell_counts(w->cell).cdr_unconfirmed, 0);
	connect_call(w, &sa, &a, &sb, &b);
	hang_up(w, &sa, &sb);
	w_close(w);
}

/* A worker that never reports: the record closes without statistics, the slot stays out of use. */
static void worker_is_silent(void **state)
{
	(void)state;
	struct world *w = w_new(2);
	w->media_silent = true;
	phone_init(&a, 1);
	phone_init(&b, 2);
	register_phone(w, &a);
	register_phone(w, &b);
	connect_call(w, &sa, &a, &sb, &b);
	hang_up(w, &sa, &sb);
	assert_false(cdr_of(w, 1, 0)->closed);
	w_run(w, 3 * SEC);
	assert_true(cdr_of(w, 1, 0)->closed);
	call(w, &sa, &a, "202", "", SDP(&a));
	ack_failure(w, &sa, take_status(w, &a, 503)); /* no slot */
	assert_string_equal(w->last_log, "limit.reached");
	w->media_silent = false;
	w_run(w, SEC);
	connect_call(w, &sa, &a, &sb, &b);
	hang_up(w, &sa, &sb);
	w_close(w);
}

static void limit_of_calls(void **state)
{
	(void)state;
	struct world *w = w_new(64);
	struct side s[21];
	phone_init(&a, 1);
	register_phone(w, &a);
	for (int i = 0; i < 20; i++) {
		call(w, &s[i], &a, "9196", "", SDP(&a));
		side_answered(&s[i], take_status(w, &a, 200));
		send_in_dialog(w, &s[i], "ACK", "", SPAN_NONE);
	}
	struct digest_challenge ch;
	side_init(w, &s[20], &a, "9196");
	send_invite(w, &s[20], "9196", "", SDP(&a), false);
	learn(&a, take_status(w, &a, 401), &ch);
	send_invite(w, &s[20], "9196", "", SDP(&a), true);
	ack_failure(w, &s[20], take_status(w, &a, 503));
	for (int i = 0; i < 20; i++) {
		send_in_dialog(w, &s[i], "BYE", "", SPAN_NONE);
		take_status(w, &a, 200);
	}
	w_close(w);
}

static void ask(struct world *w, enum cell_query_kind kind, uint64_t cursor, uint32_t limit, const char *arg)
{
	struct cell_in in = {.kind = CELL_IN_QUERY, .u.query = {1, kind, cursor, limit, span_z(arg)}};
	w->answer_status = 0;
	w_step(w, &in);
}

static void queries(void **state)
{
	(void)state;
	struct world *w = talking();
	ask(w, CELL_Q_REGISTRATIONS, 0, 1, "");
	assert_non_null(strstr(w->answer, "\"extension\":\"201\""));
	assert_null(strstr(w->answer, "\"extension\":\"202\""));
	assert_true(w->answer_next != 0);
	ask(w, CELL_Q_REGISTRATIONS, w->answer_next, 1, "");
	assert_non_null(strstr(w->answer, "\"extension\":\"202\""));
	assert_int_equal(w->answer_next, 0);
	ask(w, CELL_Q_CALLS, 0, 0, "");
	assert_non_null(strstr(w->answer, "\"id\":\"b007-1\",\"state\":\"UP\",\"caller\":\"201\",\"callee\":\"202\""));
	ask(w, CELL_Q_STATUS, 0, 0, "");
	assert_non_null(strstr(w->answer, "\"registrations\":2"));
	ask(w, CELL_Q_UNREGISTER, 0, 0, "201");
	assert_int_equal(w->answer_status, 200);
	ask(w, CELL_Q_UNREGISTER, 0, 0, "201");
	assert_int_equal(w->answer_status, 404);
	assert_int_equal(cell_counts(w->cell).bindings, 1);
	ask(w, CELL_Q_HANGUP, 0, 0, "b007-9");
	assert_int_equal(w->answer_status, 404);
	ask(w, CELL_Q_HANGUP, 0, 0, "b007-1");
	assert_int_equal(w->answer_status, 200);
	reply(w, &sa, take_request(w, &a, SIP_BYE), 200, SPAN_NONE);
	reply(w, &sb, take_request(w, &b, SIP_BYE), 200, SPAN_NONE);
	assert_int_equal(cdr_of(w, 1, 0)->ended_by, 3);
	w_close(w);
}

/* The phone moves while it talks: requests go to its new address, a stranger with the right tags is asked for proof. */
static void call_follows_the_phone(void **state)
{
	(void)state;
	struct world *w = talking();
	struct phone moved = a;
	moved.flow.remote = w_addr("198.51.100.7", 6000);
	sa.p = &moved;
	send_in_dialog(w, &sa, "BYE", "", SPAN_NONE);
	take_status(w, &moved, 401); /* tags alone are not enough */
	sa.p = &a;
	moved.nonce[0] = '\0';
	register_phone(w, &moved);
	assert_int_equal(cell_counts(w->cell).bindings, 2);
	send_in_dialog(w, &sb, "BYE", "", SPAN_NONE);
	take_status(w, &b, 200);
	nothing(w, &a);
	sa.p = &moved;
	reply(w, &sa, take_request(w, &moved, SIP_BYE), 200, SPAN_NONE);
	w_close(w);
}

static const struct test_case cases[] = {
	CASE(hold_and_resume, ""), CASE(new_address_is_relearned, ""), CASE(refresh, ""), CASE(update_with_offer, ""),
	CASE(refused_offer_keeps_the_session, ""), CASE(glare, ""), CASE(second_offer_while_first_waits, ""),
	CASE(hang_up_while_an_offer_waits, ""), CASE(offer_meets_a_dead_dialog, ""), CASE(answer_in_ack, ""), CASE(call_without_offer, ""),
	CASE(direct_media, ""), CASE(info_is_passed, ""), CASE(test_numbers, ""), CASE(store_is_down, ""), CASE(the_word_of_the_store_is_lost, "R7 R9"), CASE(store_is_down_for_long, ""), CASE(worker_is_silent, ""),
	CASE(limit_of_calls, ""), CASE(queries, ""), CASE(call_follows_the_phone, ""),
};
TEST_MAIN("pbx_session", cases)

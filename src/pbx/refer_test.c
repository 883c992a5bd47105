/* Transfers (RFC 3515, 3891, 4488, 5589): blind, attended, while it rings;
 * what is refused; who leaves meanwhile. */
#include "pbx/transfer_test.h"

static struct side ab, ba, ac, ca, cb;

static struct world *talking(void)
{
	struct world *w = start();
	connect_call(w, &ab, &a, &ba, &b);
	return w;
}

static void refer(struct world *w, struct side *s, const char *to, const char *more)
{
	char extra[768];
	snprintf(extra, sizeof extra, "Refer-To: %s\r\nReferred-By: <sip:%s@10.0.0.1>\r\n%s", to, s->p->ext, more);
	send_in_dialog(w, s, "REFER", extra, SPAN_NONE);
}

/* As a phone writes it: the dialog as its far end sees it. */
static void refer_attended(struct world *w, struct side *s, const struct side *second, const char *more)
{
	char to[512];
	snprintf(to, sizeof to, "<sip:203@10.0.0.1?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s%s>", second->call_id, second->rtag, second->ltag, more);
	refer(w, s, to, "");
}

/* The next for this side is a NOTIFY that says this; it is answered. */
static const struct sip_msg *told(struct world *w, struct side *s, const char *line, bool last)
{
	const struct sip_msg *m = take_request(w, s->p, SIP_NOTIFY);
	if (!has(m->body, line))
		fail_msg("NOTIFY of %.*s, not of %s", (int)m->body.n, m->body.p, line);
	assert_true(has(sip_hdr_value(m, SIP_H_SUBSCRIPTION_STATE), last ? "terminated" : "active"));
	assert_true(span_eqz(m->call_id, s->call_id) && span_eqz(m->to.tag, s->ltag) && span_eqz(m->from.tag, s->rtag));
	assert_true(has(sip_hdr_value(m, SIP_H_CONTENT_TYPE), "message/sipfrag"));
	reply(w, s, m, 200, SPAN_NONE);
	return m;
}

static void hold(struct world *w, struct side *x, struct side *y)
{
	send_in_dialog(w, x, "INVITE", "", SDP_DIR(x->p, "sendonly"));
	take_status(w, x->p, 100);
	reply(w, y, take_request(w, y->p, SIP_INVITE), 200, SDP_DIR(y->p, "recvonly"));
	take_request(w, y->p, SIP_ACK);
	take_status(w, x->p, 200);
	send_in_dialog(w, x, "ACK", "", SPAN_NONE);
}

/* A sends B to C and hangs up as soon as it rings there, as a SoundPoint does. */
static void blind(void **state)
{
	(void)state;
	struct world *w = talking();
	hold(w, &ab, &ba);
	refer(w, &ab, "sip:203@10.0.0.1", "");
	take_status(w, &a, 202);
	const struct sip_msg *m = told(w, &ab, "SIP/2.0 100", false);
	assert_true(span_eqz(sip_hdr_value(m, SIP_H_EVENT), "refer"));
	const struct sip_msg *inv = rings(w, &cb, &c);
	assert_true(has(sip_hdr_value(inv, SIP_H_REFERRED_BY), "sip:201@"));
	assert_true(has(sip_hdr_value(inv, SIP_H_P_ASSERTED_IDENTITY), "sip:202@"));
	assert_int_equal(audio(inv)->dir, SDP_SENDRECV); /* the hold was A's */
	told(w, &ab, "SIP/2.0 180", false);
	send_in_dialog(w, &ab, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	nothing(w, &b);
	w_run(w, 4 * (int64_t)SEC);
	reply(w, &cb, inv, 200, SDP(&c));
	take_request(w, &c, SIP_ACK);
	told(w, &ab, "SIP/2.0 200", true); /* though the call is over for A */
	moved(w, &ba, &c, true);
	bridged(w, &b, &c);
	assert_int_equal(cell_counts(w->cell).calls, 1);
	hang_up(w, &cb, &ba);
	nothing(w, &a);
	w_run(w, 3 * SEC);
	assert_int_equal(w->n_cdr, 3);
	assert_int_equal(causes(w, CDR_TRANSFERRED), 1);
	assert_int_equal(causes(w, CDR_NORMAL), 2);
	assert_int_equal(cdr_of(w, 1, 0)->cause, CDR_TRANSFERRED);
	assert_string_equal(cdr_of(w, 1, 2)->caller, "202");
	assert_string_equal(cdr_of(w, 1, 2)->callee, "203");
	assert_true(cdr_of(w, 1, 2)->answer_wall_ms > 0);
	w_close(w);
}

/* The called one refers, and leaves the hanging up to us. */
static void blind_by_the_called(void **state)
{
	(void)state;
	struct world *w = talking();
	refer(w, &ba, "<sip:203@10.0.0.1;user=phone>", "");
	take_status(w, &b, 202);
	told(w, &ba, "SIP/2.0 100", false);
	const struct sip_msg *inv = take_request(w, &c, SIP_INVITE);
	side_called(w, &cb, &c, inv);
	reply(w, &cb, inv, 200, SDP(&c));
	take_request(w, &c, SIP_ACK);
	told(w, &ba, "SIP/2.0 200", true);
	moved(w, &ab, &c, true);
	bridged(w, &a, &c);
	nothing(w, &b);
	w_run(w, 4 * (int64_t)SEC);
	reply(w, &ba, take_request(w, &b, SIP_BYE), 200, SPAN_NONE);
	/* C sends A on, and hangs up itself: then we have nothing to say */
	refer(w, &cb, "<sip:204@10.0.0.1>", "");
	take_status(w, &c, 202);
	told(w, &cb, "SIP/2.0 100", false);
	const struct sip_msg *inv2 = take_request(w, &d, SIP_INVITE);
	struct side da;
	side_called(w, &da, &d, inv2);
	reply(w, &da, inv2, 200, SDP(&d));
	take_request(w, &d, SIP_ACK);
	told(w, &cb, "SIP/2.0 200", true);
	send_in_dialog(w, &cb, "BYE", "", SPAN_NONE);
	take_status(w, &c, 200);
	moved(w, &ab, &d, true);
	w_run(w, 4 * (int64_t)SEC);
	nothing(w, &c);
	hang_up(w, &ab, &da);
	w_run(w, 3 * SEC);
	assert_int_equal(causes(w, CDR_TRANSFERRED), 2);
	w_close(w);
}

/* It does not work out: both are as they were, and a further REFER has its id. */
static void blind_fails(void **state)
{
	(void)state;
	struct world *w = talking();
	refer(w, &ab, "<sip:999@10.0.0.1>", "");
	take_status(w, &a, 202);
	told(w, &ab, "SIP/2.0 404", true);
	nothing(w, &a);
	refer(w, &ab, "<sip:203@10.0.0.1>", "");
	uint32_t cseq = ab.cseq;
	take_status(w, &a, 202);
	char id[32];
	snprintf(id, sizeof id, "refer;id=%u", cseq);
	assert_true(span_eqz(sip_hdr_value(told(w, &ab, "SIP/2.0 100", false), SIP_H_EVENT), id));
	const struct sip_msg *inv = rings(w, &cb, &c);
	told(w, &ab, "SIP/2.0 180", false);
	reply(w, &cb, inv, 486, SPAN_NONE);
	take_request(w, &c, SIP_ACK);
	assert_true(span_eqz(sip_hdr_value(told(w, &ab, "SIP/2.0 486", true), SIP_H_EVENT), id));
	/* nobody answers */
	refer(w, &ab, "<sip:203@10.0.0.1>", "");
	take_status(w, &a, 202);
	told(w, &ab, "SIP/2.0 100", false);
	inv = rings(w, &cb, &c);
	told(w, &ab, "SIP/2.0 180", false);
	refer(w, &ba, "<sip:204@10.0.0.1>", ""); /* both at once */
	take_status(w, &b, 491);
	w_run(w, 60 * (int64_t)SEC);
	const struct sip_msg *cancel = take_request(w, &c, SIP_CANCEL);
	reply(w, &cb, cancel, 200, SPAN_NONE);
	reply(w, &cb, inv, 487, SPAN_NONE);
	take_request(w, &c, SIP_ACK);
	told(w, &ab, "SIP/2.0 480", true);
	nothing(w, &b);
	hang_up(w, &ab, &ba);
	w_run(w, 3 * SEC);
	assert_int_equal(causes(w, CDR_TRANSFERRED), 0);
	w_close(w);
}

static void refused_forms(void **state)
{
	(void)state;
	static const struct {
		const char *to, *more;
		uint16_t status;
	} f[] = {
		{"<sip:203@h;method=BYE>", "", 501}, {"<tel:203>", "", 416}, {"<sip:203@h>, <sip:204@h>", "", 400}, {"<sip:203@h>", "Refer-To: <sip:204@h>\r\n", 400},
		{"<sip:203@h?Replaces=x%3Bto-tag%3Da>", "", 400}, {"<sip:203@h?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db&Replaces=y>", "", 400},
		{"<sip:203@h?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db%3Bto-tag%3Dc>", "", 400}, {"<sip:203@h?Replaces=%zz>", "", 400},
		{"<sip:203@h>", "Require: teleport\r\n", 420},
	};
	struct world *w = talking();
	for (size_t i = 0; i < sizeof f / sizeof f[0]; i++) {
		refer(w, &ab, f[i].to, f[i].more);
		take_status(w, &a, f[i].status);
		nothing(w, &a);
	}
	send_in_dialog(w, &ab, "REFER", "", SPAN_NONE);
	take_status(w, &a, 400);
	/* a dialog that is not there; one's own call; nobody's number; a test number */
	refer(w, &ab, "<sip:203@h?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db>", "");
	take_status(w, &a, 202);
	told(w, &ab, "SIP/2.0 481", true);
	refer_attended(w, &ab, &ab, "");
	take_status(w, &a, 202);
	told(w, &ab, "SIP/2.0 481", true);
	refer(w, &ab, "<sip:9196@h>", "");
	take_status(w, &a, 202);
	told(w, &ab, "SIP/2.0 488", true);
	nothing(w, &b);
	nothing(w, &c);
	hang_up(w, &ab, &ba);
	/* outside of a dialog */
	side_init(w, &ab, &a, "202");
	send_in_dialog(w, &ab, "REFER", "Refer-To: <sip:203@10.0.0.1>\r\n", SPAN_NONE);
	take_status(w, &a, 401);
	char buf[2048];
	struct text t = TEXT_ARRAY(buf);
	put_common(w, &ab, &t, "REFER", ab.target, ++ab.cseq, "z9hG4bKout");
	struct digest_challenge ch = known_challenge(&a);
	put_auth(w, &a, &t, &ch, "REFER", ab.target);
	put_body(&t, "Refer-To: <sip:203@10.0.0.1>\r\n", SPAN_NONE);
	send_bytes(w, &a.flow, text_span(&t));
	take_status(w, &a, 403);
	nothing(w, &b);
	w_close(w);
}

/* Neither without end (but for help), nor while the store is so far behind that the rows might find no place. */
static void limits(void **state)
{
	(void)state;
	struct world *w = talking();
	struct side *by = &ba, *to = &cb;
	struct phone *next[] = {&c, &b};
	for (int i = 0; i < 50; i++) {
		char number[32];
		snprintf(number, sizeof number, "<sip:%s@10.0.0.1>", next[i % 2]->ext);
		refer(w, by, number, "Refer-Sub: false\r\n");
		take_status(w, by->p, 202);
		const struct sip_msg *inv = take_request(w, next[i % 2], SIP_INVITE);
		side_called(w, to, next[i % 2], inv);
		reply(w, to, inv, 200, SDP(to->p));
		take_request(w, to->p, SIP_ACK);
		moved(w, &ab, to->p, true);
		send_in_dialog(w, by, "BYE", "", SPAN_NONE);
		take_status(w, by->p, 200);
		by = to;
		to = by == &ba ? &cb : &ba;
		w->n_media = w->media_done = 0;
	}
	refer(w, by, "<sip:204@10.0.0.1>", "");
	take_status(w, by->p, 403);
	hang_up(w, by, &ab);
	w_run(w, 3 * SEC);
	assert_int_equal(causes(w, CDR_TRANSFERRED), 50);
	w_close(w);
}

static void store_is_behind(void **state)
{
	(void)state;
	struct world *w = talking();
	struct side bd, db;
	w->store_fails = true;
	for (int i = 0; i < 18; i++) { /* two rows each; 36 of 40 unconfirmed is too much */
		connect_call(w, &db, &d, &bd, &c);
		hang_up(w, &db, &bd);
	}
	refer(w, &ab, "<sip:203@10.0.0.1>", "");
	take_status(w, &a, 202);
	told(w, &ab, "SIP/2.0 503", true);
	nothing(w, &c);
	w->store_fails = false;
	hang_up(w, &ab, &ba);
	w_close(w);
}

static void silent(void **state)
{
	(void)state;
	struct world *w = talking();
	refer(w, &ab, "<sip:203@10.0.0.1>", "Refer-Sub: false\r\nRequire: norefersub\r\n");
	const struct sip_msg *m = take_status(w, &a, 202);
	assert_true(has(m->raw, "Refer-Sub: false"));
	const struct sip_msg *inv = rings(w, &cb, &c);
	reply(w, &cb, inv, 200, SDP(&c));
	take_request(w, &c, SIP_ACK);
	moved(w, &ba, &c, true);
	nothing(w, &a);
	assert_int_equal(cell_counts(w->cell).subscriptions, 0);
	send_in_dialog(w, &ab, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	hang_up(w, &ba, &cb);
	w_close(w);
}

/* A holds B, talks with C, and joins the two. */
static struct world *consulting(void)
{
	struct world *w = talking();
	hold(w, &ab, &ba);
	connect_call(w, &ac, &a, &ca, &c);
	return w;
}

static void attended(void **state)
{
	(void)state;
	struct world *w = consulting();
	hold(w, &ac, &ca);
	refer_attended(w, &ab, &ac, "");
	take_status(w, &a, 202);
	reply(w, &ac, take_request(w, &a, SIP_BYE), 200, SPAN_NONE); /* of the call that was replaced */
	told(w, &ab, "SIP/2.0 200", true);
	send_in_dialog(w, &ab, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	moved(w, &ca, &b, true);
	moved(w, &ba, &c, true);
	bridged(w, &b, &c);
	nothing(w, &a);
	w_run(w, 5 * (int64_t)SEC);
	assert_int_equal(cell_counts(w->cell).calls, 1);
	/* what they do now goes from one to the other */
	hold(w, &ca, &ba);
	hang_up(w, &ba, &ca);
	nothing(w, &a);
	w_run(w, 3 * SEC);
	assert_int_equal(w->n_cdr, 4);
	assert_int_equal(causes(w, CDR_TRANSFERRED), 2);
	assert_int_equal(causes(w, CDR_NORMAL), 2);
	w_close(w);
}

/* Both far parties ask for something as they are joined; C was the caller of its call. */
static void attended_in_a_crowd(void **state)
{
	(void)state;
	struct world *w = talking();
	connect_call(w, &ca, &c, &ac, &a);
	send_in_dialog(w, &ba, "INVITE", "", SDP_DIR(&b, "sendonly"));
	take_status(w, &b, 100);
	const struct sip_msg *at_a = take_request(w, &a, SIP_INVITE);
	send_in_dialog(w, &ca, "INFO", "Content-Type: text/plain\r\n", SPAN_LIT("x"));
	const struct sip_msg *info = take_request(w, &a, SIP_INFO);
	refer_attended(w, &ab, &ac, "");
	take_status(w, &a, 202);
	ack_failure(w, &ba, take_status(w, &b, 491)); /* its hold: it may ask again */
	reply(w, &ac, take_request(w, &a, SIP_BYE), 200, SPAN_NONE);
	take_status(w, &c, 503);
	told(w, &ab, "SIP/2.0 200", true);
	reply(w, &ab, at_a, 200, SDP_DIR(&a, "recvonly"));
	take_request(w, &a, SIP_ACK);
	reply(w, &ac, info, 200, SPAN_NONE);
	moved(w, &ca, &b, true);
	moved(w, &ba, &c, true);
	w_run(w, 4 * (int64_t)SEC);
	reply(w, &ab, take_request(w, &a, SIP_BYE), 200, SPAN_NONE);
	bridged(w, &b, &c);
	hold(w, &ba, &ca);
	hang_up(w, &ca, &ba);
	w_close(w);
}

/* The hold of B was still on its way when A joined the two: the hold does not stick. */
static void attended_while_a_hold_is_under_way(void **state)
{
	(void)state;
	struct world *w = talking();
	connect_call(w, &ac, &a, &ca, &c);
	send_in_dialog(w, &ab, "INVITE", "", SDP_DIR(&a, "sendonly"));
	take_status(w, &a, 100);
	const struct sip_msg *held = take_request(w, &b, SIP_INVITE);
	refer_attended(w, &ab, &ac, "");
	take_status(w, &a, 202);
	reply(w, &ac, take_request(w, &a, SIP_BYE), 200, SPAN_NONE);
	ack_failure(w, &ab, take_status(w, &a, 487));
	told(w, &ab, "SIP/2.0 200", true);
	moved(w, &ca, &b, true);
	reply(w, &ba, held, 200, SDP_DIR(&b, "recvonly"));
	take_request(w, &b, SIP_ACK);
	moved(w, &ba, &c, true);
	bridged(w, &b, &c);
	w_run(w, 4 * (int64_t)SEC);
	reply(w, &ab, take_request(w, &a, SIP_BYE), 200, SPAN_NONE);
	nothing(w, &b);
	hang_up(w, &ba, &ca);
	w_close(w);
}

static void attended_while_it_rings(void **state)
{
	(void)state;
	struct world *w = talking();
	hold(w, &ab, &ba);
	call(w, &ac, &a, "203", "", SDP(&a));
	const struct sip_msg *inv = rings(w, &ca, &c);
	side_answered(&ac, take_status(w, &a, 180));
	refer_attended(w, &ab, &ac, "%3Bearly-only");
	take_status(w, &a, 202);
	/* the second call is given up, the same number rings for B */
	ack_failure(w, &ac, take_status(w, &a, 487));
	told(w, &ab, "SIP/2.0 100", false);
	reply(w, &ca, take_request(w, &c, SIP_CANCEL), 200, SPAN_NONE);
	const struct sip_msg *inv2 = rings(w, &cb, &c);
	assert_true(has(sip_hdr_value(inv2, SIP_H_P_ASSERTED_IDENTITY), "sip:202@"));
	reply(w, &ca, inv, 487, SPAN_NONE);
	take_request(w, &c, SIP_ACK);
	told(w, &ab, "SIP/2.0 180", false);
	send_in_dialog(w, &ab, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	reply(w, &cb, inv2, 200, SDP(&c));
	take_request(w, &c, SIP_ACK);
	told(w, &ab, "SIP/2.0 200", true);
	moved(w, &ba, &c, true);
	bridged(w, &b, &c);
	hang_up(w, &cb, &ba);
	w_close(w);
}

static void early_only_came_too_late(void **state)
{
	(void)state;
	struct world *w = consulting();
	refer_attended(w, &ab, &ac, "%3Bearly-only");
	take_status(w, &a, 202);
	told(w, &ab, "SIP/2.0 486", true);
	nothing(w, &b);
	nothing(w, &c);
	hang_up(w, &ac, &ca);
	hang_up(w, &ab, &ba);
	w_close(w);
}

/* Somebody else's dialog, though its names are known. */
static void not_ones_own(void **state)
{
	(void)state;
	struct world *w = consulting();
	struct side bd, db;
	connect_call(w, &bd, &d, &db, &b);
	refer_attended(w, &ba, &ac, "");
	take_status(w, &b, 202);
	told(w, &ba, "SIP/2.0 403", true);
	nothing(w, &a);
	hang_up(w, &ac, &ca);
	hang_up(w, &ab, &ba);
	hang_up(w, &bd, &db);
	w_close(w);
}

static void who_leaves_meanwhile(void **state)
{
	(void)state;
	/* the one to be connected hangs up while it rings */
	struct world *w = talking();
	refer(w, &ab, "<sip:203@10.0.0.1>", "");
	take_status(w, &a, 202);
	told(w, &ab, "SIP/2.0 100", false);
	const struct sip_msg *inv = rings(w, &cb, &c);
	told(w, &ab, "SIP/2.0 180", false);
	send_in_dialog(w, &ba, "BYE", "", SPAN_NONE);
	take_status(w, &b, 200);
	reply(w, &cb, take_request(w, &c, SIP_CANCEL), 200, SPAN_NONE);
	reply(w, &cb, inv, 487, SPAN_NONE);
	take_request(w, &c, SIP_ACK);
	reply(w, &ab, take_request(w, &a, SIP_BYE), 200, SPAN_NONE);
	told(w, &ab, "SIP/2.0 487", true);
	w_run(w, 3 * SEC);
	assert_int_equal(cell_counts(w->cell).calls, 0);
	/* who asked has gone, and the target refuses: nobody is left */
	connect_call(w, &ab, &a, &ba, &b);
	refer(w, &ab, "<sip:203@10.0.0.1>", "");
	take_status(w, &a, 202);
	told(w, &ab, "SIP/2.0 100", false);
	inv = rings(w, &cb, &c);
	told(w, &ab, "SIP/2.0 180", false);
	send_in_dialog(w, &ab, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	reply(w, &cb, inv, 486, SPAN_NONE);
	take_request(w, &c, SIP_ACK);
	told(w, &ab, "SIP/2.0 486", true);
	reply(w, &ba, take_request(w, &b, SIP_BYE), 200, SPAN_NONE);
	w_run(w, 3 * SEC);
	assert_int_equal(cell_counts(w->cell).calls, 0);
	assert_int_equal(causes(w, CDR_TRANSFERRED), 1);
	w_close(w);
}

static void for_help(void **state)
{
	(void)state;
	struct world *w = talking();
	struct site_settings st;
	site_settings_defaults(&st);
	snprintf(st.emergency_numbers, sizeof st.emergency_numbers, "911");
	snprintf(st.emergency_target, sizeof st.emergency_target, "203");
	w_site(w, site_with_settings(w->site, &st));
	refer(w, &ab, "<sip:911@10.0.0.1>", "");
	take_status(w, &a, 202);
	told(w, &ab, "SIP/2.0 100", false);
	const struct sip_msg *inv = rings(w, &cb, &c);
	told(w, &ab, "SIP/2.0 180", false);
	reply(w, &cb, inv, 200, SDP(&c));
	take_request(w, &c, SIP_ACK);
	told(w, &ab, "SIP/2.0 200", true);
	moved(w, &ba, &c, true);
	/* and there it stays */
	refer(w, &cb, "<sip:204@10.0.0.1>", "");
	take_status(w, &c, 403);
	refer(w, &ba, "<sip:204@10.0.0.1>", "");
	take_status(w, &b, 403);
	char replaces[256];
	snprintf(replaces, sizeof replaces, "Replaces: %s;to-tag=%s;from-tag=%s\r\n", cb.call_id, cb.rtag, cb.ltag);
	side_init(w, &ac, &c, "203");
	struct digest_challenge ch;
	send_invite(w, &ac, "203", replaces, SDP(&c), false);
	const struct sip_msg *m = take_status(w, &c, 401);
	learn(&c, m, &ch);
	ack_failure(w, &ac, m);
	send_invite(w, &ac, "203", replaces, SDP(&c), true);
	ack_failure(w, &ac, take_status(w, &c, 403));
	send_in_dialog(w, &ab, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	hang_up(w, &cb, &ba);
	w_close(w);
}

static const struct test_case cases[] = {
	CASE(blind, "R17"), CASE(blind_by_the_called, "R17"), CASE(blind_fails, "R17"), CASE(refused_forms, ""), CASE(limits, ""), CASE(store_is_behind, "R9"), CASE(silent, ""),
	CASE(attended, "R17"), CASE(attended_in_a_crowd, "R17"), CASE(attended_while_a_hold_is_under_way, "R17"),
	CASE(attended_while_it_rings, "R17"), CASE(early_only_came_too_late, ""), CASE(not_ones_own, ""),
	CASE(who_leaves_meanwhile, "R17"), CASE(for_help, "Z9"),
};
TEST_MAIN("pbx_refer", cases)

/* INVITE with Replaces (RFC 3891): a call taken over by another phone of the extension, a ringing one picked up, and the refusals. */
#include "pbx/transfer_test.h"

static struct side ab, ba, ca;

/* With the digest dance; the last answer. */
static const struct sip_msg *replace(struct world *w, struct side *s, struct phone *p, const char *replaces, struct span body)
{
	char extra[400];
	struct digest_challenge ch;
	snprintf(extra, sizeof extra, "Replaces: %s\r\nRequire: replaces\r\n", replaces);
	side_init(w, s, p, "202");
	send_invite(w, s, "202", extra, body, false);
	const struct sip_msg *m = take_status(w, p, 401);
	learn(p, m, &ch);
	ack_failure(w, s, m);
	send_invite(w, s, "202", extra, body, true);
	m = take(w, p);
	assert_non_null(m);
	if (m->status != 100) {
		ack_failure(w, s, m);
		return m;
	}
	return take(w, p);
}

static void taken_over(void **state)
{
	(void)state;
	struct world *w = start();
	connect_call(w, &ab, &a, &ba, &b);
	struct phone b2;
	struct side n;
	char name[256];
	w_device(w, 12, "202", "secret2");
	phone_init(&b2, 2);
	b2.flow.remote = w_addr("192.0.2.1", 5072);
	snprintf(b2.contact, sizeof b2.contact, "sip:202@192.0.2.1:5072");
	snprintf(b2.reg_call_id, sizeof b2.reg_call_id, "reg-12");
	b2.rtp = 31000;
	snprintf(name, sizeof name, "%s;to-tag=%s;from-tag=%s", ba.call_id, ba.rtag, ba.ltag);
	/* strangers to the dialog's names, or to the dialog */
	assert_int_equal(replace(w, &n, &d, name, SDP(&d))->status, 403);
	assert_int_equal(replace(w, &n, &b2, "x;to-tag=1;from-tag=2", SDP(&b2))->status, 481);
	assert_int_equal(replace(w, &n, &b2, "x;to-tag=1", SDP(&b2))->status, 400);
	char early[300], wrong[300];
	snprintf(early, sizeof early, "%s;early-only", name);
	assert_int_equal(replace(w, &n, &b2, early, SDP(&b2))->status, 486);
	snprintf(wrong, sizeof wrong, "%s;to-tag=%s;from-tag=%sx", ba.call_id, ba.rtag, ba.ltag);
	assert_int_equal(replace(w, &n, &b2, wrong, SDP(&b2))->status, 481);
	assert_int_equal(replace(w, &n, &b2, name, SDP_FMT(&b2, "115"))->status, 488);
	nothing(w, &a);
	nothing(w, &b);
	/* the other phone of the same extension */
	const struct sip_msg *ok = replace(w, &n, &b2, name, SDP(&b2));
	assert_int_equal(ok->status, 200);
	side_answered(&n, ok);
	send_in_dialog(w, &n, "ACK", "", SPAN_NONE);
	reply(w, &ba, take_request(w, &b, SIP_BYE), 200, SPAN_NONE);
	moved(w, &ab, &b2, true);
	bridged(w, &a, &b2);
	hang_up(w, &n, &ab);
	nothing(w, &b);
	/* it is over: declined, not unknown */
	w_run(w, 3 * SEC);
	assert_int_equal(causes(w, CDR_TRANSFERRED), 1);
	assert_int_equal(w->n_cdr, 4); /* one of them the 488 */
	w_close(w);
}

static void picked_up(void **state)
{
	(void)state;
	struct world *w = start();
	struct side n;
	char name[256];
	call(w, &ab, &a, "202", "", SDP(&a));
	const struct sip_msg *inv = rings(w, &ba, &b);
	take_status(w, &a, 180);
	/* as dialog-info tells it: the tags as the watched phone sees them */
	snprintf(name, sizeof name, "%s;to-tag=%s;from-tag=%s;early-only", ba.call_id, ba.ltag, ba.rtag);
	const struct sip_msg *ok = replace(w, &n, &d, name, SDP(&d));
	assert_int_equal(ok->status, 200);
	side_answered(&n, ok);
	send_in_dialog(w, &n, "ACK", "", SPAN_NONE);
	side_answered(&ab, take_status(w, &a, 200));
	send_in_dialog(w, &ab, "ACK", "", SPAN_NONE);
	bridged(w, &a, &d);
	/* the next one comes too late: declined while it is known, then unknown */
	assert_int_equal(replace(w, &ca, &c, name, SDP(&c))->status, 603);
	reply(w, &ba, take_request(w, &b, SIP_CANCEL), 200, SPAN_NONE);
	reply(w, &ba, inv, 487, SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	assert_int_equal(replace(w, &ca, &c, name, SDP(&c))->status, 481);
	hang_up(w, &ab, &n);
	w_run(w, 3 * SEC);
	assert_int_equal(w->n_cdr, 3);
	assert_int_equal(causes(w, CDR_ANSWERED_ELSEWHERE), 1);
	/* the caller's own early dialog is not ours to give (RFC 3891 3) */
	call(w, &ab, &a, "202", "", SDP(&a));
	inv = rings(w, &ba, &b);
	side_answered(&ab, take_status(w, &a, 180));
	snprintf(name, sizeof name, "%s;to-tag=%s;from-tag=%s", ab.call_id, ab.rtag, ab.ltag);
	assert_int_equal(replace(w, &n, &a, name, SDP(&a))->status, 481);
	reply(w, &ba, inv, 486, SPAN_NONE);
	take_request(w, &b, SIP_ACK);
	ack_failure(w, &ab, take_status(w, &a, 486));
	w_close(w);
}

static const struct test_case cases[] = {
	CASE(taken_over, "R17"), CASE(picked_up, "R17"),
};
TEST_MAIN("pbx_replaces", cases)

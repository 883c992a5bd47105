#include "harness/harness.h"
#include "vphone/rig.h"

static void no_defects(struct rig *r)
{
	for (int i = 0; i < r->n; i++) {
		const char *d = strstr(r->p[i].events, "DEFECT");
		if (d)
			fail_msg("phone %d: %.120s", i, d);
		assert_true(rig_view(r, i).rules_evaluated > 0);
	}
}

static void all_gone(struct rig *r)
{
	rig_run_ms(r, 40000);
	for (int i = 0; i < r->n; i++) {
		uint32_t dialogs, txns, ports;
		vphone_live(r->p[i].v, &dialogs, &txns, &ports);
		assert_int_equal(dialogs, 0);
		assert_int_equal(txns, 0);
		assert_int_equal(ports, 0);
		assert_int_equal(r->p[i].ports_open, 0);
		assert_int_equal(rig_view(r, i).n_calls, 0);
	}
}

static void talk(struct rig *r)
{
	rig_do(r, 0, "dial", "202");
	rig_run_ms(r, 500);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_RINGBACK);
	assert_int_equal(rig_view(r, 1).call[0].state, VPC_RINGING);
	rig_do(r, 1, "answer", "");
	rig_run_ms(r, 2000);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_CONNECTED);
	assert_int_equal(rig_view(r, 1).call[0].state, VPC_CONNECTED);
}

/* Each hears the other's tone: 201 sends 410 Hz, 202 sends 420 Hz. */
static void hear_both(struct rig *r)
{
	assert_in_range(rig_view(r, 0).call[0].tone_hz, 415, 425);
	assert_in_range(rig_view(r, 1).call[0].tone_hz, 405, 415);
}

static void test_call(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	assert_true(rig_view(r, 0).registered && rig_view(r, 1).registered);
	talk(r);
	hear_both(r);
	struct vphone_view a = rig_view(r, 0), b = rig_view(r, 1);
	assert_true(span_eq(vphone_call_id(r->p[0].v, 0), vphone_call_id(r->p[1].v, 0)));
	assert_true(span_eqz(b.call[0].peer_name, "Ann") && span_eqz(b.call[0].peer_number, "201"));
	assert_in_range(a.call[0].rtp_tx, 98, 102);
	assert_in_range(b.call[0].rtp_rx, 97, 102);
	assert_int_equal(a.call[0].rtp_lost + b.call[0].rtp_lost, 0);
	rig_do(r, 0, "hangup", "");
	all_gone(r);
	no_defects(r);
	rig_free(r);
}

/* Shapes of section 8: identifiers, no port, user=phone, headers, SDP layout. */
static void test_shapes(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	struct sip_msg m;
	struct sip_error err;
	talk(r);
	const char *inv = r->p[0].last_invite;
	assert_ptr_equal(inv, strstr(inv, "INVITE sip:202@10.0.0.1;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.11;branch=z9hG4bK"));
	assert_non_null(strstr(inv, "To: <sip:202@10.0.0.1;user=phone>\r\n"));
	assert_non_null(strstr(inv, "Contact: <sip:201@10.0.0.11>\r\n"));
	assert_non_null(strstr(inv, "Allow: INVITE,ACK,BYE,CANCEL,OPTIONS,INFO,MESSAGE,SUBSCRIBE,NOTIFY,PRACK,UPDATE,REFER\r\n"));
	assert_non_null(strstr(inv, "Supported: 100rel,replaces\r\n"));
	assert_non_null(strstr(inv, "Allow-Events: conference,talk,hold\r\n"));
	assert_non_null(strstr(inv, "Accept-Language: en\r\n"));
	assert_non_null(strstr(inv, "\r\ns=Polycom IP Phone\r\nc=IN IP4 10.0.0.11\r\nt=0 0\r\na=sendrecv\r\nm=audio 2222 RTP/AVP 0 8 127\r\n"));
	assert_null(strstr(inv, "fmtp:127"));
	assert_int_equal(sip_parse(&m, span_z(inv), &err), 0);
	/* 8hex-8hex-8hex@ip; 8HEX-8HEX */
	assert_int_equal(m.call_id.n, 26 + 1 + 9);
	assert_true(m.call_id.p[8] == '-' && m.call_id.p[17] == '-' && m.call_id.p[26] == '@');
	assert_int_equal(m.from.tag.n, 17);
	for (size_t i = 0; i < m.from.tag.n; i++)
		assert_true(i == 8 ? m.from.tag.p[i] == '-' : ascii_digit(m.from.tag.p[i]) || (m.from.tag.p[i] >= 'A' && m.from.tag.p[i] <= 'F'));
	for (size_t i = 7; i < m.via.branch.n; i++)
		assert_true(i < 15 ? ascii_lower(m.via.branch.p[i]) == m.via.branch.p[i]
				   : !(m.via.branch.p[i] >= 'a' && m.via.branch.p[i] <= 'z'));
	const char *ok = r->p[1].last_200;
	assert_non_null(strstr(ok, "\r\nAllow: "));
	assert_null(strstr(ok, "\r\nSupported: "));
	assert_non_null(strstr(ok, "m=audio 2222 RTP/AVP 0 127\r\n")); /* narrowed to one codec, the offer's number */
	rig_free(r);
}

/* A '#' leaves the phone escaped. */
static void test_hash(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	rig_do(r, 0, "dial", "#17");
	rig_run_ms(r, 500);
	assert_int_equal(strncmp(r->p[0].last_invite, "INVITE sip:%2317@10.0.0.1;user=phone SIP/2.0", 44), 0);
	assert_int_equal(rig_view(r, 0).call[0].last_status, 404);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_BUSY_TONE);
	rig_do(r, 0, "hangup", "");
	all_gone(r);
	rig_free(r);
}

static void test_register_form(void **s)
{
	(void)s;
	struct rig *r = rig_new();
	rig_phone(r, "VVX410", "0004f2aabb01", "201");
	rig_file(r, "0004f2aabb01.cfg", "<APPLICATION CONFIG_FILES=\"a.cfg\"/>");
	rig_file(r, "a.cfg", "<a reg.1.address=\"201\" reg.1.displayName=\"Ann\" reg.1.auth.userid=\"201\" reg.1.auth.password=\"secret\" "
			     "reg.1.server.1.address=\"10.0.0.1\" reg.1.server.1.expires=\"600\"/>");
	r->sip_auth = true;
	r->grant_s = 600;
	rig_power(r, 0);
	rig_run_ms(r, 3000);
	const char *m = r->p[0].last_register;
	assert_int_equal(r->p[0].registers, 2);
	assert_int_equal(strncmp(m, "REGISTER sip:10.0.0.1;transport=udp SIP/2.0\r\n", 45), 0);
	assert_non_null(strstr(m, "From: \"Ann\" <sip:201@10.0.0.1>;tag="));
	assert_non_null(strstr(m, "To: <sip:201@10.0.0.1>\r\n"));
	assert_non_null(strstr(m, "Contact: <sip:201@10.0.0.11;transport=udp>;methods=\"INVITE,ACK,BYE,CANCEL,OPTIONS,INFO,MESSAGE,SUBSCRIBE,"
				  "NOTIFY,PRACK,UPDATE,REFER\"\r\n"));
	assert_null(strstr(m, "\r\nAllow:"));
	assert_non_null(strstr(m, "nc=00000001"));
	char id[64];
	snprintf(id, sizeof id, "%.44s", strstr(m, "Call-ID:"));
	/* refresh at 600 - 60 s: same Call-ID, the same nonce with the next count, not challenged again */
	rig_run_ms(r, 536000);
	assert_int_equal(r->p[0].registers, 2);
	rig_run_ms(r, 4000);
	assert_int_equal(r->p[0].registers, 3);
	assert_non_null(strstr(r->p[0].last_register, id));
	assert_non_null(strstr(r->p[0].last_register, "nc=00000002"));
	/* userid is taken though its letters differ, and that is said (V8) */
	assert_int_equal(rig_count(r->p[0].events, "DEFECT T8.case"), 1);
	/* short grants: at half */
	r->grant_s = 60;
	rig_run_ms(r, 541000);
	int n = r->p[0].registers;
	rig_run_ms(r, 60500);
	assert_int_equal(r->p[0].registers - n, 2);
	rig_free(r);
}

/* 403 does not stop it for ever; without an answer it tries again between half of 60 s and 60 s later. */
static void test_register_retry(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	int n = r->p[0].registers;
	r->refuse_register = 403;
	rig_run_ms(r, 3600 * 1000);
	assert_false(rig_view(r, 0).registered);
	int tries = r->p[0].registers - n;
	assert_in_range(tries, 1, 120);
	r->refuse_register = 0;
	rig_run_ms(r, 61000);
	assert_true(rig_view(r, 0).registered);
	assert_int_equal(rig_count(r->p[0].events, "unregistered"), 1);
	rig_free(r);
}

static void test_transport(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	rig_file(r, "201.cfg", "<a reg.1.address=\"201\" reg.1.server.1.address=\"10.0.0.1\" reg.1.server.1.transport=\"TCPOnly\" "
			       "voIpProt.SIP.local.port=\"5070\"/>");
	rig_do(r, 0, "reboot", "");
	rig_run_ms(r, 4000);
	assert_non_null(strstr(r->p[0].last_register, "Via: SIP/2.0/TCP 10.0.0.11:5070;"));
	assert_non_null(strstr(r->p[0].last_register, "Contact: <sip:201@10.0.0.11:5070;transport=tcp>"));
	/* each line with an address, up to the model's number */
	rig_file(r, "202.cfg", "<a reg.1.address=\"202\" reg.1.server.1.address=\"10.0.0.1\" reg.3.address=\"203@10.0.0.1\" "
			       "voIpProt.server.1.address=\"10.0.0.1\" voIpProt.server.1.transport=\"DNSnaptr\"/>");
	int n = r->p[1].registers;
	rig_do(r, 1, "reboot", "");
	rig_run_ms(r, 4000);
	assert_int_equal(r->p[1].registers - n, 2);
	assert_non_null(strstr(r->p[1].last_register, "<sip:203@10.0.0.12;transport=udp>"));
	rig_free(r);
}

/* INVITE challenged by 407 and sent again. */
static void test_invite_auth(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	r->sip_auth = true;
	talk(r);
	assert_non_null(strstr(r->p[0].last_invite, "Proxy-Authorization: Digest username=\"201\""));
	assert_non_null(strstr(r->p[0].last_invite, "uri=\"sip:202@10.0.0.1;user=phone\""));
	rig_do(r, 1, "hangup", "");
	all_gone(r);
	no_defects(r);
	rig_free(r);
}

static void test_hold(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	talk(r);
	rig_do(r, 0, "hold", "");
	rig_run_ms(r, 1000);
	assert_non_null(strstr(r->p[0].last_invite, "t=0 0\r\na=sendonly\r\nm=audio"));
	assert_non_null(strstr(r->p[1].last_200, "a=recvonly\r\n"));
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_HELD);
	assert_int_equal(rig_view(r, 1).call[0].state, VPC_HELD_BY_PEER);
	uint64_t tx = rig_view(r, 0).call[0].rtp_tx;
	rig_run_ms(r, 1000);
	assert_int_equal(rig_view(r, 0).call[0].rtp_tx, tx); /* silent while it holds */
	assert_int_equal(rig_view(r, 1).call[0].tone_hz, 0);
	/* both hold: inactive */
	rig_do(r, 1, "hold", "");
	rig_run_ms(r, 500);
	assert_non_null(strstr(r->p[0].last_200, "a=inactive\r\n"));
	rig_do(r, 1, "resume", "");
	rig_run_ms(r, 500);
	assert_int_equal(rig_view(r, 1).call[0].state, VPC_HELD_BY_PEER);
	rig_do(r, 0, "resume", "");
	rig_run_ms(r, 1000);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_CONNECTED);
	assert_int_equal(rig_view(r, 1).call[0].state, VPC_CONNECTED);
	hear_both(r);
	rig_do(r, 0, "hangup", "");
	all_gone(r);
	no_defects(r);
	rig_free(r);
}

/* The other two styles of hold, as the peer sends them. */
static void test_hold_styles(void **s)
{
	(void)s;
	static const char *const cfg[] = {
		"<a reg.1.address=\"201\" reg.1.server.1.address=\"10.0.0.1\" voIpProt.SIP.useSendonlyHold=\"0\"/>",
		"<a reg.1.address=\"201\" reg.1.server.1.address=\"10.0.0.1\" voIpProt.SIP.useRFC2543hold=\"1\"/>",
	};
	for (int i = 0; i < 2; i++) {
		struct rig *r = rig_pair();
		rig_file(r, "201.cfg", cfg[i]);
		rig_do(r, 0, "reboot", "");
		rig_run_ms(r, 4000);
		talk(r);
		rig_do(r, 0, "hold", "");
		rig_run_ms(r, 1000);
		assert_non_null(strstr(r->p[0].last_invite, i == 0 ? "a=inactive" : "c=IN IP4 0.0.0.0"));
		assert_int_equal(rig_view(r, 1).call[0].state, VPC_HELD_BY_PEER);
		uint64_t tx = rig_view(r, 1).call[0].rtp_tx;
		rig_run_ms(r, 500);
		assert_int_equal(rig_view(r, 1).call[0].rtp_tx, tx);
		rig_do(r, 0, "resume", "");
		rig_run_ms(r, 1000);
		hear_both(r);
		no_defects(r);
		rig_free(r);
	}
}

/* Both press hold in the same moment: 491 each, then two re-INVITEs one after the other. */
static void test_glare(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	talk(r);
	rig_do(r, 0, "hold", "");
	rig_do(r, 1, "hold", "");
	rig_run_ms(r, 6000);
	assert_int_equal(rig_count(r->p[0].events, "glare"), 1);
	assert_int_equal(rig_count(r->p[1].events, "glare"), 1);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_HELD);
	assert_int_equal(rig_view(r, 1).call[0].state, VPC_HELD);
	rig_do(r, 0, "hangup", "");
	rig_do(r, 1, "hangup", ""); /* simultaneous */
	all_gone(r);
	no_defects(r);
	rig_free(r);
}

static void test_cancel(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	rig_do(r, 0, "dial", "202");
	rig_run_ms(r, 1000);
	rig_do(r, 0, "hangup", "");
	rig_run_ms(r, 200);
	assert_int_equal(rig_view(r, 1).n_calls, 0);
	assert_non_null(strstr(r->p[1].events, "cancelled by peer"));
	assert_non_null(strstr(r->p[0].events, "status 487 Request Cancelled"));
	all_gone(r);
	no_defects(r);
	rig_free(r);
}

/* Hanging up in the very moment of the answer leaves nothing behind, whichever way it goes. */
static void test_cancel_race(void **s)
{
	(void)s;
	for (int ms = 0; ms <= 20; ms++) {
		struct rig *r = rig_pair();
		rig_do(r, 0, "dial", "202");
		rig_run_ms(r, 500);
		rig_do(r, 1, "answer", "");
		rig_run_ms(r, ms);
		rig_do(r, 0, "hangup", "");
		all_gone(r);
		no_defects(r);
		rig_free(r);
	}
}

static void test_refuse(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	rig_do(r, 0, "dial", "202");
	rig_run_ms(r, 500);
	rig_do(r, 1, "reject", "");
	rig_run_ms(r, 200);
	assert_int_equal(rig_view(r, 0).call[0].last_status, 603);
	rig_do(r, 0, "hangup", "");
	rig_file(r, "202.cfg", "<a reg.1.address=\"202\" reg.1.server.1.address=\"10.0.0.1\" voIpProt.SIP.use486forReject=\"1\" "
			       "reg.1.callsPerLineKey=\"1\"/>");
	rig_do(r, 1, "reboot", "");
	rig_run_ms(r, 4000);
	rig_do(r, 0, "dial", "202");
	rig_run_ms(r, 500);
	/* one call per key is up: the second is busy */
	rig_do(r, 0, "dial", "202");
	rig_run_ms(r, 500);
	assert_int_equal(rig_view(r, 0).call[1].last_status, 486);
	assert_int_equal(rig_view(r, 1).n_calls, 1);
	rig_do(r, 1, "reject", "");
	rig_run_ms(r, 500);
	assert_int_equal(rig_view(r, 0).call[0].last_status, 486);
	all_gone(r);
	no_defects(r);
	rig_free(r);
}

/* 24 calls per line key, the 25th is busy. */
static void test_many(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	for (int i = 0; i < 23; i++) {
		rig_do(r, 0, "dial", "202");
		rig_run_ms(r, 100);
	}
	assert_int_equal(rig_view(r, 1).n_calls, VP_MAX_CALLS);
	assert_int_equal(rig_count(r->p[1].events, "ringing"), 23);
	rig_do(r, 0, "dial", "202");
	rig_run_ms(r, 200);
	assert_int_equal(rig_count(r->p[1].events, "ringing"), 24);
	rig_phone(r, "VVX410", "0004f2aabb03", "203");
	rig_file(r, "0004f2aabb03.cfg", "<APPLICATION CONFIG_FILES=\"203.cfg\"/>");
	rig_file(r, "203.cfg", "<a reg.1.address=\"203\" reg.1.server.1.address=\"10.0.0.1\"/>");
	rig_power(r, 2);
	rig_run_ms(r, 3000);
	rig_do(r, 2, "dial", "202");
	rig_run_ms(r, 500);
	assert_int_equal(rig_view(r, 2).call[0].last_status, 486);
	rig_run_ms(r, 60000);
	all_gone(r);
	rig_free(r);
}

static void test_no_answer(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	rig_file(r, "202.cfg", "<a reg.1.address=\"202\" reg.1.server.1.address=\"10.0.0.1\" call.offeringTimeOut=\"20\"/>");
	rig_do(r, 1, "reboot", "");
	rig_run_ms(r, 4000);
	rig_do(r, 0, "dial", "202");
	rig_run_ms(r, 19000);
	assert_int_equal(rig_view(r, 1).call[0].state, VPC_RINGING);
	rig_run_ms(r, 1500);
	assert_int_equal(rig_view(r, 1).n_calls, 0);
	assert_int_equal(rig_view(r, 0).call[0].last_status, 480);
	/* the default is 60 s; the caller's ringback ends at 60 s too */
	rig_do(r, 0, "hangup", "");
	rig_do(r, 1, "dial", "201");
	rig_run_ms(r, 59000);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_RINGING);
	rig_run_ms(r, 2000);
	assert_int_equal(rig_view(r, 0).n_calls, 0);
	all_gone(r);
	no_defects(r);
	rig_free(r);
}

static void test_dtmf(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	/* another number on one side: the answerer follows the offer */
	rig_file(r, "202.cfg", "<a reg.1.address=\"202\" reg.1.server.1.address=\"10.0.0.1\" tone.dtmf.rfc2833Payload=\"101\"/>");
	rig_do(r, 1, "reboot", "");
	rig_run_ms(r, 4000);
	talk(r);
	rig_do(r, 0, "dtmf", "19*#");
	rig_run_ms(r, 1500);
	assert_string_equal(rig_view(r, 1).digits, "19*#");
	rig_do(r, 1, "key", "5");
	rig_do(r, 1, "key", "5");
	rig_run_ms(r, 1000);
	assert_string_equal(rig_view(r, 0).digits, "55");
	assert_int_equal(rig_count(r->p[0].events, "dtmf 5"), 2);
	assert_int_equal(rig_view(r, 0).call[0].rtp_lost + rig_view(r, 1).call[0].rtp_lost, 0);
	hear_both(r);
	no_defects(r);
	rig_free(r);
}

static void test_rtp_filter(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	talk(r);
	uint64_t rx = rig_view(r, 0).call[0].rtp_rx;
	r->rtp_alter_ip = 77;
	rig_run_ms(r, 1000);
	struct vphone_call_view c = rig_view(r, 0).call[0];
	assert_in_range(c.rtp_foreign, 48, 51);
	assert_in_range(c.rtp_rx - rx, 0, 2);
	assert_int_equal(c.tone_hz, 0);
	assert_true(rig_count(r->p[0].events, "DEFECT T30") > 0);
	rig_free(r);
}

/* Loss is counted; `play` changes the tone. */
static void test_rtp_loss(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	talk(r);
	rig_do(r, 0, "play", "1000");
	rig_run_ms(r, 1000);
	assert_in_range(rig_view(r, 1).call[0].tone_hz, 995, 1005);
	assert_int_equal(rig_view(r, 1).call[0].rtp_lost, 0);
	r->drop_rtp_every = 10;
	rig_run_ms(r, 10000);
	uint64_t lost = rig_view(r, 0).call[0].rtp_lost + rig_view(r, 1).call[0].rtp_lost;
	assert_in_range(lost, 90, 102);
	rig_free(r);
}

/* The probe of the office day: two packets a second, nothing lost, the tone still heard. */
static void test_probe(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	for (int i = 0; i < 2; i++)
		r->p[i].opts.rtp_interval_ms = 500;
	rig_power(r, 0);
	rig_power(r, 1);
	rig_run_ms(r, 3000);
	talk(r);
	rig_run_ms(r, 8000);
	struct vphone_view a = rig_view(r, 0);
	assert_in_range(a.call[0].rtp_rx, 18, 22);
	assert_int_equal(a.call[0].rtp_lost, 0);
	hear_both(r);
	rig_free(r);
}

/* A server that lists 100rel gets a reliable 180 and must PRACK; the phone as caller does. */
static void test_100rel(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	r->keep_100rel = r->log_sip = true;
	talk(r);
	assert_non_null(strstr(r->sip_log, "Require: 100rel\r\nRSeq: 8193\r\n"));
	assert_non_null(strstr(r->sip_log, "RAck: 8193 1 INVITE\r\n"));
	/* 100 carries a To tag */
	const char *trying = strstr(r->sip_log, "SIP/2.0 100 Trying");
	assert_non_null(trying);
	assert_true(strstr(strstr(trying, "To:"), ";tag=") < strstr(strstr(trying, "To:"), "\r\n"));
	assert_int_equal(rig_count(r->p[1].events, "DEFECT"), 0); /* it lists 100rel and does what it says */
	hear_both(r);
	rig_do(r, 0, "hangup", "");
	all_gone(r);
	rig_free(r);
}

/* A second call puts the first on hold; resuming swaps them. */
static void test_two_calls(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	talk(r);
	rig_do(r, 0, "dial", "202");
	rig_run_ms(r, 500);
	assert_int_equal(rig_view(r, 0).call[0].state, VPC_HELD);
	rig_do(r, 1, "answer", "");
	rig_run_ms(r, 1000);
	assert_int_equal(rig_view(r, 0).call[1].state, VPC_CONNECTED);
	assert_int_equal(rig_view(r, 1).call[1].state, VPC_CONNECTED);
	rig_do(r, 0, "hangup", "");
	rig_run_ms(r, 500);
	assert_int_equal(rig_view(r, 0).n_calls, 1);
	rig_do(r, 0, "resume", "");
	rig_run_ms(r, 500);
	rig_do(r, 1, "resume", "");
	rig_run_ms(r, 1000);
	hear_both(r);
	rig_do(r, 0, "hangup", "");
	all_gone(r);
	no_defects(r);
	rig_free(r);
}

/* Memory: a registered phone without calls. */
static void test_no_server(void **s)
{
	(void)s;
	struct rig *r = rig_pair();
	r->sip_silent = true;
	rig_do(r, 0, "dial", "202");
	rig_run_ms(r, 33000);
	assert_int_equal(rig_view(r, 0).call[0].last_status, 408);
	rig_do(r, 0, "hangup", "");
	all_gone(r);
	rig_free(r);
}

static const struct test_case cases[] = {
	CASE(test_call, "V24 V18 V19"), CASE(test_shapes, "V18 V19"), CASE(test_hash, "V18"), CASE(test_register_form, "V15 V16"),
	CASE(test_register_retry, "V16"), CASE(test_transport, "V15"), CASE(test_invite_auth, "V18"), CASE(test_hold, "V19 V24"),
	CASE(test_hold_styles, "V19"), CASE(test_glare, ""), CASE(test_cancel, "V21"), CASE(test_cancel_race, ""),
	CASE(test_refuse, "V21"), CASE(test_many, "V21"), CASE(test_no_answer, "V22 V21"), CASE(test_dtmf, "V23 V19"),
	CASE(test_rtp_filter, "V23"), CASE(test_rtp_loss, "V24"), CASE(test_probe, ""), CASE(test_100rel, "V17a"),
	CASE(test_two_calls, ""), CASE(test_no_server, ""),
};
TEST_MAIN("vphone_call", cases)

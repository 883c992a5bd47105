/* Each figure of RFC 3261 17 and RFC 6026 as a script, with every message and call at its time in milliseconds. */
#include "harness/harness.h"

#include "sip/txn/txn.h"

#include "base/assert.h"
#include "base/rng.h"

#include <stdio.h>

struct bench {
	struct txn_layer *l;
	struct slab slab;
	struct wheel wheel;
	int64_t now_ms;
	bool reliable;
	txn_id client, server;
	char invite_branch[40], branch[40], method[16];
	char log_b[8192];
	struct text log;
	uint16_t reply_in_request; /* answered from within on_request */
	bool stateless, orphan_in_call, ack_in_response;
	uint16_t sent_port;
	char sent[16384]; /* last message that left */
};
static struct bench *B;

static struct sip_flow the_flow(void)
{
	return (struct sip_flow){
		.transport = B->reliable ? SIP_TCP : SIP_UDP, .conn = B->reliable ? 7 : 0,
		.remote = {.ip = {192, 0, 2, 9}, .port = 5070, .family = 4},
		.local = {.ip = {192, 0, 2, 1}, .port = 5060, .family = 4},
	};
}

static void note(const char *what, struct span s)
{
	text_fmt(&B->log, "%s%lld %s" SPAN_FMT, B->log.n ? ", " : "", (long long)B->now_ms, what, SPAN_ARG(s));
}

static void on_send(void *ctx, const struct sip_flow *to, struct span bytes)
{
	(void)ctx;
	struct span rest = bytes, first = span_cut(&rest, ' ');
	B->sent_port = to->remote.port;
	assert_true(span_copyz(bytes, B->sent, sizeof B->sent));
	note(">", span_eqz(first, "SIP/2.0") ? span_cut(&rest, ' ') : first);
}

static void reply(uint16_t status)
{
	struct sip_msg m;
	struct sip_flow from;
	char buf[2048];
	struct sip_build b = {TEXT_ARRAY(buf)};
	if (txn_request_of(B->l, B->server, &m, &from) != 0) {
		if (txn_reply(B->l, B->server, 2, status, SPAN_LIT("x"), B->now_ms * 1000) != 0)
			note("gone", SPAN_NONE);
		return;
	}
	sip_reply_begin(&b, &m, &from, status, NULL, status == 100 ? SPAN_NONE : SPAN_LIT("us"));
	assert_true(sip_finish(&b, NULL, SPAN_NONE));
	if (B->stateless)
		txn_reply_stateless(B->l, B->server, text_span(&b.t));
	else if (txn_reply(B->l, B->server, 2, status, text_span(&b.t), B->now_ms * 1000) != 0)
		note("gone", SPAN_NONE);
}

static void on_request(void *ctx, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	(void)ctx, (void)from;
	B->server = id;
	txn_set_owner(B->l, id, 2);
	note("request ", req->method_name);
	if (B->orphan_in_call)
		txn_orphan(B->l, id);
	if (B->reply_in_request)
		reply(B->reply_in_request);
}

static void on_cancel(void *ctx, txn_id id, const struct sip_msg *cancel)
{
	(void)ctx;
	assert_true(id == B->server);
	note("cancelled ", cancel->method_name);
	if (B->orphan_in_call)
		txn_orphan(B->l, id);
}

static void on_ack(void *ctx, const struct sip_msg *ack, const struct sip_flow *from)
{
	(void)ctx, (void)from;
	note("acked ", ack->to.tag);
}

static struct span message(char *buf, size_t cap, enum sip_method m, const char *branch, const char *to_tag)
{
	struct sip_flow f = the_flow();
	struct sip_build b = {text_on(buf, cap)};
	sip_request_begin(&b, m, SPAN_LIT("sip:b@192.0.2.9"), &f, span_z(branch));
	sip_put_z(&b, SIP_H_MAX_FORWARDS, "70");
	sip_put_z(&b, SIP_H_FROM, "<sip:a@192.0.2.1>;tag=fr");
	sip_head(&b, SIP_H_TO);
	text_fmt(&b.t, "<sip:b@192.0.2.9>%s%s", to_tag[0] ? ";tag=" : "", to_tag);
	sip_eol(&b);
	sip_put_z(&b, SIP_H_CALL_ID, "cid");
	sip_head(&b, SIP_H_CSEQ);
	text_fmt(&b.t, "1 %s", sip_method_name(m));
	sip_eol(&b);
	assert_true(sip_finish(&b, NULL, SPAN_NONE) && text_end(&b.t));
	return text_span(&b.t);
}

static void send_ack(const char *tag)
{
	char buf[2048];
	struct sip_flow f = the_flow();
	txn_ack(B->l, B->client, span_z(tag), message(buf, sizeof buf, SIP_ACK, "z9hG4bKack", tag), &f, B->now_ms * 1000);
}

static void on_response(void *ctx, txn_id id, uint64_t owner, const struct sip_msg *resp, const struct sip_flow *from)
{
	(void)ctx, (void)from;
	char s[8];
	assert_int_equal(owner, 1);
	snprintf(s, sizeof s, "%u", resp->status);
	note("response ", span_z(s));
	if (B->ack_in_response && resp->status / 100 == 2) {
		char tag[32];
		assert_true(span_copyz(resp->to.tag, tag, sizeof tag));
		send_ack(tag);
	}
	if (B->orphan_in_call)
		txn_orphan(B->l, id);
}

static void on_failure(void *ctx, txn_id id, uint64_t owner, enum txn_failure why)
{
	(void)ctx, (void)id;
	switch (why) {
	case TXN_TIMEOUT: note("timeout", SPAN_NONE); break;
	case TXN_TRANSPORT: note("transport", SPAN_NONE); break;
	case TXN_NO_ACK: note("no-ack", SPAN_NONE); break;
	}
	assert_int_equal(owner, why == TXN_NO_ACK ? 2 : 1);
}

static void got(struct span bytes)
{
	struct sip_msg m;
	struct sip_error err;
	struct sip_flow f = the_flow();
	if (sip_parse(&m, bytes, &err) != 0)
		fail_msg("%s: " SPAN_FMT, err.reason, SPAN_ARG(bytes));
	txn_recv(B->l, &m, &f, B->now_ms * 1000);
}

static void got_response(unsigned status, const char *tag, const char *method)
{
	char buf[1024];
	int n = snprintf(buf, sizeof buf,
		"SIP/2.0 %u X\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=%s\r\nFrom: <sip:a@192.0.2.1>;tag=fr\r\n"
		"To: <sip:b@192.0.2.9>;tag=%s\r\nCall-ID: cid\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n",
		status, B->branch, tag, method[0] ? method : B->method);
	got(span_mem(buf, (size_t)n));
}

/* One word for what happens, one for with what: "send INVITE", "got 180", "in INVITE", "reply 200" ... */
static void act(const char *verb, const char *arg, const char *arg2)
{
	char buf[2048];
	struct sip_flow f = the_flow();
	int64_t now = B->now_ms * 1000;
	unsigned status = 0;
	if (arg[0] >= '0' && arg[0] <= '9')
		assert_int_equal(sscanf(arg, "%u", &status), 1);
	if (!strcmp(verb, "send")) {
		static int counter;
		snprintf(B->branch, sizeof B->branch, "z9hG4bKc%d", ++counter);
		snprintf(B->method, sizeof B->method, "%s", arg);
		struct span bytes = message(buf, sizeof buf, sip_method_of(span_z(arg)), B->branch, "");
		assert_int_equal(txn_send(B->l, bytes, &f, 1, now, &B->client), 0);
	} else if (!strcmp(verb, "got")) {
		got_response(status, arg2[0] ? arg2 : "them", "");
	} else if (!strcmp(verb, "gotcancel")) {
		got_response(status, "them", "CANCEL");
	} else if (!strcmp(verb, "in")) {
		got(message(buf, sizeof buf, sip_method_of(span_z(arg)), arg2[0] ? arg2 : "z9hG4bKs1", ""));
	} else if (!strcmp(verb, "reply")) {
		reply((uint16_t)status);
	} else if (!strcmp(verb, "acked")) {
		txn_acked(B->l, B->server);
	} else if (!strcmp(verb, "ack")) {
		send_ack(arg);
	} else if (!strcmp(verb, "cancel")) {
		txn_cancel(B->l, B->client, now);
	} else if (!strcmp(verb, "orphan")) {
		txn_orphan(B->l, arg[0] == 'c' ? B->client : B->server);
	} else if (!strcmp(verb, "broken")) {
		txn_flow_failed(B->l, &f, now);
	} else {
		fail_msg("verb %s", verb);
	}
}

static void bench_open(bool reliable)
{
	B = test_calloc(1, sizeof *B);
	const struct txn_user user = {NULL, on_request, on_cancel, on_ack, on_response, on_failure, on_send};
	const struct txn_limits lim = {4, 16384};
	B->reliable = reliable;
	B->log = text_on(B->log_b, sizeof B->log_b);
	slab_init(&B->slab, 0);
	wheel_init(&B->wheel, 0);
	B->l = txn_layer_new(&user, &lim, &txn_times_default, (struct hash_key){3, 4}, &B->slab, &B->wheel);
	assert_non_null(B->l);
}

static void bench_close(void)
{
	txn_layer_free(B->l);
	assert_int_equal(B->slab.used_bytes, 0);
	assert_int_equal(B->wheel.count, 0);
	slab_destroy(&B->slab);
	test_free(B);
	B = NULL;
}

static void pass_time(int64_t until_ms)
{
	for (;;) {
		uint32_t was = txn_counts(B->l).live;
		for (struct timer *t; (t = wheel_pop(&B->wheel, B->now_ms * 1000));)
			txn_timer(B->l, t, B->now_ms * 1000);
		if (was && !txn_counts(B->l).live)
			note("end", SPAN_NONE);
		if (B->now_ms == until_ms)
			return;
		B->now_ms++;
	}
}

/* script: "0 send INVITE; 100 got 180 tag; ..." Time runs for 150 s after the last step. */
static void play(const char *script)
{
	struct span rest = span_z(script);
	while (rest.p) {
		char step[96], verb[16], arg[16] = "", arg2[32] = "";
		long long at;
		struct span s = span_trim(span_cut(&rest, ';'));
		if (!s.n)
			continue;
		assert_true(span_copyz(s, step, sizeof step));
		assert_true(sscanf(step, "%lld %15s %15s %31s", &at, verb, arg, arg2) >= 2);
		pass_time(at);
		uint32_t was = txn_counts(B->l).live;
		act(verb, arg, arg2);
		if (was && !txn_counts(B->l).live)
			note("end", SPAN_NONE);
	}
	pass_time(B->now_ms + 150000);
}

struct script {
	const char *what;
	bool reliable;
	const char *script, *want;
};

static void play_all(const struct script *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bench_open(s[i].reliable);
		play(s[i].script);
		assert_true(text_end(&B->log));
		if (strcmp(B->log_b, s[i].want) != 0)
			fail_msg("%s\n got: %s\nwant: %s", s[i].what, B->log_b, s[i].want);
		assert_int_equal(txn_counts(B->l).live, 0);
		assert_int_equal(B->slab.used_bytes, 0);
		bench_close();
	}
}

#include "sip/txn/txn_test_scripts.h"

static void figure5_invite_client(void **state)
{
	(void)state;
	play_all(figure5, COUNT_OF(figure5));
}

static void figure6_other_client(void **state)
{
	(void)state;
	play_all(figure6, COUNT_OF(figure6));
}

static void figure7_invite_server(void **state)
{
	(void)state;
	play_all(figure7, COUNT_OF(figure7));
}

static void figure8_other_server(void **state)
{
	(void)state;
	play_all(figure8, COUNT_OF(figure8));
}

static void calls_back_into_the_layer(void **state)
{
	(void)state;
	bench_open(false);
	B->reply_in_request = 200;
	play("0 in OPTIONS; 10 in OPTIONS");
	assert_string_equal(B->log_b, "0 request OPTIONS, 0 >200, 10 >200, 32000 end");
	bench_close();

	bench_open(false);
	B->reply_in_request = 401;
	B->stateless = true;
	play("0 in REGISTER; 10 in REGISTER");
	assert_string_equal(B->log_b, "0 request REGISTER, 0 >401, 10 request REGISTER, 10 >401");
	bench_close();

	bench_open(false);
	B->orphan_in_call = true;
	play("0 in INVITE; 10 in ACK; 20 in CANCEL; 30 in INVITE z9hG4bKs2; 40 in ACK z9hG4bKs2");
	assert_string_equal(B->log_b, "0 request INVITE, 0 >500, 20 >200, 30 request INVITE, 30 >500, 5040 end");
	bench_close();

	bench_open(false);
	B->ack_in_response = true;
	play("0 send INVITE; 50 got 200; 60 got 200; 70 got 200 fork; 80 got 200 fork");
	assert_string_equal(B->log_b, "0 >INVITE, 50 response 200, 50 >ACK, 60 >ACK, 70 response 200, 70 >ACK, 80 >ACK, 32050 end");
	bench_close();

	bench_open(false);
	B->orphan_in_call = true; /* from within the 180: cancelled */
	play("0 send INVITE; 50 got 180; 60 gotcancel 200; 70 got 487");
	assert_string_equal(B->log_b, "0 >INVITE, 50 response 180, 50 >CANCEL, 70 >ACK, 32070 end");
	bench_close();
}

static void no_room_is_503(void **state)
{
	(void)state;
	bench_open(false); /* four places */
	play("0 in INVITE z9hG4bK1; 1 in INVITE z9hG4bK2; 2 in INVITE z9hG4bK3; 3 in INVITE z9hG4bK4; 4 in INVITE z9hG4bK5;"
	     "5 in OPTIONS z9hG4bK6");
	assert_true(span_starts(text_span(&B->log), SPAN_LIT("0 request INVITE, 1 request INVITE, 2 request INVITE,"
							     " 3 request INVITE, 4 >503, 5 >503, 200 >100")));
	char buf[2048];
	struct sip_flow f = the_flow();
	txn_id id;
	assert_int_equal(txn_send(B->l, message(buf, sizeof buf, SIP_BYE, "z9hG4bKx", "t"), &f, 1, 0, &id), -1);
	bench_close();
}

static void stored_bytes_are_bounded(void **state)
{
	(void)state;
	bench_open(false);
	char big[9000];
	struct sip_flow f = the_flow();
	struct span head = message(big, sizeof big, SIP_MESSAGE, "z9hG4bKb1", "");
	size_t at = head.n - 2;
	memset(big + at, 'x', sizeof big - at);
	memcpy(big + at, "Subject: ", 9);
	memcpy(big + sizeof big - 4, "\r\n\r\n", 4);
	txn_id a, b;
	assert_int_equal(txn_send(B->l, span_mem(big, sizeof big), &f, 1, 0, &a), 0);
	big[(size_t)span_find(span_mem(big, sizeof big), SPAN_LIT("z9hG4bKb1")) + 8] = '2';
	assert_int_equal(txn_send(B->l, span_mem(big, sizeof big), &f, 1, 0, &b), -1);
	assert_int_equal(txn_counts(B->l).live, 1);
	bench_close();
}

static void branch_must_be_new(void **state)
{
	(void)state;
	bench_open(false);
	char buf[2048];
	struct sip_flow f = the_flow();
	txn_id id;
	assert_int_equal(txn_send(B->l, message(buf, sizeof buf, SIP_BYE, "z9hG4bKx", "t"), &f, 1, 0, &id), 0);
	assert_int_equal(txn_send(B->l, message(buf, sizeof buf, SIP_BYE, "z9hG4bKx", "t"), &f, 1, 0, &id), -1);
	assert_int_equal(txn_send(B->l, message(buf, sizeof buf, SIP_INFO, "z9hG4bKx", "t"), &f, 1, 0, &id), 0);
	assert_int_equal(txn_send(B->l, SPAN_LIT("BYE sip:x SIP/2.0\r\nTo: x\r\n\r\n"), &f, 1, 0, &id), -1);
	bench_close();
}

/* RFC 2543 peers: no cookie, so the branch does not tell two calls apart. */
static void without_cookie_the_headers_decide(void **state)
{
	(void)state;
#define OLD(method, cid, from, via) method " sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070" via "\r\nFrom: <sip:a@h>;tag=" from \
	"\r\nTo: <sip:b@h>\r\nCall-ID: " cid "\r\nCSeq: 1 " method "\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
	bench_open(false);
	got(SPAN_LIT(OLD("INVITE", "1", "f", ";branch=1")));
	reply(486);
	got(SPAN_LIT(OLD("INVITE", "1", "f", ";branch=1")));
	got(SPAN_LIT(OLD("INVITE", "2", "f", ";branch=1")));
	got(SPAN_LIT(OLD("INVITE", "1", "g", ";branch=1")));
	got(SPAN_LIT(OLD("CANCEL", "1", "g", ";branch=1")));
	got(SPAN_LIT(OLD("CANCEL", "3", "g", ";branch=1")));
	got(SPAN_LIT(OLD("INVITE", "1", "f", "")));
	got(SPAN_LIT(OLD("ACK", "1", "f", ";branch=1")));
	assert_string_equal(B->log_b, "0 request INVITE, 0 >486, 0 >486, 0 request INVITE, 0 request INVITE, 0 >200, 0 cancelled CANCEL,"
				      " 0 >481, 0 request INVITE");
	bench_close();
}

/* RFC 3261 17.2.3: same branch, another sent-by or method is another request. */
static void sent_by_and_method_count(void **state)
{
	(void)state;
#define NEW(method, sent_by) method " sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP " sent_by ";branch=z9hG4bKq\r\nFrom: <sip:a@h>;tag=f" \
	"\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 " method "\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
	bench_open(false);
	got(SPAN_LIT(NEW("OPTIONS", "h.example:5060")));
	got(SPAN_LIT(NEW("OPTIONS", "H.EXAMPLE:5060")));
	got(SPAN_LIT(NEW("OPTIONS", "h.example:5062")));
	got(SPAN_LIT(NEW("OPTIONS", "g.example:5060")));
	got(SPAN_LIT(NEW("INFO", "h.example:5060")));
	assert_string_equal(B->log_b, "0 request OPTIONS, 0 request OPTIONS, 0 request OPTIONS, 0 request INFO");
	bench_close();
}

/* RFC 3261 18.2.2, RFC 3581: the port of replies. The flow's source is 192.0.2.9:5070. */
static void replies_go_to_the_right_port(void **state)
{
	(void)state;
	static const struct {
		const char *via;
		uint16_t port;
	} row[] = {
		{"192.0.2.9:5080;branch=z9hG4bK1;rport", 5070}, {"192.0.2.9:5080;branch=z9hG4bK2", 5080},
		{"192.0.2.9;branch=z9hG4bK3", 5060},            {"10.1.1.1:5080;branch=z9hG4bK4", 5070},
	};
	for (size_t i = 0; i < COUNT_OF(row); i++) {
		char buf[1024];
		int n = snprintf(buf, sizeof buf,
			"OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP %s\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\nCall-ID: c\r\n"
			"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", row[i].via);
		bench_open(false);
		got(span_mem(buf, (size_t)n));
		reply(200);
		assert_int_equal(B->sent_port, row[i].port);
		bench_close();
	}
}

static void own_replies_share_the_tag(void **state)
{
	(void)state;
	bench_open(true);
	act("in", "INVITE", "");
	reply(180);
	act("in", "CANCEL", "");
	assert_non_null(strstr(B->sent, "SIP/2.0 200"));
	assert_non_null(strstr(B->sent, "CSeq: 1 CANCEL"));
	assert_non_null(strstr(B->sent, ";tag=us\r\n"));
	bench_close();
}

static void responses_must_fit(void **state)
{
	(void)state;
	bench_open(false);
	act("send", "BYE", "");
	got_response(200, "t", "INVITE"); /* right branch, wrong method */
	snprintf(B->branch, sizeof B->branch, "z9hG4bKother");
	got_response(200, "t", "BYE");
	assert_string_equal(B->log_b, "0 >BYE");
	assert_int_equal(txn_counts(B->l).strays, 2);
	bench_close();
}

static void forks_are_bounded(void **state)
{
	(void)state;
	bench_open(false);
	act("send", "INVITE", "");
	for (int i = 0; i < 100; i++) {
		char tag[16];
		snprintf(tag, sizeof tag, "t%d", i);
		got_response(200, tag, "");
		send_ack(tag);
	}
	assert_int_equal(txn_counts(B->l).strays, 84);
	bench_close();
}

static void branches_differ(void **state)
{
	(void)state;
	struct rng r = rng_seed(1, 1);
	char a[32], b[32];
	struct span x = sip_branch(&r, a), y = sip_branch(&r, b);
	assert_true(x.n == 23 && span_starts(x, SPAN_LIT("z9hG4bK")) && !span_eq(x, y));
}

static const struct test_case cases[] = {
	CASE(figure5_invite_client, "R16"), CASE(figure6_other_client, "R16"), CASE(figure7_invite_server, "R16"),
	CASE(figure8_other_server, "R16"), CASE(calls_back_into_the_layer, ""), CASE(no_room_is_503, ""),
	CASE(stored_bytes_are_bounded, ""), CASE(branch_must_be_new, ""), CASE(without_cookie_the_headers_decide, ""),
	CASE(sent_by_and_method_count, ""), CASE(replies_go_to_the_right_port, ""), CASE(own_replies_share_the_tag, ""),
	CASE(responses_must_fit, ""), CASE(forks_are_bounded, ""), CASE(branches_differ, ""),
};
TEST_MAIN("sip/txn", cases)

/* The client side against the server side through a network that loses, doubles and reorders, in virtual time. */
#include "harness/harness.h"

#include "sip/txn/txn.h"

#include "base/assert.h"
#include "base/rng.h"

#include <stdlib.h>

enum { EXCHANGES = 1000, IN_FLIGHT = 4096, PACKET = 1200 };
#define SECOND 1000000ll

struct packet {
	int64_t at_us;
	int to; /* 0 the caller, 1 the callee; -1 empty */
	size_t n;
	char b[PACKET];
};

struct exchange {
	bool invite;
	int requests, finals, failures, acks_seen, server_failures, cancels;
	int plan; /* 0: 2xx, 1: error, 2: caller cancels, 3: never answered */
	txn_id server;
};

struct side {
	struct net *net;
	int who;
	struct txn_layer *l;
	struct slab slab;
	struct wheel wheel;
};

/* What the callee does later: the number of the exchange and when. */
struct job {
	int64_t at_us;
	int x;
	bool provisional;
};

struct net {
	struct rng rng;
	unsigned loss_percent;
	bool reliable;
	int64_t now_us;
	struct side side[2];
	struct exchange x[2 * EXCHANGES]; /* INVITEs, then what is not */
	struct job jobs[4 * EXCHANGES];
	size_t n_jobs;
	struct packet *p;
	int64_t peak_us;
};

static struct sip_flow flow_from(const struct net *n, int who)
{
	struct sip_flow f = {.transport = n->reliable ? SIP_TCP : SIP_UDP, .conn = n->reliable ? 1 : 0};
	f.local = (struct addr){.ip = {10, 0, 0, (uint8_t)(1 + who)}, .port = 5060, .family = 4};
	f.remote = (struct addr){.ip = {10, 0, 0, (uint8_t)(2 - who)}, .port = 5060, .family = 4};
	return f;
}

static void put(struct net *n, int to, struct span bytes, int64_t delay_us)
{
	INVARIANT(bytes.n <= PACKET);
	for (int i = 0; i < IN_FLIGHT; i++) {
		if (n->p[i].to >= 0)
			continue;
		n->p[i].to = to;
		n->p[i].at_us = n->now_us + delay_us;
		n->p[i].n = bytes.n;
		memcpy(n->p[i].b, bytes.p, bytes.n);
		return;
	}
	fail_msg("network full");
}

static void on_send(void *ctx, const struct sip_flow *to, struct span bytes)
{
	struct side *s = ctx;
	struct net *n = s->net;
	(void)to;
	if (n->reliable) {
		put(n, 1 - s->who, bytes, 5000);
		return;
	}
	if (rng_below(&n->rng, 100) < n->loss_percent)
		return;
	put(n, 1 - s->who, bytes, 1000 + (int64_t)rng_below(&n->rng, 80000)); /* later ones overtake */
	if (rng_below(&n->rng, 100) < n->loss_percent)
		put(n, 1 - s->who, bytes, 1000 + (int64_t)rng_below(&n->rng, 300000));
}

static int number_of(const struct sip_msg *m)
{
	uint64_t v = 0;
	struct span s = m->call_id;
	if (span_u64(s, 2 * EXCHANGES - 1, &v) != 0)
		fail_msg("Call-ID " SPAN_FMT, SPAN_ARG(s));
	return (int)v;
}

static void later(struct net *n, int x, bool provisional, int64_t in_us)
{
	INVARIANT(n->n_jobs < COUNT_OF(n->jobs));
	n->jobs[n->n_jobs++] = (struct job){n->now_us + in_us, x, provisional};
}

static void answer(struct side *s, struct exchange *x, uint16_t status)
{
	char buf[PACKET];
	struct sip_build b = {TEXT_ARRAY(buf)};
	struct sip_msg m;
	struct sip_flow from;
	if (txn_request_of(s->l, x->server, &m, &from) != 0)
		return; /* answered already or given up */
	sip_reply_begin(&b, &m, &from, status, NULL, SPAN_LIT("callee"));
	assert_true(sip_finish(&b, NULL, SPAN_NONE));
	(void)txn_reply(s->l, x->server, (uint64_t)(x - s->net->x) + 1, status, text_span(&b.t), s->net->now_us);
}

static void on_request(void *ctx, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	struct side *s = ctx;
	struct net *n = s->net;
	int i = number_of(req);
	struct exchange *x = &n->x[i];
	(void)from;
	assert_int_equal(s->who, 1);
	x->requests++;
	x->server = id;
	txn_set_owner(s->l, id, (uint64_t)i + 1);
	if (x->plan == 3)
		return;
	if (rng_below(&n->rng, 3) == 0)
		answer(s, x, x->plan == 1 ? 486 : x->invite && x->plan == 2 ? 180 : 200);
	else {
		later(n, i, true, (int64_t)rng_below(&n->rng, 400000));
		if (x->plan != 2)
			later(n, i, false, 400000 + (int64_t)rng_below(&n->rng, 3 * SECOND));
	}
}

static void on_cancel(void *ctx, txn_id id, const struct sip_msg *cancel)
{
	struct side *s = ctx;
	struct exchange *x = &s->net->x[number_of(cancel)];
	assert_true(id == x->server);
	assert_int_equal(++x->cancels, 1);
	answer(s, x, 487);
}

static void on_ack(void *ctx, const struct sip_msg *ack, const struct sip_flow *from)
{
	struct side *s = ctx;
	struct exchange *x = &s->net->x[number_of(ack)];
	(void)from;
	x->acks_seen++;
	txn_acked(s->l, x->server);
}

static void request(struct net *n, char *buf, size_t cap, struct span *out, enum sip_method m, int i, const char *tag)
{
	struct sip_build b = {text_on(buf, cap)};
	struct sip_flow f = flow_from(n, 0);
	char branch[32];
	sip_request_begin(&b, m, SPAN_LIT("sip:callee@10.0.0.2"), &f, sip_branch(&n->rng, branch));
	sip_put_z(&b, SIP_H_MAX_FORWARDS, "70");
	sip_put_z(&b, SIP_H_FROM, "<sip:caller@10.0.0.1>;tag=caller");
	sip_head(&b, SIP_H_TO);
	text_fmt(&b.t, "<sip:callee@10.0.0.2>%s", tag);
	sip_eol(&b);
	sip_put_u(&b, SIP_H_CALL_ID, (uint64_t)i);
	sip_head(&b, SIP_H_CSEQ);
	text_fmt(&b.t, "%d %s", m == SIP_BYE ? 2 : 1, sip_method_name(m));
	sip_eol(&b);
	assert_true(sip_finish(&b, NULL, SPAN_NONE));
	*out = text_span(&b.t);
}

static void on_response(void *ctx, txn_id id, uint64_t owner, const struct sip_msg *resp, const struct sip_flow *from)
{
	struct side *s = ctx;
	struct exchange *x = &s->net->x[owner - 1];
	(void)from;
	assert_int_equal(number_of(resp), owner - 1);
	assert_int_equal(x->finals + x->failures, 0); /* nothing comes after the end */
	if (resp->status < 200)
		return;
	x->finals++;
	if (resp->cseq_method == SIP_INVITE && resp->status < 300) {
		char buf[PACKET];
		struct span bytes;
		struct sip_flow f = flow_from(s->net, 0);
		request(s->net, buf, sizeof buf, &bytes, SIP_ACK, (int)owner - 1, ";tag=callee");
		txn_ack(s->l, id, resp->to.tag, bytes, &f, s->net->now_us);
	}
}

static void on_failure(void *ctx, txn_id id, uint64_t owner, enum txn_failure why)
{
	struct side *s = ctx;
	struct exchange *x = &s->net->x[owner - 1];
	(void)id;
	if (s->who == 1) {
		assert_int_equal(why, TXN_NO_ACK);
		x->server_failures++;
		return;
	}
	assert_int_equal(why, TXN_TIMEOUT);
	assert_int_equal(x->finals + x->failures, 0);
	x->failures++;
}

static void tick(struct net *n)
{
	for (int w = 0; w < 2; w++)
		for (struct timer *t; (t = wheel_pop(&n->side[w].wheel, n->now_us));)
			txn_timer(n->side[w].l, t, n->now_us);
	for (int i = 0; i < IN_FLIGHT; i++) {
		if (n->p[i].to < 0 || n->p[i].at_us > n->now_us)
			continue;
		struct packet p = n->p[i];
		n->p[i].to = -1;
		struct sip_msg m;
		struct sip_error err;
		struct sip_flow from = flow_from(n, p.to);
		if (sip_parse(&m, span_mem(p.b, p.n), &err) != 0)
			fail_msg("%s: %.*s", err.reason, (int)p.n, p.b);
		txn_recv(n->side[p.to].l, &m, &from, n->now_us);
	}
	for (size_t i = 0; i < n->n_jobs; i++) {
		struct job j = n->jobs[i];
		if (j.at_us > n->now_us)
			continue;
		n->jobs[i--] = n->jobs[--n->n_jobs];
		struct exchange *x = &n->x[j.x];
		answer(&n->side[1], x, j.provisional ? 180 : x->plan == 1 ? 486 : 200);
	}
}

static void side_open(struct net *n, int who)
{
	struct side *s = &n->side[who];
	const struct txn_user user = {s, on_request, on_cancel, on_ack, on_response, on_failure, on_send};
	const struct txn_limits lim = {20000, 16 << 20};
	s->net = n;
	s->who = who;
	slab_init(&s->slab, 0);
	wheel_init(&s->wheel, 0);
	s->l = txn_layer_new(&user, &lim, &txn_times_default, (struct hash_key){1, 2}, &s->slab, &s->wheel);
	assert_non_null(s->l);
}

static void run(uint64_t seed, unsigned loss_percent, bool reliable)
{
	struct net *n = calloc(1, sizeof *n);
	n->p = malloc(IN_FLIGHT * sizeof *n->p);
	for (int i = 0; i < IN_FLIGHT; i++)
		n->p[i].to = -1;
	n->rng = rng_seed(seed, loss_percent);
	n->loss_percent = loss_percent;
	n->reliable = reliable;
	side_open(n, 0);
	side_open(n, 1);
	static txn_id id[2 * EXCHANGES];
	int64_t last_us = 0;
	for (int i = 0; i < 2 * EXCHANGES; i++) {
		struct exchange *x = &n->x[i];
		char buf[PACKET];
		struct span bytes;
		struct sip_flow f = flow_from(n, 0);
		x->invite = i % 2 == 0;
		x->plan = (int)rng_below(&n->rng, 8);
		x->plan = x->plan > 3 ? 0 : x->plan;
		request(n, buf, sizeof buf, &bytes, x->invite ? SIP_INVITE : SIP_BYE, i, "");
		assert_int_equal(txn_send(n->side[0].l, bytes, &f, (uint64_t)i + 1, n->now_us, &id[i]), 0);
		for (int k = 0; k < 10; k++) {
			n->now_us += 1000;
			tick(n);
		}
		/* Those that are never answered are cancelled too, else the caller would ring for ever: its own affair. */
		int back = i - 100;
		if (back >= 0 && n->x[back].plan >= 2)
			txn_cancel(n->side[0].l, id[back], n->now_us);
	}
	for (int i = 2 * EXCHANGES - 100; i < 2 * EXCHANGES; i++)
		txn_cancel(n->side[0].l, id[i], n->now_us);
	last_us = n->now_us;
	/* 64 s after the last word of a user nothing may be left; the first 36 s are for answers and their failures. */
	while (n->now_us < last_us + 100 * SECOND) {
		n->now_us += 2000;
		tick(n);
	}
	int answered = 0, failed = 0, no_ack = 0;
	for (int i = 0; i < 2 * EXCHANGES; i++) {
		struct exchange *x = &n->x[i];
		if (x->finals + x->failures != 1 || x->requests > 1 || (x->finals && x->requests != 1))
			fail_msg("seed %llu exchange %d: requests %d finals %d failures %d", (unsigned long long)seed, i,
				 x->requests, x->finals, x->failures);
		if (x->requests == 0)
			assert_int_equal(x->failures, 1);
		answered += x->finals;
		failed += x->failures;
		no_ack += x->server_failures;
	}
	for (int w = 0; w < 2; w++) {
		assert_int_equal(txn_counts(n->side[w].l).live, 0);
		assert_int_equal(n->side[w].wheel.count, 0);
		assert_int_equal(n->side[w].slab.used_bytes, 0);
	}
	struct txn_counts c = txn_counts(n->side[0].l), sc = txn_counts(n->side[1].l);
	print_message("loss %u%%: answered %d failed %d no-ack %d; retransmitted %llu+%llu absorbed %llu+%llu strays %llu\n",
		      loss_percent, answered, failed, no_ack, (unsigned long long)c.retransmits_sent,
		      (unsigned long long)sc.retransmits_sent, (unsigned long long)c.retransmits_absorbed,
		      (unsigned long long)sc.retransmits_absorbed, (unsigned long long)c.strays);
	/* Whoever was to be answered was: 7 to 11 copies do not all get lost at these rates in these seeds. */
	for (int i = 0; i < 2 * EXCHANGES; i++)
		if (n->x[i].plan < 2 && !n->x[i].finals)
			fail_msg("exchange %d was lost", i);
	assert_true(answered > EXCHANGES);
	if (loss_percent)
		assert_true(c.retransmits_sent > 0 && sc.retransmits_absorbed > 0);
	for (int w = 0; w < 2; w++) {
		txn_layer_free(n->side[w].l);
		slab_destroy(&n->side[w].slab);
	}
	free(n->p);
	free(n);
}

static void no_loss(void **state)
{
	(void)state;
	run(1, 0, false);
}

static void loss_of_5_percent(void **state)
{
	(void)state;
	run(2, 5, false);
}

static void loss_of_20_percent(void **state)
{
	(void)state;
	run(3, 20, false);
}

static void stream(void **state)
{
	(void)state;
	run(4, 0, true);
}

static const struct test_case cases[] = {
	CASE(no_loss, "R16"), CASE(loss_of_5_percent, "R16"), CASE(loss_of_20_percent, "R16"), CASE(stream, "R16"),
};
TEST_MAIN("sip/txn/net", cases)

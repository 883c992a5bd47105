/* Bytes as a run: each step is a byte of what to do and what it needs. Messages are the input's own bytes or drawn from
 * a few that fit what was sent, so that all states are reached. */
#include "sip/txn/txn.h"

#include "base/assert.h"
#include "base/rng.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IDS = 8 };
struct run {
	struct txn_layer *l;
	struct slab slab;
	struct wheel wheel;
	struct rng rng;
	int64_t now_us;
	txn_id id[IDS];
	unsigned n_ids, depth;
	struct span in;
};

static uint8_t take(struct run *r)
{
	if (!r->in.n)
		return 0;
	uint8_t c = (uint8_t)r->in.p[0];
	r->in = span_sub(r->in, 1, r->in.n);
	return c;
}

static struct sip_flow flow_of(uint8_t c)
{
	return (struct sip_flow){
		.transport = c & 1 ? SIP_TCP : SIP_UDP, .conn = c & 1,
		.remote = {.ip = {192, 0, 2, 9}, .port = 5060, .family = 4},
		.local = {.ip = {192, 0, 2, 1}, .port = 5060, .family = 4},
	};
}

static void act(struct run *r);

static void again(struct run *r)
{
	if (r->depth++ < 3 && r->in.n)
		act(r);
	r->depth--;
}

static void on_request(void *ctx, txn_id id, const struct sip_msg *m, const struct sip_flow *f)
{
	struct run *r = ctx;
	(void)f;
	INVARIANT(m->method != SIP_ACK);
	r->id[r->n_ids++ % IDS] = id;
	again(r);
}

static void on_cancel(void *ctx, txn_id id, const struct sip_msg *m)
{
	(void)id, (void)m;
	again(ctx);
}

static void on_ack(void *ctx, const struct sip_msg *m, const struct sip_flow *f)
{
	(void)m, (void)f;
	again(ctx);
}

static void on_response(void *ctx, txn_id id, uint64_t owner, const struct sip_msg *m, const struct sip_flow *f)
{
	(void)id, (void)m, (void)f;
	INVARIANT(owner == 1);
	again(ctx);
}

static void on_failure(void *ctx, txn_id id, uint64_t owner, enum txn_failure why)
{
	struct run *r = ctx;
	(void)owner, (void)why;
	struct sip_msg m;
	struct sip_flow f;
	INVARIANT(txn_request_of(r->l, id, &m, &f) == -1);
	again(r);
}

/* What leaves must be a message. */
static void on_send(void *ctx, const struct sip_flow *to, struct span bytes)
{
	struct sip_msg m;
	struct sip_error err;
	(void)ctx, (void)to;
	INVARIANT(sip_parse(&m, bytes, &err) == 0);
}

static void receive(struct run *r, struct span bytes, uint8_t c)
{
	struct sip_msg m;
	struct sip_error err;
	struct sip_flow f = flow_of(c);
	if (bytes.n && sip_parse(&m, bytes, &err) == 0)
		txn_recv(r->l, &m, &f, r->now_us);
}

static const char *const methods[] = {"INVITE", "BYE", "CANCEL", "ACK"};

static struct span request(char *buf, size_t cap, uint8_t c)
{
	int n = snprintf(buf, cap,
		"%s sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=%s%u\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\n"
		"Call-ID: c\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		methods[c & 3], c & 16 ? "old" : "z9hG4bK", c >> 2 & 3u, methods[c & 3]);
	return span_mem(buf, (size_t)n);
}

static void respond(struct run *r, uint8_t c)
{
	static const unsigned status[] = {100, 180, 200, 200, 404, 487, 202, 503};
	char buf[512];
	int n = snprintf(buf, sizeof buf,
		"SIP/2.0 %u X\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK%u\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>;tag=t%u\r\n"
		"Call-ID: c\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n",
		status[c & 7], c >> 3 & 3u, c >> 5 & 1u, methods[(c >> 6) % 3]);
	receive(r, span_mem(buf, (size_t)n), c);
}

static void reply(struct run *r, txn_id id, uint8_t c)
{
	static const uint16_t status[] = {100, 180, 200, 202, 302, 404, 487, 603};
	struct sip_msg m;
	struct sip_flow f;
	char buf[4096];
	struct sip_build b = {TEXT_ARRAY(buf)};
	if (txn_request_of(r->l, id, &m, &f) != 0)
		return;
	sip_reply_begin(&b, &m, &f, status[c & 7], NULL, SPAN_LIT("us"));
	if (!sip_finish(&b, NULL, SPAN_NONE))
		return;
	if (c & 128)
		txn_reply_stateless(r->l, id, text_span(&b.t));
	else
		(void)txn_reply(r->l, id, 2, status[c & 7], text_span(&b.t), r->now_us);
}

static void pass_time(struct run *r, uint8_t c)
{
	if (r->depth)
		return; /* time does not move within a turn */
	r->now_us += (int64_t)1000 << (c % 17);
	for (struct timer *t; (t = wheel_pop(&r->wheel, r->now_us));)
		txn_timer(r->l, t, r->now_us);
}

static void act(struct run *r)
{
	char buf[512];
	uint8_t what = take(r), c = take(r);
	struct sip_flow f = flow_of(c >> 7);
	txn_id id = r->id[c % IDS];
	switch (what % 12) {
	case 0: receive(r, request(buf, sizeof buf, c), c >> 7); break;
	case 1: respond(r, c); break;
	case 2:
		if (txn_send(r->l, request(buf, sizeof buf, c & 0xed), &f, 1, r->now_us, &id) == 0)
			r->id[r->n_ids++ % IDS] = id;
		break;
	case 3: reply(r, id, take(r)); break;
	case 4: pass_time(r, c); break;
	case 5: txn_cancel(r->l, id, r->now_us); break;
	case 6: txn_orphan(r->l, id); break;
	case 7: txn_acked(r->l, id); break;
	case 8: txn_ack(r->l, id, c & 8 ? SPAN_LIT("t0") : SPAN_LIT("t1"), request(buf, sizeof buf, 3), &f, r->now_us); break;
	case 9: txn_flow_failed(r->l, &f, r->now_us); break;
	case 10: txn_set_owner(r->l, id, 1); break;
	case 11: {
		size_t n = (size_t)c * 8 < r->in.n ? (size_t)c * 8 : r->in.n;
		struct span m = span_sub(r->in, 0, n);
		r->in = span_sub(r->in, n, r->in.n);
		receive(r, m, c);
		break;
	}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = {.in = span_mem(data, size), .rng = rng_seed(1, 2)};
	const struct txn_user user = {&r, on_request, on_cancel, on_ack, on_response, on_failure, on_send};
	const struct txn_limits lim = {16, 6000};
	if (size > 4096)
		return 0;
	slab_init(&r.slab, 0);
	wheel_init(&r.wheel, 0);
	r.l = txn_layer_new(&user, &lim, &txn_times_default, (struct hash_key){1, 2}, &r.slab, &r.wheel);
	INVARIANT(r.l);
	while (r.in.n)
		act(&r);
	/* Whatever was done, nothing may be left behind. */
	for (unsigned i = 0; i < IDS; i++)
		txn_orphan(r.l, r.id[i]);
	txn_layer_free(r.l);
	INVARIANT(r.slab.used_bytes == 0 && r.wheel.count == 0);
	slab_destroy(&r.slab);
	return 0;
}

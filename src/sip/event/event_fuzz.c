/* Bytes as a run of the notifier: SUBSCRIBEs of the input's own making or well-formed ones, refreshes, changes, answers of all
 * kinds, time, lost connections, restarts from the rows it wrote. After each step the tables are whole, CSeq of each dialog
 * only grows, and the store holds no number lower than one that was used. */
#include "sip/event/event.h"

#include "base/assert.h"
#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SUBS = 64, SENT = 16 };

struct run {
	struct event_server *es;
	struct txn_layer *txn;
	struct slab slab;
	struct wheel wheel;
	struct rng rng;
	int64_t now_us;
	struct span in;
	struct subscription_row row[SUBS]; /* the store */
	char tag[SUBS][20];
	uint32_t cseq[SUBS];
	uint32_t n_tags;
	char sent[SENT][2048];
	size_t sent_n[SENT];
	uint32_t n_sent, unique;
	char out[65536];
	txn_id asked;
	struct sip_msg req;
};

static const char *const types[] = {"text/plain", "application/x", NULL};
static const struct event_package package = {"fuzz", types, 5, 60, 7200, true};

static uint8_t take(struct run *r)
{
	if (!r->in.n)
		return 0;
	uint8_t c = (uint8_t)r->in.p[0];
	r->in = span_sub(r->in, 1, r->in.n);
	return c;
}

static uint32_t place_of(struct run *r, struct span tag)
{
	for (uint32_t i = 0; i < r->n_tags && i < SUBS; i++)
		if (span_eqz(tag, r->tag[i]))
			return i;
	uint32_t i = r->n_tags < SUBS ? r->n_tags++ : SUBS - 1;
	(void)span_copyz(tag, r->tag[i], sizeof r->tag[i]);
	r->cseq[i] = 0;
	r->row[i].local_tag[0] = 0;
	return i;
}

static void on_send(void *ctx, const struct sip_flow *to, struct span bytes)
{
	struct run *r = ctx;
	struct sip_msg m;
	struct sip_error err;
	(void)to;
	INVARIANT(sip_parse(&m, bytes, &err) == 0); /* whatever came in, what goes out is well-formed */
	if (!m.is_request)
		return;
	INVARIANT(m.method == SIP_NOTIFY && sip_hdr(&m, SIP_H_SUBSCRIPTION_STATE) && sip_hdr(&m, SIP_H_EVENT));
	uint32_t i = place_of(r, m.from.tag);
	INVARIANT(i == SUBS - 1 || m.cseq >= r->cseq[i]);
	r->cseq[i] = m.cseq;
	if (bytes.n > sizeof r->sent[0])
		return;
	memcpy(r->sent[r->n_sent % SENT], bytes.p, bytes.n);
	r->sent_n[r->n_sent++ % SENT] = bytes.n;
}

static void on_request(void *ctx, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	struct run *r = ctx;
	handle h = event_find(r->es, req);
	uint8_t how = take(r);
	char tag[20];
	snprintf(tag, sizeof tag, "ours%u", ++r->unique);
	struct event_request q = {.id = id, .req = req, .from = from, .package = &package, .resource = span_sub(req->ruri.user, 0, 63),
				  .subscriber = SPAN_LIT("201"), .device_id = 1 + how % 3, .state = how & 8 ? EVENT_PENDING : EVENT_ACTIVE};
	struct event_implicit i = {.refer = req, .from = from, .local_tag = span_z(tag), .subscriber = SPAN_LIT("201"), .device_id = 1,
				   .expires_s = 60, .with_id = how & 1};
	if (h)
		event_refresh(r->es, h, id, req, from, r->now_us);
	else if (req->method == SIP_REFER && !req->to.tag.n)
		event_implicit_notify(r->es, event_implicit_new(r->es, &i, r->now_us), SPAN_LIT("SIP/2.0 100 Trying"), how & 2, r->now_us);
	else if (!req->to.tag.n)
		(void)event_subscribe(r->es, &q, r->now_us);
}

static void on_response(void *ctx, txn_id id, uint64_t owner, const struct sip_msg *resp, const struct sip_flow *from)
{
	struct run *r = ctx;
	(void)id;
	(void)from;
	event_response(r->es, owner, resp, resp->status, r->now_us);
}

static void on_failure(void *ctx, txn_id id, uint64_t owner, enum txn_failure why)
{
	struct run *r = ctx;
	(void)id;
	event_response(r->es, owner, NULL, why == TXN_TRANSPORT ? 503 : 408, r->now_us);
}

static void on_cancel(void *ctx, txn_id id, const struct sip_msg *m)
{
	(void)ctx, (void)id, (void)m;
}

static void on_ack(void *ctx, const struct sip_msg *m, const struct sip_flow *from)
{
	(void)ctx, (void)m, (void)from;
}

static void on_contact(void *ctx, struct sip_build *b, struct span user, const struct sip_flow *flow)
{
	(void)ctx, (void)user, (void)flow;
	sip_put_z(b, SIP_H_CONTACT, "<sip:us@192.0.2.1>");
}

static void on_product(void *ctx, struct sip_build *b, enum sip_hdr_id id)
{
	(void)ctx;
	sip_put_z(b, id, "fuzz");
}

static int on_render(void *ctx, const struct event_ask *ask, struct event_body *out)
{
	struct run *r = ctx;
	uint8_t c = take(r);
	if (c == 255)
		return -1;
	text_fmt(&out->text, "%u %d\r\n", ask->version, ask->full);
	for (int i = 0; i < c * 16 && ask->full; i++)
		text_putc(&out->text, 'x');
	out->seen = 1 + c;
	return 0;
}

static void on_store(void *ctx, const struct subscription_row *row, bool gone)
{
	struct run *r = ctx;
	uint32_t i = place_of(r, span_z(row->local_tag));
	INVARIANT(gone || i == SUBS - 1 || row->cseq > r->cseq[i]);
	if (gone)
		r->row[i].local_tag[0] = 0;
	else
		r->row[i] = *row;
}

static void on_log(void *ctx, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	(void)ctx, (void)level, (void)event, (void)f, (void)n;
}

static uint32_t on_next_cseq(void *ctx, uint64_t owner)
{
	(void)ctx, (void)owner;
	return 0;
}

static void servers(struct run *r)
{
	const struct txn_user tu = {r, on_request, on_cancel, on_ack, on_response, on_failure, on_send};
	const struct txn_limits tl = {64, 1u << 20};
	const struct event_user eu = {r, on_contact, on_product, on_render, on_store, on_log, on_next_cseq};
	const struct event_limits el = {32, 16, 100, 8};
	slab_init(&r->slab, 0);
	wheel_init(&r->wheel, r->now_us);
	r->txn = txn_layer_new(&tu, &tl, &txn_times_default, (struct hash_key){1, 2}, &r->slab, &r->wheel);
	r->es = event_server_new(&eu, &el, (struct hash_key){3, 4}, &r->slab, &r->wheel, &r->rng, r->txn, text_on(r->out, sizeof r->out));
	INVARIANT(r->txn && r->es);
	event_wall(r->es, INT64_C(1700000000) * 1000000);
}

static void stop(struct run *r)
{
	txn_layer_free(r->txn);
	event_server_free(r->es);
	slab_destroy(&r->slab);
}

static void receive(struct run *r, struct span bytes, uint8_t how)
{
	struct sip_flow from = {.transport = how & 1 ? SIP_TCP : SIP_UDP, .conn = how & 1u ? 1u + (how & 2u) : 0,
				.remote = {.ip = {192, 0, 2, 9}, .port = 5060, .family = 4}, .local = {.ip = {192, 0, 2, 1}, .port = 5060, .family = 4}};
	struct sip_error err = {0};
	if (sip_parse(&r->req, bytes, &err) == 0)
		txn_recv(r->txn, &r->req, &from, r->now_us);
}

/* A SUBSCRIBE that fits, new or in the dialog of the NOTIFY sent last. */
static void subscribe(struct run *r, uint8_t how)
{
	char buf[1024];
	struct text t = TEXT_ARRAY(buf);
	struct sip_msg m;
	struct sip_error err;
	uint32_t k = ++r->unique, at = (r->n_sent + SENT - 1) % SENT;
	static const uint32_t expires[] = {0, 1, 60, 600, 4000000};
	bool inside = how & 1 && r->n_sent && sip_parse(&m, (struct span){r->sent[at], r->sent_n[at]}, &err) == 0;
	text_fmt(&t, "%s sip:desk%u@x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK%u\r\n", how & 128 ? "REFER" : "SUBSCRIBE", how & 6u, k);
	if (inside)
		text_fmt(&t, "From: " SPAN_FMT "\r\nTo: " SPAN_FMT "\r\nCall-ID: " SPAN_FMT "\r\n", SPAN_ARG(m.to.value), SPAN_ARG(m.from.value), SPAN_ARG(m.call_id));
	else
		text_fmt(&t, "From: <sip:a@x>;tag=f%u\r\nTo: <sip:b@x>\r\nCall-ID: c%u\r\n", k, k);
	text_fmt(&t, "CSeq: %u %s\r\nMax-Forwards: 70\r\nContact: <sip:a@192.0.2.9%s>\r\nEvent: fuzz%s\r\nExpires: %u\r\n%sContent-Length: 0\r\n\r\n", k,
		 how & 128 ? "REFER" : "SUBSCRIBE", how & 8 ? ";transport=tcp" : "", how & 16 ? ";id=7" : "", expires[how % 5u],
		 how & 32 ? "Accept: application/*\r\n" : "");
	receive(r, text_span(&t), (uint8_t)(how >> 5));
}

static void answer(struct run *r, uint8_t how)
{
	static const uint16_t status[] = {200, 200, 202, 404, 481, 500, 503, 401};
	char buf[4096];
	struct sip_build b = {TEXT_ARRAY(buf)};
	struct sip_msg m;
	struct sip_error err;
	struct sip_flow f = {.remote = {.ip = {192, 0, 2, 1}, .port = 5060, .family = 4}};
	uint32_t at = (r->n_sent + SENT - 1 - (how >> 6)) % SENT;
	if (r->n_sent <= (uint32_t)(how >> 6) || sip_parse(&m, (struct span){r->sent[at], r->sent_n[at]}, &err) != 0)
		return;
	sip_reply_begin(&b, &m, &f, status[how & 7], NULL, SPAN_NONE);
	if (how & 8)
		sip_put_z(&b, SIP_H_RETRY_AFTER, how & 16 ? "7 (busy);duration=9" : "zz");
	if (sip_finish(&b, "", SPAN_NONE))
		receive(r, text_span(&b.t), how & 32 ? 1 : 0);
}

static void pass_time(struct run *r, int64_t us)
{
	r->now_us += us;
	for (struct timer *t; (t = wheel_pop(&r->wheel, r->now_us));) {
		if (t->kind >= EVENT_TIMER)
			event_timer(r->es, t, r->now_us);
		else
			txn_timer(r->txn, t, r->now_us);
	}
}

static void restart(struct run *r)
{
	stop(r);
	servers(r);
	for (uint32_t i = 0; i < SUBS; i++)
		if (r->row[i].local_tag[0] && event_restore(r->es, &r->row[i], &package, r->now_us) != 0)
			r->row[i].local_tag[0] = 0;
}

static bool device_two(void *ctx, const struct event_party *p)
{
	(void)ctx;
	return p->device_id == 2;
}

static void act(struct run *r)
{
	uint8_t op = take(r), how = take(r);
	char name[8] = "desk0";
	struct sip_flow tcp = {.transport = SIP_TCP, .conn = 5, .remote = {.ip = {192, 0, 2, 9}, .port = 5060, .family = 4}};
	name[4] = (char)('0' + (how & 6));
	switch (op % 10) {
	case 0: case 1: subscribe(r, how); break;
	case 2: case 3: answer(r, how); break;
	case 4: (void)event_changed(r->es, &package, span_z(name), r->now_us); break;
	case 5: pass_time(r, (int64_t)how * how * 20000); break;
	case 6: pass_time(r, how * 100); break;
	case 7:
		if (how < 32)
			restart(r);
		else if (how < 64)
			event_end_devices(r->es, device_two, NULL, "rejected", r->now_us);
		else
			event_peer_flow(r->es, 1 + how % 3u, NULL, &tcp, r->now_us);
		break;
	case 8: {
		struct sip_flow gone = tcp;
		gone.conn = 1u + (how & 2u);
		txn_flow_failed(r->txn, &gone, r->now_us);
		break;
	}
	case 9: {
		size_t n = r->in.n < how ? r->in.n : how;
		char *copy = malloc(n + 1);
		if (copy) {
			memcpy(copy, r->in.p ? r->in.p : "", n);
			r->in = span_sub(r->in, n, r->in.n);
			receive(r, (struct span){copy, n}, 0);
		}
		free(copy);
		break;
	}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run *r = calloc(1, sizeof *r);
	if (!r)
		return 0;
	r->now_us = 1000000;
	r->rng = rng_seed(5, 6);
	r->in = span_mem(data, size);
	servers(r);
	for (int i = 0; i < 2000 && r->in.n; i++) {
		act(r);
		event_pump(r->es, r->now_us);
		const char *bad = event_check(r->es);
		if (bad)
			fprintf(stderr, "%s\n", bad);
		INVARIANT(!bad);
	}
	stop(r);
	free(r);
	return 0;
}

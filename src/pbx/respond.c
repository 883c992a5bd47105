#include "pbx/cell_internal.h"

struct span stray_tag(const struct cell *c, const struct sip_msg *req, char buf[20])
{
	char key[1024];
	struct text k = TEXT_ARRAY(key);
	text_put(&k, span_sub(req->call_id, 0, 300));
	text_putc(&k, ' ');
	text_put(&k, span_sub(req->from.tag, 0, 300));
	text_putc(&k, ' ');
	text_put(&k, span_sub(req->via.branch, 0, 300));
	struct text t = text_on(buf, 20);
	text_hex64(&t, siphash(&c->o.seed, key, k.n), 16);
	text_end(&t);
	return text_span(&t);
}

struct sip_build *reply_begin(struct cell *c, const struct sip_msg *req, const struct sip_flow *from, uint16_t status, struct span tag)
{
	c->b.t = text_on(c->out, sizeof c->out);
	sip_reply_begin(&c->b, req, from, status, NULL, tag);
	put_server(c, SIP_H_SERVER);
	return &c->b;
}

void reply_send(struct cell *c, txn_id id, uint64_t owner, uint16_t status, const char *type, struct span body)
{
	if (!sip_finish(&c->b, type, body)) {
		cell_log(c, LOG_WARN, "sip.too_large", LOG_I("status", status));
		return;
	}
	(void)txn_reply(c->txn, id, owner, status, text_span(&c->b.t), c->now_us);
}

void reply_forget(struct cell *c, txn_id id)
{
	if (sip_finish(&c->b, "", SPAN_NONE))
		txn_reply_stateless(c->txn, id, text_span(&c->b.t));
}

void reply_plain(struct cell *c, txn_id id, uint64_t owner, const struct sip_msg *req, const struct sip_flow *from, uint16_t status,
		 struct span tag)
{
	char buf[20];
	reply_begin(c, req, from, status, tag.n || status == 100 ? tag : stray_tag(c, req, buf));
	reply_send(c, id, owner, status, "", SPAN_NONE);
}

void reply_retry(struct cell *c, txn_id id, const struct leg *l, const struct sip_msg *req, const struct sip_flow *from, uint16_t status)
{
	reply_begin(c, req, from, status, span_z(l->tag));
	if (status == 500)
		sip_put_u(&c->b, SIP_H_RETRY_AFTER, rng_below(&c->rng, 10));
	reply_send(c, id, l->h, status, "", SPAN_NONE);
}

/* Answers a request that had to wait. */
void reply_stored(struct cell *c, txn_id id, const struct leg *l, uint16_t status)
{
	struct sip_msg req;
	struct sip_flow from;
	if (id && txn_request_of(c->txn, id, &req, &from) == 0)
		reply_plain(c, id, l->h, &req, &from, status, span_z(l->tag));
}

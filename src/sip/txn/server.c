#include "sip/txn/layer.h"

#include "base/assert.h"

/* RFC 3261 17.2.1: a 100 is due 200 ms after the INVITE unless the user has answered. */
enum { TRYING_AFTER_US = 200000 };

/* RFC 3261 18.2.2: without rport the reply goes to the port in Via. That is believed only of one whose Via names the
 * address it sends from: behind a NAT that port is not the one that is open (RFC 3581 for those who forgot to ask). */
static uint16_t reply_port_of(const struct sip_msg *m, const struct sip_flow *from)
{
	struct addr said;
	uint16_t port = m->via.port ? m->via.port : 5060;
	if (sip_transport_reliable(from->transport) || m->via.has_rport)
		return from->remote.port;
	if (addr_parse(m->via.host, port, &said) != 0 || !addr_same_ip(&said, &from->remote))
		return from->remote.port;
	return port;
}

static void send_reply(struct txn_layer *l, const struct txn *t, struct span bytes)
{
	struct sip_flow to = t->flow;
	to.remote.port = t->reply_port;
	txn_put(l, &to, bytes);
}

static void resend(struct txn_layer *l, const struct txn *t)
{
	if (!t->resp.p)
		return;
	l->counts.retransmits_sent++;
	send_reply(l, t, txn_span(&t->resp));
}

/* A tag for replies of the layer's own: the same for each retransmission. */
static struct span own_tag(const struct txn_key *k, char buf[16])
{
	struct text t = text_on(buf, 16);
	text_hex64(&t, k->h[0], 16);
	return text_span(&t);
}

static struct span own_reply(struct sip_build *b, char *buf, const struct sip_msg *m, const struct sip_flow *from,
			     uint16_t status, struct span tag)
{
	b->t = text_on(buf, TXN_SCRATCH);
	sip_reply_begin(b, m, from, status, NULL, tag);
	if (status == 503)
		sip_put_z(b, SIP_H_RETRY_AFTER, "5");
	return sip_finish(b, NULL, SPAN_NONE) ? text_span(&b->t) : SPAN_NONE;
}

static void reply_without_state(struct txn_layer *l, const struct sip_msg *m, const struct sip_flow *from, uint16_t status,
				struct span tag)
{
	char buf[TXN_SCRATCH];
	struct sip_build b;
	struct span bytes = own_reply(&b, buf, m, from, status, tag);
	struct sip_flow to = *from;
	to.remote.port = reply_port_of(m, from);
	if (bytes.n)
		txn_put(l, &to, bytes);
}

static void retransmitted(struct txn_layer *l, const struct txn *t)
{
	l->counts.retransmits_absorbed++;
	switch ((enum txn_state)t->state) {
	case TXN_PROCEEDING:
	case TXN_COMPLETED:
		resend(l, t);
		break;
	case TXN_TRYING:
	case TXN_CONFIRMED:
	case TXN_ACCEPTED: /* the 2xx has a clock of its own (RFC 6026 7.1) */
		break;
	}
}

void txn_server_request(struct txn_layer *l, const struct sip_msg *m, const struct sip_flow *from, int64_t now_us)
{
	bool invite = m->method == SIP_INVITE;
	struct txn_key k = txn_server_key(l, m, false);
	struct txn *t = txn_find(l, &k);
	if (t) {
		retransmitted(l, t);
		return;
	}
	t = txn_new(l, invite ? TXN_SERVER_INVITE : TXN_SERVER_OTHER, &k);
	if (!t || !txn_store(l, &t->req, m->raw)) {
		char tag[16];
		if (t)
			txn_end(l, t);
		if (m->method == SIP_BYE && m->to.tag.n) { /* who says good-bye has gone, whatever we answer */
			l->user.on_request(l->user.ctx, 0, m, from);
			return;
		}
		reply_without_state(l, m, from, 503, own_tag(&k, tag));
		return;
	}
	t->flow = *from;
	t->reply_port = reply_port_of(m, from);
	if (invite) {
		t->state = TXN_PROCEEDING;
		wheel_set(l->wheel, &t->again, now_us + TRYING_AFTER_US);
	} else {
		/* The client gives up then (timer F), and RFC 4320 forbids a 408: an answer would be of no use. */
		wheel_set(l->wheel, &t->life, now_us + 64 * l->times.t1_us);
	}
	l->user.on_request(l->user.ctx, pool_handle(&l->pool, t), m, from);
}

void txn_server_ack(struct txn_layer *l, const struct sip_msg *m, const struct sip_flow *from, int64_t now_us)
{
	struct txn_key k = txn_server_key(l, m, true);
	struct txn *t = txn_find(l, &k);
	/* In Accepted: by one that takes the INVITE's branch for the ACK of a 2xx too. It belongs to the dialog all the same. */
	if (!t || t->state == TXN_ACCEPTED) {
		l->user.on_ack(l->user.ctx, m, from);
		return;
	}
	if (t->state == TXN_CONFIRMED) {
		l->counts.retransmits_absorbed++;
	} else if (t->state == TXN_COMPLETED) {
		wheel_cancel(l->wheel, &t->again);
		txn_drop(l, &t->req);
		txn_drop(l, &t->resp);
		t->state = TXN_CONFIRMED;
		if (txn_reliable(t))
			txn_end(l, t);
		else
			wheel_set(l->wheel, &t->life, now_us + l->times.t4_us);
	} else {
		l->counts.strays++;
	}
}

/* RFC 3261 9.2: the To tag of the 200 should be the one of the INVITE's answers. */
static struct span tag_for_cancel(const struct txn *t, struct sip_msg *scratch, char buf[16])
{
	struct sip_error err;
	if (t->resp.p && sip_parse(scratch, txn_span(&t->resp), &err) == 0 && scratch->to.tag.n)
		return scratch->to.tag;
	return own_tag(&t->key, buf);
}

/* A CANCEL gets no transaction of its own: a retransmitted one finds the INVITE again and gets the same answer. */
void txn_server_cancel(struct txn_layer *l, const struct sip_msg *m, const struct sip_flow *from)
{
	char buf[16];
	struct sip_msg scratch;
	struct txn_key k = txn_server_key(l, m, true);
	struct txn *t = txn_find(l, &k);
	if (!t) {
		reply_without_state(l, m, from, 481, own_tag(&k, buf));
		return;
	}
	reply_without_state(l, m, from, 200, tag_for_cancel(t, &scratch, buf));
	if (t->state != TXN_PROCEEDING || t->cancelled) {
		l->counts.retransmits_absorbed += t->cancelled;
		return;
	}
	t->cancelled = true;
	if (!t->orphan)
		l->user.on_cancel(l->user.ctx, pool_handle(&l->pool, t), m);
}

static void accept_invite(struct txn_layer *l, struct txn *t, struct span bytes, int64_t now_us)
{
	t->state = TXN_ACCEPTED;
	(void)txn_store(l, &t->resp, bytes); /* without room: sent once, and the ACK may still come */
	t->interval_us = l->times.t1_us;
	/* Over TCP too: between the peers there may be a hop that loses it (RFC 3261 13.3.1.4). */
	wheel_set(l->wheel, &t->again, now_us + t->interval_us);
	wheel_set(l->wheel, &t->life, now_us + 64 * l->times.t1_us);
}

static void refuse_invite(struct txn_layer *l, struct txn *t, struct span bytes, int64_t now_us)
{
	t->state = TXN_COMPLETED;
	txn_drop(l, &t->resp);
	wheel_cancel(l->wheel, &t->again);
	if (!txn_reliable(t)) {
		(void)txn_store(l, &t->resp, bytes);
		t->interval_us = l->times.t1_us;
		wheel_set(l->wheel, &t->again, now_us + t->interval_us);
	}
	wheel_set(l->wheel, &t->life, now_us + 64 * l->times.t1_us);
}

/* Sends; t may be gone afterwards. */
static void reply(struct txn_layer *l, struct txn *t, uint16_t status, struct span bytes, int64_t now_us)
{
	send_reply(l, t, bytes);
	bool invite = t->type == TXN_SERVER_INVITE;
	if (status < 200) {
		t->state = TXN_PROCEEDING;
		if (invite)
			wheel_cancel(l->wheel, &t->again);
		/* Over TCP it is kept for its To tag. */
		if (invite || !txn_reliable(t))
			(void)txn_store(l, &t->resp, bytes);
	} else if (invite && status < 300) {
		accept_invite(l, t, bytes, now_us);
	} else if (invite) {
		refuse_invite(l, t, bytes, now_us);
	} else if (txn_reliable(t)) {
		txn_end(l, t);
	} else {
		t->state = TXN_COMPLETED;
		txn_drop(l, &t->req);
		(void)txn_store(l, &t->resp, bytes);
		wheel_set(l->wheel, &t->life, now_us + 64 * l->times.t1_us);
	}
}

static bool is_answered(const struct txn *t)
{
	return t->state != TXN_TRYING && t->state != TXN_PROCEEDING;
}

int txn_reply(struct txn_layer *l, txn_id id, uint64_t owner, uint16_t status, struct span bytes, int64_t now_us)
{
	struct txn *t = txn_get(l, id);
	if (!t || txn_is_client(t) || t->orphan)
		return -1;
	if (is_answered(t))
		return 0;
	t->owner = owner;
	reply(l, t, status, bytes, now_us);
	return 0;
}

void txn_reply_stateless(struct txn_layer *l, txn_id id, struct span bytes)
{
	struct txn *t = txn_get(l, id);
	if (!t || txn_is_client(t) || is_answered(t))
		return;
	send_reply(l, t, bytes);
	txn_end(l, t);
}

void txn_acked(struct txn_layer *l, txn_id id)
{
	struct txn *t = txn_get(l, id);
	if (!t || t->type != TXN_SERVER_INVITE || t->state != TXN_ACCEPTED)
		return;
	/* What stays until timer L only absorbs late copies of the INVITE. */
	t->acked = true;
	wheel_cancel(l->wheel, &t->again);
	txn_drop(l, &t->req);
	txn_drop(l, &t->resp);
}

/* A reply that the layer writes from the stored request. */
static void reply_own(struct txn_layer *l, struct txn *t, uint16_t status, int64_t now_us)
{
	char buf[TXN_SCRATCH], tag[16];
	struct sip_msg m, scratch;
	struct sip_error err;
	struct sip_build b;
	if (!t->req.p || sip_parse(&m, txn_span(&t->req), &err) != 0) {
		txn_end(l, t);
		return;
	}
	struct span to_tag = status == 100 ? SPAN_NONE : tag_for_cancel(t, &scratch, tag);
	struct span bytes = own_reply(&b, buf, &m, &t->flow, status, to_tag);
	if (bytes.n)
		reply(l, t, status, bytes, now_us);
	else if (status >= 200)
		txn_end(l, t);
}

void txn_server_again(struct txn_layer *l, struct txn *t, int64_t now_us)
{
	if (t->state == TXN_PROCEEDING) {
		reply_own(l, t, 100, now_us);
		return;
	}
	resend(l, t);
	t->interval_us = 2 * t->interval_us < l->times.t2_us ? 2 * t->interval_us : l->times.t2_us;
	wheel_set(l->wheel, &t->again, now_us + t->interval_us);
}

void txn_server_life(struct txn_layer *l, struct txn *t)
{
	txn_id id = pool_handle(&l->pool, t);
	uint64_t owner = t->owner;
	bool no_ack = t->state == TXN_ACCEPTED && !t->acked;
	bool tell = no_ack && !t->orphan;
	if (no_ack || t->state == TXN_TRYING || t->state == TXN_PROCEEDING ||
	    (t->state == TXN_COMPLETED && t->type == TXN_SERVER_INVITE))
		l->counts.timeouts++;
	txn_end(l, t);
	if (tell)
		l->user.on_failure(l->user.ctx, id, owner, TXN_NO_ACK);
}

/* Nobody is left to answer: the layer does, so that the client does not wait for ever. */
void txn_server_orphan(struct txn_layer *l, struct txn *t, int64_t now_us)
{
	if (!is_answered(t))
		reply_own(l, t, 500, now_us);
	else if (t->state == TXN_ACCEPTED)
		txn_acked(l, pool_handle(&l->pool, t));
}

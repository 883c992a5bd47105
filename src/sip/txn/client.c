#include "sip/txn/layer.h"

#include "base/assert.h"

static struct txn *start(struct txn_layer *l, struct span bytes, const struct sip_flow *to, int64_t now_us)
{
	struct span method, branch;
	if (!txn_sent_head(bytes, &method, &branch) || span_eqz(method, "ACK"))
		return NULL;
	bool invite = span_eqz(method, "INVITE");
	struct txn_key k = txn_client_key(l, branch, method);
	struct txn *t = txn_new(l, invite ? TXN_CLIENT_INVITE : TXN_CLIENT_OTHER, &k);
	if (!t)
		return NULL;
	t->flow = *to;
	bool again = !txn_reliable(t);
	/* Over TCP an INVITE is kept for its ACK and CANCEL; nothing else is asked for twice. */
	if ((invite || again) && !txn_store(l, &t->req, bytes)) {
		txn_end(l, t);
		return NULL;
	}
	t->interval_us = l->times.t1_us;
	if (again)
		wheel_set(l->wheel, &t->again, now_us + t->interval_us);
	wheel_set(l->wheel, &t->life, now_us + 64 * l->times.t1_us);
	return t;
}

int txn_send(struct txn_layer *l, struct span bytes, const struct sip_flow *to, uint64_t owner, int64_t now_us, txn_id *id)
{
	struct txn *t = start(l, bytes, to, now_us);
	if (!t)
		return -1;
	t->owner = owner;
	*id = pool_handle(&l->pool, t);
	txn_put(l, to, bytes);
	return 0;
}

static bool is_open(const struct txn *t)
{
	return t->state == TXN_TRYING || t->state == TXN_PROCEEDING;
}

static void send_cancel(struct txn_layer *l, struct txn *t, int64_t now_us)
{
	char buf[TXN_SCRATCH];
	struct sip_build b = {TEXT_ARRAY(buf)};
	t->cancel_sent = true;
	/* RFC 3261 9.1: one that never answers its INVITE after this is given up. */
	wheel_set(l->wheel, &t->life, now_us + 64 * l->times.t1_us);
	if (!sip_cancel_for(&b, txn_span(&t->req)))
		return;
	struct txn *c = start(l, text_span(&b.t), &t->flow, now_us);
	if (c)
		c->orphan = true; /* its answer is of no interest to anyone */
	txn_put(l, &t->flow, text_span(&b.t));
}

void txn_client_cancel(struct txn_layer *l, struct txn *t, int64_t now_us)
{
	if (t->type != TXN_CLIENT_INVITE || !is_open(t) || t->cancelled)
		return;
	t->cancelled = true;
	if (t->state == TXN_PROCEEDING)
		send_cancel(l, t, now_us);
}

void txn_cancel(struct txn_layer *l, txn_id id, int64_t now_us)
{
	struct txn *t = txn_get(l, id);
	if (t && txn_is_client(t))
		txn_client_cancel(l, t, now_us);
}

static void pass_up(struct txn_layer *l, const struct txn *t, const struct sip_msg *m, const struct sip_flow *from)
{
	if (!t->orphan)
		l->user.on_response(l->user.ctx, pool_handle(&l->pool, t), t->owner, m, from);
}

/* A final answer after which nothing is left to do: the place is free before the user is told. */
static void end_and_pass_up(struct txn_layer *l, struct txn *t, const struct sip_msg *m, const struct sip_flow *from)
{
	txn_id id = pool_handle(&l->pool, t);
	uint64_t owner = t->owner;
	bool orphan = t->orphan;
	txn_end(l, t);
	if (!orphan)
		l->user.on_response(l->user.ctx, id, owner, m, from);
}

static void end_and_fail(struct txn_layer *l, struct txn *t, enum txn_failure why)
{
	txn_id id = pool_handle(&l->pool, t);
	uint64_t owner = t->owner;
	bool orphan = t->orphan;
	txn_end(l, t);
	if (!orphan)
		l->user.on_failure(l->user.ctx, id, owner, why);
}

static struct txn_fork *fork_of(const struct txn *t, uint64_t tag)
{
	struct txn_fork *f = t->forks;
	while (f && f->tag != tag)
		f = f->next;
	return f;
}

static struct txn_fork *fork_add(struct txn_layer *l, struct txn *t, uint64_t tag)
{
	struct txn_fork *f = slab_alloc(l->slab, sizeof *f);
	if (!f)
		return NULL;
	*f = (struct txn_fork){.next = t->forks, .tag = tag};
	t->forks = f;
	t->n_forks++;
	return f;
}

static void accepted(struct txn_layer *l, struct txn *t, const struct sip_msg *m, const struct sip_flow *from, int64_t now_us)
{
	uint64_t tag = txn_tag_hash(l, m->to.tag);
	if (is_open(t)) {
		t->state = TXN_ACCEPTED;
		wheel_cancel(l->wheel, &t->again);
		wheel_set(l->wheel, &t->life, now_us + 64 * l->times.t1_us);
		txn_drop(l, &t->req);
	} else if (t->state != TXN_ACCEPTED) {
		l->counts.strays++; /* refused by one branch before: the caller was told so (RFC 3261 figure 5) */
		return;
	}
	struct txn_fork *f = fork_of(t, tag);
	if (f) {
		l->counts.retransmits_absorbed++;
		if (f->ack.p) {
			l->counts.retransmits_sent++;
			txn_put(l, &f->flow, txn_span(&f->ack));
		}
		return;
	}
	if (t->n_forks == TXN_MAX_FORKS) {
		l->counts.strays++;
		return;
	}
	(void)fork_add(l, t, tag); /* without room the user may see this 2xx again */
	pass_up(l, t, m, from);
}

static void refused(struct txn_layer *l, struct txn *t, const struct sip_msg *m, const struct sip_flow *from, int64_t now_us)
{
	if (!is_open(t)) {
		l->counts.retransmits_absorbed++;
		if (t->state == TXN_COMPLETED && t->resp.p) {
			l->counts.retransmits_sent++;
			txn_put(l, &t->flow, txn_span(&t->resp));
		}
		return;
	}
	char buf[TXN_SCRATCH];
	struct sip_build b = {TEXT_ARRAY(buf)};
	bool acked = sip_ack_for_error(&b, txn_span(&t->req), m);
	if (acked)
		txn_put(l, &t->flow, text_span(&b.t));
	if (txn_reliable(t)) {
		end_and_pass_up(l, t, m, from);
		return;
	}
	t->state = TXN_COMPLETED;
	wheel_cancel(l->wheel, &t->again);
	wheel_set(l->wheel, &t->life, now_us + l->times.d_us);
	txn_drop(l, &t->req);
	if (acked)
		(void)txn_store(l, &t->resp, text_span(&b.t));
	pass_up(l, t, m, from);
}

static void invite_progress(struct txn_layer *l, struct txn *t, const struct sip_msg *m, const struct sip_flow *from,
			    int64_t now_us)
{
	if (!is_open(t)) {
		l->counts.strays++;
		return;
	}
	if (t->state == TXN_TRYING) {
		t->state = TXN_PROCEEDING;
		wheel_cancel(l->wheel, &t->again);
		wheel_cancel(l->wheel, &t->life); /* how long it may ring is the user's affair */
	}
	if (t->cancelled && !t->cancel_sent)
		send_cancel(l, t, now_us);
	pass_up(l, t, m, from);
}

static void other_response(struct txn_layer *l, struct txn *t, const struct sip_msg *m, const struct sip_flow *from,
			   int64_t now_us)
{
	if (!is_open(t)) {
		l->counts.retransmits_absorbed++;
	} else if (m->status < 200) {
		t->state = TXN_PROCEEDING; /* timer E runs on; from its next firing at T2 */
		pass_up(l, t, m, from);
	} else if (txn_reliable(t)) {
		end_and_pass_up(l, t, m, from);
	} else {
		t->state = TXN_COMPLETED;
		wheel_cancel(l->wheel, &t->again);
		wheel_set(l->wheel, &t->life, now_us + l->times.t4_us);
		txn_drop(l, &t->req);
		pass_up(l, t, m, from);
	}
}

void txn_client_response(struct txn_layer *l, const struct sip_msg *m, const struct sip_flow *from, int64_t now_us)
{
	struct txn_key k = txn_client_key(l, m->via.branch, m->cseq_method_name);
	struct txn *t = txn_find(l, &k);
	if (!t)
		l->counts.strays++;
	else if (t->type == TXN_CLIENT_OTHER)
		other_response(l, t, m, from, now_us);
	else if (m->status < 200)
		invite_progress(l, t, m, from, now_us);
	else if (m->status < 300)
		accepted(l, t, m, from, now_us);
	else
		refused(l, t, m, from, now_us);
}

void txn_client_again(struct txn_layer *l, struct txn *t, int64_t now_us)
{
	t->interval_us *= 2;
	if (t->type == TXN_CLIENT_OTHER && (t->interval_us > l->times.t2_us || t->state == TXN_PROCEEDING))
		t->interval_us = l->times.t2_us;
	wheel_set(l->wheel, &t->again, now_us + t->interval_us);
	l->counts.retransmits_sent++;
	txn_put(l, &t->flow, txn_span(&t->req));
}

void txn_client_life(struct txn_layer *l, struct txn *t)
{
	if (!is_open(t)) {
		txn_end(l, t);
		return;
	}
	l->counts.timeouts++;
	end_and_fail(l, t, TXN_TIMEOUT);
}

void txn_client_broken(struct txn_layer *l, struct txn *t)
{
	if (is_open(t))
		end_and_fail(l, t, TXN_TRANSPORT);
	else if (t->state == TXN_COMPLETED)
		txn_end(l, t);
	/* Accepted stays: its ACK goes by the dialog's flow, which may be another. */
}

void txn_ack(struct txn_layer *l, txn_id id, struct span to_tag, struct span bytes, const struct sip_flow *to, int64_t now_us)
{
	(void)now_us;
	struct txn *t = txn_get(l, id);
	txn_put(l, to, bytes);
	if (!t || t->type != TXN_CLIENT_INVITE || t->state != TXN_ACCEPTED)
		return;
	uint64_t tag = txn_tag_hash(l, to_tag);
	struct txn_fork *f = fork_of(t, tag);
	if (!f && t->n_forks < TXN_MAX_FORKS)
		f = fork_add(l, t, tag);
	if (f && txn_store(l, &f->ack, bytes))
		f->flow = *to;
}

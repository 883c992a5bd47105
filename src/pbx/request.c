/* What a request is for: the checks of RFC 3261 8.2 in their order, then the method. */
#include "pbx/watch.h"

static const char *const extensions_known[] = {"outbound", "path", "100rel", "timer", "replaces", "norefersub", NULL}; /* option tags that we support */

/* Answered without state and without a look at who asks: nothing of the site is told. */
static void refuse_stranger(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, uint16_t status)
{
	char buf[20];
	reply_begin(c, req, from, status, stray_tag(c, req, buf));
	if (status == 405 || status == 501)
		sip_put_z(&c->b, SIP_H_ALLOW, cell_allow);
	reply_forget(c, id);
}

static bool require_known(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, struct span tag)
{
	struct span token;
	if (!sip_unknown_token(req, SIP_H_REQUIRE, extensions_known, &token))
		return true;
	char buf[20];
	reply_begin(c, req, from, 420, tag.n ? tag : stray_tag(c, req, buf));
	sip_head(&c->b, SIP_H_UNSUPPORTED);
	for (const struct sip_hdr *h = sip_hdr(req, SIP_H_REQUIRE); h; h = sip_hdr_next(req, h)) {
		if (h != sip_hdr(req, SIP_H_REQUIRE))
			text_lit(&c->b.t, ", ");
		text_put(&c->b.t, h->value);
	}
	sip_eol(&c->b);
	if (req->method == SIP_OPTIONS) /* may be a stranger's: nothing is kept */
		reply_forget(c, id);
	else
		reply_send(c, id, 0, 420, "", SPAN_NONE);
	return false;
}

static void options(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, struct span tag)
{
	char buf[20];
	if (!require_known(c, id, req, from, tag))
		return;
	reply_begin(c, req, from, 200, tag.n ? tag : stray_tag(c, req, buf));
	sip_put_z(&c->b, SIP_H_ALLOW, cell_allow);
	sip_put_z(&c->b, SIP_H_ACCEPT, "application/sdp");
	sip_put_z(&c->b, SIP_H_SUPPORTED, cell_supported);
	reply_forget(c, id);
}

/* The answer that every request gets whoever sends it, or 0. */
static uint16_t common_fault(const struct sip_msg *req)
{
	if (req->method == SIP_OTHER_METHOD)
		return 501;
	if (req->ruri.scheme == SIP_SCHEME_OTHER)
		return 416;
	/* A server that is the end of the request need not look at Max-Forwards; a loop through us must end, though. */
	if (req->max_forwards == 0 && (req->method == SIP_OPTIONS || req->method == SIP_INVITE))
		return 483;
	return 0;
}

/* Same device from another address: it must prove itself before it is believed. */
static bool flow_trusted(struct cell *c, txn_id id, struct leg *l, const struct sip_msg *req, const struct sip_flow *from)
{
	if (addr_same_ip(&from->remote, &l->dlg.flow.remote)) {
		if (sip_transport_reliable(from->transport))
			l->dlg.flow = *from;
		return true;
	}
	struct who who;
	if (guard_check(c, id, req, from, &who) != GUARD_OK)
		return false;
	if (!span_eqz(span_z(who.ext->row.number), l->ext)) {
		reply_plain(c, id, 0, req, from, 403, SPAN_NONE);
		return false;
	}
	l->dlg.flow = *from;
	return true;
}

static void in_dialog(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	if (watch_knows(c, req)) {
		if (require_known(c, id, req, from, SPAN_NONE))
			watch_in_dialog(c, id, req, from);
		return;
	}
	struct leg *l = leg_by_tag(c, req->to.tag);
	/* An early leg of ours knows no tag of the peer's yet: its BYE is told by our tag and the Call-ID. */
	bool early = l && !l->inbound && l->dlg.state == DIALOG_NONE && span_eqz(req->call_id, l->call_id);
	if (!l || (!early && !dialog_matches_request(&l->dlg, req))) {
		refuse_stranger(c, id, req, from, 481);
		return;
	}
	if (!early && !flow_trusted(c, id, l, req, from))
		return;
	if (req->method == SIP_OPTIONS)
		options(c, id, req, from, span_z(l->tag));
	else if (require_known(c, id, req, from, span_z(l->tag)))
		indialog_request(c, id, l, req, from);
}

static void method_of_known(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who)
{
	if (!require_known(c, id, req, from, SPAN_NONE))
		return;
	if (req->method == SIP_REGISTER) {
		registrar_request(c, id, req, from, who);
	} else if (req->method == SIP_INVITE) {
		call_invite(c, id, req, from, who);
	} else if (req->method == SIP_SUBSCRIBE) {
		watch_subscribe(c, id, req, from, who);
	} else if (req->method == SIP_REFER) { /* of nothing of ours: whom should we refer? */
		reply_plain(c, id, 0, req, from, 403, SPAN_NONE);
	} else if (req->method == SIP_BYE || req->method == SIP_UPDATE || req->method == SIP_PRACK || req->method == SIP_INFO) {
		reply_plain(c, id, 0, req, from, 481, SPAN_NONE);
	} else {
		char buf[20];
		reply_begin(c, req, from, 405, stray_tag(c, req, buf));
		sip_put_z(&c->b, SIP_H_ALLOW, cell_allow);
		reply_send(c, id, 0, 405, "", SPAN_NONE);
	}
}

void cell_on_request(void *ctx, txn_id id, const struct sip_msg *req, const struct sip_flow *from)
{
	struct cell *c = ctx;
	uint16_t fault = common_fault(req);
	if (fault) {
		refuse_stranger(c, id, req, from, fault);
		return;
	}
	if (req->to.tag.n && req->method != SIP_REGISTER) {
		in_dialog(c, id, req, from);
		return;
	}
	if (req->method == SIP_CANCEL) { /* matched no INVITE */
		refuse_stranger(c, id, req, from, 481);
		return;
	}
	if (req->method == SIP_OPTIONS) {
		options(c, id, req, from, SPAN_NONE);
		return;
	}
	struct who who;
	if (guard_check(c, id, req, from, &who) == GUARD_OK)
		method_of_known(c, id, req, from, &who);
}

/* Bytes that are no proper message: answered when there is enough to answer to. */
void cell_bad_message(struct cell *c, const struct sip_msg *m, const struct sip_error *err, const struct sip_flow *from)
{
	char buf[64];
	struct text src = TEXT_ARRAY(buf);
	addr_put(&src, &from->remote);
	c->noted.malformed++;
	cell_log(c, LOG_INFO, "sip.malformed", LOG_Z("why", err->reason), LOG_I("offset", err->offset), LOG_I("status", err->status),
		 LOG_S("source", text_span(&src)));
	if (!err->answerable || !err->status || m->method == SIP_ACK)
		return;
	c->b.t = text_on(c->out, sizeof c->out);
	sip_reply_begin(&c->b, m, from, err->status, err->reason, stray_tag(c, m, buf));
	put_server(c, SIP_H_SERVER);
	if (!sip_finish(&c->b, "", SPAN_NONE))
		return;
	struct cell_out out = {.kind = CELL_OUT_SIP, .u.sip = {from, text_span(&c->b.t)}};
	cell_emit(c, &out);
}

/* Test phones that drive a cell by bytes, in virtual time. Every world also records its inputs: closing it runs them again
 * through a second cell and compares the effects, and checks that nothing was left behind. */
#ifndef PBX_PHONE_TEST_H
#define PBX_PHONE_TEST_H

#include "base/text.h"
#include "harness/harness.h"
#include "pbx/cell.h"
#include "pbx/record.h"
#include "sip/msg/build.h"
#include "sip/sdp/sdp.h"

#include <stdio.h>
#include <stdlib.h>

#define UNUSED __attribute__((unused))

enum { MAX_QUEUE = 512, MAX_CDR = 256, MAX_MEDIA = 1024, MS = 1000, SEC = 1000000 };

struct packet {
	struct sip_flow to;
	char *p;
	size_t n;
	bool taken;
};

struct world {
	struct cell_sink sink;
	struct cell *cell;
	struct site *site;
	struct cell_opts opts;
	int64_t now;
	struct packet q[MAX_QUEUE];
	int n_q;
	struct cdr_row cdr[MAX_CDR]; /* newest state by id */
	int n_cdr, cdr_emissions;
	uint64_t tokens[MAX_QUEUE];
	int n_tokens;
	bool store_fails, store_silent /* its word is lost on the way */, media_silent;
	struct media_cmd media[MAX_MEDIA];
	int n_media, media_done;
	struct binding_row binding;
	int n_bindings_stored, n_bindings_gone;
	struct addr source; /* what the edge was told last */
	bool source_known;
	int64_t source_until;
	int n_sources;
	struct ban_row ban; /* the last that was stored */
	int n_bans, n_bans_gone;
	struct subscription_row sub; /* stored last */
	int n_subs_stored, n_subs_gone;
	char answer[65536];
	uint16_t answer_status;
	uint64_t answer_next;
	int n_logs, n_not_stored, n_again, n_progress[2];
	char last_log[64];
	struct record_sink rec;
	char *tape;
	size_t tape_n, tape_cap;
	struct trace_hash hash;
	uint32_t unique;
};

struct phone {
	char ext[8];
	struct sip_flow flow;
	struct digest_ha1 ha1;
	char contact[64], instance[64];
	char reg_call_id[64];
	uint32_t reg_cseq, nc;
	char nonce[NONCE_MAX + 1];
	uint16_t rtp;
};

/* One side of a call. */
struct side {
	struct phone *p;
	char call_id[64], ltag[24], rtag[24], target[128], luri[160], ruri[160];
	char branch[40]; /* of the INVITE, for CANCEL and the ACK of a failure */
	uint32_t cseq;
	uint32_t inv_cseq;
};

/* ---- the world -------------------------------------------------------------------------------------------------------- */

static void w_note_cdr(struct world *w, const struct cdr_row *row, uint64_t token)
{
	w->cdr_emissions++;
	assert_true(w->n_tokens < MAX_QUEUE);
	w->tokens[w->n_tokens++] = token;
	for (int i = 0; i < w->n_cdr; i++) {
		if (strcmp(w->cdr[i].id, row->id))
			continue;
		assert_false(w->cdr[i].closed && !row->closed); /* a closed row never opens again */
		w->cdr[i] = *row;
		return;
	}
	assert_true(w->n_cdr < MAX_CDR);
	w->cdr[w->n_cdr++] = *row;
}

static void w_emit(struct cell_sink *s, const struct cell_out *out)
{
	struct world *w = (struct world *)(void *)s;
	record_effect(&w->hash, out);
	switch (out->kind) {
	case CELL_OUT_SIP: {
		assert_true(w->n_q < MAX_QUEUE);
		struct packet *k = &w->q[w->n_q++];
		*k = (struct packet){*out->u.sip.to, malloc(out->u.sip.bytes.n), out->u.sip.bytes.n, false};
		memcpy(k->p, out->u.sip.bytes.p, k->n);
		if (getenv("SHOW"))
			printf("[%.3f] -> %d\n%.*s\n", (double)w->now / 1e6, k->to.remote.port, (int)k->n, k->p);
		break;
	}
	case CELL_OUT_MEDIA:
		assert_true(w->n_media < MAX_MEDIA);
		w->media[w->n_media++] = *out->u.media;
		break;
	case CELL_OUT_CDR:
		w->n_again += out->u.cdr.again;
		w_note_cdr(w, out->u.cdr.row, out->u.cdr.token);
		break;
	case CELL_OUT_BINDING: w->binding = *out->u.binding; w->n_bindings_stored++; break;
	case CELL_OUT_BINDING_GONE: w->n_bindings_gone++; break;
	case CELL_OUT_SUBSCRIPTION: w->sub = *out->u.subscription; w->n_subs_stored++; break;
	case CELL_OUT_SUBSCRIPTION_GONE: w->n_subs_gone++; break;
	case CELL_OUT_BAN: w->ban = *out->u.ban; w->n_bans++; break;
	case CELL_OUT_BAN_GONE: w->n_bans_gone++; break;
	case CELL_OUT_SOURCE: w->source = *out->u.source.addr; w->source_known = out->u.source.known; w->source_until = out->u.source.blocked_until_us; w->n_sources++; break;
	case CELL_OUT_PROGRESS: w->n_progress[out->u.progress.answered]++; break;
	case CELL_OUT_ANSWER:
		w->answer_status = out->u.answer.status;
		w->answer_next = out->u.answer.next_cursor;
		snprintf(w->answer, sizeof w->answer, "%.*s", (int)out->u.answer.json.n, out->u.answer.json.p);
		break;
	case CELL_OUT_LOG:
		if (strncmp(out->u.log.event, "call.", 5) == 0)
			break; /* the ordinary life of a call: tests look for what is out of the ordinary */
		w->n_logs++;
		w->n_not_stored += strcmp(out->u.log.event, "cdr.not_stored") == 0;
		snprintf(w->last_log, sizeof w->last_log, "%s", out->u.log.event);
		break;
	}
}

static void w_write(struct record_sink *s, struct span b)
{
	struct world *w = (struct world *)(void *)((char *)s - offsetof(struct world, rec));
	if (w->tape_n + b.n > w->tape_cap) {
		w->tape_cap = (w->tape_n + b.n) * 2;
		w->tape = realloc(w->tape, w->tape_cap);
	}
	memcpy(w->tape + w->tape_n, b.p, b.n);
	w->tape_n += b.n;
}

static void w_step(struct world *w, const struct cell_in *in)
{
	record_input(&w->rec, in, w->now);
	cell_step(w->cell, in, w->now, &w->sink);
	const char *bad = cell_check(w->cell);
	if (bad)
		fail_msg("cell_check: %s", bad);
}

/* What the store and the media worker would say. */
static void w_settle(struct world *w)
{
	for (; !w->media_silent && w->media_done < w->n_media; w->media_done++) {
		const struct media_cmd *m = &w->media[w->media_done];
		if (m->op != MEDIA_CLOSE)
			continue;
		struct cell_in in = {.kind = CELL_IN_MEDIA, .u.media = {.kind = MEDIA_EVENT_CLOSED, .slot = m->slot, .leg = m->leg, .seq = m->seq,
										 .stats = {.rx_packets = 50}}};
		w_step(w, &in);
	}
	if (w->store_silent)
		w->n_tokens = 0;
	while (w->n_tokens) {
		struct cell_in in = {.kind = CELL_IN_PERSISTED, .u.persisted = {w->tokens[--w->n_tokens], !w->store_fails}};
		w_step(w, &in);
	}
}

static void w_run(struct world *w, int64_t us)
{
	int64_t until = w->now + us;
	struct cell_in in = {.kind = CELL_IN_TIMER};
	for (int64_t d; (d = cell_deadline(w->cell)) <= until;) {
		w->now = d > w->now ? d : w->now + MS;
		if (w->now > until)
			break;
		w_step(w, &in);
		w_settle(w);
	}
	w->now = until;
	w_step(w, &in);
	w_settle(w);
}

static void w_site(struct world *w, struct site *next)
{
	assert_non_null(next);
	site_unref(w->site);
	w->site = next;
	struct cell_in in = {.kind = CELL_IN_SITE, .u.site = next};
	w_step(w, &in);
}

static struct addr w_addr(const char *ip, uint16_t port)
{
	struct addr a = {0};
	assert_int_equal(addr_parse(span_z(ip), port, &a), 0);
	return a;
}

UNUSED static void w_extension(struct world *w, const char *number, const char *name)
{
	struct site_extension e = {0};
	extension_defaults(&e.row);
	snprintf(e.row.number, sizeof e.row.number, "%s", number);
	snprintf(e.row.name, sizeof e.row.name, "%s", name);
	digest_ha1_make(&e.pin_ha1, span_z(number), SPAN_LIT("strowger"), SPAN_LIT("4711"));
	e.has_pin = true;
	w_site(w, site_with_extension(w->site, &e));
}

UNUSED static void w_device(struct world *w, uint64_t id, const char *number, const char *secret)
{
	struct site_device d = {0};
	device_defaults(&d.row);
	d.row.id = id;
	snprintf(d.row.extension, sizeof d.row.extension, "%s", number);
	snprintf(d.row.mac, sizeof d.row.mac, "0004f2%06x", (unsigned)id);
	digest_ha1_make(&d.sip_ha1, span_z(number), SPAN_LIT("strowger"), span_z(secret));
	d.has_secret = true;
	w_site(w, site_with_device(w->site, &d));
}

UNUSED static struct world *w_new(uint32_t slots)
{
	struct world *w = calloc(1, sizeof *w);
	struct site_settings st;
	w->sink.emit = w_emit;
	w->rec.write = w_write;
	w->now = 1000 * (int64_t)SEC;
	w->opts = (struct cell_opts){.limits = cell_limits_default, .seed = {1, 2}, .boot_id = "b007", .min_expires_s = 60, .max_expires_s = 3600};
	memset(&w->opts.nonce_key, 7, sizeof w->opts.nonce_key);
	w->opts.limits.max_calls = 20;
	w->opts.limits.max_legs = 80;
	w->opts.limits.max_unconfirmed = 40;
	w->cell = cell_new(&w->opts, w->now);
	record_header(&w->rec, &w->opts, w->now);
	memset(&st, 0, sizeof st);
	site_settings_defaults(&st);
	w->site = site_new(&st);
	w_site(w, site_ref(w->site));
	struct cell_in wall = {.kind = CELL_IN_WALL, .u.wall_minus_mono_us = INT64_C(1700000000) * SEC};
	w_step(w, &wall);
	struct cell_in in = {.kind = CELL_IN_SLOTS, .u.slots = {0, slots, w_addr("10.0.0.1", 20000)}};
	w_step(w, &in);
	for (int i = 1; i <= 4; i++) {
		char number[8], name[32], secret[16];
		snprintf(number, sizeof number, "20%d", i);
		snprintf(name, sizeof name, "Person \"%d\"", i);
		snprintf(secret, sizeof secret, "secret%d", i);
		w_extension(w, number, name);
		w_device(w, (uint64_t)i, number, secret);
	}
	return w;
}

struct replay {
	struct cell_sink sink;
	struct trace_hash hash;
};

static void replay_emit(struct cell_sink *s, const struct cell_out *out)
{
	record_effect(&((struct replay *)(void *)s)->hash, out);
}

static void w_replay(struct world *w)
{
	struct replay r = {{replay_emit, LOG_ERROR}, {0}};
	struct record_item it;
	struct span rest = {w->tape, w->tape_n};
	assert_int_equal(record_read(&rest, &it), RECORD_HEADER);
	struct cell *c = cell_new(&it.opts, it.now_us);
	enum record_kind k;
	while ((k = record_read(&rest, &it)) == RECORD_INPUT) {
		cell_step(c, &it.in, it.now_us, &r.sink);
		if (it.in.kind == CELL_IN_SITE)
			site_unref(it.in.u.site);
	}
	assert_int_equal(k, RECORD_CHECKPOINT);
	assert_int_equal(it.hash.items, r.hash.items);
	assert_true(it.hash.h == r.hash.h);
	assert_int_equal(record_read(&rest, &it), RECORD_END);
	cell_free(c);
}

/* Lets everything end, sees that nothing is left, and replays the recording. */
UNUSED static void w_close(struct world *w)
{
	w_run(w, 100 * (int64_t)SEC);
	struct cell_counts n = cell_counts(w->cell);
	assert_int_equal(n.calls, 0);
	assert_int_equal(n.legs, 0);
	assert_int_equal(n.dialogs, 0);
	assert_int_equal(n.txns, 0);
	assert_int_equal(n.slots_used, 0);
	assert_int_equal(n.cdr_open, 0);
	assert_int_equal(n.cdr_unconfirmed, 0);
	assert_int_equal(n.timers, n.bindings + n.subscriptions);
	for (int i = 0; i < w->n_cdr; i++)
		assert_true(w->cdr[i].closed);
	record_checkpoint(&w->rec, &w->hash);
	w_replay(w);
	cell_free(w->cell);
	site_unref(w->site);
	for (int i = 0; i < w->n_q; i++)
		free(w->q[i].p);
	free(w->tape);
	free(w);
}

/* ---- messages --------------------------------------------------------------------------------------------------------- */

UNUSED static void send_bytes(struct world *w, const struct sip_flow *from, struct span bytes)
{
	if (getenv("SHOW"))
		printf("[%.3f] <- %d\n%.*s\n", (double)w->now / 1e6, from->remote.port, (int)bytes.n, bytes.p);
	/* exact size on the heap: reading behind the end is seen by the sanitizer */
	char *copy = malloc(bytes.n ? bytes.n : 1);
	if (bytes.n)
		memcpy(copy, bytes.p, bytes.n);
	struct cell_in in = {.kind = CELL_IN_SIP, .u.sip = {*from, {copy, bytes.n}}};
	w_step(w, &in);
	w_settle(w);
	free(copy);
}

/* Next message for this phone, or NULL. Good until the end of the world. */
UNUSED static const struct sip_msg *take(struct world *w, const struct phone *p)
{
	static struct sip_msg m[16];
	static int turn;
	for (int i = 0; i < w->n_q; i++) {
		if (w->q[i].taken || !sip_flow_same(&w->q[i].to, &p->flow))
			continue;
		struct sip_error err;
		w->q[i].taken = true;
		turn = (turn + 1) % 16;
		assert_int_equal(sip_parse(&m[turn], (struct span){w->q[i].p, w->q[i].n}, &err), 0);
		return &m[turn];
	}
	return NULL;
}

UNUSED static const struct sip_msg *take_status(struct world *w, const struct phone *p, uint16_t status)
{
	const struct sip_msg *m = take(w, p);
	assert_non_null(m);
	assert_false(m->is_request);
	assert_int_equal(m->status, status);
	return m;
}

UNUSED static const struct sip_msg *take_request(struct world *w, const struct phone *p, enum sip_method method)
{
	const struct sip_msg *m = take(w, p);
	assert_non_null(m);
	assert_true(m->is_request);
	assert_int_equal(m->method, method);
	return m;
}

UNUSED static void nothing(struct world *w, const struct phone *p)
{
	const struct sip_msg *m = take(w, p);
	if (m)
		fail_msg("unexpected: %.*s", (int)m->raw.n, m->raw.p);
}

UNUSED static void phone_init(struct phone *p, int i)
{
	char secret[16];
	memset(p, 0, sizeof *p);
	snprintf(p->ext, sizeof p->ext, "20%d", i);
	snprintf(secret, sizeof secret, "secret%d", i);
	p->flow = (struct sip_flow){.transport = SIP_UDP, .remote = w_addr("192.0.2.1", (uint16_t)(5060 + i)), .local = w_addr("10.0.0.1", 5060)};
	digest_ha1_make(&p->ha1, span_z(p->ext), SPAN_LIT("strowger"), span_z(secret));
	snprintf(p->contact, sizeof p->contact, "sip:%s@192.0.2.1:%d", p->ext, 5060 + i);
	snprintf(p->reg_call_id, sizeof p->reg_call_id, "reg-%d", i);
	p->rtp = (uint16_t)(30000 + 10 * i);
}

UNUSED static void put_auth(struct world *w, struct phone *p, struct text *t, const struct digest_challenge *ch, const char *method, const char *uri)
{
	char cnonce[16];
	snprintf(cnonce, sizeof cnonce, "c%u", ++w->unique);
	text_lit(t, "Authorization: ");
	digest_answer(t, ch, span_z(p->ext), &p->ha1, span_z(method), span_z(uri), ++p->nc, span_z(cnonce));
	text_lit(t, "\r\n");
}

/* Answers the challenge in m from now on: later requests send the same nonce at once. */
UNUSED static void learn(struct phone *p, const struct sip_msg *m, struct digest_challenge *ch)
{
	assert_int_equal(digest_parse_challenge(sip_hdr_value(m, SIP_H_WWW_AUTHENTICATE), ch), DIGEST_OK);
	assert_true(span_copyz(ch->nonce, p->nonce, sizeof p->nonce));
	p->nc = 0;
}

UNUSED static struct digest_challenge known_challenge(const struct phone *p)
{
	return (struct digest_challenge){.realm = SPAN_LIT("strowger"), .nonce = span_z(p->nonce), .qop_auth = true};
}

UNUSED static void send_register(struct world *w, struct phone *p, const char *contact, const char *extra)
{
	char buf[4096];
	struct text t = TEXT_ARRAY(buf);
	text_fmt(&t, "REGISTER sip:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.9:5060;branch=z9hG4bKr%u;rport\r\n", ++w->unique);
	text_fmt(&t, "From: <sip:%s@10.0.0.1>;tag=f%s\r\nTo: <sip:%s@10.0.0.1>\r\nCall-ID: %s\r\nCSeq: %u REGISTER\r\n", p->ext, p->reg_call_id, p->ext,
		 p->reg_call_id, ++p->reg_cseq);
	if (contact[0])
		text_fmt(&t, "Contact: %s\r\n", contact);
	if (p->nonce[0]) {
		struct digest_challenge ch = known_challenge(p);
		put_auth(w, p, &t, &ch, "REGISTER", "sip:10.0.0.1");
	}
	text_fmt(&t, "%sUser-Agent: PolycomVVX-VVX_410-UA/5.9.5\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", extra);
	assert_false(t.over);
	send_bytes(w, &p->flow, text_span(&t));
}

/* With the challenge, if one comes; returns the last answer. */
UNUSED static const struct sip_msg *do_register(struct world *w, struct phone *p, const char *contact, const char *extra)
{
	struct digest_challenge ch;
	send_register(w, p, contact, extra);
	const struct sip_msg *m = take(w, p);
	assert_non_null(m);
	if (m->status != 401)
		return m;
	learn(p, m, &ch);
	send_register(w, p, contact, extra);
	m = take(w, p);
	assert_non_null(m);
	return m;
}

UNUSED static void register_phone(struct world *w, struct phone *p)
{
	char contact[192];
	snprintf(contact, sizeof contact, "<%s>%s%s%s", p->contact, p->instance[0] ? ";+sip.instance=\"" : "", p->instance, p->instance[0] ? "\"" : "");
	const struct sip_msg *m = do_register(w, p, contact, "Expires: 3600\r\n");
	assert_int_equal(m->status, 200);
}

/* ---- calls ------------------------------------------------------------------------------------------------------------ */

UNUSED static struct span sdp_of(const struct phone *p, char *buf, size_t cap, const char *dir, const char *formats)
{
	static uint32_t version;
	int n = snprintf(buf, cap,
			 "v=0\r\no=- 17 %u IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %u RTP/AVP %s\r\n"
			 "a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:127 telephone-event/8000\r\na=%s\r\n",
			 ++version, strcmp(dir, "zero") ? "192.0.2.1" : "0.0.0.0", p->rtp, formats, strcmp(dir, "zero") ? dir : "sendrecv");
	return (struct span){buf, (size_t)n};
}
#define SDP(p) sdp_of((p), (char[2048]){0}, 2048, "sendrecv", "9 0 8 127")
#define SDP_DIR(p, dir) sdp_of((p), (char[2048]){0}, 2048, (dir), "9 0 8 127")
#define SDP_FMT(p, fmts) sdp_of((p), (char[2048]){0}, 2048, "sendrecv", (fmts))

UNUSED static void put_common(struct world *w, struct side *s, struct text *t, const char *method, const char *uri, uint32_t cseq, const char *branch)
{
	(void)w;
	text_fmt(t, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.9:5060;branch=%s;rport\r\n", method, uri, branch);
	text_fmt(t, "From: %s;tag=%s\r\nTo: %s%s%s\r\nCall-ID: %s\r\nCSeq: %u %s\r\nMax-Forwards: 70\r\n", s->luri, s->ltag, s->ruri,
		 s->rtag[0] ? ";tag=" : "", s->rtag, s->call_id, cseq, method);
	text_fmt(t, "Contact: <%s>\r\n", s->p->contact);
}

UNUSED static void put_body(struct text *t, const char *extra, struct span body)
{
	text_z(t, extra);
	if (body.n && !strstr(extra, "Content-Type"))
		text_lit(t, "Content-Type: application/sdp\r\n");
	text_fmt(t, "Content-Length: %zu\r\n\r\n", body.n);
	text_put(t, body);
	assert_false(t->over);
}

/* A request in the dialog. */
UNUSED static void send_in_dialog(struct world *w, struct side *s, const char *method, const char *extra, struct span body)
{
	char buf[8192];
	struct text t = TEXT_ARRAY(buf);
	char branch[40];
	snprintf(branch, sizeof branch, "z9hG4bKd%u", ++w->unique);
	if (strcmp(method, "ACK") == 0) {
		put_common(w, s, &t, method, s->target, s->inv_cseq, branch);
	} else {
		s->cseq++;
		put_common(w, s, &t, method, s->target, s->cseq, branch);
		if (strcmp(method, "INVITE") == 0) {
			s->inv_cseq = s->cseq;
			memcpy(s->branch, branch, sizeof branch);
		}
	}
	put_body(&t, extra, body);
	send_bytes(w, &s->p->flow, text_span(&t));
}

UNUSED static void send_invite(struct world *w, struct side *s, const char *number, const char *extra, struct span body, bool auth)
{
	char buf[8192], uri[64];
	struct text t = TEXT_ARRAY(buf);
	snprintf(uri, sizeof uri, "sip:%s@10.0.0.1", number);
	snprintf(s->branch, sizeof s->branch, "z9hG4bKi%u", ++w->unique);
	s->inv_cseq = ++s->cseq;
	put_common(w, s, &t, "INVITE", uri, s->cseq, s->branch);
	if (auth) {
		struct digest_challenge ch = known_challenge(s->p);
		put_auth(w, s->p, &t, &ch, "INVITE", uri);
	}
	put_body(&t, extra, body);
	send_bytes(w, &s->p->flow, text_span(&t));
}

UNUSED static void side_init(struct world *w, struct side *s, struct phone *p, const char *number)
{
	memset(s, 0, sizeof *s);
	s->p = p;
	snprintf(s->call_id, sizeof s->call_id, "call-%u", ++w->unique);
	snprintf(s->ltag, sizeof s->ltag, "t%u", ++w->unique);
	snprintf(s->luri, sizeof s->luri, "\"me\" <sip:%s@10.0.0.1>", p->ext);
	snprintf(s->ruri, sizeof s->ruri, "<sip:%s@10.0.0.1>", number);
	snprintf(s->target, sizeof s->target, "sip:%s@10.0.0.1", number);
}

/* The ACK of a failure: hop by hop, same branch. */
UNUSED static void ack_failure(struct world *w, struct side *s, const struct sip_msg *m)
{
	char buf[2048], uri[128];
	struct text t = TEXT_ARRAY(buf);
	snprintf(uri, sizeof uri, "%s", s->target);
	text_fmt(&t, "ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.9:5060;branch=%s;rport\r\nFrom: %s;tag=%s\r\nTo: %.*s\r\n", uri, s->branch, s->luri,
		 s->ltag, (int)m->to.value.n, m->to.value.p);
	text_fmt(&t, "Call-ID: %s\r\nCSeq: %u ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", s->call_id, s->inv_cseq);
	send_bytes(w, &s->p->flow, text_span(&t));
}

/* INVITE with the digest dance, up to the 100. */
UNUSED static void call(struct world *w, struct side *s, struct phone *p, const char *number, const char *extra, struct span body)
{
	struct digest_challenge ch;
	side_init(w, s, p, number);
	send_invite(w, s, number, extra, body, false);
	const struct sip_msg *m = take_status(w, p, 401);
	learn(p, m, &ch);
	ack_failure(w, s, m);
	send_invite(w, s, number, extra, body, true);
	take_status(w, p, 100);
}

/* From a response: the dialog as its caller knows it. */
UNUSED static void side_answered(struct side *s, const struct sip_msg *m)
{
	struct sip_contact_iter it = {0};
	struct sip_nameaddr a;
	assert_true(span_copyz(m->to.tag, s->rtag, sizeof s->rtag));
	if (sip_contact_next(m, SIP_H_CONTACT, &it, &a) == 1)
		assert_true(span_copyz(a.uri.all, s->target, sizeof s->target));
}

/* From the INVITE: the dialog as the called party knows it. */
UNUSED static void side_called(struct world *w, struct side *s, struct phone *p, const struct sip_msg *m)
{
	struct sip_contact_iter it = {0};
	struct sip_nameaddr a;
	memset(s, 0, sizeof *s);
	s->p = p;
	s->cseq = 500;
	assert_true(span_copyz(m->call_id, s->call_id, sizeof s->call_id));
	assert_true(span_copyz(m->from.tag, s->rtag, sizeof s->rtag));
	snprintf(s->ltag, sizeof s->ltag, "b%u", ++w->unique);
	snprintf(s->luri, sizeof s->luri, "<%.*s>", (int)m->to.uri.all.n, m->to.uri.all.p);
	snprintf(s->ruri, sizeof s->ruri, "<%.*s>", (int)m->from.uri.all.n, m->from.uri.all.p);
	assert_int_equal(sip_contact_next(m, SIP_H_CONTACT, &it, &a), 1);
	assert_true(span_copyz(a.uri.all, s->target, sizeof s->target));
}

UNUSED static void reply(struct world *w, struct side *s, const struct sip_msg *req, uint16_t status, struct span body)
{
	char buf[8192];
	struct sip_build b = {TEXT_ARRAY(buf)};
	sip_reply_begin(&b, req, &s->p->flow, status, NULL, status == 100 ? SPAN_NONE : span_z(s->ltag));
	sip_head(&b, SIP_H_CONTACT);
	text_fmt(&b.t, "<%s>", s->p->contact);
	sip_eol(&b);
	assert_true(sip_finish(&b, body.n ? "application/sdp" : "", body));
	send_bytes(w, &s->p->flow, text_span(&b.t));
}

/* A calls B and they talk. */
UNUSED static void connect_call(struct world *w, struct side *a, struct phone *pa, struct side *b, struct phone *pb)
{
	call(w, a, pa, pb->ext, "", SDP(pa));
	const struct sip_msg *inv = take_request(w, pb, SIP_INVITE);
	side_called(w, b, pb, inv);
	reply(w, b, inv, 180, SPAN_NONE);
	take_status(w, pa, 180);
	w_run(w, 2 * SEC);
	reply(w, b, inv, 200, SDP(pb));
	take_request(w, pb, SIP_ACK);
	const struct sip_msg *ok = take_status(w, pa, 200);
	side_answered(a, ok);
	send_in_dialog(w, a, "ACK", "", SPAN_NONE);
	nothing(w, pa);
	nothing(w, pb);
}

UNUSED static void hang_up(struct world *w, struct side *a, struct side *b)
{
	send_in_dialog(w, a, "BYE", "", SPAN_NONE);
	take_status(w, a->p, 200);
	const struct sip_msg *bye = take_request(w, b->p, SIP_BYE);
	reply(w, b, bye, 200, SPAN_NONE);
	nothing(w, a->p);
	nothing(w, b->p);
}

UNUSED static const struct cdr_row *cdr_of(const struct world *w, int call_no, int leg)
{
	char id[40];
	snprintf(id, sizeof id, "b007-%d-%d", call_no, leg);
	for (int i = 0; i < w->n_cdr; i++)
		if (strcmp(w->cdr[i].id, id) == 0)
			return &w->cdr[i];
	fail_msg("no CDR %s", id);
	return NULL;
}

#endif

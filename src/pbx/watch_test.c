/* Subscriptions end to end through the cell: RFC 6665 as a phone sees it. */
#include "pbx/phone_test.h"
#include "pbx/watch.h"

static struct phone a, b;
static struct side sa, sb;

static void settings(struct world *w, bool test_events)
{
	struct site_settings st = *site_settings_of(w->site);
	st.test_events = test_events;
	w_site(w, site_with_settings(w->site, &st));
}

static struct world *start(void)
{
	struct world *w = w_new(16);
	phone_init(&a, 1);
	phone_init(&b, 2);
	register_phone(w, &a);
	register_phone(w, &b);
	settings(w, true);
	return w;
}

/* A SUBSCRIBE outside a dialog with credentials; the answer. */
static const struct sip_msg *subscribe(struct world *w, struct side *s, struct phone *p, const char *name, const char *extra)
{
	char buf[8192], uri[96];
	struct text t = TEXT_ARRAY(buf);
	struct digest_challenge ch = known_challenge(p);
	side_init(w, s, p, name);
	snprintf(uri, sizeof uri, "sip:%s@10.0.0.1", name);
	snprintf(s->branch, sizeof s->branch, "z9hG4bKs%u", ++w->unique);
	put_common(w, s, &t, "SUBSCRIBE", uri, ++s->cseq, s->branch);
	put_auth(w, p, &t, &ch, "SUBSCRIBE", uri);
	put_body(&t, extra, SPAN_NONE);
	send_bytes(w, &p->flow, text_span(&t));
	const struct sip_msg *m = take(w, p);
	assert_non_null(m);
	assert_false(m->is_request);
	if (m->status == 200)
		side_answered(s, m);
	return m;
}

static bool state_is(const struct sip_msg *m, const char *want)
{
	return span_starts(sip_hdr_value(m, SIP_H_SUBSCRIPTION_STATE), span_z(want));
}

static bool body_has(const struct sip_msg *m, const char *text)
{
	return span_find(m->body, span_z(text)) >= 0;
}

static void verb(struct world *w, const char *words, uint16_t status)
{
	struct cell_in in = {.kind = CELL_IN_QUERY, .u.query = {.token = 1, .kind = CELL_Q_FEATURE, .arg = span_z(words)}};
	w_step(w, &in);
	assert_int_equal(w->answer_status, status);
}

static const struct sip_msg *notified(struct world *w, struct side *s, uint16_t status)
{
	const struct sip_msg *m = take_request(w, s->p, SIP_NOTIFY);
	assert_true(span_eqz(m->call_id, s->call_id));
	assert_true(span_eqz(m->to.tag, s->ltag) && span_eqz(m->from.tag, s->rtag));
	if (status)
		reply(w, s, m, status, SPAN_NONE);
	return m;
}

#define MWI "Event: message-summary\r\nAccept: application/simple-message-summary\r\n"
#define TEST_EVENT "Event: x-strowger-test\r\n"

static void message_lamp(void **state)
{
	(void)state;
	struct world *w = start();
	const struct sip_msg *m = subscribe(w, &sa, &a, "201", MWI "Expires: 3600\r\n");
	assert_int_equal(m->status, 200);
	int64_t granted = sip_expires(m);
	assert_true(granted > 3300 && granted <= 3600);
	m = notified(w, &sa, 200);
	assert_true(state_is(m, "active;expires="));
	assert_true(span_eqz(sip_hdr_value(m, SIP_H_EVENT), "message-summary"));
	assert_true(span_eqz(sip_hdr_value(m, SIP_H_CONTENT_TYPE), "application/simple-message-summary"));
	assert_true(body_has(m, "Messages-Waiting: no\r\n") && body_has(m, "Voice-Message: 0/0 (0/0)\r\n"));
	verb(w, "mwi set 201 2 1", 200);
	m = notified(w, &sa, 200);
	assert_true(body_has(m, "Messages-Waiting: yes\r\n") && body_has(m, "Voice-Message: 2/1 (0/0)\r\n"));
	verb(w, "mwi set 201 2 1", 200); /* nothing new, nothing said */
	nothing(w, &a);
	verb(w, "mwi set 299 2 1", 404);
	verb(w, "mwi set 201 x 1", 400);
	verb(w, "nobody set 201", 404);
	w_close(w);
}

static void refusals(void **state)
{
	(void)state;
	struct world *w = start();
	const struct sip_msg *m = subscribe(w, &sa, &a, "201", "Event: presence\r\n");
	assert_int_equal(m->status, 489);
	assert_true(sip_has_token(m, SIP_H_ALLOW_EVENTS, "message-summary") && sip_has_token(m, SIP_H_ALLOW_EVENTS, "x-strowger-test"));
	assert_int_equal(subscribe(w, &sa, &a, "201", "")->status, 489);
	m = subscribe(w, &sa, &a, "201", MWI "Expires: 10\r\n");
	assert_int_equal(m->status, 423);
	assert_true(span_eqz(sip_hdr_value(m, SIP_H_MIN_EXPIRES), "60"));
	assert_int_equal(subscribe(w, &sa, &a, "201", "Event: message-summary\r\nAccept: text/html\r\n")->status, 406);
	assert_int_equal(subscribe(w, &sa, &a, "202", MWI)->status, 403); /* another's messages */
	assert_int_equal(subscribe(w, &sa, &a, "201", MWI "Expires: soon\r\n")->status, 400);
	assert_int_equal(subscribe(w, &sa, &a, "secret", TEST_EVENT)->status, 403);
	settings(w, false);
	m = subscribe(w, &sa, &a, "x", TEST_EVENT);
	assert_int_equal(m->status, 489);
	assert_false(sip_has_token(m, SIP_H_ALLOW_EVENTS, "x-strowger-test"));
	assert_int_equal(cell_counts(w->cell).subscriptions, 0);
	nothing(w, &a);
	w_close(w);
}

static void refresh_and_end(void **state)
{
	(void)state;
	struct world *w = start();
	subscribe(w, &sa, &a, "201", MWI "Expires: 600\r\n");
	uint32_t cseq = notified(w, &sa, 200)->cseq;
	w_run(w, 300 * (int64_t)SEC);
	send_in_dialog(w, &sa, "SUBSCRIBE", MWI "Expires: 600\r\n", SPAN_NONE);
	assert_true(sip_expires(take_status(w, &a, 200)) > 500);
	assert_int_equal(notified(w, &sa, 200)->cseq, cseq + 1);
	send_in_dialog(w, &sa, "SUBSCRIBE", MWI "Expires: 5\r\n", SPAN_NONE);
	take_status(w, &a, 423);
	sa.cseq -= 2;
	send_in_dialog(w, &sa, "SUBSCRIBE", MWI "Expires: 600\r\n", SPAN_NONE);
	take_status(w, &a, 500);
	sa.cseq += 2;
	send_in_dialog(w, &sa, "SUBSCRIBE", "Event: message-summary;id=9\r\nExpires: 600\r\n", SPAN_NONE);
	take_status(w, &a, 481);
	w_run(w, 100 * (int64_t)SEC);
	send_in_dialog(w, &sa, "SUBSCRIBE", MWI "Expires: 0\r\n", SPAN_NONE);
	assert_int_equal(sip_expires(take_status(w, &a, 200)), 0);
	assert_true(state_is(notified(w, &sa, 200), "terminated;reason=timeout"));
	send_in_dialog(w, &sa, "SUBSCRIBE", MWI "Expires: 600\r\n", SPAN_NONE);
	take_status(w, &a, 481);
	assert_int_equal(cell_counts(w->cell).subscriptions, 0);
	assert_int_equal(w->n_subs_gone, 1);
	w_close(w);
}

static void expiry_and_fetch(void **state)
{
	(void)state;
	struct world *w = start();
	subscribe(w, &sa, &a, "201", MWI "Expires: 60\r\n");
	notified(w, &sa, 200);
	w_run(w, 60 * (int64_t)SEC + 10 * MS);
	assert_true(state_is(notified(w, &sa, 200), "terminated;reason=timeout"));
	assert_int_equal(cell_counts(w->cell).subscriptions, 0);
	verb(w, "mwi set 201 7 0", 200);
	assert_int_equal(sip_expires(subscribe(w, &sa, &a, "201", MWI "Expires: 0\r\n")), 0);
	const struct sip_msg *m = notified(w, &sa, 200);
	assert_true(state_is(m, "terminated") && body_has(m, "Voice-Message: 7/0"));
	assert_int_equal(cell_counts(w->cell).subscriptions, 0);
	/* a subscription that has to wait shows nothing, also not to a fetch */
	subscribe(w, &sa, &a, "pending1", TEST_EVENT "Expires: 0\r\n");
	m = notified(w, &sa, 200);
	assert_true(state_is(m, "terminated") && m->body.n == 0);
	subscribe(w, &sa, &a, "pending1", TEST_EVENT "Expires: 60\r\n");
	m = notified(w, &sa, 200);
	assert_true(state_is(m, "pending;expires=") && m->body.n == 0);
	verb(w, "watchtest set pending1 50", 200);
	nothing(w, &a);
	w_close(w);
}

/* Who has to wait hears the decision: the state, or that there is none for him. Only he, and only on this resource. */
static void decided(void **state)
{
	(void)state;
	struct world *w = start();
	subscribe(w, &sa, &a, "pending1", TEST_EVENT "Expires: 60\r\n");
	notified(w, &sa, 200);
	subscribe(w, &sb, &b, "pending1", TEST_EVENT "Expires: 60\r\n");
	notified(w, &sb, 200);
	verb(w, "watchtest set pending1 50", 200);
	verb(w, "watchtest allow pending2 201", 200);
	assert_non_null(strstr(w->answer, "\"decided\":0"));
	verb(w, "watchtest allow pending1 201", 200);
	assert_non_null(strstr(w->answer, "\"decided\":1"));
	const struct sip_msg *m = notified(w, &sa, 200);
	assert_true(state_is(m, "active;expires=") && body_has(m, "number=1 state=full"));
	nothing(w, &b);
	verb(w, "watchtest reject pending1 202", 200);
	m = notified(w, &sb, 200);
	assert_true(state_is(m, "terminated;reason=rejected") && m->body.n == 0);
	nothing(w, &a);
	verb(w, "watchtest allow pending1 201", 200);
	assert_non_null(strstr(w->answer, "\"decided\":0")); /* decided once */
	assert_int_equal(cell_counts(w->cell).subscriptions, 1);
	w_close(w);
}

/* One NOTIFY at a time; what comes meanwhile becomes one; versions and CSeq run on together. */
static void collapse(void **state)
{
	(void)state;
	struct world *w = start();
	subscribe(w, &sa, &a, "desk", TEST_EVENT "Expires: 600\r\n");
	const struct sip_msg *first = notified(w, &sa, 0);
	assert_true(body_has(first, "version=0 number=0 state=full"));
	for (int i = 0; i < 5; i++)
		verb(w, "watchtest set desk 40", 200);
	nothing(w, &a);
	reply(w, &sa, first, 200, SPAN_NONE);
	const struct sip_msg *m = notified(w, &sa, 200);
	assert_int_equal(m->cseq, first->cseq + 1);
	assert_true(body_has(m, "version=1 number=5 state=partial")); /* it has seen the rest */
	nothing(w, &a);
	w_close(w);
}

static void failures(void **state)
{
	(void)state;
	struct world *w = start();
	struct side sc;
	subscribe(w, &sa, &a, "desk", TEST_EVENT "Expires: 7200\r\n");
	const struct sip_msg *m = notified(w, &sa, 0);
	char buf[4096];
	struct sip_build out = {TEXT_ARRAY(buf)};
	sip_reply_begin(&out, m, &a.flow, 503, NULL, SPAN_NONE);
	sip_put_u(&out, SIP_H_RETRY_AFTER, 20);
	assert_true(sip_finish(&out, "", SPAN_NONE));
	send_bytes(w, &a.flow, text_span(&out.t));
	verb(w, "watchtest set desk 40", 200);
	w_run(w, 19 * (int64_t)SEC);
	nothing(w, &a); /* it asked for peace */
	w_run(w, 2 * (int64_t)SEC);
	m = notified(w, &sa, 200);
	assert_true(body_has(m, "number=1 state=full")); /* nobody knows what it saw */
	/* unanswered three times: gone */
	verb(w, "watchtest set desk 41", 200);
	w_run(w, 200 * (int64_t)SEC);
	assert_int_equal(cell_counts(w->cell).subscriptions, 0);
	int sent = 0;
	uint32_t last = m->cseq;
	while ((m = take(w, &a))) {
		assert_true(m->cseq >= last && m->cseq <= last + 1);
		sent += m->cseq > last;
		last = m->cseq;
	}
	assert_int_equal(sent, 3);
	/* 481: it does not know us */
	subscribe(w, &sc, &b, "desk", TEST_EVENT "Expires: 7200\r\n");
	notified(w, &sc, 481);
	assert_int_equal(cell_counts(w->cell).subscriptions, 0);
	w_close(w);
}

/* The number that begins "version=". */
static long version_of(const struct sip_msg *m)
{
	assert_true(span_starts(m->body, SPAN_LIT("version=")));
	return strtol(m->body.p + 8, NULL, 10);
}

static struct world *restarted(struct world *w, const struct subscription_row *row, int64_t after_us)
{
	struct world *n = w_new(16);
	settings(n, true);
	n->now = w->now + after_us;
	struct cell_in in = {.kind = CELL_IN_SUBSCRIPTION, .u.subscription = *row};
	w_step(n, &in);
	return n;
}

/* R5: after a restart it goes on by itself, with higher numbers; also when the restarted one dies before it has written. */
static void over_a_restart(void **state)
{
	(void)state;
	struct world *w = start();
	subscribe(w, &sa, &a, "desk", TEST_EVENT "Expires: 3600\r\n");
	notified(w, &sa, 200);
	w_run(w, SEC);
	assert_int_equal(w->n_subs_stored, 1);
	struct subscription_row row = w->sub;
	const struct sip_msg *m = NULL;
	for (int i = 0; i < 50; i++) {
		verb(w, "watchtest set desk 40", 200);
		m = notified(w, &sa, 200);
	}
	uint32_t cseq = m->cseq;
	long version = version_of(m);
	for (int i = 0; i < 3; i++) { /* each from the same row: the ones between never wrote */
		struct world *n = restarted(w, &row, (1 + i) * (int64_t)SEC);
		m = notified(n, &sa, 200);
		assert_true(m->cseq > cseq && version_of(m) > version);
		assert_true(body_has(m, "state=full"));
		cseq = m->cseq;
		version = version_of(m);
		/* the phone refreshes in its dialog as if nothing had been */
		sa.cseq += 10;
		send_in_dialog(n, &sa, "SUBSCRIBE", TEST_EVENT "Expires: 3600\r\n", SPAN_NONE);
		take_status(n, &a, 200);
		cseq = notified(n, &sa, 200)->cseq;
		version++;
		w_run(n, SEC);
		assert_true(n->sub.cseq > cseq);
		w_close(n);
	}
	struct world *late = restarted(w, &row, 3 * 3600 * (int64_t)SEC);
	assert_int_equal(cell_counts(late->cell).subscriptions, 0); /* run out meanwhile */
	assert_int_equal(late->n_subs_gone, 1);
	w_close(late);
	w_close(w);
}

/* Numbers are reserved again long before the block is used up. */
static void reserves(void **state)
{
	(void)state;
	struct world *w = start();
	subscribe(w, &sa, &a, "desk", TEST_EVENT "Expires: 7200\r\n");
	notified(w, &sa, 200);
	w_run(w, SEC);
	for (int i = 0; i < EVENT_RESERVE / 2 + 100; i++) {
		verb(w, "watchtest set desk 40", 200);
		uint32_t cseq = notified(w, &sa, 200)->cseq;
		assert_true(cseq < w->sub.cseq);
		if (i % 64 == 0)
			w_run(w, SEC);
		for (int k = 0; k < w->n_q; k++)
			free(w->q[k].p);
		w->n_q = 0;
	}
	assert_int_equal(w->n_subs_stored, 2); /* not one write for each NOTIFY */
	w_close(w);
}

/* RFC 3261 18.1.1: large goes by TCP where the phone can, and by fragments where it does not answer there. */
static void sizes(void **state)
{
	(void)state;
	struct world *w = start();
	subscribe(w, &sa, &a, "desk", TEST_EVENT "Expires: 600\r\n");
	notified(w, &sa, 200);
	verb(w, "watchtest set desk 3000", 200);
	const struct sip_msg *m = notified(w, &sa, 200);
	assert_true(body_has(m, "state=partial")); /* small is enough */
	send_in_dialog(w, &sa, "SUBSCRIBE", TEST_EVENT "Expires: 600\r\n", SPAN_NONE);
	take_status(w, &a, 200);
	struct phone tcp = a;
	tcp.flow.transport = SIP_TCP;
	nothing(w, &a);
	m = take_request(w, &tcp, SIP_NOTIFY);
	assert_true(m->body.n >= 3000 && body_has(m, "state=full") && span_eqz(m->via.transport, "TCP"));
	struct cell_in closed = {.kind = CELL_IN_FLOW_CLOSED, .u.sip.flow = tcp.flow};
	w_step(w, &closed); /* nobody listens there */
	m = notified(w, &sa, 200);
	assert_true(m->body.n >= 3000 && span_eqz(m->via.transport, "UDP"));
	w_close(w);
}

static void connection_lost(void **state)
{
	(void)state;
	struct world *w = start();
	a.flow.transport = SIP_TCP;
	a.flow.conn = 7;
	register_phone(w, &a);
	subscribe(w, &sa, &a, "desk", TEST_EVENT "Expires: 600\r\n");
	notified(w, &sa, 200);
	verb(w, "watchtest set desk 40", 200);
	notified(w, &sa, 0);
	struct cell_in closed = {.kind = CELL_IN_FLOW_CLOSED, .u.sip.flow = a.flow};
	w_step(w, &closed);
	verb(w, "watchtest set desk 41", 200);
	w_run(w, 40 * (int64_t)SEC);
	nothing(w, &a);
	a.flow.conn = 8;
	a.flow.remote.port = 33333;
	register_phone(w, &a);
	assert_true(body_has(notified(w, &sa, 200), "number=2 state=full"));
	w_close(w);
}

static void limits(void **state)
{
	(void)state;
	struct world *w = start();
	w->opts.limits.max_subscriptions_per_device = 2;
	cell_free(w->cell);
	w->cell = cell_new(&w->opts, w->now);
	w->tape_n = 0;
	w->hash = (struct trace_hash){0};
	record_header(&w->rec, &w->opts, w->now);
	w_site(w, site_ref(w->site));
	register_phone(w, &a);
	struct side s[3];
	for (int i = 0; i < 2; i++) {
		assert_int_equal(subscribe(w, &s[i], &a, "desk", TEST_EVENT "Expires: 600\r\n")->status, 200);
		notified(w, &s[i], 200);
	}
	const struct sip_msg *m = subscribe(w, &s[2], &a, "desk", TEST_EVENT "Expires: 600\r\n");
	assert_int_equal(m->status, 503);
	assert_true(sip_hdr_value(m, SIP_H_RETRY_AFTER).n > 0);
	/* the device leaves the site: its subscriptions end */
	w_site(w, site_without_device(w->site, 1));
	assert_true(state_is(notified(w, &s[1], 200), "terminated;reason=rejected"));
	assert_true(state_is(notified(w, &s[0], 200), "terminated;reason=rejected"));
	assert_int_equal(cell_counts(w->cell).subscriptions, 0);
	w_close(w);
}

/* From another address the device proves itself; another extension does not get in. */
static void strangers_in_dialog(void **state)
{
	(void)state;
	struct world *w = start();
	subscribe(w, &sa, &a, "201", MWI "Expires: 600\r\n");
	notified(w, &sa, 200);
	struct sip_flow home = a.flow;
	a.flow.remote = w_addr("198.51.100.7", 5060);
	send_in_dialog(w, &sa, "SUBSCRIBE", MWI "Expires: 0\r\n", SPAN_NONE);
	take_status(w, &a, 401);
	assert_int_equal(cell_counts(w->cell).subscriptions, 1);
	a.flow = home;
	verb(w, "mwi set 201 1 0", 200);
	notified(w, &sa, 200); /* still where it was */
	w_close(w);
}

static const struct leg *only_leg(struct world *w)
{
	return w->cell->call_first->first;
}

/* REFER's subscription lives in the call's dialog, counts with it and outlives its BYE. */
static void refer_outlives_the_call(void **state)
{
	(void)state;
	struct world *w = start();
	connect_call(w, &sa, &a, &sb, &b);
	char buf[2048];
	struct text t = TEXT_ARRAY(buf);
	struct sip_msg req;
	struct sip_error err;
	put_common(w, &sa, &t, "REFER", sa.target, ++sa.cseq, "z9hG4bKrefer");
	put_body(&t, "Refer-To: <sip:203@10.0.0.1>\r\n", SPAN_NONE);
	assert_int_equal(sip_parse(&req, text_span(&t), &err), 0);
	struct cell *c = w->cell;
	struct leg *l = (struct leg *)(uintptr_t)only_leg(w);
	handle h = watch_refer_begin(c, &req, &a.flow, l, SPAN_NONE, NULL);
	assert_true(h != 0);
	watch_refer_notify(c, h, 100, false);
	w_run(w, MS);
	const struct sip_msg *m = notified(w, &sa, 200);
	assert_true(body_has(m, "SIP/2.0 100 Trying") && span_eqz(sip_hdr_value(m, SIP_H_EVENT), "refer"));
	uint32_t cseq = m->cseq;
	send_in_dialog(w, &sa, "BYE", "", SPAN_NONE);
	take_status(w, &a, 200);
	reply(w, &sb, take_request(w, &b, SIP_BYE), 200, SPAN_NONE);
	w_run(w, 5 * (int64_t)SEC);
	assert_int_equal(cell_counts(c).legs, 0);
	watch_refer_notify(c, h, 180, false);
	watch_refer_notify(c, h, 200, true);
	w_run(w, MS);
	m = notified(w, &sa, 200);
	assert_true(m->cseq > cseq && body_has(m, "SIP/2.0 200 OK") && state_is(m, "terminated;reason=noresource"));
	watch_refer_notify(c, h, 200, true); /* stale */
	w_run(w, SEC);
	nothing(w, &a);
	assert_int_equal(cell_counts(c).subscriptions, 0);
	w->tape_n = 0; /* what went past the inputs cannot be replayed */
	w->hash = (struct trace_hash){0};
	for (int i = 0; i < w->n_q; i++)
		free(w->q[i].p);
	cell_free(c);
	site_unref(w->site);
	free(w->tape);
	free(w);
}

/* 300 watchers of one name hear of it; none twice, none left out. */
static void fan_out(void **state)
{
	(void)state;
	enum { N = 290 };
	static struct side s[N];
	struct world *w = start();
	for (int i = 0; i < N; i++) {
		assert_int_equal(subscribe(w, &s[i], &a, "desk", TEST_EVENT "Expires: 3600\r\n")->status, 200);
		w_run(w, 10 * MS);
		notified(w, &s[i], 200);
		for (int k = 0; k < w->n_q; k++)
			free(w->q[k].p);
		w->n_q = 0;
	}
	verb(w, "watchtest set desk 40", 200);
	int at_once = w->n_q;
	assert_true(at_once <= (int)cell_limits_default.notify_per_ms); /* a turn stays short */
	w_run(w, 3 * MS);
	assert_int_equal(w->n_q, N);
	for (int i = 0; i < N; i++)
		notified(w, &s[i], 200);
	nothing(w, &a);
	struct cell_in in = {.kind = CELL_IN_QUERY, .u.query = {.token = 1, .kind = CELL_Q_SUBSCRIPTIONS, .limit = 100}};
	int rows = 0, pages = 0;
	do {
		w_step(w, &in);
		for (const char *p = w->answer; (p = strstr(p, "\"event\":\"x-strowger-test\"")); p++)
			rows++;
		in.u.query.cursor = w->answer_next;
		pages++;
	} while (w->answer_next && pages < 20);
	assert_int_equal(rows, N);
	w_close(w);
}

static const struct test_case cases[] = {
	CASE(message_lamp, "R5"), CASE(refusals, "R22"), CASE(refresh_and_end, ""), CASE(expiry_and_fetch, ""), CASE(decided, ""), CASE(collapse, "R5"),
	CASE(failures, ""), CASE(over_a_restart, "R5"), CASE(reserves, "R5"), CASE(sizes, ""), CASE(connection_lost, "R5"), CASE(limits, "R25"),
	CASE(strangers_in_dialog, ""), CASE(refer_outlives_the_call, ""), CASE(fan_out, "R5"),
};
TEST_MAIN("pbx_watch", cases)

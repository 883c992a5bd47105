/* Registration and default deny. */
#include "pbx/phone_test.h"

static struct world *two_phones(struct phone *a, struct phone *b)
{
	struct world *w = w_new(16);
	phone_init(a, 1);
	phone_init(b, 2);
	return w;
}

static int n_contacts(const struct sip_msg *m)
{
	struct sip_contact_iter it = {0};
	struct sip_nameaddr a;
	int n = 0;
	while (sip_contact_next(m, SIP_H_CONTACT, &it, &a) == 1)
		n++;
	return n;
}

static void registers_and_expires(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	register_phone(w, &a);
	assert_int_equal(cell_counts(w->cell).bindings, 1);
	assert_int_equal(w->n_bindings_stored, 1);
	assert_string_equal(w->binding.contact, "sip:201@192.0.2.1:5061");
	assert_int_equal(w->binding.device_id, 1);
	w_run(w, 3599 * (int64_t)SEC);
	assert_int_equal(cell_counts(w->cell).bindings, 1);
	w_run(w, 2 * SEC);
	assert_int_equal(cell_counts(w->cell).bindings, 0);
	assert_int_equal(w->n_bindings_gone, 1);
	w_close(w);
}

/* A refresh touches memory only while the stored row is good for two more grants. */
static void refresh_is_written_behind(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	register_phone(w, &a);
	w_run(w, 600 * (int64_t)SEC);
	register_phone(w, &a);
	w_run(w, 2940 * (int64_t)SEC);
	register_phone(w, &a);
	assert_int_equal(w->n_bindings_stored, 1);
	w_run(w, 3540 * (int64_t)SEC);
	register_phone(w, &a);
	assert_int_equal(w->n_bindings_stored, 2);
	w_run(w, 3500 * (int64_t)SEC);
	assert_int_equal(cell_counts(w->cell).bindings, 1);
	assert_int_equal(w->n_bindings_gone, 0);
	w_close(w);
}

static void same_instance_replaces(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	snprintf(a.instance, sizeof a.instance, "<urn:uuid:00000000-0000-1000-8000-0004F2000001>");
	for (int i = 0; i < 5; i++) {
		snprintf(a.contact, sizeof a.contact, "sip:201@192.0.2.1:%d", 40000 + i);
		snprintf(a.reg_call_id, sizeof a.reg_call_id, "boot-%d", i);
		register_phone(w, &a);
	}
	assert_int_equal(cell_counts(w->cell).bindings, 1);
	assert_string_equal(w->binding.contact, "sip:201@192.0.2.1:40004");
	/* and without an instance: the device's own earlier contact */
	a.instance[0] = '\0';
	snprintf(a.contact, sizeof a.contact, "sip:201@192.0.2.1:40009");
	register_phone(w, &a);
	assert_int_equal(cell_counts(w->cell).bindings, 1);
	w_close(w);
}

static void many_devices_of_one_extension(void **state)
{
	(void)state;
	struct phone a, b, c;
	struct world *w = two_phones(&a, &b);
	w_device(w, 77, "201", "another");
	register_phone(w, &a);
	phone_init(&c, 1);
	c.flow.remote.port = 5999;
	snprintf(c.contact, sizeof c.contact, "sip:201@192.0.2.1:5999");
	snprintf(c.reg_call_id, sizeof c.reg_call_id, "other");
	digest_ha1_make(&c.ha1, SPAN_LIT("201"), SPAN_LIT("strowger"), SPAN_LIT("another"));
	const struct sip_msg *m = do_register(w, &c, "<sip:201@192.0.2.1:5999>", "");
	assert_int_equal(m->status, 200);
	assert_int_equal(n_contacts(m), 2);
	assert_int_equal(w->binding.device_id, 77); /* the device whose secret fits */
	w_close(w);
}

static void limits_of_expires(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	const struct sip_msg *m = do_register(w, &a, "<sip:201@192.0.2.1:5061>", "Expires: 30\r\n");
	assert_int_equal(m->status, 423);
	assert_true(span_eqz(sip_hdr_value(m, SIP_H_MIN_EXPIRES), "60"));
	m = do_register(w, &a, "<sip:201@192.0.2.1:5061>", "Expires: 999999\r\n");
	assert_int_equal(m->status, 200);
	assert_true(span_find(m->raw, SPAN_LIT(";expires=3600")) > 0);
	m = do_register(w, &a, "", "");
	assert_int_equal(n_contacts(m), 1);
	m = do_register(w, &a, "<sip:201@192.0.2.1:5061>;expires=0", "");
	assert_int_equal(m->status, 200);
	assert_int_equal(n_contacts(m), 0);
	assert_int_equal(cell_counts(w->cell).bindings, 0);
	w_close(w);
}

static void star_and_order(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	register_phone(w, &a);
	assert_int_equal(do_register(w, &a, "*", "Expires: 60\r\n")->status, 400);
	a.reg_cseq -= 3; /* older than what is bound */
	assert_int_equal(do_register(w, &a, "<sip:201@192.0.2.1:5061>", "Expires: 600\r\n")->status, 500);
	a.reg_cseq += 10;
	assert_int_equal(do_register(w, &a, "*", "Expires: 0\r\n")->status, 200);
	assert_int_equal(cell_counts(w->cell).bindings, 0);
	w_close(w);
}

static void at_most_ten_bindings(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	for (int i = 0; i < 11; i++) {
		char secret[16], contact[64];
		struct phone p;
		snprintf(secret, sizeof secret, "many%d", i);
		w_device(w, (uint64_t)(100 + i), "201", secret);
		phone_init(&p, 1);
		digest_ha1_make(&p.ha1, SPAN_LIT("201"), SPAN_LIT("strowger"), span_z(secret));
		snprintf(p.reg_call_id, sizeof p.reg_call_id, "many-%d", i);
		snprintf(contact, sizeof contact, "<sip:201@192.0.2.1:%d>", 7000 + i);
		assert_int_equal(do_register(w, &p, contact, "")->status, i < 10 ? 200 : 503);
	}
	w_close(w);
}

/* The same bytes but for the nonce and what the request itself brought. */
static void unknown_and_wrong_look_alike(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	char seen[2][2048];
	for (int i = 0; i < 2; i++) {
		struct digest_challenge ch;
		phone_init(&a, 1);
		if (i == 0)
			snprintf(a.ext, sizeof a.ext, "299"); /* nobody; 201 with a wrong secret */
		digest_ha1_make(&a.ha1, span_z(a.ext), SPAN_LIT("strowger"), SPAN_LIT("guess"));
		send_register(w, &a, "<sip:x@192.0.2.1>", "");
		learn(&a, take_status(w, &a, 401), &ch);
		w->unique = 900;
		send_register(w, &a, "<sip:x@192.0.2.1>", "");
		const struct sip_msg *m = take_status(w, &a, 401);
		snprintf(seen[i], sizeof seen[i], "%.*s", (int)m->raw.n, m->raw.p);
		char *nonce = strstr(seen[i], "nonce=\"");
		assert_non_null(nonce);
		memset(nonce + 7, 'x', 40);
		for (char *p; (p = strstr(seen[i], "299"));)
			memcpy(p, "201", 3);
	}
	assert_string_equal(seen[0], seen[1]);
	assert_int_equal(cell_counts(w->cell).bindings, 0);
	assert_int_equal(cell_counts(w->cell).txns, 0); /* nothing kept for strangers */
	w_close(w);
}

static void pin_never_registers(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	digest_ha1_make(&a.ha1, SPAN_LIT("201"), SPAN_LIT("strowger"), SPAN_LIT("4711"));
	assert_int_equal(do_register(w, &a, "<sip:201@192.0.2.1:5061>", "")->status, 401);
	assert_int_equal(cell_counts(w->cell).bindings, 0);
	/* a new PIN disturbs no registration */
	register_phone(w, &b);
	w_extension(w, "202", "Renamed");
	assert_int_equal(cell_counts(w->cell).bindings, 1);
	register_phone(w, &b);
	w_close(w);
}

static void disabled_extension(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	register_phone(w, &a);
	register_phone(w, &b);
	struct site_extension e = *site_extension_find(w->site, SPAN_LIT("201"));
	e.row.enabled = false;
	w_site(w, site_with_extension(w->site, &e));
	assert_int_equal(cell_counts(w->cell).bindings, 1);
	assert_int_equal(do_register(w, &a, "<sip:201@192.0.2.1:5061>", "")->status, 403);
	e = *site_extension_find(w->site, SPAN_LIT("202"));
	e.row.sip_device = false;
	w_site(w, site_with_extension(w->site, &e));
	assert_int_equal(do_register(w, &b, "<sip:202@192.0.2.1:5062>", "")->status, 403);
	assert_int_equal(cell_counts(w->cell).bindings, 0);
	w_close(w);
}

static void nobody_registers_for_another(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	char buf[2048];
	struct digest_challenge ch;
	send_register(w, &a, "<sip:x@y>", "");
	learn(&a, take_status(w, &a, 401), &ch);
	struct text t = TEXT_ARRAY(buf);
	text_fmt(&t, "REGISTER sip:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.9;branch=z9hG4bKq;rport\r\nFrom: <sip:202@x>;tag=1\r\n"
		     "To: <sip:202@x>\r\nCall-ID: q\r\nCSeq: 1 REGISTER\r\nContact: <sip:202@192.0.2.1>\r\nMax-Forwards: 70\r\n");
	put_auth(w, &a, &t, &ch, "REGISTER", "sip:10.0.0.1");
	text_lit(&t, "Content-Length: 0\r\n\r\n");
	send_bytes(w, &a.flow, text_span(&t));
	take_status(w, &a, 403);
	w_close(w);
}

static void replayed_count_and_stale_nonce(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	register_phone(w, &a);
	a.nc = 0; /* counts from one again, as Polycoms do on a refresh */
	send_register(w, &a, "<sip:201@192.0.2.1:5061>", "");
	const struct sip_msg *m = take_status(w, &a, 401);
	assert_true(span_find(m->raw, SPAN_LIT("stale=true")) > 0);
	register_phone(w, &a);
	w_run(w, 301 * (int64_t)SEC);
	send_register(w, &a, "<sip:201@192.0.2.1:5061>", "");
	m = take_status(w, &a, 401);
	assert_true(span_find(m->raw, SPAN_LIT("stale=true")) > 0);
	struct digest_challenge ch;
	learn(&a, m, &ch);
	send_register(w, &a, "<sip:201@192.0.2.1:5061>", "");
	take_status(w, &a, 200);
	w_close(w);
}

/* After a restart a phone comes with a nonce of the last one: it is no intruder. A wrong secret is, whatever the nonce. */
static void a_nonce_of_another_life(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	register_phone(w, &a);
	uint64_t refused = cell_counts(w->cell).refused_total;
	a.nonce[8] = a.nonce[8] == 'a' ? 'b' : 'a';
	send_register(w, &a, "<sip:201@192.0.2.1:5061>", "");
	const struct sip_msg *m = take_status(w, &a, 401);
	assert_true(span_find(m->raw, SPAN_LIT("stale=true")) > 0);
	assert_int_equal(cell_counts(w->cell).refused_total, refused);
	a.ha1.md5[0] ^= 1;
	send_register(w, &a, "<sip:201@192.0.2.1:5061>", "");
	m = take_status(w, &a, 401);
	assert_true(span_find(m->raw, SPAN_LIT("stale=true")) < 0);
	assert_int_equal(cell_counts(w->cell).refused_total, refused + 1);
	w_close(w);
}

static void sha256_when_wanted(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	struct site_settings st = *site_settings_of(w->site);
	struct digest_challenge ch;
	st.auth_sha256 = true;
	w_site(w, site_with_settings(w->site, &st));
	send_register(w, &a, "<sip:201@192.0.2.1:5061>", "");
	const struct sip_msg *m = take_status(w, &a, 401);
	const struct sip_hdr *h = sip_hdr(m, SIP_H_WWW_AUTHENTICATE);
	assert_int_equal(digest_parse_challenge(h->value, &ch), DIGEST_OK);
	assert_int_equal(ch.alg, DIGEST_SHA256);
	h = sip_hdr_next(m, h);
	assert_non_null(h);
	assert_int_equal(digest_parse_challenge(h->value, &ch), DIGEST_OK);
	assert_int_equal(ch.alg, DIGEST_MD5);
	w_close(w);
}

static void restored_at_start(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	register_phone(w, &a);
	struct cell_in in = {.kind = CELL_IN_BINDING, .u.binding = w->binding};
	struct world *w2 = two_phones(&a, &b);
	w_step(w2, &in);
	assert_int_equal(cell_counts(w2->cell).bindings, 1);
	in.u.binding.expires_wall_ms = 5; /* long past */
	snprintf(in.u.binding.extension, sizeof in.u.binding.extension, "202");
	w_step(w2, &in);
	assert_int_equal(cell_counts(w2->cell).bindings, 1);
	struct side sb;
	phone_init(&b, 2);
	call(w2, &sb, &b, "201", "", SDP(&b));
	take_request(w2, &a, SIP_INVITE);
	w_run(w2, 120 * (int64_t)SEC);
	w_close(w2);
	w_close(w);
}

/* A row that is written behind may be lost with the process: what an earlier one says must outlive the phone's silence, which is a
 * whole grant from the lost refresh on. */
static void a_lost_refresh_is_survived(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	register_phone(w, &a);
	struct cell_in in = {.kind = CELL_IN_BINDING, .u.binding = w->binding};
	int64_t grant_ms = 3600 * 1000, refreshed_ms = 3540 * 1000; /* the refresh whose row is lost */
	assert_true(in.u.binding.expires_wall_ms >= refreshed_ms + grant_ms);
	struct world *w2 = two_phones(&a, &b);
	w_run(w2, refreshed_ms * 1000);
	w_step(w2, &in);
	assert_int_equal(cell_counts(w2->cell).bindings, 1);
	w_run(w2, (grant_ms - 60 * 1000) * 1000);
	assert_int_equal(cell_counts(w2->cell).bindings, 1);
	w_run(w2, 61 * (int64_t)SEC); /* nobody keeps it longer than one grant */
	assert_int_equal(cell_counts(w2->cell).bindings, 0);
	w_close(w2);
	w_close(w);
}

/* A softphone without instance comes back from another address with another Call-ID after our restart: what was restored of
 * its device goes, also a second one that a kill left in the store; another device's binding stays. */
static void restored_bindings_are_replaced(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	w_device(w, 77, "201", "another");
	register_phone(w, &a);
	struct cell_in in = {.kind = CELL_IN_BINDING, .u.binding = w->binding};
	struct world *w2 = two_phones(&a, &b);
	w_device(w2, 77, "201", "another");
	w_step(w2, &in);
	snprintf(in.u.binding.contact, sizeof in.u.binding.contact, "sip:201@192.0.2.1:4444");
	snprintf(in.u.binding.call_id, sizeof in.u.binding.call_id, "before");
	w_step(w2, &in);
	in.u.binding.device_id = 77;
	snprintf(in.u.binding.contact, sizeof in.u.binding.contact, "sip:201@192.0.2.1:5999");
	w_step(w2, &in);
	assert_int_equal(cell_counts(w2->cell).bindings, 3);
	phone_init(&a, 1);
	a.flow.remote.port = 41000;
	snprintf(a.contact, sizeof a.contact, "sip:x7f3@192.0.2.1:41000");
	snprintf(a.reg_call_id, sizeof a.reg_call_id, "after");
	register_phone(w2, &a);
	assert_int_equal(cell_counts(w2->cell).bindings, 2);
	assert_int_equal(w2->n_bindings_gone, 2); /* the store forgets them too */
	assert_string_equal(w2->binding.contact, "sip:x7f3@192.0.2.1:41000");
	w_close(w2);
	w_close(w);
}

/* The wall clock jumps by a month: nobody expires, and the durations of a record do not notice. */
static void wall_clock_jumps(void **state)
{
	(void)state;
	struct phone a, b;
	struct side sa, sb;
	struct world *w = two_phones(&a, &b);
	register_phone(w, &a);
	register_phone(w, &b);
	connect_call(w, &sa, &a, &sb, &b);
	w_run(w, 5 * SEC);
	struct cell_in in = {.kind = CELL_IN_WALL, .u.wall_minus_mono_us = INT64_C(1702592000) * SEC};
	w_step(w, &in);
	w_run(w, 5 * SEC);
	assert_int_equal(cell_counts(w->cell).bindings, 2);
	in.u.wall_minus_mono_us = INT64_C(1690000000) * SEC;
	w_step(w, &in);
	hang_up(w, &sa, &sb);
	assert_int_equal(cdr_of(w, 1, 0)->talk_ms, 10000);
	assert_int_equal(cell_counts(w->cell).bindings, 2);
	w_close(w);
}

static int64_t cell_now_ms(const struct world *w)
{
	return (w->now + INT64_C(1700000000) * SEC) / MS;
}

static void flow_of_tcp(void **state)
{
	(void)state;
	struct phone a, b;
	struct world *w = two_phones(&a, &b);
	a.flow.transport = SIP_TCP;
	a.flow.conn = 7;
	a.flow.remote.port = 49152;
	register_phone(w, &a);
	struct cell_in in = {.kind = CELL_IN_FLOW_CLOSED, .u.sip.flow = a.flow};
	w_step(w, &in);
	struct side sb;
	call(w, &sb, &b, "201", "", SDP(&b));
	a.flow.conn = 0; /* a new connection to where the phone listens */
	a.flow.remote.port = 5061;
	take_request(w, &a, SIP_INVITE);
	w_run(w, 120 * (int64_t)SEC);
	w_close(w);
}

/* A router between us: over UDP the phone comes again before the router forgets it; its requests go where it came from. */
static void behind_nat_comes_often(void **state)
{
	(void)state;
	struct phone a, b;
	struct side sb;
	struct world *w = two_phones(&a, &b);
	snprintf(a.contact, sizeof a.contact, "sip:201@192.168.7.2:5060");
	register_phone(w, &a);
	assert_int_equal(w->binding.expires_wall_ms, cell_now_ms(w) + 3 * 60000);
	register_phone(w, &b);
	assert_int_equal(w->binding.expires_wall_ms, cell_now_ms(w) + 3 * 3600000);
	call(w, &sb, &b, "201", "", SDP(&b));
	const struct sip_msg *inv = take_request(w, &a, SIP_INVITE);
	assert_true(span_eqz(inv->ruri.all, "sip:201@192.168.7.2:5060"));
	w_run(w, 50 * (int64_t)SEC);
	assert_int_equal(cell_counts(w->cell).bindings, 2);
	w_run(w, 60 * (int64_t)SEC);
	assert_int_equal(cell_counts(w->cell).bindings, 1);
	w_close(w);
}

/* A proxy before the phone (RFC 3327): its Path is the Route of what we send. */
static void path_is_the_route(void **state)
{
	(void)state;
	struct phone a, b;
	struct side sb;
	struct world *w = two_phones(&a, &b);
	snprintf(a.contact, sizeof a.contact, "sip:201@192.168.7.2:5060");
	send_register(w, &a, "<sip:201@192.168.7.2:5060>", "Path: <sip:192.0.2.9;lr;ob>\r\nRequire: path\r\nExpires: 3600\r\n");
	struct digest_challenge ch;
	learn(&a, take_status(w, &a, 401), &ch);
	send_register(w, &a, "<sip:201@192.168.7.2:5060>", "Path: <sip:192.0.2.9;lr;ob>\r\nRequire: path\r\nExpires: 3600\r\n");
	const struct sip_msg *ok = take_status(w, &a, 200);
	assert_true(span_eqz(sip_hdr_value(ok, SIP_H_PATH), "<sip:192.0.2.9;lr;ob>"));
	assert_true(span_find(ok->raw, SPAN_LIT("expires=3600")) > 0); /* what lies behind the proxy is its business */
	register_phone(w, &b);
	call(w, &sb, &b, "201", "", SDP(&b));
	const struct sip_msg *inv = take_request(w, &a, SIP_INVITE);
	assert_true(span_eqz(sip_hdr_value(inv, SIP_H_ROUTE), "<sip:192.0.2.9;lr;ob>"));
	w_run(w, 120 * (int64_t)SEC);
	w_close(w);
}

static void register_flow(struct world *w, struct phone *p, uint32_t conn, uint16_t port, int reg_id)
{
	char contact[256];
	p->flow.transport = SIP_TLS;
	p->flow.conn = conn;
	p->flow.remote.port = port;
	snprintf(p->reg_call_id, sizeof p->reg_call_id, "flow-%d", reg_id);
	snprintf(contact, sizeof contact, "<sip:201@192.168.7.2:5061;transport=tls;ob>;reg-id=%d;+sip.instance=\"<urn:uuid:1>\"", reg_id);
	send_register(w, p, contact, "Supported: outbound, path\r\nRequire: outbound\r\nExpires: 600\r\n");
	const struct sip_msg *m = take(w, p);
	if (m && m->status == 401) {
		struct digest_challenge ch;
		learn(p, m, &ch);
		send_register(w, p, contact, "Supported: outbound, path\r\nExpires: 600\r\n");
		m = take(w, p);
	}
	assert_non_null(m);
	assert_int_equal(m->status, 200);
	assert_true(sip_has_token(m, SIP_H_REQUIRE, "outbound"));
}

/* Two flows of one phone (RFC 5626): the newest rings, alone; when it fails the other does; a flow ends with its connection. */
static void two_flows_of_one_phone(void **state)
{
	(void)state;
	struct phone first, second, b;
	struct side sb;
	struct world *w = two_phones(&first, &b);
	register_phone(w, &b);
	register_flow(w, &first, 11, 40001, 1);
	w_run(w, 5 * SEC);
	second = first;
	register_flow(w, &second, 12, 40002, 2);
	assert_int_equal(cell_counts(w->cell).bindings, 3);
	call(w, &sb, &b, "201", "", SDP(&b));
	const struct sip_msg *inv = take_request(w, &second, SIP_INVITE);
	assert_true(span_starts(inv->via.transport, SPAN_LIT("TLS")));
	nothing(w, &first);
	/* its connection is gone while it rings */
	struct cell_in in = {.kind = CELL_IN_FLOW_CLOSED, .u.sip.flow = second.flow};
	w_step(w, &in);
	assert_int_equal(cell_counts(w->cell).bindings, 2);
	take_request(w, &first, SIP_INVITE);
	/* and the last: the caller hears that nobody is there */
	in.u.sip.flow = first.flow;
	w_step(w, &in);
	assert_int_equal(cell_counts(w->cell).bindings, 1);
	take_status(w, &b, 480);
	w_run(w, 40 * (int64_t)SEC);
	w_close(w);
}

static const struct test_case cases[] = {
	CASE(registers_and_expires, ""),
	CASE(refresh_is_written_behind, ""),
	CASE(same_instance_replaces, "C48"),
	CASE(many_devices_of_one_extension, "Z55"),
	CASE(limits_of_expires, ""),
	CASE(star_and_order, ""),
	CASE(at_most_ten_bindings, ""),
	CASE(unknown_and_wrong_look_alike, ""),
	CASE(pin_never_registers, "G112 G113 Z55"),
	CASE(disabled_extension, "G107"),
	CASE(nobody_registers_for_another, ""),
	CASE(replayed_count_and_stale_nonce, ""),
	CASE(a_nonce_of_another_life, "R4 Z45"),
	CASE(sha256_when_wanted, ""),
	CASE(restored_at_start, "R4"),
	CASE(a_lost_refresh_is_survived, "R4"),
	CASE(restored_bindings_are_replaced, "C48"),
	CASE(wall_clock_jumps, "R15"),
	CASE(flow_of_tcp, ""),
	CASE(behind_nat_comes_often, "G12"),
	CASE(path_is_the_route, "G12"),
	CASE(two_flows_of_one_phone, "G12"),
};
TEST_MAIN("pbx_registrar", cases)

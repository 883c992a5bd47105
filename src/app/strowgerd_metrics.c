#include "app/strowgerd_metrics.h"

#include "base/assert.h"
#include "sip/msg/msg.h"

#include <stdatomic.h>
#include <stdlib.h>

/* ---- notes --------------------------------------------------------------------------------------------------- */

typedef atomic_uint_fast64_t counter;

#define METHOD(z) {z, sizeof z - 1}
static const struct span methods[] = {METHOD("INVITE"), METHOD("ACK"), METHOD("BYE"), METHOD("CANCEL"), METHOD("REGISTER"), METHOD("OPTIONS"), METHOD("INFO"), METHOD("UPDATE"),
				      METHOD("PRACK"), METHOD("SUBSCRIBE"), METHOD("NOTIFY"), METHOD("REFER"), METHOD("MESSAGE"), METHOD("PUBLISH"), METHOD("other")};
enum { METHODS = sizeof methods / sizeof methods[0], STATUS_MIN = 100, STATUS_MAX = 700, CAUSES = 600, BUCKETS = 12 };

/* Upper bounds in microseconds; what is above the last counts in +Inf alone. */
struct histogram {
	const int64_t *le;
	counter n[BUCKETS + 1], sum_us;
};
static const int64_t call_le[BUCKETS] = {5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 60000000};
static const int64_t turn_le[BUCKETS] = {10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 50000, 250000};

struct metrics {
	int64_t started_us;
	counter requests[2][METHODS], responses[2][STATUS_MAX - STATUS_MIN], unreadable;
	counter events[LOG_ERROR + 1], inputs, effects_lost;
	counter records, causes[CAUSES], rtp_lost, rtp_dropped, mos_records, mos_sum_x100, jitter_us_sum, jitter_records;
	struct histogram ring, answer, turn, late;
};

static void add(counter *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static uint64_t get(const counter *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void observe(struct histogram *h, int64_t us)
{
	size_t i = 0;
	while (i < BUCKETS && us > h->le[i])
		i++;
	add(&h->n[i], 1);
	add(&h->sum_us, us > 0 ? (uint64_t)us : 0);
}

struct metrics *metrics_new(int64_t now_us)
{
	struct metrics *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->started_us = now_us;
	m->ring.le = m->answer.le = call_le;
	m->turn.le = m->late.le = turn_le;
	return m;
}

void metrics_free(struct metrics *m)
{
	free(m);
}

static size_t method_of(struct span word)
{
	size_t i = 0;
	while (i < METHODS - 1 && !span_eq(word, methods[i]))
		i++;
	return i;
}

void metrics_message(struct metrics *m, bool in, struct span bytes)
{
	uint64_t status;
	if (!m)
		return;
	if (!span_starts(bytes, SPAN_LIT("SIP/2.0 "))) {
		struct span head = span_sub(bytes, 0, 16);
		ptrdiff_t end = span_chr(head, ' ');
		add(&m->requests[in][end > 0 ? method_of(span_sub(head, 0, (size_t)end)) : METHODS - 1], 1);
	} else if (span_u64(span_sub(bytes, 8, 11), STATUS_MAX - 1, &status) == 0 && status >= STATUS_MIN) {
		add(&m->responses[in][status - STATUS_MIN], 1);
	} else {
		add(&m->unreadable, 1);
	}
}

void metrics_event(struct metrics *m, enum log_level level)
{
	if (m)
		add(&m->events[level], 1);
}

void metrics_progress(struct metrics *m, bool answered, int64_t after_us)
{
	if (m)
		observe(answered ? &m->answer : &m->ring, after_us);
}

void metrics_record(struct metrics *m, const struct cdr_row *row)
{
	if (!m || !row->closed)
		return;
	add(&m->records, 1);
	add(&m->causes[row->cause < CAUSES ? row->cause : 0], 1);
	add(&m->rtp_lost, row->media.rx_lost);
	add(&m->rtp_dropped, row->media.rx_dropped);
	if (row->media.rx_packets) {
		add(&m->jitter_records, 1);
		add(&m->jitter_us_sum, row->media.jitter_us);
	}
	if (row->media.mos_x100) {
		add(&m->mos_records, 1);
		add(&m->mos_sum_x100, row->media.mos_x100);
	}
}

void metrics_turn(struct metrics *m, int64_t us, uint32_t inputs)
{
	if (!m)
		return;
	observe(&m->turn, us);
	add(&m->inputs, inputs);
}

void metrics_late(struct metrics *m, int64_t us)
{
	if (m)
		observe(&m->late, us);
}

void metrics_effect_lost(struct metrics *m)
{
	if (m)
		add(&m->effects_lost, 1);
}

/* ---- text ---------------------------------------------------------------------------------------------------- */

static void family(struct text *t, const char *name, const char *type, const char *help)
{
	text_fmt(t, "# HELP strowger_%s %s\n# TYPE strowger_%s %s\n", name, help, name, type);
}

static void one(struct text *t, const char *name, const char *type, const char *help, uint64_t v)
{
	family(t, name, type, help);
	text_fmt(t, "strowger_%s %llu\n", name, (unsigned long long)v);
}

static void seconds(struct text *t, uint64_t us)
{
	text_fmt(t, "%llu.%06llu", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
}

static void labelled(struct text *t, const char *name, const char *labels, uint64_t v)
{
	text_fmt(t, "strowger_%s{%s} %llu\n", name, labels, (unsigned long long)v);
}

static void histogram(struct text *t, const char *name, const char *help, const struct histogram *h)
{
	uint64_t n = 0;
	family(t, name, "histogram", help);
	for (size_t i = 0; i < BUCKETS; i++) {
		n += get(&h->n[i]);
		text_fmt(t, "strowger_%s_bucket{le=\"", name);
		seconds(t, (uint64_t)h->le[i]);
		text_fmt(t, "\"} %llu\n", (unsigned long long)n);
	}
	n += get(&h->n[BUCKETS]);
	text_fmt(t, "strowger_%s_bucket{le=\"+Inf\"} %llu\nstrowger_%s_sum ", name, (unsigned long long)n, name);
	seconds(t, get(&h->sum_us));
	text_fmt(t, "\nstrowger_%s_count %llu\n", name, (unsigned long long)n);
}

static void messages(const struct metrics *m, struct text *t)
{
	static const char *const way[] = {"out", "in"};
	char l[64];
	family(t, "sip_requests_total", "counter", "SIP requests, repetitions included, by direction and method.");
	for (size_t d = 0; d < 2; d++)
		for (size_t i = 0; i < METHODS; i++) {
			struct text lt = TEXT_ARRAY(l);
			text_fmt(&lt, "direction=\"%s\",method=\"%s\"", way[d], methods[i].p);
			text_end(&lt);
			labelled(t, "sip_requests_total", l, get(&m->requests[d][i]));
		}
	family(t, "sip_responses_total", "counter", "SIP responses, repetitions included, by direction and status.");
	for (size_t d = 0; d < 2; d++)
		for (unsigned i = 0; i < STATUS_MAX - STATUS_MIN; i++) {
			uint64_t v = get(&m->responses[d][i]);
			if (!v && i + STATUS_MIN != 200)
				continue; /* the series of a status begins when it occurs */
			struct text lt = TEXT_ARRAY(l);
			text_fmt(&lt, "direction=\"%s\",status=\"%u\"", way[d], i + STATUS_MIN);
			text_end(&lt);
			labelled(t, "sip_responses_total", l, v);
		}
}

static void limit(struct text *t, bool max, const char *what, uint64_t v)
{
	text_fmt(t, "strowger_limit_%s{resource=\"%s\"} %llu\n", max ? "max" : "used", what, (unsigned long long)v);
}

/* Used and max by the same names: an alert is one division. */
static void limits(const struct metrics_view *v, struct text *t)
{
	const struct { const char *what; uint64_t used, max; } all[] = {
		{"calls", v->cell.calls, v->limits.max_calls},
		{"legs", v->cell.legs, v->limits.max_legs},
		{"registrations", v->cell.bindings, v->limits.max_bindings},
		{"transactions", v->cell.txns, v->limits.max_txns},
		{"unconfirmed_records", v->cell.cdr_unconfirmed - (v->cell.cdr_open < v->cell.cdr_unconfirmed ? v->cell.cdr_open : v->cell.cdr_unconfirmed),
		 v->limits.max_unconfirmed},
		{"media_slots", v->cell.slots_used, v->media_slots},
		{"sip_connections", (uint64_t)v->tcp.open + v->tls.open, v->max_streams},
	};
	for (int max = 0; max < 2; max++) {
		family(t, max ? "limit_max" : "limit_used", "gauge", max ? "What a bounded resource may hold." : "What a bounded resource holds.");
		for (size_t i = 0; i < COUNT_OF(all); i++)
			limit(t, max, all[i].what, max ? all[i].max : all[i].used);
	}
}

static void calls(const struct metrics *m, const struct metrics_view *v, struct text *t)
{
	one(t, "extensions", "gauge", "Extensions of the site.", v->extensions);
	one(t, "devices", "gauge", "Devices of the site.", v->devices);
	one(t, "registrations", "gauge", "Registered contacts.", v->cell.bindings);
	one(t, "registrations_total", "counter", "Accepted registrations, refreshes included.", v->cell.registrations_total);
	one(t, "registrations_refused_total", "counter", "REGISTER requests refused after authentication.", v->cell.noted.register_refused);
	one(t, "calls", "gauge", "Calls there are now.", v->cell.calls);
	one(t, "legs", "gauge", "Legs of these calls.", v->cell.legs);
	one(t, "dialogs", "gauge", "SIP dialogs.", v->cell.dialogs);
	one(t, "calls_total", "counter", "Calls begun.", v->cell.calls_total);
	one(t, "calls_answered_total", "counter", "Calls answered.", v->cell.calls_answered);
	one(t, "requests_refused_total", "counter", "Requests refused: credentials, limits, unknown numbers.", v->cell.refused_total);
	one(t, "auth_refused_total", "counter", "Wrong credentials.", v->cell.noted.auth_refused);
	one(t, "limits_reached_total", "counter", "Refusals because a bounded resource was full.", v->cell.noted.limits_reached);
	family(t, "legs_ended_total", "counter", "Legs ended, by Q.850 cause (303 transferred, 487 cancelled, 502 interrupted).");
	for (unsigned i = 0; i < CAUSES; i++)
		if (get(&m->causes[i]) || i == 16)
			text_fmt(t, "strowger_legs_ended_total{cause=\"%u\"} %llu\n", i, (unsigned long long)get(&m->causes[i]));
	histogram(t, "call_ringing_seconds", "From the INVITE of a call to its first 18x.", &m->ring);
	histogram(t, "call_answer_seconds", "From the INVITE of a call to its 200.", &m->answer);
}

static void transport(const struct metrics *m, const struct metrics_view *v, struct text *t)
{
	one(t, "sip_malformed_total", "counter", "Messages that could not be read.", v->cell.noted.malformed + get(&m->unreadable));
	one(t, "sip_retransmits_total", "counter", "Messages that we repeated.", v->cell.retransmits);
	one(t, "sip_not_sent_total", "counter", "Messages for which there was no way or no room.", get(&m->effects_lost));
	one(t, "transactions", "gauge", "SIP transactions.", v->cell.txns);
	one(t, "sip_udp_received_total", "counter", "SIP datagrams received.", v->udp.rx);
	one(t, "sip_udp_sent_total", "counter", "SIP datagrams sent.", v->udp.tx);
	one(t, "sip_udp_keepalives_total", "counter", "Keep-alive datagrams.", v->udp.keepalives);
	one(t, "sip_udp_lost_total", "counter", "SIP datagrams that the kernel did not take.", v->udp.lost);
	one(t, "sip_udp_too_long_total", "counter", "SIP datagrams longer than a message may be.", v->udp.too_long);
	const struct { const char *name, *help; uint64_t tcp, tls; } both[] = {
		{"sip_connections_accepted_total", "Connections accepted.", v->tcp.accepted, v->tls.accepted},
		{"sip_connections_closed_total", "Connections closed.", v->tcp.closed, v->tls.closed},
		{"sip_connections_broken_total", "Connections closed because framing was lost.", v->tcp.broken, v->tls.broken},
		{"sip_connections_slow_total", "Connections closed because their reader was too slow.", v->tcp.slow_closed, v->tls.slow_closed},
		{"sip_connections_timed_out_total", "Connections closed because nothing whole came in time.", v->tcp.timed_out, v->tls.timed_out},
		{"sip_stream_received_total", "Messages received over connections.", v->tcp.rx, v->tls.rx},
		{"sip_stream_sent_total", "Messages sent over connections.", v->tcp.tx, v->tls.tx},
		{"sip_stream_lost_total", "Messages dropped because the queue to the connections was full.", v->tcp.ring_out_full, v->tls.ring_out_full}};
	for (size_t i = 0; i < COUNT_OF(both); i++) {
		family(t, both[i].name, "counter", both[i].help);
		labelled(t, both[i].name, "transport=\"tcp\"", both[i].tcp);
		labelled(t, both[i].name, "transport=\"tls\"", both[i].tls);
	}
	one(t, "tls_handshakes_total", "counter", "TLS handshakes done.", v->tls.handshakes);
	one(t, "tls_handshakes_failed_total", "counter", "TLS handshakes failed.", v->tls.handshake_failed);
	one(t, "tls_handshakes_refused_total", "counter", "TLS handshakes refused: too many from one source.", v->tls.handshake_refused);
}

static void defence(const struct metrics_view *v, struct text *t)
{
	one(t, "admitted_total", "counter", "Messages let through to the switch.", v->admit.verdicts[ADMIT_PASS]);
	family(t, "dropped_total", "counter", "Messages dropped unread, by why: a blocked source, a source's rate, all strangers' rate.");
	labelled(t, "dropped_total", "why=\"blocked\"", v->admit.verdicts[ADMIT_BLOCKED]);
	labelled(t, "dropped_total", "why=\"source_rate\"", v->admit.verdicts[ADMIT_RATE]);
	labelled(t, "dropped_total", "why=\"strangers_rate\"", v->admit.verdicts[ADMIT_LOAD]);
	one(t, "emergency_messages_total", "counter", "Calls for help let through from strangers and blocked sources.", v->admit.emergencies);
	one(t, "sources_known", "gauge", "Sources with registrations.", v->admit.known);
	one(t, "sources_blocked", "gauge", "Sources that are blocked (banned).", v->admit.blocked);
	one(t, "subscriptions", "gauge", "Subscriptions (RFC 6665).", v->cell.subscriptions);
	one(t, "notifies_total", "counter", "NOTIFY requests sent.", v->cell.notifies);
}

static void voice(const struct metrics *m, const struct metrics_view *v, struct text *t)
{
	one(t, "rtp_received_total", "counter", "RTP and RTCP packets received.", v->media.rx_packets);
	one(t, "rtp_sent_total", "counter", "RTP and RTCP packets sent.", v->media.tx_packets);
	one(t, "rtp_not_sent_total", "counter", "Packets that the kernel refused.", v->media.tx_failed);
	one(t, "rtp_lost_total", "counter", "RTP packets lost on the way to us, of ended legs.", get(&m->rtp_lost));
	one(t, "rtp_dropped_total", "counter", "RTP packets of strangers or malformed, of ended legs.", get(&m->rtp_dropped));
	one(t, "rtp_strangers_total", "counter", "Legs at which somebody else sent RTP.", v->cell.noted.media_strangers);
	family(t, "rtp_jitter_seconds", "summary", "Interarrival jitter (RFC 3550) at the end of a leg.");
	text_lit(t, "strowger_rtp_jitter_seconds_sum ");
	seconds(t, get(&m->jitter_us_sum));
	text_fmt(t, "\nstrowger_rtp_jitter_seconds_count %llu\n", (unsigned long long)get(&m->jitter_records));
	family(t, "rtp_mos", "summary", "Estimated listening quality (E-model, 1 to 4.5) of ended legs.");
	text_fmt(t, "strowger_rtp_mos_sum %llu.%02llu\nstrowger_rtp_mos_count %llu\n", (unsigned long long)(get(&m->mos_sum_x100) / 100),
		 (unsigned long long)(get(&m->mos_sum_x100) % 100), (unsigned long long)get(&m->mos_records));
}

static void machine(const struct metrics *m, const struct metrics_view *v, struct text *t)
{
	histogram(t, "cell_turn_seconds", "How long one turn of the switch took: everything else waits for it.", &m->turn);
	histogram(t, "sip_queue_delay_seconds", "How long the oldest datagram of a turn had waited.", &m->late);
	one(t, "cell_inputs_total", "counter", "Inputs that the switch took.", get(&m->inputs));
	one(t, "cell_timers", "gauge", "Timers set.", v->cell.timers);
	one(t, "records_total", "counter", "Call records closed.", get(&m->records));
	one(t, "store_commits_total", "counter", "Transactions of the database.", v->store.commits);
	one(t, "store_failures_total", "counter", "Transactions of the database that failed.", v->store.failures);
	one(t, "store_records_written_total", "counter", "Rows of call records made durable.", v->store.cdr_written);
	one(t, "store_registrations_written_total", "counter", "Rows of registrations written.", v->store.bindings_written);
	one(t, "store_queue", "gauge", "Rows that wait for the database.", v->store.queued);
	one(t, "hep_sent_total", "counter", "Messages copied to the HEP collector.", v->hep.sent);
	one(t, "hep_dropped_total", "counter", "Messages that were not: too long for a datagram, or no room.", v->hep.dropped);
	one(t, "log_dropped_total", "counter", "Lines that the log file did not take.", v->log_dropped);
	family(t, "log_events_total", "counter", "Events of the switch from the lowest level that the log's rules let through, by level.");
	for (int i = LOG_DEBUG; i <= LOG_ERROR; i++)
		text_fmt(t, "strowger_log_events_total{level=\"%s\"} %llu\n", log_level_name((enum log_level)i), (unsigned long long)get(&m->events[i]));
	if (v->rss_bytes >= 0)
		one(t, "resident_memory_bytes", "gauge", "Memory of the process.", (uint64_t)v->rss_bytes);
	family(t, "uptime_seconds", "gauge", "Since the start.");
	text_lit(t, "strowger_uptime_seconds ");
	seconds(t, (uint64_t)(v->now_us - m->started_us));
	text_putc(t, '\n');
	family(t, "build_info", "gauge", "Version; always 1.");
	text_lit(t, "strowger_build_info{version=\"" STROWGER_VERSION "\"} 1\n");
}

void metrics_render(const struct metrics *m, const struct metrics_view *v, struct text *t)
{
	calls(m, v, t);
	messages(m, t);
	transport(m, v, t);
	defence(v, t);
	voice(m, v, t);
	limits(v, t);
	machine(m, v, t);
}

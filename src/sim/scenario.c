/* Scenario files: what each line does. The language is described in tests/scenarios/README.md. */
#include "sim/scenario.h"

#include <stdio.h>
#include <stdlib.h>

struct span scn_word(struct span *rest)
{
	*rest = span_trim(*rest);
	size_t n = 0;
	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
		n++;
	struct span w = span_sub(*rest, 0, n);
	*rest = span_trim(span_sub(*rest, n, rest->n));
	return w;
}

/* Without comment: "#" at the beginning or behind a space ("dtmf 1#" is none). */
struct span scn_strip(struct span line)
{
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] == '#' && (i == 0 || line.p[i - 1] == ' ' || line.p[i - 1] == '\t'))
			return span_trim(span_sub(line, 0, i));
	return span_trim(line);
}

/* Seconds as decimal: "12", "0.25", "-3600". */
bool scn_number(struct span s, double *out)
{
	char buf[32], *end;
	if (s.n == 0 || !span_copyz(s, buf, sizeof buf))
		return false;
	*out = strtod(buf, &end);
	return *end == 0;
}

static void fail(struct scenario *s, const char *what, struct span line)
{
	violation(&s->w, "line %d: %s: " SPAN_FMT, s->line, what, SPAN_ARG(line));
}

static struct span line_value(struct span file, const char *key)
{
	while (file.p) {
		struct span line = span_trim(span_cut(&file, '\n')), w = scn_word(&line);
		if (span_eqz(w, key))
			return line;
	}
	return SPAN_NONE;
}

struct span sim_scenario_rows(struct span file)
{
	return line_value(file, "rows:");
}

uint32_t sim_scenario_seeds(struct span file)
{
	uint64_t n;
	return span_u64(line_value(file, "seeds"), 1000000, &n) == 0 && n > 0 ? (uint32_t)n : 1;
}

/* ---- what a phone is told ------------------------------------------------------------------------------------------ */

static struct sim_phone *phone_arg(struct scenario *s, struct span w)
{
	uint64_t n;
	return span_u64(w, s->w.n_phones, &n) == 0 && n > 0 ? &s->w.phone[n - 1] : NULL;
}

static void power_on(struct scenario *s, struct sim_phone *p, uint16_t port, struct span line)
{
	const char *error = "";
	if (phone_power(&s->w, p, port, 20, &error) != 0)
		fail(s, error, line);
}

static void power_off(struct scenario *s, struct sim_phone *p)
{
	net_cut(&s->w, p);
	if (p->v)
		vphone_free(p->v);
	p->v = NULL;
	memset(p->rtp_port, 0, sizeof p->rtp_port);
}

static void tell(struct scenario *s, struct sim_phone *p, struct span rest, struct span line)
{
	char verb[24], arg[128];
	struct span v = scn_word(&rest);
	if (!span_copyz(v, verb, sizeof verb) || !span_copyz(rest, arg, sizeof arg)) {
		fail(s, "too long", line);
	} else if (span_eqz(v, "power")) {
		uint64_t port = 5060;
		struct span w = scn_word(&rest);
		if (span_eqz(w, "off"))
			power_off(s, p);
		else if (w.n && !span_eqz(w, "on") && span_u64(w, 65535, &port) != 0)
			fail(s, "power on | off | PORT", line);
		else
			power_on(s, p, (uint16_t)port, line);
	} else if (span_eqz(v, "cut")) {
		net_cut(&s->w, p);
	} else {
		phone_user(p, verb, arg);
	}
}

/* ---- what is expected ---------------------------------------------------------------------------------------------- */

static const char *const state_names[] = {"none", "dialtone", "proceeding", "ringback", "ringing", "connected", "held", "held-by-peer",
					   "busy", "ending"};

static bool state_is(struct sim_phone *p, struct span want)
{
	struct vphone_view v;
	if (!p->v)
		return span_eqz(want, "off");
	vphone_view_quick(p->v, &v);
	if (span_eqz(want, "registered"))
		return v.registered;
	if (span_eqz(want, "idle"))
		return v.n_calls == 0;
	if (span_eqz(want, "booted"))
		return v.booted;
	if (span_eqz(want, "subscribed"))
		return v.subscribed;
	if (span_eqz(want, "lamp"))
		return v.lamp;
	if (span_eqz(want, "dark"))
		return v.subscribed && !v.lamp;
	for (int i = 0; i < v.n_calls; i++)
		if (span_eqz(want, state_names[v.call[i].state]))
			return true;
	return false;
}

static void expect_state(struct scenario *s, struct sim_phone *p, struct span rest, struct span line)
{
	struct vphone_view v;
	double n;
	struct span what = scn_word(&rest);
	if (!p->v) {
		if (!span_eqz(what, "off"))
			fail(s, "the phone is off", line);
		return;
	}
	vphone_view(p->v, &v);
	if (span_eqz(what, "status")) {
		if (!scn_number(rest, &n) || s->status[p->i] != (uint16_t)n) {
			char text[64];
			snprintf(text, sizeof text, "the status is %u", s->status[p->i]);
			fail(s, text, line);
		}
	} else if (span_eqz(what, "tone")) {
		int hz = v.n_calls ? v.call[v.focus >= 0 ? v.focus : 0].tone_hz : 0;
		if (!scn_number(rest, &n) || hz < (int)n - 12 || hz > (int)n + 12)
			fail(s, "another tone", line);
	} else if (span_eqz(what, "messages")) {
		char text[64];
		snprintf(text, sizeof text, "%u/%u", v.messages_new, v.messages_old);
		if (!span_eqz(rest, text))
			fail(s, text, line);
	} else if (span_eqz(what, "digits")) {
		if (!span_eqz(rest, v.digits))
			fail(s, v.digits[0] ? v.digits : "no digits", line);
	} else if (!state_is(p, what)) {
		char text[64];
		snprintf(text, sizeof text, "%d calls, the first is %s", v.n_calls, v.n_calls ? state_names[v.call[0].state] : "not there");
		fail(s, text, line);
	}
}

static uint32_t cdr_count(const struct world *w, struct span what, struct span rest)
{
	uint32_t n = 0;
	double x = 0;
	bool with = scn_number(rest, &x);
	for (uint32_t i = 0; i < w->cdr.n; i++) {
		const struct cdr_seen *r = &w->cdr.row[i];
		if (r->gone)
			continue;
		if (span_eqz(what, "cause"))
			n += with && r->cause == (uint16_t)x;
		else if (span_eqz(what, "answered"))
			n += r->answered;
		else if (span_eqz(what, "open"))
			n += r->closes == 0;
		else
			n++;
	}
	return n;
}

/* expect cdr N | cdr answered N | cdr cause C N | bindings N | calls N; each with the number last. */
static void expect_count(struct scenario *s, struct span what, struct span rest, struct span line)
{
	if (!s->w.cell) {
		fail(s, "the switch is down", line);
		return;
	}
	struct cell_counts c = cell_counts(s->w.cell);
	double want, got = -1;
	struct span a = scn_word(&rest), b = rest.n ? scn_word(&rest) : SPAN_NONE, d = rest;
	if (span_eqz(what, "subscriptions"))
		got = c.subscriptions, d = a;
	else if (span_eqz(what, "bindings"))
		got = c.bindings, d = a;
	else if (span_eqz(what, "calls"))
		got = c.calls, d = a;
	else if (span_eqz(what, "cdr") && !b.n)
		got = cdr_count(&s->w, SPAN_NONE, SPAN_NONE), d = a;
	else if (span_eqz(what, "cdr") && !d.n)
		got = cdr_count(&s->w, a, SPAN_NONE), d = b;
	else if (span_eqz(what, "cdr"))
		got = cdr_count(&s->w, a, b);
	if (!scn_number(d, &want) || got < 0) {
		fail(s, "expect what?", line);
	} else if (got != want) {
		char text[48];
		snprintf(text, sizeof text, "there are %d", (int)got);
		fail(s, text, line);
	}
}

static void expect(struct scenario *s, struct span rest, struct span line)
{
	struct span who = scn_word(&rest);
	struct sim_phone *p = phone_arg(s, who);
	if (p)
		expect_state(s, p, rest, line);
	else
		expect_count(s, who, rest, line);
}

static void wait_for(struct scenario *s, struct span rest, struct span line)
{
	struct span who = scn_word(&rest), what = scn_word(&rest);
	double secs = 10;
	struct sim_phone *p = phone_arg(s, who);
	bool all = span_eqz(who, "all");
	if ((!p && !all) || (rest.n && !scn_number(rest, &secs))) {
		fail(s, "wait PHONE|all STATE [SECONDS]", line);
		return;
	}
	int64_t end = s->w.now + (int64_t)(secs * US_PER_S);
	for (;;) {
		bool ok = true;
		for (uint32_t i = 0; i < s->w.n_phones; i++)
			if (all || p->i == i)
				ok = ok && state_is(&s->w.phone[i], what);
		if (ok)
			return;
		if (s->w.now >= end)
			break;
		world_run(&s->w, s->w.now + 1000);
	}
	fail(s, "did not come", line);
}

/* ---- voices -------------------------------------------------------------------------------------------------------- */

static void on_heard(void *ctx, struct sim_phone *p, int32_t from)
{
	struct scenario *s = ctx;
	uint32_t who = from < 0 ? s->w.n_phones : (uint32_t)from;
	s->heard[p->i * (s->w.n_phones + 1) + who]++;
}

static void listen(struct scenario *s, double secs)
{
	memset(s->heard, 0, (size_t)s->w.n_phones * (s->w.n_phones + 1) * sizeof *s->heard);
	world_run(&s->w, s->w.now + (int64_t)(secs * US_PER_S));
}

/* hears A B [SECONDS]: A hears B and nobody else; B may be "switch". silent A [SECONDS]. */
static void hears(struct scenario *s, struct span rest, bool silent, struct span line)
{
	struct sim_phone *a = phone_arg(s, scn_word(&rest));
	struct span who = silent ? SPAN_NONE : scn_word(&rest);
	struct sim_phone *b = silent ? NULL : phone_arg(s, who);
	double secs = 1;
	if (!a || (!silent && !b && !span_eqz(who, "switch")) || (rest.n && !scn_number(rest, &secs))) {
		fail(s, "hears PHONE PHONE|switch [SECONDS] | silent PHONE [SECONDS]", line);
		return;
	}
	world_run(&s->w, s->w.now + 100000); /* what is still on its way */
	listen(s, secs);
	uint32_t from = b ? b->i : s->w.n_phones;
	for (uint32_t i = 0; i <= s->w.n_phones; i++) {
		double n = s->heard[a->i * (s->w.n_phones + 1) + i], full = secs * 50;
		double least = full * (1 - s->w.o.net.loss) * (1 - s->w.o.net.loss) * 0.9 - 3;
		bool wanted = !silent && i == from;
		if ((wanted && (n < least || n > full * 1.1 + 3)) || (!wanted && n > 0)) {
			char text[64];
			snprintf(text, sizeof text, "%d packets of %s", (int)n, i < s->w.n_phones ? s->w.phone[i].ext : "the switch");
			fail(s, text, line);
		}
	}
}

/* ---- lines --------------------------------------------------------------------------------------------------------- */

/* at 12.5 | at +3 | at +0..0.05 (uniform by the seed) */
static void at(struct scenario *s, struct span *rest, struct span line)
{
	struct span t = scn_word(rest), hi = SPAN_NONE;
	bool plus = t.n && t.p[0] == '+';
	if (plus)
		t = span_sub(t, 1, t.n);
	ptrdiff_t dots = span_find(t, SPAN_LIT(".."));
	if (dots >= 0) {
		hi = span_sub(t, (size_t)dots + 2, t.n);
		t = span_sub(t, 0, (size_t)dots);
	}
	double a, b;
	if (!scn_number(t, &a) || (hi.n && !scn_number(hi, &b))) {
		fail(s, "at SECONDS | +SECONDS | +FROM..TO", line);
		return;
	}
	if (hi.n)
		a += (b - a) * rng_unit(&s->w.rng_user);
	int64_t when = (int64_t)(a * US_PER_S) + (plus ? s->mark : 0);
	if (when < s->w.now) {
		if (!hi.n)
			fail(s, "that time has passed", line);
		return;
	}
	world_run(&s->w, when);
	s->mark = when;
}

static void clock_jump(struct scenario *s, struct span rest, struct span line)
{
	double secs;
	if (!scn_number(rest, &secs))
		fail(s, "clock +SECONDS", line);
	else
		world_wall(&s->w, s->w.wall_minus_mono + (int64_t)(secs * US_PER_S));
}

/* crash [SECONDS]: the switch dies and is away for so long. */
static void crash(struct scenario *s, struct span rest, struct span line)
{
	double secs = 0.5;
	if (rest.n && (!scn_number(rest, &secs) || secs <= 0))
		fail(s, "crash [SECONDS]", line);
	else
		world_crash(&s->w, (int64_t)(secs * US_PER_S));
}

/* switch FEATURE WORD...: a verb of a feature, as `strowger feature run` sends it. */
static void feature_verb(struct scenario *s, struct span rest)
{
	struct cell_in in = {.kind = CELL_IN_QUERY, .u.query = {.token = 1, .kind = CELL_Q_FEATURE, .arg = rest}};
	if (s->w.cell)
		world_cell(&s->w, &in);
}

static void one_line(struct scenario *s, struct span line)
{
	struct span rest = line, w = scn_word(&rest);
	if (span_eqz(w, "at")) {
		at(s, &rest, line);
		if (!rest.n)
			return;
		w = scn_word(&rest);
	}
	struct sim_phone *p = phone_arg(s, w);
	if (p)
		tell(s, p, rest, line);
	else if (span_eqz(w, "expect"))
		expect(s, rest, line);
	else if (span_eqz(w, "wait"))
		wait_for(s, rest, line);
	else if (span_eqz(w, "hears"))
		hears(s, rest, false, line);
	else if (span_eqz(w, "silent"))
		hears(s, rest, true, line);
	else if (span_eqz(w, "clock"))
		clock_jump(s, rest, line);
	else if (span_eqz(w, "switch"))
		feature_verb(s, rest);
	else if (span_eqz(w, "crash"))
		crash(s, rest, line);
	else if (!scn_is_setup(w))
		fail(s, "not understood", line);
	if (!span_eqz(w, "at") && s->mark < s->w.now)
		s->mark = s->w.now;
}

static void on_changed(void *ctx, struct sim_phone *p)
{
	struct scenario *s = ctx;
	struct vphone_view v;
	vphone_view_quick(p->v, &v);
	for (int i = 0; i < v.n_calls; i++)
		if (v.call[i].last_status)
			s->status[p->i] = v.call[i].last_status;
}

static void on_event(void *ctx, uint64_t a, uint32_t b)
{
	(void)ctx, (void)a, (void)b;
}

static void run_lines(struct scenario *s, struct span file)
{
	while (file.p) {
		struct span line = span_cut(&file, '\n');
		s->line++;
		line = scn_strip(line);
		if (line.n)
			one_line(s, line);
	}
}

static void finish(struct scenario *s)
{
	struct world *w = &s->w;
	world_run(w, w->now + (int64_t)SIM_DRAIN_S * US_PER_S);
	check_end(w);
	for (uint32_t i = 0; i < w->n_phones; i++) {
		struct vphone_view v;
		if (!w->phone[i].v)
			continue;
		vphone_view(w->phone[i].v, &v);
		w->res.registrations += v.registered;
		if (v.n_calls && s->line > 0)
			violation(w, "phone %s has %d calls at the end", w->phone[i].ext, v.n_calls);
	}
	w->res.calls = cell_counts(w->cell).calls_total;
	w->res.hash = w->trace.h;
	w->res.end_us = w->now;
}

int sim_scenario(struct span file, const struct sim_opts *opts, struct sim_result *r, const char **error)
{
	struct scenario *s = calloc(1, sizeof *s);
	*r = (struct sim_result){0};
	*error = "no memory";
	if (!s)
		return -1;
	int rc = scn_setup(s, file, opts, error);
	if (rc == 0) {
		s->w.host = (struct sim_host){on_event, on_changed, on_heard, s};
		run_lines(s, file);
		finish(s);
		if (opts->record)
			record_checkpoint(opts->record, &s->w.effects);
		*r = s->w.res;
	}
	world_free(&s->w);
	free(s->heard);
	free(s->status);
	free(s);
	return rc;
}

#include "app/strowgerd_events.h"

#include "base/assert.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/thread.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { JSON_MAX = 1000, TEXT_MAX = JSON_MAX + 100, SECOND_US = 1000000 };

struct value {
	char type[24];
	uint16_t n;
	char json[JSON_MAX];
};
struct kept {
	char type[24];
	uint16_t n;
	char text[TEXT_MAX]; /* as it goes out */
};
struct events {
	struct log_sink alarms;
	struct http_streams *http;
	struct log_sink *log;
	struct waker waker;
	struct loop loop;
	struct loop_fd watch;
	struct ring ring;
	pthread_t thread;
	bool started, woken;
	atomic_bool stop, wanted;
	atomic_uint_fast64_t lost;
	uint64_t lost_told;
	pthread_mutex_t mu; /* guards what follows; held for a copy */
	struct kept *kept;  /* EVENTS_KEPT, made for the first reader */
	uint64_t epoch, first, next; /* numbers of those kept: first to next - 1; entry n at n % EVENTS_KEPT */
	uint64_t beats;
	uint32_t streams;
	int64_t idle_since_us;
};
struct reader {
	struct events *e;
	uint64_t at, beats;
	size_t greeting_n;
	char greeting[160], types[128];
};

/* ---- what happens -------------------------------------------------------------------------------------------------- */

bool events_wanted(const struct events *e)
{
	return e && atomic_load_explicit(&e->wanted, memory_order_relaxed);
}

static struct text begin(struct value *v, const char *type)
{
	struct text t = text_on(v->json, sizeof v->json);
	(void)span_copyz(span_z(type), v->type, sizeof v->type);
	text_fmt(&t, "{\"time_ms\":%lld", (long long)(wall_us() / 1000));
	return t;
}

static void member(struct text *t, const char *key, struct span value)
{
	text_fmt(t, ",\"%s\":", key);
	text_json(t, value);
}

static void member_z(struct text *t, const char *key, const char *value)
{
	member(t, key, span_z(value));
}

static void member_i(struct text *t, const char *key, int64_t value)
{
	text_fmt(t, ",\"%s\":%lld", key, (long long)value);
}

static void end(struct events *e, struct value *v, struct text *t)
{
	text_putc(t, '}');
	v->n = (uint16_t)t->n;
	if (t->over || !ring_push(&e->ring, v))
		atomic_fetch_add_explicit(&e->lost, 1, memory_order_relaxed);
}

static void of_call(struct text *t, const struct cdr_row *r)
{
	member_z(t, "call", r->call);
	member_i(t, "leg", r->leg_no);
	member_z(t, "direction", r->direction ? "out" : "in");
	member_z(t, "extension", r->extension);
	member_z(t, "device", r->device);
	member_z(t, "caller", r->caller);
	member_z(t, "callee", r->callee);
	member_z(t, "dialled", r->dialled);
}

void events_of_cell(struct events *e, const struct cell_event *c)
{
	static const char *const types[] = {[CELL_EVENT_REGISTERED] = "register.made", [CELL_EVENT_UNREGISTERED] = "register.lost",
					    [CELL_EVENT_RINGING] = "call.ringing", [CELL_EVENT_ANSWERED] = "call.answered",
					    [CELL_EVENT_ENDED] = "call.ended"};
	struct value v;
	struct text t = begin(&v, types[c->kind]);
	if (c->binding) {
		char from[80];
		struct text f = TEXT_ARRAY(from);
		addr_put(&f, &c->binding->flow.remote);
		member_z(&t, "extension", c->binding->extension);
		member(&t, "contact", span_sub(span_z(c->binding->contact), 0, 120));
		member(&t, "source", text_span(&f));
		member_z(&t, "transport", sip_transport_param(c->binding->flow.transport));
	} else {
		of_call(&t, c->leg);
		if (c->kind == CELL_EVENT_ENDED) {
			member_i(&t, "cause", c->leg->cause);
			member_i(&t, "status", c->leg->sip_status);
			member_i(&t, "talk_ms", c->leg->talk_ms);
		}
	}
	end(e, &v, &t);
}

void events_of_ban(struct events *e, const struct ban_row *ban, bool gone)
{
	struct value v;
	char source[64];
	struct text t = begin(&v, gone ? "ban.released" : "ban.made"), s = TEXT_ARRAY(source);
	addr_put_ip(&s, &ban->source);
	member(&t, "source", text_span(&s));
	if (!gone)
		member_i(&t, "until_ms", ban->until_wall_ms);
	end(e, &v, &t);
}

void events_of_change(struct events *e, uint64_t revision, const char *what, const char *by)
{
	struct value v;
	if (!events_wanted(e))
		return;
	struct text t = begin(&v, "config.changed");
	member_i(&t, "revision", (int64_t)revision);
	member_z(&t, "what", what);
	member_z(&t, "by", by);
	end(e, &v, &t);
}

/* Fields that do not fit are left out. */
static void on_alarm(struct log_sink *s, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	struct events *e = CONTAINER_OF(s, struct events, alarms);
	struct value v;
	if (level < LOG_ERROR || !events_wanted(e))
		return;
	struct text t = begin(&v, "alarm");
	member_z(&t, "event", event);
	for (size_t i = 0; i < n; i++) {
		struct text with = text_on(t.p, t.cap - 1);
		with.n = t.n;
		if (f[i].type == LOG_F_INT)
			member_i(&with, f[i].key, f[i].i);
		else
			member(&with, f[i].key, f[i].text);
		if (!with.over)
			t.n = with.n;
	}
	end(e, &v, &t);
}

struct log_sink *events_alarms(struct events *e)
{
	return &e->alarms;
}

/* ---- the thread ------------------------------------------------------------------------------------------------------ */

/* Under mu. */
static void keep(struct events *e, const char *type, struct span json)
{
	struct kept *k = &e->kept[e->next % EVENTS_KEPT];
	struct text t = TEXT_ARRAY(k->text);
	(void)span_copyz(span_z(type), k->type, sizeof k->type);
	text_fmt(&t, "id: %llu-%llu\nevent: %s\ndata: ", (unsigned long long)e->epoch, (unsigned long long)e->next, type);
	text_put(&t, json);
	text_lit(&t, "\n\n");
	k->n = (uint16_t)t.n;
	e->next++;
	if (e->next - e->first > EVENTS_KEPT)
		e->first = e->next - EVENTS_KEPT;
}

static bool take_new(struct events *e)
{
	struct value v;
	uint64_t lost = atomic_load_explicit(&e->lost, memory_order_relaxed);
	bool any = false;
	for (int i = 0; i < EVENTS_RING && ring_pop(&e->ring, &v); i++) {
		pthread_mutex_lock(&e->mu);
		if (e->kept)
			keep(e, v.type, span_mem(v.json, v.n));
		pthread_mutex_unlock(&e->mu);
		any = true;
	}
	if (lost != e->lost_told) {
		char json[64];
		struct text t = TEXT_ARRAY(json);
		text_fmt(&t, "{\"lost\":%llu}", (unsigned long long)(lost - e->lost_told));
		e->lost_told = lost;
		pthread_mutex_lock(&e->mu);
		if (e->kept)
			keep(e, "gap", text_span(&t));
		pthread_mutex_unlock(&e->mu);
		any = true;
	}
	return any;
}

/* What was made so far has no successor: a number that is never given makes the hole visible to who comes back. */
static void look_whether_anybody_listens(struct events *e, int64_t now)
{
	pthread_mutex_lock(&e->mu);
	if (events_wanted(e) && !e->streams && now - e->idle_since_us > EVENTS_LINGER_S * (int64_t)SECOND_US) {
		atomic_store(&e->wanted, false);
		e->first = ++e->next;
	}
	pthread_mutex_unlock(&e->mu);
}

static void *events_thread(void *arg)
{
	struct events *e = arg;
	int64_t beat = 0;
	while (!atomic_load(&e->stop)) {
		waker_sleep(&e->waker);
		bool idle = ring_empty(&e->ring) && !atomic_load(&e->stop);
		(void)loop_turn(&e->loop, !idle ? 0 : events_wanted(e) ? e->loop.now_us + SECOND_US : INT64_MAX);
		waker_awake(&e->waker, e->woken);
		e->woken = false;
		bool any = take_new(e);
		look_whether_anybody_listens(e, e->loop.now_us);
		if (e->loop.now_us - beat > EVENTS_BEAT_S * (int64_t)SECOND_US) {
			beat = e->loop.now_us;
			pthread_mutex_lock(&e->mu);
			e->beats++;
			any = any || e->streams;
			pthread_mutex_unlock(&e->mu);
		}
		if (any)
			http_streams_wake(e->http);
	}
	return NULL;
}

static void on_waker(struct loop_fd *f, uint32_t ready)
{
	(void)ready;
	CONTAINER_OF(f, struct events, watch)->woken = true;
}

/* ---- readers ------------------------------------------------------------------------------------------------------- */

/* "call" means all of call.*; a gap is for everybody. */
static bool wants(const struct reader *r, const char *type)
{
	struct span list = span_z(r->types), whole = span_z(type), rest = whole, head = span_cut(&rest, '.');
	if (!list.n || span_eqz(whole, "gap"))
		return true;
	while (list.p) {
		struct span one = span_cut(&list, ',');
		if (span_eq(one, whole) || span_eq(one, head))
			return true;
	}
	return false;
}

/* Who has fallen behind what is kept is cut: it comes back and is told of the gap. */
static ptrdiff_t on_read(void *ctx, char *buf, size_t cap)
{
	struct reader *r = ctx;
	struct events *e = r->e;
	struct text t = text_on(buf, cap);
	text_put(&t, span_mem(r->greeting, r->greeting_n));
	r->greeting_n = 0;
	pthread_mutex_lock(&e->mu);
	bool behind = r->at < e->first && e->first < e->next;
	for (; !behind && r->at < e->next; r->at++) {
		const struct kept *k = &e->kept[r->at % EVENTS_KEPT];
		if (!wants(r, k->type))
			continue;
		if (t.cap - t.n < k->n)
			break;
		text_put(&t, span_mem(k->text, k->n));
	}
	if (!t.n && r->beats != e->beats)
		text_lit(&t, ": still here\n\n");
	if (t.n)
		r->beats = e->beats;
	pthread_mutex_unlock(&e->mu);
	return behind && !t.n ? -1 : (ptrdiff_t)t.n;
}

static void on_close(void *ctx)
{
	struct reader *r = ctx;
	struct events *e = r->e;
	pthread_mutex_lock(&e->mu);
	if (--e->streams == 0)
		e->idle_since_us = mono_us();
	pthread_mutex_unlock(&e->mu);
	free(r);
}

/* Under mu: where the reader goes on; false: there is a hole behind what it has seen. */
static bool resume(const struct events *e, struct span last, uint64_t *at)
{
	uint64_t epoch, seen;
	struct span head = span_cut(&last, '-');
	*at = e->first;
	if (span_u64(head, UINT64_MAX, &epoch) != 0 || span_u64(last, UINT64_MAX - 1, &seen) != 0 || epoch != e->epoch || seen >= e->next || seen + 1 < e->first)
		return false;
	*at = seen + 1;
	return true;
}

/* The order matters: once wanted is set, events are made; what comes before the reader's place is none of its affair. */
static int seat(struct reader *r, struct span last)
{
	struct events *e = r->e;
	struct text t = TEXT_ARRAY(r->greeting);
	int rc = -1;
	pthread_mutex_lock(&e->mu);
	if (!e->kept)
		e->kept = calloc(EVENTS_KEPT, sizeof *e->kept);
	if (e->kept && e->streams < EVENTS_STREAMS) {
		e->streams++;
		atomic_store(&e->wanted, true);
		r->beats = e->beats;
		r->at = e->next;
		text_lit(&t, "retry: 2000\n\n");
		if (last.n && !resume(e, last, &r->at))
			text_fmt(&t, "id: %llu-%llu\nevent: gap\ndata: {\"lost\":null}\n\n", (unsigned long long)e->epoch, (unsigned long long)(r->at - 1));
		r->greeting_n = t.n;
		rc = 0;
	}
	pthread_mutex_unlock(&e->mu);
	if (rc == 0)
		waker_wake(&e->waker); /* its thread may sleep for good */
	return rc;
}

static void refuse(struct http_response *rs, uint16_t status, const char *what, const char *where, const char *mend)
{
	char *mem = malloc(512);
	struct text t = text_on(mem, mem ? 512 : 0);
	text_fmt(&t, "{\"error\":{\"what\":\"%s\",\"where\":\"%s\",\"mend\":\"%s\"}}\n", what, where, mend);
	http_body(rs, status, "application/json", mem, t.over ? 0 : t.n);
}

static bool read_types(struct span query, char *types, size_t cap)
{
	while (query.p) {
		struct span pair = span_cut(&query, '&'), key = span_cut(&pair, '=');
		if (span_eqz(key, "types") && (!span_copyz(pair, types, cap) || span_chr(pair, '%') >= 0))
			return false;
	}
	return true;
}

void events_handle(struct events *e, const struct http_request *rq, struct http_response *rs)
{
	if (rq->method != HTTP_GET) {
		refuse(rs, 405, "events are read", "method", "use GET");
		return;
	}
	struct reader *r = calloc(1, sizeof *r);
	if (r)
		r->e = e;
	if (r && !read_types(rq->query, r->types, sizeof r->types)) {
		free(r);
		refuse(rs, 422, "no such types", "types", "for example types=call,register.lost");
		return;
	}
	if (!r || seat(r, span_trim(rq->last_event_id)) != 0) {
		free(r);
		refuse(rs, 503, "there are as many readers as there may be", "events", "close one, or come later");
		http_header(rs, "Retry-After", SPAN_LIT("5"));
		return;
	}
	rs->status = 200;
	rs->content_type = "text/event-stream";
	http_header(rs, "Cache-Control", SPAN_LIT("no-store"));
	rs->source = (struct http_source){on_read, on_close, r};
}

struct events_counts events_counts(struct events *e)
{
	struct events_counts c = {.lost = atomic_load_explicit(&e->lost, memory_order_relaxed)};
	pthread_mutex_lock(&e->mu);
	c.sent = e->next - 1;
	c.streams = e->streams;
	pthread_mutex_unlock(&e->mu);
	return c;
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

/* The number of this start: one more than that of the last. Where it cannot be kept, the clock's seconds, which are far above. */
static uint64_t next_epoch(const char *folder, struct log_sink *log)
{
	char path[PATH_MAX], digits[24], *old = NULL;
	size_t n = 0;
	uint64_t v = 0;
	snprintf(path, sizeof path, "%s/events.epoch", folder);
	if (file_read(path, sizeof digits, &old, &n) == 0 && span_u64(span_trim(span_mem(old, n)), UINT64_MAX - 1, &v) != 0)
		v = 0;
	free(old);
	struct text t = TEXT_ARRAY(digits);
	text_fmt(&t, "%llu\n", (unsigned long long)(v + 1));
	if (file_write(path, text_span(&t), true) == 0)
		return v + 1;
	log_event(log, LOG_WARN, "events.epoch_not_kept", LOG_Z("file", path));
	return (uint64_t)(wall_us() / SECOND_US);
}

struct events *events_new(const char *folder, struct http_streams *streams, struct log_sink *log)
{
	struct events *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->alarms.write = on_alarm;
	e->alarms.min = LOG_ERROR;
	e->http = streams;
	e->log = log;
	e->first = e->next = 1;
	e->waker.fd = e->loop.ep = -1;
	pthread_mutex_init(&e->mu, NULL);
	if (waker_init(&e->waker) == 0 && loop_init(&e->loop) == 0 && ring_init(&e->ring, sizeof(struct value), EVENTS_RING, &e->waker) == 0) {
		e->epoch = next_epoch(folder, log);
		return e;
	}
	events_free(e);
	return NULL;
}

int events_start(struct events *e)
{
	e->watch = (struct loop_fd){e->waker.fd, on_waker};
	if (loop_add(&e->loop, &e->watch, EPOLLIN) != 0)
		return -1;
	e->started = thread_start(&e->thread, "events", events_thread, e) == 0;
	return e->started ? 0 : -1;
}

void events_stop(struct events *e)
{
	if (!e || !e->started)
		return;
	atomic_store(&e->wanted, false);
	atomic_store(&e->stop, true);
	waker_wake(&e->waker);
	pthread_join(e->thread, NULL);
	e->started = false;
}

void events_free(struct events *e)
{
	if (!e)
		return;
	events_stop(e);
	ring_free(&e->ring);
	waker_close(&e->waker);
	loop_close(&e->loop);
	pthread_mutex_destroy(&e->mu);
	free(e->kept);
	free(e);
}

#include "app/strowgerd_log.h"

#include "app/strowgerd.h"
#include "base/assert.h"
#include "base/log_rules.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/log_out.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_SINKS = 4 };

struct logs {
	struct log_sink sink; /* min: the lowest level of all rules */
	pthread_mutex_t mu;   /* guards the rules */
	struct log_rules rules, first;
	int64_t next_expiry_us;
	struct log_sink *to[MAX_SINKS], *file;
	unsigned n_to;
};

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* Under mu, after every change. */
static void rules_changed(struct logs *l)
{
	l->next_expiry_us = log_rules_expire(&l->rules, mono_us());
	l->sink.min = log_rules_min(&l->rules);
}

static void expire(struct logs *l)
{
	if (l->next_expiry_us != INT64_MAX && l->next_expiry_us <= mono_us())
		rules_changed(l);
}

static void to_all(struct logs *l, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	for (unsigned i = 0; i < l->n_to; i++)
		if (level >= l->to[i]->min)
			l->to[i]->write(l->to[i], level, event, f, n);
}

static void write_if_wanted(struct log_sink *s, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	struct logs *l = (struct logs *)s;
	pthread_mutex_lock(&l->mu);
	expire(l);
	bool wanted = log_rules_want(&l->rules, level, event, f, n);
	pthread_mutex_unlock(&l->mu);
	if (wanted)
		to_all(l, level, event, f, n);
}

void logs_write_trace(struct logs *l, const struct log_field *f, size_t n)
{
	to_all(l, LOG_DEBUG, "sip.message", f, n);
}

bool logs_want_trace(struct logs *l, const struct addr *peer, struct span bytes)
{
	char buf[64];
	if (l->sink.min > LOG_DEBUG)
		return false;
	struct text t = TEXT_ARRAY(buf);
	addr_put_ip(&t, peer);
	const struct log_field f[] = {LOG_S("peer", text_span(&t))};
	pthread_mutex_lock(&l->mu);
	expire(l);
	bool wanted = log_rules_want(&l->rules, LOG_DEBUG, "sip.message", f, 1);
	for (size_t i = 0; !wanted && i < l->rules.n_peer; i++) { /* an extension: in the request line, From, To or Contact */
		char user[80];
		struct text u = TEXT_ARRAY(user);
		text_fmt(&u, ":%s@", l->rules.peer[i].peer);
		wanted = l->rules.peer[i].level == LOG_DEBUG && span_find(bytes, text_span(&u)) >= 0;
	}
	pthread_mutex_unlock(&l->mu);
	return wanted;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static int open_sinks(struct logs *l, const struct logs_opts *o)
{
	bool by_itself = !o->file && !o->journal && log_stderr_is_journal(getenv("JOURNAL_STREAM"));
	struct log_sink *journal = o->journal || by_itself ? log_to_journal(o->journal_path) : NULL;
	if (o->journal && !journal) {
		complain("cannot reach the journal at %s: %s. Leave out --log-journal where systemd does not run.",
			 o->journal_path ? o->journal_path : "/run/systemd/journal/socket", strerror(errno));
		return -1;
	}
	if (journal)
		logs_attach(l, journal);
	if (o->file && !(l->file = log_to_file(o->file, o->file_max_bytes))) {
		complain("cannot write the log %s: %s. Make its folder, or choose another with --log-file.", o->file, strerror(errno));
		return -1;
	}
	if (l->file)
		logs_attach(l, l->file);
	if (!l->n_to)
		logs_attach(l, log_to_stderr());
	return 0;
}

struct logs *logs_open(const struct logs_opts *o)
{
	struct logs *l = calloc(1, sizeof *l);
	if (!l) {
		complain("no memory for the log.");
		return NULL;
	}
	pthread_mutex_init(&l->mu, NULL);
	l->sink.write = write_if_wanted;
	l->rules.level = o->level;
	l->first = l->rules;
	rules_changed(l);
	if (open_sinks(l, o) == 0)
		return l;
	logs_close(l);
	return NULL;
}

struct log_sink *logs_sink(struct logs *l)
{
	return &l->sink;
}

void logs_attach(struct logs *l, struct log_sink *more)
{
	INVARIANT(l->n_to < MAX_SINKS);
	l->to[l->n_to++] = more;
}

void logs_reopen(struct logs *l)
{
	if (!l->file)
		return;
	if (log_file_reopen(l->file) != 0)
		log_event(&l->sink, LOG_ERROR, "log.not_reopened", LOG_Z("why", strerror(errno)));
	else
		log_event(&l->sink, LOG_INFO, "log.reopened", LOG_I("dropped", log_file_dropped(l->file)));
}

uint64_t logs_dropped(const struct logs *l)
{
	return l->file ? log_file_dropped(l->file) : 0;
}

void logs_close(struct logs *l)
{
	if (!l)
		return;
	log_file_close(l->file);
	pthread_mutex_destroy(&l->mu);
	free(l);
}

void complain(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	fprintf(stderr, "strowgerd: %s\n", line);
}

/* ---- the API ------------------------------------------------------------------------------------------------------ */

static json_t *shown(struct logs *l)
{
	json_t *subsystems = json_object(), *peers = json_array();
	pthread_mutex_lock(&l->mu);
	expire(l);
	struct log_rules r = l->rules;
	pthread_mutex_unlock(&l->mu);
	for (size_t i = 0; i < r.n_subsystem; i++)
		json_object_set_new(subsystems, r.subsystem[i].name, json_string(log_level_name(r.subsystem[i].level)));
	for (size_t i = 0; i < r.n_peer; i++) {
		json_t *p = json_pack("{s:s,s:s}", "peer", r.peer[i].peer, "level", log_level_name(r.peer[i].level));
		if (r.peer[i].until_us != INT64_MAX)
			json_object_set_new(p, "for_s", json_integer((r.peer[i].until_us - mono_us()) / 1000000));
		json_array_append_new(peers, p);
	}
	return json_pack("{s:s,s:o,s:o}", "level", log_level_name(r.level), "subsystems", subsystems, "peers", peers);
}

static void refuse(struct http_response *rs, const char *what, const char *where, const char *mend)
{
	json_t *o = json_pack("{s:{s:s,s:s,s:s}}", "error", "what", what, "where", where, "mend", mend);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	http_body(rs, 400, "application/json", text, text ? strlen(text) : 0);
	json_decref(o);
}

/* {"level": L} for all, {"subsystem": S, "level": L}, {"peer": P, "level": L, "for_s": N}. NULL, or what is wrong. */
static const char *apply(struct logs *l, const json_t *o, const char **mend)
{
	const char *level = json_string_value(json_object_get(o, "level")), *sub = json_string_value(json_object_get(o, "subsystem")),
		   *peer = json_string_value(json_object_get(o, "peer"));
	const json_t *seconds = json_object_get(o, "for_s");
	json_int_t for_s = json_integer_value(seconds);
	enum log_level to;
	int rc = 0;
	*mend = "debug, info, warn or error";
	if (!level || log_level_parse(span_z(level), &to) != 0)
		return "level";
	*mend = "a subsystem (sip, call, register, ...) or a peer, not both";
	if (sub && peer)
		return "subsystem";
	*mend = "seconds, 1 to 604800, for a peer";
	if (seconds && (!peer || !json_is_integer(seconds) || for_s < 1 || for_s > 604800))
		return "for_s";
	*mend = sub ? "letters, digits, '_' and '-', at most 15; at most 32 subsystems" : "an address or an extension; at most 16 peers";
	pthread_mutex_lock(&l->mu);
	if (sub)
		rc = log_rules_subsystem(&l->rules, span_z(sub), to);
	else if (peer)
		rc = log_rules_peer(&l->rules, span_z(peer), to, for_s ? mono_us() + for_s * 1000000 : INT64_MAX);
	else
		l->rules.level = to;
	rules_changed(l);
	pthread_mutex_unlock(&l->mu);
	return rc == 0 ? NULL : sub ? "subsystem" : "peer";
}

void logs_handle(void *logs, const struct http_request *rq, struct http_response *rs)
{
	struct logs *l = logs;
	if (rq->method == HTTP_PATCH) {
		const char *mend, *wrong = NULL;
		json_t *o = json_loadb(rq->body.p, rq->body.n, 0, NULL);
		if (!json_is_object(o))
			wrong = "body", mend = "a JSON object: {\"subsystem\": \"sip\", \"level\": \"debug\"}";
		else
			wrong = apply(l, o, &mend);
		if (wrong) {
			refuse(rs, "this is not a rule for the log", wrong, mend);
			json_decref(o);
			return;
		}
		log_event(&l->sink, LOG_WARN, "log.level_changed", LOG_Z("level", json_string_value(json_object_get(o, "level"))),
			  LOG_Z("of", json_string_value(json_object_get(o, "subsystem"))), LOG_Z("peer", json_string_value(json_object_get(o, "peer"))));
		json_decref(o);
	} else if (rq->method == HTTP_DELETE) {
		pthread_mutex_lock(&l->mu);
		l->rules = l->first;
		rules_changed(l);
		pthread_mutex_unlock(&l->mu);
	} else if (rq->method != HTTP_GET) {
		http_text(rs, 405, "The log's rules are read (GET), changed (PATCH) and set back (DELETE).\n");
		return;
	}
	json_t *o = shown(l);
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	http_body(rs, 200, "application/json", text, text ? strlen(text) : 0);
}

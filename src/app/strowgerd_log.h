/* strowgerd's log: one sink for all, behind it the rules of what is written (live) and the sinks where it goes. Layer 6, shell. */
#ifndef APP_STROWGERD_LOG_H
#define APP_STROWGERD_LOG_H

#include "base/addr.h"
#include "base/log.h"
#include "service/http.h"

struct logs;
struct logs_opts {
	enum log_level level;
	const char *file;        /* NULL: none */
	uint64_t file_max_bytes; /* 0: never rotated by us */
	bool journal;
	const char *journal_path; /* NULL: the usual one */
};
/* Without file and journal: standard error, or the journal when standard error goes there anyhow. NULL: said why. */
struct logs *logs_open(const struct logs_opts *o);
struct log_sink *logs_sink(struct logs *l);
/* One more place where every event that is written goes. Before other threads run; the sink lives longer than `l`. */
void logs_attach(struct logs *l, struct log_sink *more);
void logs_reopen(struct logs *l); /* SIGHUP */
uint64_t logs_dropped(const struct logs *l); /* lines that the file did not take */
void logs_close(struct logs *l);  /* no thread writes any more */

/* GET, PATCH and DELETE of /api/v1/log: the rules, a change, back to what the start said. Any thread. */
void logs_handle(void *logs, const struct http_request *rq, struct http_response *rs);

/* ---- the trace of SIP messages (strowgerd_trace.c) ---- */

/* Is somebody interested in messages with this phone? Cheap when nobody is interested in any. */
bool logs_want_trace(struct logs *l, const struct addr *peer, struct span bytes);
/* Writes sip.message for one that was wanted: the rules are not asked again. */
void logs_write_trace(struct logs *l, const struct log_field *f, size_t n);

#endif

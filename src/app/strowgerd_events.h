/* strowgerd_events: what happens, told to whoever listens: GET /api/v1/events, server-sent events (WHATWG HTML, 9.2). Layer 6, shell.
 *
 * The switch and other threads hand over finished values by a bounded ring; a thread of its own numbers them, keeps the newest for readers
 * that come back, and wakes the readers. While nobody listens, and has not for a while, nothing is made at all. */
#ifndef APP_STROWGERD_EVENTS_H
#define APP_STROWGERD_EVENTS_H

#include "base/log.h"
#include "edge/http_stream.h"
#include "pbx/cell.h"

enum {
	EVENTS_STREAMS = 32,       /* readers at a time; more: 503 */
	EVENTS_KEPT = 1024,        /* for Last-Event-ID; who lags further is cut */
	EVENTS_RING = 1024,        /* on their way; more at once are lost, and a gap says so */
	EVENTS_BEAT_S = 15,
	EVENTS_LINGER_S = 60       /* after the last reader went: they are still made for one that comes back */
};

struct events;
/* folder: of the site, where the number of starts is kept. NULL: no memory. streams: borrowed. */
struct events *events_new(const char *folder, struct http_streams *streams, struct log_sink *log);
int events_start(struct events *e); /* 0 or -1 */
void events_stop(struct events *e); /* no more readers; the HTTP servers have ended */
void events_free(struct events *e);

/* Any thread; cheap. e may be NULL. Ask before making one. */
bool events_wanted(const struct events *e);
/* Any thread. */
void events_of_cell(struct events *e, const struct cell_event *v);
void events_of_ban(struct events *e, const struct ban_row *ban, bool gone);
void events_of_change(struct events *e, uint64_t revision, const char *what, const char *by);
/* A sink of the log (logs_attach): each error is an alarm. */
struct log_sink *events_alarms(struct events *e);

/* GET /api/v1/events. Any thread. */
void events_handle(struct events *e, const struct http_request *rq, struct http_response *rs);

struct events_counts {
	uint64_t sent, lost; /* numbered; lost for want of room */
	uint32_t streams;
};
struct events_counts events_counts(struct events *e);

#endif

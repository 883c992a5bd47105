/* The trace of SIP messages. Layer 6, shell; the cell's thread only. */
#ifndef APP_STROWGERD_TRACE_H
#define APP_STROWGERD_TRACE_H

#include "app/strowgerd_log.h"
#include "pbx/cell.h"

struct trace;
struct trace *trace_new(struct logs *l); /* NULL: no memory. Every call below takes NULL and does nothing. */
void trace_free(struct trace *t);
/* A record was written: from now on messages with its Call-ID are shown with call and leg. */
void trace_leg(struct trace *t, const struct cdr_row *row);
/* One message, in or out: a debug event sip.message when somebody wants it. */
void trace_message(struct trace *t, bool in, const struct sip_flow *flow, struct span bytes);

#endif

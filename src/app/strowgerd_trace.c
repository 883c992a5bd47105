/* Each message as one debug event with its start line and headers, credentials blotted out, and the call and leg it belongs
 * to as far as records have told: the first INVITE of a leg comes before its record. */
#include "app/strowgerd_trace.h"

#include "base/hash.h"
#include "base/text.h"
#include "base/assert.h"
#include "sip/msg/redact.h"

#include <stdio.h>
#include <stdlib.h>

enum { PLACES = 8192, SHOWN_MAX = 3000 };

struct known { /* by Call-ID; a newer one of the same place takes it over */
	uint64_t key;
	char call[40];
	uint16_t leg;
};
struct trace {
	struct logs *logs;
	struct known known[PLACES];
};

static uint64_t key_of(struct span call_id)
{
	static const struct hash_key k = {0x7472, 0x616365}; /* who makes two meet spoils a label of a trace, nothing else */
	return siphash(&k, call_id.p, call_id.n) | 1;
}

struct trace *trace_new(struct logs *l)
{
	struct trace *t = calloc(1, sizeof *t);
	if (t)
		t->logs = l;
	return t;
}

void trace_free(struct trace *t)
{
	free(t);
}

void trace_leg(struct trace *t, const struct cdr_row *row)
{
	if (!t || row->answer_wall_ms || row->closed) /* known since it was opened */
		return;
	uint64_t key = key_of(span_z(row->sip_call_id));
	struct known *k = &t->known[key / 2 % PLACES];
	k->key = key;
	memcpy(k->call, row->call, sizeof k->call);
	k->leg = row->leg_no;
}

void trace_message(struct trace *t, bool in, const struct sip_flow *flow, struct span bytes)
{
	char buf[SHOWN_MAX], peer[80];
	struct sip_glance g;
	if (!t || !logs_want_trace(t->logs, &flow->remote, bytes))
		return;
	struct span head = span_sub(bytes, 0, sizeof buf);
	memcpy(buf, head.p, head.n);
	sip_redact(buf, head.n);
	sip_glance(&g, span_mem(buf, head.n));
	struct text p = TEXT_ARRAY(peer);
	addr_put(&p, &flow->remote);
	uint64_t key = key_of(g.call_id);
	const struct known *k = &t->known[key / 2 % PLACES];
	bool found = g.call_id.n && k->key == key;
	const struct log_field f[] = {LOG_Z("call", found ? k->call : ""), LOG_I("leg", found ? k->leg : -1), LOG_Z("dir", in ? "in" : "out"),
				      LOG_S("peer", text_span(&p)), LOG_Z("transport", sip_transport_name(flow->transport)),
				      LOG_S("sip_call_id", g.call_id), LOG_I("bytes", bytes.n), LOG_S("line", g.first), LOG_S("headers", g.headers)};
	logs_write_trace(t->logs, f, COUNT_OF(f));
}

/* Bindings of contacts to extensions (AORs), their indices and their way to the store. */
#include "pbx/cell_internal.h"

struct aor *aor_find(const struct cell *c, struct span number)
{
	return number.n ? map_get(&c->aor_map, number) : NULL;
}

struct span binding_text(const struct binding *b, enum binding_text which)
{
	size_t at = 0;
	for (enum binding_text i = BIND_CONTACT; i < which; i++)
		at += b->len[i];
	return (struct span){b->texts ? b->texts + at : NULL, b->len[which]};
}

static size_t texts_bytes(const struct binding *b)
{
	size_t n = 0;
	for (int i = 0; i < BIND_TEXTS; i++)
		n += b->len[i];
	return n;
}

bool binding_set_texts(struct cell *c, struct binding *b, const struct span texts[BIND_TEXTS])
{
	size_t n = 0, at = 0;
	bool same = b->texts != NULL;
	for (int i = 0; i < BIND_TEXTS; i++) {
		n += texts[i].n;
		same = same && span_eq(texts[i], binding_text(b, (enum binding_text)i));
	}
	if (same)
		return true;
	char *p = slab_alloc(&c->slab, n);
	if (!p)
		return false;
	for (int i = 0; i < BIND_TEXTS; i++) {
		if (texts[i].n)
			memcpy(p + at, texts[i].p, texts[i].n);
		at += texts[i].n;
	}
	slab_free(&c->slab, b->texts, texts_bytes(b));
	b->texts = p;
	for (int i = 0; i < BIND_TEXTS; i++)
		b->len[i] = (uint16_t)texts[i].n;
	return true;
}

static struct aor *aor_make(struct cell *c, struct span number)
{
	struct aor *a = aor_find(c, number);
	if (a)
		return a;
	handle h;
	a = pool_new(&c->aors, &h);
	if (!a)
		return NULL;
	if (!span_copyz(number, a->number, sizeof a->number) || map_put(&c->aor_map, span_z(a->number), a)) {
		pool_delete(&c->aors, h);
		return NULL;
	}
	return a;
}

static void aor_drop_empty(struct cell *c, struct aor *a)
{
	if (a->n)
		return;
	map_remove(&c->aor_map, span_z(a->number));
	pool_delete(&c->aors, pool_handle(&c->aors, a));
}

struct binding *binding_new(struct cell *c, struct span number)
{
	handle h;
	struct aor *a = aor_make(c, number);
	struct binding *b = a ? pool_new(&c->bindings, &h) : NULL;
	if (!b) {
		if (a)
			aor_drop_empty(c, a);
		return NULL;
	}
	b->aor = a;
	b->seq = ++c->binding_seq;
	b->expiry.kind = TIMER_BINDING;
	b->prev = a->last;
	*(a->last ? &a->last->next : &a->first) = b;
	a->last = b;
	a->n++;
	b->all_prev = c->bind_last;
	*(c->bind_last ? &c->bind_last->all_next : &c->bind_first) = b;
	c->bind_last = b;
	return b;
}

static void leave_conn(struct binding *b)
{
	if (!b->conn_at)
		return;
	*b->conn_at = b->conn_next;
	if (b->conn_next)
		b->conn_next->conn_at = b->conn_at;
	b->conn_at = NULL;
}

void binding_set_flow(struct cell *c, struct binding *b, const struct sip_flow *flow)
{
	struct binding **at = &c->bind_by_conn[flow->conn % CONN_BUCKETS];
	leave_conn(b);
	b->flow = *flow;
	if (!flow->conn)
		return;
	b->conn_next = *at;
	if (b->conn_next)
		b->conn_next->conn_at = &b->conn_next;
	b->conn_at = at;
	*at = b;
}

void binding_free(struct cell *c, struct binding *b)
{
	struct aor *a = b->aor;
	leave_conn(b);
	wheel_cancel(&c->wheel, &b->expiry);
	guard_home(c, b, true);
	*(b->prev ? &b->prev->next : &a->first) = b->next;
	*(b->next ? &b->next->prev : &a->last) = b->prev;
	a->n--;
	*(b->all_prev ? &b->all_prev->all_next : &c->bind_first) = b->all_next;
	*(b->all_next ? &b->all_next->all_prev : &c->bind_last) = b->all_prev;
	slab_free(&c->slab, b->texts, texts_bytes(b));
	pool_delete(&c->bindings, pool_handle(&c->bindings, b));
	aor_drop_empty(c, a);
}

static void to_row(const struct cell *c, const struct binding *b, struct binding_row *row)
{
	memset(row, 0, sizeof *row);
	(void)span_copyz(span_z(b->aor->number), row->extension, sizeof row->extension);
	row->device_id = b->device_id;
	(void)span_copyz(binding_text(b, BIND_CONTACT), row->contact, sizeof row->contact);
	(void)span_copyz(binding_text(b, BIND_INSTANCE), row->instance, sizeof row->instance);
	(void)span_copyz(binding_text(b, BIND_CALL_ID), row->call_id, sizeof row->call_id);
	(void)span_copyz(binding_text(b, BIND_AGENT), row->user_agent, sizeof row->user_agent);
	(void)span_copyz(binding_text(b, BIND_PATH), row->path, sizeof row->path);
	row->reg_id = b->reg_id;
	row->cseq = b->cseq;
	row->flow = b->flow;
	row->expires_wall_ms = (b->stored_us + c->wall_minus_mono_us) / 1000;
	row->registered_wall_ms = b->registered_wall_ms;
}

/* A refresh with the same contact touches memory only, so what is stored must outlive the phone's next refresh, and the
 * one after it should a crash swallow the row of the next: it is good for three grants, and is written anew when less than
 * two are left. At a restart the binding then gets one grant at most (binding_restore). */
bool binding_must_store(const struct cell *c, const struct binding *b)
{
	return b->stored_us - c->now_us < 2 * b->granted_us;
}

void binding_store(struct cell *c, struct binding *b)
{
	struct binding_row row;
	b->stored_us = b->expires_us + 2 * b->granted_us;
	to_row(c, b, &row);
	struct cell_out out = {.kind = CELL_OUT_BINDING, .u.binding = &row};
	cell_emit(c, &out);
}

void binding_tell(struct cell *c, const struct binding *b, bool made)
{
	struct binding_row row;
	if (!c->sink || !c->sink->events)
		return;
	to_row(c, b, &row);
	struct cell_out out = {.kind = CELL_OUT_EVENT,
			       .u.event = {.kind = made ? CELL_EVENT_REGISTERED : CELL_EVENT_UNREGISTERED, .binding = &row}};
	cell_emit(c, &out);
}

void binding_drop(struct cell *c, struct binding *b, bool tell)
{
	if (tell) {
		struct binding_row row;
		to_row(c, b, &row);
		struct cell_out out = {.kind = CELL_OUT_BINDING_GONE, .u.binding = &row};
		cell_emit(c, &out);
		binding_tell(c, b, false);
	}
	binding_free(c, b);
}

uint32_t binding_drop_all(struct cell *c, struct span number)
{
	struct aor *a = aor_find(c, number);
	uint32_t n = 0;
	for (struct binding *b = a ? a->first : NULL, *next; b; b = next, n++) {
		next = b->next; /* the AOR goes with its last binding */
		binding_drop(c, b, true);
	}
	return n;
}

static bool still_allowed(const struct cell *c, const struct binding *b)
{
	const struct site_extension *e = site_extension_find(c->site, span_z(b->aor->number));
	const struct site_device *d = site_device_by_id(c->site, b->device_id);
	return e && e->row.enabled && e->row.sip_device && d && span_eqz(span_z(d->row.extension), b->aor->number);
}

void binding_site_changed(struct cell *c)
{
	for (struct binding *b = c->bind_first, *next; b; b = next) {
		next = b->all_next;
		if (!still_allowed(c, b))
			binding_drop(c, b, true);
	}
}

bool binding_outbound(const struct binding *b)
{
	return b->reg_id && b->len[BIND_INSTANCE];
}

/* The connection is gone; the next request will make one to where the phone said it listens. A flow of RFC 5626 is nothing but
 * its connection: it goes with it, and the phone's other flows serve. Over TLS nobody can be called back: the binding waits
 * for the phone. */
void binding_flow_closed(struct cell *c, const struct sip_flow *flow)
{
	struct binding *b = flow->conn ? c->bind_by_conn[flow->conn % CONN_BUCKETS] : NULL;
	for (struct binding *next; b; b = next) {
		next = b->conn_next;
		if (b->flow.conn != flow->conn)
			continue;
		if (binding_outbound(b)) {
			binding_drop(c, b, true);
			continue;
		}
		struct sip_uri u;
		struct addr a;
		leave_conn(b);
		b->flow.conn = 0;
		if (!sip_uri_parse(binding_text(b, BIND_CONTACT), &u) && !sip_uri_addr(&u, 5060, &a) && addr_same_ip(&a, &b->flow.remote))
			b->flow.remote = a;
	}
}

void binding_restore(struct cell *c, const struct binding_row *row)
{
	int64_t left_us = (row->expires_wall_ms - cell_wall_ms(c)) * 1000;
	const struct aor *a = aor_find(c, span_z(row->extension));
	if (left_us <= 0 || !row->extension[0] || (a && a->n >= c->o.limits.max_bindings_per_extension))
		return;
	int64_t stored_us = c->now_us + left_us;
	if (left_us > (int64_t)c->o.max_expires_s * SECOND_US)
		left_us = (int64_t)c->o.max_expires_s * SECOND_US;
	struct binding *b = binding_new(c, span_z(row->extension));
	if (!b)
		return;
	const struct span texts[BIND_TEXTS] = {span_z(row->contact), span_z(row->instance), span_z(row->call_id),
					       span_z(row->user_agent), span_z(row->path)};
	if (!binding_set_texts(c, b, texts)) {
		binding_free(c, b);
		return;
	}
	b->device_id = row->device_id;
	b->reg_id = row->reg_id;
	b->cseq = row->cseq;
	b->flow = row->flow;
	b->flow.conn = 0; /* connections do not outlive the process */
	guard_home(c, b, false);
	b->granted_us = left_us;
	b->expires_us = c->now_us + left_us;
	b->stored_us = stored_us;
	b->registered_wall_ms = row->registered_wall_ms;
	wheel_set(&c->wheel, &b->expiry, b->expires_us);
	if (c->site && !still_allowed(c, b))
		binding_drop(c, b, true);
}

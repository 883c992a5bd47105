/* Subscriptions as rows of the store: written behind, in pace; numbers reserved by blocks. */
#include "sip/event/event_internal.h"

enum { ROWS_PER_GO = 40, GO_EVERY_US = 10000, FIRST_GO_US = 20000 };

static bool put(struct span s, char *dst, size_t cap)
{
	return span_copyz(s, dst, cap);
}

/* False: a text is longer than a row can hold. */
static bool to_row(const struct event_server *es, const struct event_sub *s, int64_t now_us, struct subscription_row *row)
{
	memset(row, 0, sizeof *row);
	row->device_id = s->peer->device_id;
	row->cseq = s->stored_cseq;
	row->remote_cseq = s->dlg.remote_cseq;
	row->state = s->state;
	row->flow = s->dlg.flow;
	row->expires_wall_ms = (s->stored_us + es->wall_minus_mono_us) / 1000;
	row->written_wall_ms = (now_us + es->wall_minus_mono_us) / 1000;
	return put(s->dlg.local_tag, row->local_tag, sizeof row->local_tag) && put(s->dlg.remote_tag, row->remote_tag, sizeof row->remote_tag) &&
	       put(s->dlg.call_id, row->call_id, sizeof row->call_id) && put(s->dlg.local_uri, row->local_uri, sizeof row->local_uri) &&
	       put(s->dlg.remote_uri, row->remote_uri, sizeof row->remote_uri) &&
	       put(s->dlg.remote_target, row->target, sizeof row->target) && put(s->dlg.route, row->route, sizeof row->route) &&
	       put(span_z(s->res->package->name), row->package, sizeof row->package) && put(span_mem(s->id, s->id_n), row->event_id, sizeof row->event_id) &&
	       put(span_z(s->res->package->types[s->type]), row->type, sizeof row->type) &&
	       put(sub_resource(s), row->resource, sizeof row->resource) && put(span_z(s->subscriber), row->subscriber, sizeof row->subscriber);
}

void row_wanted(struct event_server *es, struct event_sub *s, int64_t now_us)
{
	if (s->unsaved || s->implicit || s->state == EVENT_TERMINATED)
		return;
	s->unsaved = true;
	list_add(&es->store, s, offsetof(struct event_sub, of_store));
	if (!timer_is_set(&es->saver))
		wheel_set(es->wheel, &es->saver, now_us + FIRST_GO_US);
}

static void write_one(struct event_server *es, struct event_sub *s, int64_t now_us)
{
	struct subscription_row row;
	list_remove(&es->store, s, offsetof(struct event_sub, of_store));
	s->unsaved = false;
	/* Like a registration: a refresh touches memory only, so the row outlives two of them. */
	s->stored_us = s->expires_us + 2 * s->granted_us;
	s->stored_cseq = s->dlg.local_cseq + EVENT_RESERVE;
	if (to_row(es, s, now_us, &row))
		es->user.store(es->user.ctx, &row, false);
	else
		ev_log(es, LOG_WARN, "subscription.not_kept", LOG_Z("package", event_name_of(s)), LOG_Z("extension", s->subscriber),
		       LOG_Z("why", "a URI or tag is longer than the store takes"));
}

void rows_write(struct event_server *es, int64_t now_us)
{
	for (int i = 0; i < ROWS_PER_GO && es->store.first; i++)
		write_one(es, es->store.first, now_us);
	if (es->store.first)
		wheel_set(es->wheel, &es->saver, now_us + GO_EVERY_US);
}

void row_gone(struct event_server *es, struct event_sub *s)
{
	struct subscription_row row = {0};
	if (!s->stored_cseq || s->implicit)
		return;
	(void)put(s->dlg.local_tag, row.local_tag, sizeof row.local_tag);
	es->user.store(es->user.ctx, &row, true);
	s->stored_cseq = 0;
}

/* ---- start ---- */

static int type_index(const struct event_package *p, const char *type)
{
	for (int i = 0; p->types[i]; i++)
		if (span_eqz(span_z(p->types[i]), type))
			return i;
	return -1;
}

/* A start uses numbers from the reserved one on before it has reserved others; should it die at once, the next start finds the
 * same row. So the time since the row was written is skipped as well, one number for each 8 ms: no subscription uses
 * them up faster. */
static uint32_t first_cseq(const struct event_server *es, const struct subscription_row *row, int64_t now_us)
{
	int64_t since_ms = (now_us + es->wall_minus_mono_us) / 1000 - row->written_wall_ms;
	int64_t n = (int64_t)row->cseq + (since_ms > 0 ? since_ms / 8 : 0);
	return n < INT32_MAX - EVENT_RESERVE ? (uint32_t)n : row->cseq;
}

static int restore_dialog(struct event_server *es, struct event_sub *s, const struct subscription_row *row, int64_t now_us)
{
	struct dialog d = {
		.state = DIALOG_CONFIRMED, .call_id = span_z(row->call_id), .local_tag = span_z(row->local_tag), .remote_tag = span_z(row->remote_tag),
		.local_uri = span_z(row->local_uri), .remote_uri = span_z(row->remote_uri), .remote_target = span_z(row->target),
		.route = span_z(row->route), .local_cseq = first_cseq(es, row, now_us), .remote_cseq = row->remote_cseq, .has_remote_cseq = true, .flow = row->flow,
	};
	d.flow.conn = 0; /* connections do not outlive the process */
	return dialog_copy(&s->dlg, es->slab, &d);
}

static bool fill(struct event_server *es, struct event_sub *s, const struct subscription_row *row, const struct event_package *p)
{
	struct span id = span_z(row->event_id);
	int type = type_index(p, row->type);
	if (type < 0 || !sub_index_tag(es, s) || !sub_join(es, s, p, span_z(row->resource), row->device_id) ||
	    !span_copyz(span_z(row->subscriber), s->subscriber, sizeof s->subscriber))
		return false;
	s->type = (uint8_t)type;
	s->id = id.n ? slab_copy(es->slab, id) : NULL;
	s->id_n = (uint8_t)(s->id ? id.n : 0);
	return !id.n || s->id;
}

int event_restore(struct event_server *es, const struct subscription_row *row, const struct event_package *package, int64_t now_us)
{
	int64_t left_us = row->expires_wall_ms * 1000 - es->wall_minus_mono_us - now_us, max_us = (int64_t)package->max_expires_s * EV_SECOND_US;
	if (left_us <= 0 || !row->local_tag[0] || !row->call_id[0] || row->cseq > INT32_MAX - EVENT_RESERVE || row->state > EVENT_ACTIVE)
		return -1;
	struct event_sub *s = sub_new(es);
	if (!s)
		return -1;
	if (restore_dialog(es, s, row, now_us) != 0) {
		pool_delete(&es->subs, s->h);
		return -1;
	}
	if (!fill(es, s, row, package)) {
		sub_free(es, s);
		return -1;
	}
	sub_set_state(es, s, (enum event_state)row->state);
	s->granted_us = left_us < max_us ? left_us : max_us;
	s->expires_us = now_us + s->granted_us;
	s->stored_us = now_us + left_us;
	s->stored_cseq = s->dlg.local_cseq;
	sub_set_timer(es, s);
	row_wanted(es, s, now_us); /* reserves anew: the next start must skip what this one uses */
	if (sip_transport_reliable(s->dlg.flow.transport)) {
		s->dirty = s->full = true;
		sub_set_waiting(es, s, true);
	} else {
		notify_want(es, s, true, Q_INITIAL);
	}
	return 0;
}

/* Rows of C to statements and back. Enums are stored by name, so that a reordered list changes nothing. */
#include <stdlib.h>

#include "gen/fields.h"
#include "store/store_int.h"

void store_bind_text(sqlite3_stmt *st, int at, const char *z)
{
	sqlite3_bind_text(st, at, z, -1, SQLITE_STATIC);
}

void store_bind_row(sqlite3_stmt *st, const struct entity_desc *d, const void *row)
{
	struct entity_head h;
	memcpy(&h, row, sizeof h);
	if (h.id)
		sqlite3_bind_int64(st, 1, (sqlite3_int64)h.id);
	else
		sqlite3_bind_null(st, 1);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)h.revision);
	for (uint32_t i = 0; i < d->n_fields; i++) {
		const struct field_desc *f = &d->fields[i];
		int at = (int)i + 3;
		if (f->type == FIELD_TEXT || f->type == FIELD_SEALED)
			store_bind_text(st, at, field_text(f, row));
		else if (f->type == FIELD_ENUM)
			store_bind_text(st, at, f->values[(uint32_t)field_int(f, row) < f->n_values ? field_int(f, row) : 0]);
		else
			sqlite3_bind_int(st, at, field_int(f, row));
	}
}

static struct span column_span(sqlite3_stmt *st, int at)
{
	const void *p = sqlite3_column_text(st, at);
	return p ? span_mem(p, (size_t)sqlite3_column_bytes(st, at)) : SPAN_NONE;
}

static int read_field(sqlite3_stmt *st, int at, const struct field_desc *f, void *row)
{
	if (f->type == FIELD_TEXT || f->type == FIELD_SEALED)
		return span_copyz(column_span(st, at), (char *)row + f->offset, (size_t)f->max + 1) ? 0 : -1;
	if (f->type != FIELD_ENUM) {
		field_int_put(f, row, sqlite3_column_int(st, at));
		return 0;
	}
	for (uint32_t k = 0; k < f->n_values; k++) {
		if (span_eqz(column_span(st, at), f->values[k])) {
			field_int_put(f, row, (int32_t)k);
			return 0;
		}
	}
	return -1;
}

int store_read_row(sqlite3_stmt *st, const struct entity_desc *d, void *row)
{
	struct entity_head h = {(uint64_t)sqlite3_column_int64(st, 0), (uint64_t)sqlite3_column_int64(st, 1)};
	memset(row, 0, d->bytes);
	memcpy(row, &h, sizeof h);
	for (uint32_t i = 0; i < d->n_fields; i++)
		if (read_field(st, (int)i + 2, &d->fields[i], row) != 0)
			return -1;
	return 0;
}

void store_bind_cdr(sqlite3_stmt *st, const struct cdr_row *r)
{
	const char *texts1[] = {r->id, r->call};
	const char *texts2[] = {r->extension, r->device, r->caller, r->callee, r->dialled, r->sip_call_id, r->remote};
	const int64_t nums1[] = {r->start_wall_ms, r->ring_wall_ms, r->answer_wall_ms, r->end_wall_ms, r->ring_ms, r->talk_ms,
				 r->cause, r->sip_status, r->ended_by, r->closed, r->direct_media};
	const struct media_stats *m = &r->media;
	const int64_t nums2[] = {(int64_t)m->rx_packets, (int64_t)m->rx_bytes, (int64_t)m->tx_packets, (int64_t)m->tx_bytes,
				 (int64_t)m->rx_lost, (int64_t)m->rx_dropped, m->jitter_us, m->max_jitter_us, m->mos_x100, m->far_lost,
				 m->rtt_us};
	int at = 1;
	for (size_t i = 0; i < sizeof texts1 / sizeof texts1[0]; i++)
		store_bind_text(st, at++, texts1[i]);
	sqlite3_bind_int(st, at++, r->leg_no);
	sqlite3_bind_int(st, at++, r->direction);
	for (size_t i = 0; i < sizeof texts2 / sizeof texts2[0]; i++)
		store_bind_text(st, at++, texts2[i]);
	for (size_t i = 0; i < sizeof nums1 / sizeof nums1[0]; i++)
		sqlite3_bind_int64(st, at++, nums1[i]);
	store_bind_text(st, at++, r->codec);
	for (size_t i = 0; i < sizeof nums2 / sizeof nums2[0]; i++)
		sqlite3_bind_int64(st, at++, nums2[i]);
}

void store_bind_addr(sqlite3_stmt *st, int at, const struct addr *a)
{
	char b[64];
	struct text t = TEXT_ARRAY(b);
	if (a->family)
		addr_put(&t, a);
	sqlite3_bind_text(st, at, b, (int)t.n, SQLITE_TRANSIENT);
}

void store_bind_binding(sqlite3_stmt *st, const struct binding_row *b)
{
	store_bind_text(st, 1, b->extension);
	store_bind_text(st, 2, b->contact);
	store_bind_text(st, 3, b->instance);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)b->device_id);
	store_bind_text(st, 5, b->call_id);
	store_bind_text(st, 6, b->user_agent);
	store_bind_text(st, 7, b->path);
	sqlite3_bind_int64(st, 8, b->reg_id);
	sqlite3_bind_int64(st, 9, b->cseq);
	sqlite3_bind_int(st, 10, (int)b->flow.transport);
	sqlite3_bind_int(st, 11, b->flow.listener);
	store_bind_addr(st, 12, &b->flow.remote);
	store_bind_addr(st, 13, &b->flow.local);
	sqlite3_bind_int64(st, 14, b->expires_wall_ms);
	sqlite3_bind_int64(st, 15, b->registered_wall_ms);
}

static int read_addr(struct span s, struct addr *out)
{
	uint64_t port;
	size_t i = s.n;
	*out = (struct addr){.family = 0};
	if (s.n == 0)
		return 0;
	while (i > 0 && s.p[i - 1] != ':')
		i--;
	if (i == 0 || span_u64(span_sub(s, i, s.n), 65535, &port) != 0)
		return -1;
	return addr_parse(span_sub(s, 0, i - 1), (uint16_t)port, out);
}

int store_column_addr(sqlite3_stmt *st, int column, struct addr *out)
{
	return read_addr(column_span(st, column), out);
}

int store_read_binding(sqlite3_stmt *st, struct binding_row *b)
{
	int transport = sqlite3_column_int(st, 9);
	memset(b, 0, sizeof *b);
	if (!span_copyz(column_span(st, 0), b->extension, sizeof b->extension) ||
	    !span_copyz(column_span(st, 1), b->contact, sizeof b->contact) ||
	    !span_copyz(column_span(st, 2), b->instance, sizeof b->instance) ||
	    !span_copyz(column_span(st, 4), b->call_id, sizeof b->call_id) ||
	    !span_copyz(column_span(st, 5), b->user_agent, sizeof b->user_agent) ||
	    !span_copyz(column_span(st, 6), b->path, sizeof b->path))
		return -1;
	if (transport < SIP_UDP || transport > SIP_TLS || read_addr(column_span(st, 11), &b->flow.remote) != 0 ||
	    read_addr(column_span(st, 12), &b->flow.local) != 0)
		return -1;
	b->device_id = (uint64_t)sqlite3_column_int64(st, 3);
	b->reg_id = (uint32_t)sqlite3_column_int64(st, 7);
	b->cseq = (uint32_t)sqlite3_column_int64(st, 8);
	b->flow.transport = (enum sip_transport)transport;
	b->flow.listener = (uint16_t)sqlite3_column_int(st, 10);
	b->expires_wall_ms = sqlite3_column_int64(st, 13);
	b->registered_wall_ms = sqlite3_column_int64(st, 14);
	return 0;
}

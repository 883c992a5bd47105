/* Subscriptions in registrations.db: queued like registrations, written in the same rhythm, read at start. */
#include "store/store_int.h"

#include "base/text.h"

#define SUB_COLUMNS                                                                                                    \
	"local_tag, remote_tag, call_id, local_uri, remote_uri, target, route, package, event_id, type, resource, "   \
	"subscriber, device_id, cseq, remote_cseq, state, transport, listener, remote, local, expires_ms, written_ms"

const char store_subs_schema[] =
	"CREATE TABLE IF NOT EXISTS subscription (local_tag TEXT PRIMARY KEY, remote_tag TEXT, call_id TEXT, local_uri TEXT, "
	"remote_uri TEXT, target TEXT, route TEXT, package TEXT, event_id TEXT, type TEXT, resource TEXT, subscriber TEXT, "
	"device_id INTEGER, cseq INTEGER, remote_cseq INTEGER, state INTEGER, transport INTEGER, listener INTEGER, remote TEXT, "
	"local TEXT, expires_ms INTEGER, written_ms INTEGER) WITHOUT ROWID;";
const char store_subs_put[] = "INSERT OR REPLACE INTO subscription (" SUB_COLUMNS ") VALUES "
			      "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const char store_subs_drop[] = "DELETE FROM subscription WHERE local_tag = ?";

/* The texts in the order of their columns. */
static void texts_of(const struct subscription_row *r, const char *out[12])
{
	const char *const t[12] = {r->local_tag, r->remote_tag, r->call_id, r->local_uri, r->remote_uri, r->target,
				   r->route, r->package, r->event_id, r->type, r->resource, r->subscriber};
	memcpy(out, t, sizeof t);
}

void store_bind_sub(sqlite3_stmt *st, const struct subscription_row *r)
{
	const char *t[12];
	texts_of(r, t);
	for (int i = 0; i < 12; i++)
		store_bind_text(st, i + 1, t[i]);
	sqlite3_bind_int64(st, 13, (sqlite3_int64)r->device_id);
	sqlite3_bind_int64(st, 14, r->cseq);
	sqlite3_bind_int64(st, 15, r->remote_cseq);
	sqlite3_bind_int(st, 16, r->state);
	sqlite3_bind_int(st, 17, (int)r->flow.transport);
	sqlite3_bind_int(st, 18, r->flow.listener);
	store_bind_addr(st, 19, &r->flow.remote);
	store_bind_addr(st, 20, &r->flow.local);
	sqlite3_bind_int64(st, 21, r->expires_wall_ms);
	sqlite3_bind_int64(st, 22, r->written_wall_ms);
}

static bool read_text(sqlite3_stmt *st, int column, char *dst, size_t cap)
{
	return span_copyz(span_mem(sqlite3_column_text(st, column), (size_t)sqlite3_column_bytes(st, column)), dst, cap);
}

static bool read_row(sqlite3_stmt *st, struct subscription_row *r)
{
	int transport = sqlite3_column_int(st, 16);
	int64_t cseq = sqlite3_column_int64(st, 13);
	memset(r, 0, sizeof *r);
	struct { char *dst; size_t cap; } const t[] = {
		{r->local_tag, sizeof r->local_tag}, {r->remote_tag, sizeof r->remote_tag}, {r->call_id, sizeof r->call_id},
		{r->local_uri, sizeof r->local_uri}, {r->remote_uri, sizeof r->remote_uri}, {r->target, sizeof r->target},
		{r->route, sizeof r->route}, {r->package, sizeof r->package}, {r->event_id, sizeof r->event_id},
		{r->type, sizeof r->type}, {r->resource, sizeof r->resource}, {r->subscriber, sizeof r->subscriber},
	};
	for (int i = 0; i < 12; i++)
		if (!read_text(st, i, t[i].dst, t[i].cap))
			return false;
	if (transport < SIP_UDP || transport > SIP_TLS || cseq < 0 || cseq > INT32_MAX || store_column_addr(st, 18, &r->flow.remote) != 0 ||
	    store_column_addr(st, 19, &r->flow.local) != 0)
		return false;
	r->device_id = (uint64_t)sqlite3_column_int64(st, 12);
	r->cseq = (uint32_t)cseq;
	r->remote_cseq = (uint32_t)sqlite3_column_int64(st, 14);
	r->state = (uint8_t)sqlite3_column_int(st, 15);
	r->flow.transport = (enum sip_transport)transport;
	r->flow.listener = (uint16_t)sqlite3_column_int(st, 17);
	r->expires_wall_ms = sqlite3_column_int64(st, 20);
	r->written_wall_ms = sqlite3_column_int64(st, 21);
	return true;
}

struct sub_walk {
	void (*each)(void *ctx, const struct subscription_row *r);
	void *ctx;
};

static void on_row(void *ctx, sqlite3_stmt *st)
{
	const struct sub_walk *w = ctx;
	struct subscription_row r;
	if (read_row(st, &r))
		w->each(w->ctx, &r);
}

int store_load_subscriptions(struct store *s, int64_t wall_ms, void (*each)(void *ctx, const struct subscription_row *r), void *ctx)
{
	struct sub_walk w = {each, ctx};
	return store_walk(s, "SELECT " SUB_COLUMNS " FROM subscription WHERE expires_ms > ? ORDER BY local_tag", wall_ms, on_row, &w);
}

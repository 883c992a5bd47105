/* Blocked sources in registrations.db (Z45): read back at the start, so that a restart lets nobody in who was shut out. */
#include "guard/budget.h"
#include "io/clock.h"
#include "store/store_int.h"

const char store_bans_schema[] = "CREATE TABLE IF NOT EXISTS ban (source TEXT PRIMARY KEY, until_ms INTEGER) WITHOUT ROWID;";
/* No more than the guard has places for. */
const char store_bans_prune[] = "DELETE FROM ban WHERE until_ms <= ?1 OR source IN (SELECT source FROM ban ORDER BY until_ms DESC LIMIT -1 OFFSET ?2)";

void store_bind_ban(sqlite3_stmt *st, const struct ban_row *r, bool gone)
{
	char ip[64];
	struct text t = TEXT_ARRAY(ip);
	addr_put_ip(&t, &r->source);
	sqlite3_bind_text(st, 1, ip, (int)t.n, SQLITE_TRANSIENT);
	if (!gone)
		sqlite3_bind_int64(st, 2, r->until_wall_ms);
}

int store_prune_bans(struct store *s)
{
	sqlite3_bind_int64(s->rg[RG_BAN_PRUNE], 1, wall_us() / 1000);
	sqlite3_bind_int(s->rg[RG_BAN_PRUNE], 2, BUDGET_SOURCES);
	return store_run(s->rg[RG_BAN_PRUNE]);
}

struct ban_walk {
	void (*each)(void *ctx, const struct ban_row *r);
	void *ctx;
};

static void on_row(void *ctx, sqlite3_stmt *st)
{
	const struct ban_walk *w = ctx;
	struct ban_row r = {.until_wall_ms = sqlite3_column_int64(st, 1)};
	if (addr_parse(span_mem(sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0)), 0, &r.source) == 0)
		w->each(w->ctx, &r);
}

int store_load_bans(struct store *s, int64_t wall_ms, void (*each)(void *ctx, const struct ban_row *r), void *ctx)
{
	struct ban_walk w = {each, ctx};
	return store_walk(s, "SELECT source, until_ms FROM ban WHERE until_ms > ? ORDER BY source", wall_ms, on_row, &w);
}

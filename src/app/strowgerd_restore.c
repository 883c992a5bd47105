/* At the start: what the life before knew of phones and strangers goes to the cell. */
#include "app/strowgerd.h"

#include "io/clock.h"

struct restore {
	struct cell_host *host;
	uint32_t listeners, n;
};

static void feed(struct restore *r, struct cell_in *in)
{
	cell_host_feed(r->host, in);
	r->n++;
}

/* Connections of the last run are gone, and their numbers will be given to others. */
static void fit(const struct restore *r, struct sip_flow *flow)
{
	flow->conn = 0;
	if (flow->listener >= r->listeners)
		flow->listener = 0;
}

static void on_binding(void *ctx, const struct binding_row *row)
{
	struct cell_in in = {.kind = CELL_IN_BINDING, .u.binding = *row};
	fit(ctx, &in.u.binding.flow);
	feed(ctx, &in);
}

static void on_subscription(void *ctx, const struct subscription_row *row)
{
	struct cell_in in = {.kind = CELL_IN_SUBSCRIPTION, .u.subscription = *row};
	fit(ctx, &in.u.subscription.flow);
	feed(ctx, &in);
}

static void on_ban(void *ctx, const struct ban_row *row)
{
	struct cell_in in = {.kind = CELL_IN_BAN, .u.ban = *row};
	feed(ctx, &in);
}

static void told(struct log_sink *log, int rc, struct restore *r, const char *event, const char *failed)
{
	if (rc != 0)
		log_event(log, LOG_WARN, failed, LOG_Z("file", "registrations.db"));
	if (r->n)
		log_event(log, LOG_INFO, event, LOG_I("n", r->n));
	r->n = 0;
}

void restore_live(struct store *s, struct cell_host *host, uint32_t listeners, struct log_sink *log)
{
	struct restore r = {host, listeners, 0};
	int64_t wall_ms = wall_us() / 1000;
	int rc = store_load_bindings(s, wall_ms, on_binding, &r);
	told(log, rc, &r, "registrations.restored", "store.bindings_not_read");
	rc = store_load_subscriptions(s, wall_ms, on_subscription, &r);
	told(log, rc, &r, "subscriptions.restored", "store.subscriptions_not_read");
	rc = store_load_bans(s, wall_ms, on_ban, &r);
	told(log, rc, &r, "bans.restored", "store.bans_not_read");
}

/* The times in registrations.db are of the wall clock, and somebody may put that right, or wrong, by a month: it must neither expire
 * every registration nor keep dead ones for good (R15). So the file notes by which clock its times were written: the wall clock, the
 * time since the machine was started, and which start that was. Where the wall clock has moved against the other, all times in the
 * file move with it. After a new start of the machine there is nothing to measure by: the wall clock is believed for up to a day;
 * what is less than nothing or more than that counts as a clock put wrong, and as no time at all. A registration from before then
 * lives for one grant of its own at most (binding_restore), and its phone has refreshed it by that, or is gone. */
#include "io/clock.h"
#include "store/store_int.h"

enum { JUMP_MS = 5000 /* less is the clock being steered */, NOTE_MS = 60000, DAY_MS = 86400000 };

static struct store_clock clock_now(const struct store *s)
{
	struct store_clock c = {.wall_ms = wall_us() / 1000, .boot_ms = boot_us() / 1000};
	memcpy(c.boot, s->boot, sizeof c.boot);
	return c;
}

static int64_t moved(const struct store_clock *then, const struct store_clock *now)
{
	int64_t wall = now->wall_ms - then->wall_ms;
	if (now->boot[0] && strcmp(then->boot, now->boot) == 0)
		wall -= now->boot_ms - then->boot_ms;
	else if (wall >= 0 && wall <= DAY_MS)
		return 0;
	return wall < JUMP_MS && wall > -JUMP_MS ? 0 : wall;
}

static int note(struct store *s, const struct store_clock *c)
{
	sqlite3_stmt *st = s->rg[RG_CLOCK];
	sqlite3_bind_int64(st, 1, c->wall_ms);
	sqlite3_bind_int64(st, 2, c->boot_ms);
	store_bind_text(st, 3, c->boot);
	return store_run(st);
}

static int move(struct store *s, enum reg_kind which, int64_t ms)
{
	sqlite3_bind_int64(s->rg[which], 1, ms);
	return store_run(s->rg[which]);
}

int store_clock_follow(struct store *s)
{
	struct store_clock now = clock_now(s);
	int64_t by = s->clock.wall_ms ? moved(&s->clock, &now) : 0;
	if (!by && s->clock.wall_ms && now.wall_ms - s->clock.wall_ms < NOTE_MS && strcmp(now.boot, s->clock.boot) == 0)
		return 0;
	bool ok = store_run(s->rg[RG_BEGIN]) == 0 && note(s, &now) == 0;
	ok = ok && (!by || (move(s, RG_MOVE_BINDINGS, by) == 0 && move(s, RG_MOVE_SUBS, by) == 0 && move(s, RG_MOVE_BANS, by) == 0));
	if (!ok || store_run(s->rg[RG_COMMIT]) != 0)
		return -1;
	s->clock = now;
	s->moved_ms += by;
	if (by)
		log_event(s->log, LOG_WARN, "store.clock_moved", LOG_I("seconds", by / 1000), LOG_Z("mend", "none needed: the times of registrations were moved with it"));
	return 0;
}

/* A disk that refuses is no reason not to start: the next commit tries again. */
void store_clock_open(struct store *s)
{
	sqlite3_stmt *st = NULL;
	boot_id(s->boot);
	if (s->clock.wall_ms) { /* a new file in the place of a damaged one */
		(void)note(s, &s->clock);
		return;
	}
	if (sqlite3_prepare_v2(s->reg, "SELECT wall_ms, boot_ms, boot FROM clock", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
		s->clock.wall_ms = sqlite3_column_int64(st, 0);
		s->clock.boot_ms = sqlite3_column_int64(st, 1);
		struct span b = span_mem(sqlite3_column_text(st, 2), (size_t)sqlite3_column_bytes(st, 2));
		if (!span_copyz(b, s->clock.boot, sizeof s->clock.boot))
			s->clock.boot[0] = 0;
	}
	sqlite3_finalize(st);
	if (store_clock_follow(s) != 0 && !sqlite3_get_autocommit(s->reg))
		store_run(s->rg[RG_ROLLBACK]);
}

/* The switch dies at a moment of the world's choosing and starts again from what was on its disk, as the daemon does:
 * registrations restored, connections gone, open CDRs closed as interrupted, everything else forgotten. */
#include "sim/world.h"

#include <stdio.h>

void world_crash(struct world *w, int64_t down_us)
{
	INVARIANT(!w->in_cell);
	if (!w->cell)
		return;
	w->crashed_us = w->now;
	w->res.crashes++;
	w->epoch++; /* confirmations on their way are for nobody */
	w->persist_pending = 0;
	disk_tear(w);
	cell_free(w->cell);
	mgraph_free(w->media);
	service_free(w->service);
	w->cell = NULL;
	w->media = NULL;
	w->service = NULL;
	net_down(w);
	world_at(w, w->now + down_us, EV_RESTART, 0, 0, NULL);
}

static uint32_t settled_phones(const struct world *w)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < w->n_phones; i++)
		n += w->phone[i].v && w->phone[i].registered_us && w->crashed_us - w->phone[i].registered_us > US_PER_S;
	return n;
}

static void restore(struct world *w)
{
	for (uint32_t i = 0; i < w->disk.bind.n; i++) {
		struct cell_in in = {.kind = CELL_IN_BINDING, .u.binding = *(struct binding_row *)behind_row(&w->disk.bind, i)};
		in.u.binding.flow.conn = 0;
		world_cell(w, &in);
	}
	for (uint32_t i = 0; i < w->disk.sub.n; i++) {
		struct cell_in in = {.kind = CELL_IN_SUBSCRIPTION, .u.subscription = *(struct subscription_row *)behind_row(&w->disk.sub, i)};
		world_cell(w, &in);
	}
	for (uint32_t i = 0; i < w->disk.ban.n; i++) {
		struct cell_in in = {.kind = CELL_IN_BAN, .u.ban = *(struct ban_row *)behind_row(&w->disk.ban, i)};
		world_cell(w, &in);
	}
	uint32_t have = cell_counts(w->cell).bindings, least = settled_phones(w);
	if (have < least)
		violation(w, "%u registrations came back, %u phones had been registered for a second or more", have, least);
}

void world_restart(struct world *w)
{
	const char *error = "";
	w->cell_timer_at = w->media_timer_at = INT64_MAX;
	w->media_seq = 0;
	w->slots_open = 0;
	memset(w->slot_open, 0, w->n_slots);
	memset(w->registers, 0, sizeof w->registers);
	if (world_boot(w, &error) != 0 || web_init(w, &error) != 0) {
		violation(w, "the switch does not start again: %s", error);
		return;
	}
	disk_reopen(w);
	restore(w);
}

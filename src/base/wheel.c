#include "base/wheel.h"

#include "base/assert.h"

enum { DUE = WHEEL_LEVELS * WHEEL_SLOTS, TICK_US = 1000 };

static void list_add(struct timer *head, struct timer *t)
{
	t->prev = head->prev;
	t->next = head;
	head->prev->next = t;
	head->prev = t;
}

static void list_del(struct timer *t)
{
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->prev = t->next = NULL;
}

/* A deadline inside a tick fires at the tick's end: never early. */
static int64_t tick_of(int64_t us)
{
	return us >= 0 ? (us + TICK_US - 1) / TICK_US : us / TICK_US;
}

void wheel_init(struct wheel *w, int64_t now_us)
{
	memset(w, 0, sizeof *w);
	for (int i = 0; i <= DUE; i++)
		w->slots[i].prev = w->slots[i].next = &w->slots[i];
	w->tick = now_us / TICK_US;
}

static void place(struct wheel *w, struct timer *t)
{
	int64_t tick = tick_of(t->at_us);
	if (tick <= w->tick) {
		t->slot = DUE;
	} else {
		uint64_t diff = (uint64_t)tick ^ (uint64_t)w->tick;
		unsigned level = (63 - (unsigned)__builtin_clzll(diff)) / WHEEL_BITS;
		unsigned s;
		if (level >= WHEEL_LEVELS) {
			/* farther than the wheel turns: wait in the last place before the top level's hand */
			level = WHEEL_LEVELS - 1;
			s = ((unsigned)(w->tick >> (level * WHEEL_BITS)) + WHEEL_SLOTS - 1) % WHEEL_SLOTS;
		} else {
			s = (unsigned)(tick >> (level * WHEEL_BITS)) % WHEEL_SLOTS;
		}
		t->slot = (uint16_t)(level * WHEEL_SLOTS + s);
		w->busy[level] |= UINT64_C(1) << s;
	}
	list_add(&w->slots[t->slot], t);
}

void wheel_set(struct wheel *w, struct timer *t, int64_t at_us)
{
	wheel_cancel(w, t);
	t->at_us = at_us;
	place(w, t);
	w->count++;
}

static void clear_if_empty(struct wheel *w, unsigned slot)
{
	if (slot < DUE && w->slots[slot].next == &w->slots[slot])
		w->busy[slot / WHEEL_SLOTS] &= ~(UINT64_C(1) << (slot % WHEEL_SLOTS));
}

void wheel_cancel(struct wheel *w, struct timer *t)
{
	if (!timer_is_set(t))
		return;
	list_del(t);
	clear_if_empty(w, t->slot);
	w->count--;
}

/* First tick after the current one at which something must be looked at, by level. */
static int64_t next_tick(const struct wheel *w)
{
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		if (!w->busy[level])
			continue;
		unsigned shift = level * WHEEL_BITS;
		unsigned hand = (unsigned)(w->tick >> shift) % WHEEL_SLOTS;
		uint64_t ahead = (w->busy[level] >> hand) | (hand ? w->busy[level] << (WHEEL_SLOTS - hand) : 0);
		unsigned d = (unsigned)__builtin_ctzll(ahead);
		int64_t base = (w->tick >> shift) << shift;
		return base + ((int64_t)(d ? d : WHEEL_SLOTS) << shift);
	}
	return WHEEL_NEVER;
}

int64_t wheel_deadline(const struct wheel *w)
{
	if (w->slots[DUE].next != &w->slots[DUE])
		return w->tick * TICK_US;
	int64_t t = next_tick(w);
	return t == WHEEL_NEVER ? WHEEL_NEVER : t * TICK_US;
}

/* Moves the hand to tick and re-places what waits in the places it comes to, higher levels first. */
static void advance(struct wheel *w, int64_t tick)
{
	int64_t old = w->tick;
	w->tick = tick;
	for (unsigned level = WHEEL_LEVELS; level-- > 0;) {
		unsigned shift = level * WHEEL_BITS;
		if ((tick >> shift) == (old >> shift))
			continue;
		unsigned s = level * WHEEL_SLOTS + (unsigned)(tick >> shift) % WHEEL_SLOTS;
		struct timer *head = &w->slots[s], moved;
		if (head->next == head)
			continue;
		moved.next = head->next;
		moved.prev = head->prev;
		moved.next->prev = moved.prev->next = &moved;
		head->next = head->prev = head;
		clear_if_empty(w, s);
		while (moved.next != &moved) {
			struct timer *t = moved.next;
			list_del(t);
			place(w, t);
		}
	}
}

struct timer *wheel_pop(struct wheel *w, int64_t now_us)
{
	struct timer *due = &w->slots[DUE];
	int64_t now = now_us / TICK_US;
	while (due->next == due) {
		int64_t t = next_tick(w);
		if (t > now) {
			if (now > w->tick)
				advance(w, now);
			if (due->next == due)
				return NULL;
			break;
		}
		advance(w, t);
	}
	struct timer *t = due->next;
	list_del(t);
	w->count--;
	return t;
}

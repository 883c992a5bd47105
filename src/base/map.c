#include "base/map.h"

#include "base/assert.h"

#include <stdlib.h>

static const uint32_t REMOVED = UINT32_MAX;

void map_init(struct map *m, struct hash_key key)
{
	*m = (struct map){.key = key};
}

void map_destroy(struct map *m)
{
	free(m->entries);
	free(m->index);
	*m = (struct map){.key = m->key};
}

/* Place in the index that holds key, or the place to put it (first removed or empty one on its path). */
static uint32_t find(const struct map *m, struct span key, uint64_t hash, bool *found)
{
	uint32_t mask = m->n_index - 1, i = (uint32_t)hash & mask, put = REMOVED;
	*found = false;
	for (;; i = (i + 1) & mask) {
		uint32_t e = m->index[i];
		if (e == 0)
			return put != REMOVED ? put : i;
		if (e == REMOVED) {
			if (put == REMOVED)
				put = i;
			continue;
		}
		const struct map_entry *en = &m->entries[e - 1];
		if (en->hash == hash && span_eq(en->key, key)) {
			*found = true;
			return i;
		}
	}
}

void *map_get(const struct map *m, struct span key)
{
	bool found;
	if (m->live == 0 || key.n == 0)
		return NULL;
	uint32_t i = find(m, key, siphash(&m->key, key.p, key.n), &found);
	return found ? m->entries[m->index[i] - 1].value : NULL;
}

/* New arrays without holes; order kept. */
static int rebuild(struct map *m, uint32_t cap)
{
	uint32_t n_index = 16;
	while (n_index < cap * 2)
		n_index *= 2;
	struct map_entry *entries = malloc(cap * sizeof *entries);
	uint32_t *index = calloc(n_index, sizeof *index);
	if (!entries || !index) {
		free(entries);
		free(index);
		return -1;
	}
	uint32_t n = 0;
	for (uint32_t e = 0; e < m->n_entries; e++) {
		if (!m->entries[e].key.p)
			continue;
		uint32_t i = (uint32_t)m->entries[e].hash & (n_index - 1);
		while (index[i])
			i = (i + 1) & (n_index - 1);
		entries[n] = m->entries[e];
		index[i] = ++n;
	}
	free(m->entries);
	free(m->index);
	m->entries = entries;
	m->index = index;
	m->n_entries = n;
	m->cap = cap;
	m->n_index = n_index;
	m->tombs = 0;
	return 0;
}

int map_put(struct map *m, struct span key, void *value)
{
	bool found;
	INVARIANT(key.n > 0 && value != NULL);
	if (m->n_entries == m->cap || m->tombs > m->n_index / 4) {
		uint32_t cap = m->cap == 0 ? 8 : m->live > m->cap / 2 ? m->cap * 2 : m->cap;
		if (rebuild(m, cap) != 0)
			return -1;
	}
	uint64_t hash = siphash(&m->key, key.p, key.n);
	uint32_t i = find(m, key, hash, &found);
	INVARIANT(!found);
	if (m->index[i] == REMOVED)
		m->tombs--;
	m->entries[m->n_entries] = (struct map_entry){key, value, hash};
	m->index[i] = ++m->n_entries;
	m->live++;
	return 0;
}

void *map_remove(struct map *m, struct span key)
{
	bool found;
	if (m->live == 0 || key.n == 0)
		return NULL;
	uint32_t i = find(m, key, siphash(&m->key, key.p, key.n), &found);
	if (!found)
		return NULL;
	struct map_entry *e = &m->entries[m->index[i] - 1];
	void *value = e->value;
	*e = (struct map_entry){0};
	m->index[i] = REMOVED;
	m->tombs++;
	m->live--;
	return value;
}

void *map_next(const struct map *m, uint32_t *it)
{
	while (*it < m->n_entries) {
		const struct map_entry *e = &m->entries[(*it)++];
		if (e->key.p)
			return e->value;
	}
	return NULL;
}

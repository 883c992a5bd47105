/* base/map: hash map from bytes to a pointer, walked in insertion order (so that nothing depends on the hash key).
 * Layer 0, pure. Keys are borrowed: they must live as long as the entry (keep them in the value's object). */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/hash.h"

struct map_entry {
	struct span key; /* p == NULL: removed */
	void *value;
	uint64_t hash;
};

struct map {
	struct map_entry *entries; /* in insertion order, with holes */
	uint32_t *index;           /* entry number + 1; 0 empty; UINT32_MAX removed */
	uint32_t n_entries, cap, n_index, live, tombs;
	struct hash_key key;
};

void map_init(struct map *m, struct hash_key key);
void map_destroy(struct map *m);
static inline uint32_t map_count(const struct map *m)
{
	return m->live;
}
/* NULL when absent. */
void *map_get(const struct map *m, struct span key);
/* 0; -1 without memory (the map is unchanged). The key must not be empty or present (invariant); value not NULL. */
int map_put(struct map *m, struct span key, void *value) __attribute__((warn_unused_result));
/* The value that was there, or NULL. */
void *map_remove(struct map *m, struct span key);
/* Values in insertion order; start with *it = 0; NULL at the end. Removing the one just returned is allowed, putting is not. */
void *map_next(const struct map *m, uint32_t *it);

#endif

#include "base/pool.h"

#include "base/assert.h"

#include <stdlib.h>

/* Objects of a chunk as a power of two: small pools (a phone's) must not hold a large pool's first chunk. */
enum { SHIFT_SMALL = 4, SHIFT = 8 };

struct slot {
	uint32_t gen;  /* odd while live */
	uint32_t next; /* free list: index + 1; live: own index */
	_Alignas(16) unsigned char obj[];
};

void pool_init(struct pool *p, size_t obj_bytes, uint32_t max)
{
	size_t slot = sizeof(struct slot) + obj_bytes;
	*p = (struct pool){.obj_bytes = obj_bytes, .slot_bytes = (slot + 15) & ~(size_t)15, .max = max,
	                   .shift = max <= 1u << SHIFT ? SHIFT_SMALL : SHIFT};
}

void pool_destroy(struct pool *p)
{
	for (uint32_t i = 0; i < p->n_chunks; i++)
		free(p->chunks[i]);
	free(p->chunks);
	*p = (struct pool){0};
}

static struct slot *slot_at(const struct pool *p, uint32_t i)
{
	return (struct slot *)(void *)(p->chunks[i >> p->shift] + (size_t)(i & ((1u << p->shift) - 1)) * p->slot_bytes);
}

static int grow(struct pool *p)
{
	unsigned char **chunks = realloc(p->chunks, (p->n_chunks + 1) * sizeof *chunks);
	if (!chunks)
		return -1;
	p->chunks = chunks;
	unsigned char *c = aligned_alloc(16, p->slot_bytes << p->shift);
	if (!c)
		return -1;
	memset(c, 0, p->slot_bytes << p->shift);
	p->chunks[p->n_chunks++] = c;
	return 0;
}

void *pool_new(struct pool *p, handle *h)
{
	uint32_t i;
	if (p->used >= p->max)
		return NULL;
	if (p->free_head) {
		i = p->free_head - 1;
		p->free_head = slot_at(p, i)->next;
	} else {
		i = p->fresh;
		if (i >> p->shift >= p->n_chunks && grow(p) != 0)
			return NULL;
		p->fresh++;
	}
	struct slot *s = slot_at(p, i);
	s->gen++;
	s->next = i;
	memset(s->obj, 0, p->obj_bytes);
	p->used++;
	*h = (handle)s->gen << 32 | (i + 1);
	return s->obj;
}

void *pool_get(const struct pool *p, handle h)
{
	uint32_t i = (uint32_t)h;
	if (i == 0 || i > p->fresh)
		return NULL;
	struct slot *s = slot_at(p, i - 1);
	return (s->gen & 1) && s->gen == (uint32_t)(h >> 32) ? s->obj : NULL;
}

handle pool_handle(const struct pool *p, const void *obj)
{
	const struct slot *s = CONTAINER_OF((unsigned char *)(uintptr_t)obj, struct slot, obj);
	INVARIANT(s->gen & 1);
	INVARIANT(s->next < p->fresh);
	return (handle)s->gen << 32 | (s->next + 1);
}

void pool_delete(struct pool *p, handle h)
{
	void *obj = pool_get(p, h);
	INVARIANT(obj != NULL);
	struct slot *s = slot_at(p, (uint32_t)h - 1);
	s->gen++;
	s->next = p->free_head;
	p->free_head = (uint32_t)h;
	p->used--;
}

void *pool_next(const struct pool *p, uint32_t *it)
{
	while (*it < p->fresh) {
		struct slot *s = slot_at(p, (*it)++);
		if (s->gen & 1)
			return s->obj;
	}
	return NULL;
}

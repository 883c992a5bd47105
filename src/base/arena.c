#include "base/arena.h"

#include <stdlib.h>

struct arena_chunk {
	struct arena_chunk *next;
	size_t size, used;
	_Alignas(16) unsigned char mem[];
};

void arena_init(struct arena *a, size_t chunk_bytes, size_t limit_bytes)
{
	*a = (struct arena){.chunk_bytes = chunk_bytes ? chunk_bytes : 4096, .limit_bytes = limit_bytes};
}

static struct arena_chunk *chunk_for(struct arena *a, size_t n)
{
	struct arena_chunk *c = a->cur;
	while (c && c->size - c->used < n) {
		c = c->next;
		if (c)
			c->used = 0;
	}
	if (c)
		return c;
	size_t size = n > a->chunk_bytes ? n : a->chunk_bytes;
	c = malloc(sizeof *c + size);
	if (!c)
		return NULL;
	*c = (struct arena_chunk){NULL, size, 0};
	if (a->cur) {
		c->next = a->cur->next;
		a->cur->next = c;
	} else {
		a->first = c;
	}
	return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + 15) & ~(size_t)15;
	if (a->limit_bytes && n > a->limit_bytes - a->used_bytes)
		return NULL;
	struct arena_chunk *c = chunk_for(a, n);
	if (!c)
		return NULL;
	a->cur = c;
	void *p = c->mem + c->used;
	c->used += n;
	a->used_bytes += n;
	memset(p, 0, n);
	return p;
}

struct span arena_copy(struct arena *a, struct span s)
{
	char *p = arena_alloc(a, s.n + 1);
	if (!p)
		return SPAN_NONE;
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct span){p, s.n};
}

void arena_reset(struct arena *a)
{
	a->cur = a->first;
	if (a->cur)
		a->cur->used = 0;
	a->used_bytes = 0;
}

void arena_free(struct arena *a)
{
	for (struct arena_chunk *c = a->first, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	a->first = a->cur = NULL;
	a->used_bytes = 0;
}

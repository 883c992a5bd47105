#include "base/slab.h"

#include <stdlib.h>

enum { CHUNK_BYTES = 128 * 1024 };

struct chunk {
	struct chunk *next;
	_Alignas(16) unsigned char mem[];
};

/* Classes 64, 96, 128, 192, 256, 384, ... 65536: two per power of two. */
static size_t class_bytes(unsigned c)
{
	size_t base = (size_t)64 << (c / 2);
	return c & 1 ? base + base / 2 : base;
}

static unsigned class_of(size_t n)
{
	unsigned c = 0;
	if (n > 64) {
		unsigned lg = 63 - (unsigned)__builtin_clzll(n - 1);
		c = (lg - 6) * 2;
	}
	while (class_bytes(c) < n)
		c++;
	return c;
}

void slab_init(struct slab *s, size_t limit_bytes)
{
	*s = (struct slab){.limit_bytes = limit_bytes};
}

void slab_destroy(struct slab *s)
{
	for (struct chunk *c = s->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	*s = (struct slab){0};
}

void *slab_alloc(struct slab *s, size_t n)
{
	if (n > SLAB_MAX)
		return NULL;
	unsigned c = class_of(n);
	size_t size = class_bytes(c);
	if (s->limit_bytes && size > s->limit_bytes - s->used_bytes)
		return NULL;
	void *p = s->free[c];
	if (p) {
		memcpy(&s->free[c], p, sizeof p);
	} else {
		if ((size_t)(s->end - s->at) < size) {
			struct chunk *k = malloc(sizeof *k + CHUNK_BYTES);
			if (!k)
				return NULL;
			k->next = s->chunks;
			s->chunks = k;
			s->at = k->mem;
			s->end = k->mem + CHUNK_BYTES;
		}
		p = s->at;
		s->at += size;
	}
	s->used_bytes += size;
	return p;
}

void slab_free(struct slab *s, void *p, size_t n)
{
	if (!p)
		return;
	unsigned c = class_of(n);
	memcpy(p, &s->free[c], sizeof p);
	s->free[c] = p;
	s->used_bytes -= class_bytes(c);
}

char *slab_copy(struct slab *s, struct span b)
{
	char *p = b.n ? slab_alloc(s, b.n) : NULL;
	if (p)
		memcpy(p, b.p, b.n);
	return p;
}

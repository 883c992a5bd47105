#include "pbx/site_tokens.h"

#include <stdatomic.h>
#include <stdlib.h>

struct site_tokens {
	atomic_uint refs;
	uint32_t n;
	struct api_token row[];
};

struct site_tokens *site_tokens_ref(struct site_tokens *t)
{
	if (t)
		atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void site_tokens_unref(struct site_tokens *t)
{
	if (t && atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
		free(t);
}

static struct site_tokens *room_for(uint32_t n)
{
	struct site_tokens *t = n <= SITE_TOKENS_MAX ? calloc(1, sizeof *t + n * sizeof t->row[0]) : NULL;
	if (t)
		atomic_init(&t->refs, 1);
	return t;
}

int site_tokens_with(const struct site_tokens *t, const struct api_token *v, struct site_tokens **out)
{
	uint32_t n = t ? t->n : 0, at = 0;
	while (at < n && t->row[at].id != v->id)
		at++;
	struct site_tokens *c = room_for(at < n ? n : n + 1);
	if (!c)
		return -1;
	if (n)
		memcpy(c->row, t->row, n * sizeof t->row[0]);
	c->row[at] = *v;
	c->n = at < n ? n : n + 1;
	*out = c;
	return 0;
}

int site_tokens_without(const struct site_tokens *t, struct span name, struct site_tokens **out)
{
	uint32_t n = t ? t->n : 0;
	struct site_tokens *c = n ? room_for(n) : NULL;
	*out = NULL;
	if (n && !c)
		return -1;
	for (uint32_t i = 0; i < n; i++)
		if (!span_eqz(name, t->row[i].name))
			c->row[c->n++] = t->row[i];
	*out = c;
	return 0;
}

const struct api_token *site_tokens_at(const struct site_tokens *t, uint64_t i)
{
	return t && i < t->n ? &t->row[i] : NULL;
}

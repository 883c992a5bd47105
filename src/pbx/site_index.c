#include "pbx/site_index.h"

#include <stdlib.h>

struct site_entry {
	struct site_key24 key;
	struct site_obj *o;
};

struct site_page {
	atomic_uint refs;
	uint32_t n;
	struct site_entry e[SITE_PAGE];
};

struct site_table {
	atomic_uint refs;
	uint32_t n_pages, n_entries;
	struct site_page *page[]; /* none is empty */
};

static void count_up(atomic_uint *refs)
{
	atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* True for the last reference: everything written before the others let go is visible then. */
static bool count_down(atomic_uint *refs)
{
	return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

void site_obj_unref(struct site_obj *o)
{
	if (o && count_down(&o->refs))
		free(o);
}

static void page_unref(struct site_page *p)
{
	if (!p || !count_down(&p->refs))
		return;
	for (uint32_t i = 0; i < p->n; i++)
		site_obj_unref(p->e[i].o);
	free(p);
}

void site_index_share(struct site_index *dst, const struct site_index *src)
{
	dst->t = src->t;
	if (dst->t)
		count_up(&dst->t->refs);
}

void site_index_drop(struct site_index *x)
{
	struct site_table *t = x->t;
	x->t = NULL;
	if (!t || !count_down(&t->refs))
		return;
	for (uint32_t i = 0; i < t->n_pages; i++)
		page_unref(t->page[i]);
	free(t);
}

uint32_t site_index_count(const struct site_index *x)
{
	return x->t ? x->t->n_entries : 0;
}

static int key_cmp(const struct site_key24 *a, const struct site_key24 *b)
{
	return memcmp(a->b, b->b, SITE_KEY);
}

/* The page where k is or belongs: the last whose first key is not above k, else the first. */
static uint32_t page_of(const struct site_table *t, const struct site_key24 *k)
{
	uint32_t lo = 0, hi = t->n_pages;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (key_cmp(&t->page[mid]->e[0].key, k) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? lo - 1 : 0;
}

/* The place of the first entry not below k; *hit when it is k. */
static uint32_t place_of(const struct site_page *p, const struct site_key24 *k, bool *hit)
{
	uint32_t lo = 0, hi = p->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (key_cmp(&p->e[mid].key, k) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*hit = lo < p->n && key_cmp(&p->e[lo].key, k) == 0;
	return lo;
}

static struct site_page *page_new(void)
{
	struct site_page *p = malloc(sizeof *p);
	if (p) {
		atomic_init(&p->refs, 1);
		p->n = 0;
	}
	return p;
}

static void page_add(struct site_page *p, const struct site_key24 *k, struct site_obj *o)
{
	count_up(&o->refs);
	p->e[p->n].key = *k;
	p->e[p->n].o = o;
	p->n++;
}

static void page_add_range(struct site_page *p, const struct site_page *from, uint32_t a, uint32_t b)
{
	for (uint32_t i = a; i < b; i++)
		page_add(p, &from->e[i].key, from->e[i].o);
}

/* x gets a new table: `cut` pages at `at` give way to the n given ones, whose references it takes. -1: they are freed. */
static int table_edit(struct site_index *x, uint32_t at, uint32_t cut, struct site_page **fresh, uint32_t n, int32_t grow)
{
	const struct site_table *old = x->t;
	uint32_t had = old ? old->n_pages : 0, now = had - cut + n;
	struct site_table *t = malloc(sizeof *t + now * sizeof t->page[0]);
	if (!t) {
		for (uint32_t i = 0; i < n; i++)
			page_unref(fresh[i]);
		return -1;
	}
	atomic_init(&t->refs, 1);
	t->n_pages = now;
	t->n_entries = (uint32_t)((int32_t)(old ? old->n_entries : 0) + grow);
	for (uint32_t i = 0, from = 0; i < now; i++) {
		if (i >= at && i < at + n) {
			t->page[i] = fresh[i - at];
			continue;
		}
		from = i < at ? i : i - n + cut;
		t->page[i] = old->page[from];
		count_up(&t->page[i]->refs);
	}
	site_index_drop(x);
	x->t = t;
	return 0;
}

int site_index_put(struct site_index *x, const struct site_key24 *k, struct site_obj *o)
{
	struct site_page *fresh[2] = {page_new(), NULL};
	if (!fresh[0])
		return -1;
	if (!x->t || x->t->n_pages == 0) {
		page_add(fresh[0], k, o);
		return table_edit(x, 0, 0, fresh, 1, 1);
	}
	uint32_t at = page_of(x->t, k);
	const struct site_page *p = x->t->page[at];
	bool hit;
	uint32_t i = place_of(p, k, &hit), n_fresh = 1;
	struct site_page *into = fresh[0];
	if (!hit && p->n == SITE_PAGE) {
		fresh[1] = page_new();
		if (!fresh[1]) {
			page_unref(fresh[0]);
			return -1;
		}
		n_fresh = 2;
		/* Keys mostly come in rising order: a full last page keeps its entries and a new one begins. */
		uint32_t half = at + 1 == x->t->n_pages && i == p->n ? SITE_PAGE : SITE_PAGE / 2;
		if (i >= half) {
			page_add_range(fresh[0], p, 0, half);
			into = fresh[1];
			page_add_range(into, p, half, i);
		} else {
			page_add_range(into, p, 0, i);
			page_add_range(fresh[1], p, half, p->n);
		}
		page_add(into, k, o);
		page_add_range(into, p, i, into == fresh[1] ? p->n : half);
	} else {
		page_add_range(into, p, 0, i);
		page_add(into, k, o);
		page_add_range(into, p, hit ? i + 1 : i, p->n);
	}
	return table_edit(x, at, 1, fresh, n_fresh, hit ? 0 : 1);
}

int site_index_remove(struct site_index *x, const struct site_key24 *k)
{
	if (!x->t || x->t->n_pages == 0)
		return 0;
	uint32_t at = page_of(x->t, k), cut = 1;
	const struct site_page *p = x->t->page[at];
	bool hit;
	uint32_t i = place_of(p, k, &hit);
	if (!hit)
		return 0;
	if (p->n == 1)
		return table_edit(x, at, 1, NULL, 0, -1);
	struct site_page *fresh = page_new();
	if (!fresh)
		return -1;
	page_add_range(fresh, p, 0, i);
	page_add_range(fresh, p, i + 1, p->n);
	if (at + 1 < x->t->n_pages && fresh->n + x->t->page[at + 1]->n <= SITE_PAGE / 2) {
		page_add_range(fresh, x->t->page[at + 1], 0, x->t->page[at + 1]->n);
		cut = 2;
	}
	return table_edit(x, at, cut, &fresh, 1, -1);
}

struct site_obj *site_index_get(const struct site_index *x, const struct site_key24 *k)
{
	if (!x->t || x->t->n_pages == 0)
		return NULL;
	const struct site_page *p = x->t->page[page_of(x->t, k)];
	bool hit;
	uint32_t i = place_of(p, k, &hit);
	return hit ? p->e[i].o : NULL;
}

struct site_obj *site_index_above(const struct site_index *x, const struct site_key24 *k, struct site_key24 *found)
{
	if (!x->t || x->t->n_pages == 0)
		return NULL;
	uint32_t at = page_of(x->t, k);
	const struct site_page *p = x->t->page[at];
	bool hit;
	uint32_t i = place_of(p, k, &hit) + (hit ? 1 : 0);
	if (i >= p->n) {
		if (++at >= x->t->n_pages)
			return NULL;
		p = x->t->page[at];
		i = 0;
	}
	*found = p->e[i].key;
	return p->e[i].o;
}

struct site_obj *site_index_next(const struct site_index *x, uint64_t *cursor)
{
	uint32_t at = (uint32_t)(*cursor >> 32), i = (uint32_t)*cursor;
	if (!x->t || at >= x->t->n_pages || i >= x->t->page[at]->n)
		return NULL;
	struct site_obj *o = x->t->page[at]->e[i].o;
	*cursor = i + 1 < x->t->page[at]->n ? *cursor + 1 : ((uint64_t)at + 1) << 32;
	return o;
}

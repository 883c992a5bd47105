/* pbx/site_index: a persistent ordered index: fixed keys to counted objects, in shared pages. Layer 3, pure. For
 * site.c only. An index value is immutable once published; a change copies the page table and the touched page. */
#ifndef PBX_SITE_INDEX_H
#define PBX_SITE_INDEX_H

#include <stdatomic.h>

#include "base/span.h"

enum { SITE_KEY = 24, SITE_PAGE = 64 };

struct site_key24 {
	unsigned char b[SITE_KEY]; /* zero-padded; ordered by bytes */
};

/* First member of what an index holds. The last reference frees the whole object with free(). */
struct site_obj {
	atomic_uint refs;
};
void site_obj_unref(struct site_obj *o);

struct site_page;
struct site_index {
	struct site_table *t; /* counted; NULL: empty */
};

/* Shares everything; dst is overwritten. */
void site_index_share(struct site_index *dst, const struct site_index *src);
void site_index_drop(struct site_index *x);
/* Puts or replaces; takes a reference of its own on o. 0, or -1 without memory (x is unchanged). */
int site_index_put(struct site_index *x, const struct site_key24 *k, struct site_obj *o) __attribute__((warn_unused_result));
/* 0 (also when absent), or -1 without memory (x is unchanged). */
int site_index_remove(struct site_index *x, const struct site_key24 *k) __attribute__((warn_unused_result));
struct site_obj *site_index_get(const struct site_index *x, const struct site_key24 *k);
/* The first entry with a key above k; NULL at the end. */
struct site_obj *site_index_above(const struct site_index *x, const struct site_key24 *k, struct site_key24 *found);
/* By place: start with *cursor = 0. */
struct site_obj *site_index_next(const struct site_index *x, uint64_t *cursor);
uint32_t site_index_count(const struct site_index *x);

#endif

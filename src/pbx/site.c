#include "pbx/site.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "pbx/site_index.h"
#include "pbx/site_tokens.h"

struct ext_obj {
	struct site_obj o;
	struct site_extension v;
};

struct dev_obj {
	struct site_obj o;
	struct site_device v;
};

struct site {
	atomic_uint refs;
	uint64_t revision;
	struct site_settings settings;
	struct site_index ext;    /* number */
	struct site_index dev;    /* id */
	struct site_index mac;    /* MAC, for devices that have one */
	struct site_index ext_dev; /* number, id */
	struct site_tokens *tokens; /* NULL: none */
};

static struct site_key24 key_text(struct span s)
{
	struct site_key24 k = {{0}};
	memcpy(k.b, s.p, s.n < 15 ? s.n : 15);
	return k;
}

/* A number no entry can have must not find the one that it begins with. */
static bool key_fits(struct span s)
{
	return s.n > 0 && s.n <= 15;
}

static struct site_key24 key_id(struct site_key24 k, size_t at, uint64_t id)
{
	for (size_t i = 0; i < 8; i++)
		k.b[at + i] = (unsigned char)(id >> (56 - 8 * i));
	return k;
}

static struct site_key24 key_dev(uint64_t id)
{
	return key_id((struct site_key24){{0}}, 0, id);
}

static struct site_key24 key_ext_dev(struct span number, uint64_t id)
{
	return key_id(key_text(number), 16, id);
}

struct site *site_new(const struct site_settings *settings)
{
	struct site *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	atomic_init(&s->refs, 1);
	s->revision = 1;
	s->settings = *settings;
	return s;
}

struct site *site_ref(struct site *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void site_unref(struct site *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	site_index_drop(&s->ext);
	site_index_drop(&s->dev);
	site_index_drop(&s->mac);
	site_index_drop(&s->ext_dev);
	site_tokens_unref(s->tokens);
	free(s);
}

uint64_t site_revision(const struct site *s)
{
	return s->revision;
}

const struct site_settings *site_settings_of(const struct site *s)
{
	return &s->settings;
}

static const struct site_extension *ext_of(struct site_obj *o)
{
	return o ? &((struct ext_obj *)(void *)o)->v : NULL;
}

static const struct site_device *dev_of(struct site_obj *o)
{
	return o ? &((struct dev_obj *)(void *)o)->v : NULL;
}

const struct site_extension *site_extension_find(const struct site *s, struct span number)
{
	if (!key_fits(number))
		return NULL;
	struct site_key24 k = key_text(number);
	return ext_of(site_index_get(&s->ext, &k));
}

const struct site_device *site_device_by_id(const struct site *s, uint64_t id)
{
	struct site_key24 k = key_dev(id);
	return dev_of(site_index_get(&s->dev, &k));
}

const struct site_device *site_device_by_mac(const struct site *s, struct span mac12)
{
	if (!key_fits(mac12))
		return NULL;
	struct site_key24 k = key_text(mac12);
	return dev_of(site_index_get(&s->mac, &k));
}

const struct site_device *site_devices_of(const struct site *s, struct span number, uint64_t *cursor)
{
	if (!key_fits(number))
		return NULL;
	struct site_key24 k = key_ext_dev(number, *cursor), found;
	struct site_obj *o = site_index_above(&s->ext_dev, &k, &found);
	if (!o || memcmp(found.b, k.b, 16) != 0)
		return NULL;
	*cursor = dev_of(o)->row.id;
	return dev_of(o);
}

const struct site_extension *site_extension_next(const struct site *s, uint64_t *cursor)
{
	return ext_of(site_index_next(&s->ext, cursor));
}

const struct site_device *site_device_next(const struct site *s, uint64_t *cursor)
{
	return dev_of(site_index_next(&s->dev, cursor));
}

uint32_t site_extension_count(const struct site *s)
{
	return site_index_count(&s->ext);
}

uint32_t site_device_count(const struct site *s)
{
	return site_index_count(&s->dev);
}

static struct site *next_of(const struct site *s)
{
	struct site *n = site_new(&s->settings);
	if (!n)
		return NULL;
	n->revision = s->revision + 1;
	site_index_share(&n->ext, &s->ext);
	site_index_share(&n->dev, &s->dev);
	site_index_share(&n->mac, &s->mac);
	site_index_share(&n->ext_dev, &s->ext_dev);
	n->tokens = site_tokens_ref(s->tokens);
	return n;
}

/* n when all went well, else NULL and n is given back. */
static struct site *settle(struct site *n, int failed)
{
	if (!failed)
		return n;
	site_unref(n);
	return NULL;
}

struct site *site_with_settings(const struct site *s, const struct site_settings *v)
{
	struct site *n = next_of(s);
	if (n)
		n->settings = *v;
	return n;
}

struct site *site_with_extension(const struct site *s, const struct site_extension *v)
{
	INVARIANT(key_fits(span_z(v->row.number)));
	struct site *n = next_of(s);
	struct ext_obj *e = malloc(sizeof *e);
	if (!n || !e) {
		site_unref(n);
		free(e);
		return NULL;
	}
	atomic_init(&e->o.refs, 1);
	e->v = *v;
	struct site_key24 k = key_text(span_z(v->row.number));
	int failed = site_index_put(&n->ext, &k, &e->o);
	site_obj_unref(&e->o);
	return settle(n, failed);
}

static int drop_device(struct site *n, const struct site_device *d)
{
	struct site_key24 id = key_dev(d->row.id), mac = key_text(span_z(d->row.mac));
	struct site_key24 both = key_ext_dev(span_z(d->row.extension), d->row.id);
	const struct site_device *holder = d->row.mac[0] ? site_device_by_mac(n, span_z(d->row.mac)) : NULL;
	int failed = site_index_remove(&n->ext_dev, &both);
	if (!failed && holder && holder->row.id == d->row.id)
		failed = site_index_remove(&n->mac, &mac);
	if (!failed)
		failed = site_index_remove(&n->dev, &id);
	return failed;
}

struct site *site_without_extension(const struct site *s, struct span number)
{
	struct site *n = next_of(s);
	if (!n || !key_fits(number))
		return n;
	struct site_key24 k = key_text(number);
	const struct site_device *d;
	uint64_t at = 0;
	int failed = 0;
	/* rows are walked in s, whose objects stay while n loses them */
	while (!failed && (d = site_devices_of(s, number, &at)) != NULL)
		failed = drop_device(n, d);
	if (!failed)
		failed = site_index_remove(&n->ext, &k);
	return settle(n, failed);
}

struct site *site_with_device(const struct site *s, const struct site_device *v)
{
	INVARIANT(key_fits(span_z(v->row.extension)) && v->row.id != 0);
	struct site *n = next_of(s);
	struct dev_obj *e = malloc(sizeof *e);
	if (!n || !e) {
		site_unref(n);
		free(e);
		return NULL;
	}
	atomic_init(&e->o.refs, 1);
	e->v = *v;
	const struct site_device *was = site_device_by_id(s, v->row.id);
	int failed = was ? drop_device(n, was) : 0;
	struct site_key24 id = key_dev(v->row.id), mac = key_text(span_z(v->row.mac));
	struct site_key24 both = key_ext_dev(span_z(v->row.extension), v->row.id);
	if (!failed)
		failed = site_index_put(&n->dev, &id, &e->o);
	if (!failed && v->row.mac[0])
		failed = site_index_put(&n->mac, &mac, &e->o);
	if (!failed)
		failed = site_index_put(&n->ext_dev, &both, &e->o);
	site_obj_unref(&e->o);
	return settle(n, failed);
}

struct site *site_without_device(const struct site *s, uint64_t id)
{
	struct site *n = next_of(s);
	const struct site_device *was = site_device_by_id(s, id);
	if (!n || !was)
		return n;
	return settle(n, drop_device(n, was));
}

const struct api_token *site_token_next(const struct site *s, uint64_t *cursor)
{
	const struct api_token *t = site_tokens_at(s->tokens, *cursor);
	*cursor += t != NULL;
	return t;
}

/* failed 0: the list is the new snapshot's. */
static struct site *with_tokens(struct site *n, int failed, struct site_tokens *list)
{
	if (n && !failed) {
		site_tokens_unref(n->tokens);
		n->tokens = list;
	} else if (!failed) {
		site_tokens_unref(list);
	}
	return n ? settle(n, failed) : NULL;
}

struct site *site_with_token(const struct site *s, const struct api_token *v)
{
	struct site_tokens *list = NULL;
	struct site *n = next_of(s);
	int failed = site_tokens_with(s->tokens, v, &list);
	return with_tokens(n, failed, list);
}

struct site *site_without_token(const struct site *s, struct span name)
{
	struct site_tokens *list = NULL;
	struct site *n = next_of(s);
	int failed = site_tokens_without(s->tokens, name, &list);
	return with_tokens(n, failed, list);
}

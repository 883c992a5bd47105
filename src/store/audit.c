/* The audit: what is written into it and read of it. Append-only (triggers refuse anything else); its chain: audit_chain.c. */
#include <stdlib.h>

#include "store/store_int.h"

enum { VALUE_MAX = 65536 };

/* ---- what changed ---- */

static void value_of(struct text *t, const struct entity_desc *d, const struct field_desc *f, const void *row)
{
	char plain[1024];
	struct text v = TEXT_ARRAY(plain);
	if (f->type == FIELD_INT || f->type == FIELD_BOOL) {
		(void)entity_get(d, row, span_z(f->name), t);
		return;
	}
	(void)entity_get(d, row, span_z(f->name), &v);
	t->over = t->over || v.over;
	text_json(t, text_span(&v));
}

static bool same(const struct field_desc *f, const void *a, const void *b)
{
	if (f->type == FIELD_TEXT || f->type == FIELD_SEALED)
		return strcmp(field_text(f, a), field_text(f, b)) == 0;
	return field_int(f, a) == field_int(f, b);
}

static void put_change(struct text *t, const struct entity_desc *d, const struct field_desc *f, const void *old, const void *now)
{
	struct span name = span_z(f->name), tail = SPAN_LIT("_sealed");
	bool sealed = f->type == FIELD_SEALED;
	if (sealed && name.n > tail.n && span_eq(span_sub(name, name.n - tail.n, name.n), tail))
		name.n -= tail.n;
	if (t->n > 1)
		text_putc(t, ',');
	text_json(t, name);
	if (sealed) {
		text_lit(t, ":\"changed\"");
		return;
	}
	text_lit(t, ":{");
	if (old) {
		text_lit(t, "\"old\":");
		value_of(t, d, f, old);
	}
	if (now) {
		text_put(t, old ? SPAN_LIT(",\"new\":") : SPAN_LIT("\"new\":"));
		value_of(t, d, f, now);
	}
	text_putc(t, '}');
}

static bool empty_seal(const struct field_desc *f, const void *row)
{
	return f->type == FIELD_SEALED && !field_text(f, row)[0];
}

int store_audit_row(struct store *s, const struct audit_entry *e, const struct entity_desc *d, const void *old, const void *now)
{
	char value[VALUE_MAX];
	struct text t = TEXT_ARRAY(value);
	struct audit_entry full = *e;
	text_putc(&t, '{');
	for (uint32_t i = 0; i < d->n_fields; i++) {
		const struct field_desc *f = &d->fields[i];
		if (old && now ? !same(f, old, now) : !empty_seal(f, old ? old : now))
			put_change(&t, d, f, old, now);
	}
	text_putc(&t, '}');
	full.value = text_span(&t);
	return t.over ? -1 : store_audit_write(s, &full);
}

/* ---- reading ---- */

static void put_row(struct text *t, const struct audit_row *r)
{
	static const char *const names[] = {"actor", "source", "what", "entity", "key"};
	text_fmt(t, "{\"id\":%lld,\"wall_ms\":%lld", (long long)r->id, (long long)r->wall_ms);
	for (size_t i = 0; i < 5; i++) {
		text_fmt(t, ",\"%s\":", names[i]);
		text_json(t, r->text[i]);
	}
	text_fmt(t, ",\"revision\":%lld,\"changes\":", (long long)r->revision);
	text_put(t, r->text[5]); /* JSON already */
	text_lit(t, ",\"hash\":");
	text_json(t, r->hash);
	text_putc(t, '}');
}

int store_read_audit(struct store *s, const struct audit_query *q, char **json, size_t *n)
{
	sqlite3_stmt *st = NULL;
	char *mem = NULL;
	size_t cap = 0, used = 0;
	int step = SQLITE_ERROR;
	pthread_mutex_lock(&s->rd_lock);
	if (sqlite3_prepare_v2(s->rd, STORE_AUDIT_ROWS " WHERE (?1 = '' OR entity = ?1) AND (?2 = '' OR key = ?2) AND (?4 = 0 OR id < ?4) ORDER BY id DESC LIMIT ?3",
			       -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_text(st, 1, q->entity.n ? q->entity.p : "", (int)q->entity.n, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, q->key.n ? q->key.p : "", (int)q->key.n, SQLITE_STATIC);
		sqlite3_bind_int64(st, 3, q->limit);
		sqlite3_bind_int64(st, 4, (sqlite3_int64)q->before);
		while ((step = sqlite3_step(st)) == SQLITE_ROW) {
			struct audit_row r = store_audit_row_of(st);
			size_t most = 512; /* each byte escaped, but the value, which is JSON */
			for (int i = 0; i < 6; i++)
				most += r.text[i].n * (i < 5 ? 6 : 1);
			if (store_grow(&mem, &cap, used + most) != 0)
				break;
			struct text t = text_on(mem + used, cap - used);
			if (used)
				text_putc(&t, ',');
			put_row(&t, &r);
			used += t.over ? 0 : t.n;
		}
	}
	sqlite3_finalize(st);
	pthread_mutex_unlock(&s->rd_lock);
	if (step != SQLITE_DONE) {
		free(mem);
		return -1;
	}
	*json = mem;
	*n = used;
	return 0;
}

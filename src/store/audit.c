/* The audit: append-only (triggers refuse anything else), each row chained to the one before it by SHA-256. Whoever edits a row,
 * takes one out or cuts the end off without the rest of the file's help is found by store_audit_verify. */
#include <stdlib.h>

#include "crypto/digest.h"
#include "store/store_int.h"

enum { HASH_HEX = 64, ROW_HEAD = 256, VALUE_MAX = 65536 };

const char store_audit_insert[] =
	"INSERT INTO audit (id, wall_ms, revision, actor, source, what, entity, key, value, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/* The sequence remembers rows that were cut off. */
const char store_audit_last[] = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0), "
				"coalesce((SELECT hash FROM audit ORDER BY id DESC LIMIT 1), '')";
#define AUDIT_ROWS "SELECT id, wall_ms, revision, actor, source, what, entity, key, value, hash FROM audit"

struct chained {
	int64_t id, wall_ms, revision;
	struct span text[6]; /* actor, source, what, entity, key, value */
};

/* The lengths stand in front, so that no two rows look alike. */
static void hash_of(char hex[HASH_HEX + 1], struct span before, const struct chained *r)
{
	char head[ROW_HEAD];
	unsigned char sum[32];
	struct span parts[8];
	struct text t = TEXT_ARRAY(head), out = text_on(hex, HASH_HEX + 1);
	text_fmt(&t, "%zu %lld %lld %lld", before.n, (long long)r->id, (long long)r->wall_ms, (long long)r->revision);
	for (int i = 0; i < 6; i++)
		text_fmt(&t, " %zu", r->text[i].n);
	text_putc(&t, '\n');
	parts[0] = before;
	parts[1] = text_span(&t);
	memcpy(parts + 2, r->text, sizeof r->text);
	crypto_sha256(sum, parts, 8);
	text_hex(&out, sum, sizeof sum);
	(void)text_end(&out);
}

static struct span column(sqlite3_stmt *st, int i)
{
	const void *p = sqlite3_column_text(st, i);
	return p ? span_mem(p, (size_t)sqlite3_column_bytes(st, i)) : SPAN_NONE;
}

static struct chained row_of(sqlite3_stmt *st)
{
	struct chained r = {sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2), {{0}}};
	for (int i = 0; i < 6; i++)
		r.text[i] = column(st, 3 + i);
	return r;
}

int store_audit_write(struct store *s, const struct audit_entry *e)
{
	char before[HASH_HEX + 1] = "", hash[HASH_HEX + 1];
	sqlite3_stmt *last = s->st[ST_AUDIT_LAST], *st = s->st[ST_AUDIT];
	struct chained r = {0, e->wall_ms, (int64_t)e->revision,
			    {span_z(e->actor), span_z(e->source), span_z(e->what), span_z(e->entity), span_z(e->key), e->value}};
	bool there = sqlite3_step(last) == SQLITE_ROW;
	if (there) {
		r.id = sqlite3_column_int64(last, 0) + 1;
		there = span_copyz(column(last, 1), before, sizeof before);
	}
	sqlite3_reset(last);
	if (!there)
		return -1;
	hash_of(hash, span_z(before), &r);
	sqlite3_bind_int64(st, 1, r.id);
	sqlite3_bind_int64(st, 2, r.wall_ms);
	sqlite3_bind_int64(st, 3, r.revision);
	for (int i = 0; i < 6; i++)
		sqlite3_bind_text(st, 4 + i, r.text[i].p ? r.text[i].p : "", (int)r.text[i].n, SQLITE_STATIC);
	sqlite3_bind_text(st, 10, hash, HASH_HEX, SQLITE_STATIC);
	int rc = store_run(st);
	sqlite3_clear_bindings(st);
	return rc;
}

int store_audit_chain_old(sqlite3 *db)
{
	sqlite3_stmt *st = NULL, *put = NULL;
	char before[HASH_HEX + 1] = "", hash[HASH_HEX + 1];
	int64_t id = 0;
	int rc = sqlite3_prepare_v2(db, AUDIT_ROWS " WHERE id > ? ORDER BY id LIMIT 1", -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(db, "UPDATE audit SET hash = ? WHERE id = ?", -1, &put, NULL);
	while (rc == SQLITE_OK) {
		sqlite3_bind_int64(st, 1, id);
		int step = sqlite3_step(st);
		if (step != SQLITE_ROW) {
			rc = step == SQLITE_DONE ? SQLITE_OK : step;
			break;
		}
		struct chained r = row_of(st);
		hash_of(hash, span_z(before), &r);
		id = r.id;
		sqlite3_reset(st);
		store_bind_text(put, 1, hash);
		sqlite3_bind_int64(put, 2, id);
		rc = store_run(put) == 0 ? SQLITE_OK : sqlite3_errcode(db);
		memcpy(before, hash, sizeof before);
	}
	sqlite3_finalize(st);
	sqlite3_finalize(put);
	return rc;
}

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

static void put_row(struct text *t, const struct chained *r, struct span hash)
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
	text_json(t, hash);
	text_putc(t, '}');
}

int store_read_audit(struct store *s, const struct audit_query *q, char **json, size_t *n)
{
	sqlite3_stmt *st = NULL;
	char *mem = NULL;
	size_t cap = 0, used = 0;
	int step = SQLITE_ERROR;
	pthread_mutex_lock(&s->rd_lock);
	if (sqlite3_prepare_v2(s->rd, AUDIT_ROWS " WHERE (?1 = '' OR entity = ?1) AND (?2 = '' OR key = ?2) AND (?4 = 0 OR id < ?4) ORDER BY id DESC LIMIT ?3",
			       -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_text(st, 1, q->entity.n ? q->entity.p : "", (int)q->entity.n, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, q->key.n ? q->key.p : "", (int)q->key.n, SQLITE_STATIC);
		sqlite3_bind_int64(st, 3, q->limit);
		sqlite3_bind_int64(st, 4, (sqlite3_int64)q->before);
		while ((step = sqlite3_step(st)) == SQLITE_ROW) {
			struct chained r = row_of(st);
			size_t most = 512; /* each byte escaped, but the value, which is JSON */
			for (int i = 0; i < 6; i++)
				most += r.text[i].n * (i < 5 ? 6 : 1);
			if (store_grow(&mem, &cap, used + most) != 0)
				break;
			struct text t = text_on(mem + used, cap - used);
			if (used)
				text_putc(&t, ',');
			put_row(&t, &r, column(st, 9));
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

/* The row of `id` follows `before`? A row that is missing is named, too. */
static void check(sqlite3_stmt *st, struct audit_verdict *v)
{
	char hash[HASH_HEX + 1];
	struct chained r = row_of(st);
	hash_of(hash, span_z(v->head), &r);
	if (r.id != v->last + 1 || !span_eqz(column(st, 9), hash)) {
		v->broken = r.id != v->last + 1 ? v->last + 1 : r.id;
		v->why = r.id != v->last + 1 ? "it is missing" : "it, or the row before it, is not what was written";
		return;
	}
	v->last = r.id;
	v->rows++;
	memcpy(v->head, hash, sizeof v->head);
}

int store_audit_verify(struct store *s, struct audit_verdict *v)
{
	sqlite3_stmt *st = NULL;
	int64_t seq = 0;
	int step = SQLITE_ERROR;
	*v = (struct audit_verdict){.why = ""};
	pthread_mutex_lock(&s->rd_lock);
	/* one view of the file for both questions */
	int rc = sqlite3_exec(s->rd, "BEGIN", NULL, NULL, NULL);
	if (rc == SQLITE_OK && sqlite3_prepare_v2(s->rd, store_audit_last, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		seq = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	st = NULL;
	if (rc == SQLITE_OK && sqlite3_prepare_v2(s->rd, AUDIT_ROWS " ORDER BY id", -1, &st, NULL) == SQLITE_OK) {
		while (!v->broken && (step = sqlite3_step(st)) == SQLITE_ROW)
			check(st, v);
		if (!v->broken && step == SQLITE_DONE && v->last != seq) {
			v->broken = v->last + 1;
			v->why = "it is missing, and so is all behind it";
		}
	}
	sqlite3_finalize(st);
	(void)sqlite3_exec(s->rd, "COMMIT", NULL, NULL, NULL);
	pthread_mutex_unlock(&s->rd_lock);
	return v->broken || step == SQLITE_DONE ? 0 : -1;
}

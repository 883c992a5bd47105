/* The audit's chain: each row's hash is an HMAC over the row before it and the row itself, under a key derived from the site's.
 * Who has the file but not the key can take rows away or change them, and store_audit_verify finds it. Who puts an older copy of
 * the whole file back is found only by who kept its head elsewhere: `strowger audit verify` and the log of a start say it. */
#include <jansson.h>

#include "crypto/digest.h"
#include "store/store_int.h"

enum { ROW_HEAD = 256, GAPS_MAX = 32 };

const char store_audit_insert[] =
	"INSERT INTO audit (id, wall_ms, revision, actor, source, what, entity, key, value, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/* The sequence remembers rows that were cut off. */
const char store_audit_last[] = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0), "
				"coalesce((SELECT hash FROM audit ORDER BY id DESC LIMIT 1), '')";

struct audit_key store_audit_key(const struct site_key *k)
{
	struct audit_key out;
	crypto_hkdf(out.k, sizeof out.k, span_mem(k->k, sizeof k->k), SPAN_LIT("strowger audit"), SPAN_LIT("chain"));
	return out;
}

/* The lengths stand in front, so that no two rows look alike. key NULL: as version 2 wrote it, plain SHA-256. */
static void hash_of(char hex[AUDIT_HASH + 1], const struct audit_key *key, struct span before, const struct audit_row *r)
{
	char head[ROW_HEAD];
	unsigned char sum[32];
	struct span parts[8];
	struct text t = TEXT_ARRAY(head), out = text_on(hex, AUDIT_HASH + 1);
	text_fmt(&t, "%zu %lld %lld %lld", before.n, (long long)r->id, (long long)r->wall_ms, (long long)r->revision);
	for (int i = 0; i < 6; i++)
		text_fmt(&t, " %zu", r->text[i].n);
	text_putc(&t, '\n');
	parts[0] = before;
	parts[1] = text_span(&t);
	memcpy(parts + 2, r->text, sizeof r->text);
	if (key)
		crypto_hmac_sha256(sum, span_mem(key->k, sizeof key->k), parts, 8);
	else
		crypto_sha256(sum, parts, 8);
	text_hex(&out, sum, sizeof sum);
	(void)text_end(&out);
}

static struct span column(sqlite3_stmt *st, int i)
{
	const void *p = sqlite3_column_text(st, i);
	return p ? span_mem(p, (size_t)sqlite3_column_bytes(st, i)) : SPAN_NONE;
}

struct audit_row store_audit_row_of(sqlite3_stmt *st)
{
	struct audit_row r = {sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2), {{0}}, column(st, 9)};
	for (int i = 0; i < 6; i++)
		r.text[i] = column(st, 3 + i);
	return r;
}

static int put_row(sqlite3_stmt *st, const struct audit_row *r)
{
	sqlite3_bind_int64(st, 1, r->id);
	sqlite3_bind_int64(st, 2, r->wall_ms);
	sqlite3_bind_int64(st, 3, r->revision);
	for (int i = 0; i < 6; i++)
		sqlite3_bind_text(st, 4 + i, r->text[i].p ? r->text[i].p : "", (int)r->text[i].n, SQLITE_STATIC);
	sqlite3_bind_text(st, 10, r->hash.p ? r->hash.p : "", (int)r->hash.n, SQLITE_STATIC);
	int rc = store_run(st);
	sqlite3_clear_bindings(st);
	return rc;
}

/* Behind the last one. 0 or -1. */
static int append(sqlite3_stmt *last, sqlite3_stmt *put, const struct audit_key *key, const struct audit_entry *e)
{
	char before[AUDIT_HASH + 1] = "", hash[AUDIT_HASH + 1];
	struct audit_row r = {0, e->wall_ms, (int64_t)e->revision,
			      {span_z(e->actor), span_z(e->source), span_z(e->what), span_z(e->entity), span_z(e->key), e->value.n ? e->value : SPAN_LIT("{}")},
			      {hash, AUDIT_HASH}};
	bool there = sqlite3_step(last) == SQLITE_ROW;
	if (there) {
		r.id = sqlite3_column_int64(last, 0) + 1;
		there = span_copyz(column(last, 1), before, sizeof before);
	}
	sqlite3_reset(last);
	if (!there)
		return -1;
	hash_of(hash, key, span_z(before), &r);
	return put_row(put, &r);
}

int store_audit_write(struct store *s, const struct audit_entry *e)
{
	return append(s->st[ST_AUDIT_LAST], s->st[ST_AUDIT], &s->audit_key, e);
}

void store_audit_tell(struct store *s)
{
	sqlite3_stmt *last = s->st[ST_AUDIT_LAST];
	char head[AUDIT_HASH + 1] = "";
	if (sqlite3_step(last) == SQLITE_ROW && span_copyz(column(last, 1), head, sizeof head))
		log_event(s->log, LOG_INFO, "audit.head", LOG_I("row", sqlite3_column_int64(last, 0)), LOG_Z("hash", head));
	sqlite3_reset(last);
}

int store_audit_append(sqlite3 *db, const struct audit_key *key, const struct audit_entry *e)
{
	sqlite3_stmt *last = NULL, *put = NULL;
	int rc = -1;
	if (sqlite3_prepare_v2(db, store_audit_last, -1, &last, NULL) == SQLITE_OK && sqlite3_prepare_v2(db, store_audit_insert, -1, &put, NULL) == SQLITE_OK)
		rc = append(last, put, key, e);
	sqlite3_finalize(last);
	sqlite3_finalize(put);
	return rc;
}

/* A row that is not what was written stays as it is, and so do those behind it: they are not vouched for. */
int store_audit_rekey(sqlite3 *db, const struct audit_key *key, bool hashed)
{
	sqlite3_stmt *st = NULL, *put = NULL;
	char plain[AUDIT_HASH + 1] = "", before[AUDIT_HASH + 1] = "", hash[AUDIT_HASH + 1];
	int64_t id = 0;
	int rc = sqlite3_prepare_v2(db, STORE_AUDIT_ROWS " WHERE id > ? ORDER BY id LIMIT 1", -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(db, "UPDATE audit SET hash = ? WHERE id = ?", -1, &put, NULL);
	while (rc == SQLITE_OK) {
		sqlite3_bind_int64(st, 1, id);
		int step = sqlite3_step(st);
		if (step != SQLITE_ROW) {
			rc = step == SQLITE_DONE ? SQLITE_OK : step;
			break;
		}
		struct audit_row r = store_audit_row_of(st);
		hash_of(hash, NULL, span_z(plain), &r);
		if (hashed && (r.id != id + 1 || !span_eqz(r.hash, hash)))
			break;
		memcpy(plain, hash, sizeof plain);
		hash_of(hash, key, span_z(before), &r);
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

/* ---- is it whole? ---- */

/* Rows that are not there: told of by a recovery behind them, or somebody took them away. */
struct gap {
	int64_t from, to;
	bool told;
	struct audit_verdict before; /* what was good up to it */
};
struct walk {
	const struct audit_key *key;
	char stored[AUDIT_HASH + 1]; /* hash of the row before, as it stands there */
	int64_t id;                  /* of the row before */
	struct gap gap[GAPS_MAX];
	uint32_t n_gaps;
	struct audit_verdict sum, bad; /* bad.broken: the first row that is not what was written */
};

static void note_bad(struct walk *w, int64_t id, const char *why)
{
	if (w->bad.broken)
		return;
	w->bad = w->sum;
	w->bad.broken = id;
	w->bad.why = why;
}

static void note_gap(struct walk *w, int64_t from, int64_t to)
{
	if (w->n_gaps == GAPS_MAX) {
		note_bad(w, from, "it is missing");
		return;
	}
	w->gap[w->n_gaps++] = (struct gap){from, to, false, w->sum};
}

static bool is_recovery(const struct audit_row *r)
{
	return span_eqz(r->text[2], "recover") && span_eqz(r->text[3], "audit");
}

static void hear_recovery(struct walk *w, struct span value)
{
	json_t *v = json_loadb(value.n ? value.p : "", value.n, 0, NULL), *lost = json_object_get(v, "lost");
	w->sum.cuts++;
	for (size_t i = 0; i < json_array_size(lost); i++) {
		int64_t from = json_integer_value(json_array_get(json_array_get(lost, i), 0)), to = json_integer_value(json_array_get(json_array_get(lost, i), 1));
		for (uint32_t k = 0; k < w->n_gaps; k++) {
			if (w->gap[k].told || w->gap[k].from != from || w->gap[k].to != to)
				continue;
			w->gap[k].told = true;
			w->sum.lost += to - from + 1;
		}
	}
	json_decref(v);
}

static void look_at(struct walk *w, const struct audit_row *r)
{
	char hash[AUDIT_HASH + 1];
	bool gap = r->id != w->id + 1;
	hash_of(hash, w->key, span_z(w->stored), r);
	bool good = span_eqz(r->hash, hash);
	if (gap) /* the row that its hash hangs on is not there: it counts if the gap is told of, and what follows hangs on it */
		note_gap(w, w->id + 1, r->id - 1);
	else if (!good)
		note_bad(w, r->id, "it, or the row before it, is not what was written");
	if (good && is_recovery(r))
		hear_recovery(w, r->text[5]);
	if (!span_copyz(r->hash, w->stored, sizeof w->stored))
		w->stored[0] = 0;
	w->id = w->sum.last = r->id;
	w->sum.rows++;
	memcpy(w->sum.head, w->stored, sizeof w->sum.head);
}

static void judge(const struct walk *w, struct audit_verdict *v)
{
	*v = w->bad.broken ? w->bad : w->sum;
	for (uint32_t i = 0; i < w->n_gaps; i++) {
		const struct gap *g = &w->gap[i];
		if (g->told || (v->broken && v->broken < g->from))
			continue;
		*v = g->before;
		v->broken = g->from;
		v->why = g->to == INT64_MAX ? "it is missing, and so is all behind it" : "it is missing";
	}
}

int store_audit_verify(struct store *s, struct audit_verdict *v)
{
	sqlite3_stmt *st = NULL;
	int64_t seq = 0;
	int step = SQLITE_ERROR;
	struct walk w = {.key = &s->audit_key, .sum = {.why = ""}};
	pthread_mutex_lock(&s->rd_lock);
	/* one view of the file for both questions */
	int rc = sqlite3_exec(s->rd, "BEGIN", NULL, NULL, NULL);
	if (rc == SQLITE_OK && sqlite3_prepare_v2(s->rd, store_audit_last, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		seq = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	st = NULL;
	if (rc == SQLITE_OK && sqlite3_prepare_v2(s->rd, STORE_AUDIT_ROWS " ORDER BY id", -1, &st, NULL) == SQLITE_OK) {
		while ((step = sqlite3_step(st)) == SQLITE_ROW) {
			struct audit_row r = store_audit_row_of(st);
			look_at(&w, &r);
		}
		if (step == SQLITE_DONE && w.id != seq)
			note_gap(&w, w.id + 1, INT64_MAX);
	}
	sqlite3_finalize(st);
	(void)sqlite3_exec(s->rd, "COMMIT", NULL, NULL, NULL);
	pthread_mutex_unlock(&s->rd_lock);
	judge(&w, v);
	return v->broken || step == SQLITE_DONE ? 0 : -1;
}

/* ---- out of a damaged file ---- */

/* All that can be read: from the front up to the damage, then from the back down to it. */
static void gather(sqlite3 *from, sqlite3_stmt *put)
{
	static const char *const walk[] = {STORE_AUDIT_ROWS " ORDER BY id", STORE_AUDIT_ROWS " ORDER BY id DESC"};
	for (size_t i = 0; i < 2; i++) {
		sqlite3_stmt *st = NULL;
		int step = sqlite3_prepare_v2(from, walk[i], -1, &st, NULL) == SQLITE_OK ? SQLITE_ROW : SQLITE_ERROR;
		while (step == SQLITE_ROW && (step = sqlite3_step(st)) == SQLITE_ROW) {
			struct audit_row r = store_audit_row_of(st);
			(void)put_row(put, &r);
		}
		sqlite3_finalize(st);
		if (step == SQLITE_DONE)
			break;
	}
}

static int64_t sequence_of(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	int64_t n = 0;
	if (sqlite3_prepare_v2(db, "SELECT seq FROM sqlite_sequence WHERE name = 'audit'", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

struct taken {
	int64_t rows, last;
	uint32_t gaps;
	struct text lost; /* JSON */
};

static void tell_lost(struct taken *t, int64_t from, int64_t to)
{
	text_fmt(&t->lost, "%s[%lld,%lld]", t->gaps++ ? "," : "", (long long)from, (long long)to);
}

/* What was gathered, without the rows that are not what was written: the damaged file keeps those. */
static int take(sqlite3 *to, const struct audit_key *key, sqlite3_stmt *all, sqlite3_stmt *put, struct taken *t)
{
	char stored[AUDIT_HASH + 1] = "", hash[AUDIT_HASH + 1];
	int64_t before = 0;
	int step;
	while ((step = sqlite3_step(all)) == SQLITE_ROW && t->gaps < GAPS_MAX - 1) {
		struct audit_row r = store_audit_row_of(all);
		hash_of(hash, key, span_z(stored), &r);
		bool good = r.id != before + 1 || span_eqz(r.hash, hash);
		before = r.id;
		if (!span_copyz(r.hash, stored, sizeof stored))
			stored[0] = 0;
		if (!good || r.hash.n != AUDIT_HASH)
			continue;
		if (r.id != t->last + 1)
			tell_lost(t, t->last + 1, r.id - 1);
		if (put_row(put, &r) != 0)
			return sqlite3_errcode(to);
		t->last = r.id;
		t->rows++;
	}
	return step == SQLITE_DONE || step == SQLITE_ROW ? SQLITE_OK : step;
}

int store_audit_salvage(sqlite3 *to, sqlite3 *from, const struct audit_key *key, const char *what, int64_t wall_ms)
{
	char value[GAPS_MAX * 48 + 700], lost[GAPS_MAX * 48], sql[160];
	sqlite3_stmt *aside = NULL, *all = NULL, *put = NULL;
	struct taken t = {.lost = TEXT_ARRAY(lost)};
	int64_t seq = from ? sequence_of(from) : 0;
	int rc = sqlite3_exec(to, "CREATE TEMP TABLE got (id INTEGER PRIMARY KEY, wall_ms INTEGER, revision INTEGER, actor TEXT, source TEXT, what TEXT, "
				  "entity TEXT, key TEXT, value TEXT, hash TEXT); BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(to, "INSERT OR IGNORE INTO got VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", -1, &aside, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(to, "SELECT * FROM got ORDER BY id", -1, &all, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(to, store_audit_insert, -1, &put, NULL);
	if (rc == SQLITE_OK && from)
		gather(from, aside);
	if (rc == SQLITE_OK)
		rc = take(to, key, all, put, &t);
	if (rc == SQLITE_OK && seq > t.last) { /* a number is never given twice */
		tell_lost(&t, t.last + 1, seq);
		snprintf(sql, sizeof sql, "DELETE FROM sqlite_sequence WHERE name = 'audit'; INSERT INTO sqlite_sequence VALUES ('audit', %lld)", (long long)seq);
		rc = sqlite3_exec(to, sql, NULL, NULL, NULL);
	}
	struct text v = TEXT_ARRAY(value);
	text_fmt(&v, "{\"rows\":%lld,\"lost\":[", (long long)t.rows);
	text_put(&v, text_span(&t.lost));
	text_lit(&v, "],\"configuration\":");
	text_json(&v, span_z(what));
	text_putc(&v, '}');
	const struct audit_entry e = {.wall_ms = wall_ms, .actor = "strowgerd", .source = "", .what = "recover", .entity = "audit", .key = "", .value = text_span(&v)};
	if (rc == SQLITE_OK)
		rc = v.over || t.lost.over || store_audit_append(to, key, &e) != 0 ? SQLITE_ERROR : SQLITE_OK;
	sqlite3_finalize(aside);
	sqlite3_finalize(all);
	sqlite3_finalize(put);
	return rc == SQLITE_OK ? sqlite3_exec(to, "COMMIT", NULL, NULL, NULL) : rc;
}

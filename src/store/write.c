/* The writer's thread: batches, commits, completions. */
#include <errno.h>
#include <time.h>

#include "base/assert.h"
#include "base/hash.h"
#include "crypto/digest.h"
#include "store/store_int.h"

int store_run(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);
	sqlite3_reset(st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -1;
}

void store_on_done(struct store *s, const struct store_done *d)
{
	pthread_mutex_lock(&s->lock);
	s->done = *d;
	pthread_mutex_unlock(&s->lock);
}

void store_wake_writer(struct store *s, int64_t due_ms)
{
	if (due_ms < s->rest_until_ms) {
		s->rest_until_ms = due_ms;
		pthread_cond_signal(&s->wake);
	}
}

int store_put_cdr(struct store *s, uint64_t token, const struct cdr_row *row)
{
	int rc = -1;
	int64_t now = store_now_ms();
	pthread_mutex_lock(&s->lock);
	if (s->cdr_head - s->cdr_tail < CDR_RING) {
		struct cdr_item *it = &s->cdr[s->cdr_head++ % CDR_RING];
		it->token = token;
		it->came_ms = now;
		it->row = *row;
		store_wake_writer(s, s->cdr_head - s->cdr_tail == CDR_BATCH ? 0 : now + COMMIT_WINDOW_MS);
		rc = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static enum change_result do_job(struct store *s, struct change_job *j)
{
	if (j->err)
		j->err->text[0] = 0;
	pthread_mutex_lock(&s->lock);
	*s->jobs_end = j;
	s->jobs_end = &j->next;
	s->rest_until_ms = 0;
	pthread_cond_signal(&s->wake);
	while (!j->done)
		pthread_cond_wait(&s->finished, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return j->result;
}

enum change_result store_change(struct store *s, struct site_change *c, int64_t wall_ms, struct store_error *err)
{
	struct change_job j = {.c = c, .wall_ms = wall_ms, .err = err, .result = CHANGE_STORE_FAILED};
	return do_job(s, &j);
}

int store_audit_add(struct store *s, const struct audit_entry *e, struct store_error *err)
{
	struct change_job j = {.note = e, .err = err, .result = CHANGE_STORE_FAILED};
	return do_job(s, &j) == CHANGE_OK ? 0 : -1;
}

struct store_stats store_stats_of(const struct store *s)
{
	struct store *w = (struct store *)(uintptr_t)s; /* the lock is not part of what is read */
	pthread_mutex_lock(&w->lock);
	struct store_stats st = s->stats;
	bool full;
	st.queued = s->cdr_head - s->cdr_tail + store_behind_waiting(s, &full);
	pthread_mutex_unlock(&w->lock);
	return st;
}

/* Notes for each id of the batch the place of its newest row: an opening row whose closing row is already here is not
 * written at all. */
static void find_newest(struct store *s, uint32_t tail, uint32_t n)
{
	static const struct hash_key k = {1, 2}; /* ids are our own */
	memset(s->last_of, 0, sizeof s->last_of);
	for (uint32_t i = 0; i < n; i++) {
		const char *id = s->cdr[(tail + i) % CDR_RING].row.id;
		uint32_t at = (uint32_t)siphash(&k, id, strnlen(id, sizeof s->cdr[0].row.id)) % COUNT_OF(s->last_of);
		while (s->last_of[at] && strcmp(s->cdr[(tail + s->last_of[at] - 1) % CDR_RING].row.id, id) != 0)
			at = (at + 1) % COUNT_OF(s->last_of);
		s->last_of[at] = i + 1;
	}
}

static int write_cdrs(struct store *s, uint32_t tail, uint32_t n, uint64_t *written)
{
	find_newest(s, tail, n);
	for (size_t k = 0; k < COUNT_OF(s->last_of); k++) {
		if (!s->last_of[k])
			continue;
		store_bind_cdr(s->st[ST_CDR], &s->cdr[(tail + s->last_of[k] - 1) % CDR_RING].row);
		if (store_run(s->st[ST_CDR]) != 0)
			return -1;
		++*written;
	}
	return 0;
}

void store_note_failure(struct store *s, sqlite3 *db, const char *event, bool *failing)
{
	if (!*failing)
		log_event(s->log, LOG_ERROR, event, LOG_Z("error", sqlite3_errmsg(db)), LOG_Z("directory", s->dir),
			  LOG_Z("mend", "free space on the disk or make it writable; rows are kept and written again"));
	*failing = true;
}

/* Should the switch die, the end of an open call is reckoned from the last note of life, its beginning is in its row: both by one clock
 * (R15). Before rows of new calls come in, which have the right one. */
static void calls_follow_clock(struct store *s)
{
	(void)store_clock_follow(s);
	if (!sqlite3_get_autocommit(s->reg))
		store_run(s->rg[RG_ROLLBACK]);
	if (!s->moved_ms)
		return;
	sqlite3_bind_int64(s->st[ST_CDR_MOVE], 1, s->moved_ms);
	store_run(s->st[ST_CDR_MOVE]);
	s->moved_ms = 0;
}

/* One transaction: the CDRs waiting and the changes waiting. */
static void commit_batch(struct store *s, uint32_t tail, uint32_t n, struct change_job *jobs)
{
	uint64_t written = 0;
	calls_follow_clock(s);
	bool ok = store_run(s->st[ST_BEGIN]) == 0;
	if (ok)
		ok = write_cdrs(s, tail, n, &written) == 0;
	for (struct change_job *j = jobs; ok && j; j = j->next) {
		store_apply_change(s, j);
		/* SQLite rolled all back by itself (disk full, I/O, memory): a further SAVEPOINT would be a transaction of its own */
		ok = !sqlite3_get_autocommit(s->db);
	}
	if (ok)
		ok = store_run(s->st[ST_COMMIT]) == 0;
	if (!ok) {
		char why[160];
		struct text t = TEXT_ARRAY(why);
		text_z(&t, sqlite3_errmsg(s->db));
		if (!text_end(&t))
			why[sizeof why - 1] = 0;
		store_note_failure(s, s->db, "store.commit_failed", &s->cdr_failing);
		if (!sqlite3_get_autocommit(s->db))
			store_run(s->st[ST_ROLLBACK]);
		for (struct change_job *j = jobs; j; j = j->next) {
			j->result = CHANGE_STORE_FAILED;
			store_fail(j->err, "%s/strowger.db: %s; free space on the disk or make it writable, then repeat the change", s->dir, why);
		}
	} else if (s->cdr_failing) {
		s->cdr_failing = false;
		log_event(s->log, LOG_INFO, "store.commit_works_again", LOG_Z("directory", s->dir));
	}
	if (s->done.cdr)
		for (uint32_t i = 0; i < n; i++)
			s->done.cdr(s->done.ctx, s->cdr[(tail + i) % CDR_RING].token, ok);
	bool changed = false; /* the configuration: a row of the audit alone makes no good copy */
	for (const struct change_job *j = jobs; ok && j; j = j->next)
		changed = changed || (j->c && j->result == CHANGE_OK);
	pthread_mutex_lock(&s->lock);
	s->cdr_tail += n;
	if (changed) {
		s->changes++;
		pthread_cond_signal(&s->keep_wake);
	}
	s->stats.commits += ok;
	s->stats.failures += !ok;
	s->stats.cdr_written += ok ? written : 0;
	for (struct change_job *j = jobs, *next; j; j = next) {
		next = j->next; /* j is on its caller's stack and gone once it is done */
		j->done = true;
	}
	pthread_cond_broadcast(&s->finished);
	pthread_mutex_unlock(&s->lock);
}

static bool open_cdrs(struct store *s)
{
	bool any = sqlite3_step(s->st[ST_CDR_OPEN]) == SQLITE_ROW;
	sqlite3_reset(s->st[ST_CDR_OPEN]);
	return any;
}

/* While a call is open, the time is noted each second: should the switch die, that is when the call ended. */
static void note_life(struct store *s)
{
	struct timespec t;
	bool open = open_cdrs(s);
	s->life_due_ms = open ? store_now_ms() + LIFE_MS : INT64_MAX;
	if (!open)
		return;
	calls_follow_clock(s);
	clock_gettime(CLOCK_REALTIME, &t);
	sqlite3_bind_int64(s->rg[RG_LIFE], 1, (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
	if (store_run(s->rg[RG_LIFE]) != 0)
		store_note_failure(s, s->reg, "store.registrations_failed", &s->behind_failing);
}

/* A whole batch waits: its window is not waited for, or a burst would be written at one batch per window. Where the disk
 * refuses, the pause between tries stays. */
static bool cdr_batch_full(const struct store *s)
{
	return s->cdr_head - s->cdr_tail >= CDR_BATCH && !s->cdr_failing;
}

static bool behind_batch_full(const struct store *s)
{
	bool full;
	(void)store_behind_waiting(s, &full);
	return full && !s->behind_failing;
}

/* Sleeps until the time comes (INT64_MAX: there is none) or something is due before it. */
static void rest(struct store *s, int64_t until_ms)
{
	struct timespec t = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
	int rc = 0;
	s->rest_until_ms = until_ms;
	while (rc != ETIMEDOUT && s->rest_until_ms == until_ms && !s->stop && !s->jobs && !cdr_batch_full(s) && !behind_batch_full(s))
		rc = until_ms == INT64_MAX ? pthread_cond_wait(&s->wake, &s->lock) : pthread_cond_timedwait(&s->wake, &s->lock, &t);
	s->rest_until_ms = 0;
}

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void *store_writer(void *arg)
{
	struct store *s = arg;
	int failed_at_stop = 0;
	s->moved_ms = 0; /* what was found at the start moved the open rows' clock and the note of life alike: not at all */
	s->cdr_due_ms = s->behind_due_ms = s->life_due_ms = INT64_MAX;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		int64_t now = store_now_ms();
		bool full;
		uint32_t n_cdr = s->cdr_head - s->cdr_tail, n_behind = store_behind_waiting(s, &full);
		if (!n_cdr)
			s->cdr_due_ms = INT64_MAX;
		else if (s->cdr_due_ms == INT64_MAX)
			s->cdr_due_ms = (s->cdr_failing ? now : s->cdr[s->cdr_tail % CDR_RING].came_ms) + COMMIT_WINDOW_MS;
		if (!n_behind)
			s->behind_due_ms = INT64_MAX;
		else if (s->behind_due_ms == INT64_MAX)
			s->behind_due_ms = now + BEHIND_WINDOW_MS;
		bool cdr_now = s->jobs || (n_cdr && (s->stop || now >= s->cdr_due_ms || cdr_batch_full(s)));
		bool behind_now = n_behind && (now >= s->behind_due_ms || behind_batch_full(s) || (s->stop && failed_at_stop < 3));
		bool life_now = now >= s->life_due_ms;
		if (!cdr_now && !behind_now && !life_now) {
			if (s->stop)
				break;
			rest(s, min64(s->life_due_ms, min64(s->cdr_due_ms, s->behind_due_ms)));
			continue;
		}
		bool stopping = s->stop;
		struct change_job *jobs = s->jobs;
		s->jobs = NULL;
		s->jobs_end = &s->jobs;
		uint32_t cdr_tail = s->cdr_tail;
		pthread_mutex_unlock(&s->lock);
		if (cdr_now) {
			commit_batch(s, cdr_tail, n_cdr < CDR_BATCH ? n_cdr : CDR_BATCH, jobs);
			s->cdr_due_ms = INT64_MAX;
		}
		if (life_now || (cdr_now && s->life_due_ms == INT64_MAX))
			note_life(s);
		if (behind_now) {
			store_behind_commit(s);
			failed_at_stop += stopping && s->behind_failing;
			s->behind_due_ms = s->behind_failing ? store_now_ms() + RETRY_MS : INT64_MAX;
		}
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	crypto_thread_end();
	return NULL;
}

/* store: what its files share. Not for others. */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include <pthread.h>
#include <sqlite3.h>

#include "io/clock.h"
#include "store/store.h"

enum {
	CDR_RING = 4096,       /* rows waiting for the writer, a power of two */
	CDR_BATCH = 1024,      /* rows of one commit at most */
	COMMIT_WINDOW_MS = 40, /* a CDR waits no longer than this for company, also when it came while a batch was being written */
	BEHIND_BATCH = 1024,
	BEHIND_WINDOW_MS = 300,
	RETRY_MS = 1000,
	LIFE_MS = 1000 /* between two notes of the time while a call is open */
};

struct cdr_item {
	uint64_t token;
	int64_t came_ms;
	struct cdr_row row;
};

/* A queue of what is written behind: behind.c. */
enum behind_kind { BEHIND_BINDING, BEHIND_SUB, BEHIND_BAN, BEHIND_N };
struct behind {
	unsigned char *items;
	uint32_t head, tail; /* the writer alone moves the tail */
};

/* One waiting store_change or store_audit_add: lives on the caller's stack. */
struct change_job {
	struct change_job *next;
	struct site_change *c;          /* NULL: the note alone */
	const struct audit_entry *note;
	int64_t wall_ms;
	struct store_error *err;
	enum change_result result;
	bool done;
};

enum stmt_kind {
	ST_BEGIN, ST_COMMIT, ST_ROLLBACK, ST_SAVE, ST_RELEASE, ST_BACK, ST_CDR, ST_CDR_OPEN, ST_CDR_MOVE, ST_AUDIT, ST_AUDIT_LAST,
	ST_SETTINGS_READ, ST_EXT_READ, ST_DEV_READ, ST_DEV_OF,
	ST_SETTINGS_FIND, ST_SETTINGS_INSERT, ST_SETTINGS_UPDATE,
	ST_EXT_FIND, ST_EXT_INSERT, ST_EXT_UPDATE, ST_EXT_DELETE,
	ST_DEV_FIND, ST_DEV_INSERT, ST_DEV_UPDATE, ST_DEV_DELETE,
	ST_TOKEN_FIND, ST_TOKEN_READ, ST_TOKEN_INSERT, ST_TOKEN_UPDATE, ST_TOKEN_DELETE, ST_ONCE_FIND, ST_ONCE_INSERT, ST_ONCE_PRUNE, ST_N
};
enum reg_kind { RG_BEGIN, RG_COMMIT, RG_ROLLBACK, RG_PUT, RG_DROP, RG_SUB_PUT, RG_SUB_DROP, RG_LIFE, RG_CLOCK, RG_MOVE_BINDINGS, RG_MOVE_SUBS,
	RG_BAN_PUT, RG_BAN_DROP, RG_BAN_PRUNE, RG_MOVE_BANS, RG_N };

/* By which clock the times in registrations.db are written. */
struct store_clock {
	int64_t wall_ms, boot_ms; /* wall 0: not known */
	char boot[BOOT_ID];
};

enum { AUDIT_HASH = 64 }; /* hex */
struct audit_key { unsigned char k[32]; };

struct store {
	struct audit_key audit_key;
	sqlite3 *db, *reg, *rd; /* writer's, writer's, readers' (under rd_lock) */
	sqlite3_stmt *st[ST_N], *rg[RG_N];
	pthread_mutex_t rd_lock;
	struct log_sink *log;
	char dir[384];

	pthread_t writer;
	bool writer_runs;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake, finished;
	bool stop;
	int64_t rest_until_ms; /* the writer rests until then; 0: it is at work and will look at the queues itself */
	struct cdr_item *cdr;         /* the writer alone moves the tails, so it reads its batch without the lock */
	uint32_t cdr_head, cdr_tail;
	struct behind behind[BEHIND_N];
	struct change_job *jobs, **jobs_end;
	pthread_t keeper;
	pthread_cond_t keep_wake;
	uint32_t secrets_open, secrets_shut; /* of the last reading; under rd_lock */
	bool keeper_runs, keep_stop;
	uint64_t changes, kept; /* committed, and of them in the newest good copy */
	struct store_done done;
	struct store_stats stats;

	/* the writer's own */
	struct store_clock clock;
	char boot[BOOT_ID];
	int64_t moved_ms; /* by which the clock moved while the switch ran, and the times of open calls not yet */
	int64_t cdr_due_ms, behind_due_ms, life_due_ms;
	uint32_t last_of[CDR_BATCH * 2]; /* id hash -> batch place + 1 of the newest row with this id */
	bool cdr_failing, behind_failing;
};

/* open */
extern const char *const store_stmt_sql[ST_N];
extern const char *const store_reg_sql[RG_N];
int store_prepare(sqlite3 *db, const char *const *sql, sqlite3_stmt **out, int n);
void store_fail(struct store_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int64_t store_now_ms(void); /* monotonic */
/* A connection of the caller's own to a file of the site; NULL: not opened. The caller closes it. */
sqlite3 *store_open_file(const char *dir, const char *name, int flags);
/* Each row of a table of registrations.db whose one parameter is the time. 0 or -1. */
int store_walk(struct store *s, const char *sql, int64_t wall_ms, void (*row)(void *ctx, sqlite3_stmt *st), void *ctx);
/* Does a checking pragma say "ok"? If not, why has what it said (NULL: not asked). */
enum { STORE_WHY = 200 };
bool store_check(sqlite3 *db, const char *pragma, char why[STORE_WHY]);

/* The file is damaged: set aside, a new one made of the rows that can still be read. On the thread that writes it. */
int store_heal_registrations(struct store *s);
bool store_is_current(sqlite3 *db);
int store_migrate(sqlite3 *db, const struct audit_key *key); /* to today's versions; a new database gets everything */

/* keep: the newest copy that can be read: its number, path and status; 0: there is none */
enum { STORE_PATH = 512 };
struct stat;
int store_newest_good(const char *dir, char good[STORE_PATH], struct stat *sb);
void store_keep_stop(struct store *s);

/* write */
void *store_writer(void *arg);
/* Runs a statement that gives no rows; resets it. SQLITE_DONE is 0, else -1. */
int store_run(sqlite3_stmt *st);

/* Under the lock. The writer looks at the queues at due_ms at the latest, whatever it rests for. */
void store_wake_writer(struct store *s, int64_t due_ms);

/* The first refusal of a row of them is logged. */
void store_note_failure(struct store *s, sqlite3 *db, const char *event, bool *failing);

/* behind: init and free by the opener; waiting under the lock; commit on the writer's thread */
int store_behind_init(struct store *s);
void store_behind_free(struct store *s);
uint32_t store_behind_waiting(const struct store *s, bool *batch_full);
void store_behind_commit(struct store *s);
extern const char store_subs_schema[], store_subs_put[], store_subs_drop[];
void store_bind_sub(sqlite3_stmt *st, const struct subscription_row *r);
extern const char store_bans_schema[], store_bans_prune[];
void store_bind_ban(sqlite3_stmt *st, const struct ban_row *r, bool gone);
int store_prune_bans(struct store *s); /* those that are over, and the oldest of too many */

/* clock: on the thread that writes registrations.db, outside a transaction, before rows with times are written. 0, or
 * -1: the disk refuses (what was begun the caller rolls back). */
int store_clock_follow(struct store *s);
void store_clock_open(struct store *s); /* the same once the file is open */

/* audit: on the writer's thread inside its transaction. 0 or -1. */
extern const char store_audit_insert[], store_audit_last[];
int store_audit_write(struct store *s, const struct audit_entry *e);
/* The value is what differs between two rows; old NULL: added, now NULL: removed. Of sealed fields only that they changed. */
int store_audit_row(struct store *s, const struct audit_entry *e, const struct entity_desc *d, const void *old, const void *now);

/* audit_chain */
struct audit_row {
	int64_t id, wall_ms, revision;
	struct span text[6]; /* actor, source, what, entity, key, value */
	struct span hash;
};
#define STORE_AUDIT_ROWS "SELECT id, wall_ms, revision, actor, source, what, entity, key, value, hash FROM audit"
struct audit_row store_audit_row_of(sqlite3_stmt *st); /* of STORE_AUDIT_ROWS; its texts live until the next step */
struct audit_key store_audit_key(const struct site_key *k);
void store_audit_tell(struct store *s); /* its head into the log: at the start, by the opener */
/* One row behind the last, on any connection, inside its transaction. 0 or -1. */
int store_audit_append(sqlite3 *db, const struct audit_key *key, const struct audit_entry *e);
/* Rows of older versions get their place in the keyed chain; hashed: they have SHA-256 hashes, which are checked first. An SQLite code. */
int store_audit_rekey(sqlite3 *db, const struct audit_key *key, bool hashed);
/* What can be read of a damaged file's audit (from NULL: nothing), and a row that says what could not. An SQLite code. */
int store_audit_salvage(sqlite3 *to, sqlite3 *from, const struct audit_key *key, const char *what, int64_t wall_ms);

/* change: on the writer's thread inside its transaction. */
void store_apply_change(struct store *s, struct change_job *j);

/* rows <-> statements: parameters or columns from `at` on: id, revision, then the fields in order */
void store_bind_row(sqlite3_stmt *st, const struct entity_desc *d, const void *row);
/* -1: a value does not fit its field. */
int store_read_row(sqlite3_stmt *st, const struct entity_desc *d, void *row);
void store_bind_text(sqlite3_stmt *st, int at, const char *z);
void store_bind_cdr(sqlite3_stmt *st, const struct cdr_row *r);
void store_bind_binding(sqlite3_stmt *st, const struct binding_row *b);
void store_bind_addr(sqlite3_stmt *st, int at, const struct addr *a);
int store_column_addr(sqlite3_stmt *st, int column, struct addr *out); /* -1: not one */
int store_read_binding(sqlite3_stmt *st, struct binding_row *b);
int store_grow(char **mem, size_t *cap, size_t need); /* 0, or -1: no memory */

#define STORE_Q10 ", ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
#define CDR_COLUMNS                                                                                                    \
	"id, call, leg_no, direction, extension, device, caller, callee, dialled, sip_call_id, remote, start_ms, "     \
	"ring_at_ms, answer_ms, end_ms, ring_ms, talk_ms, cause, sip_status, ended_by, closed, direct_media, codec, "  \
	"rx_packets, rx_bytes, tx_packets, tx_bytes, rx_lost, rx_dropped, jitter_us, max_jitter_us, mos_x100, far_lost, rtt_us"
#define BINDING_COLUMNS                                                                                                \
	"extension, contact, instance, device_id, call_id, user_agent, path, reg_id, cseq, transport, listener, "      \
	"remote, local, expires_ms, registered_ms"

#endif
